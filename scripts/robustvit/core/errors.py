"""Errors meant for the person at the keyboard, not for the debugger."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """Something the user can put right; the message says what, where and how.

    A message names the configuration key or the file, says what was expected and gives a valid
    example. Command-line programs print it without a traceback (see `robustvit.core.cli`) and end
    with `exit_code`.
    """

    exit_code = 2


def nearest(name: str, known: Iterable[str]) -> str:
    """Return ' Did you mean "x"?' for the closest of `known`, or an empty string."""
    matches = difflib.get_close_matches(str(name), [str(k) for k in known], n=1, cutoff=0.6)
    return f' Did you mean "{matches[0]}"?' if matches else ""


def unknown_name(kind: str, name: str, known: Iterable[str], where: str = "") -> UserError:
    """Build the error for a name that is not in a registry, with the nearest valid one."""
    known = sorted(str(k) for k in known)
    at = f"{where}: " if where else ""
    listed = ", ".join(known[:12]) + (", …" if len(known) > 12 else "")
    hint = nearest(name, known)
    return UserError(f'{at}unknown {kind} "{name}".{hint} Known: {listed or "none"}.')
