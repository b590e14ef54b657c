"""Checks of models and weights of others, before any job: names, files and functions that exist."""

from __future__ import annotations

from collections.abc import Mapping

from robustvit.core.errors import UserError
from robustvit.models.entry_points import check_entry
from robustvit.models.zoo import check_zoo_name

WITHOUT_URL = ("python", "robustbench")  # families whose weights are found without an address


def check_model(where: str, entry: Mapping) -> None:
    """Check what a model names outside of the project.

    Raises:
        UserError: for a function, file or name of RobustBench's zoo that does not exist.
    """
    args = entry.get("args") or {}
    if entry["family"] == "python":
        check_entry(args.get("entry"), f"{where}.args.entry")
    elif entry["family"] == "robustbench":
        check_zoo_name(dict(args), f"{where}.args")


def check_checkpoint(config: Mapping, where: str, entry: Mapping) -> None:
    """Check that a checkpoint says where its weights are.

    Raises:
        UserError: if it has no `url` and its model's family needs one, or a normalisation too many.
    """
    family = config["models"][entry["model"]]["family"]
    if not entry.get("url") and family not in WITHOUT_URL:
        raise UserError(
            f"{where}.url: is missing; for instance mirror:mine.pth or file:/data/mine.safetensors"
        )
    if family == "robustbench" and entry.get("normalization"):
        raise UserError(
            f"{where}.normalization: models of RobustBench normalise inside; leave it out"
        )
