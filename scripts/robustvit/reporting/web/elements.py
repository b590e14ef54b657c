"""Writing HTML: escaped text, elements, attributes."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

VOID = ("img", "meta")


def element(tag: str, *content: str, **attributes: object) -> str:
    """Write an element around HTML.

    Args:
        tag: name of the element.
        content: HTML, put together as it is; `words` escapes text.
        attributes: values are escaped; None and False leave one out, True writes its bare name.
            `class_` is "class"; an underscore stands for a hyphen.
    """
    opened = "".join(_attribute(name, value) for name, value in attributes.items())
    if tag in VOID:
        return f"<{tag}{opened}>"
    return f"<{tag}{opened}>{''.join(content)}</{tag}>"


def _attribute(name: str, value: object) -> str:
    name = name.rstrip("_").replace("_", "-")
    if value is None or value is False:
        return ""
    return f" {name}" if value is True else f' {name}="{escape(str(value), quote=True)}"'


def words(text: str) -> str:
    """Escape text."""
    return escape(text, quote=False)


def code(text: str) -> str:
    """A path or key in letters of one width, which may break after its signs."""
    broken = words(text)
    for sign in "/_.":
        broken = broken.replace(sign, f"{sign}<wbr>")
    return element("code", broken)


def paragraphs(texts: Iterable[str]) -> str:
    """One paragraph for each text."""
    return "".join(element("p", words(text)) for text in texts)


def items(texts: Iterable[str]) -> str:
    """A list with one item for each text; nothing for none."""
    found = "".join(element("li", words(text)) for text in texts)
    return element("ul", found) if found else ""
