"""An evaluation as RobustBench keeps it: one JSON file per model of its `model_info` folder."""

from __future__ import annotations

from collections.abc import Iterator

from robustvit.core.errors import UserError
from robustvit.reporting.protocols import weaknesses

IMAGES = {"cifar10": 10_000, "cifar100": 10_000, "imagenet": 5_000}  # of the leaderboards
UNKNOWN = ""  # as RobustBench has it for texts; numbers and answers that nobody gave are null


def model_info(spec: dict, evaluation: dict, reported: float | None) -> dict:
    """Fill RobustBench's fields from an evaluation under AutoAttack.

    Args:
        spec: see `robustvit.config.robustbench_export.robustbench_spec`.
        evaluation: the gathered evaluation; its accuracies are fractions.
        reported: AutoAttack accuracy in percent that the model's paper reports, if it does.

    Returns:
        RobustBench's fields in its order; accuracies are percentages as strings, as there.

    Raises:
        UserError: for an evaluation that is not one under AutoAttack.
    """
    if (evaluation["attack"] or {}).get("name") != "autoattack":
        raise UserError(
            f"{evaluation['experiment']}, {evaluation['protocol']}: RobustBench wants AutoAttack"
        )
    about, notes = spec["about"], list(_notes(spec, evaluation))
    info = {
        "link": about.get("link", UNKNOWN),
        "name": about.get("title", UNKNOWN),
        "authors": about.get("authors", UNKNOWN),
        "additional_data": about.get("additional_data", spec["additional_data"]),
        "number_forward_passes": about.get("number_forward_passes", spec["forward_passes"]),
        "dataset": spec["dataset"],
        "venue": about.get("venue", UNKNOWN),
        "architecture": about.get("architecture", spec["architecture"]),
        "eps": _radius(evaluation["threat"]),
        "clean_acc": percentage(evaluation["clean_top1"]["value"]),
        "reported": None if reported is None else f"{reported:g}",
        "autoattack_acc": percentage(evaluation["robust_top1"]["value"]),
    }
    return info | ({"footnote": " ".join(notes)} if notes else {})


def percentage(fraction: float) -> str:
    """Round as `robustbench.utils.update_json` does: 0.4178 is "41.78"."""
    return str(round(fraction * 100, 2))


def _radius(threat: dict) -> str:
    value = threat["epsilon_255"]
    return f"{value:g}/255" if threat["norm"] == "linf" else f"{value / 255:g}"


def _notes(spec: dict, evaluation: dict) -> Iterator[str]:
    """What keeps the numbers from standing beside the leaderboard's."""
    if spec["about"].get("footnote"):
        yield spec["about"]["footnote"]
    if evaluation["stand_in"]:
        yield "The images are stand-ins, not those of the data set."
    if spec["trained_on_stand_in"]:
        yield "The model was trained on stand-in images."
    expected = IMAGES.get(spec["dataset"]) if spec["leaderboard"] else None
    if expected is None:
        yield "The images are not those of a leaderboard of RobustBench."
    elif evaluation["num_examples"] != expected:
        yield f"On {evaluation['num_examples']} of the leaderboard's {expected} images."
    attack, classes = evaluation["attack"], round(1 / evaluation["chance"])
    weaker = weaknesses(attack["name"], attack["options"], classes)
    if weaker:
        yield f"Weaker than standard AutoAttack: {', '.join(weaker)}."
    if evaluation.get("engine") == "fast":
        yield "AutoAttack by another implementation than the library's (engine: fast)."
    failed = [check["name"] for check in evaluation["checks"] if not check["passed"]]
    if failed:
        yield f"Checks that did not pass: {', '.join(failed)}."
