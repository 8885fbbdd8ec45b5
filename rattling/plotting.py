"""Pictures of densities, currents, fields and the law; they need matplotlib.

Every function draws into the axes it is given and returns them. Colour maps are
perceptually uniform; cells without a value are grey.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from rattling.results import import_extra, with_error

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import ArrayLike

    from rattling.decomposition import LocalGlobal
    from rattling.grids import Grid
    from rattling.typicality import Typicality

__all__ = ["plot_agreement", "plot_chain", "plot_density", "plot_field", "plot_local_global", "plot_typicality"]

_DENSITY_MAP = "magma_r"
_FIELD_MAP = "cividis"
_DIVERGING_MAP = "RdBu_r"
_MISSING = "0.85"
_DECADES = 6  # of a density, shown in colours
_FEW = 60  # states, up to which each has its stem
_MANY = 4000  # points, from which on a cloud is drawn as hexagons


def current_axes(ax: Axes | None = None) -> Axes:
    """The axes given, or pyplot's current ones."""
    if ax is None:
        ax = import_extra("matplotlib.pyplot", "plot").gca()
    if not hasattr(ax, "plot"):
        raise TypeError(f"ax must be one matplotlib Axes, not {type(ax).__name__}")
    return ax


def plot_density(
    ax: Axes | None,
    grid: Grid,
    density: np.ndarray,
    current: np.ndarray | None = None,
    *,
    variables: tuple[str, ...] | None = None,
    axes: tuple[int, int] = (0, 1),
) -> Axes:
    """Draw a probability density, with the current as streamlines in two dimensions.

    Colours (the axis, in one dimension) are logarithmic where the density spans more
    than two decades, and end six decades below the maximum. Streamlines are thick where
    the current is strong.

    Parameters
    ----------
    ax : matplotlib.axes.Axes or None
    grid : Grid
    density : ndarray, shape ``grid.shape``
    current : ndarray, shape (dim, *grid.shape), optional
    variables : sequence of str, optional
        Names of the coordinates.
    axes : (int, int)
        Axes to show in more than two dimensions; the others are integrated out.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ValueError
        For arrays that do not fit the grid, or a density that is nowhere positive.
    """
    density = _fit("density", density, grid.shape)
    if current is not None:
        current = _fit("current", current, (grid.dim, *grid.shape))
    if not np.nanmax(density) > 0:
        raise ValueError("density must be positive somewhere")
    ax = current_axes(ax)
    names = _names(grid, variables)
    if grid.dim == 1:
        return _plot_line_density(ax, grid, density, current, names[0])
    x, y, density, current = _plane(grid, density, current, axes)
    top = np.nanmax(density)
    low = max(np.nanmin(density), top * 10.0**-_DECADES)
    logarithmic = np.nanmin(density) < 0.01 * top
    norm = import_extra("matplotlib.colors", "plot").LogNorm(low, top, clip=True) if logarithmic else None
    image = _image(ax, x, y, density, cmap=_DENSITY_MAP, norm=norm)
    _colour_bar(ax, image, "probability density", extend="min" if np.nanmin(density) < low else "neither")
    if current is not None:
        _stream(ax, x, y, current)
    return _finish_map(ax, x, y, [names[k] for k in axes])


def plot_chain(probability: np.ndarray, ax: Axes | None = None) -> Axes:
    """Draw the probability of each state of a chain.

    Parameters
    ----------
    probability : ndarray, shape (n,)
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes
    """
    ax = current_axes(ax)
    top = probability.max()
    few = len(probability) <= _FEW
    ax.plot(np.arange(len(probability)), probability, "o" if few else ".", color="C0", markersize=4 if few else 2)
    positive = probability[probability > 0]
    if positive.min() < 0.01 * top:
        ax.set_yscale("log")
        ax.set_ylim(max(positive.min(), top * 1e-12) / 2, top * 2)
    else:
        ax.set_ylim(bottom=0)
    if few:
        ax.vlines(np.arange(len(probability)), ax.get_ylim()[0], probability, color="C0", linewidth=1)
    ax.xaxis.get_major_locator().set_params(integer=True)  # type: ignore[call-arg]  # it is a MaxNLocator
    ax.set(xlabel="state", ylabel=r"probability $\pi$")
    return ax


def plot_convergence(history: Sequence[float], ax: Axes | None = None) -> Axes:
    """Draw the residual after each step of a solver.

    Parameters
    ----------
    history : sequence of float
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ValueError
        For an empty history: a direct method or a closed form, which does not iterate.
    """
    if len(history) == 0:
        raise ValueError("history is empty: this steady state was found without iterations")
    ax = current_axes(ax)
    ax.semilogy(np.arange(1, len(history) + 1), history, "o-", color="C0", markersize=4, linewidth=1)
    ax.xaxis.get_major_locator().set_params(integer=True)  # type: ignore[call-arg]  # it is a MaxNLocator
    ax.set(xlabel="step on the finest grid", ylabel="largest relative residual")
    return ax


def plot_field(
    ax: Axes | None,
    grid: Grid,
    field: np.ndarray,
    *,
    label: str | None = None,
    variables: Sequence[str] | None = None,
    diverging: bool = False,
    limits: tuple[float, float] | None = None,
    axes: tuple[int, int] = (0, 1),
) -> Axes:
    """Draw a field on a grid: a line in one dimension, a map in two.

    Parameters
    ----------
    ax : matplotlib.axes.Axes or None
    grid : Grid
    field : ndarray, shape ``grid.shape``
        NaN where there is no value.
    label : str, optional
        What the field is.
    variables : sequence of str, optional
        Names of the coordinates.
    diverging : bool
        Two colours with white at 0.
    limits : (float, float), optional
        Values at the ends of the colours; else the range, without
        the outermost 0.2 % of cells where these are far out.
    axes : (int, int)
        Axes to show in more than two dimensions; the field is averaged over the others.

    Returns
    -------
    matplotlib.axes.Axes
    """
    field = _fit("field", field, grid.shape)
    ax = current_axes(ax)
    names = _names(grid, variables)
    if grid.dim == 1:
        ax.plot(grid.centres(0), field, color="C0")
        if diverging:
            ax.axhline(0, color="0.5", linewidth=0.8, zorder=0)
        ax.set(xlabel=math_name(names[0]), ylabel=label, xlim=grid.bounds[0])
        return ax
    if grid.dim > 2:
        others = tuple(k for k in range(grid.dim) if k not in axes)
        field = np.nanmean(field, axis=others)
        field = field if axes[0] < axes[1] else field.T
    low, high = _limits(field, diverging) if limits is None else limits
    image = _image(
        ax,
        grid.edges(axes[0]),
        grid.edges(axes[1]),
        field,
        cmap=_DIVERGING_MAP if diverging else _FIELD_MAP,
        vmin=low,
        vmax=high,
    )
    _colour_bar(ax, image, label, extend=_extend(field, low, high))
    return _finish_map(ax, grid.edges(axes[0]), grid.edges(axes[1]), [names[k] for k in axes])


def plot_typicality(result: Typicality, ax: Axes | None = None) -> Axes:
    """Draw log p against R and the line of slope -gamma.

    Parameters
    ----------
    result : Typicality
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes
    """
    ax = current_axes(ax)
    used = np.isfinite(result.log_p) & np.isfinite(result.rattling)
    r, log_p = result.rattling[used], result.log_p[used]
    _cloud(ax, r, log_p)
    if np.isfinite(result.gamma):
        ends = np.array([r.min(), r.max()])
        middle = np.nanmean(result.log_p + result.gamma * result.rattling - result.residual)
        text = with_error(result.gamma, result.gamma_stderr).replace("±", r"\pm")
        ax.plot(ends, middle - result.gamma * ends, color="C3", linewidth=2, label=rf"$\gamma = {text}$")
        ax.legend(loc="best", frameon=False, title=f"correlation {result.correlation:.3f}")
    ax.set(xlabel="rattling $R$", ylabel=r"$\log\, p$")
    ax.locator_params(axis="x", nbins=6)  # where R is constant, ticks have many digits
    return ax


def plot_local_global(result: LocalGlobal, ax: Axes | None = None) -> Axes:
    """Draw log psi against log of the clock, and log psi's mean.

    Parameters
    ----------
    result : LocalGlobal
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes
    """
    ax = current_axes(ax)
    used = np.isfinite(result.jump_chain) & (result.jump_chain > 0)
    _cloud(ax, np.log(result.clock_rates[used]), np.log(result.jump_chain[used]))
    ax.axhline(np.log(result.jump_chain[used]).mean(), color="C3", linewidth=2)
    ax.set_title(rf"$r = {result.r:.3g}$, $\hat\rho = {result.rho_hat:.3f}$, $\rho = {result.rho:.3f}$")
    ax.set(xlabel=rf"$\log\, \lambda$ ({result.clock})", ylabel=r"$\log\, \psi$")
    return ax


def plot_agreement(
    ax: Axes | None, exact: np.ndarray, estimated: np.ndarray, *, stderr: np.ndarray | None = None, label: str = "$R$"
) -> Axes:
    """Draw estimated against exact values, and the diagonal.

    Parameters
    ----------
    ax : matplotlib.axes.Axes or None
    exact, estimated : ndarray of one shape
        Pairs with a NaN are left out.
    stderr : ndarray, optional
        Standard errors of the estimates; drawn as bars where there are few points.
    label : str
        What it is.

    Returns
    -------
    matplotlib.axes.Axes
    """
    ax = current_axes(ax)
    good = np.isfinite(exact) & np.isfinite(estimated)
    exact, estimated = np.asarray(exact)[good], np.asarray(estimated)[good]
    if stderr is not None and good.sum() <= 100:
        ax.errorbar(exact, estimated, np.asarray(stderr)[good], fmt="o", color="C0", markersize=3, linewidth=0.8)
    else:
        _cloud(ax, exact, estimated)
    if exact.size:
        ends = [exact.min(), exact.max()]
        ax.plot(ends, ends, color="C3", linewidth=2)
    ax.set(xlabel=f"exact {label}", ylabel=f"estimated {label}", aspect="equal")
    return ax


def demo_figure(
    grid: Grid,
    density: np.ndarray,
    current: np.ndarray,
    exact: np.ndarray,
    estimated: np.ndarray | tuple[Grid, np.ndarray],
    result: Typicality,
    *,
    variables: tuple[str, ...] | None = None,
    title: str | None = None,
) -> Figure:
    """One figure of six panels: the path from a model to its typicality.

    Steady state with current; exact and estimated rattling in one colour scale; one
    against the other; log p against R with the fitted line; the residual field.

    Parameters
    ----------
    grid : Grid
        Two-dimensional.
    density : ndarray, shape ``grid.shape``
    current : ndarray, shape (2, *grid.shape)
    exact, estimated : ndarray, shape ``grid.shape``
        R; NaN in the estimate where there are too few data. The estimate may have
        another shape: then it is given as a pair (grid, array).
    result : Typicality
        With the shape of the grid.
    variables : sequence of str, optional
    title : str, optional

    Returns
    -------
    matplotlib.figure.Figure
        Not known to pyplot; ``figure.savefig(path)`` writes it.
    """
    figure: Figure = import_extra("matplotlib.figure", "plot").Figure(figsize=(13, 7.6), layout="constrained")
    panels = figure.subplots(2, 3)
    coarse, values = estimated if isinstance(estimated, tuple) else (grid, estimated)
    limits = _limits(exact, False)
    plot_density(panels[0, 0], grid, density, current, variables=variables)
    plot_field(panels[0, 1], grid, exact, label="$R$", variables=variables, limits=limits)
    plot_field(panels[0, 2], coarse, values, label="$R$", variables=variables, limits=limits)
    plot_typicality(result, panels[1, 0])
    plot_field(
        panels[1, 1], grid, result.residual, label=r"$\log\, p + \gamma R$ $-$ mean", variables=variables, diverging=True
    )
    plot_agreement(panels[1, 2], _at_cells(grid, exact, coarse), values)
    titles = (
        "steady state and current",
        "exact rattling",
        "rattling from trajectories",
        r"the law $p \propto e^{-\gamma R}$",
        "what the law leaves",
        "estimate against exact",
    )
    for letter, text, ax in zip("abcdef", titles, panels.flat, strict=True):
        ax.set_title(f"({letter}) {text}", loc="left", fontsize=11)
    if title is not None:
        figure.suptitle(title, fontsize=13)
    return figure


# --- parts ------------------------------------------------------------------------------


def _fit(name: str, values: ArrayLike, shape: tuple[int, ...]) -> np.ndarray:
    values = np.asarray(values, dtype=float)
    if values.shape != shape:
        raise ValueError(f"{name} must have shape {shape}, as the grid says; got {values.shape}")
    return values


def _names(grid: Grid, variables: Sequence[str] | None) -> tuple[str, ...]:
    if variables is None:
        return ("x", "y", "z")[: grid.dim] if grid.dim <= 3 else tuple(f"x{k}" for k in range(grid.dim))
    if len(variables) != grid.dim:
        raise ValueError(f"variables must name the {grid.dim} axes of the grid; got {tuple(variables)}")
    return tuple(map(str, variables))


def math_name(name: str) -> str:
    """A variable as matplotlib sets it: theta -> θ, x0 -> x with an index."""
    greek = (
        "alpha beta gamma delta epsilon zeta eta theta kappa lambda mu nu xi pi rho sigma tau phi chi psi omega"
    ).split()
    stem = name.rstrip("0123456789")
    index = name[len(stem) :]
    stem = stem.removesuffix("_")
    if not stem.isalnum():
        return name
    body = f"\\{stem}" if stem in greek else stem if len(stem) == 1 else rf"\mathrm{{{stem}}}"
    return f"${body}_{{{index}}}$" if index else f"${body}$"


def _plane(grid: Grid, density: np.ndarray, current: np.ndarray | None, axes: Any) -> Any:
    """Edges of the two axes shown, and the density and current integrated over the rest."""
    others = tuple(k for k in range(grid.dim) if k not in axes)
    cell = np.prod([np.diff(grid.edges(k))[0] for k in others])
    density = density.sum(axis=others) * cell
    turned = axes[0] > axes[1]
    density = density.T if turned else density
    if current is not None:
        shown = [current[k].sum(axis=others) * cell for k in axes]
        current = np.array([part.T for part in shown] if turned else shown)
    return grid.edges(axes[0]), grid.edges(axes[1]), density, current


def _plot_line_density(
    ax: Axes, grid: Grid, density: np.ndarray, current: np.ndarray | None, name: str
) -> Axes:
    x = grid.centres(0)
    ax.plot(x, density, color="C0")
    top = np.nanmax(density)
    if np.nanmin(density) < 0.01 * top:
        ax.set_yscale("log")
        ax.set_ylim(max(np.nanmin(density), top * 1e-12) / 2, top * 2)
    else:
        ax.fill_between(x, density, color="C0", alpha=0.15, linewidth=0)
        ax.set_ylim(bottom=0)
    if current is not None and np.abs(current).max() > 1e-12 * top:
        ax.set_title(f"$J = {_scientific(current.mean())}$", loc="right", fontsize=10)
    ax.set(xlabel=math_name(name), ylabel="probability density", xlim=grid.bounds[0])
    return ax


def _scientific(value: float) -> str:
    mantissa, _, exponent = f"{value:.3g}".partition("e")
    return rf"{mantissa} \times 10^{{{int(exponent)}}}" if exponent else mantissa


def _image(ax: Axes, x: np.ndarray, y: np.ndarray, values: np.ndarray, **style: Any) -> Any:
    ax.set_facecolor(_MISSING)
    return ax.pcolormesh(x, y, np.ma.masked_invalid(values).T, shading="flat", rasterized=True, **style)


def _colour_bar(ax: Axes, image: Any, label: str | None, extend: str = "neither") -> None:
    bar = ax.figure.colorbar(image, ax=ax, extend=extend, pad=0.02)
    bar.outline.set_visible(False)
    if label:
        bar.set_label(label)


def _finish_map(ax: Axes, x: np.ndarray, y: np.ndarray, names: Sequence[str]) -> Axes:
    ax.set(xlabel=math_name(names[0]), ylabel=math_name(names[1]), xlim=(x[0], x[-1]), ylim=(y[0], y[-1]))
    width, height = x[-1] - x[0], y[-1] - y[0]
    if 0.4 < width / height < 2.5:
        ax.set_aspect("equal")
    return ax


def _stream(ax: Axes, x: np.ndarray, y: np.ndarray, current: np.ndarray) -> None:
    """Streamlines whose width is the square root of the current's size."""
    u, v = (np.nan_to_num(part).T for part in current)
    size = np.hypot(u, v)
    if not size.max() > 0:
        return
    strength = np.sqrt(size / size.max())
    u = np.where(size > 1e-4 * size.max(), u, np.nan)  # lines end where nothing flows
    ax.streamplot(
        0.5 * (x[1:] + x[:-1]),
        0.5 * (y[1:] + y[:-1]),
        u,
        v,
        density=1.0,
        minlength=0.25,
        linewidth=0.2 + 2.2 * strength,
        color="white",
        arrowsize=0.9,
        broken_streamlines=True,
    )


def _limits(field: np.ndarray, diverging: bool) -> tuple[float, float]:
    """The range; without the outermost cells where these few would take all colours."""
    good = field[np.isfinite(field)]
    if good.size == 0:
        return 0.0, 1.0
    low, high = np.quantile(good, [0.002, 0.998])
    if np.ptp(good) < 1.5 * (high - low):
        low, high = good.min(), good.max()
    if diverging:
        high = max(abs(low), abs(high))
        low = -high
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _extend(field: np.ndarray, low: float, high: float) -> str:
    """Which ends of a colour bar get an arrow."""
    slack = 1e-9 * (high - low)
    under, over = np.nanmin(field, initial=np.inf) < low - slack, np.nanmax(field, initial=-np.inf) > high + slack
    return {(False, False): "neither", (True, False): "min", (False, True): "max", (True, True): "both"}[under, over]


def _cloud(ax: Axes, x: np.ndarray, y: np.ndarray) -> None:
    """Points; for many of them hexagons coloured by their number."""
    if x.size <= _MANY:
        ax.plot(x, y, ".", color="C0", markersize=3, alpha=0.5, rasterized=True)
    else:
        style: dict[str, Any] = {"gridsize": 70, "bins": "log", "mincnt": 1, "linewidths": 0.2, "rasterized": True}
        hexagons = ax.hexbin(x, y, cmap="Blues", **style)
        low, high = hexagons.get_clim()
        hexagons.set_clim(low / (high / low) ** 0.15, high)  # few points are not white


def _at_cells(grid: Grid, field: np.ndarray, coarse: Grid) -> np.ndarray:
    """A field at the centres of another grid: the value of the cell that holds it."""
    if coarse == grid:
        return field
    index = [
        np.clip(np.searchsorted(grid.edges(k), coarse.centres(k), side="right") - 1, 0, grid.shape[k] - 1)
        for k in range(grid.dim)
    ]
    return field[np.ix_(*index)]
