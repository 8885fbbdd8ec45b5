"""What a steady state owes to its local rates, and what to everything else."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from rattling import _core
from rattling._checks import real_array
from rattling.fokker_planck import AccuracyWarning, SteadyState, steady_state
from rattling.grids import Grid
from rattling.markov import Generator
from rattling.models import Model, exact_rattling
from rattling.results import Result, table

if TYPE_CHECKING:

    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike

_CLOCKS = ("exit-rate", "trace", "determinant")


@dataclass(frozen=True, repr=False, eq=False)
class LocalGlobal(Result):
    """The local-global decomposition of a steady state; made by :func:`local_global`.

    With the clock λ and the jump chain's law ψ ∝ λ p, exactly

        ρ = (1 + r ρ̂) / √(1 + r² + 2 r ρ̂),    γ = 1 + r ρ̂.

    A number that is not defined is NaN, and :attr:`reason` says why.

    Attributes
    ----------
    r : float
        Standard deviation of log ψ over that of log λ: how uneven the global part is
        compared with the local one.
    rho_hat : float
        Correlation of -log ψ with log λ.
    rho : float
        Correlation of -log p with log λ.
    gamma : float
        Minus the least-squares slope of log p on log λ.
    gamma_rattling : float
        Minus the slope on R = ½ log det 2D, (2/dim) gamma, for the clock "determinant",
        of which R is (dim/2) log λ up to a constant; else NaN.
    rho_bound : float
        √(1 - r²), which ρ cannot fall below; NaN for r >= 1, where there is no bound.
    identity_error : float
        Largest difference between both sides of the two identities.
    jump_chain : ndarray, shape ``grid.shape`` or (n,)
        ψ: the probability of each state under the jump chain (the process run by the
        clock λ); NaN in states left out.
    clock : str
        "exit-rate", "trace", "determinant" or "given".
    clock_rates : ndarray, shape ``grid.shape`` or (n,)
        λ.
    log_p : ndarray, shape ``grid.shape`` or (n,)
    n_used, n_excluded : int
        States used, and left out because p or λ is 0.
    weights : str
        "uniform", "probability" or "given".
    reason : str
        Why some numbers are NaN; empty if none is.
    grid : Grid or None
    variables : tuple of str or None
    """

    r: float
    rho_hat: float
    rho: float
    gamma: float
    gamma_rattling: float
    rho_bound: float
    identity_error: float
    jump_chain: np.ndarray
    clock: str
    clock_rates: np.ndarray
    log_p: np.ndarray = field(repr=False)
    n_used: int
    n_excluded: int
    weights: str
    reason: str
    grid: Grid | None = None
    variables: tuple[str, ...] | None = None

    _dims = {"jump_chain": ("grid",), "clock_rates": ("grid",), "log_p": ("grid",)}

    def summary(self) -> str:
        """A table of all numbers, as text."""
        bound = "none (r >= 1)" if math.isnan(self.rho_bound) else f">= {self.rho_bound:.4f}"
        of_r = "-" if math.isnan(self.gamma_rattling) and not self.reason else f"{self.gamma_rattling:.4g}"
        rows = [
            ("r", f"{self.r:.4g}", "Clock", self.clock),
            ("rho_hat", f"{self.rho_hat:.4f}", "Weights", self.weights),
            ("rho", f"{self.rho:.4f}", "Bound on rho from r", bound),
            ("gamma (log clock)", f"{self.gamma:.4g}", "States used", f"{self.n_used}"),
            ("gamma (R)", of_r, "States left out", f"{self.n_excluded}"),
        ]
        notes = [f"Numbers shown as nan are not defined: {self.reason}."] if self.reason else []
        return table("Local and global part: p * clock = psi", rows, notes)

    def plot(self, ax: Axes | None = None) -> Axes:
        """log ψ against log λ: a cloud that is narrow, or high and without slope, leaves
        the local law right.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional

        Returns
        -------
        matplotlib.axes.Axes
        """
        from rattling.plotting import plot_local_global

        return plot_local_global(self, ax=ax)


def local_global(
    generator_or_steady_state: Generator | SteadyState,
    clock: str | ArrayLike = "exit-rate",
    *,
    weights: str | ArrayLike = "uniform",
    model: Model | None = None,
) -> LocalGlobal:
    """Split a steady state into its local rates and the law of its jump chain.

    Parameters
    ----------
    generator_or_steady_state : Generator or SteadyState
        A generator is solved first.
    clock : {"exit-rate", "trace", "determinant"} or array_like
        λ, the local rate: the exit rate q of each state; tr D, to which q is proportional
        on a fine grid where D is diagonal, cells are as wide along all axes and no wall is
        near; (det D)^(1/dim), of which R is (dim/2) log λ; or positive numbers in the shape
        of the states. On grids take one of the two that belong to the model: q depends on
        the links too, and a cell at a reflecting wall lacks some of them.
    weights : {"uniform", "probability"} or array_like
        What each state counts in variances and correlations.
    model : Model, optional
        Where D is taken from for a `SteadyState`, which does not hold its model.

    Returns
    -------
    LocalGlobal

    Raises
    ------
    TypeError
        For something else than a generator or a steady state.
    ValueError
        For a quasi-stationary law (absorbing walls), an unknown clock, a clock that needs D where there is none, shapes that do
        not fit, or negative clocks or weights.
    ReducibleError, ConvergenceError
        As :func:`steady_state`.

    Warns
    -----
    AccuracyWarning
        For exit rates on a grid with reflecting walls.

    Notes
    -----
    For a chain π q ∝ ψ, the law of the chain of its jumps (Calvert & Randall 2024, PNAS
    121, e2411731121, whose r, ρ̂ and ρ these are). A Fokker-Planck equation with drift
    f/λ and diffusion D/λ has the steady state ψ ∝ λ p, so that every clock makes such a
    decomposition, and each of them is exact.

    Examples
    --------
    >>> import rattling
    >>> chain = rattling.systems.follmer_kirman(20, 0.1, 1.0)
    >>> parts = rattling.local_global(chain)
    >>> abs(parts.gamma - (1 + parts.r * parts.rho_hat)) < 1e-12
    True
    """
    source = generator_or_steady_state
    if isinstance(source, Generator):
        model = source.model if model is None else model
        state = steady_state(source)
    elif isinstance(source, SteadyState):
        state = source
    else:
        raise TypeError(f"generator_or_steady_state must be a Generator or a SteadyState, not {type(source).__name__}")
    if state.kind != "steady":
        raise ValueError("local_global needs a steady state: λ p of a quasi-stationary law is no jump chain's law")
    rates, name = _clock_rates(clock, state, model)
    if name == "exit-rate" and state.grid is not None and "reflecting" in sum(state.grid.boundary, ()):
        warnings.warn(
            "exit rates of cells at a reflecting wall lack the links through it, whatever the model is there: r, rho and"
            " gamma depend on the grid; take clock='trace' or 'determinant'",
            AccuracyWarning,
            stacklevel=2,
        )
    volume = None if state.grid is None else state.grid.volumes
    given, rule = _weights(weights, state)
    with np.errstate(divide="ignore"):
        log_clock = np.log(rates)
    numbers: dict[str, Any] = _core.decomposition(
        state.log_density.ravel(),
        log_clock.ravel(),
        None if volume is None else volume.ravel(),
        None if given is None else given.ravel(),
    )
    jump = np.exp(numbers["log_jump"]).reshape(rates.shape)
    r, gamma = numbers["r"], numbers["gamma"]
    return LocalGlobal(
        r=r,
        rho_hat=numbers["rho_hat"],
        rho=numbers["rho"],
        gamma=gamma,
        gamma_rattling=2 * gamma / state.grid.dim if state.grid is not None and name == "determinant" else math.nan,
        rho_bound=math.sqrt(1 - r * r) if r < 1 else math.nan,
        identity_error=numbers["mismatch"],
        jump_chain=jump if volume is None else jump * volume,
        clock=name,
        clock_rates=rates,
        log_p=state.log_density,
        n_used=numbers["n_used"],
        n_excluded=rates.size - numbers["n_used"],
        weights=rule,
        reason=numbers["reason"],
        grid=state.grid,
        variables=state.variables,
    )


def _clock_rates(clock: str | ArrayLike, state: SteadyState, model: Model | None) -> tuple[np.ndarray, str]:
    """λ in the shape of the states, and the name of the clock."""
    shape = state.log_density.shape
    if not isinstance(clock, str):
        rates = _numbers("clock", clock, shape)
        return rates, "given"
    if clock not in _CLOCKS:
        raise ValueError(f"clock must be one of {', '.join(map(repr, _CLOCKS))} or an array; got {clock!r}")
    if clock == "exit-rate":
        return state.exit_rates, clock
    if state.grid is None:
        raise ValueError(f"clock {clock!r} needs a diffusion tensor, which a chain without a grid has not")
    if model is None:
        raise ValueError(
            f"clock {clock!r} needs the diffusion tensor: give the generator, or model= with a steady state"
        )
    if not isinstance(model, Model):
        raise TypeError(f"model must be a rattling.Model, not {type(model).__name__}")
    if model.dim not in (None, state.grid.dim):
        raise ValueError(
            f"model has {model.dim} coordinates, but the grid of the steady state has {state.grid.dim} axes"
        )
    dim = state.grid.dim
    if clock == "determinant":
        return 0.5 * np.exp(2.0 / dim * exact_rattling(model, state.grid)), clock
    tensor = model.diffusion(state.grid._columns())
    return np.trace(tensor).reshape(shape), clock


def _weights(weights: str | ArrayLike, state: SteadyState) -> Any:
    if not isinstance(weights, str):
        return _numbers("weights", weights, state.log_density.shape), "given"
    if weights == "uniform":
        return None, weights
    if weights == "probability":
        return state.probability, weights
    raise ValueError(f"weights must be 'uniform', 'probability' or an array; got {weights!r}")


def _numbers(name: str, value: ArrayLike, shape: tuple[int, ...]) -> np.ndarray:
    """Finite numbers that are not negative, in the shape of the states."""
    array = real_array(name, value)
    if array.shape != shape:
        raise ValueError(f"{name} must have the shape of the states, {shape}; got {array.shape}")
    wrong = ~((array >= 0) & (array < np.inf))
    if wrong.any() or not array.any():
        where = tuple(map(int, np.argwhere(wrong)[0])) if wrong.any() else None
        got = f"it is {array[where]:g} at index {where}" if where is not None else "all are 0"
        raise ValueError(f"{name} must be finite, not negative and not all 0; {got}")
    return array.astype(float)
