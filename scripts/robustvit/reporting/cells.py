"""One cell of a results table: the measured value, the published one and what they say together."""

from __future__ import annotations

from collections.abc import Iterable

from robustvit.reporting.published import Entry, Published
from robustvit.reporting.verdicts import judge

COMPARISONS = ("direction", "direct")


def make_cell(
    measured: dict | None,
    entry: Entry | None,
    *,
    file: str | None,
    comparison: str,
    reasons: Iterable[str] = (),
    chance: float | None = None,
    asked: bool = True,
    failed: list[dict] | None = None,
) -> dict:
    """Join a measured proportion with a published number.

    Args:
        measured: {"value","low","high","k","n"} as fractions, or None if it was not run.
        entry: the published number in percent, or None.
        file: the evaluation's file relative to the results root; None for a row that only quotes.
        comparison: "direct" if both numbers answer the same question; "direction" if the run is a
            far smaller problem, so that only the direction of an effect can be compared.
        reasons: why the numbers are not like with like (see `verdicts.why_not_comparable`).
        chance: accuracy of guessing, as a fraction.
        asked: whether the configuration asks for the result; one that nobody asks for and that
            lies there all the same belongs to an earlier run and must not be given.
        failed: checks that the evaluation did not pass (see `results.failed_checks`).

    Returns:
        The cell; `status` is "measured", "not run", "not asked" or "quoted", and `build_table`
        adds "not watched"; `verdict`, `reasons` and `difference` are those of `verdicts.judge`,
        None and empty without two numbers.
    """
    status = _status(file, measured, asked)
    cell = {
        "status": status,
        "measured": measured,
        "chance": chance,
        "published": published_values(entry),
        "comparison": comparison,
        "difference": None,
        "verdict": None,
        "reasons": [],
        "failed_checks": failed or [],
        "file": file,
    }
    if entry is not None and status in ("measured", "not run"):
        cell |= judge(measured, entry, reasons)
    return cell


def _status(file: str | None, measured: dict | None, asked: bool) -> str:
    if file is None:
        return "quoted"
    if not asked:
        return "not asked"
    return "measured" if measured else "not run"


def published_values(entry: Entry | None) -> dict | None:
    """The parts of a published number that a table shows."""
    if entry is None:
        return None
    names = ("key", "source", "table", "dataset", "model", "metric", "value", "text", "unit")
    return {name: getattr(entry, name) for name in names}


def find_entry(published: Published, key: str | None) -> Entry | None:
    """Look a key up; None stays None."""
    return None if key is None else published.entry(key)
