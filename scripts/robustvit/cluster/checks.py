"""Does a site file fit the cluster? Asked before the first job is submitted."""

from __future__ import annotations

import getpass
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from robustvit.cluster import requests, slurm
from robustvit.cluster.slurm import NoAnswer, Partition
from robustvit.core.errors import UserError, nearest

JOB_PREFIX = "robustvit"  # slurm-jobname-prefix in profiles/slurm/config.yaml
POLLS = 3  # the plug-in wants to look so often before SLURM forgets a finished job


@dataclass(frozen=True)
class Request:
    """What one kind of job asks for.

    Attributes:
        label: what it is, for messages.
        kind: "gpu" or "cpu", as the keys of a site's partitions.
        per_node: GPUs on each node; `key` is the setting that decides it.
        nodes, cpus, memory_mb, minutes: of each node; time limit.
    """

    label: str
    kind: str
    per_node: int = 0
    nodes: int = 1
    cpus: int = 1
    memory_mb: int = requests.MINIMUM_MB
    minutes: int = 60


def config_requests(config: Mapping, site: Mapping) -> list[Request]:
    """The kinds of jobs that a configuration leads to."""
    compute, training = config["compute"], config["compute"]["training"]
    own = compute["memory_mb"]
    gpus = site["gpu"]["request"] != "none"
    share = {"memory_mb": requests.memory(site, 0 if own == "auto" else own)(1)}
    share |= {"minutes": requests.time_limit(site, "gpu", None, 10_000_000)(1)}
    return [
        Request(
            "a training", "gpu", training["processes"] * gpus, training["nodes"],
            compute["threads"] * training["processes"], **share,
        ),
        Request("an evaluation", "gpu", int(gpus), cpus=compute["threads"], **share),
        Request("building a data set", "cpu", minutes=int(site["max_hours"]["cpu"] * 60)),
    ]  # fmt: skip


def check_site(site: Mapping, wanted: Sequence[Request], folder: str) -> None:
    """Look for everything that would keep jobs from running.

    Args:
        site: a loaded site file.
        wanted: kinds of jobs.
        folder: where Snakemake runs.

    Raises:
        UserError: with one line for each problem: the key, the cause, and what the cluster has.
    """
    problems = list(find_problems(site, wanted, folder))
    if problems:
        listed = "\n  ".join(problems)
        raise UserError(
            f"the site file does not fit this cluster; nothing was submitted:\n  {listed}"
        )


def find_problems(site: Mapping, wanted: Sequence[Request], folder: str) -> Iterable[str]:
    """Yield what is wrong, the cause before what follows from it."""
    try:
        known, settings = slurm.partitions(), slurm.settings()
    except NoAnswer as error:
        yield _no_slurm(error)
        return
    found = [*_partition_problems(site, known), *_account_problems(site, settings)]
    yield from found
    if not found:
        yield from _job_problems(site, wanted, known)
    yield from _watching_problems(site, settings)
    yield from _earlier_jobs(folder)


def _no_slurm(error: NoAnswer) -> str:
    if "was not found" in str(error):
        return (
            f"no SLURM on this machine: {error}. Start Snakemake on a login node of the cluster; "
            "on a single machine use another profile, for instance snakemake --profile demo."
        )
    return f"SLURM does not answer: {error}"


def _partition_problems(site: Mapping, known: Mapping[str, Partition]) -> Iterable[str]:
    for kind in ("gpu", "cpu"):
        named, key = site["partitions"][kind], f"partitions.{kind}"
        if named is None and not any(partition.default for partition in known.values()):
            yield f"{key}: null, but the cluster has no default partition. {_list(known)}"
        for name in (named or "").split(",") if named else []:
            if name not in known:
                yield f'{key}: unknown partition "{name}".{nearest(name, known)} {_list(known)}'
            elif not known[name].up:
                yield f"{key}: partition {name} is not up (sinfo -p {name})"


def _list(names: Iterable[str]) -> str:
    return f"Known: {', '.join(sorted(names)) or 'none'}."


def _account_problems(site: Mapping, settings: Mapping[str, str]) -> Iterable[str]:
    user, account = getpass.getuser(), site["account"]
    enforced = "associations" in settings.get("AccountingStorageEnforce", "").lower()
    allowed = slurm.accounts(user)
    if account and allowed is not None and account.lower() not in allowed:
        yield (
            f'account: {user} may not use the account "{account}".{nearest(account, allowed)} '
            f"{_list(allowed)} Ask the site for access if none is known."
        )
    if not account and enforced and not allowed:
        yield (
            f"account: this cluster asks for an account and {user} has none "
            f"(sacctmgr show associations user={user}). Ask the site for access. "
            "Example: account: my-lab"
        )
    qualities = slurm.qualities()
    if site["qos"] and qualities is not None and site["qos"] not in qualities:
        yield (
            f'qos: unknown quality of service "{site["qos"]}".{nearest(site["qos"], qualities)} '
            f"{_list(qualities)}"
        )


def _job_problems(
    site: Mapping, wanted: Sequence[Request], known: Mapping[str, Partition]
) -> Iterable[str]:
    for kind in ("gpu", "cpu"):
        places = _places(site["partitions"][kind], known)
        longest = [place.max_minutes for place in places]
        hours = site["max_hours"][kind]
        if None not in longest and hours * 60 > max(longest):
            yield (
                f"max_hours.{kind}: {hours} is longer than partition "
                f"{'/'.join(place.name for place in places)} allows: {max(longest) / 60:g} h"
            )
    found = []
    for request in wanted:
        places = _places(site["partitions"][request.kind], known)
        found += _node_problems(site, request, places)
    yield from dict.fromkeys(found)
    if not found:
        yield from dict.fromkeys(filter(None, (_refusal(site, request) for request in wanted)))


def _places(named: str | None, known: Mapping[str, Partition]) -> list[Partition]:
    if named is None:
        return [partition for partition in known.values() if partition.default]
    return [known[name] for name in named.split(",")]


def _node_problems(site: Mapping, request: Request, places: list[Partition]) -> Iterable[str]:
    """What no node of the partitions can give."""
    nodes = [node for place in places for node in place.nodes]
    label, gpu = "/".join(place.name for place in places), site["gpu"]
    kinds = sorted({kind for node in nodes for kind in node.gpus if kind})
    most = max((node.gpu_count(gpu["type"]) for node in nodes), default=0)
    if request.per_node and not any(node.gpus for node in nodes):
        yield f"partitions.{request.kind}: no node of partition {label} has GPUs (sinfo -o '%P %G')"
    elif request.per_node and gpu["type"] and not most:
        hint = nearest(gpu["type"], kinds)
        yield f'gpu.type: no node of partition {label} has "{gpu["type"]}".{hint} {_list(kinds)}'
    elif request.per_node > most:
        yield (
            f"compute.training.processes: {request.label} asks for {request.per_node} GPUs on a "
            f"node; nodes of partition {label} have {most} at most"
        )
    if request.nodes > len({node.name for node in nodes}):
        yield (
            f"compute.training.nodes: {request.label} asks for {request.nodes} nodes; partition "
            f"{label} has {len({node.name for node in nodes})}"
        )
    cpus, memory = (max(getattr(node, name) for node in nodes) for name in ("cpus", "memory_mb"))
    if request.cpus > cpus:
        yield (
            f"compute.threads: {request.label} asks for {request.cpus} cores on a node; nodes of "
            f"partition {label} have {cpus} at most"
        )
    if site["max_memory_gb"] * 1000 > memory:
        yield (
            f"max_memory_gb: {site['max_memory_gb']} is more than a node of partition {label} has: "
            f"{memory / 1000:g}"
        )
    if nodes and not any(node.usable for node in nodes):
        yield f"partitions.{request.kind}: all nodes of partition {label} are down or drained"


def _refusal(site: Mapping, request: Request) -> str | None:
    """What SLURM itself says to a job of this kind, without queueing it."""
    command = ["sbatch", "--test-only", "--wrap", "true", *sbatch_options(site, request)]
    try:
        slurm.ask(*command)
    except NoAnswer as error:
        return f"SLURM refuses {request.label}: {error}\n    {' '.join(command)}"
    return None


def sbatch_options(site: Mapping, request: Request) -> list[str]:
    """Options of sbatch for a kind of job, as the plug-in would give them."""
    gpu, kind = site["gpu"]["request"], site["gpu"]["type"]
    found = [f"--nodes={request.nodes}", f"--cpus-per-task={request.cpus}"]
    found += [f"--mem={request.memory_mb}", f"--time={request.minutes}"]
    pairs = {"--account": site["account"], "--partition": site["partitions"][request.kind]}
    pairs |= {name: site[name[2:]] for name in ("--qos", "--reservation", "--constraint")}
    found += [f"{option}={value}" for option, value in pairs.items() if value]
    if request.per_node:
        if gpu == "gres":
            found.append(
                requests.gpu_resources(site, request.per_node)["gres"].join(("--gres=", ""))
            )
        else:
            total = request.per_node * request.nodes
            found.append(f"--gpus={kind}:{total}" if kind else f"--gpus={total}")
    return [*found, *site["extra"].split()]


def _watching_problems(site: Mapping, settings: Mapping[str, str]) -> Iterable[str]:
    poll, age = site["queue"]["poll_seconds"], settings.get("MinJobAge", "").split()
    if age and age[0].isdecimal() and int(age[0]) < POLLS * poll:
        yield (
            f"queue.poll_seconds: {poll}, but SLURM forgets a finished job after {age[0]} s "
            f"(MinJobAge), so its end might be missed. Largest value here: {int(age[0]) // POLLS}"
        )


def _earlier_jobs(folder: str) -> Iterable[str]:
    if jobs := slurm.jobs_in(os.path.realpath(folder), getpass.getuser(), JOB_PREFIX):
        listed = " ".join(jobs[:20])
        yield (
            f"{len(jobs)} jobs of an earlier run in this folder are still in the queue and would "
            f"be submitted a second time. Wait for them, or: scancel {listed}"
        )
