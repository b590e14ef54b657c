"""Checks of an attack's options before any job: a mistyped one would leave the default in force."""

from __future__ import annotations

from collections.abc import Mapping

from robustvit.attacks.support.engines import is_fast
from robustvit.core.errors import unknown_name
from robustvit.core.plugins import option_names


def check_attack_options(where: str, attack: str | None, options: Mapping | None) -> None:
    """Check the names of the options, and the engine's.

    Args:
        where: key of the entry that has them, for instance "protocols.autoattack".
        attack: the plug-in; one without a dictionary `DEFAULTS` may take any options.
        options: as the configuration has them.

    Raises:
        UserError: naming the key and the nearest option that exists.
    """
    known = option_names("robustvit.attacks", attack) if attack else ()
    for name in options or {}:
        if known is not None and name not in known:
            raise unknown_name("option", name, known, f"{where}.options")
    if "engine" in (options or {}):
        is_fast(options["engine"], f"{where}.options.engine")
