"""Waiting for what another process does."""

from __future__ import annotations

import time
from collections.abc import Callable


def wait_until(
    look: Callable[[], object],
    seconds: float = 60,
    what: str | Callable[[], str] = "",
    pause: float = 0.1,
) -> object:
    """Look again and again until something true is seen, and return it.

    Args:
        look: says what it sees.
        seconds: after so many the test fails.
        what: is waited for, for the message; or says it then.
        pause: seconds between two looks.
    """
    end = time.monotonic() + seconds
    while not (found := look()):
        if time.monotonic() >= end:
            told = what() if callable(what) else what
            raise AssertionError(f"waited {seconds} s in vain: {told or look}")
        time.sleep(pause)
    return found
