"""Boxes divided into cells."""

from __future__ import annotations

import numpy as np

from rattling import _core

_BOUNDARIES = {"reflecting": 0, "periodic": 1}


class Grid:
    """A box divided into equal cells.

    Parameters
    ----------
    bounds : sequence of (lower, upper)
        One pair an axis, in the units of that coordinate. For one axis the pair
        alone will do.
    shape : int or sequence of int
        Number of cells along each axis, at least 2.
    boundary : str or sequence
        "reflecting" or "periodic"; one for all axes, one an axis, or a pair
        (lower side, upper side) an axis.

    Attributes
    ----------
    shape : tuple of int
    dim : int
    bounds : tuple of (float, float)
    boundary : tuple of (str, str)
        Lower and upper side of each axis.
    volumes : ndarray, shape ``shape``
        Volume of each cell.

    Raises
    ------
    ValueError
        For bounds that are not increasing and finite, fewer than 2 cells, unknown
        boundary names, or more cells than fit.
    """

    def __init__(self, bounds, shape, boundary="reflecting"):
        bounds = np.asarray(bounds, dtype=float)
        if bounds.ndim == 1 and bounds.shape == (2,):
            bounds = bounds[None, :]
        if bounds.ndim != 2 or bounds.shape[1] != 2:
            raise ValueError(
                f"bounds must be one (lower, upper) pair an axis; got an array of shape {bounds.shape}"
            )
        dim = len(bounds)
        shape = (shape,) * dim if np.ndim(shape) == 0 else tuple(shape)
        if len(shape) != dim:
            raise ValueError(f"shape must have one number for each of the {dim} axes of bounds; got {shape!r}")
        for axis, ((lower, upper), n) in enumerate(zip(bounds, shape, strict=True)):
            if not (np.isfinite(lower) and np.isfinite(upper) and lower < upper):
                raise ValueError(f"bounds of axis {axis} must be finite with lower < upper; got ({lower}, {upper})")
            if not isinstance(n, (int, np.integer)) or isinstance(n, bool):
                raise TypeError(f"shape must be whole numbers; got {n!r} for axis {axis}")
            if n < 2:
                raise ValueError(f"shape must be at least 2 along each axis; got {n} for axis {axis}")
        if np.prod([float(n) for n in shape]) > 2**31 - 1:
            raise ValueError(f"shape {shape} has more than 2**31 - 1 cells")
        self.shape = tuple(int(n) for n in shape)
        self.dim = dim
        self.bounds = tuple((float(a), float(b)) for a, b in bounds)
        self.boundary = _sides(boundary, dim)
        self._edges = tuple(np.linspace(a, b, n + 1) for (a, b), n in zip(self.bounds, self.shape, strict=True))
        self._core = _core.Grid(
            self._edges,
            tuple(_BOUNDARIES[lower] for lower, _ in self.boundary),
            tuple(_BOUNDARIES[upper] for _, upper in self.boundary),
        )

    def edges(self, axis):
        """Cell edges along an axis, ``(shape[axis] + 1,)``."""
        return self._edges[axis].copy()

    def centres(self, axis):
        """Cell centres along an axis, ``(shape[axis],)``."""
        edges = self._edges[axis]
        return 0.5 * (edges[:-1] + edges[1:])

    def points(self):
        """Cell centres, ``(n, dim)``, in C order of the cells."""
        return self._core.points()

    @property
    def volumes(self):
        return self._core.volumes().reshape(self.shape)

    def __repr__(self):
        return f"Grid({list(self.bounds)}, {self.shape}, boundary={list(self.boundary)})"

    def __eq__(self, other):
        if not isinstance(other, Grid):
            return NotImplemented
        return (self.bounds, self.shape, self.boundary) == (other.bounds, other.shape, other.boundary)

    def __hash__(self):
        return hash((self.bounds, self.shape, self.boundary))

    def __reduce__(self):
        return Grid, (self.bounds, self.shape, self.boundary)


def _sides(boundary, dim):
    """Normalise ``boundary`` to a (lower, upper) pair of names for each axis."""
    axes = (boundary,) * dim if isinstance(boundary, str) else tuple(boundary)
    if len(axes) != dim:
        raise ValueError(f"boundary must be one name or one entry for each of the {dim} axes; got {boundary!r}")
    pairs = tuple((axis, axis) if isinstance(axis, str) else tuple(axis) for axis in axes)
    for axis, pair in enumerate(pairs):
        if len(pair) != 2 or any(side not in _BOUNDARIES for side in pair):
            raise ValueError(
                f"boundary of axis {axis} must be one of {', '.join(map(repr, _BOUNDARIES))},"
                f" or a (lower, upper) pair of them; got {axes[axis]!r}"
            )
        if pair.count("periodic") == 1:
            raise ValueError(f"boundary of axis {axis}: both sides are periodic or none; got {pair!r}")
    return pairs
