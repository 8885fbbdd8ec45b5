"""Active particles; reached as ``rattling.systems.<name>``."""

from __future__ import annotations

import numpy as np

from rattling._checks import count, positive
from rattling.markov import Generator
from rattling.models import Model


def run_and_tumble(
    *, speed: object = lambda x: 1 + np.sin(x) / 2, tumbling: float = 1.0, length: float = 2 * np.pi, n: int = 200
) -> Generator:
    """A run-and-tumble particle on a ring, whose speed depends on where it is.

    dx/dt = ±v(x), the sign changes at rate α. p ∝ 1/v(x) for any α: the particle stays
    where it moves slowly. As a chain: n cells of centres x_i = (i + ½) L/n, jumps to the
    next cell in the particle's direction at rate v(x_i) n/L; the steady state of that
    chain is p ∝ 1/v(x_i) exactly.

    Parameters
    ----------
    speed : callable
        v of the centres, (n,) -> (n,), length/time, positive.
    tumbling : float
        α > 0, 1/time.
    length : float
        L > 0, of the ring.
    n : int
        Cells, at least 3.

    Returns
    -------
    Generator
        Of 2 n states: those that move up, in the order of x, then those that move down.

    References
    ----------
    M. J. Schnitzer, Phys. Rev. E 48, 2553 (1993); J. Tailleur & M. E. Cates, Phys. Rev.
    Lett. 100, 218103 (2008).
    """
    from scipy import sparse

    n = count("n", n, 3)
    length, tumbling = positive("length", length), positive("tumbling", tumbling)
    if not callable(speed):
        raise TypeError(f"speed must be a function of x, not {type(speed).__name__}")
    x = (np.arange(n) + 0.5) * length / n
    v = np.broadcast_to(np.asarray(speed(x), dtype=float), (n,))
    if not (np.isfinite(v) & (v > 0)).all():
        worst = int(np.argmin(np.where(np.isfinite(v), v, -np.inf)))
        raise ValueError(f"speed must be finite and positive; it is {v[worst]} at x = {x[worst]:.6g}")
    cell = np.arange(n)
    hop = v * n / length
    source = np.concatenate([cell, n + cell, cell, n + cell])
    target = np.concatenate([(cell + 1) % n, n + (cell - 1) % n, n + cell, cell])
    rates = np.concatenate([hop, hop, np.full(2 * n, tumbling)])
    return Generator.from_rates(sparse.coo_array((rates, (source, target)), shape=(2 * n, 2 * n)))


def active_ornstein_uhlenbeck(*, stiffness: float = 1.0, persistence: float = 1.0, diffusion: float = 1.0) -> Model:
    """An active Ornstein-Uhlenbeck particle in a harmonic trap.

    dx = (-k x + v) dt, dv = -v dt/τ + √(2D)/τ dW. Gaussian with ⟨x²⟩ = D/(k (1 + kτ)),
    ⟨xv⟩ = D/(1 + kτ), ⟨v²⟩ = D/τ. The noise acts on v alone, so R = -∞ in (x, v),
    and entropy production, which counts v as even under time reversal, is infinite.

    Parameters
    ----------
    stiffness : float
        k > 0, 1/time.
    persistence : float
        τ > 0, time.
    diffusion : float
        D > 0, of the particle at long times without the trap, length²/time.

    Returns
    -------
    Model

    References
    ----------
    É. Fodor et al., Phys. Rev. Lett. 117, 038103 (2016).
    """
    parameters = {
        "k": positive("stiffness", stiffness),
        "tau": positive("persistence", persistence),
        "D": positive("diffusion", diffusion),
    }
    return Model.from_sympy(["-k*x + v", "-v/tau"], [0, "D/tau**2"], variables="x v", parameters=parameters)
