"""The density of states from trajectories."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from rattling import _core
from rattling._checks import choice, count
from rattling._paths import BLOCKS, read_paths, search_tree
from rattling._progress import aside
from rattling.estimators import read_at
from rattling.results import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike

    from rattling._paths import Paths
    from rattling.grids import Grid

_METHODS = ("bins", "knn")
_LEAST_STATES = 2.0  # independent ones behind an estimate of log p
_NEIGHBOURS_AT_ONCE = 1 << 21
_PLACES = 1 << 16  # between two looks at signals


@dataclass(frozen=True, repr=False, eq=False)
class DensityField(Result):
    """Estimated density of states; made by :func:`estimate_density`.

    At the centres or on the cells of a grid arrays begin with ``grid.shape``, as below; at
    n points with (n,).

    Attributes
    ----------
    points : ndarray, shape (*grid.shape, dim)
        Where it was estimated.
    log_density : ndarray, shape ``grid.shape``
        Logarithm of the probability per volume; NaN where it cannot be estimated.
    stderr : ndarray, shape ``grid.shape``
        Its standard error.
    counts : ndarray of int, shape ``grid.shape``
        States in the cell; the neighbours asked for.
    n_eff : ndarray, shape ``grid.shape``
        Independent states that are worth as much.
    grid : Grid or None
    method : str
    n_states : int
        States of the paths, those outside the grid included.
    n_invalid : int
        Places where the density is NaN.
    n_outside : int
        States outside the grid, for bins.
    variables : tuple of str or None
        Names of the coordinates.
    """

    points: np.ndarray
    log_density: np.ndarray
    stderr: np.ndarray
    counts: np.ndarray
    n_eff: np.ndarray
    grid: Grid | None
    method: str
    n_states: int
    n_invalid: int
    n_outside: int
    variables: tuple[str, ...] | None = None

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the density on its grid.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional

        Returns
        -------
        matplotlib.axes.Axes

        Raises
        ------
        ValueError
            Where it was estimated at points that are no grid.
        """
        from rattling.plotting import plot_density

        if self.grid is None:
            raise ValueError("a density at points has no picture: give at=Grid(...) to estimate_density")
        return plot_density(ax, self.grid, np.exp(self.log_density), variables=self.variables)

    @property
    def _dims(self) -> dict[str, tuple[str, ...]]:
        where = "point" if self.grid is None else "grid"
        names = dict.fromkeys(("log_density", "stderr", "counts", "n_eff"), (where,))
        return names | ({"points": (where, "component")} if self.grid is None else {})


def estimate_density(
    trajectories_or_array: object,
    dt: float | None = None,
    *,
    at: Grid | ArrayLike | None = None,
    method: str = "bins",
    neighbours: int | None = None,
    times: object = None,
) -> DensityField:
    """Estimate log p(x), the logarithm of the density of states, from trajectories.

    Parameters
    ----------
    trajectories_or_array, dt, times
        Paths, as for :func:`estimate_rattling`. All states count the same, also where
        times are uneven; ``dt`` is not needed.
    at : Grid or array_like, shape (n, dim), optional
        As for :func:`estimate_rattling`.
    method : {"bins", "knn"}
        "bins": the share of states in each cell of a grid, over its volume. "knn": k over
        the number of states and the volume that the k nearest of them fill, distances
        being in standard deviations along each axis.
    neighbours : int, optional
        k, at least 10; if not given, ``n^(4/(dim + 4))/4`` for n states, but at least 50.

    Returns
    -------
    DensityField

    Raises
    ------
    ValueError
        For what is no path, a grid of another dimension, unknown strings, k above n.

    Notes
    -----
    States of a path are not independent: a count of n scatters with the variance g n. The
    inefficiency g is found at each place from the counts in 32 blocks of consecutive
    states, half of it, and for the other half from all places together; ``n_eff = n/g``.
    So blocks must be longer than memory, and states of separate paths independent. The
    standard error of log p is that of a Poisson count of n_eff, the square root of its
    trigamma function, less the part that the fixed number of all states takes off; the bias of a
    logarithm, ``-1/(2 n_eff)`` for bins, is removed.

    References
    ----------
    D. O. Loftsgaarden & C. P. Quesenberry, Ann. Math. Stat. 36, 1049 (1965): nearest
    neighbours. H. Flyvbjerg & H. G. Petersen, J. Chem. Phys. 91, 461 (1989): blocks.

    Examples
    --------
    >>> import rattling
    >>> model = rattling.Model.from_sympy("-x", 0.5, variables="x")
    >>> paths = rattling.simulate(model, [0.0], 0.01, 5000, n_paths=20, rng=1)
    >>> rattling.estimate_density(paths, at=rattling.Grid([(-1, 1)], 4)).log_density.shape
    (4,)
    """
    choice("method", method, _METHODS)
    if method == "bins" and neighbours is not None:
        raise ValueError(f"neighbours must be None for method 'bins'; got {neighbours!r}")
    if dt is None and times is None and not hasattr(trajectories_or_array, "dt"):
        dt = 1.0  # of no account here
    paths = read_paths(trajectories_or_array, dt, times, (1,))
    grid, shape, points = read_at(at, paths, method)
    parts = paths.blocks(BLOCKS, 0)
    n = paths.n_starts(0)
    if method == "bins":
        assert grid is not None  # read_at saw to it
        counts = np.empty((len(parts), grid.volumes.size))
        for row, part in zip(counts, parts, strict=True):
            row[:] = _core.bin_counts(grid._core, np.concatenate(paths.pieces(*part)))
        total = _sum(counts)
        volume, bias = grid.volumes.ravel(), 0.5
    else:
        neighbours = max(int(n ** (4 / (paths.dim + 4)) / 4), 50) if neighbours is None else neighbours
        counts, volume = _neighbour_counts(paths, parts, points, count("neighbours", neighbours, 10), n)
        total = np.full(len(points), float(neighbours))
        bias = -0.5
    share = total / n
    n_eff = total / _inefficiency(counts, share)
    with np.errstate(divide="ignore", invalid="ignore"):
        log_density = np.log(share / volume) + bias * (1 - share) / n_eff
    valid = n_eff >= _LEAST_STATES
    stderr = np.sqrt((1 - share) * _trigamma(np.where(valid, n_eff, 1.0)))
    log_density, stderr = np.where(valid, [log_density, stderr], np.nan)
    return DensityField(
        points=points.reshape(*shape, paths.dim),
        log_density=log_density.reshape(shape),
        stderr=stderr.reshape(shape),
        counts=total.astype(np.int64).reshape(shape),
        n_eff=n_eff.reshape(shape),
        grid=grid,
        method=method,
        n_states=n,
        n_invalid=int((~valid).sum()),
        n_outside=n - int(total.sum()) if method == "bins" else 0,
        variables=paths.names,
    )


def _inefficiency(counts: np.ndarray, share: np.ndarray) -> Any:
    """g of each place from counts (n_blocks, n_places): Var n = g n (1 - share)."""
    n_blocks = len(counts)
    total = _sum(counts)
    scatter = _sum((row - total / n_blocks) ** 2 for row in counts) * n_blocks / (n_blocks - 1)
    expected = total * (1 - share)
    with np.errstate(divide="ignore", invalid="ignore"):
        own, pooled = scatter / expected, scatter.sum() / expected.sum()
    return np.maximum(0.5 * (np.where(expected > 0, own, pooled) + pooled), 0.1)


def _sum(rows: np.ndarray | Iterable[np.ndarray]) -> np.ndarray:
    """Row by row, so that Ctrl-C comes through where there are many places."""
    total = np.zeros(1)
    for row in rows:
        total = total + row
    return total


def _trigamma(n: np.ndarray) -> np.ndarray:
    from scipy.special import polygamma

    parts = np.array_split(n, n.size // _PLACES + 1)  # for Ctrl-C
    return np.concatenate([polygamma(1, part) for part in parts])


def _neighbour_counts(paths: Paths, parts: Any, points: np.ndarray, k: int, n: int) -> Any:
    """How many of the k nearest states are in each part, (n_parts, n_points), and the volume they fill."""
    if k > n:
        raise ValueError(f"neighbours must be at most the number of states, {n}; got {k}")
    pieces = [np.concatenate(paths.pieces(*part)) for part in parts]
    part_of = np.repeat(np.arange(len(parts)), [len(piece) for piece in pieces])
    states = np.concatenate(pieces)
    unit = states.std(axis=0)
    if not (unit > 0).all():
        raise ValueError("the paths do not move along some axis")
    tree, scaled = search_tree(paths, states, points, unit)
    counts, radius = [], []
    at_once = max(_NEIGHBOURS_AT_ONCE // k, 1)
    for first in range(0, len(points), at_once):
        far, index = aside(tree.query, scaled[first : first + at_once], k)
        own = part_of[index] + len(parts) * np.arange(len(index))[:, None]
        counts.append(np.bincount(own.ravel(), minlength=len(index) * len(parts)).reshape(-1, len(parts)))
        radius.append(far[:, -1])
    dim = paths.dim
    ball = np.pi ** (dim / 2) / math.gamma(dim / 2 + 1)
    return np.concatenate(counts).T, ball * np.concatenate(radius) ** dim * np.prod(unit)
