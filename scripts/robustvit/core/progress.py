"""Progress of one job: a short line in its log and a small file that the display reads."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sys
import time
from pathlib import Path

PROGRESS_VARIABLE = "ROBUSTVIT_PROGRESS"
DEFAULT_FOLDER = ".snakemake/robustvit-progress"


class Progress:
    """Report how far a job is and about how long it still takes.

    Args:
        total: amount of work, in `unit`s.
        unit: what is counted, for instance "images" or "steps".
        label: the job as the user knows it, for instance "train demo_light".
        every: least number of seconds between two lines of the log.
        quiet: report nothing, as one of several processes that do the same.
    """

    def __init__(
        self, total: float, unit: str, label: str, every: float = 10.0, quiet: bool = False
    ) -> None:
        self.quiet = quiet
        self.total, self.unit, self.label, self.every = max(total, 1e-9), unit, label, every
        self.start = self._last_line = time.monotonic()
        self._last_file = 0.0
        self._offset: float | None = None
        self.path = _folder() / f"{socket.gethostname()}-{os.getpid()}.json"

    def update(self, done: float, note: str = "") -> None:
        """Say that `done` units are finished; cheap enough to call at every step.

        The first call fixes where this process started, so a resumed job estimates its remaining
        time from the work done since the resume.
        """
        if self.quiet:
            return
        now = time.monotonic()
        if self._offset is None:
            self._offset = done
        seconds_left = self._seconds_left(done, now)
        if now - self._last_file >= 0.5:
            self._last_file = now
            self._write(done, seconds_left, note)
        if now - self._last_line >= self.every:
            self._last_line = now
            left = "" if seconds_left is None else f", about {format_seconds(seconds_left)} left"
            said = f", {note}" if note else ""
            line = f"{self.label}: {done:g}/{self.total:g} {self.unit}{left}{said}"
            print(line, file=sys.stderr, flush=True)

    def close(self) -> None:
        """Remove the job's progress file."""
        self.path.unlink(missing_ok=True)

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _seconds_left(self, done: float, now: float) -> float | None:
        since = done - (self._offset or 0.0)
        if since <= 0:
            return None
        return (now - self.start) / since * max(self.total - done, 0.0)

    def _write(self, done: float, seconds_left: float | None, note: str) -> None:
        state = {
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "label": self.label,
            "done": done,
            "total": self.total,
            "unit": self.unit,
            "seconds_left": seconds_left,
            "note": note,
            "time": time.time(),
        }
        # A display is never worth a failed job: a read-only or full disk is ignored here.
        with contextlib.suppress(OSError):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            temporary = self.path.with_suffix(".tmp")
            temporary.write_text(json.dumps(state), encoding="utf-8")
            os.replace(temporary, self.path)


def _folder() -> Path:
    return Path(os.environ.get(PROGRESS_VARIABLE, DEFAULT_FOLDER))


def format_seconds(seconds: float) -> str:
    """Write a duration as people say it: `45 s`, `3:05 min`, `2:10 h`."""
    seconds = round(seconds)
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60}:{seconds % 60:02d} min"
    return f"{seconds // 3600}:{seconds % 3600 // 60:02d} h"
