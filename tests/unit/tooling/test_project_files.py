"""Files about the project: commands, licence, citation, hooks."""

from __future__ import annotations

import re
import subprocess

import yaml


def test_every_make_command_is_listed(repository):
    text = (repository / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z-]+):", text, re.MULTILINE))
    listed = subprocess.run(
        ["make", "--no-print-directory"], cwd=repository, capture_output=True, text=True, check=True
    ).stdout
    assert targets == {line.split()[0] for line in listed.splitlines()[1:]}
    assert {"demo", "test", "env", "lock", "lint", "format", "clean-demo"} <= targets


def test_ci_runs_the_documented_test_command(repository):
    script = repository / ".ci" / "run"
    assert script.stat().st_mode & 0o100
    assert script.read_text().rstrip().endswith("exec make test")


def test_the_licence_is_complete(repository):
    text = (repository / "LICENSE").read_text()
    assert "Apache License" in text and "END OF TERMS AND CONDITIONS" in text


def test_the_citation_has_what_the_format_asks_for(repository):
    citation = yaml.safe_load((repository / "CITATION.cff").read_text())
    assert {"cff-version", "message", "title", "authors"} <= citation.keys()
    assert citation["license"] == "Apache-2.0"


def test_hooks_need_no_network(repository):
    hooks = yaml.safe_load((repository / ".pre-commit-config.yaml").read_text())
    assert [entry["repo"] for entry in hooks["repos"]] == ["local"]
    assert {hook["language"] for hook in hooks["repos"][0]["hooks"]} == {"system"}


def test_the_catalog_entry_is_valid(repository):
    usage = yaml.safe_load((repository / ".snakemake-workflow-catalog.yml").read_text())["usage"]
    assert set(usage["mandatory-flags"]) == {"desc", "flags"}
    assert isinstance(usage["report"], bool)
