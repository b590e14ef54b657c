"""What happens to jobs on a cluster, done to the trainings and evaluations of a run."""

from __future__ import annotations

import os
import signal
import threading
import time
from functools import partial

from tests.integration.slurm.cluster import (
    hold_training,
    is_gone,
    is_running,
    jobs,
    slurm,
    wait_for_restart,
    wait_until,
)


class Events:
    """What happened when, for whoever reads the output of the test."""

    def __init__(self):
        self.begun, self.lines = time.monotonic(), []
        self.injected, self.errors = [], []
        self.saved, self.restarted = [], ""  # of the training that was warned
        self.interrupted = {}  # what Ctrl-C led to

    def add(self, text):
        self.lines.append(f"{time.monotonic() - self.begun:6.1f} s  {text}")
        print(self.lines[-1], flush=True)


def kill_training(experiment, folder, events):
    """The out-of-memory killer, say: nothing is saved."""
    training = hold_training(experiment, folder)
    os.kill(training.pid, signal.SIGKILL)
    events.add(f"{experiment} (job {training.job.id} on {training.job.node}): process killed")
    wait_until(lambda: is_gone(training.pid), 60, "the end of a killed process")


def reach_time_limit(experiment, folder, events):
    """The job is warned, saves, queues itself again and goes on with the same id."""
    training = hold_training(experiment, folder)
    slurm("scontrol", "update", f"JobId={training.job.id}", "TimeLimit=1")
    events.add(f"{experiment} (job {training.job.id}): time limit set to one minute")
    wait_until(lambda: training.has_pending(signal.SIGTERM), 120, "SLURM's warning")
    training.resume()
    events.add(f"{experiment}: warned of the time limit")
    wait_until(lambda: is_gone(training.pid), 60, "the end of a warned training")
    slurm("scontrol", "update", f"JobId={training.job.id}", "TimeLimit=60")
    events.saved = list((folder / "results/smoke/work/train" / experiment).glob("*/state-*.pt"))
    wait_for_restart(training.job.id)
    events.restarted = training.job.id
    events.add(f"{experiment}: has saved, queued itself again, and runs again")


def lose_node(experiment, folder, events):
    """A node is drained while a training runs there, and fails before that has ended."""
    training = hold_training(experiment, folder)
    node = f"NodeName={training.job.node}"
    slurm("scontrol", "update", node, "State=DRAIN", "Reason=test")
    events.add(f"{experiment} (job {training.job.id}): node {training.job.node} drained")
    slurm("scontrol", "update", node, "State=DOWN", "Reason=test")
    events.add(f"{experiment}: node {training.job.node} down")
    wait_until(lambda: is_gone(training.pid), 60, "the end of a process on a lost node")
    wait_for_restart(training.job.id)
    slurm("scontrol", "update", node, "State=RESUME")
    events.add(f"{experiment}: runs again, on another node")


PARTITION = threading.Lock()  # both preemptions change how it preempts


def preempt(experiment, folder, events, how):
    """Somebody's urgent job takes the node."""
    training = hold_training(experiment, folder)
    with PARTITION:
        slurm("scontrol", "update", "PartitionName=gpu", f"PreemptMode={how}")
        urgent = f"-p urgent -A lab -w {training.job.node} --exclusive -o /dev/null".split()
        slurm("sbatch", "--job-name=urgent", *urgent, "--wrap", "sleep 2")
        events.add(f"{experiment} (job {training.job.id}): preempted, PreemptMode={how}")
        wait_until(lambda: is_gone(training.pid), 60, "the end of a preempted process")
        wait_until(lambda: not is_running(training.job.id), 60, "the end of a preempted job")
    if how == "REQUEUE":
        wait_for_restart(training.job.id)
        events.add(f"{experiment}: runs again")


def cancel_evaluation(experiment, folder, events):
    """An administrator cancels a job."""

    def evaluating():
        wanted = f"rule_shards-{experiment}_evaluate_model"
        return [job for job in jobs("--states=RUNNING") if job.what == wanted]

    job = wait_until(evaluating, 600, f"an evaluation of {experiment}")[0]
    slurm("scancel", job.id)
    events.add(f"evaluations of {experiment} (job {job.id}): cancelled from outside")


# What an experiment goes through, one after the other.
FAULTS = {
    "demo_light": (kill_training, partial(preempt, how="CANCEL")),
    "demo_eps8": (reach_time_limit, cancel_evaluation),
    "demo_standard": (lose_node, partial(preempt, how="REQUEUE")),
}


def inject(experiment, faults, folder, events):
    """Let an experiment go through its faults."""
    for fault in faults:
        try:
            fault(experiment, folder, events)
        except Exception as error:  # noqa: BLE001 - shown by the test that waits for it
            events.errors.append(f"{experiment}: {fault}: {error!r}")
            events.add(f"FAULT NOT INJECTED: {events.errors[-1]}")
            return
        events.injected.append((experiment, fault))
