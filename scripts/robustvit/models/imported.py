"""From an entry of `checkpoints` to a model with its weights, and to where they come from."""

from __future__ import annotations

import hashlib
from pathlib import Path

from torch import nn

from robustvit.core import plugins
from robustvit.core.errors import UserError
from robustvit.core.files import sha256
from robustvit.models.factory import FAMILIES, build_model
from robustvit.models.first_use import hold_to_record
from robustvit.models.importing import check_hash, checkpoint_file
from robustvit.models.trial import require_classifier
from robustvit.models.weights import load_weights

AS_BUILT = ("python",)  # families whose models may come with their weights


def import_model(spec: dict, record: str | Path | None) -> tuple[nn.Module, dict]:
    """Build the model of `spec` and give it its weights.

    Args:
        spec: {"checkpoint", "url", "sha256", "mirrors", "model"}; see `specs.checkpoint_spec`.
        record: JSON file that keeps a hash that nobody published; None keeps none.

    Returns:
        The model in evaluation mode, and {"checkpoint", "url", "files": {name: SHA-256}, "sha256",
        "checked", "first_used"}, where the hash was checked against the "configuration" or that of
        the "first use", or not at all: the model came "as built", or no record was given (null).

    Raises:
        UserError: if the weights cannot be had, hold code, have another hash, do not fit, or make
            a model that returns anything but logits of the right shape.
    """
    model, files = _load(spec)
    require_classifier(model.eval(), spec["model"], f"checkpoint {spec['checkpoint']}")
    source = {"checkpoint": spec["checkpoint"], "url": spec["url"], "files": files}
    if not files:
        return model, source | {"sha256": None, "checked": "as built", "first_used": None}
    found = _joined(files)
    if spec["sha256"] or record is None:
        check_hash(found, spec["url"] or spec["checkpoint"], spec["sha256"])
        checked = "configuration" if spec["sha256"] else None
        return model, source | {"sha256": found, "checked": checked, "first_used": None}
    known = hold_to_record(record, spec["url"] or f"zoo:{spec['model']['args']['model']}", found)
    checked = {"checked": "first use", "first_used": known["first_used"]}
    return model, source | {"sha256": found} | checked


def _joined(files: dict[str, str]) -> str:
    """The hash of a file, or one over the hashes of several."""
    if len(files) == 1:
        return next(iter(files.values()))
    return hashlib.sha256("".join(f"{n} {h}\n" for n, h in files.items()).encode()).hexdigest()


def _load(spec: dict) -> tuple[nn.Module, dict[str, str]]:
    model, url = spec["model"], spec["url"]
    family = plugins.load(FAMILIES, model["family"])
    own_loader = getattr(family, "import_weights", None)
    if url is None and own_loader:
        return own_loader(model["args"], model["num_classes"], spec["mirrors"])
    if url is None and model["family"] in AS_BUILT:
        return build_model(model, seed=0), {}
    if url is None:
        raise UserError(
            f"checkpoints.{spec['checkpoint']}.url: is missing; a model of family "
            f'"{model["family"]}" needs a file of weights, for instance "file:/data/weights.pth"'
        )
    with checkpoint_file(url, spec["sha256"], spec["mirrors"]) as path:
        files = {path.name: sha256(path)}
        if own_loader and path.suffix != ".safetensors":
            return own_loader(model["args"], model["num_classes"], (), path)[0], files
        built = build_model(model, seed=0)
        load_weights(built, path)
        return built, files
