"""Tables: joins of measured and published values, missing results, verdicts, CSV."""

import csv
import io
import json

import pytest
import synthetic_results as synthetic
import synthetic_specs as specs

from robustvit.core.errors import UserError
from robustvit.reporting.results import Results
from robustvit.reporting.table import build_table, table_csv, table_files


def cell_of(table, experiment, label):
    row = next(row for row in table["rows"] if row["experiment"] == experiment)
    index = next(i for i, column in enumerate(table["columns"]) if column["label"] == label)
    return row["cells"][index]


def test_measured_and_published_values_stand_in_the_same_cell(results, published):
    table = build_table(specs.table_spec(), results, published)
    cell = cell_of(table, "demo_light", "AutoAttack")
    assert cell["measured"] == synthetic.proportion(28, 64)
    assert cell["published"]["value"] == 41.78
    assert cell["published"]["key"] == "thesis.table5.wd-0-5.autoattack_top1"
    assert cell["chance"] == 0.25
    assert cell["status"] == "measured"
    assert cell_of(table, "demo_cifar", "AutoAttack")["published"]["value"] == 56.14
    assert cell_of(table, "demo_standard", "AutoAttack")["published"] is None
    assert [row["stand_in"] for row in table["rows"]] == [True, True, True, False]
    assert table["missing"] == []


def test_missing_evaluation_is_not_run_and_not_an_error(root, published):
    (root / "eval/demo_light/autoattack.json").unlink()
    table = build_table(specs.table_spec(), Results(root), published)
    cell = cell_of(table, "demo_light", "AutoAttack")
    assert (cell["status"], cell["measured"]) == ("not run", None)
    assert cell["published"]["value"] == 41.78
    assert table["missing"] == ["eval/demo_light/autoattack.json"]


def test_empty_root_gives_a_table_of_published_values(tmp_path, published):
    table = build_table(specs.table_spec(), Results(tmp_path), published)
    assert {cell["status"] for row in table["rows"] for cell in row["cells"]} == {"not run"}


@pytest.mark.parametrize(("hits", "verdict"), [(27, "agrees"), (50, "differs"), (None, "not run")])
def test_verdict_where_the_comparison_is_direct(root, published, hits, verdict):
    path = root / "eval/demo_light/autoattack.json"
    if hits is None:
        path.unlink()
    else:
        record = json.loads(path.read_text()) | {"stand_in": False, "dataset": "imagenet_rb5k"}
        synthetic.write(path, record | {"robust_top1": synthetic.proportion(hits, 64)})
    spec = specs.table_spec() | {"comparison": "direct"}
    cell = cell_of(build_table(spec, Results(root), published), "demo_light", "AutoAttack")
    assert cell["verdict"] == verdict
    expected = None if hits is None else pytest.approx(100 * hits / 64 - 41.78, abs=1e-3)
    assert cell["difference"] == expected


def test_only_the_direction_can_be_compared(results, published):
    table = build_table(specs.table_spec(), results, published)
    cells = [cell for row in table["rows"] for cell in row["cells"]]
    assert {cell["verdict"] for cell in cells} == {None, "not comparable"}
    assert all(cell["difference"] is None for cell in cells)


def test_row_without_an_experiment_only_quotes(results, published):
    spec = specs.table_spec()
    spec["rows"] = [
        {
            "experiment": None,
            "label": "GELU ResNet-50",
            "published": {"autoattack": "readme.imagenet-eps-4.resnet50-gelu.autoattack_top1"},
        }
    ]
    table = build_table(spec, results, published)
    assert [cell["status"] for cell in table["rows"][0]["cells"]] == ["quoted"] * 3
    assert table["rows"][0]["cells"][2]["published"]["value"] == 35.12
    assert table["missing"] == []


def test_a_result_that_nobody_asks_for_is_not_given(results, published):
    spec = specs.table_spec()
    spec["rows"][0]["evaluate"] = ["clean"]  # the other files are of an earlier run
    cell = cell_of(build_table(spec, results, published), "demo_light", "AutoAttack")
    assert (cell["status"], cell["measured"], cell["chance"]) == ("not asked", None, None)
    assert (cell["published"]["value"], cell["verdict"]) == (41.78, None)
    assert "eval/demo_light/autoattack.json" not in table_files(spec)
    assert build_table(spec, results, published)["missing"] == []


def test_failed_checks_stand_in_the_cell_and_in_the_csv(results, published):
    table = build_table(specs.table_spec(), results, published)
    failed = [{"name": "white box", "detail": "0.4% more"}]
    assert cell_of(table, "demo_canonical", "AutoAttack")["failed_checks"] == failed
    assert cell_of(table, "demo_light", "AutoAttack")["failed_checks"] == []
    lines = csv.DictReader(io.StringIO(table_csv(table)))
    marked = [(x["experiment"], x["column"]) for x in lines if x["failed_checks"] == "white box"]
    assert marked == [("demo_canonical", "PGD-10"), ("demo_canonical", "AutoAttack")]


def test_unknown_published_key(results, published):
    spec = specs.table_spec()
    spec["rows"][0]["published"]["autoattack"] = "thesis.table5.wd-05.autoattack_top1"
    with pytest.raises(UserError, match="Did you mean"):
        build_table(spec, results, published)


def test_published_for_an_unknown_protocol(results, published):
    spec = specs.table_spec()
    spec["rows"][0]["published"]["autoatack"] = "thesis.table5.wd-0-5.autoattack_top1"
    with pytest.raises(UserError, match=r'unknown protocol "autoatack".*"autoattack"'):
        build_table(spec, results, published)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "evaluatoin"}, r'unknown table "evaluatoin".*"evaluation"'),
        ({"comparison": "exact"}, r'comparison: unknown comparison "exact"'),
        ({"columns": [{"protocol": "clean"}]}, r"tables\.demo_recipes: the key 'label' is missing"),
    ],
)
def test_wrong_specs(results, published, change, message):
    with pytest.raises(UserError, match=message):
        build_table(specs.table_spec() | change, results, published)


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"clean_top1": {"value": 70.0, "low": 60.0, "high": 80.0}}, "a fraction inside"),
        ({"clean_top1": {"value": 0.5, "low": 0.6, "high": 0.8}}, "a fraction inside"),
        ({"clean_top1": {"value": 0.5}}, "should be like"),
        ({}, "has no clean_top1"),
        ("{broken", "cannot be read"),
    ],
)
def test_contradictory_evaluations(root, published, record, message):
    path = root / "eval/demo_light/clean.json"
    path.write_text(record if isinstance(record, str) else json.dumps(record))
    with pytest.raises(UserError, match=message):
        build_table(specs.table_spec(), Results(root), published)


def test_csv_holds_one_line_per_cell(results, published):
    table = build_table(specs.table_spec(), results, published)
    lines = list(csv.DictReader(io.StringIO(table_csv(table))))
    assert len(lines) == 12
    line = next(x for x in lines if (x["experiment"], x["column"]) == ("demo_light", "AutoAttack"))
    assert (line["measured_percent"], line["k"], line["n"]) == ("43.75", "28", "64")
    assert line["published_value"] == "41.78"
    assert line["file"] == "eval/demo_light/autoattack.json"
    assert (line["verdict"], line["reasons"]) == (
        "not comparable",
        "a far smaller problem; stand-in images",
    )


def test_semantics_table(results, published):
    table = build_table(specs.semantics_table_spec(), results, published)
    assert [column["label"] for column in table["columns"]] == [
        "ResNet-18, top-1",
        "ResNet-18, top-5",
    ]
    top1, top5 = table["rows"][0]["cells"]
    assert top1["measured"] == synthetic.proportion(31, 64)
    assert (top1["chance"], top1["p_value"]) == (0.1, 1e-9)
    assert top1["published"] is None  # Table 9 gives top-5 only
    assert (top5["chance"], top5["published"]["value"]) == (0.5, 43.86)


def test_semantics_table_takes_published_keys_by_pair(results, published):
    spec = specs.semantics_table_spec()
    key = "thesis.table9.standard-xcit-s12.swin-l.top5"
    spec["published"] = {"demo_standard/cifar_resnet18": key}
    table = build_table(spec, results, published)
    assert table["rows"][1]["cells"][1]["published"]["key"] == key


def test_files_that_a_table_reads():
    assert table_files(specs.semantics_table_spec()) == [
        "semantics/demo/demo_light/cifar_resnet18.json",
        "semantics/demo/demo_standard/cifar_resnet18.json",
        "semantics/demo/comparison.json",
    ]
    assert "eval/demo_cifar/pgd10.json" in table_files(specs.table_spec())
