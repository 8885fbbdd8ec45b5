"""Engineering with the law: mixed drives, designed noise, melting.

p ∝ exp(-γR)/Z needs no steady state, so that it can be optimised and tabulated cheaply. Each
answer here comes with the full solve beside it, since the law may be wrong.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from rattling._checks import number, real_array
from rattling.designs import Design, design_drives, design_noise
from rattling.mixtures import heat, mix
from rattling.results import Result
from rattling.verification import Verification, log_law, verify

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike

    from rattling.grids import Grid
    from rattling.models import Model

__all__ = ["Design", "Melting", "Verification", "design_drives", "design_noise", "heat", "melting", "mix", "verify"]


@dataclass(frozen=True, repr=False, eq=False)
class Melting(Result):
    """How order goes as temperature is added; made by :func:`melting`.

    Order is KL(p ‖ uniform) in nats.

    Attributes
    ----------
    temperature : ndarray, shape (n,)
    order_predicted, order_obtained : ndarray, shape (n,)
        By the law, and of the solved steady states.
    gamma : ndarray, shape (n,)
        Of the predictions.
    kl_explained, correlation : ndarray, shape (n,)
        Of the solved steady states, at their best γ.
    spread : ndarray, shape (n,)
        Standard deviation of R over the volume.
    """

    temperature: np.ndarray
    order_predicted: np.ndarray
    order_obtained: np.ndarray
    gamma: np.ndarray
    kl_explained: np.ndarray
    correlation: np.ndarray
    spread: np.ndarray

    _dims = {
        name: ("temperature",)
        for name in ("order_predicted", "order_obtained", "gamma", "kl_explained", "correlation", "spread")
    }
    _coords = {"temperature": "temperature"}

    def melting_temperature(self, share: float = 0.5) -> tuple[float, float]:
        """Where order falls to a share of what it is at the first temperature.

        Parameters
        ----------
        share : float
            Between 0 and 1.

        Returns
        -------
        predicted, obtained : float
            Interpolated; NaN where it does not fall so far.
        """
        if not 0 < number("share", share) < 1:
            raise ValueError(f"share must be between 0 and 1; got {share!r}")
        predicted, obtained = self.order_predicted, self.order_obtained
        return self._crossing(predicted / predicted[0], share), self._crossing(obtained / obtained[0], share)

    def _crossing(self, order: np.ndarray, share: float) -> float:
        below = np.flatnonzero(order <= share)
        if not below.size or below[0] == 0:
            return math.nan
        k = below[0]
        step = (order[k - 1] - share) / (order[k - 1] - order[k])
        return float(self.temperature[k - 1] + step * (self.temperature[k] - self.temperature[k - 1]))

    def plot(self, ax: Axes | None = None) -> Axes:
        """Order against temperature. Returns the axes."""
        from rattling.plotting import current_axes

        ax = current_axes(ax)
        ax.plot(self.temperature, self.order_obtained, "o-", label="steady state")
        ax.plot(self.temperature, self.order_predicted, "--", label=r"$\exp(-\gamma R)/Z$")
        ax.set(xlabel="temperature added", ylabel="order, nat", ylim=(0, None))
        ax.legend(frameon=False)
        return ax


def melting(model: Model, temperatures: ArrayLike, grid: Grid, *, gamma: float | None = None) -> Melting:
    """Order lost as temperature is added: R_T = ½ log det 2(D + T I).

    Parameters
    ----------
    model : Model
    temperatures : array_like, shape (n,)
        Increasing, >= 0, in units of D.
    grid : Grid
    gamma : float, optional
        For all temperatures. Default: at each as in `verify`.

    Returns
    -------
    Melting

    Raises
    ------
    ValueError
        For temperatures that are negative or do not increase.

    Notes
    -----
    Drift is not weakened by heat in the law, which knows R only: where drift makes the
    order, the prediction falls behind the truth.
    """
    temperatures = np.atleast_1d(real_array("temperatures", temperatures))
    if temperatures.ndim != 1 or temperatures.size == 0 or not (np.isfinite(temperatures) & (temperatures >= 0)).all():
        raise ValueError(f"temperatures must be a line of numbers >= 0; got shape {temperatures.shape}")
    if (np.diff(temperatures) <= 0).any():
        raise ValueError("temperatures must increase")
    rows = []
    for t in temperatures:
        check = verify(heat(model, float(t)), grid, gamma=gamma)
        share = grid.volumes / grid.volumes.sum()
        log_q = log_law(check.gamma, check.rattling, share)
        mean = np.sum(share * check.rattling)
        spread = math.sqrt(np.sum(share * (check.rattling - mean) ** 2))
        predicted = float(np.sum(np.exp(log_q) * (log_q - np.log(share))))
        rows.append(
            [
                predicted,
                check.scores.kl_uniform,
                check.gamma,
                check.scores.kl_explained,
                check.scores.correlation,
                spread,
            ]
        )
    return Melting(temperatures, *np.array(rows).T.copy())
