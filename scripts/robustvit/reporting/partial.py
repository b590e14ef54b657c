"""The report of a run that is not finished: everything that can be shown of it now."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

from robustvit.core.errors import UserError
from robustvit.core.files import write_json, write_text
from robustvit.reporting.claims import claims_csv, judge_claims
from robustvit.reporting.figure import figure_files, make_figure
from robustvit.reporting.latex import table_tex
from robustvit.reporting.ordering import restore_order
from robustvit.reporting.other_settings import find_changes
from robustvit.reporting.published import Published
from robustvit.reporting.report import render_report
from robustvit.reporting.results import Results
from robustvit.reporting.summary import build_summary
from robustvit.reporting.table import build_table, table_csv
from robustvit.reporting.verdicts import OTHER_SETTINGS
from robustvit.reporting.web.page import write_page

FOLDER = "now"  # below the results root
DRAWN = f"Drawn, in part or all, from results of {OTHER_SETTINGS}."
OWN = (
    *("tables", "figures", "claims.json", "claims.csv", "summary.json"),
    *("report.pdf", "report.html", "workflow.html", FOLDER),
)


def report_now(spec: dict, root: Path, published: Published, assets: Path) -> Path:
    """Write tables, figures, summary, PDF and page of what is there into `root`/now.

    Nothing of the run itself is touched: its own results are reached by links. Results that were
    made with other settings than the configuration has now are marked and get no verdicts.

    Args:
        spec: {"report": the report's settings, "tables": [table specs], "figures": [figure specs],
            "claims": what `judge_claims` takes, or None, "made_with": see
            `robustvit.config.made_with`}.
        root: results root; may lack anything, or not be there yet.
        published: the published numbers.
        assets: folder of report.typ, report.css and report.js.

    Returns:
        The folder.
    """
    folder = _fresh_folder(root)
    changes = find_changes(spec.get("made_with") or {}, Results(folder))
    results = Results(folder, changes)
    for entry in spec["tables"]:
        _write_table(folder, build_table(entry, results, published))
    for entry in spec["figures"]:
        _draw(entry, folder)
    if spec.get("claims"):
        judged = judge_claims(spec["claims"], results)
        write_json(folder / "claims.json", judged)
        write_text(folder / "claims.csv", claims_csv(judged))
    report, summary = _with_captions(spec, results), folder / "summary.json"
    write_json(summary, build_summary(report, results, published))
    render_report(report, summary, folder, assets / "report.typ", folder / "report.pdf")
    style, script = assets / "report.css", assets / "report.js"
    write_page(report, summary, folder, style, script, folder / "report.html")
    return folder


def _with_captions(spec: dict, results: Results) -> dict:
    """The report's settings; captions say which figures show results of other settings."""
    changed = {f["name"] for f in spec["figures"] if results.changes_of(*figure_files(f))}
    report = restore_order(spec["report"])
    for key in ("figures", "gallery"):
        report[key] = [_with_caption(figure, changed) for figure in report.get(key) or []]
    return report


def _with_caption(figure: dict | str, changed: set[str]) -> dict | str:
    if not isinstance(figure, dict) or figure["name"] not in changed:
        return figure
    return figure | {"caption": f"{figure.get('caption') or ''} {DRAWN}".strip()}


def _fresh_folder(root: Path) -> Path:
    """An empty folder with links to all results of the run."""
    folder = root / FOLDER
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "tables").mkdir(parents=True)
    (folder / "figures").mkdir()
    for path in _results(root.iterdir()):
        (folder / path.name).symlink_to(Path("..") / path.name)
    return folder


def _results(paths: Iterable[Path]) -> Iterable[Path]:
    return (path for path in sorted(paths) if path.name not in OWN)


def _write_table(folder: Path, table: dict) -> None:
    stem = folder / "tables" / table["name"]
    write_json(stem.with_suffix(".json"), table)
    write_text(stem.with_suffix(".csv"), table_csv(table))
    write_text(stem.with_suffix(".tex"), table_tex(table))


def _draw(spec: dict, folder: Path) -> None:
    """Draw a figure if all that it reads is there; else the report says that it is missing."""
    if not all((folder / file).exists() for file in figure_files(spec)):
        return
    try:
        make_figure(spec, folder, folder / "figures" / spec["name"])
    except (UserError, OSError) as error:  # a running job may be replacing what it reads
        print(f"not drawn: {error}")
