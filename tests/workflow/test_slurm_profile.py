"""`--profile slurm` turns the site file into what jobs ask for; no SLURM is needed to plan."""

import re
import subprocess
import sys

import pytest
import yaml

from tests.workflow.conftest import ROOT, environment

OVERLAYS = ("configs/demo.yaml", "configs/smoke.yaml")


@pytest.fixture
def plan(tmp_path):
    """Dry-run the smoke configuration at a site; `plan(site, configuration, *targets)`."""

    def run(site, config=None, *targets, expect=0):
        path, overlay = tmp_path / "site.yaml", tmp_path / "overlay.yaml"
        path.write_text(site if isinstance(site, str) else yaml.safe_dump(site))
        overlay.write_text(yaml.safe_dump(config or {}))
        command = [sys.executable, "-m", "snakemake", "--profile", "slurm", "--configfile"]
        done = subprocess.run(
            [*command, *OVERLAYS, overlay, "-n", "--forceall", "--", *targets],
            cwd=ROOT,
            env=environment() | {"ROBUSTVIT_SITE": str(path)},
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == expect, done.stdout + done.stderr
        return done.stdout + done.stderr

    return run


def resources(text, rule):
    """Resources of the first job of a rule."""
    block = re.search(rf"rule {rule}:\n(?:\s+.*\n)*?\s+resources: (.*)", text)
    found = dict(part.split("=", 1) for part in block[1].split(", ") if "=" in part)
    return {name: int(value) if value.isdecimal() else value for name, value in found.items()}


def test_gpus_partitions_and_limits(plan):
    site = {
        "account": "lab",
        "partitions": {"gpu": "a100s", "cpu": "batch"},
        "gpu": {"request": "gres", "type": "a100"},
        "max_hours": {"gpu": 0.5, "cpu": 1},
        "training": {"warn_seconds": 90},
        "queue": {"shards_per_job": 2},
        "extra": "--exclude=n9",
    }
    config = {"compute": {"training": {"processes": 2}}}
    text = plan(site, config, "results/smoke/eval/demo_light/autoattack.json")
    training, building = resources(text, "pretrain_model"), resources(text, "build_dataset")
    assert training["gres"] == "gpu:a100:2" and "gpu" not in training
    assert training["slurm_partition"] == "a100s" and building["slurm_partition"] == "batch"
    assert training["slurm_account"] == building["slurm_account"] == "lab"
    assert training["runtime"] == 30 and building["runtime"] <= 60
    assert "--signal=TERM@90" in training["slurm_extra"]
    assert "--exclude=n9" in building["slurm_extra"] and "--signal" not in building["slurm_extra"]
    assert "gres" not in building
    # Both shards are in one group, whose jobs run in turn.
    shard = resources(text.replace("        ", "    "), "evaluate_model")
    assert shard["in_turn"] == 1 and shard["gres"] == "gpu:a100:1" and shard["runtime"] == 15


def test_several_machines(plan):
    config = {"compute": {"training": {"processes": 4, "nodes": 2}}}
    text = plan({}, config, "results/smoke/train/demo_light/weights.safetensors")
    found = resources(text, "pretrain_model")
    assert (found["gpu"], found["nodes"], found["tasks"]) == (8, 2, 2)
    assert found["mpi"] == "srun" and found["tasks_per_gpu"] == 0
    assert "--gpus-per-node=4" in found["slurm_extra"]


def test_memory_of_the_configuration_counts(plan):
    config = {"compute": {"memory_mb": 12345}}
    text = plan({}, config, "results/smoke/train/demo_light/weights.safetensors")
    assert resources(text, "pretrain_model")["mem_mb"] == 12345


@pytest.mark.parametrize(
    ("site", "expected"),
    [
        ("acount: lab", 'acount: unknown key. Did you mean "account"?'),
        ("gpu: {request: gress}", "gpu.request: 'gress' is not one of"),
    ],
)
def test_a_mistake_in_the_site_file_stops_at_once(plan, site, expected):
    text = plan(site, expect=2)
    assert expected in text and "site.yaml is not valid" in text
    assert "Traceback" not in text


def test_other_profiles_need_no_site(monkeypatch, snakemake):
    """A user's variable has no part in a run on this machine."""
    monkeypatch.setenv("ROBUSTVIT_SITE", "/nowhere.yaml")
    done = snakemake("--profile", "demo", "-n", "--quiet", "rules")
    assert done.returncode == 0, done.stdout + done.stderr
