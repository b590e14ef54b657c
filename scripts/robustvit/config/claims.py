"""Claims: which experiments each compares, checked before anything runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from robustvit.config.lineage import trained_on
from robustvit.config.specs import gather_spec, num_examples, weights_owner
from robustvit.config.sweeps import SEED_AXIS, choose_cells, sweep_axes
from robustvit.core.errors import UserError, unknown_name

DEFAULTS = {"source": "", "direction": "greater", "margin_points": 0.0, "test": "welch"}
ALPHA = 0.05
# Alike in a group.
SETTINGS = ("model", "dataset", "recipe", "threat", "patch_size", "synthetic", "init")
LEAST = 2  # seeds of a group: one says nothing of its spread
APART = (
    "groups: [{label: a, experiments: [a_seed1, a_seed2]}, {label: b, experiments: [b_seed1, …]}]"
)


def resolve_claims(config: Mapping) -> dict[str, dict]:
    """Return the claims with every key set and each group's experiments written out.

    Args:
        config: with resolved experiments, and `sweeps` as written.

    Raises:
        UserError: naming the key, if a group cannot be compared with the other.
    """
    return {name: _resolve(config, name, entry) for name, entry in config["claims"].items()}


def _resolve(config: Mapping, name: str, entry: Mapping) -> dict:
    where = f"claims.{name}"
    groups = [
        {
            "label": group["label"],
            "experiments": _experiments(config, group, f"{where}.groups.{place}"),
        }
        for place, group in enumerate(entry["groups"])
    ]
    full = {**DEFAULTS, "alpha": ALPHA, **entry, "groups": groups}
    if "semantics" in entry["metric"]:
        full["metric"] = {"top": 1, **entry["metric"]}
    _check_metric(config, where, full["metric"], claim_experiments(full))
    _check_seeds(config, where, full)
    return full


def _experiments(config: Mapping, group: Mapping, where: str) -> list[str]:
    if "sweep" not in group:
        if "values" in group:
            raise UserError(f"{where}.values: belongs to a `sweep`; leave it out beside a list.")
        names = list(group["experiments"])
    else:
        sweep = group["sweep"]
        if sweep not in config["sweeps"]:
            raise unknown_name("sweep", sweep, config["sweeps"], f"{where}.sweep")
        entry, values = config["sweeps"][sweep], group.get("values", {})
        names = choose_cells(sweep, entry, values, where)
        _check_axes(where, sweep_axes(sweep, entry), values)
    for name in names:
        if name not in config["experiments"]:
            raise unknown_name("experiment", name, config["experiments"], f"{where}.experiments")
    return names


def _check_axes(where: str, axes: Mapping, values: Mapping) -> None:
    """A group is one kind of run: what else than the seed differs has to be chosen."""
    for axis, found in axes.items():
        if axis != SEED_AXIS and axis not in values and len(found) > 1:
            example = next(iter(found))
            raise UserError(
                f"{where}.values: says nothing of the axis {axis}, so the group would mix its "
                f"values {', '.join(found)}. Example: values: {{{axis}: {example}}}"
            )


def claim_experiments(entry: Mapping) -> list[str]:
    """The experiments that a resolved claim compares, those of its first group first."""
    return [name for group in entry["groups"] for name in group["experiments"]]


def _check_metric(config: Mapping, where: str, metric: Mapping, names: list[str]) -> None:
    section = "semantics" if "semantics" in metric else "protocols"
    chosen = metric.get("semantics") or metric["protocol"]
    key = f"{where}.metric.{'semantics' if 'semantics' in metric else 'protocol'}"
    if chosen not in config[section]:
        raise unknown_name(section.rstrip("s"), chosen, config[section], key)
    if section == "semantics":
        _check_analysis(config["semantics"][chosen], key, chosen, names)
        return
    if "top" in metric:
        raise UserError(f"{where}.metric.top: belongs to `semantics`; an accuracy is top-1.")
    for name in names:
        if chosen not in config["experiments"][name]["evaluate"]:
            raise UserError(
                f"{key}: {name} is not evaluated with {chosen}. Example: "
                f"experiments: {{{name}: {{evaluate: [clean, {chosen}]}}}}"
            )
    _check_same_images(config, key, chosen, names)


def _check_analysis(entry: Mapping, key: str, analysis: str, names: Iterable[str]) -> None:
    if not entry["classifiers"]:
        raise UserError(f"{key}: {analysis} has no `classifiers` that would recognise anything.")
    for name in names:
        if name not in entry["generators"]:
            raise UserError(
                f"{key}: {name} is not among `semantics.{analysis}.generators`; add it there."
            )


def _check_same_images(config: Mapping, key: str, protocol: str, names: list[str]) -> None:
    """Accuracies on other images or under other radii differ for reasons that nobody claims."""
    unmarked = dict.fromkeys(config["datasets"], False)
    specs = {name: gather_spec(config, name, protocol, unmarked) for name in names}
    kept = ("name", "split", "num_examples")
    seen = {
        name: (*(spec["dataset"][part] for part in kept), spec["threat"])
        for name, spec in specs.items()
    }
    first = names[0]
    for name in names[1:]:
        if seen[name] != seen[first]:
            raise UserError(
                f"{key}: {first} and {name} are not evaluated on the same images with the same "
                f"radius: {_words(config, first, protocol)}; {_words(config, name, protocol)}."
            )


def _words(config: Mapping, name: str, protocol: str) -> str:
    entry = config["experiments"][name]
    count = num_examples(config, name, protocol) or "all"
    threat = (entry["eval_threat"] or {}).get("epsilon_255", 0)
    return f"{name} on {count} images of {entry['eval_dataset']} at ε = {threat:g}/255"


def _check_seeds(config: Mapping, where: str, claim: Mapping) -> None:
    names = claim_experiments(claim)
    for name in names:
        if names.count(name) > 1:
            raise UserError(
                f"{where}.groups: {name} is named twice; each run counts once. Example: {APART}"
            )
    for place, group in enumerate(claim["groups"]):
        _check_group(config, f"{where}.groups.{place}", group["experiments"])
    _check_apart(config, f"{where}.groups", *(group["experiments"] for group in claim["groups"]))
    first, second = (seeds_of(config, group["experiments"]) for group in claim["groups"])
    if claim["test"] == "paired" and set(first) != set(second):
        raise UserError(
            f"{where}.test: paired needs the same seeds in both groups, found "
            f"{_listed(first)} and {_listed(second)}. Use test: welch, or add the missing runs."
        )


def _check_apart(config: Mapping, where: str, first: list[str], second: list[str]) -> None:
    """The groups share no weights: a run beside itself shows no difference."""
    owners = {weights_owner(config, name): name for name in first}
    for name in second:
        owner = weights_owner(config, name)
        if owner in owners:
            raise UserError(
                f"{where}: {owners[owner]} and {name}, one of each group, evaluate the same "
                f"weights of {' '.join(owner)}, so the claim would compare a run with itself. Name "
                f"runs that were trained apart. Example: {APART}"
            )


def seeds_of(config: Mapping, names: Iterable[str]) -> list[int]:
    """Seeds of the trainings whose weights the experiments evaluate."""
    return [_training(config, name)["seed"] for name in names]


def _training(config: Mapping, name: str) -> Mapping:
    kind, owner = weights_owner(config, name)
    return config["experiments"][owner if kind == "experiment" else name]


def _check_group(config: Mapping, where: str, names: list[str]) -> None:
    first = _training(config, names[0])
    owners: dict[tuple[str, str], str] = {}
    for name in names:
        owner = weights_owner(config, name)
        if (twin := owners.setdefault(owner, name)) != name:
            raise UserError(
                f"{where}.experiments: {twin} and {name} evaluate the same weights of "
                f"{' '.join(owner)}, so they are one run whatever their `seed`. Name experiments "
                "that are trained with seeds of their own: sweeps: {decay: {seeds: [1, 2, 3]}}"
            )
    own = _settings(config, first)
    for name in names[1:]:
        other = _settings(config, _training(config, name))
        differing = [key for key in SETTINGS if own[key] != other[key]]
        if differing:
            raise UserError(
                f"{where}: {names[0]} and {name} differ in {', '.join(differing)}; the runs of a "
                "group differ in their seed only, and in that of the training they start from. To "
                "compare settings, give each a group."
            )
    _check_starts(config, where, names)
    seeds = seeds_of(config, names)
    if len(names) < LEAST:
        raise UserError(
            f"{where}: has {len(names)} experiment; the spread between seeds needs {LEAST} at "
            "least. Example: sweeps: {decay: {seeds: [1, 2, 3]}}"
        )
    if len(set(seeds)) < len(seeds):
        raise UserError(
            f"{where}: has seeds {_listed(seeds)}; runs of the same seed are no independent "
            "repetitions. Give each experiment its own `seed`."
        )


def _settings(config: Mapping, entry: Mapping) -> dict:
    """What the runs of a group have in common: everything but seeds, those of `init` included."""
    return {key: entry.get(key) for key in SETTINGS} | {"init": _origin(config, entry.get("init"))}


def _origin(config: Mapping, init: Mapping | None) -> dict | None:
    """The weights that a training starts from, whatever the seed they were trained with."""
    if not init:
        return None
    kind, owner = _owner(config, init)
    return {kind: owner} if kind == "checkpoint" else _settings(config, _entry(config, owner))


def _owner(config: Mapping, init: Mapping) -> tuple[str, str]:
    kind, name = next(iter(init.items()))
    return weights_owner(config, name) if kind == "experiment" else (kind, name)


def _entry(config: Mapping, name: str) -> Mapping:
    return config["experiments"][name]


def _check_starts(config: Mapping, where: str, names: list[str]) -> None:
    """All runs start from the same weights, or each from those of a seed of its own."""
    starts = [_start_seeds(config, _training(config, name).get("init")) for name in names]
    owners = {_owner(config, init) for n in names if (init := _training(config, n).get("init"))}
    if len(owners) > 1 and len(set(starts)) < len(starts):
        raise UserError(
            f"{where}: some of its runs start from the same weights, or from weights of the same "
            "seed, and others do not, so they are no independent repetitions. Let all start from "
            "one training, or each from one of its own seed. Example: experiments: {tuned_seed1: "
            "{init: {experiment: pretrained_seed1}, seed: 1}}"
        )


def _start_seeds(config: Mapping, init: Mapping | None) -> tuple[int, ...]:
    """Seeds of the trainings that a training starts from, the last one first."""
    if not init or (found := _owner(config, init))[0] == "checkpoint":
        return ()
    entry = _entry(config, found[1])
    return (entry["seed"], *_start_seeds(config, entry.get("init")))


def _listed(seeds: Iterable[int]) -> str:
    return ", ".join(map(str, sorted(seeds)))


def report_claim_experiments(config: Mapping) -> list[str]:
    """Experiments that the report's claims compare, classifiers of perturbations included."""
    found: dict[str, None] = {}
    for name in config["report"]["claims"]:
        entry = config["claims"][name]
        found.update(dict.fromkeys(claim_experiments(entry)))
        analysis = config["semantics"].get(entry["metric"].get("semantics"), {})
        found.update(dict.fromkeys(analysis.get("classifiers", [])))
    return list(found)


def report_claim_analyses(config: Mapping) -> list[str]:
    """Analyses of semantics that the report's claims rest on."""
    metrics = (config["claims"][name]["metric"] for name in config["report"]["claims"])
    return list(dict.fromkeys(m["semantics"] for m in metrics if "semantics" in m))


def claims_spec(config: Mapping) -> dict:
    """What the judging of the report's claims needs: runs, their seeds and images, the test."""
    names = config["report"]["claims"]
    return {"claims": [_claim_spec(config, name, config["claims"][name]) for name in names]}


def _claim_spec(config: Mapping, name: str, entry: Mapping) -> dict:
    kept = ("sentence", "source", "direction", "margin_points", "test", "alpha")
    return {
        "name": name,
        **{key: entry[key] for key in kept},
        "metric": _metric_spec(config, entry["metric"]),
        "groups": [
            {
                "label": group["label"],
                "members": _members(config, group["experiments"]),
            }
            for group in entry["groups"]
        ],
    }


def _members(config: Mapping, names: list[str]) -> list[dict]:
    """The runs of a group with their seeds and the data sets that their weights have seen."""
    return [
        {"experiment": name, "seed": seed, "trained_on": trained_on(config, name)}
        for name, seed in zip(names, seeds_of(config, names), strict=True)
    ]


def _metric_spec(config: Mapping, metric: Mapping) -> dict:
    if "semantics" in metric:
        analysis = config["semantics"][metric["semantics"]]
        seen = [trained_on(config, name) for name in analysis["classifiers"]]
        return {
            "semantics": metric["semantics"],
            "classifiers": analysis["classifiers"],
            "trained_on": list(dict.fromkeys(name for names in seen for name in names)),
            "metric": f"top{metric['top']}",
            "label": f"{analysis['label']}: recognised, top-{metric['top']}",
        }
    protocol = config["protocols"][metric["protocol"]]
    return {
        "protocol": metric["protocol"],
        "metric": "robust_top1" if protocol["attack"] else "clean_top1",
        "label": f"top-1 accuracy, {protocol['label']}",
    }
