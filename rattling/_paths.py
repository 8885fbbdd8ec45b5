"""Paths of any kind, read once for all estimators: segments without gaps."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from rattling._checks import count, positive, real_array
from rattling._noise import noise_covariance
from rattling._progress import aside
from rattling.trajectories import Trajectories

if TYPE_CHECKING:
    from collections.abc import Iterable

    from scipy.spatial import cKDTree

NOISE = ("none", "covariance", "local-covariance")  # errors of measurement
BLOCKS = 32  # of the data, for what their scatter says
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
    names: tuple[str, ...] | None
    walls: tuple[Any, ...] | None
    noise: np.ndarray | None = field(default=None, init=False)  # see `noise_covariance`; None: not looked for

    @property
    def dim(self) -> int:
        return int(self.x.shape[1])

    def pieces(self, begin: np.ndarray, end: np.ndarray) -> list[np.ndarray]:
        return [self.x[b:e] for b, e in zip(begin, end, strict=True)]

    def starts(self, longest: int) -> np.ndarray:
        """The states from which increments over `longest` begin, (n, dim); all states for 0."""
        if longest == 0 and len(self.begin) and (self.end[:-1] == self.begin[1:]).all():
            return self.x[self.begin[0] : self.end[-1]]
        used = self.end - self.begin > longest
        parts = self.pieces(self.begin[used], self.end[used] - longest)
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    @property
    def low(self) -> np.ndarray:
        """Where periodic axes begin; on others a state, so that nothing depends on the origin."""
        low = self.x[self.begin[0]].copy() if len(self.begin) else np.zeros(self.dim)
        for axis, wall in enumerate(self.walls or ()):
            if self.period[axis] > 0 and wall is not None:
                low[axis] = wall[0]
        return low

    def n_starts(self, longest: int) -> int:
        return int(np.maximum(self.end - self.begin - longest, 0).sum())

    def blocks(self, n_blocks: int, longest: int) -> list[tuple[np.ndarray, np.ndarray]]:
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

    def part(self, begin: np.ndarray, end: np.ndarray) -> Paths:
        """The same states cut into other segments."""
        same = begin is self.begin and end is self.end
        return self if same else dataclasses.replace(self, begin=begin, end=end)

    def core(self, lags: tuple[int, ...], noise: str) -> tuple[Any, ...]:
        """The tuple the core takes."""
        if noise == "covariance" and self.noise is None:
            self.noise = noise_covariance(self, lags, BLOCKS)
        return (self.x, self.begin, self.end, self.time, self.dt, self.period, *terms(lags, noise), self.noise)

    def shortest(self, dx: np.ndarray) -> np.ndarray:
        """Increments, (n, dim), the short way round on periodic axes."""
        around = self.period > 0
        dx[:, around] -= self.period[around] * np.rint(dx[:, around] / self.period[around])
        return dx


def terms(lags: tuple[int, ...], noise: str) -> tuple[tuple[int, ...], ...]:
    """All lags needed, and of each term of the extrapolation the number of its lag and of
    the one subtracted."""
    if noise == "none":
        return lags, tuple(range(len(lags))), (_NO_LAG,) * len(lags)
    if noise == "covariance":
        every = tuple(sorted({*lags, 2 * lags[0]}))
        return every, tuple(every.index(lag) for lag in lags), (_NO_LAG,) * len(lags)
    every = tuple(sorted({lag * n for lag in lags for n in (1, 2)}))
    return every, tuple(every.index(2 * lag) for lag in lags), tuple(every.index(lag) for lag in lags)


def read_lags(lags: int | Iterable[int]) -> tuple[int, ...]:
    lags = (lags,) if isinstance(lags, (int, np.integer)) else tuple(lags)
    if len(lags) not in (1, 2, 3):
        raise ValueError(f"lags must be one to three whole numbers; got {lags!r}")
    lags = tuple(count("lags", lag, 1) for lag in lags)
    if lags[-1] > LARGEST_LAG or any(a >= b for a, b in pairwise(lags)):
        raise ValueError(f"lags must increase and be at most {LARGEST_LAG}; got {lags}")
    return lags


def read_paths_and_lags(
    source: Any, dt: float | None, times: Any, lags: int | Iterable[int] | None, noise: str
) -> tuple[Paths, tuple[int, ...]]:
    """`Paths` for these lags, (1, 2) where None is given."""
    known = read_lags((1, 2) if lags is None else lags)
    return read_paths(source, dt, times, known, noise), known


def read_paths(source: Any, dt: float | None, times: Any, lags: tuple[int, ...], noise: str = "none") -> Paths:
    """Trajectories, an array, or a list of either, as `Paths`.

    Raises ValueError where no segment is longer than the longest lag needed.
    """
    longest = terms(lags, noise)[0][-1]
    if dt is not None:
        if np.ndim(dt) > 0:
            raise TypeError(f"dt must be one real number, but it has shape {np.shape(dt)}; times= takes the time of each state")
        dt = float(positive("dt", dt))
        if times is not None:
            raise ValueError("give dt or times, not both")
    if _is_list_of_paths(source):
        every: list[Any] = [None] * len(source) if times is None else list(times)
        if len(every) != len(source):
            raise ValueError(
                f"times must have one entry for each of {len(source)} paths; it has {len(every)}"
            )
        parts = source
    else:
        parts, every = [source], [times]
    read = [_read_part(part, dt, own) for part, own in zip(parts, every, strict=True)]
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
    time, step = _times(read)
    begin, end = _cut(x, begin, end, time)
    if time is not None and (end - begin > 1).any():
        step = float((time[end - 1] - time[begin]).sum() / (end - begin - 1).sum())
    period, walls = _common_walls(parts, x.shape[1])
    names = parts[0].variables if isinstance(parts[0], Trajectories) else None
    paths = Paths(x, begin, end, time, step, period, names, walls)
    if paths.n_starts(longest) < 1:
        most = int((end - begin).max()) if len(end) else 0
        without_gaps = " at most, without gaps" if len(end) > 1 else ""
        raise ValueError(
            f"paths have {most} states each{without_gaps}; lags {lags} need at least {longest + 1}"
        )
    return paths


def _common_walls(parts: Any, dim: int) -> tuple[np.ndarray, tuple[Any, ...] | None]:
    """Periods and walls, which all paths must share; arrays have none."""
    every = [
        (part.period, part.boundary) if isinstance(part, Trajectories) else (np.zeros(dim), None)
        for part in parts
    ]
    period, walls = every[0]
    for i, (own, around) in enumerate(every):
        if around != walls or not np.array_equal(own, period):
            raise ValueError(
                "trajectories_or_array: paths of one list must have the same walls;"
                f" path 0 has {walls or 'none'}, path {i} has {around or 'none'}"
            )
    return period, walls


def _is_list_of_paths(source: object) -> bool:
    if not isinstance(source, (list, tuple)) or not source:
        return False
    if (
        all(isinstance(part, np.ndarray) and part.ndim == 1 for part in source)
        and len(set(map(len, source))) > 1
    ):
        raise ValueError("trajectories_or_array: the arrays of a list must have shape (n_times, dim)")
    return all(
        isinstance(part, Trajectories) or (isinstance(part, np.ndarray) and part.ndim == 2) for part in source
    )


def _read_part(source: Any, dt: float | None, times: object) -> Any:
    """x (n_paths, n_times, dim), dt, times (n_paths or 1, n_times) or None."""
    if isinstance(source, Trajectories):
        if times is not None:
            raise ValueError("times must be None for Trajectories, which have their own")
        if dt is not None and not np.isclose(dt, source.dt, rtol=1e-9, atol=0.0):
            raise ValueError(f"dt is {dt}, but the trajectories have {source.dt}; leave it out")
        times = np.asarray(source.t, dtype=float)[None]
        uneven = np.abs(np.diff(times) - source.dt).max(initial=0.0) > _UNEVEN * source.dt
        x = source.x
        if source.exit_times is not None:  # an ended path stays where it is, which is no motion
            x = np.where((times >= source.exit_times[:, None])[..., None], np.nan, x)
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
    if times is not None:
        return _read_times(x, times)
    if dt is None:
        raise ValueError("dt, the time between states, is needed for an array")
    return x, dt, None


def _read_times(x: np.ndarray, times: Any) -> tuple[np.ndarray, float, np.ndarray | None]:
    times = np.atleast_2d(real_array("times", times))
    if times.shape not in ((1, x.shape[1]), x.shape[:2]):
        raise ValueError(f"times must have shape {x.shape[1:2]} or {x.shape[:2]}; it has {times.shape}")
    steps = np.diff(times)
    bad = ~((steps > 0) & np.isfinite(times[:, 1:]))
    if bad.any():
        path, state = np.argwhere(bad)[0]
        raise ValueError(
            f"times must be finite and increase; {times[path, state + 1]} follows {times[path, state]}"
            f" at state {state + 1}"
        )
    dt = float(steps.mean()) if steps.size else np.nan  # one state: no step
    return x, dt, times if (np.abs(steps - dt) > _UNEVEN * dt).any() else None


def _times(read: Any) -> Any:
    """Times of all states, or None where steps are all equal; the step."""
    dts = np.array([dt for _, dt, _ in read])
    dt = float(np.nanmean(dts)) if np.isfinite(dts).any() else 1.0
    if all(times is None for *_, times in read) and not (np.abs(dts - dt) > _UNEVEN * dt).any():
        return None, dt
    every = []
    for x, step, times in read:
        row = np.arange(x.shape[1]) * step if times is None else times
        every.append(np.broadcast_to(row, x.shape[:2]).ravel())
    return np.concatenate(every), dt


def _cut(x: np.ndarray, begin: np.ndarray, end: np.ndarray, time: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Segments without states that are NaN and without long steps."""
    with np.errstate(over="ignore", invalid="ignore"):
        if time is None and np.isfinite(np.sum(x)):
            return begin.astype(np.intp), end.astype(np.intp)
    if np.isinf(x).any():
        state, axis = np.argwhere(np.isinf(x))[0]
        path = int(np.searchsorted(end, state, side="right"))
        raise ValueError(
            "trajectories_or_array must be finite, or NaN for what was not seen;"
            f" coordinate {axis} of path {path} is {x[state, axis]} at state {state - begin[path]}"
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


def search_tree(paths: Paths, states: np.ndarray, points: np.ndarray, unit: np.ndarray) -> tuple[cKDTree, np.ndarray]:
    """A tree of the states and the points to look up in it, in units of `unit` along each axis."""
    from scipy.spatial import cKDTree

    box = paths.period / unit
    states, points = (states - paths.low) / unit, (points - paths.low) / unit
    around = box > 0
    for x in (states, points):
        x[:, around] %= box[around]
    boxsize = box if around.any() else None
    return aside(lambda: cKDTree(states, boxsize=boxsize, balanced_tree=False, compact_nodes=False)), points


def nearest_distance(paths: Paths, starts: np.ndarray, points: np.ndarray, unit: np.ndarray, k: int) -> np.ndarray:
    """Distance of the k-th nearest of the starts from each point, in units of `unit` along each axis."""
    tree, points = search_tree(paths, starts, points, unit)
    distances: np.ndarray = aside(tree.query, points, [k])[0]
    return distances[:, 0]
