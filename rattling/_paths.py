"""Paths of any kind, read once for all estimators: segments without gaps."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from rattling._checks import count, positive, real_array
from rattling.trajectories import Trajectories

LARGEST_LAG = 64
_NO_LAG = 99  # RTL_EXTRAPOLATE_NONE
_UNEVEN = 1e-6  # of a step: times are used as they are beyond
_GAP = 4.0  # median steps


@dataclass
class Paths:
    """States of all paths, one after another, and the segments they consist of."""

    x: np.ndarray  # (n_states, dim)
    begin: np.ndarray  # (n_segments,)
    end: np.ndarray
    time: np.ndarray | None  # (n_states,) where steps are not equal
    dt: float
    period: np.ndarray  # (dim,), 0: none
    names: tuple | None
    walls: tuple | None

    @property
    def dim(self):
        return self.x.shape[1]

    def visited(self):
        """The states that belong to segments."""
        if len(self.begin) and (self.end[:-1] == self.begin[1:]).all():
            return self.x[self.begin[0] : self.end[-1]]
        return np.concatenate([self.x[b:e] for b, e in zip(self.begin, self.end, strict=True)])

    def n_starts(self, longest):
        return int(np.maximum(self.end - self.begin - longest, 0).sum())

    def blocks(self, n_blocks, longest):
        """(begin, end) of each of about n_blocks parts of consecutive starts."""
        starts = np.maximum(self.end - self.begin - longest, 0)
        before = np.concatenate([[0], np.cumsum(starts)])
        edges = np.linspace(0, before[-1], n_blocks + 1).astype(np.int64)
        parts = []
        for first, last in pairwise(edges):
            low = np.maximum(first - before[:-1], 0)
            high = np.minimum(last - before[:-1], starts)
            used = low < high
            parts.append((self.begin[used] + low[used], self.begin[used] + high[used] + longest))
        return parts

    def core(self, lags, noise):
        """The tuple the core takes."""
        return (self.x, self.begin, self.end, self.time, self.dt, self.period, *terms(lags, noise))


def terms(lags, noise):
    """All lags needed, and of each term of the extrapolation the number of its lag and of
    the one subtracted."""
    if noise == "none":
        return lags, tuple(range(len(lags))), (_NO_LAG,) * len(lags)
    every = tuple(sorted({lag * n for lag in lags for n in (1, 2)}))
    return every, tuple(every.index(2 * lag) for lag in lags), tuple(every.index(lag) for lag in lags)


def read_lags(lags):
    lags = (lags,) if isinstance(lags, (int, np.integer)) else tuple(lags)
    if len(lags) not in (1, 2, 3):
        raise ValueError(f"lags must be one to three whole numbers; got {lags!r}")
    lags = tuple(count("lags", lag, 1) for lag in lags)
    if lags[-1] > LARGEST_LAG or any(a >= b for a, b in pairwise(lags)):
        raise ValueError(f"lags must increase and be at most {LARGEST_LAG}; got {lags}")
    return lags


def read_paths(source, dt, lags, noise="none"):
    """Trajectories, an array, or a list of either, as `Paths`.

    Raises ValueError where no segment is longer than the longest lag needed.
    """
    longest = terms(lags, noise)[0][-1]
    parts = list(source) if _is_list_of_paths(source) else [source]
    steps = dt if isinstance(dt, (list, tuple)) else [dt] * len(parts)
    if len(steps) != len(parts):
        raise ValueError(f"dt must have one entry for each of the {len(parts)} paths; it has {len(steps)}")
    read = [_read_part(part, step) for part, step in zip(parts, steps, strict=True)]
    dims = {x.shape[2] for x, *_ in read}
    if len(dims) != 1:
        raise ValueError(
            f"trajectories_or_array: paths have different numbers of coordinates, {sorted(dims)}"
        )
    x = np.concatenate([x.reshape(-1, x.shape[2]) for x, *_ in read]) if len(read) > 1 else read[0][0]
    x = np.ascontiguousarray(x.reshape(-1, x.shape[-1]))
    lengths = np.concatenate([[x.shape[1]] * x.shape[0] for x, *_ in read])
    end = np.cumsum(lengths)
    begin = end - lengths
    time, mean_step = _times(read)
    begin, end = _cut(x, begin, end, time)
    first = parts[0] if isinstance(parts[0], Trajectories) else None
    period = np.zeros(x.shape[1]) if first is None else first.period
    paths = Paths(
        x, begin, end, time, mean_step, period,
        None if first is None else first.variables, None if first is None else first.boundary,
    )  # fmt: skip
    if paths.n_starts(longest) < 1:
        most = int((end - begin).max()) if len(end) else 0
        raise ValueError(
            f"paths have {most} states each{' at most, without gaps' if len(end) > 1 else ''}; lags {lags} need at"
            f" least {longest + 1}"
        )
    return paths


def _is_list_of_paths(source):
    if not isinstance(source, (list, tuple)) or not source:
        return False
    return all(
        isinstance(part, Trajectories) or (isinstance(part, np.ndarray) and part.ndim == 2) for part in source
    )


def _read_part(source, dt):
    """x (n_paths, n_times, dim), dt or None, times (n_paths or 1, n_times) or None."""
    if isinstance(source, Trajectories):
        if dt is not None and not np.isclose(dt, source.dt, rtol=1e-9, atol=0.0):
            raise ValueError(f"dt is {dt}, but the trajectories have {source.dt}; leave it out")
        x, times = source.x, np.asarray(source.t, dtype=float)[None]
        uneven = np.abs(np.diff(times) - source.dt).max(initial=0.0) > _UNEVEN * source.dt
        return x, source.dt, times if uneven else None
    x = real_array("trajectories_or_array", source)
    if x.ndim == 1:
        x = x[:, None]
    if x.ndim == 2:
        x = x[None]
    if x.ndim != 3 or x.size == 0:
        raise ValueError(
            "trajectories_or_array must have shape (n_paths, n_times, dim), (n_times, dim) or (n_times,),"
            f" but it has {np.shape(source)}"
        )
    if dt is None:
        raise ValueError("dt, the time between states, is needed for an array")
    if np.ndim(dt) == 0:
        return x, float(positive("dt", dt)), None
    steps = np.atleast_2d(real_array("dt", dt))
    if steps.shape not in ((1, x.shape[1] - 1), (x.shape[0], x.shape[1] - 1)):
        raise ValueError(
            f"dt must be a number or have {x.shape[1] - 1} steps between {x.shape[1]} states; it has shape {np.shape(dt)}"
        )
    if not (steps > 0).all() or not np.isfinite(steps).all():
        row = np.argwhere(~((steps > 0) & np.isfinite(steps)))[0]
        raise ValueError(f"dt must be positive and finite; step {row[-1]} is {steps[tuple(row)]}")
    times = np.concatenate([np.zeros((len(steps), 1)), np.cumsum(steps, axis=1)], axis=1)
    return x, float(steps.mean()), times


def _times(read):
    """Times of all states, or None where steps are all equal; the mean step."""
    mean = float(np.average([dt for _, dt, _ in read], weights=[x.shape[0] * x.shape[1] for x, *_ in read]))
    if all(times is None for *_, times in read) and all(
        abs(dt - mean) <= _UNEVEN * mean for _, dt, _ in read
    ):
        return None, mean
    every = []
    for x, dt, times in read:
        row = np.arange(x.shape[1]) * dt if times is None else times
        every.append(np.broadcast_to(row, x.shape[:2]).ravel())
    return np.concatenate(every), mean


def _cut(x, begin, end, time):
    """Segments without states that are NaN and without long steps."""
    if np.isinf(x).any():
        state, axis = np.argwhere(np.isinf(x))[0]
        path = int(np.searchsorted(end, state, side="right"))
        raise ValueError(
            f"trajectories_or_array must be finite, or NaN for what was not seen; coordinate {axis} of path {path} is"
            f" {x[state, axis]} at state {state - begin[path]}"
        )
    cuts = np.zeros(len(x) + 1, dtype=bool)  # before each state
    cuts[begin] = True
    cuts[end] = True
    unseen = np.isnan(x).any(axis=1)
    cuts[:-1] |= unseen
    cuts[1:] |= unseen
    if time is not None:
        steps = np.diff(time)
        inside = ~cuts[1:-1]
        if inside.any():
            cuts[1:-1] |= inside & (steps > _GAP * np.median(steps[inside]))
    edges = np.flatnonzero(cuts)
    begin, end = edges[:-1], edges[1:]
    used = ~unseen[begin]
    return begin[used].astype(np.intp), end[used].astype(np.intp)
