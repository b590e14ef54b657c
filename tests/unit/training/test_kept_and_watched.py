"""Weights kept along a training, and the watch for catastrophic overfitting."""

from __future__ import annotations

import contextlib
import csv
import json
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from training_samples import train_spec

from robustvit.core.errors import UserError
from robustvit.models.weights import read_metadata
from robustvit.training import engine
from robustvit.training.devices import open_device
from robustvit.training.evaluators import watched
from robustvit.training.job import run_job
from robustvit.training.kept import take_epoch
from robustvit.training.metrics import COLUMNS, WATCHED
from robustvit.training.outputs import OutputPaths
from robustvit.training.schedules import kept_epochs

WATCH = {"steps": 5, "num_examples": 12}


class Stopped(Exception):
    """By the test."""


def train(colours, folder, save_every=60.0, **recipe):
    """Run a training of two epochs with these recipe keys and return its output paths."""
    folder.mkdir(exist_ok=True)
    names = ("weights.safetensors", "metrics.csv", "config.yaml", "card.md", "steps.csv")
    paths = OutputPaths(*(folder / name for name in names), folder / "epochs.safetensors")
    run_job(
        train_spec(**recipe), dataset=colours, eval_dataset=colours, init_weights=None,
        work_dir=folder / "work", paths=paths, device=open_device("cpu", 1), save_every=save_every,
    )  # fmt: skip
    return paths


def rows(paths):
    with open(paths.metrics, encoding="utf-8", newline="") as handle:
        return list(csv.DictReader(handle))


@pytest.fixture(scope="module")
def plain(colours, tmp_path_factory):
    return train(colours, tmp_path_factory.mktemp("plain") / "run")


@pytest.fixture(scope="module")
def kept(colours, tmp_path_factory):
    folder = tmp_path_factory.mktemp("kept") / "run"
    return train(colours, folder, keep_epochs=[1, 2], watch=WATCH)


def test_keeping_and_watching_change_no_weight(plain, kept):
    assert plain.weights.read_bytes() == kept.weights.read_bytes()
    seen = [{name: row[name] for name in COLUMNS if "second" not in name} for row in rows(kept)]
    for row, other in zip(seen, rows(plain), strict=True):
        row.pop("memory_mb")
        assert row == {name: other[name] for name in row}


def test_without_them_the_files_are_as_before(plain):
    assert tuple(rows(plain)[0]) == COLUMNS
    assert load_file(plain.epochs) == {}


def test_kept_epochs_hold_the_weights_of_those_epochs(kept, tmp_path):
    assert json.loads(read_metadata(kept.epochs)["epochs"]) == [1, 2]
    first, last = tmp_path / "1.safetensors", tmp_path / "2.safetensors"
    take_epoch(kept.epochs, 1, first)
    take_epoch(kept.epochs, 2, last)
    final, one, two = load_file(kept.weights), load_file(first), load_file(last)
    assert final.keys() == one.keys() == two.keys()
    assert all(torch.equal(final[name], two[name]) for name in final)
    assert not all(torch.equal(final[name], one[name]) for name in final)
    with pytest.raises(UserError, match=r"no weights of epoch 3 \(kept: 1, 2\)"):
        take_epoch(kept.epochs, 3, last)


@pytest.mark.parametrize("steps", [3, 4, 6])
def test_a_killed_training_keeps_the_same_weights(colours, kept, tmp_path, monkeypatch, steps):
    """Four steps an epoch: before, right after and behind the end of the first."""
    real, left = engine.train_step, [steps]

    def counted(*arguments):
        if left[0] == 0:
            raise Stopped
        left[0] -= 1
        return real(*arguments)

    with monkeypatch.context() as patched, contextlib.suppress(Stopped):
        patched.setattr(engine, "train_step", counted)
        train(colours, tmp_path / "run", save_every=0.0, keep_epochs=[1, 2], watch=WATCH)
    again = train(colours, tmp_path / "run", keep_epochs=[1, 2], watch=WATCH)
    assert again.epochs.read_bytes() == kept.epochs.read_bytes()
    assert again.weights.read_bytes() == kept.weights.read_bytes()


def test_the_watch_measures_both_attacks_on_the_same_images(kept):
    for row in rows(kept):
        assert tuple(row) == COLUMNS + WATCHED
        assert row["watch_examples"] == "12"
        weak, strong = float(row["watch_weak_top1"]), float(row["watch_strong_top1"])
        assert {round(weak * 12, 3) % 1, round(strong * 12, 3) % 1} == {0.0}


def test_the_watch_tells_its_attacks_apart(monkeypatch):
    """The weak one moves one image over the border of two classes, the strong one all but one."""
    images = torch.tensor([1.0, 2.0, 3.0, 9.0])[:, None]
    moved = {"weak": 1.5, "strong": 5.0}

    def attack(model, images, labels, seeds, settings, after_step):
        return images - moved[settings]

    monkeypatch.setattr(watched, "attack_images", attack)
    context = SimpleNamespace(
        model=nn.Linear(1, 2, bias=False), attack="weak", strong="strong",
        batches=[(part, torch.ones(len(part), dtype=int), None) for part in images.split(3)],
        put=lambda *tensors: tensors, autocast=contextlib.nullcontext, after_step=lambda: None,
        total=lambda counts: counts,
    )  # fmt: skip
    context.model.weight.data = torch.tensor([[-1.0], [1.0]])
    assert watched.evaluate(context) == {"weak": 0.75, "strong": 0.25, "watched": 4}


@pytest.mark.parametrize(
    ("value", "epochs"), [(None, []), (2, [2, 4]), ([5, 1], [1, 5]), ([], []), (9, [])]
)
def test_which_epochs_are_kept(value, epochs):
    assert kept_epochs({"keep_epochs": value}, 5) == epochs


def test_an_epoch_that_never_comes_is_refused():
    with pytest.raises(UserError, match=r"keep_epochs: 6, but the training has the epochs 1 to 5"):
        kept_epochs({"keep_epochs": [6]}, 5)
