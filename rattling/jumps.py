"""Paths of Markov chains, jump by jump."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from rattling import _core
from rattling._checks import count, read_threads, real_array
from rattling._progress import progress_hook
from rattling.results import Result
from rattling.trajectories import random_key

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from rattling._typing import Progress, Seed
    from rattling.markov import Generator


@dataclass(frozen=True, repr=False, eq=False)
class JumpPaths(Result):
    """Paths of a chain; made by :meth:`Generator.sample_paths`.

    Attributes
    ----------
    states : ndarray of int32, shape (n_paths, n_jumps + 1)
        States in the order of visit; -1 once a path has left for good.
    times : ndarray, shape (n_paths, n_jumps + 1)
        When each was entered; 0 for the first, infinite for what is not reached any more.
    n_states : int
        Of the chain.
    key : int
        Of the random numbers.
    """

    states: np.ndarray
    times: np.ndarray
    n_states: int
    key: int

    _dims = {"states": ("path", "jump"), "times": ("path", "jump")}

    def at(self, t: ArrayLike) -> np.ndarray:
        """The states at given times.

        Parameters
        ----------
        t : array_like, shape (n,)
            At least 0, and not after the last jump of any path.

        Returns
        -------
        ndarray of int32, shape (n_paths, n)

        Raises
        ------
        ValueError
            For times that are not covered by all paths.
        """
        t = np.atleast_1d(real_array("t", t))
        end = self.times[:, -1].min()
        if np.any(~(t >= 0)) or np.any(t > end):
            raise ValueError(f"t must be between 0 and {end:.6g}, where the first path ends; got {t}")
        last = [np.searchsorted(row, t, side="right") - 1 for row in self.times]
        return np.take_along_axis(self.states, np.array(last), axis=1)

    @property
    def occupation(self) -> np.ndarray:
        """Share of the time spent in each state, over all paths; shape (n_states,)."""
        with np.errstate(invalid="ignore"):
            stay = np.diff(self.times, axis=1)  # nan after the end
        seen = np.isfinite(stay) & (self.states[:, :-1] >= 0)
        time = np.bincount(self.states[:, :-1][seen], stay[seen], minlength=self.n_states)
        return time / time.sum() if time.sum() > 0 else np.full(self.n_states, np.nan)


def sample_paths(
    generator: Generator,
    start: ArrayLike,
    n_jumps: int,
    n_paths: int | None,
    rng: Seed,
    threads: int | None,
    progress: Progress,
) -> JumpPaths:
    n_jumps = count("n_jumps", n_jumps, 0, bits=48)
    threads = read_threads(threads)
    start = np.asarray(start)
    if start.ndim > 1 or start.size == 0 or not np.issubdtype(start.dtype, np.integer):
        raise ValueError(f"start must be a state or one for each path, whole numbers; got {start!r}")
    bad = np.flatnonzero((start.ravel() < 0) | (start.ravel() >= generator.n))
    if len(bad):
        raise ValueError(
            f"start must be between 0 and {generator.n - 1}; that of path {bad[0]} is {start.ravel()[bad[0]]}"
        )
    if n_paths is not None:
        n_paths = count("n_paths", n_paths, 1, bits=48)
        if start.ndim == 1 and n_paths != len(start):
            raise ValueError(f"n_paths is {n_paths}, but start has {len(start)} entries")
    starts = np.broadcast_to(start, (n_paths or 1,)) if start.ndim == 0 else start
    key = random_key(rng)
    with progress_hook(progress, "sample") as hook:
        states, times = _core.jumps(generator._core, starts.astype(np.int32), n_jumps, key, threads, hook)
    return JumpPaths(states, times, generator.n, key)
