"""The paper's plan: quick, small, counted, and each target with nothing but what it needs."""

import resource

import pytest
import yaml

from robustvit.config.report_jobs import job_counts
from robustvit.config.resolve import resolve
from tests.workflow.closures import closure, planned
from tests.workflow.test_plans import job_counts as printed_counts

SECONDS, KIBIBYTES = 15, 1 << 20
TARGETS = {
    **{f"table{n}": [f"tables/table{n}.json"] for n in range(1, 10)},
    **{f"figure{n}": [f"figures/figure{n}.pdf"] for n in (1, 11, 12, 13, 14)},
}


@pytest.fixture(scope="module")
def config(checkout):
    return resolve(yaml.safe_load((checkout / "workflow_config.yaml").read_text(encoding="utf-8")))


@pytest.mark.parametrize("profile", ["slurm", "tpu"])
def test_the_whole_paper_plans_in_time_and_memory(snakemake, config, profile):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = snakemake("--profile", profile, "-n", "--quiet", "rules", "--forceall")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 0, done.stdout + done.stderr
    # CPU seconds, not those of the clock: other tests run beside this one.
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < SECONDS
    assert after.ru_maxrss < KIBIBYTES
    counts = printed_counts(done.stdout + done.stderr)
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
