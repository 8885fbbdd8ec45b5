"""Estimators of rattling, slowly and readably: the twin of csrc/core/{estimate,bins}.c."""

import numpy as np
from scipy.special import digamma, polygamma

# --- the published estimator ------------------------------------------------------------


def windowed(x, dt, window, stride=1, displacement="sqrt-time"):
    """R of rows i ... i+w-2, w = int(window/dt), for i = 0, stride, ..."""
    width = int(window / dt)
    out = []
    for first in range(0, len(x) - width + 1, stride):
        rows = x[first : first + width - 1]
        if displacement == "sqrt-time":
            v = (rows - rows[0]) / np.sqrt(np.arange(1, len(rows) + 1) * dt)[:, None]
        else:
            v = np.diff(rows, axis=0) / np.sqrt(dt)
        c = np.atleast_2d(np.cov(v.T))
        out.append(0.5 * np.linalg.slogdet(c)[1])
    return np.array(out)


# --- bins -------------------------------------------------------------------------------


def log_det_law(dim, dof):
    """Bias and variance of half the log det of a sample covariance."""
    half = 0.5 * (dof - np.arange(dim))
    return 0.5 * (digamma(half).sum() + dim * np.log(2 / dof)), 0.25 * polygamma(1, half).sum()


def shares(times_a, lag_a, times_b, lag_b):
    """Correlation of increments that begin at the given times of one path."""
    begin = np.maximum.outer(times_a, times_b)
    end = np.minimum.outer(times_a + lag_a, times_b + lag_b)
    return np.clip(end - begin, 0, None) / np.sqrt(lag_a * lag_b)


def cell_of(point, grid):
    """Index of a point, or None outside."""
    index = []
    for axis, value in enumerate(point):
        edges = grid.edges(axis)
        if grid.boundary[axis][0] == "periodic":
            value = edges[0] + (value - edges[0]) % (edges[-1] - edges[0])
        if not edges[0] <= value <= edges[-1]:
            return None
        index.append(min(np.searchsorted(edges, value, side="right") - 1, grid.shape[axis] - 1))
    return tuple(index)


def bins(paths, dt, grid, lags=(1, 2), period=None):
    """{index of cell: dict}; paths (n_paths, n_times, dim)."""
    n_paths, n_times, dim = paths.shape
    steps = np.diff(paths, axis=1)
    for axis, length in enumerate(period if period is not None else np.zeros(dim)):
        if length > 0:
            steps[..., axis] -= length * np.round(steps[..., axis] / length)
    starts = {}
    for i in range(n_paths):
        for t in range(n_times - lags[-1]):
            starts.setdefault(cell_of(paths[i, t], grid), []).append((i, t))
    starts.pop(None, None)
    return {cell: one_cell(steps, np.array(where), dt, lags) for cell, where in starts.items()}


def one_cell(steps, where, dt, lags):
    n, dim = len(where), steps.shape[2]
    same_path = np.equal.outer(where[:, 0], where[:, 0])
    result = {"count": n, "rattling": np.nan, "stderr": np.nan}
    half_log_dets, variances, dofs = [], [], []
    for lag in lags:
        dx = np.array([steps[i, t : t + lag].sum(axis=0) for i, t in where])
        overlap = shares(where[:, 1], lag, where[:, 1], lag) * same_path
        worth = n**2 / np.sum(overlap**2)
        expected = n - overlap.sum() / n
        dof = expected * worth / n
        centred = dx - dx.mean(axis=0)
        c = centred.T @ centred / (expected * lag * dt) if expected > 0 else np.full((dim, dim), np.nan)
        if lag == lags[0]:
            result |= {"drift": dx.mean(axis=0) / (lag * dt), "covariance": c, "n_eff": worth}
        if n <= dim or dof < dim:
            return result
        bias, variance = log_det_law(dim, dof)
        half_log_dets.append(0.5 * np.linalg.slogdet(c)[1] - bias)
        variances.append(variance)
        dofs.append(dof)
    if len(lags) == 1:
        return result | {"rattling": half_log_dets[0], "stderr": np.sqrt(variances[0])}
    a, b = lags[1] / (lags[1] - lags[0]), -lags[0] / (lags[1] - lags[0])
    both = np.sum((shares(where[:, 1], lags[0], where[:, 1], lags[1]) * same_path) ** 2) / n**2
    rho = min(1.0, both * np.sqrt(dofs[0] * dofs[1]))
    variance = (
        a**2 * variances[0] + b**2 * variances[1] + 2 * a * b * rho * np.sqrt(variances[0] * variances[1])
    )
    return result | {"rattling": a * half_log_dets[0] + b * half_log_dets[1], "stderr": np.sqrt(variance)}
