"""Steady states, rattling and typicality of driven stochastic systems."""

from rattling._core import ConvergenceError, ReducibleError
from rattling.grids import Grid

__all__ = ["ConvergenceError", "Grid", "ReducibleError"]
