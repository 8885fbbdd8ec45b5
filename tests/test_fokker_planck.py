"""Steady states on grids against closed forms, exact laws and the NumPy twins."""

import copy
import dataclasses
import functools
import pickle
import re
import warnings

import numpy as np
import pytest
import sympy as sp
from interruption import assert_ctrl_c_is_answered
from reference import finite_volume as fv
from reference import log_mean as log_mean_twin
from reference import steady as twin
from scipy import integrate, linalg, sparse

import rattling as rt

X, Y, Z = sp.symbols("x y z", real=True)


def model_1d(drift, diffusion, interpretation="ito"):
    return rt.Model.from_sympy(drift, diffusion, variables=X, interpretation=interpretation)


def l1_error(state, log_density):
    """Distance from exp(log_density), normalised on the same cells."""
    weight = np.exp(log_density - log_density.max()) * state.grid.volumes
    return np.abs(state.probability - weight / weight.sum()).sum()


def one_way_flux(state, diffusion):
    """Scale of rounding in a current: the largest flux across a face one way, D p / h."""
    return (state.density * diffusion).max() / np.diff(state.grid.edges(0))[0]


# --- the generator --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "boundary"),
    [((12,), "reflecting"), ((12,), "periodic"), ((6, 5), ["periodic", "reflecting"]), ((4, 3, 5), "reflecting")],
)
def test_twin(shape, boundary):
    """Rates, steady state, currents and entropy production against plain NumPy."""
    dim = len(shape)

    def drift(x):
        return np.array([np.sin(x[k]) + 0.5 * x[(k + 1) % dim] for k in range(dim)])

    def diffusion(x):
        return np.array([0.6 + 0.4 * np.cos(x[k] + x[0]) for k in range(dim)])

    grid = rt.Grid([(-np.pi, np.pi)] * dim, shape, boundary)
    model = rt.Model(drift, diffusion, dim=dim)
    W = rt.generator(model, grid)
    dense = fv.generator(drift, diffusion, grid)
    np.testing.assert_allclose(W.matrix.toarray(), dense, rtol=1e-11, atol=1e-11)
    state = rt.steady_state(W)
    p = twin.gth(dense)
    np.testing.assert_allclose(state.probability.ravel(), p, rtol=1e-10)
    for axis in range(dim):
        np.testing.assert_allclose(
            state.face_currents[axis], twin.face_currents(dense, p, grid, axis), atol=1e-12
        )
    assert state.entropy_production == pytest.approx(twin.entropy_production(dense, p), rel=1e-9)


def test_twin_where_diffusion_vanishes():
    def drift(x):
        return -x

    def diffusion(x):
        return np.maximum(x, 0.0)

    grid = rt.Grid((-1, 1), 10)
    W = rt.generator(rt.Model(drift, diffusion, dim=1), grid)
    np.testing.assert_allclose(W.matrix.toarray(), fv.generator(drift, diffusion, grid), atol=1e-12)
    # four faces between cells of D = 0; that at 0 has no drift, the others f h / D = h
    assert W.upwind_links == 4 and W.peclet == pytest.approx(0.2)


@pytest.mark.parametrize("factor", [3.0, 30.0, 1e6])
def test_jump_of_diffusion(factor):
    """Two media without drift: p D is the same in both, to rounding, whatever the jump."""
    model = rt.Model(lambda x: 0 * x, lambda x: np.where(x[0] > 0.1, factor, 1.0), dim=1)
    state = rt.steady_state(model, rt.Grid((-1, 1), 40))
    assert np.ptp(state.log_density + np.log(model.diffusion(state.grid.points().T)[0, 0])) < 1e-9


@pytest.mark.parametrize("factor", [0.05, 20.0])
def test_jump_of_diffusion_with_drift(factor):
    """A drift through two media on a ring: of first order, for the jump's sake.
    With J = 1, q = p D solves q' = f q/D - J in each and is continuous."""
    f = 1.5
    model = rt.Model(lambda x: f + 0 * x, lambda x: np.where(np.abs(x[0]) < 0.5, factor, 1.0), dim=1)
    inner, outer = np.exp(f / factor), np.exp(f)
    c_inner = (factor - 1) * (outer - 1) / (f * (1 - inner * outer))
    c_outer = (factor - 1) / f + c_inner * inner
    errors = []
    for n in (64, 512):
        grid = rt.Grid((-1, 1), n, "periodic")
        state = rt.steady_state(model, grid, flux="exponential")
        x = grid.centres(0)
        p = np.where(
            np.abs(x) < 0.5,
            1 / f + c_inner / factor * np.exp(f * (x + 0.5) / factor),
            1 / f + c_outer * np.exp(f * ((x - 0.5) % 2)),
        )
        errors.append(np.abs(state.density - p / (p.mean() * 2)).mean() * 2)
    assert errors[0] < 0.1 and errors[1] < errors[0] / 6


def test_layer_thinner_than_a_cell():
    """The drift leads out of small D: behind the jump q = p D falls off within D/f, and the
    mass of that layer, q/f at the jump, is counted on any grid."""
    cold = 1e-3
    model = rt.Model(lambda x: 1 - x, lambda x: np.where(x[0] > 0, 1.0, cold), dim=1)

    def q(x):
        return np.exp((x - x**2 / 2) / (1.0 if x > 0 else cold))

    warm = integrate.quad(q, 0, 3)[0]
    layer = integrate.quad(q, -30 * cold, 0)[0] / cold
    for n in (60, 240):
        state = rt.steady_state(model, rt.Grid((-1, 3), n), flux="exponential")
        mass = state.probability[state.grid.centres(0) < 0].sum()
        assert mass == pytest.approx(layer / (layer + warm), rel=5 / n)


def test_kinds_of_model_agree():
    grid = rt.Grid([(-1, 1), (0, 2)], (9, 8))
    symbolic = rt.Model.from_sympy([Y - X**3, -X], [1 + X**2, sp.exp(Y)], variables=(X, Y))
    python = rt.Model(lambda x: [x[1] - x[0] ** 3, -x[0]], lambda x: np.array([1 + x[0] ** 2, np.exp(x[1])]), dim=2)
    a, b = rt.generator(symbolic, grid).matrix, rt.generator(python, grid).matrix
    np.testing.assert_allclose(a.toarray(), b.toarray(), rtol=1e-13)


# --- one dimension --------------------------------------------------------------------


@pytest.mark.parametrize(("interpretation", "alpha"), [("ito", 0), ("stratonovich", 0.5), ("anti-ito", 1)])
def test_line(interpretation, alpha):
    """p = N D^(alpha - 1) exp(int F/D) (method.md 3.1)."""
    drift, diffusion = -(X**3) + X, 1 + X**2 / 2
    grid = rt.Grid((-3, 3), 400)
    state = rt.steady_state(model_1d(drift, diffusion, interpretation), grid)
    potential = sp.lambdify(X, sp.integrate(sp.apart(drift / diffusion), X))
    x = grid.centres(0)
    exact = potential(x) - (1 - alpha) * np.log(1 + x**2 / 2)
    # zero flux: exact but for the quadrature of the integral
    difference = state.log_density - exact
    assert np.ptp(difference) < 1e-10
    assert np.abs(state.face_currents[0]).max() < 1e-13 * one_way_flux(state, 1 + x**2 / 2)


def test_gibbs_law_to_rounding():
    """p = e^(-beta U)/Z for gradient drift, to 1e-12 relative, with zero current."""
    potential = X**4 - 2 * X**2 + sp.sin(3 * X) / 4
    beta = 2.5
    grid = rt.Grid((-2.5, 2.5), 1000)
    state = rt.steady_state(model_1d(-sp.diff(potential, X), 1 / sp.Float(beta)), grid)
    U = sp.lambdify(X, potential)(grid.centres(0))
    weight = np.exp(-beta * (U - U.min()))
    np.testing.assert_allclose(state.probability, weight / weight.sum(), rtol=1e-12)
    assert np.abs(state.current).max() < 1e-13 * one_way_flux(state, 1 / beta)
    assert abs(state.entropy_production) < 1e-20  # quadratic in rounding


RING = {
    "ito": (0.03213834242, 0.50482790),
    "stratonovich": (0.04503478807, 0.70740480),
    "anti-ito": (0.06024516191, 0.94632879),
}


@pytest.mark.parametrize("interpretation", RING)
def test_ring(interpretation):
    """J and sigma of method.md 3.1, and second-order convergence to them."""
    model = model_1d(1 + 1.5 * sp.sin(X), 0.5 + 0.3 * sp.cos(X), interpretation)
    J, sigma = RING[interpretation]
    errors = []
    for n in (400, 800):
        state = rt.steady_state(model, rt.Grid((0, 2 * np.pi), n, "periodic"))
        assert state.info["method"] == "closed-form"
        assert np.ptp(state.current) < 1e-13 * one_way_flux(state, 0.8)
        errors.append((state.current.mean() / J - 1, state.entropy_production / sigma - 1))
    coarse, fine = np.array(errors)
    extrapolated = (4 * fine - coarse) / 3
    assert np.abs(extrapolated).max() < 1e-8
    assert np.abs(np.log2(coarse / fine) - 2).max() < 0.02


def exact_ring(drift, diffusion, length, n):
    """Density and current of a ring (Ito) by quadrature: D p = e^-Phi (c - J int e^Phi)."""
    phi = functools.partial(lambda x: -integrate.quad(lambda s: drift(s) / diffusion(s), 0, x, epsabs=1e-13)[0])
    x = (np.arange(n) + 0.5) * length / n
    fine = np.linspace(0, length, 20001)
    Phi = integrate.cumulative_simpson(-drift(fine) / diffusion(fine), x=fine, initial=0)
    E = integrate.cumulative_simpson(np.exp(Phi), x=fine, initial=0)
    J = (1 - np.exp(phi(length))) / E[-1]
    Dp = np.exp(-Phi) * (1 - J * E)
    total = integrate.simpson(Dp / diffusion(fine), x=fine)
    return np.interp(x, fine, Dp / diffusion(fine)) / total, J / total


def test_ring_density():
    def drift(x):
        return 1 + 1.5 * np.sin(x)

    def diffusion(x):
        return 0.5 + 0.3 * np.cos(x)

    state = rt.steady_state(
        rt.Model(lambda x: drift(x), lambda x: diffusion(x[0]), dim=1), rt.Grid((0, 2 * np.pi), 1000, "periodic")
    )
    density, J = exact_ring(drift, diffusion, 2 * np.pi, 1000)
    assert pytest.approx(RING["ito"][0], rel=1e-8) == J
    np.testing.assert_allclose(state.density, density, rtol=1e-4)


BLOWTORCH = [
    # amplitude, place, P(x>0)/P(x<0) for Ito, Stratonovich, anti-Ito (method.md 3.2)
    (4, 0.5, (0.05591, 0.06327, 0.07560)),
    (4, -0.5, (17.88, 15.81, 13.23)),
    (9, 0.5, (0.02715, 0.03287, 0.04493)),
    (0, 0.5, (1, 1, 1)),
]


@pytest.mark.parametrize(("amplitude", "place", "ratios"), BLOWTORCH)
def test_blowtorch(amplitude, place, ratios):
    temperature = sp.Rational(1, 5) * (1 + amplitude * sp.exp(-((X - place) ** 2) / (2 * sp.Float(0.15) ** 2)))
    grid = rt.Grid((-2.2, 2.2), 4000)
    x = grid.centres(0)
    for interpretation, expected in zip(RING, ratios, strict=True):
        state = rt.steady_state(model_1d(4 * X - 4 * X**3, temperature, interpretation), grid)
        ratio = state.probability[x > 0].sum() / state.probability[x < 0].sum()
        assert ratio == pytest.approx(expected, rel=3e-4)  # given to 4 digits


# --- Ornstein-Uhlenbeck and limit cycles ----------------------------------------------

OU = {
    "rotation": ([[1.0, -2.0], [2.0, 1.0]], [0.5, 0.5]),
    "two temperatures": ([[1.0, -0.5], [-0.5, 1.0]], [0.5, 2.0]),
    "three dimensions": ([[2, 1, 0], [-0.5, 1.5, 0.7], [0.2, -1, 1]], [1.0, 0.7, 0.5]),
}


def ou_exact(B, D):
    """Covariance and entropy production (method.md 3.3)."""
    B, D = np.array(B), np.diag(D)
    covariance = linalg.solve_continuous_lyapunov(B, 2 * D)
    return covariance, np.trace(B.T @ np.linalg.solve(D, B @ covariance - D))


@pytest.mark.parametrize("name", OU)
def test_ornstein_uhlenbeck(name):
    """Covariance and sigma converge at second order."""
    B, D = OU[name]
    dim = len(D)
    covariance, sigma = ou_exact(B, D)
    variables = (X, Y, Z)[:dim]
    model = rt.Model.from_sympy(list(-sp.Matrix(B) * sp.Matrix(variables)), D, variables=variables)
    half = 6 * np.sqrt(np.diag(covariance))
    errors = []
    for n in (64, 128) if dim == 2 else (20, 40):
        state = rt.steady_state(model, rt.Grid(np.column_stack([-half, half]), (n,) * dim))
        assert state.residual <= 1e-10
        points, p = state.grid.points(), state.probability.ravel()
        errors.append(
            [
                np.abs((points * p[:, None]).T @ points - covariance).max() / np.abs(covariance).max(),
                abs(state.entropy_production / sigma - 1),
            ]
        )
    coarse, fine = np.array(errors)
    assert (fine < 0.03).all()
    assert (np.log2(coarse / fine) > 1.8).all()


def test_closed_form_entropy_productions():
    """The formulas of method.md 3.3 against the general one."""
    assert ou_exact([[1.5, -2], [2, 1.5]], [0.3, 0.3])[1] == pytest.approx(2 * 2**2 / 1.5)
    k, u, t1, t2 = 1.0, 0.5, 0.5, 2.0
    assert ou_exact(*OU["two temperatures"])[1] == pytest.approx(u**2 * (t1 - t2) ** 2 / (2 * k * t1 * t2))
    B = np.array(OU["three dimensions"][0])
    D = np.array([[1, 0.2, 0], [0.2, 0.7, 0.1], [0, 0.1, 0.5]])
    covariance = linalg.solve_continuous_lyapunov(B, 2 * D)
    assert np.trace(B.T @ np.linalg.solve(D, B @ covariance - D)) == pytest.approx(2.2140155353)


def test_stuart_landau():
    """p ~ exp(-(r^4/4 - mu r^2/2)/D), sigma = omega^2 <r^2>/D."""
    mu, omega, noise = 1.0, 2.0, 0.25
    r2 = X**2 + Y**2
    model = rt.Model.from_sympy([X * (mu - r2) - omega * Y, Y * (mu - r2) + omega * X], noise, variables=(X, Y))
    errors = []
    for n in (80, 160):
        state = rt.steady_state(model, rt.Grid([(-2.4, 2.4)] * 2, (n, n)))
        r2_grid = (state.grid.points() ** 2).sum(axis=1).reshape(n, n)
        log_exact = -(r2_grid**2 / 4 - mu * r2_grid / 2) / noise
        sigma = omega**2 * (state.probability * r2_grid).sum() / noise
        errors.append([l1_error(state, log_exact), abs(state.entropy_production / sigma - 1)])
    coarse, fine = np.array(errors)
    assert (fine < 0.02).all()
    assert (np.log2(coarse / fine) > 1.9).all()


# --- systems of known steady state ----------------------------------------------------

KNOWN = {
    # phi, diagonal diffusion, circulation; strong currents in the bulk, none at the walls
    "double well": (2 * (X**2 - 1) ** 2 + 2 * Y**2 + X * Y / 2, [1, 1], 4),
    "state-dependent noise": (X**2 + Y**2 + X * Y / 2, [1 + sp.sin(X) / 2, 1 + sp.cos(Y) / 2], 3 * sp.cos(X)),
    "three dimensions": (X**2 + Y**2 + Z**2 + X**4 / 8, [1, 1 + X**2 / 8, 1], [1, 2, -1]),
}


@pytest.mark.parametrize("name", KNOWN)
def test_order_of_convergence(name):
    """Second order in the smooth regime, with strong circulation."""
    phi, diffusion, circulation = KNOWN[name]
    dim = len(diffusion)
    model = rt.Model.with_steady_state(phi, diffusion, circulation, variables=(X, Y, Z)[:dim])
    errors = []
    for n in (160, 320) if dim == 2 else (28, 56):
        grid = rt.Grid([(-3.8, 3.8)] * dim, (n,) * dim)
        state = rt.steady_state(model, grid)
        assert state.residual <= 1e-10
        errors.append(l1_error(state, model.exact_log_density(grid.points().T).reshape(grid.shape)))
    assert errors[1] < 0.02
    assert np.log2(errors[0] / errors[1]) >= 1.9


def test_tails():
    """log p where p ~ 1e-60, far below rounding of p: converges at second order.

    The circulation vanishes at the walls, so that exp(-phi) is exact in the whole box.
    """
    half = 12
    edge = (1 - X**2 / half**2) * (1 - Y**2 / half**2)
    model = rt.Model.with_steady_state(X**2 + Y**2 + X * Y / 2, [1, 1], edge / 4, variables=(X, Y))
    errors = []
    for n in (160, 320):
        grid = rt.Grid([(-half, half)] * 2, (n, n))
        state = rt.steady_state(model, grid)
        assert state.residual <= 1e-10
        exact = model.exact_log_density(grid.points().T).reshape(n, n)
        exact = exact - np.log((np.exp(exact) * grid.volumes).sum())
        near = np.abs(exact + 60 * np.log(10)) < 2
        assert near.sum() > 100
        errors.append(np.abs(state.log_density - exact)[near].max())
    assert errors[1] < 0.3  # of 138
    assert np.log2(errors[0] / errors[1]) >= 1.9


@pytest.mark.parametrize("gamma", [-1.0, 0.5, 2.0])
def test_prescribed_gamma(gamma):
    """phi = gamma R exactly: the law holds with the gamma that was built in."""
    diffusion = sp.exp(sp.sin(X) + sp.cos(Y) / 2)
    rattling = sp.log(2 * diffusion)
    model = rt.Model.with_steady_state(gamma * rattling, [diffusion, diffusion], sp.sin(X + Y), variables=(X, Y))
    grid = rt.Grid([(0, 2 * np.pi)] * 2, (64, 64), "periodic")
    state = rt.steady_state(model, grid)
    result = rt.typicality(state.log_density, rt.exact_rattling(model, grid), volume=grid.volumes)
    assert result.gamma == pytest.approx(gamma, abs=0.01)
    assert result.kl_explained > 0.999


EXACT_GAMMA = [
    # name, dim, diffusion, interpretation, gamma (method.md 3.4)
    ("isotropic Ito", 1, [2 + sp.sin(X)], "ito", 2.0),
    ("isotropic Ito", 2, [2 + sp.sin(X) * sp.cos(Y)] * 2, "ito", 1.0),
    ("isotropic Ito", 3, [2 + sp.sin(X) * sp.cos(Y) + sp.sin(Z) / 2] * 3, "ito", 2 / 3),
    ("product Ito", 2, [2 + sp.sin(X), 2 + sp.cos(Y)], "ito", 2.0),
    ("anti-Ito", 2, [2 + sp.sin(X), 2 + sp.cos(Y)], "anti-ito", 0.0),
]


@pytest.mark.parametrize(("name", "dim", "diffusion", "interpretation", "gamma"), EXACT_GAMMA)
def test_exact_gamma(name, dim, diffusion, interpretation, gamma):
    """Noise without drift: p ~ 1/D (gamma = 2/d), products (2), anti-Ito (0)."""
    model = rt.Model.from_sympy([0] * dim, diffusion, variables=(X, Y, Z)[:dim], interpretation=interpretation)
    grid = rt.Grid([(0, 2 * np.pi)] * dim, (24,) * dim, "periodic")
    state = rt.steady_state(model, grid)
    result = rt.typicality(state.log_density, rt.exact_rattling(model, grid))
    assert result.gamma == pytest.approx(gamma, abs=1e-8)


def test_brownian_motion_on_a_metric():
    """Brownian motion on the metric C^-1 has gamma = 1, in any coordinates."""
    C = [2 + sp.sin(X), 3 + sp.cos(Y) + sp.sin(X)]
    root = sp.sqrt(C[0] * C[1])  # sqrt(det C)
    drift = [root * sp.diff(C[k] / root, v) / 2 for k, v in enumerate((X, Y))]
    model = rt.Model.from_sympy(drift, [c / 2 for c in C], variables=(X, Y))
    grid = rt.Grid([(0, 2 * np.pi)] * 2, (64, 64), "periodic")
    state = rt.steady_state(model, grid)
    result = rt.typicality(state.log_density, rt.exact_rattling(model, grid))
    assert result.gamma == pytest.approx(1, abs=5e-3)
    assert result.correlation == pytest.approx(1, abs=1e-4)


# --- the log-mean flux ------------------------------------------------------------------


def well(circulation, diffusion=1, phi=2 * (X**2 - 1) ** 2 + 2 * Y**2 + X * Y / 2):
    """Exact p = exp(-phi) with a current of any strength."""
    return rt.Model.with_steady_state(phi, [diffusion, diffusion], circulation, variables=(X, Y))


def test_log_mean_exit_rates_are_those_of_its_jump_chain():
    """p is proportional to psi / q, psi the law of the jumps of the chain that was solved."""
    grid = rt.Grid([(-2, 2)] * 2, (16, 16))
    state = rt.steady_state(well(6), grid, flux="log-mean", threads=1)
    chain = rt.generator(well(6), grid)._core
    start, source, rate = chain.steady(1e-10, 0, None, True, 1, None)[3].rows()
    W = sparse.csr_array((rate, source, start)).toarray()
    psi = twin.gth(W / W.sum(axis=0))
    law = psi / state.exit_rates.ravel()
    np.testing.assert_allclose(state.probability.ravel(), law / law.sum(), rtol=1e-10)
    np.testing.assert_allclose(rt.local_global(state).jump_chain.ravel(), psi, rtol=1e-10)


def test_error_is_estimated_from_one_flux():
    """Where the log-mean flux settles on the coarser grid alone, that grid's other answer is taken."""
    steep = well(200, phi=16 * (X**2 - 1) ** 2 + 16 * Y**2 + 4 * X * Y)
    grid, coarser = (rt.Grid([(-2.2, 2.2)] * 2, (n, n)) for n in (24, 12))
    with pytest.warns(rt.AccuracyWarning, match="error is about 0.18"):
        fallen_back, exponential = (rt.steady_state(steep, grid, flux=flux) for flux in ("auto", "exponential"))
    assert fallen_back.info["flux"] == "exponential"
    assert rt.steady_state(steep, coarser).info["flux"] == "log-mean"
    assert fallen_back.discretisation_error == exponential.discretisation_error


def test_error_of_a_flux_that_settles_on_the_finest_grid_alone():
    grid = rt.Grid([(-2.2, 2.2)] * 2, (64, 64))
    with pytest.warns(rt.AccuracyWarning, match="error is well below"):
        state = rt.steady_state(well(50), grid)
    assert state.info["flux"] == "log-mean"
    assert state.info["settled_late"]
    error = l1_error(state, well(50).exact_log_density(grid))
    assert error < 0.1 * state.discretisation_error


@pytest.mark.parametrize("stretch", [0.0, 0.6])
def test_log_mean_twin(stretch):
    model = rt.Model.from_sympy([-X + 6 * Y, -Y - 6 * X], 1, variables=(X, Y))
    s = np.linspace(-1, 1, 13)
    grid = rt.Grid.from_edges([s * (2 - stretch + stretch * s**2)] * 2, "reflecting")
    W = rt.generator(model, grid)
    free = rt.generator(rt.Model.from_sympy([0, 0], 1, variables=(X, Y)), grid)
    expected = log_mean_twin.solve(W.matrix.toarray(), free.matrix.toarray())
    state = rt.steady_state(model, grid, flux="log-mean")
    assert state.info["flux"] == "log-mean"
    # rounds end when one changes less than 1 % of what all have changed
    np.testing.assert_allclose(state.probability.ravel(), expected, atol=0.02 * state.info["flux_gain"])
    p = state.probability.ravel()
    own = log_mean_twin.reweigh(W.matrix.toarray(), free.matrix.toarray(), p, 1e-4 * p.max())
    assert state.info["flux_defect"] == pytest.approx(np.abs(own @ p).sum() / (-own.diagonal() @ p), rel=1e-6)
    exponential = rt.steady_state(W)
    assert np.abs(exponential.probability.ravel() - expected).sum() > 20 * np.abs(
        state.probability.ravel() - expected
    ).sum()


@pytest.mark.parametrize("circulation", [1, 5, 20])
@pytest.mark.parametrize("diffusion", [1, sp.exp(sp.Rational(23, 20) * (sp.sin(2 * X) + sp.sin(3 * Y)))])
def test_log_mean_accuracy(circulation, diffusion):
    """Second order and far ahead of the exponential flux where the drift is strong."""
    model = well(circulation, diffusion)
    errors, estimates = [], []
    for n in (64, 128):
        grid = rt.Grid([(-2.2, 2.2)] * 2, (n, n))
        state = rt.steady_state(model, grid)
        assert state.info["flux"] == "log-mean"
        assert (state.probability > 0).all()
        assert state.residual <= 1e-10
        errors.append(l1_error(state, model.exact_log_density(grid.points().T).reshape(n, n)))
        estimates.append(state.discretisation_error)
    exponential = rt.steady_state(model, grid, flux="exponential")
    assert exponential.info["flux"] == "exponential"
    error = l1_error(exponential, model.exact_log_density(grid.points().T).reshape(n, n))
    assert np.log2(errors[0] / errors[1]) >= 1.9
    assert errors[1] < error / (2 if circulation == 1 else 8 if circulation == 5 else 20)
    assert errors[1] / 2 < estimates[1] < 3 * errors[1]
    assert exponential.discretisation_error > error / 2


def test_log_mean_current_has_no_divergence():
    grid = rt.Grid([(-2.2, 2.2)] * 2, (48, 48))
    state = rt.steady_state(well(20), grid, flux="log-mean")
    Jx, Jy = state.face_currents
    divergence = np.diff(Jx, axis=0) + np.diff(Jy, axis=1)
    assert np.abs(divergence).max() < 1e-9 * np.abs(Jx).max()
    assert state.entropy_production > 0


def test_log_mean_and_generators():
    grid = rt.Grid([(-2.2, 2.2)] * 2, (48, 48))
    W = rt.generator(well(5), grid)
    assert rt.steady_state(W).info["flux"] == "exponential"
    with pytest.raises(ValueError, match="flux='log-mean' needs a model and a grid"):
        rt.steady_state(W, flux="log-mean")
    with pytest.raises(ValueError, match="leave out initial"):
        rt.steady_state(well(5), grid, flux="log-mean", initial=np.zeros((48, 48)))


def test_coarse_grids_warn():
    grid = rt.Grid([(-2.2, 2.2)] * 2, (32, 32))
    with pytest.warns(rt.AccuracyWarning, match=r"discretisation error is about .* shape \(\d+, \d+\) should") as seen:
        rt.steady_state(well(20), grid, flux="exponential")
    assert seen[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error", rt.AccuracyWarning)
        rt.steady_state(well(1), grid)


@pytest.mark.parametrize(("flux", "order"), [("exponential", 1), ("auto", 2)])
def test_the_grid_that_is_recommended_does(flux, order):
    """Near the promised error of 0.05, seen from where errors are small enough to be followed."""
    grid = rt.Grid([(-2.2, 2.2)] * 2, 24 if order == 2 else 40)
    with pytest.warns(rt.AccuracyWarning) as seen:
        state = rt.steady_state(well(5), grid, flux=flux)
    assert state.info["order"] == order
    text = str(seen[0].message)
    assert ("or the default flux" in text) == (order == 1)
    finer = re.search(r"shape \((\d+), \d+\) should", text)[1]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rt.AccuracyWarning)
        state = rt.steady_state(well(5), rt.Grid(grid.bounds, int(finer)), flux=flux)
    assert state.discretisation_error < 1.5 * 0.05


# --- robustness -----------------------------------------------------------------------


@pytest.mark.parametrize("steepness", [20, 100, 400])
@pytest.mark.parametrize("n", [20, 31, 60])
def test_steep(steepness, n):
    """p down to e^-2000 on grids that are much too coarse: still solved in every cell."""
    model = rt.Model.from_sympy(
        [-steepness * (X + Y / 2), -steepness * (Y - X / 2)], 1, variables=(X, Y)
    )
    grid = rt.Grid([(-3, 3)] * 2, (n, n))
    W = rt.generator(model, grid)
    states = [rt.steady_state(W, method=m) for m in ("auto", "krylov")]
    np.testing.assert_allclose(states[0].log_density, states[1].log_density, rtol=1e-10)
    assert max(s.residual for s in states) <= 1e-10
    assert states[0].log_density.min() < -4 * steepness


@pytest.mark.parametrize("n", [12, 20])
@pytest.mark.parametrize("seed", range(3))
def test_random_media(n, seed):
    """Isotropic noise without drift on a torus, p ~ 1/D exactly. Here the linear solver's
    answers carry large constants, which steps in p must not see."""
    from rattling import systems

    model = systems.random_diffusion(3, amplitude=0.7, rng=seed)
    grid = rt.Grid([(0, 2 * np.pi)] * 3, n, "periodic")
    state = rt.steady_state(rt.generator(model, grid), method="krylov")
    D = model.diffusion(grid.points().T)[0, 0].reshape(grid.shape)
    assert np.ptp(state.log_density + np.log(D)) < 1e-6
    assert state.info["warm_steps"] < 20


def test_two_disconnected_regions():
    """No drift, no noise in the middle third: two classes, named by their boxes."""
    wall = sp.Piecewise((1, sp.Abs(X) > sp.Rational(1, 3)), (0, True))
    with pytest.raises(rt.ReducibleError, match=r"cells? within \[") as caught:
        rt.steady_state(model_1d(0, wall), rt.Grid((-1, 1), 30))
    assert len(caught.value.classes) > 1


def test_convergence_error_carries_the_iterate():
    """log p ~ -2e4 has rounding errors of 4e-12: a residual of 1e-13 is out of reach."""
    W = rt.generator(model_1d(-(4000 * X), 1), rt.Grid((-3, 3), 400))
    with pytest.raises(
        rt.ConvergenceError, match=r"largest relative residual is .* above rtol = 1e-13, at the cell at"
    ) as caught:
        rt.steady_state(W, rtol=1e-13, method="closed-form")
    error = caught.value
    assert error.log_density.shape == (400,)
    assert 1e-13 < error.residual == error.info["residual"] < 1e-10
    assert error.info["method"] == "closed-form"
    assert pickle.loads(pickle.dumps(error)).residual == error.residual


@pytest.mark.parametrize("kind", ["symbols", "function", "tensor", "ring"])
def test_threads_change_nothing(kind):
    """The same bits for any number, on grids long enough to be shared among them."""
    x, y = sp.symbols("x y")
    drift, boundary = [2 * y - x**3, x - y - 2 * x], "reflecting"
    if kind == "function":
        model = rt.Model(lambda x: np.array([2 * x[1] - x[0] ** 3, -x[0] - x[1]]), [1.0, 0.5])
    elif kind == "tensor":
        model = rt.Model.from_sympy(drift, [[1, sp.Rational(1, 3)], [sp.Rational(1, 3), 1]], variables=(x, y))
    elif kind == "ring":
        boundary = "periodic"
        model = rt.Model.from_sympy([sp.sin(x) + 1, sp.cos(x) - sp.sin(y)], 1, variables=(x, y))
    else:
        model = rt.Model.from_sympy(drift, [1 + x**2 / 9, 1], variables=(x, y))
    grid = rt.Grid([(-np.pi, np.pi)] * 2, (264, 258), boundary)
    one, three = (rt.steady_state(model, grid, threads=n) for n in (1, 3))
    assert np.array_equal(one.log_density, three.log_density)
    assert np.array_equal(one.entropy_production_field, three.entropy_production_field)
    assert all(map(np.array_equal, one.face_currents, three.face_currents))
    assert one.discretisation_error == three.discretisation_error
    assert {k: v for k, v in one.info.items() if k != "seconds"} == {
        k: v for k, v in three.info.items() if k != "seconds"
    }


def test_interrupt():
    """Ctrl-C is answered within 0.1 s and the next call works."""

    model = rt.Model.with_steady_state(2 * (X**2 - 1) ** 2 + 2 * Y**2, [1, 1], 20, variables=(X, Y))
    W = rt.generator(model, rt.Grid([(-2.2, 2.2)] * 2, (512, 512)))
    for delay in (0.05, 0.3):
        assert_ctrl_c_is_answered(lambda: rt.steady_state(W), delay)
    small = rt.steady_state(rt.generator(model, rt.Grid([(-2.2, 2.2)] * 2, (32, 32))))
    assert small.residual <= 1e-10


@pytest.mark.parametrize("killing", [None, np.full(1500, 0.1)], ids=["steady", "quasi-stationary"])
def test_interrupt_of_elimination(killing):
    W = rt.Generator.from_rates(np.random.default_rng(1).exponential(size=(1500, 1500)), killing)
    assert_ctrl_c_is_answered(lambda: rt.steady_state(W, method="direct"), 0.3)


def test_progress():
    seen = []
    model = rt.Model.from_sympy([-X + 9 * Y, -Y - 9 * X], 1, variables=(X, Y))
    rt.steady_state(model, rt.Grid([(-4, 4)] * 2, (128, 128)), progress=seen.append)
    assert seen
    assert all(0 <= done <= 1 for done in seen)
    with pytest.raises(ZeroDivisionError):
        rt.steady_state(model, rt.Grid([(-4, 4)] * 2, (64, 64)), progress=lambda done: 1 / 0)
    with pytest.raises(TypeError, match="progress must be"):
        rt.steady_state(model, rt.Grid([(-4, 4)] * 2, (64, 64)), progress="yes")


# --- bad input ------------------------------------------------------------------------

LINE = functools.partial(model_1d, -X, 1)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"method": "magic"}, ValueError, "method must be one of 'auto', 'krylov', 'direct', 'closed-form'; got 'magic'"),
        ({"flux": "upwind"}, ValueError, "flux must be one of"),
        ({"rtol": 0}, ValueError, "rtol must be at least 1e-13 and below 1; got 0"),
        ({"rtol": np.nan}, ValueError, "rtol"),
        ({"threads": 0}, ValueError, "threads must be at least 1; got 0"),
        ({"initial": np.zeros(3)}, ValueError, r"initial must have shape \(10,\); got \(3,\)"),
        ({"initial": np.full(10, np.nan)}, ValueError, "initial must be finite"),
        ({"grid": None}, TypeError, "grid is needed with a model"),
        ({"grid": (0, 1)}, TypeError, "grid must be a rattling.Grid, not tuple"),
        ({"grid": rt.Grid([(0, 1)] * 2, 4)}, ValueError, r"the model has 1 dimension\(s\), but the grid has 2"),
        ({"model": lambda x: x}, TypeError, "model must be a rattling.Model, not function"),
    ],
)
def test_bad_arguments(arguments, error, message):
    arguments = {"model": LINE(), "grid": rt.Grid((-1, 1), 10)} | arguments
    with pytest.raises(error, match=message):
        rt.steady_state(**arguments)


def test_grid_twice():
    grid = rt.Grid((-1, 1), 10)
    with pytest.raises(TypeError, match="grid must be left out with a Generator"):
        rt.steady_state(rt.generator(LINE(), grid), grid)


def test_bad_models():
    grid = rt.Grid([(-1, 1)] * 2, 20)
    nan_inside = rt.Model(lambda x: np.where(np.abs(x - 0.5) < 0.2, np.nan, 0 * x), 1.0, dim=2)
    with pytest.raises(ValueError, match=r"drift.*nan at x = \("):
        rt.steady_state(nan_inside, grid)
    with pytest.raises(ValueError, match=r"diffusion.*negative"):
        rt.steady_state(rt.Model(lambda x: -x, lambda x: x, dim=2), grid)
    with pytest.raises(ZeroDivisionError, match="mine"):
        rt.steady_state(rt.Model(raise_mine, 1.0, dim=2), grid)


def raise_mine(x):
    raise ZeroDivisionError("mine")


@pytest.mark.parametrize("circulation", [100, 120])
def test_log_mean_that_does_not_settle_is_refused(circulation):
    grid = rt.Grid([(-2.2, 2.2)] * 2, 10)
    with pytest.raises(rt.ConvergenceError, match="log-mean flux did not settle .*flux='auto'") as caught:
        rt.steady_state(well(circulation), grid, flux="log-mean")
    assert caught.value.log_density.shape == (10, 10) and caught.value.info["flux"] == "exponential"
    assert rt.steady_state(well(circulation), grid).info["flux"] == "exponential"


def test_tensor_whose_divergence_is_not_known():
    """floor(x) has no derivative that the tape knows; on a grid none is needed."""
    half = sp.Rational(1, 2)
    model = rt.Model.from_sympy([-X, -Y], [[2 + sp.Abs(sp.floor(X)), half], [half, 2]], variables=(X, Y))
    assert rt.steady_state(model, rt.Grid([(-2, 2)] * 2, 12)).residual < 1e-12


def test_chains_have_no_current():
    assert rt.steady_state(rt.Generator.from_rates([[0, 1], [1, 0]])).current is None


def test_currents_and_entropy_production_are_computed_when_asked_for():
    """The same as from the chain; in copies and files, too; and the chain is let go afterwards."""
    x, y = sp.symbols("x y")
    model = rt.Model.from_sympy([-x + 2 * y, -y - 2 * x], 1, variables=(x, y))
    W = rt.generator(model, rt.Grid([(-3, 3)] * 2, (12, 10)))
    state, other = rt.steady_state(W), rt.steady_state(W)
    log_p = np.log(state.probability).ravel()
    assert not {"entropy_production", "entropy_production_field", "face_currents"} & set(vars(state))
    assert state.entropy_production == pytest.approx(W._core.entropy_production(log_p).sum())
    assert state.entropy_production_field.sum() == pytest.approx(state.entropy_production)
    assert "_source" in vars(state)
    for ours, theirs in zip(state.face_currents, W._core.face_currents(log_p), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-15)
    assert "_source" not in vars(state)
    for copied in (pickle.loads(pickle.dumps(other)), copy.deepcopy(other), dataclasses.replace(other, residual=0.0)):
        assert "_source" not in vars(copied)
        assert copied.entropy_production == state.entropy_production
        assert all(map(np.array_equal, copied.face_currents, state.face_currents))
    with pytest.raises(AttributeError, match="'SteadyState' object has no attribute 'entropy'"):
        rt.steady_state(W).entropy  # noqa: B018  looking at it is what raises
    ring = rt.steady_state(rt.Generator.from_rates([[0, 1, 2], [2, 0, 1], [1, 2, 0]]))
    assert ring.face_currents is None
    assert ring.entropy_production == pytest.approx(np.log(2))


def test_rates_beyond_floating_point_numbers_are_named():
    rng = np.random.default_rng(0)
    rates = np.zeros((200, 200))
    for jump in (1, 7, 50):
        rates[np.arange(200), (np.arange(200) + jump) % 200] = np.exp(rng.uniform(-690, 690, 200))
    with pytest.raises(rt.ConvergenceError, match=r"residual is nan.* try rates that span less than the \d{3} decades"):
        rt.steady_state(rt.Generator.from_rates(rates))
