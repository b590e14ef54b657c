"""The batch size that a device gets by itself."""

import pytest
import torch
from evaluation_samples import QUICK_AUTOATTACK, evaluate_spec

from evaluate_model import batch_size
from robustvit.core.files import sha256
from robustvit.evaluation.batch_size import CPU, LARGEST, SMALLEST, choose_batch_size, fastest
from robustvit.evaluation.engine import evaluate_shard
from robustvit.evaluation.rows import write_rows
from robustvit.training.devices import open_device


@pytest.mark.parametrize(
    ("rates", "expected"),
    [
        ({16: 100, 32: 190, 64: 300, 128: 310}, 64),  # not worth twice the memory
        ({16: 100, 32: 200}, 32),  # 64 does not fit
        ({}, SMALLEST),  # nothing fits: the job itself will say so
        ({2**n: 4.0**n for n in range(4, 20)}, LARGEST),
    ],
)
def test_it_is_doubled_while_that_helps(rates, expected):
    assert fastest(rates.get) == expected


def test_a_number_is_taken_as_it_is_and_auto_on_the_cpu_is_known():
    device, model = open_device("cpu", 1), torch.nn.Identity()
    assert choose_batch_size(7, model, (3, 8, 8), device) == 7
    assert choose_batch_size("auto", model, (3, 8, 8), device) == CPU


def test_the_command_line_takes_both():
    assert (batch_size("auto"), batch_size("12")) == ("auto", 12)
    for wrong in ("0", "-3", "many"):
        with pytest.raises(ValueError, match="auto"):
            batch_size(wrong)


def test_auto_gives_the_same_rows(colours, weights, cpu, tmp_path):
    spec = evaluate_spec("autoattack", QUICK_AUTOATTACK)
    for size in (5, "auto"):
        table = evaluate_shard(spec | {"batch_size": size}, colours, weights, cpu)[0]
        write_rows(tmp_path / f"{size}.parquet", table, {})
    assert sha256(tmp_path / "5.parquet") == sha256(tmp_path / "auto.parquet")
