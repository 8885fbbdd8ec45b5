"""SymPy expressions: read, differentiated, and compiled to the tape that C evaluates.

A tape is straight-line code on blocks of points (see csrc/core/expression.h). Compiling
merges equal subexpressions, whichever of the expressions they stand in, so that each is
computed once a point.
"""

from __future__ import annotations

import math
import numbers

import numpy as np

from rattling import _core

# integer powers up to here are products; the error is about half an ulp a factor
_LARGEST_PRODUCT = 32


# --- reading ------------------------------------------------------------------------


class Names:
    """The variables and parameters that expressions may use, all of them real.

    Parameters
    ----------
    variables : str, Symbol, or sequence of them
        The coordinates in order. "x y" and "x, y" name two.
    parameters : dict, optional
        Real numbers by name (or Symbol).

    Attributes
    ----------
    variables : tuple of Symbol
    parameters : dict of Symbol to SymPy number
    """

    def __init__(self, variables, parameters=None):
        import sympy

        names = [_name(v, "variables") for v in _sequence(variables)]
        if not names:
            raise ValueError("variables must name at least one coordinate")
        values = {} if parameters is None else parameters
        if not hasattr(values, "items"):
            raise TypeError(f"parameters must be a dict of numbers by name, not {type(parameters).__name__}")
        values = {_name(key, "parameters"): _parameter(key, value) for key, value in values.items()}
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"variables must be different from each other; {name!r} occurs twice")
            if name in values:
                raise ValueError(f"{name!r} is both a variable and a parameter")
        self.variables = tuple(sympy.Symbol(name, real=True) for name in names)
        self.parameters = {sympy.Symbol(name, real=True): value for name, value in values.items()}
        self._by_name = {s.name: s for s in (*self.variables, *self.parameters)}

    def read(self, value, what):
        """One real SymPy expression from a number, a string or an expression."""
        import sympy

        if isinstance(value, str):
            try:
                expression = sympy.sympify(value, locals=dict(self._by_name))
            except (sympy.SympifyError, SyntaxError, TypeError, AttributeError) as error:
                raise ValueError(f"{what}: {value!r} is not an expression that SymPy can read") from error
        else:
            try:
                expression = sympy.sympify(value, strict=True)
            except sympy.SympifyError as error:
                raise TypeError(
                    f"{what} must be made of SymPy expressions, numbers or strings;"
                    f" {value!r} is a {type(value).__name__}"
                ) from error
        if not isinstance(expression, sympy.Expr):
            raise TypeError(
                f"{what} must be made of real expressions; {value!r} is a {type(expression).__name__}"
            )
        if expression in (sympy.nan, sympy.oo, -sympy.oo, sympy.zoo):
            raise ValueError(f"{what} must be finite; got {value!r}")
        unknown = sorted({s.name for s in expression.free_symbols} - set(self._by_name))
        if unknown:
            known = ", ".join(s.name for s in self.variables)
            given = ", ".join(s.name for s in self.parameters) or "none are given"
            raise ValueError(
                f"{what}: {expression} contains {', '.join(unknown)}, which is neither a variable ({known})"
                f" nor in parameters ({given})"
            )
        return expression.xreplace({s: self._by_name[s.name] for s in expression.free_symbols})

    def value(self, expression):
        """The expression (or matrix) with numbers in place of the parameters."""
        return expression.xreplace(self.parameters)

    def is_constant(self, expression):
        return not expression.free_symbols & set(self.variables)

    def sample(self, expressions, what):
        """Values of expressions at a few random points, one row each."""
        x = np.random.default_rng(1).standard_normal((len(self.variables), 32)) * 10 ** np.linspace(-1, 1, 32)
        return compile_expressions([self.value(e) for e in expressions], self.variables, what).evaluate(x)

    def differ(self, a, b, what):
        """Whether two expressions have different values at one of those points."""
        if a == b:
            return False
        u, v = self.sample([a, b], what)
        with np.errstate(invalid="ignore"):
            return bool(np.any(np.abs(u - v) > 1e-9 * (np.abs(u) + np.abs(v))))  # nan: no

    def is_zero(self, expression, what):
        """Whether an expression is seen to vanish everywhere."""
        import sympy

        value = self.value(expression)
        if value == 0 or np.any(np.abs(self.sample([value], what)) > 1e-6):
            return value == 0
        return sympy.expand(value) == 0

    def read_vector(self, value, what):
        """One expression a variable, as a column matrix."""
        import sympy

        dim = len(self.variables)
        rows = _nested(value)
        rows = rows if isinstance(rows, list) else [rows]
        if len(rows) == 1 and isinstance(rows[0], list):  # a row matrix
            rows = rows[0]
        rows = [row[0] if isinstance(row, list) and len(row) == 1 else row for row in rows]
        if len(rows) != dim or any(isinstance(row, list) for row in rows):
            raise ValueError(
                f"{what} must have one expression for each of the {dim} variables; got {value!r}"
            )
        return sympy.Matrix([self.read(row, what) for row in rows])

    def read_matrix(self, value, what, square=True):
        """A matrix with ``dim`` rows from an expression (times the identity), a diagonal
        or a matrix, which has ``dim`` columns too if it has to be square."""
        import sympy

        dim = len(self.variables)
        rows = _nested(value)
        if not isinstance(rows, list):
            return self.read(rows, what) * sympy.eye(dim)
        if square and rows and all(isinstance(row, list) and len(row) == 1 for row in rows):
            rows = [row[0] for row in rows]  # a column matrix can only be meant as the diagonal
        if len(rows) == dim and not any(isinstance(row, list) for row in rows):
            return sympy.diag(*[self.read(row, what) for row in rows])
        widths = {len(row) if isinstance(row, list) else 0 for row in rows}
        if len(rows) != dim or len(widths) != 1 or widths == {0} or (square and widths != {dim}):
            raise ValueError(
                f"{what} must be one expression, one for each of the {dim} variables, or a matrix of shape"
                f" ({dim}, {dim if square else 'm'}); got {value!r}"
            )
        return sympy.Matrix([[self.read(entry, what) for entry in row] for row in rows])

    def read_diffusion(self, value):
        """D, a symmetric matrix."""
        tensor = self.read_matrix(value, "diffusion")
        for i, j in _below_diagonal(tensor):
            if self.differ(tensor[i, j], tensor[j, i], "diffusion"):
                raise ValueError(
                    f"diffusion must be symmetric, but its elements ({j}, {i}) and ({i}, {j}) are"
                    f" {tensor[j, i]} and {tensor[i, j]}"
                )
        return tensor

    def read_circulation(self, value):
        """An antisymmetric matrix A from a matrix, one expression (2-D) or three (3-D)."""
        import sympy

        dim = len(self.variables)
        if value is None:
            return sympy.zeros(dim, dim)
        rows = _nested(value)
        if not isinstance(rows, list) and dim == 2:
            a = self.read(rows, "circulation")
            return sympy.Matrix([[0, a], [-a, 0]])
        rows = rows if isinstance(rows, list) else [rows]
        if dim == 3 and len(rows) == 3 and all(not isinstance(row, list) or len(row) == 1 for row in rows):
            a, b, c = self.read_vector(rows, "circulation")
            return sympy.Matrix([[0, c, -b], [-c, 0, a], [b, -a, 0]])
        if len(rows) != dim or any(not isinstance(row, list) or len(row) != dim for row in rows):
            raise ValueError(
                f"circulation must be an antisymmetric matrix of shape ({dim}, {dim}), or in 2-D one"
                f" expression, or in 3-D three; got {value!r}"
            )
        matrix = self.read_matrix(rows, "circulation")
        for i, j in [*_below_diagonal(matrix), *((i, i) for i in range(dim))]:
            if self.differ(matrix[i, j], -matrix[j, i], "circulation"):
                raise ValueError(
                    f"circulation must be antisymmetric, but its elements ({j}, {i}) and ({i}, {j}) are"
                    f" {matrix[j, i]} and {matrix[i, j]}"
                )
        return matrix


def _sequence(variables):
    import sympy

    if isinstance(variables, str):
        return variables.replace(",", " ").split()
    if isinstance(variables, sympy.Basic):
        return [variables]
    if not hasattr(variables, "__iter__"):
        raise TypeError(f"variables must be names or SymPy symbols; got {variables!r}")
    return list(variables)


def _below_diagonal(matrix):
    return [(i, j) for i in range(matrix.shape[0]) for j in range(i)]


def _name(value, what):
    import sympy

    if isinstance(value, sympy.Symbol):
        return value.name
    if isinstance(value, str) and value.isidentifier():
        return value
    raise TypeError(f"{what} must be given by name or as SymPy symbols; got {value!r}")


def _parameter(key, value):
    import sympy

    if isinstance(value, sympy.Expr):
        number = value
    elif isinstance(value, numbers.Rational):
        number = sympy.Rational(int(value.numerator), int(value.denominator))
    elif isinstance(value, numbers.Real) or (isinstance(value, np.ndarray) and value.ndim == 0):
        number = sympy.Float(float(value))
    else:
        raise TypeError(f"parameters: {key} must be a real number, not {value!r}")
    if not (number.is_number and number.is_extended_real) or not number.is_finite:
        raise ValueError(f"parameters: {key} must be a finite real number; got {value}")
    return number


def _nested(value):
    """Matrices, arrays and tuples as nested lists; anything else unchanged."""
    import sympy

    if isinstance(value, sympy.MatrixExpr):
        value = value.as_explicit()
    if isinstance(value, (sympy.MatrixBase, sympy.NDimArray)):
        return value.tolist()
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, (list, tuple, sympy.Tuple)):
        return [_nested(entry) for entry in value]
    return value


# --- calculus -----------------------------------------------------------------------


def ito_drift(names, drift, diffusion, noise, interpretation):
    """The Itô drift of dx = F dt + G ∘ dW; F, D = G Gᵀ/2 and G (or None) are matrices.

    Stratonovich: f_i = F_i + ½ Σ_kj G_kj ∂_k G_ij (Risken 1989, sect. 3.4), and ½ ∂_i D_ii
    in place of the sum for a diagonal D. Anti-Itô: f_i = F_i + Σ_k ∂_k D_ik, the kinetic
    form.
    """
    import sympy

    x = names.variables
    axes = range(len(x))
    if interpretation == "ito" or names.is_constant(diffusion if noise is None else noise):
        induced = [0 for _ in axes]
    elif interpretation == "anti-ito":
        induced = [sum(diffusion[i, k].diff(x[k]) for k in axes) for i in axes]
    elif noise is not None:
        induced = stratonovich_correction(names, noise)
    elif is_diagonal(names, diffusion):
        induced = [diffusion[i, i].diff(x[i]) / 2 for i in axes]
    else:
        raise ValueError(
            "interpretation 'stratonovich' depends on the noise amplitude G, which a diffusion tensor with"
            " off-diagonal elements does not determine; give noise= instead of diffusion="
        )
    return sympy.Matrix([drift[i] + _without_zero_deltas(induced[i], x) for i in axes])


def divergence(names, tensor):
    """Σ_j ∂_j D_ij, one expression a row."""
    x = names.variables
    rows = [sum(tensor[i, j].diff(x[j]) for j in range(len(x))) for i in range(len(x))]
    return [_without_zero_deltas(row, x) for row in rows]


def stratonovich_correction(names, noise):
    """½ Σ_kj G_kj ∂_k G_ij, the Itô drift less the Stratonovich one."""
    import sympy

    x = names.variables
    axes, sources = range(len(x)), range(noise.shape[1])
    return sympy.Matrix(
        [sum(noise[k, j] * noise[i, j].diff(x[k]) for k in axes for j in sources) / 2 for i in axes]
    )


def is_diagonal(names, matrix):
    """Whether a matrix is square and is seen to vanish off its diagonal."""
    rows, columns = matrix.shape
    return rows == columns and all(
        names.is_zero(matrix[i, j], "noise") for i in range(rows) for j in range(columns) if i != j
    )


def diagonal_root(diffusion):
    """G with G Gᵀ/2 = D, for a diagonal D."""
    import sympy

    return sympy.diag(*[sympy.sqrt(2 * diffusion[k, k]) for k in range(diffusion.shape[0])])


def milstein_terms(names, noise):
    """(G_j · ∇) G_l of the columns of G, as Milstein's scheme takes them.

    Returns
    -------
    list of Expr
        For each coordinate those of the pairs (j, l), l <= j: 00, 10, 11, 20, ...

    Raises
    ------
    ValueError
        For columns that do not commute, (G_j · ∇) G_l ≠ (G_l · ∇) G_j.
    """
    x = names.variables
    axes, sources = range(len(x)), range(noise.shape[1])

    diagonal = is_diagonal(names, noise)

    def along(j, l):
        if diagonal and j == l:
            return [(noise[i, j] ** 2).diff(x[i]) / 2 if i == j else noise[i, j] * 0 for i in axes]
        return [sum(noise[k, j] * noise[i, l].diff(x[k]) for k in axes) for i in axes]

    pairs = [(j, l) for j in sources for l in range(j + 1)]
    for j, l in pairs:
        if any(names.differ(a, b, "noise") for a, b in zip(along(j, l), along(l, j), strict=True)):
            raise ValueError(
                f"method 'milstein' needs noise that commutes, but columns {l} and {j} of the amplitude do not:"
                " (G_j · ∇) G_l differs from (G_l · ∇) G_j; take 'platen' or 'heun'"
            )
    terms = [along(j, l) for j, l in pairs]
    return [terms[p][i] for i in axes for p in range(len(pairs))]


def steady_state_drift(names, phi, diffusion, circulation):
    """f_i = Σ_j [∂_j(D_ij + A_ij) - (D_ij + A_ij) ∂_jφ], whose steady state is exp(-φ)."""
    import sympy

    x = names.variables
    axes = range(len(x))
    q = diffusion + circulation
    drift = [sum(q[i, j].diff(x[j]) - q[i, j] * phi.diff(x[j]) for j in axes) for i in axes]
    return sympy.Matrix([_without_zero_deltas(f, x) for f in drift])


def _without_zero_deltas(expression, variables):
    """Drop terms like x² δ(x), which come from the derivative of x² Heaviside(x)."""
    import sympy

    if not (isinstance(expression, sympy.Expr) and expression.has(sympy.DiracDelta)):
        return expression
    smooth, rest = expression.as_independent(sympy.DiracDelta, as_Add=True)
    rest = sympy.expand(rest)
    for delta in rest.atoms(sympy.DiracDelta):
        factor = rest.coeff(delta)
        if _vanishes_at(factor, delta.args[0], variables):
            rest -= sympy.expand(factor * delta)
    return smooth + rest


def _vanishes_at(factor, zero, variables):
    """Whether ``factor`` is 0 where ``zero`` is, if that is linear in some variable."""
    import sympy

    for v in variables:
        slope = zero.diff(v)
        if slope != 0 and not slope.has(v):
            return sympy.expand(factor.subs(v, sympy.expand(v - zero / slope))) == 0
    return False


# --- compiling ------------------------------------------------------------------------


def compile_expressions(expressions, variables, what):
    """Compile real expressions in ``variables`` to one tape.

    Parameters
    ----------
    expressions : sequence of Expr
    variables : sequence of Symbol
        The inputs of the tape, in order.
    what : str
        Names the expressions in errors.

    Returns
    -------
    _core.Expression

    Raises
    ------
    ValueError
        For anything the tape has no operation for, named in the message.
    """
    return _core.Expression(*program(expressions, variables, what))


def program(expressions, variables, what):
    """What `_core.Expression` takes: n_inputs, constants, instructions, outputs."""
    builder = _Builder(variables, what)
    return builder.program([builder.compile(expression) for expression in expressions])


_UNARY = {
    "exp": "EXP",
    "log": "LOG",
    "sin": "SIN",
    "cos": "COS",
    "tan": "TAN",
    "asin": "ASIN",
    "acos": "ACOS",
    "atan": "ATAN",
    "sinh": "SINH",
    "cosh": "COSH",
    "tanh": "TANH",
    "asinh": "ASINH",
    "acosh": "ACOSH",
    "atanh": "ATANH",
    "Abs": "ABS",
    "sign": "SIGN",
    "floor": "FLOOR",
    "ceiling": "CEILING",
    "erf": "ERF",
    "erfc": "ERFC",
    "gamma": "GAMMA",
    "loggamma": "LOG_GAMMA",
}
_RECIPROCAL_OF = {"sec": "COS", "csc": "SIN", "cot": "TAN", "sech": "COSH", "csch": "SINH", "coth": "TANH"}
_OF_RECIPROCAL = {
    "asec": "ACOS",
    "acsc": "ASIN",
    "acot": "ATAN",
    "asech": "ACOSH",
    "acsch": "ASINH",
    "acoth": "ATANH",
}
_OTHER = ("Min", "Max", "Mod", "atan2", "Heaviside", "Piecewise", "sinc", "frac", "factorial")
_SUPPORTED = ", ".join(sorted([*_UNARY, *_RECIPROCAL_OF, *_OF_RECIPROCAL, *_OTHER, "sqrt"], key=str.lower))


class _Builder:
    """Nodes of the expressions, each once: ("input", i), ("constant", x) or (op, *nodes)."""

    def __init__(self, variables, what):
        self._what = what
        self._nodes = []
        self._numbers = {}
        self._done = {}
        self._inputs = {v: self._node("input", i) for i, v in enumerate(variables)}
        self._operations = _core.operations()

    def _node(self, *node):
        if node[0] == "constant":  # 0.0 and -0.0 differ, nan does not differ from nan
            key = ("constant", math.copysign(1.0, node[1]), "nan" if node[1] != node[1] else node[1])
        else:
            key = node
        if key not in self._numbers:
            self._numbers[key] = len(self._nodes)
            self._nodes.append(node)
        return self._numbers[key]

    def _constant(self, value):
        return self._node("constant", float(value))

    def program(self, outputs):
        """(n_inputs, constants, instructions, outputs) without what no output needs."""
        needed, pending = set(), list(outputs)
        while pending:
            n = pending.pop()
            if n not in needed:
                needed.add(n)
                if self._nodes[n][0] not in ("input", "constant"):
                    pending.extend(self._nodes[n][1:])
        constants = [n for n in sorted(needed) if self._nodes[n][0] == "constant"]
        operations = [n for n in sorted(needed) if self._nodes[n][0] not in ("input", "constant")]
        register = {n: i for i, n in enumerate([*self._inputs.values(), *constants, *operations])}
        instructions = np.zeros((len(operations), 4), dtype=np.int32)
        for row, n in zip(instructions, operations, strict=True):
            op, *arguments = self._nodes[n]
            row[0] = self._operations[op][0]
            row[1 : 1 + len(arguments)] = [register[a] for a in arguments]
        values = np.array([self._nodes[n][1] for n in constants], dtype=float)
        return (
            len(self._inputs),
            values,
            instructions,
            np.array([register[n] for n in outputs], dtype=np.int32),
        )

    def compile(self, expression):
        if expression not in self._done:
            self._done[expression] = self._compile(expression)
        return self._done[expression]

    def _fail(self, expression, why):
        raise ValueError(f"{self._what}: {expression} {why}")

    def _compile(self, expression):
        import sympy
        from sympy.logic.boolalg import Boolean

        if expression in self._inputs:
            return self._inputs[expression]
        if isinstance(expression, Boolean):
            return self._boolean(expression)
        if not expression.free_symbols:
            number = self._number(expression)
            if number is not None:
                return number
        if expression.is_Add:
            return self._sum(expression)
        if expression.is_Mul:
            return self._product(expression)
        if expression.is_Pow:
            return self._power(expression.base, expression.exp)
        if isinstance(expression, (sympy.Function, sympy.Min, sympy.Max)):
            return self._function(expression)
        return self._evaluate_or_fail(expression)

    def _evaluate_or_fail(self, expression):
        """Derivative(x**2, x) and its like say what they are when asked."""
        evaluated = expression.doit()
        if evaluated != expression:
            return self.compile(evaluated)
        return self._fail(
            expression,
            f"({type(expression).__name__}) is not supported; besides arithmetic there are: {_SUPPORTED}",
        )

    def _number(self, expression):
        """A constant, or None where its value is not a number that SymPy can give."""
        import sympy

        if expression.is_Rational:
            try:
                return self._constant(int(expression.p) / int(expression.q))
            except OverflowError:
                return self._fail(expression, "is too large for a floating-point number")
        if expression is sympy.nan:
            return self._constant(math.nan)
        if expression in (sympy.oo, -sympy.oo):
            return self._constant(math.inf if expression is sympy.oo else -math.inf)
        if expression is sympy.zoo:
            self._fail(expression, "is not a real number")
        real, imaginary = expression.evalf(25).as_real_imag()
        if not all(part.is_Float or part.is_Integer for part in (real, imaginary)):
            return None
        if abs(imaginary) > 1e-18 * abs(real):  # round-off of a sum of complex numbers is less
            self._fail(expression, "is not a real number")
        try:
            return self._constant(float(real))
        except OverflowError:
            return self._fail(expression, "is too large for a floating-point number")

    def _fold(self, op, nodes):
        first, *rest = nodes
        for node in rest:
            first = self._node(op, first, node)
        return first

    def _sum(self, expression):
        plus, minus, constant = [], [], []
        for term in expression.args:
            if not term.free_symbols:
                constant.append(term)
            elif term.as_coeff_Mul()[0].is_negative:
                minus.append(self.compile(-term))
            else:
                plus.append(self.compile(term))
        if constant:
            plus.append(self.compile(expression.func(*constant)))
        if not plus:
            return self._node("NEGATE", self._fold("ADD", minus))
        return self._fold("SUBTRACT", [self._fold("ADD", plus), *minus])

    def _product(self, expression):
        import sympy

        above, below, constant = [], [], []
        for factor in expression.args:
            if not factor.free_symbols:
                constant.append(factor)
            elif factor.is_Pow and (factor.exp.is_Rational or factor.exp.is_Float) and factor.exp.is_negative:
                below.append(self._power(factor.base, -factor.exp))
            else:
                above.append(self.compile(factor))
        constant = expression.func(*constant)
        if constant is sympy.S.NegativeOne:
            above = above or [self._constant(1)]
            result = self._node("NEGATE", self._fold("MULTIPLY", above))
        else:
            if constant is not sympy.S.One or not above:
                above.insert(0, self.compile(constant))
            result = self._fold("MULTIPLY", above)
        return self._node("DIVIDE", result, self._fold("MULTIPLY", below)) if below else result

    def _power(self, base, exponent):
        """Halves of integers become products and a square root."""
        import sympy

        if base is sympy.S.Exp1:
            return self._node("EXP", self.compile(exponent))
        twice = 2 * float(exponent) if exponent.is_Rational or exponent.is_Float else math.nan
        if not (abs(twice) <= 2 * _LARGEST_PRODUCT and twice == int(twice)):
            return self._node("POWER", self.compile(base), self.compile(exponent))
        if twice < 0:
            return self._node("DIVIDE", self._constant(1), self._power(base, -exponent))
        whole, half = divmod(int(twice), 2)
        factors = [self._integer_power(self.compile(base), whole)] if whole else []
        factors += [self._node("SQRT", self.compile(base))] if half else []
        return self._fold("MULTIPLY", factors or [self._constant(1)])

    def _integer_power(self, node, n):
        if n == 1:
            return node
        half = self._node("SQUARE", self._integer_power(node, n // 2))
        return self._node("MULTIPLY", half, node) if n % 2 else half

    def _function(self, expression):
        import sympy

        name = type(expression).__name__
        arguments = expression.args
        if isinstance(expression, sympy.Piecewise):
            return self._piecewise(arguments)
        if name in ("Min", "Max"):
            nodes = [self.compile(a) for a in arguments]
            return self._fold("MINIMUM" if name == "Min" else "MAXIMUM", nodes)
        if getattr(sympy, name, None) is not type(expression):
            return self._evaluate_or_fail(expression)  # a user's own function of that name
        one = self._constant(1)
        if name in _UNARY and len(arguments) == 1:
            return self._node(_UNARY[name], self.compile(arguments[0]))
        if name in _RECIPROCAL_OF:
            return self._node("DIVIDE", one, self._node(_RECIPROCAL_OF[name], self.compile(arguments[0])))
        if name in _OF_RECIPROCAL:
            return self._node(_OF_RECIPROCAL[name], self._node("DIVIDE", one, self.compile(arguments[0])))
        if name in ("Mod", "atan2"):
            return self._node("MODULO" if name == "Mod" else "ATAN2", *map(self.compile, arguments))
        if name == "factorial":
            return self._node("GAMMA", self._node("ADD", self.compile(arguments[0]), one))
        if name == "frac":
            x = self.compile(arguments[0])
            return self._node("SUBTRACT", x, self._node("FLOOR", x))
        if name == "sinc":
            x = self.compile(arguments[0])
            at_zero = self._node("EQUAL", x, self._constant(0))
            return self._node("SELECT", at_zero, one, self._node("DIVIDE", self._node("SIN", x), x))
        if name == "Heaviside":
            x, zero = self.compile(arguments[0]), self._constant(0)
            step = self._node("LESS", zero, x)
            return self._node("SELECT", self._node("EQUAL", x, zero), self.compile(arguments[1]), step)
        return self._evaluate_or_fail(expression)

    def _piecewise(self, branches):
        result = None
        for value, condition in reversed(branches):
            if condition == True:  # noqa: E712 (SymPy's own truth)
                result = self.compile(value)
                continue
            if result is None:
                result = self._constant(math.nan)  # where no branch holds
            result = self._node("SELECT", self._boolean(condition), self.compile(value), result)
        return result

    def _boolean(self, condition):
        import sympy

        if condition in (sympy.true, sympy.false):
            return self._constant(1 if condition == sympy.true else 0)
        if isinstance(condition, sympy.core.relational.Relational):
            left, right = condition.lhs, condition.rhs
            if not (isinstance(left, sympy.Expr) and isinstance(right, sympy.Expr)):
                self._fail(condition, "does not compare numbers")
            table = {"<": "LESS", "<=": "LESS_EQUAL", "==": "EQUAL", "!=": "NOT_EQUAL"}
            if condition.rel_op in (">", ">="):
                return self._node(
                    table[condition.rel_op.replace(">", "<")], self.compile(right), self.compile(left)
                )
            return self._node(table[condition.rel_op], self.compile(left), self.compile(right))
        arguments = condition.args
        if isinstance(condition, sympy.And):
            return self._fold("AND", [self._boolean(a) for a in arguments])
        if isinstance(condition, sympy.Or):
            return self._fold("OR", [self._boolean(a) for a in arguments])
        if isinstance(condition, sympy.Not):
            return self._node("NOT", self._boolean(arguments[0]))
        if isinstance(condition, sympy.ITE):
            return self._node("SELECT", *[self._boolean(a) for a in arguments])
        if isinstance(condition, sympy.Xor):
            return self._fold("NOT_EQUAL", [self._boolean(a) for a in arguments])
        return self._fail(
            condition, "is not a supported condition; there are comparisons, And, Or, Not, Xor and ITE"
        )
