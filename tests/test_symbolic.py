"""SymPy expressions on the tape: against the twin, lambdify and exact values."""

import math

import mpmath
import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import expression as twin

from rattling import Model, _core, symbolic, tapes

x, y = sp.symbols("x y", real=True)
VARIABLES = (x, y)


def points(n=200, seed=0):
    return np.random.default_rng(seed).normal(size=(2, n)) * 1.5


def evaluate(expression, at=None):
    tape = tapes.compile_expressions([expression], VARIABLES, "f")
    return tape.evaluate(points() if at is None else at)[0]


def compile_names(expression):
    """Names of the operations an expression becomes."""
    _, _, instructions, _ = tapes.program([expression], VARIABLES, "f")
    return [twin.NAMES[op][0] for op in instructions[:, 0]]


# --- the tape -------------------------------------------------------------------------


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.data())
def test_random_programs_agree_with_the_twin(data):
    n_inputs = data.draw(st.integers(0, 3))
    constants = data.draw(st.lists(st.floats(-3, 3), min_size=1, max_size=3))
    names = sorted(twin.OPERATIONS)
    instructions = []
    for k in range(data.draw(st.integers(0, 25))):
        code, arity = _core.operations()[data.draw(st.sampled_from(names))]
        register = st.integers(0, n_inputs + len(constants) + k - 1)
        arguments = [data.draw(register) for _ in range(arity)]
        instructions.append([code, *arguments, *[0] * (3 - arity)])
    instructions = np.array(instructions, dtype=np.int32).reshape(-1, 4)
    last = n_inputs + len(constants) + len(instructions) - 1
    outputs = np.array(data.draw(st.lists(st.integers(0, last), min_size=1, max_size=4)), dtype=np.int32)
    n = data.draw(st.sampled_from([1, 2, 7, 300]))
    at = np.random.default_rng(n).normal(size=(n_inputs, n))
    program = (n_inputs, np.array(constants), instructions, outputs)
    got = _core.Expression(*program).evaluate(at)
    expected = twin.evaluate(*program, at)
    # libraries differ in the last bits of a function, which later steps may amplify
    smooth = {
        "ADD",
        "SUBTRACT",
        "MULTIPLY",
        "NEGATE",
        "SQUARE",
        "ABS",
        "MINIMUM",
        "MAXIMUM",
        "SQRT",
        "SELECT",
    }
    if all(twin.NAMES[op][0] in smooth for op in instructions[:, 0]):
        np.testing.assert_array_equal(got, expected)
    elif len(instructions) == 1:
        np.testing.assert_allclose(got, expected, rtol=1e-13, atol=1e-300)
    else:
        assert got.shape == expected.shape


@pytest.mark.parametrize("name", sorted(twin.OPERATIONS))
def test_each_operation_agrees_with_the_twin(name):
    code, _ = _core.operations()[name]
    special = [0.0, 1.0, -1.0, 0.5, -2.5, 3.0, 7.25, math.inf, -math.inf, math.nan]
    a, b, c = np.meshgrid(special, special, special, indexing="ij")
    at = np.array([a.ravel(), b.ravel(), c.ravel()])
    at = np.concatenate([at, np.random.default_rng(1).normal(size=(3, 1000)) * 3], axis=1)
    program = (3, np.array([]), np.array([[code, 0, 1, 2]], dtype=np.int32), np.array([3], dtype=np.int32))
    got, expected = _core.Expression(*program).evaluate(at), twin.evaluate(*program, at)
    if name == "GAMMA":  # C's and SciPy's conventions differ at the poles
        keep = ~((at[0] <= 0) & ((at[0] == np.floor(at[0])) | np.isinf(at[0])))
        got, expected = got[:, keep], expected[:, keep]
    if name == "LOG_GAMMA":
        keep = at[0] != -math.inf
        got, expected = got[:, keep], expected[:, keep]
    # log gamma vanishes at 1 and 2
    np.testing.assert_allclose(got, expected, rtol=2e-14, atol=1e-15 if name == "LOG_GAMMA" else 1e-300)


def test_the_number_of_points_does_not_change_a_bit():
    f = sp.sin(x) * sp.exp(-(y**2)) / (1 + x**2) + sp.Piecewise((x**3, x > y), (sp.sqrt(sp.Abs(y)), True))
    tape = tapes.compile_expressions([f, x * y], VARIABLES, "f")
    at = points(1000)
    whole = tape.evaluate(at)
    for n in (1, 5, 256, 257):
        np.testing.assert_array_equal(tape.evaluate(at[:, :n]), whole[:, :n])
    single = np.concatenate([tape.evaluate(at[:, i : i + 1]) for i in range(1000)], axis=1)
    np.testing.assert_array_equal(single, whole)


def test_tape_refuses_bad_programs():
    empty = np.zeros((0, 4), dtype=np.int32)
    with pytest.raises(ValueError, match="range"):
        _core.Expression(1, [1.0], [[0, 0, 2, 0]], [2])
    with pytest.raises(ValueError, match="instructions must have length 4 along axis 1"):
        _core.Expression(1, [1.0], np.zeros((1, 3), dtype=np.int32), [0])
    with pytest.raises(ValueError, match="n_inputs"):
        _core.Expression(-1, [1.0], empty, [0])
    with pytest.raises(TypeError, match="constants must be an array of real numbers"):
        _core.Expression(1, ["a"], empty, [0])
    tape = _core.Expression(2, [1.0], empty, [0, 2])
    with pytest.raises(ValueError, match="x must have length 2 along axis 0, but it has 3"):
        tape.evaluate(np.zeros((3, 4)))
    with pytest.raises(ValueError, match="x must have 2 dimensions"):
        tape.evaluate(np.zeros(2))
    assert tape.evaluate(np.zeros((2, 0))).shape == (2, 0)


# --- compiling ------------------------------------------------------------------------

one = sp.Integer(1)
EXPRESSIONS = [
    x + y,
    x - y,
    -x,
    -x - y,
    3 - x,
    x / 3 + sp.Rational(2, 7) * y,
    x * y / (1 + x**2) / (2 + y**2),
    1 / (1 + x**2),
    -x / (1 + y**2),
    x**7 - y**5,
    x**-3,
    (1 + x**2) ** sp.Rational(1, 2),
    (1 + x**2) ** sp.Rational(-3, 2),
    (1 + x**2) ** sp.Rational(1, 3),
    (1 + x**2) ** 0.25,
    (1 + x**2) ** 2.0,
    (1 + x**2) ** y,
    2**x,
    x**40,
    sp.pi * x + sp.E * y + sp.sqrt(2),
    sp.exp(-(x**2) / 2) * sp.log(1 + y**2),
    sp.sin(x) + sp.cos(y) + sp.tan(x / 3),
    sp.asin(sp.tanh(x)) + sp.acos(sp.tanh(y)) + sp.atan(x),
    sp.sinh(x) - sp.cosh(y) + sp.tanh(x),
    sp.asinh(x) + sp.acosh(1 + y**2) + sp.atanh(sp.tanh(y) / 2),
    sp.sec(x) + sp.csc(2 + sp.tanh(y)) + sp.cot(2 + sp.tanh(x)),
    sp.sech(x) + sp.csch(x) + sp.coth(y),
    sp.asec(2 + x**2) + sp.acsc(2 + y**2) + sp.acot(x),
    sp.asech(1 / (2 + x**2)) + sp.acsch(x) + sp.acoth(2 + y**2),
    sp.atan2(y, x),
    sp.Abs(x) * sp.sign(y),
    sp.Min(x, y, x * y) + sp.Max(x, 0),
    sp.floor(x) + sp.ceiling(y) + sp.frac(x),
    sp.Mod(x, 2) - sp.Mod(y, -3) + sp.Mod(x, y),
    sp.erf(x) + sp.erfc(y),
    sp.gamma(1 + x**2) + sp.loggamma(1 + y**2) + sp.factorial(y**2),
    sp.sinc(x),
    sp.Heaviside(x) + sp.Heaviside(y, 0),
    sp.Piecewise((x**2, x < 0), (sp.exp(-x), x <= 1), (y, True)),
    sp.Piecewise((1, sp.And(x > 0, y > 0)), (2, sp.Or(x > 1, y >= 1)), (3, sp.Not(sp.Eq(x, y))), (4, True)),
    sp.Piecewise((x, sp.Ne(x, 0)), (1, True)),
    one * 5,
    sp.Rational(1, 3) + x * 0,
]


@pytest.mark.parametrize("expression", EXPRESSIONS, ids=str)
def test_expressions_agree_with_lambdify(expression):
    """Evaluated by mpmath with 40 digits."""
    at = points(40)
    function = sp.lambdify(VARIABLES, expression, modules=["mpmath"])
    with mpmath.workdps(40):
        expected = [float(mpmath.re(function(mpmath.mpf(a), mpmath.mpf(b)))) for a, b in at.T]
    np.testing.assert_allclose(evaluate(expression, at), expected, rtol=1e-13, atol=1e-15)


def test_conditions_that_lambdify_does_not_know():
    u, v = points()
    either = sp.Not(sp.Xor(x > 0, y > 0))
    got = evaluate(sp.Piecewise((1, sp.Xor(x > 0, y > 0)), (2, sp.ITE(x > 1, y > 1, y < 0)), (3, either), (4, True)))
    np.testing.assert_array_equal(
        got, np.where((u > 0) ^ (v > 0), 1, np.where(np.where(u > 1, v > 1, v < 0), 2, 3))
    )


LEAVES = st.sampled_from([x, y, sp.Integer(2), sp.Rational(-1, 3), sp.Float(0.7), sp.pi])


def branch(children):
    pairs = st.tuples(children, children)
    return st.one_of(
        pairs.map(lambda ab: ab[0] + ab[1]),
        pairs.map(lambda ab: ab[0] - ab[1]),
        pairs.map(lambda ab: ab[0] * ab[1]),
        pairs.map(lambda ab: ab[0] / (1 + ab[1] ** 2)),
        children.map(lambda a: a**2),
        children.map(lambda a: a**3),
        children.map(sp.sin),
        children.map(sp.tanh),
        children.map(lambda a: sp.exp(-(a**2))),
        children.map(lambda a: sp.sqrt(1 + a**2)),
        children.map(lambda a: sp.log(2 + sp.cos(a))),
        children.map(sp.Abs),
        pairs.map(lambda ab: sp.Piecewise((ab[0], x > y), (ab[1], True))),
    )


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.lists(st.recursive(LEAVES, branch, max_leaves=12), min_size=1, max_size=3))
def test_random_expressions_agree_with_mpmath(expressions):
    """Against 40 digits: the error is a few roundings of the largest intermediate value."""
    program = tapes.program(expressions, VARIABLES, "f")
    at = np.array([[0.3, -1.2, 2.0, 0.0], [1.1, 0.4, -0.7, -0.5]])
    got = _core.Expression(*program).evaluate(at)
    np.testing.assert_allclose(got, twin.evaluate(*program, at), rtol=1e-9, atol=1e-9)
    for i, (a, b) in enumerate(at.T):
        exact = {x: sp.Rational(a), y: sp.Rational(b)}
        for row, expression in zip(got, expressions, strict=True):
            value = float(expression.subs(exact).evalf(40))
            size = max(
                [1.0]
                + [
                    abs(complex(e.subs(exact).evalf(10)))
                    for e in sp.preorder_traversal(expression)
                    if isinstance(e, sp.Expr)
                ]
            )
            assert abs(row[i] - value) <= 1e-13 * size**2, (expression, a, b)


def test_equal_subexpressions_are_computed_once():
    f, g = sp.exp(-(x**2)) * sp.sin(y), sp.exp(-(x**2)) / (1 + sp.sin(y) ** 2)
    _, _, instructions, _ = tapes.program([f, g, f], VARIABLES, "f")
    names = [twin.NAMES[op][0] for op in instructions[:, 0]]
    assert names.count("EXP") == 1 and names.count("SIN") == 1
    assert len(instructions) == len({tuple(row) for row in instructions})


def test_powers_become_products():
    assert compile_names(x**2) == ["SQUARE"]
    assert sorted(compile_names(x**5)) == ["MULTIPLY", "SQUARE", "SQUARE"]
    assert compile_names(sp.sqrt(x)) == ["SQRT"]
    assert sorted(compile_names(1 / sp.sqrt(x))) == ["DIVIDE", "SQRT"]
    assert compile_names(x ** sp.Rational(1, 3)) == ["POWER"]
    assert compile_names(x**2.0) == ["SQUARE"]
    assert compile_names(x / (y * (1 + y))).count("DIVIDE") == 1
    assert compile_names(2 * sp.pi * x) == ["MULTIPLY"]
    assert compile_names(x - y) == ["SUBTRACT"]


def test_constants_are_exact():
    at = np.zeros((2, 1))
    assert evaluate(sp.Rational(1, 3), at)[0] == 1 / 3
    assert evaluate(sp.pi, at)[0] == math.pi
    assert evaluate(sp.sqrt(2), at)[0] == math.sqrt(2)
    assert evaluate(sp.Integer(10) ** 300, at)[0] == 1e300
    assert evaluate(sp.Float(0.1), at)[0] == 0.1
    assert evaluate(sp.Integral(sp.exp(-(x**2)), (x, -sp.oo, sp.oo)), at)[0] == 1.772453850905516
    assert evaluate(sp.sqrt(8 - 2 * sp.sqrt(7)) - sp.sqrt(7) + 1, at)[0] == pytest.approx(0, abs=1e-24)
    assert evaluate(sp.Min(x, sp.oo), at)[0] == 0
    nowhere = sp.Piecewise((sp.nan, x > 1), (-sp.oo, x > 0), (sp.oo, True))
    np.testing.assert_array_equal(evaluate(nowhere, np.array([[2, 1, 0], [0, 0, 0]])), [np.nan, -np.inf, np.inf])
    roots = sp.solve(sp.Symbol("t") ** 3 - 3 * sp.Symbol("t") + 1)  # real, by way of complex numbers
    values = sorted(evaluate(root, at)[0] for root in roots)
    np.testing.assert_allclose(values, sorted(np.roots([1, 0, -3, 1]).real), rtol=1e-14)


def test_select_does_not_mask():
    f = sp.Piecewise((sp.log(x), x > 0), (-1, True))
    np.testing.assert_array_equal(evaluate(f, np.array([[-1.0, 0.0, 1.0], [0, 0, 0]])), [-1, -1, 0])
    no_branch = sp.Piecewise((1, x > 0))
    assert np.isnan(evaluate(no_branch, np.array([[-1.0], [0]]))[0])


def test_unevaluated_derivatives_are_evaluated():
    assert compile_names(sp.Derivative(x**2 / 2, x)) == []
    np.testing.assert_allclose(
        evaluate(sp.Sum(x ** sp.Symbol("k"), (sp.Symbol("k"), 0, 3))), sum(points()[0] ** k for k in range(4))
    )


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        (sp.Function("f")(x) + 1, r"f\(x\).*not supported.*exp.*Piecewise"),
        (sp.Derivative(sp.Function("f")(x), x), r"Derivative"),
        (sp.LambertW(1 + x**2), "LambertW"),
        (sp.I * x, "I is not a real number"),
        (x + sp.sqrt(-2), "not a real number"),
        (x + sp.zoo, "zoo is not a real number"),
        (sp.Integral(sp.exp(-(x**4)), (x, 0, y)), "lowergamma"),
        (sp.DiracDelta(x), "DiracDelta"),
        (sp.floor(x).diff(x), "Derivative"),
        (sp.Function("exp")(x), "not supported"),
        (sp.Integer(10) ** 400 * x, "too large"),
        (sp.exp(1000) * x, r"exp\(1000\) is too large"),
        (sp.Function("f")(1) * x, r"f\(1\).*not supported"),
        (sp.Piecewise((x, sp.Eq(x > 1, y > 1)), (0, True), evaluate=False), "does not compare numbers"),
        (sp.Piecewise((x, sp.Contains(x, sp.Interval(0, 1))), (0, True)), "condition"),
    ],
    ids=str,
)
def test_unsupported_is_named(expression, message):
    with pytest.raises(ValueError, match=message) as caught:
        evaluate(expression)
    assert str(caught.value).startswith("f: ")


def test_log_of_a_negative_number_is_complex():
    with pytest.raises(ValueError, match="not a real number"):
        evaluate(x * sp.log(-2))


# --- names -----------------------------------------------------------------------------


def test_names_of_variables():
    for variables in ("x y", "x, y", ["x", "y"], sp.symbols("x y"), (sp.Symbol("x", positive=True), "y")):
        names = symbolic.Names(variables)
        assert [v.name for v in names.variables] == ["x", "y"]
        assert names.read("x + y", "f") == x + y
        assert names.read(sp.Symbol("x") + sp.Symbol("y", integer=True), "f") == x + y
    assert symbolic.Names(sp.Symbol("x")).variables == (x,)
    beta = symbolic.Names("x", {"beta": 2, "N": 3})  # names that SymPy uses itself
    assert beta.value(beta.read("beta*x + N", "f")) == 2 * x + 3


def test_parameters_keep_their_kind():
    names = symbolic.Names(
        "x", {"n": np.int64(2), "a": np.float32(0.5), "b": sp.Rational(1, 3), sp.Symbol("c"): 0.1}
    )
    values = {s.name: v for s, v in names.parameters.items()}
    assert values["n"] == 2 and values["n"].is_Integer
    assert values["b"] == sp.Rational(1, 3)
    assert float(values["a"]) == 0.5 and float(values["c"]) == 0.1


@pytest.mark.parametrize(
    ("variables", "parameters", "error", "message"),
    [
        ("x x", None, ValueError, "'x' occurs twice"),
        ("", None, ValueError, "at least one"),
        (["x", 3], None, TypeError, "variables must be given by name or as SymPy symbols; got 3"),
        ("x", {"x": 1}, ValueError, "'x' is both a variable and a parameter"),
        ("x", {"a": "b"}, TypeError, "a must be a real number, not 'b'"),
        ("x", {"a": 1j}, TypeError, "a must be a real number"),
        ("x", {"a": math.inf}, ValueError, "a must be a finite real number"),
        ("x", {"a": sp.Symbol("b")}, ValueError, "a must be a finite real number; got b"),
        ("x", [1], TypeError, "parameters must be a dict of numbers by name, not list"),
    ],
)
def test_bad_names(variables, parameters, error, message):
    with pytest.raises(error, match=message):
        symbolic.Names(variables, parameters)


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        (
            "x + q",
            ValueError,
            r"f: q \+ x contains q, which is neither a variable \(x, y\) nor in parameters \(k\)",
        ),
        ("x +", ValueError, "'x \\+' is not an expression that SymPy can read"),
        ("x(2)", ValueError, "is not an expression"),
        (None, TypeError, "must be made of SymPy expressions, numbers or strings"),
        ([1, 2], TypeError, "must be made of"),
        (x > y, TypeError, "real expressions"),
        (object(), TypeError, "must be made of"),
    ],
)
def test_bad_expressions(value, error, message):
    with pytest.raises(error, match=message):
        symbolic.Names("x y", {"k": 1}).read(value, "f")


def test_zero_in_disguise_is_zero():
    hidden = (x + 1) ** 2 - x**2 - 2 * x - 1
    assert Model.from_sympy([x, y], [[1, hidden], [hidden, 2]], variables=(x, y))._compiled(None).is_diagonal


def test_deltas_that_do_not_vanish_are_refused():
    """x² - 1 is not linear: that (x² - 1) δ(x² - 1) = 0 is not seen."""
    jump = 1 + (x**2 - 1) * sp.Heaviside(x**2 - 1)
    with pytest.raises(ValueError, match="DiracDelta"):
        Model.with_steady_state(x**2, jump, variables=(x,)).drift(np.zeros((1, 3)))
