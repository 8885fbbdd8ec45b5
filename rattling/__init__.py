"""Steady states, rattling and typicality of driven stochastic systems."""

from rattling._core import ConvergenceError, ReducibleError
from rattling.grids import Grid
from rattling.models import Model, exact_rattling
from rattling.typicality import Typicality, typicality

__all__ = [
    "ConvergenceError",
    "Grid",
    "Model",
    "ReducibleError",
    "Typicality",
    "exact_rattling",
    "typicality",
]
