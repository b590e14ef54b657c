"""The page on losses, followed through two steps of training."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.docs.pages import resolved

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "unit" / "training"))

from training_samples import train_spec, write_colours


def test_loss_check_of_the_page(plugins):
    losses = runpy.run_path("check_mart.py")["losses"]
    assert np.isfinite(losses).all() and losses[-1] < losses[0]


def test_mart_is_its_formula_and_differentiable(plugins):
    import torch
    from torch.nn.functional import cross_entropy

    from robustvit.core.plugins import load
    from robustvit.training.contracts import AttackSettings, Batch, LossContext

    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(12, 3))
    batch = Batch(torch.rand(5, 3, 2, 2), torch.tensor([0, 1, 2, 0, 1]), torch.arange(5))
    attack = AttackSettings("pgd", "linf", 8 / 255, 4 / 255, 2)
    context = LossContext(model, cross_entropy, attack, {"weight": 5.0})
    output = load("robustvit.training.losses", "mart").compute(batch, context)
    p, q = (output.logits[kind].double().softmax(1) for kind in ("clean", "adversarial"))
    each = []
    for i, label in enumerate(batch.labels.tolist()):
        others = [q[i, k] for k in range(3) if k != label]
        divergence = (p[i] * (p[i].log() - q[i].log())).sum()
        boosted = -q[i, label].log() - (1.0001 - max(others)).log()
        each.append(boosted + 5.0 * (1 - p[i, label]) * divergence)
    assert output.loss.item() == pytest.approx((sum(each) / 5).item(), rel=1e-5)
    output.loss.backward()
    assert all(p.grad.abs().sum() > 0 for p in model.parameters())


def test_mart_trains_with_its_own_option(plugins, tmp_path):
    from robustvit.training.datasets import open_data
    from robustvit.training.devices import open_device
    from robustvit.training.engine import Trainer
    from robustvit.training.plan import Plan
    from robustvit.training.state import StateFolder

    colours = write_colours(tmp_path / "colours", train=32)
    written = resolved(plugins, ["mart.yaml"])["experiments"]["mart"]["recipe"]

    def train(**options):
        loss = written["loss"] | {"options": written["loss"]["options"] | options}
        spec = train_spec(epochs=1, loss=loss, attack={**written["attack"], "steps": 2})
        plan = Plan(spec, open_data(spec, colours, colours), open_device("cpu", 1))
        return Trainer(plan, StateFolder(tmp_path / f"states{len(options)}")).train()

    run = train()
    assert run.step == 2
    assert run.rows[0]["train_clean_top1"] is not None
    assert run.rows[0]["train_robust_top1"] is not None
    other = train(weight=0.0)
    assert other.rows[0]["train_loss"] < run.rows[0]["train_loss"]
