"""The lines of the display as plain text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from snakemake_logger_plugin_robustvit.basics import format_seconds
from snakemake_logger_plugin_robustvit.durations import Durations
from snakemake_logger_plugin_robustvit.estimate import job_seconds_left, run_seconds_left
from snakemake_logger_plugin_robustvit.job_progress import JobProgress
from snakemake_logger_plugin_robustvit.run_state import Job, Snapshot

SHOWN_JOBS = 8


@dataclass(frozen=True)
class JobLine:
    """One running job: what, how much of it in [0, 1] or None, and what remains."""

    label: str
    fraction: float | None
    amount: str
    left: str
    note: str


@dataclass(frozen=True)
class Status:
    """Everything that the display shows at one moment."""

    done: int
    total: int
    elapsed: float
    left: float
    jobs: tuple[JobLine, ...]
    hidden: int

    @property
    def summary(self) -> str:
        """For instance `12/57 jobs, 3:05 min so far, about 7:30 min left`."""
        text = f"{self.done}/{self.total} jobs, {format_seconds(self.elapsed)} so far"
        if self.done >= self.total:
            return text
        return f"{text}, about {format_seconds(self.left)} left"


def build_status(
    run: Snapshot, progress: Mapping[int, JobProgress], durations: Durations, now: float
) -> Status:
    """Collect what is to be shown; the jobs that run longest come first."""
    jobs = sorted(run.running, key=lambda job: job.started)
    lines = [_job_line(job, progress.get(job.number), durations, now) for job in jobs[:SHOWN_JOBS]]
    return Status(
        done=run.done,
        total=run.total,
        elapsed=max(now - run.started, 0.0),
        left=run_seconds_left(run, progress, durations, now),
        jobs=tuple(lines),
        hidden=len(jobs) - len(lines),
    )


def _job_line(job: Job, progress: JobProgress | None, durations: Durations, now: float) -> JobLine:
    left = f"about {format_seconds(job_seconds_left(job, progress, durations, now))} left"
    if progress is None:
        return JobLine(job.label, None, f"{format_seconds(now - job.started)} so far", left, "")
    amount = f"{progress.done:g}/{progress.total:g} {progress.unit}".rstrip()
    return JobLine(job.label, progress.fraction, amount, left, progress.note)


def job_text(line: JobLine) -> str:
    """One running job in words, for a log file."""
    percent = "" if line.fraction is None else f" {line.fraction:.0%}"
    note = f", {line.note}" if line.note else ""
    return f"{line.label}{percent} ({line.amount}, {line.left}{note})"


def status_text(status: Status) -> str:
    """The whole status in one line, for a log file."""
    jobs = "; ".join(job_text(line) for line in status.jobs)
    more = f"; and {status.hidden} more" if status.hidden else ""
    return f"{status.summary}" + (f"; now: {jobs}{more}" if jobs else "")


def beginning_text(status: Status) -> str:
    """The first line of a run."""
    return f"{status.total} jobs to do, about {format_seconds(status.left)}"


def finished_text(job: Job, seconds: float, status: Status) -> str:
    """The line that stays when a job is done."""
    width = len(str(status.total))
    return f"[{status.done:>{width}}/{status.total}] {job.label}: {format_seconds(seconds)}"


def outcome_text(run: Snapshot, now: float) -> str:
    """The closing line of a run."""
    took = format_seconds(max(now - run.started, 0.0))
    if not run.failed and run.done >= run.total:
        return f"Done: {run.total} jobs in {took}"
    failed = f", {len(run.failed)} failed" if run.failed else ""
    return (
        f"Stopped after {took}: {run.done} of {run.total} jobs done{failed}. "
        "Finished work is kept: the same command goes on from here."
    )
