"""What a run cost: measured hours by device, and an estimate of energy, CO2 and money from them.

Hours are measured. Watts, the building's share, grams of CO2 and prices are the assumptions of
planning/prices.yaml, so everything else is an estimate with a range.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from robustvit.planning.facts import Facts
from robustvit.planning.ranges import ZERO, Range, total
from robustvit.reporting.results import read_table
from robustvit.reporting.stages import benchmark_files

HOUR = 3600.0
CPU = "cpu-core"
# How a device calls itself, and its name in planning/prices.yaml; the first part found counts.
DEVICES = {
    "h200": "h200",
    "h100": "h100",
    "a100": "a100",
    "v100": "v100",
    "3090": "rtx3090",
    "xla": "tpu-v4-core",
    "tpu": "tpu-v4-core",
}


def price_name(device: str | None) -> str | None:
    """The name of a device in planning/prices.yaml; None for one that is not there."""
    if device in (None, "cpu"):
        return CPU
    found = [name for part, name in DEVICES.items() if part in device.lower()]
    return found[0] if found else None


def collect_cost(root: Path, jobs: Mapping, made: Iterable[Mapping], facts: Facts) -> dict:
    """Measure the hours of a run and estimate what they cost.

    Args:
        root: results root, whose benchmark files hold the processors' time of each job.
        jobs: see `robustvit.reporting.stages.collect_stages`.
        made: one {"device", "seconds", "processes"} per training, evaluation or analysis, as its
            own file says.
        facts: prices and power.

    Returns:
        {"lines": [{"device", "label", "hours", "watts", "kwh", "kg_co2", "money", "basis",
        "hosted": whether another line has its power and price}],
        "unknown": [devices without known power], "kwh", "kg_co2", "money": ranges {"low",
        "expected", "high"} of all lines, "currency", "assumptions": {...}}; `hours` is a number.
    """
    hours = _accelerator_hours(made)
    cores = _core_hours(root, jobs)
    known = [_line(facts, name, device, used) for device, (name, used) in hours.items() if name]
    if cores:
        known.append(_line(facts, CPU, "cpu", cores, bool(hours)))
    sums = {key: total(line[key] for line in known) for key in ("kwh", "kg_co2", "money")}
    return {
        "lines": [_plain(line) for line in known],
        "unknown": [device for device, (name, _) in hours.items() if not name],
        **_plain(sums),
        "currency": facts.prices["currency"],
        "assumptions": _assumptions(facts),
    }


def _accelerator_hours(made: Iterable[Mapping]) -> dict[str, tuple[str | None, float]]:
    """Hours by accelerator, as trainings, evaluations and analyses timed themselves."""
    hours: dict[str, float] = {}
    for record in made:
        device, seconds = record.get("device"), record.get("seconds")
        if device not in (None, "cpu") and seconds:
            used = seconds * (record.get("processes") or 1) / HOUR
            hours[device] = hours.get(device, 0.0) + used
    return {device: (price_name(device), used) for device, used in hours.items()}


def _core_hours(root: Path, jobs: Mapping) -> float:
    """Hours of processor cores over all jobs, from Snakemake's benchmark files."""
    files = [file for rule, names in jobs.items() for file in benchmark_files(rule, names)]
    paths = [root / "benchmarks" / file for file in files]
    rows = [row for path in paths if path.exists() for row in read_table(path, "\t")]
    times = (row.get("cpu_time") for row in rows)
    return sum(time for time in times if isinstance(time, float)) / HOUR


def _line(facts: Facts, name: str, device: str, hours: float, hosted: bool = False) -> dict:
    """One device's share; the host of an accelerator is in the accelerator's watts.

    Args:
        hosted: whether the cores belong to hosts of accelerators, whose watts are counted there.
    """
    watts = facts.price("devices", name, "watts")
    if name != CPU:
        watts = watts + facts.price("host_watts_per_device")
    kwh = ZERO if hosted else watts * facts.price("power_overhead") * (hours / 1000)
    price = facts.price("devices", name, "price_per_hour")
    return {
        "device": device,
        "label": facts.device(name)["label"],
        "hours": hours,
        "watts": ZERO if hosted else watts,
        "kwh": kwh,
        "kg_co2": kwh * facts.price("grams_co2_per_kwh") * 1e-3,
        "money": ZERO if hosted else price * hours,
        "basis": "processor time of all jobs" if name == CPU else "time that the jobs report",
        "hosted": hosted,
    }


def _assumptions(facts: Facts) -> dict:
    names = ("power_overhead", "host_watts_per_device", "grams_co2_per_kwh")
    return _plain({name: facts.price(name) for name in names})


def _plain(values: Mapping) -> dict:
    """The mapping with ranges as {"low", "expected", "high"}."""
    keys = ("low", "expected", "high")
    return {
        name: {key: getattr(value, key) for key in keys} if isinstance(value, Range) else value
        for name, value in values.items()
    }
