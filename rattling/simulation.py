"""Simulations that go on, and what they observe instead of keeping paths."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from rattling import _core
from rattling._checks import count, positive
from rattling._paths import read_lags, terms
from rattling._progress import progress_hook
from rattling.estimators import RattlingField
from rattling.grids import Grid
from rattling.results import Result
from rattling.trajectories import Setup, exits, periods, read_walls

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

    from rattling._typing import Progress, Seed
    from rattling.models import Model
    from rattling.trajectories import Trajectories


@dataclass(frozen=True, repr=False, eq=False)
class Observation(Result):
    """Visits of the cells of a grid and sums over the increments that start in each, as a
    :class:`Simulation` collects them. Observations of the same kind can be added.

    Attributes
    ----------
    grid : Grid
    counts : ndarray of int, shape ``grid.shape``
        Observed states in each cell. States of paths that have ended at an absorbing wall
        are not counted.
    n_outside : int
        Observed states outside the grid.
    sums : ndarray, shape (n_cells, n)
        What :meth:`estimate_rattling` needs.
    lags : tuple of int
        Of the increments, in observed states; empty: visits only.
    dt : float
        Time between two observed states of a path.
    period : ndarray, shape (dim,)
        Length of each axis that is a circle, 0 for the others.
    variables : tuple of str or None
    """

    grid: Grid
    counts: np.ndarray
    n_outside: int
    sums: np.ndarray
    lags: tuple[int, ...]
    dt: float
    period: np.ndarray
    variables: tuple[str, ...] | None = None

    _dims = {"counts": ("grid",), "density": ("grid",)}

    @property
    def density(self) -> np.ndarray:
        """Share of the states seen on the grid by volume, integrating to 1; shape ``grid.shape``."""
        total = self.counts.sum()
        return self.counts / (total * self.grid.volumes) if total else np.full(self.grid.shape, np.nan)

    @property
    def log_density(self) -> np.ndarray:
        """Its logarithm, -inf in cells without visits (which `typicality` leaves out)."""
        with np.errstate(divide="ignore"):
            logs: np.ndarray = np.log(self.density)
        return logs

    def estimate_rattling(self) -> RattlingField:
        """R on the cells of the grid, as `rattling.estimate_rattling` with method "bins" finds
        it from the paths.

        Returns
        -------
        RattlingField

        Raises
        ------
        ValueError
            If only visits were observed (``lags=()``), or counts and sums contradict each other.
        """
        if not self.lags:
            raise ValueError("the simulation observed visits only; give it lags")
        if self.sums.ndim != 2 or len(self.sums) != self.counts.size or not np.isfinite(self.sums).all():
            raise ValueError(f"sums must be finite and have {self.counts.size} rows, one a cell")
        starts = self.sums[:, 0]
        wrong = np.flatnonzero((starts < 0) | (starts > self.counts.ravel()))
        if wrong.size:
            raise ValueError(
                f"counts and sums do not fit: cell {wrong[0]} has {starts[wrong[0]]:g} increments,"
                f" but {self.counts.flat[wrong[0]]} visits"
            )
        grid, dim = self.grid, self.grid.dim
        one = np.zeros(1, dtype=np.intp)
        paths = (np.zeros((1, dim)), one, one + 1, None, self.dt, self.period, *terms(self.lags, "none"))
        outputs = _core.bins(paths, grid._core, True, self.sums)
        r, stderr, covariance, drift, n_eff, counts, kurtosis = outputs
        return RattlingField(
            points=grid.points().reshape(*grid.shape, dim),
            rattling=r.reshape(grid.shape),
            stderr=stderr.reshape(grid.shape),
            covariance=covariance.reshape(*grid.shape, dim, dim),
            drift=drift.reshape(*grid.shape, dim),
            n_eff=n_eff.reshape(grid.shape),
            counts=counts.astype(np.int64).reshape(grid.shape),
            kurtosis=kurtosis.reshape(grid.shape),
            bandwidth=None,
            grid=grid,
            method="bins",
            lags=self.lags,
            dt=self.dt,
            n_invalid=int(np.isnan(r).sum()),
            n_outside=self.n_outside,
            variables=self.variables,
        )

    def __add__(self, other: Observation) -> Observation:
        if not isinstance(other, Observation):
            return NotImplemented
        if (
            self.grid != other.grid
            or (self.lags, self.dt) != (other.lags, other.dt)
            or np.any(self.period != other.period)
        ):
            raise ValueError("observations can be added where grid, lags, dt and periods are the same")
        return Observation(
            self.grid,
            self.counts + other.counts,
            self.n_outside + other.n_outside,
            self.sums + other.sums,
            self.lags,
            self.dt,
            self.period,
            self.variables,
        )


@dataclass(frozen=True, repr=False, eq=False)
class _Checkpoint(Result):
    """A saved simulation."""

    arguments: dict[str, Any]
    observed: dict[str, Any] | None
    state: tuple[Any, ...]

    def __post_init__(self) -> None:
        """A file is as it may be; what is raised here, `load` calls damage."""
        steps, *arrays = self.state
        count("steps", steps, 0, bits=48)
        count("key", self.arguments["key"], 0, bits=64)
        numbers = [*arrays, self.arguments["probe"]]
        if len(numbers) != 7 or any(not isinstance(a, np.ndarray) or a.dtype != float for a in numbers):
            raise ValueError("its state is no six arrays, or its model's values no array")
        read_walls(self.arguments["walls"], arrays[0].shape[1])
        positive("dt", self.arguments["dt"])
        if not isinstance(self.arguments["method"], str):
            raise TypeError("its method is no name")
        if self.observed is not None:
            count("every", self.observed["every"], 1, bits=48)
            if self.observed["lags"]:
                read_lags(self.observed["lags"])
            if not isinstance(self.observed["grid"], Grid) or not isinstance(self.observed["lags"], tuple):
                raise TypeError("it does not say what is observed")


class Simulation:
    """Paths that can be taken further, and observed without being kept.

    ``advance`` goes on, ``record`` goes on and keeps states, as `simulate` does. All of it
    gives the same bits, in however many calls and for any number of threads. An
    interruption (Ctrl-C), or an exception in a function of the model, loses nothing: the
    simulation stands where it was, and goes on once the function gives values again.

    Parameters
    ----------
    model, x0, dt, n_paths, method, rng, boundary, threads
        As for `simulate`.
    observe : Grid, optional
        On its cells visits are counted and increments summed, from the start on; see
        `observation`.
    lags : sequence of int
        Of the increments, in observed states: one to three, as for `estimate_rattling`;
        () for visits only, which is faster.
    every : int
        Steps between two observed states.

    Raises
    ------
    ValueError, TypeError
        As `simulate`; and for a grid of another dimension.

    Examples
    --------
    >>> import rattling
    >>> model = rattling.Model.from_sympy("-x", 0.5, variables="x")
    >>> simulation = rattling.Simulation(model, [0.0], 0.01, n_paths=100, rng=1,
    ...                                  observe=rattling.Grid([(-2, 2)], 20), every=10)
    >>> simulation.advance(10_000).n_steps
    10000
    >>> field = simulation.observation.estimate_rattling()
    >>> field.rattling.shape, int(simulation.observation.counts.sum()) > 90_000
    ((20,), True)
    """

    def __init__(
        self,
        model: Model,
        x0: ArrayLike,
        dt: float,
        *,
        n_paths: int | None = None,
        method: str = "euler-maruyama",
        rng: Seed = None,
        boundary: object = None,
        threads: int | None = None,
        observe: Grid | None = None,
        lags: int | Sequence[int] = (1, 2),
        every: int = 1,
    ) -> None:
        every = count("every", every, 1, bits=48)
        lags = () if isinstance(lags, tuple | list) and not lags else read_lags(lags)
        setup = Setup.read(model, x0, dt, n_paths, method, rng, boundary, threads)
        self._start(setup, observe, lags, every)

    def _start(self, setup: Setup, observe: Grid | None, lags: tuple[int, ...], every: int) -> None:
        self._setup, self._grid, self._lags, self._every = setup, observe, lags, every
        if observe is not None:
            if not isinstance(observe, Grid):
                raise TypeError(f"observe must be a rattling.Grid, not {type(observe).__name__}")
            if observe.dim != self._setup.x0.shape[1]:
                raise ValueError(
                    f"observe has {observe.dim} axes, but x0 has {self._setup.x0.shape[1]} coordinates"
                )
        self._simulation = self._setup.start(self._core_observer())

    def _core_observer(self) -> tuple[Any, ...] | None:
        if self._grid is None:
            return None
        return self._grid._core, self._every, self._setup.dt * self._every, self._period, self._lags

    @property
    def _period(self) -> np.ndarray:
        return periods(self._setup.walls, self._setup.x0.shape[1])

    # --- going on ---------------------------------------------------------------------

    def advance(self, n_steps: int, *, progress: Progress = False) -> Simulation:
        """Go on without keeping states.

        Parameters
        ----------
        n_steps : int
        progress : bool or callable
            False; True for a bar (needs tqdm); or a function called with the share done.

        Returns
        -------
        Simulation
            Itself.

        Raises
        ------
        ValueError
            As `simulate`. After that the simulation cannot go on.
        """
        n_steps = count("n_steps", n_steps, 0, bits=48)
        with progress_hook(progress, "simulate") as hook:
            self._simulation.run(n_steps, 0, self._setup.threads, hook)
        return self

    def record(self, n_steps: int, *, thin: int = 1, progress: Progress = False) -> Trajectories:
        """Go on, and keep the present and every thin-th state after it.

        Parameters
        ----------
        n_steps, thin, progress
            As for `simulate`.

        Returns
        -------
        Trajectories
            Its times begin with the present one.
        """
        n_steps = count("n_steps", n_steps, 0, bits=48)
        thin = count("thin", thin, 1, bits=48)
        self._setup.check_size(n_steps, thin)
        return self._setup.record(self._simulation, n_steps, thin, progress)

    # --- looking at it ----------------------------------------------------------------

    @property
    def n_steps(self) -> int:
        """Steps made."""
        return self._simulation.n_steps()

    @property
    def t(self) -> float:
        """The present time."""
        return self.n_steps * self._setup.dt

    @property
    def x(self) -> np.ndarray:
        """The present states, (n_paths, dim)."""
        return self._simulation.state()

    @property
    def exit_times(self) -> np.ndarray | None:
        """When each path met an absorbing wall, (n_paths,), NaN: not yet; None: no such wall."""
        return exits(self._simulation)[0]

    @property
    def exit_points(self) -> np.ndarray | None:
        """Where that was, (n_paths, dim)."""
        return exits(self._simulation)[1]

    @property
    def observation(self) -> Observation | None:
        """What has been observed, an `Observation`; None without ``observe``."""
        if self._grid is None:
            return None
        observed: Any = self._simulation.observed()
        visits, sums = observed
        counts = visits[:-1].astype(np.int64).reshape(self._grid.shape)
        spacing = self._setup.dt * self._every
        return Observation(
            self._grid, counts, int(visits[-1]), sums, self._lags, spacing, self._period, self._setup.names
        )

    # --- saving -----------------------------------------------------------------------

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write all but the model to one file, from which `load` goes on with the same bits.

        Parameters
        ----------
        path : str or path-like
        """
        setup = self._setup
        arguments = {"dt": setup.dt, "method": setup.method, "walls": setup.walls, "key": setup.key}
        arguments["probe"] = _probe(setup.model, self.x)
        observed = None
        if self._grid is not None:
            observed = {"grid": self._grid, "lags": self._lags, "every": self._every}
        _Checkpoint(arguments, observed, self._simulation.dump()).save(path)

    @classmethod
    def load(cls, path: str | os.PathLike[str], model: Model, *, threads: int | None = None) -> Simulation:
        """Go on with a simulation that `save` wrote.

        Parameters
        ----------
        path : str or path-like
        model : Model
            The model that it was made with, which is not in the file.
        threads : int, optional

        Returns
        -------
        Simulation

        Raises
        ------
        ValueError
            If the file is damaged, or was made with a model that has another dimension, drift or
            diffusion.
        """
        saved = _Checkpoint.load(path)
        arguments, observed = saved.arguments, saved.observed or {}
        steps, x, *rest = saved.state
        dt, method, walls, key = (arguments[name] for name in ("dt", "method", "walls", "key"))
        setup = Setup.read(model, x, dt, None, method, None, walls, threads)
        if not np.allclose(_probe(model, x), arguments["probe"], rtol=1e-9, atol=0, equal_nan=True):
            raise ValueError(f"{os.fspath(path)} was made with another model: drift or diffusion differ")
        self = cls.__new__(cls)
        self._start(
            replace(setup, key=key), observed.get("grid"), observed.get("lags", ()), observed.get("every", 1)
        )
        self._simulation.restore(steps, x, *rest)
        return self

    def __repr__(self) -> str:
        n_paths, dim = self._setup.x0.shape
        try:
            n_steps = self.n_steps
        except Exception as error:  # busy; or failed, or a function of the model fails again
            state = "running" if "running" in str(error) else "failed"
        else:
            state = f"t={n_steps * self._setup.dt:.6g}, n_steps={n_steps}"
        return f"Simulation({n_paths} paths of {dim} coordinates, {state})"


def _probe(model: Model, x: np.ndarray) -> np.ndarray:
    """Drift and diffusion at a few states, to know a model by."""
    points = np.ascontiguousarray(x[:4].T)
    try:
        return np.concatenate([model.drift(points).ravel(), model.diffusion(points).ravel()])
    except ValueError:  # not finite there
        return np.full(points.size * (1 + len(points)), np.nan)
