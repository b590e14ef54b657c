"""What runs on each worker (host) of a TPU VM: a job with its files, apart from any connection.

`start` returns at once, so that a connection that breaks ends no training. A worker's own record
of a job is in `.tpu_jobs/<id>/` of the checkout.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

from robustvit.cluster.tpu.bucket import Bucket
from robustvit.cluster.tpu.snapshots import Snapshots
from robustvit.cluster.tpu.task import Task, job_name
from robustvit.core.errors import UserError
from robustvit.core.files import read_json, write_json, write_text

JOBS = Path(".tpu_jobs")
RUNNING, DONE, LOST, UNKNOWN = "running", "done", "lost", "unknown"
SECONDS_TO_SAVE = 150
TAIL_LINES = 15
MARK = "ROBUSTVIT-WORKER "  # before what a controller reads; ssh prints more


def worker_name() -> str:
    """The host's name, which ends in its number on a TPU VM."""
    return os.environ.get("HOSTNAME") or socket.gethostname()


def start(url: str, identifier: str) -> dict:
    """Start a job, unless it runs already; another that holds the TPU is told to save and end.

    A TPU serves one program. One that is left was started by a controller that has gone.
    """
    here = status(identifier)
    if here["state"] in (RUNNING, DONE):
        return here
    for other in sorted(path.name for path in JOBS.glob("*") if path.name != identifier):
        stop(other, wait=SECONDS_TO_SAVE)
    folder = JOBS / identifier
    folder.mkdir(parents=True, exist_ok=True)
    task = Bucket(url).get(job_name(identifier))
    if task is None:
        raise UserError(f"bucket: {url} has no job {identifier}: was it emptied?")
    write_text(folder / "job.json", task.decode())
    command = [sys.executable, sys.argv[0], "run", "--bucket", url, "--id", identifier]
    with open(folder / "worker.log", "ab") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    write_text(folder / "pid", str(process.pid))
    return {"worker": worker_name(), "state": RUNNING}


def status(identifier: str) -> dict:
    """The state of a job on this worker, its exit code and the end of its log."""
    found = {"worker": worker_name(), "state": UNKNOWN}
    folder = JOBS / identifier
    if (folder / "status.json").is_file():
        return found | read_json(folder / "status.json")
    if (folder / "pid").is_file():
        found["state"] = RUNNING if _alive(_pid(folder)) else LOST
    return found


def stop(identifier: str, wait: float = 0) -> dict:
    """Tell a job to save its state and end; wait up to `wait` seconds for that."""
    folder = JOBS / identifier
    if (folder / "pid").is_file() and not (folder / "status.json").is_file():
        pid, end = _pid(folder), time.monotonic() + wait
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
        while _alive(pid) and time.monotonic() < end:
            time.sleep(0.2)
    return status(identifier)


def run(url: str, identifier: str) -> int:
    """Run a job to its end: fetch its files, run it, keep its state, bring away what it left."""
    folder = JOBS / identifier
    task = Task.from_json((folder / "job.json").read_text(encoding="utf-8"))
    try:
        code = _Job(task, Bucket(url)).run()
        said = _tail(task.log)
    except (UserError, OSError) as error:
        code, said = 2, f"{worker_name()}: {error}"
    write_json(folder / "status.json", {"state": DONE, "code": code, "said": said})
    return code


class _Job:
    """One run of a task on this worker."""

    def __init__(self, task: Task, bucket: Bucket) -> None:
        self.task, self.bucket = task, bucket
        self.snapshots = Snapshots(bucket, Path(task.state)) if task.state else None
        self.process: subprocess.Popen | None = None
        self.told = threading.Event()

    def run(self) -> int:
        """The command's exit code, after everything was brought away."""
        signal.signal(signal.SIGTERM, lambda number, frame: self._tell_to_save())
        self._fetch()
        began = time.time()
        code = self._wait(self._open())
        if code == 0:
            self._bring_away(time.time() - began)
        elif self.snapshots:
            self.snapshots.save()
        if self.task.log and Path(self.task.log).is_file():
            name = f"jobs/{self.task.id}/logs/{worker_name()}.log"
            self.bucket.put(name, Path(self.task.log))
        return code

    def _fetch(self) -> None:
        for path, name in self.task.inputs.items():
            self.bucket.get_input(name, Path(path))
        for path in self.task.left:  # else an earlier job's would be taken for this one's
            Path(path).unlink(missing_ok=True)
            Path(path).parent.mkdir(parents=True, exist_ok=True)
        if self.snapshots and self.snapshots.restore():
            print("going on from the state in the bucket", flush=True)

    def _open(self) -> subprocess.Popen:
        command = ["bash", "-c", f"set -euo pipefail; {self.task.command}"]
        tools = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        environment = {**os.environ, "PATH": tools, **self.task.environment}
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
                self._save()

    def _save(self) -> None:
        """Copy the state; a bucket that does not answer for a while ends no training."""
        try:
            if self.snapshots:
                self.snapshots.save()
        except UserError as error:
            print(f"warning: {error}", file=sys.stderr, flush=True)

    def _tell_to_save(self) -> None:
        self.told.set()
        if self.process and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGTERM)

    def _bring_away(self, seconds: float) -> None:
        # Of several workers one writes results; the others have none to bring away.
        if self.task.outputs and not Path(self.task.outputs[0]).is_file():
            return
        if self.task.benchmark:
            write_text(self.task.benchmark, _benchmark(seconds))
        for path in self.task.left:  # under the same name: the bucket holds all results in the end
            if Path(path).is_file():
                self.bucket.put(path, Path(path))
        if self.snapshots:
            self.snapshots.clear()


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


def _pid(folder: Path) -> int:
    return int((folder / "pid").read_text(encoding="utf-8"))


def _alive(pid: int) -> bool:
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def tell(found: dict) -> None:
    """Print what a controller reads."""
    print(MARK + json.dumps(found), flush=True)


def read_told(text: str) -> list[dict]:
    """What all workers have told, out of everything that ssh printed."""
    # Outputs of several workers may share a line.
    parts = text.split(MARK)[1:]
    return [json.JSONDecoder().raw_decode(part)[0] for part in parts]
