"""Fixtures for the tests of training."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from training_samples import write_colours

from robustvit.training.datasets import open_data
from robustvit.training.devices import open_device
from robustvit.training.engine import Trainer
from robustvit.training.plan import Plan
from robustvit.training.run import Run
from robustvit.training.state import StateFolder


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """Several threads would make tiny models slower and sums depend on the machine."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def colours(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Manifest of the tiny data set."""
    return write_colours(tmp_path_factory.mktemp("colours") / "colours")


@pytest.fixture(scope="session")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Manifest of synthetic images that go with the tiny data set; there are more of them."""
    return write_colours(tmp_path_factory.mktemp("drawn") / "drawn", train=200, seed=1)


@pytest.fixture
def make_plan(colours: Path, drawn: Path) -> Callable[..., Plan]:
    """Build a plan from a spec."""

    def build(spec: dict, workers: int = 0) -> Plan:
        synthetic = drawn if spec.get("synthetic") else None
        data = open_data(spec, colours, colours, synthetic)
        return Plan(spec, data, open_device("cpu", 1), workers)

    return build


@pytest.fixture
def train(make_plan: Callable[..., Plan], tmp_path: Path) -> Callable[..., Run]:
    """Train a spec from scratch (in a folder of its own) and return the finished run."""
    count = iter(range(100))

    def run(spec: dict, workers: int = 0) -> Run:
        states = StateFolder(tmp_path / f"states{next(count)}")
        return Trainer(make_plan(spec, workers), states).train()

    return run
