"""Asking a SLURM what it has: partitions, nodes, accounts, jobs."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field

from robustvit.core.errors import UserError

SECONDS = 60
UNLIMITED = ("UNLIMITED", "INFINITE", "infinite", "N/A")
GPU = re.compile(r"gpu(?::(?P<type>[A-Za-z][^:(,]*))?(?::(?P<count>\d+))?(?=[(,]|$)")


class NoAnswer(UserError):
    """A SLURM command is missing or failed."""


def ask(*command: str) -> str:
    """What a SLURM command prints.

    Raises:
        NoAnswer: if it is not installed, fails, or takes longer than a minute.
    """
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)
    except FileNotFoundError as error:
        raise NoAnswer(f"{command[0]} was not found") from error
    except subprocess.TimeoutExpired as error:
        raise NoAnswer(f"{command[0]} has not answered for {SECONDS} s") from error
    if done.returncode:
        raise NoAnswer(f"{command[0]}: {(done.stderr or done.stdout).strip()}")
    return done.stdout.strip()


@dataclass(frozen=True)
class Node:
    """A node as `sinfo` tells of it.

    Attributes:
        name, state: as SLURM writes them.
        gpus: number of GPUs by kind; the kind is "" where the cluster names none.
        cpus, memory_mb: what it has in all.
        features: what a constraint may ask for.
    """

    name: str
    state: str
    gpus: dict[str, int]
    cpus: int
    memory_mb: int
    features: tuple[str, ...] = ()

    @property
    def usable(self) -> bool:
        """Whether jobs may start on it sooner or later."""
        return not re.match(r"down|drain|drng|fail|unk|inval", self.state)

    def gpu_count(self, kind: str | None) -> int:
        """GPUs of a kind, or of all kinds."""
        return self.gpus.get(kind, 0) if kind else sum(self.gpus.values())


@dataclass(frozen=True)
class Partition:
    """A partition with its nodes; `max_minutes` is None where there is no limit."""

    name: str
    default: bool
    up: bool
    max_minutes: float | None
    nodes: list[Node] = field(default_factory=list)


def partitions() -> dict[str, Partition]:
    """All partitions that this user sees, by name."""
    found: dict[str, Partition] = {}
    # The first column carries a * behind the default partition's name.
    listing = ask("sinfo", "--noheader", "--Node", "--format", "%P|%a|%l|%N|%T|%G|%c|%m|%f")
    for line in filter(None, listing.splitlines()):
        label, up, limit, node, state, gres, cpus, memory, features = line.split("|")
        name = label.rstrip("*")
        partition = found.setdefault(
            name, Partition(name, label.endswith("*"), up == "up", read_minutes(limit))
        )
        partition.nodes.append(
            Node(
                node,
                state.rstrip("*~#!%$@^-+").lower(),
                read_gpus(gres),
                int(cpus.rstrip("+")),
                int(memory.rstrip("+")),
                tuple(re.split(r"[,&|]", features.replace("(null)", ""))),
            )
        )
    return found


def read_gpus(gres: str) -> dict[str, int]:
    """Numbers of GPUs by kind in a list such as "gpu:a100:4(S:0-1),gpu:t4:2,shard:8"."""
    found: dict[str, int] = {}
    for part in re.split(r",(?![^(]*\))", gres):
        if match := GPU.match(part):
            kind = match["type"] or ""
            found[kind] = found.get(kind, 0) + int(match["count"] or 1)
    return found


def read_minutes(limit: str) -> float | None:
    """Minutes of "days-hours:minutes:seconds" or a shorter form; None for no limit."""
    if limit in UNLIMITED:
        return None
    days, _, rest = limit.rpartition("-")
    parts = [int(part) for part in rest.split(":")]
    if days:
        hours, minutes, seconds = (*parts, 0, 0)[:3]
        return int(days) * 1440 + hours * 60 + minutes + seconds / 60
    if len(parts) == 3:
        return parts[0] * 60 + parts[1] + parts[2] / 60
    return parts[0] + (parts[1] / 60 if len(parts) == 2 else 0)


def settings() -> dict[str, str]:
    """The controller's configuration."""
    rows = (line.partition("=") for line in ask("scontrol", "show", "config").splitlines())
    return {key.strip(): value.strip() for key, sign, value in rows if sign}


def accounts(user: str) -> list[str] | None:
    """Accounts that a user may charge; None where the cluster keeps none."""
    command = ("sacctmgr", "--noheader", "--parsable2", "show", "associations")
    try:
        listed = ask(*command, f"user={user}", "format=account")
    except NoAnswer:
        return None
    return sorted(set(filter(None, listed.splitlines())))


def qualities() -> list[str] | None:
    """Names for `--qos`; None where the cluster keeps none."""
    try:
        listed = ask("sacctmgr", "--noheader", "--parsable2", "show", "qos", "format=name")
    except NoAnswer:
        return None
    return sorted(filter(None, listed.splitlines()))


def jobs_in(folder: str, user: str, prefix: str) -> list[str]:
    """Ids of a user's jobs in the queue whose working directory is `folder`."""
    listed = ask("squeue", "--noheader", "--user", user, "--format", "%i|%j|%Z")
    rows: list[Sequence[str]] = [line.split("|", 2) for line in filter(None, listed.splitlines())]
    return [job for job, name, place in rows if place == folder and name.startswith(prefix)]
