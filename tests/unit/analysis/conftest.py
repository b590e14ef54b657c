"""Fixtures for the tests of the analyses: the samples of the tests of evaluation."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from robustvit.training.devices import Device, open_device

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "evaluation"))

from evaluation_samples import write_colours, write_weights


@pytest.fixture(scope="session")
def colours(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Manifest of the tiny data set."""
    return write_colours(tmp_path_factory.mktemp("colours") / "colours")


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory, colours: Path) -> Path:
    """Weights of the tiny model."""
    return write_weights(tmp_path_factory.mktemp("weights") / "weights.safetensors", colours)


@pytest.fixture
def cpu() -> Device:
    """The CPU, one thread."""
    return open_device("cpu", 1)
