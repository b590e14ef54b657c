"""Results that a worker has, but could not bring into the bucket: the next attempt takes them."""

from __future__ import annotations

from pathlib import Path

from robustvit.cluster.tpu.task import STAMP, Task
from robustvit.core.files import read_json, sha256, write_json

SOURCE = Path(STAMP)


class Unbrought:
    """A note beside the jobs, by what the job does and by the checkout, not by its id."""

    def __init__(self, folder: Path, task: Task) -> None:
        self._task = task
        self._path = folder / "finished" / f"{task.fingerprint()}.json"

    def note(self, seconds: float) -> None:
        """The command has ended well after so many seconds; nothing if this worker has no results.

        Of several workers one writes results.
        """
        if self._task.outputs and all(Path(path).is_file() for path in self._task.outputs):
            write_json(self._path, {"seconds": seconds, "source": _source(), "files": self._sums()})

    def seconds(self) -> float | None:
        """How long the command took whose results are still here as it left them; else None."""
        if not self._path.is_file():
            return None
        known = read_json(self._path)
        same = known["source"] == _source() and known["files"] == self._sums()
        return known["seconds"] if same else None

    def forget(self) -> None:
        """The results are in the bucket."""
        self._path.unlink(missing_ok=True)

    def _sums(self) -> dict[str, str | None]:
        paths = self._task.outputs
        return {path: sha256(path) if Path(path).is_file() else None for path in paths}


def _source() -> str:
    return SOURCE.read_text(encoding="utf-8") if SOURCE.is_file() else ""
