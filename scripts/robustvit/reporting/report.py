"""Setting the report with Typst: strings go in as JSON, the template is never written by code."""

from __future__ import annotations

import importlib.util
import shutil
import tempfile
from pathlib import Path

from robustvit.core.errors import UserError
from robustvit.core.files import atomic_path, write_json
from robustvit.reporting.display import build_display
from robustvit.reporting.results import read_optional_json


def render_report(spec: dict, summary_path: Path, root: Path, template: Path, output: Path) -> None:
    """Write the report as PDF; equal inputs give equal bytes.

    Args:
        spec: the report's settings (see `robustvit.reporting.summary.build_summary`).
        summary_path: what `write_summary.py` wrote.
        root: results root, whose figures/<name>.pdf are set into the text.
        template: Typst file that reads `data.json` beside it.
        output: the PDF.

    Raises:
        UserError: if the summary or the template is missing or the template does not compile.
    """
    summary = read_optional_json(summary_path)
    if summary is None:
        raise UserError(f"{summary_path}: no such file; make it first with write_summary.py.")
    if not template.exists():
        raise UserError(f"{template}: no such file; expected the project's reports/report.typ.")
    try:
        display = build_display(spec, summary)
    except KeyError as error:
        text = f"{summary_path}: has no {error}; delete it and start again to make it."
        raise UserError(text) from error
    with tempfile.TemporaryDirectory() as folder:
        source = _stage(Path(folder), display, root, template)
        with atomic_path(output) as temporary:
            _compile(source, temporary)


def _stage(folder: Path, display: dict, root: Path, template: Path) -> Path:
    """Collect what Typst reads in one folder, since it reads nothing outside its root."""
    for index, figure in enumerate(display["figures"]):
        drawn = root / "figures" / f"{figure['name']}.pdf"
        figure["file"] = f"figure-{index}.pdf" if figure["made"] and drawn.exists() else None
        if figure["file"]:
            shutil.copyfile(drawn, folder / figure["file"])
    write_json(folder / "data.json", display)
    return Path(shutil.copyfile(template, folder / "report.typ"))


def _compile(source: Path, output: Path) -> None:
    import typst

    try:
        typst.compile(
            str(source),
            output=str(output),
            root=str(source.parent),
            font_paths=[str(font_folder())],
            ignore_system_fonts=True,  # the same pages on every machine
        )
    except typst.TypstError as error:
        raise UserError(f"report.typ: Typst cannot set the report: {error}") from error


def font_folder() -> Path:
    """The folder of the fonts that ship with matplotlib, found without importing it.

    Text and figures share one typeface, STIX General, which Typst does not bring along.
    """
    found = importlib.util.find_spec("matplotlib")
    if found is None or found.origin is None:
        raise UserError("The report's typeface comes with the package matplotlib: install it.")
    return Path(found.origin).parent / "mpl-data" / "fonts" / "ttf"
