"""Rattling from trajectories."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from rattling import _core
from rattling._checks import count, positive, real_array
from rattling._progress import progress_hook
from rattling.grids import Grid
from rattling.results import Result
from rattling.trajectories import Trajectories

_METHODS = ("local-linear", "bins")
_NOISE = ("none",)
_DISPLACEMENTS = ("sqrt-time", "increments")
_LARGEST_LAG = 64
_STARTS_A_BIN = 1000  # aimed at where the grid is ours to choose
_MOST_BINS = 64  # along an axis, likewise


@dataclass(frozen=True, repr=False, eq=False)
class RattlingField(Result):
    """Estimated rattling at points; made by :func:`estimate_rattling`.

    At the centres or on the cells of a grid arrays begin with ``grid.shape``, as below;
    at n points with (n,).

    Attributes
    ----------
    points : ndarray, shape (*grid.shape, dim)
        Where it was estimated.
    rattling : ndarray, shape ``grid.shape``
        R = ½ log det C per unit time; NaN where it cannot be estimated.
    stderr : ndarray, shape ``grid.shape``
        Standard error of R, for increments that are Gaussian within a cell.
    covariance : ndarray, shape (*grid.shape, dim, dim)
        C per unit time at the shortest lag (C = 2D for white noise); NaN below 2
        increments.
    drift : ndarray, shape (*grid.shape, dim)
        Mean increment per unit time at the shortest lag; NaN in empty cells.
    n_eff : ndarray, shape ``grid.shape``
        Independent increments behind C: their number, less what overlap takes off.
    counts : ndarray of int, shape ``grid.shape``
        Increments that start in the cell, or within the bandwidth.
    grid : Grid or None
    method : str
    lags : tuple of int
    dt : float
        Time between the states that were used.
    n_invalid : int
        Cells where R is NaN.
    n_outside : int
        Increments that start outside the grid, for bins.
    variables : tuple of str or None
        Names of the coordinates.
    """

    points: np.ndarray
    rattling: np.ndarray
    stderr: np.ndarray
    covariance: np.ndarray
    drift: np.ndarray
    n_eff: np.ndarray
    counts: np.ndarray
    grid: Grid | None
    method: str
    lags: tuple
    dt: float
    n_invalid: int
    n_outside: int
    variables: tuple | None = None

    @property
    def _dims(self):
        where = "point" if self.grid is None else "grid"
        vectors = {"drift": (where, "component"), "covariance": (where, "component", "component_2")}
        if self.grid is None:
            vectors["points"] = (where, "component")
        return dict.fromkeys(("rattling", "stderr", "n_eff", "counts"), (where,)) | vectors

    def plot(self, ax=None):
        """R with its standard error (one dimension) or as colours (two).

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional

        Returns
        -------
        matplotlib.axes.Axes
        """
        from rattling.plotting_paths import plot_rattling_field

        return plot_rattling_field(self, ax=ax)


@dataclass(frozen=True, repr=False, eq=False)
class WindowedRattling(Result):
    """Rattling in windows of one path; made by :func:`windowed_rattling`.

    Attributes
    ----------
    rattling : ndarray, shape (n_windows,)
        R = ½ log det C per unit time; -inf where C is singular (something does not
        move), NaN where x is not known.
    t : ndarray, shape (n_windows,)
        Time of the first row of each window.
    dt : float
    window : float
        Length asked for, in units of time.
    n_rows : int
        Rows of x in a window.
    stride : int
        Rows from one window to the next.
    displacement : str
    dim : int
    """

    rattling: np.ndarray
    t: np.ndarray
    dt: float
    window: float
    n_rows: int
    stride: int
    displacement: str
    dim: int

    _dims = {"rattling": ("time",)}
    _coords = {"time": "t"}

    def smooth(self, n=25):
        """Running mean over n consecutive windows, as in the published figures.

        Parameters
        ----------
        n : int
            Windows averaged; the published analysis takes 25 of stride 1.

        Returns
        -------
        t, rattling : ndarray, shape (n_windows - n + 1,)
            Time of the first window of each mean, and the mean.

        Raises
        ------
        ValueError
            If there are fewer than n windows.

        References
        ----------
        P. Chvykov et al., Science 371, 90 (2021) and its public analysis code.
        """
        n, n_windows = count("n", n, 1), len(self.rattling)
        if n > n_windows:
            raise ValueError(f"n must be at most the number of windows, {n_windows}; got {n}")
        windows = np.lib.stride_tricks.sliding_window_view(self.rattling, n)
        return self.t[: n_windows - n + 1], windows.mean(axis=1)

    def plot(self, ax=None, *, smooth=25):
        """R against time with its running mean over ``smooth`` windows.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
        smooth : int
            Windows averaged; 1 for none.

        Returns
        -------
        matplotlib.axes.Axes
        """
        from rattling.plotting_paths import plot_windowed_rattling

        return plot_windowed_rattling(self, ax=ax, smooth=smooth)


def estimate_rattling(
    trajectories_or_array,
    dt=None,
    *,
    at=None,
    method="local-linear",
    lags=(1, 2),
    noise="none",
    bandwidth=None,
    progress=False,
):
    """Estimate R(x) = ½ log det C(x) from trajectories.

    C(x) is the covariance of displacements from x per unit time, 2D for white noise.

    Parameters
    ----------
    trajectories_or_array : Trajectories or array_like
        Paths; an array has shape (n_paths, n_times, dim) or, for one path, (n_times, dim)
        or (n_times,). Increments across the seam of a periodic axis are the short way
        round for Trajectories, which know their walls; arrays are taken as they are, so
        unwrap them.
    dt : float, optional
        Time between states; needed for an array.
    at : Grid or array_like, shape (n, dim), optional
        Cells in which, or for "local-linear" points at which to estimate; a Grid then
        stands for its centres. If not given: the walls, or the range of the data, cut
        so that the average cell holds about 1000 states, at most 64 along an axis.
    method : {"local-linear", "bins"}
        "local-linear": increments that start within the bandwidth of a point are fitted
        by a drift, and their squares by a covariance, that are linear in the start.
        "bins": the sample covariance of the increments that start in each cell.
    lags : sequence of one or two int
        With two, l1 < l2, R is extrapolated to lag zero, ``(l2 R(l1) - l1 R(l2))/(l2 -
        l1)``; with one it is R at that lag, which contracting drift makes too small by
        about ``-½ ∇·f`` times the lag, and in proportion everywhere.
    noise : {"none"}
        Measurement noise: none.
    bandwidth : float or array_like, shape (dim,), optional
        For "local-linear": radius of the kernel (1 - u²)₊ along each axis. If not given
        ``2.5 s n^(-1/(dim + 4))`` with s the standard deviation of the states and n
        their number, but at least so much that about 400 states lie within it at the
        average state.
    progress : bool or callable
        False; True for a bar (needs tqdm); or a function called with the share done.

    Returns
    -------
    RattlingField

    Raises
    ------
    ValueError
        For states that are not finite (with the first), paths not longer than the
        longest lag, a grid of another dimension, unknown strings.

    Notes
    -----
    Local-linear fits have no bias from the slope of the density, which averages over a
    bin or a kernel have, and which is correlated with log p (Fan & Gijbels 1996). What
    is left is of second order in the bandwidth.

    The bias of the log det of a sample covariance is removed, ``½ [Σ ψ((ν-i)/2) + d log
    (2/ν)]`` with ν degrees of freedom, and the standard error follows from its variance
    ``¼ Σ ψ₁((ν-i)/2)``; both count the overlap of increments over several steps. What
    remains is of second order in the lag, and of second order in the width of a cell:
    the estimate belongs to the cell's visited part. The drift's variation across a cell
    adds to C in proportion to the lag, which the extrapolation removes too. Beside
    reflecting walls, within a few ``√(2 D lag)``, increments are folded and R is too
    small. Paths by Euler-Maruyama of which every step is kept have exact covariance 2D at
    lag 1, so that there ``lags=1`` is the unbiased choice; keep every tenth, say, and the
    extrapolation is it.

    References
    ----------
    J. Fan & I. Gijbels, Local Polynomial Modelling (Chapman & Hall, 1996), sect. 3.2.

    R. J. Muirhead, Aspects of Multivariate Statistical Theory (Wiley, 1982), th. 3.2.15.

    Examples
    --------
    >>> import rattling
    >>> model = rattling.Model.from_sympy("-x", 0.5, variables="x")
    >>> paths = rattling.simulate(model, [0.0], 0.01, 5000, n_paths=20, rng=1)
    >>> field = rattling.estimate_rattling(paths, at=rattling.Grid([(-1, 1)], 4))
    >>> field.rattling.shape  # exact: ½ log 2D = 0
    (4,)
    """
    for value, name, allowed in (
        (method, "method", _METHODS),
        (noise, "noise", _NOISE),
    ):
        if value not in allowed:
            raise ValueError(f"{name} must be one of {', '.join(map(repr, allowed))}; got {value!r}")
    if method == "bins" and bandwidth is not None:
        raise ValueError(f"bandwidth must be None for method 'bins'; got {bandwidth!r}")
    lags = _read_lags(lags)
    x, dt, period, names = _read_paths(trajectories_or_array, dt)
    n_starts = x.shape[1] - lags[-1]
    if n_starts < 1:
        raise ValueError(f"paths have {x.shape[1]} states each; lags {lags} need at least {lags[-1] + 1}")
    dim = x.shape[2]
    at = _grid(trajectories_or_array, x) if at is None else at
    if isinstance(at, Grid):
        if at.dim != dim:
            raise ValueError(f"at has {at.dim} axes, but the paths have {dim} coordinates")
        grid, shape, points = at, at.shape, at.points()
    else:
        if method == "bins":
            raise TypeError(f"at must be a rattling.Grid for method 'bins', not {type(at).__name__}")
        grid, points = None, _read_points(at, dim)
        shape = points.shape[:1]
    with progress_hook(progress, "estimate") as hook:
        if method == "bins":
            outputs = _core.bins(x, dt, period, lags, grid._core, hook)
            n_outside = x.shape[0] * n_starts - int(outputs[-1].sum())
        else:
            width = _bandwidth(bandwidth, x)
            outputs = _core.local(x, dt, period, lags, points, width, _core.cores(), hook)
            n_outside = 0
    r, stderr, covariance, drift, n_eff, counts = outputs
    return RattlingField(
        points=points.reshape(*shape, dim),
        rattling=r.reshape(shape),
        stderr=stderr.reshape(shape),
        covariance=covariance.reshape(*shape, dim, dim),
        drift=drift.reshape(*shape, dim),
        n_eff=n_eff.reshape(shape),
        counts=counts.astype(np.int64).reshape(shape),
        grid=grid,
        method=method,
        lags=lags,
        dt=dt,
        n_invalid=int(np.isnan(r).sum()),
        n_outside=n_outside,
        variables=names,
    )


def _read_points(at, dim):
    points = np.atleast_1d(real_array("at", at))
    points = points[:, None] if points.ndim == 1 and dim == 1 else np.atleast_2d(points)
    if points.ndim != 2 or points.shape[1] != dim or len(points) == 0:
        raise ValueError(f"at must be a Grid or points of shape (n, {dim}); got an array of shape {np.shape(at)}")
    if not np.isfinite(points).all():
        row = int(np.argwhere(~np.isfinite(points))[0, 0])
        raise ValueError(f"at must be finite; point {row} is {points[row]}")
    return points


def _bandwidth(bandwidth, x):
    """Radius of the kernel along each axis."""
    dim = x.shape[2]
    if bandwidth is not None:
        width = np.broadcast_to(real_array("bandwidth", bandwidth), (dim,))
        if not ((width > 0) & np.isfinite(width)).all():
            raise ValueError(f"bandwidth must be positive and finite; got {bandwidth!r}")
        return width
    n = x.shape[0] * x.shape[1]
    spread = x.reshape(n, dim).std(axis=0)
    if not (spread > 0).all():
        raise ValueError("the paths do not move along some axis: give bandwidth")
    # a Gaussian's density at its average state is (4 pi)^(-dim/2); the ball's volume
    ball = np.pi ** (dim / 2) / math.gamma(dim / 2 + 1)
    enough = (400 * (4 * np.pi) ** (dim / 2) / (n * ball)) ** (1 / dim)
    return spread * max(2.5 * n ** (-1 / (dim + 4)), enough)


def windowed_rattling(x, dt, window, *, stride=1, displacement="sqrt-time"):
    """Rattling in windows of one path: the estimator of the 2021 paper.

    In a window that begins at row i, ``v_k = (x_{i+k} - x_i)/√((k+1) dt)`` for k = 0, 1,
    ...; C is the sample covariance of v and R = ½ log det C.

    Parameters
    ----------
    x : array_like, shape (n_times, dim) or (n_times,)
        One path. NaN marks what is not known: windows that hold it get R = NaN.
    dt : float
        Time between rows, or its mean.
    window : float
        Length of a window in units of time, T. With w = int(T/dt), a window has w - 1
        rows, i ... i+w-2, and there are ``(n_times - w)//stride + 1``, as in the
        published code.
    stride : int
        Rows from one window to the next.
    displacement : {"sqrt-time", "increments"}
        "sqrt-time" as above. "increments": ``v_k = (x_{k+1} - x_k)/√dt``, whose
        covariance is 2D for white noise.

    Returns
    -------
    WindowedRattling

    Raises
    ------
    ValueError
        For a window that is longer than the path, or too short for its covariance to
        have full rank; infinite x.

    Notes
    -----
    Kept for comparison with the literature. For Brownian motion it gives E C = 2D/3, and
    however many rows a window has, its C is worth only about 6, 10, 17 independent
    displacements in 1, 3, 7 dimensions: R is noisy, and a slope of log p on it is too
    small. See :func:`estimate_rattling`.

    References
    ----------
    P. Chvykov et al., Science 371, 90 (2021) and its public analysis code.

    Examples
    --------
    >>> import numpy as np
    >>> import rattling
    >>> path = np.cumsum(np.random.default_rng(1).normal(size=(1000, 2)), axis=0)
    >>> rattling.windowed_rattling(path, dt=0.1, window=10.0).rattling.shape
    (901,)
    """
    x = real_array("x", x)
    if x.ndim == 1:
        x = x[:, None]
    if x.ndim != 2 or x.shape[1] < 1:
        raise ValueError(f"x must have shape (n_times, dim) or (n_times,), but it has {x.shape}")
    if np.isinf(x).any():
        row, column = np.argwhere(np.isinf(x))[0]
        raise ValueError(f"x must not be infinite; row {row}, column {column} is {x[row, column]}")
    dt = float(positive("dt", dt))
    window = float(positive("window", window))
    stride = count("stride", stride, 1, bits=63)
    if displacement not in _DISPLACEMENTS:
        names = ", ".join(map(repr, _DISPLACEMENTS))
        raise ValueError(f"displacement must be one of {names}; got {displacement!r}")
    n_times, dim = x.shape
    if window / dt >= n_times + 1:
        raise ValueError(
            f"x has {n_times} rows, fewer than the {window / dt:.6g} that a window of {window:g} needs"
        )
    width = int(window / dt)
    n_rows = width - 1
    needed = dim + 1 + _DISPLACEMENTS.index(displacement)
    if n_rows < max(needed, 3):
        raise ValueError(
            f"a window of {window:g} has {max(n_rows, 0)} rows, but in {dim} dimensions at least"
            f" {max(needed, 3)} are needed; take a longer window"
        )
    n_windows = (n_times - width) // stride + 1
    kind = _DISPLACEMENTS.index(displacement)
    r = _core.windowed(x, dt, n_rows, stride, kind, n_windows, None)
    return WindowedRattling(
        r, np.arange(n_windows) * (stride * dt), dt, window, n_rows, stride, displacement, dim
    )


# --- arguments --------------------------------------------------------------------------


def _read_lags(lags):
    lags = (lags,) if isinstance(lags, (int, np.integer)) else tuple(lags)
    if len(lags) not in (1, 2):
        raise ValueError(f"lags must be one or two whole numbers; got {lags!r}")
    lags = tuple(count("lags", lag, 1) for lag in lags)
    if lags[-1] > _LARGEST_LAG or (len(lags) == 2 and lags[0] >= lags[1]):
        raise ValueError(f"lags must increase and be at most {_LARGEST_LAG}; got {lags}")
    return lags


def _read_paths(source, dt):
    """x (n_paths, n_times, dim), dt, period of each axis, names."""
    if isinstance(source, Trajectories):
        if dt is not None and not np.isclose(dt, source.dt, rtol=1e-9, atol=0.0):
            raise ValueError(f"dt is {dt}, but the trajectories have {source.dt}; leave it out")
        x, dt, period, names = source.x, source.dt, source.period, source.variables
    else:
        x = real_array("trajectories_or_array", source)
        if x.ndim == 1:
            x = x[:, None]
        if x.ndim == 2:
            x = x[None]
        if x.ndim != 3 or x.size == 0:
            raise ValueError(
                "trajectories_or_array must have shape (n_paths, n_times, dim), (n_times, dim) or (n_times,),"
                f" but it has {np.shape(source)}"
            )
        if dt is None:
            raise ValueError("dt, the time between states, is needed for an array")
        dt, period, names = float(positive("dt", dt)), np.zeros(x.shape[2]), None
    if not np.isfinite(x).all():
        path, row, axis = np.argwhere(~np.isfinite(x))[0]
        raise ValueError(
            f"trajectories_or_array must be finite; coordinate {axis} of path {path} is {x[path, row, axis]}"
            f" at state {row}"
        )
    return x, dt, period, names


def _grid(source, x):
    """A grid where the user gave none: see `at` of `estimate_rattling`."""
    n_paths, n_times, dim = x.shape
    flat = x.reshape(-1, dim)
    walls = source.boundary if isinstance(source, Trajectories) and source.boundary else (None,) * dim
    bounds, sides = [], []
    for axis, wall in enumerate(walls):
        lower, upper = flat[:, axis].min(), flat[:, axis].max()
        if wall is not None:
            lower = wall[0] if np.isfinite(wall[0]) else lower
            upper = wall[1] if np.isfinite(wall[1]) else upper
        if not lower < upper:
            raise ValueError(f"at is needed: coordinate {axis} of the paths is {lower} throughout")
        bounds.append((lower, upper))
        sides.append("reflecting" if wall is None else wall[2])
    n = int((n_paths * n_times / _STARTS_A_BIN) ** (1 / dim))
    return Grid(bounds, min(max(n, 2), _MOST_BINS), sides)
