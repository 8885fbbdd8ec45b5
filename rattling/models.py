"""Models: a drift and a diffusion, from symbols, Python functions or C functions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from rattling import symbolic
from rattling._checks import choice, positive
from rattling._model_constants import INTERPRETATIONS
from rattling._model_functions import FunctionParts
from rattling._model_symbols import SymbolicParts
from rattling.grids import Grid

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import ArrayLike
    from sympy import Expr, Matrix

    from rattling import _core


class Model:
    """A diffusion process dx = F dt + G ∘ dW, with D = G Gᵀ/2.

    Functions work on blocks of points: they get ``x`` of shape (dim, n) and return
    values for all n points. For SymPy expressions see `from_sympy`; for a model whose
    steady state is known, `with_steady_state`.

    Parameters
    ----------
    drift : callable
        F: ``drift(x, **parameters)`` returns an array (dim, n), or a list of dim rows
        each of which is an array (n,) or a number. Also a C function with the signature
        ``int (const double *x, double *out, intptr_t n, void *data)`` which writes
        ``out`` (dim, n) and returns 0: a `scipy.LowLevelCallable`, a capsule whose name
        is the signature, a ctypes or cffi function pointer, or a numba cfunc. It must be
        safe to call from several threads.
    diffusion : float, array_like or callable
        D: a number (times the identity), (dim,) (the diagonal), (dim, dim), or a function
        returning (n,), (dim, n) or (dim, dim, n). A C function writes the diagonal,
        (dim, n).
    noise : float, array_like or callable
        G in place of D: a number, (dim,), (dim, m), or a function returning (n,),
        (dim, n) or (dim, m, n). Exactly one of ``diffusion`` and ``noise`` is given.
    dim : int, optional
        Number of coordinates, where an array above does not tell. Without it the model
        takes points of any dimension.
    interpretation : {"ito", "stratonovich", "anti-ito"}
        What the product with the noise means. "stratonovich" with a position-dependent
        tensor D is ambiguous and needs ``noise``. "anti-ito" is the kinetic (Hänggi-
        Klimontovich) form, J = F p - D ∇p, also where ``noise`` is given.
    parameters : dict, optional
        Passed to Python functions as keyword arguments.
    length : float, optional
        Over which D (or G) changes noticeably, in the coordinates' unit. It matters only where
        `interpretation` is not "ito": see the notes.

    Raises
    ------
    TypeError
        For a drift that is not callable.
    ValueError
        For shapes that do not fit, negative or asymmetric diffusion, unknown strings, or
        a C function of another signature.

    Notes
    -----
    The noise-induced drift of functions comes from central differences of D (or G) with
    step ``cbrt(eps) length``, or ``cbrt(eps) max(1, |x_k|)`` without a length: about 10 digits.
    Grids and walls much shorter or longer than that are refused where no length is given;
    elsewhere, as for free paths of micrometres in metres, nothing can notice. Symbolic models
    are exact.

    Examples
    --------
    >>> import rattling
    >>> model = rattling.Model(lambda x: -x, 0.5, dim=2)
    >>> model.drift([[1.0, 2.0], [0.0, 1.0]])
    array([[-1., -2.],
           [-0., -1.]])
    """

    def __init__(
        self,
        drift: object,
        diffusion: object = None,
        *,
        noise: object = None,
        dim: int | None = None,
        interpretation: str = "ito",
        parameters: Mapping[str, Any] | None = None,
        length: float | None = None,
    ) -> None:
        choice("interpretation", interpretation, INTERPRETATIONS)
        _check_one_of(diffusion, noise)
        if dim is not None and (isinstance(dim, bool) or not isinstance(dim, (int, np.integer)) or dim < 1):
            raise ValueError(f"dim must be a whole number >= 1; got {dim!r}")
        parameters = {} if parameters is None else parameters
        if not hasattr(parameters, "items"):
            raise TypeError(f"parameters must be a dict by name, not {type(parameters).__name__}")
        for name in parameters:
            if not isinstance(name, str):
                raise TypeError(f"parameters must be named by strings; got the name {name!r}")
        if length is not None:
            length = positive("length", length)
        self._parts: Any = FunctionParts(drift, diffusion, noise, dim, dict(parameters), length)
        self._interpretation = interpretation
        self._cache: dict[Any, Any] = {}

    @classmethod
    def from_sympy(
        cls,
        drift: object,
        diffusion: object = None,
        *,
        noise: object = None,
        variables: object,
        interpretation: str = "ito",
        parameters: Mapping[Any, Any] | None = None,
    ) -> Model:
        """A model from SymPy expressions, compiled to a program that C evaluates.

        Parameters
        ----------
        drift : expression or sequence of expressions
            F, one for each variable. Expressions may be given as strings, which SymPy
            reads (and evaluates: do not pass text from strangers).
        diffusion : expression, sequence or matrix
            D: one expression (times the identity), one for each variable (the diagonal),
            or a symmetric matrix.
        noise : expression, sequence or matrix
            G in place of D: one expression, one for each variable, or a matrix
            (dim, m). A SymPy column matrix is one noise source, m = 1.
        variables : Symbol or str, or sequence of them
            The coordinates, in order; all are taken to be real.
        interpretation : {"ito", "stratonovich", "anti-ito"}
            Converted to Itô exactly, with derivatives by SymPy.
        parameters : dict, optional
            Numbers by name (or Symbol).

        Returns
        -------
        Model

        Raises
        ------
        ValueError
            For what cannot be compiled, symbols that are neither variables nor
            parameters, shapes that do not fit, constant diffusion that is negative or
            asymmetric, or "stratonovich" with a tensor D that depends on position.

        Examples
        --------
        >>> import rattling
        >>> model = rattling.Model.from_sympy(["-x + w*y", "-y - w*x"], 0.5,
        ...                                   variables="x y", parameters={"w": 2})
        >>> model.drift([[1.0], [0.0]])
        array([[-1.],
               [-2.]])
        """
        choice("interpretation", interpretation, INTERPRETATIONS)
        _check_one_of(diffusion, noise)
        names = symbolic.Names(variables, parameters)
        force = names.read_vector(drift, "drift")
        amplitude: Any = None if noise is None else names.read_matrix(noise, "noise", square=False)
        tensor = names.read_diffusion(diffusion) if noise is None else amplitude * amplitude.T / 2
        ito = symbolic.ito_drift(names, force, tensor, amplitude, interpretation)
        given = {"drift": force, **({"diffusion": tensor} if noise is None else {"noise": amplitude})}
        return cls._symbolic(SymbolicParts(names, given, ito, tensor, None), interpretation)

    @classmethod
    def with_steady_state(
        cls,
        phi: object,
        diffusion: object,
        circulation: object = None,
        *,
        variables: object,
        parameters: Mapping[Any, Any] | None = None,
    ) -> Model:
        """The model with a chosen steady state p ∝ exp(-φ), diffusion and circulation.

        The Itô drift is f_i = Σ_j [∂_j(D_ij + A_ij) - (D_ij + A_ij) ∂_jφ], for any
        antisymmetric A(x); the steady current is J_i = Σ_j ∂_j(A_ij p). Behind reflecting
        walls this holds where J has no component through them, or p is negligible there.

        Parameters
        ----------
        phi : expression
            φ(x), minus the log of the steady density up to a constant.
        diffusion : expression, sequence or matrix
            D as in `from_sympy`.
        circulation : expression, sequence or matrix, optional
            A: an antisymmetric matrix; in 2-D one expression a for [[0, a], [-a, 0]]; in
            3-D three expressions for A_ij = Σ_k ε_ijk a_k. Default: none, detailed
            balance.
        variables, parameters
            As in `from_sympy`.

        Returns
        -------
        Model
            Its ``phi`` is φ as a SymPy expression.

        References
        ----------
        P. Ao, J. Phys. A 37, L25 (2004); Y.-A. Ma, T. Chen & E. Fox, Advances in Neural
        Information Processing Systems 28 (2015).

        Examples
        --------
        >>> import rattling
        >>> model = rattling.Model.with_steady_state("(x**2 + y**2)/2", 1, "3", variables="x y")
        >>> model.drift([[1.0], [0.0]])
        array([[-1.],
               [ 3.]])
        """
        names = symbolic.Names(variables, parameters)
        phi = names.read(phi, "phi")
        tensor = names.read_diffusion(diffusion)
        matrix = names.read_circulation(circulation)
        drift = symbolic.steady_state_drift(names, phi, tensor, matrix)
        given = {"phi": phi, "diffusion": tensor, "circulation": matrix}
        return cls._symbolic(SymbolicParts(names, given, drift, tensor, phi), "ito")

    @classmethod
    def _symbolic(cls, parts: SymbolicParts, interpretation: str) -> Model:
        self = cls.__new__(cls)
        self._parts = parts
        self._interpretation = interpretation
        self._cache = {}
        self._compiled(None)  # what cannot be compiled is found here
        return self

    # --- what it is -------------------------------------------------------------------

    @property
    def dim(self) -> int | None:
        """Number of coordinates; None where the model takes any."""
        dim: int | None = self._parts.dim
        return dim

    @property
    def interpretation(self) -> str:
        """ "ito", "stratonovich" or "anti-ito", as given."""
        return self._interpretation

    @property
    def kind(self) -> str:
        """How it is evaluated: "sympy", "pointer" or "python", the slowest of its parts."""
        kind: str = self._parts.kind
        return kind

    @property
    def variables(self) -> tuple[str, ...] | None:
        """Names of the coordinates, or None where nobody named them."""
        names: tuple[str, ...] | None = self._parts.variables
        return names

    @property
    def parameters(self) -> dict[str, float]:
        """The parameters by name, as a new dict."""
        return dict(self._parts.parameters)

    @property
    def phi(self) -> Expr | None:
        """φ of `with_steady_state`, a SymPy expression; else None."""
        return self._parts.phi

    @property
    def ito_drift(self) -> Matrix | None:
        """The Itô drift as a SymPy column matrix; None where the model has no symbols."""
        return self._parts.ito_drift

    @property
    def diffusion_tensor(self) -> Matrix | None:
        """D as a SymPy matrix; None where the model has no symbols."""
        return self._parts.tensor

    # --- values -------------------------------------------------------------------------

    def drift(self, x: ArrayLike) -> np.ndarray:
        """The Itô drift f at points x.

        Parameters
        ----------
        x : array_like, shape (dim,) or (dim, n)

        Returns
        -------
        ndarray, shape of ``x``

        Raises
        ------
        ValueError
            Where it is not finite, with the first such point.
        """
        x, tail = _points(self, x)
        return self._compiled(x).drift(x).reshape(len(x), *tail)

    def diffusion(self, x: ArrayLike) -> np.ndarray:
        """The diffusion tensor D at points x.

        Parameters
        ----------
        x : array_like, shape (dim,) or (dim, n)

        Returns
        -------
        ndarray, shape (dim, dim) or (dim, dim, n)

        Raises
        ------
        ValueError
            Where it is not finite, not symmetric or not positive semidefinite, with the
            first such point.
        """
        x, tail = _points(self, x)
        return self._compiled(x).diffusion(x).reshape(len(x), len(x), *tail)

    def exact_log_density(self, points: ArrayLike | Grid) -> np.ndarray:
        """-φ, the log of the steady density up to a constant.

        Parameters
        ----------
        points : array_like or Grid
            (dim,), (dim, n), or a grid for its cell centres.

        Returns
        -------
        ndarray
            (), (n,) or the shape of the grid.

        Raises
        ------
        ValueError
            For a model that was not made by `with_steady_state`.
        """
        if self.phi is None:
            raise ValueError(
                "exact_log_density: the steady state is known only of models from Model.with_steady_state"
            )
        x, tail = _points(self, points)
        values: np.ndarray = self._parts.log_density(x)
        return values.reshape(tail)

    def _compiled(self, probe_points: np.ndarray | None) -> _core.Model:
        """The `_core.Model`. ``probe_points``, (dim, n) with n >= 1, are where functions
        may be tried to find out the shape of what they return."""
        dim = self.dim if probe_points is None else len(probe_points)
        if dim not in self._cache:
            number = INTERPRETATIONS[self._interpretation]
            self._cache[dim] = self._parts.compile(dim, number, probe_points)
        compiled: _core.Model = self._cache[dim]
        return compiled

    def _compiled_for(self, method: str, probe_points: np.ndarray) -> tuple[_core.Model, _core.Expression | None]:
        """The `_core.Model` that a scheme of `simulate` takes, and Milstein's tape or None.

        It has the noise amplitude as given, and for "heun" the Stratonovich drift in the
        place of the Itô drift."""
        if method == "euler-maruyama" and self.kind != "sympy":
            return self._compiled(probe_points), None
        dim = len(probe_points)
        self._compiled(probe_points)  # checks
        if (dim, method) not in self._cache:
            self._cache[dim, method] = self._parts.compile_for(method, dim, self._interpretation, probe_points)
        compiled: tuple[_core.Model, _core.Expression | None] = self._cache[dim, method]
        return compiled

    def _check_extents(self, extents: Sequence[float]) -> None:
        self._parts.check_extents(extents, self._interpretation)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_cache": {}}

    def __repr__(self) -> str:
        return f"Model({self._parts.describe()}, interpretation={self._interpretation!r}, kind={self.kind!r})"

    def _repr_latex_(self) -> str | None:
        text: str | None = self._parts.latex()
        return text


def exact_rattling(model: Model, x_or_grid: ArrayLike | Grid) -> np.ndarray:
    """Exact rattling R(x) = ½ log det 2D(x) of a model.

    Parameters
    ----------
    model : Model
    x_or_grid : array_like or Grid
        Points (dim,) or (dim, n), or a grid for its cell centres.

    Returns
    -------
    ndarray
        (), (n,) or the shape of the grid; -inf where D is singular.

    Raises
    ------
    ValueError
        Where D is not finite, not symmetric or not positive semidefinite, with the first
        such point.

    References
    ----------
    P. Chvykov et al., Science 371, 90 (2021).
    """
    if not isinstance(model, Model):
        raise TypeError(f"model must be a rattling.Model, not {type(model).__name__}")
    x, tail = _points(model, x_or_grid)
    return model._compiled(x).rattling(x).reshape(tail)


# --- input ------------------------------------------------------------------------------


def _points(model: Model, x_or_grid: ArrayLike | Grid) -> tuple[np.ndarray, tuple[int, ...]]:
    """Points as a contiguous (dim, n) and the trailing shape of what was given."""
    if isinstance(x_or_grid, Grid):
        x, tail = x_or_grid._columns(), x_or_grid.shape
    else:
        x = np.asarray(x_or_grid)
        if not (np.issubdtype(x.dtype, np.floating) or np.issubdtype(x.dtype, np.integer)):
            raise TypeError(f"x must be an array of real numbers, not of {x.dtype}")
        if x.ndim == 0 or (model.dim is not None and len(x) != model.dim) or len(x) == 0:
            dim = "dim" if model.dim is None else model.dim
            hint = "; give its transpose" if x.ndim == 2 and x.shape[1] == model.dim else ""
            raise ValueError(f"x must have shape ({dim},) or ({dim}, n), but it has {x.shape}{hint}")
        tail = x.shape[1:]
        x = np.ascontiguousarray(x, dtype=float).reshape(len(x), -1)
    if model.dim is not None and len(x) != model.dim:
        raise ValueError(f"the model has {model.dim} coordinates, but the grid has {len(x)} axes")
    return x, tail


def _check_one_of(diffusion: object, noise: object) -> None:
    if (diffusion is None) == (noise is None):
        raise ValueError("give diffusion= or noise=, and only one of them")
