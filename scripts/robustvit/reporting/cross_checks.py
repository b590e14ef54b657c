"""Checks that take several evaluations of one model: a stronger attack leaves no more standing.

If PGD leaves more than FGSM, or AutoAttack more than PGD, gradients mislead the stronger one or it
was cut too short; either way its number is too good.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

TOLERANCE = 0.01  # of the images: random starts differ
SAME = ("dataset", "split", "threat", "num_examples")
NAME = "strength"


def cross_checks(records: Mapping[str, dict | None]) -> dict[str, list[dict]]:
    """Compare the evaluations of one model with each other.

    Args:
        records: gathered evaluations by protocol; None for one that was not run.

    Returns:
        Checks {"name", "passed", "detail"} by the protocol whose number they are about.
    """
    attacked = {name: r for name, r in records.items() if r and r.get("attack")}
    found = {name: list(_against_weaker(name, attacked)) for name in attacked}
    return {name: checks for name, checks in found.items() if checks}


def _against_weaker(name: str, records: Mapping[str, dict]) -> Iterator[dict]:
    own = records[name]
    for other, record in records.items():
        if not _is_stronger(own["attack"], record["attack"]) or not _comparable(own, record):
            continue
        left, images = own["robust_top1"]["k"], own["robust_top1"]["n"]
        weaker = record["robust_top1"]["k"]
        passed = left - weaker <= max(1, TOLERANCE * images)
        detail = f"{left} of {images} images stand, {weaker} under {other}"
        yield {"name": f"{NAME} ({other})", "passed": passed, "detail": detail}


def _comparable(first: dict, second: dict) -> bool:
    return all(first.get(key) == second.get(key) for key in SAME)


def _is_stronger(first: dict, second: dict) -> bool:
    """Whether the first attack should break at least what the second one breaks."""
    if "autoattack" in (first["name"], second["name"]):
        return first["name"] == "autoattack" != second["name"]
    return 0 < _steps(second) < _steps(first)


def _steps(attack: dict) -> int:
    """Steps of FGSM and PGD; 0 for attacks of another kind."""
    steps = {"fgsm": 1, "pgd": (attack.get("options") or {}).get("steps", 10)}
    return steps.get(attack["name"], 0)
