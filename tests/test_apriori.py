"""Predictions without the steady state: exact cases, twins, and ensembles beside the truth."""

import numpy as np
import pytest
from reference import blowtorch as twin

import rattling as rt
from rattling import apriori, systems

BOX = 2 * np.pi


def box(dim, n):
    return rt.Grid([(0, BOX)] * dim, n, "periodic")


# --- moment closure ---------------------------------------------------------------------


@pytest.mark.parametrize("dim", [1, 2, 3])
@pytest.mark.parametrize("derivatives", ["generator", "symbolic"])
def test_closure_is_exact_without_drift(dim, derivatives):
    noise = f"exp({' + '.join(f'sin({v})' for v in 'xyz'[:dim])})"
    model = rt.Model.from_sympy([0] * dim, noise, variables=list("xyz"[:dim]))
    grid = box(dim, (64, 32, 16)[dim - 1])
    assert apriori.moment_closure(model, grid, derivatives=derivatives) == pytest.approx(2 / dim, abs=1e-6)


def test_closure_of_a_prescribed_gamma():
    """Where the law is exact its one moment is too, whatever the current: with walls by the
    generator, to the order of the grid."""
    for gamma in (-0.7, 2.5):
        model = systems.vortex_double_well(gamma=gamma, hidden=0.0)
        grid = systems.default_grid("vortex_double_well", 100)
        assert apriori.moment_closure(model, grid) == pytest.approx(gamma, abs=0.02)


def test_symbols_and_generator_agree():
    model = rt.Model.from_sympy(["sin(y)", "cos(x)"], ["exp(sin(x))", "2 + cos(x + y)"], variables="x y")
    exact = apriori.moment_closure(model, box(2, 48), derivatives="symbolic")
    errors = [abs(apriori.moment_closure(model, box(2, n), derivatives="generator") - exact) for n in (32, 64)]
    assert errors[1] < 0.3 * errors[0] < 0.05
    assert apriori.moment_closure(model, box(2, 64)) == pytest.approx(exact, abs=1e-10)


@pytest.mark.parametrize("seed", range(5))
def test_closure_against_the_twin(seed):
    chain = systems.random_rates(30, distribution="lognormal", rng=seed)
    r = np.log(chain.exit_rates)
    expected = twin.closure(r, chain.matrix.toarray().T @ r, np.ones(30), 1.0)
    assert apriori.moment_closure(chain) == pytest.approx(expected, abs=2e-4, nan_ok=True)
    assert apriori.moment_closure(chain, rattling=2 * r) == pytest.approx(expected / 2, abs=2e-4, nan_ok=True)


def test_closure_undefined_and_refused():
    ou, grid = systems.ornstein_uhlenbeck(), rt.Grid([(-4, 4)] * 2, 10)
    assert np.isnan(apriori.moment_closure(ou, grid))
    with pytest.raises(ValueError, match="derivatives must be one of"):
        apriori.moment_closure(ou, grid, derivatives="numeric")
    with pytest.raises(TypeError, match="grid is needed"):
        apriori.moment_closure(ou)
    with pytest.raises(ValueError, match="needs a model made of symbols"):
        apriori.moment_closure(systems.random_diffusion(2, rng=1), box(2, 8), derivatives="symbolic")
    with pytest.raises(ValueError, match=r"rattling must have the shape of the states, \(10, 10\)"):
        apriori.moment_closure(ou, grid, rattling=np.zeros(3))


# --- weak disorder ----------------------------------------------------------------------------


@pytest.mark.parametrize("alpha", [0, 0.5, 1])
def test_first_order_in_one_dimension(alpha):
    """u against the solved log p, at an amplitude where second order is 1e-6."""
    interpretation = {0: "ito", 0.5: "stratonovich", 1: "anti-ito"}[alpha]
    model = rt.Model.from_sympy("0.001*sin(2*x)", "2 + 0.002*cos(x)", variables="x", interpretation=interpretation)
    grid = box(1, 200)
    weak = apriori.weak_disorder(model, grid)
    log_p = rt.steady_state(model, grid).log_density
    np.testing.assert_allclose(weak.log_p, log_p - log_p.mean(), atol=3e-6 + 0.002 * np.ptp(log_p))
    assert weak.gamma == 2 * (1 - alpha)
    v_drift = (0.001 / (2 * 2)) ** 2 / 2  # <(F/(D₀ k))²>
    if alpha < 1:
        assert weak.v_drift == pytest.approx(v_drift / (1 - alpha) ** 2, rel=1e-3)
        assert weak.rho == pytest.approx((1 + weak.v_drift / weak.v_iso) ** -0.5, rel=1e-9)
    else:
        assert weak.rho == 0


def test_directions():
    """A plane wave along x feels D_xx alone: nᵀ S₀ n = (D_xx - D_yy)/2."""
    model = rt.Model.from_sympy([0, 0], ["1 + 0.001*cos(x)", "1 - 0.0004*cos(x)"], variables="x y")
    weak = apriori.weak_disorder(model, box(2, 16))
    assert weak.v_iso == pytest.approx(0.0003**2 / 2, rel=1e-2)
    assert weak.v_aniso == pytest.approx(0.0007**2 / 2, rel=1e-2)
    np.testing.assert_allclose(weak.log_p[:, 0], -0.001 * np.cos(box(2, 16).centres(0)), atol=2e-6)


def test_divergence_free_drift_drops_out():
    """What is left goes through second order: with twice the force four times the change."""
    model = systems.random_force(2, force=0.1, solenoidal=1.0, rng=2)
    weak = apriori.weak_disorder(model, box(2, 32))
    assert weak.v_drift < 1e-20 and weak.peclet > 0.03
    assert weak.rho == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize("mean", [0.5, 2.0])
def test_mean_drift_on_a_ring(mean):
    """D = 1 + ε cos x and F = const: m = 1/(1 + iF), so γ = 2/(1 + F²) and ρ = 1/√(1 + F²)."""
    model = rt.Model.from_sympy(str(mean), "1 + 0.001*cos(x)", variables="x")
    grid = box(1, 400)
    weak = apriori.weak_disorder(model, grid)
    assert weak.gamma == pytest.approx(2 / (1 + mean**2), rel=1e-6) == weak.gamma_sample
    assert weak.rho == pytest.approx((1 + mean**2) ** -0.5, rel=1e-6) == weak.rho_sample
    law = rt.typicality(rt.steady_state(model, grid).log_density, rt.exact_rattling(model, grid))
    assert law.gamma == pytest.approx(weak.gamma, rel=2e-3)
    assert law.correlation == pytest.approx(weak.rho, rel=2e-3)


def test_mean_drift_through_tensors():
    model = rt.Model.from_sympy(
        ["1", "1/2 + 0.02*sin(x - y)"],
        [["1 + 0.03*cos(x)", "0.02*sin(x + y)"], ["0.02*sin(x + y)", "1 - 0.02*cos(y)"]],
        variables="x y",
    )
    grid = box(2, 64)
    weak = apriori.weak_disorder(model, grid)
    log_p = rt.steady_state(model, grid).log_density
    assert np.std(weak.log_p - (log_p - log_p.mean())) < 0.03 * np.std(log_p)


@pytest.mark.parametrize(
    ("kind", "dim", "amplitude", "n"),
    [("diagonal", 2, 0.1, 24), ("diagonal", 2, 0.3, 24), ("diagonal", 3, 0.3, 12), ("tensor", 2, 0.3, 16)],
)
def test_weak_disorder_beside_the_truth(kind, dim, amplitude, n):
    """At ε <= 0.3, 20 draws: the mean ρ within two standard errors, and that of each draw close
    to it one by one."""

    def family(rng):
        model = systems.random_diffusion(dim, amplitude=amplitude, kind=kind, correlation_length=1.2, rng=rng)
        return model, box(dim, n)

    table = apriori.compare(family, 20, rng=0)
    error = table.rho_weak - table.rho
    assert abs(error.mean()) < 2 * error.std(ddof=1) / np.sqrt(20)
    own = np.abs(table.rho_sample - table.rho)
    assert np.sqrt(np.mean(own**2)) < 0.2 * amplitude
    assert np.corrcoef(table.rho_sample, table.rho)[0, 1] > 0.9
    assert table.rho.std() > 0.03, "there is something to predict"


def test_isotropic_tensors_have_one_over_root_d():
    """Rotation-invariant Gaussian tensors: ρ = 1/√d, by the formula over 40 draws."""
    for dim in (2, 3):
        draws = [
            apriori.weak_disorder(
                systems.random_diffusion(dim, amplitude=0.2, kind="tensor", correlation_length=1.2, rng=k), box(dim, 10)
            )
            for k in range(40)
        ]
        iso, aniso = (np.array([getattr(d, name) for d in draws]) for name in ("v_iso", "v_aniso"))
        ratio = iso.mean() / (iso + aniso).mean()
        error = np.std(iso / (iso + aniso), ddof=1) / np.sqrt(40)
        assert abs(ratio - 1 / dim) < 3 * error


def test_closure_of_tensors():
    """exp(-R) for D = A(y) diag in a frame that turns: with D_ij = δ_ij exp(s) the closure is
    exact; with a weak off-diagonal part it stays within .1 of the fitted slope."""
    for off, apart in (("0", 1e-6), ("0.1*cos(x + y)", 0.1)):
        d = "exp(0.3*sin(x) + 0.2*cos(y))"
        model = rt.Model.from_sympy(["0", "0"], [[d, off], [off, d]], variables="x y")
        grid = box(2, 32)
        law = rt.typicality(rt.steady_state(model, grid).log_density, rt.exact_rattling(model, grid))
        for derivatives in ("generator", "symbolic"):
            found = apriori.moment_closure(model, grid, derivatives=derivatives)
            assert found == pytest.approx(law.gamma_kl, abs=apart if off != "0" else 2e-3)


def test_comparison_says_where_it_stops():
    def family(rng):
        return systems.random_force(2, force=1.0, disorder=0.5, correlation_length=1.2, rng=rng), box(2, 16)

    text = apriori.compare(family, 3, rng=1).summary()
    for warning in ("Disorder above 0.3", "moment closure is unreliable", "Péclet number above 0.3"):
        assert warning in text
    again = apriori.compare(family, 3, rng=1)
    assert again.summary() == text


def test_weak_disorder_refuses():
    with pytest.raises(ValueError, match="periodic along all axes"):
        apriori.weak_disorder(systems.vortex_double_well(), systems.default_grid("vortex_double_well", 8))


# --- certificate ------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(6))
def test_certificate_holds(seed):
    kind = ("exponential", "lognormal")[seed % 2]
    chain = systems.random_rates(150, distribution=kind, sigma=0.3, rng=seed)
    bound = apriori.certificate(chain)
    imbalance, dobrushin = twin.certificate(chain.matrix.toarray().T.clip(0))
    assert bound.imbalance == pytest.approx(imbalance, rel=1e-12)
    assert bound.dobrushin == pytest.approx(dobrushin, rel=1e-12)
    parts = rt.local_global(chain)
    distance = 0.5 * np.abs(parts.jump_chain - 1 / 150).sum()
    local = 1 / chain.exit_rates
    error = 0.5 * np.abs(rt.steady_state(chain).probability - local / local.sum()).sum()
    assert distance <= bound.jump_chain_bound < 0.2
    assert error <= bound.total_variation_bound < 0.6
    assert bound.reason == ""


def test_certificate_says_when_it_is_none():
    bound = apriori.certificate(systems.follmer_kirman(10, 0.1, 1.0))
    assert (bound.dobrushin, bound.jump_chain_bound, bound.total_variation_bound) == (1, 1, 1)
    assert "no successor in common" in bound.reason
    with pytest.raises(ValueError, match="absorbing walls"):
        apriori.certificate(rt.Generator.from_rates([[0, 1], [1, 0]], killing=[0, 0.1]))
    with pytest.raises(ValueError, match="state 1 has none"):
        apriori.certificate(rt.Generator.from_rates([[0, 1], [0, 0]]))
    with pytest.raises(TypeError, match="chain must be a rattling.Generator"):
        apriori.certificate(3)


def test_certificate_of_slow_contraction():
    """Every two states have a successor in common, but the jump chain is far too uneven."""
    rates = np.full((4, 4), 1e-3)
    rates[:, 0] = 1.0
    bound = apriori.certificate(rt.Generator.from_rates(rates * ~np.eye(4, dtype=bool)))
    assert bound.dobrushin < 1 and bound.jump_chain_bound == bound.total_variation_bound == 1
    assert "contracts too slowly" in bound.reason
