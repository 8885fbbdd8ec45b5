"""Twin of csrc/core/local_fit.c: local polynomial regression at one point, one bandwidth."""

import numpy as np
from reference.estimate import conclude, needed, terms_of


def binned(starts, dx, width):
    """Over cells, the first start in the middle of one: count, mean start, mean increments, squares and fourth powers {lag: ...}."""
    _, which, n = np.unique(np.floor((starts - starts[0]) / width + 0.5), axis=0, return_inverse=True, return_counts=True)
    which = which.ravel()

    def mean(values):
        flat = values.reshape(len(values), -1)
        sums = np.stack([np.bincount(which, column) for column in flat.T], axis=1)
        return (sums / n[:, None]).reshape(-1, *values.shape[1:])

    return (
        n,
        mean(starts),
        {lag: mean(d) for lag, d in dx.items()},
        {lag: mean(d[:, :, None] * d[:, None, :]) for lag, d in dx.items()},
        mean(dx[min(dx)] ** 4),
    )


def basis(u, degree):
    """Monomials, and their slopes along each axis."""
    n, dim = u.shape
    b = [np.ones(n)]
    slopes = [[np.zeros(n)] for k in range(dim)]
    if degree >= 1:
        b += [*u.T]
        for k in range(dim):
            slopes[k] += [np.full(n, float(i == k)) for i in range(dim)]
    if degree == 2:
        for i in range(dim):
            for j in range(i + 1):
                b.append(u[:, i] * u[:, j])
                for k in range(dim):
                    slopes[k].append((k == i) * u[:, j] + (k == j) * u[:, i])
    return np.stack(b, axis=1), [np.stack(s, axis=1) for s in slopes]


def rattling(paths, dt, x0, bandwidth, lags, degree=2, noise="none", known=None):
    """R, its error, n_eff and C at x0; paths (n_paths, n_times, dim) that do not wrap."""
    terms = terms_of(lags, noise)
    every = needed(terms, noise)
    n_starts, dim = paths.shape[1] - every[-1], paths.shape[2]
    starts = paths[:, :n_starts].reshape(-1, dim)
    dx = {lag: (paths[:, lag : lag + n_starts] - paths[:, :n_starts]).reshape(-1, dim) for lag in every}
    cell = np.asarray(bandwidth) / (6 if dim <= 2 else 4 if dim == 3 else 3)
    n, where, means, squares, quartic = binned(starts, dx, cell)
    u = (where - x0) / bandwidth
    w = np.maximum(1 - (u**2).sum(axis=1), 0)
    b, slopes = basis(u, degree)
    inverse = np.linalg.inv(np.einsum("c,ci,cj->ij", n * w, b, b))
    a = inverse[0]
    g = w * (b @ a)
    share = n @ g**2
    square = {lag: np.einsum("c,cij->ij", n * g, squares[lag]) for lag in every}
    first = np.diagonal(square[every[0]])
    gradient = [(w * (slope @ a) - 2 * u[:, k] * (b @ a)) * (w > 0) for k, slope in enumerate(slopes)]
    width = np.array([h**2 * share / (n @ d**2) / 2 for h, d in zip(bandwidth, gradient, strict=True)])
    place = {
        "time": {lag: lag * dt for lag in every},
        "mean": {lag: (n * g) @ means[lag] for lag in every},
        "square": square,
        "share": share,
        "rho": lambda k: np.prod(1 + k * first / every[0] / (2 * width)) ** -0.5,
    }
    if degree >= 1:
        along = w[:, None] * (b @ inverse[:, 1 : 1 + dim]) / bandwidth
        place["slope"] = {lag: means[lag].T @ (n[:, None] * along) for lag in every}
        place["slope_share"] = along.T @ (n[:, None] * along)
    if known is not None and degree >= 1:
        sigma, h = known[:-1], np.asarray(bandwidth)
        score = -np.array([n @ d for d in gradient]) / h
        pairs = [(i, j) for i in range(dim) for j in range(i + 1)] if degree == 2 else []
        at = np.array([0.0, *(sigma @ score / h), *(sigma[i, j] / (h[i] * h[j]) for i, j in pairs)])
        f, lag = w * (b @ (inverse @ at)), terms[0][0]
        shift, slope = np.outer((n * f) @ means[lag], place["mean"][lag]), place["slope"][lag]
        displaced = np.einsum("c,cij->ij", n * f, squares[lag]) - shift - shift.T - slope @ sigma @ slope.T
        place["displaced"] = displaced, n @ f**2, n @ (f * g)
    unequal = np.mean((n * g**2) @ quartic / (3 * share * first**2))
    return conclude(place, terms, dim, unequal, known)
