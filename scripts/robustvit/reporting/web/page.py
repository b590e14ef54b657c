"""The report as one web page that needs nothing but itself: no server, no network, no script.

Style and script are set into the page, figures as SVG. The script only adds to it: columns that
sort, figures that open large. It says what the PDF says, out of the same document.
"""

from __future__ import annotations

import base64
from itertools import count as counter
from pathlib import Path

from robustvit.core.errors import UserError
from robustvit.core.files import write_text
from robustvit.reporting.report import read_display
from robustvit.reporting.web.elements import code, element, items, paragraphs, words
from robustvit.reporting.web.tables import results_table, simple_table

LARGEST_SVG = 6_000_000  # bytes; a larger picture is set in as PNG
LEVELS = {1: "h2", 2: "h3"}


def write_page(
    spec: dict, summary_path: Path, root: Path, style: Path, script: Path, output: Path
) -> None:
    """Write the report as HTML; equal inputs give equal bytes.

    Args:
        spec: the report's settings (see `robustvit.reporting.summary.build_summary`).
        summary_path: what `write_summary.py` wrote.
        root: results root, whose figures/<name>.svg are set into the page.
        style, script: reports/report.css and reports/report.js.
        output: the page, which lies in `root`, since it links to tables/ and figures/ there.

    Raises:
        UserError: if the summary, the style or the script is missing.
    """
    display = read_display(spec, summary_path)
    assets = []
    for path in (style, script):
        if not path.exists():
            raise UserError(f"{path}: no such file; expected the project's reports/{path.name}.")
        assets.append(path.read_text(encoding="utf-8"))
    write_text(output, build_page(display, root, *assets))


def build_page(display: dict, root: Path, style: str, script: str) -> str:
    """Put the page together.

    Args:
        display: see `robustvit.reporting.display.build_display`.
        root: results root.
        style, script: CSS and JavaScript.
    """
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("title", words(display["title"])),
        f"<style>{style}</style>",
    )
    body = element(
        "body",
        element("a", "Skip to the text", href="#text", class_="skip"),
        _header(display),
        element("div", _contents(display), _main(display, root), class_="columns"),
        _footer(display),
        f"<script>{script}</script>",
    )
    return f"<!DOCTYPE html>\n{element('html', head, body, lang='en')}\n"


def _header(display: dict) -> str:
    made = element("p", words(f"{display['made']}."), class_="quiet")
    return element("header", element("h1", words(display["title"])), made)


def _footer(display: dict) -> str:
    text = f"Run “{display['name']}”, commit {display['commit']}. The same as "
    links = [element("a", name, href=file) for name, file in FILES.items()]
    return element("footer", element("p", words(text), ", ".join(links), "."))


FILES = {"PDF": "report.pdf", "numbers for machines": "summary.json"}


def _contents(display: dict) -> str:
    """A list of all sections, those of the second level inside those of the first."""
    entries: list[tuple[str, list[str]]] = []
    for section in display["document"]:
        link = element("a", words(section["title"]), href=f"#{section['name']}")
        if section["level"] == 1:
            entries.append((link, []))
        else:
            entries[-1][1].append(element("li", link))
    listed = [
        element("li", link, element("ol", *below) if below else "") for link, below in entries
    ]
    heading = element("h2", "Contents", id="contents")
    return element("nav", heading, element("ol", *listed), aria_labelledby="contents")


def _main(display: dict, root: Path) -> str:
    numbers = counter(1)
    abstract = element(
        "section",
        element("h2", "Abstract", id="abstract"),
        element("p", words(" ".join(display["abstract"]))),
        _aside(display["notes"]),
        _missing(display["missing"]),
    )
    sections = [_section(section, root, numbers) for section in display["document"]]
    return element("main", abstract, *sections, id="text", tabindex=-1)


def _aside(notes: list[str]) -> str:
    return element("div", paragraphs(notes), class_="box info") if notes else ""


def _missing(missing: dict) -> str:
    if not missing["number"]:
        return ""
    lead = element("strong", "Not everything was there when this report was written.")
    link = element("a", "the appendix names them", href="#missing")
    end = [":"] if missing["few"] else ["; ", link, "."]
    parts = [element("p", lead, words(f" Missing: {missing['kinds']}"), *end)]
    parts += [_missing_files(group) for group in missing["groups"] if missing["few"]]
    return element("div", *parts, class_="box warning")


def _missing_files(group: dict) -> str:
    files = element("ul", *(element("li", code(file)) for file in group["all"]))
    return element("details", element("summary", words(group["title"])), files)


def _section(section: dict, root: Path, numbers: counter) -> str:
    name = section["name"]
    mark = "Appendix: " * section["appendix"]
    heading = element(LEVELS[section["level"]], words(mark + section["title"]), id=name)
    blocks = [_block(block, root, numbers) for block in section["blocks"]]
    return element("section", heading, *blocks)


def _block(block: dict, root: Path, numbers: counter) -> str:
    kind = block["type"]
    if kind == "figure":
        return _figure(block, root, next(numbers))
    return WRITERS[kind](block)


def _note(block: dict) -> str:
    lead = element("p", element("strong", words(block["lead"])))
    parts = (lead, paragraphs(block["paragraphs"]), items(block["items"]))
    return element("div", *parts, class_=f"box {block['tone']}")


def _entry(block: dict) -> str:
    title = element("strong", words(f"{block['title']}."))
    return element("p", title, " ", words(block["text"]))


def _settings(block: dict) -> str:
    """Settings that open on demand: a long list that few read from end to end."""
    like = f" as {code(block['like'])}, but" if block["like"] else ""
    title = element("summary", words(block["label"]), " ", code(block["name"]), like)
    pairs = "".join(
        element("div", element("dt", code(key)), element("dd", words(value)))
        for key, value in block["pairs"]
    )
    return element("details", title, element("dl", pairs))


def _figure(block: dict, root: Path, number: int) -> str:
    title = f"Figure {number}. {block['title']}."
    caption = element("figcaption", element("strong", words(title)), " ", words(block["caption"]))
    picture = _picture(block, root) if block["made"] else None
    name = f"figure-{block['name']}"
    if picture is None:
        text = f"This figure was not made: figures/{block['name']}.svg is missing."
        return element("figure", element("p", words(text), class_="box warning"), caption, id=name)
    linked = element(
        "a", picture, href=f"figures/{block['name']}.svg", class_="zoom", data_title=title
    )
    return element("figure", linked, caption, id=name)


def _picture(block: dict, root: Path) -> str | None:
    """The figure as an image of its own bytes; None if it is not there."""
    path, kind = root / "figures" / f"{block['name']}.svg", "svg+xml"
    if path.exists() and path.stat().st_size > LARGEST_SVG:
        path, kind = path.with_suffix(".png"), "png"
    if not path.exists():
        return None
    encoded = base64.b64encode(path.read_bytes()).decode("ascii")
    return element("img", src=f"data:image/{kind};base64,{encoded}", alt=block["alt"])


WRITERS = {
    "text": lambda block: paragraphs([block["text"]]),
    "list": lambda block: items(block["items"]),
    "note": _note,
    "entry": _entry,
    "table": simple_table,
    "results": results_table,
    "settings": _settings,
    "missing": _missing_files,
}
