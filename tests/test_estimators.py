"""Estimators: against the twins, exact rattling, and the errors they claim."""

import functools
import pickle

import numpy as np
import pytest
import scipy.signal
import scipy.special
from hypothesis import given, settings
from hypothesis import strategies as st
from interruption import assert_ctrl_c_is_answered
from reference import estimate as twin

import rattling
from rattling import Grid, Model, _core, simulate, windowed_rattling

# tests/test_local_linear.py has the default method
estimate_rattling = functools.partial(rattling.estimate_rattling, method="bins")


def random_walk(n_times, dim, seed, n_paths=None):
    rng = np.random.default_rng(seed)
    shape = (n_times, dim) if n_paths is None else (n_paths, n_times, dim)
    return np.cumsum(rng.normal(size=shape), axis=-2)


@pytest.fixture(scope="module")
def uneven():
    """Swirling drift; noise that depends on x and differs between the axes."""
    return Model.from_sympy(
        ["-x + 2*y", "-y - 2*x"], ["0.5*exp(-x**2/4)", "0.4 + 0.2*sin(y)**2"], variables="x y"
    )


# --- special functions --------------------------------------------------------------------


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 9), st.floats(1e-3, 1e6))
def test_log_det_law(dim, more):
    dof = dim - 1 + more
    half = 0.5 * (dof - np.arange(dim))
    size = np.abs(scipy.special.digamma(half)).sum() + dim * abs(np.log(2 / dof))
    bias, variance = _core.log_det_law(dim, dof)
    assert bias == pytest.approx(twin.log_det_law(dim, dof)[0], rel=1e-13, abs=1e-14 * size)
    assert variance == pytest.approx(twin.log_det_law(dim, dof)[1], rel=1e-13)


def test_log_det_law_bad_arguments():
    for dim, dof in ((0, 3.0), (3, 2.0), (3, np.nan)):
        with pytest.raises(ValueError, match="dof must exceed"):
            _core.log_det_law(dim, dof)


# --- windows ------------------------------------------------------------------------------


@pytest.mark.parametrize("displacement", ["sqrt-time", "increments"])
@pytest.mark.parametrize("dim, stride, window", [(1, 1, 2.0), (3, 4, 3.3), (9, 1, 5.05)])
def test_windows_twin(displacement, dim, stride, window):
    x = random_walk(200, dim, seed=dim)
    got = windowed_rattling(x, 0.1, window, stride=stride, displacement=displacement)
    expected = twin.windowed(x, 0.1, window, stride, displacement)
    np.testing.assert_allclose(got.rattling, expected, rtol=1e-11, atol=1e-11)
    assert got.n_rows == int(window / 0.1) - 1 and got.dim == dim
    np.testing.assert_allclose(got.t, 0.1 * stride * np.arange(len(expected)))


def test_windows_are_counted_as_published():
    """n - w + 1 windows of w - 1 rows: the last row is in none."""
    x = random_walk(50, 1, seed=1)
    result = windowed_rattling(x, 1.0, 10.0)
    assert len(result.rattling) == 41 and result.n_rows == 9
    y = x.copy()
    y[-1] = 1e6
    np.testing.assert_array_equal(windowed_rattling(y, 1.0, 10.0).rattling, result.rattling)
    assert len(windowed_rattling(x, 1.0, 50.0).rattling) == 1
    assert len(windowed_rattling(x, 1.0, 10.0, stride=7).rattling) == 6


def test_windows_of_brownian_motion():
    """E C: 2D/3 as published, 2D from increments. A mean over 2000 windows, 4 sigma."""
    n_rows, d = 200, 0.7
    x = np.sqrt(2 * d * 0.1) * random_walk(n_rows * 2000 + 1, 1, seed=3)
    for displacement, expected in (("sqrt-time", 2 * d / 3), ("increments", 2 * d)):
        result = windowed_rattling(
            x, 0.1, 0.1 * (n_rows + 1) + 1e-9, stride=n_rows, displacement=displacement
        )
        c = np.exp(2 * result.rattling)
        assert abs(c.mean() - expected) < 4 * c.std() / np.sqrt(len(c)) + 0.01 * expected, displacement


def test_windows_of_increments_are_unbiased():
    """Few rows: without the correction R would be a tenth too small, 30 sigma. And the bias and
    scatter that the docstring states for displacements over the square root of time."""
    x = random_walk(100_000, 3, seed=8)
    result = windowed_rattling(x, 1.0, 21.0, stride=20, displacement="increments")
    assert abs(result.rattling.mean()) < 4 * result.stderr / np.sqrt(len(result.rattling))
    assert result.rattling.std() == pytest.approx(result.stderr, rel=0.05)
    published = windowed_rattling(x, 1.0, 115.0, stride=114).rattling
    assert published.mean() == pytest.approx(-2.3, abs=0.06) and published.std() == pytest.approx(0.45, abs=0.05)


def test_windows_on_threads():
    x = random_walk(30_000, 4, seed=9)
    one, two = (windowed_rattling(x, 1.0, 60.0, threads=n).rattling for n in (1, 2))
    np.testing.assert_array_equal(one, two)


def test_windows_that_stand_still_or_are_unknown():
    x = random_walk(60, 2, seed=4)
    x[20:40, 1] = x[20, 1]
    x[50] = np.nan
    r = windowed_rattling(x, 1.0, 10.0).rattling
    assert np.all(r[20:32] == -np.inf) and np.all(np.isnan(r[42:51])) and np.all(np.isfinite(r[:19]))
    flat = x[:20].copy()
    flat[:, 1] = 2 * flat[:, 0]  # motion along a line in the plane
    assert np.all(windowed_rattling(flat, 1.0, 10.0).rattling == -np.inf)


def test_windows_do_not_care_about_units():
    x = random_walk(60, 2, seed=5)
    units = np.array([1e-9, 1e9])
    a, b = windowed_rattling(x, 1.0, 20.0).rattling, windowed_rattling(x * units, 1.0, 20.0).rattling
    np.testing.assert_allclose(a, b, rtol=0, atol=1e-11)


def test_smooth():
    result = windowed_rattling(random_walk(100, 1, seed=6), 1.0, 10.0)
    t, r = result.smooth()
    expected = np.convolve(result.rattling, np.ones(25) / 25, mode="valid")
    np.testing.assert_allclose(r, expected, rtol=1e-13)
    assert len(t) == len(r) and t[0] == 0.0
    with pytest.raises(ValueError, match="at most the number of windows, 91; got 92"):
        result.smooth(92)


@pytest.mark.parametrize(
    "change, error, message",
    [
        ({"x": np.zeros((3, 3, 3))}, ValueError, r"x must have shape \(n_times, dim\) or \(n_times,\), but"),
        ({"x": ["a"]}, TypeError, "x must be an array of real numbers"),
        ({"x": [0.0] * 30 + [np.inf]}, ValueError, "must not be infinite; row 30, column 0 is inf"),
        ({"dt": 0}, ValueError, "dt must be positive"),
        ({"window": -1}, ValueError, "window must be positive"),
        ({"window": np.nan}, ValueError, "window must be positive"),
        ({"window": 51.0}, ValueError, "x has 50 rows, fewer than the 51 that a window of 51 needs"),
        ({"window": 4.0}, ValueError, "has 3 rows, but in 3 dimensions at least 4 are needed"),
        ({"window": 5.0, "displacement": "increments"}, ValueError, "has 4 rows, .* at least 5 are needed"),
        ({"window": 0.5}, ValueError, "has 0 rows"),
        ({"stride": 0}, ValueError, "stride must be at least 1"),
        ({"displacement": "straight"}, ValueError, "one of 'sqrt-time', 'increments'; got 'straight'"),
    ],
)
def test_windows_bad_arguments(change, error, message):
    arguments = {"x": np.zeros((50, 3)), "dt": 1.0, "window": 10.0} | change
    with pytest.raises(error, match=message):
        windowed_rattling(**arguments)


# --- bins against the twin ----------------------------------------------------------------


def assert_like_twin(field, cells):
    grid = field.grid
    for index in np.ndindex(grid.shape):
        cell = cells.get(index)
        if cell is None:
            assert field.counts[index] == 0 and np.isnan(field.rattling[index]) and field.n_eff[index] == 0
            assert np.all(np.isnan(field.drift[index])) and np.all(np.isnan(field.covariance[index]))
            continue
        assert field.counts[index] == cell["count"]
        for name in ("rattling", "stderr", "n_eff", "drift", "covariance"):
            value = getattr(field, name)[index]
            if name == "n_eff" and np.isnan(cell[name]):  # the twin has none without a covariance
                assert np.isnan(field.rattling[index])
                continue
            np.testing.assert_allclose(value, cell[name], rtol=1e-9, atol=1e-9, err_msg=f"{name} {index}")


@pytest.mark.parametrize("noise", ["none", "covariance", "local-covariance"])
@pytest.mark.parametrize("lags", [(1,), (3,), (1, 2), (2, 5)])
def test_bins_twin(lags, noise):
    x = 0.4 * random_walk(150, 2, seed=7, n_paths=4)
    grid = Grid([(-3, 3), (-2, 4)], (4, 3))
    field = estimate_rattling(x, 0.1, at=grid, lags=lags, noise=noise)
    cells = twin.bins(x, 0.1, grid, lags, noise=noise, known=twin.known_noise(x, lags, noise))
    assert_like_twin(field, cells)
    longest = {"none": lags[-1], "covariance": max(lags[-1], 2 * lags[0])}.get(noise, 2 * lags[-1])
    assert field.n_outside == 4 * (150 - longest) - sum(cell["count"] for cell in cells.values()) > 0
    assert field.n_invalid == np.isnan(field.rattling).sum()


@pytest.mark.parametrize("dim", [1, 2, 3, 4])
@pytest.mark.parametrize("noise", ["none", "covariance", "local-covariance"])
def test_bins_twin_in_any_dimension(noise, dim):
    """Cells with many increments, whose places are seen with errors."""
    noises = np.random.default_rng(8).normal(size=(2, 4, 1000, dim))
    x = scipy.signal.lfilter([0.4], [1, -0.9], noises[0], axis=1) + 0.05 * noises[1]
    grid = Grid([(-2, 2)] * dim, 2)
    field = estimate_rattling(x, 0.1, at=grid, lags=(1, 3), noise=noise)
    cells = twin.bins(x, 0.1, grid, (1, 3), noise=noise, known=twin.known_noise(x, (1, 3), noise))
    many = {index: cell for index, cell in cells.items() if cell["count"] >= 200}
    assert many
    for index, cell in many.items():
        for name in ("rattling", "stderr", "n_eff", "drift", "covariance"):
            value = getattr(field, name)[index]
            np.testing.assert_allclose(value, cell[name], rtol=1e-9, atol=1e-9, err_msg=f"{name} {index}")


@pytest.mark.parametrize("lags", [(1,), (1, 2)])
def test_bins_on_a_torus(lags):
    model = Model.from_sympy(["1", "-1"], [["0.5", "0.1"], ["0.1", "0.3"]], variables="x y")
    grid = Grid([(0, 1), (-2, 1)], (3, 5), "periodic")
    paths = simulate(model, [0.5, 0.0], 0.05, 400, n_paths=2, rng=1, boundary=grid)
    field = estimate_rattling(paths, at=grid, lags=lags)
    assert_like_twin(field, twin.bins(paths.x, 0.05, grid, lags, period=paths.period))
    assert field.n_outside == 0
    # arrays are not wrapped: steps across the seam look like long ones
    raw = estimate_rattling(paths.x, 0.05, at=grid, lags=lags)
    assert np.nanmean(raw.covariance[..., 0, 0]) > 1.5 * np.nanmean(field.covariance[..., 0, 0])


def test_bins_of_few_increments():
    """Two dimensions need three increments."""
    x = np.array([[[0.1, 0.1], [0.2, 0.3], [0.15, 0.2], [0.4, 0.1], [5.0, 5.0]]])
    for n, known in ((3, False), (4, True)):
        field = estimate_rattling(x[:, :n], 1.0, at=Grid([(0, 1)] * 2, 2), lags=1)
        assert field.counts[0, 0] == n - 1 and np.isfinite(field.rattling[0, 0]) == known
        assert field.n_invalid == (3 if known else 4)
    # increments along a line
    line = np.cumsum(np.full((1, 20, 2), 0.01) * np.arange(20)[:, None], axis=1)
    assert np.isnan(estimate_rattling(line, 1.0, at=Grid([(0, 9)] * 2, 2), lags=1).rattling[0, 0])


# --- bins against exact rattling ----------------------------------------------------------


def z_scores(model, grid, seeds, lags, least=100, **how):
    exact = rattling.exact_rattling(model, grid)
    scores = []
    for seed in seeds:
        paths = simulate(model, np.zeros(model.dim), rng=seed, **how)
        field = estimate_rattling(paths, at=grid, lags=lags)
        used = field.counts >= least
        scores.append(((field.rattling - exact) / field.stderr)[used])
    return np.concatenate(scores)


@pytest.mark.parametrize("lags", [(1, 2), (1, 3)])
def test_estimates_scatter_about_exact_rattling_as_they_say(uneven, lags):
    """Some 1000 cells: the mean of z within 4 sigma of 0, allowing a bias of a tenth of
    the standard error, and its variance within 4 sigma of 1."""
    z = z_scores(uneven, Grid([(-1.2, 1.2)] * 2, 12), range(8), lags, dt=0.01, n_steps=4000, n_paths=8)
    assert z.size > 800
    assert abs(z.mean()) < 4 / np.sqrt(z.size) + 0.1
    assert abs(z.var() - 1) < 4 * np.sqrt(2 / z.size)
    assert abs(np.mean(np.abs(z) < 1.96) - 0.95) < 4 * np.sqrt(0.95 * 0.05 / z.size)


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_no_bias_where_there_is_no_drift(dim):
    """Constant D, free motion on a torus, few increments a cell: without the digamma term
    R would be d (d + 1)/4n too small, 10 and more sigma of the mean here."""
    rng = np.random.default_rng(dim)
    n_cells, n_steps = {1: (64, 1), 2: (8, 1), 3: (4, 1)}[dim]
    grid = Grid([(0, 1)] * dim, n_cells, "periodic")
    model = Model.from_sympy(["0"] * dim, 0.5, variables=[f"x{k}" for k in range(dim)])
    deviations, counts = [], []
    for seed in range(60):
        starts = rng.uniform(size=(15 * n_cells**dim, dim))
        paths = simulate(model, starts, 1e-4, n_steps, rng=seed, boundary=grid)
        field = estimate_rattling(paths, at=grid, lags=1)
        deviations.append(field.rattling[field.counts > dim].ravel())
        counts.append(field.counts[field.counts > dim].ravel())
    deviations, counts = np.concatenate(deviations), np.concatenate(counts)
    sigma = deviations.std() / np.sqrt(deviations.size)
    assert abs(deviations.mean()) < 4 * sigma
    assert np.mean(dim * (dim + 1) / (4 * counts)) > 10 * sigma, "the test can see the bias"


def test_extrapolation_removes_the_bias_of_contraction():
    """Linear drift -b x: R at lag 1 is too small by about b dt/2 a dimension, at 2 twice."""
    b, dt, fine = 4.0, 0.02, 16
    model = Model.from_sympy(f"-{b}*x", 0.5, variables="x")
    grid = Grid([(-0.4, 0.4)], 8)
    starts = np.random.default_rng(0).uniform(-0.4, 0.4, (200_000, 1))
    paths = simulate(model, starts, dt / fine, 3 * fine, thin=fine, rng=1)
    means = {}
    for lags in ((1,), (2,), (1, 2)):
        field = estimate_rattling(paths, at=grid, lags=lags)
        means[lags] = field.rattling.mean(), np.sqrt(np.sum(field.stderr**2)) / 8
    for lags in ((1,), (2,)):
        # the variance of the scheme over the lag, and that of the drift in a cell
        n = fine * lags[0]
        a = 1 - b * dt / fine
        variance = 2 * 0.5 * (dt / fine) * (1 - a ** (2 * n)) / (1 - a**2) + (1 - a**n) ** 2 * 0.1**2 / 12
        expected = 0.5 * np.log(variance / (lags[0] * dt))
        assert abs(means[lags][0] - expected) < 4 * means[lags][1] + 1e-4, lags
        assert expected < -0.8 * lags[0] * b * dt / 2
    mean, stderr = means[1, 2]
    assert abs(mean) < 4 * stderr + 0.25 * b * dt / 2


def test_drift_and_covariance(uneven):
    grid = Grid([(-0.6, 0.6)] * 2, 3)
    paths = simulate(uneven, np.zeros(2), 0.01, 20_000, n_paths=20, rng=3)
    field = estimate_rattling(paths, at=grid)
    x = np.moveaxis(field.points, -1, 0).reshape(2, -1)
    drift = uneven.drift(x).T.reshape(3, 3, 2)
    diffusion = np.moveaxis(uneven.diffusion(x), -1, 0).reshape(3, 3, 2, 2)
    sigma = np.sqrt(2 * np.diagonal(diffusion, axis1=2, axis2=3) / field.n_eff[..., None] / 0.01)
    assert np.all(np.abs(field.drift - drift) < 4 * sigma + 0.05)
    # 2 % for the lag's ½ τ (J D + D Jᵀ) and the cell's width
    error = np.abs(field.covariance - 2 * diffusion)
    assert np.all(error < 4 * 2 * diffusion.max() * np.sqrt(2 / field.n_eff)[..., None, None] + 0.02)
    np.testing.assert_array_equal(field.covariance, np.swapaxes(field.covariance, 2, 3))


# --- arguments and the result -------------------------------------------------------------


def test_default_grid():
    paths = simulate(Model.from_sympy("-x", 0.5, variables="x"), [0.0], 0.01, 4000, n_paths=10, rng=1)
    field = estimate_rattling(paths)
    assert field.grid.shape == (40,) and field.grid.bounds[0] == (paths.x.min(), paths.x.max())
    assert field.n_outside == 0
    walls = [(-np.inf, 0.5, "reflecting")]
    paths = simulate(
        Model.from_sympy("-x", 0.5, variables="x"), [0.0], 0.01, 400, n_paths=10, rng=1, boundary=walls
    )
    assert estimate_rattling(paths).grid.bounds[0] == (paths.x.min(), 0.5)
    ring = [(0.0, 1.0, "periodic")]
    paths = simulate(
        Model.from_sympy("1", 0.5, variables="x"), [0.0], 0.01, 400, n_paths=10, rng=1, boundary=ring
    )
    assert estimate_rattling(paths).grid.boundary == (("periodic", "periodic"),)
    with pytest.raises(ValueError, match="at is needed: coordinate 0 of the paths is 1.0 throughout"):
        estimate_rattling(np.ones((10, 1)), 0.1)


def test_one_path_may_have_fewer_axes():
    x = random_walk(50, 1, seed=1)
    grid = Grid([(-5, 5)], 4)
    expected = estimate_rattling(x[None], 0.1, at=grid)
    for same in (x, x[:, 0]):
        np.testing.assert_array_equal(estimate_rattling(same, 0.1, at=grid).rattling, expected.rattling)
    y = random_walk(50, 2, seed=1).astype(np.float32)
    field = estimate_rattling(y, 0.1)
    assert field.grid.dim == 2


@pytest.mark.parametrize(
    "change, error, message",
    [
        ({"method": "kernel"}, ValueError, "method must be one of 'local-linear', 'bins', 'knn', 'basis'; got 'kernel'"),
        ({"noise": "white"}, ValueError, "noise must be one of 'none', 'covariance', 'local-covariance'; got 'white'"),
        ({"bandwidth": 0.1}, ValueError, "bandwidth must be None for method 'bins'; got 0.1"),
        ({"lags": ()}, ValueError, "lags must be one to three"),
        ({"lags": (1, 2, 3, 4)}, ValueError, "lags must be one to three"),
        ({"lags": (2, 1)}, ValueError, r"lags must increase and be at most 64; got \(2, 1\)"),
        ({"lags": (1, 65)}, ValueError, "lags must increase and be at most 64"),
        ({"lags": (0,)}, ValueError, "lags must be at least 1"),
        ({"lags": 1.5}, TypeError, ""),
        ({"lags": (1, 20)}, ValueError, r"paths have 20 states each; lags \(1, 20\) need at least 21"),
        ({"dt": None}, ValueError, "dt, the time between states, is needed for an array"),
        ({"dt": -1.0}, ValueError, "dt must be positive"),
        ({"at": [(0, 1)]}, TypeError, "at must be a rattling.Grid for method 'bins', not list"),
        ({"at": Grid([(0, 1)], 3)}, ValueError, "at has 1 axes, but the paths have 2 coordinates"),
        ({"trajectories_or_array": np.zeros((2, 2, 2, 2))}, ValueError, "must have shape"),
        ({"trajectories_or_array": np.zeros((0, 2))}, ValueError, "must have shape"),
        ({"trajectories_or_array": [["a"]]}, TypeError, "must be an array of real numbers"),
        ({"progress": 3}, TypeError, "progress"),
    ],
)
def test_bad_arguments(change, error, message):
    arguments = {
        "trajectories_or_array": random_walk(20, 2, seed=1),
        "dt": 0.1,
        "at": Grid([(0, 1)] * 2, 3),
    } | change
    with pytest.raises(error, match=message or None):
        estimate_rattling(**arguments)


def test_states_that_are_not_finite_are_named():
    x = random_walk(20, 2, seed=1, n_paths=3)
    x[1, 7, 1] = np.inf
    with pytest.raises(ValueError, match="coordinate 1 of path 1 is inf at state 7"):
        estimate_rattling(x, 0.1, at=Grid([(0, 1)] * 2, 3))


def test_dt_of_trajectories():
    paths = simulate(Model.from_sympy("-x", 0.5, variables="x"), [0.0], 0.01, 100, thin=5, rng=1)
    assert estimate_rattling(paths, at=Grid([(-1, 1)], 2)).dt == paths.dt == pytest.approx(0.05)
    assert estimate_rattling(paths, 0.05, at=Grid([(-1, 1)], 2)).dt == paths.dt
    with pytest.raises(ValueError, match="dt is 0.01, but the trajectories have 0.05"):
        estimate_rattling(paths, 0.01, at=Grid([(-1, 1)], 2))


def test_core_functions_check_their_arguments():
    x, grid = random_walk(20, 2, seed=1), Grid([(0, 1)] * 2, 3)._core
    with pytest.raises(ValueError, match="out of its range"):
        _core.windowed(x, 0.1, 30, 1, 0, 1, None)
    with pytest.raises(ValueError, match="at least 1"):
        _core.windowed(x, 0.1, 5, 0, 0, 1, None)
    begin, end, period = np.array([0]), np.array([20]), np.zeros(2)
    good = (x, begin, end, None, 0.1, period, (1, 2), (0, 1), (99, 99))
    sums = _core.bin_sums(good, grid, True, 1, None)
    assert len(_core.bins(good, grid, True, sums)) == 7

    noisy = (*good, np.zeros((3, 2)))
    assert len(_core.bins(noisy, grid, False, _core.bin_sums(noisy, grid, False, 1, None))) == 7

    def change(**new):
        names = "x begin end time dt period lags plus minus noise".split()
        return tuple(new.get(name, value) for name, value in zip(names, (*good, None), strict=True))

    for bad, message in (
        ({"x": x[None]}, "x must have 2 dimensions"),
        ({"period": np.zeros(3)}, "period must have length 2"),
        ({"end": np.array([20, 20])}, "end must have length 1"),
        ({"time": np.zeros(3)}, "time must have length 20"),
        ({"end": np.array([21])}, "out of range"),
        ({"begin": np.array([-1])}, "out of range"),
        ({"lags": (2, 1)}, "out of range"),
        ({"lags": (1, 129)}, "out of range"),
        ({"lags": (0,)}, "out of range"),
        ({"dt": 0.0}, "out of range"),
        ({"lags": ()}, "lags must have 1 to 6 entries"),
        ({"plus": (0, 2)}, "must be numbers of lags"),
        ({"minus": (99,)}, "must be numbers of lags"),
        ({"minus": (0, 1)}, "must be numbers of lags"),
        ({"noise": np.zeros((2, 2))}, "noise must have length 3 along axis 0"),
        ({"noise": np.zeros((3, 3))}, "noise must have length 2 along axis 1"),
        ({"noise": np.zeros(3)}, "noise must have 2 dimensions"),
        ({"noise": np.zeros((3, 2)), "lags": (1, 3)}, "noise needs a lag twice the first, and no minus"),
        ({"noise": np.zeros((3, 2)), "plus": (1,), "minus": (0,)}, "noise needs a lag twice the first, and no minus"),
    ):
        with pytest.raises(ValueError, match=message):
            _core.bin_sums(change(**bad), grid, True, 1, None)
        with pytest.raises(ValueError, match=message):
            _core.bins(change(**bad), grid, True, sums)
    with pytest.raises(TypeError):
        _core.bin_sums(good, "grid", True, 1, None)
    low, point, rung = np.zeros(2), np.zeros((1, 2)), np.array([-1.0])
    with pytest.raises(ValueError, match="bandwidth must be positive"):
        _core.local(good, point, np.zeros(2), low, 1, 1, True, rung, 1, None)
    for rungs, degree in ((0, 1), (25, 1), (1, 3)):
        with pytest.raises(ValueError, match="out of its range"):
            _core.local(good, point, np.ones(2), low, rungs, degree, True, rung, 1, None)


def test_progress():
    seen = []
    estimate_rattling(np.zeros((1, 400_000, 1)), 0.1, at=Grid([(-1, 1)], 2), progress=seen.append)
    assert len(seen) >= 2 and seen == sorted(seen) and seen[-1] == 1.0


def test_ctrl_c_is_answered_within_a_tenth_of_a_second():
    x = np.zeros((6, 10_000_000, 1))
    grid = Grid([(-1, 1)], 100)
    assert_ctrl_c_is_answered(lambda: estimate_rattling(x, 0.1, at=grid, lags=(1, 64)), 0.3)


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_field_is_a_result(dim, tmp_path):
    pyplot = pytest.importorskip("matplotlib.pyplot")
    model = Model.from_sympy(["-" + v for v in "xyz"[:dim]], 0.5, variables=list("xyz"[:dim]))
    paths = simulate(model, np.zeros(dim), 0.01, 2000, n_paths=5, rng=1)
    field = estimate_rattling(paths, at=Grid([(-1, 1)] * dim, 3))
    assert field.points.shape == (*field.grid.shape, dim) and field.covariance.shape == (
        *field.grid.shape,
        dim,
        dim,
    )
    assert "RattlingField" in repr(field) and field.variables == tuple("xyz"[:dim])
    field.save(tmp_path / "field.npz")
    for copy in (pickle.loads(pickle.dumps(field)), rattling.RattlingField.load(tmp_path / "field.npz")):
        np.testing.assert_array_equal(copy.rattling, field.rattling)
        assert copy.grid == field.grid and copy.lags == (1, 2)
    dataset = field.to_xarray()
    assert dataset["rattling"].dims == tuple("xyz"[:dim])
    figure, ax = pyplot.subplots()
    assert field.plot(ax) is ax
    pyplot.close(figure)


def test_windows_are_a_result(tmp_path):
    pyplot = pytest.importorskip("matplotlib.pyplot")
    result = windowed_rattling(random_walk(100, 2, seed=1), 0.1, 2.0)
    result.save(tmp_path / "windows.npz")
    for copy in (
        pickle.loads(pickle.dumps(result)),
        rattling.WindowedRattling.load(tmp_path / "windows.npz"),
    ):
        np.testing.assert_array_equal(copy.rattling, result.rattling)
        assert copy.window == 2.0 and copy.displacement == "sqrt-time"
    assert result.to_xarray()["rattling"].dims == ("time",)
    figure, ax = pyplot.subplots()
    assert result.plot(ax) is ax and len(ax.get_lines()) == 2
    _, mean = ax.get_lines()
    np.testing.assert_array_equal(mean.get_ydata(), result.smooth(25)[1])
    pyplot.close(figure)


def test_paths_that_have_ended_do_not_move():
    """Estimates from stored paths see what an observer in the loop sees: nothing after the exit."""
    model, grid = Model(lambda x: 0 * x, 0.5), Grid([(-1, 1)], 20)
    walls = [(-1, 1, "absorbing")]
    paths = simulate(model, [0.0], 1e-3, 2000, n_paths=200, boundary=walls, rng=1)
    exit_times = np.nan_to_num(paths.exit_times, nan=np.inf)[:, None]
    assert (exit_times < 1.0).any()
    stored = rattling.estimate_rattling(paths, at=grid, method="bins", lags=1)
    assert stored.counts.sum() == (paths.t[1:] < exit_times).sum()
    assert abs(stored.rattling - rattling.exact_rattling(model, grid))[[0, -1]].max() < 0.5
    density = rattling.estimate_density(paths, at=grid, method="bins")
    assert density.n_states == (paths.t < exit_times).sum()


def test_paths_of_one_list_share_their_walls():
    model = Model(lambda x: 0 * x, 0.5)
    ring = simulate(model, [0.0], 1e-2, 500, boundary=[(-1, 1, "periodic")], rng=1)
    free = simulate(model, [0.0], 1e-2, 500, rng=2)
    for paths in ([ring, free], [free, ring], [ring, ring.x[0]]):
        with pytest.raises(ValueError, match="must have the same walls; path 0 has .* path 1 has "):
            rattling.estimate_rattling(paths, 1e-2, lags=1)
    both = rattling.estimate_rattling([ring, ring], at=[[0.0]], lags=1)
    assert np.isfinite(both.rattling).all()
