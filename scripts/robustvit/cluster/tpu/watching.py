"""One job on one TPU VM, from its start to its results."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from robustvit.cluster.tpu.bucket import Bucket
from robustvit.cluster.tpu.gcloud import CloudError
from robustvit.cluster.tpu.task import Task, job_name
from robustvit.cluster.tpu.vm import ABSENT, ENDED, READY, TpuVm
from robustvit.cluster.tpu.worker import DONE, RUNNING, UNKNOWN
from robustvit.core.errors import UserError
from robustvit.training.interruption import EXIT_INTERRUPTED

SILENT_LOOKS = 5  # in a row, before a VM that is READY but does not answer is given up


class Lost(Exception):
    """A job ended for no fault of its own: it goes on from its state, on a VM that works."""


@dataclass(frozen=True)
class Outcome:
    """How a job ended; `error` is None for success."""

    error: str | None = None


class Watch:
    """Starts a task on a VM that is ready, and follows it.

    Args:
        bucket: where its files are.
        tell: takes lines for the user.
    """

    def __init__(self, bucket: Bucket, tell: Callable[[str], None]) -> None:
        self._bucket, self._tell = bucket, tell

    def run(self, vm: TpuVm, task: Task) -> Outcome:
        """Run a task to its end.

        Raises:
            Lost: if the VM was preempted, vanished, or was told to end the job.
        """
        try:
            self._bucket.put(job_name(task.id), task.started().to_json().encode())
            said = self._ask(vm, "start", task)
            self._tell(f"{vm.name}: {task.name} runs on {len(said)} worker(s)")
            while any(one["state"] == RUNNING for one in said) and not _failed(said):
                vm.sleep()
                said = self._ask(vm, "status", task)
            return self._end(vm, task, said)
        except UserError as error:
            return Outcome(f"{vm.name}: {error}")

    def _ask(self, vm: TpuVm, action: str, task: Task) -> list[dict]:
        """What the workers say; a VM that does not answer is looked at more closely.

        Raises:
            Lost: if it is preempted, gone, or silent for too long.
        """
        looks, told = 0, False
        while True:
            try:
                said = vm.ask(action, task.id, vm.site["bucket"] if action == "start" else None)
            except CloudError as error:
                if not error.passing:
                    raise
                counts = self._look_closer(vm, error, last=looks == SILENT_LOOKS - 1)
                looks += counts
                if not counts and not told:
                    self._tell(f"{vm.name}: {error}\n  {task.name} is looked for again and again")
                    told = True
                vm.sleep()
                continue
            forgotten = [one for one in said if one["state"] == UNKNOWN]
            if forgotten:  # a new disk
                raise Lost(f"{forgotten[0]['worker']} knows nothing of the job")
            return said

    def _look_closer(self, vm: TpuVm, error: CloudError, last: bool) -> bool:
        """Whether a VM that does not answer is to blame, and not this machine's network.

        Raises:
            Lost: if it is gone, or was silent for the last time.
        """
        try:
            state = vm.state()
        except CloudError as other:
            if not other.passing or (last and other.kind != "offline"):
                raise
            return "offline" not in (error.kind, other.kind)
        if state != READY:
            why = "was preempted" if state in ENDED else f"is {state}"
            why = "vanished (it was deleted)" if state == ABSENT else why
            raise Lost(f"the TPU VM {why}") from error
        if error.kind == "offline":
            return False
        if last and error.kind != "unreachable":
            raise error
        if last:
            try:
                vm.delete()
            except UserError as other:
                raise Lost(f"{error}; nor could it be deleted: {other}") from error
            raise Lost(f"{error}; it is deleted") from error
        return True

    def _end(self, vm: TpuVm, task: Task, said: list[dict]) -> Outcome:
        """Bring the results here, or say why there are none."""
        failed = _failed(said)
        if not failed:
            for path in task.left:
                self._bucket.download(task.result_name(path), Path(path))
            self._bucket.delete(map(task.result_name, task.left))
            return Outcome()
        try:  # the other workers wait for the one that failed, for ever
            vm.ask("stop", task.id)
        except UserError as error:  # the cause is what the workers said
            self._tell(f"{vm.name}: the rest of {task.name} could not be told to end: {error}")
        if all(one["state"] != DONE or one["code"] == EXIT_INTERRUPTED for one in failed):
            told = failed[0]["state"] == DONE
            why = "was told to end" if told else "has gone without a word"
            raise Lost(f"the job {why} on {failed[0]['worker']}")
        causes = [one for one in failed if one.get("code") != EXIT_INTERRUPTED]
        lines = [_describe(one) for one in causes]
        return Outcome(f"{vm.name}: {task.name} failed on {len(causes)} of {len(said)} worker(s)\n"
                       + "\n".join(lines))  # fmt: skip


def _failed(said: list[dict]) -> list[dict]:
    """Workers on which the job has not ended well."""
    return [
        one
        for one in said
        if (one["state"] == DONE and one["code"]) or one["state"] not in (DONE, RUNNING)
    ]


def _describe(one: dict) -> str:
    what = f"exit code {one['code']}" if "code" in one else "its process is gone"
    return f"{one['worker']}: {what}\n{one.get('said', '')}".rstrip()
