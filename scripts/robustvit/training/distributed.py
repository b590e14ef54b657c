"""Several processes with one device each, started by torchrun: GPUs (NCCL) or CPUs (gloo)."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from timm.layers import convert_sync_batchnorm
from torch import Tensor, nn
from torch.distributed.nn.functional import all_reduce
from torch.nn.parallel import DistributedDataParallel

from robustvit.core.errors import UserError
from robustvit.training.devices import Device
from robustvit.training.portable_norm import use_portable_norm

# Longer than the slowest thing one process may do alone: fetching a state from a busy file system.
TIMEOUT = timedelta(hours=1)
SECONDS_TO_PART = timedelta(seconds=20)


@dataclass(frozen=True)
class DistributedDevice(Device):
    """One of `world_size` processes that train one model together."""

    def sum(self, value: Tensor) -> Tensor:
        """Sum over all processes."""
        value = value.clone()
        dist.all_reduce(value)
        return value

    def agree(self, wish: int) -> int:
        """The greatest wish of all processes; waits for no GPU."""
        value = torch.tensor(wish)
        dist.all_reduce(value, op=dist.ReduceOp.MAX)
        return int(value)

    def share(self, make: Callable[[], Any]) -> Any:
        """What `make` returns in the main process."""
        values = [make() if self.is_main else None]
        dist.broadcast_object_list(values, device=torch.device("cpu"))
        return values[0]

    def spread(self, model: nn.Module, sharing: int) -> nn.Module:
        """Let BatchNorm layers share their statistics between the processes of a part."""
        if sharing == 1:
            return model
        group = _group_of(self.rank, self.world_size, sharing)
        if self.is_cuda:
            return convert_sync_batchnorm(model, group)
        return use_portable_norm(model, lambda value: _average(value, group, sharing), sharing)

    def parallel(self, model: nn.Module) -> nn.Module:
        """Wrap the model so that its gradients are averaged over all processes."""
        # Buffers are equal by construction (shared statistics, or batch_statistics.PartStatistics).
        return DistributedDataParallel(
            model,
            device_ids=[self.device.index] if self.is_cuda else None,
            broadcast_buffers=False,
            gradient_as_bucket_view=True,
        )

    def close(self) -> None:
        """Wait a little for the others, so that none misses what this process still has to send."""
        arrived = dist.all_reduce(torch.zeros(1), async_op=True)
        with contextlib.suppress(RuntimeError):
            arrived.wait(SECONDS_TO_PART)


def _average(value: Tensor, group: Any, sharing: int) -> Tensor:
    return all_reduce(value, group=group) / sharing


def _group_of(rank: int, world_size: int, sharing: int) -> Any:
    # Every process has to create every group, in the same order.
    starts = range(0, world_size, sharing)
    groups = [dist.new_group(list(range(start, start + sharing))) for start in starts]
    return groups[rank // sharing]


def is_worker() -> bool:
    """Whether torchrun (or `launch`) started this process as one of several."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1


def join_processes(open_one: Callable[[str], Device], name: str) -> DistributedDevice:
    """Join the processes that torchrun has started.

    Args:
        open_one: opens the device of one process by its name.
        name: "auto", "cpu" or "cuda"; each process of a machine takes the GPU of its local rank.

    Raises:
        UserError: if there are fewer GPUs than processes on this machine.
    """
    local = int(os.environ.get("LOCAL_RANK", "0"))
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name.startswith("cuda:"):
        raise UserError(
            f"--device {name}: several processes take one GPU each; use --device cuda, and "
            "CUDA_VISIBLE_DEVICES to choose among the GPUs"
        )
    if name == "cuda":
        if local >= torch.cuda.device_count():
            raise UserError(
                f"{local + 1} processes on this machine but {torch.cuda.device_count()} GPUs: set "
                "compute.training.processes to the number of GPUs of a node"
            )
        torch.cuda.set_device(local)
        name = f"cuda:{local}"
    one = open_one(name)
    # Small messages about what to do next go by gloo and wait for no GPU.
    backend = "cpu:gloo,cuda:nccl" if one.is_cuda else "gloo"
    dist.init_process_group(backend, timeout=TIMEOUT)
    place = {"rank": dist.get_rank(), "world_size": dist.get_world_size()}
    return DistributedDevice(**{**vars(replace(one)), **place})
