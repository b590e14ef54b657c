"""The data files of `plan`: measured speeds, and prices with a site's own merged over them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from robustvit.config.merge import deep_merge
from robustvit.core.errors import UserError, unknown_name
from robustvit.planning.ranges import Range, read_range

FOLDER = Path(__file__).resolve().parents[3] / "planning"
BENCHMARKS, PRICES = FOLDER / "benchmarks.yaml", FOLDER / "prices.yaml"
SPEED_KEYS = ("name", "device", "model", "precision", "images_per_second", "passes", "date")
RECORDS = ("command", "source")


@dataclass(frozen=True)
class Speed:
    """A measured speed: images a second of so many forward passes each."""

    name: str
    device: str
    model: Mapping
    precision: str
    images_per_second: float
    passes: float
    source: str
    calibrates: bool


@dataclass(frozen=True)
class Facts:
    """Everything that `plan` is told and does not work out."""

    benchmarks: Mapping
    prices: Mapping
    speeds: tuple[Speed, ...]

    def price(self, *keys: str) -> Range:
        """A value of the prices, for instance `price("devices", "a100", "watts")`.

        Raises:
            UserError: naming the key, if it is missing or no number.
        """
        value, where = self.prices, f"{PRICES.name}: {'.'.join(keys)}"
        for key in keys:
            value = value.get(key) if isinstance(value, Mapping) else None
        return read_range(value, where)

    def device(self, name: str) -> Mapping:
        """What is known of a device.

        Raises:
            UserError: with the nearest name, if it is unknown.
        """
        if name not in self.prices["devices"]:
            raise unknown_name("device", name, self.prices["devices"], "plan.device")
        return self.prices["devices"][name]


def load_facts(site: str | Path | None = None, benchmarks: str | Path = BENCHMARKS) -> Facts:
    """Read the data files; the keys of `site` replace those of prices.yaml.

    Raises:
        UserError: naming the file and the key that is missing or unknown.
    """
    prices = _read(PRICES)
    if site:
        own = _read(Path(site))
        for key in own:
            if key not in prices:
                raise unknown_name("key", key, prices, str(site))
        prices = deep_merge(prices, own)
    measured = _read(Path(benchmarks))
    speeds = tuple(_speed(entry, str(benchmarks)) for entry in measured["speeds"])
    return Facts(measured, prices, speeds)


def _speed(entry: Mapping, where: str) -> Speed:
    for key in (*SPEED_KEYS, *RECORDS):
        if not entry.get(key):
            raise UserError(f"{where}: speeds.{entry.get('name', '?')}.{key} is missing.")
    return Speed(
        entry["name"], entry["device"], entry["model"], entry["precision"],
        float(entry["images_per_second"]), float(entry["passes"]), entry["source"],
        entry.get("use", "calibrate") == "calibrate",
    )  # fmt: skip


def _read(path: Path) -> dict:
    if not path.is_file():
        raise UserError(f"plan: {path}: no such file; see docs/planning.md for an example.")
    found = yaml.safe_load(path.read_text(encoding="utf-8"))
    if not isinstance(found, dict):
        raise UserError(f"plan: {path}: expected keys and values, see planning/prices.yaml.")
    return found
