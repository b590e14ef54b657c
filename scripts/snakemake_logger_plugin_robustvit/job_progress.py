"""The progress files that running programs write (see `robustvit.core.progress`)."""

from __future__ import annotations

import contextlib
import json
import os
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from snakemake_logger_plugin_robustvit.basics import DEFAULT_FOLDER, PROGRESS_VARIABLE
from snakemake_logger_plugin_robustvit.run_state import Job

# A program on another host cannot be asked whether it lives; one that is silent for so long is not
# shown any more.
REMOTE_SILENCE_SECONDS = 900.0


@dataclass(frozen=True)
class JobProgress:
    """What one program last said about itself; `time` is in seconds since the epoch."""

    pid: int
    label: str
    done: float
    total: float
    unit: str
    seconds_left: float | None
    note: str
    time: float
    command: tuple[str, ...] = ()

    @property
    def fraction(self) -> float:
        """Finished share of the work, in [0, 1]."""
        return min(max(self.done / self.total, 0.0), 1.0) if self.total > 0 else 0.0

    def left(self, now: float) -> float | None:
        """Seconds left at `now`, or None while the program cannot say."""
        if self.seconds_left is None:
            return None
        return max(self.seconds_left - max(now - self.time, 0.0), 0.0)


def folder() -> Path:
    """Where programs of this run put their progress files."""
    return Path(os.environ.get(PROGRESS_VARIABLE, DEFAULT_FOLDER)).absolute()


def read_all(where: Path, since: float, now: float) -> list[JobProgress]:
    """Read the progress of living programs that reported after `since`."""
    found = [_read(path, now) for path in sorted(where.glob("*.json"))]
    return [state for state in found if state is not None and state.time >= since]


def clear_stale(where: Path, now: float) -> None:
    """Remove what programs left behind that no longer live."""
    for path in where.glob("*.json"):
        if _read(path, now) is None:
            # Someone else may remove it first, and a read-only folder is not worth an error.
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)


def _read(path: Path, now: float) -> JobProgress | None:
    try:
        state = json.loads(path.read_text(encoding="utf-8"))
        pid, host = int(state["pid"]), state.get("host")
        remote = host not in (None, socket.gethostname())
        if not (_recent(state, now) if remote else _alive(pid)):
            return None
        left = state.get("seconds_left")
        return JobProgress(
            pid=pid,
            label=str(state["label"]),
            done=float(state["done"]),
            total=float(state["total"]),
            unit=str(state.get("unit", "")),
            seconds_left=None if left is None else float(left),
            note=str(state.get("note", "")),
            time=float(state["time"]),
            command=() if remote else _command(pid),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _recent(state: dict, now: float) -> bool:
    return now - float(state["time"]) < REMOTE_SILENCE_SECONDS


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _command(pid: int) -> tuple[str, ...]:
    # Only Linux has /proc; elsewhere programs are matched by their labels.
    try:
        raw = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return ()
    return tuple(raw.decode(errors="replace").split("\0"))


def match(jobs: Iterable[Job], states: Iterable[JobProgress]) -> dict[int, JobProgress]:
    """Say which program belongs to which running job.

    A program's command line names the files that its job makes; where it cannot be read, the label
    has to name the job's wildcards. A match that is not unique is left out: no progress is better
    than that of another job.

    Returns:
        Snakemake's number of the job to the newest state of its programs.
    """
    jobs, found = list(jobs), {}
    for state in sorted(states, key=lambda state: state.time):
        candidates = [job for job in jobs if _names_files(job, state)]
        candidates = candidates or [job for job in jobs if _fits_label(job, state)]
        if len(candidates) == 1:
            found[candidates[0].number] = state
    return found


def _names_files(job: Job, state: JobProgress) -> bool:
    return any(path in state.command for path in (*job.outputs, *job.logs))


def _fits_label(job: Job, state: JobProgress) -> bool:
    if not job.wildcards:
        return state.label.split()[0] in job.rule.split("_") if state.label else False
    return all(value in state.label for value in job.wildcards.values())
