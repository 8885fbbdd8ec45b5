"""Evolution in time: rattling.evolve against what SciPy has.

    python benchmarks/bench_evolve.py [--cells 64 128]

The double well S2 (circulation c = 1), from one cell, to a short and to a long time.
Every answer is compared with rattling's at rtol = 1e-9 before its time counts; times are
of the processor, the set-up of each side included.
"""

import argparse
import time

import numpy as np
from bench_steady import grid_of, s2
from scipy.integrate import solve_ivp
from scipy.sparse import linalg

import rattling as rt

CALLS = 3e9  # products of one cell beyond which expm_multiply is not waited for


def timed(call):
    start = time.process_time()
    result = call()
    return result, time.process_time() - start


def peers(W, matrix, p0, t):
    def bdf():
        solution = solve_ivp(lambda _, p: matrix @ p, (0, t), p0, "BDF", [t], rtol=1e-6, atol=1e-12, jac=matrix)
        return solution.y[:, -1]

    yield "rattling.evolve, rtol 1e-6", lambda: rt.evolve(W, p0.reshape(W.shape), t).probability[0].ravel()
    if W.n <= 128**2:
        yield "solve_ivp, BDF, rtol 1e-6", bdf
    if 2 * float(W.exit_rates.max()) * t * W.n < CALLS:
        yield "expm_multiply", lambda: linalg.expm_multiply(matrix * t, p0)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--cells", type=int, nargs="+", default=[64, 128])
    for n in parser.parse_args().cells:
        model, half = s2(1)
        W = rt.generator(model, grid_of(model, half, n))
        matrix = W.matrix
        p0 = np.zeros(W.n)
        p0[(n // 4) * n + n // 2] = 1
        for t in (0.1, 50.0):
            exact = rt.evolve(W, p0.reshape(W.shape), t, rtol=1e-9, atol=1e-16).probability[0].ravel()
            first = None
            for name, call in peers(W, matrix, p0, t):
                p, seconds = timed(call)
                error = np.abs(p - exact).sum()
                if error > 1e-3:
                    raise SystemExit(f"{name} is off by {error:.2g}")
                first = first or seconds
                print(
                    f"{n} x {n}  t = {t:<5g} {name:27s} {seconds:8.2f} s  {seconds / first:7.1f} x  L1 error {error:.1e}"
                    f"  mass {abs(p.sum() - 1):.0e}  smallest {p.min():.0e}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
