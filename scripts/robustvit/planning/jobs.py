"""The jobs that a run would start, from a dry run of Snakemake in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from robustvit.core.errors import UserError

JOBS_FILE = "ROBUSTVIT_JOBS_FILE"
SCRIPTS = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Job:
    """A job of the workflow.

    Attributes:
        rule: its stage.
        wildcards: which one of the stage.
        inputs: files that it reads.
        outputs: files that it writes; none for a target with a plain name.
    """

    rule: str
    wildcards: dict[str, str] = field(default_factory=dict)
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()


def planned_jobs(
    targets: Sequence[str], configfiles: Sequence[str] = (), everything: bool = False
) -> list[Job]:
    """Ask Snakemake which jobs it would start; none is started.

    Args:
        targets: names or files, for instance ["table7"]; the report if empty.
        configfiles: overlays over workflow_config.yaml.
        everything: as if nothing had been done yet; otherwise what is left to do.

    Raises:
        UserError: with Snakemake's own message, if it cannot plan.
    """
    with tempfile.TemporaryDirectory() as folder:
        lines = Path(folder) / "jobs.jsonl"
        done = subprocess.run(
            [sys.executable, "-m", "snakemake", *_arguments(targets, configfiles, everything)],
            env={**os.environ, JOBS_FILE: str(lines), "PYTHONPATH": _search_path()},
            capture_output=True,
            text=True,
        )
        if done.returncode:
            said = (done.stderr + done.stdout).strip() or "it said nothing"
            raise UserError(f"Snakemake cannot plan {', '.join(targets) or 'the report'}: {said}")
        return list(_read(lines.read_text(encoding="utf-8").splitlines())) if lines.exists() else []


def _search_path() -> str:
    """Where Snakemake finds the logger `jobs`, also without the project's environment."""
    earlier = os.environ.get("PYTHONPATH")
    return os.pathsep.join([str(SCRIPTS), *([earlier] if earlier else [])])


def _arguments(
    targets: Sequence[str], configfiles: Sequence[str], everything: bool
) -> Iterable[str]:
    # Without the user's profile: an executor or a display of it has no part in a dry run.
    yield from ("--profile", "none", "--workflow-profile", "none", "--cores", "1")
    yield from ("--dry-run", "--logger", "jobs", "--nolock", "--rerun-incomplete")
    yield from ("--max-checksum-file-size", "100000000")
    if configfiles:
        yield from ("--configfile", *configfiles)
    if everything:
        yield "--forceall"
    yield "--"
    yield from targets


def _read(lines: Iterable[str]) -> Iterable[Job]:
    for line in lines:
        entry = json.loads(line)
        if entry["output"]:  # a target with a plain name is no work
            yield Job(
                entry["rule"], entry["wildcards"], tuple(entry["input"]), tuple(entry["output"])
            )
