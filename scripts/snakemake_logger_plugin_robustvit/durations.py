"""How long jobs take: measured in earlier runs, else a guess that ships with the project."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from snakemake_logger_plugin_robustvit.basics import write_json
from snakemake_logger_plugin_robustvit.run_state import Job

SHIPPED = Path(__file__).with_name("seconds.json")
LEARNED = ".snakemake/robustvit-durations.json"
UNKNOWN_RULE_SECONDS = 10.0
REMEMBERED_JOBS = 5000
# Below this much finished work the ratio of measured to expected time says nothing.
SPEED_AFTER_SECONDS = 20.0
SPEED_RANGE = (0.25, 4.0)


@dataclass(frozen=True)
class Cost:
    """What a job is expected to take: wall seconds on this many threads."""

    seconds: float
    threads: int = 1


class Durations:
    """Expected seconds of jobs, and the memory of measured ones.

    Args:
        shipped: JSON file with {"rules": {rule: {"seconds": s, "threads": n}}}.
        learned: JSON file with measured jobs; it is written by `save` and may not exist yet.
    """

    def __init__(self, shipped: Path = SHIPPED, learned: Path | None = None) -> None:
        self.learned_path = learned
        self._rules = _read(shipped).get("rules", {})
        self._jobs: dict[str, dict] = _read(learned).get("jobs", {}) if learned else {}
        # Within a run the jobs that finish first are no fair sample of their rule: the longest are
        # started first. So means come from earlier runs.
        self._earlier = dict(self._jobs)
        self._spent: dict[str, tuple[int, float]] = {}
        # The display asks several times a second; a cluster's memory holds thousands of jobs.
        self._cache: dict[tuple[str, str | None], Cost] = {}
        self._expected_sum = self._measured_sum = 0.0
        self._changed = False

    @property
    def speed(self) -> float:
        """Measured over expected time of the finished jobs that an earlier run had measured too,
        within 0.25 and 4: how fast this machine is now."""
        if self._expected_sum < SPEED_AFTER_SECONDS:
            return 1.0
        low, high = SPEED_RANGE
        return min(max(self._measured_sum / self._expected_sum, low), high)

    def job(self, job: Job) -> Cost:
        """Expected cost of one job: its own last duration, else its rule's."""
        known = self._jobs.get(job.key)
        if known:
            return Cost(float(known["seconds"]), job.threads)
        return Cost(self.rule(job.rule, results_root(job.key)).seconds, job.threads)

    def rule(self, rule: str, root: str | None = None) -> Cost:
        """Expected cost of a job of `rule`.

        Jobs measured under the same results folder come first (a smoke run says little about the
        paper), then the shipped value, then jobs measured elsewhere, then a fixed guess.
        """
        if (rule, root) not in self._cache:
            self._cache[rule, root] = self._find_rule(rule, root)
        return self._cache[rule, root]

    def _find_rule(self, rule: str, root: str | None) -> Cost:
        measured = self._measured(rule, self._earlier)
        if root in measured:
            return _mean(measured[root])
        if rule in self._rules:
            shipped = self._rules[rule]
            return Cost(float(shipped["seconds"]), int(shipped.get("threads", 1)))
        everywhere = [e for group in self._measured(rule, self._jobs).values() for e in group]
        return _mean(everywhere) if everywhere else Cost(UNKNOWN_RULE_SECONDS)

    def waiting(self, rule: str, count: int, root: str | None = None) -> Cost:
        """Expected cost of `count` jobs of `rule` that have not started, together.

        What this run's finished jobs took beyond their expected time is taken off, since it says
        that the long ones are done; a quarter stays at least.
        """
        cost = self.rule(rule, root)
        done, seconds = self._spent.get(rule, (0, 0.0))
        excess = max(seconds - done * cost.seconds, 0.0)
        expected = count * cost.seconds
        return Cost(max(expected - excess, expected / 4), cost.threads)

    def learn(self, job: Job, seconds: float) -> None:
        """Remember how long a finished job took."""
        if job.key in self._earlier:
            self._expected_sum += float(self._earlier[job.key]["seconds"])
            self._measured_sum += seconds
        count, total = self._spent.get(job.rule, (0, 0.0))
        self._spent[job.rule] = (count + 1, total + seconds)
        # Written anew at the end, so that the oldest entries are the ones to forget.
        self._jobs.pop(job.key, None)
        self._jobs[job.key] = {
            "rule": job.rule,
            "seconds": round(seconds, 2),
            "threads": job.threads,
        }
        self._cache.clear()
        self._changed = True

    def save(self) -> None:
        """Write what was measured, with the mean per rule for people to read."""
        if self.learned_path is None or not self._changed:
            return
        jobs = dict(list(self._jobs.items())[-REMEMBERED_JOBS:])
        rules = {}
        for rule in sorted({entry["rule"] for entry in jobs.values()}):
            cost = _mean([entry for entry in jobs.values() if entry["rule"] == rule])
            rules[rule] = {"seconds": round(cost.seconds, 2), "threads": cost.threads}
        write_json(self.learned_path, {"rules": rules, "jobs": jobs})
        self._changed = False

    def _measured(self, rule: str, jobs: dict[str, dict]) -> dict[str, list[dict]]:
        groups: dict[str, list[dict]] = defaultdict(list)
        for key, entry in list(jobs.items()):
            if entry["rule"] == rule:
                groups[results_root(key)].append(entry)
        return groups


def results_root(key: str) -> str:
    """The configuration's folder of an output: "results/demo" of "results/demo/train/x"."""
    return "/".join(key.split("/")[:-1][:2])


def _mean(entries: list[dict]) -> Cost:
    seconds = sum(float(entry["seconds"]) for entry in entries) / len(entries)
    return Cost(seconds, max(int(entry.get("threads", 1)) for entry in entries))


def _read(path: Path) -> dict:
    # A damaged memory of durations costs a worse estimate, never a run.
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}
