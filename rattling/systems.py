"""Systems to start from: each function returns a Model or, for chains, a Generator.

Time and length are in the units in which the parameters are given; temperatures and
diffusions are length²/time (mobility 1). Where p_ss is known in closed form the model has
it as ``phi`` and ``exact_log_density``. `default_grid` gives a box that holds the system.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import numpy as np

from rattling._checks import choice as _choice
from rattling._checks import number as _number
from rattling._checks import positive as _positive
from rattling.active_systems import active_ornstein_uhlenbeck, run_and_tumble
from rattling.chain_systems import birth_death, follmer_kirman, two_particles_on_ring
from rattling.driven_systems import bouncing_ball, kicked_rotor, underdamped, web_map
from rattling.grids import Grid
from rattling.models import Model
from rattling.random_systems import random_diffusion, random_force, random_rates, sk_spins, wells_barriers_forces

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import ArrayLike
    from sympy import Expr, Matrix

__all__ = [
    "active_ornstein_uhlenbeck",
    "birth_death",
    "bouncing_ball",
    "brownian_gyrator",
    "brusselator",
    "default_grid",
    "double_well",
    "follmer_kirman",
    "hot_spot_double_well",
    "kicked_rotor",
    "list",
    "ornstein_uhlenbeck",
    "random_diffusion",
    "random_force",
    "random_rates",
    "ring",
    "run_and_tumble",
    "sk_spins",
    "stuart_landau",
    "two_particles_on_ring",
    "underdamped",
    "vortex_double_well",
    "web_map",
    "wells_barriers_forces",
]

# bounds of one axis or of all, and the boundary
_BOXES = {
    "brownian_gyrator": ([(-6.0, 6.0)] * 2, "reflecting"),
    "brusselator": ([(0.05, 6.05), (0.05, 6.05)], "reflecting"),
    "double_well": ([(-2.2, 2.2)], "reflecting"),
    "hot_spot_double_well": ([(-2.2, 2.2)], "reflecting"),
    "ornstein_uhlenbeck": ([(-6.0, 6.0)] * 2, "reflecting"),
    "random_diffusion": ([(0.0, 2 * np.pi)] * 2, "periodic"),
    "random_force": ([(0.0, 2 * np.pi)] * 2, "periodic"),
    "ring": ([(0.0, 2 * np.pi)], "periodic"),
    "stuart_landau": ([(-3.0, 3.0)] * 2, "reflecting"),
    "vortex_double_well": ([(-2.0, 2.0)] * 2, "reflecting"),
}


def default_grid(system: Callable[..., object] | str, shape: int | Sequence[int]) -> Grid:
    """The grid on which a system is usually solved.

    Parameters
    ----------
    system : function or str
        One of this module, or its name.
    shape : int or sequence of int
        Cells along each axis.

    Returns
    -------
    Grid
        For the default parameters p_ss is negligible at the walls, except where the
        walls are part of the system.

    Raises
    ------
    ValueError
        For a system that has no usual box.

    Examples
    --------
    >>> from rattling import systems
    >>> systems.default_grid("ring", 4)
    Grid([(0.0, 6.283185307179586)], (4,), boundary=[('periodic', 'periodic')])
    """
    name: Any = getattr(system, "__name__", system)
    _choice("system", name, _BOXES)
    bounds, boundary = _BOXES[name]
    return Grid(bounds, shape, boundary)


# --- linear -----------------------------------------------------------------------------


def ornstein_uhlenbeck(*, relaxation: ArrayLike = ((1.0, -1.0), (1.0, 1.0)), diffusion: ArrayLike = 1.0) -> Model:
    """Linear relaxation with constant noise, dx = -B x dt + √(2D) dW.

    p_ss is Gaussian with the covariance Σ of BΣ + ΣBᵀ = 2D. The current is
    J = (DΣ⁻¹ - B) x p and the entropy production σ = tr[BᵀD⁻¹(BΣ - D)]. R is constant, so
    correlations of log p with R are undefined.

    Parameters
    ----------
    relaxation : float or array_like, shape (dim, dim)
        B, 1/time; its eigenvalues have positive real parts.
    diffusion : float or array_like, shape (dim,) or (dim, dim)
        D, length²/time; symmetric, positive definite.

    Returns
    -------
    Model
        Variables x, y, z, or x0, x1, ... in more than three dimensions.

    Raises
    ------
    ValueError
        For matrices of other shapes, an unstable B, or a D that is not positive definite.

    References
    ----------
    H. Risken, The Fokker-Planck Equation (1989), section 6.5.
    """
    import sympy

    b = _matrix("relaxation", np.atleast_2d(np.asarray(relaxation, dtype=float)))
    dim = len(b)
    d = np.asarray(diffusion, dtype=float)
    d = _matrix("diffusion", d * np.eye(dim) if d.ndim == 0 else np.diag(d) if d.ndim == 1 else d)
    if d.shape != b.shape:
        raise ValueError(f"diffusion must fit relaxation, which is {dim} by {dim}; got {d.shape}")
    if np.linalg.eigvals(b).real.min() <= 0:
        raise ValueError(f"relaxation must have eigenvalues with positive real parts; got {b.tolist()}")
    if np.any(d != d.T) or np.linalg.eigvalsh(d).min() <= 0:
        raise ValueError(f"diffusion must be symmetric and positive definite; got {d.tolist()}")
    # in exact arithmetic the drift of with_steady_state is -B x to the letter
    b, d = (sympy.Matrix(dim, dim, [_exact(value) for value in m.ravel()]) for m in (b, d))
    covariance = _lyapunov(b, d)
    names = ("x", "y", "z")[:dim] if dim <= 3 else tuple(f"x{k}" for k in range(dim))
    x = sympy.Matrix(sympy.symbols(names, real=True))
    phi = sympy.expand((x.T * covariance.inv() * x)[0] / 2)
    return Model.with_steady_state(phi, d, b * covariance - d, variables=names)


def brownian_gyrator(*, stiffness: float = 1.0, coupling: float = 0.5, temperatures: Sequence[float] = (0.5, 1.5)) -> Model:
    """Two coupled coordinates at two temperatures.

    dx = (-k x + u y) dt + √(2T₁) dW₁,  dy = (u x - k y) dt + √(2T₂) dW₂.
    It gyrates when T₁ ≠ T₂; σ = u²(T₁ - T₂)²/(2 k T₁ T₂).

    Parameters
    ----------
    stiffness : float
        k > |u|, 1/time.
    coupling : float
        u, 1/time.
    temperatures : (float, float)
        T₁, T₂ > 0, length²/time.

    Returns
    -------
    Model

    References
    ----------
    R. Filliger & P. Reimann, Phys. Rev. Lett. 99, 230602 (2007).
    """
    k, u = _number("stiffness", stiffness), _number("coupling", coupling)
    if not k > abs(u):
        raise ValueError(f"stiffness must be larger than the size of coupling; got {stiffness!r} and {coupling!r}")
    if np.shape(temperatures) != (2,):
        raise ValueError(f"temperatures must be two numbers; got {temperatures!r}")
    t = [_positive("temperatures", value) for value in temperatures]
    return ornstein_uhlenbeck(relaxation=[[k, -u], [-u, k]], diffusion=t)


# --- one dimension ----------------------------------------------------------------------


def double_well(*, height: float = 1.0, diffusion: float = 0.2) -> Model:
    """A particle in V(x) = h (x² - 1)² at one temperature: dx = -V' dt + √(2D) dW.

    p_ss ∝ exp(-V/D), without any current. R is constant.

    Parameters
    ----------
    height : float
        h > 0, the barrier between the wells at ±1, length²/time.
    diffusion : float
        D > 0, length²/time.

    Returns
    -------
    Model
    """
    values = {"height": _positive("height", height), "diffusion": _positive("diffusion", diffusion)}
    return Model.with_steady_state("height*(x**2 - 1)**2/diffusion", "diffusion", variables="x", parameters=values)


def hot_spot_double_well(
    *,
    height: float = 1.0,
    temperature: float = 0.2,
    heat: float = 4.0,
    position: float = 0.5,
    width: float = 0.15,
    interpretation: str = "ito",
) -> Model:
    """Landauer's blowtorch: a double well with a hot spot between its wells.

    dx = -V' dt + √(2T(x)) ∘ dW,  V = h (x² - 1)²,
    T = T₀ [1 + A exp(-(x - x_h)²/2w²)].
    Heat on the way between the wells decides which of them is occupied, although both
    have one energy and one temperature: p_ss is not a function of the local V and T.

    Parameters
    ----------
    height : float
        h > 0, length²/time.
    temperature : float
        T₀ > 0 away from the spot, length²/time.
    heat : float
        A > -1; 0 is the double well at one temperature.
    position, width : float
        x_h and w > 0, lengths.
    interpretation : {"ito", "stratonovich", "anti-ito"}

    Returns
    -------
    Model

    References
    ----------
    R. Landauer, Phys. Rev. A 12, 636 (1975). C. Maes & K. Netočný, Ann. Henri Poincaré 14,
    1193 (2013), arXiv:1207.1122.
    """
    heat = _number("heat", heat)
    if heat <= -1:
        raise ValueError(f"heat must be larger than -1, so that the temperature is positive; got {heat!r}")
    values = {
        "height": _positive("height", height),
        "T0": _positive("temperature", temperature),
        "A": heat,
        "x_h": _number("position", position),
        "w": _positive("width", width),
    }
    return Model.from_sympy(
        "-4*height*x*(x**2 - 1)",
        "T0*(1 + A*exp(-(x - x_h)**2/(2*w**2)))",
        variables="x",
        interpretation=interpretation,
        parameters=values,
    )


def ring(
    *, force: float = 1.0, ripple: float = 1.5, diffusion: float = 0.5, modulation: float = 0.3, interpretation: str = "ito"
) -> Model:
    """A driven particle on the circle, with noise that depends on the angle.

    dx = (F₀ + F₁ sin x) dt + √(2D(x)) ∘ dW,  D = D₀ + D₁ cos x,  0 ≤ x < 2π.

    Parameters
    ----------
    force, ripple : float
        F₀ and F₁, 1/time.
    diffusion, modulation : float
        D₀ > |D₁|, 1/time.
    interpretation : {"ito", "stratonovich", "anti-ito"}

    Returns
    -------
    Model

    References
    ----------
    H. Risken, The Fokker-Planck Equation (1989), chapter 11.
    """
    values = {
        "F0": _number("force", force),
        "F1": _number("ripple", ripple),
        "D0": _positive("diffusion", diffusion),
        "D1": _number("modulation", modulation),
    }
    if not values["D0"] > abs(values["D1"]):
        raise ValueError(f"diffusion must be larger than the size of modulation; got {diffusion!r}, {modulation!r}")
    return Model.from_sympy(
        "F0 + F1*sin(x)", "D0 + D1*cos(x)", variables="x", interpretation=interpretation, parameters=values
    )


# --- two dimensions ---------------------------------------------------------------------


def stuart_landau(*, mu: float = 1.0, omega: float = 1.0, diffusion: float = 0.25) -> Model:
    """The normal form of a limit cycle, with noise.

    dx = [x (μ - r²) - ω y] dt + √(2D) dW₁,  dy = [y (μ - r²) + ω x] dt + √(2D) dW₂.
    p_ss ∝ exp[-(r⁴/4 - μr²/2)/D], the current J = ω r p along the angle, σ = ω²⟨r²⟩/D.

    Parameters
    ----------
    mu : float
        μ, 1/time; the cycle has radius √μ for μ > 0.
    omega : float
        ω, 1/time.
    diffusion : float
        D > 0, length²/time.

    Returns
    -------
    Model

    References
    ----------
    H. Risken, The Fokker-Planck Equation (1989), chapter 12 (the laser with noise).
    """
    values = {
        "mu": _number("mu", mu),
        "omega": _number("omega", omega),
        "diffusion": _positive("diffusion", diffusion),
    }
    model = Model.from_sympy(
        ["x*(mu - x**2 - y**2) - omega*y", "y*(mu - x**2 - y**2) + omega*x"],
        "diffusion",
        variables="x y",
        parameters=values,
    )
    return _know(model, "((x**2 + y**2)**2/4 - mu*(x**2 + y**2)/2)/diffusion")


def brusselator(*, a: float = 1.0, b: float = 1.5, size: float = 100.0) -> Model:
    """The Brusselator as a chemical Langevin equation.

    Reactions in a volume Ω: ∅ → X at the rate a, X → ∅ at x, X → Y at b x, and
    2X + Y → 3X at x²y, so that

    f = (a - (b+1) x + x²y, b x - x²y),
    D_xx = (a + (b+1) x + x²y)/2Ω,  D_yy = (b x + x²y)/2Ω,  D_xy = -D_yy.

    The fixed point (a, b/a) is stable for b < 1 + a²; beyond it there is a limit cycle.
    Near the fixed point p_ss is Gaussian, with the covariance Σ of BΣ + ΣBᵀ = 2D,
    B = [[1 - b, -a²], [b, a²]].

    Parameters
    ----------
    a, b : float
        a, b > 0, in units of the rate X → ∅ and the concentration scale.
    size : float
        Ω > 0, molecules per unit of concentration.

    Returns
    -------
    Model
        With a full diffusion tensor, for x, y > 0.

    References
    ----------
    D. T. Gillespie, J. Chem. Phys. 113, 297 (2000). I. Prigogine & R. Lefever, J. Chem.
    Phys. 48, 1695 (1968).
    """
    values = {"a": _positive("a", a), "b": _positive("b", b), "Omega": _positive("size", size)}
    return Model.from_sympy(
        ["a - (b + 1)*x + x**2*y", "b*x - x**2*y"],
        [
            ["(a + (b + 1)*x + x**2*y)/(2*Omega)", "-(b*x + x**2*y)/(2*Omega)"],
            ["-(b*x + x**2*y)/(2*Omega)", "(b*x + x**2*y)/(2*Omega)"],
        ],
        variables="x y",
        parameters=values,
    )


def vortex_double_well(
    *, gamma: float = 1.5, hidden: float = 0.7, circulation: float = 1.0, temperature: float = 0.25, contrast: float = 3.0
) -> Model:
    """Two quiet places in a noisy plane, and a current that circles around both.

    D_x = T [1 + b ((x² - 1)² + y²)],  D_y = T [1 + b ((x² - 1)²/2 + y²)],
    φ = γ R + h sin(1.3 x + 0.7 y),  R = ½ log 4 D_x D_y,
    A_xy = c (1 - x²/4)(1 - y²/4), in the box |x| < 2, |y| < 2 with reflecting walls.
    The drift is the one for which p_ss ∝ exp(-φ) (`Model.with_steady_state`): the law
    p ∝ exp(-γR)/Z holds up to the term with h, however strong the current. That term is
    odd and R is even in x, so that it does not change the slope of log p on R.

    Parameters
    ----------
    gamma : float
        γ; without drift it is about 1.1 (2/d = 1 if D were isotropic).
    hidden : float
        h, what R does not know; with the default the correlation is about 0.9.
    circulation : float
        c, length²/time; 0 is equilibrium.
    temperature : float
        T > 0, the diffusion at the quiet places (±1, 0), length²/time.
    contrast : float
        b >= 0, how much the noise grows away from there.

    Returns
    -------
    Model

    References
    ----------
    P. Chvykov et al., Science 371, 90 (2021), for the law. Y.-A. Ma, T. Chen & E. Fox,
    Advances in Neural Information Processing Systems 28 (2015), for the construction.
    """
    values = {
        "gamma": _number("gamma", gamma),
        "h": _number("hidden", hidden),
        "c": _number("circulation", circulation),
        "T": _positive("temperature", temperature),
        "b": _number("contrast", contrast),
    }
    if values["b"] < 0:
        raise ValueError(f"contrast must not be negative; got {contrast!r}")
    noise = ["T*(1 + b*((x**2 - 1)**2 + y**2))", "T*(1 + b*((x**2 - 1)**2/2 + y**2))"]
    return Model.with_steady_state(
        f"gamma*log(4*({noise[0]})*({noise[1]}))/2 + h*sin((13*x + 7*y)/10)",
        noise,
        "c*(1 - x**2/4)*(1 - y**2/4)",
        variables="x y",
        parameters=values,
    )


# --- helpers ----------------------------------------------------------------------------


def _matrix(name: str, value: np.ndarray) -> np.ndarray:
    if value.ndim != 2 or value.shape[0] != value.shape[1] or value.size == 0:
        raise ValueError(f"{name} must be a square matrix; got shape {value.shape}")
    if not np.isfinite(value).all():
        raise ValueError(f"{name} must be finite; got {value.tolist()}")
    return value


def _exact(value: float) -> Expr:
    """The shortest decimal that is this float, as a fraction."""
    import sympy

    return sympy.Rational(repr(float(value)))


def _lyapunov(b: Matrix, d: Matrix) -> Matrix:
    """Σ of BΣ + ΣBᵀ = 2D in exact arithmetic."""
    import sympy

    dim = b.shape[0]
    sigma = sympy.Matrix(dim, dim, lambda i, j: sympy.Symbol(f"s_{min(i, j)}_{max(i, j)}"))
    unknown = sorted(sigma.free_symbols, key=str)
    (solution,) = sympy.linsolve([*(b * sigma + sigma * b.T - 2 * d)], unknown)
    return sigma.subs(dict(zip(unknown, solution, strict=True)))


def _know(model: Model, phi: object) -> Model:
    """Give a symbolic model the φ of its known steady state."""
    parts: Any = model._parts  # of symbols
    parts.phi = parts.names.read(phi, "phi")
    return model


# --- the list -----------------------------------------------------------------------------


class SystemTable(tuple[tuple[str, str, tuple[str, ...], str], ...]):
    """The systems as (name, kind, parameters, first line of the docstring); prints as a
    table."""

    def __repr__(self) -> str:
        head = ("name", "gives", "parameters", "what")
        rows = [head, *((name, kind, ", ".join(parameters), what) for name, kind, parameters, what in self)]
        widths = [max(len(row[k]) for row in rows) for k in range(4)]
        lines = ["  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in rows]
        return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:]])

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td>{name}</td><td>{kind}</td><td>{', '.join(parameters)}</td><td>{what}</td></tr>"
            for name, kind, parameters, what in self
        )
        return f"<table><tr><th>name</th><th>gives</th><th>parameters</th><th>what</th></tr>{rows}</table>"


def list() -> SystemTable:  # noqa: A001 (systems.list is the public name)
    """All systems, as a table.

    Returns
    -------
    SystemTable
        A tuple of (name, "Model" or "Generator" or what it gives, parameters, what it is).

    Examples
    --------
    >>> from rattling import systems
    >>> [name for name, *_ in systems.list()][:3]
    ['active_ornstein_uhlenbeck', 'birth_death', 'bouncing_ball']
    """
    rows = []
    for name in __all__:
        if name in ("default_grid", "list"):
            continue
        function = globals()[name]
        doc = inspect.getdoc(function) or ""
        kind = doc.split("Returns\n-------\n", 1)[1].split("\n", 1)[0]
        rows.append((name, kind, tuple(inspect.signature(function).parameters), doc.split("\n", 1)[0]))
    return SystemTable(rows)
