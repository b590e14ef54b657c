"""The processes of a training on several machines find each other."""

import pytest

from robustvit.training.launch import PORT, Processes, _meeting_point


@pytest.fixture
def job(pretended, monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", "1042")
    monkeypatch.setenv("SLURM_JOB_NODELIST", "n[1-2]")
    return pretended


def test_they_meet_where_slurm_reaches_the_first_node(job):
    """The name of a node in SLURM need not be one that the network knows."""
    assert _meeting_point(Processes(nodes=2)) == f"10.0.0.1:{PORT + 42}"


@pytest.mark.parametrize("shown", ["NodeName=n1 Arch=x86_64", "NodeAddr=fe80::1 NodeHostName=n1"])
def test_without_such_an_address_by_its_name(job, shown):
    job.answer("scontrol", shown, "show node")
    assert _meeting_point(Processes(nodes=2)) == f"n1:{PORT + 42}"


def test_a_given_place_is_taken(job):
    assert _meeting_point(Processes(nodes=2, rendezvous="head:29500")) == "head:29500"
    assert job.calls == []
