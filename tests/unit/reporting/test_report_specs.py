"""What the configuration tells the reporting: captions, what is asked for, the run's jobs."""

import copy
import re
from pathlib import Path

import pytest
import yaml

from robustvit.config import captions, inputs, reports
from robustvit.config.lineage import trained_on
from robustvit.config.merge import deep_merge
from robustvit.config.report_jobs import job_counts
from robustvit.config.resolve import resolve
from robustvit.config.specs import gather_spec
from robustvit.core.errors import UserError
from robustvit.reporting.published import Published
from robustvit.reporting.verdicts import why_not_comparable

ROOT = Path(__file__).resolve().parents[3]


def read(*names):
    """The configuration as Snakemake merges it, not resolved."""
    return deep_merge(*(yaml.safe_load((ROOT / n).read_text(encoding="utf-8")) for n in names))


DEMO = read("workflow_config.yaml", "configs/demo.yaml")
SMOKE = read("workflow_config.yaml", "configs/demo.yaml", "configs/smoke.yaml")


@pytest.fixture(scope="module")
def demo():
    return resolve(DEMO)


@pytest.fixture(scope="module")
def smoke():
    return resolve(SMOKE)


def test_captions_follow_an_overlay(demo, smoke):
    def caption(config, name):
        return reports.figure_spec(config, name)["caption"]

    assert "the PGD-100 perturbations" in caption(demo, "demo_perturbations")
    assert "the PGD-5 perturbations" in caption(smoke, "demo_perturbations")
    assert "by 100 steps of" in caption(demo, "demo_gradients")
    assert "by 10 steps of" in caption(smoke, "demo_gradients")
    assert "ε = 4/255" in caption(demo, "demo_ablation")
    table = reports.table_spec(smoke, "demo_semantics")
    assert "(PGD-5, ε = 8/255, 24 images)" in table["caption"]


def test_no_caption_of_the_demo_holds_a_number_of_an_attack():
    for section in ("tables", "figures"):
        for name in DEMO["report"][section]:
            entry = DEMO[section][name]
            for number in ("/255", "PGD-1", "100 steps"):
                assert number not in entry.get("caption", ""), f"{section}.{name}"
    for name, entry in DEMO["protocols"].items():
        assert not re.search(r"\d", entry["description"].replace("Top-1", "")), name


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{step} steps", r'tables\.x\.caption: unknown placeholder "step"\. Did you mean "steps"'),
        ("{}", r'unknown placeholder ""'),
        ("ε = {epsilon", r"tables\.x\.caption: .*A placeholder is written \{epsilon\}"),
    ],
)
def test_wrong_placeholders(text, message):
    with pytest.raises(UserError, match=message):
        captions.fill(text, {"steps": "5", "epsilon": "4/255"}, "tables.x.caption")


def test_braces_can_be_written():
    assert captions.fill("{{a}} {steps}", {"steps": "5"}, "x") == "{a} 5"


def test_rows_say_which_protocols_are_asked_for(demo):
    rows = {r["experiment"]: r for r in reports.table_spec(demo, "demo_recipes")["rows"]}
    assert rows["demo_light_list"]["evaluate"] == ["clean", "apgd-ce-5"]
    files = inputs.table_inputs(demo, "demo_recipes")
    assert "eval/demo_light_list/apgd-ce-5.json" in files
    assert "eval/demo_light_list/autoattack.json" not in files


def test_rows_say_what_their_weights_were_trained_on(demo):
    paper = resolve(read("workflow_config.yaml"))
    tuned = next(
        name
        for name, entry in paper["experiments"].items()
        if entry["recipe"]
        and entry["dataset"] == "cifar10"
        and (entry["init"] or {}).get("experiment")
    )
    parent = paper["experiments"][tuned]["init"]["experiment"]
    assert trained_on(paper, tuned)[-1] == "cifar10"
    assert paper["experiments"][parent]["dataset"] in trained_on(paper, tuned)
    evaluated = [n for n, e in demo["experiments"].items() if "checkpoint" in (e["weights"] or {})]
    assert evaluated and trained_on(demo, evaluated[0]) == []
    rows = {r["experiment"]: r for r in reports.table_spec(demo, "demo_recipes")["rows"]}
    own = demo["experiments"]["demo_light"]["dataset"]
    assert rows["demo_light"]["trained_on"] == [own]
    assert f"datasets/{own}/manifest.json" in inputs.table_inputs(demo, "demo_recipes")
    generators = reports.table_spec(demo, "demo_semantics")["generators"]
    assert all("trained_on" in row for row in generators)


def test_the_papers_own_settings_are_comparable_with_every_published_number():
    """Attack, steps, radius and images of each published number are those of its evaluation."""
    paper, found = resolve(read("workflow_config.yaml")), []
    published = Published.load(ROOT / "reports/published.csv")
    for name, entry in paper["experiments"].items():
        for protocol in set(entry["published"]) & set(entry["evaluate"]):
            made = gather_spec(paper, name, protocol, dict.fromkeys(paper["datasets"], False))
            record = {key: made[key] for key in ("attack", "threat")}
            record |= {"dataset": made["dataset"]["name"], "chance": 0.001}
            for key in entry["published"][protocol]:
                own = published.entry(key)
                found.append(list(why_not_comparable(own, record, comparison="direct")))
    assert len(found) > 200 and not any(found)


def test_figures_know_whose_weights_were_chosen_on_evaluation_images(demo):
    paper = resolve(read("workflow_config.yaml"))
    assert all(
        row["chosen_on_test"] for row in reports.figure_options(paper, "recipe_steps")["rows"]
    )
    rows = reports.figure_options(demo, "demo_ablation")["rows"]
    assert not any(row["chosen_on_test"] for row in rows)


def test_figures_ask_only_for_what_is_evaluated():
    config = copy.deepcopy(DEMO)
    config["experiments"]["demo_standard"]["evaluate"] = ["clean"]
    config = resolve(config)
    files = inputs.figure_inputs(
        config, "demo_ablation", reports.figure_options(config, "demo_ablation")
    )
    assert "eval/demo_standard/clean.json" in files
    assert "eval/demo_standard/autoattack.json" not in files


def test_jobs_of_the_report(demo, smoke):
    jobs = reports.report_spec(demo)["jobs"]
    assert jobs["evaluate_model"]["demo_light-autoattack"] == 1
    assert reports.report_spec(smoke)["jobs"]["evaluate_model"]["demo_light-autoattack"] == 2
    assert "demo_light_list-autoattack" not in jobs["evaluate_model"]
    assert jobs["import_checkpoint"] == ["cifar10_resnet18"]
    assert jobs["pretrain_model"] == ["demo_light", "demo_canonical", "demo_standard", "demo_eps8"]
    assert "demo_semantics-demo_cifar10-demo_resnet18" in jobs["classify_perturbations"]
    assert jobs["fetch_source"][0] == "cifar10"
    assert "write_summary" not in jobs


def test_an_analysis_that_only_a_figure_shows_has_nothing_to_be_classified():
    config = copy.deepcopy(DEMO)
    config["report"]["tables"].remove("demo_semantics")
    spec = reports.report_spec(resolve(config))
    assert spec["semantics"][0]["classifiers"] == []
    assert spec["jobs"]["classify_perturbations"] == []
    assert spec["jobs"]["make_perturbations"]


def test_every_set_of_the_report_has_its_images_and_its_classes_in_it(demo):
    shown = [f["name"] for f in reports.report_spec(demo)["figures"] if f["of_dataset"]]
    datasets = reports.report_spec(demo)["order"]["datasets"]
    assert shown == [f"{name}_{what}" for name in datasets for what in ("images", "classes")]
    assert set(shown) <= set(reports.report_spec(demo)["jobs"]["make_figure"])
    assert inputs.figure_inputs(demo, shown[0], reports.figure_options(demo, shown[0])) == [
        f"datasets/{datasets[0]}/manifest.json"
    ]


def test_exports_of_adversarial_images_are_jobs_of_the_report(smoke):
    jobs = reports.report_spec(smoke)["jobs"]
    assert jobs["export_adversarial"] == []
    smoke = copy.deepcopy(smoke)
    smoke["protocols"]["pgd10"]["save_adversarial"] = True
    jobs = reports.report_spec(smoke)["jobs"]
    assert "demo_light-pgd10" in jobs["export_adversarial"]
    assert "export_adversarial" not in job_counts(smoke)  # another target makes them
