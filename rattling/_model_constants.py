"""What models of symbols and of functions share: numbers, and diffusions that do not depend on x."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rattling import _core

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

INTERPRETATIONS = {"ito": 0, "stratonovich": 1, "anti-ito": 2}
# numbers of rtl_diffusion_kind_t, by what is given and the number of leading axes
KINDS = {"diffusion": (0, 1, 2), "noise": (3, 4, 5)}


def check_constant(tensor: np.ndarray, what: str) -> None:
    """A constant D, (dim, dim): finite, symmetric, positive semidefinite."""
    if not np.all(np.isfinite(tensor)):
        raise ValueError(f"{what} must be finite; got {tensor.tolist()}")
    scale = np.abs(tensor).max()
    if np.any(np.abs(tensor - tensor.T) > 1e-12 * scale):
        raise ValueError(f"{what} must be symmetric; got {tensor.tolist()}")
    if np.any(np.diag(tensor) < 0):
        raise ValueError(f"{what} must not be negative; got {tensor.tolist()}")
    lowest = np.linalg.eigvalsh(tensor)[0]
    if lowest < -1e-12 * scale:
        raise ValueError(
            f"{what} must be positive semidefinite; {tensor.tolist()} has the eigenvalue {lowest:.6g}"
        )


def constant_tape(dim: int, values: ArrayLike) -> _core.Expression:
    """A program without instructions: the same values at every point."""
    values = np.ravel(values)
    return _core.Expression(
        dim, values, np.zeros((0, 4), dtype=np.int32), dim + np.arange(len(values), dtype=np.int32)
    )


def no_derivatives(dim: int, columns: int) -> _core.Expression:
    """Milstein's terms of constant noise."""
    return constant_tape(dim, np.zeros(dim * columns * (columns + 1) // 2))
