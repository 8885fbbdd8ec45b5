"""The covariance of errors of measurement that are the same everywhere."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from rattling._paths import Paths

_MOST_LAGS = 5
_NEAR = 0.85  # G(k) that is less, in units of G(0), is not used where it can be helped
_LEFT_OF_CHANGE = 0.75  # which stands for the error that is left


def noise_covariance(paths: Paths, lags: tuple[int, ...], n_blocks: int) -> np.ndarray:
    """The covariance S of errors of measurement that are the same everywhere, and the variances that they add
    to an extrapolation from `lags` to lag zero, in terms of variances of the diagonal of S: (dim + 1, dim).

    S is what the covariance of the states has above its extrapolation from those of states 1, 2, ... steps
    apart, G(k), whose N(k) = G(k + 1) G(k)^-1 is taken to change linearly with k: not at all where drift is
    linear. The variances are those of the jackknife over blocks, less what S has in common with the mean squares
    from which it is subtracted, and the square of three quarters of what that change does beyond twice its scatter.
    """
    most = max(k for k in range(_MOST_LAGS + 1) if paths.n_starts(k) >= 0.9 * paths.n_starts(3))
    apart = sorted({*range(most + 1), *lags})
    parts = [part for part in paths.blocks(n_blocks, apart[-1]) if len(part[0])]
    if most < 3 or not parts:
        raise ValueError(
            'noise="covariance" needs paths of at least four states; noise="local-covariance" of three'
        )
    middle = paths.starts(0).mean(axis=0)
    sums = np.array([_lagged_sums(paths, middle, apart, *part) for part in parts])
    total = sums.sum(axis=0)
    g = _lagged_covariances(total, paths.period)
    if (np.diagonal(g[most]) < _NEAR * np.diagonal(g[0])).any():  # steps are long
        most = 3
    noise, change = excess(g[: most + 1])
    weights = [math.prod(b / (b - a) for b in lags if b != a) / a for a in lags]  # of squares, at lag zero
    use, n = [apart.index(lag) for lag in lags], len(parts)
    without = np.empty((n, 3, paths.dim))
    for own, out in zip(sums, without, strict=True):
        g = _lagged_covariances(total - own, paths.period)
        squares = np.tensordot(weights, 2 * (g[0] - g[use]), 1)
        s, of_change = excess(g[: most + 1])
        out[:] = [np.diagonal(one) for one in (squares - 2 * sum(weights) * s, squares, of_change)]
    both, squares, of_change = (n - 1) ** 2 / n * without.var(axis=0, ddof=min(n - 1, 1))
    variance = np.maximum(both - squares, 0.0) / (2 * sum(weights)) ** 2
    return np.vstack([noise, variance + _LEFT_OF_CHANGE**2 * np.maximum(np.diagonal(change) ** 2 - 4 * of_change, 0.0)])


def _lagged_sums(paths: Paths, middle: np.ndarray, apart: list[int], begin: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Of the start, from `middle`, and of increments from it over k of `apart` but 0: number, sum, products with
    the start and with themselves, (len(apart), dim, 2 dim + 2)."""
    pieces, reach = paths.pieces(begin, end), apart[-1]
    start = np.concatenate([x[:-reach] for x in pieces]) - middle
    sums = np.empty((len(apart), paths.dim, 2 * paths.dim + 2))
    for k, out in zip(apart, sums, strict=True):
        moved = start
        if k > 0:
            moved = paths.shortest(np.concatenate([x[k : len(x) - reach + k] for x in pieces]) - middle - start)
        number = np.full(paths.dim, len(start))
        out[:] = np.column_stack([number, moved.sum(axis=0), moved.T @ start, moved.T @ moved])
    return sums


def _lagged_covariances(sums: np.ndarray, period: np.ndarray) -> np.ndarray:
    """G(k), (len(sums), dim, dim). On a ring, where covariances mean nothing, what those of stationary
    states would be, G(0) - G(k) being half the mean square."""
    number, total, dim = sums[0, 0, 0], sums[..., 1], len(period)
    with_start = (sums[..., 2 : 2 + dim] - total[:, :, None] * total[0] / number) / number
    square = (sums[..., 2 + dim :] - total[:, :, None] * total[:, None] / number) / number
    around = (period > 0)[:, None] | (period > 0)
    change = np.where(around, -0.5 * square, with_start)
    change[0] = 0.0
    g: np.ndarray = with_start[0] + change
    return g


def excess(g: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Covariance of the errors of states from G(k), and what the change of N(k) adds to it."""
    try:
        step = g[2:] @ np.linalg.inv(g[1:-1])
    except np.linalg.LinAlgError:
        raise ValueError('noise="covariance": the paths do not move along some axis') from None
    k = np.arange(1, len(step) + 1)
    line = np.linalg.pinv(np.column_stack([np.ones(len(k)), k]) / k[:, None])[0] / k  # its value at 0
    plain, bent = (np.linalg.solve(own, g[1]) for own in (step[0], np.tensordot(line, step, 1)))
    return g[0] - 0.5 * (bent + bent.T), 0.5 * (plain + plain.T - bent - bent.T)
