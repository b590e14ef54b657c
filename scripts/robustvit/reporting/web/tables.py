"""Tables of the page: headings with scope, a caption, columns that can be sorted."""

from __future__ import annotations

from robustvit.reporting.web.elements import code, element, words

MARKS = {"agrees": "✓ agrees", "differs": "≠ differs"}
CLASSES = {
    "agrees": "good",
    "differs": "bad",
    "not comparable": "quiet",
    "not run": "bad",
}
P_VALUES = "p is the probability that guessing does as well."
STAND_IN = "Rows marked “stand-in” were trained or measured on stand-in images."


def simple_table(block: dict) -> str:
    """A table of `blocks.table`; with links where it has files of its own."""
    name = f"table-of-{block['name']}"
    heads = [
        element("th", words(column["label"]), scope="col", class_=column["align"], data_sort="yes")
        for column in block["columns"]
    ]
    rows = "".join(_row(block, row) for row in block["rows"])
    body = element("thead", element("tr", *heads)) + element("tbody", rows)
    if block["foot"]:
        body += element("tfoot", *(_row(block, row) for row in block["foot"]))
    files = _files(block) if block.get("files") else ""
    return _framed(name, element("caption", words(block["caption"])), body) + files


def _row(block: dict, row: list[dict]) -> str:
    first, *others = row
    aligned = [column["align"] for column in block["columns"]]
    cells = [_cell("th", first, aligned[0], scope="row")]
    cells += [_cell("td", c, side) for c, side in zip(others, aligned[1:], strict=True)]
    return element("tr", *cells)


def _cell(tag: str, found: dict, side: str, scope: str | None = None) -> str:
    mark = code if found["code"] else words
    parts = [mark(found["text"])] if found["text"] else []
    parts += [mark(line) if found["code"] else words(line) for line in found["lines"]]
    content = "<br>".join(parts)
    content += "".join(f" {badge(text)}" for text in found["badges"])
    content += "".join(element("small", mark(text)) for text in found["small"])
    tone = f"{side} {found['tone']}" if found["tone"] else side
    return element(
        tag, content, scope=scope, class_=tone, data_value=found["sort"], id=found["anchor"]
    )


def badge(text: str) -> str:
    """A mark in a frame."""
    return element("span", words(text), class_="badge")


def results_table(block: dict) -> str:
    """A table of `display_tables.display_table`: a pair of columns per metric."""
    name = f"values-{block['name']}"
    top, below = [], []
    for index, column in enumerate(block["columns"]):
        parts = ["measured", "published"] if column["published"] else ["measured"]
        key = f"{name}-{index}"
        top.append(
            element(
                "th", words(column["label"]), scope="colgroup", colspan=len(parts), id=key,
                class_="group",
            )
        )  # fmt: skip
        below += [element("th", p, scope="col", class_="right", data_sort="yes") for p in parts]
    corner = element("th", words(block["corner"]), scope="col", rowspan=2, data_sort="yes")
    chance = element("th", "Chance", scope="col", rowspan=2, class_="right", data_sort="yes")
    head = element("tr", corner, *top, chance if block["chance_column"] else "")
    rows = "".join(_results_row(block, row) for row in block["rows"])
    body = element("thead", head, element("tr", *below)) + element("tbody", rows)
    if block["chance_row"]:
        body += element("tfoot", _chance(block))
    notes = "".join(element("p", words(note), class_="note") for note in block["notes"])
    groups = _groups(block)
    return _framed(name, _caption(block) + groups, body) + notes + _files(block)


def _groups(block: dict) -> str:
    """The columns that belong together, to which `scope="colgroup"` refers."""
    spans = [1, *(1 + column["published"] for column in block["columns"])]
    spans += [1] if block["chance_column"] else []
    return "".join(element("colgroup", span=span) for span in spans)


def _caption(block: dict) -> str:
    parts = [block["caption"]]
    parts += [P_VALUES] if block["p_values"] else []
    parts += [STAND_IN] if block["stand_in"] else []
    return element("caption", words(" ".join(parts)))


def _results_row(block: dict, row: dict) -> str:
    label = words(row["label"]) + (f" {badge('stand-in')}" if row["stand_in"] else "")
    if row["published_label"]:
        label += element("small", words(f"published: {row['published_label']}"))
    cells = [element("th", label, scope="row")]
    for column, found in zip(block["columns"], row["cells"], strict=True):
        cells.append(_measured(found))
        if column["published"]:
            cells.append(_published(found))
    if block["chance_column"]:
        cells.append(element("td", words(row["chance"]), class_="right quiet"))
    return element("tr", *cells)


def _measured(found: dict) -> str:
    bad = found["status"] == "not run" or found["failed"]
    content = words(found["main"])
    content += "".join(element("small", words(note)) for note in found["notes"])
    if found["origin"] is not None:
        number = found["origin"]
        link = element(
            "a",
            f"[{number}]",
            href=f"#result-{number}",
            aria_label=f"origin of this number, {number}",
        )
        content += element("small", link)
    return element("td", content, class_="right bad" if bad else "right", data_value=found["sort"])


def _published(found: dict) -> str:
    content = element("span", words(found["published"]), class_="quiet")
    if found["difference"]:
        content += element("small", words(f"{found['difference']} points"))
    verdict = found["verdict"]
    if verdict:
        mark = words(MARKS.get(verdict, verdict))
        content += element("small", mark, class_=f"verdict {CLASSES[verdict]}")
    return element("td", content, class_="right", data_value=found["published_sort"])


def _chance(block: dict) -> str:
    cells = [element("th", "chance", scope="row")]
    for text, column in zip(block["chance_row"], block["columns"], strict=True):
        cells.append(element("td", words(text), class_="right quiet"))
        cells += [element("td")] if column["published"] else []
    return element("tr", *cells)


def _files(block: dict) -> str:
    """Links to the table's own files, which lie beside the page."""
    links = [
        element("a", words(file.rpartition(".")[2].upper()), href=file) for file in block["files"]
    ]
    return element("p", "This table as ", ", ".join(links), ".", class_="note")


def _framed(name: str, caption: str, body: str) -> str:
    """A table in a region that scrolls sideways by itself and can be reached by the keyboard."""
    inner = element(
        "table", caption.replace("<caption>", f'<caption id="{name}-caption">'), body, id=name
    )
    return element(
        "div", inner, class_="scroll", role="region", aria_labelledby=f"{name}-caption", tabindex=0
    )
