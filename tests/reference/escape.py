"""Twin of csrc/core/escape.c: plain inverse iteration on a dense matrix."""

import numpy as np


def quasi_stationary(W, most=2000):
    """(p, escape rate) of a W whose columns sum to minus the rate of leaving for good."""
    p = np.full(len(W), 1 / len(W))
    for _ in range(most):
        x = np.linalg.solve(-W, p)
        rate = 1 / x.sum()
        x *= rate
        if np.abs(x / p - 1).max() < 1e-13:
            return x, rate
        p = x
    raise RuntimeError("the twin did not converge")
