"""What is known about the official archives, and whether a file is one of them."""

from __future__ import annotations

import csv
import hashlib
import os

import pytest

from robustvit.core.errors import UserError
from robustvit.core.files import read_json
from robustvit.core.plugins import available
from robustvit.data import hashing, official
from robustvit.data.archives import OFFICIAL_NAMES
from robustvit.data.hashing import cached_digest, known_digest
from robustvit.data.official import all_facts, is_official
from robustvit.data.package_files import package_file
from robustvit.data.source_files import read_source, write_source

SOURCES = {"caltech101": "caltech101", "oxford_flowers102": "oxford_flowers102"}


@pytest.mark.parametrize("source", SOURCES)
def test_addresses_sizes_and_hashes_are_those_of_tfds(source):
    """A newer TFDS with other archives would be another data set."""
    table = package_file("tensorflow_datasets", f"datasets/{source}/checksums.tsv")
    with open(table, encoding="utf-8", newline="") as handle:
        rows = [row for row in csv.reader(handle, delimiter="\t") if len(row) == 4]
    known = {name: (url, int(size), digest) for url, size, digest, name in rows}
    for facts in all_facts()[source]["files"].values():
        assert known[facts["name"]] == (facts["url"], facts["size"], facts["sha256"])


def test_imagenet_is_that_of_tfds_and_torchvision():
    from torchvision.datasets.imagenet import ARCHIVE_META

    table = package_file("tensorflow_datasets", "datasets/imagenet2012/checksums.tsv")
    lines = [line.split() for line in table.read_text().splitlines()]
    known = {url.rsplit("/", 1)[-1]: (int(size), digest) for url, size, digest in lines}
    for role, facts in all_facts()["imagenet"]["files"].items():
        assert known[facts["name"]] == (facts["size"], facts["sha256"])
        assert ARCHIVE_META[role] == (facts["name"], facts["md5"])
        assert "url" not in facts  # a person accepts the terms


def test_cifar_is_that_of_torchvision():
    from torchvision.datasets import CIFAR10, CIFAR100

    for source, known in (("cifar10", CIFAR10), ("cifar100", CIFAR100)):
        facts = all_facts()[source]["files"]["archive"]
        assert (facts["url"], facts["md5"]) == (known.url, known.tgz_md5)


def test_every_source_has_its_facts():
    assert set(all_facts()) == set(available("robustvit.data.sources")) >= set(OFFICIAL_NAMES)
    for source, facts in all_facts().items():
        assert {"label", "page", "licence", "terms", "accept", "images"} <= set(facts)
        roles = {role: names[0] for role, names in OFFICIAL_NAMES[source].items()}
        named = {role: entry["name"] for role, entry in facts["files"].items()}
        assert named == (roles if named else {})


@pytest.fixture
def known(tmp_path, monkeypatch):
    """A source with one known file, and that file."""
    path = tmp_path / "mirror" / "a.tar"
    path.parent.mkdir()
    path.write_bytes(b"official")
    digest = hashlib.sha256(b"official").hexdigest()
    facts = {"tiny": {"files": {"archive": {"size": 8, "sha256": digest}}}}
    monkeypatch.setattr(official, "all_facts", lambda: facts)
    return path


@pytest.mark.parametrize(
    ("content", "expected"), [(b"official", True), (b"offfcial", False), (b"small", False)]
)
def test_source_json_says_whether_the_archive_is_the_official_one(
    known, tmp_path, content, expected
):
    known.write_bytes(content)
    target = tmp_path / "sources" / "tiny" / "source.json"
    write_source(target, "tiny", {"archive": known}, "mirror")
    source = read_json(target)
    assert source["official"] == {"archive": expected} and source["complete"] is expected
    assert source["size"] == {"archive": len(content)}


def test_nothing_is_claimed_of_an_archive_without_a_published_hash(tmp_path, known):
    target = tmp_path / "sources" / "mine" / "source.json"
    write_source(target, "mine", {"archive": known}, "mirror")
    assert read_json(target)["complete"] is None
    write_source(target, "tiny", {"archive": known, "labels": known}, "mirror")
    assert read_json(target)["official"] == {"archive": True, "labels": None}
    assert read_json(target)["complete"] is None
    write_source(target, "tiny", {"archive": known}, "stand-in")
    assert read_json(target)["complete"] is None


def test_a_source_json_of_an_older_version_is_read(tmp_path, known):
    target = tmp_path / "source.json"
    target.write_text('{"files": {"archive": "mirror/a.tar"}}')
    assert read_source(target)["files"] == {"archive": known}


def test_a_large_archive_is_hashed_once(tmp_path, known, monkeypatch):
    monkeypatch.setattr(hashing, "REMEMBERED_BYTES", 1)
    notes, digest = tmp_path / "hashes", hashlib.sha256(b"official").hexdigest()
    assert known_digest(known, notes) is None
    assert is_official("tiny", "archive", known, notes, read=False) is None
    assert cached_digest(known, notes) == digest

    def forbidden(*arguments):
        pytest.fail("the file was read again")

    real = hashing._digest
    monkeypatch.setattr(hashing, "_digest", forbidden)
    assert cached_digest(known, notes) == known_digest(known, notes) == digest
    assert is_official("tiny", "archive", known, notes, read=False) is True
    monkeypatch.setattr(hashing, "_digest", real)
    status = known.stat()
    known.write_bytes(b"OFFICIAL")
    os.utime(known, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    assert known_digest(known, notes) is None
    assert cached_digest(known, notes) == hashlib.sha256(b"OFFICIAL").hexdigest()


def test_a_missing_file_of_a_source_is_named(tmp_path, known):
    target = tmp_path / "source.json"
    write_source(target, "tiny", {"archive": known}, "mirror")
    known.unlink()
    with pytest.raises(UserError, match=r"the archive file .*a\.tar is not there any more"):
        read_source(target)
