"""How long a run takes on so many devices: its jobs put onto them in the order of their chains."""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from robustvit.planning.jobs import Job


@dataclass(frozen=True)
class Task:
    """A job that takes time: which tasks it waits for, and how many devices it holds."""

    seconds: float
    devices: int
    before: tuple[int, ...] = ()


def dependencies(jobs: Sequence[Job]) -> list[tuple[int, ...]]:
    """For each job the places of those whose outputs it reads."""
    makers = {path: place for place, job in enumerate(jobs) for path in job.outputs}
    return [tuple(sorted({makers[p] for p in job.inputs if p in makers})) for job in jobs]


def longest_chain(tasks: Sequence[Task]) -> float:
    """Seconds of the tasks that have to follow each other, with any number of devices."""
    return max(_remaining(tasks), default=0.0)


def wall_seconds(tasks: Sequence[Task], devices: int, hosts: int) -> float:
    """Seconds until all is done if the longest remaining chain always goes first.

    Args:
        tasks: in any order, free of circles.
        devices: accelerators; a task that wants more gets all of them and takes longer for it.
        hosts: tasks without a device that run at a time.
    """
    remaining, waiting = _remaining(tasks), [len(task.before) for task in tasks]
    after, free, running, now = _after(tasks), {True: devices, False: hosts}, [], 0.0
    ready: dict[bool, list] = {True: [], False: []}
    for place, count in enumerate(waiting):
        if not count:
            heapq.heappush(ready[tasks[place].devices > 0], (-remaining[place], place))
    while running or ready[True] or ready[False]:
        _begin(tasks, ready, running, free, devices, now)
        now, place, held = heapq.heappop(running)
        free[tasks[place].devices > 0] += held
        for other in after[place]:
            waiting[other] -= 1
            if not waiting[other]:
                heapq.heappush(ready[tasks[other].devices > 0], (-remaining[other], other))
    return now


def _begin(
    tasks: Sequence[Task], ready: dict, running: list, free: dict, devices: int, now: float
) -> None:
    """Start what there is room for, longest chains first; no short job overtakes a large one."""
    for kind, waiting in ready.items():
        while waiting:
            place = waiting[0][1]
            task = tasks[place]
            held = min(task.devices, devices) if kind else 1
            if free[kind] < held:
                break
            heapq.heappop(waiting)
            free[kind] -= held
            slower = task.devices / held if kind else 1.0
            heapq.heappush(running, (now + task.seconds * slower, place, held))


def _after(tasks: Sequence[Task]) -> dict[int, list[int]]:
    found: dict[int, list[int]] = defaultdict(list)
    for place, task in enumerate(tasks):
        for earlier in task.before:
            found[earlier].append(place)
    return found


def _remaining(tasks: Sequence[Task]) -> list[float]:
    """Seconds from the beginning of each task to the end of what follows from it."""
    after, left = _after(tasks), [task.seconds for task in tasks]
    open_ends = [len(after[place]) for place in range(len(tasks))]
    todo = [place for place, count in enumerate(open_ends) if not count]
    while todo:
        place = todo.pop()
        for earlier in tasks[place].before:
            left[earlier] = max(left[earlier], tasks[earlier].seconds + left[place])
            open_ends[earlier] -= 1
            if not open_ends[earlier]:
                todo.append(earlier)
    return left
