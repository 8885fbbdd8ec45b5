"""Currents, entropy production and its parts, detailed balance."""

import numpy as np
import pytest
import sympy as sp
from scipy import sparse

import rattling as rt
from rattling import thermodynamics as td

X, Y = sp.symbols("x y", real=True)


def driven(n=24):
    """Gradient force and rotation, unequal temperatures, on a grid with uneven cells."""
    model = rt.Model.from_sympy(["-x + 2*y", "-y - 2*x"], [1, 0.6], variables="x y")
    edges = np.sinh(np.linspace(-1.5, 1.5, n + 1)) * 1.7
    return rt.generator(model, rt.Grid([edges, np.linspace(-4, 4, n + 1)]))


def random_chain(n=40, seed=0):
    rng = np.random.default_rng(seed)
    rates = np.where(rng.random((n, n)) < 0.2, rng.lognormal(0, 1, (n, n)), 0)
    rates[np.arange(n), (np.arange(n) + 1) % n] = 1
    rates = np.where(rates + rates.T > 0, np.maximum(rates, 1e-3), 0)  # every link has a way back
    return rt.Generator.from_rates(rates)


def definition(W, p, pi):
    """(total, housekeeping, excess): the sums over ordered pairs, as in the papers."""
    w = W.matrix.toarray()
    total = keeping = excess = 0.0
    for i in range(len(p)):
        for j in range(len(p)):
            if i != j and w[i, j] > 0:
                flow = w[i, j] * p[j]
                total += flow * np.log(w[i, j] * p[j] / (w[j, i] * p[i]))
                keeping += flow * np.log(w[i, j] * pi[j] / (w[j, i] * pi[i]))
                excess += flow * np.log(p[j] * pi[i] / (p[i] * pi[j]))
    return total, keeping, excess


class TestCurrents:
    def test_divergence_is_minus_the_change(self):
        W = driven()
        rng = np.random.default_rng(1)
        p = rng.random(W.shape)
        p /= p.sum()
        result = td.currents(W, p)
        change = (W.matrix @ p.ravel()).reshape(W.shape) / W.grid.volumes
        np.testing.assert_allclose(result.divergence, -change, atol=1e-13 * np.abs(change).max())
        assert [J.shape for J in result.face_currents] == [(25, 24), (24, 25)]

    def test_steady(self):
        W = driven()
        state = rt.steady_state(W)
        result = td.currents(W, state)
        scale = (W.exit_rates * state.density).max()
        assert np.abs(result.divergence).max() < 1e-9 * scale
        np.testing.assert_allclose(result.current, state.current, atol=1e-14 * np.abs(state.current).max())

    def test_flows(self):
        W = random_chain()
        p = np.random.default_rng(2).dirichlet(np.ones(W.n))
        J = td.flows(W, p)
        assert abs(J + J.T).max() == 0
        np.testing.assert_allclose(-J.sum(axis=1), W.matrix @ p, atol=1e-14)
        w = W.matrix.toarray()
        assert J[0, 1] == pytest.approx(w[1, 0] * p[0] - w[0, 1] * p[1])

    def test_a_chain_has_no_faces(self):
        with pytest.raises(ValueError, match="no faces: flows"):
            td.currents(random_chain(), np.full(40, 1 / 40))


class TestEntropyProduction:
    def test_against_the_definition(self):
        W = random_chain()
        p = np.random.default_rng(3).dirichlet(np.ones(W.n))
        state = rt.steady_state(W)
        result = td.entropy_production(W, p, state)
        total, keeping, excess = definition(W, p, state.probability)
        np.testing.assert_allclose(
            [result.total, result.housekeeping, result.excess], [total, keeping, excess], rtol=1e-9
        )
        assert result.field.sum() == pytest.approx(result.total)

    def test_steady_state_keeps_house(self):
        W = driven()
        state = rt.steady_state(W)
        result = td.entropy_production(W, state, state)
        assert result.total == pytest.approx(state.entropy_production, rel=1e-12)
        assert abs(result.excess) < 1e-9 * result.total
        np.testing.assert_allclose(result.field, state.entropy_production_field)

    def test_along_an_evolution(self):
        """Both parts are positive; the excess integrates to the lost distance to p_ss."""
        W = random_chain(seed=4)
        p0 = np.random.default_rng(5).dirichlet(np.ones(W.n))
        state = rt.steady_state(W)
        t = 2 * np.linspace(0, 1, 201) ** 3
        law = rt.evolve(W, p0, t, rtol=1e-9, atol=1e-14)
        result = td.entropy_production(W, law)
        assert result.total.shape == (201,) and result.field.shape == (201, 40)
        assert (result.excess >= 0).all() and (result.housekeeping >= 0).all()
        distance = (law.probability * np.log(law.probability / state.probability)).sum(axis=1)
        lost = np.concatenate([[0], np.cumsum((result.excess[1:] + result.excess[:-1]) / 2 * np.diff(t))])
        np.testing.assert_allclose(lost, distance[0] - distance, atol=2e-3 * distance[0])

    def test_detailed_balance_keeps_no_house(self):
        W = rt.generator(
            rt.Model.from_sympy(["-x - y", "-2*y - x"], 0.7, variables="x y"), rt.Grid([(-3, 3)] * 2, (20, 20))
        )
        p = np.full(W.shape, 1 / W.n)
        result = td.entropy_production(W, p)
        assert abs(result.housekeeping) < 1e-8 * result.total
        assert result.excess > 0

    def test_where_it_is_infinite_or_undefined(self):
        ring = rt.Generator.from_rates(np.roll(np.eye(3), 1, axis=1))
        assert td.entropy_production(ring, np.full(3, 1 / 3)).total == np.inf
        W = rt.generator(rt.Model.from_sympy("0", 1, variables="x"), rt.Grid((0, 1), 8, "absorbing"))
        assert np.isnan(td.entropy_production(W, np.full(8, 1 / 8)).excess)

    @pytest.mark.parametrize(
        ("arguments", "error", "message"),
        [
            ((3, [1.0]), TypeError, "generator must be a Generator, not int"),
            ((random_chain(), np.ones(3)), ValueError, r"p must have shape \(40,\); got \(3,\)"),
            ((random_chain(), np.r_[-0.5, np.ones(39)]), ValueError, "p must not be negative"),
            ((random_chain(), np.full(40, np.nan)), ValueError, "p must be finite"),
            ((random_chain(), np.full(40, 0.025), 3), TypeError, "steady must be a SteadyState"),
        ],
    )
    def test_bad_arguments(self, arguments, error, message):
        with pytest.raises(error, match=message):
            td.entropy_production(*arguments)


class TestDetailedBalance:
    def test_gradient(self):
        U = (X**2 - 1) ** 2 + X * Y + Y**2
        T = sp.Symbol("T", positive=True)
        model = rt.Model.from_sympy([-U.diff(X), -U.diff(Y)], T, variables=(X, Y), parameters={"T": 0.3})
        result = td.detailed_balance(model)
        assert result.holds and result.beta.subs({s: 0.3 for s in result.beta.free_symbols}) == pytest.approx(1 / 0.3)
        symbols = {s.name: s for s in result.potential.free_symbols}
        difference = sp.simplify(result.potential - U.subs({X: symbols["x"], Y: symbols["y"]}))
        assert not difference.free_symbols & set(symbols.values())

    @pytest.mark.parametrize("circulation", [None, "3"])
    def test_steady_states_of_choice(self, circulation):
        phi = X**4 / 4 - X**2 / 2 + Y**2 + X * Y / 3
        model = rt.Model.with_steady_state(phi, [1 + X**2 / 2, sp.exp(Y / 2)], circulation, variables=(X, Y))
        result = td.detailed_balance(model)
        assert result.holds == (circulation is None)
        if result.holds:
            assert result.beta == 1
            symbols = {s.name: s for s in result.potential.free_symbols}
            assert (
                sp.simplify((result.potential - phi.subs({X: symbols["x"], Y: symbols["y"]})).diff(symbols["x"])) == 0
            )
        else:
            assert result.rotation > 1e-3 and "not a gradient" in result.reason

    def test_interpretations_differ(self):
        """Anti-Ito noise alone is flat, Ito noise alone piles up where it is quiet."""
        D = 1 + X**2
        for interpretation, log_p in (("ito", -sp.log(D)), ("anti-ito", 0)):
            model = rt.Model.from_sympy([0], D, variables=(X,), interpretation=interpretation)
            U = td.detailed_balance(model).potential
            (x,) = U.free_symbols or {X}
            assert sp.simplify(U.diff(x) + sp.sympify(log_p).subs(X, x).diff(x)) == 0

    def test_refusals(self):
        with pytest.raises(ValueError, match="must be symbolic"):
            td.detailed_balance(rt.Model(lambda x: -x, 1.0, dim=2))
        with pytest.raises(ValueError, match="singular"):
            td.detailed_balance(rt.Model.from_sympy(["y", "-x - y"], [0, 1], variables="x y"))


class TestCycleAffinities:
    def test_ring(self):
        """One cycle, of affinity 3 log(2/0.5)."""
        rates = 2 * np.roll(np.eye(3), 1, axis=1) + 0.5 * np.roll(np.eye(3), -1, axis=1)
        result = td.cycle_affinities(rt.Generator.from_rates(rates))
        assert not result.holds
        assert result.largest == pytest.approx(3 * np.log(4))
        assert result.affinities.shape == (1,) and result.links.shape == (1, 2)

    def test_equilibrium_gives_the_law(self):
        W = rt.generator(
            rt.Model.from_sympy(["-x - y", "-2*y - x"], 0.7, variables="x y"), rt.Grid([(-3, 3)] * 2, (30, 30))
        )
        result = td.cycle_affinities(W)
        assert result.holds and result.largest < 1e-9
        p = np.exp(result.log_p)
        np.testing.assert_allclose(p / p.sum(), rt.steady_state(W).probability, rtol=1e-9)

    def test_rotation_and_ways_without_return(self):
        assert not td.cycle_affinities(driven()).holds
        assert td.cycle_affinities(rt.Generator.from_rates(np.roll(np.eye(3), 1, axis=1))).largest == np.inf

    def test_unconnected(self):
        rates = sparse.block_diag([sparse.coo_array(np.ones((2, 2)))] * 2)
        with pytest.raises(ValueError, match="connected: only 2 of 4"):
            td.cycle_affinities(rt.Generator.from_rates(rates))


def test_potential_that_is_not_found(monkeypatch):
    """A gradient whose integral SymPy does not find is a gradient all the same."""
    model = rt.Model.from_sympy("sin(x**x)", 1, variables="x")
    balance = td.detailed_balance(model)
    assert balance.holds and balance.potential is None
    assert balance.reason == "SymPy does not find the integral"


def test_cycles_of_grids():
    """log p is that of the density, on uneven cells too; two cells around a ring are refused."""
    still = rt.Model.from_sympy("0", "1", variables="x")
    uneven = rt.generator(still, rt.Grid.from_edges([0.0, 0.1, 0.4, 1.0, 1.1]))
    result = td.cycle_affinities(uneven)
    assert result.holds and np.ptp(result.log_p) < 1e-12
    pair = rt.generator(rt.Model.from_sympy("1", "1", variables="x"), rt.Grid((0, 1), 2, "periodic"))
    with pytest.raises(ValueError, match="cycle_affinities: a periodic axis of two cells"):
        td.cycle_affinities(pair)
