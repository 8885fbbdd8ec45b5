"""Nearest neighbours and a global basis; noise, gaps, uneven times, segments; errors from blocks."""

import numpy as np
import pytest
from reference import basis as basis_twin
from reference import local as local_twin
from reference.estimate import known_noise
from scipy.special import digamma

import rattling as rt

AT = np.array([[0.1, 0.2], [-0.5, 0.4], [0.8, -0.6]])


@pytest.fixture(scope="module")
def model():
    return rt.Model.from_sympy(
        ["-x + y", "-y - x"], ["(2 + x/5 + y**2/10)/4", "(3 + x*y/5 + x**2/10)/4"], variables="x y"
    )


def sample(model, seed=1, n_paths=200, n_times=200, dt=0.01, thin=5):
    start = np.random.default_rng(seed).normal(size=(n_paths, 2)) * 0.7
    return rt.simulate(model, start, dt, n_times * thin, thin=thin, rng=seed)


def z_scores(model, field):
    return (field.rattling - rt.exact_rattling(model, field.points.T)) / field.stderr


# --- nearest neighbours -------------------------------------------------------------------


@pytest.mark.parametrize(("degree", "noise"), [(0, "none"), (1, "none"), (0, "covariance"), (0, "local-covariance"), (1, "local-covariance")])
def test_neighbours_twin(model, degree, noise):
    """One lag, for the effect of several is taken from a wider fit, as is that of displaced starts ("covariance",
    degree 1). One point: it has the finest cells."""
    paths = sample(model, n_paths=20)
    starts, known = paths.x[:, : -(2 if noise == "none" else 4)].reshape(-1, 2), known_noise(paths, 2, noise)
    how = {"neighbours": 900, "degree": degree, "lags": 2, "noise": noise}
    together = rt.estimate_rattling(paths, at=AT, method="knn", **how)
    for k, point in enumerate(AT):
        field = rt.estimate_rattling(paths, at=[point], method="knn", **how)
        h = field.bandwidth[0]
        far = np.sort(np.sqrt((((starts - point) / h) ** 2).sum(axis=1)))
        assert far[899] == pytest.approx(1, rel=1e-9)
        np.testing.assert_allclose(together.bandwidth[k], h, rtol=1e-10)
        r, stderr, n_eff, c = local_twin.rattling(paths.x, paths.dt, point, h, [2], degree, noise, known)
        assert field.rattling[0] == pytest.approx(r, abs=1e-9)
        assert field.stderr[0] == pytest.approx(stderr, rel=1e-8)
        assert field.n_eff[0] == pytest.approx(n_eff, rel=1e-8)
        np.testing.assert_allclose(field.covariance[0], c, rtol=1e-8)
        assert together.rattling[k] == pytest.approx(r, abs=0.5 * stderr)


def test_neighbours_scatter_as_they_say(model):
    rng = np.random.default_rng(0)
    z = [z_scores(model, rt.estimate_rattling(sample(model, seed), at=rng.normal(size=(60, 2)) * 0.5, method="knn"))
         for seed in range(3)]  # fmt: skip
    assert np.sqrt(np.mean(np.square(z))) == pytest.approx(1, abs=0.25)
    assert abs(np.mean(z)) < 0.3


def test_neighbours_in_many_dimensions():
    """Seven dimensions, 5000 states: masked nowhere, and right within errors."""
    model = rt.Model.from_sympy([f"-x{k}" for k in range(7)], 0.5, variables=[f"x{k}" for k in range(7)])
    paths = rt.simulate(model, np.random.default_rng(1).normal(size=(50, 7)) / 2, 0.01, 1000, thin=10, rng=1)
    field = rt.estimate_rattling(paths, at=paths.x[::10, 50], method="knn")
    assert field.n_invalid == 0 and field.stderr.max() < 0.5
    assert np.abs(field.rattling / field.stderr).max() < 4


def test_neighbours_go_round_a_ring():
    model = rt.Model.from_sympy("1", "1/2 + sin(x)/4", variables="x")
    ring = rt.Grid((1, 1 + 2 * np.pi), 2, "periodic")
    paths = rt.simulate(model, [1.0], 0.002, 4000, n_paths=50, thin=5, rng=2, boundary=ring)
    a = rt.estimate_rattling(paths, at=[[1.05], [1.05 + 2 * np.pi]], method="knn")
    assert a.rattling[0] == pytest.approx(a.rattling[1], abs=1e-9)
    assert a.rattling[0] == pytest.approx(0.5 * np.log(1 + np.sin(1.05) / 2), abs=4 * a.stderr[0])


# --- a global basis -----------------------------------------------------------------------


@pytest.mark.parametrize("noise", ["none", "covariance", "local-covariance"])
@pytest.mark.parametrize("degree", [0, 1, 3])
def test_basis_twin(model, degree, noise):
    paths = sample(model, n_paths=20)
    field = rt.estimate_rattling(paths, at=AT, method="basis", degree=degree, noise=noise, lags=(1, 2))
    n, known = paths.x[..., 0].size, known_noise(paths, (1, 2), noise)
    width = paths.x.reshape(-1, 2).std(axis=0) * n ** (-1 / 6) / 4
    for k, point in enumerate(AT):
        r, stderr, n_eff, c = basis_twin.rattling(paths.x, paths.dt, point, width, [1, 2], degree, noise, known)
        assert field.rattling[k] == pytest.approx(r, abs=1e-8)
        assert field.stderr[k] == pytest.approx(stderr, rel=1e-7)
        assert field.n_eff[k] == pytest.approx(n_eff, rel=1e-7)
        np.testing.assert_allclose(field.covariance[k], c, rtol=1e-7, atol=1e-9)


def test_basis_scatters_as_it_says(model):
    """Where it holds an assumption is worth something."""
    rng = np.random.default_rng(0)
    z, errors, stated = [], [], []
    for seed in range(6):
        paths, at = sample(model, seed), rng.normal(size=(60, 2)) * 0.5
        fields = [
            rt.estimate_rattling(paths, at=at, **how)
            for how in ({"method": "basis"}, {"method": "basis", "degree": 2}, {"method": "local-linear"})
        ]
        z.append(z_scores(model, fields[0]))
        errors.append([np.mean((field.rattling - rt.exact_rattling(model, at.T)) ** 2) for field in fields])
        stated.append([np.mean(field.stderr) for field in fields])
    assert np.sqrt(np.mean(np.square(z))) == pytest.approx(1, abs=0.3)
    _, known, local = np.mean(stated, axis=0)
    assert known < 0.9 * local
    _, known, local = np.mean(errors, axis=0)
    assert known < 0.9 * local


def fits_of_rising_degree(model, paths, noise="none"):
    """R and its variance at the 200 starts that decide, by degree; starts of all paths one after the other."""
    starts = paths.x[:, : -(2 if noise == "none" else 4)].reshape(-1, 2)
    places = starts[:: len(starts) // 200]
    for degree in range(1, 13):
        field = rt.estimate_rattling(paths, at=places, method="basis", degree=degree, noise=noise, lags=(1, 2))
        yield field.rattling, field.stderr**2


def falling(t, n, j):
    """Least squares among sequences that do not rise: the least of largest means that hold j."""
    return min(
        max(np.average(t[a : b + 1], weights=n[a : b + 1]) for b in range(j, len(t))) for a in range(j + 1)
    )


@pytest.mark.parametrize("wavy", [False, True])
def test_basis_is_a_mean_over_degrees(model, wavy):
    """Shares 1 - 1/T of what each degree adds to R and to its variance."""
    if wavy:
        model = rt.Model.from_sympy(["-x", "-y"], ["(1 + 7*sin(2*x)*cos(y)/10)/2", "1/2"], variables="x y")
    paths = sample(model, n_paths=40)
    fits = []

    def ratio(a, b):
        return np.nanmean((a[0] - b[0]) ** 2 / np.maximum(b[1] - a[1], 0.1 * b[1]))

    for fit in fits_of_rising_degree(model, paths):
        fits.append(fit)
        if len(fits) > 2 and max(ratio(fits[-3], fits[-2]), ratio(fits[-3], fits[-1])) < 3.5:
            break
    assert wavy == (len(fits) > 4)
    t, new = [ratio(*pair) for pair in zip(fits[:-1], fits[1:], strict=True)], np.arange(3, len(fits) + 2)
    share = [max(1 - 1 / falling(t, new, j), 0.0) for j in range(len(t))]
    at = [
        rt.estimate_rattling(paths, at=AT, method="basis", degree=k + 1) for k in range(len(fits))
    ]
    found = rt.estimate_rattling(paths, at=AT, method="basis")
    for get in (
        lambda field: field.rattling,
        lambda field: field.stderr**2,
        lambda field: field.covariance,
        lambda field: field.drift,
        lambda field: field.n_eff,
    ):
        expected = get(at[0]) + sum(
            w * (get(b) - get(a)) for w, a, b in zip(share, at[:-1], at[1:], strict=True)
        )
        np.testing.assert_allclose(get(found), expected, rtol=1e-9)
    assert np.array_equal(found.counts, at[0].counts)
    blocks = rt.estimate_rattling(paths, at=AT, method="basis", stderr="blocks")
    assert np.all(blocks.stderr > 0.3 * found.stderr) and np.all(blocks.stderr < 3 * found.stderr)


def test_basis_on_a_ring():
    """sin and cos: exact where D is 1/2 + sin(x)/4, whatever the seam."""
    model = rt.Model.from_sympy("1", "1/2 + sin(x)/4", variables="x")
    ring = rt.Grid((1, 1 + 2 * np.pi), 2, "periodic")
    paths = rt.simulate(model, [1.0], 0.002, 4000, n_paths=100, thin=5, rng=2, boundary=ring)
    at = np.linspace(1, 1 + 2 * np.pi, 9)[:, None]
    field = rt.estimate_rattling(paths, at=at, method="basis", degree=1)
    np.testing.assert_allclose(field.rattling, rt.exact_rattling(model, at.T), atol=4 * field.stderr.max())
    assert field.rattling[0] == pytest.approx(field.rattling[-1], abs=1e-9)


def test_basis_far_from_the_data_is_masked(model):
    field = rt.estimate_rattling(sample(model, n_paths=20), at=[[0, 0], [50.0, 0]], method="basis", degree=3)
    assert np.isfinite(field.rattling[0]) and np.isnan(field.rattling[1]) and field.n_invalid == 1


def test_basis_that_the_data_do_not_determine():
    x = np.cumsum(np.random.default_rng(1).normal(size=(12, 2)), axis=0)
    with pytest.raises(ValueError, match="not positive"):
        rt.estimate_rattling(x, 1.0, at=[[0.0, 0.0]], method="basis", degree=4)


# --- what data look like ------------------------------------------------------------------


@pytest.mark.parametrize(
    "how", [{"method": "bins"}, {"bandwidth": 0.7}, {"method": "knn"}, {"method": "basis"}]
)
def test_gaps_are_segments(model, how):
    """NaN, a long step in times, a list of pieces: the same increments, the same bits."""
    paths = sample(model, n_paths=2, n_times=1000).x
    at = rt.Grid([(-1, 1)] * 2, 3)
    with_nan = paths.copy()
    with_nan[0, 100] = np.nan
    with_nan[1, 7:300, 1] = np.nan
    pieces = [paths[0, :100], paths[0, 101:], paths[1, :7], paths[1, 300:]]
    times = [0.05 * np.arange(len(piece)) for piece in pieces]
    fields = (
        rt.estimate_rattling(with_nan, 0.05, at=at, **how),
        rt.estimate_rattling(pieces, 0.05, at=at, **how),
        rt.estimate_rattling(pieces, times=times, at=at, **how),
    )
    for field in fields[1:]:
        np.testing.assert_array_equal(field.rattling, fields[0].rattling)
        np.testing.assert_array_equal(field.stderr, fields[0].stderr)
    assert np.isfinite(fields[0].rattling).any()
    stops = np.concatenate([paths[0, :100], paths[0, 101:]])
    late = np.concatenate([0.05 * np.arange(100), 1000 + 0.05 * np.arange(len(paths[0]) - 101)])
    cut = rt.estimate_rattling(stops, times=late, at=at, **how)
    assert cut.dt == pytest.approx(0.05)
    same = rt.estimate_rattling(pieces[:2], 0.05, at=at, **how)
    np.testing.assert_allclose(cut.rattling, same.rattling, rtol=1e-6)


@pytest.mark.parametrize("method", ["bins", "local-linear", "basis"])
def test_uneven_times(method):
    """Constant D, steps of unequal length: the mean square over the mean time would be as good
    as unbiased, but dx^2/dt scatters less; with 40000 states R = 0 to .015."""
    rng = np.random.default_rng(5)
    steps = rng.exponential(0.01, size=(40, 1000))
    x = np.concatenate(
        [np.zeros((40, 1)), np.cumsum(rng.normal(size=steps.shape) * np.sqrt(steps), axis=1)], axis=1
    )
    t = np.concatenate([np.zeros((40, 1)), np.cumsum(steps, axis=1)], axis=1)
    at = rt.Grid([(-0.5, 0.5)], 2)
    field = rt.estimate_rattling(x[..., None], times=t, at=at, method=method, lags=1)
    assert np.all(np.abs(field.rattling) < 4 * field.stderr) and field.stderr.max() < 0.02


@pytest.mark.parametrize("method", ["bins", "local-linear", "knn", "basis"])
def test_measurement_noise_drops_out(model, method):
    """Errors as large as a step: without the option R is ½ log 3 too large and more."""
    paths = sample(model, n_paths=200, n_times=400, dt=0.005, thin=2)
    noisy = paths.x + 0.1 * np.random.default_rng(3).normal(size=paths.x.shape)
    at = rt.Grid([(-0.6, 0.6)] * 2, 3)
    exact = rt.exact_rattling(model, at)
    how = {"method": method} | ({"neighbours": 8000} if method == "knn" else {})
    naive = rt.estimate_rattling(noisy, paths.dt, at=at, **how)
    field = rt.estimate_rattling(noisy, paths.dt, at=at, noise="covariance", **how)
    assert np.all(naive.rattling - exact > 0.5)
    z = (field.rattling - exact) / field.stderr
    assert np.sqrt(np.mean(z**2)) < 1.8 and field.stderr.max() < 0.25


@pytest.mark.parametrize("method", ["bins", "local-linear", "basis"])
def test_drift_without_the_error_of_the_start(method):
    """dx = -x dt + dW seen with errors of variance S = .01: the exact regression on what was seen,
    rho x e^-dt (e^-dt - 1)/dt with rho = Var x/(Var x + S). Uncorrected it is (rho e^-dt - 1)/dt x, twice that."""
    dt, variance, noise = 0.02, 0.5, 0.01
    rng, shrink = np.random.default_rng(1), np.exp(-0.02)
    x = np.empty((2500, 400))
    x[0] = np.sqrt(variance) * rng.normal(size=400)
    for i in range(1, len(x)):
        x[i] = shrink * x[i - 1] + np.sqrt(variance * (1 - shrink**2)) * rng.normal(size=400)
    seen = (x + np.sqrt(noise) * rng.normal(size=x.shape)).T[..., None]
    field = rt.estimate_rattling(seen, dt, at=rt.Grid((-1, 1), 8), method=method, noise="covariance")
    exact = variance / (variance + noise) * shrink * (shrink - 1) / dt * field.points
    assert np.abs(field.drift - exact).max() < 0.08  # four of its errors; the bias would be .9
    slope = np.sum(field.drift * field.points) / np.sum(field.points**2)
    assert slope == pytest.approx(variance / (variance + noise) * shrink * (shrink - 1) / dt, abs=0.05)


@pytest.mark.parametrize("how", [{"method": "bins"}, {"method": "knn"}, {"method": "basis", "degree": 2}])
def test_errors_from_blocks(model, how):
    """White noise: as large as the analytic ones. Increments that come in bursts: larger."""
    paths, at = sample(model, n_times=100), rt.Grid([(-0.6, 0.6)] * 2, 2)
    analytic = rt.estimate_rattling(paths, at=at, **how, lags=1)
    blocks = rt.estimate_rattling(paths, at=at, **how, lags=1, stderr="blocks")
    np.testing.assert_array_equal(blocks.rattling, analytic.rattling)
    assert np.mean(blocks.stderr / analytic.stderr) == pytest.approx(1, abs=0.3)
    assert not blocks.non_gaussian.any()
    rng = np.random.default_rng(1)
    size = np.repeat(np.exp(0.8 * rng.normal(size=(40, 40))), 25, axis=1)[..., None]
    walk = 0.05 * np.cumsum(size * rng.normal(size=(40, 1000, 2)), axis=1)
    analytic = rt.estimate_rattling(walk, 1.0, at=at, **how, lags=1)
    blocks = rt.estimate_rattling(walk, 1.0, at=at, **how, lags=1, stderr="blocks")
    assert np.mean(blocks.stderr / analytic.stderr) > 1.5
    assert analytic.non_gaussian.all()


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"method": "knn", "neighbours": 3}, ValueError, "neighbours must be at least 10"),
        ({"method": "knn", "degree": 3}, ValueError, "degree must be 0 to 2 for method 'knn' in 2 dimensions; got 3"),
        ({"method": "knn", "bandwidth": 1.0}, ValueError, "bandwidth must be None for method 'knn'"),
        ({"method": "basis", "degree": 13}, ValueError, "degree must be 0 to 12 for method 'basis'"),
        ({"neighbours": 30}, ValueError, "neighbours must be None for method 'local-linear'"),
        ({"times": np.arange(50.0)}, ValueError, "give dt or times, not both"),
        ({"dt": None, "times": np.arange(49.0)}, ValueError, r"times must have shape \(50,\) or \(1, 50\)"),
        ({"dt": None, "times": np.zeros(50)}, ValueError, "times must be finite and increase; 0.0 follows 0.0 at state 1"),
        ({"trajectories_or_array": [np.ones(3), np.ones(4)]}, ValueError, r"must have shape \(n_times, dim\)"),
        ({"trajectories_or_array": [np.ones((30, 2)), np.ones((40, 3))]}, ValueError, r"different numbers .* \[2, 3\]"),
        ({"trajectories_or_array": np.full((30, 2), np.nan)}, ValueError, "paths have 0 states each"),
    ],
)  # fmt: skip
def test_bad_arguments(change, error, message):
    x = np.cumsum(np.random.default_rng(0).normal(size=(50, 2)), axis=0)
    with pytest.raises(error, match=message):
        rt.estimate_rattling(**{"trajectories_or_array": x, "dt": 0.1, "at": [[0.0, 0.0]]} | change)


def test_basis_of_two_places():
    """Starts at two places determine a line, no parabola: the choice of the degree ends there."""
    x = np.random.default_rng(1).integers(0, 2, 500).astype(float)
    chosen, line = (
        rt.estimate_rattling(x, 1.0, method="basis", at=[[0.0], [1.0]], degree=degree).rattling for degree in (None, 1)
    )
    np.testing.assert_allclose(chosen, line, rtol=1e-12)


def test_basis_of_one_place():
    """Starts at one place determine a constant: half of the logarithm of their variance, without its bias."""
    n = 500
    x = np.zeros((n, 2, 1))
    x[:, 1, 0] = np.random.default_rng(1).normal(size=n)
    field = rt.estimate_rattling(x, 1.0, method="basis", at=[[0.0]], lags=1)
    bias = digamma((n - 1) / 2) - np.log((n - 1) / 2)
    assert field.rattling[0] == pytest.approx((np.log(np.var(x[:, 1], ddof=1)) - bias) / 2, abs=1e-6)
    assert field.stderr[0] == pytest.approx(np.sqrt(1 / (2 * n)), rel=0.1)


def test_progress_of_degrees():
    seen = []
    x = np.cumsum(np.random.default_rng(1).normal(size=4000))
    rt.estimate_rattling(x, 1.0, method="basis", at=[[0.0]], progress=seen.append)
    assert len(seen) >= 4 and seen == sorted(seen) and seen[-1] == 1.0
