"""Building a set from an archive: in parallel, and resumed where a killed build stopped.

First the images are listed (see `entries`), which reads headers only and decides which image goes
into which shard. Then processes build the shards (see `shard_building`), each reading its own part
of the archive. Both are kept in a working folder, named by the hash of everything that decides a
byte of the set, until the set is complete; a build that is started again goes on from there.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import json
import os
import shutil
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from robustvit.core.disk import NoSpace
from robustvit.core.errors import UserError, unknown_name
from robustvit.core.files import atomic_directory, read_json, write_json
from robustvit.core.locks import hold_lock
from robustvit.core.processes import run_tasks
from robustvit.core.progress import Progress
from robustvit.data.building import COMMON_OPTIONS, ArchivePlan, check_expected_counts
from robustvit.data.entries import SplitEntries, open_entries, write_entries
from robustvit.data.index import describe_index, write_index
from robustvit.data.members import listing_hash
from robustvit.data.shard_building import ShardTask, build_shard
from robustvit.data.shards import plan_shards, shard_name
from robustvit.data.writing import TFDS_FOLDER, About, Notes, WrittenSplit, finish_set

POLICIES = ("error", "skip")
# Other versions of these may write or accept other bytes.
PACKAGES = ("array-record", "pillow", "protobuf")
SHOWN = 5


def job_key(about: About) -> str:
    """Hash what decides the bytes of a set's shards: archive, builder, options, code, versions.

    The options that only say what is accepted are not in it: who lets damaged images be skipped
    after a build has failed need not begin anew.
    """
    options = {k: v for k, v in about.options.items() if k not in COMMON_OPTIONS}
    files = {role: _stamp(path) for role, path in about.source["files"].items()}
    versions = [importlib.metadata.version(name) for name in PACKAGES]
    made_from = [about.dataset, about.builder, options, about.source["sha256"], files]
    text = json.dumps([*made_from, about.code, versions], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _stamp(path: Path) -> list:
    if path.is_dir():
        return [str(path.resolve()), listing_hash(path)]
    status = path.stat()
    return [str(path.resolve()), status.st_size, status.st_mtime_ns]


def build_archive(
    plan: ArchivePlan, manifest_path: Path, about: About, *, work_dir: Path, workers: int = 1
) -> None:
    """Build a set, or the rest of it; the folder of the manifest is replaced as a whole.

    Args:
        plan: what to build.
        manifest_path: `<folder>/manifest.json`.
        about: names, origin and options.
        work_dir: what is finished is kept in a folder of this one, named by the job's key. It has
            to be on the same disk as the result, or the shards are copied at the end.
        workers: number of processes; no byte of the set depends on it.

    Raises:
        UserError: if the archive is damaged, hostile or not complete, or a split is empty.
        OSError: if the disk is full; what is finished is kept.
    """
    start = time.monotonic()
    _check_policy(about.options)
    with _state(work_dir, about) as state:
        state.list_images(plan, about)
        tasks = state.tasks(plan)
        _build_shards(tasks, about, workers)
        built = [_gather(split, state, tasks) for split in plan.splits]
        _check_damaged(built, plan, about)
        with atomic_directory(manifest_path.parent) as folder:
            (folder / TFDS_FOLDER).mkdir()
            splits = [part.write(folder, about.dataset, len(plan.classes)) for part in built]
            notes = _notes(built, plan, state)
            seconds = time.monotonic() - start
            finish_set(folder, manifest_path.name, about, plan, splits, notes, seconds)
        state.clear()


@dataclass(frozen=True)
class _State:
    """The working folder of one build."""

    folder: Path

    @property
    def index(self) -> Path:
        return self.folder / "index"

    def list_images(self, plan: ArchivePlan, about: About) -> None:
        """List the images, unless an earlier process has, and check how many there are."""
        listed = self.index / "listed.json"
        if not listed.exists():
            print(f"build {about.dataset}: listing the images", file=sys.stderr, flush=True)
            self.index.mkdir(parents=True, exist_ok=True)
            write_entries(plan.entries(), plan.splits, self.index, about.dataset)
            lists = {split: open_entries(self.index, split) for split in plan.splits}
            classes = len(plan.classes)
            found = {s: describe_index(e.names, e.labels, classes) for s, e in lists.items()}
            write_json(listed, {"splits": found, "missing": _missing(plan, lists)})
        counts = {s: d["class_counts"] for s, d in read_json(listed)["splits"].items()}
        _check_counts(counts, plan, about)
        if plan.require_complete and self.missing:
            raise UserError(
                f"{_archive(about)}: {len(self.missing)} of the {len(plan.wanted)} listed images "
                f"are not in it, for instance {self.missing[0]}. Expected the complete archive."
            )

    @property
    def missing(self) -> list[str]:
        return read_json(self.index / "listed.json")["missing"]

    def tasks(self, plan: ArchivePlan) -> list[ShardTask]:
        """All shards of the set."""
        for name in ("shards", "scratch"):
            (self.folder / name).mkdir(exist_ok=True)
        reader = plan.reader.prepare(self.folder / "scratch")
        return [
            ShardTask(
                self.index, self.folder / "shards", split, number, *part, reader, plan.encoding
            )
            for split in plan.splits
            for number, part in enumerate(plan_shards(open_entries(self.index, split).sizes()))
        ]

    def clear(self) -> None:
        """Remove it, and what builds with other options or other code have left beside it."""
        shutil.rmtree(self.folder, ignore_errors=True)
        for folder in [path for path in self.folder.parent.iterdir() if path.is_dir()]:
            # A killed build leaves its lock file, but not the lock.
            lock = folder.with_name(f".{folder.name}.lock")
            with contextlib.suppress(UserError), hold_lock(lock, str, remove=True):
                shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _state(work_dir: Path, about: About) -> Iterator[_State]:
    """Open the working folder of a build; a second process is kept out of it."""
    folder = work_dir / job_key(about)

    def message(owner: str) -> str:
        return (
            f"{owner} is already building {about.dataset} (in {folder}). Wait for it, or end it; "
            "the work done so far is kept."
        )

    with hold_lock(work_dir / f".{folder.name}.lock", message, remove=True):
        folder.mkdir(exist_ok=True)
        yield _State(folder)
    with contextlib.suppress(OSError):  # another build's state is in it
        work_dir.rmdir()


def _build_shards(tasks: list[ShardTask], about: About, workers: int) -> None:
    todo = [task for task in tasks if not task.finished()]
    if len(todo) < len(tasks):
        done = len(tasks) - len(todo)
        print(f"build {about.dataset}: {done} of {len(tasks)} shards are kept", file=sys.stderr)
    _check_space(todo)
    done = sum(task.stop - task.start for task in tasks if task not in todo)
    total = sum(task.stop - task.start for task in tasks)
    with Progress(total, "images", f"build {about.dataset}") as progress:
        progress.update(done)
        for images in run_tasks(build_shard, todo, workers):
            done += images
            progress.update(done)


def _check_space(tasks: list[ShardTask]) -> None:
    """Stop before hours of work that the disk has no room for."""
    needed = sum(
        int(open_entries(task.index, task.split).sizes()[task.start : task.stop].sum())
        for task in tasks
    )
    free = shutil.disk_usage(tasks[0].folder).free if tasks else needed
    if free < needed:
        raise NoSpace(
            f"{tasks[0].folder}: the data set needs {needed / 1e9:.1f} GB more, and "
            f"{free / 1e9:.1f} GB are free. Free some space, or set `paths.results` in the "
            "configuration to a larger disk; then start again: finished shards are kept."
        )


@dataclass
class _Part:
    """A split of which all shards are built."""

    split: str
    entries: SplitEntries
    tasks: list[ShardTask]
    reports: list[dict]

    @property
    def damaged(self) -> list[list]:
        """[place, id, label, reason] of each image that does not decode."""
        return [row for report in self.reports for row in report["damaged"]]

    def kept(self) -> tuple[np.ndarray, np.ndarray]:
        """Ids and labels of the images that decode."""
        places = [row[0] for row in self.damaged]
        if not places:
            return self.entries.names, self.entries.labels
        return np.delete(self.entries.names, places), np.delete(self.entries.labels, places)

    def write(self, folder: Path, dataset: str, num_classes: int) -> WrittenSplit:
        """Put the shards and the index into the set's folder."""
        full = [pair for pair in zip(self.tasks, self.reports, strict=True) if pair[1]["examples"]]
        hashes = {}
        for number, (task, report) in enumerate(full):
            name = shard_name(dataset, self.split, number, len(full))
            _link(task.records, folder / TFDS_FOLDER / name)
            hashes[name] = report["sha256"]
        names, labels = self.kept()
        described = describe_index(names, labels, num_classes)
        write_index(folder, self.split, names, labels)
        lengths = [report["examples"] for _, report in full]
        size = sum(report["record_bytes"] for report in self.reports)
        return WrittenSplit(self.split, described, hashes, lengths, size)


def _gather(split: str, state: _State, tasks: list[ShardTask]) -> _Part:
    own = [task for task in tasks if task.split == split]
    reports = [read_json(task.report) for task in own]
    return _Part(split, open_entries(state.index, split), own, reports)


def _notes(parts: list[_Part], plan: ArchivePlan, state: _State) -> Notes:
    notes = Notes(missing=state.missing, ignored=plan.ignored)
    for part in parts:
        for report in part.reports:
            notes.shapes.add(report["shape"] and tuple(report["shape"]))
            notes.odd += report["odd"]
        notes.left_out += [
            [part.split, name, plan.classes[label], reason]
            for _, name, label, reason in part.damaged
        ]
    return notes


def _link(path: Path, target: Path) -> None:
    """Give a finished shard its name; the state keeps it too until the set is complete."""
    try:
        os.link(path, target)
    except OSError:  # another disk, or one without links
        shutil.copyfile(path, target)


def _check_policy(options: dict) -> None:
    policy = options.get("damaged_images", "error")
    if policy not in POLICIES:
        raise unknown_name("policy", policy, POLICIES, "options.damaged_images")


def _check_counts(counts: dict[str, list[int]], plan: ArchivePlan, about: About) -> None:
    found = Counter(
        {(split, label): n for split, row in counts.items() for label, n in enumerate(row)}
    )
    check_expected_counts(about.options, plan.official, plan.splits, plan.classes, found)


def _check_damaged(parts: list[_Part], plan: ArchivePlan, about: About) -> None:
    """Report images that do not decode; they end the build unless they may be left out."""
    damaged = [(part.split, *row[1:]) for part in parts for row in part.damaged]
    if not damaged:
        return
    for split, name, label, reason in damaged:
        where = f"{split}, {plan.classes[label]}"
        print(f"build {about.dataset}: {name} ({where}): {reason}", file=sys.stderr)
    if about.options.get("damaged_images", "error") == "error":
        names = ", ".join(name for _, name, *_ in damaged[:SHOWN])
        more = f" and {len(damaged) - SHOWN} more" if damaged[SHOWN:] else ""
        raise UserError(
            f"{names}{more}: the image does not decode ({damaged[0][3]}). Replace it in its "
            f"archive ({_archive(about)}), take the official archive again, or leave such images "
            "out with `options: {damaged_images: skip}`."
        )
    counts = {
        part.split: np.bincount(part.kept()[1], minlength=len(plan.classes)).tolist()
        for part in parts
    }
    _check_counts(counts, plan, about)


def _missing(plan: ArchivePlan, lists: dict[str, SplitEntries]) -> list[str]:
    if not plan.wanted:
        return []
    found = {name.decode() for entries in lists.values() for name in entries.names.tolist()}
    return sorted(plan.wanted - found)


def _archive(about: About) -> str:
    return ", ".join(str(path) for path in about.source["files"].values())
