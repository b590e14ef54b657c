"""The benchmark of training steps: what it times is what it says, and its tables are right."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F

from robustvit.benchmarks import loading, released
from robustvit.benchmarks.cases import CASES, COMPILED, VARIANTS, Variant
from robustvit.benchmarks.measuring import floors, interleave, peak_memory
from robustvit.benchmarks.report import markdown, step_rows
from robustvit.benchmarks.stepping import Stepper
from robustvit.models.factory import build_network
from robustvit.training.contracts import AttackSettings, Batch
from robustvit.training.devices import Device

CPU = Device(torch.device("cpu"))
SCRIPT = Path(__file__).parents[3] / "scripts" / "bench_training.py"
QUICK = CASES["quick"]


def batch() -> Batch:
    images = torch.rand(8, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    return Batch(images, torch.arange(8) % 4, torch.arange(8))


@pytest.mark.parametrize("name", [n for n in VARIANTS if n not in COMPILED])
def test_every_kind_of_step_trains(name: str):
    variant = VARIANTS[name]
    stepper = Stepper(QUICK, replace(variant, attack_steps=min(variant.attack_steps, 2)), CPU)
    before = [p.detach().clone() for p in stepper.model.parameters()]
    stepper()
    assert all(module.training for module in stepper.model.modules())
    pairs = zip(stepper.model.parameters(), before, strict=True)
    changed = [not torch.equal(p, q) for p, q in pairs]
    assert sum(changed) > 0.9 * len(changed)


@pytest.mark.parametrize("name", ["adversarial", "trades"])
def test_the_released_attack_raises_its_loss_within_the_ball(name: str, monkeypatch):
    model = build_network(QUICK.model).train()
    found, real = [], released._attack
    monkeypatch.setattr(
        released, "_attack", lambda *a, **k: found.append(real(*a, **k)) or found[-1]
    )
    settings = AttackSettings("pgd", "linf", 8 / 255, 2 / 255, 5)
    loss, logits = released.released_loss(name, model, batch(), settings)
    change = found[0] - batch().images
    assert 7 / 255 < float(change.abs().max()) <= 8 / 255 + 1e-6
    assert float(found[0].min()) >= 0 and float(found[0].max()) <= 1
    assert len(logits) == 2 and all(z.requires_grad for z in logits)
    clean = F.cross_entropy(logits[0], batch().targets)
    assert float(loss.detach()) > float(clean.detach())


@pytest.mark.parametrize("weight_gradients", [True, False])
def test_the_released_attack_leaves_no_gradients(weight_gradients: bool):
    model = build_network(QUICK.model).train()
    settings = AttackSettings("pgd", "linf", 8 / 255, 8 / 255, 1)
    released.released_loss("adversarial", model, batch(), settings, weight_gradients)
    assert all(p.grad is None for p in model.parameters())


def test_the_floor_is_that_of_the_passes():
    found = floors(CASES["n12_32"])
    assert found["clean"] == 1.0
    assert found["fgsm"] == pytest.approx(5 / 3, abs=0.03)
    assert found["trades"] == pytest.approx(9.0, abs=0.2)


def test_turns_are_taken_by_turns_and_the_median_counts():
    now, log = [0.0], []

    def stepper(name: str, costs: list[float], every: int = 1):
        def step() -> None:
            log.append(name)
            now[0] += costs[min(log.count(name), len(costs)) - 1]

        step.variant, step.warm_up = SimpleNamespace(every=every), lambda: None
        return step

    steppers = {"a": stepper("a", [1, 2, 6]), "b": stepper("b", [3, 5], every=2)}
    found = interleave(steppers, 3, lambda: now[0], seconds=100.0)
    assert log == ["a", "b", "a", "a", "b"]
    assert found == {"a": 2, "b": 4}


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_memory_grows_with_the_batch():
    small = Stepper(replace(QUICK, batch_size=64), Variant("clean", "clean"), CPU)
    large = Stepper(replace(QUICK, batch_size=512), Variant("clean", "clean"), CPU)
    assert peak_memory(large) > 2 * peak_memory(small)


def test_rows_and_tables():
    times = {"clean": 0.1, "fgsm": 0.17, "released_clean": 0.2, "released_fgsm": 0.5}
    rows = step_rows(QUICK, times, {"fgsm": 12.3}, {"clean": 1.0, "fgsm": 1.66})
    assert rows[1] == ["one-step attack", "1.66", "1.70", "170", "94.1", "12"]
    assert rows[3][:3] == ["released code: one-step attack", "1.66", "2.50"]
    lines = markdown(("a", "bb"), [("ccc", "d")]).splitlines()
    assert lines == ["| a   | bb |", "|-----|----|", "| ccc | d  |"]


def test_ratios_are_to_the_clean_step_of_the_same_kind():
    assert {name: VARIANTS[v.baseline].layout for name, v in VARIANTS.items()} == {
        name: v.layout for name, v in VARIANTS.items()
    }
    assert all(VARIANTS[v.baseline].precision == v.precision for v in VARIANTS.values())
    assert all(VARIANTS[v.baseline].loss == "clean" for v in VARIANTS.values())


def test_loading_speeds_of_generated_images():
    rows = loading.loading_speeds(images=4, seconds=0.01, batch_size=4)
    assert [(row["pixels"], row["augmentation"]) for row in rows] == [
        (32, "light"), (32, "canonical"), (224, "light"), (224, "canonical"),
    ]  # fmt: skip
    assert all(row["images_per_second"] > 1 for row in rows)


def test_the_command_prints_its_tables():
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--quick", "--steps", "clean", "fgsm", "--device", "cpu"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "| one-step attack |" in done.stdout
    assert "Data loader" in done.stdout
    assert "torch " + torch.__version__ in done.stdout.splitlines()[0]
