"""What gcloud's errors mean: the key of the fleet file, and whether waiting helps."""

import subprocess
import threading
import time

import pytest

from robustvit.cluster.tpu.fleet_site import DEFAULTS, load_fleet
from robustvit.cluster.tpu.gcloud import CloudError, Gcloud, Stopped, explain
from robustvit.cluster.tpu.worker import MARK, read_told

# gcloud 528's own words, and the API's as its documentation and users quote them.
ERRORS = {
    "login": "ERROR: (gcloud.compute.tpus.tpu-vm.describe) You do not currently have an active "
    "account selected.\nPlease run:\n  $ gcloud auth login",
    "project": "ERROR: (gcloud.compute.tpus.tpu-vm.describe) Error parsing [tpu].\nThe [tpu] "
    "resource is not properly specified.\nFailed to find attribute [project]. The attribute can",
    "quota": 'ERROR: (gcloud.x) {"code": 8, "message": "Quota limit \'TPUV4sPreemptiblePodPer'
    "ProjectPerZoneForTPUAPI' has been exceeded. Limit: 0 in zone us-central2-b.\"}",
    "capacity": 'ERROR: (gcloud.x) {"code": 8, "message": "There is no more capacity in the zone '
    '\\"us-central2-b\\"; you can try in another zone where Cloud TPU Nodes are offered"}',
    "zone": "ERROR: (gcloud.x) PERMISSION_DENIED: Permission denied on 'locations/us-moon1-a' (or "
    "it may not exist).",
    "rights": "ERROR: (gcloud.x) PERMISSION_DENIED: Permission 'tpu.nodes.create' denied on "
    "'projects/my-project/locations/us-central2-b'",
    "api": "ERROR: (gcloud.x) PERMISSION_DENIED: Cloud TPU API has not been used in project 123 "
    "before or it is disabled. Enable it by visiting …",
    "type": "ERROR: (gcloud.x) INVALID_ARGUMENT: Accelerator type v9-8 is unknown",
    "version": 'ERROR: (gcloud.x) NOT_FOUND: runtime version "tpu-ubuntu9" was not found',
    "absent": "ERROR: (gcloud.x) NOT_FOUND: Resource 'projects/p/locations/z/nodes/vm-0' was not "
    "found",
    "lost": 'ERROR: (gcloud.x) This TPU has terminal state "PREEMPTED", so it cannot be used '
    "anymore.",
    "agent": "ERROR: (gcloud.x) SSH Key is not present in the SSH agent. Please run \"ssh-add "
    '/home/me/.ssh/google_compute_engine" to add it, and try again.',
    "unreachable": "ERROR: (gcloud.x) [/usr/bin/ssh] exited with return code [255].",
    # gcloud 528 on a machine without a network
    "offline": "ERROR: (gcloud.x) There was a problem refreshing your current auth tokens: HTTPS"
    "ConnectionPool(host='oauth2.googleapis.com', port=443): Max retries exceeded with url: /token "
    "(Caused by NewConnectionError('<…>: Failed to establish a new connection: [Errno 111] "
    "Connection refused'))\nPlease run:\n\n  $ gcloud auth login\n\nto obtain new credentials.",
    "unknown": "ERROR: (gcloud.x) Something else",
}  # fmt: skip
WAITING_HELPS = {"capacity", "absent", "lost", "unreachable", "offline", "unknown"}


@pytest.mark.parametrize("kind", ERRORS)
def test_an_error_is_told_apart(kind):
    site = {**DEFAULTS, "project": "my-project"}
    error = explain(("compute", "tpus", "x"), ERRORS[kind], 1, site)
    assert error.kind == kind
    assert error.passing == (kind in WAITING_HELPS)
    assert "ERROR: (gcloud" in str(error)


def test_a_message_of_our_own_program_on_a_worker_is_passed_on():
    said = (
        "SSH: Attempting to connect to worker 0...\nerror: bucket: gs://x cannot be read\n##### …"
    )
    error = explain(("x",), said, 2, DEFAULTS)
    assert str(error) == "bucket: gs://x cannot be read" and not error.passing


SSH = ("compute", "tpus", "tpu-vm", "ssh", "vm-0")


@pytest.mark.parametrize(
    ("said", "code", "kind"),
    [
        ("WARNING: This might result in unexpected quota issues.\n" + ERRORS["unreachable"],
         255, "unreachable"),
        # what gcloud 528 prints of a slice that does not answer: no error of its own
        ('This may have happened if you have not added your SSH key using "ssh-add ~/.ssh/x".\n'
         "Retrying: SSH command error: [/usr/bin/ssh] exited with return code [255].",
         255, "unreachable"),
        ("curl: (28) Failed to connect: Connection timed out\nROBUSTVIT-EXIT 70", 70, "remote"),
        ("the quota was not found\nROBUSTVIT-EXIT 0ROBUSTVIT-EXIT 3", 3, "remote"),
        ("ROBUSTVIT-EXIT 0\n" + ERRORS["lost"], 1, "lost"),
    ],
    ids=["warning", "slice", "set-up", "one of two", "preempted"],
)  # fmt: skip
def test_only_gclouds_own_words_are_its_errors(said, code, kind):
    assert explain(SSH, said, code, DEFAULTS).kind == kind


def test_the_key_and_its_value_are_named():
    error = explain(("x",), ERRORS["quota"], 1, DEFAULTS)
    assert str(error).startswith("accelerator_type: v4-8: this project's quota")


@pytest.fixture
def slow(tmp_path, monkeypatch):
    """A gcloud whose child takes a minute and holds its output open."""
    (tmp_path / "gcloud").write_text("#!/bin/sh\nsleep 60 &\nwait\n")  # a child, as ssh is
    (tmp_path / "gcloud").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")


@pytest.mark.parametrize(("word", "kind"), [("ssh", "unreachable"), ("describe", "offline")])
def test_a_command_that_hangs_is_ended_with_its_children(slow, word, kind):
    began = time.monotonic()
    with pytest.raises(CloudError, match="has not answered in time") as error:
        Gcloud(DEFAULTS).run(word, seconds=0.3)
    assert error.value.kind == kind and time.monotonic() - began < 10


def test_bytes_that_are_no_text_are_read(tmp_path, monkeypatch):
    (tmp_path / "gcloud").write_text("#!/bin/sh\nprintf 'caf\\351'\n")
    (tmp_path / "gcloud").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert Gcloud(DEFAULTS).run("x") == "caf\ufffd"


def test_a_program_that_cannot_be_started(tmp_path, monkeypatch):
    (tmp_path / "gcloud").write_bytes(b"no program")
    (tmp_path / "gcloud").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CloudError, match="could not be started"):
        Gcloud(DEFAULTS).run("x")


def test_a_cancelled_run_ends_its_commands_at_once(slow):
    stop, began = threading.Event(), time.monotonic()
    threading.Timer(0.3, stop.set).start()
    with pytest.raises(Stopped):
        Gcloud(DEFAULTS, stop).run("x")
    assert time.monotonic() - began < 10


def test_without_gcloud(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CloudError, match="Install the Google Cloud CLI"):
        Gcloud(DEFAULTS).run("x")


def test_words_of_several_workers_may_share_a_line():
    text = f'Last login\n{MARK}{{"worker": "a"}}{MARK}{{"worker": "b"}}\nbye'
    assert read_told(text) == [{"worker": "a"}, {"worker": "b"}]


def test_the_shipped_fleet_file_says_what_the_program_assumes(repository):
    shipped = load_fleet(repository / "profiles" / "tpu-fleet" / "site.yaml")
    assert {**shipped, "bucket": None} == DEFAULTS


def test_the_stand_in_is_never_the_real_one(repository):
    """The tests' gcloud asks for its folder before it does anything."""
    done = subprocess.run(
        [repository / "tests/integration/fleet/gcloud", "auth", "list"],
        env={"PATH": "/usr/bin:/bin"}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode != 0 and "FAKE_CLOUD" in done.stderr
