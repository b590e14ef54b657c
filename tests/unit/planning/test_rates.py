"""Speeds that were published and not calibrated with are predicted within a stated factor."""

import pytest

from robustvit.planning.facts import load_facts
from robustvit.planning.models import model_cost
from robustvit.planning.rates import Rates

# The paper: 110 epochs of ImageNet on 64 cores of a TPU v4.
IMAGES, CORES = 1_281_167 * 110, 64
PAPER_HOURS = {"m12_tpu_v4": 33.0, "l12_tpu_v4": 39.0}
FACTOR = 1.5  # of the expected time; docs/planning.md states it
SLACK = 1.02  # by which a measured time may lie outside of the two scalings


def speed(facts, name):
    return next(found for found in facts.speeds if found.name == name)


def predicted(facts, name):
    """Seconds of a pass of a speed's model, without the assumed spread."""
    checked = speed(facts, name)
    rates = Rates(facts, checked.device)
    cost = model_cost(checked.model)
    return rates.scaled(rates._nearest(checked.model, cost), cost, checked.precision), checked


@pytest.mark.parametrize("name", PAPER_HOURS)
def test_the_papers_larger_models_follow_from_its_smallest(facts, name):
    seconds, checked = predicted(facts, name)
    hours = [
        value * checked.passes * IMAGES / CORES / 3600
        for value in (seconds.low, seconds.expected, seconds.high)
    ]
    published = PAPER_HOURS[name]
    assert published / FACTOR < hours[1] < published * FACTOR
    assert hours[0] < published * SLACK
    assert published < hours[2] * SLACK


def test_the_papers_hours_are_the_speeds_in_the_file(facts):
    for name, hours in {"s12_tpu_v4": 19.5, **PAPER_HOURS}.items():
        rate = speed(facts, name).images_per_second
        assert IMAGES / CORES / 3600 / rate == pytest.approx(hours, rel=1e-3)


def test_every_check_is_predicted_between_its_bounds(facts):
    checks = [found.name for found in facts.speeds if not found.calibrates]
    assert len(checks) >= 5
    for name in checks:
        seconds, checked = predicted(facts, name)
        measured = 1 / (checked.images_per_second * checked.passes)
        assert seconds.low / SLACK < measured < seconds.high * SLACK, name


def test_no_check_calibrates(facts):
    for found in facts.speeds:
        if not found.calibrates:
            assert found not in Rates(facts, found.device).known


def test_a_calibrated_model_gets_its_own_speed_with_a_spread(facts):
    own = speed(facts, "s12_tpu_v4")
    rate = Rates(facts, own.device).rate(own.model, own.precision)
    measured = 1 / (own.images_per_second * own.passes)
    assert rate.seconds.expected == pytest.approx(measured)
    assert rate.seconds.low < measured < rate.seconds.high
    assert "thesis" in rate.basis


def test_a_device_that_was_not_measured_is_carried_over_and_says_so(facts):
    model = speed(facts, "s12_rtx3090").model
    rate = Rates(facts, "a100").rate(model, "float32")
    assert "carried over from rtx3090" in rate.basis
    assert rate.seconds.high > 2 * rate.seconds.low


def test_half_precision_is_never_expected_to_be_slower(facts):
    model = speed(facts, "s12_rtx3090").model
    for device in facts.prices["devices"]:
        rates = Rates(facts, device)
        half, full = (rates.rate(model, kind).seconds.expected for kind in ("bf16", "float32"))
        assert half <= full, device


def test_model_cost_counts_as_the_papers_do():
    s12 = speed(load_facts(), "s12_tpu_v4").model
    cost = model_cost(s12)
    assert cost.flops / 2e9 == pytest.approx(4.80, abs=0.02)  # published: 4.82 GMACs
    assert cost.parameters == 26_253_304
    assert 2.0 < cost.attack < 2.2
