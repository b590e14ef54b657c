"""Sentences that say what a run found, computed from its results and from nothing else."""

from __future__ import annotations

from collections.abc import Iterator

from robustvit.core.progress import format_seconds
from robustvit.reporting.formatting import percent, sentence_list, threat_text, with_interval

STRONGEST = ("autoattack", "apgd_ce", "pgd", "fgsm")  # attacks, the strongest first


def write_abstract(spec: dict, summary: dict) -> list[str]:
    """Write the abstract's sentences; a stage that did not run adds none.

    Args:
        spec: the report's settings (labels of experiments and protocols).
        summary: see `robustvit.reporting.summary.build_summary`.
    """
    sentences = [
        *_scope(spec, summary),
        *_robustness(spec, summary),
        *_semantics(spec, summary),
        *_cost(summary),
    ]
    if summary["missing"]:
        sentences.append(
            f"{len(summary['missing'])} results were not there when this report was written; "
            "they are listed below."
        )
    return sentences


def label_of(section: dict, name: str) -> str:
    """The display name of an entry of the report's settings, or its own name."""
    entry = section.get(name)
    return (entry.get("label") if isinstance(entry, dict) else None) or name


def quoted(section: dict | None, name: str) -> str:
    """The display name in quotation marks, so that its own commas do no harm in a sentence."""
    return f"“{label_of(section or {}, name)}”"


def _scope(spec: dict, summary: dict) -> Iterator[str]:
    trained = [name for name, t in summary["training"].items() if t["status"] == "done"]
    experiments = spec.get("experiments") or {}
    attacked = [n for n in trained if (experiments.get(n) or {}).get("threat")]
    datasets = [d for d in summary["datasets"].values() if d["status"] == "built"]
    if trained:
        sets = f" on {_count(len(datasets), 'data set')}" if datasets else ""
        yield (
            f"This run trained {_count(len(trained), 'model')}{sets}, "
            f"{len(attacked)} of them against adversarial perturbations."
        )
    stand_ins = [n for n, d in summary["datasets"].items() if d.get("stand_in")]
    if stand_ins:
        labels = [quoted(spec.get("datasets"), name) for name in stand_ins]
        yield (
            f"For {sentence_list(labels)} the original archives were not at hand, and stand-ins "
            "made of CIFAR-10 photographs took their place; these results show that the "
            "pipeline works, not how the method does on those data sets."
        )


def _robustness(spec: dict, summary: dict) -> Iterator[str]:
    """Compare, per data set and ε, the most robust model with the least robust one."""
    protocol = _strongest(spec, summary)
    if protocol is None:
        return
    for experiments in _by_problem(summary, protocol).values():
        ranked = sorted(experiments, key=lambda name: _robust(summary, name, protocol)["value"])
        yield _best(spec, summary, ranked[-1], protocol)
        lowest = _robust(summary, ranked[0], protocol)
        if len(ranked) > 1 and lowest["value"] < _robust(summary, ranked[-1], protocol)["value"]:
            label = quoted(spec["experiments"], ranked[0])
            yield f"The least robust one, {label}, keeps {with_interval(lowest)}."


def _best(spec: dict, summary: dict, name: str, protocol: str) -> str:
    record = summary["evaluations"][name][protocol]
    robust, clean = _robust(summary, name, protocol), _clean(summary, name, protocol)
    against = label_of(spec["protocols"], protocol)
    dataset = quoted(spec.get("datasets"), record["dataset"])
    text = f"On {dataset}, the most robust model, "
    text += f"{quoted(spec['experiments'], name)}, classifies {with_interval(robust)} of "
    text += f"{robust['n']} images correctly under {against} at {threat_text(record['threat'])}"
    if clean:
        text += f", and {with_interval(clean)} of the unchanged images"
    if record.get("chance") is not None:
        text += f"; guessing would reach {percent(record['chance'])}"
    return text + "."


def _strongest(spec: dict, summary: dict) -> str | None:
    """The protocol with the strongest attack that any experiment was evaluated with."""
    evaluated = {protocol for found in summary["evaluations"].values() for protocol in found}
    attacks = {
        name: entry.get("attack")
        for name, entry in (spec.get("protocols") or {}).items()
        if isinstance(entry, dict) and name in evaluated
    }
    ranked = [name for attack in STRONGEST for name, own in attacks.items() if own == attack]
    return ranked[0] if ranked else None


def _by_problem(summary: dict, protocol: str) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for name, found in summary["evaluations"].items():
        if protocol in found and _robust(summary, name, protocol):
            record = found[protocol]
            problem = f"{record['dataset']} {threat_text(record['threat'])}"
            groups.setdefault(problem, []).append(name)
    return groups


def _robust(summary: dict, name: str, protocol: str) -> dict | None:
    return summary["evaluations"][name][protocol]["robust_top1"]


def _clean(summary: dict, name: str, protocol: str) -> dict | None:
    found = summary["evaluations"][name]
    return (found.get("clean") or found[protocol])["clean_top1"]


def _semantics(spec: dict, summary: dict) -> Iterator[str]:
    """One sentence per classifier: how often it names the class of each generator's images."""
    experiments = spec.get("experiments") or {}
    groups: dict[tuple, list[dict]] = {}
    for record in summary["semantics"]:
        if record.get("top1"):
            group = (record["semantics"], record["classifier"], record.get("chance_top1"))
            groups.setdefault(group, []).append(record)
    for (_, classifier, chance), records in groups.items():
        shares = [
            f"{with_interval(r['top1'])} of those of {quoted(experiments, r['generator'])}"
            for r in records
        ]
        guess = "" if chance is None else f"; guessing would reach {percent(chance)}"
        yield (
            f"Shown nothing but the perturbations, {quoted(experiments, classifier)} names the "
            f"class of the attacked image for {sentence_list(shares)}{guess}."
        )


def _cost(summary: dict) -> Iterator[str]:
    seconds = sum(stage["seconds"] for stage in summary["stages"])
    if seconds:
        yield f"All jobs together took {format_seconds(seconds)}."


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")
