"""CIFAR-100 from an archive in the official layout."""

import io
import pickle

import numpy as np
import pytest

from robustvit.core.errors import UserError
from robustvit.core.files import read_json
from robustvit.data.sources import cifar100
from robustvit.data.tar_writing import add_bytes, open_tgz

ARCHIVE = "cifar-100-python.tar.gz"


def write_archive(path, train=50_000, test=10_000):
    """An archive of grey images; the pixel is the place, modulo 256."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open_tgz(path) as tar:
        for name, count in (("train", train), ("test", test)):
            pixels = np.repeat(np.arange(count) % 256, 3072).astype(np.uint8).reshape(-1, 3072)
            batch = {b"data": pixels, b"fine_labels": [i % 100 for i in range(count)]}
            add_bytes(tar, f"cifar-100-python/{name}", pickle.dumps(batch))
        names = {b"fine_label_names": [f"class {i}".encode() for i in range(100)]}
        add_bytes(tar, "cifar-100-python/meta", pickle.dumps(names))


def test_a_mirror_is_read(tmp_path):
    write_archive(tmp_path / "mirror" / "cifar100" / ARCHIVE)
    folder = tmp_path / "out"
    folder.mkdir()
    cifar100.fetch([str(tmp_path / "mirror")], folder)
    images, labels = np.load(folder / "images.npy"), np.load(folder / "labels.npy")
    assert images.shape == (60_000, 32, 32, 3)
    assert (images[50_003] == 3).all() and labels[50_003] == 3
    assert read_json(folder / "classes.json")[99] == "class 99"
    assert read_json(folder / "source.json")["origin"] == "mirror"


def test_an_archive_with_too_few_images_is_refused(tmp_path):
    write_archive(tmp_path / ARCHIVE, train=10, test=5)
    with pytest.raises(UserError, match="expected CIFAR-100's 60,000 images"):
        cifar100.read_archive(tmp_path / ARCHIVE)


def test_an_archive_that_holds_code_is_refused(tmp_path):
    path = tmp_path / ARCHIVE
    with open_tgz(path) as tar:
        add_bytes(tar, "cifar-100-python/train", pickle.dumps({b"data": io.StringIO("x")}))
    with pytest.raises(UserError, match="cannot be read"):
        cifar100.read_archive(path)
