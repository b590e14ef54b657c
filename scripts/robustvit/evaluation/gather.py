"""From the rows of all shards to the rows and the numbers of one evaluation. No torch here."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from robustvit.core.errors import UserError
from robustvit.evaluation.rows import (
    SCHEMA,
    DamagedRows,
    attack_names,
    read_rows,
    worst_case,
)
from robustvit.evaluation.statistics import proportion

# AutoAttack's own threshold: more than this share of examples broken by the black-box attack
# alone means that the gradients mislead the others.
SQUARE_ALARM = 0.002
IMAGES = ("image_size", "crop_pct", "interpolation")  # how they were brought to the model's size


def gather(spec: dict, shards: Sequence[str | Path]) -> tuple[pa.Table, dict]:
    """Join the shards of an evaluation.

    The rows are sorted by their place in the split and by the order of the attacks, so they do not
    depend on how many shards there were or in which order they come.

    Args:
        spec: GATHER; every shard has to have been made with the same settings.
        shards: their Parquet files.

    Returns:
        The rows, and the summary as JSON values; accuracies are fractions with 95% intervals.

    Raises:
        UserError: for a damaged, foreign, missing or repeated shard or example. A damaged file is
            moved out of the way, so that the next start computes that shard anew.
    """
    parts = read_shards(spec, shards, SCHEMA.names)
    tables, found = [table for _, table, _ in parts], [metadata for _, _, metadata in parts]
    if len({tuple(attack_names(table)) for table in tables}) > 1:
        raise UserError(f"the shards of {_name(spec)} have different attacks; delete and restart.")
    rows = _sorted(pa.concat_tables(tables))
    _check_examples(worst_case(rows), found[0]["total"], spec)
    return rows, summarise(spec, rows, found)


def read_shards(
    spec: dict, shards: Sequence[str | Path], columns: Sequence[str]
) -> list[tuple[str | Path, pa.Table, dict]]:
    """Read some columns of all shards of an evaluation.

    Returns:
        Path, rows and metadata of each.

    Raises:
        UserError: for a damaged, foreign, missing or repeated shard.
    """
    found = _read(shards, columns)
    for path, _, metadata in found:
        _check_identity(spec, metadata, path)
    _check_shards([metadata["shard"] for _, _, metadata in found], shards)
    return found


def _read(
    shards: Sequence[str | Path], columns: Sequence[str]
) -> list[tuple[str | Path, pa.Table, dict]]:
    found, damaged = [], []
    for path in shards:
        try:
            found.append((path, *read_rows(path, columns)))
        except DamagedRows as error:
            aside = Path(f"{path}.damaged")
            Path(path).replace(aside)
            damaged.append(f"{error} It is now {aside.name}.")
    if damaged:
        again = "Start again: only what was damaged is computed anew."
        raise UserError("\n".join([*damaged, again]))
    return found


def _sorted(rows: pa.Table) -> pa.Table:
    """In one piece: how the pieces lie is part of a file's bytes."""
    order = pc.index_in(rows["attack"], value_set=pa.array(attack_names(rows), pa.string()))
    keys = [("index", "ascending"), ("order", "ascending")]
    return rows.append_column("order", order).sort_by(keys).drop(["order"]).combine_chunks()


def summarise(spec: dict, rows: pa.Table, found: Sequence[dict]) -> dict:
    """Compute the numbers of an evaluation from its rows and the shards' metadata."""
    threat, examples, names = spec["threat"] or {}, worst_case(rows), attack_names(rows)
    robust = proportion(_count(examples["robust"]), len(examples)) if names else None
    seconds = sum(metadata["seconds"] for metadata in found)
    return {
        "experiment": spec["experiment"],
        "protocol": spec["protocol"],
        "dataset": spec["dataset"]["name"],
        "split": spec["dataset"]["split"],
        "stand_in": bool(spec["dataset"].get("stand_in")),
        "images": {key: spec["dataset"].get(key) for key in IMAGES},
        "threat": spec["threat"],
        "epsilon_255": threat.get("epsilon_255"),
        "norm": threat.get("norm"),
        "attack": spec["attack"],
        "engine": found[0].get("engine"),
        "seed": spec["seed"],
        "num_examples": len(examples),
        "clean_top1": proportion(_count(examples["clean_correct"]), len(examples)),
        "robust_top1": robust,
        "attacks": _attacks(rows, found),
        "chance": 1.0 / spec["dataset"]["num_classes"],
        "seconds": round(seconds, 3),
        "checks": merge_checks([c for m in found for c in m["checks"]]) + _check_square(rows),
        "provenance": _provenance(found, seconds),
    }


def _name(spec: dict) -> str:
    return f"{spec['experiment']}, {spec['protocol']}"


def _count(column: pa.ChunkedArray) -> int:
    return int(pc.sum(column).as_py() or 0)


def _check_identity(spec: dict, metadata: dict, path: str | Path) -> None:
    for key, value in metadata["identity"].items():
        if value != spec[key]:
            raise UserError(
                f"{path}: made with {key} = {value}, but now it is {spec[key]}. Delete the shard "
                "and start again."
            )


def _check_shards(places: Sequence[dict], shards: Sequence[str | Path]) -> None:
    counts = {place["count"] for place in places}
    if len(counts) != 1:
        raise UserError(f"shards of different partitions, into {sorted(counts)}: {_list(shards)}")
    count, indices = counts.pop(), [place["index"] for place in places]
    missing = sorted(set(range(count)) - set(indices))
    if missing:
        raise UserError(f"shards {missing} of {count} are missing; given: {_list(shards)}")
    if len(indices) != count:
        raise UserError(f"a shard is given twice: {_list(shards)}")


def _list(paths: Sequence[str | Path]) -> str:
    return ", ".join(str(path) for path in paths)


def _check_examples(rows: pa.Table, total: int, spec: dict) -> None:
    counts = pc.value_counts(rows["example_id"])
    repeated = [c["values"].as_py() for c in counts if c["counts"].as_py() > 1]
    if repeated:
        raise UserError(
            f"{_name(spec)}: example {repeated[0]} occurs more than once in the shards "
            f"({len(repeated)} such examples)."
        )
    if len(rows) != total:
        raise UserError(
            f"{_name(spec)}: the shards hold {len(rows)} examples, expected {total}. Delete the "
            "shards and start again."
        )


def _attacks(rows: pa.Table, found: Sequence[dict]) -> dict[str, dict]:
    standing, summary = worst_case(rows)["clean_correct"], {}
    for name in attack_names(rows):
        own = rows.filter(pc.equal(rows["attack"], name))
        standing = pc.and_not(standing, own["success"])
        summary[name] = {
            "robust_top1_after": proportion(_count(standing), len(own)),
            "attacked": _count(own["attacked"]),
            "success": _count(own["success"]),
            "queries": pc.sum(own["queries"]).as_py(),
            "seconds": round(sum(m["attack_seconds"].get(name, 0.0) for m in found), 3),
        }
    return summary


def merge_checks(checks: Sequence[dict]) -> list[dict]:
    """Join equal checks of several shards; the detail is that of a failure if there is one."""
    merged: dict[str, dict] = {}
    for check in checks:
        known = merged.get(check["name"])
        if known is None or (known["passed"] and not check["passed"]):
            merged[check["name"]] = check
    return list(merged.values())


def _check_square(rows: pa.Table) -> list[dict]:
    names = attack_names(rows)
    if "square" not in names or len(names) == 1:
        return []
    own = rows.filter(pc.equal(rows["attack"], "square"))
    share = _count(own["success"]) / len(own)
    detail = f"the black-box attack alone broke {share:.1%} of the examples"
    return [{"name": "white box", "passed": share <= SQUARE_ALARM, "detail": detail}]


def _provenance(found: Sequence[dict], seconds: float) -> dict:
    """The first shard's provenance, with the devices and the time of all."""
    made = [metadata["provenance"] for metadata in found]
    devices = sorted({record["device"] for record in made})
    commits = sorted({record["commit"] for record in made})
    joined = {"commit": ", ".join(commits), "device": ", ".join(devices)}
    return made[0] | joined | {"seconds": round(seconds, 3), "shards": len(found)}
