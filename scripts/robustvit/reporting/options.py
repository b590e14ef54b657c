"""What the options of a figure may be: a mistyped value is told before anything runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Option:
    """What one option may be.

    Args:
        expected: in words, for instance "a whole number above zero".
        example: a valid value as YAML has it.
        fits: whether a value is one.
        required: whether the figure cannot be drawn without the option.
        null: whether `null` may stand for leaving the option out.
    """

    expected: str
    example: str
    fits: Callable[[object], bool]
    required: bool = False
    null: bool = True


def whole_number(example: int) -> Option:
    """A whole number above zero; null leaves it to the figure."""
    return Option("a whole number above zero", str(example), _is_count)


def one_name(example: str, required: bool = False, null: bool = False) -> Option:
    """One name."""
    return Option("a name", example, _is_name, required, null)


def name_list(*examples: str, required: bool = False, null: bool = False) -> Option:
    """A list of names; of at least one where it is required."""
    listed = f"[{', '.join(examples)}]"
    if required:
        return Option("a list of names, one at least", listed, _has_names, required, null)
    return Option("a list of names", listed, _are_names, required, null)


def name_groups(example: str) -> Option:
    """Lists of names by the name of each; null for none."""
    return Option("groups of names", example, _are_groups)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _is_name(value: object) -> bool:
    return isinstance(value, str) and bool(value)


def _are_names(value: object) -> bool:
    return isinstance(value, list) and all(map(_is_name, value))


def _has_names(value: object) -> bool:
    return _are_names(value) and bool(value)


def _are_groups(value: object) -> bool:
    return isinstance(value, dict) and all(map(_are_names, value.values()))
