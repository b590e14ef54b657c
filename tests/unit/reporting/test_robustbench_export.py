"""The export to RobustBench's format has the keys and the spelling of RobustBench's own entries."""

import ast
import importlib.util
import json
from pathlib import Path

import pytest

from robustvit.core.errors import UserError
from robustvit.reporting.robustbench import model_info, percentage

# model_info/imagenet/Linf/Debenedetti2022Light_XCiT-S12.json of RobustBench's repository.
REAL = {
    "link": "https://arxiv.org/abs/2209.07399",
    "name": "A Light Recipe to Train Robust Vision Transformers",
    "authors": "Edoardo Debenedetti, Vikash Sehwag, Prateek Mittal",
    "additional_data": False,
    "number_forward_passes": 1,
    "dataset": "imagenet",
    "venue": "arXiv, Sep 2022",
    "architecture": "XCiT-S12",
    "eps": "4/255",
    "clean_acc": "72.34",
    "reported": "41.78",
    "autoattack_acc": "41.78",
}
SPEC = {
    "about": {
        "title": REAL["name"],
        "authors": REAL["authors"],
        "link": REAL["link"],
        "venue": REAL["venue"],
    },
    "dataset": "imagenet",
    "architecture": "XCiT-S12",
    "additional_data": False,
    "forward_passes": 1,
    "leaderboard": True,
    "trained_on_stand_in": False,
    "reported": "readme.imagenet-eps-4.xcit-s12.autoattack_top1",
}


def evaluation(**changes):
    record = {
        "experiment": "mine",
        "protocol": "autoattack",
        "attack": {"name": "autoattack", "options": {}},
        "threat": {"norm": "linf", "epsilon_255": 4},
        "clean_top1": {"value": 3617 / 5000},
        "robust_top1": {"value": 2089 / 5000},
        "num_examples": 5000,
        "stand_in": False,
        "chance": 0.001,
        "checks": [{"name": "logits", "passed": True, "detail": ""}],
    }
    return record | changes


def test_a_full_evaluation_is_the_entry_of_the_leaderboard():
    info = model_info(SPEC, evaluation(), 41.78)
    assert info == REAL and list(info) == list(REAL)


def test_keys_are_fields_of_robustbenchs_class():
    package = importlib.util.find_spec("robustbench")
    tree = ast.parse((Path(package.origin).parent / "utils.py").read_text())
    fields = {
        part.target.id
        for node in tree.body
        if isinstance(node, ast.ClassDef) and node.name == "ModelInfo"
        for part in node.body
        if isinstance(part, ast.AnnAssign)
    }
    info = model_info(SPEC, evaluation(stand_in=True), None)
    assert set(info) <= fields and "footnote" in info
    assert all("corruptions" in name for name in fields - set(info))


def test_what_nobody_said_is_empty():
    spec = SPEC | {"about": {}, "additional_data": None, "forward_passes": None}
    info = json.loads(json.dumps(model_info(spec, evaluation(), None)))
    assert info["link"] == info["authors"] == info["name"] == info["venue"] == ""
    assert info["additional_data"] is info["number_forward_passes"] is info["reported"] is None


def test_radii_and_percentages_are_written_as_there():
    info = model_info(SPEC, evaluation(threat={"norm": "l2", "epsilon_255": 127.5}), None)
    assert info["eps"] == "0.5"
    assert percentage(0.41780001) == "41.78" and percentage(0.5) == "50.0"


@pytest.mark.parametrize(
    ("spec", "record", "expected"),
    [
        ({}, {"num_examples": 500}, "On 500 of the leaderboard's 5000 images."),
        ({"leaderboard": False}, {}, "not those of a leaderboard"),
        ({}, {"stand_in": True}, "stand-ins"),
        ({"trained_on_stand_in": True}, {}, "The model was trained on stand-in images."),
        ({}, {"attack": {"name": "autoattack", "options": {"iterations": 5}}}, "5 of 100 iter"),
        ({}, {"checks": [{"name": "gradients", "passed": False, "detail": ""}]}, "gradients"),
        ({"about": {"footnote": "Mine."}}, {}, "Mine."),
    ],
)
def test_a_footnote_says_what_is_less(spec, record, expected):
    assert expected in model_info(SPEC | spec, evaluation(**record), None)["footnote"]


def test_other_attacks_are_refused():
    with pytest.raises(UserError, match="RobustBench wants AutoAttack"):
        model_info(SPEC, evaluation(attack={"name": "pgd", "options": {}}), None)
