"""Landauer's blowtorch: published answers, heat bounds, and the adjoint against differences."""

import numpy as np
import pytest
from reference import blowtorch as twin
from scipy import sparse

import rattling as rt
from rattling import blowtorch, response, systems

# --- two wells --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("heat", "position", "ratios"),
    [
        (4, 0.5, (0.05591, 0.06327, 0.07560)),
        (4, -0.5, (17.88, 15.81, 13.23)),
        (9, 0.5, (0.02715, 0.03287, 0.04493)),
        (0, 0.5, (1, 1, 1)),
    ],
)
def test_two_wells(heat, position, ratios):
    for interpretation, expected in zip(("ito", "stratonovich", "anti-ito"), ratios, strict=True):
        wells = blowtorch.two_wells(heat=heat, position=position, interpretation=interpretation)
        assert wells.ratio == pytest.approx(expected, rel=5e-4)
        assert 0.5 < wells.ratio_local < 1.8, "a local law knows nothing of the way between"


def test_peaks():
    for interpretation, expected in (("ito", 0.0556), ("stratonovich", 0.0561), ("anti-ito", 0.0565)):
        wells = blowtorch.two_wells(interpretation=interpretation)
        assert wells.ratio_peaks == pytest.approx(expected, abs=6e-5)
        assert wells.ratio_peaks_local == pytest.approx(1, abs=0.02)  # T(1) and T(-1) differ by 1.5 %
    assert "local equilibrium" in wells.summary()


def test_local_law_is_right_at_one_temperature():
    wells = blowtorch.two_wells(heat=0.0, temperature=0.3)
    np.testing.assert_allclose(wells.log_local, wells.log_density, atol=1e-8)


def test_two_wells_refuses():
    with pytest.raises(ValueError, match="n_cells must be even"):
        blowtorch.two_wells(n_cells=201)
    with pytest.raises(ValueError, match="heat must be larger than -1"):
        blowtorch.two_wells(heat=-2.0)


def test_scan():
    scan = blowtorch.scan([0.0, 1.0, 4.0], n_cells=400)
    assert np.isnan(scan.correlation[0]) and np.isfinite(scan.correlation[1:]).all()
    assert scan.ratio[2] == pytest.approx(blowtorch.two_wells(n_cells=400).ratio, rel=1e-9)
    assert np.all(np.diff(scan.ratio) < 0)
    r, rho_hat = scan.r[1:], scan.rho_hat[1:]
    np.testing.assert_allclose(scan.rho[1:], (1 + r * rho_hat) / np.sqrt(1 + r**2 + 2 * r * rho_hat), atol=1e-12)
    np.testing.assert_allclose(scan.rho[1:], scan.correlation[1:], atol=1e-8)  # tr D is 2D/2 in 1-D
    assert len(scan.summary().split("\n")) == 4


# --- heat bounds ----------------------------------------------------------------------------


def both_ways(n, density, seed):
    """Lognormal rates on a random connected graph."""
    rng = np.random.default_rng(seed)
    links = np.triu(rng.random((n, n)) < density, 1)
    links[np.arange(n - 1), np.arange(1, n)] |= rng.random(n - 1) < 0.8
    for k in range(1, n):
        if not links[:k, k].any():
            links[rng.integers(k), k] = True
    return rng.lognormal(0, 1, (n, n)) * (links | links.T)


@pytest.mark.parametrize("seed", range(12))
def test_bounds_against_all_paths(seed):
    rates = both_ways(8, (0.05, 0.2, 0.5)[seed % 3], seed)
    chain = rt.Generator.from_rates(rates)
    for x, y in ((0, 7), (3, 5), (6, 1)):
        bounds = blowtorch.heat_bounds(chain, x, y)
        low, high = twin.path_bounds(rates, x, y)
        assert bounds.low == pytest.approx(low, abs=1e-12)
        assert bounds.high == pytest.approx(high, abs=1e-12)
        assert low - 1e-9 <= bounds.log_ratio <= high + 1e-9


def test_bounds_of_one_state():
    bounds = blowtorch.heat_bounds(rt.Generator.from_rates(both_ways(6, 0.4, 0)), 2, 2)
    assert (bounds.low, bounds.high, bounds.log_ratio) == (0, 0, 0)


def test_detailed_balance_of_any_size():
    """All paths agree: the bounds are the answer, also where paths cannot be counted."""
    rng = np.random.default_rng(1)
    energy, barrier = rng.normal(size=60), rng.normal(size=(60, 60))
    chain = rt.Generator.from_rates(np.exp(energy[:, None] - barrier - barrier.T))
    bounds = blowtorch.heat_bounds(chain, 4, 30)
    assert bounds.low == bounds.high == pytest.approx(energy[30] - energy[4], abs=1e-10)
    assert bounds.log_ratio == pytest.approx(bounds.low, abs=1e-7)
    assert bounds.n_potential == bounds.n_parts == 1


def test_a_long_ring_has_two_paths():
    rng = np.random.default_rng(2)
    n = 400
    up, down = rng.lognormal(size=(2, n))
    k = np.arange(n)
    rates = sparse.coo_array((np.r_[up, down], (np.r_[k, (k + 1) % n], np.r_[(k + 1) % n, k])), shape=(n, n))
    bounds = blowtorch.heat_bounds(rt.Generator.from_rates(rates), 100, 10)
    heat = np.log(up / down)
    ways = sorted([heat[10:100].sum(), -heat[np.r_[0:10, 100:n]].sum()])
    np.testing.assert_allclose([bounds.low, bounds.high], ways, rtol=1e-12)
    assert bounds.low <= bounds.log_ratio <= bounds.high


def test_cut_states_divide():
    """Two triangles that share a state: bounds add up, beyond what one part may have."""
    rng = np.random.default_rng(3)
    n = 61
    rates = np.zeros((n, n))
    for k in range(0, n - 1, 2):
        for i, j in ((k, k + 1), (k + 1, k + 2), (k, k + 2)):
            rates[i, j], rates[j, i] = rng.lognormal(size=2)
    bounds = blowtorch.heat_bounds(rt.Generator.from_rates(rates), n - 1, 0)
    parts = [twin.path_bounds(rates[k : k + 3, k : k + 3], 2, 0) for k in range(0, n - 1, 2)]
    np.testing.assert_allclose([bounds.low, bounds.high], np.sum(parts, axis=0), rtol=1e-12)
    assert bounds.n_parts == 30
    assert bounds.low <= bounds.log_ratio <= bounds.high


def test_maes_netocny_inversion():
    """Out of detailed balance a reactivity elsewhere inverts the order of two states."""
    forward = np.log([3.0, 3.0, 3.0])  # a driven ring of three states
    for reactivities in ([1, 1, 1], [1, 100, 1], [1, 0.01, 1]):
        rates = np.zeros((3, 3))
        for k, a in enumerate(reactivities):
            rates[k, (k + 1) % 3], rates[(k + 1) % 3, k] = a * np.exp(forward[k] / 2), a * np.exp(-forward[k] / 2)
        bounds = blowtorch.heat_bounds(rt.Generator.from_rates(rates), 1, 0)
        assert (bounds.low, bounds.high) == pytest.approx((-2 * np.log(3), np.log(3)))
        assert bounds.low < bounds.log_ratio < bounds.high
        order = np.sign(np.round(bounds.log_ratio, 9))
        assert order == {(1, 1, 1): 0, (1, 100, 1): -1, (1, 0.01, 1): 1}[tuple(reactivities)]


@pytest.mark.parametrize(
    ("rates", "states", "error", "message"),
    [
        (np.ones((30, 30)) * np.exp(np.arange(900).reshape(30, 30) % 7), (0, 1), ValueError, "30 states between 1 and 0"),
        ([[0, 1, 1], [0, 0, 1], [1, 1, 0]], (0, 1), ValueError, "0 -> 1 has none"),
        (np.kron(np.eye(2), [[0, 1], [1, 0]]), (0, 2), ValueError, "no path leads from 2 to 0"),
        (np.ones((3, 3)), (0, 3), ValueError, "y must be a state, 0 to 2; got 3"),
        (np.ones((3, 3)), (0.5, 1), TypeError, "x must be the number of a state"),
    ],
)
def test_bounds_refuse(rates, states, error, message):
    with pytest.raises(error, match=message):
        blowtorch.heat_bounds(rt.Generator.from_rates(rates), *states)


# --- susceptibility ---------------------------------------------------------------------------


def log_ratio(chain, a, b):
    p = rt.steady_state(chain, rtol=1e-13).probability
    return np.log(p[a].sum() / p[b].sum())


def difference(function, step):
    """Fourth-order central difference at 0."""
    one, two = (function(s) - function(-s) for s in (step, 2 * step))
    return (8 * one - two) / (12 * step)


def tent(grid, cell):
    """The function that is 1 at the centre of a cell and falls to 0 at its neighbours'."""
    index = np.unravel_index(cell, grid.shape)

    def value(x):
        result = 1.0
        for k, i in enumerate(index):
            low, high = grid.bounds[k]
            away = x[k] - grid.centres(k)[i]
            if grid.boundary[k][0] == "periodic":
                away = away - (high - low) * np.round(away / (high - low))
            result = result * np.clip(1 - np.abs(away) * grid.shape[k] / (high - low), 0, None)
        return result

    return value


def changed(model, field, axis, step, bump):
    """The model with log D_axis or f_axis changed by step * bump(x)."""

    def drift(x):
        f = np.array(model.drift(x))
        if field == "drift":
            f[axis] = f[axis] + step * bump(x)
        return f

    def diffusion(x):
        d = np.einsum("iin->in", model.diffusion(x)).copy()
        if field == "diffusion":
            d[axis] *= np.exp(step * bump(x))
        return d

    return rt.Model(drift, diffusion, dim=model.dim)


CASES = {
    "well": (systems.hot_spot_double_well(), rt.Grid([(-2.2, 2.2)], 60)),
    "ring": (systems.ring(), rt.Grid([(0, 2 * np.pi)], 41, "periodic")),
    "vortex": (systems.vortex_double_well(), rt.Grid([(-2, 2)] * 2, (12, 10))),
    "strong": (rt.Model.from_sympy(["8*cos(y)", "5*sin(x)"], ["1", "exp(cos(x))"], variables="x y"),
               rt.Grid([(0, 2 * np.pi)] * 2, (9, 8), "periodic")),
    "jump": (rt.Model.from_sympy(["-x"], "0.05 + 5*Heaviside(x - 0.3, 1)", variables="x"), rt.Grid([(-2, 2)], 23)),
    "three": (rt.Model.from_sympy(["y", "-x - z", "sin(x)"], ["1 + x**2", "1", "2 + cos(y)"], variables="x y z"),
              rt.Grid([(-1, 1)] * 3, (5, 4, 6))),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("field", ["diffusion", "drift"])
def test_adjoint_against_differences(case, field):
    """To 1e-5 of the largest value; in fact to about 1e-8. (A torch bends log D linearly in
    the formula, exponentially in `changed`: the same to first order.)"""
    model, grid = CASES[case]
    chain = rt.generator(model, grid)
    side = grid.points()[:, 0].reshape(grid.shape)
    a, b = side > np.median(side), side < np.median(side)
    answer = getattr(blowtorch.susceptibility(chain, a, b), field) * grid.volumes
    cells = range(0, chain.n, max(1, chain.n // 9))
    for axis in range(grid.dim):
        for cell in cells:
            bump = tent(grid, cell)

            def ratio(step, axis=axis, bump=bump):
                return log_ratio(rt.generator(changed(model, field, axis, step, bump), grid), a, b)

            expected = difference(ratio, 2e-3)
            assert answer[axis].ravel()[cell] == pytest.approx(expected, abs=1e-5 * np.abs(answer).max())


def test_every_cell_of_the_hot_spot():
    model, grid = systems.hot_spot_double_well(), rt.Grid([(-2.2, 2.2)], 40)
    right = grid.centres(0) > 0
    answer = blowtorch.susceptibility(model, right, ~right, grid).torch * grid.volumes
    expected = [
        difference(
            lambda s, c=c: log_ratio(rt.generator(changed(model, "diffusion", 0, s, tent(grid, c)), grid), right, ~right),
            2e-3,
        )
        for c in range(40)
    ]
    np.testing.assert_allclose(answer, expected, atol=1e-7 * np.abs(answer).max())


TENSOR = [["1 + x**2/8", "sin(y)/3"], ["sin(y)/3", "0.7 + cos(x)/5"]]
PUSH = ["x - x**3 + y/2", "-y - x/2"]


@pytest.mark.parametrize("boundary", ["reflecting", "periodic"])
def test_full_tensors_against_differences(boundary):
    """A torch and a push, both smooth, to second order in the cells."""
    push = PUSH if boundary == "reflecting" else ["sin(x) + cos(y)/2", "-sin(y)"]
    tensor = TENSOR if boundary == "reflecting" else [["1 + cos(x)/4", "sin(y)/3"], ["sin(y)/3", "0.7 + cos(x)/5"]]
    side = 2 if boundary == "reflecting" else np.pi
    bump = "exp(cos(x - 1) + cos(y))"
    errors = []
    for n in (24, 48):
        grid = rt.Grid([(-side, side)] * 2, n, boundary)
        x, y = grid.points().T.reshape(2, n, n)
        a, b = x > side / 3, x < -side / 3
        answer = blowtorch.susceptibility(rt.Model.from_sympy(push, tensor, variables="x y"), a, b, grid)
        assert answer.diffusion.shape == (1, n, n) and answer.drift.shape == (2, n, n)

        def ratio(heat, force, grid=grid, a=a, b=b):
            hot = [[f"({d})*exp({heat}*{bump})" for d in row] for row in tensor]
            model = rt.Model.from_sympy([f"{push[0]} + {force}*{bump}", push[1]], hot, variables="x y")
            return log_ratio(rt.generator(model, grid), a, b)

        field = np.exp(np.cos(x - 1) + np.cos(y))
        by_heat = answer.predict(log_diffusion=field), difference(lambda s: ratio(s, 0), 1e-3)
        by_force = answer.predict(drift=np.array([field, 0 * field])), difference(lambda s: ratio(0, s), 1e-3)
        errors.append([abs(found / wanted - 1) for found, wanted in (by_heat, by_force)])
    assert np.max(errors[1]) < 0.01
    assert np.all(np.array(errors[1]) < np.array(errors[0]) / 2.5 + 1e-4)


def test_prediction():
    """A weak torch, far away and near: first order is what the full solve gives."""
    model, grid = systems.hot_spot_double_well(heat=0.0), rt.Grid([(-2.2, 2.2)], 400)
    x = grid.centres(0)
    answer = blowtorch.susceptibility(model, x > 0, x < 0, grid)
    weak = systems.hot_spot_double_well(heat=0.001)
    predicted = answer.predict(log_diffusion=np.log(weak.diffusion(x[None])[0, 0] / 0.2))
    assert predicted == pytest.approx(log_ratio(rt.generator(weak, grid), x > 0, x < 0) - answer.log_ratio, rel=2e-3)
    assert predicted < -5e-4
    assert answer.predict(drift=0.01) > 0.05


def test_rates_against_differences():
    rates = both_ways(9, 0.4, 5)
    a, b = np.arange(9) < 3, np.arange(9) > 6
    answer = blowtorch.susceptibility(rt.Generator.from_rates(rates), a, b)
    assert len(answer.rates) == np.count_nonzero(rates)
    for i, j, value in zip(answer.source, answer.target, answer.rates, strict=True):

        def ratio(step, i=i, j=j):
            other = rates.copy()
            other[i, j] *= np.exp(step)
            p = rt.steady_state(rt.Generator.from_rates(other), method="direct").probability
            return np.log(p[a].sum() / p[b].sum())

        assert value == pytest.approx(difference(ratio, 2e-3), abs=1e-9)


def test_reactivities_do_nothing_in_detailed_balance():
    rng = np.random.default_rng(0)
    energy, barrier = rng.normal(size=12), rng.normal(size=(12, 12))
    rates = np.exp(energy[:, None] - (barrier + barrier.T) / 2)
    answer = blowtorch.susceptibility(rt.Generator.from_rates(rates), 0, 11)
    assert abs(answer.reactivities()).max() < 1e-12
    assert answer.log_ratio == pytest.approx(energy[11] - energy[0], abs=1e-9)
    rates[0, 1] *= 3
    assert abs(blowtorch.susceptibility(rt.Generator.from_rates(rates), 0, 11).reactivities()).max() > 1e-3


def test_iteration_agrees_with_factorisation(monkeypatch):
    model, grid = CASES["vortex"]
    side = grid.points()[:, 0].reshape(grid.shape)
    direct = blowtorch.susceptibility(model, side > 0, side < 0, grid)
    monkeypatch.setattr(response, "_DIRECT", {})
    monkeypatch.setattr(response, "_DIRECT_OTHER", 0)
    other = blowtorch.susceptibility(model, side > 0, side < 0, grid)
    np.testing.assert_allclose(other.torch, direct.torch, rtol=1e-7, atol=1e-9)


def test_transient_states_do_not_count():
    rates = np.array([[0, 1.0, 2, 0], [2, 0, 3, 0], [1, 1, 0, 0], [1, 1, 1, 0]])
    answer = blowtorch.susceptibility(rt.Generator.from_rates(rates), 0, 2)
    assert np.isnan(answer.adjoint[3])
    assert not answer.rates[answer.source == 3].any()


@pytest.mark.parametrize(
    ("a", "b", "error", "message"),
    [
        ([True, False], [False, True], ValueError, r"a must have the shape of the states, \(4,\); got \(2,\)"),
        ([True] * 4, [False, True, False, False], ValueError, "must not overlap; 1 states are in both"),
        ([False] * 4, [True] * 4, ValueError, "a must not be empty"),
        (0, [1, 0, 0, 1], TypeError, "b must be a mask of booleans"),
        (0, 4, ValueError, "b must be a state, 0 to 3"),
        (3, 0, ValueError, "the region a has no probability"),
    ],
)
def test_regions_refused(a, b, error, message):
    rates = np.array([[0, 1.0, 2, 0], [2, 0, 3, 0], [1, 1, 0, 0], [1, 1, 1, 0]])
    with pytest.raises(error, match=message):
        blowtorch.susceptibility(rt.Generator.from_rates(rates), a, b)


def test_results(tmp_path):
    import matplotlib

    matplotlib.use("Agg")
    model, grid = CASES["vortex"]
    side = grid.points()[:, 0].reshape(grid.shape)
    answer = blowtorch.susceptibility(model, side > 0, side < 0, grid)
    answer.save(tmp_path / "map.npz")
    np.testing.assert_array_equal(rt.results.Result.load(tmp_path / "map.npz").torch, answer.torch)
    assert set(answer.to_xarray().data_vars) == {"diffusion", "drift", "adjoint", "probability"}
    answer.plot()
    matplotlib.pyplot.figure()
    blowtorch.two_wells(n_cells=100).plot()
    matplotlib.pyplot.figure()
    blowtorch.scan([1.0, 2.0], n_cells=100).plot()
    matplotlib.pyplot.close("all")
    chain = blowtorch.susceptibility(systems.follmer_kirman(5, 0.1, 1.0), 0, 5)
    assert chain.diffusion is None
    for act in (lambda: chain.torch, chain.plot, chain.predict):
        with pytest.raises(ValueError, match="a chain without a grid"):
            act()


def test_a_broken_adjoint_solution_is_caught(monkeypatch):
    chain = systems.wells_barriers_forces(size=5, rng=1)
    monkeypatch.setattr(response, "_factorise", lambda matrix, right: np.zeros(len(right)))
    with pytest.raises(rt.ConvergenceError, match="the adjoint equation has the residual") as caught:
        blowtorch.susceptibility(chain, 0, 3)
    assert caught.value.residual > 1e-6
