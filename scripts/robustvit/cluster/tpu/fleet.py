"""TPU VMs that take jobs in turn: one thread each, a queue for all."""

from __future__ import annotations

import os
import socket
import threading
import time
import traceback
import uuid
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from robustvit.cluster.tpu.bucket import Bucket
from robustvit.cluster.tpu.gcloud import Gcloud, Stopped
from robustvit.cluster.tpu.sending import Sender
from robustvit.cluster.tpu.task import Task
from robustvit.cluster.tpu.vm import TpuVm
from robustvit.cluster.tpu.watching import Lost, Outcome, Watch
from robustvit.cluster.tpu.worker import RUNNING, UNKNOWN
from robustvit.core.errors import UserError

IDLE_SECONDS = 1.0
IDLE_MINUTES = 15.0  # a VM without a job is deleted after so long; setting one up takes about ten
MOST_FAILURES = 10  # in a row, to make a VM ready
MOST_SECONDS = 600  # between two attempts at a job that is interrupted at once
OFF, COMING, FREE, BUSY = "off", "coming", "free", "busy"


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
        self._cancelled = False
        self._queue: deque[Task] = deque()
        self._outcomes: dict[str, Outcome] = {}
        self._lost, self._hasty, self._failures = Counter(), Counter(), Counter()
        self._running: dict[str, Task] = {}
        self._phases = dict.fromkeys(site["vms"], OFF)  # of the VMs that are not given up
        self._free_since: dict[str, float] = {}
        self._told: dict[str, str] = {}  # the last that failed at a VM
        bucket = Bucket(site["bucket"])
        self._watch = Watch(bucket, tell)
        self._sender = Sender(bucket, tell, self._enqueue)
        run = f"{socket.gethostname()}.{os.getpid()}.{uuid.uuid4().hex[:6]}"
        self._vms = [TpuVm(name, Gcloud(site, self._stop), tell, run) for name in site["vms"]]
        self._threads = [
            threading.Thread(target=self._serve, args=(vm,), daemon=True) for vm in self._vms
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, task: Task, paths: Sequence[str] = ()) -> None:
        """Queue a task; these inputs are brought into the bucket before, its others are there."""
        self._sender.put(task, paths)

    def take_outcome(self, identifier: str) -> Outcome | None:
        """How a task ended, once; None while it waits or runs."""
        with self._lock:
            return self._outcomes.pop(identifier, None)

    def cancel(self) -> None:
        """Tell all running jobs to save and end; their VMs stay, requests are taken back."""
        self._cancelled = True
        self._end_threads()
        for vm in self._vms:
            if task := self._running.get(vm.name):
                try:
                    said = vm.ask("stop", task.id)
                except UserError as error:
                    self.tell(f"{vm.name}: {task.name} could not be told to end: {error}")
                else:
                    self.tell(f"{vm.name}: {_ending(task, said)}")
        self._leave()

    def close(self, delete: bool) -> None:
        """End the threads; delete the VMs that this run has made or used, if asked to."""
        self._end_threads()
        if delete:
            for vm in self._vms:
                self._delete(vm)
        elif not self._cancelled:
            self._leave()

    def _end_threads(self) -> None:
        self._stop.set()
        self._sender.close()
        for thread in self._threads:
            thread.join(timeout=20)
        for vm in self._vms:  # from now on commands are no longer ended
            vm.gcloud = Gcloud(self.site)

    def _leave(self) -> None:
        """Take back what is only asked for, and say what stays."""
        names, commands = [], []
        for vm in self._vms:
            try:
                command = vm.withdraw() if vm.made or vm.taken else ""
            except UserError as error:
                command = f"# {vm.name}: it is not known whether it exists: {error}"
            if command:
                names.append(vm.name)
                commands.append(command)
        if names:
            lines = "\n  ".join(commands)
            self.tell(
                f"The TPU VMs stay for the next run and cost money: {' '.join(names)}. "
                f"To delete them:\n  {lines}"
            )

    def _delete(self, vm: TpuVm) -> None:
        """Delete a VM, if it is this run's."""
        if not vm.made and not vm.taken:
            return
        try:
            others = _others(vm)
            if others:
                self.tell(f"{vm.name}: stays, it works for another run now: {others}")
                return
            vm.delete()
            self.tell(f"{vm.name}: deleted")
        except UserError as error:
            self.tell(f"warning: {vm.name} could not be deleted and costs money: {error}")

    def _serve(self, vm: TpuVm) -> None:
        """One VM's thread: make it ready when there is work, and work."""
        try:
            while not self._stop.is_set() and vm.name in self._phases:
                if self._claim(vm):
                    self._take_next(vm)
                else:
                    self._rest(vm)
        except Stopped:
            return
        except Exception as error:  # noqa: BLE001 - else jobs would wait for ever
            self.tell(traceback.format_exc())
            self._give_up(vm, f"this program failed: {error!r}")

    def _claim(self, vm: TpuVm) -> bool:
        """Whether a waiting job needs this VM, beside those that are free or on their way."""
        with self._lock:
            phase = self._phases[vm.name]
            if not self._queue:
                if phase == COMING:  # it is no longer needed, but may be there
                    self._set_free(vm)
                return False
            coming = sum(other in (COMING, FREE) for other in self._phases.values())
            if phase == OFF and len(self._queue) <= coming:
                return False
            self._phases[vm.name] = COMING
            return True

    def _set_free(self, vm: TpuVm) -> None:
        self._phases[vm.name] = FREE
        self._free_since[vm.name] = time.monotonic()

    def _rest(self, vm: TpuVm) -> None:
        """Wait for work; a VM that has had none for a while is deleted."""
        self._stop.wait(IDLE_SECONDS)
        with self._lock:
            if self._phases[vm.name] != FREE or self._queue or self._stop.is_set():
                return
            idle = time.monotonic() - self._free_since[vm.name]
            remade = self.site["delete"] and self.site["create"]["how"] != "never"
            if not remade or idle < IDLE_MINUTES * 60:
                return
            self._phases[vm.name] = OFF
        self._delete(vm)

    def _take_next(self, vm: TpuVm) -> None:
        """Make a VM ready, and run the next task on it."""
        try:
            vm.make_ready(self._archive, self._digest)
        except UserError as error:
            kind = getattr(error, "kind", "")
            # Without a network here nothing is known about the VM.
            self._failures[vm.name] += kind != "offline"
            passing = getattr(error, "passing", False)
            if not passing or self._failures[vm.name] == MOST_FAILURES:
                self._give_up(vm, str(error))
                return
            if self._told.get(vm.name) != str(error):
                self.tell(f"{vm.name}: {error}")
            self._told[vm.name] = str(error)
            vm.sleep()
            return
        self._failures[vm.name] = 0
        self._told.pop(vm.name, None)
        self._work(vm)

    def _give_up(self, vm: TpuVm, why: str) -> None:
        """Do without a VM; with the last one all waiting jobs fail, with the reason."""
        self.tell(f"{vm.name}: {why}")
        with self._lock:
            self._phases.pop(vm.name, None)
            task = self._running.pop(vm.name, None)
            if task:
                self._outcomes[task.id] = Outcome(why)
            if not self._phases:
                for task in self._queue:
                    self._outcomes[task.id] = Outcome(why)
                self._queue.clear()
        if vm.made and not vm.taken:  # else it would be granted some day, and cost
            try:
                vm.withdraw()
            except UserError as error:
                self.tell(f"{vm.name}: its request could not be taken back: {error}")

    def _enqueue(self, task: Task, error: str | None = None) -> None:
        """Let a task wait for a VM, or end at once."""
        with self._lock:
            if error is None and self._phases:
                self._queue.append(task)
            else:
                why = error or "no TPU VM is left (the reason is above)"
                self._outcomes[task.id] = Outcome(why)

    def _work(self, vm: TpuVm) -> None:
        """Run the next task on a VM that is ready."""
        with self._lock:
            if not self._queue:
                self._set_free(vm)
                return
            task = self._queue.popleft()
            self._running[vm.name] = task
            self._phases[vm.name] = BUSY
        vm.look_again()  # before the next job: another run may have taken it by then
        began, pause = time.monotonic(), 0.0
        try:
            outcome = self._watch.run(vm, task)
        except Lost as error:
            outcome, pause = self._again(vm, task, str(error), time.monotonic() - began)
        except Stopped:
            raise
        except Exception as error:  # noqa: BLE001 - else the job would wait for ever
            self.tell(traceback.format_exc())
            outcome = Outcome(f"{vm.name}: {task.name}: this program failed: {error!r}")
        with self._lock:
            del self._running[vm.name]
            self._set_free(vm)
            if outcome:
                self._outcomes[task.id] = outcome
            else:
                self._queue.appendleft(task)
        if pause:
            vm.sleep(pause)

    def _again(
        self, vm: TpuVm, task: Task, why: str, seconds: float
    ) -> tuple[Outcome | None, float]:
        """The end of a task that was interrupted once too often, else how long to wait."""
        self._lost[task.name] += 1
        if self._lost[task.name] > self.site["preemptions"]:
            often = f"preemptions: {task.name} was interrupted too often; at last: {why}"
            return Outcome(often), 0
        self.tell(f"{vm.name}: {why}; {task.name} goes on from its last state on the next TPU VM")
        if seconds > MOST_SECONDS:
            self._hasty[task.name] = 0
            return None, 0
        pause = min(self.site["poll_seconds"] * 2 ** self._hasty[task.name], MOST_SECONDS)
        self._hasty[task.name] += 1
        return None, pause


def _others(vm: TpuVm) -> str:
    """Runs that have taken a VM over; empty too if it does not answer."""
    try:
        return " and ".join(sorted(vm.owners() - {vm.run}))
    except UserError:
        return ""


def _ending(task: Task, said: Sequence[Mapping]) -> str:
    """What the workers' answers to `stop` mean."""
    states = {one["state"] for one in said}
    if UNKNOWN in states:
        return f"{task.name} has not begun there, or the TPU VM knows nothing of it"
    if RUNNING in states:
        return f"{task.name} saves its state and ends"
    return f"{task.name} has ended"
