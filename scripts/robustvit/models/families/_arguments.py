"""Checking the keywords that the configuration gives to a model's constructor."""

from __future__ import annotations

import inspect
from collections.abc import Callable

from robustvit.core.errors import UserError, nearest


def check_arguments(constructor: Callable, arguments: dict, family: str) -> None:
    """Raise a `UserError` for a keyword in `arguments` that `constructor` does not take."""
    parameters = inspect.signature(constructor).parameters
    if any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values()):
        return
    for name in arguments:
        if name not in parameters:
            known = sorted(set(parameters) - {"self"})
            raise UserError(
                f'model family "{family}" has no argument "{name}" in `args`.'
                f"{nearest(name, known)} Known: {', '.join(known)}."
            )
