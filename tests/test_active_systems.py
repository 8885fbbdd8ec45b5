"""Active particles against their exact laws."""

import numpy as np
import pytest

import rattling as rt
from rattling import systems


@pytest.mark.parametrize("tumbling", [0.1, 1.0, 10.0])
def test_run_and_tumble(tumbling):
    """p ~ 1/v for any tumbling rate (Schnitzer 1993)."""
    chain = systems.run_and_tumble(tumbling=tumbling)
    p = rt.steady_state(chain).probability.reshape(2, 200)
    x = (np.arange(200) + 0.5) * 2 * np.pi / 200
    exact = 1 / (1 + np.sin(x) / 2)
    np.testing.assert_allclose(p, np.array([exact, exact]) / (2 * exact.sum()), rtol=1e-8)


def test_run_and_tumble_other_speeds():
    chain = systems.run_and_tumble(speed=lambda x: 2.0, length=3.0, n=30)
    np.testing.assert_allclose(chain.exit_rates, 2 * 30 / 3 + 1)
    with pytest.raises(ValueError, match="speed must be finite and positive; it is -"):
        systems.run_and_tumble(speed=np.sin)
    with pytest.raises(TypeError, match="speed must be a function of x, not float"):
        systems.run_and_tumble(speed=1.0)
    with pytest.raises(ValueError, match="tumbling"):
        systems.run_and_tumble(tumbling=0)


def test_active_ornstein_uhlenbeck():
    """Covariances of the exact Gaussian, from paths (4 sigma) and on a grid."""
    k, tau, D = 1.5, 0.5, 0.8
    model = systems.active_ornstein_uhlenbeck(stiffness=k, persistence=tau, diffusion=D)
    exact = np.array([[D / (k * (1 + k * tau)), D / (1 + k * tau)], [D / (1 + k * tau), D / tau]])
    paths = rt.simulate(model, [0.0, 0.0], 2e-3, 5000, n_paths=5000, thin=5000, rng=1)
    covariance = np.cov(paths.x[:, -1].T)
    sigma = np.sqrt((exact**2 + np.outer(np.diag(exact), np.diag(exact))) / 5000)
    assert (np.abs(covariance - exact) < 4 * sigma + 0.01 * exact).all()
    grid = rt.Grid([(-3, 3), (-6, 6)], (200, 100))
    p = rt.steady_state(model, grid).probability.ravel()
    points = grid.points()
    # without noise on x the scheme is upwind: its diffusion |f| h/2 shows in <x^2>
    np.testing.assert_allclose((points * p[:, None]).T @ points, exact, rtol=0.1)
