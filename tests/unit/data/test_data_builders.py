"""Builders: what is in the archive is in the set, with the right labels, or an error says why."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from robustvit.core.errors import UserError
from robustvit.core.files import read_json
from robustvit.data import cifar_plans, shards
from robustvit.data.cifar10_classes import CIFAR10_CLASSES
from robustvit.data.imagenet100 import SYNSETS
from robustvit.data.imagenet_labels import (
    choose_synsets,
    robustbench_files,
    validation_name,
    validation_synset,
    validation_synsets,
)
from robustvit.data.reading import TfdsImages
from robustvit.data.source_files import write_source
from robustvit.data.tar_writing import add_bytes, open_tar

SYNSETS_CHOSEN = ["n04285008", "n01641577"]
OWN_IMAGE = validation_synsets().index("n01641577") + 1  # a validation image of the second


def jpeg(size=(8, 6)) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, (200, 10, 10)).save(buffer, "jpeg")
    return buffer.getvalue()


def imagenet_source(folder, train=(), val=(), images=None) -> dict:
    """ILSVRC-layout archives: `train` lists synsets, `val` numbers, in this order."""
    images = images or {}
    files = {
        "train": folder / "ILSVRC2012_img_train.tar",
        "val": folder / "ILSVRC2012_img_val.tar",
    }
    with open_tar(files["train"]) as tar:
        for synset in train:
            inner = io.BytesIO()
            with open_tar(inner) as inner_tar:
                name = f"{synset}_1.JPEG"
                add_bytes(inner_tar, name, images.get(name, jpeg()))
            add_bytes(tar, f"{synset}.tar", inner.getvalue())
    with open_tar(files["val"]) as tar:
        for number in val:
            name = validation_name(number)
            add_bytes(tar, name, images.get(name, jpeg()))
    write_source(folder / "source.json", "imagenet", files, "mirror")
    return {"files": files, "stand_in": False, "origin": "mirror", "sha256": {}}


def test_imagenet_classes(stand_in, build, read_spec):
    path = build("imagenet_classes", stand_in("imagenet"), {"classes": SYNSETS_CHOSEN})
    manifest = read_json(path)
    assert manifest["classes"] == sorted(SYNSETS_CHOSEN)
    assert manifest["stand_in"] is True
    assert manifest["image_shape"] == [4, 4, 3]
    assert manifest["splits"]["train"]["class_counts"] == [5, 5]
    assert manifest["splits"]["validation"]["class_counts"] == [3, 3]
    train = TfdsImages(path, read_spec("train"))
    for name, label in zip(train.ids, train.labels, strict=True):
        assert name.startswith(manifest["classes"][label])
    validation = TfdsImages(path, read_spec("validation"))
    for name, label in zip(validation.ids, validation.labels, strict=True):
        assert validation_synset(name) == manifest["classes"][label]


def test_images_keep_their_bytes(stand_in, build, read_spec, cifar10_source):
    path = build("imagenet_classes", stand_in("imagenet"), {"classes": SYNSETS_CHOSEN})
    data = TfdsImages(path, read_spec("train"))
    originals = np.load(cifar10_source["files"]["images"], mmap_mode="r")
    for name, encoded in zip(data.ids, data.encoded(range(len(data))), strict=True):
        number = int(name.split("_")[1].removesuffix(".JPEG"))
        buffer = io.BytesIO()
        Image.fromarray(originals[number]).save(buffer, "jpeg", quality=95, subsampling=0)
        assert encoded == buffer.getvalue()


def test_validation_labels_follow_the_number_in_the_name(tmp_path, build, read_spec):
    """Also in an incomplete archive and in any order, where a place would give other labels."""
    numbers = [40_000, 3, 777]
    synsets = [validation_synset(validation_name(number)) for number in numbers]
    source = imagenet_source(tmp_path, train=set(synsets), val=numbers)
    path = build("imagenet_classes", source, {"classes": synsets})
    data = TfdsImages(path, read_spec("validation"))
    assert data.ids == [validation_name(number) for number in numbers]
    assert [data.classes[label] for label in data.labels] == synsets


def test_robustbench_list(stand_in, build, read_spec):
    options = {"file_list": "robustbench", "classes": SYNSETS_CHOSEN, "require_complete": False}
    path = build("imagenet_files", stand_in("imagenet"), options)
    listed = {name for synset, name in robustbench_files() if synset in SYNSETS_CHOSEN}
    data = TfdsImages(path, read_spec("validation"))
    assert set(data.ids) | set(read_json(path)["missing"]) == listed
    assert len(data) == 6
    with pytest.raises(UserError, match="listed images are not in it"):
        build("imagenet_files", stand_in("imagenet"), {"require_complete": True})


def test_imagenet_files_use_the_standard_labels_with_imagenet1k(tmp_path, build, read_spec):
    synset, name = robustbench_files()[0]
    number = int(name.split("_")[-1].removesuffix(".JPEG"))
    path = build("imagenet_files", imagenet_source(tmp_path, val=[number]))
    data = TfdsImages(path, read_spec("validation", num_classes=1000))
    assert data.ids == [name]
    assert data.labels.tolist() == [choose_synsets("imagenet1k").index(synset)]


def test_cifar10(build, read_spec, cifar10_source, monkeypatch, tmp_path):
    images = np.load(cifar10_source["files"]["images"], mmap_mode="r")[:50]
    labels = np.load(cifar10_source["files"]["labels"])[:50]
    files = {"images": tmp_path / "images.npy", "labels": tmp_path / "labels.npy"}
    np.save(files["images"], images)
    np.save(files["labels"], labels)
    monkeypatch.setattr(cifar_plans, "TRAIN_IMAGES", 40)
    path = build("cifar10", {**cifar10_source, "files": files})
    assert read_json(path)["classes"] == list(CIFAR10_CLASSES)
    train, test = (TfdsImages(path, read_spec(split)) for split in ("train", "test"))
    assert (len(train), len(test)) == (40, 10)
    assert test.ids[1] == "cifar10/test/00001"
    found = [*train.images(range(40)), *test.images(range(10))]
    np.testing.assert_array_equal(np.stack(found), images)
    assert [*train.labels, *test.labels] == labels.tolist()


def test_caltech101_takes_thirty_of_each_class_to_train(stand_in, build, read_spec):
    path = build("caltech101", stand_in("caltech101"))
    manifest = read_json(path)
    assert manifest["classes"] == ["background_google", "emu"]
    assert manifest["splits"]["train"]["class_counts"] == [30, 30]
    assert manifest["splits"]["test"]["class_counts"] == [3, 3]
    data = [TfdsImages(path, read_spec(split)) for split in ("train", "test")]
    assert len(set(data[0].ids) | set(data[1].ids)) == 66
    for split in data:
        for name, label in zip(split.ids, split.labels, strict=True):
            assert name.split("/")[0].lower() == split.classes[label]


def test_caltech101_official_classes_are_those_of_tfds(stand_in, build):
    path = build("caltech101", stand_in("caltech101"), {"classes": "official"})
    classes = read_json(path)["classes"]
    assert len(classes) == 102
    assert classes == sorted(classes)  # so that a complete archive's "present" is the same
    assert read_json(path)["splits"]["test"]["class_counts"][classes.index("emu")] == 3


def test_flowers_follow_the_official_lists(stand_in, build, read_spec):
    path = build("oxford_flowers102", stand_in("oxford_flowers102"))
    manifest = read_json(path)
    assert manifest["classes"] == ["species 1", "species 3"]
    counts = {name: split["class_counts"] for name, split in manifest["splits"].items()}
    assert counts == {"train": [2, 2], "validation": [1, 1], "test": [4, 4]}
    assert TfdsImages(path, read_spec("train")).ids[0] == "image_00001.jpg"
    path = build("oxford_flowers102", stand_in("oxford_flowers102"), {"classes": "official"})
    assert read_json(path)["splits"]["train"]["class_counts"][:4] == [2, 0, 2, 0]


def test_a_list_of_categories_leaves_the_others_out(stand_in, build):
    path = build("caltech101", stand_in("caltech101"), {"classes": ["emu"]})
    manifest = read_json(path)
    assert manifest["classes"] == ["emu"]
    assert manifest["splits"]["train"]["class_counts"] == [30]
    assert manifest["splits"]["test"]["class_counts"] == [3]


def test_a_list_of_species_leaves_the_others_out(stand_in, build, read_spec):
    path = build("oxford_flowers102", stand_in("oxford_flowers102"), {"classes": [3]})
    manifest = read_json(path)
    assert manifest["classes"] == ["species 3"]
    counts = {name: split["class_counts"] for name, split in manifest["splits"].items()}
    assert counts == {"train": [2], "validation": [1], "test": [4]}
    every = build("oxford_flowers102", stand_in("oxford_flowers102"), name="every")
    data = TfdsImages(every, read_spec("test"))
    ids = [name for name, label in zip(data.ids, data.labels, strict=True) if label == 1]
    assert TfdsImages(path, read_spec("test")).ids == ids


@pytest.mark.parametrize(
    ("builder", "classes", "message"),
    [
        ("caltech101", ["emu", "gerenuk"], "gerenuk.*emu"),
        ("caltech101", ["emu", "EMU"], "different categories"),
        ("caltech101", [1], "different categories"),
        ("oxford_flowers102", [1, 2], "species 2 .*holds 1, 3"),
        ("oxford_flowers102", [1, 1], "different numbers"),
        ("oxford_flowers102", ["rose"], "different numbers"),
        ("oxford_flowers102", [True], "different numbers"),
        ("oxford_flowers102", [], "different numbers"),
        ("oxford_flowers102", "all", "present"),
    ],
)
def test_classes_that_the_archive_has_not_are_explained(stand_in, build, builder, classes, message):
    with pytest.raises(UserError, match=message):
        build(builder, stand_in(builder), {"classes": classes})


@pytest.mark.parametrize(
    ("builder", "source"), [("imagenet_classes", "imagenet"), ("caltech101", "caltech101")]
)
def test_the_bytes_are_the_same_each_time(stand_in, build, builder, source):
    options = {"classes": SYNSETS_CHOSEN} if source == "imagenet" else {}
    one = build(builder, stand_in(source), options)
    first = {path.name: path.read_bytes() for path in (one.parent / "tfds").iterdir()}
    hashes = read_json(one)["sha256"]
    two = build(builder, stand_in(source), options)
    assert {path.name: path.read_bytes() for path in (two.parent / "tfds").iterdir()} == first
    assert read_json(two)["sha256"] == hashes


def test_tfds_reads_every_kind_of_set(stand_in, build, monkeypatch):
    """As a user of TFDS would, who has no TensorFlow; several shards among them."""
    tfds = pytest.importorskip("tensorflow_datasets")
    monkeypatch.setattr(shards, "SMALLEST_SHARD", 2000)
    path = build("imagenet_classes", stand_in("imagenet"), {"classes": SYNSETS_CHOSEN})
    assert len(read_json(path)["splits"]["train"]["shards"]) > 1
    builder = tfds.builder_from_directory(path.parent / "tfds")
    assert builder.info.features["label"].names == sorted(SYNSETS_CHOSEN)
    for split, count in (("train", 10), ("validation", 6)):
        source = builder.as_data_source(split=split)
        assert len(source) == count
        assert source[count - 1]["image"].shape == (4, 4, 3)


def test_an_image_that_does_not_decode_is_named(tmp_path, build):
    name = "n01641577_1.JPEG"
    for broken in (jpeg((90, 90))[:-300], b"no image", b""):
        source = imagenet_source(tmp_path, ["n01641577"], [OWN_IMAGE], {name: broken})
        with pytest.raises(UserError, match=rf"{name}: the image does not decode"):
            build("imagenet_classes", source, {"classes": ["n01641577"]}, "broken")
    assert not (tmp_path / "broken").exists()
    assert not list(tmp_path.glob(".broken*"))


@pytest.mark.parametrize("part", [0.2, 0.4, 0.6])
def test_a_truncated_training_tar_is_an_error(tmp_path, build, part):
    source = imagenet_source(tmp_path, ["n01641577", "n02389026", "n04285008"], [1])
    path = source["files"]["train"]
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * part)])
    with pytest.raises(UserError, match=r"ILSVRC2012_img_train\.tar.*damaged or truncated"):
        build("imagenet_classes", source, {"classes": ["n01641577"]}, "cut")
    assert not (tmp_path / "cut").exists()


def test_a_truncated_inner_tar_is_an_error(tmp_path, build):
    source = imagenet_source(tmp_path, ["n01641577"], [1])
    inner = io.BytesIO()
    with open_tar(inner) as tar:
        add_bytes(tar, "n01641577_1.JPEG", jpeg())
    with open_tar(source["files"]["train"]) as tar:
        add_bytes(tar, "n01641577.tar", inner.getvalue()[:600])
    with pytest.raises(UserError, match=r"n01641577\.tar: the archive is damaged"):
        build("imagenet_classes", source, {"classes": ["n01641577"]})


def test_absent_synsets_are_named(stand_in, build):
    with pytest.raises(UserError, match=r"no n01440764\.tar"):
        build("imagenet_classes", stand_in("imagenet"), {"classes": ["n01440764", "n01641577"]})


def test_a_repeated_image_is_an_error(tmp_path, build):
    source = imagenet_source(tmp_path, ["n01641577", "n01641577"], [OWN_IMAGE])
    with pytest.raises(UserError, match="more than once"):
        build("imagenet_classes", source, {"classes": ["n01641577"]})


def test_an_empty_split_is_an_error(tmp_path, build):
    source = imagenet_source(tmp_path, ["n01641577"], [1])
    assert validation_synset(validation_name(1)) != "n01641577"
    with pytest.raises(UserError, match="split validation would have no images"):
        build("imagenet_classes", source, {"classes": ["n01641577"]})


def test_too_few_caltech_images_are_an_error(tmp_path, cifar10_source, stand_in_specs, build):
    from robustvit.data.source_files import read_source
    from robustvit.data.stand_ins import make_stand_in

    make_stand_in({**stand_in_specs["caltech101"], "per_class": 20}, cifar10_source, tmp_path)
    with pytest.raises(UserError, match="has 20 images; the split needs at least 30"):
        build("caltech101", read_source(tmp_path / "source.json"))


@pytest.mark.parametrize(
    ("builder", "options", "message"),
    [
        ("imagenet_classes", {"clases": []}, "options.clases: the builder imagenet_classes has no"),
        ("imagenet_classes", {"classes": "imagenet10"}, "imagenet100"),
        ("imagenet_files", {"file_list": "robust"}, "robustbench"),
        ("imagenet_classes", {"classes": ["n01641577"] * 2}, "a list of different synsets"),
    ],
)
def test_wrong_options_are_explained(stand_in, build, builder, options, message):
    with pytest.raises(UserError, match=message):
        build(builder, stand_in("imagenet"), options)


def test_a_name_that_tfds_refuses_is_explained(stand_in, build):
    with pytest.raises(UserError, match="TFDS needs names like"):
        build("caltech101", stand_in("caltech101"), {}, "Caltech-101")


def test_imagenet100_are_the_papers_classes():
    import hashlib

    digest = hashlib.sha256("\n".join(SYNSETS).encode()).hexdigest()
    assert digest == "e719eb562ea7d8331e44682ee7020410d7748a6c715bbc8aff61f678685677eb"
    assert choose_synsets("imagenet100") == sorted(SYNSETS)
    listed = [synset for synset, _ in robustbench_files() if synset in set(SYNSETS)]
    assert len(listed) == 510


def test_robustbench_names_fit_the_validation_labels():
    files = robustbench_files()
    assert len(files) == 5000
    assert all(validation_synset(name) == synset for synset, name in files)


@pytest.mark.parametrize("name", ["ILSVRC2012_val_00050001.JPEG", "n01440764_1.JPEG", "x.JPEG"])
def test_names_that_are_no_validation_images_are_refused(name):
    with pytest.raises(UserError):
        validation_synset(name)
