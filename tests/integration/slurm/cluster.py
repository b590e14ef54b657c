"""The one-machine SLURM of the tests, and what may go wrong on a cluster."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests import waiting

FOLDER = Path(__file__).resolve().parent
SCRIPT = FOLDER / "start_slurm.sh"
SITE = FOLDER / "site.yaml"


def slurm(*command: str, check: bool = True) -> str:
    """Run one of SLURM's programs and return what it prints."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert not check or done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
    return done.stdout.strip()


def missing() -> str:
    """What keeps this machine from running a SLURM; empty if nothing does."""
    return subprocess.run([SCRIPT, "missing"], capture_output=True, text=True).stdout.strip()


@contextlib.contextmanager
def running_slurm():
    """A SLURM for the time of the block."""
    try:
        # Its daemons keep the pipes open: nothing is captured.
        subprocess.run([SCRIPT, "start"], check=True, timeout=180)
        yield
    finally:
        subprocess.run([SCRIPT, "stop"], timeout=120)


def end_processes(folder: Path) -> None:
    """End what works in a folder: of a node that is lost, SLURM knows no more what ran there."""
    for process in psutil.process_iter(["cwd"]):
        if process.info["cwd"] and Path(process.info["cwd"]).is_relative_to(folder):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()


@dataclass(frozen=True)
class Job:
    """A job in the queue; `what` is the rule with its wildcards."""

    id: str
    state: str
    node: str
    what: str


def jobs(*options: str) -> list[Job]:
    """Jobs in the queue."""
    listed = slurm("squeue", "--noheader", "--format", "%i|%T|%N|%k", *options)
    return [Job(*line.split("|")) for line in listed.splitlines()]


def is_running(job: str) -> bool:
    """Whether a job holds its node, be it only that SLURM ends its processes."""
    return any(found.id == job for found in jobs("--states=RUNNING,COMPLETING"))


def wait_until(look: Callable[[], object], seconds: float = 120, what: str = "") -> object:
    """As `tests.waiting`; some states of a job last for less than a tenth of a second."""
    return waiting.wait_until(look, seconds, what, pause=0.03)


@dataclass
class Training:
    """A running training: its process, held still, and its job."""

    pid: int
    job: Job

    def resume(self) -> None:
        """Let the process run on."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGCONT)

    def has_pending(self, number: signal.Signals) -> bool:
        """Whether a signal waits for the process, which is held still."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        masks = [
            line.split()[1] for line in status.splitlines() if line[:6] in ("SigPnd", "ShdPnd")
        ]
        return any(int(mask, 16) >> (number - 1) & 1 for mask in masks)


def training_process(experiment: str, folder: Path) -> int | None:
    """The process that trains an experiment in a checkout."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with contextlib.suppress(OSError):
                words = (entry / "cmdline").read_bytes().split(b"\0")
                trains = len(words) > 2 and words[1] == b"scripts/train_model.py"
                output = f"results/smoke/train/{experiment}/weights.safetensors".encode()
                if trains and output in words and (entry / "cwd").samefile(folder):
                    return int(entry.name)
    return None


def hold_training(experiment: str, folder: Path, seconds: float = 1200) -> Training:
    """Wait until an experiment trains, and hold its process still after its first step."""
    work = folder / "results" / "smoke" / "work" / "train" / experiment

    def hold() -> Training | None:
        pid = training_process(experiment, folder)
        if pid is None:
            return None
        with contextlib.suppress(psutil.NoSuchProcess):
            begun = psutil.Process(pid).create_time()
            while not any(path.stat().st_mtime > begun for path in work.glob("*/steps.csv")):
                if is_gone(pid):
                    return None
                time.sleep(0.02)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
        running = (job for job in jobs("--states=RUNNING") if job.what.endswith(f"_{experiment}"))
        job = next(running, None)
        return Training(pid, job) if job and not is_gone(pid) else None

    return wait_until(hold, seconds, f"a training of {experiment}")


def is_gone(pid: int) -> bool:
    """Whether a process has ended."""
    try:
        return "State:\tZ" in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return True


def wait_for_restart(job: str) -> None:
    """Wait until a job runs for a second time under its id."""

    def restarts() -> bool:
        shown = slurm("scontrol", "show", "job", job)
        return "JobState=RUNNING" in shown and "Restarts=0" not in shown

    wait_until(restarts, 180, f"the second start of job {job}")


def start_at_once(stop: threading.Event) -> None:
    """SLURM lets a job wait for two minutes after it was queued again: not so long here."""
    hurried = set()
    while not stop.wait(0.5):
        listed = slurm("squeue", "--noheader", "--states=PENDING", "--format", "%i|%r", check=False)
        waiting = {line.split("|")[0] for line in listed.splitlines() if "BeginTime" in line}
        for job in waiting - hurried:
            slurm("scontrol", "update", f"JobId={job}", "StartTime=now+8", check=False)
        hurried = waiting
