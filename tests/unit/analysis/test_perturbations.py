"""Perturbations as pictures and as a TFDS set, and their classification."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import torch
from evaluation_samples import CLASSES, DATASET, classify_spec, perturb_spec
from hypothesis import given
from hypothesis import strategies as st

from robustvit.analysis.classification import (
    Ranking,
    class_ranks,
    classify,
    reading_spec,
    summarise,
)
from robustvit.analysis.perturbations import choose_examples, make_perturbations, picture
from robustvit.core.errors import UserError
from robustvit.core.files import read_json, write_json
from robustvit.data.evaluation_images import load_eval_batch
from robustvit.data.reading import TfdsImages


@given(st.floats(-1, 1), st.sampled_from([4, 8]), st.sampled_from(["minus", "plus"]))
def test_a_picture_is_the_perturbation_on_the_scale_of_epsilon(share, epsilon_255, sign) -> None:
    epsilon, images = epsilon_255 / 255, torch.full((1, 3, 2, 2), 0.5)
    shown = picture(images, images + share * epsilon, epsilon, sign)
    direction = -1 if sign == "minus" else 1
    assert shown.shape == (1, 2, 2, 3)
    assert shown.dtype == np.uint8
    assert abs(int(shown[0, 0, 0, 0]) - 255 * (direction * share + 1) / 2) <= 0.51


def test_an_unknown_sign_is_refused() -> None:
    with pytest.raises(UserError, match='Did you mean "minus"'):
        picture(torch.zeros(1, 3, 2, 2), torch.zeros(1, 3, 2, 2), 0.1, "minu")


@pytest.fixture
def perturbed(colours, weights, cpu, tmp_path):
    """Manifest and examples of the tiny model's perturbations."""
    output, examples = tmp_path / "set" / "manifest.json", tmp_path / "set" / "examples.npz"
    make_perturbations(perturb_spec(), colours, weights, output, examples, cpu)
    return output, examples


def test_the_set_holds_the_perturbation_of_every_selected_image(perturbed, colours) -> None:
    output, examples = perturbed
    manifest = read_json(output)
    assert manifest["dataset"] == "p_tiny_semantics_tiny"
    assert manifest["splits"]["test"]["num_examples"] == DATASET["num_examples"]
    assert manifest["stand_in"] is True
    assert manifest["classes"] == CLASSES
    assert manifest["perturbation"]["generator"] == "tiny"
    assert manifest["perturbation"]["attacked_set"] == "colours"
    data = TfdsImages(output, reading_spec(manifest, classify_spec()))
    with np.load(examples) as stored:
        found = dict(stored)
    for place, name in enumerate(found["ids"]):
        image, label = data[data.ids.index(name)]
        assert (image == found["perturbation"][place]).all()
        assert label == found["labels"][place]
    originals = TfdsImages(colours, DATASET)
    assert set(data.ids) < set(originals.ids)


def test_the_set_is_as_official_as_the_attacked_one(colours, weights, cpu, tmp_path) -> None:
    attacked = shutil.copytree(colours.parent, tmp_path / "attacked") / colours.name
    write_json(attacked, read_json(attacked) | {"complete": False})
    output = tmp_path / "set" / "manifest.json"
    examples = output.with_name("examples.npz")
    make_perturbations(perturb_spec(), attacked, weights, output, examples, cpu)
    assert read_json(output)["complete"] is False


def test_examples_say_everything_about_an_image(perturbed, colours) -> None:
    with np.load(perturbed[1], allow_pickle=False) as stored:
        found = dict(stored)
    assert found["images"].shape == found["adversarial"].shape == (16, 3, 16, 16)
    assert found["perturbation"].shape == (16, 16, 16, 3)
    assert abs(found["adversarial"] - found["images"]).max() <= 8 / 255 + 1e-6
    assert list(found["label_names"]) == [CLASSES[label] for label in found["labels"]]
    assert (found["prediction"] == found["labels"]).mean() > 0.8
    assert (found["adversarial_prediction"] == found["labels"]).mean() < 0.7
    data = TfdsImages(colours, DATASET)
    places = [data.ids.index(name) for name in found["ids"]]
    images = load_eval_batch(colours, DATASET, places)[0]
    assert np.array_equal(images.numpy(), found["images"])


def test_the_same_perturbations_every_time(perturbed, colours, weights, cpu, tmp_path) -> None:
    output = tmp_path / "again" / "manifest.json"
    spec = perturb_spec(batch_size=5)
    make_perturbations(spec, colours, weights, output, output.with_name("examples.npz"), cpu)
    assert read_json(output)["sha256"] == read_json(perturbed[0])["sha256"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"attack": {"name": "autoattack", "options": {}}}, 'use "pgd"'),
        ({"threat": {"norm": "linf", "epsilon_255": 0}}, "more than 0"),
    ],
)
def test_wrong_settings_leave_nothing_behind(colours, weights, cpu, tmp_path, change, message):
    output = tmp_path / "set" / "manifest.json"
    with pytest.raises(UserError, match=message):
        make_perturbations(
            perturb_spec() | change, colours, weights, output, tmp_path / "set" / "e.npz", cpu
        )
    assert not list(tmp_path.iterdir())


def test_figures_show_the_same_images_of_every_model() -> None:
    assert choose_examples(200, 1) == choose_examples(200, 1)
    assert len(choose_examples(200, 1)) == 16
    assert choose_examples(5, 1) == [0, 1, 2, 3, 4]


def test_classification(perturbed, weights, cpu) -> None:
    rows, summary, _ = classify(classify_spec(), perturbed[0], weights, cpu)
    rows = rows.to_pandas()
    assert len(rows) == summary["num_examples"] == 24
    assert ((rows["rank"] == 0) == (rows["prediction"] == rows["label"])).all()
    assert summary["top1"]["k"] == (rows["rank"] == 0).sum()
    assert summary["top5"]["value"] == 1.0
    assert (summary["chance_top1"], summary["chance_top5"]) == (0.25, 1.0)
    assert summary["perturbation"]["sign"] == "minus"
    assert summary["stand_in"] is True


def test_ranks_count_ties_against_the_label() -> None:
    logits = torch.tensor([[3.0, 2.0, 1.0], [1.0, 1.0, 0.0], [0.0, 5.0, 4.0]])
    assert class_ranks(logits)[:, 0].tolist() == [0, 1, 2]


def test_chance_and_p_values() -> None:
    summary = summarise(np.array([0] * 30 + [3] * 40 + [8] * 30), {1: 0.1, 5: 0.5})
    assert summary["top1"]["value"] == pytest.approx(0.3)
    assert summary["top5"]["value"] == pytest.approx(0.7)
    assert (summary["chance_top1"], summary["chance_top5"]) == (0.1, 0.5)
    assert summary["p_value_top1"] < 1e-7
    assert 1e-6 < summary["p_value_top5"] < 1e-4


def test_chance_of_a_set_whose_classes_differ_in_size_is_that_of_the_same_answers() -> None:
    """Always the frequent class of three: right for 8 of 10 images, and no sign of knowledge."""
    labels = np.array([0] * 8 + [1, 2])
    ranking = Ranking()
    ranking.add(torch.tensor([[3.0, 2.0, 1.0]] * 10), torch.from_numpy(labels))
    summary = ranking.summary(labels)
    assert summary["top1"]["value"] == summary["chance_top1"] == 0.8
    assert summary["p_value_top1"] == 1.0
    assert summary["verdict_top1"] == "at chance"


def test_a_set_is_written_without_a_folder_in_a_folder(perturbed) -> None:
    """A killed attack must leave only what the next one removes."""
    output, _ = perturbed
    assert [path.name for path in output.parent.parent.iterdir()] == [output.parent.name]


def test_there_is_one_encoder_of_pngs() -> None:
    from robustvit.analysis import perturbations
    from robustvit.data import png

    assert perturbations.encode_png is png.encode_png
