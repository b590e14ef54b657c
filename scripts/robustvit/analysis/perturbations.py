"""Perturbations as images: does what an attack changes look like something? (spec E11, E12)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from robustvit.attacks.pgd import DEFAULTS, default_step_size, perturb
from robustvit.attacks.support.frozen import attack_mode
from robustvit.core import provenance
from robustvit.core.errors import UserError, unknown_name
from robustvit.core.files import atomic_directory, atomic_path, read_json, write_json
from robustvit.core.seeding import derive_seed
from robustvit.core.sources import code_digest
from robustvit.data.building import DatasetPlan, Example
from robustvit.data.png import encode_png
from robustvit.data.writing import About, derived_name, derived_source, write_into
from robustvit.evaluation.shards import Shard, load_model, load_shard, predict
from robustvit.models.entry_points import model_plugins
from robustvit.reporting.class_names import place_of
from robustvit.training.devices import Device

SIGNS = {"minus": -1.0, "plus": 1.0}
EXAMPLES = 16  # as many as the thesis' figures draw from


def picture(images: Tensor, adversarial: Tensor, epsilon: float, sign: str) -> np.ndarray:
    """Map perturbations δ in [−ε, ε] to 8-bit pictures (±δ + ε) / 2ε.

    Args:
        images: float32 [B, 3, H, W] in [0, 1]; `adversarial` likewise.
        epsilon: half of the range, in pixel units of [0, 1].
        sign: "minus" shows x − x_adv, as the released code does; "plus" x_adv − x, as the thesis'
            formula says.

    Returns:
        uint8 [B, H, W, 3].
    """
    if sign not in SIGNS:
        raise unknown_name("sign", sign, SIGNS, "semantics.sign")
    delta = SIGNS[sign] * (adversarial - images)
    scaled = ((delta + epsilon) / (2.0 * epsilon)).clamp(0.0, 1.0)
    return (scaled * 255.0).round().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()


def attack_batches(model: nn.Module, shard: Shard, spec: dict) -> Iterator[tuple[slice, Tensor]]:
    """Attack every example, also those that the model misclassifies, batch by batch.

    With `attack_label` "prediction" an image is moved away from what the model takes it for (spec
    E10, Figure 1), else away from its label.

    Yields:
        The place of the batch in the shard, and the adversarial images.

    Raises:
        UserError: for an attack other than PGD, or ε = 0.
    """
    attack, threat = spec["attack"], spec["threat"]
    if attack["name"] != "pgd":
        raise UserError(f'semantics.attack: "{attack["name"]}" cannot be used here; use "pgd"')
    if not threat["epsilon_255"] > 0:
        raise UserError("semantics.threat.epsilon_255: expected more than 0, for instance 4")
    options, epsilon = {**DEFAULTS, **attack["options"]}, threat["epsilon_255"] / 255
    step = default_step_size(epsilon, options["steps"], options["step_factor"])
    for start in range(0, len(shard.images), spec["batch_size"]):
        part = slice(start, start + spec["batch_size"])
        labels = shard.labels[part]
        if spec.get("attack_label") == "prediction":
            labels = predict(model, shard.images[part], spec["batch_size"]).argmax(dim=1)
        with attack_mode(model, "eval"):
            yield part, perturb(
                model, shard.images[part], labels, epsilon=epsilon,
                norm=threat["norm"], steps=options["steps"], step_size=step,
                seeds=shard.seeds[part],
            )  # fmt: skip


class PerturbationSet:
    """Makes the perturbations of one model, as a stream and with a few examples kept whole.

    Args:
        spec: PERTURB.
        manifest: manifest.json of the data set.
        weights: weights of the attacked model.
        device: where to compute.
    """

    def __init__(self, spec: dict, manifest: Path, weights: Path, device: Device) -> None:
        self.spec, self.classes = spec, read_json(manifest)["classes"]
        place = {"shard": {"index": 0, "count": 1}}
        self.shard = load_shard({**spec, **place}, manifest, device)
        self.model = load_model(spec["model"], weights, device)
        wanted = [_place(name, self.classes) for name in spec.get("show") or []]
        labels = self.shard.labels.cpu().numpy()
        self.kept = choose_examples(
            len(self.shard.ids), spec["seed"], labels, wanted, spec.get("examples") or EXAMPLES
        )
        self.adversarial: dict[int, Tensor] = {}

    def plan(self) -> DatasetPlan:
        """The perturbations as a data set that can be written; see `data.writing`."""
        split = self.spec["dataset"]["split"]
        return DatasetPlan(
            classes=self.classes, splits=[split], examples=self._examples,
            total=len(self.shard.ids), encoding="png",
        )  # fmt: skip

    def _examples(self) -> Iterator[Example]:
        epsilon, split = self.spec["threat"]["epsilon_255"] / 255, self.spec["dataset"]["split"]
        for part, adversarial in attack_batches(self.model, self.shard, self.spec):
            images = self.shard.images[part]
            pictures = picture(images, adversarial, epsilon, self.spec["sign"])
            for offset, shown in enumerate(pictures):
                place = part.start + offset
                if place in self.kept:
                    self.adversarial[place] = adversarial[offset]
                label = int(self.shard.labels[place])
                yield Example(split, self.shard.ids[place], label, encode_png(shown))

    def examples(self) -> dict[str, np.ndarray]:
        """A few images with everything about them, for figures; after `plan` has been written.

        `images` and `adversarial` are float32 [N, 3, H, W] in [0, 1], `perturbation` is uint8
        [N, H, W, 3]; names and predictions are [N].
        """
        images, labels = self.shard.images[self.kept], self.shard.labels[self.kept].cpu().numpy()
        adversarial = torch.stack([self.adversarial[place] for place in self.kept])
        names, epsilon = np.array(self.classes), self.spec["threat"]["epsilon_255"] / 255
        size = self.spec["batch_size"]
        return {
            "images": images.cpu().numpy(),
            "adversarial": adversarial.cpu().numpy(),
            "perturbation": picture(images, adversarial, epsilon, self.spec["sign"]),
            "labels": labels,
            "label_names": names[labels],
            "class_names": names,
            "ids": np.array([self.shard.ids[place] for place in self.kept]),
            "prediction": predict(self.model, images, size).argmax(dim=1).cpu().numpy(),
            "adversarial_prediction": predict(self.model, adversarial, size)
            .argmax(dim=1).cpu().numpy(),
            "epsilon": np.array(epsilon, np.float32),
        }  # fmt: skip


def _place(name: str, classes: Sequence[str]) -> int:
    place = place_of(name, classes)
    if place is None:
        raise unknown_name("class", name, classes, "semantics.show")
    return place


def choose_examples(
    total: int,
    seed: int,
    labels: np.ndarray | None = None,
    wanted: Sequence[int] = (),
    count: int = EXAMPLES,
) -> list[int]:
    """Pick the examples for figures: the same for every attacked model.

    Args:
        total: examples in all.
        seed: of the run.
        labels: int64 [total], needed with `wanted`.
        wanted: labels of which one example each is picked too, the first in this order.
        count: examples besides those.
    """
    order = np.random.default_rng(derive_seed(seed, "perturbation examples")).permutation(total)
    firsts = [order[np.isin(labels[order], [label])][:1] for label in wanted]
    return sorted({int(place) for part in (order[:count], *firsts) for place in part})


def make_perturbations(
    spec: dict, manifest: Path, weights: Path, output: Path, examples: Path, device: Device
) -> None:
    """Write the perturbations as a TFDS set, its manifest and the examples for figures.

    The folder of `output` is replaced as a whole.

    Args:
        spec: PERTURB.
        manifest: manifest.json of the attacked data set.
        weights: weights of the attacked model.
        output: manifest.json of the perturbation set.
        examples: .npz of a few examples, see `PerturbationSet.examples`.
        device: where to compute.
    """
    made = PerturbationSet(spec, manifest, weights, device)
    original = read_json(manifest)
    names = [spec["semantics"], spec["generator"]]
    code = code_digest("make_perturbations.py", model_plugins(spec["model"]))
    source = derived_source(original) | {"complete": original.get("complete")}
    about = About(derived_name("p", *names), "perturbations", source, {"of": names}, code)
    with atomic_directory(output.parent) as folder:
        place = folder / output.name
        write_into(folder, made.plan(), place.name, about)
        _describe(place, spec, original, device)
        inside = examples.parent == output.parent
        with atomic_path(folder / examples.name if inside else examples) as temporary:
            np.savez(temporary, **made.examples())


def _describe(path: Path, spec: dict, original: dict, device: Device) -> None:
    """Add to the set's manifest what was attacked and how."""
    manifest = read_json(path)
    keys = ("semantics", "generator", "attack", "threat", "sign", "dataset", "attack_label")
    manifest["perturbation"] = {key: spec[key] for key in keys if key in spec}
    manifest["perturbation"]["attacked_set"] = original["dataset"]
    manifest["provenance"] = provenance.collect(
        seed=spec["seed"], device=device.name, seconds=manifest["provenance"]["seconds"]
    )
    write_json(path, manifest)
