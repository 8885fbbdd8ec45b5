"""Small calls that together enter all of the compiled module, successful and failing.

What is common to the tests of allocation failure, of leaks and of the long run.
"""

import os
import signal
import tempfile
import warnings

import numpy as np

import rattling as rt
from rattling import AccuracyWarning, apriori, blowtorch, systems, thermodynamics

warnings.simplefilter("ignore", AccuracyWarning)

SEED = 7


class Own(Exception):
    """What a user's function raises."""


def swirl(p):
    return np.array([p[1] - p[0], -p[0] - p[1]])


def warm(p):
    return 0.5 + 0.1 * p[0] ** 2


def broken(p):
    raise Own("of the user")


def not_finite(p):
    return np.full(p.shape, np.nan)


def stop(done):
    raise KeyboardInterrupt


def interrupt(done):
    signal.raise_signal(signal.SIGINT)


line = rt.Grid([(-2.0, 2.0)], 24)
ring = rt.Grid([(0.0, 2 * np.pi)], 24, boundary="periodic")
box = rt.Grid([(-2.0, 2.0), (-2.0, 2.0)], (8, 9))
leaky = rt.Grid([(-2.0, 2.0)], 24, boundary="absorbing")
well = rt.Model.from_sympy("x - x**3", 0.3, variables="x")
turn = rt.Model.from_sympy(["y - x", "-x - y"], [["1 + x**2/9", "1/5"], ["1/5", "1"]], variables=["x", "y"])
plain = rt.Model(swirl, warm, dim=2)
anisotropic = rt.Model.from_sympy(["-x", "-y"], [["1", "9/10"], ["9/10", "1"]], variables=["x", "y"])
driven = systems.ring()
W = rt.generator(well, line)
W2 = rt.generator(turn, box)
chain = systems.random_rates(12, rng=SEED)
sparse = rt.Generator.from_rates(chain.matrix.T - np.diag(chain.matrix.diagonal()))
two_parts = rt.Generator.from_rates(np.kron(np.eye(2), np.ones((3, 3))))
wide = rt.Generator.from_rates(np.exp(np.random.default_rng(SEED).normal(0, 3, (60, 60)) * np.eye(60, k=1)) * (np.eye(60, k=1) + np.eye(60, k=-1)))
solved = rt.steady_state(W)
tracks = rt.simulate(turn, np.zeros((3, 2)), 0.05, 120, rng=SEED)
one_track = rt.simulate(well, [0.0], 0.05, 400, rng=SEED)
rattling_line = rt.exact_rattling(well, line)
uneven_r = np.linspace(0, 1, 24) ** 2
quarter = np.arange(24) < 6
half = np.arange(24) > 12
at = np.array([[0.1, 0.2], [0.3, -0.2]])


def observed():
    simulation = rt.Simulation(well, np.zeros((4, 1)), 0.02, rng=SEED, observe=line, every=2)
    simulation.advance(40)
    seen = simulation.observation
    return simulation.x, seen.counts, seen.estimate_rattling().counts


def resumed():
    """dump, a file, load, restore"""
    simulation = rt.Simulation(well, np.zeros((4, 1)), 0.02, rng=SEED, boundary=line).advance(10)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "simulation.npz")
        simulation.save(path)
        return rt.Simulation.load(path, well).advance(10).x


def saved():
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "state.npz")
        solved.save(path)
        return rt.SteadyState.load(path).log_density


def exits():
    simulation = rt.Simulation(well, np.zeros((4, 1)), 0.02, rng=SEED, boundary=leaky).advance(50)
    return simulation.x, np.nan_to_num(simulation.exit_times), simulation.n_steps


def failed_advance():
    rt.Simulation(rt.Model(lambda p: broken(p), 1.0, dim=1), [0.0], 0.1).advance(3)


# name: what is called
GOOD = {
    "Grid": lambda: (rt.Grid([(0, 1), (0, 2)], (3, 4)).points(), box.volumes),
    "Model of text": lambda: rt.Model(swirl, warm, dim=2).diffusion(np.ones((2, 3))),
    "Model.drift": lambda: (turn.drift(np.ones((2, 3))), plain.drift(np.ones((2, 3)))),
    "Model.diffusion": lambda: (turn.diffusion(np.ones((2, 3))), well.diffusion(np.ones((1, 3)))),
    "exact_rattling": lambda: (rt.exact_rattling(turn, box), rt.exact_rattling(plain, box)),
    "generator, diagonal": lambda: rt.generator(well, line).exit_rates,
    "generator, full tensor": lambda: rt.generator(turn, box).exit_rates,
    "generator, anisotropic": lambda: rt.generator(anisotropic, box).added_diffusion,
    "generator, Python functions": lambda: rt.generator(plain, box).exit_rates,
    "generator, absorbing": lambda: rt.generator(well, leaky).killing,
    "Generator.from_rates": lambda: rt.Generator.from_rates([[0, 1.0], [2.0, 0]], [0.1, 0.2]).killing,
    "Generator.matrix": lambda: (W.matrix.data, W.peclet),
    "recurrent_classes": lambda: two_parts.recurrent_classes()[0][1],
    "steady_state, a line": lambda: rt.steady_state(W).log_density,
    "steady_state, a ring": lambda: rt.steady_state(driven, ring).log_density,
    "steady_state, a plane": lambda: rt.steady_state(turn, box).log_density,
    "steady_state, Krylov": lambda: rt.steady_state(W2, method="krylov").log_density,
    "steady_state, log-mean": lambda: rt.steady_state(turn, box, flux="log-mean").log_density,
    "steady_state, a chain": lambda: rt.steady_state(chain).log_density,
    "steady_state, direct": lambda: rt.steady_state(sparse, method="direct").log_density,
    "steady_state, escape": lambda: rt.steady_state(well, leaky).escape_rate,
    "steady_state, from a guess": lambda: rt.steady_state(W2, initial=np.zeros(box.shape)).log_density,
    "steady_state, classes": lambda: [s.log_density for s in rt.steady_state(two_parts, classes="all")],
    "current": lambda: (rt.steady_state(turn, box).current, solved.entropy_production),
    "evolve": lambda: rt.evolve(W, np.full(24, 1 / 24), [0.1, 0.3]).probability,
    "evolve, a chain": lambda: rt.evolve(chain, np.full(12, 1 / 12), 0.3).probability,
    "relaxation_times": lambda: rt.relaxation_times(chain, 3).times,
    "simulate": lambda: rt.simulate(turn, np.zeros((3, 2)), 0.05, 20, rng=SEED).x,
    "simulate, threads": lambda: rt.simulate(turn, np.zeros((200, 2)), 0.05, 8, rng=SEED, threads=2).x,
    "simulate, Python functions": lambda: rt.simulate(plain, np.zeros((3, 2)), 0.05, 20, rng=SEED).x,
    "simulate, walls": lambda: rt.simulate(turn, np.zeros((3, 2)), 0.05, 20, rng=SEED, boundary=box).x,
    "simulate, heun": lambda: rt.simulate(well, [0.0], 0.05, 20, rng=SEED, method="heun").x,
    "simulate, milstein": lambda: rt.simulate(well, [0.0], 0.05, 20, rng=SEED, method="milstein").x,
    "Simulation, observed": observed,
    "Simulation, resumed": resumed,
    "Simulation, exits": exits,
    "save and load": saved,
    "sample_paths": lambda: chain.sample_paths(0, 50, n_paths=3, rng=SEED).states,
    "estimate_rattling, bins": lambda: rt.estimate_rattling(one_track, at=line, method="bins").rattling,
    "estimate_rattling, local-linear": lambda: rt.estimate_rattling(tracks, at=at).rattling,
    "estimate_rattling, noise": lambda: rt.estimate_rattling(tracks, at=at, noise="covariance").rattling,
    "estimate_rattling, knn": lambda: rt.estimate_rattling(tracks, at=at, method="knn", neighbours=40).rattling,
    "estimate_rattling, basis": lambda: rt.estimate_rattling(tracks, at=at, method="basis").rattling,
    "windowed_rattling": lambda: rt.windowed_rattling(tracks.x[0], 0.05, 0.5).rattling,
    "estimate_density": lambda: rt.estimate_density(one_track, at=line).log_density,
    "estimate_density, knn": lambda: rt.estimate_density(tracks, at=at, method="knn").log_density,
    "fit_gamma": lambda: rt.fit_gamma(one_track, at=line).gamma,
    "typicality": lambda: rt.typicality(solved.log_density, uneven_r, volume=line.volumes, weights="probability").gamma,
    "typicality, intervals": lambda: rt.typicality(solved.log_density, uneven_r).intervals(n=20, rng=SEED).low,
    "local_global": lambda: rt.local_global(W).gamma,
    "entropy_production": lambda: thermodynamics.entropy_production(W2, np.full(box.shape, 1 / 72)).total,
    "cycle_affinities": lambda: thermodynamics.cycle_affinities(chain).affinities,
    "heat_bounds": lambda: blowtorch.heat_bounds(chain, 0, 3).low,
    "susceptibility": lambda: blowtorch.susceptibility(driven, quarter, half, ring).rates,
    "certificate": lambda: apriori.certificate(chain).dobrushin,
    "moment_closure": lambda: apriori.moment_closure(well, line),
    "weak_disorder": lambda: apriori.weak_disorder(driven, ring).rho_sample,
    "sweep": lambda: rt.sweep(lambda a: rt.steady_state(systems.follmer_kirman(6, a, 0.3)).log_density, {"a": [0.1, 0.2]}, on_error="raise")["value"],
}  # fmt: skip

# name: what is called, what it raises
BAD = {
    "Grid of one edge": (lambda: rt.Grid.from_edges([[0.0, 0.0]]), ValueError),
    "drift that raises": (lambda: rt.generator(rt.Model(lambda p: broken(p), 1.0, dim=2), box), Own),
    "diffusion that raises": (lambda: rt.exact_rattling(rt.Model(swirl, lambda p: broken(p), dim=2), box), Own),
    "drift that is not finite": (lambda: rt.generator(rt.Model(lambda p: not_finite(p), 1.0, dim=2), box), ValueError),
    "simulated drift that raises": (lambda: rt.simulate(rt.Model(lambda p: broken(p), 1.0, dim=1), [0.0], 0.1, 3), Own),
    "advance that raises": (failed_advance, Own),
    "negative rates": (lambda: rt.Generator.from_rates([[0, -1.0], [1, 0]]), ValueError),
    "several classes": (lambda: rt.steady_state(two_parts), rt.ReducibleError),
    "not converging": (lambda: rt.steady_state(wide, method="krylov"), rt.ConvergenceError),
    "steady_state stopped": (lambda: rt.steady_state(W2, method="krylov", progress=stop), KeyboardInterrupt),
    "generator stopped": (lambda: rt.generator(turn, box, progress=stop), KeyboardInterrupt),
    "evolve stopped": (lambda: rt.evolve(W, np.full(24, 1 / 24), 1.0, progress=stop), KeyboardInterrupt),
    "steady_state interrupted": (lambda: rt.steady_state(W2, method="krylov", progress=interrupt), KeyboardInterrupt),
    "evolve of no law": (lambda: rt.evolve(W, np.full(24, np.nan), 1.0), ValueError),
    "simulate stopped": (lambda: rt.simulate(well, [0.0], 0.1, 50, progress=stop), KeyboardInterrupt),
    "simulate outside": (lambda: rt.simulate(well, [9.0], 0.1, 50, boundary=line), ValueError),
    "sample_paths stopped": (lambda: chain.sample_paths(0, 50, progress=stop), KeyboardInterrupt),
    "sample_paths from nowhere": (lambda: chain.sample_paths(99, 50), ValueError),
    "estimate_rattling stopped": (lambda: rt.estimate_rattling(tracks, at=at, progress=stop), KeyboardInterrupt),
    "estimate_rattling of nothing": (lambda: rt.estimate_rattling(np.full((9, 1), np.inf), 0.1), ValueError),
    "windowed_rattling of text": (lambda: rt.windowed_rattling("abc", 0.1, 1.0), TypeError),
    "typicality of other lengths": (lambda: rt.typicality(np.zeros(3), np.zeros(4)), ValueError),
    "sweep that raises": (lambda: rt.sweep(broken, {"p": [1]}, on_error="raise"), Own),
    "heat_bounds of no state": (lambda: blowtorch.heat_bounds(chain, 0, 99), ValueError),
}  # fmt: skip
