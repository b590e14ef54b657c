"""One run of the smallest configuration in a copy of the checkout, shared by the tests."""

import os
import shutil
import subprocess

import pytest
from filelock import FileLock

from tests.workflow.conftest import ROOT, run_snakemake

SMOKE = ("--configfile", "configs/demo.yaml", "configs/smoke.yaml", "--cores", "2")


def copy_checkout(target):
    """Copy what git tracks or would track: no results, no environment, no Snakemake metadata."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    for name in filter(None, listed.split("\0")):
        source = ROOT / name
        if source.is_symlink() or source.is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target / name, follow_symlinks=False)
    return target


class Run:
    """A finished smoke run: its folder and how to ask Snakemake about it."""

    def __init__(self, folder):
        self.folder = folder
        self.results = folder / "results" / "smoke"

    def snakemake(self, *arguments, timeout=900):
        return run_snakemake(*arguments, cwd=self.folder, timeout=timeout)

    def planned(self, *overlays):
        """Names of `rule wildcards` that would run now, as a set; empty if nothing."""
        done = self.snakemake("--profile", "none", *SMOKE[:3], *overlays, "-n", "--cores", "2")
        assert done.returncode == 0, done.stdout + done.stderr
        return planned_jobs(done.stdout + done.stderr)


def planned_jobs(text):
    """Read the jobs of a dry run: {(rule, wildcard values…)}."""
    jobs, rule = set(), None
    for line in text.splitlines():
        words = line.split()
        if line.lstrip().startswith(("rule ", "localrule ")):  # those of a group are indented
            rule = words[1].rstrip(":")
            jobs.add((rule,))
        elif line.strip().startswith("wildcards:") and rule:
            values = line.split("wildcards:", 1)[1].split(",")
            jobs.discard((rule,))
            jobs.add((rule, *(value.split("=", 1)[1].strip() for value in values)))
    return jobs


@pytest.fixture(scope="session")
def common(tmp_path_factory):
    """A folder that all processes of this test run share."""
    folder = tmp_path_factory.getbasetemp()
    return folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder


@pytest.fixture(scope="session")
def smoke(common):
    """The smallest configuration, run to its PDF; by one process, for all.

    Only tests of the group "smoke" may change it: they run in one process.
    """
    run, finished = Run(common / "smoke"), common / "smoke.finished"
    with FileLock(common / "smoke.lock"):
        if not finished.exists():
            copy_checkout(run.folder)
            done = run.snakemake(*SMOKE, "--rerun-incomplete")
            assert done.returncode == 0, (done.stdout + done.stderr)[-6000:]
            for name in ("train", "eval"):
                kept = Run(common / "undisturbed").results / name
                shutil.copytree(run.results / name, kept, symlinks=True)
            finished.touch()
    return run


@pytest.fixture(scope="session")
def undisturbed(smoke, common):
    """The weights and evaluations of `smoke`, as they were before any test changed them."""
    return Run(common / "undisturbed")
