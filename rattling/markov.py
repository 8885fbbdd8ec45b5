"""Markov generators: the one object that both grids and chains become."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from rattling import _core
from rattling._checks import read_array, real_array

if TYPE_CHECKING:

    from numpy.typing import ArrayLike
    from scipy import sparse

    from rattling._typing import Progress, Seed
    from rattling.grids import Grid
    from rattling.jumps import JumpPaths
    from rattling.models import Model


class Generator:
    """A Markov generator W: ``dp/dt = W p``, columns sum to 0, or to minus ``killing``.

    Made by :func:`rattling.generator` from a model on a grid, or by
    :meth:`from_rates` from any rate matrix.

    Attributes
    ----------
    n : int
        Number of states (cells).
    grid : Grid or None
    model : Model or None
        What was put on the grid.
    matrix : scipy.sparse.csc_array, shape (n, n)
        ``matrix[i, j]`` is the rate j -> i, per unit time; the diagonal is minus the
        exit rates.
    exit_rates : ndarray, shape ``grid.shape`` or (n,)
        Rate at which each state is left, per unit time.
    killing : ndarray, shape ``grid.shape`` or (n,)
        Rate at which each state is left for good (through absorbing walls), per unit
        time. It is part of the exit rate.
    added_diffusion : float
        The largest amount that had to be added to a cell's diffusion tensor, over its mean
        eigenvalue in units of the cells, so that its jumps do not get longer than about
        the root of the number of cells along an axis. 0 except for very anisotropic or
        degenerate tensors; it vanishes as the grid is refined.
    peclet : float
        Largest cell Péclet number: the integral of drift over diffusion between
        neighbouring cells, where that is finite. Where it is well above 2 the generator is
        only first-order accurate. 0 for a chain without a grid.
    upwind_links : int
        Number of links between cells across which there is a drift, but on one side no
        diffusion (or less than 1e-8 of the drift's step): they have no finite Péclet number, and
        rates as by upwinding.
    """

    def __init__(
        self,
        core: _core.Generator,
        grid: Grid | None = None,
        variables: tuple[str, ...] | None = None,
        model: Model | None = None,
    ) -> None:
        if not isinstance(core, _core.Generator):
            raise TypeError(
                f"a Generator is made by rattling.generator(model, grid) or by Generator.from_rates(rates), not from {type(core).__name__}"
            )
        self._core = core
        self.grid = grid
        self.variables = variables
        self.model = model

    @classmethod
    def from_rates(cls, rates: Any, killing: ArrayLike | None = None) -> Generator:
        """A generator from transition rates.

        Parameters
        ----------
        rates : array_like or scipy.sparse array, shape (n, n)
            ``rates[i, j]`` is the rate i -> j, per unit time, at least 0. The diagonal
            is ignored.
        killing : array_like, shape (n,), optional
            Rate at which each state is left for good, at least 0.

        Returns
        -------
        Generator

        Raises
        ------
        ValueError
            If ``rates`` is not square, ``killing`` does not fit it, a rate is
            negative or not finite (it is named), or its diagonal shows it to be W, the
            transpose.
        TypeError
            If ``rates`` does not hold real numbers.
        """
        if hasattr(rates, "tocoo"):
            entries = rates.tocoo()
            shape, source, target, values = entries.shape, entries.row, entries.col, entries.data
        else:
            dense = read_array("rates", rates)
            dense = real_array("rates", dense.astype(float) if dense.dtype == bool else dense)
            shape = dense.shape
            if dense.ndim == 2:
                source, target = np.nonzero(dense)
                values = dense[source, target]
        if len(shape) != 2 or shape[0] != shape[1] or shape[0] < 1:
            raise ValueError(f"rates must be a square matrix, (n, n) with n >= 1; got shape {shape}")
        _check_orientation(shape[0], source, target, values)
        return cls(_core.Generator.from_rates(shape[0], source, target, values, killing))

    @property
    def n(self) -> int:
        return self._core.n

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of a field over the states: that of the grid, or (n,)."""
        return (self.n,) if self.grid is None else self.grid.shape

    @property
    def peclet(self) -> float:
        return self._core.peclet

    @property
    def exit_rates(self) -> np.ndarray:
        return self._core.exit_rates().reshape(self.shape)

    @property
    def added_diffusion(self) -> float:
        return self._core.added_diffusion

    @property
    def upwind_links(self) -> int:
        return self._core.upwind_links

    @property
    def killing(self) -> np.ndarray:
        return self._core.killing().reshape(self.shape)

    @property
    def matrix(self) -> sparse.csc_array:
        from scipy import sparse

        return (self._inflows() - sparse.diags_array(self._core.exit_rates(), format="csr")).tocsc()

    def _inflows(self) -> sparse.csr_array:
        """W without its diagonal."""
        from scipy import sparse

        start, source, rate = self._core.rows()
        return sparse.csr_array((rate, source, start), shape=(self.n, self.n))

    def _adjoint(self, values: np.ndarray) -> np.ndarray:
        """Wᵀ times values, (n,): their mean rate of change when a state has been left."""
        change: np.ndarray = self._inflows().T @ values - self._core.exit_rates() * values
        return change

    def recurrent_classes(self) -> tuple[list[np.ndarray], np.ndarray]:
        """States of each recurrent class, as a list of index arrays, and the transient ones.

        Returns
        -------
        classes : list of ndarray of int
        transient : ndarray of int
            Numbers of states; on a grid in C order of the cells.
        """
        labels, number = self._core.recurrent_classes()
        order = np.argsort(labels, kind="stable")
        bounds = np.searchsorted(labels[order], np.arange(number + 1))
        return np.split(order[bounds[0] :], bounds[1:-1] - bounds[0]), order[: bounds[0]]

    def sample_paths(
        self,
        start: ArrayLike,
        n_jumps: int,
        *,
        n_paths: int | None = None,
        rng: Seed = None,
        threads: int | None = None,
        progress: Progress = False,
    ) -> JumpPaths:
        """Paths of the chain, jump by jump (Gillespie's method).

        Parameters
        ----------
        start : int or array_like of int, shape (n_paths,)
            State they start from; on a grid, the number of the cell in C order.
        n_jumps : int
            Jumps of each path.
        n_paths : int, optional
            Number of paths; 1, or the number of starts, if not given.
        rng : int, SeedSequence, Generator, BitGenerator or None
            Seed, as for `simulate`.
        threads : int, optional
        progress : bool or callable
            False; True for a bar (needs tqdm); or a function called with the share done.

        Returns
        -------
        JumpPaths

        Raises
        ------
        ValueError
            For a start that is not a state, and arguments out of their range.

        References
        ----------
        D. T. Gillespie, J. Phys. Chem. 81, 2340 (1977).

        Examples
        --------
        >>> import rattling
        >>> chain = rattling.Generator.from_rates([[0, 1], [2, 0]])
        >>> paths = chain.sample_paths(0, 1000, rng=1)
        >>> paths.states[0, :4]
        array([0, 1, 0, 1], dtype=int32)
        """
        from rattling.jumps import sample_paths

        return sample_paths(self, start, n_jumps, n_paths, rng, threads, progress)

    def __repr__(self) -> str:
        where = f"grid of shape {self.grid.shape}" if self.grid is not None else "chain"
        return f"Generator({where}, {self.n} states)"


def irreducible_parts(generator: Generator) -> list[tuple[_core.Generator, np.ndarray | None]]:
    """(core chain, its states) of each recurrent class; the states are None for all."""
    labels, _ = generator._core.recurrent_classes()
    if not labels.any():  # the one class 0, and no transient states
        return [(generator._core, None)]
    classes, _ = generator.recurrent_classes()
    return [(generator._core.restrict(states.astype(np.int32)), states) for states in classes]


def not_unique(generator: Generator) -> _core.ReducibleError:
    """The ReducibleError that names the recurrent classes."""
    classes, _ = generator.recurrent_classes()
    error = _core.ReducibleError(
        f"the steady state is not unique: there are {len(classes)} recurrent classes, "
        + "; ".join(_describe(states, generator.grid) for states in classes[:3])
        + ("; ..." if len(classes) > 3 else "")
        + ". Ask for one law a class with classes='all'"
    )
    error.classes = classes
    return error


def _describe(states: np.ndarray, grid: Grid | None) -> str:
    """ "120 cells within [-1, 0] x [2, 3]" """
    if grid is None:
        numbers = ", ".join(map(str, states[:4])) + (", ..." if len(states) > 4 else "")
        return f"{len(states)} state{'s' if len(states) > 1 else ''} ({numbers})"
    index = np.unravel_index(states, grid.shape)
    box = " x ".join(
        f"[{grid.edges(axis)[i.min()]:.6g}, {grid.edges(axis)[i.max() + 1]:.6g}]" for axis, i in enumerate(index)
    )
    return f"{len(states)} cell{'s' if len(states) > 1 else ''} within {box}"


def _check_orientation(n: int, source: np.ndarray, target: np.ndarray, rates: np.ndarray) -> None:
    """A diagonal that makes columns sum to 0, and not rows, is that of W, whose elements are rates j -> i."""
    if not (rates[source == target] < 0).any():
        return
    leaving, entering = (np.abs(np.bincount(states, rates, n)).max() for states in (source, target))
    if entering < 1e-9 * np.abs(rates).max() < 1e-6 * leaving:
        raise ValueError("rates[i, j] must be the rate i -> j, but the columns sum to 0 and the rows do not: give the transpose")
