"""Models that cannot be evaluated, or whose evaluation would mislead: each is found out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from evaluation_samples import QUICK_AUTOATTACK, evaluate_spec
from torch import Tensor, nn

from robustvit.core.errors import UserError
from robustvit.evaluation import engine
from robustvit.evaluation.engine import evaluate_shard
from robustvit.models.trial import require_classifier

PGD = {"name": "pgd", "options": {"steps": 3}}


class Broken(nn.Module):
    """The tiny model with something done to its images or its logits."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner


class Noisy(Broken):
    def forward(self, images: Tensor) -> Tensor:
        return self.inner(images + 0.05 * torch.randn_like(images))


class Dropping(Broken):
    """Keeps its dropout on, where it happens to change nothing."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__(inner)
        self.dropout = nn.Dropout(0.0)

    def train(self, mode: bool = True) -> Dropping:
        super().train(mode)
        self.dropout.training = True
        return self

    def forward(self, images: Tensor) -> Tensor:
        return self.dropout(self.inner(images))


class Rounding(Broken):
    """Rounds pixels to 32 levels: no gradient gets through."""

    def forward(self, images: Tensor) -> Tensor:
        return self.inner((images * 31).round() / 31)


class Detaching(Broken):
    def forward(self, images: Tensor) -> Tensor:
        return self.inner(images.detach())


class Confident(Broken):
    """Logits so large that the cross-entropy of a right answer is exactly zero."""

    def forward(self, images: Tensor) -> Tensor:
        return 1e4 * self.inner(images)


class Differentiating(Broken):
    """Moves images against a gradient before it answers."""

    def forward(self, images: Tensor) -> Tensor:
        with torch.enable_grad():
            point = images.detach().requires_grad_(True)
            (gradient,) = torch.autograd.grad(self.inner(point).logsumexp(1).sum(), point)
        return self.inner(images - 1e-3 * gradient)


class Probabilities(Broken):
    def forward(self, images: Tensor) -> Tensor:
        return self.inner(images).softmax(dim=1)


class Undefined(Broken):
    """NaN on pixels that no 8-bit image has, as attacked images do."""

    def forward(self, images: Tensor) -> Tensor:
        levels = images.detach() * 255
        odd = ((levels - levels.round()).abs() > 0.01).flatten(1).any(dim=1)
        return self.inner(images).masked_fill(odd[:, None], torch.nan)


class Overwriting(Broken):
    """Normalises its input where it lies."""

    def forward(self, images: Tensor) -> Tensor:
        return self.inner(images.sub_(0.1))


class Steep(Broken):
    """Right answers, and a gradient of NaN."""

    def forward(self, images: Tensor) -> Tensor:
        return self.inner(images) + (0 * images.flatten(1)).sqrt().sum(dim=1, keepdim=True)


@pytest.fixture
def evaluate(colours: Path, weights: Path, cpu, monkeypatch) -> Callable:
    load = engine.load_model

    def found(kind: type[Broken] | None, spec: dict) -> dict[str, bool]:
        if kind is not None:
            monkeypatch.setattr(engine, "load_model", lambda *a: kind(load(*a)).eval())
        metadata = evaluate_shard(spec, colours, weights, cpu)[1]
        return {check["name"]: check["passed"] for check in metadata["checks"]}

    return found


def test_a_sound_model_passes(evaluate: Callable) -> None:
    assert all(evaluate(None, evaluate_spec("pgd3", PGD)).values())


@pytest.mark.parametrize(
    ("kind", "failed"),
    [
        (Noisy, {"deterministic", "reproducible"}),
        (Dropping, {"deterministic"}),
        (Rounding, {"gradients", "large epsilon"}),
        (Confident, {"gradients", "large epsilon"}),
        (Differentiating, {"static"}),
        (Steep, {"gradients", "large epsilon"}),
        (Probabilities, {"logits"}),
    ],
)
def test_what_casts_doubt_is_recorded(evaluate: Callable, kind: type, failed: set[str]) -> None:
    found = evaluate(kind, evaluate_spec("pgd3", PGD))
    assert {name for name, passed in found.items() if not passed} == failed


@pytest.mark.parametrize(
    "normalization",
    [None, {"mean": [0.485, 0.456, 0.406], "std": [2.0, 2.0, 2.0]}],
)
def test_a_missing_or_wrong_normalisation_is_recorded(evaluate, normalization) -> None:
    spec = evaluate_spec("clean")
    spec["model"]["normalization"] = normalization
    found = evaluate(None, spec)
    assert {name for name, passed in found.items() if not passed} == {"normalization"}


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (Detaching, "no gradient with respect to the images"),
        (Undefined, r"under pgd3: the logits of \d+ of 24 images are not finite"),
    ],
)
def test_what_cannot_be_attacked_stops(evaluate: Callable, kind: type, message: str) -> None:
    with pytest.raises(UserError, match=message):
        evaluate(kind, evaluate_spec("pgd3", PGD))


def test_masked_gradients_show_in_the_black_box(colours, weights, cpu, monkeypatch) -> None:
    """AutoAttack's own alarm: only Square breaks what has no gradient."""
    load = engine.load_model
    monkeypatch.setattr(engine, "load_model", lambda *a: Rounding(load(*a)).eval())
    attack = {**QUICK_AUTOATTACK, "options": {"iterations": 2, "queries": 60}}
    spec = evaluate_spec("autoattack", attack, threat={"norm": "linf", "epsilon_255": 16})
    rows = evaluate_shard(spec, colours, weights, cpu)[0].to_pandas()
    broken = rows.groupby("attack")["success"].sum()
    assert broken["square"] > broken.drop("square").max()


def test_a_model_that_changes_its_images_is_refused(weights, cpu) -> None:
    model = Overwriting(engine.load_model(evaluate_spec("clean")["model"], weights, cpu))
    with pytest.raises(UserError, match="changes its input in place"):
        require_classifier(model.eval(), evaluate_spec("clean")["model"], str(weights))
