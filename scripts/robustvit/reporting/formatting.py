"""How numbers and settings are written for people; shared by the tables, figures and report."""

from __future__ import annotations

from collections.abc import Iterable


def percent(fraction: float | None, count: int | None = None) -> str:
    """Write a fraction as a percentage; two decimals only if there are 1,000 examples or more."""
    if fraction is None:
        return "–"
    digits = 2 if count and count >= 1000 else 1
    return f"{100 * fraction:.{digits}f} %"


def percent_number(fraction: float | None) -> float | None:
    """A fraction in percent as a number for machines, without the noise of its last bits."""
    return None if fraction is None else round(100 * fraction, 6)


def points(fraction: float, digits: int = 1) -> str:
    """A difference of shares in percentage points with its sign: "−1.2"."""
    return f"{100 * fraction:+.{digits}f}".replace("-", "−")


def interval(measured: dict) -> str:
    """Write the 95% interval of a proportion: "[38.1–45.5]", in percent."""
    digits = 2 if (measured.get("n") or 0) >= 1000 else 1
    return f"[{100 * measured['low']:.{digits}f}–{100 * measured['high']:.{digits}f}]"


def with_interval(measured: dict) -> str:
    """Write a proportion in a sentence: "41.8 % [38.1–45.5]"."""
    return f"{percent(measured['value'], measured.get('n'))} {interval(measured)}"


def p_value(value: float) -> str:
    """Write a p-value with one useful digit."""
    return "p < 0.001" if value < 0.001 else f"p = {value:.2g}"


def count(number: float | None) -> str:
    """Write a count with thin spaces between thousands."""
    return "–" if number is None else f"{int(number):,}".replace(",", "\u2009")


def setting(value: object) -> str:
    """Write a value of the configuration as a person would."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, list | tuple):
        return ", ".join(setting(item) for item in value)
    return str(value) or "none"


def threat_text(threat: dict | None) -> str:
    """Write a threat model: "ε = 8/255 (L∞)"; "none" without one."""
    if not threat:
        return "none"
    norm = {"linf": "L∞", "l2": "L2"}.get(threat.get("norm", "linf"), threat.get("norm"))
    return f"ε = {threat['epsilon_255']:g}/255 ({norm})"


def sentence_list(items: Iterable[str], word: str = "and") -> str:
    """Join names for a sentence: "a, b and c"."""
    items = list(items)
    if len(items) < 2:
        return "".join(items)
    return f"{', '.join(items[:-1])} {word} {items[-1]}"


def typeset(value: object) -> object:
    """Put typographic apostrophes, unbreakable percent signs and radii into all text of JSON."""
    if isinstance(value, str):
        value = value.replace("'", "’").replace(" %", "\u00a0%")
        return value.replace("ε = ", "ε\u00a0=\u00a0")
    if isinstance(value, dict):
        return {key: typeset(item) for key, item in value.items()}
    return [typeset(item) for item in value] if isinstance(value, list) else value


def flatten(value: dict, prefix: str = "") -> list[tuple[str, str]]:
    """Turn nested settings into ("recipe.optimizer.lr", "0.0005") pairs in their own order."""
    pairs: list[tuple[str, str]] = []
    for key, item in value.items():
        name = f"{prefix}{key}"
        if isinstance(item, dict) and item:
            pairs += flatten(item, f"{name}.")
        else:
            pairs.append((name, setting(item if item != {} else None)))
    return pairs
