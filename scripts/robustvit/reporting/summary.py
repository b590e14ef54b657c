"""One JSON object with everything that a run found: what the report prints and machines read."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from robustvit.analysis.overfitting import detect_in_training
from robustvit.core import provenance
from robustvit.core.errors import UserError
from robustvit.planning.facts import load_facts
from robustvit.reporting.abstract import write_abstract
from robustvit.reporting.asked import (
    asked_classifications,
    asked_evaluations,
    asked_perturbations,
)
from robustvit.reporting.cost import collect_cost
from robustvit.reporting.cross_checks import cross_checks
from robustvit.reporting.origins import collect_origins
from robustvit.reporting.published import Published
from robustvit.reporting.results import Results, failed_checks, proportion
from robustvit.reporting.stages import collect_stages
from robustvit.reporting.verdicts import count_verdicts

METRICS = ("clean_top1", "robust_top1")
KEPT = (
    *("dataset", "split", "stand_in", "chance", "threat", "attack", "engine", "attacks", "seed"),
    *("seconds",),
)


def build_summary(spec: dict, results: Results, published: Published) -> dict:
    """Collect the run that `spec` (the report's settings) describes, whatever of it exists.

    Args:
        spec: {"name","title","tables","claims","figures","experiments","datasets","protocols",
            "semantics","gallery","notes","follow","jobs","cost": {"site": file or None}}; what an
            experiment's "evaluate", an analysis or "jobs" does not name is not read, since a file
            that nobody asks for is of an earlier run.

    Raises:
        UserError: if a file cannot be read or contradicts itself, or nothing at all was run.
    """
    if not results.root.is_dir():
        raise UserError(f"{results.root}: no such results folder; run the workflow first.")
    experiments, records = spec.get("experiments") or {}, _records(spec, results)
    tables = {name: results.table(name) for name in spec.get("tables") or []}
    summary = {
        "name": spec.get("name", results.root.name),
        "title": spec.get("title") or spec.get("name", results.root.name),
        "follow": spec.get("follow"),
        "notes": list(spec.get("notes") or []),
        "tables": {name: table for name, table in tables.items() if table},
        "claims": _claims(spec, results),
        "evaluations": _evaluations(records, results),
        "semantics": list(_semantics(spec, results)),
        "comparisons": list(_comparisons(spec, results)),
        "training": {name: _training(name, entry, results) for name, entry in experiments.items()},
        "datasets": {name: _dataset(name, results) for name in spec.get("datasets") or {}},
        "checkpoints": {n: results.checkpoint(n) for n in spec.get("checkpoints") or []},
        "figures": {figure["name"]: results.figure(figure["name"]) for figure in _figures(spec)},
        "stages": collect_stages(results.root, spec.get("jobs") or {}),
    }
    summary["checks"] = list(_checks(records))
    summary["other_settings"] = _other_settings(results)
    summary["missing"] = _each_file_once(_missing(spec, summary))
    summary["verdicts"] = count_verdicts(summary["tables"].values())
    summary["origins"] = collect_origins(spec, results, summary["tables"])
    summary["cost"] = _cost(spec, results)
    summary["provenance"] = _provenance(spec, results, published)
    summary["abstract"] = write_abstract(spec, summary)
    return summary


def _claims(spec: dict, results: Results) -> list[dict]:
    """The verdicts of the claims that the report asks for, in its order."""
    found = {claim["name"]: claim for claim in (results.claims() or {}).get("claims", [])}
    return [found[name] for name in spec.get("claims") or [] if name in found]


def _figures(spec: dict) -> list[dict]:
    named = [*(spec.get("figures") or []), *(spec.get("gallery") or [])]
    return [f if isinstance(f, dict) else {"name": f} for f in named]


def _evaluations(records: dict[str, dict[str, dict]], results: Results) -> dict:
    return {
        experiment: {
            protocol: _evaluation(record, results.evaluation_file(experiment, protocol), results)
            for protocol, record in own.items()
        }
        for experiment, own in records.items()
    }


def _records(spec: dict, results: Results) -> dict[str, dict[str, dict]]:
    """Gathered evaluations by experiment and protocol, with what they say about each other."""
    records: dict[str, dict] = {}
    for experiment, protocol in asked_evaluations(spec):
        record = results.evaluation(experiment, protocol)
        if record is not None:
            records.setdefault(experiment, {})[protocol] = record
    for own in records.values():
        for protocol, checks in cross_checks(own).items():
            own[protocol] |= {"checks": [*(own[protocol].get("checks") or []), *checks]}
    return records


def _evaluation(record: dict, file: str, results: Results) -> dict:
    measured = {metric: proportion(record, metric, file) for metric in METRICS}
    kept = {key: record.get(key) for key in KEPT}
    state = {"failed_checks": failed_checks(record), "other_settings": results.changes_of(file)}
    return measured | kept | state | {"file": file}


def _semantics(spec: dict, results: Results) -> Iterator[dict]:
    for pair in asked_classifications(spec):
        record, file = results.semantics(*pair), results.semantics_file(*pair)
        if record is not None:
            for metric in ("top1", "top5"):
                proportion(record, metric, file)
            names_of = dict(zip(("semantics", "generator", "classifier"), pair, strict=True))
            kept = {k: v for k, v in record.items() if k != "provenance"}
            yield names_of | kept | {"other_settings": results.changes_of(file), "file": file}


def _comparisons(spec: dict, results: Results) -> Iterator[dict]:
    """Of each analysis: which generators differ by a test, and whether controls are at chance."""
    for analysis in spec.get("semantics") or []:
        found = results.comparison(analysis["name"]) if analysis["classifiers"] else None
        if found is not None:
            yield found | {"file": results.comparison_file(analysis["name"])}


def _training(name: str, entry: dict, results: Results) -> dict:
    if not entry.get("recipe"):
        return {"status": "not trained here"}
    found = results.training(name)
    if found is None or not found["metrics"]:
        return {"status": "missing"}
    made = found["config"].get("provenance") or {}
    return {
        "status": "done",
        "epochs": len(found["metrics"]),
        "seconds": made.get("seconds"),
        "kept": _kept_epoch(found["metrics"]),
        "overfitting": detect_in_training(found),
        "other_settings": results.changes_of(results.training_file(name)),
        "provenance": made,
    }


def _kept_epoch(metrics: list[dict]) -> dict:
    """The row of the epoch whose weights were kept, or the last one."""
    return next((row for row in metrics if row.get("selected") == 1), metrics[-1])


def _dataset(name: str, results: Results) -> dict:
    manifest = results.dataset(name)
    if manifest is None:
        return {"status": "missing"}
    splits = manifest.get("splits") or {}
    return {
        "status": "built",
        "origin": manifest.get("origin"),
        "stand_in": bool(manifest.get("stand_in")),
        "complete": manifest.get("complete"),
        "left_out": len(manifest.get("left_out") or []),
        "missing": len(manifest.get("missing") or []),
        "odd": {k: v["count"] for k, v in (manifest.get("odd_images") or {}).items()},
        "classes": manifest.get("classes") or [],
        "image_shape": manifest.get("image_shape"),
        "splits": {split: part.get("num_examples") for split, part in splits.items()},
        "per_class": {split: _extremes(part) for split, part in splits.items()},
        "sha256": manifest.get("sha256"),
    }


def _extremes(split: dict) -> list[int] | None:
    """The smallest and the largest number of images of a class."""
    counts = split.get("class_counts")
    return [min(counts), max(counts)] if counts else None


def _checks(records: dict[str, dict[str, dict]]) -> Iterator[dict]:
    for experiment, own in records.items():
        for protocol, record in own.items():
            for check in record.get("checks") or []:
                yield {"experiment": experiment, "protocol": protocol} | check


def _missing(spec: dict, summary: dict) -> Iterator[dict]:
    """Everything that the report should show and that was not made yet."""
    for name in spec.get("tables") or []:
        table = summary["tables"].get(name)
        if table is None:
            yield {"what": f"table {name}", "file": f"tables/{name}.json"}
        for file in (table or {}).get("missing", []):
            yield {"what": f"a result in table {name}", "file": file}
    judged = {claim["name"]: claim for claim in summary["claims"]}
    for name in spec.get("claims") or []:
        if name not in judged:
            yield {"what": f"verdict on claim {name}", "file": "claims.json"}
        for file in judged.get(name, {}).get("missing", []):
            yield {"what": f"a result for claim {name}", "file": file}
    for name, figure in summary["figures"].items():
        if figure is None:
            yield {"what": f"figure {name}", "file": f"figures/{name}.pdf"}
    for name, training in summary["training"].items():
        if training["status"] == "missing":
            yield {"what": f"training of {name}", "file": Results.training_file(name)}
    for name, dataset in summary["datasets"].items():
        if dataset["status"] == "missing":
            yield {"what": f"data set {name}", "file": Results.dataset_file(name)}
    for name, source in summary["checkpoints"].items():
        if source is None:
            yield {"what": f"checkpoint {name}", "file": Results.checkpoint_file(name)}


def _other_settings(results: Results) -> list[dict]:
    """How settings were changed since results were made, each with the files that are older."""
    files: dict[str, list[str]] = {}
    for file, causes in results.other_settings.items():
        for cause in causes:
            files.setdefault(cause, []).append(file)
    return [{"cause": cause, "files": found} for cause, found in files.items()]


def _each_file_once(missing: Iterable[dict]) -> list[dict]:
    """A file that several tables or claims lack is one missing result; "what" names them all."""
    found: dict[str, list[str]] = {}
    for entry in missing:
        found.setdefault(entry["file"], []).append(entry["what"])
    return [
        {"what": ", ".join(dict.fromkeys(parts)), "file": file} for file, parts in found.items()
    ]


def _cost(spec: dict, results: Results) -> dict:
    """Hours, energy, CO2 and money of the run's own trainings, evaluations and analyses."""
    facts = load_facts((spec.get("cost") or {}).get("site"))
    return collect_cost(results.root, spec.get("jobs") or {}, _timed(spec, results), facts)


def _provenance(spec: dict, results: Results, published: Published) -> dict:
    """Commits, versions, devices and seeds of all results, and of this summary."""
    made = list(_provenances(spec, results))
    versions: dict[str, list[str]] = {}
    for name in sorted({name for record in made for name in record.get("versions") or {}}):
        versions[name] = _distinct((record.get("versions") or {}).get(name) for record in made)
    return {
        "commits": _distinct(record.get("commit") for record in made),
        "python": _distinct(record.get("python") for record in made),
        "versions": versions,
        "devices": _distinct(record.get("device") for record in made),
        "processors": _distinct(record.get("processor") for record in made),
        "seeds": _distinct(record.get("seed") for record in made),
        "results": len(made),
        "published": {"file": published.path.name, "numbers": len(published)},
        "summary": provenance.collect(),
    }


def _provenances(spec: dict, results: Results) -> Iterator[dict]:
    """Provenance of every result that the report shows; leftovers of other runs have none."""
    experiments = spec.get("experiments") or {}
    records = [results.dataset(name) for name in spec.get("datasets") or {}]
    records += [
        (results.training(name) or {}).get("config")
        for name, entry in experiments.items()
        if entry.get("recipe")
    ]
    records += [results.evaluation(*pair) for pair in asked_evaluations(spec)]
    records += [results.semantics(*pair) for pair in asked_classifications(spec)]
    for record in records:
        found = (record or {}).get("provenance")
        if isinstance(found, dict):
            yield found


def _timed(spec: dict, results: Results) -> Iterator[dict]:
    """Device and seconds of everything that ran on a device, the making of perturbations too."""
    yield from _provenances(spec, results)
    for pair in asked_perturbations(spec):
        found = (results.perturbations(*pair) or {}).get("provenance")
        if isinstance(found, dict):
            yield found


def _distinct(values: Iterable[object]) -> list:
    kept = {json.dumps(value): value for value in values if value is not None}
    return [kept[key] for key in sorted(kept)]
