"""Schemes and walls, path by path: the twin of csrc/core/{step*,simulate}.c."""

import numpy as np
from reference.random import normals, uniforms


def fold(x, lower, upper, side):
    """A coordinate taken back into the box."""
    length = upper - lower
    if side == "periodic":
        return lower + (x - lower) % length
    while not lower <= x <= upper:
        x = 2 * lower - x if x < lower else 2 * upper - x
    return x


def fold_all(x, boundary):
    if boundary is None:
        return x
    return np.array([c if wall is None else fold(c, *wall) for c, wall in zip(x, boundary, strict=True)])


def reflect(x, c, boundary):
    """Back into the box along the columns of C = G Gᵀ; what is left is folded."""
    x = x.copy()
    for _ in range(4):
        for k, wall in enumerate(boundary):
            if wall is not None and wall[2] == "reflecting" and c[k, k] > 0:
                beyond = min(x[k] - wall[0], 0) + max(x[k] - wall[1], 0)
                if beyond != 0:
                    x -= 2 * beyond * c[:, k] / c[k, k]
    return fold_all(x, boundary)


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


def euler_maruyama(x, f, g, dt, xi, inside, coins):
    return x + f(x) * dt + g(x) @ (np.sqrt(dt) * xi)


def heun(x, f, g, dt, xi, inside, coins):
    """f is the Stratonovich drift."""
    w = np.sqrt(dt) * xi
    support = inside(x + f(x) * dt + g(x) @ w)
    return x + (f(x) + f(support)) * dt / 2 + (g(x) + g(support)) @ w / 2


def milstein(x, f, g, dt, xi, inside, coins):
    """With central differences of g."""
    w, h, m = np.sqrt(dt) * xi, 1e-5, len(xi)
    out = x + f(x) * dt + g(x) @ w
    for j in range(m):
        along = (g(x + h * g(x)[:, j]) - g(x - h * g(x)[:, j])) / (2 * h)  # (G_j . grad) G
        for k in range(m):
            out = out + along[:, k] * (w[j] * w[k] - (j == k) * dt) / 2
    return out


def platen(x, f, g, dt, xi, inside, coins):
    w, root, m = np.sqrt(dt) * xi, np.sqrt(dt), len(xi)
    g0, drifted = g(x), x + f(x) * dt
    out = x + (f(x) + f(inside(drifted + g0 @ w))) * dt / 2
    v = -dt * np.eye(m)
    for j in range(m):
        for k in range(j):
            v[k, j] = dt if coins[j * (j - 1) // 2 + k] < 0.5 else -dt
            v[j, k] = -v[k, j]
    for j in range(m):
        for k in range(m):
            centre = drifted if j == k else x
            plus, minus = g(inside(centre + g0[:, k] * root))[:, j], g(inside(centre - g0[:, k] * root))[:, j]
            out = out + (plus + minus + (2 if j == k else -2) * g0[:, j]) * w[j] / 4
            out = out + (plus - minus) * (w[j] * w[k] + v[k, j]) / (4 * root)
    return out


def simulate(drift, amplitude, x0, dt, n_steps, key, thin=1, boundary=None, scheme=euler_maruyama):
    """drift(x) -> (dim,), amplitude(x) -> (dim, m) with D = G Gᵀ/2; x0 (n_paths, dim)."""
    n_paths, dim = x0.shape
    x, m = x0.copy(), amplitude(x0[0]).shape[1]
    kept = [x.copy()]
    for step in range(n_steps):
        xi, coins = normals(key, 0, n_paths, step, m), uniforms(key, 0, n_paths, step, m * (m - 1) // 2)
        for i in range(n_paths):
            g = amplitude(x[i])
            coin = coins[:, i] if m > 1 else None
            moved = scheme(x[i], drift, amplitude, dt, xi[:, i], lambda y: fold_all(y, boundary), coin)
            if boundary is not None:
                moved = reflect(moved, g @ g.T, boundary)
            x[i] = moved
        if (step + 1) % thin == 0:
            kept.append(x.copy())
    return np.array(kept).transpose(1, 0, 2)
