"""From the configuration as written to the configuration as meant: inherited, expanded, checked."""

from __future__ import annotations

from collections.abc import Mapping

from robustvit.config.attack_losses import expand_epochs
from robustvit.config.claims import resolve_claims
from robustvit.config.dataset_figures import add_dataset_figures
from robustvit.config.evaluated_models import add_evaluated_models, read_values
from robustvit.config.follow import SIDES, choose_side, find_differences
from robustvit.config.merge import deep_merge
from robustvit.config.references import check_references
from robustvit.config.schema import validate_schema
from robustvit.config.sweeps import expand_sweeps
from robustvit.core.errors import UserError, unknown_name

DEFAULTS = {
    "title": "Adversarially robust Vision Transformers",
    "follow": "code",
    "differences": [],
    "paths": {"results": "results", "mirror": ["mirror"], "published": "reports/published.csv"},
    "compute": {
        "device": "auto",
        "threads": 1,
        "batch_size": 64,
        "workers": 0,
        "memory_mb": 4000,
        "training": {"device": None, "processes": 1, "nodes": 1},
        "evaluation": {"device": None},
        "semantics": {"device": None},
        "gradients": {"device": None},
    },
    "monitoring": {"every_steps": 50, "tensorboard": True, "wandb": None},
    "report": {"claims": [], "gallery": [], "evaluations": [], "notes": []},
    "plan": {
        "targets": ["report"],
        "device": "a100",
        "devices": 8,
        "site": None,
        "everything": False,
    },
}
SECTIONS = (
    *("stand_ins", "checkpoints", "evaluate_models", "sweeps", "semantics", "gradients"),
    *("attack_losses", "tables", "figures", "claims"),
)


def resolve(config: Mapping) -> dict:
    """Validate `config` and return it with every recipe and experiment written out in full.

    The steps are: schema, defaults, `evaluate_models`, figures of data sets, sweeps, then for both
    sides of `follow` recipes (`extends`), models, semantics and experiments (recipe embedded,
    `overrides` applied), and at last the references between the sections and the claims. The side
    that is not followed only shows in `differences`, where each contradiction between the sources
    gets the `settings` in which the sides differ. Nothing given is changed.

    Raises:
        UserError: on the first step that finds a mistake, naming the key.
    """
    config = dict(config)
    if isinstance(config.get("evaluate_models"), Mapping):
        config["evaluate_models"] = read_values(config["evaluate_models"])
    validate_schema(config)
    merged = deep_merge(DEFAULTS, {name: {} for name in SECTIONS}, config)
    merged = add_dataset_figures(add_evaluated_models(merged))
    expanded = expand_sweeps(merged["sweeps"], merged["experiments"])
    merged["experiments"] = {**merged["experiments"], **expanded}
    sides = {side: _resolve_side(merged, side) for side in SIDES}
    resolved = {**merged, **sides[merged["follow"]]}
    resolved["attack_losses"] = expand_epochs(resolved)
    check_references(resolved)
    resolved["claims"] = resolve_claims(resolved)
    resolved["contradictions"] = merged["differences"]
    resolved["differences"] = find_differences(
        sides["code"], sides["thesis"], merged["differences"]
    )
    return resolved


def _resolve_side(merged: Mapping, side: str) -> dict:
    """The sections that depend on `follow`."""
    recipes = {name: resolve_recipe(name, merged["recipes"], side) for name in merged["recipes"]}
    chosen = {
        section: {name: choose_side(entry, side) for name, entry in merged[section].items()}
        for section in ("models", "semantics", "experiments")
    }
    chosen["experiments"] = {
        name: resolve_experiment(name, entry, recipes, merged["seed"])
        for name, entry in chosen["experiments"].items()
    }
    return {"recipes": recipes, **chosen}


def resolve_recipe(name: str, recipes: Mapping, side: str, seen: tuple[str, ...] = ()) -> dict:
    """Return the recipe with what it `extends`, and the thesis' values on that side.

    Raises:
        UserError: for an unknown parent or a recipe that extends itself.
    """
    if name not in recipes:
        raise unknown_name("recipe", name, recipes, f"recipes.{seen[-1]}.extends" if seen else "")
    if name in seen:
        raise UserError(f"recipes.{name}.extends: {' → '.join((*seen, name))} is a circle.")
    own = choose_side(recipes[name], side)
    parent = own.pop("extends", None)
    base = resolve_recipe(parent, recipes, side, (*seen, name)) if parent else {}
    return deep_merge(base, own)


def resolve_experiment(name: str, entry: Mapping, recipes: Mapping, seed: int) -> dict:
    """Return the experiment with all keys set, its recipe embedded and `overrides` applied.

    Raises:
        UserError: if the recipe is unknown, or if neither a recipe nor weights are given.
    """
    where = f"experiments.{name}"
    _check_kind(entry, where)
    full = {
        "name": name,
        "threat": None,
        "init": None,
        "weights": None,
        "synthetic": None,
        "patch_size": None,
        "evaluate": [],
        "eval_examples": {},
        "seed": seed,
        "published_label": "",
        "about": {},
        "source": "",
        **entry,
    }
    full["published"] = {
        protocol: [keys] if isinstance(keys, str) else keys
        for protocol, keys in entry.get("published", {}).items()
    }
    full["recipe_name"] = entry.get("recipe")
    full["recipe"] = _embedded_recipe(entry, recipes, where)
    full.setdefault("eval_dataset", entry.get("dataset"))
    full.setdefault("monitor_dataset", full["eval_dataset"])
    full.setdefault("eval_threat", full["threat"])
    full.pop("overrides", None)
    return full


def _check_kind(entry: Mapping, where: str) -> None:
    if entry.get("recipe") and entry.get("weights"):
        raise UserError(f"{where}: has both `recipe` and `weights`; keep one (to fine-tune: init).")
    if not entry.get("recipe") and not entry.get("weights"):
        raise UserError(
            f"{where}: needs a `recipe` to train with, for instance `recipe: light`, or `weights` "
            "to evaluate, for instance `weights: {checkpoint: cifar10_resnet18}`."
        )
    required = ("model", "dataset") if entry.get("recipe") else ("eval_dataset",)
    for key in required:
        if not entry.get(key):
            raise UserError(f"{where}.{key}: is missing; name an entry of `{key}s`.")


def _embedded_recipe(entry: Mapping, recipes: Mapping, where: str) -> dict | None:
    name = entry.get("recipe")
    if not name:
        return None
    if name not in recipes:
        raise unknown_name("recipe", name, recipes, f"{where}.recipe")
    recipe = deep_merge(recipes[name], entry.get("overrides"))
    recipe.pop("source", None)
    return recipe
