"""Checks of numbers that several modules ask for."""

from __future__ import annotations

import math
import numbers

import numpy as np


def number(name, value):
    """A finite real number, as it came."""
    _check_kind(name, value, numbers.Real, "real")
    if not math.isfinite(value):
        raise ValueError(f"{name} must be finite; got {value!r}")
    return value


def positive(name, value):
    """A finite number > 0, as it came."""
    _check_kind(name, value, numbers.Real, "real")
    if not 0 < value < math.inf:
        raise ValueError(f"{name} must be positive{'' if math.isfinite(value) else ' and finite'}; got {value!r}")
    return value


def count(name, value, least, *, bits=None):
    """A whole number from ``least`` on, below 2**bits if that is given, as an int."""
    _check_kind(name, value, numbers.Integral, "whole")
    if value < least or (bits is not None and value >= 2**bits):
        limit = "" if bits is None else f" and below 2**{bits}"
        raise ValueError(f"{name} must be at least {least}{limit}; got {value!r}")
    return int(value)


def _check_kind(name, value, kind, word):
    """Arrays without axes are what they hold; truth values are no numbers."""
    held = value[()] if isinstance(value, np.ndarray) and value.ndim == 0 else value
    if isinstance(held, bool) or not isinstance(held, kind):
        raise TypeError(f"{name} must be a {word} number; got {value!r}")


def real_array(name, value):
    """A float64 array; complex numbers, text and objects are refused."""
    array = np.asarray(value)
    if array.dtype.kind not in "fiu":
        raise TypeError(f"{name} must be an array of real numbers, not of {array.dtype}")
    return array.astype(np.float64, copy=False)
