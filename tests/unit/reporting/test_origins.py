"""Where numbers come from, what is missing, and the appendix of settings."""

import pytest
import synthetic_specs as specs

from robustvit.reporting.display_missing import display_missing
from robustvit.reporting.display_origins import display_origins
from robustvit.reporting.display_recipes import display_recipes
from robustvit.reporting.display_settings import display_settings
from robustvit.reporting.formatting import flatten
from robustvit.reporting.origins import collect_origins
from robustvit.reporting.results import Results
from robustvit.reporting.table import build_table


@pytest.fixture
def tables(results, published):
    both = (specs.table_spec(), specs.semantics_table_spec())
    return {spec["name"]: build_table(spec, results, published) for spec in both}


def test_every_measured_number_has_an_origin(results, tables):
    spec = specs.report_spec() | {"jobs": {"evaluate_model": {"demo_light-autoattack": 4}}}
    found = collect_origins(spec, results, tables)
    assert [origin["number"] for origin in found] == list(range(1, len(found) + 1))
    files = {origin["file"] for origin in found}
    cells = [c for t in tables.values() for row in t["rows"] for c in row["cells"]]
    assert {c["file"] for c in cells if c["measured"]} <= files
    assert found[0]["file"] == tables["demo_recipes"]["rows"][0]["cells"][0]["file"]
    (attacked,) = [o for o in found if o["file"] == "eval/demo_light/autoattack.json"]
    assert attacked["commit"].startswith("0123456789abcdef")
    assert attacked["weights"]["name"] == "demo_light"
    row = next(
        r for r in display_origins(spec, {"origins": found}) if r["file"] == attacked["file"]
    )
    assert row["jobs"] == [
        "evaluate_model/demo_light-autoattack (4 shards)",
        "gather_evaluation/demo_light-autoattack",
    ]
    assert row["weights"] == "train/demo_light by 0123456789ab"
    assert row["what"] == "AutoAttack"


def test_perturbations_have_two_jobs(results, tables):
    found = collect_origins(specs.report_spec(), results, tables)
    (origin,) = [o for o in found if o["file"].startswith("semantics/demo/demo_standard")]
    assert [job["rule"] for job in origin["jobs"]] == [
        "make_perturbations",
        "classify_perturbations",
    ]
    assert origin["weights"]["name"] == "demo_standard"


def test_numbers_of_learning_curves_have_an_origin_where_a_table_shows_them(results, tables):
    file = "train/demo_cifar/metrics.csv"
    assert file not in {o["file"] for o in collect_origins(specs.report_spec(), results, tables)}
    tables["curves"] = {"rows": [{"cells": [{"file": file}]}]}
    found = collect_origins(specs.report_spec(), results, tables)
    (origin,) = [o for o in found if o["file"] == file]
    assert origin["jobs"][0]["log"] == "logs/finetune_model/demo_cifar.log"
    assert origin["commit"].startswith("0123456789abcdef") and origin["weights"] is None
    (row,) = [
        r for r in display_origins(specs.report_spec(), {"origins": found}) if r["file"] == file
    ]
    assert (row["what"], row["weights"]) == ("learning curve", "–")


def test_nothing_was_run(tmp_path):
    assert collect_origins(specs.report_spec(), Results(tmp_path), {}) == []


def test_missing_files_by_kind_few_named():
    missing = [{"what": "x", "file": f"eval/{i}/clean.json"} for i in range(40)]
    missing += [{"what": "y", "file": "train/a/metrics.csv"}] * 2
    found = display_missing(missing)
    assert [group["title"] for group in found["groups"]] == ["trainings (1)", "evaluations (40)"]
    assert (len(found["groups"][1]["files"]), found["groups"][1]["more"]) == (12, 28)
    assert len(found["groups"][1]["all"]) == 40 and found["number"] == 41
    assert (found["kinds"], found["few"]) == ("1 training and 40 evaluations", False)
    assert display_missing(missing[:10])["few"]


def test_settings_are_told_by_differences():
    found = display_settings(specs.report_spec())
    first, second, *_, last = found
    assert [block["name"] for block in found] == list(specs.report_spec()["experiments"])
    assert first["like"] is None and ["recipe.optimizer.lr", "0.001"] in first["pairs"]
    assert (second["like"], last["like"]) == ("demo_light", "demo_light")
    assert second["pairs"] == [["recipe_name", "canonical"]]
    assert ["threat.epsilon_255", "8"] in last["pairs"]
    assert ["init.experiment", "demo_light"] in last["pairs"]


def test_settings_can_be_put_together_again():
    spec = specs.report_spec()
    spec["experiments"]["imported"] = {"label": "Imported", "weights": {"checkpoint": "x"}}
    full = {b["name"]: dict(b["pairs"]) for b in display_settings(spec)}
    for block in display_settings(spec):
        entry = {k: v for k, v in spec["experiments"][block["name"]].items() if k != "label"}
        whole = full[block["like"]] | full[block["name"]] if block["like"] else full[block["name"]]
        wanted = dict(flatten(entry))
        if wanted.get("weights.experiment") == block["name"]:
            del wanted["weights.experiment"]  # its own
        assert {k: v for k, v in whole.items() if v != "none"} == {
            k: v for k, v in wanted.items() if v != "none"
        }


def full_recipe():
    return {
        "batch_size": 512,
        "epochs": 100,
        "cooldown_epochs": 10,
        "label_smoothing": 0.1,
        "drop_path": 0.05,
        "precision": "float32",
        "optimizer": {"name": "adamw", "lr": 5e-4, "weight_decay": 0.5, "betas": [0.9, 0.999]},
        "schedule": {
            "name": "cosine",
            "warmup_epochs": 10,
            "warmup_lr": 1e-6,
            "min_lr": 1e-5,
            "per": "epoch",
        },
        "augmentation": {
            "crop": "random_resized",
            "scale": [0.08, 1.0],
            "hflip": 0.5,
            "color_jitter": 0.4,
            "views": 1,
        },
        "loss": {"name": "adversarial", "beta": 6.0},
        "attack": {
            "name": "pgd",
            "steps": 1,
            "step_factor": 1.5,
            "random_start": True,
            "mode": "eval",
            "epsilon_schedule": "linear",
            "epsilon_warmup_epochs": 10,
        },
    }


def test_methods_follow_the_recipe():
    entry = {"label": "Light", "recipe_name": "light", "recipe": full_recipe()}
    (found,) = display_recipes({"experiments": {"one": entry}})
    assert found["used"] == "“Light”"
    for words in (
        "100 epochs and 10 more at the lowest rate in batches of 512.",
        "AdamW with learning rate 0.0005 and weight decay 0.5, β = (0.9, 0.999).",
        "A cosine schedule per epoch down to 1e-05, after 10 epochs of warm-up from 1e-06.",
        "random resized crops of 0.08, 1 of the area, horizontal flips with probability 0.5 and "
        "colour jitter 0.4; no RandAugment, MixUp, CutMix or random erasing.",
        "The loss of attacked images, with label smoothing 0.1.",
        "Attacked by 1 step of size 1.5·ε from a random start, the model in eval mode; ε grows "
        "over 10 epochs (linear).",
        "Stochastic depth 0.05 and arithmetic in float32.",
    ):
        assert words in found["text"], words


def test_methods_name_what_differs_within_a_recipe():
    other = full_recipe() | {"optimizer": full_recipe()["optimizer"] | {"weight_decay": 0.05}}
    common = {"recipe_name": "light"}
    entries = {
        "one": common | {"label": "A", "recipe": full_recipe()},
        "two": common | {"label": "B", "recipe": other},
    }
    (found,) = display_recipes({"experiments": entries})
    assert found["used"] == "“A” and “B”"
    assert "these settings differ among them: optimizer.weight_decay (0.5, 0.05)." in found["text"]
    standard = full_recipe() | {"loss": {"name": "clean"}}
    (found,) = display_recipes({"experiments": {"x": {"label": "X", "recipe": standard}}})
    assert "Attacked" not in found["text"] and "The loss of unchanged images" in found["text"]


def test_methods_refer_to_an_earlier_recipe_that_is_much_alike():
    other = full_recipe() | {"optimizer": full_recipe()["optimizer"] | {"weight_decay": 0.05}}
    entries = {
        "one": {"label": "A", "recipe_name": "light", "recipe": full_recipe()},
        "two": {"label": "B", "recipe_name": "heavy", "recipe": other},
        "three": {"label": "C", "recipe_name": "same", "recipe": full_recipe()},
    }
    texts = [found["text"] for found in display_recipes({"experiments": entries})]
    assert texts[1] == "As light, but optimizer.weight_decay is 0.05 (not 0.5)."
    assert texts[2] == "As light."
