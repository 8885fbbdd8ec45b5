"""Pictures of paths and of rattling estimated from them; they need matplotlib."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from rattling.plotting import current_axes, math_name, plot_field
from rattling.results import import_extra, with_error

if TYPE_CHECKING:

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from rattling.estimators import RattlingField
    from rattling.gamma import GammaFit
    from rattling.trajectories import Trajectories
    from rattling.windows import WindowedRattling

_RAW = "0.72"
_MEAN = "C0"
_PATHS = "viridis"


def plot_trajectories(trajectories: Trajectories, ax: Axes | None = None, *, n_paths: int = 10) -> Axes:
    """Draw paths: in the plane in two dimensions, with a dot where each ends, against
    time in others.

    Parameters
    ----------
    trajectories : Trajectories
    ax : matplotlib.axes.Axes, optional
    n_paths : int
        How many, the first ones; in three and more dimensions the first alone.

    Returns
    -------
    matplotlib.axes.Axes
    """
    ax = current_axes(ax)
    x, t = trajectories.x[: max(1, n_paths)], trajectories.t
    names = [math_name(name) for name in trajectories.names]
    x = _cut_at_seams(x, trajectories.period)
    colours = import_extra("matplotlib", "plot").colormaps[_PATHS](np.linspace(0, 0.9, len(x)))
    if trajectories.dim == 2:
        for path, colour in zip(x, colours, strict=True):
            ax.plot(path[:, 0], path[:, 1], color=colour, linewidth=0.6, alpha=0.7)
        ax.scatter(x[:, -1, 0], x[:, -1, 1], c=colours, s=16, zorder=3)
        ax.set(xlabel=names[0], ylabel=names[1], aspect="equal")
        return ax
    if trajectories.dim == 1:
        for path, colour in zip(x, colours, strict=True):
            ax.plot(t, path[:, 0], color=colour, linewidth=0.7)
        ax.set(xlabel="time", ylabel=names[0])
    else:
        for name, values in zip(names, x[0].T, strict=True):
            ax.plot(t, values, linewidth=0.7, label=name)
        ax.set(xlabel="time", ylabel="coordinate")
        ax.legend(frameon=False, ncols=3)
    ax.set_xlim(t[0], t[-1] if len(t) > 1 else None)
    return ax


def plot_rattling_field(field: RattlingField, ax: Axes | None = None) -> Axes:
    """Draw estimated R: with bars of one standard error in one dimension, else a map.

    Parameters
    ----------
    field : RattlingField
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes
    """
    assert field.grid is not None, "there is no picture of R at points"
    if field.grid.dim > 1:
        return plot_field(ax, field.grid, field.rattling, label="$R$", variables=field.variables)
    ax = current_axes(ax)
    ax.errorbar(field.grid.centres(0), field.rattling, field.stderr, fmt="o", markersize=3, linewidth=0.8)
    name = math_name(field.variables[0] if field.variables else "x")
    ax.set(xlabel=name, ylabel="rattling $R$", xlim=field.grid.bounds[0])
    return ax


def plot_gamma_fit(fit: GammaFit, ax: Axes | None = None) -> Axes:
    """Draw the log density of visits against R, cell by cell, and the fitted law.

    Parameters
    ----------
    fit : GammaFit
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes
    """
    ax = current_axes(ax)
    used = np.isfinite(fit.rattling) & (fit.counts > 0)
    r, counts = fit.rattling[used], fit.counts[used]
    log_p = np.log(counts / fit.counts.sum() / fit.grid.volumes[used])
    bars = {"xerr": fit.rattling_stderr[used], "elinewidth": 0.5, "ecolor": _RAW}
    ax.errorbar(r, log_p, fmt=".", color=_MEAN, markersize=3, **bars)
    if r.size and np.isfinite(fit.gamma):
        middle = np.average(log_p + fit.gamma * r, weights=counts)
        ends = np.array([r.min(), r.max()])
        text = with_error(fit.gamma, fit.stderr).replace("±", r"\pm")
        ax.plot(ends, middle - fit.gamma * ends, color="C3", linewidth=2, label=rf"$\gamma = {text}$", zorder=3)
        ax.legend(frameon=False)
    ax.set(xlabel="rattling $R$", ylabel=r"$\log\, p$")
    return ax


def plot_windowed_rattling(
    result: WindowedRattling, ax: Axes | None = None, *, smooth: int = 25, label: str | None = None
) -> Axes:
    """Draw R of each window, and its running mean, against the window's first time.

    Parameters
    ----------
    result : WindowedRattling
    ax : matplotlib.axes.Axes, optional
    smooth : int
        Windows averaged; 1 for none.
    label : str, optional
        Name of the vertical axis.

    Returns
    -------
    matplotlib.axes.Axes
    """
    ax = current_axes(ax)
    known = np.where(np.isfinite(result.rattling), result.rattling, np.nan)
    smooth = min(smooth, len(known))
    single: dict[str, Any] = {"color": _RAW, "linewidth": 0.6, "rasterized": True, "label": "one window"}
    ax.plot(result.t, known, **(single if smooth > 1 else {"color": _MEAN, "linewidth": 0.9}))
    if smooth > 1:
        ax.plot(*result.smooth(smooth), color=_MEAN, linewidth=1.1, label=f"running mean of {smooth} windows")
    ax.set(xlabel="time", ylabel=label or "rattling $R$")
    if len(result.t) > 1:
        ax.set_xlim(result.t[0], result.t[-1])
    ax.margins(y=0.06)
    return ax


def smarticle_figure(results: Any, name: str) -> Figure:
    """R over time in each coordinate set, one panel below the other, and its distribution.

    Parameters
    ----------
    results : dict of WindowedRattling
        By what the coordinates are.
    name : str
        Of the track.

    Returns
    -------
    matplotlib.figure.Figure
        Not known to pyplot; ``figure.savefig(path)`` writes it.
    """
    figure: Figure = import_extra("matplotlib.figure", "plot").Figure(
        figsize=(8.4, 2.5 * len(results) + 0.9), dpi=160
    )
    figure.set_layout_engine("constrained")
    panels = figure.subplots(len(results), 2, sharex="col", sharey="row", squeeze=False, width_ratios=[6, 1])
    for letter, (ax, side), (what, result) in zip("abcd", panels, results.items(), strict=False):
        plot_windowed_rattling(result, ax)
        ax.set_title(f"({letter}) {what}", loc="left", fontsize=10)
        finite = result.rattling[np.isfinite(result.rattling)]
        if finite.size:
            side.hist(finite, bins=40, density=True, orientation="horizontal", color=_RAW)
        side.tick_params(left=False, bottom=False, labelbottom=False)
        side.spines[["top", "right", "bottom"]].set_visible(False)
        ax.spines[["top", "right"]].set_visible(False)
        ax.set_xlabel("")
    first = next(iter(results.values()))
    panels[-1, 0].set_xlabel(f"time at which the window begins (s); windows of {first.window:g} s")
    panels[-1, 1].set_xlabel("share of\nwindows")
    figure.suptitle(name, fontsize=11)
    handles, labels = panels[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    return figure


def _cut_at_seams(x: np.ndarray, period: np.ndarray) -> np.ndarray:
    """NaN where a path steps across the seam of a periodic axis, so that no line is drawn."""
    x = x.copy()
    jump = np.abs(np.diff(x, axis=1)) > 0.5 * np.where(period > 0, period, np.inf)
    x[:, 1:][jump.any(axis=2)] = np.nan
    return x
