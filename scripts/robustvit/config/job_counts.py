"""How many jobs of each stage the whole report takes, worked out from the configuration."""

from __future__ import annotations

from collections.abc import Mapping

from robustvit.config import inputs, specs

ONCE = ("write_summary", "render_report", "render_html")


def shard_count(config: Mapping, name: str, protocol: str) -> int:
    """Jobs that an evaluation is divided over: never more than there are images."""
    count = config["protocols"][protocol].get("shards", 1)
    if isinstance(count, Mapping):
        count = count.get(config["experiments"][name]["eval_dataset"], count["default"])
    images = specs.num_examples(config, name, protocol)
    return min(count, images) if images else count


def job_counts(config: Mapping) -> dict[str, int]:
    """Jobs by stage if nothing is there yet, all sources come from mirrors and none is a stand-in.

    The numbers are those that `snakemake -n` prints for the target `report`, without the target
    itself.
    """
    names = inputs.report_experiments(config)
    pairs = [(name, p) for name in names for p in config["experiments"][name]["evaluate"]]
    analyses = _analyses(config)
    counts = {
        "fetch_source": len({config["datasets"][d]["source"] for d in _datasets(config)}),
        "build_dataset": len(_datasets(config)),
        "import_checkpoint": len(_checkpoints(config, names)),
        "pretrain_model": len(inputs.report_trainings(config, False)),
        "finetune_model": len(inputs.report_trainings(config, True)),
        "evaluate_model": sum(shard_count(config, *pair) for pair in pairs),
        "gather_evaluation": len(pairs),
        "make_perturbations": sum(len(config["semantics"][a]["generators"]) for a in analyses),
        "classify_perturbations": _classifications(config),
        "accumulate_gradients": _accumulations(config),
        "make_table": len(config["report"]["tables"]),
        "make_figure": len(config["report"]["figures"]),
        "draw_rule_graph": int(bool(_figure_options(config, "rulegraph"))),
        **dict.fromkeys(ONCE, 1),
    }
    return {rule: count for rule, count in counts.items() if count}


def _figure_options(config: Mapping, key: str) -> list:
    figures = (config["figures"][name] for name in config["report"]["figures"])
    return [value for f in figures if (value := f.get("options", {}).get(key))]


def _analyses(config: Mapping) -> set[str]:
    return {*_table_analyses(config), *_figure_options(config, "semantics")}


def _table_analyses(config: Mapping) -> set[str]:
    tables = (config["tables"][name] for name in config["report"]["tables"])
    return {entry["semantics"] for entry in tables if "semantics" in entry}


def _classifications(config: Mapping) -> int:
    entries = (config["semantics"][name] for name in _table_analyses(config))
    return sum(len(entry["generators"]) * len(entry["classifiers"]) for entry in entries)


def _accumulations(config: Mapping) -> int:
    names = set(_figure_options(config, "gradients"))
    return sum(len(config["gradients"][name]["experiments"]) for name in names)


def _datasets(config: Mapping) -> list[str]:
    return inputs.report_datasets(config)


def _checkpoints(config: Mapping, names: list[str]) -> set[str]:
    starts = (config["experiments"][n][key] for n in names for key in ("init", "weights"))
    return {start["checkpoint"] for start in starts if start and "checkpoint" in start}
