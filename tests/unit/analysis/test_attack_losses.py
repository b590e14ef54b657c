"""Losses under few and many attack steps (spec A6)."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from evaluation_samples import DATASET, MODEL

from robustvit.analysis import loss_jobs
from robustvit.analysis.attack_losses import along, losses_of, run_seeds, summarise
from robustvit.analysis.loss_jobs import discard_parts, measure_losses
from robustvit.attacks.pgd import default_step_size, perturb
from robustvit.core.errors import UserError
from robustvit.data.evaluation_images import load_eval_batch
from robustvit.evaluation.shards import load_model

EPSILON = 8 / 255


def losses_spec(**more: object) -> dict:
    """LOSSES of the tiny experiment."""
    spec = {
        "analysis": "tiny-losses",
        "experiment": "tiny",
        "epoch": None,
        "model": copy.deepcopy(MODEL),
        "dataset": copy.deepcopy(DATASET),
        "threat": {"norm": "linf", "epsilon_255": 8},
        "steps": [1, 2, 5, 20],
        "step_factor": 1.5,
        "step_for": None,
        "seeds": 2,
        "only_correct": None,
        "seed": 42,
        "batch_size": 16,
    }
    return spec | more


@pytest.fixture
def batch(colours, weights, cpu):
    model = load_model(MODEL, weights, cpu)
    images, labels = load_eval_batch(colours, DATASET, range(10))
    return model, images, labels, torch.arange(10)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_one_run_passes_through_the_points_of_all_shorter_ones(batch, norm):
    model, images, labels, seeds = batch
    settings = {"epsilon": EPSILON, "norm": norm, "step_size": EPSILON / 5, "seeds": seeds}
    points = dict(along(model, images, labels, record=[0, 1, 4], **settings))
    assert list(points) == [0, 1, 4]
    for steps, point in points.items():
        assert torch.equal(point, perturb(model, images, labels, steps=steps, **settings))


def test_each_number_of_steps_has_its_own_size(batch):
    model, images, labels, seeds = batch
    found = losses_of(model, images, labels, seeds, losses_spec())
    for steps, (losses, correct) in found.items():
        size = default_step_size(EPSILON, steps)
        point = perturb(
            model, images, labels, epsilon=EPSILON, steps=steps, step_size=size, seeds=seeds
        )
        logits = model(point)
        assert torch.equal(losses, F.cross_entropy(logits, labels, reduction="none"))
        assert torch.equal(correct, logits.argmax(dim=1) == labels)


def test_repetitions_start_elsewhere(batch):
    seeds = batch[3]
    assert not torch.equal(run_seeds(seeds, 0), run_seeds(seeds, 1))
    assert torch.equal(run_seeds(seeds, 3), run_seeds(seeds, 3))


def test_the_summary_is_that_of_the_rows(colours, weights, cpu, tmp_path):
    rows, summary = measure_losses(losses_spec(), colours, weights, cpu, tmp_path)
    table = rows.to_pandas()
    assert len(table) == 24 * 4 * 2 and summary["num_examples"] == 24
    last = table[table.steps == 20].loss.mean()
    for entry in summary["steps"]:
        own = table[table.steps == entry["steps"]]
        assert entry["loss"] == pytest.approx(own.loss.mean(), rel=1e-5)
        assert entry["relative_gap"] == pytest.approx(abs(last - own.loss.mean()) / last, abs=1e-5)
        assert entry["top1"]["k"] == round(own.correct.mean() * 24)
        by_seed = own.groupby("seed").loss.mean()
        assert entry["loss_by_seed"] == pytest.approx(list(by_seed), rel=1e-5)
        assert entry["std_over_seeds"] == pytest.approx(by_seed.std(), rel=1e-3)
    losses = [entry["loss"] for entry in summary["steps"]]
    assert losses[0] < losses[-1]  # more steps find more


def test_neither_batches_nor_parts_change_a_row(colours, weights, cpu, tmp_path, monkeypatch):
    rows, _ = measure_losses(losses_spec(), colours, weights, cpu, tmp_path / "one")
    monkeypatch.setattr(loss_jobs, "chunks", lambda count, size: 5)
    other, _ = measure_losses(losses_spec(batch_size=3), colours, weights, cpu, tmp_path / "two")
    assert rows.drop_columns(["loss"]).equals(other.drop_columns(["loss"]))
    assert np.allclose(rows["loss"], other["loss"], atol=1e-4)


def test_only_the_first_correct_images(colours, weights, cpu, tmp_path):
    spec = losses_spec(only_correct=6, steps=[0, 1, 3], step_for=10, seeds=3)
    spec["dataset"]["num_examples"] = None
    rows, summary = measure_losses(spec, colours, weights, cpu, tmp_path)
    model = load_model(MODEL, weights, cpu)
    images, labels = load_eval_batch(colours, DATASET, range(40))
    right = (model(images).argmax(dim=1) == labels).nonzero().flatten()[:6]
    assert sorted(set(rows["index"].to_pylist())) == right.tolist()
    assert summary["num_examples"] == 6
    with pytest.raises(UserError, match="asks for 4000"):
        measure_losses({**spec, "only_correct": 4000}, colours, weights, cpu, tmp_path)


def test_a_killed_job_goes_on_with_what_is_left(colours, weights, cpu, tmp_path, monkeypatch):
    whole, _ = measure_losses(losses_spec(), colours, weights, cpu, tmp_path / "whole")
    monkeypatch.setattr(loss_jobs, "chunks", lambda count, size: 3)
    real, calls = loss_jobs.losses_of, []

    def counted(*arguments):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(*arguments)

    monkeypatch.setattr(loss_jobs, "losses_of", counted)
    with pytest.raises(KeyboardInterrupt):
        measure_losses(losses_spec(), colours, weights, cpu, tmp_path)
    again, _ = measure_losses(losses_spec(), colours, weights, cpu, tmp_path)
    assert len(calls) == 3 + 4  # six parts and repetitions, of which two were done
    assert again.drop_columns(["loss"]).equals(whole.drop_columns(["loss"]))
    discard_parts(losses_spec(), colours, weights, tmp_path)
    assert not [path for path in tmp_path.iterdir() if path.name != "whole"]


def test_without_a_radius_there_is_nothing_to_measure(colours, weights, cpu, tmp_path):
    spec = losses_spec(threat={"norm": "linf", "epsilon_255": 0})
    with pytest.raises(UserError, match="more than 0"):
        measure_losses(spec, colours, weights, cpu, tmp_path)


def test_a_single_repetition_has_no_spread():
    (entry,) = summarise({0: {5: (np.ones(4, np.float32), np.array([True, False, True, True]))}})
    assert entry["std_over_seeds"] is None and entry["image_std"] is None
    assert (entry["top1"]["k"], entry["relative_gap"]) == (3, 0.0)
