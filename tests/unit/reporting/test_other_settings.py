"""Results of settings that were changed since: found, named, marked, and without verdicts."""

import copy
import csv
import json

import pytest
import synthetic_specs as specs
from pdf_reading import pages_of
from test_claims import claim, share
from test_report_specs import DEMO, ROOT

from robustvit.config import reports
from robustvit.config.inputs import stand_in_datasets
from robustvit.config.merge import deep_merge
from robustvit.config.resolve import resolve
from robustvit.config.specs import gather_spec, to_json, train_spec
from robustvit.core.files import write_json, write_text, write_yaml
from robustvit.reporting.display_other import display_other_settings
from robustvit.reporting.other_settings import differences, find_changes
from robustvit.reporting.partial import report_now
from robustvit.reporting.results import Results

LIGHT = "train/demo_light/metrics.csv"
AUTOATTACK = "eval/demo_light/autoattack.json"


def made(hour, **more):
    return {"provenance": {"created": f"2026-01-01T{hour:02}:00:00+00:00", **more}}


def asked(config):
    """What `report_now` is told, as its command line has it."""
    return json.loads(to_json(reports.now_spec(config)))["made_with"]


def write_results(root, config):
    """Leave what the jobs leave: records of the specs that they were given, in their own keys."""
    report, stand_in = reports.report_spec(config), stand_in_datasets(config)
    for name in report["datasets"]:
        entry = config["datasets"][name]
        manifest = {"builder": entry["builder"], "options": entry.get("options", {})}
        manifest |= {"stand_in": stand_in[name], "sha256": name, **made(1)}
        manifest["splits"] = {entry["eval_split"]: {"num_examples": 100}}
        write_json(root / f"datasets/{name}/manifest.json", manifest)
    for name in report["experiments"]:
        entry = config["experiments"][name]
        if entry["recipe"]:
            spec = train_spec(config, name, stand_in)
            inputs = {"inputs": {"train": spec["dataset"]["name"]}, "trained": {"epochs": 1}}
            write_yaml(root / f"train/{name}/config.yaml", spec | inputs | made(2, seed=1))
            write_text(root / f"train/{name}/metrics.csv", "epoch\n0\n")
        for protocol in entry["evaluate"]:
            spec = gather_spec(config, name, protocol, stand_in)
            read = spec["dataset"]
            record = {key: spec[key] for key in ("attack", "threat", "seed")} | made(3)
            record |= {key: read[key] for key in ("split", "stand_in")} | {"dataset": read["name"]}
            record |= {"num_examples": min(read["num_examples"] or 100, 100)}
            record["images"] = {k: read[k] for k in ("image_size", "crop_pct", "interpolation")}
            write_json(root / f"eval/{name}/{protocol}.json", record)


@pytest.fixture(scope="module")
def config():
    return resolve(DEMO)


@pytest.fixture
def ran(config, tmp_path):
    """Results of the demo's settings."""
    write_results(tmp_path, config)
    return tmp_path


def changes(root, config):
    return find_changes(asked(config), Results(root))


def rewrite(path, **values):
    write_json(path, json.loads(path.read_text()) | values)


def test_results_of_the_settings_of_now_are_none(ran, config):
    assert (ran / LIGHT).exists() and (ran / AUTOATTACK).exists()
    assert changes(ran, config) == {}


def test_other_ways_of_writing_a_setting_are_none(ran, config):
    options = {"steps": 10.0, "restarts": 1, "step_size_255": None}  # defaults spelt out
    rewrite(ran / "eval/demo_light/pgd10.json", attack={"name": "pgd", "options": options})
    path = ran / "train/demo_light/config.yaml"
    text = path.read_text()
    text = text.replace("lr: 0.002", "lr: 2e-3").replace("epochs: 3", "epochs: 3.0")
    text = text.replace("  compile: false\n", "").replace("synthetic: null\n", "")  # older version
    assert text.count("2e-3") == 1 and text.count("3.0") == 1 and "synthetic" not in text
    path.write_text(text)
    assert changes(ran, config) == {}
    assert list(differences({"a": (1, "x")}, {"a": [1.0, "x"], "b": None, "c": {}})) == []
    assert list(differences({"a": None}, {"a": {"b": 4}})) == [("a.b", None, 4)]
    assert list(differences("nan", "nan")) == []


OPTIONS = {"protocols": {"pgd10": {"options": {"steps": 20}}}}
CHANGES = {
    "epochs": (
        {"recipes": {"demo_light": {"epochs": 10}}},
        "experiments.demo_light: recipe.epochs 3 → 10",
        {"train/demo_light", "eval/demo_light", "eval/demo_light_list"},
        {"eval/demo_resnet18"},
    ),
    "seed of what others start from": (
        {"experiments": {"demo_eps8": {"seed": 7}}},
        "experiments.demo_eps8: seed 42 → 7",
        {"train/demo_eps8", "train/demo_flowers", "eval/demo_flowers"},
        {"eval/demo_light"},
    ),
    "attack": (
        OPTIONS,
        "protocols.pgd10: attack.options.steps 10 → 20",
        {"eval/demo_light", "eval/demo_canonical"},
        {"train/demo_light", "eval/demo_light_list"},
    ),
    "radius": (
        {"experiments": {"demo_light": {"eval_threat": {"norm": "linf", "epsilon_255": 6}}}},
        "experiments.demo_light, autoattack: threat.epsilon_255 4 → 6",
        {"eval/demo_light"},
        {"train/demo_light"},
    ),
    "number of images": (
        {"experiments": {"demo_light": {"eval_examples": {"autoattack": 8}}}},
        "experiments.demo_light, autoattack: num_examples ",
        {"eval/demo_light"},
        {"train/demo_light", "eval/demo_canonical"},
    ),
    "images of a data set": (
        {"datasets": {"demo_imagenet4": {"options": {"train_per_class": 7}}}},
        "datasets.demo_imagenet4: options.train_per_class ",
        {"datasets/demo_imagenet4", "train/demo_light", "eval/demo_light"},
        {"eval/demo_resnet18"},
    ),
}


@pytest.mark.parametrize("case", CHANGES)
def test_every_change_is_named_where_it_counts(ran, case):
    overlay, cause, held, free = CHANGES[case]
    found = changes(ran, resolve(deep_merge(copy.deepcopy(DEMO), overlay)))
    folders = {
        file.rpartition("/")[0]
        for file, causes in found.items()
        if any(text.startswith(cause) for text in causes)
    }
    assert held <= folders
    assert not free & {file.rpartition("/")[0] for file in found}


def test_weights_that_were_made_again_or_are_gone_are_not_those_that_were_evaluated(ran, config):
    path = ran / "train/demo_light/config.yaml"
    path.write_text(path.read_text().replace("T02:", "T04:"))
    found = changes(ran, config)
    assert found[AUTOATTACK] == ["train/demo_light was made again since"]
    assert LIGHT not in found and "eval/demo_canonical/clean.json" not in found
    (ran / LIGHT).unlink()
    gone = "train/demo_light, which it was made from, is not there any more"
    assert changes(ran, config)[AUTOATTACK] == [gone]


def test_images_that_were_built_anew_are_not_those_that_were_trained_on(ran, config):
    rewrite(ran / "datasets/demo_imagenet4/manifest.json", sha256="another")
    found = changes(ran, config)
    assert found[LIGHT] == ["experiments.demo_light: datasets/demo_imagenet4 has other images"]
    assert found[AUTOATTACK] == found[LIGHT]


def entry(kind, where, settings, *below):
    return {"kind": kind, "where": where, "settings": settings, "rests_on": below, "images": {}}


def semantics_file(name):
    return f"semantics/demo/{name}/cifar_resnet18.json"


MADE_WITH = {
    LIGHT: entry("training", "experiments.demo_light", {"recipe": {"epochs": 10}}),
    AUTOATTACK: entry("evaluation", "experiments.demo_light, autoattack", {}, LIGHT)
    | {"settings": {"dataset": "imagenet_rb5k", "split": "val", "num_examples": None}},
    semantics_file("demo_light"): entry("classification", "semantics.demo", {}, LIGHT),
    "semantics/demo/comparison.json": entry(
        "comparison", "semantics.demo", {}, semantics_file("demo_light")
    ),
}
CAUSE = "experiments.demo_light: recipe.epochs 8 → 10"


@pytest.fixture
def now(root, published):
    """A report of what is there, where the recipe was changed after the training."""
    path = root / "train/demo_light/config.yaml"
    write_yaml(path, {"experiment": "demo_light", "recipe": {"epochs": 8}, **made(2)})
    real = {"stand_in": False, "dataset": "imagenet_rb5k"}
    rewrite(root / AUTOATTACK, **real)
    rewrite(root / "eval/demo_canonical/autoattack.json", checks=[], **real)
    table = specs.table_spec() | {"comparison": "direct"}
    judged = claim([0, 0], [0, 0], metric={"protocol": "autoattack", "metric": "robust_top1"})
    judged["metric"]["label"] = "AutoAttack"
    for name, group in zip(("demo_light", "demo_canonical"), judged["groups"], strict=True):
        group["members"] = [{"experiment": f"{name}{i}" if i else name, "seed": i} for i in (0, 1)]
        record = {"robust_top1": share(0.4), "stand_in": False}
        write_json(root / f"eval/{name}1/autoattack.json", record)
    spec = {
        "report": specs.report_spec() | {"claims": ["mine"]},
        "tables": [table, specs.semantics_table_spec()],
        "figures": [f for f in specs.figure_specs() if f["kind"] == "learning_curves"],
        "claims": {"claims": [judged]},
        "made_with": MADE_WITH,
    }
    return report_now(spec, root, published, ROOT / "reports")


def test_report_names_them_marks_them_and_judges_nothing_by_them(now):
    table = json.loads((now / "tables/demo_recipes.json").read_text())
    light, canonical = (row["cells"][2] for row in table["rows"][:2])
    assert light["verdict"] == "not comparable" and light["other_settings"] == [CAUSE]
    assert light["reasons"] == ["settings or weights that the run does not have now"]
    assert canonical["verdict"] in ("agrees", "differs") and canonical["other_settings"] == []
    line = next(csv.DictReader((now / "tables/demo_recipes.csv").open()))
    assert line["other_settings"] == ""  # clean.json was not asked about
    assert "\\S{}" in (now / "tables/demo_recipes.tex").read_text()

    summary = json.loads((now / "summary.json").read_text())
    (told,) = summary["other_settings"]
    assert told["cause"] == CAUSE and set(told["files"]) == set(MADE_WITH)
    (judged,) = summary["claims"]
    assert judged["verdict"] == "undecided"
    assert "settings or weights that the run does not have now" in judged["reason"]
    abstract = " ".join(summary["abstract"])
    assert "4 results are of settings or weights that the run does not have now" in abstract
    assert "“XCiT-demo, light recipe” classifies" not in abstract

    shown = " ".join(pages_of(now / "report.pdf")).replace("\u200b", "")
    page = (now / "report.html").read_text().replace("<wbr>", "")
    for text in (shown, page):
        assert "Results of other settings" in text and CAUSE in text
        assert "12 epochs §" in text
        assert "fall to chance" not in text  # what a comparison says of controls is a judgement
        assert "43.8\xa0% §" in text.replace("43.8 % §", "43.8\xa0% §")
        assert "Drawn, in part or all, from results of settings or weights" in text


def test_a_long_list_of_changes_ends():
    changes = [{"cause": f"x{n}: y 1 → 2", "files": [f"{k}" for k in range(n)]} for n in range(50)]
    shown = display_other_settings(changes)
    assert len(shown) == 31 and shown[-1] == "20 more changes, which summary.json names"
    assert shown[2] == "x2: y 1 → 2 (0 and 1)"
    assert shown[9] == "x9: y 1 → 2 (0, 1, 2, 3, 4, 5 and 3 more)"


def test_nothing_is_said_where_all_are_of_the_settings_of_now(report):
    assert "other settings" not in " ".join(pages_of(report[0]))
    assert json.loads((report[1] / "summary.json").read_text())["other_settings"] == []
