"""Starting one program as several processes: torchrun's own agent, with our exit codes."""

from __future__ import annotations

import functools
import os
import re
import signal
import sys
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from robustvit.cluster.slurm import ask
from robustvit.core.errors import UserError
from robustvit.training.interruption import EXIT_INTERRUPTED, SIGNALS

PORT = 29400
SECONDS_TO_SAVE = 120


@dataclass(frozen=True)
class Processes:
    """How many processes train together.

    Attributes:
        per_node: processes on each machine, one a GPU.
        nodes: machines.
        rendezvous: "host:port" where the machines meet; by default the first machine of the
            SLURM job.
        cpus: processor cores of each machine.
    """

    per_node: int = 1
    nodes: int = 1
    rendezvous: str | None = None
    cpus: int = 1

    @property
    def several(self) -> bool:
        """Whether there is anything to launch."""
        return self.per_node * self.nodes > 1


def launch(command: Sequence[str], processes: Processes) -> int:
    """Run a Python program in all processes of this machine (or job) and wait for their end.

    In a SLURM job over several machines that runs as one task, the program is first started once
    on each machine by `srun`.

    Args:
        command: path of the program and its arguments.
        processes: how many, and where they meet.

    Returns:
        0, the exit code of the first process that failed, or 75 if a signal ended them.

    Raises:
        UserError: if several machines have nowhere to meet.
    """
    if processes.nodes > 1 and _alone_in_slurm_job():
        os.execvp("srun", [*_srun(processes), sys.executable, *command])
    from torch.distributed.elastic.multiprocessing.api import PContext, SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import elastic_launch

    def stop(number: int, frame: object) -> None:
        raise SignalException("warned by the scheduler", signal.Signals(number))

    # The agent passes SIGTERM on by itself, but not what a scheduler may warn with.
    signal.signal(signal.SIGUSR1, stop)
    # It would give the processes 30 s to save their state.
    PContext.close = functools.partialmethod(PContext.close, timeout=SECONDS_TO_SAVE)
    try:
        elastic_launch(_agent_settings(processes), sys.executable)(*command)
    except SignalException as error:
        print(f"stopped by {error.sigval.name}", file=sys.stderr)
        return EXIT_INTERRUPTED if error.sigval in SIGNALS else 128 + error.sigval
    except ChildFailedError as error:
        return _exit_code(error)
    return 0


def _agent_settings(processes: Processes) -> object:
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs
    from torch.distributed.launcher.api import LaunchConfig

    several = processes.nodes > 1
    return LaunchConfig(
        min_nodes=processes.nodes,
        max_nodes=processes.nodes,
        nproc_per_node=processes.per_node,
        run_id=os.environ.get("SLURM_JOB_ID", "robustvit") if several else uuid.uuid4().hex,
        rdzv_backend="c10d",
        rdzv_endpoint=_meeting_point(processes) if several else "localhost:0",
        rdzv_configs={"timeout": 900},
        # A process that dies ends all: the whole job is started again and resumes from its state.
        max_restarts=0,
        monitor_interval=0.5,
        # All print to this program's own log; else each run would leave a folder in /tmp.
        logs_specs=DefaultLogsSpecs(log_dir=os.devnull),
    )


def _srun(processes: Processes) -> list[str]:
    """Start one agent on each machine, inside the step that the workflow's plug-in runs in."""
    # Without a word on GPUs a step gets all of its job's, whichever way the job asked for them.
    return [
        "srun", "--overlap", f"--nodes={processes.nodes}", f"--ntasks={processes.nodes}",
        "--ntasks-per-node=1", f"--cpus-per-task={processes.cpus}", "--kill-on-bad-exit",
    ]  # fmt: skip


def _alone_in_slurm_job() -> bool:
    """Whether this is the one task of a SLURM job that has several machines."""
    if "SLURM_JOB_ID" not in os.environ or int(os.environ.get("SLURM_STEP_NUM_NODES", "1")) > 1:
        return False
    # The workflow's plug-in takes most of SLURM's variables away: SLURM itself is asked then.
    nodes = os.environ.get("SLURM_JOB_NUM_NODES") or ask(
        "squeue", "--noheader", "--jobs", os.environ["SLURM_JOB_ID"], "--format", "%D"
    )
    return int(nodes or 1) > 1


def _meeting_point(processes: Processes) -> str:
    if processes.rendezvous:
        return processes.rendezvous
    nodes = os.environ.get("SLURM_JOB_NODELIST")
    if not nodes:
        raise UserError(
            f"--nodes {processes.nodes} outside of a SLURM job needs --rendezvous, the address of "
            f"one of the machines, for instance --rendezvous node1:{PORT}"
        )
    first = ask("scontrol", "show", "hostnames", nodes).split()[0]
    # Two jobs on a machine must not meet each other.
    return f"{_address(first)}:{PORT + int(os.environ['SLURM_JOB_ID']) % 1000}"


def _address(node: str) -> str:
    """Where SLURM itself reaches a node: its name in SLURM need not be known to the network."""
    found = re.search(r"\bNodeAddr=([^\s:]+)(?:\s|$)", ask("scontrol", "show", "node", node))
    return found[1] if found else node


def _exit_code(error: object) -> int:
    # Processes whose peer is gone fail too, with 1 or by a signal: the cause has a code of its own.
    def rank_of_cause(item: tuple) -> tuple:
        return (item[1].exitcode <= 1, item[1].timestamp)

    rank, first = min(error.failures.items(), key=rank_of_cause)
    if first.exitcode != EXIT_INTERRUPTED:
        print(f"process {rank} ended with exit code {first.exitcode}", file=sys.stderr)
    return first.exitcode if first.exitcode > 0 else 1
