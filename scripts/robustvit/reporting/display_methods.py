"""What was run and on which data sets, in words, from the settings and the manifests."""

from __future__ import annotations

from collections.abc import Iterator

from robustvit.core.progress import format_seconds
from robustvit.data.official import source_facts
from robustvit.reporting.abstract import label_of
from robustvit.reporting.display_other import OTHER
from robustvit.reporting.formatting import count, setting, threat_text
from robustvit.reporting.selection import CHOSEN, WORDS, trained

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
            **_trained_with(trained(name, spec), spec),
            "recipe": _recipe(entry),
            "trained": _short_recipe(entry),
            "init": _init(entry, experiments, summary.get("checkpoints") or {}),
            "training": _training(summary["training"].get(name) or {}),
        }
        for name, entry in experiments.items()
    ]


def _trained_with(entry: dict | None, spec: dict) -> dict:
    """Images and threat model of the training that made the weights; "–" if others made them."""
    if entry is None:
        return {"dataset": "–", "threat": "–"}
    dataset = _dataset(entry, spec.get("datasets") or {})
    return {"dataset": dataset, "threat": threat_text(entry.get("threat"))}


def _name(value: object) -> str:
    return str(value.get("name", "–")) if isinstance(value, dict) else str(value or "–")


def _dataset(entry: dict, datasets: dict) -> str:
    label, synthetic = label_of(datasets, _name(entry.get("dataset"))), entry.get("synthetic")
    if not synthetic:
        return label
    share, drawn = f"{synthetic['ratio']:.0%}", label_of(datasets, synthetic["dataset"])
    return f"{label}; {share} of each batch: {drawn}"


def _recipe(entry: dict) -> str:
    recipe = entry.get("recipe")
    if not isinstance(recipe, dict):
        return _name(recipe) if recipe else "not trained here"
    parts = [entry.get("recipe_name"), _loss(recipe), *_schedule(recipe), _selection(recipe)]
    return "; ".join(part for part in parts if part)


def _short_recipe(entry: dict) -> str:
    """The recipe's name, which another section tells in full, and whether images chose weights."""
    recipe = entry.get("recipe")
    if not isinstance(recipe, dict):
        return _name(recipe) if recipe else "not trained here"
    name = entry.get("recipe_name") or _loss(recipe) or "–"
    return f"{name} {CHOSEN}" if recipe.get("selection") == "test" else name


def _selection(recipe: dict) -> str | None:
    chosen = recipe.get("selection")
    words = WORDS.get(chosen, chosen)
    return f"{words} {CHOSEN}" if chosen == "test" else words


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
        name = optimizer.get("name") or "optimiser"
        name = {"adamw": "AdamW", "sgd": "SGD"}.get(name, name)
        rate, decay = setting(optimizer.get("lr")), setting(optimizer.get("weight_decay"))
        parts.append(f"{name}, rate {rate}, weight decay {decay}")
    return parts


def _init(entry: dict, experiments: dict, checkpoints: dict) -> str:
    source = entry.get("init") if entry.get("recipe") else entry.get("weights")
    if not source:
        return "random weights" if entry.get("recipe") else "–"
    kind = source.get("kind") or next(iter(source))
    name = source.get("name") or source[kind]
    if kind == "experiment":
        return label_of(experiments, name)
    return f"checkpoint {name}{_checked(checkpoints.get(name))}"


def _checked(source: dict | None) -> str:
    """How the bytes of a checkpoint are known to be the right ones: "" if nothing is known."""
    if not source:
        return ""
    if source["checked"] == "as built":
        return ", as its function returned it"
    known = {
        "configuration": "as the configuration says",
        "first use": f"none published: that of its first use on {source['first_used']}",
    }.get(source["checked"], "compared with nothing")
    return f"; SHA-256 {source['sha256'][:12]}, {known}"


def _training(training: dict) -> str:
    if training.get("status") != "done":
        return training.get("status") or "–"
    epochs, seconds = training["epochs"], training.get("seconds")
    text = f"{epochs} epoch{'s' * (epochs != 1)}"
    text += f" in {format_seconds(seconds)}" if seconds else ""
    return text + f" {OTHER}" * bool(training.get("other_settings"))


def display_datasets(spec: dict, summary: dict) -> list[dict]:
    """One row per data set: classes, images per split, where they come from, on which terms."""
    settings = spec.get("datasets") or {}
    return [
        {
            "label": label_of(settings, name),
            "stand_in": bool(found.get("stand_in")),
            "classes": count(len(found["classes"])) if found.get("classes") else "–",
            "splits": [_split(found, split) for split in found.get("splits", {})],
            "origin": "; ".join((_origin(found), *_lacking(found))),
            "incomplete": found.get("complete") is False,
            "licence": _licence(settings.get(name) or {}, found),
            "sha256": (found.get("sha256") or "–")[:12],
        }
        for name, found in summary["datasets"].items()
    ]


def _split(found: dict, split: str) -> str:
    """A split with its images, and how many of a class: "train: 5 000 (500 of each class)"."""
    text, extremes = f"{split}: {count(found['splits'][split])}", found["per_class"][split]
    if extremes is None:
        return text
    low, high = map(count, extremes)
    return f"{text} ({low} of each class)" if low == high else f"{text} ({low}–{high} of a class)"


def _licence(settings: dict, found: dict) -> str:
    """The terms of the archive that the images are really from; "" for a source of one's own."""
    source = "cifar10" if found.get("stand_in") else settings.get("source") or ""
    facts = source_facts(source)
    return f"{facts['label']}: {facts['licence']}; {facts['terms']}" if facts else ""


def _lacking(found: dict) -> Iterator[str]:
    """What the set lacks of its archive, or the archive of the set, and what is unusual in it."""
    left_out, missing = found.get("left_out") or 0, found.get("missing") or 0
    if left_out:
        verb = "does" if left_out == 1 else "do"
        yield f"{_images(left_out)} left out ({verb} not decode)"
    if missing:
        yield f"{_images(missing)} missing from the archive"
    if found.get("odd"):
        kinds = (f"{count(n)} {kind.replace('_', ' ')}" for kind, n in found["odd"].items())
        yield f"unusual images, kept as they are: {', '.join(kinds)}"


def _images(number: int) -> str:
    return f"{count(number)} image{'s' * (number != 1)}"


def _origin(found: dict) -> str:
    if found["status"] == "missing":
        return "not built"
    if found.get("stand_in"):
        return "written from CIFAR-10's photographs, in the layout of the official archive"
    origin = ORIGINS.get(found.get("origin"), str(found.get("origin") or "–"))
    return origin + (", not the complete official one" if found.get("complete") is False else "")
