"""Simple paths one by one, the Dobrushin coefficient row by row, moment closure by a dense
scan (twins of csrc/core/paths.c, certificate.c and closure.c)."""

import numpy as np


def path_bounds(rates, x, y):
    """Least and largest heat over all simple paths from y to x; rates[i, j]: i -> j."""
    found = []

    def walk(state, seen, heat):
        if state == x:
            found.append(heat)
            return
        for following in np.flatnonzero(rates[state] > 0):
            if following not in seen:
                step = np.log(rates[state, following] / rates[following, state])
                walk(following, seen | {following}, heat + step)

    walk(y, {y}, 0.0)
    return min(found), max(found)


def certificate(rates):
    """(|mean_x P_xy - 1/N|_1, largest total variation between two rows of P)."""
    rates = rates - np.diag(np.diag(rates))
    jumps = rates / rates.sum(axis=1, keepdims=True)
    pairs = np.abs(jumps[:, None] - jumps[None]).sum(axis=2) / 2
    return np.abs(jumps.mean(axis=0) - 1 / len(rates)).sum(), pairs.max()


def closure(rattling, change, volume, guess, reach=10.0):
    """The sign change of sum v exp(-gamma R) L R that is nearest to the guess."""
    gammas = guess + np.linspace(-reach, reach, 200_001)
    weights = volume * np.exp(-gammas[:, None] * (rattling - rattling.mean()))
    signs = np.sign(weights @ change)
    at = np.flatnonzero(np.diff(signs))
    roots = (gammas[at] + gammas[at + 1]) / 2
    return roots[np.argmin(np.abs(roots - guess))] if len(roots) else np.nan
