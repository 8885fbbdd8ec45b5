"""Landauer's blowtorch: how heat in one place decides between two others.

In equilibrium the balance of two states follows from themselves. Out of it, noise on the
way between them counts as well (Landauer 1975): no law that looks at two states only can
tell their balance. This module computes how much that is: the answer of the full problem
beside those of local laws (`two_wells`, `scan`), bounds from the heat along paths
(`heat_bounds`), and where noise or force would move the balance (`susceptibility`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from rattling import _core
from rattling.decomposition import local_global
from rattling.fokker_planck import steady_state
from rattling.grids import refuse_double_links
from rattling.markov import Generator
from rattling.models import exact_rattling
from rattling.response import Susceptibility, read_state, susceptibility
from rattling.results import Result
from rattling.typicality import typicality

if TYPE_CHECKING:

    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike

    from rattling.grids import Grid

__all__ = [
    "HeatBounds",
    "Scan",
    "Susceptibility",
    "TwoWells",
    "heat_bounds",
    "scan",
    "susceptibility",
    "two_wells",
]

# --- two wells and a hot spot -------------------------------------------------------------


@dataclass(frozen=True, repr=False, eq=False)
class TwoWells(Result):
    """Two equal wells and a hot spot; made by :func:`two_wells`.

    Ratios are right over left.

    Attributes
    ----------
    ratio : float
        P(x > 0)/P(x < 0) of the steady state.
    ratio_peaks : float
        p(1)/p(-1) of the steady state.
    ratio_local, ratio_peaks_local : float
        The same if each place were in equilibrium at its own temperature,
        p ∝ T(x)^(α-1) exp(-V(x)/T(x)): α = 0, ½, 1 for Itô, Stratonovich, anti-Itô.
    ratio_law, ratio_peaks_law : float
        The same of exp(-γR)/Z, with the γ nearest to p (`Typicality.gamma_kl`).
    correlation, gamma_kl, kl_explained : float
        Scores of that law over the whole box.
    heat, position, width, temperature, height : float
    interpretation : str
    x : ndarray, shape (n,)
    log_density, log_local : ndarray, shape (n,)
        Of the steady state, and of the local law.
    """

    ratio: float
    ratio_peaks: float
    ratio_local: float
    ratio_peaks_local: float
    ratio_law: float
    ratio_peaks_law: float
    correlation: float
    gamma_kl: float
    kl_explained: float
    heat: float
    position: float
    width: float
    temperature: float
    height: float
    interpretation: str
    x: np.ndarray = field(repr=False)
    log_density: np.ndarray = field(repr=False)
    log_local: np.ndarray = field(repr=False)

    _dims = {"log_density": ("x",), "log_local": ("x",)}
    _coords = {"x": "x"}

    def summary(self) -> str:
        """The three answers side by side, as text."""
        rows = [
            ("full steady state", self.ratio, self.ratio_peaks),
            ("local equilibrium", self.ratio_local, self.ratio_peaks_local),
            (f"exp(-{self.gamma_kl:.3g} R)/Z", self.ratio_law, self.ratio_peaks_law),
        ]
        lines = [f"{name:<20}{a:>14.5g}{b:>14.5g}" for name, a, b in rows]
        head = f"{'':<20}{'P(x>0)/P(x<0)':>14}{'p(1)/p(-1)':>14}"
        title = f"Hot spot of {self.heat:g} T0 at x = {self.position:g} ({self.interpretation})"
        return "\n".join([title.center(48).rstrip(), "=" * 48, head, *lines, "=" * 48])

    def plot(self, ax: Axes | None = None) -> Axes:
        """The density and the local law's. Returns the axes."""
        from rattling.plotting import current_axes

        ax = current_axes(ax)
        ax.plot(self.x, np.exp(self.log_density), color="C0", label="steady state")
        ax.plot(self.x, np.exp(self.log_local), color="C3", linestyle="--", label="local equilibrium")
        ax.axvspan(self.position - self.width, self.position + self.width, color="C1", alpha=0.2, label="hot spot")
        ax.set(xlabel="$x$", ylabel="probability density", xlim=(self.x[0], self.x[-1]))
        ax.legend(frameon=False)
        return ax


def two_wells(
    *,
    heat: float = 4.0,
    position: float = 0.5,
    width: float = 0.15,
    temperature: float = 0.2,
    height: float = 1.0,
    interpretation: str = "ito",
    n_cells: int = 2000,
) -> TwoWells:
    """The hot-spot double well: the answer, and what local laws say.

    Parameters
    ----------
    heat, position, width, temperature, height, interpretation
        Of `systems.hot_spot_double_well`.
    n_cells : int
        Cells on -2.2 < x < 2.2; even.

    Returns
    -------
    TwoWells

    Raises
    ------
    ValueError
        For parameters that the system refuses, or an odd number of cells.

    References
    ----------
    R. Landauer, Phys. Rev. A 12, 636 (1975).

    Examples
    --------
    >>> import rattling
    >>> wells = rattling.blowtorch.two_wells()
    >>> f"{wells.ratio:.4f} {wells.ratio_peaks_local:.3f}"
    '0.0559 0.985'
    """
    from rattling import systems

    if n_cells % 2:
        raise ValueError(f"n_cells must be even, so that a face lies between the wells; got {n_cells!r}")
    model = systems.hot_spot_double_well(
        height=height,
        temperature=temperature,
        heat=heat,
        position=position,
        width=width,
        interpretation=interpretation,
    )
    grid = systems.default_grid("hot_spot_double_well", n_cells)
    state = steady_state(model, grid)
    x = grid.centres(0)
    rattling = exact_rattling(model, grid)
    scores = typicality(state.log_density, rattling, volume=grid.volumes, dim=1)
    alpha = {"ito": 0.0, "stratonovich": 0.5, "anti-ito": 1.0}[interpretation]
    t = model.diffusion(x[None])[0, 0]
    log_local = (alpha - 1) * np.log(t) - height * (x**2 - 1) ** 2 / t
    log_law = -scores.gamma_kl * rattling if scores.gamma_kl == scores.gamma_kl else np.zeros(len(x))
    log_local = _normalise(log_local, grid)
    names = ("ratio", "ratio_peaks"), ("ratio_local", "ratio_peaks_local"), ("ratio_law", "ratio_peaks_law")
    ratios: dict[str, float] = {}
    for keys, log_p in zip(names, (state.log_density, log_local, log_law), strict=True):
        ratios |= dict(zip(keys, _right_over_left(x, log_p), strict=True))
    return TwoWells(
        **ratios,
        correlation=scores.correlation,
        gamma_kl=scores.gamma_kl,
        kl_explained=scores.kl_explained,
        heat=float(heat),
        position=float(position),
        width=float(width),
        temperature=float(temperature),
        height=float(height),
        interpretation=interpretation,
        x=x,
        log_density=state.log_density,
        log_local=log_local,
    )


def _normalise(log_p: np.ndarray, grid: Grid) -> np.ndarray:
    top = log_p.max()
    normalised: np.ndarray = log_p - top - math.log(np.sum(np.exp(log_p - top) * grid.volumes))
    return normalised


def _right_over_left(x: np.ndarray, log_p: np.ndarray) -> tuple[float, float]:
    """Mass right of 0 over that left of it, and the density's ratio at 1 and -1."""
    p = np.exp(log_p - log_p.max())
    at_one, at_minus_one = np.interp([1.0, -1.0], x, log_p)
    return float(p[x > 0].sum() / p[x < 0].sum()), float(np.exp(at_one - at_minus_one))


@dataclass(frozen=True, repr=False, eq=False)
class Scan(Result):
    """Answers and scores while a torch grows; made by :func:`scan`.

    Attributes
    ----------
    heat : ndarray, shape (n,)
    ratio, ratio_local, ratio_law : ndarray, shape (n,)
        P(x > 0)/P(x < 0), as in :class:`TwoWells`.
    correlation, gamma_kl, kl_explained : ndarray, shape (n,)
        The law's scores over the whole box; NaN where R is constant.
    r, rho_hat, rho : ndarray, shape (n,)
        The local-global decomposition with the clock "trace".
    """

    heat: np.ndarray
    ratio: np.ndarray
    ratio_local: np.ndarray
    ratio_law: np.ndarray
    correlation: np.ndarray
    gamma_kl: np.ndarray
    kl_explained: np.ndarray
    r: np.ndarray
    rho_hat: np.ndarray
    rho: np.ndarray

    _dims = {
        name: ("heat",)
        for name in "ratio ratio_local ratio_law correlation gamma_kl kl_explained r rho_hat rho".split()
    }
    _coords = {"heat": "heat"}

    def summary(self) -> str:
        """One line for each heat, as text."""
        names = "heat ratio ratio_local ratio_law correlation kl_explained r rho_hat".split()
        lines = ["".join(f"{name:>14}" for name in names)]
        lines += ["".join(f"{getattr(self, name)[k]:>14.4g}" for name in names) for k in range(len(self.heat))]
        return "\n".join(lines)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Correlation over the whole box against the heat. Returns the axes."""
        from rattling.plotting import current_axes

        ax = current_axes(ax)
        ax.plot(self.heat, self.correlation, "o-", label="correlation of $-\\log p$ with $R$")
        ax.plot(self.heat, self.kl_explained, "s-", label="KL explained")
        ax.axhline(0, color="0.5", linewidth=0.8)
        ax.set(xlabel="heat $A$ of the spot", ylabel="score over the whole box")
        ax.legend(frameon=False)
        return ax


def scan(heats: ArrayLike, **parameters: Any) -> Scan:
    """How the law fares over the whole space while the torch grows.

    Landauer's blowtorch theorem (Maes & Netočný 2013) forbids that local quantities tell the balance of two states. It
    does not forbid that they are correlated with log p over all states: this is how
    much.

    Parameters
    ----------
    heats : array_like, shape (n,)
        A of the hot spot.
    **parameters
        Others of :func:`two_wells`.

    Returns
    -------
    Scan
    """
    from rattling import systems

    heats = np.atleast_1d(np.asarray(heats, dtype=float))
    rows = []
    for heat in heats:
        wells = two_wells(heat=float(heat), **parameters)
        model = systems.hot_spot_double_well(
            **{k: v for k, v in parameters.items() if k != "n_cells"}, heat=float(heat)
        )
        grid = systems.default_grid("hot_spot_double_well", len(wells.x))
        parts = local_global(steady_state(model, grid), "trace", model=model)
        rows.append(
            [wells.ratio, wells.ratio_local, wells.ratio_law, wells.correlation, wells.gamma_kl]
            + [wells.kl_explained, parts.r, parts.rho_hat, parts.rho]
        )
    return Scan(heats, *np.array(rows).reshape(len(heats), 9).T.copy())


# --- bounds by heat -----------------------------------------------------------------------


@dataclass(frozen=True, repr=False, eq=False)
class HeatBounds(Result):
    """Bounds on log π(x)/π(y); made by :func:`heat_bounds`.

    Attributes
    ----------
    low, high : float
        Least and largest s(D) = Σ log w(u→v)/w(v→u) over simple paths D from y to x.
    log_ratio : float
        log π(x)/π(y).
    n_parts : int
        Parts of the graph without cut states that each path passes.
    n_potential : int
        Of these, parts in detailed balance, where low = high.
    x, y : int
    """

    low: float
    high: float
    log_ratio: float
    n_parts: int
    n_potential: int
    x: int
    y: int


def heat_bounds(generator: Generator, x: int, y: int) -> HeatBounds:
    """Bounds on the balance of two states by the heat along the paths between them.

    Parameters
    ----------
    generator : Generator
        Each transition has a reverse.
    x, y : int
        States; on a grid, numbers of cells in C order.

    Returns
    -------
    HeatBounds

    Raises
    ------
    ValueError
        For states that are not there or not connected, a transition without reverse, or a
        graph with exponentially many paths: more than 18 states, without detailed balance,
        that no cut state divides and that are more than one cycle.

    Notes
    -----
    min s(D) <= log π(x)/π(y) <= max s(D), because Kirchhoff's sum over trees makes
    π(x)/π(y) a weighted mean of exp s(D) (Maes & Netočný 2013, Ann. Henri Poincaré 14,
    1193, arXiv:1207.1122). Extremes over simple paths are no shortest paths: s sums to
    something else than 0 around a cycle, and to its negative the other way, so that
    some cycle always pays. They add up over cut states; in detailed balance all paths
    agree.

    Examples
    --------
    >>> import rattling
    >>> chain = rattling.systems.birth_death([1.0, 2.0], [3.0, 3.0])
    >>> bounds = rattling.blowtorch.heat_bounds(chain, 2, 0)
    >>> f"{bounds.low:.4f} {bounds.log_ratio:.4f} {bounds.high:.4f}"
    '-1.5041 -1.5041 -1.5041'
    """
    if not isinstance(generator, Generator):
        raise TypeError(f"generator must be a rattling.Generator, not {type(generator).__name__}")
    x, y = (read_state(name, value, generator.n) for name, value in (("x", x), ("y", y)))
    refuse_double_links("heat_bounds", generator.grid)
    out = _core.path_bounds(generator._core, x, y)
    if out["outcome"] == "one-way":
        raise ValueError(f"each transition must have a reverse; {out['from']} -> {out['to']} has none")
    if out["outcome"] == "unreachable":
        raise ValueError(f"no path leads from {y} to {x}")
    if out["outcome"] == "too many":
        raise ValueError(
            f"{out['states']} states between {y} and {x} are neither in detailed balance nor divided by cut"
            " states: there are exponentially many paths, and at most 18 such states are tried"
        )
    log_p = steady_state(generator).log_density.ravel()
    log_p = log_p if generator.grid is None else log_p + np.log(generator.grid.volumes).ravel()
    return HeatBounds(
        low=out["low"],
        high=out["high"],
        log_ratio=float(log_p[x] - log_p[y]),
        n_parts=out["n_parts"],
        n_potential=out["n_potential"],
        x=x,
        y=y,
    )
