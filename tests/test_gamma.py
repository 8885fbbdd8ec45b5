"""gamma from data: against brute force, exact laws, and the errors it claims."""

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import stdtrit
from test_density import RING, ring_paths

import rattling as rt
from rattling import gamma
from rattling.estimators import BinSums


def test_corrected_score_maximises_the_corrected_likelihood():
    rng = np.random.default_rng(1)
    r, variance, volume = rng.normal(size=50), rng.uniform(0, 0.2, size=50), rng.uniform(1, 2, size=50)
    counts = rng.poisson(20 * volume * np.exp(-0.8 * r))

    def minus_likelihood(gamma):
        log_z = np.log(np.sum(volume * np.exp(-gamma * r - gamma**2 * variance / 2)))
        return gamma * counts @ r + counts.sum() * log_z

    expected = minimize_scalar(minus_likelihood, bounds=(0, 2), method="bounded", options={"xatol": 1e-10}).x
    got = gamma._corrected_score(r, variance, volume, counts @ r / counts.sum())
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
        naive.append(gamma._corrected_score(seen, np.zeros(400), np.ones(400), mean))
        corrected.append(gamma._corrected_score(seen, np.full(400, 1 / 9), np.ones(400), mean))
    assert np.mean(naive) < 1.1
    assert abs(np.mean(corrected) - 1.2) < 4 * np.std(corrected) / np.sqrt(200)


def test_errors_that_swamp_r_leave_no_gamma():
    assert np.isnan(gamma._corrected_score(np.array([0.0, 0.1]), np.ones(2), np.ones(2), 0.05))


def test_sums_of_blocks_are_sums_of_all():
    from rattling._paths import read_paths

    paths = read_paths(ring_paths(n_paths=3, n_steps=500), None, None, (1, 2))
    bins = BinSums(paths, (1, 2), "none", 1, RING)
    whole = bins.sum(paths.begin, paths.end, None)
    parts = sum(bins.sum(begin, end, None) for begin, end in paths.blocks(7, 2))
    lost = (whole - parts)[:, -1]  # pairs of starts, one after the other, in different blocks
    assert (lost >= 0).all() and 0 < lost.sum() <= 7 * 3
    np.testing.assert_allclose(parts[:, :-1], whole[:, :-1], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("method", ["poisson", "regression", "split-halves"])
def test_intervals_cover(method):
    """150 data sets: 68 and 95 % intervals hold gamma = 2 as often as they say (3 sigma).
    `benchmarks/bench_gamma.py` does more, and a plane with few data."""
    inside = []
    for seed in range(150):
        paths = ring_paths(seed, n_steps=1000)
        fits = [rt.fit_gamma(paths, at=RING, method=method, lags=1, confidence=share) for share in (0.683, 0.95)]
        inside.append([fit.low < 2 < fit.high for fit in fits])
    nominal = np.array([0.683, 0.95])
    assert (np.abs(np.mean(inside, axis=0) - nominal) < 3 * np.sqrt(nominal * (1 - nominal) / 150)).all()


def drawn(rng, slope, n_cells=300, n_blocks=32):
    """Cells of equal volume with log p = 1 - slope R, R and log p seen by blocks with errors."""
    r = 0.3 * rng.normal(size=n_cells)
    seen = r + 1.5 * rng.normal(size=(n_blocks, n_cells))
    counts = np.exp(1 - slope * r) * rng.gamma(4, 0.25, size=(n_blocks, n_cells))
    weights = 1 + gamma._MORE * np.vstack([np.zeros(n_blocks), np.eye(n_blocks)])
    share = weights / weights.sum(axis=1, keepdims=True)
    variance = np.full((n_blocks + 1, n_cells), 1.5**2 / n_blocks)
    return gamma._Sample(weights @ counts, share @ seen, variance, None, np.ones(n_cells), False), r


@pytest.mark.parametrize("slope", [0.0, 1.0])
def test_products_of_errors_count_once(slope):
    """Variance of the regression's score in 400 draws of data, against what each says of itself: twice
    as much as is due to products of errors, here a third of all, would be seen."""
    rng = np.random.default_rng(1)
    scores = [gamma._regression_score(drawn(rng, slope)[0], slope) for _ in range(400)]
    values = [u.values[0] for u in scores]
    stated = np.mean([gamma._error(u) ** 2 for u in scores])
    assert stated / np.var(values) == pytest.approx(1, abs=3 * np.sqrt(2 / 400))
    without = np.mean([gamma._error(u._replace(twice=0.0)) ** 2 for u in scores])
    assert without / np.var(values) > 1.25


def test_interval_is_that_of_fieller():
    """A score that is linear in gamma: the roots of a quadratic in closed form."""
    rng = np.random.default_rng(2)
    a, b = -1.3 + 0.04 * rng.normal(size=33) * gamma._MORE, -0.8 + 0.02 * rng.normal(size=33) * gamma._MORE
    stderr, low, high = gamma._interval(lambda g: gamma._Score(a + g * b, b[0]), -a[0] / b[0], 0.9)
    moved = np.stack([a[1:] - a[0], b[1:] - b[0]]) / gamma._MORE
    v = 32 / 31 * moved @ moved.T * stdtrit(31, 0.95) ** 2
    roots = np.roots([b[0] ** 2 - v[1, 1], 2 * (a[0] * b[0] - v[0, 1]), a[0] ** 2 - v[0, 0]])
    np.testing.assert_allclose([low, high], np.sort(roots), rtol=1e-9)
    assert stderr == pytest.approx(np.sqrt([1, -a[0] / b[0]] @ v @ [1, -a[0] / b[0]]) / stdtrit(31, 0.95) / -b[0])
    wide = 40 * (b - b[0]) + b[0]  # the slope itself may be 0
    assert gamma._interval(lambda g: gamma._Score(a + g * wide, b[0]), -a[0] / b[0], 0.95)[1:] == (-np.inf, np.inf)


@pytest.mark.parametrize("method", ["poisson", "regression"])
def test_errors_of_given_rattling_enter(method):
    """Against gamma with errors of R drawn 1000 times (4 sigma)."""
    solve, score = gamma._FITS[method]
    rng = np.random.default_rng(1)
    r, error, volume = rng.normal(size=12), np.linspace(0.005, 0.02, 12), rng.uniform(1, 2, size=12)
    counts = rng.poisson(500 * volume * np.exp(-0.8 * r)) * np.ones((2, 1))
    sample = gamma._Sample(counts, np.stack([r, r]), np.zeros((2, 12)), None, volume, True)
    drawn = [solve(sample._replace(r=sample.r + error * rng.normal(size=12)))[0] for _ in range(1000)]
    u = score(sample._replace(variance=np.stack([error**2] * 2)), solve(sample)[0])
    assert np.sqrt(u.given) / -u.slope == pytest.approx(np.std(drawn), rel=4 * np.sqrt(0.5 / 1000))


def test_gamma_with_given_rattling():
    """Cells without states count, where R is known there; its errors widen the interval."""
    paths = ring_paths(1)
    model = rt.Model.from_sympy("0", "1 + sin(x)/2", variables="x")
    exact = rt.exact_rattling(model, RING)
    fit = rt.fit_gamma(paths, at=RING, rattling=exact)
    assert fit.reliability == 1 and fit.gamma == fit.gamma_uncorrected and fit.n_used == 12
    assert fit.low < 2 < fit.high
    local = rt.estimate_rattling(paths, at=RING)
    assert abs(rt.fit_gamma(paths, at=RING, rattling=local).gamma - fit.gamma) < 0.2
    tiny = rt.fit_gamma(paths, at=RING, rattling=10 + 1e-4 * exact)  # R much larger than its scatter
    assert 1e-4 * tiny.gamma == pytest.approx(fit.gamma, rel=1e-6)
    half = rt.Grid((0, 2), 4)
    ends = rt.fit_gamma(paths.x % 2, paths.dt, at=half, rattling=[0.0, 0.1, 0.2, 0.3])
    assert ends.n_used == 4
    with pytest.raises(ValueError, match=r"rattling must have the shape of the grid, \(12,\); got \(3,\)"):
        rt.fit_gamma(paths, at=RING, rattling=np.zeros(3))
    with pytest.raises(ValueError, match="rattling must be None for method 'split-halves'"):
        rt.fit_gamma(paths, at=RING, rattling=exact, method="split-halves")


def test_gamma_is_reproducible_and_a_result(tmp_path):
    paths = ring_paths(n_steps=200)
    fits = [rt.fit_gamma(paths, at=RING, threads=threads) for threads in (1, 2)]
    assert (fits[0].low, fits[0].high, fits[0].stderr) == (fits[1].low, fits[1].high, fits[1].stderr)
    assert "gamma" in fits[0].summary() and "95 % interval" in fits[0].summary()
    fits[0].save(tmp_path / "fit.npz")
    assert rt.GammaFit.load(tmp_path / "fit.npz").gamma == fits[0].gamma


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"method": "bayes"}, "method must be one of 'poisson', 'regression', 'split-halves'"),
        ({"confidence": 1.0}, "confidence must be between 0 and 1; got 1.0"),
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
    got = gamma._corrected_score(np.array([0.0, scale]), zero, np.ones(2), 0.1 * scale)
    assert got == pytest.approx(np.log(9) / scale, rel=1e-9)
    r = scale * np.array([0.0, 1e-3, 1.0, 2.0])
    got = gamma._corrected_score(r, np.zeros(4), np.ones(4), 1e-6 * r[1])
    assert got == pytest.approx(np.log(1e6 - 1) / r[1], rel=1e-6)


def test_halves_without_common_cells_give_nan():
    """Each half of the blocks sees a cell of its own, and both see two: too few."""
    x = np.random.default_rng(1).uniform(0, 0.5, size=(32, 60, 1))
    x[::2, :30] += 0.5
    x[1::2, :30] += 1.0
    fit = rt.fit_gamma(x, 1.0, at=rt.Grid((0, 1.5), 3), method="split-halves", lags=1)
    assert fit.n_used == 3 and np.isnan([fit.gamma, fit.stderr, fit.low, fit.high]).all()


@pytest.mark.parametrize("argument", [{"rng": 1}, {"n_replicates": 200}])
def test_arguments_of_draws_are_deprecated(argument):
    paths = ring_paths(1)
    with pytest.warns(DeprecationWarning, match=f"{next(iter(argument))} has no effect: .* leave it out"):
        assert rt.fit_gamma(paths, at=RING, **argument).gamma == rt.fit_gamma(paths, at=RING).gamma
