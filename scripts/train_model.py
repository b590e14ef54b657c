#!/usr/bin/env python3
"""Train one experiment: clean, adversarial or TRADES; from scratch or from given weights.

Killed at any moment and started again, it ends with the same weights. SIGTERM and SIGUSR1 save
the state and end with exit code 75; in a SLURM job of the workflow whose time is nearly over, the
job is queued again.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from robustvit.cluster.requeue import requeue_own_job
from robustvit.core.cli import add_spec_argument, run_cli
from robustvit.training.devices import Device
from robustvit.training.interruption import (
    EXIT_INTERRUPTED,
    Interrupted,
    follow_parent,
    stop_at_once,
)
from robustvit.training.job import run_job
from robustvit.training.launch import Processes, launch
from robustvit.training.monitor import parse_monitoring
from robustvit.training.opening import open_training_device, prepare_launch
from robustvit.training.outputs import OutputPaths


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_spec_argument(parser)
    path, flag = {"type": Path, "required": True}, parser.add_argument
    flag("--dataset", **path, help="manifest.json of the training set")
    flag("--eval-dataset", **path, help="manifest.json of the set to evaluate on between epochs")
    flag("--synthetic-dataset", type=Path, help="manifest.json of the synthetic images, if any")
    flag("--init-weights", type=Path, help="weights to fine-tune, if the spec has an `init`")
    flag("--work-dir", **path, help="folder of the resumable states, one subfolder per spec")
    flag("--weights", **path, help="result: weights.safetensors")
    flag("--metrics", **path, help="result: metrics.csv, one row per epoch")
    flag("--config", **path, help="result: config.yaml, the resolved experiment")
    flag("--card", **path, help="result: model_card.md")
    flag("--steps", **path, help="result: steps.csv, one row every few steps")
    flag("--epochs", **path, help="result: the weights along the training that the recipe keeps")
    flag("--processes", type=int, default=1, help="processes on this machine, one a GPU")
    flag("--nodes", type=int, default=1, help="machines (of a SLURM job) that train together")
    flag("--rendezvous", help="host:port where the machines meet, outside of SLURM")
    flag("--threads", type=int, default=1, help="CPU threads of all processes together")
    flag("--device", default="auto", help="auto (default), cpu, cuda, cuda:1, xla or tpu")
    flag("--workers", type=int, default=0, help="data workers; no influence on the result")
    flag("--save-every", type=float, default=60, help="seconds between two states (default 60)")
    flag("--monitoring", type=parse_monitoring, default={}, help="what to show meanwhile, as JSON")
    return parser.parse_args()


def main() -> int:
    """Run the training; 75 if a signal stopped it."""
    code = train(parse_arguments())
    if code == EXIT_INTERRUPTED and "LOCAL_RANK" not in os.environ:
        requeue_own_job()
    return code


def train(arguments: argparse.Namespace) -> int:
    """Train in this process, or start all that train together and wait for them."""
    processes = Processes(
        arguments.processes, arguments.nodes, arguments.rendezvous, arguments.threads
    )
    if processes.several and "LOCAL_RANK" not in os.environ:
        prepare_launch(arguments.device, processes.per_node, processes.nodes)
        return launch(sys.argv, processes)
    if processes.several:
        follow_parent()
    # First of all: XLA has to be opened before anything else computes.
    device = open_training_device(
        arguments.device, max(1, arguments.threads // arguments.processes)
    )
    try:
        with stop_at_once():
            run_job(
                arguments.spec,
                dataset=arguments.dataset,
                eval_dataset=arguments.eval_dataset,
                init_weights=arguments.init_weights,
                work_dir=arguments.work_dir,
                paths=OutputPaths(
                    arguments.weights,
                    arguments.metrics,
                    arguments.config,
                    arguments.card,
                    arguments.steps,
                    arguments.epochs,
                ),
                device=device,
                synthetic_dataset=arguments.synthetic_dataset,
                workers=arguments.workers,
                save_every=arguments.save_every,
                monitoring=arguments.monitoring,
            )
    except Interrupted as stop:
        print(f"{stop}; the state is saved, start again to go on", file=sys.stderr)
        return leave(device, EXIT_INTERRUPTED)
    return leave(device, 0)


def leave(device: Device, code: int) -> int:
    """End one of several processes without torch's destructors, which may wait for ever."""
    device.close()
    if device.world_size > 1:
        sys.stderr.flush()
        os._exit(code)
    return code


if __name__ == "__main__":
    run_cli(main)
