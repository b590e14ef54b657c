"""The parts that a report is made of, as plain JSON: what the PDF and the HTML page both show.

A block is a dict with a "type": `text`, `list`, `note`, `entry`, `table`, `results`, `figure`,
`settings` or `missing`. The Typst template and `robustvit.reporting.web` know how to set each;
neither has results of its own to tell, so that both say the same.
"""

from __future__ import annotations

from collections.abc import Iterable


def cell(
    text: str = "",
    *,
    small: Iterable[str] = (),
    lines: Iterable[str] = (),
    badges: Iterable[str] = (),
    tone: str | None = None,
    code: bool = False,
    sort: float | None = None,
    anchor: str | None = None,
) -> dict:
    """One cell of a simple table.

    Args:
        text: what it says.
        small: further lines in small grey letters.
        lines: further lines like `text`.
        badges: marks in a frame after the text.
        tone: "good", "bad" or "quiet"; never the only sign of what the cell says.
        code: whether the text is a path or a key, set in letters of one width.
        sort: number by which an HTML table sorts the column; None sorts by the text.
        anchor: name that other parts of the report can point at.
    """
    return {
        "text": text,
        "small": list(small),
        "lines": list(lines),
        "badges": list(badges),
        "tone": tone,
        "code": code,
        "sort": sort,
        "anchor": anchor,
    }


def text(words: str) -> dict:
    """A paragraph."""
    return {"type": "text", "text": words}


def bullets(items: Iterable[str]) -> dict:
    """A list of sentences."""
    return {"type": "list", "items": list(items)}


def note(
    lead: str, paragraphs: Iterable[str], items: Iterable[str] = (), tone: str = "info"
) -> dict:
    """A paragraph set apart: a bold lead, text, and a list; tone "info" or "warning"."""
    parts = {"paragraphs": list(paragraphs), "items": list(items)}
    return {"type": "note", "tone": tone, "lead": lead} | parts


def entry(title: str, words: str) -> dict:
    """A paragraph with a bold title before it."""
    return {"type": "entry", "title": title, "text": words}


def table(
    name: str,
    caption: str,
    columns: Iterable[tuple[str, str, str]],
    rows: list[list[dict]],
    foot: Iterable[list[dict]] = (),
) -> dict:
    """A simple table.

    Args:
        name: unique in the report; part of addresses within it.
        caption: can be understood without the text around it.
        columns: (heading, "left" or "right", width as Typst has it: "auto" or "1.5fr").
        rows: a cell per column; the first one heads its row.
        foot: rows below a line, such as sums, which stay last however the table is sorted.
    """
    keys = ("label", "align", "width")
    return {
        "type": "table",
        "name": name,
        "caption": caption,
        "columns": [dict(zip(keys, column, strict=True)) for column in columns],
        "rows": rows,
        "foot": list(foot),
    }


def section(name: str, title: str, blocks: Iterable[dict], level: int = 1, **more: object) -> dict:
    """A section of the report with its heading; `appendix` and `web_only` may be set."""
    found = {"name": name, "title": title, "level": level, "blocks": list(blocks)}
    return found | {"appendix": False} | more
