"""The miniature: three architectures of one size, and claims that differ in one thing each."""

import pytest
import yaml

from robustvit.analysis.overfitting import NONE, detect
from robustvit.config.claims import claim_experiments
from robustvit.config.inputs import report_experiments
from robustvit.config.merge import deep_merge
from robustvit.config.resolve import resolve
from robustvit.config.specs import model_spec
from robustvit.core.sources import SCRIPTS
from robustvit.planning.models import model_cost

CLAIMS = {  # what the two groups of each claim differ in
    "epsilon_warmup": {"attack.epsilon_schedule", "attack.epsilon_warmup_epochs"},
    "heavy_augmentation": {f"augmentation.{k}" for k in ("mixup", "cutmix", "randaugment")}
    | {"augmentation.random_erasing"},
    "weight_decay": {"optimizer.weight_decay"},
    "semantic_perturbations": {"loss.name", "attack.epsilon_schedule"}
    | {"attack.epsilon_warmup_epochs"},
    "xcit_over_deit": set(),
}


def resolved(*overlays):
    names = ("workflow_config.yaml", *(f"configs/{name}.yaml" for name in overlays))
    texts = [(SCRIPTS.parent / name).read_text(encoding="utf-8") for name in names]
    return resolve(deep_merge(*map(yaml.safe_load, texts)))


@pytest.fixture(scope="module")
def gpu():
    return resolved("miniature")


@pytest.fixture(scope="module")
def cpu():
    return resolved("miniature", "miniature_cpu")


@pytest.fixture(params=["gpu", "cpu"])
def config(request):
    return request.getfixturevalue(request.param)


def test_the_architectures_have_one_size(gpu):
    names = ("mini_light_seed1", "mini_deit_seed1", "mini_resnet_seed1")
    costs = {name: model_cost(model_spec(gpu, name)) for name in names}
    parameters = [cost.parameters for cost in costs.values()]
    assert max(parameters) / min(parameters) < 1.1
    assert max(c.flops for c in costs.values()) / min(c.flops for c in costs.values()) < 1.6


def test_claims_have_all_seeds_and_every_run_is_shown(gpu, cpu):
    for config, seeds in ((gpu, 5), (cpu, 3)):
        assert (
            set(config["claims"])
            == set(config["report"]["claims"])
            == {*CLAIMS, "xcit_over_resnet"}
        )
        compared = {name for c in config["claims"].values() for name in claim_experiments(c)}
        assert len(compared) == 7 * seeds
        assert compared | {"mini_classifier"} == set(report_experiments(config))
        generators = config["semantics"]["mini_semantics"]["generators"]
        assert len(generators) == 2 * seeds


@pytest.mark.parametrize("name", CLAIMS)
def test_a_claim_compares_one_thing(config, name):
    first, second = (group["experiments"][0] for group in config["claims"][name]["groups"])
    one, other = (flat(config["experiments"][run]["recipe"]) for run in (first, second))
    differing = {key for key in {*one, *other} if one.get(key) != other.get(key)}
    # What is watched meanwhile changes no weight.
    assert {key for key in differing if not key.startswith("watch")} == CLAIMS[name]
    same_model = len({config["experiments"][run]["model"] for run in (first, second)}) == 1
    assert same_model == (name != "xcit_over_deit")


def test_xcit_is_compared_with_a_resnet_that_differs_in_its_optimisation_alone(config):
    groups = config["claims"]["xcit_over_resnet"]["groups"]
    one, other = (config["experiments"][group["experiments"][0]] for group in groups)
    assert (one["model"], other["model"]) == ("mini_xcit", "mini_resnet")
    one, other = (flat(entry["recipe"]) for entry in (one, other))
    differing = {key.split(".")[0] for key in {*one, *other} if one.get(key) != other.get(key)}
    assert {key for key in differing if not key.startswith("watch")} == {"optimizer", "schedule"}


def flat(value, prefix=""):
    if not isinstance(value, dict):
        return {prefix[:-1]: value}
    return {k: v for key, part in value.items() for k, v in flat(part, f"{prefix}{key}.").items()}


def test_no_weights_are_chosen_on_evaluation_images(config):
    trained = (config["experiments"][name] for name in report_experiments(config))
    assert {entry["recipe"]["selection"] for entry in trained if entry["recipe"]} == {"last"}


def test_what_is_watched_is_shown_and_can_be_judged(config):
    assert "mini_overfitting" in config["report"]["figures"]
    shown = set(config["figures"]["mini_overfitting"]["options"]["experiments"])
    recipes = {name: config["experiments"][name]["recipe"] for name in report_experiments(config)}
    watched = {name: recipe["watch"] for name, recipe in recipes.items() if recipe}
    watched = {name: watch for name, watch in watched.items() if watch}
    assert {name for name in watched if name.endswith("_seed1")} == shown
    for watch in watched.values():
        sound = detect([1, 2], [0.22, 0.22], [0.2, 0.2], watch["num_examples"], chance=0.1)
        assert sound["verdict"] == NONE
