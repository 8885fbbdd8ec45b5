"""The main job from end to end: a model in, a typicality report and a figure out."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from rattling import systems
from rattling.estimators import RattlingField, estimate_rattling
from rattling.fokker_planck import SteadyState, steady_state
from rattling.grids import Grid
from rattling.models import exact_rattling
from rattling.trajectories import simulate
from rattling.typicality import Typicality, typicality

if TYPE_CHECKING:

    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Demo:
    """What the demo computed; times in seconds."""

    state: SteadyState
    exact: np.ndarray
    estimate: RattlingField
    law: Typicality
    law_estimated: Typicality
    seconds: dict[str, float]


def compute(cells: int = 256, bins: int = 32, n_paths: int = 2000, n_steps: int = 40000, seed: int = 1) -> Demo:
    """Solve, simulate, estimate and fit the vortex double well.

    Parameters
    ----------
    cells : int
        Cells of the solver's grid along each axis; a multiple of ``bins``.
    bins : int
        Bins of the estimate along each axis.
    n_paths, n_steps : int
        Walkers, and Euler-Maruyama steps of 1e-4 time units each; every tenth is kept.
    seed : int

    Returns
    -------
    Demo
    """
    seconds: dict[str, float] = {}
    clock = time.perf_counter()

    def lap(name: str) -> None:
        nonlocal clock
        now = time.perf_counter()
        seconds[name], clock = now - clock, now

    model = systems.vortex_double_well()
    grid = systems.default_grid("vortex_double_well", cells)
    state = steady_state(model, grid)
    lap("steady state")
    rng = np.random.default_rng(seed)
    start = rng.choice(grid.points(), size=n_paths, p=state.probability.ravel())
    paths = simulate(model, start, 1e-4, n_steps, thin=10, rng=rng, boundary=grid)
    lap("simulation")
    coarse = Grid(grid.bounds, bins)
    estimate = estimate_rattling(paths, at=coarse, method="bins")
    lap("estimate")
    exact = exact_rattling(model, grid)
    law = typicality(state.log_density, exact, volume=grid.volumes, dim=model.dim)
    # the same law where R comes from the trajectories: p of the solver, bin by bin
    k = cells // bins
    p = state.probability.reshape(bins, k, bins, k).sum(axis=(1, 3))
    law_estimated = typicality(
        np.log(p / coarse.volumes),
        estimate.rattling,
        volume=coarse.volumes,
        stderr=estimate.stderr,
        dim=model.dim,
    )
    lap("typicality")
    return Demo(state, exact, estimate, law, law_estimated, seconds)


def bin_errors(demo: Demo) -> np.ndarray:
    """Estimated minus exact R, bin by bin; exact is the mean over the bin's cells."""
    shape = demo.estimate.rattling.shape
    k = demo.exact.shape[0] // shape[0]
    exact = demo.exact.reshape(shape[0], k, shape[1], k).mean(axis=(1, 3))
    errors: np.ndarray = demo.estimate.rattling - exact
    return errors


def rms(values: np.ndarray) -> float:
    """Root mean square of what is not NaN."""
    return float(np.sqrt(np.nanmean(values**2)))


def report(demo: Demo) -> str:
    """The short report, as text."""
    state, law, fitted = demo.state, demo.law, demo.law_estimated
    error, stderr = bin_errors(demo), demo.estimate.stderr
    inner = error[2:-2, 2:-2]
    info = state.info
    times = ", ".join(f"{name} {t:.1f} s" for name, t in demo.seconds.items())
    return f"""\
A double well of quiet places in a noisy plane, with a current around both
(2-D, state-dependent noise, circulating drift; defined with SymPy)

steady state on {" x ".join(map(str, state.density.shape))} cells, by SUNDIALS
  largest relative residual     {state.residual:.1e}, over all cells
  log density                   from {state.log_density.min():.1f} to {state.log_density.max():.1f}
  entropy production            {state.entropy_production:.4f} k_B per unit time
  Newton, Krylov iterations     {info["warm_steps"] + info["newton_steps"]}, {info["krylov_iterations"]}

p_ss ~ exp(-gamma R)/Z            exact R           R from trajectories
  gamma                         {law.gamma:.4f} +- {law.gamma_stderr:.4f}  {fitted.gamma:.4f} +- {fitted.gamma_stderr:.4f}
  gamma, least KL               {law.gamma_kl:<16.4f}  {fitted.gamma_kl:.4f}
  correlation (log p, -R)       {law.correlation:<16.4f}  {fitted.correlation:.4f}
  KL explained                  {law.kl_explained:<16.4f}  {fitted.kl_explained:.4f}
  total variation               {law.total_variation:<16.4f}  {fitted.total_variation:.4f}

R from trajectories against exact R, {np.isfinite(error).sum()} of {error.size} bins
                                all               two bins off the walls, which cut increments short
  bias                          {np.nanmean(error):<+16.4f}  {np.nanmean(inner):+.4f}
  rms error                     {rms(error):<16.4f}  {rms(inner):.4f}
  rms standard error            {rms(stderr):<16.4f}  {rms(stderr[2:-2, 2:-2]):.4f}

times: {times}"""


def figure(demo: Demo) -> Figure:
    """The figure of six panels."""
    from rattling.plotting import demo_figure

    state, coarse = demo.state, demo.estimate.grid
    assert state.grid is not None and state.current is not None and coarse is not None
    return demo_figure(
        state.grid,
        state.density,
        state.current,
        demo.exact,
        (coarse, demo.estimate.rattling),
        demo.law,
        variables=state.variables,
    )
