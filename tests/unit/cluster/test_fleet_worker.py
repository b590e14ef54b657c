"""Jobs on one worker: started again, orphaned, superseded, and never a stranger's process."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from tests.waiting import wait_until
from tests.workflow.conftest import ROOT, environment

from robustvit.cluster.tpu import processes, worker
from robustvit.cluster.tpu.bucket import Bucket
from robustvit.cluster.tpu.task import Task, job_name
from robustvit.cluster.tpu.unbrought import Unbrought
from robustvit.cluster.tpu.watching import Lost, Watch
from robustvit.core.errors import UserError

# Counts to $STEPS; goes on from its state; ends with 75 when told to.
COUNT = """
trap 'exit 75' TERM
count=$(cat work/state-0.pt 2>/dev/null || echo 0)
echo "begun at $count" >> begun.txt
while [ $count -lt $STEPS ]; do
    count=$((count + 1)); echo $count > work/part; mv work/part work/state-0.pt; sleep 0.1
done
echo "ended at $count" > out.txt
"""


class Host:
    """A worker's disk with a job on it."""

    def __init__(self, bucket, name="vm-0-w-0"):
        self.bucket, self.name = bucket, name
        Path("work").mkdir()

    def put(self, identifier="a", steps=1000, command=COUNT, **values):
        task = Task(identifier, "count", command, {"STEPS": str(steps)}, outputs=["out.txt"],
                    state="work", sync_seconds=0.2, **values).started()  # fmt: skip
        self.bucket.put(job_name(identifier), task.to_json().encode())
        return task

    def ask(self, action, identifier="a"):
        done = subprocess.run(
            [sys.executable, ROOT / "scripts/tpu_worker.py", action, "--id", identifier]
            + ["--bucket", self.bucket.url] * (action == "start"),
            env=environment() | {"HOSTNAME": self.name}, capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return worker.read_told(done.stdout)[0]

    def wait(self, look, seconds=30):
        return wait_until(look, seconds)

    def ended(self, identifier="a"):
        path = Path(f".tpu_jobs/{identifier}/status.json")
        return self.wait(lambda: path.exists() and json.loads(path.read_text()))

    def saved(self):
        return self.bucket.get("state/work/current.json")

    def agent(self, identifier="a"):
        return int(Path(f".tpu_jobs/{identifier}/pid").read_text())


@pytest.fixture
def host(tmp_path, monkeypatch):
    disk = tmp_path / "disk"
    disk.mkdir()
    monkeypatch.chdir(disk)
    yield Host(Bucket(f"file://{tmp_path}/bucket"))
    for path in Path(".tpu_jobs").glob("*/pid"):
        processes.tell(filter(None, [processes.recorded(path)]), signal.SIGKILL)
        processes.tell(processes.marked(worker._mark(path.parent.name)), signal.SIGKILL)


def _begun():
    return [int(line.split()[-1]) for line in Path("begun.txt").read_text().splitlines()]


def test_an_interrupted_job_goes_on_where_it_was(host):
    host.put()
    assert host.ask("start")["state"] == "running"
    host.wait(host.saved)
    os.kill(host.agent(), signal.SIGTERM)  # a reboot, or a preemption that is not carried out
    assert host.ended()["code"] == 75
    host.put(steps=_reached() + 2)
    assert host.ask("start")["state"] == "running"
    assert host.ended() == {"state": "done", "code": 0, "said": ""}
    assert len(_begun()) == 2 and _begun()[1] > 0
    # Now it is done: asked for again, nothing runs.
    assert host.ask("start")["code"] == 0 and len(_begun()) == 2


def _reached(folder=Path()):
    return int((folder / "work/state-0.pt").read_text())


def test_a_start_that_ssh_repeats_starts_nothing(host):
    host.put()
    host.ask("start")
    agent = host.agent()
    assert host.ask("start")["state"] == "running" and host.agent() == agent


def test_what_an_agent_that_died_has_left_is_ended_before_the_next_start(host):
    host.put()
    host.ask("start")
    host.wait(host.saved)
    os.kill(host.agent(), signal.SIGKILL)
    left = host.wait(lambda: processes.marked(worker._mark("a")))
    host.wait(lambda: host.ask("status")["state"] == "lost")
    host.put("b", steps=1)
    host.ask("start", "b")
    assert not processes.marked(worker._mark("a")) and left
    assert host.ended("b")["code"] == 0


def test_stop_reaches_what_an_agent_that_died_has_left(host):
    host.put()
    host.ask("start")
    host.wait(host.saved)
    os.kill(host.agent(), signal.SIGKILL)
    host.ask("stop")
    host.wait(lambda: not processes.marked(worker._mark("a")))


def test_a_job_whose_state_was_taken_over_ends_as_interrupted(host, tmp_path, monkeypatch):
    host.put()
    host.ask("start")
    host.wait(host.saved)
    first = Path.cwd()
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path / "other")
    other = Host(host.bucket, "vm-1-w-0")
    other.put("b", steps=_reached(first) + 8)
    other.ask("start", "b")
    assert other.ended("b")["code"] == 0
    assert _begun()[0] > 0  # from the other's state
    monkeypatch.chdir(first)
    assert host.ended()["code"] == 75
    assert "goes on there" in Path(".tpu_jobs/a/worker.log").read_text()
    assert not Path("out.txt").exists() and host.saved() is None


@pytest.mark.parametrize("boot", [None, "another boot"])
def test_a_number_that_is_another_process_by_now_is_left_alone(host, boot):
    folder = Path(".tpu_jobs/a")
    folder.mkdir(parents=True)
    stranger = subprocess.Popen(["sleep", "60"])
    try:
        processes.record(folder / "pid", stranger.pid)
        assert host.ask("status")["state"] == "running"
        known = json.loads((folder / "pid.json").read_text())
        known |= {"boot": boot} if boot else {"began": known["began"] - 1}
        (folder / "pid.json").write_text(json.dumps(known))
        assert host.ask("status")["state"] == "lost"
        assert host.ask("stop")["state"] == "lost"
        host.put("b", steps=1)
        host.ask("start", "b")
        assert host.ended("b")["code"] == 0
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_a_process_of_another_user_is_passed_over(monkeypatch):
    def refuse(pid, number):
        raise PermissionError

    monkeypatch.setattr(os, "kill", refuse)
    processes.tell([1], signal.SIGTERM)


def test_results_that_could_not_be_brought_away_are_not_made_again(host, tmp_path):
    host.put(steps=3)
    blocked = tmp_path / "bucket/jobs/a/results"
    blocked.parent.mkdir(parents=True, exist_ok=True)
    blocked.write_text("a file where a folder has to be: nothing can be written")
    host.ask("start")
    found = host.ended()
    assert found["code"] == 2 and "cannot be written to (jobs/a/results/out.txt)" in found["said"]
    assert Path("out.txt").exists()
    host.put("a-2", steps=3)  # the next attempt has an id of its own
    host.ask("start", "a-2")
    assert host.ended("a-2")["code"] == 0
    assert len(_begun()) == 1
    assert host.bucket.get("jobs/a-2/results/out.txt") == b"ended at 3\n"
    assert host.bucket.get("out.txt") == b"ended at 3\n"
    # Wanted once more, it is made anew.
    host.put("a-3", steps=3)
    host.ask("start", "a-3")
    assert host.ended("a-3")["code"] == 0 and len(_begun()) == 2


def test_another_host_ends_when_all_results_are_there(host):
    """The first host may have had them from an earlier attempt; the others wait for it for ever."""
    other = Host.__new__(Host)
    other.bucket, other.name = host.bucket, "vm-0-w-1"
    task = other.put(command="sleep 60")
    other.ask("start")
    assert other.ask("status")["state"] == "running"
    host.bucket.put(task.finished_name, b"")
    assert other.ended()["code"] == 0


def test_what_was_finished_by_other_code_counts_for_nothing(host):
    task = host.put(steps=3)
    Path("out.txt").write_text("x")
    left = Unbrought(Path(".tpu_jobs"), task)
    left.note(12)
    assert left.seconds() == 12
    Path(".source").write_text("another checkout")
    assert left.seconds() is None


def test_two_checkouts_have_states_of_their_own():
    names = {Task("a", "x", "true", state="work", checkout=one).state_name for one in ("c", "d")}
    assert names == {"state/c/work", "state/d/work"}


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"state": "lost"}, "the job has gone without a word on w-0"),
        ({"state": "done", "code": 75}, "the job was told to end on w-0"),
    ],
)
def test_a_controller_tells_an_agent_that_died_from_one_that_was_told_to_end(said, why):
    vm = SimpleNamespace(name="vm-0", ask=lambda action, identifier: [])
    with pytest.raises(Lost, match=why):
        Watch(None, print)._end(vm, Task("a", "x", "true"), [{"worker": "w-0", **said}])


def test_a_bucket_that_is_away_at_the_end_makes_no_interruption_a_failure(host, tmp_path):
    host.put()
    host.ask("start")
    host.wait(host.saved)
    away = tmp_path / "bucket"
    away.rename(tmp_path / "away")
    away.write_text("a file where the bucket was")
    host.ask("stop")
    assert host.ended()["code"] == 75
    log = Path(".tpu_jobs/a/worker.log").read_text()
    assert "warning: bucket: " in log


def test_what_does_not_end_is_killed_or_told(host, monkeypatch):
    host.put(command="trap '' TERM; while true; do sleep 0.1 || true; done")
    host.ask("start")
    host.wait(lambda: processes.marked(worker._mark("a")))
    monkeypatch.setattr(worker, "SECONDS_TO_END", 0.3)
    monkeypatch.setattr(worker, "SECONDS_TO_DIE", 0)
    with monkeypatch.context() as patch:
        patch.setattr(processes, "tell", lambda pids, number: None)
        with pytest.raises(UserError, match="holds the TPU and cannot be ended"):
            worker._end_all()
    monkeypatch.setattr(worker, "SECONDS_TO_DIE", 10)
    worker._end_all()
    assert not worker._pids(Path(".tpu_jobs/a"))
