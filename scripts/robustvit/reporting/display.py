"""Everything the report prints, as strings: the template only places it."""

from __future__ import annotations

from robustvit.core.progress import format_seconds
from robustvit.reporting.display_claims import display_claims
from robustvit.reporting.display_cost import display_cost
from robustvit.reporting.display_differences import display_differences
from robustvit.reporting.display_methods import display_datasets, display_experiments
from robustvit.reporting.display_missing import display_missing
from robustvit.reporting.display_origins import display_origins, numbers_by_file
from robustvit.reporting.display_other import display_other_settings
from robustvit.reporting.display_protocol import display_protocol
from robustvit.reporting.display_recipes import display_recipes
from robustvit.reporting.display_settings import display_settings
from robustvit.reporting.display_tables import display_table
from robustvit.reporting.display_verdicts import display_verdicts
from robustvit.reporting.document import build_document
from robustvit.reporting.formatting import count, typeset

FOLLOW = {
    "code": "Where the thesis and its released code differ, this run follows the released code.",
    "thesis": "Where the thesis and its released code differ, this run follows the thesis.",
}

CHECKS = {
    "deterministic": "The model gives the same logits twice",
    "logits": "The outputs are logits, not probabilities",
    "static": "The model does not differentiate while it predicts",
    "normalization": "No other normalisation fits the model better",
    "reproducible": "An image's logits and gradients are the same in any batch",
    "gradients": "Every clean image has a gradient",
    "large epsilon": "Hardly an image withstands an ε that leaves no pixel fixed",
    "ball": "Perturbed images stay within ε and [0, 1]",
    "white box": "The black-box attack finds no more than the gradient attacks",
    "strength": "A stronger attack leaves no more standing than a weaker one",
}


def build_display(spec: dict, summary: dict) -> dict:
    """Turn the report's settings and the run's summary into what the PDF and the page print.

    Returns:
        Title, abstract and notes, the parts in words, and "document": the sections that
        `robustvit.reporting.document` arranges them into.
    """
    tables = [summary["tables"][n] for n in spec.get("tables") or [] if n in summary["tables"]]
    numbers = numbers_by_file(summary)
    words = {
        "title": summary["title"],
        "name": summary["name"],
        "made": _made(summary),
        "commit": _short(summary["provenance"]["commits"]),
        "abstract": summary["abstract"],
        "notes": summary["notes"],
        "follow": FOLLOW.get(summary.get("follow")),
        "missing": display_missing(summary["missing"]),
        "other_settings": display_other_settings(summary.get("other_settings") or []),
        "experiments": display_experiments(spec, summary),
        "recipes": display_recipes(spec),
        "datasets": display_datasets(spec, summary),
        "protocol": display_protocol(spec, summary),
        "verdicts": display_verdicts(summary),
        "differences": display_differences(spec),
        "claims": display_claims(summary["claims"]),
        "tables_asked": len(spec.get("tables") or []),
        "tables": [display_table(table, spec, numbers) for table in tables],
        "checks": _checks(spec, summary),
        "stages": _stages(summary),
        "cost": display_cost(summary),
        "origins": display_origins(spec, summary),
        "provenance": _provenance(summary["provenance"]),
    }
    names = {"figures": _figures(spec, summary), "settings": display_settings(spec)}
    shown = typeset(words) | names
    document = build_document(shown)
    return shown | {"document": [s if s["name"] == "settings" else typeset(s) for s in document]}


def _short(commits: list[str]) -> str:
    """The commits of the results for the foot of the page: one in full, more as a number."""
    if not commits:
        return "unknown"
    first = commits[0][:12] + "+changes" * ("+" in commits[0])
    return first + (f" and {len(commits) - 1} more" if commits[1:] else "")


def _made(summary: dict) -> str:
    """A line under the title: the run, what was measured and when the last of it was made."""
    origins = summary.get("origins") or []
    dates = sorted(origin["created"][:10] for origin in origins if origin["created"])
    text = f"Run “{summary['name']}”"
    if not dates:
        return f"{text}; nothing was measured yet"
    results = f"{count(len(origins))} result{'s' * (len(origins) != 1)}"
    days = dates[-1] if dates[0] == dates[-1] else f"{dates[0]} to {dates[-1]}"
    return f"{text}; {results}, measured {days}"


def _figures(spec: dict, summary: dict) -> list[dict]:
    """The figures as blocks; those of `gallery` belong to the HTML page alone."""
    named = [(figure, False) for figure in spec.get("figures") or []]
    named += [(figure, True) for figure in spec.get("gallery") or []]
    return [_figure(figure, summary, gallery) for figure, gallery in named]


def _figure(figure: dict | str, summary: dict, gallery: bool) -> dict:
    figure = figure if isinstance(figure, dict) else {"name": figure}
    made = summary["figures"].get(figure["name"])
    return {
        "type": "figure",
        "name": figure["name"],
        "title": typeset(figure.get("title") or figure["name"]),
        "caption": typeset(figure.get("caption") or ""),
        "alt": (made or {}).get("alt") or figure.get("title") or figure["name"],
        "made": made is not None,
        "of_dataset": bool(figure.get("of_dataset")),
        "gallery": gallery,
    }


def _checks(spec: dict, summary: dict) -> list[dict]:
    """Group the checks by what they look at: how many passed, and which did not.

    "ball (square)" is the check "ball" of the attack square.
    """
    groups: dict[str, list[dict]] = {}
    for check in summary["checks"]:
        name = check["name"].split(" (")[0]
        groups.setdefault(CHECKS.get(name, name), []).append(check)
    return [_check_group(name, checks) for name, checks in groups.items()]


def _check_group(name: str, checks: list[dict]) -> dict:
    failed = [check for check in checks if not check["passed"]]
    details = [
        f"{check['experiment']}, {check['protocol']}"
        + (f": {check['detail']}" if check["detail"] else "")
        for check in (failed or checks[:1])
    ]
    return {
        "name": name,
        "state": "failed" if failed else "passed",
        "count": f"{len(checks) - len(failed)} of {len(checks)}",
        "share": 1 - len(failed) / len(checks),
        "details": details if failed else [d.split(": ", 1)[1] for d in details if ": " in d],
    }


def _stages(summary: dict) -> list[dict]:
    """Rows {"texts", "numbers" to sort by}; the last one sums up."""
    rows = [_stage(stage, stage["stage"]) for stage in summary["stages"]]
    if rows:
        jobs = sum(stage["jobs"] for stage in summary["stages"])
        total = sum(stage["seconds"] for stage in summary["stages"])
        texts = ["all stages", count(jobs), format_seconds(total), "", ""]
        rows.append({"texts": texts, "numbers": [jobs, total, None, None]})
    return rows


def _stage(stage: dict, name: str) -> dict:
    keys = ("jobs", "seconds", "longest_seconds", "memory_mb")
    jobs, seconds, longest, memory = numbers = [stage[key] for key in keys]
    megabytes = "–" if memory is None else f"{count(memory)} MB"
    texts = [name, count(jobs), format_seconds(seconds), format_seconds(longest), megabytes]
    return {"texts": texts, "numbers": numbers}


def _provenance(found: dict) -> list[list[str]]:
    versions = ", ".join(f"{name} {' / '.join(v)}" for name, v in found["versions"].items())
    rows = [
        ["Commit", ", ".join(found["commits"])],
        ["Python", ", ".join(found["python"])],
        ["Packages", versions],
        ["Device", ", ".join(found["devices"])],
        ["Processor", ", ".join(found["processors"])],
        ["Seeds", ", ".join(map(str, found["seeds"]))],
        ["Results read", count(found["results"])],
        ["Published numbers", f"{found['published']['file']}, {found['published']['numbers']}"],
        ["Summary written", f"{found['summary']['created']} by {found['summary']['commit']}"],
    ]
    return [[name, value or "unknown"] for name, value in rows]
