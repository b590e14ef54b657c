"""How long the rest of a run takes."""

from __future__ import annotations

from collections.abc import Mapping

from snakemake_logger_plugin_robustvit.durations import (
    UNKNOWN_RULE_SECONDS,
    Durations,
    results_root,
)
from snakemake_logger_plugin_robustvit.job_progress import JobProgress
from snakemake_logger_plugin_robustvit.run_state import Job, Snapshot


def job_seconds_left(
    job: Job, progress: JobProgress | None, durations: Durations, now: float
) -> float:
    """Seconds that a running job still takes: its own word, else what it took before.

    A job that is over its expected time is taken to need a tenth of its time so far again.
    """
    own = progress.left(now) if progress else None
    if own is not None:
        return own
    elapsed = max(now - job.started, 0.0)
    return max(durations.job(job).seconds * durations.speed - elapsed, 0.1 * elapsed)


def run_seconds_left(
    run: Snapshot, progress: Mapping[int, JobProgress], durations: Durations, now: float
) -> float:
    """Seconds until the run ends: the work left over the cores, and no less than any one job."""
    work, longest = _waiting_work(run, durations), 0.0
    for job in run.running:
        left = job_seconds_left(job, progress.get(job.number), durations, now)
        work += left * _share(run, job.threads)
        longest = max(longest, left)
    return max(longest, work / _parallel(run))


def _waiting_work(run: Snapshot, durations: Durations) -> float:
    root = _common_root(run)
    work = 0.0
    for rule, count in run.waiting.items():
        cost = durations.waiting(rule, count, root)
        work += cost.seconds * _share(run, cost.threads)
    unannounced = run.total - run.done - len(run.running) - sum(run.waiting.values())
    return (work + max(unannounced, 0) * UNKNOWN_RULE_SECONDS) * durations.speed


def _common_root(run: Snapshot) -> str | None:
    roots = [results_root(job.key) for job in run.running if job.outputs]
    return max(set(roots), key=roots.count) if roots else None


def _share(run: Snapshot, threads: int) -> int:
    """How many slots a job takes: threads of this machine, or one place in a cluster's queue."""
    return 1 if run.per_node else min(max(threads, 1), run.slots)


def _parallel(run: Snapshot) -> int:
    if not run.per_node:
        return run.slots
    return max(min(run.slots, len(run.running) + sum(run.waiting.values())), 1)
