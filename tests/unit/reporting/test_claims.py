"""Verdicts on claims: every one can be reached, none without all runs; the report's words."""

import csv
import io
import json

import pytest
import synthetic_specs as specs
from pdf_reading import pages_of
from synthetic_report import write_report

from robustvit.core.errors import UserError
from robustvit.core.files import write_json
from robustvit.reporting.claims import claims_csv, claims_files, judge_claims
from robustvit.reporting.display_claims import display_claims
from robustvit.reporting.results import Results
from robustvit.reporting.summary import build_summary

HIGH, LOW = [0.50, 0.51, 0.52, 0.505], [0.40, 0.41, 0.42, 0.405]


def share(value):
    return {"value": value, "low": 0.0, "high": 1.0, "k": round(1000 * value), "n": 1000}


def claim(first, second, **changes):
    """A claim about runs a0, a1, … and b0, b1, …; their values are written by `judged`."""
    groups = [
        {"label": label, "members": [{"experiment": f"{name}{i}", "seed": i} for i in range(n)]}
        for label, name, n in (("ours", "a", len(first)), ("theirs", "b", len(second)))
    ]
    return {
        "name": "mine",
        "sentence": "Ours is more robust.",
        "source": "Table 0",
        "metric": {"protocol": "apgd", "metric": "robust_top1", "label": "top-1 under APGD"},
        "groups": groups,
        "direction": "greater",
        "margin_points": 0.0,
        "test": "welch",
        "alpha": 0.05,
    } | changes


def write(root, name, value, **more):
    record = {"experiment": name, "robust_top1": share(value), "checks": [], **more}
    write_json(root / "eval" / name / "apgd.json", record)


def judged(root, first, second, **changes):
    for name, values in (("a", first), ("b", second)):
        for place, value in enumerate(values):
            write(root, f"{name}{place}", value)
    return judge_claims({"claims": [claim(first, second, **changes)]}, Results(root))["claims"][0]


@pytest.mark.parametrize("test", ["welch", "paired"])
@pytest.mark.parametrize(
    ("first", "second", "direction", "verdict"),
    [
        (HIGH, LOW, "greater", "supported"),
        (LOW, HIGH, "greater", "contradicted"),
        (HIGH, LOW, "less", "contradicted"),
        (LOW, HIGH, "less", "supported"),
        ([0.5, 0.4, 0.45], [0.41, 0.51, 0.44], "greater", "undecided"),
    ],
)
def test_every_verdict_can_be_reached(tmp_path, first, second, direction, verdict, test):
    found = judged(tmp_path, first, second, direction=direction, test=test)
    assert found["verdict"] == verdict
    assert found["low"] < found["difference"] < found["high"]
    assert (found["p_value"] < 0.05) == (verdict != "undecided")


def test_a_margin_moves_the_border(tmp_path):
    # The difference is 10 points with an interval of about ±1.5.
    assert judged(tmp_path, HIGH, LOW, margin_points=5)["verdict"] == "supported"
    assert judged(tmp_path, HIGH, LOW, margin_points=10)["verdict"] == "undecided"
    assert judged(tmp_path, HIGH, LOW, margin_points=15)["verdict"] == "contradicted"
    less = judged(tmp_path, LOW, HIGH, direction="less", margin_points=5)
    assert less["verdict"] == "supported" and less["p_value"] < 0.05


def test_alpha_widens_the_interval(tmp_path):
    first, second = [0.50, 0.53, 0.52], [0.48, 0.49, 0.50]
    assert judged(tmp_path, first, second, alpha=0.2)["verdict"] == "supported"
    assert judged(tmp_path, first, second, alpha=0.01)["verdict"] == "undecided"


def test_pairs_are_matched_by_seed_and_not_by_order(tmp_path):
    first, second = [0.50, 0.60, 0.70], [0.49, 0.585, 0.688]
    whole = judged(tmp_path, first, second, test="paired")
    assert whole["verdict"] == "supported"  # Welch sees only the spread of the seeds
    assert judged(tmp_path, first, second)["verdict"] == "undecided"
    shuffled = claim(first, second, test="paired")
    shuffled["groups"][0]["members"].reverse()
    again = judge_claims({"claims": [shuffled]}, Results(tmp_path))["claims"][0]
    assert again["low"] == pytest.approx(whole["low"])


def test_no_spread_is_no_certainty(tmp_path):
    found = judged(tmp_path, [0.1, 0.1], [0.2, 0.2])
    assert found["verdict"] == "undecided" and found["p_value"] is None
    assert "spread is unknown" in found["reason"]
    assert "spread is unknown" in " ".join(
        display_claims([found | {"p_value_holm": None}])["rows"][0]["notes"]
    )


def test_a_missing_run_is_never_judged_by_the_others(tmp_path):
    judged(tmp_path, HIGH, LOW)
    (tmp_path / "eval/b2/apgd.json").unlink()
    found = judge_claims({"claims": [claim(HIGH, LOW)]}, Results(tmp_path))["claims"][0]
    assert found["verdict"] == "not run" and found["missing"] == ["eval/b2/apgd.json"]
    assert found["difference"] is None and found["p_value_holm"] is None
    assert found["groups"][0]["mean"] == pytest.approx(0.50875)
    words = display_claims([found])
    assert words["rows"][0]["verdict"] == "not run" and words["rows"][0]["difference"] == "–"
    assert words["rows"][0]["groups"][1].endswith("(3 of 4 seeds)")
    assert "Verdicts: 1 not run." in " ".join(words["sentences"])


def test_nothing_at_all_was_run(tmp_path):
    found = judge_claims({"claims": [claim(HIGH, LOW)]}, Results(tmp_path))["claims"][0]
    assert found["verdict"] == "not run" and len(found["missing"]) == 8
    assert display_claims([found])["rows"][0]["groups"] == ["ours: not run", "theirs: not run"]


def test_a_share_of_perturbations_is_the_mean_over_classifiers(tmp_path):
    metric = {"semantics": "s", "classifiers": ["c", "d"], "metric": "top1", "label": "recognised"}
    asked = claim([0, 0], [0, 0], metric=metric)
    values = {"a0": (0.3, 0.5), "a1": (0.4, 0.44), "b0": (0.1, 0.1), "b1": (0.09, 0.13)}
    for name, shares in values.items():
        for classifier, value in zip(("c", "d"), shares, strict=True):
            path = tmp_path / f"semantics/s/{name}/{classifier}.json"
            write_json(path, {"top1": share(value)})
    assert claims_files({"claims": [asked]}) == sorted(
        f"semantics/s/{name}/{classifier}.json" for name in values for classifier in "cd"
    )
    found = judge_claims({"claims": [asked]}, Results(tmp_path))["claims"][0]
    members = found["groups"][0]["members"]
    assert [m["value"] for m in members] == pytest.approx([0.4, 0.42])
    assert found["verdict"] == "supported"


def test_a_result_without_the_metric_is_an_error(tmp_path):
    write_json(tmp_path / "eval/a0/apgd.json", {"clean_top1": share(0.5)})
    with pytest.raises(UserError, match=r"eval/a0/apgd\.json: has no robust_top1"):
        judge_claims({"claims": [claim(HIGH, LOW)]}, Results(tmp_path))


def test_csv_has_percent_and_points(tmp_path):
    found = judged(tmp_path, HIGH, LOW)
    (line,) = csv.DictReader(io.StringIO(claims_csv({"claims": [found | {"p_value_holm": 0.5}]})))
    assert line["verdict"] == "supported" and line["first_runs"] == "4"
    assert float(line["difference_points"]) == pytest.approx(10.0)
    assert float(line["second_mean_percent"]) == pytest.approx(40.875)


def test_a_failed_check_leaves_a_claim_undecided(tmp_path):
    judged(tmp_path, HIGH, LOW)
    check = {"name": "white box", "detail": "Square found 3 more", "passed": False}
    write(tmp_path, "a1", HIGH[1], checks=[check])
    found = judge_claims({"claims": [claim(HIGH, LOW)]}, Results(tmp_path))["claims"][0]
    words = display_claims([found])
    assert found["verdict"] == "undecided" and found["p_value"] < 0.05
    assert found["reason"] == "the numbers of 1 run failed a safety check"
    assert f"undecided: {found['reason']}" in words["rows"][0]["notes"]
    assert words["rows"][0]["metric"].endswith("†")
    assert words["notes"] == ["† a1: failed the safety check “white box” (Square found 3 more)."]


@pytest.mark.parametrize("values", [(HIGH, LOW), (LOW, HIGH)])
def test_stand_in_images_leave_a_claim_undecided(tmp_path, values):
    assert judged(tmp_path, *values)["verdict"] != "undecided"
    write(tmp_path, "b0", values[1][0], stand_in=True)
    found = judge_claims({"claims": [claim(*values)]}, Results(tmp_path))["claims"][0]
    assert found["verdict"] == "undecided" and found["stand_in"]
    assert found["reason"] == "stand-in images took the place of the real ones"
    (line,) = csv.DictReader(io.StringIO(claims_csv({"claims": [found]})))
    assert (line["verdict"], line["reason"]) == ("undecided", found["reason"])
    assert "Verdicts: 1 undecided." in display_claims([found])["sentences"]


def stand_in(root, name):
    write_json(root / f"datasets/{name}/manifest.json", {"dataset": name, "stand_in": True})


@pytest.mark.parametrize("of", ["members", "metric"])
def test_models_trained_on_stand_in_images_leave_a_claim_undecided(tmp_path, of):
    judged(tmp_path, HIGH, LOW)
    stand_in(tmp_path, "drawn")
    asked = claim(HIGH, LOW)
    whose = asked["groups"][1]["members"][2] if of == "members" else asked["metric"]
    whose["trained_on"] = ["real", "drawn"]
    assert "datasets/drawn/manifest.json" in claims_files({"claims": [asked]})
    found = judge_claims({"claims": [asked]}, Results(tmp_path))["claims"][0]
    assert found["verdict"] == "undecided" and not found["stand_in"]
    assert found["reason"] == "models were trained on stand-in images"
    assert display_claims([found])["rows"][0]["stand_in"]
    whose["trained_on"] = ["real"]
    found = judge_claims({"claims": [asked]}, Results(tmp_path))["claims"][0]
    assert found["verdict"] == "supported" and not display_claims([found])["rows"][0]["stand_in"]


def test_summary_and_report_show_the_verdicts(root, published, template, tmp_path):
    for name in ("demo_light", "demo_canonical"):
        for seed, value in ((1, 0.5), (2, 0.52)):
            shifted = value - 0.3 * (name == "demo_canonical")
            write(root, f"{name}{seed}", shifted)
    asked = claim([0, 0], [0, 0])
    for group, name in zip(asked["groups"], ("demo_light", "demo_canonical"), strict=True):
        group["members"] = [{"experiment": f"{name}{s}", "seed": s} for s in (1, 2)]
    other = asked | {"name": "other", "sentence": "Another.", "direction": "less"}
    write_json(root / "claims.json", judge_claims({"claims": [asked, other]}, Results(root)))
    spec = specs.report_spec() | {"claims": ["other", "mine", "third"]}
    summary = build_summary(spec, Results(root), published)
    verdicts = [(c["name"], c["verdict"]) for c in summary["claims"]]
    assert verdicts == [("other", "contradicted"), ("mine", "supported")]
    assert {"what": "verdict on claim third", "file": "claims.json"} in summary["missing"]
    text = " ".join(pages_of(write_report(root, published, template, tmp_path / "r.pdf", spec)))
    assert "Ours is more robust." in text and "+30.00 [" in text
    assert "Verdicts: 1 supported, 1 contradicted." in text
    json.dumps(summary["claims"], allow_nan=False)


def test_verdicts_of_an_earlier_run_are_not_shown(root, published):
    write_json(root / "claims.json", {"claims": [{"name": "old"}]})
    assert build_summary(specs.report_spec(), Results(root), published)["claims"] == []
