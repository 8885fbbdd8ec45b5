"""How often every interval that the package reports holds the truth.

    python benchmarks/bench_coverage.py [data sets, 100]

One line an interval: nominal and achieved coverage at one standard error (68 %) and at two
(95 %), with the standard error of what was achieved, from the spread between data sets; one
data set gives the share of its cells, places or windows. `discretisation_error` is no interval:
its last lines compare it with the true error.
"""

import sys
import warnings

import numpy as np
import scipy.stats
from bench_gamma import data_sets, plane, ring

import rattling as rt

RESULTS = {}


def note(name, error, stderr):
    """Of one data set: errors, and what was said of them."""
    z = np.abs(np.ravel(error / stderr))
    z = z[np.isfinite(z)]
    if len(z):
        RESULTS.setdefault(name, []).append([np.mean(z < 1), np.mean(z < 1.96)])


def note_interval(name, low, high, truth, confidence=0.95):
    """Of one data set: an interval for one number; nan for the coverage that it does not have."""
    inside = float(low <= truth <= high)
    RESULTS.setdefault(name, []).append([inside, np.nan] if confidence < 0.9 else [np.nan, inside])


def of_gamma(n):
    """fit_gamma, estimate_density and R in bins, of systems that obey the law."""
    for system in (ring, plane):
        name = system.__name__
        for _, paths, grid, gamma, exact in data_sets(system, n):
            for method in ("poisson", "regression", "split-halves"):
                for confidence in (0.68, 0.95):
                    fit = rt.fit_gamma(paths, at=grid, method=method, lags=1, confidence=confidence)
                    if np.isfinite(fit.gamma):
                        note_interval(f"fit_gamma, {method}, {name}", fit.low, fit.high, gamma, confidence)
            for method in ("bins", "knn"):
                field = rt.estimate_density(paths, at=grid, method=method)
                note(f"estimate_density, {method}, {name}", field.log_density - exact, field.stderr)


def swirl():
    return rt.Model.from_sympy(
        ["-x + y", "-y - x"], ["(1 + 7*sin(2*x)*cos(y)/10)/2", "(1 + 6*cos(x + y)/10)/2"], variables="x y"
    )


def of_rattling(n):
    """estimate_rattling by each method, and what a Simulation observed; R exact at 40 places."""
    model, box = swirl(), rt.Grid([(-1.2, 1.2)] * 2, (12, 12))
    for seed in range(n):  # ten steps a state: Euler-Maruyama's every step would be biased by .01
        paths = rt.simulate(model, [0.0, 0.0], 0.001, 200_000, thin=10, method="platen", rng=seed)
        places = paths.x[0, 500:: len(paths.t) // 40]
        exact = rt.exact_rattling(model, places.T)
        for method in ("local-linear", "knn", "basis"):
            field = rt.estimate_rattling(paths, at=places, method=method)
            note(f"estimate_rattling, {method}", field.rattling - exact, field.stderr)
        field = rt.estimate_rattling(paths, at=box, method="bins")
        note("estimate_rattling, bins", field.rattling - rt.exact_rattling(model, box), field.stderr)
        simulation = rt.Simulation(model, np.zeros((20, 2)), 0.01, rng=seed, observe=box).advance(1000)
        field = simulation.observation.estimate_rattling()
        note("Observation.estimate_rattling", field.rattling - rt.exact_rattling(model, box), field.stderr)
        x = np.cumsum(np.random.default_rng(seed).normal(size=(6001, 2)), axis=0)
        windows = rt.windowed_rattling(x, 1.0, 60.0, stride=60, displacement="increments")
        note("windowed_rattling", windows.rattling, windows.stderr)


def of_scores(n):
    """gamma_stderr and the intervals of the scores, cells independent or with known errors of R."""
    for seed in range(n):
        rng = np.random.default_rng(seed)
        r = rng.normal(size=300)
        log_p = -1.5 * r + 0.5 * rng.normal(size=300)
        for error in (0.0, 0.4):
            found = rt.typicality(log_p, r + error * rng.normal(size=300), stderr=error or None)
            note(f"Typicality.gamma_stderr, R {'with errors' if error else 'exact'}", found.gamma - 1.5, found.gamma_stderr)
        found = rt.typicality(log_p, r)
        for confidence in (0.68, 0.95):
            of_cells = found.intervals(n=199, block=1, rng=seed, confidence=confidence)
            note_interval("intervals, cells: gamma", *of_cells["gamma"], 1.5, confidence)
            note_interval("intervals, cells: correlation", *of_cells["correlation"], 1.5 / np.hypot(1.5, 0.5), confidence)
            noisy = rt.typicality(log_p, r + 0.2 * rng.normal(size=300), stderr=0.2)
            of_errors = noisy.intervals(source="errors", n=99, rng=seed, confidence=confidence)
            for name in ("gamma", "correlation", "spearman", "kl_explained"):
                note_interval(f"intervals, errors of R: {name}", *of_errors[name], getattr(found, name), confidence)


def of_ensembles():
    """P(score > s) of 40 draws, exactly: summed over all outcomes; the worst of 19 probabilities."""
    n = 40
    for confidence in (0.68, 0.95):
        worst = 1.0
        ends = [
            rt.Ensemble({"gamma": np.repeat([1.0, 0.0], [k, n - k])}, [""] * n).exceedance("gamma", 0.5, confidence=confidence)
            for k in range(n + 1)
        ]
        for p in np.linspace(0.05, 0.95, 19):
            law = scipy.stats.binom.pmf(np.arange(n + 1), n, p)
            worst = min(worst, sum(w for w, (_, low, high) in zip(law, ends, strict=True) if low <= p <= high))
        RESULTS.setdefault("Ensemble.exceedance, at least", []).append([worst, np.nan] if confidence < 0.9 else [np.nan, worst])


def of_grids():
    """discretisation_error over the true L1 distance to the exact law."""
    flat = "2*(x**2 - 1)**2 + 2*y**2 + x*y/2"
    print(f"\n{'discretisation_error / true error':<44}{'cells':>7}{'flux':>14}{'ratio':>8}{'true':>10}")
    for name, circulation in (("weak", "1"), ("medium", "5"), ("strong", "20")):
        model = rt.Model.with_steady_state(flat, ["1", "1"], [["0", circulation], [f"-{circulation}", "0"]], variables="x y")
        for flux in ("exponential", "log-mean"):
            for cells in (48, 96, 192):
                grid, fine = rt.Grid([(-2.2, 2.2)] * 2, cells), rt.Grid([(-2.2, 2.2)] * 2, 4 * cells)
                p = np.exp(model.exact_log_density(fine)).reshape(cells, 4, cells, 4).sum(axis=(1, 3))
                state = rt.steady_state(model, grid, flux=flux)
                true = np.abs(state.probability - p / p.sum()).sum()
                print(f"circulation {name:<32}{cells:7}{flux:>14}{state.discretisation_error / true:8.2f}{true:10.2g}")


def main():
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    warnings.simplefilter("ignore", rt.AccuracyWarning)
    of_scores(n)
    of_ensembles()
    of_rattling(n)
    of_gamma(n)
    print(f"{'interval':<44}{'sets':>5}{'68 %':>16}{'95 %':>16}")
    for name, shares in RESULTS.items():
        text = ""
        for column in np.array(shares).T:
            column = column[np.isfinite(column)]
            spread = column.std(ddof=1) / np.sqrt(len(column)) if len(column) > 1 else 0.0
            text += f"{100 * column.mean():9.1f} ± {100 * spread:4.1f}" if len(column) else f"{'-':>16}"
        print(f"{name:<44}{len(column):5}{text}", flush=True)
    of_grids()


if __name__ == "__main__":
    main()
