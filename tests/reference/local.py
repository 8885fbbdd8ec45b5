"""Twin of csrc/core/local.c: local-linear regression at one point."""

import numpy as np
from scipy.special import digamma, polygamma


def rattling(paths, dt, x0, bandwidth, lags):
    """R and its standard error at x0; paths (n_paths, n_times, dim) that do not wrap."""
    n_paths, n_times, dim = paths.shape
    n_starts = n_times - lags[-1]
    u = (paths[:, :n_starts] - x0) / bandwidth
    w = np.maximum(1 - (u**2).sum(axis=-1), 0)
    b = np.concatenate([np.ones((*w.shape, 1)), u], axis=-1)
    S = np.einsum("ps,psi,psj->ij", w, b, b)
    inverse = np.linalg.inv(S)
    g = w * (b @ inverse[0])
    h = w * np.einsum("psi,ij,psj->ps", b, inverse, b)
    halves, variances = [], []
    for lag in lags:
        dx = paths[:, lag : lag + n_starts] - paths[:, :n_starts]
        fit = inverse @ np.einsum("ps,psi,psk->ik", w, b, dx)
        e = dx - b @ fit
        share = overlap(g, lag, lag)
        left = 1 - (g * h).sum() * share / (g**2).sum()
        C = np.einsum("ps,psi,psk->ik", g, e, e) / (left * lag * dt)
        dof = 1 / share - (dim + 1)
        half = (dof - np.arange(dim)) / 2
        halves.append(0.5 * np.linalg.slogdet(C)[1] - 0.5 * (digamma(half).sum() + dim * np.log(2 / dof)))
        variances.append(polygamma(1, half).sum() / 4)
    if len(lags) == 1:
        return halves[0], np.sqrt(variances[0])
    a, c = lags[1] / (lags[1] - lags[0]), lags[0] / (lags[1] - lags[0])
    cross = overlap(g, *lags) / np.sqrt(overlap(g, lags[0], lags[0]) * overlap(g, lags[1], lags[1]))
    variance = a**2 * variances[0] + c**2 * variances[1] - 2 * a * c * cross * np.sqrt(np.prod(variances))
    return a * halves[0] - c * halves[1], np.sqrt(variance)


def overlap(g, a, b):
    """sum over pairs of starts of g_s g_t corr(increments over a and b)^2"""
    total = 0.0
    for s in range(-max(a, b) + 1, max(a, b)):
        shared = max(min(a, s + b) - max(0, s), 0)
        n = g.shape[1] - abs(s)
        total += (g[:, :n] * g[:, abs(s) :]).sum() * shared**2 / (a * b)
    return total
