"""The look of all figures: one typeface (the report's), a colour-blind-safe palette, no junk.

matplotlib is imported inside functions, so that asking a figure which files it needs stays cheap.
"""

from __future__ import annotations

import textwrap
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FONT = "STIXGeneral"  # ships with matplotlib; the report is set in it as well
TEXT_WIDTH = 6.69  # inches: A4 less the report's margins

# Okabe and Ito's palette, darkest first: it stays apart for all common colour-vision deficiencies.
BLUE, VERMILION, GREEN = "#0072B2", "#D55E00", "#009E73"
PURPLE, ORANGE, SKY, BLACK = "#CC79A7", "#E69F00", "#56B4E9", "#000000"
CYCLE = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY, BLACK)
MARKERS = "os^Dvph"
LINES = ("-", "--", "-.", ":")
GREY, LIGHT_GREY = "#6E6E6E", "#DDDDDD"

SETTINGS = {
    "font.family": FONT,
    "mathtext.fontset": "stix",
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.labelsize": 9,
    "axes.edgecolor": GREY,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.unicode_minus": True,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "xtick.labelcolor": "black",
    "ytick.labelcolor": "black",
    "legend.frameon": False,
    "legend.fontsize": 9,
    "lines.linewidth": 1.5,
    "pdf.fonttype": 42,
    "svg.fonttype": "path",
    "svg.hashsalt": "robustvit",
    "path.simplify": True,
}


def applied() -> AbstractContextManager[None]:
    """A context in which figures are drawn and saved in the project's style."""
    import matplotlib

    return matplotlib.rc_context(SETTINGS)


def new_figure(width: float, height: float, layout: str | None = "constrained") -> Figure:
    """Make a figure of `width` × `height` inches that by default arranges its parts by itself.

    It belongs to no window system: `matplotlib.pyplot` is never imported.
    """
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout=layout)


def picture_grid(
    labels: list[str], columns: int, largest: float = 1.2, blocks: int = 1
) -> tuple[Figure, list]:
    """Make rows of square pictures with a label at the left and room for a line below each.

    Above each of `blocks` blocks of rows with the same labels there is room for a title.

    Returns:
        The figure and its axes as a list of rows; no frames or ticks.
    """
    margin, gap, line, top = 0.86, 0.05, 0.21, 0.20  # inches
    side = min((TEXT_WIDTH - margin - gap * (columns - 1)) / columns, largest)
    width = margin + columns * (side + gap) - gap
    height = blocks * (top + len(labels) * (side + line))
    figure = new_figure(width, height, layout=None)
    grid = []
    for row, label in enumerate(labels * blocks):
        titles = (1 + row // len(labels)) * top
        bottom = height - titles - row * (side + line) - side
        boxes = [(margin + column * (side + gap), bottom, side, side) for column in range(columns)]
        grid.append([figure.add_axes(_relative(box, width, height)) for box in boxes])
        for axes in grid[-1]:
            bare(axes)
        figure.text(
            (margin - 0.07) / width,
            (bottom + side / 2) / height,
            wrap(label, 14),
            ha="right",
            va="center",
            fontsize=8.5,
            linespacing=1.0,
        )
    return figure, grid


def _relative(box: tuple[float, ...], width: float, height: float) -> tuple[float, ...]:
    return box[0] / width, box[1] / height, box[2] / width, box[3] / height


def characters(axes: Axes) -> int:
    """How many characters of a caption fit above or below a picture of `picture_grid`."""
    return int(axes.get_position().width * axes.figure.get_figwidth() * 15)


def marker(index: int) -> str:
    """Sign of the points of the `index`-th series."""
    return MARKERS[index % len(MARKERS)]


def series_style(index: int) -> dict:
    """Colour and line of the `index`-th series; both differ, so that colour is never alone."""
    lap = index // len(CYCLE)
    return {"color": CYCLE[index % len(CYCLE)], "linestyle": LINES[(index + lap) % len(LINES)]}


def bare(axes: Axes) -> None:
    """Remove ticks and frame: for pictures."""
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)


def show_image(axes: Axes, image: object) -> None:
    """Show an image [H, W, 3] without smoothing its pixels."""
    axes.imshow(image, interpolation="nearest", vmin=0, vmax=1)
    bare(axes)


def shorten(text: str, length: int) -> str:
    """Cut a label to `length` characters at most."""
    return text if len(text) <= length else text[: length - 1].rstrip() + "…"


def wrap(text: str, width: int) -> str:
    """Break a label between words."""
    lines = textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)
    return "\n".join(lines)
