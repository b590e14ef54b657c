"""Control pictures, verdicts about chance, and the comparison of generators."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from evaluation_samples import classify_spec, perturb_spec

from robustvit.analysis.classification import Ranking, classify, independent_share, verdict
from robustvit.analysis.comparison import compare
from robustvit.analysis.controls import CONTROLS, apply_control
from robustvit.analysis.perturbations import make_perturbations
from robustvit.core.errors import UserError
from robustvit.core.files import read_json, write_json
from robustvit.data.reading import TfdsImages
from robustvit.evaluation.rows import write_rows

PICTURE = np.random.default_rng(0).integers(0, 256, (12, 10, 3)).astype(np.uint8)


@pytest.mark.parametrize("name", CONTROLS)
def test_a_control_depends_on_the_example_and_nothing_else(name):
    shown = apply_control(name, PICTURE, 42, "a")
    assert shown.shape == PICTURE.shape and shown.dtype == np.uint8
    assert np.array_equal(shown, apply_control(name, PICTURE, 42, "a"))
    if name != "other_sign":
        assert not np.array_equal(shown, apply_control(name, PICTURE, 42, "b"))
        assert not np.array_equal(shown, apply_control(name, PICTURE, 43, "a"))


def test_shuffling_keeps_the_colours_and_moves_the_pixels():
    shown = apply_control("shuffled_pixels", PICTURE, 42, "a")
    before, after = (sorted(map(tuple, x.reshape(-1, 3).tolist())) for x in (PICTURE, shown))
    assert before == after
    assert (shown != PICTURE).any(axis=2).mean() > 0.9


def test_random_signs_are_fair_and_know_nothing_of_the_picture():
    shown = apply_control("random_sign", np.zeros((64, 64, 3), np.uint8), 42, "a")
    assert set(np.unique(shown)) == {0, 255}
    assert abs((shown == 255).mean() - 0.5) < 4 * 0.5 / np.sqrt(shown.size)
    assert np.array_equal(shown, apply_control("random_sign", shown, 42, "a"))


def test_the_other_sign_is_that_of_the_other_convention(colours, weights, cpu, tmp_path):
    pictures = {}
    for sign in ("minus", "plus"):
        output = tmp_path / sign / "manifest.json"
        make_perturbations(
            perturb_spec(sign=sign), colours, weights, output, output.with_name("e.npz"), cpu
        )
        reading = {"name": "p", "split": "test", "num_classes": 4}
        pictures[sign] = np.stack(TfdsImages(output, reading).images(range(24))).astype(int)
    mirrored = np.stack([apply_control("other_sign", p, 0, "a") for p in pictures["minus"]])
    assert np.abs(mirrored - pictures["plus"]).max() <= 1  # half of a grey level rounds both ways


def test_an_unknown_control_is_refused():
    with pytest.raises(UserError, match='Did you mean "random_sign"'):
        apply_control("random_sing", PICTURE, 0, "a")


def test_independent_predictions_on_a_balanced_set_are_right_once_in_k():
    labels = np.repeat(np.arange(5), 8)
    for named in ([40, 0, 0, 0, 0], [10, 10, 5, 5, 10]):
        assert independent_share(named, labels) == pytest.approx(1 / 5)
    assert independent_share([0, 40, 0, 0, 0], np.zeros(40, int)) == 0.0


def test_independent_share_is_what_shuffled_labels_give():
    random = np.random.default_rng(0)
    labels, predictions = random.integers(0, 6, 200) ** 2 % 6, random.integers(0, 4, 200)
    named = np.bincount(predictions, minlength=6)
    shuffled = [(random.permutation(labels) == predictions).mean() for _ in range(2000)]
    assert independent_share(named, labels) == pytest.approx(np.mean(shuffled), abs=0.005)


def test_verdicts():
    assert verdict({"low": 0.1, "high": 0.2}, 0.15) == "at chance"
    assert verdict({"low": 0.1, "high": 0.2}, 0.05) == "above chance"
    assert verdict({"low": 0.1, "high": 0.2}, 0.25) == "below chance"


def test_a_ranking_does_not_depend_on_the_batches():
    logits = torch.randn(30, 7, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(30) % 7
    one, several = Ranking(), Ranking()
    one.add(logits, labels)
    for part, own in zip(logits.split(11), labels.split(11), strict=True):
        several.add(part, own)
    assert one.summary(labels.numpy()) == several.summary(labels.numpy())
    assert one.summary(labels.numpy())["top5"]["k"] == (one.ranks < 5).sum()


@pytest.fixture
def compared(colours, weights, cpu, tmp_path):
    """Two generators of the tiny analysis, of which one's pictures tell nothing."""
    names = {"generators": ["tiny", "other"], "classifiers": ["tiny"]}
    for generator in names["generators"]:
        made = tmp_path / generator / "manifest.json"
        spec = perturb_spec(generator=generator)
        make_perturbations(spec, colours, weights, made, made.with_name("e.npz"), cpu)
        spec = classify_spec(generator=generator, controls=list(CONTROLS))
        rows, summary, meta = classify(spec, made, weights, cpu)
        if generator == "other":
            ranks = np.full(24, 6)
            rows = rows.set_column(rows.schema.get_field_index("rank"), "rank", [ranks])
        write_rows(made.with_name("tiny.parquet"), rows, meta)
        write_json(made.with_name("tiny.json"), summary)
    return {"semantics": "tiny-semantics", **names}, tmp_path


def test_generators_are_compared_image_by_image(compared):
    spec, folder = compared
    found = compare(spec, folder)
    (pair,) = [pair for pair in found["pairs"] if pair["metric"] == "top1"]
    right = pair["only_first"]
    assert (pair["first"], pair["second"], pair["only_second"]) == ("tiny", "other", 0)
    assert pair["difference"]["value"] == pytest.approx(right / 24)
    assert pair["p_value"] == pytest.approx(min(1.0, 2 * 0.5**right))
    assert {c["control"] for c in found["controls"]} == set(CONTROLS)
    assert len(found["controls"]) == 2 * 2 * len(CONTROLS)
    assert all(c["p_holm"] >= c["p_value"] for c in found["controls"])
    judged = [c["p_holm"] >= 0.05 for c in found["controls"] if c["control"] != "other_sign"]
    assert judged and found["controls_at_chance"] == all(judged)


@pytest.mark.parametrize(("p_value", "at_chance"), [(1e-9, False), (0.9, True)])
def test_one_control_off_chance_is_enough(compared, p_value, at_chance):
    spec, folder = compared
    for path in (folder / generator / "tiny.json" for generator in spec["generators"]):
        record = read_json(path)
        for control in record["controls"].values():
            control |= {"p_value_top1": 0.9, "p_value_top5": 0.9}
        record["controls"]["shuffled_pixels"]["p_value_top1"] = p_value
        record["controls"]["other_sign"]["p_value_top1"] = 1e-9
        write_json(path, record)
    assert compare(spec, folder)["controls_at_chance"] is at_chance


def test_other_images_cannot_be_compared(compared):
    spec, folder = compared
    import pyarrow.parquet as pq

    path = folder / "other" / "tiny.parquet"
    write_rows(path, pq.read_table(path).slice(1), {})
    with pytest.raises(UserError, match="holds other images"):
        compare(spec, folder)
