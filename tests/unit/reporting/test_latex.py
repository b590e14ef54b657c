"""Tables as LaTeX: escaped, balanced, with every number of the table."""

import re

import pytest
import synthetic_specs as specs

from robustvit.reporting.latex import escape, table_tex
from robustvit.reporting.results import Results
from robustvit.reporting.table import build_table


@pytest.fixture
def source(results, published):
    return table_tex(build_table(specs.table_spec(), results, published))


def test_rows_have_as_many_cells_as_columns(source):
    layout = re.search(r"\\begin\{tabular\}\{(\w+)\}", source)[1]
    assert layout == "lrrrlrrrrl"
    rows = [line for line in source.splitlines() if line.endswith(r"\\")]
    assert len(rows) == 2 + 4
    for row in rows[1:]:
        assert len(re.findall(r"(?<!\\)&", row)) == len(layout) - 1
    assert re.findall(r"\\cmidrule\(lr\)\{(\S+?)\}", source) == ["2-5", "6-6", "7-10"]


def test_holds_numbers_intervals_and_verdicts(source):
    for part in (
        r"43.8 \% [32.3--55.9] & 41.78 \% & -- & not comparable",
        r"\toprule",
        r"\bottomrule",
        "XCiT-demo, light recipe*",
        r"34.4 \% \textdagger{}",
        r"\label{tab:demo-recipes}",
    ):
        assert part in source, part


def test_everything_that_opens_closes(source):
    plain = re.sub(r"\\[{}]", "", source)
    assert plain.count("{") == plain.count("}")
    assert re.findall(r"\\begin\{(\w+)\}", source) == ["table", "tabular"]
    assert re.findall(r"\\end\{(\w+)\}", source) == ["tabular", "table"]


def test_what_was_not_run(tmp_path, published):
    source = table_tex(build_table(specs.table_spec(), Results(tmp_path), published))
    assert r"not run & 41.78 \% & -- & not run" in source


def test_signs_of_latex_are_escaped():
    assert escape(r"50% of $x_1 & {y}\z #1 ~^") == (
        r"50\% of \$x\_1 \& \{y\}\textbackslash{}z \#1 \textasciitilde{}\textasciicircum{}"
    )
    assert escape("ε = 4/255 (L∞), −0.5 “a”") == r"$\varepsilon$ = 4/255 (L$\infty$), $-$0.5 ``a''"
    assert escape("±\u20099.8") == r"$\pm$\,9.8"


def test_every_letter_of_the_projects_tables_can_be_set(source):
    """Letters that pdflatex does not know by itself have an escape."""
    assert not re.findall(r"[^\x00-\x7fÀ-ÿ]", source)
