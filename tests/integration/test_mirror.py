"""The pipeline on real archives in the official layouts, where such a mirror exists."""

import json

import pytest
import yaml

from tests.integration.conftest import Run, copy_checkout
from tests.integration.test_smoke import pdf_text

pytestmark = [pytest.mark.end_to_end, pytest.mark.xdist_group("mirror")]

SYNSETS = ["n01770393", "n02110341", "n03642806", "n04254680"]


@pytest.fixture(scope="module")
def run(tmp_path_factory, mirror):
    """A run whose ImageNet, Caltech-101 and Flowers come from the mirror."""
    run = Run(copy_checkout(tmp_path_factory.mktemp("mirror")))
    run.results = run.folder / "results" / "mirror"
    overlay = run.folder / "overlay.yaml"
    overlay.write_text(yaml.safe_dump({"paths": {"mirror": [str(mirror)]}}))
    done = run.snakemake(
        *("--configfile", "configs/demo.yaml", "configs/smoke.yaml"),
        *("tests/integration/mirror.yaml", overlay, "--cores", "2"),
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-6000:]
    return run


def manifest(run, name):
    return json.loads((run.results / "datasets" / name / "manifest.json").read_text())


@pytest.mark.parametrize(
    ("name", "classes", "counts"),
    [
        ("demo_imagenet4", 4, {"train": 96, "validation": 32}),
        ("demo_caltech101", 4, {"train": 120, "test": 80}),
        ("demo_flowers", 5, {"train": 50, "validation": 50, "test": 300}),
    ],
)
def test_sets_hold_what_the_archives_hold(run, name, classes, counts):
    found = manifest(run, name)
    assert found["stand_in"] is False and found["origin"] == "mirror"
    assert len(found["classes"]) == classes
    for split, count in counts.items():
        assert found["splits"][split]["num_examples"] == count


def test_list_holds_robustbench_files_of_the_chosen_classes(run):
    found = manifest(run, "demo_imagenet_list")
    assert found["classes"] == SYNSETS
    assert 0 < found["splits"]["validation"]["num_examples"] <= 32


def test_report_marks_no_set_as_a_stand_in(run):
    text = pdf_text(run.results / "report.pdf")
    assert "Official archives from a mirror" in text
    summary = json.loads((run.results / "summary.json").read_text())
    assert not any(entry["stand_in"] for entry in summary["datasets"].values())
    # The miniature archives are real photographs, and not the whole official ones: that is told.
    assert {entry["complete"] for entry in summary["datasets"].values()} == {False}
    assert "not the complete official one" in text
    assert "Caltech-101: images per class" in text
