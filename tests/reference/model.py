"""Itô drift, diffusion tensor and rattling of a model, point by point."""

import numpy as np

STEP = np.cbrt(np.finfo(float).eps)


def tensor(value, dim):
    """D (dim, dim) at a point from what a diffusion function gives there."""
    value = np.asarray(value, dtype=float)
    return value if value.ndim == 2 else np.diag(np.broadcast_to(value, dim))


def amplitude(value, dim):
    """G (dim, m) at a point from what a noise function gives there."""
    return tensor(value, dim)


def derivative(function, x, k):
    """Central difference along axis k."""
    h = STEP * max(1.0, abs(x[k]))
    up, down = x.copy(), x.copy()
    up[k] += h
    down[k] -= h
    return (function(up) - function(down)) / (up[k] - down[k])


def ito_drift(drift, x, interpretation, diffusion=None, noise=None):
    """f at a point; drift, diffusion and noise are functions of a point (dim,)."""
    dim = len(x)
    f = np.array(drift(x), dtype=float)
    if noise is not None:

        def g(y):
            return amplitude(noise(y), dim)

        def d(y):
            return g(y) @ g(y).T / 2

    else:

        def d(y):
            return tensor(diffusion(y), dim)

    for k in range(dim):
        for i in range(dim):
            if interpretation == "anti-ito":
                f[i] += derivative(d, x, k)[i, k]
            elif interpretation == "stratonovich" and noise is not None:
                f[i] += 0.5 * g(x)[k] @ derivative(g, x, k)[i]
            elif interpretation == "stratonovich" and i == k:
                f[i] += 0.5 * derivative(d, x, k)[k, k]
    return f


def rattling(d):
    """R = log det(2 D) / 2 from the eigenvalues of D (dim, dim)."""
    with np.errstate(divide="ignore"):
        return 0.5 * np.sum(np.log(2 * np.clip(np.linalg.eigvalsh(d), 0, None)))
