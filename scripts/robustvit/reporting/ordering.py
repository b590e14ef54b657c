"""The configuration's order of experiments, data sets and protocols, which a spec's JSON loses."""

from __future__ import annotations


def restore_order(spec: dict) -> dict:
    """Return the report's spec with each section in the order that `spec["order"]` names.

    A spec is written with sorted keys, so that the order in a YAML file reruns nothing; people
    read tables in the order in which the configuration has them.
    """
    ordered = dict(spec)
    for section, names in (spec.get("order") or {}).items():
        entries = spec[section]
        ordered[section] = {name: entries[name] for name in names}
    return ordered
