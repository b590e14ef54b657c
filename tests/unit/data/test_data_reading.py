"""Random access to a built set."""

from __future__ import annotations

import hashlib
import multiprocessing
import pickle
import subprocess
import sys

import numpy as np
import pytest

from robustvit.core.errors import UserError
from robustvit.core.files import read_json, write_json
from robustvit.data import index, reading, shards
from robustvit.data.reading import TfdsImages, decode_image
from robustvit.data.records import parse_record


@pytest.fixture
def flowers(stand_in, build):
    return build("oxford_flowers102", stand_in("oxford_flowers102"))


def test_items_are_images_and_labels(flowers, read_spec):
    data = TfdsImages(flowers, read_spec("test"))
    assert len(data) == len(data.ids) == 8
    image, label = data[3]
    assert image.shape == (4, 4, 3) and image.dtype == np.uint8
    assert label == data.labels[3] == 0
    np.testing.assert_array_equal(image, decode_image(data.encoded([3])[0]))


def test_index_and_records_agree(flowers, read_spec):
    data = TfdsImages(flowers, read_spec("test"))
    records = [parse_record(record) for record in data._records(range(len(data)))]
    assert [name for _, _, name in records] == data.ids
    assert [label for _, label, _ in records] == data.labels.tolist()


def test_the_cache_changes_nothing(flowers, read_spec, monkeypatch):
    cached = TfdsImages(flowers, read_spec("test"))
    twice = [cached.images([5, 2, 5]), cached.images([2, 5])]
    monkeypatch.setattr(reading, "CACHE_BYTES", 0)
    plain = TfdsImages(flowers, read_spec("test")).images([5, 2, 5])
    for one, other in zip(twice[0], plain, strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(twice[1][0], plain[1])


def test_a_repeated_read_decodes_once(flowers, read_spec, monkeypatch):
    data = TfdsImages(flowers, read_spec("test"))
    data.images([1, 2])
    monkeypatch.setattr(reading, "decode_image", lambda _: pytest.fail("decoded again"))
    data.images([2, 1])


def test_several_shards_read_like_one(stand_in, build, read_spec, monkeypatch):
    source = stand_in("oxford_flowers102")
    one = TfdsImages(build("oxford_flowers102", source, {}, "one"), read_spec("test"))
    monkeypatch.setattr(shards, "SMALLEST_SHARD", 2000)
    path = build("oxford_flowers102", source, {}, "several")
    several = TfdsImages(path, read_spec("test"))
    assert len(read_json(path)["splits"]["test"]["shards"]) > 1
    assert several.ids == one.ids
    assert several.encoded(range(8)) == one.encoded(range(8))


def _without(path):
    path.unlink()


def _empty(path):
    path.write_bytes(b"")


def _cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _blank_footer(path):
    path.write_bytes(path.read_bytes()[:-65536] + bytes(65536))


@pytest.mark.parametrize("damage", [_without, _empty, _cut, _blank_footer])
def test_a_shard_that_cannot_be_read_shifts_no_label(
    stand_in, build, read_spec, monkeypatch, damage
):
    """array_record takes such a file for one without records, without a word."""
    monkeypatch.setattr(shards, "SMALLEST_SHARD", 2000)
    path = build("oxford_flowers102", stand_in("oxford_flowers102"))
    names = sorted(read_json(path)["splits"]["test"]["shards"])
    damaged = path.parent / "tfds" / names[len(names) // 2 - 1]
    damage(damaged)
    data = TfdsImages(path, read_spec("test"))
    for index_ in (7, 0):
        with pytest.raises(UserError, match=damaged.name):
            data.encoded([index_])


def test_a_record_has_to_be_the_one_that_the_index_names(stand_in, build, read_spec, monkeypatch):
    monkeypatch.setattr(shards, "SMALLEST_SHARD", 2000)
    path = build("oxford_flowers102", stand_in("oxford_flowers102"))
    names = sorted(read_json(path)["splits"]["test"]["shards"])
    one, other = (path.parent / "tfds" / name for name in names[:2])
    content = one.read_bytes(), other.read_bytes()
    one.write_bytes(content[1]), other.write_bytes(content[0])
    with pytest.raises(UserError, match="the index beside it says"):
        TfdsImages(path, read_spec("test")).encoded([0])


def test_an_open_set_can_be_sent_to_a_worker(flowers, read_spec):
    data = TfdsImages(flowers, read_spec("test"))
    expected = data[1][0]
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(data))[1][0], expected)


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_workers_read_what_the_parent_reads(flowers, read_spec, method, monkeypatch):
    if method == "fork":
        monkeypatch.setattr(reading, "CACHE_BYTES", 0)  # so that the worker opens the files
    data = TfdsImages(flowers, read_spec("test"))
    expected = data.encoded([0, 7])
    with multiprocessing.get_context(method).Pool(1) as pool:
        assert pool.apply(data.encoded, ([0, 7],)) == expected


def test_ids_and_labels_stay_on_the_disk(flowers, read_spec):
    data = TfdsImages(flowers, read_spec("test"))
    assert isinstance(data.labels.base, np.memmap)
    assert isinstance(data.ids._bytes(), np.memmap)
    assert data.ids[1:3] == [data.ids[1], data.ids[2]]
    assert data.ids.index(data.ids[5]) == 5
    assert len(pickle.dumps(data)) < 3000
    copy = pickle.loads(pickle.dumps(data))
    assert copy.ids == data.ids
    assert copy.labels.tolist() == data.labels.tolist()


def test_the_index_is_the_same_however_it_is_collected(tmp_path, monkeypatch):
    names = [f"é/{number * 37 % 100}" for number in range(100)]
    described = []
    for chunk in (7, 100, 1000):
        monkeypatch.setattr(index, "CHUNK", chunk)
        writer = index.IndexWriter()
        for place, name in enumerate(names):
            writer.add(name, place % 3)
        described.append(writer.describe(4))
        writer.write(tmp_path, "train")
        assert index.Names(index.names_file(tmp_path, "train")) == names
        assert index.map_labels(tmp_path, "train").tolist() == [n % 3 for n in range(100)]
    assert described[0] == described[1] == described[2]
    lines = "\n".join(sorted(names)).encode()
    assert described[0]["ids_sha256"] == hashlib.sha256(lines).hexdigest()
    assert described[0]["class_counts"] == [34, 33, 33, 0]
    writer.add(names[3], 0)
    with pytest.raises(UserError, match=f"{names[3]}: this image is in the archive more than once"):
        writer.describe(4)


def test_wrong_specs_are_explained(flowers, read_spec):
    with pytest.raises(UserError, match=r'unknown split "valid".*"validation"'):
        TfdsImages(flowers, read_spec("valid"))
    with pytest.raises(UserError, match="num_classes: 1, but the data set has labels up to 1"):
        TfdsImages(flowers, read_spec("test", num_classes=1))


def test_grey_and_palette_images_become_rgb():
    import io

    from PIL import Image

    for mode in ("L", "P", "CMYK", "RGBA"):
        buffer = io.BytesIO()
        image = Image.new("RGB", (5, 3), (102, 102, 102)).convert(mode)
        image.save(buffer, "jpeg" if mode == "CMYK" else "png")
        decoded = decode_image(buffer.getvalue())
        assert decoded.shape == (3, 5, 3)
        assert np.abs(decoded.astype(int) - 102).max() <= 3


def test_manifest_lists_what_the_reader_needs(flowers):
    manifest = read_json(flowers)
    assert {"dataset", "builder", "stand_in", "origin", "classes", "image_shape", "splits"} <= set(
        manifest
    )
    assert {"sha256", "provenance"} <= set(manifest)
    write_json(flowers, manifest)


def test_reading_imports_neither_tfds_nor_torch(repository):
    code = (
        "import sys; sys.path.insert(0, 'scripts'); import robustvit.data.reading; "
        "heavy = {'tensorflow_datasets', 'torch', 'timm', 'tensorflow', "
        "'robustvit.data.writing', 'robustvit.data.stand_ins'}; "
        "sys.exit(str(heavy & set(sys.modules)) if heavy & set(sys.modules) else 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=repository, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
