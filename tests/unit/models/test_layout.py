"""Memory layout, half precision and compilation change rounding, not what is learnt."""

from __future__ import annotations

import shutil

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from robustvit.attacks import pgd
from robustvit.attacks.support.frozen import attack_mode
from robustvit.core.errors import UserError
from robustvit.models.factory import build_model
from robustvit.models.layers.drop_path import install_stochastic_depth
from robustvit.models.layout import prepare_model
from robustvit.models.normalization import inner_model
from robustvit.models.weights import load_weights, save_weights
from robustvit.training.contracts import AttackSettings, Batch, LossContext
from robustvit.training.losses import adversarial

XCIT = {
    "name": "tiny", "family": "xcit", "num_classes": 4, "image_size": 16, "patch_size": 4,
    "drop_path": 0.05, "normalization": {"mean": [0.5] * 3, "std": [0.25] * 3},
    "args": {"patch_size": 8, "embed_dim": 32, "depth": 2, "num_heads": 4},
}  # fmt: skip
RESNET = {
    "name": "small", "family": "resnet", "num_classes": 4, "image_size": 16, "patch_size": None,
    "drop_path": 0.0, "normalization": None,
    "args": {"layers": [1, 1, 1, 1], "block": "basic", "act": "gelu", "channels": [8, 16, 16, 32]},
}  # fmt: skip


COLOURS = 0.12 * torch.tensor([[1.0, 0, 0], [0, 1.0, 0], [0, 0, 1.0], [0.33, 0.33, 0.33]])


def coloured(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Noisy images [B, 3, 16, 16] whose label is their colour, which no small change hides."""
    random = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % 4
    colours = 0.4 + COLOURS
    images = colours[labels][:, :, None, None] + 0.3 * torch.randn(
        count, 3, 16, 16, generator=random
    )
    return images.clamp(0, 1), labels


def train(spec: dict, steps: int, bf16: bool = False, **layout: bool) -> tuple[nn.Module, float]:
    """Train adversarially for some steps; return the model and its robust accuracy."""
    model = prepare_model(build_model(spec, seed=0).train(), **layout)
    depth = install_stochastic_depth(model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    attack = AttackSettings("pgd", "linf", 8 / 255, 12 / 255, 1)
    context = LossContext(model, F.cross_entropy, attack, {"name": "adversarial"})
    images, labels = coloured(steps * 32, seed=1)
    for step, (x, y) in enumerate(zip(images.split(32), labels.split(32), strict=True)):
        seeds = torch.arange(32) + 32 * step
        depth.begin(seeds)
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            loss = adversarial.compute(Batch(x, y, seeds), context).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    return model, robust_accuracy(model)


def robust_accuracy(model: nn.Module) -> float:
    images, labels = coloured(256, seed=2)
    with attack_mode(model, "eval"):
        found = pgd.perturb(
            model, images, labels, epsilon=8 / 255, steps=4, step_size=3 / 255,
            seeds=torch.arange(256),
        )  # fmt: skip
        with torch.no_grad():
            return float((model(found).argmax(dim=1) == labels).float().mean())


@pytest.mark.parametrize(("spec", "steps"), [(XCIT, 40), (RESNET, 70)], ids=["xcit", "resnet"])
def test_channels_last_and_bf16_learn_as_well(spec: dict, steps: int):
    _, plain = train(spec, steps)
    _, ordered = train(spec, steps, channels_last=True)
    _, half = train(spec, steps, bf16=True)
    assert plain > 0.36  # chance is a quarter, give or take 0.03
    # Twice the standard deviation that a share of 256 images has.
    assert abs(ordered - plain) < 0.06
    assert abs(half - plain) < 0.06


def test_channels_last_changes_the_order_in_memory_only(tmp_path):
    model = build_model(RESNET, seed=0)
    weights = {name: value.clone() for name, value in model.state_dict().items()}
    ordered = prepare_model(model, channels_last=True)
    assert ordered is model
    assert model.conv1.weight.is_contiguous(memory_format=torch.channels_last)
    assert all(torch.equal(value, weights[name]) for name, value in model.state_dict().items())
    save_weights(tmp_path / "weights.safetensors", model, {})
    other = build_model(RESNET, seed=1)
    load_weights(other, tmp_path / "weights.safetensors")
    assert torch.equal(other.conv1.weight, model.conv1.weight)


def test_without_keys_the_model_is_left_alone():
    model = build_model(XCIT, seed=0)
    assert prepare_model(model) is model
    assert prepare_model(model, None, None) is model


def test_no_compiler(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(UserError, match=r"recipe.compile: no compiler found .*g\+\+"):
        prepare_model(nn.Linear(2, 2), compile=True)


@pytest.mark.slow
@pytest.mark.skipif(
    not (shutil.which("g++") or shutil.which("clang++")), reason="needs a C++ compiler"
)
def test_a_compiled_model_trains_attacks_and_keeps_its_names(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = nn.Sequential(
            nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.BatchNorm2d(8), nn.GELU(), nn.Flatten(),
            nn.Linear(8 * 64, 4),
        )  # fmt: skip
    names, twin = list(network.state_dict()), _copy(network)
    model = prepare_model(network.train(), compile=True)
    assert list(inner_model(model).state_dict()) == names
    losses = [_steps(model, 4), _steps(twin.train(), 4)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)
    # Training, attack and evaluation: one graph each, however many steps there are.
    with torch.no_grad():
        model.eval()(coloured(32, seed=3)[0])
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == 3
    torch._dynamo.reset()


def _copy(network: nn.Module) -> nn.Module:
    twin = nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.BatchNorm2d(8), nn.GELU(), nn.Flatten(),
        nn.Linear(8 * 64, 4),
    )  # fmt: skip
    twin.load_state_dict(network.state_dict())
    return twin


def _steps(model: nn.Module, count: int) -> list[float]:
    attack = AttackSettings("pgd", "linf", 8 / 255, 6 / 255, 2)
    context = LossContext(model, F.cross_entropy, attack, {"name": "adversarial"})
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    losses = []
    for step in range(count):
        images, labels = coloured(32, seed=step)
        loss = adversarial.compute(Batch(images, labels, torch.arange(32)), context).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(float(loss.detach()))
    return losses
