"""Transforms against torchvision and timm, and their independence of order and batch."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from PIL import Image
from timm.data.transforms import RandomResizedCropAndInterpolation
from torchvision import transforms as tv
from torchvision.transforms import functional as tvf

from robustvit.core.errors import UserError
from robustvit.data import augmentation as aug
from robustvit.data.augmentation import apply_seeded, apply_seeded_batch, train_transform
from robustvit.data.evaluation_images import eval_transform, load_batch
from robustvit.data.reading import TfdsImages

OPTIONS = {
    "crop": "random_resized",
    "scale": [0.08, 1],
    "ratio": [0.75, 1.3333],
    "interpolation": "bicubic",
    "hflip": 0.5,
    "rotation": 0,
    "padding": 4,
    "color_jitter": 0.4,
    "randaugment": None,
    "mixup": 0.0,
    "cutmix": 0.0,
    "random_erasing": 0.0,
    "views": 1,
}
RECIPES = {
    "light": {},
    "canonical": {"randaugment": "rand-m9-mstd0.5-inc1", "random_erasing": 1.0},
    "cifar": {"crop": "pad", "color_jitter": 0.25, "rotation": 2},
    "views": {"views": 3, "randaugment": "rand-m9-mstd0.5-inc1", "random_erasing": 0.5},
    "none": {"crop": "none", "color_jitter": None, "hflip": 0.0},
}


def photograph(height=40, width=56, seed=0) -> np.ndarray:
    small = np.random.default_rng(seed).integers(0, 256, (5, 7, 3), np.uint8)
    return np.asarray(Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC))


def as_list(views) -> list[torch.Tensor]:
    return [views] if isinstance(views, torch.Tensor) else views


@pytest.mark.parametrize("recipe", list(RECIPES))
def test_seeded_augmentation_is_independent_of_order_and_batch(recipe):
    transform = train_transform(OPTIONS | RECIPES[recipe], 32)
    images = [photograph(seed=i) for i in range(6)]
    seeds = [11, 22, 33, 44, 55, 2**63 - 1]
    batch = as_list(apply_seeded_batch(transform, images, seeds))
    for i in reversed(range(6)):
        for view, whole in zip(
            as_list(apply_seeded(transform, images[i], seeds[i])), batch, strict=True
        ):
            assert torch.equal(view, whole[i])


@pytest.mark.parametrize("recipe", list(RECIPES))
def test_shape_range_and_global_generators(recipe):
    random.seed(3), np.random.seed(3), torch.manual_seed(3)
    before = random.getstate(), np.random.get_state()[1].copy(), torch.get_rng_state()
    transform = train_transform(OPTIONS | RECIPES[recipe], 32)
    views = as_list(apply_seeded_batch(transform, [photograph()] * 9, range(9)))
    assert len(views) == transform.views
    for view in views:
        assert view.shape == (9, 3, 32, 32) and view.dtype == torch.float32
        assert view.min() >= 0 and view.max() <= 1
    assert random.getstate() == before[0]
    assert (np.random.get_state()[1] == before[1]).all()
    assert torch.equal(torch.get_rng_state(), before[2])


def test_the_first_view_has_no_second_stage():
    plain = train_transform(OPTIONS | {"color_jitter": None}, 32)
    views = train_transform(OPTIONS | {"views": 3}, 32)
    image = photograph()
    for seed in range(5):
        first, second, third = apply_seeded(views, image, seed)
        assert torch.equal(first, apply_seeded(plain, image, seed))
        assert not torch.equal(first, second) and not torch.equal(second, third)


def test_color_jitter_is_off_with_randaugment():
    options = OPTIONS | {"randaugment": "rand-m9-mstd0.5-inc1"}
    with_jitter, without = (train_transform(options | {"color_jitter": c}, 32) for c in (0.4, None))
    for seed in range(20):
        image = photograph(seed=seed)
        assert torch.equal(
            apply_seeded(with_jitter, image, seed), apply_seeded(without, image, seed)
        )


@pytest.mark.parametrize("factor", [0.6, 0.95, 1.0, 1.4])
def test_color_adjustments_are_those_of_torchvision(factor):
    image = Image.fromarray(photograph())
    for ours, theirs in (
        (aug.adjust_brightness, tvf.adjust_brightness),
        (aug.adjust_contrast, tvf.adjust_contrast),
        (aug.adjust_saturation, tvf.adjust_saturation),
    ):
        np.testing.assert_array_equal(ours(image, factor), theirs(image, factor))


@pytest.mark.parametrize("size", [(56, 40), (32, 32), (300, 20), (20, 300)])
@pytest.mark.parametrize("scale", [(0.08, 1.0), (0.8, 1.2)])
def test_crops_are_those_of_timm(size, scale, monkeypatch):
    """timm draws from Python's global generator in the same order."""
    image = Image.new("RGB", size)
    for seed in range(30):
        random.seed(seed)
        top, left, height, width = RandomResizedCropAndInterpolation.get_params(
            image, scale, (0.75, 1.3333)
        )
        box = aug.draw_crop(size, scale, (0.75, 1.3333), random.Random(seed))
        assert box == (left, top, left + width, top + height)


def test_padded_crop_moves_by_at_most_the_padding():
    options = OPTIONS | {"crop": "pad", "color_jitter": None, "hflip": 0.0}
    image = photograph(32, 32)
    padded = np.pad(image, ((4, 4), (4, 4), (0, 0)))
    windows = {padded[i : i + 32, j : j + 32].tobytes(): (i, j) for i in range(9) for j in range(9)}
    transform = train_transform(options, 32)
    seen = set()
    for seed in range(300):
        output = transform.augment(image, random.Random(seed))[0]
        seen.add(windows[output.tobytes()])
    assert len(seen) > 70


def test_flip_probability():
    transform = train_transform(OPTIONS | {"crop": "none", "color_jitter": None}, 32)
    image = photograph(32, 32)
    flipped = sum(
        (transform.augment(image, random.Random(seed))[0] == image[:, ::-1]).all()
        for seed in range(1000)
    )
    assert 440 < flipped < 560


def test_erasing_noise_fits_unnormalised_pixels():
    noise = aug.truncated_normal((3, 200, 200), 1)
    assert noise.min() >= 0 and noise.max() <= 1
    assert abs(noise.mean() - 0.5) < 0.005
    assert abs(noise.std() - 0.2199) < 0.005  # of a normal(0.5, 0.25) truncated at two sigma


def test_erased_area():
    areas = []
    for seed in range(300):
        image = torch.full((3, 64, 64), -1.0)
        aug.erase_rectangle(image, random.Random(seed))
        erased = (image >= 0).all(0)
        rows, columns = erased.any(1).sum().item(), erased.any(0).sum().item()
        assert erased.sum() == rows * columns > 0
        areas.append(rows * columns / 64**2)
    assert 0.015 < min(areas) < 0.05 and 0.3 < max(areas) < 0.35


def test_randaugment_survives_the_largest_magnitude():
    """At magnitude 10 posterisation keeps no bits, which Pillow now refuses."""
    transform = train_transform(OPTIONS | {"randaugment": "rand-m10-n4-p1.0-inc1"}, 32)
    apply_seeded_batch(transform, [photograph()] * 200, range(200))


@pytest.mark.parametrize(
    ("text", "operations", "layers", "magnitude"),
    [
        ("rand-m9-mstd0.5-inc1", 15, 2, 9),
        ("rand-m7-n3-p0.9", 15, 3, 7),
        ("rand-mstd101-p1.0", 15, 2, 10),
        ("rand-m15-mmax30-inc1-p1.0", 15, 2, 15),
        ("rand-m9-tweights", 15, 2, 9),
        ("rand-m9-n4-t3a-p1.0", 3, 4, 9),
        ("rand-m5-t3aw-p1.0", 14, 2, 5),
    ],
)
def test_randaugment_takes_timms_strings(text, operations, layers, magnitude):
    transform = train_transform(OPTIONS | {"randaugment": text, "hflip": 0.0}, 32)
    timms = transform.randaugment.transform
    assert (len(timms.ops), timms.num_layers) == (operations, layers)
    assert {operation.magnitude for operation in timms.ops} == {magnitude}
    state = random.getstate(), np.random.get_state()[1].copy()
    images = [photograph(seed=i) for i in range(8)]
    batch = apply_seeded_batch(transform, images, range(8))
    plain = apply_seeded_batch(train_transform(OPTIONS | {"hflip": 0.0}, 32), images, range(8))
    assert not torch.equal(batch, plain)
    assert torch.equal(apply_seeded(transform, images[5], 5), batch[5])
    assert random.getstate() == state[0]
    assert (np.random.get_state()[1] == state[1]).all()


@pytest.mark.parametrize("text", ["rand-x9", "augmix-m3"])
def test_randaugment_strings_that_timm_does_not_understand(text):
    with pytest.raises(UserError, match=r"augmentation\.randaugment.*Example"):
        train_transform(OPTIONS | {"randaugment": text}, 32)


@pytest.mark.parametrize("key", ["crop", "interpolation"])
def test_unknown_names_are_explained(key):
    with pytest.raises(UserError, match=f'unknown {key} "cubic"'):
        train_transform(OPTIONS | {key: "cubic"}, 32)


@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear"])
@pytest.mark.parametrize("crop_pct", [1.0, 0.9, 0.875])
@pytest.mark.parametrize("size", [(40, 56), (57, 33), (32, 32), (91, 200)])
def test_eval_transform_is_that_of_torchvision(read_spec, size, crop_pct, interpolation):
    spec = read_spec("test", image_size=32, crop_pct=crop_pct, interpolation=interpolation)
    image = photograph(*size)
    theirs = tv.Compose(
        [
            tv.Resize(int(32 / crop_pct), tv.InterpolationMode(interpolation)),
            tv.CenterCrop(32),
            tv.ToTensor(),
        ]
    )
    ours = eval_transform(spec)(image)
    torch.testing.assert_close(ours, theirs(Image.fromarray(image)), rtol=0, atol=0)


def test_load_batch(stand_in, build, read_spec):
    path = build("oxford_flowers102", stand_in("oxford_flowers102"))
    spec = read_spec("test", image_size=4)
    data = TfdsImages(path, spec)
    images, labels = load_batch(data, spec, [6, 1])
    assert images.shape == (2, 3, 4, 4) and labels.dtype == torch.int64
    assert labels.tolist() == data.labels[[6, 1]].tolist()
    expected = torch.from_numpy(data[6][0]).permute(2, 0, 1).float() / 255
    assert torch.equal(images[0], expected)
    empty, none = load_batch(data, spec, [])
    assert empty.shape == (0, 3, 4, 4) and len(none) == 0
