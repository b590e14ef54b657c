"""Files that are never half written, seeds, source closures, errors and plug-ins."""

import json
import os

import pytest

from robustvit.core import cli, files
from robustvit.core.errors import UserError
from robustvit.core.plugins import available, load
from robustvit.core.progress import Progress, format_seconds
from robustvit.core.seeding import derive_seed
from robustvit.core.sources import SCRIPTS, code_inputs


def names(paths):
    return {os.path.relpath(path, SCRIPTS) for path in paths}


def test_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "result.json"
    files.write_json(path, {"old": 1})
    with pytest.raises(RuntimeError), files.atomic_path(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError("power cut")
    assert files.read_json(path) == {"old": 1}
    assert [entry.name for entry in tmp_path.iterdir()] == ["result.json"]


def test_failed_directory_leaves_the_old_one(tmp_path):
    folder = tmp_path / "set"
    with files.atomic_directory(folder) as temporary:
        (temporary / "a").write_text("1")
    with pytest.raises(RuntimeError), files.atomic_directory(folder) as temporary:
        (temporary / "a").write_text("2")
        raise RuntimeError("power cut")
    assert (folder / "a").read_text() == "1"
    assert [entry.name for entry in tmp_path.iterdir()] == ["set"]


def test_nan_never_reaches_a_result_file(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        files.write_json(tmp_path / "x.json", {"value": float("nan")})


def test_seeds_depend_on_every_part_and_its_type():
    seeds = {
        derive_seed(*parts) for parts in [(1, 2), (2, 1), (12,), ("1", 2), (1, "2"), (1, 2, 0)]
    }
    assert len(seeds) == 6
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert derive_seed(42, "init") == derive_seed(42, "init")


def test_closure_follows_imports_inside_functions_and_plugins(tmp_path):
    plain = names(code_inputs("gather_evaluation.py"))
    assert "gather_evaluation.py" in plain and "robustvit/core/cli.py" in plain
    evaluated = names(code_inputs("evaluate_model.py", ["robustvit.attacks.pgd"]))
    assert "robustvit/attacks/pgd.py" in evaluated


def test_closures_keep_stages_apart():
    trained = names(code_inputs("train_model.py", ["robustvit.training.losses.clean"]))
    assert not [path for path in trained if path.startswith(("robustvit/attacks", "robustvit/rep"))]
    table = names(code_inputs("make_table.py"))
    assert not [path for path in table if path.startswith("robustvit/training")]


def test_missing_plugin_file_is_an_error():
    with pytest.raises(FileNotFoundError):
        code_inputs("train_model.py", ["robustvit.training.losses.nonsense"])


def test_unknown_plugin_lists_what_there_is():
    with pytest.raises(UserError, match='Did you mean "trades"'):
        load("robustvit.training.losses", "trade")
    assert "trades" in available("robustvit.training.losses")


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (UserError("recipes.light: wrong"), 2, "error: recipes.light: wrong"),
        (OSError(28, "No space left on device", "/x/y"), 28, "no space left on the disk"),
    ],
)
def test_command_line_exit_codes(capsys, error, code, text):
    def main():
        raise error

    with pytest.raises(SystemExit) as caught:
        cli.run_cli(main)
    assert caught.value.code == code
    assert text in capsys.readouterr().err


def test_other_errors_keep_their_traceback():
    def main():
        raise PermissionError(13, "Permission denied", "/x")

    with pytest.raises(PermissionError):
        cli.run_cli(main)


def test_progress_writes_what_the_display_reads(tmp_path, monkeypatch):
    monkeypatch.setenv("ROBUSTVIT_PROGRESS", str(tmp_path))
    with Progress(10, "steps", "train x") as progress:
        progress.update(0)
        progress._last_file = 0.0
        progress.start -= 5
        progress.update(5, "loss 1.0")
        state = json.loads(progress.path.read_text())
    assert state["label"] == "train x" and state["done"] == 5
    assert state["seconds_left"] == pytest.approx(5, abs=0.5)
    assert not progress.path.exists()


@pytest.mark.parametrize(
    ("seconds", "text"), [(4.4, "4 s"), (65, "1:05 min"), (7260, "2:01 h"), (59.6, "1:00 min")]
)
def test_durations_as_people_say_them(seconds, text):
    assert format_seconds(seconds) == text
