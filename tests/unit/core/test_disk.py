"""How a full disk is told."""

from __future__ import annotations

import errno

import pytest

from robustvit.core.cli import run_cli
from robustvit.core.disk import NoSpace, is_full, needs_space


def raised(error: Exception, cause: Exception | None = None) -> Exception:
    error.__context__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "full"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), True),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), True),
        (raised(RuntimeError("unexpected pos"), OSError(errno.ENOSPC, "")), True),
        (RuntimeError("I/O error: No space left on device (os error 28)"), True),
        (OSError(errno.EACCES, "Permission denied"), False),
        (raised(RuntimeError("unexpected pos"), OSError(errno.EIO, "")), False),
    ],
)
def test_a_full_disk_is_known_whoever_met_it(error, full):
    assert is_full(error) is full
    with pytest.raises(NoSpace if full else type(error)), needs_space("/", "the state"):
        raise error


def test_the_message_names_folder_and_space_and_ends_with_its_own_code(tmp_path, capsys):
    def main() -> None:
        with needs_space(tmp_path / "not" / "there", "the results", "The state is kept."):
            raise OSError(errno.ENOSPC, "")

    with pytest.raises(SystemExit) as stop:
        run_cli(main)
    assert stop.value.code == 28
    message = capsys.readouterr().err
    start = f"error: no space left for the results in {tmp_path / 'not' / 'there'} ("
    assert message.startswith(start)
    assert "MB free). The state is kept. Free some" in message
