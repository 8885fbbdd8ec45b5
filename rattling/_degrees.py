"""Degrees of polynomials, and one estimate from regressions on bases of rising degree."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from rattling._checks import count

if TYPE_CHECKING:
    from rattling._paths import Paths

_AGREEMENT = 3.5
_MOST_TERMS = 128
Test = tuple[np.ndarray, np.ndarray, int]  # R and its variance at starts; new terms of the highest degree


def _disagreement(low: Test, high: Test) -> float:
    """Mean of (R' - R)^2/(V' - V) over points: 1 on average where the lower degree is enough, but up to 2 where the
    drift varies much."""
    ratio = (high[0] - low[0]) ** 2 / np.maximum(high[1] - low[1], 0.1 * high[1])
    return np.nanmean(ratio) if np.isfinite(ratio).any() else 0.0


def agree(tests: list[Test]) -> bool:
    """Do the last two agree with the one before?"""
    return len(tests) > 2 and max(_disagreement(tests[-3], other) for other in tests[-2:]) < _AGREEMENT


def weights_of(tests: list[Test]) -> np.ndarray:
    """Weights of fits of rising degree: of what each changes, all is kept but for the inverse of the disagreement,
    which must not rise with the degree."""
    from scipy.optimize import isotonic_regression

    ratios = [_disagreement(*pair) for pair in itertools.pairwise(tests)]
    if ratios:
        ratios = isotonic_regression(ratios, weights=[test[2] for test in tests[1:]], increasing=False).x
    kept = [1.0, *(1 - 1 / np.maximum(ratios, 1.0)), 0.0]
    return np.trim_zeros(-np.diff(kept), "b")


def mean_of_fits(fits: list[tuple[np.ndarray, ...]], weights: np.ndarray) -> tuple[np.ndarray, ...]:
    """Weighted means of what several fits say, of the errors of R in squares; NaN where that is so of fits
    of half of the weight."""
    means = []
    for values in map(np.array, zip(*((r, error**2, *rest) for r, error, *rest in fits), strict=True)):
        weight = np.isfinite(values) * weights.reshape(-1, *[1] * (values.ndim - 1))
        total = weight.sum(axis=0)
        mean = np.sum(np.where(weight > 0, values, 0.0) * weight, axis=0) / np.maximum(total, 0.5)
        means.append(np.where(total > 0.5, mean, np.nan))
    return means[0], np.sqrt(means[1]), *means[2:]


def most_degree(paths: Paths) -> int:
    """Largest degree of a basis of at most _MOST_TERMS terms; sines and cosines are twice as many."""
    degree, around = 0, int((paths.period > 0).sum())
    while degree < 12 and math.comb(paths.dim + degree + 1, paths.dim) * 2**around <= _MOST_TERMS:
        degree += 1
    return degree


def read_degree(degree: int | None, method: str, paths: Paths) -> Any:
    dim = paths.dim
    if degree is None:
        return {"basis": None, "knn": 1 if dim <= 3 else 0}.get(method, 2 if dim <= 4 else 1)
    local = 2 if dim <= 8 else 1
    least, most = {"basis": (0, most_degree(paths)), "knn": (0, local)}.get(method, (1, local))
    if count("degree", degree, least) > most:
        raise ValueError(
            f"degree must be {least} to {most} for method {method!r} in {dim} dimensions; got {degree}"
        )
    return int(degree)
