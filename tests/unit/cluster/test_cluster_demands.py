"""Time and memory follow from model, data and epochs."""

import copy
import json
import subprocess
import sys

import pytest
import yaml

from robustvit.cluster import demands
from robustvit.config.inputs import stand_in_datasets
from robustvit.config.resolve import resolve
from robustvit.core.errors import UserError


@pytest.fixture(scope="module")
def config(repository):
    """The paper's experiments on ImageNet of three sizes, and one on CIFAR-10."""
    path = repository / "workflow_config.yaml"
    found = resolve(yaml.safe_load(path.read_text(encoding="utf-8")))
    names = ["xcit_s12_light", "xcit_l12_light", "xcit_s12_cifar10"]
    found["experiments"] = {name: found["experiments"][name] for name in names}
    return {**found, "gradients": {}, "semantics": {}, "attack_losses": {}}


@pytest.fixture(scope="module")
def estimate(config, repository, tmp_path_factory):
    """Estimate a configuration as the workflow does."""

    def run(changed=config, device="a100"):
        output = tmp_path_factory.mktemp("demands") / "demands.json"
        given = {"config": changed, "device": device, "stand_in": stand_in_datasets(config)}
        done = subprocess.run(
            [sys.executable, "scripts/estimate_demands.py", "--output", output],
            input=json.dumps(given), cwd=repository, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return json.loads(output.read_text())

    return run


@pytest.fixture(scope="module")
def found(estimate):
    return estimate()


def test_every_long_job_has_an_estimate(config, found):
    assert found.keys() == {key for key, _, _ in demands.jobs_of(config)}


def test_larger_models_take_longer_and_more_memory(found):
    small, large = found["train/xcit_s12_light"], found["train/xcit_l12_light"]
    assert large["minutes"] > 1.5 * small["minutes"]
    assert large["memory_mb"] > small["memory_mb"] > 4000


def test_data_and_attack_count(found):
    assert found["train/xcit_s12_cifar10"]["minutes"] < found["train/xcit_s12_light"]["minutes"]
    shards = "evaluate/xcit_s12_light"
    assert found[f"{shards}/clean"]["minutes"] < found[f"{shards}/autoattack"]["minutes"]


def test_time_follows_epochs_and_device(config, estimate, found):
    changed = copy.deepcopy(config)
    recipe = changed["experiments"]["xcit_s12_light"]["recipe"]
    recipe["epochs"], recipe["cooldown_epochs"] = 10, 0
    before, key = found["train/xcit_s12_light"]["minutes"], "train/xcit_s12_light"
    after = estimate(changed)[key]["minutes"]
    assert after / before == pytest.approx(10 / 110, rel=0.05)
    assert estimate(device="h100")[key]["minutes"] < before


def test_more_processes_need_more_memory(config):
    compute = {"workers": 8, "training": {"processes": 1}}
    several = {"workers": 8, "training": {"processes": 4}}
    one = demands.training_memory(26_000_000, compute)
    assert demands.training_memory(26_000_000, several) == pytest.approx(4 * one, rel=0.01)


def test_estimates_are_made_once(config, tmp_path, monkeypatch):
    calls = []

    def compute(text, path):
        calls.append(path)
        demands.Path(path).parent.mkdir(parents=True)
        demands.Path(path).write_text('{"train/x": {"minutes": 5}}')

    monkeypatch.delenv(demands.VARIABLE, raising=False)
    monkeypatch.setattr(demands, "_compute", compute)
    changed = {**config, "paths": {**config["paths"], "results": str(tmp_path)}}
    assert demands.load_demands(changed, {}, "a100", compute=False) == {}
    for _ in range(2):
        assert demands.load_demands(changed, {}, "a100")["train/x"] == {"minutes": 5}
        monkeypatch.delenv(demands.VARIABLE)
    assert len(calls) == 1


def test_unknown_device_is_named(config, tmp_path, monkeypatch):
    monkeypatch.delenv(demands.VARIABLE, raising=False)
    changed = {**config, "paths": {**config["paths"], "results": str(tmp_path)}}
    with pytest.raises(UserError, match=r'unknown device "a10".*a100'):
        demands.load_demands(changed, stand_in_datasets(config), "a10")
