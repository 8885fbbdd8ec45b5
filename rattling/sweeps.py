"""Many points of a parameter space, on any executor, without losing any; ensembles."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import io
import itertools
import json
import math
import os
import sqlite3
import traceback
import zipfile
from concurrent import futures
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from rattling._checks import choice, count, random_generator, short
from rattling._progress import progress_hook
from rattling.fokker_planck import steady_state
from rattling.markov import Generator
from rattling.models import exact_rattling
from rattling.results import Result, import_extra, write_arrays
from rattling.typicality import typicality

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Executor

    import xarray
    from matplotlib.axes import Axes

    from rattling._typing import Function, Progress, Seed

__all__ = ["Ensemble", "Sweep", "sweep", "typicality_ensemble"]

_ON_ERROR = ("record", "raise")
_SCORES = ("gamma", "gamma_kl", "correlation", "spearman", "kl_explained", "total_variation")
_PENDING = 64  # points an executor is given ahead, so that large sweeps need not fit its queue


@dataclass(frozen=True, repr=False, eq=False)
class Sweep(Result):
    """What a function returned at each point; made by :func:`sweep`.

    Attributes
    ----------
    points : list of dict
        The parameters of each point.
    axes : dict of list
        The values along each axis, in the order of ``shape``; empty if points were given
        one by one.
    values : dict of ndarray
        What came back by name, the points along the first axis. Where a point failed it is NaN,
        or "" among text; whole numbers and truth values are floats then.
    errors : list of str
        "" or the exception's type and message, for each point.
    tracebacks : list of str
        "" or the traceback, for each point.
    """

    points: list[dict[str, Any]]
    axes: dict[str, list[Any]]
    values: dict[str, np.ndarray]
    errors: list[str]
    tracebacks: list[str] = field(repr=False)

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of values along each axis; (n,) for points given one by one."""
        return tuple(map(len, self.axes.values())) or (len(self.points),)

    @property
    def n_failed(self) -> int:
        return sum(error != "" for error in self.errors)

    def __getitem__(self, name: str) -> np.ndarray:
        """One value in the shape of the sweep."""
        values = self.values[name]
        return np.reshape(values, (*self.shape, *values.shape[1:]))

    def table(self) -> str:
        """The points and single numbers, one line each, as text."""
        names = list(dict.fromkeys(name for point in self.points for name in point))
        columns = [(name, [_cell(point.get(name, "")) for point in self.points]) for name in names]
        columns += [(name, [_cell(v) for v in value]) for name, value in self.values.items() if value.ndim == 1]
        if self.n_failed:
            columns.append(("error", self.errors))
        widths = [max([len(name), *map(len, cells)]) for name, cells in columns]
        rows = [[name for name, _ in columns], ["-" * width for width in widths]]
        rows += [[cells[k] for _, cells in columns] for k in range(len(self.points))]
        return "\n".join("  ".join(map(str.rjust, row, widths)).rstrip() for row in rows)

    def plot(self, ax: Axes | None = None, name: str | None = None) -> Axes:
        """Draw one value: a line over one axis, a map over two.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
        name : str, optional
            Which of the values; the first number if not given.

        Returns
        -------
        matplotlib.axes.Axes
        """
        from rattling.plotting_sweeps import plot_sweep

        return plot_sweep(self, name, ax)

    def to_xarray(self) -> xarray.Dataset:
        """An :class:`xarray.Dataset` over the axes (over "point" without axes), which writes
        NetCDF by its ``to_netcdf``. Raises ImportError without xarray."""
        extra = import_extra("xarray", "xarray")
        dims = tuple(self.axes) or ("point",)
        variables: dict[str, Any] = {
            name: ((*dims, *(f"{name}_{k}" for k in range(values.ndim - 1))), self[name])
            for name, values in self.values.items()
            if values.dtype.kind in "biufU"
        }
        variables["error"] = (dims, np.array(self.errors, dtype=str).reshape(self.shape))
        coords: dict[str, Any] = {name: values for name, values in self.axes.items() if _plain(values)}
        if not self.axes:
            names = dict.fromkeys(name for point in self.points for name in point)
            columns = {name: [point.get(name) for point in self.points] for name in names}
            coords = {name: ("point", column) for name, column in columns.items() if _plain(column)}
        dataset: xarray.Dataset = extra.Dataset(variables, coords)
        return dataset


def _plain(values: Any) -> Any:
    return np.asarray(values).dtype.kind in "biufU" if all(np.ndim(v) == 0 for v in values) else False


def _cell(value: object) -> Any:
    return f"{value:.6g}" if isinstance(value, (float, np.floating)) else str(value)


def sweep(
    function: Function,
    parameters: Any,
    *,
    executor: Executor | None = None,
    rng: Seed = None,
    on_error: str = "record",
    progress: Progress = False,
    checkpoint: str | os.PathLike[str] | None = None,
) -> Sweep:
    """Call a function at each point of a parameter space.

    Parameters
    ----------
    function : callable
        Called as ``function(**point)``; returns a number, an array, or a dict of these by
        name, the same at each point. If it takes ``rng`` it gets a Generator of its own,
        which depends on ``rng`` and the number of the point only, not on order or workers.
    parameters : dict of sequences, or sequence of dicts
        The values along each axis, of which all combinations are taken, the last axis
        fastest; or the points one by one.
    executor : concurrent.futures.Executor, optional
        Threads, processes, loky, or ``client.get_executor()`` of dask.distributed, which
        computes again what a worker that died had. A ProcessPoolExecutor cannot go on after
        such a death: points not done then have that error, and a checkpoint keeps the rest.
        Default: one after the other, here.
    rng : int, SeedSequence, Generator or None
    on_error : {"record", "raise"}
        What to do with an exception of the function.
    progress : bool or callable
        True shows a bar (tqdm); a callable is given the fraction done.
    checkpoint : path, optional
        A file that gets each point as soon as it is done. If it exists, what it holds is not
        computed again: a killed sweep resumes. Points that failed are tried again.

    Returns
    -------
    Sweep

    Raises
    ------
    ValueError
        For no points, an unknown string, results of different names or shapes, or a
        checkpoint of another sweep.
    TypeError
        For parameters or results of other kinds.
    OSError
        If the checkpoint cannot be written. What it holds stays good.

    Examples
    --------
    >>> import rattling
    >>> result = rattling.sweep(lambda a, b: a * b, {"a": [1, 2, 3], "b": [10.0, 20.0]})
    >>> result["value"]
    array([[10., 20.],
           [20., 40.],
           [30., 60.]])
    """
    choice("on_error", on_error, _ON_ERROR)
    if not callable(function):
        raise TypeError(f"function must be callable, not {type(function).__name__}")
    if executor is not None and not hasattr(executor, "submit"):
        raise TypeError(f"executor must be None or have a method submit, not {type(executor).__name__}")
    axes, points = _points(parameters)
    seeds = _seeds(function, points, rng)
    store = _Store(checkpoint, _name(function), points, seeds) if checkpoint is not None else _Nowhere()
    try:
        done = store.load()
        todo = [k for k in range(len(points)) if k not in done]
        with progress_hook(progress, "sweep") as hook:
            run = _here if executor is None else _on_executor
            for k, outcome in run(function, points, seeds, todo, executor):
                if outcome.error and on_error == "raise":
                    raise outcome.exception
                done[k] = outcome
                store.save(k, outcome)
                if hook is not None:
                    hook(len(done) / len(points))
    finally:
        store.close()
    outcomes = [done[k] for k in range(len(points))]
    return Sweep(
        points=points,
        axes=axes,
        values=_stack([o.values for o in outcomes]),
        errors=[o.error for o in outcomes],
        tracebacks=[o.traceback for o in outcomes],
    )


def _points(parameters: Any) -> Any:
    if hasattr(parameters, "items"):
        axes = {}
        for name, values in parameters.items():
            if isinstance(values, str) or not hasattr(values, "__len__"):
                raise TypeError(f"parameters[{name!r}] must be a sequence of values; got {values!r}")
            axes[str(name)] = [v.item() if isinstance(v, np.generic) else v for v in values]
        points = [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]
    else:
        try:
            axes, points = {}, [dict(point) for point in parameters]
        except (TypeError, ValueError):
            raise TypeError(
                "parameters must be a dict of sequences by name, or a sequence of dicts of values by name; got"
                f" {short(parameters)}"
            ) from None
    if not points or not (axes or points[0]):
        raise ValueError("parameters must have at least one point")
    return axes, points


def _seeds(function: Function, points: Any, rng: Seed) -> Any:
    """A SeedSequence for each point, or None where the function takes no rng."""
    try:
        wants = "rng" in inspect.signature(function).parameters
    except (TypeError, ValueError):
        wants = False
    if not wants or any("rng" in point for point in points):
        return [None] * len(points)
    if isinstance(rng, np.random.SeedSequence):  # its copy: spawning counts, and the same call gives the same
        rng = np.random.SeedSequence(**rng.state)
    return [child.bit_generator.seed_seq for child in random_generator(rng).spawn(len(points))]


# --- running --------------------------------------------------------------------------------------


@dataclass
class _Outcome:
    values: dict[str, Any] | None
    error: str = ""
    traceback: str = ""
    exception: BaseException | None = None


def _call(function: Function, point: Any, seed: Any) -> Any:
    """What a worker does: values by name."""
    extra = {} if seed is None else {"rng": np.random.default_rng(seed)}
    value = function(**point, **extra)
    named = value if hasattr(value, "items") else {"value": value}
    result = {}
    for name, entry in named.items():
        array = np.asarray(entry)
        if array.dtype.kind not in "biufU":
            raise TypeError(f"function must return numbers, arrays or strings; {name} is {type(entry).__name__}")
        result[str(name)] = array
    return result


def _failed(error: BaseException) -> Any:
    text = "".join(traceback.format_exception(error))
    return _Outcome(None, f"{type(error).__name__}: {error}".rstrip(": "), text, error)


def _here(function: Function, points: Any, seeds: Any, todo: Any, _executor: object) -> Iterator[Any]:
    for k in todo:
        try:
            yield k, _Outcome(_call(function, points[k], seeds[k]))
        except Exception as error:
            yield k, _failed(error)


def _on_executor(function: Function, points: Any, seeds: Any, todo: Any, executor: Any) -> Iterator[Any]:
    """A bounded number of points ahead; on the way out what has not begun is cancelled."""
    waiting, rest = {}, iter(todo)
    try:
        for k in itertools.islice(rest, _PENDING):
            waiting[executor.submit(_call, function, points[k], seeds[k])] = k
        while waiting:
            finished, _ = futures.wait(waiting, return_when=futures.FIRST_COMPLETED)
            for future in finished:
                k = waiting.pop(future)
                error = future.exception()
                yield k, _Outcome(future.result()) if error is None else _failed(error)
                following = next(rest, None)
                if following is None:
                    continue
                try:
                    waiting[executor.submit(_call, function, points[following], seeds[following])] = following
                except Exception as broken:  # the executor takes no more
                    for lost in (following, *rest):
                        yield lost, _failed(broken)
    finally:
        for future in waiting:
            future.cancel()


def _stack(results: Any) -> Any:
    """Arrays with the points first. Failed points are NaN, or "" where values are text."""
    good = [values for values in results if values is not None]
    if not good:
        return {}
    stacked = {}
    for name, first in good[0].items():
        for values in good:
            if values.keys() != good[0].keys() or values[name].shape != first.shape:
                raise ValueError(
                    "function must return the same names and shapes at each point; got"
                    f" { {n: a.shape for n, a in good[0].items()} } and { {n: a.shape for n, a in values.items()} }"
                )
        kind = np.result_type(*(values[name] for values in good))
        if len(good) < len(results) and kind.kind in "biu":
            kind = np.dtype(float)
        blank = np.full(first.shape, "" if kind.kind == "U" else np.nan if kind.kind == "f" else 0, dtype=kind)
        stacked[name] = np.stack([blank if values is None else values[name].astype(kind) for values in results])
    return stacked


# --- checkpoint -------------------------------------------------------------------------------------


# what is wrong with the disk, not with what is on it
_NO_FILE = (
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR_WRITE,
    sqlite3.SQLITE_READONLY,
)


class _Nowhere:
    def load(self) -> dict[int, Any]:
        return {}

    def save(self, number: int, outcome: Any) -> None:
        pass

    def close(self) -> None:
        pass


def _name(function: Function) -> str:
    """By which a checkpoint knows a function."""
    if isinstance(function, functools.partial):
        return _name(function.func)
    return getattr(function, "__qualname__", type(function).__qualname__)


class _Store:
    """A database with one row a finished point: complete, or not there."""

    def __init__(self, path: str | os.PathLike[str], name: str, points: Any, seeds: Any) -> None:
        identity = json.dumps([name, points, [None if s is None else [s.entropy, s.spawn_key] for s in seeds]], default=repr)
        self.path = os.fspath(path)
        try:
            self.base = sqlite3.connect(self.path, isolation_level=None)
        except sqlite3.Error as error:
            raise self._failure(error) from error
        try:
            (state,) = self.base.execute("PRAGMA quick_check(1)").fetchone()
            if state != "ok":
                raise sqlite3.DatabaseError(state)
            self.base.execute("CREATE TABLE IF NOT EXISTS sweep (identity TEXT)")
            self.base.execute("CREATE TABLE IF NOT EXISTS points (number INTEGER PRIMARY KEY, content BLOB)")
            rows = self.base.execute("SELECT identity FROM sweep").fetchall()
            if not rows:
                self.base.execute("INSERT INTO sweep VALUES (?)", (identity,))
        except sqlite3.DatabaseError as error:
            if getattr(error, "sqlite_errorcode", None) not in _NO_FILE:
                raise self._damaged(error) from error
            self.base.close()
            raise self._failure(error) from error
        if rows and rows[0][0] != identity:
            self.base.close()
            raise ValueError(f"checkpoint {self.path} is of another sweep: another function, other points or another rng")

    def load(self) -> dict[int, Any]:
        done = {}
        try:
            for number, content in self.base.execute("SELECT number, content FROM points"):
                with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
                    done[number] = _Outcome({name: arrays[name] for name in arrays.files})
        except MemoryError:
            raise
        except Exception as error:  # a damaged archive can raise almost anything
            raise self._damaged(error) from error
        return done

    def _damaged(self, error: Exception) -> ValueError:
        self.base.close()
        return ValueError(f"checkpoint {self.path} is damaged or of another kind: {error}")

    def save(self, number: int, outcome: Any) -> None:
        if outcome.values is not None:
            content = io.BytesIO()
            with zipfile.ZipFile(content, "w") as archive:
                write_arrays(archive, outcome.values)
            try:
                self.base.execute("INSERT OR REPLACE INTO points VALUES (?, ?)", (number, content.getvalue()))
            except sqlite3.Error as error:
                raise self._failure(error) from error

    def _failure(self, error: sqlite3.Error) -> OSError:
        """The disk is full, the file is locked, ..."""
        return OSError(f"checkpoint {self.path} cannot be written: {error}")

    def close(self) -> None:
        self.base.close()


# --- ensembles ----------------------------------------------------------------------------------------


@dataclass(frozen=True, repr=False, eq=False)
class Ensemble(Result):
    """The law's scores over random systems; made by :func:`typicality_ensemble`.

    Attributes
    ----------
    scores : dict of ndarray, shape (n,)
        By name; NaN where undefined or the draw failed.
    errors : list of str
        "" or what went wrong, for each draw.
    """

    scores: dict[str, np.ndarray]
    errors: list[str]

    @property
    def n(self) -> int:
        return len(self.errors)

    def exceedance(self, score: str, threshold: float, *, confidence: float = 0.95) -> Any:
        """P(score > threshold) with its interval.

        Parameters
        ----------
        score : str
        threshold : float
        confidence : float

        Returns
        -------
        probability, low, high : float
            The share of draws with a defined score, and the exact binomial interval
            (Clopper & Pearson 1934, Biometrika 26, 404).
        """
        choice("score", score, self.scores)
        if not 0 < confidence < 1:
            raise ValueError(f"confidence must be between 0 and 1; got {confidence!r}")
        values = self.scores[score]
        values = values[np.isfinite(values)]
        n, k = len(values), int(np.sum(values > threshold))
        if n == 0:
            return math.nan, 0.0, 1.0
        from scipy.special import betaincinv

        tail = (1 - confidence) / 2
        low = float(betaincinv(k, n - k + 1, tail)) if k > 0 else 0.0
        high = float(betaincinv(k + 1, n - k, 1 - tail)) if k < n else 1.0
        return k / n, low, high

    def summary(self) -> str:
        """Quantiles of each score, as text."""
        lines = [f"{'score':<18}{'mean':>10}{'sd':>10}{'5 %':>10}{'median':>10}{'95 %':>10}{'undefined':>11}"]
        for name, values in self.scores.items():
            good = values[np.isfinite(values)]
            if len(good) == 0:
                lines.append(f"{name:<18}{'nan':>10}" + f"{len(values):>51}")
                continue
            numbers = [good.mean(), good.std(ddof=1) if len(good) > 1 else np.nan, *np.quantile(good, [0.05, 0.5, 0.95])]
            lines.append(f"{name:<18}" + "".join(f"{v:>10.4f}" for v in numbers) + f"{len(values) - len(good):>11}")
        failed = sum(error != "" for error in self.errors)
        lines.append(f"{self.n} draws" + (f", of which {failed} failed" if failed else ""))
        return "\n".join(lines)

    def plot(self, ax: Axes | None = None, score: str = "correlation") -> Axes:
        """The distribution of one score. Returns the axes."""
        from rattling.plotting import current_axes

        ax = current_axes(ax)
        values = self.scores[score]
        ax.hist(values[np.isfinite(values)], bins="auto", color="C0")
        ax.set(xlabel=score.replace("_", " "), ylabel="draws")
        return ax


class _Draw:
    """One draw's scores; pickles if the family does."""

    def __init__(self, family: Function, scores: Any) -> None:
        self.family = family
        self.scores = scores
        self.__qualname__ = f"{', '.join(scores)} of {_name(family)}"

    def __call__(self, draw: int, rng: np.random.Generator) -> Any:
        system = self.family(rng)
        if isinstance(system, Generator):
            state = steady_state(system)
            result = typicality(state.log_density, np.log(state.exit_rates))
        else:
            model, grid = system
            state = steady_state(model, grid)
            rattling = exact_rattling(model, grid)
            result = typicality(state.log_density, rattling, volume=grid.volumes, dim=grid.dim)
        return {name: float(getattr(result, name)) for name in self.scores}


def typicality_ensemble(
    family: Function,
    n: int = 100,
    scores: Any = _SCORES,
    *,
    executor: Executor | None = None,
    rng: Seed = None,
    progress: Progress = False,
    checkpoint: str | os.PathLike[str] | None = None,
) -> Ensemble:
    """How typical the law is in a family of random systems: "typical" as a number.

    Parameters
    ----------
    family : callable
        ``family(rng)`` draws (model, grid), or a Generator, whose R is log q.
    n : int
        Draws.
    scores : sequence of str
        Names of attributes of `Typicality`.
    executor, rng, progress, checkpoint
        As in :func:`sweep`.

    Returns
    -------
    Ensemble
        Draws that fail are in ``errors``.

    Examples
    --------
    >>> import rattling
    >>> from rattling import systems
    >>> ensemble = rattling.typicality_ensemble(lambda rng: systems.random_rates(20, rng=rng), 50, rng=1)
    >>> probability, low, high = ensemble.exceedance("correlation", 0.5)
    >>> low < probability < high
    True
    """
    if not callable(family):
        raise TypeError(f"family must be a function of rng that draws a system, not {type(family).__name__}")
    n = count("n", n, 1)
    from rattling.typicality import Typicality

    known = {f.name for f in dataclasses.fields(Typicality)}
    for name in scores:
        if name not in known:
            raise ValueError(f"scores must be names of Typicality's numbers; got {name!r}")
    result = sweep(
        _Draw(family, tuple(scores)),
        {"draw": range(n)},
        executor=executor,
        rng=rng,
        progress=progress,
        checkpoint=checkpoint,
    )
    values = {name: result.values.get(name, np.full(n, np.nan)) for name in scores}
    return Ensemble(scores=values, errors=result.errors)
