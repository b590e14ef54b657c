"""Images grown from noise towards classes (spec E13)."""

from __future__ import annotations

import numpy as np
import pytest
from evaluation_samples import CLASSES, gradients_spec

from robustvit.analysis.gradient_accumulation import accumulate_gradients, resolve_targets
from robustvit.core.errors import UserError


@pytest.fixture
def grown(weights, cpu) -> dict[str, np.ndarray]:
    return accumulate_gradients(gradients_spec(), CLASSES, weights, cpu)


def test_images_reach_their_targets(grown) -> None:
    assert list(grown["target_names"]) == ["blue", "red"]
    assert grown["targets"].tolist() == [2, 0]
    assert (grown["probability"] > 0.9).all()
    assert grown["prediction"].tolist() == [2, 0]
    assert grown["results"].shape == (2, 3, 16, 16)
    assert 0 <= grown["results"].min() <= grown["results"].max() <= 1


def test_the_true_start_is_almost_binary(grown) -> None:
    """PGD's own start is drawn from a ball far larger than [0, 1], and then clipped."""
    start = grown["start"]
    assert ((start == 0) | (start == 1)).mean() > 0.9
    assert 0.4 < start.mean() < 0.6


def test_the_same_images_every_time_whatever_the_other_targets_are(grown, weights, cpu) -> None:
    spec = gradients_spec(targets=[0])
    again = accumulate_gradients(spec, None, weights, cpu)
    assert list(again["target_names"]) == ["class 0"]
    assert np.array_equal(again["start"], grown["start"])
    assert np.array_equal(again["results"][0], grown["results"][1])


@pytest.mark.parametrize(
    ("targets", "message"),
    [(["bleu"], 'unknown target class "bleu".*"blue"'), ([4], "expected 0 to 3"), ([-1], "0 to 3")],
)
def test_unknown_targets_are_refused(targets: list, message: str) -> None:
    with pytest.raises(UserError, match=message):
        resolve_targets(targets, CLASSES, 4)
