"""What other processes, dead or alive, leave beside a file that is written."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from robustvit.core import files
from robustvit.core.errors import UserError
from robustvit.core.sources import SCRIPTS

WRITE = (
    "import sys, time; sys.path.insert(0, sys.argv[2])\n"
    "from robustvit.core import files\n"
    "with getattr(files, sys.argv[3])(sys.argv[1]) as temporary:\n"
    "    (temporary / 'part' if temporary.is_dir() else temporary).write_text('half')\n"
    "    print('writing', flush=True); time.sleep(60)\n"
)
OLD = 2 * 24 * 3600


@pytest.fixture
def writer(tmp_path):
    """Start a process that is in the middle of writing `tmp_path / name`."""
    started = []

    def start(how, name):
        command = [sys.executable, "-c", WRITE, tmp_path / name, SCRIPTS, how]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout.readline() == "writing\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def kill(process):
    process.send_signal(signal.SIGKILL)
    process.wait()


def entries(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_second_writer_of_a_folder_is_refused(tmp_path, writer):
    process = writer("atomic_directory", "set")
    with (
        pytest.raises(UserError, match=rf"set: process {process.pid} on .* is writing") as caught,
        files.atomic_directory(tmp_path / "set"),
    ):
        pytest.fail("two processes write the same folder")
    assert "Wait" in str(caught.value)
    assert len(entries(tmp_path)) == 2  # the other's lock and temporary folder are untouched


def test_a_killed_writer_leaves_nothing_for_long(tmp_path, writer):
    kill(writer("atomic_directory", "set"))
    assert len(entries(tmp_path)) == 2
    with files.atomic_directory(tmp_path / "set") as temporary:
        (temporary / "a").write_text("1")
        assert len(entries(tmp_path)) == 2
    assert entries(tmp_path) == ["set"]
    assert entries(tmp_path / "set") == ["a"]


def test_a_killed_writers_file_is_removed_and_a_living_ones_is_not(tmp_path, writer):
    kill(writer("atomic_path", "x.json"))
    living = writer("atomic_path", "x.json")
    assert [str(living.pid) in name for name in entries(tmp_path)] == [True]
    files.write_json(tmp_path / "x.json", {})
    assert len(entries(tmp_path)) == 2
    kill(living)
    files.write_json(tmp_path / "x.json", {})
    assert entries(tmp_path) == ["x.json"]


def test_another_hosts_leftovers_stay_for_a_day(tmp_path):
    for name in (".set.other_host-1.abcdefgh", ".set.abcdefgh"):  # the second of an older release
        (tmp_path / name).mkdir()
    with files.atomic_directory(tmp_path / "set"):
        pass
    assert len(entries(tmp_path)) == 3
    for path in tmp_path.glob(".set.*"):
        os.utime(path, (time.time() - OLD,) * 2)
    with files.atomic_directory(tmp_path / "set"):
        pass
    assert entries(tmp_path) == ["set"]


def test_files_of_similar_names_are_left_alone(tmp_path):
    names = [".set.json", ".settings.vm-1.abcdefgh", ".set", "set.vm-1.abcdefgh"]
    for name in names:
        (tmp_path / name).write_text("")
        os.utime(tmp_path / name, (time.time() - OLD,) * 2)
    with files.atomic_directory(tmp_path / "set"):
        pass
    assert entries(tmp_path) == sorted([*names, "set"])


def test_an_error_in_the_block_frees_the_lock(tmp_path):
    for _ in range(2):
        with pytest.raises(RuntimeError), files.atomic_directory(tmp_path / "set"):
            raise RuntimeError("power cut")
        assert entries(tmp_path) == []


def test_without_locks_the_folder_is_written_all_the_same(tmp_path, monkeypatch, capsys):
    from robustvit.core import locks

    def unsupported(*arguments):
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(locks.fcntl, "flock", unsupported)
    with files.atomic_directory(tmp_path / "set") as temporary:
        (temporary / "a").write_text("1")
    assert "cannot be locked" in capsys.readouterr().err
    assert entries(tmp_path) == ["set"]
