"""Outcomes of the attacks that a killed shard had already finished."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from robustvit.attacks.support.outcome import AttackOutcome
from robustvit.core.files import atomic_path, sha256
from robustvit.core.sources import code_digest


class PartialOutcomes:
    """Finished attacks of one shard in a folder of their own.

    Args:
        folder: where they are kept; the name should hold `partial_key`.
        device: where loaded tensors go.
    """

    def __init__(self, folder: Path, device: object) -> None:
        self.folder, self.device = folder, device

    def load(self, name: str) -> AttackOutcome | None:
        """Return a saved outcome, or None if there is none that is whole."""
        path = self._path(name)
        if not path.exists():
            return None
        try:
            with safe_open(path, framework="pt", device=str(self.device)) as stored:
                about = stored.metadata() or {}
                tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
        except SafetensorError:
            return None
        if about.get("sha256") != _digest(tensors):
            return None
        return AttackOutcome(seconds=float(about["seconds"]), **tensors)

    def save(self, name: str, outcome: AttackOutcome) -> None:
        """Keep an outcome."""
        names = ("adversarial", "ran", "queries")
        found = {name: getattr(outcome, name) for name in names}
        tensors = {n: t.cpu().contiguous() for n, t in found.items() if t is not None}
        about = {"seconds": repr(outcome.seconds), "sha256": _digest(tensors)}
        with atomic_path(self._path(name)) as temporary:
            save_file(tensors, temporary, metadata=about)

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.safetensors"


def partial_key(
    spec: dict, manifest: str | Path, weights: str | Path, plugins: Iterable[str]
) -> str:
    """Hash everything that decides a shard's rows: settings, images, weights and code.

    The batch size does not: what ran out of memory may go on with a smaller one.
    """
    settings = {key: value for key, value in spec.items() if key != "batch_size"}
    parts = [json.dumps(settings, sort_keys=True), sha256(manifest), sha256(weights)]
    parts.append(code_digest("evaluate_model.py", plugins))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:24]


def _digest(tensors: dict[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(name.encode())
        digest.update(tensors[name].cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
