"""The synthetic CIFAR-10 images in the layouts in which people have them."""

from __future__ import annotations

import numpy as np
import pytest

from robustvit.core.errors import UserError
from robustvit.core.files import read_json
from robustvit.data import image_arrays
from robustvit.data.builders import cifar_ddpm as builder
from robustvit.data.reading import TfdsImages
from robustvit.data.source_files import read_source
from robustvit.data.sources import cifar_ddpm as source

IMAGES = np.random.default_rng(0).integers(0, 256, (50, 32, 32, 3), np.uint8)
LABELS = np.arange(50) * 7 % 10


def write_bin(folder) -> None:
    (folder / "cifar_ddpm_improvedddpm_sorted_images.bin").write_bytes(IMAGES.tobytes())
    np.save(folder / "cifar_ddpm_improvedddpm_sorted_labels.npy", LABELS)


def write_npy(folder) -> None:
    np.save(folder / "cifar_ddpm_images.npy", IMAGES)
    np.save(folder / "cifar_ddpm_labels.npy", LABELS.astype(np.uint8))


def write_npz(folder) -> None:
    np.savez(folder / "cifar10_ddpm.npz", image=IMAGES, label=LABELS)


def write_compressed(folder) -> None:
    np.savez_compressed(folder / "cifar10_ddpm.npz", image=IMAGES, label=LABELS)


@pytest.fixture
def fetched(tmp_path):
    """Return a function that fetches what a function has written into a mirror."""

    def fetch(write) -> dict:
        mirror = tmp_path / "mirror" / "cifar_ddpm"
        mirror.mkdir(parents=True)
        write(mirror)
        (tmp_path / "source").mkdir()
        source.fetch([str(tmp_path / "mirror")], tmp_path / "source")
        return read_source(tmp_path / "source" / "source.json")

    return fetch


@pytest.mark.parametrize("write", [write_bin, write_npy, write_npz, write_compressed])
def test_every_layout_is_built_without_loss(write, fetched, build, read_spec, monkeypatch):
    monkeypatch.setattr(image_arrays, "ROWS", 16)
    path = build("cifar_ddpm", fetched(write))
    data = TfdsImages(path, read_spec("train", num_classes=10))
    assert data.ids[:2] == ["cifar_ddpm/00000000", "cifar_ddpm/00000001"]
    assert data.labels.tolist() == LABELS.tolist()
    assert np.array_equal(np.stack(data.images(range(50))), IMAGES)
    manifest = read_json(path)
    assert manifest["origin"] == "mirror" and manifest["classes"][3] == "cat"
    assert manifest["splits"]["train"]["class_counts"] == [5] * 10


def test_images_that_are_nowhere_are_asked_for(tmp_path):
    with pytest.raises(UserError, match=r"mirror/cifar_ddpm/ as .*\.bin and .*cifar10_ddpm\.npz:"):
        source.fetch([str(tmp_path)], tmp_path)


def test_another_number_of_images_is_refused(fetched, build):
    found = fetched(write_npz)
    with pytest.raises(UserError, match="50 images, expected 15402688"):
        build("cifar_ddpm", found, {"expected_counts": "official"})
    path = build("cifar_ddpm", found, {"expected_counts": {"train": {"total": 50}}})
    assert read_json(path)["splits"]["train"]["num_examples"] == 50


def changed(**arrays):
    return lambda folder: np.savez(
        folder / "cifar10_ddpm.npz", **{"image": IMAGES, "label": LABELS, **arrays}
    )


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (changed(label=LABELS[:49]), "49 labels for the 50 images"),
        (changed(label=LABELS + 1), "labels from 1 to 10; expected 0 to 9"),
        (changed(label=LABELS / 2), "whole number"),
        (changed(image=IMAGES.astype(np.float32)), r"uint8 images of \[32, 32, 3\], found"),
        (changed(image=np.moveaxis(IMAGES, 3, 1)), r"found an array uint8 \[50, 3, 32, 32\]"),
        (
            lambda folder: np.savez(folder / "cifar10_ddpm.npz", images=IMAGES, label=LABELS),
            "has no array `image` but images, label",
        ),
    ],
)
def test_other_arrays_are_refused(write, message, fetched):
    with pytest.raises(UserError, match=message):
        builder.plan(fetched(write), {})


def test_bytes_that_are_no_whole_number_of_images_are_refused(fetched):
    def write(folder) -> None:
        write_bin(folder)
        with (folder / "cifar_ddpm_improvedddpm_sorted_images.bin").open("ab") as file:
            file.write(b"x")

    with pytest.raises(UserError, match="and a part of one"):
        builder.plan(fetched(write), {})


def test_a_file_that_is_cut_off_is_named(fetched, build):
    found = fetched(write_npy)
    path = found["files"]["images"]
    path.write_bytes(path.read_bytes()[:-5000])
    with pytest.raises(UserError, match=r"cifar_ddpm_images\.npy: the archive is damaged"):
        build("cifar_ddpm", found)
