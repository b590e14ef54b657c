"""Opening the device of a training: one, one of several processes, or XLA's.

Apart from `devices.open_device`, which everything else uses, so that an edit in the machinery for
several devices repeats no evaluation.
"""

from __future__ import annotations

from robustvit.core.errors import UserError, unknown_name
from robustvit.training.devices import Device, open_device

KINDS = ("auto", "cpu", "cuda", "xla", "tpu")


def open_training_device(name: str = "auto", threads: int | None = None) -> Device:
    """Open the device that a training runs on.

    Args:
        name: "auto" (a GPU if there is one), "cpu", "cuda", "cuda:1", "xla" (the TPU's cores of
            this host, or those that PJRT_DEVICE names, as one program) or "tpu" (by torch_tpu, one
            process a core).
        threads: number of CPU threads.

    Raises:
        UserError: for an unknown or absent device, or "xla" under torchrun.
    """
    # Imported where needed: torch_xla has to come before any backward pass, and only TPUs have it.
    from robustvit.training import distributed

    if name.split(":")[0] not in KINDS:
        raise unknown_name("device", name, KINDS, "--device")
    if name == "tpu":
        from robustvit.training import torch_tpu

        return torch_tpu.open_torch_tpu(threads)
    if name != "xla":
        if not distributed.is_worker():
            return open_device(name, threads)
        return distributed.join_processes(lambda one: open_device(one, threads), name)
    if distributed.is_worker():
        raise UserError(
            "--device xla: one process drives all cores of a host; start it without torchrun and "
            "with compute.training.processes 1"
        )
    from robustvit.training import xla

    return xla.open_xla(threads)


def prepare_launch(name: str, processes: int, nodes: int) -> None:
    """Do what a kind of device asks for before the processes of a training are started."""
    if name == "tpu":
        from robustvit.training import torch_tpu

        torch_tpu.prepare_launch(processes, nodes)
