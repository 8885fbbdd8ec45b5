"""SymPy expressions compiled to the tape that C evaluates.

A tape is straight-line code on blocks of points (see csrc/core/expression.h). Compiling
merges equal subexpressions, whichever of the expressions they stand in, so that each is
computed once a point.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from rattling import _core

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sympy import Expr, Symbol

# integer powers up to here are products; the error is about half an ulp a factor
_LARGEST_PRODUCT = 32


def compile_expressions(expressions: Iterable[Expr], variables: Sequence[Symbol], what: str) -> _core.Expression:
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


def program(
    expressions: Iterable[Expr], variables: Sequence[Symbol], what: str
) -> tuple[int, np.ndarray, np.ndarray, np.ndarray]:
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

    def __init__(self, variables: Sequence[Symbol], what: str) -> None:
        self._what = what
        self._nodes: list[Any] = []
        self._numbers: dict[Any, int] = {}
        self._done: dict[Expr, int] = {}
        self._inputs = {v: self._node("input", i) for i, v in enumerate(variables)}
        self._operations = _core.operations()

    def _node(self, *node: Any) -> int:
        if node[0] == "constant":  # 0.0 and -0.0 differ, nan does not differ from nan
            key = ("constant", math.copysign(1.0, node[1]), "nan" if node[1] != node[1] else node[1])
        else:
            key = node
        if key not in self._numbers:
            self._numbers[key] = len(self._nodes)
            self._nodes.append(node)
        return self._numbers[key]

    def _constant(self, value: float) -> int:
        return self._node("constant", float(value))

    def program(self, outputs: Sequence[int]) -> tuple[int, np.ndarray, np.ndarray, np.ndarray]:
        """(n_inputs, constants, instructions, outputs) without what no output needs."""
        self._join_products(outputs)
        needed = self._needed(outputs)
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

    def _needed(self, outputs: Sequence[int]) -> set[int]:
        needed, pending = set(), list(outputs)
        while pending:
            n = pending.pop()
            if n not in needed:
                needed.add(n)
                if self._nodes[n][0] not in ("input", "constant"):
                    pending.extend(self._nodes[n][1:])
        return needed

    def _join_products(self, outputs: Sequence[int]) -> None:
        """A product that only a sum or a difference reads becomes part of it."""
        operations = [n for n in sorted(self._needed(outputs)) if self._nodes[n][0] not in ("input", "constant")]
        uses = Counter(outputs)
        for n in operations:
            uses.update(self._nodes[n][1:])
        for n in operations:
            op, *arguments = self._nodes[n]
            for i in {"ADD": (1, 0), "SUBTRACT": (1,)}.get(op, ()):
                product, *factors = self._nodes[arguments[i]]
                if product == "MULTIPLY" and uses[arguments[i]] == 1:
                    joined = "PLUS_PRODUCT" if op == "ADD" else "MINUS_PRODUCT"
                    self._nodes[n] = (joined, arguments[1 - i], *factors)
                    break

    def compile(self, expression: Expr) -> int:
        if expression not in self._done:
            self._done[expression] = self._compile(expression)
        return self._done[expression]

    def _fail(self, expression: Expr, why: str) -> NoReturn:
        raise ValueError(f"{self._what}: {expression} {why}")

    def _compile(self, expression: Expr) -> int:
        import sympy

        if expression in self._inputs:
            return self._inputs[expression]
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

    def _evaluate_or_fail(self, expression: Expr) -> int:
        """Derivative(x**2, x) and its like say what they are when asked."""
        evaluated = expression.doit()
        if evaluated != expression:
            return self.compile(evaluated)
        return self._fail(
            expression,
            f"({type(expression).__name__}) is not supported; besides arithmetic there are: {_SUPPORTED}",
        )

    def _number(self, expression: Expr) -> int | None:
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
        value = float(real)
        if math.isinf(value):
            self._fail(expression, "is too large for a floating-point number")
        return self._constant(value)

    def _fold(self, op: str, nodes: Sequence[int]) -> int:
        first, *rest = nodes
        for node in rest:
            first = self._node(op, first, node)
        return first

    def _sum(self, expression: Expr) -> int:
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

    def _product(self, expression: Expr) -> int:
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

    def _power(self, base: Expr, exponent: Expr) -> int:
        """Halves of integers become products and a square root."""
        twice = 2 * float(exponent) if exponent.is_Rational or exponent.is_Float else math.nan
        if not (abs(twice) <= 2 * _LARGEST_PRODUCT and twice == int(twice)):
            return self._node("POWER", self.compile(base), self.compile(exponent))
        if twice < 0:
            return self._node("DIVIDE", self._constant(1), self._power(base, -exponent))
        whole, half = divmod(int(twice), 2)
        factors = [self._integer_power(self.compile(base), whole)] if whole else []
        factors += [self._node("SQRT", self.compile(base))] if half else []
        return self._fold("MULTIPLY", factors or [self._constant(1)])

    def _integer_power(self, node: int, n: int) -> int:
        if n == 1:
            return node
        half = self._node("SQUARE", self._integer_power(node, n // 2))
        return self._node("MULTIPLY", half, node) if n % 2 else half

    def _function(self, expression: Expr) -> int:
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

    def _piecewise(self, branches: Sequence[tuple[Expr, Any]]) -> int:
        result: Any = None
        for value, condition in reversed(branches):
            if condition == True:  # noqa: E712 (SymPy's own truth)
                result = self.compile(value)
                continue
            if result is None:
                result = self._constant(math.nan)  # where no branch holds
            result = self._node("SELECT", self._boolean(condition), self.compile(value), result)
        first: int = result
        return first

    def _boolean(self, condition: Any) -> int:
        import sympy

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
