"""The summary: everything of a run in one object, whatever of it exists."""

import json

import pytest
import synthetic_results as synthetic
import synthetic_specs as specs

from robustvit.core.errors import UserError
from robustvit.core.files import write_json
from robustvit.reporting.display_missing import display_missing
from robustvit.reporting.figure import make_figure
from robustvit.reporting.results import Results
from robustvit.reporting.stages import collect_stages
from robustvit.reporting.summary import build_summary
from robustvit.reporting.table import build_table


@pytest.fixture
def summary(root, published):
    for spec in (specs.table_spec(), specs.semantics_table_spec()):
        table = build_table(spec, Results(root), published)
        write_json(root / "tables" / f"{spec['name']}.json", table)
    write_json(root / "figures/demo_rulegraph.json", {"alt": "rules", "data": {}})
    return build_summary(specs.report_spec(), Results(root), published)


def test_holds_every_part_and_is_json(summary):
    assert json.loads(json.dumps(summary, allow_nan=False)) == summary
    assert list(summary["tables"]) == ["demo_recipes", "demo_semantics"]
    light = summary["evaluations"]["demo_light"]["autoattack"]
    assert light["robust_top1"] == synthetic.proportion(28, 64)
    assert light["threat"] == {"norm": "linf", "epsilon_255": 4}
    assert summary["training"]["demo_light"]["epochs"] == 12
    assert summary["training"]["demo_light"]["seconds"] == 61.5
    assert summary["training"]["demo_light"]["kept"]["epoch"] == 11
    assert summary["datasets"]["imagenet_demo"]["stand_in"] is True
    assert summary["datasets"]["cifar10"]["splits"] == {"train": 12000, "val": 400}
    assert [r["generator"] for r in summary["semantics"]] == ["demo_light", "demo_standard"]
    assert summary["provenance"]["seeds"] == [42]
    assert summary["provenance"]["commits"] == [synthetic.PROVENANCE["commit"]]
    assert summary["provenance"]["published"] == {"file": "published.csv", "numbers": 1174}


def test_names_what_is_missing(summary):
    files = [entry["file"] for entry in summary["missing"]]
    assert files == [
        f"figures/demo_{kind}.pdf"
        for kind in ("perturbations", "gradients", "learning_curves", "ablation_bars")
    ]


def test_a_file_that_two_tables_lack_is_one_missing_result(root, published):
    (root / "eval/demo_light/autoattack.json").unlink()
    for name in ("demo_recipes", "again"):
        table = build_table(specs.table_spec() | {"name": name}, Results(root), published)
        write_json(root / "tables" / f"{name}.json", table)
    spec = specs.report_spec() | {"tables": ["demo_recipes", "again"], "figures": []}
    summary = build_summary(spec, Results(root), published)
    what = "a result in table demo_recipes, a result in table again"
    assert summary["missing"] == [{"what": what, "file": "eval/demo_light/autoattack.json"}]
    assert summary["abstract"][-1].startswith("1 result was not there when")
    assert display_missing(summary["missing"] * 2)["number"] == 1


def test_empty_results_folder(tmp_path, published):
    summary = build_summary(specs.report_spec(), Results(tmp_path), published)
    assert summary["evaluations"] == {}
    assert {t["status"] for t in summary["training"].values()} == {"missing"}
    assert "tables/demo_recipes.json" in [entry["file"] for entry in summary["missing"]]
    assert "results were not there" in summary["abstract"][-1]


def test_no_results_folder(tmp_path, published):
    with pytest.raises(UserError, match="no such results folder"):
        build_summary(specs.report_spec(), Results(tmp_path / "none"), published)


def test_abstract_is_computed_from_the_results(summary):
    text = " ".join(summary["abstract"])
    assert "trained 4 models on 2 data sets, 3 of them against" in text
    assert "For “ImageNet, 4 classes” the original archives were not at hand" in text
    assert "“XCiT-demo, light recipe” classifies 43.8 % [32.3–55.9] of 64 images" in text
    assert "under AutoAttack at ε = 4/255" in text
    assert "and 68.8 % [56.6–78.8] of the same images unchanged" in text
    assert "The least robust one, “XCiT-demo, standard training”, keeps 0.0 % [0.0–5.7]" in text
    assert "48.4 % [36.6–60.4] of those of “XCiT-demo, light recipe”" in text
    assert "guessing would reach 10.0 %" in text


def test_the_kept_epoch_is_the_selected_one(root, published):
    lines = ["epoch,eval_clean_top1,selected", "0,0.2,0", "1,0.5,1", "2,0.4,0"]
    synthetic.write(root / "train/demo_light/metrics.csv", "\n".join(lines) + "\n")
    summary = build_summary(specs.report_spec(), Results(root), published)
    assert summary["training"]["demo_light"]["kept"]["eval_clean_top1"] == 0.5


def test_what_nobody_asks_for_is_not_read(root, published):
    spec = specs.report_spec()
    light = spec["experiments"]["demo_light"]
    light["evaluate"] = {"clean": 64}
    spec["experiments"]["demo_standard"]["recipe"] = None  # its training is of an earlier run
    spec["semantics"][0]["generators"] = spec["semantics"][0]["generators"][:1]
    summary = build_summary(spec, Results(root), published)
    assert list(summary["evaluations"]["demo_light"]) == ["clean"]
    assert summary["training"]["demo_standard"] == {"status": "not trained here"}
    assert [record["generator"] for record in summary["semantics"]] == ["demo_light"]
    assert "demo_light" not in {check["experiment"] for check in summary["checks"]}
    assert "“XCiT-demo, light recipe”, classifies" not in " ".join(summary["abstract"])


def test_stages_sum_their_jobs(full_root):
    stages = collect_stages(full_root, specs.report_spec()["jobs"])
    assert stages == [
        {
            "stage": "train_model",
            "jobs": 2,
            "seconds": 180.75,
            "longest_seconds": 120.5,
            "memory_mb": 812.5,
        },
        {
            "stage": "make_table",
            "jobs": 1,
            "seconds": 0.4,
            "longest_seconds": 0.4,
            "memory_mb": None,
        },
    ]


def test_benchmark_files_without_a_folder_of_their_own(tmp_path):
    synthetic.write(tmp_path / "benchmarks/draw_rule_graph.tsv", "s\th:m:s\tmax_rss\n2.5\tx\t-\n")
    stages = collect_stages(tmp_path, {"draw_rule_graph": None})
    assert [stage["stage"] for stage in stages] == ["draw_rule_graph"]


def test_jobs_that_are_no_longer_part_of_the_run_do_not_count(tmp_path):
    for name in (
        "a-autoattack-0-of-1",
        "a-autoattack-0-of-2",
        "a-autoattack-1-of-2",
        "b-clean-0-of-1",
    ):
        synthetic.write(tmp_path / f"benchmarks/evaluate_model/{name}.tsv", "s\tmax_rss\n2.5\t-\n")
    synthetic.write(tmp_path / "benchmarks/write_summary.tsv", "s\tmax_rss\n9\t-\n")
    jobs = {"evaluate_model": {"a-autoattack": 1}, "gather_evaluation": ["a-autoattack"]}
    (stage,) = collect_stages(tmp_path, jobs)
    assert (stage["stage"], stage["jobs"], stage["seconds"]) == ("evaluate_model", 1, 2.5)


def test_not_a_number_becomes_null(root, published):
    path = root / "semantics/demo/demo_light/cifar_resnet18.json"
    path.write_text(path.read_text().replace("1e-09", "NaN"))
    record = build_summary(specs.report_spec(), Results(root), published)["semantics"][0]
    assert record["p_value_top1"] is None


def test_a_made_figure_is_not_missing(root, published):
    spec = specs.figure_specs()[-1]
    make_figure(spec, root, root / "figures" / spec["name"])
    summary = build_summary(specs.report_spec(), Results(root), published)
    assert summary["figures"]["demo_rulegraph"]["alt"].startswith("Graph of the 16 rules")


def test_holds_verdicts_origins_and_cost(summary):
    assert summary["verdicts"]["not comparable"] == 7  # six of accuracies, one of perturbations
    assert sum(summary["verdicts"].values()) == 7
    assert [origin["number"] for origin in summary["origins"]] == list(range(1, 15))
    (cores,) = summary["cost"]["lines"]
    assert cores["device"] == "cpu" and cores["hours"] == pytest.approx(200 / 3600)
    assert summary["cost"]["kwh"]["low"] < summary["cost"]["kwh"]["expected"]
