"""The abstract: numbers of the same images side by side, and no ranking the intervals forbid."""

import pytest
import synthetic_results as synthetic

from robustvit.reporting.abstract import write_abstract

SPEC = {
    "experiments": {name: {"label": name.upper()} for name in "abcde"},
    "datasets": {"set": {"label": "Set"}},
    "protocols": {
        "clean": {"label": "Clean", "attack": None},
        "autoattack": {"label": "AutoAttack", "attack": "autoattack"},
    },
}


def evaluation(hits, n=48, clean=None, **parts):
    """An evaluation under AutoAttack as the summary holds it."""
    return {
        "dataset": "set",
        "split": "test",
        "chance": 0.25,
        "threat": {"norm": "linf", "epsilon_255": 4},
        "attack": {"name": "autoattack", "options": {}},
        "clean_top1": synthetic.proportion(hits if clean is None else clean, n),
        "robust_top1": synthetic.proportion(hits, n),
        "failed_checks": [],
    } | parts


def abstract_of(**attacked):
    evaluations = {
        name: {
            "clean": evaluation(172, 200) | {"robust_top1": None, "threat": None},
            "autoattack": record,
        }
        for name, record in attacked.items()
    }
    summary = {"training": {}, "datasets": {}, "semantics": [], "stages": [], "missing": []}
    return " ".join(write_abstract(SPEC, summary | {"evaluations": evaluations}))


def test_both_numbers_are_of_the_same_images():
    text = abstract_of(a=evaluation(32, clean=40))
    assert "classifies 66.7 % [52.5–78.3] of 48 images correctly under AutoAttack" in text
    assert "and 83.3 % [70.4–91.3] of the same images unchanged" in text
    assert "86.0" not in text


def test_one_model_is_not_the_most_of_anything():
    text = abstract_of(a=evaluation(32))
    assert "On “Set”, “A” classifies" in text
    assert "most" not in text
    assert "least" not in text


def test_models_whose_intervals_overlap_are_not_ranked():
    text = abstract_of(a=evaluation(32), b=evaluation(28))
    assert "most" not in text
    assert "least" not in text
    assert (
        "The 95 % interval of “A” overlaps with that of “B”: this run does not rank them." in text
    )
    assert "“B” keeps 58.3 %" in text
    many = abstract_of(**{name: evaluation(30 - i) for i, name in enumerate("abcde")})
    assert "overlaps with those of 4 other models" in many


def test_models_are_ranked_where_the_intervals_allow_it():
    text = abstract_of(a=evaluation(40), b=evaluation(20), c=evaluation(2))
    assert "the most robust of 3 models, “A”, classifies 83.3 %" in text
    assert "The least robust one, “C”, keeps 4.2 %" in text


def test_models_on_other_numbers_of_images_are_not_compared():
    text = abstract_of(a=evaluation(40), b=evaluation(0, n=8))
    assert "most" not in text
    assert text.count("On “Set”") == 2


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            {"failed_checks": [{"name": "white box", "detail": ""}]},
            " This evaluation failed its safety check “white box”.",
        ),
        (
            {"attack": {"name": "autoattack", "options": {"iterations": 5, "queries": 50}}},
            "under AutoAttack, weakened to 5 of 100 iterations and 50 of 5\u2009000 queries, at ε",
        ),
    ],
)
def test_what_weakens_a_number_stands_beside_it(change, words):
    assert words in abstract_of(a=evaluation(32, **change))


def test_says_how_many_numbers_agree_with_published_ones():
    summary = {"training": {}, "datasets": {}, "semantics": [], "stages": [], "missing": []}
    summary |= {"evaluations": {}}
    counts = {"agrees": 7, "differs": 2, "not comparable": 3, "not run": 4}
    text = " ".join(write_abstract(SPEC, summary | {"verdicts": counts}))
    assert "Of 9 numbers that can be compared with a published one, 7 agree" in text
    assert "and 2 differ, 4 were not run." in text
    counts |= {"agrees": 0, "differs": 0}
    assert "published" not in " ".join(write_abstract(SPEC, summary | {"verdicts": counts}))


def test_an_abstract_tells_of_the_problems_with_the_most_models():
    attacked = {name: evaluation(20, threat={"norm": "linf", "epsilon_255": 4}) for name in "ab"}
    for radius, name in enumerate("cde", start=6):
        attacked[name] = evaluation(10, threat={"norm": "linf", "epsilon_255": radius})
    text = abstract_of(**attacked)
    assert "ε = 4/255" in text and "ε = 6/255" in text and "ε = 7/255" in text
    assert "ε = 8/255" not in text
    assert "The tables hold 1 further pair of data set and radius." in text
    del attacked["e"]
    assert "further" not in abstract_of(**attacked)


def test_counts_the_data_sets_of_trainings_only():
    built = {name: {"status": "built"} for name in ("set", "other", "shown", "drawn")}
    training = {name: {"status": "done"} for name in "ab"} | {"c": {"status": "missing"}}
    spec = SPEC | {
        "experiments": {
            "a": {"label": "A", "dataset": "set", "synthetic": {"dataset": "drawn", "ratio": 0.5}},
            "b": {"label": "B", "dataset": "set"},
            "c": {"label": "C", "dataset": "other"},
        }
    }
    summary = {"training": training, "datasets": built, "semantics": [], "stages": []}
    text = " ".join(write_abstract(spec, summary | {"missing": [], "evaluations": {}}))
    assert "This run trained 2 models on 2 data sets" in text


def test_names_catastrophic_overfitting_and_counts_claims():
    training = {
        "a": {"status": "done", "overfitting": {"epoch": 7}},
        "b": {"status": "done", "overfitting": {"epoch": None}},
        "c": {"status": "done"},
    }
    summary = {"training": training, "datasets": {}, "semantics": [], "stages": [], "missing": []}
    claims = [{"verdict": word} for word in ("supported", "undecided", "supported")]
    text = " ".join(write_abstract(SPEC, summary | {"evaluations": {}, "claims": claims}))
    assert "falls under a stronger one, struck “A” (epoch 7)." in text and "“B”" not in text
    assert "Verdicts on 3 claims: 2 supported and 1 undecided." in text
