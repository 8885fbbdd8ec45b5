"""Intervals of scores: coverage, blocks, errors of R."""

import numpy as np
import pytest

import rattling as rt
from rattling.intervals import SCORES, Intervals, _cells_of_blocks, _reach, intervals


def pair(rng, n=300, scatter=0.3):
    r = rng.normal(size=n)
    return -1.2 * r + scatter * rng.normal(size=n), r


def share_that_covers(cases):
    """Of (interval, truth): the share, which has the standard error sqrt(.05 .95/n)."""
    return np.mean([low <= truth <= high for (low, high), truth in cases])


def test_coverage_of_independent_cells():
    rng = np.random.default_rng(1)
    cases = []
    for k in range(60):
        log_p, r = pair(rng)
        cases.append((rt.typicality(log_p, r).intervals(n=99, block=1, rng=k)["gamma"], 1.2))
    assert share_that_covers(cases) >= 0.95 - 3 * np.sqrt(0.05 * 0.95 / 60)


def test_coverage_with_errors_of_rattling():
    """The naive scores are off by many of these intervals."""
    rng = np.random.default_rng(2)
    cases = {name: [] for name in ("gamma", "correlation", "spearman", "kl_explained")}
    naive = []
    for k in range(80):
        log_p, r = pair(rng)
        truth = rt.typicality(log_p, r)
        scores = rt.typicality(log_p, r + 0.2 * rng.normal(size=300), stderr=0.2)
        found = scores.intervals(source="errors", n=49, rng=k)
        for name, list_ in cases.items():
            list_.append((found[name], getattr(truth, name)))
        naive.append((found["kl_explained"], scores.kl_explained))
    for name, list_ in cases.items():
        assert share_that_covers(list_) >= 0.95 - 3 * np.sqrt(0.05 * 0.95 / 80), name
    assert share_that_covers(naive) < 0.5


def test_errors_are_as_large_as_they_are_with_the_seed_of_the_data():
    """Standard errors beside the scatter about the scores of the exact R, which for gamma is
    [s²(v + γ²) + 2γ²s⁴]/n, v the variance about the line and R's being 1. Draws with the numbers
    of the data would be errors in proportion to R: twice what they are."""
    n, s, found, off = 300, 0.2, [], []
    names = ("gamma", "correlation", "kl_explained")
    for k in range(60):
        rng = np.random.default_rng(k)
        r = rng.normal(size=n)
        log_p = -1.5 * r + 0.5 * rng.normal(size=n)
        truth = rt.typicality(log_p, r)
        of = rt.typicality(log_p, r + s * rng.normal(size=n), stderr=s).intervals(source="errors", n=49, rng=k)
        at = [of.names.index(name) for name in names]
        found.append(of.stderr[at])
        off.append(of.estimate[at] - [getattr(truth, name) for name in names])
    expected = np.sqrt((s**2 * (0.5**2 + 1.5**2) + 2 * 1.5**2 * s**4) / n)
    stated = np.sqrt(np.mean(np.square(found), axis=0))
    assert stated[0] == pytest.approx(expected, rel=0.1)
    scatter = np.sqrt(np.mean(np.square(off), axis=0))
    np.testing.assert_allclose(stated, scatter, rtol=3 / np.sqrt(2 * 60))


def test_blocks_widen_intervals_of_smooth_fields():
    """Neighbouring cells of a smooth field are no independent witnesses."""
    model = rt.systems.random_force(2, force=0.5, correlation_length=0.3, rng=3)
    grid = rt.systems.default_grid("random_force", 64)
    state = rt.steady_state(model, grid)
    scores = rt.typicality(state.log_density, rt.exact_rattling(model, grid), volume=grid.volumes)
    cells, blocks = (scores.intervals(n=99, block=b, rng=1) for b in (1, None))
    assert blocks.block[0] > 8 and blocks.stderr[0] > 3 * cells.stderr[0]
    assert "Only" in blocks.reason and not cells.reason


def test_a_chain_needs_no_blocks():
    chain = rt.systems.wells_barriers_forces(rng=1)
    scores = rt.typicality(rt.steady_state(chain).log_density, np.log(chain.exit_rates))
    found = scores.intervals(n=99, rng=1)
    assert found.block == (1,) and found.n_blocks == 1024
    for name, estimate in zip(found.names, found.estimate, strict=True):
        assert found[name][0] < estimate < found[name][1]


def test_cells_of_blocks():
    blocks = _cells_of_blocks((4, 5), (2, 3))
    assert [b.tolist() for b in blocks] == [
        [0, 1, 2, 5, 6, 7],
        [3, 4, 8, 9],
        [10, 11, 12, 15, 16, 17],
        [13, 14, 18, 19],
    ]
    assert len(_cells_of_blocks((4, 5), (1, 1))) == 20


def test_reach_is_twice_the_correlation_length():
    rng = np.random.default_rng(1)
    kernel = np.exp(-(np.arange(-60, 61.0) ** 2) / 10**2)  # correlation exp(-x²/200) of what it smooths
    field = np.apply_along_axis(np.convolve, 0, rng.normal(size=(4000, 40)), kernel, "same")
    assert _reach(field, 0) == pytest.approx(2 * np.sqrt(200), rel=0.1)
    assert _reach(field, 1) == 1, "columns are independent"
    assert _reach(np.full((5, 5), np.nan), 0) == 1


def test_results(tmp_path):
    log_p, r = pair(np.random.default_rng(1))
    scores = rt.typicality(log_p, r, stderr=0.7)
    found = intervals(scores, n=20, rng=1)
    assert np.array_equal(found.estimate, [getattr(scores, name) for name in SCORES])
    assert np.array_equal(found.replicates, scores.intervals(n=20, rng=1).replicates), "the seed decides"
    assert "95 % interval" in found.summary() and "300 blocks of 1 cells" in found.summary()
    found.save(tmp_path / "i.npz")
    assert Intervals.load(tmp_path / "i.npz")["gamma"] == found["gamma"]
    errors = scores.intervals(source="errors", n=20, rng=1)
    assert "Reliability" in errors.summary() and np.all(errors.high[[2, 3, 5, 6]] <= 1)
    exact = rt.typicality(log_p, np.ones(300)).intervals(n=5, rng=1)
    assert np.isnan(exact.estimate[:4]).all() and np.isnan(exact.low[:4]).all()
    stderr = np.full(300, 0.1)
    stderr[:20] = np.nan
    some = rt.typicality(log_p, r, stderr=stderr).intervals(source="errors", n=20, rng=1)
    rest = rt.typicality(log_p[20:], r[20:], stderr=0.1)
    assert some.estimate[2] == pytest.approx(rest.correlation, abs=0.01) and np.isfinite(some.stderr).all()
    only_p = rt.typicality(log_p, r).intervals(source="errors", log_p_stderr=0.3, n=50, rng=1)
    assert 0.5 < only_p.stderr[0] / (0.3 / np.sqrt(300)) < 2
    seen = []
    scores.intervals(n=5, rng=1, progress=seen.append)
    assert seen[-1] == 1


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"source": "wells"}, ValueError, "source must be one of 'cells', 'errors'"),
        ({"source": "errors"}, ValueError, "needs standard errors"),
        (
            {"source": "errors", "log_p_stderr": [1.0, 2.0]},
            ValueError,
            r"log_p_stderr must have the shape of log_p, \(3,\)",
        ),
        ({"source": "errors", "log_p_stderr": -1.0}, ValueError, "log_p_stderr must be finite and not negative"),
        ({"n": 1}, ValueError, "n must be at least 2"),
        ({"block": (1, 2)}, ValueError, "one for each of the 1 axes"),
        ({"block": 0}, ValueError, "block must be at least 1"),
        ({"confidence": 95}, ValueError, "confidence must be between 0 and 1; got 95"),
        ({"rng": "x"}, TypeError, "rng must be"),
    ],
)
def test_bad_input(options, error, message):
    with pytest.raises(error, match=message):
        rt.typicality([0.0, 1.0, 3.0], [0.0, -1.0, -2.0]).intervals(**options)


def test_only_scores_have_intervals():
    with pytest.raises(TypeError, match="scores must be a rattling.Typicality, not list"):
        intervals([1.0])
    with pytest.raises(ValueError, match="score must be one of 'gamma'"):
        rt.typicality([0.0, 1.0, 3.0], [0.0, -1.0, -2.0]).intervals(n=2, rng=1)["rho"]


def test_reach_of_fields():
    """Twice the lag at which the autocorrelation is below 1/e; all of an axis where it never is."""
    step = np.repeat([1.0, -1.0], 32)[:, None]  # (64 - 3 k)/(64 - k) at lag k, from 16 on below 1/e
    assert _reach(step, 0) == 32
    assert _reach(np.ones((1, 3)), 0) == 1
    assert _reach(np.full((5, 1), np.nan), 0) == 1
