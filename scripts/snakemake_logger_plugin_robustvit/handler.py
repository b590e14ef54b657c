"""Snakemake's messages in, the display out."""

from __future__ import annotations

import atexit
import logging
import os
import re
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent

from snakemake_logger_plugin_robustvit import job_progress
from snakemake_logger_plugin_robustvit.durations import LEARNED, Durations
from snakemake_logger_plugin_robustvit.failures import (
    describe_failure,
    exit_text,
    is_exit_of,
    read_tail,
)
from snakemake_logger_plugin_robustvit.run_state import Job, RunState
from snakemake_logger_plugin_robustvit.wording import (
    Status,
    beginning_text,
    build_status,
    finished_text,
    outcome_text,
)

if TYPE_CHECKING:
    from snakemake_logger_plugin_robustvit.display import Display

# Messages before and after a run that tell its user nothing; they are in Snakemake's own log.
NOISE = re.compile(
    r"Assuming unrestricted|host: |Using shell: |Provided |Rules claiming|Select jobs|"
    r"Elapsed time|Conda environments: ignored|Singularity containers: ignored|Group jobs: inactive"
)
# The few messages of a run in progress that its user has to see.
IMPORTANT = re.compile(
    r"Nothing to be done|Complete log|Trying to restart|Terminating processes|Will exit after"
)
# What Snakemake says at the end about failures that have been shown, each with the end of its log.
LAST_WORDS = re.compile(r"Exiting because a job execution failed|WorkflowError:\s+At least one job")


class LogHandler(LogHandlerBase):
    """The logger plug-in; Snakemake calls `emit` from one thread of its own."""

    def __post_init__(self) -> None:
        """Set up the fallback at once; the display is made when a run begins."""
        self.state, self.durations = RunState(), Durations()
        self.display: Display | None = None
        self._stream = sys.stdout if self.common_settings.stdout else sys.stderr
        self._fallback = self._snakemake_handler()
        # A dry run, a verbose one and a quiet one are Snakemake's own business.
        self._passive = self._wants_snakemake_output()
        self._running = False
        self._folder = Path()
        self._exits: dict[int, str] = {}
        atexit.register(self._end_display)

    def _wants_snakemake_output(self) -> bool:
        settings = self.common_settings
        quiet = {str(getattr(q, "name", q)).lower() for q in settings.quiet or ()}
        loud = settings.dryrun or settings.verbose or settings.debug_dag
        return bool(loud or quiet & {"all", "progress"})

    def _snakemake_handler(self) -> logging.Handler:
        # Imported here: this module is loaded while Snakemake itself is still being imported.
        from snakemake import logging as snakemake_logging

        settings = self.common_settings
        return snakemake_logging.ColorizingTextHandler(
            nocolor=settings.nocolor,
            stream=self._stream,
            filter=snakemake_logging.DefaultFilter(
                settings.quiet,
                settings.debug_dag,
                settings.verbose,
                settings.dryrun,
                settings.printshellcmds,
            ),
            formatter=snakemake_logging.DefaultFormatter(settings.quiet, settings.show_failed_logs),
        )

    def emit(self, record: logging.LogRecord) -> None:
        """Show a message or follow an event; a fault of the display never stops the run."""
        if not self._passive:
            try:
                self._route(record)
                return
            except Exception as error:  # noqa: BLE001 - the boundary: the run must go on
                self._give_up(error)
        self._fallback.handle(record)

    def _give_up(self, error: Exception) -> None:
        self._passive = True
        reason = f"The progress display failed ({type(error).__name__}: {error})"
        message = f"{reason}; plain messages follow. The run itself is not affected."
        record = logging.LogRecord("robustvit", logging.WARNING, "", 0, message, None, None)
        self._fallback.handle(record)
        try:
            self._end_display()
        except Exception:  # noqa: BLE001 - it is broken already, and its reason has been told
            self.display = None

    def _route(self, record: logging.LogRecord) -> None:
        event = getattr(record, "event", None)
        actions = {
            LogEvent.RESOURCES_INFO: self._on_resources,
            LogEvent.RUN_INFO: self._on_run,
            LogEvent.JOB_INFO: self._on_job,
            LogEvent.JOB_FINISHED: self._on_finished,
            LogEvent.JOB_ERROR: self._on_error,
            LogEvent.GROUP_ERROR: self._on_group_error,
            LogEvent.PROGRESS: self._on_progress,
            LogEvent.SHELLCMD: self._on_command,
            LogEvent.ERROR: self._on_message,
            None: self._on_message,
        }
        action = actions.get(event)
        if action is not None:
            action(record)

    def _on_resources(self, record: logging.LogRecord) -> None:
        self.state.resources(getattr(record, "cores", None), getattr(record, "nodes", None))

    def _on_run(self, record: logging.LogRecord) -> None:
        # Not before now: Snakemake has changed to the run's working directory.
        self.durations = Durations(learned=Path(LEARNED).absolute())
        self._folder = job_progress.folder()
        job_progress.clear_stale(self._folder, time.time())
        self.state.begin(record.stats, record.created)
        self._running = True
        self._show(beginning_text(self._status()))
        self._make_display().begin(self._status)

    def _on_job(self, record: logging.LogRecord) -> None:
        self.state.start(Job.from_record(record))

    def _on_finished(self, record: logging.LogRecord) -> None:
        job = self.state.finish(record.job_id)
        if job is None:
            return
        seconds = max(record.created - job.started, 0.0)
        self.durations.learn(job, seconds)
        if job.outputs:  # a target such as "all" makes nothing and is no news
            self._show(finished_text(job, seconds, self._status()), "good")

    def _on_progress(self, record: logging.LogRecord) -> None:
        self.state.progress(record.done, record.total)
        if record.done >= record.total:
            self._finish_run()

    def _on_error(self, record: logging.LogRecord) -> None:
        job = self.state.fail(record.jobid)
        if job is not None:
            ending = self._exits.get(job.number, "")
            message = getattr(record, "rule_msg", None) or ""
            logs = [path for path in getattr(record, "log", None) or [] if Path(path).is_file()]
            self._show(describe_failure(job, record.created, ending, message, logs), "bad")

    def _on_group_error(self, record: logging.LogRecord) -> None:
        """Show what a scheduler says of jobs that it ran as one; their own errors follow."""
        for path in getattr(record, "aux_logs", None) or []:
            if Path(path).is_file():
                tail, _ = read_tail(Path(path))
                self._show("\n".join([f"The end of {path}:", *(f"  {row}" for row in tail)]), "bad")

    def _on_command(self, record: logging.LogRecord) -> None:
        command = getattr(record, "shellcmd", None) or getattr(record, "cmd", None)
        if self.common_settings.printshellcmds and command:
            self._show(str(command))

    def _on_message(self, record: logging.LogRecord) -> None:
        text = str(record.msg or "").strip()
        if not text or text == "None":
            return
        if record.levelno >= logging.ERROR:
            self._on_problem(text)
        elif record.levelno >= logging.WARNING:
            self._show(text, "warning")
        elif IMPORTANT.match(text) if self._running else not NOISE.match(text):
            self._show(text)

    def _on_problem(self, text: str) -> None:
        run = self.state.snapshot()
        stopped = next((job for job in run.running if is_exit_of(job, text)), None)
        if stopped is not None:
            # Snakemake's error about the job itself follows: it is shown then, with this in it.
            self._exits[stopped.number] = exit_text(text)
        elif run.failed and LAST_WORDS.match(text):
            self._finish_run()
        else:
            self._show(text, "bad")

    def _show(self, text: str, kind: str = "") -> None:
        self._make_display().line(text, kind)

    def _make_display(self) -> Display:
        # Imported here: Snakemake loads this module at every start, also without a run.
        from snakemake_logger_plugin_robustvit.display import choose_display

        if self.display is None:
            terminal = self._stream.isatty() and os.environ.get("TERM") != "dumb"
            nocolor = bool(self.common_settings.nocolor)
            self.display = choose_display(self._stream, nocolor=nocolor, terminal=terminal)
        return self.display

    def _status(self) -> Status:
        run, now = self.state.snapshot(), time.time()
        states = job_progress.read_all(self._folder, since=run.started, now=now)
        progress = job_progress.match(run.running, states)
        return build_status(run, progress, self.durations, now)

    def _finish_run(self) -> None:
        """Show how the run ended; only the first call of a run counts."""
        if not self._running:
            return
        self._running = False
        self._end_display()
        self._show(outcome_text(self.state.snapshot(), time.time()))
        self.durations.save()

    def _end_display(self) -> None:
        if self.display is not None:
            self.display.end()

    def close(self) -> None:
        """End the display and keep what was measured; Snakemake calls this more than once."""
        try:
            if not self._passive:
                self._finish_run()
        except Exception as error:  # noqa: BLE001 - the run is over; only its measurements are lost
            self._give_up(error)
        atexit.unregister(self._end_display)
        super().close()

    @property
    def writes_to_stream(self) -> bool:
        """This logger takes the place of Snakemake's own on the terminal."""
        return True

    @property
    def writes_to_file(self) -> bool:
        """Snakemake's own log file stays as it is."""
        return False

    @property
    def has_filter(self) -> bool:
        """What is shown is decided here."""
        return True

    @property
    def has_formatter(self) -> bool:
        """How it is shown is decided here."""
        return True

    @property
    def needs_rulegraph(self) -> bool:
        """The rule graph is not used."""
        return False
