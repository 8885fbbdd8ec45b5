"""gamma of the law from trajectories alone."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from rattling._checks import choice, number, read_threads, real_array
from rattling._paths import BLOCKS, NOISE, read_paths_and_lags, terms
from rattling._progress import progress_hook
from rattling.estimators import BinSums, RattlingField, read_at
from rattling.grids import Grid
from rattling.results import Result, table, with_error

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from matplotlib.axes import Axes

    from rattling._paths import Paths
    from rattling._typing import Hook, Progress, Seed

_LEAST_INCREMENTS = 2  # a dimension, and 2 more, behind an R that is used
_MORE = 1e-3  # of a block: by what its weight grows to see how it moves the score
_DOUBLINGS = 40  # of a step that has not reached the end of the interval: there is none


@dataclass(frozen=True, repr=False, eq=False)
class GammaFit(Result):
    """gamma of ``p = exp(-gamma R)/Z`` from data; made by :func:`fit_gamma`.

    Attributes
    ----------
    gamma : float
        With the errors of R allowed for; NaN where they swamp R.
    stderr : float
        Its standard error, from how much each block of data moves it.
    low, high : float
        Ends of the interval; infinite where the data do not bound gamma.
    confidence : float
    gamma_uncorrected : float
        As if R had no errors: nearer to 0.
    reliability : float
        Share of the variance of R among cells, weighted by their counts, that is not error.
    n_blocks : int
        Blocks of data behind the interval.
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
    n_blocks: int
    method: str
    n_used: int
    n_excluded: int
    counts: np.ndarray = field(repr=False)
    rattling: np.ndarray = field(repr=False)
    rattling_stderr: np.ndarray = field(repr=False)
    grid: Grid = field(repr=False)

    _dims = dict.fromkeys(("counts", "rattling", "rattling_stderr"), ("grid",))

    def summary(self) -> str:
        """A table, as text."""
        rows = [
            ("gamma", with_error(self.gamma, self.stderr), "Method", self.method),
            (f"{100 * self.confidence:g} % interval", f"{self.low:.4g} to {self.high:.4g}",
             "Cells used", f"{self.n_used}"),
            ("as if R were exact", f"{self.gamma_uncorrected:.4g}", "Cells left out", f"{self.n_excluded}"),
            ("Reliability of R", f"{self.reliability:.4f}", "Blocks", f"{self.n_blocks}"),
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
    lags: int | Sequence[int] | None = None,
    noise: str = "none",
    times: object = None,
    confidence: float = 0.95,
    n_replicates: int | None = None,
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
        least-squares slope of log p on R, every cell counting the same. "split-halves": the
        slope with R from one half of the data and, as an instrument, R from the other, every state
        counting the same.
    rattling : RattlingField or array_like, shape ``at.shape``, optional
        R on the grid ``at``, if it is known or estimated otherwise; then cells without states
        count as such. Its ``stderr`` is allowed for. If not given, R is estimated in the
        cells (method "bins").
    confidence : float
        Probability that the interval is to hold gamma.
    n_replicates, rng : optional
        Deprecated and without effect: nothing is drawn any more.

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

    The interval: each method solves u(gamma) = 0. The data are cut into 32 blocks of consecutive
    states; what a block adds to u is its derivative with respect to the weight of the block (the
    infinitesimal jackknife), and the sum of squares is the variance of u, at every gamma. The
    interval holds those gamma at which |u| is below Student's quantile, for one degree of freedom
    less than there are blocks, times its standard error: as Fieller's it need not be symmetric, and ends at
    infinity where R hardly varies beyond its errors. In "regression" products of the errors of
    a cell enter the sum of squares twice and are taken off once. Blocks must be longer than memory.
    If the law does not hold exactly the methods weight cells differently, and their gammas differ.

    References
    ----------
    T. Nakamura, Biometrika 77, 127 (1990). W. A. Fuller, Measurement Error Models (Wiley,
    1987), sect. 1.2. H. R. Künsch, Ann. Stat. 17, 1217 (1989): blocks. B. Efron & C. Stein, Ann. Stat. 9,
    586 (1981): what a jackknife counts twice. E. C. Fieller, J. R. Stat. Soc. B 16, 175 (1954).

    Examples
    --------
    >>> import rattling
    >>> model = rattling.Model.from_sympy("0", "1 + sin(x)/2", variables="x")  # p ~ 1/D
    >>> ring = rattling.Grid((0, 6.283185307179586), 24, "periodic")
    >>> paths = rattling.simulate(model, [1.0], 0.01, 5000, n_paths=32, rng=1, boundary=ring)
    >>> fit = rattling.fit_gamma(paths, at=ring)
    >>> bool(fit.low < 2 < fit.high)
    True
    """
    for name, given in (("n_replicates", n_replicates), ("rng", rng)):
        if given is not None:
            warnings.warn(f"{name} has no effect: nothing is drawn any more; leave it out", DeprecationWarning, 2)
    choice("method", method, tuple(_FITS))
    choice("noise", noise, NOISE)
    if not 0 < number("confidence", confidence) < 1:
        raise ValueError(f"confidence must be between 0 and 1; got {confidence!r}")
    if method == "split-halves" and rattling is not None:
        raise ValueError("rattling must be None for method 'split-halves', which needs two estimates")
    threads = read_threads(threads)
    paths, lags = read_paths_and_lags(trajectories_or_array, dt, times, lags, noise)
    grid: Any = read_at(at, paths, "bins")[0]
    with progress_hook(progress, "fit") as hook:
        data = _Data(paths, grid, lags, noise, threads, rattling, hook)
    solve, score = _FITS[method]
    sample = data.sample(method)
    if sample.r.shape[1] < 3:
        gamma, uncorrected, reliability = (math.nan,) * 3
    else:
        gamma, uncorrected, reliability = solve(sample)
    stderr, low, high = _interval(lambda g: score(sample, g), gamma, float(confidence))
    return GammaFit(
        gamma=gamma,
        stderr=stderr,
        low=low,
        high=high,
        confidence=float(confidence),
        gamma_uncorrected=uncorrected,
        reliability=reliability,
        n_blocks=len(data.sums),
        method=method,
        n_used=int(data.used.sum()),
        n_excluded=int(((data.counts > 0) & ~data.used).sum()),
        counts=data.counts.astype(np.int64).reshape(grid.shape),
        rattling=np.where(data.used, data.r, np.nan).reshape(grid.shape),
        rattling_stderr=np.where(data.used, data.error, np.nan).reshape(grid.shape),
        grid=grid,
    )


# --- what is fitted -----------------------------------------------------------------------


class _Sample(NamedTuple):
    """Of the cells that are used, with all blocks alike and then with each of them weighted a little more."""

    counts: np.ndarray  # (1 + n_blocks, n_cells)
    r: np.ndarray
    variance: np.ndarray  # of R
    halves: np.ndarray | None  # R of each half, (2, 1 + n_blocks, n_cells)
    volume: np.ndarray  # (n_cells,)
    given: bool  # R is not from these blocks


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
        self.volume = grid.volumes.ravel()
        self.bins = BinSums(paths, lags, noise, threads, grid)
        parts = paths.blocks(BLOCKS, terms(lags, noise)[0][-1])
        self.sums = [self.bins.sum(*part, None) for part in parts if len(part[0])]
        if len(self.sums) < 8:
            raise ValueError(f"paths have too few increments for {BLOCKS} blocks")
        self.total = self._all_of(range(len(self.sums)))
        self.counts = self.total[:, 0]
        self.given = rattling is not None
        if self.given:
            self.r, self.error = _read_rattling(rattling, grid)
            n_eff = np.full(self.r.shape, np.inf)
        else:
            outputs = self.bins.conclude(self.total)
            self.r, self.error, n_eff = outputs[0], outputs[1], outputs[4]
        enough = n_eff >= _LEAST_INCREMENTS * (paths.dim + 1)
        self.used = np.isfinite(self.r) & np.isfinite(self.error) & enough
        if self.used.sum() < 3:
            raise ValueError(f"R is known well enough in {self.used.sum()} cells only; three are needed")

    def sample(self, method: str) -> _Sample:
        n = len(self.sums)
        counts = self.counts + _MORE * np.vstack([np.zeros_like(self.counts), *(sums[:, 0] for sums in self.sums)])
        if self.given:
            r, error = (np.broadcast_to(a, (n + 1, len(a))) for a in (self.r, self.error))
        else:
            r, error = self._with_more_of_each(self.total, range(n))
        both, used = None, self.used
        if method != "poisson":
            used = used & (self.counts > 0)  # log p is needed
        if method == "split-halves":
            both = np.empty((2, *r.shape))
            for half in (0, 1):
                own = range(half, n, 2)
                both[half, [0, *(k + 1 for k in own)]] = self._with_more_of_each(self._all_of(own), own)[0]
                both[half, [k + 1 for k in range(1 - half, n, 2)]] = both[half, 0]
            used = used & np.isfinite(both[:, 0]).all(axis=0)
        return _Sample(
            counts[:, used],
            r[:, used],
            error[:, used] ** 2,
            None if both is None else both[..., used],
            self.volume[used],
            self.given,
        )

    def _all_of(self, blocks: Sequence[int]) -> np.ndarray:
        """Sums over these blocks, added one by one: arrays of all of them are hundreds of megabytes."""
        total = self.sums[blocks[0]].copy()
        for k in blocks[1:]:
            total += self.sums[k]
        return total

    def _with_more_of_each(self, total: np.ndarray, blocks: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
        """R and its error from the sums `total`, and from these with a little more of each block."""
        total = total * self.used[:, None]  # nothing is concluded in empty cells
        rows = [self.bins.conclude(total)[:2]]
        rows += [self.bins.conclude(total + _MORE * self.used[:, None] * self.sums[k])[:2] for k in blocks]
        r, error = zip(*rows, strict=True)
        return np.array(r), np.array(error)


def _read_rattling(rattling: Any, grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    if isinstance(rattling, RattlingField):
        r, error = rattling.rattling, rattling.stderr
    else:
        r = real_array("rattling", rattling)
        error = np.zeros(r.shape)
    if r.shape != grid.shape:
        raise ValueError(f"rattling must have the shape of the grid, {grid.shape}; got {r.shape}")
    return r.ravel(), error.ravel()


# --- scores -------------------------------------------------------------------------------


class _Score(NamedTuple):
    """u(gamma), which falls where gamma is the solution, and how it is moved."""

    values: np.ndarray  # (1 + n_blocks,)
    slope: float
    twice: float = 0.0  # what the squares of the blocks' parts count twice
    given: float = 0.0  # variance due to an R that was given


def _moved(values: np.ndarray) -> np.ndarray:
    """Sum over blocks of the squares of what each adds to values (1 + n_blocks, n_cells)."""
    squares: np.ndarray = (((values[1:] - values[0]) / _MORE) ** 2).sum(axis=0)
    return squares


def _law(r: np.ndarray, variance: np.ndarray, volume: np.ndarray, gamma: float) -> np.ndarray:
    """V exp(-gamma R - gamma^2 s^2/2)/Z over the last axis."""
    log_q = np.log(volume) - gamma * r - 0.5 * gamma**2 * variance
    q: np.ndarray = np.exp(log_q - log_q.max(axis=-1, keepdims=True))
    q /= q.sum(axis=-1, keepdims=True)
    return q


def _poisson_score(sample: _Sample, gamma: float) -> _Score:
    counts, r, variance, _, volume, given = sample
    q = _law(r, variance, volume, gamma)
    share = counts / counts.sum(axis=1, keepdims=True)
    value = r + gamma * variance
    mean = (q * value).sum(axis=1)
    apart = value[0] - mean[0]
    by_r = q[0] * (1 - gamma * apart) - share[0]
    return _Score(
        mean - (share * r).sum(axis=1),
        float(q[0] @ variance[0] - q[0] @ apart**2),
        given=float(by_r**2 @ variance[0]) if given else 0.0,
    )


def _centred(values: np.ndarray) -> np.ndarray:
    centred: np.ndarray = values - values.mean(axis=-1, keepdims=True)
    return centred


def _log_density(counts: np.ndarray, volume: np.ndarray) -> np.ndarray:
    """With the bias of a logarithm removed."""
    logarithm: np.ndarray = np.log(counts / volume) + 0.5 / counts
    return logarithm


def _regression_score(sample: _Sample, gamma: float) -> _Score:
    n = sample.r.shape[1]
    log_p = _centred(_log_density(sample.counts, sample.volume))
    r, variance = _centred(sample.r), sample.variance
    spread = ((r**2).sum(axis=1) - (1 - 1 / n) * variance.sum(axis=1)) / n
    twice = variance[0] @ _moved(log_p) + 2 * gamma**2 * variance[0] @ variance[0]
    by_r = (log_p[0] + 2 * gamma * r[0]) / n
    return _Score(
        -(r * log_p).sum(axis=1) / n - gamma * spread,
        -float(spread[0]),
        twice=0.0 if sample.given else float(twice) / n**2,
        given=float(by_r**2 @ variance[0]) if sample.given else 0.0,
    )


def _halves_score(sample: _Sample, gamma: float) -> _Score:
    assert sample.halves is not None
    first, second = sample.halves
    return _score_of_halves(sample, first, second, gamma)


def _score_of_halves(sample: _Sample, first: np.ndarray, second: np.ndarray, gamma: float) -> _Score:
    """Every state counting the same: cells that are in by chance have few, and count little."""
    counts = sample.counts
    share = counts / counts.sum(axis=1, keepdims=True)
    bias = 0.5 * _moved(counts) / counts[0] ** 2  # E n log n = m log m + Var n/(2 m), m = E n
    log_p = np.log(counts / sample.volume) - bias
    first, second, log_p = (y - (share * y).sum(axis=1, keepdims=True) for y in (first, second, log_p))
    common = (share * first * second).sum(axis=1)
    values = -0.5 * (share * (first + second) * log_p).sum(axis=1) - gamma * common
    return _Score(values, -float(common[0]))


# --- solutions: gamma, gamma as if R had no errors, reliability of R ----------------------------------


def _poisson(sample: _Sample) -> tuple[float, float, float]:
    counts, r, variance = sample.counts[0], sample.r[0], sample.variance[0]
    share = counts / counts.sum()
    mean = share @ r
    reliability = 1 - share @ variance / (share @ (r - mean) ** 2)
    return (
        _corrected_score(r, variance, sample.volume, mean),
        _corrected_score(r, 0 * variance, sample.volume, mean),
        float(reliability),
    )


def _corrected_score(r: np.ndarray, variance: np.ndarray, volume: np.ndarray, mean: Any) -> float:
    """gamma at which <R + gamma s^2> under V exp(-gamma R - gamma^2 s^2/2) is `mean`, by Newton's method.

    A step is at most one in units of the scatter of R, or doubles gamma; nan where errors swamp R.
    """
    gamma, step, slope, unit = 0.0, math.inf, 0.0, 1 / max(r.std(), 1e-300)
    r = r - mean  # R may be large beside its scatter
    for _ in range(100):
        q = _law(r, variance, volume, gamma)
        value = r + gamma * variance
        slope = q @ variance - q @ (value - q @ value) ** 2
        reach = max(unit, abs(gamma))
        if not slope < 0 or abs(step) < 1e-12 * reach:
            break
        step = np.clip(-(q @ value) / slope, -reach, reach)
        gamma += step
    return float(gamma) if slope < 0 and abs(step) < 1e-12 * reach else math.nan


def _root(score: _Score) -> float:
    """Of a score that is linear in gamma, given at 0."""
    return float(-score.values[0] / score.slope) if score.slope < 0 else math.nan


def _regression(sample: _Sample) -> tuple[float, float, float]:
    corrected = _regression_score(sample, 0.0)
    exact = _regression_score(sample._replace(variance=0 * sample.variance), 0.0)
    return _root(corrected), _root(exact), max(corrected.slope / exact.slope, 0.0)


def _split_halves(sample: _Sample) -> tuple[float, float, float]:
    assert sample.halves is not None
    mean = sample.halves.mean(axis=0)
    corrected, exact = _halves_score(sample, 0.0), _score_of_halves(sample, mean, mean, 0.0)
    return _root(corrected), _root(exact), corrected.slope / exact.slope


_FITS = {
    "poisson": (_poisson, _poisson_score),
    "regression": (_regression, _regression_score),
    "split-halves": (_split_halves, _halves_score),
}


# --- how sure -----------------------------------------------------------------------------


def _error(u: _Score) -> float:
    """Standard error of u."""
    moved = (u.values[1:] - u.values[0]) / _MORE
    n = len(moved)
    squares = n / (n - 1) * moved @ moved
    return math.sqrt(max(squares - u.twice, squares / 2) + u.given)


def _interval(score: Callable[[float], _Score], gamma: float, confidence: float) -> tuple[float, float, float]:
    """Standard error, and ends between which |u| is below Student's quantile times its standard error."""
    from scipy.optimize import brentq
    from scipy.special import stdtrit

    if not math.isfinite(gamma):
        return (math.nan,) * 3

    best = score(gamma)
    stderr = _error(best) / -best.slope
    quantile = float(stdtrit(len(best.values) - 2, 0.5 + confidence / 2))

    def end(sign: float) -> float:
        def beyond(g: float) -> float:
            u = score(g)
            return float(-sign * u.values[0] - quantile * _error(u))

        inner, step = gamma, quantile * stderr
        for _ in range(_DOUBLINGS):
            outer = inner + sign * step
            if not score(outer).slope < 0:
                break
            if beyond(outer) > 0:
                return float(brentq(beyond, *sorted((inner, outer)), rtol=1e-10))
            inner, step = outer, 2 * step
        return sign * math.inf

    return stderr, end(-1.0), end(1.0)
