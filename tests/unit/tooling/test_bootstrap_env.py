"""The script behind `make env`: which Python it takes and what it says when there is none."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys

import pytest

GOOD = 'exec "{real}" "$@"'
SHIM = 'echo "pyenv: command not found" >&2; exit 127'


@pytest.fixture
def checkout(tmp_path, repository):
    """A copy of what the script needs, with an empty folder for programs on the PATH."""
    (tmp_path / "scripts").mkdir()
    (tmp_path / "bin").mkdir()
    shutil.copy(repository / "scripts" / "bootstrap_env.sh", tmp_path / "scripts")
    shutil.copytree(repository / "envs", tmp_path / "envs")
    return tmp_path


def program(checkout, name: str, body: str) -> None:
    path = checkout / "bin" / name
    path.write_text(f"#!/bin/bash\n{body.format(real=sys.executable)}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def bootstrap(checkout, *arguments: str, **variables: str) -> subprocess.CompletedProcess:
    for name in ("bash", "dirname", "cat", "grep", "rm", "mkdir"):
        link = checkout / "bin" / name
        if not link.exists():
            link.symlink_to(shutil.which(name))
    environment = {"PATH": str(checkout / "bin"), "HOME": os.environ.get("HOME", "/"), **variables}
    return subprocess.run(
        [checkout / "bin" / "bash", checkout / "scripts" / "bootstrap_env.sh", *arguments],
        env=environment, capture_output=True, text=True, timeout=60,
    )  # fmt: skip


def test_a_machine_without_python_is_told_what_to_install(checkout):
    program(checkout, "python3.12", SHIM)
    done = bootstrap(checkout)
    assert done.returncode == 1
    assert "no Python 3.11, 3.12 or 3.13" in done.stderr
    assert "apt-get install python3 python3-venv" in done.stderr


def test_a_named_python_has_to_work(checkout):
    program(checkout, "python2", SHIM)
    done = bootstrap(checkout, PYTHON="python2")
    assert done.returncode == 1 and "PYTHON=python2" in done.stderr


def test_shims_that_fail_are_passed_over_and_a_uv_on_the_path_is_used(checkout):
    program(checkout, "python3.12", SHIM)
    program(checkout, "python3.11", GOOD)
    program(checkout, "uv", "echo uv 9.9")
    done = bootstrap(checkout, "uv")
    assert done.stdout.strip() == str(checkout / "bin" / "uv"), done.stderr


def test_a_python_without_venv_and_pip_is_told_the_package(checkout):
    body = 'case "$*" in *realpath*) echo "$0"; exit;; *ensurepip*|*pip*) exit 1;; esac; ' + GOOD
    program(checkout, "python3", body)
    done = bootstrap(checkout)
    assert done.returncode == 1
    assert "apt-get install python3-venv" in done.stderr


def test_unknown_locks_and_arguments_are_refused(checkout):
    assert "LOCK=gpu" in bootstrap(checkout, LOCK="gpu").stderr
    assert "unknown argument" in bootstrap(checkout, "tools").stderr


def test_an_environment_that_is_current_is_left_alone(checkout):
    """With a stand-in for uv: the second call starts nothing, a changed lock does."""
    program(checkout, "python3", GOOD)
    fake_uv = """
echo "$*" >>"{checkout}/calls"
case "$1" in
    --version) ;;
    venv) "{real}" -m venv --without-pip "${{@: -1}}" ;;
esac"""
    program(checkout, "uv", fake_uv.replace("{checkout}", str(checkout)))
    assert bootstrap(checkout).returncode == 0
    calls = checkout / "calls"
    assert "--require-hashes --compile-bytecode" in calls.read_text()
    packages = next((checkout / ".venv" / "lib").glob("python3*/site-packages"))
    path_file = packages / "robustvit-scripts.pth"
    assert path_file.read_text().strip() == str(checkout / "scripts")

    calls.unlink()
    assert bootstrap(checkout).returncode == 0
    assert not calls.exists()

    with open(checkout / "envs" / "main.txt", "a") as lock:
        lock.write("# changed\n")
    assert bootstrap(checkout).returncode == 0
    assert "pip sync" in calls.read_text() and "venv --quiet" not in calls.read_text()


def test_a_moved_checkout_gets_a_new_environment(checkout, tmp_path_factory):
    program(checkout, "python3", GOOD)
    program(checkout, "uv", '[ "$1" != venv ] || "{real}" -m venv --without-pip "${{@: -1}}"')
    assert bootstrap(checkout).returncode == 0
    moved = tmp_path_factory.mktemp("moved") / "checkout"
    shutil.move(checkout, moved)
    assert bootstrap(moved).returncode == 0
    assert str(moved) in (moved / ".venv" / "robustvit-stamp").read_text()
