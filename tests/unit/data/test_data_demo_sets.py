"""The demo's sets keep their classes whatever else a user's archive holds."""

from __future__ import annotations

import pytest
import yaml

from robustvit.core import plugins
from robustvit.data.source_files import read_source
from robustvit.data.stand_ins import make_stand_in

# As many classes as CIFAR-10 can stand in for, the demo's among them.
NAMES = ["airplane", "automobile", "bird", "cat", "deer", "dog"]
CATEGORIES = ["BACKGROUND_Google", "emu", "gerenuk", "accordion", "watch", "ewer"]
LARGER = {
    "caltech101": {"classes": dict(zip(NAMES, CATEGORIES, strict=True)), "per_class": 31},
    "oxford_flowers102": {
        "classes": dict(zip(NAMES, range(1, 7), strict=True)),
        "train_per_class": 2,
        "val_per_class": 1,
        "test_per_class": 1,
    },
}


@pytest.mark.parametrize("name", ["demo_caltech101", "demo_flowers"])
def test_an_archive_with_more_classes_gives_the_same_set(
    repository, tmp_path, cifar10_source, name
):
    config = yaml.safe_load((repository / "configs" / "demo.yaml").read_text(encoding="utf-8"))
    entry = config["datasets"][name]
    source = entry["source"]
    builder = plugins.load("robustvit.data.builders", entry["builder"])
    found = []
    for kind, spec in (("own", config["stand_ins"][source]), ("larger", LARGER[source])):
        folder = tmp_path / kind
        folder.mkdir()
        make_stand_in({"source": source, "seed": 1, **spec}, cifar10_source, folder)
        plan = builder.plan(read_source(folder / "source.json"), entry["options"])
        labels = {entry.label for entry in plan.entries()}
        assert labels == set(range(entry["num_classes"]))
        found.append(plan.classes)
    assert found[0] == found[1]
    assert len(found[0]) == entry["num_classes"]


def test_tfds_knows_the_demos_categories(repository):
    from robustvit.data.package_files import package_file

    config = yaml.safe_load((repository / "configs" / "demo.yaml").read_text(encoding="utf-8"))
    chosen = config["datasets"]["demo_caltech101"]["options"]["classes"]
    assert sorted(chosen) == sorted(config["stand_ins"]["caltech101"]["classes"].values())
    path = package_file("tensorflow_datasets", "image_classification/caltech101_labels.txt")
    assert {name.lower() for name in chosen} <= set(path.read_text(encoding="utf-8").split())
