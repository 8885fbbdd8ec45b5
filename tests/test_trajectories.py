"""Simulation: against the twin, exact laws, and what may not depend on threads."""

import pickle

import numpy as np
import pytest
import scipy.stats
from interruption import assert_ctrl_c_is_answered
from reference import simulate as twin

import rattling
from rattling import Grid, Model, Trajectories, _core, simulate


@pytest.fixture(scope="module")
def swirl():
    """Linear drift, D = 0.5."""
    return Model.from_sympy(["-x + 2*y", "-y - 2*x"], 0.5, variables="x y")


def free(dim=1, diffusion=0.5):
    return Model.from_sympy(["0"] * dim, diffusion, variables=[f"x{k}" for k in range(dim)])


# --- against the twin ---------------------------------------------------------------------


def diagonal_case():
    model = Model.from_sympy(["x - x**3 + y", "-y"], ["0.5 + 0.2*x**2", "0.3"], variables="x y")
    return (
        model,
        lambda x: np.array([x[0] - x[0] ** 3 + x[1], -x[1]]),
        lambda x: np.diag([0.5 + 0.2 * x[0] ** 2, 0.3]),
    )


def tensor_case():
    model = Model.from_sympy(["-x", "-y"], [["1 + x**2", "x"], ["x", "1"]], variables="x y")
    return model, lambda x: -x, lambda x: np.array([[1 + x[0] ** 2, x[0]], [x[0], 1]])


def singular_case():
    """One noise drives both coordinates; det D = 0 everywhere."""
    model = Model.from_sympy(["-x", "-y"], noise=[["1"], ["sin(x)"]], variables="x y")

    def diffusion(x):
        g = np.array([1.0, np.sin(x[0])])
        return np.outer(g, g) / 2

    return model, lambda x: -x, diffusion


BOX = (-1.0, 1.5, "reflecting"), (-0.5, 0.5, "periodic")


@pytest.mark.parametrize("case", [diagonal_case, tensor_case, singular_case])
@pytest.mark.parametrize("boundary", [None, BOX])
def test_twin(case, boundary):
    model, drift, diffusion = case()
    x0 = np.random.default_rng(0).uniform(-0.4, 0.4, (9, 2))
    paths = simulate(model, x0, 0.02, 30, thin=3, rng=5, boundary=boundary)

    def root(x):
        return twin.square_root(2 * diffusion(x))

    expected = twin.simulate(drift, root, x0, 0.02, 30, paths.info["key"], 3, boundary)
    assert paths.x.shape == (9, 11, 2)
    np.testing.assert_allclose(paths.x, expected, rtol=1e-11, atol=1e-12)


def test_one_step_is_euler_maruyama_of_the_ito_drift():
    """f = F + D'/2 for Stratonovich, F + D' for anti-Itô; the noise is the same."""
    starts = np.linspace(-1, 1, 50)[:, None]
    results = {}
    for name in ("ito", "stratonovich", "anti-ito"):
        model = Model.from_sympy("-x", "1 + x**2", variables="x", interpretation=name)
        results[name] = simulate(model, starts, 0.01, 1, rng=1).x[:, 1, 0]
    shift = 2 * starts[:, 0] * 0.01
    np.testing.assert_allclose(results["stratonovich"] - results["ito"], shift / 2, atol=1e-14)
    np.testing.assert_allclose(results["anti-ito"] - results["ito"], shift, atol=1e-14)


# --- laws -----------------------------------------------------------------------------------


def test_ornstein_uhlenbeck_has_the_law_of_its_scheme():
    """x_n is Gaussian with mean a^n x0 and variance 2 D dt (1 - a^2n)/(1 - a^2), a = 1 - b dt."""
    b, d, dt, n = 1.5, 0.7, 0.1, 25
    model = Model.from_sympy(f"-{b}*x", d, variables="x")
    paths = simulate(model, [2.0], dt, n, n_paths=40_000, rng=11)
    a = 1 - b * dt
    variance = 2 * d * dt * (1 - a ** (2 * np.arange(n + 1))) / (1 - a**2)
    z = (paths.x[:, 1:, 0] - 2.0 * a ** np.arange(1, n + 1)) / np.sqrt(variance[1:])
    for step in (0, 5, n - 1):
        assert scipy.stats.kstest(z[:, step], "norm").pvalue > 1e-3
    # transitions: x_{n+1} - a x_n = sqrt(2 D dt) xi, independent of x_n and of each other
    xi = (paths.x[:, 1:, 0] - a * paths.x[:, :-1, 0]) / np.sqrt(2 * d * dt)
    assert scipy.stats.kstest(xi.ravel(), "norm").pvalue > 1e-3
    for product in (xi[:, 1:] * xi[:, :-1], xi[:, 1:] * z[:, :-1]):
        assert abs(product.mean()) < 4 / np.sqrt(product.size)


def test_stationary_covariance(swirl):
    """Sigma of the scheme solves Sigma = A Sigma A^T + 2 D dt; here A A^T = a I."""
    dt = 0.02
    paths = simulate(swirl, [0.0, 0.0], dt, 500, n_paths=20_000, thin=500, rng=2)
    a = (1 - dt) ** 2 + (2 * dt) ** 2
    expected = dt / (1 - a)
    x = paths.x[:, -1]
    assert np.abs(np.cov(x.T) - expected * np.eye(2)).max() < 4 * expected * np.sqrt(2 / len(x))


def test_full_tensor_noise_has_its_covariance():
    d = np.array([[1.0, 0.6, -0.2], [0.6, 0.8, 0.1], [-0.2, 0.1, 0.5]])
    x = simulate(free(3, d), np.zeros(3), 0.5, 1, n_paths=100_000, rng=3).x[:, 1]
    error = np.abs(np.cov(x.T) - d)  # 2 D dt
    allowed = 4 * np.sqrt((np.outer(np.diag(d), np.diag(d)) + d**2) / len(x))
    assert np.all(error < allowed)


@pytest.mark.parametrize("side", ["reflecting", "periodic"])
def test_free_motion_in_a_box_becomes_uniform(side):
    """Large steps, many of which cross the box more than once."""
    grid = Grid([(-0.5, 1.0)], 10, side)
    paths = simulate(free(), [0.9], 0.5, 20, n_paths=50_000, thin=20, rng=4, boundary=grid)
    x = paths.x[:, -1, 0]
    assert x.min() >= -0.5 and x.max() <= 1.0
    assert scipy.stats.kstest(x, "uniform", args=(-0.5, 1.5)).pvalue > 1e-3


def test_one_wall():
    """Reflected Brownian motion: |x0 + sqrt(2 D t) xi|, exactly, for any step."""
    paths = simulate(free(), [0.3], 0.1, 1, n_paths=50_000, rng=5, boundary=[(0, np.inf, "reflecting")])
    law = scipy.stats.foldnorm(0.3 / np.sqrt(0.1), scale=np.sqrt(0.1))
    assert scipy.stats.kstest(paths.x[:, 1, 0], law.cdf).pvalue > 1e-3


def test_gibbs_measure():
    """Double well in a box: the histogram is exp(-U/D), to 4 sigma and O(dt)."""
    model = Model.from_sympy("4*x - 4*x**3", 0.8, variables="x")
    grid = Grid([(-1.5, 1.5)], 24)
    paths = simulate(model, [0.0], 2e-3, 2000, n_paths=20_000, thin=2000, rng=6, boundary=grid)
    counts, _ = np.histogram(paths.x[:, -1, 0], grid.edges(0))
    fine = np.linspace(-1.5, 1.5, 24 * 40 + 1)
    density = np.exp(-(fine**4 - 2 * fine**2) / 0.8)
    cells = np.array([np.trapezoid(density[40 * k : 40 * k + 41]) for k in range(24)])
    expected = counts.sum() * cells / cells.sum()
    assert np.all(np.abs(counts - expected) < 4 * np.sqrt(expected) + 0.02 * expected)


# --- the same bits --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def reference_run(swirl):
    return simulate(
        swirl, [1.0, 0.0], 0.01, 60, n_paths=1000, rng=7, threads=1, boundary=Grid([(-2, 2)] * 2, 4)
    )


@pytest.mark.parametrize("threads", [2, 3, 50])
def test_threads_change_nothing(swirl, reference_run, threads):
    grid = Grid([(-2, 2)] * 2, 4)
    other = simulate(swirl, [1.0, 0.0], 0.01, 60, n_paths=1000, rng=7, threads=threads, boundary=grid)
    np.testing.assert_array_equal(other.x, reference_run.x)


@pytest.mark.parametrize("pieces", [(60,), (1, 59), (13, 20, 27)])
def test_slices_change_nothing(swirl, reference_run, pieces):
    walls = np.full(2, -2.0), np.full(2, 2.0), (False, False), (False,) * 4
    x0 = np.tile([1.0, 0.0], (1000, 1))
    simulation = _core.Simulation(swirl._compiled(x0[:1].T), walls, reference_run.info["key"], 0.01, x0)
    parts = [simulation.run(n, 1, 2, None)[1] for n in pieces]
    whole = np.concatenate([parts[0], *(part[:, 1:] for part in parts[1:])], axis=1)
    np.testing.assert_array_equal(whole, reference_run.x)


def test_python_functions_give_the_same_paths(reference_run):
    model = Model(lambda x: np.array([-x[0] + 2 * x[1], -x[1] - 2 * x[0]]), 0.5, dim=2)
    grid = Grid([(-2, 2)] * 2, 4)
    other = simulate(model, [1.0, 0.0], 0.01, 60, n_paths=1000, rng=7, boundary=grid)
    assert other.info["kind"] == "python"
    np.testing.assert_allclose(other.x, reference_run.x, rtol=0, atol=1e-13)


def test_thin_keeps_each_kth_state(swirl):
    all_of_them = simulate(swirl, [1.0, 0.0], 0.01, 50, n_paths=7, rng=8)
    some = simulate(swirl, [1.0, 0.0], 0.01, 50, n_paths=7, rng=8, thin=7)
    np.testing.assert_array_equal(some.x, all_of_them.x[:, ::7])
    np.testing.assert_allclose(some.t, all_of_them.t[::7])
    assert some.dt == pytest.approx(0.07) and some.n_times == 50 // 7 + 1


def test_more_paths_begin_with_the_same_ones(swirl):
    few, many = (simulate(swirl, [1.0, 0.0], 0.01, 20, n_paths=n, rng=9) for n in (3, 600))
    np.testing.assert_array_equal(few.x, many.x[:3])


# --- seeds ----------------------------------------------------------------------------------


def test_seeds():
    def run(rng):
        return simulate(free(), [0.0], 0.01, 3, rng=rng).x

    np.testing.assert_array_equal(run(1), run(1))
    np.testing.assert_array_equal(run(1), run(np.random.SeedSequence(1)))
    assert np.any(run(1) != run(2)) and np.any(run(None) != run(None))
    one, two = np.random.default_rng(3), np.random.default_rng(3)
    first, second = run(one), run(one)  # a Generator moves on
    assert np.any(first != second)
    np.testing.assert_array_equal(first, run(two))
    np.testing.assert_array_equal(run(np.random.PCG64(3)), first)


@pytest.mark.parametrize("bad, error", [(-1, ValueError), ("seed", TypeError), (1.5, TypeError)])
def test_bad_seeds(bad, error):
    with pytest.raises(error, match="rng"):
        simulate(free(), [0.0], 0.01, 3, rng=bad)
    with pytest.raises(TypeError, match="RandomState"):
        simulate(free(), [0.0], 0.01, 3, rng=np.random.RandomState(0))


# --- bad input ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change, error, message",
    [
        ({"model": "ou"}, TypeError, "model must be a rattling.Model, not str"),
        ({"dt": 0.0}, ValueError, "dt must be positive"),
        ({"dt": -0.1}, ValueError, "dt must be positive"),
        ({"dt": np.nan}, ValueError, "dt must be positive and finite; got nan"),
        ({"dt": "fast"}, TypeError, "dt must be a real number; got 'fast'"),
        ({"dt": "0.1"}, TypeError, "dt must be a real number; got '0.1'"),
        ({"n_steps": -1}, ValueError, "n_steps must be at least 0"),
        ({"n_steps": 1.5}, TypeError, "n_steps must be a whole number; got 1.5"),
        ({"n_steps": 2**48}, ValueError, "n_steps must be at least 0 and below"),
        ({"n_steps": True}, TypeError, "n_steps must be a whole number; got True"),
        ({"thin": 0}, ValueError, "thin must be at least 1"),
        ({"threads": 0}, ValueError, "threads must be at least 1"),
        ({"n_paths": 0}, ValueError, "n_paths must be at least 1"),
        ({"n_paths": 3, "x0": np.zeros((2, 2))}, ValueError, "n_paths is 3, but x0 has 2 rows"),
        ({"n_paths": 2**40, "n_steps": 2**30}, ValueError, "more than memory has addresses for"),
        ({"n_paths": 2**47, "n_steps": 2**47, "thin": 2**47}, MemoryError, "llocate"),
        ({"method": "rk4"}, ValueError, "method must be one of 'euler-maruyama', .*; got 'rk4'"),
        ({"x0": [0.0]}, ValueError, r"x0 must have shape \(2,\) or \(n_paths, 2\), but it has \(1,\)"),
        ({"x0": np.zeros((2, 3))}, ValueError, "x0 must have shape"),
        ({"x0": np.zeros((0, 2))}, ValueError, "x0 must have shape"),
        ({"x0": 1.0}, ValueError, "x0 must have shape"),
        ({"x0": [0.0, np.nan]}, ValueError, "x0 must be finite; coordinate 1 of path 0 is nan"),
        ({"x0": [[0, 0], [np.inf, 0]]}, ValueError, "x0 must be finite; coordinate 0 of path 1 is inf"),
        ({"x0": ["a", "b"]}, TypeError, "x0 must be an array of real numbers"),
        ({"x0": [1j, 0]}, TypeError, "x0 must be an array of real numbers"),
        ({"boundary": "reflecting"}, TypeError, "boundary must be None, a Grid or"),
        ({"boundary": 3}, TypeError, "boundary must be None, a Grid or"),
        ({"boundary": Grid([(0, 1)], 4)}, ValueError, "boundary has 1 axes, but x0 has 2"),
        ({"boundary": [None]}, ValueError, "boundary must have one entry for each of the 2 axes; it has 1"),
        (
            {"boundary": [None, (0, 1)]},
            ValueError,
            r"boundary of axis 1 must be None or \(lower, upper, side\)",
        ),
        (
            {"boundary": [(0, 1, "soft"), None]},
            ValueError,
            "axis 0 must be one of 'reflecting', 'periodic', 'absorbing', or a pair of .*; got 'soft'",
        ),
        (
            {"boundary": [(0, 1, ("periodic", "absorbing")), None]},
            ValueError,
            "axis 0 must be one of .* of which none is periodic",
        ),
        ({"boundary": [(1, 0, "reflecting"), None]}, ValueError, "axis 0 must have lower < upper"),
        ({"boundary": [(0, np.inf, "periodic"), None]}, ValueError, "a periodic axis must be finite"),
        ({"progress": "yes"}, TypeError, "progress"),
    ],
)
def test_bad_arguments(swirl, change, error, message):
    arguments = {"model": swirl, "x0": [0.0, 0.0], "dt": 0.01, "n_steps": 2} | change
    with pytest.raises(error, match=message):
        simulate(**arguments)


def test_start_outside_the_walls(swirl):
    starts = np.zeros((5, 2))
    starts[3] = 0.5, 2.5
    with pytest.raises(
        ValueError, match=r"x0 of path 3 .*coordinate 1 must be in \[-2.0, 2.0\].*x0 = \(0.5, 2.5\)"
    ):
        simulate(swirl, starts, 0.01, 1, boundary=Grid([(-1, 1), (-2, 2)], 4))
    # a circle has no outside
    paths = simulate(swirl, starts, 0.01, 0, boundary=Grid([(-1, 1), (-2, 2)], 4, ["reflecting", "periodic"]))
    assert paths.x[3, 0, 1] == -1.5


def test_path_that_leaves_the_numbers():
    """x -> x - x^3 with dt = 1 explodes from 30 on; the path, the time and the point are named."""
    cubic = Model.from_sympy("-x**3", 1e-6, variables="x")
    starts = np.full((600, 1), 0.1)
    starts[520] = 30.0
    with pytest.raises(ValueError, match=r"path 520 .*t = [3-6]\.0.* x = \(.*reduce dt"):
        simulate(cubic, starts, 1.0, 100)
    steep = Model.from_sympy("1e307*x", 0.0, variables="x")
    with pytest.raises(
        ValueError, match=r"path 0 left the finite numbers in the step from t = 0.0, x = \(15.0,\)"
    ):
        simulate(steep, [15.0], 1.5, 5)


def test_bad_drift_and_diffusion_name_path_time_and_point():
    nan = Model(lambda x: np.where(x > 1, np.nan, 10.0), 0.0, dim=1)
    with pytest.raises(
        ValueError, match=r"path 1 at t = 0.1: drift is not finite: component 0 is nan at x = \(1.5,\)"
    ):
        simulate(nan, [[-50.0], [0.5]], 0.1, 100)
    negative = Model(lambda x: 0 * x, lambda x: 1 - x[0], dim=1)
    with pytest.raises(
        ValueError, match=r"path 2 at t = 0.0: diffusion must not be negative: .* x = \(3.0,\)"
    ):
        simulate(negative, [[0.0], [0.5], [3.0]], 0.1, 1)
    indefinite = Model(
        lambda x: 0 * x, lambda x: np.array([[x[0] * 0 + 1, 2 * x[1]], [2 * x[1], x[0] * 0 + 1]]), dim=2
    )
    with pytest.raises(ValueError, match=r"path 1 .*positive semidefinite.* x = \(0.0, 1.0\)"):
        simulate(indefinite, [[0.0, 0.0], [0.0, 1.0]], 0.1, 1)


def test_a_users_exception_passes_through():
    class MineError(Exception):
        pass

    calls = []

    def drift(x):
        calls.append(x.shape[1])
        if len(calls) == 4:
            raise MineError("fourth call")
        return -x

    model = Model(drift, 0.5, dim=1)
    with pytest.raises(MineError, match="fourth call"):
        simulate(model, np.zeros((20_000, 1)), 0.1, 100)
    assert max(calls) > 5000, "Python is entered once a block"


# --- interruption and progress --------------------------------------------------------------


def compiled_model():
    return Model.from_sympy(["sin(x)*cos(y)", "-y"], 0.5, variables="x y")


def python_model():
    return Model(lambda x: -x, 0.5, dim=2)


@pytest.mark.parametrize("make", [compiled_model, python_model])
@pytest.mark.parametrize("n_paths", [1, 3000])
def test_ctrl_c_is_answered_within_a_tenth_of_a_second(make, n_paths):
    model = make()
    simulate(model, np.zeros(2), 0.01, 1)
    assert_ctrl_c_is_answered(
        lambda: simulate(model, np.zeros(2), 1e-3, 10**9, n_paths=n_paths, thin=10**9), 0.25
    )
    assert simulate(model, np.zeros(2), 0.01, 3, n_paths=3).x.shape == (3, 4, 2)


def test_progress_is_called_with_the_share_done(swirl):
    seen = []
    simulate(swirl, [0.0, 0.0], 0.01, 20_000, n_paths=500, thin=20_000, progress=seen.append)
    assert len(seen) >= 3 and seen == sorted(seen)
    assert 0 <= seen[0] < 0.9 and seen[-1] == 1.0


def test_progress_bar(swirl, capsys):
    simulate(swirl, [0.0, 0.0], 0.01, 100, progress=True)
    assert "simulate" in capsys.readouterr().err


def test_an_exception_of_progress_passes_through(swirl):
    def progress(done):
        raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        simulate(swirl, [0.0, 0.0], 0.01, 10**7, progress=progress)


# --- the result -----------------------------------------------------------------------------


def test_result(swirl, tmp_path):
    grid = Grid([(-2, 2), (0, 6)], 4, ["reflecting", "periodic"])
    paths = simulate(swirl, [0.0, 1.0], 0.01, 10, n_paths=3, thin=2, rng=1, boundary=grid)
    assert isinstance(paths, Trajectories)
    assert (paths.n_paths, paths.n_times, paths.dim) == (3, 6, 2)
    np.testing.assert_allclose(paths.t, 0.02 * np.arange(6))
    assert paths.boundary == ((-2.0, 2.0, "reflecting"), (0.0, 6.0, "periodic"))
    assert paths.period.tolist() == [0.0, 6.0]
    assert paths.names == ("x", "y") and paths.info["kind"] == "sympy" and paths.info["step"] == 0.01
    assert "Trajectories" in repr(paths) and len(repr(paths)) < 700
    np.testing.assert_array_equal(paths.x[:, 0], [[0.0, 1.0]] * 3)
    with pytest.raises(AttributeError):
        paths.dt = 1.0
    for copy in (pickle.loads(pickle.dumps(paths)), _saved(paths, tmp_path / "paths.npz")):
        np.testing.assert_array_equal(copy.x, paths.x)
        assert copy.boundary == paths.boundary and copy.info == paths.info and copy.variables == ("x", "y")
    dataset = paths.to_xarray()
    assert dataset["x"].dims == ("path", "time", "coordinate")
    assert dataset["coordinate"].values.tolist() == ["x", "y"]


def _saved(result, path):
    result.save(path)
    return type(result).load(path)


def test_no_steps(swirl):
    paths = simulate(swirl, [[0.5, 1.0], [2.0, 3.0]], 0.01, 0)
    np.testing.assert_array_equal(paths.x, [[[0.5, 1.0]], [[2.0, 3.0]]])
    assert paths.t.tolist() == [0.0]


def test_model_without_dimension_takes_it_from_x0():
    model = Model(lambda x: -x, 0.5)
    assert simulate(model, [1.0, 2.0, 3.0], 0.1, 2).x.shape == (1, 3, 3)
    assert simulate(free(), 0.5, 0.1, 2).x.shape == (1, 3, 1)


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_plot(dim):
    pyplot = pytest.importorskip("matplotlib.pyplot")
    boundary = [(-0.2, 0.2, "periodic")] + [None] * (dim - 1)
    paths = simulate(free(dim), np.zeros(dim), 0.01, 50, n_paths=4, boundary=boundary, rng=1)
    figure, ax = pyplot.subplots()
    assert paths.plot(ax) is ax
    lines = ax.get_lines()
    assert len(lines) == (3 if dim == 3 else 4)
    drawn = lines[0].get_xdata() if dim == 2 else lines[0].get_ydata()
    assert np.isnan(drawn).any(), "no line is drawn across the seam"
    pyplot.close(figure)


def test_core_object_checks_its_arguments(swirl):
    model = swirl._compiled(np.zeros((2, 1)))
    make = _core.Simulation
    with pytest.raises(TypeError, match="model must be a Model"):
        make("model", None, 1, 0.1, np.zeros((1, 2)))
    for walls in ((np.zeros(1), np.ones(2), (False, False)), (np.zeros(2), np.ones(2), (False,))):
        with pytest.raises(ValueError, match="must have length"):
            make(model, walls, 1, 0.1, np.zeros((1, 2)))
    with pytest.raises(ValueError, match="out of its range"):
        make(model, (np.ones(2), np.zeros(2), (False, False)), 1, 0.1, np.zeros((1, 2)))
    with pytest.raises(ValueError, match="x0 must have length 2"):
        make(model, None, 1, 0.1, np.zeros((1, 3)))
    simulation = make(model, None, 1, 0.1, np.zeros((1, 2)))
    with pytest.raises(ValueError, match="at least 1"):
        simulation.run(3, 1, 0, None)
    assert simulation.run(3, 0, 1, None) is None
    for scheme, second in ((4, None), (-1, None), (2, None), (2, "second")):
        with pytest.raises((ValueError, TypeError), match="out of its range|second must be"):
            make(model, None, 1, 0.1, np.zeros((1, 2)), scheme, second)
    with pytest.raises((ValueError, MemoryError)):
        simulation.run(2**47, 1, 1, None)
    assert simulation.run(0, 1, 1, None)[1].shape == (1, 1, 2)


def test_core_object_after_a_failure():
    x0 = np.full((1, 1), 30.0)
    model = rattling.Model.from_sympy("-x**3", 1.0, variables="x")._compiled(x0)
    simulation = _core.Simulation(model, None, 1, 1.0, x0)
    with pytest.raises(ValueError, match="reduce dt"):
        simulation.run(100, 1, 1, None)
    with pytest.raises(RuntimeError, match="failed before"):
        simulation.run(1, 1, 1, None)


def test_sides_and_threads_are_read_as_elsewhere():
    """A pair of sides in an array, as for a Grid; more threads than any machine has."""
    model = Model(lambda x: -x, 1.0, dim=1)
    arguments = {"x0": [0.0], "dt": 0.1, "n_steps": 3, "rng": 1}
    pair = [simulate(model, **arguments, boundary=[(-1, 1, kind(["absorbing", "reflecting"]))]).x for kind in (tuple, np.array)]
    np.testing.assert_array_equal(*pair)
    with pytest.raises(ValueError, match="boundary of axis 0 must be one of .*; got None"):
        simulate(model, **arguments, boundary=[(-1, 1, None)])
    with pytest.raises(ValueError, match=r"threads must be at least 1 and below 2\*\*48"):
        simulate(model, **arguments, threads=2**70)
