"""The logger plug-in, fed with Snakemake's events."""

from __future__ import annotations

import io
import logging
import sys

import pytest
from display_builders import event
from snakemake.settings.types import OutputSettings
from snakemake_interface_logger_plugins.common import LogEvent

from snakemake_logger_plugin_robustvit.display import LiveDisplay, PlainDisplay, render
from snakemake_logger_plugin_robustvit.handler import LogHandler


def make_handler(monkeypatch, **settings: bool) -> LogHandler:
    """A handler that writes into its own `_stream`, whatever pytest does to sys.stderr."""
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", io.StringIO())
        return LogHandler(OutputSettings(**settings), None)


def text_of(handler: LogHandler) -> str:
    """Everything shown so far."""
    return handler._stream.getvalue()


@pytest.fixture
def handler(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made = make_handler(monkeypatch)
    yield made
    made.close()


def begin(handler, **counts):
    handler.handle(event(LogEvent.RESOURCES_INFO, "Provided cores: 2", cores=2))
    stats = {**counts, "total": sum(counts.values())}
    handler.handle(event(LogEvent.RUN_INFO, "Job stats: …", stats=stats))


def start(handler, number=1, rule="train", **fields):
    values = {
        "jobid": number,
        "rule_name": rule,
        "wildcards": {"experiment": f"e{number}"},
        "threads": 1,
        "output": [f"results/x/{number}"],
        "log": [],
        "shellcmd": f"python train.py {number}",
    }
    handler.handle(event(LogEvent.JOB_INFO, f"Rule: {rule}", **{**values, **fields}))


def test_a_run_shows_its_jobs_and_its_end(handler):
    begin(handler, train=1, all=1)
    start(handler)
    handler.handle(event(LogEvent.JOB_FINISHED, "Finished", job_id=1))
    handler.handle(event(LogEvent.PROGRESS, None, done=1, total=2))
    start(handler, 2, "all", output=[], wildcards={})
    handler.handle(event(LogEvent.JOB_FINISHED, "Finished", job_id=2))
    handler.handle(event(LogEvent.PROGRESS, None, done=2, total=2))
    lines = text_of(handler).splitlines()
    assert lines[0].startswith("2 jobs to do, about ")
    assert lines[1:] == ["✓ [1/2] train e1: 0 s", "Done: 2 jobs in 0 s"]


def test_a_failure_is_told_once(handler, tmp_path):
    (tmp_path / "x.log").write_text("error: the reason\n")
    begin(handler, train=2)
    start(handler, log=["x.log"])
    told = "RuleException:\nCalledProcessError\nCommand 'set -e; python train.py 1' returned 2"
    handler.handle(event(LogEvent.ERROR, told, logging.ERROR, exception="RuleException"))
    handler.handle(event(LogEvent.JOB_ERROR, "Error in rule train", logging.ERROR, jobid=1))
    handler.handle(event(LogEvent.JOB_ERROR, "Error in rule train", logging.ERROR, jobid=1))
    last = "Exiting because a job execution failed. Look below for error messages"
    handler.handle(event(None, last, logging.ERROR))
    text = text_of(handler)
    assert text.count("train e1 failed") == 1
    assert "    error: the reason" in text
    assert "RuleException" not in text and "Look below" not in text
    assert text.splitlines()[-1].startswith("Stopped after 0 s: 0 of 2 jobs done, 1 failed.")


def test_a_second_attempt_is_a_running_job_again(handler):
    begin(handler, train=2)
    start(handler)
    handler.handle(event(LogEvent.JOB_ERROR, "Error", logging.ERROR, jobid=1))
    start(handler)
    snapshot = handler.state.snapshot()
    assert len(snapshot.running) == 1
    assert snapshot.waiting == {"train": 1}


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("Nothing to be done (all requested files are present and up to date).", True),
        ("Congratulations, your workflow is in a good condition!", True),
        ("Unlocked working directory.", True),
        ("Assuming unrestricted shared filesystem usage.", False),
        ("host: abc", False),
    ],
)
def test_messages_outside_of_a_run_are_not_swallowed(handler, message, shown):
    handler.handle(event(None, message))
    assert (message in text_of(handler)) == shown


def test_during_a_run_only_what_matters_is_shown(handler):
    begin(handler, train=1)
    handler.handle(event(None, "Select jobs to execute..."))
    handler.handle(event(None, "Write-protecting output file x."))
    handler.handle(event(None, "Trying to restart job 1."))
    handler.handle(event(None, "a warning", logging.WARNING))
    handler.handle(event(None, "an error", logging.ERROR))
    lines = text_of(handler).splitlines()[1:]
    assert lines == ["Trying to restart job 1.", "a warning", "✗ an error"]


def test_a_broken_display_falls_back_and_says_why(handler, monkeypatch):
    begin(handler, train=1)

    def broken(*_: object) -> None:
        raise ValueError("out of paint")

    monkeypatch.setattr(handler, "_show", broken)
    handler.handle(event(None, "first error", logging.ERROR))
    handler.handle(event(None, "second error", logging.ERROR))
    text = text_of(handler)
    assert text.count("The progress display failed (ValueError: out of paint)") == 1
    assert "first error" in text and "second error" in text


@pytest.mark.parametrize("change", [{"dryrun": True}, {"verbose": True}, {"debug_dag": True}])
def test_dry_and_verbose_runs_keep_snakemakes_own_output(tmp_path, monkeypatch, change):
    monkeypatch.chdir(tmp_path)
    handler = make_handler(monkeypatch, **change)
    handler.handle(event(LogEvent.RUN_INFO, "Job stats:\ntable", stats={"train": 1}))
    handler.close()
    assert "Job stats:\ntable" in text_of(handler)


def test_the_plain_display_repeats_the_status(handler):
    begin(handler, train=1)
    stream = io.StringIO()
    display = PlainDisplay(stream, every=0.01)
    display.begin(handler._status)
    while stream.getvalue().count("… 0/1 jobs") < 2:
        pass
    display.end()
    length = len(stream.getvalue())
    assert len(stream.getvalue()) == length


def test_a_stream_without_utf8_gets_question_marks():
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    PlainDisplay(stream).line("ε", "good")
    assert raw.getvalue() == b"? ?\n"


def test_the_live_panel_fits_a_narrow_terminal(handler):
    from rich.console import Console

    begin(handler, train=2)
    start(handler)
    stream = io.StringIO()
    console = Console(file=stream, width=60, force_terminal=True, color_system=None)
    console.print(render(handler._status()))
    lines = stream.getvalue().splitlines()
    assert "0/2 jobs" in lines[0] and "train e1" in lines[1]
    assert all(len(line) <= 60 for line in lines)


def test_the_live_display_gives_the_cursor_back(handler):
    from rich.console import Console

    begin(handler, train=1)
    stream = io.StringIO()
    display = LiveDisplay(Console(file=stream, width=80, force_terminal=True))
    display.begin(handler._status)
    display.line("[markup] stays as it is", "good")
    display.end()
    assert "[markup] stays as it is" in stream.getvalue()
    assert stream.getvalue().rindex("\x1b[?25h") > stream.getvalue().rindex("\x1b[?25l")


def test_what_a_scheduler_says_of_a_job_is_shown(handler, tmp_path):
    (tmp_path / "own.log").write_text("epoch 3\n")
    (tmp_path / "12.log").write_text("slurmstepd: CANCELLED DUE TO TIME LIMIT\n")
    begin(handler, train=1)
    start(handler, log=["own.log"])
    error = {"jobid": 1, "rule_msg": "SLURM status is: 'TIMEOUT'", "log": ["own.log", "12.log"]}
    handler.handle(event(LogEvent.JOB_ERROR, "Error in rule train", logging.ERROR, **error))
    text = text_of(handler)
    assert "  SLURM status is: 'TIMEOUT'" in text
    assert "DUE TO TIME LIMIT" in text and text.count("epoch 3") == 1


def test_a_group_shows_its_scheduler_log_once(handler, tmp_path):
    (tmp_path / "12.log").write_text("slurmstepd: out of memory\n")
    begin(handler, train=2)
    start(handler, 1)
    start(handler, 2)
    group = {"groupid": "shards", "aux_logs": ["12.log", "gone.log"], "job_error_info": []}
    handler.handle(event(LogEvent.GROUP_ERROR, "Error in group", logging.ERROR, **group))
    for number in (1, 2):
        handler.handle(event(LogEvent.JOB_ERROR, "Error", logging.ERROR, jobid=number))
    text = text_of(handler)
    assert text.count("out of memory") == 1 and "train e2 failed" in text


def test_a_job_that_succeeds_at_last_has_not_failed(handler):
    begin(handler, train=1)
    start(handler)
    handler.handle(event(LogEvent.JOB_ERROR, "Error", logging.ERROR, jobid=1))
    start(handler)
    handler.handle(event(LogEvent.JOB_FINISHED, "Finished", job_id=1))
    handler.handle(event(LogEvent.PROGRESS, None, done=1, total=1))
    assert text_of(handler).splitlines()[-1] == "Done: 1 jobs in 0 s"
