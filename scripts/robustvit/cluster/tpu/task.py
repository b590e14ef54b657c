"""What one job of the workflow is to a TPU VM: a command, the files it reads and leaves."""

from __future__ import annotations

import hashlib
import json
import time
import uuid
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from robustvit.core.files import sha256

STAMP = ".source"  # in the checkout on a VM: the digest of what is set up there
FOLDER_SIGN = "manifest.json"  # an input with this name stands for its whole folder


@dataclass(frozen=True)
class Task:
    """One job. Paths are relative to the checkout, which is at other places on other machines.

    Attributes:
        id: unique among all runs.
        name: for messages, for instance "pretrain_model demo_light".
        command: what bash runs in the checkout.
        environment: variables of the command.
        inputs: path → name in the bucket; a path that ends in manifest.json is a folder's.
        outputs: files that the command writes.
        state: folder of the resumable state, if there is one.
        log, benchmark: further files that it leaves.
        sync_seconds: between two copies of the state.
        checkout: id of the checkout that asks; another's training of the same name is another.
        start: of this job: a later one compares as greater, and takes the state over.
    """

    id: str
    name: str
    command: str
    environment: dict[str, str] = field(default_factory=dict)
    inputs: dict[str, str] = field(default_factory=dict)
    outputs: list[str] = field(default_factory=list)
    state: str | None = None
    log: str | None = None
    benchmark: str | None = None
    sync_seconds: float = 120
    checkout: str = ""
    start: str = "0"

    @property
    def left(self) -> list[str]:
        """All files that a successful job leaves."""
        more = [path for path in (self.log, self.benchmark) if path]
        return [*self.outputs, *more]

    @property
    def state_name(self) -> str:
        """Where its state is in the bucket."""
        return "/".join(filter(None, ("state", self.checkout, self.state)))

    @property
    def finished_name(self) -> str:
        """A file in the bucket that says that all results are there."""
        return f"jobs/{self.id}/finished"

    def result_name(self, path: str) -> str:
        """Where a file that it leaves is in the bucket, apart from all other jobs'."""
        return f"jobs/{self.id}/results/{path}"

    def started(self) -> Task:
        """The task as a new start of it."""
        return replace(self, start=f"{time.time_ns():020d}-{uuid.uuid4().hex[:8]}")

    def fingerprint(self) -> str:
        """Equal for two attempts at the same."""
        same = replace(self, id="", start="", sync_seconds=0)
        return hashlib.sha256(same.to_json().encode()).hexdigest()[:32]

    def to_json(self) -> str:
        """The task as text."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str | bytes) -> Task:
        """The task that `to_json` wrote."""
        return cls(**json.loads(text))


def input_name(path: Path) -> str:
    """An input's name in the bucket, by its content: the same data is copied there once."""
    digest = sha256(path)
    if path.name == FOLDER_SIGN:  # it holds the hashes of all files of its data set
        return f"inputs/{digest[:32]}"
    return f"inputs/{digest[:32]}/{path.name}"


def job_name(identifier: str) -> str:
    """Where a task's description is."""
    return f"jobs/{identifier}/job.json"


def short_id(name: str, attempt: int, run: str) -> str:
    """An id that can be a file name: readable, and unique by the run."""
    digest = hashlib.sha256(f"{name}-{attempt}-{run}".encode()).hexdigest()[:8]
    return f"{name.replace('/', '_').replace(' ', '-')[:60]}-{digest}"
