"""The library of systems: against their stationary formulas."""

import pickle

import numpy as np
import pytest
import scipy.linalg
import scipy.stats
import sympy

import rattling
from rattling import systems

CHAINS = ["run_and_tumble", "birth_death", "follmer_kirman", "two_particles_on_ring"]
RANDOM = ["random_diffusion", "random_force", "random_rates", "sk_spins", "wells_barriers_forces"]
MAPS = ["bouncing_ball", "kicked_rotor", "web_map"]
MODELS = [name for name in systems.__all__ if name not in ["default_grid", "list", *CHAINS, *RANDOM, *MAPS]]
INERTIAL = ["active_ornstein_uhlenbeck", "underdamped"]  # noise acts on v alone


def symbols(model):
    return sympy.symbols(model.variables, real=True)


def current(model, p):
    """J_i = f_i p - ∂_j (D_ij p), with numbers for the parameters."""
    numbers = {sympy.Symbol(k, real=True): sympy.nsimplify(v, rational=True) for k, v in model.parameters.items()}
    x = symbols(model)
    drift, tensor, p = (e.subs(numbers) for e in (model.ito_drift, model.diffusion_tensor, p))
    return [
        drift[i] * p - sum(sympy.diff(tensor[i, j] * p, x[j]) for j in range(len(x))) for i in range(len(x))
    ], numbers


@pytest.mark.parametrize("name", [name for name in MODELS if getattr(systems, name)().phi is not None])
def test_the_stated_density_is_stationary(name):
    """The Fokker-Planck residual vanishes: symbolically, looked at in 40 digits at 20 points."""
    model = getattr(systems, name)()
    x = symbols(model)
    p = sympy.exp(-model.phi)
    flux, numbers = current(model, p)
    p = p.subs(numbers)
    residual = sympy.lambdify(x, sum(sympy.diff(j, v) for j, v in zip(flux, x, strict=True)) / p, "mpmath")
    scale = sympy.lambdify(x, sum(sympy.Abs(sympy.diff(model.ito_drift[0].subs(numbers) * p, v)) for v in x) / p, "mpmath")
    import mpmath

    with mpmath.workdps(40):
        for point in np.random.default_rng(1).uniform(-1.5, 1.5, size=(20, len(x))):
            point = [mpmath.mpf(float(v)) for v in point]
            assert abs(residual(*point)) < mpmath.mpf(10) ** -35 * (1 + scale(*point))


@pytest.mark.parametrize("name", MODELS)
def test_every_system_evaluates_and_pickles(name):
    model = getattr(systems, name)()
    x = np.random.default_rng(2).uniform(0.1 if name == "brusselator" else -1, 1, size=(model.dim, 7))
    assert model.kind == "sympy"
    assert np.isfinite(model.drift(x)).all()
    smallest = np.linalg.eigvalsh(np.moveaxis(model.diffusion(x), -1, 0)).min()
    assert smallest == 0 if name in INERTIAL else smallest > 0
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).drift(x), model.drift(x))
    doc = getattr(systems, name).__doc__
    assert "Parameters\n" in doc and "Returns\n" in doc


def test_ornstein_uhlenbeck_in_three_dimensions():
    b = np.array([[2, 1, 0], [-0.5, 1.5, 0.7], [0.2, -1, 1]])
    d = np.array([[1, 0.2, 0], [0.2, 0.7, 0.1], [0, 0.1, 0.5]])
    model = systems.ornstein_uhlenbeck(relaxation=b, diffusion=d)
    x = np.random.default_rng(3).normal(size=(3, 50))
    np.testing.assert_allclose(model.drift(x), -b @ x, rtol=0, atol=1e-14)
    np.testing.assert_array_equal(model.diffusion(x)[:, :, 0], d)
    sigma = scipy.linalg.solve_continuous_lyapunov(b, 2 * d)
    log_p = -0.5 * np.einsum("in,ij,jn->n", x, np.linalg.inv(sigma), x)
    np.testing.assert_allclose(model.exact_log_density(x), log_p, rtol=1e-12)
    assert model.variables == ("x", "y", "z")
    assert np.trace(b.T @ np.linalg.inv(d) @ (b @ sigma - d)) == pytest.approx(2.2140155353, abs=1e-10)


def test_ornstein_uhlenbeck_shorthands():
    plane = systems.ornstein_uhlenbeck(relaxation=[[2, -3], [3, 2]], diffusion=0.5)
    assert [str(f) for f in plane.ito_drift] == ["-2*x + 3*y", "-3*x - 2*y"]
    # Σ = (D0/a) I
    assert plane.exact_log_density([1.0, 0.0]) == pytest.approx(-0.5 / 0.25)
    line = systems.ornstein_uhlenbeck(relaxation=2.0, diffusion=[3.0])
    assert line.dim == 1 and line.exact_log_density([1.0]) == pytest.approx(-1 / 3)
    many = systems.ornstein_uhlenbeck(relaxation=np.diag([1.0, 2, 3, 4]) + np.tri(4, k=-1), diffusion=0.1)
    assert many.variables == ("x0", "x1", "x2", "x3")
    x = np.arange(1.0, 5)
    np.testing.assert_allclose(many.drift(x), -(np.diag([1.0, 2, 3, 4]) + np.tri(4, k=-1)) @ x, rtol=1e-15)


def test_brownian_gyrator_turns_only_between_temperatures():
    x, y = sympy.symbols("x y", real=True)
    for temperatures, turns in (((1.0, 1.0), False), ((0.5, 2.0), True)):
        model = systems.brownian_gyrator(stiffness=1.0, coupling=0.25, temperatures=temperatures)
        flux, _ = current(model, sympy.exp(-model.phi))
        assert (sympy.simplify(flux[0]) != 0) is turns
    # σ = <F·D^-1 J> = u²(T1 - T2)²/(2 k T1 T2), from the exact covariance
    b, d = np.array([[1, -0.25], [-0.25, 1]]), np.diag([0.5, 2.0])
    sigma = scipy.linalg.solve_continuous_lyapunov(b, 2 * d)
    assert np.trace(b.T @ np.linalg.inv(d) @ (b @ sigma - d)) == pytest.approx(0.25**2 * 1.5**2 / (2 * 1.0))


def test_double_well_is_boltzmann():
    model = systems.double_well(height=2.0, diffusion=0.5)
    x = np.linspace(-2, 2, 41)[None]
    np.testing.assert_allclose(model.exact_log_density(x), -2 * (x[0] ** 2 - 1) ** 2 / 0.5, rtol=1e-14)
    np.testing.assert_allclose(model.drift(x), -8 * x * (x**2 - 1), rtol=1e-14, atol=1e-14)


BLOWTORCH = {  # heat, position: P(x > 0) / P(x < 0) for Itô, Stratonovich, anti-Itô
    (4, 0.5): (0.05591, 0.06327, 0.07560),
    (4, -0.5): (17.88, 15.81, 13.23),
    (9, 0.5): (0.02715, 0.03287, 0.04493),
    (0, 0.5): (1, 1, 1),
}


@pytest.mark.parametrize(("heat", "position"), BLOWTORCH)
def test_blowtorch(heat, position):
    """Zero flux by quadrature of the model's own Itô drift and D: p = exp(∫f/D) / D."""
    x = np.linspace(-2.2, 2.2, 20001)
    for k, interpretation in enumerate(("ito", "stratonovich", "anti-ito")):
        model = systems.hot_spot_double_well(heat=heat, position=position, interpretation=interpretation)
        d = model.diffusion(x[None])[0, 0]
        slope = model.drift(x[None])[0] / d
        potential = np.concatenate([[0], np.cumsum(0.5 * (slope[1:] + slope[:-1]) * np.diff(x))])
        p = np.exp(potential) / d
        ratio = np.trapezoid(p[10000:], x[10000:]) / np.trapezoid(p[:10001], x[:10001])
        assert ratio == pytest.approx(BLOWTORCH[heat, position][k], rel=3e-4)


@pytest.mark.parametrize(
    ("interpretation", "expected"),
    [("ito", 0.03213834242), ("stratonovich", 0.04503478807), ("anti-ito", 0.06024516191)],
)
def test_ring_current(interpretation, expected):
    """The closed form of the current, from the model's drift and D."""
    model = systems.ring(interpretation=interpretation)
    n = 4000
    x = np.linspace(0, 2 * np.pi, n + 1)
    d = model.diffusion(x[None])[0, 0]
    slope = -model.drift(x[None])[0] / d
    # cumulative Simpson by midpoints of a periodic smooth function
    middle = 0.5 * (x[1:] + x[:-1])
    d_m = model.diffusion(middle[None])[0, 0]
    slope_m = -model.drift(middle[None])[0] / d_m
    h = 2 * np.pi / n
    phi = np.concatenate([[0], np.cumsum(h * (slope[:-1] + 4 * slope_m + slope[1:]) / 6)])
    inner = np.concatenate([[0], np.cumsum(0.5 * h * (np.exp(phi[1:]) + np.exp(phi[:-1])))])
    j_over_c = (1 - np.exp(phi[-1])) / inner[-1]
    p = np.exp(-phi) * (1 - j_over_c * inner) / d
    assert j_over_c / np.trapezoid(p, x) == pytest.approx(expected, rel=1e-6)


def test_stuart_landau_current_is_along_the_angle():
    model = systems.stuart_landau(mu=0.7, omega=2.0, diffusion=0.3)
    x, y = symbols(model)
    p = sympy.exp(-model.phi)
    flux, numbers = current(model, p)
    p = p.subs(numbers)
    assert sympy.simplify(flux[0] + 2 * y * p) == 0 and sympy.simplify(flux[1] - 2 * x * p) == 0


def test_vortex_double_well():
    model = systems.vortex_double_well()
    grid = systems.default_grid("vortex_double_well", 64)
    log_p, r = model.exact_log_density(grid), rattling.exact_rattling(model, grid)
    score = rattling.typicality(log_p, r, dim=2)
    # the hidden term is odd and R is even: the slope is γ exactly
    assert score.gamma == pytest.approx(1.5, rel=1e-12)
    assert 0.88 < score.correlation < 0.93 and 0.8 < score.kl_explained < 0.9
    # the law alone
    exact = systems.vortex_double_well(hidden=0.0, gamma=0.8, circulation=5.0)
    score = rattling.typicality(exact.exact_log_density(grid), rattling.exact_rattling(exact, grid))
    assert score.gamma == pytest.approx(0.8, rel=1e-12) and score.kl_explained == pytest.approx(1)
    # no current through the walls, a strong one inside
    x, y = symbols(model)
    flux, _ = current(model, sympy.exp(-model.phi))
    assert sympy.simplify(flux[0].subs(x, 2)) == 0 and sympy.simplify(flux[1].subs(y, -2)) == 0
    assert abs(flux[0].subs({x: 1, y: 1}).evalf()) > 0.1


def law_of_exit_rates(chain):
    state = rattling.steady_state(chain)
    return state.log_density, rattling.typicality(state.log_density, np.log(chain.exit_rates))


def test_birth_death():
    birth, death = [1.0, 2.0, 3.0], np.array([4.0, 1, 2])
    chain = systems.birth_death(birth, death)
    expected = np.array([[0, 1, 0, 0], [4, 0, 2, 0], [0, 1, 0, 3], [0, 0, 2, 0]]).T
    np.testing.assert_array_equal(chain.matrix.toarray() + np.diag(chain.exit_rates), expected)
    log_p, _ = law_of_exit_rates(chain)
    np.testing.assert_allclose(np.exp(np.diff(log_p)), np.array(birth) / death, rtol=1e-12)


def test_two_particles_on_ring():
    chain = systems.two_particles_on_ring(400, 1.1)
    np.testing.assert_allclose(chain.exit_rates[[0, 3, 400]], [1.1**400, 1.1**397 + 1.1**3, 1.1**400], rtol=1e-12)
    log_p, score = law_of_exit_rates(chain)
    x = np.arange(400)
    np.testing.assert_allclose(np.diff(log_p), (400 - 2 * x - 1) * np.log(1.1), rtol=1e-9, atol=1e-9)
    assert score.correlation == pytest.approx(0.970, abs=5e-4)
    _, score = law_of_exit_rates(systems.two_particles_on_ring(1500, 1.5))
    assert score.correlation == pytest.approx(np.sqrt(15) / 4, abs=1e-4)
    _, score = law_of_exit_rates(systems.two_particles_on_ring(1000, 0.5))
    assert score.correlation < -0.9


@pytest.mark.parametrize(("epsilon", "sign"), [(0.001, 1), (0.1, -1)])
def test_ants(epsilon, sign):
    """The law can be perfectly wrong."""
    n, r = 100, 1.3
    log_p, score = law_of_exit_rates(systems.follmer_kirman(n, epsilon, r))
    a = epsilon * (n - 1) / r
    np.testing.assert_allclose(log_p, scipy.stats.betabinom.logpmf(np.arange(n + 1), n, a, a), rtol=1e-9)
    assert score.correlation * sign > 0.998 and score.gamma * sign > 0.5


def test_ants_without_preference_are_spread_evenly():
    log_p, _ = law_of_exit_rates(systems.follmer_kirman(n=50, epsilon=2 / 49, r=2))
    np.testing.assert_allclose(log_p, -np.log(51), rtol=1e-12)


@pytest.mark.parametrize(
    ("name", "arguments", "error", "text"),
    [
        ("birth_death", ([1.0], [1.0, 2.0]), ValueError, "birth and death must have one length; got 1 and 2"),
        ("birth_death", ([1.0, 0.0], [1.0, 2.0]), ValueError, "birth must be positive and finite; it is 0 at index 1"),
        ("birth_death", ([1.0], [np.inf]), ValueError, "death must be positive and finite; it is inf at index 0"),
        ("birth_death", (1.0, [1.0]), ValueError, r"birth must be a line of at least one rate; got shape \(\)"),
        ("birth_death", ("a", [1.0]), TypeError, "birth must be an array of real numbers"),
        ("two_particles_on_ring", (1, 2.0), ValueError, "length must be at least 2; got 1"),
        ("two_particles_on_ring", (3.0, 2.0), TypeError, "length must be a whole number; got 3.0"),
        ("two_particles_on_ring", (10**6, 2.0), ValueError, "rate to the power of length must be a floating"),
        ("two_particles_on_ring", (3, -1), ValueError, "rate must be positive; got -1"),
        ("follmer_kirman", (True, 1, 1), TypeError, "n must be a whole number; got True"),
        ("follmer_kirman", (5, 0, 1), ValueError, "epsilon must be positive; got 0"),
        ("follmer_kirman", (5, 1, np.nan), ValueError, "r must be positive and finite; got nan"),
    ],
)
def test_bad_rates(name, arguments, error, text):
    with pytest.raises(error, match=text):
        getattr(systems, name)(*arguments)


@pytest.mark.parametrize("circulation", [0.0, 1.0, 5.0])
def test_vortex_double_well_on_a_grid(circulation):
    """Whatever the current, the solved log p is -φ; the error falls as the cells' area."""
    model = systems.vortex_double_well(circulation=circulation)
    errors = []
    for n in (40, 80):
        grid = systems.default_grid("vortex_double_well", n)
        state = rattling.steady_state(model, grid)
        difference = state.log_density - model.exact_log_density(grid)
        errors.append(np.ptp(difference))
    assert errors[1] < 0.04 and np.log2(errors[0] / errors[1]) > 1.8
    assert (state.entropy_production > 1) is (circulation >= 1)


@pytest.mark.parametrize("name", sorted(systems._BOXES))
def test_default_grids_hold_the_density(name):
    system = getattr(systems, name)
    model, grid = system(), systems.default_grid(system, 50)
    assert grid == systems.default_grid(name, 50) and grid.dim == model.dim
    if model.phi is not None and name != "vortex_double_well":
        log_p = model.exact_log_density(grid)
        inside = log_p[(slice(1, -1),) * grid.dim].max()
        edge = max(log_p[(slice(None),) * k + ([0, -1],)].max() for k in range(grid.dim))
        assert edge < inside - 9
    with pytest.raises(ValueError, match="system must be one of 'brownian_gyrator'.*got 'rings'"):
        systems.default_grid("rings", 5)


@pytest.mark.parametrize(
    ("name", "parameters", "error", "text"),
    [
        ("ornstein_uhlenbeck", {"relaxation": [[1, 2]]}, ValueError, "relaxation must be a square matrix"),
        ("ornstein_uhlenbeck", {"relaxation": [[-1.0]]}, ValueError, "relaxation must have eigenvalues with pos"),
        ("ornstein_uhlenbeck", {"diffusion": [1.0, -1.0]}, ValueError, "diffusion must be symmetric and positive"),
        ("ornstein_uhlenbeck", {"diffusion": [1.0, 1, 1]}, ValueError, "diffusion must fit relaxation"),
        ("ornstein_uhlenbeck", {"diffusion": np.nan}, ValueError, "diffusion must be finite"),
        ("brownian_gyrator", {"coupling": 1.0}, ValueError, "stiffness must be larger"),
        ("brownian_gyrator", {"temperatures": (1, 0)}, ValueError, "temperatures must be positive; got 0"),
        ("brownian_gyrator", {"temperatures": 1.0}, ValueError, "temperatures must be two numbers"),
        ("double_well", {"diffusion": 0}, ValueError, "diffusion must be positive; got 0"),
        ("double_well", {"height": "1"}, TypeError, "height must be a real number; got '1'"),
        ("double_well", {"height": True}, TypeError, "height must be a real number; got True"),
        ("hot_spot_double_well", {"heat": -1}, ValueError, "heat must be larger than -1"),
        ("hot_spot_double_well", {"width": 0.0}, ValueError, "width must be positive"),
        ("hot_spot_double_well", {"interpretation": "Ito"}, ValueError, "interpretation must be one of 'ito'"),
        ("ring", {"modulation": -0.5}, ValueError, "diffusion must be larger than the size of modulation"),
        ("ring", {"force": np.inf}, ValueError, "force must be finite; got inf"),
        ("stuart_landau", {"omega": None}, TypeError, "omega must be a real number; got None"),
        ("vortex_double_well", {"contrast": -1}, ValueError, "contrast must not be negative"),
        ("vortex_double_well", {"temperature": 0}, ValueError, "temperature must be positive"),
    ],
)
def test_bad_parameters(name, parameters, error, text):
    with pytest.raises(error, match=text):
        getattr(systems, name)(**parameters)
