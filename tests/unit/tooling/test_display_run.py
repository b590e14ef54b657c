"""The logger under a real Snakemake with a toy workflow."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

WORKFLOW = """
rule all:
    input:
        "results/toy/a.txt",
        "results/toy/b.txt",


rule copy:
    output:
        "results/toy/{name}.txt",
    log:
        "results/toy/logs/{name}.log",
    shell:
        'python work.py --output {output} >{log} 2>&1'
"""
PROGRAM = """
import sys
from robustvit.core.progress import Progress

with Progress(2, "steps", "copy") as progress:
    progress.update(1)
output = sys.argv[-1]
if "b.txt" in output and "FAIL" in open("mode").read():
    sys.exit("error: the reason")
open(output, "w").write("x")
"""


@pytest.fixture
def snakemake(tmp_path, repository):
    """Run Snakemake with the logger in a folder with the toy workflow."""
    (tmp_path / "Snakefile").write_text(WORKFLOW)
    (tmp_path / "work.py").write_text(PROGRAM)
    (tmp_path / "mode").write_text("")
    folder = Path(sys.executable).parent
    environment = os.environ | {
        "PYTHONPATH": str(repository / "scripts"),
        "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}",
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
    }

    def run(*arguments: str) -> subprocess.CompletedProcess:
        command = [sys.executable, "-m", "snakemake", "--logger", "robustvit", "--cores", "2"]
        return subprocess.run(
            [*command, *arguments],
            cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120,
        )  # fmt: skip

    return run


def test_a_run_and_its_repetition(snakemake, tmp_path):
    done = snakemake()
    assert done.returncode == 0, done.stderr
    assert "3 jobs to do, about " in done.stderr
    assert "/3] copy a: " in done.stderr and "/3] copy b: " in done.stderr
    assert "Done: 3 jobs in " in done.stderr
    assert "rule copy:" not in done.stderr
    log = next((tmp_path / ".snakemake" / "log").glob("*.log")).read_text()
    assert "rule copy:" in log
    assert (tmp_path / ".snakemake" / "robustvit-durations.json").exists()
    assert "Nothing to be done" in snakemake().stderr


def test_a_failure_shows_the_rule_the_reason_and_the_log(snakemake, tmp_path):
    (tmp_path / "mode").write_text("FAIL")
    done = snakemake("--keep-going")
    assert done.returncode == 1
    assert "copy b failed after " in done.stderr and "(exit status 1)" in done.stderr
    assert "    error: the reason" in done.stderr
    assert "results/toy/logs/b.log" in done.stderr
    assert "1 of 3 jobs done, 1 failed" in done.stderr
    assert "CalledProcessError" not in done.stderr


def test_other_outputs_of_snakemake_stay_what_they_are(snakemake):
    assert "This was a dry-run" in snakemake("-n").stdout
    assert snakemake("--rulegraph").stdout.startswith("digraph")
    assert "Lints for rule" in "".join(snakemake("--lint").stderr.splitlines())
    wrong = snakemake("results/none")
    assert wrong.returncode == 1 and "MissingRuleException" in wrong.stderr
