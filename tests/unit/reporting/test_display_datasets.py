"""The report's table of data sets: counts, origin, terms and what is not the original."""

import pytest

from robustvit.core.files import read_json, write_json
from robustvit.reporting.display_methods import display_datasets
from robustvit.reporting.results import Results
from robustvit.reporting.summary import build_summary


@pytest.fixture
def rows(full_root, published):
    """Return a function that gives the rows of sets with these changes of their summary."""

    def make(source="caltech101", **changes):
        spec = {"datasets": {"squares": {"label": "Squares", "source": source}}}
        summary = build_summary(spec, Results(full_root), published)
        summary["datasets"]["squares"] |= changes
        return display_datasets(spec, summary)

    return make


def test_counts_are_told_by_split_and_class(rows):
    splits, per_class = {"train": 40, "test": 9}, {"train": [10, 10], "test": [1, 4]}
    (row,) = rows(splits=splits, per_class=per_class)
    assert row["splits"] == ["train: 40 (10 of each class)", "test: 9 (1–4 of a class)"]


def test_the_summary_knows_the_extremes_of_each_split(rows):
    (row,) = rows()
    assert all("class)" in line for line in row["splits"]) and row["splits"]


@pytest.mark.parametrize(("complete", "told"), [(True, False), (None, False), (False, True)])
def test_an_archive_that_is_not_the_official_one_is_told(rows, complete, told):
    (row,) = rows(complete=complete, origin="mirror", stand_in=False)
    assert row["incomplete"] is told
    assert ("not the complete official one" in row["origin"]) is told


def test_images_that_the_set_lacks_are_told(full_root, rows):
    (row,) = rows()
    assert "left out" not in row["origin"] and "missing" not in row["origin"]
    path = full_root / "datasets/squares/manifest.json"
    damaged = {"split": "test", "id": "x", "class": "a", "reason": "truncated"}
    noted = {"left_out": [damaged], "missing": ["y", "z"]}
    noted["odd_images"] = {"grey": {"count": 1200, "first": ["v"]}}
    before = read_json(path)
    write_json(path, before | noted)
    try:
        (row,) = rows()
    finally:
        write_json(path, before)
    assert "; 1 image left out (does not decode); 2 images missing from the" in row["origin"]
    assert row["origin"].endswith("; unusual images, kept as they are: 1\u2009200 grey")


def test_terms_are_those_of_the_images_that_are_shown(rows):
    (row,) = rows(stand_in=False)
    assert row["licence"].startswith("Caltech-101: CC BY 4.0")
    (row,) = rows(stand_in=True)
    assert row["licence"].startswith("CIFAR-10: ")  # its photographs stand in
    (row,) = rows(source="birds", stand_in=False)
    assert row["licence"] == ""
