"""XLA devices (TPU cores) as one program over all of them, by torch_xla's SPMD mode.

The program is written as for one device; a batch is laid over all cores, and XLA inserts the
exchange between them, BatchNorm's statistics included. The weights are on every core.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from robustvit.core.errors import UserError
from robustvit.training.distributed import DistributedDevice
from robustvit.training.portable_norm import use_portable_norm


@dataclass(frozen=True)
class XlaDevice(DistributedDevice):
    """All cores that this host's process drives; on a pod, one process of several hosts.

    Attributes:
        mesh: torch_xla's mesh of all cores, with the one axis "batch".
        cores: number of cores in all.
    """

    mesh: Any = None
    cores: int = 1

    @property
    def name(self) -> str:
        """What a report calls the device."""
        import torch_xla.runtime as runtime

        return f"{runtime.device_type()} ({self.cores} cores, XLA)"

    def put(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        """Lay tensors over all cores along their first axis; each host gives its own examples."""
        return self._lay(tensors, own_examples=self.world_size > 1)

    def put_whole(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        """Lay tensors over all cores that every host has in full."""
        return self._lay(tensors, own_examples=False)

    @property
    def evaluated(self) -> slice:
        """All examples: a program over all hosts needs the same batches on each."""
        return slice(None)

    def _lay(self, tensors: tuple[Tensor, ...], own_examples: bool) -> tuple[Tensor, ...]:
        import torch_xla.core.xla_model as xm
        import torch_xla.distributed.spmd as spmd

        moved = []
        for tensor in tensors:
            count = len(tensor) * (self.world_size if own_examples else 1)
            # A last batch that does not divide evenly is computed by every core.
            axes = ("batch" if count % self.cores == 0 else None, *(None for _ in tensor.shape[1:]))
            sharding = spmd.ShardingSpec(self.mesh, axes, minibatch=own_examples)
            moved += xm.send_cpu_data_to_device([tensor], self.device, sharding)
        return tuple(moved)

    def fork_random_state(self) -> contextlib.AbstractContextManager:
        """Return a context that leaves the host's random state as it was."""
        return torch.random.fork_rng(devices=[])

    def end_step(self) -> None:
        """Run what has been recorded: one graph per attack step compiles in a fraction of the time
        that one graph of ten steps takes.
        """
        import torch_xla

        torch_xla.sync()

    def sum(self, value: Tensor) -> Tensor:
        """Return the value: what the one program counts holds for the examples of all hosts."""
        return value

    def check_batch(self, size: int) -> None:
        """Refuse images that cannot be laid evenly over the cores.

        Raises:
            UserError: naming the keys.
        """
        if size % self.cores:
            raise UserError(
                f"{size} images (recipe.batch_size times views, over recipe.accumulation) cannot be"
                f" laid over {self.cores} XLA cores; use a multiple of {self.cores}"
            )

    def seed(self, value: int) -> None:
        """Seed the generators that plain dropout draws from."""
        import torch_xla

        super().seed(value)
        torch_xla.manual_seed(value % 2**31)

    def agree(self, wish: int) -> int:
        """The greatest wish of all hosts."""
        return super().agree(wish) if self.world_size > 1 else wish

    def share(self, make: Any) -> Any:
        """What `make` returns on the main host."""
        return super().share(make) if self.world_size > 1 else make()

    def spread(self, model: nn.Module, sharing: int) -> nn.Module:
        """Put BatchNorm layers in that XLA computes and differentiates rightly."""
        return use_portable_norm(model)

    def parallel(self, model: nn.Module) -> nn.Module:
        """The program is parallel as it is."""
        return model

    def close(self) -> None:
        """Leave the group of hosts."""
        if self.world_size > 1:
            super().close()

    def memory_mb(self) -> float:
        """Peak memory of one core in MB, or of the process where XLA does not tell."""
        import torch_xla.core.xla_model as xm

        with contextlib.suppress(RuntimeError, KeyError):
            return xm.get_memory_info(self.device)["peak_bytes_used"] / 1e6
        return super().memory_mb()


def open_xla(threads: int | None = None) -> XlaDevice:
    """Open all XLA devices; call it before the first backward pass of the process.

    Raises:
        UserError: if torch_xla is not installed or finds no device.
    """
    if threads:
        torch.set_num_threads(threads)
    asked = os.environ.get("PJRT_DEVICE")  # torch_xla sets it by itself
    try:
        import torch_xla
        import torch_xla.distributed.spmd as spmd
        import torch_xla.runtime as runtime
    except ImportError as error:
        raise UserError(
            "--device xla needs torch_xla; make the environment for TPUs: make env LOCK=tpu"
        ) from error
    try:
        runtime.use_spmd()
        device = torch_xla.device()
        cores = runtime.global_runtime_device_count()
    except RuntimeError as error:
        raise UserError(
            f"--device xla: no device was found ({str(error).splitlines()[0]}). On a TPU VM set "
            "PJRT_DEVICE=TPU; to try the program without one, PJRT_DEVICE=CPU"
        ) from error
    if not asked and runtime.device_type() == "CPU":
        raise UserError(
            "--device xla: this machine has no TPU, or another program holds it (sudo lsof "
            "/dev/accel0 /dev/vfio/0). To try the program without one: PJRT_DEVICE=CPU"
        )
    hosts, rank = runtime.process_count(), runtime.process_index()
    if hosts > 1:
        import torch.distributed as dist
        import torch_xla.distributed.xla_backend

        dist.init_process_group("gloo", init_method="xla://")
    mesh = spmd.Mesh(np.arange(cores), (cores,), ("batch",))
    return XlaDevice(
        device, check_every=10, rank=rank, world_size=hosts, together=True, mixes_on_host=True,
        mesh=mesh, cores=cores,
    )  # fmt: skip
