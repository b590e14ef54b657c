"""Opening a device; there is no GPU where these tests run, so torch's switches are looked at."""

from __future__ import annotations

import os

import pytest
import torch

from robustvit.core.errors import UserError
from robustvit.training.devices import open_device
from robustvit.training.opening import open_training_device

SWITCHES = (
    (torch.backends.cudnn, "deterministic", False),
    (torch.backends.cudnn, "benchmark", True),
    (torch.backends.cudnn, "allow_tf32", True),
    (torch.backends.cuda.matmul, "allow_tf32", True),
    (torch.utils.deterministic, "fill_uninitialized_memory", True),
)
pytestmark = pytest.mark.filterwarnings("ignore:Please use the new API settings")


@pytest.fixture
def gpu(monkeypatch):
    """Pretend that there is a GPU, and take the switches back afterwards."""
    asked = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(
        torch, "use_deterministic_algorithms", lambda mode, **more: asked.append((mode, more))
    )
    before = [getattr(place, name) for place, name, _ in SWITCHES]
    for place, name, value in SWITCHES:
        setattr(place, name, value)
    # Set first: whatever the code under test sets is then undone as well.
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", "")
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG")
    yield asked
    for (place, name, _), value in zip(SWITCHES, before, strict=True):
        setattr(place, name, value)


@pytest.mark.parametrize("name", ["auto", "cuda", "cuda:1"])
def test_a_gpu_computes_the_same_bytes_each_time(gpu, name, monkeypatch):
    chosen = []
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    device = open_device(name)
    assert device.is_cuda
    assert chosen == ([torch.device("cuda", 1)] if name == "cuda:1" else [])
    assert torch.utils.deterministic.fill_uninitialized_memory is False
    assert gpu == [(True, {"warn_only": True})]
    assert torch.backends.cudnn.deterministic is True
    assert torch.backends.cudnn.benchmark is False
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"


def test_float32_means_float32_on_a_gpu(gpu):
    open_device("cuda")
    assert torch.backends.cuda.matmul.allow_tf32 is False
    assert torch.backends.cudnn.allow_tf32 is False


def test_a_chosen_workspace_is_kept(gpu, monkeypatch):
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":16:8")
    open_device("cuda")
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":16:8"


def test_the_cpu_leaves_the_switches_alone(gpu):
    open_device("cpu", 1)
    assert gpu == []
    assert torch.backends.cudnn.benchmark is True


def test_an_absent_gpu_is_explained(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UserError, match="use --device cpu"):
        open_device("cuda")


@pytest.mark.parametrize("name", ["cuda:9", "cuda:x"])
def test_a_gpu_that_does_not_exist_is_explained(gpu, name, monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(UserError, match="sees 2 GPUs"):
        open_device(name)


def test_several_processes_name_no_gpu(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(UserError, match="take one GPU each"):
        open_training_device("cuda:1", 1)
