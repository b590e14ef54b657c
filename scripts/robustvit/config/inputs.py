"""Which files and plug-ins a stage needs, worked out from the resolved configuration."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from robustvit.config import specs
from robustvit.config.claims import report_claim_analyses, report_claim_experiments
from robustvit.config.dataset_figures import dataset_figures
from robustvit.config.lineage import with_parents
from robustvit.config.references import table_experiments
from robustvit.core.files import read_json
from robustvit.core.plugins import load
from robustvit.data.archives import describe_in_mirrors, find_in_mirrors
from robustvit.data.mirrors import bucket_addresses
from robustvit.data.own_images import SOURCES, describe_own, is_plugin
from robustvit.models.entry_points import model_plugins
from robustvit.training.parts import plugin_modules

ATTACKS = "robustvit.attacks"


def stand_in_datasets(config: Mapping) -> dict[str, bool]:
    """For each data set, whether it is built from a stand-in archive.

    A source gets a stand-in only if the configuration describes one and no mirror holds the
    official archive. Where an earlier run had a mirror's archive, a warning goes to stderr: a
    forgotten mount would else exchange the photographs without a word.
    """
    kinds = {}
    for entry in config["datasets"].values():
        source = entry["source"]
        if source not in kinds:
            kinds[source] = source in config["stand_ins"] and not has_original(config, source)
            if kinds[source]:
                mirrors = tuple(config["paths"]["mirror"])
                _warn_of_lost_archive(source, config["paths"]["results"], mirrors)
    return {name: kinds[entry["source"]] for name, entry in config["datasets"].items()}


def has_original(config: Mapping, source: str) -> bool:
    """Whether a mirror holds the original archive of a source.

    A bucket is asked only if no folder has the archive and it was not copied from there before:
    jobs on machines without a network plan as well.

    Raises:
        UserError: if a bucket cannot be read.
    """
    mirrors = config["paths"]["mirror"]
    if find_in_mirrors(source, mirrors):
        return True
    buckets = bucket_addresses(mirrors)
    if not buckets:
        return False
    used = _used_source(config["paths"]["results"], source) or {}
    if used.get("detail", "").startswith(tuple(f"copied from {bucket}" for bucket in buckets)):
        return True
    return _in_buckets(source, tuple(buckets))


@cache  # once, however often a plan asks
def _in_buckets(source: str, buckets: tuple[str, ...]) -> bool:
    from robustvit.data.official_files import find_in_buckets  # a plan without buckets is quicker

    return find_in_buckets(source, list(buckets)) is not None


def _used_source(results: str, source: str) -> dict | None:
    """The source.json of an earlier run, if there is one that can be read."""
    try:
        return read_json(Path(results) / "sources" / source / "source.json")
    except (OSError, ValueError):
        return None


@cache  # once, however often a plan asks
def _warn_of_lost_archive(source: str, results: str, mirrors: tuple[str, ...]) -> None:
    record = Path(results) / "sources" / source / "source.json"
    used = _used_source(results, source) or {}
    if used.get("origin") != "mirror" or used.get("stand_in"):
        return
    files = ", ".join((used.get("files") or {}).values())
    print(
        f"warning: {source}: an earlier run used {files}, which is in no folder of `paths.mirror` "
        f"({', '.join(mirrors)}) now, so STAND-INS of CIFAR-10's photographs take its "
        "place. Stop here and mount or copy the archive back to use it again, or delete "
        f"{record} to accept the stand-ins.",
        file=sys.stderr,
    )


def training_plugins(config: Mapping, name: str) -> list[str]:
    """Plug-ins that decide an experiment's weights: model family, loss, attack, evaluator."""
    unmarked = dict.fromkeys(config["datasets"], False)
    return plugin_modules(specs.train_spec(config, name, unmarked))


def evaluation_plugins(config: Mapping, name: str, protocol: str) -> list[str]:
    """Plug-ins that decide an evaluation's rows: model family and attack."""
    attack = config["protocols"][protocol]["attack"]
    return experiment_plugins(config, name) + ([f"{ATTACKS}.{attack}"] if attack else [])


def experiment_plugins(config: Mapping, name: str) -> list[str]:
    """What the experiment's model is built by: its family's module, and a file of the user's."""
    return model_plugins(specs.model_spec(config, name))


def table_inputs(config: Mapping, name: str) -> list[str]:
    """Files below the results' folder that a table reads, as its plug-in says."""
    from robustvit.config.reports import table_spec  # which reads this module

    return load("robustvit.reporting.tables", _table_kind(config, name)).files(
        table_spec(config, name)
    )


def _table_kind(config: Mapping, name: str) -> str:
    return config["tables"][name].get("kind", "evaluation")


def figure_inputs(config: Mapping, name: str, options: Mapping) -> list[str]:
    """Files below the results' folder that a figure reads, as its plug-in says."""
    return load("robustvit.reporting.figures", config["figures"][name]["kind"]).files(options)


def report_experiments(config: Mapping) -> list[str]:
    """Experiments that the report shows, in claims, tables, figures and analyses; parents too."""
    report = config["report"]
    names = [*report["evaluations"], *report_claim_experiments(config)]
    for table in report["tables"]:
        entry = config["tables"][table]
        names += table_experiments(entry)
        names += _semantics_experiments(config, entry.get("semantics"))
    for figure in shown_figures(config):
        options = config["figures"][figure].get("options", {})
        names += options.get("experiments", [])
        names += _semantics_experiments(config, options.get("semantics"))
        if "gradients" in options:
            names += config["gradients"][options["gradients"]]["experiments"]
        if "attack_losses" in options:
            names += config["attack_losses"][options["attack_losses"]]["experiments"]
    return with_parents(config, names)


def _semantics_experiments(config: Mapping, name: str | None) -> list[str]:
    entry = config["semantics"].get(name, {})
    return [*entry.get("generators", []), *entry.get("classifiers", [])]


def report_datasets(config: Mapping) -> list[str]:
    """Data sets of the report: its experiments', those its analyses attack, those it pictures."""
    found: dict[str, None] = {}
    for name in report_experiments(config):
        entry = config["experiments"][name]
        used = (
            *(entry.get("dataset"), (entry["synthetic"] or {}).get("dataset")),
            *(entry["eval_dataset"], entry["monitor_dataset"]),
        )
        found.update(dict.fromkeys(filter(None, used)))
    report = config["report"]
    options = [config["figures"][name].get("options", {}) for name in shown_figures(config)]
    analysed = [config["tables"][name] for name in report["tables"]] + options
    attacked = [entry["semantics"] for entry in analysed if "semantics" in entry]
    attacked += report_claim_analyses(config)
    found.update(dict.fromkeys(config["semantics"][name]["dataset"] for name in attacked))
    losses = [entry["attack_losses"] for entry in options if "attack_losses" in entry]
    found.update(dict.fromkeys(config["attack_losses"][name]["dataset"] for name in losses))
    found.update(dict.fromkeys(name for shown in options for name in shown.get("datasets", [])))
    return list(found)


def report_figures(config: Mapping) -> list[str]:
    """Figures of the report: those it names, and two of each of its data sets."""
    return [*config["report"]["figures"], *dataset_figures(report_datasets(config))]


def shown_figures(config: Mapping) -> list[str]:
    """Figures that the report names, those of the HTML report alone among them."""
    return [*config["report"]["figures"], *config["report"]["gallery"]]


def report_trainings(config: Mapping, started: bool | None = None) -> list[str]:
    """Experiments of the report that train: all, those with initial weights, or those without."""
    return [
        name
        for name in report_experiments(config)
        if config["experiments"][name]["recipe"]
        and started in (None, config["experiments"][name]["init"] is not None)
    ]


def checkpoint_experiments(config: Mapping) -> list[str]:
    """Experiments that evaluate the weights of others as they are."""
    entries = config["experiments"].items()
    return [name for name, entry in entries if "checkpoint" in (entry["weights"] or {})]


def report_checkpoints(config: Mapping) -> list[str]:
    """Checkpoints whose weights the report's experiments start from or evaluate."""
    entries = [config["experiments"][name] for name in report_experiments(config)]
    starts = [entry["init"] or entry["weights"] or {} for entry in entries]
    return sorted({start["checkpoint"] for start in starts if "checkpoint" in start})


def pretrained(config: Mapping) -> list[str]:
    """Experiments that train from scratch."""
    entries = config["experiments"].items()
    return [name for name, entry in entries if entry["recipe"] and not entry["init"]]


def finetuned(config: Mapping) -> list[str]:
    """Experiments that train from given weights."""
    entries = config["experiments"].items()
    return [name for name, entry in entries if entry["recipe"] and entry["init"]]


def fetch_spec(config: Mapping, source: str) -> dict:
    """Where the archives of a source are, and which: another file in their place is fetched anew.

    A mirror that does not hold the source is left out, so that adding one repeats nothing.
    """
    describe = describe_in_mirrors if is_plugin(source) else describe_own
    return {"source": source, **describe(source, config["paths"]["mirror"])}


def stand_in_spec(config: Mapping, source: str) -> dict:
    """Which photographs stand in for a source."""
    return {"source": source, "seed": config["seed"], **config["stand_ins"][source]}


def source_plugin(source: str) -> str:
    """Module that finds or downloads a source's archives."""
    return f"{SOURCES}.{source}" if is_plugin(source) else "robustvit.data.own_images"


def builder_plugin(config: Mapping, name: str) -> str:
    """Module that builds a data set."""
    return f"robustvit.data.builders.{config['datasets'][name]['builder']}"


def checkpoint_plugins(config: Mapping, name: str) -> list[str]:
    """What a checkpoint's model is built by."""
    return model_plugins(specs.checkpoint_model(config, name))


def perturbation_plugins(config: Mapping, analysis: str, generator: str) -> list[str]:
    """Plug-ins that decide a set of perturbations: model family and attack."""
    attack = config["semantics"][analysis].get("attack", "pgd")
    return [*experiment_plugins(config, generator), f"{ATTACKS}.{attack}"]


def table_plugin(config: Mapping, name: str) -> str:
    """Module that builds a kind of table."""
    return f"robustvit.reporting.tables.{_table_kind(config, name)}"


def figure_plugin(config: Mapping, name: str) -> str:
    """Module that draws a kind of figure."""
    return f"robustvit.reporting.figures.{config['figures'][name]['kind']}"


def stages(config: Mapping) -> dict:
    """Which kinds of job the report's run has: all that the graph of its rules depends on."""
    names = report_experiments(config)
    kinds = {specs.weights_owner(config, name)[0] for name in names}
    shown = stand_in_datasets(config)
    figures = {config["figures"][name]["kind"] for name in report_figures(config)}
    return {
        "stand_ins": any(shown[name] for name in report_datasets(config)),
        "pretrain": bool(report_trainings(config, False)),
        "finetune": bool(report_trainings(config, True)),
        "checkpoints": "checkpoint" in kinds,
        "claims": bool(config["report"]["claims"]),
        "tables": sorted({_table_kind(config, name) for name in config["report"]["tables"]}),
        "figures": sorted(figures),
    }
