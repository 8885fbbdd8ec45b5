"""What can be said about the law before the steady state is known.

Three predictions, each with its range: the slope from one closed moment
(`moment_closure`), slope and correlation of weakly disordered media from the fields alone
(`weak_disorder`), and a bound for chains (`certificate`). `compare` prints them beside the
truth.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from rattling import _core
from rattling._checks import choice, random_generator, real_array
from rattling.fokker_planck import generator as make_generator
from rattling.fokker_planck import steady_state
from rattling.grids import Grid
from rattling.markov import Generator
from rattling.models import exact_rattling
from rattling.results import Result
from rattling.typicality import typicality

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike

    from rattling._typing import Seed
    from rattling.models import Model

__all__ = ["Certificate", "Comparison", "WeakDisorder", "certificate", "compare", "moment_closure", "weak_disorder"]

_ALPHA = {"ito": 0.0, "stratonovich": 0.5, "anti-ito": 1.0}
_BLOCK = 1 << 17  # points
_REACH, _STEP = 20.0, 0.125
_DERIVATIVES = ("auto", "generator", "symbolic")


# --- one moment -----------------------------------------------------------------------------


def moment_closure(
    model: Model | Generator, grid: Grid | None = None, *, rattling: ArrayLike | None = None, derivatives: str = "auto"
) -> float:
    """γ without the steady state: the law put into one exact moment.

    The steady state has <𝓛R> = 0 for the backward operator 𝓛 = f·∇ + D_ij ∂_i∂_j. With
    p ∝ exp(-γR) in its place this becomes an equation for γ,

        ∫ exp(-γR) (f·∇R + D_ij ∂_i∂_jR) dx = 0.

    Parameters
    ----------
    model : Model or Generator
    grid : Grid, optional
        Needed with a model: where the integral is taken.
    rattling : array_like, optional
        R in the shape of the states. Default: that of the model; for a chain log q.
    derivatives : {"auto", "generator", "symbolic"}
        How 𝓛R comes about: by the generator, Wᵀ R, which has the walls in it, or by
        differentiation of symbolic models, exact but without walls. "auto" is "symbolic"
        for such models in a periodic box, else "generator".

    Returns
    -------
    float
        The root nearest to the value without drift, 2/dim (1 for chains), within 20 of
        it; NaN where there is none or R is constant.

    Raises
    ------
    ValueError
        For an unknown string, shapes that do not fit, "symbolic" without symbols or where
        R is not finite.

    Notes
    -----
    Within about 0.1 of the fitted γ at weak drift, up to 0.3 off where drift is as strong as
    the noise on the scale of the disorder, and unreliable beyond: `compare` shows it beside
    the truth.

    Examples
    --------
    >>> from rattling import Grid, Model, apriori
    >>> model = Model.from_sympy(["0", "0"], "exp(sin(x) + cos(y))", variables="x y")
    >>> f"{apriori.moment_closure(model, Grid([(0, 6.283185307179586)] * 2, 32, 'periodic')):.6f}"
    '1.000000'
    """
    choice("derivatives", derivatives, _DERIVATIVES)
    chain: Generator | None = None
    own: Any = model
    where: Any = grid
    if isinstance(model, Generator):
        if grid is not None:
            raise TypeError("grid must be left out with a Generator: it has its own")
        chain, where, own = model, model.grid, model.model
    elif grid is None:
        raise TypeError("grid is needed with a model")
    symbolic = derivatives == "symbolic"
    if derivatives == "auto" and rattling is None and where is not None and own.diffusion_tensor is not None:
        symbolic = all(side == ("periodic", "periodic") for side in where.boundary)
    if symbolic and (rattling is not None or own is None or own.diffusion_tensor is None):
        raise ValueError("derivatives='symbolic' needs a model made of symbols, and its own R")
    shape = chain.shape if chain is not None else where.shape
    if rattling is not None:
        r = real_array("rattling", rattling)
        if r.shape != shape:
            raise ValueError(f"rattling must have the shape of the states, {shape}; got {r.shape}")
    else:
        r = np.log(chain.exit_rates) if chain is not None and own is None else exact_rattling(own, where)
    if not np.isfinite(r).all():
        raise ValueError("rattling must be finite: D is singular, or a state has no exit")
    if symbolic:
        change = _symbolic_change(own, where)
    else:
        chain = make_generator(own, where) if chain is None else chain
        change = chain._adjoint(r.ravel())
    volume = np.ones(shape) if where is None else where.volumes
    guess = 1.0 if where is None else 2.0 / where.dim
    if np.ptp(r) <= 1e-12 * (1 + np.abs(r).max()):
        return math.nan
    return _core.closure(r.ravel(), np.ascontiguousarray(change), volume.ravel(), guess, _REACH, _STEP)


def _symbolic_change(model: Model, grid: Grid) -> np.ndarray:
    """f·∇R + D_ij ∂_i∂_jR at the cells' centres, differentiated exactly."""
    import sympy

    parts: Any = model._parts
    x, tensor, drift = parts.names.variables, parts.tensor, parts.ito_drift
    r = sympy.log(tensor.det(method="berkowitz")) / 2
    change = sum(drift[i] * sympy.diff(r, x[i]) for i in range(len(x)))
    change += sum(tensor[i, j] * sympy.diff(r, x[i], x[j]) for i in range(len(x)) for j in range(len(x)))
    values: np.ndarray = parts._tape([change], "drift").evaluate(grid._columns())[0]
    return values


# --- weak disorder ----------------------------------------------------------------------------


@dataclass(frozen=True, repr=False, eq=False)
class WeakDisorder(Result):
    """First-order prediction for a weakly disordered medium; made by :func:`weak_disorder`.

    Attributes
    ----------
    gamma : float
        (2/dim)(1 - α) <Re m>, what the family of such media has: m as in :func:`weak_disorder`,
        averaged over the modes of s. Without mean drift m = 1.
    rho : float
        Correlation of -log p with R; without mean drift
        [1 + (v_aniso + v_drift)/v_iso]^(-1/2).
    gamma_sample, rho_sample : float
        Slope and correlation of the predicted log p with R in this medium, chance
        correlations of its fields included.
    v_iso : float
        Var s, s = (2/dim)(R - <R>): disorder of the size of D.
    v_aniso : float
        Var nᵀ S₀ n over Fourier modes in the directions n, S₀ the traceless part of
        log D/D₀.
    v_drift : float
        <(n·f)²/(D₀ k)²>/(1 - α)²: the compressive part of the drift. Divergence-free drift
        drops out, but for its mean.
    peclet : float
        <f²/(D₀ k)²>^½, all of the drift but its mean, which may be large; the formulas need
        it small against 1.
    disorder : float
        √(v_iso + v_aniso), ε; the formulas are good below about 0.3.
    d0 : float
        D₀ = exp <log det D>/dim, length²/time.
    log_p : ndarray, shape ``grid.shape``
        Predicted, of mean 0.
    grid : Grid
    """

    gamma: float
    rho: float
    gamma_sample: float
    rho_sample: float
    v_iso: float
    v_aniso: float
    v_drift: float
    peclet: float
    disorder: float
    d0: float
    log_p: np.ndarray = field(repr=False)
    grid: Grid | None = None

    _dims = {"log_p": ("grid",)}


def weak_disorder(model: Model, grid: Grid) -> WeakDisorder:
    """Slope and correlation of the law from the fields alone, to first order.

    With log D/D₀ = s I + S₀, S₀ traceless, and p = 1 + u, the stationary equation is to
    first order, in Fourier space with n = k/|k|:

        u = -m [(1 - α)(s + nᵀS₀n) + i n·F/(D₀ |k|)],    m = 1/(1 + i n·F̄/(D₀ |k|)),

    F the drift before it is converted to Itô's and F̄ its mean, which carries probability
    away from where it belongs.

    Parameters
    ----------
    model : Model
        Tensors too.
    grid : Grid
        Periodic, with equal cells.

    Returns
    -------
    WeakDisorder
        ρ is 0 for anti-Itô noise and NaN where nothing is disordered.

    Raises
    ------
    ValueError
        For a grid with walls, or where D is singular.
    """
    dim = grid.dim
    if any(side != ("periodic", "periodic") for side in grid.boundary):
        raise ValueError("weak_disorder needs a grid that is periodic along all axes")
    if not all(np.allclose(np.diff(grid.edges(k)), np.diff(grid.edges(k))[0]) for k in range(dim)):
        raise ValueError("weak_disorder needs a grid of equal cells")
    r = exact_rattling(model, grid)
    if not np.isfinite(r).all():
        raise ValueError("weak_disorder: D is singular")
    points = grid._columns()
    tensor = model.diffusion(points)
    drift = model.drift(points).reshape(dim, *grid.shape)
    alpha = _ALPHA[model.interpretation]
    s = 2 / dim * (r - r.mean())
    d0 = math.exp(2 / dim * r.mean()) / 2
    blocks = np.array_split(tensor, -(-tensor.shape[-1] // _BLOCK), axis=-1)  # Ctrl-C is answered in between
    traceless = np.concatenate([_log(block / d0) for block in blocks], axis=-1).reshape(dim, dim, *grid.shape)
    traceless -= np.eye(dim).reshape(dim, dim, *(1,) * dim) * s
    u, parts = _first_order(grid, s, traceless, drift, d0, alpha)
    v_iso, v_aniso, v_drift, total, kept, peclet = parts
    sd = math.sqrt(v_iso)
    flat = sd <= 1e-12
    spread = float(u.std())
    covariance = float(np.mean(-u * s))
    return WeakDisorder(
        gamma=2 / dim * (1 - alpha) * kept,
        rho=math.nan if flat or (alpha == 1 and total == 0) else kept * math.sqrt(v_iso / total),
        gamma_sample=math.nan if flat else 2 / dim * covariance / v_iso,
        rho_sample=math.nan if flat or spread <= 1e-12 else covariance / (sd * spread),
        v_iso=v_iso,
        v_aniso=v_aniso,
        v_drift=v_drift,
        peclet=peclet,
        disorder=math.sqrt(v_iso + v_aniso),
        d0=d0,
        log_p=u,
        grid=grid,
    )


def _first_order(
    grid: Grid, s: np.ndarray, traceless: np.ndarray, drift: np.ndarray, d0: float, alpha: float
) -> Any:
    """u; the variances of its three parts and of their sum as the mean drift leaves it, the share
    of s that it leaves, and the Péclet number."""
    dim = grid.dim
    axes = tuple(range(-dim, 0))
    steps = [(b - a) / n for (a, b), n in zip(grid.bounds, grid.shape, strict=True)]
    k = np.stack(np.meshgrid(*(2 * np.pi * np.fft.fftfreq(n, h) for n, h in zip(grid.shape, steps, strict=True)),
                             indexing="ij"))  # fmt: skip
    size = np.sqrt(np.sum(k**2, axis=0))
    size.flat[0] = np.inf  # the mean of each field drops out
    n = k / size
    iso = np.fft.fftn(s)
    along = np.einsum("i...,ij...,j...->...", n, _waves(traceless, dim), n)
    waves = _waves(drift, dim) / (d0 * size)
    mean = drift.mean(axis=axes)
    moved = 1 / (1 + 1j * np.einsum("i...,i->...", n, mean) / (d0 * size))
    # what conversion to Itô added is α div D, and div D is s and S₀ again
    total = iso + along
    force = 1j * np.einsum("i...,i...->...", n, waves)
    force = force + alpha * total
    force.flat[0] = total.flat[0] = 0
    u = np.fft.ifftn(-moved * ((1 - alpha) * total + force)).real

    def variance(modes: np.ndarray) -> float:
        return float(np.sum(np.abs(modes / s.size) ** 2))

    # in units of (1 - α)², where the law has a slope at all
    unit = 1 - alpha if alpha < 1 else 1.0
    v_iso, by_drift = float(s.var()), variance(force) / unit**2
    whole = variance(moved * iso) + variance(moved * along) + variance(moved * force) / unit**2
    if alpha == 1:
        by_drift = whole = math.inf if by_drift > 1e-24 else 0.0
    power = np.abs(iso) ** 2
    kept = float(np.sum(moved.real * power) / np.sum(power)) if v_iso > 0 else 1.0
    return u, (v_iso, variance(along), by_drift, whole, kept, math.sqrt(variance(waves)))


def _log(tensor: np.ndarray) -> np.ndarray:
    """Logarithm of positive definite matrices, (dim, dim, n)."""
    values, vectors = np.linalg.eigh(np.moveaxis(tensor, -1, 0))
    logarithm: np.ndarray = np.einsum("nik,nk,njk->ijn", vectors, np.log(values), vectors)
    return logarithm


def _waves(fields: np.ndarray, dim: int) -> np.ndarray:
    """Transforms over the last axes, one at a time so that Ctrl-C is answered in between."""
    waves = np.empty(fields.shape, complex)
    for index in np.ndindex(fields.shape[: fields.ndim - dim]):
        waves[index] = np.fft.fftn(fields[index])
    return waves


# --- chains -------------------------------------------------------------------------------------


@dataclass(frozen=True, repr=False, eq=False)
class Certificate(Result):
    """Bounds on how wrong π ∝ 1/q can be; made by :func:`certificate`.

    Attributes
    ----------
    jump_chain_bound : float
        Total variation between the law ψ of the jump chain and the uniform one is at most
        this.
    total_variation_bound : float
        The same of π and 1/q normalised.
    imbalance : float
        ‖δ‖₁, δ_y = mean_x P_xy - 1/N.
    dobrushin : float
        τ, the largest total variation between two rows of P: 0 to 1.
    reason : str
        Why the bounds say nothing, if they do not.
    """

    jump_chain_bound: float
    total_variation_bound: float
    imbalance: float
    dobrushin: float
    reason: str


def certificate(chain: Generator) -> Certificate:
    """A proof, without the steady state, that a chain's π is close to ∝ 1/q.

    TV(ψ, uniform) ≤ ½ ‖δ‖₁/(1 - τ), for ψ - u = (ψ - u)P + δ and P contracts by τ; and
    TV(π, μ) ≤ 2 max(N μ) TV(ψ, u) for μ ∝ 1/q.

    Parameters
    ----------
    chain : Generator

    Returns
    -------
    Certificate
        Bounds above 1 are reported as 1.

    Raises
    ------
    ValueError
        For a state without exit, or a chain that is left for good (absorbing walls).

    Notes
    -----
    It needs every two states to have a common successor, as on dense graphs; on sparse ones
    τ = 1 and nothing is certified. It takes time in proportion to states × rates.
    """
    if not isinstance(chain, Generator):
        raise TypeError(f"chain must be a rattling.Generator, not {type(chain).__name__}")
    if chain.killing.any():
        raise ValueError("certificate: the jump chain of a generator with absorbing walls has no steady state")
    q = chain.exit_rates.ravel()
    if not q.all():
        raise ValueError(f"each state must have an exit; state {int(np.argmin(q))} has none")
    imbalance, dobrushin = _core.certificate(chain._core)
    bound = imbalance / 2 / (1 - dobrushin) if dobrushin < 1 else math.inf
    mu = 1 / q / np.sum(1 / q)
    reason = ""
    if dobrushin >= 1:
        reason = "two states have no successor in common: the jump chain need not contract in one step"
    elif bound >= 1:
        reason = "the jump chain contracts too slowly for its imbalance"
    return Certificate(
        jump_chain_bound=min(1.0, bound),
        total_variation_bound=min(1.0, 2 * float(mu.max()) * len(q) * bound),
        imbalance=imbalance,
        dobrushin=dobrushin,
        reason=reason,
    )


# --- beside the truth -----------------------------------------------------------------------------


@dataclass(frozen=True, repr=False, eq=False)
class Comparison(Result):
    """Predictions beside the truth over an ensemble; made by :func:`compare`.

    Attributes
    ----------
    gamma, gamma_kl, rho : ndarray, shape (n,)
        Of the solved steady states.
    gamma_closure : ndarray, shape (n,)
        By `moment_closure`.
    gamma_weak, rho_weak : ndarray, shape (n,)
        By `weak_disorder`, for the family.
    gamma_sample, rho_sample : ndarray, shape (n,)
        By `weak_disorder`, for each draw.
    disorder : ndarray, shape (n,)
        ε of each draw.
    drift : ndarray, shape (n,)
        √(v_drift/v_iso) of each draw: compressive drift over disorder.
    peclet : ndarray, shape (n,)
        Of each draw, from `weak_disorder`.
    """

    gamma: np.ndarray
    gamma_kl: np.ndarray
    rho: np.ndarray
    gamma_closure: np.ndarray
    gamma_weak: np.ndarray
    rho_weak: np.ndarray
    gamma_sample: np.ndarray
    rho_sample: np.ndarray
    disorder: np.ndarray
    drift: np.ndarray
    peclet: np.ndarray

    _dims = {
        name: ("draw",)
        for name in "gamma gamma_kl rho gamma_closure gamma_weak rho_weak gamma_sample rho_sample disorder drift peclet".split()
    }

    def summary(self) -> str:
        """Means over the ensemble with standard errors, and where predictions stop working."""
        pairs = [
            ("gamma, moment closure", self.gamma_closure, self.gamma),
            ("gamma, weak disorder", self.gamma_weak, self.gamma),
            ("gamma, weak disorder, each draw", self.gamma_sample, self.gamma),
            ("rho, weak disorder", self.rho_weak, self.rho),
            ("rho, weak disorder, each draw", self.rho_sample, self.rho),
        ]
        lines = [f"{'':<34}{'predicted':>10}{'true':>10}{'mean error':>20}{'largest':>10}"]
        for name, predicted, truth in pairs:
            error = predicted - truth
            good = np.isfinite(error)
            n = int(good.sum())
            if n == 0:
                lines.append(f"{name:<34}{'nan':>10}{'nan':>10}")
                continue
            se = error[good].std(ddof=1) / np.sqrt(n) if n > 1 else np.nan
            text = f"{error[good].mean():.4f} ± {se:.4f}"
            lines.append(
                f"{name:<34}{predicted[good].mean():>10.4f}{truth[good].mean():>10.4f}{text:>20}"
                f"{np.abs(error[good]).max():>10.4f}" + ("" if good.all() else f"  ({len(good) - n} undefined)")
            )
        epsilon, drift = float(np.nanmean(self.disorder)), float(np.nanmean(self.drift))
        peclet = float(np.nanmean(self.peclet))
        lines.append(
            f"{len(self.rho)} draws, disorder {epsilon:.3g}, compressive drift over disorder {drift:.3g}, Péclet number"
            f" {peclet:.3g}."
        )
        if epsilon > 0.3:
            lines.append("Disorder above 0.3: weak-disorder formulas are out of their range.")
        if drift > 1:
            lines.append("Compressive drift beats disorder: the moment closure is unreliable.")
        if peclet > 0.3:
            lines.append("Péclet number above 0.3: what drift does at second order counts, also without divergence.")
        return "\n".join(lines)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Predicted against true gamma, one point a draw.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional

        Returns
        -------
        matplotlib.axes.Axes
        """
        from rattling.plotting_sweeps import plot_comparison

        return plot_comparison(self, ax)


def compare(family: Callable[..., Any], n: int = 20, *, rng: Seed = None) -> Comparison:
    """Predictions beside the truth over an ensemble.

    Parameters
    ----------
    family : callable
        ``family(rng)`` draws (model, grid); the grid is periodic.
    n : int
        Draws.
    rng : int, SeedSequence, Generator or None

    Returns
    -------
    Comparison
    """
    rows = []
    for child in random_generator(rng).spawn(n):
        model, grid = family(child)
        state = steady_state(model, grid)
        truth = typicality(state.log_density, exact_rattling(model, grid), volume=grid.volumes, dim=grid.dim)
        weak = weak_disorder(model, grid)
        drift = math.sqrt(weak.v_drift / weak.v_iso) if weak.v_iso > 0 else math.nan
        rows.append(
            [truth.gamma, truth.gamma_kl, truth.correlation, moment_closure(model, grid), weak.gamma, weak.rho]
            + [weak.gamma_sample, weak.rho_sample, weak.disorder, drift, weak.peclet]
        )
    return Comparison(*np.array(rows).reshape(n, 11).T.copy())
