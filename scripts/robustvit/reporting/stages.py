"""Time and memory of each stage, from the benchmark files that Snakemake writes per job."""

from __future__ import annotations

from pathlib import Path

from robustvit.reporting.results import read_table


def collect_stages(root: Path) -> list[dict]:
    """Sum the benchmark files `root/benchmarks/<rule>/**.tsv` per rule, longest rule first.

    Returns:
        One {"stage", "jobs", "seconds", "longest_seconds", "memory_mb"} per rule; `memory_mb` is
        the largest resident set of any of its jobs, None where Snakemake could not measure it.
    """
    jobs: dict[str, list[dict]] = {}
    folder = root / "benchmarks"
    for path in sorted(folder.rglob("*.tsv")):
        stage = path.relative_to(folder).parts[0].removesuffix(".tsv")
        jobs.setdefault(stage, []).extend(_records(path))
    stages = [_summarise(stage, records) for stage, records in jobs.items() if records]
    return sorted(stages, key=lambda stage: (-stage["seconds"], stage["stage"]))


def _records(path: Path) -> list[dict]:
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
