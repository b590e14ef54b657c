"""The report as a web page: whole, accessible, in need of nothing but itself, and as the PDF."""

import base64
import re
import shutil
import subprocess
from itertools import pairwise
from pathlib import Path
from urllib.parse import urlparse

import pytest
import synthetic_specs as specs
from page_reading import read_page
from pdf_reading import pages_of

from robustvit.core.errors import UserError
from robustvit.core.files import write_json, write_text
from robustvit.reporting.latex import table_tex
from robustvit.reporting.results import Results
from robustvit.reporting.summary import build_summary
from robustvit.reporting.table import build_table, table_csv
from robustvit.reporting.web.page import write_page

REPORTS = Path(__file__).resolve().parents[3] / "reports"
STYLE, SCRIPT = REPORTS / "report.css", REPORTS / "report.js"


@pytest.fixture(scope="module")
def folder(report, published, tmp_path_factory):
    """The finished run with its page and its tables' own files."""
    pdf, made = report
    root = Path(shutil.copytree(made, tmp_path_factory.mktemp("page") / "demo"))
    for spec in (specs.table_spec(), specs.semantics_table_spec()):
        table = build_table(spec, Results(root), published)
        write_text(root / f"tables/{spec['name']}.csv", table_csv(table))
        write_text(root / f"tables/{spec['name']}.tex", table_tex(table))
    shutil.copy(pdf, root / "report.pdf")
    write_page(
        specs.report_spec(), root / "summary.json", root, STYLE, SCRIPT, root / "report.html"
    )
    return root


@pytest.fixture(scope="module")
def source(folder):
    return (folder / "report.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page(source):
    return read_page(source)


def test_every_element_is_closed_and_in_place(page, source):
    assert source.startswith("<!DOCTYPE html>")
    assert page.find_all("html")[0].attributes["lang"] == "en"
    assert "demonstration" in page.find_all("title")[0].text


def test_ids_are_unique(page):
    ids = [e.attributes["id"] for e in page.all() if "id" in e.attributes]
    assert len(ids) == len(set(ids)) > 20


def test_every_link_leads_somewhere(page, folder):
    ids = {e.attributes.get("id") for e in page.all()}
    links = [e.attributes["href"] for e in page.find_all("a")]
    assert len(links) > 20
    for link in links:
        if link.startswith("#"):
            assert link[1:] in ids, link
        else:
            assert (folder / link).is_file(), link
    for element in page.all():
        for name in ("aria-labelledby", "aria-describedby", "headers"):
            assert element.attributes.get(name) in ids | {None}


def test_needs_nothing_but_itself(page, source):
    for element in page.all():
        for name in ("src", "srcset", "data", "action", "poster"):
            assert element.attributes.get(name, "data:").startswith("data:")
        assert not urlparse(element.attributes.get("href", "")).scheme
    assert not page.find_all("link", "iframe", "object", "embed")
    assert not re.search(r"@import|url\(|https?://", STYLE.read_text() + SCRIPT.read_text())
    assert "http" not in re.sub(r'"data:[^"]*"', "", source)


def test_landmarks_and_headings(page):
    for tag in ("header", "nav", "main", "footer", "h1"):
        assert len(page.find_all(tag)) == 1, tag
    levels = [int(h.tag[1]) for h in page.find_all("h1", "h2", "h3", "h4")]
    assert all(after - before <= 1 for before, after in pairwise(levels))
    skip = page.find_all("a")[0]
    assert (
        skip.attributes["href"] == "#text" and page.find_all("main")[0].attributes["id"] == "text"
    )
    for section in page.find_all("section"):
        assert section.children[0].tag in ("h2", "h3")


def test_figures_have_words_and_lie_in_the_page_as_vectors(page):
    figures = page.find_all("figure")
    assert len(figures) == len(specs.figure_specs())
    for number, (figure, spec) in enumerate(zip(figures, specs.figure_specs(), strict=True), 1):
        (image,) = figure.find_all("img")
        assert len(image.attributes["alt"]) > 30
        kind, _, data = image.attributes["src"].partition(";base64,")
        assert kind == "data:image/svg+xml" and b"<svg" in base64.b64decode(data)
        caption = figure.find_all("figcaption")[0].text
        assert caption == f"Figure {number}. {spec['title']}. {spec['caption']}"
        (link,) = figure.find_all("a")
        assert link.attributes["href"] == f"figures/{spec['name']}.svg"  # without the script


def test_tables_have_captions_and_headings_with_scope(page):
    tables = page.find_all("table")
    assert len(tables) >= 8
    for table in tables:
        assert len(table.find_all("caption")[0].text) > 20
        heads = table.find_all("th")
        assert all(h.attributes["scope"] in ("col", "row", "colgroup") for h in heads)
        for row in table.find_all("tbody")[0].find_all("tr"):
            assert row.children[0].tag == "th" and row.children[0].attributes["scope"] == "row"
    regions = [e for e in page.all() if e.attributes.get("role") == "region"]
    assert len(regions) == len(tables)
    assert all(region.attributes["tabindex"] == "0" for region in regions)


def test_rows_of_a_table_are_equally_long(page):
    for table in page.find_all("table"):
        widths = set()
        for row in table.find_all("tbody")[0].find_all("tr"):
            widths.add(sum(int(c.attributes.get("colspan", 1)) for c in row.find_all("td", "th")))
        spans = [int(c.attributes["span"]) for c in table.find_all("colgroup")]
        assert len(widths) == 1 and (not spans or {sum(spans)} == widths)


def test_columns_can_be_sorted(page):
    (table,) = [t for t in page.find_all("table") if t.attributes["id"] == "values-demo_recipes"]
    marked = [h.text for h in table.find_all("th") if "data-sort" in h.attributes]
    two = ["measured", "published"]
    assert marked == ["Model", "Chance", *two, "measured", *two]
    values = [
        row.children[1].attributes["data-value"] for row in table.find_all("tbody")[0].children
    ]
    assert values == ["68.75", "62.5", "85.9375", "73.4375"]


def test_numbers_lead_to_their_origin(page):
    (table,) = [t for t in page.find_all("table") if t.attributes["id"] == "values-demo_recipes"]
    link = table.find_all("a")[0]
    (target,) = [e for e in page.all() if e.attributes.get("id") == link.attributes["href"][1:]]
    (row,) = [r for r in page.find_all("tr") if target in r.children]
    for words in ("eval/demo_light/clean.json", "evaluate_model/demo_light-clean", "0123456789ab"):
        assert words in row.text.replace(" ", "")


def words(text):
    """The letters of a text, however it was broken into lines."""
    text = re.sub(r"[\u200b\u00ad]|-\s|\s", "", text).lower()
    return text.replace("ﬁ", "fi").replace("ﬂ", "fl").replace("-", "")


def test_says_what_the_pdf_says(page, report):
    """Every sentence of the page stands in the PDF, but for links to files."""
    pdf = words(" ".join(pages_of(report[0])))
    main = page.find_all("main")[0]
    texts = main.find_all("p", "li", "figcaption", "td", "th", "dd", "dt")
    checked = 0
    for element in texts:
        for sentence in re.split(r"(?<=[.;:]) ", element.text):
            if len(sentence) > 25 and "This table as" not in sentence:
                checked += 1
                assert words(sentence) in pdf, sentence
    assert checked > 40


def test_page_and_pdf_name_the_control_that_is_off_chance(page, report):
    for shown in (page.text, " ".join(pages_of(report[0]))):
        for told in (
            "Not all controls fall to chance (of pixels shuffled, 1 in all, after",
            "“standard XCiT-demo”, pixels shuffled, named by “ResNet-18”, top-1: 25.0 % "
            "[16.0–36.8], chance 10.0 %.",
        ):
            assert words(told) in words(shown)


def test_same_input_gives_the_same_bytes(folder, source, tmp_path):
    output = tmp_path / "again.html"
    write_page(specs.report_spec(), folder / "summary.json", folder, STYLE, SCRIPT, output)
    assert output.read_text(encoding="utf-8") == source


def test_text_of_users_cannot_become_markup(root, published, tmp_path):
    spec = specs.report_spec() | {"title": "<script>alert(1)</script> & more"}
    write_json(root / "summary.json", build_summary(spec, Results(root), published))
    write_page(spec, root / "summary.json", root, STYLE, SCRIPT, tmp_path / "page.html")
    page = read_page((tmp_path / "page.html").read_text())
    assert page.find_all("h1")[0].text == "<script>alert(1)</script> & more"
    assert len(page.find_all("script")) == 1


def test_nothing_was_run(tmp_path, published):
    root = tmp_path / "demo"
    root.mkdir()
    spec = specs.report_spec()
    write_json(root / "summary.json", build_summary(spec, Results(root), published))
    write_page(spec, root / "summary.json", root, STYLE, SCRIPT, root / "report.html")
    page = read_page((root / "report.html").read_text())
    assert "Not everything was there" in page.text
    assert page.text.count("This figure was not made") == 5
    ids = [e.attributes["id"] for e in page.all() if "id" in e.attributes]
    assert len(ids) == len(set(ids))


def test_gallery_is_on_the_page_and_not_in_the_pdf(root, published, template, tmp_path):
    from robustvit.reporting.report import render_report

    spec = specs.report_spec()
    spec["gallery"] = [{"name": "many", "title": "Many pictures", "caption": "A larger gallery."}]
    write_json(root / "summary.json", build_summary(spec, Results(root), published))
    write_page(spec, root / "summary.json", root, STYLE, SCRIPT, tmp_path / "page.html")
    render_report(spec, root / "summary.json", root, template, tmp_path / "report.pdf")
    assert "Many pictures" in read_page((tmp_path / "page.html").read_text()).text
    assert "Many pictures" not in " ".join(pages_of(tmp_path / "report.pdf"))


@pytest.mark.parametrize("missing", ["summary.json", "report.css", "report.js"])
def test_a_missing_file_is_named(folder, tmp_path, missing):
    paths = {"summary.json": folder / "summary.json", "report.css": STYLE, "report.js": SCRIPT}
    paths[missing] = tmp_path / missing
    with pytest.raises(UserError, match=missing):
        write_page(
            specs.report_spec(), paths["summary.json"], folder, paths["report.css"],
            paths["report.js"], tmp_path / "out.html",
        )  # fmt: skip
    assert not (tmp_path / "out.html").exists()


def luminance(colour):
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("file", ["report.css", "report.typ"])
def test_letters_stand_out_from_their_ground(file):
    text = (REPORTS / file).read_text()
    pattern = r"--(ink|quiet|accent|good|bad): (#\w{6})"
    if file == "report.typ":
        pattern = r"#let (accent|warning|good) = rgb\(\"(#\w{6})\"\)"
    colours = dict(re.findall(pattern, text))
    assert len(colours) >= 3
    for name, colour in colours.items():
        for ground in ("#ffffff", "#f4f6f8", "#fff3d6"):
            lighter, darker = luminance(ground) + 0.05, luminance(colour) + 0.05
            assert lighter / darker >= 4.5, (name, ground)


@pytest.mark.skipif(shutil.which("node") is None, reason="no JavaScript engine on this machine")
def test_script_sorts_numbers_before_words_and_empty_cells_last():
    code = SCRIPT.read_text().split("function sortBy")[0]
    code += (
        'const c=["b",10,"",9,"not run","a10","a9"];c.sort(compare);console.log(JSON.stringify(c))'
    )
    done = subprocess.run(["node", "-e", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == '[9,10,"a9","a10","b","not run",""]', done.stderr
    checked = subprocess.run(
        ["node", "--check", SCRIPT], capture_output=True, text=True, timeout=60
    )
    assert checked.returncode == 0, checked.stderr
