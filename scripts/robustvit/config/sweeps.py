"""Templates that stand for many experiments: one for each combination of their axes' values."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

from robustvit.config.merge import deep_merge
from robustvit.core.errors import UserError, unknown_name


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


def _cells(sweep: str, entry: Mapping) -> dict[str, dict]:
    axes = [list(values.items()) for values in entry["axes"].values()]
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
