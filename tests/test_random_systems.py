"""Random systems: laws of the fields, exact steady states, published correlations."""

import pickle

import numpy as np
import pytest

import rattling as rt
from rattling import systems

BOX = 2 * np.pi


def box(dim, shape):
    return rt.Grid([(0, BOX)] * dim, shape, "periodic")


def points(dim, n=400, seed=0):
    return np.random.default_rng(seed).uniform(0, BOX, (dim, n))


# --- fields ---------------------------------------------------------------------------------


def test_field_has_its_covariance():
    """exp(-r²/2ℓ²), over 600 draws: each of 40 covariances within 4 standard errors."""
    x, ell = points(2, 9), 0.6
    draws = np.array([np.log(systems.random_diffusion(2, amplitude=1.0, correlation_length=ell, rng=k).diffusion(x)[0, 0])
                      for k in range(600)])  # fmt: skip
    away = x[:, :, None] - x[:, None]
    away -= BOX * np.round(away / BOX)
    expected = np.exp(-np.sum(away**2, axis=0) / (2 * ell**2))
    # the modes beyond 3/ℓ, about 1 % of the variance, are cut and shared among the others
    np.testing.assert_allclose(draws.T @ draws / 600, expected, atol=4 * np.sqrt(2 / 600) + 0.02)


@pytest.mark.parametrize("dim", [2, 3])
def test_force_has_its_shares(dim):
    """Variances of f and of its divergence: f is normal, its gradient part alone diverges."""
    for solenoidal in (0.0, 0.3, 1.0):
        f, divergence = [], []
        for k in range(40):
            model = systems.random_force(dim, force=2.0, solenoidal=solenoidal, rng=k)
            x, h = points(dim, 60, k), 1e-4
            f.append(model.drift(x))
            steps = [h * np.eye(dim)[:, [i]] for i in range(dim)]
            divergence.append(sum((model.drift(x + s)[i] - model.drift(x - s)[i]) / (2 * h) for i, s in enumerate(steps)))
        assert np.var(f) == pytest.approx(4, rel=0.1)
        if solenoidal == 1:
            assert np.abs(divergence).max() < 1e-6
        else:
            assert np.var(divergence) > 1


def test_tensor_is_the_same_in_all_frames():
    """Var M_ii = 1, Var M_ij = 1/2 with M = log D: what rotations leave alone."""
    m = []
    for k in range(400):
        d = systems.random_diffusion(3, kind="tensor", amplitude=0.5, rng=k).diffusion(points(3, 1))[..., 0]
        values, vectors = np.linalg.eigh(d)
        m.append(vectors @ np.diag(np.log(values)) @ vectors.T / 0.5)
    variance = np.mean(np.square(m), axis=0)
    np.testing.assert_allclose(np.diag(variance), 1, atol=4 * np.sqrt(2 / 400))
    np.testing.assert_allclose(variance[~np.eye(3, dtype=bool)], 0.5, atol=2 * np.sqrt(2 / 400))


@pytest.mark.parametrize("kind", ["isotropic", "diagonal", "tensor"])
def test_periodic_and_positive(kind):
    model = systems.random_force(2, disorder=1.5, kind=kind, rng=3)
    x = points(2)
    np.testing.assert_allclose(model.diffusion(x), model.diffusion(x + BOX), rtol=1e-10)
    np.testing.assert_allclose(model.drift(x), model.drift(x - BOX), atol=1e-10)
    assert np.linalg.eigvalsh(np.moveaxis(model.diffusion(x), -1, 0)).min() > 0


def test_seeds_and_pickles():
    x = points(2)
    one, same, other = (systems.random_force(2, kind="diagonal", rng=k) for k in (1, 1, 2))
    np.testing.assert_array_equal(one.drift(x), same.drift(x))
    np.testing.assert_array_equal(one.diffusion(x), pickle.loads(pickle.dumps(same)).diffusion(x))
    assert not np.array_equal(one.drift(x), other.drift(x))
    rng = np.random.default_rng(1)
    np.testing.assert_array_equal(one.drift(x), systems.random_force(2, kind="diagonal", rng=rng).drift(x))


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_isotropic_noise_has_p_over_d(dim):
    model, grid = systems.random_diffusion(dim, amplitude=0.7, rng=dim), box(dim, (100, 32, 16)[dim - 1])
    state = rt.steady_state(model, grid, flux="exponential")
    scores = rt.typicality(state.log_density, rt.exact_rattling(model, grid))
    assert scores.gamma == pytest.approx(2 / dim, abs=1e-6)
    assert scores.correlation == pytest.approx(1, abs=1e-9)


def test_anti_ito_noise_has_constant_p():
    model, grid = systems.random_diffusion(1, amplitude=0.7, interpretation="anti-ito", rng=1), box(1, 400)
    assert np.ptp(rt.steady_state(model, grid).log_density) < 1e-4


def test_solenoidal_force_leaves_p_constant():
    """The deviation is of second order in h: 4 times less with twice the cells."""
    model = systems.random_force(2, solenoidal=1.0, disorder=0.0, correlation_length=1.0, rng=1)
    spread = [np.ptp(rt.steady_state(model, box(2, n), flux="exponential").log_density) for n in (24, 48)]
    assert spread[1] < 0.3 * spread[0] < 0.02


def test_gradient_force_has_no_current():
    model = systems.random_force(2, solenoidal=0.0, disorder=0.0, correlation_length=1.5, rng=1)
    state = rt.steady_state(model, box(2, 48))
    other = rt.steady_state(systems.random_force(2, solenoidal=1.0, disorder=0.0, correlation_length=1.5, rng=1), box(2, 48))
    assert state.entropy_production < 1e-4 < 0.1 < other.entropy_production


# --- chains -----------------------------------------------------------------------------------


def test_complete_graph_of_exponential_rates():
    """method: rho -> 1/√2 and gamma -> 1, though TV(π, ∝ 1/q) ≈ .40/√N."""
    n, parts = 1000, []
    for k in range(5):
        state = rt.steady_state(systems.random_rates(n, rng=k))
        local = 1 / state.exit_rates
        distance = 0.5 * np.abs(state.probability - local / local.sum()).sum()
        assert distance * np.sqrt(n) == pytest.approx(0.40, abs=0.03)
        parts.append(rt.local_global(state))
    assert np.mean([p.rho for p in parts]) == pytest.approx(np.sqrt(0.5), abs=0.02)
    assert np.mean([p.gamma for p in parts]) == pytest.approx(1, abs=0.04)


@pytest.mark.parametrize(
    ("sigmas", "rho", "gamma"),
    [
        ((1, 1, 1), 0.90, 1.00),
        ((1, 0.5, 0), 0.99, 0.97),
        ((1, 1, 0), 0.94, 0.86),
        ((1, 2, 0), 0.73, 0.52),
        ((1, 0, 4), 0.85, 1.07),
    ],
)
def test_wells_barriers_forces(sigmas, rho, gamma):
    """The published values are of one draw each: within 3 standard deviations of 6 draws, and
    the rounding to two digits."""
    parts = [rt.local_global(systems.wells_barriers_forces(*sigmas, rng=k)) for k in range(6)]
    for name, expected in (("rho", rho), ("gamma", gamma)):
        values = [getattr(p, name) for p in parts]
        assert abs(np.mean(values) - expected) < 3 * np.std(values, ddof=1) * np.sqrt(7 / 6) + 0.005
    if sigmas[2] == 0:
        assert all(p.rho_bound <= p.rho < p.rho_bound + 0.01 for p in parts), "reversible ones sit on the bound"


def test_wells_alone():
    chain = systems.wells_barriers_forces(1.0, 0.0, 0.0, graph="regular", size=60, degree=4, rng=0)
    parts = rt.local_global(chain)
    assert parts.rho == pytest.approx(1, abs=1e-9) and parts.gamma == pytest.approx(1, abs=1e-9)


def test_detailed_balance_without_forces():
    chain = systems.wells_barriers_forces(1.0, 1.0, 0.0, size=5, beta=2.0, rng=1)
    assert rt.steady_state(chain).entropy_production < 1e-12
    driven = systems.wells_barriers_forces(1.0, 1.0, 1.0, size=5, beta=2.0, rng=1)
    assert rt.steady_state(driven).entropy_production > 0.1


@pytest.mark.parametrize(("mixing", "rho"), [(0, -0.90), (0.3, -0.57), (0.4, 0.44), (0.5, 0.89), (0.8, 1.00)])
def test_sk_spins(mixing, rho):
    """Means of 4 draws, published; here of 12 others: within 3 standard errors of the
    difference, and the rounding."""
    values = [rt.local_global(systems.sk_spins(10, mixing=mixing, rng=k)).rho for k in range(12)]
    error = np.std(values, ddof=1) * np.sqrt(1 / 4 + 1 / 12)
    assert abs(np.mean(values) - rho) < 3 * error + 0.005


def test_sk_spins_turn_where_they_should():
    turn = (1 - 4 / 10) / (2 - 4 / 10)
    below, above = (
        np.mean([rt.local_global(systems.sk_spins(10, mixing=turn + d, beta=0.3, rng=k)).rho for k in range(6)])
        for d in (-0.08, 0.08)
    )
    assert below < -0.3 and above > 0.3


def test_sk_spins_have_boltzmann_weights():
    """π does not depend on λ, and -log π is quadratic in the spins."""
    one, two = (rt.steady_state(systems.sk_spins(6, mixing=m, beta=0.7, rng=4)).log_density for m in (0.0, 0.6))
    np.testing.assert_allclose(one, two, atol=1e-8)
    spins = 2.0 * (np.arange(64)[:, None] >> np.arange(6) & 1) - 1
    pairs = [spins[:, i] * spins[:, j] for i in range(6) for j in range(i)]
    _, rest, *_ = np.linalg.lstsq(np.stack([np.ones(64), *pairs], axis=1), one, rcond=None)
    assert rest < 1e-15 * 64 or rest < 1e-12


@pytest.mark.parametrize(("size", "degree"), [(10, 3), (50, 4), (7, 6)])
def test_regular_graphs(size, degree):
    chain = systems.random_rates(size, graph="regular", degree=degree, rng=0)
    assert chain.n == size
    links = (chain.matrix.toarray() > 0).sum(axis=0)
    assert (links == degree).all()
    assert len(chain.recurrent_classes()[0]) == 1


def test_hypercube():
    matrix = systems.random_rates(4, graph="hypercube", distribution="lognormal", rng=0).matrix.toarray()
    i, j = np.nonzero(matrix > 0)
    assert len(i) == 16 * 4
    assert all(bin(a ^ b).count("1") == 1 for a, b in zip(i.tolist(), j.tolist(), strict=True))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: systems.random_diffusion(0), ValueError, "dim must be at least 1"),
        (lambda: systems.random_diffusion(2, kind="round"), ValueError, "kind must be one of 'isotropic'"),
        (lambda: systems.random_diffusion(2, amplitude=-1), ValueError, "amplitude must not be negative"),
        (lambda: systems.random_diffusion(2, diffusion=0), ValueError, "diffusion must be positive"),
        (lambda: systems.random_force(1, solenoidal=0.5), ValueError, "solenoidal must be a share"),
        (lambda: systems.random_force(2, solenoidal=2), ValueError, "solenoidal must be a share"),
        (lambda: systems.random_force(3, correlation_length=1e-3), ValueError, "correlation_length is too short"),
        (lambda: systems.random_rates(10, graph="tree"), ValueError, "graph must be one of"),
        (lambda: systems.random_rates(10, distribution="flat"), ValueError, "distribution must be"),
        (lambda: systems.random_rates(5, graph="regular", degree=3), ValueError, "degree \\* size even"),
        (lambda: systems.wells_barriers_forces(-1), ValueError, "wells must not be negative"),
        (lambda: systems.wells_barriers_forces(size=30), ValueError, "at most 24"),
        (lambda: systems.sk_spins(30), ValueError, "n must be at most 20"),
        (lambda: systems.sk_spins(4.0), TypeError, "n must be a whole number"),
    ],
)
def test_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()


# --- the Brusselator and the list -----------------------------------------------------------


def test_brusselator_near_its_fixed_point():
    """The covariance of paths against BΣ + ΣBᵀ = 2D: 4 standard errors of 4000 paths, and 2 %
    for the finite volume and step."""
    import scipy.linalg

    a, b, size = 1.0, 1.2, 2e4
    model = systems.brusselator(a=a, b=b, size=size)
    point = np.array([a, b / a])
    np.testing.assert_allclose(model.drift(point), 0, atol=1e-14)
    tensor = model.diffusion(point)
    np.testing.assert_allclose(tensor, np.array([[2 * a + 2 * a * b, -2 * a * b], [-2 * a * b, 2 * a * b]]) / (2 * size))
    linear = np.array([[1 - b, -(a**2)], [b, a**2]])
    expected = scipy.linalg.solve_continuous_lyapunov(linear, 2 * tensor)
    x = rt.simulate(model, point, 0.01, 1500, n_paths=4000, thin=1500, rng=1).x[:, -1]
    scale = np.sqrt(np.outer(np.diag(expected), np.diag(expected)))
    np.testing.assert_allclose(np.cov(x.T) / scale, expected / scale, atol=4 * np.sqrt(2 / 4000) + 0.02)


def test_brusselator_cycles_beyond_its_threshold():
    model = systems.brusselator(a=1.0, b=3.0, size=1e4)
    x = rt.simulate(model, [1.0, 3.0], 0.002, 20000, n_paths=2, thin=50, rng=1).x[:, 200:]
    assert np.ptp(x[..., 0], axis=1).min() > 2


def test_list():
    table = systems.list()
    names = [row[0] for row in table]
    assert names == sorted(n for n in systems.__all__ if n not in ("default_grid", "list"))
    assert {"Model", "Generator"} <= {row[1] for row in table}
    assert all(name in repr(table) and name in table._repr_html_() for name in names)
    assert "ornstein_uhlenbeck" in repr(table) and max(map(len, repr(table).split("\n"))) < 260
    for name in names:
        assert getattr(systems, name).__doc__.count("Parameters") == 1, name


def test_a_graph_that_is_not_found_is_said_to_be(monkeypatch):
    from scipy.sparse import csgraph

    monkeypatch.setattr(csgraph, "connected_components", lambda graph, directed: (2, None))
    with pytest.raises(ValueError, match="found no connected graph of 4 states and degree 2"):
        systems.random_rates(4, graph="regular", degree=2, rng=1)


@pytest.mark.parametrize("seed", range(40))
def test_triangles(seed):
    """The smallest regular graph: of the first pairs of ends none may be a link."""
    chain = systems.random_rates(3, graph="regular", degree=2, rng=seed)
    assert (chain.matrix.toarray() != 0).all()
