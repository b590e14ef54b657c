"""Every profile plans, the plan is the expected one, and the sources are clean."""

import re
import subprocess
import sys

import pytest


def job_counts(text):
    """Read the table of job counts that a dry run prints."""
    lines = re.findall(r"^(\w+) +(\d+)$", text, flags=re.MULTILINE)
    return {name: int(count) for name, count in lines}


def plan(snakemake, *arguments):
    done = snakemake("-n", "--quiet", "rules", *arguments, "--forceall")
    assert done.returncode == 0, done.stdout + done.stderr
    return job_counts(done.stdout + done.stderr)


@pytest.mark.parametrize("profile", ["demo", "slurm", "tpu"])
def test_profile_plans(snakemake, profile):
    counts = plan(snakemake, "--profile", profile)
    assert counts["render_report"] == 1
    assert counts["total"] > 20


def test_demo_runs_every_stage(snakemake):
    counts = plan(snakemake, "--profile", "demo")
    expected = {
        "build_dataset": 5,
        "pretrain_model": 4,
        "finetune_model": 4,
        "make_perturbations": 2,
        "classify_perturbations": 2,
        "accumulate_gradients": 2,
        "make_table": 4,
        "compare_classifications": 1,
        "take_epoch": 6,
        "measure_losses": 8,
        "make_figure": 20,  # two of each data set among them
        "render_page": 1,
        "render_html": 1,
    }
    assert {name: counts.get(name) for name in expected} == expected


@pytest.mark.parametrize(
    ("target", "needed", "unneeded"),
    [
        (
            "demo_semantics",
            {"make_perturbations": 2, "finetune_model": 2},
            {"make_figure", "render_report"},
        ),
        (
            "demo_recipes",
            {"pretrain_model": 3, "evaluate_model": 14},
            {"finetune_model", "make_figure", "make_perturbations"},
        ),
    ],
)
def test_a_table_plans_its_own_closure_only(snakemake, target, needed, unneeded):
    counts = plan(snakemake, "--profile", "demo", target)
    assert {name: counts.get(name) for name in needed} == needed
    assert not unneeded & set(counts)


def test_lint(snakemake):
    done = snakemake("--lint")
    assert done.returncode == 0, done.stdout + done.stderr


def test_format(checkout):
    files = [checkout / "Snakefile", *sorted((checkout / "rules").glob("*.smk"))]
    done = subprocess.run(
        [sys.executable, "-m", "snakefmt", "--check", *files], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_reference_page_is_the_schema(checkout):
    from robustvit.config.reference import reference_page
    from robustvit.config.schema import load_schema

    page = (checkout / "docs" / "configuration.md").read_text(encoding="utf-8")
    assert page == reference_page(load_schema()), (
        "run: python scripts/document_configuration.py --output docs/configuration.md"
    )


@pytest.mark.parametrize(
    ("overlay", "expected"),
    [
        ("experiments: {demo_light: {recipe: demo_lihgt}}", 'Did you mean "demo_light"?'),
        ("recipies: {}", "recipies: unknown key."),
        (
            "experiments: {demo_light: {threat: {norm: linf, epsilon_255: 0.03}}}",
            "for 8/255 write 8",
        ),
    ],
)
def test_a_mistake_stops_before_any_job(snakemake, tmp_path, overlay, expected):
    path = tmp_path / "mine.yaml"
    path.write_text(overlay)
    done = snakemake("--profile", "demo", "--configfile", "configs/demo.yaml", path, "-n")
    assert done.returncode != 0
    assert expected in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
