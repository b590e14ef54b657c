"""Which plug-ins an experiment uses; light to import, since the workflow asks for every job."""

from __future__ import annotations

from robustvit.models.entry_points import model_plugins


def loss_name(spec: dict) -> str:
    """Module of `robustvit.training.losses`."""
    return spec["recipe"]["loss"]["name"]


def loss_options(recipe: dict) -> dict:
    """What a loss is told: the recipe's `loss` section with the loss's own `options` among it."""
    settings = dict(recipe["loss"])
    return (settings.pop("options", None) or {}) | settings


def evaluator_name(spec: dict) -> str:
    """Module of `robustvit.training.evaluators`: "robust" if the experiment has a threat."""
    return "clean" if spec.get("threat") is None else "robust"


def watcher_name(spec: dict) -> str | None:
    """Module of `robustvit.training.evaluators` that looks for catastrophic overfitting, if any."""
    return "watched" if spec["recipe"].get("watch") else None


def plugin_modules(spec: dict) -> list[str]:
    """Modules that a training imports by name, to be added to the rule's inputs.

    Args:
        spec: the TRAIN spec; a standard training names no attack, so that an edit in the attacks
            does not repeat it.
    """
    modules = [
        *model_plugins(spec["model"]),
        f"robustvit.training.losses.{loss_name(spec)}",
        f"robustvit.training.evaluators.{evaluator_name(spec)}",
    ]
    if watcher_name(spec):
        modules += [f"robustvit.training.evaluators.{watcher_name(spec)}", "robustvit.attacks.pgd"]
    if spec.get("threat") is not None:
        modules.append(f"robustvit.attacks.{spec['recipe']['attack']['name']}")
    return modules
