"""The executor gives up on jobs that will not come back, and only on those."""

import asyncio
import logging
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest
import snakemake_executor_plugin_slurm as plugin

from snakemake_executor_plugin_slurm_robustvit import Executor


class Harness(Executor):
    """The executor without a workflow: states are given, reports are kept."""

    def __init__(self, states):
        self.given, self.failed, self.succeeded = list(states), [], []
        self._looks, self._releases = Counter(), Counter()
        self.logger = logging.getLogger("test")
        settings = SimpleNamespace(init_seconds_before_status_checks=5)
        self.workflow = SimpleNamespace(executor_settings=settings)
        self.next_seconds_between_status_checks = 180

    async def _states(self):
        return self.given.pop(0)

    def report_job_error(self, job, msg="", aux_logs=()):
        self.failed.append((job.external_jobid, msg, aux_logs))

    def report_job_success(self, job):
        self.succeeded.append(job.external_jobid)


@pytest.fixture
def job(tmp_path):
    output = tmp_path / "weights"
    aux = {"slurm_logfile": Path("results/slurm_logs/7.log")}
    return SimpleNamespace(external_jobid="7", aux=aux, job=SimpleNamespace(output=[output]))


@pytest.fixture
def look(monkeypatch):
    """Look as often as there are states; returns whether the job was still active each time."""

    async def all_active(self, jobs):
        for item in jobs:
            yield item

    monkeypatch.setattr(plugin.Executor, "check_active_jobs", all_active)

    def run(job, *states):
        executor = Harness(states)

        async def once():
            return [item async for item in executor.check_active_jobs([job])]

        return executor, [bool(asyncio.run(once())) for _ in states]

    return run


@pytest.mark.parametrize("state", ["RUNNING", "PENDING", "REQUEUED", "SUSPENDED"])
def test_living_jobs_are_left_alone(look, job, state):
    executor, active = look(job, *[{"7": (state, "None")}] * 6)
    assert all(active) and not executor.failed


def test_looks_do_not_get_ever_rarer(look, job):
    executor, _ = look(job, {"7": ("RUNNING", "None")})
    assert executor.next_seconds_between_status_checks == 20


def test_job_preempted_for_good_is_reported(look, job):
    executor, active = look(job, {"7": ("PREEMPTED", "None")}, {"7": ("PREEMPTED", "None")})
    assert active == [True, False]
    assert executor.failed[0][0] == "7" and "not queued again" in executor.failed[0][1]
    assert executor.failed[0][2] == ["results/slurm_logs/7.log"]


def test_job_that_is_queued_again_is_not(look, job):
    executor, active = look(
        job, {"7": ("PREEMPTED", "None")}, {"7": ("PENDING", "None")}, {"7": ("PREEMPTED", "None")}
    )
    assert all(active) and not executor.failed


def test_forgotten_job_without_output_has_failed(look, job):
    executor, active = look(job, {}, {}, {})
    assert active == [True, True, False] and "unknown to SLURM" in executor.failed[0][1]


def test_forgotten_job_with_its_output_has_finished(look, job):
    job.job.output[0].touch()
    executor, active = look(job, {}, {}, {})
    assert active == [True, True, False] and executor.succeeded == ["7"]


def test_silence_of_slurm_says_nothing_about_jobs(look, job):
    executor, active = look(job, None, None, None, None)
    assert all(active) and not executor.failed


def test_held_job_is_released_and_at_last_cancelled(look, job, monkeypatch):
    asked = []

    async def ask(*command):
        asked.append(command)

    monkeypatch.setattr("snakemake_executor_plugin_slurm_robustvit._ask", ask)
    _, active = look(job, *[{"7": ("PENDING", "launch failed requeued held")}] * 4)
    assert all(active)
    assert asked == [("scontrol", "release", "7")] * 3 + [("scancel", "7")]


def test_held_by_a_person_stays_held(look, job, monkeypatch):
    monkeypatch.setattr("snakemake_executor_plugin_slurm_robustvit._ask", None)
    _, active = look(job, {"7": ("PENDING", "JobHeldUser")})
    assert all(active)
