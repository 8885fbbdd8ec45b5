"""Models, generators and results handed to other packages and back."""

import ctypes

import numpy as np
import pytest

import rattling
from rattling import Grid, Model, systems


@pytest.fixture(scope="module")
def cycle():
    model = systems.stuart_landau()
    grid = systems.default_grid("stuart_landau", 48)
    return model, grid, rattling.steady_state(model, grid)


def test_drift_is_a_right_hand_side_of_solve_ivp():
    from scipy.integrate import solve_ivp

    model = systems.stuart_landau(mu=2.0, omega=3.0)
    plain = solve_ivp(lambda t, x: model.drift(x), (0, 10), [0.1, 0.0], rtol=1e-9, atol=1e-12)
    blocks = solve_ivp(lambda t, x: model.drift(x), (0, 10), [0.1, 0.0], rtol=1e-9, atol=1e-12, vectorized=True, method="BDF")
    r = np.sqrt(2 / (1 + (2 / 0.01 - 1) * np.exp(-4 * 10)))  # of the radial equation r' = r (2 - r²)
    expected = [r * np.cos(30), r * np.sin(30)]
    np.testing.assert_allclose(plain.y[:, -1], expected, atol=1e-7)
    np.testing.assert_allclose(blocks.y[:, -1], expected, atol=1e-5)


def test_a_generator_goes_to_scipy_sparse_and_back(cycle):
    from scipy import sparse
    from scipy.sparse.linalg import expm_multiply

    model, _, _ = cycle
    generator = rattling.generator(model, Grid([(-3, 3), (-3, 3)], 24))
    W = generator.matrix
    assert isinstance(W, sparse.csc_array) and np.abs(W.sum(axis=0)).max() < 1e-12 * abs(W).max()
    p0 = np.zeros(generator.n)
    p0[300] = 1
    theirs = expm_multiply(0.3 * W, p0)
    ours = rattling.evolve(generator, p0.reshape(24, 24), [0, 0.3], rtol=1e-9, atol=1e-14).probability[-1]
    np.testing.assert_allclose(ours.ravel(), theirs, atol=1e-7)
    again = rattling.Generator.from_rates(W.T)
    a, b = rattling.steady_state(again), rattling.steady_state(generator, flux="exponential")
    np.testing.assert_allclose(a.probability, b.probability.ravel(), rtol=1e-8)


@pytest.mark.parametrize("format", ["csr", "csc", "coo", "lil", "dense"])
def test_rates_in_any_format(format):
    from scipy import sparse

    rates = np.array([[0, 1.0, 0], [2.0, 0, 1.0], [0, 4.0, 0]])
    given = rates if format == "dense" else sparse.coo_array(rates).asformat(format)
    pi = rattling.steady_state(rattling.Generator.from_rates(given)).probability
    np.testing.assert_allclose(pi, np.array([8, 4, 1]) / 13, rtol=1e-14)


def test_a_steady_state_is_a_distribution(cycle):
    _, grid, state = cycle
    law = state.distribution()
    centres = grid.points()
    np.testing.assert_allclose(law.logpdf(centres), state.log_density.ravel(), atol=1e-10)
    assert law.logpdf(np.zeros((4, 5, 2))).shape == (4, 5) and law.logpdf([0.1, 0.2]).shape == ()
    assert law.logpdf([3.5, 0.0]) == -np.inf and law.pdf([3.5, 0.0]) == 0
    points = law.rvs(200_000, rng=1)
    assert points.shape == (200_000, 2) and np.abs(points).max() <= 3
    radius2 = (points**2).sum(axis=1)
    exact = np.sum(state.probability.ravel() * (centres**2).sum(axis=1)) + 2 * (6 / 48) ** 2 / 12
    assert abs(radius2.mean() - exact) < 4 * radius2.std() / np.sqrt(len(points))
    np.testing.assert_array_equal(points, law.rvs(200_000, rng=1))


def test_distribution_in_one_dimension_and_round_a_seam():
    x = np.linspace(0, 2 * np.pi, 8001)
    missing = []
    for n in (100, 200):  # of the mass, as the interpolation is of second order
        law = rattling.steady_state(systems.ring(), systems.default_grid("ring", n)).distribution()
        missing.append(1 - np.trapezoid(law.pdf(x), x))
    assert 0 < missing[1] < 1e-3 and missing[0] / missing[1] == pytest.approx(4, abs=0.3)
    seam = law.logpdf([1e-9, 2 * np.pi - 1e-9])
    assert seam.shape == (2,) and abs(seam[0] - seam[1]) < 1e-6
    flat = rattling.distributions.GridDistribution(Grid((0, 1), 4), [0, -np.inf, 0, 0])
    assert flat.logpdf([0.7, 0.9]) == pytest.approx([np.log(4 / 3)] * 2)
    assert not ((flat.rvs(1000, rng=0) > 0.25) & (flat.rvs(1000, rng=0) < 0.5)).any()


def test_distribution_refuses():
    with pytest.raises(ValueError, match="a chain has no grid"):
        rattling.steady_state(systems.follmer_kirman(10, 0.1, 1.0)).distribution()
    law = rattling.distributions.GridDistribution(Grid([(0, 1), (0, 1)], 3), np.zeros((3, 3)))
    with pytest.raises(ValueError, match=r"x must have shape \(..., 2\); got \(3,\)"):
        law.logpdf([0.0, 0.0, 0.0])
    with pytest.raises(ValueError, match=r"log_density must have shape \(4,\)"):
        rattling.distributions.GridDistribution(Grid((0, 1), 4), np.zeros(3))
    with pytest.raises(ValueError, match="finite somewhere"):
        rattling.distributions.GridDistribution(Grid((0, 1), 2), [-np.inf, -np.inf])


def test_out_to_xarray_and_pandas(cycle):
    pytest.importorskip("pandas")
    _, grid, state = cycle
    data = state.to_xarray()
    assert data.density.dims == ("x", "y") and data.attrs["residual"] == state.residual
    assert float(data.density.sel(x=1.0, y=0.0, method="nearest")) == state.density[32, 24]
    frame = data[["density", "probability"]].to_dataframe()
    assert list(frame.index.names) == ["x", "y"] and frame.probability.sum() == pytest.approx(1)


def test_a_numba_cfunc_comes_in():
    numba = pytest.importorskip("numba")
    from numba import carray, types

    pointer = types.CPointer(types.double)

    @numba.cfunc(types.intc(pointer, pointer, types.intp, types.voidptr))
    def drift(x, out, n, data):
        x, out = carray(x, (2, n)), carray(out, (2, n))
        for i in range(n):
            out[0, i] = -x[0, i] + x[1, i]
            out[1, i] = -x[1, i] - x[0, i]
        return 0

    model = Model(drift, 0.5, dim=2)
    x = np.random.default_rng(0).normal(size=(2, 100))
    np.testing.assert_array_equal(model.drift(x), [-x[0] + x[1], -x[1] - x[0]])
    assert model.kind == "pointer"


def test_a_scipy_low_level_callable_comes_in():
    from scipy import LowLevelCallable

    @ctypes.CFUNCTYPE(
        ctypes.c_int, ctypes.POINTER(ctypes.c_double), ctypes.POINTER(ctypes.c_double), ctypes.c_ssize_t, ctypes.c_void_p
    )
    def drift(x, out, n, data):
        for i in range(n):
            out[i] = -x[i]
        return 0

    model = Model(LowLevelCallable(drift, signature="int (const double *, double *, intptr_t, void *)"), 1.0, dim=1)
    np.testing.assert_array_equal(model.drift([[1.0, 2.0]]), [[-1.0, -2.0]])


def test_trajectories_of_deeptime_come_in():
    pytest.importorskip("deeptime")
    from deeptime.data import double_well_2d

    system = double_well_2d(h=1e-3, n_steps=10)
    tracks = np.stack([system.trajectory(np.zeros((1, 2)), 3000, seed=k) for k in range(20)])
    field = rattling.estimate_rattling(tracks, 1e-2, at=[[1.0, 0.0], [-1.0, 0.0]])
    # dx = -∇V dt + 0.7 dW: 2D = 0.49, R = ½ log 0.49²
    assert np.abs(field.rattling - np.log(0.49)).max() < 4 * field.stderr.max()


def test_trajectories_go_out_as_lists(cycle):
    model, grid, _ = cycle
    paths = rattling.simulate(model, [1.0, 0.0], 1e-2, 100, n_paths=3, rng=1, boundary=grid)
    listed = list(paths.x)
    assert len(listed) == 3 and all(isinstance(x, np.ndarray) and x.shape == (101, 2) for x in listed)
    frame = paths.to_xarray()
    assert frame.x.shape == (3, 101, 2)


def test_grid_distribution_says_what_it_is():
    from rattling.distributions import GridDistribution

    grid = Grid((0, 1), 4)
    assert repr(GridDistribution(grid, np.zeros(4))) == f"GridDistribution({grid!r})"
    with pytest.raises(TypeError, match="grid must be a rattling.Grid, not int"):
        GridDistribution(4, np.zeros(4))
