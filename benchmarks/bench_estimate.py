"""Claims about estimates of rattling: speed, and accuracy against exact R and two peers.

    python benchmarks/bench_estimate.py speed
    python benchmarks/bench_estimate.py accuracy [states, 50000] [systems ...]
    python benchmarks/bench_estimate.py shares [sets, 20] [systems ...]

Peers: numpy.bincount; kramersmoyal (kernel averages) and StochasticForceInference (PyPI,
degree-4 polynomials). A peer that is not installed is left out. Accuracy is at the same 40
places for all, in six systems with relaxation times about 1, from one path. Shares are of places within one
and 1.96 stated errors, with more sets of data and without peers.
"""

import contextlib
import io
import logging
import sys
import time
import warnings

import numpy as np

import rattling as rt

try:
    from kramersmoyal import km
except ImportError:
    km = None
try:
    from SFI import OverdampedLangevinInference, TrajectoryCollection
    from SFI.bases import monomials_up_to
except ImportError:
    OverdampedLangevinInference = None


def swirl():
    return rt.Model.from_sympy(
        ["-x + y", "-y - x"],
        ["(1 + 7*sin(2*x)*cos(y)/10)/2", "(1 + 6*cos(x + y)/10)/2"],
        variables="x y",
    )


def best(function, n=3):
    """Shortest of n times, by the clock and of the processor, and the answer."""
    seconds, busy = [], []
    for _ in range(n):
        start, processor = time.perf_counter(), time.process_time()
        answer = function()
        seconds.append(time.perf_counter() - start)
        busy.append(time.process_time() - processor)
    return min(seconds), min(busy), answer


# --- speed ------------------------------------------------------------------------------


def numpy_bins(x, dt, cells, low, high):
    """Counts, means and squares of increments in cells, by numpy.bincount."""
    start = x[:, :-1].reshape(-1, 2)
    dx = np.diff(x, axis=1).reshape(-1, 2)
    index = np.floor((start - low) * (cells / (high - low))).astype(np.int64)
    inside = ((index >= 0) & (index < cells)).all(axis=1)
    cell, dx, n = (index[:, 0] * cells + index[:, 1])[inside], dx[inside], cells * cells
    count = np.bincount(cell, minlength=n)
    sums = [
        np.bincount(cell, weights, minlength=n)
        for weights in (dx[:, 0], dx[:, 1], dx[:, 0] ** 2, dx[:, 0] * dx[:, 1], dx[:, 1] ** 2)
    ]
    mean = np.stack(sums[:2]) / count
    return count, (sums[2] / count - mean[0] ** 2) * count / (count - 1) / dt


def speed():
    model, dt = swirl(), 0.005
    x = np.ascontiguousarray(rt.simulate(model, np.zeros((100, 2)), dt, 100_000, rng=1).x)
    grid = rt.Grid([(-3, 3)] * 2, 100)
    with np.errstate(divide="ignore", invalid="ignore"):
        peer, peer_busy, (count, c00) = best(lambda: numpy_bins(x, dt, 100, -3.0, 3.0))
    cores = rt._core.cores()
    for threads in (1, cores):
        how = {"at": grid, "method": "bins", "lags": 1, "threads": threads}
        ours, busy, field = best(lambda how=how: rt.estimate_rattling(x, dt, **how))
        many = field.counts.ravel() > 100
        assert np.array_equal(field.counts.ravel(), count)
        np.testing.assert_allclose(field.covariance[..., 0, 0].ravel()[many], c00[many], rtol=1e-8)
        print(f"bins, 10^7 states in 2-D, 100 x 100 cells, {threads} threads: {ours:.2f} s, numpy.bincount"
              f" {peer:.2f} s, ratio {peer / ours:.1f}; processor {busy:.2f} and {peer_busy:.2f} s,"
              f" ratio {peer_busy / busy:.1f}")  # fmt: skip
    at = np.random.default_rng(0).normal(size=(1000, 2)) * 0.7
    for threads in (1, cores):
        how = {"at": at, "threads": threads}
        seconds, busy, _ = best(lambda how=how: rt.estimate_rattling(x[:10], dt, **how))
        print(f"local polynomials, 10^6 states, 10^3 points, {threads} threads: {seconds:.2f} s,"
              f" processor {busy:.2f} s")  # fmt: skip
    for dim in (2, 7):
        walk = np.cumsum(np.random.default_rng(1).normal(size=(1_000_000, dim)), axis=0)
        seconds, busy, _ = best(lambda walk=walk: rt.windowed_rattling(walk, 0.069, 8.0))
        print(f"windows of 114 rows, stride 1, 10^6 rows in {dim}-D, {cores} threads: {seconds:.2f} s,"
              f" processor {busy:.2f} s")  # fmt: skip


# --- accuracy ---------------------------------------------------------------------------


def systems():
    """name: model, start, walls."""
    ring = rt.Grid((0, 2 * np.pi), 2, "periodic")
    tensor = [
        ["(3 + sin(x + y))/6", "sin(x)/8", "0"],
        ["sin(x)/8", "(3 + sin(z))/6", "sin(y)/8"],
        ["0", "sin(y)/8", "1/3"],
    ]
    return {
        "OU": (rt.Model.from_sympy(["-x + 2*y", "-y - 2*x"], 0.5, variables="x y"), None),
        "hot double well": (
            rt.Model.from_sympy("2*x - 2*x**3", "(1 + 2*exp(-(x - 1/2)**2/(1/5)))/3", variables="x"),
            None,
        ),
        "swirl": (swirl(), None),
        "3-D tensor": (
            rt.Model.from_sympy(["-x + z/2", "-y - x/2", "-z"], tensor, variables="x y z"),
            None,
        ),
        "ring": (rt.Model.from_sympy("1 + sin(x)", "1/2 + 3*cos(x)/10", variables="x"), ring),
        "active": (
            rt.Model.from_sympy(["v + x - x**3", "-2*v"], ["(1 + x**2)/10", "1/2"], variables="x v"),
            None,
        ),
    }


def kernel(x, dt, at, periodic):
    """R by kramersmoyal, 40 bins an axis, its own bandwidth."""
    if km is None or periodic or x.shape[1] > 2:  # it knows no rings, and takes minutes in 3-D
        return None
    dim = x.shape[1]
    powers, pairs = [[0] * dim], [(i, j) for i in range(dim) for j in range(i, dim)]
    for i, j in pairs:
        powers.append([(k == i) + (k == j) for k in range(dim)])
    kmc, edges = km(x, bins=[40] * dim, powers=np.array(powers))
    index = tuple(np.abs(edges[k][None] - at[:, k, None]).argmin(axis=1) for k in range(dim))
    c = np.empty((len(at), dim, dim))
    for k, (i, j) in enumerate(pairs, 1):
        c[:, i, j] = c[:, j, i] = kmc[k][index] * (2.0 if i == j else 1.0) / dt
    return half_log_det(c)


def polynomials(x, dt, at, periodic):
    """R by StochasticForceInference with all monomials up to degree 4."""
    if OverdampedLangevinInference is None or periodic:
        return None
    inference = OverdampedLangevinInference(TrajectoryCollection.from_arrays(X=x, dt=dt))
    inference.compute_diffusion_constant()
    inference.infer_diffusion_linear(monomials_up_to(order=4, dim=x.shape[1], rank="symmetric_matrix"))
    return half_log_det(2 * np.asarray(inference.diffusion_inferred(at), dtype=float))


def half_log_det(c):
    sign, value = np.linalg.slogdet(c)
    return np.where(sign > 0, 0.5 * value, np.nan)


def quietly(function, *arguments):
    with warnings.catch_warnings(), np.errstate(all="ignore"), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        return function(*arguments)


SETS = 4  # of data in each row of the table
SLOW = 1  # sets that StochasticForceInference gets in 3-D, where each takes minutes


def data_set(model, walls, lag, n, noisy, seed):
    """Paths or states, dt, 40 places, exact R. Steps of a tenth of the lag, of weak order two."""
    start = np.zeros(model.dim) + 0.1
    paths = rt.simulate(model, start, lag / 10, n * 10, thin=10, rng=seed, boundary=walls, method="platen")
    rng = np.random.default_rng(seed)
    at = rng.choice(paths.x[0], 40, replace=False)
    x = np.asarray(paths.x)
    if noisy:
        x = x + 0.5 * np.sqrt(2 * lag * 0.4) * rng.normal(size=x.shape)
    return (x if noisy else paths), x[0], paths.dt, at, rt.exact_rattling(model, at.T)


OURS = (("local", "local-linear"), ("basis", "basis"))


def rows(chosen):
    """label, model, walls, lag, whether with noise."""
    for name, (model, walls) in systems().items():
        for lag in (0.001, 0.01, 0.1) if not chosen or name in chosen else ():
            for noisy in (False, True) if walls is None else (False,):
                yield f"{name}, lag {lag:g}{', noise' if noisy else ''}", model, walls, lag, noisy


def ours(method, data, dt, at, noisy):
    how = {"at": at, "method": method, "noise": "covariance" if noisy else "none"}
    return rt.estimate_rattling(data, *([dt] if noisy else []), **how)


def row(model, walls, lag, n, noisy):
    """Errors of R of each method, (SETS, 40), and whether ours hold the truth."""
    errors = {"local": [], "basis": [], "kramersmoyal": [], "SFI": []}
    covered = {"local": [], "basis": []}
    for seed in range(SETS):
        data, x, dt, at, exact = data_set(model, walls, lag, n, noisy, 100 + seed)
        for name, method in OURS:
            field = ours(method, data, dt, at, noisy)
            errors[name].append(field.rattling - exact)
            covered[name].append(np.abs(errors[name][-1]) < field.stderr)
        for name, peer in (("kramersmoyal", kernel), ("SFI", polynomials)):
            if model.dim > 2 and seed >= SLOW:
                continue
            try:
                got = quietly(peer, x, dt, at, walls is not None)
            except Exception as error:
                print(f"{name}: {type(error).__name__} {error}"[:110])
                got = None
            if got is not None:
                errors[name].append(got - exact)
    return errors, covered


def accuracy(n, chosen):
    logging.disable(logging.CRITICAL)
    for name, peer in (("kramersmoyal", km), ("StochasticForceInference", OverdampedLangevinInference)):
        if peer is None:
            print(f"{name} is not installed: left out")
    print(f"rms error of R, bias in brackets, over 40 places in {SETS} sets of {n} states; *: in fewer")
    names = ["local", "basis", "kramersmoyal", "SFI"]
    print(f"{'':<26}" + "".join(f"{name:>18}" for name in names) + "   within one error")
    inside = {}
    for label, model, walls, lag, noisy in rows(chosen):
        errors, covered = row(model, walls, lag, n, noisy)
        cells = []
        for e in errors.values():
            n_sets = len(e)
            e = np.ravel(e)[np.isfinite(np.ravel(e))] if e else np.zeros(0)
            enough = n_sets > 0 and len(e) >= 20 * n_sets
            few = "*" if n_sets < SETS else ""
            cells.append(f"{np.sqrt(np.mean(e**2)):.3f} ({e.mean():+.3f}){few}" if enough else "-")
        own = [np.mean(c) for c in covered.values()]
        inside.setdefault((lag, noisy), []).append(own)
        print(f"{label:<26}" + "".join(f"{cell:>18}" for cell in cells)
              + "".join(f"{share:>8.2f}" for share in own), flush=True)  # fmt: skip
    for (lag, noisy), shares in inside.items():
        local, basis = np.mean(shares, axis=0)
        print(f"lag {lag:g}{', noise' if noisy else ''}: within one error, local {local:.2f}, basis {basis:.2f}")


def shares(n_sets, chosen):
    """Of places where R is within one and 1.96 of its errors, with the error of the first from the sets' scatter."""
    print(f"shares of 40 places in {n_sets} sets of 50000 states" + "".join(f"{name:>34}" for name, _ in OURS))
    for label, model, walls, lag, noisy in rows(chosen):
        z = {name: [] for name, _ in OURS}
        for seed in range(n_sets):
            data, _, dt, at, exact = data_set(model, walls, lag, 50_000, noisy, 1000 + seed)
            for name, method in OURS:
                field = ours(method, data, dt, at, noisy)
                known = np.isfinite(field.rattling)
                z[name].append(np.abs(field.rattling - exact)[known] / field.stderr[known])
        text = ""
        for own in z.values():
            inside = np.array([np.mean(one < 1) for one in own])
            error = inside.std(ddof=1) / np.sqrt(n_sets)
            text += f"{inside.mean():20.3f} ± {error:.3f} {np.mean(np.concatenate(own) < 1.96):.3f}"
        print(f"{label:<46}{text}", flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["shares"]:
        shares(int(sys.argv[2]) if len(sys.argv) > 2 else 20, sys.argv[3:])
    elif sys.argv[1:2] == ["accuracy"]:
        accuracy(int(sys.argv[2]) if len(sys.argv) > 2 else 50_000, sys.argv[3:])
    else:
        speed()
