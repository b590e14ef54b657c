"""The whole pipeline at its smallest: to a PDF whose text is checked, and reruns that are right."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
import yaml
from pypdf import PdfReader

from robustvit.config.merge import deep_merge
from robustvit.config.reports import now_spec
from robustvit.config.resolve import resolve
from robustvit.reporting.other_settings import find_changes
from robustvit.reporting.results import Results
from tests.integration.conftest import SMOKE
from tests.waiting import wait_until
from tests.workflow.conftest import environment

pytestmark = pytest.mark.end_to_end


def pdf_text(path):
    return " ".join(" ".join(page.extract_text() for page in PdfReader(path).pages).split())


def test_report_holds_every_part(smoke):
    text = pdf_text(smoke.results / "report.pdf")
    for expected in (
        "Smoke test of the whole pipeline",
        "Light against canonical recipe",
        "Are adversarial perturbations semantic?",
        "AutoAttack",
        "stand-in",
        "41.78",  # a published number beside the measured one
        "Learning curves",
    ):
        assert expected.lower() in text.lower(), expected


def test_summary_agrees_with_the_rows(smoke):
    import pandas as pd

    summary = json.loads((smoke.results / "summary.json").read_text())
    assert summary["tables"].keys() == {
        *("demo_recipes", "demo_finetuning", "demo_semantics", "demo_overfitting")
    }
    rows = pd.read_parquet(smoke.results / "eval" / "demo_light" / "autoattack.parquet")
    written = json.loads((smoke.results / "eval" / "demo_light" / "autoattack.json").read_text())
    examples = rows.drop_duplicates("example_id")
    assert written["num_examples"] == len(examples) == len(rows) / rows["attack"].nunique()
    assert written["robust_top1"]["k"] == int(examples["robust"].sum())


def test_summary_says_what_the_analyses_found(smoke):
    summary = json.loads((smoke.results / "summary.json").read_text())
    (compared,) = summary["comparisons"]
    assert {pair["metric"] for pair in compared["pairs"]} == {"top1", "top5"}
    assert len(compared["controls"]) == 2 * 3 * 2  # generators, controls, metrics
    judged = [c["p_holm"] >= 0.05 for c in compared["controls"] if c["control"] != "other_sign"]
    assert compared["controls_at_chance"] is all(judged)
    watched = {name: found.get("overfitting") for name, found in summary["training"].items()}
    assert watched["demo_light"]["num_examples"] == 8
    assert watched["demo_standard"] is None
    folder = smoke.results / "losses/demo_effectiveness/demo_light"
    for epoch in (1, 2):
        found = json.loads((folder / f"{epoch}.json").read_text())
        assert [entry["steps"] for entry in found["steps"]] == [1, 2]


def test_every_figure_exists_in_three_formats(smoke):
    names = {path.stem for path in (smoke.results / "figures").glob("*.json")}
    assert "demo_perturbations" in names and "rule_graph" in names
    for name in names:
        for suffix in ("pdf", "svg", "png"):
            assert (smoke.results / "figures" / f"{name}.{suffix}").stat().st_size > 1000


def test_page_says_what_the_pdf_says(smoke):
    page = (smoke.results / "report.html").read_text(encoding="utf-8")
    for expected in ("Light against canonical recipe", "41.78", "stand-in", "not comparable"):
        assert expected in page, expected
    for link in ("tables/demo_recipes.tex", "tables/demo_recipes.csv", "figures/demo_ablation.svg"):
        assert f'href="{link}"' in page and (smoke.results / link).is_file()
    assert 'id="figure-demo_perturbation_gallery"' in page


def test_workflow_report_is_whole(smoke):
    html = (smoke.results / "workflow.html").read_text(encoding="utf-8")
    assert "demo_ablation" in html and "cifar10_images" in html and "demo_recipes" in html
    assert "demo_perturbation_gallery" in html


def test_weights_load_in_timm_classes_without_our_code(smoke):
    from safetensors.torch import load_file
    from timm.models.xcit import Xcit

    model = Xcit(
        img_size=32,
        patch_size=8,
        embed_dim=32,
        depth=1,
        num_heads=2,
        eta=1.0,
        tokens_norm=True,
        num_classes=4,
    )
    model.load_state_dict(load_file(smoke.results / "train/demo_light/weights.safetensors"))


def test_nothing_is_left_half_written(smoke):
    hidden = [path for path in smoke.results.rglob(".*") if path.name != ".gitkeep"]
    assert hidden == []


def test_second_run_does_nothing(smoke):
    assert smoke.planned() == set()


def test_touch_and_fresh_checkout_rerun_nothing(smoke):
    tracked = ["scripts", "rules", "configs", "reports", "schemas", "profiles"]
    files = [path for name in tracked for path in (smoke.folder / name).rglob("*")]
    for path in [*files, smoke.folder / "workflow_config.yaml", smoke.folder / "Snakefile"]:
        if path.is_file():
            path.touch()
    assert smoke.planned() == set()


def test_weight_decay_of_one_experiment_reruns_what_depends_on_it(smoke, tmp_path):
    overlay = tmp_path / "decay.yaml"
    overlay.write_text(
        "experiments: {demo_canonical: {overrides: {optimizer: {weight_decay: 0.3}}}}"
    )
    jobs = smoke.planned(overlay)
    assert ("pretrain_model", "demo_canonical") in jobs
    trained = {job for job in jobs if job[0] in ("pretrain_model", "finetune_model")}
    assert trained == {("pretrain_model", "demo_canonical")}
    assert {job[1] for job in jobs if job[0] == "evaluate_model"} == {"demo_canonical"}
    assert {job[1] for job in jobs if job[0] == "make_table"} == {
        *("demo_recipes", "demo_overfitting")
    }
    shown = {job[1] for job in jobs if job[0] == "make_figure"}
    assert shown == {
        *("demo_ablation", "demo_learning_curves", "demo_overfitting_curves"),
        *("demo_effectiveness", "demo_convergence"),
    }
    others = {job[0] for job in jobs}
    assert "draw_rule_graph" not in others
    assert not others & {"build_dataset", "make_perturbations", "accumulate_gradients"}


def test_report_of_now_knows_results_of_other_settings(smoke, monkeypatch):
    """Held against the settings that it was made with, nothing of a run differs from them."""
    monkeypatch.chdir(smoke.folder)
    names = ("workflow_config.yaml", *SMOKE[1:3])
    read = deep_merge(*(yaml.safe_load((smoke.folder / name).read_text()) for name in names))

    def changes(overlay):
        made_with = now_spec(resolve(deep_merge(read, overlay)))["made_with"]
        assert sum((smoke.results / file).exists() for file in made_with) == len(made_with)
        return find_changes(made_with, Results(smoke.results))

    assert changes({}) == {}
    decay = {"overrides": {"optimizer": {"weight_decay": 0.3}}}
    found = changes({"experiments": {"demo_canonical": decay}})
    assert "eval/demo_canonical/clean.json" in found
    (cause,) = {cause for causes in found.values() for cause in causes}
    assert cause == "experiments.demo_canonical: recipe.optimizer.weight_decay 0.05 → 0.3"


def test_speed_settings_rerun_nothing(smoke, tmp_path):
    overlay = tmp_path / "speed.yaml"
    overlay.write_text("compute: {workers: 2, device: cpu, memory_mb: 8000}")
    assert smoke.planned(overlay) == set()
    overlay.write_text("compute: {batch_size: 48}")
    assert "evaluate_model" not in {job[0] for job in smoke.planned(overlay)}


def test_a_shard_cut_short_is_computed_anew(smoke):
    folder = smoke.results / "eval/demo_light"
    shard, rows = folder / "shards/autoattack/0-of-2.parquet", folder / "autoattack.parquet"
    before, target = rows.read_bytes(), str(rows.relative_to(smoke.folder))
    shard.write_bytes(shard.read_bytes()[:-20])
    rows.unlink()
    refused = smoke.snakemake(*SMOKE, "--", target)
    assert refused.returncode != 0
    assert (
        "cut short"
        in (smoke.results / "logs/gather_evaluation/demo_light-autoattack.log").read_text()
    )
    done = smoke.snakemake(*SMOKE, "--", target)
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    assert rows.read_bytes() == before
    # What is drawn from the gathered numbers is brought up to date for the tests that follow.
    done = smoke.snakemake(*SMOKE)
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]


def test_label_of_an_experiment_changes_tables_and_report_only(smoke, tmp_path):
    overlay = tmp_path / "label.yaml"
    overlay.write_text("experiments: {demo_flowers: {label: Blumen}}")
    rules = {job[0] for job in smoke.planned(overlay)}
    assert {"make_table", "render_report"} <= rules
    assert not rules & {"pretrain_model", "finetune_model", "evaluate_model", "build_dataset"}


@pytest.fixture
def edited(smoke):
    """Append a line to a source file for the time of a test."""
    originals = {}

    def edit(name):
        path = smoke.folder / name
        originals[path] = path.read_text(encoding="utf-8")
        path.write_text(originals[path] + "\n# an edit\n", encoding="utf-8")

    yield edit
    for path, text in originals.items():
        path.write_text(text, encoding="utf-8")


def test_edit_in_plotting_retrains_nothing(smoke, edited):
    edited("scripts/robustvit/reporting/style.py")
    jobs = smoke.planned()
    rules = {job[0] for job in jobs}
    assert "make_figure" in rules
    assert not rules & {"pretrain_model", "finetune_model", "evaluate_model", "build_dataset"}


def test_edit_in_one_figure_redraws_that_figure(smoke, edited):
    edited("scripts/robustvit/reporting/figures/gradients.py")
    drawn = {job[1] for job in smoke.planned() if job[0] == "make_figure"}
    assert drawn == {"demo_gradients"}


def test_edit_in_the_attack_reruns_what_attacks(smoke, edited):
    edited("scripts/robustvit/attacks/pgd.py")
    jobs = smoke.planned()
    trained = {job[1] for job in jobs if job[0] in ("pretrain_model", "finetune_model")}
    assert trained >= {"demo_light", "demo_canonical", "demo_eps8", "demo_cifar10"}
    assert "demo_standard" not in trained and "demo_cifar10_standard" not in trained
    assert "make_perturbations" in {job[0] for job in jobs}
    assert "build_dataset" not in {job[0] for job in jobs}


def test_edit_in_autoattack_retrains_nothing(smoke, edited):
    edited("scripts/robustvit/attacks/autoattack.py")
    jobs = smoke.planned()
    assert {job[2] for job in jobs if job[0] == "evaluate_model"} == {"autoattack"}
    assert not {job[0] for job in jobs} & {"pretrain_model", "finetune_model"}


def test_killed_run_goes_on_where_it_stopped(smoke):
    """A kill of every process at once, as a power cut: the next call ends with equal weights.

    That the training itself goes on from its state is held by the tests of the engine.
    """
    folder = smoke.results / "train/demo_flowers"
    weights = folder / "weights.safetensors"
    before = weights.read_bytes()
    target = str(weights.relative_to(smoke.folder))
    for path in folder.iterdir():
        path.unlink()
    log = smoke.results / "logs/finetune_model/demo_flowers.log"
    log.unlink()
    process = subprocess.Popen(
        [sys.executable, "-m", "snakemake", *SMOKE, "--", target],
        cwd=smoke.folder,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    wait_until(log.exists, seconds=60)  # the shell opens the log as the program starts
    time.sleep(2)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not weights.exists()
    unlocked = smoke.snakemake(*SMOKE[:3], "--unlock")
    assert unlocked.returncode == 0, unlocked.stderr
    done = smoke.snakemake(*SMOKE, "--rerun-incomplete", "--", target)
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    assert weights.read_bytes() == before
