"""What goes wrong around TPU VMs hangs no job, costs no training, and deletes nobody's VM."""

import time
from pathlib import Path

import pytest

from robustvit.cluster.tpu import fleet
from robustvit.cluster.tpu.task import Task
from robustvit.cluster.tpu.vm import TpuVm
from robustvit.cluster.tpu.worker import MARK


def test_a_run_deletes_no_vm_that_it_has_not_used(cloud, controller):
    cloud.set(vms={"vm-0": "READY"}, requests={"vm-0-request": {"node": "vm-0", "looks": 0}})
    ours = controller()
    ours.fleet.close(delete=True)
    assert cloud.read()["vms"] == {"vm-0": "READY"} and cloud.calls() == []


def test_a_vm_is_taken_over_aloud_and_then_left_alone(cloud, controller):
    first = controller()
    training = first.submit(steps=1000)
    first.until(first.saved)
    second = controller()
    assert second.wait(second.submit("b")).error is None
    assert second.heard("vm-0: was there already and worked for the run")
    assert not first.heard("was there already")
    assert "vms: vm-0 works for another run now" in first.wait(training).error
    first.fleet.close(delete=True)
    assert first.heard("vm-0: stays") and cloud.read()["vms"] == {"vm-0": "READY"}
    second.fleet.close(delete=True)
    assert cloud.read()["vms"] == {}


def test_a_vm_that_was_taken_over_gets_no_job_of_the_first_run(controller):
    first, second = controller(), controller()
    assert first.wait(first.submit()).error is None
    training = second.submit("b", steps=30)
    second.until(lambda: second.heard("b runs on"))
    assert "works for another run now" in first.wait(first.submit("c")).error
    assert second.wait(training).error is None


def test_answers_that_cannot_be_read_are_asked_for_again(controller, monkeypatch):
    ours, real, garbled = controller(), TpuVm.ssh, []

    def ssh(vm, command, **given):
        said = real(vm, command, **given)
        if " status " in command and len(garbled) < 2:
            garbled.append(command)
            return f"{MARK}{{bro\ufffdken"
        return said

    monkeypatch.setattr(TpuVm, "ssh", ssh)
    assert ours.wait(ours.submit(steps=20)).error is None
    assert len(garbled) == 2


@pytest.mark.parametrize("name", ["ask", "make_ready"])
def test_a_mistake_of_the_program_ends_the_job_and_is_shown(controller, monkeypatch, name):
    def broken(*words, **given):
        raise KeyError("no such thing")

    monkeypatch.setattr(TpuVm, name, broken)
    ours = controller()
    assert "this program failed: KeyError('no such thing')" in ours.wait(ours.submit(), 20).error
    assert ours.heard("Traceback")


def test_a_network_that_is_away_costs_no_training(cloud, controller):
    cloud.fault("describe", "offline", times=fleet.MOST_FAILURES + 2)
    ours = controller(poll_seconds=0.05)
    task = ours.submit(steps=60)
    ours.until(ours.saved)
    faults = {word: {"error": "offline", "times": 12} for word in ("tpu_worker.py", "describe")}
    cloud.set(faults=faults)
    assert ours.wait(task).error is None
    assert not ours.heard("goes on from its last state")
    assert sum("does not reach the cloud now" in line for line in ours.said) == 2
    assert not any("delete" in call for call in cloud.calls())


def test_inputs_that_cannot_be_sent_are_one_jobs_error(controller):
    ours = controller()
    lost = Task("lost-1", "lost", "true")
    ours.fleet.submit(lost, ["results/no-such-file"])
    Path("results").mkdir(exist_ok=True)
    Path("results/given").write_text("x" * 10)
    found = Task("found-1", "found", "grep x results/given")
    ours.fleet.submit(found, ["results/given"])
    assert "lost: its inputs cannot be sent" in ours.wait(lost).error
    assert ours.wait(found).error is None
    assert ours.heard("found: sends results/given (0.0 MB) to file://")


def test_the_longest_wait_is_kept_and_the_request_taken_back(cloud, controller):
    cloud.set(wait_looks=10**6)
    ours, began = controller(create={"wait_hours": 0.5 / 3600}), time.monotonic()
    assert "create.wait_hours: TPU VM vm-0 was not ready" in ours.wait(ours.submit(), 20).error
    assert time.monotonic() - began < 15
    ours.until(lambda: cloud.read()["requests"] == {})


def test_a_job_that_is_interrupted_at_once_is_not_started_in_a_loop(controller, monkeypatch):
    real, pauses = TpuVm.sleep, []

    def sleep(vm, seconds=None):
        if seconds:
            pauses.append(seconds)
        real(vm, seconds)

    monkeypatch.setattr(TpuVm, "sleep", sleep)
    ours = controller(preemptions=2)
    task = Task("ending-1", "ending", "exit 75")
    ours.fleet.submit(task)
    assert "preemptions: ending was interrupted too often" in ours.wait(task).error
    assert pauses == [0.3, 0.6]


def test_code_that_could_not_be_set_up_leaves_nothing(cloud, controller, checkout):
    plugin, text = checkout / "plugin.py", (checkout / "train.py").read_text()
    plugin.write_text("")
    first = controller()
    assert first.wait(first.submit()).error is None
    first.fleet.close(delete=False)
    (checkout / "train.py").write_text(text + "# another\n")
    plugin.unlink()
    broken = controller(setup="false")
    assert "setup: false failed" in broken.wait(broken.submit()).error
    there = cloud.folder / "workers/vm-0/0/robust-vits"
    assert not (there / "plugin.py").exists() and (there / "Snakefile").exists()
    (checkout / "train.py").write_text(text)
    plugin.write_text("")
    again = controller()
    assert again.wait(again.submit()).error is None
    assert (there / "train.py").read_text() == text and (there / "plugin.py").exists()


def test_no_more_vms_than_jobs_and_none_for_long_without_one(cloud, controller, monkeypatch):
    monkeypatch.setattr(fleet, "IDLE_MINUTES", 2 / 60)
    cloud.set(wait_looks=3)
    ours = controller(vms=["vm-0", "vm-1", "vm-2"])
    assert ours.wait(ours.submit()).error is None
    assert sum(" create " in call for call in cloud.calls()) == 1
    ours.until(lambda: cloud.read()["vms"] == {} and ours.heard(": deleted"))
    assert ours.wait(ours.submit("b")).error is None


def test_a_set_up_without_internet_is_told_as_such_once(controller):
    ours = controller(setup="echo 'error: quota: connect: Connection timed out'; false")
    error = ours.wait(ours.submit()).error
    assert error.startswith("setup: echo 'error:") and "| error: quota: connect" in error
    assert sum("is set up" in line for line in ours.said) == 1


def test_the_cause_is_told_though_the_others_cannot_be_stopped(cloud, controller, tmp_path):
    mark = tmp_path / "fail"
    mark.touch()
    cloud.fault("tpu_worker.py stop", "ssh", times=1)
    ours = controller()
    error = ours.wait(ours.submit(steps=1000, FAIL_FILE=str(mark))).error
    assert "this worker has no luck" in error
    assert ours.heard("could not be told to end")


def test_cancelled_while_a_request_waits(cloud, controller):
    cloud.set(wait_looks=10**6)
    ours = controller()
    ours.submit()
    ours.until(lambda: cloud.read()["requests"])
    ours.fleet.cancel()
    assert cloud.read()["requests"] == {} and not ours.heard("cost money")


def test_cancelled_runs_say_how_to_delete_what_stays(cloud, controller):
    ours = controller()
    assert ours.wait(ours.submit()).error is None
    ours.fleet.cancel()
    place = "--zone=us-central2-b --project=my-project"
    assert ours.heard(f"gcloud compute tpus queued-resources delete vm-0-request --force {place}")
    assert cloud.read()["vms"] == {"vm-0": "READY"}


def test_a_job_that_has_not_begun_saves_nothing(controller, monkeypatch):
    ours, real, asked = controller(), TpuVm.ask, []

    def ask(vm, action, identifier, bucket=None):
        if action == "start":
            asked.append(action)
            vm.sleep(60)
        return real(vm, action, identifier, bucket)

    monkeypatch.setattr(TpuVm, "ask", ask)
    ours.submit()
    ours.until(lambda: asked)
    ours.fleet.cancel()
    assert ours.heard("a has not begun there") and not ours.heard("saves its state")
