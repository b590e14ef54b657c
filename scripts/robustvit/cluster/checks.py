"""Does a site file fit the cluster? Asked before the first job is submitted."""

from __future__ import annotations

import getpass
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from robustvit.cluster import requests, slurm
from robustvit.cluster.slurm import NoAnswer, Node, Partition
from robustvit.core.errors import UserError, nearest

JOB_PREFIX = "robustvit"  # slurm-jobname-prefix in profiles/slurm/config.yaml
POLLS = 3  # the plug-in wants to look so often before SLURM forgets a finished job
# What sbatch --test-only says of a job that waits for nodes, and of one that never starts.
AWAY = re.compile(r"not available", re.IGNORECASE)


class Delay(str):
    """A finding that lets jobs wait, but not for ever."""

    __slots__ = ()


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


def check_site(site: Mapping, wanted: Sequence[Request], folder: str) -> list[str]:
    """Look for everything that would keep jobs from running.

    Args:
        site: a loaded site file.
        wanted: kinds of jobs.
        folder: where Snakemake runs.

    Returns:
        Warnings: what jobs will have to wait for, for instance nodes that are drained.

    Raises:
        UserError: with one line for each problem: the key, the cause, and what the cluster has.
    """
    found = list(find_problems(site, wanted, folder))
    problems = [text for text in found if not isinstance(text, Delay)]
    if problems:
        listed = "\n  ".join(problems)
        raise UserError(
            f"the site file does not fit this cluster; nothing was submitted:\n  {listed}"
        )
    return found


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
        found += list(_node_problems(site, request, places)) or _number_problems(
            site, request, places
        )
    yield from dict.fromkeys(found)
    if not found:
        for request in wanted:
            yield from _refusal(site, request, _places(site["partitions"][request.kind], known))


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


def _fitting(site: Mapping, request: Request, places: Iterable[Partition]) -> dict[str, Node]:
    """Nodes that could give what a job asks of each of its nodes, were they idle."""
    wanted = site["constraint"]
    return {
        node.name: node
        for place in places
        for node in place.nodes
        if node.gpu_count(site["gpu"]["type"]) >= request.per_node
        and node.cpus >= request.cpus
        and node.memory_mb >= request.memory_mb
        # Anything but the name of one feature is left to sbatch.
        and (not wanted or not wanted.isidentifier() or wanted in node.features)
    }


def _number_problems(site: Mapping, request: Request, places: list[Partition]) -> Iterable[str]:
    """Too few nodes that can give it."""
    fitting, wanted = _fitting(site, request, places), site["constraint"]
    if len(fitting) >= request.nodes:
        return
    label = "/".join(place.name for place in places)
    features = {name for place in places for node in place.nodes for name in node.features}
    if wanted and wanted.isidentifier() and wanted not in features:
        hint = nearest(wanted, features)
        yield f'constraint: no node of partition {label} has "{wanted}".{hint} {_list(features)}'
        return
    each = [f"{request.per_node} GPUs"] if request.per_node else []
    each += [f"{request.cpus} cores", f"{request.memory_mb / 1000:g} GB"]
    key = "compute.training.nodes" if request.nodes > 1 else f"partitions.{request.kind}"
    yield (
        f"{key}: {request.label} asks for {request.nodes} nodes with {', '.join(each)} each; "
        f"partition {label} has {len(fitting)} such nodes"
    )


def _refusal(site: Mapping, request: Request, places: list[Partition]) -> Iterable[str]:
    """What SLURM itself says to a job of this kind, without queueing it."""
    command = ["sbatch", "--test-only", "--wrap", "true", *sbatch_options(site, request)]
    try:
        slurm.ask(*command)
    except NoAnswer as error:
        fitting = _fitting(site, request, places)
        gone = sorted(name for name, node in fitting.items() if not node.usable)
        left = len(fitting) - len(gone)
        if AWAY.search(str(error)) and left < request.nodes:
            yield Delay(
                f"{request.label} has to wait for nodes that are down or drained: "
                f"{', '.join(gone)} (sinfo -R); {left} of the {request.nodes} that it needs are up"
            )
        else:
            yield f"SLURM refuses {request.label}: {error}\n    {' '.join(command)}"


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
