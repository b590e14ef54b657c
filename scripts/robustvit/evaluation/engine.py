"""Evaluating one shard of a data set: clean predictions, attacks, checks, rows.

Attacks are loaded by name and only if there is one, so that an edit of an attack reruns only what
attacks.
"""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor, nn

from robustvit.attacks.support.outcome import AttackOutcome, Checkpoint
from robustvit.core import plugins, provenance
from robustvit.core.errors import UserError, unknown_name
from robustvit.core.progress import Progress
from robustvit.evaluation import checks
from robustvit.evaluation.adversarial import add_images, choose_images, round_to_8_bits
from robustvit.evaluation.batch_size import choose_batch_size
from robustvit.evaluation.inspection import inspect_gradients, inspect_model
from robustvit.evaluation.partial import PartialOutcomes, partial_key
from robustvit.evaluation.rows import AttackRows, make_table
from robustvit.evaluation.shards import Shard, load_model, load_shard, predict
from robustvit.models.entry_points import model_plugins
from robustvit.models.stable import StableRows
from robustvit.training.devices import Device

ATTACKS = "robustvit.attacks"
NAN_NEARBY = (
    "They are on the images themselves: near them, or in its gradients, the model divides by zero "
    "or takes the root of zero. Such a model cannot be evaluated."
)
IDENTITY = ("experiment", "protocol", "dataset", "threat", "attack", "seed")


def evaluate_shard(
    spec: dict,
    manifest: str | Path,
    weights: str | Path,
    device: Device,
    work_dir: str | Path | None = None,
) -> tuple[pa.Table, dict]:
    """Evaluate the shard that `spec` names.

    Args:
        spec: EVALUATE; without an attack only clean predictions are made. Its "batch_size" may be
            "auto".
        manifest: manifest.json of the data set.
        weights: weights of the model.
        device: where to compute.
        work_dir: keeps finished attacks, so that a job that was killed goes on with the next one.

    Returns:
        The rows, and the metadata that `evaluation.gather` needs.

    Raises:
        UserError: for pixels outside [0, 1], labels that the model does not have, logits that are
            not finite, weights that do not fit, or a shard without examples.
    """
    started = time.perf_counter()
    shard = load_shard(spec, manifest, device)
    inner, shape = load_model(spec["model"], weights, device), tuple(shard.images.shape[1:])
    size = choose_batch_size(spec["batch_size"], inner, shape, device)
    spec, model = {**spec, "batch_size": size}, StableRows(inner, shape)
    logits = predict(model, shard.images, spec["batch_size"])
    found = _inspect(model, shard, logits, spec, weights)
    partial = _open_partial(spec, manifest, weights, device, work_dir)
    outcomes = _attack(model, shard, logits.shape[1], spec, partial)
    attacks = {}
    for name, outcome in outcomes.items():
        found.append(_check_ball(name, shard, outcome, spec["threat"]))
        logits_after = predict(model, outcome.adversarial, spec["batch_size"])
        checks.require_finite(logits_after, f"{weights} under {name}", NAN_NEARBY)
        attacks[name] = _rows(shard, outcome, logits_after, spec["threat"]["norm"])
    found.append(checks.check_reproducible(model.stable))
    table = make_table(
        shard.index, shard.ids, _numpy(shard.labels), _numpy(logits.argmax(dim=1)), attacks
    )
    if spec.get("save_adversarial") and outcomes:
        table = _with_images(table, model, outcomes, spec["batch_size"])
    seconds = {name: outcome.seconds for name, outcome in outcomes.items()}
    metadata = _metadata(spec, shard, found, seconds, device, time.perf_counter() - started)
    return table, metadata


def discard_partial(
    spec: dict, manifest: str | Path, weights: str | Path, device: Device, work_dir: str | Path
) -> None:
    """Remove the finished attacks in `work_dir` of a shard whose rows have been written.

    Those that it left there under other settings go as well.
    """
    partial = _open_partial(spec, manifest, weights, device, work_dir)
    if partial is not None:
        place = spec["shard"]
        for folder in partial.folder.parent.glob(f"{place['index']}-of-{place['count']}-*"):
            shutil.rmtree(folder, ignore_errors=True)


def load_attack(name: str) -> object:
    """Return the module of an attack that can evaluate.

    Raises:
        UserError: if there is none of that name.
    """
    names = [n for n in plugins.available(ATTACKS) if n not in ("frozen", "outcome", "random")]
    if name not in names:
        raise unknown_name("attack", name, names, "protocols")
    return plugins.load(ATTACKS, name)


def _inspect(
    model: nn.Module, shard: Shard, logits: Tensor, spec: dict, weights: str | Path
) -> list[dict]:
    """Run the checks that come before the attacks."""
    checks.require_finite(logits, str(weights))
    checks.require_labels(shard.labels, logits.shape[1], spec["dataset"]["name"])
    found = inspect_model(model, shard, logits, spec)
    if spec["attack"]:
        pgd = plugins.load(ATTACKS, "pgd")
        found += inspect_gradients(pgd, model, shard, logits, spec)
    return found


def _open_partial(
    spec: dict,
    manifest: str | Path,
    weights: str | Path,
    device: Device,
    work_dir: str | Path | None,
) -> PartialOutcomes | None:
    if work_dir is None or not spec["attack"]:
        return None
    names = [f"{ATTACKS}.{spec['attack']['name']}", *model_plugins(spec["model"])]
    place, key = spec["shard"], partial_key(spec, manifest, weights, names)
    folder = Path(work_dir) / f"{place['index']}-of-{place['count']}-{key}"
    return PartialOutcomes(folder, device.device)


def _attack(
    model: nn.Module, shard: Shard, num_classes: int, spec: dict, partial: Checkpoint | None
) -> dict[str, AttackOutcome]:
    attack, threat, place = spec["attack"], spec["threat"], spec["shard"]
    if not attack:
        return {}
    if threat and threat["epsilon_255"] < 0:
        raise UserError(
            f"{spec['experiment']}: epsilon_255 is {threat['epsilon_255']}; expected 0 or more"
        )
    if not threat:
        raise UserError(
            f"{spec['experiment']}: protocol {spec['protocol']} attacks, so it needs a threat such "
            'as {"norm": "linf", "epsilon_255": 4}.'
        )
    label = f"{spec['experiment']}, {spec['protocol']}, shard {place['index'] + 1}/{place['count']}"
    with Progress(100, "%", f"evaluate {label}") as progress:
        progress.update(0)
        return load_attack(attack["name"]).run(
            model, shard.images, shard.labels, epsilon=threat["epsilon_255"] / 255,
            norm=threat["norm"], seeds=shard.seeds, num_classes=num_classes,
            options=attack["options"], batch_size=spec["batch_size"], checkpoint=partial,
            report=lambda fraction, note: progress.update(round(100 * fraction, 1), note),
        )  # fmt: skip


def _rows(shard: Shard, outcome: AttackOutcome, logits: Tensor, norm: str) -> AttackRows:
    distance = perturbation_sizes(_numpy(shard.images), _numpy(outcome.adversarial), norm)
    queries = None if outcome.queries is None else _numpy(outcome.queries)
    return AttackRows(_numpy(outcome.ran), _numpy(logits.argmax(dim=1)), distance, queries)


def _with_images(
    table: pa.Table, model: nn.Module, outcomes: dict[str, AttackOutcome], batch_size: int
) -> pa.Table:
    """Append an adversarial image per example, and its class after rounding to 8 bits."""
    images = choose_images(table, {n: _numpy(o.adversarial) for n, o in outcomes.items()})
    rounded = torch.from_numpy(round_to_8_bits(images)).float().div_(255)
    device = next(iter(outcomes.values())).adversarial.device
    logits = predict(model, rounded.to(device), batch_size)
    return add_images(table, images, _numpy(logits.argmax(dim=1)))


def perturbation_sizes(images: np.ndarray, adversarial: np.ndarray, norm: str) -> np.ndarray:
    """Sizes of perturbations in the norm, float64 [N]; images float32 [N, 3, H, W].

    One after the other, in double precision: the same bits whatever N is.
    """
    pairs = zip(images.astype(np.float64), adversarial.astype(np.float64), strict=True)
    changes = ((after - before).ravel() for before, after in pairs)
    if norm == "linf":
        return np.array([np.abs(change).max() for change in changes])
    return np.array([np.sqrt(np.square(change).sum()) for change in changes])


def _check_ball(name: str, shard: Shard, outcome: AttackOutcome, threat: dict) -> dict:
    return checks.check_ball(
        name, shard.images, outcome, threat["epsilon_255"] / 255, threat["norm"]
    )


def _metadata(
    spec: dict, shard: Shard, found: list, seconds: dict, device: Device, total: float
) -> dict:
    return {
        "identity": {key: spec[key] for key in IDENTITY},
        "shard": spec["shard"],
        "total": shard.total,
        "checks": found,
        "attack_seconds": seconds,
        "engine": _engine(spec["attack"]),
        "seconds": total,
        "provenance": provenance.collect(seed=spec["seed"], device=device.name, seconds=total),
    }


def _engine(attack: dict | None) -> str | None:
    """Which code ran the attack, for attacks that have a choice."""
    if not attack:
        return None
    defaults = getattr(load_attack(attack["name"]), "DEFAULTS", {})
    return {**defaults, **attack["options"]}.get("engine")


def _numpy(tensor: Tensor) -> np.ndarray:
    return tensor.cpu().numpy()
