"""Chains whose states lie on a line.

The public names are in `rattling.systems`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rattling._checks import count, positive, real_array
from rattling.markov import Generator

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


def birth_death(birth: ArrayLike, death: ArrayLike) -> Generator:
    """A chain of n states on a line, with jumps to neighbours only.

    π(x+1)/π(x) = birth(x)/death(x), without any current.

    Parameters
    ----------
    birth : array_like, shape (n - 1,)
        Rate x -> x+1 for x = 0 .. n-2, 1/time; positive.
    death : array_like, shape (n - 1,)
        Rate x+1 -> x for x = 0 .. n-2, 1/time; positive.

    Returns
    -------
    Generator

    Raises
    ------
    ValueError
        For rates that are not positive and finite, or arrays of different length.

    Examples
    --------
    >>> from rattling import systems
    >>> systems.birth_death([1.0, 2.0], [3.0, 3.0]).n
    3
    """
    birth, death = (_rates(name, value) for name, value in (("birth", birth), ("death", death)))
    if len(birth) != len(death):
        raise ValueError(f"birth and death must have one length; got {len(birth)} and {len(death)}")
    from scipy import sparse

    return Generator.from_rates(sparse.diags_array([birth, death], offsets=[1, -1]))


def two_particles_on_ring(length: int, rate: float) -> Generator:
    """The gap between two particles on a ring, with rates exponential in it.

    The gap x, 0 .. L, shrinks at the rate λˣ and grows at λ^(L-x), in units of 1/time.
    Over the states, the correlation of -log π with the log of the exit rate tends to
    √15/4 for λ > 1, where the middle is likely, and to -√15/4 for λ < 1, as L grows; the
    latter slowly, for two states at the ends stand apart (-.84 at L = 400, λ = .9).

    Parameters
    ----------
    length : int
        L >= 2, the largest gap.
    rate : float
        λ > 0, with λᴸ within the range of floating-point numbers.

    Returns
    -------
    Generator
        Of L + 1 states.

    References
    ----------
    arXiv:2508.16497.
    """
    length = count("length", length, 2)
    rate = float(positive("rate", rate))
    if not abs(length * np.log(rate)) < 700:
        raise ValueError(f"rate to the power of length must be a floating-point number; got {rate!r} and {length!r}")
    gap = np.arange(length + 1.0)
    return birth_death(rate ** (length - gap[:-1]), rate ** gap[1:])


def follmer_kirman(n: int, epsilon: float, r: float) -> Generator:
    """Ants, or traders, that choose between two sources and recruit each other.

    Of N ants x are at one source: x -> x+1 at the rate ε(N-x) + r x(N-x)/(N-1),
    x -> x-1 at εx + r x(N-x)/(N-1). π is beta-binomial(a, a), a = ε(N-1)/r. For a < 1
    the ends are likely and left slowly; for a > 1 the middle is likely although it is
    left fastest: -log π and the log of the exit rate are then correlated almost
    perfectly, with the wrong sign.

    Parameters
    ----------
    n : int
        N >= 2.
    epsilon : float
        ε > 0, the rate at which an ant changes by itself, 1/time.
    r : float
        r > 0, the rate of recruitment, 1/time.

    Returns
    -------
    Generator
        Of N + 1 states.

    References
    ----------
    A. Kirman, Q. J. Econ. 108, 137 (1993).
    """
    n = count("n", n, 2)
    epsilon, r = float(positive("epsilon", epsilon)), float(positive("r", r))
    x = np.arange(n + 1.0)
    meetings = r * x * (n - x) / (n - 1)
    return birth_death((epsilon * (n - x) + meetings)[:-1], (epsilon * x + meetings)[1:])


def _rates(name: str, value: ArrayLike) -> np.ndarray:
    array = real_array(name, value)
    if array.ndim != 1 or array.size == 0:
        raise ValueError(f"{name} must be a line of at least one rate; got shape {array.shape}")
    wrong = ~((array > 0) & (array < np.inf))
    if wrong.any():
        k = int(np.argmax(wrong))
        raise ValueError(f"{name} must be positive and finite; it is {array[k]:g} at index {k}")
    return array.astype(float)
