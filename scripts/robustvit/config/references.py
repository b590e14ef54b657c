"""Checks across sections of the configuration: names that exist, chains that end, sane values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from robustvit.config.attack_losses import check_kept
from robustvit.config.attack_options import check_attack_options
from robustvit.config.class_lists import check_class_names
from robustvit.config.devices import check_devices
from robustvit.config.figure_options import (
    check_figure_options,
    check_option_values,
    check_value,
    check_watched,
)
from robustvit.config.outside import check_checkpoint, check_model
from robustvit.config.recipes import check_plugin, check_recipe
from robustvit.config.table_options import check_table_options
from robustvit.core.errors import UserError, unknown_name
from robustvit.core.sources import SCRIPTS
from robustvit.data.mirrors import scheme_of
from robustvit.data.source_files import DOWNLOADS, HASHES
from robustvit.reporting.options import name_list, one_name

TARGETS = (  # rules whose names are not those of scripts
    *("report", "datasets", "pretrain", "finetune", "evaluate", "checkpoints", "semantics"),
    *("analyses", "figures", "tables", "claims", "plan", "robustbench", "datasets_check"),
    *("pretrain_model", "finetune_model", "draw_rule_graph"),
    *("render_html", "render_page", "report_now"),
)
# Sections whose entries an option of that name in a figure names, one of them or a list.
SHOWN = {
    "experiments": name_list("demo_light", "demo_eps8"),
    "datasets": name_list("cifar10"),
    "protocols": name_list("clean", "autoattack"),
    "semantics": one_name("table9"),
    "gradients": one_name("accumulated"),
    "attack_losses": one_name("effectiveness"),
}
LEAST_255 = {"linf": 0.25, "l2": 8.0}


def check_references(config: Mapping) -> None:
    """Check a resolved configuration.

    Raises:
        UserError: naming the key, with the nearest valid name where a name is unknown.
    """
    for mirror in config["paths"]["mirror"]:
        scheme_of(mirror)
    check_devices(config["compute"])
    for name, recipe in config["recipes"].items():
        check_recipe(f"recipes.{name}", recipe)
    for name, checkpoint in config["checkpoints"].items():
        where = f"checkpoints.{name}"
        known(config, "models", checkpoint["model"], f"{where}.model")
        known(config, "datasets", checkpoint["dataset"], f"{where}.dataset")
        check_checkpoint(config, where, checkpoint)
    for name, experiment in config["experiments"].items():
        _check_experiment(config, f"experiments.{name}", experiment)
    _check_cycles(config["experiments"])
    check_plugins(config)
    for name, entry in config["protocols"].items():
        _check_shards(config, f"protocols.{name}.shards", entry.get("shards"))
        check_attack_options(f"protocols.{name}", entry.get("attack"), entry.get("options"))
    for name, entry in config["semantics"].items():
        _check_semantics(config, f"semantics.{name}", entry)
        options = entry.get("options")
        check_attack_options(f"semantics.{name}", entry.get("attack", "pgd"), options)
    for name, entry in config["gradients"].items():
        _check_gradients(config, f"gradients.{name}", entry)
    for name, entry in config["attack_losses"].items():
        _check_losses(config, f"attack_losses.{name}", entry)
    for name, entry in config["tables"].items():
        _check_table(config, f"tables.{name}", entry)
    _check_target_names(config)
    for name, entry in config["figures"].items():
        check_option_values(name, entry)
        _check_figure(config, f"figures.{name}.options", entry.get("options", {}))
        check_figure_options(config, name, entry)
    for section in ("tables", "figures", "claims"):
        _known_all(config, section, config["report"][section], f"report.{section}")
    _known_all(config, "figures", config["report"]["gallery"], "report.gallery")
    _known_all(config, "experiments", config["report"]["evaluations"], "report.evaluations")


def known(config: Mapping, section: str, name: str, where: str) -> None:
    """Raise a `UserError` with the nearest valid name if `section` has no entry `name`."""
    if name not in config[section]:
        raise unknown_name(section.rstrip("s"), name, config[section], where)


def _known_all(config: Mapping, section: str, names: Iterable[str], where: str) -> None:
    for name in names:
        known(config, section, name, where)


def _check_experiment(config: Mapping, where: str, entry: Mapping) -> None:
    for key, section in (
        ("model", "models"),
        ("dataset", "datasets"),
        ("eval_dataset", "datasets"),
        ("monitor_dataset", "datasets"),
    ):
        if entry.get(key):
            known(config, section, entry[key], f"{where}.{key}")
    if entry["synthetic"]:
        _check_synthetic(config, f"{where}.synthetic", entry)
    for key in ("init", "weights"):
        for kind, name in (entry[key] or {}).items():
            known(config, f"{kind}s", name, f"{where}.{key}.{kind}")
    _known_all(config, "protocols", entry["evaluate"], f"{where}.evaluate")
    _known_all(config, "protocols", entry["eval_examples"], f"{where}.eval_examples")
    _known_all(config, "protocols", entry["published"], f"{where}.published")
    for key in ("threat", "eval_threat"):
        check_threat(f"{where}.{key}", entry.get(key))
    _check_recipe(config, where, entry)
    attacked = [p for p in entry["evaluate"] if config["protocols"][p]["attack"]]
    if attacked and entry["eval_threat"] is None:
        raise UserError(
            f"{where}.eval_threat: protocol {attacked[0]} attacks, but no radius is given. "
            "Example: eval_threat: {norm: linf, epsilon_255: 4}"
        )


def _check_synthetic(config: Mapping, where: str, entry: Mapping) -> None:
    name = entry["synthetic"]["dataset"]
    known(config, "datasets", name, f"{where}.dataset")
    if not entry["recipe"]:
        raise UserError(f"{where}: nothing is trained here; leave it out, or give a `recipe`.")
    drawn, real = (config["datasets"][n]["num_classes"] for n in (name, entry["dataset"]))
    if drawn != real:
        raise UserError(
            f"{where}.dataset: {name} has {drawn} classes, but {entry['dataset']} has {real}; "
            "expected synthetic images of the same classes."
        )


def _check_recipe(config: Mapping, where: str, entry: Mapping) -> None:
    recipe, name = entry["recipe"], entry["recipe_name"]
    if not recipe:
        return
    if recipe != {k: v for k, v in config["recipes"][name].items() if k != "source"}:
        check_recipe(f"{where}.overrides", recipe)
    if recipe["loss"]["name"] != "clean" and entry["threat"] is None:
        raise UserError(
            f"{where}.threat: recipe {name} trains on adversarial examples and "
            "needs a radius. Example: threat: {norm: linf, epsilon_255: 4}"
        )
    _check_watch(where, entry)


def _check_watch(where: str, entry: Mapping) -> None:
    if entry["recipe"]["watch"] and entry["threat"] is None:
        raise UserError(
            f"{where}.overrides.watch: there is no attack to watch without a radius. Set it to "
            "null, or give threat: {norm: linf, epsilon_255: 4}"
        )


def check_threat(where: str, threat: Mapping | None) -> None:
    """Catch a radius in pixel units 0 to 1 instead of units of 1/255, or beyond all pixels."""
    if not threat:
        return
    norm, value = threat["norm"], threat["epsilon_255"]
    if 0 < value < LEAST_255[norm]:
        least = "reach one grey level" if norm == "linf" else "be seen in L2"
        raise UserError(
            f"{where}.epsilon_255: {value:g} is taken in units of 1/255 and would not even {least}."
            f" For ε = {value:g} write {round(value * 255, 2):g}; for 8/255 write 8."
        )
    if norm == "linf" and value > 255:
        raise UserError(f"{where}.epsilon_255: {value:g} is more than the pixel range, 255.")


def _check_cycles(experiments: Mapping) -> None:
    for start in experiments:
        chain, name = [start], start
        while (name := parent(experiments[name])) is not None:
            chain.append(name)
            if name in chain[:-1]:
                raise UserError(
                    f"experiments.{start}.init: {' → '.join(chain)} is a circle; one of them has "
                    "to start from a checkpoint or from scratch (`init: null`)."
                )


def parent(experiment: Mapping) -> str | None:
    """Name of the experiment that the weights come from, if they come from one."""
    return (experiment["init"] or experiment["weights"] or {}).get("experiment")


def _check_shards(config: Mapping, where: str, shards: int | Mapping | None) -> None:
    if isinstance(shards, Mapping):
        names = [name for name in shards if name != "default"]
        _known_all(config, "datasets", names, where)


def _check_semantics(config: Mapping, where: str, entry: Mapping) -> None:
    for key in ("generators", "classifiers"):
        _known_all(config, "experiments", entry[key], f"{where}.{key}")
    known(config, "datasets", entry["dataset"], f"{where}.dataset")
    check_class_names(config, f"{where}.show", entry.get("show", []), entry["dataset"])
    if entry["threat"] is None:
        raise UserError(f"{where}.threat: needs a radius such as {{norm: linf, epsilon_255: 4}}")
    check_threat(f"{where}.threat", entry["threat"])


def _check_gradients(config: Mapping, where: str, entry: Mapping) -> None:
    _known_all(config, "experiments", entry["experiments"], f"{where}.experiments")
    read = (config["experiments"][name]["eval_dataset"] for name in entry["experiments"])
    for dataset in dict.fromkeys(read):
        check_class_names(config, f"{where}.targets", entry["targets"], dataset)


def _check_losses(config: Mapping, where: str, entry: Mapping) -> None:
    _known_all(config, "experiments", entry["experiments"], f"{where}.experiments")
    known(config, "datasets", entry["dataset"], f"{where}.dataset")
    if entry["threat"] is None:
        raise UserError(f"{where}.threat: needs a radius such as {{norm: linf, epsilon_255: 4}}")
    check_threat(f"{where}.threat", entry["threat"])
    check_kept(config, where, entry)


def _check_table(config: Mapping, where: str, entry: Mapping) -> None:
    check_table_options(where, entry)
    _known_all(config, "protocols", entry.get("columns", []), f"{where}.columns")
    _known_all(config, "experiments", table_experiments(entry), f"{where}.rows")
    for row in quoted_rows(entry):
        label = row["label"]
        _known_all(config, "protocols", row["published"], f'{where}.rows "{label}".published')
    if entry.get("kind") == "semantics":
        known(config, "semantics", entry.get("semantics", ""), f"{where}.semantics")
    if entry.get("kind") == "overfitting":
        check_watched(config, f"{where}.rows", table_experiments(entry))


def table_experiments(entry: Mapping) -> list[str]:
    """Experiments among the rows of a table."""
    return [row for row in entry.get("rows", []) if isinstance(row, str)]


def quoted_rows(entry: Mapping) -> list[Mapping]:
    """Rows of a table that quote published numbers only."""
    return [row for row in entry.get("rows", []) if not isinstance(row, str)]


def _check_figure(config: Mapping, where: str, options: Mapping) -> None:
    """Names in a figure's options."""
    for section, kind in SHOWN.items():
        if section in options:
            check_value(f"{where}.{section}", section, options[section], kind)
            named = options[section]
            names = [named] if isinstance(named, str) else named
            _known_all(config, section, names, f"{where}.{section}")


def _check_target_names(config: Mapping) -> None:
    """Tables and figures are targets of the command line, so their names must be free."""
    rules = {path.stem for path in SCRIPTS.glob("*.py")} | set(TARGETS)
    for section, other in (("tables", {}), ("figures", config["tables"])):
        for name in config[section]:
            if name in rules or name in other:
                taken = "a table" if name in other else "a stage"
                raise UserError(
                    f"{section}.{name}: {taken} has this name already, and both are targets of "
                    f"the command line. Choose another, for instance {name}_{section[:-1]}."
                )


def check_source_name(source: str, where: str) -> None:
    """Refuse names of folders that lie beside those of the sources and outlive them.

    Raises:
        UserError: for the folder of fetched archives or of their hashes, in any case of letters.
    """
    if source.lower() in (DOWNLOADS, HASHES):
        raise UserError(
            f'{where}: no source may be called "{source}": fetched archives and their hashes are '
            f"kept under {DOWNLOADS} and {HASHES}. Choose another name, for instance "
            f"{source}_images, and give the folder or archive in the mirror the same."
        )


def check_plugins(config: Mapping) -> None:
    """Check that every plug-in that the configuration names has its file.

    Raises:
        UserError: naming the key and the nearest plug-in that exists.
    """
    named = (
        ("robustvit.data.builders", "datasets", "builder"),
        ("robustvit.models.families", "models", "family"),
        ("robustvit.attacks", "protocols", "attack"),
        ("robustvit.reporting.figures", "figures", "kind"),
        ("robustvit.reporting.tables", "tables", "kind"),
    )
    for package, section, key in named:
        for name, entry in config[section].items():
            check_plugin(package, entry.get(key), f"{section}.{name}.{key}")
    for name, entry in config["datasets"].items():
        check_source_name(entry["source"], f"datasets.{name}.source")
        # Only image_folder takes a source without a plug-in: images of a user's own.
        if entry["builder"] != "image_folder":
            check_plugin("robustvit.data.sources", entry["source"], f"datasets.{name}.source")
    for name, entry in config["models"].items():
        check_model(f"models.{name}", entry)
    for name, entry in config["semantics"].items():
        attack = entry.get("attack", "pgd")
        check_plugin("robustvit.attacks", attack, f"semantics.{name}.attack")
