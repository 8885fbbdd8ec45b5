"""Fokker-Planck operators on grids and their steady states."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from rattling import _core
from rattling._checks import choice, number, read_threads, real_array
from rattling._progress import progress_hook
from rattling.grids import Grid
from rattling.markov import Generator, irreducible_parts, not_unique
from rattling.results import Result

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike

    from rattling._typing import Info, Progress
    from rattling.distributions import GridDistribution
    from rattling.models import Model

_METHODS = {"auto": 0, "krylov": 1, "direct": 2, "closed-form": 3}
_FLUXES = ("auto", "exponential", "log-mean")
_EQUILIBRIUM = 1e-12  # entropy produced per jump, below which a current is rounding
_MASS = 1e-8  # what the probabilities of an answer may miss of 1
_LARGE_ERROR = 0.05  # of the L1 distance to the exact law, which is at most 2
_ON_DEMAND = ("entropy_production", "entropy_production_field", "face_currents")


def generator(model: Model, grid: Grid, *, threads: int | None = None, progress: Progress = False) -> Generator:
    """The Markov generator of a model on a grid.

    Finite volumes with exponential fitting on each face: rates are non-negative,
    columns sum to 0, zero-flux steady states are exact up to quadrature. A full diffusion
    tensor becomes jumps along the lattice directions of its Selling decomposition, fitted in
    the same way.

    Parameters
    ----------
    model : Model
        With any diffusion in up to three dimensions, degenerate tensors included. In more, a
        full tensor couples at most three axes at a time, or each of its diagonal elements
        outweighs the rest of its row (in units of the cells).
    grid : Grid
        Of the model's dimension.
    threads : int, optional
        At most so many threads; as many as the process may use if not given. Models with
        Python functions run on one. The answer does not depend on it.
    progress : bool or callable
        True shows a bar (tqdm); a callable is given the fraction done.

    Returns
    -------
    Generator

    Raises
    ------
    ValueError
        If dimensions differ, the drift is not finite, or the diffusion is not finite, not
        symmetric or not positive semidefinite, or so anisotropic in more than three coupled
        dimensions that there are no jumps with non-negative rates; the message names the first
        such point. If the diffusion is a full tensor and neighbouring cells differ in width by
        more than a quarter.

    References
    ----------
    Scharfetter & Gummel, IEEE Trans. Electron Devices 16, 64 (1969);
    Chang & Cooper, J. Comput. Phys. 6, 1 (1970);
    Fehrenbach & Mirebeau, J. Math. Imaging Vis. 49, 123 (2014).
    """
    if not isinstance(grid, Grid):
        raise TypeError(f"grid must be a rattling.Grid, not {type(grid).__name__}")
    if not hasattr(model, "_compiled"):
        raise TypeError(f"model must be a rattling.Model, not {type(model).__name__}")
    if model.dim not in (None, grid.dim):
        raise ValueError(f"the model has {model.dim} dimension(s), but the grid has {grid.dim}")
    model._check_extents([upper - lower for lower, upper in grid.bounds])
    threads = read_threads(threads)
    corner = np.array([grid.centres(axis)[:1] for axis in range(grid.dim)])
    with progress_hook(progress, "generator") as hook:
        core = _core.Generator.from_model(model._compiled(corner), grid._core, threads, hook)
    return Generator(core, grid, model.variables, model)


class AccuracyWarning(UserWarning):
    """The grid is too coarse for the answer to be close to that of the continuous model."""


@dataclass(frozen=True, repr=False, eq=False)
class SteadyState(Result):
    """The steady state of a generator, or the quasi-stationary law of one that is left.

    Behind absorbing walls nothing is steady: the law is then the one that a long
    survival leads to, W p = -escape_rate p.

    Attributes
    ----------
    kind : {"steady", "quasi-stationary"}
    escape_rate : float
        Rate at which the walls absorb, per unit time; 0 for a steady state.
    log_density : ndarray, shape ``grid.shape`` or (n,)
        Log of the probability density; of the probability for a chain without a grid.
        -inf where a state is transient.
    residual : float
        Largest relative residual over all cells, max |(W p)_i + escape_rate p_i| / (q_i p_i).
    entropy_production : float
        Rate, in units of Boltzmann's constant per unit time; what passes an absorbing
        wall is not counted. All coordinates are taken as even under time reversal, velocities
        too; both links of a periodic axis of two cells count as one.
    entropy_production_field : ndarray, shape ``grid.shape`` or (n,)
        What each cell's faces contribute to it.
    face_currents : tuple of ndarray, or None
        Probability current density through the faces of each axis: the shape of the
        grid with one more along that axis. Their divergence is 0, or escape_rate times
        the density.
    exit_rates : ndarray, shape ``grid.shape`` or (n,)
        Of the chain whose law this is: with the log-mean flux, whose rates depend on p, its
        rates at the answer, else those of the generator.
    discretisation_error : float
        Estimate of the L1 distance to the law of the continuous model, from the same
        flux on the next coarser grid; nan where there is no such grid. Where the log-mean
        flux settled on the finest grid alone (``info["settled_late"]``) the exponential flux's answer
        stands for its, and the estimate is some ten times the error.
    info : dict
        Numbers about the run: method (what ran) and why, iterations, matrix_products, seconds, peak_bytes,
        history (the largest relative residual after each outer step on the finest grid, at most
        64; empty where no iteration ran), peclet (the largest finite cell Péclet number),
        upwind_links (how many links have none), order (of the
        discretisation error in the cell width), added_diffusion (see `Generator`), flux,
        flux_rounds, flux_gain (the L1 distance between the answers of the two fluxes), flux_defect
        (what the log-mean flux, recomputed from the answer, misses of balance: the sum over the
        cells, relative to all jumps; nan where the residual says it).
    grid : Grid or None
    variables : tuple of str or None
    """

    log_density: np.ndarray
    residual: float
    entropy_production: float
    entropy_production_field: np.ndarray
    face_currents: tuple[np.ndarray, ...] | None
    exit_rates: np.ndarray
    discretisation_error: float
    info: dict[str, Any]
    grid: Grid | None = None
    variables: tuple[str, ...] | None = None
    kind: str = "steady"
    escape_rate: float = 0.0

    # A steady state just solved holds its chain instead of the fields in _ON_DEMAND, until they are asked for.

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            held = self.__dict__
            source = held.get("_source")
            if name in _ON_DEMAND and source is not None:
                core, log_p, threads = source
                if name == "face_currents":
                    held[name] = None if self.grid is None else core.face_currents(log_p, threads)
                else:
                    sigma = core.entropy_production(log_p, threads)
                    held["entropy_production"] = float(sigma.sum())
                    held["entropy_production_field"] = sigma.reshape(self.log_density.shape)
                if all(other in held for other in _ON_DEMAND):
                    held.pop("_source", None)
            if name in held:  # perhaps by another thread
                return held[name]
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __getstate__(self) -> dict[str, Any]:
        """What is pickled and copied: all fields."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    _dims = {
        "log_density": ("grid",),
        "density": ("grid",),
        "probability": ("grid",),
        "entropy_production_field": ("grid",),
        "exit_rates": ("grid",),
        "current": ("component", "grid"),
    }

    @property
    def density(self) -> np.ndarray:
        """Probability density, shape ``grid.shape`` or (n,)."""
        density: np.ndarray = np.exp(self.log_density)
        return density

    @property
    def probability(self) -> np.ndarray:
        """Probability of each cell or state; sums to 1."""
        return self.density if self.grid is None else self.density * self.grid.volumes

    @property
    def current(self) -> np.ndarray | None:
        """Cell-centred probability current J, (dim, \\*grid.shape); None for a chain."""
        if self.face_currents is None:
            return None
        return cell_centred(self.face_currents)

    def distribution(self) -> GridDistribution:
        """The law as an object with ``rvs``, ``logpdf`` and ``pdf``, as in scipy.stats.

        Returns
        -------
        GridDistribution

        Raises
        ------
        ValueError
            For a chain, which has no grid.
        """
        from rattling.distributions import GridDistribution

        if self.grid is None:
            raise ValueError("a chain has no grid: draw its states with rng.choice(n, p=state.probability)")
        return GridDistribution(self.grid, self.log_density)

    def plot(self, ax: Axes | None = None, *, kind: str = "density") -> Axes:
        """The density, with streamlines of the current in two dimensions; or the convergence.

        Of a chain: the probability of each state. A current that is only rounding (that
        of an equilibrium) is not drawn.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
        kind : {"density", "convergence"}
            "convergence": the largest relative residual after each step, ``info["history"]``.

        Returns
        -------
        matplotlib.axes.Axes
        """
        from rattling.plotting import plot_chain, plot_convergence, plot_density

        if choice("kind", kind, ("density", "convergence")) == "convergence":
            return plot_convergence(self.info["history"], ax)
        if self.grid is None:
            return plot_chain(self.probability, ax)
        jumps = (self.exit_rates * self.probability).sum()
        current = self.current if self.entropy_production > _EQUILIBRIUM * jumps else None
        return plot_density(ax, self.grid, self.density, current, variables=self.variables)


def cell_centred(face_currents: Sequence[np.ndarray]) -> np.ndarray:
    """Mean of the two faces of each cell, (dim, \\*grid.shape)."""
    return np.array([0.5 * (np.delete(J, 0, k) + np.delete(J, -1, k)) for k, J in enumerate(face_currents)])


def steady_state(
    model: Model | Generator,
    grid: Grid | None = None,
    *,
    rtol: float = 1e-10,
    method: str = "auto",
    flux: str = "auto",
    initial: ArrayLike | None = None,
    classes: str | None = None,
    threads: int | None = None,
    progress: Progress = False,
) -> SteadyState:
    """The steady state of a model on a grid, or of any generator.

    With absorbing walls: the quasi-stationary law and the escape rate, by inverse
    iteration (see ``kind`` and ``escape_rate`` of the result).

    Solves W p = 0 for log p, so that every cell, however improbable, is right to
    ``rtol``: Newton-Krylov by SUNDIALS (FGMRES, KINSOL) with multigrid, started from
    coarser grids; elimination without subtraction (GTH) for small chains; closed forms
    for lines and rings; a few Gauss-Seidel sweeps for chains that mix fast.

    Parameters
    ----------
    model : Model or Generator
    grid : Grid, optional
        Needed with a model.
    rtol : float
        Bound on the largest relative residual over all cells, between 1e-13 and 1.
    method : {"auto", "krylov", "direct", "closed-form"}
        "direct" is elimination without subtraction of the states with fewest neighbours
        first: each entry is right to rounding, however unequal the rates. It is for
        trees and plane grids of millions of states, and for some 10^4 states whose
        links have no order. ``info["why"]`` says why what ran was chosen.
    flux : {"auto", "exponential", "log-mean"}
        Flux between cells of a model on a grid. "exponential" is that of
        :func:`generator`; "log-mean" is of second order whatever the drift, positive
        like the other, and solved as a chain whose rates depend on p. "auto" is
        "log-mean" where that settles, else "exponential"; ``info["flux"]`` tells. A
        Generator is linear and has the exponential flux, and so have absorbing walls.
    initial : ndarray, optional
        First guess of the log density, in the shape of the result, instead of coarser
        grids; the flux is then the exponential one.
    classes : "all", optional
        Return a list with the law of each recurrent class, zero outside it, instead of
        refusing a chain that has several.
    threads : int, optional
        At most so many threads; as many as the process may use if not given. The answer
        is the same to the last bit for any number.
    progress : bool or callable
        True shows a bar (tqdm); a callable is given the fraction done.

    Returns
    -------
    SteadyState, or a list of them with ``classes="all"``

    Raises
    ------
    ReducibleError
        If there are several recurrent classes; ``.classes`` lists their cells.
    ConvergenceError
        If ``rtol`` is not reached; it carries the best iterate.
    ValueError, TypeError
        For arguments that are out of range or of the wrong kind.

    Warns
    -----
    AccuracyWarning
        If the discretisation error is estimated above 5 %.

    References
    ----------
    Notay, SIAM J. Sci. Comput. 34, A2288 (2012); Grassmann, Taksar & Heyman, Oper. Res.
    33, 1107 (1985); Darroch & Seneta, J. Appl. Probab. 4, 192 (1967).
    """
    choice("method", method, _METHODS)
    choice("flux", flux, _FLUXES)
    if not (classes is None or (isinstance(classes, str) and classes == "all")):
        raise ValueError(f"classes must be None or 'all'; got {classes!r}")
    if not 1e-13 <= number("rtol", rtol) < 1:
        raise ValueError(f"rtol must be at least 1e-13 and below 1; got {rtol!r}")
    threads = read_threads(threads)
    if isinstance(model, Generator):
        if grid is not None:
            raise TypeError("grid must be left out with a Generator: it has its own")
        if flux == "log-mean":
            raise ValueError("flux='log-mean' needs a model and a grid: a Generator has the exponential flux")
        whole, log_mean = model, False
    else:
        if grid is None:
            raise grid_missing(model)
        if flux == "log-mean" and initial is not None:
            raise ValueError("flux='log-mean' starts from coarser grids: leave out initial")
        whole, log_mean = generator(model, grid, threads=threads), flux != "exponential"
        if flux == "log-mean" and whole.killing.any():
            raise ValueError("flux='log-mean' is not there for absorbing walls: take flux='exponential'")
    parts = irreducible_parts(whole)
    if len(parts) > 1 and classes is None:
        raise not_unique(whole)
    laws = [_solve(whole, *part, rtol, method, initial, log_mean, threads, progress) for part in parts]
    for state in laws:
        if flux == "log-mean" and state.info["flux"] != flux:
            raise _unsettled(state)
        _warn_if_coarse(state)
    return laws[0] if classes is None else laws  # type: ignore[return-value]  # a list where all classes are asked for


def grid_missing(model: object) -> TypeError:
    """The exception for a model, or something else, without a grid."""
    if hasattr(model, "_compiled"):
        return TypeError("grid is needed with a model")
    return TypeError(f"model must be a rattling.Model or a rattling.Generator, not {type(model).__name__}")


def _solve(
    whole: Generator,
    chain: _core.Generator,
    states: np.ndarray | None,
    rtol: float,
    method: str,
    initial: ArrayLike | None,
    log_mean: bool,
    threads: int,
    progress: Progress,
) -> SteadyState:
    log_volume = 0.0 if whole.grid is None else np.log(whole.grid.volumes)
    start = None
    if initial is not None:
        start = real_array("initial", initial)
        if start.shape != whole.shape:
            raise ValueError(f"initial must have shape {whole.shape}; got {start.shape}")
        start = (start + log_volume).ravel()
        start = start if states is None else start[states]
        if not np.isfinite(start).all():
            raise ValueError("initial must be finite: it is a log density")
    with progress_hook(progress, "steady state") as hook:
        log_p, converged, info, reweighted = chain.steady(rtol, _METHODS[method], start, log_mean, threads, hook)
    # whoever solved it: this is what is believed
    checked = chain if reweighted is None else reweighted
    info["residual"], info["worst_state"] = checked.residual(log_p, info["escape_rate"], threads)
    info["mass_error"] = float(abs(np.exp(log_p).sum() - 1))
    converged = converged and info["residual"] <= rtol and info["mass_error"] < _MASS
    if states is not None:
        part, log_p = log_p, np.full(whole.n, -np.inf)
        log_p[states] = part
        info["worst_state"] = int(states[info["worst_state"]])
    info["history"] = info.pop("history").tolist()  # last: what is printed begins with the method
    escape_rate = info.pop("escape_rate")
    info["peclet"] = whole.peclet
    info["upwind_links"] = whole.upwind_links
    info["added_diffusion"] = whole.added_diffusion
    first = whole.peclet > 2 or whole.upwind_links > 0
    info["order"] = 1 if info["flux"] == "exponential" and first else 2
    if info["order"] == 1:  # what half the cells would halve only
        info["discretisation_error"] *= 3
    log_density = log_p.reshape(whole.shape) - log_volume
    if not converged:
        raise _not_converged(log_density, info, rtol, whole)
    state = SteadyState(
        log_density=log_density,
        residual=info["residual"],
        kind="quasi-stationary" if escape_rate > 0 else "steady",
        escape_rate=escape_rate,
        entropy_production=np.nan,
        entropy_production_field=log_p,
        face_currents=None,
        exit_rates=whole.exit_rates if reweighted is None else reweighted.exit_rates().reshape(whole.shape),
        discretisation_error=info["discretisation_error"],
        info=info,
        grid=whole.grid,
        variables=whole.variables,
    )
    for name in _ON_DEMAND:
        del state.__dict__[name]
    state.__dict__["_source"] = (whole._core if reweighted is None else reweighted, log_p, threads)
    return state


def _unsettled(state: SteadyState) -> Any:
    error = _core.ConvergenceError(
        f"the log-mean flux did not settle (cell Péclet numbers up to {state.info['peclet']:.3g}): try a finer"
        " grid, or flux='auto', which then takes the exponential flux"
    )
    error.log_density, error.residual, error.info = state.log_density, state.residual, state.info
    return error


def _warn_if_coarse(state: SteadyState) -> None:
    error = state.discretisation_error
    if state.grid is not None and error > _LARGE_ERROR:
        factor = (error / _LARGE_ERROR) ** (1 / state.info["order"])
        finer = tuple(int(np.ceil(n * factor)) for n in state.grid.shape)
        other = "" if state.info["order"] == 2 else ", or the default flux with far fewer cells"
        warnings.warn(
            f"the discretisation error is {'well below' if state.info.get('settled_late') else 'about'} {error:.2g} (L1) on a grid of shape {state.grid.shape};"
            f" shape {finer} should bring it near {_LARGE_ERROR}{other}",
            AccuracyWarning,
            stacklevel=3,
        )


def _not_converged(log_density: np.ndarray, info: Info, rtol: float, whole: Generator) -> _core.ConvergenceError:
    """The exception that says where the solver is stuck and what to try."""
    state = info["worst_state"]
    where, cure = f"state {state}", "a larger rtol, or method='direct'"
    if whole.grid is not None:
        point = ", ".join(f"{x:.6g}" for x in whole.grid.points()[state])
        where, cure = f"the cell at ({point})", f"a finer grid, a smaller box, {cure}"
    elif np.isnan(info["residual"]):
        cure = f"rates that span less than the {np.ptp(np.log10(whole.exit_rates)):.0f} decades of these exit rates"
    what = f"the largest relative residual is {info['residual']:.3g}, above rtol = {rtol:.3g}, at {where}"
    if info["residual"] <= rtol:
        what = f"the probabilities miss a sum of 1 by {info['mass_error']:.3g}"
    error = _core.ConvergenceError(
        f"{what} after {info['warm_steps'] + info['newton_steps']} steps; try {cure}"
        + (f" (SUNDIALS: {info['message']})" if info["message"] else "")
    )
    error.log_density = log_density
    error.residual = info["residual"]
    error.info = info
    return error
