"""The workflow on a real SLURM on this machine, with everything that happens on a cluster.

Skipped where SLURM's packages are not installed or the tests do not run as root;
`tests/integration/slurm/start_slurm.sh install` installs them. `pytest -s` shows what happened.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time

import pytest

from tests.integration.conftest import Run, copy_checkout
from tests.integration.slurm import cluster
from tests.integration.slurm.cluster import hold_training, jobs, slurm, start_at_once, wait_until
from tests.integration.test_smoke import pdf_text
from tests.workflow.conftest import environment

pytestmark = [pytest.mark.end_to_end, pytest.mark.xdist_group("slurm")]
OVERLAYS = ("configs/demo.yaml", "configs/smoke.yaml", "tests/integration/slurm/smoke.yaml")
COMMAND = (sys.executable, "-m", "snakemake", "--profile", "slurm", "--configfile", *OVERLAYS)


@pytest.fixture(scope="module")
def slurm_cluster():
    """A SLURM with two nodes."""
    if reason := cluster.missing():
        pytest.skip(f"no SLURM on this machine: {reason}")
    with cluster.running_slurm():
        yield


def variables(site=cluster.SITE):
    return environment() | {"ROBUSTVIT_SITE": str(site)}


class Events:
    """What happened when, for whoever reads the output of the test."""

    def __init__(self):
        self.begun, self.lines, self.errors = time.monotonic(), [], []

    def add(self, text):
        self.lines.append(f"{time.monotonic() - self.begun:6.1f} s  {text}")
        print(self.lines[-1], flush=True)


def kill_training(folder, events):
    """The out-of-memory killer, say: nothing is saved."""
    training = hold_training("demo_light", folder)
    os.kill(training.pid, signal.SIGKILL)
    events.add(f"demo_light (job {training.job.id} on {training.job.node}): process killed")


def reach_time_limit(folder, events):
    """The job is warned, saves, queues itself again and goes on with the same id."""
    training = hold_training("demo_eps8", folder)
    slurm("scontrol", "update", f"JobId={training.job.id}", "TimeLimit=1")
    events.add(f"demo_eps8 (job {training.job.id}): time limit set to one minute")
    wait_until(lambda: training.has_pending(signal.SIGTERM), 120, "SLURM's warning")
    training.resume()
    events.add("demo_eps8: warned of the time limit")
    start_at_once(training.job.id)
    events.add("demo_eps8: has saved and queued itself again")


def lose_node(folder, events):
    """A node is drained while a training runs there, and fails before that has ended."""
    training = hold_training("demo_standard", folder)
    node = f"NodeName={training.job.node}"
    slurm("scontrol", "update", node, "State=DRAIN", "Reason=test")
    events.add(f"demo_standard (job {training.job.id}): node {training.job.node} drained")
    slurm("scontrol", "update", node, "State=DOWN", "Reason=test")
    events.add(f"demo_standard: node {training.job.node} down")
    wait_until(training.is_gone, 60, "the end of the process on a node that is down")
    start_at_once(training.job.id)
    slurm("scontrol", "update", node, "State=RESUME")
    events.add(f"demo_standard: queued again, node {training.job.node} is back")


def preempt(folder, events, experiment, cancel):
    """Somebody's urgent job takes the node."""
    training = hold_training(experiment, folder)
    if cancel:
        slurm("scontrol", "update", "PartitionName=gpu", "PreemptMode=CANCEL")
    urgent = [
        "-p",
        "urgent",
        "-A",
        "lab",
        "-w",
        training.job.node,
        "--exclusive",
        "-o",
        "/dev/null",
    ]
    slurm("sbatch", "--job-name=urgent", *urgent, "--wrap", "sleep 2")
    how = "cancelled" if cancel else "queued again"
    events.add(f"{experiment} (job {training.job.id}): preempted, to be {how}")
    wait_until(training.is_gone, 60, "the end of a preempted process")
    slurm("scontrol", "update", "PartitionName=gpu", "PreemptMode=REQUEUE")
    if not cancel:
        start_at_once(training.job.id)
    events.add(f"{experiment}: its process has ended")


def cancel_evaluation(folder, events):
    """An administrator cancels a job."""

    def evaluating():
        wanted = "rule_shards-demo_eps8_evaluate_model"
        return [job for job in jobs("--states=RUNNING") if job.what == wanted]

    job = wait_until(evaluating, 600, "an evaluation of demo_eps8")[0]
    slurm("scancel", job.id)
    events.add(f"evaluations of demo_eps8 (job {job.id}): cancelled from outside")


FAULTS = {
    "killed": kill_training,
    "time limit": reach_time_limit,
    "node": lose_node,
    "preempted": lambda folder, events: preempt(folder, events, "demo_flowers", cancel=False),
    "preempted, cancelled": lambda folder, events: preempt(
        folder, events, "demo_caltech101", cancel=True
    ),
    "cancelled": cancel_evaluation,
}


@pytest.fixture(scope="module")
def faulty(slurm_cluster, tmp_path_factory):
    """The smoke configuration on SLURM, to its PDF, through every kind of fault."""
    run = Run(copy_checkout(tmp_path_factory.mktemp("on_slurm")))
    run.events = Events()

    def inject(name, fault):
        try:
            fault(run.folder, run.events)
        except Exception as error:  # noqa: BLE001 - shown by the test that waits for it
            run.events.errors.append(f"{name}: {error!r}")
            run.events.add(f"FAULT NOT INJECTED: {name}: {error!r}")

    threads = [threading.Thread(target=inject, args=item, daemon=True) for item in FAULTS.items()]
    for thread in threads:
        thread.start()
    done = subprocess.run(
        [*COMMAND], cwd=run.folder, env=variables(), capture_output=True, text=True, timeout=1500
    )
    run.events.add(f"Snakemake has ended with exit code {done.returncode}")
    run.said = done.stdout + done.stderr
    (run.folder / "snakemake.log").write_text(run.said)
    assert done.returncode == 0, "\n".join([run.said[-6000:], *run.events.lines])
    return run


def test_every_fault_hit(faulty):
    assert faulty.events.errors == []


def test_report_is_made_through_sbatch(faulty):
    assert "Smoke test of the whole pipeline" in pdf_text(faulty.results / "report.pdf")
    ran = slurm("sacct", "--noheader", "-X", "--parsable2", "--format=JobID,State,AllocTRES")
    states = {line.split("|")[1].split()[0] for line in ran.splitlines()}
    assert {"COMPLETED", "FAILED", "CANCELLED", "PREEMPTED"} <= states
    assert "gres/gpu=1" in ran


@pytest.mark.parametrize(
    "experiment", ["demo_light", "demo_eps8", "demo_standard", "demo_flowers", "demo_caltech101"]
)
def test_weights_are_those_of_an_undisturbed_run(faulty, smoke, experiment):
    path = f"train/{experiment}/weights.safetensors"
    assert (faulty.results / path).read_bytes() == (smoke.results / path).read_bytes()


@pytest.mark.parametrize("experiment", ["demo_light", "demo_eps8", "demo_standard"])
@pytest.mark.parametrize("protocol", ["clean", "pgd10", "autoattack"])
def test_evaluations_are_those_of_an_undisturbed_run(faulty, smoke, experiment, protocol):
    import pandas as pd

    read = [
        pd.read_parquet(run.results / "eval" / experiment / f"{protocol}.parquet")
        for run in (faulty, smoke)
    ]
    clocks = [name for name in read[0].columns if "seconds" in name]
    pd.testing.assert_frame_equal(*(rows.drop(columns=clocks) for rows in read))


def test_a_warned_training_went_on_where_it_stopped(faulty):
    logs = faulty.folder / "results" / "slurm_logs"
    ran = slurm("sacct", "--duplicates", "-X", "-n", "-P", "--format=JobID,Comment,State")
    assert logs.is_dir() and re.search(r"demo_eps8\S*\|REQUEUED", ran), ran


def test_nothing_is_left_in_the_queue(faulty):
    assert [job for job in jobs() if job.state in ("RUNNING", "PENDING")] == []
