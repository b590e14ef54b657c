"""A source without a plug-in: a user's own folder or archive in a mirror."""

from __future__ import annotations

import os
import zipfile

import pytest
from archive_samples import jpeg

from robustvit.config.inputs import fetch_spec, source_plugin
from robustvit.core.errors import UserError
from robustvit.core.files import read_json, sha256
from robustvit.data.own_images import fetch_own, find_own
from robustvit.data.source_files import read_source


@pytest.fixture
def mirror_folder(tmp_path):
    """A mirror with a folder of images."""
    for name in ("a/1.jpg", "b/1.jpg"):
        path = tmp_path / "mirror" / "birds" / name
        path.parent.mkdir(parents=True)
        path.write_bytes(jpeg())
    return tmp_path / "mirror"


def fetch(mirror, folder, source="birds") -> dict:
    folder.mkdir()
    fetch_own(source, [str(mirror)], folder)
    return read_source(folder / "source.json")


def test_a_folder_is_found_and_hashed_by_its_listing(mirror_folder, tmp_path, build):
    first = fetch(mirror_folder, tmp_path / "one")
    assert first["files"]["archive"] == mirror_folder / "birds" and first["origin"] == "mirror"
    assert fetch(mirror_folder, tmp_path / "two")["sha256"] == first["sha256"]
    (mirror_folder / "birds" / "a" / "2.jpg").write_bytes(jpeg(1))
    (mirror_folder / "birds" / "b" / "2.jpg").write_bytes(jpeg(2))
    last = fetch(mirror_folder, tmp_path / "three")
    assert last["sha256"] != first["sha256"]
    manifest = read_json(build("image_folder", last))
    assert manifest["source_sha256"] == last["sha256"]


@pytest.mark.parametrize("name", ["birds.zip", "birds/any.zip"])
def test_an_archive_is_found_and_checked(tmp_path, name):
    path = tmp_path / "mirror" / name
    path.parent.mkdir(parents=True)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/1.jpg", jpeg())
    found = fetch(tmp_path / "mirror", tmp_path / "one")
    assert found["files"]["archive"] == path and found["sha256"]["archive"] == sha256(path)
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(UserError, match="damaged or truncated"):
        fetch(tmp_path / "mirror", tmp_path / "two")


def test_what_is_nowhere_is_explained(tmp_path):
    with pytest.raises(UserError, match=r'"cifar11"\. Did you mean "cifar10".*cifar11\.zip'):
        fetch_own("cifar11", [str(tmp_path)], tmp_path)
    assert find_own("birds", [tmp_path]) is None


def test_a_change_of_the_folder_is_another_fetch(mirror_folder):
    config = {"paths": {"mirror": [str(mirror_folder)]}}
    before = fetch_spec(config, "birds")
    assert fetch_spec(config, "birds") == before
    path = mirror_folder / "birds" / "b" / "2.jpg"
    path.write_bytes(jpeg())
    os.utime(path.parent, ns=(1, before["files"]["archive"][2] + 1))
    assert fetch_spec(config, "birds") != before
    config["paths"]["mirror"].insert(0, str(mirror_folder / "nothing"))
    assert fetch_spec(config, "birds")["mirrors"] == [str(mirror_folder)]


def test_only_names_without_a_plugin_are_a_users_own():
    assert source_plugin("cifar10") == "robustvit.data.sources.cifar10"
    assert source_plugin("birds") == "robustvit.data.own_images"
