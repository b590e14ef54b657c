"""What the workflow's plan knows about archives: changes rerun, losses are told."""

from __future__ import annotations

import pytest

from robustvit.config.inputs import fetch_spec, stand_in_datasets
from robustvit.core.files import write_json
from robustvit.data.tar_writing import write_zip


@pytest.fixture
def config(tmp_path):
    """A resolved configuration with one set and a stand-in for it, and a mirror that has it."""
    archive = tmp_path / "mirror" / "caltech-101.zip"
    archive.parent.mkdir()
    write_zip(archive, "x", b"1")
    return {
        "datasets": {"set": {"source": "caltech101"}, "cifar10": {"source": "cifar10"}},
        "stand_ins": {"caltech101": {}},
        "paths": {"mirror": [str(archive.parent)], "results": str(tmp_path / "results")},
    }


def write_used(tmp_path, origin="mirror"):
    path = tmp_path / "results" / "sources" / "caltech101" / "source.json"
    path.parent.mkdir(parents=True)
    files = {"archive": str(tmp_path / "mirror" / "caltech-101.zip")}
    write_json(path, {"origin": origin, "stand_in": origin == "stand-in", "files": files})
    return path


def test_another_archive_in_its_place_is_another_spec(config, tmp_path):
    before = fetch_spec(config, "caltech101")
    write_zip(tmp_path / "mirror" / "caltech-101.zip", "x", b"22")
    after = fetch_spec(config, "caltech101")
    assert before != after
    assert before["mirrors"] == after["mirrors"] == config["paths"]["mirror"]


def test_a_further_mirror_changes_no_spec_of_what_it_does_not_hold(config, tmp_path):
    before = [fetch_spec(config, source) for source in ("cifar10", "caltech101")]
    config["paths"]["mirror"].append(str(tmp_path / "further"))
    (tmp_path / "further").mkdir()
    assert [fetch_spec(config, source) for source in ("cifar10", "caltech101")] == before


def test_a_mirror_that_went_away_is_told(config, tmp_path, capsys):
    path = write_used(tmp_path)
    assert stand_in_datasets(config) == {"set": False, "cifar10": False}
    assert capsys.readouterr().err == ""
    (tmp_path / "mirror" / "caltech-101.zip").unlink()
    assert stand_in_datasets(config) == {"set": True, "cifar10": False}
    told = capsys.readouterr().err
    assert told.startswith("warning: caltech101: ") and told.count("\n") == 1
    for part in (str(tmp_path / "mirror" / "caltech-101.zip"), "paths.mirror", str(path)):
        assert part in told


@pytest.mark.parametrize("content", ["stand-in", "download", "damaged", "absent"])
def test_without_a_mirror_before_nothing_is_told(config, tmp_path, capsys, content):
    if content == "damaged":
        write_used(tmp_path).write_text("{")
    elif content != "absent":
        write_used(tmp_path, content)
    (tmp_path / "mirror" / "caltech-101.zip").unlink()
    assert stand_in_datasets(config)["set"] is True
    assert capsys.readouterr().err == ""


def test_it_is_told_once(config, tmp_path, capsys):
    write_used(tmp_path)
    (tmp_path / "mirror" / "caltech-101.zip").unlink()
    for _ in range(2):
        assert stand_in_datasets(config)["set"] is True
    assert capsys.readouterr().err.count("warning") == 1
