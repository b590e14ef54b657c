"""One shard: its rows, its checks, its independence of the partition, and going on after a kill."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from evaluation_samples import QUICK_AUTOATTACK, evaluate_spec
from safetensors.torch import load_file, save_file

from robustvit.attacks import _ensemble
from robustvit.core.errors import UserError
from robustvit.evaluation.engine import discard_partial, evaluate_shard, perturbation_sizes
from robustvit.evaluation.rows import SCHEMA, attack_names, worst_case

CHECKS = {
    "deterministic", "static", "normalization", "gradients", "large epsilon", "ball (fab-t)",
    "reproducible",
}  # fmt: skip
PGD = {"name": "pgd", "options": {"steps": 3}}


def test_clean_rows(colours, weights, cpu) -> None:
    table, metadata = evaluate_shard(evaluate_spec("clean"), colours, weights, cpu)
    rows = table.to_pandas()
    assert table.schema.names == SCHEMA.names
    assert len(rows) == rows["example_id"].nunique() == 24
    assert rows[["attack", "prediction", "queries", "distance", "robust"]].isna().all(axis=None)
    assert rows["label"].value_counts().tolist() == [6, 6, 6, 6]
    assert (rows["clean_correct"] == (rows["clean_prediction"] == rows["label"])).all()
    assert rows["clean_correct"].mean() > 0.8
    assert metadata["total"] == 24
    assert all(check["passed"] for check in metadata["checks"])


def test_attack_rows(colours, weights, cpu) -> None:
    spec = evaluate_spec("autoattack", QUICK_AUTOATTACK)
    table, metadata = evaluate_shard(spec, colours, weights, cpu)
    rows, names = table.to_pandas(), ["apgd-ce", "apgd-t", "fab-t", "square"]
    assert list(metadata["attack_seconds"]) == attack_names(table) == names
    assert rows["attack"].tolist() == 24 * names
    clean = rows["clean_correct"].to_numpy()[::4]
    standing = clean
    for name in names:
        own = rows[rows["attack"] == name].reset_index()
        assert (own["attacked"] == own["prediction"].notna()).all()
        assert (own["attacked"] == own["distance"].notna()).all()
        assert (own["attacked"] == standing).all()
        assert ((own["prediction"] != own["label"]) & own["attacked"] == own["success"]).all()
        assert (own["distance"].dropna() <= 8 / 255 + 1e-6).all()
        assert (own["distance"][own["success"]] > 0).all()
        standing = standing & ~own["success"].to_numpy()
    assert (rows["robust"].to_numpy().reshape(24, 4) == standing[:, None]).all()
    assert worst_case(table)["robust"].to_pylist() == standing.tolist()
    assert 0 < standing.sum() < clean.sum()
    assert {c["name"] for c in metadata["checks"]} >= CHECKS


def test_the_global_generator_is_left_alone(colours, weights, cpu) -> None:
    state = torch.get_rng_state()
    evaluate_shard(evaluate_spec("autoattack", QUICK_AUTOATTACK), colours, weights, cpu)
    assert torch.equal(state, torch.get_rng_state())


def test_a_killed_shard_goes_on(colours, weights, cpu, tmp_path, monkeypatch) -> None:
    spec = evaluate_spec("autoattack", QUICK_AUTOATTACK)
    expected = evaluate_shard(spec, colours, weights, cpu)[0]
    started, run = [], _ensemble._run

    def interrupted(component, *arguments):
        started.append(component.name)
        if component.name == "fab-t" and len(started) == 3:
            raise KeyboardInterrupt
        return run(component, *arguments)

    monkeypatch.setattr(_ensemble, "_run", interrupted)
    with pytest.raises(KeyboardInterrupt):
        evaluate_shard(spec, colours, weights, cpu, tmp_path)
    found = evaluate_shard(spec, colours, weights, cpu, tmp_path)[0]
    assert started == ["apgd-ce", "apgd-t", "fab-t", "fab-t", "square"]
    assert found.equals(expected)
    other = {**spec, "threat": {"norm": "linf", "epsilon_255": 1}}
    evaluate_shard(other, colours, weights, cpu, tmp_path)
    beside = tmp_path / "10-of-12-of-another-shard"
    beside.mkdir()
    discard_partial(spec, colours, weights, cpu, tmp_path)
    assert list(tmp_path.iterdir()) == [beside]


def test_partial_results_of_other_settings_or_damaged_ones_are_not_used(
    colours, weights, cpu, tmp_path, monkeypatch
) -> None:
    spec = evaluate_spec("autoattack", QUICK_AUTOATTACK)
    evaluate_shard(spec, colours, weights, cpu, tmp_path)
    other = {**spec, "threat": {"norm": "linf", "epsilon_255": 1}}
    assert evaluate_shard(other, colours, weights, cpu, tmp_path)[0].equals(
        evaluate_shard(other, colours, weights, cpu)[0]
    )
    expected = evaluate_shard(spec, colours, weights, cpu)[0]
    for damage in (_cut, _flip):
        for path in tmp_path.rglob("*.safetensors"):
            path.write_bytes(damage(path.read_bytes()))
        assert evaluate_shard(spec, colours, weights, cpu, tmp_path)[0].equals(expected)


def _cut(content: bytes) -> bytes:
    return content[:50]


def _flip(content: bytes) -> bytes:
    """Change the last tensor, which the format does not notice."""
    place = len(content) - 3
    return content[:place] + bytes([content[place] ^ 0x40]) + content[place + 1 :]


def test_nan_weights_stop(colours, weights, cpu, tmp_path) -> None:
    state = load_file(weights)
    state["head.bias"][:] = float("nan")
    save_file(state, tmp_path / "nan.safetensors")
    with pytest.raises(UserError, match=r"not finite.*diverged"):
        evaluate_shard(evaluate_spec("clean"), colours, tmp_path / "nan.safetensors", cpu)


def test_a_model_with_too_few_classes_stops(colours, weights, cpu, tmp_path) -> None:
    state = load_file(weights)
    for name in ("head.weight", "head.bias"):
        state[name] = state[name][:3].clone()
    save_file(state, tmp_path / "three.safetensors")
    spec = evaluate_spec("clean")
    spec["model"]["num_classes"] = 3
    with pytest.raises(UserError, match="model has 3 classes"):
        evaluate_shard(spec, colours, tmp_path / "three.safetensors", cpu)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"shard": {"index": 29, "count": 30}}, "at most 24 shards"),
        ({"threat": None}, "needs a threat"),
        ({"threat": {"norm": "linf", "epsilon_255": -3}}, "expected 0 or more"),
        ({"attack": {"name": "autoattack", "options": {"itertions": 3}}}, 'mean "iterations"'),
        ({"attack": {"name": "pgd", "options": {"steps": 0}}}, "options.steps: 0 is not"),
        ({"attack": {"name": "pdg", "options": {}}}, 'Did you mean "pgd"'),
        ({"attack": {"name": "frozen", "options": {}}}, "unknown attack"),
    ],
)
def test_wrong_settings_stop(colours, weights, cpu, change: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        evaluate_shard(evaluate_spec("pgd", PGD) | change, colours, weights, cpu)


def test_zero_epsilon_breaks_nothing(colours, weights, cpu) -> None:
    spec = evaluate_spec("autoattack", QUICK_AUTOATTACK, threat={"norm": "l2", "epsilon_255": 0})
    rows = evaluate_shard(spec, colours, weights, cpu)[0].to_pandas()
    assert (rows["robust"] == rows["clean_correct"]).all()
    assert (rows["distance"].dropna() == 0).all()


def test_sizes_of_perturbations() -> None:
    images = np.zeros((2, 3, 2, 2), np.float32)
    after = images.copy()
    after[1, 0, 0] = [0.3, -0.4]
    assert perturbation_sizes(images, after, "linf") == pytest.approx([0, 0.4])
    assert perturbation_sizes(images, after, "l2") == pytest.approx([0, 0.5])
