"""Schemes of simulate: against the twin, their orders against exact laws, and walls."""

import numpy as np
import pytest
import scipy.linalg
import scipy.special
import scipy.stats
from reference import simulate as twin

import rattling
from rattling import Grid, Model, simulate

SCHEMES = {"heun": twin.heun, "milstein": twin.milstein, "platen": twin.platen}
BOX = (-1.0, 1.5, "reflecting"), (-0.5, 0.5, "periodic")


# --- against the twin ---------------------------------------------------------------------


def drift(x):
    return np.array([x[1] - x[0] ** 3, -x[1]])


def one_source(x):
    """Columns: one."""
    return np.array([[1 + 0.3 * np.sin(x[0])], [0.5 * np.cos(x[1])]])


def three_sources(x):
    return np.array([[0.4 + 0.1 * x[1], 0.2, 0.3 * np.sin(x[0])], [0.1, 0.3 + 0.2 * x[0] ** 2, 0.2]])


def diagonal(x):
    return np.diag([1 + 0.3 * np.sin(x[0]), 0.5 + 0.2 * np.cos(x[1])])


def commuting(x):
    """Two sources that both move x, in proportion to x + 2."""
    return np.array([[0.3 * (x[0] + 2), 0.2 * (x[0] + 2)], [0 * x[1], 0.25 * (x[1] + 2)]])


NOISES = {
    one_source: [["1 + 0.3*sin(x)"], ["0.5*cos(y)"]],
    three_sources: [["0.4 + 0.1*y", "0.2", "0.3*sin(x)"], ["0.1", "0.3 + 0.2*x**2", "0.2"]],
    diagonal: ["1 + 0.3*sin(x)", "0.5 + 0.2*cos(y)"],
    commuting: [["3*(x + 2)/10", "(x + 2)/5"], ["0", "(y + 2)/4"]],
}


def correction(g, x, h=1e-5):
    """½ Σ_kj G_kj ∂_k G_ij"""
    slopes = [(g(x + h * e) - g(x - h * e)) / (2 * h) for e in np.eye(len(x))]
    return sum(g(x)[k] @ slopes[k].T for k in range(len(x))) / 2


@pytest.mark.parametrize("boundary", [None, BOX])
@pytest.mark.parametrize(
    "method, noise",
    [(method, noise) for method in SCHEMES for noise in NOISES if (method, noise) != ("milstein", three_sources)],
)
def test_twin(method, noise, boundary):
    model = Model.from_sympy(["y - x**3", "-y"], noise=NOISES[noise], variables="x y")
    x0 = np.random.default_rng(0).uniform(-0.4, 0.4, (5, 2))
    paths = simulate(model, x0, 0.02, 12, thin=3, rng=5, boundary=boundary, method=method)
    f = (lambda x: drift(x) - correction(noise, x)) if method == "heun" else drift
    expected = twin.simulate(f, noise, x0, 0.02, 12, paths.info["key"], 3, boundary, SCHEMES[method])
    np.testing.assert_allclose(paths.x, expected, rtol=1e-7, atol=1e-9)
    assert paths.info["method"] == method


def functions(interpretation, kind="noise"):
    def g(x):
        return np.array([1 + 0.3 * np.sin(x[0]), 0.5 + 0.2 * np.cos(x[1])])

    value = g if kind == "noise" else lambda x: g(x) ** 2 / 2
    return Model(lambda x: np.array([x[1] - x[0] ** 3, -x[1]]), **{kind: value}, interpretation=interpretation)


@pytest.mark.parametrize("kind", ["noise", "diffusion"])
@pytest.mark.parametrize(
    "method, interpretation",
    [("heun", "stratonovich"), ("platen", "stratonovich"), ("platen", "ito"), ("platen", "anti-ito")],
)
def test_functions_and_symbols_give_the_same_paths(method, interpretation, kind):
    g = ["1 + 0.3*sin(x)", "0.5 + 0.2*cos(y)"]
    value = g if kind == "noise" else [f"({c})**2/2" for c in g]
    symbols = Model.from_sympy(
        ["y - x**3", "-y"], **{kind: value}, variables="x y", interpretation=interpretation
    )
    runs = [
        simulate(model, [0.3, 0.2], 0.02, 20, n_paths=6, rng=3, method=method).x
        for model in (symbols, functions(interpretation, kind))
    ]
    np.testing.assert_allclose(runs[0], runs[1], rtol=0, atol=1e-9)


@pytest.mark.parametrize("method", SCHEMES)
@pytest.mark.parametrize("d", [0.5, [[1.0, 0.6], [0.6, 0.8]]])
def test_constant_noise_needs_nothing(method, d):
    """All schemes take it, from functions too; Milstein's is then Euler-Maruyama."""
    symbols = Model.from_sympy(["y - x**3", "-y"], d, variables="x y")
    function = Model(lambda x: np.array([x[1] - x[0] ** 3, -x[1]]), d, dim=2)
    runs = [simulate(m, [0.3, 0.2], 0.02, 20, n_paths=6, rng=3, method=method).x for m in (symbols, function)]
    np.testing.assert_allclose(runs[0], runs[1], rtol=0, atol=1e-12)
    if method == "milstein":
        euler = simulate(symbols, [0.3, 0.2], 0.02, 20, n_paths=6, rng=3).x
        np.testing.assert_allclose(runs[0], euler, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    "model, method, message",
    [
        (functions("ito"), "heun", "'heun' solves Stratonovich equations; this model of functions is 'ito'"),
        (functions("ito"), "milstein", "'milstein' needs derivatives"),
        (
            Model.from_sympy(["0"] * 2, noise=NOISES[three_sources], variables="x y"),
            "milstein",
            "needs noise that commutes, but columns 0 and 1 of the amplitude do not",
        ),
        (
            Model.from_sympy(["0"] * 2, [["1", "x/9"], ["x/9", "1"]], variables="x y"),
            "heun",
            "'heun' needs the noise amplitude",
        ),
    ],
)
def test_models_that_a_scheme_cannot_take(model, method, message):
    with pytest.raises(ValueError, match=message):
        simulate(model, [0.0, 0.0], 0.1, 1, method=method)


# --- orders of convergence ----------------------------------------------------------------

# dX = a X dt + b X dW has X(t) = exp((a - b²/2) t + b W(t)); W is the second coordinate.


def against_exact(method, n, n_paths, a, b):
    """X and its exact value at t = 1 after n steps, path by path."""
    model = Model.from_sympy([f"{a}*x", "0"], noise=[[f"{b}*x"], ["1"]], variables="x w")
    paths = simulate(model, [1.0, 0.0], 1 / n, n, n_paths=n_paths, thin=n, rng=n, method=method)
    x, w = paths.x[:, -1].T
    return x, np.exp((a - b**2 / 2) + b * w)


def order(steps, errors, sigma):
    """Order of convergence with its standard error, by weighted least squares."""
    u, v, weight = -np.log(steps), np.log(np.abs(errors)), (np.array(errors) / sigma) ** 2
    u = u - np.average(u, weights=weight)
    return (weight * u * v).sum() / (weight * u * u).sum(), 1 / np.sqrt((weight * u * u).sum())


@pytest.mark.parametrize("method, expected", [("euler-maruyama", 0.5), ("milstein", 1.0), ("heun", 1.0)])
def test_strong_order(method, expected):
    """The root mean square error, within 4 standard errors and 0.05 for higher orders."""
    steps, errors, sigma = (16, 32, 64, 128, 256), [], []
    for n in steps:
        x, exact = against_exact(method, n, 5000, 0.3, 0.8)
        square = (x - exact) ** 2
        errors.append(np.sqrt(square.mean()))
        sigma.append(square.std() / np.sqrt(len(x)) / (2 * errors[-1]))
    found, error = order(steps, errors, sigma)
    assert error < 0.06
    assert abs(found - expected) < 4 * error + 0.05, (found, error)


@pytest.mark.parametrize(
    "method, expected", [("euler-maruyama", 1.0), ("milstein", 1.0), ("heun", 1.0), ("platen", 2.0)]
)
def test_weak_order(method, expected):
    """The error of E X², within 4 standard errors and 0.1 for higher orders. The exact
    solution on the same path takes most of the scatter away."""
    steps, errors, sigma = (2, 4, 8, 16) if method == "platen" else (4, 8, 16, 32), [], []
    for n in steps:
        x, exact = against_exact(method, n, 200_000, -0.6, 0.5)
        difference = x**2 - exact**2
        errors.append(difference.mean())
        sigma.append(difference.std() / np.sqrt(len(x)))
    found, error = order(steps, errors, sigma)
    assert error < 0.2
    assert abs(found - expected) < 4 * error + 0.1, (found, error)


def test_weak_order_of_platen_where_noise_does_not_commute():
    """One step of dX = A X dt + Σ B_j X dW_j: the error of E X Xᵀ, by quadrature over
    the normals and both coins, is of third order. (C and twin agree, see above.)"""
    a = np.array([[-0.5, 1.0], [-1.0, -0.2]])
    b = np.array([[[0.4, 0.3], [0.0, 0.2]], [[0.1, 0.0], [0.5, -0.3]]])
    assert np.abs(b[0] @ b[1] - b[1] @ b[0]).max() > 0.1
    start = np.array([1.0, 0.5])
    nodes, weights = np.polynomial.hermite_e.hermegauss(7)
    weights = weights / weights.sum()
    eye = np.eye(2)
    rate = np.kron(a, eye) + np.kron(eye, a) + sum(np.kron(c, c) for c in b)
    errors = []
    steps = (8, 16, 32)
    for n in steps:
        mean = np.zeros((2, 2))
        for i, u in zip(range(7), nodes, strict=True):
            for j, v in zip(range(7), nodes, strict=True):
                for coin in (0.25, 0.75):
                    x = twin.platen(
                        start,
                        lambda x: a @ x,
                        lambda x: np.stack([c @ x for c in b], axis=1),
                        1 / n,
                        np.array([u, v]),
                        lambda x: x,
                        [coin],
                    )
                    mean += weights[i] * weights[j] / 2 * np.outer(x, x)
        exact = scipy.linalg.expm(rate / n) @ np.outer(start, start).ravel()
        errors.append(np.abs(mean.ravel() - exact).max())
    orders = np.log2(np.array(errors[:-1]) / errors[1:])
    assert np.all(np.abs(orders - 3) < 0.15), orders


# --- walls --------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["euler-maruyama", "platen"])
def test_reflection_along_the_co_normal(method):
    """Beside a wall at x = 0, with constant D: x = |√(2 D_xx t) ξ|, and y - x D_xy/D_xx is
    free motion, independent of x. A fold along x would give it a mean."""
    model = Model.from_sympy(["0", "0"], [["1", "0.8"], ["0.8", "1"]], variables="x y")
    walls = [(0, np.inf, "reflecting"), None]
    x = simulate(model, [0.0, 0.0], 0.05, 10, n_paths=20_000, rng=2, boundary=walls, method=method).x[:, -1]
    free = (x[:, 1] - 0.8 * x[:, 0]) / np.sqrt(1 - 0.8**2)
    assert scipy.stats.kstest(x[:, 0], scipy.stats.halfnorm.cdf).pvalue > 1e-3
    assert scipy.stats.kstest(free, "norm").pvalue > 1e-3
    for power in (1, 2):
        assert abs(np.corrcoef(x[:, 0] ** power, free)[0, 1]) < 4 / np.sqrt(len(x))


def test_exit_through_one_wall():
    """Brownian motion from distance 1: P(exit < t) = erfc(1/√(4 D t)), for large steps too."""
    model = Model.from_sympy("0", 0.5, variables="x")
    for dt, n in ((0.5, 4), (0.02, 100)):
        paths = simulate(model, [1.0], dt, n, n_paths=40_000, rng=3, boundary=[(0, np.inf, "absorbing")])
        left = ~np.isnan(paths.exit_times)
        expected = scipy.special.erfc(1 / np.sqrt(2 * 2.0))
        assert abs(left.mean() - expected) < 4 * np.sqrt(expected * (1 - expected) / 40_000)
        assert np.all(paths.exit_points[left] == 0) and np.all(np.isnan(paths.exit_points[~left]))
        assert np.all(paths.x[left, -1] == 0) and np.all(paths.x[~left, -1] > 0)
        late = paths.t[None, :] >= paths.exit_times[:, None]
        assert np.all((paths.x[..., 0] == 0) == late)


def test_where_a_step_meets_a_wall():
    """In the share of the step that the distances before and after say; a bridge meets it at the middle if they are equal."""
    model = Model.from_sympy(["0.1", "0.3"], ["1", "2"], variables="x y")
    x0 = np.random.default_rng(1).uniform(0.05, 1, (2000, 2))
    free = simulate(model, x0, 0.5, 1, rng=6).x[:, -1]
    paths = simulate(model, x0, 0.5, 1, rng=6, boundary=[(0, np.inf, "absorbing"), None])
    met = ~np.isnan(paths.exit_times)
    before, after = x0[met, 0], np.abs(free[met, 0])
    assert (free[met, 0] > 0).sum() > 100 and (free[met, 0] < 0).sum() > 100
    share = before / (before + after)
    np.testing.assert_allclose(paths.exit_times[met], 0.5 * share, rtol=1e-12)
    y = x0[met, 1] + share * (free[met, 1] - x0[met, 1])
    np.testing.assert_allclose(paths.exit_points[met], np.stack([0 * y, y], axis=1), rtol=1e-12, atol=1e-14)


def test_mean_exit_time_and_side():
    """An interval with drift: mean exit time and splitting probability of v, D = const."""
    v, d, start = 0.7, 0.5, 0.4
    model = Model.from_sympy("0.7", d, variables="x")
    paths = simulate(model, [start], 0.01, 2000, n_paths=20_000, thin=2000, rng=4, boundary=[(0, 1, "absorbing")])
    assert not np.isnan(paths.exit_times).any()
    up = (1 - np.exp(-v * start / d)) / (1 - np.exp(-v / d))
    mean = (up - start) / v
    at_top = paths.exit_points[:, 0] == 1
    assert abs(at_top.mean() - up) < 4 * np.sqrt(up * (1 - up) / 20_000)
    assert abs(paths.exit_times.mean() - mean) < 4 * paths.exit_times.std() / np.sqrt(20_000) + 2e-3
    assert set(np.unique(paths.exit_points)) == {0.0, 1.0}


@pytest.mark.parametrize("method", ["euler-maruyama", "heun", "milstein", "platen"])
def test_a_model_without_a_value_at_the_wall(method):
    """A Bessel process of dimension -1 from 1 reaches 0 at 1/(2 G), G of Gamma's law of shape 3/2.

    Paths that have ended are there to the end, beside 4,000 or alone.
    """
    options = {"method": method, "rng": 5, "boundary": [(0, np.inf, "absorbing")]}
    model = Model.from_sympy("-1/x", noise=1, variables="x")
    paths = simulate(model, [1.0], 1e-3, 1000, n_paths=4000, thin=500, **options)
    ended = ~np.isnan(paths.exit_times)
    law = 1 - scipy.special.gammainc(1.5, 0.5)
    assert abs(ended.mean() - law) < 4.5 * np.sqrt(law * (1 - law) / 4000)
    assert (paths.x[ended, -1] == 0).all() and (paths.x[~ended, -1] > 0).all()
    assert np.isfinite(paths.x).all() and simulate(model, [0.1], 1e-3, 3000, **options).exit_times[0] < 3
    # blocks of other sizes: the company of a path changes nothing
    functions = Model(lambda x: -1 / x, lambda x: 0 * x[0] + 0.5, dim=1)
    if method == "euler-maruyama":
        others = simulate(functions, [1.0], 1e-3, 1000, n_paths=4000, thin=500, **options)
        np.testing.assert_array_equal(others.x, paths.x)
        np.testing.assert_array_equal(others.exit_times, paths.exit_times)


def test_a_failure_beside_ended_paths_is_that_of_a_path_on_its_way():
    def drift(x):
        return np.where((x > 0.5) & (x < 0.9), np.nan, 0 * x - 1)

    model = Model(drift, 0.0, dim=1)
    start = [[0.05], [0.1], [0.95], [3.0]]
    with pytest.raises(ValueError, match=r"path 2 at t = 0.1.*drift is not finite"):
        simulate(model, start, 0.1, 100, boundary=[(0, np.inf, "absorbing")])


def test_one_side_absorbs_the_other_reflects():
    """Mean exit time from x of free motion, reflected at 0 and absorbed at 1: (1 - x²)/2D."""
    model = Model.from_sympy("0", 0.5, variables="x")
    grid = Grid([(0, 1)], 4, [("reflecting", "absorbing")])
    paths = simulate(model, [0.5], 2e-3, 6000, n_paths=10_000, thin=6000, rng=5, boundary=grid)
    assert paths.boundary == ((0.0, 1.0, ("reflecting", "absorbing")),)
    times = paths.exit_times[~np.isnan(paths.exit_times)]
    assert len(times) > 9990
    assert abs(times.mean() - 0.75) < 4 * times.std() / 100 + 3e-3


@pytest.mark.parametrize("method", ["euler-maruyama", *SCHEMES])
def test_absorption_does_not_depend_on_threads(method):
    model = Model.from_sympy(["y", "-x"], noise=["1 + x**2/4", "1"], variables="x y")
    box = [(-1, 1, "absorbing"), (-1, 1, ("reflecting", "absorbing"))]
    runs = [
        simulate(model, [0.0, 0.0], 0.02, 40, n_paths=700, rng=6, boundary=box, threads=threads, method=method)
        for threads in (1, 2)
    ]
    np.testing.assert_array_equal(runs[0].x, runs[1].x)
    np.testing.assert_array_equal(runs[0].exit_times, runs[1].exit_times)
    assert 0 < np.isnan(runs[0].exit_times).sum() < 700


def test_saved_with_exits(tmp_path):
    model = Model.from_sympy("0", 0.5, variables="x")
    paths = simulate(model, [0.0], 0.1, 10, n_paths=20, rng=1, boundary=[(-1, 1, ("absorbing", "reflecting"))])
    paths.save(tmp_path / "paths.npz")
    again = rattling.Trajectories.load(tmp_path / "paths.npz")
    np.testing.assert_array_equal(again.exit_times, paths.exit_times)
    assert again.boundary == paths.boundary
    assert simulate(model, [0.0], 0.1, 10, rng=1).exit_times is None
