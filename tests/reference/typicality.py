"""Typicality scores, slowly and readably: the twin of csrc/core/{typicality,family,ranks}.c."""

import numpy as np


def log_sum_exp(a):
    top = a.max()
    return top + np.log(np.sum(np.exp(a - top)))


def covariance(a, b, w):
    return np.sum(w * (a - np.sum(w * a)) * (b - np.sum(w * b)))


def correlation(a, b, w):
    return covariance(a, b, w) / np.sqrt(covariance(a, a, w) * covariance(b, b, w))


def mid_ranks(x, w):
    """Weight below, plus half the weight of what is equal."""
    return np.array([w[x < value].sum() + 0.5 * w[x == value].sum() for value in x])


def slope_and_stderr(r, y, w, s2=None):
    """Slope of y on r, corrected for the variances s2 of the errors of r."""
    known = np.zeros(len(r)) if s2 is None else s2
    dr, dy = r - np.sum(w * r), y - np.sum(w * y)
    spread = np.sum(w * dr**2) - np.sum(w * known)
    slope = np.sum(w * dr * dy) / spread
    misfit = dy - slope * dr
    n = np.count_nonzero(w)
    if s2 is None and np.ptp(w) == 0:
        variance = np.mean(misfit**2) / ((n - 2) * spread)
    else:
        psi = w * (dr * misfit + slope * known)
        variance = np.sum(psi**2) / spread**2 * n / (n - 2)
    return slope, np.sqrt(variance)


def log_member(r, volume, gamma):
    """log of the density exp(-gamma R) / Z."""
    return -gamma * r - log_sum_exp(-gamma * r + np.log(volume))


def gamma_kl(log_density, r, volume):
    """Bisection for <R>_p = <R>_{p_gamma}; the right side decreases with gamma."""

    def mean(log_q):
        return np.sum(volume * np.exp(log_q) * (r - r.mean()))

    def excess(gamma):
        return mean(log_member(r, volume, gamma)) - mean(log_density)

    low, high = -1.0, 1.0
    while excess(low) < 0:
        low *= 2
    while excess(high) > 0:
        high *= 2
    for _ in range(200):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if excess(middle) > 0 else (low, middle)
    return 0.5 * (low + high)


def divergence(log_p, log_q, volume):
    return np.sum(volume * np.exp(log_p) * (log_p - log_q))


def typicality(log_p, r, volume=None, weights="uniform", stderr=None):
    """Scores by name, and the residual."""
    used = np.isfinite(log_p) & np.isfinite(r)
    volume = np.ones(used.sum()) if volume is None else volume[used]
    y, r_used = log_p[used], r[used]
    log_density = y - log_sum_exp(y + np.log(volume))
    p = volume * np.exp(log_density)
    if isinstance(weights, str):
        w = np.full(len(y), 1 / len(y)) if weights == "uniform" else p
    else:
        w = weights[used] / weights[used].sum()
    slope, error = slope_and_stderr(r_used, y, w, None if stderr is None else stderr[used] ** 2)
    best = gamma_kl(log_density, r_used, volume)
    log_q = log_member(r_used, volume, best)
    log_uniform = np.full(len(y), -np.log(volume.sum()))
    kl, kl_uniform = divergence(log_density, log_q, volume), divergence(log_density, log_uniform, volume)
    residual = np.full(r.shape, np.nan)
    misfit = y - slope * r_used
    residual[used] = misfit - np.sum(w * misfit)
    return {
        "gamma": -slope,
        "gamma_stderr": error,
        "gamma_kl": best,
        "correlation": -correlation(y, r_used, w),
        "spearman": -correlation(mid_ranks(y, w), mid_ranks(r_used, w), w),
        "kl": kl,
        "kl_uniform": kl_uniform,
        "kl_explained": 1 - kl / kl_uniform,
        "total_variation": 0.5 * np.sum(np.abs(p - volume * np.exp(log_q))),
        "n_used": int(used.sum()),
        "residual": residual,
    }
