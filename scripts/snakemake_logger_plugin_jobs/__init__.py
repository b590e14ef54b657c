"""`snakemake -n --logger jobs`: the jobs of a dry run as JSON lines, for programs.

The lines go to the file that the variable ROBUSTVIT_JOBS_FILE names, one a job: its rule,
wildcards, inputs and outputs, as Snakemake's own events have them. `scripts/plan_run.py` reads
them.
"""

from __future__ import annotations

import json
import logging
import os

from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent

VARIABLE = "ROBUSTVIT_JOBS_FILE"


class LogHandler(LogHandlerBase):
    """Writes the event of each planned job; what is an error goes to stderr."""

    def __post_init__(self) -> None:
        """Nothing is opened before the first job."""
        self._lines = None

    def emit(self, record: logging.LogRecord) -> None:
        """Write a job, or show an error."""
        if getattr(record, "event", None) == LogEvent.JOB_INFO:
            self._write(record)
        elif record.levelno >= logging.ERROR:
            os.write(2, f"{record.getMessage()}\n".encode())

    def _write(self, record: logging.LogRecord) -> None:
        if self._lines is None:
            self._lines = open(os.environ[VARIABLE], "w", encoding="utf-8")  # noqa: SIM115
        job = {
            "rule": record.rule_name,
            "wildcards": dict(record.wildcards or {}),
            "input": list(record.input or ()),
            "output": list(record.output or ()),
        }
        self._lines.write(json.dumps(job) + "\n")
        self._lines.flush()

    def close(self) -> None:
        """Close the file; Snakemake calls this more than once."""
        if self._lines is not None:
            self._lines.close()
            self._lines = None
        super().close()

    @property
    def writes_to_stream(self) -> bool:
        """Errors go to the terminal."""
        return True

    @property
    def writes_to_file(self) -> bool:
        """The file of jobs is no log of Snakemake's."""
        return False

    @property
    def has_filter(self) -> bool:
        """What is written is decided here."""
        return True

    @property
    def has_formatter(self) -> bool:
        """How it is written is decided here."""
        return True

    @property
    def needs_rulegraph(self) -> bool:
        """The rule graph is not used."""
        return False
