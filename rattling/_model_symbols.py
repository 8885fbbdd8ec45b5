"""What `rattling.Model` is made of where it has SymPy expressions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from rattling import _core, symbolic
from rattling._model_constants import INTERPRETATIONS, check_constant, no_derivatives
from rattling.tapes import compile_expressions

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sympy import Expr, Matrix

    from rattling.symbolic import Names


class SymbolicParts:
    kind = "sympy"

    def __init__(
        self, names: Names, given: dict[str, Any], ito_drift: Matrix, tensor: Matrix, phi: Expr | None
    ) -> None:
        self.names = names
        self.given = given  # what the user wrote, by argument
        self.ito_drift = ito_drift
        self.tensor = tensor
        self.phi = phi

    @property
    def dim(self) -> int:
        return len(self.names.variables)

    @property
    def variables(self) -> tuple[str, ...]:
        return tuple(v.name for v in self.names.variables)

    @property
    def parameters(self) -> dict[str, float]:
        return {symbol.name: float(value) for symbol, value in self.names.parameters.items()}

    def check_extents(self, extents: Sequence[float], interpretation: str) -> None:
        """Any will do: SymPy takes the derivatives."""

    def _tape(self, expressions: Iterable[Expr], what: str) -> _core.Expression:
        expressions = [self.names.value(e) for e in expressions]
        return compile_expressions(expressions, self.names.variables, what)

    def log_density(self, x: np.ndarray) -> np.ndarray:
        log_density: np.ndarray = -self._tape([self.phi], "phi").evaluate(x)[0]
        return log_density

    def compile(self, dim: int, _interpretation: int, _points: np.ndarray | None) -> _core.Model:
        names, tensor = self.names, self.tensor
        axes = range(dim)
        what = "noise" if "noise" in self.given else "diffusion"
        if names.is_constant(tensor):
            values = self._tape(list(tensor), what).evaluate(np.zeros((dim, 1)))
            check_constant(values.reshape(dim, dim), what)
        if not all(names.is_zero(tensor[i, j], what) for i in axes for j in axes if i != j):
            kind, entries = 2, list(tensor)
        elif all(tensor[i, i] == tensor[0, 0] for i in axes):
            kind, entries = 0, [tensor[0, 0]]
        else:
            kind, entries = 1, [tensor[i, i] for i in axes]
        drift = self._tape(list(self.ito_drift), "drift")
        divergence = self._divergence() if kind == 2 else None
        return _core.Model(dim, INTERPRETATIONS["ito"], kind, 1, drift, self._tape(entries, what), divergence)

    def _divergence(self) -> _core.Expression | None:
        """(div D)_i = Σ_j ∂_j D_ij; None where it cannot be compiled."""
        rows = symbolic.divergence(self.names, self.tensor)
        try:
            return self._tape(rows, "divergence")
        except ValueError:  # a derivative that the tape does not have
            return None

    def compile_for(
        self, method: str, dim: int, interpretation: str, _points: np.ndarray
    ) -> tuple[_core.Model, _core.Expression | None]:
        if method == "euler-maruyama":
            return self._compile_euler(dim), None
        names, tensor = self.names, self.tensor
        amplitude = self.given.get("noise")
        if amplitude is None and symbolic.is_diagonal(names, tensor):
            amplitude = symbolic.diagonal_root(tensor)
        if amplitude is None and not (method == "platen" or names.is_constant(tensor)):
            raise ValueError(
                f"method {method!r} needs the noise amplitude, which a diffusion tensor with off-diagonal"
                " elements does not determine; give the model noise= instead of diffusion=, or take 'platen'"
            )
        drift = self.ito_drift
        if method == "heun" and interpretation == "stratonovich":
            drift = self.given["drift"]
        elif method == "heun" and amplitude is not None:
            drift = drift - symbolic.stratonovich_correction(names, amplitude)
        drift = self._tape(list(drift), "drift")
        if amplitude is None:  # the core takes a root of D
            model = _core.Model(dim, 0, 2, 1, drift, self._tape(list(tensor), "diffusion"))
        elif symbolic.is_diagonal(names, amplitude):
            tape = self._tape([amplitude[k, k] for k in range(dim)], "noise")
            model = _core.Model(dim, 0, 4, 1, drift, tape)
        else:
            model = _core.Model(dim, 0, 5, amplitude.shape[1], drift, self._tape(list(amplitude), "noise"))
        if method != "milstein":
            return model, None
        if amplitude is None:
            return model, no_derivatives(dim, dim)
        return model, self._tape(symbolic.milstein_terms(names, amplitude), "noise")

    def _compile_euler(self, dim: int) -> _core.Model:
        """Where the noise is diagonal: drift and noise on one tape."""
        what = "noise" if "noise" in self.given else "diffusion"
        matrix = self.given.get("noise", self.tensor)
        if not symbolic.is_diagonal(self.names, matrix):
            return self.compile(dim, 0, None)
        entries = [matrix[k, k] for k in range(dim)]
        if all(entry == entries[0] for entry in entries):
            entries = entries[:1]
        kind = (3 if what == "noise" else 0) + (len(entries) > 1)
        drift, noise = self._tape(self.ito_drift, "drift"), self._tape(entries, what)
        return _core.Model(dim, 0, kind, 1, drift, noise, joint=self._tape([*self.ito_drift, *entries], what))

    def describe(self) -> str:
        texts = [f"{name}={_compact(value)}" for name, value in self.given.items()]
        texts = [text if len(text) <= 120 else text[:117] + "..." for text in texts]
        return f"({', '.join(self.variables)}), {', '.join(texts)}"

    def latex(self) -> str:
        import sympy

        symbols = {"drift": "F", "diffusion": "D", "noise": "G", "phi": r"\phi", "circulation": "A"}
        free = set().union(self.names.variables, *(value.free_symbols for value in self.given.values()))
        words = {s: rf"\mathrm{{{s.name}}}" for s in free if len(s.name) > 1 and sympy.latex(s) == s.name}
        texts = [f"{symbols[name]} = {sympy.latex(value, symbol_names=words)}" for name, value in self.given.items()]
        if self.dim > 1:
            texts.insert(0, f"x = {sympy.latex(sympy.Matrix([self.names.variables]), symbol_names=words)}^T")
        rows = r" \\ ".join(text.replace(" = ", " &= ", 1) for text in texts)
        return rf"$\displaystyle \begin{{aligned}} {rows} \end{{aligned}}$"


def _compact(value: Any) -> str:
    """A matrix as the user may have written it: a column, a diagonal, one number."""
    if not hasattr(value, "shape"):
        return str(value)
    rows, columns = value.shape
    if columns == 1:
        return str(value[0] if rows == 1 else list(value))
    if not value.is_diagonal():
        return str(value.tolist())
    diagonal = [value[i, i] for i in range(min(rows, columns))]
    return str(diagonal[0] if all(d == diagonal[0] for d in diagonal) else diagonal)
