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
    if not template.exists():
        raise UserError(f"{template}: no such file; expected the project's reports/report.typ.")
    display = read_display(spec, summary_path)
    with tempfile.TemporaryDirectory() as folder:
        source = stage(Path(folder), display, root, template)
        with atomic_path(output) as temporary:
            _compile(source, temporary)


def read_display(spec: dict, summary_path: Path) -> dict:
    """Read the summary and put it into words (see `robustvit.reporting.display.build_display`).

    Raises:
        UserError: if the summary is missing or lacks something.
    """
    summary = read_optional_json(summary_path)
    if summary is None:
        raise UserError(f"{summary_path}: no such file; make it first with write_summary.py.")
    try:
        return build_display(spec, summary)
    except KeyError as error:
        text = f"{summary_path}: has no {error}; delete it and start again to make it."
        raise UserError(text) from error


def stage(folder: Path, display: dict, root: Path, template: Path) -> Path:
    """Collect what Typst reads in one folder, since it reads nothing outside its root.

    Returns:
        The template's copy, which sets the report.
    """
    for index, figure in enumerate(figures_of(display)):
        drawn = root / "figures" / f"{figure['name']}.pdf"
        figure["file"] = f"figure-{index}.pdf" if figure["made"] and drawn.exists() else None
        if figure["file"]:
            shutil.copyfile(drawn, folder / figure["file"])
    write_json(folder / "data.json", display)
    return Path(shutil.copyfile(template, folder / "report.typ"))


def figures_of(display: dict) -> list[dict]:
    """The figures of all sections, in order."""
    blocks = (block for section in display["document"] for block in section["blocks"])
    return [block for block in blocks if block["type"] == "figure"]


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
