"""Steady states of Markov chains against what a user would write.

    python benchmarks/bench_markov.py line         # 1-D, against two cumulative sums
    python benchmarks/bench_markov.py random       # random graphs, against power iteration
    python benchmarks/bench_markov.py metastable   # accuracy of weakly coupled blocks
    python benchmarks/bench_markov.py survey       # the same of many chains drawn at random
    python benchmarks/bench_markov.py tree         # and grid, graph: large chains whose law is known, sigma = 3

Times are of the processor, medians of three where they are short; every answer is checked
before its time is printed.
"""

import argparse
import functools
import statistics
import time

import numpy as np
from scipy import sparse
from scipy.sparse import linalg

import rattling as rt

try:
    import deeptime.markov.tools.analysis as deeptime
except ImportError:
    deeptime = None


def timed(call, repeats=1):
    times = []
    for _ in range(repeats):
        start = time.process_time()
        result = call()
        times.append(time.process_time() - start)
    return result, statistics.median(times)


def line(n):
    """A line of n cells: log p is a cumulative sum of log ratios, then normalised."""
    model = rt.Model.from_sympy("x - x**3", 1, variables="x")
    W = rt.generator(model, rt.Grid((-3, 3), n))
    matrix = W.matrix
    up, down = matrix.diagonal(-1), matrix.diagonal(1)

    def numpy():
        log_p = np.concatenate([[0.0], np.cumsum(np.log(up / down))])
        p = np.exp(log_p - log_p.max())
        total = np.cumsum(p)  # the second sum, which a user needs for samples and quantiles
        return p / total[-1]

    exact, peer = timed(numpy, 5)
    chain = W._core
    log_p, core = timed(lambda: chain.steady(1e-10, 3, None, False, 1, None)[0], 5)
    state, whole = timed(lambda: rt.steady_state(W, threads=1), 5)
    error = np.abs(state.probability / exact - 1).max()
    if not (error < 1e-8 and np.abs(np.exp(log_p) / exact - 1).max() < 1e-8):
        raise SystemExit(f"the answers differ by {error:.2g}")
    print(f"line of {n}: NumPy {peer:.3f} s; closed form with its check {core:.3f} s, {core / peer:.1f} x;")
    print(f"  steady_state, with classes, {whole:.3f} s, {whole / peer:.1f} x")


def graph(n, seed, degree=8):
    """Rates Exp(1) from each state to 8 others, and one to the next."""
    rng = np.random.default_rng(seed)
    source, target = np.repeat(np.arange(n), degree), rng.integers(0, n, n * degree)
    target[::degree] = (source[::degree] + 1) % n
    return sparse.coo_array((rng.exponential(1, n * degree), (source, target)), shape=(n, n)).tocsr()


def power_iteration(W, tolerance=1e-10):
    """The jump chain, step by step, until no entry changes by more than the tolerance."""
    into = (W.matrix + sparse.diags_array(W.exit_rates)).tocsr() @ sparse.diags_array(1 / W.exit_rates)
    law = np.full(W.n, 1 / W.n)
    for _ in range(3000):
        new = into @ law
        if np.abs(new - law).max() <= tolerance * law.max():
            break
        law = new / new.sum()
    p = new / W.exit_rates
    return p / p.sum()


def random(sizes):
    for n in sizes:
        rates = graph(n, 0)
        W, seconds = timed(lambda rates=rates: rt.Generator.from_rates(rates))
        print(f"random graph, n = {n}, {rates.nnz} rates: from_rates {seconds:.2f} s")
        state, first = timed(lambda W=W: rt.steady_state(W, threads=1))
        print(
            f"  rattling         {first:8.2f} s  residual {state.residual:.0e}, {state.info['krylov_iterations']} iterations"
        )
        peers = {"power iteration": power_iteration, "eigs, ARPACK": arpack}
        if deeptime is not None and n <= 10_000:  # its factors of 10^5 states do not fit into memory
            peers["deeptime"] = deeptime_law
        for name, peer in peers.items():
            call = functools.partial(peer, W)
            p, seconds = timed(call)
            error = np.abs(p / state.probability - 1).max()
            print(f"  {name:16s} {seconds:8.2f} s  {seconds / first:5.2f} x  differs by {error:.0e}", flush=True)


def arpack(W):
    into = (W.matrix + sparse.diags_array(W.exit_rates)).tocsr() @ sparse.diags_array(1 / W.exit_rates)
    _, vectors = linalg.eigs(into, 1, which="LR")
    p = np.abs(vectors[:, 0]) / W.exit_rates
    return p / p.sum()


def deeptime_law(W):
    """Of one step of the chain in discrete time that stays at least as long as it leaves."""
    step = W.matrix.T / (2 * W.exit_rates.max()) + sparse.eye_array(W.n)
    return deeptime.stationary_distribution(step.tocsr())


def gth(rates):
    """Grassmann, Taksar & Heyman: elimination without subtraction, dense."""
    A = rates.copy()
    n = len(A)
    for k in range(n - 1, 0, -1):
        A[:k, k] /= A[k, :k].sum()
        A[:k, :k] += np.outer(A[:k, k], A[k, :k])
    p = np.ones(n)
    for k in range(1, n):
        p[k] = p[:k] @ A[:k, k]
    return p / p.sum()


def metastable(n):
    """Two blocks coupled at 1e-8; rates Exp(1) or lognormal of sigma = 3."""
    for name, sigma in (("Exp(1)", None), ("lognormal, sigma = 3", 3.0)):
        rng = np.random.default_rng(1)
        rates = sparse.block_diag([graph(n // 2, s) for s in (1, 2)]).tolil()
        rates[0, n // 2], rates[n // 2, 0] = 1e-8, 3e-8
        rates = rates.tocsr()
        if sigma is not None:
            rates.data[rates.data > 1e-7] = rng.lognormal(0, sigma, int((rates.data > 1e-7).sum()))
        rates.setdiag(0)
        exact = gth(rates.toarray())
        W = rt.Generator.from_rates(rates)
        A = W.matrix
        peers = {
            "rattling, krylov": lambda W=W: rt.steady_state(W, method="krylov").probability,
            "splu": lambda A=A: splu(A),
            "eigs around 0": lambda A=A: around_zero(A),
            "power iteration": lambda W=W: power_iteration(W),
        }
        if deeptime is not None:
            peers["deeptime"] = lambda W=W: deeptime_law(W)
        print(f"two blocks, {name}, n = {n}: largest relative error of an entry, against dense GTH")
        for peer, call in peers.items():
            p, seconds = timed(call)
            print(f"  {peer:18s} {np.abs(p / exact - 1).max():8.1e}  {seconds:6.2f} s", flush=True)


def splu(A):
    """One equation replaced by normalisation of the first state."""
    lu = linalg.splu(A[1:, 1:].tocsc())
    p = np.concatenate([[1.0], lu.solve(-A[1:, [0]].toarray().ravel())])
    return p / p.sum()


def around_zero(A):
    _, vectors = linalg.eigs(A, 1, sigma=1e-14)
    p = vectors[:, 0].real
    return p / p.sum()


def survey(count):
    """Iterations alone against elimination: parts, degree, rates and couplings at random."""
    rng = np.random.default_rng(1)
    wrong, unsolved = [], 0
    for _ in range(count):
        parts, n, degree, sigma = (int(rng.choice(v)) for v in ((2, 3, 8), (200, 500, 900), (2, 3, 6), (0, 1, 2, 3)))
        sizes = rng.multinomial(n - 5 * parts, np.ones(parts) / parts) + 5
        first = np.concatenate([[0], np.cumsum(sizes)])
        rates = sparse.block_diag([graph(size, rng.integers(2**31), degree) for size in sizes], format="lil")
        rates.setdiag(0)
        rates = rates.tocsr()
        rates.data = rng.lognormal(0, sigma, rates.nnz)
        links = sparse.lil_array(rates.shape)
        coupling = 10.0 ** -rng.integers(2, 13)
        for part in np.repeat(range(parts), rng.choice([1, 3])):
            a, b = (first[p] + rng.integers(sizes[p]) for p in (part, (part + 1) % parts))
            links[a, b], links[b, a] = coupling * rng.lognormal(0, 1, 2)
        W = rt.Generator.from_rates(rates + links.tocsr())
        exact = rt.steady_state(W, method="direct").probability
        try:
            error = np.abs(rt.steady_state(W, method="krylov").probability / exact - 1).max()
        except rt.ConvergenceError:
            unsolved += 1
            continue
        wrong += [error] if error > 1e-9 else []
    worst = f", at most by {max(wrong):.1e}" if wrong else ""
    print(f"{count} chains: {unsolved} not solved by iterations; {len(wrong)} off by more than 1e-9{worst}")


def links(kind, n, rng):
    """Pairs of states: a random tree, a plane grid, or a ring with three more links a state."""
    if kind == "tree":
        return (rng.random(n - 1) * np.arange(1, n)).astype(int), np.arange(1, n)
    if kind == "grid":
        at = np.arange(n).reshape(round(n**0.5), -1)
        return np.r_[at[1:].ravel(), at[:, 1:].ravel()], np.r_[at[:-1].ravel(), at[:, :-1].ravel()]
    return np.r_[np.arange(n), rng.integers(0, n, 3 * n)], np.r_[(np.arange(n) + 1) % n, rng.integers(0, n, 3 * n)]


def exact(kind, sizes, sigma=3):
    """Two halves with one weak link; conductances and probabilities are lognormal, and so known."""
    for size in sizes:
        half = round((size / 2) ** 0.5) ** 2
        rng, n = np.random.default_rng(1), 2 * half
        (a, b), (c, d) = links(kind, half, rng), links(kind, half, rng)
        a, b = np.concatenate([a, c + half, [0]]), np.concatenate([b, d + half, [half]])
        conductance = rng.lognormal(0, sigma, len(a))
        conductance[-1] = 1e-8
        p = rng.lognormal(0, sigma, n)
        flow = np.where(a == b, 0, conductance)
        rates = sparse.coo_array((np.tile(flow, 2) / p[np.r_[a, b]], (np.r_[a, b], np.r_[b, a])), shape=(n, n))
        W = rt.Generator.from_rates(rates)
        try:
            state, seconds = timed(lambda W=W: rt.steady_state(W, threads=1))
        except rt.ConvergenceError as failure:
            print(f"{kind}, n = {n}: not solved; {failure}", flush=True)
            continue
        error = np.abs(state.probability / (p / p.sum()) - 1).max()
        print(
            f"{kind}, n = {n}: {state.info['method']}, {seconds:.2f} s, {state.info['peak_bytes'] / 1e6:.0f} MB; "
            f"largest relative error of an entry {error:.1e}",
            flush=True,
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("part", choices=["line", "random", "metastable", "survey", "tree", "grid", "graph"])
    parser.add_argument("--sizes", type=int, nargs="+", help="states")
    arguments = parser.parse_args()
    if arguments.part == "line":
        line(*(arguments.sizes or [10**6]))
    elif arguments.part == "random":
        random(arguments.sizes or [10**5, 10**6])
    elif arguments.part == "survey":
        survey(*(arguments.sizes or [1000]))
    elif arguments.part in ("tree", "grid", "graph"):
        exact(arguments.part, arguments.sizes or [10**4, 10**5] + [10**6] * (arguments.part != "graph"))
    else:
        metastable(*(arguments.sizes or [2000]))
