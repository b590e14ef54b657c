"""`--profile slurm` turns the site file into what jobs ask for; no SLURM is needed to plan."""

import re
import shutil
import subprocess
import sys

import pytest
import yaml

from robustvit.config.merge import deep_merge
from tests.pretended_slurm import PretendedSlurm
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


@pytest.fixture
def start(tmp_path):
    """Start a run on a pretended SLURM that nothing may be submitted to; returns its output."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("bash", "sh", "git", "which"):
        (programs / name).symlink_to(shutil.which(name))
    pretended, path = PretendedSlurm(programs), tmp_path / "site.yaml"

    def run(site, prepare, config=None):
        prepare(pretended)
        path.write_text(yaml.safe_dump(deep_merge(FITS, site)))
        overlay = tmp_path / "overlay.yaml"
        paths = {"results": str(tmp_path / "results")}
        overlay.write_text(yaml.safe_dump({"paths": paths, **(config or {})}))
        command = [sys.executable, "-m", "snakemake", "--profile", "slurm", "--nolock"]
        done = subprocess.run(
            [*command, "--configfile", *OVERLAYS, overlay, "--", "datasets"],
            cwd=ROOT,
            env=environment() | {"PATH": str(programs), "ROBUSTVIT_SITE": str(path)},
            capture_output=True,
            text=True,
            timeout=120,
        )
        said = done.stdout + done.stderr
        assert done.returncode != 0 and "Traceback" not in said, said
        assert not [c for c in pretended.calls if c[0] == "sbatch" and "--test-only" not in c]
        assert not (tmp_path / "results").exists()
        return said, str(path)

    return run


FITS = {"account": "lab", "partitions": {"gpu": "gpu", "cpu": "cpu"}, "max_memory_gb": 100}


def as_is(slurm):
    """Leave the pretended SLURM as it is."""


NO_ACCOUNT = ("sacctmgr", "", "show associations")


@pytest.mark.parametrize(
    ("site", "prepare", "expected"),
    [
        ({}, lambda slurm: slurm.remove("sinfo"), "no SLURM on this machine: sinfo was not found"),
        ({"account": None}, lambda slurm: slurm.answer(*NO_ACCOUNT), "account: this cluster asks"),
        ({"partitions": {"gpu": "gqu"}}, as_is, 'partitions.gpu: unknown partition "gqu"'),
        ({"gpu": {"type": "h100"}}, as_is, 'gpu.type: no node of partition gpu has'),
        ({"max_hours": {"gpu": 48}}, as_is, "max_hours.gpu: 48 is longer than"),
    ],
)  # fmt: skip
def test_what_does_not_fit_stops_before_the_first_job(start, site, prepare, expected):
    said, path = start(site, prepare)
    assert expected in said and f"{path}: the site file does not fit" in said, said
    assert "nothing was submitted" in said
