"""The workflow on a real SLURM on this machine, with everything that happens on a cluster.

Skipped where SLURM's packages are not installed or the tests do not run as root;
`tests/integration/slurm/start_slurm.sh install` installs them. `pytest -s` shows what happened.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
import time

import pytest
import torch
import yaml
from safetensors.torch import load_file

from robustvit.config.merge import deep_merge
from tests.integration.conftest import Run, copy_checkout
from tests.integration.slurm import cluster
from tests.integration.slurm.cluster import (
    hold_training,
    is_gone,
    is_running,
    jobs,
    slurm,
    wait_for_restart,
    wait_until,
)
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


ONE_AT_A_TIME = threading.Lock()


@contextlib.contextmanager
def held(experiment, folder):
    """A training held still, whose job no other fault touches for the time of the block."""
    training = hold_training(experiment, folder)
    while not ONE_AT_A_TIME.acquire(timeout=0.1):
        if is_gone(training.pid):  # another fault hit it too
            training = hold_training(experiment, folder)
    try:
        yield training
    finally:
        ONE_AT_A_TIME.release()


class Events:
    """What happened when, for whoever reads the output of the test."""

    def __init__(self):
        self.begun, self.lines, self.errors = time.monotonic(), [], []
        self.saved, self.restarted = [], ""  # of the training that was warned

    def add(self, text):
        self.lines.append(f"{time.monotonic() - self.begun:6.1f} s  {text}")
        print(self.lines[-1], flush=True)


def kill_training(folder, events):
    """The out-of-memory killer, say: nothing is saved."""
    with held("demo_light", folder) as training:
        os.kill(training.pid, signal.SIGKILL)
        events.add(f"demo_light (job {training.job.id} on {training.job.node}): process killed")
        wait_until(lambda: not is_running(training.job.id), 60, "the end of a job")


def reach_time_limit(folder, events):
    """The job is warned, saves, queues itself again and goes on with the same id."""
    with held("demo_eps8", folder) as training:
        slurm("scontrol", "update", f"JobId={training.job.id}", "TimeLimit=1")
        events.add(f"demo_eps8 (job {training.job.id}): time limit set to one minute")
        wait_until(lambda: training.has_pending(signal.SIGTERM), 120, "SLURM's warning")
        training.resume()
        events.add("demo_eps8: warned of the time limit")
        wait_until(lambda: is_gone(training.pid), 60, "the end of a warned training")
        events.saved = list((folder / "results/smoke/work/train/demo_eps8").glob("*/state-*.pt"))
        wait_for_restart(training.job.id)
        events.restarted = training.job.id
        events.add("demo_eps8: has saved, queued itself again, and runs again")


def lose_node(folder, events):
    """A node is drained while a training runs there, and fails before that has ended."""
    with held("demo_standard", folder) as training:
        node = f"NodeName={training.job.node}"
        slurm("scontrol", "update", node, "State=DRAIN", "Reason=test")
        events.add(f"demo_standard (job {training.job.id}): node {training.job.node} drained")
        slurm("scontrol", "update", node, "State=DOWN", "Reason=test")
        events.add(f"demo_standard: node {training.job.node} down")
        wait_until(lambda: is_gone(training.pid), 60, "the end of a process on a lost node")
        slurm("scontrol", "update", node, "State=RESUME")
        wait_for_restart(training.job.id)
        events.add(f"demo_standard: runs again; node {training.job.node} is back")


def preempt(folder, events, experiment, cancel):
    """Somebody's urgent job takes the node."""
    with held(experiment, folder) as training:
        if cancel:
            slurm("scontrol", "update", "PartitionName=gpu", "PreemptMode=CANCEL")
        urgent = f"-p urgent -A lab -w {training.job.node} --exclusive -o /dev/null".split()
        slurm("sbatch", "--job-name=urgent", *urgent, "--wrap", "sleep 2")
        how = "cancelled" if cancel else "queued again"
        events.add(f"{experiment} (job {training.job.id}): preempted, to be {how}")
        wait_until(lambda: is_gone(training.pid), 60, "the end of a preempted process")
        slurm("scontrol", "update", "PartitionName=gpu", "PreemptMode=REQUEUE")
        if not cancel:
            wait_for_restart(training.job.id)
        events.add(f"{experiment}: {'its process has ended' if cancel else 'runs again'}")


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
def faulty(slurm_cluster, smoke, tmp_path_factory):
    """The smoke configuration on SLURM, to its PDF, through every kind of fault."""
    run = Run(copy_checkout(tmp_path_factory.mktemp("on_slurm")))
    run.events = Events()
    # The network has no part in this test.
    shutil.copytree(smoke.folder / "results" / "sources", run.folder / "results" / "sources")

    def inject(name, fault):
        try:
            fault(run.folder, run.events)
        except Exception as error:  # noqa: BLE001 - shown by the test that waits for it
            run.events.errors.append(f"{name}: {error!r}")
            run.events.add(f"FAULT NOT INJECTED: {name}: {error!r}")

    over = threading.Event()
    threading.Thread(target=cluster.start_at_once, args=[over], daemon=True).start()
    for item in FAULTS.items():
        threading.Thread(target=inject, args=item, daemon=True).start()
    log = run.folder / "snakemake.log"
    with open(log, "w") as handle:
        done = subprocess.run(
            COMMAND, cwd=run.folder, env=variables(), stdout=handle, stderr=handle, timeout=1500
        )
    over.set()
    run.events.add(f"Snakemake has ended with exit code {done.returncode}")
    assert done.returncode == 0, "\n".join([log.read_text()[-6000:], *run.events.lines])
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
@pytest.mark.parametrize("protocol", ["clean", "pgd10", "apgd-ce-5"])
def test_evaluations_are_those_of_an_undisturbed_run(faulty, smoke, experiment, protocol):
    import pandas as pd

    read = [
        pd.read_parquet(run.results / "eval" / experiment / f"{protocol}.parquet")
        for run in (faulty, smoke)
    ]
    clocks = [name for name in read[0].columns if "seconds" in name]
    pd.testing.assert_frame_equal(*(rows.drop(columns=clocks) for rows in read))


def test_a_warned_training_went_on_where_it_stopped(faulty):
    job = ["--jobs", faulty.events.restarted]
    ran = slurm("sacct", "--duplicates", "-X", "-n", "-P", *job, "--format=State").split()
    assert ran == ["REQUEUED", "COMPLETED"] and faulty.events.saved


def test_nothing_is_left_in_the_queue(faulty):
    assert [job for job in jobs() if job.state in ("RUNNING", "PENDING")] == []


def snakemake(run, *arguments, site=cluster.SITE):
    """Start Snakemake as from a terminal: a process started in the background ignores Ctrl-C."""
    return subprocess.Popen(
        [*COMMAND, *arguments],
        cwd=run.folder,
        env=variables(site),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


def test_two_machines_train_one_model(faulty, smoke, tmp_path):
    """torchrun's agents are started by `srun` on two nodes, each with its GPU."""
    target = "results/smoke/train/demo_canonical/weights.safetensors"
    overlay = tmp_path / "two.yaml"
    overlay.write_text("compute: {training: {device: cpu, processes: 1, nodes: 2}}")
    process = snakemake(faulty, overlay, "--", target)
    said, _ = process.communicate(timeout=300)
    assert process.returncode == 0, said[-4000:]
    ran = slurm("sacct", "-n", "-X", "-P", "--format=JobID,AllocNodes,AllocTRES,State")
    assert any("|2|" in line and "gres/gpu=2" in line for line in ran.splitlines()), ran
    ours, theirs = (load_file(run.folder / target) for run in (faulty, smoke))
    assert ours.keys() == theirs.keys()
    for name in ours:
        assert torch.allclose(ours[name], theirs[name], atol=2e-5), name


def test_ctrl_c_cancels_the_jobs(faulty):
    process = snakemake(faulty, "--forcerun", "build_dataset", "--", "datasets")
    wait_until(lambda: jobs("--states=RUNNING"), 120, "a running job")
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=120)
    assert process.returncode != 0, said[-2000:]
    wait_until(lambda: not jobs("--states=RUNNING,PENDING,COMPLETING"), 60, "an empty queue")
    ran = slurm("sacct", "-n", "-X", "-P", "--format=State")
    assert "CANCELLED" in ran


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {"partitions": {"gpu": "gpus"}, "account": "lap"},
            ['partitions.gpu: unknown partition "gpus". Did you mean "gpu"?', 'account "lap"'],
        ),
        ({"gpu": {"type": "a100"}}, ['gpu.type: no node of partition gpu has "a100"']),
        ({"max_hours": {"gpu": 5}}, ["max_hours.gpu: 5 is longer than partition gpu allows: 2 h"]),
    ],
)
def test_a_site_that_does_not_fit_stops_before_the_first_job(faulty, tmp_path, changes, expected):
    site = tmp_path / "site.yaml"
    given = yaml.safe_load(cluster.SITE.read_text(encoding="utf-8"))
    site.write_text(yaml.safe_dump(deep_merge(given, changes)))
    last = slurm("sacct", "-n", "-X", "-P", "--format=JobID").splitlines()[-1]
    process = snakemake(faulty, "--forcerun", "build_dataset", "--", "datasets", site=site)
    said, _ = process.communicate(timeout=120)
    assert process.returncode != 0
    for text in (*expected, str(site), "nothing was submitted"):
        assert text in said, said[-3000:]
    assert slurm("sacct", "-n", "-X", "-P", "--format=JobID").splitlines()[-1] == last


def test_more_gpus_than_a_node_has(faulty, tmp_path):
    overlay = tmp_path / "eight.yaml"
    overlay.write_text("compute: {training: {device: cpu, processes: 8}}")
    process = snakemake(faulty, overlay, "--forcerun", "build_dataset", "--", "datasets")
    said, _ = process.communicate(timeout=120)
    assert process.returncode != 0
    assert "compute.training.processes: a training asks for 8 GPUs on a node" in said
