"""What was run, on which images and how it was attacked: the methods, from the settings."""

from __future__ import annotations

from robustvit.core.progress import format_seconds
from robustvit.reporting.abstract import STRONGEST, label_of
from robustvit.reporting.formatting import count, flatten, sentence_list, setting, threat_text

ORIGINS = {
    "mirror": "original archive from the configured mirror",
    "download": "original archive, downloaded",
    "npm": "original images, from the npm package",
}


def display_experiments(spec: dict, summary: dict) -> list[dict]:
    """One row per experiment: model, data, threat model, recipe, start, training."""
    experiments = spec.get("experiments") or {}
    return [
        {
            "label": label_of(experiments, name),
            "model": _name(entry.get("model")),
            "dataset": label_of(spec.get("datasets") or {}, _name(entry.get("dataset"))),
            "threat": threat_text(entry.get("threat")),
            "recipe": _recipe(entry),
            "init": _init(entry, experiments),
            "training": _training(summary["training"].get(name) or {}),
        }
        for name, entry in experiments.items()
    ]


def _name(value: object) -> str:
    return str(value.get("name", "–")) if isinstance(value, dict) else str(value or "–")


def _recipe(entry: dict) -> str:
    recipe = entry.get("recipe")
    if not isinstance(recipe, dict):
        return _name(recipe) if recipe else "not trained here"
    parts = [entry.get("recipe_name"), _loss(recipe), *_schedule(recipe)]
    return "; ".join(part for part in parts if part)


def _loss(recipe: dict) -> str | None:
    loss, attack = recipe.get("loss") or {}, recipe.get("attack") or {}
    if loss.get("name") in (None, "clean"):
        return "clean loss" if loss else None
    name = "TRADES" if loss["name"] == "trades" else f"{loss['name']} loss"
    beta = f" (β = {loss['beta']:g})" if loss["name"] == "trades" and "beta" in loss else ""
    steps = attack.get("steps")
    return f"{name}{beta}" + (f", {steps} attack step{'s' * (steps != 1)}" if steps else "")


def _schedule(recipe: dict) -> list[str]:
    optimizer = recipe.get("optimizer") or {}
    parts = []
    if recipe.get("epochs") is not None:
        cooldown = recipe.get("cooldown_epochs")
        parts.append(f"{recipe['epochs']:g}{f' + {cooldown:g}' if cooldown else ''} epochs")
    if recipe.get("batch_size") is not None:
        parts.append(f"batch {recipe['batch_size']}")
    if optimizer:
        name = {"adamw": "AdamW", "sgd": "SGD"}.get(optimizer.get("name"), "optimiser")
        rate, decay = setting(optimizer.get("lr")), setting(optimizer.get("weight_decay"))
        parts.append(f"{name}, rate {rate}, weight decay {decay}")
    return parts


def _init(entry: dict, experiments: dict) -> str:
    source = entry.get("init") if entry.get("recipe") else entry.get("weights")
    if not source:
        return "random weights" if entry.get("recipe") else "–"
    kind = source.get("kind") or next(iter(source))
    name = source.get("name") or source[kind]
    return label_of(experiments, name) if kind == "experiment" else f"checkpoint {name}"


def _training(training: dict) -> str:
    if training.get("status") != "done":
        return training.get("status") or "–"
    epochs, seconds = training["epochs"], training.get("seconds")
    text = f"{epochs} epoch{'s' * (epochs != 1)}"
    return text + (f" in {format_seconds(seconds)}" if seconds else "")


def display_datasets(spec: dict, summary: dict) -> list[dict]:
    """One row per data set: classes, images per split, where they come from."""
    settings = spec.get("datasets") or {}
    return [
        {
            "label": label_of(settings, name),
            "stand_in": bool(found.get("stand_in")),
            "classes": count(len(found["classes"])) if found.get("classes") else "–",
            "splits": ", ".join(f"{s}: {count(n)}" for s, n in found.get("splits", {}).items()),
            "origin": _origin(found),
            "sha256": (found.get("sha256") or "–")[:12],
        }
        for name, found in summary["datasets"].items()
    ]


def _origin(found: dict) -> str:
    if found["status"] == "missing":
        return "not built"
    if found.get("stand_in"):
        return "written from CIFAR-10's photographs, in the layout of the official archive"
    return ORIGINS.get(found.get("origin"), str(found.get("origin") or "–"))


def display_protocol(spec: dict, summary: dict) -> dict:
    """The evaluation in words: which images, how many, which resize, which ε, which attacks."""
    return {
        "images": _images(spec, summary),
        "protocols": [
            {
                "label": label_of(spec.get("protocols") or {}, name),
                "description": _description(entry),
                "scope": _scope(name, summary),
            }
            for name, entry in sorted((spec.get("protocols") or {}).items(), key=_strength)
        ],
    }


def _strength(item: tuple[str, object]) -> int:
    """Sort key of protocols: clean first, then the weakest attack first."""
    attack = item[1].get("attack") if isinstance(item[1], dict) else None
    return -STRONGEST.index(attack) if attack in STRONGEST else -len(STRONGEST)


def _description(entry: object) -> str:
    if not isinstance(entry, dict):
        return str(entry)
    options = "; ".join(f"{key} = {value}" for key, value in flatten(entry.get("options") or {}))
    return " ".join(part for part in (entry.get("description"), options and f"({options})") if part)


def _images(spec: dict, summary: dict) -> list[str]:
    """One sentence per evaluated data set about its images and their preparation."""
    used: dict[tuple[str, str | None], None] = {}
    for found in summary["evaluations"].values():
        for record in found.values():
            used[record["dataset"], record.get("split")] = None
    return [_image_sentence(spec, name, split) for name, split in used]


def _image_sentence(spec: dict, name: str, split: str | None) -> str:
    settings = (spec.get("datasets") or {}).get(name) or {}
    text = f"{label_of(spec.get('datasets') or {}, name)}: "
    text += f"images of the split “{split}”" if split else "evaluation images"
    size, crop = settings.get("image_size"), settings.get("crop_pct") or 1.0
    if size and crop < 1:
        resized, kind = round(size / crop), settings.get("interpolation") or "bicubic"
        text += f", shorter side resized to {resized} px ({kind})"
        text += f", centre crop of {size} × {size} px"
    elif size:
        text += f", at {size} × {size} px"
    return text + "."


def _scope(protocol: str, summary: dict) -> str:
    """On how many images of which sizes of ε a protocol was run."""
    records = [found[protocol] for found in summary["evaluations"].values() if protocol in found]
    if not records:
        return "not run"
    numbers = sorted({(r["robust_top1"] or r["clean_top1"] or {}).get("n") or 0 for r in records})
    texts = [f"{len(records)} model{'s' * (len(records) != 1)}"]
    texts.append(f"{sentence_list(map(count, numbers), 'or')} images each")
    threats = sorted({threat_text(r["threat"]) for r in records if r.get("threat")})
    return "; ".join(texts + ([sentence_list(threats, "or")] if threats else []))
