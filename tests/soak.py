"""Random sweeps on two processes, for minutes or days: python tests/soak.py MINUTES.

Each point draws a system and checks what the package says of it against a slow twin or an
exact law; one in four also takes a call that fails. The memory of all processes is
measured after each sweep; it has to stay where it was after the first tenth of the time.
"""

import os
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor

import calls
import numpy as np
from reference import decomposition, estimate, evolve, simulate, steady
from reference import typicality as scores
from test_leaks import resident

import rattling as rt
from rattling.trajectories import random_key

POINTS = 100  # a sweep
MOST_GROWTH = 8 * 2**20  # bytes a process, of which free lists and caches take some


def far(a, b):
    """The largest difference over the largest size."""
    return float(np.max(np.abs(a - b)) / np.max(np.abs(b)))


def chain(rng):
    """Rates between up to 60 states, all of which can be reached."""
    n = int(rng.integers(3, 60))
    rates = np.exp(rng.normal(0, rng.uniform(0, 4), (n, n))) * (rng.random((n, n)) < rng.uniform(0.1, 1))
    rates[np.arange(n), (np.arange(n) + 1) % n] += np.exp(rng.normal())
    np.fill_diagonal(rates, 0)
    return rt.Generator.from_rates(rates)


def drifting(rng):
    """A drift with a turning part, symbolic or of Python, and a small grid for it."""
    a, b, c, d = rng.uniform(0.3, 1.2, 4)
    side = [(-2.5, 2.5), (-2.5, 2.5)]
    grid = rt.Grid(side, tuple(rng.integers(3, 11, 2).tolist()), boundary=["reflecting", "periodic"][rng.integers(2)])
    if rng.random() < 0.5:
        return rt.Model(lambda p: np.array([-a * p[0] + b * p[1], -b * p[0] - c * p[1]]), d, dim=2), grid
    text = [f"-{a}*x + {b}*y", f"-{b}*x - {c}*y**3"]
    tensor = [[d, 0.2 * d], [0.2 * d, 1.5 * d]] if rng.random() < 0.5 else d
    return rt.Model.from_sympy(text, tensor, variables=["x", "y"]), grid


def steady_of_chain(rng):
    system = chain(rng)
    W = system.matrix.toarray()
    state = rt.steady_state(system)
    exact = steady.gth(W)
    sigma = steady.entropy_production(W, exact)
    off = 0.0 if not np.isfinite(sigma) or sigma < 1e-6 else abs(state.entropy_production / sigma - 1)
    return max(far(state.log_density, np.log(exact)), off), 1e-12


def steady_on_grid(rng):
    model, grid = drifting(rng)
    system = rt.generator(model, grid)
    state = rt.steady_state(system, method=["auto", "krylov"][rng.integers(2)])
    return far(state.log_density, np.log(steady.gth(system.matrix.toarray()) / grid.volumes.ravel()).reshape(grid.shape)), 1e-9


def gradient_flow(rng):
    """p ~ exp(-U/D) at the centres: the flux is exact for such a drift."""
    a, b, d = rng.uniform(0.2, 1.5, 3)
    grid = rt.Grid([(-2.0, 2.0)], int(rng.integers(20, 3000)))
    state = rt.steady_state(rt.Model.from_sympy(f"-{a}*x**3 + {b}*x", d, variables="x"), grid, flux="exponential")
    x = grid.centres(0)
    return float(np.ptp(state.log_density + (a * x**4 / 4 - b * x**2 / 2) / d)), 1e-11


def evolution(rng):
    system = chain(rng)
    p = rng.dirichlet(np.ones(system.n))
    t = rng.uniform(0.1, 2) / system.exit_rates.max() * np.array([1.0, 10.0])
    return far(rt.evolve(system, p, t, rtol=1e-8).probability, evolve.evolve(system.matrix.toarray(), p, t)), 1e-6


def leaving(rng):
    grid = rt.Grid([(-1.0, 1.0)], int(rng.integers(5, 40)), boundary="absorbing")
    system = rt.generator(rt.Model.from_sympy(f"{rng.normal()}*x", rng.uniform(0.3, 2), variables="x"), grid)
    values, vectors = np.linalg.eig(system.matrix.toarray())
    k = np.argmax(values.real)
    law = np.abs(vectors[:, k].real)
    state = rt.steady_state(system)
    return max(far(state.probability, law / law.sum()), abs(state.escape_rate / -values[k].real - 1)), 1e-8


def paths(rng):
    """The same numbers as the twin's, step by step, and in two goes through a file."""
    a, seed, dt = rng.uniform(0.2, 2), int(rng.integers(2**60)), rng.uniform(0.001, 0.1)
    model = rt.Model.from_sympy(["-x + y", f"-{a}*x - y"], [1.0, 0.5], variables=["x", "y"])
    n_steps, n_paths = int(rng.integers(2, 40)), int(rng.integers(1, 5))
    x0 = rng.normal(size=(n_paths, 2))
    x = rt.simulate(model, x0, dt, n_steps, rng=seed).x
    expected = simulate.simulate(
        lambda p: np.array([-p[0] + p[1], -a * p[0] - p[1]]), lambda p: np.diag([2**0.5, 1.0]), x0, dt, n_steps, random_key(seed)
    )  # fmt: skip
    simulation = rt.Simulation(model, x0, dt, rng=seed).advance(n_steps // 2)
    with tempfile.TemporaryDirectory() as folder:
        simulation.save(os.path.join(folder, "half"))
        simulation = rt.Simulation.load(os.path.join(folder, "half"), model).advance(n_steps - n_steps // 2)
    return max(far(x, expected), far(simulation.x, x[:, -1])), 1e-12


def windows(rng):
    x = np.cumsum(rng.normal(size=(int(rng.integers(60, 400)), 3)), axis=0)
    kind = ["sqrt-time", "increments"][rng.integers(2)]
    got = rt.windowed_rattling(x, 0.1, 3.0, displacement=kind).rattling
    return far(got, estimate.windowed(x, 0.1, 3.0, 1, kind)), 1e-11


def law(rng):
    n = int(rng.integers(10, 500))
    r = rng.normal(size=n)
    log_p, weights = -rng.uniform(-2, 3) * r + rng.normal(0, 0.5, n), ["uniform", "probability"][rng.integers(2)]
    volume = rng.uniform(0.5, 2, n)
    got, expected = rt.typicality(log_p, r, volume=volume, weights=weights), scores.typicality(log_p, r, volume, weights)
    return max(far(getattr(got, name), value) for name, value in expected.items() if name != "kl_explained"), 1e-11


def parts(rng):
    system = chain(rng)
    state = rt.steady_state(system)
    got = rt.local_global(state)
    expected = decomposition.local_global(state.log_density, np.log(system.exit_rates))
    used = [0, 1, 2, 3] if expected[0] > 1e-6 else [0, 2, 3]  # the local part is all there is
    return far(np.array([got.r, got.rho_hat, got.rho, got.gamma])[used], np.array(expected)[used]), 1e-9


KINDS = (steady_of_chain, steady_on_grid, gradient_flow, evolution, leaving, paths, windows, law, parts)


def point(number, rng):
    """How far off one answer is, in units of its tolerance; where, and with what memory."""
    if rng.random() < 0.25:
        call, error = list(calls.BAD.values())[rng.integers(len(calls.BAD))]
        try:
            call()
        except BaseException as caught:
            if type(caught) is not error:
                raise
    kind = KINDS[number % len(KINDS)]
    off, tolerance = kind(rng)
    return {"off": off / tolerance, "process": os.getpid(), "memory": resident()}


def main(minutes):
    begin = time.monotonic()
    checked = wrong = sweeps = 0
    early, now, worst = {}, {}, 0.0
    with ProcessPoolExecutor(2) as pool:
        while time.monotonic() - begin < 60 * minutes:
            seed = np.random.SeedSequence((2026, sweeps))
            result = rt.sweep(point, {"number": range(POINTS)}, executor=pool, rng=seed)
            sweeps += 1
            for k, error in enumerate(result.errors):
                if error or not result["off"][k] < 1:
                    wrong += 1
                    print(f"sweep {sweeps - 1}, point {k}, {KINDS[k % len(KINDS)].__name__}:", error or result["off"][k], flush=True)
            checked += POINTS
            worst = max(worst, np.nanmax(result["off"]))
            now = {p: int(result["memory"][result["process"] == p].max()) for p in set(result["process"][result["process"] > 0].tolist())}
            now[os.getpid()] = resident()
            if not early or time.monotonic() - begin < 6 * minutes:
                early |= now
    growth = {p: now.get(p, memory) - memory for p, memory in early.items()}
    print(f"{checked} answers in {sweeps} sweeps, {(time.monotonic() - begin) / 60:.0f} minutes: {wrong} wrong, the largest error"
          f" {worst:.2g} of its tolerance; memory of the processes grew by {', '.join(f'{g / 1024:.0f}' for g in growth.values())} KiB"
          f" to {', '.join(f'{m / 2**20:.0f}' for m in now.values())} MiB")  # fmt: skip
    return wrong > 0 or max(growth.values()) > MOST_GROWTH


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1])))
