"""The numbers and the figure of smarticles.md.

    python docs/studies/smarticles.py FOLDER [FIGURE.png]

FOLDER holds driveAB_1.csv, driveAB_2.csv, driveA_random_0.csv and driveA_random_3.csv of the
published data (doi 10.5281/zenodo.4056700).
"""

import sys
from pathlib import Path

import numpy as np

import rattling as rt
from rattling.datasets import load_smarticles, smarticle_coordinates

TRACKS = {"driven": ("driveAB_1", "driveAB_2"), "random": ("driveA_random_0", "driveA_random_3")}
WINDOW = 8.0  # s
LAG = 29  # rows: two seconds
EVERY = 30  # rows between the places that are looked at


def tracks(folder, names):
    loaded = [load_smarticles(Path(folder) / f"{name}.csv") for name in names]
    return loaded, [smarticle_coordinates(track, "observables7") for track in loaded]


def study(folder):
    """For each drive: windowed R, and at places along the tracks R and log p in two ways."""
    found = {}
    for drive, names in TRACKS.items():
        loaded, x = tracks(folder, names)
        windows = [rt.windowed_rattling(y, track.dt, WINDOW) for y, track in zip(x, loaded, strict=True)]
        steps = [
            rt.windowed_rattling(y, track.dt, WINDOW, displacement="increments")
            for y, track in zip(x, loaded, strict=True)
        ]
        places = np.concatenate([y[: len(w.rattling) : EVERY] for y, w in zip(x, windows, strict=True)])
        times = [np.asarray(track.t) for track in loaded]
        found[drive] = {
            "windowed": np.concatenate([w.rattling for w in windows]),
            "increments": np.concatenate([w.rattling for w in steps]),
            "at places": np.concatenate([w.rattling[::EVERY] for w in windows]),
            "density": rt.estimate_density(x, at=places, method="knn"),
            "field": rt.estimate_rattling(x, times=times, at=places, method="knn", lags=LAG),
        }
    return found


def lines(found):
    """The report, line by line."""
    yield "windowed R, as published (7 observables, 8 s, stride 1)"
    for drive, own in found.items():
        r = own["windowed"][np.isfinite(own["windowed"])]
        q = np.quantile(r, [0.05, 0.5, 0.95])
        yield f"  {drive:<8}{len(r):>7} windows: mean {r.mean():.2f}, 5 % {q[0]:.2f}, median {q[1]:.2f}, 95 % {q[2]:.2f}"
    middle = np.median(np.concatenate([own["windowed"] for own in found.values()]))
    for drive, own in found.items():
        yield f"  {drive:<8}share of time below the common median {middle:.2f}: {np.mean(own['windowed'] < middle):.2f}"
    for drive, own in found.items():
        r = own["increments"][np.isfinite(own["increments"])]
        yield f"  {drive:<8}from increments over one row, bias removed: median {np.median(r):.2f}"
    yield "R at places along the tracks, by nearest neighbours, over two seconds"
    for drive, own in found.items():
        field = own["field"]
        good = np.isfinite(field.rattling)
        yield (
            f"  {drive:<8}{good.sum()} of {good.size} places: mean {field.rattling[good].mean():.2f}, s.d."
            f" {field.rattling[good].std():.2f}, error {np.sqrt(np.mean(field.stderr[good] ** 2)):.2f},"
            f" non-Gaussian at {np.mean(field.non_gaussian[good]):.2f} of them"
        )
    yield "the law, log p = -gamma R + const, at the same places"
    for drive, own in found.items():
        log_p, field = own["density"].log_density, own["field"]
        published = rt.typicality(log_p, own["at places"])
        naive = rt.typicality(log_p, field.rattling)
        corrected = rt.typicality(log_p, field.rattling, stderr=field.stderr)
        yield (
            f"  {drive:<8}windowed: gamma {published.gamma:.2f}, correlation {published.correlation:.2f};"
            f" at states: gamma {naive.gamma:.2f}, with errors allowed for {corrected.gamma:.2f}"
            f" (reliability {corrected.reliability:.2f}), correlation {naive.correlation:.2f}"
        )


def figure(found, path):
    from matplotlib.figure import Figure

    fig = Figure(figsize=(8, 3.2), layout="constrained")
    left, right = fig.subplots(1, 2)
    for drive, own in found.items():
        r = own["windowed"]
        left.hist(r[np.isfinite(r)], bins=60, density=True, alpha=0.6, label=drive)
        right.plot(own["field"].rattling, own["density"].log_density, ".", ms=2, alpha=0.5, label=drive)
    left.set(xlabel="windowed R (8 s)", ylabel="share of windows")
    right.set(xlabel="R at states (nearest neighbours)", ylabel="log p")
    left.legend()
    fig.savefig(path, dpi=110)


if __name__ == "__main__":
    results = study(sys.argv[1])
    print("\n".join(lines(results)))
    if len(sys.argv) > 2:
        figure(results, sys.argv[2])
