"""The contradictions of the sources, as far as this run has a setting that they change."""

import pytest

from robustvit.reporting.display_differences import display_differences

ENTRY = {"item": 1, "about": "Lowest rate", "thesis": "5e-5", "code": "1e-5", "handled": None}
SETTING = {"key": "schedule.min_lr", "code": 1e-5, "thesis": 5e-5}


@pytest.mark.parametrize(("follow", "value"), [("code", "1e-05"), ("thesis", "5e-05")])
def test_the_followed_side_is_named_with_its_places(follow, value):
    settings = [{"where": f"recipes.{name}", **SETTING} for name in ("a", "b")]
    spec = {"follow": follow, "differences": [{**ENTRY, "settings": settings}]}
    shown = display_differences(spec)
    assert shown["rows"][0]["used"] == [f"schedule.min_lr = {value} in 2 places"]
    assert shown["others"] == 0


def test_what_changes_nothing_here_is_counted_only():
    shown = display_differences({"follow": "code", "differences": [{**ENTRY, "settings": []}]})
    assert shown == {"rows": [], "others": 1}


def test_a_report_without_differences_has_none():
    assert display_differences({}) == {"rows": [], "others": 0}
