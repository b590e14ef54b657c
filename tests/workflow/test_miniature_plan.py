"""The miniature fits: an hour of one GPU, a night of two cores, as `plan` expects them."""

import json
import subprocess
import sys

import pytest

from tests.workflow.conftest import ROOT, environment

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
