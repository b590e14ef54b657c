"""The logger plug-in imports nothing of `robustvit`: Snakemake loads it before the Snakefile has
said which checkout's scripts come first."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from robustvit.core import progress
from snakemake_logger_plugin_robustvit import basics, durations

SHOW = (
    "import importlib, pkgutil, sys\n"
    "import snakemake_logger_plugin_robustvit as plugin\n"
    "for module in pkgutil.iter_modules(plugin.__path__):\n"
    "    importlib.import_module(f'{plugin.__name__}.{module.name}')\n"
    "print([name for name in sys.modules if name.split('.')[0] == 'robustvit'])\n"
)


def test_no_module_of_the_plugin_imports_robustvit(repository):
    done = subprocess.run(
        [sys.executable, "-c", SHOW], cwd=repository / "scripts", capture_output=True, text=True
    )
    assert done.stdout == "[]\n", done.stderr


def test_programs_and_display_agree_on_the_place_of_progress_files():
    assert basics.PROGRESS_VARIABLE == progress.PROGRESS_VARIABLE
    assert basics.DEFAULT_FOLDER == progress.DEFAULT_FOLDER


@pytest.mark.parametrize("seconds", [0, 4.4, 59.4, 59.6, 65, 3599, 3600, 7260, 100_000])
def test_programs_and_display_write_durations_alike(seconds):
    assert basics.format_seconds(seconds) == progress.format_seconds(seconds)


def test_a_failed_write_keeps_what_was_there(tmp_path, monkeypatch):
    path = tmp_path / "folder" / "learned.json"
    basics.write_json(path, {"a": 1})

    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(basics.os, "replace", full)
    with pytest.raises(OSError, match="No space"):
        basics.write_json(path, {"a": 2})
    assert json.loads(path.read_text()) == {"a": 1}
    assert [entry.name for entry in path.parent.iterdir()] == ["learned.json"]
    assert durations.LEARNED.startswith(".snakemake/")
