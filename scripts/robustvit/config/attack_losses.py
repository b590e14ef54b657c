"""The entries of `attack_losses`: which epochs of which trainings are attacked."""

from __future__ import annotations

from collections.abc import Mapping

from robustvit.core.errors import UserError
from robustvit.training.schedules import kept_epochs, total_epochs


def expand_epochs(config: Mapping) -> dict:
    """Write out `epochs: n`: every n-th epoch up to the end of the shortest of the trainings.

    Args:
        config: with resolved experiments; names that it does not have are left to later checks.

    Returns:
        The section `attack_losses`.
    """
    return {
        name: entry | {"epochs": _every(config, entry)}
        if isinstance(entry.get("epochs"), int)
        else entry
        for name, entry in config["attack_losses"].items()
    }


def _every(config: Mapping, entry: Mapping) -> list[int]:
    found = (config["experiments"].get(name, {}).get("recipe") for name in entry["experiments"])
    # A recipe without a base lacks parts, which a later check names.
    whole = [r for r in found if r and "epochs" in r and "name" in r.get("schedule", {})]
    ends = [total_epochs(recipe) for recipe in whole]
    every = entry["epochs"]
    return list(range(every, min(ends, default=every) + 1, every))


def check_kept(config: Mapping, where: str, entry: Mapping) -> None:
    """Check that the trainings keep the weights that are attacked.

    Raises:
        UserError: naming an epoch that is not kept.
    """
    for name in entry["experiments"] if entry.get("epochs") is not None else []:
        recipe = config["experiments"][name]["recipe"]
        kept = kept_epochs(recipe, total_epochs(recipe)) if recipe else []
        missing = [epoch for epoch in entry["epochs"] if epoch not in kept]
        if missing or not entry["epochs"]:
            epoch = f" of epoch {missing[0]}" if missing else " so early"
            raise UserError(
                f"{where}.epochs: {name} keeps no weights{epoch}. Add it to its recipe, for "
                "instance keep_epochs: 10 and here epochs: 10"
            )
