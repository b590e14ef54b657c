"""Options of figures: mistakes are told when the configuration is read."""

import copy

import pytest

from robustvit.config.resolve import resolve
from robustvit.core.errors import UserError

SHOWN = {"kind": "perturbations", "options": {"semantics": "demo_semantics"}}
MISTAKES = {
    "colour": (SHOWN, {"colour": "grey"}, ["figures.mine.options.colour", '"colors"']),
    "scaling": (SHOWN, {"scaling": "mx"}, ["figures.mine.options.scaling", '"max"']),
    "target": (
        {"kind": "gradients", "options": {"gradients": "demo_gradients"}},
        {"targets": ["n00000001"]},
        ["figures.mine.options.targets", "n01644373"],
    ),
    "unwatched": (
        {"kind": "overfitting"},
        {"experiments": ["demo_standard"]},
        ["figures.mine.options.experiments: demo_standard is not watched", "watch: {steps"],
    ),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_mistakes_name_the_option(demo, case):
    entry, options, expected = MISTAKES[case]
    demo = copy.deepcopy(demo)
    full = {"title": "Mine", "caption": "Mine.", **entry}
    full["options"] = entry.get("options", {}) | options
    demo["figures"]["mine"] = full
    with pytest.raises(UserError) as caught:
        resolve(demo)
    for text in expected:
        assert text in str(caught.value)


def test_a_table_of_unwatched_trainings_is_refused(demo):
    demo = copy.deepcopy(demo)
    demo["tables"]["mine"] = {"kind": "overfitting", "title": "Mine", "rows": ["demo_standard"]}
    with pytest.raises(UserError, match=r"tables\.mine\.rows: demo_standard is not watched"):
        resolve(demo)
