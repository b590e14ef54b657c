"""Reading an HTML page with the standard library: its elements with attributes and text."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"img", "meta", "link", "br", "input", "col", "hr", "wbr"}


@dataclass
class Element:
    """One element: what is in it, in order, as elements and texts."""

    tag: str
    attributes: dict
    children: list = field(default_factory=list)

    def find_all(self, *tags: str) -> list:
        """Every element below with one of these names, in order."""
        found = []
        for child in self.children:
            if isinstance(child, Element):
                found += [child] * (child.tag in tags) + child.find_all(*tags)
        return found

    def all(self) -> list:
        """Every element below, in order."""
        below = [child for child in self.children if isinstance(child, Element)]
        return [found for child in below for found in (child, *child.all())]

    @property
    def text(self) -> str:
        """All text with single blanks."""
        parts = (c.text if isinstance(c, Element) else c for c in self.children)
        return " ".join(" ".join(parts).split())


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.root = Element("", {})
        self.open = [self.root]

    def handle_starttag(self, tag, attrs):
        assert len(attrs) == len(dict(attrs)), f"an attribute twice in <{tag}>"
        element = Element(tag, dict(attrs))
        self.open[-1].children.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_endtag(self, tag):
        assert self.open[-1].tag == tag, f"</{tag}> closes <{self.open[-1].tag}>"
        self.open.pop()

    def handle_data(self, data):
        self.open[-1].children.append(data)


def read_page(text: str) -> Element:
    """Parse a page; an element that is not closed, or closed by another, fails."""
    reader = _Reader()
    reader.feed(text)
    reader.close()
    assert reader.open == [reader.root], f"<{reader.open[-1].tag}> is not closed"
    return reader.root
