"""A lock is removed if its run is dead, and kept while it lives."""

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
