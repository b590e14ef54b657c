"""What does not fit a cluster is named before a job is submitted."""

import pytest

from robustvit.cluster import slurm
from robustvit.cluster.checks import Request, check_site
from robustvit.cluster.site import DEFAULTS
from robustvit.config.merge import deep_merge
from robustvit.core.errors import UserError

FITS = {
    "account": "lab",
    "partitions": {"gpu": "gpu", "cpu": "cpu"},
    "max_memory_gb": {"gpu": 128, "cpu": 128},
}
TRAINING = Request("a training", "gpu", per_node=4, cpus=32, memory_mb=100_000, minutes=1440)
BUILDING = Request("building a data set", "cpu")


def check(site=None, wanted=(TRAINING, BUILDING), folder="/nowhere"):
    return check_site(deep_merge(DEFAULTS, FITS, site or {}), wanted, folder)


def problems(**options):
    with pytest.raises(UserError) as error:
        check(**options)
    assert "nothing was submitted" in str(error.value)
    return str(error.value)


def test_a_site_that_fits_passes(pretended):
    assert check() == []
    assert check({"account": None, "qos": "long", "gpu": {"type": "a100"}}) == []
    tried = [call for call in pretended.calls if call[0] == "sbatch"]
    assert tried and all("--test-only" in call for call in tried)


def test_no_slurm_on_the_machine(pretended):
    pretended.remove("sinfo")
    assert "no SLURM on this machine: sinfo was not found" in problems()


def test_controller_that_does_not_answer(pretended):
    pretended.answer("sinfo", "Unable to contact slurm controller", code=1)
    assert "SLURM does not answer: sinfo: Unable to contact" in problems()


@pytest.mark.parametrize(
    ("site", "expected"),
    [
        ({"partitions": {"gpu": "gpus"}}, 'unknown partition "gpus". Did you mean "gpu"?'),
        ({"partitions": {"cpu": "long"}}, "Known: cpu, gpu."),
        ({"account": "lap"}, 'use the account "lap". Did you mean "lab"? Known: lab, lab2.'),
        ({"qos": "fast"}, 'qos: unknown quality of service "fast". Known: long, normal.'),
        ({"max_hours": {"gpu": 48}}, "max_hours.gpu: 48 is longer than partition gpu allows: 24 h"),
        ({"max_memory_gb": {"gpu": 600}}, "max_memory_gb.gpu: 600 is more than a node of"),
        ({"gpu": {"type": "h100"}}, 'gpu.type: no node of partition gpu has "h100"'),
        ({"partitions": {"gpu": "cpu"}}, "partitions.gpu: no node of partition cpu has GPUs"),
        ({"constraint": "nvlnk"}, 'constraint: no node of partition gpu has "nvlnk". Did you mean'),
        ({"queue": {"poll_seconds": 200}}, "Largest value here: 100"),
    ],
)  # fmt: skip
def test_keys_that_do_not_fit(pretended, site, expected):
    assert expected in problems(site=site)


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (Request("a training", "gpu", per_node=8), "compute.training.processes: a training asks"),
        (Request("a training", "gpu", nodes=3), "compute.training.nodes: a training asks for 3"),
        (
            Request("a training", "gpu", nodes=2, memory_mb=300_000),
            "asks for 2 nodes with 1 cores, 300 GB each; partition gpu has 1 such nodes",
        ),
        (Request("a training", "gpu", cpus=128), "compute.threads: a training asks for 128 cores"),
    ],
)  # fmt: skip
def test_requests_that_no_node_can_meet(pretended, request_, expected):
    assert expected in problems(wanted=[request_])


def test_no_account_where_one_is_needed(pretended):
    pretended.answer("sacctmgr", "", "show associations")
    assert "asks for an account" in problems(site={"account": None})


def test_account_without_a_data_base_is_not_checked(pretended):
    pretended.answer("sacctmgr", "accounting storage is disabled", code=1)
    check()


def test_partition_that_is_down(pretended):
    pretended.answer(
        "sinfo", "gpu|down|1-00:00:00|n1|down*|gpu:4|8|8000|x\ncpu*|up|1:00|c|idle||1|1|"
    )
    assert "partitions.gpu: partition gpu is not up" in problems()


UNAVAILABLE = "allocation failure: Requested node configuration is not available"
TWO_NODES = Request("a training", "gpu", per_node=4, nodes=2, cpus=32)


def drain(pretended, *names):
    nodes = "\n".join(
        f"gpu|up|1-00:00:00|{name}|{'drained' if name in names else 'idle'}|gpu:a100:4|64|256000|x"
        for name in ("n1", "n2")
    )
    pretended.answer("sinfo", f"{nodes}\ncpu*|up|infinite|c1|idle|(null)|32|128000|(null)")
    pretended.answer("sbatch", UNAVAILABLE, "gpu", code=1)


def test_drained_nodes_are_waited_for(pretended):
    drain(pretended, "n2")
    (warning,) = check(wanted=[TWO_NODES])
    assert "a training has to wait" in warning and "n2 (sinfo -R)" in warning
    assert "1 of the 2" in warning


def test_all_nodes_drained(pretended):
    drain(pretended, "n1", "n2")
    (warning,) = check()
    assert "down or drained: n1, n2" in warning and "0 of the 1" in warning


def test_more_than_the_partition_has_is_not_waited_for(pretended):
    drain(pretended, "n2")
    three = Request("a training", "gpu", per_node=4, nodes=3)
    assert "asks for 3 nodes" in problems(wanted=[three])
    # One node is enough, and up: it is refused for another reason.
    assert UNAVAILABLE in problems(wanted=[TRAINING])


@pytest.mark.parametrize("said", ["Invalid account", "Requested time limit is invalid"])
def test_other_refusals_count_though_nodes_are_drained(pretended, said):
    drain(pretended, "n2")
    pretended.answer("sbatch", said, "gpu", code=1)
    assert said in problems(wanted=[TWO_NODES])


def test_what_only_sbatch_knows(pretended):
    pretended.answer("sbatch", "Requested time limit is invalid", "gpu", code=1)
    text = problems()
    assert "SLURM refuses a training: sbatch: Requested time limit is invalid" in text
    assert "--gpus=4" in text


def test_jobs_of_an_earlier_run_are_named(pretended, tmp_path):
    listed = f"17|robustvit_abc|{tmp_path}\n18|robustvit_abc|/elsewhere\n19|mine|{tmp_path}"
    pretended.answer("squeue", listed)
    assert "scancel 17" in problems(folder=str(tmp_path))
    check(folder="/third")


@pytest.mark.parametrize(
    ("gres", "expected"),
    [
        ("gpu:2", {"": 2}),
        ("gpu:a100:4(S:0-1)", {"a100": 4}),
        ("gpu:a100:4(S:0,1),gpu:t4:2", {"a100": 4, "t4": 2}),
        ("gpu:nvidia_a100_3g.39gb:2,shard:8", {"nvidia_a100_3g.39gb": 2}),
        ("(null)", {}),
        ("gpu", {"": 1}),
    ],
)
def test_gres_are_read(gres, expected):
    assert slurm.read_gpus(gres) == expected


@pytest.mark.parametrize(
    ("limit", "expected"),
    [("30", 30), ("30:30", 30.5), ("2:00:00", 120), ("1-00:00:00", 1440), ("2-12", 3600),
     ("1-2:30", 1590), ("infinite", None), ("UNLIMITED", None), ("n/a", None)],
)  # fmt: skip
def test_time_limits_are_read(limit, expected):
    assert slurm.read_minutes(limit) == expected


def test_each_partition_has_its_own_memory(pretended):
    large = {"gpu": 128, "cpu": 600}
    assert "max_memory_gb.cpu: 600 is more than a node of partition cpu" in problems(
        site={"max_memory_gb": large}
    )


def test_what_sinfo_prints_otherwise_is_told(pretended):
    pretended.answer("sinfo", "gpu|up\n")
    with pytest.raises(UserError, match=r"sinfo printed 'gpu\|up', not nine columns.*check: false"):
        check()
