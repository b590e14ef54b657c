"""A run of the paper with hundreds of shards per evaluation is planned in seconds."""

import json
import shutil
import subprocess
import sys

import pytest

from tests.workflow.conftest import environment, run_snakemake
from tests.workflow.test_paper_plan import planned_with_usage
from tests.workflow.test_plans import job_counts

SHARDED = ("autoattack", "apgd-ce-5", "pgd200")
SECONDS, KIBIBYTES = 30, 2 << 20


def sharded(folder, shards):
    """An overlay with so many shards for every costly evaluation."""
    overlay = folder / f"shards{shards}.yaml"
    overlay.write_text(json.dumps({"protocols": {name: {"shards": shards} for name in SHARDED}}))
    return overlay


def test_a_dry_run_of_64_shards_per_evaluation(tmp_path):
    arguments = ("--profile", "slurm", "--configfile", str(sharded(tmp_path, 64)))
    text, seconds, kibibytes = planned_with_usage(
        *arguments, "-n", "--quiet", "rules", "--forceall"
    )
    assert job_counts(text)["evaluate_model"] > 5000
    assert seconds < SECONDS
    assert kibibytes < KIBIBYTES


def test_256_shards_per_evaluation_are_ready_for_submission(tmp_path):
    """The graph of jobs alone, which a submission waits for: a dry run prints each job too."""
    arguments = ("--profile", "slurm", "--configfile", str(sharded(tmp_path, 256)))
    text, seconds, kibibytes = planned_with_usage(*arguments, "--rulegraph", "--forceall")
    assert "evaluate_model" in text
    assert seconds < SECONDS
    assert kibibytes < KIBIBYTES


HASH = """
import sys
from robustvit.core.sources import code_digest
print(code_digest("evaluate_model.py", ["robustvit.attacks.apgd_ce"]))
"""


def code_hash(scripts):
    """The hash that a shard has as parameter, of the sources in that folder."""
    done = subprocess.run(
        [sys.executable, "-c", HASH],
        env={**environment(), "PYTHONPATH": str(scripts)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_hash_of_a_shards_code_tells_an_edit(checkout, tmp_path):
    """Shards have their code as one hash in place of fifty inputs: it has to tell as much."""
    scripts = tmp_path / "scripts"
    shutil.copytree(checkout / "scripts", scripts, ignore=shutil.ignore_patterns("__pycache__"))
    before = code_hash(checkout / "scripts")
    assert code_hash(scripts) == before  # wherever the checkout is, and whenever it was made
    edit(scripts / "robustvit/reporting/style.py")
    assert code_hash(scripts) == before
    for file in ("robustvit/attacks/_apgd.py", "evaluate_model.py"):
        earlier = code_hash(scripts)
        edit(scripts / file)
        assert code_hash(scripts) != earlier


def edit(path):
    path.write_text(path.read_text(encoding="utf-8") + "\n# edited\n", encoding="utf-8")


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("nope/shards/clean/0-of-1", 'unknown experiment "nope"'),
        ("xcit_s12_light/shards/autoatack/0-of-1", 'Did you mean "autoattack"?'),
    ],
)
def test_a_shard_of_an_unknown_name(path, said):
    done = run_snakemake("--profile", "slurm", "-n", f"results/paper/eval/{path}.parquet")
    assert done.returncode != 0
    assert said in done.stdout + done.stderr
