"""Growing an image from noise along a model's gradient to a class (spec E13, Figures 12 and 14)."""

from __future__ import annotations

from itertools import count
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from robustvit.attacks.pgd import default_step_size, perturb
from robustvit.attacks.support.frozen import attack_mode
from robustvit.core.errors import UserError, unknown_name
from robustvit.core.progress import Progress
from robustvit.core.random import fold, uniform
from robustvit.core.seeding import derive_seed
from robustvit.evaluation.shards import load_model, predict
from robustvit.reporting.class_names import place_of
from robustvit.training.devices import Device


def accumulate_gradients(
    spec: dict, classes: list[str] | None, weights: Path, device: Device
) -> dict[str, np.ndarray]:
    """Run targeted PGD for each target class from the same noise.

    The start is uniform in [0, 1]. The ball (ε = 15 for pixels in [0, 1]) is no bound at all, but
    PGD's own random start is drawn from it, so that after clipping nearly every component of the
    true start is 0 or 1, as in the released code; `start` is this true start.

    Args:
        spec: GRADIENTS; `targets` are class names, first words of synsets, or places.
        classes: the model's class names in label order, unless `spec["classes"]` has them.
        weights: weights of the model.
        device: where to compute.

    Returns:
        `start` float32 [3, S, S] and `results` float32 [T, 3, S, S] in [0, 1]; `targets` int64
        [T], `target_names` [T], `probability` float32 [T] that the model gives the target, and
        `prediction` int64 [T].

    Raises:
        UserError: for a target that is not a class.
    """
    names = spec.get("classes") or classes or []
    targets = resolve_targets(spec["targets"], names, spec["model"]["num_classes"])
    model = load_model(spec["model"], weights, device)
    found = grow(model, targets, spec, device)
    found["targets"] = np.array(targets, np.int64)
    found["target_names"] = np.array([names[t] if names else f"class {t}" for t in targets])
    return found


def resolve_targets(targets: list[int | str], classes: list[str], num_classes: int) -> list[int]:
    """Turn class names or places into places.

    Raises:
        UserError: if a name or a place is not a class.
    """
    places = []
    for target in targets:
        place = place_of(target, classes) if isinstance(target, str) else target
        if place is None:
            raise unknown_name("target class", target, classes, "gradients.targets")
        if not 0 <= place < num_classes:
            raise UserError(
                f"gradients.targets: class {place}, expected 0 to {num_classes - 1}, the model's "
                "classes"
            )
        places.append(place)
    return places


def grow(model: nn.Module, targets: list[int], spec: dict, device: Device) -> dict[str, np.ndarray]:
    """Grow one image per target; see `accumulate_gradients`.

    The targets are grown one by one: sign steps amplify the last bits of a gradient, which depend
    on the size of the batch, so in a batch an image would change with the number of targets.
    """
    size, epsilon, steps = spec["image_size"], spec["epsilon"], spec["steps"]
    (seeds,) = device.put(torch.tensor([derive_seed(spec["seed"], "gradient accumulation")]))
    noise, noise_seeds = uniform(fold(seeds, 0), (3, size, size)), fold(seeds, 1)
    total = steps * len(targets)
    with Progress(total, "steps", f"accumulate gradients {spec['experiment']}") as progress:
        done = count(1)

        def run(target: int, steps: int) -> Tensor:
            return perturb(
                model, noise, torch.tensor([target], device=noise.device), epsilon=epsilon,
                steps=steps, step_size=default_step_size(epsilon, steps, spec["step_factor"]),
                seeds=noise_seeds, targeted=True, after_step=lambda: progress.update(next(done)),
            )  # fmt: skip

        with attack_mode(model, "eval"):
            start = run(0, steps=0)
            results = torch.cat([run(target, steps) for target in targets])
    probabilities = torch.cat(
        [predict(model, image, 1).softmax(dim=1) for image in results[:, None]]
    )
    own = probabilities[range(len(targets)), targets]
    return {
        "start": start[0].cpu().numpy(),
        "results": results.cpu().numpy(),
        "probability": own.cpu().numpy(),
        "prediction": probabilities.argmax(dim=1).cpu().numpy(),
    }
