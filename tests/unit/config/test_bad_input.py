"""Each class of mistake stops before any job, with a message that says where and what to do."""

import pytest
from bad_inputs import CASES

from robustvit.config.resolve import resolve
from robustvit.core.errors import UserError


def change(config, path, value):
    """Set the value at a dotted path, making mappings on the way."""
    *parents, last = path.split("/")
    for key in parents:
        config = config.setdefault(key, {})
    config[last] = value


@pytest.mark.parametrize("case", CASES)
def test_mistake_is_named(demo, case):
    path, value, expected = CASES[case]
    change(demo, path, value)
    with pytest.raises(UserError) as caught:
        check_everything(resolve(demo))
    for text in expected:
        assert text in str(caught.value)


def check_everything(config):
    """What the workflow does with a resolved configuration at planning time."""
    from robustvit.config import specs

    for name in config["experiments"]:
        specs.model_spec(config, name)


def test_an_l2_radius_may_be_larger_than_the_pixel_range(demo):
    threat = {"norm": "l2", "epsilon_255": 765}  # ε = 3, usual on ImageNet
    demo["experiments"]["demo_light"]["threat"] = threat
    assert resolve(demo)["experiments"]["demo_light"]["eval_threat"] == threat


def test_experiment_that_starts_from_itself(demo):
    demo["experiments"]["demo_eps8"]["init"] = {"experiment": "demo_eps8"}
    with pytest.raises(UserError, match="demo_eps8 → demo_eps8 is a circle"):
        resolve(demo)


def test_circle_of_two_experiments(demo):
    demo["experiments"]["demo_eps8"]["init"] = {"experiment": "demo_cifar10"}
    with pytest.raises(UserError, match="circle"):
        resolve(demo)


def test_recipe_that_extends_itself(demo):
    demo["recipes"]["base"]["extends"] = "light"
    with pytest.raises(UserError, match=r"recipes\.base\.extends.*circle"):
        resolve(demo)


def test_table_with_the_name_of_a_rule(demo):
    demo["tables"]["evaluate_model"] = demo["tables"]["demo_recipes"]
    with pytest.raises(UserError, match=r"tables\.evaluate_model"):
        resolve(demo)


def test_sweep_with_the_name_of_an_experiment(demo):
    demo["experiments"]["weight_decay_0.05_standard"] = demo["experiments"]["demo_light"]
    with pytest.raises(UserError, match=r"sweeps\.weight_decay: expands to weight_decay_0\.05"):
        resolve(demo)


def test_recipe_without_a_base_says_what_is_missing(demo):
    del demo["recipes"]["light"]["extends"]
    with pytest.raises(UserError, match=r"recipes\.light\.\w+: is missing"):
        resolve(demo)
