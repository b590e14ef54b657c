"""Reading the examples out of the pages: files, settings, commands and the jobs they promise."""

from __future__ import annotations

import re
import shlex
import subprocess
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import yaml

DOCS = Path(__file__).resolve().parents[2] / "docs"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", flags=re.MULTILINE | re.DOTALL)
NAMED = re.compile(r"# ([\w./-]+\.(?:py|yaml))\n")
JOBS = "# jobs\n"


@dataclass(frozen=True)
class Page:
    """One page: `add_a_loss` and so on."""

    name: str

    @cached_property
    def blocks(self) -> list[tuple[str, str]]:
        """(language, text) of every code block, in order."""
        text = (DOCS / f"{self.name}.md").read_text(encoding="utf-8")
        return BLOCK.findall(text)

    @cached_property
    def files(self) -> dict[str, str]:
        """Path → text of the blocks that show a file."""
        found = [(NAMED.match(text), text) for _, text in self.blocks]
        return {name.group(1): text[name.end() :] for name, text in found if name}

    @property
    def overlays(self) -> list[str]:
        """Names of the files with settings."""
        return [name for name in self.files if name.endswith(".yaml")]

    @property
    def modules(self) -> list[str]:
        """Names of the files that go into the package."""
        return [name for name in self.files if name.startswith("scripts/")]

    @property
    def check(self) -> str | None:
        """Name of the file that checks the rest."""
        return next((name for name in self.files if name.startswith("check_")), None)

    @cached_property
    def commands(self) -> list[list[str]]:
        """The commands as bash hands them to programs, braces expanded."""
        lines = [line for kind, text in self.blocks if kind == "sh" for line in text.splitlines()]
        return [_expanded(line) for line in lines if line.strip()]

    @property
    def targets(self) -> list[str]:
        """What the page's `snakemake` commands are asked for; the whole report is left out."""
        runs = [command for command in self.commands if command[0] == "snakemake"]
        return [word for run in runs for word in run[run.index("--cores") + 2 :]]

    @cached_property
    def jobs(self) -> set[tuple[str, ...]]:
        """The jobs that the page says are planned: (rule, wildcard values…)."""
        lines = [
            line
            for kind, text in self.blocks
            if kind == "text" and text.startswith(JOBS)
            for line in text.removeprefix(JOBS).splitlines()
        ]
        return {tuple(line.split()) for line in lines}


def _expanded(line: str) -> list[str]:
    words = " ".join(shlex.quote(w) if "{" not in w else w for w in shlex.split(line))
    script = f"set -f; printf '%s\\n' {words}"  # no globs: nothing is looked up on the disk
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


PAGES = [Page(path.stem) for path in sorted(DOCS.glob("add_*.md"))]


def resolved(folder, overlays):
    """The demo's configuration with these overlays, as the workflow resolves it."""
    from robustvit.config.merge import deep_merge
    from robustvit.config.resolve import resolve

    names = ["workflow_config.yaml", "configs/demo.yaml", *overlays]
    return resolve(deep_merge(*(yaml.safe_load((folder / name).read_text()) for name in names)))
