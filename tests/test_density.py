"""Densities from data: against brute force, exact laws, and the errors they claim."""

import numpy as np
import pytest
from scipy.special import polygamma

import rattling as rt

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
