"""Mirrors in buckets, against a small store on this machine that speaks both protocols."""

from __future__ import annotations

import json
import sys

import pytest
from tests.object_stores import lead_to

from robustvit.config import inputs
from robustvit.config.inputs import fetch_spec, stand_in_datasets
from robustvit.core.errors import UserError
from robustvit.core.files import read_json
from robustvit.data import buckets, transfer
from robustvit.data.mirrors import bucket_addresses, local_folders, scheme_of
from robustvit.data.source_files import read_source
from robustvit.data.sources import caltech101, imagenet
from robustvit.data.tar_writing import add_bytes, open_tar, write_zip


@pytest.fixture
def store(web_server, monkeypatch):
    """A store that s3:// and gs:// lead to, with credentials that it accepts."""
    lead_to(web_server.url, monkeypatch)
    monkeypatch.setattr(transfer, "WAITS", (0.0,))
    buckets._store.cache_clear()
    yield web_server
    buckets._store.cache_clear()


@pytest.fixture
def archive(tmp_path):
    path = tmp_path / "caltech-101.zip"
    write_zip(path, "x", bytes(range(256)) * 500)
    return path.read_bytes()


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "sources" / "caltech101"
    path.mkdir(parents=True)
    return path


@pytest.mark.parametrize("scheme", ["s3", "gs"])
@pytest.mark.parametrize("place", ["archives/caltech101", "archives"])
def test_an_archive_comes_from_a_bucket(store, archive, folder, scheme, place, monkeypatch):
    monkeypatch.setattr(buckets, "BLOCK_BYTES", 40_000)
    store.files[f"/shelf/{place}/caltech-101.zip"] = archive
    caltech101.fetch([f"{scheme}://shelf/archives"], folder)
    source = read_source(folder / "source.json")
    assert source["files"]["archive"].read_bytes() == archive
    assert source["origin"] == "mirror" and f"{scheme}://shelf/{place}" in source["detail"]
    assert source["complete"] is False  # not Caltech-101's own archive, and that is told
    assert read_json(folder / "source.json")["files"]["archive"].startswith("../downloads/")


def test_a_copy_goes_on_and_an_unchanged_file_is_not_copied_again(
    store, archive, folder, monkeypatch
):
    monkeypatch.setattr(buckets, "BLOCK_BYTES", 40_000)
    store.files["/shelf/caltech-101.zip"] = archive
    copy = folder.parent / "downloads" / "caltech101" / "caltech-101.zip"
    copy.parent.mkdir(parents=True)
    file = buckets.find_file("s3://shelf/caltech-101.zip")
    with file.open(0, None) as reading:
        first = next(reading.blocks)
    copy.with_name("caltech-101.zip.partial").write_bytes(first)
    note = {"url": file.url, "version": file.version, "total": file.size}
    copy.with_name("caltech-101.zip.partial.json").write_text(json.dumps(note))
    store.asked.clear()
    caltech101.fetch(["s3://shelf"], folder)
    assert store.gets()[0] == "bytes=40000-79999"
    assert copy.read_bytes() == archive
    store.asked.clear()
    caltech101.fetch(["s3://shelf"], folder)
    assert store.gets() == []
    store.files["/shelf/caltech-101.zip"] = changed = archive + b"\0" * 10
    caltech101.fetch(["s3://shelf"], folder)
    assert copy.read_bytes() == changed


def test_a_file_that_changes_while_it_is_read_is_refused(store, archive, folder):
    store.files["/shelf/caltech-101.zip"] = archive
    file = buckets.find_file("s3://shelf/caltech-101.zip")
    store.files["/shelf/caltech-101.zip"] = archive[::-1]
    with pytest.raises(transfer.DownloadError, match="changed in the bucket"):
        buckets.copy_files([file], folder)
    assert not (folder / "caltech-101.zip").exists()


def test_a_bucket_that_lacks_one_of_two_files_is_no_mirror(store, tmp_path, folder):
    with open_tar(tmp_path / "a.tar") as tar:
        add_bytes(tar, "n01440764.tar", b"1")
    store.files["/shelf/ILSVRC2012_img_train.tar"] = (tmp_path / "a.tar").read_bytes()
    with pytest.raises(UserError, match=r"image-net\.org"):
        imagenet.fetch(["s3://shelf"], folder)
    assert store.gets() == []


def test_a_folder_comes_before_a_bucket(store, archive, tmp_path, folder):
    assert archive == (tmp_path / "caltech-101.zip").read_bytes()
    caltech101.fetch(["s3://shelf", tmp_path.as_uri()], folder)
    assert store.asked == []
    assert read_source(folder / "source.json")["files"]["archive"] == tmp_path / "caltech-101.zip"


@pytest.mark.parametrize(("scheme", "way_out"), [("s3", "AWS_ACCESS_KEY_ID"), ("gs", "gcloud")])
def test_a_bucket_without_rights_is_named(store, folder, scheme, way_out):
    store.denied = True
    with pytest.raises(UserError, match=rf"paths\.mirror: {scheme}://shelf/.*403.*{way_out}"):
        caltech101.fetch([f"{scheme}://shelf"], folder)


def test_without_the_package_its_install_line_is_told(store, folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "obstore", None)
    with pytest.raises(UserError, match=r"s3://shelf/.* needs .* obstore.*make env"):
        caltech101.fetch(["s3://shelf"], folder)


@pytest.mark.parametrize(
    "entry", ["https://example.org/archives", "ftp://host/x", "s3:///folder", "file://host/data"]
)
def test_what_is_no_mirror_is_refused_by_its_key(entry):
    with pytest.raises(UserError, match=r"paths\.mirror: .*expected"):
        local_folders([entry])


def test_entries_are_told_apart(tmp_path):
    entries = ["mirror", "a:b/c", "file:/data/my%20archives", "gs://b/f", "s3://b"]
    assert [str(path) for path in local_folders(entries)] == [
        *("mirror", "a:b/c", "/data/my archives"),
    ]
    assert bucket_addresses(entries) == ["gs://b/f", "s3://b"]
    assert scheme_of(tmp_path) == ""


def test_planning_asks_no_bucket(store, tmp_path):
    config = {"paths": {"mirror": [str(tmp_path), "s3://shelf"]}}
    spec = fetch_spec(config, "caltech101")
    assert spec == {"source": "caltech101", "mirrors": ["s3://shelf"], "files": {}}
    write_zip(tmp_path / "caltech-101.zip", "x", b"1")
    assert fetch_spec(config, "caltech101")["mirrors"] == [str(tmp_path)]
    assert store.asked == []


def test_a_stand_in_is_made_only_of_what_the_bucket_lacks(store, archive, folder, tmp_path):
    inputs._in_buckets.cache_clear()
    config = {
        "datasets": {name: {"source": name} for name in ("caltech101", "imagenet")},
        "stand_ins": {"caltech101": {}, "imagenet": {}},
        "paths": {"mirror": ["s3://shelf"], "results": str(tmp_path)},
    }
    store.files["/shelf/caltech-101.zip"] = archive
    assert stand_in_datasets(config) == {"caltech101": False, "imagenet": True}
    caltech101.fetch(["s3://shelf"], folder)
    inputs._in_buckets.cache_clear()
    store.denied = True  # as on a node without a network
    assert inputs.has_original(config, "caltech101")
    with pytest.raises(UserError, match=r"paths\.mirror: s3://shelf"):
        inputs.has_original(config, "imagenet")
