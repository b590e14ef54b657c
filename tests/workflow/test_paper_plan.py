"""The paper's plan: quick, small, counted, and each target with nothing but what it needs."""

import json
import subprocess
import sys

import pytest
import yaml

from robustvit.config.report_jobs import job_counts
from robustvit.config.resolve import resolve
from tests.workflow.closures import closure, planned
from tests.workflow.conftest import ROOT, environment
from tests.workflow.test_plans import job_counts as printed_counts

SECONDS, KIBIBYTES = 15, 1 << 20
TARGETS = {
    **{f"table{n}": [f"tables/table{n}.json"] for n in range(1, 10)},
    **{f"figure{n}": [f"figures/figure{n}.pdf"] for n in (1, 11, 12, 13, 14)},
}


@pytest.fixture(scope="module")
def config(checkout):
    return resolve(yaml.safe_load((checkout / "workflow_config.yaml").read_text(encoding="utf-8")))


# A process of its own: the peak memory of a child starts at that of the process that forks it, and
# the one that runs the tests is large.
MEASURE = """
import json, resource, subprocess, sys
done = subprocess.run([sys.executable, "-m", "snakemake", *sys.argv[1:]])
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps({"seconds": used.ru_utime + used.ru_stime, "kibibytes": used.ru_maxrss}))
sys.exit(done.returncode)
"""


def planned_with_usage(*arguments):
    """Run Snakemake; return what it printed, its CPU seconds and its peak memory."""
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, *arguments],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    used = json.loads(done.stdout.splitlines()[-1])
    return done.stdout + done.stderr, used["seconds"], used["kibibytes"]


@pytest.mark.parametrize("profile", ["slurm", "tpu"])
def test_the_whole_paper_plans_in_time_and_memory(config, profile):
    text, seconds, kibibytes = planned_with_usage(
        "--profile", profile, "-n", "--quiet", "rules", "--forceall"
    )
    # CPU seconds, not those of the clock: other tests run beside this one.
    assert seconds < SECONDS
    assert kibibytes < KIBIBYTES
    counts = printed_counts(text)
    assert counts.pop("total") == sum(job_counts(config).values()) + counts.pop("report")
    assert counts == job_counts(config)


@pytest.mark.parametrize("target", TARGETS)
def test_a_target_plans_its_own_closure(snakemake, config, target):
    done = snakemake("--profile", "slurm", "-n", "--forceall", target)
    assert done.returncode == 0, done.stdout + done.stderr
    assert planned(done.stdout + done.stderr) == closure(config, TARGETS[target])


def test_checkpoints_evaluates_every_checkpoint(snakemake, config):
    evaluated = [
        f"eval/{name}/{protocol}.parquet"
        for name, entry in config["experiments"].items()
        if "checkpoint" in (entry["weights"] or {})
        for protocol in entry["evaluate"]
    ]
    imported = [f"checkpoints/{name}/weights.safetensors" for name in config["checkpoints"]]
    done = snakemake("--profile", "slurm", "-n", "--forceall", "checkpoints")
    assert done.returncode == 0, done.stdout + done.stderr
    assert planned(done.stdout + done.stderr) == closure(config, evaluated + imported)
    assert not [path for path in planned(done.stdout) if path.startswith("train/")]
