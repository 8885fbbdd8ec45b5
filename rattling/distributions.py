"""A steady state as a distribution to draw from, in the manner of scipy.stats."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rattling._checks import count
from rattling.grids import Grid

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from rattling._typing import Seed


class GridDistribution:
    """A distribution over the box of a grid; made by `SteadyState.distribution`.

    Points are rows, (..., dim), as for `scipy.stats.multivariate_normal`.

    Parameters
    ----------
    grid : Grid
    log_density : ndarray, shape ``grid.shape``
        At the centres of cells; normalised by this class.

    Attributes
    ----------
    grid : Grid
    dim : int
    """

    def __init__(self, grid: Grid, log_density: ArrayLike) -> None:
        if not isinstance(grid, Grid):
            raise TypeError(f"grid must be a rattling.Grid, not {type(grid).__name__}")
        log_density = np.asarray(log_density, dtype=float)
        if log_density.shape != grid.shape:
            raise ValueError(f"log_density must have shape {grid.shape}, as the grid says; got {log_density.shape}")
        top = log_density.max()
        if not np.isfinite(top):
            raise ValueError("log_density must be finite somewhere, and nowhere NaN or +inf")
        mass = np.exp(log_density - top) * grid.volumes
        self.grid = grid
        self._probability = (mass / mass.sum()).ravel()
        self._log_density = log_density - top - np.log(mass.sum())

    @property
    def dim(self) -> int:
        return self.grid.dim

    def rvs(self, size: int = 1, *, rng: Seed = None) -> np.ndarray:
        """Random points: a cell by its probability, and a uniform place in it.

        Parameters
        ----------
        size : int
            Number of points.
        rng : int, SeedSequence, Generator or None
            As in `numpy.random.default_rng`.

        Returns
        -------
        ndarray, shape (size, dim)
        """
        rng = np.random.default_rng(rng)
        size = count("size", size, 0)
        cells = rng.choice(len(self._probability), size=size, p=self._probability)
        index = np.unravel_index(cells, self.grid.shape)
        place = rng.random((size, self.dim))
        points = np.empty((size, self.dim))
        for axis, i in enumerate(index):
            edges = self.grid.edges(axis)
            points[:, axis] = edges[i] + place[:, axis] * (edges[i + 1] - edges[i])
        return points

    def logpdf(self, x: ArrayLike) -> np.ndarray:
        """Log density at points: interpolated linearly between the centres of cells.

        Parameters
        ----------
        x : array_like, shape (..., dim)
            For one axis also (...,).

        Returns
        -------
        ndarray, shape (...)
            -inf outside the box. Between the outermost centres and a wall it goes on
            with the slope before; on periodic axes round the seam.

        Raises
        ------
        ValueError
            If the last axis of x is not dim.
        """
        from scipy.interpolate import RegularGridInterpolator

        x = np.asarray(x, dtype=float)
        x = x[..., None] if self.dim == 1 and (x.ndim == 0 or x.shape[-1] != 1) else x
        if x.ndim == 0 or x.shape[-1] != self.dim:
            raise ValueError(f"x must have shape (..., {self.dim}); got {x.shape}")
        centres, values = self._padded()
        lookup = RegularGridInterpolator(centres, values, bounds_error=False, fill_value=None)
        with np.errstate(invalid="ignore"):  # -inf beside -inf
            result = lookup(x).reshape(x.shape[:-1])
        lower, upper = np.transpose(self.grid.bounds)
        inside = ((x >= lower) & (x <= upper)).all(axis=-1)
        return np.where(inside & ~np.isnan(result), result, -np.inf)[()]

    def pdf(self, x: ArrayLike) -> np.ndarray:
        """Density at points; see `logpdf`."""
        values: np.ndarray = np.exp(self.logpdf(x))
        return values

    def _padded(self) -> tuple[list[np.ndarray], np.ndarray]:
        """Centres and values, with one more cell beyond each side of a periodic axis."""
        centres, values = [], self._log_density
        for axis, sides in enumerate(self.grid.boundary):
            x = self.grid.centres(axis)
            if sides[0] == "periodic":
                lower, upper = self.grid.bounds[axis]
                x = np.concatenate([[x[-1] - (upper - lower)], x, [x[0] + (upper - lower)]])
                pad = [(0, 0)] * self.dim
                pad[axis] = (1, 1)
                values = np.pad(values, pad, mode="wrap")
            centres.append(x)
        return centres, values

    def __repr__(self) -> str:
        return f"GridDistribution({self.grid!r})"
