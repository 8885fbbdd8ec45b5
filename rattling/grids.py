"""Boxes divided into cells."""

from __future__ import annotations

import math
import operator
from typing import TYPE_CHECKING, Any

import numpy as np

from rattling import _core
from rattling._checks import real_array, short

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

MOST_AXES = 8
_BOUNDARIES = {"reflecting": 0, "periodic": 1, "absorbing": 2}


class Grid:
    """A box divided into cells by the edges of each axis.

    Parameters
    ----------
    bounds : sequence of (lower, upper)
        One pair an axis, in the units of that coordinate. For one axis the pair
        alone will do. For an axis without a number of cells in ``shape``: its cell
        edges, at least 3 increasing numbers.
    shape : int or sequence of int, optional
        Number of equal cells along each axis, at least 2; None for an axis (or for all)
        whose edges are given.
    boundary : str or sequence
        "reflecting", "periodic" or "absorbing"; one for all axes, one an axis, or a pair
        (lower side, upper side) an axis.

    Attributes
    ----------
    shape : tuple of int
    dim : int
    bounds : tuple of (float, float)
    boundary : tuple of (str, str)
        Lower and upper side of each axis.
    uniform : tuple of bool
        Whether the cells along each axis are equal.
    volumes : ndarray, shape ``shape``
        Volume of each cell.

    Raises
    ------
    ValueError
        For bounds or edges that are not increasing and finite, fewer than 2 cells,
        unknown boundary names, or more cells than fit.

    Examples
    --------
    >>> import numpy as np
    >>> import rattling
    >>> rattling.Grid([(-1, 1), (0, 6)], (4, 3), "periodic").centres(1)
    array([1., 3., 5.])
    >>> stretched = rattling.Grid.from_edges([np.linspace(0, 1, 5) ** 2], "absorbing")
    >>> stretched.volumes
    array([0.0625, 0.1875, 0.3125, 0.4375])
    """

    def __init__(
        self,
        bounds: Sequence[ArrayLike],
        shape: int | Sequence[int | None] | None = None,
        boundary: str | Sequence[str | Sequence[str]] = "reflecting",
    ) -> None:
        axes = _axes(bounds, shape)
        self.dim = len(axes)
        self.shape = tuple(len(edges) - 1 for edges in axes)
        self.bounds = tuple((float(edges[0]), float(edges[-1])) for edges in axes)
        self.boundary = _sides(boundary, self.dim)
        equal = [np.linspace(a, b, n + 1) for (a, b), n in zip(self.bounds, self.shape, strict=True)]
        self.uniform = tuple(np.array_equal(a, b) for a, b in zip(axes, equal, strict=True))
        self._edges = axes
        self._core = _core.Grid(
            axes,
            tuple(_BOUNDARIES[lower] for lower, _ in self.boundary),
            tuple(_BOUNDARIES[upper] for _, upper in self.boundary),
        )

    @classmethod
    def from_edges(
        cls, edges: Sequence[ArrayLike], boundary: str | Sequence[str | Sequence[str]] = "reflecting"
    ) -> Grid:
        """A grid with cells of any widths.

        Parameters
        ----------
        edges : sequence of array_like
            The cell edges of each axis, at least 3 increasing numbers. For one axis the
            edges alone will do.
        boundary : str or sequence
            As for :class:`Grid`.

        Returns
        -------
        Grid
            Equal to the one made from bounds and shape where the cells are equal.

        Raises
        ------
        ValueError
            As for :class:`Grid`.
        """
        return cls(edges, None, boundary)

    def edges(self, axis: int) -> np.ndarray:
        """Cell edges along an axis, ``(shape[axis] + 1,)``."""
        return self._edges[self._axis(axis)].copy()

    def centres(self, axis: int) -> np.ndarray:
        """Cell centres along an axis, ``(shape[axis],)``."""
        edges = self._edges[self._axis(axis)]
        centres: np.ndarray = 0.5 * (edges[:-1] + edges[1:])
        return centres

    def _axis(self, axis: int) -> int:
        try:
            index = operator.index(axis)
        except TypeError:
            raise TypeError(f"axis must be a whole number, not {type(axis).__name__}") from None
        if not -self.dim <= index < self.dim:
            raise ValueError(f"axis must be below the number of axes, {self.dim}; got {axis}")
        return index

    def points(self) -> np.ndarray:
        """Cell centres, ``(n, dim)``, in C order of the cells."""
        return self._core.points()

    def _columns(self) -> np.ndarray:
        """Cell centres, ``(dim, n)``: one axis after the other, so that Ctrl-C is answered in between."""
        x = np.empty((self.dim, *self.shape))
        for k in range(self.dim):
            x[k] = self.centres(k).reshape(-1, *(1,) * (self.dim - 1 - k))
        return x.reshape(self.dim, -1)

    @property
    def volumes(self) -> np.ndarray:
        return self._core.volumes().reshape(self.shape)

    def _arguments(self) -> tuple[list[Any], tuple[int | None, ...], tuple[tuple[str, str], ...]]:
        """What makes this grid again: bounds and shape, with edges where they differ."""
        bounds = [b if u else e for b, u, e in zip(self.bounds, self.uniform, self._edges, strict=True)]
        return bounds, tuple(n if u else None for n, u in zip(self.shape, self.uniform, strict=True)), self.boundary

    def __repr__(self) -> str:
        bounds, shape, boundary = self._arguments()
        texts = [str(b) if isinstance(b, tuple) else _short(b) for b in bounds]
        return f"Grid([{', '.join(texts)}], {shape}, boundary={list(boundary)})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Grid):
            return NotImplemented
        return self.boundary == other.boundary and self._key() == other._key()

    def __hash__(self) -> int:
        return hash((self.boundary, self._key()))

    def _key(self) -> tuple[bytes, ...]:
        return tuple(edges.tobytes() for edges in self._edges)

    def __reduce__(self) -> tuple[Any, ...]:
        return Grid, self._arguments()


def _short(edges: np.ndarray) -> str:
    """All of a few edges, the ends of many."""
    if len(edges) <= 8:
        return str(edges.tolist())
    return f"[{edges[0]}, {edges[1]}, ..., {edges[-2]}, {edges[-1]}]"


def _axes(bounds: Sequence[ArrayLike], shape: int | Sequence[int | None] | None) -> tuple[np.ndarray, ...]:
    """The edges of each axis as a tuple of arrays."""
    if isinstance(bounds, str) or not hasattr(bounds, "__iter__"):
        raise TypeError(f"bounds must be a sequence with one entry an axis; got {bounds!r}")
    rows = [real_array(f"bounds of axis {axis}", row) for axis, row in enumerate(bounds)]
    if rows and all(row.ndim == 0 for row in rows):  # one axis alone
        rows = [np.array(rows)]
        shape = (shape,) if shape is None else shape
    dim = len(rows)
    given: Any = shape
    cells = (given,) * dim if np.ndim(given) == 0 else tuple(given)
    if len(cells) != dim:
        raise ValueError(f"shape must have one number for each of the {dim} axes of bounds; got {cells!r}")
    for axis, (row, n) in enumerate(zip(rows, cells, strict=True)):
        _check_axis(row, n, axis)
    cells = tuple(len(row) - 1 if n is None else int(n) for row, n in zip(rows, cells, strict=True))
    if math.prod(cells) > 2**31 - 1:
        raise ValueError(f"shape {short(cells)} has more than 2**31 - 1 cells")
    if not 1 <= dim <= MOST_AXES:
        raise ValueError(f"bounds must have an entry for each of 1 to {MOST_AXES} axes; got {dim}")
    for axis, (row, n) in enumerate(zip(rows, cells, strict=True)):
        _check_width(axis, row[0], row[-1], n)
    return tuple(row.copy() if len(row) > 2 else np.linspace(row[0], row[1], n + 1) for row, n in zip(rows, cells, strict=True))


def _check_axis(row: np.ndarray, n: int | None, axis: int) -> None:
    """Bounds with a number of cells, or edges with None."""
    if n is None:
        if row.ndim != 1 or len(row) < 3:
            raise ValueError(
                f"without a number of cells in shape, axis {axis} needs at least 3 cell edges; got an array of"
                f" shape {row.shape}"
            )
        bad = ~(np.isfinite(row[:-1]) & np.isfinite(row[1:]) & (row[1:] > row[:-1]))
        if bad.any():
            raise ValueError(
                f"edges of axis {axis} must be finite and increasing; {row[bad.argmax()]} is followed by"
                f" {row[bad.argmax() + 1]}"
            )
        return
    if row.shape != (2,):
        raise ValueError(
            f"bounds must be one (lower, upper) pair an axis; got an array of shape {row.shape} for axis {axis}"
        )
    lower, upper = row
    if not (np.isfinite(lower) and np.isfinite(upper) and lower < upper):
        raise ValueError(f"bounds of axis {axis} must be finite with lower < upper; got ({lower}, {upper})")
    if not isinstance(n, (int, np.integer)) or isinstance(n, bool):
        raise TypeError(f"shape must be whole numbers; got {n!r} for axis {axis}")
    if n < 2:
        raise ValueError(f"shape must be at least 2 along each axis; got {n} for axis {axis}")


def _check_width(axis: int, lower: float, upper: float, n: int) -> None:
    """Cells of a width that floating-point numbers tell from 0, and from infinity."""
    lower, upper = float(lower), float(upper)
    width = (upper - lower) / n
    if not (width < math.inf and lower + width > lower and upper - width < upper):
        raise ValueError(
            f"bounds of axis {axis}, ({lower}, {upper}), cannot be divided into {n} cells in floating-point numbers"
        )


def _sides(boundary: str | Sequence[str | Sequence[str]], dim: int) -> tuple[tuple[str, str], ...]:
    """Normalise ``boundary`` to a (lower, upper) pair of names for each axis."""
    if not isinstance(boundary, str) and not hasattr(boundary, "__len__"):
        raise TypeError(f"boundary must be one name or one entry for each of the {dim} axes; got {boundary!r}")
    axes = (boundary,) * dim if isinstance(boundary, str) else tuple(boundary)
    if len(axes) != dim:
        raise ValueError(f"boundary must be one name or one entry for each of the {dim} axes; got {boundary!r}")
    pairs: Any = tuple(side_pair(side) for side in axes)
    for axis, pair in enumerate(pairs):
        if len(pair) != 2 or not all(isinstance(side, str) and side in _BOUNDARIES for side in pair):
            raise ValueError(
                f"boundary of axis {axis} must be one of {', '.join(map(repr, _BOUNDARIES))},"
                f" or a (lower, upper) pair of them; got {axes[axis]!r}"
            )
        if pair.count("periodic") == 1:
            raise ValueError(f"boundary of axis {axis}: both sides are periodic or none; got {pair!r}")
    result: tuple[tuple[str, str], ...] = pairs
    return result


def side_pair(side: Any) -> tuple[Any, ...]:
    """One side stands for both."""
    return (side, side) if isinstance(side, str) or not hasattr(side, "__len__") else tuple(side)


def refuse_double_links(what: str, grid: Grid | None) -> None:
    """Two cells around a ring have two links, which a chain knows as one."""
    if grid is not None and any(
        n == 2 and side[0] == "periodic" for n, side in zip(grid.shape, grid.boundary, strict=True)
    ):
        raise ValueError(f"{what}: a periodic axis of two cells has two links between the same cells; take three")
