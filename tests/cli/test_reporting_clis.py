"""The reporting programs as the rules call them: outputs, exit codes, messages, imports."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PUBLISHED = ROOT / "reports" / "published.csv"
TABLE = {
    "name": "recipes",
    "title": "Recipes",
    "caption": "Accuracy.",
    "columns": [{"metric": "robust_top1", "protocol": "autoattack", "label": "AutoAttack"}],
    "rows": [
        {
            "experiment": "light",
            "label": "Light recipe",
            "published": {"autoattack": "thesis.table5.wd-0-5.autoattack_top1"},
            "published_label": "XCiT-S12",
            "evaluate": ["autoattack"],
        },
        {
            "experiment": "heavy",
            "label": "Canonical recipe",
            "published": {},
            "evaluate": ["autoattack"],
        },
    ],
}
BARS = {
    "name": "bars",
    "kind": "ablation_bars",
    "title": "Bars",
    "options": {"rows": TABLE["rows"]},
}
REPORT = {
    "name": "tiny",
    "title": "A tiny run",
    "tables": ["recipes"],
    "figures": [{"name": "bars", "title": "Bars", "caption": "Accuracy by recipe."}],
    "experiments": {
        "light": {"label": "Light recipe", "evaluate": {"autoattack": 64}},
        "heavy": {"label": "Canonical recipe", "evaluate": {"autoattack": 64}},
    },
    "protocols": {"autoattack": {"label": "AutoAttack", "attack": "autoattack"}},
}


def run(script, *arguments):
    """Run a program of scripts/ as a rule does."""
    command = [sys.executable, str(ROOT / "scripts" / script), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


@pytest.fixture
def root(tmp_path):
    """A results root with one evaluation of two."""
    top1 = {"value": 0.25, "low": 0.16, "high": 0.37, "k": 16, "n": 64}
    record = {"robust_top1": top1, "clean_top1": top1, "chance": 0.1, "checks": []}
    record |= {"dataset": "cifar10", "split": "test", "threat": {"epsilon_255": 4}}
    path = tmp_path / "eval/light/autoattack.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(record))
    return tmp_path


def make_table(root, spec=None):
    """Run make_table.py."""
    stem = root / "tables/recipes"
    return run(
        *("make_table.py", "--spec", json.dumps(spec or TABLE), "--root", root),
        *("--published", PUBLISHED),
        *("--output-json", f"{stem}.json", "--output-csv", f"{stem}.csv"),
        *("--output-tex", f"{stem}.tex"),
    )


def test_from_evaluation_to_report(root):
    assert make_table(root).returncode == 0
    table = json.loads((root / "tables/recipes.json").read_text())
    assert [row["cells"][0]["status"] for row in table["rows"]] == ["measured", "not run"]
    assert "Light recipe" in (root / "tables/recipes.csv").read_text()

    stem = root / "figures/bars"
    done = run("make_figure.py", "--spec", json.dumps(BARS), "--root", root, "--output-stem", stem)
    assert (done.returncode, done.stderr) == (0, "")
    assert {path.suffix for path in stem.parent.iterdir()} == {".pdf", ".svg", ".png", ".json"}

    common = ("--spec", json.dumps(REPORT), "--root", root)
    summary = root / "summary.json"
    done = run("write_summary.py", *common, "--published", PUBLISHED, "--output", summary)
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(summary.read_text())
    assert found["evaluations"]["light"]["autoattack"]["robust_top1"]["k"] == 16
    assert [entry["file"] for entry in found["missing"]] == ["eval/heavy/autoattack.json"]

    report = root / "report.pdf"
    template = ROOT / "reports/report.typ"
    done = run(
        *("render_report.py", *common, "--summary", summary),
        *("--template", template, "--output", report),
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert report.read_bytes().startswith(b"%PDF")

    page = root / "report.html"
    assets = ("--style", ROOT / "reports/report.css", "--script", ROOT / "reports/report.js")
    done = run("render_page.py", *common, "--summary", summary, *assets, "--output", page)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Light recipe" in page.read_text()


def test_report_of_what_is_there(root):
    """Nothing but one evaluation: no table, no figure and no summary was made by the run."""
    before = sorted(path for path in root.rglob("*") if path.is_file())
    spec = {"report": REPORT, "tables": [TABLE], "figures": [BARS]}
    done = run(
        *("report_now.py", "--spec", json.dumps(spec), "--root", root),
        *("--published", PUBLISHED, "--assets", ROOT / "reports"),
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{root / 'now/report.pdf'}, {root / 'now/report.html'}\n"
    page = (root / "now/report.html").read_text()
    assert "Light recipe" in page and "16 of 64" in page and "eval/<wbr>heavy" in page
    assert (root / "now/report.pdf").read_bytes().startswith(b"%PDF")
    assert "not run" in (root / "now/tables/recipes.tex").read_text()
    left = sorted(p for p in root.rglob("*") if p.is_file() and "now" not in p.parts)
    assert left == before
    again = run(
        *("report_now.py", "--spec", json.dumps(spec), "--root", root),
        *("--published", PUBLISHED, "--assets", ROOT / "reports"),
    )
    assert (again.returncode, again.stderr) == (0, "")


def test_mistakes_end_with_one_line_and_no_file(root):
    spec = json.loads(json.dumps(TABLE))
    spec["rows"][0]["published"]["autoattack"] = "thesis.table5.wd-0-5.autoattack_top5"
    done = make_table(root, spec)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert "Did you mean" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (root / "tables").exists()


@pytest.mark.parametrize("spec", ["{", "[]", '"text"'])
def test_a_spec_that_is_no_json_object(root, spec):
    done = run("make_figure.py", "--spec", spec, "--root", root, "--output-stem", root / "x")
    assert done.returncode == 2
    assert "--spec" in done.stderr


@pytest.mark.parametrize(
    "script", ["make_table.py", "make_figure.py", "write_summary.py", "render_report.py"]
)
def test_help_documents_every_flag(script):
    done = run(script, "--help")
    assert done.returncode == 0
    for line in done.stdout.splitlines():
        if line.strip().startswith("--"):
            assert len(line.split()) > 2 or done.stdout.split(line)[1].strip(), line


@pytest.mark.parametrize("module", ["table", "summary", "report"])
def test_tables_and_summary_import_no_heavy_package(module):
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT / 'scripts')!r}); "
        f"import robustvit.reporting.{module}, robustvit.reporting.tables.evaluation; "
        "print([n for n in ('torch', 'matplotlib', 'numpy', 'typst') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr


def test_asking_figures_for_their_files_imports_no_matplotlib():
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT / 'scripts')!r}); "
        "from robustvit.core.plugins import available, load\n"
        "for kind in available('robustvit.reporting.figures'):\n"
        "    load('robustvit.reporting.figures', kind)\n"
        "print('matplotlib' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "False", done.stderr
