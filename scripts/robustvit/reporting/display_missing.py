"""What was not there when the report was written, kind by kind."""

from __future__ import annotations

from robustvit.reporting.formatting import count, sentence_list

KINDS = {  # by the folder below the results root
    "datasets": "data sets",
    "checkpoints": "checkpoints",
    "train": "trainings",
    "eval": "evaluations",
    "semantics": "classifications of perturbations",
    "tables": "tables",
    "figures": "figures",
}
SINGULAR = {"classifications of perturbations": "classification of perturbations"}
FEW = 10  # missing files that are named at the head of the report
NAMED = 12  # files of a kind that are named; more are counted


def display_missing(missing: list[dict]) -> dict:
    """Group the files that are missing.

    Returns:
        {"number": int, "kinds": "87 trainings and 8 figures", "few": whether all are named at the
        head of the report, "groups": [{"title": "trainings (87)", "files": the first, "more": how
        many are not named, "all": every file}]}, in the order in which a run makes them.
    """
    groups: dict[str, list[str]] = {}
    for entry in missing:
        kind = KINDS.get(entry["file"].split("/")[0], "other results")
        groups.setdefault(kind, []).append(entry["file"])
    number = len({entry["file"] for entry in missing})
    order = [*KINDS.values(), "other results"]
    return {
        "number": number,
        "kinds": sentence_list(_counted(kind, groups[kind]) for kind in order if kind in groups),
        "few": number <= FEW,
        "groups": [_group(kind, groups[kind]) for kind in order if kind in groups],
    }


def _counted(kind: str, files: list[str]) -> str:
    number = len(set(files))
    return f"{count(number)} {kind if number > 1 else SINGULAR.get(kind, kind.rstrip('s'))}"


def _group(kind: str, files: list[str]) -> dict:
    files = list(dict.fromkeys(files))
    named = files if len(files) <= NAMED + 1 else files[:NAMED]
    return {
        "title": f"{kind} ({count(len(files))})",
        "files": named,
        "more": len(files) - len(named),
        "all": files,
    }
