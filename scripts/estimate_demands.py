#!/usr/bin/env python3
"""Estimate the time and memory of every long job of a configuration, for a cluster's scheduler.

Reads one JSON object from its input: {"config": resolved configuration, "stand_in": {data set:
bool}, "device": name in planning/prices.yaml}. The workflow calls it.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path

from robustvit.cluster.demands import job_memory, jobs_of, minutes, training_memory
from robustvit.config import specs
from robustvit.core.cli import run_cli
from robustvit.core.errors import UserError
from robustvit.core.files import write_json
from robustvit.planning.facts import load_facts
from robustvit.planning.jobs import Job
from robustvit.planning.models import model_cost
from robustvit.planning.work import Planner

MODEL_OF = {"classify_perturbations": "classifier", "make_perturbations": "generator"}


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, required=True, help="JSON file of the demands")
    return parser.parse_args()


def demand(planner: Planner, rule: str, wildcards: Mapping[str, str]) -> dict[str, int]:
    """Time limit in minutes and memory in MB of one job."""
    found = {"minutes": minutes(planner.work(Job(rule, dict(wildcards))).seconds.high)}
    if rule != "build_dataset":
        name = wildcards[MODEL_OF.get(rule, "experiment")]
        parameters = model_cost(specs.model_spec(planner.config, name)).parameters
        compute = planner.config["compute"]
        trains = rule == "pretrain_model"
        found["memory_mb"] = (
            training_memory(parameters, compute) if trains else job_memory(parameters)
        )
    return found


def main() -> None:
    """Estimate what can be estimated; a job without an estimate keeps its rule's own limit."""
    output = parse_arguments().output
    given = json.load(sys.stdin)
    planner = Planner(given["config"], load_facts(), given["device"], given["stand_in"])
    found = {}
    for key, rule, wildcards in jobs_of(given["config"]):
        try:
            found[key] = demand(planner, rule, wildcards)
        # Models and archives of a user's own that `plan` knows nothing of.
        except (UserError, KeyError) as error:
            print(f"no estimate for {key}: {error}", file=sys.stderr)
    write_json(output, found)


if __name__ == "__main__":
    run_cli(main)
