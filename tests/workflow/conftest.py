"""Running Snakemake as a user does, in the checkout or in a copy of it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def environment():
    """The variables of a shell in which the environment is active."""
    values = dict(os.environ)
    values["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{values['PATH']}"
    return values


def run_snakemake(*arguments, cwd=ROOT, timeout=300):
    """Run the environment's Snakemake and return the finished process."""
    return subprocess.run(
        [sys.executable, "-m", "snakemake", *map(str, arguments)],
        cwd=cwd,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=timeout,
    )


@pytest.fixture(scope="session")
def snakemake():
    """`snakemake(*arguments, cwd=checkout)`."""
    return run_snakemake


@pytest.fixture(scope="session")
def checkout():
    """The project's folder."""
    return ROOT
