"""Build one data set as TFDS files (array_record) from its official archives.

Killed at any moment and started again, it goes on with the shards that are not finished and ends
with the same bytes.

Example:
    python scripts/build_dataset.py --source results/demo/stand_ins/imagenet/source.json \
        --spec '{"dataset": "demo_imagenet_subset", "builder": "imagenet_classes",
                 "options": {"classes": ["n04285008", "n01641577"]}}' \
        --work-dir results/demo/work/datasets/demo_imagenet_subset --workers 2 \
        --output results/demo/datasets/demo_imagenet_subset/manifest.json
"""

from __future__ import annotations

import argparse
from pathlib import Path

from robustvit.core import plugins
from robustvit.core.cli import add_spec_argument, run_cli
from robustvit.core.sources import code_digest
from robustvit.data.archive_building import build_archive
from robustvit.data.building import ArchivePlan
from robustvit.data.source_files import read_source
from robustvit.data.writing import About, write_set

BUILDERS = "robustvit.data.builders"


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_spec_argument(parser)
    flag, path = parser.add_argument, {"type": Path, "required": True}
    flag("--source", **path, help="source.json of the archives to build from")
    flag("--output", **path, help="manifest.json to write; its folder is replaced as a whole")
    flag("--work-dir", **path, help="folder of what is finished, until all is; on the same disk")
    flag("--workers", type=int, default=1, help="processes; no influence on the result")
    return parser.parse_args()


def main() -> None:
    """Let the builder plan the set and write it."""
    arguments = parse_arguments()
    spec, source = arguments.spec, read_source(arguments.source)
    name, options = spec["builder"], spec.get("options") or {}
    plan = plugins.load(BUILDERS, name).plan(source, options)
    code = code_digest("build_dataset.py", [f"{BUILDERS}.{name}"])
    about = About(spec["dataset"], name, source, options, code)
    if isinstance(plan, ArchivePlan):
        work_dir, workers = arguments.work_dir, arguments.workers
        build_archive(plan, arguments.output, about, work_dir=work_dir, workers=workers)
    else:  # a builder that makes its images, one after the other
        write_set(plan, arguments.output, about)


if __name__ == "__main__":
    run_cli(main)
