"""The projection of FAB without sorting: pyautoattack's, exact on the plane, row by row."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pyautoattack.fab_projections import projection_l2, projection_linf

from robustvit.attacks.fast.projection import displacement

LIBRARY = {"linf": projection_linf, "l2": projection_l2}
NORMS = pytest.mark.parametrize("norm", ["linf", "l2"])


def planes(seed: int, rows: int, size: int, distance: float):
    """Points, some of them on sides of the cube, normals with zeros, and gaps."""
    random = torch.Generator().manual_seed(seed)
    points = torch.rand(rows, size, generator=random)
    points = torch.where(torch.rand(rows, size, generator=random) < 0.1, points.round(), points)
    normal = torch.randn(rows, size, generator=random)
    normal = normal * torch.rand(rows, size, generator=random).pow(4)
    normal[:, ::7] = 0.0
    signs = torch.where(torch.rand(rows, generator=random) < 0.5, -1.0, 1.0)
    reach = normal.abs().sum(dim=1) * torch.rand(rows, generator=random)
    return points, normal, distance * signs * reach


def library(points, normal, gap, norm):
    return LIBRARY[norm](points, normal, (normal * points).sum(dim=1) - gap)


@NORMS
@given(
    seed=st.integers(0, 2**31), rows=st.integers(1, 6), size=st.integers(2, 200),
    distance=st.sampled_from([0.0, 1e-3, 0.05, 0.3, 3.0]),
)  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_it_is_the_librarys(norm, seed, rows, size, distance) -> None:
    points, normal, gap = planes(seed, rows, size, distance)
    found = displacement(points, normal, gap, norm)
    expected = library(points, normal, gap, norm)
    # The library's sums of float32 are the less exact ones: its points lie off the plane.
    off = (normal * (points + expected)).sum(dim=1) - ((normal * points).sum(dim=1) - gap)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6 + 50 * float(off.abs().min()))


@NORMS
def test_differs_from_the_library_by_less_than_a_millionth_at_the_size_of_images(norm) -> None:
    points, normal, gap = planes(0, 16, 3072, 0.05)
    expected = library(points, normal, gap, norm)
    found = displacement(points, normal, gap, norm)
    assert float((found - expected).abs().max()) < 1e-6
    assert float(expected.abs().max()) > 0.01


@NORMS
def test_points_come_to_lie_on_the_plane_and_in_the_cube(norm) -> None:
    points, normal, gap = planes(1, 20, 500, 0.2)
    found = displacement(points, normal, gap, norm)
    away = (normal * found).sum(dim=1) + gap
    assert float((away.abs() / normal.abs().sum(dim=1)).max()) < 1e-6
    moved = points + found
    assert moved.min() >= -1e-6
    assert moved.max() <= 1 + 1e-6


@NORMS
def test_no_other_way_onto_the_plane_is_shorter(norm) -> None:
    """Among feasible displacements: mixtures with another one that also reaches the plane."""
    points, normal, gap = planes(2, 12, 40, 0.1)
    found = displacement(points, normal, gap, norm)
    order = 2 if norm == "l2" else torch.inf
    for other in ("linf", "l2"):
        elsewhere = displacement(points, normal, gap, other)
        for share in (0.1, 0.5, 1.0):
            mixed = torch.lerp(found, elsewhere, share)
            longer = mixed.norm(order, dim=1) - found.norm(order, dim=1)
            assert float(longer.min()) > -1e-6


@NORMS
def test_a_plane_out_of_reach_leads_to_the_nearest_corner(norm) -> None:
    points, normal, _ = planes(3, 5, 30, 0.1)
    gap = 10 * normal.abs().sum(dim=1)
    corner = torch.where(normal > 0, 0.0, 1.0)
    stays = normal.abs() < (1e-8 if norm == "l2" else 1e-30)
    expected = torch.where(stays, 0.0, corner - points)
    torch.testing.assert_close(displacement(points, normal, gap, norm), expected)


@NORMS
def test_without_a_normal_nothing_moves(norm) -> None:
    points = torch.rand(3, 20)
    found = displacement(points, torch.zeros(3, 20), torch.tensor([1.0, 0.0, -1.0]), norm)
    assert torch.equal(found, torch.zeros(3, 20))


@NORMS
def test_a_row_does_not_depend_on_the_others(norm) -> None:
    """Rows need different numbers of passes; nobody may change after his last one."""
    points, normal, gap = planes(4, 24, 300, 1.0)
    gap = gap * torch.logspace(-4, 0, 24)
    both, gaps = torch.stack([points, points.flip(1)]), torch.stack([gap, gap])
    whole = displacement(both, normal, gaps, norm)
    for row in range(24):
        part = slice(row, row + 1)
        alone = displacement(
            torch.stack([points[part], points[part].flip(1)]), normal[part],
            torch.stack([gap[part], gap[part]]), norm,
        )  # fmt: skip
        assert torch.equal(alone, whole[:, part])
