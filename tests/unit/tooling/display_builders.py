"""Small jobs, runs and events for the tests of the progress display."""

from __future__ import annotations

import logging

from snakemake_logger_plugin_robustvit.job_progress import JobProgress
from snakemake_logger_plugin_robustvit.run_state import Job, RunState, Snapshot


def make_job(number: int = 1, rule: str = "pretrain_model", **changes: object) -> Job:
    """A job that started at second 100."""
    values = {
        "number": number,
        "rule": rule,
        "started": 100.0,
        "wildcards": {"experiment": f"e{number}"},
        "outputs": (f"results/demo/train/e{number}/weights.safetensors",),
    }
    return Job(**{**values, **changes})


def make_progress(label: str = "train e1", **changes: object) -> JobProgress:
    """Progress of process 1, half done, with 20 s left, said at second 110."""
    values = {
        "pid": 1,
        "label": label,
        "done": 5.0,
        "total": 10.0,
        "unit": "steps",
        "seconds_left": 20.0,
        "note": "",
        "time": 110.0,
    }
    return JobProgress(**{**values, **changes})


def make_run(
    waiting: dict[str, int], jobs: list[Job], cores: int = 2, nodes: int | None = None
) -> Snapshot:
    """A run that began at second 100 and has these jobs running."""
    counts = dict(waiting)
    for job in jobs:
        counts[job.rule] = counts.get(job.rule, 0) + 1
    state = RunState()
    state.resources(cores, nodes)
    state.begin(counts, now=100.0)
    for job in jobs:
        state.start(job)
    return state.snapshot()


def event(name: str | None, message: str | None = None, level: int = logging.INFO, **fields):
    """A log record as Snakemake sends it."""
    record = logging.LogRecord("snakemake", level, "", 0, message, None, None)
    record.event = name
    record.__dict__.update(fields)
    return record
