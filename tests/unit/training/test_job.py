"""What a resumable state belongs to."""

from __future__ import annotations

import shutil

import pytest
from training_samples import train_spec

from robustvit.core import sources
from robustvit.training.job import job_key

INPUTS = {"train": "a", "evaluation": "b", "init": None}


@pytest.fixture
def scripts(tmp_path, monkeypatch):
    """A copy of the scripts that may be edited."""
    copy = tmp_path / "scripts"
    shutil.copytree(sources.SCRIPTS, copy, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(sources, "SCRIPTS", copy)
    return copy


def edit(path):
    path.write_text(path.read_text(encoding="utf-8") + "\n# edited\n", encoding="utf-8")


def test_a_state_of_other_code_is_not_taken_up(scripts):
    spec = train_spec()
    name = spec["recipe"]["loss"]["name"]
    key = job_key(spec, INPUTS)
    assert job_key(spec, INPUTS) == key
    edit(scripts / "robustvit" / "training" / "losses" / f"{name}.py")
    edited = job_key(spec, INPUTS)
    assert edited != key
    edit(scripts / "robustvit" / "training" / "optimizer.py")
    assert job_key(spec, INPUTS) != edited


def test_other_code_is_no_matter(scripts):
    key = job_key(train_spec(), INPUTS)
    edit(scripts / "robustvit" / "reporting" / "tables" / "evaluation.py")
    (scripts / "robustvit" / "training" / "losses" / "other.py").write_text("")
    assert job_key(train_spec(), INPUTS) == key


def test_the_key_does_not_depend_on_where_the_checkout_lies(scripts, monkeypatch):
    key = job_key(train_spec(), INPUTS)
    monkeypatch.undo()
    assert job_key(train_spec(), INPUTS) == key


def test_spec_and_inputs_still_decide():
    key = job_key(train_spec(), INPUTS)
    assert job_key(train_spec(seed=99), INPUTS) != key
    assert job_key(train_spec(), INPUTS | {"train": "c"}) != key
