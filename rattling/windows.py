"""Rattling in windows of one path: the estimator of the 2021 paper, and a corrected one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from rattling import _core
from rattling._checks import choice, count, positive, read_threads, real_array
from rattling.results import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike

_DISPLACEMENTS = ("sqrt-time", "increments")


@dataclass(frozen=True, repr=False, eq=False)
class WindowedRattling(Result):
    """Rattling in windows of one path; made by :func:`windowed_rattling`.

    Attributes
    ----------
    rattling : ndarray, shape (n_windows,)
        R = ½ log det C per unit time; -inf where C is singular (something does not
        move), NaN where x is not known.
    t : ndarray, shape (n_windows,)
        Time of the first row of each window.
    dt : float
    window : float
        Length asked for, in units of time.
    n_rows : int
        Rows of x in a window.
    stride : int
        Rows from one window to the next.
    displacement : str
    dim : int
    stderr : float
        Standard error of each R, for increments that are Gaussian and alike within the
        window; NaN for "sqrt-time".
    """

    rattling: np.ndarray
    t: np.ndarray
    dt: float
    window: float
    n_rows: int
    stride: int
    displacement: str
    dim: int
    stderr: float = np.nan

    _dims = {"rattling": ("time",)}
    _coords = {"time": "t"}

    def smooth(self, n: int = 25) -> tuple[np.ndarray, np.ndarray]:
        """Running mean over n consecutive windows, as in the published figures.

        Parameters
        ----------
        n : int
            Windows averaged; the published analysis takes 25 of stride 1.

        Returns
        -------
        t, rattling : ndarray, shape (n_windows - n + 1,)
            Time of the first window of each mean, and the mean.

        Raises
        ------
        ValueError
            If there are fewer than n windows.

        References
        ----------
        P. Chvykov et al., Science 371, 90 (2021) and its public analysis code.
        """
        n, n_windows = count("n", n, 1), len(self.rattling)
        if n > n_windows:
            raise ValueError(f"n must be at most the number of windows, {n_windows}; got {n}")
        windows = np.lib.stride_tricks.sliding_window_view(self.rattling, n)
        return self.t[: n_windows - n + 1], windows.mean(axis=1)

    def plot(self, ax: Axes | None = None, *, smooth: int = 25) -> Axes:
        """R against time with its running mean over ``smooth`` windows.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
        smooth : int
            Windows averaged; 1 for none.

        Returns
        -------
        matplotlib.axes.Axes
        """
        from rattling.plotting_paths import plot_windowed_rattling

        return plot_windowed_rattling(self, ax=ax, smooth=smooth)


def windowed_rattling(
    x: ArrayLike, dt: float, window: float, *, stride: int = 1, displacement: str = "sqrt-time", threads: int | None = None
) -> WindowedRattling:
    """Rattling in windows of one path: the estimator of the 2021 paper, and a corrected one.

    In a window that begins at row i, ``v_k = (x_{i+k} - x_i)/√((k+1) dt)`` for k = 0, 1,
    ...; C is the sample covariance of v and R = ½ log det C.

    Parameters
    ----------
    x : array_like, shape (n_times, dim) or (n_times,)
        One path. NaN marks what is not known: windows that hold it get R = NaN.
    dt : float
        Time between rows, or its mean.
    window : float
        Length of a window in units of time, T. With w = int(T/dt), a window has w - 1
        rows, i ... i+w-2, and there are ``(n_times - w)//stride + 1``, as in the
        published code.
    stride : int
        Rows from one window to the next.
    displacement : {"sqrt-time", "increments"}
        "sqrt-time" as above. "increments", the corrected variant: ``v_k = (x_{k+1} -
        x_k)/√dt``, whose covariance is 2D for white noise, and R without the bias that the
        log det of a sample covariance has.
    threads : int, optional
        At most so many threads; as many as the process may use if not given. Results do not
        depend on it.

    Returns
    -------
    WindowedRattling

    Raises
    ------
    ValueError
        For a window that is longer than the path, or too short for its covariance to
        have full rank; infinite x.

    Notes
    -----
    "sqrt-time" is kept for comparison with the literature. For Brownian motion it gives
    E C = 2D/3, and however many rows a window has, its C is worth only about 6, 10, 17
    independent displacements in 1, 3, 7 dimensions, since all start at the same state. So
    R is on average .66, 1.45, 2.3, 6.6 lower than ½ log det 2D in 1, 2, 3, 7 dimensions
    (114 rows), and scatters with the standard deviations .31, .40, .45, .53, whatever
    the length of the window: a slope of log p on it is too small. "increments" has no bias and
    scatters with `stderr` about ½ log det 2D where C does not change within the window; but it
    is R at the lag dt, without the motion that a window adds, and its drift is the
    window's mean. :func:`estimate_rattling` gives R at states, not along a path.

    References
    ----------
    P. Chvykov et al., Science 371, 90 (2021) and its public analysis code.

    Examples
    --------
    >>> import numpy as np
    >>> import rattling
    >>> path = np.cumsum(np.random.default_rng(1).normal(size=(1000, 2)), axis=0)
    >>> rattling.windowed_rattling(path, dt=0.1, window=10.0).rattling.shape
    (901,)
    """
    x = real_array("x", x)
    if x.ndim == 1:
        x = x[:, None]
    if x.ndim != 2 or x.shape[1] < 1:
        raise ValueError(f"x must have shape (n_times, dim) or (n_times,), but it has {x.shape}")
    if np.isinf(x).any():
        row, column = np.argwhere(np.isinf(x))[0]
        raise ValueError(f"x must not be infinite; row {row}, column {column} is {x[row, column]}")
    dt = float(positive("dt", dt))
    window = float(positive("window", window))
    stride = count("stride", stride, 1, bits=63)
    choice("displacement", displacement, _DISPLACEMENTS)
    n_times, dim = x.shape
    if window / dt >= n_times + 1:
        raise ValueError(
            f"x has {n_times} rows, fewer than the {window / dt:.6g} that a window of {window:g} needs"
        )
    width = int(window / dt)
    n_rows = width - 1
    needed = dim + 1 + _DISPLACEMENTS.index(displacement)
    if n_rows < max(needed, 3):
        raise ValueError(
            f"a window of {window:g} has {max(n_rows, 0)} rows, but in {dim} dimensions at least"
            f" {max(needed, 3)} are needed; take a longer window"
        )
    n_windows = (n_times - width) // stride + 1
    kind = _DISPLACEMENTS.index(displacement)
    threads = read_threads(threads)
    r = _core.windowed(x, dt, n_rows, stride, kind, n_windows, None, threads)
    bias, variance = _core.log_det_law(dim, n_rows - 2) if displacement == "increments" else (0.0, np.nan)
    t = np.arange(n_windows) * (stride * dt)
    return WindowedRattling(
        r - bias, t, dt, window, n_rows, stride, displacement, dim, stderr=float(np.sqrt(variance))
    )
