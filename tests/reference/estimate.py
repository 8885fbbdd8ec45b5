"""Estimators of rattling, slowly and readably: the twin of csrc/core/{estimate,extrapolate,bins}.c."""

import numpy as np
from scipy.special import digamma, polygamma

# --- the published estimator ------------------------------------------------------------


def windowed(x, dt, window, stride=1, displacement="sqrt-time"):
    """R of rows i ... i+w-2, w = int(window/dt), for i = 0, stride, ..."""
    width = int(window / dt)
    out = []
    for first in range(0, len(x) - width + 1, stride):
        rows = x[first : first + width - 1]
        if displacement == "sqrt-time":
            v = (rows - rows[0]) / np.sqrt(np.arange(1, len(rows) + 1) * dt)[:, None]
        else:
            v = np.diff(rows, axis=0) / np.sqrt(dt)
        c = np.atleast_2d(np.cov(v.T))
        bias = log_det_law(len(c), len(v) - 1)[0] if displacement == "increments" else 0.0
        out.append(0.5 * np.linalg.slogdet(c)[1] - bias)
    return np.array(out)


# --- bins -------------------------------------------------------------------------------


def log_det_law(dim, dof):
    """Bias and variance of half the log det of a sample covariance."""
    half = 0.5 * (dof - np.arange(dim))
    return 0.5 * (digamma(half).sum() + dim * np.log(2 / dof)), 0.25 * polygamma(1, half).sum()


def moments(dx, tau, g, same_g):
    """What the estimators know at a place: weighted means over starts with weights g that
    sum to 1; dx {lag: (n, dim)}, tau {lag: (n,)}; same_g(k): the mean of g_s g_{s+k}
    over that of g_s^2."""
    return {
        "time": {lag: g @ t for lag, t in tau.items()},
        "mean": {lag: g @ d for lag, d in dx.items()},
        "square": {lag: np.einsum("s,si,sj->ij", g, d, d) for lag, d in dx.items()},
        "share": g @ g,
        "rho": same_g,
    }


def shared(a, b, k, noise):
    """Covariance of increments over [0, a] and [k, k + b], in units of C dt."""
    ends = float(a == k + b) - float(k + b == 0) - float(a == k) + float(k == 0)
    return max(min(a, k + b) - max(0, k), 0) + noise * ends


def spread(alpha, beta, rho, noise=0.0):
    """Half the variance of a sum of squares over a start, overlap included."""
    longest = max(alpha)
    return sum(
        rho(abs(k)) * x * y * shared(a, b, k, noise) ** 2
        for k in range(-longest, longest + 1)
        for a, x in alpha.items()
        for b, y in beta.items()
    )


def propagators(place, l):
    """M and E from slopes of mean increments over l and 2 l, M E - 1 and M^2 E - 1; nan where there are none."""
    dim = len(place["slope"][l])
    once, twice = np.eye(dim) + place["slope"][l], np.eye(dim) + place["slope"][2 * l]
    m = twice @ np.linalg.inv(once)
    return m, np.linalg.inv(m) @ once


def scatter_of_start(c, m, seen, span):
    """What the contraction of the start's error of measurement adds to half the log det of c."""
    back = np.linalg.inv(m)
    sigma = 0.5 * (seen - span * back @ c @ back.T)
    return 0.5 / span * np.trace(np.linalg.solve(c, m @ (m @ sigma @ m.T - sigma) @ m.T))


def contraction(c, m, before):
    """What linear drift adds to half the log det of c; m = exp(A tau), tau the time in which c grew."""
    p, back = np.linalg.inv(c), np.linalg.inv(m)
    q = (np.trace(p @ m @ c @ m.T) + np.trace(p @ back @ c @ back.T)) / (4 * len(c)) - 0.5
    u = np.arcsinh(np.sqrt(max(q, 0.0)))
    return (0.5 + before) * np.linalg.slogdet(m)[1] + (len(c) / 2 * np.log(np.sinh(u) / u) if u > 0 else 0.0)


def slope_variance(place, terms, weights, noise, known):
    """Variance of what linear drift adds, in all terms together."""
    (plus, minus), alpha = terms[0], {}
    growth = place["square"][plus] - (0.0 if minus is None else place["square"][minus])
    growth = (growth - (0.0 if known is None else 2 * known[:-1])) / (plus - (minus or 0))
    for w, (a, b) in zip(weights, terms):
        if known is not None:
            for lag, x in ((a, w / a), (2 * plus, w / plus), (plus, -w / plus)):
                alpha[lag] = alpha.get(lag, 0.0) + 0.5 * noise * x
            continue
        alpha[a] = alpha.get(a, 0.0) + w * (0.5 if b is None else 1.5)
        if b is not None:
            alpha[b] = alpha.get(b, 0.0) - 1.5 * w
    longest = max(place["time"])
    total = sum(
        place["rho"](abs(k)) * x * y * shared(a, b, k, noise)
        for k in range(-longest, longest + 1)
        for a, x in alpha.items()
        for b, y in alpha.items()
    )
    return max(np.sum(place["slope_share"] * growth) * total, 0.0)


def drift_known(place, terms, c, lag, sigma):
    """What linear drift adds to half the log det of c where the errors' covariance is known."""
    first = terms[0][0]
    m, e = propagators(place, first)
    m = np.linalg.matrix_power(m, lag // first)
    of_start = m @ e @ sigma @ m.T
    bare = c - (0.5 * (of_start + of_start.T) - sigma) / place["time"][lag]
    added = 0.5 * (np.linalg.slogdet(c)[1] - np.linalg.slogdet(bare)[1])
    return contraction(bare, m, 0.0) + added


def conclude(place, terms, dim, unequal=1.0, known=None):
    """R, its error, n_eff, C of the first term; terms: (plus, minus or None) lags; known: covariance of errors
    of measurement, and the variances of its diagonal, (dim + 1, dim)."""
    rho, share = place["rho"], place["share"]
    halves, betas, times, drifts, noise = [], [], [], [], 0.0
    sloped = "slope" in place and len(terms) > 1
    for plus, minus in terms:
        length = plus - (minus or 0)
        c, lost, time = 0.0, 0.0, 0.0
        for lag, sign in ((plus, 1), (minus, -1)):
            if lag is not None:
                c = c + sign * (place["square"][lag] - np.outer(place["mean"][lag], place["mean"][lag]))
                crowd = 1 + 2 * sum(rho(k) * (1 - k / lag) for k in range(1, lag))
                lost += sign * lag * crowd
                time += sign * place["time"][lag]
        left = 1 - share * lost / length
        c = c / (left * time) if left > 0 else np.full((dim, dim), np.nan)
        if known is not None:
            c = c - 2 * known[:-1] / time
        if not halves:
            first = c
            if known is not None:
                noise = max(np.trace(np.linalg.solve(c, known[:-1])) / (dim * time / plus), 0.0)
            if minus is not None:
                m = place["square"][minus] - np.outer(place["mean"][minus], place["mean"][minus])
                step = place["time"][minus] / minus
                noise = max(0.5 * (np.trace(np.linalg.solve(c, m)) / (dim * step) - minus), 0.0)
        betas.append({plus: 1 / length} | ({} if minus is None else {minus: -1 / length}))
        nu = 1 / (share * spread(betas[-1], betas[-1], rho, noise))
        if len(betas) == 1:
            n_eff = nu
        if not nu * left >= dim or not (np.linalg.eigvalsh(c) > 0).all():
            return np.nan, np.nan, n_eff, first
        bias, variance = log_det_law(dim, nu * left)
        if len(betas) == 1:
            factor = 2 * variance * nu / dim
        halves.append(0.5 * np.linalg.slogdet(c)[1] - bias)
        if sloped and known is not None:
            sloped = plus % terms[0][0] == 0
            drifts.append(drift_known(place, terms, c, plus, known[:-1]) if sloped else 0.0)
        elif sloped and minus is None:
            drifts.append(contraction(c, np.eye(dim) + place["slope"][plus], 0.0))
        elif sloped:
            m = propagators(place, minus)[0]
            seen = place["square"][minus] - np.outer(place["mean"][minus], place["mean"][minus])
            drifts.append(contraction(c, m, 1.0) + scatter_of_start(c, m, seen, time))
        times.append(place["time"][plus] + (place["time"][minus] if minus else 0.0))
    weights = [np.prod([t / (t - own) for t in times if t != own]) for own in times]
    total = {lag: sum(w * b.get(lag, 0.0) for w, b in zip(weights, betas)) for lag in {k for b in betas for k in b}}
    displaced, displaced_share, overlap = place.get("displaced", (np.zeros((dim, dim)), 0.0, 0.0))
    shift = np.trace(np.linalg.solve(first, displaced)) / (2 * place["time"][terms[0][0]])
    r = np.dot(weights, halves) - shift
    scale, one = dim / 2 * factor * unequal, betas[0]

    def variance(beta):
        return scale * (
            share * spread(beta, beta, rho, noise)
            + displaced_share * spread(one, one, rho, noise)
            - 2 * overlap * spread(beta, one, rho, noise)
        )

    of_noise = 0.0
    if known is not None:
        factor = sum(w / t for w, t in zip(weights, times, strict=True))
        of_noise = factor**2 * np.sum(np.diagonal(np.linalg.inv(first)) ** 2 * known[-1])
    if len(terms) == 1:
        return r, np.sqrt(variance(total) + of_noise), n_eff, first
    effect = halves[0] - r - shift
    if not sloped:
        return r, np.hypot(np.sqrt(variance(total) + of_noise), abs(effect) ** len(terms)), n_eff, first
    r -= np.dot(weights, drifts)
    effect += np.dot(weights, drifts)
    of_drift = slope_variance(place, terms, weights, noise, known)
    rest = total | {lag: total[lag] - x for lag, x in one.items()}
    left = 0.8 * np.sqrt(max((effect - drifts[0]) ** 2 - variance(rest) - of_drift, 0.0))
    error = np.sqrt(variance(total) + of_drift + of_noise + left**2 + (0.5 * abs(effect) ** len(terms)) ** 2)
    return r, error, n_eff, first


def known_noise(paths, lags, noise):
    """What the package finds of errors of measurement, which `test_noise.py` is about."""
    from rattling._noise import noise_covariance
    from rattling._paths import read_paths

    lags = tuple(np.atleast_1d(lags).tolist())
    dt = 0.1 if isinstance(paths, np.ndarray) else None
    return noise_covariance(read_paths(paths, dt, None, lags), lags, 32) if noise == "covariance" else None


def terms_of(lags, noise="none"):
    return [(2 * lag, lag) if noise == "local-covariance" else (lag, None) for lag in lags]


def needed(terms, noise="none"):
    twice = {2 * terms[0][0]} if noise == "covariance" else set()
    return sorted({lag for term in terms for lag in term if lag} | twice)


def drift_of(place, terms, dt, noise):
    """Mean increment per unit time, which errors of the start do not shift."""
    plus, minus = (2 * terms[0][0], terms[0][0]) if noise == "covariance" else terms[0]
    moved = place["mean"][plus] - (place["mean"][minus] if minus else 0.0)
    return moved / ((plus - (minus or 0)) * dt)


def cell_of(point, grid):
    """Index of a point, or None outside."""
    index = []
    for axis, value in enumerate(point):
        edges = grid.edges(axis)
        if grid.boundary[axis][0] == "periodic":
            value = edges[0] + (value - edges[0]) % (edges[-1] - edges[0])
        if not edges[0] <= value <= edges[-1]:
            return None
        index.append(min(np.searchsorted(edges, value, side="right") - 1, grid.shape[axis] - 1))
    return tuple(index)


def bins(paths, dt, grid, lags=(1, 2), period=None, noise="none", known=None):
    """{index of cell: dict}; paths (n_paths, n_times, dim)."""
    n_paths, n_times, dim = paths.shape
    steps = np.diff(paths, axis=1)
    for axis, length in enumerate(period if period is not None else np.zeros(dim)):
        if length > 0:
            steps[..., axis] -= length * np.round(steps[..., axis] / length)
    starts, terms = {}, terms_of(lags, noise)
    for i in range(n_paths):
        for t in range(n_times - needed(terms, noise)[-1]):
            starts.setdefault(cell_of(paths[i, t], grid), []).append((i, t))
    starts.pop(None, None)
    return {cell: one_cell(steps, np.array(where), dt, terms, noise, known) for cell, where in starts.items()}


def one_cell(steps, where, dt, terms, noise, known):
    n, dim = len(where), steps.shape[2]
    lags = needed(terms, noise)
    dx = {lag: np.array([steps[i, t : t + lag].sum(axis=0) for i, t in where]) for lag in lags}
    starts = {tuple(pair) for pair in where}
    place = moments(
        dx,
        {lag: np.full(n, lag * dt) for lag in lags},
        np.full(n, 1 / n),
        lambda k: sum((i, t - min(k, max(lags[-1] - 1, 0))) in starts for i, t in where) / n,  # as with one less
    )
    r, stderr, n_eff, c = conclude(place, terms, dim, known=known)
    known = n > dim
    return {
        "count": n,
        "rattling": r if known else np.nan,
        "stderr": stderr if known else np.nan,
        "n_eff": n_eff,
        "drift": drift_of(place, terms, dt, noise),
        "covariance": c,
    }
