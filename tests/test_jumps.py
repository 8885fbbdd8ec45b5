"""Paths of chains: laws of waiting times and jumps, steady states, ends."""

import numpy as np
import pytest
import scipy.linalg
import scipy.stats
from interruption import assert_ctrl_c_is_answered

import rattling
from rattling import Generator, Grid, JumpPaths, Model

RATES = np.array([[0, 1.0, 2.0], [0.5, 0, 0.25], [3.0, 1.0, 0]])


@pytest.fixture(scope="module")
def chain():
    return Generator.from_rates(RATES)


def test_waiting_times_and_jumps(chain):
    """Exponential with the exit rate, and the jump probabilities w/q, for each state."""
    paths = chain.sample_paths(0, 20_000, rng=1)
    states, stay = paths.states[0], np.diff(paths.times[0])
    for j, q in enumerate(RATES.sum(axis=1)):
        here = states[:-1] == j
        assert scipy.stats.kstest(stay[here] * q, "expon").pvalue > 1e-3
        counts = np.bincount(states[1:][here], minlength=3)
        assert counts[j] == 0
        expected = here.sum() * RATES[j] / q
        others = np.arange(3) != j
        assert scipy.stats.chisquare(counts[others], expected[others]).pvalue > 1e-3
    assert abs(np.corrcoef(stay[:-1], stay[1:])[0, 1]) < 0.2


def test_law_at_a_time_is_the_exponential_of_the_generator(chain):
    paths = chain.sample_paths(1, 60, n_paths=20_000, rng=2)
    t = np.array([0.0, 0.3, 2.0])
    states = paths.at(t)
    assert states.shape == (20_000, 3) and np.all(states[:, 0] == 1)
    for k in (1, 2):
        p = scipy.linalg.expm(chain.matrix.toarray() * t[k])[:, 1]
        counts = np.bincount(states[:, k], minlength=3)
        assert scipy.stats.chisquare(counts, 20_000 * p).pvalue > 1e-3


def test_occupation_is_the_steady_state():
    chain = rattling.generator(Model.from_sympy("x - x**3", 0.5, variables="x"), Grid([(-2, 2)], 12))
    exact = rattling.steady_state(chain).probability
    occupation = chain.sample_paths(6, 20_000, n_paths=20, rng=3).occupation
    np.testing.assert_allclose(occupation, exact, atol=0.01)


def test_states_on_a_grid_are_neighbours():
    grid = Grid([(-2, 2), (-2, 2)], 8)
    chain = rattling.generator(Model.from_sympy(["-x + y", "-y - x"], 0.5, variables="x y"), grid)
    states = chain.sample_paths(27, 500, rng=4).states[0]
    cells = np.array(np.unravel_index(states, grid.shape))
    assert np.all(np.abs(np.diff(cells, axis=1)).sum(axis=0) == 1)


def test_ends():
    """Left for good: state -1; nowhere to go: the state stays; then times are infinite."""
    chain = Generator.from_rates([[0, 1.0, 0], [0, 0, 1.0], [0, 0, 0]], killing=[0, 1.0, 0])
    paths = chain.sample_paths(0, 5, n_paths=4000, rng=5)
    last = paths.states[:, -1]
    assert set(np.unique(last)) == {-1, 2}
    assert abs((last == -1).mean() - 0.5) < 4 * 0.5 / np.sqrt(4000)
    assert np.all(np.isfinite(paths.times[:, :3])) and np.all(np.isinf(paths.times[:, 3:]))
    end = paths.times[:, 2]
    assert np.mean(end) == pytest.approx(1 + 0.5, abs=4 * np.std(end) / np.sqrt(4000))
    np.testing.assert_array_equal(paths.at(1e9)[:, 0], last)
    assert paths.occupation.sum() == pytest.approx(1)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_same_bits(chain, threads):
    paths = chain.sample_paths(0, 5000, n_paths=50, rng=6, threads=threads)
    fewer = chain.sample_paths(np.zeros(7, dtype=int), 300, rng=6)
    np.testing.assert_array_equal(fewer.states, paths.states[:7, :301])
    np.testing.assert_array_equal(fewer.times, paths.times[:7, :301])


def test_saved(chain, tmp_path):
    paths = chain.sample_paths([0, 2], 10, rng=7)
    paths.save(tmp_path / "paths.npz")
    np.testing.assert_array_equal(JumpPaths.load(tmp_path / "paths.npz").states, paths.states)
    assert paths.n_states == 3 and list(paths.states[:, 0]) == [0, 2]


@pytest.mark.parametrize(
    "arguments, message",
    [
        (dict(start=3), "start must be between 0 and 2; that of path 0 is 3"),
        (dict(start=[0, -1]), "that of path 1 is -1"),
        (dict(start=0.5), "start must be a state or one for each path"),
        (dict(start=[]), "start must be a state or one for each path"),
        (dict(start=[0, 1], n_paths=3), "n_paths is 3, but start has 2"),
        (dict(n_jumps=-1), "n_jumps must be at least 0"),
        (dict(threads=0), "threads must be at least 1"),
    ],
)
def test_bad_arguments(chain, arguments, message):
    with pytest.raises(ValueError, match=message):
        chain.sample_paths(**({"start": 0, "n_jumps": 3} | arguments))


def test_times_that_are_not_covered(chain):
    with pytest.raises(ValueError, match="t must be between 0 and"):
        chain.sample_paths(0, 3, rng=1).at(1e6)


def test_ctrl_c(chain):
    assert_ctrl_c_is_answered(lambda: chain.sample_paths(0, 1_000_000, n_paths=60), 0.1)
