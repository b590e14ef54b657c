"""Going on after the time limit: a training that was told to save queues its own job again."""

from __future__ import annotations

import os
import sys

from robustvit.cluster.slurm import NoAnswer, ask

VARIABLE = "ROBUSTVIT_REQUEUE"  # set by the workflow on a cluster: elsewhere the job is the user's
MOST = 200  # a job that is warned as soon as it starts, time after time, ends at last


def requeue_own_job() -> bool:
    """Queue the SLURM job that this process runs in again, if SLURM has not ended it already.

    The job is still RUNNING when SLURM warns of its time limit. If it was cancelled, preempted or
    has reached the limit, its state says so, and whoever did that decides what comes next.

    Returns:
        Whether the job was queued again; it then ends within seconds and starts anew, with the
        same id, from the saved state.
    """
    job, rank = os.environ.get("SLURM_JOB_ID"), os.environ.get("SLURM_PROCID", "0")
    if VARIABLE not in os.environ or not job or rank != "0":
        return False
    if int(os.environ.get("SLURM_RESTART_COUNT", "0")) >= MOST:
        return False
    if _ask("squeue", "--noheader", "--jobs", job, "--format", "%T") != "RUNNING":
        return False
    if _ask("scontrol", "requeue", job) is None:
        return False
    print(f"SLURM job {job} is queued again and goes on where it stopped", file=sys.stderr)
    return True


def _ask(*command: str) -> str | None:
    """What a command prints; None, with a warning, if it fails."""
    try:
        return ask(*command)
    except NoAnswer as error:
        print(f"warning: {' '.join(command)}: {error}", file=sys.stderr)
        return None
