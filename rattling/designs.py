"""Drives and noise designed by the law, with the full solve beside it.

The public names are in `rattling.engineering`.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from rattling._checks import choice, real_array
from rattling.blowtorch import susceptibility
from rattling.fokker_planck import generator
from rattling.markov import Generator
from rattling.mixtures import Torched, mix, pattern_values, read_drives
from rattling.models import Model
from rattling.results import Result, table
from rattling.verification import Verification, log_law, read_gamma, read_region, setting, verify

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import ArrayLike

    from rattling._typing import Function
    from rattling.grids import Grid
    from rattling.response import Susceptibility

_OBJECTIVES = ("law", "solve")


@dataclass(frozen=True, repr=False, eq=False)
class Design(Result):
    """A drive that puts probability on a region; made by `design_drives` and `design_noise`.

    Attributes
    ----------
    values : ndarray, shape (n,)
        Weights of the drives, or amplitudes of the patterns.
    predicted, obtained : float
        Probability of the region, by the law and by the full solve.
    start_predicted, start_obtained : float
        The same before: equal weights, or no patterns.
    volume : float
        The region's share of the volume.
    gamma : float
        Of the predictions.
    objective : str
        "law" or "solve": what was optimised.
    n_evaluations : int
    check : Verification
        Of the system designed.
    """

    values: np.ndarray
    predicted: float
    obtained: float
    start_predicted: float
    start_obtained: float
    volume: float
    gamma: float
    objective: str
    n_evaluations: int
    check: Verification = field(repr=False)

    def summary(self) -> str:
        """Predicted and obtained before and after, as text."""
        rows = [
            ("Predicted, before", f"{self.start_predicted:.4g}", "Predicted, designed", f"{self.predicted:.4g}"),
            ("Obtained, before", f"{self.start_obtained:.4g}", "Obtained, designed", f"{self.obtained:.4g}"),
            ("Share of volume", f"{self.volume:.4g}", "gamma", f"{self.gamma:.4g}"),
            ("Optimised", self.objective, "Evaluations", f"{self.n_evaluations}"),
        ]
        values = ", ".join(f"{value:.4g}" for value in self.values)
        return table("Probability of the region", rows, [f"Values: {values}."])


def design_drives(
    drives: Any,
    region: ArrayLike,
    grid: Grid | None = None,
    *,
    bounds: ArrayLike = (0.0, 1.0),
    gamma: float | None = None,
    objective: str = "law",
) -> Design:
    """Weights of drives that put most probability on a region.

    Parameters
    ----------
    drives : sequence of Model, or of Generator
        As in `mix`.
    region : array_like of bool
        In the shape of the states.
    grid : Grid, optional
        Needed with models.
    bounds : (float, float) or sequence of pairs
        Of each weight; weights add up to 1.
    gamma : float, optional
        Default: as in `verify`, of the drives in equal parts.
    objective : {"law", "solve"}
        What is optimised: the law's P(region) from R = ½ log det 2 Σ w_k D_k, or the
        probability of the solved steady state, with gradients from one adjoint solve each.

    Returns
    -------
    Design

    Raises
    ------
    ValueError
        For bounds that leave no weights which add up to 1, a region that does not fit, or
        singular D.

    Notes
    -----
    Sequential least squares with exact gradients, ∂R/∂w_k = ½ tr(D⁻¹ D_k), from equal weights
    and from the neighbourhood of each drive alone ("solve": from equal weights and from the
    law's optimum); the best is taken. P is not concave in w: it may be a local optimum.
    Gradients for "solve", -aᵀ W_k p with the adjoint field a of `blowtorch.susceptibility`, are
    exact for chains and have the accuracy of the grid for models.
    """
    drives = read_drives(drives)
    choice("objective", objective, _OBJECTIVES)
    n = len(drives)
    box = _box(bounds, n)
    if not box[:, 0].sum() <= 1 <= box[:, 1].sum() or (box < 0).any():
        raise ValueError(f"bounds must not be negative and must allow weights that add up to 1; got {box.tolist()}")
    even = _feasible(np.full(n, 1 / n), box)
    starts = [even] + [_feasible(np.where(np.arange(n) == k, 0.9, 0.1 / max(1, n - 1)), box) for k in range(n)]
    problem = _Drives(drives, region, grid, gamma, even)
    sum_to_one = {"type": "eq", "fun": lambda w: w.sum() - 1, "jac": np.ones_like}
    return _design(problem, objective, starts, box, [sum_to_one])


def design_noise(
    model: Model,
    patterns: Sequence[Function],
    region: ArrayLike,
    grid: Grid,
    *,
    bounds: ArrayLike = (-1.0, 1.0),
    gamma: float | None = None,
    objective: str = "law",
) -> Design:
    """A noise field, within bounds, that puts most probability on a region.

    D(x) becomes D(x) exp Σ a_k φ_k(x); the Itô drift stays as it is.

    Parameters
    ----------
    model : Model
    patterns : sequence of callable
        φ_k: ``pattern(x)`` for x of shape (dim, n) returns (n,).
    region : array_like of bool
        In the shape of the grid.
    grid : Grid
    bounds : (float, float) or sequence of pairs
        Of each a_k.
    gamma : float, optional
        Default: as in `verify`, of the model as it is.
    objective : {"law", "solve"}
        As in `design_drives`.

    Returns
    -------
    Design

    Raises
    ------
    ValueError
        For patterns, bounds or a region that do not fit.

    Examples
    --------
    >>> import numpy as np
    >>> from rattling import Grid, Model, engineering
    >>> plane, grid = Model(np.zeros_like, 1.0, dim=2), Grid([(0, 2 * np.pi)] * 2, 16, "periodic")
    >>> waves = [lambda x: np.sin(x[0]), lambda x: np.sin(x[1])]
    >>> x, y = grid.points().T.reshape(2, 16, 16)
    >>> design = engineering.design_noise(plane, waves, (x < 3) & (y < 3), grid)
    >>> np.round(design.values, 3)
    array([-1., -1.])
    """
    choice("objective", objective, _OBJECTIVES)
    patterns = list(patterns)
    if not patterns or not all(map(callable, patterns)):
        raise TypeError("patterns must be a sequence of functions of x")
    problem = _Noise(model, patterns, region, grid, gamma)
    box = _box(bounds, len(patterns))
    start = np.clip(np.zeros(len(patterns)), *box.T)
    starts = [start, *(start + 0.5 * (end - start) for end in box.T)]
    return _design(problem, objective, starts, box, [])


def _box(bounds: ArrayLike, n: int) -> np.ndarray:
    box = real_array("bounds", bounds)
    if box.shape not in ((2,), (n, 2)):
        raise ValueError(f"bounds must be one (low, high) pair, or one for each of the {n} values; got {bounds!r}")
    box = np.broadcast_to(box, (n, 2))
    if not np.isfinite(box).all() or (box[:, 0] > box[:, 1]).any():
        raise ValueError(f"bounds must be finite with low <= high; got {bounds!r}")
    return box


def _feasible(w: np.ndarray, box: np.ndarray) -> np.ndarray:
    """The nearest weights within bounds that add up to 1, by shifting all alike."""
    low, high = (box[:, 0] - w).min() - 1, (box[:, 1] - w).max() + 1
    for _ in range(100):
        shift = 0.5 * (low + high)
        low, high = (shift, high) if np.clip(w + shift, *box.T).sum() < 1 else (low, shift)
    nearest: np.ndarray = np.clip(w + high, *box.T)
    return nearest


def _design(
    problem: _Problem, objective: str, starts: list[np.ndarray], box: np.ndarray, constraints: list[dict[str, Any]]
) -> Design:
    """Optimise from each start, take the best, and solve the system that it makes."""
    from scipy.optimize import minimize

    options: dict[str, Any] = {"method": "SLSQP", "jac": True, "bounds": box, "constraints": constraints}

    def best_of(function: Function, starts: list[np.ndarray]) -> Any:
        runs = [minimize(function, start, options={"ftol": 1e-12, "maxiter": 200}, **options) for start in starts]
        return min(runs, key=lambda run: run.fun), sum(run.nfev for run in runs)

    best, n_evaluations = best_of(problem.by_law, starts)
    if objective == "solve":
        best, n_evaluations = best_of(problem.by_solve, [starts[0], best.x])
    values = np.clip(best.x, *box.T)
    before, after = (
        verify(problem.system(v), problem.solve_on, region=problem.region, gamma=problem.gamma)
        for v in (starts[0], values)
    )
    return Design(
        values=values,
        predicted=after.region_predicted,
        obtained=after.region_obtained,
        start_predicted=before.region_predicted,
        start_obtained=before.region_obtained,
        volume=after.region_volume,
        gamma=problem.gamma,
        objective=objective,
        n_evaluations=n_evaluations,
        check=after,
    )


class _Problem:
    """-log P(region) and its gradient, by the law and by the full solve."""

    gamma: float
    region: np.ndarray
    volume: np.ndarray
    solve_on: Any  # a Grid, or None for chains
    system: Callable[[np.ndarray], Model | Generator]
    rattling: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
    response: Callable[[np.ndarray, Susceptibility], np.ndarray]

    def by_law(self, values: np.ndarray) -> tuple[float, np.ndarray]:
        rattling, slopes = self.rattling(values)
        p = np.exp(log_law(self.gamma, rattling, self.volume))
        inside = p[self.region].sum()
        change = slopes[:, self.region] @ p[self.region] / inside - slopes.reshape(len(values), -1) @ p.ravel()
        return -math.log(inside), self.gamma * change

    def by_solve(self, values: np.ndarray) -> tuple[float, np.ndarray]:
        map_ = susceptibility(self.system(values), self.region, ~self.region, self.solve_on)
        odds = map_.log_ratio
        outside = 1 / (1 + math.exp(odds)) if odds < 700 else 0.0
        return float(np.logaddexp(0, -odds)), -outside * self.response(values, map_)


class _Drives(_Problem):
    def __init__(
        self, drives: Any, region: ArrayLike, grid: Grid | None, gamma: float | None, start: np.ndarray
    ) -> None:
        self.drives = drives
        self.solve_on = grid
        first = self.system(start)
        _, rattling, self.volume = setting(first, grid)
        self.region = read_region(region, rattling.shape)
        self.gamma = read_gamma(first, grid, gamma)
        self.chains = isinstance(drives[0], Generator)
        if self.chains:
            self.parts = np.array([drive.exit_rates.ravel() for drive in drives])
        else:
            points = self.solve_on._columns()
            self.parts = np.array([np.moveaxis(drive.diffusion(points), -1, 0) for drive in drives])

    def system(self, weights: np.ndarray) -> Model | Generator:
        return mix(self.drives, np.maximum(weights, 0.0))

    def rattling(self, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """R and ∂R/∂w_k."""
        total = np.tensordot(weights, self.parts, 1)
        if self.chains:
            return np.log(total), self.parts / total
        r = 0.5 * np.linalg.slogdet(2 * total)[1]
        inverse = np.linalg.inv(total)
        slopes = 0.5 * np.einsum("nij,knij->kn", inverse, self.parts)
        return r.reshape(self.region.shape), slopes.reshape(len(weights), *self.region.shape)

    @functools.cached_property
    def flows(self) -> list[Any]:
        """W_k of each drive."""
        return [(drive if self.chains else generator(drive, self.solve_on)).matrix for drive in self.drives]

    def response(self, weights: np.ndarray, map_: Susceptibility) -> np.ndarray:
        adjoint = np.nan_to_num(map_.adjoint.ravel())
        return np.array([-adjoint @ (flow @ map_.probability.ravel()) for flow in self.flows])


class _Noise(_Problem):
    def __init__(
        self, model: Model, patterns: Sequence[Function], region: ArrayLike, grid: Grid, gamma: float | None
    ) -> None:
        self.model, self.patterns, self.solve_on = model, patterns, grid
        _, self.start, self.volume = setting(model, grid)
        self.region = read_region(region, self.start.shape)
        self.gamma = read_gamma(model, grid, gamma)
        self.slopes = pattern_values(patterns, grid._columns()).reshape(-1, *self.start.shape)
        if not np.isfinite(self.slopes).all():
            raise ValueError("patterns must be finite on the grid")

    def system(self, amplitudes: np.ndarray) -> Model:
        return Model(self.model.drift, Torched(self.model, self.patterns, np.array(amplitudes)), dim=self.solve_on.dim)

    def rattling(self, amplitudes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        slopes = 0.5 * self.solve_on.dim * self.slopes
        return self.start + np.tensordot(amplitudes, slopes, 1), slopes

    def response(self, amplitudes: np.ndarray, map_: Susceptibility) -> np.ndarray:
        return np.array([map_.predict(log_diffusion=slope) for slope in self.slopes])
