"""Results that were made with other settings than the configuration has now, and what differs.

Nothing is told of what a record does not hold. A difference of writing (a list for a tuple, 4 for
4.0, an attack's default that is spelt out) is none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime

from robustvit.reporting.formatting import setting
from robustvit.reporting.protocols import settings as all_settings
from robustvit.reporting.results import Results

OWN = ("experiment", "trained", "inputs", "provenance")  # of config.yaml: no settings
NAMED = 8  # differing keys that a cause names; more are counted
NUMBER = re.compile(r"[-+]?\d+(\.\d*)?([eE][-+]?\d+)?")
MADE = ("train", "semantics")  # folders of what is made again before anything that rests on it


def find_changes(made_with: Mapping[str, Mapping], results: Results) -> dict[str, list[str]]:
    """Hold each result against the settings of now.

    A result whose weights (or perturbations) are of other settings, were made again since or are
    not there any more is of other settings too.

    Args:
        made_with: see `robustvit.config.made_with.made_with`.
        results: of the run.

    Returns:
        {file: causes such as "experiments.light: recipe.epochs 8 → 10"}, for those files that are
        there and differ.
    """
    found: dict[str, list[str]] = {}
    for file in made_with:
        _find(file, made_with, results, found)
    return {file: causes for file, causes in found.items() if causes}


def _find(
    file: str, made_with: Mapping[str, Mapping], results: Results, found: dict[str, list[str]]
) -> list[str]:
    """Causes for one file; those of the files that it rests on are found on the way."""
    if file not in found:
        found[file] = []
        record = _record(file, made_with[file]["kind"], results)
        if record is not None:
            causes = [*_own(made_with[file], record, results)]
            for below in made_with[file]["rests_on"]:
                causes += _below(record, below, made_with, results)
                causes += _find(below, made_with, results, found) if below in made_with else []
            found[file] = list(dict.fromkeys(causes))
    return found[file]


def _record(file: str, kind: str, results: Results) -> dict | None:
    """What a result says of its own making, with the keys of `made_with`; None without one."""
    if not (results.root / file).exists():
        return None
    if kind == "training":
        return (results.training(file.split("/")[1]) or {}).get("config") or {}
    if kind == "gradients":
        return {}
    record = results.json(file) or {}
    made = record.get("perturbation") or {}
    if kind == "perturbations":
        seed = (record.get("provenance") or {}).get("seed")
        return {**made, "seed": seed, "provenance": record.get("provenance")}
    if kind == "classification":
        return {**made, **record, "controls": list(record.get("controls") or {})}
    if kind == "losses":
        return record | {"steps": [entry["steps"] for entry in record.get("steps") or []]}
    return record


def _own(entry: Mapping, record: Mapping, results: Results) -> Iterator[str]:
    """How the settings of a result itself differ from those of now."""
    now = {key: value for key, value in entry["settings"].items() if key not in OWN}
    if entry["kind"] == "evaluation":
        now = _counted(now, results)
    if entry["kind"] == "training":
        then = {key: value for key, value in record.items() if key not in OWN}
        now = now if then else {}
    else:
        then = {key: record[key] for key in now if key in record}
        now = {key: now[key] for key in then}
    differing = list(differences(_spelt_out(then), _spelt_out(now)))
    attack = [c for c in differing if entry.get("protocol") and c[0].startswith("attack")]
    yield from _told(entry.get("protocol"), attack)
    yield from _told(entry["where"], [change for change in differing if change not in attack])
    for key, file in entry["images"].items():
        used, there = (record.get("inputs") or {}).get(key), (results.json(file) or {})
        if used and there.get("sha256") not in (None, used):
            yield f"{entry['where']}: {_folder(file)} has other images"


def _told(where: str, changes: list[tuple[str, object, object]]) -> Iterator[str]:
    """What was changed there, if anything; what had no value before comes last."""
    found = [
        f"{key} {setting(old) or 'none'} → {setting(new) or 'none'}"
        for key, old, new in sorted(changes, key=lambda change: change[1] is None)
    ]
    if found:
        more = f" and {len(found) - NAMED} more" if len(found) > NAMED else ""
        yield f"{where}: {', '.join(found[:NAMED])}{more}"


def _below(
    record: Mapping, below: str, made_with: Mapping[str, Mapping], results: Results
) -> Iterator[str]:
    """Whether what a result was made from is there, and is older than the result."""
    if below.split("/")[0] not in MADE or below not in made_with:
        return
    other = _record(below, made_with[below]["kind"], results)
    if other is None:
        yield f"{_folder(below)}, which it was made from, is not there any more"
        return
    own, its = _created(record), _created(other)
    if own and its and own < its:
        yield f"{_folder(below)} was made again since"


def _created(record: Mapping) -> datetime | None:
    written = (record.get("provenance") or {}).get("created")
    return datetime.fromisoformat(written) if written else None


def _folder(file: str) -> str:
    return file.rpartition("/")[0]


def _counted(now: dict, results: Results) -> dict:
    """With the images that `num_examples` comes to on its split, or without if nobody knows."""
    splits = (results.dataset(now["dataset"]) or {}).get("splits") or {}
    whole = (splits.get(now["split"]) or {}).get("num_examples")
    if whole is None:
        return {key: value for key, value in now.items() if key != "num_examples"}
    asked = now["num_examples"]
    return now | {"num_examples": whole if asked is None else min(asked, whole)}


def _spelt_out(found: dict) -> dict:
    """With every option of an attack, the defaults too."""
    attack = found.get("attack")
    if not attack or "options" not in attack:
        return found
    options = all_settings(attack["name"], attack["options"])
    return found | {"attack": attack | {"options": options}}


def differences(
    then: object, now: object, prefix: str = ""
) -> Iterator[tuple[str, object, object]]:
    """Settings that differ in their values: ("recipe.epochs", 8, 10).

    A switch that is off now and that a record of an older version does not have is none.
    """
    if isinstance(then, Mapping) or isinstance(now, Mapping):
        nested = all(isinstance(value, Mapping | None) for value in (then, now))
        if nested:
            then, now = _plain(then or {}), _plain(now or {})
            for key in dict.fromkeys((*now, *then)):
                yield from differences(then.get(key), now.get(key), f"{prefix}{key}.")
            return
    if _plain(then) != _plain(now) and not (then is None and now is False):
        yield prefix.rstrip("."), then, now


def _plain(value: object) -> object:
    """A value as JSON, YAML and the configuration alike have it."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, str):
        return float(value) if NUMBER.fullmatch(value) else value  # YAML reads 1e-8 as text
    return value
