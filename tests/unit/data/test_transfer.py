"""Downloads that break and go on, and what is never taken for a whole file."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time

import pytest

from robustvit.core.disk import NoSpace
from robustvit.core.errors import UserError
from robustvit.core.files import read_json
from robustvit.core.locks import hold_lock
from robustvit.data import transfer
from robustvit.data.download import DownloadError, download, download_size

CONTENT = bytes(range(256)) * 1000
DIGEST = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def server(web_server, monkeypatch):
    """A server with one file, and no waiting between attempts."""
    monkeypatch.setattr(transfer, "WAITS", (0.0, 0.0))
    web_server.files["/a.tar"] = CONTENT
    return web_server


@pytest.fixture
def target(tmp_path):
    return tmp_path / "downloads" / "a.tar"


def fetch(server, target, digest=DIGEST):
    download(f"{server.url}/a.tar", target, digest=digest)


def names(target):
    return sorted(path.name for path in target.parent.iterdir())


def test_a_broken_connection_goes_on_where_it_stopped(server, target):
    server.cut = [1000, 70_000]
    fetch(server, target)
    assert target.read_bytes() == CONTENT
    assert server.gets() == [None, "bytes=1000-", "bytes=71000-"]
    assert names(target) == ["a.tar", "a.tar.json"]


def test_the_next_run_goes_on_where_the_last_one_gave_up(server, target):
    server.cut = [1000] + [0] * 9
    with pytest.raises(DownloadError, match=r"1000 bytes of it are kept in .*a\.tar\.partial"):
        fetch(server, target)
    assert names(target) == ["a.tar.partial", "a.tar.partial.json"]  # nothing looks complete
    server.cut, asked = [], len(server.asked)
    fetch(server, target)
    assert target.read_bytes() == CONTENT
    assert server.asked[asked:] == [("GET", "/a.tar", "bytes=1000-")]


def test_a_server_that_cannot_send_parts_starts_again(server, target):
    server.cut, server.ranges = [1000], False
    fetch(server, target)
    assert target.read_bytes() == CONTENT
    assert server.gets() == [None, "bytes=1000-"]


@pytest.mark.parametrize("tags", [True, False])
def test_a_file_that_changed_meanwhile_is_not_patched_together(server, target, tags):
    """With a tag the server says so; without one the sizes, or at last the digest, tell."""
    server.cut, server.tags = [1000] + [0] * 9, tags
    with pytest.raises(DownloadError):
        fetch(server, target)
    changed = CONTENT[::-1] + b"more"
    server.files["/a.tar"], server.cut = changed, []
    fetch(server, target, hashlib.sha256(changed).hexdigest())
    assert target.read_bytes() == changed


def test_a_wrong_hash_leaves_nothing_to_go_on_from(server, target):
    with pytest.raises(DownloadError, match=rf"its sha256 is {DIGEST}, expected 00"):
        fetch(server, target, "00")
    assert names(target) == []


def test_a_checked_file_is_not_fetched_again(server, target):
    fetch(server, target)
    fetch(server, target)
    assert len(server.asked) == 1
    target.write_bytes(CONTENT[:-1])  # but one that was cut is
    fetch(server, target)
    assert target.read_bytes() == CONTENT


def test_a_run_killed_between_the_last_byte_and_the_name_asks_for_nothing(server, target):
    server.cut = [1000] + [0] * 9
    with pytest.raises(DownloadError):
        fetch(server, target)
    target.with_name("a.tar.partial").write_bytes(CONTENT)
    server.asked.clear()
    fetch(server, target)
    assert target.read_bytes() == CONTENT and server.asked == []


def test_a_killed_download_goes_on(server, target, repository, monkeypatch):
    """SIGKILL while bytes come: no handler of this program runs."""
    monkeypatch.setattr(server, "pause", 0.05)
    program = "import sys; from pathlib import Path; from robustvit.data import download as d; "
    program += "d.BLOCK_BYTES = 10_000; url, path, digest = sys.argv[1:]; "
    program += "d.download(url, Path(path), digest=digest)"
    arguments = [f"{server.url}/a.tar", str(target), DIGEST]
    child = subprocess.Popen(
        [sys.executable, "-c", program, *arguments],
        env=os.environ | {"PYTHONPATH": str(repository / "scripts")},
    )
    partial = target.with_name("a.tar.partial")
    deadline = time.monotonic() + 30
    while not (partial.exists() and partial.stat().st_size) and time.monotonic() < deadline:
        time.sleep(0.01)
    child.kill()
    child.wait()
    came = partial.stat().st_size
    assert 0 < came < len(CONTENT) and not target.exists()
    server.pause = 0.0
    fetch(server, target)
    assert target.read_bytes() == CONTENT
    assert server.gets()[-1] == f"bytes={came}-"
    assert names(target) == ["a.tar", "a.tar.json"]


def test_a_missing_file_is_told_at_once(server, target):
    with pytest.raises(DownloadError, match="404"):
        download(f"{server.url}/b.tar", target, digest=DIGEST)
    assert len(server.asked) == 1 and names(target) == []


def test_a_full_disk_is_told_before_anything_is_written(server, target, monkeypatch):
    class Usage:
        free = 1000

    monkeypatch.setattr(transfer.shutil, "disk_usage", lambda path: Usage)
    with pytest.raises(NoSpace, match=r"still to come, but only .* free.*paths\.results"):
        fetch(server, target)


def test_two_processes_do_not_fetch_the_same_file(server, target):
    lock = target.with_name(".a.tar.lock")
    with (
        hold_lock(lock, lambda owner: owner, remove=True),
        pytest.raises(UserError, match=r"a\.tar: process \d+ on .* is fetching this file"),
    ):
        fetch(server, target)
    fetch(server, target)


def test_the_note_says_where_the_file_is_from(server, target):
    fetch(server, target)
    note = read_json(target.with_name("a.tar.json"))
    assert note["url"] == f"{server.url}/a.tar" and note["total"] == len(CONTENT)


def test_the_size_is_told_without_the_content(server):
    assert download_size(f"{server.url}/a.tar", 5.0) == len(CONTENT)
    assert server.asked == [("HEAD", "/a.tar", None)]
    with pytest.raises(DownloadError, match="404"):
        download_size(f"{server.url}/absent", 5.0)
