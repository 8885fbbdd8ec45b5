"""Typicality scores: against the twin, SciPy, exact cases and laws."""

import signal
import time

import numpy as np
import pytest
import scipy.optimize
import scipy.special
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import typicality as twin

from rattling import typicality
from rattling.typicality import Typicality

SCORES = (
    "gamma gamma_stderr gamma_kl correlation spearman kl kl_uniform kl_explained total_variation n_used residual"
).split()


def noisy_law(seed, n=300, gamma=1.3, noise=0.5):
    rng = np.random.default_rng(seed)
    rattling = rng.normal(size=n) * 2
    return -gamma * rattling + noise * rng.standard_t(4, size=n) - 50, rattling, rng


def assert_scores(got, expected, rtol=1e-10, atol=1e-12):
    for name in SCORES:
        np.testing.assert_allclose(getattr(got, name), expected[name], rtol=rtol, atol=atol, err_msg=name)


# --- against the twin -------------------------------------------------------------------


@pytest.mark.parametrize("weights", ["uniform", "probability", "array"])
@pytest.mark.parametrize("errors", [False, True])
@pytest.mark.parametrize("seed", [1, 2])
def test_twin(weights, errors, seed):
    log_p, rattling, rng = noisy_law(seed)
    log_p[rng.integers(300, size=30)] = -np.inf
    rattling[rng.integers(300, size=30)] = np.nan
    rattling = np.round(rattling, 1)  # ties
    volume = rng.uniform(0.5, 2, 300)
    stderr = rng.uniform(0, 0.5, 300) if errors else None
    if weights == "array":
        weights = rng.integers(0, 4, 300).astype(float)
    shape = (15, 20)
    got = typicality(
        log_p.reshape(shape),
        rattling.reshape(shape),
        volume=volume.reshape(shape),
        weights=weights if isinstance(weights, str) else weights.reshape(shape),
        stderr=None if stderr is None else stderr.reshape(shape),
    )
    expected = twin.typicality(log_p, rattling, volume, weights, stderr)
    expected["residual"] = expected["residual"].reshape(shape)
    assert_scores(got, expected)
    assert got.n_excluded == 300 - got.n_used > 30
    assert got.reason == ""


# --- against SciPy ----------------------------------------------------------------------


def test_scipy():
    log_p, rattling, _ = noisy_law(3, n=500)
    rattling = np.round(rattling, 1)
    got = typicality(log_p, rattling)
    line = scipy.stats.linregress(rattling, log_p)
    assert got.gamma == pytest.approx(-line.slope, rel=1e-12)
    assert got.gamma_stderr == pytest.approx(line.stderr, rel=1e-10)
    assert got.correlation == pytest.approx(scipy.stats.pearsonr(-log_p, rattling).statistic, rel=1e-12)
    assert got.spearman == pytest.approx(scipy.stats.spearmanr(-log_p, rattling).statistic, rel=1e-12)


def test_gamma_kl_minimises_the_divergence():
    log_p, rattling, rng = noisy_law(4)
    volume = rng.uniform(0.1, 3, 300)
    p = volume * np.exp(log_p - log_p.max())
    p /= p.sum()

    def divergence(gamma):
        q = scipy.special.softmax(np.log(volume) - gamma * rattling)
        return scipy.special.rel_entr(p, q).sum()

    best = scipy.optimize.minimize_scalar(divergence, bracket=(0, 1), tol=1e-12)
    got = typicality(log_p, rattling, volume=volume)
    assert got.gamma_kl == pytest.approx(best.x, abs=1e-7)
    assert got.kl == pytest.approx(best.fun, rel=1e-12)
    assert got.kl_uniform == pytest.approx(scipy.special.rel_entr(p, volume / volume.sum()).sum(), rel=1e-12)


# --- exact cases ------------------------------------------------------------------------


@pytest.mark.parametrize("weights", ["uniform", "probability", np.arange(1.0, 101.0)])
@pytest.mark.parametrize("gamma", [-2.0, 0.4, 1.0, 30.0])
def test_the_law_itself(weights, gamma):
    rattling = np.random.default_rng(5).normal(size=100)
    got = typicality(-gamma * rattling + 1234, rattling, weights=weights, volume=3.0)
    assert got.gamma == pytest.approx(gamma, rel=1e-11)
    assert got.gamma_kl == pytest.approx(gamma, rel=1e-11)
    assert got.correlation == pytest.approx(np.sign(gamma), abs=1e-14)
    assert got.spearman == pytest.approx(np.sign(gamma), abs=1e-14)
    assert got.kl_explained == pytest.approx(1, abs=1e-15)
    assert 0 <= got.total_variation < 1e-11
    assert 0 <= got.gamma_stderr < 1e-11
    assert np.abs(got.residual).max() < 1e-11


def test_tails_as_far_as_they_go():
    """Scores of p that spans exp(-5000): the slope and the KL scores still see every cell."""
    rattling = np.linspace(0, 10, 2001)
    law = typicality(-500 * rattling, rattling, weights="probability")
    assert law.gamma == pytest.approx(500, rel=1e-12) and law.gamma_kl == pytest.approx(500, rel=1e-12)
    tail = np.where(rattling < 5, 0.0, -5000 - 2 * rattling)
    step = typicality(tail, rattling)
    # a flat p below 5 with nothing above: <R>_p is the mean of that half
    inside = rattling < 5
    excess = scipy.optimize.brentq(
        lambda g: scipy.special.softmax(-g * rattling) @ rattling - rattling[inside].mean(), 0, 5, xtol=1e-14
    )
    assert step.gamma_kl == pytest.approx(excess, rel=1e-11)


def test_two_states_far_apart():
    got = typicality([0.0, -5000.0], [0.0, 1.0])
    assert got.gamma_kl == pytest.approx(5000, rel=1e-12)
    assert got.kl_explained == pytest.approx(1, abs=1e-15)
    assert np.isnan(got.gamma_stderr) and got.reason.startswith("gamma has no standard error")


def test_r_that_says_nothing():
    """R independent of p: a product of two axes."""
    log_p, rattling = np.meshgrid(np.linspace(-3, 0, 20), np.linspace(0, 1, 30), indexing="ij")
    got = typicality(log_p, rattling)
    for name in ("gamma", "gamma_kl", "correlation", "spearman", "kl_explained"):
        assert getattr(got, name) == pytest.approx(0, abs=1e-13), name
    assert got.kl == pytest.approx(got.kl_uniform, rel=1e-13)


def test_wrong_sign_of_the_law():
    """Ants (Föllmer-Kirman) with a > 1 have p decreasing where exit rates decrease."""
    rattling = np.array([0.0, 1.0, 2.0])
    got = typicality(2 * rattling, rattling)
    assert got.gamma == -2 and got.correlation == -1 and got.kl_explained == pytest.approx(1)


def test_isotropic_noise_has_gamma_two_over_d():
    """p ~ 1/D for Ito noise D(x) I without drift (method: exact slopes)."""
    diffusion = np.exp(np.random.default_rng(6).normal(size=(10, 10)))
    for dim in (1, 2, 3):
        rattling = 0.5 * dim * np.log(2 * diffusion)
        assert typicality(-np.log(diffusion), rattling, dim=dim).gamma == pytest.approx(2 / dim, rel=1e-12)


def test_merging_cells_of_equal_density_changes_no_kl_score():
    """Two cells of one density and R are one cell of twice the volume."""
    log_p, rattling, rng = noisy_law(7, n=50)
    volume = rng.uniform(1, 2, 50)
    whole = typicality(log_p, rattling, volume=volume)
    halves = typicality(np.tile(log_p, 2), np.tile(rattling, 2), volume=np.tile(volume / 2, 2))
    for name in ("gamma_kl", "kl", "kl_uniform", "kl_explained", "total_variation"):
        assert getattr(halves, name) == pytest.approx(getattr(whole, name), rel=1e-11), name
    by_p = [typicality(a, b, volume=v, weights="probability")
            for a, b, v in ((log_p, rattling, volume), (*map(np.tile, (log_p, rattling), (2, 2)), np.tile(volume, 2)))]
    assert by_p[0].gamma == pytest.approx(by_p[1].gamma, rel=1e-11)
    assert by_p[0].spearman == pytest.approx(by_p[1].spearman, rel=1e-11)


# --- laws -------------------------------------------------------------------------------

seeds = st.integers(0, 2**32 - 1)
shifts = st.floats(-1e3, 1e3)
weightings = st.sampled_from(["uniform", "probability"])


@given(seed=seeds, a=shifts, b=shifts, weights=weightings)
@settings(max_examples=40, deadline=None)
def test_constants_do_not_matter(seed, a, b, weights):
    log_p, rattling, _ = noisy_law(seed, n=40)
    got = typicality(log_p + a, rattling + b, weights=weights)
    expected = typicality(log_p, rattling, weights=weights)
    for name in SCORES:
        value = getattr(expected, name)
        np.testing.assert_allclose(getattr(got, name), value, rtol=1e-8, atol=1e-9, err_msg=name)


@given(seed=seeds, scale=st.floats(1e-3, 1e3), sign=st.sampled_from([-1, 1]), weights=weightings)
@settings(max_examples=40, deadline=None)
def test_scaling_r_scales_gamma_inversely(seed, scale, sign, weights):
    log_p, rattling, _ = noisy_law(seed, n=40)
    got = typicality(log_p, sign * scale * rattling, weights=weights)
    expected = typicality(log_p, rattling, weights=weights)
    for name in ("gamma", "gamma_kl"):
        assert getattr(got, name) * scale * sign == pytest.approx(getattr(expected, name), rel=1e-9, abs=1e-9), name
    assert got.gamma_stderr * scale == pytest.approx(expected.gamma_stderr, rel=1e-9)
    for name in ("correlation", "spearman"):
        assert getattr(got, name) * sign == pytest.approx(getattr(expected, name), abs=1e-11), name
    for name in ("kl", "kl_explained", "total_variation", "residual"):
        np.testing.assert_allclose(getattr(got, name), getattr(expected, name), rtol=1e-9, atol=1e-9, err_msg=name)


@given(seed=seeds, factor=st.floats(1e-100, 1e100), n=st.integers(2, 60))
@settings(max_examples=40, deadline=None)
def test_order_of_cells_and_unit_of_volume_do_not_matter(seed, factor, n):
    log_p, rattling, rng = noisy_law(seed, n=n)
    volume = rng.uniform(1, 2, n)
    order = rng.permutation(n)
    got = typicality(log_p[order], rattling[order], volume=factor * volume[order], weights="probability")
    expected = typicality(log_p, rattling, volume=volume, weights="probability")
    for name in SCORES:
        value = expected.residual[order] if name == "residual" else getattr(expected, name)
        np.testing.assert_allclose(getattr(got, name), value, rtol=1e-8, atol=1e-9, err_msg=name)


@given(seed=seeds, weights=weightings)
@settings(max_examples=40, deadline=None)
def test_scores_stay_in_their_ranges(seed, weights):
    rng = np.random.default_rng(seed)
    n = rng.integers(3, 30)
    got = typicality(
        rng.normal(size=n) * 10 ** rng.uniform(-3, 3), rng.normal(size=n) * 10 ** rng.uniform(-3, 3), weights=weights
    )
    assert abs(got.correlation) <= 1 and abs(got.spearman) <= 1 or got.reason
    assert 0 <= got.kl <= got.kl_uniform * (1 + 1e-12)
    assert 0 <= got.total_variation <= 1 + 1e-12
    assert got.kl >= 2 * got.total_variation**2 * (1 - 1e-9) - 1e-15  # Pinsker
    assert got.gamma_stderr >= 0 or got.reason


@given(
    log_p=st.lists(st.floats(-1e149, 1e149), min_size=1, max_size=8),
    data=st.data(),
    weights=weightings,
)
@settings(max_examples=100, deadline=None)
def test_any_finite_input_gives_scores(log_p, data, weights):
    rattling = data.draw(st.lists(st.floats(-1e149, 1e149), min_size=len(log_p), max_size=len(log_p)))
    got = typicality(log_p, rattling, weights=weights)
    assert got.n_used == len(log_p)
    if len(log_p) > 1:
        assert 0 <= got.total_variation <= 1 + 1e-12 and got.kl >= 0


# --- errors of R ------------------------------------------------------------------------


def test_errors_of_r_are_corrected_and_their_uncertainty_is_right():
    """400 draws: the corrected slope is unbiased, the plain one is attenuated by a factor
    4/5, and gamma_stderr agrees with the scatter of the draws (4 sigma everywhere)."""
    rng = np.random.default_rng(8)
    gamma, n, draws, s = 1.5, 400, 400, 0.5
    true = rng.normal(size=(draws, n))
    log_p = -gamma * true + 0.3 * rng.normal(size=true.shape)
    observed = true + s * rng.normal(size=true.shape)
    plain = np.array([typicality(y, x).gamma for y, x in zip(log_p, observed, strict=True)])
    fits = [typicality(y, x, stderr=s) for y, x in zip(log_p, observed, strict=True)]
    corrected = np.array([fit.gamma for fit in fits])
    error = np.array([fit.gamma_stderr for fit in fits])
    scatter = corrected.std(ddof=1)
    assert abs(corrected.mean() - gamma) < 4 * scatter / np.sqrt(draws)
    assert abs(plain.mean() - gamma * 0.8) < 4 * plain.std() / np.sqrt(draws)
    assert abs(np.sqrt(np.mean(error**2)) / scatter - 1) < 4 / np.sqrt(2 * draws)
    assert np.mean([fit.reliability for fit in fits]) == pytest.approx(0.8, abs=0.01)


@pytest.mark.parametrize("weights", ["uniform", "probability"])
def test_standard_error_without_errors_of_r(weights):
    """2000 draws of the scatter about a fixed line (4 sigma)."""
    rng = np.random.default_rng(9)
    rattling = rng.normal(size=200)
    fits = [
        typicality(-rattling + 0.02 * rng.normal(size=200), rattling, weights=weights) for _ in range(2000)
    ]
    scatter = np.std([fit.gamma for fit in fits], ddof=1)
    assert abs(np.mean([fit.gamma for fit in fits]) - 1) < 4 * scatter / np.sqrt(2000) + 2e-4
    expected = np.sqrt(np.mean([fit.gamma_stderr**2 for fit in fits]))
    assert abs(expected / scatter - 1) < 4 / np.sqrt(4000) + (0.1 if weights == "probability" else 0)


def test_errors_as_large_as_the_spread():
    log_p, rattling, _ = noisy_law(10)
    got = typicality(log_p, rattling, stderr=100.0)
    assert np.isnan(got.gamma) and np.isnan(got.residual).all()
    assert got.reliability == 0 and got.correlation > 0.9 and got.kl_explained > 0.5
    assert got.reason == "the errors of R are as large as its spread"


def test_unknown_errors_leave_cells_out():
    log_p, rattling, _ = noisy_law(11, n=10)
    stderr = np.zeros(10)
    stderr[3], stderr[4] = np.nan, np.inf
    got = typicality(log_p, rattling, stderr=stderr)
    rest = np.delete(np.arange(10), [3, 4])
    assert got.n_excluded == 2 and np.isnan(got.residual[[3, 4]]).all()
    assert got.gamma == pytest.approx(typicality(log_p[rest], rattling[rest]).gamma, rel=1e-12)


# --- undefined scores -------------------------------------------------------------------


@pytest.mark.parametrize("noise", [0.0, 1e-15])
def test_constant_r(noise):
    """As for an Ornstein-Uhlenbeck process: undefined, which is not 0."""
    log_p = -np.linspace(-3, 3, 50) ** 2
    got = typicality(log_p, 0.7 + noise * np.sin(np.arange(50)), weights="probability")
    for name in ("gamma", "gamma_stderr", "gamma_kl", "correlation", "spearman"):
        assert np.isnan(getattr(got, name)), name
    assert got.reason == "R is constant"
    assert got.kl_explained == 0 and got.kl == got.kl_uniform > 0
    assert np.ptp(got.residual - log_p) < 1e-14
    assert "not defined: R is constant" in got.summary()


def test_constant_p():
    got = typicality(np.full(20, -3.0), np.arange(20.0))
    assert got.gamma == 0 and got.gamma_kl == pytest.approx(0, abs=1e-14)
    assert got.kl == pytest.approx(0, abs=1e-28)
    assert np.isnan([got.correlation, got.spearman, got.kl_explained]).all()
    assert got.reason == "p is constant"


@pytest.mark.parametrize("n_good", [0, 1])
def test_too_few_cells(n_good):
    log_p = np.full(5, -np.inf)
    log_p[:n_good] = 0.0
    got = typicality(log_p, np.arange(5.0))
    assert np.isnan([got.gamma, got.gamma_kl, got.kl, got.kl_explained, got.spearman]).all()
    assert got.reason == "fewer than two cells can be used"
    assert (got.n_used, got.n_excluded) == (n_good, 5 - n_good)
    assert typicality([], []).n_used == 0


# --- bad input --------------------------------------------------------------------------

GOOD = np.arange(4.0)


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        ({"log_p": "abcd"}, TypeError, "log_p must be an array of real numbers, not str"),
        ({"log_p": GOOD * 1j}, TypeError, "log_p must be an array of real numbers, not of complex128"),
        ({"log_p": None}, TypeError, "log_p must be an array of real numbers, not NoneType"),
        ({"log_p": [0, 1, np.inf, 2]}, ValueError, r"log_p must not be \+inf; it is at index \(2,\)"),
        ({"rattling": np.arange(5)}, ValueError, r"rattling must have the shape of log_p, \(4,\); got \(5,\)"),
        ({"rattling": 1.0}, ValueError, r"rattling must have the shape of log_p, \(4,\); got \(\)"),
        ({"rattling": [object()] * 4}, TypeError, "rattling must be an array of real numbers"),
        ({"rattling": [0, 1, 2, 1e200]}, ValueError, "rattling must span less than 1e150; it goes to 1e[+]200"),
        ({"log_p": [-1.7e308, 1.7e308, 0, 0]}, ValueError, "log_p must span less than 1e150"),
        ({"volume": [1, 1, 0, 1]}, ValueError, r"volume must be positive and finite; it is 0 at index \(2,\)"),
        ({"volume": [1, np.nan, 0, 1]}, ValueError, r"volume must be positive and finite; it is nan at index \(1,\)"),
        ({"volume": np.inf}, ValueError, "volume must be positive and finite; it is inf"),
        ({"volume": np.ones((2, 2))}, ValueError, r"volume must have the shape of log_p, \(4,\); got \(2, 2\)"),
        ({"weights": "area"}, ValueError, "weights must be 'uniform', 'probability' or an array; got 'area'"),
        ({"weights": [1, -2, 0, 0]}, ValueError, r"weights must be finite and not negative; it is -2 at index \(1,\)"),
        ({"weights": np.zeros(4)}, ValueError, "weights must not all be 0"),
        ({"weights": None}, ValueError, "weights must be 'uniform', 'probability' or an array; got None"),
        ({"stderr": [0, 0, 0, -1]}, ValueError, r"stderr must not be negative; it is -1 at index \(3,\)"),
        ({"stderr": "small"}, TypeError, "stderr must be an array of real numbers, not str"),
        ({"dim": 0}, ValueError, "dim must be a whole number of at least 1, or None; got 0"),
        ({"dim": 2.0}, ValueError, "dim must be a whole number of at least 1, or None; got 2.0"),
    ],
)
def test_bad_input(change, error, text):
    arguments = {"log_p": GOOD, "rattling": GOOD[::-1]} | change
    with pytest.raises(error, match=text):
        typicality(arguments.pop("log_p"), arguments.pop("rattling"), **arguments)


def test_inputs_are_not_changed_nor_shared():
    log_p, rattling = np.asfortranarray(np.random.default_rng(12).normal(size=(2, 6, 4)))
    before = log_p.copy()
    got = typicality(log_p, rattling[::1], weights="probability")
    got.log_p[:] = 0
    np.testing.assert_array_equal(log_p, before)
    assert got.residual.shape == (6, 4)


@pytest.mark.parametrize("kind", [np.float32, np.int64, ">f8", "list", "strided", "fortran"])
def test_kinds_of_arrays(kind):
    log_p = np.arange(12.0).reshape(3, 4) % 5
    rattling = np.arange(12.0).reshape(3, 4) % 7
    expected = typicality(log_p, rattling)
    if kind == "list":
        a, b = log_p.tolist(), rattling.tolist()
    elif kind == "strided":
        a, b = (np.repeat(x, 3, axis=1)[:, ::3] for x in (log_p, rattling))
    elif kind == "fortran":
        a, b = np.asfortranarray(log_p), rattling
    else:
        a, b = log_p.astype(kind), rattling.astype(kind)
    got = typicality(a, b)
    assert got.gamma == expected.gamma
    np.testing.assert_array_equal(got.residual, expected.residual)


# --- the result -------------------------------------------------------------------------


def test_result_saves_and_converts(tmp_path):
    log_p, rattling, _ = noisy_law(13, n=12)
    got = typicality(log_p.reshape(3, 4), rattling.reshape(3, 4), dim=2)
    got.save(tmp_path / "t.npz")
    loaded = Typicality.load(tmp_path / "t.npz")
    assert loaded.gamma == got.gamma and loaded.dim == 2
    np.testing.assert_array_equal(loaded.residual, got.residual)
    data = got.to_xarray()
    assert data["residual"].dims == ("axis_0", "axis_1") and data.attrs["gamma"] == got.gamma
    assert "log_p" not in repr(got) and "kl_explained" in repr(got)


def test_summary_is_a_table():
    log_p, rattling, _ = noisy_law(14)
    got = typicality(log_p, rattling, dim=3)
    lines = got.summary().split("\n")
    assert len({len(line) for line in lines[1:9]}) == 1
    assert f"{got.kl_explained:.4f}" in got.summary() and "2/d = 0.6667" in lines[-1]
    assert "nan" not in got.summary()


def test_a_million_cells():
    rng = np.random.default_rng(15)
    rattling = rng.normal(size=10**6)
    got = typicality(-rattling + 0.1 * rng.normal(size=10**6), rattling)
    assert abs(got.gamma - 1) < 4 * got.gamma_stderr and got.gamma_stderr == pytest.approx(1e-4, rel=0.01)


def test_interruption():
    """A signal handler's exception comes out within 0.1 s (the best of 5, at 5 places)."""

    class Stop(Exception):
        pass

    def handler(*_):
        raise Stop

    rng = np.random.default_rng(16)
    rattling = rng.normal(size=10**6)
    log_p = -rattling + 0.1 * rng.normal(size=10**6)
    whole = np.inf
    for _ in range(3):
        start = time.perf_counter()
        typicality(log_p, rattling, weights="probability")
        whole = min(whole, time.perf_counter() - start)
    old = signal.signal(signal.SIGALRM, handler)
    delays = []
    try:
        for part in (0.1, 0.2, 0.3, 0.4, 0.5):
            signal.setitimer(signal.ITIMER_REAL, part * whole)
            start = time.perf_counter()
            with pytest.raises(Stop):
                typicality(log_p, rattling, weights="probability")
            delays.append(time.perf_counter() - start - part * whole)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)
    assert min(delays) < 0.1
