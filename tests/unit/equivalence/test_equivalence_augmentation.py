"""Which transforms the paper's recipes apply, in which order and ranges (spec A1.7, A4)."""

from __future__ import annotations

import itertools
import random

import numpy as np
import pytest
import torch
from paper_recipes import CANONICAL, CIFAR, LIGHT, plan_of
from PIL import Image

from robustvit.data import augmentation as aug
from robustvit.data import evaluation_images
from robustvit.data.evaluation_images import eval_transform
from robustvit.training.mixing import mix

PHOTOGRAPH = np.random.default_rng(0).integers(0, 256, (400, 500, 3), np.uint8)
METHODS = {
    "_random_resized_crop": "random resized crop",
    "_padded_crop": "padded crop",
    "_rotate": "rotation",
}
FUNCTIONS = {"jitter_colors": "colour jitter", "erase_rectangle": "random erasing"}


@pytest.fixture
def steps(monkeypatch) -> list[str]:
    """The names of the transforms in the order in which they are applied."""
    seen: list[str] = []

    def watch(owner: object, name: str, label: str) -> None:
        real = getattr(owner, name)

        def watched(*arguments, **options):
            if label != "rotation" or arguments[0].options["rotation"]:
                seen.append(label)
            return real(*arguments, **options)

        monkeypatch.setattr(owner, name, watched)

    for name, label in METHODS.items():
        watch(aug.TrainTransform, name, label)
    for name, label in FUNCTIONS.items():
        watch(aug, name, label)
    watch(aug.SeededRandAugment, "__call__", "RandAugment")
    watch(aug, "stack_images", "to [0, 1]")
    watch(aug, "flip", "flip")
    return seen


@pytest.mark.parametrize(
    ("recipe", "expected"),
    [
        (LIGHT, ["random resized crop", "flip", "colour jitter", "to [0, 1]"]),
        (
            CANONICAL,  # its colour jitter of 0.4 is off: RandAugment is on
            ["random resized crop", "flip", "RandAugment", "to [0, 1]", "random erasing"],
        ),
        (CIFAR, ["padded crop", "flip", "colour jitter", "rotation", "to [0, 1]"]),
    ],
)
def test_order(recipe, expected, steps):
    options = {**recipe["augmentation"], "hflip": 1.0}
    if options["random_erasing"]:
        options["random_erasing"] = 1.0
    size = 32 if recipe is CIFAR else 224
    image = PHOTOGRAPH[:32, :32] if recipe is CIFAR else PHOTOGRAPH
    transform = aug.train_transform(options, size)

    assert aug.apply_seeded(transform, image, 7).shape == (3, size, size)
    assert steps == expected


def test_random_resized_crop_ranges():
    options = LIGHT["augmentation"]
    shares, ratios = [], []
    for seed in range(2000):
        box = aug.draw_crop((500, 400), options["scale"], options["ratio"], random.Random(seed))
        width, height = box[2] - box[0], box[3] - box[1]
        shares.append(width * height / (500 * 400))
        ratios.append(width / height)
    assert 0.079 < min(shares) < 0.1
    assert 0.9 < max(shares) <= 1
    assert 0.74 < min(ratios) < 0.77
    assert 1.31 < max(ratios) < 1.35
    # The logarithm of the ratio is uniform: its mean is 0, as of nothing else with these ends.
    assert abs(np.mean(np.log([r for r, s in zip(ratios, shares, strict=True) if s < 0.5]))) < 0.02


@pytest.mark.parametrize(("recipe", "strength"), [(LIGHT, 0.4), (CIFAR, 0.25)])
def test_colour_jitter_is_brightness_contrast_and_saturation_in_any_order(
    recipe, strength, monkeypatch
):
    seen: list[tuple[str, float]] = []
    for name in ("brightness", "contrast", "saturation"):
        monkeypatch.setattr(
            aug,
            f"adjust_{name}",
            lambda image, factor, name=name: seen.append((name, factor)) or image,
        )
    assert recipe["augmentation"]["color_jitter"] == strength
    for seed in range(400):
        aug.jitter_colors(Image.new("RGB", (2, 2)), strength, random.Random(seed))
    orders = {tuple(name for name, _ in seen[i : i + 3]) for i in range(0, len(seen), 3)}
    assert orders == set(itertools.permutations(("brightness", "contrast", "saturation")))
    factors = [factor for _, factor in seen]
    assert 1 - strength <= min(factors) < 1 - 0.98 * strength
    assert 1 + 0.98 * strength < max(factors) <= 1 + strength


def test_randaugment_is_two_operations_of_magnitude_nine():
    transform = aug.train_transform(CANONICAL["augmentation"], 224).randaugment.transform
    assert transform.num_layers == 2
    assert len(transform.ops) == 15
    assert {operation.magnitude for operation in transform.ops} == {9}
    assert {operation.magnitude_std for operation in transform.ops} == {0.5}
    assert {operation.prob for operation in transform.ops} == {0.5}
    increasing = {name.name for name in transform.ops if name.name.endswith("Increasing")}
    assert increasing == {
        f"{name}Increasing"
        for name in ("Posterize", "Solarize", "Color", "Contrast", "Brightness", "Sharpness")
    }


def test_rotation_is_within_two_degrees(monkeypatch):
    angles: list[float] = []
    monkeypatch.setattr(Image.Image, "rotate", lambda image, angle: angles.append(angle) or image)
    transform = aug.train_transform(CIFAR["augmentation"], 32)
    aug.apply_seeded_batch(transform, [PHOTOGRAPH[:32, :32]] * 300, range(300))
    assert -2 <= min(angles) < -1.9
    assert 1.9 < max(angles) <= 2


def test_random_erasing_has_probability_a_quarter_and_noise_of_unnormalised_pixels():
    options = {**CANONICAL["augmentation"], "randaugment": None, "crop": "none"}
    transform = aug.train_transform(options, 16)
    erased = 0
    for seed in range(2000):
        image = torch.full((3, 16, 16), -1.0)
        transform.erase(image, random.Random(seed))
        erased += bool((image >= 0).any())
    assert 440 < erased < 560
    noise = aug.truncated_normal((3, 200, 200), 5)
    assert (aug.ERASING_MEAN, aug.ERASING_STD) == (0.5, 0.25)
    assert noise.mean().item() == pytest.approx(0.5, abs=0.003)
    # σ √(1 − 4 φ(2) / (2 Φ(2) − 1)) of a normal distribution cut off at two σ on both sides.
    deviation = 0.25 * (1 - 4 * 0.0539910 / 0.9544997) ** 0.5
    assert noise.std().item() == pytest.approx(deviation, rel=0.01)
    assert noise.min() >= 0
    assert noise.max() <= 1


def test_mixing_of_the_canonical_recipe():
    mixing = plan_of(CANONICAL).mixing
    found = (mixing.mixup_alpha, mixing.cutmix_alpha, mixing.mix_prob, mixing.switch_prob)
    assert found == (0.8, 1.0, 1.0, 0.5)
    assert (mixing.label_smoothing, mixing.num_classes, mixing.mode) == (0.1, 1000, "batch")
    assert plan_of(LIGHT).mixing is None
    assert plan_of(CIFAR).mixing is None


def test_soft_targets_are_as_long_as_the_head():
    """ImageNet-100's nano models keep 1,000 outputs (spec A3): smoothing spreads over all."""
    plan = plan_of(CANONICAL, num_classes=1200)
    _, targets = mix(plan.mixing, torch.rand(4, 3, 8, 8), torch.tensor([0, 1, 2, 3]), 1)
    assert targets.shape == (4, 1200)
    assert targets[0, -1].item() == pytest.approx(0.1 / 1200)


def test_mixup_mixes_images_and_smoothed_labels_with_the_same_weight():
    recipe = {**CANONICAL, "augmentation": {**CANONICAL["augmentation"], "cutmix": 0.0}}
    mixing = plan_of(recipe, num_classes=4).mixing
    images = torch.tensor([0.0, 1.0]).reshape(2, 1, 1, 1).expand(2, 3, 2, 2).clone()
    mixed, targets = mix(mixing, images, torch.tensor([0, 2]), 3)
    share = mixed[1, 0, 0, 0].item()  # of the second image in the second
    assert 0 < share < 1
    expected = [0.025 + 0.9 * (1 - share), 0.025, 0.025 + 0.9 * share, 0.025]
    assert targets[1].tolist() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("crop_pct", "shorter", "longer"),
    [(1.0, 224, 298), (0.95, 235, 313), (0.9, 248, 330), (0.875, 256, 341)],
)
def test_evaluation_resizes_the_shorter_side_to_224_over_crop_pct(
    crop_pct, shorter, longer, monkeypatch
):
    """XCiT and CaiT 1.0, GELU ResNet-50 0.95, DeiT 0.9, ConvNeXt-T 0.875; an image of 300 × 400."""
    sizes = []
    real = evaluation_images.resize_window

    def resize(image, target, left, top, size, method):
        sizes.append((target, method))
        return real(image, target, left, top, size, method)

    monkeypatch.setattr(evaluation_images, "resize_window", resize)
    spec = {"image_size": 224, "crop_pct": crop_pct, "interpolation": "bicubic"}
    output = eval_transform(spec)(PHOTOGRAPH[:300, :400])
    assert output.shape == (3, 224, 224)
    assert sizes == [((longer, shorter), Image.Resampling.BICUBIC)]
