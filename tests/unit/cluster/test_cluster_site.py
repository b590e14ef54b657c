"""The site file: defaults, mistakes, and the options that follow from it."""

from pathlib import Path

import pytest
import yaml

from robustvit.cluster import requests
from robustvit.cluster.profile import options
from robustvit.cluster.site import DEFAULTS, SHIPPED, load_site, site_path
from robustvit.config.merge import deep_merge
from robustvit.core.errors import UserError


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "site.yaml"
    path.write_text(text)
    return path


def test_shipped_file_says_what_the_defaults_are():
    shipped = yaml.safe_load(SHIPPED.read_text(encoding="utf-8"))
    assert deep_merge(shipped, {"partitions": {"gpu": None}}) == DEFAULTS
    assert load_site(SHIPPED)["partitions"]["gpu"] == "gpu"


def test_left_out_keys_have_defaults(tmp_path):
    site = load_site(write(tmp_path, "account: lab\ngpu: {request: gres}\n"))
    assert site["account"] == "lab" and site["gpu"]["request"] == "gres"
    assert site["gpu"]["device"] == "a100" and site["queue"]["jobs"] == 64


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("acount: lab", ["acount: unknown key", '"account"']),
        ("partitions: gpu", ["partitions", "object"]),
        ("gpu: {request: gpu}", ["gpu.request", "gres"]),
        ("queue: {jobs: 0}", ["queue.jobs", "minimum", "64"]),
        ("max_hours: {gpu: 0}", ["max_hours.gpu"]),
        ("- a", ["expected keys and values"]),
        ("a: [", ["not valid YAML"]),
        ("max_hours: {gpu: 0.1}", ["training.warn_seconds", "max_hours.gpu"]),
        ("gpu: {request: none, type: a100}", ["gpu.type"]),
        ("extra: --nice=5 --time=60", ["extra: --time=60", "max_hours.gpu"]),
        ("extra: -p cpu", ["extra: -p", "partitions.gpu"]),
        ("extra: --signal=USR1@10", ["extra: --signal=USR1@10", "Leave it out"]),
        ("extra: --nice=5 --job-name=x", ["extra: --job-name", "sets the job name itself"]),
        ("extra: --nodes=4", ["extra: --nodes", "number of nodes"]),
        ("partitions: {gpu: 'gpu, cpu'}", ["partitions.gpu"]),
        ("max_memory_gb: {gpus: 3}", ["max_memory_gb.gpus: unknown key"]),
    ],
)
def test_mistakes_name_file_and_key(tmp_path, text, expected):
    path = write(tmp_path, text)
    with pytest.raises(UserError) as error:
        load_site(path)
    for part in [str(path), *expected]:
        assert part in str(error.value)


@pytest.mark.parametrize("extra", ["--exclude=node-p", "--nice=5 --mail-type=END"])
def test_other_options_are_passed_on(tmp_path, extra):
    assert load_site(write(tmp_path, f"extra: {extra}"))["extra"] == extra


def test_one_number_is_the_memory_of_both_partitions(tmp_path):
    found = load_site(write(tmp_path, "max_memory_gb: 60"))["max_memory_gb"]
    assert found == {"gpu": 60, "cpu": 60}


def test_a_file_that_is_not_utf_8_is_told(tmp_path):
    path = tmp_path / "site.yaml"
    path.write_bytes(b"account: caf\xe9")
    with pytest.raises(UserError, match=r"site\.yaml: not UTF-8 text .* the site file"):
        load_site(path)


def test_missing_file_names_the_variable(tmp_path, monkeypatch):
    monkeypatch.setenv("ROBUSTVIT_SITE", str(tmp_path / "nowhere.yaml"))
    with pytest.raises(UserError, match=r"nowhere\.yaml.*ROBUSTVIT_SITE"):
        load_site(site_path())


def test_options_follow_the_site():
    site = deep_merge(
        DEFAULTS,
        {"account": "lab-1", "qos": "long", "queue": {"per_minute": 7, "shards_per_job": 3}},
        {"partitions": {"cpu": "batch"}},
    )
    found = options(site)
    assert found["max-jobs-per-timespan"] == "7/1m"
    assert found["slurm-robustvit-qos"] == "long" and "slurm-robustvit-reservation" not in found
    # Snakemake evaluates these as Python: without quotes, lab minus one.
    assert found["default-resources"]["slurm_account"] == "'lab-1'"
    assert found["default-resources"]["slurm_partition"] == "'batch'"
    assert list(found["group-components"].values()) == [3]


@pytest.mark.parametrize(
    ("gpu", "expected"),
    [
        ({"request": "gpus", "type": None}, {"gpu": 16}),
        ({"request": "gpus", "type": "a100"}, {"gpu": 16, "gpu_model": "a100"}),
        ({"request": "gres", "type": None}, {"gres": "gpu:8"}),
        ({"request": "gres", "type": "a100"}, {"gres": "gpu:a100:8"}),
        ({"request": "none", "type": None}, {}),
    ],
)
def test_gpus_are_asked_for_as_the_site_wants(gpu, expected):
    assert requests.gpu_resources(deep_merge(DEFAULTS, {"gpu": gpu}), 8, 2) == expected


def test_time_limits_never_exceed_what_the_site_allows():
    limit = requests.time_limit(DEFAULTS, "gpu", wanted=600, default=60)
    assert [limit(attempt) for attempt in (1, 2, 3)] == [600, 1200, 1440]
    shared = requests.time_limit(DEFAULTS, "gpu", wanted=None, default=480, shares=4)
    assert shared(1) == 360  # four of them in a job of 24 hours


def test_memory_grows_up_to_a_node():
    memory = requests.memory(deep_merge(DEFAULTS, {"max_memory_gb": {"gpu": 30}}), 12_000)
    assert [memory(attempt) for attempt in (1, 2, 3)] == [12_000, 24_000, 30_000]


def test_only_trainings_are_warned():
    assert "--signal=TERM@300" in requests.extra_options(DEFAULTS, training=True)
    assert "--signal" not in requests.extra_options(DEFAULTS)
    several = requests.extra_options(DEFAULTS, training=True, per_node=4, nodes=2)
    assert "--gpus-per-node=4" in several
