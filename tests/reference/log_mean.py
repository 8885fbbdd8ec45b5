"""Twin of csrc/core/log_mean.c: the second-order positive flux, on dense matrices."""

import numpy as np
from reference import steady


def log_mean(u, v):
    """(u - v) / log(u / v)"""
    return u if np.isclose(u, v, rtol=1e-9) else (u - v) / np.log(u / v)


def reweigh(W, free, p, threshold):
    """Rates of W times L(v_ab p_a, v_ba p_b) / L(w_ab p_a, w_ba p_b); ``free`` holds v."""
    new = np.zeros_like(W)
    for b, a in zip(*np.nonzero(W), strict=True):
        if a == b:
            continue
        m = 1.0
        if min(p[a], p[b]) >= threshold:
            m = log_mean(free[b, a] * p[a], free[a, b] * p[b]) / log_mean(W[b, a] * p[a], W[a, b] * p[b])
        new[b, a] = W[b, a] * m
    return new - np.diag(new.sum(axis=0))


def solve(W, free, rounds=60):
    """Steady probabilities of the log-mean flux: reweigh and solve until nothing changes."""
    p = steady.gth(W)
    threshold = 1e-4 * p.max()
    for _ in range(rounds):
        last, p = p, steady.gth(reweigh(W, free, p, threshold))
        if np.abs(p - last).sum() < 1e-12:
            return p
    raise RuntimeError("the twin did not settle")
