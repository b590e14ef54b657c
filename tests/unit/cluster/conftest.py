"""A pretended SLURM for the tests of this folder."""

import os

import pytest
from tests.pretended_slurm import PretendedSlurm


@pytest.fixture
def pretended(tmp_path, monkeypatch):
    """A cluster with four A100 on each of two nodes, accounts, and no jobs."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    for name in [name for name in os.environ if name.startswith(("SLURM_", "ROBUSTVIT_"))]:
        monkeypatch.delenv(name)
    return PretendedSlurm(folder)
