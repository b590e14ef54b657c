"""Cost: measured hours, and estimates that follow from the prices by hand-worked sums."""

import pytest
import yaml

from robustvit.planning.facts import load_facts
from robustvit.reporting.cost import collect_cost, price_name
from robustvit.reporting.display_cost import display_cost, estimate, significant

HEAD = "s\th:m:s\tmax_rss\tcpu_time\n"
JOBS = {"train_model": ["one", "two"], "write_summary": None}


@pytest.fixture
def root(tmp_path):
    """Two trainings of half a core-hour each, and a file of a job that nobody asks for."""
    folder = tmp_path / "benchmarks/train_model"
    folder.mkdir(parents=True)
    for name in ("one", "two", "leftover"):
        (folder / f"{name}.tsv").write_text(f"{HEAD}3600\t1:00:00\t800\t1800\n")
    (tmp_path / "benchmarks/write_summary.tsv").write_text(f"{HEAD}1\t0:00:01\t-\t-\n")
    return tmp_path


@pytest.fixture
def facts(tmp_path):
    """Round numbers in place of the assumptions."""
    device = {"watts": {"low": 10, "expected": 20, "high": 40}, "price_per_hour": 2}
    site = {
        "devices": {"cpu-core": device, "a100": {"watts": 400, "price_per_hour": 3}},
        "power_overhead": {"low": 1, "expected": 1.5, "high": 2},
        "host_watts_per_device": 100,
        "grams_co2_per_kwh": {"low": 100, "expected": 400, "high": 800},
    }
    (tmp_path / "site.yaml").write_text(yaml.safe_dump(site))
    return load_facts(tmp_path / "site.yaml")


def test_cores_cost_their_processor_time(root, facts):
    found = collect_cost(root, JOBS, [{"device": "cpu", "seconds": 9e9}], facts)
    (line,) = found["lines"]
    assert line["hours"] == pytest.approx(1.0)  # of cores, not of the clock
    assert found["kwh"] == pytest.approx({"low": 0.01, "expected": 0.03, "high": 0.08})
    assert found["kg_co2"] == pytest.approx({"low": 0.001, "expected": 0.012, "high": 0.064})
    assert found["money"] == pytest.approx({"low": 2, "expected": 2, "high": 2})


def test_accelerators_cost_what_the_jobs_report_and_their_hosts(root, facts):
    made = [{"device": "NVIDIA A100-SXM4-80GB", "seconds": 3600, "processes": 2}]
    made += [{"device": "NVIDIA A100-SXM4-80GB", "seconds": 1800}, {"device": None, "seconds": 5}]
    found = collect_cost(root, JOBS, made, facts)
    card, cores = found["lines"]
    assert card["hours"] == pytest.approx(2.5)
    assert card["kwh"]["expected"] == pytest.approx(2.5 * 0.5 * 1.5)
    assert card["money"]["expected"] == pytest.approx(7.5)
    assert cores["hosted"] and cores["kwh"]["high"] == 0  # in the hosts' watts already
    rows = display_cost({"cost": found})["rows"]
    assert [row["kwh"] for row in rows] == ["1.9 kWh (1.2–2.5)", "in the line above"]


def test_a_device_without_known_power_is_named_and_in_no_sum(root, facts):
    found = collect_cost(root, {}, [{"device": "Example GPU", "seconds": 3600}], facts)
    assert (found["lines"], found["unknown"]) == ([], ["Example GPU"])
    assert found["kwh"] == {"low": 0, "expected": 0, "high": 0}
    sentences = display_cost({"cost": found})["sentences"]
    assert any("The power of “Example GPU” is not in planning/prices.yaml" in s for s in sentences)


def test_says_what_is_measured_and_what_is_assumed(root, facts):
    found = display_cost({"cost": collect_cost(root, JOBS, [], facts)})
    assert "The hours are measured; nothing measured the power." in " ".join(found["sentences"])
    assert "100–800 g of CO2" in " ".join(found["sentences"])
    assert found["rows"][0]["kwh"] == "30 Wh (10–80)"


def test_nothing_was_run(tmp_path, facts):
    found = display_cost({"cost": collect_cost(tmp_path, JOBS, [], facts)})
    assert found["rows"] == [] and "nothing to estimate from" in found["sentences"][0]


@pytest.mark.parametrize(
    ("device", "name"),
    [
        ("cpu", "cpu-core"),
        ("NVIDIA H200", "h200"),
        ("Tesla V100-SXM2-16GB", "v100"),
        ("NVIDIA GeForce RTX 3090", "rtx3090"),
        ("TPU v4", "tpu-v4-core"),
        ("NVIDIA L4", None),
    ],
)
def test_names_of_devices(device, name):
    assert price_name(device) == name
    assert name is None or name in load_facts().prices["devices"]


def test_two_useful_digits():
    shown = [significant(x) for x in (0, 0.00123, 0.0999, 0.38, 1.96, 12.4, 99.7, 1871)]
    assert shown == ["0", "0.0012", "0.10", "0.38", "2.0", "12", "100", "1\u2009900"]
    assert estimate({"low": 0, "expected": 0, "high": 0}) == "0"
