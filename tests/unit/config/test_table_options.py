"""Options of tables: what a table's kind does not read is refused, not passed over."""

import copy

import pytest

from robustvit.config.resolve import resolve
from robustvit.core.errors import UserError
from robustvit.core.plugins import available, load

PACKAGE = "robustvit.reporting.tables"
EVALUATED = {"columns": ["clean"], "rows": ["demo_light"]}
CASES = {
    "semantics in a table of accuracies": (
        EVALUATED | {"semantics": "demo_semantics"},
        [
            "tables.mine.semantics: a table of kind evaluation has no such option",
            "Known: caption, columns, comparison, kind, prefer, rows, title.",
        ],
    ),
    "columns in a table of an analysis": (
        {"kind": "semantics", "semantics": "demo_semantics", "columns": ["clean"]},
        [
            "tables.mine.columns: a table of kind semantics has no such option",
            "Known: caption, comparison, controls, kind, published, semantics, title.",
        ],
    ),
    "columns in a table of watched trainings": (
        {"kind": "overfitting", "rows": ["demo_light"], "columns": ["pgd10"]},
        ["tables.mine.columns: a table of kind overfitting", "Known: caption, comparison, kind"],
    ),
    "an unknown option": (EVALUATED | {"colums": []}, ["tables.mine.colums", '"columns"']),
    "no analysis": (
        {"kind": "semantics"},
        ["tables.mine.semantics: is missing", "Example: semantics: table9"],
    ),
    "no rows": ({"columns": ["clean"], "rows": []}, ["tables.mine.rows: is missing"]),
}


@pytest.mark.parametrize("case", CASES)
def test_mistakes_name_the_option(demo, case):
    entry, expected = CASES[case]
    demo = copy.deepcopy(demo)
    demo["tables"]["mine"] = {"title": "Mine", **entry}
    with pytest.raises(UserError) as caught:
        resolve(demo)
    for text in expected:
        assert text in str(caught.value)


def test_a_table_of_unwatched_trainings_is_refused(demo):
    demo = copy.deepcopy(demo)
    demo["tables"]["mine"] = {"kind": "overfitting", "title": "Mine", "rows": ["demo_standard"]}
    with pytest.raises(UserError, match=r"tables\.mine\.rows: demo_standard is not watched"):
        resolve(demo)


@pytest.mark.parametrize("kind", available(PACKAGE))
def test_every_kind_declares_its_options(kind):
    assert load(PACKAGE, kind).OPTIONS
