"""The thin layer between the engine and the kind of device it runs on."""

from __future__ import annotations

import contextlib
import os
import resource
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from robustvit.core.errors import UserError, unknown_name
from robustvit.core.memory import keep_freed_memory

PRECISIONS = {"float32": None, "bf16": torch.bfloat16}


@dataclass(frozen=True)
class Device:
    """One device; several processes (`distributed`) and TPUs (`xla`) are further classes like it.

    Attributes:
        device: torch's device.
        check_every: steps between two looks at the loss: a look waits for an accelerator.
        rank, world_size: place of this process among those that train together.
        together: every process takes a slice of every part of a batch (see `sharing.Share`).
        mixes_on_host: MixUp happens before images are moved to the device.
    """

    device: torch.device
    check_every: int = 1
    rank: int = 0
    world_size: int = 1
    together: bool = False
    mixes_on_host: bool = False

    @property
    def is_main(self) -> bool:
        """Whether this process writes the results."""
        return self.rank == 0

    @property
    def name(self) -> str:
        """What a report calls the device."""
        return torch.cuda.get_device_name(self.device) if self.is_cuda else "cpu"

    @property
    def is_cuda(self) -> bool:
        """Whether this is a GPU."""
        return self.device.type == "cuda"

    def put(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        """Move tensors to the device, without waiting where it allows that."""
        return tuple(tensor.to(self.device, non_blocking=True) for tensor in tensors)

    def put_whole(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        """Move tensors of an evaluation to the device."""
        return self.put(*tensors)

    @property
    def evaluated(self) -> slice:
        """Which of the evaluation's examples this process takes."""
        return slice(self.rank, None, self.world_size)

    def autocast(self, precision: str) -> contextlib.AbstractContextManager:
        """Return the context in which forward passes run at `precision` (a recipe key).

        Raises:
            UserError: for an unknown precision.
        """
        if precision not in PRECISIONS:
            raise unknown_name("precision", precision, PRECISIONS, "recipe.precision")
        kind = PRECISIONS[precision]
        if kind is None:
            return contextlib.nullcontext()
        return torch.autocast(self.device.type, dtype=kind)

    def fork_random_state(self) -> contextlib.AbstractContextManager:
        """Return a context that leaves the global random state as it was."""
        return torch.random.fork_rng(devices=[self.device] if self.is_cuda else [])

    def end_step(self) -> None:
        """Mark the end of an attack or training step; lazy devices run what they have recorded."""

    def check_batch(self, size: int) -> None:
        """Refuse a number of images that the device cannot compute at once."""

    def seed(self, value: int) -> None:
        """Seed the generators that plain dropout draws from."""
        torch.manual_seed(value)

    def sum(self, value: Tensor) -> Tensor:
        """Sum a tensor over all processes."""
        return value

    def agree(self, wish: int) -> int:
        """Return the greatest wish of all processes, so that all do the same next."""
        return wish

    def share(self, make: Callable[[], Any]) -> Any:
        """Return what `make` returns in the main process, in all of them."""
        return make()

    def spread(self, model: nn.Module, sharing: int) -> nn.Module:
        """Prepare a model whose batches are shared by `sharing` processes."""
        return model

    def parallel(self, model: nn.Module) -> nn.Module:
        """Wrap the model whose backward passes give the gradients of the global batch."""
        return model

    def to_host(self, value: Any) -> Any:
        """Copy the tensors in a nest of dicts, lists and tuples to the CPU's memory."""
        if isinstance(value, Tensor):
            return value.detach().cpu()
        if isinstance(value, dict):
            return {key: self.to_host(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return type(value)(self.to_host(item) for item in value)
        return value

    def close(self) -> None:
        """Leave the processes that trained together."""

    def memory_mb(self) -> float:
        """Peak memory in MB: of the device for a GPU, of the process otherwise."""
        if self.is_cuda:
            return torch.cuda.max_memory_allocated(self.device) / 1e6
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6


def open_device(name: str = "auto", threads: int | None = None) -> Device:
    """Open the device that a command line names.

    On a GPU torch's deterministic algorithms are switched on and TF32 is switched off, for the
    whole process: the same training on the same kind of GPU ends with the same bytes, and
    "float32" means float32. An operation that has no deterministic form warns and runs; another
    kind of GPU, or the CPU, differs in the last bits.

    Args:
        name: "auto" (a GPU if there is one), "cpu", "cuda" or "cuda:1".
        threads: number of CPU threads; the last bits of sums depend on it.

    Raises:
        UserError: for an unknown or absent device.
    """
    keep_freed_memory()
    if threads:
        torch.set_num_threads(threads)
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    kind = name.split(":")[0]
    if kind not in ("cpu", "cuda"):
        raise unknown_name("device", name, ("auto", "cpu", "cuda"), "--device")
    if kind == "cuda" and not torch.cuda.is_available():
        raise UserError("--device cuda: no GPU is visible to this process; use --device cpu")
    if kind == "cpu":
        return Device(torch.device("cpu"))
    _compute_exactly()
    device = torch.device("cuda", 0)
    if ":" in name:
        device = _numbered_gpu(name)
        torch.cuda.set_device(device)
    return Device(device, check_every=10)


def _numbered_gpu(name: str) -> torch.device:
    number, count = name.partition(":")[2], torch.cuda.device_count()
    if not number.isdigit() or int(number) >= count:
        raise UserError(f"--device {name}: this process sees {count} GPUs; use for instance cuda:0")
    return torch.device("cuda", int(number))


def _compute_exactly() -> None:
    """Make this process' GPU computations repeatable, and those in float32 as precise as that."""
    # cuBLAS reads it when it is first used, so it has to be set before.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True, warn_only=True)
    # Every new tensor would be filled first, which valid programs never read.
    torch.utils.deterministic.fill_uninitialized_memory = False
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False
    with warnings.catch_warnings():
        # The new names of these two cannot be mixed with the old ones that torch itself still reads
        # (torch.backends.cudnn.flags in 2.9).
        warnings.simplefilter("ignore")
        torch.backends.cuda.matmul.allow_tf32 = False
        torch.backends.cudnn.allow_tf32 = False
