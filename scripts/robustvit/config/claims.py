"""Claims: which experiments each compares, checked before anything runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from robustvit.config.specs import gather_spec, num_examples, weights_owner
from robustvit.config.sweeps import SEED_AXIS, choose_cells, sweep_axes
from robustvit.core.errors import UserError, unknown_name

DEFAULTS = {"source": "", "direction": "greater", "margin_points": 0.0, "test": "welch"}
ALPHA = 0.05
# Alike in a group.
SETTINGS = ("model", "dataset", "recipe", "threat", "patch_size", "synthetic", "init")
LEAST = 2  # seeds of a group: one says nothing of its spread


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
            raise UserError(f"{where}.groups: {name} is named twice; each run counts once.")
    for place, group in enumerate(claim["groups"]):
        _check_group(config, f"{where}.groups.{place}", group["experiments"])
    first, second = (seeds_of(config, group["experiments"]) for group in claim["groups"])
    if claim["test"] == "paired" and set(first) != set(second):
        raise UserError(
            f"{where}.test: paired needs the same seeds in both groups, found "
            f"{_listed(first)} and {_listed(second)}. Use test: welch, or add the missing runs."
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
    for name in names[1:]:
        other = _training(config, name)
        differing = [key for key in SETTINGS if first.get(key) != other.get(key)]
        if differing:
            raise UserError(
                f"{where}: {names[0]} and {name} differ in {', '.join(differing)}; the runs of a "
                "group differ in their seed only. To compare settings, give each a group."
            )
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
    """What the judging of the report's claims needs: experiments with their seeds, the test."""
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
                "members": [
                    {"experiment": run, "seed": seed}
                    for run, seed in zip(
                        group["experiments"],
                        seeds_of(config, group["experiments"]),
                        strict=True,
                    )
                ],
            }
            for group in entry["groups"]
        ],
    }


def _metric_spec(config: Mapping, metric: Mapping) -> dict:
    if "semantics" in metric:
        analysis = config["semantics"][metric["semantics"]]
        return {
            "semantics": metric["semantics"],
            "classifiers": analysis["classifiers"],
            "metric": f"top{metric['top']}",
            "label": f"{analysis['label']}: recognised, top-{metric['top']}",
        }
    protocol = config["protocols"][metric["protocol"]]
    return {
        "protocol": metric["protocol"],
        "metric": "robust_top1" if protocol["attack"] else "clean_top1",
        "label": f"top-1 accuracy, {protocol['label']}",
    }
