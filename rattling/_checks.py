"""Checks of numbers that several modules ask for."""

from __future__ import annotations

import numbers

import numpy as np


def number(name, value):
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(f"{name} must be a real number; got {value!r}")
    if not np.isfinite(float(value)):
        raise ValueError(f"{name} must be finite; got {value!r}")
    return value


def positive(name, value):
    if not number(name, value) > 0:
        raise ValueError(f"{name} must be positive; got {value!r}")
    return value


def count(name, value, least):
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise TypeError(f"{name} must be a whole number; got {value!r}")
    if value < least:
        raise ValueError(f"{name} must be at least {least}; got {value!r}")
    return int(value)
