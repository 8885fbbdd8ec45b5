"""Laws that hold for every system: symmetries, units, conservation, identities.

Models, grids and chains are drawn by hypothesis, the same ones in every run.
"""

import dataclasses
import math

import hypothesis
import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
import scipy.linalg
import sympy
from hypothesis import given
from hypothesis import strategies as st

import rattling as rt
from rattling import _core, blowtorch, engineering, thermodynamics

few = hypothesis.settings(
    derandomize=True, max_examples=6, deadline=None, database=None, suppress_health_check=list(hypothesis.HealthCheck)
)
seeds = st.integers(0, 2**32 - 1)
factors = st.floats(0.1, 10)
SIDES = ["reflecting", "periodic", ("reflecting", "absorbing"), ("absorbing", "reflecting")]


# --- random systems -------------------------------------------------------------------------------


@dataclasses.dataclass
class System:
    """dx = f dt + √(2D) dW (Itô) in a box of cells; f and D are SymPy expressions."""

    x: list
    f: list
    D: sympy.Matrix
    edges: list
    boundary: list

    @property
    def dim(self):
        return len(self.x)

    def model(self):
        return rt.Model.from_sympy(self.f, self.D, variables=self.x)

    def grid(self):
        return rt.Grid.from_edges(self.edges, self.boundary)

    def mapped(self, order=None, scale=1.0, shift=0.0, time=1.0):
        """The same system in other coordinates, x'_k = scale_k x_order[k] + shift_k, t' = time t."""
        order = list(range(self.dim)) if order is None else list(order)
        scale, shift = np.broadcast_to(scale, self.dim), np.broadcast_to(shift, self.dim)
        old = {self.x[i]: (self.x[k] - shift[k]) / scale[k] for k, i in enumerate(order)}
        f = [self.f[i].subs(old, simultaneous=True) * scale[k] / time for k, i in enumerate(order)]
        D = sympy.Matrix(
            self.dim,
            self.dim,
            lambda k, m: self.D[order[k], order[m]].subs(old, simultaneous=True) * scale[k] * scale[m] / time,
        )
        edges = [self.edges[i] * s + c for i, s, c in zip(order, scale, shift, strict=True)]
        edges = [e if s > 0 else e[::-1] for e, s in zip(edges, scale, strict=True)]
        boundary = [self.boundary[i] if s > 0 else self.boundary[i][::-1] for i, s in zip(order, scale, strict=True)]
        return System(self.x, f, D, edges, boundary)


@st.composite
def systems(draw, dims=(1, 2), tensor=True, absorbing=False):
    """Smooth f and D of any size within a decade or so; walls, cells and full tensors as they come."""
    dim = draw(st.sampled_from(dims))
    full = dim > 1 and tensor and draw(st.booleans())
    x = list(sympy.symbols(f"x:{dim}", real=True))
    rng = np.random.default_rng(draw(seeds))

    def wave(size):
        k = rng.integers(-1, 2, dim)
        return size * rng.uniform(-1, 1) * sympy.sin(sum(int(a) * b for a, b in zip(k, x, strict=True)) + rng.uniform(0, 6))

    D = sympy.zeros(dim)
    for i in range(dim):
        D[i, i] = rng.uniform(0.5, 1.5) * (1 + wave(0.3) + wave(0.3))
        for j in range(i if full else 0):
            D[i, j] = D[j, i] = wave(0.15)
    sides = [draw(st.sampled_from(SIDES if absorbing else SIDES[:2])) for _ in range(dim)]
    boundary = [(side, side) if isinstance(side, str) else side for side in sides]
    edges = []
    for _ in range(dim):
        n = rng.integers(*{1: (20, 30), 2: (5, 10), 3: (3, 6)}[dim])
        widths = 1 + (0.05 if full else 0.5) * rng.uniform(-1, 1, n)
        edges.append(rng.uniform(-3, 0) + np.append(0, np.cumsum(widths)) * 2 * np.pi / widths.sum())
    return System(x, [wave(1.0) + wave(1.0) + rng.normal() / 2 for _ in x], D, edges, boundary)


@st.composite
def chains(draw):
    """Rates over two decades between all pairs of states."""
    n = draw(st.integers(3, 8))
    rates = 10 ** np.random.default_rng(draw(seeds)).uniform(-1, 1, (n, n))
    np.fill_diagonal(rates, 0)
    return rates


def laws(rng, n):
    """A random probability."""
    p = rng.uniform(0.01, 1, n)
    return p / p.sum()


def reversible(rng, p):
    """Rates that are in detailed balance with p."""
    s = rng.uniform(0.1, 1, (len(p), len(p)))
    return (s + s.T) / p[:, None] * (1 - np.eye(len(p)))


def solve(system):
    return rt.steady_state(system.model(), system.grid(), rtol=1e-12, flux="exponential")


def turned(field, order, scale):
    """A field over the cells, in the coordinates of System.mapped."""
    field = np.transpose(field, order)
    return np.flip(field, [k for k in range(field.ndim) if np.broadcast_to(scale, field.ndim)[k] < 0])


def check_mapped(system, order=None, scale=1.0, shift=0.0, time=1.0):
    """Everything that is reported transforms as its units and its direction say."""
    order = list(range(system.dim)) if order is None else list(order)
    scale = np.broadcast_to(scale, system.dim)
    other = system.mapped(order, scale, shift, time)
    a, b = solve(system), solve(other)
    volume = np.prod(np.abs(scale))
    np.testing.assert_allclose(b.log_density, turned(a.log_density, order, scale) - math.log(volume), atol=1e-9)
    np.testing.assert_allclose(b.exit_rates, turned(a.exit_rates, order, scale) / time, rtol=1e-9)
    rounding = 1e-12 * (a.exit_rates * a.density).max()  # of the flows there and back, whose difference J is
    for k, i in enumerate(order):
        expected = turned(a.current[i], order, scale) * scale[k] / volume / time
        atol = (1e-8 * np.abs(a.current).max() + rounding) * abs(scale[k]) / volume / time
        np.testing.assert_allclose(b.current[k], expected, rtol=0, atol=atol)
    assert b.escape_rate * time == pytest.approx(a.escape_rate, rel=1e-9)
    assert b.entropy_production * time == pytest.approx(a.entropy_production, rel=1e-7, abs=1e-10)
    ra, rb = (rt.exact_rattling(s.model(), s.grid()) for s in (system, other))
    np.testing.assert_allclose(rb, turned(ra, order, scale) + math.log(volume) - system.dim / 2 * math.log(time), atol=1e-9)
    scores = [rt.typicality(s.log_density, r, volume=s.grid.volumes) for s, r in ((a, ra), (b, rb))]
    for name in ("gamma", "gamma_kl", "correlation", "spearman", "kl", "kl_explained", "total_variation"):
        assert getattr(scores[1], name) == pytest.approx(getattr(scores[0], name), rel=1e-6, abs=1e-8), name
    generators = [rt.generator(s.model(), s.grid()) for s in (system, other)]
    modes = [rt.relaxation_times(g, 1).times for g in generators]
    np.testing.assert_allclose(modes[1], modes[0] * time, rtol=1e-8)


# --- generators and steady states -----------------------------------------------------------------


@few
@given(systems(absorbing=True))
def test_columns_sum_to_zero_and_rates_are_not_negative(system):
    W = rt.generator(system.model(), system.grid())
    matrix = W.matrix.toarray()
    assert (matrix - np.diag(np.diag(matrix)) >= 0).all() and (W.killing >= 0).all()
    np.testing.assert_allclose(matrix.sum(axis=0) + W.killing.ravel(), 0, atol=1e-13 * W.exit_rates.max())
    np.testing.assert_allclose(-np.diag(matrix), W.exit_rates.ravel(), rtol=1e-14)
    p = laws(np.random.default_rng(0), W.n)
    np.testing.assert_allclose(W._core.apply(p), matrix @ p, atol=1e-13 * W.exit_rates.max())


@few
@given(systems(absorbing=True))
def test_mass_is_one_and_the_residual_is_what_the_matrix_says(system):
    state = solve(system)
    W = rt.generator(system.model(), system.grid())
    p = state.probability.ravel()
    assert (p > 0).all() and p.sum() == pytest.approx(1, abs=1e-12)
    residual = np.abs(W.matrix @ p + state.escape_rate * p) / (W.exit_rates.ravel() * p)
    assert residual.max() <= 1e-12 + 1e-14 * W.n
    assert state.residual == pytest.approx(residual.max(), abs=1e-13)


@few
@given(systems(absorbing=True))
def test_what_flows_out_of_a_cell_is_what_is_lost(system):
    state = solve(system)
    J = thermodynamics.currents(rt.generator(system.model(), system.grid()), state)
    scale = (state.exit_rates * state.density).max()
    np.testing.assert_allclose(J.divergence, state.escape_rate * state.density, atol=1e-11 * scale)
    assert (state.kind == "steady") == (state.escape_rate == 0)
    assert state.entropy_production_field.sum() == pytest.approx(state.entropy_production)


@few
@given(systems(absorbing=True), seeds)
def test_steady_state_is_the_same_from_any_guess_and_method(system, seed):
    W = rt.generator(system.model(), system.grid())
    guess = np.random.default_rng(seed).normal(size=W.shape)
    one = rt.steady_state(W, rtol=1e-12)
    other = rt.steady_state(W, rtol=1e-12, initial=guess, method="krylov")
    np.testing.assert_allclose(other.log_density, one.log_density, atol=1e-9)


@few
@given(systems(), st.sampled_from([2, 3, 8]))
def test_threads_change_no_bit(system, threads):
    model, grid = system.model(), system.grid()
    one, many = (rt.steady_state(model, grid, threads=k, method="krylov") for k in (1, threads))
    np.testing.assert_array_equal(many.log_density, one.log_density)
    one, many = (rt.generator(model, grid, threads=k).matrix for k in (1, threads))
    np.testing.assert_array_equal(many.data, one.data)


# --- symmetries and units -------------------------------------------------------------------------


@few
@given(systems(dims=(2, 3)))
def test_names_of_axes_do_not_matter(system):
    check_mapped(system, order=np.roll(range(system.dim), 1))


@few
@given(systems(absorbing=True), st.floats(-5, 5))
def test_the_origin_does_not_matter(system, shift):
    check_mapped(system, shift=shift)


@few
@given(systems(absorbing=True), st.data())
def test_reflection_turns_currents_round(system, data):
    signs = [data.draw(st.sampled_from([-1, 1])) for _ in system.x]
    check_mapped(system, scale=np.array([-1, *signs[1:]]))


@few
@given(systems(absorbing=True), factors)
def test_unit_of_time(system, time):
    check_mapped(system, time=time)


@few
@given(systems(absorbing=True), st.data())
def test_units_of_length(system, data):
    check_mapped(system, scale=np.array([data.draw(factors) for _ in system.x]))


@few
@given(systems(dims=(2, 3)), seeds)
def test_rattling_shifts_by_log_det_of_a_linear_map(system, seed):
    rng = np.random.default_rng(seed)
    A = rng.normal(size=(system.dim, system.dim)) + 2 * np.eye(system.dim)
    model, points = system.model(), rng.normal(size=(system.dim, 20))
    inverse = np.linalg.inv(A)
    image = rt.Model(
        lambda y: A @ model.drift(inverse @ y),
        lambda y: np.einsum("ij,jkn,lk->iln", A, model.diffusion(inverse @ y), A),
        dim=system.dim,
    )
    expected = rt.exact_rattling(model, points) + np.linalg.slogdet(A)[1]
    np.testing.assert_allclose(rt.exact_rattling(image, A @ points), expected, atol=1e-11)


@few
@given(systems(dims=(1, 2, 3)))
def test_rattling_is_half_the_log_det_of_2D(system):
    points = np.random.default_rng(1).normal(size=(system.dim, 20))
    D = system.model().diffusion(points)
    expected = 0.5 * np.linalg.slogdet(2 * np.moveaxis(D, -1, 0))[1]
    np.testing.assert_allclose(rt.exact_rattling(system.model(), points), expected, atol=1e-12)


# --- forces, noise, clocks ------------------------------------------------------------------------


@few
@given(systems(tensor=False), seeds)
def test_gradient_forces_drive_no_current(system, seed):
    """f = -D ∇φ + ∇·D: p = exp(-φ), whatever D, and nothing flows."""
    rng, wave = np.random.default_rng(seed), sympy.cos
    phi = sum(rng.normal() * wave(v + rng.uniform(0, 6)) for v in system.x)
    model = rt.Model.with_steady_state(phi, list(system.D.diagonal()), variables=system.x)
    grid = rt.Grid([(0, 2 * np.pi)] * system.dim, 24, "periodic")
    state = rt.steady_state(model, grid, rtol=1e-12, flux="exponential")
    jumps = (state.exit_rates * state.density).max()
    assert np.abs(state.current).max() < 1e-9 * jumps
    assert abs(state.entropy_production) < 1e-9 * (state.exit_rates * state.probability).sum()
    exact = model.exact_log_density(grid)
    assert np.ptp(state.log_density - exact) < 0.02


@few
@given(systems(dims=(2,)), factors)
def test_a_circulation_leaves_the_law_alone(system, strength):
    """f = -D ∇φ + ∇·D + e^φ ∇·(C e^-φ): J is not 0, p is the same; second order in the cells."""
    x, y = system.x
    phi = sympy.cos(x) + sympy.sin(y) / 2
    model = rt.Model.with_steady_state(phi, system.D, sympy.Float(strength) / 4, variables=[x, y])
    errors = []
    for n in (16, 32):
        grid = rt.Grid([(0, 2 * np.pi)] * 2, n, "periodic")
        state = rt.steady_state(model, grid)
        exact = np.exp(model.exact_log_density(grid))
        errors.append(np.abs(state.probability - exact / exact.sum()).sum())
    assert state.entropy_production > 0
    assert errors[1] < 0.35 * errors[0] and errors[1] < 0.05


@few
@given(systems(dims=(1, 2)), seeds)
def test_interpretations_differ_by_their_drift(system, seed):
    """Stratonovich = Itô with F + ½ G_jm ∂_j G_im; anti-Itô = Itô with F + ∇·D."""
    rng = np.random.default_rng(seed)
    x, d = system.x, system.dim
    G = sympy.Matrix(d, d, lambda i, j: rng.normal() + sum(rng.normal() * sympy.sin(v + i) for v in x) / 3)
    points = rng.normal(size=(d, 10))
    D = G * G.T / 2
    induced = {
        "ito": [0] * d,
        "stratonovich": [
            sum(G[j, m] * sympy.diff(G[i, m], x[j]) for j in range(d) for m in range(d)) / 2 for i in range(d)
        ],
        "anti-ito": [sum(sympy.diff(D[i, j], x[j]) for j in range(d)) for i in range(d)],
    }
    for name, extra in induced.items():
        given_ = rt.Model.from_sympy(system.f, noise=G, variables=x, interpretation=name)
        same = rt.Model.from_sympy([f + e for f, e in zip(system.f, extra, strict=True)], D, variables=x)
        np.testing.assert_allclose(given_.drift(points), same.drift(points), rtol=1e-11, atol=1e-11, err_msg=name)
        np.testing.assert_allclose(given_.diffusion(points), same.diffusion(points), rtol=1e-11, atol=1e-12)


@few
@given(systems(), st.sampled_from(["ito", "stratonovich", "anti-ito"]))
def test_functions_and_symbols_are_the_same_model(system, interpretation):
    G = sympy.diag(*[sympy.sqrt(2 * system.D[i, i]) for i in range(system.dim)])
    f, g = (sympy.lambdify(system.x, list(e), "numpy") for e in (system.f, G.diagonal()))

    def ones(x):
        return np.ones(x.shape[1])

    called = rt.Model(
        lambda x: np.array([v * ones(x) for v in f(*x)]),
        noise=lambda x: np.array([v * ones(x) for v in g(*x)]),
        dim=system.dim,
        interpretation=interpretation,
    )
    read = rt.Model.from_sympy(system.f, noise=G, variables=system.x, interpretation=interpretation)
    states = [rt.steady_state(m, system.grid(), flux="exponential", rtol=1e-12) for m in (called, read)]
    np.testing.assert_allclose(states[0].log_density, states[1].log_density, atol=1e-7)


@few
@given(chains(), seeds)
def test_another_clock_moves_the_law_and_no_current(rates, seed):
    """Rates over λ: p becomes λ p; currents per new time, the jump chain and σ stay in proportion."""
    clock = np.random.default_rng(seed).uniform(0.1, 10, len(rates))
    a, b = (rt.Generator.from_rates(r) for r in (rates, rates / clock[:, None]))
    p, q = (rt.steady_state(g, rtol=1e-13) for g in (a, b))
    mean = (p.probability * clock).sum()
    np.testing.assert_allclose(q.probability, clock * p.probability / mean, rtol=1e-11)
    flows = [thermodynamics.flows(g, s.probability).toarray() for g, s in ((a, p), (b, q))]
    np.testing.assert_allclose(flows[1], flows[0] / mean, atol=1e-11 * np.abs(flows[0]).max())
    assert q.entropy_production * mean == pytest.approx(p.entropy_production, rel=1e-9)
    np.testing.assert_allclose(rt.local_global(b).jump_chain, rt.local_global(a).jump_chain, rtol=1e-11)


@few
@given(systems(dims=(1,)), seeds)
def test_another_clock_of_a_diffusion(system, seed):
    """f/λ and D/λ: p becomes λ p, up to the size of the cells."""
    rng = np.random.default_rng(seed)
    clock = 1 + sympy.Float(rng.uniform(0.1, 0.8)) * sympy.sin(system.x[0] + rng.uniform(0, 6))
    slow = dataclasses.replace(system, f=[f / clock for f in system.f], D=system.D / clock)
    grid = rt.Grid([(0, 2 * np.pi)], 400, system.boundary)
    p, q = (rt.steady_state(s.model(), grid, flux="exponential").log_density for s in (system, slow))
    difference = q - p - np.log([float(clock.subs(system.x[0], v)) for v in grid.centres(0)])
    assert np.ptp(difference) < 2e-3


@few
@given(st.lists(systems(dims=(1,)), min_size=2, max_size=2))
def test_systems_that_do_not_meet_have_a_product_law(pair):
    """p(x, y) = p(x) p(y), R adds up, and so does σ."""
    x, y = sympy.symbols("x y", real=True)
    one, two = pair
    swap = {two.x[0]: y}
    model = rt.Model.from_sympy(
        [one.f[0].subs(one.x[0], x), two.f[0].subs(swap)],
        [one.D[0].subs(one.x[0], x), two.D[0].subs(swap)],
        variables=[x, y],
    )
    grid = rt.Grid.from_edges([one.edges[0], two.edges[0]], [one.boundary[0], two.boundary[0]])
    both = rt.steady_state(model, grid, rtol=1e-12, flux="exponential")
    p, q = map(solve, pair)
    np.testing.assert_allclose(both.log_density, p.log_density[:, None] + q.log_density, atol=1e-9)
    assert both.entropy_production == pytest.approx(p.entropy_production + q.entropy_production, rel=1e-7, abs=1e-10)
    r = [rt.exact_rattling(s.model(), s.grid()) for s in pair]
    np.testing.assert_allclose(rt.exact_rattling(model, grid), r[0][:, None] + r[1], atol=1e-12)


@few
@given(systems(), factors, factors)
def test_heat_adds_up_and_drives_mix_linearly(system, first, second):
    model, points = system.model(), np.random.default_rng(2).normal(size=(system.dim, 9))
    twice = engineering.heat(engineering.heat(model, first), second)
    once = engineering.heat(model, first + second)
    np.testing.assert_allclose(twice.diffusion(points), once.diffusion(points), rtol=1e-13)
    assert (rt.exact_rattling(twice, points) > rt.exact_rattling(model, points)).all()
    mixed = engineering.mix([model, once], [first, second])
    expected = first * model.diffusion(points) + second * once.diffusion(points)
    np.testing.assert_allclose(mixed.diffusion(points), expected, rtol=1e-12)
    np.testing.assert_allclose(mixed.drift(points), (first + second) * model.drift(points), rtol=1e-12, atol=1e-14)


# --- chains ---------------------------------------------------------------------------------------


@few
@given(chains(), seeds)
def test_names_of_states_do_not_matter(rates, seed):
    order = np.random.default_rng(seed).permutation(len(rates))
    a, b = (rt.Generator.from_rates(r) for r in (rates, rates[np.ix_(order, order)]))
    p, q = (rt.steady_state(g, rtol=1e-13) for g in (a, b))
    np.testing.assert_allclose(q.probability, p.probability[order], rtol=1e-11)
    np.testing.assert_allclose(q.entropy_production_field, p.entropy_production_field[order], rtol=1e-8, atol=1e-12)
    for name in ("r", "rho", "rho_hat", "gamma"):
        assert getattr(rt.local_global(b), name) == pytest.approx(getattr(rt.local_global(a), name), rel=1e-8)
    np.testing.assert_allclose(rt.relaxation_times(b, 1).times, rt.relaxation_times(a, 1).times, rtol=1e-9)
    assert rt.apriori.certificate(b).imbalance == pytest.approx(rt.apriori.certificate(a).imbalance, abs=1e-13)


@few
@given(seeds, st.integers(3, 8))
def test_detailed_balance_has_no_flows(seed, n):
    rng = np.random.default_rng(seed)
    p = laws(rng, n)
    chain = rt.Generator.from_rates(reversible(rng, p))
    state = rt.steady_state(chain, rtol=1e-13)
    np.testing.assert_allclose(state.probability, p, rtol=1e-11)
    traffic = (state.exit_rates * state.probability).max()
    assert np.abs(thermodynamics.flows(chain, state).toarray()).max() < 1e-11 * traffic
    assert abs(state.entropy_production) < 1e-11 * traffic
    assert thermodynamics.cycle_affinities(chain).holds
    susceptibility = blowtorch.susceptibility(chain, 0, n - 1)
    assert np.abs(susceptibility.reactivities().toarray()).max() < 1e-9


@few
@given(seeds, st.integers(3, 8), factors)
def test_chains_with_the_same_law_can_be_superposed(seed, n, weight):
    """A reversible chain and a ring current through the same p, in any proportion."""
    rng = np.random.default_rng(seed)
    p = laws(rng, n)
    ring = np.roll(np.eye(n), 1, axis=1) / p[:, None]
    chain = engineering.mix([rt.Generator.from_rates(r) for r in (reversible(rng, p), ring)], [1, weight])
    state = rt.steady_state(chain, rtol=1e-13)
    np.testing.assert_allclose(state.probability, p, rtol=1e-11)
    assert not thermodynamics.cycle_affinities(chain).holds and state.entropy_production > 0
    np.testing.assert_allclose(thermodynamics.flows(chain, p).toarray()[0, 1], weight, rtol=1e-10)


@few
@given(chains(), seeds)
def test_entropy_is_produced_in_two_parts(rates, seed):
    """σ = housekeeping + excess, neither negative, and excess is -d/dt KL(p‖π)."""
    chain = rt.Generator.from_rates(rates)
    p = laws(np.random.default_rng(seed), chain.n)
    parts = thermodynamics.entropy_production(chain, p)
    assert parts.total == pytest.approx(parts.housekeeping + parts.excess, rel=1e-10)
    assert parts.housekeeping >= 0 and parts.excess >= 0
    steady = rt.steady_state(chain, rtol=1e-13).probability
    slope = -(chain.matrix @ p) @ np.log(p / steady)
    assert parts.excess == pytest.approx(slope, rel=1e-8, abs=1e-12)


@few
@given(chains(), st.sampled_from(["uniform", "probability"]))
def test_local_and_global_parts_make_the_whole(rates, weights):
    parts = rt.local_global(rt.Generator.from_rates(rates), weights=weights)
    r, rho_hat = parts.r, parts.rho_hat
    assert parts.gamma == pytest.approx(1 + r * rho_hat, rel=1e-10, abs=1e-12)
    assert parts.rho == pytest.approx((1 + r * rho_hat) / math.sqrt(1 + r * r + 2 * r * rho_hat), rel=1e-10, abs=1e-12)
    assert parts.jump_chain.sum() == pytest.approx(1)
    if r < 1:
        assert parts.rho >= parts.rho_bound - 1e-12


@few
@given(chains())
def test_certificates_hold(rates):
    chain = rt.Generator.from_rates(rates + 3)
    proof, parts = rt.apriori.certificate(chain), rt.local_global(chain)
    assert 0.5 * np.abs(parts.jump_chain - 1 / chain.n).sum() <= proof.jump_chain_bound + 1e-12
    guess = 1 / chain.exit_rates / (1 / chain.exit_rates).sum()
    exact = rt.steady_state(chain).probability
    assert 0.5 * np.abs(exact - guess).sum() <= proof.total_variation_bound + 1e-12


@few
@given(chains(), factors)
def test_susceptibility_is_additive_and_answers_no_change_of_clock(rates, small):
    """L_AC = L_AB + L_BC, sums of dL/d log w over all rates are 0, and differences agree."""
    chain = rt.Generator.from_rates(rates)
    ab, bc, ac = (blowtorch.susceptibility(chain, *pair) for pair in ((0, 1), (1, 2), (0, 2)))
    assert ab.log_ratio + bc.log_ratio == pytest.approx(ac.log_ratio, abs=1e-10)
    np.testing.assert_allclose(ab.rates + bc.rates, ac.rates, atol=1e-9)
    assert abs(ab.rates.sum()) < 1e-9  # all rates alike: another unit of time
    change = np.random.default_rng(1).normal(size=len(ab.rates))
    moved = []
    for sign in (-1, 1):
        other = rates.copy()
        other[ab.source, ab.target] *= np.exp(sign * 1e-4 * small * change)
        moved.append(blowtorch.susceptibility(rt.Generator.from_rates(other), 0, 1).log_ratio)
    assert (moved[1] - moved[0]) / 2e-4 / small == pytest.approx(ab.rates @ change, rel=1e-4, abs=1e-6)


# --- in time --------------------------------------------------------------------------------------


@few
@given(chains(), seeds, st.floats(0.05, 3))
def test_evolution_is_the_exponential_of_the_generator(rates, seed, t):
    chain = rt.Generator.from_rates(rates)
    p = laws(np.random.default_rng(seed), chain.n)
    path = rt.evolve(chain, p, [t, 2 * t], rtol=1e-9)
    exact = [scipy.linalg.expm(s * chain.matrix.toarray()) @ p for s in (t, 2 * t)]
    np.testing.assert_allclose(path.probability, exact, atol=1e-7)
    again = rt.evolve(chain, path.probability[0], t, rtol=1e-9)  # a semigroup
    np.testing.assert_allclose(again.probability[0], path.probability[1], atol=1e-7)


@few
@given(systems(), seeds)
def test_evolution_keeps_mass_and_forgets_its_start(system, seed):
    """It comes nearer to the steady state, in relative entropy, all the time."""
    W = rt.generator(system.model(), system.grid())
    steady = rt.steady_state(W).probability
    p = laws(np.random.default_rng(seed), W.n).reshape(W.shape)
    slowest = rt.relaxation_times(W, 1).times[0]
    path = rt.evolve(W, p, slowest * np.array([0.0, 0.1, 0.3, 1, 3, 25]), rtol=1e-8)
    np.testing.assert_allclose(path.probability.reshape(6, -1).sum(axis=1), 1, atol=1e-12)
    assert path.info["mass_error"] < 1e-10 and path.info["smallest"] > -1e-10
    distance = [np.sum(q * np.log(q / steady)) for q in path.probability[:5]]
    assert (np.diff(distance) < 0).all()
    np.testing.assert_allclose(path.probability[-1], steady, atol=1e-6)


@few
@given(systems(absorbing=True))
def test_quasi_stationary_laws_decay_at_their_escape_rate(system):
    system = dataclasses.replace(system, boundary=[("absorbing", "absorbing"), *system.boundary[1:]])
    W, state = rt.generator(system.model(), system.grid()), solve(system)
    assert state.kind == "quasi-stationary" and state.escape_rate > 0
    assert (W.killing * state.probability).sum() == pytest.approx(state.escape_rate, rel=1e-9)
    t = 1 / state.escape_rate
    p = rt.evolve(W, state.probability, t, rtol=1e-9).probability[0]
    np.testing.assert_allclose(p, state.probability / math.e, rtol=1e-5)


@few
@given(systems(absorbing=True), factors, factors, seeds)
def test_resolvent_identity(system, first, second, seed):
    """(s - W)⁻¹ - (t - W)⁻¹ = (t - s)(s - W)⁻¹(t - W)⁻¹, and mass 1 stays mass 1."""
    hypothesis.assume(abs(first - second) > 0.01)
    W = rt.generator(system.model(), system.grid())
    b = np.random.default_rng(seed).normal(size=W.n)

    def solved(s, b):
        return _core.Resolvent(W._core, 1 / s, None).solve(b, 1e-12)[0] / s

    left = solved(first, b) - solved(second, b)
    right = (second - first) * solved(first, solved(second, b))
    np.testing.assert_allclose(left, right, atol=1e-9 * np.abs(left).max())
    if not W.killing.any():
        assert first * solved(first, b).sum() == pytest.approx(b.sum(), abs=1e-9 * np.abs(b).sum())


# --- paths and estimates --------------------------------------------------------------------------


def walk(system, seed, **options):
    rng = np.random.default_rng(seed)
    x0 = np.array([rng.uniform(e[0], e[-1], 20) for e in system.edges]).T
    return dict(model=system.model(), x0=x0, dt=0.01, rng=seed, boundary=system.grid(), **options)


@few
@given(systems(), seeds, st.integers(1, 99))
def test_streaming_is_estimating_from_kept_paths(system, seed, cut):
    """In two pieces or in one, kept or not, on one thread or three: the same bits."""
    grid = system.grid()
    simulation = rt.Simulation(**walk(system, seed), observe=grid, threads=3)
    seen = simulation.advance(cut).advance(100 - cut).observation
    kept = rt.simulate(**walk(system, seed), n_steps=100, threads=1)
    np.testing.assert_array_equal(simulation.x, kept.x[:, -1])
    a = seen.estimate_rattling()
    b = rt.estimate_rattling(kept, at=grid, method="bins")
    np.testing.assert_array_equal(a.counts, b.counts)
    np.testing.assert_allclose(a.rattling, b.rattling, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(a.stderr, b.stderr, rtol=1e-8)
    assert seen.counts.sum() + seen.n_outside == 20 * 101


@few
@given(systems(), seeds)
def test_data_sets_add_up(system, seed):
    """Observations of two ensembles added: that of both; so is a list of trajectories."""
    grid = system.grid()
    observed = [rt.Simulation(**walk(system, s), observe=grid).advance(80).observation for s in (seed, seed + 1)]
    kept = [rt.simulate(**walk(system, s), n_steps=80) for s in (seed, seed + 1)]
    both = rt.estimate_rattling(kept, at=grid, method="bins")
    summed = (observed[0] + observed[1]).estimate_rattling()
    np.testing.assert_array_equal(summed.counts, both.counts)
    np.testing.assert_allclose(summed.rattling, both.rattling, rtol=1e-9, atol=1e-9)
    swapped = (observed[1] + observed[0]).estimate_rattling()
    np.testing.assert_allclose(swapped.rattling, summed.rattling, rtol=1e-9, atol=1e-9)


@few
@given(seeds, hnp.arrays(float, 2, elements=st.floats(-3, 3)), factors, st.data())
def test_estimates_have_the_units_of_their_data(seed, shift, time, data):
    """x' = s x + c, t' = T t, axes swapped: R gains log|s₁s₂| - log T; the error, n_eff and kurtosis stay."""
    scale = np.array([data.draw(factors), -data.draw(factors)])
    x = np.cumsum(np.random.default_rng(seed).normal(size=(30, 60, 2)), axis=1)
    y = (x * scale + shift)[..., ::-1]
    at = np.array([[0.0, 0.0], [1.0, -2.0]])
    image = (at * scale + shift)[:, ::-1]
    gain = np.log(np.abs(scale)).sum() - math.log(time)
    for options in (
        {"method": "local-linear", "bandwidth": np.array([2.0, 3.0])},
        {"method": "basis", "degree": 2},
    ):
        other = dict(options)
        if "bandwidth" in other:
            other["bandwidth"] = (other["bandwidth"] * np.abs(scale))[::-1]
        a = rt.estimate_rattling(x, 1.0, at=at, **options)
        b = rt.estimate_rattling(y, time, at=image, **other)
        np.testing.assert_allclose(b.rattling, a.rattling + gain, atol=1e-8, err_msg=str(options))
        np.testing.assert_allclose(b.stderr, a.stderr, rtol=1e-6)
        np.testing.assert_allclose(b.n_eff, a.n_eff, rtol=1e-6)
        np.testing.assert_allclose(b.drift[:, ::-1] * time, a.drift * scale, rtol=1e-6, atol=1e-8)


@few
@given(seeds, st.integers(1, 3), st.sampled_from(["sqrt-time", "increments"]), factors)
def test_windows_under_linear_maps(seed, dim, displacement, time):
    rng = np.random.default_rng(seed)
    x, A = np.cumsum(rng.normal(size=(200, dim)), axis=0), rng.normal(size=(dim, dim)) + 3 * np.eye(dim)
    a = rt.windowed_rattling(x, 1.0, 20.0, displacement=displacement)
    b = rt.windowed_rattling(x @ A.T + 7, time, 20.0 * time, displacement=displacement)
    gain = np.linalg.slogdet(A)[1] - dim / 2 * math.log(time)
    np.testing.assert_allclose(b.rattling, a.rattling + gain, atol=1e-8)


@few
@given(seeds, st.floats(-3, 3), factors, st.sampled_from(["uniform", "probability"]))
def test_scores_know_no_units(seed, shift, scale, weights):
    """R' = a R + b, p' = c p, volumes in another unit: gamma' = gamma/a, all other scores the same."""
    rng = np.random.default_rng(seed)
    R = rng.normal(size=60)
    log_p, volume = -1.3 * R + rng.normal(size=60), rng.uniform(0.5, 2, 60)
    one = rt.typicality(log_p, R, volume=volume, weights=weights, stderr=0.1)
    other = rt.typicality(log_p + shift, scale * R + shift, volume=scale * volume, weights=weights, stderr=0.1 * scale)
    for name in ("correlation", "spearman", "kl", "kl_explained", "total_variation", "reliability"):
        assert getattr(other, name) == pytest.approx(getattr(one, name), rel=1e-8, abs=1e-10), name
    for name in ("gamma", "gamma_stderr", "gamma_kl"):
        assert getattr(other, name) * scale == pytest.approx(getattr(one, name), rel=1e-8), name


@few
@given(seeds, st.integers(2, 4))
def test_cells_may_be_divided(seed, pieces):
    """A cell cut into equal ones with the same density and R: no score by probability changes."""
    rng = np.random.default_rng(seed)
    R = rng.normal(size=40)
    log_p, volume = -R + rng.normal(size=40), rng.uniform(0.5, 2, 40)
    one = rt.typicality(log_p, R, volume=volume, weights="probability")
    other = rt.typicality(*(np.repeat(v, pieces) for v in (log_p, R)), volume=np.repeat(volume, pieces) / pieces,
                          weights="probability")  # fmt: skip
    for name in ("gamma", "gamma_kl", "correlation", "kl", "kl_explained", "total_variation"):
        assert getattr(other, name) == pytest.approx(getattr(one, name), rel=1e-8, abs=1e-10), name


# --- files ----------------------------------------------------------------------------------------


def same(a, b):
    """Equal to the last bit, NaN included."""
    if isinstance(a, rt.Grid) or a is None or isinstance(a, str):
        return a == b
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, (tuple, list)):
        return type(a) is type(b) and len(a) == len(b) and all(map(same, a, b))
    if dataclasses.is_dataclass(a):
        return type(a) is type(b) and all(same(getattr(a, f.name), getattr(b, f.name)) for f in dataclasses.fields(a))
    return np.asarray(a).dtype == np.asarray(b).dtype and np.array_equal(a, b, equal_nan=np.asarray(a).dtype.kind in "fc")


@few
@given(systems(absorbing=True), seeds)
def test_what_is_saved_is_loaded(tmp_path_factory, system, seed):
    path = tmp_path_factory.mktemp("laws") / "result.npz"
    state = rt.steady_state(system.model(), system.grid())
    scores = rt.typicality(state.log_density, rt.exact_rattling(system.model(), state.grid), volume=state.grid.volumes)
    kept = rt.simulate(**walk(system, seed), n_steps=40)
    field = rt.estimate_rattling(kept, at=state.grid, method="bins")
    modes = rt.relaxation_times(rt.generator(system.model(), state.grid), 2)
    for result in (state, scores, scores.intervals(n=3, rng=seed), kept, field, modes):
        result.save(path)
        assert same(type(result).load(path), result), type(result).__name__


@few
@given(systems(), seeds, st.integers(0, 60))
def test_a_saved_simulation_goes_on_as_if_nothing_had_happened(tmp_path_factory, system, seed, cut):
    path = tmp_path_factory.mktemp("laws") / "simulation.npz"
    grid = system.grid()
    rt.Simulation(**walk(system, seed), observe=grid).advance(cut).save(path)
    resumed = rt.Simulation.load(path, system.model()).advance(60 - cut)
    whole = rt.Simulation(**walk(system, seed), observe=grid).advance(60)
    np.testing.assert_array_equal(resumed.x, whole.x)
    np.testing.assert_array_equal(resumed.observation.sums, whole.observation.sums)
