"""The benchmark of reading: the photographs, every reader that runs here, and its tables."""

from __future__ import annotations

import importlib
import importlib.util
import io
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from robustvit.benchmarks import reading
from robustvit.benchmarks.layouts import write_layouts
from robustvit.benchmarks.photographs import photographs
from robustvit.benchmarks.readers import project
from robustvit.benchmarks.reading import READERS, Reader, Worker, runnable, speed_rows
from robustvit.core.errors import UserError
from robustvit.data import decoding
from robustvit.data.reading import TfdsImages


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Eight generated photographs in every layout."""
    path = tmp_path_factory.mktemp("layouts")
    write_layouts(list(photographs(8, None, None)), path)
    return path


def test_generated_photographs_are_as_large_as_imagenets():
    images = list(photographs(3, None, None))
    assert all(90_000 < len(data) < 130_000 for data in images)
    assert len(set(images)) == 3
    assert Image.open(io.BytesIO(images[0])).size == (500, 375)


def test_generated_photographs_are_of_several_sizes_as_real_ones_are():
    sizes = [Image.open(io.BytesIO(data)).size for data in photographs(8, None, None)]
    assert sizes.count((500, 375)) > sizes.count((375, 500)) > 0


def one_size() -> list[bytes]:
    """Photographs of a folder that a user gave, all of one size."""
    return [data for data in photographs(12, None, None) if _size(data) == (500, 375)][:8]


def _size(data: bytes) -> tuple[int, int]:
    return Image.open(io.BytesIO(data)).size


@pytest.mark.parametrize("images", [lambda: list(photographs(8, None, None)), one_size])
@pytest.mark.parametrize("transform", ["train", "evaluation"])
def test_every_image_of_every_batch_is_decoded(tmp_path, monkeypatch, images, transform):
    """A benchmark of readers must not time images that were kept decoded."""
    write_layouts(images(), tmp_path)
    assert TfdsImages(tmp_path / "tfds" / "manifest.json", project.SPEC)._open_cache() is None
    decoded, decode = [], decoding.simplejpeg.decode_jpeg

    def counted(data, *args, **options):
        decoded.append(1)
        return decode(data, *args, **options)

    monkeypatch.setattr(decoding.simplejpeg, "decode_jpeg", counted)
    stream = project.batches(tmp_path, transform, 4)
    assert sum(next(stream) for _ in range(6)) == len(decoded) == 24


def test_photographs_of_the_mirror_are_brought_to_that_size(mirror):
    images = list(photographs(4, None, mirror))
    sizes = {Image.open(io.BytesIO(data)).size for data in images}
    assert sizes <= {(500, 375), (375, 500)}
    assert all(80_000 < len(data) < 150_000 for data in images)


def test_photographs_of_a_folder_are_taken_as_they_are(tmp_path):
    with pytest.raises(UserError, match=r"--photographs .* holds no .jpg"):
        list(photographs(1, tmp_path, None))
    (tmp_path / "b.JPEG").write_bytes(b"two")
    (tmp_path / "a.jpg").write_bytes(b"one")
    (tmp_path / "c.txt").write_bytes(b"three")
    assert list(photographs(3, tmp_path, None)) == [b"one", b"two", b"one"]


@pytest.mark.parametrize(
    ("name", "transform"), [(n, t) for n, r in READERS.items() for t in r.transforms]
)
def test_readers_give_full_batches(folder, name, transform):
    missing = READERS[name].module
    if missing and importlib.util.find_spec(missing) is None:
        pytest.skip(f"{missing} is only in .venv-bench-data")
    batches = importlib.import_module(f"robustvit.benchmarks.readers.{name}").batches
    stream = batches(folder, transform, 4)
    assert [next(stream) for _ in range(3)] == [4, 4, 4]


def test_steps_for_readers_that_bring_none(folder):
    from robustvit.benchmarks.readers import pillow_steps

    data = (folder / "classes" / "even" / "00000.jpg").read_bytes()  # 500 × 375 pixels
    crops = [pillow_steps.apply(data, "train") for _ in range(4)]
    assert {crop.shape for crop in crops} == {(224, 224, 3)}
    assert not np.array_equal(crops[0], crops[1])
    whole = Image.open(io.BytesIO(data)).resize((341, 256), Image.Resampling.BICUBIC)
    expected = np.asarray(whole.crop((58, 16, 282, 240)))
    np.testing.assert_array_equal(pillow_steps.apply(data, "evaluation"), expected)


def test_a_reader_is_timed_in_its_own_process(folder):
    worker = Worker("decoder", sys.executable, folder, "train", 4)
    try:
        assert worker.speed(0.0) > 1
        assert worker.speed(0.05) > 1
    finally:
        worker.close()
    broken = Worker("no_such_reader", sys.executable, folder, "train", 4)
    with pytest.raises((RuntimeError, BrokenPipeError)):
        broken.speed(0.0)
    broken.close()


def test_readers_whose_packages_are_missing_are_left_out(monkeypatch):
    readers = {"here": Reader("a"), "there": Reader("b", "no_such_package_anywhere")}
    monkeypatch.setattr(reading, "READERS", readers)
    assert runnable(None) == {"here": sys.executable}
    assert runnable(Path(sys.executable)) == {"here": sys.executable}


def test_speeds_are_a_row_per_reader():
    rows = speed_rows({"train": {"project": [10.0, 30.0, 20.4]}, "evaluation": {}})
    assert rows == [["this project", "20 (10–30)", ""]]
