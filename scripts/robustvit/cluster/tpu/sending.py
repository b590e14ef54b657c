"""Inputs of jobs go into the bucket one after the other, while the caller does something else."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from robustvit.cluster.tpu.bucket import Bucket
from robustvit.cluster.tpu.task import FOLDER_SIGN, Task, input_name


class Sender:
    """A thread that sends inputs.

    Args:
        bucket: where to.
        tell: takes lines for the user.
        done: takes a task whose inputs are in the bucket, or one and what went wrong.
    """

    def __init__(
        self, bucket: Bucket, tell: Callable[[str], None], done: Callable[[Task, str | None], None]
    ) -> None:
        self._bucket, self._tell, self._done = bucket, tell, done
        self._waiting: queue.SimpleQueue[tuple[Task, Sequence[str]] | None] = queue.SimpleQueue()
        # Nobody waits for it: an upload may take hours, and the next run does it again.
        threading.Thread(target=self._serve, daemon=True).start()

    def put(self, task: Task, paths: Sequence[str]) -> None:
        """Send these files, then hand the task on with their names in the bucket."""
        self._waiting.put((task, paths))

    def close(self) -> None:
        """End the thread, after what it is sending."""
        self._waiting.put(None)

    def _serve(self) -> None:
        while (one := self._waiting.get()) is not None:
            task, paths = one
            try:
                names = {path: self._send(task, Path(path)) for path in paths}
            except Exception as error:  # noqa: BLE001 - else the job would wait for ever
                self._done(task, f"{task.name}: its inputs cannot be sent: {error}")
            else:
                self._done(replace(task, inputs=task.inputs | names), None)

    def _send(self, task: Task, path: Path) -> str:
        name = input_name(path)
        folder = path.name == FOLDER_SIGN
        if not (self._bucket.has_folder if folder else self._bucket.has)(name):
            files = path.parent.rglob("*") if folder else [path]
            size = sum(file.stat().st_size for file in files if file.is_file()) / 1e6
            what = path.parent if folder else path
            self._tell(f"{task.name}: sends {what} ({size:.1f} MB) to {self._bucket.url}")
            self._bucket.put_input(name, path)
        return name
