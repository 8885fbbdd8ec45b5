"""Generators and the steady states of chains."""

import numpy as np
import pytest
from reference import steady as twin
from scipy import linalg, sparse

import rattling as rt


def random_rates(n, density, seed, sigma=1.0):
    """Sparse lognormal rates; a ring makes the chain irreducible."""
    rng = np.random.default_rng(seed)
    rates = sparse.random(n, n, density, random_state=rng, data_rvs=lambda size: rng.lognormal(0, sigma, size))
    ring = sparse.coo_array((rng.lognormal(0, sigma, n), (np.arange(n), (np.arange(n) + 1) % n)), shape=(n, n))
    return (rates + ring).tocsr()


def null_space(W):
    """Steady probabilities by LAPACK's singular value decomposition."""
    p = linalg.null_space(W)[:, 0]
    return p / p.sum()


class TestGenerator:
    def test_matrix(self):
        rates = random_rates(30, 0.1, 0)
        W = rt.Generator.from_rates(rates)
        expected = rates.toarray().T
        np.fill_diagonal(expected, 0)
        q = expected.sum(axis=0)
        assert isinstance(W.matrix, sparse.csc_array)
        np.testing.assert_allclose(W.matrix.toarray(), expected - np.diag(q), atol=1e-14)
        np.testing.assert_allclose(W.matrix.sum(axis=0), 0, atol=1e-13)
        np.testing.assert_allclose(W.exit_rates, q, rtol=1e-14)

    def test_dense_and_sparse_are_one(self):
        rates = random_rates(20, 0.2, 1)
        a, b = rt.Generator.from_rates(rates), rt.Generator.from_rates(rates.toarray())
        np.testing.assert_array_equal(a.matrix.toarray(), b.matrix.toarray())

    @pytest.mark.parametrize(
        ("rates", "error", "message"),
        [
            ([[0, -1], [1, 0]], ValueError, r"rates must be finite and >= 0, but the rate 0 -> 1 is -1\.0"),
            ([[0, 1], [np.nan, 0]], ValueError, "the rate 1 -> 0 is nan"),
            ([[0, np.inf], [1, 0]], ValueError, "the rate 0 -> 1 is inf"),
            (np.full((3, 3), 1e308), ValueError, "those from state 0 add up to infinity"),
            ([[0, 1]], ValueError, r"square matrix.*got shape \(1, 2\)"),
            (np.zeros((0, 0)), ValueError, "square matrix"),
            (3.0, ValueError, "square matrix"),
            ([["a", "b"], ["c", "d"]], TypeError, "real numbers"),
            ([[0, 1j], [1, 0]], TypeError, "real numbers"),
        ],
    )
    def test_bad_rates(self, rates, error, message):
        with pytest.raises(error, match=message):
            rt.Generator.from_rates(rates)

    def test_recurrent_classes(self):
        rates = np.zeros((6, 6))
        rates[0, 1] = rates[1, 0] = rates[2, 0] = rates[2, 3] = rates[3, 4] = rates[4, 3] = 1
        classes, transient = rt.Generator.from_rates(rates).recurrent_classes()
        assert sorted(map(tuple, classes)) == [(0, 1), (3, 4), (5,)]
        assert list(transient) == [2]


class TestSteadyState:
    @pytest.mark.parametrize("method", ["auto", "direct", "closed-form"])
    @pytest.mark.parametrize(
        ("rate", "expected"),
        [(1, [0.25, 0.25, 0.25, 0.25]), (5, [0.3, 0.2, 0.1, 0.4]), (50, [0.329, 0.171, 0.013, 0.487])],
    )
    def test_unit_ring(self, method, rate, expected):
        """method.md 3.2; Landauer: one rate moves all probabilities."""
        rates = np.array([[0, 1, 0, 1], [1, 0, 1, 0], [0, 1, 0, 1], [1, 0, 1, 0]], float)
        rates[2, 3] = rate
        state = rt.steady_state(rt.Generator.from_rates(rates), method=method)
        np.testing.assert_allclose(state.probability, expected, atol=5e-4)
        np.testing.assert_allclose(state.probability, null_space(rt.Generator.from_rates(rates).matrix.toarray()))

    @pytest.mark.parametrize("seed", range(3))
    def test_methods_and_twins_agree(self, seed):
        W = rt.Generator.from_rates(random_rates(150, 0.03, seed))
        dense = W.matrix.toarray()
        direct = rt.steady_state(W, method="direct")
        krylov = rt.steady_state(W, method="krylov")
        assert (direct.info["method"], krylov.info["method"]) == ("direct", "krylov")
        np.testing.assert_allclose(direct.probability, twin.gth(dense), rtol=1e-12)
        np.testing.assert_allclose(direct.probability, null_space(dense), rtol=1e-9)
        np.testing.assert_allclose(krylov.log_density, direct.log_density, atol=1e-8)
        np.testing.assert_allclose(twin.solve(dense), direct.log_density, atol=1e-8)
        assert direct.entropy_production == np.inf == twin.entropy_production(dense, direct.probability)

    def test_ring_twin(self):
        rng = np.random.default_rng(3)
        up, down = rng.lognormal(0, 2, (2, 9))
        rates = np.zeros((9, 9))
        for i in range(9):
            rates[i, (i + 1) % 9], rates[(i + 1) % 9, i] = up[i], down[i]
        W = rt.Generator.from_rates(rates)
        state = rt.steady_state(W)
        assert state.info["method"] == "closed-form"
        np.testing.assert_allclose(state.probability, twin.ring(up, down), rtol=1e-13)
        np.testing.assert_allclose(state.probability, twin.gth(W.matrix.toarray()), rtol=1e-13)
        sigma = twin.entropy_production(W.matrix.toarray(), state.probability)
        assert state.entropy_production == pytest.approx(sigma, rel=1e-12)
        assert state.entropy_production_field.sum() == pytest.approx(sigma, rel=1e-12)

    def test_wide_rates(self):
        """Each probability to many digits, where the rates span e^40."""
        W = rt.Generator.from_rates(random_rates(2000, 0.003, 5, sigma=4.0))
        krylov = rt.steady_state(W, method="krylov")
        direct = rt.steady_state(W, method="direct")
        assert np.ptp(direct.log_density) > 20
        np.testing.assert_allclose(krylov.log_density, direct.log_density, atol=1e-7)

    def test_large_random_graphs(self):
        """Aggregates of a random graph fill in; two such graphs coupled at 1e-8 at one place
        exchange no net flow there."""
        n, rng = 12000, np.random.default_rng(8)
        source = np.tile(np.repeat(np.arange(n), 6), 2)
        target = rng.integers(0, n, len(source))
        target[::6] = (source[::6] + 1) % n
        second = np.repeat([0, n], 6 * n)
        rates = sparse.coo_array(
            (rng.lognormal(0, 2, len(source)), (source + second, target + second)), shape=(2 * n, 2 * n)
        )
        links = sparse.coo_array(([1e-8, 3e-8], ([5, n + 7], [n + 7, 5])), shape=(2 * n, 2 * n))
        state = rt.steady_state(rt.Generator.from_rates(rates.tocsr() + links.tocsr()))
        assert state.residual < 1e-10 and state.info["levels"] == 2
        assert state.probability[5] == pytest.approx(3 * state.probability[n + 7], rel=1e-8)

    def test_nearly_reducible(self):
        """Two blocks coupled at 1e-12: both masses right, block by block."""
        rng = np.random.default_rng(0)
        rates = linalg.block_diag(rng.random((300, 300)), rng.random((500, 500)))
        rates[0, 300], rates[300, 0] = 1e-12, 3e-12
        W = rt.Generator.from_rates(rates)
        direct, krylov = (rt.steady_state(W, method=m).probability for m in ("direct", "krylov"))
        np.testing.assert_allclose(krylov, direct, rtol=1e-6)
        # the flow between the blocks balances
        assert direct[0] * 1e-12 == pytest.approx(direct[300] * 3e-12, rel=1e-12)

    @pytest.mark.parametrize(("n", "density"), [(80, 0.02), (150, 0.0), (60, 0.3)])
    def test_sparse_elimination(self, n, density):
        """The twin, its dense twin and C."""
        rates = random_rates(n, density, n, sigma=3.0)
        W = rt.Generator.from_rates(rates)
        p = twin.sparse_gth(W.matrix.toarray())
        state = rt.steady_state(W, method="direct")
        np.testing.assert_allclose(p, twin.gth(W.matrix.toarray()), rtol=1e-12)
        np.testing.assert_allclose(state.probability, p, rtol=1e-12)

    def test_large_direct(self):
        """Two blocks coupled at 1e-10, more states than dense elimination is for; each block's
        law is that of the block alone, for at the link the net flow is 0."""
        blocks = [random_rates(n, 1 / n, n, sigma=2.0) for n in (1900, 1300)]
        alone = [rt.steady_state(rt.Generator.from_rates(b), method="direct") for b in blocks]
        links = sparse.coo_array(([1e-10, 3e-10], ([5, 1907], [1907, 5])), shape=(3200, 3200))
        W = rt.Generator.from_rates(sparse.block_diag(blocks, format="csr") + links.tocsr())
        state = rt.steady_state(W, method="direct")
        a, b = (law.probability for law in alone)
        ratio = 3 * b[7] / a[5]
        expected = np.concatenate([a * ratio, b]) / (1 + ratio)
        np.testing.assert_allclose(state.probability, expected, rtol=1e-12)

    @pytest.mark.parametrize("n", [3000, 30000])
    def test_trees(self, n):
        """Conductances and probabilities lognormal with sigma = 3: nothing but elimination has
        each entry right, and it takes no time."""
        rng = np.random.default_rng(n)
        above, below = (rng.random(n - 1) * np.arange(1, n)).astype(int), np.arange(1, n)
        flow, p = rng.lognormal(0, 3, n - 1), rng.lognormal(0, 3, n)
        source, target = np.r_[above, below], np.r_[below, above]
        W = rt.Generator.from_rates(sparse.coo_array((np.tile(flow, 2) / p[source], (source, target)), shape=(n, n)))
        state = rt.steady_state(W)
        assert state.info["method"] == "direct" and "fills in little" in state.info["why"]
        np.testing.assert_allclose(state.probability, p / p.sum(), rtol=1e-12)

    def test_weakly_coupled_grids(self):
        """Two plane grids of lognormal rates (sigma = 3), with no detailed balance, coupled at
        1e-8: the masses are as the flow across, and each grid's law that of it alone."""
        def grid(side, seed):
            rng, at = np.random.default_rng(seed), np.arange(side * side).reshape(side, side)
            a, b = np.r_[at[1:].ravel(), at[:, 1:].ravel()], np.r_[at[:-1].ravel(), at[:, :-1].ravel()]
            rates = rng.lognormal(0, 3, 2 * len(a))
            return sparse.coo_array((rates, (np.r_[a, b], np.r_[b, a])), shape=(side * side,) * 2)

        blocks = [grid(70, 1), grid(90, 2)]
        a, b = (rt.steady_state(rt.Generator.from_rates(x)).probability for x in blocks)
        links = sparse.coo_array(([1e-8, 3e-8], ([0, 4900], [4900, 0])), shape=(13000, 13000))
        W = rt.Generator.from_rates(sparse.block_diag(blocks) + links)
        state = rt.steady_state(W)
        ratio = 3 * b[0] / a[0]
        expected = np.concatenate([a * ratio, b]) / (1 + ratio)
        np.testing.assert_allclose(state.probability, expected, rtol=1e-11)

    @pytest.mark.parametrize("coupling", [1e-3, 1e-6, 1e-11])
    @pytest.mark.parametrize(("density", "sigma"), [(0.0, 0.0), (0.01, 1.0), (0.01, 3.0), (0.04, 3.0)])
    def test_metastable_parts(self, coupling, density, sigma):
        """Three parts of wide rates, linked here and there: each entry as elimination has it."""
        sizes, rng = (120, 200, 180), np.random.default_rng(2)
        rates = sparse.block_diag([random_rates(n, density, n, sigma) for n in sizes], format="lil")
        for a, b in ((3, 150), (170, 340), (350, 20), (60, 250)):
            rates[a, b], rates[b, a] = coupling * rng.lognormal(0, 1, 2)
        W = rt.Generator.from_rates(rates)
        direct, krylov = (rt.steady_state(W, method=m).probability for m in ("direct", "krylov"))
        np.testing.assert_allclose(krylov, direct, rtol=2e-9)

    def test_sweeps_where_the_chain_mixes(self):
        """A few sweeps solve a random graph; two of them linked at 1e-13 are not taken for one,
        though no residual of double precision shows it."""
        W = rt.Generator.from_rates(random_rates(3000, 0.003, 4, sigma=0.5))
        state, krylov = rt.steady_state(W), rt.steady_state(W, method="krylov")
        assert state.info["method"] == "sweeps" and state.residual < 1e-10
        np.testing.assert_allclose(state.probability, krylov.probability, rtol=1e-9)
        blocks = [random_rates(n, 0.005, n, sigma=0.5) for n in (1500, 2000)]
        links = sparse.coo_array(([1e-13, 3e-13], ([5, 1507], [1507, 5])), shape=(3500, 3500))
        state = rt.steady_state(rt.Generator.from_rates(sparse.block_diag(blocks, format="csr") + links.tocsr()))
        assert state.info["method"] == "krylov"
        assert state.probability[5] == pytest.approx(3 * state.probability[1507], rel=1e-9)

    def test_transient_states_have_no_probability(self):
        rates = np.zeros((4, 4))
        rates[0, 1] = rates[1, 0] = rates[2, 0] = rates[3, 2] = 1
        state = rt.steady_state(rt.Generator.from_rates(rates))
        np.testing.assert_array_equal(state.probability, [0.5, 0.5, 0, 0])
        assert np.isneginf(state.log_density[2:]).all()

    def test_reducible(self):
        rates = linalg.block_diag(np.ones((2, 2)), np.ones((3, 3)))
        with pytest.raises(
            rt.ReducibleError, match=r"2 recurrent classes, 2 states \(0, 1\); 3 states \(2, 3, 4\)"
        ) as caught:
            rt.steady_state(rt.Generator.from_rates(rates))
        assert [list(c) for c in caught.value.classes] == [[0, 1], [2, 3, 4]]

    def test_a_law_for_each_class(self):
        rates = np.zeros((6, 6))
        rates[:2, :2] = [[0, 1], [3, 0]]
        rates[2:5, 2:5] = 1
        rates[5, 0] = rates[5, 3] = 1  # transient: it feeds both
        laws = rt.steady_state(rt.Generator.from_rates(rates), classes="all")
        np.testing.assert_allclose(
            [law.probability for law in laws], [[0.75, 0.25, 0, 0, 0, 0], [0, 0, 1 / 3, 1 / 3, 1 / 3, 0]]
        )
        (one,) = rt.steady_state(rt.Generator.from_rates(rates[:2, :2]), classes="all")
        np.testing.assert_allclose(one.probability, [0.75, 0.25])
        with pytest.raises(ValueError, match="classes must be None or 'all'; got 2"):
            rt.steady_state(rt.Generator.from_rates(rates), classes=2)

    def test_single_state(self):
        assert rt.steady_state(rt.Generator.from_rates([[0.0]])).probability == [1.0]

    def test_initial(self):
        W = rt.Generator.from_rates(random_rates(500, 0.01, 2))
        cold = rt.steady_state(W, method="krylov")
        warm = rt.steady_state(W, method="krylov", initial=cold.log_density)
        assert warm.info["krylov_iterations"] < cold.info["krylov_iterations"]

    def test_not_a_ring(self):
        with pytest.raises(ValueError, match="closed-form"):
            rt.steady_state(rt.Generator.from_rates(random_rates(20, 0.3, 0)), method="closed-form")


def test_generators_say_what_they_are():
    assert repr(rt.Generator.from_rates([[0, 1], [1, 0]])) == "Generator(chain, 2 states)"
    on_grid = rt.generator(rt.Model(np.zeros_like, 1.0), rt.Grid([(0, 1)] * 2, 3))
    assert repr(on_grid) == "Generator(grid of shape (3, 3), 9 states)"
