"""Driven and inertial systems; reached as ``rattling.systems.<name>``."""

from __future__ import annotations

from typing import Any

import numpy as np

from rattling._checks import count, number, positive
from rattling.maps import Map
from rattling.models import Model

_ANGLE = (0.0, 2 * np.pi, "periodic")


def kicked_rotor(*, strength: float = 5.0, damping: float = 0.0, noise: float = 0.0) -> Map:
    """A rotor that is kicked periodically: the standard map of Chirikov and Zaslavsky.

    p' = (1 - c) p + K sin θ + σ ξ, θ' = θ + p' mod 2π. The map contracts areas by 1 - c;
    without damping and for large K, p diffuses with ⟨Δp²⟩ ≈ K²/2 a kick, within a factor
    1 ± 2√(2/(πK)) that oscillates with K (Rechester & White 1980).

    Parameters
    ----------
    strength : float
        K.
    damping : float
        c, from 0 to 1.
    noise : float
        σ ≥ 0.

    Returns
    -------
    Map
        Of (θ, p).

    References
    ----------
    B. V. Chirikov, Phys. Rep. 52, 263 (1979); G. M. Zaslavsky, Phys. Lett. A 69, 145
    (1978); A. B. Rechester & R. B. White, Phys. Rev. Lett. 44, 1586 (1980).
    """
    damping = number("damping", damping)
    if not 0 <= damping <= 1:
        raise ValueError(f"damping must be between 0 and 1; got {damping}")
    parameters = {"K": number("strength", strength), "c": damping, "sigma": _amplitude(noise)}
    kicked = "(1 - c)*p + K*sin(theta)"
    return Map(
        [f"theta + {kicked}", kicked],
        [["sigma"], ["sigma"]],
        variables="theta p",
        boundary=[_ANGLE, None],
        parameters=parameters,
    )


def web_map(*, strength: float = 1.0, symmetry: int = 4, noise: float = 0.0) -> Map:
    """A kicked harmonic oscillator in resonance, whose chaos is a web of q-fold symmetry.

    (u, v) → rotation by 2π/q of (u + K sin v + σ ξ, v). It preserves areas; for large K
    the energy grows with ⟨Δ(u² + v²)⟩ ≈ K²/2 a kick, again with oscillations in K.

    Parameters
    ----------
    strength : float
        K.
    symmetry : int
        q, kicks in a period of the oscillator, at least 1.
    noise : float
        σ ≥ 0.

    Returns
    -------
    Map
        Of (u, v).

    References
    ----------
    G. M. Zaslavsky et al., Sov. Phys. JETP 64, 294 (1986).
    """
    angle = 2 * np.pi / count("symmetry", symmetry, 1)
    cosine, sine = np.cos(angle), np.sin(angle)
    if 4 % symmetry == 0:  # without rounding
        cosine, sine = np.round(cosine), np.round(sine)
    parameters = {"K": number("strength", strength), "a": cosine, "b": sine, "sigma": _amplitude(noise)}
    return Map(
        ["a*(u + K*sin(v)) + b*v", "-b*(u + K*sin(v)) + a*v"],
        [["a*sigma"], ["-b*sigma"]],
        variables="u v",
        parameters=parameters,
    )


def bouncing_ball(*, drive: float = 2.0, restitution: float = 0.5, noise: float = 0.0) -> Map:
    """A ball on a vibrating table, in the approximation of high bounces.

    φ' = φ + v mod 2π, v' = α v - γ cos(φ + v) + σ ξ, with the phase φ of the table at a
    bounce and the speed v after it. Areas shrink by α; bounces in step with the table, v
    = 2π n and cos φ = 2π n (α - 1)/γ, are fixed.

    Parameters
    ----------
    drive : float
        γ, the table's acceleration in suitable units.
    restitution : float
        α, from 0 to 1.
    noise : float
        σ ≥ 0.

    Returns
    -------
    Map
        Of (φ, v).

    References
    ----------
    P. J. Holmes, J. Sound Vib. 84, 173 (1982); J. Guckenheimer & P. Holmes, Nonlinear
    Oscillations, Dynamical Systems, and Bifurcations of Vector Fields (Springer, 1983),
    section 2.4.
    """
    restitution = number("restitution", restitution)
    if not 0 <= restitution <= 1:
        raise ValueError(f"restitution must be between 0 and 1; got {restitution}")
    parameters = {"g": number("drive", drive), "a": restitution, "sigma": _amplitude(noise)}
    return Map(
        ["phi + v", "a*v - g*cos(phi + v)"],
        [[0], ["sigma"]],
        variables="phi v",
        boundary=[_ANGLE, None],
        parameters=parameters,
    )


def underdamped(
    *, potential: object = "x**4/4 - x**2/2", friction: float = 1.0, temperature: float = 0.5, mass: float = 1.0
) -> Model:
    """A Brownian particle with inertia (Langevin, Kramers).

    dx = v dt, m dv = -(m γ v + U'(x)) dt + √(2 m γ T) dW. At a constant temperature the
    steady state is exp(-(m v²/2 + U)/T). The noise acts on v alone, so R = -∞ in (x, v).
    Entropy production counts v as even under time reversal and is infinite.

    Parameters
    ----------
    potential : expression
        U(x).
    friction : float
        γ > 0, 1/time.
    temperature : float or expression
        T, energy; one that depends on x keeps the particle from equilibrium.
    mass : float
        m > 0.

    Returns
    -------
    Model
        Of (x, v); its ``phi`` is known where T is a number.

    References
    ----------
    H. Risken, The Fokker-Planck Equation (Springer, 1989), chapter 10.
    """
    import sympy

    x, v = sympy.symbols("x v", real=True)
    gamma, m = positive("friction", friction), positive("mass", mass)
    well = sympy.sympify(potential, locals={"x": x})
    if isinstance(temperature, (str, sympy.Expr)):
        heat = sympy.sympify(temperature, locals={"x": x})
        drift = [v, -gamma * v - well.diff(x) / m]
        return Model.from_sympy(drift, [0, gamma * heat / m], variables=(x, v))
    heat = positive("temperature", temperature)
    energy = m * v**2 / 2 + well
    return Model.with_steady_state(energy / heat, [0, gamma * heat / m], -heat / m, variables=(x, v))


def _amplitude(noise: float) -> Any:
    noise = number("noise", noise)
    if noise < 0:
        raise ValueError(f"noise must not be negative; got {noise}")
    return noise
