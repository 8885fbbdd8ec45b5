"""Models: against the twin, hand formulas and each other, and what bad input gets."""

import copy
import math
import pickle
import tracemalloc

import numpy as np
import pytest
import sympy as sp
from reference import model as twin

import rattling
from rattling import Grid, Model, _core, exact_rattling

x, y, z = sp.symbols("x y z", real=True)
INTERPRETATIONS = ("ito", "stratonovich", "anti-ito")


def points(dim=2, n=50, seed=0):
    return np.random.default_rng(seed).normal(size=(dim, n))


# Functions on blocks (and on single points), and the same as SymPy expressions.


def drift(p):
    return np.array([p[1] - p[0] ** 3, -p[0] + np.sin(p[1])])


DRIFT = [y - x**3, -x + sp.sin(y)]


def scalar(p):
    return 1 + 0.5 * p[0] ** 2 + p[1] ** 2


def diagonal(p):
    return np.array([1 + 0.5 * p[0] ** 2, 2 + np.sin(p[0]) * np.cos(p[1])])


def tensor(p):
    c = 0.3 * np.sin(p[0] * p[1])
    return np.array([[1 + p[0] ** 2, c], [c, 1 + np.cos(p[1]) ** 2]])


def amplitude(p):
    return np.array([[1 + p[0] ** 2, p[1], p[0] * p[1]], [p[0], 2 + p[1] ** 2, 0 * p[0]]])


C = sp.Rational(3, 10) * sp.sin(x * y)
GIVEN = {
    "scalar": (scalar, 1 + x**2 / 2 + y**2),
    "diagonal": (diagonal, [1 + x**2 / 2, 2 + sp.sin(x) * sp.cos(y)]),
    "tensor": (tensor, [[1 + x**2, C], [C, 1 + sp.cos(y) ** 2]]),
    "amplitude": (amplitude, [[1 + x**2, y, x * y], [x, 2 + y**2, 0]]),
}
CASES = [
    (argument, name, interpretation)
    for argument in ("diffusion", "noise")
    for name in GIVEN
    for interpretation in INTERPRETATIONS
    if (argument, name) not in {("diffusion", "amplitude")}
    and (argument, name, interpretation) != ("diffusion", "tensor", "stratonovich")
]


@pytest.mark.parametrize(("argument", "name", "interpretation"), CASES)
def test_functions_and_symbols_agree_with_the_twin(argument, name, interpretation):
    function, expression = GIVEN[name]
    p = points()
    if argument == "noise" and name in ("scalar", "diagonal"):  # differentiated as D

        def squared(q):
            return function(q) ** 2 / 2

        rule = {"diffusion": squared}
    else:
        rule = {argument: function}
    python = Model(drift, **{argument: function}, interpretation=interpretation)
    symbolic = Model.from_sympy(
        DRIFT, **{argument: expression}, variables=(x, y), interpretation=interpretation
    )
    expected = np.array([twin.ito_drift(drift, q, interpretation, **rule) for q in p.T]).T
    # central differences: round-off eps D / h; the symbolic drift is exact
    tolerance = 2e-10 * np.abs(python.diffusion(p)).max()
    np.testing.assert_allclose(python.drift(p), expected, rtol=0, atol=tolerance)
    np.testing.assert_allclose(symbolic.drift(p), expected, rtol=0, atol=tolerance)
    if argument == "noise":
        g = [twin.amplitude(function(q), 2) for q in p.T]
        d = np.moveaxis([a @ a.T / 2 for a in g], 0, -1)
    else:
        d = np.moveaxis([twin.tensor(function(q), 2) for q in p.T], 0, -1)
    r = [twin.rattling(d[..., i]) for i in range(p.shape[1])]
    for model in (python, symbolic):
        np.testing.assert_allclose(model.diffusion(p), d, rtol=1e-13, atol=1e-14)
        np.testing.assert_allclose(exact_rattling(model, p), r, rtol=1e-12, atol=1e-13)


def test_interpretations_are_exact_by_hand():
    """G = [[1, x], [0, y]]: ½ G_kj ∂_k G_ij = ½ (x, y), and ∂_k D_ik with D = G Gᵀ/2."""
    g = [[1, x], [0, y]]
    ito = {
        "ito": [0, 0],
        # i=0: G_01 ∂_x G_01 = x;  i=1: G_11 ∂_y G_11 = y
        "stratonovich": [x / 2, y / 2],
        # D = ½ [[1 + x², x y], [x y, y²]]: ∂_x D_00 + ∂_y D_01, ∂_x D_10 + ∂_y D_11
        "anti-ito": [x + x / 2, y / 2 + y],
    }
    for interpretation, expected in ito.items():
        model = Model.from_sympy([0, 0], noise=g, variables=(x, y), interpretation=interpretation)
        assert sp.simplify(model.ito_drift - sp.Matrix(expected)) == sp.zeros(2, 1)
    d = 1 + x**2
    for interpretation, alpha in zip(INTERPRETATIONS, (0, sp.Rational(1, 2), 1), strict=True):
        model = Model.from_sympy(-x, d, variables=x, interpretation=interpretation)
        assert sp.expand(model.ito_drift[0] - (-x + alpha * sp.diff(d, x))) == 0


def test_stratonovich_obeys_the_chain_rule():
    """u = sinh(x) of dx = a dt + b ∘ dW is a Stratonovich equation with u' times each."""
    a, b = -x + sp.cos(x), 1 + x**2 / 4
    model = Model.from_sympy(a, noise=b, variables=x, interpretation="stratonovich")
    inverse = {x: sp.asinh(x)}
    image = Model.from_sympy(
        (a * sp.cosh(x)).subs(inverse),
        noise=(b * sp.cosh(x)).subs(inverse),
        variables=x,
        interpretation="stratonovich",
    )
    # Ito's formula: f_u = f u' + D u''
    f, d = model.ito_drift[0], model.diffusion_tensor[0]
    expected = (f * sp.cosh(x) + d * sp.sinh(x)).subs(inverse)
    p = points(1)
    np.testing.assert_allclose(image.drift(p)[0], sp.lambdify(x, expected)(p[0]), rtol=1e-12)


def test_derivatives_of_kinks():
    for d, expected in [
        (1 + sp.Abs(x), sp.sign(x)),
        (sp.Max(1, x), sp.Heaviside(x - 1)),
        (1 + x * sp.sign(x), sp.sign(x)),
        (1 + (x - 1) ** 2 * sp.Heaviside(2 * x - 2), 2 * (x - 1) * sp.Heaviside(x - 1)),
        (sp.Piecewise((1, x < 0), (1 + x**2, True)), sp.Piecewise((0, x < 0), (2 * x, True))),
    ]:
        model = Model.from_sympy(0, d, variables=sp.Symbol("x"), interpretation="anti-ito")
        p = points(1)
        np.testing.assert_allclose(model.drift(p)[0], sp.lambdify(x, expected)(p[0]), atol=1e-15)
    with pytest.raises(ValueError, match="DiracDelta"):
        Model.from_sympy(0, 2 + sp.sign(x), variables=x, interpretation="anti-ito")


# --- chosen steady states -----------------------------------------------------------------


def current(model, variables):
    """J = f p - div(D p) with p = exp(-φ), over p."""
    phi, f, d = model.phi, model.ito_drift, model.diffusion_tensor
    n = range(len(variables))
    return [f[i] - sum(d[i, j].diff(variables[j]) - d[i, j] * phi.diff(variables[j]) for j in n) for i in n]


def divergence_of_current(model, variables):
    j = current(model, variables)
    return sum(j[i].diff(v) - j[i] * model.phi.diff(v) for i, v in enumerate(variables))


def test_steady_state_in_two_dimensions():
    phi = x**4 / 4 + x * y / 2 + sp.cosh(y)
    d = [[2 + sp.sin(x), x * y / (1 + x**2 + y**2)], [x * y / (1 + x**2 + y**2), 2]]
    a = sp.exp(-(x**2)) * y
    model = Model.with_steady_state(phi, d, a, variables=(x, y))
    assert sp.simplify(divergence_of_current(model, (x, y))) == 0
    j = current(model, (x, y))  # J_i = ∂_j (A_ij p)
    expected = [a.diff(y) - a * phi.diff(y), -a.diff(x) + a * phi.diff(x)]
    assert all(sp.simplify(u - v) == 0 for u, v in zip(j, expected, strict=True))
    assert model.interpretation == "ito" and model.kind == "sympy"
    matrix = Model.with_steady_state(phi, d, [[0, a], [-a, 0]], variables=(x, y))
    assert matrix.ito_drift == model.ito_drift


def test_steady_state_in_three_dimensions():
    phi = (x**2 + y**2 + z**2) ** 2 / 4 - x * y * z / 2
    d = sp.Matrix([[2, sp.sin(z) / 4, 0], [sp.sin(z) / 4, 1 + x**2, 0], [0, 0, sp.exp(y)]])
    a = [y * z, sp.cos(x), 1 + z**2]
    model = Model.with_steady_state(phi, d, a, variables=(x, y, z))
    assert sp.simplify(divergence_of_current(model, (x, y, z))) == 0
    # A_ij = eps_ijk a_k: J p = curl(a p) up to the sign of the convention
    full = sp.Matrix([[0, a[2], -a[1]], [-a[2], 0, a[0]], [a[1], -a[0], 0]])
    assert Model.with_steady_state(phi, d, full, variables=(x, y, z)).ito_drift == model.ito_drift
    assert Model.with_steady_state(phi, d, sp.Matrix(a), variables=(x, y, z)).ito_drift == model.ito_drift
    np.testing.assert_allclose(
        model.drift(points(3)),
        sp.lambdify((x, y, z), list(model.ito_drift))(*points(3)),
        rtol=1e-11,
        atol=1e-12,
    )


def test_steady_state_without_circulation_has_no_current():
    model = Model.with_steady_state(x**2 + y**4, [1 + y**2, sp.exp(x)], variables=(x, y))
    assert [sp.simplify(j) for j in current(model, (x, y))] == [0, 0]


def test_exact_log_density():
    model = Model.with_steady_state("k*(x**2 + y**2)/2", 1, "3*k", variables="x y", parameters={"k": 2})
    p = points()
    np.testing.assert_allclose(model.exact_log_density(p), -(p[0] ** 2) - p[1] ** 2, rtol=1e-14)
    assert model.exact_log_density(p[:, 0]).shape == ()
    grid = Grid([(-1, 1), (0, 3)], (4, 5))
    values = model.exact_log_density(grid)
    u, v = np.meshgrid(grid.centres(0), grid.centres(1), indexing="ij")
    np.testing.assert_allclose(values, -(u**2) - v**2, rtol=1e-14)
    assert model.parameters == {"k": 2.0} and model.variables == ("x", "y")
    with pytest.raises(ValueError, match=r"only of models from Model.with_steady_state"):
        Model(drift, 1).exact_log_density(p)


@pytest.mark.parametrize(
    ("arguments", "variables", "message"),
    [
        (
            (x**2, 1, [[0, 1], [1, 0]]),
            (x, y),
            r"antisymmetric, but its elements \(0, 1\) and \(1, 0\) are 1 and 1",
        ),
        (
            (x**2, 1, [[x, 1], [-1, 0]]),
            (x, y),
            r"antisymmetric, but its elements \(0, 0\) and \(0, 0\) are x and x",
        ),
        ((x**2, 1, 1), (x, y, z), r"shape \(3, 3\), or in 2-D one expression, or in 3-D three; got 1"),
        ((x**2, 1, [1, 2]), (x, y), "antisymmetric matrix of shape"),
        ((x**2, 1, 1), (x,), "antisymmetric matrix of shape"),
        (
            (x**2, [[1, x], [y, 1]], 1),
            (x, y),
            r"symmetric, but its elements \(0, 1\) and \(1, 0\) are x and y",
        ),
        ((x**2, -1, 1), (x, y), "diffusion must not be negative"),
        ((x**2 + z, 1, 1), (x, y), "phi: .* contains z"),
        ((sp.Abs(sp.floor(x)), 1, 1), (x, y), "drift: .*not supported"),
    ],
)
def test_bad_steady_states(arguments, variables, message):
    with pytest.raises(ValueError, match=message):
        Model.with_steady_state(*arguments, variables=variables)


def test_ways_to_write_matrices():
    p = points()
    d = sp.Matrix([[2, x], [x, 1 + x**2]])
    expected = Model.from_sympy(DRIFT, d, variables=(x, y))
    for same in (
        d.tolist(),
        sp.ImmutableMatrix(d),
        sp.Array(d),
        np.array(d.tolist()),
        sp.MatAdd(d, sp.Identity(2)) - sp.eye(2),
    ):
        model = Model.from_sympy(sp.Matrix(DRIFT), same, variables=(x, y))
        np.testing.assert_array_equal(model.diffusion(p), expected.diffusion(p))
    for f in (sp.Matrix(DRIFT).T, np.array(DRIFT), tuple(DRIFT), sp.Tuple(*DRIFT), [str(f) for f in DRIFT]):
        np.testing.assert_array_equal(Model.from_sympy(f, d, variables=(x, y)).drift(p), expected.drift(p))


def test_equal_but_different_expressions_are_symmetric():
    d = [[1, sp.sin(2 * x) / 4], [sp.sin(x) * sp.cos(x) / 2, 1]]
    model = Model.from_sympy([0, 0], d, variables=(x, y))
    np.testing.assert_array_equal(model.diffusion(points())[0, 1], model.diffusion(points())[1, 0])


# --- what diffusion and noise may be ----------------------------------------------------


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"diffusion": 0.5}, [[0.5, 0], [0, 0.5]]),
        ({"diffusion": [0.5, 2]}, [[0.5, 0], [0, 2]]),
        ({"diffusion": [[2, 0.5], [0.5, 1]]}, [[2, 0.5], [0.5, 1]]),
        ({"diffusion": 0}, [[0, 0], [0, 0]]),
        ({"noise": 2}, [[2, 0], [0, 2]]),
        ({"noise": [2, -1]}, [[2, 0], [0, 0.5]]),
        ({"noise": [[2], [1]]}, [[2, 1], [1, 0.5]]),
        ({"noise": [[1, 2, 3], [4, 5, 6]]}, [[7, 16], [16, 38.5]]),
    ],
)
@pytest.mark.parametrize("interpretation", INTERPRETATIONS)
def test_constants(given, expected, interpretation):
    """Constant noise means the same in every interpretation."""
    p = points(n=3)
    python = Model(drift, dim=2, interpretation=interpretation, **given)
    symbolic = Model.from_sympy(DRIFT, variables=(x, y), interpretation=interpretation, **given)
    for model in (python, symbolic):
        np.testing.assert_allclose(
            model.diffusion(p), np.repeat(np.array(expected)[..., None], 3, axis=2), rtol=1e-15
        )
        np.testing.assert_allclose(model.drift(p), drift(p), rtol=1e-14)


@pytest.mark.parametrize(
    ("argument", "function", "expected"),
    [
        ("diffusion", lambda p: 0.5, np.diag([0.5, 0.5])),
        ("diffusion", lambda p: np.full(p.shape[1], 0.5), np.diag([0.5, 0.5])),
        ("diffusion", lambda p: [0.5, np.full(p.shape[1], 2)], np.diag([0.5, 2])),
        ("diffusion", lambda p: (0.5, 2), np.diag([0.5, 2])),
        ("diffusion", lambda p: np.array([[0.5], [2]]), np.diag([0.5, 2])),
        ("diffusion", lambda p: [[2, 0.5], [0.5 + 0 * p[0], 1]], [[2, 0.5], [0.5, 1]]),
        ("diffusion", lambda p: np.array([[[2], [0.5]], [[0.5], [1]]]), [[2, 0.5], [0.5, 1]]),
        ("diffusion", lambda p: [np.array([[2], [0.5]]), [0.5, 1]], [[2, 0.5], [0.5, 1]]),
        ("diffusion", lambda p: np.full(p.shape[1], 1, dtype=np.int8), np.eye(2)),
        ("noise", lambda p: -2, np.diag([2, 2])),
        ("noise", lambda p: [2, 0 * p[0] - 1], np.diag([2, 0.5])),
        ("noise", lambda p: [[1, 2, 3], [4, 5, 6]], [[7, 16], [16, 38.5]]),
        ("noise", lambda p: [[2], [1]], [[2, 1], [1, 0.5]]),
    ],
)
@pytest.mark.parametrize("n", [1, 2, 3])
def test_shapes_that_functions_may_return(argument, function, expected, n):
    model = Model(drift, **{argument: function})
    p = points(n=n)
    np.testing.assert_allclose(
        model.diffusion(p), np.repeat(np.array(expected)[..., None], n, axis=2), rtol=1e-15
    )


def test_one_dimension():
    p = points(1, 4)
    for f in (lambda q: -q, lambda q: -q[0], lambda q: [-q[0]]):
        for given in (
            {"diffusion": lambda q: 1 + q[0] ** 2},
            {"diffusion": lambda q: 1 + q**2},
            {"diffusion": lambda q: [[1 + q[0] ** 2]]},
            {"noise": lambda q: np.sqrt(2 + 2 * q**2)},
            {"noise": lambda q: [[np.sqrt(2), np.sqrt(2) * q[0]]]},
        ):
            model = Model(f, **given)
            np.testing.assert_array_equal(model.drift(p), -p)
            np.testing.assert_allclose(model.diffusion(p), 1 + p[None] ** 2, rtol=1e-14)
            np.testing.assert_allclose(
                exact_rattling(model, p), 0.5 * np.log(2 + 2 * p[0] ** 2), rtol=1e-13, atol=1e-15
            )
    for d in (1 + x**2, [1 + x**2], [[1 + x**2]], sp.Matrix([1 + x**2])):
        symbolic = Model.from_sympy("-x", d, variables="x")
        np.testing.assert_allclose(symbolic.diffusion(p), 1 + p[None] ** 2, rtol=1e-15)


def test_dimension():
    free = Model(lambda p: -p, 1)
    assert free.dim is None
    assert free.drift(points(3)).shape == (3, 50) and free.drift(points(1)).shape == (1, 50)
    assert Model(lambda p: -p, [1, 2, 3]).dim == 3
    assert Model(lambda p: -p, noise=[[1, 2, 3]]).dim == 1
    assert Model(lambda p: -p, 1, dim=np.int64(2)).dim == 2
    assert Model.from_sympy(DRIFT, 1, variables="x y").dim == 2


def test_shapes_of_points():
    model = Model(drift, tensor)
    p = points(n=6)
    assert model.drift(p[:, 0]).shape == (2,) and model.diffusion(p[:, 0]).shape == (2, 2)
    assert model.drift(p.reshape(2, 2, 3)).shape == (2, 2, 3)
    assert exact_rattling(model, p.reshape(2, 2, 3)).shape == (2, 3)
    assert exact_rattling(model, p[:, 0]).shape == ()
    assert model.drift(p.tolist()).shape == (2, 6)
    np.testing.assert_array_equal(model.drift(np.asfortranarray(p)), model.drift(p))
    grid = Grid([(-1, 1), (0, 3)], (4, 5))
    values = exact_rattling(model, grid)
    assert values.shape == (4, 5)
    assert values[1, 2] == exact_rattling(model, [grid.centres(0)[1], grid.centres(1)[2]])


def test_many_points_come_in_blocks():
    seen = []

    def f(p):
        seen.append(p)
        return -p

    p = points(n=10000)
    np.testing.assert_array_equal(Model(f, 1).drift(p), -p)
    assert max(q.shape[1] for q in seen) <= 4096
    assert len({q.ctypes.data for q in seen}) == len(seen)  # each call may keep its points
    np.testing.assert_array_equal(np.concatenate(seen, axis=1), p)


def test_one_point_of_many_coordinates_needs_no_more_memory_than_one():
    model = Model(lambda x: -x, np.eye(300), dim=300)
    np.testing.assert_array_equal(model.diffusion(np.zeros(300)), np.eye(300))
    tracemalloc.start()
    model.diffusion(np.zeros(300))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10 * 300 * 300 * 8  # 4096 points: 2.9 GB


def test_exact_rattling_values():
    model = Model.from_sympy([0, 0, 0], [[2, 1, 0], [1, 3, x], [0, x, 2]], variables=(x, y, z))
    at = np.array([[0.0, 1.0], [0, 0], [0, 0]])
    expected = [0.5 * math.log(8 * (2 * 6 - 2)), 0.5 * math.log(8 * (2 * 5 - 2))]
    np.testing.assert_allclose(exact_rattling(model, at), expected, rtol=1e-14)
    assert exact_rattling(Model(drift, [0, 1]), [1.0, 2.0]) == -math.inf
    assert exact_rattling(Model(drift, noise=[[1.0], [2.0]]), [1.0, 2.0]) == -math.inf
    with pytest.raises(TypeError, match=r"model must be a rattling.Model, not function"):
        exact_rattling(drift, [1, 2])


# --- errors at construction -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "options", "error", "message"),
    [
        ((3, 1), {}, TypeError, "drift must be a function of x, not int"),
        ((x, 1), {}, TypeError, "not Symbol; Model.from_sympy takes expressions"),
        (([1, 2], 1), {}, TypeError, "drift must be a function of x, not list"),
        ((drift, "a"), {}, TypeError, "diffusion must be numbers or a function of x, not str"),
        ((drift, x), {}, TypeError, "Model.from_sympy takes expressions"),
        ((drift, 1j), {}, TypeError, "diffusion must be numbers"),
        ((drift,), {}, ValueError, "give diffusion= or noise=, and only one"),
        ((drift, 1), {"noise": 1}, ValueError, "only one"),
        (
            (drift, 1),
            {"interpretation": "Ito"},
            ValueError,
            "one of 'ito', 'stratonovich', 'anti-ito'; got 'Ito'",
        ),
        ((drift, 1), {"interpretation": ["ito"]}, ValueError, "interpretation must be one of"),
        ((drift, 1), {"dim": 0}, ValueError, "dim must be a whole number >= 1; got 0"),
        ((drift, 1), {"dim": 2.0}, ValueError, "dim must be a whole number"),
        ((drift, [1, 2, 3]), {"dim": 2}, ValueError, "diffusion has 3 rows, but dim is 2"),
        (
            (drift, [[1, 2, 3], [4, 5, 6]]),
            {},
            ValueError,
            r"diffusion must have shape .*\(dim, dim\), but it has \(2, 3\)",
        ),
        ((drift, np.zeros((2, 2, 2))), {}, ValueError, "diffusion must have shape"),
        ((drift, []), {}, ValueError, "diffusion must have shape"),
        ((drift, -1), {}, ValueError, "diffusion must not be negative"),
        ((drift, [1, -1]), {}, ValueError, "diffusion must not be negative"),
        ((drift, [[1, 2], [3, 4]]), {}, ValueError, "diffusion must be symmetric"),
        ((drift, [[1, 2], [2, 1]]), {}, ValueError, "diffusion must be positive semidefinite.*eigenvalue -1"),
        ((drift, math.nan), {}, ValueError, "diffusion must be finite"),
        ((drift,), {"noise": math.inf}, ValueError, "noise must be finite"),
        ((drift,), {"noise": 1e200}, ValueError, "diffusion must be finite; got .*inf"),
        ((drift,), {"noise": [[1e200, 0], [1, 1]]}, ValueError, "diffusion must be finite; got .*inf"),
        ((drift, 1), {"parameters": 3}, TypeError, "parameters must be a dict"),
    ],
)
def test_bad_arguments(arguments, options, error, message):
    with pytest.raises(error, match=message):
        Model(*arguments, **options)


@pytest.mark.parametrize(
    ("arguments", "options", "error", "message"),
    [
        (([x], 1), {}, ValueError, "drift must have one expression for each of the 2 variables"),
        ((x, 1), {}, ValueError, "drift must have one expression"),
        (([[x, y], [x, y]], 1), {}, ValueError, "drift must have one expression"),
        ((DRIFT, [1, 2, 3]), {}, ValueError, r"diffusion must be one expression, .* shape \(2, 2\)"),
        ((DRIFT, [[1, 2, 3], [1, 2, 3]]), {}, ValueError, "diffusion must be one expression"),
        ((DRIFT, [[1, 2], 3]), {}, ValueError, "diffusion must be one expression"),
        ((DRIFT, [[1, [2]], [3, 4]]), {}, TypeError, "diffusion must be made of"),
        ((DRIFT, -1), {}, ValueError, "diffusion must not be negative"),
        ((DRIFT, "-k"), {"parameters": {"k": 2}}, ValueError, "diffusion must not be negative"),
        ((DRIFT, [[1, 2], [2, 1]]), {}, ValueError, "positive semidefinite"),
        ((DRIFT, sp.I), {}, ValueError, "diffusion: I is not a real number"),
        ((DRIFT, [[1, x], [-x, 1]]), {}, ValueError, "diffusion must be symmetric"),
        (
            (DRIFT, [[1 + x**2, C], [C, 1]]),
            {"interpretation": "stratonovich"},
            ValueError,
            "give noise= instead of",
        ),
        (([sp.Function("f")(x), y], 1), {}, ValueError, r"drift: f\(x\).*not supported"),
        (([x, "q*x"], 1), {}, ValueError, "drift: q.x contains q"),
        ((DRIFT,), {}, ValueError, "give diffusion= or noise="),
        ((DRIFT,), {"noise": [[1], [2], [3]]}, ValueError, r"noise must be .* shape \(2, m\)"),
        ((DRIFT, 1), {"interpretation": "other"}, ValueError, "interpretation must be one of"),
    ],
)
def test_bad_symbols(arguments, options, error, message):
    with pytest.raises(error, match=message):
        Model.from_sympy(*arguments, variables=(x, y), **options)


def test_tensor_whose_off_diagonal_a_parameter_removes():
    d = [[1 + x**2, "c"], ["c", 1]]
    model = Model.from_sympy(DRIFT, d, variables="x y", parameters={"c": 0}, interpretation="stratonovich")
    assert model._compiled(None).is_diagonal
    np.testing.assert_allclose(
        model.drift(points())[0], drift(points())[0] + points()[0], rtol=1e-13, atol=1e-14
    )


# --- errors at evaluation ----------------------------------------------------------------------


def with_value(rows, bad, component):
    """A function that gives `rows`, but at points with x > 1 `bad` for one component."""

    def function(p):
        out = np.array(rows, dtype=float)[..., None] * np.ones(p.shape[1])
        out[(*component, p[0] > 1)] = bad
        return out

    return function


AT = np.array([[0.0, 1.5, 2.0], [1.0, -2.0, 3.0]])


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_drift_that_is_not_finite(bad):
    model = Model(with_value([1, 2], bad, (1,)), 1)
    with pytest.raises(
        ValueError, match=rf"^drift is not finite: component 1 is {bad} at x = \(1.5, -2.0\)$"
    ):
        model.drift(AT)
    symbolic = Model.from_sympy(["1/x", 0], 1, variables="x y")
    with pytest.raises(ValueError, match=r"^drift is not finite: component 0 is inf at x = \(0.0, 1.0\)$"):
        symbolic.drift(AT)


@pytest.mark.parametrize(
    ("argument", "function", "message"),
    [
        ("diffusion", with_value([1, 2], -0.5, (1,)), "diffusion must not be negative: component 1 is -0.5"),
        ("diffusion", with_value([1, 2], math.nan, (0,)), "diffusion is not finite: component 0 is nan"),
        (
            "diffusion",
            with_value([[1, 0], [0, 1]], -3, (1, 1)),
            r"must not be negative: component \(1, 1\) is -3.0",
        ),
        (
            "diffusion",
            with_value([[1, 0], [0, 1]], math.inf, (1, 0)),
            r"is not finite: component \(1, 0\) is inf",
        ),
        (
            "diffusion",
            with_value([[1, 0], [0, 1]], 0.25, (0, 1)),
            r"diffusion must be symmetric: component \(0, 1\) exceeds component \(1, 0\) by 0.25",
        ),
        (
            "diffusion",
            with_value([[1, 2], [2, 5]], 3, (1, 1)),
            "diffusion must be positive semidefinite, which it is",
        ),
        (
            "noise",
            with_value([[1, 2, 3], [4, 5, 6]], math.nan, (1, 2)),
            r"noise is not finite: component \(1, 2\)",
        ),
        ("noise", with_value([1, 2], 1e200, (0,)), "diffusion is not finite: component 0 is inf"),
    ],
)
def test_diffusion_that_is_bad_at_a_point(argument, function, message):
    for evaluate in (Model.diffusion, exact_rattling):
        with pytest.raises(ValueError, match=rf"{message}.*at x = \(1.5, -2.0\)"):
            evaluate(Model(drift, **{argument: function}), AT)


def test_core_model_refuses_a_tensor_where_a_diagonal_is_needed():
    model = Model(drift, tensor)._compiled(AT)
    assert not model.is_diagonal and not model.thread_safe
    with pytest.raises(
        ValueError, match=r"must be diagonal here: component \(0, 1\) is .* at x = \(1.5, -2.0\)"
    ):
        model.diagonal(AT)
    assert Model.from_sympy(DRIFT, 1, variables="x y")._compiled(None).thread_safe


def test_noise_induced_drift_that_is_not_finite():
    model = Model(drift, lambda p: np.where(p[0] > 1.5, 1e305, 1.0), interpretation="anti-ito")
    with pytest.raises(
        ValueError, match=r"noise-induced drift is not finite: component 0 is inf at x = \(1.5, -2.0\)"
    ):
        model.drift(AT)


@pytest.mark.parametrize("scale", [1e-6, 1e-30, 1e9])
@pytest.mark.parametrize("noise", [False, True])
def test_noise_induced_drift_in_any_unit(scale, noise):
    """In units of `scale`, and far from the origin too."""
    x, y = sp.symbols("x y", real=True)
    G = [2 + sp.sin(3 * x / scale) + sp.cos(y / scale), 1 + sp.exp(-((x / scale) ** 2))]
    at = scale * np.array([[0.3, -1.1, 0.0, 700.0], [0.2, 0.9, 0.0, -3.0]])
    what = {"noise": G} if noise else {"diffusion": [g**2 / 2 for g in G]}
    exact = Model.from_sympy([0, 0], **what, variables=(x, y), interpretation="stratonovich")
    function = sp.lambdify((x, y), next(iter(what.values())), "numpy")
    what = {name: lambda p: np.array(function(*p)) for name in what}
    model = Model(np.zeros_like, **what, dim=2, interpretation="stratonovich", length=scale)
    np.testing.assert_allclose(model.drift(at), exact.drift(at), atol=2e-8 / scale)


def test_boxes_in_which_the_default_length_says_nothing():
    def in_metres(p):
        return 1e-12 * (2 + np.sin(p[0] / 1e-6))

    model = Model(np.zeros_like, in_metres, dim=1, interpretation="anti-ito")
    message = r"axis 0 is 1e-05 long, .*'anti-ito'.*steps of 6e-06; give the model length="
    grid = Grid([(0, 1e-5)], 100)
    with pytest.raises(ValueError, match=message):
        rattling.generator(model, grid)
    with pytest.raises(ValueError, match=message):
        rattling.simulate(model, dt=1e-3, n_steps=1, x0=[[5e-6]], boundary=grid)
    with pytest.raises(ValueError, match="axis 0 is 1e\\+07 long"):
        rattling.generator(model, Grid([(0, 1e7)], 100))
    known = Model(np.zeros_like, in_metres, dim=1, interpretation="anti-ito", length=1e-6)
    np.testing.assert_allclose(rattling.steady_state(known, grid).density, 1e5, rtol=1e-8)  # J = -D dp/dx = 0
    ito = Model(np.zeros_like, in_metres, dim=1)
    assert rattling.steady_state(ito, grid).density.max() > 1.5e5  # p ~ 1/D needs no derivative
    free = rattling.simulate(model, dt=1e-3, n_steps=1, x0=[[5e-6]], boundary=[(0, np.inf, "reflecting")])
    assert free.x.shape == (1, 2, 1)


@pytest.mark.parametrize("length", [0, -1.0, np.nan, np.inf])
def test_bad_lengths(length):
    with pytest.raises(ValueError, match="length must be positive"):
        Model(drift, [1, 2], length=length)


@pytest.mark.parametrize(
    ("at", "error", "message"),
    [
        ([1, 2, 3], ValueError, r"x must have shape \(2,\) or \(2, n\), but it has \(3,\)"),
        (1.0, ValueError, r"x must have shape \(2,\)"),
        (["a", "b"], TypeError, "x must be an array of real numbers"),
        ([1j, 2], TypeError, "x must be an array of real numbers, not of complex128"),
        (Grid([(0, 1)], 3), ValueError, "the model has 2 coordinates, but the grid has 1 axes"),
    ],
)
def test_bad_points(at, error, message):
    with pytest.raises(error, match=message):
        exact_rattling(Model(drift, [1, 2]), at)


def test_ambiguous_tensor_of_a_function():
    model = Model(drift, tensor, interpretation="stratonovich")
    with pytest.raises(
        ValueError, match=r"'stratonovich' depends on the noise amplitude.*give noise= instead"
    ):
        model.drift(AT)


def test_core_model_checks_its_arguments():
    tape = _core.Expression(2, [1.0], np.zeros((0, 4), dtype=np.int32), [0, 1])
    one = _core.Expression(2, [1.0], np.zeros((0, 4), dtype=np.int32), [2])
    assert _core.Model(2, 0, 0, 1, tape, one).dim == 2
    for length in (-1.0, np.nan, np.inf):
        with pytest.raises(ValueError, match="length is out of its range"):
            _core.Model(2, 0, 0, 1, tape, one, length=length)
    with pytest.raises(TypeError, match="joint must be an Expression, not function"):
        _core.Model(2, 0, 0, 1, tape, one, joint=drift)
    for bad in [(0, 0, 0, 1), (2, 3, 0, 1), (2, -1, 0, 1), (2, 0, 6, 1), (2, 0, 0, -1)]:
        with pytest.raises(ValueError, match="out of its range"):
            _core.Model(*bad, tape, one)
    with pytest.raises(
        ValueError, match="drift: the expression has 2 inputs and 2 outputs; 3 and 3 are needed"
    ):
        _core.Model(3, 0, 0, 1, tape, one)
    with pytest.raises(TypeError, match="diffusion must be callable, not int"):
        _core.Model(2, 0, 0, 1, tape, 3)
    with pytest.raises(ValueError, match="interpretation"):
        _core.Model(2, 1, 2, 1, tape, drift)
    with pytest.raises(ValueError, match="range"):
        _core.Model(2, 0, 5, 0, tape, drift)


# --- the object ------------------------------------------------------------------------------


def test_kind_and_names():
    assert Model(drift, 1).kind == "python"
    symbolic = Model.from_sympy(DRIFT, "k", variables="x y", parameters={"k": 2})
    assert symbolic.kind == "sympy" and symbolic.variables == ("x", "y") and symbolic.parameters == {"k": 2.0}
    assert Model(drift, 1).variables is None and Model(drift, 1).ito_drift is None
    assert symbolic.ito_drift.shape == (2, 1) and symbolic.diffusion_tensor.shape == (2, 2)


def test_repr():
    assert (
        repr(Model(drift, 0.5, dim=2))
        == "Model(drift=drift, diffusion=0.5, dim=2, interpretation='ito', kind='python')"
    )
    text = repr(Model.from_sympy(DRIFT, [1, 2], variables="x y", interpretation="anti-ito"))
    assert text == (
        "Model((x, y), drift=[-x**3 + y, -x + sin(y)], diffusion=[1, 2],"
        " interpretation='anti-ito', kind='sympy')"
    )
    assert "phi=x**2, diffusion=1, circulation=[[0, y], [-y, 0]]" in repr(
        Model.with_steady_state(x**2, 1, y, variables="x y")
    )
    long = Model.from_sympy([sum(x**k * y ** (k + 1) for k in range(40)), 0], 1, variables="x y")
    assert len(repr(long)) < 300
    latex = Model.with_steady_state(x**2, 1, y, variables="x y")._repr_latex_()
    assert latex.startswith("$") and latex.endswith("$") and r"\phi &= x^{2}" in latex
    assert Model(drift, 1)._repr_latex_() is None
    words = Model.from_sympy("-height*x*alpha + q_1", "heat", variables="x", parameters=dict(height=1, alpha=1, q_1=0, heat=1))
    assert r"- \alpha \mathrm{height} x + q_{1}" in words._repr_latex_()
    assert r"\mathrm{heat}" in words._repr_latex_()


@pytest.mark.parametrize("copied", [lambda m: pickle.loads(pickle.dumps(m)), copy.deepcopy])
def test_copies(copied):
    p = points()
    for model in (
        Model.from_sympy(
            DRIFT, noise=[x, "k + y"], variables="x y", parameters={"k": 2.5}, interpretation="anti-ito"
        ),
        Model.with_steady_state(x**2 + y**2, 1, y, variables="x y"),
        Model(drift, tensor, interpretation="anti-ito"),
    ):
        other = copied(model)
        np.testing.assert_array_equal(other.drift(p), model.drift(p))
        np.testing.assert_array_equal(other.diffusion(p), model.diffusion(p))
        assert repr(other) == repr(model)


def test_exports():
    assert rattling.Model is Model and rattling.exact_rattling is exact_rattling


def test_high_powers_are_not_expanded():
    """Which would take for ever."""
    d = 1 + ((x + y + x * y) / 10) ** 300
    c = (d - 1) * sp.sin(x)
    model = Model.from_sympy([-x, -y], [[d, c], [c, d]], variables=(x, y), interpretation="anti-ito")
    p = 0.1 * points()
    np.testing.assert_allclose(model.diffusion(p)[0, 0], 1 + ((p[0] + p[1] + p[0] * p[1]) / 10) ** 300)
