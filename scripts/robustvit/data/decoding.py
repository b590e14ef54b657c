"""JPEG and PNG to the pixels that Pillow gives, by a faster decoder where it gives the same ones.

libjpeg-turbo through simplejpeg, straight from the bytes; what it refuses or only Pillow knows how
to convert (CMYK, PNG under a JPEG's name, damaged files) is left to Pillow. A crop needs no rows
below it: the height in the header of a baseline JPEG is lowered, and the decoder stops there.
"""

from __future__ import annotations

import io
from functools import cached_property
from typing import NamedTuple

import numpy as np
import simplejpeg
from PIL import Image

BASELINE = (0xC0, 0xC1)  # start of frame: rows come one after the other
OTHER_FRAMES = {*range(0xC2, 0xD0)} - {0xC4, 0xC8, 0xCC}
START_OF_SCAN, END_OF_IMAGE = 0xDA, b"\xff\xd9"
ALONE = {0x01, *range(0xD0, 0xD9)}  # markers without a length
ROWS_BELOW = 4  # colour of a row is interpolated with the next row of colour, up to 2 rows below


class JpegHeader(NamedTuple):
    """What is needed to know how a JPEG may be decoded.

    Attributes:
        width, height: in pixels.
        components: 1 for grey, 3 for colour.
        height_at: place of the height in the file, two bytes.
        block: rows of pixels that are coded together.
        by_rows: whether a lower height just ends the image earlier.
    """

    width: int
    height: int
    components: int
    height_at: int
    block: int
    by_rows: bool


def read_header(data: bytes) -> JpegHeader | None:
    """The header of a JPEG in 8-bit grey or three colours; None for anything else."""
    if data[:2] != b"\xff\xd8":
        return None
    frame, place, end = None, 2, len(data) - 9
    while place < end and data[place] == 0xFF:
        marker, length = data[place + 1], int.from_bytes(data[place + 2 : place + 4], "big")
        if marker == START_OF_SCAN:
            whole = frame is not None and data[place + 4] == frame.components
            return frame and frame._replace(by_rows=frame.by_rows and whole)
        if marker in ALONE or marker == 0xFF or length < 2:
            return None
        if marker in BASELINE or marker in OTHER_FRAMES:
            frame = _read_frame(data, place, marker)
            if frame is None:
                return None
        place += 2 + length
    return None


def _read_frame(data: bytes, place: int, marker: int) -> JpegHeader | None:
    precision, components = data[place + 4], data[place + 9]
    height, width = (int.from_bytes(data[place + i : place + i + 2], "big") for i in (5, 7))
    sampling = data[place + 11 : place + 10 + 3 * components : 3]
    if precision != 8 or components not in (1, 3) or not height or not sampling:
        return None
    block = 8 * max(factors & 15 for factors in sampling)
    return JpegHeader(width, height, components, place + 5, block, marker in BASELINE)


def decode_image(data: bytes) -> np.ndarray:
    """Decode a JPEG or PNG to RGB: uint8 [H, W, 3], as Pillow's `convert("RGB")`.

    Raises:
        OSError: if Pillow cannot read it or it is cut off.
    """
    return EncodedImage(data).pixels()


class EncodedImage:
    """An image in a file's bytes, of which no more is decoded than is asked for.

    Args:
        data: a JPEG or PNG.
    """

    def __init__(self, data: bytes) -> None:
        self.data = data

    @cached_property
    def header(self) -> JpegHeader | None:
        """The header, if the fast decoder may be used."""
        return read_header(self.data)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        if self.header is not None:
            return self.header.width, self.header.height
        with Image.open(io.BytesIO(self.data)) as image:
            return image.size

    def pixels(self) -> np.ndarray:
        """The image in RGB: uint8 [H, W, 3]."""
        if self.header is None:
            return decode_with_pillow(self.data)
        try:
            return simplejpeg.decode_jpeg(self.data)
        except ValueError:  # damaged: Pillow decides what is to be made of it
            return decode_with_pillow(self.data)

    def rows(self, bottom: int) -> np.ndarray:
        """At least the first `bottom` rows, as `pixels` has them: uint8 [≥ bottom, W, 3]."""
        header = self.header
        if header is None or not header.by_rows or self.data[-2:] != END_OF_IMAGE:
            return self.pixels()
        height = -(-(bottom + ROWS_BELOW) // header.block) * header.block
        if height >= header.height:
            return self.pixels()
        at = header.height_at
        shorter = b"".join((self.data[:at], height.to_bytes(2, "big"), self.data[at + 2 :]))
        try:
            # What follows the last row is reported as damage, which it is not.
            return simplejpeg.decode_jpeg(shorter, strict=False)
        except ValueError:
            return self.pixels()


def decode_with_pillow(data: bytes) -> np.ndarray:
    """Decode as the reference does: uint8 [H, W, 3]; palette, grey and CMYK become RGB."""
    with Image.open(io.BytesIO(data)) as image:
        return np.array(image if image.mode == "RGB" else image.convert("RGB"))
