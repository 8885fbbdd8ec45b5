"""The local-global decomposition: the identity, the bound, clocks, known chains."""

import warnings

import numpy as np
import pytest
from reference import decomposition as twin

import rattling as rt
from rattling import systems


def random_chain(seed, n=60, sigma=1.5):
    rng = np.random.default_rng(seed)
    rates = rng.lognormal(0, sigma, (n, n)) * (rng.random((n, n)) < 0.2)
    rates[np.arange(n), (np.arange(n) + 1) % n] = rng.lognormal(0, sigma, n)
    return rt.Generator.from_rates(rates)


def assert_identity(parts):
    """From the numbers themselves, not from what the result says of itself."""
    gamma = 1 + parts.r * parts.rho_hat
    rho = gamma / np.sqrt(1 + parts.r**2 + 2 * parts.r * parts.rho_hat)
    assert abs(parts.gamma - gamma) < 1e-12
    assert abs(parts.rho - rho) < 1e-12
    assert parts.identity_error < 1e-12
    if parts.r < 1:
        assert parts.rho >= parts.rho_bound - 1e-12
        assert parts.rho_bound == pytest.approx(np.sqrt(1 - parts.r**2), abs=1e-15)
    else:
        assert np.isnan(parts.rho_bound)


@pytest.mark.parametrize("seed", range(20))
def test_identity_on_random_chains(seed):
    chain = random_chain(seed, sigma=(0.3, 1.0, 2.0)[seed % 3])
    for weights in ("uniform", "probability"):
        assert_identity(rt.local_global(chain, weights=weights))


GRIDS = [
    (systems.ring(), rt.Grid([(0, 2 * np.pi)], 100, "periodic")),
    (systems.hot_spot_double_well(), rt.Grid([(-2.2, 2.2)], 200)),
    (systems.vortex_double_well(), rt.Grid([(-2, 2)] * 2, (30, 34))),
    (systems.vortex_double_well(gamma=-1.0, circulation=5.0), rt.Grid([(-2, 2)] * 2, (24, 20))),
    (
        rt.Model.from_sympy(["sin(y)", "cos(z)", "sin(x)"], ["exp(sin(x))", "exp(cos(y)/2)", "2+sin(z)"], variables="x y z"),
        rt.Grid([(0, 2 * np.pi)] * 3, 10, "periodic"),
    ),
]


@pytest.mark.parametrize("case", range(len(GRIDS)))
@pytest.mark.parametrize("clock", ["exit-rate", "trace", "determinant"])
def test_identity_on_grids(case, clock):
    parts = rt.local_global(rt.generator(*GRIDS[case]), clock)
    assert_identity(parts)
    assert parts.jump_chain.sum() == pytest.approx(1, abs=1e-13)


@pytest.mark.parametrize("weights", ["uniform", "probability", "array"])
def test_twin(weights):
    chain = random_chain(3)
    state = rt.steady_state(chain)
    w = {"uniform": None, "probability": state.probability, "array": np.arange(60.0)}[weights]
    parts = rt.local_global(state, weights=w if weights == "array" else weights)
    expected = twin.local_global(state.log_density, np.log(state.exit_rates), w)
    np.testing.assert_allclose([parts.r, parts.rho_hat, parts.rho, parts.gamma], expected, rtol=1e-11)


def test_the_jump_chain_is_stationary():
    """psi P = psi, with the jump probabilities P_xy = w_xy / q_x."""
    chain = random_chain(5)
    psi = rt.local_global(chain).jump_chain
    flow = chain.matrix.toarray() + np.diag(chain.exit_rates)
    np.testing.assert_allclose(flow / chain.exit_rates @ psi, psi, rtol=1e-9)


def test_a_clock_changes_time_only():
    """psi of the clock tr D is the steady state of f / tr D, D / tr D."""
    x = "exp(sin(x))"
    grid = rt.Grid([(0, 2 * np.pi)], 800, "periodic")
    fast = rt.Model.from_sympy("1 + cos(x)", x, variables="x")
    slow = rt.Model.from_sympy(f"(1 + cos(x))/({x})", 1, variables="x")
    psi = rt.local_global(rt.generator(fast, grid), "trace").jump_chain
    np.testing.assert_allclose(psi, rt.steady_state(slow, grid).probability, rtol=1e-4)


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_noise_alone_gives_two_over_d(dim):
    """Isotropic Ito noise without drift: p ~ 1/D, psi uniform, gamma = 2/d on R."""
    noise = " + ".join(["3", *(f"sin({v})" for v in "xyz"[:dim])])
    model = rt.Model.from_sympy([0] * dim, noise, variables=list("xyz"[:dim]))
    chain = rt.generator(model, rt.Grid([(0, 2 * np.pi)] * dim, (200, 40, 16)[dim - 1], "periodic"))
    parts = rt.local_global(chain, "determinant")
    assert parts.gamma_rattling == pytest.approx(2 / dim, abs=1e-6)
    assert parts.rho == pytest.approx(1, abs=1e-6)
    assert parts.r < 1e-6


@pytest.mark.parametrize("clock", ["exit-rate", "trace", "determinant"])
def test_full_tensors(clock):
    """The identity, and ψ as the steady state of f/λ, D/λ."""
    tensor = [["2 + sin(x)", "cos(y)/2"], ["cos(y)/2", "1 + sin(x + y)/3"]]
    grid = rt.Grid([(0, 2 * np.pi)] * 2, 48, "periodic")
    parts = rt.local_global(rt.generator(rt.Model.from_sympy(["sin(y)", "1"], tensor, variables="x y"), grid), clock)
    assert parts.identity_error < 1e-12 and 0 < parts.rho < 1
    rate = {"trace": "(3 + sin(x) + sin(x + y)/3)", "determinant": "sqrt((2 + sin(x))*(1 + sin(x + y)/3) - cos(y)**2/4)"}
    if clock in rate:
        slow = [[f"({d})/{rate[clock]}" for d in row] for row in tensor]
        drift = [f"sin(y)/{rate[clock]}", f"1/{rate[clock]}"]
        psi = rt.steady_state(rt.Model.from_sympy(drift, slow, variables="x y"), grid).probability
        np.testing.assert_allclose(parts.jump_chain, psi, rtol=0.01)


def test_reversible_chains_sit_on_the_bound():
    """w_xy = exp(W_x - B_xy), B symmetric: pi ~ exp(-W), and rho is close to the bound."""
    rng = np.random.default_rng(0)
    n = 200
    well, barrier = rng.normal(size=n), rng.normal(size=(n, n))
    chain = rt.Generator.from_rates(np.exp(well[:, None] - (barrier + barrier.T) / 2))
    parts = rt.local_global(chain)
    assert parts.rho_bound <= parts.rho < parts.rho_bound + 0.02


def test_the_exit_rate_is_the_trace_on_a_fine_grid():
    model, grid = systems.vortex_double_well(), rt.Grid([(-2, 2)] * 2, 150)
    chain = rt.generator(model, grid)
    state = rt.steady_state(chain, rtol=1e-8)
    inner = np.s_[1:-1, 1:-1]
    ratio = (rt.local_global(state).clock_rates / rt.local_global(state, "trace", model=model).clock_rates)[inner]
    np.testing.assert_allclose(ratio / ratio.mean(), 1, atol=0.02)


# --- undefined, left out, refused -------------------------------------------------------------


def test_constant_clock():
    ring = np.roll(np.eye(5), 1, axis=1) * 2
    parts = rt.local_global(rt.Generator.from_rates(ring))
    assert np.isnan([parts.r, parts.rho, parts.gamma, parts.rho_hat]).all()
    assert parts.reason == "the clock is constant"
    assert "the clock is constant" in parts.summary()


def test_constant_jump_chain():
    """Rates that depend on where one leaves from only: the law is exact."""
    rates = np.outer([1.0, 2.0, 4.0, 8.0], np.ones(4))
    parts = rt.local_global(rt.Generator.from_rates(rates))
    assert parts.r < 1e-9
    assert parts.rho == pytest.approx(1, abs=1e-9)
    assert parts.gamma == pytest.approx(1, abs=1e-9)


def test_constant_p():
    """Symmetric rates: pi is uniform whatever the clock says."""
    a = np.random.default_rng(0).random((6, 6))
    parts = rt.local_global(rt.steady_state(rt.Generator.from_rates(a + a.T), method="direct"))
    assert parts.r == pytest.approx(1, abs=1e-12)
    assert parts.rho_hat == pytest.approx(-1, abs=1e-12)
    assert parts.gamma == pytest.approx(0, abs=1e-12)


def test_transient_states_are_left_out():
    rates = np.array([[0, 1.0, 0, 0], [2, 0, 3, 0], [0, 1, 0, 0], [1, 1, 1, 0]])
    parts = rt.local_global(rt.Generator.from_rates(rates))
    assert (parts.n_used, parts.n_excluded) == (3, 1)
    assert np.isnan(parts.jump_chain[3])
    assert_identity(parts)


def test_given_clock():
    state = rt.steady_state(random_chain(1))
    parts = rt.local_global(state, state.exit_rates)
    assert parts.clock == "given"
    assert parts.rho == rt.local_global(state).rho


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"clock": "wall"}, ValueError, r"clock must be one of 'exit-rate', .* got 'wall'"),
        ({"clock": "trace"}, ValueError, "a chain without a grid"),
        ({"clock": [1.0]}, ValueError, r"clock must have the shape of the states, \(60,\); got \(1,\)"),
        ({"clock": -np.ones(60)}, ValueError, r"clock must be finite, not negative .* it is -1 at index \(0,\)"),
        ({"clock": 1j * np.ones(60)}, TypeError, "clock must be an array of real numbers"),
        ({"weights": "mass"}, ValueError, "weights must be 'uniform'"),
        ({"weights": np.zeros(60)}, ValueError, "all are 0"),
    ],
)
def test_bad_input(arguments, error, message):
    with pytest.raises(error, match=message):
        rt.local_global(random_chain(0), **arguments)


def test_bad_source():
    with pytest.raises(TypeError, match="must be a Generator or a SteadyState, not int"):
        rt.local_global(3)
    state = rt.steady_state(systems.ring(), systems.default_grid("ring", 50))
    with pytest.raises(ValueError, match="model= with a steady state"):
        rt.local_global(state, "determinant")
    with pytest.raises(TypeError, match=r"model must be a rattling\.Model"):
        rt.local_global(state, "determinant", model=3)


def test_result(tmp_path):
    import matplotlib

    matplotlib.use("Agg")
    chain = rt.generator(systems.vortex_double_well(), systems.default_grid("vortex_double_well", 20))
    parts = rt.local_global(chain, "determinant")
    parts.save(tmp_path / "parts.npz")
    again = rt.LocalGlobal.load(tmp_path / "parts.npz")
    np.testing.assert_array_equal(again.jump_chain, parts.jump_chain)
    assert again.rho == parts.rho and again.grid == parts.grid
    assert set(parts.to_xarray().data_vars) == {"jump_chain", "clock_rates", "log_p"}
    assert parts.plot().get_ylabel()
    matplotlib.pyplot.close("all")
    assert "rho_hat" in parts.summary() and "determinant" in parts.summary()


def test_walls_are_no_property_of_the_model():
    """No drift: p ∝ 1/D, so ρ = 1 by the model's own clock; exit rates lack links at the walls."""
    chain = rt.generator(rt.Model.from_sympy("0", "1 + x**2/4", variables="x"), rt.Grid((-1, 1), 40))
    assert rt.local_global(chain, "trace").rho == pytest.approx(1, abs=1e-9)
    with pytest.warns(rt.AccuracyWarning, match="lack the links through it.*clock='trace'"):
        assert rt.local_global(chain).rho < 0.5
    ring = rt.generator(rt.Model.from_sympy("0", "1 + cos(x)/4", variables="x"), rt.Grid((0, 2 * np.pi), 40, "periodic"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert rt.local_global(ring).rho == pytest.approx(1, abs=1e-3)


def test_quasi_stationary_laws_have_no_jump_chain():
    chain = rt.generator(rt.Model.from_sympy("0", "1", variables="x"), rt.Grid((-1, 1), 40, "absorbing"))
    with pytest.raises(ValueError, match="needs a steady state: .* quasi-stationary"):
        rt.local_global(chain)
