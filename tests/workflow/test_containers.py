"""Jobs in a container image, with a stand-in for Apptainer that notes the call and runs it here."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.workflow.conftest import environment

# apptainer [options] exec --home DIR … IMAGE SHELL -c COMMAND
APPTAINER = """#!/bin/bash
[ "$1" != --version ] || { echo "apptainer version 1.4.5"; exit; }
printf '%s\\n' "$*" >>"$CALLS"
exec bash -c "${@: -1}"
"""
TARGET = "results/demo/rulegraph.dot"


@pytest.fixture
def project(tmp_path, checkout):
    """A project of its own, made of links, so that a job can run without touching the checkout."""
    for name in ("Snakefile", "workflow_config.yaml", "configs", "rules", "schemas", "scripts"):
        (tmp_path / name).symlink_to(checkout / name)
    for name in ("envs", "planning", "profiles", "demo", "reports"):
        (tmp_path / name).symlink_to(checkout / name)
    (tmp_path / "containers").mkdir()
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "apptainer"
    program.write_text(APPTAINER)
    program.chmod(0o755)
    return tmp_path


def run(project, *arguments):
    values = environment()
    values["PATH"] = f"{project / 'bin'}:{values['PATH']}"
    values["CALLS"] = str(project / "calls")
    command = [sys.executable, "-m", "snakemake", "--configfile", "configs/demo.yaml"]
    return subprocess.run(
        [*command, "--cores", "1", *arguments, "--", TARGET],
        cwd=project, env=values, capture_output=True, text=True, timeout=120,
    )  # fmt: skip


def test_a_job_runs_in_the_image(project):
    (project / "containers" / "robustvit.sif").touch()
    done = run(project, "--software-deployment-method", "apptainer", "--apptainer-args=--nv")
    assert done.returncode == 0, done.stdout + done.stderr
    (call,) = (project / "calls").read_text().splitlines()
    assert "--nv" in call and "containers/robustvit.sif" in call
    assert "scripts/draw_rule_graph.py" in call
    assert (project / TARGET).exists()


def test_without_the_image_the_run_stops_and_says_how_to_build_it(project):
    done = run(project, "--software-deployment-method", "apptainer", "-n")
    assert done.returncode != 0
    assert "there is no container image containers/robustvit.sif" in done.stdout + done.stderr
    assert "apptainer build containers/robustvit.sif" in done.stdout + done.stderr
    assert run(project, "-n").returncode == 0  # nobody else needs it
