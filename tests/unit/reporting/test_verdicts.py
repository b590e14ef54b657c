"""Verdicts: the rule at its edges, what is not like with like, and how it is told."""

import dataclasses
import json

import pytest
import synthetic_results as synthetic
import synthetic_specs as specs

from robustvit.evaluation.statistics import wilson
from robustvit.reporting import verdicts
from robustvit.reporting.display_tables import display_table
from robustvit.reporting.display_verdicts import display_verdicts
from robustvit.reporting.results import Results
from robustvit.reporting.table import build_table, table_files

KEY = "thesis.table5.wd-0-5.autoattack_top1"


@pytest.fixture
def entry(published):
    return published.entry(KEY)  # 41.78 % at ε = 4/255


def printed(entry, text):
    return dataclasses.replace(entry, text=text, value=float(text))


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("40.00", "agrees"),  # on the edge of the interval
        ("39.99", "differs"),
        ("39.996", "differs"),  # printed with more digits: 0.0005 of slack
        ("50.00", "agrees"),
        ("50.01", "differs"),
        ("50.4", "differs"),
        ("50", "agrees"),
        ("39.6", "differs"),
        ("40", "agrees"),
    ],
)
def test_edges_of_the_interval(entry, text, verdict):
    measured = {"value": 0.45, "low": 0.4, "high": 0.5}
    assert verdicts.judge(measured, printed(entry, text), [])["verdict"] == verdict


def test_a_number_counts_as_printed(entry):
    measured = {"value": 0.45, "low": 0.4, "high": 0.5}
    assert verdicts.judge(measured, printed(entry, "39.995"), [])["verdict"] == "differs"
    measured |= {"low": 0.404}  # 40 may have been anything up to 40.5
    assert verdicts.judge(measured, printed(entry, "40"), [])["verdict"] == "agrees"
    assert verdicts.judge(measured, printed(entry, "40.0"), [])["verdict"] == "differs"
    assert [verdicts.half_unit(t) for t in ("41.78", "41.8", "44")] == pytest.approx(
        [0.005, 0.05, 0.5]
    )


@pytest.mark.parametrize(
    ("images", "verdict"), [(50, "agrees"), (500, "agrees"), (5000, "differs")]
)
def test_the_number_of_images_decides(entry, images, verdict):
    """The same 44 % against 41.78 %: only thousands of images tell them apart."""
    hits = round(0.44 * images)
    low, high = wilson(hits, images)
    measured = {"value": hits / images, "low": low, "high": high, "k": hits, "n": images}
    found = verdicts.judge(measured, entry, [])
    assert (found["verdict"], found["difference"]) == (verdict, pytest.approx(2.22))


def test_one_in_twenty_differs_by_chance_from_an_exact_value(entry):
    """A model whose true accuracy is the published one: the rule errs as rarely as it says."""
    assert "one comparison in twenty" in verdicts.RULE[1]
    assert "by chance if the published value were exact" in verdicts.RULE[1]
    import numpy as np

    draws = np.random.default_rng(0).binomial(5000, entry.value / 100, size=2000)
    wrong = 0
    for hits in draws:
        low, high = wilson(int(hits), 5000)
        measured = {"value": hits / 5000, "low": low, "high": high}
        wrong += verdicts.judge(measured, entry, [])["verdict"] == "differs"
    assert 0.03 < wrong / 2000 < 0.065


RECORD = {
    "stand_in": False,
    "attack": {"name": "autoattack", "options": {}},
    "threat": {"epsilon_255": 4},
    "chance": 0.01,
}


@pytest.mark.parametrize(
    ("change", "more", "reason"),
    [
        ({}, {}, None),
        ({}, {"comparison": "direction"}, verdicts.SMALLER),
        ({"stand_in": True}, {}, "stand-in images"),
        ({}, {"complete": False}, "an incomplete data set"),
        ({}, {"complete": True}, None),
        ({"threat": {"epsilon_255": 8}}, {}, "ε = 8/255 here, 4/255 there"),
        (
            {"threat": {"norm": "l2", "epsilon_255": 4}},
            {},
            "a radius in L2 here, in L∞ there",
        ),
        (
            {"attack": {"name": "autoattack", "options": {"iterations": 5}}},
            {},
            "an attack weakened to 5 of 100 iterations",
        ),
        ({"attack": None, "threat": {"epsilon_255": 8}}, {}, None),  # clean images have no radius
        ({}, {"failed": [{"name": "white box"}]}, "a failed safety check"),
    ],
)
def test_what_is_not_like_with_like(entry, change, more, reason):
    more = {"comparison": "direct"} | more
    found = list(verdicts.why_not_comparable(entry, RECORD | change, **more))
    assert found == ([reason] if reason else [])
    measured = {"value": 0.45, "low": 0.4, "high": 0.5}
    judged = verdicts.judge(measured, entry, found)
    assert judged["verdict"] == ("not comparable" if reason else "agrees")
    assert (judged["difference"] is None) == (reason == verdicts.SMALLER)


PERTURBED = {
    "attack": {"name": "pgd", "options": {"steps": 100}},
    "threat": {"norm": "linf", "epsilon_255": 4},
    "sign": "minus",
    "dataset": {"name": "imagenet_rb5k"},
    "attacked_set": "imagenet_rb5k",
}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({}, None),
        (
            {"attack": {"name": "pgd", "options": {"steps": 1}}},
            "an attack weakened to 1 of 100 steps",
        ),
        ({"attack": {"name": "fgsm", "options": {}}}, "FGSM here, PGD-100 there"),
        ({"threat": {"epsilon_255": 16}}, "ε = 16/255 here, 4/255 there"),
        ({"sign": "plus"}, "perturbations x′ − x here, x − x′ there"),
        ({"dataset": {"name": "cifar10"}}, "images of cifar10 here, of ImageNet-RB5k there"),
        ({"complete": False}, "an incomplete data set"),
    ],
)
def test_perturbations_made_in_another_way_are_not_comparable(root, published, change, reason):
    spec = specs.semantics_table_spec() | {"comparison": "direct", "dataset": "squares"}
    manifest = root / "datasets/squares/manifest.json"
    complete = {"complete": change.pop("complete", True)}
    synthetic.write(manifest, json.loads(manifest.read_text()) | complete)
    path = root / "semantics/demo/demo_light/cifar_resnet18.json"
    record = json.loads(path.read_text()) | {"perturbation": PERTURBED | change}
    synthetic.write(path, record)
    assert "datasets/squares/manifest.json" in table_files(spec)
    top5 = build_table(spec, Results(root), published)["rows"][0]["cells"][1]
    assert top5["reasons"] == ([reason] if reason else [])
    assert (top5["verdict"] == "not comparable") == bool(reason)


@pytest.mark.parametrize(
    ("metric", "dataset", "change", "reason"),
    [
        ("pgd200_top1", "ImageNet-val (49364 imgs)", {}, None),
        ("pgd200_top1", "ILSVRC-2012 val (1000 imgs)", {}, None),
        ("pgd200_top1", "CIFAR", {}, None),
        (
            "pgd200_top1",
            "ImageNet-val",
            {"attack": {"name": "pgd", "options": {}}},
            "an attack weakened to 10 of 200 steps",
        ),
        ("pgd10_top1", "ImageNet-val", {}, "200 steps of the attack here, 10 there"),
        ("fgsm_top1", "ImageNet-val", {}, "PGD-200 here, FGSM there"),
        ("autoattack_top1", "ImageNet", {}, "PGD-200 here, AutoAttack there"),
        ("apgd_ce_5_top1", "ImageNet", {}, "PGD-200 here, APGD-CE there"),
        ("transfer_top1", "ImageNet", {}, None),  # which attack it was, the table does not say
        ("pgd200_top1", "ImageNet-RB5k", {}, "images of imagenet here, of ImageNet-RB5k there"),
    ],
)
def test_the_published_attack_and_images_are_compared(entry, metric, dataset, change, reason):
    entry = dataclasses.replace(entry, metric=metric, dataset=dataset)
    record = RECORD | {"dataset": "imagenet"}
    record |= {"attack": {"name": "pgd", "options": {"steps": 200}}} | change
    found = list(verdicts.why_not_comparable(entry, record, comparison="direct"))
    assert found == ([reason] if reason else [])


PGD10 = ("pgd", "pgd10_top1")
RULE_OF_RELEASED_CODE = [
    (*PGD10, {"step_factor": 1.5}, None),
    (*PGD10, {"step_size_255": 0.6}, None),  # 1.5 · 4 / 10
    (*PGD10, {"step_factor": 2.5}, "steps of size 2.5·ε/10 here, 1.5·ε/10 there"),
    (*PGD10, {"step_size_255": 2}, "steps of size 2/255 here, 1.5·ε/10 there"),
    (*PGD10, {"restarts": 5}, "5 restarts of the attack here, 1 there"),
    ("fgsm", "fgsm_top1", {}, None),
    ("fgsm", "fgsm_top1", {"step_factor": 1.0}, "steps of size 1·ε here, 1.5·ε there"),
    ("pgd", "transfer_top1", {"step_factor": 9}, None),  # which attack it was, nobody knows
    ("apgd_ce", "apgd_ce_5_top1", {}, None),
    ("apgd_ce", "apgd_ce_5_top1", {"restarts": 9}, "9 restarts of the attack here, 5 there"),
    ("apgd_ce", "apgd_ce_5_top1", {"restarts": 1}, "an attack weakened to 1 of 5 restarts"),
    ("apgd_ce", "autoattack_top1", {"restarts": 9}, "APGD-CE here, AutoAttack there"),
    ("autoattack", "autoattack_top1", {"restarts": 2}, "2 restarts of the attack here, 1 there"),
    ("autoattack", "autoattack_top1", {"engine": "fast"}, None),
    (
        *("autoattack", "autoattack_top1", {"queries": 10_000}),
        "10\u2009000 queries of the attack here, 5\u2009000 there",
    ),
]


@pytest.mark.parametrize(("attack", "metric", "options", "reason"), RULE_OF_RELEASED_CODE)
def test_step_size_and_restarts_are_compared(entry, attack, metric, options, reason):
    entry = dataclasses.replace(entry, metric=metric)
    record = RECORD | {"attack": {"name": attack, "options": options}}
    found = list(verdicts.why_not_comparable(entry, record, comparison="direct"))
    assert found == ([reason] if reason else [])


def test_steps_of_unknown_size_give_no_reason(entry):
    other = {"attack": {"name": "pgd", "options": {"steps": 10, "step_factor": 9}}}
    entry = dataclasses.replace(entry, metric="pgd10_top1")
    for unknown in ({"source": "rspc"}, {"model": "ResNeXt (Xie et al.)"}):
        entry_of_others = dataclasses.replace(entry, **unknown)
        assert not list(
            verdicts.why_not_comparable(entry_of_others, RECORD | other, comparison="direct")
        )


def test_another_unit_is_not_comparable(entry):
    found = verdicts.judge(
        {"value": 0.4, "low": 0.3, "high": 0.5}, dataclasses.replace(entry, unit="million"), []
    )
    assert (found["verdict"], found["difference"]) == ("not comparable", None)
    assert found["reasons"] == ["the published number is in million"]


def test_not_run_comes_before_any_reason(entry):
    assert verdicts.judge(None, entry, [verdicts.SMALLER])["verdict"] == "not run"


def real_root(root):
    """The invented results as if the archives had been the official ones."""
    for path in named_root(root).glob("eval/*/*.json"):
        record = json.loads(path.read_text())
        synthetic.write(path, record | {"stand_in": False})
    return root


def named_root(root):
    """The invented results with the names of the published numbers' data sets."""
    for path in root.glob("eval/*/*.json"):
        record = json.loads(path.read_text())
        name = record["dataset"].replace("imagenet_demo", "imagenet_rb5k")
        synthetic.write(path, record | {"dataset": name})
    return root


def direct_table(root, published):
    return build_table(specs.table_spec() | {"comparison": "direct"}, Results(root), published)


def test_a_table_says_what_is_not_comparable_and_why(root, published):
    table = direct_table(named_root(root), published)
    assert table["rows"][0]["cells"][0]["reasons"] == ["stand-in images"]
    notes = display_table(table, {})["notes"]
    assert (
        "Not comparable with the published numbers (stand-in images): “XCiT-demo, light recipe” "
        "and “XCiT-demo, canonical recipe”." in notes
    )
    assert (
        "Not comparable with the published numbers (a failed safety check): “XCiT-demo, canonical "
        "recipe”, AutoAttack." in notes
    )
    assert any("reaches ±\u2009" in note and "64 images" in note for note in notes)
    direction = build_table(specs.table_spec(), Results(root), published)
    notes = display_table(direction, {})["notes"]
    assert "Not comparable with the published numbers (a far smaller problem): all rows." in notes
    assert not any("reaches" in note for note in notes)


def test_an_incomplete_data_set_is_read_from_its_manifest(root, published):
    spec = specs.table_spec() | {"comparison": "direct"}
    spec["rows"][-1]["dataset"] = "cifar10"
    real_root(root)
    manifest = root / "datasets/cifar10/manifest.json"

    def reasons():
        return build_table(spec, Results(root), published)["rows"][-1]["cells"][0]["reasons"]

    assert reasons() == []
    whole = json.loads(manifest.read_text())
    for lacking in ({"complete": False}, {"complete": True, "missing": ["a.jpg"]}):
        manifest.write_text(json.dumps(whole | lacking))
        assert reasons() == ["an incomplete data set"]


@pytest.mark.parametrize(
    ("manifest", "reason", "marked"),
    [
        ({}, None, False),
        ({"stand_in": True, "complete": False}, "trained on stand-in images", True),
        ({"complete": False}, "trained on an incomplete data set", False),
        ({"complete": True, "missing": ["a.jpg"]}, "trained on an incomplete data set", False),
    ],
)
def test_the_images_of_the_training_count(root, published, manifest, reason, marked):
    path = root / "datasets/squares/manifest.json"
    synthetic.write(path, json.loads(path.read_text()) | {"complete": True} | manifest)
    spec = specs.table_spec() | {"comparison": "direct"}
    spec["rows"][0] |= {"trained_on": ["squares"]}
    assert "datasets/squares/manifest.json" in table_files(spec)
    row = build_table(spec, Results(real_root(root)), published)["rows"][0]
    assert row["cells"][0]["reasons"] == ([reason] if reason else [])
    assert row["stand_in"] is marked
    shown = specs.semantics_table_spec() | {"comparison": "direct"}
    shown["classifiers"][0]["trained_on"] = ["squares"]
    assert "datasets/squares/manifest.json" in table_files(shown)
    row = build_table(shown, Results(root), published)["rows"][0]
    assert row["cells"][1]["reasons"] == ([reason] if reason else [])
    assert row["stand_in"] is marked


def test_counts_each_comparison_once(root, published):
    table = direct_table(real_root(root), published)
    once, twice = verdicts.count_verdicts([table]), verdicts.count_verdicts([table, table])
    assert once == twice
    cells = [c for row in table["rows"] for c in row["cells"] if c["published"]]
    assert sum(once.values()) == len(cells) == 6
    assert once["not comparable"] == 1  # AutoAttack's number whose check failed
    text = display_verdicts({"verdicts": once})
    assert text["counts"].startswith("6 numbers of this report have a published one: ")
    assert "1 are not comparable" in text["counts"] and "Chance" not in text["counts"]
    many = display_verdicts({"verdicts": dict.fromkeys(verdicts.VERDICTS, 50)})["counts"]
    assert "hance" not in many  # it depends on errors of the published numbers, which none knows
    assert display_verdicts({"verdicts": dict.fromkeys(verdicts.VERDICTS, 0)})["rule"] == []


def test_no_verdict_without_a_published_number(results, published):
    table = build_table(specs.table_spec(), results, published)
    silent = [c for row in table["rows"] for c in row["cells"] if not c["published"]]
    assert silent and all(c["verdict"] is None and c["reasons"] == [] for c in silent)
