"""The paper's lists of classes and images: which, how many, and a hash of each."""

from __future__ import annotations

import hashlib
from collections import Counter

import numpy as np
import pytest
import yaml
from archive_samples import SYNSETS as SMALL
from archive_samples import imagenet_source
from numpy.random import RandomState

from robustvit.core import plugins
from robustvit.core.errors import UserError
from robustvit.core.files import read_json
from robustvit.data.building import check_expected_counts
from robustvit.data.imagenet100 import SYNSETS
from robustvit.data.imagenet_labels import (
    all_synsets,
    robustbench_files,
    validation_synset,
    validation_synsets,
)
from robustvit.data.index import Names, names_file

IMAGENET100_SHA256 = "e719eb562ea7d8331e44682ee7020410d7748a6c715bbc8aff61f678685677eb"
# Of the file names in the order of the list, taken from the released code's own copy of it.
ROBUSTBENCH_SHA256 = "1ea7e48399f717bc8a0b0f453571795dcceb96e96f0688ba66166690ccd9526a"
# Of the sorted lines "category/file split" of the small archive in `caltech_files`.
CALTECH_RULE_SHA256 = "ebd8e95e3465a36f8e03d4d5d26e6d343145ef27732a55bd95f57fc49389e5f0"
# In the order in which the paper's program draws them (specification, A3).
DRAWN = """
339 777 129 822 616 214 204 912 698 677 408 12 911 869 61 931 2 372 242 909 809 486 227 577 414
758 888 789 937 501 448 301 173 323 33 128 776 87 549 481 180 661 69 366 233 798 43 410 385 510
392 284 586 826 908 737 21 108 45 68 613 947 681 802 682 79 101 725 29 495 752 553 750 926 938
252 831 169 880 265 544 316 623 644 292 268 624 688 769 343 47 823 812 165 311 763 720 961 515
729
"""
ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))


def sha256(lines) -> str:
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def threefry_block(key, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Threefry-2x32 with 20 rounds (Salmon et al. 2011) of the counters (x, y), uint32 arrays."""
    keys = [np.uint32(key[0]), np.uint32(key[1])]
    keys.append(keys[0] ^ keys[1] ^ np.uint32(0x1BD11BDA))
    x, y = x + keys[0], y + keys[1]
    for block in range(5):
        for bits in ROTATIONS[block % 2]:
            x = x + y
            y = ((y << np.uint32(bits)) | (y >> np.uint32(32 - bits))) ^ x
        x = x + keys[(block + 1) % 3]
        y = y + (keys[(block + 2) % 3] + np.uint32(block + 1))
    return x, y


def random_words(key, count: int) -> np.ndarray:
    """`count` (even) words as JAX before 0.5 lays them out: the counters' halves are paired."""
    return np.concatenate(threefry_block(key, *np.split(np.arange(count, dtype=np.uint32), 2)))


@pytest.fixture(autouse=True)
def _modular_arithmetic():
    with np.errstate(over="ignore"):
        yield


def test_threefry_is_the_published_one():
    """The known answer of its authors for key 0 and counter 0, and JAX's `split(PRNGKey(0))`."""
    zero = np.zeros(1, np.uint32)
    found = [int(word[0]) for word in threefry_block((0, 0), zero, zero)]
    assert found == [0x6B200159, 0x99BA4EFE]
    split = random_words((0, 0), 4).reshape(2, 2)
    assert split.tolist() == [[4146024105, 967050713], [2718843009, 1272950319]]


def test_imagenet100_is_what_the_papers_key_draws():
    _, key = random_words((0, 0), 4).reshape(2, 2)
    drawn = np.argsort(random_words(key, 1000), kind="stable")[:100]
    assert drawn.tolist() == [int(index) for index in DRAWN.split()]
    assert sorted(all_synsets()[index] for index in drawn) == list(SYNSETS)


def test_imagenet100_is_the_list_of_the_specification():
    assert len(set(SYNSETS)) == 100
    assert list(SYNSETS) == sorted(SYNSETS)
    assert sha256(SYNSETS) == IMAGENET100_SHA256


def test_imagenet_has_a_thousand_sorted_synsets_and_fifty_validation_images_each():
    assert len(all_synsets()) == 1000
    assert list(all_synsets()) == sorted(all_synsets())
    assert set(Counter(validation_synsets()).values()) == {50}
    assert len(validation_synsets()) == 50_000
    # 5,000 validation images of ImageNet-100.
    assert sum(synset in SYNSETS for synset in validation_synsets()) == 5000


def test_robustbenchs_list_is_the_one_of_the_paper():
    files = robustbench_files()
    per_class = Counter(synset for synset, _ in files)
    assert len(files) == len(set(files)) == 5000
    assert len(per_class) == 997
    assert (min(per_class.values()), max(per_class.values())) == (1, 12)
    assert Counter(per_class.values()).most_common(1)[0][0] == 5
    assert sum(synset in SYNSETS for synset, _ in files) == 510
    assert sha256(name for _, name in files) == ROBUSTBENCH_SHA256


def test_robustbenchs_folders_are_the_official_labels():
    assert all(validation_synset(name) == synset for synset, name in robustbench_files())


def caltech_files() -> dict[str, list[str]]:
    """A small archive's names; two classes have files that are no images or too many to train."""
    names = {"BACKGROUND_Google": 40, "Faces": 33, "emu": 31}
    files = {
        category: [f"image_{number:04d}.jpg" for number in range(1, count + 1)]
        for category, count in names.items()
    }
    files["BACKGROUND_Google"].append("tmp")
    return files


def test_caltechs_rule_draws_thirty_of_each_class_with_seed_1234():
    builder = plugins.load("robustvit.data.builders", "caltech101")
    files = caltech_files()
    train = builder._training_files(files, "archive")
    random = RandomState(1234)  # TFDS seeds NumPy's legacy generator once for all classes
    expected = {
        f"{category}/{name}"
        for category, names in files.items()
        for name in random.choice(names, 30, replace=False)
    }
    assert train == expected
    lines = sorted(
        f"{category}/{name} {'train' if f'{category}/{name}' in train else 'test'}"
        for category, names in files.items()
        for name in names
    )
    assert sha256(lines) == CALTECH_RULE_SHA256


def test_the_manifest_tells_which_images_are_in_a_split(stand_in, build):
    """So that the split of a complete archive can be compared between machines."""
    manifest = read_json(build("caltech101", stand_in("caltech101")))
    folder = build("caltech101", stand_in("caltech101")).parent
    ids = Names(names_file(folder, "train"))
    assert manifest["splits"]["train"]["ids_sha256"] == sha256(sorted(ids))
    assert manifest["splits"]["train"]["ids_sha256"] != manifest["splits"]["test"]["ids_sha256"]


def test_caltechs_file_that_is_no_image_is_not_drawn():
    """BACKGROUND_Google, the first category, has 467 images and a file `tmp`, which sorts last.

    TFDS draws over it too; had it been drawn, the training split would have 3,059 images.
    """
    assert 467 not in RandomState(1234).choice(468, 30, replace=False)


FLOWERS = {
    "train": {"total": 4, "per_class": 2},
    "validation": {"total": 2, "per_class": 1},
    "test": {"total": 8},
}


def test_a_complete_archive_passes_its_expected_counts(stand_in, build):
    build("oxford_flowers102", stand_in("oxford_flowers102"), {"expected_counts": FLOWERS})
    counts = {"train": {"total": 60, "per_class": 30}, "test": {"total": 6, "per_class": 3}}
    build("caltech101", stand_in("caltech101"), {"expected_counts": counts}, "caltech")
    counts = {"train": {"total": 15}, "validation": {"per_class": 3}}
    classes = ["n01641577", "n02389026", "n04285008"]
    options = {"classes": classes, "expected_counts": counts}
    build("imagenet_classes", stand_in("imagenet"), options, "imagenet")


@pytest.mark.parametrize(
    ("builder", "counts", "message"),
    [
        ("oxford_flowers102", {"test": {"total": 6149}}, r"test\.total: the split has 8 images"),
        ("oxford_flowers102", {"train": {"per_class": 10}}, "class species 1 has 2 images"),
        ("caltech101", {"train": {"total": 3060}}, r"train\.total: the split has 60 .* 3060"),
        ("imagenet_classes", {"validation": {"per_class": 50}}, "class n01641577 has 3 images"),
        ("imagenet_classes", {"test": {"total": 1}}, 'unknown split "test"'),
        ("caltech101", {"train": 3060}, "3060 is not understood"),
        ("caltech101", "complete", "'complete' is not understood"),
        ("caltech101", "official", r"train\.total: the split has 60 images, expected 3060"),
        ("oxford_flowers102", "official", "the split has 4 images, expected 1020"),
        ("caltech101", {"train": {"all": 3060}}, "Example: .expected_counts"),
    ],
)
def test_an_incomplete_archive_is_an_error_that_names_split_or_class(
    stand_in, build, builder, counts, message
):
    source = stand_in(builder.replace("_classes", ""))
    options = {"expected_counts": counts}
    if builder == "imagenet_classes":
        options["classes"] = ["n01641577", "n04285008"]
    with pytest.raises(UserError, match=message):
        build(builder, source, options)


def test_cifar10_counts_what_it_is_given(cifar10_source, build):
    with pytest.raises(UserError, match=r"expected_counts\.test\.total"):
        build("cifar10", cifar10_source, {"expected_counts": {"test": {"total": 1}}})
    with pytest.raises(UserError, match=r"class \w+ has"):  # its labels are random
        build("cifar10", cifar10_source, {"expected_counts": "official"})


@pytest.mark.parametrize("complete", [False, None])
def test_official_counts_of_some_synsets_need_the_official_archives(tmp_path, complete):
    """How many training images a class of ImageNet has is not known beforehand: one would do."""
    source = {**imagenet_source(tmp_path, per_class=1), "complete": complete}
    plan = plugins.load("robustvit.data.builders", "imagenet_classes").plan
    options = {"classes": list(SMALL), "expected_counts": "official"}
    with pytest.raises(UserError, match=r"options\.expected_counts: official .* \(`complete`"):
        plan(source, options)
    assert plan({**source, "complete": True}, options).official
    assert plan(source, {**options, "expected_counts": {"train": {"total": 3}}}).classes


def test_cifar100_is_built_by_its_official_counts(repository):
    datasets = yaml.safe_load((repository / "workflow_config.yaml").read_text())["datasets"]
    assert datasets["cifar100"]["options"] == {"expected_counts": "official"}


def test_without_expectations_nothing_is_checked():
    official = {"train": {"total": 1}}
    for options in ({}, {"expected_counts": None}, {"expected_counts": {}}):
        check_expected_counts(options, official, ["train"], ["a"], Counter())


def test_official_counts_are_those_of_the_paper():
    def official(builder: str) -> dict:
        return plugins.load("robustvit.data.builders", builder).OFFICIAL_COUNTS

    flowers = {split: values["total"] for split, values in official("oxford_flowers102").items()}
    assert flowers == {"train": 1020, "validation": 1020, "test": 6149}
    caltech = {split: values["total"] for split, values in official("caltech101").items()}
    assert caltech == {"train": 102 * 30, "test": 9144 - 102 * 30}
    imagenet = plugins.load("robustvit.data.builders", "imagenet_classes").official_counts
    assert imagenet(list(all_synsets()))["train"] == {"total": 1_281_167}
    assert imagenet(list(SYNSETS)) == {"validation": {"per_class": 50}}
