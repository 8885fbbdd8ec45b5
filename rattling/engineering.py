"""Engineering with the law: mixed drives, designed noise, melting.

p ∝ exp(-γR)/Z needs no steady state, so that it can be optimised and tabulated cheaply. Each
answer here comes with the full solve beside it, since the law may be wrong.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from rattling._checks import choice, number, real_array
from rattling.apriori import moment_closure
from rattling.blowtorch import susceptibility
from rattling.fokker_planck import generator, steady_state
from rattling.grids import Grid
from rattling.markov import Generator
from rattling.models import Model, exact_rattling
from rattling.results import Result, table
from rattling.typicality import Typicality, typicality

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Design", "Melting", "Verification", "design_drives", "design_noise", "heat", "melting", "mix", "verify"]

_OBJECTIVES = ("law", "solve")


# --- systems made of others -----------------------------------------------------------------


def mix(drives, weights) -> Model | Generator:
    """The system that several drives make together.

    Each drive acts a share w_k of the time and they alternate fast, so that drifts and
    diffusions (or the rates of chains) add up: f = Σ w_k f_k, D = Σ w_k D_k. Then
    R = ½ log det 2 Σ w_k D_k, which is low only where all drives are quiet.

    Parameters
    ----------
    drives : sequence of Model, or of Generator
        In the same coordinates, or chains of the same states.
    weights : array_like, shape (n_drives,)
        w_k >= 0.

    Returns
    -------
    Model or Generator
        A model is Itô's; made of symbols if all drives are.

    Raises
    ------
    TypeError
        For a mixture of models and chains, or something else.
    ValueError
        For coordinates or states that differ, or weights that are negative or all 0.

    Examples
    --------
    >>> from rattling import Model, engineering
    >>> shakes = [Model.from_sympy("0", d, variables="x") for d in ("1 + cos(x)**2", "3")]
    >>> engineering.mix(shakes, [0.5, 0.5]).diffusion([0.0])
    array([[2.5]])
    """
    drives = _read_drives(drives)
    weights = real_array("weights", weights)
    if weights.shape != (len(drives),):
        raise ValueError(
            f"weights must have one number for each of the {len(drives)} drives; got shape {weights.shape}"
        )
    if not ((weights >= 0) & (weights < np.inf)).all() or not weights.any():
        raise ValueError(f"weights must be finite, not negative and not all 0; got {weights.tolist()}")
    if isinstance(drives[0], Generator):
        rates = sum(w * _rates(drive) for w, drive in zip(weights, drives, strict=True))
        return Generator.from_rates(rates)
    tensors = [drive.diffusion_tensor for drive in drives]
    if all(tensor is not None for tensor in tensors) and len({drive.variables for drive in drives}) == 1:
        drift = sum((w * _plain(d, d.ito_drift) for w, d in zip(weights, drives, strict=True)), _zeros(drives[0], 1))
        tensor = sum(
            (w * _plain(d, d.diffusion_tensor) for w, d in zip(weights, drives, strict=True)), _zeros(drives[0])
        )
        return Model.from_sympy(drift, tensor, variables=drives[0].variables)
    return Model(_Mixed(drives, weights, "drift"), _Mixed(drives, weights, "diffusion"), dim=drives[0].dim)


def heat(model, temperature):
    """The model with white noise of a temperature added: D + T I, the Itô drift as it is.

    Parameters
    ----------
    model : Model
    temperature : float
        T >= 0, in units of D.

    Returns
    -------
    Model
    """
    if not isinstance(model, Model):
        raise TypeError(f"model must be a rattling.Model, not {type(model).__name__}")
    if number("temperature", temperature) < 0:
        raise ValueError(f"temperature must not be negative; got {temperature!r}")
    if model.diffusion_tensor is not None:
        import sympy

        tensor = _plain(model, model.diffusion_tensor) + float(temperature) * sympy.eye(model.dim)
        return Model.from_sympy(_plain(model, model.ito_drift), tensor, variables=model.variables)
    return Model(model.drift, _Heated(model, float(temperature)), dim=model.dim)


def _read_drives(drives):
    drives = list(drives) if hasattr(drives, "__iter__") else [drives]
    kinds = {Model if isinstance(d, Model) else Generator if isinstance(d, Generator) else None for d in drives}
    if len(kinds) != 1 or None in kinds:
        names = sorted({type(drive).__name__ for drive in drives})
        raise TypeError(f"drives must be a sequence of models, or one of generators; got {', '.join(names) or 'none'}")
    sizes = {d.dim if isinstance(d, Model) else d.n for d in drives}
    if len(sizes) != 1:
        what = "coordinates" if isinstance(drives[0], Model) else "states"
        raise ValueError(f"drives must have the same {what}; they have {', '.join(map(str, sorted(sizes, key=str)))}")
    return drives


def _rates(chain):
    """rates[i, j] of i -> j, sparse."""
    from scipy import sparse

    if chain.killing.any():
        raise ValueError("drives must not have absorbing walls")
    start, source, rate = chain._core.rows()
    target = np.repeat(np.arange(chain.n), np.diff(start))
    return sparse.coo_array((rate, (source, target)), shape=(chain.n, chain.n)).tocsr()


def _plain(model, matrix):
    """Expressions with numbers in place of the parameters."""
    return model._parts.names.value(matrix)


def _zeros(model, columns=None):
    import sympy

    return sympy.zeros(model.dim, model.dim if columns is None else columns)


def _tensor(model, x):
    """D as (dim, dim, n), or the diagonal (dim, n) where there is nothing else."""
    core = model._compiled(x)
    return core.diagonal(x) if core.is_diagonal else core.diffusion(x)


class _Mixed:
    """Σ w_k of the drifts or the diffusions."""

    def __init__(self, drives, weights, what):
        self.drives, self.weights, self.what = drives, weights, what

    def __call__(self, x):
        if self.what == "drift":
            values = [drive.drift(x) for drive in self.drives]
        else:
            values = [_tensor(drive, x) for drive in self.drives]
            if len({value.ndim for value in values}) > 1:
                values = [drive.diffusion(x) for drive in self.drives]
        return sum(w * value for w, value in zip(self.weights, values, strict=True))


class _Heated:
    """D + T I."""

    def __init__(self, model, temperature):
        self.model, self.temperature = model, temperature

    def __call__(self, x):
        d = _tensor(self.model, x)
        return d + self.temperature * (1 if d.ndim == 2 else np.eye(len(d))[..., None])


class _Torched:
    """D exp Σ a_k φ_k."""

    def __init__(self, model, patterns, amplitudes):
        self.model, self.patterns, self.amplitudes = model, patterns, amplitudes

    def __call__(self, x):
        return _tensor(self.model, x) * np.exp(self.amplitudes @ _values(self.patterns, x))


def _values(patterns, x):
    rows = []
    for k, pattern in enumerate(patterns):
        value = real_array(f"pattern {k}", pattern(x))
        if value.shape not in ((), (x.shape[1],)):
            raise ValueError(f"pattern {k} must return an array of shape ({x.shape[1]},), but returned {value.shape}")
        rows.append(np.broadcast_to(value, x.shape[1]))
    return np.array(rows)


# --- predicted and obtained ---------------------------------------------------------------------


@dataclass(frozen=True, repr=False, eq=False)
class Verification(Result):
    """The law's prediction beside the solved steady state; made by :func:`verify`.

    Attributes
    ----------
    predicted, obtained : ndarray, shape ``grid.shape`` or (n,)
        The probability of each state.
    gamma : float
        Of the prediction.
    rattling : ndarray
    total_variation : float
        Between the two.
    kl_explained : float
        1 - KL(p ‖ prediction)/KL(p ‖ uniform): of the prediction, at ``gamma``. Negative
        where it is worse than none.
    region_predicted, region_obtained, region_volume : float
        Probability of the region, and its share of the volume; NaN without a region.
    scores : Typicality
        Of the solved steady state: what the law can do with its best γ.
    grid : Grid or None
    """

    predicted: np.ndarray
    obtained: np.ndarray
    gamma: float
    rattling: np.ndarray = field(repr=False)
    total_variation: float
    kl_explained: float
    region_predicted: float
    region_obtained: float
    region_volume: float
    scores: Typicality
    grid: Grid | None = None

    _dims = {"predicted": ("grid",), "obtained": ("grid",), "rattling": ("grid",)}

    def summary(self) -> str:
        """Predicted and obtained, as text."""
        rows = [
            ("Region, predicted", f"{self.region_predicted:.4g}", "gamma, predicted", f"{self.gamma:.4g}"),
            ("Region, obtained", f"{self.region_obtained:.4g}", "gamma, obtained", f"{self.scores.gamma_kl:.4g}"),
            ("Region, volume", f"{self.region_volume:.4g}", "Correlation", f"{self.scores.correlation:.4f}"),
            ("Total variation", f"{self.total_variation:.4f}", "KL explained", f"{self.kl_explained:.4f}"),
        ]
        return table("The law's prediction beside the steady state", rows)

    def plot(self, ax=None) -> Axes:
        """Obtained against predicted density of each state. Returns the axes."""
        from rattling.plotting import current_axes

        ax = current_axes(ax)
        volume = 1.0 if self.grid is None else self.grid.volumes
        a, b = (np.log(np.maximum(p / volume, 1e-300)).ravel() for p in (self.predicted, self.obtained))
        ax.plot(a, b, ".", markersize=2, alpha=0.5, rasterized=True)
        ends = [a.min(), a.max()]
        ax.plot(ends, ends, color="0.3", linewidth=0.8)
        ax.set(xlabel="predicted log density", ylabel="log density of the steady state")
        return ax


def verify(system, grid=None, *, region=None, gamma=None):
    """Predict the steady state by the law, solve it, and compare.

    Parameters
    ----------
    system : Model or Generator
    grid : Grid, optional
        Needed with a model.
    region : array_like of bool, optional
        States whose probability is wanted, in the shape of the states.
    gamma : float, optional
        Default: `apriori.moment_closure`, or where that gives none 2/dim (1 for chains).

    Returns
    -------
    Verification

    Raises
    ------
    ValueError
        For a region of another shape or an empty one, or singular D.

    Examples
    --------
    >>> import numpy as np
    >>> from rattling import Grid, Model, engineering
    >>> hot, quiet = ["1 + %s(x)**2" % f for f in ("cos", "sin")]
    >>> model = engineering.mix([Model.from_sympy("0", d, variables="x") for d in (hot, quiet)], [1, 3])
    >>> grid = Grid((0, 2 * np.pi), 64, "periodic")
    >>> check = engineering.verify(model, grid, region=abs(np.sin(grid.centres(0))) < 0.5)
    >>> f"{check.gamma:.3f} {check.region_volume:.3f} {check.region_predicted:.3f} {check.region_obtained:.3f}"
    '2.000 0.313 0.359 0.359'
    """
    grid, rattling, volume = _setting(system, grid)
    region = _region(region, rattling.shape)
    gamma = _gamma(system, grid, gamma)
    log_q = _log_law(gamma, rattling, volume)
    predicted = np.exp(log_q)
    state = steady_state(system, None if isinstance(system, Generator) else grid)
    scores = typicality(state.log_density, rattling, volume=volume, dim=None if grid is None else grid.dim)
    inside = [
        float(q[region].sum()) if region is not None else math.nan for q in (predicted, state.probability, volume)
    ]
    log_p = np.log(volume) + state.log_density
    kl = float(np.sum(state.probability * (log_p - _log_sum(log_p) - log_q)))
    return Verification(
        predicted=predicted,
        obtained=state.probability,
        gamma=gamma,
        rattling=rattling,
        total_variation=0.5 * float(np.abs(predicted - state.probability).sum()),
        kl_explained=1 - kl / scores.kl_uniform if scores.kl_uniform > 1e-12 else math.nan,
        region_predicted=inside[0],
        region_obtained=inside[1],
        region_volume=inside[2] / float(volume.sum()),
        scores=scores,
        grid=grid,
    )


def _setting(system, grid):
    """Grid, R and the volumes of the states."""
    if isinstance(system, Generator):
        if grid is not None:
            raise TypeError("grid must be left out with a Generator: it has its own")
        grid = system.grid
        if system.model is None:
            q = system.exit_rates
            if not q.all():
                raise ValueError("each state must have an exit")
            return grid, np.log(q), np.ones(q.shape)
        system = system.model
    elif not isinstance(system, Model):
        raise TypeError(f"system must be a rattling.Model or a rattling.Generator, not {type(system).__name__}")
    if not isinstance(grid, Grid):
        raise TypeError("grid is needed with a model")
    rattling = exact_rattling(system, grid)
    if not np.isfinite(rattling).all():
        raise ValueError("D must not be singular: R is -inf somewhere")
    return grid, rattling, grid.volumes


def _region(region, shape):
    if region is None:
        return None
    mask = np.asarray(region)
    if mask.dtype != bool:
        raise TypeError(f"region must be a mask of booleans, not of {mask.dtype}")
    if mask.shape != shape:
        raise ValueError(f"region must have the shape of the states, {shape}; got {mask.shape}")
    if not mask.any() or mask.all():
        raise ValueError("region must have some of the states, and not all")
    return mask


def _gamma(system, grid, gamma):
    if gamma is not None:
        return float(number("gamma", gamma))
    chain = isinstance(system, Generator)
    found = moment_closure(system, None if chain else grid)
    return found if math.isfinite(found) else 1.0 if grid is None else 2.0 / grid.dim


def _log_law(gamma, rattling, volume):
    """Logarithms of the probabilities exp(-γR)/Z."""
    log_p = np.log(volume) - gamma * rattling
    return log_p - _log_sum(log_p)


def _log_sum(log_p):
    top = log_p.max()
    return top + math.log(np.exp(log_p - top).sum())


# --- design ----------------------------------------------------------------------------------------


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


def design_drives(drives, region, grid=None, *, bounds=(0.0, 1.0), gamma=None, objective="law"):
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
    drives = _read_drives(drives)
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


def design_noise(model, patterns, region, grid, *, bounds=(-1.0, 1.0), gamma=None, objective="law"):
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


def _box(bounds, n):
    box = real_array("bounds", bounds)
    if box.shape not in ((2,), (n, 2)):
        raise ValueError(f"bounds must be one (low, high) pair, or one for each of the {n} values; got {bounds!r}")
    box = np.broadcast_to(box, (n, 2))
    if not np.isfinite(box).all() or (box[:, 0] > box[:, 1]).any():
        raise ValueError(f"bounds must be finite with low <= high; got {bounds!r}")
    return box


def _feasible(w, box):
    """The nearest weights within bounds that add up to 1, by shifting all alike."""
    low, high = (box[:, 0] - w).min() - 1, (box[:, 1] - w).max() + 1
    for _ in range(100):
        shift = 0.5 * (low + high)
        low, high = (shift, high) if np.clip(w + shift, *box.T).sum() < 1 else (low, shift)
    return np.clip(w + high, *box.T)


def _design(problem, objective, starts, box, constraints):
    """Optimise from each start, take the best, and solve the system that it makes."""
    from scipy.optimize import minimize

    options = {"method": "SLSQP", "jac": True, "bounds": box, "constraints": constraints}

    def best_of(function, starts):
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

    def by_law(self, values):
        rattling, slopes = self.rattling(values)
        p = np.exp(_log_law(self.gamma, rattling, self.volume))
        inside = p[self.region].sum()
        change = slopes[:, self.region] @ p[self.region] / inside - slopes.reshape(len(values), -1) @ p.ravel()
        return -math.log(inside), self.gamma * change

    def by_solve(self, values):
        map_ = susceptibility(self.system(values), self.region, ~self.region, self.solve_on)
        odds = map_.log_ratio
        outside = 1 / (1 + math.exp(odds)) if odds < 700 else 0.0
        return float(np.logaddexp(0, -odds)), -outside * self.response(values, map_)


class _Drives(_Problem):
    def __init__(self, drives, region, grid, gamma, start):
        self.drives = drives
        self.solve_on = grid
        first = self.system(start)
        self.grid, rattling, self.volume = _setting(first, grid)
        self.region = _region(region, rattling.shape)
        self.gamma = _gamma(first, grid, gamma)
        self.chains = isinstance(drives[0], Generator)
        if self.chains:
            self.parts = np.array([drive.exit_rates.ravel() for drive in drives])
        else:
            points = np.ascontiguousarray(grid.points().T)
            self.parts = np.array([np.moveaxis(drive.diffusion(points), -1, 0) for drive in drives])

    def system(self, weights):
        return mix(self.drives, np.maximum(weights, 0.0))

    def rattling(self, weights):
        """R and ∂R/∂w_k."""
        total = np.tensordot(weights, self.parts, 1)
        if self.chains:
            return np.log(total), self.parts / total
        r = 0.5 * np.linalg.slogdet(2 * total)[1]
        inverse = np.linalg.inv(total)
        slopes = 0.5 * np.einsum("nij,knij->kn", inverse, self.parts)
        return r.reshape(self.region.shape), slopes.reshape(len(weights), *self.region.shape)

    @functools.cached_property
    def flows(self):
        """W_k of each drive."""
        return [(drive if self.chains else generator(drive, self.grid)).matrix for drive in self.drives]

    def response(self, weights, map_):
        adjoint = np.nan_to_num(map_.adjoint.ravel())
        return np.array([-adjoint @ (flow @ map_.probability.ravel()) for flow in self.flows])


class _Noise(_Problem):
    def __init__(self, model, patterns, region, grid, gamma):
        self.model, self.patterns, self.solve_on = model, patterns, grid
        self.grid, self.start, self.volume = _setting(model, grid)
        self.region = _region(region, self.start.shape)
        self.gamma = _gamma(model, grid, gamma)
        self.slopes = _values(patterns, np.ascontiguousarray(grid.points().T)).reshape(-1, *self.start.shape)
        if not np.isfinite(self.slopes).all():
            raise ValueError("patterns must be finite on the grid")

    def system(self, amplitudes):
        return Model(self.model.drift, _Torched(self.model, self.patterns, np.array(amplitudes)), dim=self.grid.dim)

    def rattling(self, amplitudes):
        slopes = 0.5 * self.grid.dim * self.slopes
        return self.start + np.tensordot(amplitudes, slopes, 1), slopes

    def response(self, amplitudes, map_):
        return np.array([map_.predict(log_diffusion=slope) for slope in self.slopes])


# --- melting ---------------------------------------------------------------------------------------


@dataclass(frozen=True, repr=False, eq=False)
class Melting(Result):
    """How order goes as temperature is added; made by :func:`melting`.

    Order is KL(p ‖ uniform) in nats.

    Attributes
    ----------
    temperature : ndarray, shape (n,)
    order_predicted, order_obtained : ndarray, shape (n,)
        By the law, and of the solved steady states.
    gamma : ndarray, shape (n,)
        Of the predictions.
    kl_explained, correlation : ndarray, shape (n,)
        Of the solved steady states, at their best γ.
    spread : ndarray, shape (n,)
        Standard deviation of R over the volume.
    """

    temperature: np.ndarray
    order_predicted: np.ndarray
    order_obtained: np.ndarray
    gamma: np.ndarray
    kl_explained: np.ndarray
    correlation: np.ndarray
    spread: np.ndarray

    _dims = {
        name: ("temperature",)
        for name in ("order_predicted", "order_obtained", "gamma", "kl_explained", "correlation", "spread")
    }
    _coords = {"temperature": "temperature"}

    def melting_temperature(self, share=0.5):
        """Where order falls to a share of what it is at the first temperature.

        Parameters
        ----------
        share : float
            Between 0 and 1.

        Returns
        -------
        predicted, obtained : float
            Interpolated; NaN where it does not fall so far.
        """
        if not 0 < number("share", share) < 1:
            raise ValueError(f"share must be between 0 and 1; got {share!r}")
        return tuple(self._crossing(order / order[0], share) for order in (self.order_predicted, self.order_obtained))

    def _crossing(self, order, share):
        below = np.flatnonzero(order <= share)
        if not below.size or below[0] == 0:
            return math.nan
        k = below[0]
        step = (order[k - 1] - share) / (order[k - 1] - order[k])
        return float(self.temperature[k - 1] + step * (self.temperature[k] - self.temperature[k - 1]))

    def plot(self, ax=None) -> Axes:
        """Order against temperature. Returns the axes."""
        from rattling.plotting import current_axes

        ax = current_axes(ax)
        ax.plot(self.temperature, self.order_obtained, "o-", label="steady state")
        ax.plot(self.temperature, self.order_predicted, "--", label=r"$\exp(-\gamma R)/Z$")
        ax.set(xlabel="temperature added", ylabel="order, nat", ylim=(0, None))
        ax.legend(frameon=False)
        return ax


def melting(model, temperatures, grid, *, gamma=None) -> Melting:
    """Order lost as temperature is added: R_T = ½ log det 2(D + T I).

    Parameters
    ----------
    model : Model
    temperatures : array_like, shape (n,)
        Increasing, >= 0, in units of D.
    grid : Grid
    gamma : float, optional
        For all temperatures. Default: at each as in `verify`.

    Returns
    -------
    Melting

    Raises
    ------
    ValueError
        For temperatures that are negative or do not increase.

    Notes
    -----
    Drift is not weakened by heat in the law, which knows R only: where drift makes the
    order, the prediction falls behind the truth.
    """
    temperatures = np.atleast_1d(real_array("temperatures", temperatures))
    if temperatures.ndim != 1 or temperatures.size == 0 or not (np.isfinite(temperatures) & (temperatures >= 0)).all():
        raise ValueError(f"temperatures must be a line of numbers >= 0; got shape {temperatures.shape}")
    if (np.diff(temperatures) <= 0).any():
        raise ValueError("temperatures must increase")
    rows = []
    for t in temperatures:
        check = verify(heat(model, float(t)), grid, gamma=gamma)
        share = grid.volumes / grid.volumes.sum()
        log_q = _log_law(check.gamma, check.rattling, share)
        mean = np.sum(share * check.rattling)
        spread = math.sqrt(np.sum(share * (check.rattling - mean) ** 2))
        predicted = float(np.sum(np.exp(log_q) * (log_q - np.log(share))))
        rows.append(
            [
                predicted,
                check.scores.kl_uniform,
                check.gamma,
                check.scores.kl_explained,
                check.scores.correlation,
                spread,
            ]
        )
    return Melting(temperatures, *np.array(rows).T.copy())
