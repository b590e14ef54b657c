"""Options of attacks: names that exist, values that make sense."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from robustvit.attacks.support.engines import is_fast
from robustvit.core.errors import UserError, unknown_name

COUNTS = ("iterations", "queries", "restarts", "steps", "targets")
POSITIVE = ("step_factor", "step_size_255")


def check_options(where: str, options: Mapping, known: Iterable[str] | None) -> None:
    """Check the options of an attack that this project brings along.

    Args:
        where: key that holds them, for instance "protocols.autoattack.options".
        options: as the configuration has them.
        known: names that the attack reads; None if it does not say.

    Raises:
        UserError: naming the key, with the nearest option that exists or a valid value.
    """
    for name, value in options.items():
        if known is not None and name not in known:
            raise unknown_name("option", name, known, where)
        if known is not None:
            _check_value(f"{where}.{name}", name, value)


def _check_value(where: str, name: str, value: object) -> None:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if name in COUNTS and not (number and isinstance(value, int) and value > 0):
        raise UserError(f"{where}: {value!r} is not a whole number above zero; for instance 10")
    if name == "step_size_255" and value is None:
        return
    if name in POSITIVE and not (number and value > 0):
        raise UserError(f"{where}: {value!r} is not a number above zero; for instance 1.5")
    if name == "engine":
        is_fast(value, where)


def merged(options: Mapping, defaults: Mapping) -> dict:
    """Return the defaults with `options` in their places.

    Raises:
        UserError: for an unknown option or a value without meaning.
    """
    check_options("options", options, defaults)
    return {**defaults, **options}
