"""Snakemake with the executor for TPU VMs, on the stand-in cloud; and what is checked before."""

import os
import signal
import subprocess
import sys

import pytest
import yaml

from tests.waiting import wait_until
from tests.workflow.conftest import ROOT, environment, run_snakemake


@pytest.fixture
def snakemake(cloud, checkout, tmp_path):
    """`snakemake(site, *arguments)` starts Snakemake in the small workflow."""

    def start(site, *arguments, **variables):
        path = tmp_path / "site.yaml"
        path.write_text(yaml.safe_dump(cloud.site(**site)))
        # SIGINT is ignored by what a shell started in the background.
        command = (
            "import os, signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler);"
            "os.execv(sys.executable, [sys.executable, '-m', 'snakemake', *sys.argv[1:]])"
        )
        options = ["--executor", "tpu-fleet", "--tpu-fleet-site", path, "--jobs", "2"]
        return subprocess.Popen(
            [sys.executable, "-c", command, *map(str, options), "--cores", "2", *arguments],
            cwd=checkout,
            env=environment() | {"PYTHONPATH": str(checkout / "scripts"), **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    return start


def test_two_jobs_come_back_and_nothing_is_left(snakemake, cloud, checkout):
    run = snakemake({"vms": ["vm-0", "vm-1"], "environment": {"STEPS": "4"}})
    out, _ = run.communicate(timeout=120)
    assert run.returncode == 0, out
    assert (checkout / "results/a.txt").read_text() == "begun at 0, ended at 4"
    assert (checkout / "results/b.tsv").exists()
    assert cloud.read()["vms"] == {}  # the site's `delete`
    again = snakemake({"vms": ["vm-0", "vm-1"]})
    out, _ = again.communicate(timeout=60)
    assert "Nothing to be done" in out


def test_preempted_in_mid_run_and_cancelled_by_ctrl_c(snakemake, cloud, checkout):
    state = "state/*/results/work/a/current.json"
    site = {"environment": {"STEPS": "400", "PACE": "0.1"}}
    run = snakemake(site, "results/a.txt")
    wait_until(lambda: list(cloud.bucket.glob(state)))
    cloud.preempt("vm-0")
    wait_until(lambda: cloud.read()["vms"].get("vm-0") == "READY")
    wait_until(lambda: "status" in cloud.calls()[-1])
    run.send_signal(signal.SIGINT)
    out, _ = run.communicate(timeout=120)
    assert run.returncode != 0
    assert "was preempted; train a goes on from its last state" in out
    assert "saves its state and ends" in out and "cost money: vm-0" in out
    assert cloud.read()["vms"] == {"vm-0": "READY"}


def test_a_job_that_fails_shows_the_workers_words(snakemake, cloud, tmp_path):
    mark = tmp_path / "fail"
    mark.touch()
    run = snakemake({"environment": {"FAIL_FILE": str(mark)}}, "results/a.txt")
    out, _ = run.communicate(timeout=120)
    assert run.returncode != 0
    assert "train a failed on 1 of 2 worker(s)" in out and "this worker has no luck" in out


@pytest.fixture
def check(cloud, tmp_path):
    """Run check_tpu.py on a site; (exit code, what it says)."""

    def run(**site):
        path = tmp_path / "checked.yaml"
        path.write_text(yaml.safe_dump({**cloud.site(), **site}))
        done = subprocess.run(
            [sys.executable, "scripts/check_tpu.py", "--site", str(path)],
            cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        return done.returncode, done.stdout + done.stderr

    return run


def test_a_site_that_fits(check, cloud):
    code, said = check()
    assert code == 0 and "fits: logged in" in said and "vm-0: does not exist yet" in said
    assert not any("create" in call for call in cloud.calls())
    assert not list(cloud.bucket.rglob("hello"))


def test_everything_that_does_not_fit_is_told_at_once(check, cloud):
    nowhere = "file:///proc/no-such-bucket"  # a folder that nobody can make
    code, said = check(accelerator_type="v4-9", bucket=nowhere, create={"how": "never"})
    assert code == 2 and "Traceback" not in said
    assert 'accelerator_type: us-central2-b has no "v4-9". Did you mean "v4-8"' in said
    assert "vms: vm-0 does not exist" in said
    assert f"bucket: {nowhere} cannot be" in said


def test_not_logged_in(check, cloud):
    cloud.fault("auth list", "login")
    code, said = check()
    assert code == 2 and "`gcloud auth login`" in said


def test_without_gcloud(check, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    code, said = check()
    assert code == 2 and "gcloud was not found. Install the Google Cloud CLI" in said


@pytest.mark.parametrize(
    ("site", "expected"),
    [
        ({"bucket": None}, "bucket: None: expected the address of a bucket"),
        ({"zones": "us-central2-b"}, "zone"),
        ({"vms": []}, "vms"),
        ({"create": {"how": "spot"}}, "create.how"),
    ],
)
def test_mistakes_in_the_fleet_file(check, site, expected):
    code, said = check(**site)
    assert code == 2 and expected in said and "Traceback" not in said


@pytest.fixture
def profile(cloud, tmp_path, monkeypatch):
    """Run `snakemake --profile tpu-fleet` on the smoke configuration at a site; what it says."""

    def run(site, *arguments):
        path, overlay = tmp_path / "site.yaml", tmp_path / "results.yaml"
        path.write_text(yaml.safe_dump(cloud.site(**site)))
        overlay.write_text(yaml.safe_dump({"paths": {"results": str(tmp_path / "results")}}))
        monkeypatch.setenv("ROBUSTVIT_FLEET_SITE", str(path))
        names = ["configs/demo.yaml", "configs/smoke.yaml", "configs/tpu-fleet.yaml", overlay]
        done = run_snakemake("--profile", "tpu-fleet", "--configfile", *names, *arguments, cwd=ROOT)
        return done.returncode, done.stdout + done.stderr

    return run


def test_the_profile_gives_trainings_a_tpu_and_a_dry_run_asks_nobody(profile, cloud):
    code, said = profile({"vms": ["vm-0", "vm-1"]}, "--forceall", "-n", "--", "pretrain")
    assert code == 0, said
    assert "tpu=1" in said and cloud.calls() == []


def test_the_profile_keeps_all_but_trainings_here(profile, cloud):
    # Unchecked: the check would refuse the test's folder of results, outside the checkout.
    code, said = profile({"check": False}, "--", "rule_graph")
    assert code == 0, said
    cloud.set(vms={"vm-0": "READY"}, requests={"vm-0-request": {"node": "vm-0", "looks": 0}})
    code, said = profile(
        {"check": False}, "--forceall", "--", "rule_graph"
    )  # while another run trains there
    assert code == 0, said
    words = ("create", "ssh", "delete")
    assert not any(word in call for call in cloud.calls() for word in words)


def test_the_profile_stops_before_the_first_job(profile, tmp_path):
    code, said = profile({"accelerator_type": "v4-9"}, "--", "pretrain")
    assert code != 0 and "accelerator_type: us-central2-b has no" in said
    assert f"paths.results: {tmp_path / 'results'}: with a fleet it has to be" in said
    assert not os.path.exists(tmp_path / "results" / "sources")
