"""Which device each stage runs on, and which are refused."""

import pytest

from robustvit.config.devices import check_devices, stage_devices
from robustvit.config.resolve import DEFAULTS
from robustvit.core.errors import UserError


def compute(device="auto", **own):
    stages = {stage: {"device": None} for stage in ("evaluation", "semantics", "gradients")}
    given = {stage: {"device": value} for stage, value in own.items()}
    return {**DEFAULTS["compute"], "device": device, **stages, **given}


def test_a_stage_without_a_device_of_its_own_takes_the_common_one():
    found = stage_devices(compute("cuda", training="xla", gradients="cpu"))
    assert found == {
        "training": "xla",
        "evaluation": "cuda",
        "semantics": "cuda",
        "gradients": "cpu",
    }


@pytest.mark.parametrize("stage", ["evaluation", "semantics", "gradients"])
@pytest.mark.parametrize("device", ["xla", "tpu"])
def test_a_tpu_is_for_trainings_alone(stage, device):
    with pytest.raises(UserError, match=rf"compute\.{stage}\.device: {device}.*device: cpu"):
        check_devices(compute(**{stage: device}))


def test_autoattack_on_xla_is_refused_with_the_reason():
    with pytest.raises(UserError, match="AutoAttack takes other shapes at every step"):
        check_devices(compute(evaluation="xla"))


def test_a_common_tpu_names_the_common_key():
    with pytest.raises(UserError, match=r"^compute\.device: xla .*training: {device: xla}"):
        check_devices(compute("xla"))


def test_trainings_on_a_tpu_are_fine():
    check_devices(compute("cpu", training="xla"))
