"""The tape, one register after the other, each a whole array."""

import numpy as np
import scipy.special

from rattling import _core

OPERATIONS = {
    "ADD": np.add,
    "SUBTRACT": np.subtract,
    "MULTIPLY": np.multiply,
    "DIVIDE": np.divide,
    "POWER": np.power,
    "MINIMUM": np.minimum,
    "MAXIMUM": np.maximum,
    "ATAN2": np.arctan2,
    "MODULO": np.mod,
    "NEGATE": np.negative,
    "SQUARE": np.square,
    "SQRT": np.sqrt,
    "EXP": np.exp,
    "LOG": np.log,
    "SIN": np.sin,
    "COS": np.cos,
    "TAN": np.tan,
    "ASIN": np.arcsin,
    "ACOS": np.arccos,
    "ATAN": np.arctan,
    "SINH": np.sinh,
    "COSH": np.cosh,
    "TANH": np.tanh,
    "ASINH": np.arcsinh,
    "ACOSH": np.arccosh,
    "ATANH": np.arctanh,
    "ABS": np.abs,
    "SIGN": np.sign,
    "FLOOR": np.floor,
    "CEILING": np.ceil,
    "ERF": scipy.special.erf,
    "ERFC": scipy.special.erfc,
    "GAMMA": scipy.special.gamma,
    "LOG_GAMMA": scipy.special.gammaln,
    "LESS": np.less,
    "LESS_EQUAL": np.less_equal,
    "EQUAL": np.equal,
    "NOT_EQUAL": np.not_equal,
    "AND": np.logical_and,
    "OR": np.logical_or,
    "NOT": np.logical_not,
    "PLUS_PRODUCT": lambda a, b, c: a + b * c,
    "MINUS_PRODUCT": lambda a, b, c: a - b * c,
    "COPY": np.copy,
    "SELECT": lambda condition, a, b: np.where(condition != 0, a, b),
}
NAMES = {code: (name, arity) for name, (code, arity) in _core.operations().items()}


def evaluate(n_inputs, constants, instructions, outputs, x):
    """Values, (n_outputs, n), of a program at the points x, (n_inputs, n)."""
    x = np.asarray(x, dtype=float)
    registers = [x[k] for k in range(n_inputs)]
    registers += [np.full(x.shape[1], c) for c in constants]
    with np.errstate(all="ignore"):
        for op, *arguments in instructions:
            name, arity = NAMES[op]
            values = OPERATIONS[name](*[registers[a] for a in arguments[:arity]])
            registers.append(np.asarray(values, dtype=float))
    return np.array([registers[k] for k in outputs])
