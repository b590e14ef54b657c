"""TPU VMs that take jobs in turn: one thread each, a queue for all."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from robustvit.cluster.tpu.bucket import Bucket
from robustvit.cluster.tpu.gcloud import Gcloud, Stopped
from robustvit.cluster.tpu.task import Task, job_name
from robustvit.cluster.tpu.vm import ENDED, READY, TpuVm
from robustvit.cluster.tpu.worker import DONE, RUNNING, UNKNOWN
from robustvit.core.errors import UserError
from robustvit.training.interruption import EXIT_INTERRUPTED

SILENT_LOOKS = 5  # in a row, before a VM that is READY but does not answer is given up
IDLE_SECONDS = 1.0
MOST_FAILURES = 10  # in a row, to make a VM ready


class Lost(Exception):
    """A job ended for no fault of its own: it goes on from its state, on a VM that works."""


@dataclass(frozen=True)
class Outcome:
    """How a job ended; `error` is None for success."""

    error: str | None = None


class Fleet:
    """Runs tasks on a site's TPU VMs; each VM is made when there is something for it to do.

    Args:
        site: a loaded fleet file.
        archive: the checkout as a tar file.
        digest: of the checkout's content.
        tell: takes lines for the user.
    """

    def __init__(
        self, site: Mapping, archive: Path, digest: str, tell: Callable[[str], None] = print
    ) -> None:
        self.site, self.tell = site, tell
        self._archive, self._digest = archive, digest
        self._stop, self._lock = threading.Event(), threading.Lock()
        self._queue: deque[Task] = deque()
        self._outcomes: dict[str, Outcome] = {}
        self._lost: dict[str, int] = {}
        self._running: dict[str, Task] = {}
        self._left = set(site["vms"])
        self._bucket = Bucket(site["bucket"])
        self._vms = [TpuVm(name, Gcloud(site, self._stop), tell) for name in site["vms"]]
        self._threads = [
            threading.Thread(target=self._serve, args=(vm,), daemon=True) for vm in self._vms
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, task: Task) -> None:
        """Queue a task; its inputs are in the bucket."""
        with self._lock:
            if self._left:
                self._queue.append(task)
            else:
                self._outcomes[task.id] = Outcome("no TPU VM is left (the reason is above)")

    def take_outcome(self, identifier: str) -> Outcome | None:
        """How a task ended, once; None while it waits or runs."""
        with self._lock:
            return self._outcomes.pop(identifier, None)

    def cancel(self) -> None:
        """Tell all running jobs to save and end; their VMs stay."""
        self._stop.set()
        for thread in self._threads:
            thread.join(timeout=20)
        own = Gcloud(self.site)
        for name, task in list(self._running.items()):
            vm = TpuVm(name, own, self.tell)
            try:
                vm.ask("stop", task.id)
                self.tell(f"{name}: {task.name} saves its state and ends")
            except UserError as error:
                self.tell(f"{name}: {task.name} could not be told to end: {error}")

    def close(self, delete: bool) -> None:
        """End the threads; delete the VMs if asked to."""
        self._stop.set()
        for thread in self._threads:
            thread.join(timeout=20)
        own = Gcloud(self.site)
        for vm in self._vms if delete else ():
            try:
                TpuVm(vm.name, own).delete()
                self.tell(f"{vm.name}: deleted")
            except UserError as error:
                self.tell(f"warning: {vm.name} could not be deleted and costs money: {error}")

    def _serve(self, vm: TpuVm) -> None:
        """One VM's thread: make it ready when there is work, and work."""
        failures = 0
        try:
            while not self._stop.is_set():
                if not self._queue:
                    self._stop.wait(IDLE_SECONDS)
                    continue
                try:
                    vm.make_ready(self._archive, self._digest)
                except UserError as error:
                    failures += 1
                    if not getattr(error, "passing", False) or failures == MOST_FAILURES:
                        self._give_up(vm, error)
                        return
                    self.tell(f"{vm.name}: {error}")
                    vm.sleep()
                    continue
                failures = 0
                self._work(vm)
        except Stopped:
            return

    def _give_up(self, vm: TpuVm, error: UserError) -> None:
        """Do without a VM; with the last one all waiting jobs fail, with the reason."""
        self.tell(f"{vm.name}: {error}")
        with self._lock:
            self._left.discard(vm.name)
            if not self._left:
                for task in self._queue:
                    self._outcomes[task.id] = Outcome(str(error))
                self._queue.clear()

    def _work(self, vm: TpuVm) -> None:
        """Run the next task on a VM that is ready."""
        with self._lock:
            if not self._queue:
                return
            task = self._queue.popleft()
            self._running[vm.name] = task
        try:
            outcome = self._run(vm, task)
        except Lost as error:
            outcome = self._again(vm, task, str(error))
        with self._lock:
            del self._running[vm.name]
            if outcome:
                self._outcomes[task.id] = outcome

    def _again(self, vm: TpuVm, task: Task, why: str) -> Outcome | None:
        self._lost[task.name] = self._lost.get(task.name, 0) + 1
        if self._lost[task.name] > self.site["preemptions"]:
            return Outcome(f"preemptions: {task.name} was interrupted too often; at last: {why}")
        self.tell(f"{vm.name}: {why}; {task.name} goes on from its last state on the next TPU VM")
        with self._lock:
            self._queue.appendleft(task)
        return None

    def _run(self, vm: TpuVm, task: Task) -> Outcome:
        """Start a task and watch it.

        Raises:
            Lost: if the VM was preempted, vanished, or was told to end the job.
        """
        try:
            self._bucket.put(job_name(task.id), task.started().to_json().encode())
            said = self._ask(vm, "start", task)
            self.tell(f"{vm.name}: {task.name} runs on {len(said)} worker(s)")
            while any(one["state"] == RUNNING for one in said) and not _failed(said):
                vm.sleep()
                said = self._ask(vm, "status", task)
            return self._end(vm, task, said)
        except Lost:
            raise
        except UserError as error:
            return Outcome(f"{vm.name}: {error}")

    def _ask(self, vm: TpuVm, action: str, task: Task) -> list[dict]:
        """What the workers say; a VM that does not answer is looked at more closely.

        Raises:
            Lost: if it is preempted, gone, or silent for too long.
        """
        for look in range(SILENT_LOOKS):
            try:
                said = vm.ask(action, task.id, self.site["bucket"] if action == "start" else None)
                forgotten = [one for one in said if one["state"] == UNKNOWN]
                if forgotten:  # a new disk
                    raise Lost(f"{forgotten[0]['worker']} knows nothing of the job")
                return said
            except UserError as error:
                if not getattr(error, "passing", True):
                    raise
                state = vm.state()
                if state != READY:
                    why = "was preempted" if state in ENDED else f"is {state}"
                    why = "vanished (it was deleted)" if state == "ABSENT" else why
                    raise Lost(f"the TPU VM {why}") from error
                if look == SILENT_LOOKS - 1:
                    if getattr(error, "kind", "") != "unreachable":
                        raise
                    vm.delete()
                    raise Lost(f"{error}; it is deleted") from error
                vm.sleep()
        raise AssertionError("not reached")

    def _end(self, vm: TpuVm, task: Task, said: list[dict]) -> Outcome:
        """Bring the results here, or say why there are none."""
        failed = _failed(said)
        if not failed:
            for path in task.left:
                self._bucket.download(task.result_name(path), Path(path))
            self._bucket.delete(map(task.result_name, task.left))
            return Outcome()
        # The other workers wait for the one that failed, for ever.
        vm.ask("stop", task.id)
        if all(one["state"] != DONE or one["code"] == EXIT_INTERRUPTED for one in failed):
            told = failed[0]["state"] == DONE
            raise Lost(f"{failed[0]['worker']}: the job "
                       + ("was told to end" if told else "has gone without a word"))  # fmt: skip
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
