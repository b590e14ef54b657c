"""Summary and report of an invented results root."""

from __future__ import annotations

from pathlib import Path

import synthetic_specs as specs

from robustvit.core.files import write_json
from robustvit.reporting.figure import make_figure
from robustvit.reporting.published import Published
from robustvit.reporting.report import render_report
from robustvit.reporting.results import Results
from robustvit.reporting.summary import build_summary
from robustvit.reporting.table import build_table


def write_report(
    root: Path, published: Published, template: Path, output: Path, spec: dict | None = None
) -> Path:
    """Summarise `root` and render its report."""
    spec = spec or specs.report_spec()
    write_json(root / "summary.json", build_summary(spec, Results(root), published))
    render_report(spec, root / "summary.json", root, template, output)
    return output


def write_everything(root: Path, published: Published, template: Path, output: Path) -> Path:
    """Make tables, figures, summary and report."""
    for spec in (specs.table_spec(), specs.semantics_table_spec()):
        table = build_table(spec, Results(root), published)
        write_json(root / "tables" / f"{spec['name']}.json", table)
    for spec in specs.figure_specs():
        make_figure(spec, root, root / "figures" / spec["name"])
    return write_report(root, published, template, output)
