"""Snakemake's executor for SLURM, for jobs whose end it would wait for in vain.

snakemake-executor-plugin-slurm 2.8 leaves a preempted job to SLURM, which does not queue it again
where partitions preempt by cancelling. It waits for ever on a job that SLURM has forgotten (after
MinJobAge: Snakemake was suspended, or the controller started anew), and on one that SLURM holds
because a node failed to launch it. It looks at the queue ever more rarely, whatever the time to the
first look. Everything else is that plug-in's.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator
from pathlib import Path

import snakemake_executor_plugin_slurm as slurm
from snakemake_executor_plugin_slurm import common_settings  # noqa: F401 - part of the plug-in
from snakemake_interface_executor_plugins.executors.base import SubmittedJobInfo

PREEMPTED_LOOKS = 2  # in a row: a job that is queued again is PREEMPTED for a moment
MISSING_LOOKS = 3
HELD = "launch failed requeued held"  # a reason, as squeue writes it
RELEASES = 3  # of a job that is held
SLOWEST = 4  # times the time to the first look, between two looks at the queue
SECONDS = 60


class ExecutorSettings(slurm.ExecutorSettings):
    """The settings of the plug-in for SLURM."""


class Executor(slurm.Executor):
    """The plug-in's executor, which gives up on jobs that will not come back."""

    def __post_init__(self, test_mode: bool = False) -> None:
        """Start with nothing suspicious."""
        super().__post_init__(test_mode)
        self._looks: Counter[str] = Counter()
        self._releases: Counter[str] = Counter()

    async def check_active_jobs(
        self, active_jobs: list[SubmittedJobInfo]
    ) -> AsyncGenerator[SubmittedJobInfo, None]:
        """Yield the jobs that are still queued or running; the others are reported."""
        left = [job async for job in super().check_active_jobs(active_jobs)]
        first = self.workflow.executor_settings.init_seconds_before_status_checks
        self.next_seconds_between_status_checks = min(
            self.next_seconds_between_status_checks, SLOWEST * first
        )
        states = await self._states() if left else None
        for job in left:
            state, reason = (states or {}).get(job.external_jobid, (None, ""))
            if HELD in reason:
                await self._release(job)
            if states is None or not self._is_lost(job, state):
                yield job

    async def _states(self) -> dict[str, tuple[str, str]] | None:
        """States and reasons of this run's jobs by id; None if SLURM does not answer."""
        listed = await _ask(
            *("squeue", "--noheader", "--states=all", "--format=%i|%T|%r", "--name", self.run_uuid)
        )
        if listed is None:
            return None
        rows = (line.split("|", 2) for line in listed.splitlines() if line.count("|") > 1)
        return {job.strip(): (state, reason) for job, state, reason in rows}

    async def _release(self, job: SubmittedJobInfo) -> None:
        """Let a held job start again, on another node as it may be; give up after a few times."""
        self._releases[job.external_jobid] += 1
        verb = "release" if self._releases[job.external_jobid] <= RELEASES else None
        self.logger.warning(
            f"SLURM holds job {job.external_jobid}: its launch failed on a node. "
            + ("It is released." if verb else "It is cancelled.")
        )
        await _ask(*(("scontrol", verb) if verb else ("scancel",)), job.external_jobid)

    def _is_lost(self, job: SubmittedJobInfo, state: str | None) -> bool:
        """Whether a job was reported because it is over, though SLURM does not say so."""
        if state not in (None, "PREEMPTED"):
            self._looks.pop(job.external_jobid, None)
            return False
        self._looks[job.external_jobid] += 1
        needed = MISSING_LOOKS if state is None else PREEMPTED_LOOKS
        if self._looks[job.external_jobid] < needed:
            return False
        del self._looks[job.external_jobid]
        self._report(job, state)
        return True

    def _report(self, job: SubmittedJobInfo, state: str | None) -> None:
        # Outputs are removed before a job starts and written atomically: if they are there, the
        # job has made them.
        if state is None and all(Path(output).exists() for output in job.job.output):
            self.report_job_success(job)
            return
        what = "was preempted and not queued again" if state else "is unknown to SLURM by now"
        log = job.aux.get("slurm_logfile")
        self.report_job_error(
            job, msg=f"SLURM-job '{job.external_jobid}' {what}.", aux_logs=[str(log)] if log else []
        )


async def _ask(*command: str) -> str | None:
    """What a command of SLURM prints; None if it fails or takes too long."""
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        out, _ = await asyncio.wait_for(process.communicate(), SECONDS)
    except TimeoutError:
        process.kill()
        return None
    return None if process.returncode else out.decode()
