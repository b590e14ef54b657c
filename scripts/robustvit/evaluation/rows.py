"""The file format of evaluations: one Parquet row per example and attack. Must not import torch.

Rows are ordered by the example's place in the split, and within an example by the order in which
the attacks ran. Columns:

- `index`: place in the whole split; `example_id`: the example's name; `label`;
- `clean_prediction`, `clean_correct`: on the image as it is;
- `attack`: null if there was none, and then the columns to the right have nothing to say;
- `attacked`: false if the example was already broken, or wrong from the start;
- `prediction`: under this attack, null unless `attacked`; `success`: another class than `label`;
- `queries`: forward passes that this attack spent on the example, null if nobody counted;
- `distance`: of the perturbation in the threat's norm, in pixel units of [0, 1];
- `robust`: the worst case: right on the clean image and under every attack, the same in all rows
  of an example.

There is no time in it: the same evaluation always gives the same bytes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from robustvit.core.errors import UserError
from robustvit.core.files import atomic_path

METADATA = b"robustvit"
SCHEMA = pa.schema(
    [
        ("index", pa.int64()),
        ("example_id", pa.string()),
        ("label", pa.int32()),
        ("clean_prediction", pa.int32()),
        ("clean_correct", pa.bool_()),
        ("attack", pa.string()),
        ("attacked", pa.bool_()),
        ("prediction", pa.int32()),
        ("success", pa.bool_()),
        ("queries", pa.int64()),
        ("distance", pa.float64()),
        ("robust", pa.bool_()),
    ]
)


@dataclass(frozen=True)
class AttackRows:
    """What one attack did to each example of a shard.

    Attributes:
        ran: bool [N].
        prediction: int [N], the class of the attacked image; ignored where it did not run.
        distance: float64 [N], of the attacked image; ignored where it did not run.
        queries: int64 [N], or None if nobody counted.
    """

    ran: np.ndarray
    prediction: np.ndarray
    distance: np.ndarray
    queries: np.ndarray | None = None


def make_table(
    index: np.ndarray,
    ids: list[str],
    labels: np.ndarray,
    clean_prediction: np.ndarray,
    attacks: Mapping[str, AttackRows],
) -> pa.Table:
    """Build the table of N examples; arrays are int [N]."""
    count, rows = len(ids), max(len(attacks), 1)
    known = {
        "index": index,
        "example_id": np.asarray(ids, object),
        "label": labels,
        "clean_prediction": clean_prediction,
        "clean_correct": clean_prediction == labels,
    }
    columns = {name: np.repeat(values, rows) for name, values in known.items()}
    columns |= _attack_columns(labels, known["clean_correct"], attacks) if attacks else {}
    nothing = {"attacked": np.zeros(count, bool), "success": np.zeros(count, bool)}
    columns = nothing | columns
    return pa.table(
        [_array(columns.get(field.name), field.type, count) for field in SCHEMA], schema=SCHEMA
    )


def _attack_columns(
    labels: np.ndarray, correct: np.ndarray, attacks: Mapping[str, AttackRows]
) -> dict[str, np.ndarray]:
    """The columns of A attacks on N examples, [N·A] each."""
    ran = np.stack([rows.ran for rows in attacks.values()], 1)
    prediction = np.stack([rows.prediction for rows in attacks.values()], 1)
    distance = np.stack([rows.distance for rows in attacks.values()], 1)
    success = ran & (prediction != labels[:, None])
    queries = [_counted(rows) for rows in attacks.values()]
    robust = correct & ~success.any(axis=1)
    return {
        "attack": np.tile(np.asarray(list(attacks), object), len(labels)),
        "attacked": ran.ravel(),
        "prediction": np.ma.masked_array(prediction, ~ran).ravel(),
        "success": success.ravel(),
        "queries": np.ma.stack(queries, 1).ravel(),
        "distance": np.ma.masked_array(distance, ~ran).ravel(),
        "robust": np.repeat(robust, len(attacks)),
    }


def _counted(rows: AttackRows) -> np.ma.MaskedArray:
    if rows.queries is None:
        return np.ma.masked_all(len(rows.ran), np.int64)
    return np.ma.masked_array(rows.queries, ~rows.ran)


def _array(values: np.ndarray | None, kind: pa.DataType, count: int) -> pa.Array:
    if values is None:
        return pa.nulls(count, kind)
    if isinstance(values, np.ma.MaskedArray):
        return pa.array(values.data, kind, mask=np.ma.getmaskarray(values))
    return pa.array(values, kind)


def attack_names(table: pa.Table) -> list[str]:
    """Names of the attacks of a table, in the order in which they ran."""
    return [name for name in table["attack"].unique().to_pylist() if name is not None]


def worst_case(table: pa.Table) -> pa.Table:
    """One row per example: those of its first attack, whose `robust` covers all attacks."""
    names = attack_names(table)
    if not names:
        return table
    return table.filter(pc.equal(table["attack"], names[0]))


class DamagedRows(UserError):
    """A file of rows that cannot be read."""


def write_rows(path: str | Path, table: pa.Table, metadata: Mapping) -> None:
    """Write a table atomically, `metadata` as JSON in its header, its pages with checksums."""
    text = json.dumps(metadata, sort_keys=True, allow_nan=False).encode()
    with atomic_path(path) as temporary:
        described = table.replace_schema_metadata({METADATA: text})
        pq.write_table(described, temporary, write_page_checksum=True)


def read_rows(path: str | Path, columns: Sequence[str] | None = None) -> tuple[pa.Table, dict]:
    """Read a table, or some columns of it, and its metadata.

    Raises:
        DamagedRows: if the file is cut short, changed or not an evaluation.
        UserError: if the file is missing.
    """
    try:
        table = pq.read_table(path, columns=columns, page_checksum_verification=True)
    except FileNotFoundError as error:
        raise UserError(f"{path}: there is no such shard of the evaluation.") from error
    except (pa.ArrowException, OSError) as error:
        raise DamagedRows(f"{path}: cut short, changed or no Parquet file ({error}).") from error
    text = (table.schema.metadata or {}).get(METADATA)
    if text is None:
        raise DamagedRows(f"{path}: a Parquet file, but not an evaluation of this workflow.")
    return table, json.loads(text)
