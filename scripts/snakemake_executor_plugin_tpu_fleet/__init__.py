"""Snakemake's executor for TPU VMs that a controller makes, uses and deletes.

A job's command runs on all workers of a TPU VM, without a Snakemake around it; its inputs, its
resumable state and its results travel through a bucket (robustvit.cluster.tpu.fleet). A job whose
VM was preempted goes on from its state on the next one, which is no failure of the job.
"""

import os
import uuid
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Optional

from snakemake_interface_executor_plugins.executors.base import SubmittedJobInfo
from snakemake_interface_executor_plugins.executors.remote import RemoteExecutor
from snakemake_interface_executor_plugins.jobs import JobExecutorInterface
from snakemake_interface_executor_plugins.settings import CommonSettings, ExecutorSettingsBase

if TYPE_CHECKING:
    from robustvit.cluster.tpu.task import Task

ARCHIVE = ".snakemake/tpu-fleet/source.tar.gz"
PREFIX = "ROBUSTVIT_"  # variables by which the rules hand settings to the programs
SECONDS_BETWEEN_LOOKS = 2

common_settings = CommonSettings(
    non_local_exec=True,
    implies_no_shared_fs=False,  # the controller's disk holds all results
    job_deploy_sources=False,
    pass_default_storage_provider_args=False,
    pass_default_resources_args=False,
    pass_envvar_declarations_to_cmd=False,
    auto_deploy_default_storage_provider=False,
    init_seconds_before_status_checks=1,
)


@dataclass
class ExecutorSettings(ExecutorSettingsBase):
    """Settings on Snakemake's command line, as --tpu-fleet-site."""

    # Snakemake reads the annotation, and knows no other way to write it.
    site: Optional[str] = field(  # noqa: UP045
        default=None, metadata={"help": "The fleet file (docs/clusters.md).", "required": True}
    )


class Executor(RemoteExecutor):
    """Hands jobs to a `Fleet` and reports how they ended."""

    def __post_init__(self) -> None:
        """Pack the checkout; nothing is made in the cloud before there is a job."""
        # Here: every start of Snakemake imports all plug-ins, whichever it uses.
        from robustvit.cluster.tpu.fleet import Fleet
        from robustvit.cluster.tpu.fleet_site import load_fleet
        from robustvit.cluster.tpu.sources import checkout_id, pack, source_files

        self._site = load_fleet(Path(self.workflow.executor_settings.site))
        root = Path.cwd()
        self._sources = set(source_files(root))
        archive = root / ARCHIVE
        archive.parent.mkdir(parents=True, exist_ok=True)
        digest = pack(root, archive)
        self._checkout = checkout_id(root)
        self._run, self._cancelled = uuid.uuid4().hex, False
        self._fleet = Fleet(self._site, archive, digest, self._tell)

    def _tell(self, line: str) -> None:
        # The progress display shows no lesser messages, and what is waited for has to be seen.
        self.logger.warning(line)

    def run_job(self, job: JobExecutorInterface) -> None:
        """Queue a job; its inputs go into the bucket meanwhile."""
        inputs = [str(path) for path in job.input if str(path) not in self._sources]
        task = self._task(job)
        self.report_job_submission(SubmittedJobInfo(job, external_jobid=task.id))
        self._fleet.submit(task, inputs)

    def _task(self, job: JobExecutorInterface) -> "Task":
        from robustvit.cluster.tpu.fleet_site import ACTIVE, FILE
        from robustvit.cluster.tpu.task import Task, short_id

        name = f"{job.name} {' '.join(map(str, job.wildcards))}".strip()
        handed = {
            key: value
            for key, value in os.environ.items()
            if key.startswith(PREFIX) and key not in (ACTIVE, FILE.variable)
        }
        return Task(
            id=short_id(name, job.attempt, self._run),
            name=name,
            command=job.shellcmd,
            environment=handed | self._site["environment"],
            outputs=list(map(str, job.output)),
            state=getattr(job.params, "work", None),
            log=str(job.log[0]) if job.log else None,
            benchmark=str(job.benchmark) if job.benchmark else None,
            sync_seconds=self._site["sync_seconds"],
            checkout=self._checkout,
        )

    async def check_active_jobs(
        self, active_jobs: list[SubmittedJobInfo]
    ) -> AsyncGenerator[SubmittedJobInfo, None]:
        """Yield the jobs that wait or run; report the others."""
        self.next_seconds_between_status_checks = SECONDS_BETWEEN_LOOKS
        for job in active_jobs:
            outcome = self._fleet.take_outcome(job.external_jobid)
            if outcome is None:
                yield job
            elif outcome.error is None:
                self.report_job_success(job)
            else:
                self.report_job_error(job, msg=f"{outcome.error}\n")

    def cancel_jobs(self, active_jobs: list[SubmittedJobInfo]) -> None:
        """Tell running jobs to save their state and end."""
        self._cancelled = True
        self._fleet.cancel()

    def shutdown(self) -> None:
        """End; delete the TPU VMs if the fleet file says so and the run was not cancelled."""
        super().shutdown()
        self._fleet.close(delete=self._site["delete"] and not self._cancelled)
