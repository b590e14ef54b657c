"""`plan`: what Snakemake would run, what it costs, and the demo's measured times."""

import json
import subprocess
import sys
from collections import Counter

import pytest
import yaml

from robustvit.config.report_jobs import job_counts
from robustvit.config.resolve import resolve
from robustvit.planning.facts import BENCHMARKS
from robustvit.planning.jobs import planned_jobs
from tests.workflow.conftest import ROOT, environment, run_snakemake

# The demo takes this factor more or less than it is expected to; docs/planning.md states it.
WHOLE, STAGE = 1.5, 2.0


def plan(*arguments, output):
    done = subprocess.run(
        [sys.executable, "scripts/plan_run.py", *arguments, "--output", str(output)],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout, json.loads(output.with_suffix(".json").read_text(encoding="utf-8"))


def elsewhere(folder, **settings):
    """Nothing of the checkout's own results is seen."""
    return "--overrides", json.dumps({"paths": {"results": str(folder)}, **settings})


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    folder = tmp_path_factory.mktemp("plan")
    arguments = ("--configfile", "configs/demo.yaml", "--device", "cpu-core", "--devices", "2")
    measured_with = {"protocols": {"autoattack": {"options": {"engine": "reference"}}}}
    options = elsewhere(folder / "results", **measured_with)
    return plan(*arguments, *options, output=folder / "plan")[1]


def measured():
    return yaml.safe_load(BENCHMARKS.read_text(encoding="utf-8"))["runs"]["demo"]


def test_the_demo_takes_what_was_measured(demo):
    hours = measured()["wall_hours"]
    wall = demo["wall_hours"]
    assert hours / WHOLE < wall["expected"] < hours * WHOLE
    assert wall["low"] < hours < wall["high"]
    work = measured()["core_seconds"] / 3600
    assert work / WHOLE < demo["total"]["device_hours"]["expected"] < work * WHOLE


@pytest.mark.parametrize("stage", ["data", "pretrain", "finetune", "evaluate", "semantics"])
def test_each_stage_of_the_demo_takes_what_was_measured(demo, stage):
    line = next(line for line in demo["lines"] if line["stage"] == stage)
    hours = measured()["stages"][stage] / 3600
    assert hours / STAGE < line["device_hours"]["expected"] < hours * STAGE


def test_one_table_is_its_own_jobs(tmp_path):
    text, found = plan("table7", "--everything", "--device", "h100", "--devices", "4",
                       *elsewhere(tmp_path), output=tmp_path / "plan")  # fmt: skip
    assert "Plan for table7" in text and "4 × NVIDIA H100" in text
    jobs = Counter(line["stage"] for line in found["lines"] for _ in range(line["jobs"]))
    assert jobs["pretrain"] == 1 and jobs["finetune"] == 8 and jobs["report"] == 1
    assert (tmp_path / "plan.csv").read_text().startswith("stage,jobs,")
    assert not (tmp_path / "paper").exists()  # nothing ran


def test_a_tpu_says_what_it_does_not_run(tmp_path):
    arguments = ("table7", "--everything", "--device", "tpu-v4-core", *elsewhere(tmp_path))
    text, found = plan(*arguments, output=tmp_path / "plan")
    assert "Only trainings run on a TPU" in text
    assert found["basis"][0][0].startswith("s12_tpu_v4: published, thesis")


def test_only_what_is_left_is_planned(tmp_path):
    overlay = tmp_path / "elsewhere.yaml"
    overlay.write_text(f"paths: {{results: {tmp_path}}}\n")
    whole = planned_jobs(["datasets"], [str(overlay)])
    made = tmp_path / "sources/cifar10/source.json"
    made.parent.mkdir(parents=True)
    made.write_text("{}")
    left = planned_jobs(["datasets"], [str(overlay)])
    gone = {job.outputs for job in whole} - {job.outputs for job in left}
    assert gone == {(str(made),)}
    assert len(planned_jobs(["datasets"], [str(overlay)], everything=True)) == len(whole)


def test_the_jobs_are_those_of_the_report():
    overlay = "configs/demo.yaml"
    layers = [yaml.safe_load((ROOT / p).read_text()) for p in ("workflow_config.yaml", overlay)]
    from robustvit.config.merge import deep_merge

    planned = Counter(job.rule for job in planned_jobs([], [overlay], everything=True))
    assert planned == Counter(job_counts(resolve(deep_merge(*layers))) | {"report": 0})


def test_the_target_prints_the_plan_and_starts_nothing_else(tmp_path):
    overlay = tmp_path / "plan.yaml"
    settings = {"targets": ["datasets"], "device": "v100", "devices": 3, "everything": True}
    overlay.write_text(json.dumps({"plan": settings, "paths": {"results": str(tmp_path / "r")}}))
    done = run_snakemake("--cores", "1", "--configfile", overlay, "--quiet", "--", "plan")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 × NVIDIA V100" in done.stdout
    written = sorted(p.name for p in (tmp_path / "r").rglob("*") if p.is_file())
    assert written == ["plan.csv", "plan.json", "plan.log", "plan.txt"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--device", "a1000"), 'plan.device: unknown device "a1000"'),
        (("--devices", "0"), "plan.devices: 0; expected 1 or more"),
        (("nothing_of_this_name",), "Snakemake cannot plan nothing_of_this_name"),
        (("--site", "no_such.yaml"), "no_such.yaml: no such file"),
        (("--configfile", "no_such.yaml"), "no_such.yaml: no such file"),
    ],
)
def test_mistakes_are_one_message(arguments, said):
    done = subprocess.run(
        [sys.executable, "scripts/plan_run.py", *arguments],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
