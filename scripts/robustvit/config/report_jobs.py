"""The jobs that the report is made of, by rule: their names and their number."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from robustvit.config import inputs, specs
from robustvit.config.analysis_specs import FINAL, losses_names
from robustvit.config.claims import report_claim_analyses

SHARD = 64  # images that are worth a job of their own
ADVERSARIAL = "export_adversarial"
ONCE = ("write_summary", "render_report", "render_page", "render_html")


def report_jobs(config: Mapping) -> dict[str, list[str] | dict[str, int] | None]:
    """Jobs by rule: benchmark names, or names with their number of shards, or None for a lone one.

    The rules that run after the summary are left out: what lies there is of an earlier run.
    """
    names = inputs.report_experiments(config)
    pairs = [(name, p) for name in names for p in config["experiments"][name]["evaluate"]]
    datasets = inputs.report_datasets(config)
    return {
        **_sources(config, datasets),
        "build_dataset": datasets,
        "import_checkpoint": inputs.report_checkpoints(config),
        "pretrain_model": inputs.report_trainings(config, False),
        "finetune_model": inputs.report_trainings(config, True),
        "evaluate_model": {f"{n}-{p}": shard_count(config, n, p) for n, p in pairs},
        "gather_evaluation": [f"{n}-{p}" for n, p in pairs],
        ADVERSARIAL: [f"{n}-{p}" for n, p in pairs if _keeps_images(config, p)],
        **_analyses(config),
        "make_table": list(config["report"]["tables"]),
        **({"judge_claims": None} if config["report"]["claims"] else {}),
        "make_figure": [*inputs.report_figures(config), *config["report"]["gallery"]],
        "draw_rule_graph": None,
    }


def job_counts(config: Mapping) -> dict[str, int]:
    """Jobs by stage if nothing is there yet: what `snakemake -n` prints for the target `report`."""
    counts = {rule: _count(jobs) for rule, jobs in report_jobs(config).items()}
    del counts[ADVERSARIAL]  # the target `evaluate` makes them
    if not _named_by_figures(config, "rulegraph"):
        del counts["draw_rule_graph"]
    return {rule: count for rule, count in counts.items() if count} | dict.fromkeys(ONCE, 1)


def _keeps_images(config: Mapping, protocol: str) -> bool:
    return bool(config["protocols"][protocol].get("save_adversarial"))


def _count(jobs: list[str] | dict[str, int] | None) -> int:
    if jobs is None:
        return 1
    return sum(jobs.values()) if isinstance(jobs, dict) else len(jobs)


def shard_count(config: Mapping, name: str, protocol: str) -> int:
    """Jobs that an evaluation is divided over: never more than there are images."""
    count = config["protocols"][protocol].get("shards", 1)
    if isinstance(count, Mapping):
        count = count.get(config["experiments"][name]["eval_dataset"], count["default"])
    images = specs.num_examples(config, name, protocol)
    if config["experiments"][name]["eval_examples"].get(protocol):
        count = min(count, math.ceil(images / SHARD))  # it was meant for the protocol's own number
    return min(count, images) if images else count


def _sources(config: Mapping, datasets: Iterable[str]) -> dict[str, list[str]]:
    stand_in = inputs.stand_in_datasets(config)
    made = {config["datasets"][name]["source"] for name in datasets if stand_in[name]}
    fetched = {config["datasets"][name]["source"] for name in datasets if not stand_in[name]}
    if made:
        fetched.add("cifar10")  # its photographs stand in
    return {"fetch_source": sorted(fetched), "make_stand_in": sorted(made)}


def _analyses(config: Mapping) -> dict[str, list[str]]:
    classified = _table_analyses(config)
    perturbed = dict.fromkeys([*classified, *_named_by_figures(config, "semantics")])
    grown = dict.fromkeys(_named_by_figures(config, "gradients"))
    measured = dict.fromkeys(_named_by_figures(config, "attack_losses"))
    semantics, gradients = config["semantics"], config["gradients"]
    return {
        "make_perturbations": [f"{a}-{g}" for a in perturbed for g in semantics[a]["generators"]],
        "classify_perturbations": [
            f"{a}-{generator}-{classifier}"
            for a in classified
            for generator in semantics[a]["generators"]
            for classifier in semantics[a]["classifiers"]
        ],
        "compare_classifications": classified,
        "accumulate_gradients": [f"{a}-{e}" for a in grown for e in gradients[a]["experiments"]],
        "take_epoch": sorted(
            {
                f"{experiment}-{epoch}"
                for name in measured
                for experiment, epoch in losses_names(config, name)
                if epoch != FINAL
            }
        ),
        "measure_losses": [
            f"{name}-{experiment}-{epoch}"
            for name in measured
            for experiment, epoch in losses_names(config, name)
        ],
    }


def _table_analyses(config: Mapping) -> list[str]:
    entries = (config["tables"][name] for name in config["report"]["tables"])
    named = [e["semantics"] for e in entries if "semantics" in e]
    return list(dict.fromkeys([*named, *report_claim_analyses(config)]))


def _named_by_figures(config: Mapping, key: str) -> list:
    entries = (config["figures"][name].get("options", {}) for name in inputs.shown_figures(config))
    return [options[key] for options in entries if key in options]
