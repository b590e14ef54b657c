"""Attacks in words: their names, their numbers, and what makes one weaker than the standard."""

from __future__ import annotations

from robustvit.reporting.formatting import count, flatten

# What an attack does with an option that is not set: `DEFAULTS` of robustvit.attacks.<name>, which
# is not imported since it would load torch. A test holds the two together.
STANDARD = {
    "autoattack": {
        "iterations": 100,
        "queries": 5000,
        "targets": 9,
        "restarts": 1,
        "engine": "reference",
    },
    "apgd_ce": {"iterations": 100, "restarts": 5, "engine": "reference"},
    "pgd": {"steps": 10, "step_factor": 1.5, "restarts": 1, "step_size_255": None},
    "pgd_targeted": {"steps": 20, "step_factor": 1.5, "targets": 9, "step_size_255": None},
    "fgsm": {"step_factor": 1.5},
}
COMPARED = {
    "autoattack": ("iterations", "queries", "targets"),
    "apgd_ce": ("iterations", "restarts"),
}
COMPONENTS = {
    "apgd-ce": "APGD-CE",
    "apgd-t": "APGD-T",
    "apgd-dlr": "APGD-DLR",
    "apgd-margin": "APGD on the margin",
    "fab-t": "FAB-T",
    "square": "Square",
}
NAMES = {
    "pgd": "PGD",
    "pgd_targeted": "targeted PGD",
    "fgsm": "FGSM",
    "apgd_ce": "APGD-CE",
    "autoattack": "AutoAttack",
}
ENGINES = {
    "reference": "pyautoattack's code (engine “reference”)",
    "fast": "this project's own code of the same attacks (engine “fast”)",
}
SIGNS = {"minus": "x − x′", "plus": "x′ − x"}


def attack_name(attack: str, options: dict) -> str:
    """Name an attack with its steps where they are part of the name: "PGD-100"."""
    steps = settings(attack, options).get("steps")
    return NAMES.get(attack, attack) + (f"-{steps}" if steps and "pgd" in attack else "")


def settings(attack: str, options: dict | None) -> dict:
    """All numbers of an attack, the standard ones where the options set none."""
    return STANDARD.get(attack, {}) | (options or {})


def weaknesses(attack: str | None, options: dict | None, num_classes: int) -> list[str]:
    """What is less than in standard AutoAttack: ["5 of 100 iterations"]; empty if nothing is.

    Args:
        attack: plug-in of the attack.
        options: as the configuration has them.
        num_classes: an attack has one target fewer than there are classes at most.
    """
    if attack not in COMPARED:
        return []
    used, standard = settings(attack, options), dict(STANDARD[attack])
    if "targets" in standard:
        standard["targets"] = min(standard["targets"], num_classes - 1)
    return [
        f"{count(used[key])} of {count(standard[key])} {key}"
        for key in COMPARED[attack]
        if used[key] < standard[key]
    ]


def numbers(attack: str | None, options: dict | None) -> str:
    """The numbers of an attack in words: "10 steps of size 1.5·ε/10"; "" for clean images."""
    if attack is None:
        return ""
    used = settings(attack, options)
    if attack in ("pgd", "pgd_targeted", "fgsm"):
        return _steps(used)
    if attack not in STANDARD:
        return "; ".join(f"{key} = {value}" for key, value in flatten(used))
    parts = [_plural(used["iterations"], "iteration")]
    if "targets" in used:
        parts.append(f"at most {_plural(used['targets'], 'target class', 'target classes')}")
        parts.append(_plural(used["queries"], "query", "queries"))
    return ", ".join([*parts, _plural(used["restarts"], "restart")])


def _steps(used: dict) -> str:
    steps = used.get("steps", 1)
    size = f"{used['step_factor']:g}·ε" + (f"/{steps}" if steps > 1 else "")
    if used.get("step_size_255") is not None:
        size = f"{used['step_size_255']:g}/255"
    restarts = used.get("restarts", 1)
    text = f"{_plural(steps, 'step')} of size {size}"
    if "targets" in used:
        text += f" towards each of {_plural(used['targets'], 'target class', 'target classes')}"
    return text + (f", {restarts} restarts" if restarts > 1 else "")


def _plural(number: int, one: str, many: str | None = None) -> str:
    return f"{count(number)} {one if number == 1 else many or one + 's'}"


def component_labels(names: list[str]) -> list[str]:
    """Names of an ensemble's attacks as papers print them."""
    return [COMPONENTS.get(name, name) for name in names]
