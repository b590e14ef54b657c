"""Tables of what has been measured, as Markdown."""

from __future__ import annotations

import platform
from collections.abc import Sequence

import timm
import torch

from robustvit.benchmarks.cases import VARIANTS, Case
from robustvit.training.devices import Device

STEP_HEAD = ("step", "floor", "× clean", "ms", "images/s", "MB")


def step_rows(
    case: Case, times: dict[str, float], memory: dict[str, float], floors: dict[str, float]
) -> list[list[str]]:
    """A row per kind of step; its ratio is to the clean step of the same layers and keys."""
    rows = []
    for name, seconds in times.items():
        variant = VARIANTS[name]
        floor = floors.get(name.removeprefix("released_").split("_")[0], 1.0)
        rows.append(
            [
                variant.label,
                f"{floor:.2f}",
                f"{seconds / times[variant.baseline]:.2f}",
                f"{seconds * 1e3:,.0f}",
                f"{case.batch_size / seconds:,.1f}",
                f"{memory[name]:,.0f}" if name in memory else "",
            ]
        )
    return rows


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table whose columns are aligned for reading it as text."""
    cells = [list(head), *map(list, rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(head))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in cells
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def circumstances(device: Device, threads: int) -> str:
    """Device and versions in a line."""
    name = device.name if device.is_cuda else f"{_processor()}, {threads} thread(s)"
    return (
        f"{name}; Python {platform.python_version()}, torch {torch.__version__}, "
        f"timm {timm.__version__}"
    )


def _processor() -> str:
    try:
        with open("/proc/cpuinfo") as lines:
            names = [line.split(":", 1)[1].strip() for line in lines if line[:10] == "model name"]
    except OSError:
        names = []
    return names[0] if names else platform.processor() or "CPU"
