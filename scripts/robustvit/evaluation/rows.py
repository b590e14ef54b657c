"""The file format of evaluations: one Parquet row per example. Must not import torch.

Columns: `index` (place in the whole split), `example_id`, `label`, `clean_prediction`,
`clean_correct`; per attack A, in the order in which they ran, `A_prediction` (null where A did
not run because an earlier attack had won) and `A_success`; and, if there was an attack, `robust`
(correct on the clean image and under every attack).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from robustvit.core.errors import UserError
from robustvit.core.files import atomic_path

METADATA = b"robustvit"


@dataclass(frozen=True)
class AttackRows:
    """What one attack did to each example of a shard.

    Attributes:
        ran: bool [N].
        prediction: int [N], the class of the attacked image; ignored where it did not run.
    """

    ran: np.ndarray
    prediction: np.ndarray


def make_table(
    index: np.ndarray,
    ids: list[str],
    labels: np.ndarray,
    clean_prediction: np.ndarray,
    attacks: Mapping[str, AttackRows],
) -> pa.Table:
    """Build the table of N examples; arrays are int [N]."""
    clean_correct = clean_prediction == labels
    columns: dict[str, pa.Array] = {
        "index": pa.array(index, pa.int64()),
        "example_id": pa.array(ids, pa.string()),
        "label": pa.array(labels, pa.int32()),
        "clean_prediction": pa.array(clean_prediction, pa.int32()),
        "clean_correct": pa.array(clean_correct, pa.bool_()),
    }
    robust = clean_correct.copy()
    for name, attack in attacks.items():
        success = attack.ran & (attack.prediction != labels)
        robust &= ~success
        columns[f"{name}_prediction"] = pa.array(attack.prediction, pa.int32(), mask=~attack.ran)
        columns[f"{name}_success"] = pa.array(success, pa.bool_())
    if attacks:
        columns["robust"] = pa.array(robust, pa.bool_())
    return pa.table(columns)


def attack_names(table: pa.Table) -> list[str]:
    """Names of the attacks of a table, in the order in which they ran."""
    suffix = "_success"
    return [name.removesuffix(suffix) for name in table.column_names if name.endswith(suffix)]


def write_rows(path: str | Path, table: pa.Table, metadata: Mapping) -> None:
    """Write a table atomically, with `metadata` as JSON in its header."""
    text = json.dumps(metadata, sort_keys=True, allow_nan=False).encode()
    with atomic_path(path) as temporary:
        pq.write_table(table.replace_schema_metadata({METADATA: text}), temporary)


def read_rows(path: str | Path) -> tuple[pa.Table, dict]:
    """Read a table and its metadata.

    Raises:
        UserError: if the file is missing, cut short or not an evaluation.
    """
    again = "Delete it and start again: only this file is computed anew."
    try:
        table = pq.read_table(path)
    except FileNotFoundError as error:
        raise UserError(f"{path}: there is no such shard of the evaluation.") from error
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{path}: cut short or no Parquet file ({error}). {again}") from error
    text = (table.schema.metadata or {}).get(METADATA)
    if text is None:
        raise UserError(f"{path}: a Parquet file, but not an evaluation of this workflow. {again}")
    return table, json.loads(text)
