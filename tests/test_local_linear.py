"""Local-linear estimates of rattling: against the twin, exact values, their errors."""

import numpy as np
import pytest
from reference import local as twin
from reference.estimate import known_noise

import rattling as rt


@pytest.fixture(scope="module")
def model():
    return rt.Model.from_sympy(
        ["-x + y", "-y - x"],
        ["(1 + 7*sin(2*x)*cos(y)/10)/2", "(1 + 6*cos(x + y)/10)/2"],
        variables="x y",
    )


def sample(model, dt, thin, n_times, seed=1, n_paths=400):
    start = np.random.default_rng(seed).normal(size=(n_paths, 2)) * 0.7
    return rt.simulate(model, start, dt, n_times * thin, thin=thin, rng=seed)


@pytest.mark.parametrize("noise", ["none", "covariance", "local-covariance"])
@pytest.mark.parametrize("degree", [1, 2])
@pytest.mark.parametrize("lags", [1, (1, 2), (1, 2, 4), (2, 5)])
def test_twin(model, lags, degree, noise):
    paths = sample(model, 0.01, 5, 100, n_paths=30)
    points = np.array([[0.1, 0.2], [-0.5, 0.4]])
    h = np.array([0.5, 0.7])
    field = rt.estimate_rattling(paths, at=points, lags=lags, bandwidth=h, degree=degree, noise=noise)
    known = known_noise(paths, lags, noise)
    for k, point in enumerate(points):
        lag = np.atleast_1d(lags).tolist()
        r, stderr, n_eff, c = twin.rattling(paths.x, paths.dt, point, h, lag, degree, noise, known)
        assert field.rattling[k] == pytest.approx(r, abs=1e-9)
        assert field.stderr[k] == pytest.approx(stderr, rel=1e-8)
        assert field.n_eff[k] == pytest.approx(n_eff, rel=1e-8)
        np.testing.assert_allclose(field.covariance[k], c, rtol=1e-8, atol=1e-9)


def test_linear_is_exact():
    """A drift and a covariance that are linear in x are recovered without bias: here the
    increments are made by hand, +-c(x) about a linear drift."""
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, size=(4000, 1))
    jump = 0.3 * x + 0.2 + rng.choice([-1, 1], size=x.shape) * np.sqrt(2 + x)
    paths = np.stack([x, x + jump], axis=1)
    at = np.array([[-0.4], [0.0], [0.4]])
    field = rt.estimate_rattling(paths, 1.0, at=at, lags=1, bandwidth=0.5)
    error = (field.covariance[:, 0, 0] - (2 + at[:, 0])) / (2 + at[:, 0])
    assert np.abs(error).max() < 0.06
    np.testing.assert_allclose(field.drift[:, 0], 0.3 * at[:, 0] + 0.2, atol=0.25)


def test_against_exact_rattling(model):
    """Errors are as large as stated; contraction leaves no bias at a lag of 0.1."""
    grid = np.linspace(-1, 1, 9)
    points = np.array([(a, b) for a in grid for b in grid])
    exact = rt.exact_rattling(model, points.T)
    for dt, thin in ((0.001, 10), (0.005, 20)):
        field = rt.estimate_rattling(sample(model, dt, thin, 1000), at=points)
        error = field.rattling - exact
        assert np.sqrt(np.mean((error / field.stderr) ** 2)) == pytest.approx(1, abs=0.4)
        assert abs(error.mean()) < 0.01
    alone = rt.estimate_rattling(sample(model, dt, thin, 1000), at=points, lags=1)
    assert (alone.rattling - exact).mean() < -0.05  # what the extrapolation removes


@pytest.mark.parametrize("how", [{}, {"method": "basis"}])
def test_linear_drift_leaves_no_bias_at_long_lags(how):
    """dx = -x dt + dW, a state every 0.5: C over one lag is 37 % too small, R -.23 and, extrapolated, -.04."""
    rng, keep = np.random.default_rng(3), np.exp(-0.5)
    kicks = np.sqrt((1 - keep**2) / 2) * rng.normal(size=(500, 400))
    x = np.zeros((500, 400))
    x[:, 0] = np.sqrt(0.5) * rng.normal(size=500)
    for t in range(1, 400):
        x[:, t] = keep * x[:, t - 1] + kicks[:, t]
    field = rt.estimate_rattling(x[..., None], 0.5, at=np.linspace(-1, 1, 21)[:, None], **how)
    assert abs(field.rattling.mean()) < 0.01  # exact: 0; standard error .004
    assert np.mean(np.abs(field.rattling) < 2 * field.stderr) > 0.9


def test_coverage():
    """68 % of intervals of one standard error hold the truth (400 data sets)."""
    model = rt.Model.from_sympy("-x/2", 0.5, variables="x")
    paths = rt.simulate(model, np.zeros(1), 0.01, 2000, n_paths=400, thin=2, rng=3)
    inside = 0
    for x in paths.x:
        field = rt.estimate_rattling(x, paths.dt, at=[[0.0]], bandwidth=0.6)
        inside += abs(field.rattling[0]) < field.stderr[0]
    assert inside / 400 == pytest.approx(0.683, abs=3 * np.sqrt(0.683 * 0.317 / 400))


def test_defaults(model):
    paths = sample(model, 0.01, 2, 200)
    field = rt.estimate_rattling(paths)
    assert field.method == "local-linear"
    assert field.rattling.shape == field.grid.shape
    grid = rt.Grid([(-1, 1)] * 2, (4, 5))
    field = rt.estimate_rattling(paths, at=grid)
    assert field.points.shape == (4, 5, 2)
    same = rt.estimate_rattling(paths, at=grid.points())
    np.testing.assert_array_equal(same.rattling, field.rattling.ravel())
    assert same.grid is None
    assert same.to_xarray().rattling.dims == ("point",)
    assert field.to_xarray().rattling.shape == (4, 5)


def test_periodic_axes():
    """Neighbours and increments go round a ring: R does not see the seam."""
    model = rt.Model.from_sympy("1", "1/2 + sin(x)/4", variables="x")
    ring = rt.Grid((0, 2 * np.pi), 2, "periodic")
    paths = rt.simulate(model, [1.0], 0.002, 4000, n_paths=200, thin=5, rng=2, boundary=ring)
    at = np.array([[0.05], [1.0], [6.2]])
    field = rt.estimate_rattling(paths, at=at, bandwidth=0.3)
    np.testing.assert_allclose(field.rattling, rt.exact_rattling(model, at.T), atol=4 * field.stderr.max())


def test_far_points_are_masked(model):
    paths = sample(model, 0.01, 2, 50)
    field = rt.estimate_rattling(paths, at=[[0.0, 0.0], [50.0, 0.0]], bandwidth=0.5)
    assert np.isfinite(field.rattling[0])
    assert np.isnan(field.rattling[1]) and np.isnan(field.stderr[1])
    assert field.n_invalid == 1 and field.counts[1] == 0


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"at": [[0.0, 0.0, 0.0]]}, ValueError, r"at must be a Grid or points of shape \(n, 2\)"),
        ({"at": np.zeros((0, 2))}, ValueError, "at must be a Grid or points"),
        ({"at": [[np.nan, 0.0]]}, ValueError, "at must be finite; point 0 is"),
        ({"at": "here"}, TypeError, "at must be an array of real numbers"),
        ({"bandwidth": 0}, ValueError, "bandwidth must be positive and finite; got 0"),
        ({"bandwidth": [1, np.inf]}, ValueError, "bandwidth must be positive and finite"),
        ({"bandwidth": [1, 1, 1]}, ValueError, ""),
        ({"trajectories_or_array": np.zeros((10, 2))}, ValueError, "do not move along some axis: give bandwidth"),
    ],
)
def test_bad_arguments(change, error, message):
    x = np.cumsum(np.random.default_rng(0).normal(size=(50, 2)), axis=0)
    with pytest.raises(error, match=message or None):
        rt.estimate_rattling(**{"trajectories_or_array": x, "dt": 0.1, "at": [[0.0, 0.0]]} | change)
