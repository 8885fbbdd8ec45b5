"""Does p_ss ~ exp(-gamma R) / Z hold, how well, and where not."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from rattling import _core
from rattling._checks import real_array
from rattling.results import Result, table, with_error

if TYPE_CHECKING:

    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike

    from rattling.intervals import Intervals

_WEIGHTS = ("uniform", "probability")


@dataclass(frozen=True, repr=False, eq=False)
class Typicality(Result):
    """Scores of the law ``p = exp(-gamma R) / Z``; made by :func:`typicality`.

    A score that is not defined is NaN, and :attr:`reason` says why. Standard errors
    measure the scatter of cells about the line, as if cells were independent.

    Attributes
    ----------
    gamma : float
        Minus the weighted least-squares slope of log p on R; with ``stderr`` given,
        corrected for the attenuation that errors of R cause.
    gamma_stderr : float
        Standard error of ``gamma``.
    gamma_kl : float
        The gamma for which <R> under exp(-gamma R) / Z is <R> under p; it minimises
        ``kl``. Not affected by ``weights``.
    correlation, spearman : float
        Pearson and Spearman correlation of -log p with R, weighted.
    kl : float
        KL(p || p_gamma) at ``gamma_kl``, in nats.
    kl_uniform : float
        KL(p || uniform), in nats; uniform in volume.
    kl_explained : float
        ``1 - kl / kl_uniform``: 1 if the law is exact, 0 if R says nothing.
    total_variation : float
        Half the sum of |P - P_gamma| over cells at ``gamma_kl``: 0 to 1.
    reliability : float
        Share of the variance of R that is not error; 1 without ``stderr``.
    residual : ndarray
        log p + gamma R minus its weighted mean, in the shape of the input; NaN in cells
        left out.
    n_used, n_excluded : int
        Cells used, and cells left out because R is not finite or p is 0 or NaN.
    reason : str
        Why some scores are NaN; empty if none is.
    weights : str
        "uniform", "probability" or "given".
    dim : int or None
        Dimension of the state space: isotropic Itô noise alone gives gamma = 2/dim.
    log_p, rattling : ndarray
        What was compared.
    volume, given_weights, stderr : ndarray or None
        What else was given.
    """

    gamma: float
    gamma_stderr: float
    gamma_kl: float
    correlation: float
    spearman: float
    kl: float
    kl_uniform: float
    kl_explained: float
    total_variation: float
    reliability: float
    residual: np.ndarray
    n_used: int
    n_excluded: int
    reason: str
    weights: str
    dim: int | None
    log_p: np.ndarray = field(repr=False)
    rattling: np.ndarray = field(repr=False)
    volume: np.ndarray | None = field(default=None, repr=False)
    given_weights: np.ndarray | None = field(default=None, repr=False)
    stderr: np.ndarray | None = field(default=None, repr=False)

    def summary(self) -> str:
        """A table of all scores, as text."""
        rows = [
            ("gamma", with_error(self.gamma, self.gamma_stderr), "Cells used", f"{self.n_used}"),
            ("gamma (KL)", f"{self.gamma_kl:.4g}", "Cells left out", f"{self.n_excluded}"),
            ("Correlation", f"{self.correlation:.4f}", "Weights", self.weights),
            ("Spearman", f"{self.spearman:.4f}", "Reliability of R", f"{self.reliability:.4f}"),
            ("KL explained", f"{self.kl_explained:.4f}", "KL(p, p_gamma)", f"{self.kl:.4g} nat"),
            ("Total variation", f"{self.total_variation:.4f}", "KL(p, uniform)", f"{self.kl_uniform:.4g} nat"),
        ]
        notes = []
        if self.dim is not None:
            notes.append(f"Isotropic noise alone gives gamma = 2/d = {2 / self.dim:.4g}.")
        if self.reason:
            notes.append(f"Scores shown as nan are not defined: {self.reason}.")
        return table("Typicality: log p = -gamma R + const", rows, notes)

    def intervals(self, **options: Any) -> Intervals:
        """Intervals of the scores, by bootstrap: see :func:`rattling.intervals.intervals`.

        Parameters
        ----------
        **options
            ``source``, ``n``, ``block``, ``log_p_stderr``, ``confidence``, ``rng``,
            ``progress``.

        Returns
        -------
        rattling.intervals.Intervals
        """
        from rattling.intervals import intervals

        return intervals(self, **options)

    def plot(self, ax: Axes | None = None) -> Axes:
        """log p against R with the fitted line.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional

        Returns
        -------
        matplotlib.axes.Axes
        """
        from rattling.plotting import plot_typicality

        return plot_typicality(self, ax=ax)

    @property
    def _dims(self) -> dict[str, tuple[str, ...]]:
        dims = tuple(f"axis_{k}" for k in range(self.residual.ndim))
        return {"log_p": dims, "rattling": dims, "residual": dims}


def typicality(
    log_p: ArrayLike,
    rattling: ArrayLike,
    *,
    volume: ArrayLike | None = None,
    weights: str | ArrayLike = "uniform",
    stderr: ArrayLike | None = None,
    dim: int | None = None,
) -> Typicality:
    """Fit ``p = exp(-gamma R) / Z`` and say how well it holds.

    Parameters
    ----------
    log_p : array_like
        Logarithm of the steady-state density (or of the probability of each state of a
        chain), up to an additive constant. -inf (p = 0) and NaN leave a cell out.
    rattling : array_like, same shape
        R = 1/2 log det C, exact or estimated. What is not finite leaves a cell out.
    volume : array_like or float, optional
        Volume of each cell; equal if not given.
    weights : {"uniform", "probability"} or array_like, optional
        What each cell counts in the regression and the correlations: all the same, its
        probability, or the numbers given (``weights=volume`` counts space, not cells).
    stderr : array_like or float, optional
        Standard error of R in each cell. Such errors make the slope of the regression
        too small by var R / (var R + stderr**2) (R without errors); with it, ``gamma``
        is corrected. NaN and inf leave a cell out. The other scores are not corrected.
    dim : int, optional
        Dimension of the state space, for the summary: without drift, isotropic Itô
        noise gives gamma = 2/dim (isotropic, Itô's; 0 for anti-Itô).

    Returns
    -------
    Typicality

    Raises
    ------
    TypeError
        If an argument is no array of real numbers.
    ValueError
        If shapes differ, ``log_p`` is +inf somewhere, a volume is not positive, a
        weight or standard error is negative, or ``weights`` is an unknown string.

    Notes
    -----
    The law is that of Chvykov et al. (2021, Science 371, 90). For chains with exit rates
    in the place of R see Calvert & Randall (2024, PNAS 121, e2411731121). The correction
    for errors of R is the method of moments (Fuller 1987, Measurement Error Models,
    section 1.2). With equal weights and no ``stderr`` the standard error of gamma is
    that of ordinary least squares; otherwise it is robust against unequal scatter.

    Examples
    --------
    >>> import numpy as np
    >>> import rattling
    >>> R = np.linspace(-1, 1, 5)
    >>> rattling.typicality(-1.5 * R, R).gamma
    1.5
    """
    log_p = _real("log_p", log_p)
    shape = log_p.shape
    if np.isposinf(log_p).any():
        raise ValueError(f"log_p must not be +inf; it is at index {_first(np.isposinf(log_p))}")
    rattling = _same_shape("rattling", rattling, shape)
    if volume is not None:
        volume = _same_shape("volume", volume, shape)
        _check("volume", volume, ~((volume > 0) & (volume < np.inf)), "must be positive and finite")
    total = (log_p if volume is None else log_p * volume).sum()
    if log_p.size > 2 and log_p.min() > 0 and abs(total - 1) < 1e-9:
        raise ValueError("log_p must be the logarithm of p, but it is positive and adds up to 1 like p itself")
    if stderr is not None:
        stderr = _same_shape("stderr", stderr, shape)
        _check("stderr", stderr, stderr < 0, "must not be negative")
    given = None
    if weights is None or isinstance(weights, str):
        if weights not in _WEIGHTS:
            raise ValueError(f"weights must be 'uniform', 'probability' or an array; got {weights!r}")
    else:
        given, weights = _same_shape("weights", weights, shape), "given"
        _check("weights", given, ~((given >= 0) & (given < np.inf)), "must be finite and not negative")
    if dim is not None and (isinstance(dim, bool) or not isinstance(dim, (int, np.integer)) or dim < 1):
        raise ValueError(f"dim must be a whole number of at least 1, or None; got {dim!r}")
    used = np.isfinite(log_p) & np.isfinite(rattling) & (True if stderr is None else np.isfinite(stderr))
    for name, values in (("log_p", log_p), ("rattling", rattling)):
        with np.errstate(over="ignore"):
            if used.any() and not np.ptp(values[used]) < 1e150:
                raise ValueError(f"{name} must span less than 1e150; it goes to {np.abs(values[used]).max():g}")
    if given is not None and used.any() and not given[used].any():
        raise ValueError("weights must not all be 0 in the cells that are used")
    scores: dict[str, Any] = _core.typicality(
        log_p.ravel(), rattling.ravel(), _flat(volume), _flat(given), _flat(stderr), weights == "probability"
    )
    return Typicality(
        **(scores | {"residual": scores["residual"].reshape(shape)}),
        n_excluded=log_p.size - scores["n_used"],
        weights=weights,
        dim=None if dim is None else int(dim),
        log_p=log_p,
        rattling=rattling,
        volume=volume,
        given_weights=given,
        stderr=stderr,
    )


def _real(name: str, value: ArrayLike) -> np.ndarray:
    """An array of floats of any shape."""
    return np.array(real_array(name, value))


def _same_shape(name: str, value: ArrayLike, shape: tuple[int, ...]) -> np.ndarray:
    """An array of floats of the given shape; a single number fits any."""
    array = _real(name, value)
    if array.ndim == 0 and name != "rattling":
        return np.full(shape, float(array))
    if array.shape != shape:
        raise ValueError(f"{name} must have the shape of log_p, {shape}; got {array.shape}")
    return array


def _flat(array: np.ndarray | None) -> np.ndarray | None:
    return None if array is None else array.ravel()


def _first(mask: np.ndarray) -> tuple[int, ...]:
    index = np.argwhere(mask)[0]
    return tuple(map(int, index))


def _check(name: str, values: np.ndarray, wrong: np.ndarray, rule: str) -> None:
    if wrong.any():
        where = _first(wrong)
        raise ValueError(f"{name} {rule}; it is {values[where]:g} at index {where}")
