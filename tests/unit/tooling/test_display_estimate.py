"""The time left of jobs and of whole runs."""

from __future__ import annotations

import json

import pytest
from display_builders import make_job, make_progress, make_run
from hypothesis import given
from hypothesis import strategies as st

from snakemake_logger_plugin_robustvit.durations import Durations
from snakemake_logger_plugin_robustvit.estimate import job_seconds_left, run_seconds_left


@pytest.fixture
def durations(tmp_path):
    rules = {
        "pretrain_model": {"seconds": 60},
        "evaluate_model": {"seconds": 20},
        "wide": {"seconds": 10, "threads": 2},
    }
    path = tmp_path / "seconds.json"
    path.write_text(json.dumps({"rules": rules}))
    return Durations(path)


def test_a_jobs_own_word_counts_and_ages(durations):
    assert job_seconds_left(make_job(), make_progress(), durations, now=115.0) == 15.0
    assert job_seconds_left(make_job(), make_progress(), durations, now=999.0) == 0.0


def test_without_a_word_the_expected_time_counts(durations):
    assert job_seconds_left(make_job(), None, durations, now=110.0) == 50.0
    silent = make_progress(seconds_left=None)
    assert job_seconds_left(make_job(), silent, durations, now=110.0) == 50.0


def test_a_job_over_its_time_never_has_nothing_left(durations):
    assert job_seconds_left(make_job(), None, durations, now=200.0) == pytest.approx(10.0)


def test_the_work_is_shared_by_the_cores(durations):
    run = make_run({"evaluate_model": 4}, [], cores=2)
    assert run_seconds_left(run, {}, durations, now=100.0) == 40.0


def test_a_wide_job_takes_both_cores_and_no_more(durations):
    assert run_seconds_left(make_run({"wide": 3}, [], cores=2), {}, durations, 100.0) == 30.0
    assert run_seconds_left(make_run({"wide": 3}, [], cores=1), {}, durations, 100.0) == 30.0


def test_no_run_ends_before_its_longest_job(durations):
    run = make_run({}, [make_job(1)], cores=16)
    assert run_seconds_left(run, {}, durations, now=100.0) == 60.0


def test_running_and_waiting_jobs_add_up(durations):
    run = make_run({"evaluate_model": 1}, [make_job(1), make_job(2)], cores=2)
    progress = {1: make_progress(seconds_left=10.0), 2: make_progress(seconds_left=30.0)}
    assert run_seconds_left(run, progress, durations, now=110.0) == 30.0
    run = make_run({"evaluate_model": 4}, [make_job(1), make_job(2)], cores=2)
    assert run_seconds_left(run, progress, durations, now=110.0) == 60.0


def test_on_a_cluster_every_job_has_its_own_node(durations):
    run = make_run({"evaluate_model": 4}, [], cores=1, nodes=2)
    assert run_seconds_left(run, {}, durations, now=100.0) == 40.0
    run = make_run({"evaluate_model": 4}, [], cores=1, nodes=10**9)
    assert run_seconds_left(run, {}, durations, now=100.0) == 20.0


@given(
    waiting=st.dictionaries(st.sampled_from(["a", "b", "pretrain_model"]), st.integers(0, 50)),
    cores=st.integers(1, 64),
    elapsed=st.floats(0, 1e5),
    left=st.one_of(st.none(), st.floats(0, 1e6)),
)
def test_estimates_are_finite_and_not_negative(waiting, cores, elapsed, left):
    run = make_run(waiting, [make_job(1)], cores=cores)
    progress = {1: make_progress(seconds_left=left)}
    seconds = run_seconds_left(run, progress, Durations(), now=100.0 + elapsed)
    assert 0 <= seconds < 1e7
