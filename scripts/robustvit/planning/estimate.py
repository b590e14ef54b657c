"""The plan of a run: jobs, device-hours, wall time, disk, network, money and CO₂ by stage."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace

from robustvit.planning.facts import Facts
from robustvit.planning.jobs import Job
from robustvit.planning.ranges import Range, total
from robustvit.planning.wall import Task, dependencies, longest_chain, wall_seconds
from robustvit.planning.work import Planner, Work

HOUR, MONTH_HOURS = 3600.0, 730.0
HOST_JOBS = 8  # jobs without a device that run at a time, on any cluster
STAGES = {
    "fetch_source": "data", "make_stand_in": "data", "build_dataset": "data",
    "pretrain_model": "pretrain", "finetune_model": "finetune", "import_checkpoint": "checkpoints",
    "evaluate_model": "evaluate", "gather_evaluation": "evaluate",
    "export_robustbench": "evaluate", "export_adversarial": "evaluate",
    "make_perturbations": "semantics", "classify_perturbations": "semantics",
    "compare_classifications": "semantics",
    "accumulate_gradients": "analyses", "measure_losses": "analyses",
    "take_epoch": "analyses",
}  # fmt: skip
ORDER = (
    *("data", "checkpoints", "pretrain", "finetune", "evaluate"),
    *("semantics", "analyses", "report"),
)


@dataclass(frozen=True)
class Line:
    """A row of the table: a stage, or all of them."""

    stage: str
    jobs: int
    device_hours: Range
    host_hours: Range
    disk: float
    network: float
    money: Range
    kg_co2: Range


@dataclass(frozen=True)
class Plan:
    """Everything that `plan` shows.

    Attributes:
        settings: what was asked for: targets, device, number of devices.
        lines: one for each stage that has jobs.
        total: of all stages; its money includes the disk for as long as the run takes.
        wall_hours: with the devices asked for.
        chain_hours: of the longest chain of jobs: no number of devices is quicker.
        basis: what device-hours rest on, with their share in percent.
        currency: of the money.
    """

    settings: Mapping
    lines: tuple[Line, ...]
    total: Line
    wall_hours: Range
    chain_hours: Range
    basis: tuple[tuple[str, float], ...]
    currency: str

    def as_json(self) -> dict:
        """All numbers as plain dictionaries and lists."""
        return asdict(self)


def make_plan(
    jobs: Sequence[Job],
    planner: Planner,
    facts: Facts,
    device: str,
    devices: int,
    settings: Mapping,
) -> Plan:
    """Work out the plan of `jobs` on `devices` devices of a kind."""
    works = [planner.work(job) for job in jobs]
    if planner.on_cpu:  # a job of the host takes a core too
        works = [replace(work, devices=max(work.devices, 1)) for work in works]
    lines = [
        _line(
            stage,
            [w for job, w in zip(jobs, works, strict=True) if _stage(job) == stage],
            facts,
            device,
        )
        for stage in ORDER
    ]
    wall, chain = _wall(jobs, works, devices)
    whole = _line("total", works, facts, device)
    kept = facts.price("storage_per_gb_month") * (whole.disk / MONTH_HOURS)
    whole = replace(whole, money=whole.money + kept * wall)
    return Plan(
        settings, tuple(line for line in lines if line.jobs), whole, wall, chain,
        _basis(works), facts.prices["currency"],
    )  # fmt: skip


def _stage(job: Job) -> str:
    return STAGES.get(job.rule, "report")


def _line(stage: str, works: Sequence[Work], facts: Facts, device: str) -> Line:
    hours = total(w.seconds * (w.devices / HOUR) for w in works if w.devices)
    host = total(w.seconds * (1 / HOUR) for w in works if not w.devices)
    network = sum(w.network for w in works)
    watts = facts.price("devices", device, "watts") + facts.price("host_watts_per_device")
    kilowatts = watts * facts.price("power_overhead") * 1e-3
    return Line(
        stage=stage, jobs=len(works), device_hours=hours, host_hours=host,
        disk=sum(w.disk for w in works), network=network,
        money=hours * facts.price("devices", device, "price_per_hour")
        + facts.price("network_per_gb") * network,
        kg_co2=hours * kilowatts * facts.price("grams_co2_per_kwh") * 1e-3,
    )  # fmt: skip


def _wall(jobs: Sequence[Job], works: Sequence[Work], devices: int) -> tuple[Range, Range]:
    before = dependencies(jobs)
    walls, chains = [], []
    for place in ("low", "expected", "high"):
        tasks = [
            Task(getattr(work.seconds, place), work.devices, earlier)
            for work, earlier in zip(works, before, strict=True)
        ]
        walls.append(wall_seconds(tasks, devices, HOST_JOBS) / HOUR)
        chains.append(longest_chain(tasks) / HOUR)
    return Range(*walls), Range(*chains)


def _basis(works: Sequence[Work]) -> tuple[tuple[str, float], ...]:
    """What the device-hours rest on, the largest share first."""
    shares: Counter[str] = Counter()
    for work in works:
        if work.devices:
            shares[work.basis] += work.seconds.expected * work.devices
    whole = sum(shares.values()) or 1.0
    return tuple((basis, 100 * seconds / whole) for basis, seconds in shares.most_common())
