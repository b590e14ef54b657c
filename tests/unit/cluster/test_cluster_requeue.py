"""A training queues its own job again, and only when that is its to decide."""

import pytest

from robustvit.cluster.requeue import VARIABLE, requeue_own_job


@pytest.fixture
def job(pretended, monkeypatch):
    monkeypatch.setenv(VARIABLE, "1")
    monkeypatch.setenv("SLURM_JOB_ID", "42")
    pretended.answer("squeue", "RUNNING")
    return pretended


def requeued(pretended):
    return ["scontrol", "requeue", "42"] in pretended.calls


def test_a_running_job_is_queued_again(job):
    assert requeue_own_job() and requeued(job)


@pytest.mark.parametrize("state", ["CANCELLED", "TIMEOUT", "PREEMPTED", "COMPLETING", ""])
def test_a_job_that_slurm_has_ended_is_not(job, state):
    job.answer("squeue", state)
    assert not requeue_own_job() and not requeued(job)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (VARIABLE, None),
        ("SLURM_JOB_ID", None),
        ("SLURM_PROCID", "1"),
        ("SLURM_RESTART_COUNT", "200"),
    ],
)
def test_not_this_job_or_not_this_process(job, monkeypatch, name, value):
    if value is None:
        monkeypatch.delenv(name)
    else:
        monkeypatch.setenv(name, value)
    assert not requeue_own_job() and not requeued(job)


def test_a_refusal_is_a_warning(job, capsys):
    job.answer("scontrol", "Access/permission denied", "requeue", code=1)
    assert not requeue_own_job()
    assert "permission denied" in capsys.readouterr().err


def test_without_slurms_programs(job, capsys):
    job.remove("squeue")
    assert not requeue_own_job()
    assert "squeue" in capsys.readouterr().err
