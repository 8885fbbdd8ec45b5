"""Maps with noise, and the driven systems that are maps."""

import numpy as np
import pytest
import scipy.special
import scipy.stats
import sympy

import rattling
from rattling import Map, Trajectories, systems


def iterate_numpy(step, x0, n_steps):
    xs = [np.array(x0, dtype=float)]
    for _ in range(n_steps):
        xs.append(step(xs[-1]))
    return np.array(xs)


# --- the class ----------------------------------------------------------------------------


def test_iterates_are_those_of_a_loop():
    henon = Map(["1 - a*x**2 + y", "b*x"], variables="x y", parameters={"a": 1.4, "b": 0.3})
    paths = henon.iterate([0.1, 0.2], 15)
    assert isinstance(paths, Trajectories) and paths.dt == 1.0
    expected = iterate_numpy(lambda p: np.array([1 - 1.4 * p[0] ** 2 + p[1], 0.3 * p[0]]), [0.1, 0.2], 15)
    np.testing.assert_allclose(paths.x[0], expected, atol=1e-9)
    np.testing.assert_allclose(henon(paths.x[0, :3].T), expected[1:4].T, atol=1e-12)
    np.testing.assert_array_equal(henon.iterate([0.1, 0.2], 15, thin=5).x, paths.x[:, ::5])
    assert henon.jacobian[1, 0] == sympy.Float(0.3) and henon.dim == 2


def test_noise_has_its_amplitude():
    """x' = x/2 + G(x) ξ from one point: Gaussian with covariance G Gᵀ."""
    noisy = Map(["x/2", "y/2"], [["1 + x**2", "0"], ["0.5", "0.3"]], variables="x y")
    x = noisy.iterate([1.0, 2.0], 1, n_paths=50_000, rng=1).x[:, 1]
    covariance = np.array([[4, 1.0], [1.0, 0.34]])
    np.testing.assert_allclose(x.mean(axis=0), [0.5, 1.0], atol=4 * 2 / np.sqrt(50_000))
    error = np.sqrt((np.outer(np.diag(covariance), np.diag(covariance)) + covariance**2) / 50_000)
    assert np.all(np.abs(np.cov(x.T) - covariance) < 4 * error)


def test_stationary_law_of_a_linear_map():
    """x' = a x + s ξ: variance s²/(1 - a²)."""
    x = Map("0.8*x", "0.3", variables="x").iterate([0.0], 100, n_paths=20_000, thin=100, rng=2).x[:, -1, 0]
    assert scipy.stats.kstest(x / np.sqrt(0.09 / (1 - 0.64)), "norm").pvalue > 1e-3


def test_bad_arguments():
    with pytest.raises(ValueError, match="step must have one expression for each of the 2"):
        Map("x", variables="x y")
    with pytest.raises(ValueError, match="contains z"):
        Map("x + z", variables="x")
    with pytest.raises(ValueError, match="n_steps must be at least 0"):
        Map("x", variables="x").iterate([0.0], -1)
    with pytest.raises(ValueError, match="path 0 .*finite"):
        Map("x**9", variables="x").iterate([30.0], 20)
    assert repr(Map("x", variables="x")) == "Map((x), boundary=None)"


# --- the systems --------------------------------------------------------------------------


def determinant(system):
    """At a point that is nothing special; there is no other in these systems."""
    return system.jacobian.subs(dict(zip(sympy.symbols(system.variables, real=True), (0.7, 1.9), strict=True))).det()


def test_kicked_rotor():
    rotor = systems.kicked_rotor(strength=1.3, damping=0.2)
    paths = rotor.iterate([0.5, 0.7], 12).x[0]

    def step(x):
        p = 0.8 * x[1] + 1.3 * np.sin(x[0])
        return np.array([(x[0] + p) % (2 * np.pi), p])

    np.testing.assert_allclose(paths, iterate_numpy(step, [0.5, 0.7], 12), atol=1e-10)
    assert float(determinant(rotor)) == pytest.approx(0.8)
    assert float(determinant(systems.kicked_rotor(strength=3))) == pytest.approx(1)


def test_momentum_of_the_kicked_rotor_diffuses():
    """⟨Δp²⟩ = n K²/2 [1 - 2 J_2 - 2 J_1² + 2 J_2² + 2 J_3²] (Rechester & White), to their order K^-3/2."""
    k, n = 12.0, 100
    x0 = np.random.default_rng(1).uniform(0, 2 * np.pi, (20_000, 2))
    p = systems.kicked_rotor(strength=k).iterate(x0, n, thin=n).x[:, :, 1]
    j1, j2, j3 = (scipy.special.jv(m, k) for m in (1, 2, 3))
    expected = n * k**2 / 2 * (1 - 2 * j2 - 2 * j1**2 + 2 * j2**2 + 2 * j3**2)
    square = (p[:, 1] - p[:, 0]) ** 2
    assert abs(square.mean() - expected) < 4 * square.std() / np.sqrt(len(square)) + 0.05 * expected


def test_noise_of_the_kicked_rotor_moves_momentum_and_angle():
    x = systems.kicked_rotor(strength=0, noise=0.1).iterate([1.0, 0.5], 1, n_paths=10_000, rng=3).x[:, 1]
    np.testing.assert_allclose(x[:, 0] - 1, x[:, 1], atol=1e-12)
    assert x[:, 1].std() == pytest.approx(0.1, rel=4 / np.sqrt(20_000))


@pytest.mark.parametrize("q", [1, 3, 4, 5, 6])
def test_web_map(q):
    assert float(determinant(systems.web_map(strength=1.7, symmetry=q))) == pytest.approx(1)
    turned = systems.web_map(strength=0, symmetry=q).iterate([0.3, -1.1], q).x[0]
    np.testing.assert_allclose(turned[-1], turned[0], atol=1e-13)
    if q == 4:
        step = systems.web_map(strength=1.7)([0.3, 0.4])
        np.testing.assert_allclose(step, [0.4, -(0.3 + 1.7 * np.sin(0.4))], rtol=1e-15)


def test_energy_of_the_web_map_grows():
    """⟨Δ(u² + v²)⟩ = n K²/2 where phases are random, at a K where correlations are small."""
    k, n = 30.0, 50
    x0 = np.random.default_rng(1).uniform(-np.pi, np.pi, (20_000, 2))
    x = systems.web_map(strength=k, symmetry=5).iterate(x0, n, thin=n).x
    gain = (x[:, 1] ** 2).sum(axis=1) - (x[:, 0] ** 2).sum(axis=1)
    assert gain.mean() == pytest.approx(n * k**2 / 2, rel=0.1)


def test_bouncing_ball():
    ball = systems.bouncing_ball(drive=4.0, restitution=0.6)
    assert abs(float(determinant(ball))) == pytest.approx(0.6)
    v = 2 * np.pi
    phase = np.arccos(v * (0.6 - 1) / 4.0)
    path = ball.iterate([phase, v], 3).x[0]
    np.testing.assert_allclose(path, np.tile([phase, v], (4, 1)), atol=1e-6)
    noisy = systems.bouncing_ball(noise=0.2).iterate([1.0, 1.0], 1, n_paths=5000, rng=1).x[:, 1]
    assert np.all(noisy[:, 0] == noisy[0, 0]) and noisy[:, 1].std() == pytest.approx(0.2, rel=0.05)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: systems.kicked_rotor(damping=1.5), "damping must be between 0 and 1"),
        (lambda: systems.kicked_rotor(noise=-1), "noise must not be negative"),
        (lambda: systems.web_map(symmetry=0), "symmetry must be at least 1"),
        (lambda: systems.bouncing_ball(restitution=2), "restitution must be between 0 and 1"),
    ],
)
def test_bad_parameters(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_rattling_of_a_noisy_map_can_be_estimated():
    """Increments of a map are F(x) - x + G ξ: at lag 1 their covariance is G Gᵀ."""
    paths = Map("0.5*x", "0.3", variables="x").iterate([0.0], 500, n_paths=100, rng=1)
    field = rattling.estimate_rattling(paths, at=np.array([[0.0]]), lags=1)
    assert field.rattling[0] == pytest.approx(np.log(0.3), abs=5 * field.stderr[0])


# --- inertia ------------------------------------------------------------------------------


def test_underdamped_law():
    """Platen's scheme, started in the exact law exp(-(m v²/2 + U)/T), keeps it."""
    m, temperature = 2.0, 0.5
    model = systems.underdamped(potential="x**2/2", friction=1.0, temperature=temperature, mass=m)
    rng = np.random.default_rng(1)
    x0 = rng.standard_normal((20_000, 2)) * np.sqrt([temperature, temperature / m])
    x = rattling.simulate(model, x0, 0.02, 100, thin=100, rng=2, method="platen").x[:, -1]
    for value, scale in zip(x.T, np.sqrt([temperature, temperature / m]), strict=True):
        assert scipy.stats.kstest(value / scale, "norm").pvalue > 1e-3
    np.testing.assert_allclose(model.drift([[0.3], [0.4]])[:, 0], [0.4, -0.4 - 0.15], rtol=1e-14)


def test_underdamped_with_a_temperature_that_varies():
    model = systems.underdamped(temperature="1 + x**2/2", friction=2.0)
    assert model.phi is None
    np.testing.assert_allclose(np.diag(model.diffusion([2.0, 0.0])), [0, 6])
