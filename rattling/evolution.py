"""Fokker-Planck and master equations in time: evolution and relaxation."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from rattling import _core
from rattling._checks import number, real_array
from rattling._progress import aside, progress_hook
from rattling.fokker_planck import SteadyState, generator, grid_missing, steady_state
from rattling.grids import Grid
from rattling.markov import Generator, irreducible_parts, not_unique
from rattling.results import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike

    from rattling._typing import Hook, Progress
    from rattling.models import Model

_KRYLOV = 1  # the core's number of the method
_MASS = 1e-6  # what the sum of probabilities may miss of 1
_ROUNDING = 1e-4  # of the probabilities: what may be lost to rounding
_DEFECT = 1e4  # units of the tolerances; solutions have about 1
_SOLVE = 1e-8  # relative residual of the solves below ARPACK
_MODE = 1e-2  # of the residual of a mode
_VOUCHED = (1e-15, 1e-12)  # of the fastest rate: decay that rounding hides in W v, but not yet in the solves
_DENSE = 1500  # states up to which eigenvalues are found densely


@dataclass(frozen=True, repr=False, eq=False)
class Evolution(Result):
    """Probabilities of a chain at a number of times.

    Attributes
    ----------
    t : ndarray, shape (n_times,)
    probability : ndarray, shape (n_times, \\*grid.shape) or (n_times, n)
        Sums to 1 at each time, unless walls absorb.
    info : dict
        steps, evaluations, krylov_iterations, matrix_products of CVODE, seconds;
        mass_error, the largest departure of the total from 1 before it was scaled away;
        smallest, the smallest probability; defect, the largest of h |p' - W p|, with the last
        step h and the slope of CVODE's polynomial, in units of the tolerances: 1 or so;
        rounding, how much probability the rounding of the rates may have moved between parts
        that hardly exchange, at most: what relaxes faster does not feel it.
    grid : Grid or None
    variables : tuple of str or None
    """

    t: np.ndarray
    probability: np.ndarray
    info: dict[str, Any]
    grid: Grid | None = None
    variables: tuple[str, ...] | None = None

    _dims = {"probability": ("time", "grid"), "density": ("time", "grid")}
    _coords = {"time": "t"}

    @property
    def density(self) -> np.ndarray:
        """Probability density; the probability for a chain without a grid."""
        return self.probability if self.grid is None else self.probability / self.grid.volumes

    def plot(self, ax: Axes | None = None, index: int = -1) -> Axes:
        """Draw the density, of a chain the probability, at one of the times.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
        index : int
            Which of the times.

        Returns
        -------
        matplotlib.axes.Axes
        """
        from rattling.plotting import plot_chain, plot_density

        if self.grid is None:
            ax = plot_chain(self.probability[index], ax)
        else:
            ax = plot_density(ax, self.grid, self.density[index], variables=self.variables)
        ax.set_title(f"t = {self.t[index]:.4g}")
        return ax


def evolve(
    model: Model | Generator,
    p0: ArrayLike,
    t: ArrayLike,
    grid: Grid | None = None,
    *,
    rtol: float = 1e-06,
    atol: float = 1e-12,
    progress: Progress = False,
) -> Evolution:
    """Solve dp/dt = W p from a given law.

    CVODE (BDF) with flexible GMRES, preconditioned by a multigrid cycle, so that
    stiffness from fine grids or wide rates costs little. Mass is kept to rounding, for
    times of 10^20 relaxation times too.

    Parameters
    ----------
    model : Model or Generator
    p0 : array_like, shape ``grid.shape`` or (n,)
        Probabilities at t = 0, at least 0, which sum to 1.
    t : array_like, shape (n_times,) or float
        Increasing times at which the law is wanted, at least 0.
    grid : Grid, optional
        Needed with a model.
    rtol, atol : float
        Local tolerances of CVODE, relative and for each probability.
    progress : bool or callable
        True shows a bar (tqdm); a callable is given the fraction done.

    Returns
    -------
    Evolution

    Raises
    ------
    ConvergenceError
        If CVODE cannot go on (the message is its own), or its answer is no solution: the
        mass is off by 1e-6, or the defect is above 10^4 tolerances; or if the time is so long
        that rounding of the rates may have moved 1e-4, and the law is not the steady one.
    ValueError, TypeError
        For arguments that are out of range or of the wrong kind.

    References
    ----------
    Hindmarsh et al., ACM Trans. Math. Softw. 31, 363 (2005).
    """
    whole = _generator(model, grid)
    p = real_array("p0", p0)
    if p.shape != whole.shape:
        raise ValueError(f"p0 must have shape {whole.shape}; got {p.shape}")
    if not np.isfinite(p).all() or (p < 0).any():
        raise ValueError(f"p0 must be finite and not negative; its smallest value is {np.min(p)}")
    if abs(p.sum() - 1) > 1e-8:
        raise ValueError(f"p0 must sum to 1; it sums to {p.sum():.10g} (probabilities of cells, not a density)")
    times = np.atleast_1d(real_array("t", t))
    if times.ndim != 1 or times.size == 0:
        raise ValueError(f"t must be one or more times; got an array of shape {times.shape}")
    if not np.isfinite(times).all():
        raise ValueError(f"t must be finite; got {times[~np.isfinite(times)][0]}")
    if times[0] < 0:
        raise ValueError(f"t must begin at 0 or later; got {times[0]}")
    late = np.flatnonzero(np.diff(times) <= 0)
    if late.size:
        raise ValueError(f"t must increase, but {times[late[0]]} is followed by {times[late[0] + 1]}")
    for name, value in (("rtol", rtol), ("atol", atol)):
        if not 0 < number(name, value) < 1:
            raise ValueError(f"{name} must be between 0 and 1; got {value!r}")
    start = time.perf_counter()
    core = _core.Evolution(whole._core, 0.0, p.ravel(), rtol, atol, _rough_steady_state(whole))
    laws = np.empty((times.size, whole.n))
    with progress_hook(progress, "evolution") as hook:
        for k, when in enumerate(times):
            laws[k] = p.ravel() if when == 0 else core.run(when, _part(hook, k, times.size))
    info = core.info()
    if not whole.killing.any():  # what is handed out, too
        info["mass_error"] = float(np.fmax(info["mass_error"], np.nan_to_num(abs(laws.sum(axis=1) - 1), nan=np.inf).max()))
    if not (info["mass_error"] < _MASS and info["defect"] < _DEFECT and np.isfinite(laws).all()):
        error = _core.ConvergenceError(
            f"the answer is no solution: mass is off by {info['mass_error']:.3g}, and h |p' - W p| is"
            f" {info['defect']:.3g} times the tolerances; try a smaller rtol or atol"
        )
        error.info = info
        raise error
    info["rounding"] = _check_rounding(whole, times, laws)
    info["smallest"] = float(laws.min())
    info["seconds"] = time.perf_counter() - start
    return Evolution(times, laws.reshape(times.size, *whole.shape), info, whole.grid, whole.variables)


def _check_rounding(whole: Generator, times: np.ndarray, laws: np.ndarray) -> float:
    """How much rounding of the flows q p may have moved by then, if nothing leads it back.

    Where that is much, only a law that has become stationary, up to its mass, is right for certain.
    """
    rounding = np.finfo(float).eps / 2 * times * np.linalg.norm(whole.exit_rates.ravel() * laws, axis=1)
    late = rounding > _ROUNDING
    if late.any():
        try:
            law = steady_state(whole).probability.ravel()
        except _core.ReducibleError:  # several: masses of the classes may have moved
            law = np.full(whole.n, np.nan)
        shapes = laws[late] / laws[late].sum(axis=1, keepdims=True)
        moved = ~(np.abs(shapes - law).sum(axis=1) < _ROUNDING)
        if moved.any():
            raise _core.ConvergenceError(
                f"until t = {times[late][moved][0]:.4g}, rounding of the rates may have moved {rounding[late][moved][0]:.2g}"
                " of the probability between parts that hardly exchange; shorter times are safe, and steady_state is exact"
            )
    return float(rounding.max())


def _rough_steady_state(whole: Generator) -> np.ndarray | None:
    """log p of the steady state to a per cent, which guides the preconditioner; None if
    there is none or it is not to be had."""
    if irreducible_parts(whole)[0][1] is not None:
        return None
    log_p, _, _, _ = whole._core.steady(1e-2, _KRYLOV, None, False, 1, None)
    return log_p if np.isfinite(log_p).all() else None


def _part(hook: Hook, k: int, n: int) -> Hook:
    """The hook of the k-th of n equal parts."""
    return None if hook is None else lambda done: hook((k + done) / n)


def _generator(model: Model | Generator, grid: Grid | None) -> Generator:
    if isinstance(model, Generator):
        if grid is not None:
            raise TypeError("grid must be left out with a Generator: it has its own")
        return model
    if grid is None:
        raise grid_missing(model)
    return generator(model, grid)


@dataclass(frozen=True, repr=False, eq=False)
class RelaxationModes(Result):
    """The slowest modes of a generator, e^{λt} with W v = λ v, slowest first.

    Attributes
    ----------
    times : ndarray, shape (k,)
        Relaxation times -1/Re λ.
    frequencies : ndarray, shape (k,)
        Angular frequencies Im λ, radians per unit time; pairs of either sign.
    modes : ndarray of complex, shape (k, \\*grid.shape) or (k, n)
        Right eigenvectors v, of largest magnitude 1; they sum to 0, unless walls absorb.
    residual : ndarray, shape (k,)
        |W v - λ v| over |λ v|, both summed over the states: at most 1e-2, but for modes that decay
        10^12 to 10^15 times more slowly than the fastest state is left, which the solves below
        ARPACK vouch for. That of a quasi-stationary law is the one of :func:`steady_state`.
    grid : Grid or None
    """

    times: np.ndarray
    frequencies: np.ndarray
    modes: np.ndarray
    residual: np.ndarray
    grid: Grid | None = None

    _dims = {"times": ("mode",), "frequencies": ("mode",), "residual": ("mode",), "modes": ("mode", "grid")}

    def plot(self, ax: Axes | None = None, index: int = 0) -> Axes:
        """Draw the real part of a mode: what is full while the rest is empty.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
        index : int
            Which mode; 0 is the slowest.

        Returns
        -------
        matplotlib.axes.Axes
        """
        from rattling.plotting import current_axes, plot_field

        mode = self.modes[index].real
        if self.grid is None:
            ax = current_axes(ax)
            ax.plot(np.arange(len(mode)), mode, ".", color="C0")
            ax.set(xlabel="state", ylabel="mode")
        else:
            ax = plot_field(ax, self.grid, mode / self.grid.volumes, label="mode, per volume", diverging=True)
        ax.set_title(f"relaxation time {self.times[index]:.4g}")
        return ax


def relaxation_times(generator: Generator, k: int = 4) -> RelaxationModes:
    """The k slowest relaxation modes of a generator.

    With absorbing walls the first is the quasi-stationary law, which decays at the escape
    rate, both those of :func:`steady_state`: right however slow the escape. Else the steady
    state, which does not decay, is left out.

    Dense for up to 1500 states, else ARPACK around 0 with multigrid solves, which need
    no factorisation, to about 1e-8: it finds the 2 k + 4 eigenvalues nearest to 0, of which the k with
    the smallest decay rates are returned. A mode that decays slowly while it turns much
    faster than all of these would be missed.

    Parameters
    ----------
    generator : Generator
        With one recurrent class, or absorbing walls.
    k : int
        Number of modes besides the steady state, at least 1 and below the number of
        states minus 1.

    Returns
    -------
    RelaxationModes

    Raises
    ------
    TypeError, ValueError
        For what is not a Generator, or a k out of range.
    ReducibleError
        If there are several recurrent classes: each has a steady state.
    ConvergenceError
        If ARPACK does not converge, or a mode has a residual above 1e-2: ``.modes`` is the
        result with all residuals, ``.residual`` the worst.

    References
    ----------
    Lehoucq, Sorensen & Yang, ARPACK Users' Guide (SIAM, 1998).
    """
    if not isinstance(generator, Generator):
        raise TypeError(f"generator must be a Generator, not {type(generator).__name__}")
    n = generator.n
    if not isinstance(k, (int, np.integer)) or not 1 <= k < n - 1:
        raise ValueError(f"k must be a whole number from 1 to {n - 2}; got {k!r}")
    lost = generator.killing.any()
    if not lost and len(generator.recurrent_classes()[0]) > 1:
        raise not_unique(generator)
    # the slowest mode of a chain that is left for good has no nodes: this one
    escape = steady_state(generator) if lost and irreducible_parts(generator)[0][1] is None else None
    if n <= _DENSE:
        values, vectors = aside(np.linalg.eig, generator.matrix.toarray())
        order = np.argsort(-values.real, kind="stable")[1 if escape or not lost else 0 :]
    else:
        values, vectors = _nearest_to_zero(generator, escape, min(2 * k + 4, n - 2))
        order = np.argsort(-values.real, kind="stable")
    if escape is not None:
        values = np.append(values, -escape.escape_rate)
        vectors = np.column_stack([vectors, escape.probability.ravel()])
        order = np.append(values.size - 1, order)
    order = order[:k]
    modes = (vectors[:, order] / vectors[np.abs(vectors[:, order]).argmax(axis=0), order]).T
    values = values[order]
    residual = _residual(generator, values, modes)
    if escape is not None:
        residual[0] = escape.residual
    result = RelaxationModes(
        -1 / values.real,
        np.imag(values),
        np.asarray(modes, complex).reshape(k, *generator.shape),
        residual,
        generator.grid,
    )
    slow, seen = (part * generator.exit_rates.max() for part in _VOUCHED)
    hidden = (slow < -values.real) & (np.abs(values) < seen) & (n > _DENSE)
    wrong = ~(hidden | (residual < _MODE))
    if wrong.any():
        worst = int(np.argmax(np.where(wrong, np.nan_to_num(residual, nan=np.inf), -1)))
        error = _core.ConvergenceError(
            f"mode {worst} misses W v = λ v by {residual[worst]:.2g} |λ v|: decay at {abs(values[worst]):.2g} is hidden"
            f" by rounding beside rates of {generator.exit_rates.max():.2g}; try fewer or larger cells"
        )
        error.residual, error.modes = float(residual[worst]), result
        raise error
    return result


def _residual(generator: Generator, values: np.ndarray, modes: np.ndarray) -> np.ndarray:
    """|W v - λ v| over |λ v|, sums over the states."""
    error = generator.matrix @ modes.T - modes.T * values
    relative: np.ndarray = np.abs(error).sum(axis=0) / (np.abs(values) * np.abs(modes).sum(axis=1))
    return relative


def _nearest_to_zero(generator: Generator, escape: SteadyState | None, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The k eigenvalues of W nearest to 0, and their vectors, without the steady state or
    the quasi-stationary law.

    ARPACK on (1 - gamma W)^-1. It works on vectors that sum to 0, made so along the law that is
    left out: among them W has its other eigenvalues alone, so that gamma may be large.
    """
    from scipy.sparse import linalg

    n, fastest = generator.n, float(generator.exit_rates.max())
    gamma = 1e12 / fastest
    guess = _rough_steady_state(generator) if escape is None else np.log(np.maximum(escape.probability.ravel(), 1e-300))
    resolvent = _core.Resolvent(generator._core, gamma, guess)
    law = np.full(n, 1 / n) if guess is None else np.exp(guess - guess.max())
    law = 0 if generator.killing.any() and escape is None else law / law.sum()
    residual = 0.0

    def solve(b: np.ndarray) -> np.ndarray:
        nonlocal residual
        x, residual = resolvent.solve(b - b.sum() * law, _SOLVE)
        result: np.ndarray = x - x.sum() * law
        return result

    start = np.random.default_rng(0).standard_normal(n) * np.sqrt(law if np.ndim(law) else 1)
    try:
        values, vectors = linalg.eigs(
            linalg.LinearOperator((n, n), solve, dtype=float), k, v0=start - start.sum() * law, maxiter=50, tol=1e-8
        )
    except linalg.ArpackNoConvergence as error:
        raise _core.ConvergenceError(
            f"ARPACK found {len(error.eigenvalues)} of {k} modes in 50 rounds; try another k"
        ) from error
    if not residual < _MODE:
        raise _core.ConvergenceError(
            f"a linear solve of the slowest modes kept a relative residual of {residual:.2g}; try a coarser grid"
        )
    values = (1 - 1 / values) / gamma
    if escape is not None:  # what the vectors lack of the law: columns of W do not sum to 0
        vectors = vectors - np.outer(law, generator.killing.ravel() @ vectors / (values + escape.escape_rate))
    return values, vectors
