"""What a report says of its verdicts: why numbers are not comparable, what goes unnoticed."""

from __future__ import annotations

from collections.abc import Iterator

from robustvit.reporting.formatting import count, sentence_list
from robustvit.reporting.verdicts import AGREES, DIFFERS, NOT_COMPARABLE, NOT_RUN, RULE

VERBS = {
    AGREES: "agree",
    DIFFERS: "differ",
    NOT_COMPARABLE: "are not comparable",
    NOT_RUN: "were not run",
}
NAMED = 4  # rows that a note names; more are counted


def display_verdicts(summary: dict) -> dict:
    """The rule and how often each verdict was given: {"rule": [str], "counts": str or None}."""
    found = summary.get("verdicts") or {}
    compared = found.get(AGREES, 0) + found.get(DIFFERS, 0)
    total = sum(found.values())
    if not total:
        return {"rule": [], "counts": None}
    parts = [f"{count(found[name])} {verb}" for name, verb in VERBS.items() if found.get(name)]
    text = f"{count(total)} numbers of this report have a published one: {sentence_list(parts)}."
    rule = RULE if compared else RULE[-1:]
    return {"rule": list(rule), "counts": text}


def verdict_notes(table: dict) -> Iterator[str]:
    """Sentences under a table: what is not comparable and why; how wide its intervals are."""
    yield from _reasons(table)
    compared = [
        c for row in table["rows"] for c in row["cells"] if c["verdict"] in (AGREES, DIFFERS)
    ]
    if compared:
        widest = max(compared, key=lambda c: c["measured"]["high"] - c["measured"]["low"])[
            "measured"
        ]
        half = 50 * (widest["high"] - widest["low"])
        yield (
            f"The widest interval of a compared number reaches ±\u2009{half:.1f} points "
            f"({count(widest['n'])} images): there, a smaller difference could have gone unnoticed."
        )


def _reasons(table: dict) -> Iterator[str]:
    """One sentence per reason: the rows that it holds for."""
    rows = [row for row in table["rows"] if any(map(_is_compared, row["cells"]))]
    reasons = dict.fromkeys(r for row in rows for cell in row["cells"] for r in cell["reasons"])
    for reason in reasons:
        held = [row for row in rows if any(reason in cell["reasons"] for cell in row["cells"])]
        labels = [f"“{row['label']}”" for row in held]
        who = sentence_list(labels) if len(labels) <= NAMED else f"{len(labels)} rows"
        if len(held) == len(rows) > 1:
            who = "all rows"
        where = _columns(table, held, reason)
        yield f"Not comparable with the published numbers ({reason}): {who}{where}."


def _columns(table: dict, rows: list[dict], reason: str) -> str:
    """The columns that a reason holds for, if it does not hold for a row's every comparison."""
    pairs = [
        (column["label"], cell)
        for row in rows
        for column, cell in zip(table["columns"], row["cells"], strict=True)
    ]
    own = {label for label, cell in pairs if reason in cell["reasons"]}
    every = {label for label, cell in pairs if _is_compared(cell)}
    if own == every:
        return ""
    return f", {sentence_list(c['label'] for c in table['columns'] if c['label'] in own)}"


def _is_compared(cell: dict) -> bool:
    return cell["verdict"] in (AGREES, DIFFERS, NOT_COMPARABLE)
