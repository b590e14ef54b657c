"""Figures: files, determinism, no overlapping text, errors."""

import inspect
import itertools
import json
from unittest import mock

import analysis_samples
import numpy as np
import pytest
import synthetic_results as synthetic
import synthetic_specs as specs

from robustvit.core.errors import UserError
from robustvit.core.plugins import available, load
from robustvit.reporting import figure as figure_module
from robustvit.reporting import style
from robustvit.reporting.figure import PACKAGE, figure_files, make_figure

SPECS = {spec["kind"]: spec for spec in specs.figure_specs()}
SPECS["contact_sheet"] = {
    "name": "demo_images",
    "kind": "contact_sheet",
    "options": {"datasets": ["squares", {"name": "oblongs", "label": "Oblongs"}], "columns": 5},
}
SPECS["class_histogram"] = {
    "name": "squares_classes",
    "kind": "class_histogram",
    "options": {"datasets": [{"name": "squares", "label": "Squares"}]},
}
SPECS |= {spec["kind"]: spec for spec in analysis_samples.SPECS}
KINDS = sorted(SPECS)


def drawn(kind, root, **options):
    """Draw a figure of `kind` without writing it."""
    plugin = load(PACKAGE, kind)
    spec = SPECS[kind] | {"options": SPECS[kind]["options"] | options}
    with style.applied():
        return plugin.draw(spec, plugin.read(spec["options"], root))


def texts_of(figure):
    """Every text that is really drawn, with its box in pixels."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.text import Text

    found, draw = {}, Text.draw

    def record(self, renderer, *arguments, **options):
        if self.get_visible() and self.get_text().strip():
            found[id(self)] = self
        return draw(self, renderer, *arguments, **options)

    with style.applied(), mock.patch.object(Text, "draw", record):
        FigureCanvasAgg(figure).draw()
        return [(text.get_text(), text.get_window_extent()) for text in found.values()]


def shrunk(box, by=1.0):
    return box.x0 + by, box.y0 + by, box.x1 - by, box.y1 - by


def overlap(a, b):
    ax0, ay0, ax1, ay1 = shrunk(a)
    bx0, by0, bx1, by1 = shrunk(b)
    return ax0 < bx1 and bx0 < ax1 and ay0 < by1 and by0 < ay1


def assert_text_is_apart(figure):
    width, height = figure.bbox.width, figure.bbox.height
    texts = texts_of(figure)
    assert texts
    for text, box in texts:
        inside = box.x0 > -1 and box.y0 > -1 and box.x1 < width + 1 and box.y1 < height + 1
        assert inside, f"{text!r} leaves the figure: {box}"
    for (one, a), (other, b) in itertools.combinations(texts, 2):
        assert not overlap(a, b), f"{one!r} lies on {other!r}"


def test_every_kind_is_tested():
    assert available(PACKAGE) == KINDS


@pytest.mark.parametrize("kind", KINDS)
def test_writes_all_formats_and_a_description(kind, full_root, tmp_path):
    make_figure(SPECS[kind], full_root, tmp_path / "figure")
    assert (tmp_path / "figure.pdf").read_bytes().startswith(b"%PDF")
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")
    svg = (tmp_path / "figure.svg").read_text()
    assert "<svg" in svg and "<dc:date>" not in svg
    described = json.loads((tmp_path / "figure.json").read_text())
    assert described["kind"] == kind
    assert len(described["alt"]) > 30
    assert described["data"]
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        f"figure.{suffix}" for suffix in ("json", "pdf", "png", "svg")
    ]


@pytest.mark.parametrize("kind", ["learning_curves", "rulegraph"])
def test_same_input_gives_the_same_bytes(kind, full_root, tmp_path):
    for name in ("one", "two"):
        make_figure(SPECS[kind], full_root, tmp_path / name)
    for suffix in ("svg", "pdf", "png"):
        one, two = (tmp_path / f"{name}.{suffix}" for name in ("one", "two"))
        assert one.read_bytes() == two.read_bytes(), suffix


@pytest.mark.parametrize("kind", KINDS)
def test_no_text_overlaps_or_leaves_the_figure(kind, full_root):
    assert_text_is_apart(drawn(kind, full_root))


def test_long_labels_do_not_overlap(full_root):
    long = "XCiT-small with a very long description of its recipe and data"
    rows = [
        {"experiment": name, "label": f"{long} {name}", "evaluate": ["clean", "autoattack"]}
        for name in synthetic.EXPERIMENTS
    ]
    assert_text_is_apart(drawn("ablation_bars", full_root, rows=rows))
    assert_text_is_apart(drawn("learning_curves", full_root, experiments=rows))


def test_figures_are_not_wider_than_the_text(full_root):
    for kind in KINDS:
        assert drawn(kind, full_root).get_figwidth() <= style.TEXT_WIDTH + 0.01


def test_missing_input_names_the_file_and_the_command(root, tmp_path):
    (root / "gradients/demo_light.npz").unlink()
    with pytest.raises(UserError, match=r"demo_light\.npz is not there.*snakemake"):
        make_figure(SPECS["gradients"], root, tmp_path / "figure")
    assert not list(tmp_path.glob("figure*"))


def test_unknown_kind_and_missing_option(full_root, tmp_path):
    with pytest.raises(UserError, match=r'unknown figure "gradient".*"gradients"'):
        make_figure({"name": "x", "kind": "gradient"}, full_root, tmp_path / "figure")
    with pytest.raises(UserError, match=r"figures\.x: .*has no 'models'"):
        make_figure({"name": "x", "kind": "gradients"}, full_root, tmp_path / "figure")


def test_perturbations_show_many_classes(full_root, tmp_path):
    plugin = load(PACKAGE, "perturbations")
    options = SPECS["perturbations"]["options"]
    inputs = plugin.read(options | {"columns": 4}, full_root)
    assert sorted(inputs["examples"][0]["labels"][inputs["chosen"]]) == [0, 1, 2, 3]
    chosen = plugin.read(options | {"classes": ["cat"]}, full_root)["chosen"]
    assert set(inputs["examples"][0]["label_names"][chosen]) == {"cat"}
    with pytest.raises(UserError, match="Known: airplane"):
        plugin.read(options | {"classes": ["dog"]}, full_root)


def test_perturbations_of_other_images_are_refused(root, tmp_path):
    path = root / "semantics/demo/demo_standard/examples.npz"
    with np.load(path) as stored:
        arrays = dict(stored)
    np.savez(path, **arrays | {"labels": arrays["labels"][::-1]})
    with pytest.raises(UserError, match="its images are not those of"):
        make_figure(SPECS["perturbations"], root, tmp_path / "figure")


def test_perturbations_scaled_as_the_thesis_and_as_its_notebooks(full_root):
    plugin, options = load(PACKAGE, "perturbations"), SPECS["perturbations"]["options"]
    example = plugin.read(options, full_root)["examples"][0]
    thesis = plugin.picture(example, 3, options)
    assert np.array_equal(thesis, example["perturbation"][3] / 255)
    delta = (example["adversarial"][3] - example["images"][3]).transpose(1, 2, 0)
    notebook = plugin.picture(example, 3, options | {"scaling": "max", "sign": "minus"})
    assert notebook == pytest.approx(0.5 - delta / np.abs(delta).max() / 2, abs=1e-6)
    grey = plugin.picture(example, 3, options | {"scaling": "max", "colors": "grey"})
    assert np.ptp(grey, axis=2).max() == 0
    luma = notebook @ np.array([0.299, 0.587, 0.114])
    assert grey[:, :, 0] == pytest.approx(1 - luma, abs=1e-6)
    with pytest.raises(UserError, match='Did you mean "max"'):
        plugin.read(options | {"scaling": "mx"}, full_root)


def test_a_gallery_wraps_into_blocks_and_shows_attacked_images(full_root):
    kind, extra = "perturbations", {"columns": 7, "wrap": 3, "attacked": True}
    figure = drawn(kind, full_root, **extra)
    assert len(figure.axes) == 3 * (1 + 2 * 2) * 3  # blocks of an image and two models twice
    assert sum(bool(axes.images) for axes in figure.axes) == 7 * 5
    titles = [axes.get_title() for axes in figure.axes if axes.get_title()]
    assert len(titles) == 7
    boxes = [box for _, box in texts_of(figure)]
    for one, other in itertools.combinations(boxes, 2):
        assert not one.overlaps(other)
    figure = drawn("gradients", full_root, wrap=2)
    assert sum(bool(axes.images) for axes in figure.axes) == 2 * 4


def test_classes_may_be_named_in_english():
    from robustvit.reporting.class_names import place_of

    classes = ["n02980441", "n02012849", "n03126707", "deer"]
    assert place_of("castle", classes) == 0
    assert place_of("deer", classes) == 3
    assert place_of("n02012849", classes) == 1
    assert place_of("crane", classes) is None  # a bird and a machine
    assert place_of("lion", classes) is None


def test_perturbations_tell_the_prediction_in_words(full_root):
    texts = [text for text, _ in texts_of(drawn("perturbations", full_root, columns=4))]
    assert texts.count("correct") == 4
    assert "→ cat" in texts


def test_contact_sheet_takes_classes_in_turn_and_marks_stand_ins(full_root, tmp_path):
    make_figure(SPECS["contact_sheet"], full_root, tmp_path / "figure")
    squares, oblongs = json.loads((tmp_path / "figure.json").read_text())["data"]
    assert squares["classes"] == ["airplane", "automobile", "bird", "airplane", "automobile"]
    assert (squares["stand_in"], oblongs["stand_in"]) == (False, True)
    plugin = load(PACKAGE, "contact_sheet")
    rows = plugin.read(SPECS["contact_sheet"]["options"], full_root)["sets"]
    assert {row["images"][0].shape for row in rows} == {(32, 32, 3), (160, 160, 3)}
    texts = [text for text, _ in texts_of(drawn("contact_sheet", full_root))]
    assert "Oblongs\n(stand-in)" in texts


def test_contact_sheet_of_one_set_has_several_rows_and_no_empty_one(full_root, tmp_path):
    options = {"datasets": ["squares"], "columns": 3, "rows": 4, "split": None}
    spec = SPECS["contact_sheet"] | {"options": options}
    make_figure(spec, full_root, tmp_path / "figure")
    described = json.loads((tmp_path / "figure.json").read_text())
    shown = described["data"][0]["classes"]
    assert len(shown) in (6, 9, 12) and shown[:3] == ["airplane", "automobile", "bird"]
    assert f"{len(shown)} example images of squares, of these classes: airplane" in described["alt"]
    figure = drawn("contact_sheet", full_root, **options)
    assert len(figure.axes) == -(-len(shown) // 3) * 3
    assert_text_is_apart(figure)


@pytest.mark.parametrize("classes", [2, 12, 13, 1000])
def test_histogram_of_few_and_of_many_classes(tmp_path, classes):
    folder = tmp_path / "datasets" / "made"
    folder.mkdir(parents=True)
    names = [f"a class with a long name {i}" for i in range(classes)]
    counts = {"train": [100] * classes, "test": [*range(classes)]}
    splits = {split: {"class_counts": found} for split, found in counts.items()}
    manifest = {"classes": names, "splits": splits}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    spec = {"name": "x", "kind": "class_histogram", "options": {"datasets": ["made"]}}
    make_figure(spec, tmp_path, tmp_path / "figure")
    described = json.loads((tmp_path / "figure.json").read_text())
    assert described["data"]["test"] == [*range(classes)]
    assert "Split train: 100 images of each class." in described["alt"]
    assert "Split test: 0 to " in described["alt"]
    figure = drawn("class_histogram", tmp_path, datasets=["made"])
    assert_text_is_apart(figure)
    texts = [text for text, _ in texts_of(figure)]
    assert any(text.startswith("a class with") for text in texts) is (classes <= 12)


def test_histogram_of_several_sets_is_refused(full_root, tmp_path):
    spec = SPECS["class_histogram"] | {"options": {"datasets": ["squares", "oblongs"]}}
    with pytest.raises(UserError, match=r"options\.datasets: this figure shows one data set"):
        make_figure(spec, full_root, tmp_path / "figure")


def test_bars_show_what_was_not_run(root, tmp_path):
    (root / "eval/demo_light/autoattack.json").unlink()
    texts = [text for text, _ in texts_of(drawn("ablation_bars", root))]
    assert texts.count("not run") == 1
    assert "43.8" not in texts
    assert "85.9" in texts


def test_bars_without_any_evaluation_are_an_error(tmp_path):
    with pytest.raises(UserError, match="none of the evaluations"):
        make_figure(SPECS["ablation_bars"], tmp_path, tmp_path / "figure")


def test_curves_hold_percentages_of_both_kinds(full_root):
    clean, robust, rate, radius = drawn("learning_curves", full_root).axes
    assert [len(line.get_xdata()) for line in clean.lines] == [12] * 4
    assert [len(line.get_xdata()) for line in robust.lines] == [12, 12, 0, 12]
    assert clean.lines[0].get_ydata()[-1] == pytest.approx(100 * 0.8 * (1 - np.exp(-3)), abs=0.01)
    for schedule in (rate, radius):
        assert [len(line.get_xdata()) for line in schedule.lines] == [12] * 4


def test_rule_graph_leaves_out_what_is_implied(full_root, tmp_path):
    spec = {"name": "rules", "kind": "rulegraph", "options": {"dot": "rulegraph.dot"}}
    make_figure(spec, full_root, tmp_path / "rules")
    data = json.loads((tmp_path / "rules.json").read_text())["data"]
    assert len(data["rules"]) == 17
    assert ["fetch_source", "make_stand_in"] in data["edges"]
    assert ["fetch_source", "build_dataset"] not in data["edges"]  # implied by the stand-in


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_the_documented_interface(kind):
    plugin = load(PACKAGE, kind)
    for name in ("files", "read", "draw", "describe"):
        assert f"`{name}(" in figure_module.__doc__
    parameters = {
        name: list(inspect.signature(getattr(plugin, name)).parameters)
        for name in ("files", "read", "draw", "describe")
    }
    assert parameters == {
        "files": ["options"],
        "read": ["options", "root"],
        "draw": ["spec", "inputs"],
        "describe": ["spec", "inputs"],
    }


def test_bars_leave_out_what_nobody_asks_for(full_root, tmp_path):
    rows = [dict(row) for row in SPECS["ablation_bars"]["options"]["rows"]]
    rows[0]["evaluate"] = ["clean"]  # its autoattack.json lies there from an earlier run
    options = {"rows": rows}
    assert "eval/demo_light/autoattack.json" not in load(PACKAGE, "ablation_bars").files(options)
    texts = [text for text, _ in texts_of(drawn("ablation_bars", full_root, rows=rows))]
    assert "43.8" not in texts
    assert texts.count("–") == 1


def test_bars_mark_a_failed_check(full_root, tmp_path):
    texts = [text for text, _ in texts_of(drawn("ablation_bars", full_root))]
    assert "34.4†" in texts  # demo_canonical under AutoAttack
    assert any("a safety check of this evaluation failed" in text for text in texts)
    make_figure(SPECS["ablation_bars"], full_root, tmp_path / "bars")
    alt = json.loads((tmp_path / "bars.json").read_text())["alt"]
    assert "34.4 % (a safety check failed)" in alt


def test_bars_mark_what_was_chosen_on_evaluation_images(full_root, tmp_path):
    assert not any("‡" in text for text, _ in texts_of(drawn("ablation_bars", full_root)))
    rows = [dict(row) for row in SPECS["ablation_bars"]["options"]["rows"]]
    rows[1]["chosen_on_test"] = True
    texts = [text for text, _ in texts_of(drawn("ablation_bars", full_root, rows=rows))]
    assert "34.4†‡" in texts
    assert sum(text.endswith("‡") for text in texts) == 2
    assert any("‡ of the epoch that did best on evaluation images" in text for text in texts)
    spec = SPECS["ablation_bars"] | {"options": {"rows": rows}}
    make_figure(spec, full_root, tmp_path / "bars")
    alt = json.loads((tmp_path / "bars.json").read_text())["alt"]
    assert "34.4 % (a safety check failed) (epoch chosen on evaluation images)" in alt


def test_files_that_figures_read():
    assert figure_files(SPECS["perturbations"]) == [
        "semantics/demo/demo_light/examples.npz",
        "semantics/demo/demo_standard/examples.npz",
    ]
    assert figure_files(SPECS["rulegraph"]) == ["rulegraph.dot"]
