"""The miniature fits: an hour of one GPU, a night of two cores, as `plan` expects them."""

import json
import shlex
import subprocess
import sys

import pytest

from tests.workflow.conftest import ROOT, environment, run_snakemake

GPU = ("configs/miniature.yaml",)
CPU = (*GPU, "configs/miniature_cpu.yaml")


@pytest.mark.parametrize(("overlays", "hours", "trainings"), [(GPU, 1.0, 35), (CPU, 10.0, 21)])
def test_the_miniature_is_expected_to_fit(tmp_path, overlays, hours, trainings):
    files = [word for name in overlays for word in ("--configfile", name)]
    elsewhere = json.dumps({"paths": {"results": str(tmp_path / "results")}})
    options = ("--overrides", elsewhere, "--output", str(tmp_path / "plan"))
    done = subprocess.run(
        [sys.executable, "scripts/plan_run.py", *files, *options],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    plan = json.loads((tmp_path / "plan.json").read_text())
    assert plan["wall_hours"]["expected"] <= hours
    jobs = {line["stage"]: line["jobs"] for line in plan["lines"]}
    assert jobs["pretrain"] == trainings


def started_by_make(*variables):
    """The words that `make miniature` hands to Snakemake."""
    done = subprocess.run(
        ["make", "--no-print-directory", "--dry-run", "miniature", *variables],
        cwd=ROOT,
        env={**environment(), "MAKEFLAGS": ""},
        capture_output=True,
        text=True,
        check=True,
    )
    lines = done.stdout.replace("\\\n", " ").splitlines()
    assert "scripts/unlock_after_crash.sh" in lines
    (words,) = [shlex.split(line) for line in lines if " snakemake " in line]
    return words[words.index("snakemake") + 1 :]


def test_make_starts_either_variant():
    gpu, cpu = started_by_make(), started_by_make("CPU=1")
    assert gpu[:4] == ["--profile", "demo", "--cores", "16"]
    assert cpu[:4] == ["--profile", "demo", "--cores", "2"]
    assert gpu[4:] == ["--configfile", *GPU, "--", "report"]
    assert cpu[4:] == ["--configfile", *CPU, "--", "report"]
    assert started_by_make("CORES=8")[3] == "8"


def test_what_make_starts_is_the_miniature_and_not_the_demo():
    done = run_snakemake("--dry-run", "--forceall", *started_by_make())
    said = done.stdout + done.stderr
    assert done.returncode == 0, said[-4000:]
    assert "results/miniature/report.pdf" in said and "results/demo" not in said
