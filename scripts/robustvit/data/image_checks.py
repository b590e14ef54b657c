"""Looking at one encoded image: whether it decodes, and what is unusual about it.

What is unusual is stored as it is, byte for byte, and read as torchvision's `ImageFolder` reads it:
Pillow's `convert("RGB")` for grey, palette and CMYK pictures, whatever the name of the file says
about its format, and EXIF data, its orientation too, left out of account. TFDS writes 23 such
images of ImageNet anew as JPEGs of quality 100 instead; nothing is lost here.
"""

from __future__ import annotations

import io
import warnings
from typing import NamedTuple

from PIL import Image, UnidentifiedImageError

ORIENTATION = 0x0112  # of EXIF
UPRIGHT = (None, 0, 1)
# Pillow knows many more; for one of them (EPS) it starts another program on what it was given.
FORMATS = ("JPEG", "PNG", "GIF", "BMP", "PPM", "TIFF", "WEBP")
KINDS = {"L": "grayscale", "CMYK": "cmyk"}
UNREADABLE = (
    *(UnidentifiedImageError, OSError, SyntaxError, ValueError, EOFError),
    *(Image.DecompressionBombError, IndexError, TypeError),
)


class Damaged(Exception):
    """An image that does not decode; its text is the decoder's reason."""


class Seen(NamedTuple):
    """What an image is: its size in pixels and what is unusual about it, for instance "cmyk"."""

    height: int
    width: int
    odd: tuple[str, ...]


def examine(data: bytes, encoding: str | None) -> Seen:
    """Decode an image completely.

    Args:
        data: the encoded image.
        encoding: "jpeg" or "png", what it should be; None if any format is as good.

    Raises:
        Damaged: if it does not decode, is of none of the formats of photographs, or would have more
            than 179 million pixels.
    """
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")  # odd EXIF data, of which ImageNet has some
        try:
            with Image.open(io.BytesIO(data), formats=FORMATS) as image:
                image.load()
                odd = _oddities(image, encoding)
                if image.mode != "RGB":
                    image.convert("RGB")  # as it will be read
                size = image.height, image.width
        except UNREADABLE as error:
            raise Damaged(str(error) or type(error).__name__) from error
    if "exif_damaged" not in odd and any("exif" in str(each.message).lower() for each in warned):
        odd = (*odd, "exif_damaged")
    return Seen(*size, odd)


def _oddities(image: Image.Image, encoding: str | None) -> tuple[str, ...]:
    found = []
    # MPO is a JPEG with a second picture behind it, as some cameras write it.
    kind = {"MPO": "jpeg"}.get(image.format, str(image.format).lower())
    if encoding is not None and kind != encoding:
        found.append(f"{kind}_not_{encoding}")
    if image.mode != "RGB":
        found.append(KINDS.get(image.mode, f"mode_{image.mode}"))
    if "exif" in image.info:
        found += _exif_oddities(image)
    return tuple(found)


def _exif_oddities(image: Image.Image) -> list[str]:
    try:
        upright = image.getexif().get(ORIENTATION) in UPRIGHT
    except UNREADABLE:
        return ["exif_damaged"]
    return [] if upright else ["exif_rotated"]
