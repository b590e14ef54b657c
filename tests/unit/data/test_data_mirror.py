"""The builders on real photographs in the official layouts (skipped where there are none)."""

from __future__ import annotations

from pathlib import PurePosixPath

import numpy as np
import pytest
from archive_samples import content

from robustvit.core import plugins
from robustvit.core.files import read_json
from robustvit.data import shards
from robustvit.data.evaluation_images import load_eval_batch
from robustvit.data.imagenet_labels import validation_synset
from robustvit.data.members import tar_members
from robustvit.data.reading import TfdsImages
from robustvit.data.source_files import read_source


@pytest.fixture
def fetched(tmp_path, mirror):
    """Return a function that fetches a source from the mirror."""

    def run(source: str) -> dict:
        folder = tmp_path / "sources" / source
        folder.mkdir(parents=True)
        plugins.load("robustvit.data.sources", source).fetch([str(mirror)], folder)
        return read_source(folder / "source.json")

    return run


def test_imagenet(fetched, build, read_spec):
    source = fetched("imagenet")
    assert (source["origin"], source["stand_in"]) == ("mirror", False)
    path = build("imagenet_classes", source, {"classes": ["n01768244", "n02672831"]})
    counts = {name: split["class_counts"] for name, split in read_json(path)["splits"].items()}
    assert counts == {"train": [24, 24], "validation": [8, 8]}
    spec = read_spec("validation", image_size=96, crop_pct=0.875)
    images, labels = load_eval_batch(path, spec, range(16))
    assert images.shape == (16, 3, 96, 96)
    assert images.min() >= 0 and images.max() <= 1 and images.std() > 0.1
    names = TfdsImages(path, spec).ids
    expected = [["n01768244", "n02672831"].index(validation_synset(name)) for name in names]
    assert labels.tolist() == expected


def test_all_of_imagenet_with_any_number_of_processes(fetched, build, monkeypatch):
    """Twenty synsets with 24 and 8 photographs each, in one shard and in several."""
    source = fetched("imagenet")
    synsets = [PurePosixPath(m.name).stem for m in tar_members(source["files"]["train"])]
    one = content(build("imagenet_classes", source, {"classes": synsets}).parent)
    splits = one["manifest.json"]["splits"]
    assert splits["train"]["class_counts"] == [24] * 20
    assert splits["validation"]["class_counts"] == [8] * 20
    assert one["manifest.json"]["source_sha256"] == source["sha256"]
    monkeypatch.setattr(shards, "SMALLEST_SHARD", 1_000_000)
    several = [
        content(build("imagenet_classes", source, {"classes": synsets}, workers=n).parent)
        for n in (1, 2)
    ]
    assert several[0] == several[1]
    assert len(several[0]["manifest.json"]["splits"]["train"]["shards"]) > 5
    ids = "index_train_ids.npy"
    assert several[0][ids] == one[ids]


def test_robustbench_list_has_72_of_the_mirrors_images(fetched, build):
    manifest = read_json(build("imagenet_files", fetched("imagenet_val")))
    assert manifest["splits"]["validation"]["num_examples"] == 72
    assert len(manifest["missing"]) == 4928
    assert len(manifest["classes"]) == 1000


def test_caltech101(fetched, build):
    manifest = read_json(build("caltech101", fetched("caltech101")))
    assert len(manifest["classes"]) == 13
    assert manifest["splits"]["train"]["class_counts"] == [30] * 13
    assert manifest["splits"]["test"]["class_counts"] == [20] * 13
    assert manifest["image_shape"] == [None, None, 3]


def test_flowers(fetched, build, read_spec):
    path = build("oxford_flowers102", fetched("oxford_flowers102"))
    manifest = read_json(path)
    assert len(manifest["classes"]) == 12
    counts = {name: split["class_counts"] for name, split in manifest["splits"].items()}
    assert counts == {"train": [10] * 12, "validation": [10] * 12, "test": [60] * 12}
    data = TfdsImages(path, read_spec("test"))
    image, _ = data[0]
    assert image.shape == (224, 224, 3) and image.dtype == np.uint8
