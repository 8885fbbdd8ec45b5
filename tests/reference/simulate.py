"""Euler-Maruyama, path by path: the twin of csrc/core/{step,simulate}.c."""

import numpy as np

from reference.random import normals


def fold(x, lower, upper, side):
    """A coordinate taken back into the box."""
    length = upper - lower
    if side == "periodic":
        return lower + (x - lower) % length
    while not lower <= x <= upper:
        x = 2 * lower - x if x < lower else 2 * upper - x
    return x


def square_root(d):
    """L with L Lᵀ = D, lower triangular; D may be singular."""
    n = len(d)
    out = np.zeros((n, n))
    for k in range(n):
        rest = d[k, k] - out[k, :k] @ out[k, :k]
        if rest > 1e-13 * d[k, k]:
            out[k, k] = np.sqrt(rest)
            for m in range(k + 1, n):
                out[m, k] = (d[m, k] - out[m, :k] @ out[k, :k]) / out[k, k]
    return out


def simulate(drift, diffusion, x0, dt, n_steps, key, thin=1, boundary=None):
    """drift(x) -> (dim,), diffusion(x) -> (dim, dim); x0 (n_paths, dim)."""
    n_paths, dim = x0.shape
    x = x0.copy()
    kept = [x.copy()]
    for step in range(n_steps):
        xi = normals(key, 0, n_paths, step, dim)
        for i in range(n_paths):
            x[i] = x[i] + drift(x[i]) * dt + square_root(2 * dt * diffusion(x[i])) @ xi[:, i]
            for k in range(dim):
                if boundary is not None and boundary[k] is not None:
                    x[i, k] = fold(x[i, k], *boundary[k])
        if (step + 1) % thin == 0:
            kept.append(x.copy())
    return np.array(kept).transpose(1, 0, 2)
