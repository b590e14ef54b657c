"""Where each stage runs: `compute.device`, or a device of its own."""

from __future__ import annotations

from collections.abc import Mapping

from robustvit.core.errors import UserError

STAGES = ("training", "evaluation", "semantics", "gradients")
TPU_DEVICES = ("xla", "tpu")  # by torch_xla, by torch_tpu
WHY_NOT = {
    "evaluation": (
        "AutoAttack takes other shapes at every step, and XLA compiles each anew: 123 programs and "
        "258 s where a CPU needs 0.1 s"
    ),
    "semantics": "attacks outside of a training are not written for XLA",
    "gradients": "attacks outside of a training are not written for XLA",
}


def stage_devices(compute: Mapping) -> dict[str, str]:
    """The device of each stage: "auto", "cpu", "cuda", and for training also "xla" or "tpu".

    Args:
        compute: the configuration's section, resolved.
    """
    return {stage: compute[stage]["device"] or compute["device"] for stage in STAGES}


def check_devices(compute: Mapping) -> None:
    """Refuse devices that a stage cannot use in reasonable time.

    Raises:
        UserError: naming the key, with the reason.
    """
    for stage, device in stage_devices(compute).items():
        if device not in TPU_DEVICES or stage == "training":
            continue
        key = f"compute.{stage}.device" if compute[stage]["device"] else "compute.device"
        hint = (
            f"compute: {{{stage}: {{device: cpu}}}}"
            if compute[stage]["device"]
            else f"compute: {{device: auto, training: {{device: {device}}}}}"
        )
        raise UserError(
            f"{key}: {device} cannot be used for {stage}: {WHY_NOT[stage]}. Only trainings run on "
            f"a TPU. Example: {hint}"
        )
