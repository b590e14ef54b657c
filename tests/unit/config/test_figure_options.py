"""Options of figures: mistakes are told when the configuration is read."""

import copy

import pytest

from robustvit.config.resolve import resolve
from robustvit.core.errors import UserError

SHOWN = {"kind": "perturbations", "options": {"semantics": "demo_semantics"}}
MISTAKES = {
    "colour": (SHOWN, {"colour": "grey"}, ["figures.mine.options.colour", '"colors"']),
    "scaling": (SHOWN, {"scaling": "mx"}, ["figures.mine.options.scaling", '"max"']),
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
