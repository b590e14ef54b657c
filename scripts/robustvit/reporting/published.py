"""The published numbers that results are set beside: one tidy CSV, one stable key per number."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from robustvit.core.errors import UserError, nearest

COLUMNS = (
    "key",
    "source",
    "table",
    "row",
    "dataset",
    "model",
    "epsilon_255",
    "metric",
    "value",
    "unit",
)


@dataclass(frozen=True)
class Entry:
    """One published number; `text` is the value as it was printed, with its own digits."""

    key: str
    source: str
    table: str
    row: str
    dataset: str
    model: str
    epsilon_255: float | None
    metric: str
    value: float
    text: str
    unit: str


class Published:
    """All published numbers by key, for instance `thesis.table5.wd-0-5.autoattack_top1`."""

    def __init__(self, entries: dict[str, Entry], path: Path) -> None:
        self.entries, self.path = entries, path

    @classmethod
    def load(cls, path: str | Path) -> Published:
        """Read the CSV.

        Raises:
            UserError: if a column is missing, a key appears twice or a value is not a number.
        """
        path = Path(path)
        if not path.exists():
            raise UserError(f"{path}: no such file; expected the project's reports/published.csv.")
        with open(path, encoding="utf-8", newline="") as handle:
            reader = csv.DictReader(handle)
            if tuple(reader.fieldnames or ()) != COLUMNS:
                raise UserError(f"{path}: expected the columns {','.join(COLUMNS)}.")
            entries: dict[str, Entry] = {}
            for record in reader:
                entry = _parse(record, f"{path}, line {reader.line_num}")
                if entry.key in entries:
                    raise UserError(f'{path}: the key "{entry.key}" appears twice.')
                entries[entry.key] = entry
        return cls(entries, path)

    def entry(self, key: str) -> Entry:
        """Return the number with its context.

        Raises:
            UserError: if there is no such key; the message names the nearest one.
        """
        if key not in self.entries:
            example = next(iter(self.entries), "thesis.table5.wd-0-5.autoattack_top1")
            raise UserError(
                f'{self.path}: no published number has the key "{key}".'
                f'{nearest(key, self.entries)} A key looks like "{example}".'
            )
        return self.entries[key]

    def check(self, keys: Mapping[str, str]) -> None:
        """Check that every key exists, before anything runs.

        Args:
            keys: key of the configuration ("experiments.light.published.clean") to the key of the
                published number that stands there.

        Raises:
            UserError: naming the key of the configuration and the nearest published number.
        """
        for where, key in keys.items():
            try:
                self.entry(key)
            except UserError as error:
                raise UserError(f"{where}: {error}") from None

    def __len__(self) -> int:
        return len(self.entries)


def _parse(record: dict[str, str], where: str) -> Entry:
    try:
        value = float(record["value"])
        epsilon = float(record["epsilon_255"]) if record["epsilon_255"] else None
    except (TypeError, ValueError) as error:
        raise UserError(
            f"{where}: value and epsilon_255 must be numbers such as 41.78 and 4 ({error})."
        ) from error
    fields = {name: record[name] for name in COLUMNS if name not in ("value", "epsilon_255")}
    return Entry(**fields, value=value, text=record["value"], epsilon_255=epsilon)
