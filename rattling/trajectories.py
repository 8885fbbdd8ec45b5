"""Simulation: paths of a model."""

from __future__ import annotations

import math
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from rattling import _core
from rattling._checks import choice, count, positive, read_threads, real_array
from rattling._progress import progress_hook
from rattling.grids import Grid, side_pair
from rattling.models import Model
from rattling.results import Result

if TYPE_CHECKING:

    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike

    from rattling._typing import Progress, Seed

_METHODS = ("euler-maruyama", "heun", "milstein", "platen")  # in the order of rtl_scheme_t
_SIDES = ("reflecting", "periodic", "absorbing")
_COUNTER_BITS = 48  # of the random numbers


@dataclass(frozen=True, repr=False, eq=False)
class Trajectories(Result):
    """Paths sampled at equal times; made by :func:`simulate`.

    Attributes
    ----------
    x : ndarray, shape (n_paths, n_times, dim)
        States; the first of each path is its start.
    t : ndarray, shape (n_times,)
        Their times.
    dt : float
        Time between two states of ``x``: the integration step times ``thin``.
    boundary : tuple or None
        For each axis None, or (lower, upper, side): "reflecting", "periodic",
        "absorbing", or a pair (lower, upper) of these.
    variables : tuple of str or None
        Names of the coordinates.
    info : dict
        How it was made: ``method``, ``step`` (integration step), ``n_steps``, ``thin``,
        ``key`` of the random numbers, ``kind`` of the model ("sympy", "pointer",
        "python"), ``seconds``.
    exit_times : ndarray or None, shape (n_paths,)
        When each path met an absorbing wall, NaN for those on their way; None where no
        wall absorbs. From then on ``x`` stays where that was.
    exit_points : ndarray or None, shape (n_paths, dim)
        Where that was.
    """

    x: np.ndarray
    t: np.ndarray
    dt: float
    boundary: tuple[Any, ...] | None = None
    variables: tuple[str, ...] | None = None
    info: dict[str, Any] = field(default_factory=dict)
    exit_times: np.ndarray | None = None
    exit_points: np.ndarray | None = None

    _dims = {
        "x": ("path", "time", "coordinate"),
        "exit_times": ("path",),
        "exit_points": ("path", "coordinate"),
    }
    _coords = {"time": "t", "coordinate": "names"}

    @property
    def n_paths(self) -> int:
        return int(self.x.shape[0])

    @property
    def n_times(self) -> int:
        return int(self.x.shape[1])

    @property
    def dim(self) -> int:
        return int(self.x.shape[2])

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the coordinates: ``variables``, or x0, x1, ..."""
        return tuple(self.variables or (f"x{k}" for k in range(self.dim)))

    @property
    def period(self) -> np.ndarray:
        """Length of each axis that is a circle, 0 for the others; shape (dim,)."""
        return periods(self.boundary, self.dim)

    def plot(self, ax: Axes | None = None, *, n_paths: int = 10) -> Axes:
        """The coordinates against time or, in two dimensions, the paths in the plane.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
        n_paths : int
            How many paths are drawn, the first ones.

        Returns
        -------
        matplotlib.axes.Axes
        """
        from rattling.plotting_paths import plot_trajectories

        return plot_trajectories(self, ax=ax, n_paths=n_paths)


def simulate(
    model: Model,
    x0: ArrayLike,
    dt: float,
    n_steps: int,
    *,
    n_paths: int | None = None,
    method: str = "euler-maruyama",
    thin: int = 1,
    rng: Seed = None,
    boundary: object = None,
    threads: int | None = None,
    progress: Progress = False,
) -> Trajectories:
    """Simulate paths of a model.

    The law of the paths is that of the Itô equation dx = f dt + G dW with f the model's
    Itô drift (whatever its interpretation) and D = G Gᵀ/2.

    Parameters
    ----------
    model : Model
    x0 : array_like, shape (dim,) or (n_paths, dim)
        Start, one for all paths or one for each.
    dt : float
        Time step.
    n_steps : int
        Number of steps.
    n_paths : int, optional
        Number of paths; 1, or the number of rows of ``x0``, if not given.
    method : {"euler-maruyama", "heun", "milstein", "platen"}
        "euler-maruyama": x + f dt + L dW, L Lᵀ = 2 D; strong order 1/2 (1 where D is
        constant), weak order 1. "heun": predictor and corrector of the Stratonovich
        equation; strong order 1 where the noise commutes, else 1/2, weak order 1, and 2
        in the drift alone; the model is from SymPy, or Stratonovich, or D is constant.
        "milstein": strong order 1, for noise that commutes, of models from SymPy.
        "platen": weak order 2, of any model whose D or noise is smooth, for 1 + 4 m
        evaluations of it a step with m noises (3 if m = 1). Walls lower the orders.
    thin : int
        Every thin-th state is kept.
    rng : int, SeedSequence, Generator, BitGenerator or None
        Seed, as in `numpy.random.default_rng`. The same seed gives the same bits for any
        number of threads. A Generator is advanced by one number.
    boundary : Grid or sequence, optional
        Walls: the box and the sides of a grid, or for each axis None (no walls) or
        (lower, upper, side), where side is "reflecting", "periodic", "absorbing" or a
        pair of them for the lower and the upper end, which may be infinite. A path that
        has crossed a reflecting wall comes back by twice the distance along the
        co-normal D n, the direction of zero flux: a fold where D is diagonal. At an
        absorbing wall it stops; that it may have met the wall between two steps is
        allowed for.
    threads : int, optional
        At most so many threads; as many as the process may use if not given. A model
        with Python functions runs on one.
    progress : bool or callable
        False; True for a bar (needs tqdm); or a function called with the share done.

    Returns
    -------
    Trajectories
        ``n_steps // thin + 1`` states of each path.

    Raises
    ------
    ValueError
        For arguments out of their range, a method that the model is not fit for, starts
        outside the walls (with the first such path), drift or diffusion that is not finite or not positive semidefinite and
        paths that leave the finite numbers (with path, time and point).

    Notes
    -----
    Random numbers are a function of (seed, path, step): Philox 4x32-10 (Salmon et al.
    2011) with the Box-Muller transform.

    References
    ----------
    P. E. Kloeden & E. Platen, Numerical Solution of Stochastic Differential Equations
    (Springer, 1992), sections 10.2, 10.3 and 14.2.

    W. Rümelin, SIAM J. Numer. Anal. 19, 604 (1982). M. Bossy, E. Gobet & D. Talay, J.
    Appl. Probab. 41, 877 (2004). E. Gobet, Stoch. Proc. Appl. 87, 167 (2000).

    Examples
    --------
    >>> import rattling
    >>> model = rattling.Model.from_sympy("-x", 0.5, variables="x")
    >>> paths = rattling.simulate(model, [0.0], 0.01, 1000, n_paths=100, thin=10, rng=1)
    >>> paths.x.shape
    (100, 101, 1)
    """
    setup = Setup.read(model, x0, dt, n_paths, method, rng, boundary, threads)
    n_steps = count("n_steps", n_steps, 0, bits=_COUNTER_BITS)
    thin = count("thin", thin, 1, bits=_COUNTER_BITS)
    setup.check_size(n_steps, thin)
    return setup.record(setup.start(), n_steps, thin, progress)


@dataclass(frozen=True)
class Setup:
    """What `simulate` is given, checked."""

    model: Model
    x0: np.ndarray  # (n_paths, dim)
    dt: float
    method: str
    walls: tuple[Any, ...] | None
    key: int
    threads: int

    @classmethod
    def read(
        cls,
        model: Model,
        x0: ArrayLike,
        dt: float,
        n_paths: int | None,
        method: str,
        rng: Seed,
        boundary: object,
        threads: int | None,
    ) -> Setup:
        if not isinstance(model, Model):
            hint = {"Generator": "; its paths come from sample_paths()", "Map": "; it has iterate()"}
            name = type(model).__name__
            raise TypeError(f"model must be a rattling.Model, not {name}{hint.get(name, '')}")
        choice("method", method, _METHODS)
        dt = float(positive("dt", dt))
        threads = read_threads(threads, bits=_COUNTER_BITS)
        x0 = _starts(x0, n_paths, model.dim)
        walls = read_walls(boundary, x0.shape[1])
        if walls is not None and method != "heun":
            model._check_extents([np.inf if wall is None else wall[1] - wall[0] for wall in walls])
        return cls(model, x0, dt, method, walls, random_key(rng), threads)

    def check_size(self, n_steps: int, thin: int) -> None:
        n_times, (n_paths, dim) = n_steps // thin + 1, self.x0.shape
        if n_paths * n_times * dim > sys.maxsize // 8:
            raise ValueError(
                f"x would have {n_paths} x {n_times} x {dim} numbers, more than memory has addresses for;"
                " take a larger thin or fewer paths or steps"
            )

    def start(self, observe: object = None) -> _core.Simulation:
        """The `_core.Simulation`."""
        x0 = np.ascontiguousarray(self.x0)
        _check_inside(x0, self.walls)
        core_model, second = self.model._compiled_for(self.method, x0[:1].T)
        walls, number = _core_walls(self.walls), _METHODS.index(self.method)
        return _core.Simulation(core_model, walls, self.key, self.dt, x0, number, second, observe)

    def record(self, simulation: _core.Simulation, n_steps: int, thin: int, progress: Progress) -> Trajectories:
        """Trajectories of n_steps steps more."""
        started = time.perf_counter()
        with progress_hook(progress, "simulate") as hook:
            made: Any = simulation.run(n_steps, thin, self.threads, hook)
        first, x = made
        info = {
            "method": self.method,
            "step": self.dt,
            "n_steps": n_steps,
            "thin": thin,
            "key": self.key,
            "kind": self.model.kind,
            "seconds": time.perf_counter() - started,
        }
        times, spacing = first * self.dt + np.arange(x.shape[1]) * (self.dt * thin), self.dt * thin
        return Trajectories(x, times, spacing, self.walls, self.names, info, *exits(simulation))

    @property
    def names(self) -> tuple[str, ...] | None:
        return None if self.model.variables is None else tuple(map(str, self.model.variables))


def exits(simulation: _core.Simulation) -> tuple[np.ndarray | None, np.ndarray | None]:
    """When and where paths were absorbed, or None and None."""
    times = simulation.exit_times()
    if times is None:
        return None, None
    return times, np.where(np.isnan(times)[:, None], np.nan, simulation.state())


def periods(walls: Any, dim: int) -> np.ndarray:
    """Length of each axis that is a circle, 0 for the others; shape (dim,)."""
    axes = walls or (None,) * dim
    return np.array([0.0 if a is None or a[2] != "periodic" else a[1] - a[0] for a in axes])


# --- arguments --------------------------------------------------------------------------


def random_key(rng: Seed) -> int:
    """64 bits from a seed in any of the forms of SPEC 7."""
    if isinstance(rng, np.random.BitGenerator):
        rng = np.random.Generator(rng)
    if isinstance(rng, np.random.Generator):
        return int(rng.integers(2**64, dtype=np.uint64))
    if isinstance(rng, np.random.RandomState):
        raise TypeError("rng must not be a RandomState; take numpy.random.default_rng(seed)")
    try:
        if not isinstance(rng, np.random.SeedSequence):
            rng = np.random.SeedSequence(rng)
    except (TypeError, ValueError) as error:
        message = f"rng must be None, an int >= 0, a SeedSequence or a Generator; got {rng!r}"
        raise type(error)(message) from None
    return int(rng.generate_state(1, np.uint64)[0])


def _starts(x0: ArrayLike, n_paths: int | None, dim: int | None) -> np.ndarray:
    """x0 as a finite (n_paths, dim), perhaps one row seen n_paths times."""
    x0 = real_array("x0", x0)
    if x0.ndim == 0 and dim in (None, 1):
        x0 = x0.reshape(1)
    wanted = "dim" if dim is None else dim
    if x0.ndim not in (1, 2) or x0.size == 0 or (dim is not None and x0.shape[-1] != dim):
        raise ValueError(f"x0 must have shape ({wanted},) or (n_paths, {wanted}), but it has {x0.shape}")
    if n_paths is not None:
        n_paths = count("n_paths", n_paths, 1, bits=_COUNTER_BITS)
        if x0.ndim == 2 and n_paths != len(x0):
            raise ValueError(f"n_paths is {n_paths}, but x0 has {len(x0)} rows")
    bad = np.argwhere(~np.isfinite(np.atleast_2d(x0)))
    if len(bad):
        path, axis = bad[0]
        raise ValueError(
            f"x0 must be finite; coordinate {axis} of path {path} is {np.atleast_2d(x0)[path, axis]}"
        )
    if x0.ndim == 2:
        return x0
    shape = (1 if n_paths is None else n_paths, x0.size)
    if math.prod(shape) > sys.maxsize // 8:
        raise ValueError(f"x0 would have {shape[0]} x {shape[1]} numbers, more than memory has addresses for")
    return np.broadcast_to(x0, shape)


def read_walls(boundary: Any, dim: int) -> Any:
    """One entry an axis: None or (lower, upper, side); None if no axis has any."""
    if boundary is None:
        return None
    if isinstance(boundary, Grid):
        if boundary.dim != dim:
            raise ValueError(f"boundary has {boundary.dim} axes, but x0 has {dim} coordinates")
        return tuple(
            (*bounds, _side(sides)) for bounds, sides in zip(boundary.bounds, boundary.boundary, strict=True)
        )
    if isinstance(boundary, str) or not hasattr(boundary, "__len__"):
        raise TypeError(f"boundary must be None, a Grid or one entry for each axis; got {boundary!r}")
    if len(boundary) != dim:
        raise ValueError(f"boundary must have one entry for each of the {dim} axes; it has {len(boundary)}")
    walls = tuple(_wall(entry, axis) for axis, entry in enumerate(boundary))
    return None if all(entry is None for entry in walls) else walls


def _wall(entry: Any, axis: int) -> Any:
    if entry is None:
        return None
    try:
        lower, upper, side = entry
        lower, upper = float(lower), float(upper)
    except (TypeError, ValueError):
        raise ValueError(
            f"boundary of axis {axis} must be None or (lower, upper, side); got {entry!r}"
        ) from None
    pair = side_pair(side)
    if len(pair) != 2 or not all(s in _SIDES for s in pair) or (pair[0] != pair[1] and "periodic" in pair):
        raise ValueError(
            f"boundary of axis {axis} must be one of {', '.join(map(repr, _SIDES))}, or a pair of sides of which"
            f" none is periodic; got {side!r}"
        )
    side = _side(pair)
    if not lower < upper or lower == np.inf or upper == -np.inf:
        raise ValueError(f"boundary of axis {axis} must have lower < upper; got ({lower}, {upper})")
    if side == "periodic" and not np.isfinite(upper - lower):
        raise ValueError(f"boundary of axis {axis}: a periodic axis must be finite; got ({lower}, {upper})")
    return lower, upper, side


def _side(pair: Any) -> Any:
    """One word for two equal sides."""
    return pair[0] if pair[0] == pair[1] else tuple(pair)


def _check_inside(x0: np.ndarray, walls: Any) -> None:
    for axis, entry in enumerate(walls or ()):
        if entry is None or entry[2] == "periodic":
            continue
        lower, upper, _ = entry
        outside = np.flatnonzero((x0[:, axis] < lower) | (x0[:, axis] > upper))
        if len(outside):
            path = outside[0]
            raise ValueError(
                f"x0 of path {path} lies outside the walls: coordinate {axis} must be in [{lower}, {upper}],"
                f" but x0 = ({', '.join(map(repr, x0[path].tolist()))})"
            )


def _core_walls(walls: Any) -> Any:
    if walls is None:
        return None
    filled = [(-np.inf, np.inf, "reflecting") if entry is None else entry for entry in walls]
    lower, upper, sides = zip(*filled, strict=True)
    pairs = [(side, side) if isinstance(side, str) else side for side in sides]
    absorbing = tuple(s == "absorbing" for pair in pairs for s in pair)
    return np.array(lower), np.array(upper), tuple(side == "periodic" for side in sides), absorbing
