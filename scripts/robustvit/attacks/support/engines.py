"""The engines that run an attack: the same work, by pyautoattack's code or by this project's."""

from __future__ import annotations

from robustvit.core.errors import unknown_name

REFERENCE, FAST = "reference", "fast"
ENGINES = (FAST, REFERENCE)


def is_fast(engine: str, where: str = "protocols.<name>.options.engine") -> bool:
    """Whether `engine` is the fast one.

    Args:
        engine: its name.
        where: key that names it, for the message.

    Raises:
        UserError: if there is no such engine.
    """
    if engine not in ENGINES:
        raise unknown_name("engine", engine, ENGINES, where)
    return engine == FAST
