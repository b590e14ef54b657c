"""The set-up of a TPU VM: what it refuses; installing takes minutes and is done by hand."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[3] / "scripts" / "setup_tpu_vm.sh"


def run(*arguments, **variables):
    done = subprocess.run(
        ["bash", SCRIPT, *arguments],
        env={"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/")} | variables,
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    return done.returncode, done.stderr


def test_check_names_what_is_missing_and_changes_nothing():
    code, said = run("--check", PYTHON="no-such-python")
    assert code == 0
    assert "no Python for envs/tpu.txt" in said


def test_another_lock_is_refused():
    assert run(LOCK="main") == (1, "error: LOCK=main: use tpu or torch-tpu\n")


def test_without_a_python_the_way_out_is_named(tmp_path):
    code, said = run(PYTHON="no-such-python", WHEELS=str(tmp_path))
    assert code == 1 and "no Python 3.11 or 3.12" in said and "runtime_version" in said


@pytest.mark.skipif(sys.version_info[:2] not in ((3, 11), (3, 12)), reason="libtpu's Pythons")
def test_a_missing_folder_of_packages(tmp_path):
    code, said = run(PYTHON=sys.base_prefix + "/bin/python3", WHEELS=str(tmp_path / "none"))
    assert code == 1 and "no such folder" in said


def test_an_unknown_argument():
    code, said = run("--force")
    assert code == 1 and "unknown argument --force" in said
