"""Processes of a worker by more than their number, which a reboot gives to others."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterable
from pathlib import Path

from robustvit.core.files import read_json, write_json, write_text

PROC = Path("/proc")
MARK = "ROBUSTVIT_TPU_JOB"  # a variable of all processes of a job's command


def record(path: Path, pid: int) -> None:
    """Write a process's number into a file, and what tells it from others into `<path>.json`."""
    write_json(path.with_suffix(".json"), {"boot": _boot(), "began": _began(pid)})
    write_text(path, str(pid))


def recorded(path: Path) -> int | None:
    """The process that `record` was given, if it still lives; never another with its number."""
    try:
        pid, known = int(path.read_text(encoding="utf-8")), read_json(path.with_suffix(".json"))
    except (FileNotFoundError, ValueError):
        return None
    alive = known["boot"] == _boot() and known["began"] is not None
    return pid if alive and known["began"] == _began(pid) else None


def marked(mark: str) -> list[int]:
    """All processes that were started with this mark, and theirs."""
    line, found = f"{MARK}={mark}".encode(), []
    for path in PROC.glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):  # of another user, or gone meanwhile
            if line in path.read_bytes().split(b"\0"):
                found.append(int(path.parent.name))
    return found


def tell(pids: Iterable[int], number: signal.Signals) -> None:
    """Send a signal; processes that are gone, or another user's, are passed over."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)


def _boot() -> str:
    return (PROC / "sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def _began(pid: int) -> int | None:
    """When a process began, in ticks since the boot; None if there is none that runs."""
    try:
        text = (PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = text.rpartition(")")[2].split()  # a program's name may hold blanks
    return None if fields[0] in "ZX" else int(fields[19])
