"""Targeted PGD over several target classes."""

from __future__ import annotations

import pytest
import torch
from attack_models import Linear, convolutional, middle_images

from robustvit.attacks import pgd, pgd_targeted
from robustvit.attacks.support.outcome import ignore_report
from robustvit.core.errors import UserError


def run(model, images, labels, classes=4, epsilon=0.05, norm="linf", module=pgd_targeted, **more):
    options = {"steps": 10, **more.pop("options", {})}
    settings = {"seeds": torch.arange(len(images)), "batch_size": 64, "report": ignore_report}
    found = module.run(
        model, images, labels, epsilon=epsilon, norm=norm, num_classes=classes, options=options,
        **(settings | more),
    )  # fmt: skip
    return next(iter(found.items()))


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_breaks_what_the_closed_form_says(norm: str) -> None:
    """A linear model: broken exactly if the ball reaches the boundary."""
    model, images = Linear(2), middle_images(24)
    logits = model(images).detach()
    labels = logits.argmax(1)
    difference = (model.weight[1] - model.weight[0]).detach()
    dual = difference.abs().sum() if norm == "linf" else difference.norm()
    nearest = (logits[:, 1] - logits[:, 0]).abs() / dual
    epsilon = float(nearest.median())
    clear = (nearest - epsilon).abs() > 0.01 * epsilon
    options = {"steps": 60}
    name, outcome = run(model, images, labels, 2, epsilon, norm, options=options)
    broken = model(outcome.adversarial).argmax(1) != labels
    assert name == "pgd60-t"
    assert torch.equal(broken[clear], (nearest < epsilon)[clear])
    assert 0 < broken.sum() < 24


@pytest.mark.parametrize(("classes", "targets"), [(2, 1), (3, 2), (4, 3)])
def test_few_classes_have_fewer_targets(classes: int, targets: int) -> None:
    model, images = Linear(classes), middle_images(6)
    labels = model(images).argmax(1)
    outcome = run(model, images, labels, classes, 1e-6)[1]
    assert outcome.queries.tolist() == [10 * targets] * 6
    with pytest.raises(UserError, match="another class"):
        run(model, images, labels, classes=1)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_nothing_moves_at_zero(norm: str) -> None:
    model, images = Linear(4), middle_images(6)
    outcome = run(model, images, model(images).argmax(1), epsilon=0.0, norm=norm)[1]
    assert torch.equal(outcome.adversarial, images)
    assert not outcome.queries.any()


def test_misclassified_images_are_left_alone_and_batches_do_not_matter() -> None:
    model, images = convolutional().eval(), torch.rand(9, 3, 8, 8)
    labels = model(images).argmax(1)
    labels[:3] = (labels[:3] + 1) % 4
    whole, parts = (run(model, images, labels, batch_size=size)[1] for size in (64, 2))
    torch.testing.assert_close(whole.adversarial, parts.adversarial, rtol=0, atol=1e-5)
    assert whole.ran.tolist() == [False] * 3 + [True] * 6
    assert torch.equal(whole.adversarial[:3], images[:3])
    assert (whole.adversarial - images).abs().max() <= 0.05 + 1e-6


def test_finds_at_least_what_one_target_finds() -> None:
    model, images = convolutional().eval(), torch.rand(16, 3, 8, 8)
    labels = model(images).argmax(1)
    one, many = (
        pgd.still_correct(model, run(model, images, labels, options=o)[1].adversarial, labels, 64)
        for o in ({"targets": 1}, {"targets": 9})
    )
    assert not (many & ~one).any()
