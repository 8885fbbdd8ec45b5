"""Pictures of sweeps and of predictions over ensembles; they need matplotlib."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rattling.plotting import current_axes, math_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from rattling.apriori import Comparison
    from rattling.sweeps import Sweep

_MAP = "cividis"


def plot_sweep(result: Sweep, name: str | None = None, ax: Axes | None = None) -> Axes:
    """Draw one value of a sweep: a line over one axis, a map over two, else dots by number.

    Parameters
    ----------
    result : Sweep
    name : str, optional
        Which of the values; the first number if not given.
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ValueError
        For a name that is not there, or a value that is no number.
    """
    numbers = [key for key, value in result.values.items() if value.ndim == 1 and value.dtype.kind in "biuf"]
    name = numbers[0] if name is None and numbers else name
    if name is None or name not in numbers:
        raise ValueError(f"name must be one of {', '.join(map(repr, numbers)) or 'the numbers (none)'}; got {name!r}")
    ax = current_axes(ax)
    values, axes = np.asarray(result[name], dtype=float), list(result.axes.items())
    drawable = all(np.asarray(ticks).dtype.kind in "iuf" for _, ticks in axes)
    if len(axes) == 1 and drawable:
        ax.plot(axes[0][1], values, "o-", color="C0", markersize=4, linewidth=1)
        ax.set(xlabel=math_name(axes[0][0]), ylabel=math_name(name))
    elif len(axes) == 2 and drawable:
        (first, x), (second, y) = axes
        image = ax.pcolormesh(x, y, np.ma.masked_invalid(values).T, shading="nearest", cmap=_MAP)
        ax.figure.colorbar(image, ax=ax, label=math_name(name), pad=0.02).outline.set_visible(False)
        ax.set(xlabel=math_name(first), ylabel=math_name(second), facecolor="0.85")
    else:
        ax.plot(np.arange(values.size), values.ravel(), "o", color="C0", markersize=4)
        ax.set(xlabel="point", ylabel=math_name(name))
    return ax


def plot_comparison(result: Comparison, ax: Axes | None = None) -> Axes:
    """Draw gamma as predicted without the steady state against gamma as it is.

    Parameters
    ----------
    result : rattling.apriori.Comparison
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes
    """
    ax = current_axes(ax)
    predictions = {"moment closure": result.gamma_closure, "weak disorder, each draw": result.gamma_sample}
    ends = []
    for marker, (label, predicted) in zip("os", predictions.items(), strict=True):
        good = np.isfinite(predicted) & np.isfinite(result.gamma)
        ax.plot(result.gamma[good], predicted[good], marker, markersize=4, alpha=0.7, label=label)
        ends += [*result.gamma[good], *predicted[good]]
    if ends:
        ax.plot([min(ends), max(ends)], [min(ends), max(ends)], color="0.4", linewidth=1, zorder=0)
    ax.legend(frameon=False)
    ax.set(xlabel=r"$\gamma$ of the steady state", ylabel=r"$\gamma$ predicted", aspect="equal")
    return ax
