"""Gathering: the same bytes for any partition; damaged, foreign and missing shards are refused."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from evaluation_samples import gather_spec

from robustvit.core.errors import UserError
from robustvit.core.files import sha256
from robustvit.evaluation.gather import gather, merge_checks
from robustvit.evaluation.rows import AttackRows, attack_names, make_table, read_rows, write_rows

ATTACK = {"name": "autoattack", "options": {}}
TOTAL = 24


def example_rows(part: np.ndarray) -> tuple:
    """Rows of a made-up evaluation: 20 of 24 clean correct, 5 and 2 broken by two attacks."""
    labels = part % 4
    clean = np.where(part < 20, labels, (labels + 1) % 4)
    first = np.where(part < 5, (labels + 1) % 4, labels)
    second = np.where(part < 7, (labels + 2) % 4, labels)
    attacks = {
        "apgd-ce": AttackRows(part < 20, first, part / 1000, 10 * part),
        "square": AttackRows((part < 20) & (part >= 5), second, part / 1000),
    }
    return 3 * part, [f"test/{i:05d}" for i in part], labels, clean, attacks


def metadata(spec: dict, index: int, count: int) -> dict:
    return {
        "identity": spec,
        "shard": {"index": index, "count": count},
        "total": TOTAL,
        "checks": [{"name": "gradients", "passed": True, "detail": "0 of 8"}],
        "attack_seconds": {"apgd-ce": 1.5, "square": 2.0},
        "seconds": 4.0,
        "provenance": {"commit": "abc", "device": f"gpu {index % 2}", "seed": 42},
    }


def write_shards(folder: Path, count: int, spec: dict | None = None) -> list[Path]:
    spec, paths = spec or gather_spec("autoattack", ATTACK), []
    for index, part in enumerate(np.array_split(np.arange(TOTAL), count)):
        paths.append(folder / f"{index}-of-{count}.parquet")
        write_rows(paths[-1], make_table(*example_rows(part)), metadata(spec, index, count))
    return paths


def test_summary(tmp_path: Path) -> None:
    spec = gather_spec("autoattack", ATTACK)
    rows, summary = gather(spec, write_shards(tmp_path, 3))
    assert len(rows) == 2 * summary["num_examples"] == 2 * TOTAL
    assert summary["clean_top1"]["k"] == 20
    assert summary["robust_top1"]["k"] == 13
    assert summary["robust_top1"]["value"] == pytest.approx(13 / 24)
    assert summary["attacks"]["apgd-ce"]["success"] == 5
    assert summary["attacks"]["apgd-ce"]["robust_top1_after"]["k"] == 15
    assert summary["attacks"]["square"]["attacked"] == 15
    assert summary["attacks"]["apgd-ce"]["queries"] == 10 * sum(range(20))
    assert summary["attacks"]["square"]["queries"] is None
    assert summary["attacks"]["square"]["seconds"] == 6.0
    assert (summary["epsilon_255"], summary["norm"]) == (8, "linf")
    assert summary["chance"] == 0.25
    assert summary["stand_in"] is True
    assert summary["seconds"] == 12.0
    assert summary["provenance"]["device"] == "gpu 0, gpu 1"
    checks = {check["name"]: check["passed"] for check in summary["checks"]}
    assert checks == {"gradients": True, "white box": False}


def test_a_clean_evaluation_has_no_robust_accuracy(tmp_path: Path) -> None:
    spec = gather_spec("clean")
    path = tmp_path / "0-of-1.parquet"
    write_rows(path, make_table(*example_rows(np.arange(TOTAL))[:4], {}), metadata(spec, 0, 1))
    summary = gather(spec, [path])[1]
    assert summary["robust_top1"] is None
    assert summary["epsilon_255"] is None
    assert summary["attacks"] == {}


def test_bytes_do_not_depend_on_the_partition_or_the_order(tmp_path: Path) -> None:
    spec, hashes = gather_spec("autoattack", ATTACK), set()
    for count in (1, 3, 8):
        folder = tmp_path / str(count)
        shards = write_shards(folder, count)
        random.Random(count).shuffle(shards)
        write_rows(folder / "all.parquet", gather(spec, shards)[0], {"experiment": "tiny"})
        hashes.add(sha256(folder / "all.parquet"))
    assert len(hashes) == 1


def test_rows_hold_what_each_attack_did(tmp_path: Path) -> None:
    rows = gather(gather_spec("autoattack", ATTACK), write_shards(tmp_path, 3))[0].to_pylist()
    assert [row["attack"] for row in rows] == TOTAL * ["apgd-ce", "square"]
    assert [row["index"] for row in rows[::2]] == [3 * i for i in range(TOTAL)]
    broken, standing = rows[6 * 2 : 7 * 2], rows[8 * 2]
    assert [row["success"] for row in broken] == [False, True]
    assert [row["robust"] for row in broken] == [False, False]
    assert (broken[1]["label"], broken[1]["prediction"], broken[1]["clean_prediction"]) == (2, 0, 2)
    assert (standing["queries"], standing["distance"], standing["robust"]) == (80, 0.008, True)


def test_null_predictions_survive(tmp_path: Path) -> None:
    shard = write_shards(tmp_path, 1)[0]
    table = read_rows(shard)[0]
    assert attack_names(table) == ["apgd-ce", "square"]
    assert table["prediction"].null_count == 9 + 4
    assert table["queries"].null_count == 24 + 4


def test_a_missing_shard_is_refused(tmp_path: Path) -> None:
    shards = write_shards(tmp_path, 3)
    with pytest.raises(UserError, match=r"shards \[1\] of 3 are missing"):
        gather(gather_spec("autoattack", ATTACK), [shards[0], shards[2]])


def test_a_repeated_shard_is_refused(tmp_path: Path) -> None:
    shards = write_shards(tmp_path, 3)
    with pytest.raises(UserError, match="given twice"):
        gather(gather_spec("autoattack", ATTACK), [*shards, shards[0]])


def test_repeated_examples_are_refused(tmp_path: Path) -> None:
    spec, shards = gather_spec("autoattack", ATTACK), write_shards(tmp_path, 2)
    write_rows(shards[1], make_table(*example_rows(np.arange(12))), metadata(spec, 1, 2))
    with pytest.raises(UserError, match="test/00000 occurs more than once"):
        gather(spec, shards)


def test_missing_examples_are_refused(tmp_path: Path) -> None:
    spec, shards = gather_spec("autoattack", ATTACK), write_shards(tmp_path, 2)
    write_rows(shards[1], make_table(*example_rows(np.arange(12, 20))), metadata(spec, 1, 2))
    with pytest.raises(UserError, match="hold 20 examples, expected 24"):
        gather(spec, shards)


def test_mixed_partitions_are_refused(tmp_path: Path) -> None:
    mixed = [*write_shards(tmp_path, 2), write_shards(tmp_path, 3)[0]]
    with pytest.raises(UserError, match="different partitions"):
        gather(gather_spec("autoattack", ATTACK), mixed)


def test_shards_of_other_settings_are_refused(tmp_path: Path) -> None:
    spec = gather_spec("autoattack", ATTACK)
    shards = write_shards(tmp_path, 2, {**spec, "threat": {"norm": "linf", "epsilon_255": 4}})
    with pytest.raises(UserError, match="made with threat"):
        gather(spec, shards)


def flip_a_bit(data: bytes) -> bytes:
    place = data.index(b"test/0001")  # within a page, which Parquet could read all the same
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]


@pytest.mark.parametrize(
    "damage", [lambda d: b"", lambda d: d[:100], lambda d: d[:-10], flip_a_bit, lambda d: b"x" * 99]
)
def test_a_damaged_shard_is_moved_aside(tmp_path: Path, damage: Callable) -> None:
    shards, spec = write_shards(tmp_path, 2), gather_spec("autoattack", ATTACK)
    whole = shards[1].read_bytes()
    shards[1].write_bytes(damage(whole))
    with pytest.raises(UserError, match=r"1-of-2.parquet: cut short.*\.damaged.*\nStart again"):
        gather(spec, shards)
    assert [path.exists() for path in shards] == [True, False]
    shards[1].write_bytes(whole)
    assert len(gather(spec, shards)[0]) == 2 * TOTAL


def test_an_absent_or_foreign_file_is_refused(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    with pytest.raises(UserError, match="no such shard"):
        read_rows(tmp_path / "nothing.parquet")
    pq.write_table(pa.table({"a": [1]}), tmp_path / "foreign.parquet")
    with pytest.raises(UserError, match="not an evaluation"):
        read_rows(tmp_path / "foreign.parquet")


def test_a_failed_check_of_any_shard_is_shown() -> None:
    passed = {"name": "gradients", "passed": True, "detail": "0"}
    failed = {"name": "gradients", "passed": False, "detail": "3"}
    assert merge_checks([passed, failed, passed]) == [failed]
    assert merge_checks([failed, passed]) == [failed]


def test_gathering_does_not_import_torch(repository: Path) -> None:
    code = "import sys, robustvit.evaluation.gather as g; sys.exit('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=repository / "scripts", check=False)
    assert done.returncode == 0
