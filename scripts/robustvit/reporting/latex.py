"""A results table as LaTeX with booktabs, to be set into a paper with \\input."""

from __future__ import annotations

from robustvit.reporting.display_tables import display_table

SPECIAL = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "ε": r"$\varepsilon$",
    "β": r"$\beta$",
    "δ": r"$\delta$",
    "∞": r"$\infty$",
    "−": r"$-$",
    "–": "--",
    "×": r"$\times$",
    "·": r"$\cdot$",
    "±": r"$\pm$",
    "′": r"$'$",
    "≤": r"$\leq$",
    "†": r"\textdagger{}",
    "‡": r"\textdaggerdbl{}",
    "§": r"\S{}",
    "→": r"$\rightarrow$",
    "“": "``",
    "”": "''",
    "’": "'",
    "\u00a0": "~",
    "\u2009": r"\,",
}
HEAD = "% Needs \\usepackage{booktabs}; written by scripts/make_table.py, do not edit.\n"


def table_tex(table: dict) -> str:
    """The table as a float: measured value with interval, published value, difference, verdict.

    Args:
        table: what `robustvit.reporting.table.build_table` made.
    """
    shown = display_table(table, {})
    columns = shown["columns"]
    layout = "l" + "".join("rrrl" if c["published"] else "r" for c in columns)
    body = [
        r"\begin{table}",
        r"\centering\small",
        rf"\caption{{{escape(_caption(shown))}}}",
        rf"\label{{tab:{table['name'].replace('_', '-')}}}",
        rf"\begin{{tabular}}{{{layout}}}",
        r"\toprule",
        *_head(shown),
        r"\midrule",
        *(_row(row, columns) for row in shown["rows"]),
        r"\bottomrule",
        r"\end{tabular}",
        *(rf"\par\smallskip\footnotesize {escape(note)}" for note in shown["notes"]),
        r"\end{table}",
    ]
    return HEAD + "\n".join(body) + "\n"


def _caption(shown: dict) -> str:
    marked = (
        " Rows marked * were trained or measured on stand-in images." if shown["stand_in"] else ""
    )
    return f"{shown['title']}. {shown['caption']}{marked}"


def _head(shown: dict) -> list[str]:
    spans = [4 if column["published"] else 1 for column in shown["columns"]]
    groups = [
        rf"\multicolumn{{{span}}}{{c}}{{{escape(column['label'])}}}"
        for span, column in zip(spans, shown["columns"], strict=True)
    ]
    starts = [2 + sum(spans[:index]) for index in range(len(spans))]
    rules = [
        rf"\cmidrule(lr){{{start}-{start + span - 1}}}"
        for start, span in zip(starts, spans, strict=True)
    ]
    four, one = ["measured", "published", "difference", "verdict"], ["measured"]
    names = [name for span in spans for name in (four if span == 4 else one)]
    corner = escape(shown["corner"])
    return [_line(["", *groups]), " ".join(rules), _line([corner, *names])]


def _row(row: dict, columns: list[dict]) -> str:
    cells = [escape(row["label"]) + "*" * row["stand_in"]]
    for column, cell in zip(columns, row["cells"], strict=True):
        bounds = f" {cell['notes'][0]}" if cell["notes"] else ""
        cells.append(escape(cell["main"] + bounds))
        if column["published"]:
            parts = (cell["published"], cell["difference"], cell["verdict"])
            cells += [escape(part or "–") for part in parts]
    return _line(cells)


def _line(cells: list[str]) -> str:
    return " & ".join(cells) + r" \\"


def escape(text: str) -> str:
    """Text as LaTeX sets it, letter by letter."""
    return "".join(SPECIAL.get(letter, letter) for letter in text)
