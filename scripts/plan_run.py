"""Say what a run costs before it starts: jobs, device-hours, wall time, disk, money, CO2.

    python scripts/plan_run.py table7 --device a100 --devices 8

No job is started. docs/planning.md explains the numbers.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from robustvit.core.cli import run_cli
from robustvit.core.files import write_json, write_text
from robustvit.planning.run import plan_run
from robustvit.planning.show import as_csv, as_text


def main() -> None:
    """Print the plan, and write it to files if asked to."""
    asked = _arguments()
    plan = plan_run(asked.targets, asked.configfile, _settings(asked))
    print(as_text(plan), end="")
    if asked.output:
        write_json(asked.output.with_suffix(".json"), plan.as_json())
        write_text(asked.output.with_suffix(".csv"), as_csv(plan))
        write_text(asked.output.with_suffix(".txt"), as_text(plan))


def _settings(asked: argparse.Namespace) -> dict:
    """Options that were given; the configuration's `plan` has the others."""
    keys = ("device", "devices", "site", "everything", "overrides")
    given = {key: getattr(asked, key) for key in keys}
    return {key: value for key, value in given.items() if value is not None}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("targets", nargs="*", help="Snakemake targets, for instance table7 (default: plan.targets)")
    add("--configfile", action="append", default=[], help="overlay; several in their order")
    add("--device", help="a device of planning/prices.yaml, for instance a100")
    add("--devices", type=int, help="how many there are")
    add("--site", help="YAML file whose prices replace those of planning/prices.yaml")
    add("--everything", action="store_true", default=None, help="as if nothing were done yet")
    add("--overrides", help="JSON object of configuration keys, merged over everything")
    add("--output", type=Path, help="also write OUTPUT.json, .csv and .txt")
    return parser.parse_args()


if __name__ == "__main__":
    run_cli(main)
