"""The same files reach each model with the same pixels as through RobustBench's own loader."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest
import torch
import yaml

from robustvit.config.specs import dataset_spec
from robustvit.core import plugins
from robustvit.data.archive_building import build_archive
from robustvit.data.evaluation_images import load_batch
from robustvit.data.imagenet_labels import choose_synsets, robustbench_files
from robustvit.data.reading import TfdsImages
from robustvit.data.source_files import read_source
from robustvit.data.writing import About
from robustvit.models.zoo import import_robustbench

pytestmark = pytest.mark.slow
CONFIG = yaml.safe_load((Path(__file__).parents[3] / "workflow_config.yaml").read_text())
ZOO = sorted(
    name
    for name, model in CONFIG["models"].items()
    if model["family"] == "robustbench" and model["args"]["dataset"] == "imagenet"
)


@pytest.fixture(scope="module")
def manifest(mirror, tmp_path_factory) -> Path:
    """The mirror's 72 photographs of RobustBench's list, as this project builds the set."""
    folder = tmp_path_factory.mktemp("built")
    plugins.load("robustvit.data.sources", "imagenet").fetch([str(mirror)], folder)
    source = read_source(folder / "source.json")
    options = {**CONFIG["datasets"]["imagenet_rb5k"]["options"], "require_complete": False}
    plan = plugins.load("robustvit.data.builders", "imagenet_files").plan(source, options)
    path = folder / "set" / "manifest.json"
    about = About("imagenet_rb5k", "imagenet_files", source, options)
    build_archive(plan, path, about, work_dir=folder / "work")
    return path


@pytest.fixture(scope="module")
def folder(mirror, tmp_path_factory) -> Path:
    """The same files in folders by class, as RobustBench's loader wants them."""
    folder = tmp_path_factory.mktemp("val")
    for synset in choose_synsets("imagenet1k"):
        (folder / synset).mkdir()
    places = {name: folder / synset / name for synset, name in robustbench_files()}
    with tarfile.open(mirror / "imagenet" / "ILSVRC2012_img_val.tar") as tar:
        for member in tar:
            if member.name in places:
                places[member.name].write_bytes(tar.extractfile(member).read())
    return folder


def robustbench_loader(folder: Path, model: str):
    """RobustBench's data set with the preprocessing that it chooses for the model."""
    enums = import_robustbench("robustbench.model_zoo.enums")
    choice = enums.BenchmarkDataset.imagenet, enums.ThreatModel.Linf, model, None
    with torch.device("meta"):  # it builds timm's models, to ask them for their settings
        transform = import_robustbench("robustbench.data").get_preprocessing(*choice)
    return import_robustbench("robustbench.loaders").CustomImageFolder(str(folder), transform)


@pytest.mark.parametrize("name", ZOO)
def test_pixels_and_labels_are_those_of_robustbenchs_loader(name, manifest, folder):
    model = CONFIG["models"][name]
    theirs = robustbench_loader(folder, model["args"]["model"])
    there = [i for i, (path, _) in enumerate(theirs.samples) if Path(path).exists()]
    assert len(there) == 72
    keys = {key: model.get(key) for key in ("crop_pct", "interpolation")}
    spec = dataset_spec(CONFIG, "imagenet_rb5k", "validation", **keys)
    ours = TfdsImages(manifest, spec)
    places = {Path(identifier).name: place for place, identifier in enumerate(ours.ids)}
    for index in there[::4]:
        image, label, path = theirs[index]
        own, labels = load_batch(ours, spec, [places[Path(path).name]])
        assert labels.tolist() == [label]
        assert torch.equal(own[0], image)
