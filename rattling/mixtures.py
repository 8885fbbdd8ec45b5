"""Systems made of others: mixed drives, added heat, designed noise.

The public names are in `rattling.engineering`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from rattling._checks import number, real_array
from rattling.markov import Generator
from rattling.models import Model

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike
    from scipy import sparse
    from sympy import Matrix

    from rattling._typing import Function


def mix(drives: Any, weights: ArrayLike) -> Model | Generator:
    """The system that several drives make together.

    Each drive acts at a rate w_k, or a share w_k of the time, and they alternate fast, so that drifts and
    diffusions (or the rates of chains) add up: f = Σ w_k f_k, D = Σ w_k D_k. Then
    R = ½ log det 2 Σ w_k D_k, which is low only where all drives are quiet.

    Parameters
    ----------
    drives : sequence of Model, or of Generator
        In the same coordinates, or chains of the same states.
    weights : array_like, shape (n_drives,)
        w_k >= 0.

    Returns
    -------
    Model or Generator
        A model is Itô's; made of symbols if all drives are.

    Raises
    ------
    TypeError
        For a mixture of models and chains, or something else.
    ValueError
        For coordinates or states that differ, or weights that are negative or all 0.

    Examples
    --------
    >>> from rattling import Model, engineering
    >>> shakes = [Model.from_sympy("0", d, variables="x") for d in ("1 + cos(x)**2", "3")]
    >>> engineering.mix(shakes, [0.5, 0.5]).diffusion([0.0])
    array([[2.5]])
    """
    drives = read_drives(drives)
    weights = real_array("weights", weights)
    if weights.shape != (len(drives),):
        raise ValueError(
            f"weights must have one number for each of the {len(drives)} drives; got shape {weights.shape}"
        )
    if not ((weights >= 0) & (weights < np.inf)).all() or not weights.any():
        raise ValueError(f"weights must be finite, not negative and not all 0; got {weights.tolist()}")
    if isinstance(drives[0], Generator):
        rates = sum(w * _rates(drive) for w, drive in zip(weights, drives, strict=True))
        return Generator.from_rates(rates)
    tensors = [drive.diffusion_tensor for drive in drives]
    if all(tensor is not None for tensor in tensors) and len({drive.variables for drive in drives}) == 1:
        drift = sum((w * _plain(d, d.ito_drift) for w, d in zip(weights, drives, strict=True)), _zeros(drives[0], 1))
        tensor = sum(
            (w * _plain(d, d.diffusion_tensor) for w, d in zip(weights, drives, strict=True)), _zeros(drives[0])
        )
        return Model.from_sympy(drift, tensor, variables=drives[0].variables)
    return Model(_Mixed(drives, weights, "drift"), _Mixed(drives, weights, "diffusion"), dim=drives[0].dim)


def heat(model: Model, temperature: float) -> Model:
    """The model with white noise of a temperature added: D + T I, the Itô drift as it is.

    Parameters
    ----------
    model : Model
    temperature : float
        T >= 0, in units of D.

    Returns
    -------
    Model
    """
    if not isinstance(model, Model):
        raise TypeError(f"model must be a rattling.Model, not {type(model).__name__}")
    if number("temperature", temperature) < 0:
        raise ValueError(f"temperature must not be negative; got {temperature!r}")
    if model.diffusion_tensor is not None:
        import sympy

        tensor = _plain(model, model.diffusion_tensor) + float(temperature) * sympy.eye(model.dim)
        return Model.from_sympy(_plain(model, model.ito_drift), tensor, variables=model.variables)
    return Model(model.drift, _Heated(model, float(temperature)), dim=model.dim)


def read_drives(drives: Any) -> Any:
    drives = list(drives) if hasattr(drives, "__iter__") else [drives]
    kinds = {Model if isinstance(d, Model) else Generator if isinstance(d, Generator) else None for d in drives}
    if len(kinds) != 1 or None in kinds:
        names = sorted({type(drive).__name__ for drive in drives})
        raise TypeError(f"drives must be a sequence of models, or one of generators; got {', '.join(names) or 'none'}")
    sizes = {d.dim if isinstance(d, Model) else d.n for d in drives}
    if len(sizes) != 1:
        what = "coordinates" if isinstance(drives[0], Model) else "states"
        raise ValueError(f"drives must have the same {what}; they have {', '.join(map(str, sorted(sizes, key=str)))}")
    return drives


def _rates(chain: Generator) -> sparse.csr_array:
    """rates[i, j] of i -> j, sparse."""
    from scipy import sparse

    if chain.killing.any():
        raise ValueError("drives must not have absorbing walls")
    start, source, rate = chain._core.rows()
    target = np.repeat(np.arange(chain.n), np.diff(start))
    return sparse.coo_array((rate, (source, target)), shape=(chain.n, chain.n)).tocsr()


def _plain(model: Model, matrix: Matrix) -> Matrix:
    """Expressions with numbers in place of the parameters."""
    parts: Any = model._parts  # of symbols
    return parts.names.value(matrix)


def _zeros(model: Model, columns: int | None = None) -> Matrix:
    import sympy

    return sympy.zeros(model.dim, model.dim if columns is None else columns)


def _tensor(model: Model, x: np.ndarray) -> np.ndarray:
    """D as (dim, dim, n), or the diagonal (dim, n) where there is nothing else."""
    core = model._compiled(x)
    return core.diagonal(x) if core.is_diagonal else core.diffusion(x)


class _Mixed:
    """Σ w_k of the drifts or the diffusions."""

    def __init__(self, drives: Sequence[Model], weights: np.ndarray, what: str) -> None:
        self.drives, self.weights, self.what = drives, weights, what

    def __call__(self, x: np.ndarray) -> np.ndarray:
        if self.what == "drift":
            values = [drive.drift(x) for drive in self.drives]
        else:
            values = [_tensor(drive, x) for drive in self.drives]
            if len({value.ndim for value in values}) > 1:
                values = [drive.diffusion(x) for drive in self.drives]
        total: np.ndarray = sum(w * value for w, value in zip(self.weights, values, strict=True))
        return total


class _Heated:
    """D + T I."""

    def __init__(self, model: Model, temperature: float) -> None:
        self.model, self.temperature = model, temperature

    def __call__(self, x: np.ndarray) -> np.ndarray:
        d = _tensor(self.model, x)
        return d + self.temperature * (1 if d.ndim == 2 else np.eye(len(d))[..., None])


class Torched:
    """D exp Σ a_k φ_k."""

    def __init__(self, model: Model, patterns: Sequence[Function], amplitudes: np.ndarray) -> None:
        self.model, self.patterns, self.amplitudes = model, patterns, amplitudes

    def __call__(self, x: np.ndarray) -> np.ndarray:
        tensor: np.ndarray = _tensor(self.model, x) * np.exp(self.amplitudes @ pattern_values(self.patterns, x))
        return tensor


def pattern_values(patterns: Sequence[Function], x: np.ndarray) -> np.ndarray:
    rows = []
    for k, pattern in enumerate(patterns):
        value = real_array(f"pattern {k}", pattern(x))
        if value.shape not in ((), (x.shape[1],)):
            raise ValueError(f"pattern {k} must return an array of shape ({x.shape[1]},), but returned {value.shape}")
        rows.append(np.broadcast_to(value, x.shape[1]))
    return np.array(rows)
