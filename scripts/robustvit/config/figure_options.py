"""Options of figures, checked before anything runs, by what each kind of figure declares."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from robustvit.core.errors import UserError, unknown_name
from robustvit.core.plugins import load
from robustvit.reporting.options import Option

PACKAGE = "robustvit.reporting.figures"


def check_option_values(name: str, entry: Mapping) -> None:
    """Check names and values of a figure's options against its kind's `OPTIONS`, if it has them.

    `OPTIONS` maps the name of each option to an `Option`, to its allowed values, or to None for
    any value.

    Raises:
        UserError: naming the key, with what is known or an example.
    """
    declared = getattr(load(PACKAGE, entry["kind"]), "OPTIONS", None)
    if declared is None:
        return
    options, where = entry.get("options", {}), f"figures.{name}.options"
    for key, value in options.items():
        if key not in declared:
            raise unknown_name("option", key, declared, f"{where}.{key}")
        check_value(f"{where}.{key}", key, value, declared[key])
    for key, kind in declared.items():
        if isinstance(kind, Option) and kind.required and key not in options:
            raise UserError(
                f"{where}.{key}: is missing; a figure of kind {entry['kind']} needs "
                f"{kind.expected}. Example: {key}: {kind.example}"
            )


def check_value(where: str, key: str, value: object, kind: Option | Sequence | None) -> None:
    """Check one option against what its kind of figure declares for it.

    Args:
        where: the whole key, for the message.
        key: the option's name.
        value: as the configuration has it.
        kind: an `Option`, the allowed values, or None for any value.

    Raises:
        UserError: naming the key, with an example or the allowed values.
    """
    if isinstance(kind, Option):
        if not (kind.null if value is None else kind.fits(value)):
            raise UserError(
                f"{where}: {value!r} is not {kind.expected}. Example: {key}: {kind.example}"
            )
    elif kind and not any(type(value) is type(known) and value == known for known in kind):
        raise unknown_name(key, str(value), map(str, kind), where)


def check_figure_options(config: Mapping, name: str, entry: Mapping) -> None:
    """Run the `check(config, options)` of a figure's kind, if it has one.

    Names of the configuration's sections in the options are known to exist by then.

    Raises:
        UserError: that of `check`, which starts with the option's name.
    """
    check = getattr(load(PACKAGE, entry["kind"]), "check", None)
    if check is not None:
        try:
            check(config, entry.get("options", {}))
        except UserError as error:
            raise UserError(f"figures.{name}.options.{error}") from error


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
