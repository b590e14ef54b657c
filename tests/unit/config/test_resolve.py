"""Inheritance, sweeps, `follow`, and what each stage is told."""

import json

import pytest

from robustvit.config import inputs, reports, specs
from robustvit.config.follow import unequal
from robustvit.config.merge import deep_merge
from robustvit.config.resolve import resolve


@pytest.fixture
def config(demo):
    return resolve(demo)


@pytest.fixture
def stand_in(config):
    return dict.fromkeys(config["datasets"], False)


def test_merge_replaces_lists_and_changes_nothing_given():
    first, second = {"a": {"b": [1, 2], "c": 1}}, {"a": {"b": [3]}}
    assert deep_merge(first, second) == {"a": {"b": [3], "c": 1}}
    assert first == {"a": {"b": [1, 2], "c": 1}}


def test_recipes_inherit_key_by_key(config):
    light = config["recipes"]["light"]
    assert light["optimizer"]["weight_decay"] == 0.5
    assert light["optimizer"]["lr"] == 5e-4
    assert light["attack"]["epsilon_warmup_epochs"] == 10
    assert config["recipes"]["eps8"]["attack"] == {**light["attack"], "steps": 2}


def test_follow_thesis_changes_only_what_the_thesis_says(demo):
    code = resolve(demo)["recipes"]["light"]
    thesis = resolve({**demo, "follow": "thesis"})["recipes"]["light"]
    assert list(unequal(code, thesis)) == [
        ("drop_path", 0.05, 0.1),
        ("schedule.warmup_epochs", 10, 5),
        ("schedule.warmup_lr", 1e-6, 5e-6),
        ("schedule.min_lr", 1e-5, 5e-5),
        ("attack.step_factor", 1.5, 1.1),
    ]


def test_what_is_shown_meanwhile_repeats_no_training(demo, stand_in):
    wished = {"every_steps": 7, "tensorboard": False, "wandb": {"project": "p"}}
    before, after = resolve(demo), resolve({**demo, "monitoring": wished})
    assert before["monitoring"] == {"every_steps": 50, "tensorboard": True, "wandb": None}
    assert after["monitoring"] == wished
    one, other = (specs.train_spec(config, "demo_light", stand_in) for config in (before, after))
    assert one == other


def test_sweep_makes_every_combination(demo):
    demo["sweeps"]["decay"] = {
        "experiment": demo["experiments"]["demo_light"],
        "axes": {
            "weight_decay": {
                "0.1": {"overrides": {"optimizer": {"weight_decay": 0.1}}},
                "0.2": {"overrides": {"optimizer": {"weight_decay": 0.2}}},
            },
            "epsilon": {
                "eps2": {"threat": {"norm": "linf", "epsilon_255": 2}},
                "eps4": {"threat": {"norm": "linf", "epsilon_255": 4}},
            },
        },
    }
    found = resolve(demo)["experiments"]
    entry = found["decay_0.2_eps2"]
    assert entry["recipe"]["optimizer"]["weight_decay"] == 0.2
    assert entry["threat"] == {"norm": "linf", "epsilon_255": 2}
    assert sum(name.startswith("decay_") for name in found) == 4


def test_labels_and_cells_of_a_sweep(demo):
    demo["sweeps"]["decay"] = {
        "experiment": {**demo["experiments"]["demo_light"], "label": "Decay"},
        "axes": {
            "weight_decay": {"0.1": {}, "0.2": {"label": "more"}},
            "training": {"plain": {"label": ""}, "odd": {"label": "odd"}},
        },
        "cells": {"0.2_odd": {"seed": 7, "published": {"clean": "a"}}},
    }
    found = resolve(demo)["experiments"]
    assert found["decay_0.1_plain"]["label"] == "Decay [0.1]"
    assert found["decay_0.2_odd"]["label"] == "Decay [more, odd]"
    assert found["decay_0.2_odd"]["seed"] == 7
    assert found["decay_0.2_odd"]["published"]["clean"] == ["a"]
    assert found["decay_0.1_odd"]["seed"] == 42


def test_training_is_told_nothing_of_labels_tables_or_other_experiments(demo, stand_in):
    before = specs.train_spec(resolve(demo), "demo_light", stand_in)
    demo["experiments"]["demo_light"]["label"] = "Another name"
    demo["experiments"]["demo_light"]["evaluate"] = ["clean"]
    demo["recipes"]["demo_canonical"]["optimizer"]["lr"] = 1.0
    demo["tables"]["demo_recipes"]["title"] = "Another title"
    assert specs.train_spec(resolve(demo), "demo_light", stand_in) == before


def test_key_order_changes_no_spec(demo, config, stand_in):
    shuffled = json.loads(json.dumps(demo), object_hook=lambda d: dict(reversed(d.items())))
    shuffled["sweeps"] = demo["sweeps"]  # the order of axes is that of the parts of names
    mine = specs.to_json(specs.train_spec(config, "demo_cifar10", stand_in))
    assert specs.to_json(specs.train_spec(resolve(shuffled), "demo_cifar10", stand_in)) == mine


def test_finetuning_is_told_the_source_model(config, stand_in):
    spec = specs.train_spec(config, "demo_cifar10", stand_in)
    assert spec["init"]["name"] == "demo_eps8"
    assert spec["init"]["model"]["num_classes"] == 4
    assert spec["init"]["model"]["patch_size"] is None
    assert spec["model"]["patch_size"] == 4
    assert spec["model"]["normalization"]["mean"][0] == 0.4914


def test_evaluation_only_experiments_follow_the_weights(config, stand_in):
    assert specs.weights_owner(config, "demo_light_list") == ("experiment", "demo_light")
    assert specs.weights_owner(config, "demo_resnet18") == ("checkpoint", "cifar10_resnet18")
    spec = specs.evaluate_spec(config, "demo_light_list", "apgd-ce-5", 0, 1, stand_in)
    assert spec["dataset"]["name"] == "demo_imagenet_list"
    assert spec["threat"]["epsilon_255"] == 4


def test_clean_evaluation_has_no_threat(config, stand_in):
    spec = specs.gather_spec(config, "demo_light", "clean", stand_in)
    assert spec["attack"] is None and spec["threat"] is None


def test_standard_training_needs_no_attack_plugin(config):
    standard = inputs.training_plugins(config, "demo_standard")
    light = inputs.training_plugins(config, "demo_light")
    assert "robustvit.training.losses.clean" in standard
    assert not [name for name in standard if name.startswith("robustvit.attacks")]
    assert "robustvit.attacks.pgd" in light


def test_report_shows_parents_before_children(config):
    names = inputs.report_experiments(config)
    assert names.index("demo_eps8") < names.index("demo_cifar10")
    assert len(names) == len(set(names))


def test_report_spec_is_json(config):
    assert json.loads(specs.to_json(reports.report_spec(config)))["name"] == "demo"


def test_every_overlay_resolves(paper, demo, smoke):
    for entry in (paper, demo, smoke):
        resolve(entry)
