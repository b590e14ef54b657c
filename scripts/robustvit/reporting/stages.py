"""Time and memory of each stage, from the benchmark files that Snakemake writes per job."""

from __future__ import annotations

from pathlib import Path

from robustvit.reporting.results import read_table


def collect_stages(root: Path, jobs: dict) -> list[dict]:
    """Sum the benchmark files of a run's jobs per rule, longest rule first.

    Files of jobs that are no longer part of the run are left alone.

    Args:
        root: results root.
        jobs: rule to the names of its benchmark files; to {name: number of shards}; or to None for
            a rule with a single file.

    Returns:
        One {"stage", "jobs", "seconds", "longest_seconds", "memory_mb"} per rule; `memory_mb` is
        the largest resident set of any of its jobs, None where Snakemake could not measure it.
    """
    folder = root / "benchmarks"
    found = {
        rule: [row for file in benchmark_files(rule, names) for row in _records(folder / file)]
        for rule, names in jobs.items()
    }
    stages = [_summarise(rule, records) for rule, records in found.items() if records]
    return sorted(stages, key=lambda stage: (-stage["seconds"], stage["stage"]))


def benchmark_files(rule: str, names: list[str] | dict[str, int] | None) -> list[str]:
    """Benchmark files of a rule's jobs, relative to the folder of all benchmarks."""
    if names is None:
        return [f"{rule}.tsv"]
    if isinstance(names, dict):
        names = [f"{name}-{i}-of-{count}" for name, count in names.items() for i in range(count)]
    return [f"{rule}/{name}.tsv" for name in names]


def _records(path: Path) -> list[dict]:
    if not path.exists():
        return []
    return [row for row in read_table(path, "\t") if isinstance(row.get("s"), float)]


def _summarise(stage: str, records: list[dict]) -> dict:
    seconds = [record["s"] for record in records]
    memory = [r["max_rss"] for r in records if isinstance(r.get("max_rss"), float)]
    return {
        "stage": stage,
        "jobs": len(records),
        "seconds": round(sum(seconds), 3),
        "longest_seconds": round(max(seconds), 3),
        "memory_mb": round(max(memory), 1) if memory else None,
    }
