"""Captions with placeholders, filled with what the resolved configuration really runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from string import Formatter

from robustvit.config import analysis_specs, specs
from robustvit.core.errors import UserError, unknown_name
from robustvit.reporting.formatting import count, sentence_list, setting
from robustvit.reporting.protocols import SIGNS, attack_name


def fill(text: str, values: Mapping[str, str], where: str) -> str:
    """Put `values` into the placeholders of a caption such as "ε = {epsilon}, {steps} steps".

    Raises:
        UserError: for an unknown placeholder or a brace without its partner, naming the key.
    """
    try:
        fields = [field for _, field, *_ in Formatter().parse(text) if field is not None]
        for field in fields:
            if field not in values:
                raise unknown_name("placeholder", field, values, where)
        return text.format_map(values)
    except ValueError as error:
        raise UserError(
            f"{where}: {error}. A placeholder is written {{epsilon}}, a brace itself {{{{ or }}}}."
        ) from error


def table_values(config: Mapping, entry: Mapping) -> dict[str, str]:
    """Placeholders of a table's caption."""
    if "semantics" in entry:
        return semantics_values(config, entry["semantics"])
    rows = [row for row in entry.get("rows", []) if isinstance(row, str)]
    if entry.get("kind") == "overfitting":
        return training_values(config, rows)
    return evaluation_values(config, rows, entry.get("columns", []))


def figure_values(config: Mapping, options: Mapping) -> dict[str, str]:
    """Placeholders of a figure's caption: its plain options and what they name."""
    values = _plain(options)
    if "semantics" in options:
        values |= semantics_values(config, options["semantics"])
    if "gradients" in options:
        values |= gradients_values(config, options["gradients"])
    if "attack_losses" in options:
        values |= losses_values(config, options["attack_losses"])
    if "experiments" in options:
        values |= training_values(config, options["experiments"])
    if "protocols" in options:
        values |= evaluation_values(config, options["experiments"], options["protocols"])
    if "datasets" in options:
        labels = (config["datasets"][name]["label"] for name in options["datasets"])
        values["datasets"] = sentence_list(labels)
    return values


def evaluation_values(config: Mapping, names: list[str], protocols: list[str]) -> dict[str, str]:
    """Of evaluations: {attack}, {epsilon}, {num_examples}, and the options of a single attack."""
    attacks = [name for name in protocols if config["protocols"][name]["attack"]]
    asked = [(n, p) for n in names for p in protocols if p in config["experiments"][n]["evaluate"]]
    threats = [config["experiments"][n]["eval_threat"] for n, p in asked if p in attacks]
    values = _plain(config["protocols"][attacks[0]].get("options", {})) if len(attacks) == 1 else {}
    if attacks:
        values["attack"] = sentence_list(config["protocols"][name]["label"] for name in attacks)
    values["num_examples"] = _images(specs.num_examples(config, n, p) for n, p in asked)
    return values | _epsilon(threats)


def semantics_values(config: Mapping, name: str) -> dict[str, str]:
    """Of perturbations: {attack}, {epsilon}, {num_examples}, {sign}, {dataset}, attack options."""
    entry = config["semantics"][name]
    options = entry.get("options", {})
    return {
        **_plain(options),
        "attack": attack_name(entry.get("attack", "pgd"), options),
        "num_examples": _images([entry.get("num_examples")]),
        "sign": SIGNS[entry.get("sign", "minus")],
        "dataset": config["datasets"][entry["dataset"]]["label"],
        **_epsilon([entry["threat"]]),
    }


def gradients_values(config: Mapping, name: str) -> dict[str, str]:
    """Of grown images: {attack}, {steps}, {step_factor}, {epsilon} in pixel units, {targets}."""
    spec = analysis_specs.gradients_spec(config, name, config["gradients"][name]["experiments"][0])
    shown = _plain({key: spec[key] for key in ("steps", "step_factor", "epsilon")})
    attack = attack_name("pgd", {"steps": spec["steps"]})
    return shown | {"attack": attack, "targets": count(len(spec["targets"]))}


def losses_values(config: Mapping, name: str) -> dict[str, str]:
    """Of losses under attack: {epsilon}, {num_examples}, {steps}, {most}, {step_for}, {seeds}."""
    entry = config["attack_losses"][name]
    return {
        "num_examples": _images([entry.get("only_correct") or entry.get("num_examples")]),
        "steps": sentence_list(map(setting, sorted(entry["steps"]))),
        "most": setting(max(entry["steps"])),
        "step_for": setting(entry.get("step_for")),
        "seeds": count(entry.get("seeds", 1)),
        "dataset": config["datasets"][entry["dataset"]]["label"],
        **_epsilon([entry["threat"]]),
    }


def training_values(config: Mapping, names: list[str]) -> dict[str, str]:
    """Of trainings: {epochs}, {epsilon}, and {num_examples} evaluated after an epoch."""
    entries = [config["experiments"][name] for name in names]
    recipes = [entry["recipe"] for entry in entries if entry["recipe"]]
    epochs = {recipe["epochs"] + recipe["cooldown_epochs"] for recipe in recipes}
    return {
        "epochs": sentence_list(map(setting, sorted(epochs)), "or"),
        "num_examples": _images(recipe["evaluate_examples"] for recipe in recipes),
        **_watch_values(recipes),
        **_epsilon([entry["threat"] for entry in entries if entry["recipe"]]),
    }


def _watch_values(recipes: Iterable[Mapping]) -> dict[str, str]:
    """Of watched trainings: {watch_steps} of the stronger attack, {watch_examples} watched."""
    watched = [recipe["watch"] for recipe in recipes if recipe["watch"]]
    if not watched:
        return {}
    steps = sorted({watch["steps"] for watch in watched})
    images = sorted({watch["num_examples"] for watch in watched})
    return {
        "watch_steps": sentence_list(map(setting, steps), "or"),
        "watch_examples": sentence_list(map(count, images), "or"),
    }


def _plain(options: Mapping) -> dict[str, str]:
    return {
        key: count(value) if isinstance(value, int) else setting(value)
        for key, value in options.items()
        if isinstance(value, int | float | str)
    }


def _epsilon(threats: Iterable[Mapping | None]) -> dict[str, str]:
    radii = sorted({threat["epsilon_255"] for threat in threats if threat})
    return {"epsilon": sentence_list((f"{r:g}/255" for r in radii), "or")} if radii else {}


def _images(numbers: Iterable[int | None]) -> str:
    found = set(numbers)
    texts = [count(number) for number in sorted(found - {None})]
    return sentence_list(texts + ["all"] * (None in found), "or")
