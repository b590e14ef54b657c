"""The evaluation in words: which images, how they are resized, which ε, which attacks."""

from __future__ import annotations

import math
from collections.abc import Iterator

from robustvit.reporting.abstract import STRONGEST, label_of
from robustvit.reporting.formatting import count, sentence_list, setting, threat_text
from robustvit.reporting.protocols import (
    ENGINES,
    SIGNS,
    attack_name,
    component_labels,
    numbers,
    weaknesses,
)

MANY = 4  # experiments that a sentence names; more are counted


def display_protocol(spec: dict, summary: dict) -> dict:
    """Return {"sentences": [str], "protocols": [{"label", "description", "weaker", "scope"}]}."""
    protocols = sorted((spec.get("protocols") or {}).items(), key=_strength)
    return {
        "sentences": [
            *_images(spec, summary),
            *_subsets(summary),
            *_normalizations(spec, summary),
            *(_analysis(spec, summary, entry) for entry in spec.get("semantics") or []),
        ],
        "protocols": [_protocol(spec, summary, *item) for item in protocols],
    }


def _strength(item: tuple[str, dict]) -> int:
    """Sort key of protocols: clean first, then the weakest attack first."""
    attack = item[1].get("attack")
    return -STRONGEST.index(attack) if attack in STRONGEST else -len(STRONGEST)


def _images(spec: dict, summary: dict) -> Iterator[str]:
    """One sentence per way of bringing images to the model's size: which splits, and how."""
    groups: dict[str, dict[str, None]] = {}
    for name, found in summary["evaluations"].items():
        read = spec["experiments"][name].get("images")
        for record in found.values():
            shape = (summary["datasets"].get(record["dataset"]) or {}).get("image_shape")
            label = label_of(spec.get("datasets") or {}, record["dataset"])
            split = f"“{label}” (split {record['split']})"
            if read:
                groups.setdefault(_preparation(read, shape), {})[split] = None
    for text, splits in groups.items():
        yield f"{sentence_list(splits)}: {text}."


def _preparation(read: dict, shape: list | None) -> str:
    """How `resize_and_crop` of robustvit.data.evaluation_images prepares an image, in words."""
    size, shorter = read["image_size"], math.floor(read["image_size"] / read["crop_pct"])
    square = f"{size} × {size} px"
    if shorter == size and shape and list(shape[:2]) == [size, size]:
        return f"the images have {square} and are used unchanged"
    return (
        f"shorter side resized to {shorter} px ({read['interpolation']}), centre crop of {square}"
    )


def _subsets(summary: dict) -> Iterator[str]:
    records = [record for found in summary["evaluations"].values() for record in found.values()]
    if any(_size(record) != _whole(summary, record) for record in records):
        yield (
            "Where a protocol takes n of N images, they are a class-balanced subset of the split, "
            "which depends on nothing but the data set, the split and n: all models with the same "
            "n see the same images."
        )


def _size(record: dict) -> int | None:
    return (record["robust_top1"] or record["clean_top1"] or {}).get("n")


def _whole(summary: dict, record: dict) -> int | None:
    splits = (summary["datasets"].get(record["dataset"]) or {}).get("splits") or {}
    return splits.get(record["split"])


def _normalizations(spec: dict, summary: dict) -> Iterator[str]:
    """Which models normalise their input with what."""
    groups: dict[str, list[str]] = {}
    for name in summary["evaluations"]:
        entry = spec["experiments"][name]
        groups.setdefault(_normalization(entry.get("normalization")), []).append(name)
    for text, names in groups.items():
        labels = [f"“{label_of(spec['experiments'], name)}”" for name in names]
        several = f"{len(labels)} models" if len(groups) > 1 else "all models"
        yield f"{text}: {sentence_list(labels) if len(labels) <= MANY else several}."


def _normalization(value: dict | str | None) -> str:
    if value == "own":
        return "Normalisation inside the model as timm has it"
    if not value:
        return "No normalisation, raw pixels in [0, 1]"
    mean, std = setting(value["mean"]), setting(value["std"])
    return f"Normalisation inside the model with mean ({mean}) and standard deviation ({std})"


def _analysis(spec: dict, summary: dict, entry: dict) -> str:
    """How perturbations are made, on which images, and with which sign they are drawn."""
    splits = (summary["datasets"].get(entry["dataset"]) or {}).get("splits") or {}
    split = ((spec.get("datasets") or {}).get(entry["dataset"]) or {}).get("eval_split")
    number, whole = entry.get("num_examples"), splits.get(split)
    images = f"{_part(number or whole, whole)} of {label_of(spec['datasets'], entry['dataset'])}"
    sign = entry.get("sign") or "minus"
    options = entry.get("options") or {}
    attack = attack_name(entry.get("attack") or "pgd", options)
    words = numbers(entry.get("attack") or "pgd", options)
    return (
        f"Perturbations for “{entry.get('label') or entry['name']}”: {attack} ({words}) at "
        f"{threat_text(entry['threat'])} on {images}. With x′ the attacked image, the pictures "
        f"that are classified and shown are ({SIGNS[sign]} + ε) / 2ε: grey is no change."
    )


def _part(number: int | None, whole: int | None) -> str:
    if number is None:
        return "the images"
    if whole is None or number == whole:
        return f"{count(number)} images"
    return f"{count(number)} of {count(whole)} images"


def _protocol(spec: dict, summary: dict, name: str, entry: dict) -> dict:
    records = [found[name] for found in summary["evaluations"].values() if name in found]
    attack, options = entry.get("attack"), entry.get("options") or {}
    words = numbers(attack, options)
    description = [entry.get("description"), words and f"{words[0].upper()}{words[1:]}."]
    description += [*_components(spec, records), *_engines(records)]
    classes = max((_classes(record) for record in records), default=10)
    return {
        "label": label_of(spec["protocols"], name),
        "description": [part for part in description if part],
        "weaker": weaknesses(attack, options, classes),
        "scope": _scope(spec, summary, records) or ["not run"],
    }


def _classes(record: dict) -> int:
    return round(1 / record["chance"]) if record.get("chance") else 10


def _components(spec: dict, records: list[dict]) -> Iterator[str]:
    """The attacks that an ensemble really ran, which depend on the number of classes."""
    groups: dict[tuple, dict[str, None]] = {}
    for record in records:
        names = tuple(record.get("attacks") or {})
        if len(names) > 1:
            groups.setdefault(names, {})[record["dataset"]] = None
    for names, datasets in groups.items():
        labels = [f"“{label_of(spec.get('datasets') or {}, dataset)}”" for dataset in datasets]
        on = f" on {sentence_list(labels)}" if len(groups) > 1 else ""
        yield f"Ran{on}: {', '.join(component_labels(list(names)))}."


def _engines(records: list[dict]) -> Iterator[str]:
    """Whose code the attacks were."""
    engines = sorted({record["engine"] for record in records if record.get("engine")})
    if engines:
        yield f"Computed by {sentence_list(ENGINES.get(name, name) for name in engines)}."


def _scope(spec: dict, summary: dict, records: list[dict]) -> list[str]:
    """One line per set of images and ε: how many models, how many of the split's images."""
    groups: dict[tuple, int] = {}
    for record in records:
        label = label_of(spec.get("datasets") or {}, record["dataset"])
        images = _part(_size(record), _whole(summary, record))
        threat = threat_text(record["threat"]) if record.get("threat") else None
        groups[label, images, threat] = groups.get((label, images, threat), 0) + 1
    return [
        f"{label}: {', '.join(filter(None, (_models(number), images, threat)))}"
        for (label, images, threat), number in groups.items()
    ]


def _models(number: int) -> str:
    return f"{number} model{'s' * (number != 1)}"
