"""PGD against closed forms, its invariants, and the released code's details (spec A1.1)."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from attack_models import Linear, convolutional, middle_images
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from robustvit.attacks import fgsm, pgd
from robustvit.attacks._watching import Watch
from robustvit.attacks.support.frozen import attack_mode
from robustvit.attacks.support.outcome import ignore_report
from robustvit.core.errors import UserError

NORMS = st.sampled_from(["linf", "l2"])


def attack(model, images, labels, epsilon=0.03, norm="linf", steps=20, **more):
    options = {"seeds": torch.arange(len(images)), "step_size": 1.5 * epsilon / max(steps, 1)}
    return pgd.perturb(
        model, images, labels, epsilon=epsilon, norm=norm, steps=steps, **(options | more)
    )


@pytest.mark.parametrize(("norm", "epsilon"), [("linf", 0.03), ("l2", 0.3)])
def test_finds_the_worst_case_of_a_linear_model(norm: str, epsilon: float) -> None:
    model, images = Linear(), middle_images(8)
    labels = torch.arange(8) % 2
    found = attack(model, images, labels, epsilon, norm, steps=60, step_size=epsilon / 10)
    # The margin falls by ε times the dual norm of the difference of the weights.
    difference = model.weight[1] - model.weight[0]
    dual = difference.abs().sum() if norm == "linf" else difference.norm()

    def margin(x):
        z = model(x)
        return z.gather(1, labels[:, None])[:, 0] - z.gather(1, 1 - labels[:, None])[:, 0]

    torch.testing.assert_close(margin(found), margin(images) - epsilon * dual, rtol=1e-4, atol=1e-4)


def test_stays_inside_pixels_and_finds_the_corner() -> None:
    """Where the ball leaves [0, 1] the worst case is on the border of [0, 1]."""
    model, images = Linear(), torch.rand(6, 3, 6, 6).round()
    labels = torch.zeros(6, dtype=torch.int64)
    found = attack(model, images, labels, epsilon=0.2, steps=40)
    direction = (model.weight[1] - model.weight[0]).sign().reshape(1, 3, 6, 6)
    torch.testing.assert_close(found, (images + 0.2 * direction).clamp(0, 1))


@given(
    norm=NORMS, epsilon=st.floats(1e-3, 0.9), steps=st.integers(0, 4),
    factor=st.floats(0.1, 20), seed=st.integers(0, 2**62), targeted=st.booleans(),
)  # fmt: skip
def test_never_leaves_the_ball(norm, epsilon, steps, factor, seed, targeted) -> None:
    model = convolutional()
    images = torch.rand(3, 3, 8, 8, generator=torch.Generator().manual_seed(seed % 1000))
    seeds = torch.arange(3) + seed
    found = attack(
        model, images, torch.tensor([0, 1, 2]), epsilon, norm, steps,
        step_size=factor * epsilon, seeds=seeds, targeted=targeted,
    )  # fmt: skip
    assert found.min() >= 0
    assert found.max() <= 1
    delta = (found - images).flatten(1)
    size = delta.abs().amax(1) if norm == "linf" else delta.norm(dim=1)
    assert size.max() <= epsilon + 1e-6
    assert not found.requires_grad


@given(norm=NORMS, cut=st.integers(0, 6))
def test_an_example_does_not_depend_on_its_batch(norm: str, cut: int) -> None:
    model, images = Linear(4), torch.rand(6, 3, 6, 6, generator=torch.Generator().manual_seed(1))
    labels, seeds = torch.arange(6) % 4, torch.arange(6) * 7919
    whole = attack(model, images, labels, norm=norm, seeds=seeds)
    parts = [
        attack(model, images[part], labels[part], norm=norm, seeds=seeds[part])
        for part in (slice(0, cut), slice(cut, 6))
        if part.stop > part.start
    ]
    torch.testing.assert_close(whole, torch.cat(parts), rtol=0, atol=1e-6)


def test_start_is_uniform_with_the_released_offset() -> None:
    images, epsilon = torch.full((64, 3, 8, 8), 0.5), 0.1
    found = attack(Linear(4, 8), images, torch.zeros(64, dtype=torch.int64), epsilon, steps=0)
    delta = found - images
    assert abs(delta.mean() - 1e-5) < 2e-3
    assert abs(delta.std() - epsilon / 3**0.5) < 2e-3
    # Only the offset can push a component beyond ε, from where it is projected back.
    assert delta.max() <= epsilon + 1e-6


def test_zero_epsilon_returns_the_images() -> None:
    images = torch.rand(3, 3, 6, 6)
    found = attack(Linear(), images, torch.zeros(3, dtype=torch.int64), epsilon=0)
    assert torch.equal(found, images)
    assert found.data_ptr() != images.data_ptr()


def test_targeted_attack_lowers_the_loss_of_the_target() -> None:
    model, images = convolutional().eval(), torch.rand(6, 3, 8, 8)
    targets = torch.arange(6) % 4
    found = attack(model, images, targets, epsilon=0.3, targeted=True)
    before, after = (F.cross_entropy(model(x), targets, reduction="none") for x in (images, found))
    assert (after < before).all()


def test_trades_attack_raises_the_divergence_from_the_clean_prediction() -> None:
    model, images = convolutional().eval(), torch.rand(6, 3, 8, 8)
    reference = model(images).softmax(1)

    def divergence(x):
        return F.kl_div(model(x).log_softmax(1), reference, reduction="none").sum(1)

    found = attack(model, images, torch.zeros(6).long(), 0.1, loss="kl", reference=reference)
    start = attack(model, images, torch.zeros(6).long(), 0.1, steps=0)
    assert (divergence(found) > divergence(start)).all()
    assert model[0].weight.grad is None


def test_soft_labels_count_as_their_largest_class() -> None:
    model, images = Linear(4), middle_images(4)
    soft = torch.eye(4) * 0.7 + 0.1
    assert torch.equal(attack(model, images, soft), attack(model, images, torch.arange(4)))


def test_after_step_is_called_once_a_step() -> None:
    calls = []
    attack(
        Linear(),
        middle_images(2),
        torch.tensor([0, 1]),
        steps=7,
        after_step=lambda: calls.append(1),
    )
    assert len(calls) == 7


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"norm": "l1"}, "unknown norm"),
        ({"loss": "cw"}, "attack loss"),
        ({"loss": "kl"}, "reference"),
    ],
)
def test_wrong_settings_are_refused(wrong: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        attack(Linear(), middle_images(2), torch.tensor([0, 1]), **wrong)


def test_missing_gradients_are_counted() -> None:
    class Rounded(nn.Module):
        def forward(self, images):
            flat = images.flatten(1)[:, :4]
            return flat.round() + 0 * flat

    class Root(nn.Module):
        def forward(self, images):
            flat = images.flatten(1)[:, :4]
            return flat + (0 * flat).sqrt()  # its derivative at zero is infinite: 0 · ∞

    images, labels = torch.rand(5, 3, 6, 6), torch.zeros(5).long()
    assert pgd.count_zero_gradients(Rounded(), images, labels, 2) == 5
    assert pgd.count_zero_gradients(Root(), images, labels, 2) == 5
    assert pgd.count_zero_gradients(Linear(4), images, labels, 2) == 0


class Tokens(nn.Module):
    """BatchNorm and then tokens, as in XCiT's patch embedding."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.norm = nn.BatchNorm2d(8), nn.LayerNorm(8)
        self.head = nn.Linear(8, 4)
        with torch.no_grad():
            self.stem.weight.copy_(torch.linspace(-2, 2, 8))

    def forward(self, images):
        tokens = self.stem(images).flatten(2).transpose(1, 2)
        return self.head(self.norm(tokens)[:, 0]) + self.head(self.norm(tokens)[:, 5] ** 2)


def test_gradients_of_a_single_image_are_right() -> None:
    """torch 2.9 gets them wrong on the CPU; see `attacks._forward`."""
    model, images = Tokens().eval(), torch.rand(2, 8, 4, 4)

    def measure(logits):
        return logits[:, 0].sum()

    pair = pgd.input_gradient(model, images, measure)
    single = pgd.input_gradient(model, images[:1], measure)
    torch.testing.assert_close(single, pair[:1])
    direct = images[:1].clone().requires_grad_()
    with attack_mode(model, "eval"):
        wrong = torch.autograd.grad(measure(model(direct)), direct)[0]
        watched = torch.autograd.grad(measure(Watch(model, ignore_report)(direct)), direct)[0]
    torch.testing.assert_close(watched, pair[:1])
    if torch.allclose(wrong, single):
        pytest.skip("this torch is right by itself: `attacks._forward` may go")


def run(module, model, images, labels, options, batch_size=4, epsilon=0.03):
    return module.run(
        model, images, labels, epsilon=epsilon, norm="linf", seeds=torch.arange(len(images)),
        num_classes=4, options=options, batch_size=batch_size, report=ignore_report,
    )  # fmt: skip


def test_run_skips_what_is_misclassified_and_does_not_change_the_model() -> None:
    model, images = Linear(4), middle_images(12)
    labels = model(images).argmax(1)
    labels[:5] = (labels[:5] + 1) % 4
    found = run(pgd, model, images, labels, {"steps": 3})["pgd3"]
    assert found.ran.tolist() == [False] * 5 + [True] * 7
    assert torch.equal(found.adversarial[:5], images[:5])
    assert (found.adversarial[5:] != images[5:]).flatten(1).any(1).all()


def test_restarts_attack_only_survivors_and_names_tell_them() -> None:
    model, images = Linear(4), middle_images(16)
    labels = model(images).argmax(1)
    once = run(pgd, model, images, labels, {"steps": 1})["pgd1"]
    five = run(pgd, model, images, labels, {"steps": 1, "restarts": 5})["pgd1x5"]
    broken = model(once.adversarial).argmax(1) != labels
    assert torch.equal(once.adversarial[broken], five.adversarial[broken])


def test_fgsm_is_one_step_of_one_and_a_half_epsilon() -> None:
    model, images = Linear(4), middle_images(4)
    labels = model(images).argmax(1)
    found = run(fgsm, model, images, labels, {})["fgsm"]
    expected = run(pgd, model, images, labels, {"steps": 1, "step_factor": 1.5})["pgd1"]
    assert torch.equal(found.adversarial, expected.adversarial)
