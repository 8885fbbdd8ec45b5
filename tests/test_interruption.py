"""Ctrl-C in every call that can last: an early moment of some here, 30 random ones of all by

    python tests/test_interruption.py MOMENTS [NAME ...]

which prints, for each, CPU time of the calling thread until KeyboardInterrupt, and looks
whether the next call is right and whether anything is left behind.
"""

import functools
import gc
import sys
import threading
import time

import numpy as np
import pytest
import scipy.sparse
from interruption import answered_after, assert_ctrl_c_is_answered
from test_leaks import resident

import rattling as rt
from rattling import apriori, blowtorch, systems, thermodynamics

cached = functools.cache


@cached
def flat(n=600, boundary="reflecting"):
    return rt.Grid([(-2.5, 2.5), (-2.5, 2.5)], (n, n), boundary=boundary)


@cached
def swirl():
    return rt.Model.from_sympy(["x - x**3 + y", "-x - y"], [0.3, 0.4], variables=["x", "y"])


@cached
def tensor():
    return rt.Model.from_sympy(["y - x", "-x - y"], [["1 + x**2/9", "1/5"], ["1/5", "1"]], variables=["x", "y"])


@cached
def cubic():
    return rt.Model.from_sympy(["x - x**3 + y", "-x - y", "-z"], [0.3, 0.4, 0.5], variables=["x", "y", "z"])


@cached
def plain():
    return rt.Model(lambda p: np.array([p[1] - p[0], -p[0] - p[1]]), lambda p: 0.5 + 0.1 * p[0] ** 2, dim=2)


@cached
def on_grid(model, n, boundary="reflecting"):
    return rt.generator(model(), flat(n, boundary))


@cached
def spins(n=14):
    return systems.sk_spins(n, rng=1)


@cached
def dense(n):
    return systems.random_rates(n, rng=1)


@cached
def random_graph(n):
    """Four neighbours each, on average: elimination fills it in."""
    rng = np.random.default_rng(1)
    i, j = np.repeat(np.arange(n), 2), rng.integers(0, n, 2 * n)
    i, j = np.concatenate([i, j]), np.concatenate([j, i])
    rates = scipy.sparse.coo_array((np.exp(rng.normal(size=4 * n)) * (i != j), (i, j)), shape=(n, n))
    return rt.Generator.from_rates(rates.tocsr())


@cached
def without_grid(n):
    """A chain like another, about which nothing but its rates is known."""
    inflow = on_grid(swirl, n).matrix.T.tocsr()
    return rt.Generator.from_rates(inflow - scipy.sparse.diags_array(inflow.diagonal()))


@cached
def wandering():
    return rt.simulate(swirl(), np.zeros((60, 2)), 0.01, 20_000, rng=1)


@cached
def track():
    return rt.simulate(tensor(), np.zeros((1, 2)), 0.01, 1_000_000, rng=1).x[0]


@cached
def cells(n=2_000_000):
    rng = np.random.default_rng(1)
    r = rng.normal(size=n)
    return -r + rng.normal(size=n), r


def uniform(system):
    return np.full(system.shape, 1 / system.n)


def at(n):
    return np.random.default_rng(2).uniform(-1, 1, (n, 2))


box3 = rt.Grid([(-2.5, 2.5)] * 3, (48, 48, 48))

# name: a call of a second or a few
LONG = {
    "generator, diagonal": lambda: rt.generator(swirl(), flat(2000)),
    "generator, full tensor": lambda: rt.generator(tensor(), flat(700)),
    "generator, Python functions": lambda: rt.generator(plain(), flat(1500)),
    "steady_state, 600 x 600": lambda: rt.steady_state(on_grid(swirl, 600)),
    "steady_state, 2 threads": lambda: rt.steady_state(on_grid(swirl, 600), threads=2),
    "steady_state, periodic": lambda: rt.steady_state(on_grid(swirl, 400, "periodic")),
    "steady_state, absorbing": lambda: rt.steady_state(on_grid(swirl, 300, "absorbing")),
    "steady_state, full tensor": lambda: rt.steady_state(on_grid(tensor, 300)),
    "steady_state, log-mean": lambda: rt.steady_state(swirl(), flat(300), flux="log-mean"),
    "steady_state, Krylov": lambda: rt.steady_state(on_grid(swirl, 400), method="krylov"),
    "steady_state, 48 x 48 x 48": lambda: rt.steady_state(cubic(), box3),
    "steady_state, Python functions": lambda: rt.steady_state(plain(), flat(500)),
    "steady_state, 16384 spin states": lambda: rt.steady_state(spins()),
    "steady_state, direct, 1500 states": lambda: rt.steady_state(dense(1500), method="direct"),
    "steady_state, direct, 150 x 150": lambda: rt.steady_state(on_grid(swirl, 150), method="direct"),
    "steady_state, direct, 1000 x 1000": lambda: rt.steady_state(on_grid(swirl, 1000), method="direct"),
    "steady_state, direct, a random graph": lambda: rt.steady_state(random_graph(10_000), method="direct"),
    "steady_state, a random graph": lambda: rt.steady_state(random_graph(300_000), method="krylov"),
    "steady_state, 1000000 states": lambda: rt.steady_state(without_grid(1000), method="krylov"),
    "steady_state, a line": lambda: rt.steady_state(systems.double_well(), rt.Grid([(-2, 2)], 1_000_000)),
    "evolve": lambda: rt.evolve(on_grid(swirl, 200), uniform(on_grid(swirl, 200)), 10.0),
    "relaxation_times, dense": lambda: rt.relaxation_times(dense(600)),
    "relaxation_times, sparse": lambda: rt.relaxation_times(on_grid(swirl, 120)),
    "simulate": lambda: rt.simulate(swirl(), np.zeros((1000, 2)), 0.01, 100_000, thin=100, rng=1),
    "simulate, 2 threads": lambda: rt.simulate(swirl(), np.zeros((1000, 2)), 0.01, 100_000, thin=100, rng=1, threads=2),
    "simulate, one path": lambda: rt.simulate(tensor(), [0.0, 0.0], 0.01, 3_000_000, thin=100, rng=1),
    "simulate, Python functions": lambda: rt.simulate(plain(), np.zeros((2000, 2)), 0.01, 20_000, thin=100, rng=1),
    "Simulation.advance": lambda: rt.Simulation(swirl(), np.zeros((1000, 2)), 0.01, rng=1, observe=flat(100)).advance(8000),
    "sample_paths": lambda: dense(900).sample_paths(0, 100_000, n_paths=20, rng=1),
    "estimate_rattling, bins": lambda: rt.estimate_rattling(wandering(), at=flat(200), method="bins", lags=(1, 64)),
    "estimate_rattling, local-linear": lambda: rt.estimate_rattling(wandering(), at=at(300)),
    "estimate_rattling, knn": lambda: rt.estimate_rattling(wandering(), at=at(1000), method="knn"),
    "estimate_rattling, basis": lambda: rt.estimate_rattling(wandering(), at=at(20), method="basis"),
    "windowed_rattling": lambda: rt.windowed_rattling(track()[:500_000], 0.01, 10.0),
    "estimate_density, bins": lambda: rt.estimate_density(wandering(), at=flat(1000)),
    "estimate_density, knn": lambda: rt.estimate_density(wandering(), at=at(1000), method="knn"),
    "fit_gamma": lambda: rt.fit_gamma(wandering(), at=flat(200)),
    "exact_rattling": lambda: rt.exact_rattling(tensor(), flat(2500)),
    "typicality": lambda: rt.typicality(*cells()),
    "Typicality.intervals": lambda: rt.typicality(*(a[:20_000] for a in cells())).intervals(n=300, rng=1),
    "local_global": lambda: rt.local_global(on_grid(swirl, 600)),
    "entropy_production": lambda: thermodynamics.entropy_production(on_grid(swirl, 600), uniform(on_grid(swirl, 600))),
    "cycle_affinities": lambda: thermodynamics.cycle_affinities(dense(1500)),
    "heat_bounds": lambda: blowtorch.heat_bounds(systems.random_rates(18, rng=1), 0, 3),
    "certificate": lambda: apriori.certificate(dense(900)),
    "susceptibility": lambda: blowtorch.susceptibility(
        swirl(), flat(150).points()[:, 0].reshape(150, 150) < -1, flat(150).points()[:, 0].reshape(150, 150) > 1, flat(150)
    ),
    "moment_closure": lambda: apriori.moment_closure(swirl(), flat(1500)),
    "weak_disorder": lambda: apriori.weak_disorder(systems.random_diffusion(rng=1), rt.Grid([(0, 2 * np.pi)] * 2, (1000, 1000), boundary="periodic")),
    "sweep": lambda: rt.sweep(lambda a: rt.steady_state(swirl(), flat(100)).entropy_production, {"a": range(10)}),
    "typicality_ensemble": lambda: rt.typicality_ensemble(lambda rng: systems.random_rates(120, rng=rng), 300, rng=1),
    "Generator.matrix": lambda: on_grid(swirl, 600).matrix,
}  # fmt: skip


# those that no test of a module interrupts
@pytest.mark.parametrize(
    "name",
    [
        "steady_state, full tensor",
        "steady_state, log-mean",
        "steady_state, 48 x 48 x 48",
        "relaxation_times, dense",
        "Simulation.advance",
        "estimate_rattling, bins",
        "estimate_rattling, knn",
        "estimate_density, knn",
    ],
)
def test_ctrl_c(name):
    assert_ctrl_c_is_answered(LONG[name], 0.05)


def numbers(result):
    """What must be the same each time."""
    fields = getattr(result, "__dict__", {"result": result}).items()
    return {name: value for name, value in fields if isinstance(value, np.ndarray | float)}


def test_another_thread_is_stopped_by_its_progress():
    """Signals reach the main thread alone; what progress= raises ends a call anywhere."""

    class Stop(Exception):
        pass

    stop, caught = threading.Event(), []

    def progress(done):
        if stop.is_set():
            raise Stop

    def work(call):
        try:
            call()
        except Stop as error:
            caught.append(error)

    simulation = rt.Simulation(swirl(), np.zeros((100, 2)), 0.01, rng=1)
    calls = [
        lambda: simulation.advance(10**9, progress=progress),
        lambda: rt.simulate(swirl(), np.zeros((100, 2)), 0.01, 10**9, thin=10**6, progress=progress),
    ]
    threads = [threading.Thread(target=work, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    time.sleep(0.1)
    stop.set()
    for thread in threads:
        thread.join()
    assert len(caught) == 2
    n = simulation.n_steps
    again = rt.Simulation(swirl(), np.zeros((100, 2)), 0.01, rng=1).advance(n)
    np.testing.assert_array_equal(simulation.x, again.x)


def main(moments, *names):
    """A line for each call: CPU milliseconds until it is answered, median and largest."""
    rng = np.random.default_rng(1)
    slow = 0
    print(f"{'':36}{'lasts, s':>9}{'median, ms':>11}{'worst':>7}{'memory, KiB':>12}")
    for name, call in LONG.items():
        if names and not any(part in name for part in names):
            continue
        answered_after(call, 0.05)
        begin = time.process_time()
        expected = numbers(call())
        lasts = time.process_time() - begin
        gc.collect()
        memory, answers = resident(), []
        while len(answers) < moments:
            answer = answered_after(call, rng.uniform(0, 0.95) * lasts)
            if answer is not None:
                answers.append(1e3 * answer)
        gc.collect()
        memory = resident() - memory
        np.testing.assert_equal(numbers(call()), expected)
        slow += max(answers) > 100
        print(f"{name:36}{lasts:9.2f}{np.median(answers):11.1f}{max(answers):7.1f}{memory // 1024:12}", flush=True)
    print(f"{len(LONG)} calls, {slow} slower than 100 ms")
    return slow > 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), *sys.argv[2:]))
