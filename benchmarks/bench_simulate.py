"""Euler-Maruyama against a plain loop in C and against what users would take instead.

    python benchmarks/bench_simulate.py            # 1000 walkers, and one path
    python benchmarks/bench_simulate.py --short    # a tenth of the steps

    dx = (x - x^3 + y) dt + g(x) dW_1,   dy = (-y - x) dt + g(y) dW_2

with g = 1/2 + x^2/(4 + 4 x^2) ("polynomial"), (2 + sin x)/4 ("sine") and
sqrt(0.1 + 0.4 exp(-2 x^2)) ("hot spot"). The loop in C, scalar_loop.c, is written for each
of these alone and is compiled here with -O3. numba, sdeint, jitcsde and diffrax take part
where they are installed.

Everything runs on one thread; times are CPU times, the best of three. Each answer is
checked first: means and variances at the end must agree with those of the loop in C
within 4.5 standard errors.
"""

import argparse
import ctypes
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np

import rattling

SYSTEMS = {
    "polynomial": ("POLYNOMIAL", "1/2 + {0}**2/(4 + 4*{0}**2)", lambda x: 0.5 + 0.25 * x * x / (1 + x * x)),
    "sine": ("SINE", "(2 + sin({0}))/4", lambda x: 0.5 * (1 + 0.5 * np.sin(x))),
    "hot spot": ("HOT_SPOT", "sqrt(1/10 + 2/5*exp(-2*{0}**2))", lambda x: np.sqrt(0.1 + 0.4 * np.exp(-2 * x * x))),
}
DT = 1e-3
START = 0.1, 0.2


def compile_loop(folder, macro):
    """scalar_loop.c as a ctypes library."""
    target = Path(folder) / f"{macro}.so"
    source = Path(__file__).with_name("scalar_loop.c")
    subprocess.run(["cc", "-O3", "-fPIC", "-shared", f"-D{macro}", "-o", target, source, "-lm"], check=True)
    library = ctypes.CDLL(str(target))
    library.start.argtypes = [ctypes.c_uint64]
    library.run.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_size_t, ctypes.c_double]
    pointer = ctypes.POINTER(ctypes.c_double)
    for function in (library.drift, library.noise):
        function.argtypes = [pointer, pointer, ctypes.c_ssize_t, ctypes.c_void_p]
        function.restype = ctypes.c_int
    library.start(1)
    return library


# --- contestants: n_paths, n_steps -> states at the end, (n_paths, 2) -----------------------


def plain_c(library):
    def run(n_paths, n_steps):
        x, y = (np.full(n_paths, s) for s in START)
        library.run(x.ctypes.data, y.ctypes.data, n_paths, n_steps, DT)
        return np.stack([x, y], axis=1)

    return run


def ours(model):
    seeds = iter(range(100))

    def run(n_paths, n_steps):
        simulation = rattling.Simulation(model, START, DT, n_paths=n_paths, rng=next(seeds), threads=1)
        return simulation.advance(n_steps).x

    return run


def with_numpy(g):
    rng = np.random.default_rng(1)

    def run(n_paths, n_steps):
        x, y = (np.full(n_paths, s) for s in START)
        root = np.sqrt(DT)
        for _ in range(n_steps):
            u = x + (x - x**3 + y) * DT + g(x) * root * rng.standard_normal(n_paths)
            y = y + (-y - x) * DT + g(y) * root * rng.standard_normal(n_paths)
            x = u
        return np.stack([x, y], axis=1)

    return run


def with_numba(g):
    import numba

    noise = numba.njit(g)

    @numba.njit
    def loop(x, y, n_steps, dt):
        root = np.sqrt(dt)
        for i in range(len(x)):
            a, b = x[i], y[i]
            for _ in range(n_steps):
                u = a + (a - a * a * a + b) * dt + noise(a) * root * np.random.standard_normal()
                b = b + (-b - a) * dt + noise(b) * root * np.random.standard_normal()
                a = u
            x[i], y[i] = a, b

    def run(n_paths, n_steps):
        x, y = (np.full(n_paths, s) for s in START)
        loop(x, y, n_steps, DT)
        return np.stack([x, y], axis=1)

    run(1, 1)  # compiles
    return run


def with_sdeint(g):
    import sdeint

    def run(n_paths, n_steps):
        """One path after the other."""
        ends = []
        for _ in range(n_paths):
            path = sdeint.itoEuler(
                lambda x, t: np.array([x[0] - x[0] ** 3 + x[1], -x[1] - x[0]]),
                lambda x, t: np.diag(g(x)),
                np.array(START),
                np.arange(n_steps + 1) * DT,
            )
            ends.append(path[-1])
        return np.array(ends)

    return run


def with_diffrax(macro):
    import diffrax
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)
    g = {
        "POLYNOMIAL": lambda x: 0.5 + 0.25 * x * x / (1 + x * x),
        "SINE": lambda x: 0.5 * (1 + 0.5 * jnp.sin(x)),
        "HOT_SPOT": lambda x: jnp.sqrt(0.1 + 0.4 * jnp.exp(-2 * x * x)),
    }[macro]

    def one(key, n_steps):
        brownian = diffrax.UnsafeBrownianPath((2,), key)
        terms = diffrax.MultiTerm(
            diffrax.ODETerm(lambda t, x, _: jnp.array([x[0] - x[0] ** 3 + x[1], -x[1] - x[0]])),
            diffrax.ControlTerm(lambda t, x, _: jnp.diag(g(x)), brownian),
        )
        solution = diffrax.diffeqsolve(
            terms, diffrax.Euler(), 0.0, n_steps * DT, DT, jnp.array(START), max_steps=n_steps + 1,
            saveat=diffrax.SaveAt(t1=True), adjoint=diffrax.DirectAdjoint(),
        )  # fmt: skip
        return solution.ys[0]

    every = jax.jit(jax.vmap(one, in_axes=(0, None)), static_argnums=1)

    def run(n_paths, n_steps):
        return np.asarray(every(jax.random.split(jax.random.PRNGKey(1), n_paths), n_steps))

    return run


# --- measuring ------------------------------------------------------------------------------


def rate(run, n_paths, n_steps):
    """Millions of walker-steps a second of CPU time, best of three, and the last answer."""
    best = np.inf
    for _ in range(3):
        start = time.process_time()
        x = run(n_paths, n_steps)
        best = min(best, time.process_time() - start)
    return n_paths * n_steps / best / 1e6, x


def agree(run, exact):
    """Whether means and second moments at t = 1 are those of the plain loop."""
    n_paths, n_steps = 1000, 1000
    for power in (1, 2):
        a, b = run(n_paths, n_steps) ** power, exact(n_paths, n_steps) ** power
        error = np.sqrt((a.var(axis=0) + b.var(axis=0)) / n_paths)
        if np.any(np.abs(a.mean(axis=0) - b.mean(axis=0)) > 4.5 * error):
            return False
    return True


def contestants(macro, formula, g, library):
    tape = rattling.Model.from_sympy(
        ["x - x**3 + y", "-y - x"], noise=[formula.format(v) for v in "xy"], variables="x y"
    )
    yield "rattling, tape", ours(tape), 1
    yield "rattling, pointer", ours(rattling.Model(library.drift, noise=library.noise, dim=2)), 1
    yield "numpy", with_numpy(g), 10
    for name, make, argument, share in (
        ("numba", with_numba, g, 1),
        ("diffrax", with_diffrax, macro, 10),
        ("sdeint", with_sdeint, g, 1000),
    ):
        try:
            yield name, make(argument), share
        except ImportError:
            pass


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help="a tenth of the steps")
    scale = 10 if parser.parse_args().short else 1
    print("millions of walker-steps a second; in brackets, times the plain loop in C")
    with tempfile.TemporaryDirectory() as folder:
        for system, (macro, formula, g) in SYSTEMS.items():
            library = compile_loop(folder, macro)
            exact = plain_c(library)
            for n_paths, n_steps in ((1000, 100_000 // scale), (1, 10_000_000 // scale)):
                reference, _ = rate(exact, n_paths, n_steps)
                print(f"\n{system}, {n_paths} walkers x {n_steps} steps\n  {'plain C':18} {reference:8.2f}")
                for name, run, share in contestants(macro, formula, g, library):
                    if n_paths == 1 and name in ("numpy", "diffrax", "sdeint"):
                        continue
                    few = n_paths if share <= 100 else 1
                    if share <= 100 and not agree(run, exact):
                        print(f"  {name:18} gives other means or variances")
                        continue
                    speed, _ = rate(run, few, max(n_steps // share, 1))
                    print(f"  {name:18} {speed:8.2f}  ({speed / reference:.2f})", flush=True)


if __name__ == "__main__":
    main()
