"""Progress that knows how many examples still stand."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from robustvit.attacks import pgd
from robustvit.attacks._ensemble import Component, run_ensemble
from robustvit.attacks._watching import Watch


class Half:
    """Breaks every second image with one call per image and iteration."""

    def __init__(self, predict: Watch, calls: int, breaks: bool) -> None:
        self.predict, self.calls, self.breaks = predict, calls, breaks

    def attack(self, images, labels, seeds):
        for _ in range(self.calls):
            self.predict(images)
        broken, self.passes = images.clone(), torch.full_like(labels, self.calls)
        if self.breaks:
            broken[::2] = 1 - broken[::2]
        return broken


def model() -> nn.Module:
    """Tells bright images from dark ones."""
    network = nn.Sequential(nn.Flatten(), nn.Linear(12, 2, bias=False))
    network[1].weight.data = torch.tensor([[-1.0] * 12, [1.0] * 12])
    return nn.Sequential(_Centred(), network).requires_grad_(False).eval()


class _Centred(nn.Module):
    def forward(self, images):
        return images - 0.5


def components(breaks: bool) -> list[Component]:
    build = [lambda p: Half(p, 50, breaks), lambda p: Half(p, 100, False)]
    return [
        Component("first", 0, build[0], 50, cost=1.0),
        Component("second", 1, build[1], 100, cost=1.0),
    ]


def told(breaks: bool, kept: dict | None = None) -> list[tuple[float, str]]:
    seen, images = [], torch.full((8, 3, 2, 2), 0.9)
    labels = torch.ones(8, dtype=torch.int64)
    checkpoint = None
    if kept is not None:
        checkpoint = type("Kept", (), {"load": kept.get, "save": kept.__setitem__})
    run_ensemble(
        components(breaks), model(), images, labels, epsilon=1.0, seeds=torch.arange(8),
        batch_size=3, report=lambda f, note: seen.append((f, note)), checkpoint=checkpoint,
    )  # fmt: skip
    return seen


@pytest.mark.parametrize("breaks", [False, True])
def test_what_is_left_is_counted_in_standing_examples(breaks: bool) -> None:
    """Where most are broken, the second attack takes less time."""
    seen = told(breaks)
    fractions = [fraction for fraction, _ in seen]
    assert fractions == sorted(fractions) and fractions[-1] == 1.0
    begun = next(fraction for fraction, note in seen if note.startswith("second"))
    # Three batches of 3, 3, 2 images: the first, third, fourth, sixth and seventh are broken.
    standing = 3 if breaks else 8
    assert begun == pytest.approx(50 * 8 / (50 * 8 + 100 * standing), abs=0.03)
    assert f"second, {standing} stand" in {note for _, note in seen}


def test_attacks_that_were_finished_before_are_no_work_of_this_process() -> None:
    kept: dict = {}
    told(False, kept)
    del kept["second"]
    fractions = [fraction for fraction, _ in told(False, kept)]
    assert fractions[0] < 0.05
    assert len(fractions) > 50


def test_an_attack_that_takes_longer_stops_at_its_share() -> None:
    seen = []
    watch = Watch(model(), lambda f, note: seen.append(f))
    watch.begin("long", 1.0, 10.0, 30.0)
    for _ in range(50):
        watch(torch.rand(1, 3, 2, 2))
    assert max(seen) == 0.25


def test_pgd_reports_within_its_steps() -> None:
    seen, images = [], torch.full((4, 3, 2, 2), 0.9)
    found = pgd.run(
        model(), images, torch.ones(4, dtype=torch.int64), epsilon=0.01, norm="linf",
        seeds=torch.arange(4), num_classes=2, options={"steps": 5, "restarts": 2}, batch_size=2,
        report=lambda f, note: seen.append(f),
    )["pgd5x2"]  # fmt: skip
    assert seen == sorted(seen) and seen[-1] == 1.0
    assert len(set(seen)) >= 20
    assert found.queries.tolist() == [10] * 4
