"""Archives that are not what they say: refused by name, before anything is written."""

from __future__ import annotations

import gzip
import io
import tarfile
import zipfile

import pytest
from archive_samples import SYNSETS, imagenet_source, jpeg, tar_bytes

from robustvit.core.errors import UserError
from robustvit.data import safety
from robustvit.data.archives import check_archive
from robustvit.data.members import compressed_tar_members, tar_members, zip_members
from robustvit.data.readers import CompressedTarReader
from robustvit.data.tar_writing import add_bytes, open_tar

OUTSIDE = ["../evil.jpg", "/etc/evil.jpg", "a/../../evil.jpg", "..\\evil.jpg", "C:evil.jpg"]


def tar_with(path, **changes):
    """A tar whose second member is changed."""
    with open_tar(path) as tar:
        add_bytes(tar, "fine.jpg", jpeg())
        member = tarfile.TarInfo("odd.jpg")
        for key, value in changes.items():
            setattr(member, key, value)
        tar.addfile(member)
    return path


@pytest.mark.parametrize("name", OUTSIDE)
def test_names_that_lead_out_are_refused(tmp_path, name):
    tar_with(tmp_path / "a.tar", name=name)
    with pytest.raises(UserError, match=r"refused, its member .*evil\.jpg' leads out of it"):
        check_archive(tmp_path / "a.tar")
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(name, jpeg())
    with pytest.raises(UserError, match="leads out of it"):
        check_archive(tmp_path / "a.zip")
    packed = tmp_path / "a.tgz"
    packed.write_bytes(gzip.compress((tmp_path / "a.tar").read_bytes()))
    with pytest.raises(UserError, match="leads out of it"):
        list(compressed_tar_members(packed))


@pytest.mark.parametrize(
    ("kind", "what"),
    [
        (tarfile.SYMTYPE, "a link"),
        (tarfile.LNKTYPE, "a link"),
        (tarfile.CHRTYPE, "no plain file"),
        (tarfile.FIFOTYPE, "no plain file"),
        (tarfile.GNUTYPE_SPARSE, "no plain file"),
    ],
)
def test_links_and_devices_are_refused(tmp_path, kind, what):
    path = tar_with(tmp_path / "a.tar", type=kind, linkname="/etc/passwd")
    with pytest.raises(UserError, match=rf"a\.tar: refused, its member 'odd\.jpg' is {what}"):
        list(tar_members(path))


def test_a_link_inside_an_inner_tar_is_refused(tmp_path, build):
    source = imagenet_source(tmp_path / "source")
    tar_with(tmp_path / "inner.tar", type=tarfile.SYMTYPE, linkname="../../x")
    with open_tar(source["files"]["train"]) as tar:
        add_bytes(tar, f"{SYNSETS[0]}.tar", (tmp_path / "inner.tar").read_bytes())
    with pytest.raises(UserError, match=rf"train\.tar:{SYNSETS[0]}\.tar: refused.*a link"):
        build("imagenet_classes", source, {"classes": [SYNSETS[0]]})
    assert not (tmp_path / "tiny").exists()


def test_a_link_in_a_zip_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        info = zipfile.ZipInfo("link.jpg")
        info.external_attr = 0o120777 << 16
        archive.writestr(info, "/etc/passwd")
    with pytest.raises(UserError, match=r"'link\.jpg' is a link"):
        list(zip_members(tmp_path / "a.zip"))


@pytest.mark.parametrize("size", [safety.HARMLESS_BYTES + 1, 1 << 40])
def test_a_zip_that_grows_out_of_proportion_is_refused(tmp_path, size, monkeypatch):
    monkeypatch.setattr(safety, "HARMLESS_BYTES", 1 << 20)
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb.jpg", bytes(2 << 20))
        archive.filelist[0].file_size = size  # what the directory declares
    with pytest.raises(UserError, match=r"a\.zip: refused, its \d+ bytes grow to .* \(a bomb\)"):
        list(zip_members(tmp_path / "a.zip"))


def test_overlapping_members_are_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for number in range(20):
            archive.writestr(f"{number}.jpg", jpeg())
        for info in archive.filelist:
            info.compress_size = 10**6
    with pytest.raises(UserError, match="overlap"):
        list(zip_members(tmp_path / "a.zip"))


def test_a_compressed_tar_that_grows_out_of_proportion_is_stopped(tmp_path, monkeypatch):
    monkeypatch.setattr(safety, "HARMLESS_BYTES", 1 << 20)
    path = tmp_path / "a.tgz"
    path.write_bytes(gzip.compress(tar_bytes({"bomb.jpg": bytes(8 << 20)})))
    with pytest.raises(UserError, match=r"a\.tgz: refused, .*\(a bomb\)"):
        list(compressed_tar_members(path))
    with pytest.raises(UserError, match="a bomb"):
        CompressedTarReader(path).prepare(tmp_path)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.tgz"]


def test_photographs_are_not_taken_for_a_bomb(tmp_path):
    path = tmp_path / "a.tgz"
    path.write_bytes(gzip.compress(tar_bytes({f"{i}.jpg": jpeg(i) for i in range(20)})))
    assert len(list(compressed_tar_members(path))) == 20


def test_a_name_without_end_is_refused(tmp_path):
    """A header may say that the name which follows has gigabytes; they are not read."""
    path = tmp_path / "a.tar"
    header = tarfile.TarInfo("././@LongLink")
    header.type, header.size = tarfile.GNUTYPE_LONGNAME, 3 << 20
    path.write_bytes(header.tobuf(tarfile.GNU_FORMAT) + bytes(4 << 20))
    with pytest.raises(UserError, match=r"a member's name takes \d+ bytes"):
        list(tar_members(path))


def test_an_image_of_a_size_that_none_has_is_refused(tmp_path, build, monkeypatch):
    from robustvit.data import entries

    monkeypatch.setattr(safety, "LARGEST_IMAGE_BYTES", 1000)
    assert entries.check_image_bytes is safety.check_image_bytes
    with pytest.raises(UserError, match=rf"its image {SYNSETS[0]}_1\.JPEG has \d+ bytes"):
        build("imagenet_classes", imagenet_source(tmp_path / "source"), {"classes": list(SYNSETS)})


def test_an_image_of_too_many_pixels_does_not_decode(tmp_path, build, monkeypatch):
    from PIL import Image

    name = f"{SYNSETS[0]}_1.JPEG"
    source = imagenet_source(tmp_path / "source", 4, {name: jpeg(0, (200, 200))})
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10_000)
    with pytest.raises(UserError, match=rf"{name}: the image does not decode .*40000 pixels"):
        build("imagenet_classes", source, {"classes": list(SYNSETS)})


def test_a_format_that_starts_other_programs_is_no_image(tmp_path, build, monkeypatch):
    """Pillow hands EPS to Ghostscript, whatever the file is called."""
    name = f"{SYNSETS[0]}_1.JPEG"
    text = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n%%EOF\n"
    source = imagenet_source(tmp_path / "source", 4, {name: text})
    monkeypatch.setattr("PIL.EpsImagePlugin.Ghostscript", lambda *_, **__: pytest.fail("started"))
    with pytest.raises(UserError, match=rf"{name}: the image does not decode .*cannot identify"):
        build("imagenet_classes", source, {"classes": list(SYNSETS)})


def test_a_member_that_is_longer_than_the_archive_is_cut_off(tmp_path):
    data = io.BytesIO(tar_bytes({"a.jpg": jpeg(), "b.jpg": jpeg(1)}))
    path = tmp_path / "a.tar"
    path.write_bytes(data.getvalue()[:2000])
    with pytest.raises(UserError, match="damaged or truncated"):
        list(tar_members(path))


def test_an_archive_that_shrinks_under_the_build_is_told(tmp_path, build, monkeypatch):
    from robustvit.data import archive_building

    source = imagenet_source(tmp_path / "source")
    path = source["files"]["train"]
    original = archive_building.plan_shards

    def shrink(sizes):
        path.write_bytes(path.read_bytes()[:5000])
        return original(sizes)

    monkeypatch.setattr(archive_building, "plan_shards", shrink)
    with pytest.raises(UserError, match="shorter than when the build began"):
        build("imagenet_classes", source, {"classes": list(SYNSETS)})
