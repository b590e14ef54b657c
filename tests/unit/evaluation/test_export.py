"""Adversarial images on request: the exact pixels, a TFDS set, and both verdicts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from evaluation_samples import DATASET, MODEL, QUICK_AUTOATTACK, SIZE, evaluate_spec, gather_spec

from robustvit.core.errors import UserError
from robustvit.core.files import read_json, write_json
from robustvit.data.evaluation_images import load_eval_batch
from robustvit.data.reading import TfdsImages
from robustvit.evaluation.engine import evaluate_shard
from robustvit.evaluation.export import export_adversarial
from robustvit.evaluation.gather import gather
from robustvit.evaluation.rows import worst_case, write_rows
from robustvit.evaluation.shards import load_model

KEEP = {"save_adversarial": True}


def write_shards(folder: Path, files: tuple, count: int, **more: object) -> list[Path]:
    """Evaluate and return the shards, the last one first."""
    paths = []
    for index in reversed(range(count)):
        spec = evaluate_spec("autoattack", QUICK_AUTOATTACK, (index, count), **more)
        paths.append(folder / f"{index}-of-{count}.parquet")
        write_rows(paths[-1], *evaluate_shard(spec, *files))
    return paths


@pytest.fixture(scope="module")
def exported(colours, weights, tmp_path_factory) -> tuple[Path, list[Path]]:
    from robustvit.training.devices import open_device

    folder = tmp_path_factory.mktemp("export")
    shards = write_shards(folder, (colours, weights, open_device("cpu", 1)), 2, **KEEP)
    output = folder / "adversarial" / "manifest.json"
    export_adversarial(gather_spec("autoattack", QUICK_AUTOATTACK), shards, colours, output)
    return output, shards


def reading(output: Path) -> dict:
    return {**DATASET, "name": read_json(output)["dataset"], "num_examples": None}


def test_exact_pixels_have_the_verdicts_of_the_rows(exported, colours, weights, cpu) -> None:
    output, shards = exported
    verdicts = pq.read_table(output.with_name("verdicts.parquet")).to_pandas()
    exact = torch.from_numpy(np.load(output.with_name("adversarial.npy")))
    assert exact.shape == (24, 3, SIZE, SIZE)
    predictions = load_model(MODEL, weights, cpu)(exact).argmax(1).numpy()
    asked = verdicts["success"].to_numpy()
    assert (predictions[asked] == verdicts["prediction"][asked]).all()
    rows = worst_case(gather(gather_spec("autoattack", QUICK_AUTOATTACK), shards)[0]).to_pandas()
    assert verdicts["example_id"].tolist() == rows["example_id"].tolist()
    assert ((predictions == rows["label"]) & rows["clean_correct"] == rows["robust"]).all()
    clean = load_eval_batch(colours, DATASET, rows["index"])[0]
    assert (exact - clean).abs().max() <= 8 / 255 + 1e-6


def test_the_set_can_be_read_like_any_other(exported, weights, cpu) -> None:
    output, _ = exported
    verdicts = pq.read_table(output.with_name("verdicts.parquet")).to_pandas()
    data = TfdsImages(output, reading(output))
    assert list(data.ids) == verdicts["example_id"].tolist()
    assert data.labels.tolist() == verdicts["label"].tolist()
    rounded, _ = load_eval_batch(output, reading(output), range(24))
    exact = torch.from_numpy(np.load(output.with_name("adversarial.npy")))
    assert torch.equal(rounded, (exact * 255).round() / 255)
    predictions = load_model(MODEL, weights, cpu)(rounded).argmax(1)
    assert predictions.tolist() == verdicts["prediction_8bit"].tolist()


def test_the_manifest_counts_what_rounding_undoes(exported) -> None:
    output, shards = exported
    found = read_json(output)["adversarial"]
    summary = gather(gather_spec("autoattack", QUICK_AUTOATTACK), shards)[1]
    broken = summary["clean_top1"]["k"] - summary["robust_top1"]["k"]
    assert found["broken"] == broken > 0
    assert 0 <= found["broken_after_rounding"] <= broken
    assert found["threat"] == {"norm": "linf", "epsilon_255": 8}


@pytest.mark.parametrize("complete", [True, False, None])
def test_the_set_is_as_official_as_the_attacked_one(exported, colours, tmp_path, complete):
    attacked, output = tmp_path / "manifest.json", tmp_path / "set" / "manifest.json"
    write_json(attacked, read_json(colours) | {"complete": complete})
    export_adversarial(gather_spec("autoattack", QUICK_AUTOATTACK), exported[1], attacked, output)
    assert read_json(output)["complete"] is complete


def test_gathered_rows_are_the_same_with_and_without(exported, colours, weights, cpu, tmp_path):
    spec, plain = gather_spec("autoattack", QUICK_AUTOATTACK), tmp_path / "plain"
    rows = gather(spec, write_shards(plain, (colours, weights, cpu), 1))[0]
    assert rows.equals(gather(spec, exported[1])[0])


def test_shards_without_images_are_refused_and_kept(colours, weights, cpu, tmp_path) -> None:
    shards = write_shards(tmp_path, (colours, weights, cpu), 1)
    with pytest.raises(UserError, match=r"autoattack\.save_adversarial: expected true"):
        export_adversarial(
            gather_spec("autoattack", QUICK_AUTOATTACK), shards, colours, tmp_path / "a" / "m.json"
        )
    assert shards[0].exists()
