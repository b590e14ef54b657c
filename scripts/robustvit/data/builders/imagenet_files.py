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
from pathlib import PurePosixPath

from robustvit.core.errors import unknown_name
from robustvit.data.building import ArchivePlan, Entry, check_options
from robustvit.data.imagenet_labels import choose_synsets, robustbench_files, validation_synset
from robustvit.data.members import tar_members
from robustvit.data.readers import Place, TarReader

FILE_LISTS = {"robustbench": robustbench_files}


def plan(source: dict, options: dict) -> ArchivePlan:
    """Plan the set from the validation archive.

    Raises:
        UserError: for unknown options.
    """
    check_options(options, {"file_list", "classes", "require_complete"}, "imagenet_files")
    name = options.get("file_list") or "robustbench"
    if name not in FILE_LISTS:
        raise unknown_name("list of files", name, FILE_LISTS, "options.file_list")
    synsets = choose_synsets(options.get("classes") or "imagenet1k")
    labels = {synset: label for label, synset in enumerate(synsets)}
    wanted = {file for synset, file in FILE_LISTS[name]() if synset in labels}
    archive = source["files"]["val"]

    def entries() -> Iterator[Entry]:
        for member in tar_members(archive):
            file_name = PurePosixPath(member.name).name
            if file_name in wanted:
                label = labels[validation_synset(file_name)]
                place = Place(0, member.offset, member.size)
                yield Entry("validation", file_name, label, place)

    return ArchivePlan(
        *(synsets, ["validation"], entries, TarReader((archive,))),
        official={"validation": {"total": len(wanted)}},
        wanted=frozenset(wanted),
        require_complete=bool(options.get("require_complete")),
    )
