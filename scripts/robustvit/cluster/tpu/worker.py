"""What runs on each worker (host) of a TPU VM: a job with its files, apart from any connection.

`start` returns at once, so that a connection that breaks ends no training. A worker's own record
of a job is in `.tpu_jobs/<id>/` of the checkout.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from robustvit.cluster.tpu import processes
from robustvit.cluster.tpu.bucket import Bucket
from robustvit.cluster.tpu.snapshots import Snapshots, Superseded
from robustvit.cluster.tpu.task import Task, job_name
from robustvit.cluster.tpu.unbrought import Unbrought
from robustvit.core.errors import UserError
from robustvit.core.files import read_json, write_json, write_text
from robustvit.training.interruption import EXIT_INTERRUPTED

JOBS = Path(".tpu_jobs")
RUNNING, DONE, LOST, UNKNOWN = "running", "done", "lost", "unknown"
JOB, AGENT, STATUS = "job.json", "pid", "status.json"
SECONDS_TO_SAVE = 150
SECONDS_TO_END = 180  # and to copy that to the bucket; ssh waits 300
SECONDS_TO_DIE = 30
SECONDS_TO_SETTLE = 600
OTHER_HOST = re.compile(r"-w-[1-9]\d*$")
TAIL_LINES = 15
MARK = "ROBUSTVIT-WORKER "  # before what a controller reads; ssh prints more


def worker_name() -> str:
    """The host's name, which ends in its number on a TPU VM."""
    return os.environ.get("HOSTNAME") or socket.gethostname()


def start(url: str, identifier: str) -> dict:
    """Start a job, unless it runs already or has ended well.

    A TPU serves one program: what another start has left, of this job or of others, is told to
    save and end, and is killed if it does not.

    Raises:
        UserError: if the bucket does not have the job.
    """
    with _alone():
        content = Bucket(url).get(job_name(identifier))
        if content is None:
            raise UserError(f"bucket: {url} has no job {identifier}: was it emptied?")
        here, folder = status(identifier), JOBS / identifier
        runs = here["state"] == RUNNING and Task.from_json(content).start == _start_of(folder)
        if runs or (here["state"] == DONE and here["code"] == 0):
            return here
        _end_all()
        folder.mkdir(parents=True, exist_ok=True)
        for name in (STATUS, AGENT):
            (folder / name).unlink(missing_ok=True)
        write_text(folder / JOB, content.decode())
        command = [sys.executable, sys.argv[0], "run", "--bucket", url, "--id", identifier]
        with open(folder / "worker.log", "ab") as log:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        processes.record(folder / AGENT, process.pid)
    return {"worker": worker_name(), "state": RUNNING}


def status(identifier: str) -> dict:
    """The state of a job on this worker, its exit code and the end of its log."""
    found = {"worker": worker_name(), "state": UNKNOWN}
    folder = JOBS / identifier
    if (folder / STATUS).is_file():
        return found | read_json(folder / STATUS)
    if (folder / AGENT).is_file():
        alive = processes.recorded(folder / AGENT) is not None
        # It may have ended since the first look.
        if not alive and (folder / STATUS).is_file():
            return found | read_json(folder / STATUS)
        found["state"] = RUNNING if alive else LOST
    return found


def stop(identifier: str) -> dict:
    """Tell a job to save its state and end."""
    _tell_to_end(JOBS / identifier)
    return status(identifier)


def run(url: str, identifier: str) -> int:
    """Run a job to its end: fetch its files, run it, keep its state, bring away what it left."""
    folder = JOBS / identifier
    task = Task.from_json((folder / JOB).read_text(encoding="utf-8"))
    try:
        code = _Job(task, Bucket(url)).run()
        said = _tail(task.log)
    except Superseded as error:
        code, said = EXIT_INTERRUPTED, f"{worker_name()}: {error}"
    except (UserError, OSError) as error:
        code, said = 2, f"{worker_name()}: {error}"
    write_json(folder / STATUS, {"state": DONE, "code": code, "said": said})
    return code


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """Wait for another `start`: one that ssh gave up may still be at it."""
    with open(f"{JOBS}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _start_of(folder: Path) -> str:
    return Task.from_json((folder / JOB).read_text(encoding="utf-8")).start


def _tell_to_end(folder: Path) -> None:
    """Tell a job's agent, or what an agent that died has left of its command."""
    agent = processes.recorded(folder / AGENT)
    processes.tell([agent] if agent else processes.marked(_mark(folder.name)), signal.SIGTERM)


def _end_all() -> None:
    """Let everything that runs here save and end; kill what has not after SECONDS_TO_END.

    Raises:
        UserError: if something survives that too.
    """
    folders = [path for path in JOBS.glob("*") if path.is_dir()]
    for folder in folders:
        _tell_to_end(folder)
    end = time.monotonic() + SECONDS_TO_END
    while pids := [pid for folder in folders for pid in _pids(folder)]:
        late = time.monotonic() - end
        if late > SECONDS_TO_DIE:
            listed = ", ".join(map(str, pids))
            raise UserError(f"{worker_name()}: process {listed} holds the TPU and cannot be ended")
        if late > 0:
            processes.tell(pids, signal.SIGKILL)
        time.sleep(0.2)


def _pids(folder: Path) -> list[int]:
    agent = processes.recorded(folder / AGENT)
    return [*([agent] if agent else []), *processes.marked(_mark(folder.name))]


def _mark(identifier: str) -> str:
    return str(JOBS.resolve() / identifier)


class _Job:
    """One run of a task on this worker."""

    def __init__(self, task: Task, bucket: Bucket) -> None:
        self.task, self.bucket = task, bucket
        self.snapshots = None
        if task.state:
            self.snapshots = Snapshots(bucket, Path(task.state), task.state_name, task.start)
        self.process: subprocess.Popen | None = None
        self.told, self.superseded = threading.Event(), False
        self.left = Unbrought(JOBS, task)

    def run(self) -> int:
        """The command's exit code, after everything was brought away.

        Raises:
            Superseded: if a later start of the same training has taken over.
        """
        signal.signal(signal.SIGTERM, lambda number, frame: self._tell_to_save())
        if self._is_finished():
            return 0
        code, seconds = self._run_command()
        if code == 0:
            self._bring_away(seconds)
        if self.task.log and Path(self.task.log).is_file():
            name = f"jobs/{self.task.id}/logs/{worker_name()}.log"
            with _warned():
                self.bucket.put(name, Path(self.task.log))
        return code

    def _run_command(self) -> tuple[int, float]:
        """Exit code and seconds, unless an earlier attempt ended well and brought nothing away."""
        seconds = self.left.seconds()
        if seconds is not None:
            print("an earlier attempt has finished this here: brought away now", flush=True)
            return 0, seconds
        self._fetch()
        if self._is_finished():
            return 0, 0.0
        began = time.time()
        code = self._wait(self._open())
        if code:
            code = self._settle(code)
        if code == 0:
            self.left.note(time.time() - began)
        return code, time.time() - began

    def _settle(self, code: int) -> int:
        """Keep the state, and say what it means that the command has ended with this code.

        A bucket that is away then turns no interruption into a failure: the disk has the state.
        """
        with _warned():
            if self._is_finished():
                return 0
            self._save()
        return EXIT_INTERRUPTED if self.superseded else code

    def _is_finished(self) -> bool:
        """Whether another worker of this TPU VM has brought all results away."""
        return self.bucket.has(self.task.finished_name)

    def _fetch(self) -> None:
        for path, name in self.task.inputs.items():
            self.bucket.get_input(name, Path(path))
        for path in self.task.left:  # else an earlier job's would be taken for this one's
            Path(path).unlink(missing_ok=True)
            Path(path).parent.mkdir(parents=True, exist_ok=True)
        if self.snapshots and self._restore(self.snapshots):
            print("going on from the state in the bucket", flush=True)

    def _restore(self, snapshots: Snapshots) -> bool:
        """All hosts go on from the same: the first settles it, the others wait for that."""
        first = not OTHER_HOST.search(worker_name())
        end = time.monotonic() + SECONDS_TO_SETTLE
        while not first and not snapshots.is_ready():
            if self.told.is_set() or self._is_finished():
                return False
            if time.monotonic() > end:
                raise UserError(f"{self.task.state}: the first host has not fetched the state")
            time.sleep(1)
        return snapshots.restore(first)

    def _open(self) -> subprocess.Popen:
        command = ["bash", "-c", f"set -euo pipefail; {self.task.command}"]
        tools = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        environment = {**os.environ, "PATH": tools, **self.task.environment}
        environment[processes.MARK] = _mark(self.task.id)
        self.process = subprocess.Popen(command, env=environment, start_new_session=True)
        if self.told.is_set():
            self._tell_to_save()
        return self.process

    def _wait(self, process: subprocess.Popen) -> int:
        saved_at, told_at = time.monotonic(), None
        while True:
            with contextlib.suppress(subprocess.TimeoutExpired):
                return process.wait(timeout=min(self.task.sync_seconds, 2))
            now = time.monotonic()
            if self.told.is_set():
                told_at = told_at or now
                if now - told_at > SECONDS_TO_SAVE:
                    os.killpg(process.pid, signal.SIGKILL)
            elif now - saved_at > self.task.sync_seconds:
                saved_at = now
                self._exchange()

    def _exchange(self) -> None:
        """Copy the state; a bucket that does not answer for a while ends no training."""
        with _warned():
            self._save()
            if self.superseded or self._is_finished():
                self._tell_to_save()

    def _save(self) -> None:
        try:
            if self.snapshots and not self.superseded:
                self.snapshots.save()
        except Superseded as error:
            self.superseded = True
            _warn(error)

    def _tell_to_save(self) -> None:
        self.told.set()
        if self.process and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGTERM)

    def _bring_away(self, seconds: float) -> None:
        # Of several workers one writes results; the others have none to bring away.
        if self.task.outputs and not Path(self.task.outputs[0]).is_file():
            return
        if self.snapshots:
            self.snapshots.claim(ready=True)
        if self.task.benchmark:
            write_text(self.task.benchmark, _benchmark(seconds))
        found = [path for path in self.task.left if Path(path).is_file()]
        for path in found:  # the controller fetches these
            self.bucket.put(self.task.result_name(path), Path(path))
        for path in found:  # under the same name: the bucket holds all results in the end
            self.bucket.put(path, Path(path))
        self.bucket.put(self.task.finished_name, b"")
        if self.snapshots:
            self.snapshots.clear()
        self.left.forget()


@contextlib.contextmanager
def _warned() -> Iterator[None]:
    """Go on after what the bucket refuses, with a warning."""
    try:
        yield
    except UserError as error:
        _warn(error)


def _warn(error: UserError) -> None:
    print(f"warning: {error}", file=sys.stderr, flush=True)


def _benchmark(seconds: float) -> str:
    """A table as Snakemake's `benchmark` writes it, with the time alone."""
    clock = time.strftime("%H:%M:%S", time.gmtime(seconds % 86400))
    days = f"{int(seconds // 86400)} days, " if seconds >= 86400 else ""
    names = ["s", "h:m:s", "max_rss", "max_vms", "max_uss", "max_pss", "io_in", "io_out"]
    names += ["mean_load", "cpu_time"]
    values = [f"{seconds:.4f}", f"{days}{clock}", *["NA"] * (len(names) - 2)]
    return "\t".join(names) + "\n" + "\t".join(values) + "\n"


def _tail(log: str | None) -> str:
    if not log or not Path(log).is_file():
        return ""
    lines = Path(log).read_text(encoding="utf-8", errors="replace").splitlines()
    return "\n".join(lines[-TAIL_LINES:])


def tell(found: dict) -> None:
    """Print what a controller reads."""
    print(MARK + json.dumps(found), flush=True)


def read_told(text: str) -> list[dict]:
    """What all workers have told, out of everything that ssh printed."""
    # Outputs of several workers may share a line.
    parts = text.split(MARK)[1:]
    return [json.JSONDecoder().raw_decode(part)[0] for part in parts]
