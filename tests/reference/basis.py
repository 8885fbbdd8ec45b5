"""Twin of csrc/core/basis.c: regression on all monomials up to a degree, by the normal equations."""

import itertools

import numpy as np
from reference.estimate import conclude, needed, terms_of
from reference.local import binned


def monomials(u, degree):
    """All products of powers of total degree at most `degree`, and their slopes along each axis."""
    dim = u.shape[1]
    powers = [p for p in itertools.product(range(degree + 1), repeat=dim) if sum(p) <= degree]
    b = np.array([np.prod(u**p, axis=1) for p in powers]).T
    slopes = []
    for k in range(dim):
        lower = [tuple(e - (j == k) for j, e in enumerate(p)) for p in powers]
        slopes.append(
            np.array(
                [p[k] * np.prod(u ** np.maximum(q, 0), axis=1) for p, q in zip(powers, lower, strict=True)]
            ).T
        )
    return b, slopes


def rattling(paths, dt, x0, width, lags, degree, noise="none", known=None):
    """R, its error, n_eff and C at x0; paths (n_paths, n_times, dim), summed over cells of `width`."""
    terms = terms_of(lags, noise)
    every = needed(terms, noise)
    n_starts, dim = paths.shape[1] - every[-1], paths.shape[2]
    starts = paths[:, :n_starts].reshape(-1, dim)
    dx = {lag: (paths[:, lag : lag + n_starts] - paths[:, :n_starts]).reshape(-1, dim) for lag in every}
    n, where, means, squares, quartic = binned(starts, dx, width)
    centre, scale = starts.mean(axis=0), starts.std(axis=0)
    b, slopes = monomials((where - centre) / scale, degree)
    at, slopes_at = monomials((np.atleast_2d(x0) - centre) / scale, degree)
    at = at[0]
    g = b @ np.linalg.solve(np.einsum("c,ci,cj->ij", n, b, b), at)
    gradient = [
        slope @ np.linalg.solve(np.einsum("c,ci,cj->ij", n, b, b), at) / s
        for slope, s in zip(slopes, scale, strict=True)
    ]
    share = n @ g**2
    square = {lag: np.einsum("c,cij->ij", n * g, squares[lag]) for lag in every}
    first = np.diagonal(square[every[0]])
    spread = np.array([share / (n @ d**2) / 2 if d.any() else np.inf for d in gradient])
    place = {
        "time": {lag: lag * dt for lag in every},
        "mean": {lag: (n * g) @ means[lag] for lag in every},
        "square": square,
        "share": share,
        "rho": lambda k: np.prod(1 + k * first / every[0] / (2 * spread)) ** -0.5,
    }
    db = np.array([slope[0] / s for slope, s in zip(slopes_at, scale, strict=True)]).T
    along = b @ np.linalg.solve(np.einsum("c,ci,cj->ij", n, b, b), db)
    place["slope"] = {lag: means[lag].T @ (n[:, None] * along) for lag in every}
    place["slope_share"] = along.T @ (n[:, None] * along)
    unequal = np.mean((n * g**2) @ quartic / (3 * share * first**2))
    return conclude(place, terms, dim, unequal, known)
