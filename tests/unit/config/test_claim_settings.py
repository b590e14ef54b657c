"""Claims of the configuration: groups chosen from sweeps, and mistakes that name their key."""

import copy

import pytest
import yaml

from robustvit.config.claims import claims_spec
from robustvit.config.inputs import report_datasets, report_experiments
from robustvit.config.lineage import trained_on
from robustvit.config.report_jobs import report_jobs
from robustvit.config.resolve import resolve
from robustvit.core.errors import UserError

OVERLAY = yaml.safe_load("""
sweeps:
  decay:
    experiment:
      label: Decay
      model: xcit_demo_p8
      dataset: demo_imagenet4
      recipe: demo_light
      threat: {norm: linf, epsilon_255: 4}
      evaluate: [clean, pgd10]
    axes:
      wd:
        low: {overrides: {optimizer: {weight_decay: 0.05}}}
        high: {}
    seeds: [3, 1, 2]
semantics:
  seen:
    label: Seen
    generators: [decay_low_seed1]
    classifiers: [demo_resnet18]
    dataset: cifar10
    threat: {norm: linf, epsilon_255: 8}
claims:
  decay:
    sentence: It helps.
    metric: {protocol: pgd10}
    groups:
      - {label: high, sweep: decay, values: {wd: high}}
      - {label: low, sweep: decay, values: {wd: low}}
report: {claims: [decay], tables: [], figures: [], gallery: []}
""")


SEEN = {"generators": [f"decay_{wd}_seed{seed}" for wd in ("low", "high") for seed in (1, 2)]}


@pytest.fixture
def mine(demo):
    from robustvit.config.merge import deep_merge

    # In place of the demo's whole report, so that nothing but the claims asks for anything.
    return deep_merge(demo, copy.deepcopy(OVERLAY)) | {"report": copy.deepcopy(OVERLAY["report"])}


def test_groups_of_a_sweep_are_its_seeds(mine):
    config = resolve(mine)
    first, second = config["claims"]["decay"]["groups"]
    assert first["experiments"] == [f"decay_high_seed{s}" for s in (3, 1, 2)]
    assert second["experiments"] == [f"decay_low_seed{s}" for s in (3, 1, 2)]
    assert config["experiments"]["decay_low_seed2"]["seed"] == 2
    (spec,) = claims_spec(config)["claims"]
    assert spec["groups"][0]["members"][0] == {
        "experiment": "decay_high_seed3",
        "seed": 3,
        "trained_on": ["demo_imagenet4"],
    }
    assert (spec["test"], spec["alpha"], spec["direction"]) == ("welch", 0.05, "greater")
    assert spec["metric"]["metric"] == "robust_top1"


def test_the_report_runs_what_its_claims_compare(mine):
    config = resolve(mine)
    assert len(report_experiments(config)) == 6
    assert report_datasets(config) == ["demo_imagenet4"]
    assert "judge_claims" in report_jobs(config)
    mine["report"]["claims"] = []
    assert "judge_claims" not in report_jobs(resolve(mine))


def test_a_claim_on_perturbations_asks_for_their_classification(mine):
    mine["claims"]["decay"]["metric"] = {"semantics": "seen"}
    mine["sweeps"]["decay"]["seeds"] = [1, 2]
    mine["semantics"]["seen"] |= SEEN
    config = resolve(mine)
    assert config["claims"]["decay"]["metric"] == {"semantics": "seen", "top": 1}
    assert "demo_resnet18" in report_experiments(config)
    assert "cifar10" in report_datasets(config)
    assert len(report_jobs(config)["classify_perturbations"]) == 4
    metric = claims_spec(config)["claims"][0]["metric"]
    assert metric["trained_on"] == trained_on(config, "demo_resnet18")


def set_at(path, value):
    def change(config):
        *parents, last = path.split("/")
        for key in parents:
            config = config[int(key) if isinstance(config, list) else key]
        config[int(last) if isinstance(config, list) else last] = value

    return change


CLAIM = "claims/decay"
MISTAKES = {
    "unknown sweep": (
        f"{CLAIM}/groups/0/sweep",
        "dekay",
        ["claims.decay.groups.0.sweep", '"decay"'],
    ),
    "unknown axis": (
        f"{CLAIM}/groups/0/values",
        {"vd": "high"},
        ["groups.0.values", "Known: seed, wd"],
    ),
    "unknown value": (f"{CLAIM}/groups/0/values/wd", "hihg", ["groups.0.values.wd", '"high"']),
    "axis left open": (f"{CLAIM}/groups/1/values", {}, ["groups.1.values", "axis wd", "wd: low"]),
    "one seed": ("sweeps/decay/seeds", [1], ["claims.decay.groups.0", "1 experiment", "seeds"]),
    "unknown protocol": (f"{CLAIM}/metric/protocol", "pgd_10", ["metric.protocol", '"pgd10"']),
    "protocol not run": (f"{CLAIM}/metric/protocol", "fgsm", ["metric.protocol", "evaluate"]),
    "unknown analysis": (f"{CLAIM}/metric", {"semantics": "sen"}, ["metric.semantics", '"seen"']),
    "no generator": (f"{CLAIM}/metric", {"semantics": "seen"}, ["decay_high_seed3", "generators"]),
    "top of an accuracy": (f"{CLAIM}/metric/top", 5, ["claims.decay.metric.top", "semantics"]),
    "two metrics": (f"{CLAIM}/metric/semantics", "seen", ["claims.decay.metric"]),
    "three groups": (f"{CLAIM}/groups", [{"label": "x", "sweep": "decay"}] * 3, ["decay.groups"]),
    "unknown direction": (f"{CLAIM}/direction", "more", ["claims.decay.direction", "greater"]),
    "alpha in percent": (f"{CLAIM}/alpha", 5, ["claims.decay.alpha", "confidence"]),
    "misspelt key": (f"{CLAIM}/margin", 1, ["claims.decay.margin", "margin_points"]),
    "unknown claim in the report": ("report/claims", ["dekay"], ["report.claims", '"decay"']),
    "same runs twice": (f"{CLAIM}/groups/1/values/wd", "high", ["named twice"]),
    "axis of the seeds' name": ("sweeps/decay/axes/seed", {"a": {}}, ["sweeps.decay.axes.seed"]),
    "seeds twice": ("sweeps/decay/seeds", [1, 1], ["sweeps.decay.seeds"]),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_mistakes_name_the_key_and_the_way_out(mine, case):
    path, value, expected = MISTAKES[case]
    set_at(path, value)(mine)
    with pytest.raises(UserError) as caught:
        resolve(mine)
    for text in expected:
        assert text in str(caught.value)


def listed(mine, first, second, **changes):
    groups = [{"label": "a", "experiments": first}, {"label": "b", "experiments": second}]
    mine["claims"]["decay"] |= {"groups": groups, **changes}
    return mine


HIGH = ["decay_high_seed1", "decay_high_seed2"]


@pytest.mark.parametrize(
    ("first", "second", "changes", "expected"),
    [
        (HIGH, ["decay_low_seed1", "decay_low_seed3"], {"test": "paired"}, ["same seeds", "1, 3"]),
        (["decay_high_seed1", "decay_low_seed2"], HIGH[1:], {}, ["named twice|differ in recipe"]),
        (HIGH, ["demo_light", "demo_canonical"], {}, ["groups.1", "differ in recipe"]),
        (HIGH, ["demo_light", "demo_light_list"], {}, ["same images", "demo_imagenet_list"]),
        (HIGH, ["decay_low_seed1", "decay_low_seed9"], {}, ["unknown experiment", "groups.1"]),
    ],
)  # fmt: skip
def test_groups_that_cannot_be_compared(mine, first, second, changes, expected):
    import re

    mine["experiments"]["demo_light_list"]["evaluate"] = ["clean", "pgd10"]
    with pytest.raises(UserError) as caught:
        resolve(listed(mine, first, second, **changes))
    for pattern in expected:
        assert re.search(pattern, str(caught.value)), caught.value


def tuned(mine, starts):
    """Experiments tuned1, tuned2, … that start from these, each with a seed of its own."""
    for seed, source in enumerate(starts, start=1):
        mine["experiments"][f"tuned{seed}"] = {
            "label": "Tuned",
            "model": "xcit_demo_p8",
            "dataset": "demo_imagenet4",
            "recipe": "demo_light",
            "threat": {"norm": "linf", "epsilon_255": 4},
            "evaluate": ["clean", "pgd10"],
            "init": {"experiment": source},
            "seed": seed,
        }
    return listed(mine, HIGH, [f"tuned{seed}" for seed in range(1, 1 + len(starts))])


def test_a_group_does_not_mix_initial_weights(mine):
    for pair in (["demo_light", "demo_canonical"], ["decay_high_seed1", "decay_low_seed2"]):
        with pytest.raises(UserError, match=r"groups\.1: tuned1 and tuned2 differ in init"):
            resolve(tuned(mine, pair))
    resolve(tuned(mine, ["demo_light"] * 2))
    mine["experiments"]["tuned2"]["seed"] = 1
    with pytest.raises(UserError, match="no independent repetitions"):
        resolve(mine)


def test_each_run_may_start_from_a_pretraining_of_its_own_seed(mine):
    config = resolve(tuned(mine, ["decay_low_seed1", "decay_low_seed2", "decay_low_seed3"]))
    assert config["claims"]["decay"]["groups"][1]["experiments"][2] == "tuned3"
    mine["experiments"]["again"] = {
        "label": "Again",
        "weights": {"experiment": "decay_low_seed2"},
        "eval_dataset": "demo_imagenet4",
        "evaluate": ["clean"],
    }
    resolve(tuned(mine, ["decay_low_seed1", "again", "decay_low_seed3"]))


def test_chains_of_pretrainings_are_followed(mine):
    """tuned4 and tuned5 start from fine-tunings of one seed, of pretrainings of two."""
    tuned(mine, [f"decay_low_seed{seed}" for seed in (1, 2, 1, 1, 2)])
    first, second = (mine["experiments"][f"tuned{n}"] for n in (4, 5))
    mine["experiments"]["tuned2"]["seed"] = 1
    first["init"], second["init"] = {"experiment": "tuned1"}, {"experiment": "tuned2"}
    resolve(listed(mine, HIGH, ["tuned4", "tuned5"]))
    mine["experiments"]["tuned2"]["init"] = {"experiment": "decay_low_seed1"}
    with pytest.raises(UserError, match="weights of the same seed"):
        resolve(listed(mine, HIGH, ["tuned4", "tuned5"]))


def test_runs_that_share_a_pretraining_in_part_are_no_repetitions(mine):
    with pytest.raises(UserError, match=r"groups\.1: some of its runs .*pretrained_seed1"):
        resolve(tuned(mine, ["decay_low_seed1", "decay_low_seed1", "decay_low_seed2"]))


AGAIN = {
    "label": "Again",
    "weights": {"experiment": "decay_high_seed1"},
    "eval_dataset": "demo_imagenet4",
    "eval_threat": {"norm": "linf", "epsilon_255": 4},
    "evaluate": ["pgd10"],
}


def test_the_groups_share_no_weights(mine):
    mine["experiments"]["again"] = AGAIN
    expected = (
        r"claims\.decay\.groups: decay_high_seed1 and again, one of each group, .* weights of "
        r"experiment decay_high_seed1.* Example: groups: \["
    )
    with pytest.raises(UserError, match=expected):
        resolve(listed(mine, HIGH, ["again", "decay_high_seed3"]))
    with pytest.raises(UserError, match=r"named twice.* Example: groups: \["):
        resolve(listed(mine, HIGH, HIGH))


def test_the_same_weights_under_other_seeds_are_one_run(mine):
    checkpoint = next(iter(mine["checkpoints"]))
    for seed in (1, 2):
        mine["experiments"][f"released{seed}"] = {
            "label": "Released",
            "weights": {"checkpoint": checkpoint},
            "eval_dataset": "demo_imagenet4",
            "evaluate": ["clean", "pgd10"],
            "eval_threat": {"norm": "linf", "epsilon_255": 4},
            "seed": seed,
        }
    expected = rf"groups\.1.*released1 and released2 .*weights of checkpoint {checkpoint}"
    with pytest.raises(UserError, match=expected):
        resolve(listed(mine, HIGH, ["released1", "released2"]))


def test_runs_of_one_seed_are_no_repetitions(mine):
    mine["experiments"]["again"] = AGAIN
    second = ["decay_low_seed1", "decay_low_seed2"]
    with pytest.raises(UserError, match="they are one run"):
        resolve(listed(mine, ["decay_high_seed1", "again"], second))


def test_other_radius_is_no_comparison(mine):
    mine["sweeps"]["decay"]["axes"]["wd"]["low"]["eval_threat"] = {"norm": "linf", "epsilon_255": 8}
    with pytest.raises(UserError, match=r"same radius: .*ε = 4/255.*ε = 8/255"):
        resolve(mine)
