"""Templates that stand for many experiments: one for each combination of their axes' values."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

from robustvit.config.merge import deep_merge
from robustvit.core.errors import UserError, unknown_name

SEED_AXIS = "seed"


def expand_sweeps(sweeps: Mapping, taken: Mapping) -> dict[str, dict]:
    """Return one experiment for each combination of the axes' values of each sweep.

    An experiment's name is the sweep's name and the values' names joined by underscores. In its
    label each value's own `label`, else its name, follows the sweep's label in brackets. What
    `cells` says of a combination comes last, its label included.

    Args:
        sweeps: entries of `sweeps`.
        taken: entries of `experiments`, whose names are not free.

    Raises:
        UserError: for a cell that is no combination, or a name that is taken.
    """
    found: dict[str, dict] = {}
    for sweep, entry in sweeps.items():
        for cell, experiment in _cells(sweep, entry).items():
            name = f"{sweep}_{cell}"
            if name in taken or name in found:
                raise UserError(
                    f"sweeps.{sweep}: expands to {name}, which is the name of another experiment."
                )
            found[name] = experiment
    return found


def sweep_axes(sweep: str, entry: Mapping) -> dict[str, Mapping]:
    """The axes of an entry of `sweeps`, its `seeds` as the last one, called "seed".

    Raises:
        UserError: for an axis "seed" beside `seeds`.
    """
    axes = dict(entry["axes"])
    if "seeds" in entry:
        if SEED_AXIS in axes:
            raise UserError(
                f"sweeps.{sweep}.axes.{SEED_AXIS}: `seeds` makes an axis of this name; keep one of "
                "them, for instance seeds: [1, 2, 3]"
            )
        axes[SEED_AXIS] = {f"seed{seed}": {"seed": seed} for seed in entry["seeds"]}
    return axes


def choose_cells(sweep: str, entry: Mapping, values: Mapping, where: str) -> list[str]:
    """Names of a sweep's experiments that have these values on these axes, in their order.

    Args:
        sweep: its name.
        entry: of `sweeps`.
        values: axis to value.
        where: key of the configuration that asks, for messages.

    Raises:
        UserError: for an axis or a value that the sweep does not have.
    """
    axes = sweep_axes(sweep, entry)
    for axis, value in values.items():
        if axis not in axes:
            raise unknown_name("axis", axis, axes, f"{where}.values")
        if value not in axes[axis]:
            raise unknown_name("value", value, axes[axis], f"{where}.values.{axis}")
    kept = [[values[axis]] if axis in values else list(found) for axis, found in axes.items()]
    return ["_".join((sweep, *combination)) for combination in itertools.product(*kept)]


def _cells(sweep: str, entry: Mapping) -> dict[str, dict]:
    axes = [list(values.items()) for values in sweep_axes(sweep, entry).values()]
    cells = {
        "_".join(str(name) for name, _ in combination): _combine(sweep, entry, combination)
        for combination in itertools.product(*axes)
    }
    for cell, part in entry.get("cells", {}).items():
        if cell not in cells:
            raise unknown_name("combination", cell, cells, f"sweeps.{sweep}.cells")
        cells[cell] = deep_merge(cells[cell], part)
    return cells


def _combine(sweep: str, entry: Mapping, combination: tuple) -> dict:
    merged = deep_merge(entry["experiment"], *(part for _, part in combination))
    values = [str(part.get("label", name)) for name, part in combination]
    common = entry["experiment"].get("label", sweep)
    return {**merged, "label": f"{common} [{', '.join(filter(None, values))}]"}
