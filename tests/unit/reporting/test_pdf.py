"""The pages of the PDF: nothing in the margins or over other text, fonts, vectors, words aloud."""

import json

import pytest
import synthetic_specs as specs
from pdf_reading import collisions, pages_of, resources_of
from pypdf import PdfReader
from synthetic_report import write_report

from robustvit.core.files import write_json
from robustvit.reporting.display import build_display
from robustvit.reporting.report import font_folder, stage
from robustvit.reporting.results import Results
from robustvit.reporting.table import build_table


def places_of(page):
    """Every piece of text of a page with the place it starts at."""
    places = []

    def visit(text, matrix, text_matrix, *_):
        places.append((text, text_matrix[4], text_matrix[5]))

    page.extract_text(visitor_text=visit)
    return places


def test_pages_are_a4_and_all_text_is_on_them(report):
    reader = PdfReader(report[0])
    for page in reader.pages:
        assert (round(page.mediabox.width), round(page.mediabox.height)) == (595, 842)
        for words, x, y in places_of(page):
            if words.strip() and (x, y) != (0, 0):
                assert 0 <= x <= 595 - 30, words
                assert 0 <= y <= 842, words


def pictures_of(report, template, folder):
    """The pages as arrays of grey [height, width] in [0, 255], at 50 dots per inch."""
    import numpy as np
    import typst
    from PIL import Image

    display = build_display(
        specs.report_spec(), json.loads((report[1] / "summary.json").read_text())
    )
    source = stage(folder, display, report[1], template)
    typst.compile(
        str(source), output=str(folder / "page-{p}.png"), root=str(folder), format="png", ppi=50,
        font_paths=[str(font_folder())], ignore_system_fonts=True,
    )  # fmt: skip
    return [np.asarray(Image.open(path).convert("L")) for path in sorted(folder.glob("page-*.png"))]


def test_nothing_is_printed_in_the_margins(report, template, tmp_path):
    margin = (
        int(2 / 2.54 * 50) - 2
    )  # dots of 2 cm, less what a rule's edge or a letter may overhang
    pages = pictures_of(report, template, tmp_path)
    assert len(pages) == len(pages_of(report[0]))
    for number, page in enumerate(pages, start=1):
        assert page[:, margin:-margin].min() < 128, number  # it is printed on
        assert page[:, :margin].min() == page[:, -margin:].min() == 255, number
        assert page[:margin].min() == page[-10:].min() == 255, number


@pytest.mark.filterwarnings("ignore")
def test_no_text_runs_into_another(report, root, published, template, tmp_path):
    """Neither in the report nor in one whose names are long and have no blanks."""
    from pypdf import PdfReader

    spec = specs.report_spec()
    spec["experiments"]["demo_cifar"] |= {
        "recipe_name": "finetuning_adversarial_with_a_name_of_many_words",
        "init": {"checkpoint": "salman_wide_resnet50_2_eps4_and_more_of_it"},
        "model": "wide_resnet50_2_gelu_with_average_pooling",
    }
    spec["experiments"]["demo_light"]["recipe"] |= {"selection": "test"}
    table = build_table(specs.table_spec(), Results(root), published)
    write_json(root / "tables/demo_recipes.json", table)
    crowded = write_report(root, published, template, tmp_path / "r.pdf", spec)
    for path in (report[0], crowded):
        for number, page in enumerate(PdfReader(path).pages, start=1):
            assert collisions(page) == [], number


def test_fonts_are_embedded(report):
    reader = PdfReader(report[0])
    names = set()
    for page in reader.pages:
        for font in resources_of(page, "/Font"):
            if font["/Subtype"] == "/Type3":
                continue  # its letters are drawn in the file itself
            for part in font.get("/DescendantFonts", [font]):
                descriptor = part.get_object()["/FontDescriptor"].get_object()
                assert {"/FontFile", "/FontFile2", "/FontFile3"} & set(descriptor), font
                names.add(descriptor["/FontName"].split("+")[-1])
    assert any("STIX" in name for name in names)
    assert all("STIX" in name or "DejaVuSansMono" in name for name in names), names


def test_figures_are_vectors_but_for_photographs(report):
    """As many figures as there should be; only pictures of images hold pixels."""
    from pypdf import PdfReader

    root = report[1]
    for spec in specs.figure_specs():
        page = PdfReader(root / "figures" / f"{spec['name']}.pdf").pages[0]
        pixels = [x for x in resources_of(page, "/XObject") if x.get("/Subtype") == "/Image"]
        assert bool(pixels) == (spec["kind"] in ("perturbations", "gradients")), spec["kind"]
    pages = PdfReader(report[0]).pages
    drawn = [x for page in pages for x in resources_of(page, "/XObject")]
    assert sum("/Subtype" in x and x["/Subtype"] == "/Form" for x in drawn) >= len(
        specs.figure_specs()
    )


def test_the_pdf_can_be_read_aloud(report):
    """Tagged, with a language, a title, and words in place of every figure."""
    reader = PdfReader(report[0])
    root = reader.trailer["/Root"]
    assert root["/MarkInfo"]["/Marked"] and root["/Lang"] == "en"
    assert "demonstration" in reader.metadata.title
    tags, todo = [], [root["/StructTreeRoot"]]
    while todo:
        node = todo.pop()
        tags.append((node.get("/S"), node.get("/Alt")))
        kids = node.get("/K", [])
        kids = kids if isinstance(kids, list) else [kids]
        todo += [k.get_object() for k in kids if hasattr(k.get_object(), "get")]
    figures = [alt for tag, alt in tags if tag == "/Figure"]
    assert len(figures) >= 5 and all(len(alt or "") > 30 for alt in figures)
    assert {"/TH", "/TD", "/H1", "/H2"} <= {tag for tag, _ in tags}
