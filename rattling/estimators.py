"""Rattling from trajectories."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from rattling import _core
from rattling._checks import choice, count, read_threads, real_array
from rattling._degrees import Test, agree, mean_of_fits, most_degree, read_degree, weights_of
from rattling._paths import BLOCKS, NOISE, nearest_distance, read_lags, read_paths_and_lags, terms
from rattling._progress import progress_hook
from rattling.grids import Grid
from rattling.results import Result

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike

    from rattling._paths import Paths
    from rattling._typing import Hook, Progress

_METHODS = ("local-linear", "bins", "knn", "basis")
_STDERR = ("analytic", "blocks")
_MEANT_FOR = {
    "bandwidth": ("local-linear",),
    "degree": ("local-linear", "knn", "basis"),
    "neighbours": ("knn",),
}
_MOST_RUNGS = 24
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
        Mean increment per unit time at the shortest lag l, where noise is taken off that from l to 2l
        after the start; NaN in empty cells.
    n_eff : ndarray, shape ``grid.shape``
        Independent increments behind C: their number, less what overlap and unequal
        weights take off.
    counts : ndarray of int, shape ``grid.shape``
        Increments that start in the cell, or within the bandwidth.
    kurtosis : ndarray, shape ``grid.shape``
        Excess kurtosis of increments over the shortest lag, the mean over the axes: 0
        where they are Gaussian, as white noise makes them at short lags. See
        `non_gaussian`.
    bandwidth : ndarray, shape (*grid.shape, dim), or None
        Radius of the kernel at each point along each axis; None for bins.
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
    noise : str
        As it was given.
    noise_covariance : ndarray, shape (dim, dim), or None
        Covariance of the errors of measurement, for ``noise="covariance"``.
    """

    points: np.ndarray
    rattling: np.ndarray
    stderr: np.ndarray
    covariance: np.ndarray
    drift: np.ndarray
    n_eff: np.ndarray
    counts: np.ndarray
    kurtosis: np.ndarray
    bandwidth: np.ndarray | None
    grid: Grid | None
    method: str
    lags: tuple[int, ...]
    dt: float
    n_invalid: int
    n_outside: int
    variables: tuple[str, ...] | None = None
    noise: str = "none"
    noise_covariance: np.ndarray | None = None

    @property
    def non_gaussian(self) -> np.ndarray:
        """Where increments are not Gaussian: True where the excess kurtosis is above 0.5 in size
        and five times its standard error for Gaussian increments. There C is no full account
        of the noise (jumps, activity with memory, a mixture of modes), and ``stderr`` is too
        small: take ``stderr="blocks"``. The number of True is the flag."""
        dim = self.covariance.shape[-1]
        error = np.sqrt(24 / np.maximum(dim * self.n_eff, 1))
        with np.errstate(invalid="ignore"):
            flags: np.ndarray = np.abs(self.kurtosis) > np.maximum(0.5, 5 * error)
        return flags

    @property
    def _dims(self) -> dict[str, tuple[str, ...]]:
        where = "point" if self.grid is None else "grid"
        vectors = {"drift": (where, "component"), "covariance": (where, "component", "component_2")}
        if self.grid is None:
            vectors["points"] = (where, "component")
        if self.bandwidth is not None:
            vectors["bandwidth"] = (where, "component")
        return dict.fromkeys(("rattling", "stderr", "n_eff", "counts", "kurtosis"), (where,)) | vectors

    def plot(self, ax: Axes | None = None) -> Axes:
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


def estimate_rattling(
    trajectories_or_array: Any,
    dt: float | None = None,
    *,
    at: Grid | ArrayLike | None = None,
    method: str | None = None,
    lags: int | Sequence[int] | None = None,
    noise: str = "none",
    bandwidth: ArrayLike | None = None,
    degree: int | None = None,
    neighbours: int | None = None,
    times: object = None,
    stderr: str = "analytic",
    threads: int | None = None,
    progress: Progress = False,
) -> RattlingField:
    """Estimate R(x) = ½ log det C(x) from trajectories.

    C(x) is the covariance of displacements from x per unit time, 2D for white noise.

    Parameters
    ----------
    trajectories_or_array : Trajectories, array_like, list of either, or Observation
        Paths; an array has shape (n_paths, n_times, dim) or, for one path, (n_times, dim)
        or (n_times,). A list of Trajectories or of 2-D arrays (n_times, dim) holds
        segments, which may differ in length. NaN marks what was not seen: paths are cut
        there. Increments across the seam of a periodic axis are the short way round for
        Trajectories, which know their walls; arrays are taken as they are, so unwrap them.
        An Observation of a `Simulation`, which has summed over its own grid and lags without
        keeping paths, gives what method "bins" finds from the paths.
    dt : float, optional
        Time between states; needed for an array, unless `times` are given.
    at : Grid or array_like, shape (n, dim), optional
        Cells in which, or, but for "bins", points at which to estimate; a Grid then
        stands for its centres. If not given: the walls, or the range of the data, cut
        so that the average cell holds about 1000 states, at most 64 along an axis.
    method : {"local-linear", "bins", "knn", "basis"}, optional
        "local-linear", if not given (but "bins" for an Observation): increments that start within the bandwidth of a point, and their
        squares, are regressed on polynomials in the start. "bins": the sample covariance
        of the increments that start in each cell. "knn": the regression with, at each
        point, the bandwidth that `neighbours` starts lie within: for few data in many
        dimensions. "basis": one regression on polynomials over all the data, and on sines
        and cosines on periodic axes: the most exact where C is such a function, wrong
        where it is not.
    lags : sequence of one to three int, optional
        (1, 2) if not given. With two, l1 < l2, R is extrapolated to lag zero, ``(l2 R(l1) - l1 R(l2))/(l2 -
        l1)``, and with three by a parabola; with one it is R at that lag, which
        contracting drift makes too small by about ``-½ ∇·f`` times the lag, and in
        proportion everywhere.
    noise : {"none", "covariance", "local-covariance"}
        Measurement noise: independent errors of each state, which add twice their covariance S to
        the squares of increments over every lag. "covariance": S is the same everywhere, is found from
        all the data (`RattlingField.noise_covariance`), and is subtracted. "local-covariance": S may vary with the place; each
        C is made from the difference of the squares at 2l and l steps, which costs up to three times the
        variance and lets the effect of the lag grow. Both take off what drift does to the error of the
        start, ``∇f S + S ∇fᵀ``, with the slopes of the drift; "bins" has none and keeps it. "covariance" takes
        off, too, that errors displace the starts (methods "local-linear" and "knn" of degree 1 or 2).
        ``drift`` is made from the mean increments at 2l and l steps: what an error of the
        start adds to one of them, about ``S ∇log p``, is the same in both.
    bandwidth : float or array_like, shape (dim,), optional
        For "local-linear", radius of the kernel (1 - u²)₊ along each axis. If not given
        it is chosen at each point, see the notes.
    degree : int, optional
        Degree of the polynomials. For "local-linear" 2 if not given, in up to four
        dimensions, which is the local-linear fit with its leading bias, that of curvature,
        removed by quadratic terms; 1 is the local-linear fit itself. For "knn" 0, which takes
        weighted means, if not given, but 1 in up to three dimensions. For "basis", if not
        given, a mean over degrees, see the notes.
    neighbours : int, optional
        For "knn", at least 10. If not given, ``n^(4/(dim + 4))/4`` for n starts, but at least
        50 for each coefficient of the polynomial and 20 for each dimension.
    times : array_like, shape (n_times,) or (n_paths, n_times), optional
        Times of the states of an array, instead of `dt`, where steps vary; for a list of
        arrays a list. Paths are cut where a step is longer than four median steps.
    stderr : {"analytic", "blocks"}
        "analytic": for Gaussian increments. "blocks": from leaving out each of 32 blocks of
        consecutive data in turn, which asks for nothing but blocks longer than memory, and
        takes some 30 times as long.
    threads : int, optional
        At most so many threads; as many as the process may use if not given. Results do not
        depend on it.
    progress : bool or callable
        False; True for a bar (needs tqdm); or a function called with the share done.

    Returns
    -------
    RattlingField

    Raises
    ------
    ValueError
        For states that are infinite (with the first), paths not longer than the longest
        lag, a grid of another dimension, unknown strings.

    Notes
    -----
    Local polynomial fits have no bias from the slope of the density, which averages over a
    bin or a kernel have, and which is correlated with log p (Fan & Gijbels 1996). The data
    are summed over cells of a sixth of the bandwidth (a quarter in three dimensions, a
    third in more) before the fits, so that these cost the same for any number of states
    (Fan & Marron 1994). Points with too few data, or with data to one side only and at a
    distance, are NaN and counted in ``n_invalid``.

    *Bandwidth.* Candidates are ``h = s n^(-1/(dim + 4)) 2^(j/2)`` up to ``4 s``, j = 0, 1, ...,
    with s the standard deviations of the states and n their number. At up to 300 places
    all over the visited space the fits with h and h/2 are compared; where the data bear
    out h, the square of their difference over its variance is 1 on average. A point takes
    the largest h before the mean over its 24 nearest places exceeds 3 twice in turn,
    less one step, which keeps bias a small part of the error (Lepski's method); R over the first
    lag is compared. The effect of the lag is smoother than R: it is taken from the fit
    with the largest bandwidth, up to 8 h, whose effect agrees with those of all smaller ones.

    *Lag.* For linear drift C over any lag is known: ``C(τ) = ∫₀^τ e^{As} 2D e^{Aᵀs} ds``.
    With ``e^{Aτ}`` from the slopes of the mean increments (methods "local-linear" and
    "basis"), what linear drift does to R is taken off at each lag, before the
    extrapolation, which so has only the variation of C to deal with.

    *Errors.* The bias of the log det of a sample covariance is removed, ``½ [Σ ψ((ν-i)/2) +
    d log(2/ν)]`` with ν degrees of freedom, and the standard error follows from its
    variance ``¼ Σ ψ₁((ν-i)/2)``; both count the kernel's weights, ν ≈ (Σg)²/Σg², and the
    overlap of increments over several steps. Added to it are the scatter of the slopes, what
    the effect of the lag differs from that of half its bandwidth, half the square of that effect and
    .8 of its part that is not linear drift's, which stand for what is left of the lag.

    *Degree of a basis.* No degree is right, and the lowest that the data bear out is one whose bias is as large as
    the scatter that the next would add. So R is a mean over degrees 1, 2, ..., up to two above the lowest with which
    the next two agree. If what the terms of one degree change R by is random, of variance τ² times that of their scatter,
    a share τ²/(1 + τ²) = 1 - 1/T of the change is the best guess, where T is the mean of (R' - R)² over the increase of the
    variance at 200 starts, made to fall with the degree; and the variance left is that share of the increase. C, the drift and n_eff
    are means with the same weights.

    What remains is of second order in the lag (third with three lags) and, for degree 2,
    of fourth order in the bandwidth; for bins of second order in the width of a cell: the
    estimate belongs to the cell's visited part. Beside reflecting walls, within a few
    ``√(2 D lag)``, increments are folded and R is too small. Paths by Euler-Maruyama of
    which every step is kept have exact covariance 2D at lag 1, so that there ``lags=1`` is
    the unbiased choice; keep every tenth, say, and the extrapolation is it.

    *Measurement noise.* With G(k) the covariance of states k steps apart, S = G(0) - lim G(k) for k → 0, the limit
    taken with ``G(0) = N(0)⁻¹ G(1)``, N(k) = G(k + 1) G(k)⁻¹ being constant for linear drift and extrapolated linearly
    in k otherwise; the error of S is that of the jackknife over 32 blocks and three quarters of what this extrapolation
    changes, and is part of ``stderr``. A start seen at x was at ``x + S ∇log p`` on average (p the density of what
    was seen: Tweedie's formula, Efron 2011), with variance S, so that C is seen as ``C + S ∇log p·∇C + ½ S:∇∇C``; that is
    subtracted with the derivatives of the fit. What remains is of fourth order in the size of the errors over the
    distance on which C changes. With "local-covariance" it is of second order.

    References
    ----------
    R. Beran & L. Dümbgen, Ann. Stat. 26, 1826 (1998): shares that fall.

    J. Fan & I. Gijbels, Local Polynomial Modelling (Chapman & Hall, 1996), sect. 3.2.

    J. Fan & J. S. Marron, J. Comput. Graph. Stat. 3, 35 (1994): binned data.

    B. Efron, J. Am. Stat. Assoc. 106, 1602 (2011): Tweedie's formula.

    A. Goldenshluger & A. Nemirovski, Math. Methods Stat. 6, 135 (1997): bandwidths that agree.

    O. V. Lepski, E. Mammen & V. G. Spokoiny, Ann. Stat. 25, 929 (1997): bandwidths.

    R. J. Muirhead, Aspects of Multivariate Statistical Theory (Wiley, 1982), th. 3.2.15.

    C. L. Vestergaard, P. C. Blainey & H. Flyvbjerg, Phys. Rev. E 89, 022726 (2014).

    Examples
    --------
    >>> import rattling
    >>> model = rattling.Model.from_sympy("-x", 0.5, variables="x")
    >>> paths = rattling.simulate(model, [0.0], 0.01, 5000, n_paths=20, rng=1)
    >>> field = rattling.estimate_rattling(paths, at=rattling.Grid([(-1, 1)], 4))
    >>> field.rattling.shape  # exact: ½ log 2D = 0
    (4,)
    """
    observed = hasattr(trajectories_or_array, "estimate_rattling")  # an Observation
    if method is None:
        method = "bins" if observed else "local-linear"
    for value, name, allowed in (
        (method, "method", _METHODS),
        (noise, "noise", NOISE),
        (stderr, "stderr", _STDERR),
    ):
        choice(name, value, allowed)
    for name, given in (("bandwidth", bandwidth), ("degree", degree), ("neighbours", neighbours)):
        if given is not None and method not in _MEANT_FOR[name]:
            raise ValueError(f"{name} must be None for method {method!r}; got {given!r}")
    if observed:
        _check_observed(trajectories_or_array, dt, at, method, lags, noise, stderr, times)
        field: RattlingField = trajectories_or_array.estimate_rattling()
        return field
    threads = read_threads(threads)
    paths, lags = read_paths_and_lags(trajectories_or_array, dt, times, lags, noise)
    grid, shape, points = read_at(at, paths, method)
    estimate = _Estimate(paths, lags, noise, threads, grid, points)
    degree = read_degree(degree, method, paths)
    with progress_hook(progress, "estimate") as hook:
        if method == "bins":
            outputs = estimate.bins(hook)
        elif method == "basis":
            outputs = estimate.basis(degree, hook)
        elif method == "knn":
            outputs = estimate.knn(degree, neighbours, hook)
        else:
            width, n_rungs = _rungs(bandwidth, paths)
            outputs = estimate.local(degree, width, n_rungs, -np.ones(len(points)), hook)
        errors = outputs[1] if stderr == "analytic" else estimate.block_errors(outputs)
    radius = estimate.bandwidths(outputs)
    r, _, covariance, drift, n_eff, counts, kurtosis = outputs[:7]
    dim = paths.dim
    n_starts = paths.n_starts(terms(lags, noise)[0][-1])
    return RattlingField(
        points=points.reshape(*shape, dim),
        rattling=r.reshape(shape),
        stderr=errors.reshape(shape),
        covariance=covariance.reshape(*shape, dim, dim),
        drift=drift.reshape(*shape, dim),
        n_eff=n_eff.reshape(shape),
        counts=counts.astype(np.int64).reshape(shape),
        kurtosis=kurtosis.reshape(shape),
        bandwidth=None if radius is None else radius.reshape(*shape, dim),
        grid=grid,
        method=method,
        lags=lags,
        dt=paths.dt,
        n_invalid=int(np.isnan(r).sum()),
        n_outside=n_starts - int(counts.sum()) if method == "bins" else 0,
        variables=paths.names,
        noise=noise,
        noise_covariance=None if paths.noise is None else paths.noise[:-1],
    )


def _check_observed(
    observation: Any, dt: object, at: object, method: str, lags: Any, noise: str, stderr: str, times: object
) -> None:
    """An Observation has its own grid, lags and times, and no paths."""
    own = {
        "dt": (dt, observation.dt),
        "at": (at, observation.grid),
        "method": (method, "bins"),
        "lags": (lags if lags is None else read_lags(lags), observation.lags),
        "noise": (noise, "none"),
        "stderr": (stderr, "analytic"),
        "times": (times, None),
    }
    for name, (value, expected) in own.items():
        if value is not None and not np.all(value == expected):
            raise ValueError(f"{name} must be {expected!r} for this Observation; got {value!r}")


class BinSums:
    """Estimates in cells from sums of increments, which may be added up over parts of the data."""

    def __init__(self, paths: Paths, lags: tuple[int, ...], noise: str, threads: int, grid: Grid) -> None:
        self.paths, self.lags, self.noise, self.threads, self.grid = paths, lags, noise, threads, grid

    def sum(self, begin: np.ndarray, end: np.ndarray, hook: Hook) -> np.ndarray:
        x, _, _, *others = self.paths.core(self.lags, self.noise)
        return _core.bin_sums((x, begin, end, *others), self.grid._core, self.noise == "none", self.threads, hook)

    def conclude(self, sums: np.ndarray, *part: np.ndarray) -> tuple[np.ndarray, ...]:
        """(rattling, error, covariance, drift, n_eff, count, kurtosis), of all the data or of a part, (begin, end)."""
        paths = (self.paths.part(*part) if part else self.paths).core(self.lags, self.noise)
        return _core.bins(paths, self.grid._core, self.noise == "none", sums)


class _Estimate:
    """One way to estimate, applicable to all of the data or to a part."""

    def __init__(
        self, paths: Paths, lags: tuple[int, ...], noise: str, threads: int, grid: Grid | None, points: np.ndarray
    ) -> None:
        self.paths, self.lags, self.noise, self.threads = paths, lags, noise, threads
        self.grid, self.points = grid, points
        self.width: np.ndarray | None = None  # smallest bandwidth along each axis
        self.sums: BinSums | None = None  # BinSums, for bins
        self.again: Any = None  # (begin, end) -> outputs, with what was chosen for all data

    def _core_paths(self, begin: np.ndarray, end: np.ndarray) -> tuple[tuple[Any, ...], bool]:
        return self.paths.part(begin, end).core(self.lags, self.noise), self.noise == "none"

    def _run(self, run: Callable[..., tuple[np.ndarray, ...]], hook: Hook) -> tuple[np.ndarray, ...]:
        self.again = run
        return run(self.paths.begin, self.paths.end, hook)

    def bins(self, hook: Hook) -> tuple[np.ndarray, ...]:
        assert self.grid is not None  # read_at saw to it
        sums = BinSums(self.paths, self.lags, self.noise, self.threads, self.grid)
        self.sums = sums
        return sums.conclude(sums.sum(self.paths.begin, self.paths.end, hook))

    def basis(self, degree: int | None, hook: Hook) -> tuple[np.ndarray, ...]:
        def run(
            begin: np.ndarray,
            end: np.ndarray,
            hook: Hook = None,
            degree: Any = degree,
            points: np.ndarray = self.points,
        ) -> tuple[np.ndarray, ...]:
            paths, scaled = self._core_paths(begin, end)
            return _core.basis(paths, points, width, self.paths.low, degree, scaled, hook)

        width = _rungs(None, self.paths)[0] / 4
        if degree is not None:
            return self._run(run, hook)
        starts = self.paths.starts(terms(self.lags, self.noise)[0][-1])
        starts = starts[:: max(len(starts) // 200, 1)]
        points, n, dim = np.concatenate([self.points, starts]), len(self.points), self.paths.dim
        fits: list[tuple[np.ndarray, ...]] = []
        tests: list[Test] = []
        highest = most_degree(self.paths)
        while len(fits) < highest and not agree(tests):
            rising = len(fits) + 1  # from 1: drift is linear at least
            try:
                outputs = run(self.paths.begin, self.paths.end, None, rising, points)
            except ValueError:  # the data do not determine so many terms
                break
            fits.append(tuple(values[:n] for values in outputs))
            tests.append((outputs[0][n:], outputs[1][n:] ** 2, math.comb(rising + dim - 1, dim - 1)))
            if hook is not None:
                hook(rising / highest)
        if not fits:
            return self._run(functools.partial(run, degree=0), hook)
        weights = weights_of(tests)
        self.again = lambda begin, end: mean_of_fits(
            [run(begin, end, None, k + 1) for k in range(len(weights))], weights
        )
        if hook is not None:
            hook(1.0)
        return mean_of_fits(fits[: len(weights)], weights)

    def local(
        self, degree: int, width: np.ndarray, n_rungs: int, rung: np.ndarray, hook: Hook
    ) -> tuple[np.ndarray, ...]:
        def run(begin: np.ndarray, end: np.ndarray, rung: np.ndarray, hook: Hook = None) -> tuple[np.ndarray, ...]:
            paths, scaled = self._core_paths(begin, end)
            return _core.local(
                paths, self.points, width, self.paths.low, n_rungs, degree, scaled, rung, self.threads, hook
            )

        self.width = width
        outputs = run(self.paths.begin, self.paths.end, rung, hook)
        chosen = np.where(np.isnan(outputs[-1]), 0.0, outputs[-1])
        self.again = lambda begin, end: run(begin, end, chosen)
        return outputs

    def knn(self, degree: int, neighbours: int | None, hook: Hook) -> tuple[np.ndarray, ...]:
        spread = _rungs(None, self.paths)[0]
        starts = self.paths.starts(terms(self.lags, self.noise)[0][-1])
        dim, n = starts.shape[1], len(starts)
        if neighbours is None:
            neighbours = max(n ** (4 / (dim + 4)) / 4, 50 * math.comb(dim + degree, degree), 20 * dim)
        else:
            neighbours = count("neighbours", neighbours, 10)
        radius = nearest_distance(self.paths, starts, self.points, spread, min(int(neighbours), n))
        least = radius.min()
        rung = np.round(2 * np.log2(radius / least), 12)
        n_rungs = min(int(rung.max()) + 4, _MOST_RUNGS)
        return self.local(degree, spread * least, n_rungs, rung, hook)

    def bandwidths(self, outputs: tuple[np.ndarray, ...]) -> np.ndarray | None:
        return None if self.width is None else np.sqrt(2.0) ** outputs[-1][:, None] * self.width

    def block_errors(self, outputs: tuple[np.ndarray, ...]) -> np.ndarray:
        """Jackknife over blocks (Künsch 1989): NaN where a block leaves too little."""
        longest = terms(self.lags, self.noise)[0][-1]
        parts = [part for part in self.paths.blocks(BLOCKS, longest) if len(part[0])]
        rests = [
            tuple(np.concatenate([part[i] for part in parts[:k] + parts[k + 1 :]]) for i in (0, 1))
            for k in range(len(parts))
        ]
        if self.sums is not None:
            sums = [self.sums.sum(*part, None) for part in parts]
            total = np.sum(sums, axis=0)
            without = [self.sums.conclude(total - own, *rest)[0] for own, rest in zip(sums, rests, strict=True)]
        else:
            without = [self.again(*rest)[0] for rest in rests]
        replicates = np.array(without)
        n = len(parts)
        errors = np.sqrt((n - 1) / n * np.sum((replicates - replicates.mean(axis=0)) ** 2, axis=0))
        return np.where(np.isnan(outputs[0]), np.nan, errors)


def read_at(
    at: Grid | ArrayLike | None, paths: Paths, method: str
) -> tuple[Grid | None, tuple[int, ...], np.ndarray]:
    """Grid or None, shape of the result, points (n, dim)."""
    at = _grid(paths) if at is None else at
    if isinstance(at, Grid):
        if at.dim != paths.dim:
            raise ValueError(f"at has {at.dim} axes, but the paths have {paths.dim} coordinates")
        return at, at.shape, at.points()
    if method == "bins":
        raise TypeError(f"at must be a rattling.Grid for method 'bins', not {type(at).__name__}")
    points = _read_points(at, paths.dim)
    return None, points.shape[:1], points


def _read_points(at: ArrayLike, dim: int) -> np.ndarray:
    points = np.atleast_1d(real_array("at", at))
    points = points[:, None] if points.ndim == 1 and dim == 1 else np.atleast_2d(points)
    if points.ndim != 2 or points.shape[1] != dim or len(points) == 0:
        raise ValueError(
            f"at must be a Grid or points of shape (n, {dim}); got an array of shape {np.shape(at)}"
        )
    if not np.isfinite(points).all():
        row = int(np.argwhere(~np.isfinite(points))[0, 0])
        raise ValueError(f"at must be finite; point {row} is {points[row]}")
    return points


def _rungs(bandwidth: ArrayLike | None, paths: Paths) -> tuple[np.ndarray, int]:
    """Smallest radius of the kernel along each axis, and how many there are."""
    dim = paths.dim
    if bandwidth is not None:
        width = np.broadcast_to(real_array("bandwidth", bandwidth), (dim,))
        if not ((width > 0) & np.isfinite(width)).all():
            raise ValueError(f"bandwidth must be positive and finite; got {bandwidth!r}")
        return width, 1
    states = paths.starts(0)
    spread = states.std(axis=0)
    if not (spread > 0).all():
        raise ValueError("the paths do not move along some axis: give bandwidth")
    first = min(len(states) ** (-1 / (dim + 4)), 1.0)
    return spread * first, min(int(2 * np.log2(4.0 / first)) + 1, _MOST_RUNGS)


def _grid(paths: Paths) -> Grid:
    """A grid where the user gave none: see `at` of `estimate_rattling`."""
    states, dim = paths.starts(0), paths.dim
    bounds, sides = [], []
    for axis, wall in enumerate(paths.walls or (None,) * dim):
        lower, upper = states[:, axis].min(), states[:, axis].max()
        if wall is not None:
            lower = wall[0] if np.isfinite(wall[0]) else lower
            upper = wall[1] if np.isfinite(wall[1]) else upper
        if not lower < upper:
            raise ValueError(f"at is needed: coordinate {axis} of the paths is {lower} throughout")
        bounds.append((lower, upper))
        sides.append("reflecting" if wall is None else wall[2])
    n = int((len(states) / _STARTS_A_BIN) ** (1 / dim))
    return Grid(bounds, min(max(n, 2), _MOST_BINS), sides)
