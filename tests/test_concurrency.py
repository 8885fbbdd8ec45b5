"""Eight threads at once: what is shared and does not change gives the bits it gives alone; what
changes serves one thread at a time and tells the others so. `make tsan` looks for races here."""

import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import rattling as rt
from rattling import _core, systems

THREADS = 8
MODEL = rt.Model.from_sympy(["-x + y/4", "x - y**3"], ["1 + x**2/4", "1/2"], variables="x y")
FUNCTION = rt.Model(lambda x: -x, lambda x: 1 + 0.1 * np.cos(x), dim=2)
GRID = rt.Grid([(-2, 2), (-2, 2)], 24)
CHAIN = rt.generator(MODEL, GRID)
STATE = rt.steady_state(CHAIN)
PATHS = rt.simulate(MODEL, [0.1, 0.2], 0.01, 300, n_paths=12, rng=1)
POINTS = GRID.points()
P0 = np.full(GRID.shape, 1 / CHAIN.n)

CALLS = {
    "Model": lambda: rt.exact_rattling(MODEL, POINTS.T),
    "Model of functions": lambda: rt.exact_rattling(FUNCTION, POINTS.T),
    "Grid": lambda: GRID.points() * GRID.volumes.ravel()[:, None],
    "generator": lambda: rt.generator(MODEL, GRID).exit_rates,
    "Generator": lambda: CHAIN.matrix.toarray()[:, :50],
    "steady_state": lambda: rt.steady_state(CHAIN, threads=2).log_density,
    "steady_state of a model": lambda: rt.steady_state(MODEL, GRID, threads=2).probability,
    "SteadyState": lambda: np.array([STATE.entropy_production, *STATE.current.ravel()]),
    "evolve": lambda: rt.evolve(CHAIN, P0, [0.1, 0.2]).probability,
    "simulate": lambda: rt.simulate(MODEL, [0.1, 0.2], 0.01, 60, n_paths=600, rng=1, threads=3).x,
    "simulate functions": lambda: rt.simulate(FUNCTION, [0.1, 0.2], 0.01, 20, n_paths=20, rng=1).x,
    "sample_paths": lambda: systems.birth_death([1.0, 2], [2.0, 1]).sample_paths(0, 30, n_paths=9, rng=2, threads=2).times,
    "Trajectories, bins": lambda: rt.estimate_rattling(PATHS, at=GRID, method="bins", threads=2).rattling,
    "Trajectories, points": lambda: rt.estimate_rattling(PATHS, at=POINTS[::40], threads=2).rattling,
    "windowed_rattling": lambda: rt.windowed_rattling(PATHS.x[0], 0.01, 0.2).rattling,
    "typicality": lambda: rt.typicality(STATE.log_density, rt.exact_rattling(MODEL, GRID)).residual,
    "local_global": lambda: np.array([rt.local_global(CHAIN).gamma]),
}  # fmt: skip


def together(act, n=THREADS):
    """What `n` threads get that start at the same moment."""
    gate = threading.Barrier(n)

    def start():
        gate.wait()
        return act()

    with ThreadPoolExecutor(n) as pool:
        waiting = [pool.submit(start) for _ in range(n)]
        return [one.result(timeout=300) for one in waiting]


@pytest.fixture(autouse=True)
def switch_often():
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


@pytest.mark.parametrize("name", CALLS)
def test_shared_objects_give_the_same_bits_as_alone(name):
    alone = np.asarray(CALLS[name]())
    for got in together(CALLS[name]):
        np.testing.assert_array_equal(got, alone)


def test_different_calls_at_once():
    alone = {name: np.asarray(call()) for name, call in CALLS.items()}
    names = iter(list(CALLS) * 2)
    lock = threading.Lock()

    def next_ones():
        while True:
            with lock:
                name = next(names, None)
            if name is None:
                return
            np.testing.assert_array_equal(CALLS[name](), alone[name])

    together(next_ones)


def mutable_objects():
    """(object, what changes it, what looks at it)"""
    n = 3000
    line = _core.Generator.from_rates(n, np.arange(n - 1), np.arange(1, n), np.ones(n - 1))
    evolution = _core.Evolution(line, 0.0, np.full(n, 1 / n), 1e-6, 1e-9)
    times = iter(range(1, 10**6))
    resolvent = _core.Resolvent(line, 1.0, None)
    grid = rt.Grid([(-2, 2), (-2, 2)], 8)
    walk = rt.Simulation(MODEL, np.zeros((300, 2)), 0.01, rng=1, observe=grid, boundary=grid, threads=2)
    return {
        "Simulation": (lambda: walk.advance(40), lambda: (walk.x, walk.n_steps, walk.observation, walk._simulation.dump())),
        "Evolution": (lambda: evolution.run(float(next(times)), None), evolution.info),
        "Resolvent": (lambda: resolvent.solve(np.ones(n), 1e-8), lambda: resolvent.solve(np.zeros(n), 1e-8)),
    }


@pytest.mark.parametrize("name", ["Simulation", "Evolution", "Resolvent"])
def test_what_changes_serves_one_thread_at_a_time(name):
    change, look = mutable_objects()[name]
    refused, served = [], []

    def act():
        for k in range(30):
            try:
                (look if k % 3 == 2 else change)()
                served.append(k)
            except RuntimeError as error:
                assert "is running" in str(error)
                refused.append(k)
            except ValueError:  # an evolution does not go back
                assert name == "Evolution"

    for _ in range(100):  # a machine may run one thread after the other
        together(act)
        if served and refused:
            break
    assert served and refused, "threads did not meet"
    change()


def test_a_simulation_that_others_disturb_gives_the_same_bits():
    walk, alone = (rt.Simulation(MODEL, np.zeros((300, 2)), 0.01, rng=1, threads=2) for _ in range(2))
    done = threading.Event()

    def disturb():
        while not done.is_set():
            try:
                _ = walk.x
            except RuntimeError:
                pass

    def go_on():
        made = 0
        while made < 400:
            try:
                walk.advance(20)
                made += 20
            except RuntimeError:
                pass
        done.set()

    roles = iter([go_on] + [disturb] * 3)
    together(lambda: next(roles)(), 4)
    np.testing.assert_array_equal(walk.x, alone.advance(400).x)


def test_functions_of_several_threads_do_not_wait_for_each_other():
    """A model's function that itself calls the core, from all threads."""

    def drift(x):
        return -x * CHAIN._core.exit_rates().min() / CHAIN._core.exit_rates().min()

    model = rt.Model(drift, 0.5, dim=2)
    alone = rt.steady_state(model, GRID, threads=2).probability
    for got in together(lambda: rt.steady_state(model, GRID, threads=2).probability):
        np.testing.assert_array_equal(got, alone)


def test_an_error_of_one_thread_stays_there():
    def fail(x):
        if threading.current_thread() is not threading.main_thread() and np.random.default_rng().random() < 0.3:
            raise ZeroDivisionError("mine")
        return -x

    model = rt.Model(fail, 0.5, dim=2)
    alone = rt.simulate(model, [0.1, 0.2], 0.01, 5, n_paths=3, rng=1).x

    def act():
        try:
            return rt.simulate(model, [0.1, 0.2], 0.01, 5, n_paths=3, rng=1).x
        except ZeroDivisionError as error:
            assert str(error) == "mine"
            return alone

    for got in together(act):
        np.testing.assert_array_equal(got, alone)
