"""The workflow on a real SLURM on this machine, through everything that happens on a cluster.

Skipped where SLURM's packages are not installed or the tests do not run as root;
`tests/integration/slurm/start_slurm.sh install` installs them. `pytest -s` shows what happened.
"""

from __future__ import annotations

import hashlib
import signal
import subprocess
import sys
import threading

import pytest
import torch
import yaml
from safetensors.torch import load_file

from robustvit.config.merge import deep_merge
from tests.integration.conftest import SMOKE, Run, copy_checkout
from tests.integration.slurm import cluster
from tests.integration.slurm.cluster import jobs, slurm, wait_until
from tests.integration.slurm.faults import FAULTS, Events, inject
from tests.integration.test_smoke import pdf_text
from tests.workflow.conftest import ROOT, environment

pytestmark = [pytest.mark.end_to_end, pytest.mark.xdist_group("slurm")]
OVERLAYS = ("configs/demo.yaml", "configs/smoke.yaml", "tests/integration/slurm/smoke.yaml")
PDF = "results/smoke/report.pdf"
COLUMNS = "JobID,Comment%50,State%12,NodeList,Elapsed,AllocTRES%44"
COMMAND = (sys.executable, "-m", "snakemake", "--profile", "slurm", "--configfile", *OVERLAYS)


@pytest.fixture(scope="module")
def slurm_cluster():
    """A SLURM with four nodes."""
    if reason := cluster.missing():
        pytest.skip(f"no SLURM on this machine: {reason}")
    with cluster.running_slurm():
        yield


def variables(site=cluster.SITE):
    return environment() | {"ROBUSTVIT_SITE": str(site)}


def snakemake(folder, *arguments, site=cluster.SITE, **options):
    """Start Snakemake as from a terminal: a process started in the background ignores Ctrl-C."""
    return subprocess.Popen(
        [*COMMAND, *arguments],
        cwd=folder,
        env=variables(site),
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        **({"stdout": subprocess.PIPE} | options),
    )


def interrupt(folder, events):
    """Press Ctrl-C while a job runs."""
    process = snakemake(folder, "--", PDF)
    building = wait_until(lambda: jobs("--states=RUNNING"), 180, "a running job")
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=120)
    wait_until(lambda: not jobs("--states=RUNNING,PENDING,COMPLETING"), 60, "an empty queue")
    state = states(building[0].id)
    events.interrupted = {"code": process.returncode, "state": state, "said": said}
    events.add(f"Ctrl-C: Snakemake ended with {process.returncode}, job {building[0].id}: {state}")


def states(job):
    """All states that a job ended in, one for each time it ran."""
    ran = slurm("sacct", "--duplicates", "-X", "-n", "-P", "--jobs", job, "--format=State")
    return [line.split()[0] for line in ran.splitlines()]


@pytest.fixture(scope="module")
def faulty(slurm_cluster, tmp_path_factory):
    """A part of the smoke configuration on SLURM, to its PDF, through every kind of fault."""
    run = Run(copy_checkout(tmp_path_factory.mktemp("on_slurm")))
    run.events = events = Events()
    # The network has no part in this test.
    done = run.snakemake(*SMOKE, "--", "results/sources/cifar10/source.json")
    assert done.returncode == 0, (done.stdout + done.stderr)[-6000:]
    over = threading.Event()
    threading.Thread(target=cluster.start_at_once, args=[over], daemon=True).start()
    interrupt(run.folder, events)
    for experiment, faults in FAULTS.items():
        given = (experiment, faults, run.folder, events)
        threading.Thread(target=inject, args=given, daemon=True).start()
    log = run.folder / "snakemake.log"
    with open(log, "w") as handle:
        process = snakemake(run.folder, "--", PDF, stdout=handle)
        code = process.wait(timeout=1500)
    over.set()
    events.add(f"Snakemake has ended with exit code {code}")
    run.said = log.read_text()
    print(slurm("sacct", "--duplicates", "-X", f"--format={COLUMNS}"))
    assert code == 0, "\n".join([run.said[-6000:], *events.lines])
    yield run
    cluster.end_processes(run.folder)


def test_every_fault_hit(faulty):
    assert faulty.events.errors == []
    wanted = [(name, fault) for name, faults in FAULTS.items() for fault in faults]
    assert sorted(map(str, faulty.events.injected)) == sorted(map(str, wanted))


def test_report_is_made_through_sbatch(faulty):
    assert "Smoke test of the whole pipeline" in pdf_text(faulty.results / "report.pdf")
    ran = slurm("sacct", "--noheader", "-X", "--parsable2", "--format=JobID,State,AllocTRES")
    found = {line.split("|")[1].split()[0] for line in ran.splitlines()}
    assert {"COMPLETED", "FAILED", "CANCELLED", "PREEMPTED"} <= found
    assert "gres/gpu=1" in ran


@pytest.mark.parametrize("experiment", FAULTS)
def test_weights_are_those_of_an_undisturbed_run(faulty, undisturbed, experiment):
    path = f"train/{experiment}/weights.safetensors"
    ours, theirs = (
        hashlib.sha256((run.results / path).read_bytes()).hexdigest()
        for run in (faulty, undisturbed)
    )
    print(f"{experiment}: SHA-256 {ours}, undisturbed {theirs}")
    assert ours == theirs


@pytest.mark.parametrize("experiment", FAULTS)
def test_evaluations_are_those_of_an_undisturbed_run(faulty, undisturbed, experiment):
    import pandas as pd

    folder = faulty.results / "eval" / experiment
    protocols = [path.name for path in folder.glob("*.parquet")]
    assert "clean.parquet" in protocols
    for name in protocols:
        rows = [
            pd.read_parquet(run.results / "eval" / experiment / name)
            for run in (faulty, undisturbed)
        ]
        clocks = [column for column in rows[0].columns if "seconds" in column]
        pd.testing.assert_frame_equal(*(given.drop(columns=clocks) for given in rows))


def test_shards_share_a_job(faulty):
    """Clean accuracy and two shards of AutoAttack: one SLURM job."""
    ran = slurm("sacct", "-n", "-X", "-P", "--format=JobID,Comment%80").splitlines()
    mine = [line for line in ran if "shards-demo_light" in line]
    assert len(mine) == 1, ran
    shards = faulty.results / "eval" / "demo_light" / "shards"
    assert len(list(shards.glob("*/*.parquet"))) == 3


def test_a_warned_training_went_on_where_it_stopped(faulty):
    assert faulty.events.saved
    ran = states(faulty.events.restarted)
    assert ran[0] == "REQUEUED" and ran[-1] == "COMPLETED" and len(ran) > 1, ran


def test_ctrl_c_cancelled_the_jobs(faulty):
    found = faulty.events.interrupted
    assert found["code"] != 0 and found["state"] == ["CANCELLED"], found


def test_nothing_is_left_in_the_queue(faulty):
    assert [job for job in jobs() if job.state in ("RUNNING", "PENDING")] == []


def test_two_machines_train_one_model(faulty, undisturbed, tmp_path):
    """torchrun's agents are started by `srun` on two nodes, each with its GPU."""
    target = "results/smoke/train/demo_canonical/weights.safetensors"
    overlay = tmp_path / "two.yaml"
    overlay.write_text("compute: {training: {device: cpu, processes: 1, nodes: 2}}")
    process = snakemake(faulty.folder, overlay, "--", target)
    said, _ = process.communicate(timeout=300)
    assert process.returncode == 0, said[-4000:]
    ran = slurm("sacct", "-n", "-X", "-P", "--format=JobID,AllocNodes,AllocTRES,State")
    assert any("|2|" in line and "gres/gpu=2" in line for line in ran.splitlines()), ran
    ours, theirs = (load_file(run.folder / target) for run in (faulty, undisturbed))
    assert ours.keys() == theirs.keys()
    for name in ours:
        assert torch.allclose(ours[name], theirs[name], atol=2e-5), name


@pytest.fixture
def check_site(tmp_path):
    """Ask this SLURM whether a site and a configuration fit."""

    def check(changes, config):
        given = yaml.safe_load(cluster.SITE.read_text(encoding="utf-8"))
        files = {"site.yaml": deep_merge(given, changes), "config.yaml": config}
        for name, values in files.items():
            (tmp_path / name).write_text(yaml.safe_dump(values))
        command = [sys.executable, "scripts/check_site.py", "--site"]
        done = subprocess.run(
            [*command, tmp_path / "site.yaml", "--configfile", *OVERLAYS, tmp_path / "config.yaml"],
            cwd=ROOT,
            env=environment(),
            capture_output=True,
            text=True,
            timeout=120,
        )
        return done.returncode, done.stdout + done.stderr

    return check


@pytest.mark.parametrize(
    ("changes", "config", "expected"),
    [
        (
            {"partitions": {"gpu": "gpus"}, "account": "lap"},
            {},
            ['partitions.gpu: unknown partition "gpus". Did you mean "gpu"?', 'account "lap"'],
        ),
        (
            {"gpu": {"type": "a100"}, "max_hours": {"gpu": 5}},
            {},
            [
                'gpu.type: no node of partition gpu has "a100"',
                "max_hours.gpu: 5 is longer than partition gpu allows: 2 h",
            ],
        ),
        (
            {},
            {"compute": {"training": {"device": "cpu", "processes": 8}}},
            ["compute.training.processes: a training asks for 8 GPUs on a node"],
        ),
    ],
)
def test_a_site_that_does_not_fit(slurm_cluster, check_site, changes, config, expected):
    code, said = check_site(changes, config)
    assert code != 0
    for text in (*expected, "nothing was submitted"):
        assert text in said


def test_drained_nodes_are_waited_for(slurm_cluster, check_site):
    """sbatch --test-only refuses what sbatch takes and queues."""
    slurm("scontrol", "update", "NodeName=n[2-4]", "State=DRAIN", "Reason=test")
    try:
        code, said = check_site({}, {"compute": {"training": {"device": "cpu", "nodes": 2}}})
        job = slurm("sbatch", "--parsable", "-p", "gpu", "-A", "lab", "-N2", "--gres=gpu:1",
                    "-o", "/dev/null", "--wrap", "true")  # fmt: skip
        assert [found.state for found in jobs("--jobs", job)] == ["PENDING"]
        slurm("scancel", job)
    finally:
        slurm("scontrol", "update", "NodeName=n[2-4]", "State=RESUME")
    assert code == 0, said
    assert "warning: a training has to wait for nodes that are down or drained: n2, n3, n4" in said
