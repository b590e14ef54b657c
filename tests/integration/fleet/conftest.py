"""A stand-in cloud: a `gcloud` that runs the workers of TPU VMs as processes of this machine."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from robustvit.cluster.tpu.bucket import Bucket
from robustvit.cluster.tpu.fleet import Fleet
from robustvit.cluster.tpu.fleet_site import DEFAULTS
from robustvit.cluster.tpu.sources import pack
from robustvit.cluster.tpu.task import Task, input_name
from robustvit.config.merge import deep_merge
from tests.waiting import wait_until
from tests.workflow.conftest import ROOT

HERE = Path(__file__).parent
# Counts to --steps; its state is the number reached. Stops like a training: saves, exit code 75.
TRAINING = """
import argparse, os, pathlib, signal, sys, time

parser = argparse.ArgumentParser()
for name in ("data", "work", "output", "steps", "seconds"):
    parser.add_argument(f"--{name}", required=True)
given = parser.parse_args()
state = pathlib.Path(given.work) / "state-0.pt"
state.parent.mkdir(parents=True, exist_ok=True)
begun = int(state.read_text()) if state.exists() else 0
print("begun at", begun, "with", pathlib.Path(given.data).read_text().strip(), flush=True)


def stop(number, frame):
    sys.exit(75)


signal.signal(signal.SIGTERM, stop)
first = os.environ["HOSTNAME"].endswith("-w-0")
if pathlib.Path(os.environ.get("FAIL_FILE", "/none")).exists() and not first:
    sys.exit("this worker has no luck")
for step in range(begun, int(given.steps)):
    time.sleep(float(given.seconds))
    if first:  # as in a training, one process keeps the state and writes the results
        draft = state.with_name("draft")
        draft.write_text(str(step + 1))
        draft.replace(state)  # whole, whenever this process is killed
if first:
    pathlib.Path(given.output).write_text(f"begun at {begun}, ended at {given.steps}")
"""
SNAKEFILE = """
rule all:
    input: "results/a.txt", "results/b.txt"

localrules: data

rule data:
    output: "results/data/manifest.json"
    shell: "echo data > {output}; echo image > results/data/images"

rule train:
    input: data="results/data/manifest.json", script="train.py"
    output: "results/{name}.txt"
    log: "results/{name}.log"
    benchmark: "results/{name}.tsv"
    resources: tpu=1
    params: work=lambda wildcards: f"results/work/{wildcards.name}"
    shell:
        "exec python {input.script} --data {input.data} --work {params.work}"
        " --output {output} --steps ${{STEPS:-3}} --seconds ${{PACE:-0.1}} >{log} 2>&1"
"""


class Cloud:
    """The stand-in cloud: its state, its faults, and what was asked of it."""

    def __init__(self, folder, workers=2):
        self.folder, self.bucket = folder / "cloud", folder / "bucket"
        (self.folder / "workers").mkdir(parents=True)
        self.bucket.mkdir()
        self.write({"workers": workers, "vms": {}, "requests": {}, "faults": {}})

    def read(self):
        return json.loads((self.folder / "cloud.json").read_text())

    def write(self, state):
        (self.folder / "cloud.json").write_text(json.dumps(state))

    def set(self, **values):
        self.write(self.read() | values)

    def fault(self, pattern, error, times=1000):
        """Commands that hold `pattern` fail with a real error's text, so many times."""
        self.set(faults={**self.read()["faults"], pattern: {"error": error, "times": times}})

    def calls(self):
        path = self.folder / "calls"
        return path.read_text().splitlines() if path.exists() else []

    def preempt(self, name, state="PREEMPTED"):
        """Take a VM away in the middle of all that runs there; `state` None: it vanishes."""
        subprocess.run([HERE / "gcloud", "end", name, *filter(None, [state])], check=True)

    def trains(self):
        """Whether a training runs on a worker."""
        mark = str(self.folder)
        for path in Path("/proc").glob("[0-9]*"):
            try:
                words = (path / "cmdline").read_bytes()
                if b"train.py" in words and mark in os.readlink(path / "cwd"):
                    return True
            except OSError:
                continue
        return False

    def site(self, **values):
        return {
            "project": "my-project",
            "vms": ["vm-0"],
            "bucket": f"file://{self.bucket}",
            "setup": f"ln -sfn {sys.prefix} .venv",
            "poll_seconds": 0.3,
            "sync_seconds": 0.3,
            **values,
        }


@pytest.fixture
def cloud(tmp_path, monkeypatch):
    """A cloud with no VM yet; `gcloud` is first on the PATH."""
    found = Cloud(tmp_path)
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "gcloud").symlink_to(HERE / "gcloud")
    path = os.pathsep.join([str(tools), str(Path(sys.executable).parent), os.environ["PATH"]])
    monkeypatch.setenv("PATH", path)
    monkeypatch.setenv("FAKE_CLOUD", str(found.folder))
    yield found
    for name in found.read()["vms"]:
        found.preempt(name)


@pytest.fixture
def checkout(tmp_path):
    """A small workflow with the project's programs beside it."""
    folder = tmp_path / "checkout"
    skipped = shutil.ignore_patterns("__pycache__", "reporting", "attacks", "models")
    shutil.copytree(ROOT / "scripts", folder / "scripts", ignore=skipped)
    shutil.copytree(ROOT / "schemas", folder / "schemas")
    (folder / "Snakefile").write_text(SNAKEFILE)
    (folder / "train.py").write_text(TRAINING)
    return folder


class Controller:
    """A fleet with a way to submit the toy training and to wait for it."""

    def __init__(self, cloud, checkout, **site):
        self.cloud, self.said = cloud, []
        self.site = deep_merge(DEFAULTS, cloud.site(**site))
        archive = checkout.parent / "source.tar.gz"
        self.fleet = Fleet(self.site, archive, pack(checkout, archive), self.said.append)
        self.bucket = Bucket(self.site["bucket"])

    def submit(self, name="a", steps=3, pace=0.1, **environment):
        data = Path("results/data/manifest.json")
        data.parent.mkdir(parents=True, exist_ok=True)
        data.write_text("data")
        inputs = {str(data): input_name(data)}
        self.bucket.put_input(inputs[str(data)], data)
        command = (
            f"exec python train.py --data {data} --work work/{name} --output results/{name}.txt"
            f" --steps {steps} --seconds {pace} >results/{name}.log 2>&1"
        )
        task = Task(
            f"{name}-{time.monotonic_ns()}", name, command, environment, inputs,
            [f"results/{name}.txt"], f"work/{name}", f"results/{name}.log", f"results/{name}.tsv",
            sync_seconds=self.site["sync_seconds"],
        )  # fmt: skip
        self.fleet.submit(task)
        return task

    def wait(self, task, seconds=90):
        return self.until(lambda: self.fleet.take_outcome(task.id), seconds)

    def until(self, look, seconds=60):
        return wait_until(look, seconds, lambda: "\n".join([*self.said, *self.cloud.calls()[-5:]]))

    def saved(self, name="a"):
        return self.bucket.get(f"state/work/{name}/current.json")

    def heard(self, text):
        return any(text in line for line in self.said)


@pytest.fixture
def controller(cloud, checkout, tmp_path, monkeypatch):
    folder = tmp_path / "controller"
    folder.mkdir()
    monkeypatch.chdir(folder)
    made = []

    def build(**site):
        made.append(Controller(cloud, checkout, **site))
        return made[-1]

    yield build
    for one in made:
        one.fleet.close(delete=False)
