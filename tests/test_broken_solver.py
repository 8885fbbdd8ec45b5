"""Results that cannot lie: solvers that are broken on purpose are caught by what is checked
after them.
"""

import dataclasses
import functools
import sqlite3

import numpy as np
import pytest

import rattling as rt
from rattling import _core, blowtorch, evolution

N = 12


def rates(seed=0):
    return 10 ** np.random.default_rng(seed).uniform(-1, 1, (N, N))


class Broken:
    """A core object of which one method gives something else."""

    def __init__(self, core, **methods):
        self._core = core
        self._methods = methods

    def __getattr__(self, name):
        method = getattr(self._core, name)
        return self._methods[name](method) if name in self._methods else method


def spoil(change):
    """A solver of steady states whose log p is changed, while its own numbers say that all is well."""

    def wrap(steady):
        def run(*arguments):
            log_p, converged, info, other = steady(*arguments)
            log_p = change(log_p.copy())
            return log_p, True, info | {"residual": 0.0}, other

        return run

    return wrap


def one(index, value):
    def change(log_p):
        log_p[index] += value
        return log_p

    return change


FAULTS = {
    "one state off": one(3, 1e-6),
    "wrong sign": np.negative,
    "not a number in the middle": one(5, np.nan),
    "infinite": one(5, np.inf),
    "lost state": one(5, -np.inf),
    "states exchanged": lambda y: y[::-1].copy(),
    "normalisation": lambda y: y + 1e-3,
    "stopped at the start": lambda y: np.full(len(y), -np.log(len(y))),
    "too loose a tolerance": lambda y: np.log(np.exp(y) + 1e-9),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("method", ["direct", "krylov"])
def test_steady_states(fault, method):
    chain = rt.Generator.from_rates(rates())
    chain._core = Broken(chain._core, steady=spoil(FAULTS[fault]))
    with pytest.raises(rt.ConvergenceError, match="residual is|miss a sum of 1"):
        rt.steady_state(chain, method=method)


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("side", ["reflecting", "absorbing"])
def test_laws_on_grids(fault, side, monkeypatch):
    model = rt.Model.from_sympy("1 - x", "1 + x**2/4", variables="x")
    grid = rt.Grid((-2, 2), N, side)
    make = rt.fokker_planck.generator

    def broken(*arguments, **options):
        W = make(*arguments, **options)
        W._core = Broken(W._core, steady=spoil(FAULTS[fault]))
        return W

    assert rt.steady_state(model, grid).residual < 1e-10
    monkeypatch.setattr(rt.fokker_planck, "generator", broken)
    with pytest.raises(rt.ConvergenceError, match="residual is|miss a sum of 1"):
        rt.steady_state(model, grid)


def test_an_escape_rate_that_is_off():
    W = rt.generator(rt.Model.from_sympy("0", 1, variables="x"), rt.Grid((0, 1), N, "absorbing"))

    def wrap(steady):
        def run(*arguments):
            log_p, converged, info, other = steady(*arguments)
            return log_p, converged, info | {"escape_rate": 1.001 * info["escape_rate"]}, other

        return run

    W._core = Broken(W._core, steady=wrap)
    with pytest.raises(rt.ConvergenceError, match="residual is"):
        rt.steady_state(W)


def test_rates_that_differ_between_solve_and_check():
    """Solved with one rate in 144 off by 1e-6."""
    other = rates()
    other[2, 7] *= 1 + 1e-6
    elsewhere = rt.Generator.from_rates(other)._core
    chain = rt.Generator.from_rates(rates())
    chain._core = Broken(chain._core, steady=lambda _: elsewhere.steady)
    with pytest.raises(rt.ConvergenceError, match="residual is"):
        rt.steady_state(chain)


def test_the_residual_is_that_of_the_matrix():
    """Of any log p; once more in NumPy."""
    W = rt.Generator.from_rates(rates())
    y = np.random.default_rng(1).normal(size=N)
    p = np.exp(y)
    expected = np.abs(W.matrix @ p + 0.3 * p) / (W.exit_rates * p)
    residual, worst = W._core.residual(y, 0.3, 1)
    assert residual == pytest.approx(expected.max(), rel=1e-12) and worst == expected.argmax()
    assert np.isnan(W._core.residual(np.where(y == y[4], np.nan, y), 0.0, 2)[0])


@pytest.mark.parametrize(
    "change",
    [
        lambda p: 1.001 * p,
        lambda p: np.where(np.arange(N) == 4, np.nan, p),
        lambda p: -p,
    ],
    ids=["normalisation", "not a number", "sign"],
)
def test_evolution(change, monkeypatch):
    real = _core.Evolution
    chain = rt.Generator.from_rates(rates())
    p = np.full(N, 1 / N)

    def wrap(run):
        return lambda *arguments: change(run(*arguments))

    monkeypatch.setattr(_core, "Evolution", lambda *arguments: Broken(real(*arguments), run=wrap))
    with pytest.raises(rt.ConvergenceError, match="no solution: mass is off"):
        rt.evolve(chain, p, [0.1, 1.0])


def test_evolution_reports_a_defect_of_about_one():
    chain = rt.Generator.from_rates(rates())
    info = rt.evolve(chain, np.full(N, 1 / N), [0.01, 0.1, 1.0]).info
    assert 0 < info["defect"] < 100 and info["mass_error"] < 1e-12


@pytest.mark.parametrize("n", [N, 2000])
def test_modes(n, monkeypatch):
    """Eigenvalues and vectors that are off by a few per cent."""
    W = rt.generator(rt.Model.from_sympy("-x", 1, variables="x"), rt.Grid((-4, 4), n))
    modes = rt.relaxation_times(W, 2)
    assert (modes.residual < 1e-6).all()
    if n == N:
        found = np.linalg.eig(W.matrix.toarray())
        monkeypatch.setattr(np.linalg, "eig", lambda _: (1.03 * found[0], found[1]))
    else:
        found = evolution._nearest_to_zero(W, None, 8)
        monkeypatch.setattr(evolution, "_nearest_to_zero", lambda *_: (found[0], found[1] + 1e-3 * np.eye(n, 8)))
    with pytest.raises(rt.ConvergenceError, match="mode . misses") as caught:
        rt.relaxation_times(W, 2)
    assert caught.value.residual == caught.value.modes.residual.max() > 0.01


def test_linear_solves_of_modes_that_stop_early(monkeypatch):
    real = _core.Resolvent

    def early(solve):
        return lambda b, rtol: (solve(b, rtol)[0], 0.3)

    monkeypatch.setattr(_core, "Resolvent", lambda *arguments: Broken(real(*arguments), solve=early))
    W = rt.generator(rt.Model.from_sympy("-x", 1, variables="x"), rt.Grid((-4, 4), 2000))
    with pytest.raises(rt.ConvergenceError, match="linear solve of the slowest modes kept a relative residual of 0.3"):
        rt.relaxation_times(W, 2)


def test_decay_that_rounding_hides():
    """e^-25 per unit time beside rates of 10^3: eigenvalues are right to 10^-16 of the largest."""
    W = rt.generator(rt.Model.from_sympy("x - x**3", 0.01, variables="x"), rt.Grid((-2, 2), 1000))
    with pytest.raises(rt.ConvergenceError, match="hidden by rounding"):
        rt.relaxation_times(W, 1)


def test_linear_solves():
    """The residual is computed, not taken from GMRES; what is no number has an infinite one."""
    W = rt.Generator.from_rates(rates())
    b = np.random.default_rng(2).normal(size=N)
    x, residual = _core.Resolvent(W._core, 0.5, None).solve(b, 1e-6)
    expected = np.linalg.norm(b - x + 0.5 * (W.matrix @ x)) / np.linalg.norm(b)
    assert residual == pytest.approx(expected, rel=1e-6)
    b[3] = np.nan
    assert _core.Resolvent(W._core, 0.5, None).solve(b, 1e-6)[1] == np.inf


def test_adjoint_equation(monkeypatch):
    chain = rt.Generator.from_rates(rates())
    factorise = rt.response._factorise
    monkeypatch.setattr(rt.response, "_factorise", lambda *a: factorise(*a) * (1 + 1e-4))
    with pytest.raises(rt.ConvergenceError, match="adjoint equation"):
        blowtorch.susceptibility(chain, 0, 1)


# --- data ------------------------------------------------------------------------------------------


def observation():
    model = rt.Model.from_sympy("-x", 1, variables="x")
    simulation = rt.Simulation(model, [0.0], 0.01, n_paths=20, rng=1, observe=rt.Grid((-3, 3), 6))
    return simulation.advance(200).observation


@pytest.mark.parametrize(
    "change",
    [
        {"counts": lambda a: -a},
        {"counts": lambda a: a // 2},
        {"sums": lambda a: a * np.nan},
        {"sums": lambda a: -a},
        {"sums": lambda a: a[:-1]},
        {"sums": lambda a: 3 * a},
    ],
    ids=["negative", "too few", "not a number", "minus", "a cell is missing", "too many"],
)
def test_counts_that_do_not_fit(change):
    good = observation()
    assert np.isfinite(good.estimate_rattling().rattling).any()
    bad = dataclasses.replace(good, **{name: f(getattr(good, name)) for name, f in change.items()})
    with pytest.raises(ValueError, match="counts|sums"):
        bad.estimate_rattling()


def test_a_saved_simulation_knows_its_model(tmp_path):
    path = tmp_path / "walk.npz"
    model = rt.Model.from_sympy("-x", 1, variables="x")
    rt.Simulation(model, [0.3], 0.01, n_paths=5, rng=1).advance(10).save(path)
    assert rt.Simulation.load(path, model).advance(10).n_steps == 20
    for other in (rt.Model.from_sympy("-2*x", 1, variables="x"), rt.Model.from_sympy("-x", 1.5, variables="x")):
        with pytest.raises(ValueError, match="another model"):
            rt.Simulation.load(path, other)


def double(a):
    return {"y": 2 * a}


def triple(a):
    return {"y": 3 * a}


def test_a_checkpoint_knows_its_function(tmp_path):
    path = tmp_path / "sweep.db"
    rt.sweep(double, {"a": [1, 2]}, checkpoint=path)
    assert (rt.sweep(double, {"a": [1, 2]}, checkpoint=path).values["y"] == [2, 4]).all()
    with pytest.raises(ValueError, match="another sweep"):
        rt.sweep(triple, {"a": [1, 2]}, checkpoint=path)
    with pytest.raises(ValueError, match="another sweep"):
        rt.sweep(double, {"a": [1, 3]}, checkpoint=path)
    same, other = functools.partial(double), functools.partial(triple)
    assert (rt.sweep(same, {"a": [1, 2]}, checkpoint=path).values["y"] == [2, 4]).all()
    with pytest.raises(ValueError, match="another sweep"):
        rt.sweep(other, {"a": [1, 2]}, checkpoint=path)


def test_a_damaged_point_of_a_checkpoint(tmp_path):
    path = tmp_path / "sweep.db"
    rt.sweep(double, {"a": [1, 2]}, checkpoint=path)
    with sqlite3.connect(path) as base:
        base.execute("UPDATE points SET content = ? WHERE number = 1", (b"PK garbage",))
    with pytest.raises(ValueError, match="damaged"):
        rt.sweep(double, {"a": [1, 2]}, checkpoint=path)
