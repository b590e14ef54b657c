"""The batch size that a device gets by itself."""

import pytest
import torch
from evaluation_samples import QUICK_AUTOATTACK, evaluate_spec

from evaluate_model import batch_size
from robustvit.core.files import sha256
from robustvit.evaluation.batch_size import choose_batch_size
from robustvit.evaluation.engine import evaluate_shard
from robustvit.evaluation.rows import write_rows
from robustvit.training.devices import open_device


def test_a_number_is_taken_as_it_is_and_auto_on_the_cpu_is_known():
    device, model = open_device("cpu", 1), torch.nn.Identity()
    assert choose_batch_size(7, model, (3, 8, 8), device) == 7
    assert choose_batch_size("auto", model, (3, 32, 32), device) == 128
    assert choose_batch_size("auto", model, (3, 224, 224), device) == 20
    assert choose_batch_size("auto", model, (3, 512, 512), device) == 16


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
