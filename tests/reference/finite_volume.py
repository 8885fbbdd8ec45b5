"""Twin of csrc/core/finite_volume.c: the generator of a model with diagonal diffusion."""

import numpy as np

GAUSS_NODES, GAUSS_WEIGHTS = np.polynomial.legendre.leggauss(3)
GAUSS_NODES, GAUSS_WEIGHTS = (GAUSS_NODES + 1) / 2, GAUSS_WEIGHTS / 2


def bernoulli(z):
    """z / (exp(z) - 1)"""
    if abs(z) < 1e-6:
        return 1 - z / 2
    return z / np.expm1(z) if z < 700 else z * np.exp(-z)


def generator(drift, diffusion, grid):
    """Dense W, (n, n), columns sum to 0 or to minus the rate into absorbing walls.

    drift(x) and diffusion(x) take a point (dim,) and return (dim,): Ito drift and the
    diagonal of D.
    """
    W = np.zeros((int(np.prod(grid.shape)),) * 2)
    killing = wall_rates(drift, diffusion, grid)
    centres = [grid.centres(k) for k in range(grid.dim)]
    widths = [np.diff(grid.edges(k)) for k in range(grid.dim)]
    for low in np.ndindex(*grid.shape):
        for axis in range(grid.dim):
            high = list(low)
            high[axis] += 1
            if high[axis] == grid.shape[axis]:
                if grid.boundary[axis][1] != "periodic":
                    continue
                high[axis] = 0
            w_low, w_high = widths[axis][low[axis]], widths[axis][high[axis]]
            up, down = face_rates(
                drift,
                diffusion,
                np.array([c[i] for c, i in zip(centres, low, strict=True)]),
                np.array([c[i] for c, i in zip(centres, high, strict=True)]),
                axis,
                (w_low + w_high) / 2,
                w_low,
                w_high,
                grid.bounds[axis],
            )
            i, j = np.ravel_multi_index(low, grid.shape), np.ravel_multi_index(high, grid.shape)
            W[j, i] += up
            W[i, j] += down
    return W - np.diag(W.sum(axis=0) + killing)


def wall_rates(drift, diffusion, grid):
    """Rate of leaving each cell through absorbing walls, half a cell away, where p = 0."""
    killing = np.zeros(grid.shape)
    for cell in np.ndindex(*grid.shape):
        centre = np.array([grid.centres(k)[i] for k, i in enumerate(cell)])
        for axis in range(grid.dim):
            width = np.diff(grid.edges(axis))[cell[axis]]
            for side, sign in enumerate((-1, 1)):
                at_wall = cell[axis] == (0, grid.shape[axis] - 1)[side]
                if not at_wall or grid.boundary[axis][side] != "absorbing":
                    continue
                # mirrored at the centre for a lower wall, so that outwards is upwards
                def outward(x, axis=axis, sign=sign, centre=centre):
                    y = x.copy()
                    y[axis] = centre[axis] + sign * (x[axis] - centre[axis])
                    return y

                wall = centre.copy()
                wall[axis] += width / 2
                up, _ = face_rates(
                    lambda x, sign=sign, outward=outward: sign * drift(outward(x)),
                    lambda x, outward=outward: diffusion(outward(x)),
                    centre,
                    wall,
                    axis,
                    width / 2,
                    width,
                    width,
                    (-np.inf, np.inf),
                )
                killing[cell] += up
    return killing.ravel()


def face_rates(drift, diffusion, low, high, axis, h, w_low, w_high, bounds):
    """Rates from the cell at ``low`` to that at ``high`` and back."""
    f, d = [], []
    for node in GAUSS_NODES:
        x = low.copy()
        x[axis] += node * h
        if x[axis] > bounds[1]:
            x[axis] -= bounds[1] - bounds[0]
        f.append(drift(x)[axis])
        d.append(diffusion(x)[axis])
    f, d = np.array(f), np.array(d)
    d_low, d_high = diffusion(low)[axis], diffusion(high)[axis]
    everything = np.array([d_low, d_high, *d])
    if everything.min() > 0 and everything.max() <= 10 * everything.min():
        z = (GAUSS_WEIGHTS * f / d).sum() * h
    else:
        mean = (GAUSS_WEIGHTS * f).sum()
        mean = 0 if abs(mean) < 1e-14 * abs(f).max() else mean
        return own_rate(mean, d_low, h) / w_low, own_rate(-mean, d_high, h) / w_high
    return d_low * bernoulli(-z) / (h * w_low), d_high * bernoulli(z) / (h * w_high)


def own_rate(f, d, h):
    """The flux out of a cell along f if its D went on: where D = 0 a tiny one takes its place."""
    tiny = 1e-12 * abs(f) * h
    d = max(d, tiny)
    return d * bernoulli(-f * h / d) / h if d > 0 else 0.0
