"""Twin of csrc/core/finite_volume_{stencil,link,tensor}.c: full tensors, dense and slow."""

import itertools

import numpy as np
from reference import selling
from reference.finite_volume import bernoulli

LOBATTO = (0.5 - np.sqrt(0.05), 0.5 + np.sqrt(0.05))


class Cell:
    """Offsets, weights, carries and forces of one cell."""

    def __init__(self, tensor, g, f, h, longest):
        self.dim = dim = len(h)
        D = tensor / np.outer(h, h)
        g, f = g / h, f / h
        trace = np.trace(D)
        offsets, weights, added = decompose(D, *longest) if trace > 0 else ([], [], 0.0)
        self.weight = {tuple(e): w for e, w in zip(offsets, weights, strict=True)}
        self.carry = dict(self.weight)
        root = np.sqrt(np.maximum(np.diag(D), 1e-300))
        definite = np.linalg.eigvalsh(D / np.outer(root, root))[0] > 1e-13
        self.relaxed = 2 if added > 0 else 0 if definite else 1
        drift = np.abs([*g, *f]).max()
        if trace == 0:
            self.strengthen(drift, 0.0)
        elif self.relaxed:
            self.strengthen(max(1e-8 * trace, np.sqrt(added * trace), drift), 0.0)
        self.force = self.ito_force = np.zeros(dim)
        if self.carry:
            C = sum(c * np.outer(e, e) for e, c in self.carry.items())
            self.force, self.ito_force = np.linalg.solve(C, g) / h, np.linalg.solve(C, f) / h
        self.h = h

    def strengthen(self, carry, weight):
        for e in map(tuple, np.eye(self.dim, dtype=int)):
            self.carry[e] = self.carry.get(e, 0.0) + carry
            self.weight[e] = self.weight.get(e, 0.0) + weight

    def tensor(self, unit):
        """D in units of the given widths."""
        ratio = self.h / unit
        return sum(w * np.outer(e * ratio, e * ratio) for e, w in self.weight.items())


def generator(drift, diffusion, divergence, grid):
    """Dense W from functions of a point: Itô drift (dim,), D (dim, dim), div D (dim,)."""
    dim, shape = grid.dim, grid.shape
    n = int(np.prod(shape))
    centres = [grid.centres(k) for k in range(dim)]
    widths = [np.diff(grid.edges(k)) for k in range(dim)]
    roots = [(np.rint(np.cbrt(m)), np.rint(np.sqrt(m)) if m > 2 else 1) for m in shape]
    longest = np.array(roots, dtype=int).T  # for tensors that are nearly singular, and others
    wraps = [grid.boundary[k][0] == "periodic" for k in range(dim)]
    volume = grid.volumes
    tangents = [tangent(centres[k], grid.bounds[k], wraps[k]) for k in range(dim)]

    def point(i):
        return np.array([centres[k][i[k]] for k in range(dim)])

    cells = {}
    for i in np.ndindex(*shape):
        x = point(i)
        h = np.array([widths[k][i[k]] for k in range(dim)])
        cells[i] = Cell(diffusion(x), drift(x) - divergence(x), drift(x), h, longest)
        if any(lost(i, e, grid, wraps) for e in cells[i].carry):
            share = 1e-3 * next(iter(cells[i].weight.values()))
            if share > 0:
                cells[i].strengthen(share, share)

    W = np.zeros((n, n))
    killing = np.zeros(n)
    number = {i: k for k, i in enumerate(np.ndindex(*shape))}

    def slope(i, e):
        """b . dx/ds along the link; the tangents are derivatives of centres by their index."""
        return sum(cells[i].force[k] * e[k] * tangents[k][i[k]] for k in range(dim))

    def beyond(i, e, sign):
        to = [i[k] + sign * e[k] for k in range(dim)]
        to = tuple(t % m if wrap else t for t, m, wrap in zip(to, shape, wraps, strict=True))
        return to if all(0 <= t < m for t, m in zip(to, shape, strict=True)) else None

    def link(i, j, e, conductance=None):
        a, b = cells[i], cells[j]
        step = np.array([distance(centres[k], grid.bounds[k], i[k], e[k]) for k in range(dim)])
        before, behind = beyond(i, e, -1), beyond(j, e, 1)
        wa, wb, ca, cb = (d.get(e, 0.0) for d in (a.weight, b.weight, a.carry, b.carry))
        e_vector = np.array(e)
        w = (wa * volume[i] + wb * volume[j]) / 2
        c = (ca * volume[i] * a.force @ (e_vector * a.h) + cb * volume[j] * b.force @ (e_vector * b.h)) / 2
        ends = slope(i, e) + slope(j, e)
        inner = [inside(point(i) + t * step, grid, wraps) for t in LOBATTO]
        D1, D2 = (diffusion(x) / np.outer(a.h, a.h) for x in inner)
        if conductance is not None:
            w, c = conductance, conductance * ends / 2
        elif 2 not in (a.relaxed, b.relaxed):
            Da, Db = a.tensor(a.h), b.tensor(a.h)
            third = 5 * (Db - Da) - 5 * np.sqrt(5) * (D2 - D1)
            trace = np.trace(Da) + np.trace(Db)
            may_jump = np.abs(Db - Da).max() > 0.04 * trace
            if may_jump and before and behind:
                Dc, Dd = cells[before].tensor(a.h), cells[behind].tensor(a.h)
                may_jump = np.abs(Dd - 3 * Db + 3 * Da - Dc).max() > 0.08 * trace
            if may_jump and np.abs(third).max() > 0.25 * trace:
                up, _ = rates(wa, ca * a.ito_force @ (e_vector * a.h), None, 1, 1)
                _, down = rates(wb, cb * b.ito_force @ (e_vector * b.h), None, 1, 1)
                W[number[j], number[i]] += up
                W[number[i], number[j]] += down
                return
        z = None
        if w > 0 and not a.relaxed and not b.relaxed:
            # the integral of the polynomial through b at those of four cells that are regular
            nodes = {0: i, 1: j}
            nodes |= {s: c for s, c in ((-1, before), (2, behind)) if c and not cells[c].relaxed}
            powers = np.arange(len(nodes))
            matrix = np.array(list(nodes))[:, None] ** powers
            z = np.linalg.solve(matrix, [slope(c, e) for c in nodes.values()]) @ (1 / (powers + 1))
            if abs(z - c / w) > 0.25 * (1 + abs(c / w)):
                z = None
        up, down = rates(w, c, z, volume[i], volume[j])
        W[number[j], number[i]] += up
        W[number[i], number[j]] += down

    stars = {}
    for i in np.ndindex(*shape):
        for e in cells[i].carry:
            for sign in (1, -1):
                to = tuple(i[k] + sign * e[k] for k in range(dim))
                to = tuple(t % m if wrap else t for t, m, wrap in zip(to, shape, wraps, strict=True))
                outside = [k for k in range(dim) if not 0 <= to[k] < shape[k]]
                if not outside:
                    if to != i and (sign > 0 or e not in cells[to].carry):
                        link(*((i, to) if sign > 0 else (to, i)), e)
                    continue
                share, wall = min(((to_wall(i[k], sign * e[k], shape[k])) / abs(e[k]), k) for k in outside)
                side = grid.boundary[wall][0 if to[wall] < 0 else 1]
                w = cells[i].weight[e]
                if side == "absorbing":
                    c = cells[i].carry[e] * cells[i].force @ (sign * np.array(e) * cells[i].h)
                    killing[number[i]] += rates(w / share, c, None, 1, 1)[0]
                elif len(outside) == 1 and to[wall] in (-1, shape[wall]) and w > 0:
                    spoke = (i, tuple(sign * x for x in e), w * volume[i] * abs(e[wall]) / 2)
                    stars.setdefault(to, []).append(spoke)
    for spokes in stars.values():
        total = sum(w for _, _, w in spokes)
        for (i, e, u), (j, d, v) in itertools.combinations(spokes, 2):
            if i != j:
                link(i, j, tuple(x - y for x, y in zip(e, d, strict=True)), u * v / total)
    return W - np.diag(W.sum(axis=0) + killing)


def decompose(D, shortest, longest):
    found = selling.decompose(D, shortest)
    values = np.linalg.eigvalsh(D)
    if found[2] > 0 and values[-1] <= 4 * min(longest) ** 2 * values[0]:
        found = selling.decompose(D, longest)
    return found


def rates(w, c, z, va, vb):
    """Up and down from w, and z or the current c = w z."""
    if w > 0:
        z = c / w if z is None else z
        if abs(z) < 1e8:
            return w * bernoulli(-z) / va, w * bernoulli(z) / vb
    return max(c, 0) / va, max(-c, 0) / vb


def distance(centres, bounds, i, step):
    """From centre i over some cells, round a periodic axis where it has to be."""
    turns, to = divmod(i + step, len(centres))
    return centres[to] + turns * (bounds[1] - bounds[0]) - centres[i]


def tangent(centres, bounds, wrap):
    """dx/di from the polynomial through up to five centres."""
    n = len(centres)
    out = []
    for i in range(n):
        width = 5 if wrap else min(5, n)
        first = -2 if wrap else min(max(i - 2, 0), n - width) - i
        steps = np.arange(first, first + width)
        values = [distance(centres, bounds, i, s) for s in steps]
        out.append(np.linalg.solve(steps[:, None].astype(float) ** np.arange(width), values)[1])
    return out


def inside(x, grid, wraps):
    lower, upper = np.array(grid.bounds).T
    return np.where(wraps, lower + (x - lower) % (upper - lower), x)


def to_wall(i, e, n):
    return (i if e < 0 else n - 1 - i) + 0.5


def lost(i, e, grid, wraps):
    """Whether both jumps along e leave the box."""
    return all(
        any(not wrap and not 0 <= i[k] + sign * e[k] < grid.shape[k] for k, wrap in enumerate(wraps))
        for sign in (1, -1)
    )
