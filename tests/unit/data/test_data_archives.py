"""Finding archives, and noticing damaged ones."""

from __future__ import annotations

import os

import pytest

from robustvit.core.errors import UserError
from robustvit.data.archives import check_archive, describe_in_mirrors, find_in_mirrors
from robustvit.data.members import compressed_tar_members, tar_members
from robustvit.data.tar_writing import add_bytes, open_tar, open_tgz, write_zip


def make_tar(path, sizes=(700, 100, 3000)):
    with open_tar(path) as tar:
        for i, size in enumerate(sizes):
            add_bytes(tar, f"folder/{i}.bin", bytes([i]) * size)
    return path


def test_files_come_in_their_order(tmp_path):
    path = make_tar(tmp_path / "a.tar")
    members = list(tar_members(path))
    assert [member.name for member in members] == ["folder/0.bin", "folder/1.bin", "folder/2.bin"]
    content = path.read_bytes()
    for i, (member, size) in enumerate(zip(members, (700, 100, 3000), strict=True)):
        assert content[member.offset : member.offset + member.size] == bytes([i]) * size


@pytest.mark.parametrize("length", [300, 512, 1000, 1536, 2000, 2560, 3000, 3072, 6000])
def test_a_truncated_tar_is_noticed_wherever_it_is_cut(tmp_path, length):
    """Also at the edge of a member, where `tarfile` itself ends without a word."""
    path = make_tar(tmp_path / "a.tar")
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(UserError, match=r"a\.tar: the archive is damaged or truncated"):
        check_archive(path)


def test_a_truncated_tgz_is_noticed_when_read(tmp_path):
    path = tmp_path / "a.tgz"
    with open_tgz(path) as tar:
        add_bytes(tar, "a.bin", bytes(range(256)) * 2000)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(UserError, match="damaged or truncated"):
        list(compressed_tar_members(path))


def test_a_truncated_zip_is_noticed(tmp_path):
    path = tmp_path / "a.zip"
    write_zip(path, "x", b"1" * 1000)
    path.write_bytes(path.read_bytes()[:900])
    with pytest.raises(UserError, match="damaged or truncated"):
        check_archive(path)


def test_the_first_complete_mirror_wins(tmp_path):
    incomplete, own, flat = (tmp_path / name for name in ("incomplete", "own", "flat"))
    for folder in (incomplete, own / "imagenet", flat):
        folder.mkdir(parents=True)
        make_tar(folder / "ILSVRC2012_img_train.tar")
    for folder in (own / "imagenet", flat):
        make_tar(folder / "ILSVRC2012_img_val.tar")
    found = find_in_mirrors("imagenet", [incomplete, own, flat])
    assert {path.parent for path in found.values()} == {own / "imagenet"}
    assert find_in_mirrors("imagenet", [flat, own])["val"].parent == flat
    assert find_in_mirrors("imagenet", [incomplete, tmp_path / "absent"]) is None


def test_what_is_tracked_changes_with_the_file_and_with_nothing_else(tmp_path):
    first, other = tmp_path / "first", tmp_path / "other"
    archive = first / "caltech101" / "caltech-101.zip"
    archive.parent.mkdir(parents=True)
    write_zip(archive, "x", b"1" * 1000)
    before = describe_in_mirrors("caltech101", [first])
    status = archive.stat()
    assert before == {
        "mirrors": [str(archive.parent)],
        "files": {"archive": [str(archive), status.st_size, status.st_mtime_ns]},
    }
    # Another mirror, and another source's archive in the same one, are no change of this source.
    other.mkdir()
    make_tar(first / "ILSVRC2012_img_train.tar")
    assert describe_in_mirrors("caltech101", [other, first]) == before
    assert describe_in_mirrors("cifar10", [first]) == {"mirrors": [], "files": {}}
    assert find_in_mirrors("caltech101", before["mirrors"]) == {"archive": archive}
    os.utime(archive, ns=(status.st_mtime_ns, status.st_mtime_ns + 1))
    assert describe_in_mirrors("caltech101", [first]) != before


def test_a_plugin_that_finds_its_files_itself_gets_all_mirrors(tmp_path):
    found = describe_in_mirrors("my_own_source", [tmp_path, "mirror"])
    assert found == {"mirrors": [str(tmp_path), "mirror"], "files": {}}
