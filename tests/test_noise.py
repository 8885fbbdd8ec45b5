"""Errors of measurement: their covariance, and what they do to estimates."""

import numpy as np
import pytest

import rattling as rt
from rattling._noise import excess, noise_covariance
from rattling._paths import read_paths

SEEN = np.array([[0.02, 0.006], [0.006, 0.01]])  # covariance of the errors


def turning():
    return rt.Model.from_sympy(["-x + 2*y", "-y - 2*x"], 0.5, variables="x y")


def seen(model, dt, n_times, covariance, seed, n_paths=1, start=(0.1, 0.1)):
    """Paths with errors of measurement, (n_paths, n_times, dim)."""
    paths = rt.simulate(model, list(start), dt / 10, 10 * n_times, n_paths=n_paths, thin=10, rng=seed, method="platen")
    noise = np.random.default_rng(seed).multivariate_normal(np.zeros(model.dim), covariance, paths.x.shape[:2])
    return paths.x + noise


def test_excess_is_exact_for_linear_drift():
    """G(k) = M^k G(0), and S more at k = 0: N(k) is M, and nothing changes."""
    m, g = np.array([[0.7, 0.3], [-0.2, 0.6]]), np.array([[1.0, 0.2], [0.2, 0.5]])
    products = np.array([np.linalg.matrix_power(m, k) @ g for k in range(6)])
    products[0] += SEEN
    noise, change = excess(products)
    np.testing.assert_allclose(noise, SEEN, atol=1e-13)
    np.testing.assert_allclose(change, 0, atol=1e-13)


@pytest.mark.parametrize("dt", [0.01, 0.2])
def test_covariance_of_errors(dt):
    """Of 30 data sets the mean is the errors' covariance, within four standard errors."""
    model = turning()
    found = np.array([
        noise_covariance(read_paths(seen(model, dt, 4000, SEEN, seed), dt, None, (1, 2)), (1, 2), 32)[:-1]
        for seed in range(30)
    ])  # fmt: skip
    error = found.std(axis=0, ddof=1) / np.sqrt(30)
    assert np.all(np.abs(found.mean(axis=0) - SEEN) < 4 * error)
    assert error.max() < 0.1 * SEEN.min() if dt < 0.1 else error.max() < 0.005


def test_errors_that_are_not_there():
    x = seen(turning(), 0.02, 20_000, np.zeros((2, 2)), 1)
    noise = noise_covariance(read_paths(x, 0.02, None, (1, 2)), (1, 2), 32)
    assert np.abs(noise[:-1]).max() < 0.001  # a twentieth of C dt
    at = np.random.default_rng(1).normal(size=(20, 2)) * 0.5
    fields = [rt.estimate_rattling(x, 0.02, at=at, noise=noise) for noise in ("none", "covariance")]
    assert np.all(np.abs(fields[1].rattling) < 4 * fields[1].stderr)
    assert np.all(fields[1].stderr < 2 * fields[0].stderr)


@pytest.mark.parametrize("method", ["local-linear", "basis", "knn", "bins"])
def test_scatter_as_stated(method):
    """Twelve data sets of a process with currents, R = 0: z within 1 to a third, and no bias at lag .05. (Bins keep
    what drift does to the errors.)"""
    z = []
    grid = rt.Grid([(-0.6, 0.6)] * 2, 2)
    for seed in range(12):
        x = seen(turning(), 0.05, 20_000, SEEN, seed)
        how = {"neighbours": 3000} if method == "knn" else {}
        field = rt.estimate_rattling(x, 0.05, at=grid, method=method, noise="covariance", **how)
        z.append((field.rattling / field.stderr).ravel())
    assert np.sqrt(np.mean(np.square(z))) == pytest.approx(1, abs=0.35)
    if method != "bins":
        assert abs(np.mean(z)) < 0.4


def test_more_exact_than_without_what_is_known():
    """Errors that are the same everywhere: R scatters less than where each place finds its own."""
    errors = {"covariance": [], "local-covariance": []}
    for seed in range(8):
        x = seen(turning(), 0.02, 20_000, 0.4 * SEEN, seed)
        at = np.random.default_rng(seed).normal(size=(20, 2)) * 0.5
        for noise, found in errors.items():
            found.append(rt.estimate_rattling(x, 0.02, at=at, noise=noise).rattling)
    one, own = (np.sqrt(np.mean(np.square(found))) for found in errors.values())
    assert one < 0.75 * own


def test_errors_that_vary():
    """In each half of the axis other errors: only "local-covariance" is right."""
    model = rt.Model.from_sympy("-x", 0.5, variables="x")
    x = rt.simulate(model, [0.0], 0.002, 100_000, n_paths=4, thin=5, rng=1).x
    x = x + np.where(x > 0, 0.09, 0.02) * np.random.default_rng(1).normal(size=x.shape)
    at = [[-0.7], [0.7]]
    own, one = (rt.estimate_rattling(x, 0.01, at=at, noise=noise) for noise in ("local-covariance", "covariance"))
    assert np.all(np.abs(own.rattling) < 4 * own.stderr)
    assert one.rattling[0] < -0.2 and one.rattling[1] > 0.2


def test_displaced_starts():
    """C = 1.2 + .8 cos 4x seen with errors of .05: at its least C is seen larger by .8 (4 .05)^2/2, R by .02, and by as
    much again over .02. That is taken off."""
    model = rt.Model.from_sympy("-x/2", "(6/5 + 4*cos(4*x)/5)/2", variables="x")
    at = np.array([[-np.pi / 4], [np.pi / 4]])
    exact = rt.exact_rattling(model, at.T)
    errors = {"covariance": [], "local-covariance": []}
    for seed in range(6):
        x = seen(model, 0.02, 25_000, [[0.0025]], seed, n_paths=20, start=(0.1,))
        for noise, found in errors.items():
            found.append(rt.estimate_rattling(x, 0.02, at=at, noise=noise).rattling - exact)
    one, own = (np.mean(found) for found in errors.values())
    assert own > 0.03 and abs(one) < 0.015, (own, one)


def test_on_a_ring():
    """Paths that go round, with errors across the seam."""
    model = rt.Model.from_sympy("1", "1/2 + sin(x)/4", variables="x")
    ring = rt.Grid((1, 1 + 2 * np.pi), 2, "periodic")
    paths = rt.simulate(model, [1.0], 0.002, 40_000, n_paths=20, thin=5, rng=2, boundary=ring)
    noisy = paths.x + 0.05 * np.random.default_rng(2).normal(size=paths.x.shape)
    around = rt.Trajectories(t=paths.t, x=1 + (noisy - 1) % (2 * np.pi), dt=paths.dt, boundary=paths.boundary, variables=("x",))
    at = np.array([[1.02], [3.0], [5.0]])
    field = rt.estimate_rattling(around, at=at, noise="covariance")
    assert np.all(np.abs(field.rattling - rt.exact_rattling(model, at.T)) < 4 * field.stderr)
    assert field.stderr.max() < 0.05


def test_short_paths():
    x = np.random.default_rng(1).normal(size=(100, 3, 1)).cumsum(axis=1)
    with pytest.raises(ValueError, match='noise="covariance" needs paths of at least four states; .*"local-covariance"'):
        rt.estimate_rattling(x, 1.0, at=[[0.0]], noise="covariance")
    assert np.isfinite(rt.estimate_rattling(x, 1.0, at=[[0.0]], noise="local-covariance", lags=1, bandwidth=3).rattling)


def test_an_axis_without_motion():
    x = np.random.default_rng(1).normal(size=(5, 100, 2)).cumsum(axis=1) * [1, 0]
    with pytest.raises(ValueError, match="do not move along some axis"):
        rt.estimate_rattling(x, 1.0, at=[[0.0, 0.0]], noise="covariance", bandwidth=1)


def test_lags_from_which_there_is_no_propagator():
    """(2, 5): drift is left to the extrapolation, as it is without noise at lags that say nothing of it."""
    x = seen(turning(), 0.01, 20_000, SEEN, 5)
    field = rt.estimate_rattling(x, 0.01, at=[[0.1, 0.2]], noise="covariance", lags=(2, 5))
    assert abs(field.rattling[0]) < 4 * field.stderr[0]
