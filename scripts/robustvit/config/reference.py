"""The reference page of the configuration, made from the schema's descriptions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

HEAD = """# Configuration reference

Made from `schemas/config.schema.yaml` by `python scripts/document_configuration.py --output
docs/configuration.md`; change the schema, not this page.

`workflow_config.yaml` holds the paper. An overlay (`--configfile configs/demo.yaml`, or a
profile's `configfile:`) is merged over it: mappings key by key, lists as a whole. Every key is
checked before any job starts; editors complete and check keys if they are pointed at the schema,
for instance with a first line `# yaml-language-server: $schema=schemas/config.schema.yaml`.
"""


def reference_page(schema: Mapping) -> str:
    """Return the page as Markdown: one table per section of the configuration."""
    parts = [HEAD, "## Top level\n", _table(schema, schema)]
    for name, section in schema["properties"].items():
        entry = _entry_schema(section, schema)
        if entry is not None:
            shape = f"{name}.<name>" if "additionalProperties" in section else name
            if isinstance(section.get("additionalProperties"), bool):
                shape = name
            parts += [f"\n## `{shape}`\n", section.get("description", "") + "\n"]
            parts.append(_table(entry, schema))
    return "\n".join(parts) + "\n"


def _entry_schema(section: Mapping, root: Mapping) -> Mapping | None:
    """The schema of the section's entries, or of the section if it has fixed keys."""
    entries = section.get("additionalProperties")
    if isinstance(entries, Mapping):
        return _follow(entries, root)
    return section if "properties" in section else None


def _follow(schema: Mapping, root: Mapping) -> Mapping:
    if "$ref" not in schema:
        return schema
    target = root
    for part in schema["$ref"].removeprefix("#/").split("/"):
        target = target[part]
    target = _follow(target, root)
    return {**target, **{k: v for k, v in schema.items() if k != "$ref"}}


def _table(schema: Mapping, root: Mapping) -> str:
    rows = "\n".join(_rows(schema, root, "", set(schema.get("required", []))))
    return f"| key | type | meaning |\n|---|---|---|\n{rows}"


def _rows(schema: Mapping, root: Mapping, prefix: str, required: set[str]) -> Iterator[str]:
    for key, value in schema.get("properties", {}).items():
        recursive = value.get("$ref", "").endswith(("recipe", "experiment_part"))
        entry = _follow(value, root)
        mark = " (required)" if key in required else ""
        text = entry.get("description", "").replace("|", "\\|").strip()
        yield f"| `{prefix}{key}`{mark} | {_type(entry)} | {text} |"
        if prefix.count(".") < 2 and not recursive and schema is not root:
            for alternative in [entry, *entry.get("anyOf", [])]:
                yield from _rows(alternative, root, f"{prefix}{key}.", set())


def _type(schema: Mapping) -> str:
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if "anyOf" in schema:
        return " or ".join(_type(part) for part in schema["anyOf"])
    kind = schema.get("type", "mapping")
    names = kind if isinstance(kind, list) else [kind]
    return " or ".join(names) + _range(schema)


def _range(schema: Mapping) -> str:
    signs = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    bounds = [f"{sign} {schema[key]}" for key, sign in signs.items() if key in schema]
    return f" ({', '.join(bounds)})" if bounds else ""
