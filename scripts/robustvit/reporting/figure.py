"""Drawing any kind of figure and writing it as PDF, SVG and PNG, with words for who cannot see.

A kind of figure is a module in `robustvit.reporting.figures` with four functions; `options` is the
figure's entry in the configuration with names written out (see `robustvit.config.reports`), `spec`
is {"name", "title", "options"}:

- `files(options) -> list[str]`: files that the figure reads, relative to the results root, and no
  other. The workflow makes them first. Planning calls it, so the module must not import matplotlib
  at its top.
- `read(options, root) -> dict`: everything out of those files that is drawn or described; raises
  `UserError` where they contradict each other.
- `draw(spec, inputs) -> matplotlib.figure.Figure`: the figure, made with
  `robustvit.reporting.style`, at most as wide as the text.
- `describe(spec, inputs) -> {"alt": str, "data": ...}`: alternative text for who cannot see the
  figure, and its numbers for machines.

A missing file is an error unless the module says `SHOWS_MISSING = True`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from robustvit.core.errors import UserError
from robustvit.core.files import atomic_path, write_json
from robustvit.core.plugins import load
from robustvit.reporting import style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PACKAGE = "robustvit.reporting.figures"
DOTS_PER_INCH = 200
# Without these a file would hold the time and the version it was written with.
METADATA = {
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
    "svg": {"Date": None, "Creator": None},
    "png": {"Software": None},
}


def figure_files(spec: dict) -> list[str]:
    """Files that a figure reads, relative to the results root."""
    return load(PACKAGE, spec["kind"]).files(spec.get("options") or {})


def make_figure(spec: dict, root: Path, stem: Path) -> None:
    """Draw the figure and write `stem` with .pdf, .svg, .png and .json.

    Args:
        spec: {"name", "kind", "title", "options": {…}}; the plug-in documents its options.
        root: results root.
        stem: output path without a suffix.

    Raises:
        UserError: for an unknown kind, a missing option or an input that is not there.
    """
    kind = spec.get("kind") or ""
    plugin = load(PACKAGE, kind)
    options = spec.get("options") or {}
    try:
        if not getattr(plugin, "SHOWS_MISSING", False):
            _require(spec, root, plugin.files(options))
        inputs = plugin.read(options, root)
    except KeyError as error:
        name = spec.get("name", "?")
        text = f"figures.{name}: an option or input of kind {kind} has no {error}."
        raise UserError(text) from error
    with style.applied():
        _save(plugin.draw(spec, inputs), stem)
    described = {"name": spec.get("name"), "kind": kind, "title": spec.get("title")}
    write_json(stem.with_suffix(".json"), described | plugin.describe(spec, inputs))


def _require(spec: dict, root: Path, files: list[str]) -> None:
    missing = [file for file in files if not (root / file).exists()]
    if missing:
        raise UserError(
            f"figures.{spec.get('name', '?')}: {root / missing[0]} is not there"
            + (f" (nor {len(missing) - 1} other inputs)" if missing[1:] else "")
            + f". Make it first: snakemake {root / missing[0]}"
        )


def _save(figure: Figure, stem: Path) -> None:
    for suffix, metadata in METADATA.items():
        with atomic_path(stem.with_suffix(f".{suffix}")) as temporary:
            figure.savefig(temporary, format=suffix, dpi=DOTS_PER_INCH, metadata=metadata)
