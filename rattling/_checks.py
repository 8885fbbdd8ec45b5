"""Checks of numbers that several modules ask for."""

from __future__ import annotations

import math
import numbers
from typing import TYPE_CHECKING

import numpy as np

from rattling import _core

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import ArrayLike

    from rattling._typing import Seed


def number(name: str, value: float) -> float:
    """A finite real number, as it came."""
    _check_kind(name, value, numbers.Real, "real")
    if not math.isfinite(value):
        raise ValueError(f"{name} must be finite; got {value!r}")
    return value


def positive(name: str, value: float) -> float:
    """A finite number > 0, as it came."""
    _check_kind(name, value, numbers.Real, "real")
    if not 0 < value < math.inf:
        raise ValueError(f"{name} must be positive{'' if math.isfinite(value) else ' and finite'}; got {value!r}")
    return value


def count(name: str, value: int, least: int, *, bits: int | None = None) -> int:
    """A whole number from ``least`` on, below 2**bits if that is given, as an int."""
    _check_kind(name, value, numbers.Integral, "whole")
    if value < least or (bits is not None and value >= 2**bits):
        limit = "" if bits is None else f" and below 2**{bits}"
        raise ValueError(f"{name} must be at least {least}{limit}; got {value!r}")
    return int(value)


def read_threads(threads: int | None, *, bits: int | None = None) -> int:
    """As many as the process may use, where None is given."""
    return _core.cores() if threads is None else count("threads", threads, 1, bits=bits)


def _check_kind(name: str, value: object, kind: type, word: str) -> None:
    """Arrays without axes are what they hold; truth values are no numbers."""
    held = value[()] if isinstance(value, np.ndarray) and value.ndim == 0 else value
    if isinstance(held, bool) or not isinstance(held, kind):
        raise TypeError(f"{name} must be a {word} number; got {short(value)}")


def choice(name: str, value: str, allowed: Iterable[str]) -> str:
    """One of a few strings."""
    if not isinstance(value, str) or value not in allowed:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, allowed))}; got {value!r}")
    return value


def read_array(name: str, value: ArrayLike) -> np.ndarray:
    """An array of anything."""
    try:
        return np.asarray(value)
    except ValueError as error:
        if not isinstance(value, (list, tuple)):
            raise  # an array-like's own
        raise ValueError(f"{name} must be an array, but its rows have different lengths: {short(value)}") from error


_PARTS = {"log_p": "log_density", "volume": "volumes"}  # of results given in the place of arrays


def real_array(name: str, value: ArrayLike) -> np.ndarray:
    """A float64 array, perhaps a view; complex numbers, text and objects are refused."""
    array = read_array(name, value)
    if array.dtype.kind not in "fiu":
        plain = array.ndim > 0 or isinstance(value, np.ndarray | np.generic)
        what = f"of {array.dtype}" if plain else type(value).__name__
        part = _PARTS.get(name, name)
        hint = f"; give its .{part}" if not plain and hasattr(value, part) else ""
        raise TypeError(f"{name} must be an array of real numbers, not {what}{hint}")
    return array.astype(np.float64, copy=False)


def random_generator(rng: Seed) -> np.random.Generator:
    """`numpy.random.default_rng`, with the argument's name where it cannot be read."""
    try:
        return np.random.default_rng(rng)
    except (TypeError, ValueError) as error:
        raise type(error)(f"rng must be None, an int >= 0, a SeedSequence or a Generator; got {rng!r}") from error


def short(value: object) -> str:
    """repr, cut where it gets long; the shape of an array."""
    if isinstance(value, np.ndarray) and value.size > 4:
        return f"an array of shape {value.shape}"
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
