"""Resizing: exactly Pillow's where that is promised, within its bound where it is quick."""

from __future__ import annotations

import io
import random
import tarfile

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from timm.data.transforms import RandomResizedCropAndInterpolation

from robustvit.data import augmentation as aug
from robustvit.data.augmentation import augment_batch, train_transform
from robustvit.data.decoding import EncodedImage, decode_image
from robustvit.data.evaluation_images import as_pixels, stack_images
from robustvit.data.resizing import resize_fast, resize_window, resize_with_pillow

FILTERS = [Image.Resampling.BICUBIC, Image.Resampling.BILINEAR]
OPTIONS = {
    "crop": "random_resized", "scale": [0.08, 1], "ratio": [0.75, 4 / 3], "hflip": 0.5,
    "interpolation": "bicubic", "resizer": "fast", "rotation": 0, "padding": 4,
    "color_jitter": None, "randaugment": None, "random_erasing": 0.0, "views": 1,
}  # fmt: skip
BOUND = 2  # of 255
sides = st.integers(5, 300)


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Black and white dots, the hardest image for a filter: it overshoots everywhere."""
    return np.random.default_rng(seed).integers(0, 2, (height, width, 3), np.uint8) * 255


def columns_then_rows(image: np.ndarray, size: int, method: Image.Resampling) -> np.ndarray:
    """Pillow's resize in the order that it had up to version 12."""
    band = Image.fromarray(image).resize((size, image.shape[0]), method)
    return np.asarray(band.resize((size, size), method)).astype(int)


@pytest.mark.parametrize("method", FILTERS)
@given(height=sides, width=sides, size=st.integers(8, 224), seed=st.integers(0, 99))
def test_the_fast_resize_is_within_two_levels_of_pillows(method, height, width, size, seed):
    image = noise(height, width, seed)
    difference = np.abs(resize_fast(image, size, method) - columns_then_rows(image, size, method))
    assert difference.max() <= BOUND


@pytest.mark.parametrize("method", FILTERS)
def test_of_a_photograph_few_values_differ(method, mirror):
    differing = []
    with tarfile.open(mirror / "imagenet" / "ILSVRC2012_img_val.tar") as tar:
        for number, member in enumerate(tar.getmembers()[::8]):
            image = decode_image(tar.extractfile(member).read())
            box = aug.draw_crop(image.shape[1::-1], (0.08, 1), (0.75, 4 / 3), random.Random(number))
            crop = image[box[1] : box[3], box[0] : box[2]]
            difference = np.abs(
                resize_fast(crop, 224, method) - columns_then_rows(crop, 224, method)
            )
            assert difference.max() <= BOUND
            differing.append((difference > 0).mean())
    assert np.mean(differing) < 0.01


def test_other_filters_are_left_to_pillow():
    for method in (Image.Resampling.LANCZOS, Image.Resampling.NEAREST):
        image = noise(40, 60)
        expected = resize_with_pillow(image, 30, method)
        np.testing.assert_array_equal(resize_fast(image, 30, method), expected)


def test_views_and_read_only_images_are_resized_like_copies():
    image = noise(50, 60)
    view = image[3:40, 5:41]
    expected = resize_fast(view.copy(), 32, FILTERS[0])
    np.testing.assert_array_equal(resize_fast(view, 32, FILTERS[0]), expected)
    image.flags.writeable = False
    np.testing.assert_array_equal(resize_fast(image[3:40, 5:41], 32, FILTERS[0]), expected)


@pytest.mark.parametrize(
    "method", list(Image.Resampling)[:1] + FILTERS + [Image.Resampling.LANCZOS]
)
@given(
    height=st.integers(2, 300), width=st.integers(2, 300), size=st.sampled_from([7, 32, 64]),
    crop_pct=st.sampled_from([1.0, 0.95, 0.9, 0.875, 0.5]),
)  # fmt: skip
def test_a_window_of_a_resize_is_cut_out_of_pillows(method, height, width, size, crop_pct):
    image, shorter = noise(height, width), int(size / crop_pct)
    target = (shorter, int(shorter * height / width))
    if width > height:
        target = (int(shorter * width / height), shorter)
    left, top = (target[0] - size) // 2, (target[1] - size) // 2
    whole = Image.fromarray(image).resize(target, method)
    expected = np.asarray(whole.crop((left, top, left + size, top + size)))
    found = resize_window(image, target, left, top, size, method)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(("resizer", "bound"), [("pillow", 0), ("fast", BOUND)])
def test_crops_have_timms_pixels(resizer, bound):
    transform = train_transform(OPTIONS | {"resizer": resizer, "hflip": 0.0}, 64)
    timms = RandomResizedCropAndInterpolation(64, (0.08, 1), (0.75, 4 / 3), "bicubic")
    image = noise(100, 140)
    for seed in range(20):
        random.seed(seed)
        left, top, right, bottom = aug.draw_crop(
            (140, 100), (0.08, 1), (0.75, 4 / 3), random.Random(seed)
        )
        expected = np.asarray(timms(Image.fromarray(image))).astype(int)
        if resizer == "fast":  # Pillow 13 resizes some of them in the other order
            crop = image[top:bottom, left:right]
            expected = columns_then_rows(crop, 64, Image.Resampling.BICUBIC)
        found = transform.augment(image, random.Random(seed))[0]
        assert np.abs(found - expected).max() <= bound


@pytest.mark.parametrize("crop", ["random_resized", "pad", "none"])
def test_an_encoded_image_is_augmented_like_a_decoded_one(crop):
    target = io.BytesIO()
    Image.fromarray(noise(90, 120)).save(target, "JPEG", quality=70)
    transform = train_transform(OPTIONS | {"crop": crop, "color_jitter": 0.4}, 32)
    data = target.getvalue()
    seeds = range(30)
    encoded = augment_batch(transform, [EncodedImage(data)] * 30, seeds)
    decoded = augment_batch(transform, [decode_image(data)] * 30, seeds)
    assert torch.equal(encoded[0], decoded[0])


def test_batches_travel_as_bytes_unless_noise_is_in_them():
    images = [noise(40, 50, seed) for seed in range(3)]
    (plain,) = augment_batch(train_transform(OPTIONS, 32), images, range(3))
    assert plain.dtype == torch.uint8 and plain.shape == (3, 3, 32, 32)
    erasing = train_transform(OPTIONS | {"random_erasing": 1.0}, 32)
    (erased,) = augment_batch(erasing, images, range(3))
    assert erased.dtype == torch.float32
    kept = erased == as_pixels(plain)
    assert 0.3 < kept.float().mean() < 1


def test_bytes_become_the_pixels_that_division_gives():
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16, 1).repeat(3, 2)
    expected = torch.from_numpy((levels.astype(np.float32) / np.float32(255)).transpose(2, 0, 1))
    assert torch.equal(as_pixels(stack_images([levels]))[0], expected)
    pixels = torch.rand(2, 3, 4, 4)
    assert as_pixels(pixels) is pixels


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_bytes_become_the_same_pixels_on_a_gpu():
    levels = torch.arange(256, dtype=torch.uint8)
    assert torch.equal(as_pixels(levels.cuda()).cpu(), as_pixels(levels))


def test_unknown_resizers_are_explained():
    with pytest.raises(aug.UserError, match=r'unknown resizer "pilow".*"pillow"'):
        train_transform(OPTIONS | {"resizer": "pilow"}, 32)
