"""What `rattling.Model` is made of where it has functions of Python or C."""

from __future__ import annotations

import functools
import sys
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from rattling import _core
from rattling._checks import read_array
from rattling._model_constants import INTERPRETATIONS, KINDS, check_constant, constant_tape, no_derivatives

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rattling._typing import Function

STEP = float(np.cbrt(np.finfo(float).eps))  # of finite differences, in lengths (csrc/core/model.c)
SHORTEST, LONGEST = 1e-2, 1e6  # extents of a box in which a length of max(1, |x|) leaves five digits or more


class FunctionParts:
    phi = ito_drift = tensor = variables = None

    def __init__(
        self,
        drift: object,
        diffusion: object,
        noise: object,
        dim: int | None,
        parameters: dict[str, Any],
        length: float | None,
    ) -> None:
        self.what = "diffusion" if noise is None else "noise"
        self.length = length
        self.drift = _function(drift, "drift")
        if self.drift is None:
            hint = "; Model.from_sympy takes expressions" if hasattr(drift, "free_symbols") else ""
            raise TypeError(f"drift must be a function of x, not {type(drift).__name__}{hint}")
        value = diffusion if noise is None else noise
        self.function = _function(value, self.what)
        self.constant: np.ndarray | None = None
        self.parameters = parameters
        self.dim = None if dim is None else int(dim)
        if self.function is None:
            self._read_constant(value)
        used = [part for part in (self.drift, self.function) if part is not None]
        if parameters and all(isinstance(part, _Pointer) for part in used):
            raise ValueError(
                "parameters go to Python functions; a C function gets user data from LowLevelCallable"
            )

    @property
    def kind(self) -> str:
        pointers = [isinstance(part, _Pointer) for part in (self.drift, self.function) if part is not None]
        return "pointer" if all(pointers) else "python"

    def _read_constant(self, value: Any) -> None:
        """D or G as an array -> self.constant: D as (), (dim,) or (dim, dim)."""
        array = read_array(self.what, value)
        if not (np.issubdtype(array.dtype, np.floating) or np.issubdtype(array.dtype, np.integer)):
            hint = "; Model.from_sympy takes expressions" if hasattr(value, "free_symbols") else ""
            raise TypeError(
                f"{self.what} must be numbers or a function of x, not {type(value).__name__}{hint}"
            )
        array = array.astype(float)
        if not np.all(np.isfinite(array)):
            raise ValueError(f"{self.what} must be finite; got {value!r}")
        square = array.ndim == 2 and (self.what == "noise" or array.shape[0] == array.shape[1])
        if array.ndim > 2 or (array.ndim == 2 and not square) or 0 in array.shape:
            shapes = "(), (dim,) or (dim, dim)" if self.what == "diffusion" else "(), (dim,) or (dim, m)"
            raise ValueError(f"{self.what} must have shape {shapes}, but it has {array.shape}")
        if array.ndim > 0:
            if self.dim not in (None, len(array)):
                raise ValueError(f"{self.what} has {len(array)} rows, but dim is {self.dim}")
            self.dim = len(array)
        if self.what == "noise":
            with np.errstate(over="ignore", invalid="ignore"):
                array = 0.5 * (array @ array.T if array.ndim == 2 else array**2)
        check_constant(np.diag(np.atleast_1d(array)) if array.ndim < 2 else array, "diffusion")
        if array.ndim == 2 and np.count_nonzero(array - np.diag(np.diag(array))) == 0:
            array = np.diag(array)
        self.constant = array

    def check_extents(self, extents: Sequence[float], interpretation: str) -> None:
        """Refuse a box in which steps of the default length say nothing about D."""
        if self.length is not None or self.constant is not None or interpretation == "ito":
            return
        for axis, extent in enumerate(extents):
            if np.isfinite(extent) and not SHORTEST <= extent <= LONGEST:
                raise ValueError(
                    f"axis {axis} is {extent:.3g} long, and interpretation {interpretation!r} needs derivatives of"
                    f" the {self.what}, which are taken over steps of {STEP:.0e}; give the model"
                    f" length=, over which the {self.what} changes noticeably"
                )

    def compile(self, dim: int, interpretation: int, points: np.ndarray) -> _core.Model:
        drift = self._bind(self.drift)
        if self.constant is not None:  # means the same in every interpretation
            tape = constant_tape(dim, self.constant)
            divergence = constant_tape(dim, np.zeros(dim)) if self.constant.ndim == 2 else None
            return _core.Model(dim, 0, self.constant.ndim, 1, drift, tape, divergence)
        function = self._bind(self.function)
        if isinstance(self.function, _Pointer):
            leading, columns = 1, 1
        else:
            leading, columns = _leading_axes(function, self.what, dim, points)
        kind = KINDS[self.what][leading]
        if dim > 1 and kind == 2 and interpretation == INTERPRETATIONS["stratonovich"]:
            raise ValueError(
                "interpretation 'stratonovich' depends on the noise amplitude G, which a diffusion tensor"
                " does not determine; give noise= instead of diffusion="
            )
        return _core.Model(dim, interpretation, kind, columns, drift, function, length=self.length or 0.0)

    def compile_for(
        self, method: str, dim: int, interpretation: str, points: np.ndarray
    ) -> tuple[_core.Model, _core.Expression | None]:
        if self.constant is not None:
            model = self.compile(dim, 0, points)
            return model, no_derivatives(dim, dim) if method == "milstein" else None
        if method == "milstein":
            raise ValueError(
                "method 'milstein' needs derivatives of the noise: a model from SymPy; 'platen' does without"
            )
        if method == "heun" and interpretation != "stratonovich":
            raise ValueError(
                f"method 'heun' solves Stratonovich equations; this model of functions is {interpretation!r}."
                " Take 'platen', or a model from SymPy, which is converted"
            )
        interpretation = "ito" if method == "heun" else interpretation  # 'ito': the drift as given
        return self.compile(dim, INTERPRETATIONS[interpretation], points), None

    def _bind(self, part: _Pointer | Function | None) -> Any:
        if isinstance(part, _Pointer):
            return part.capsule
        return functools.partial(part, **self.parameters) if part is not None and self.parameters else part

    def describe(self) -> str:
        value = self.function if self.constant is None else self.constant.tolist()
        dim = "" if self.dim is None else f", dim={self.dim}"
        what = self.what if self.constant is None else "diffusion"
        return f"drift={_called(self.drift)}, {what}={_called(value)}{dim}"

    def latex(self) -> None:
        return None


def _called(value: object) -> str:
    """The name of a function, the class of another callable, or a number."""
    return getattr(value, "__qualname__", None) or (type(value).__name__ if callable(value) else repr(value))


def _leading_axes(function: Function, what: str, dim: int, points: np.ndarray) -> tuple[int, int]:
    """Call once to see the shape: 0, 1 or 2 axes before the last, and columns of G."""
    n = dim + 1  # so that no constant vector or matrix can be taken for values at points
    x = np.ascontiguousarray(np.resize(points.T, (n, dim)).T)
    value = function(x)
    columns = dim
    if isinstance(value, (list, tuple)) and len(value) == dim:
        rows = [row if isinstance(row, (list, tuple)) else np.asarray(row) for row in value]
        depth = 2 if any(isinstance(row, (list, tuple)) or row.ndim == 2 for row in rows) else 1
        if depth == 2 and what == "noise":
            columns = len(rows[0]) if isinstance(rows[0], (list, tuple)) else rows[0].shape[0]
        return depth, columns
    shape = np.shape(value)
    if shape in ((), (1,), (n,)):
        return 0, 1
    if len(shape) in (2, 3) and shape[0] == dim and shape[-1] in (1, n):
        if len(shape) == 2:
            return 1, 1
        if what == "noise" or shape[1] == dim:
            return 2, shape[1]
    tensor = "m" if what == "noise" else dim
    raise ValueError(
        f"{what} must return an array of shape ({n},), ({dim}, {n}) or ({dim}, {tensor}, {n}) for x of shape"
        f" ({dim}, {n}), but returned {shape}"
    )


# --- C functions ------------------------------------------------------------------------------


class _Pointer:
    """A C function: a capsule named by its signature, and what keeps it alive."""

    def __init__(self, capsule: object, source: object) -> None:
        self.capsule = capsule
        self.source = source

    def __repr__(self) -> str:
        source = self.source[-1] if type(self.source) is tuple else self.source
        return f"<C function, {type(source).__name__}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "a model made of C functions cannot be pickled: their addresses mean nothing elsewhere"
        )


def _function(value: Any, what: str) -> _Pointer | Function | None:
    """A Python callable, a _Pointer, or None for what is neither."""
    if type(value).__name__ == "PyCapsule":
        return _checked(_Pointer(value, value), what)
    if type(value).__module__.startswith("numba.") and hasattr(value, "ctypes"):
        value = value.ctypes
    # a LowLevelCallable is a tuple of a capsule and what the capsule needs alive
    low_level: Any = getattr(sys.modules.get("scipy"), "LowLevelCallable", ())
    if isinstance(value, low_level):
        return _checked(_Pointer(tuple.__getitem__(value, 0), value), what)
    if callable(value) and {base.__module__ for base in type(value).__mro__} & {"_ctypes", "_cffi_backend"}:
        from scipy import LowLevelCallable

        try:
            wrapped = LowLevelCallable(value)
        except (ValueError, TypeError) as error:
            raise ValueError(
                f"{what}: this C function does not tell its signature (ctypes: set argtypes and restype)"
            ) from error
        return _checked(_Pointer(tuple.__getitem__(wrapped, 0), (wrapped, value)), what)
    return value if callable(value) else None


def _checked(pointer: _Pointer, what: str) -> _Pointer:
    """Let the core look at the signature now rather than at first use."""
    tape = constant_tape(1, [0.0])
    if what == "drift":
        _core.Model(1, 0, 0, 1, pointer.capsule, tape)
    else:
        _core.Model(1, 0, KINDS[what][1], 1, tape, pointer.capsule)
    return pointer
