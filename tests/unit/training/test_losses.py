"""The losses against closed forms, and what they leave alone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from training_samples import train_spec

from robustvit.core.errors import UserError
from robustvit.core.sources import code_inputs
from robustvit.training.contracts import AttackSettings, Batch, LossContext
from robustvit.training.losses import adversarial, clean, trades
from robustvit.training.parts import plugin_modules

EPSILON = 4 / 255
SCRIPTS = Path(__file__).resolve().parents[3] / "scripts"


class Linear(nn.Module):
    """Logits of two classes from one weight vector: the worst case in a ball is known."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.linspace(-1, 1, 12).reshape(1, 12))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        score = images.flatten(1) @ self.weight.T
        return torch.cat([-score, score], dim=1)


def _batch(targets: torch.Tensor | None = None) -> Batch:
    images = torch.full((6, 3, 2, 2), 0.5) + 0.1 * torch.arange(6).reshape(6, 1, 1, 1) / 6
    targets = torch.tensor([0, 1, 0, 1, 0, 1]) if targets is None else targets
    return Batch(images, targets, torch.arange(6))


def _context(model: nn.Module, steps: int = 1, **options: object) -> LossContext:
    attack = AttackSettings("pgd", "linf", EPSILON, 2 * EPSILON, steps)
    return LossContext(model, F.cross_entropy, attack, {"beta": 6.0, **options})


def _worst_case(batch: Batch, model: Linear) -> torch.Tensor:
    signs = torch.where(batch.labels == 1, -1.0, 1.0).reshape(-1, 1)
    shift = EPSILON * signs * model.weight.detach().sign()
    return batch.images + shift.reshape(-1, 3, 2, 2)


def test_adversarial_loss_is_the_criterion_at_the_worst_case_of_a_linear_model():
    model, batch = Linear(), _batch()
    output = adversarial.compute(batch, _context(model))
    expected = F.cross_entropy(model(_worst_case(batch, model)), batch.labels)
    assert output.loss.item() == pytest.approx(expected.item(), rel=1e-5)
    assert set(output.logits) == {"adversarial"}


def test_adversarial_labels_are_the_argmax_of_soft_targets():
    model = Linear()
    soft = torch.tensor([[0.8, 0.2], [0.3, 0.7]]).repeat(3, 1)
    hard = adversarial.compute(_batch(), _context(model)).logits["adversarial"]
    assert torch.equal(
        adversarial.compute(_batch(soft), _context(model)).logits["adversarial"], hard
    )


def test_trades_is_its_closed_form_and_has_gradients_through_both_branches():
    model, batch = Linear(), _batch()
    output = trades.compute(batch, _context(model, steps=10))
    output.loss.backward()
    attacked = _recover_images(output.logits["adversarial"], batch, model)
    reference = Linear()
    p = reference(batch.images).softmax(dim=1)
    q = reference(attacked).softmax(dim=1)
    divergence = (p * (p.log() - q.log())).sum(dim=1).mean()
    expected = F.cross_entropy(reference(batch.images), batch.labels) + 6.0 * divergence
    expected.backward()
    assert output.loss.item() == pytest.approx(expected.item(), rel=1e-4)
    assert torch.allclose(model.weight.grad, reference.weight.grad, rtol=1e-3, atol=1e-5)


def _recover_images(logits: torch.Tensor, batch: Batch, model: Linear) -> torch.Tensor:
    """The KL to the clean output is largest at a corner of the ball: find out which."""
    corner = EPSILON * model.weight.detach().sign().reshape(1, 3, 2, 2)
    with torch.no_grad():
        up = model(batch.images + corner)
        chosen = torch.isclose(logits, up, atol=1e-4).all(dim=1).reshape(-1, 1, 1, 1)
        down = model(batch.images - corner)
    ends = torch.where(chosen.reshape(-1, 1), up, down)
    assert torch.allclose(logits, ends, atol=1e-4)
    return torch.where(chosen, batch.images + corner, batch.images - corner)


def test_without_epsilon_the_adversarial_loss_is_the_clean_one():
    model, batch = Linear(), _batch()
    settings = AttackSettings("pgd", "linf", 0.0, EPSILON, 1)
    context = LossContext(model, F.cross_entropy, settings, {})
    assert torch.equal(adversarial.compute(batch, context).loss, clean.compute(batch, context).loss)


@pytest.mark.parametrize("mode", ["eval", "train"])
@pytest.mark.parametrize("loss", [adversarial, trades])
def test_only_the_outer_forward_passes_touch_batchnorm(loss, mode):
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(16, 2))
    model.train()
    attack = AttackSettings("pgd", "linf", EPSILON, EPSILON, 3, mode=mode)
    loss.compute(_batch(), LossContext(model, F.cross_entropy, attack, {"beta": 6.0}))
    assert model[1].num_batches_tracked.item() == (1 if loss is adversarial else 2)
    assert all(module.training for module in model.modules())
    assert all(p.requires_grad and p.grad is None for p in model.parameters())


def test_a_loss_that_attacks_needs_a_threat():
    context = LossContext(Linear(), F.cross_entropy, None, {"name": "adversarial"})
    with pytest.raises(UserError, match="threat"):
        adversarial.compute(_batch(), context)


def test_an_attack_that_cannot_train_is_refused():
    settings = AttackSettings("autoattack", "linf", EPSILON, EPSILON, 1)
    with pytest.raises(UserError, match=r"recipe\.attack\.name"):
        adversarial.compute(_batch(), LossContext(Linear(), F.cross_entropy, settings, {}))


def test_standard_training_neither_imports_nor_depends_on_attacks():
    spec = train_spec(loss={"name": "clean"}) | {"threat": None}
    files = code_inputs("train_model.py", plugin_modules(spec))
    assert not [name for name in files if "/attacks/" in name and not name.endswith("__init__.py")]
    program = (
        "import sys, train_model, robustvit.training.losses.clean, "
        "robustvit.training.evaluators.clean; "
        "assert not [m for m in sys.modules if m.startswith('robustvit.attacks')]"
    )
    subprocess.run([sys.executable, "-c", program], cwd=SCRIPTS, check=True)


def test_adversarial_training_depends_on_its_attack_and_no_plots():
    files = code_inputs("train_model.py", plugin_modules(train_spec()))
    names = {Path(name).relative_to(SCRIPTS).as_posix() for name in files}
    assert "robustvit/attacks/pgd.py" in names
    assert "robustvit/training/losses/adversarial.py" in names
    assert "robustvit/training/losses/trades.py" not in names
    assert not [name for name in names if "reporting" in name or "evaluation/" in name]
