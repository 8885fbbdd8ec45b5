"""The law's prediction beside the solved steady state.

The public names are in `rattling.engineering`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from rattling._checks import number
from rattling.apriori import moment_closure
from rattling.fokker_planck import steady_state
from rattling.grids import Grid
from rattling.markov import Generator
from rattling.models import Model, exact_rattling
from rattling.results import Result, table
from rattling.typicality import Typicality, typicality

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike


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

    def plot(self, ax: Axes | None = None) -> Axes:
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


def verify(
    system: Model | Generator, grid: Grid | None = None, *, region: ArrayLike | None = None, gamma: float | None = None
) -> Verification:
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
    grid, rattling, volume = setting(system, grid)
    inside = None if region is None else read_region(region, rattling.shape)
    gamma = read_gamma(system, grid, gamma)
    log_q = log_law(gamma, rattling, volume)
    predicted = np.exp(log_q)
    state = steady_state(system, None if isinstance(system, Generator) else grid)
    scores = typicality(state.log_density, rattling, volume=volume, dim=None if grid is None else grid.dim)
    shares = [float(q[inside].sum()) if inside is not None else math.nan for q in (predicted, state.probability, volume)]
    log_p = np.log(volume) + state.log_density
    kl = float(np.sum(state.probability * (log_p - _log_sum(log_p) - log_q)))
    return Verification(
        predicted=predicted,
        obtained=state.probability,
        gamma=gamma,
        rattling=rattling,
        total_variation=0.5 * float(np.abs(predicted - state.probability).sum()),
        kl_explained=1 - kl / scores.kl_uniform if scores.kl_uniform > 1e-12 else math.nan,
        region_predicted=shares[0],
        region_obtained=shares[1],
        region_volume=shares[2] / float(volume.sum()),
        scores=scores,
        grid=grid,
    )


def setting(system: object, grid: Grid | None) -> tuple[Grid | None, np.ndarray, np.ndarray]:
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


def read_region(region: ArrayLike, shape: tuple[int, ...]) -> np.ndarray:
    mask = np.asarray(region)
    if mask.dtype != bool:
        raise TypeError(f"region must be a mask of booleans, not of {mask.dtype}")
    if mask.shape != shape:
        raise ValueError(f"region must have the shape of the states, {shape}; got {mask.shape}")
    if not mask.any() or mask.all():
        raise ValueError("region must have some of the states, and not all")
    return mask


def read_gamma(system: Model | Generator, grid: Grid | None, gamma: float | None) -> float:
    if gamma is not None:
        return float(number("gamma", gamma))
    chain = isinstance(system, Generator)
    found = moment_closure(system, None if chain else grid)
    return found if math.isfinite(found) else 1.0 if grid is None else 2.0 / grid.dim


def log_law(gamma: float, rattling: np.ndarray, volume: np.ndarray) -> np.ndarray:
    """Logarithms of the probabilities exp(-γR)/Z."""
    log_p = np.log(volume) - gamma * rattling
    log_q: np.ndarray = log_p - _log_sum(log_p)
    return log_q


def _log_sum(log_p: np.ndarray) -> float:
    top = log_p.max()
    return float(top + math.log(np.exp(log_p - top).sum()))
