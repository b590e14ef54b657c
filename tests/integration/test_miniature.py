"""The miniature's machinery from images to verdicts in the PDF, with one claim and two seeds."""

import json

import pytest
from pypdf import PdfReader

from tests.integration.conftest import planned_jobs

pytestmark = pytest.mark.end_to_end

OVERLAYS = ("configs/miniature.yaml", "tests/integration/miniature_smoke.yaml")
MINIATURE = ("--profile", "none", "--configfile", *OVERLAYS, "--cores", "2")


@pytest.fixture(scope="module")
def results(smoke):
    """The run's folder, in the copy that has CIFAR-10 already."""
    done = smoke.snakemake(*MINIATURE, "--max-checksum-file-size", "100000000")
    assert done.returncode == 0, (done.stdout + done.stderr)[-6000:]
    return smoke.folder / "results" / "miniature_smoke"


def test_verdict_rests_on_every_run(results):
    (claim,) = json.loads((results / "summary.json").read_text())["claims"]
    assert claim["verdict"] in ("supported", "contradicted", "undecided")
    for group, run in zip(claim["groups"], ("warmup", "canonical"), strict=True):
        for member, seed in zip(group["members"], (1, 2), strict=True):
            name = f"mini_{run}_seed{seed}"
            assert (member["experiment"], member["seed"]) == (name, seed)
            record = json.loads((results / f"eval/{name}/autoattack.json").read_text())
            assert member["value"] == record["robust_top1"]["value"]
    assert claim["missing"] == [] and not claim["stand_in"]


def test_report_shows_the_verdict(results):
    pages = PdfReader(results / "report.pdf").pages
    text = " ".join(" ".join(page.extract_text() for page in pages).split())
    verdict = json.loads((results / "claims.json").read_text())["claims"][0]["verdict"]
    assert "ε warm-up raises robust accuracy." in text and f"Verdicts: 1 {verdict}." in text
    assert "claims.csv" in (results / "report.html").read_text(encoding="utf-8")


def test_a_seed_that_is_lost_is_the_only_one_repeated(smoke, results):
    lost = ("claims.json", "claims.csv", "summary.json", "report.pdf", "report.html")
    for name in ("eval/mini_warmup_seed2/autoattack.json", *lost):
        (results / name).unlink()
    done = smoke.snakemake(*MINIATURE, "--max-checksum-file-size", "100000000", "-n")
    jobs = planned_jobs(done.stdout + done.stderr)
    assert ("judge_claims",) in jobs
    assert ("gather_evaluation", "mini_warmup_seed2", "autoattack") in jobs
    assert not {job for job in jobs if job[0] in ("pretrain_model", "evaluate_model")}
