"""The fast decoder gives Pillow's pixels, or leaves the file to Pillow."""

from __future__ import annotations

import io
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
import simplejpeg
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from robustvit.data import decoding
from robustvit.data.decoding import EncodedImage, decode_image, decode_with_pillow, read_header


def photograph(height: int = 97, width: int = 150, seed: int = 0) -> Image.Image:
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(0, 256, (9, 13, 3), np.uint8))
    smooth = np.asarray(small.resize((width, height), Image.Resampling.BICUBIC), float)
    noisy = smooth + rng.normal(0, 12, smooth.shape)
    return Image.fromarray(noisy.clip(0, 255).astype(np.uint8))


def encode(image: Image.Image, kind: str = "JPEG", **options: object) -> bytes:
    target = io.BytesIO()
    image.save(target, kind, **options)
    return target.getvalue()


def turned() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif


FAST = {
    "4:4:4": encode(photograph(), subsampling=0),
    "4:2:2": encode(photograph(), subsampling=1),
    "4:2:0": encode(photograph(), subsampling=2),
    "progressive": encode(photograph(), progressive=True),
    "grey": encode(photograph().convert("L")),
    "progressive grey": encode(photograph().convert("L"), progressive=True),
    "stored as RGB": encode(photograph(), keep_rgb=True),
    "EXIF that turns": encode(photograph(), exif=turned()),
    "EXIF that is no EXIF": encode(photograph(), exif=b"Exif\0\0II*\0\xff\xff\xff\xffrubbish"),
    "restart markers": encode(photograph(), restart_marker_blocks=3),
    "colour profile, comment": encode(photograph(), icc_profile=b"?" * 70_000, comment=b"c" * 300),
    "quality 5": encode(photograph(), quality=5),
    "tiny": encode(photograph(3, 2)),
    "4:1:1": simplejpeg.encode_jpeg(np.asarray(photograph()), colorsubsampling="411"),
    "4:4:0": simplejpeg.encode_jpeg(np.asarray(photograph()), colorsubsampling="440"),
    "rubbish behind the end": encode(photograph()) + b"\0" * 40,
}
LEFT_TO_PILLOW = {
    "CMYK": encode(photograph().convert("CMYK")),
    "PNG under a JPEG's name": encode(photograph(), "PNG"),
    "palette": encode(photograph().quantize(16), "PNG"),
    "transparent": encode(photograph().convert("RGBA"), "PNG"),
    "16-bit grey": encode(Image.fromarray(np.arange(600, dtype=np.uint16).reshape(20, 30)), "PNG"),
    "one bit": encode(photograph().convert("1"), "PNG"),
    "GIF": encode(photograph().quantize(16), "GIF"),
    "WebP": encode(photograph(), "WEBP"),
}


@pytest.mark.parametrize("name", [*FAST, *LEFT_TO_PILLOW])
def test_pixels_are_those_of_pillow(name, monkeypatch):
    data = (FAST | LEFT_TO_PILLOW)[name]
    with Image.open(io.BytesIO(data)) as image:
        expected = np.asarray(image.convert("RGB"))
    if name in FAST:
        monkeypatch.setattr(decoding, "decode_with_pillow", lambda _: pytest.fail("not fast"))
    found = decode_image(data)
    np.testing.assert_array_equal(found, expected)
    assert found.dtype == np.uint8 and found.flags.writeable
    assert EncodedImage(data).size == image.size


@pytest.mark.parametrize("name", [*FAST, *LEFT_TO_PILLOW])
@given(bottom=st.integers(1, 97))
def test_upper_rows_are_those_of_the_whole_image(name, bottom):
    image = EncodedImage((FAST | LEFT_TO_PILLOW)[name])
    whole = image.pixels()
    np.testing.assert_array_equal(image.rows(bottom)[:bottom], whole[:bottom])


@pytest.mark.parametrize("name", ["4:4:4", "4:2:0", "4:1:1", "4:4:0", "grey", "restart markers"])
def test_rows_below_a_crop_are_not_decoded(name):
    assert len(EncodedImage(FAST[name]).rows(20)) <= 48


@pytest.mark.parametrize("name", ["progressive", "CMYK", "rubbish behind the end", "palette"])
def test_what_cannot_be_stopped_early_is_decoded_whole(name):
    image = EncodedImage((FAST | LEFT_TO_PILLOW)[name])
    assert len(image.rows(20)) == image.size[1]


def test_an_image_cut_off_raises_as_with_pillow():
    data = FAST["4:2:0"][: len(FAST["4:2:0"]) // 2]
    for read in (decode_with_pillow, decode_image, lambda data: EncodedImage(data).rows(10)):
        with pytest.raises(OSError, match="truncated"):
            read(data)


def test_a_damaged_image_is_what_pillow_makes_of_it():
    whole = bytearray(FAST["4:2:0"])
    whole[len(whole) // 2 : len(whole) // 2 + 6] = b"\xff\xd3abcd"
    data = bytes(whole)
    with pytest.raises(ValueError, match="Corrupt"):
        simplejpeg.decode_jpeg(data)
    np.testing.assert_array_equal(decode_image(data), decode_with_pillow(data))


@given(st.binary(max_size=80), st.integers(0, 700))
def test_any_bytes_are_read_or_refused_as_by_pillow(rubbish, place):
    data = FAST["grey"][:place] + rubbish + FAST["grey"][place + len(rubbish) :]
    try:
        expected = decode_with_pillow(data)
    except (OSError, SyntaxError):
        with pytest.raises((OSError, SyntaxError)):
            decode_image(data)
    else:
        np.testing.assert_array_equal(decode_image(data), expected)


@given(st.binary(max_size=60))
def test_a_header_of_rubbish_is_no_header(rubbish):
    assert read_header(rubbish) is None
    read_header(b"\xff\xd8" + rubbish)


def mirror_images(folder: Path) -> list[bytes]:
    """Every seventh photograph of the archives."""
    found = []
    with tarfile.open(folder / "imagenet" / "ILSVRC2012_img_val.tar") as tar:
        found += [tar.extractfile(member).read() for member in tar.getmembers()[::7]]
    with tarfile.open(folder / "oxford_flowers102" / "102flowers.tgz") as tar:
        found += [tar.extractfile(m).read() for m in tar.getmembers()[::40] if m.isfile()]
    with (
        zipfile.ZipFile(folder / "caltech101" / "caltech-101.zip") as archive,
        archive.open("caltech-101/101_ObjectCategories.tar.gz") as inner,
        tarfile.open(fileobj=inner, mode="r|gz") as tar,
    ):
        members = (tar.extractfile(m).read() for m in tar if m.name.endswith(".jpg"))
        found += [data for number, data in enumerate(members) if number % 25 == 0]
    return found


def test_real_photographs_have_pillows_pixels(mirror, monkeypatch):
    images = mirror_images(mirror)
    expected = [decode_with_pillow(data) for data in images]
    left = []
    real = decoding.decode_with_pillow
    monkeypatch.setattr(decoding, "decode_with_pillow", lambda d: left.append(d) or real(d))
    for data, pixels in zip(images, expected, strict=True):
        np.testing.assert_array_equal(decode_image(data), pixels)
        bottom = max(1, len(pixels) // 2)
        np.testing.assert_array_equal(EncodedImage(data).rows(bottom)[:bottom], pixels[:bottom])
    assert len(images) > 60 and not left
