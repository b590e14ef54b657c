"""What is known about a run: jobs that wait, run, are done or failed."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field
from logging import LogRecord


@dataclass(frozen=True)
class Job:
    """One job as Snakemake announced it; `started` is in seconds since the epoch."""

    number: int
    rule: str
    started: float
    wildcards: dict[str, str] = field(default_factory=dict)
    threads: int = 1
    outputs: tuple[str, ...] = ()
    logs: tuple[str, ...] = ()
    command: str | None = None

    @property
    def label(self) -> str:
        """The stage as the user knows it: the rule and what it is run for."""
        values = dict(self.wildcards)
        if {"index", "count"} <= values.keys() and values["index"].isdigit():
            part = f"{int(values.pop('index')) + 1}/{values.pop('count')}"
            return " ".join([self.rule, *values.values(), part])
        return " ".join([self.rule, *values.values()])

    @property
    def key(self) -> str:
        """Under what the job's duration is remembered: its first output, else its rule."""
        return self.outputs[0] if self.outputs else self.rule

    @classmethod
    def from_record(cls, record: LogRecord) -> Job:
        """Read a job from Snakemake's JOB_INFO event."""
        wildcards = getattr(record, "wildcards", None) or {}
        return cls(
            number=record.jobid,
            rule=record.rule_name,
            started=record.created,
            wildcards={name: str(value) for name, value in wildcards.items()},
            threads=int(getattr(record, "threads", 1) or 1),
            outputs=_plain_paths(getattr(record, "output", None)),
            logs=_plain_paths(getattr(record, "log", None)),
            command=getattr(record, "shellcmd", None),
        )


def _plain_paths(paths: list[str] | None) -> tuple[str, ...]:
    # Snakemake appends remarks such as " (send to storage)" to the paths it announces.
    return tuple(str(path).split(" (")[0] for path in paths or [])


@dataclass(frozen=True)
class Snapshot:
    """A run at one moment; safe to read while the run goes on."""

    started: float
    done: int
    total: int
    slots: int
    per_node: bool
    running: tuple[Job, ...]
    waiting: dict[str, int]
    failed: tuple[Job, ...]


class RunState:
    """Follows Snakemake's events; may be read from another thread through `snapshot`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: Counter[str] = Counter()
        self._running: dict[int, Job] = {}
        self._seen: dict[int, Job] = {}
        self._failed: list[Job] = []
        self._started = 0.0
        self._done = self._total = 0
        self._slots, self._per_node = 1, False

    def resources(self, cores: int | None, nodes: int | None) -> None:
        """Note how many jobs or threads may run at a time."""
        with self._lock:
            if nodes is not None:
                self._slots, self._per_node = max(nodes, 1), True
            elif cores is not None:
                self._slots, self._per_node = max(cores, 1), False

    def begin(self, counts: dict[str, int], now: float) -> None:
        """Start a run of `counts` jobs per rule (Snakemake's statistics, "total" included)."""
        with self._lock:
            self._waiting = Counter({k: int(v) for k, v in counts.items() if k != "total"})
            self._total = sum(self._waiting.values())
            self._started, self._done = now, 0
            self._running, self._seen, self._failed = {}, {}, []

    def start(self, job: Job) -> None:
        """Note that `job` has started; a second attempt replaces the first."""
        with self._lock:
            if job.number not in self._seen:
                self._waiting[job.rule] = max(self._waiting[job.rule] - 1, 0)
            self._seen[job.number] = self._running[job.number] = job

    def finish(self, number: int) -> Job | None:
        """Note that a job is done, at last if it failed before; returns it if it was running."""
        with self._lock:
            self._done += 1
            self._failed = [job for job in self._failed if job.number != number]
            return self._running.pop(number, None)

    def fail(self, number: int) -> Job | None:
        """Note that a job failed; returns it if it is known, and only the first time."""
        with self._lock:
            job = self._running.pop(number, None)
            if job is not None:
                self._failed.append(job)
            return job

    def progress(self, done: int, total: int) -> None:
        """Take over Snakemake's own count, which grows when a checkpoint adds jobs."""
        with self._lock:
            self._done, self._total = done, total

    def find(self, number: int) -> Job | None:
        """The job with Snakemake's number, whether it still runs or not."""
        with self._lock:
            return self._seen.get(number)

    def snapshot(self) -> Snapshot:
        """Return the run at this moment."""
        with self._lock:
            return Snapshot(
                started=self._started,
                done=self._done,
                total=self._total,
                slots=self._slots,
                per_node=self._per_node,
                running=tuple(self._running.values()),
                waiting={rule: count for rule, count in self._waiting.items() if count},
                failed=tuple(self._failed),
            )
