"""Layered layout of a small directed graph, so that no graphviz program is needed.

The steps are those of Sugiyama, Tagawa and Toda (1981): layers by longest path, bends for edges
that cross layers, order by barycentres, then positions by least squares with a minimal distance.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass, field

Edge = tuple[str, str]
NODE = re.compile(r'^\s*(\w+)\s*\[\s*label\s*=\s*"([^"]*)"', re.MULTILINE)
EDGE = re.compile(r"^\s*(\w+)\s*->\s*(\w+)", re.MULTILINE)
SWEEPS = 24


@dataclass
class Layout:
    """Positions of nodes and bends: x in the unit of the widths, y is the layer's number."""

    position: dict[str, tuple[float, float]] = field(default_factory=dict)
    paths: list[list[str]] = field(default_factory=list)
    layers: list[list[str]] = field(default_factory=list)


def parse_dot(text: str) -> tuple[dict[str, str], list[Edge]]:
    """Read nodes (id → label) and edges of what `snakemake --rulegraph dot` prints."""
    names = {
        node: label.split("\\n")[0] for node, label in NODE.findall(text) if node not in _KEYWORDS
    }
    edges = [(a, b) for a, b in EDGE.findall(text) if a in names and b in names and a != b]
    return names, sorted(set(edges))


_KEYWORDS = ("node", "edge", "graph")


def break_cycles(edges: list[Edge]) -> list[Edge]:
    """Drop each edge that would close a cycle with the edges before it.

    Jobs form no cycle, but their rules may: a rule can read what another job of it wrote.
    """
    kept: list[Edge] = []
    for a, b in edges:
        if a != b and a not in _reachable(_followers(kept), b):
            kept.append((a, b))
    return kept


def reduce_edges(edges: list[Edge]) -> list[Edge]:
    """Drop every edge of an acyclic graph that a longer path already implies."""
    after = _followers(edges)
    beyond = {node: _reachable(after, node) for node in after}
    return [(a, b) for a, b in edges if not any(b in beyond.get(c, ()) for c in after[a] if c != b)]


def _followers(edges: list[Edge]) -> dict[str, set[str]]:
    after: dict[str, set[str]] = {}
    for a, b in edges:
        after.setdefault(a, set()).add(b)
    return after


def _reachable(after: dict[str, set[str]], start: str) -> set[str]:
    seen: set[str] = set()
    stack = [start]
    while stack:
        fresh = after.get(stack.pop(), set()) - seen
        seen |= fresh
        stack += fresh
    return seen


def assign_layers(nodes: list[str], edges: list[Edge]) -> dict[str, int]:
    """Give each node the length of the longest path to it; sources move next to their followers."""
    layer = dict.fromkeys(nodes, 0)
    for _ in nodes:
        for a, b in edges:
            layer[b] = max(layer[b], layer[a] + 1)
        if all(layer[b] > layer[a] for a, b in edges):
            break
    targets = {b for _, b in edges}
    for node in nodes:
        followers = [layer[b] for a, b in edges if a == node]
        if node not in targets and followers:
            layer[node] = min(followers) - 1
    return layer


def layout(nodes: list[str], edges: list[Edge], widths: dict[str, float], gap: float) -> Layout:
    """Place the nodes of an acyclic graph.

    Args:
        nodes: names; their order breaks ties, so that the layout is always the same.
        edges: (from, to) pairs.
        widths: width of each node.
        gap: least distance between two neighbours of a layer.
    """
    level = assign_layers(nodes, edges)
    paths, segments = _bend(edges, level)
    layers: list[list[str]] = [[] for _ in range(max(level.values(), default=-1) + 1)]
    for name in level:
        layers[level[name]].append(name)
    before: dict[str, list[str]] = {name: [] for name in level}
    after: dict[str, list[str]] = {name: [] for name in level}
    for a, b in segments:
        after[a].append(b)
        before[b].append(a)
    layers = _order(layers, before, after)
    x = _place(layers, before, after, widths, gap)
    return Layout({name: (x[name], level[name]) for name in level}, paths, layers)


def _bend(edges: list[Edge], level: dict[str, int]) -> tuple[list[list[str]], list[Edge]]:
    """Put a bend into every layer that an edge crosses; `level` gets the bends."""
    paths = []
    for a, b in edges:
        bends = [f"{a}~{b}~{between}" for between in range(level[a] + 1, level[b])]
        for offset, bend in enumerate(bends, start=1):
            level[bend] = level[a] + offset
        paths.append([a, *bends, b])
    return paths, [pair for path in paths for pair in itertools.pairwise(path)]


def _order(layers: list[list[str]], before: dict, after: dict) -> list[list[str]]:
    """Sort each layer by the mean place of its neighbours, down and up, keeping the best order."""
    best, fewest = layers, _crossings(layers, after)
    for sweep in range(SWEEPS):
        down = sweep % 2 == 0
        neighbours, layers = (before if down else after), [list(layer) for layer in layers]
        indices = range(1, len(layers)) if down else range(len(layers) - 2, -1, -1)
        for index in indices:
            fixed = layers[index - 1 if down else index + 1]
            place = {name: i for i, name in enumerate(fixed)}
            own = {name: i for i, name in enumerate(layers[index])}
            layers[index].sort(key=lambda n: _mean([place[m] for m in neighbours[n]], own[n]))
        crossings = _crossings(layers, after)
        if crossings < fewest:
            best, fewest = layers, crossings
    return best


def _crossings(layers: list[list[str]], after: dict) -> int:
    total = 0
    for upper, lower in itertools.pairwise(layers):
        place = {name: i for i, name in enumerate(lower)}
        ends = [(i, place[m]) for i, name in enumerate(upper) for m in after[name]]
        total += sum(a < c and b > d for a, b in ends for c, d in ends)
    return total


def _place(layers: list, before: dict, after: dict, widths: dict, gap: float) -> dict[str, float]:
    """Move each node to the mean of its neighbours as far as the distances allow."""
    x: dict[str, float] = {}
    for layer in layers:
        x.update(_spread([0.0] * len(layer), layer, widths, gap))
    for _ in range(SWEEPS):
        for layer in (*layers, *reversed(layers)):
            wanted = [_pull(n, (*before[n], *after[n]), x) for n in layer]
            x.update(_spread(wanted, layer, widths, gap))
    return x


def _pull(name: str, neighbours: tuple[str, ...], x: dict[str, float]) -> float:
    """Where the neighbours draw a node; bends weigh more, so that long edges stay straight."""
    weights = {m: 8.0 if "~" in name and "~" in m else 1.0 for m in neighbours}
    total = sum(weights.values())
    return sum(w * x[m] for m, w in weights.items()) / total if total else x[name]


def _spread(wanted: list[float], layer: list[str], widths: dict, gap: float) -> dict[str, float]:
    """Least-squares positions in the layer's order with the minimal distance (isotonic fit)."""
    offsets, place = [], 0.0
    for index, name in enumerate(layer):
        half = widths.get(name, 0) / 2
        place += half + (gap if index else 0)
        offsets.append(place)
        place += half
    blocks: list[list[float]] = []  # [sum, number] of merged neighbours
    for want, offset in zip(wanted, offsets, strict=True):
        blocks.append([want - offset, 1])
        while len(blocks) > 1 and _level(blocks[-2]) >= _level(blocks[-1]):
            total, number = blocks.pop()
            blocks[-1][0] += total
            blocks[-1][1] += number
    levels = [_level(block) for block in blocks for _ in range(int(block[1]))]
    return {n: at + offset for n, at, offset in zip(layer, levels, offsets, strict=True)}


def _level(block: list[float]) -> float:
    return block[0] / block[1]


def _mean(values: list[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise
