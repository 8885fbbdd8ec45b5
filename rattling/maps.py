"""Maps with noise: dynamics in discrete time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from rattling import symbolic
from rattling._checks import count
from rattling.models import Model
from rattling.trajectories import Setup

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import ArrayLike

    from rattling._typing import Progress, Seed
    from rattling.trajectories import Trajectories


class Map:
    """A map with added noise, x' = F(x) + G(x) ξ with standard normals ξ.

    Kicked and driven systems seen once a period are such maps.

    Parameters
    ----------
    step : expression or sequence of expressions
        F, one for each variable, as SymPy expressions or strings.
    noise : expression, sequence or matrix
        G: one expression (for every variable), one for each variable, or a matrix (dim,
        m); 0 for none.
    variables : Symbol or str, or sequence of them
        The coordinates, in order.
    boundary : sequence, optional
        For each axis None or (lower, upper, "periodic"), where it is an angle.
    parameters : dict, optional
        Numbers by name (or Symbol).

    Attributes
    ----------
    model : Model
        Its Euler-Maruyama step of length 1 is the map: drift F - x, D = G Gᵀ/2.
    boundary : tuple or None
    jacobian : sympy.Matrix
        ∂F_i/∂x_j, with the parameters' values.

    Raises
    ------
    ValueError
        As `Model.from_sympy`.

    Examples
    --------
    >>> import rattling
    >>> logistic = rattling.Map("r*x*(1 - x)", variables="x", parameters={"r": 4})
    >>> logistic.iterate([0.3], 2, rng=1).x[0, :, 0]
    array([0.3   , 0.84  , 0.5376])
    """

    def __init__(
        self,
        step: object,
        noise: object = 0,
        *,
        variables: object,
        boundary: Sequence[Any] | None = None,
        parameters: Mapping[Any, Any] | None = None,
    ) -> None:
        names = symbolic.Names(variables, parameters)
        force = names.read_vector(step, "step")
        drift = [f - x for f, x in zip(force, names.variables, strict=True)]
        self.model = Model.from_sympy(drift, noise=noise, variables=variables, parameters=parameters)
        self.jacobian = names.value(force.jacobian(list(names.variables)))
        self.boundary = None if boundary is None else tuple(boundary)

    @property
    def dim(self) -> int:
        """Number of coordinates."""
        return len(self.variables)

    @property
    def variables(self) -> tuple[str, ...]:
        """Names of the coordinates."""
        return self.model.variables or ()

    def iterate(
        self,
        x0: ArrayLike,
        n_steps: int,
        *,
        n_paths: int | None = None,
        thin: int = 1,
        rng: Seed = None,
        threads: int | None = None,
        progress: Progress = False,
    ) -> Trajectories:
        """Iterate the map.

        Parameters
        ----------
        x0, n_steps, n_paths, thin, rng, threads, progress
            As for `simulate`; one step is one application of the map.

        Returns
        -------
        Trajectories
            Their time counts the steps.

        Raises
        ------
        ValueError
            As `simulate`.
        """
        n_steps, thin = count("n_steps", n_steps, 0, bits=48), count("thin", thin, 1, bits=48)
        setup = Setup.read(self.model, x0, 1.0, n_paths, "euler-maruyama", rng, self.boundary, threads)
        setup.check_size(n_steps, thin)
        return setup.record(setup.start(), n_steps, thin, progress)

    def __call__(self, x: ArrayLike) -> np.ndarray:
        """F at points x, (dim,) or (dim, n), without noise and not folded into the boundary."""
        image: np.ndarray = np.asarray(x, dtype=float) + self.model.drift(x)
        return image

    def __repr__(self) -> str:
        return f"Map(({', '.join(self.variables)}), boundary={self.boundary})"
