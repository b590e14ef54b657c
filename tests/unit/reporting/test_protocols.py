"""The protocol in words: numbers from the options, weaker attacks, images, signs."""

import importlib

import pytest
import synthetic_specs as specs

from robustvit.reporting.display import build_display
from robustvit.reporting.protocols import STANDARD, attack_name, numbers, weaknesses
from robustvit.reporting.results import Results
from robustvit.reporting.summary import build_summary


@pytest.mark.parametrize("attack", STANDARD)
def test_standard_numbers_are_those_of_the_attacks(attack):
    assert STANDARD[attack] == importlib.import_module(f"robustvit.attacks.{attack}").DEFAULTS


@pytest.mark.parametrize(
    ("attack", "options", "words"),
    [
        (None, {}, ""),
        ("pgd", {"steps": 5}, "5 steps of size 1.5·ε/5"),
        ("pgd", {"steps": 1, "step_size_255": 2}, "1 step of size 2/255"),
        ("pgd", {"restarts": 3}, "10 steps of size 1.5·ε/10, 3 restarts"),
        ("fgsm", {}, "1 step of size 1.5·ε"),
        ("apgd_ce", {"iterations": 5, "restarts": 2}, "5 iterations, 2 restarts"),
        (
            "autoattack",
            {"queries": 50},
            "100 iterations, at most 9 target classes, 50 queries, 1 restart",
        ),
        ("other", {"depth": 3}, "depth = 3"),
    ],
)
def test_numbers_come_from_the_options(attack, options, words):
    assert numbers(attack, options) == words


@pytest.mark.parametrize(
    ("attack", "options", "classes", "found"),
    [
        ("autoattack", {}, 10, []),
        ("autoattack", {"targets": 2}, 3, []),
        ("autoattack", {"targets": 2}, 4, ["2 of 3 targets"]),
        ("autoattack", {"iterations": 99}, 1000, ["99 of 100 iterations"]),
        ("autoattack", {"queries": 500}, 10, ["500 of 5\u2009000 queries"]),
        ("apgd_ce", {"iterations": 5}, 10, ["5 of 100 iterations"]),
        ("pgd", {"steps": 1}, 10, []),
        (None, None, 10, []),
    ],
)
def test_attacks_weaker_than_autoattack_are_recognised(attack, options, classes, found):
    assert weaknesses(attack, options, classes) == found


def test_names_of_attacks():
    assert attack_name("pgd", {"steps": 100}) == "PGD-100"
    assert attack_name("autoattack", {}) == "AutoAttack"


@pytest.fixture
def protocol(results, published):
    """The section as the report prints it, with a weakened AutoAttack."""
    spec = specs.report_spec()
    spec["protocols"]["autoattack"]["options"] = {"iterations": 5}
    light = spec["experiments"]["demo_light"]
    light["normalization"] = {"mean": [0.5, 0.5, 0.5], "std": [0.2, 0.2, 0.2]}
    return build_display(spec, build_summary(spec, results, published))["protocol"]


def test_says_how_images_come_to_the_size_of_the_model(protocol):
    text = " ".join(protocol["sentences"])
    assert (
        "“ImageNet, 4 classes” (split val): shorter side resized to 36 px (bicubic), "
        "centre crop of 32 × 32 px." in text
    )
    assert "“CIFAR-10” (split val): the images have 32 × 32 px and are used unchanged." in text


def test_images_of_other_sizes_are_resized_even_without_a_crop(root, published):
    spec = specs.report_spec()
    for entry in spec["experiments"].values():
        entry["images"] = {"image_size": 224, "crop_pct": 1.0, "interpolation": "bicubic"}
    summary = build_summary(spec, Results(root), published)
    text = " ".join(build_display(spec, summary)["protocol"]["sentences"])
    assert "shorter side resized to 224 px (bicubic), centre crop of 224 × 224 px." in text


def test_says_that_a_part_of_a_split_is_balanced(protocol):
    assert any("class-balanced subset of the split" in s for s in protocol["sentences"])
    clean = next(p for p in protocol["protocols"] if p["label"] == "clean")
    assert "CIFAR-10: 1 model, 64 of 400 images" in clean["scope"]


def test_says_the_normalisation_and_the_sign_of_the_pictures(protocol):
    text = " ".join(protocol["sentences"]).replace("\xa0", " ")
    assert "No normalisation, raw pixels in [0, 1]: “XCiT-demo, canonical" in text
    assert "mean (0.5, 0.5, 0.5) and standard deviation (0.2, 0.2, 0.2): “XCiT-demo, li" in text
    assert "PGD-100 (100 steps of size 1.5·ε/100) at ε = 4/255 (L∞) on 64 of 400 images" in text
    assert "(x − x′ + ε) / 2ε" in text


def test_the_table_says_what_really_ran(protocol):
    clean, pgd, autoattack = protocol["protocols"]
    assert clean["weaker"] == pgd["weaker"] == []
    assert "10 steps of size 1.5·ε/10." in [x[0].upper() + x[1:] for x in pgd["description"]]
    assert autoattack["weaker"] == ["5 of 100 iterations"]
    assert "Ran: APGD-CE, APGD-DLR, FAB-T, Square." in autoattack["description"]


def test_says_whose_code_attacked(results, published):
    spec = specs.report_spec()
    summary = build_summary(spec, results, published)
    records = [found["autoattack"] for found in summary["evaluations"].values()]
    for engines, words in (
        (["fast"], "own code of the same attacks (engine “fast”)."),
        (["reference", "fast"], "own code of the same attacks (engine “fast”) and pyautoattack"),
    ):
        for place, record in enumerate(records):
            record["engine"] = engines[place % len(engines)]
        shown = build_display(spec, summary)["protocol"]["protocols"][-1]["description"]
        assert any(words in " ".join(text.split()) for text in shown), shown
