"""Options of tables, checked before anything runs, by what each kind of table declares."""

from __future__ import annotations

from collections.abc import Mapping

from robustvit.core.errors import UserError, nearest
from robustvit.core.plugins import load

PACKAGE = "robustvit.reporting.tables"
COMMON = ("kind", "title", "caption", "comparison")


def check_table_options(where: str, entry: Mapping) -> None:
    """Refuse options that a table's kind does not read, and ask for those that it needs.

    A kind declares its own in `OPTIONS`: the name of each to an example if it is required, else to
    None. One without `OPTIONS` may have all that the schema knows.

    Args:
        where: of the table in the configuration, for instance "tables.table9".
        entry: the table.

    Raises:
        UserError: naming the key, with the options that this kind of table has.
    """
    kind = entry.get("kind", "evaluation")
    declared = getattr(load(PACKAGE, kind), "OPTIONS", None)
    if declared is None:
        return
    known = sorted((*COMMON, *declared))
    for key in entry:
        if key not in known:
            raise UserError(
                f"{where}.{key}: a table of kind {kind} has no such option.{nearest(key, known)} "
                f"Known: {', '.join(known)}."
            )
    for key, example in declared.items():
        if example and not entry.get(key):
            raise UserError(
                f"{where}.{key}: is missing; a table of kind {kind} needs it. Example: "
                f"{key}: {example}"
            )
