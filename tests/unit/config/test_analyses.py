"""What the configuration of the analyses comes to."""

from __future__ import annotations

import pytest

from robustvit.config import analysis_specs, inputs, reports, specs
from robustvit.config.report_jobs import report_jobs
from robustvit.config.resolve import resolve


@pytest.fixture
def stand_in(paper):
    return dict.fromkeys(paper["datasets"], False)


def test_every_nth_epoch_until_the_shortest_training_ends(paper):
    found = resolve(paper)["attack_losses"]["effectiveness"]["epochs"]
    assert found == list(range(10, 101, 10))  # ResNet-50 trains for 100 epochs, XCiT for 110
    paper["recipes"]["light"]["epochs"] = 25
    assert resolve(paper)["attack_losses"]["effectiveness"]["epochs"] == [10, 20, 30]


def test_a_key_that_is_null_is_in_no_training(paper, stand_in):
    """Trainings from before it stay what they were."""
    config = resolve(paper)
    standard = specs.train_spec(config, "xcit_s12_standard", stand_in)["recipe"]
    assert not {"keep_epochs", "watch"} & standard.keys()
    light = specs.train_spec(config, "xcit_s12_light", stand_in)["recipe"]
    assert (light["keep_epochs"], light["watch"]) == (10, {"steps": 10, "num_examples": 1000})
    plugins = inputs.training_plugins(config, "xcit_s12_light")
    assert "robustvit.training.evaluators.watched" in plugins
    plugins = inputs.training_plugins(config, "xcit_s12_standard")
    assert "robustvit.training.evaluators.watched" not in plugins


@pytest.mark.parametrize(
    ("classifier", "crop_pct"), [("convnext_xl", 0.875), ("beit_l", 0.9), ("swin_l", 0.9)]
)
def test_each_classifier_has_its_own_transform(paper, classifier, crop_pct):
    spec = analysis_specs.classify_spec(resolve(paper), "table9", "xcit_s12_timm", classifier)
    assert spec["images"] == {"crop_pct": crop_pct, "interpolation": None}
    assert spec["model"]["image_size"] == 224
    assert spec["controls"] == ["shuffled_pixels", "random_sign", "other_sign"]


def test_figures_of_one_batch_show_the_same_images(paper, stand_in):
    """The notebook resizes alike for all models; in Table 9 each takes its own images."""
    config = resolve(paper)
    for name, alike in (("perturbation_figures", True), ("table9", False)):
        crops = {
            tuple(analysis_specs.perturb_spec(config, name, g, stand_in)["dataset"].items())
            for g in config["semantics"][name]["generators"]
        }
        assert (len(crops) == 1) == alike
    spec = analysis_specs.perturb_spec(config, "figure1", "resnet50_timm", stand_in)
    assert spec["attack_label"] == "prediction"


def test_the_weights_of_an_epoch(paper):
    config = resolve(paper)
    jobs = report_jobs(config)
    assert "effectiveness-xcit_s12_canonical-80" in jobs["measure_losses"]
    assert "convergence-xcit_s12_light-final" in jobs["measure_losses"]
    assert "xcit_s12_canonical-80" in jobs["take_epoch"]
    found = analysis_specs.losses_weights(config, "xcit_s12_canonical", "80")
    assert found == "train/xcit_s12_canonical/epochs/80.safetensors"
    final = analysis_specs.losses_weights(config, "attack_steps_xcit_s12_light", "final")
    assert final == "train/xcit_s12_light/weights.safetensors"


def test_a_gallery_is_made_and_not_in_the_pdf(paper):
    config = resolve(paper)
    made = report_jobs(config)["make_figure"]
    shown = [figure["name"] for figure in reports.report_spec(config)["figures"]]
    for name in ("perturbation_gallery", "gradient_gallery"):
        assert name in made and name not in shown


def test_captions_of_analyses_say_what_runs(paper):
    config = resolve(paper)
    caption = reports.figure_spec(config, "attack_effectiveness")["caption"]
    assert "PGD-200" in caption and "means of 3 random" in caption and "4/255" in caption
    caption = reports.figure_spec(config, "overfitting_curves")["caption"]
    assert "1\u2009000 validation images" in caption and "PGD of 10 steps" in caption
