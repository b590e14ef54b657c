"""The texts that the display shows."""

from __future__ import annotations

import pytest
from display_builders import make_job, make_progress, make_run

from snakemake_logger_plugin_robustvit import wording
from snakemake_logger_plugin_robustvit.durations import Durations
from snakemake_logger_plugin_robustvit.failures import (
    describe_failure,
    exit_text,
    is_exit_of,
    read_tail,
)


def status_of(run, progress=None, now=110.0):
    return wording.build_status(run, progress or {}, Durations(), now)


def test_a_status_names_jobs_with_their_progress():
    run = make_run({"evaluate_model": 2}, [make_job(1), make_job(2)])
    text = wording.status_text(status_of(run, {1: make_progress(note="loss 0.5")}))
    assert text.startswith("0/4 jobs, 10 s so far, about ")
    assert "pretrain_model e1 50% (5/10 steps, about 20 s left, loss 0.5)" in text
    assert "pretrain_model e2 (10 s so far, about " in text


def test_only_some_of_many_jobs_are_shown():
    run = make_run({}, [make_job(number) for number in range(1, 21)])
    status = status_of(run)
    assert len(status.jobs) == wording.SHOWN_JOBS
    assert "and 12 more" in wording.status_text(status)


def test_shards_are_counted_from_one():
    wildcards = {"experiment": "light", "protocol": "autoattack", "index": "0", "count": "2"}
    job = make_job(rule="evaluate_model", wildcards=wildcards)
    assert job.label == "evaluate_model light autoattack 1/2"


def test_finished_jobs_line_up():
    status = status_of(make_run({"a": 57}, []))
    assert wording.finished_text(make_job(), 65.0, status) == "[ 0/57] pretrain_model e1: 1:05 min"


def test_a_failure_shows_the_end_of_its_log(tmp_path):
    log = tmp_path / "x.log"
    log.write_text("".join(f"line {i}\n" for i in range(40)) + "5%\r100%\nerror: bad\n")
    text = describe_failure(make_job(logs=(str(log),)), 165.0, "exit status 2")
    assert text.startswith("pretrain_model e1 failed after 1:05 min (exit status 2)")
    assert "The last 15 lines of" in text and str(log) in text
    assert "    100%\n    error: bad\n" in text and "5%\r" not in text
    assert "line 20\n" not in text


@pytest.mark.parametrize("content", [None, ""])
def test_a_failure_without_a_log_shows_its_command(tmp_path, content):
    log = tmp_path / "x.log"
    if content is not None:
        log.write_text(content)
    text = describe_failure(make_job(logs=(str(log),), command="python x.py " + "z" * 5000), 1e3)
    assert str(log) in text and "python x.py" in text
    assert len(text) < 1500


def test_only_the_end_of_a_large_log_is_read(tmp_path):
    log = tmp_path / "x.log"
    log.write_bytes(b"\xff" * 300_000 + b"\nend\n")
    lines, cut = read_tail(log)
    assert lines[-1] == "end" and cut


def test_an_interrupted_job_gets_one_line():
    text = describe_failure(make_job(), 110.0, "died with <Signals.SIGINT: 2>")
    assert text == "pretrain_model e1 interrupted after 10 s"


def test_snakemakes_message_about_a_command_is_recognised():
    message = "RuleException:\nCalledProcessError …\nCommand 'set -e;  false' returned {}."
    job = make_job(command="false")
    assert is_exit_of(job, message) and not is_exit_of(make_job(command="true"), message)
    assert exit_text(message.format("non-zero exit status 2")) == "exit status 2"
    assert "memory" in exit_text(message.format("non-zero exit status 137"))


def test_the_last_line_says_how_a_run_ended():
    state_done = make_run({}, [])
    assert wording.outcome_text(state_done, 100.0).startswith("Done: 0 jobs")
    stopped = wording.outcome_text(make_run({"a": 3}, []), 160.0)
    assert stopped.startswith("Stopped after 1:00 min: 0 of 3 jobs done.")
