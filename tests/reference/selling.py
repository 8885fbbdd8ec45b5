"""Twin of csrc/core/selling.c: a tensor as a sum over integer offsets, in plain Python.

The arithmetic is done in the same order, so that the results have the same bits.
"""

import itertools

import numpy as np

ROUNDING = 1e-15  # a product is 0 below this times the sum of its terms' magnitudes
MOST_STEPS = 2000
HALVINGS = 12


def decompose(D, longest, floor=0.0):
    """Offsets (n, dim), weights (n,) and the smallest s >= floor that has to be added for the
    offsets to stay within ``longest``: D + s I = sum_k weights_k e_k e_k^T.
    """
    D = [[float(x) for x in row] for row in D]
    dim = len(D)
    trace = 0.0
    for k in range(dim):
        trace += D[k][k]
    found = descend(D, dim, longest, floor, True)
    added = floor
    while found is None:
        added = max(2 * added, 1e-3 * trace)
        found = descend(D, dim, longest, added, True)
    base, added = found
    low = floor
    for _ in range(HALVINGS if dim == 3 and added > floor else 0):
        middle = 0.5 * (low + added)
        found = descend(D, dim, longest, middle, False)
        if found is None:
            low = middle
        else:
            base, added = found
    offsets, weights = [], []
    for i, j in itertools.combinations(range(dim + 1), 2):
        p, size = product(D, base[i], base[j], added)
        weight = -p
        if weight > ROUNDING * size:
            offsets.append(canonical(offset(base, i, j)))
            weights.append(weight)
    return np.array(offsets, dtype=int).reshape(-1, dim), np.array(weights), added


def descend(D, dim, longest, added, grow):
    """Selling's algorithm; (superbase, added), or None where ``added`` has to grow and may
    not, or it is not clear by how much.

    In two dimensions the s that makes the last allowed offsets do is the smallest of
    all: the way from D to I crosses the same superbases (they tile the cone of tensors).
    """
    base = [[int(k == i) for k in range(dim)] for i in range(dim)] + [[-1] * dim]
    for _ in range(MOST_STEPS):
        largest, pair = 0.0, None
        for i, j in itertools.combinations(range(dim + 1), 2):
            p, size = product(D, base[i], base[j], added)
            if p > ROUNDING * size and p > largest:
                largest, pair = p, (i, j)
        if pair is None:
            return base, added
        flipped = flip(base, *pair)
        if all(within(offset(flipped, i, j), longest) for i, j in itertools.combinations(range(dim + 1), 2)):
            base = flipped
            continue
        i, j = pair
        euclid = sum(u * v for u, v in zip(base[i], base[j], strict=True))
        if euclid >= 0 or not grow:
            return None
        added = max(product(D, base[i], base[j], 0.0)[0] / -euclid, added) * (1 + 1e-15)
    return None


def product(D, u, v, added):
    """<u, (D + added I) v> and the sum of the magnitudes of its terms."""
    total = size = 0.0
    for k in range(len(u)):
        for m in range(len(u)):
            term = u[k] * D[k][m] * v[m]
            total += term
            size += abs(term)
        total += added * (u[k] * v[k])
    return total, size


def flip(base, i, j):
    """The superbase with the product of b_i and b_j reversed."""
    bi, bj = base[i], base[j]
    if len(base) == 3:
        k = 3 - i - j
        new = list(base)
        new[i], new[k] = [-x for x in bi], [x - y for x, y in zip(bi, bj, strict=True)]
        return new
    return [
        [-x for x in bi] if k == i else bj if k == j else [x + y for x, y in zip(base[k], bi, strict=True)]
        for k in range(4)
    ]


def offset(base, i, j):
    """The offset that carries the weight -<b_i, D b_j>."""
    others = [b for k, b in enumerate(base) if k not in (i, j)]
    if len(base) == 2:
        return [1]
    if len(base) == 3:
        return [-others[0][1], others[0][0]]
    (a, b, c), (d, e, f) = others
    return [b * f - c * e, c * d - a * f, a * e - b * d]


def canonical(e):
    """The one of e and -e whose first component that is not 0 is positive."""
    first = next(x for x in e if x != 0)
    return e if first > 0 else [-x for x in e]


def within(e, longest):
    return all(abs(x) <= n for x, n in zip(e, longest, strict=True))
