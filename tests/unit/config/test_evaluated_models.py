"""Anyone's model in a few lines: what it becomes, and what is said about mistakes in it."""

import pytest

from robustvit.config.inputs import report_experiments
from robustvit.config.report_jobs import shard_count
from robustvit.config.resolve import resolve
from robustvit.config.robustbench_export import robustbench_spec
from robustvit.config.specs import checkpoint_spec, evaluate_spec
from robustvit.core.errors import UserError
from robustvit.models.zoo import zoo_names

LINF8 = {"norm": "linf", "epsilon_255": 8}
HALF = {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]}
FOUR = {
    "of_timm": {"timm": "resnet18", "weights": "timm", "dataset": "imagenet_rb5k"},
    "of_file": {"model": "resnet50_32", "weights": "file:x.pth", "normalization": HALF},
    "of_zoo": {"robustbench": "Wong2020Fast"},
    "of_function": {"python": "my_models.py:build", "args": {"width": 4}},
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "my_models.py").write_text("def build(width):\n    ...\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def with_models(paper, **entries):
    base = {"dataset": "cifar10", "threat": LINF8}
    paper["evaluate_models"] = {name: {**base, **entry} for name, entry in entries.items()}
    return resolve(paper)


def test_four_ways_become_experiments_of_a_report_of_their_own(paper, folder):
    config = with_models(paper, **FOUR)
    assert report_experiments(config) == list(FOUR)
    assert config["report"]["figures"] == []
    table = config["tables"][config["report"]["tables"][0]]
    assert table["rows"] == list(FOUR) and table["columns"] == ["clean", "autoattack"]
    specs = {name: checkpoint_spec(config, name) for name in FOUR}
    assert specs["of_timm"]["url"] == "timm:resnet18"
    assert specs["of_timm"]["model"]["normalization"] == "own"
    assert specs["of_file"]["model"]["family"] == "resnet"
    assert specs["of_file"]["model"]["normalization"] == HALF
    zoo = {"model": "Wong2020Fast", "dataset": "cifar10", "threat": "Linf"}
    assert specs["of_zoo"]["model"]["args"] == zoo and specs["of_zoo"]["url"] is None
    assert specs["of_function"]["model"]["args"] == {"entry": "my_models.py:build", "width": 4}


@pytest.mark.parametrize(
    ("model", "crop_pct", "interpolation"),
    [
        ("Salman2020Do_R50", 0.875, "bilinear"),
        ("Singh2023Revisiting_ViT-S-ConvStem", 0.875, "bicubic"),
        ("Debenedetti2022Light_XCiT-S12", 1.0, "bicubic"),
    ],
)
def test_images_for_a_name_in_the_zoo_are_prepared_as_there(paper, model, crop_pct, interpolation):
    entry = {"robustbench": model, "dataset": "imagenet_rb5k", "evaluate": ["clean"]}
    config = with_models(paper, mine=entry)
    spec = evaluate_spec(config, "mine", "clean", 0, 1, dict.fromkeys(config["datasets"]))
    assert spec["dataset"]["crop_pct"] == crop_pct
    assert spec["dataset"]["interpolation"] == interpolation


def test_preparations_that_are_not_known_are_refused_unless_a_crop_is_named(paper):
    entry = {"robustbench": "Mo2022When_ViT-B", "dataset": "imagenet_rb5k", "evaluate": ["clean"]}
    with pytest.raises(UserError, match=r"Mo2022When_ViT-B by Res224.*crop_pct: 0\.875"):
        with_models(paper, mine=entry)
    config = with_models(paper, mine=entry | {"crop_pct": 0.9})
    spec = evaluate_spec(config, "mine", "clean", 0, 1, dict.fromkeys(config["datasets"]))
    assert spec["dataset"]["crop_pct"] == 0.9


def test_values_of_the_command_line_are_read(paper, folder):
    entry = {"python": "my_models.py:build", "num_examples": "20", "label": "8"}
    entry |= {"threat": {"norm": "linf", "epsilon_255": "8"}, "args": {"width": "4"}}
    config = with_models(paper, mine=entry)
    spec = evaluate_spec(config, "mine", "autoattack", 0, 1, dict.fromkeys(config["datasets"]))
    assert spec["threat"] == LINF8 and spec["model"]["args"]["width"] == 4
    assert spec["dataset"]["num_examples"] == 20
    assert config["experiments"]["mine"]["label"] == "8"


def test_few_images_make_few_jobs(paper, folder):
    config = with_models(paper, mine={**FOUR["of_function"], "num_examples": 100})
    assert shard_count(config, "mine", "autoattack") == 2


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ({}, "one of `timm: resnet50`"),
        ({"timm": "resnet18", "python": "my_models.py:build"}, "timm and python"),
        ({"timm": "resnet18"}, "evaluate_models.mine.weights: is missing"),
        ({"model": "resnet50_32", "weights": "file:x.pth"}, "mine.normalization: is missing"),
        ({"python": "my_models.py:build", "normalization": HALF}, "normalises inside"),
        ({"python": "my_models.py:bild"}, 'Did you mean "build"'),
        ({"python": "mine.py:build"}, "there is no file mine.py"),
        ({"python": "my_models.py"}, 'expected "my_models.py:build"'),
        ({"python": "nothere.models:build"}, "there is no package nothere"),
        ({"robustbench": "Wong2020Fats"}, 'Did you mean "Wong2020Fast"'),
        ({"robustbench": "Salman2020Do_R50"}, "dataset imagenet with threat Linf"),
        ({"model": "resnet50_23", "weights": "file:x", "normalization": None}, "resnet50_32"),
        ({"timm": "resnet18", "wieghts": "timm"}, 'Did you mean "weights"'),
        ({"python": "my_models.py:build", "dataset": "cifar"}, 'Did you mean "cifar'),
        ({"robustbench": "Wong2020Fast", "dataset": "cifar"}, 'Did you mean "cifar'),
        ({"timm": "resnet18", "weights": "resnet.pth"}, "weights"),
    ],
)
def test_a_mistake_names_the_key_and_the_way_out(paper, folder, entry, expected):
    with pytest.raises(UserError) as caught:
        with_models(paper, mine=entry)
    assert expected in str(caught.value)


def test_a_name_that_is_taken_is_refused(paper, folder):
    with pytest.raises(UserError, match="my_xcit_s12_cifar10"):
        with_models(paper, xcit_s12_cifar10=FOUR["of_function"])


def test_an_attack_needs_a_radius(paper, folder):
    with pytest.raises(UserError, match=r"mine\.threat: protocol autoattack .* no radius"):
        with_models(paper, mine={**FOUR["of_function"], "threat": None})


def test_a_checkpoint_of_files_needs_an_address(paper):
    entry = {"label": "x", "model": "resnet50", "dataset": "imagenet"}
    paper["checkpoints"]["nowhere"] = entry
    with pytest.raises(UserError, match=r"checkpoints\.nowhere\.url: is missing"):
        resolve(paper)


def test_zoo_names_are_those_of_the_package():
    assert "Wong2020Fast" in zoo_names("cifar10", "Linf")
    assert "Salman2020Do_50_2" in zoo_names("imagenet", "Linf")
    assert zoo_names("cifar100", "L2") == ()


def test_export_knows_what_a_training_saw(paper):
    config = resolve(paper)
    real = dict.fromkeys(config["datasets"], False)
    scratch = robustbench_spec(config, "xcit_s12_light", real)
    assert scratch["additional_data"] is False and scratch["forward_passes"] == 1
    assert scratch["dataset"] == "imagenet" and scratch["leaderboard"]
    assert scratch["trained_on_stand_in"] is False
    tuned = robustbench_spec(config, "xcit_s12_cifar100", real | {"imagenet": True})
    assert tuned["additional_data"] is True
    assert tuned["trained_on_stand_in"] is True  # in the training that it starts from
    released = robustbench_spec(config, "released_xcit_s12_cifar10", real | {"cifar10": True})
    assert released["trained_on_stand_in"] is False
    assert released["additional_data"] is None and released["reported"]
