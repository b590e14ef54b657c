"""The workflow's rules and what follows from what, from `snakemake --rulegraph dot`.

options: {"dot": path relative to the results root,
"hide": [rule names], "groups": {group: [rule names]} or null to colour rules by group}.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from robustvit.core.errors import UserError
from robustvit.reporting import style
from robustvit.reporting.graph_layout import Layout, break_cycles, layout, parse_dot, reduce_edges
from robustvit.reporting.options import name_groups, name_list, one_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ROW, HEIGHT, GAP = 0.50, 0.24, 0.14  # inches: between layers, of a box, between boxes
CHARACTER = 0.068  # inches that one character of 9 pt takes, with some air
# What the configuration may say.
OPTIONS = {
    "rulegraph": (True, False),
    "hide": name_list("report", null=True),
    "groups": name_groups("{data: [fetch_source, build_dataset]}"),
    "dot": one_name("rulegraph.dot"),
}


def files(options: dict) -> list[str]:
    """Files that the figure reads, relative to the results root."""
    return [options["dot"]]


def read(options: dict, root: Path) -> dict:
    """Read the graph: {"names": rules in order, "edges": (from, to) pairs without implied ones}.

    Raises:
        UserError: if the file holds no graph.
    """
    path = root / options["dot"]
    labels, edges = parse_dot(path.read_text(encoding="utf-8"))
    hidden = set(options.get("hide") or [])
    names = sorted({label for label in labels.values() if label not in hidden})
    if not names:
        raise UserError(f'{path}: no rules found; expected lines such as 0[label = "train"].')
    kept = {(labels[a], labels[b]) for a, b in edges}
    kept = sorted((a, b) for a, b in kept if a in names and b in names)
    return {"names": names, "edges": reduce_edges(break_cycles(kept))}


def draw(spec: dict, inputs: dict) -> Figure:
    """Draw boxes in layers, first rules at the top, as wide as the page allows."""
    widths = {name: CHARACTER * len(name) + 0.16 for name in inputs["names"]}
    placed = layout(inputs["names"], inputs["edges"], widths, GAP)
    half = {name: widths.get(name, 0) / 2 for name in placed.position}
    left = min(x - half[name] for name, (x, _) in placed.position.items())
    right = max(x + half[name] for name, (x, _) in placed.position.items())
    scale = min(1.0, style.TEXT_WIDTH / (right - left + 0.1))
    height = ROW * (len(placed.layers) - 1) + HEIGHT + 0.1
    figure = style.new_figure((right - left + 0.1) * scale, height * scale, layout=None)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_xlim(left - 0.05, right + 0.05)
    axes.set_ylim(height - HEIGHT / 2 - 0.05, -HEIGHT / 2 - 0.05)
    axes.axis("off")
    _draw_edges(axes, placed, scale)
    colors = _group_colors((spec.get("options") or {}).get("groups") or {})
    for name in inputs["names"]:
        _draw_box(axes, name, placed.position[name], widths[name], colors, scale)
    return figure


def _draw_edges(axes: Axes, placed: Layout, scale: float) -> None:
    """Draw each edge as one smooth line; it passes between the boxes of a layer vertically."""
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path as Curve

    for path in placed.paths:
        points = [(placed.position[name][0], placed.position[name][1] * ROW) for name in path]
        vertices, codes = [(points[0][0], points[0][1] + HEIGHT / 2)], [Curve.MOVETO]
        for x, y in points[1:]:
            (x0, y0), top = vertices[-1], y - HEIGHT / 2
            middle = (y0 + top) / 2
            vertices += [(x0, middle), (x, middle), (x, top), (x, y + HEIGHT / 2)]
            codes += [Curve.CURVE4] * 3 + [Curve.LINETO]
        curve = Curve(vertices[:-1], codes[:-1])
        axes.add_patch(
            PathPatch(curve, fill=False, edgecolor=style.GREY, linewidth=0.9 * scale, zorder=1)
        )
        x, top = vertices[-2]
        axes.plot(x, top - 0.025, "v", color=style.GREY, markersize=3.6 * scale, mew=0, zorder=1)


def _draw_box(
    axes: Axes, name: str, at: tuple[float, float], width: float, colors: dict, scale: float
) -> None:
    from matplotlib.patches import FancyBboxPatch

    x, y = at[0], at[1] * ROW
    box = FancyBboxPatch(
        (x - width / 2, y - HEIGHT / 2),
        width,
        HEIGHT,
        boxstyle="round,pad=0,rounding_size=0.06",
        facecolor="white",
        edgecolor=colors.get(name, style.BLUE),
        linewidth=1.2 * scale,
        zorder=2,
    )
    axes.add_patch(box)
    axes.text(x, y, name, ha="center", va="center_baseline", fontsize=9 * scale, zorder=3)


def _group_colors(groups: dict[str, list[str]]) -> dict[str, str]:
    return {
        name: style.CYCLE[index % len(style.CYCLE)]
        for index, names in enumerate(groups.values())
        for name in names
    }


def describe(spec: dict, inputs: dict) -> dict:
    """Alternative text and the graph itself."""
    edges = [list(edge) for edge in inputs["edges"]]
    alt = f"Graph of the {len(inputs['names'])} rules of the workflow: " + "; ".join(
        f"{a} leads to {b}" for a, b in inputs["edges"]
    )
    return {"alt": alt + ".", "data": {"rules": inputs["names"], "edges": edges}}
