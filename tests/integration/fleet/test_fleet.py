"""Jobs on TPU VMs of a stand-in cloud: they end well, or with a message that names the cause."""

from pathlib import Path

import pytest

from robustvit.cluster.tpu.task import Task


def test_a_job_runs_on_all_workers_and_its_results_come_back(cloud, controller):
    cloud.set(wait_looks=2)  # the queue has others before us
    ours = controller()
    task = ours.submit()
    assert ours.wait(task).error is None
    assert Path("results/a.txt").read_text() == "begun at 0, ended at 3"
    assert Path("results/a.log").read_text() == "begun at 0 with data\n"
    assert Path("results/a.tsv").read_text().startswith("s\th:m:s")
    assert ours.heard("WAITING_FOR_RESOURCES") and ours.heard("runs on 2 worker(s)")
    assert ours.bucket.get("results/a.txt") == Path("results/a.txt").read_bytes()
    assert ours.saved() is None  # a finished training leaves no state
    # The second job finds a VM that is set up.
    copies = sum(" scp " in call for call in cloud.calls())
    assert ours.wait(ours.submit("b")).error is None
    assert sum(" scp " in call for call in cloud.calls()) == copies
    ours.fleet.close(delete=True)
    assert cloud.read()["vms"] == {} and cloud.read()["requests"] == {}


@pytest.mark.parametrize(
    ("state", "why", "how"),
    [("PREEMPTED", "was preempted", "direct"), (None, "vanished", "queued")],
    ids=["preempted", "vanished"],
)
def test_a_preempted_job_goes_on_from_its_state_on_a_new_vm(cloud, controller, state, why, how):
    ours = controller(create={"how": how})
    task = ours.submit(steps=14, pace=0.3)
    ours.until(ours.saved)
    cloud.preempt("vm-0", state)
    assert ours.wait(task).error is None
    begun = int(Path("results/a.txt").read_text().split()[2].rstrip(","))
    assert 0 < begun < 14
    assert ours.heard(why)


def test_one_of_two_workers_fails(cloud, controller, tmp_path):
    mark = tmp_path / "fail"
    mark.touch()
    ours = controller()
    error = ours.wait(ours.submit(steps=1000, FAIL_FILE=str(mark))).error
    assert "failed on 1 of 2 worker(s)" in error
    assert "vm-0-w-1: exit code 1" in error and "this worker has no luck" in error
    mark.unlink()
    # The other worker was told to end: the VM takes the next job, from the state.
    assert ours.wait(ours.submit(steps=10)).error is None


def test_a_command_that_cannot_run_is_told(controller):
    ours = controller()
    task = ours.submit()
    broken = Task(f"{task.id}-x", "broken", "no-such-program", log="results/x.log")
    assert ours.wait(task).error is None
    ours.fleet.submit(broken)
    error = ours.wait(broken).error
    assert "failed on 2 of 2 worker(s)" in error and "exit code 127" in error


@pytest.mark.parametrize(
    ("command", "fault", "expected"),
    [
        ("queued-resources create", "quota", "accelerator_type: v4-8: this project's quota"),
        ("queued-resources create", "rights", "project: my-project: this account may not"),
        ("describe", "login", "gcloud is not logged in on this machine: `gcloud auth login`"),
        ("describe", "api", "gcloud services enable tpu.googleapis.com"),
    ],
)
def test_what_waiting_does_not_mend_ends_the_job_with_the_key(
    cloud, controller, command, fault, expected
):
    cloud.fault(command, fault)
    ours = controller()
    assert expected in ours.wait(ours.submit()).error
    assert "no TPU VM is left" in ours.wait(ours.submit("b")).error


def test_no_capacity_is_waited_for(cloud, controller):
    cloud.fault("tpu-vm create", "capacity", times=2)
    ours = controller(create={"how": "direct"})
    assert ours.wait(ours.submit()).error is None
    assert ours.heard("no v4-8 is free now")


def test_a_connection_that_breaks_ends_no_job(cloud, controller):
    cloud.fault("tpu_worker.py status", "ssh", times=3)
    ours = controller()
    assert ours.wait(ours.submit()).error is None
    assert not ours.heard("goes on from its last state")


def test_set_up_that_fails_shows_its_log(controller):
    ours = controller(setup="echo no disk left; false")
    error = ours.wait(ours.submit()).error
    assert "setup: echo no disk left; false failed on vm-0" in error


def test_a_vm_that_may_not_be_made(controller):
    ours = controller(create={"how": "never"})
    assert "vms: TPU VM vm-0 does not exist" in ours.wait(ours.submit()).error


def test_cancelled_jobs_save_and_the_next_run_goes_on(cloud, controller):
    ours = controller()
    ours.submit(steps=500, pace=0.1)
    ours.until(ours.saved)
    ours.fleet.cancel()
    assert ours.heard("saves its state and ends")
    ours.until(lambda: not cloud.trains())
    later = controller()
    assert later.wait(later.submit(steps=20)).error is None
    assert int(Path("results/a.txt").read_text().split()[2].rstrip(",")) > 0


def test_a_job_that_a_killed_controller_left_is_ended_before_the_next(cloud, controller):
    ours = controller()
    ours.submit(steps=500, pace=0.1)
    ours.until(ours.saved)
    ours.fleet.close(delete=False)  # without a word to the job, as a kill
    assert cloud.trains()
    later = controller()
    assert later.wait(later.submit(steps=20)).error is None
    assert not cloud.trains()


def test_two_vms_share_the_work(controller):
    ours = controller(vms=["vm-0", "vm-1"])
    tasks = [ours.submit(name, steps=6, pace=0.3) for name in "abc"]
    assert [ours.wait(task).error for task in tasks] == [None] * 3
    assert ours.heard("vm-0: ") and ours.heard("vm-1: ")
    assert {line.split(":")[0] for line in ours.said if "runs on" in line} == {"vm-0", "vm-1"}
