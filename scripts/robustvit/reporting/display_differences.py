"""Where the thesis and its released code contradict each other, as the report prints it."""

from __future__ import annotations

from robustvit.reporting.formatting import setting as written


def display_differences(spec: dict) -> dict:
    """List the contradictions that change a setting of this run, and count the others.

    Args:
        spec: the report's settings; `differences` holds {"item", "about", "thesis", "code",
            "settings": [{"where", "key", "code", "thesis"}]}, `follow` is "code" or "thesis".

    Returns:
        {"rows": [{"about", "thesis", "code", "used": [text]}], "others": number of entries
        that change no setting of this run}.
    """
    entries, follow = spec.get("differences") or [], spec.get("follow") or "code"
    rows = [
        {
            "about": entry["about"],
            "thesis": str(entry["thesis"] or "–"),
            "code": str(entry["code"] or "–"),
            "used": _used(entry["settings"], follow),
        }
        for entry in entries
        if entry["settings"]
    ]
    return {"rows": rows, "others": len(entries) - len(rows)}


def _used(settings: list[dict], follow: str) -> list[str]:
    """One text a value: `schedule.min_lr = 1e-05 in 4 recipes`."""
    places: dict[tuple[str, str], int] = {}
    for setting in settings:
        chosen = (setting["key"], written(setting[follow]))
        places[chosen] = places.get(chosen, 0) + 1
    return [f"{key} = {value} in {n} place{'s' * (n > 1)}" for (key, value), n in places.items()]
