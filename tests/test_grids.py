"""Grids: geometry and bad input."""

import pickle

import numpy as np
import pytest

import rattling as rt
from rattling import _core


def test_geometry():
    grid = rt.Grid([(0, 1), (-2, 4)], (4, 3), ["periodic", "reflecting"])
    assert (grid.dim, grid.shape) == (2, (4, 3))
    np.testing.assert_allclose(grid.edges(0), [0, 0.25, 0.5, 0.75, 1])
    np.testing.assert_allclose(grid.centres(1), [-1, 1, 3])
    assert grid.volumes.shape == (4, 3)
    assert grid.volumes.sum() == pytest.approx(6)
    points = grid.points()
    np.testing.assert_array_equal(grid._columns(), points.T)
    assert points.shape == (12, 2)
    np.testing.assert_allclose(points[4], [grid.centres(0)[1], grid.centres(1)[1]])


def test_one_axis_needs_no_list():
    assert rt.Grid((0, 1), 5) == rt.Grid([(0, 1)], (5,))


def test_sides():
    assert rt.Grid([(0, 1)] * 2, 4, "periodic").boundary == (("periodic", "periodic"),) * 2
    mixed = rt.Grid([(0, 1)] * 2, 4, [("reflecting", "reflecting"), "periodic"])
    assert mixed.boundary == (("reflecting", "reflecting"), ("periodic", "periodic"))


def test_values():
    grid = rt.Grid([(0, 1)] * 2, 4)
    assert pickle.loads(pickle.dumps(grid)) == grid
    assert hash(grid) == hash(rt.Grid([(0, 1)] * 2, (4, 4)))
    assert grid != rt.Grid([(0, 1)] * 2, (4, 5))
    assert grid != "grid"
    assert eval(repr(grid), {"Grid": rt.Grid}) == grid


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (([(1, 0)], 4), ValueError, r"bounds of axis 0 must be finite with lower < upper; got \(1\.0, 0\.0\)"),
        (([(0, 0)], 4), ValueError, "lower < upper"),
        (([(0, np.inf)], 4), ValueError, "finite"),
        (([(0, np.nan)], 4), ValueError, "finite"),
        (([0, 1, 2], 4), ValueError, r"one \(lower, upper\) pair an axis; got an array of shape \(3,\)"),
        (([(0, 1)], (4, 4)), ValueError, "one number for each of the 1 axes"),
        (([(0, 1)], 1), ValueError, "shape must be at least 2 along each axis; got 1 for axis 0"),
        (([(0, 1)], 0), ValueError, "at least 2"),
        (([(0, 1)], -3), ValueError, "at least 2"),
        (([(0, 1)], 4.0), TypeError, r"shape must be whole numbers; got 4\.0"),
        (([(0, 1)], True), TypeError, "whole numbers"),
        (([(0, 1)] * 3, 2**20), ValueError, r"more than 2\*\*31 - 1 cells"),
        (([(0, 1)] * 9, 2), ValueError, "1 to 8 axes"),
        (([(0, 1)], 4, "open"), ValueError, "must be one of 'reflecting', 'periodic'"),
        (([(0, 1)], 4, [("periodic", "reflecting")]), ValueError, "both sides are periodic or none"),
        (([(0, 1)], 4, ["periodic", "periodic"]), ValueError, "one entry for each of the 1 axes"),
    ],
)
def test_bad_arguments(arguments, error, message):
    with pytest.raises(error, match=message):
        rt.Grid(*arguments)


def test_points_are_found_in_cells_of_any_lengths():
    """In 10⁶ cells whose lengths grow 10¹²-fold, at once; edges belong to the cell above, the last below."""
    edges = np.geomspace(1e-6, 1e6, 10**6 + 1)
    grid = rt.Grid.from_edges([edges])
    x = np.concatenate([np.random.default_rng(1).lognormal(0.0, 5.0, 20_000), edges[::1000], [0.0, 2e6]])
    np.testing.assert_array_equal(_core.bin_counts(grid._core, x[:, None]), np.histogram(x, edges)[0])
