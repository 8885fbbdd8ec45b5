"""The density of states from trajectories, and gamma from data alone."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from rattling import _core
from rattling._checks import choice, count, number, random_generator, read_threads, real_array
from rattling._paths import read_lags, read_paths, search_tree, terms
from rattling._progress import aside, progress_hook
from rattling.estimators import BinSums, RattlingField, read_at
from rattling.grids import Grid
from rattling.results import Result, table, with_error

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike

    from rattling._paths import Paths
    from rattling._typing import Hook, Progress, Seed

_METHODS = ("bins", "knn")
_FITS = ("poisson", "regression", "split-halves")
_NOISE = ("none", "covariance")
_BLOCKS = 32
_LEAST_STATES = 2.0  # independent ones behind an estimate of log p
_LEAST_INCREMENTS = 2  # a dimension, and 2 more, behind an R that is used for gamma
_SMALL = 0.25  # of a draw of blocks: a block drawn twice is no new data, and few cells would bear it
_NEIGHBOURS_AT_ONCE = 1 << 21


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
    parts = paths.blocks(_BLOCKS, 0)
    n = paths.n_starts(0)
    if method == "bins":
        assert grid is not None  # read_at saw to it
        counts = np.array(
            [_core.bin_counts(grid._core, np.concatenate(paths.pieces(*part))) for part in parts]
        )
        total = counts.sum(axis=0)
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
    scatter = ((counts - counts.mean(axis=0)) ** 2).sum(axis=0) * n_blocks / (n_blocks - 1)
    expected = counts.sum(axis=0) * (1 - share)
    with np.errstate(divide="ignore", invalid="ignore"):
        own, pooled = scatter / expected, scatter.sum() / expected.sum()
    return np.maximum(0.5 * (np.where(expected > 0, own, pooled) + pooled), 0.1)


def _trigamma(n: np.ndarray) -> np.ndarray:
    from scipy.special import polygamma

    values: np.ndarray = polygamma(1, n)
    return values


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


# --- gamma ------------------------------------------------------------------------------


@dataclass(frozen=True, repr=False, eq=False)
class GammaFit(Result):
    """gamma of ``p = exp(-gamma R)/Z`` from data; made by :func:`fit_gamma`.

    Attributes
    ----------
    gamma : float
        With the errors of R allowed for; NaN where they swamp R.
    stderr : float
        Its standard error, from blocks drawn again.
    low, high : float
        Ends of the interval.
    confidence : float
    gamma_uncorrected : float
        As if R had no errors: nearer to 0.
    reliability : float
        Share of the variance of R among cells, weighted by their counts, that is not error.
    replicates : ndarray, shape (n_replicates,)
        gamma with blocks drawn again, see :func:`fit_gamma`.
    method : str
    n_used, n_excluded : int
        Cells used, and visited cells that were not, as their R is not known well enough.
    counts, rattling, rattling_stderr : ndarray, shape ``grid.shape``
        What was fitted: starts of increments; R, NaN where it was not used.
    grid : Grid
    """

    gamma: float
    stderr: float
    low: float
    high: float
    confidence: float
    gamma_uncorrected: float
    reliability: float
    replicates: np.ndarray = field(repr=False)
    method: str
    n_used: int
    n_excluded: int
    counts: np.ndarray = field(repr=False)
    rattling: np.ndarray = field(repr=False)
    rattling_stderr: np.ndarray = field(repr=False)
    grid: Grid = field(repr=False)

    _dims = dict.fromkeys(("counts", "rattling", "rattling_stderr"), ("grid",)) | {
        "replicates": ("replicate",)
    }

    def summary(self) -> str:
        """A table, as text."""
        rows = [
            ("gamma", with_error(self.gamma, self.stderr), "Method", self.method),
            (f"{100 * self.confidence:g} % interval", f"{self.low:.4g} to {self.high:.4g}",
             "Cells used", f"{self.n_used}"),
            ("as if R were exact", f"{self.gamma_uncorrected:.4g}", "Cells left out", f"{self.n_excluded}"),
            ("Reliability of R", f"{self.reliability:.4f}", "Replicates", f"{len(self.replicates)}"),
        ]  # fmt: skip
        return table("gamma from trajectories", rows)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Log density of visits against R, with bars of one standard error of R, and the law fitted.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional

        Returns
        -------
        matplotlib.axes.Axes
        """
        from rattling.plotting_paths import plot_gamma_fit

        return plot_gamma_fit(self, ax)


def fit_gamma(
    trajectories_or_array: object,
    dt: float | None = None,
    *,
    at: Grid | None = None,
    method: str = "poisson",
    rattling: object = None,
    lags: int | Sequence[int] = (1, 2),
    noise: str = "none",
    times: object = None,
    confidence: float = 0.95,
    n_replicates: int = 400,
    rng: Seed = None,
    threads: int | None = None,
    progress: Progress = False,
) -> GammaFit:
    """Fit ``p = exp(-gamma R)/Z`` to trajectories alone, with an interval for gamma.

    Parameters
    ----------
    trajectories_or_array, dt, lags, noise, times, threads, progress
        As for :func:`estimate_rattling`.
    at : Grid, optional
        Cells in which states are counted and R is estimated.
    method : {"poisson", "regression", "split-halves"}
        "poisson": maximum likelihood for the counts, so that gamma makes the mean of R
        over the data and under the law agree; few counts are no harm. "regression": the
        least-squares slope of log p on R, every cell counting the same. "split-halves": this
        slope with R from one half of the data and, as an instrument, R from the other.
    rattling : RattlingField or array_like, shape ``at.shape``, optional
        R on the grid ``at``, if it is known or estimated otherwise; then cells without states
        count as such. Its ``stderr`` is allowed for. If not given, R is estimated in the
        cells (method "bins").
    confidence : float
        Probability that the interval is to hold gamma.
    n_replicates : int
        How often blocks are drawn.
    rng : int, SeedSequence, Generator or None

    Returns
    -------
    GammaFit

    Raises
    ------
    ValueError
        For what is no path or no grid, fewer than three cells with a known R, unknown strings.

    Notes
    -----
    Errors of R make a fitted gamma too small. Here they are removed with their known
    variances s²: for "poisson" by the corrected score of Nakamura (1990), ``Σ n R / N = <R +
    gamma s²>`` under ``q ∝ V exp(-gamma R - gamma² s²/2)``; for "regression" by the method of
    moments (Fuller 1987); "split-halves" needs no variances, only that the halves err
    independently. Errors of the counts and of R are independent, though made of the same
    data: increments do not know how often their cell was visited. Cells with fewer than 2 dim
    + 2 independent increments are left out; where these are many, gamma comes out too small, as
    cells of small p are in only if chance favoured them: then give ``rattling``, say
    ``estimate_rattling(paths, at=grid)``, which is known there too.

    The interval: 32 blocks of consecutive data are drawn with replacement (for
    "split-halves" within each half), weights of the blocks are changed by a quarter of what they are
    drawn more or less often than once, gamma is fitted again, and its change is taken four times: drawn
    outright, blocks would leave cells with the same few increments twice. In a replicate R errs twice,
    once as the data and once as the draw, which is allowed for. The ends are the estimate
    and Student's quantile for 31 degrees of freedom times the standard deviation of the
    replicates. Blocks must be longer than memory. If the law does not hold exactly the
    methods weight cells differently, and their gammas differ.

    References
    ----------
    T. Nakamura, Biometrika 77, 127 (1990). W. A. Fuller, Measurement Error Models (Wiley,
    1987), sect. 1.2. H. R. Künsch, Ann. Stat. 17, 1217 (1989): blocks.

    Examples
    --------
    >>> import rattling
    >>> model = rattling.Model.from_sympy("0", "1 + sin(x)/2", variables="x")  # p ~ 1/D
    >>> ring = rattling.Grid((0, 6.283185307179586), 24, "periodic")
    >>> paths = rattling.simulate(model, [1.0], 0.01, 5000, n_paths=32, rng=1, boundary=ring)
    >>> fit = rattling.fit_gamma(paths, at=ring, rng=1)
    >>> bool(fit.low < 2 < fit.high)
    True
    """
    choice("method", method, _FITS)
    choice("noise", noise, _NOISE)
    if not 0 < number("confidence", confidence) < 1:
        raise ValueError(f"confidence must be between 0 and 1; got {confidence!r}")
    n_replicates = count("n_replicates", n_replicates, 2)
    rng = random_generator(rng)
    lags = read_lags(lags)
    threads = read_threads(threads)
    paths = read_paths(trajectories_or_array, dt, times, lags, noise)
    grid: Any = read_at(at, paths, "bins")[0]
    with progress_hook(progress, "fit") as hook:
        data = _Data(paths, grid, lags, noise, threads, rattling, hook)
    fit = {"poisson": _poisson, "regression": _regression, "split-halves": _split_halves}[method]
    if method == "split-halves" and rattling is not None:
        raise ValueError("rattling must be None for method 'split-halves', which needs two estimates")
    whole = np.ones(len(data.sums))
    gamma, uncorrected, reliability = fit(data, whole, None)
    replicates = np.array([fit(data, data.draw(rng, method), rng)[0] for _ in range(n_replicates)])
    replicates = gamma + (replicates - gamma) / _SMALL
    known = replicates[np.isfinite(replicates)]
    n = len(whole)
    stderr = _spread(known) * np.sqrt(n / (n - 1)) if len(known) > n_replicates / 2 else np.nan
    reach = _student(n - 1, 0.5 + confidence / 2) * stderr
    return GammaFit(
        gamma=gamma,
        stderr=stderr,
        low=gamma - reach,
        high=gamma + reach,
        confidence=float(confidence),
        gamma_uncorrected=uncorrected,
        reliability=reliability,
        replicates=replicates,
        method=method,
        n_used=int(data.used.sum()),
        n_excluded=int(((data.counts > 0) & ~data.used).sum()),
        counts=data.counts.astype(np.int64).reshape(grid.shape),
        rattling=np.where(data.used, data.r, np.nan).reshape(grid.shape),
        rattling_stderr=np.where(data.used, data.error, np.nan).reshape(grid.shape),
        grid=grid,
    )


def _student(freedom: float, share: float) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(freedom, share))


def _spread(values: np.ndarray) -> float:
    """Standard deviation, from quantiles: a few replicates may be far off."""
    low, high = np.quantile(values, [0.1587, 0.8413])
    return float(0.5 * (high - low))


class _Data:
    """Sums of bins over blocks, and R of the cells that are used."""

    def __init__(
        self,
        paths: Paths,
        grid: Grid,
        lags: tuple[int, ...],
        noise: str,
        threads: int,
        rattling: object,
        hook: Hook,
    ) -> None:
        self.grid, self.volume = grid, grid.volumes.ravel()
        self.bins = BinSums(paths, lags, noise, threads, grid)
        parts = paths.blocks(_BLOCKS, terms(lags, noise)[0][-1])
        self.sums = np.array([self.bins.sum(*part, None) for part in parts if len(part[0])])
        if len(self.sums) < 8:
            raise ValueError(f"paths have too few increments for {_BLOCKS} blocks")
        self.halves = np.arange(len(self.sums)) % 2
        self.counts = self.sums[..., 0].sum(axis=0)
        self.given = None if rattling is None else _read_rattling(rattling, grid)
        self.r, self.error, n_eff = self.rattling(np.ones(len(self.sums)), None)
        enough = n_eff >= _LEAST_INCREMENTS * (paths.dim + 1)
        self.used = np.isfinite(self.r) & np.isfinite(self.error) & enough
        if self.used.sum() < 3:
            raise ValueError(f"R is known well enough in {self.used.sum()} cells only; three are needed")

    def rattling(self, weights: np.ndarray, rng: np.random.Generator | None) -> Any:
        """R, its errors and n_eff with blocks weighted; with `rng`, R that is given errs again."""
        if self.given is not None:
            r, error = self.given
            return r if rng is None else r + _SMALL * error * rng.normal(size=r.shape), error, np.full(r.shape, np.inf)
        outputs = self.bins.conclude(np.tensordot(weights, self.sums, 1))
        return outputs[0], outputs[1], outputs[4]

    def draw(self, rng: np.random.Generator, method: str) -> Any:
        """Weights of the blocks: 1, and _SMALL of how much more or less often each is drawn."""
        n = len(self.sums)
        if method != "split-halves":
            return 1 + _SMALL * (rng.multinomial(n, np.full(n, 1 / n)) - 1.0)
        weights = np.zeros(n)
        for half in (0, 1):
            own = np.flatnonzero(self.halves == half)
            weights[own] = rng.multinomial(len(own), np.full(len(own), 1 / len(own)))
        return 1 + _SMALL * (weights - 1)

    def fitted(self, weights: np.ndarray, rng: np.random.Generator | None) -> Any:
        """Counts, R, variance of its error and volume in the cells that are used."""
        counts = weights @ self.sums[..., 0]
        r, error, _ = self.rattling(weights, rng)
        again = 0.0 if rng is None else _SMALL  # a replicate errs twice
        variance = error**2 + (again * self.error) ** 2
        good = self.used & np.isfinite(r) & np.isfinite(variance)
        return counts[good], r[good], variance[good], self.volume[good]


def _read_rattling(rattling: Any, grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    if isinstance(rattling, RattlingField):
        r, error = rattling.rattling, rattling.stderr
    else:
        r = real_array("rattling", rattling)
        error = np.zeros(r.shape)
    if r.shape != grid.shape:
        raise ValueError(f"rattling must have the shape of the grid, {grid.shape}; got {r.shape}")
    return r.ravel(), error.ravel()


def _poisson(data: _Data, weights: np.ndarray, rng: np.random.Generator | None) -> Any:
    counts, r, variance, volume = data.fitted(weights, rng)
    mean = counts @ r / counts.sum()
    scatter = counts @ (r - mean) ** 2 / counts.sum()
    reliability = 1 - counts @ variance / counts.sum() / scatter
    return (
        _corrected_score(r, variance, volume, mean),
        _corrected_score(r, 0 * variance, volume, mean),
        float(reliability),
    )


def _corrected_score(r: np.ndarray, variance: np.ndarray, volume: np.ndarray, mean: Any) -> Any:
    """gamma at which <R + gamma s^2> under V exp(-gamma R - gamma^2 s^2/2) is `mean`, by Newton's method.

    A step is at most one in units of the scatter of R, or doubles gamma.
    """
    gamma, unit = 0.0, 1 / max(r.std(), 1e-300)
    for _ in range(100):
        log_q = np.log(volume) - gamma * r - 0.5 * gamma**2 * variance
        q = np.exp(log_q - log_q.max())
        q /= q.sum()
        value = r + gamma * variance
        slope = q @ variance - q @ (value - q @ value) ** 2
        if not slope < 0:
            return math.nan  # errors swamp R
        reach = max(unit, abs(gamma))
        step = np.clip((mean - q @ value) / slope, -reach, reach)
        gamma += step
        if abs(step) < 1e-12 * reach:
            return float(gamma)
    return math.nan


def _log_density(counts: np.ndarray, volume: np.ndarray) -> np.ndarray:
    """With the bias of a logarithm removed; NaN without counts."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(counts > 0, np.log(counts / volume) + 0.5 / counts, np.nan)


def _regression(data: _Data, weights: np.ndarray, rng: np.random.Generator | None) -> Any:
    counts, r, variance, volume = data.fitted(weights, rng)
    log_p = _log_density(counts, volume)
    scores = [_core.typicality(log_p, r, None, None, error, False) for error in (np.sqrt(variance), None)]
    return scores[0]["gamma"], scores[1]["gamma"], scores[0]["reliability"]


def _split_halves(data: _Data, weights: np.ndarray, rng: np.random.Generator | None) -> Any:
    r = [data.rattling(weights * (data.halves == half), None)[0] for half in (0, 1)]
    counts = weights @ data.sums[..., 0]
    good = data.used & np.isfinite(r[0]) & np.isfinite(r[1]) & (counts > 0)
    if good.sum() < 3:
        return (math.nan,) * 3
    first, second = (half[good] - half[good].mean() for half in r)
    log_p = _log_density(counts[good], data.volume[good])
    common = first @ second
    both = first + second
    gamma = -0.5 * both @ log_p / common if common > 0 else math.nan
    return float(gamma), float(-2 * both @ log_p / (both @ both)), float(4 * common / (both @ both))
