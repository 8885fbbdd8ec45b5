"""Mixed drives, designed noise, melting: predictions, gradients, and the full solves beside them."""

import pickle

import numpy as np
import pytest
import sympy

import rattling as rt
from rattling import designs, systems
from rattling import engineering as en

GRID = rt.Grid([(0, 2 * np.pi)] * 2, 24, "periodic")
X, Y = GRID.points().T.reshape(2, 24, 24)
SPOT = np.hypot(X - 3, Y - 3) < 1.2
LINE = rt.Grid((0, 2 * np.pi), 64, "periodic")


def media(n, **options):
    return [systems.random_diffusion(2, amplitude=0.5, rng=k, **options) for k in range(n)]


def waves(n=3):
    rng = np.random.default_rng(n)
    return [lambda x, c=c: np.cos(x[0] - c[0]) + np.cos(x[1] - c[1]) for c in rng.uniform(0, 6, (n, 2))]


def chains(n=3):
    return [systems.wells_barriers_forces(size=5, rng=k) for k in range(n)]


# --- mixtures -----------------------------------------------------------------------------------


def test_mix_of_symbols_stays_symbolic():
    a = rt.Model.from_sympy(["-k*x", "-y"], ["T", "1"], variables="x y", parameters={"k": 2, "T": 3})
    b = rt.Model.from_sympy(["k", "0"], [[2, "x"], ["x", "x**2 + 1"]], variables="x y", parameters={"k": 5})
    both = en.mix([a, b], [0.25, 0.75])
    assert both.kind == "sympy" and both.diffusion_tensor[0, 1] == sympy.Symbol("x", real=True) * 0.75
    x = np.random.default_rng(1).normal(size=(2, 5))
    np.testing.assert_allclose(both.drift(x), 0.25 * a.drift(x) + 0.75 * b.drift(x), rtol=1e-14)
    np.testing.assert_allclose(both.diffusion(x), 0.25 * a.diffusion(x) + 0.75 * b.diffusion(x), rtol=1e-14)


@pytest.mark.parametrize("kinds", [("isotropic", "diagonal"), ("isotropic", "tensor")])
def test_mix_of_functions(kinds):
    a, b = (systems.random_force(2, kind=kind, rng=1) for kind in kinds)
    both = pickle.loads(pickle.dumps(en.mix([a, b], [1, 2])))
    x = np.random.default_rng(1).uniform(0, 6, size=(2, 7))
    np.testing.assert_allclose(both.diffusion(x), a.diffusion(x) + 2 * b.diffusion(x), rtol=1e-13)
    np.testing.assert_allclose(both.drift(x), a.drift(x) + 2 * b.drift(x), rtol=1e-13)


def test_mix_of_interpretations_is_that_of_ito_drifts():
    hot = "2 + sin(x)"
    ito, anti = (rt.Model.from_sympy("0", hot, variables="x", interpretation=i) for i in ("ito", "anti-ito"))
    law = rt.steady_state(en.mix([ito, anti], [1, 1]), LINE)
    middle = rt.steady_state(rt.Model.from_sympy("0", hot, variables="x", interpretation="stratonovich"), LINE)
    np.testing.assert_allclose(law.density, middle.density, rtol=1e-8)


def test_mix_of_chains():
    a, b = chains(2)
    both = en.mix([a, b], [0.3, 0.7])
    np.testing.assert_allclose(both.matrix.toarray(), 0.3 * a.matrix.toarray() + 0.7 * b.matrix.toarray(), rtol=1e-13)
    np.testing.assert_allclose(both.exit_rates, 0.3 * a.exit_rates + 0.7 * b.exit_rates, rtol=1e-13)


def test_a_mixture_selects_what_is_quiet_under_all_drives():
    """Isotropic noise without drift: p ∝ 1/Σ w_k D_k exactly, so the law has no error but
    the grid's; each drive alone likes other places."""
    drives = media(3)
    weights = np.array([0.5, 0.3, 0.2])
    check = en.verify(en.mix(drives, weights), GRID, region=SPOT)
    assert check.gamma == pytest.approx(1, abs=1e-6)
    assert check.total_variation < 1e-6 and check.kl_explained > 0.999999
    assert check.region_predicted == pytest.approx(check.region_obtained, abs=1e-6)
    exact = 1 / sum(w * np.exp(rt.exact_rattling(d, GRID)) for w, d in zip(weights, drives, strict=True))
    np.testing.assert_allclose(check.predicted, exact / exact.sum(), rtol=1e-6)
    quietest = [np.argmin(rt.exact_rattling(drive, GRID)) for drive in drives]
    assert len({*quietest, int(np.argmax(check.obtained))}) == 4


def test_verify_with_drift_says_how_wrong_the_law_is():
    model = systems.random_force(2, force=0.7, disorder=0.4, rng=7)
    check = en.verify(model, GRID, region=SPOT, gamma=1.0)
    assert check.gamma == 1.0 and 0.02 < check.total_variation < 0.5
    assert check.kl_explained <= check.scores.kl_explained + 1e-9, "no gamma does better than gamma_kl"
    best = en.verify(model, GRID, gamma=check.scores.gamma_kl)
    assert best.kl_explained == pytest.approx(check.scores.kl_explained, abs=1e-6)
    assert np.isnan(best.region_predicted)
    np.testing.assert_allclose([check.predicted.sum(), check.obtained.sum()], 1)
    assert f"{check.region_obtained:.4g}" in check.summary()


def test_probabilities_below_the_smallest_number():
    """p over e^±1000: logarithms are compared, not numbers that have become 0."""
    model = rt.Model.from_sympy("0", "exp(500*sin(x))", variables="x")
    check = en.verify(model, rt.Grid((0, 2 * np.pi), 400, "periodic"), gamma=2)
    assert check.predicted.min() == 0
    assert check.kl_explained == pytest.approx(1, abs=1e-6)


def test_verify_of_a_chain():
    chain = systems.wells_barriers_forces(1, 0, 0, size=6, rng=1)  # traps: p ∝ 1/q
    region = np.arange(64) < 20
    check = en.verify(chain, region=region)
    assert check.gamma == pytest.approx(1, abs=1e-9) and check.total_variation < 1e-9
    assert check.region_volume == 20 / 64


# --- design -----------------------------------------------------------------------------------------


def problems(grid=GRID):
    spot = np.hypot(*(grid.points().T - 3)).reshape(grid.shape) < 1.2
    force = systems.random_force(2, force=0.7, disorder=0.4, rng=7)
    return {
        "noise": (designs._Noise(force, waves(), spot, grid, 1.0), np.array([0.3, -0.2, 0.1])),
        "drives": (designs._Drives([force, *media(2)], spot, grid, 1.0, np.full(3, 1 / 3)), np.array([0.3, 0.5, 0.2])),
        "tensors": (
            designs._Drives(media(3, kind="tensor"), spot, grid, 1.3, np.full(3, 1 / 3)),
            np.array([0.3, 0.5, 0.2]),
        ),
        "chains": (designs._Drives(chains(), np.arange(32) < 9, None, 1.0, np.full(3, 1 / 3)), np.array([0.3, 0.5, 0.2])),
    }


def differences(function, values, h=1e-4):
    return np.array(
        [(function(values + h * e)[0] - function(values - h * e)[0]) / (2 * h) for e in np.eye(len(values))]
    )


@pytest.mark.parametrize("name", ["noise", "drives", "tensors", "chains"])
def test_gradients_of_the_law(name):
    problem, values = problems()[name]
    np.testing.assert_allclose(problem.by_law(values)[1], differences(problem.by_law, values), rtol=1e-6, atol=1e-8)


def error_of_full_gradient(name, grid=GRID):
    problem, values = problems(grid)[name]
    wanted = differences(problem.by_solve, values)
    return np.abs(problem.by_solve(values)[1] - wanted).max() / np.abs(wanted).max()


def test_gradients_of_the_full_solve_of_chains():
    assert error_of_full_gradient("chains") < 1e-6


@pytest.mark.parametrize("name", ["noise", "drives", "tensors"])
def test_gradients_of_the_full_solve_of_fields(name):
    """As accurate as the grid: of second order."""
    coarse, fine = (error_of_full_gradient(name, rt.Grid(GRID.bounds, n, "periodic")) for n in (12, 24))
    assert coarse < 0.08 and fine < coarse / 3


def test_designed_drives():
    drives = media(3)
    design = en.design_drives(drives, SPOT, GRID)
    assert design.values.sum() == pytest.approx(1, abs=1e-9) and (design.values >= 0).all()
    assert design.predicted == pytest.approx(design.obtained, abs=1e-6), "no drift: the law is exact"
    assert design.start_obtained < design.obtained
    for weights in np.random.default_rng(1).dirichlet(np.ones(3), 200):
        p = np.exp(designs.log_law(1.0, rt.exact_rattling(en.mix(drives, weights), GRID), GRID.volumes))
        assert p[SPOT].sum() <= design.predicted + 1e-9
    again = en.design_drives(drives, SPOT, GRID, objective="solve")
    np.testing.assert_allclose(again.obtained, design.obtained, rtol=1e-4)


def test_designed_noise_keeps_its_bounds_and_beats_the_start():
    force = systems.random_force(2, force=0.7, disorder=0.4, rng=7)
    law = en.design_noise(force, waves(), SPOT, GRID, bounds=(-0.5, 0.5))
    assert np.abs(law.values).max() <= 0.5 and law.predicted > law.start_predicted
    assert law.obtained > law.start_obtained, "the law's torch works in the full system"
    full = en.design_noise(force, waves(), SPOT, GRID, bounds=(-0.5, 0.5), objective="solve")
    assert full.obtained >= law.obtained - 1e-3
    assert law.check.region_obtained == law.obtained and "Values:" in law.summary()
    # at a corner of the box the gradient points out of it
    slope = designs._Noise(force, waves(), SPOT, GRID, law.gamma).by_law(law.values)[1]
    at_end = np.abs(law.values) > 0.5 - 1e-9
    assert np.all(slope[at_end] * law.values[at_end] <= 1e-9) and np.abs(slope[~at_end]).max(initial=0) < 1e-4


def test_designed_chains():
    region = np.arange(32) < 9
    law = en.design_drives(chains(), region, bounds=(0.1, 0.8))
    full = en.design_drives(chains(), region, bounds=(0.1, 0.8), objective="solve")
    assert law.values.min() >= 0.1 - 1e-9 and law.values.max() <= 0.8 + 1e-9
    assert law.predicted >= law.start_predicted and full.obtained >= max(full.start_obtained, law.obtained) - 1e-9


# --- melting ------------------------------------------------------------------------------------


def test_heat():
    model = systems.random_force(2, kind="tensor", rng=1)
    x = np.ones((2, 3))
    np.testing.assert_allclose(en.heat(model, 2).diffusion(x), model.diffusion(x) + 2 * np.eye(2)[..., None])
    strange = rt.Model.from_sympy("0", "T*(2 + sin(x))", variables="x", parameters={"T": 3}, interpretation="anti-ito")
    hot = en.heat(strange, 1)
    assert hot.kind == "sympy" and hot.diffusion([0.0])[0, 0] == 7 and hot.drift([0.0])[0] == 3


def test_melting_without_drift_is_predicted():
    melt = en.melting(media(1)[0], [0, 0.5, 1, 2, 4], GRID)
    np.testing.assert_allclose(melt.order_predicted, melt.order_obtained, rtol=1e-4)
    assert (np.diff(melt.order_obtained) < 0).all() and (np.diff(melt.spread) < 0).all()
    predicted, obtained = melt.melting_temperature()
    assert 0 < predicted < 1 and predicted == pytest.approx(obtained, rel=1e-4)
    assert np.isnan(melt.melting_temperature(1e-9)).all()
    # p ∝ 1/(D + T), KL by hand
    d = np.exp(rt.exact_rattling(media(1)[0], GRID)) / 2
    p = 1 / (d + 2) / np.sum(1 / (d + 2))
    assert melt.order_obtained[3] == pytest.approx(np.sum(p * np.log(p * p.size)), rel=1e-5)


def test_results_are_kept(tmp_path):
    pytest.importorskip("matplotlib")
    melt = en.melting(media(1)[0], [0, 1], GRID)
    design = en.design_noise(media(1)[0], waves(1), SPOT, GRID)
    for result in (melt, design, design.check):
        result.save(tmp_path / "r.npz")
        assert repr(type(result).load(tmp_path / "r.npz")) == repr(result)
        pickle.loads(pickle.dumps(result))
    assert melt.plot().get_xlabel() == "temperature added"
    assert "predicted" in design.check.plot().get_xlabel()


# --- bad input --------------------------------------------------------------------------------------

MODEL = rt.Model.from_sympy("0", "2 + sin(x)", variables="x")
HALF = LINE.centres(0) < 3


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: en.mix([], []), TypeError, "drives must be a sequence of models.*got none"),
        (lambda: en.mix([MODEL, chains(1)[0]], [1, 1]), TypeError, "got Generator, Model"),
        (lambda: en.mix([MODEL, *media(1)], [1, 1]), ValueError, "same coordinates; they have 1, 2"),
        (lambda: en.mix([MODEL], [1, 1]), ValueError, "one number for each of the 1 drives"),
        (lambda: en.mix([MODEL], [-1]), ValueError, "weights must be finite, not negative"),
        (lambda: en.mix([MODEL], [0]), ValueError, "not all 0"),
        (lambda: en.heat(MODEL, -1), ValueError, "temperature must not be negative"),
        (lambda: en.heat(chains(1)[0], 1), TypeError, "model must be a rattling.Model"),
        (lambda: en.verify(MODEL), TypeError, "grid is needed"),
        (lambda: en.verify(chains(1)[0], LINE), TypeError, "grid must be left out"),
        (lambda: en.verify(3, LINE), TypeError, "system must be"),
        (lambda: en.verify(MODEL, LINE, region=np.ones(64)), TypeError, "region must be a mask of booleans"),
        (
            lambda: en.verify(MODEL, LINE, region=HALF[1:]),
            ValueError,
            r"region must have the shape of the states, \(64,\)",
        ),
        (lambda: en.verify(MODEL, LINE, region=HALF | ~HALF), ValueError, "some of the states, and not all"),
        (lambda: en.verify(rt.Model(np.zeros_like, 0.0, dim=1), LINE), ValueError, "D must not be singular"),
        (lambda: en.design_drives([MODEL] * 2, HALF, LINE, bounds=(0, 0.3)), ValueError, "weights that add up to 1"),
        (lambda: en.design_drives([MODEL] * 2, HALF, LINE, bounds=(1, 0)), ValueError, "low <= high"),
        (lambda: en.design_drives([MODEL] * 2, HALF, LINE, objective="best"), ValueError, "objective must be one of"),
        (lambda: en.design_noise(MODEL, [], HALF, LINE), TypeError, "patterns must be a sequence of functions"),
        (lambda: en.design_noise(MODEL, [lambda x: x], HALF, LINE), ValueError, r"pattern 0 must return .* \(64,\)"),
        (lambda: en.melting(MODEL, [0, 1], LINE).melting_temperature(1.5), ValueError, "share must be between 0 and 1"),
        (lambda: en.melting(MODEL, [1, 1], LINE), ValueError, "temperatures must increase"),
        (lambda: en.melting(MODEL, [-1, 1], LINE), ValueError, "temperatures must be a line of numbers >= 0"),
    ],
)
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_verify_takes_the_generator_of_a_model():
    model, region = media(1)[0], SPOT
    one, other = en.verify(model, GRID, region=region), en.verify(rt.generator(model, GRID), region=region)
    assert one == other or one.summary() == other.summary()
