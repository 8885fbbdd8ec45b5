"""Steady states on grids: cost in products with the generator, and against what a user
would write with SciPy on the same generator.

    python benchmarks/bench_steady.py work        # cost in products; two threads against one
    python benchmarks/bench_steady.py peers       # SciPy, pyamg, pypardiso where installed
    python benchmarks/bench_steady.py packages    # fplanck, FiPy, pychangcooper where installed
    python benchmarks/bench_steady.py accuracy    # the two fluxes and central differences

Every answer is checked (largest relative residual, negative cells) before its time is
printed. One thread where nothing else is said; set OMP_NUM_THREADS=1 for the peers.
"""

import argparse
import statistics
import sys
import time
import warnings

import numpy as np
import sympy as sp
from scipy import sparse
from scipy.sparse import linalg

import rattling as rt

X, Y, Z = sp.symbols("x y z", real=True)
warnings.simplefilter("ignore", rt.AccuracyWarning)


def s2(c, diffusion=1):
    """phi = 2(x^2 - 1)^2 + 2 y^2 + x y/2 on [-2.2, 2.2]^2 with circulation c."""
    phi = 2 * (X**2 - 1) ** 2 + 2 * Y**2 + X * Y / 2
    return rt.Model.with_steady_state(phi, [diffusion, diffusion], c, variables=(X, Y)), 2.2


def rough():
    """D of S2 over two decades."""
    return sp.exp(sp.Rational(23, 20) * (sp.sin(2 * X) + sp.sin(3 * Y)))


def flat_well(c):
    """phi = 2(x^2 - 1)^2 + 3 y^2/2 + x y/2, D = 1/2, on [-3, 3]^2."""
    phi = 2 * (X**2 - 1) ** 2 + sp.Rational(3, 2) * Y**2 + X * Y / 2
    half = sp.Rational(1, 2)
    return rt.Model.with_steady_state(phi, [half, half], c, variables=(X, Y)), 3


def s3():
    """3-D Ornstein-Uhlenbeck with rotation on +-5."""
    return rt.Model.from_sympy([-X + 2 * Y, -Y - 2 * X, -Z + X / 2], 1, variables=(X, Y, Z)), 5


def grid_of(model, half, n):
    return rt.Grid([(-half, half)] * model.dim, (n,) * model.dim)


def median_time(function, repeats):
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        result = function()
        times.append(time.perf_counter() - start)
    return statistics.median(times), result


def residual(W, p):
    """Largest relative residual over all cells; inf where a cell is not positive."""
    if not (p > 0).all():
        return np.inf
    return np.abs((W.matrix @ p) / (W.exit_rates.ravel() * p)).max()


# --- work ---------------------------------------------------------------------------------


def work(large):
    print(f"{'problem':<16}{'cells':>10}{'product ms':>12}{'solve s':>9}{'products':>10}{'residual':>10}{'2 threads':>11}")
    cases = [("S2 c=1", *s2(1), n) for n in (256, 512, 1024)]
    cases += [("S2 c=20", *s2(20), n) for n in (256, 512, 1024)]
    cases += [("S2 c=20 rough D", *s2(20, rough()), n) for n in (256, 512)]
    cases += [("S3", *s3(), 64)]
    if large:
        cases += [("S2 c=1", *s2(1), 2048), ("S3", *s3(), 128)]
    for name, model, half, n in cases:
        grid = grid_of(model, half, n)
        W = rt.generator(model, grid)
        p = np.full(W.n, 1 / W.n)
        product, _ = median_time(lambda W=W, p=p: W._core.apply(p), 9)
        seconds, state = median_time(lambda W=W: rt.steady_state(W, threads=1), 3)
        both, again = median_time(lambda W=W: rt.steady_state(W, threads=2), 3)
        assert state.residual <= 1e-10
        assert np.array_equal(state.log_density, again.log_density)
        print(
            f"{name:<16}{W.n:>10}{1e3 * product:>12.3f}{seconds:>9.3f}{seconds / product:>10.0f}"
            f"{state.residual:>10.1e}{seconds / both:>9.2f} x  {state.info['peak_bytes'] / W.n:.0f} bytes a cell"
        )


# --- peers --------------------------------------------------------------------------------


def pinned(W):
    """The system with the largest cell's probability set to 1: what a user would write."""
    A = W.matrix.tocsc()
    k = W.n // 2
    keep = np.delete(np.arange(W.n), k)
    return A[keep][:, keep].tocsc(), -A[keep][:, [k]].toarray().ravel(), k


def with_pin(x, k):
    p = np.insert(x, k, 1.0)
    return p / p.sum()


def peers_of(W):
    A, b, k = pinned(W)
    table = {}
    for order in ("COLAMD", "MMD_AT_PLUS_A"):
        table[f"splu {order}"] = lambda order=order: with_pin(linalg.splu(A, permc_spec=order).solve(b), k)
    table["eigs around 0"] = lambda: np.real(linalg.eigs(W.matrix, k=1, sigma=1e-9)[1][:, 0])

    def gmres_ilu():
        ilu = linalg.spilu(A, drop_tol=1e-5, fill_factor=20)
        M = linalg.LinearOperator(A.shape, ilu.solve)
        return with_pin(linalg.gmres(A, b, M=M, rtol=1e-12, restart=50, maxiter=20)[0], k)

    table["gmres + spilu"] = gmres_ilu
    try:
        import pyamg

        def amg():
            solver = pyamg.smoothed_aggregation_solver((-A).tocsr(), symmetry="nonsymmetric")
            M = solver.aspreconditioner()
            return with_pin(linalg.gmres(-A, -b, M=M, rtol=1e-12, restart=50, maxiter=20)[0], k)

        table["gmres + pyamg"] = amg
    except ImportError:
        print("pyamg is not installed: left out")
    try:
        import pypardiso

        table["pypardiso"] = lambda: with_pin(pypardiso.PyPardisoSolver().solve(A.tocsr(), b), k)
    except ImportError:
        print("pypardiso is not installed: left out")
    return table


def peers(large, only=""):
    cases = [("S2 c=1, 256^2", *s2(1), 256), ("S3, 32^3", *s3(), 32)]
    if large:
        cases += [("S2 c=1, 1024^2", *s2(1), 1024), ("S3, 64^3", *s3(), 64)]
    for title, model, half, n in cases:
        W = rt.generator(model, grid_of(model, half, n))
        ours, state = median_time(lambda W=W: rt.steady_state(W, threads=1), 3)
        print(f"\n{title}\n  {'rattling':<20}{ours:>9.3f} s   residual {state.residual:.1e}, 0 negative cells")
        best = np.inf
        for name, solve in peers_of(W).items():
            if only not in name:
                continue
            try:
                seconds, p = median_time(solve, 1)
            except (MemoryError, RuntimeError, linalg.ArpackError) as error:
                print(f"  {name:<20} failed: {error}")
                continue
            p = p / p.sum()
            negative = int((p <= 0).sum())
            good = negative == 0 and residual(W, p) < 1e-8
            if good:
                best = min(best, seconds)
            print(
                f"  {name:<20}{seconds:>9.3f} s   residual {residual(W, p):.1e}, {negative} negative cells"
                f"   {seconds / ours:.1f} x ours{'' if good else ', not counted'}"
            )
        print(f"  best right peer / ours: {best / ours:.1f}" if np.isfinite(best) else "  no right peer")


# --- packages -----------------------------------------------------------------------------


def error_of(p, model, grid):
    """L1 error of cell probabilities, and cells that are not positive."""
    exact = np.exp(model.exact_log_density(grid.points().T)).reshape(grid.shape)
    return np.abs(p / p.sum() - exact / exact.sum()).sum(), int((p <= 0).sum())


def with_fplanck(model, half, n):
    import fplanck
    from scipy import constants

    setattr(np, "product", np.prod)  # noqa: B010 (which it still calls)
    solver = fplanck.fokker_planck(
        temperature=1 / constants.k, drag=1.0, extent=[2 * half] * 2, resolution=2 * half / n,
        force=lambda x, y: model.drift(np.array([x.ravel(), y.ravel()])).reshape(2, *x.shape),
    )  # fmt: skip
    return solver.steady_state()


def with_fipy(model, half, n):
    import fipy

    mesh = fipy.Grid2D(nx=n, ny=n, dx=2 * half / n, dy=2 * half / n) + ((-half,), (-half,))
    p = fipy.CellVariable(mesh=mesh, value=1.0)
    drift = fipy.FaceVariable(mesh=mesh, rank=1, value=model.drift(np.array(mesh.faceCenters)))
    drift.setValue(0.0, where=mesh.exteriorFaces)
    equation = fipy.TransientTerm() == fipy.DiffusionTerm(1.0) - fipy.ExponentialConvectionTerm(coeff=drift)
    for _ in range(4):  # implicit steps far longer than the relaxation
        equation.solve(var=p, dt=1e4, solver=fipy.LinearLUSolver(tolerance=1e-12))
    return np.array(p.value).reshape(n, n).T


def packages(large):
    import importlib.util

    for n in (128, 256) if large else (64, 128):
        model, half = s2(1)
        grid = grid_of(model, half, n)
        ours, state = median_time(lambda grid=grid, model=model: rt.steady_state(model, grid, threads=1), 3)
        error, negative = error_of(state.probability, model, grid)
        print(f"\nS2 c=1, {n}^2\n  {'rattling':<15}{ours:>9.3f} s   L1 error {error:.5f}, {negative} cells not positive")
        for name, solve in (("fplanck", with_fplanck), ("fipy", with_fipy)):
            if importlib.util.find_spec(name) is None:
                print(f"  {name} is not installed: left out")
                continue
            seconds, p = median_time(lambda solve=solve, n=n, model=model, half=half: solve(model, half, n), 1)
            error, negative = error_of(p, model, grid)
            print(
                f"  {name:<15}{seconds:>9.3f} s   L1 error {error:.5f}, {negative} cells not positive"
                f"   {seconds / ours:.0f} x ours"
            )
    if importlib.util.find_spec("pychangcooper") is None:
        print("  pychangcooper is not installed: left out")
    else:
        against_pychangcooper(2000)


def against_pychangcooper(n):
    """Its logarithmic grid from 1 to 30: dp/dt = d/dx ((x - 10) p + 4 dp/dx)."""
    from pychangcooper import ChangCooper

    class Relaxation(ChangCooper):
        def _define_terms(self):
            self._heating_term = self._half_grid - 10
            self._dispersion_term = np.full(self._n_grid_points - 1, 4.0)

    def peer():
        solver = Relaxation(n, 30.0, 1e6, np.ones(n))
        for _ in range(4):
            solver.solve_time_step()
        return solver

    seconds, solver = median_time(peer, 3)
    middle = np.sqrt(solver.grid[1:] * solver.grid[:-1])
    edges = np.concatenate([[2 * solver.grid[0] - middle[0]], middle, [2 * solver.grid[-1] - middle[-1]]])
    x = sp.Symbol("x")
    model = rt.Model.from_sympy([10 - x], 4, variables=[x])
    grid = rt.Grid([edges])
    ours, state = median_time(lambda: rt.steady_state(model, grid, threads=1), 3)
    theirs = solver.n[1:-1]
    exact = np.exp(-((solver.grid[1:-1] - 10) ** 2) / 8)
    width = np.diff(edges)[1:-1]
    mine = state.density[1:-1]
    print(f"\n1-D, {n} cells from 1 to 30, evenly spaced in log x")
    for name, p, time_ in (("rattling", mine, ours), ("pychangcooper", theirs, seconds)):
        error = (np.abs(p / (p * width).sum() - exact / (exact * width).sum()) * width).sum()
        print(f"  {name:<15}{time_:>9.4f} s   L1 error {error:.6f}, {int((p <= 0).sum())} cells not positive")


# --- accuracy -----------------------------------------------------------------------------


def central(model, grid):
    """Central differences, solved directly: p may be negative."""
    n = int(np.prod(grid.shape))
    points = grid.points().T
    D = np.einsum("iin->in", model.diffusion(points))
    index = np.arange(n).reshape(grid.shape)
    rows, cols, values = [], [], []
    for axis in range(grid.dim):
        h = np.diff(grid.edges(axis))[0]
        low = np.delete(index, -1, axis).ravel()
        high = np.delete(index, 0, axis).ravel()
        f = model.drift((points[:, low] + points[:, high]) / 2)[axis]
        up, down = D[axis, low] / h**2 + f / (2 * h), D[axis, high] / h**2 - f / (2 * h)
        rows += [high, low, low, high]
        cols += [low, low, high, high]
        values += [up, -up, down, -down]
    W = sparse.csc_array((np.concatenate(values), (np.concatenate(rows), np.concatenate(cols))), shape=(n, n))
    k = int(np.argmax(model.exact_log_density(points)))
    keep = np.delete(np.arange(n), k)
    p = with_pin(linalg.splu(W[keep][:, keep].tocsc()).solve(-W[keep][:, [k]].toarray().ravel()), k)
    return p.reshape(grid.shape)


def accuracy(large):
    print(f"{'problem':<18}{'n':>5}{'exponential':>13}{'central':>10}{'(negative)':>11}{'log-mean':>10}{'estimated':>11}")
    problems = [(f"S2 c={c}", *s2(c)) for c in (1, 5, 20)] + [(f"P c={c}", *flat_well(c)) for c in (1, 5, 20)]
    for name, model, half in problems:
        for n in (128, 256, 512) if large else (128, 256):
            grid = grid_of(model, half, n)
            exact = np.exp(model.exact_log_density(grid.points().T)).reshape(grid.shape)
            exact /= exact.sum()
            exponential = rt.steady_state(model, grid, flux="exponential")
            ours = rt.steady_state(model, grid)
            differences = central(model, grid)
            errors = [np.abs(p - exact).sum() for p in (exponential.probability, differences, ours.probability)]
            print(
                f"{name:<18}{n:>5}{errors[0]:>13.5f}{errors[1]:>10.5f}{(differences < 0).sum():>11}"
                f"{errors[2]:>10.5f}{ours.discretisation_error:>11.5f}   log-mean / central {errors[2] / errors[1]:.2f},"
                f" exponential / log-mean {errors[0] / errors[2]:.0f}"
            )


def time_to_error():
    """S2 with c = 20 to an L1 error of 1e-3 by both fluxes; the exponential one is that of
    every positive peer here."""
    model, half = s2(20)
    for flux, n in (("log-mean", 192), ("exponential", 1536)):
        grid = grid_of(model, half, n)
        seconds, state = median_time(lambda grid=grid, flux=flux: rt.steady_state(model, grid, flux=flux, threads=1), 1)
        error, _ = error_of(state.probability, model, grid)
        print(f"{flux} flux, {n}^2 cells: L1 error {error:.5f} in {seconds:.2f} s")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=["work", "peers", "packages", "accuracy"])
    parser.add_argument("--large", action="store_true", help="the largest cases too")
    parser.add_argument("--only", default="", help="of the peers, those whose name has this in it")
    arguments = parser.parse_args()
    if arguments.part == "peers":
        peers(arguments.large, arguments.only)
        sys.exit()
    {"work": work, "packages": packages, "accuracy": accuracy}[arguments.part](arguments.large)
    if arguments.part == "accuracy" and arguments.large:
        time_to_error()
