"""Passes of losses and attacks, and the time of jobs on devices."""

from dataclasses import replace

import pytest

from robustvit.core.errors import UserError
from robustvit.planning.jobs import Job
from robustvit.planning.models import Cost
from robustvit.planning.passes import Standing, evaluation, monitored, training_step
from robustvit.planning.ranges import Range, between, exactly, read_range
from robustvit.planning.wall import Task, dependencies, longest_chain, wall_seconds

COST = Cost(flops=1e9, elements=1e7, attack=2.0, parameters=1000)
STANDING = Standing(exactly(0.8), exactly(0.5))


def recipe(loss, steps=1):
    return {"loss": {"name": loss}, "attack": {"steps": steps}}


def test_training_steps_cost_what_design_counts():
    assert training_step(recipe("clean"), COST) == 3
    assert training_step(recipe("adversarial"), COST) == 5  # FGSM
    assert training_step(recipe("trades", 10), COST) == 27  # TRADES with PGD-10
    assert monitored(recipe("clean"), COST) == 1
    assert monitored(recipe("adversarial", 2), COST) == 6


def test_autoattack_attacks_what_stands():
    found = evaluation("autoattack", {}, 1000, COST, STANDING).expected
    apgd, targeted, fab, square = 101 * 2, 9 * 101 * 2, 9 * 100 * 3, 5000
    assert found == pytest.approx(3 + 0.8 * apgd + 0.5 * (targeted + fab + square))


def test_few_classes_have_few_targets():
    many, few = (evaluation("autoattack", {}, k, COST, STANDING).expected for k in (1000, 4))
    assert many - few == pytest.approx(0.5 * 6 * (101 * 2 + 100 * 3))


def test_other_attacks():
    assert evaluation(None, {}, 10, COST, STANDING).expected == 1
    assert evaluation("fgsm", {}, 10, COST, STANDING).expected == 5
    assert evaluation("pgd", {"steps": 20}, 10, COST, STANDING).expected == 43
    restarts = evaluation("apgd_ce", {"restarts": 5}, 10, COST, STANDING).expected
    assert restarts == pytest.approx(3 + 101 * 2 * (0.8 + 4 * 0.5))
    targeted = evaluation("pgd_targeted", {"steps": 20, "targets": 9}, 4, COST, STANDING)
    assert targeted.expected == pytest.approx(3 + 0.8 * 3 * 20 * 2)


def test_ranges():
    assert between(4.0, 1.0) == Range(1.0, 2.0, 4.0)
    assert Range(1, 2, 3) + exactly(1) == Range(2, 3, 4)
    assert (Range(1, 2, 3) * 2).high == 6
    assert read_range({"low": 1, "high": 4}, "x") == Range(1, 2, 4)
    for wrong in ("3", None, True, {"low": 2, "high": 1}, {"low": 1}):
        with pytest.raises(UserError, match="prices: x"):
            read_range(wrong, "prices: x")


def test_jobs_wait_for_what_they_read():
    jobs = [Job("b", inputs=("x", "code.py"), outputs=("y",)), Job("a", outputs=("x",))]
    assert dependencies(jobs) == [(1,), ()]


def test_wall_time_of_independent_jobs_and_of_a_chain():
    jobs = [Task(10.0, 1)] * 6
    assert wall_seconds(jobs, devices=2, hosts=1) == 30
    assert wall_seconds(jobs, devices=100, hosts=1) == 10
    chain = [Task(10.0, 1), Task(5.0, 0, (0,)), Task(10.0, 1, (1,)), Task(10.0, 1)]
    assert longest_chain(chain) == 25
    assert wall_seconds(chain, devices=2, hosts=1) == 25
    assert wall_seconds(chain, devices=1, hosts=1) == 30  # the fourth runs beside the host's job


def test_the_longest_chain_goes_first():
    tasks = [*[Task(1.0, 1)] * 10, Task(10.0, 1), Task(10.0, 1, (10,))]
    assert wall_seconds(tasks, devices=2, hosts=1) == 20


def test_a_job_that_wants_more_devices_than_there_are_takes_longer():
    wide = Task(10.0, 4)
    assert wall_seconds([wide], devices=4, hosts=1) == 10
    assert wall_seconds([wide], devices=2, hosts=1) == 20
    assert wall_seconds([wide, replace(wide, devices=1)], devices=4, hosts=1) == 20
