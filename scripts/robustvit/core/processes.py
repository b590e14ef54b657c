"""Work for several processes that end with the one that started them."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool

from robustvit.core.errors import UserError


def run_tasks(function: Callable, tasks: Sequence, workers: int) -> Iterator[object]:
    """Yield `function(task)` of each task, in the order in which they are finished.

    With one worker, or one task, this process does the work. Others are started anew, without what
    this one has in memory; `function` and the tasks have to be sendable to them.

    Args:
        function: of a module.
        tasks: its arguments.
        workers: number of processes.

    Raises:
        UserError: if a process was killed, for instance for lack of memory.
        Exception: what a task raised; the tasks that have begun are finished first.
    """
    if min(workers, len(tasks)) <= 1:
        yield from map(function, tasks)
        return
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(min(workers, len(tasks)), context, end_with_parent)
    try:
        for future in as_completed([pool.submit(function, task) for task in tasks]):
            yield future.result()
    except BrokenProcessPool as error:
        raise UserError(
            f"one of {workers} worker processes was killed, perhaps for lack of memory. Start "
            "again, with fewer workers or more memory: what is finished is kept."
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def end_with_parent() -> None:
    """Let this process end when the one that asked for it dies, however it dies."""
    threading.Thread(target=_wait_for_parent, daemon=True).start()


def _wait_for_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
