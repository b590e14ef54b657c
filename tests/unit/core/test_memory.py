"""Freed memory stays with the process, which a step then finds already cleared."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[3] / "scripts"
PROGRAM = """
import resource, sys
sys.path.insert(0, sys.argv[1])
import torch
from robustvit.core.memory import keep_freed_memory
worked = keep_freed_memory() if sys.argv[2] == "keep" else None
def step():
    return len([torch.ones(10_000_000) for _ in range(6)])
for _ in range(3):
    step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(3):
    step()
print(worked, resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(mode: str) -> tuple[str, int]:
    command = [sys.executable, "-c", PROGRAM, str(SCRIPTS), mode]
    worked, count = subprocess.run(
        command, capture_output=True, text=True, check=True
    ).stdout.split()
    return worked, int(count)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux has glibc")
def test_pages_are_cleared_once():
    worked, kept = faults("keep")
    if worked == "False":
        pytest.skip("the C library has no mallopt")
    assert kept < 0.2 * faults("plain")[1]
