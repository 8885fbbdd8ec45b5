"""Random numbers: against the twin, and against the laws they should have."""

import numpy as np
import pytest
import scipy.stats
from reference import random as twin

from rattling._core import random_normals, random_uniforms

KEY = 0x0123456789ABCDEF


def many_normals(n_paths=20_000, n_steps=100, n_slots=2):
    """(n_slots, n_steps, n_paths)"""
    return np.stack([random_normals(KEY, 0, n_paths, step, n_slots) for step in range(n_steps)], axis=1)


@pytest.fixture(scope="module")
def sample():
    return many_normals()


@pytest.mark.parametrize("first, n", [(0, 1), (0, 9), (5, 6), (2**33 - 3, 11)])
@pytest.mark.parametrize("step", [0, 7, 2**35 + 1])
def test_twin(first, n, step):
    np.testing.assert_array_equal(
        random_uniforms(KEY, first, n, step, 3), twin.uniforms(KEY, first, n, step, 3)
    )
    # the twin rounds its angle, up to 2 pi, to 4e-16
    normals = twin.normals(KEY, first, n, step, 3)
    np.testing.assert_allclose(random_normals(KEY, first, n, step, 3), normals, rtol=1e-15, atol=3e-15)


def test_law_of_normals(sample):
    """Kolmogorov-Smirnov on 4e6 numbers, p > 1e-3; the first six moments within 4 sigma."""
    x = sample.ravel()
    assert scipy.stats.kstest(x, "norm").pvalue > 1e-3
    moments = {1: (0, 1), 2: (1, 2), 3: (0, 15), 4: (3, 96), 5: (0, 945), 6: (15, 10170)}
    for order, (mean, variance) in moments.items():
        assert abs(np.mean(x**order) - mean) < 4 * np.sqrt(variance / x.size), order


def test_tails(sample):
    """How many lie beyond 2, 3, 4 and 4.5 on each side, within 4 sigma of Poisson."""
    x = sample.ravel()
    for sign in (-1, 1):
        for limit in (2.0, 3.0, 4.0, 4.5):
            expected = scipy.stats.norm.sf(limit) * x.size
            assert abs(np.sum(sign * x > limit) - expected) < 4 * np.sqrt(expected) + 1, (sign, limit)


def test_radius_far_out():
    """In 5e7 numbers some pairs lie 6 sigma out: the law of the largest radius."""
    largest = 0.0
    for pair in range(125):
        x, y = (random_normals(KEY, 0, 200_000, 2 * pair + half, 1)[0] for half in (0, 1))
        largest = max(largest, np.max(x**2 + y**2))
    # P(max of n chi^2_2 < m) = (1 - exp(-m/2))^n between 0.1 % and 99.9 %
    n = 125 * 200_000
    assert 1e-3 < (1 - np.exp(-largest / 2)) ** n < 1 - 1e-3


def test_independence(sample):
    """Correlations of numbers and of their squares within 4.5 sigma: step and partner,
    next pair, next path, other slot; and of the cosine with the sine's square."""
    x = sample
    others = {
        "partner": (x[:, ::2], x[:, 1::2]),
        "next pair": (x[:, :-2], x[:, 2:]),
        "next path": (x[..., :-1], x[..., 1:]),
        "slot": (x[0], x[1]),
    }
    for name, (a, b) in others.items():
        a, b = a.ravel(), b.ravel()
        assert abs(np.mean(a * b)) < 4.5 / np.sqrt(a.size), name
        assert abs(np.mean((a**2 - 1) * (b**2 - 1))) < 4.5 * 2 / np.sqrt(a.size), name
        assert abs(np.mean(a * (b**2 - 1))) < 4.5 * np.sqrt(2 / a.size), name


def test_streams_differ():
    """Normals and uniforms of the same counter come from different words."""
    u = random_uniforms(KEY, 0, 10_000, 0, 1)[0]
    x, y = (random_normals(KEY, 0, 10_000, step, 1)[0] for step in (0, 1))
    assert abs(np.corrcoef(u, np.hypot(x, y))[0, 1]) < 4.5 / np.sqrt(10_000)
    assert scipy.stats.kstest(u, "uniform").pvalue > 1e-3


def test_keys_differ():
    a, b = random_normals(1, 0, 100_000, 0, 1)[0], random_normals(2, 0, 100_000, 0, 1)[0]
    assert abs(np.mean(a * b)) < 4.5 / np.sqrt(a.size)


def test_bad_arguments():
    with pytest.raises(ValueError, match="n_paths"):
        random_normals(1, 0, -1, 0, 1)
    with pytest.raises(TypeError):
        random_normals("key", 0, 1, 0, 1)
    assert random_normals(1, 0, 0, 0, 2).shape == (2, 0)
