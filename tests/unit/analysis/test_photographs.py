"""Semantics of perturbations on real photographs with a real ImageNet classifier.

The photographs are those of the mirror beside the checkout, the weights those of a Python package;
without either the tests are skipped. PHOTOGRAPHS and ATTACK_STEPS in the environment enlarge them.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml

from robustvit.analysis.classification import classify
from robustvit.analysis.comparison import compare
from robustvit.analysis.perturbations import make_perturbations
from robustvit.config import analysis_specs, specs
from robustvit.config.resolve import resolve
from robustvit.core import plugins
from robustvit.core.files import read_json, write_json
from robustvit.data.archive_building import build_archive
from robustvit.data.source_files import read_source
from robustvit.data.writing import About
from robustvit.evaluation.rows import write_rows
from robustvit.models.imported import import_model
from robustvit.models.weights import save_weights
from robustvit.training.devices import open_device

NAME, MODEL = "photographs", "efficientnet_lite0"
COUNT, STEPS = (int(os.environ.get(*pair)) for pair in (("PHOTOGRAPHS", 24), ("ATTACK_STEPS", 3)))
CONTROLS = ["shuffled_pixels", "random_sign", "other_sign"]


@pytest.fixture(scope="module")
def config() -> dict:
    """The paper's configuration with an analysis of the shipped classifier, by itself."""
    root = Path(__file__).resolve().parents[3]
    settings = yaml.safe_load((root / "workflow_config.yaml").read_text(encoding="utf-8"))
    attacked = {"label": "Photographs", "dataset": "imagenet_rb5k", "num_examples": COUNT}
    attacked |= {"generators": [MODEL], "classifiers": [MODEL], "controls": CONTROLS}
    attacked |= {"threat": {"norm": "linf", "epsilon_255": 4}, "sign": "minus"}
    attacked |= {"options": {"steps": STEPS, "step_factor": 1.5}}
    return resolve(settings | {"semantics": settings["semantics"] | {NAME: attacked}})


@pytest.fixture(scope="module")
def weights(config, tmp_path_factory) -> Path:
    """The package's weights, imported as the workflow imports them."""
    path = tmp_path_factory.mktemp("lite") / "weights.safetensors"
    model, source = import_model(specs.checkpoint_spec(config, MODEL), None)
    assert source["checked"] == "configuration"
    save_weights(path, model, {})
    return path


@pytest.fixture(scope="module")
def photographs(mirror, tmp_path_factory) -> Path:
    """The mirror's validation photographs of RobustBench's list, with ImageNet's 1,000 labels."""
    folder = tmp_path_factory.mktemp("photographs")
    (folder / "source").mkdir()
    plugins.load("robustvit.data.sources", "imagenet").fetch([str(mirror)], folder / "source")
    source = read_source(folder / "source" / "source.json")
    options = {"file_list": "robustbench", "classes": "imagenet1k", "require_complete": False}
    plan = plugins.load("robustvit.data.builders", "imagenet_files").plan(source, options)
    about = About("imagenet_rb5k", "imagenet_files", source, options)
    path = folder / "set" / "manifest.json"
    build_archive(plan, path, about, work_dir=folder / "work")
    return path


@pytest.fixture(scope="module")
def classified(config, weights, photographs, tmp_path_factory) -> tuple[dict, dict]:
    """Summary and comparison of the perturbations, made and classified by the same model."""
    folder, cpu = tmp_path_factory.mktemp("semantics"), open_device("cpu", 1)
    made = folder / MODEL / "manifest.json"
    stand_in = dict.fromkeys(config["datasets"], False)
    spec = analysis_specs.perturb_spec(config, NAME, MODEL, stand_in)
    make_perturbations(spec, photographs, weights, made, made.with_name("examples.npz"), cpu)
    spec = analysis_specs.classify_spec(config, NAME, MODEL, MODEL)
    rows, summary, names = classify(spec, made, weights, cpu)
    write_rows(made.with_name(f"{MODEL}.parquet"), rows, names)
    write_json(made.with_name(f"{MODEL}.json"), summary)
    return summary, compare(analysis_specs.comparison_spec(config, NAME), folder)


def test_the_shipped_classifier_knows_the_photographs(config, weights, photographs, tmp_path):
    """As a picture is classified, so is a photograph: 1,000 classes, and most are right."""
    spec = analysis_specs.classify_spec(config, NAME, MODEL, MODEL) | {"controls": []}
    made = read_json(photographs)
    copied = tmp_path / "manifest.json"
    copied.with_name("tfds").symlink_to(photographs.with_name("tfds"))
    for file in photographs.parent.iterdir():
        if file.name not in ("tfds", "manifest.json"):
            copied.with_name(file.name).symlink_to(file)
    write_json(copied, made)
    _, summary, _ = classify(spec, copied, weights, open_device("cpu", 1))
    assert summary["images"] == {"image_size": 224, "crop_pct": 0.875, "interpolation": "bicubic"}
    assert summary["top1"]["value"] > 0.6
    assert summary["top5"]["value"] > 0.8
    assert summary["verdict_top1"] == "above chance"


def test_controls_fall_to_chance_on_real_photographs(classified):
    summary, compared = classified
    for name in ("shuffled_pixels", "random_sign"):
        control = summary["controls"][name]
        assert control["verdict_top1"] == control["verdict_top5"] == "at chance", control
        assert control["p_value_top5"] > 0.01
    assert compared["controls_at_chance"] is True
    assert len(compared["controls"]) == 2 * len(CONTROLS)


def test_perturbations_of_a_standard_model_show_far_less_than_photographs(classified):
    """The thesis finds below 1 % (top-5) for standard models; the photographs have over 80 %."""
    summary, _ = classified
    assert summary["num_examples"] == COUNT
    assert summary["top5"]["value"] < 0.2
