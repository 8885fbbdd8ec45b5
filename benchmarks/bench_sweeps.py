"""Claims about ensembles: 200 random 3-D tensor media at 32³ in under ten minutes on two processes,
and a sweep of 2-D systems (64²) on two processes at 1.7 times the speed of one.

    python benchmarks/bench_sweeps.py [points] [media]

Both sides of the second claim must give the same bits. Beside wall-clock times stand processor
times, which other work on the machine does not change: the ratio they allow is that of the time
one process takes to half the time of both together, whoever hands out the points included.
"""

import sys
import time
from concurrent.futures import ProcessPoolExecutor

import numpy as np

import rattling as rt
from rattling import systems


def medium(rng):
    model = systems.random_diffusion(3, kind="tensor", rng=rng)
    return model, rt.Grid([(0, 2 * np.pi)] * 3, 32, "periodic")


def plane(force, draw, rng):
    start = time.process_time()
    model, grid = systems.random_force(2, force=force, rng=rng), systems.default_grid("random_force", 64)
    state = rt.steady_state(model, grid)
    gamma = rt.typicality(state.log_density, rt.exact_rattling(model, grid)).gamma
    return {"gamma": gamma, "seconds": time.process_time() - start}


def timed(function):
    """The result, wall-clock and processor seconds of this process."""
    start, used = time.perf_counter(), time.process_time()
    return function(), time.perf_counter() - start, time.process_time() - used


def main():
    points = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    axes = {"force": np.linspace(0, 2, 10), "draw": range(max(1, points // 10))}
    one, alone, alone_used = timed(lambda: rt.sweep(plane, axes, rng=1))
    with ProcessPoolExecutor(2) as executor:
        list(executor.map(abs, range(8)))  # start the workers
        two, together, here = timed(lambda: rt.sweep(plane, axes, rng=1, executor=executor))
        assert np.array_equal(one["gamma"], two["gamma"], equal_nan=True), "the answers differ"
        print(f"{len(one.points)} systems of 64²: {alone:.1f} s on one process, {together:.1f} s on two,"
              f" ratio {alone / together:.2f}; {one.n_failed} failed")  # fmt: skip
        used = np.nansum(two["seconds"]) + here
        print(f"processor time {alone_used:.1f} s and {used:.1f} s, ratio {2 * alone_used / used:.2f}", flush=True)
        draws = int(sys.argv[2]) if len(sys.argv) > 2 else 200
        ensemble, seconds, _ = timed(lambda: rt.typicality_ensemble(medium, draws, rng=1, executor=executor))
        failed = sum(error != "" for error in ensemble.errors)
        print(f"{draws} tensor media of 32³ on two processes: {seconds:.1f} s; {failed} failed")
        print(ensemble.summary())


if __name__ == "__main__":
    main()
