"""Twin of csrc/core/evolve.c: the matrix exponential."""

import numpy as np
from scipy import linalg


def evolve(W, p0, t):
    """p(t) = e^{W t} p0 at each time, on a dense matrix."""
    return np.array([linalg.expm(W * when) @ p0 for when in t])
