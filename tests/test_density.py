"""Densities and gamma from data: against brute force, exact laws, and the errors they claim."""

import types

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import polygamma

import rattling as rt
from rattling import density
from rattling.estimators import BinSums

RING = rt.Grid((0, 2 * np.pi), 12, "periodic")


def ring_paths(seed=1, n_paths=32, n_steps=2000):
    """p ~ 1/D: gamma = 2."""
    model = rt.Model.from_sympy("0", "1 + sin(x)/2", variables="x")
    rng = np.random.default_rng(seed)
    start = rng.uniform(0, 2 * np.pi, size=(20 * n_paths, 1))
    keep = rng.uniform(size=len(start)) < 0.5 / (1 + np.sin(start[:, 0]) / 2)
    return rt.simulate(model, start[keep][:n_paths], 0.01, n_steps, rng=seed, boundary=RING)


# --- densities ----------------------------------------------------------------------------


def test_bins_against_histogram():
    x = np.random.default_rng(1).normal(size=(40, 500, 2))
    grid = rt.Grid([(-2, 2), (-1, 3)], (5, 4))
    field = rt.estimate_density(x, at=grid)
    counts = np.histogram2d(*x.reshape(-1, 2).T, bins=[grid.edges(0), grid.edges(1)])[0]
    np.testing.assert_array_equal(field.counts, counts)
    assert field.n_states == 20_000 and field.n_outside == 20_000 - counts.sum()
    share, volume = counts / 20_000, 0.8 * 1.0
    np.testing.assert_allclose(field.log_density, np.log(share / volume) + (1 - share) / 2 / field.n_eff)
    np.testing.assert_allclose(field.stderr, np.sqrt((1 - share) * polygamma(1, field.n_eff)))
    # white: as many independent states as states; from 32 blocks, half pooled over 20 cells
    assert np.mean(field.n_eff / counts) == pytest.approx(1, abs=0.15)


def test_correlated_states_are_worth_less():
    """Every state five times: a fifth."""
    x = np.repeat(np.random.default_rng(1).normal(size=(1, 4000, 1)), 5, axis=1)
    field = rt.estimate_density(x, at=rt.Grid((-2, 2), 8))
    assert np.mean(field.n_eff / field.counts) == pytest.approx(0.2, rel=0.2)


def test_neighbours_against_brute_force():
    x = np.random.default_rng(1).normal(size=(10, 300, 2)) * [1.0, 5.0]
    at = np.array([[0.0, 0.0], [1.0, -4.0]])
    field = rt.estimate_density(x, at=at, method="knn", neighbours=60)
    unit = x.reshape(-1, 2).std(axis=0)
    for k, point in enumerate(at):
        radius = np.sort(np.linalg.norm((x.reshape(-1, 2) - point) / unit, axis=1))[59]
        share = 60 / 3000
        expected = np.log(share / (np.pi * radius**2 * unit.prod())) - (1 - share) / 2 / field.n_eff[k]
        assert field.log_density[k] == pytest.approx(expected, rel=1e-12)
    exact = -0.5 * (at / [1, 5]) ** 2 @ [1, 1] - np.log(2 * np.pi * 5)
    np.testing.assert_allclose(field.log_density, exact, atol=3 * field.stderr.max())


@pytest.mark.parametrize("method", ["bins", "knn"])
def test_density_of_paths_scatters_as_it_says(method):
    """Correlated paths on a ring, where p ~ 1/D: z of 12 places in 10 data sets."""
    z = []
    for seed in range(10):
        field = rt.estimate_density(ring_paths(seed), at=RING, method=method)
        z.append(
            (field.log_density - np.log(np.sqrt(0.75) / 2 / np.pi / (1 + np.sin(field.points[:, 0]) / 2)))
            / field.stderr
        )
    assert np.sqrt(np.mean(np.square(z))) == pytest.approx(1, abs=0.25)


def test_density_masks_and_counts():
    x = np.random.default_rng(1).uniform(size=(4, 100, 1))
    field = rt.estimate_density(x, at=rt.Grid((-1, 1), 4))
    assert (
        field.n_invalid == 2 and np.isnan(field.log_density[:2]).all() and np.isfinite(field.stderr[2:]).all()
    )
    assert field.counts.tolist()[:2] == [0, 0]


def test_density_is_a_result(tmp_path):
    field = rt.estimate_density(ring_paths(n_steps=100), at=RING)
    field.save(tmp_path / "density.npz")
    same = rt.DensityField.load(tmp_path / "density.npz")
    np.testing.assert_array_equal(same.log_density, field.log_density)
    assert field.to_xarray()["log_density"].dims == ("x",)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"method": "kernel"}, "method must be one of 'bins', 'knn'; got 'kernel'"),
        ({"neighbours": 20}, "neighbours must be None for method 'bins'; got 20"),
        ({"method": "knn", "neighbours": 9}, "neighbours must be at least 10"),
        (
            {"method": "knn", "neighbours": 401},
            "neighbours must be at most the number of states, 400; got 401",
        ),
        ({"at": rt.Grid([(0, 1)] * 2, 2)}, "at has 2 axes"),
    ],
)
def test_density_bad_arguments(change, message):
    x = np.random.default_rng(1).uniform(size=(4, 100, 1))
    with pytest.raises(ValueError, match=message):
        rt.estimate_density(**{"trajectories_or_array": x, "at": rt.Grid((0, 1), 4)} | change)


# --- gamma --------------------------------------------------------------------------------


def test_corrected_score_maximises_the_corrected_likelihood():
    rng = np.random.default_rng(1)
    r, variance, volume = rng.normal(size=50), rng.uniform(0, 0.2, size=50), rng.uniform(1, 2, size=50)
    counts = rng.poisson(20 * volume * np.exp(-0.8 * r))

    def minus_likelihood(gamma):
        log_z = np.log(np.sum(volume * np.exp(-gamma * r - gamma**2 * variance / 2)))
        return gamma * counts @ r + counts.sum() * log_z

    expected = minimize_scalar(minus_likelihood, bounds=(0, 2), method="bounded", options={"xatol": 1e-10}).x
    got = density._corrected_score(r, variance, volume, counts @ r / counts.sum())
    assert got == pytest.approx(expected, abs=1e-6)


def test_correction_removes_attenuation():
    """Gaussian errors a third as large as R itself: the naive gamma is a tenth too small."""
    rng = np.random.default_rng(1)
    naive, corrected = [], []
    for _ in range(200):
        r = rng.normal(size=400)
        counts = rng.poisson(50 * np.exp(-1.2 * r))
        seen = r + rng.normal(size=400) / 3
        mean = counts @ seen / counts.sum()
        naive.append(density._corrected_score(seen, np.zeros(400), np.ones(400), mean))
        corrected.append(density._corrected_score(seen, np.full(400, 1 / 9), np.ones(400), mean))
    assert np.mean(naive) < 1.1
    assert abs(np.mean(corrected) - 1.2) < 4 * np.std(corrected) / np.sqrt(200)


def test_errors_that_swamp_r_leave_no_gamma():
    assert np.isnan(density._corrected_score(np.array([0.0, 0.1]), np.ones(2), np.ones(2), 0.05))


def test_sums_of_blocks_are_sums_of_all():
    from rattling._paths import read_paths

    paths = read_paths(ring_paths(n_paths=3, n_steps=500), None, None, (1, 2))
    bins = BinSums(paths, (1, 2), "none", 1, RING)
    whole = bins.sum(paths.begin, paths.end, None)
    parts = sum(bins.sum(begin, end, None) for begin, end in paths.blocks(7, 2))
    lost = (whole - parts)[:, -2:]  # pairs of starts, 1 and 2 apart, in different blocks
    assert (lost >= 0).all() and lost.sum() <= 7 * 3
    np.testing.assert_allclose(parts[:, :-2], whole[:, :-2], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("method", ["poisson", "regression", "split-halves"])
def test_intervals_cover(method):
    """40 data sets: 68 and 95 % intervals hold gamma = 2 about as often as they say.
    `benchmarks/bench_gamma.py` does 200 and more systems."""
    inside = []
    for seed in range(40):
        fit = rt.fit_gamma(
            ring_paths(seed, n_steps=1000), at=RING, method=method, lags=1, rng=seed, n_replicates=100
        )
        z = abs(fit.gamma - 2) / (fit.high - fit.gamma) * 2.04
        inside.append((z < 1.015, z < 2.04))
    share = np.mean(inside, axis=0)
    assert abs(share[0] - 0.683) < 3 * np.sqrt(0.683 * 0.317 / 40) and share[1] >= 0.85


def test_gamma_with_given_rattling():
    """Cells without states count, where R is known there; its errors widen the interval."""
    paths = ring_paths(1)
    model = rt.Model.from_sympy("0", "1 + sin(x)/2", variables="x")
    exact = rt.exact_rattling(model, RING)
    fit = rt.fit_gamma(paths, at=RING, rattling=exact, rng=1)
    assert fit.reliability == 1 and fit.gamma == fit.gamma_uncorrected and fit.n_used == 12
    assert fit.low < 2 < fit.high
    local = rt.estimate_rattling(paths, at=RING)
    assert abs(rt.fit_gamma(paths, at=RING, rattling=local, rng=1).gamma - fit.gamma) < 0.2
    half = rt.Grid((0, 2), 4)
    ends = rt.fit_gamma(paths.x % 2, paths.dt, at=half, rattling=[0.0, 0.1, 0.2, 0.3], rng=1)
    assert ends.n_used == 4
    with pytest.raises(ValueError, match=r"rattling must have the shape of the grid, \(12,\); got \(3,\)"):
        rt.fit_gamma(paths, at=RING, rattling=np.zeros(3))
    with pytest.raises(ValueError, match="rattling must be None for method 'split-halves'"):
        rt.fit_gamma(paths, at=RING, rattling=exact, method="split-halves")


def test_gamma_is_reproducible_and_a_result(tmp_path):
    paths = ring_paths(n_steps=200)
    fits = [rt.fit_gamma(paths, at=RING, rng=3, threads=threads, n_replicates=50) for threads in (1, 2)]
    np.testing.assert_array_equal(fits[0].replicates, fits[1].replicates)
    assert "gamma" in fits[0].summary() and "95 % interval" in fits[0].summary()
    fits[0].save(tmp_path / "fit.npz")
    assert rt.GammaFit.load(tmp_path / "fit.npz").gamma == fits[0].gamma


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"method": "bayes"}, "method must be one of 'poisson', 'regression', 'split-halves'"),
        ({"confidence": 1.0}, "confidence must be between 0 and 1; got 1.0"),
        ({"n_replicates": 1}, "n_replicates must be at least 2"),
        ({"trajectories_or_array": np.zeros((6, 1))}, "too few increments for 32 blocks"),
        ({"trajectories_or_array": np.full((600, 1), 0.3)}, "R is known well enough in 0 cells only"),
    ],
)
def test_gamma_bad_arguments(change, message):
    x = np.random.default_rng(1).uniform(size=(4, 100, 1))
    with pytest.raises(ValueError, match=message):
        rt.fit_gamma(**{"trajectories_or_array": x, "dt": 0.1, "at": rt.Grid((0, 1), 4)} | change)


@pytest.mark.parametrize("scale", [1e-9, 1e-3, 1.0, 1e6])
def test_slopes_of_any_size_are_found(scale):
    """Two cells, one of which has nine tenths of the data; and a law in which nearly all is in one cell."""
    zero = np.zeros(2)
    got = density._corrected_score(np.array([0.0, scale]), zero, np.ones(2), 0.1 * scale)
    assert got == pytest.approx(np.log(9) / scale, rel=1e-9)
    r = scale * np.array([0.0, 1e-3, 1.0, 2.0])
    got = density._corrected_score(r, np.zeros(4), np.ones(4), 1e-6 * r[1])
    assert got == pytest.approx(np.log(1e6 - 1) / r[1], rel=1e-6)


def test_halves_without_common_cells_give_nan():
    data = types.SimpleNamespace(
        halves=np.zeros(2), used=np.ones(2, bool), sums=np.ones((2, 2, 1)), rattling=lambda weights, rng: (np.ones(2),)
    )
    assert np.isnan(density._split_halves(data, np.ones(2), None)).all(), "two cells are too few"
