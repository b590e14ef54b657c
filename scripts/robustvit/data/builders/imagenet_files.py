"""The ImageNet validation images of a list, for instance RobustBench's 5,000.

Options:
    file_list: "robustbench".
    classes: "imagenet1k" or a list of synsets; images of other synsets are left out. The sorted
        synsets are the labels.
    require_complete: whether a listed image that is not in the archive is an error; otherwise the
        missing ones are named in the manifest.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from robustvit.core.errors import UserError, unknown_name
from robustvit.data.archives import tar_files
from robustvit.data.building import DatasetPlan, Example, check_options
from robustvit.data.imagenet_labels import choose_synsets, robustbench_files, validation_synset

FILE_LISTS = {"robustbench": robustbench_files}


def plan(source: dict, options: dict) -> DatasetPlan:
    """Plan the set from the validation archive.

    Raises:
        UserError: for unknown options, or if images are missing and the set must be complete.
    """
    check_options(options, {"file_list", "classes", "require_complete"}, "imagenet_files")
    name = options.get("file_list") or "robustbench"
    if name not in FILE_LISTS:
        raise unknown_name("list of files", name, FILE_LISTS, "options.file_list")
    synsets = choose_synsets(options.get("classes") or "imagenet1k")
    labels = {synset: label for label, synset in enumerate(synsets)}
    wanted = {file for synset, file in FILE_LISTS[name]() if synset in labels}
    archive = source["files"]["val"]
    missing = sorted(wanted - {PurePosixPath(name).name for name, _ in tar_files(archive)})
    if missing and options.get("require_complete"):
        raise UserError(
            f"{archive}: {len(missing)} of the {len(wanted)} listed images are not in it, for "
            f"instance {missing[0]}. Take the complete archive, or set "
            "options.require_complete: false."
        )

    def examples() -> Iterator[Example]:
        return _listed(archive, wanted, labels)

    total = len(wanted) - len(missing)
    return DatasetPlan(synsets, ["validation"], examples, total, missing=missing)


def _listed(path: Path, wanted: set[str], labels: dict[str, int]) -> Iterator[Example]:
    for name, image in tar_files(path):
        file_name = PurePosixPath(name).name
        if file_name in wanted:
            label = labels[validation_synset(file_name)]
            yield Example("validation", file_name, label, image.read())
