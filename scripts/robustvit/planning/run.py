"""From a configuration and targets to a plan."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml

from robustvit.config.inputs import stand_in_datasets
from robustvit.config.merge import deep_merge
from robustvit.config.resolve import resolve
from robustvit.core.errors import UserError
from robustvit.planning.estimate import Plan, make_plan
from robustvit.planning.facts import load_facts
from robustvit.planning.jobs import planned_jobs
from robustvit.planning.work import Planner

MAIN = "workflow_config.yaml"


def plan_run(targets: Sequence[str], configfiles: Sequence[str], given: Mapping) -> Plan:
    """Plan what Snakemake would do for `targets`; nothing is started.

    Args:
        targets: names or files; the configuration's `plan.targets` if empty.
        configfiles: overlays over workflow_config.yaml.
        given: what replaces keys of the configuration's `plan`; `overrides` is a JSON object of
            configuration keys, as of Snakemake's `--config`.

    Raises:
        UserError: for a mistake in the configuration or the data files, an unknown device, or if
            Snakemake cannot plan.
    """
    with tempfile.TemporaryDirectory() as folder:
        files = [*configfiles, *_written(given.get("overrides"), Path(folder))]
        config = resolve(_merged([MAIN, *configfiles], files[len(configfiles) :]))
        asked = {**config["plan"], **given}
        targets = list(targets) or asked["targets"]
        if asked["devices"] < 1:
            raise UserError(f"plan.devices: {asked['devices']}; expected 1 or more, as in 8.")
        facts, stand_in = load_facts(asked["site"]), stand_in_datasets(config)
        planner = Planner(config, facts, asked["device"], stand_in)
        jobs = planned_jobs(targets, files, asked["everything"])
    settings = {
        "targets": targets,
        "name": config["name"],
        "scope": "everything from the start" if asked["everything"] else "what is left to do",
        "device": asked["device"],
        "devices": asked["devices"],
        "label": facts.device(asked["device"]).get("label", asked["device"]),
        "note": facts.device(asked["device"]).get("note", ""),
    }
    return make_plan(jobs, planner, facts, asked["device"], asked["devices"], settings)


def _written(overrides: str | None, folder: Path) -> list[str]:
    """The overrides as an overlay file, if there are any."""
    if not overrides or overrides == "{}":
        return []
    path = folder / "overrides.yaml"
    path.write_text(yaml.safe_dump(json.loads(overrides)), encoding="utf-8")
    return [str(path)]


def _merged(*groups: Sequence[str]) -> dict:
    found: dict = {}
    for path in (path for group in groups for path in group):
        if not Path(path).is_file():
            raise UserError(f"{path}: no such file; `--configfile` names an overlay.")
        found = deep_merge(found, yaml.safe_load(Path(path).read_text(encoding="utf-8")) or {})
    return found
