"""Models: a drift and a diffusion, from symbols, Python functions or C functions."""

from __future__ import annotations

import functools
import sys

import numpy as np

from rattling import _core
from rattling._checks import read_array
from rattling.grids import Grid

_INTERPRETATIONS = {"ito": 0, "stratonovich": 1, "anti-ito": 2}
# numbers of rtl_diffusion_kind_t, by what is given and the number of leading axes
_KINDS = {"diffusion": (0, 1, 2), "noise": (3, 4, 5)}


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
    step ``cbrt(eps) max(1, |x_k|)``: about 10 digits. Symbolic models are exact.

    Examples
    --------
    >>> import rattling
    >>> model = rattling.Model(lambda x: -x, 0.5, dim=2)
    >>> model.drift([[1.0, 2.0], [0.0, 1.0]])
    array([[-1., -2.],
           [-0., -1.]])
    """

    def __init__(self, drift, diffusion=None, *, noise=None, dim=None, interpretation="ito", parameters=None):
        _check_interpretation(interpretation)
        _check_one_of(diffusion, noise)
        if dim is not None and (isinstance(dim, bool) or not isinstance(dim, (int, np.integer)) or dim < 1):
            raise ValueError(f"dim must be a whole number >= 1; got {dim!r}")
        parameters = {} if parameters is None else parameters
        if not hasattr(parameters, "items"):
            raise TypeError(f"parameters must be a dict by name, not {type(parameters).__name__}")
        for name in parameters:
            if not isinstance(name, str):
                raise TypeError(f"parameters must be named by strings; got the name {name!r}")
        self._parts = _FunctionParts(drift, diffusion, noise, dim, dict(parameters))
        self._interpretation = interpretation
        self._cache = {}

    @classmethod
    def from_sympy(
        cls, drift, diffusion=None, *, noise=None, variables, interpretation="ito", parameters=None
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
        from rattling import symbolic

        _check_interpretation(interpretation)
        _check_one_of(diffusion, noise)
        names = symbolic.Names(variables, parameters)
        force = names.read_vector(drift, "drift")
        amplitude = None if noise is None else names.read_matrix(noise, "noise", square=False)
        tensor = names.read_diffusion(diffusion) if noise is None else amplitude * amplitude.T / 2
        ito = symbolic.ito_drift(names, force, tensor, amplitude, interpretation)
        given = {"drift": force, **({"diffusion": tensor} if noise is None else {"noise": amplitude})}
        return cls._symbolic(_SymbolicParts(names, given, ito, tensor, None), interpretation)

    @classmethod
    def with_steady_state(cls, phi, diffusion, circulation=None, *, variables, parameters=None) -> Model:
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
        from rattling import symbolic

        names = symbolic.Names(variables, parameters)
        phi = names.read(phi, "phi")
        tensor = names.read_diffusion(diffusion)
        matrix = names.read_circulation(circulation)
        drift = symbolic.steady_state_drift(names, phi, tensor, matrix)
        given = {"phi": phi, "diffusion": tensor, "circulation": matrix}
        return cls._symbolic(_SymbolicParts(names, given, drift, tensor, phi), "ito")

    @classmethod
    def _symbolic(cls, parts, interpretation):
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
        return self._parts.dim

    @property
    def interpretation(self) -> str:
        """ "ito", "stratonovich" or "anti-ito", as given."""
        return self._interpretation

    @property
    def kind(self) -> str:
        """How it is evaluated: "sympy", "pointer" or "python", the slowest of its parts."""
        return self._parts.kind

    @property
    def variables(self) -> tuple[str, ...] | None:
        """Names of the coordinates, or None where nobody named them."""
        return self._parts.variables

    @property
    def parameters(self) -> dict[str, float]:
        """The parameters by name, as a new dict."""
        return dict(self._parts.parameters)

    @property
    def phi(self):
        """φ of `with_steady_state`, a SymPy expression; else None."""
        return self._parts.phi

    @property
    def ito_drift(self):
        """The Itô drift as a SymPy column matrix; None where the model has no symbols."""
        return self._parts.ito_drift

    @property
    def diffusion_tensor(self):
        """D as a SymPy matrix; None where the model has no symbols."""
        return self._parts.tensor

    # --- values -------------------------------------------------------------------------

    def drift(self, x) -> np.ndarray:
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

    def diffusion(self, x) -> np.ndarray:
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

    def exact_log_density(self, points) -> np.ndarray:
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
        return self._parts.log_density(x).reshape(tail)

    def _compiled(self, probe_points):
        """The `_core.Model`. ``probe_points``, (dim, n) with n >= 1, are where functions
        may be tried to find out the shape of what they return."""
        dim = self.dim if probe_points is None else len(probe_points)
        if self.dim not in (None, dim):
            raise ValueError(f"the model has {self.dim} coordinates, but the points have {dim}")
        if dim not in self._cache:
            number = _INTERPRETATIONS[self._interpretation]
            self._cache[dim] = self._parts.compile(dim, number, probe_points)
        return self._cache[dim]

    def _compiled_for(self, method, probe_points):
        """The `_core.Model` that a scheme of `simulate` takes, and Milstein's tape or None.

        It has the noise amplitude as given, and for "heun" the Stratonovich drift in the
        place of the Itô drift."""
        if method == "euler-maruyama":
            return self._compiled(probe_points), None
        dim = len(probe_points)
        self._compiled(probe_points)  # checks
        if (dim, method) not in self._cache:
            self._cache[dim, method] = self._parts.compile_for(method, dim, self._interpretation, probe_points)
        return self._cache[dim, method]

    def __getstate__(self):
        return {**self.__dict__, "_cache": {}}

    def __repr__(self):
        return f"Model({self._parts.describe()}, interpretation={self._interpretation!r}, kind={self.kind!r})"

    def _repr_latex_(self):
        return self._parts.latex()


def exact_rattling(model, x_or_grid) -> np.ndarray:
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


def _points(model, x_or_grid):
    """Points as a contiguous (dim, n) and the trailing shape of what was given."""
    if isinstance(x_or_grid, Grid):
        x, tail = np.ascontiguousarray(x_or_grid.points().T), x_or_grid.shape
    else:
        x = np.asarray(x_or_grid)
        if not (np.issubdtype(x.dtype, np.floating) or np.issubdtype(x.dtype, np.integer)):
            raise TypeError(f"x must be an array of real numbers, not of {x.dtype}")
        if x.ndim == 0 or (model.dim is not None and len(x) != model.dim) or len(x) == 0:
            dim = "dim" if model.dim is None else model.dim
            raise ValueError(f"x must have shape ({dim},) or ({dim}, n), but it has {x.shape}")
        tail = x.shape[1:]
        x = np.ascontiguousarray(x, dtype=float).reshape(len(x), -1)
    if model.dim is not None and len(x) != model.dim:
        raise ValueError(f"the model has {model.dim} coordinates, but the grid has {len(x)} axes")
    return x, tail


def _check_interpretation(interpretation):
    if not isinstance(interpretation, str) or interpretation not in _INTERPRETATIONS:
        names = ", ".join(map(repr, _INTERPRETATIONS))
        raise ValueError(f"interpretation must be one of {names}; got {interpretation!r}")


def _check_one_of(diffusion, noise):
    if (diffusion is None) == (noise is None):
        raise ValueError("give diffusion= or noise=, and only one of them")


def _check_constant(tensor, what):
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


def _constant_tape(dim, values):
    """A program without instructions: the same values at every point."""
    values = np.ravel(values)
    return _core.Expression(
        dim, values, np.zeros((0, 4), dtype=np.int32), dim + np.arange(len(values), dtype=np.int32)
    )


def _no_derivatives(dim, columns):
    """Milstein's terms of constant noise."""
    return _constant_tape(dim, np.zeros(dim * columns * (columns + 1) // 2))


# --- symbols ------------------------------------------------------------------------------


class _SymbolicParts:
    kind = "sympy"

    def __init__(self, names, given, ito_drift, tensor, phi):
        self.names = names
        self.given = given  # what the user wrote, by argument
        self.ito_drift = ito_drift
        self.tensor = tensor
        self.phi = phi

    @property
    def dim(self) -> int | None:
        return len(self.names.variables)

    @property
    def variables(self) -> tuple[str, ...] | None:
        return tuple(v.name for v in self.names.variables)

    @property
    def parameters(self) -> dict[str, float]:
        return {symbol.name: float(value) for symbol, value in self.names.parameters.items()}

    def _tape(self, expressions, what):
        from rattling import symbolic

        expressions = [self.names.value(e) for e in expressions]
        return symbolic.compile_expressions(expressions, self.names.variables, what)

    def log_density(self, x):
        return -self._tape([self.phi], "phi").evaluate(x)[0]

    def compile(self, dim, _interpretation, _points):
        names, tensor = self.names, self.tensor
        axes = range(dim)
        what = "noise" if "noise" in self.given else "diffusion"
        if names.is_constant(tensor):
            values = self._tape(list(tensor), what).evaluate(np.zeros((dim, 1)))
            _check_constant(values.reshape(dim, dim), what)
        if not all(names.is_zero(tensor[i, j], what) for i in axes for j in axes if i != j):
            kind, entries = 2, list(tensor)
        elif all(tensor[i, i] == tensor[0, 0] for i in axes):
            kind, entries = 0, [tensor[0, 0]]
        else:
            kind, entries = 1, [tensor[i, i] for i in axes]
        drift = self._tape(list(self.ito_drift), "drift")
        divergence = self._divergence() if kind == 2 else None
        return _core.Model(dim, _INTERPRETATIONS["ito"], kind, 1, drift, self._tape(entries, what), divergence)

    def _divergence(self):
        """(div D)_i = Σ_j ∂_j D_ij; None where it cannot be compiled."""
        from rattling import symbolic

        rows = symbolic.divergence(self.names, self.tensor)
        try:
            return self._tape(rows, "divergence")
        except ValueError:  # a derivative that the tape does not have
            return None

    def compile_for(self, method, dim, interpretation, _points):
        from rattling import symbolic

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
            return model, _no_derivatives(dim, dim)
        return model, self._tape(symbolic.milstein_terms(names, amplitude), "noise")

    def describe(self):
        texts = [f"{name}={_compact(value)}" for name, value in self.given.items()]
        texts = [text if len(text) <= 120 else text[:117] + "..." for text in texts]
        return f"({', '.join(self.variables)}), {', '.join(texts)}"

    def latex(self):
        import sympy

        symbols = {"drift": "F", "diffusion": "D", "noise": "G", "phi": r"\phi", "circulation": "A"}
        texts = [f"{symbols[name]} = {sympy.latex(value)}" for name, value in self.given.items()]
        if self.dim > 1:
            texts.insert(0, f"x = {sympy.latex(sympy.Matrix([self.names.variables]))}^T")
        rows = r" \\ ".join(text.replace(" = ", " &= ", 1) for text in texts)
        return rf"$\displaystyle \begin{{aligned}} {rows} \end{{aligned}}$"


def _compact(value):
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


# --- functions ------------------------------------------------------------------------------


class _FunctionParts:
    phi = ito_drift = tensor = variables = None

    def __init__(self, drift, diffusion, noise, dim, parameters):
        self.what = "diffusion" if noise is None else "noise"
        self.drift = _function(drift, "drift")
        if self.drift is None:
            hint = "; Model.from_sympy takes expressions" if hasattr(drift, "free_symbols") else ""
            raise TypeError(f"drift must be a function of x, not {type(drift).__name__}{hint}")
        value = diffusion if noise is None else noise
        self.function = _function(value, self.what)
        self.constant = None
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

    def _read_constant(self, value):
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
            array = 0.5 * (array @ array.T if array.ndim == 2 else array**2)
        _check_constant(np.diag(np.atleast_1d(array)) if array.ndim < 2 else array, "diffusion")
        if array.ndim == 2 and np.count_nonzero(array - np.diag(np.diag(array))) == 0:
            array = np.diag(array)
        self.constant = array

    def compile(self, dim, interpretation, points):
        drift = self._bind(self.drift)
        if self.constant is not None:  # means the same in every interpretation
            tape = _constant_tape(dim, self.constant)
            divergence = _constant_tape(dim, np.zeros(dim)) if self.constant.ndim == 2 else None
            return _core.Model(dim, 0, self.constant.ndim, 1, drift, tape, divergence)
        function = self._bind(self.function)
        if isinstance(self.function, _Pointer):
            leading, columns = 1, 1
        else:
            leading, columns = _leading_axes(function, self.what, dim, points)
        kind = _KINDS[self.what][leading]
        if dim > 1 and kind == 2 and interpretation == _INTERPRETATIONS["stratonovich"]:
            raise ValueError(
                "interpretation 'stratonovich' depends on the noise amplitude G, which a diffusion tensor"
                " does not determine; give noise= instead of diffusion="
            )
        return _core.Model(dim, interpretation, kind, columns, drift, function)

    def compile_for(self, method, dim, interpretation, points):
        if self.constant is not None:
            model = self.compile(dim, 0, points)
            return model, _no_derivatives(dim, dim) if method == "milstein" else None
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
        return self.compile(dim, _INTERPRETATIONS[interpretation], points), None

    def _bind(self, part):
        if isinstance(part, _Pointer):
            return part.capsule
        return functools.partial(part, **self.parameters) if self.parameters else part

    def describe(self):
        value = self.function if self.constant is None else self.constant.tolist()
        dim = "" if self.dim is None else f", dim={self.dim}"
        what = self.what if self.constant is None else "diffusion"
        return f"drift={_called(self.drift)}, {what}={_called(value)}{dim}"

    def latex(self):
        return None


def _called(value):
    return getattr(value, "__qualname__", None) or repr(value)


def _leading_axes(function, what, dim, points):
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

    def __init__(self, capsule, source):
        self.capsule = capsule
        self.source = source

    def __repr__(self):
        source = self.source[-1] if type(self.source) is tuple else self.source
        return f"<C function, {type(source).__name__}>"

    def __reduce__(self):
        raise TypeError(
            "a model made of C functions cannot be pickled: their addresses mean nothing elsewhere"
        )


def _function(value, what):
    """A Python callable, a _Pointer, or None for what is neither."""
    if type(value).__name__ == "PyCapsule":
        return _checked(_Pointer(value, value), what)
    if type(value).__module__.startswith("numba.") and hasattr(value, "ctypes"):
        value = value.ctypes
    # a LowLevelCallable is a tuple of a capsule and what the capsule needs alive
    if isinstance(value, getattr(sys.modules.get("scipy"), "LowLevelCallable", ())):
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


def _checked(pointer, what):
    """Let the core look at the signature now rather than at first use."""
    tape = _constant_tape(1, [0.0])
    if what == "drift":
        _core.Model(1, 0, 0, 1, pointer.capsule, tape)
    else:
        _core.Model(1, 0, _KINDS[what][1], 1, tape, pointer.capsule)
    return pointer
