"""Reading the progress files of programs and finding the job that each belongs to."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

import pytest
from display_builders import make_job, make_progress

from robustvit.core.progress import Progress
from snakemake_logger_plugin_robustvit import job_progress


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("ROBUSTVIT_PROGRESS", str(tmp_path))
    return job_progress.folder()


def write(folder, name="1.json", **changes):
    state = {"pid": os.getpid(), "label": "train x", "done": 1, "total": 4, "time": time.time()}
    (folder / name).write_text(json.dumps({**state, **changes}))


def test_what_a_program_reports_is_read(folder):
    with Progress(8, "steps", "train x") as progress:
        progress.update(0)
        progress._last_file = 0.0
        progress.update(2, note="loss 1.0")
        (state,) = job_progress.read_all(folder, since=0.0, now=time.time())
    assert (state.label, state.unit, state.note) == ("train x", "steps", "loss 1.0")
    assert state.fraction == 0.25
    assert state.left(time.time()) is not None
    assert sys.executable.rsplit("/", 1)[-1] in " ".join(state.command) or not state.command
    assert job_progress.read_all(folder, since=0.0, now=time.time()) == []


def test_files_of_dead_programs_are_ignored_and_removed(folder):
    dead = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], text=True,
                          capture_output=True, check=True).stdout  # fmt: skip
    write(folder, "dead.json", pid=int(dead))
    write(folder, "alive.json")
    assert len(job_progress.read_all(folder, since=0.0, now=time.time())) == 1
    job_progress.clear_stale(folder, time.time())
    assert [path.name for path in folder.glob("*.json")] == ["alive.json"]


def test_reports_from_before_the_run_are_ignored(folder):
    write(folder, time=50.0)
    assert job_progress.read_all(folder, since=100.0, now=time.time()) == []


def test_a_program_on_another_host_counts_while_it_speaks(folder):
    now = time.time()
    write(folder, "near.json", host="elsewhere", pid=1, time=now - 10)
    write(folder, "gone.json", host="elsewhere", pid=1, time=now - 10_000)
    assert len(job_progress.read_all(folder, since=0.0, now=now)) == 1


@pytest.mark.parametrize("text", ["", "[]", "{", '{"pid": "x"}', '{"pid": 1}', "null"])
def test_damaged_files_are_ignored(folder, text):
    (folder / "1.json").write_text(text)
    assert job_progress.read_all(folder, since=0.0, now=time.time()) == []


def test_a_missing_folder_is_empty(tmp_path):
    assert job_progress.read_all(tmp_path / "none", since=0.0, now=0.0) == []


def test_the_command_line_tells_the_job():
    jobs = [make_job(1), make_job(2)]
    state = make_progress("whatever", command=("python", "x.py", "--output", jobs[1].outputs[0]))
    assert job_progress.match(jobs, [state]) == {2: state}


def test_without_a_command_line_the_label_tells_the_job():
    jobs = [make_job(1), make_job(2)]
    state = make_progress("train e2")
    assert job_progress.match(jobs, [state]) == {2: state}


def test_a_match_that_is_not_unique_is_left_out():
    jobs = [make_job(1), make_job(2, wildcards={"experiment": "e1"})]
    assert job_progress.match(jobs, [make_progress("train e1")]) == {}
    assert job_progress.match(jobs, [make_progress("")]) == {}


def test_the_newest_report_of_a_job_wins():
    old, new = make_progress(time=110.0), make_progress(time=120.0)
    assert job_progress.match([make_job(1)], [new, old]) == {1: new}
