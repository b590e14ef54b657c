"""Training augmentation (spec A1.7), as a function of the image and a seed and of nothing else.

Crop, flip and colour jitter draw as timm's and torchvision's do, but from a generator of their
own: seeding the global ones for every image costs more than the augmentation of a small image.
RandAugment is timm's.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence

import numpy as np
import torch
from PIL import Image, ImageOps, ImageStat
from timm.data.auto_augment import rand_augment_transform

from robustvit.core.errors import UserError, unknown_name
from robustvit.data.decoding import EncodedImage
from robustvit.data.evaluation_images import (
    as_pixels,
    interpolation,
    resize_and_crop,
    stack_images,
)
from robustvit.data.resizing import flip, resize_fast, resize_with_pillow

IMAGENET_MEAN_255 = (124, 116, 104)  # what RandAugment fills uncovered pixels with
ERASING_AREA = (0.02, 1 / 3)
ERASING_MIN_ASPECT = 0.3
ERASING_MEAN, ERASING_STD = 0.5, 0.25
CROPS = ("random_resized", "pad", "none")
RESIZERS = {"fast": resize_fast, "pillow": resize_with_pillow}


class TrainTransform:
    """The augmentation of a recipe: crop, flip, RandAugment *or* colour jitter, rotation.

    Colour jitter is off when RandAugment is on, as in timm. With `views` above 1 the first view
    gets neither of the two and all views share crop and flip (timm's `aug_splits`); random
    erasing applies to every view, as it does there. The rotation comes last because the released
    code inserts it before the conversion to a tensor.

    Args:
        augmentation: the recipe's section of that name.
        image_size: height and width of the output in pixels.

    Raises:
        UserError: for an unknown crop, interpolation or resizer.
    """

    def __init__(self, augmentation: dict, image_size: int) -> None:
        self.options, self.image_size = augmentation, image_size
        self.method = interpolation(augmentation["interpolation"])
        self.resize = self._choose_resizer(augmentation.get("resizer", "fast"))
        self.crop = {
            "random_resized": self._random_resized_crop,
            "pad": self._padded_crop,
            "none": self._resize,
        }.get(augmentation["crop"])
        if self.crop is None:
            raise unknown_name("crop", augmentation["crop"], CROPS, "augmentation.crop")
        self.views = augmentation["views"]
        self.randaugment = self._build_randaugment()

    def augment(self, image: np.ndarray | EncodedImage, rng: random.Random) -> list[np.ndarray]:
        """uint8 [H, W, 3] → as many uint8 [S, S, 3] as there are views, before random erasing."""
        first = self._primary(image, rng)
        views = [first] if self.views > 1 else []
        views += [self._secondary(first, rng) for _ in range(max(1, self.views - 1))]
        return [self._rotate(view, rng) for view in views]

    def erase(self, image: torch.Tensor, rng: random.Random) -> None:
        """Random erasing of a float32 [3, S, S] in [0, 1], in place."""
        if rng.random() < self.options["random_erasing"]:
            erase_rectangle(image, rng)

    def _primary(self, image: np.ndarray | EncodedImage, rng: random.Random) -> np.ndarray:
        cropped = self.crop(image, rng)
        return flip(cropped) if rng.random() < self.options["hflip"] else cropped

    def _secondary(self, image: np.ndarray, rng: random.Random) -> np.ndarray:
        if self.randaugment is not None:
            return np.asarray(self.randaugment(Image.fromarray(image), rng))
        strength = self.options["color_jitter"]
        if strength:
            return np.asarray(jitter_colors(Image.fromarray(image), strength, rng))
        return image

    def _rotate(self, image: np.ndarray, rng: random.Random) -> np.ndarray:
        """As torchvision's RandomRotation: nearest pixel, same size, black where nothing is."""
        degrees = self.options["rotation"]
        if not degrees:
            return image
        return np.asarray(Image.fromarray(image).rotate(rng.uniform(-degrees, degrees)))

    def _random_resized_crop(
        self, image: np.ndarray | EncodedImage, rng: random.Random
    ) -> np.ndarray:
        size = image.size if isinstance(image, EncodedImage) else image.shape[1::-1]
        left, top, right, bottom = draw_crop(
            size, self.options["scale"], self.options["ratio"], rng
        )
        rows = image.rows(bottom) if isinstance(image, EncodedImage) else image
        return self.resize(rows[top:bottom, left:right], self.image_size, self.method)

    def _padded_crop(self, image: np.ndarray | EncodedImage, rng: random.Random) -> np.ndarray:
        whole, padding = Image.fromarray(self._resize(image, rng)), self.options["padding"]
        left, top = (rng.randint(-padding, padding) for _ in range(2))
        # Pillow fills what lies outside of the image with black.
        box = (left, top, left + self.image_size, top + self.image_size)
        return np.asarray(whole.crop(box))

    def _resize(self, image: np.ndarray | EncodedImage, _: random.Random) -> np.ndarray:
        pixels = image.pixels() if isinstance(image, EncodedImage) else image
        return resize_and_crop(pixels, self.image_size, 1.0, self.method)

    @staticmethod
    def _choose_resizer(name: str) -> Callable[..., np.ndarray]:
        if name not in RESIZERS:
            raise unknown_name("resizer", name, RESIZERS, "augmentation.resizer")
        return RESIZERS[name]

    def _build_randaugment(self) -> Callable[[Image.Image, random.Random], Image.Image] | None:
        if not self.options["randaugment"]:
            return None
        settings = {
            "translate_const": int(self.image_size * 0.45),
            "img_mean": IMAGENET_MEAN_255,
            "interpolation": self.method,
        }
        return SeededRandAugment(self.options["randaugment"], settings)


class SeededRandAugment:
    """timm's RandAugment with its draws taken from a generator that is passed in.

    Args:
        description: timm's string: magnitude m, operations n, probability p, spread mstd, ceiling
            mmax, increasing set inc, other sets t, for instance "rand-m9-n3-mstd0.5-inc1".
        settings: timm's `hparams`.

    Raises:
        UserError: if timm does not understand the string.
    """

    def __init__(self, description: str, settings: dict) -> None:
        try:
            self.transform = rand_augment_transform(description, settings)
        except (AssertionError, ValueError) as error:
            raise UserError(
                f'augmentation.randaugment: timm does not understand "{description}". '
                'Example: "rand-m9-mstd0.5-inc1"'
            ) from error
        for operation in self.transform.ops:
            if operation.name.startswith("Posterize"):
                operation.aug_fn = posterize

    def __call__(self, image: Image.Image, rng: random.Random) -> Image.Image:
        """Augment an image; the state of Python's global generator is put back afterwards."""
        transform = self.transform
        weights = transform.choice_weights
        numpy_rng = np.random.default_rng(rng.getrandbits(63))
        chosen = numpy_rng.choice(
            len(transform.ops), transform.num_layers, replace=weights is None, p=weights
        )
        state = random.getstate()
        random.seed(rng.getrandbits(63))
        try:
            for place in chosen:
                image = transform.ops[place](image)
        finally:
            random.setstate(state)
        return image


def posterize(image: Image.Image, bits: int, **_: object) -> Image.Image:
    """Keep the highest bits of each channel; none gives black.

    Recent versions of Pillow refuse 0 bits, which RandAugment's "increasing" set draws at the
    largest magnitude.
    """
    if bits >= 8:
        return image
    return ImageOps.posterize(image, bits) if bits > 0 else Image.new("RGB", image.size)


def draw_crop(
    size: tuple[int, int], scale: Sequence[float], ratio: Sequence[float], rng: random.Random
) -> tuple[int, int, int, int]:
    """Draw the box of a random resized crop as timm and torchvision do.

    Args:
        size: width and height of the image.
        scale: range of the crop's area, as a part of the image's.
        ratio: range of width / height.

    Returns:
        left, top, right, bottom.
    """
    width, height = size
    log_ratio = math.log(ratio[0]), math.log(ratio[1])
    for _ in range(10):
        area = rng.uniform(scale[0], scale[1]) * width * height
        aspect = math.exp(rng.uniform(*log_ratio))
        w, h = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 0 < w <= width and 0 < h <= height:
            top, left = rng.randint(0, height - h), rng.randint(0, width - w)
            return left, top, left + w, top + h
    return _central_box(width, height, min(ratio), max(ratio))


def _central_box(
    width: int, height: int, min_ratio: float, max_ratio: float
) -> tuple[int, int, int, int]:
    """The largest central box whose ratio is in the range."""
    w, h = width, height
    if width / height < min_ratio:
        h = round(w / min_ratio)
    elif width / height > max_ratio:
        w = round(h * max_ratio)
    left, top = (width - w) // 2, (height - h) // 2
    return left, top, left + w, top + h


def jitter_colors(image: Image.Image, strength: float, rng: random.Random) -> Image.Image:
    """torchvision's ColorJitter of brightness, contrast and saturation, in random order, no hue."""
    adjustments = [adjust_brightness, adjust_contrast, adjust_saturation]
    rng.shuffle(adjustments)
    for adjust in adjustments:
        image = adjust(image, rng.uniform(max(0.0, 1 - strength), 1 + strength))
    return image


def adjust_brightness(image: Image.Image, factor: float) -> Image.Image:
    """Blend with black; 1 leaves the image as it is."""
    return Image.blend(Image.new("RGB", image.size), image, factor)


def adjust_contrast(image: Image.Image, factor: float) -> Image.Image:
    """Blend with the mean of the grey image."""
    mean = int(ImageStat.Stat(image.convert("L")).mean[0] + 0.5)
    return Image.blend(Image.new("RGB", image.size, (mean, mean, mean)), image, factor)


def adjust_saturation(image: Image.Image, factor: float) -> Image.Image:
    """Blend with the grey image."""
    return Image.blend(image.convert("L").convert("RGB"), image, factor)


def erase_rectangle(image: torch.Tensor, rng: random.Random) -> None:
    """Replace a random rectangle by noise that fits un-normalised pixels, in place.

    Area 2 %–33 %, aspect at least 0.3; noise per pixel from a normal distribution with mean 0.5
    and standard deviation 0.25, truncated to [0, 1] (spec A1.7).
    """
    _, height, width = image.shape
    log_aspect = math.log(ERASING_MIN_ASPECT), -math.log(ERASING_MIN_ASPECT)
    for _ in range(10):
        area = rng.uniform(*ERASING_AREA) * height * width
        aspect = math.exp(rng.uniform(*log_aspect))
        h, w = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if h < height and w < width:
            top, left = rng.randint(0, height - h), rng.randint(0, width - w)
            noise = truncated_normal((3, h, w), rng.getrandbits(63))
            image[:, top : top + h, left : left + w] = noise
            return


def truncated_normal(shape: tuple[int, ...], seed: int) -> torch.Tensor:
    """Normal noise of mean 0.5 and standard deviation 0.25, redrawn where outside [0, 1]."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(ERASING_MEAN, ERASING_STD, shape)
    while (outside := (noise < 0) | (noise > 1)).any():
        noise[outside] = rng.normal(ERASING_MEAN, ERASING_STD, int(outside.sum()))
    return torch.from_numpy(noise.astype(np.float32))


def train_transform(augmentation: dict, image_size: int) -> TrainTransform:
    """Return the recipe's augmentation; use it through `apply_seeded` or `apply_seeded_batch`."""
    return TrainTransform(augmentation, image_size)


def apply_seeded(
    transform: TrainTransform, image: np.ndarray, seed: int
) -> torch.Tensor | list[torch.Tensor]:
    """Augment one image; the result depends on the image and the seed only.

    Args:
        image: uint8 [H, W, 3].
        seed: for instance `derive_seed(experiment_seed, epoch, example, "augment")`.

    Returns:
        float32 [3, S, S] in [0, 1]; with several views a list of them.
    """
    views = apply_seeded_batch(transform, [image], [seed])
    return views[0] if isinstance(views, torch.Tensor) else [view[0] for view in views]


def apply_seeded_batch(
    transform: TrainTransform,
    images: Sequence[np.ndarray] | Sequence[EncodedImage],
    seeds: Sequence[int],
) -> torch.Tensor | list[torch.Tensor]:
    """Augment a batch, each image with its own seed.

    Returns:
        float32 [B, 3, S, S] in [0, 1]; with several views a list of them.
    """
    views = [as_pixels(view) for view in augment_batch(transform, images, seeds)]
    return views[0] if len(views) == 1 else views


def augment_batch(
    transform: TrainTransform,
    images: Sequence[np.ndarray] | Sequence[EncodedImage],
    seeds: Sequence[int],
) -> list[torch.Tensor]:
    """Augment a batch for the way to a device, which takes bytes in a quarter of the time.

    Returns:
        For each view uint8 [B, 3, S, S], or float32 in [0, 1] where random erasing has put noise
        in; `as_pixels` makes float32 of both.
    """
    generators = [random.Random(int(seed)) for seed in seeds]
    augmented = [
        transform.augment(image, rng) for image, rng in zip(images, generators, strict=True)
    ]
    views = [stack_images(view) for view in zip(*augmented, strict=True)]
    if transform.options["random_erasing"] > 0:
        views = [as_pixels(view) for view in views]
        for view in views:
            for image, rng in zip(view, generators, strict=True):
                transform.erase(image, rng)
    return views
