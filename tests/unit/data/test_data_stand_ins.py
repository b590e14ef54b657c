"""Stand-in archives have the official layouts and never show a test image."""

from __future__ import annotations

import itertools
import tarfile
import zipfile

import numpy as np
import pytest
from scipy.io import loadmat

from robustvit.core.errors import UserError
from robustvit.data.imagenet_labels import robustbench_files, validation_synset
from robustvit.data.stand_ins import PARTS, TRAIN_IMAGES, Photographs, make_stand_in

IMAGENET = {
    "source": "imagenet",
    "seed": 1,
    "classes": {"frog": "n01641577"},
    "train_per_class": 2,
    "val_per_class": 2,
}


def photographs(cifar10_source, source, seed=1):
    images = np.load(cifar10_source["files"]["images"], mmap_mode="r")
    return Photographs(images, np.load(cifar10_source["files"]["labels"]), source, seed)


def test_sources_share_no_image_whatever_their_seeds(cifar10_source):
    chosen = [
        set(photographs(cifar10_source, source, seed).choose("dog", stop - start).tolist())
        for seed, (source, (start, stop)) in enumerate(PARTS.items())
    ]
    assert all(one.isdisjoint(other) for one, other in itertools.combinations(chosen, 2))


def test_only_training_images_of_the_class_are_used(cifar10_source):
    labels = np.load(cifar10_source["files"]["labels"])
    chosen = photographs(cifar10_source, "imagenet").choose("dog", 4000)
    assert chosen.max() < TRAIN_IMAGES
    assert len(set(chosen.tolist())) == 4000
    assert set(labels[chosen]) == {5}


def test_the_seed_decides_which_images(cifar10_source):
    one, same, other = (
        photographs(cifar10_source, "imagenet", s).choose("dog", 9) for s in (1, 1, 2)
    )
    np.testing.assert_array_equal(one, same)
    assert set(one.tolist()) != set(other.tolist())


def test_imagenet_layout(stand_in, cifar10_source):
    source = stand_in("imagenet")
    assert (source["stand_in"], source["origin"]) == (True, "stand-in")
    labels = np.load(cifar10_source["files"]["labels"])
    with tarfile.open(source["files"]["train"]) as tar:
        assert tar.getnames() == ["n01641577.tar", "n02389026.tar", "n04285008.tar"]
        with tarfile.open(fileobj=tar.extractfile("n01641577.tar")) as inner:
            names = inner.getnames()
    assert len(names) == 5
    numbers = [int(name.removeprefix("n01641577_").removesuffix(".JPEG")) for name in names]
    assert set(labels[numbers]) == {6}  # frogs


def test_validation_names_belong_to_their_synset_and_robustbench_first(stand_in):
    with tarfile.open(stand_in("imagenet")["files"]["val"]) as tar:
        names = tar.getnames()
    assert names == sorted(names)
    assert len(names) == 9
    for synset in ("n01641577", "n02389026", "n04285008"):
        own = {name for name in names if validation_synset(name) == synset}
        listed = {name for synset_, name in robustbench_files() if synset_ == synset}
        assert len(own) == 3
        assert len(own & listed) == min(3, len(listed))


def test_caltech_layout(stand_in):
    with zipfile.ZipFile(stand_in("caltech101")["files"]["archive"]) as outer:
        assert outer.namelist() == ["caltech-101/101_ObjectCategories.tar.gz"]
        with outer.open(outer.namelist()[0]) as inner, tarfile.open(fileobj=inner) as tar:
            names = tar.getnames()
    assert len(names) == 66
    assert "101_ObjectCategories/BACKGROUND_Google/image_0001.jpg" in names
    assert "101_ObjectCategories/emu/image_0033.jpg" in names


def test_flowers_layout(stand_in):
    files = stand_in("oxford_flowers102")["files"]
    labels = loadmat(files["labels"])["labels"][0]
    splits = {key: loadmat(files["splits"])[key][0] for key in ("trnid", "valid", "tstid")}
    assert [len(split) for split in splits.values()] == [4, 2, 8]
    assert sorted(np.concatenate(list(splits.values()))) == list(range(1, 15))
    assert labels.tolist() == [1] * 7 + [3] * 7
    with tarfile.open(files["images"]) as tar:
        assert tar.getnames() == [f"jpg/image_{i:05d}.jpg" for i in range(1, 15)]


@pytest.mark.parametrize("source", list(PARTS))
def test_the_bytes_are_the_same_each_time(
    tmp_path, stand_in, stand_in_specs, cifar10_source, source
):

    make_stand_in(stand_in_specs[source], cifar10_source, tmp_path)
    first = stand_in(source)
    for role, path in first["files"].items():
        assert (tmp_path / path.name).read_bytes() == path.read_bytes(), role


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"classes": {"frogg": "n01641577"}}, 'unknown CIFAR-10 class "frogg".*"frog"'),
        ({"classes": {"frog": "n01641578"}}, 'unknown synset "n01641578"'),
        ({"train_per_class": 4400}, "only 4400 are set aside"),
        ({"val_per_class": 51}, "51 is more than ImageNet's 50"),
        ({"source": "imagnet"}, 'Did you mean "imagenet"'),
    ],
)
def test_impossible_requests_are_explained(tmp_path, cifar10_source, changes, message):
    with pytest.raises(UserError, match=message):
        make_stand_in({**IMAGENET, **changes}, cifar10_source, tmp_path)
