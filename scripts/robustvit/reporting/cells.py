"""One cell of a results table: the measured value, the published one and what they say together."""

from __future__ import annotations

from robustvit.reporting.published import Entry, Published

COMPARISONS = ("direction", "direct")


def make_cell(
    measured: dict | None,
    entry: Entry | None,
    *,
    file: str | None,
    comparison: str,
    chance: float | None = None,
    asked: bool = True,
    failed: list[dict] | None = None,
) -> dict:
    """Join a measured proportion with a published number.

    Args:
        measured: {"value","low","high","k","n"} as fractions, or None if it was not run.
        entry: the published number in percent, or None.
        file: the evaluation's file relative to the results root; None for a row that only quotes.
        comparison: "direct" if both numbers answer the same question, so that a difference and a
            verdict are meaningful; "direction" if the run is a far smaller problem.
        chance: accuracy of guessing, as a fraction.
        asked: whether the configuration asks for the result; one that nobody asks for and that
            lies there all the same belongs to an earlier run and must not be given.
        failed: checks that the evaluation did not pass (see `results.failed_checks`).

    Returns:
        The cell; `status` is "measured", "not run", "not asked" or "quoted".
    """
    status = _status(file, measured, asked)
    cell = {
        "status": status,
        "measured": measured,
        "chance": chance,
        "published": published_values(entry),
        "difference": None,
        "verdict": None,
        "failed_checks": failed or [],
        "file": file,
    }
    if comparison == "direct" and entry is not None and status in ("measured", "not run"):
        cell["verdict"] = "not run"
        if measured:
            cell["difference"] = round(100 * measured["value"] - entry.value, 4)
            inside = measured["low"] <= entry.value / 100 <= measured["high"]
            cell["verdict"] = "agrees" if inside else "differs"
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
