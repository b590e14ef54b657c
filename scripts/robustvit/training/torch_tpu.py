"""TPU cores by torch_tpu, the announced successor of torch_xla: one process a core, as with GPUs.

Written to version 0.2.0's own documentation and sources, and not run on a TPU: the package is beta,
has no backend for the CPU, and needs Python 3.12 and torch 2.11 or later (envs/torch-tpu.txt).
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import nn

from robustvit.core.errors import UserError
from robustvit.training.devices import Device
from robustvit.training.distributed import TIMEOUT, DistributedDevice, is_worker
from robustvit.training.portable_norm import use_portable_norm

BACKENDS = "cpu:gloo,tpu:tpu_dist"  # small messages about what to do next go by gloo


class _Tpu:
    """What differs from other devices, for one process and for several."""

    @property
    def name(self) -> str:
        """What a report calls the device."""
        return f"{torch.tpu.get_device_name()} (torch_tpu)"

    def fork_random_state(self) -> contextlib.AbstractContextManager:
        """Return a context that leaves the host's random state as it was."""
        return torch.random.fork_rng(devices=[])


@dataclass(frozen=True)
class TpuDevice(_Tpu, Device):
    """One core."""

    def spread(self, model: nn.Module, sharing: int) -> nn.Module:
        """Put BatchNorm layers in whose backward pass an attack can use on any compiler."""
        return use_portable_norm(model)


@dataclass(frozen=True)
class TpuProcess(_Tpu, DistributedDevice):
    """One of several processes with a core each; BatchNorm shares its statistics over gloo's peers
    by the same portable layers as on the CPU.
    """


def open_torch_tpu(threads: int | None = None) -> Device:
    """Open this process' core; one of several processes joins the others.

    Raises:
        UserError: if torch_tpu is not installed or finds no TPU.
    """
    _import()
    if threads:
        torch.set_num_threads(threads)
    device = torch.device("tpu")
    if not is_worker():
        return TpuDevice(device, check_every=10)
    dist.init_process_group(BACKENDS, timeout=TIMEOUT)
    return TpuProcess(
        device, check_every=10, rank=dist.get_rank(), world_size=dist.get_world_size()
    )


def prepare_launch(processes: int, nodes: int) -> None:
    """Set what all processes of a training have to agree on; in their parent, before they start.

    Raises:
        UserError: if there is no TPU, or fewer hosts than `nodes`.
    """
    _import()
    from torch.tpu import distributed

    try:
        distributed.set_tpu_launch_env(nproc_per_node=processes, nnodes=nodes)
    except ValueError as error:
        raise UserError(f"--device tpu: {error}") from error


def _import() -> None:
    try:
        import torch_tpu  # noqa: F401 - it gives torch its device "tpu"
    except ImportError as error:
        raise UserError(
            "--device tpu needs torch_tpu; make its environment: make env LOCK=torch-tpu "
            "PYTHON=python3.12. For torch_xla use --device xla"
        ) from error
    # Without a TPU the package does not give torch its device.
    found = torch.accelerator.current_accelerator()
    if found is None or found.type != "tpu" or not torch.accelerator.is_available():
        raise UserError(
            "--device tpu: torch_tpu finds no TPU on this machine, or another program holds it"
        )
