"""The detector of catastrophic overfitting, on the curves that the paper's authors released."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from robustvit.analysis.overfitting import FOUND, NONE, UNTOLD, detect, detect_in_metrics

ROOT = Path(__file__).resolve().parents[3]
EPOCHS = list(range(10, 101, 10))
IMAGES = 49_364


@pytest.fixture(scope="module")
def released() -> dict[str, float]:
    """Published values in percent by key."""
    with open(ROOT / "reports" / "published.csv", encoding="utf-8", newline="") as handle:
        return {row["key"]: float(row["value"]) for row in csv.DictReader(handle)}


def curve(released, model, steps):
    start = "notebook.attack-effectiveness.epoch-{}.{}.pgd{}_top1"
    return [released[start.format(epoch, model, steps)] / 100 for epoch in EPOCHS]


def released_verdict(released, model, strong=200, images=IMAGES):
    return detect(EPOCHS, curve(released, model, 1), curve(released, model, strong), images)


def test_the_canonical_recipe_breaks_down_where_its_released_curves_do(released):
    found = released_verdict(released, "xcit-s12-canonical-recipe")
    assert (found["verdict"], found["last_sound_epoch"], found["epoch"]) == (FOUND, 60, 80)
    assert found["lasting"]
    assert found["strong_last"] == pytest.approx(0.1917, abs=1e-4)
    assert found["weak_last"] == pytest.approx(0.5474, abs=1e-4)


@pytest.mark.parametrize("strong", [10, 200])
def test_a_thousand_images_and_ten_steps_are_enough_to_see_it(released, strong):
    found = released_verdict(released, "xcit-s12-canonical-recipe", strong, images=1000)
    assert found["verdict"] == FOUND
    assert found["epoch"] in (90, 100)


@pytest.mark.parametrize("model", ["xcit-s12-tailored-recipe", "gelu-resnet-50", "convnext-t"])
def test_the_other_released_trainings_are_sound(released, model):
    found = released_verdict(released, model)
    assert (found["verdict"], found["epoch"], found["lasting"]) == (NONE, None, False)


def test_ordinary_overfitting_is_another_thing():
    """Both accuracies fall together."""
    weak = [0.3, 0.5, 0.55, 0.5, 0.45]
    strong = [0.2, 0.4, 0.45, 0.4, 0.35]
    assert detect(range(1, 6), weak, strong, 5000)["verdict"] == NONE


def measured(images, strong_fall, weak_fall, seed):
    """Forty epochs up, twenty down, as counted on some images."""
    random, curves = np.random.default_rng(seed), []
    for start, best, fall in ((0.25, 0.52, weak_fall), (0.2, 0.45, strong_fall)):
        true = np.r_[np.linspace(start, best, 40), np.linspace(best, best - fall, 20)]
        curves.append(random.binomial(images, true) / images)
    return detect(range(1, 61), *curves, images)


@pytest.mark.parametrize("images", [1000, 5000])
@pytest.mark.parametrize("weak_fall", [0.08, 0.07, 0.06])
def test_accuracies_that_fall_together_are_hardly_ever_taken_for_it(images, weak_fall):
    found = [measured(images, 0.08, weak_fall, seed)["verdict"] for seed in range(400)]
    assert found.count(FOUND) < 0.02 * len(found)


@pytest.mark.parametrize("images", [1000, 5000])
def test_a_quarter_lost_under_the_strong_attack_alone_is_always_seen(images):
    assert all(measured(images, 0.25, -0.05, seed)["verdict"] == FOUND for seed in range(100))


def test_one_odd_measurement_is_no_breakdown():
    weak, strong = [0.3, 0.5, 0.5, 0.5], [0.2, 0.4, 0.1, 0.4]
    assert detect(range(1, 5), weak, strong, 5000)["verdict"] == NONE


def test_a_recovery_is_told():
    weak, strong = [0.5, 0.6, 0.6, 0.5, 0.5], [0.4, 0.1, 0.1, 0.4, 0.45]
    found = detect(range(1, 6), weak, strong, 5000)
    assert (found["verdict"], found["epoch"], found["lasting"]) == (FOUND, 2, False)


def test_a_training_that_never_withstood_the_strong_attack_cannot_be_judged():
    found = detect(range(1, 5), [0.3, 0.45, 0.55, 0.6], [0.02, 0.0, 0.0, 0.0], 1000, chance=0.1)
    assert (found["verdict"], found["above_chance"], found["broken"]) == (UNTOLD, False, True)
    found = detect(range(1, 4), [0.12, 0.11, 0.12], [0.1, 0.09, 0.1], 1000, chance=0.1)
    assert (found["verdict"], found["above_chance"], found["broken"]) == (UNTOLD, False, False)
    found = detect(range(1, 4), [0.32, 0.41, 0.52], [0.3, 0.35, 0.4], 1000, chance=0.1)
    assert (found["verdict"], found["above_chance"], found["broken"]) == (NONE, True, False)


@pytest.mark.parametrize(("images", "verdict"), [(50, UNTOLD), (1000, NONE)])
def test_few_images_show_no_fall_and_no_soundness(images, verdict):
    found = detect(range(1, 4), [0.3, 0.4, 0.5], [0.3, 0.35, 0.4], images)
    assert found["verdict"] == verdict
    assert found["detectable_fall"] == (None if verdict == UNTOLD else pytest.approx(0.123))


def test_the_smallest_detectable_fall_is_the_one_that_is_found():
    least = detect([1], [0.5], [0.4], 1000)["detectable_fall"]
    assert detect([1, 2], [0.5, 0.5], [0.4, 0.4 - least], 1000)["verdict"] == FOUND
    assert detect([1, 2], [0.5, 0.5], [0.4, 0.405 - least], 1000)["verdict"] == NONE


def test_noise_alone_hardly_ever_looks_like_it():
    random, alarms = np.random.default_rng(0), 0
    for _ in range(200):
        weak, strong = (random.binomial(500, p, 100) / 500 for p in (0.5, 0.45))
        alarms += detect(range(1, 101), weak, strong, 500)["verdict"] == FOUND
    assert alarms <= 2


def test_metrics_without_a_watch_say_nothing():
    assert detect_in_metrics([{"epoch": 0.0, "eval_robust_top1": 0.3}]) is None
    rows = [
        {"epoch": float(e), "watch_weak_top1": w, "watch_strong_top1": s, "watch_examples": 1000.0}
        for e, (w, s) in enumerate([(0.4, 0.38), (0.5, 0.4), (0.9, 0.02), (0.95, 0.0)])
    ]
    found = detect_in_metrics(rows)
    assert (found["verdict"], found["epoch"], found["last_sound_epoch"]) == (FOUND, 3, 2)
    assert detect([], [], [], 10) is None
