"""The state in the bucket: cut short at any moment, and wanted by two starts of one training."""

import shutil
from pathlib import Path

import pytest

from robustvit.cluster.tpu.bucket import Bucket
from robustvit.cluster.tpu.snapshots import Snapshots, Superseded
from robustvit.core.errors import UserError

WORK = Path("work/a")


@pytest.fixture
def bucket(tmp_path, monkeypatch):
    """An empty bucket; the working directory is a host's."""
    monkeypatch.chdir(tmp_path)
    return Bucket(f"file://{tmp_path}/bucket")


@pytest.fixture
def at(tmp_path, monkeypatch):
    """`at(host)`: go to a host's disk."""

    def go(host):
        (tmp_path / host / WORK).mkdir(parents=True, exist_ok=True)
        monkeypatch.chdir(tmp_path / host)

    return go


def _write(**files):
    WORK.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (WORK / name.replace("_", "-")).with_suffix(".pt").write_text(text)


def _here():
    return {path.stem: path.read_text() for path in WORK.glob("*.pt")}


def _starts(bucket, owner):
    return Snapshots(bucket, WORK, owner=owner)


def test_preempted_while_the_state_is_removed(bucket, monkeypatch):
    """What is left is no state, whichever file was the last to go."""
    for deletions in range(3):
        _write(state_0="1", state_1="2")
        mine = Snapshots(bucket, WORK)
        assert mine.restore() or mine.save()
        with monkeypatch.context() as patch, pytest.raises(SystemExit):
            _cut_short(patch, deletions)
            mine.clear()
        shutil.rmtree(WORK)
        assert Snapshots(bucket, WORK).restore() is (deletions == 0)
        mine.clear()


def _cut_short(patch, deletions):
    delete, left = Bucket.delete, iter(range(deletions))

    def dies(self, names):
        for name in names:
            if next(left, None) is None:
                raise SystemExit("preempted")
            delete(self, [name])
        if next(left, None) is None:
            raise SystemExit("preempted")

    patch.setattr(Bucket, "delete", dies)


def test_a_record_whose_files_are_gone_is_no_state(bucket, capsys):
    _write(state_0="1", state_1="2")
    mine = Snapshots(bucket, WORK)
    mine.save()
    bucket.delete([name for name in bucket.names("state/work/a") if name.endswith("state-1.pt")])
    shutil.rmtree(WORK)
    assert Snapshots(bucket, WORK).restore() is False
    assert _here() == {}  # and no half of it
    assert "warning: state/work/a/current.json names a snapshot" in capsys.readouterr().err
    _write(state_2="3")
    assert Snapshots(bucket, WORK).save()
    shutil.rmtree(WORK)
    assert Snapshots(bucket, WORK).restore() and _here() == {"state-2": "3"}


def test_the_newest_start_owns_the_state(bucket, at):
    """Also if it takes over while an earlier start is in the middle of a copy."""
    at("a")
    _write(state_0="a10", state_1="a10")
    a = _starts(bucket, "1")
    a.restore()
    assert a.save()
    put, begun = bucket.put, []

    def meanwhile(key, content):
        put(key, content)
        if key.endswith("state-0.pt") and not begun:
            begun.append(key)
            at("b")
            mine = _starts(bucket, "2")
            mine.restore()
            _write(state_0="b20", state_1="b20")
            mine.save()
            at("a")

    bucket.put = meanwhile
    _write(state_0="a95")
    with pytest.raises(Superseded, match="work/a: the same training was started again"):
        a.save()
    bucket.put = put
    with pytest.raises(Superseded):
        a.clear()
    with pytest.raises(Superseded):
        _starts(bucket, "1").restore()
    at("c")
    assert _starts(bucket, "3").restore()
    assert _here() == {"state-0": "b20", "state-1": "b20"}


def test_a_later_snapshot_leaves_nothing_of_the_earlier(bucket, at):
    for host in "123":
        at(host)
        mine = _starts(bucket, host)
        mine.restore()
        _write(state_0=host)
        assert mine.save()
    names = [name.removeprefix("state/work/a/") for name in bucket.names("state/work/a")]
    assert names == ["3/2/state-0.pt", "current.json", "owner.json"]


def test_a_finished_training_is_not_kept_again_by_an_earlier_start(bucket, at):
    at("a")
    a = _starts(bucket, "1")
    a.restore()
    _write(state_0="1")
    a.save()
    at("b")
    b = _starts(bucket, "2")
    b.restore()
    b.clear()
    at("a")
    _write(state_0="22")
    with pytest.raises(Superseded):
        a.save()


def test_a_state_that_vanishes_while_it_is_copied_is_kept_the_next_time(bucket, monkeypatch):
    _write(state_1="1")
    mine = Snapshots(bucket, WORK)
    mine.save()
    _write(state_2="2")
    marks = mine._marks
    with monkeypatch.context() as patch:
        patch.setattr(mine, "_marks", lambda: {**marks(), "state-3.pt": (1, 1)})
        assert mine.save() is False
    assert mine.save() is True


def test_a_bucket_that_is_gone_is_told_all_the_same(bucket):
    with pytest.raises(UserError, match=r"^bucket: "):
        bucket.download("jobs/none", Path("x"))


def test_newer_files_of_this_disk_are_kept_and_copied(bucket, at, monkeypatch):
    at("a")
    a = _starts(bucket, "1")
    a.restore()
    _write(state_0="step 100")
    a.save()
    _write(state_0="step 99000")  # not copied: the bucket refused it
    assert _starts(bucket, "2").restore() and _here() == {"state-0": "step 99000"}
    at("b")
    assert _starts(bucket, "3").restore() and _here() == {"state-0": "step 99000"}


def test_files_of_another_line_give_way(bucket, at):
    """The training went on elsewhere: what this disk has from before must not be mixed with it."""
    at("a")
    a = _starts(bucket, "1")
    a.restore()
    _write(state_0="a", state_900="a")
    a.save()
    at("b")
    b = _starts(bucket, "2")
    b.restore()
    (WORK / "state-900.pt").unlink()
    _write(state_1="b")
    b.save()
    at("a")
    _write(state_901="a, later")
    assert _starts(bucket, "3").restore()
    assert _here() == {"state-0": "a", "state-1": "b"}


def test_other_hosts_take_what_the_first_has_settled(bucket, at):
    at("first")
    first = _starts(bucket, "1")
    first.restore()
    _write(state_0="10")
    first.save()
    _write(state_0="20 and more")
    at("other")
    other = _starts(bucket, "2")
    assert not other.is_ready()
    at("first")
    _starts(bucket, "2").restore()
    at("other")
    assert other.is_ready() and other.restore(first=False)
    assert _here() == {"state-0": "20 and more"}
