"""How the models were trained, in sentences out of the resolved recipes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from robustvit.reporting.abstract import label_of
from robustvit.reporting.display_settings import changes
from robustvit.reporting.formatting import count, flatten, sentence_list, setting

OPTIMIZERS = {"adamw": "AdamW", "sgd": "SGD"}
LEFT_OUT = ("evaluate_every", "evaluate_examples", "compile", "channels_last")  # change no result
NAMED = 6  # experiments that a paragraph names; more are counted
ALIKE = 8  # settings in which a recipe may differ from an earlier one and be told by them alone


def display_recipes(spec: dict) -> list[dict]:
    """One paragraph per recipe: what its experiments share, and in what they differ.

    A recipe that is much like an earlier one is told by its differences from that one.

    Returns:
        [{"name", "used": who was trained by it, "text": sentences}], in the order of first use.
    """
    groups: dict[str, dict[str, dict]] = {}
    for name, entry in (spec.get("experiments") or {}).items():
        if isinstance(entry.get("recipe"), dict):
            groups.setdefault(entry.get("recipe_name") or name, {})[name] = entry["recipe"]
    told: dict[str, dict[str, str]] = {}
    blocks = []
    for recipe, own in groups.items():
        flat = dict(flatten(next(iter(own.values()))))
        text = _as_earlier(flat, told)
        if text is None:
            told[recipe] = flat
            text = " ".join(_sentences(next(iter(own.values()))))
        text = " ".join(filter(None, (text, _variation(own))))
        blocks.append({"name": recipe, "used": _used(spec, own), "text": text})
    return blocks


def _as_earlier(settings: dict[str, str], told: dict[str, dict[str, str]]) -> str | None:
    """Name the differences from the most similar recipe that was told in full, if they are few."""
    found = {
        name: {k: v for k, v in changes(settings, other).items() if k not in LEFT_OUT}
        for name, other in told.items()
    }
    name = min(found, key=lambda n: len(found[n]), default=None)
    if name is None or len(found[name]) > ALIKE:
        return None
    if not found[name]:
        return f"As {name}."
    parts = [
        f"{key} is {value} (not {told[name].get(key, 'none')})"
        for key, value in found[name].items()
    ]
    return f"As {name}, but {sentence_list(parts)}."


def _used(spec: dict, recipes: Mapping) -> str:
    labels = [f"“{label_of(spec['experiments'], name)}”" for name in recipes]
    return sentence_list(labels) if len(labels) <= NAMED else f"{len(labels)} models"


def _sentences(recipe: dict) -> Iterator[str]:
    yield from filter(None, (_length(recipe), _optimizer(recipe), _schedule(recipe)))
    yield from filter(None, (_augmentation(recipe), _loss(recipe), _attack(recipe), _rest(recipe)))


def _variation(recipes: Mapping[str, dict]) -> str | None:
    """What the experiments of a recipe do not share, if anything."""
    varied = _varied(recipes)
    if not varied:
        return None
    texts = [f"{key} ({', '.join(values)})" for key, values in varied.items()]
    return f"So the first of them; these settings differ among them: {sentence_list(texts)}."


def _varied(recipes: Mapping[str, dict]) -> dict[str, list[str]]:
    """Settings that differ between the experiments of a recipe, with all their values."""
    flat = [dict(flatten(recipe)) for recipe in recipes.values()]
    keys = dict.fromkeys(key for settings in flat for key in settings)
    values = {key: list(dict.fromkeys(s.get(key, "none") for s in flat)) for key in keys}
    return {k: v for k, v in values.items() if len(v) > 1 and k not in LEFT_OUT}


def _length(recipe: Mapping) -> str | None:
    if recipe.get("epochs") is None:
        return None
    cooldown = recipe.get("cooldown_epochs")
    more = f" and {cooldown:g} more at the lowest rate" if cooldown else ""
    batch = f" in batches of {count(recipe['batch_size'])}" if recipe.get("batch_size") else ""
    examples = recipe.get("max_train_examples")
    part = f", of {count(examples)} training images" if examples else ""
    return f"{_plural(recipe['epochs'], 'epoch')}{more}{part}{batch}."


def _optimizer(recipe: Mapping) -> str | None:
    used = recipe.get("optimizer") or {}
    if not used:
        return None
    name = OPTIMIZERS.get(used.get("name"), used.get("name") or "optimiser")
    text = f"{name} with learning rate {setting(used.get('lr'))}"
    text += f" and weight decay {setting(used.get('weight_decay'))}"
    if used.get("name") == "sgd":
        text += f", {'Nesterov ' * bool(used.get('nesterov'))}momentum {setting(used['momentum'])}"
    elif used.get("betas"):
        text += f", β = ({setting(used['betas'])})"
    if used.get("layer_decay"):
        text += f", rates decaying by {setting(used['layer_decay'])} from layer to layer"
    return text + "."


def _schedule(recipe: Mapping) -> str | None:
    used = recipe.get("schedule") or {}
    if not used:
        return None
    warm, start = used.get("warmup_epochs"), setting(used.get("warmup_lr"))
    text = f"A {used.get('name')} schedule per {used.get('per') or 'epoch'}"
    if used.get("name") == "cosine":
        text += f" down to {setting(used.get('min_lr'))}"
    elif used.get("decay_epochs"):
        every = setting(used["decay_epochs"])
        text += f", times {setting(used.get('decay_rate'))} at epochs {every}"
    return text + (f", after {_plural(warm, 'epoch')} of warm-up from {start}." if warm else ".")


def _augmentation(recipe: Mapping) -> str | None:
    used = recipe.get("augmentation") or {}
    if not used:
        return None
    parts = [_crop(used)]
    flips = used.get("hflip")
    parts += [f"horizontal flips with probability {setting(flips)}"] if flips else []
    named = {
        "rotation": "rotations by up to {}°",
        "color_jitter": "colour jitter {}",
        "randaugment": "RandAugment {}",
        "mixup": "MixUp {}",
        "cutmix": "CutMix {}",
        "random_erasing": "random erasing {}",
    }
    parts += [text.format(setting(used[key])) for key, text in named.items() if used.get(key)]
    heavy = ("randaugment", "mixup", "cutmix", "random_erasing")
    none = [named[key].removesuffix(" {}") for key in heavy if not used.get(key)]
    text = f"Augmentation: {sentence_list([part for part in parts if part])}"
    views = (used.get("views") or 1) * (used.get("repeats") or 1)
    text += f", {views} views of each image" if views > 1 else ""
    return text + (f"; no {sentence_list(none, 'or')}." if none else ".")


def _crop(used: Mapping) -> str:
    if used.get("crop") == "random_resized":
        return f"random resized crops of {setting(used.get('scale'))} of the area"
    if used.get("crop") == "pad":
        return f"crops after padding by {setting(used.get('padding'))} px"
    return "no crops"


def _loss(recipe: Mapping) -> str | None:
    used, smooth = recipe.get("loss") or {}, recipe.get("label_smoothing")
    if not used.get("name"):
        return None
    names = {"clean": "The loss of unchanged images", "adversarial": "The loss of attacked images"}
    text = names.get(used["name"], f"The loss {used['name']}")
    if used["name"] == "trades":
        text = f"TRADES with β = {setting(used.get('beta'))}"
    return text + (f", with label smoothing {setting(smooth)}." if smooth else ".")


def _attack(recipe: Mapping) -> str | None:
    used, loss = recipe.get("attack") or {}, (recipe.get("loss") or {}).get("name")
    if not used or loss in (None, "clean"):
        return None
    steps = used.get("steps") or 1
    size = f"{setting(used.get('step_factor'))}·ε" + (f"/{steps}" if steps > 1 else "")
    if used.get("step_size_255") is not None:
        size = f"{setting(used['step_size_255'])}/255"
    start = " from a random start" if used.get("random_start") else ""
    text = f"Attacked by {_plural(steps, 'step')} of size {size}{start}"
    if used.get("mode"):
        text += f", the model in {used['mode']} mode"
    warm = used.get("epsilon_warmup_epochs")
    if warm and used.get("epsilon_schedule") != "constant":
        text += f"; ε grows over {_plural(warm, 'epoch')} ({used['epsilon_schedule']})"
    return text + "."


def _rest(recipe: Mapping) -> str | None:
    parts = []
    if recipe.get("drop_path"):
        parts.append(f"stochastic depth {setting(recipe['drop_path'])}")
    if recipe.get("ema_decay"):
        parts.append(f"weights averaged with decay {setting(recipe['ema_decay'])}")
    if recipe.get("clip_grad_norm"):
        parts.append(f"gradients clipped at norm {setting(recipe['clip_grad_norm'])}")
    if recipe.get("precision"):
        parts.append(f"arithmetic in {recipe['precision']}")
    text = sentence_list(parts)
    return f"{text[0].upper()}{text[1:]}." if text else None


def _plural(number: float, noun: str) -> str:
    return f"{setting(float(number))} {noun}" + "s" * (number != 1)
