"""Sentences that say what a run found, computed from its results and from nothing else."""

from __future__ import annotations

from collections.abc import Iterator

from robustvit.core.progress import format_seconds
from robustvit.reporting.formatting import percent, sentence_list, threat_text, with_interval
from robustvit.reporting.protocols import weaknesses
from robustvit.reporting.selection import images_of_choice, selection_of
from robustvit.reporting.verdicts import OTHER_SETTINGS

STRONGEST = ("autoattack", "apgd_ce", "pgd_targeted", "pgd", "fgsm")  # attacks, the strongest first

PROBLEMS = 3  # pairs of data set and radius that the abstract tells of


def write_abstract(spec: dict, summary: dict) -> list[str]:
    """Write the abstract's sentences; a stage that did not run adds none.

    Args:
        spec: the report's settings (labels of experiments and protocols).
        summary: see `robustvit.reporting.summary.build_summary`.
    """
    sentences = [
        *_scope(spec, summary),
        *_robustness(spec, summary),
        *_selection(spec, summary),
        *_semantics(spec, summary),
        *_overfitting(spec, summary),
        *_claims(summary),
        *_verdicts(summary),
        *_cost(summary),
        *_other_settings(summary),
    ]
    if summary["missing"]:
        sentences.append(_missing(len({entry["file"] for entry in summary["missing"]})))
    return sentences


def _other_settings(summary: dict) -> Iterator[str]:
    """Say that results are of other settings; the sentences above leave these out."""
    files = {file for change in summary.get("other_settings") or [] for file in change["files"]}
    if files:
        verb, they = ("is", "it has") if len(files) == 1 else ("are", "they have")
        yield (
            f"{_count(len(files), 'result')} {verb} of {OTHER_SETTINGS}; {they} no verdict here "
            "and no part in this abstract."
        )


def _missing(number: int) -> str:
    verb, they = ("was", "it is") if number == 1 else ("were", "they are")
    when = "there when this report was written"
    return f"{_count(number, 'result')} {verb} not {when}; {they} listed below."


def label_of(section: dict, name: str) -> str:
    """The display name of an entry of the report's settings, or its own name."""
    entry = section.get(name)
    return (entry.get("label") if isinstance(entry, dict) else None) or name


def quoted(section: dict | None, name: str) -> str:
    """The display name in quotation marks, so that its own commas do no harm in a sentence."""
    return f"“{label_of(section or {}, name)}”"


def _scope(spec: dict, summary: dict) -> Iterator[str]:
    done = {n: t for n, t in summary["training"].items() if t["status"] == "done"}
    trained = [name for name, training in done.items() if not training.get("other_settings")]
    experiments = spec.get("experiments") or {}
    attacked = [n for n in trained if (experiments.get(n) or {}).get("threat")]
    if trained:
        datasets = _training_sets(experiments, trained)
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


def _training_sets(experiments: dict, names: list[str]) -> set[str]:
    """Data sets whose images trained these experiments; those only evaluated on do not count."""
    entries = [experiments.get(name) or {} for name in names]
    mixed = [entry.get("synthetic") or {} for entry in entries]
    used = [part["dataset"] for part in (*entries, *mixed) if part.get("dataset")]
    return {dataset["name"] if isinstance(dataset, dict) else dataset for dataset in used}


def _robustness(spec: dict, summary: dict) -> Iterator[str]:
    """Per set of images and ε: the models, ranked only as far as their intervals allow it."""
    protocol = _strongest(spec, summary)
    if protocol is None:
        return
    problems = list(_by_problem(summary, protocol).values())
    told = _largest(problems)
    for names in told:
        records = {name: summary["evaluations"][name][protocol] for name in names}
        ranked = sorted(records, key=lambda name: -records[name]["robust_top1"]["value"])
        yield _first(spec, records, ranked, protocol)
        if len(ranked) > 1:
            yield _last(spec, records, ranked)
    if problems[len(told) :]:
        left = _count(len(problems) - len(told), "further pair")
        yield f"The tables hold {left} of data set and radius."


def _largest(problems: list[list[str]]) -> list[list[str]]:
    """The problems with the most models, in their order: an abstract has room for a few."""
    ranked = sorted(problems, key=lambda names: -len(names))[:PROBLEMS]
    return [names for names in problems if names in ranked]


def _first(spec: dict, records: dict, ranked: list[str], protocol: str) -> str:
    record = records[ranked[0]]
    robust, clean = record["robust_top1"], record["clean_top1"]
    rivals = [name for name in ranked[1:] if _overlap(robust, records[name]["robust_top1"])]
    best = f"the most robust of {len(ranked)} models, " if ranked[1:] and not rivals else ""
    text = f"On {quoted(spec.get('datasets'), record['dataset'])}, {best}"
    text += f"{quoted(spec['experiments'], ranked[0])}{',' * bool(best)} classifies "
    text += f"{with_interval(robust)} of {robust['n']} images correctly under "
    text += f"{_attack(spec, record, protocol)} at {threat_text(record['threat'])}"
    if clean:
        text += f", and {with_interval(clean)} of the same images unchanged"
    if record.get("chance") is not None:
        text += f"; guessing would reach {percent(record['chance'])}"
    return f"{text}.{_alarm(record)}{_undecided(spec, ranked[0], rivals)}"


def _last(spec: dict, records: dict, ranked: list[str]) -> str:
    """The model that keeps the lowest share; it is called so only if no interval overlaps."""
    robust = records[ranked[-1]]["robust_top1"]
    close = [n for n in ranked[:-1] if _overlap(robust, records[n]["robust_top1"])]
    label = quoted(spec["experiments"], ranked[-1])
    who = label if close else f"The least robust one, {label},"
    return f"{who} keeps {with_interval(robust)}.{_alarm(records[ranked[-1]])}"


def _overlap(one: dict, other: dict) -> bool:
    """Whether two proportions have values in common within their 95% intervals."""
    return one["low"] <= other["high"] and other["low"] <= one["high"]


def _attack(spec: dict, record: dict, protocol: str) -> str:
    used = record.get("attack") or {}
    classes = round(1 / record["chance"]) if record.get("chance") else 10
    weaker = weaknesses(used.get("name"), used.get("options"), classes)
    label = label_of(spec["protocols"], protocol)
    return label + (f", weakened to {sentence_list(weaker)}," if weaker else "")


def _alarm(record: dict) -> str:
    failed = sentence_list(f"“{check['name']}”" for check in record["failed_checks"])
    return f" This evaluation failed its safety check {failed}." if failed else ""


def _undecided(spec: dict, first: str, rivals: list[str]) -> str:
    """Say that the run does not rank the first model before those that it overlaps with."""
    if not rivals:
        return ""
    named = sentence_list(quoted(spec["experiments"], name) for name in rivals)
    others = named if len(rivals) <= 3 else f"{len(rivals)} other models"
    verb = "overlaps with that" if len(rivals) == 1 else "overlaps with those"
    label = quoted(spec["experiments"], first)
    return f" The 95 % interval of {label} {verb} of {others}: this run does not rank them."


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


def _by_problem(summary: dict, protocol: str) -> dict[tuple, list[str]]:
    """Models by the images and ε that they were attacked with: only those can be compared."""
    groups: dict[tuple, list[str]] = {}
    for name, found in summary["evaluations"].items():
        record = found.get(protocol)
        if record and record["robust_top1"] and not record.get("other_settings"):
            images = (record["dataset"], record["split"], record["robust_top1"]["n"])
            groups.setdefault((*images, threat_text(record["threat"])), []).append(name)
    return groups


def _selection(spec: dict, summary: dict) -> Iterator[str]:
    """Say of how many models the evaluation images chose the weights."""
    shown = [
        name
        for name, found in summary["evaluations"].items()
        if any(not record.get("other_settings") for record in found.values())
    ]
    chosen = [name for name in shown if selection_of(name, spec) == "test"]
    if chosen:
        yield (
            f"The weights of {_count(len(chosen), 'evaluated model')} are those of the epoch that "
            f"did best on {images_of_choice(chosen, spec)} (selection: test), which favours "
            f"{'its' if len(chosen) == 1 else 'their'} numbers."
        )


def _semantics(spec: dict, summary: dict) -> Iterator[str]:
    """One sentence per classifier: how often it names the class of each generator's images."""
    experiments = spec.get("experiments") or {}
    groups: dict[tuple, list[dict]] = {}
    for record in summary["semantics"]:
        if record.get("top1") and not record.get("other_settings"):
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


def _overfitting(spec: dict, summary: dict) -> Iterator[str]:
    """Name each training that overfitted catastrophically, with the epoch of its first sign."""
    experiments = spec.get("experiments") or {}
    current = {n: t for n, t in summary["training"].items() if not t.get("other_settings")}
    watched = {name: training.get("overfitting") for name, training in current.items()}
    found = {name: o["epoch"] for name, o in watched.items() if o and o["epoch"] is not None}
    if found:
        named = [f"{quoted(experiments, name)} (epoch {epoch})" for name, epoch in found.items()]
        yield (
            "Catastrophic overfitting, accuracy that holds under the training’s own attack and "
            f"falls under a stronger one, struck {sentence_list(named)}."
        )


def _claims(summary: dict) -> Iterator[str]:
    """How many claims the runs of several seeds support."""
    verdicts = [claim["verdict"] for claim in summary.get("claims") or []]
    if verdicts:
        counted = [f"{verdicts.count(name)} {name}" for name in dict.fromkeys(verdicts)]
        yield f"Verdicts on {_count(len(verdicts), 'claim')}: {sentence_list(counted)}."


def _verdicts(summary: dict) -> Iterator[str]:
    """How the numbers that can be compared with published ones came out."""
    found = summary.get("verdicts") or {}
    agrees, differs = found.get("agrees", 0), found.get("differs", 0)
    if agrees + differs:
        few = f", {found['not run']} were not run" if found.get("not run") else ""
        yield (
            f"Of {_count(agrees + differs, 'number')} that can be compared with a published one, "
            f"{agrees} agree with it within their 95 % intervals and {differs} differ{few}."
        )


def _cost(summary: dict) -> Iterator[str]:
    seconds = sum(stage["seconds"] for stage in summary["stages"])
    if seconds:
        yield f"All jobs together took {format_seconds(seconds)}."


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")
