"""The command-line programs of evaluation and analyses, as the workflow calls them."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from safetensors import safe_open

ROOT = Path(__file__).resolve().parents[2]
ENGINES = ("pyautoattack", "reference", "fast")
sys.path.insert(0, str(ROOT / "tests" / "unit" / "evaluation"))

from evaluation_samples import (  # noqa: E402
    QUICK_AUTOATTACK,
    classify_spec,
    evaluate_spec,
    gather_spec,
    gradients_spec,
    perturb_spec,
    write_colours,
    write_weights,
)

from robustvit.core.files import read_json, sha256  # noqa: E402
from robustvit.evaluation.rows import read_rows  # noqa: E402


@pytest.fixture(scope="module")
def colours(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_colours(tmp_path_factory.mktemp("colours") / "colours")


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory, colours: Path) -> Path:
    return write_weights(tmp_path_factory.mktemp("weights") / "weights.safetensors", colours)


def command(program: str, spec: dict, *options: object) -> list[str]:
    start = [sys.executable, str(ROOT / "scripts" / program), "--spec", json.dumps(spec)]
    return [*start, *map(str, options)]


def call(program: str, spec: dict, *options: object, fails: bool = False) -> str:
    """Run a program; return what it wrote to standard error."""
    done = subprocess.run(
        command(program, spec, *options), capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == (2 if fails else 0), done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


def evaluate(spec: dict, colours: Path, weights: Path, output: Path, *options: object) -> str:
    return call(
        "evaluate_model.py", spec, "--dataset", colours, "--weights", weights, "--output", output,
        "--threads", 1, "--device", "cpu", *options,
    )  # fmt: skip


def test_evaluate_in_shards_and_gather(colours: Path, weights: Path, tmp_path: Path) -> None:
    shards = [tmp_path / "shards" / f"{i}-of-2.parquet" for i in range(2)]
    for i, shard in enumerate(shards):
        spec = evaluate_spec("autoattack", QUICK_AUTOATTACK, (i, 2))
        evaluate(spec, colours, weights, shard, "--work-dir", tmp_path / "work")
    assert not list((tmp_path / "work").iterdir())
    rows, summary = tmp_path / "autoattack.parquet", tmp_path / "autoattack.json"
    spec = gather_spec("autoattack", QUICK_AUTOATTACK)
    call("gather_evaluation.py", spec, "--output-rows", rows, "--output-summary", summary, *shards)
    found = read_json(summary)
    assert found["num_examples"] == 24
    assert list(found["attacks"]) == ["apgd-ce", "apgd-t", "fab-t", "square"]
    assert found["robust_top1"]["k"] < found["clean_top1"]["k"]
    assert found["provenance"]["device"] == "cpu"
    before = sha256(rows)
    call(
        "gather_evaluation.py", spec, "--output-rows", rows, "--output-summary", summary,
        *reversed(shards),
    )  # fmt: skip
    assert sha256(rows) == before


def test_a_kill_loses_one_attack_at_most(colours: Path, weights: Path, tmp_path: Path) -> None:
    attack = {**QUICK_AUTOATTACK, "options": {"iterations": 4, "queries": 300}}
    spec, work = evaluate_spec("autoattack", attack), tmp_path / "work"
    whole, killed = tmp_path / "whole.parquet", tmp_path / "killed.parquet"
    evaluate(spec, colours, weights, whole)
    process = subprocess.Popen(
        command(
            "evaluate_model.py", spec, "--dataset", colours, "--weights", weights,
            "--output", killed, "--work-dir", work, "--device", "cpu",
        ),
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    end = time.monotonic() + 60
    while not list(work.rglob("fab-t.safetensors")):
        assert process.poll() is None and time.monotonic() < end, "not killed in time"
        time.sleep(0.005)
    process.kill()
    process.wait()
    assert not killed.exists()
    kept = {path: path.stat().st_mtime_ns for path in work.rglob("*.safetensors")}
    assert {path.stem for path in kept} == {"apgd-ce", "apgd-t", "fab-t"}
    shutil.copytree(work, tmp_path / "copy", copy_function=shutil.copy2)
    log = evaluate(
        spec, colours, weights, killed, "--work-dir", work, "--batch-size", 7,
    )  # fmt: skip
    assert "Traceback" not in log
    assert pq.read_table(killed).equals(pq.read_table(whole))
    assert attack_seconds(killed)["fab-t"] == saved_seconds(tmp_path / "copy", "fab-t")
    assert not list(work.iterdir())


def attack_seconds(path: Path) -> dict[str, float]:
    return read_rows(path)[1]["attack_seconds"]


def saved_seconds(work: Path, name: str) -> float:
    """What an attack took before the kill: it was not run again if the rows say the same."""
    (path,) = work.rglob(f"{name}.safetensors")
    with safe_open(path, framework="pt") as stored:
        return float(stored.metadata()["seconds"])


def test_a_shard_cut_short_is_named(colours: Path, weights: Path, tmp_path: Path) -> None:
    shard = tmp_path / "0-of-1.parquet"
    evaluate(evaluate_spec("clean"), colours, weights, shard)
    shard.write_bytes(shard.read_bytes()[:200])
    outputs = ["--output-rows", tmp_path / "a.parquet", "--output-summary", tmp_path / "a.json"]
    message = call("gather_evaluation.py", gather_spec("clean"), *outputs, shard, fails=True)
    assert "0-of-1.parquet: cut short" in message
    assert not (tmp_path / "a.json").exists()


def test_weights_of_another_model_are_refused(colours: Path, weights: Path, tmp_path: Path) -> None:
    spec = evaluate_spec("clean")
    spec["model"]["args"]["embed_dim"] = 32
    options = ["--dataset", colours, "--weights", weights, "--output", tmp_path / "rows.parquet"]
    message = call("evaluate_model.py", spec, *options, fails=True)
    assert "another shape" in message
    assert not list(tmp_path.iterdir())


def test_perturbations_and_their_classification(colours, weights, tmp_path: Path) -> None:
    folder = tmp_path / "semantics" / "tiny"
    manifest, device = folder / "manifest.json", ["--threads", 1, "--device", "cpu"]
    call(
        "make_perturbations.py", perturb_spec(), "--dataset", colours, "--weights", weights,
        "--output", manifest, "--examples", folder / "examples.npz", *device,
    )  # fmt: skip
    rows, summary = folder / "tiny.parquet", folder / "tiny.json"
    call(
        "classify_perturbations.py", classify_spec(), "--perturbations", manifest,
        "--weights", weights, "--output-rows", rows, "--output-summary", summary, *device,
    )  # fmt: skip
    assert read_json(summary)["num_examples"] == 24
    names = {"manifest.json", "examples.npz", "tfds", rows.name, summary.name}
    names |= {"index_test_ids.npy", "index_test_labels.npy"}
    assert {path.name for path in folder.iterdir()} == names


def test_gradients(colours: Path, weights: Path, tmp_path: Path) -> None:
    output = tmp_path / "gradients" / "tiny.npz"
    call(
        "accumulate_gradients.py", gradients_spec(), "--dataset", colours, "--weights", weights,
        "--output", output, "--threads", 1, "--device", "cpu",
    )  # fmt: skip
    with np.load(output, allow_pickle=False) as found:
        assert found["results"].shape == (2, 3, 16, 16)
    call(
        "accumulate_gradients.py", gradients_spec(targets=["purple"]), "--dataset", colours,
        "--weights", weights, "--output", tmp_path / "no.npz", fails=True,
    )  # fmt: skip
    assert not (tmp_path / "no.npz").exists()


def bench(*options: object) -> subprocess.CompletedProcess:
    start = [sys.executable, str(ROOT / "scripts" / "bench_autoattack.py")]
    return subprocess.run(
        [*start, *map(str, options)], capture_output=True, text=True, timeout=120, check=False
    )


def test_the_benchmark_compares_three_implementations(
    colours: Path, weights: Path, tmp_path: Path
) -> None:
    spec = evaluate_spec("autoattack", QUICK_AUTOATTACK)
    kept = {key: spec[key] for key in ("experiment", "model", "threat", "seed")}
    config = json.dumps(kept | {"eval_dataset": spec["dataset"]})  # JSON is YAML
    (tmp_path / "config.yaml").write_text(config)
    shutil.copy(weights, tmp_path / "weights.safetensors")
    few = ("--images", 8, "--iterations", 3, "--queries", 10)
    done = bench("--training", tmp_path, "--dataset", colours, *few)
    assert done.returncode == 0, done.stderr
    header, *attacks, _, total, reference, fast = done.stdout.strip().splitlines()[1:]
    assert header.split() == ["attack", *(w for e in ENGINES for w in (e, "left"))]
    assert [line.split()[0] for line in attacks] == ["apgd-ce", "apgd-t", "fab-t", "square"]
    assert len(total.split()) == 7
    for line, engine in ((reference, "reference"), (fast, "fast")):
        assert line.startswith(f"{engine}: ")
        assert f"0 only {engine}" in line


def test_the_benchmark_says_what_it_needs(tmp_path: Path) -> None:
    done = bench("--training", tmp_path)
    assert done.returncode == 2
    assert "--training" in done.stderr
    assert "make demo" in done.stderr
