"""From the configuration as written to the configuration as meant: inherited, expanded, checked."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

from robustvit.config.merge import deep_merge
from robustvit.config.references import check_references
from robustvit.config.schema import validate_schema
from robustvit.core.errors import UserError, unknown_name

DEFAULTS = {
    "title": "Adversarially robust Vision Transformers",
    "follow": "code",
    "paths": {"results": "results", "mirror": ["mirror"], "published": "reports/published.csv"},
    "compute": {
        "device": "auto",
        "threads": 1,
        "batch_size": 64,
        "workers": 0,
        "memory_mb": 4000,
    },
    "report": {"evaluations": [], "notes": []},
}
SECTIONS = ("stand_ins", "checkpoints", "sweeps", "semantics", "gradients", "tables", "figures")


def resolve(config: Mapping) -> dict:
    """Validate `config` and return it with every recipe and experiment written out in full.

    The steps are: schema, defaults, recipes (`extends`, `follow`), sweeps, experiments (recipe
    embedded, `overrides` applied), references between the sections. Nothing given is changed.

    Raises:
        UserError: on the first step that finds a mistake, naming the key.
    """
    validate_schema(dict(config))
    resolved = deep_merge(DEFAULTS, {name: {} for name in SECTIONS}, config)
    resolved["recipes"] = {
        name: resolve_recipe(name, resolved["recipes"], resolved["follow"])
        for name in resolved["recipes"]
    }
    written = {**resolved["experiments"], **expand_sweeps(resolved["sweeps"])}
    resolved["experiments"] = {
        name: resolve_experiment(name, entry, resolved) for name, entry in written.items()
    }
    check_references(resolved)
    return resolved


def resolve_recipe(name: str, recipes: Mapping, follow: str, seen: tuple[str, ...] = ()) -> dict:
    """Return the recipe with what it `extends`, and the thesis' values where those are followed.

    Raises:
        UserError: for an unknown parent or a recipe that extends itself.
    """
    if name not in recipes:
        raise unknown_name("recipe", name, recipes, f"recipes.{seen[-1]}.extends" if seen else "")
    if name in seen:
        raise UserError(f"recipes.{name}.extends: {' → '.join((*seen, name))} is a circle.")
    own = dict(recipes[name])
    parent = own.pop("extends", None)
    thesis = own.pop("thesis", None)
    if follow != "thesis":
        thesis = None
    base = resolve_recipe(parent, recipes, follow, (*seen, name)) if parent else {}
    return deep_merge(base, own, thesis)


def expand_sweeps(sweeps: Mapping) -> dict[str, dict]:
    """Return one experiment for each combination of the axes' values of each sweep.

    An experiment's name is the sweep's name and the values' names joined by underscores; the
    values' names follow the label in brackets.
    """
    found = {}
    for sweep, entry in sweeps.items():
        axes = [list(values.items()) for values in entry["axes"].values()]
        for combination in itertools.product(*axes):
            names = [str(name) for name, _ in combination]
            merged = deep_merge(entry["experiment"], *(part for _, part in combination))
            merged["label"] = f"{merged.get('label', sweep)} [{', '.join(names)}]"
            found["_".join([sweep, *names])] = merged
    return found


def resolve_experiment(name: str, entry: Mapping, config: Mapping) -> dict:
    """Return the experiment with all keys set, its recipe embedded and `overrides` applied.

    Raises:
        UserError: if the recipe is unknown, or if neither a recipe nor weights are given.
    """
    own = deep_merge(
        entry, entry.get("thesis") if config["follow"] == "thesis" else None, {"thesis": None}
    )
    del own["thesis"]
    where = f"experiments.{name}"
    _check_kind(own, where)
    full = {
        "name": name,
        "threat": None,
        "init": None,
        "weights": None,
        "patch_size": None,
        "evaluate": [],
        "eval_examples": {},
        "seed": config["seed"],
        "published": {},
        "published_label": "",
        "source": "",
        **own,
    }
    full["recipe_name"] = own.get("recipe")
    full["recipe"] = _embedded_recipe(own, config["recipes"], where)
    full.setdefault("eval_dataset", own.get("dataset"))
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
