"""Where each number of the report comes from: its file, the jobs, the commit, the weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from robustvit.reporting.asked import asked_classifications, asked_evaluations
from robustvit.reporting.results import Results


def collect_origins(spec: Mapping, results: Results, tables: Mapping[str, Mapping]) -> list[dict]:
    """List every result file that the report takes numbers from, in the order of its tables.

    Args:
        spec: the report's settings (see `robustvit.reporting.summary.build_summary`).
        results: reader of the results root.
        tables: what `build_table` made, by name.

    Returns:
        One {"number", "what": [names], "file", "jobs": [{"rule", "job", "log", "jobs"}], "commit",
        "created", "device", "seconds", "seed", "weights": {"kind", "name", "commit"} or None} per
        file that is there; `number` is what a table refers to.
    """
    shown = [c["file"] for t in tables.values() for row in t["rows"] for c in row["cells"]]
    sources = {source["file"]: source for source in _sources(spec, results)}
    sources |= {s["file"]: s for s in _trainings(spec, results) if s["file"] in shown}
    order = dict.fromkeys([*(file for file in shown if file in sources), *sources])
    return [
        {"number": number, **sources[file]} | _weights(spec, results, sources[file]["what"])
        for number, file in enumerate(order, start=1)
    ]


def _sources(spec: Mapping, results: Results) -> Iterator[dict]:
    jobs = spec.get("jobs") or {}
    for names in asked_evaluations(spec):
        record, file = results.evaluation(*names), results.evaluation_file(*names)
        if record is not None:
            job = "-".join(names)
            shards = _shards(jobs.get("evaluate_model"), job)
            made = [_job("evaluate_model", job, shards), _job("gather_evaluation", job)]
            yield _origin(list(names), file, made, record)
    for names in asked_classifications(spec):
        record, file = results.semantics(*names), results.semantics_file(*names)
        if record is not None:
            made = [_job("make_perturbations", "-".join(names[:2]))]
            made.append(_job("classify_perturbations", "-".join(names)))
            yield _origin(list(names), file, made, record)


def _trainings(spec: Mapping, results: Results) -> Iterator[dict]:
    """Learning curves, of which some tables take numbers."""
    for name, entry in (spec.get("experiments") or {}).items():
        found = results.training(name) if entry.get("recipe") else None
        if found is not None:
            rule = "finetune_model" if entry.get("init") else "pretrain_model"
            file = results.training_file(name)
            yield _origin([name], file, [_job(rule, name)], found["config"])


def _shards(jobs: object, name: str) -> int:
    return jobs.get(name, 1) if isinstance(jobs, Mapping) else 1


def _job(rule: str, job: str, shards: int | None = None) -> dict:
    """A job with its log; `shards` names the first of so many."""
    suffix = "" if shards is None else f"-0-of-{shards}"
    return {"rule": rule, "job": job, "jobs": shards or 1, "log": f"logs/{rule}/{job}{suffix}.log"}


def _origin(what: list[str], file: str, jobs: list[dict], record: Mapping) -> dict:
    made = record.get("provenance") or {}
    kept = {key: made.get(key) for key in ("commit", "created", "device", "seconds", "seed")}
    return {"what": what, "file": file, "jobs": jobs} | kept


def _weights(spec: Mapping, results: Results, what: list[str]) -> dict:
    """The weights that were evaluated: an experiment's with its commit, or a checkpoint."""
    if len(what) == 1:
        return {"weights": None}
    name = what[0] if len(what) == 2 else what[1]
    owner = ((spec.get("experiments") or {}).get(name) or {}).get("weights") or {}
    if not owner:
        return {"weights": None}
    kind, own = next(iter(owner.items()))
    config = (results.training(own) or {}).get("config") if kind == "experiment" else None
    commit = ((config or {}).get("provenance") or {}).get("commit")
    return {"weights": {"kind": kind, "name": own, "commit": commit}}
