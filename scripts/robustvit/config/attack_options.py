"""Checks of an attack's options before any job: a mistyped one would leave the default in force."""

from __future__ import annotations

from collections.abc import Mapping

from robustvit.attacks.support.options import check_options
from robustvit.core.plugins import option_names


def check_attack_options(where: str, attack: str | None, options: Mapping | None) -> None:
    """Check names and values of the options.

    Args:
        where: key of the entry that has them, for instance "protocols.autoattack".
        attack: the plug-in; one without a dictionary `DEFAULTS` may take any options.
        options: as the configuration has them.

    Raises:
        UserError: naming the key, with the nearest option that exists or a valid value.
    """
    known = option_names("robustvit.attacks", attack) if attack else ()
    check_options(f"{where}.options", options or {}, known)
