"""A lock is removed if its run is dead, and kept while it lives."""

import os
import platform
import subprocess
import sys
import time
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[3] / "scripts" / "unlock_after_crash.sh"


@pytest.fixture
def locked(tmp_path):
    lock = tmp_path / ".snakemake" / "locks" / "0.input.lock"
    lock.parent.mkdir(parents=True)
    lock.write_text("results/x\n")
    return tmp_path


def unlock(folder):
    return subprocess.run([SCRIPT], cwd=folder, capture_output=True, text=True, check=True).stderr


def test_lock_of_a_dead_run_is_removed(locked):
    assert "going on where it stopped" in unlock(locked)
    assert not (locked / ".snakemake" / "locks").exists()


def test_no_lock_no_word(tmp_path):
    assert unlock(tmp_path) == ""


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="the check needs /proc")
def test_lock_of_a_living_run_is_kept(locked):
    program = locked / "snakemake"
    program.write_text("import time\ntime.sleep(60)\n")
    process = subprocess.Popen([sys.executable, program], cwd=locked)
    try:
        time.sleep(0.5)
        assert unlock(locked) == ""
        assert (locked / ".snakemake" / "locks" / "0.input.lock").exists()
    finally:
        process.kill()
        process.wait()
    assert "going on" in unlock(locked)


def refused(folder):
    done = subprocess.run([SCRIPT], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 1, done
    return done.stderr


def record(folder, host, age=0.0):
    path = folder / ".snakemake" / "robustvit-host"
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"{host}\n")
    os.utime(path, (time.time() - age,) * 2)
    return path


def test_the_host_is_recorded_at_the_start(tmp_path):
    unlock(tmp_path)
    assert (tmp_path / ".snakemake" / "robustvit-host").read_text() == f"{platform.node()}\n"


def test_a_lock_of_another_host_is_kept(locked):
    path = record(locked, "far-away")
    told = refused(locked)
    assert "far-away" in told and "snakemake --unlock" in told
    assert (locked / ".snakemake" / "locks" / "0.input.lock").exists()
    assert path.read_text() == "far-away\n"


def test_a_lock_of_this_host_is_removed(locked):
    record(locked, platform.node())
    assert "going on" in unlock(locked)


def test_a_lock_made_long_after_the_record_may_be_another_hosts(locked):
    record(locked, platform.node(), age=3600)
    assert "snakemake --unlock" in refused(locked)
    assert (locked / ".snakemake" / "locks" / "0.input.lock").exists()


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="the check needs /proc")
@pytest.mark.parametrize("argument", ["scripts/train_model.py", "{folder}/scripts/train_model.py"])
def test_nothing_starts_beside_the_programs_of_a_killed_run(locked, argument):
    program = locked / "scripts" / "train_model.py"
    program.parent.mkdir()
    program.write_text("import time\ntime.sleep(60)\n")
    command = [sys.executable, argument.format(folder=locked), "--spec", "{}"]
    process = subprocess.Popen(command, cwd=locked)
    try:
        time.sleep(0.5)
        told = refused(locked)
        assert str(process.pid) in told and "train_model.py" in told
        assert (locked / ".snakemake" / "locks" / "0.input.lock").exists()
    finally:
        process.kill()
        process.wait()
    assert "going on" in unlock(locked)


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="the check needs /proc")
def test_programs_of_other_folders_are_no_matter(locked, tmp_path_factory):
    other = tmp_path_factory.mktemp("other")
    (other / "scripts").mkdir()
    (other / "scripts" / "train_model.py").write_text("import time\ntime.sleep(60)\n")
    process = subprocess.Popen([sys.executable, "scripts/train_model.py"], cwd=other)
    try:
        time.sleep(0.5)
        assert "going on" in unlock(locked)
    finally:
        process.kill()
        process.wait()
