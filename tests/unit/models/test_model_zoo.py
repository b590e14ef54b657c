"""Every architecture of the paper: parameters, shapes and cost as the specification counts them."""

from __future__ import annotations

import functools
from pathlib import Path

import pytest
import torch
import yaml
from model_zoo import ZOO, model_spec
from torch import nn

from robustvit.models.counting import count_macs, count_parameters, on_meta_device
from robustvit.models.factory import build_model

COUNTS = [(name, *pair) for name, model in ZOO.items() for pair in model.parameters.items()]
TOLERANCE = 0.02
# The specification's number for these leaves out products of activations (queries · keys, …).
WITHOUT_ATTENTION = {"deit_small_patch16_224"}


@functools.cache
def built(name: str, classes: int | None = None) -> nn.Module:
    """An architecture of the table, built once; by default with its largest head."""
    return on_meta_device(model_spec(name, classes or max(ZOO[name].parameters)))


@functools.cache
def cost(name: str) -> dict[str, int]:
    """MACs by operation, counted once."""
    return count_macs(built(name), ZOO[name].image_size)


@pytest.mark.parametrize(("name", "classes", "expected"), COUNTS)
def test_parameters_are_exactly_the_published_ones(name, classes, expected):
    assert count_parameters(built(name, classes)) == expected


@pytest.mark.parametrize("name", [name for name, model in ZOO.items() if model.gmacs])
def test_cost_is_that_of_the_specification(name):
    found = cost(name)
    counted = found["total"] - (found["attention"] if name in WITHOUT_ATTENTION else 0)
    assert counted / 1e9 == pytest.approx(ZOO[name].gmacs, rel=TOLERANCE)


@pytest.mark.parametrize("name", [name for name, model in ZOO.items() if model.published])
def test_cost_with_attention_is_what_the_paper_prints(name):
    assert cost(name)["total"] / 1e9 == pytest.approx(ZOO[name].published, rel=TOLERANCE)


def test_cost_by_operation_is_that_of_pencil_and_paper():
    """DeiT-S: 197 tokens of width 384, 12 blocks; MLP four times as wide."""
    found = cost("deit_small_patch16_224")
    tokens, width, blocks = 197, 384, 12
    assert found["convolution"] == 196 * (3 * 16 * 16) * width
    assert found["linear"] == blocks * tokens * width * (3 + 1 + 8) * width + width * 1000
    assert found["attention"] == blocks * 2 * tokens * tokens * width
    assert found["total"] == sum(found[k] for k in ("convolution", "linear", "attention"))


@pytest.mark.parametrize("name", list(ZOO))
def test_forward_shapes(name):
    size, classes = ZOO[name].image_size, max(ZOO[name].parameters)
    images = torch.empty(2, 3, size, size, device="meta")
    assert built(name)(images).shape == (2, classes)


@pytest.mark.parametrize(("name", "side"), [("xcit_small_12_p4_32", 8), ("xcit_small_12_p8_32", 4)])
def test_small_patches_give_more_tokens(name, side):
    _, grid = built(name).patch_embed(torch.empty(1, 3, 32, 32, device="meta"))
    assert grid == (side, side)


def test_a_patch_of_two_is_no_longer_a_pixel():
    """The released loop gave all four convolutions stride 1: 1,024 tokens and 23.8 GMACs."""
    spec = {**model_spec("xcit_small_12_p4_32", 10), "patch_size": 2}
    model = on_meta_device(spec)
    assert model.patch_embed.num_patches == 16 * 16
    tokens = model.patch_embed(torch.empty(1, 3, 32, 32, device="meta"))[0]
    assert tokens.shape == (1, 256, 384)


def test_layer_scale_starts_at_one_in_xcit_and_cait():
    """eta 1 in XCiT-12 and init_values 1 in CaiT-S12 (the stock model starts at 1e-5)."""
    small = {"embed_dim": 32, "depth": 2, "num_heads": 2}
    xcit = {**model_spec("xcit_small_12_p16_224", 10), "image_size": 32}
    cait = {**model_spec("cait_s12_224", 10), "image_size": 32}
    for spec in (xcit, cait):
        model = build_model({**spec, "args": {**spec["args"], **small}})
        scales = [p for name, p in model.named_parameters() if "gamma" in name]
        assert len(scales) >= 4
        assert all(bool((scale == 1).all()) for scale in scales)


def test_drop_path_is_the_same_in_every_block_of_xcit_and_off_in_class_attention():
    spec = {**model_spec("xcit_nano_12_p16_224", 10), "drop_path": 0.05}
    model = on_meta_device(spec)
    rates = {module.drop_prob for module in model.blocks.modules() if hasattr(module, "drop_prob")}
    assert rates == {0.05}
    assert not any(hasattr(module, "drop_prob") for module in model.cls_attn_blocks.modules())


@functools.cache
def configured_models() -> dict[str, dict]:
    root = Path(__file__).resolve().parents[3]
    text = (root / "workflow_config.yaml").read_text(encoding="utf-8")
    models = yaml.safe_load(text)["models"]
    # RobustBench's are built by its own code, on images of its own size: test_models_of_others.py.
    return {name: entry for name, entry in models.items() if entry["family"] != "robustbench"}


@pytest.mark.parametrize("name", list(configured_models()))
def test_every_configured_model_builds_with_the_known_number_of_parameters(name):
    """Of the paper's configuration; a name of the table above has to be that architecture."""
    entry, known = configured_models()[name], ZOO.get(name)
    cifar = entry["family"] == "pyautoattack_resnet" or name.endswith("_32")
    size = known.image_size if known else (32 if cifar else 224)
    spec = {
        "name": name,
        "family": entry["family"],
        "args": entry.get("args", {}),
        "num_classes": max(known.parameters) if known else 10,
        "image_size": size,
        "patch_size": entry.get("patch_size"),
        "drop_path": 0.0,
        "normalization": None,
    }
    model = on_meta_device(spec)
    if known:
        assert count_parameters(model) == known.parameters[spec["num_classes"]]
    assert count_parameters(model) > 0
    output = model(torch.empty(1, 3, size, size, device="meta"))
    assert output.shape == (1, spec["num_classes"])
