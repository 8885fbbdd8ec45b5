"""SymPy expressions: read and differentiated; `tapes` compiles them."""

from __future__ import annotations

import numbers
from typing import TYPE_CHECKING, Any

import numpy as np

from rattling.tapes import compile_expressions

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sympy import Expr, Matrix, Symbol

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

    def __init__(self, variables: object, parameters: Mapping[Any, Any] | None = None) -> None:
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

    def read(self, value: object, what: str) -> Expr:
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

    def value(self, expression: Any) -> Any:
        """The expression (or matrix) with numbers in place of the parameters."""
        return expression.xreplace(self.parameters)

    def is_constant(self, expression: Any) -> bool:
        return not expression.free_symbols & set(self.variables)

    def sample(self, expressions: Sequence[Expr], what: str) -> np.ndarray:
        """Values of expressions at a few random points, one row each."""
        x = np.random.default_rng(1).standard_normal((len(self.variables), 32)) * 10 ** np.linspace(-1, 1, 32)
        return compile_expressions([self.value(e) for e in expressions], self.variables, what).evaluate(x)

    def differ(self, a: Expr, b: Expr, what: str) -> bool:
        """Whether two expressions have different values at one of those points."""
        if a == b:
            return False
        u, v = self.sample([a, b], what)
        with np.errstate(invalid="ignore"):
            return bool(np.any(np.abs(u - v) > 1e-9 * (np.abs(u) + np.abs(v))))  # nan: no

    def is_zero(self, expression: Expr, what: str) -> bool:
        """Whether an expression is seen to vanish everywhere."""
        import sympy

        value = self.value(expression)
        if value == 0 or np.any(np.abs(self.sample([value], what)) > 1e-6):
            return bool(value == 0)
        return bool(sympy.expand(value) == 0)

    def read_vector(self, value: object, what: str) -> Matrix:
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

    def read_matrix(self, value: object, what: str, square: bool = True) -> Matrix:
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

    def read_diffusion(self, value: object) -> Matrix:
        """D, a symmetric matrix."""
        tensor = self.read_matrix(value, "diffusion")
        for i, j in _below_diagonal(tensor):
            if self.differ(tensor[i, j], tensor[j, i], "diffusion"):
                raise ValueError(
                    f"diffusion must be symmetric, but its elements ({j}, {i}) and ({i}, {j}) are"
                    f" {tensor[j, i]} and {tensor[i, j]}"
                )
        return tensor

    def read_circulation(self, value: object) -> Matrix:
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


def _sequence(variables: object) -> list[Any]:
    import sympy

    if isinstance(variables, str):
        return variables.replace(",", " ").split()
    if isinstance(variables, sympy.Basic):
        return [variables]
    if not hasattr(variables, "__iter__"):
        raise TypeError(f"variables must be names or SymPy symbols; got {variables!r}")
    return list(variables)


def _below_diagonal(matrix: Matrix) -> list[tuple[int, int]]:
    return [(i, j) for i in range(matrix.shape[0]) for j in range(i)]


def _name(value: object, what: str) -> str:
    import sympy

    if isinstance(value, sympy.Symbol):
        return str(value.name)
    if isinstance(value, str) and value.isidentifier():
        return value
    raise TypeError(f"{what} must be given by name or as SymPy symbols; got {value!r}")


def _parameter(key: object, value: object) -> Expr:
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


def _nested(value: object) -> Any:
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


def ito_drift(names: Names, drift: Matrix, diffusion: Matrix, noise: Matrix | None, interpretation: str) -> Matrix:
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


def divergence(names: Names, tensor: Matrix) -> list[Expr]:
    """Σ_j ∂_j D_ij, one expression a row."""
    x = names.variables
    rows = [sum(tensor[i, j].diff(x[j]) for j in range(len(x))) for i in range(len(x))]
    return [_without_zero_deltas(row, x) for row in rows]


def stratonovich_correction(names: Names, noise: Matrix) -> Matrix:
    """½ Σ_kj G_kj ∂_k G_ij, the Itô drift less the Stratonovich one."""
    import sympy

    x = names.variables
    axes, sources = range(len(x)), range(noise.shape[1])
    return sympy.Matrix(
        [sum(noise[k, j] * noise[i, j].diff(x[k]) for k in axes for j in sources) / 2 for i in axes]
    )


def is_diagonal(names: Names, matrix: Matrix) -> bool:
    """Whether a matrix is square and is seen to vanish off its diagonal."""
    rows, columns = matrix.shape
    return rows == columns and all(
        names.is_zero(matrix[i, j], "noise") for i in range(rows) for j in range(columns) if i != j
    )


def diagonal_root(diffusion: Matrix) -> Matrix:
    """G with G Gᵀ/2 = D, for a diagonal D."""
    import sympy

    return sympy.diag(*[sympy.sqrt(2 * diffusion[k, k]) for k in range(diffusion.shape[0])])


def milstein_terms(names: Names, noise: Matrix) -> list[Expr]:
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

    def along(j: int, l: int) -> list[Expr]:
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


def steady_state_drift(names: Names, phi: Expr, diffusion: Matrix, circulation: Matrix) -> Matrix:
    """f_i = Σ_j [∂_j(D_ij + A_ij) - (D_ij + A_ij) ∂_jφ], whose steady state is exp(-φ)."""
    import sympy

    x = names.variables
    axes = range(len(x))
    q = diffusion + circulation
    drift = [sum(q[i, j].diff(x[j]) - q[i, j] * phi.diff(x[j]) for j in axes) for i in axes]
    return sympy.Matrix([_without_zero_deltas(f, x) for f in drift])


def _without_zero_deltas(expression: Expr, variables: Sequence[Symbol]) -> Expr:
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


def _vanishes_at(factor: Expr, zero: Expr, variables: Sequence[Symbol]) -> bool:
    """Whether ``factor`` is 0 where ``zero`` is, if that is linear in some variable."""
    import sympy

    for v in variables:
        slope = zero.diff(v)
        if slope != 0 and not slope.has(v):
            return bool(sympy.expand(factor.subs(v, sympy.expand(v - zero / slope))) == 0)
    return False
