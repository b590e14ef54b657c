"""The layered layout: edges go down, boxes stay apart, the same graph gives the same picture."""

import itertools

import pytest
import synthetic_results as synthetic
from hypothesis import given
from hypothesis import strategies as st

from robustvit.reporting.graph_layout import (
    assign_layers,
    break_cycles,
    layout,
    parse_dot,
    reduce_edges,
)


@st.composite
def acyclic_graphs(draw):
    """Nodes n0…, edges from lower to higher numbers, widths."""
    size = draw(st.integers(1, 10))
    names = [f"n{i}" for i in range(size)]
    pairs = list(itertools.combinations(names, 2))
    edges = draw(st.lists(st.sampled_from(pairs), unique=True)) if pairs else []
    widths = {name: draw(st.floats(0.1, 3)) for name in names}
    return names, edges, widths


def reachable(edges, start):
    seen, stack = set(), [start]
    while stack:
        node = stack.pop()
        for a, b in edges:
            if a == node and b not in seen:
                seen.add(b)
                stack.append(b)
    return seen


@given(acyclic_graphs())
def test_edges_go_down_one_layer_at_a_time(graph):
    names, edges, widths = graph
    placed = layout(names, edges, widths, 0.2)
    assert len(placed.paths) == len(edges)
    for path in placed.paths:
        levels = [placed.position[name][1] for name in path]
        assert levels == list(range(levels[0], levels[0] + len(levels)))


@given(acyclic_graphs())
def test_boxes_of_a_layer_stay_apart(graph):
    names, edges, widths = graph
    placed = layout(names, edges, widths, 0.2)
    for layer in placed.layers:
        for a, b in itertools.pairwise(layer):
            distance = placed.position[b][0] - placed.position[a][0]
            assert distance >= (widths.get(a, 0) + widths.get(b, 0)) / 2 + 0.2 - 1e-6


@given(acyclic_graphs())
def test_reduction_keeps_what_can_be_reached(graph):
    names, edges, _ = graph
    reduced = reduce_edges(edges)
    assert set(reduced) <= set(edges)
    for name in names:
        assert reachable(reduced, name) == reachable(edges, name)


@given(acyclic_graphs())
def test_layout_is_a_function_of_the_graph(graph):
    names, edges, widths = graph
    assert layout(names, edges, widths, 0.2) == layout(names, edges, widths, 0.2)


def test_cycles_between_rules_are_broken_at_their_last_edge():
    edges = [("a", "b"), ("b", "c"), ("c", "a"), ("c", "c"), ("c", "d")]
    assert break_cycles(edges) == [("a", "b"), ("b", "c"), ("c", "d")]


def test_sources_move_next_to_their_followers():
    edges = [("a", "b"), ("b", "c"), ("late", "c")]
    assert assign_layers(["a", "b", "c", "late"], edges) == {"a": 0, "b": 1, "c": 2, "late": 1}


def test_parses_what_snakemake_prints():
    labels, edges = parse_dot(synthetic.dot_text())
    assert "graph" not in labels.values()
    assert len(labels) == 17
    assert {(labels[a], labels[b]) for a, b in edges} == set(synthetic.RULES)


@pytest.mark.parametrize("text", ["", "digraph {}", "no graph at all"])
def test_parses_nothing_from_nothing(text):
    assert parse_dot(text) == ({}, [])
