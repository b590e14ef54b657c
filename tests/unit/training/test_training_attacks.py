"""Attacks inside a training step: norms, targets, plug-ins, against closed forms."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from training_samples import train_spec

from robustvit.core.errors import UserError
from robustvit.training.attacking import attack_images, draw_targets
from robustvit.training.contracts import AttackSettings, Batch, LossContext
from robustvit.training.losses import adversarial

EPSILON = 4 / 255
CLASSES = 3


class Linear(nn.Module):
    """Logits x·W: the gradient towards or away from a class points one way in all of the ball."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.weight = nn.Parameter(torch.randn(12, CLASSES, generator=generator))

    def forward(self, images: Tensor) -> Tensor:
        return images.flatten(1) @ self.weight


def batch(size: int = 6) -> Batch:
    images = 0.4 + 0.2 * torch.rand(size, 3, 2, 2, generator=torch.Generator().manual_seed(1))
    return Batch(images, torch.arange(size) % CLASSES, torch.arange(size))


def settings(norm: str = "linf", **options: object) -> AttackSettings:
    values = {"name": "pgd", "steps": 1, "random_start": False, "num_classes": CLASSES, **options}
    return AttackSettings(norm=norm, epsilon=EPSILON, step_size=2 * EPSILON, **values)


def attack(model: nn.Module, chosen: AttackSettings) -> Tensor:
    examples = batch()
    return attack_images(model, examples.images, examples.labels, examples.seeds, chosen)


def one_step(model: nn.Module, norm: str, labels: Tensor, sign: int) -> Tensor:
    """From the image along the gradient of the cross-entropy, worked out by hand, to the ball."""
    images, weight = batch().images, model.weight.detach()
    wrong = (images.flatten(1) @ weight).softmax(dim=1) - F.one_hot(labels, CLASSES)
    gradient = wrong @ weight.T
    direction = gradient.sign() if norm == "linf" else F.normalize(gradient, dim=1)
    return images + sign * EPSILON * direction.reshape(images.shape)


@pytest.mark.parametrize("name", ["pgd", "fgsm"])
@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_an_attack_ascends_the_loss_of_the_label(norm, name):
    model = Linear()
    expected = one_step(model, norm, batch().labels, sign=1)
    assert torch.allclose(attack(model, settings(norm, name=name)), expected, atol=1e-6)


@pytest.mark.parametrize("name", ["pgd", "fgsm"])
@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_a_targeted_attack_descends_the_loss_of_another_class(norm, name):
    model, examples = Linear(), batch()
    targets = draw_targets(examples.labels, examples.seeds, CLASSES)
    expected = one_step(model, norm, targets, sign=-1)
    attacked = attack(model, settings(norm, name=name, targeted=True))
    assert torch.allclose(attacked, expected, atol=1e-6)


@pytest.mark.parametrize("targeted", [False, True])
@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_the_loss_is_the_criterion_on_the_true_labels_of_the_attacked_images(norm, targeted):
    model, examples = Linear(), batch()
    chosen = settings(norm, targeted=targeted)
    output = adversarial.compute(examples, LossContext(model, F.cross_entropy, chosen, {}))
    expected = F.cross_entropy(model(attack(model, chosen)), examples.labels)
    assert output.loss.item() == pytest.approx(expected.item(), rel=1e-6)


def test_targets_are_all_other_classes_and_never_the_label():
    labels, seeds = torch.arange(4000) % 5, torch.arange(4000)
    targets = draw_targets(labels, seeds, 5)
    counts = torch.bincount((targets - labels) % 5, minlength=5)
    assert counts[0] == 0
    assert counts[1:].min() > 900
    order = torch.randperm(4000, generator=torch.Generator().manual_seed(0))
    assert torch.equal(draw_targets(labels[order], seeds[order], 5), targets[order])


def test_of_two_classes_the_target_is_the_other_one():
    labels = torch.tensor([0, 1, 1, 0])
    assert torch.equal(draw_targets(labels, torch.arange(4), 2), 1 - labels)


def test_an_attack_without_targets_is_refused(monkeypatch):
    def perturb(model: nn.Module, images: Tensor, labels: Tensor, **others: object) -> Tensor:
        return images

    monkeypatch.setattr("robustvit.attacks.pgd.perturb", perturb)
    with pytest.raises(UserError, match=r"recipe\.attack\.targeted.*no targeted form"):
        attack(Linear(), settings(targeted=True))


@pytest.mark.parametrize("attack_name", ["pgd", "fgsm"])
@pytest.mark.parametrize("targeted", [False, True])
@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_every_kind_of_adversarial_training_runs(norm, targeted, attack_name, train):
    spec = train_spec(
        epochs=1,
        evaluate_examples=4,
        attack={"name": attack_name, "targeted": targeted, "epsilon_schedule": "constant"},
    )
    radius = {"linf": 4, "l2": 64}[norm]
    row = train(spec | {"threat": {"norm": norm, "epsilon_255": radius}}).rows[0]
    assert row["epsilon_255"] == radius
    assert 0 < row["train_loss"] < 10
    assert row["eval_robust_top1"] <= 1


def test_fgsm_trains_as_one_step_of_pgd_does(train):
    constant = {"epsilon_schedule": "constant"}
    one = train(train_spec(epochs=1, attack=constant)).model.state_dict()
    other = train(train_spec(epochs=1, attack={"name": "fgsm", **constant})).model.state_dict()
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_an_l2_training_learns_to_withstand_its_attack(train):
    spec = train_spec(
        epochs=30,
        label_smoothing=0.0,
        drop_path=0.0,
        optimizer={"lr": 1e-2, "weight_decay": 0.0},
        attack={"steps": 2},
        evaluate_every=30,
    )
    last = train(spec | {"threat": {"norm": "l2", "epsilon_255": 64}}).rows[-1]
    assert last["train_robust_top1"] == 1.0
    assert last["eval_robust_top1"] == 1.0
