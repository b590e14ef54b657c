"""The bucket between a controller and its TPU VMs: rights, whole snapshots, data sets once."""

import os
from pathlib import Path

import pytest
from bucket_server import Store
from tests.object_stores import lead_to

from robustvit.cluster.tpu.bucket import Bucket, check_bucket
from robustvit.cluster.tpu.snapshots import Snapshots
from robustvit.cluster.tpu.task import input_name
from robustvit.core.errors import UserError

SCHEMES = ("s3", "gs")


@pytest.fixture
def store(monkeypatch):
    """A store that s3:// and gs:// lead to."""
    server = Store()
    lead_to(server.url, monkeypatch)
    yield server
    server.shutdown()


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_bucket_that_can_be_written_passes_and_stays_empty(store, scheme):
    check_bucket(f"{scheme}://mine/runs")
    assert store.files == {}


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("name", ["readonly", "locked", "absent"])
def test_a_bucket_without_rights_or_none_at_all_is_told(store, scheme, name):
    with pytest.raises(UserError, match=rf"^bucket: {scheme}://{name}/runs cannot be written"):
        check_bucket(f"{scheme}://{name}/runs")


def test_a_missing_bucket_is_said_to_be_missing(store):
    with pytest.raises(UserError, match="does not exist"):
        check_bucket("s3://absent/runs")


@pytest.mark.parametrize("scheme", SCHEMES)
def test_snapshots_are_whole_and_replace_each_other(store, here, scheme):
    bucket, folder = Bucket(f"{scheme}://mine/runs"), Path("results/work/train/one")
    mine = Snapshots(bucket, folder)
    assert not mine.save() and not mine.restore()
    folder.mkdir(parents=True)
    for name, text in {"state-1.pt": "1", "steps.csv": "a", "lock": "", ".half": "x"}.items():
        (folder / name).write_text(text)
    assert mine.save() and not mine.save()
    (folder / "state-1.pt").rename(folder / "state-2.pt")
    (folder / "steps.csv").write_text("ab")
    assert mine.save()
    names = [name.removeprefix(f"state/{folder}/") for name in bucket.names(f"state/{folder}")]
    assert names == ["0/1/state-2.pt", "0/1/steps.csv", "current.json", "owner.json"]
    for path in folder.iterdir():
        path.unlink()
    again = Snapshots(bucket, folder)
    assert again.restore() and not again.save()  # what was fetched is not sent back
    assert {path.name: path.read_text() for path in folder.glob("[!.]*")} == {
        "state-2.pt": "1",
        "steps.csv": "ab",
    }
    again.clear()
    assert bucket.names(f"state/{folder}") == [f"state/{folder}/owner.json"]


def test_a_snapshot_that_was_cut_short_is_none(store, here, monkeypatch):
    """The last whole one counts until the next is whole."""
    bucket, folder = Bucket("s3://mine/runs"), Path("work")
    folder.mkdir()
    mine = Snapshots(bucket, folder)
    (folder / "state-1.pt").write_text("1")
    assert mine.save()
    (folder / "state-1.pt").unlink()
    (folder / "state-2.pt").write_text("22")
    (folder / "steps.csv").write_text("x")
    put = Bucket.put

    def dies(self, key, content):
        if key.endswith("steps.csv"):
            raise UserError("the TPU VM was preempted here")
        put(self, key, content)

    monkeypatch.setattr(Bucket, "put", dies)
    with pytest.raises(UserError):
        mine.save()
    for path in folder.iterdir():
        path.unlink()
    assert Snapshots(bucket, folder).restore()
    assert [path.name for path in folder.glob("[!.]*")] == ["state-1.pt"]


def test_a_data_set_is_copied_once_and_found_by_its_content(store, here):
    manifest = here / "one" / "manifest.json"
    manifest.parent.mkdir()
    manifest.write_text("{}")
    (manifest.parent / "shard-0").write_bytes(b"images")
    bucket, name = Bucket("s3://mine/runs"), input_name(manifest)
    bucket.put_input(name, manifest)
    sent = dict(store.files)
    assert len(sent) == 3
    os.remove(manifest.parent / "shard-0")
    bucket.put_input(name, manifest)  # whole there already: nothing is sent
    assert store.files == sent
    target = here / "vm" / "manifest.json"
    bucket.get_input(name, target)
    assert (target.parent / "shard-0").read_bytes() == b"images"
    store.files.clear()
    bucket.get_input(name, target)  # and nothing is fetched twice
    manifest.write_text('{"other": 1}')
    assert input_name(manifest) != name
