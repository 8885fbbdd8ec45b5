"""The study of typicality.md: computes, draws its figures and writes its tables.

    python docs/studies/typicality.py [--workers N]      (make studies)

Points computed are kept in build/studies, so that a second run only draws.
"""

import argparse
import io
import re
import warnings
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.ticker import NullLocator
from PIL import Image
from scipy import stats

import rattling as rt
from rattling import apriori, blowtorch, systems

HERE = Path(__file__).parent
KEPT = HERE.parents[1] / "build" / "studies"
CELLS = {1: 128, 2: 40, 3: 12}
FINER = {2: 64, 3: 18}  # for drift
LENGTH = {1: 0.8, 2: 0.8, 3: 1.3}  # correlation length of the fields; the box has the side 2π
DRAWS = range(20)
STYLE = {
    "isotropic": "o-",
    "tensor": "s--",
    "product": "^:",
    "gradient": "o-",
    "compressive": "s--",
    "solenoidal": "^:",
}


# --- systems ---------------------------------------------------------------------------------


def box(dim, cells=CELLS):
    return rt.Grid([(0, 2 * np.pi)] * dim, cells[dim], "periodic")


class Product:
    """D_i a function of x_i alone."""

    def __init__(self, lines):
        self.lines = lines

    def __call__(self, x):
        return np.array([line.diffusion(x[k : k + 1])[0, 0] for k, line in enumerate(self.lines)])


def medium(dim, noise, disorder, rng):
    """Noise without drift."""
    if noise == "product":
        lines = [
            systems.random_diffusion(1, amplitude=disorder, correlation_length=LENGTH[dim], rng=rng) for _ in range(dim)
        ]
        return rt.Model(np.zeros_like, Product(lines), dim=dim)
    return systems.random_diffusion(dim, kind=noise, amplitude=disorder, correlation_length=LENGTH[dim], rng=rng)


class Gradient:
    """f = -D ∇V: no current."""

    def __init__(self, noise, force):
        self.noise, self.force = noise, force

    def __call__(self, x):
        return self.noise.diffusion(x)[0, 0] * self.force.drift(x)


def driven(dim, drift, force, disorder, rng):
    """Isotropic noise and a drift."""
    options = {"correlation_length": LENGTH[dim], "rng": rng}
    noise = systems.random_diffusion(dim, amplitude=disorder, **options)
    if force == 0:
        return noise
    push = systems.random_force(dim, force=force, solenoidal=float(drift == "solenoidal"), disorder=0, **options)
    move = Gradient(noise, push) if drift == "gradient" else push.drift
    return rt.Model(move, lambda x: noise.diffusion(x)[0, 0], dim=dim)


# --- points of the sweeps ----------------------------------------------------------------------


def solve(model, grid):
    """Deep wells far apart can keep the iteration from its tolerance: elimination does not mind."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rt.AccuracyWarning)  # it is in the tables
        try:
            return rt.steady_state(model, grid)
        except rt.ConvergenceError:
            return rt.steady_state(model, box(grid.dim), method="direct")


def scores_of(model, grid):
    state = solve(model, grid)
    grid = state.grid
    law = rt.typicality(state.log_density, rt.exact_rattling(model, grid), volume=grid.volumes)
    weak = apriori.weak_disorder(model, grid)
    return {
        "gamma": law.gamma_kl,
        "rho": law.correlation,
        "kl": law.kl_explained,
        "kl_uniform": law.kl_uniform,
        "rho_weak": weak.rho_sample,
        "gamma_weak": weak.gamma_sample,
        "gamma_closure": apriori.moment_closure(model, grid),
        "peclet": weak.peclet,
        "error": state.info["discretisation_error"],
    }


def noise_point(dim, noise, disorder, draw, rng):
    return scores_of(medium(dim, noise, disorder, rng), box(dim))


def drift_point(dim, drift, force, draw, rng):
    return scores_of(driven(dim, drift, force, 0.3, rng), box(dim, FINER))


def chain_point(barriers, forces, draw, rng):
    chain = systems.wells_barriers_forces(1, barriers, forces, size=8, rng=rng)
    state = rt.steady_state(chain)
    law = rt.typicality(state.log_density, np.log(chain.exit_rates))
    parts = rt.local_global(state)
    return {
        "gamma": law.gamma_kl,
        "rho": law.correlation,
        "kl": law.kl_explained,
        "r": parts.r,
        "rho_hat": parts.rho_hat,
    }


def sweep(name, function, executor, **axes):
    KEPT.mkdir(parents=True, exist_ok=True)
    result = rt.sweep(function, {**axes, "draw": DRAWS}, rng=1, executor=executor, checkpoint=KEPT / f"{name}.sweep")
    assert result.n_failed == 0, next(filter(None, result.tracebacks))
    return result


# --- what is drawn ------------------------------------------------------------------------------


def mean(values):
    """Mean over the last axis, and half of its 95 % interval (Student's t)."""
    n = values.shape[-1]
    return values.mean(-1), stats.t.ppf(0.975, n - 1) * values.std(-1, ddof=1) / np.sqrt(n)


def with_interval(values, digits=2):
    m, half = mean(values)
    return f"{m:.{digits}f} ± {half:.{digits}f}"


def errorbars(ax, x, values, style, **options):
    m, half = mean(values)
    ax.errorbar(x, m, half, fmt=style, markersize=4, capsize=2, linewidth=1, **options)


def save(figure, name):
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=100)
    plt.close(figure)
    colours = Image.open(buffer).convert("RGB").quantize(48)
    colours.save(HERE / f"typicality-{name}.png", optimize=True)


def table(head, rows):
    lines = ["| " + " | ".join(row) + " |" for row in (head, ["---"] * len(head), *rows)]
    return "\n".join(lines)


def write_tables(tables):
    """Between the markers of the page."""
    page = HERE / "typicality.md"
    text = page.read_text()
    for name, content in tables.items():
        pattern = rf"(<!-- table {name} -->\n).*?(<!-- end -->)"
        assert re.search(pattern, text, re.S), f"{page.name} has no place for table {name}"
        text = re.sub(pattern, lambda m, content=content: f"{m[1]}\n{content}\n\n{m[2]}", text, flags=re.S)
    page.write_text(text)


# --- the parts ------------------------------------------------------------------------------------


def noise(executor):
    amplitudes = [0.1, 0.3, 1.0]
    found = {1: sweep("noise1", noise_point, executor, dim=[1], noise=["isotropic"], disorder=amplitudes)}
    for dim in (2, 3):
        found[dim] = sweep(
            f"noise{dim}",
            noise_point,
            executor,
            dim=[dim],
            noise=["isotropic", "tensor", "product"],
            disorder=amplitudes,
        )
    figure, axes = plt.subplots(1, 3, figsize=(9.6, 3.1))
    rows = []
    for dim, result in found.items():
        for k, kind in enumerate(result.axes["noise"]):
            x = np.array(amplitudes) * (1 + 0.05 * (dim - 2))
            for ax, score in zip(axes, ("gamma", "rho", "kl"), strict=True):
                errorbars(ax, x, result[score][0, k], STYLE[kind], color=f"C{dim - 1}", label=f"{kind}, d = {dim}")
            for j, disorder in enumerate(amplitudes):
                cells = [with_interval(result[score][0, k, j]) for score in ("gamma", "rho", "kl", "rho_weak")]
                rows.append([str(dim), kind, f"{disorder:g}", *cells])
    for ax, label in zip(axes, (r"$\gamma$ (KL)", r"correlation $\rho$", "KL explained"), strict=True):
        ax.set(xscale="log", xlabel=r"disorder $\epsilon$", ylabel=label)
        ax.set_xticks(amplitudes, map(str, amplitudes))
    axes[1].set_ylim(0, 1.05)
    axes[2].set_ylim(0, 1.05)
    for dim in (2, 3):
        axes[1].axhline(dim**-0.5, color=f"C{dim - 1}", linewidth=0.8, alpha=0.5)
    axes[0].legend(fontsize=7, frameon=False, ncol=1)
    axes[0].set_ylim(0.2, 3.6)
    save(figure, "noise")
    return {"noise": table(["d", "noise", "ε", "γ", "ρ", "KL explained", "ρ, first order"], rows)}, found


def drift(executor):
    forces = [0.0, 0.1, 0.3, 1.0, 3.0, 10.0]
    kinds = ["gradient", "compressive", "solenoidal"]
    found = {dim: sweep(f"drift{dim}", drift_point, executor, dim=[dim], drift=kinds, force=forces) for dim in (2, 3)}
    figure, axes = plt.subplots(2, 3, figsize=(9.6, 5.4), sharex=True, sharey="col")
    rows = []
    for row, (dim, result) in zip(axes, found.items(), strict=True):
        for k, kind in enumerate(kinds):
            colour = f"C{k}"
            for ax, score in zip(row, ("gamma", "rho", "kl"), strict=True):
                errorbars(ax, forces, result[score][0, k], STYLE[kind], color=colour, label=kind)
            row[1].plot(forces, result["rho_weak"][0, k].mean(-1), color=colour, linewidth=3, alpha=0.25)
            closure = result["gamma_closure"][0, k]
            row[0].plot(forces, np.nanmedian(closure, axis=-1), color=colour, linewidth=3, alpha=0.25)
            for j, force in enumerate(forces):
                cells = [with_interval(result[score][0, k, j]) for score in ("gamma", "rho", "kl", "rho_weak")]
                low, middle, high = np.nanquantile(closure[j], [0.25, 0.5, 0.75])
                closed = f"{middle:.2f} ({low:.2f} to {high:.2f})"
                rows.append([str(dim), kind, f"{force:g}", *cells, closed, f"{result['error'][0, k, j].max():.3f}"])
        row[0].set(ylabel=rf"$\gamma$ (KL), d = {dim}", ylim=(-1.5, 4))
        row[1].set(ylabel=r"correlation $\rho$", ylim=(-0.5, 1.05))
        row[2].set(ylabel="KL explained", ylim=(0, 1.05))
    for ax in axes[1]:
        ax.set_xscale("symlog", linthresh=0.1)
        ax.set_xlabel("drift amplitude")
        ax.set_xticks(forces, [f"{f:g}" for f in forces])
        ax.xaxis.set_minor_locator(NullLocator())
        ax.set_xlim(-0.02, 13)
    axes[0, 2].legend(fontsize=8, frameon=False)
    save(figure, "drift")
    head = [
        "d",
        "drift",
        "amplitude",
        "γ",
        "ρ",
        "KL explained",
        "ρ, first order",
        "γ, closure: median (quartiles)",
        "grid error",
    ]
    return {"drift": table(head, rows)}, found


def weak(noises, drifts):
    """The first-order correlation of each medium beside the solved one."""
    figure, axes = plt.subplots(1, 3, figsize=(9.6, 3.2))
    rows = []
    for ax, dim in zip(axes, (2, 3), strict=False):
        result = noises[dim]
        k = result.axes["noise"].index("tensor")
        for j, disorder in enumerate(result.axes["disorder"]):
            rho, first = (result[name][0, k, j] for name in ("rho", "rho_weak"))
            ax.plot(first, rho, "os^"[j], markersize=4, color=f"C{j}", label=rf"$\epsilon$ = {disorder:g}")
            rows.append(
                [
                    f"tensor noise, d = {dim}, ε = {disorder:g}",
                    with_interval(rho - first, 3),
                    f"{np.abs(rho - first).max():.3f}",
                ]
            )
        ax.plot([0, 1], [0, 1], color="0.5", linewidth=0.8)
        ax.set(
            xlabel=r"$\rho$, first order",
            ylabel=r"$\rho$ of the steady state",
            title=f"tensor noise, d = {dim}",
            xlim=(0.2, 1),
            ylim=(0.2, 1),
        )
        ax.legend(fontsize=8, frameon=False)
    for dim, result in drifts.items():
        for k, kind in enumerate(result.axes["drift"]):
            off = (result["rho"] - result["rho_weak"])[0, k, 1:]
            peclet = result["peclet"][0, k, 1:].mean(-1)
            axes[2].loglog(
                peclet,
                np.abs(off).mean(-1),
                STYLE[kind],
                color=f"C{k}",
                markersize=4,
                fillstyle="full" if dim == 2 else "none",
                label=f"{kind}, d = {dim}",
            )
            for j, force in enumerate(result.axes["force"][1:]):
                rows.append(
                    [
                        f"{kind} drift {force:g}, d = {dim} (Péclet {peclet[j]:.2g})",
                        with_interval(off[j], 3),
                        f"{np.abs(off[j]).max():.3f}",
                    ]
                )
    axes[2].set(xlabel="Péclet number", ylabel=r"mean $|\rho - \rho_1|$", title="drift")
    axes[2].legend(fontsize=7, frameon=False)
    save(figure, "first-order")
    return {"weak": table(["medium", "ρ minus first order", "largest"], rows)}


def chains(executor):
    barriers, forces = [0.0, 0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0], [0.0, 1.0, 3.0]
    found = sweep("chains", chain_point, executor, barriers=barriers, forces=forces)
    figure, axes = plt.subplots(1, 3, figsize=(9.6, 3.1))
    rows = []
    for k, force in enumerate(forces):
        for ax, score in zip(axes, ("gamma", "rho", "kl"), strict=True):
            errorbars(ax, barriers, found[score][:, k], "os^"[k], color=f"C{k}", label=rf"$\sigma_F = {force:g}$")
        for j, b in enumerate(barriers):
            rows.append([f"{b:g}", f"{force:g}", *(with_interval(found[s][j, k]) for s in ("gamma", "rho", "kl", "r"))])
    r = found["r"][:, 0]
    axes[1].plot(barriers, np.sqrt(np.maximum(1 - r**2, 0)).mean(-1), color="C0", linewidth=3, alpha=0.25)
    for ax, label in zip(axes, (r"$\gamma$ (KL)", r"correlation $\rho$", "KL explained"), strict=True):
        ax.set(xlabel=r"$\sigma_B/\sigma_W$", ylabel=label)
    axes[1].set_ylim(0, 1.05)
    axes[2].set_ylim(0, 1.05)
    axes[0].legend(fontsize=8, frameon=False)
    save(figure, "chains")
    return {"chains": table(["σ_B/σ_W", "σ_F", "γ", "ρ", "KL explained", "r"], rows)}


def torch():
    """The two wells: their balance, and the law over the whole box, for high wells and low."""
    heats, heights = [0.5, 1, 2, 4, 9, 19, 49], [0.02, 0.1, 0.3, 1.0]
    found = {height: blowtorch.scan(heats, height=height, n_cells=1000) for height in heights}
    figure, axes = plt.subplots(1, 3, figsize=(9.6, 3.1))
    rows = []
    for k, (height, scan) in enumerate(found.items()):
        label = f"$E/T_0$ = {height / 0.2:g}"
        axes[0].plot(heats, np.log(scan.ratio), "o-", color=f"C{k}", markersize=4, label=label)
        axes[0].plot(heats, np.log(scan.ratio_law), ":", color=f"C{k}")
        axes[1].plot(heats, scan.correlation, "o-", color=f"C{k}", markersize=4)
        axes[2].plot(heats, scan.kl_explained, "o-", color=f"C{k}", markersize=4)
        columns = (scan.ratio, scan.ratio_local, scan.ratio_law, scan.correlation, scan.gamma_kl, scan.kl_explained)
        rows += [[f"{height / 0.2:g}", f"{heats[j]:g}", *(f"{c[j]:.3g}" for c in columns)] for j in (1, 3, 6)]
    for ax, label in zip(
        axes, (r"$\log P(x>0)/P(x<0)$", r"correlation $\rho$, whole box", "KL explained"), strict=True
    ):
        ax.set(xscale="log", xlabel="heat A of the spot", ylabel=label)
        ax.set_xticks(heats, [f"{heat:g}" for heat in heats])
        ax.minorticks_off()
        ax.axhline(0, color="0.7", linewidth=0.8)
    axes[0].plot([], [], ":", color="0.3", label="the law")
    axes[0].legend(fontsize=8, frameon=False)
    axes[1].set_ylim(-0.3, 1.05)
    axes[2].set_ylim(-0.05, 1.05)
    save(figure, "torch")
    head = ["E/T₀", "A", "P right/left", "local equilibrium", "the law", "ρ", "γ", "KL explained"]
    return {"torch": table(head, rows)}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workers", type=int, default=2)
    workers = parser.parse_args().workers
    matplotlib.rc_file(HERE.parent / "matplotlibrc")
    with ProcessPoolExecutor(workers) as executor:
        tables = torch() | chains(executor)
        new, noises = noise(executor)
        tables |= new
        new, drifts = drift(executor)
        tables |= new
    tables |= weak(noises, drifts)
    write_tables(tables)


if __name__ == "__main__":
    main()
