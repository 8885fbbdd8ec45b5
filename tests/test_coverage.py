"""Intervals and standard errors hold what they say: those without a test of it elsewhere."""

import numpy as np
import pytest
import scipy.stats

import rattling as rt


@pytest.mark.parametrize("probability", [0.02, 0.3, 0.5, 0.97])
@pytest.mark.parametrize("confidence", [0.68, 0.95])
def test_probability_of_exceeding_a_score(probability, confidence):
    """At least the confidence, exactly: summed over all outcomes of 40 draws."""
    n = 40
    covered = 0.0
    for k in range(n + 1):
        ensemble = rt.Ensemble(scores={"gamma": np.repeat([1.0, 0.0], [k, n - k])}, errors=[""] * n)
        share, low, high = ensemble.exceedance("gamma", 0.5, confidence=confidence)
        assert low <= share <= high
        covered += scipy.stats.binom.pmf(k, n, probability) * (low <= probability <= high)
    assert covered >= confidence


@pytest.mark.parametrize("dim", [1, 2])
def test_windows_of_increments(dim):
    """Windows that do not overlap: 95 % within 1.96 standard errors (2000 windows, 4 sigma)."""
    x = np.cumsum(np.random.default_rng(dim).normal(size=(120_001, dim)), axis=0)
    found = rt.windowed_rattling(x, 1.0, 60.0, stride=60, displacement="increments")
    inside = np.abs(found.rattling) < 1.96 * found.stderr
    n = len(inside)
    assert n > 1900 and inside.mean() == pytest.approx(0.95, abs=4 * np.sqrt(0.95 * 0.05 / n))


@pytest.mark.parametrize("error", [0.0, 0.4])
def test_slope_of_the_law(error):
    """gamma within 1.96 gamma_stderr in 95 % of 400 draws (4 sigma), R exact or with known errors."""
    rng = np.random.default_rng(3)
    inside = []
    for _ in range(400):
        R = rng.normal(size=200)
        log_p = -1.5 * R + 0.5 * rng.normal(size=200)
        found = rt.typicality(log_p, R + error * rng.normal(size=200), stderr=error or None)
        inside.append(abs(found.gamma - 1.5) < 1.96 * found.gamma_stderr)
    assert np.mean(inside) == pytest.approx(0.95, abs=4 * np.sqrt(0.95 * 0.05 / 400))
