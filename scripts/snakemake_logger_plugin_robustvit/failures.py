"""What the user reads when a job fails: the rule, the end of its log and where the rest is."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from snakemake_logger_plugin_robustvit.basics import format_seconds
from snakemake_logger_plugin_robustvit.run_state import Job

LOG_LINES = 15
# Only the end of a log is read: one with a line per step may be large.
LOG_BYTES = 64 * 1024
COMMAND_CHARACTERS = 600
KILLED = {"137", "9"}


def is_exit_of(job: Job, text: str) -> bool:
    """Whether an error message of Snakemake only says that this job's command failed."""
    return "CalledProcessError" in text and bool(job.command) and job.command.strip() in text


def exit_text(text: str) -> str:
    """How the command ended, from Snakemake's message, for instance "exit status 2"."""
    found = re.search(r"exit status (\d+)|died with (<Signals\.\w+: \d+>)", text)
    if found is None:
        return ""
    if found[1] in KILLED or "SIGKILL" in found[0]:
        return f"{found[0]}: killed from outside, often because the memory ran out"
    return found[0]


def describe_failure(
    job: Job, now: float, ending: str = "", message: str = "", more_logs: Sequence[str] = ()
) -> str:
    """Return the text about a failed job, several lines long.

    A job that the user interrupted gets one line: its log ends in nothing worth reading.

    Args:
        job: the job.
        now: seconds since the epoch.
        ending: from `exit_text`.
        message: what the executor says of its end, for instance that its time limit came.
        more_logs: beside its own, for instance a scheduler's.
    """
    if "SIGINT" in ending or ending.endswith("status 130"):
        return f"{job.label} interrupted after {format_seconds(now - job.started)}"
    how = f" ({ending})" if ending else ""
    lines = [f"{job.label} failed after {format_seconds(now - job.started)}{how}"]
    lines += [f"  {line.strip()}" for line in message.splitlines() if line.strip()]
    logs = [Path(path) for path in dict.fromkeys([*job.logs, *more_logs])]
    for log in logs:
        lines += _log_lines(log)
    if not any(_has_text(log) for log in logs) and job.command:
        lines += ["  Its command was:", f"    {_shorten(job.command.strip())}"]
    if job.outputs:
        lines.append(f"  To try this job alone: snakemake --cores 1 {job.outputs[0]}")
    return "\n".join(lines)


def _log_lines(log: Path) -> list[str]:
    try:
        tail, cut = read_tail(log)
    except OSError as error:
        return [f"  Its log {log} cannot be read: {error.strerror or error}"]
    if not tail:
        return [f"  Its log {log} is empty."]
    what = f"The last {len(tail)} lines" if cut else "All"
    return [f"  {what} of {log}:", *(f"    {line}" for line in tail)]


def read_tail(path: Path, lines: int = LOG_LINES) -> tuple[list[str], bool]:
    """Return the last lines of a text file, and whether there are earlier ones.

    Raises:
        OSError: if the file cannot be read.
    """
    with open(path, "rb") as handle:
        size = handle.seek(0, 2)
        handle.seek(max(size - LOG_BYTES, 0))
        # A progress bar overwrites its line with \r: only what it wrote last counts.
        rows = handle.read().decode(errors="replace").rstrip().split("\n")
    rows = [row.rstrip("\r").rsplit("\r", 1)[-1] for row in rows]
    rows = [] if rows == [""] else rows
    return rows[-lines:], len(rows) > lines or size > LOG_BYTES


def _has_text(path: Path) -> bool:
    try:
        return path.stat().st_size > 0
    except OSError:
        return False


def _shorten(text: str) -> str:
    if len(text) <= COMMAND_CHARACTERS:
        return text
    return f"{text[:COMMAND_CHARACTERS]} … ({len(text)} characters)"
