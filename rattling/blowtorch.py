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
from typing import TYPE_CHECKING

import numpy as np

from rattling import _core
from rattling.decomposition import local_global
from rattling.fokker_planck import generator as make_generator
from rattling.fokker_planck import steady_state
from rattling.grids import Grid
from rattling.markov import Generator
from rattling.models import Model, exact_rattling
from rattling.results import Result
from rattling.typicality import typicality

if TYPE_CHECKING:
    from matplotlib.axes import Axes

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

_DIRECT = {1: 2_000_000, 2: 300_000}  # cells up to which a sparse factorisation is cheap, by dimension
_DIRECT_OTHER = 30_000


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

    def plot(self, ax=None) -> Axes:
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
    *, heat=4.0, position=0.5, width=0.15, temperature=0.2, height=1.0, interpretation="ito", n_cells=2000
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
    ratios = {}
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


def _normalise(log_p, grid):
    top = log_p.max()
    return log_p - top - math.log(np.sum(np.exp(log_p - top) * grid.volumes))


def _right_over_left(x, log_p):
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

    def plot(self, ax=None) -> Axes:
        """Correlation over the whole box against the heat. Returns the axes."""
        from rattling.plotting import current_axes

        ax = current_axes(ax)
        ax.plot(self.heat, self.correlation, "o-", label="correlation of $-\\log p$ with $R$")
        ax.plot(self.heat, self.kl_explained, "s-", label="KL explained")
        ax.axhline(0, color="0.5", linewidth=0.8)
        ax.set(xlabel="heat $A$ of the spot", ylabel="score over the whole box")
        ax.legend(frameon=False)
        return ax


def scan(heats, **parameters) -> Scan:
    """How the law fares over the whole space while the torch grows.

    Landauer's theorem forbids that local quantities tell the balance of two states. It
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


def heat_bounds(generator, x, y) -> HeatBounds:
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
    x, y = (_state(name, value, generator.n) for name, value in (("x", x), ("y", y)))
    if generator.grid is not None and any(
        n == 2 and side[0] == "periodic" for n, side in zip(generator.grid.shape, generator.grid.boundary, strict=True)
    ):
        raise ValueError("heat_bounds: a periodic axis of two cells has two links between the same cells")
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


def _state(name, value, n):
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{name} must be the number of a state; got {value!r}")
    if not 0 <= value < n:
        raise ValueError(f"{name} must be a state, 0 to {n - 1}; got {value!r}")
    return int(value)


# --- susceptibility -----------------------------------------------------------------------


@dataclass(frozen=True, repr=False, eq=False)
class Susceptibility(Result):
    """How the balance of two regions answers to noise and force anywhere; made by
    :func:`susceptibility`.

    Attributes
    ----------
    log_ratio : float
        L = log P_A/P_B.
    diffusion : ndarray, shape (dim, \\*grid.shape), or None for a chain
        δL/δ log D_k(x), 1/volume: L changes by the integral of diffusion × δ log D. The
        Itô drift stays as it is. For a full tensor D, of shape (1, \\*grid.shape): all of
        D(x) grows alike.
    drift : ndarray, shape (dim, \\*grid.shape), or None for a chain
        δL/δf_k(x), time/(length × volume).
    source, target : ndarray of int, shape (n_rates,)
        The transitions source -> target of the chain.
    rates : ndarray, shape (n_rates,)
        dL/d log w of each.
    adjoint : ndarray, shape ``grid.shape`` or (n,)
        a with Wᵀ a = 1_A/P_A - 1_B/P_B, zero at the likeliest state; NaN in transient ones.
    probability : ndarray, shape ``grid.shape`` or (n,)
        Of the steady state.
    residual : float
        Largest error of that equation over the largest right-hand side.
    grid : Grid or None
    variables : tuple of str or None
    """

    log_ratio: float
    diffusion: np.ndarray | None
    drift: np.ndarray | None
    source: np.ndarray = field(repr=False)
    target: np.ndarray = field(repr=False)
    rates: np.ndarray = field(repr=False)
    adjoint: np.ndarray
    probability: np.ndarray = field(repr=False)
    residual: float
    grid: Grid | None = None
    variables: tuple | None = None

    _dims = {
        "diffusion": ("component", "grid"),
        "drift": ("component", "grid"),
        "adjoint": ("grid",),
        "probability": ("grid",),
    }

    @property
    def torch(self):
        """δL/δ log D(x) of an isotropic torch, shape ``grid.shape``: heat all components
        alike at x."""
        if self.grid is None:
            raise ValueError("a chain without a grid has no place for a torch: see rates")
        return self.diffusion.sum(axis=0)

    def predict(self, *, log_diffusion=0.0, drift=0.0):
        """The change of L, to first order, for given changes of the fields.

        Parameters
        ----------
        log_diffusion, drift : array_like
            δ log D and δf: numbers, or arrays that broadcast to (dim, \\*grid.shape).

        Returns
        -------
        float
        """
        if self.grid is None:
            raise ValueError("a chain without a grid has no fields: see rates")
        volumes = self.grid.volumes
        return float(np.sum(self.diffusion * log_diffusion * volumes) + np.sum(self.drift * drift * volumes))

    def reactivities(self):
        """dL/d log a of each link, w = a e^(s/2): both ways change alike.

        Returns
        -------
        scipy.sparse.csr_array, shape (n, n)
            Symmetric. All 0 in detailed balance.
        """
        from scipy import sparse

        n = self.adjoint.size
        one = sparse.coo_array((self.rates, (self.source, self.target)), shape=(n, n)).tocsr()
        return one + one.T

    def plot(self, ax=None) -> Axes:
        """A map of where an isotropic torch would change the balance. Returns the axes."""
        from rattling.plotting import plot_field

        if self.grid is None:
            raise ValueError("a chain without a grid has no map")
        label = r"$\delta \log(P_A/P_B)\, /\, \delta \log D(x)$"
        return plot_field(ax, self.grid, self.torch, label=label, variables=self.variables, diverging=True)


def susceptibility(model, a, b, grid=None, *, rtol=1e-12) -> Susceptibility:
    """Where a torch, or a push, would change the balance of two regions.

    Parameters
    ----------
    model : Generator or Model
    a, b : array_like of bool
        The regions A and B, in the shape of the grid or of the states; or for a chain
        the number of one state each.
    grid : Grid, optional
        Needed with a model.
    rtol : float
        Of the steady state.

    Returns
    -------
    Susceptibility

    Raises
    ------
    ValueError
        For regions that are empty, overlap, have another shape or no probability, or a
        generator with absorbing walls.
    ConvergenceError
        If the adjoint equation cannot be solved to 1e-6.

    Notes
    -----
    With W p = 0, a change δW moves L = log P_A/P_B by -aᵀ δW p, where
    Wᵀ a = 1_A/P_A - 1_B/P_B: one linear solve with the transposed generator gives the
    answer to changes everywhere (the adjoint method; for chains see Conlisk 1985, J. Econ.
    Dyn. Control 9, 139). δW follows from differentiating the rates of the grid's faces. A
    change at one cell means one that falls linearly to 0 at the neighbouring centres, as
    the rates see the fields between them. For full tensors, -p D_ij ∂_i∂_j a and -p ∂_k a are
    taken on the grid, to second order. In detailed balance a torch that acts on
    reactivities alone changes nothing: `reactivities` is 0.

    Examples
    --------
    >>> import numpy as np
    >>> import rattling
    >>> model = rattling.systems.hot_spot_double_well()
    >>> grid = rattling.systems.default_grid("hot_spot_double_well", 200)
    >>> x = grid.centres(0)
    >>> map = rattling.blowtorch.susceptibility(model, x > 0, x < 0, grid)
    >>> bool(0 < x[map.torch.argmin()] < 1)
    True
    """
    if isinstance(model, Generator):
        if grid is not None:
            raise TypeError("grid must be left out with a Generator: it has its own")
        chain = model
    else:
        if grid is None:
            raise TypeError("grid is needed with a model")
        chain = make_generator(model, grid)
    killing = getattr(chain, "killing", None)
    if killing is not None and np.any(killing):
        raise ValueError("susceptibility: the steady state of a generator with absorbing walls is 0")
    a, b = (_region(name, value, chain.shape) for name, value in (("a", a), ("b", b)))
    if (a & b).any():
        raise ValueError(f"a and b must not overlap; {int((a & b).sum())} states are in both")
    p = steady_state(chain, rtol=rtol).probability
    masses = [float(p[region].sum()) for region in (a, b)]
    for name, mass in zip("ab", masses, strict=True):
        if not mass > 0:
            raise ValueError(f"the region {name} has no probability")
    right = a / masses[0] - b / masses[1]
    adjoint, residual = _solve_adjoint(chain, p.ravel(), right.ravel())
    known = np.where(np.isnan(adjoint), 0.0, adjoint)  # transient states have p = 0
    start, source, _ = chain._core.rows()
    result = {
        "source": source.astype(np.int64),
        "target": np.repeat(np.arange(chain.n), np.diff(start)),
        "rates": _core.response_rates(chain._core, p.ravel(), known),
    }
    fields: dict = {"diffusion": None, "drift": None}
    if chain.grid is not None and chain.model is not None:
        points = np.ascontiguousarray(chain.grid.points().T)
        compiled = chain.model._compiled(points)
        if compiled.is_diagonal:
            answers = _core.response_fields(compiled, chain.grid._core, p.ravel(), known)
        else:
            answers = _response_of_tensors(chain, p, known.reshape(chain.shape))
        fields = {
            name: answer.reshape(-1, *chain.shape) / chain.grid.volumes
            for name, answer in zip(fields, answers, strict=True)
        }
    return Susceptibility(
        log_ratio=math.log(masses[0]) - math.log(masses[1]),
        **fields,
        **result,
        adjoint=adjoint.reshape(chain.shape),
        probability=p,
        residual=residual,
        grid=chain.grid,
        variables=chain.variables,
    )


def _response_of_tensors(chain, p, adjoint):
    """-p D_ij ∂_i∂_j a, (1, n), by the generator without drift, whose rates out of a cell are
    those of its own D; and -p ∂_k a, (dim, n), by differences."""
    model, grid = chain.model, chain.grid
    spread = make_generator(Model(np.zeros_like, model.diffusion, dim=grid.dim), grid).matrix
    slopes = []
    for axis in range(grid.dim):
        x, values = grid.centres(axis), np.moveaxis(adjoint, axis, 0)
        if grid.boundary[axis][0] == "periodic":
            length = grid.edges(axis)[-1] - grid.edges(axis)[0]
            x = np.concatenate([x[-1:] - length, x, x[:1] + length])
            slope = np.gradient(np.concatenate([values[-1:], values, values[:1]]), x, axis=0)[1:-1]
        else:
            slope = np.gradient(values, x, axis=0)
        slopes.append(np.moveaxis(slope, 0, axis))
    return -p * (spread.T @ adjoint.ravel()).reshape(p.shape), -p * np.array(slopes)


def _region(name, value, shape):
    """A mask in the shape of the states."""
    if isinstance(value, (int, np.integer)) and not isinstance(value, bool) and len(shape) == 1:
        mask = np.zeros(shape, dtype=bool)
        mask[_state(name, value, shape[0])] = True
        return mask
    mask = np.asarray(value)
    if mask.dtype != bool:
        raise TypeError(f"{name} must be a mask of booleans, or the number of a state; got {value!r}")
    if mask.shape != shape:
        raise ValueError(f"{name} must have the shape of the states, {shape}; got {mask.shape}")
    if not mask.any():
        raise ValueError(f"{name} must not be empty")
    return mask


def _solve_adjoint(chain, p, right):
    """a with Wᵀ a = right, 0 at the likeliest state; W is restricted to where p > 0. And the
    largest residual, relative to the largest number on the right."""
    used = np.flatnonzero(p > 0)
    pin = used[np.argmax(p[used])]
    others = used[used != pin]
    transposed = chain.matrix.T.tocsc()
    matrix = transposed[others][:, others].tocsc()
    adjoint = np.full(len(p), np.nan)
    adjoint[pin] = 0.0
    dim = 0 if chain.grid is None else chain.grid.dim
    if len(others) <= _DIRECT.get(dim, _DIRECT_OTHER):
        adjoint[others] = _factorise(matrix, right[others])
    elif len(others):
        adjoint[others] = _iterate(matrix, right[others])
    error = transposed[used][:, used] @ adjoint[used] - right[used]
    residual = float(np.abs(error).max() / np.abs(right).max())
    if not residual < 1e-6:
        failure = _core.ConvergenceError(f"the adjoint equation has the residual {residual:.3g}, above 1e-6")
        failure.residual = residual
        raise failure
    return adjoint, residual


def _factorise(matrix, right):
    """Sparse LU and one step of refinement."""
    from scipy.sparse.linalg import splu

    if matrix.shape[0] == 0:
        return np.zeros(0)
    lu = splu(matrix)
    x = lu.solve(right)
    return x + lu.solve(right - matrix @ x)


def _iterate(matrix, right):
    """GMRES behind an incomplete LU."""
    from scipy.sparse.linalg import LinearOperator, gmres, spilu

    lu = spilu(matrix, drop_tol=1e-4, fill_factor=20)
    behind = LinearOperator(matrix.shape, lu.solve)
    x, _ = gmres(matrix, right, M=behind, rtol=1e-12, restart=60, maxiter=50)
    return x
