"""The second TPU backend, as far as it goes without a TPU: a stand-in for the package's modules."""

import sys
import types

import pytest
import torch

from robustvit.core.errors import UserError
from robustvit.training import torch_tpu as backend
from robustvit.training.devices import Device
from robustvit.training.opening import open_training_device, prepare_launch
from robustvit.training.portable_norm import PortableBatchNorm


@pytest.fixture
def package(monkeypatch):
    """torch_tpu 0.2.0's names that the backend uses; its device is the CPU."""
    tpu = types.ModuleType("torch.tpu")
    tpu.get_device_name = lambda: "TPU v5e"
    tpu.distributed = types.ModuleType("torch.tpu.distributed")
    tpu.launched = []

    def set_tpu_launch_env(*, nnodes=None, nproc_per_node=None):
        if nnodes == 3:
            raise ValueError("expected nnodes to match the number of hosts")
        tpu.launched.append((nnodes, nproc_per_node))

    tpu.distributed.set_tpu_launch_env = set_tpu_launch_env
    monkeypatch.setitem(sys.modules, "torch_tpu", types.ModuleType("torch_tpu"))
    monkeypatch.setitem(sys.modules, "torch.tpu", tpu)
    monkeypatch.setitem(sys.modules, "torch.tpu.distributed", tpu.distributed)
    monkeypatch.setattr(torch, "tpu", tpu, raising=False)
    accelerator = types.SimpleNamespace(type="tpu")
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda: accelerator)
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: True)
    real = torch.device
    monkeypatch.setattr(
        backend.torch, "device", lambda name, *more: real("cpu" if name == "tpu" else name, *more)
    )
    return tpu


def test_without_the_package_the_lock_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch_tpu", None)
    with pytest.raises(UserError, match=r"make env LOCK=torch-tpu"):
        open_training_device("tpu")


def test_without_a_tpu(package, monkeypatch):
    # As version 0.2.0 behaves: torch does not know the device then.
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda: None)
    with pytest.raises(UserError, match="finds no TPU"):
        open_training_device("tpu")


def test_one_process_trains_with_portable_norms(package):
    device = open_training_device("tpu")
    assert isinstance(device, Device) and device.is_main
    assert device.name == "TPU v5e (torch_tpu)"
    (moved,) = device.put(torch.ones(2))
    assert device.sum(moved).tolist() == [1, 1]
    model = device.spread(torch.nn.Sequential(torch.nn.BatchNorm2d(3)), 1)
    assert isinstance(model[0], PortableBatchNorm)


def test_processes_join_by_both_backends(package, monkeypatch):
    joined = {}
    monkeypatch.setenv("WORLD_SIZE", "4")
    monkeypatch.setattr(
        backend.dist, "init_process_group", lambda names, timeout: joined.update(names=names)
    )
    monkeypatch.setattr(backend.dist, "get_rank", lambda: 2)
    monkeypatch.setattr(backend.dist, "get_world_size", lambda: 4)
    device = open_training_device("tpu")
    assert (device.rank, device.world_size, device.is_main) == (2, 4, False)
    assert joined["names"] == "cpu:gloo,tpu:tpu_dist"


def test_the_parent_sets_what_all_processes_agree_on(package):
    prepare_launch("tpu", 4, 1)
    assert package.launched == [(1, 4)]
    prepare_launch("cuda", 4, 1)
    assert package.launched == [(1, 4)]
    with pytest.raises(UserError, match="--device tpu: expected nnodes to match"):
        prepare_launch("tpu", 4, 3)
