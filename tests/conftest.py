"""What all tests share: one thread each, reproducible properties, where the real archives lie."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from xdist.scheduler import LoadFileScheduling

ROOT = Path(__file__).resolve().parent.parent
# Two test processes share two cores: more threads each only get in each other's way.
# These change the one smoke run that they share: one process runs them, with `--dist loadfile`.
TOGETHER = ("test_fleet_training.py", "test_miniature.py", "test_smoke.py", "test_tpu_profile.py")
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def pytest_configure() -> None:
    """Set thread counts before anything imports a numerical library, and hypothesis' profile."""
    for name in THREAD_VARIABLES:
        os.environ.setdefault(name, "1")
    # Timings on a shared machine vary: no deadline. The same examples every time: a red run can be
    # repeated; HYPOTHESIS_PROFILE=explore looks for new ones.
    slow = [HealthCheck.too_slow]
    settings.register_profile(
        "project", max_examples=25, deadline=None, derandomize=True, suppress_health_check=slow
    )
    settings.register_profile(
        "explore", max_examples=500, deadline=None, suppress_health_check=slow
    )
    settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "project"))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> LoadFileScheduling | None:
    """Keep the files `TOGETHER` in one process (xdist's own groups do nothing under pytest 9)."""
    return _Files(config, log) if config.getoption("dist") == "loadfile" else None


class _Files(LoadFileScheduling):
    def _split_scope(self, nodeid: str) -> str:
        path = Path(super()._split_scope(nodeid))
        return "together" if path.name in TOGETHER else str(path)


@pytest.fixture(autouse=True)
def _one_torch_thread() -> None:
    # Only if torch is there already: most tests do without its seconds of import.
    torch = sys.modules.get("torch")
    if torch is not None and hasattr(torch, "set_num_threads"):
        torch.set_num_threads(1)


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the checkout."""
    return ROOT


@pytest.fixture(scope="session")
def mirror() -> Path:
    """The folder of real archives (Caltech-101, Flowers, ILSVRC layout) beside the checkout."""
    folder = ROOT.parent / "shared" / "mirror"
    if not folder.is_dir():
        pytest.skip(f"no real archives: {folder} does not exist")
    return folder
