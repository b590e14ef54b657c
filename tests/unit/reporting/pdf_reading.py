"""Reading a PDF: which texts stand where and how wide, which fonts and pictures a page uses."""

from __future__ import annotations

import re
from functools import cache
from typing import NamedTuple

from PIL import ImageFont
from pypdf import PdfReader

from robustvit.reporting.report import font_folder

FILES = {
    "Bold": "STIXGeneralBol.ttf",
    "Italic": "STIXGeneralItalic.ttf",
    "Mono": "DejaVuSansMono.ttf",
}
UNITS = 1000  # letters are measured at this size


class Piece(NamedTuple):
    """A text on a page: height of its line, left and right end in points."""

    line: float
    left: float
    right: float
    text: str


@cache
def typeface(name: str) -> ImageFont.FreeTypeFont:
    """The font file of a PDF's font name."""
    file = next((file for part, file in FILES.items() if part in name), "STIXGeneral.ttf")
    return ImageFont.truetype(font_folder() / file, UNITS)


def pieces_of(page) -> list[Piece]:
    """Every piece of text of a page; figures, which are pages of their own, are left out."""
    page["/Resources"].get_object().pop("/XObject", None)
    found = []

    def visit(text, matrix, text_matrix, font, size):
        words = text.replace("\u200b", "").replace("\n", "").strip()
        if words and font is not None:
            scale = size * abs(text_matrix[0] * matrix[0]) / UNITS
            left = text_matrix[4] * matrix[0] + matrix[4]
            width = typeface(str(font["/BaseFont"])).getlength(words) * scale
            line = round(text_matrix[5] * matrix[3] + matrix[5], 1)
            found.append(Piece(line, left, left + width, words))

    page.extract_text(visitor_text=visit)
    return found


def collisions(page) -> list[tuple[Piece, Piece]]:
    """Pieces of text that run into others on their line; justified lines shrink a little."""
    pieces = sorted(pieces_of(page), key=lambda piece: piece.left)
    return [
        (one, other)
        for index, one in enumerate(pieces)
        for other in pieces[index + 1 :]
        if abs(one.line - other.line) < 3
        and other.left < one.right - max(1.5, 0.035 * (one.right - one.left))
    ]


def pages_of(path) -> list[str]:
    """Text of each page with every kind of white space as one blank."""
    return [re.sub(r"\s+", " ", page.extract_text()) for page in PdfReader(path).pages]


def resources_of(page, kind: str) -> list:
    """All resources of a kind, those of figures set into the page among them."""
    found, todo = [], [page]
    while todo:
        own = todo.pop().get("/Resources") or {}
        found += [value.get_object() for value in (own.get(kind) or {}).values()]
        drawn = (value.get_object() for value in (own.get("/XObject") or {}).values())
        todo += [value for value in drawn if value.get("/Subtype") == "/Form"]
    return found
