"""Full diffusion tensors: generators, steady states and currents."""

import numpy as np
import pytest
import sympy as sp
from reference import finite_volume_tensor as twin
from reference import steady as steady_twin
from scipy import linalg, sparse

import rattling as rt
from rattling import _core

X, Y, Z = sp.symbols("x y z", real=True)


def on_blocks(function):
    """A function of one point as one of blocks (dim, n)."""
    return lambda x: np.stack([function(x[:, i]) for i in range(x.shape[1])], axis=-1)


def check_markov(W):
    matrix = W.matrix
    off = matrix - sparse.diags_array(matrix.diagonal())
    assert off.data.min() >= 0
    scale = np.abs(matrix.diagonal()).max()
    np.testing.assert_allclose(matrix.sum(axis=0) + W.killing.ravel(), 0, atol=1e-13 * scale)


def l1_error(state, log_density):
    p = np.exp(log_density - log_density.max()) * state.grid.volumes
    return np.abs(state.probability - p / p.sum()).sum()


# --- the generator --------------------------------------------------------------------

FIELDS = {
    "smooth": (
        lambda x: np.array([[1 + 0.3 * np.sin(x[0]), 0.5 * np.sin(2 * x[0] + x[1])], [0.5 * np.sin(2 * x[0] + x[1]), 0.8]]),
        lambda x: np.array([0.3 * np.cos(x[0]) + 0.5 * np.cos(2 * x[0] + x[1]), np.cos(2 * x[0] + x[1])]),
    ),
    "anisotropic": (lambda x: np.array([[1, 0.55], [0.55, 0.4]]), lambda x: np.zeros(2)),
    "rank one": (
        lambda x: np.outer([np.cos(x[0]), np.sin(x[0])], [np.cos(x[0]), np.sin(x[0])]),
        lambda x: np.array([-np.sin(2 * x[0]), np.cos(2 * x[0])]),
    ),
    "jump": (lambda x: np.array([[1, 0.3], [0.3, 0.5]]) * (1 if x[0] + x[1] < 0.2 else 3), lambda x: np.zeros(2)),
    "no diffusion on one side": (
        lambda x: np.array([[1, 0.3], [0.3, 0.5]]) * (1 if x[0] < 0.2 else 0),
        lambda x: np.zeros(2),
    ),
}


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize(
    ("shape", "boundary"),
    [
        ((7, 6), "reflecting"),
        ((8, 9), "periodic"),
        ((6, 7), ["periodic", "reflecting"]),
        ((7, 6), [("absorbing", "reflecting"), "absorbing"]),
        ((2, 9), "reflecting"),
        ((3, 2), "periodic"),
    ],
)
def test_twin(field, shape, boundary):
    diffusion, divergence = FIELDS[field]

    def drift(x):
        return np.array([np.sin(x[1]) - x[0], 2 * np.cos(x[0])])

    grid = rt.Grid([(-np.pi, np.pi)] * 2, shape, boundary)
    W = rt.generator(rt.Model(on_blocks(drift), on_blocks(diffusion), dim=2), grid)
    check_markov(W)
    expected = twin.generator(drift, diffusion, divergence, grid)
    # the core takes div D by differences, to about 1e-8 cells squared
    np.testing.assert_allclose(W.matrix.toarray(), expected, atol=3e-8 * np.abs(expected).max())


@pytest.mark.parametrize("field", ["smooth", "jump"])
def test_twin_with_stretched_cells(field):
    diffusion, divergence = FIELDS[field]
    grid = rt.Grid.from_edges([np.cumsum(1.15 ** np.arange(8)) / 8, np.linspace(0, 1, 7) + 0.1], ["reflecting", "absorbing"])

    def drift(x):
        return np.array([x[1], 1 - x[0]])

    W = rt.generator(rt.Model(on_blocks(drift), on_blocks(diffusion), dim=2), grid)
    check_markov(W)
    expected = twin.generator(drift, diffusion, divergence, grid)
    np.testing.assert_allclose(W.matrix.toarray(), expected, atol=3e-8 * np.abs(expected).max())


def test_twin_in_three_dimensions():
    D = np.array([[1, 0.4, -0.2], [0.4, 0.7, 0.3], [-0.2, 0.3, 0.5]])

    def drift(x):
        return np.array([x[1], -x[0], np.sin(x[2])])

    grid = rt.Grid([(-1, 1)] * 3, (4, 5, 3), ["reflecting", "periodic", ("absorbing", "reflecting")])
    W = rt.generator(rt.Model(on_blocks(drift), D, dim=3), grid)
    check_markov(W)
    expected = twin.generator(drift, lambda x: D, lambda x: np.zeros(3), grid)
    np.testing.assert_allclose(W.matrix.toarray(), expected, atol=1e-12 * np.abs(expected).max())


def test_diagonal_tensors_keep_their_bits():
    """A tensor that happens to be diagonal gives the generator of the diagonal model."""
    grid = rt.Grid([(-1, 1), (0, 2)], (9, 8))

    def diagonal(x):
        return np.array([1 + x[0] ** 2, np.exp(x[1])])

    def tensor(x):
        a, b = diagonal(x)
        return np.array([[a, 0 * a], [0 * a, b]])

    a, b = (rt.generator(rt.Model(lambda x: -x, D, dim=2), grid).matrix for D in (diagonal, tensor))
    np.testing.assert_array_equal(a.toarray(), b.toarray())


def test_kinds_of_model_agree():
    """Symbols with exact derivatives, functions with differences, noise amplitudes."""
    G = sp.Matrix([[1, sp.sin(X) / 2], [sp.cos(Y) / 3, 1 + X**2 / 4]])
    drift = [Y - X**3, -X - Y]
    grid = rt.Grid([(-1, 1), (-1, 2)], (12, 10))
    symbolic = rt.Model.from_sympy(drift, noise=G, variables=(X, Y))
    numeric = rt.Model(
        lambda x: [x[1] - x[0] ** 3, -x[0] - x[1]],
        noise=lambda x: [[np.ones_like(x[0]), np.sin(x[0]) / 2], [np.cos(x[1]) / 3, 1 + x[0] ** 2 / 4]],
        dim=2,
    )
    a, b = (rt.generator(m, grid).matrix.toarray() for m in (symbolic, numeric))
    np.testing.assert_allclose(a, b, atol=1e-9 * np.abs(a).max())


@pytest.mark.parametrize("interpretation", ["stratonovich", "anti-ito"])
def test_interpretations(interpretation):
    G = sp.Matrix([[1, sp.sin(X) / 2], [sp.cos(Y) / 3, 1]])

    def noise(x):
        return np.array([[np.ones_like(x[0]), np.sin(x[0]) / 2], [np.cos(x[1]) / 3, np.ones_like(x[0])]])

    grid = rt.Grid([(0, 2 * np.pi)] * 2, (16, 16), "periodic")
    symbolic = rt.Model.from_sympy([0, 0], noise=G, variables=(X, Y), interpretation=interpretation)
    numeric = rt.Model(lambda x: 0 * x, noise=noise, dim=2, interpretation=interpretation)
    a, b = (rt.generator(m, grid).matrix.toarray() for m in (symbolic, numeric))
    np.testing.assert_allclose(a, b, atol=1e-8 * np.abs(a).max())
    if interpretation == "anti-ito":  # J = -D grad p: uniform
        state = rt.steady_state(numeric, grid)
        np.testing.assert_allclose(state.density, 1 / (2 * np.pi) ** 2, rtol=1e-9)


# --- known steady states ----------------------------------------------------------------

OU = {
    "plane": ([[1, -0.5], [0.5, 1]], [[1, 0.6], [0.6, 0.7]]),
    "space": ([[2, 1, 0], [-0.5, 1.5, 0.7], [0.2, -1, 1]], [[1, 0.2, 0], [0.2, 0.7, 0.1], [0, 0.1, 0.5]]),
}


@pytest.mark.parametrize("flux", ["exponential", "auto"])
@pytest.mark.parametrize("name", OU)
def test_ornstein_uhlenbeck(name, flux):
    """Covariance and sigma converge at second order; sigma = 2.2140155353 in space."""
    B, D = map(np.array, OU[name])
    dim = len(B)
    covariance = linalg.solve_continuous_lyapunov(B, 2 * D)
    sigma = np.trace(B.T @ np.linalg.solve(D, B @ covariance - D))
    if name == "space":
        assert sigma == pytest.approx(2.2140155353)
    variables = (X, Y, Z)[:dim]
    model = rt.Model.from_sympy(list(-sp.Matrix(B) * sp.Matrix(variables)), sp.Matrix(D), variables=variables)
    half = 5.5 * np.sqrt(np.diag(covariance))
    errors = []
    for n in (48, 96) if dim == 2 else (16, 32):
        state = rt.steady_state(model, rt.Grid(np.column_stack([-half, half]), (n,) * dim), flux=flux)
        assert state.residual <= 1e-10
        points, p = state.grid.points(), state.probability.ravel()
        errors.append(
            [
                np.abs((points * p[:, None]).T @ points - covariance).max() / np.abs(covariance).max(),
                abs(state.entropy_production / sigma - 1),
            ]
        )
    coarse, fine = np.array(errors)
    assert (fine < 0.05).all()
    assert (np.log2(coarse / fine) > 1.75).all()


S, C = sp.sin(X + Y / 2), sp.cos(Y)
KNOWN = {
    # phi, D, circulation, box; offsets change from place to place
    "constant": (X**2 + Y**2 + X * Y / 2, [[1, 0.6], [0.6, 0.7]], 2, 3.8, (80, 160)),
    "varying": (X**2 + Y**2 + X * Y / 2, [[1 + sp.sin(X) / 3, 0.6 * S], [0.6 * S, 1 + C / 3]], 3 * sp.cos(X), 3.8, (80, 160)),
    "noise that couples": (X**2 + Y**2, [[1, X * Y / 8], [X * Y / 8, 1 + X**2 * Y**2 / 32]], 1, 4, (80, 160)),
    "space": (
        X**2 + Y**2 + Z**2,
        [[1, 0.4 * sp.sin(X), 0.2], [0.4 * sp.sin(X), 1, -0.3], [0.2, -0.3, 1]],
        [1, 0, -1],
        3.6,
        (24, 48),
    ),
}


@pytest.mark.parametrize("name", KNOWN)
def test_order_of_convergence(name):
    phi, D, circulation, half, sizes = KNOWN[name]
    dim = len(D)
    model = rt.Model.with_steady_state(phi, D, circulation, variables=(X, Y, Z)[:dim])
    errors = []
    for n in sizes:
        grid = rt.Grid([(-half, half)] * dim, (n,) * dim)
        state = rt.steady_state(model, grid, flux="exponential")
        errors.append(l1_error(state, model.exact_log_density(grid)))
    assert errors[1] < 0.03
    assert np.log2(errors[0] / errors[1]) >= 1.9


def test_log_mean_flux():
    """Ten times as accurate as the exponential flux where the drift is strong."""
    phi, D, circulation, half, _ = KNOWN["constant"]
    model = rt.Model.with_steady_state(phi, D, circulation, variables=(X, Y))
    grid = rt.Grid([(-half, half)] * 2, (64, 64))
    errors = [
        l1_error(rt.steady_state(model, grid, flux=flux), model.exact_log_density(grid)) for flux in ("exponential", "log-mean")
    ]
    assert errors[1] < 0.15 * errors[0]
    assert rt.steady_state(model, grid).info["flux"] == "log-mean"


@pytest.mark.parametrize("boundary", ["reflecting", "periodic"])
def test_zero_flux(boundary):
    """Detailed balance with any D(x): log p of fourth order, in corners of third."""
    phi = sp.sin(X) + sp.cos(Y + sp.sin(X)) + sp.sin(2 * X) / 2
    D = [[1 + sp.sin(X) / 3, 0.6 * sp.sin(X + Y)], [0.6 * sp.sin(X + Y), 1 + sp.cos(Y) / 3]]
    model = rt.Model.with_steady_state(phi, D, variables=(X, Y))
    errors = []
    for n in (40, 80):
        grid = rt.Grid([(0, 2 * np.pi)] * 2, (n + 4, n), boundary)
        state = rt.steady_state(model, grid, flux="exponential")
        errors.append(np.ptp(state.log_density - model.exact_log_density(grid)))
        assert np.abs(state.current).max() < 1e-3 * state.density.max() * (40 / n) ** 4
        assert abs(state.entropy_production) < 1e-6 * (40 / n) ** 8
    assert errors[1] < 1e-4
    assert np.log2(errors[0] / errors[1]) > 3.6


WALLS = {
    "short offsets": [[1, 0.6], [0.6, 0.7]],
    "(2, 1)": [[1, 0.55], [0.55, 0.4]],
    "(3, 1)": [[1, 0.35], [0.35, 0.15]],
    "varying": [[1 + sp.sin(X) / 3, 0.6 * sp.sin(2 * X + Y)], [0.6 * sp.sin(2 * X + Y), 1 + sp.cos(Y) / 3]],
}


@pytest.mark.parametrize("name", WALLS)
def test_order_where_walls_matter(name):
    """Currents along reflecting walls where p is large: still second order."""
    D = WALLS[name]
    phi, a = X * Y / 2 + sp.sin(2 * X) / 2 + Y**2 / 3, 2 * (1 - X**2) * (1 - Y**2)
    model = rt.Model.with_steady_state(phi, D, a, variables=(X, Y))
    current = sp.lambdify((X, Y), [sp.diff(a * sp.exp(-phi), Y), -sp.diff(a * sp.exp(-phi), X)])
    # sigma = int J D^-1 J / p
    J = sp.Matrix([sp.diff(a * sp.exp(-phi), Y), -sp.diff(a * sp.exp(-phi), X)])
    density = sp.lambdify((X, Y), (J.T * sp.Matrix(D).inv() * J)[0] * sp.exp(phi))
    nodes, weights = np.polynomial.legendre.leggauss(40)
    x, y = np.meshgrid(nodes, nodes, indexing="ij")
    total = (np.outer(weights, weights) * np.exp(-sp.lambdify((X, Y), phi)(x, y))).sum()
    sigma = (np.outer(weights, weights) * density(x, y)).sum() / total
    errors = []
    for n in (32, 64):
        grid = rt.Grid([(-1, 1)] * 2, (n, n))
        state = rt.steady_state(model, grid, flux="exponential")
        exact = np.array(current(*grid.points().T)).reshape(2, n, n) / total
        inner = (slice(None), slice(3, -3), slice(3, -3))
        errors.append(
            [
                l1_error(state, model.exact_log_density(grid)),
                np.abs(state.current - exact)[inner].mean() / np.abs(exact).mean(),
                abs(state.entropy_production / sigma - 1),
            ]
        )
    coarse, fine = np.array(errors)
    assert (fine < 0.06).all()
    assert (np.log2(coarse / fine) > 1.75).all()


def test_currents():
    """Divergence at rounding level, nothing through walls; cell-centred J of second order."""
    phi, D, circulation, half, _ = KNOWN["varying"]
    model = rt.Model.with_steady_state(phi, D, circulation, variables=(X, Y))
    flow = circulation * sp.exp(-phi)
    exact = sp.lambdify((X, Y), [sp.diff(flow, Y), -sp.diff(flow, X)])
    total = float(sp.sqrt(4 / sp.Rational(15, 4)) * sp.pi)  # int exp(-phi)
    errors = []
    for n in (60, 120):
        grid = rt.Grid([(-half, half)] * 2, (n, n + 2))
        state = rt.steady_state(model, grid, flux="exponential")
        h = [np.diff(grid.edges(k))[0] for k in range(2)]
        J, K = state.face_currents
        divergence = np.diff(J, axis=0) / h[0] + np.diff(K, axis=1) / h[1]
        assert np.abs(divergence).max() < 1e-10 * (state.density * state.exit_rates).max()
        assert not J[[0, -1]].any()
        assert not K[:, [0, -1]].any()
        wanted = np.array(exact(*grid.points().T)).reshape(2, *grid.shape) / total
        errors.append([np.abs(state.current - wanted).sum() / np.abs(wanted).sum(), np.abs(state.current - wanted).max()])
    coarse, fine = np.array(errors)
    assert fine[0] < 0.05
    assert (np.log2(coarse / fine) > 1.85).all()


@pytest.mark.parametrize("shape", [(9, 8), (4, 4), (3, 4), (2, 2)])
def test_currents_twin(shape):
    """Face currents against links followed one by one, on small tori; half way round counts both ways."""
    D = np.array([[1, 0.55], [0.55, 0.4]])
    grid = rt.Grid([(0, 1)] * 2, shape, "periodic")
    W = rt.generator(rt.Model(lambda x: np.array([1 + np.sin(2 * np.pi * x[1]), 0.5 + 0 * x[0]]), D, dim=2), grid)
    rng = np.random.default_rng(1)
    log_p = rng.normal(0, 0.3, W.n)
    faces = W._core.face_currents(log_p)
    divergence = sum(np.diff(J, axis=k) / np.diff(grid.edges(k))[0] for k, J in enumerate(faces))
    flow = -(W.matrix @ np.exp(log_p)).reshape(grid.shape) / grid.volumes
    np.testing.assert_allclose(divergence, flow, atol=1e-12 * np.abs(W.matrix.diagonal()).max())
    for k, J in enumerate(faces):
        np.testing.assert_array_equal(np.take(J, 0, axis=k), np.take(J, -1, axis=k))
    # the mean current is the mean flow times the offsets
    matrix = W.matrix.tocoo()
    step = [(np.array(np.unravel_index(matrix.row, grid.shape)[k]) - np.unravel_index(matrix.col, grid.shape)[k]) for k in (0, 1)]
    for k, n in enumerate(grid.shape):
        s = (step[k] + n // 2) % n - n // 2
        s = np.where(np.abs(s) == n / 2, 0, s)
        mean = (matrix.data * np.exp(log_p)[matrix.col] * s).sum() / n
        scale = np.abs(faces[k]).max()
        np.testing.assert_allclose(np.delete(faces[k], -1, axis=k).mean(), mean, rtol=1e-10, atol=1e-13 * scale)


def test_entropy_production_twin():
    W = rt.generator(rt.Model.from_sympy([Y, -X], [[1, 0.4], [0.4, 0.6]], variables=(X, Y)), rt.Grid([(-1, 1)] * 2, 7))
    state = rt.steady_state(W)
    dense = W.matrix.toarray()
    np.testing.assert_allclose(state.probability.ravel(), steady_twin.gth(dense), rtol=1e-10)
    expected = steady_twin.entropy_production(dense, steady_twin.gth(dense))
    assert state.entropy_production == pytest.approx(expected, rel=1e-9)


# --- any tensor field -------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("rough", [False, True])
def test_random_fields(seed, rough):
    """Non-negative rates and a positive law for random SPD fields, smooth or from cell to cell."""
    rng = np.random.default_rng(seed)
    dim, n = (2, 32) if seed % 2 == 0 else (3, 10)
    if rough:
        factors = rng.standard_normal((dim, dim, *(n,) * dim))

        def amplitude(x):
            return factors[(slice(None), slice(None), *np.minimum(x * n, n - 1).astype(int))]

    else:
        waves = rng.integers(-2, 3, (dim, dim, 4, dim))
        phases, heights = rng.uniform(0, 2 * np.pi, (dim, dim, 4)), rng.standard_normal((dim, dim, 4))

        def amplitude(x):
            return np.einsum("abk,abkn->abn", heights, np.sin(2 * np.pi * waves @ x + phases[..., None]))

    model = rt.Model(lambda x: np.sin(2 * np.pi * x[::-1]), noise=amplitude, dim=dim)
    W = rt.generator(model, rt.Grid([(0, 1)] * dim, (n,) * dim, "periodic"))
    check_markov(W)
    state = rt.steady_state(W)
    # a rough field has one-way links, and may have cells that nothing jumps to
    assert np.isfinite(state.log_density).mean() > (0.99 if rough else 1 - 1e-9)
    assert state.residual <= 1e-10


def test_jump_of_the_tensor():
    """Without drift D_xx p is continuous where D jumps (Itô), and p itself in the kinetic form."""
    left, right = np.array([[1, 0.6], [0.6, 0.7]]), np.array([[3, -0.5], [-0.5, 1]])

    def D(x):
        return np.where(x[0] < 0.5, left[:, :, None], right[:, :, None])

    for n in (16, 33):  # a face, and a centre, on the jump
        grid = rt.Grid([(0, 1)] * 2, (n, n), ["reflecting", "periodic"])
        state = rt.steady_state(rt.Model(lambda x: 0 * x, D, dim=2), grid, flux="exponential")
        exact = np.where(grid.centres(0) < 0.5, 3, 1)
        np.testing.assert_allclose(state.density, np.tile(exact / exact.mean(), (n, 1)).T, rtol=1e-8)
        kinetic = rt.Model(lambda x: 0 * x, D, dim=2, interpretation="anti-ito")
        np.testing.assert_allclose(rt.steady_state(kinetic, grid).density, 1, rtol=1e-8)


def test_stretched_cells():
    """Widths that change smoothly: still second order, and third at zero flux."""
    phi, D, a = X * Y + Y**2, WALLS["varying"], 2 * (1 - X**2) * (1 - Y**2)
    errors = []
    for n in (16, 32, 64):
        s = np.linspace(-1, 1, n + 1)
        grid = rt.Grid.from_edges([s + 0.2 * np.sin(np.pi * s) / np.pi, s * (1 + s**2 / 4) / 1.25])
        still = rt.Model.with_steady_state(phi, D, variables=(X, Y))
        difference = rt.steady_state(still, grid).log_density - still.exact_log_density(grid)
        assert np.ptp(difference) < 1.3e-4 * (32 / n) ** 3
        model = rt.Model.with_steady_state(phi, D, a, variables=(X, Y))
        state = rt.steady_state(model, grid, flux="exponential")
        errors.append(l1_error(state, model.exact_log_density(grid)))
    assert errors[2] < 2e-3
    assert (np.log2(np.divide(errors[:-1], errors[1:])) > 1.9).all()


def test_absorbing_strip():
    """rate = D_xx (pi/L)^2, p ~ sin(pi x/L), with offsets that cross the walls obliquely."""
    for D in ([[1, 0.6], [0.6, 0.7]], [[0.15, 0.35], [0.35, 1]]):
        errors = []
        for n in (20, 40):
            grid = rt.Grid([(0, 1)] * 2, (n, n), ["absorbing", "periodic"])
            state = rt.steady_state(rt.Model(lambda x: 0 * x, np.array(D), dim=2), grid)
            p = np.sin(np.pi * grid.centres(0))
            np.testing.assert_allclose(state.probability.sum(axis=1), p / p.sum(), rtol=1e-4)
            errors.append(state.escape_rate / (D[0][0] * np.pi**2) - 1)
        assert np.log2(errors[0] / errors[1]) == pytest.approx(2, abs=0.02)


# --- degenerate tensors -----------------------------------------------------------------


def test_one_noise_for_two_coordinates():
    """Along a lattice direction without drift, each diagonal is a class of its own."""
    model = rt.Model(lambda x: 0 * x, noise=np.array([[1.0], [1.0]]), dim=2)
    grid = rt.Grid([(0, 1)] * 2, (8, 8), "periodic")
    W = rt.generator(model, grid)
    assert W.added_diffusion == 0
    with pytest.raises(rt.ReducibleError, match="8 recurrent classes"):
        rt.steady_state(W)


DEGENERATE = {
    "lattice direction": ([[0.5, 0.5], [0.5, 0.5]], 0, 0.7),
    "any direction": ((np.outer([0.526, 0.85], [0.526, 0.85])).tolist(), 0.07, 0.75),
    "turning": (
        [[sp.cos(X / 2 + Y / 3) ** 2, sp.sin(X + 2 * Y / 3) / 2], [sp.sin(X + 2 * Y / 3) / 2, sp.sin(X / 2 + Y / 3) ** 2]],
        0.07,
        0.6,
    ),
}


@pytest.mark.parametrize("name", DEGENERATE)
def test_rank_one(name):
    """D is approached as offsets get longer, like the cube root of the number of cells along
    an axis, and across the noise drift is upwinded. Where the direction turns, offsets
    change from cell to cell: order two thirds."""
    D, added, order = DEGENERATE[name]
    model = rt.Model.with_steady_state(X**2 + Y**2 + X * Y / 2, D, 1, variables=(X, Y))
    errors, shares = [], []
    for n in (32, 128):
        grid = rt.Grid([(-3.4, 3.4)] * 2, (n, n))
        W = rt.generator(model, grid)
        check_markov(W)
        shares.append(W.added_diffusion)
        errors.append(l1_error(rt.steady_state(W), model.exact_log_density(grid)))
    assert shares[1] <= shares[0] <= added
    assert errors[1] < 0.1
    assert np.log2(errors[0] / errors[1]) / 2 > order


def test_covariance_of_degenerate_noise():
    """dx = (-x + y) dt, dy = -y dt + dW turned by an angle: Sigma from Lyapunov's equation."""
    angle = 0.4
    R = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    B, g = R @ np.array([[1, -1], [0, 1]]) @ R.T, R @ np.array([0, 1])
    covariance = linalg.solve_continuous_lyapunov(B, np.outer(g, g))
    model = rt.Model(lambda x: -B @ x, noise=g[:, None], dim=2)
    errors = []
    for n in (64, 128):
        grid = rt.Grid([(-3, 3)] * 2, (n, n))
        state = rt.steady_state(model, grid, flux="exponential")
        points, p = grid.points(), state.probability.ravel()
        errors.append(np.abs((points * p[:, None]).T @ points - covariance).max() / covariance.max())
    assert errors[1] < 0.1
    assert np.log2(errors[0] / errors[1]) > 0.7


def test_long_offsets_stay_connected():
    """Offsets like (5, 3) leave corner cells no jump: the axes link them."""
    D = np.outer([5, 3], [5, 3]) + 0.01 * np.eye(2)
    grid = rt.Grid([(0, 1)] * 2, (40, 40))
    state = rt.steady_state(rt.Model(lambda x: 0 * x, D, dim=2), grid)
    np.testing.assert_allclose(state.density, 1, rtol=1e-7)


def test_short_axes_beside_long_ones():
    model = rt.Model.from_sympy([-X, -Y + X], [[1, 0.5], [0.5, 1]], variables=(X, Y))
    for shape in ((2, 60), (60, 3), (2, 2)):
        W = rt.generator(model, rt.Grid([(-2, 2)] * 2, shape))
        check_markov(W)
        assert rt.steady_state(W).residual <= 1e-10


# --- more dimensions --------------------------------------------------------------------


def test_two_planes_in_four_dimensions():
    """Uncoupled planes, each strongly anisotropic: the law is a product."""
    plane = np.array([[1, 0.6], [0.6, 0.5]])
    D = np.zeros((4, 4))
    D[:2, :2], D[2:, 2:] = plane, plane[::-1, ::-1]
    n = 7
    box = [(-2.0, 2.0)]
    state = rt.steady_state(rt.Model(lambda x: -x, D, dim=4), rt.Grid(box * 4, (n,) * 4), flux="exponential")
    one = rt.steady_state(rt.Model(lambda x: -x, plane, dim=2), rt.Grid(box * 2, (n, n)), flux="exponential").probability
    two = rt.steady_state(rt.Model(lambda x: -x, plane[::-1, ::-1], dim=2), rt.Grid(box * 2, (n, n)), flux="exponential")
    np.testing.assert_allclose(state.probability, np.multiply.outer(one, two.probability), rtol=1e-8)


def test_pairs_in_four_dimensions():
    D = np.full((4, 4), 0.2) + 0.8 * np.eye(4)
    W = rt.generator(rt.Model(lambda x: -x, D, dim=4), rt.Grid([(-2, 2)] * 4, (6,) * 4))
    check_markov(W)
    assert rt.steady_state(W).residual <= 1e-10
    D = np.full((4, 4), 0.5) + 0.5 * np.eye(4)
    with pytest.raises(ValueError, match=r"diffusion has no .* in the cell at x = \(-1\.\d+, .* largest eigenvalue is 5\.0* times the smallest"):
        rt.generator(rt.Model(lambda x: -x, D, dim=4), rt.Grid([(-2, 2)] * 4, (6,) * 4))


# --- bad input ----------------------------------------------------------------------------


def test_not_positive_semidefinite():
    model = rt.Model(lambda x: -x, lambda x: np.array([[1 + 0 * x[0], 2 * x[0]], [2 * x[0], 1 + 0 * x[0]]]), dim=2)
    with pytest.raises(ValueError, match=r"positive semidefinite, which it is not at x = \("):
        rt.generator(model, rt.Grid([(-1, 1)] * 2, 20))


def test_not_symmetric():
    model = rt.Model(lambda x: -x, lambda x: np.array([[1 + 0 * x[0], x[0]], [0 * x[0], 1 + 0 * x[0]]]), dim=2)
    with pytest.raises(ValueError, match="must be symmetric"):
        rt.generator(model, rt.Grid([(0.1, 0.9)] * 2, 20))


def test_uneven_cells():
    model = rt.Model(lambda x: -x, np.array([[1, 0.5], [0.5, 1]]), dim=2)
    grid = rt.Grid([[0, 1, 2, 4], (0, 1)], (None, 3))
    with pytest.raises(ValueError, match="neighbouring cells differ in width by at most a quarter"):
        rt.generator(model, grid)


def test_divergence_that_a_model_is_given():
    """Only where it is exact is it used: three rows for a model of three coordinates."""
    tape = _core.Expression(2, np.zeros(3), np.zeros((0, 4), dtype=np.int32), 2 + np.arange(3, dtype=np.int32))
    with pytest.raises(ValueError, match="divergence: the expression has 2 inputs and 3 outputs; 2 and 2 are needed"):
        _core.Model(2, 0, 0, 1, lambda x: x, lambda x: x[0], tape)


def test_nan_inside():
    def D(x):
        hit = (np.abs(x[0] - 0.31) < 0.02) & (np.abs(x[1] - 0.7) < 0.02)
        return np.where(hit, np.nan, np.array([[1, 0.5], [0.5, 1]])[:, :, None])

    with pytest.raises(ValueError, match=r"diffusion is not finite: component \(0, 0\) is nan at x = \(0\.3"):
        rt.generator(rt.Model(lambda x: -x, D, dim=2), rt.Grid([(0, 1)] * 2, 50))
