"""What figures and tables of the analyses say: overfitting, attack strength, semantics."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from analysis_samples import EPOCHS, SPECS, STEPS

from robustvit.core.errors import UserError
from robustvit.core.files import write_json
from robustvit.core.plugins import load
from robustvit.evaluation.statistics import proportion
from robustvit.reporting.display_tables import display_table
from robustvit.reporting.figure import PACKAGE, make_figure
from robustvit.reporting.published import Published
from robustvit.reporting.results import Results
from robustvit.reporting.summary import build_summary
from robustvit.reporting.table import build_table

BY_KIND = {spec["kind"]: spec for spec in SPECS}
ROWS = BY_KIND["overfitting"]["options"]["rows"]
NOTHING = Published({}, Path("published.csv"))


def described(kind, root, folder):
    make_figure(BY_KIND[kind], root, folder / "figure")
    return json.loads((folder / "figure.json").read_text())


def test_the_breakdown_is_dated_and_named(full_root, tmp_path):
    found = described("overfitting", full_root, tmp_path)
    sound, broken = (entry["overfitting"] for entry in found["data"])
    assert (sound["verdict"], sound["epoch"]) == ("no catastrophic overfitting", None)
    assert (broken["verdict"], broken["epoch"]) == ("catastrophic overfitting", 6)
    assert "Canonical recipe: catastrophic overfitting from epoch 6 on" in found["alt"]


def test_an_unwatched_training_cannot_be_shown(full_root, tmp_path):
    spec = BY_KIND["overfitting"] | {"options": {"rows": [{"experiment": "demo_light"}]}}
    with pytest.raises(UserError, match="was not watched; give its recipe"):
        make_figure(spec, full_root, tmp_path / "figure")


def test_few_steps_against_many(full_root, tmp_path):
    sound, broken = described("attack_effectiveness", full_root, tmp_path)["data"]
    assert sound["epochs"] == EPOCHS
    assert sound["gaps"]["20"] == [0.0] * 3
    assert max(sound["gaps"]["1"]) < 0.12
    assert broken["gaps"]["1"][-1] > 0.8
    spec = BY_KIND["attack_effectiveness"]
    spec = spec | {"options": spec["options"] | {"epochs": None}}
    with pytest.raises(UserError, match="give its entry of attack_losses `epochs`"):
        make_figure(spec, full_root, tmp_path / "figure")


@pytest.mark.parametrize("kind", ["attack_effectiveness", "overfitting"])
def test_every_point_is_inside_its_panel(full_root, kind):
    plugin, spec = load(PACKAGE, kind), BY_KIND[kind]
    figure = plugin.draw(spec, plugin.read(spec["options"], full_root))
    for axes in figure.axes:
        low, high = axes.get_ylim()
        for line in axes.lines:
            inside = [low <= y <= high for y in line.get_ydata()]
            assert all(inside)


def test_convergence_reads_the_final_weights(full_root, tmp_path):
    options = BY_KIND["attack_convergence"]["options"]
    assert load(PACKAGE, "attack_convergence").files(options)[0].endswith("/final.json")
    sound = described("attack_convergence", full_root, tmp_path)["data"][0]
    assert sound["steps"] == STEPS
    assert sound["loss"] == sorted(sound["loss"])
    assert len(sound["loss_by_seed"][0]) == 3


def test_accuracy_by_radius(full_root, tmp_path):
    found = described("accuracy_by_radius", full_root, tmp_path)["data"]
    assert [point["epsilon_255"] for point in found["points"]] == [0, 4, 8]


@pytest.mark.parametrize(
    ("shares", "falls", "told"),
    [((0.8, 0.5), True, "it never rises"), ((0.2, 0.9), False, "it rises somewhere")],
)
def test_accuracy_that_rises_with_the_radius_is_told(shares, falls, told):
    points = [
        {"epsilon_255": radius, "measured": proportion(round(100 * share), 100)}
        for radius, share in zip((2, 4), shares, strict=True)
    ]
    plugin = load(PACKAGE, "accuracy_by_radius")
    found = plugin.describe(BY_KIND["accuracy_by_radius"], {"points": points})
    assert found["data"]["never_rises"] is falls
    assert told in found["alt"]


def test_the_table_of_watched_trainings(full_root):
    spec = {"name": "watched", "kind": "overfitting", "rows": ROWS}
    table = build_table(spec, Results(full_root), NOTHING)
    broken = table["rows"][1]
    assert broken["overfitting"]["epoch"] == 6
    values = [cell["measured"]["value"] for cell in broken["cells"]]
    assert values == pytest.approx([0.41, 0.05, 0.5, 0.65])
    assert "from epoch 6 on (best epoch before it: 5): PGD-10 falls" in table["notes"][1]
    assert table["notes"][0].startswith("“Light recipe”: no catastrophic overfitting")
    shown = display_table(table, {"experiments": {}})
    assert table["notes"][1] in shown["notes"]


def test_the_legend_names_the_attacks_of_all_panels(full_root):
    rows = [ROWS[0], ROWS[1] | {"attacks": ["PGD-2", "PGD-10"]}]
    spec = BY_KIND["overfitting"] | {"options": {"rows": rows}}
    plugin = load(PACKAGE, "overfitting")
    figure = plugin.draw(spec, plugin.read(spec["options"], full_root))
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert texts == ["under PGD-1 or PGD-2", "under PGD-10"]


def test_the_table_says_where_the_data_cannot(root):
    lines = ["epoch,watch_weak_top1,watch_strong_top1,watch_examples", "0,0.4,0.05,1000"]
    folder = root / "train" / "hopeless"
    folder.mkdir(parents=True)
    (folder / "metrics.csv").write_text("\n".join([*lines, "1,0.6,0.0,1000"]))
    write_json(folder / "config.yaml", {"dataset": {"num_classes": 10}})
    rows = [{"experiment": "hopeless", "label": "Hopeless", "attacks": ["PGD-1", "PGD-10"]}]
    spec = {"name": "watched", "kind": "overfitting", "rows": rows}
    table = build_table(spec, Results(root), NOTHING)
    assert table["notes"][0].startswith("“Hopeless”: cannot be told")
    assert "never above chance" in table["notes"][0] and "as after" in table["notes"][0]
    options = {"name": "o", "kind": "overfitting", "options": {"rows": rows}}
    plugin = load(PACKAGE, "overfitting")
    alt = plugin.describe(options, plugin.read(options["options"], root))["alt"]
    assert "Hopeless: catastrophic overfitting cannot be told" in alt


def test_the_summary_dates_the_breakdown(full_root):
    trained = {name: {"recipe": {}, "evaluate": {}} for name in ("watched_broken", "demo_light")}
    for entry in trained.values():
        entry["recipe"] = {"selection": "last"}
    summary = build_summary({"experiments": trained}, Results(full_root), NOTHING)
    assert summary["training"]["watched_broken"]["overfitting"]["epoch"] == 6
    assert summary["training"]["demo_light"]["overfitting"] is None


def classified(hits):
    found = {}
    for top in (1, 5):
        found |= {f"top{top}": proportion(hits, 64), f"chance_top{top}": 0.1 * top}
        found |= {f"verdict_top{top}": "at chance"}
    return found


@pytest.fixture
def semantics(root):
    """Classifications with controls and their comparison."""
    folder = root / "semantics/own"
    for name, hits in (("demo_light", 40), ("demo_standard", 8)):
        record = classified(hits) | {"controls": {"shuffled_pixels": classified(7)}}
        write_json(folder / name / "net.json", record)
    pair = {"classifier": "net", "metric": "top1", "first": "demo_light"}
    pair |= {"second": "demo_standard", "p_holm": 0.0001}
    pair |= {"difference": {"value": 0.5, "low": 0.38, "high": 0.61}}
    control = {"generator": "demo_light", "classifier": "net", "control": "shuffled_pixels"}
    control |= {"metric": "top1", "verdict": "at chance", "p_holm": 0.7}
    found = {"pairs": [pair], "controls": [control], "test": "some test", "control_test": "other"}
    write_json(folder / "comparison.json", found)
    return {
        "name": "own",
        "kind": "semantics",
        "semantics": "own",
        "generators": [
            {"experiment": "demo_light", "label": "A"},
            {"experiment": "demo_standard", "label": "B"},
        ],
        "classifiers": [{"experiment": "net", "label": "Net"}],
        "metrics": ["top1"],
        "controls": ["shuffled_pixels"],
    }


def test_controls_have_rows_and_differences_have_notes(root, semantics):
    table = build_table(semantics, Results(root), NOTHING)
    assert [row["label"] for row in table["rows"]] == [
        *("A", "A, pixels shuffled", "B", "B, pixels shuffled")
    ]
    assert table["rows"][1]["cells"][0]["measured"]["k"] == 7
    assert table["rows"][1]["cells"][0]["reading"] == "at chance"
    assert table["notes"][0] == ("Net, top-1: “A” against “B” +50.0 [+38.0 to +61.0], p < 0.001.")
    assert table["notes"][-1].endswith("holds chance: pixels shuffled: 1 of 1.")
    assert not table["missing"]


def judged(generator, control, p_holm, hits=7, metric="top1"):
    return {
        "generator": generator,
        "classifier": "net",
        "control": control,
        "metric": metric,
        "measured": proportion(hits, 64),
        "expected": 0.1,
        "verdict": "at chance" if p_holm > 0.05 else "above chance",
        "p_holm": p_holm,
    }


def note_of(root, semantics, controls, at_chance):
    """The last note of the table beneath which these controls are told."""
    path = root / "semantics/own/comparison.json"
    found = json.loads(path.read_text()) | {"controls": controls, "controls_at_chance": at_chance}
    write_json(path, found)
    table = build_table(semantics, Results(root), NOTHING)
    shown = display_table(table, {})["notes"]
    assert shown == table["notes"]  # what PDF and page print
    return shown[-1]


def test_controls_that_fall_to_chance_are_told_in_a_sentence(root, semantics):
    controls = [judged(g, "shuffled_pixels", 0.7) for g in ("demo_light", "demo_standard")]
    controls += [judged("demo_light", "random_sign", 1.0)]
    controls += [judged("demo_light", "other_sign", 1e-6, hits=40)]  # may show a class
    note = note_of(root, semantics, controls, at_chance=True)
    assert note == (
        "All controls fall to chance: those of pixels shuffled and random signs instead, 3 in all, "
        "after Holm's correction."
    )


def test_a_control_off_chance_is_named_with_its_share_interval_and_chance(root, semantics):
    controls = [judged("demo_light", "shuffled_pixels", 0.7)]
    controls += [judged("demo_standard", "random_sign", 0.001, hits=20, metric="top5")]
    controls += [judged("demo_light", "other_sign", 1e-6, hits=40)]
    note = note_of(root, semantics, controls, at_chance=False)
    assert note.startswith("Not all controls fall to chance (of pixels shuffled and random signs")
    assert note.endswith(
        "; off it are: “B”, random signs instead, named by “Net”, top-5: 31.2 % [21.2–43.4], "
        "chance 10.0 %."
    )


def test_many_controls_off_chance_are_counted(root, semantics):
    controls = [judged("demo_light", "shuffled_pixels", 0.001 * i) for i in range(9)]
    note = note_of(root, semantics, controls, at_chance=False)
    assert note.count("named by") == 6
    assert note.endswith("; 3 more in comparison.json.")


def test_without_pure_controls_nothing_is_said_of_chance(root, semantics):
    note = note_of(root, semantics, [judged("demo_light", "other_sign", 0.5)], at_chance=None)
    assert note.startswith("Controls whose 95 % interval holds chance: other sign of δ: 1 of 1")


def test_a_control_that_was_not_asked_for_is_not_missing(root, semantics):
    semantics |= {"controls": ["shuffled_pixels", "random_sign"]}
    (root / "semantics/own/demo_standard/net.json").unlink()
    table = build_table(semantics, Results(root), NOTHING)
    assert table["missing"] == ["semantics/own/demo_standard/net.json"]
    statuses = [row["cells"][0]["status"] for row in table["rows"]]
    assert statuses == [*("measured", "measured", "not asked"), *("not run",) * 3]
    shown = [row["cells"][0]["main"] for row in display_table(table, {})["rows"]]
    assert shown[2:4] == ["not asked", "not run"]


def test_a_training_that_was_not_watched_is_not_missing(root):
    rows = [{"experiment": n, "label": n} for n in ("watched_sound", "demo_light", "not_there")]
    spec = {"name": "own", "kind": "overfitting", "rows": rows}
    table = build_table(spec, Results(root), NOTHING)
    assert table["missing"] == ["train/not_there/metrics.csv"]
    statuses = [{cell["status"] for cell in row["cells"]} for row in table["rows"]]
    assert statuses == [{"measured"}, {"not watched"}, {"not run"}]
    shown = [row["cells"][0]["main"] for row in display_table(table, {})["rows"]]
    assert shown[1:] == ["not watched", "not run"]


def test_without_a_comparison_the_table_stands_alone(root, semantics):
    (root / "semantics/own/comparison.json").unlink()
    assert build_table(semantics, Results(root), NOTHING)["notes"] == []


def test_the_summary_holds_the_comparisons(root, semantics):
    spec = {"experiments": {}, "semantics": [{**semantics}]}
    (found,) = build_summary(spec, Results(root), NOTHING)["comparisons"]
    assert found["pairs"][0]["p_holm"] == 0.0001
    assert found["file"] == "semantics/own/comparison.json"
