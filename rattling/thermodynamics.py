"""Currents, entropy production and detailed balance, of any law and along an evolution."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from rattling._checks import real_array
from rattling.evolution import Evolution
from rattling.fokker_planck import SteadyState, cell_centred, steady_state
from rattling.grids import Grid, refuse_double_links
from rattling.markov import Generator
from rattling.results import Result

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike
    from sympy import Expr, Matrix, Symbol

    from rattling.models import Model

_POINTS = 16  # at which symbolic identities are tested


# --- currents -------------------------------------------------------------------------


@dataclass(frozen=True, repr=False, eq=False)
class Currents(Result):
    """Probability currents on a grid.

    Attributes
    ----------
    face_currents : tuple of ndarray
        Current density through the faces of each axis, positive upwards: the shape of
        the grid with one more along that axis.
    current : ndarray, shape (dim, \\*grid.shape)
        Mean of the two faces of each cell.
    divergence : ndarray, shape ``grid.shape``
        -dp/dt as a density: 0 to rounding for the steady state of the same generator,
        `steady_state(generator)`; that of a model may have the log-mean flux, which no
        generator has.
    grid : Grid
    """

    face_currents: tuple[np.ndarray, ...]
    current: np.ndarray
    divergence: np.ndarray
    grid: Grid

    _dims = {"current": ("component", "grid"), "divergence": ("grid",)}


def currents(generator: Generator, p: ArrayLike | None) -> Any:
    """Probability currents of a law on a grid.

    Parameters
    ----------
    generator : Generator
        Of a model on a grid.
    p : array_like, shape ``grid.shape``, or SteadyState
        Probabilities of the cells.

    Returns
    -------
    Currents

    Raises
    ------
    TypeError, ValueError
        For a chain without a grid (see :func:`flows`), or a law that does not fit.
    """
    _check_generator(generator)
    grid = generator.grid
    if grid is None:
        raise ValueError("a chain without a grid has no faces: flows(generator, p) gives the currents of its links")
    faces = generator._core.face_currents(_log_law(generator, p))
    divergence: Any = sum(
        np.diff(J, axis=k) / np.diff(grid.edges(k)).reshape([-1 if k == a else 1 for a in range(grid.dim)])
        for k, J in enumerate(faces)
    )
    return Currents(tuple(faces), cell_centred(faces), divergence, grid)


def flows(generator: Generator, p: ArrayLike | None) -> Any:
    """Net probability flow of each link of a chain.

    Parameters
    ----------
    generator : Generator
    p : array_like, shape ``generator.shape``, or SteadyState

    Returns
    -------
    scipy.sparse.csr_array, shape (n, n)
        ``[i, j]`` is the net flow i -> j per unit time; antisymmetric. Row sums are
        -dp/dt.
    """
    from scipy import sparse

    _check_generator(generator)
    into = _rates(generator) @ sparse.diags_array(_law(generator, p).ravel())
    return sparse.csr_array(into.T - into)


# --- entropy --------------------------------------------------------------------------


@dataclass(frozen=True, repr=False, eq=False)
class EntropyProduction(Result):
    """Entropy production rates, in units of Boltzmann's constant per unit time.

    Attributes
    ----------
    total : float, or ndarray of shape (n_times,) along an evolution
        Σ over links (a - b) log(a/b), with the flows a and b there and back. inf where a
        link has no way back, or leads to a state of probability 0.
    housekeeping : as ``total``
        What keeps the system away from detailed balance (adiabatic part), >= 0.
    excess : as ``total``
        What brings it to its steady state (non-adiabatic part), >= 0: minus the rate of
        change of the Kullback-Leibler distance to it.
    field : ndarray, shape ``generator.shape``, after (n_times,) along an evolution
        ``total`` by state: half of what each of its links produces.
    t : ndarray or None
    grid : Grid or None

    ``housekeeping`` and ``excess`` are NaN where walls absorb: nothing is steady there.
    All coordinates are taken as even under time reversal. For velocities and other odd ones
    this is not the heat that is dissipated (Spinney & Ford, Phys. Rev. Lett. 108, 170603,
    2012): underdamped motion at equilibrium has infinite production here.
    """

    total: float | np.ndarray
    housekeeping: float | np.ndarray
    excess: float | np.ndarray
    field: np.ndarray
    t: np.ndarray | None = None
    grid: Grid | None = None


def entropy_production(generator: Generator, p: ArrayLike | None, steady: ArrayLike | None = None) -> Any:
    """Entropy production of a law, and its two parts.

    Parameters
    ----------
    generator : Generator
    p : array_like of shape ``generator.shape``, SteadyState or Evolution
        Probabilities.
    steady : SteadyState, optional
        `steady_state(generator)`, of this generator and not of its model; solved for where
        it is not given.

    Returns
    -------
    EntropyProduction

    Raises
    ------
    TypeError, ValueError
        For laws that do not fit the generator.
    ReducibleError, ConvergenceError
        From :func:`rattling.steady_state`.

    References
    ----------
    Schnakenberg, Rev. Mod. Phys. 48, 571 (1976); Hatano & Sasa, Phys. Rev. Lett. 86,
    3463 (2001); Esposito & Van den Broeck, Phys. Rev. Lett. 104, 090601 (2010).
    """
    _check_generator(generator)
    if isinstance(p, Evolution):
        if p.probability.shape[1:] != generator.shape:
            raise ValueError(f"the evolution has states {p.probability.shape[1:]}, the generator {generator.shape}")
        laws, t = p.probability, p.t
    else:
        laws, t = [p], None
    log_steady = _log_steady(generator, steady)
    rows = [_split(generator, law, log_steady) for law in laws]
    field = np.array([row[0] for row in rows]).reshape(len(laws), *generator.shape)
    total, excess = field.sum(axis=tuple(range(1, field.ndim))), np.array([row[1] for row in rows])
    with np.errstate(invalid="ignore"):  # both may be infinite
        housekeeping = total - excess
    if t is None:
        return EntropyProduction(
            float(total[0]), float(housekeeping[0]), float(excess[0]), field[0], None, generator.grid
        )
    return EntropyProduction(total, housekeeping, excess, field, t, generator.grid)


def _split(generator: Generator, p: Any, log_steady: np.ndarray | None) -> Any:
    """(field of the production, its excess part)"""
    log_p = _log_law(generator, p)
    field = generator._core.entropy_production(log_p)
    if log_steady is None:
        return field, math.nan
    change = generator._core.apply(np.exp(log_p))
    with np.errstate(invalid="ignore"):
        terms = change * (log_p - log_steady)
    return field, -float(terms[change != 0].sum())


def _log_steady(generator: Generator, steady: Any) -> np.ndarray | None:
    if generator.killing.any():
        return None
    if steady is None:
        steady = steady_state(generator)
    elif not isinstance(steady, SteadyState):
        raise TypeError(f"steady must be a SteadyState, not {type(steady).__name__}")
    logs: np.ndarray = _log_law(generator, steady)
    return logs


# --- detailed balance -----------------------------------------------------------------


@dataclass(frozen=True)
class DetailedBalance:
    """Whether a symbolic model is at equilibrium, and its potential.

    Attributes
    ----------
    holds : bool
        D⁻¹(f - ∇·D) is a gradient. On periodic axes the potential must be periodic too.
    potential : sympy.Expr or None
        U, with p = e^{-beta U} / Z; for a constant isotropic D the one that f = -∇U.
        None where there is none, or SymPy does not find the integral.
    beta : sympy.Expr or None
        1/D for a constant isotropic D, else 1.
    density : sympy.Expr or None
        e^{-beta U}, not normalised.
    rotation : float
        Largest component of the curl of D⁻¹(f - ∇·D) at 16 points, relative to the size
        of its derivatives.
    reason : str
        "" or why there is no potential.
    """

    holds: bool
    potential: object
    beta: object
    density: object
    rotation: float
    reason: str


def detailed_balance(model: Model) -> DetailedBalance:
    """Test a symbolic model for detailed balance, and find its potential.

    Without current, ∇ log p = F with F = D⁻¹(f - ∇·D), (∇·D)_i = Σ_j ∂_j D_ij: so F must
    be a gradient. Its curl is evaluated to 30 digits at 16 points within [-1, 1].
    For models that are not symbolic, see :func:`cycle_affinities`.

    Parameters
    ----------
    model : Model
        From :meth:`rattling.Model.from_sympy` or
        :meth:`rattling.Model.with_steady_state`.

    Returns
    -------
    DetailedBalance

    Raises
    ------
    ValueError
        If the model is not symbolic, or its diffusion tensor is singular everywhere.

    References
    ----------
    Risken, The Fokker-Planck Equation (1989), section 6.4.
    """
    import sympy as sp

    drift: Any = getattr(model, "ito_drift", None)
    tensor: Any = getattr(model, "diffusion_tensor", None)
    if drift is None:
        raise ValueError("model must be symbolic: for functions, test its generator on a grid with cycle_affinities")
    variables = _symbols(drift, tensor, model.variables)
    values = {
        s: sp.Float(model.parameters[s.name], 30)
        for s in drift.free_symbols | tensor.free_symbols
        if s not in variables and s.name in model.parameters
    }
    if sp.simplify(tensor.det()) == 0:
        raise ValueError("the diffusion tensor is singular: without noise in all directions there is no such test")
    force = tensor.LUsolve(
        drift - sp.Matrix([sum(tensor[i, j].diff(x) for j, x in enumerate(variables)) for i in range(len(variables))])
    )
    force = force.applyfunc(sp.simplify)
    rotation = _rotation(force, variables, values)
    if rotation > 1e-12:
        return DetailedBalance(False, None, None, None, rotation, "D⁻¹(f - ∇·D) is not a gradient")
    log_density = _primitive(force, variables)
    if log_density is None:
        return DetailedBalance(True, None, None, None, rotation, "SymPy does not find the integral")
    first = tensor[0, 0]
    isotropic = tensor == first * sp.eye(len(variables)) and not first.free_symbols & set(variables)
    beta = 1 / first if isotropic else sp.Integer(1)
    potential = sp.simplify(-log_density / beta)
    return DetailedBalance(True, potential, beta, sp.exp(-beta * potential), rotation, "")


def _symbols(drift: Matrix, tensor: Matrix, names: Any) -> Any:
    """The symbols of the variables, as they stand in the expressions."""
    import sympy as sp

    known = {s.name: s for s in drift.free_symbols | tensor.free_symbols}
    return [known.get(name, sp.Symbol(name, real=True)) for name in names]


def _rotation(force: Matrix, variables: Sequence[Symbol], values: Any) -> Any:
    """Largest |∂_i F_j - ∂_j F_i| relative to the largest |∂_i F_j|, over random points."""
    import sympy as sp

    rng = np.random.default_rng(0)
    jacobian = force.jacobian(variables).subs(values)
    curl = size = 0.0
    for _ in range(_POINTS if len(variables) > 1 else 0):
        point = {x: sp.Rational(int(rng.integers(-999, 1000)), 1009) for x in variables}
        J = jacobian.subs(point).applyfunc(lambda entry: sp.N(entry, 30))
        if all(entry.is_finite for entry in J):
            curl = max(curl, *(float(abs(entry)) for entry in J - J.T))
            size = max(size, *(float(abs(entry)) for entry in J))
    return curl / size if size > 0 else 0.0


def _primitive(force: Matrix, variables: Sequence[Symbol]) -> Expr | None:
    """The function whose gradient this is, one variable after the other; or None."""
    import sympy as sp

    total = sp.Integer(0)
    for k, x in enumerate(variables):
        rest = sp.simplify(force[k] - total.diff(x))
        for value in (0, 1):  # it does not depend on the variables before, seen or not
            there = rest.subs({y: value for y in variables[:k]})
            if not there.has(sp.zoo, sp.nan, sp.oo):
                break
        total += sp.integrate(sp.expand(there), x)
    return None if total.has(sp.Integral) else total


@dataclass(frozen=True, repr=False, eq=False)
class CycleAffinities(Result):
    """Affinities of the independent cycles of a chain.

    Attributes
    ----------
    holds : bool
        Detailed balance: no affinity exceeds ``rtol`` times the sum of the terms.
    largest : float
        Largest |Σ log(rate there / rate back)| around a cycle; inf if a link has no way
        back.
    affinities : ndarray, shape (n_cycles,)
        One for each link outside a spanning tree, around the cycle that it closes.
    links : ndarray of int, shape (n_cycles, 2)
        These links, from and to.
    log_p : ndarray, shape ``generator.shape``
        log p up to a constant, where detailed balance holds: as everywhere, of the density on
        a grid.
    """

    holds: bool
    largest: float
    affinities: np.ndarray
    links: np.ndarray
    log_p: np.ndarray


def cycle_affinities(generator: Generator, rtol: float = 1e-09) -> CycleAffinities:
    """Kolmogorov's criterion: are all cycles of a chain free of driving?

    Parameters
    ----------
    generator : Generator
        Connected.
    rtol : float
        What counts as 0, relative to the sum of the absolute terms around a cycle.

    Returns
    -------
    CycleAffinities

    Raises
    ------
    ValueError
        If the states are not all connected, or for a periodic axis of two cells, between
        which two links run.

    References
    ----------
    Kolmogorov, Math. Ann. 112, 155 (1936); Schnakenberg, Rev. Mod. Phys. 48, 571 (1976).
    """
    from scipy.sparse.csgraph import breadth_first_order

    _check_generator(generator)
    refuse_double_links("cycle_affinities", generator.grid)
    n, into = generator.n, _rates(generator)
    both = (into + into.T).tocoo()
    once = both.row < both.col
    low, high = both.row[once], both.col[once]
    with np.errstate(divide="ignore"):
        force = np.log(into[high, low]) - np.log(into[low, high])  # log p_high - log p_low
    order, parent = breadth_first_order(both.tocsr(), 0, directed=False)
    if len(order) < n:
        raise ValueError(f"the states must be connected: only {len(order)} of {n} are with the first one")
    parent[0] = 0
    tree = (parent[low] == high) | (parent[high] == low)
    step, size = np.zeros(n), np.zeros(n)
    up = parent[high[tree]] == low[tree]  # the child is the upper one
    child = np.where(up, high[tree], low[tree])
    step[child] = np.where(up, force[tree], -force[tree])
    size[child] = np.abs(step[child])
    ancestor = parent.astype(np.intp)
    while ancestor.any():  # sums along the ways to the root, twice as long in each round
        step, size, ancestor = step + step[ancestor], size + size[ancestor], ancestor[ancestor]
    low, high, force = low[~tree], high[~tree], force[~tree]
    with np.errstate(invalid="ignore"):
        affinity = force - (step[high] - step[low])
    affinity[np.isnan(affinity)] = np.inf
    scale = np.abs(force) + size[high] + size[low]
    largest = float(np.abs(affinity).max(initial=0.0)) if np.isfinite(step).all() else math.inf
    holds = math.isfinite(largest) and bool((np.abs(affinity) <= rtol * scale).all())
    log_p = step.reshape(generator.shape)
    if generator.grid is not None:
        log_p = log_p - np.log(generator.grid.volumes)
    return CycleAffinities(holds, largest, affinity, np.column_stack([low, high]), log_p)


# --- arguments ------------------------------------------------------------------------


def _check_generator(generator: object) -> None:
    if not isinstance(generator, Generator):
        raise TypeError(f"generator must be a Generator, not {type(generator).__name__}")


def _law(generator: Generator, p: Any) -> Any:
    """Probabilities in the shape of the generator."""
    p = p.probability if isinstance(p, SteadyState) else real_array("p", p)
    if p.shape != generator.shape:
        raise ValueError(f"p must have shape {generator.shape}; got {p.shape}")
    if not np.isfinite(p).all():
        raise ValueError("p must be finite")
    if p.min() < -1e-9 * p.max():
        raise ValueError(f"p must not be negative; its smallest value is {p.min()}")
    return p


def _log_law(generator: Generator, p: Any) -> Any:
    """log p of each state, (n,); that of a SteadyState does not underflow."""
    if not isinstance(p, SteadyState):
        with np.errstate(divide="ignore"):
            return np.log(np.maximum(_law(generator, p), 0.0)).ravel()
    if p.log_density.shape != generator.shape:
        raise ValueError(f"the steady state has shape {p.log_density.shape}, the generator {generator.shape}")
    log_volume = 0.0 if generator.grid is None else np.log(generator.grid.volumes)
    return (p.log_density + log_volume).ravel()


def _rates(generator: Generator) -> Any:
    """Rates as a sparse matrix, [i, j] = j -> i, without the diagonal."""
    from scipy import sparse

    start, source, rate = generator._core.rows()
    into = sparse.csr_array((rate, source, start), shape=(generator.n, generator.n))
    into.sum_duplicates()
    return into
