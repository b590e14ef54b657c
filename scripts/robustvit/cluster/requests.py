"""What a job asks SLURM for, as Snakemake's resources."""

from __future__ import annotations

from collections.abc import Callable, Mapping

MINIMUM_MB = 2000  # Python with torch, and two Snakemakes around it
UNKNOWN_MB = 16_000  # of a job without an estimate


def gpu_resources(site: Mapping, per_node: int = 1, nodes: int = 1) -> dict[str, int | str]:
    """GPUs as a site wants them asked for: `gpus` in total, or `gres` on each node."""
    gpu, kind = site["gpu"], site["gpu"]["type"]
    if gpu["request"] == "none":
        return {}
    if gpu["request"] == "gres":
        # `gpu` would ask a second time; the plug-in sees a GPU job by the word in `gres`.
        return {"gres": f"gpu:{kind}:{per_node}" if kind else f"gpu:{per_node}"}
    found: dict[str, int | str] = {"gpu": per_node * nodes}
    return found | ({"gpu_model": kind} if kind else {})


def gpu_partition(site: Mapping) -> dict[str, str]:
    """The partition of jobs that use a GPU."""
    name = site["partitions"]["gpu"]
    return {"slurm_partition": name} if name else {}


def extra_options(site: Mapping, training: bool = False, per_node: int = 1, nodes: int = 1) -> str:
    """Options of sbatch that the plug-in has no resource for.

    A job that is queued again continues its log. A training is told to save before its time is
    over; SIGTERM, since that is what the Snakemake around it waits for the training on.
    """
    found = ["--open-mode=append"]
    if training:
        found.append(f"--signal=TERM@{site['training']['warn_seconds']}")
    if training and nodes > 1 and site["gpu"]["request"] == "gpus":
        found.append(f"--gpus-per-node={per_node}")
    return " ".join([*found, site["extra"]]).strip()


def several_nodes(nodes: int) -> dict[str, int | str]:
    """Resources of a training on several machines: it starts one task on each by itself.

    `mpi` is the plug-in's word for a job that calls `srun` itself.
    """
    if nodes == 1:
        return {}
    return {"mpi": "srun", "nodes": nodes, "tasks": nodes, "tasks_per_gpu": 0}


def time_limit(
    site: Mapping, partition: str, wanted: int | None, default: int, shares: int = 1
) -> Callable[[int], int]:
    """The time limit in minutes by attempt: a retry gets more, never more than the site allows.

    Of `shares` jobs that follow each other in one SLURM job, each gets its share at most.
    """
    most = max(int(site["max_hours"][partition] * 60 / shares), 1)
    return lambda attempt: min((wanted or default) * attempt, most)


def memory(site: Mapping, wanted: int) -> Callable[[int], int]:
    """The memory in MB by attempt: a retry asks for as much again, if a node has that much."""
    most = int(site["max_memory_gb"] * 1000)
    return lambda attempt: min(max(wanted, MINIMUM_MB) * attempt, most)
