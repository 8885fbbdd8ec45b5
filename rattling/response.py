"""How the balance of two regions answers to noise and force anywhere.

The public names are in `rattling.blowtorch`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from rattling import _core
from rattling.fokker_planck import generator as make_generator
from rattling.fokker_planck import steady_state
from rattling.grids import Grid
from rattling.markov import Generator
from rattling.models import Model
from rattling.results import Result

if TYPE_CHECKING:

    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike
    from scipy import sparse

_DIRECT = {1: 2_000_000, 2: 300_000}  # cells up to which a sparse factorisation is cheap, by dimension
_DIRECT_OTHER = 30_000


def read_state(name: str, value: object, n: int) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{name} must be the number of a state; got {value!r}")
    if not 0 <= value < n:
        raise ValueError(f"{name} must be a state, 0 to {n - 1}; got {value!r}")
    return int(value)


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
    variables: tuple[str, ...] | None = None

    _dims = {
        "diffusion": ("component", "grid"),
        "drift": ("component", "grid"),
        "adjoint": ("grid",),
        "probability": ("grid",),
    }

    @property
    def torch(self) -> np.ndarray:
        """δL/δ log D(x) of an isotropic torch, shape ``grid.shape``: heat all components
        alike at x."""
        if self.diffusion is None:
            raise ValueError("a chain without a grid has no place for a torch: see rates")
        torch: np.ndarray = self.diffusion.sum(axis=0)
        return torch

    def predict(self, *, log_diffusion: float | np.ndarray = 0.0, drift: float | np.ndarray = 0.0) -> float:
        """The change of L, to first order, for given changes of the fields.

        Parameters
        ----------
        log_diffusion, drift : array_like
            δ log D and δf: numbers, or arrays that broadcast to (dim, \\*grid.shape).

        Returns
        -------
        float
        """
        if self.grid is None or self.diffusion is None or self.drift is None:
            raise ValueError("a chain without a grid has no fields: see rates")
        volumes = self.grid.volumes
        return float(np.sum(self.diffusion * log_diffusion * volumes) + np.sum(self.drift * drift * volumes))

    def reactivities(self) -> sparse.csr_array:
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

    def plot(self, ax: Axes | None = None) -> Axes:
        """A map of where an isotropic torch would change the balance. Returns the axes."""
        from rattling.plotting import plot_field

        if self.grid is None:
            raise ValueError("a chain without a grid has no map")
        label = r"$\delta \log(P_A/P_B)\, /\, \delta \log D(x)$"
        return plot_field(ax, self.grid, self.torch, label=label, variables=self.variables, diverging=True)


def susceptibility(
    model: Model | Generator, a: ArrayLike, b: ArrayLike, grid: Grid | None = None, *, rtol: float = 1e-12
) -> Susceptibility:
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
    fields: dict[str, Any] = {"diffusion": None, "drift": None}
    if chain.grid is not None and chain.model is not None:
        points = chain.grid._columns()
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


def _response_of_tensors(chain: Generator, p: np.ndarray, adjoint: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """-p D_ij ∂_i∂_j a, (1, n), by the generator without drift, whose rates out of a cell are
    those of its own D; and -p ∂_k a, (dim, n), by differences."""
    model, grid = chain.model, chain.grid
    assert model is not None and grid is not None
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


def _region(name: str, value: Any, shape: tuple[int, ...]) -> np.ndarray:
    """A mask in the shape of the states."""
    if isinstance(value, (int, np.integer)) and not isinstance(value, bool) and len(shape) == 1:
        mask = np.zeros(shape, dtype=bool)
        mask[read_state(name, value, shape[0])] = True
        return mask
    mask = np.asarray(value)
    if mask.dtype != bool:
        raise TypeError(f"{name} must be a mask of booleans, or the number of a state; got {value!r}")
    if mask.shape != shape:
        raise ValueError(f"{name} must have the shape of the states, {shape}; got {mask.shape}")
    if not mask.any():
        raise ValueError(f"{name} must not be empty")
    return mask


def _solve_adjoint(chain: Generator, p: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, float]:
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
    else:
        adjoint[others] = _iterate(matrix, right[others])
    error = transposed[used][:, used] @ adjoint[used] - right[used]
    residual = float(np.abs(error).max() / np.abs(right).max())
    if not residual < 1e-6:
        failure = _core.ConvergenceError(f"the adjoint equation has the residual {residual:.3g}, above 1e-6")
        failure.residual = residual
        raise failure
    return adjoint, residual


def _factorise(matrix: sparse.csc_array, right: np.ndarray) -> np.ndarray:
    """Sparse LU and one step of refinement."""
    from scipy.sparse.linalg import splu

    lu = splu(matrix)
    x: np.ndarray = lu.solve(right)
    x += lu.solve(right - matrix @ x)
    return x


def _iterate(matrix: sparse.csc_array, right: np.ndarray) -> np.ndarray:
    """GMRES behind an incomplete LU."""
    from scipy.sparse.linalg import LinearOperator, gmres, spilu

    lu = spilu(matrix, drop_tol=1e-4, fill_factor=20)
    behind = LinearOperator(matrix.shape, lu.solve)
    x: np.ndarray = gmres(matrix, right, M=behind, rtol=1e-12, restart=60, maxiter=50)[0]
    return x
