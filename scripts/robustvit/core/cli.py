"""What every command-line program of the workflow shares: exit codes and error texts."""

from __future__ import annotations

import argparse
import base64
import binascii
import errno
import json
import sys
import zlib
from collections.abc import Callable

from robustvit.core.errors import UserError

PACKED = "zlib:"
LONGEST_SPEC = 60_000
EXIT_USER_ERROR = UserError.exit_code
EXIT_NO_SPACE = 28  # errno.ENOSPC, so that a scheduler's log can be searched for it


def pack_spec(text: str) -> str:
    """Pack a JSON text that is too long for a command line: at most 128 KiB for all of it on Linux.

    Short texts stay readable; the others become "zlib:" and base64.
    """
    if len(text) <= LONGEST_SPEC:
        return text
    return PACKED + base64.b64encode(zlib.compress(text.encode(), 9)).decode()


def _unpack(text: str) -> str:
    if not text.startswith(PACKED):
        return text
    return zlib.decompress(base64.b64decode(text.removeprefix(PACKED), validate=True)).decode()


def run_cli(main: Callable[[], int | None]) -> None:
    """Run `main` and exit; a `UserError` becomes one readable line on stderr and exit code 2.

    A full disk gets its own exit code (28): the caller may want to clean up and retry.
    """
    try:
        sys.exit(main() or 0)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        place = f" while writing {error.filename}" if error.filename else ""
        print(
            f"error: no space left on the disk{place}. Free some space or set `paths.results` in "
            "the configuration to a larger disk, then start again: finished work is kept.",
            file=sys.stderr,
        )
        sys.exit(EXIT_NO_SPACE)


def add_spec_argument(parser: argparse.ArgumentParser) -> None:
    """Add `--spec`: one JSON object with everything of the configuration that the stage needs."""
    parser.add_argument("--spec", required=True, type=parse_spec, help="the stage's JSON settings")


def parse_spec(text: str) -> dict:
    """Parse the JSON of `--spec`, packed if it starts with "zlib:" (see `pack_spec`).

    Raises:
        argparse.ArgumentTypeError: if the text is not a JSON object.
    """
    try:
        spec = json.loads(_unpack(text))
    except (json.JSONDecodeError, zlib.error, binascii.Error) as error:
        raise argparse.ArgumentTypeError(f"not valid JSON: {error}") from error
    if not isinstance(spec, dict):
        raise argparse.ArgumentTypeError('expected a JSON object such as {"seed": 42}')
    return spec
