"""Options of figures, checked before anything runs, by what each kind of figure declares."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from robustvit.core.errors import UserError, unknown_name
from robustvit.core.plugins import load

PACKAGE = "robustvit.reporting.figures"


def check_figure_options(config: Mapping, name: str, entry: Mapping) -> None:
    """Check a figure's options against its kind's `OPTIONS` and `check`, if it has them.

    `OPTIONS` maps the name of each option to its allowed values, or to None for any;
    `check(config, options)` raises a `UserError` or yields nothing.

    Raises:
        UserError: naming the key, with what is known or an example.
    """
    plugin, options = load(PACKAGE, entry["kind"]), entry.get("options", {})
    where = f"figures.{name}.options"
    declared = getattr(plugin, "OPTIONS", None)
    for key, value in options.items() if declared is not None else ():
        if key not in declared:
            raise unknown_name("option", key, declared, f"{where}.{key}")
        allowed = declared[key]
        if allowed and value not in allowed:
            raise unknown_name(key, str(value), map(str, allowed), f"{where}.{key}")
    check = getattr(plugin, "check", None)
    if check is not None:
        try:
            check(config, options)
        except UserError as error:
            raise UserError(f"{where}.{error}") from error


def check_watched(config: Mapping, where: str, names: Iterable[str]) -> None:
    """Refuse experiments that are not trained, and trainings that are not watched.

    Raises:
        UserError: naming the key `where`, with an example.
    """
    for name in names:
        recipe = config["experiments"][name]["recipe"]
        if not recipe or not recipe["watch"]:
            why = "is not watched" if recipe else "is not trained"
            raise UserError(
                f"{where}: {name} {why}. Choose a training whose recipe has, for example, "
                "watch: {steps: 10, num_examples: 1000}"
            )
