"""Claims about ensembles: 200 random 3-D media at 32³ in under ten minutes on two processes,
and a sweep of 2-D systems (64²) on two processes at 1.7 times the speed of one.

    python benchmarks/bench_sweeps.py [points]

Both sides of the second claim must give the same bits; times are of this machine.
"""

import sys
import time
from concurrent.futures import ProcessPoolExecutor

import numpy as np

import rattling as rt
from rattling import systems


def medium(rng):
    model = systems.random_diffusion(3, kind="diagonal", rng=rng)
    return model, rt.Grid([(0, 2 * np.pi)] * 3, 32, "periodic")


def plane(force, draw, rng):
    model, grid = systems.random_force(2, force=force, rng=rng), systems.default_grid("random_force", 64)
    state = rt.steady_state(model, grid)
    return rt.typicality(state.log_density, rt.exact_rattling(model, grid)).gamma


def timed(function):
    start = time.perf_counter()
    return function(), time.perf_counter() - start


def main():
    points = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    axes = {"force": np.linspace(0, 2, 10), "draw": range(max(1, points // 10))}
    one, alone = timed(lambda: rt.sweep(plane, axes, rng=1))
    with ProcessPoolExecutor(2) as executor:
        list(executor.map(abs, range(8)))  # start the workers
        two, together = timed(lambda: rt.sweep(plane, axes, rng=1, executor=executor))
        assert np.array_equal(one["value"], two["value"], equal_nan=True), "the answers differ"
        print(f"{len(one.points)} systems of 64²: {alone:.1f} s on one process, {together:.1f} s on two,"
              f" ratio {alone / together:.2f}; {one.n_failed} failed")  # fmt: skip
        draws = max(1, points // 5)
        ensemble, seconds = timed(lambda: rt.typicality_ensemble(medium, draws, rng=1, executor=executor))
        failed = sum(error != "" for error in ensemble.errors)
        print(f"{draws} media of 32³ on two processes: {seconds:.1f} s; {failed} failed")
        print(ensemble.summary())


if __name__ == "__main__":
    main()
