"""The types that annotations share."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from sympy import Expr, Matrix, Symbol

__all__ = ["ArrayLike", "Axes", "Expr", "Function", "Hook", "Info", "Matrix", "Progress", "Seed", "Symbol"]

Function: TypeAlias = Callable[..., Any]  # a user's, of points
Hook: TypeAlias = Callable[[float], object] | None  # what the core calls with the share done
Info: TypeAlias = dict[str, Any]  # numbers about a run, by name
Progress: TypeAlias = bool | Callable[[float], object]
Seed: TypeAlias = int | np.random.SeedSequence | np.random.Generator | None
