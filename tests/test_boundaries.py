"""Walls that absorb, axes with uneven cells, and mixtures of boundaries."""

import pickle

import numpy as np
import pytest
import sympy as sp
from reference import escape as twin
from reference import finite_volume as fv
from reference import steady as steady_twin
from scipy import linalg as linalg_dense
from scipy import special
from scipy.sparse import linalg

import rattling as rt

X, Y = sp.symbols("x y", real=True)


def still(dim, diffusion):
    """No drift."""
    return rt.Model(lambda x: 0 * x, diffusion, dim=dim)


# --- uneven cells ---------------------------------------------------------------------


class TestEdges:
    def test_same_as_bounds_where_cells_are_equal(self):
        grid = rt.Grid([(0, 1), (-2, 2)], (4, 8), ["periodic", "reflecting"])
        again = rt.Grid.from_edges([grid.edges(0), grid.edges(1)], ["periodic", "reflecting"])
        assert again == grid
        assert hash(again) == hash(grid)
        assert again.uniform == (True, True)

    def test_geometry(self):
        grid = rt.Grid.from_edges([[0, 1, 4], [0, 1, 2, 8]])
        assert (grid.dim, grid.shape, grid.uniform) == (2, (2, 3), (False, False))
        np.testing.assert_array_equal(grid.centres(0), [0.5, 2.5])
        np.testing.assert_array_equal(grid.volumes, np.outer([1, 3], [1, 1, 6]))
        assert grid.bounds == ((0, 4), (0, 8))

    def test_one_axis_and_mixtures(self):
        assert rt.Grid.from_edges([0, 1, 4]) == rt.Grid([[0, 1, 4]]) == rt.Grid([0, 1, 4])
        mixed = rt.Grid([(0, 1), [0, 1, 4]], (5, None), "periodic")
        assert mixed.shape == (5, 2)
        assert mixed.uniform == (True, False)
        np.testing.assert_array_equal(mixed.edges(1), [0, 1, 4])

    def test_values(self, tmp_path):
        grid = rt.Grid([(0, 1), [0, 1, 4]], (5, None), "absorbing")
        assert pickle.loads(pickle.dumps(grid)) == grid
        assert eval(repr(grid), {"Grid": rt.Grid}) == grid
        assert grid != rt.Grid([(0, 1), (0, 4)], (5, 2), "absorbing")
        assert len(repr(rt.Grid.from_edges(np.linspace(0, 1, 1000) ** 2))) < 200
        state = rt.steady_state(still(2, 1.0), grid)
        state.save(tmp_path / "state.npz")
        loaded = rt.SteadyState.load(tmp_path / "state.npz")
        assert loaded.grid == grid
        assert loaded.escape_rate == state.escape_rate

    @pytest.mark.parametrize(
        ("arguments", "error", "message"),
        [
            (([0.0, 1.0],), ValueError, r"axis 0 needs at least 3 cell edges; got an array of shape \(2,\)"),
            (([[0, 1, 2], [0, 1]],), ValueError, "axis 1 needs at least 3 cell edges"),
            (([[0, 1, 1]],), ValueError, r"edges of axis 0 must be finite and increasing; 1\.0 is followed by 1\.0"),
            (([[0, np.nan, 1]],), ValueError, r"0\.0 is followed by nan"),
            (([[0, 1, np.inf]],), ValueError, "is followed by inf"),
            (([[0, 1, 2]], 4), ValueError, r"one \(lower, upper\) pair an axis; got an array of shape \(3,\) for axis 0"),
            (([[0, 1, 2]], (None, None)), ValueError, "one number for each of the 1 axes"),
            ((3,), TypeError, "bounds must be a sequence with one entry an axis; got 3"),
            (([(0, 1)], 4, "open"), ValueError, "'reflecting', 'periodic', 'absorbing'"),
        ],
    )
    def test_bad_edges(self, arguments, error, message):
        with pytest.raises(error, match=message):
            rt.Grid(*arguments)

    @pytest.mark.parametrize("boundary", ["reflecting", "periodic", "absorbing", [("absorbing", "reflecting"), "periodic"]])
    def test_twin(self, boundary):
        rng = np.random.default_rng(4)
        edges = [np.cumsum(rng.uniform(0.2, 1, 7)), np.cumsum(rng.uniform(0.2, 1, 6))]
        grid = rt.Grid.from_edges(edges, boundary)

        def drift(x):
            return np.array([np.sin(x[0] + x[1]), 2 * np.cos(x[0])])

        def diffusion(x):
            return np.array([1 + 0.5 * np.sin(x[1]), 1 + 0.5 * np.cos(x[0])])

        W = rt.generator(rt.Model(drift, diffusion, dim=2), grid)
        dense = fv.generator(drift, diffusion, grid)
        np.testing.assert_allclose(W.matrix.toarray(), dense, rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(W.killing.ravel(), -dense.sum(axis=0), atol=1e-12)

    def test_gibbs_law_on_uneven_cells(self):
        """Zero-flux states are exact in the cell centres whatever the widths."""
        rng = np.random.default_rng(5)
        edges = np.cumsum(rng.uniform(0.01, 0.08, 120)) - 2.5
        grid = rt.Grid.from_edges(edges)
        state = rt.steady_state(rt.Model.from_sympy(4 * X - 4 * X**3, sp.Rational(1, 2), variables=X), grid)
        x = grid.centres(0)
        assert np.ptp(state.log_density - (2 * X**2 - X**4).subs(X, 1).evalf() - 2 * (2 * x**2 - x**4)) < 1e-9

    def test_order_on_stretched_cells(self):
        """Second order where the widths vary smoothly, with a current along both axes."""
        a = (1 - X**2) * (1 - Y**2)
        model = rt.Model.with_steady_state(X * Y + Y**2, [1, 2], 3 * a, variables=(X, Y))
        errors = []
        for n in (24, 48):
            s = np.linspace(-1, 1, n + 1)
            grid = rt.Grid.from_edges([s + 0.3 * np.sin(np.pi * s) / np.pi, s * (1 + s**2) / 2])
            state = rt.steady_state(model, grid)
            exact = np.exp(model.exact_log_density(grid)) * grid.volumes
            errors.append(np.abs(state.probability - exact / exact.sum()).sum())
        assert errors[1] < 1e-3
        assert np.log2(errors[0] / errors[1]) > 1.9

    def test_a_fine_layer_beside_long_cells(self):
        """All that a narrow boundary layer needs: drift into a wall, D small."""
        D = 1e-3
        edges = np.concatenate([np.linspace(0, 20 * D, 41), np.geomspace(20 * D, 1, 60)[1:]])
        state = rt.steady_state(rt.Model(lambda x: -1 + 0 * x, D, dim=1), rt.Grid.from_edges(edges))
        x = state.grid.centres(0)
        near = x < 10 * D
        np.testing.assert_allclose(np.diff(state.log_density[near]), -np.diff(x[near]) / D, rtol=1e-9)


# --- absorbing walls ------------------------------------------------------------------


class TestAbsorbing:
    def test_interval(self):
        """rate = D (pi/L)^2, p ~ sin(pi x/L), both of second order."""
        D, L = 0.7, 3.0
        errors = []
        for n in (40, 80):
            state = rt.steady_state(still(1, D), rt.Grid((0, L), n, "absorbing"))
            assert state.kind == "quasi-stationary"
            p = np.sin(np.pi * state.grid.centres(0) / L)
            # the discrete sine is exact: p vanishes half a cell beyond the last centres
            np.testing.assert_allclose(state.probability, p / p.sum(), rtol=1e-8)
            errors.append(state.escape_rate / (D * (np.pi / L) ** 2) - 1)
        assert abs(errors[1]) < 2e-4
        assert np.log2(errors[0] / errors[1]) == pytest.approx(2, abs=0.01)

    @pytest.mark.parametrize("method", ["direct", "krylov", "closed-form"])
    def test_methods(self, method):
        W = rt.generator(rt.Model.from_sympy(1 - X, 1 + X**2, variables=X), rt.Grid((-2, 3), 60, "absorbing"))
        state = rt.steady_state(W, method=method)
        p, rate = twin.quasi_stationary(W.matrix.toarray())
        assert state.info["method"] == method
        assert state.escape_rate == pytest.approx(rate, rel=1e-8)
        np.testing.assert_allclose(state.probability, p, rtol=1e-7)
        assert state.residual <= 1e-10

    @pytest.mark.parametrize(
        "boundary",
        ["absorbing", ["absorbing", "periodic"], [("reflecting", "absorbing"), "absorbing"], [("absorbing", "reflecting"), "reflecting"]],
    )
    def test_against_arpack(self, boundary):
        model = rt.Model.from_sympy([X - X**3 + Y, -Y - X / 2], [1, 1 + X**2 / 4], variables=(X, Y))
        W = rt.generator(model, rt.Grid([(-2, 2), (-3, 2)], (40, 36), boundary))
        state = rt.steady_state(W)
        value, vector = linalg.eigs(W.matrix, k=1, sigma=0)
        assert state.escape_rate == pytest.approx(-value[0].real, rel=1e-8)
        p = vector[:, 0].real
        np.testing.assert_allclose(state.probability.ravel(), p / p.sum(), atol=1e-9)

    def test_square_with_coarser_grids(self):
        """rate = D1 (pi/a)^2 + D2 (pi/b)^2, started on coarser grids."""
        state = rt.steady_state(still(2, [0.7, 1.0]), rt.Grid([(0, 3), (0, 2)], (96, 64), "absorbing"))
        assert state.escape_rate == pytest.approx(0.7 * (np.pi / 3) ** 2 + (np.pi / 2) ** 2, rel=3e-4)

    def test_drift(self):
        """A tilted interval: rate = D (pi/L)^2 + v^2/(4 D), p ~ e^(v x/(2 D)) sin(pi x/L)."""
        D, v, L = 0.5, 2.0, 2.0
        errors = []
        for n in (100, 200):
            state = rt.steady_state(rt.Model(lambda x: v + 0 * x, D, dim=1), rt.Grid((0, L), n, "absorbing"))
            x = state.grid.centres(0)
            p = np.exp(v * x / (2 * D)) * np.sin(np.pi * x / L)
            np.testing.assert_allclose(state.probability, p / p.sum(), rtol=1e-8)  # exact, as without drift
            errors.append(state.escape_rate / (D * (np.pi / L) ** 2 + v**2 / (4 * D)) - 1)
        assert abs(errors[1]) < 1e-3
        assert np.log2(errors[0] / errors[1]) == pytest.approx(2, abs=0.01)

    def test_noise_that_varies(self):
        """D = x^2 on [1, e]: with u = log x, p x ~ sqrt(1/x) sin(pi u), rate = pi^2 + 1/4."""
        errors = []
        for n in (100, 200):
            state = rt.steady_state(rt.Model(lambda x: 0 * x, lambda x: x[0] ** 2, dim=1), rt.Grid((1, np.e), n, "absorbing"))
            errors.append(state.escape_rate / (np.pi**2 + 0.25) - 1)
        assert abs(errors[1]) < 1e-3
        assert np.log2(errors[0] / errors[1]) > 1.9

    def test_kramers(self):
        """Escape over a barrier: 1/rate = the mean time from the well, a double integral."""
        D = 0.02
        model = rt.Model.from_sympy(-X + X**2, D, variables=X)  # U = x^2/2 - x^3/3, barrier 1/6 at 1
        state = rt.steady_state(model, rt.Grid((-1.5, 2), 4000, [("reflecting", "absorbing")]))
        x = np.linspace(-1.5, 2, 200001)
        U = (x**2 / 2 - x**3 / 3) / D
        inner = np.cumsum(np.exp(-U)) * (x[1] - x[0])
        mean_time = (np.exp(U) * inner)[x > 0].sum() * (x[1] - x[0]) / D
        assert state.escape_rate == pytest.approx(1 / mean_time, rel=2e-3)  # the law is all but at the well
        assert state.escape_rate < 1e-4

    @pytest.mark.parametrize("method", ["closed-form", "direct", "krylov"])
    def test_tiny_rates(self, method):
        """Escape at 1e-42: what an eigenvalue solver loses below 1e-14 of the rates."""
        model = rt.Model.from_sympy(4 * X - 4 * X**3, sp.Rational(1, 20), variables=X)
        state = rt.steady_state(model, rt.Grid((-1.8, 1.8), 400, "absorbing"), method=method)
        assert state.escape_rate == pytest.approx(2.09014908158e-42, rel=1e-7)
        # away from the walls the law is that of equilibrium; the masses of the wells apart
        x = state.grid.centres(0)
        p = np.exp(-20 * (x**2 - 1) ** 2)
        both = state.probability + state.probability[::-1]
        near = np.abs(x) < 1.5
        np.testing.assert_allclose(both[near], 2 * (p / p.sum())[near], rtol=1e-8)

    def test_rate_1e_12_in_two_dimensions(self):
        U = (X**2 - 1) ** 2 + Y**2 + X * Y / 4
        drift = [-U.diff(X) - 2 * U.diff(Y), -U.diff(Y) + 2 * U.diff(X)]
        model = rt.Model.from_sympy(drift, sp.Rational(1, 10), variables=(X, Y))
        grid = rt.Grid([(-2.2, 2.5), (-2, 2)], (64, 64), "absorbing")
        state = rt.steady_state(model, grid)
        assert 1e-13 < state.escape_rate < 1e-9
        # inverse iteration with a sparse factorisation, refined: rate = 1 / sum of the mean times
        lu = linalg.splu(-rt.generator(model, grid).matrix)
        p = state.probability.ravel()
        for _ in range(3):
            x = lu.solve(p)
            p = x / x.sum()
        assert state.escape_rate == pytest.approx(1 / x.sum(), rel=1e-3)  # what the factorisation is good for

    def test_symmetric_wells_both_escape(self):
        """The two slowest modes differ by 1e-6 of the rate: extrapolation finds the even one."""
        model = rt.Model.from_sympy(4 * X - 4 * X**3, sp.Rational(1, 10), variables=X)
        grid = rt.Grid((-1.6, 1.6), 300, "absorbing")
        initial = np.where(grid.centres(0) > 0, 0.0, -1.0)
        states = [rt.steady_state(model, grid), rt.steady_state(model, grid, initial=initial)]
        for state in states:
            np.testing.assert_allclose(state.probability, state.probability[::-1], rtol=1e-6)

    def test_currents(self):
        """The divergence of the face currents is rate x density, walls included."""
        model = rt.Model.from_sympy([X - X**3 + Y, -Y - X / 2], [1, 1], variables=(X, Y))
        edges = [np.linspace(-2, 2, 25), np.linspace(-1.5, 1.5, 21) ** 3]
        state = rt.steady_state(model, rt.Grid.from_edges(edges, [("absorbing", "reflecting"), "absorbing"]))
        J, K = state.face_currents
        out = np.diff(J, axis=0) / np.diff(edges[0])[:, None] + np.diff(K, axis=1) / np.diff(edges[1])
        expected = state.escape_rate * state.density
        np.testing.assert_allclose(out, expected, atol=1e-11 * (state.density * state.exit_rates).max())
        assert (J[0] < 0).all()
        assert (J[-1] == 0).all()
        assert (K[:, 0] < 0).all()
        assert (K[:, -1] > 0).all()
        area = np.diff(edges[1])
        width = np.diff(edges[0])
        total = -(J[0] * area).sum() - (K[:, 0] * width).sum() + (K[:, -1] * width).sum()
        assert total == pytest.approx(state.escape_rate, rel=1e-9)

    def test_drift_that_never_reaches_the_wall(self):
        """No noise and drift inwards: nobody escapes, and the law is steady."""
        model = rt.Model(lambda x: -x, lambda x: np.where(np.abs(x[0]) < 0.5, 0.1, 0.0), dim=1)
        state = rt.steady_state(model, rt.Grid((-1, 1), 40, "absorbing"))
        assert (state.kind, state.escape_rate) == ("steady", 0.0)
        assert np.isneginf(state.log_density[0])

    def test_drift_out_without_noise(self):
        """The rate of an outflow is f / h of the last cell."""
        W = rt.generator(rt.Model(lambda x: 1 + 0 * x, lambda x: 0 * x[0], dim=1), rt.Grid((0, 1), 10, "absorbing"))
        np.testing.assert_allclose(W.killing, [0] * 9 + [10], atol=1e-12)

    def test_result_says_so(self):
        state = rt.steady_state(still(1, 1.0), rt.Grid((0, 1), 20, "absorbing"))
        assert "quasi-stationary" in repr(state)
        assert "escape_rate" in repr(state)
        assert rt.steady_state(still(1, 1.0), rt.Grid((0, 1), 20)).kind == "steady"

    def test_each_side_of_a_corner_takes_its_own(self):
        """J = -2 D_k p/h_k at absorbing sides, also where two of them meet."""
        D = np.array([0.2, 1.0])
        state = rt.steady_state(still(2, D), rt.Grid([(0, 1), (0, 2)], (7, 9), "absorbing"))
        p, scale = state.density, state.density.max()
        for k, J in enumerate(state.face_currents):
            p_k, J_k = np.moveaxis(p, k, 0), np.moveaxis(J, k, 0)
            rate = 2 * D[k] / np.diff(state.grid.edges(k))[0]
            np.testing.assert_allclose(J_k[[0, -1]], rate * p_k[[0, -1]] * [[-1], [1]], atol=1e-9 * scale)

    @pytest.mark.parametrize("depth", [10, 15])
    def test_two_parts_that_escape_about_as_fast(self, depth):
        """Steps that shrink slowly are as far from the end as what they shrink to adds up to."""
        model = rt.Model.from_sympy(f"-{depth}*(4*x*(x**2 - 1) + 0.01)", 1, variables="x")
        W = rt.generator(model, rt.Grid((-1.3, 1.3), 60, "absorbing"))
        matrix = W.matrix.toarray()
        up, down = np.diag(matrix, -1), np.diag(matrix, 1)
        rates, modes = linalg_dense.eigh_tridiagonal(np.diag(matrix), np.sqrt(up * down))
        assert rates[-1] / rates[-2] > 0.9
        log_p = np.log(np.abs(modes[:, -1])) + np.append(0, np.cumsum(np.log(up / down))) / 2
        log_p -= np.log(np.exp(log_p).sum())
        state = rt.steady_state(W, rtol=1e-8)
        np.testing.assert_allclose(np.log(state.probability), log_p, atol=2e-7)

    def test_log_mean_flux_is_refused(self):
        with pytest.raises(ValueError, match="log-mean"):
            rt.steady_state(still(1, 1.0), rt.Grid((0, 1), 20, "absorbing"), flux="log-mean")


class TestChains:
    def test_logistic_epidemic(self):
        """SIS: extinction from the endemic state, against the twin and the asymptotic law."""
        N, R = 100, 1.5
        i = np.arange(1, N + 1)
        up, down = R * i * (1 - i / N), 1.0 * i
        rates = np.diag(up[:-1], 1) + np.diag(down[1:], -1)
        W = rt.Generator.from_rates(rates, killing=np.where(i == 1, down, 0))
        state = rt.steady_state(W)
        p, rate = twin.quasi_stationary(W.matrix.toarray())
        assert state.info["method"] == "closed-form"
        assert state.escape_rate == pytest.approx(rate, rel=1e-9)
        assert state.escape_rate == pytest.approx(p[0], rel=1e-9)
        # Andersson & Djehiche 1998: N (log R - 1 + 1/R), with prefactor (R-1)^2/R sqrt(N/2 pi)
        action = N * (np.log(R) - 1 + 1 / R)
        prediction = (R - 1) ** 2 / R * np.sqrt(N / (2 * np.pi)) * np.exp(-action)
        assert state.escape_rate == pytest.approx(prediction, rel=0.3)

    def test_uniform_killing_changes_nothing(self):
        rng = np.random.default_rng(2)
        rates = rng.lognormal(0, 1, (1200, 1200)) * (rng.random((1200, 1200)) < 0.01)
        steady = rt.steady_state(rt.Generator.from_rates(rates))
        killed = rt.steady_state(rt.Generator.from_rates(rates, killing=np.full(1200, 0.1)))
        assert killed.info["method"] == "krylov"
        assert killed.escape_rate == pytest.approx(0.1, rel=1e-9)
        np.testing.assert_allclose(killed.log_density, steady.log_density, atol=1e-7)

    def test_single_state(self):
        state = rt.steady_state(rt.Generator.from_rates([[0.0]], killing=[3.0]))
        assert (state.escape_rate, state.probability[0]) == pytest.approx((3.0, 1.0), rel=1e-15)

    def test_zero_killing_is_none(self):
        W = rt.Generator.from_rates([[0, 1], [1, 0]], killing=[0, 0])
        assert rt.steady_state(W).kind == "steady"

    @pytest.mark.parametrize(
        ("killing", "error", "message"),
        [
            ([1.0], ValueError, "killing must have length 2"),
            ([1.0, -1.0], ValueError, r"killing must be finite and >= 0, but that of state 1 is -1\.0"),
            ([np.nan, 0.0], ValueError, "that of state 0 is nan"),
            (["a", "b"], TypeError, "killing must be an array of real numbers"),
        ],
    )
    def test_bad_killing(self, killing, error, message):
        with pytest.raises(error, match=message):
            rt.Generator.from_rates([[0, 1], [1, 0]], killing=killing)


# --- mixtures -------------------------------------------------------------------------


def test_periodic_in_one_axis_only():
    """A ring times a well: the law is a product and the current uniform around the ring."""
    model = rt.Model.from_sympy([1, -Y], [sp.Rational(1, 2), 1], variables=(X, Y))
    grid = rt.Grid([(0, 2 * np.pi), (-5, 5)], (30, 80), ["periodic", "reflecting"])
    state = rt.steady_state(model, grid)
    y = grid.centres(1)
    p = np.exp(-(y**2) / 2)
    np.testing.assert_allclose(state.probability, np.tile(p / p.sum() / 30, (30, 1)), rtol=1e-8)
    np.testing.assert_allclose(state.current[0], state.density, rtol=1e-6)
    assert np.abs(state.current[1]).max() < 1e-10


def test_disc_from_bessel():
    """The slowest mode of a disc, cut out by a drift-free wall of no noise, is out of reach of
    boxes; a ring of angles is not: polar coordinates, rate = (j_01)^2 with an absorbing rim."""
    # in polar coordinates p r is the density: f_r = 1/r, D = (1, 1/r^2)
    model = rt.Model.from_sympy([1 / X, 0], [1, 1 / X**2], variables=(X, Y))
    errors = []
    for n in (32, 64):
        grid = rt.Grid([(0, 1), (0, 2 * np.pi)], (n, 8), [("reflecting", "absorbing"), "periodic"])
        errors.append(rt.steady_state(model, grid).escape_rate / special.jn_zeros(0, 1)[0] ** 2 - 1)
    assert abs(errors[1]) < 2e-3
    assert np.log2(errors[0] / errors[1]) > 1.7


def test_twin_of_the_law_on_walls():
    W = rt.generator(rt.Model.from_sympy([-X + Y, -Y - X], [1, 2], variables=(X, Y)), rt.Grid([(-1, 1)] * 2, 6))
    np.testing.assert_allclose(
        rt.steady_state(W).probability.ravel(), steady_twin.gth(W.matrix.toarray()), rtol=1e-10
    )
