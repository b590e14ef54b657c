"""Options of figures: mistakes are told when the configuration is read."""

import copy

import pytest

from robustvit.config.resolve import resolve
from robustvit.core.errors import UserError
from robustvit.core.plugins import available, load
from robustvit.reporting.options import Option

PACKAGE = "robustvit.reporting.figures"
SHOWN = {"kind": "perturbations", "options": {"semantics": "demo_semantics"}}
GROWN = {"kind": "gradients", "options": {"gradients": "demo_gradients"}}
MISTAKES = {
    "colour": (SHOWN, {"colour": "grey"}, ["figures.mine.options.colour", '"colors"']),
    "scaling": (SHOWN, {"scaling": "mx"}, ["figures.mine.options.scaling", '"max"']),
    "class": (
        SHOWN,
        {"classes": ["frogg"]},
        [
            'figures.mine.options.classes: unknown class "frogg" of the data set cifar10',
            'Did you mean "frog"?',
            "Example: classes: [airplane]",
        ],
    ),
    "target": (GROWN, {"targets": ["n00000001"]}, ["figures.mine.options.targets", "n01644373"]),
    "a word for a number": (
        SHOWN,
        {"columns": "two"},
        [
            "figures.mine.options.columns: 'two' is not a whole number above zero",
            "Example: columns: 8",
        ],
    ),
    "no row": (GROWN, {"wrap": 0}, ["figures.mine.options.wrap: 0 is not a whole number above"]),
    "a yes for a number": (SHOWN, {"wrap": True}, ["figures.mine.options.wrap: True is not"]),
    "a word for a yes": (SHOWN, {"attacked": "yes"}, ["figures.mine.options.attacked", "True"]),
    "a number for a yes": (SHOWN, {"attacked": 1}, ["figures.mine.options.attacked"]),
    "a name for a list": (
        {"kind": "learning_curves"},
        {"experiments": "demo_light"},
        ["figures.mine.options.experiments: 'demo_light' is not a list of names", "[demo_light"],
    ),
    "a list for a name": (
        {"kind": "perturbations"},
        {"semantics": ["demo_semantics"]},
        ["figures.mine.options.semantics: ['demo_semantics'] is not a name"],
    ),
    "null for a name": ({"kind": "gradients"}, {"gradients": None}, ["None is not a name"]),
    "nothing of what is needed": (
        {"kind": "perturbations"},
        {"columns": 3},
        ["figures.mine.options.semantics: is missing", "Example: semantics: table9"],
    ),
    "unwatched": (
        {"kind": "overfitting"},
        {"experiments": ["demo_standard"]},
        ["figures.mine.options.experiments: demo_standard is not watched", "watch: {steps"],
    ),
    "no epochs": (
        {"kind": "attack_effectiveness"},
        {"attack_losses": "demo_convergence"},
        [
            "figures.mine.options.attack_losses: demo_convergence has no epochs",
            "attack_losses: {demo_convergence: {epochs: [10, 50, 100]}}",
        ],
    ),
}


def with_figure(demo, kind, options):
    demo = copy.deepcopy(demo)
    entry = {"kind": kind, "title": "Mine", "caption": "Mine.", "options": options}
    demo["figures"]["mine"] = entry
    return demo


@pytest.mark.parametrize("case", MISTAKES)
def test_mistakes_name_the_option(demo, case):
    entry, options, expected = MISTAKES[case]
    demo = with_figure(demo, entry["kind"], entry.get("options", {}) | options)
    with pytest.raises(UserError) as caught:
        resolve(demo)
    for text in expected:
        assert text in str(caught.value)


@pytest.mark.parametrize(
    ("entry", "options"),
    [
        (SHOWN, {"columns": 3, "wrap": None, "classes": None, "attacked": True}),
        (SHOWN, {"columns": None, "classes": ["frog", "truck"], "colors": "grey"}),
        (GROWN, {"targets": ["n01644373"], "wrap": 2}),
        ({"kind": "attack_effectiveness"}, {"attack_losses": "demo_effectiveness"}),
        ({"kind": "rulegraph"}, {"rulegraph": True, "hide": ["plan"], "groups": {"a": ["plan"]}}),
    ],
)
def test_valid_options_are_taken(demo, entry, options):
    options = entry.get("options", {}) | options
    found = resolve(with_figure(demo, entry["kind"], options))
    assert found["figures"]["mine"]["options"] == options


def test_names_of_sections_are_names_for_figures_of_ones_own_too(demo, monkeypatch):
    plugin = load(PACKAGE, "learning_curves")
    monkeypatch.delattr(plugin, "OPTIONS")
    for wrong in ("demo_light", None, 3):
        with pytest.raises(
            UserError, match=r"mine\.options\.experiments: .* is not a list of names"
        ):
            resolve(with_figure(demo, "learning_curves", {"experiments": wrong, "own": object}))


@pytest.mark.parametrize("kind", available(PACKAGE))
def test_every_kind_declares_its_options_with_examples_that_fit(kind):
    import yaml

    for option in load(PACKAGE, kind).OPTIONS.values():
        if isinstance(option, Option):
            assert option.fits(yaml.safe_load(option.example))
            assert not option.fits(object()) and not option.fits(-1)
