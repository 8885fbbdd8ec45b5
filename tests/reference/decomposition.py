"""Local-global decomposition, with NumPy's moments (twin of csrc/core/decomposition.c)."""

import numpy as np


def local_global(log_p, log_clock, weights=None):
    """(r, rho_hat, rho, gamma) over the states where both logarithms are finite."""
    used = np.isfinite(log_p) & np.isfinite(log_clock)
    p, clock = log_p[used], log_clock[used]
    w = np.ones(len(p)) if weights is None else weights[used]
    c = np.cov([-(p + clock), clock, -p], aweights=w, ddof=0)
    r = np.sqrt(c[0, 0] / c[1, 1])
    return r, c[0, 1] / np.sqrt(c[0, 0] * c[1, 1]), c[1, 2] / np.sqrt(c[1, 1] * c[2, 2]), c[1, 2] / c[1, 1]
