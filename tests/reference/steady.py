"""Twins of csrc/core/{direct,direct_sparse,aggregate,multilevel,nested,current}.c, on dense matrices.

W is (n, n) with ``W[i, j]`` the rate j -> i and columns that sum to 0; y = log p.
"""

import numpy as np


def gth(W):
    """Steady probabilities by elimination without subtraction."""
    A = W - np.diag(np.diag(W))
    n = len(A)
    for k in range(n - 1, 0, -1):
        A[k, k] = A[:k, k].sum()
        A[:k, :k] += np.outer(A[:k, k] / A[k, k], A[k, :k])
        np.fill_diagonal(A[:k, :k], 0)
    p = np.ones(n)
    for k in range(1, n):
        p[k] = A[k, :k] @ p[:k] / A[k, k]
    return p / p.sum()


def sparse_gth(W):
    """The same, where the states with fewest neighbours go first."""
    n = len(W)
    out = [{i: W[i, j] for i in range(n) if i != j and W[i, j] > 0} for j in range(n)]
    into = [{j: W[i, j] for j in range(n) if i != j and W[i, j] > 0} for i in range(n)]
    left, eliminated = set(range(n)), []
    while len(left) > 1:
        k = min(left, key=lambda i: len(out[i].keys() | into[i].keys()))
        leave = sum(out[k].values())
        for i, a in into[k].items():
            del out[i][k]
            for j, b in out[k].items():
                if i != j:
                    out[i][j] = into[j][i] = out[i].get(j, 0) + a * b / leave
        for j in out[k]:
            del into[j][k]
        left.remove(k)
        eliminated.append((k, into[k], leave))
    p = np.zeros(n)
    p[left.pop()] = 1
    for k, rates, leave in reversed(eliminated):
        p[k] = sum(a * p[i] for i, a in rates.items()) / leave
    return p / p.sum()


def ring(up, down):
    """Steady probabilities of a ring as Kirchhoff's sum over its n spanning trees."""
    n = len(up)
    p = np.zeros(n)
    for root in range(n):
        for cut in range(n):  # the tree that lacks the link cut -> cut + 1
            tree = 1.0
            state = (cut + 1) % n
            while state != root:  # upwards to the root
                tree *= up[state]
                state = (state + 1) % n
            state = cut
            while state != root:  # downwards to the root
                tree *= down[(state - 1) % n]
                state = (state - 1) % n
            p[root] += tree
    return p / p.sum()


def sweep(W, y):
    """Gauss-Seidel there and back for y_i = log(sum_j w(j -> i) e^y_j / q_i)."""
    y = y.copy()
    n = len(y)
    for i in [*range(n), *reversed(range(n))]:
        inflow = np.delete(W[i], i)
        y[i] = np.log(inflow @ np.exp(np.delete(y, i)) / -W[i, i])
    return y


def match(W, y):
    """Twin of one pairwise matching: the group of each state."""
    n = len(y)
    group, size = np.full(n, -1), []
    for i in range(n):
        if group[i] >= 0:
            continue
        flow = W[i] * np.exp(y - y[i]) + W[:, i]
        flow[i] = 0
        neighbours = [j for j in np.flatnonzero(flow) if W[i, j] > 0]
        joinable = [j for j in neighbours if group[j] < 0 or size[group[j]] < 3]
        free = [j for j in joinable if group[j] < 0]
        best = max(joinable, key=lambda j: flow[j], default=i)
        if free:
            candidate = max(free, key=lambda j: flow[j])
            if flow[candidate] >= 0.25 * flow[best]:
                best = candidate
        if best == i or group[best] < 0:
            group[i] = group[best] = len(size)
            size.append(1 if best == i else 2)
        else:
            group[i] = group[best]
            size[group[i]] += 1
    return group


def aggregate(W, y, group):
    """The chain of groups: W_IJ = sum w(j -> i) p_j / P_J, and log P_I."""
    P = np.zeros((len(y), group.max() + 1))  # membership
    P[np.arange(len(y)), group] = 1
    p = np.exp(y)
    share = p / (P @ (P.T @ p))
    return P.T @ W @ (P * share[:, None]), np.log(P.T @ p)


def scaled(W, y):
    """A = diag(1/(p q)) W diag(p)"""
    return W * np.exp(y[None, :] - y[:, None]) / -np.diag(W)[:, None]


def cycle(W, y, b, smallest=8):
    """x = M b: Gauss-Seidel, the aggregates' correction by two steps of GCR, Gauss-Seidel."""
    A = scaled(W, y)
    lower = np.tril(A)
    x = np.linalg.solve(lower, b)
    group = match(W, y)
    coarse_W, coarse_y = aggregate(W, y, group)
    if len(coarse_y) < len(y):
        second = match(coarse_W, coarse_y)
        if second.max() + 1 < len(coarse_y):
            group = second[group]
            coarse_W, coarse_y = aggregate(W, y, group)
        p, q = np.exp(y), -np.diag(W)
        weight = p * q / (np.exp(coarse_y) * -np.diag(coarse_W))[group]
        rhs = np.bincount(group, weight * (b - A @ x))
        x = x + correction(coarse_W, coarse_y, rhs, smallest)[group]
    return x + np.linalg.solve(np.triu(A), b - A @ x)


def correction(W, y, b, smallest):
    A = scaled(W, y)
    if len(y) <= smallest:
        return np.linalg.lstsq(A, b, rcond=None)[0]
    first = cycle(W, y, b, smallest)
    v = A @ first
    a = v @ b / (v @ v)
    r = b - a * v
    if r @ r <= 0.25**2 * (b @ b):
        return a * first
    second = cycle(W, y, r, smallest)
    w = A @ second
    overlap = w @ v / (v @ v)
    w, second = w - overlap * v, second - overlap * first
    return a * first + (w @ r) / (w @ w) * second


def solve(W, rtol=1e-10, most=200):
    """log p by steps in p, each from a few cycles of GCR-accelerated multigrid."""
    y = np.zeros(len(W))
    for _ in range(most):
        A = scaled(W, y)
        r = -A @ np.ones(len(y))
        if np.abs(r).max() <= rtol:
            return y - np.log(np.exp(y - y.max()).sum()) - y.max()
        z, directions = np.zeros(len(y)), []
        for _ in range(8):
            d = cycle(W, y, r)
            v = A @ d
            for e, u in directions:
                d, v = d - (v @ u) * e, v - (v @ u) * u
            d, v = d / np.linalg.norm(v), v / np.linalg.norm(v)
            directions.append((d, v))
            z, r = z + (v @ r) * d, r - (v @ r) * v
        y = y + np.log(np.maximum(1 + z, 0.05))
    raise RuntimeError("the twin did not converge")


def entropy_production(W, p):
    """Total Schnakenberg entropy production."""
    total = 0.0
    for i in range(len(p)):
        for j in range(i):
            a, b = W[i, j] * p[j], W[j, i] * p[i]
            if a > 0 or b > 0:
                total += (a - b) * np.log(a / b) if a > 0 and b > 0 else np.inf
    return total


def face_currents(W, p, grid, axis):
    """Current density through the faces of an axis, by following each face."""
    shape = list(grid.shape)
    shape[axis] += 1
    J = np.zeros(shape)
    width = np.diff(grid.edges(axis))
    for low in np.ndindex(*grid.shape):
        high = list(low)
        high[axis] = (low[axis] + 1) % grid.shape[axis]
        if low[axis] + 1 == grid.shape[axis] and grid.boundary[axis][1] != "periodic":
            continue
        i, j = np.ravel_multi_index(low, grid.shape), np.ravel_multi_index(high, grid.shape)
        area = grid.volumes[low] / width[low[axis]]
        face = list(low)
        face[axis] += 1
        J[tuple(face)] = (W[j, i] * p[i] - W[i, j] * p[j]) / area
        if high[axis] == 0:
            J[tuple(high)] = J[tuple(face)]
    return J
