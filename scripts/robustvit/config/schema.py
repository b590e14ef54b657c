"""Strict validation of the configuration, with messages that name the key and the way out."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from pathlib import Path

import jsonschema
import yaml

from robustvit.core.errors import UserError, nearest

SCHEMA_FILE = Path(__file__).resolve().parents[3] / "schemas" / "config.schema.yaml"


@cache
def load_schema() -> dict:
    """Read `schemas/config.schema.yaml` (JSON Schema 2020-12)."""
    return yaml.safe_load(SCHEMA_FILE.read_text(encoding="utf-8"))


def validate_schema(config: dict) -> None:
    """Check the merged configuration against the schema.

    Raises:
        UserError: with the path of each offending key, what was expected and the nearest valid
            name; at most five problems at a time.
    """
    validator = jsonschema.Draft202012Validator(load_schema())
    errors = sorted(validator.iter_errors(config), key=lambda error: list(map(str, error.path)))
    if errors:
        lines = [line for error in errors[:5] for line in describe(error)]
        more = f"\n  … and {len(errors) - 5} more" if len(errors) > 5 else ""
        raise UserError("the configuration is not valid:\n  " + "\n  ".join(lines) + more)


def describe(error: jsonschema.ValidationError) -> Iterable[str]:
    """Turn one validation error into lines such as `recipes.light.epoch: unknown key. …`."""
    where = ".".join(str(part) for part in error.absolute_path)
    if error.validator == "additionalProperties":
        yield from _unknown_keys(error, where)
    elif error.validator in ("anyOf", "oneOf"):
        yield f"{where or 'configuration'}: {_best_alternative(error)}{_hint(error.schema)}"
    else:
        yield f"{where or 'configuration'}: {error.message}.{_hint(error.schema)}"


def _unknown_keys(error: jsonschema.ValidationError, where: str) -> Iterable[str]:
    known = list(error.schema.get("properties", {}))
    for key in error.instance:
        if key not in known:
            path = f"{where}.{key}" if where else str(key)
            listed = ", ".join(sorted(known))
            yield f"{path}: unknown key.{nearest(str(key), known)} Known here: {listed}."


def _best_alternative(error: jsonschema.ValidationError) -> str:
    best = jsonschema.exceptions.best_match([error])
    inner = ".".join(str(part) for part in best.absolute_path)
    return f"{best.message} (at {inner})." if inner else f"{best.message}."


def _hint(schema: dict) -> str:
    text = schema.get("description", "")
    examples = schema.get("examples", [])
    example = f" Example: {examples[0]!r}." if examples else ""
    return f" Meaning: {text}{example}" if text else example
