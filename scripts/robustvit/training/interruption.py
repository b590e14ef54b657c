"""Stopping in good order when a scheduler wants the machine back."""

from __future__ import annotations

import contextlib
import ctypes
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Iterator

EXIT_INTERRUPTED = 75
"""EX_TEMPFAIL of sysexits.h: start the same command again; profiles retry on it."""

SIGNALS = (signal.SIGTERM, signal.SIGUSR1)
PR_SET_PDEATHSIG = 1  # of linux/prctl.h


class Interrupted(Exception):
    """Raised between two steps after a signal; the state is saved before the program ends."""


class InterruptionFlag:
    """Remembers that a signal came until the current step is finished."""

    def __init__(self) -> None:
        self.signal: int | None = None

    def check(self) -> None:
        """Raise `Interrupted` if a signal has come; call it where nothing is half done."""
        if self.signal is not None:
            raise Interrupted(f"stopped by {signal.Signals(self.signal).name}")


@contextlib.contextmanager
def interruptions() -> Iterator[InterruptionFlag]:
    """Turn SIGTERM and SIGUSR1 into a flag for the time of the block."""
    flag = InterruptionFlag()

    def remember(number: int, frame: object) -> None:
        flag.signal = number

    previous = {number: signal.signal(number, remember) for number in SIGNALS}
    try:
        yield flag
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def stop_at_once() -> Iterator[None]:
    """Let a signal raise `Interrupted` wherever it comes, for a program around its training.

    While it starts and while it writes results (atomically) nothing has to be finished first; the
    steps are under `interruptions`. After the block the signals are ignored: the results are
    complete, and a job that was ended by a signal now would be done again.
    """

    def stop(number: int, frame: object) -> None:
        raise Interrupted(f"stopped by {signal.Signals(number).name}")

    previous = {number: signal.signal(number, stop) for number in SIGNALS}
    try:
        yield
    except BaseException:
        for number, handler in previous.items():
            signal.signal(number, handler)
        raise
    ignore_interruptions()


def follow_parent() -> None:
    """Get SIGTERM when the process that started this one dies, however it dies (Linux only).

    Without it the processes of a training would go on, and keep its lock, when the agent that
    started them is killed.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGTERM))


def ignore_interruptions() -> None:
    """Be deaf to the signals from now on."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def prepare_worker(worker: int) -> None:
    """Tie the life of a data worker to that of the training process, and to nothing else.

    A scheduler sends signals to the whole process group; the training process stops its workers
    itself, after it has saved its state. If it is killed, its workers end too: torch looks for
    that at the process that forked them, which is the fork server and lives as long as they do.
    """
    ignore_interruptions()
    threading.Thread(target=_end_with_training, daemon=True).start()


def _end_with_training() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()  # the pipe to the process that asked for this one, not to the fork server
        os._exit(1)
