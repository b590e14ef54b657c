"""The gathered rows are the same bytes for any number of shards, batch size and order."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from evaluation_samples import QUICK_AUTOATTACK, evaluate_spec, gather_spec
from torch import Tensor, nn

from robustvit.core.files import sha256
from robustvit.evaluation import engine
from robustvit.evaluation.engine import evaluate_shard
from robustvit.evaluation.gather import gather
from robustvit.evaluation.rows import write_rows

PARTITIONS = [(1, 16), (3, 50), (8, 16)]
TWO = [(1, 16), (4, 50)]
FAST_AUTOATTACK = {**QUICK_AUTOATTACK, "options": QUICK_AUTOATTACK["options"] | {"engine": "fast"}}
ATTACKS = {
    "clean": (None, None),
    "fgsm": ({"name": "fgsm", "options": {}}, "linf"),
    "pgd3": ({"name": "pgd", "options": {"steps": 3, "restarts": 2}}, "l2"),
    "apgd-ce-2": ({"name": "apgd_ce", "options": {"restarts": 2, "iterations": 3}}, "linf"),
    "autoattack": (QUICK_AUTOATTACK, "linf"),
    "autoattack-l2": (QUICK_AUTOATTACK, "l2"),
    "autoattack-fast": (FAST_AUTOATTACK, "linf"),
    "autoattack-fast-l2": (FAST_AUTOATTACK, "l2"),
}


class Fickle(nn.Module):
    """Rounds differently in small batches, more than kernels do: every attack feels it."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, images: Tensor) -> Tensor:
        return self.inner(images + 1e-3 * images.roll(1, -1) * (len(images) < 7))


def gathered(folder: Path, files: tuple, spec: dict, count: int, batch: int) -> str:
    """Hash of the rows of `count` shards, evaluated and gathered from the last to the first."""
    paths = []
    for index in reversed(range(count)):
        place = {"shard": {"index": index, "count": count}, "batch_size": batch}
        paths.append(folder / f"{index}-of-{count}-{batch}.parquet")
        write_rows(paths[-1], *evaluate_shard(spec | place, *files))
    names = gather_spec(spec["protocol"], spec["attack"], threat=spec["threat"])
    write_rows(folder / "all.parquet", gather(names, paths)[0], {})
    return sha256(folder / "all.parquet")


@pytest.mark.parametrize("protocol", ATTACKS)
def test_bytes(colours, weights, cpu, tmp_path, monkeypatch, protocol: str) -> None:
    load = engine.load_model
    monkeypatch.setattr(engine, "load_model", lambda *a: Fickle(load(*a)).eval())
    attack, norm = ATTACKS[protocol]
    threat = {"norm": norm, "epsilon_255": 8 if norm == "linf" else 40} if attack else None
    spec = evaluate_spec(protocol, attack, threat=threat)
    files, places = (colours, weights, cpu), TWO if "autoattack" in protocol else PARTITIONS
    assert len({gathered(tmp_path, files, spec, *place) for place in places}) == 1


def test_without_care_the_bytes_would_differ(colours, weights, cpu, tmp_path, monkeypatch) -> None:
    load = engine.load_model
    monkeypatch.setattr(engine, "load_model", lambda *a: Fickle(load(*a)).eval())
    monkeypatch.setattr(engine.StableRows, "forward", lambda self, images: self.inner(images))
    spec = evaluate_spec("pgd3", ATTACKS["pgd3"][0], threat={"norm": "l2", "epsilon_255": 40})
    files = (colours, weights, cpu)
    assert len({gathered(tmp_path, files, spec, *place) for place in TWO}) > 1


def test_the_real_model_is_stable(colours, weights, cpu) -> None:
    spec = evaluate_spec("autoattack", QUICK_AUTOATTACK)
    found = {check["name"]: check["passed"] for check in evaluate_shard(
        spec, colours, weights, cpu
    )[1]["checks"]}  # fmt: skip
    assert found["reproducible"]
    assert torch.get_num_threads() == 1
