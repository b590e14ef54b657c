"""docs/evaluate_your_model.md: all four ways are planned, and one is run to its report."""

from __future__ import annotations

import json
import re
import shlex

import pytest
import yaml
from pypdf import PdfReader

from tests.docs.conftest import Book
from tests.docs.pages import DOCS, Page
from tests.integration.conftest import copy_checkout, planned_jobs

PAGE = Page("evaluate_your_model")
NAMES = {"my_function": "small_network", "my_file": "resnet18_file", "my_timm": "resnet18_timm",
         "my_zoo": "wong2020fast"}  # fmt: skip
QUICK = """
evaluate_models: {small_network: {num_examples: 6}}
protocols: {autoattack: {options: {iterations: 2, queries: 5, targets: 2}}}
"""
PAGE_TABLE = re.compile(r"^\| `(eval/.*|checkpoints/.*|report.*)` \|", flags=re.MULTILINE)


@pytest.fixture(scope="module")
def folder(book):
    """The copy with the files of this page."""
    for name, text in PAGE.files.items():
        (book.folder / name).write_text(text, encoding="utf-8")
    return book.folder


def snakemake(book, *arguments):
    done = book.python("-m", "snakemake", *arguments)
    said = done.stdout + done.stderr
    assert done.returncode == 0, said[-4000:]
    return said


def commands():
    """Arguments of the page's `snakemake` commands; nothing in them is for bash to expand."""
    lines = [line for kind, text in PAGE.blocks if kind == "sh" for line in text.splitlines()]
    return [shlex.split(line)[1:] for line in lines if line.startswith("snakemake ")]


def test_every_way_has_a_command():
    assert {name.removesuffix(".yaml") for name in PAGE.overlays} == set(NAMES)
    assert len(commands()) == len(NAMES) + 1


@pytest.mark.parametrize("command", commands(), ids=lambda command: " ".join(command[2:5]))
def test_every_command_plans_the_model_and_no_training(book, folder, command):
    jobs = planned_jobs(snakemake(book, *command, "-n"))
    rules = {job[0] for job in jobs}
    assert {"import_checkpoint", "evaluate_model", "gather_evaluation"} <= rules
    assert not rules & {"pretrain_model", "finetune_model", "make_perturbations"}
    named = {job[1] for job in jobs if job[0] == "evaluate_model"}
    assert len(named) == 1 and named <= set(NAMES.values())
    assert ("export_robustbench" in rules) == ("robustbench" in command)


def test_settings_resolve_to_the_model_that_is_meant(folder, monkeypatch):
    from robustvit.config.merge import deep_merge
    from robustvit.config.resolve import resolve
    from robustvit.config.specs import checkpoint_model

    monkeypatch.chdir(folder)
    paper = yaml.safe_load((folder / "workflow_config.yaml").read_text())
    for name, model in NAMES.items():
        config = resolve(deep_merge(paper, yaml.safe_load(PAGE.files[f"{name}.yaml"])))
        assert config["name"] == name and config["report"]["evaluations"] == [model]
        assert checkpoint_model(config, model)["num_classes"] in (10, 1000)


def test_the_function_of_the_page_is_a_classifier(folder, monkeypatch):
    from robustvit.models.imported import import_model

    monkeypatch.chdir(folder)
    args = {"entry": "my_models.py:build", "width": 8}
    model = {"name": "m", "family": "python", "args": args, "num_classes": 10, "image_size": 32,
             "patch_size": None, "drop_path": 0.0, "normalization": None}  # fmt: skip
    spec = {"checkpoint": "m", "url": None, "sha256": None, "mirrors": [], "model": model}
    assert import_model(spec, None)[1]["checked"] == "as built"


@pytest.mark.slow
@pytest.mark.end_to_end
def test_the_first_command_makes_everything_that_the_page_promises(tmp_path):
    """Run with fewer images and a weaker attack; CIFAR-10's archive as in the smoke test."""
    # A copy of its own: what is made here would not be planned any more by the other pages' tests.
    book, folder = Book(copy_checkout(tmp_path)), tmp_path
    for name, text in {**PAGE.files, "quick.yaml": QUICK}.items():
        (folder / name).write_text(text, encoding="utf-8")
    snakemake(book, *commands()[0], "quick.yaml")
    results = folder / "results" / "my_function"
    for line in PAGE_TABLE.findall((DOCS / "evaluate_your_model.md").read_text()):
        for name in line.split("`, `"):
            assert (results / name.replace("<model>", "small_network")).is_file(), name
    info = json.loads((results / "eval/small_network/robustbench.json").read_text())
    assert info["dataset"] == "cifar10" and info["eps"] == "8/255" and "On 6 of" in info["footnote"]
    text = " ".join(page.extract_text() for page in PdfReader(results / "report.pdf").pages)
    assert "A small network" in text and "as its function" in " ".join(text.split())
