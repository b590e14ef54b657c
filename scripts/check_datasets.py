"""Say for every data set what is there, what is missing, where to get it, and the disk it takes.

Nothing is fetched or built, and no large file is read unless asked: it takes seconds. The exit code
is 0 if the run may start, 1 if something that it needs is missing.

Example:
    python scripts/check_datasets.py --profile slurm
    python scripts/check_datasets.py --configfile configs/demo.yaml mine.yaml --json
"""

from __future__ import annotations

import argparse
import json

from robustvit.config.dataset_check import check_spec, profile_files, read_configuration
from robustvit.config.resolve import resolve
from robustvit.core.cli import parse_spec, run_cli
from robustvit.data.checking.check import check_datasets
from robustvit.data.checking.text import check_text


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--profile", help="take the overlays of this profile, for instance slurm")
    which.add_argument(
        "--configfile", nargs="+", default=[], help="overlays over workflow_config.yaml, in order"
    )
    which.add_argument("--spec", type=parse_spec, help="what the workflow hands over instead")
    parser.add_argument("--hash", action="store_true", help="read local archives and compare")
    parser.add_argument("--json", action="store_true", help="print JSON for programs")
    return parser.parse_args()


def main() -> int:
    """Check and print."""
    arguments = parse_arguments()
    spec = arguments.spec
    if spec is None:
        files = profile_files(arguments.profile) if arguments.profile else arguments.configfile
        spec = check_spec(resolve(read_configuration(files)))
    found = check_datasets(spec, read=arguments.hash)
    print(json.dumps(found, indent=2) if arguments.json else check_text(found), end="\n")
    return 1 if found["problems"] else 0


if __name__ == "__main__":
    run_cli(main)
