"""Evolution in time and relaxation modes."""

import numpy as np
import pytest
from interruption import assert_ctrl_c_is_answered
from reference import evolve as twin
from scipy import sparse
from scipy.integrate import cumulative_trapezoid, trapezoid
from scipy.sparse.linalg import eigs

import rattling as rt
from rattling import evolution


def chain(n, seed, sigma=1.0):
    rng = np.random.default_rng(seed)
    rates = sparse.random(n, n, density=5 / n, random_state=rng, data_rvs=lambda size: rng.lognormal(0, sigma, size))
    ring = sparse.coo_array((rng.lognormal(0, sigma, n), (np.arange(n), (np.arange(n) + 1) % n)), shape=(n, n))
    return rt.Generator.from_rates(rates + ring)


class TestEvolve:
    @pytest.mark.parametrize("sigma", [1.0, 3.0])
    def test_twin(self, sigma):
        """Against expm, for rates over e^2 and (stiff) e^20."""
        W = chain(80, 0, sigma)
        p0 = np.zeros(80)
        p0[3] = 1
        t = [0, 0.01, 0.3, 4, 50]
        law = rt.evolve(W, p0, t, rtol=1e-7)
        np.testing.assert_allclose(law.probability, twin.evolve(W.matrix.toarray(), p0, t), atol=2e-6)
        np.testing.assert_allclose(law.probability.sum(axis=1), 1, atol=1e-12)
        assert law.info["smallest"] > -1e-10
        assert law.info["mass_error"] < 1e-12

    def test_ornstein_uhlenbeck(self):
        """Mean m e^{-t} turning at the rotation's rate, variance (D/k)(1 - e^{-2t})."""
        model = rt.Model.from_sympy(["-x + 2*y", "-y - 2*x"], 1, variables="x y")
        grid = rt.Grid([(-6, 6)] * 2, (64, 64))
        points = grid.points()
        start = np.array([1.5, 0.0])
        s0 = 0.3
        p0 = np.exp(-((points - start) ** 2).sum(axis=1) / (2 * s0))
        p0 = (p0 / p0.sum()).reshape(grid.shape)
        times = np.array([0.1, 0.5, 2.0])
        law = rt.evolve(model, p0, times, grid)
        for t, p in zip(times, law.probability.reshape(3, -1), strict=True):
            mean = p @ points
            exact = 1.5 * np.exp(-t) * np.array([np.cos(2 * t), -np.sin(2 * t)])
            np.testing.assert_allclose(mean, exact, atol=0.01)
            variance = p @ (points - mean) ** 2
            np.testing.assert_allclose(variance, 1 - (1 - s0) * np.exp(-2 * t), rtol=0.03)
        assert law.density.shape == (3, 64, 64)

    def test_long_times_reach_the_steady_state(self):
        W = chain(2000, 4)
        law = rt.evolve(W, np.full(2000, 1 / 2000), 1000.0)
        np.testing.assert_allclose(law.probability[0], rt.steady_state(W).probability, atol=1e-8)

    @pytest.mark.parametrize("t", [1e8, 1e10, 1e14, 1e20])
    def test_endless_times_keep_mass(self, t):
        """What rounding does to the mass in steps as long as t is taken back in each."""
        W = rt.Generator.from_rates(np.random.default_rng(0).random((50, 50)))
        law = rt.evolve(W, np.eye(50)[0], t)
        np.testing.assert_allclose(law.probability[0], rt.steady_state(W).probability, rtol=1e-12)
        assert abs(law.probability.sum() - 1) < 1e-12
        assert law.info["mass_error"] < (1e-12 if t < 1e15 else 1e-8)

    @pytest.mark.parametrize("n", [1, 2, 30])
    def test_two_wells_relax_at_the_rate_of_their_exchange(self, n):
        """Blocks joined at 1e-8: the exchange of two states, with the laws inside the blocks."""
        rng = np.random.default_rng(n)
        blocks = rng.random((2, n, n))
        rates = np.zeros((2 * n, 2 * n))
        rates[:n, :n], rates[n:, n:] = blocks
        rates[n - 1, n], rates[n, n - 1] = 1e-8, 3e-8
        a, b = (rt.steady_state(rt.Generator.from_rates(block)).probability if n > 1 else np.ones(1) for block in blocks)
        there, back = 1e-8 * a[-1], 3e-8 * b[0]
        times = np.array([0.1, 1, 3, 10, 100, 1e4])
        law = rt.evolve(rt.Generator.from_rates(rates), np.eye(2 * n)[0], times / (there + back))
        want = (back + there * np.exp(-times)) / (there + back)
        np.testing.assert_allclose(law.probability[:, :n].sum(axis=1), want, atol=2e-6)
        np.testing.assert_allclose(law.probability.sum(axis=1), 1, atol=1e-12)

    @pytest.mark.parametrize("D", [0.15, 0.1, 0.07])
    def test_slow_escape(self, D):
        """The mass within absorbing walls decays at the escape rate, down to 1e-12."""
        W = rt.generator(rt.Model.from_sympy("-x", D, variables="x"), rt.Grid((-2, 2), 100, "absorbing"))
        law = rt.steady_state(W)
        times = np.array([0.5, 1, 2])
        found = rt.evolve(W, law.probability, times / law.escape_rate)
        np.testing.assert_allclose(found.probability.sum(axis=1), np.exp(-times), rtol=1e-4)

    def test_what_rounding_may_have_moved_is_refused(self):
        """Two wells that exchange as fast as rates are rounded."""
        rates = np.array([[0, 1, 0, 0], [2, 0, 1e-16, 0], [0, 3e-16, 0, 1], [0, 0, 3, 0]])
        W = rt.Generator.from_rates(rates)
        with pytest.raises(rt.ConvergenceError, match="rounding of the rates may have moved"):
            rt.evolve(W, [1.0, 0, 0, 0], 1e15)
        assert rt.evolve(W, [1.0, 0, 0, 0], 1e10).info["rounding"] < 1e-5

    def test_two_parts_that_never_exchange(self):
        """(a + b e^{-(a + b) t})/(a + b) within each; what rounding may have moved has no steady state to be told from."""
        W = rt.Generator.from_rates(np.kron(np.eye(2), [[0, 1], [2, 0]]))
        times = np.array([0.5, 3, 1e9])
        law = rt.evolve(W, [0.3, 0, 0.7, 0], times)
        np.testing.assert_allclose(law.probability[:, ::2], np.outer((2 + np.exp(-3 * times)) / 3, [0.3, 0.7]), atol=1e-5)
        np.testing.assert_allclose(law.probability.sum(axis=1), 1, atol=1e-12)
        with pytest.raises(rt.ConvergenceError, match="rounding of the rates may have moved"):
            rt.evolve(W, [0.3, 0, 0.7, 0], 1e14)

    def test_saves_and_exports(self, tmp_path):
        law = rt.evolve(chain(10, 0), np.full(10, 0.1), [1.0, 2.0])
        law.save(tmp_path / "law.npz")
        again = rt.Evolution.load(tmp_path / "law.npz")
        np.testing.assert_array_equal(again.probability, law.probability)

    def test_interrupt(self):
        model = rt.Model.from_sympy(["-x + 2*y", "-y - 2*x"], 1, variables="x y")
        W = rt.generator(model, rt.Grid([(-6, 6)] * 2, (256, 256)))
        p0 = np.full((256, 256), 1 / 256**2)
        assert_ctrl_c_is_answered(lambda: rt.evolve(W, p0, 1e3), 0.4)

    def test_progress(self):
        seen = []
        rt.evolve(chain(3000, 1), np.full(3000, 1 / 3000), [1, 10, 100], progress=seen.append)
        assert seen
        assert all(0 <= done <= 1 for done in seen)

    @pytest.mark.parametrize(
        ("arguments", "error", "message"),
        [
            ({"p0": np.ones(3)}, ValueError, r"p0 must have shape \(10,\); got \(3,\)"),
            ({"p0": np.full(10, 0.2)}, ValueError, "p0 must sum to 1; it sums to"),
            ({"p0": np.r_[-0.1, 1.1, np.zeros(8)]}, ValueError, "not negative; its smallest value is -0.1"),
            ({"p0": np.full(10, np.nan)}, ValueError, "finite"),
            ({"t": [1, 1]}, ValueError, "t must increase"),
            ({"t": -1}, ValueError, "begin at 0"),
            ({"t": []}, ValueError, "one or more times"),
            ({"t": np.inf}, ValueError, "t must be finite; got inf"),
            ({"rtol": 0}, ValueError, "rtol must be between 0 and 1; got 0"),
            ({"atol": -1}, ValueError, "atol must be between"),
            ({"grid": rt.Grid((0, 1), 10)}, TypeError, "grid must be left out"),
            ({"model": rt.Model.from_sympy("-x", 1, variables="x")}, TypeError, "grid is needed"),
        ],
    )
    def test_bad_arguments(self, arguments, error, message):
        with pytest.raises(error, match=message):
            rt.evolve(**{"model": chain(10, 0), "p0": np.full(10, 0.1), "t": 1.0} | arguments)


class TestRelaxation:
    def test_dense_and_arpack_agree_with_definition(self):
        for n in (60, 1600):
            W = chain(n, 2)
            modes = rt.relaxation_times(W, 3)
            values = -1 / modes.times + 1j * modes.frequencies
            residual = W.matrix @ modes.modes.T - modes.modes.T * values
            assert np.abs(residual).max() < 1e-8 * W.exit_rates.max()
            np.testing.assert_allclose(modes.modes.sum(axis=1), 0, atol=1e-8)
            assert (np.diff(modes.times) <= 1e-9).all()

    def test_against_all_eigenvalues(self):
        W = chain(60, 5)
        values = np.sort(-np.linalg.eigvals(W.matrix.toarray()).real)[1:5]
        np.testing.assert_allclose(1 / rt.relaxation_times(W, 4).times, values, rtol=1e-8)

    def test_three_dimensions_against_a_factorisation(self):
        """Shift-invert with splu, which serves as long as it fits into memory."""
        model = rt.Model.from_sympy(["-x + 2*y", "-y - 2*x", "-z + x/2"], 1, variables="x y z")
        W = rt.generator(model, rt.Grid([(-4, 4)] * 3, (12, 12, 12)))
        modes = rt.relaxation_times(W, 3)
        values, _ = eigs(W.matrix, 12, sigma=1e-8)
        exact = -np.sort(-values.real)[1:4]
        np.testing.assert_allclose(1 / modes.times, -exact, rtol=1e-6)

    def test_metastable(self):
        """Two blocks of 1000 states joined at 1e-9: the slowest mode is their exchange."""
        a, b = chain(1000, 1).matrix, chain(1000, 2).matrix
        rates = sparse.block_diag([a.T, b.T]).tolil()
        rates[0, 1000] = rates[1000, 0] = 1e-9
        W = rt.Generator.from_rates(rates - sparse.diags_array(rates.diagonal()))
        p, q = (
            rt.steady_state(rt.Generator.from_rates(m.T - sparse.diags_array(m.diagonal()))).probability for m in (a, b)
        )
        assert 1 / rt.relaxation_times(W, 1).times[0] == pytest.approx(1e-9 * (p[0] + q[0]), rel=1e-5)

    def test_several_steady_states(self):
        rates = sparse.block_diag([sparse.coo_array(np.ones((n, n))) for n in (2, 3)])
        with pytest.raises(rt.ReducibleError, match="2 recurrent classes"):
            rt.relaxation_times(rt.Generator.from_rates(rates), 1)

    def test_ornstein_uhlenbeck(self):
        """lambda = m (-1 + 2i) + n (-1 - 2i), m and n = 0, 1, ..."""
        model = rt.Model.from_sympy(["-x + 2*y", "-y - 2*x"], 1, variables="x y")
        modes = rt.relaxation_times(rt.generator(model, rt.Grid([(-6, 6)] * 2, (80, 80))), 5)
        np.testing.assert_allclose(1 / modes.times, [1, 1, 2, 2, 2], rtol=0.02)
        np.testing.assert_allclose(np.sort(np.abs(modes.frequencies)), [0, 2, 2, 4, 4], atol=0.05)

    @pytest.mark.parametrize("cells", [200, 1600], ids=["dense", "ARPACK"])
    def test_absorbing_walls_keep_the_slowest_mode(self, cells):
        """D k² with k = n π/L: free diffusion between absorbing walls."""
        model = rt.Model.from_sympy("0", 0.5, variables="x")
        W = rt.generator(model, rt.Grid([(0, 2)], cells, "absorbing"))
        modes = rt.relaxation_times(W, 3)
        n = np.arange(1, 4)
        np.testing.assert_allclose(modes.times, 1 / (0.5 * (n * np.pi / 2) ** 2), rtol=1e-3)
        assert modes.times[0] == pytest.approx(1 / rt.steady_state(W).escape_rate, rel=1e-6)

    @pytest.mark.parametrize("dense", [1000, 100], ids=["dense", "ARPACK"])
    def test_chains_that_are_left(self, dense, monkeypatch):
        """All pairs satisfy W v = λ v, the first being the quasi-stationary law."""
        n = 300
        monkeypatch.setattr(evolution, "_DENSE", dense)
        killing = np.random.default_rng(0).random(n) ** 8
        rates = chain(n, 6).matrix
        W = rt.Generator.from_rates((rates - sparse.diags_array(rates.diagonal())).T, killing)
        found = rt.relaxation_times(W, 4)
        values = -1 / found.times + 1j * found.frequencies
        np.testing.assert_allclose(W.matrix @ found.modes.T, found.modes.T * values, atol=1e-6 * found.times[0])
        all_values, _ = np.linalg.eig(W.matrix.toarray())
        np.testing.assert_allclose(values.real, -np.sort(-all_values.real)[:4], rtol=1e-6)

    @pytest.mark.parametrize(("shape", "D"), [((100,), 0.02), ((1600,), 0.03), ((40, 40), 0.03), ((40, 40), 0.05)])
    def test_escape_slower_than_rounding(self, shape, D):
        """The escape rate is that of steady_state, the next modes those of reflecting walls."""
        model = rt.Model(lambda x: -x, D, dim=len(shape))
        W = rt.generator(model, rt.Grid([(-2, 2)] * len(shape), shape, "absorbing"))
        found = rt.relaxation_times(W, 3)
        assert found.times[0] == pytest.approx(1 / rt.steady_state(W).escape_rate, rel=1e-12)
        assert found.times[0] > 1e16
        inside = rt.relaxation_times(rt.generator(model, rt.Grid([(-2, 2)] * len(shape), shape)), 2)
        np.testing.assert_allclose(found.times[1:], inside.times, rtol=1e-6)

    def test_exchange_slower_than_rounding(self):
        """Modes that are not seen for rounding are not made up; the escape rate is there."""
        W = rt.generator(rt.Model.from_sympy("x - x**3", 0.005, variables="x"), rt.Grid((-1.8, 1.8), 1600, "absorbing"))
        with pytest.raises(rt.ConvergenceError) as caught:
            rt.relaxation_times(W, 2)
        assert caught.value.modes.times[0] == pytest.approx(1 / rt.steady_state(W).escape_rate, rel=1e-12)

    def test_double_well(self):
        """Escape over a barrier: the mean first-passage time, twice for the two ways."""
        D = 0.03
        grid = rt.Grid((-1.8, 1.8), 400)
        W = rt.generator(rt.Model.from_sympy("x - x**3", D, variables="x"), grid)
        x = np.linspace(-1.8, 1, 28001)
        p = np.exp(-(x**4 / 4 - x**2 / 2) / D)
        below = cumulative_trapezoid(p, x, initial=0)
        path = x >= -1
        mfpt = trapezoid(below[path] / p[path], x[path]) / D
        assert rt.relaxation_times(W, 1).times[0] == pytest.approx(mfpt / 2, rel=0.05)

    @pytest.mark.parametrize(
        ("arguments", "error", "message"),
        [
            ((np.eye(3),), TypeError, "generator must be a Generator, not ndarray"),
            ((chain(10, 0), 0), ValueError, "k must be a whole number from 1 to 8; got 0"),
            ((chain(10, 0), 9), ValueError, "from 1 to 8"),
            ((chain(10, 0), 2.0), ValueError, "whole number"),
        ],
    )
    def test_bad_arguments(self, arguments, error, message):
        with pytest.raises(error, match=message):
            rt.relaxation_times(*arguments)


class TestBrokenSolvers:
    """What ARPACK or the linear solves do not find is said, not returned."""

    chain = rt.generator(rt.Model(lambda x: -x, 1.0, dim=2), rt.Grid([(-2, 2)] * 2, 40))

    def test_arpack(self, monkeypatch):
        from scipy.sparse import linalg

        def gives_up(*_, **__):
            raise linalg.ArpackNoConvergence("no", np.ones(2), np.ones((1600, 2)))

        monkeypatch.setattr(linalg, "eigs", gives_up)
        with pytest.raises(rt.ConvergenceError, match="ARPACK found 2 of 8 modes"):
            rt.relaxation_times(self.chain, 2)

    def test_linear_solves(self, monkeypatch):
        resolvent = evolution._core.Resolvent

        class Wrong:
            def __init__(self, chain, gamma, guess):
                self.exact = resolvent(chain, gamma, guess)

            def solve(self, b, rtol):
                return self.exact.solve(b * (1 + 0.3 * np.sin(np.arange(len(b)))), rtol)

        monkeypatch.setattr(evolution._core, "Resolvent", Wrong)
        with pytest.raises(rt.ConvergenceError, match="misses W v|kept a relative residual"):  # rounding decides
            rt.relaxation_times(self.chain, 2)
