"""Steady states where numbers are extreme or grids odd."""

import numpy as np
import pytest
import sympy as sp
from reference import steady as twin

import rattling as rt

X, Y = sp.symbols("x y", real=True)
TENSOR = [[1, sp.Rational(1, 2)], [sp.Rational(1, 2), 1]]


def exact_probability(model, grid):
    log_p = model.exact_log_density(grid)
    p = np.exp(log_p - log_p.max()) * grid.volumes
    return p / p.sum()


# --- noise that vanishes ----------------------------------------------------------------


def test_noise_that_vanishes_at_a_wall():
    """dx = (1 - x) dt + sqrt(2) x dW has p ~ x^-3 exp(-1/x): down to e^-1000 beside x = 0."""
    errors = []
    for n in (1000, 2000):
        grid = rt.Grid((0, 4), n)
        state = rt.steady_state(rt.Model.from_sympy([1 - X], X**2, variables=(X,)), grid)
        x = grid.centres(0)
        exact = -3 * np.log(x) - 1 / x
        exact -= np.log(np.exp(exact).sum() * 4 / n)
        assert state.log_density[0] < -0.3 * n
        errors.append(np.abs(state.log_density - exact)[x > 0.1].max())
    assert errors[1] < 1e-4
    assert np.log2(errors[0] / errors[1]) > 1.9


def test_region_without_noise():
    """Noise only where x > 0, drift 1 - x everywhere: q = p D is continuous, and what jumps over
    the border stays there for as long as drift needs to bring it back, a mass q(0)/f(0)."""
    inside = sp.Piecewise((1, X > 0), (0, True))
    drift = [1 - X, (1 - X) / 2]  # no current along y for p = exp(x - x^2/2)
    model = rt.Model.from_sympy(drift, inside * sp.Matrix(TENSOR), variables=(X, Y))
    nodes, weights = np.polynomial.legendre.leggauss(40)
    right = 2.5 * weights @ np.exp(2.5 * (nodes + 1) - (2.5 * (nodes + 1)) ** 2 / 2)
    errors = []
    for n in (60, 240):
        grid = rt.Grid([(-1, 5), (0, 18 / n)], (n, 3), ["reflecting", "periodic"])  # square cells
        state = rt.steady_state(rt.generator(model, grid))
        x, p = grid.centres(0), state.probability.sum(axis=1)
        assert p[x < -0.4].sum() < 1e-9
        errors.append(abs(p[x < 0].sum() - 1 / (1 + right)))
    assert errors[1] < 0.003
    assert errors[0] / errors[1] > 3.5


def test_region_that_is_never_left():
    """Neither drift nor noise in a strip: each of its cells is a class of its own."""
    quiet = sp.Piecewise((0, sp.Abs(X) < sp.Rational(1, 5)), (1, True))
    for D in (quiet * sp.eye(2), quiet * sp.Matrix(TENSOR)):
        model = rt.Model.from_sympy([0, 0], D, variables=(X, Y))
        with pytest.raises(rt.ReducibleError, match=r"80 recurrent classes, 1 cell within \[") as caught:
            rt.steady_state(model, rt.Grid([(-1, 1)] * 2, 20))
        assert [len(part) for part in caught.value.classes] == [1] * 80


# --- strong drift -------------------------------------------------------------------------


@pytest.mark.parametrize("D", [[1, 1], TENSOR])
def test_drift_of_1e8(D):
    """Into a corner everything goes to one cell; around a ring the law is uniform."""
    tensor = D if isinstance(D[0], list) else sp.diag(*D)
    grid = rt.Grid([(-1, 1)] * 2, (20, 16))
    down = rt.Model.from_sympy([-(10**8), -(10**8)], tensor, variables=(X, Y))
    state = rt.steady_state(down, grid, flux="exponential")
    assert state.residual <= 1e-10
    assert state.probability[0, 0] > 1 - 1e-5
    around = rt.Model.from_sympy([10**8, 10**8], tensor, variables=(X, Y))
    state = rt.steady_state(around, rt.Grid([(-1, 1)] * 2, (20, 16), "periodic"), flux="exponential")
    np.testing.assert_allclose(state.density, 0.25, rtol=1e-9)
    np.testing.assert_allclose(state.current, 10**8 / 4, rtol=1e-9)


@pytest.mark.parametrize("D", [[1, 1], TENSOR])
def test_vortex_of_1e8(D):
    tensor = D if isinstance(D[0], list) else sp.diag(*D)
    model = rt.Model.from_sympy([-X - 10**8 * Y, -Y + 10**8 * X], tensor, variables=(X, Y))
    state = rt.steady_state(model, rt.Grid([(-3, 3)] * 2, 31), flux="exponential")
    assert state.residual <= 1e-10
    assert np.isfinite(state.log_density).all()
    np.testing.assert_allclose(state.density, np.rot90(state.density, 2), rtol=1e-6)


# --- odd grids --------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(2, 300), (300, 2), (3, 2, 100), (2, 2), (2, 100, 3)])
def test_axes_of_two_or_three_cells(shape):
    dim = len(shape)
    model = rt.Model(lambda x: -x, 0.5, dim=dim)
    grid = rt.Grid([(-3, 3)] * dim, shape)
    state = rt.steady_state(model, grid)
    exact = np.exp(-(grid.points() ** 2).sum(axis=1)).reshape(shape) * grid.volumes
    np.testing.assert_allclose(state.probability, exact / exact.sum(), rtol=1e-8)


@pytest.mark.parametrize("shape", [2**31, (2**16, 2**16), (2**32, 2), 2**40, 2**62, (2**21,) * 3])
def test_cells_that_cannot_be_counted(shape):
    dim = len(shape) if isinstance(shape, tuple) else 2
    with pytest.raises(ValueError, match="cells"):
        rt.Grid([(0, 1)] * dim, shape)


def test_nan_at_one_cell_in_a_million():
    grid = rt.Grid([(0, 1)] * 2, 1000)
    x, y = grid.centres(0)[707], grid.centres(1)[333]

    def spoilt(p):
        return np.where((p[0] == x) & (p[1] == y), np.nan, 1.0)

    with pytest.raises(ValueError, match=r"diffusion is not finite: it is nan at x = \(0\.7075, 0\.3335\)|0\.7075, 0\.3335"):
        rt.generator(rt.Model(lambda p: 0 * p, spoilt, dim=2), grid)


# --- far tails, rare exchange -------------------------------------------------------------


@pytest.mark.parametrize("D", [[1, 1], TENSOR])
def test_log_density_down_to_minus_2000(D):
    """Right in each cell, where p itself underflows."""
    model = rt.Model.with_steady_state(X**2 + Y**2, D, variables=(X, Y))
    grid = rt.Grid([(-32, 32)] * 2, 128)
    state = rt.steady_state(model, grid)
    assert state.log_density.min() < -2000
    np.testing.assert_allclose(state.log_density, model.exact_log_density(grid) - np.log(np.pi), atol=1e-5)


def test_masses_of_wells_that_hardly_exchange():
    """A barrier of 28: rates of about 1e-12, both masses right to 1e-6 of each."""
    phi = 28 * (X**2 - 1) ** 2 + X / 2 + 2 * Y**2
    model = rt.Model.with_steady_state(phi, [1, 1], variables=(X, Y))
    grid = rt.Grid([(-1.6, 1.6), (-2.5, 2.5)], (96, 64))
    state = rt.steady_state(model, grid)
    exact = exact_probability(model, grid)
    for half in (slice(None, 48), slice(48, None)):
        assert state.probability[half].sum() == pytest.approx(exact[half].sum(), rel=1e-6)


@pytest.mark.parametrize("D", [[1, 1], TENSOR])
def test_masses_without_detailed_balance(D):
    """The same driven round: elimination in a band against the dense one, in other orders."""
    phi = 28 * (X**2 - 1) ** 2 + X / 2 + 2 * Y**2
    model = rt.Model.with_steady_state(phi, D, 1, variables=(X, Y))
    W = rt.generator(model, rt.Grid([(-1.6, 1.6), (-2.5, 2.5)], (24, 15)))
    p = rt.steady_state(W).log_density.ravel() + np.log(W.grid.volumes.ravel())
    exact = np.log(twin.gth(W.matrix.toarray()))
    assert np.ptp(exact) > 50
    np.testing.assert_allclose(p, exact, atol=1e-9)
