"""Where each number comes from, as rows of a table: file, jobs, commit, weights."""

from __future__ import annotations

from robustvit.reporting.abstract import label_of


def display_origins(spec: dict, summary: dict) -> list[dict]:
    """One row per result file.

    Returns:
        [{"number", "label", "what", "file", "jobs": [text], "commit", "created", "device",
        "weights": text}].
    """
    return [_row(spec, origin) for origin in summary.get("origins") or []]


def numbers_by_file(summary: dict) -> dict[str, int]:
    """The number by which tables refer to a result file."""
    return {origin["file"]: origin["number"] for origin in summary.get("origins") or []}


def _row(spec: dict, origin: dict) -> dict:
    experiments = spec.get("experiments") or {}
    what = origin["what"]
    if len(what) == 1:
        label, detail = label_of(experiments, what[0]), "learning curve"
    elif len(what) == 2:
        label = label_of(experiments, what[0])
        detail = label_of(spec.get("protocols") or {}, what[1])
    else:
        label = label_of(experiments, what[1])
        detail = f"perturbations named by {label_of(experiments, what[2])}"
    return {
        "number": origin["number"],
        "label": label,
        "what": detail,
        "file": origin["file"],
        "jobs": [_job(job) for job in origin["jobs"]],
        "commit": short_commit(origin["commit"]),
        "created": (origin["created"] or "unknown")[:16].replace("T", " "),
        "device": origin["device"] or "unknown",
        "weights": _weights(origin["weights"]),
    }


def _job(job: dict) -> str:
    shards = f" ({job['jobs']} shards)" if job["jobs"] > 1 else ""
    return f"{job['rule']}/{job['job']}{shards}"


def _weights(weights: dict | None) -> str:
    if not weights:
        return "–"
    if weights["kind"] == "checkpoint":
        return f"checkpoints/{weights['name']}"
    return f"train/{weights['name']} by {short_commit(weights['commit'])}"


def short_commit(commit: str | None) -> str:
    """Twelve digits of a commit, and whether files differed from it."""
    if not commit:
        return "unknown"
    return commit[:12] + "+changes" * ("+" in commit)
