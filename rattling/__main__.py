"""The command line: ``python -m rattling``."""

from __future__ import annotations

import argparse
import dataclasses
import errno
import json
import math
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rattling._core import ConvergenceError, ReducibleError
from rattling.results import import_extra, write_whole

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Sequence

    from rattling.trajectories import Trajectories

DONE, FAILED, BAD_INPUT = 0, 1, 2
INTERRUPTED = 130  # as shells have it: 128 and the number of SIGINT

# coordinate sets of the published analysis
_KINDS = {
    "raw9": "positions (body lengths) and angles of the three robots",
    "observables7": "the centre as each robot sees it, and their alignment",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status: 0 done, 1 a stated requirement failed,
    2 bad input."""
    parser = argparse.ArgumentParser(
        prog="python -m rattling", description="Rattling, steady states and typicality of driven systems."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    for add in (_add_demo, _add_smarticles, _add_report, _add_sweep):
        add(commands)
    arguments = parser.parse_args(argv)
    try:
        status: int = arguments.run(arguments)
        if sys.stdout is not None:
            sys.stdout.flush()
        return status
    except BrokenPipeError:  # whoever read our output has seen enough
        _forget_output()
        return DONE
    except OSError as error:
        _forget_output()
        where = f"{error.filename}: " if error.filename else ""
        print(f"rattling: {where}{error.strerror or error}", file=sys.stderr)
    except MemoryError as error:
        print(f"rattling: {str(error) or 'not enough memory; take fewer cells'}", file=sys.stderr)
    except (ValueError, ImportError, ConvergenceError, ReducibleError) as error:
        print(f"rattling: {error}", file=sys.stderr)
    except KeyboardInterrupt:
        print("rattling: interrupted", file=sys.stderr)
        return INTERRUPTED
    return BAD_INPUT


def _forget_output() -> None:
    """What cannot be written now cannot be written at exit."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _output_path(option: str, text: str, suffix: str = "") -> Path:
    """Where a file will be written; that it cannot be is found out before the work."""
    if not text:
        raise ValueError(f"{option} needs the name of a file")
    path = Path(text) if Path(text).suffix else Path(text + suffix)
    if path.is_dir() or Path(text).is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), text)
    if not path.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), text)
    return path


# --- demo -------------------------------------------------------------------------------


def _add_demo(commands: Any) -> None:
    command = commands.add_parser(
        "demo",
        help="one driven system from model to typicality report",
        description="Solve a driven system's steady state, simulate it, estimate its rattling and fit"
        " p ~ exp(-gamma R)/Z: a report and a figure, within about a minute.",
    )
    command.add_argument("--figure", metavar="PATH", default="demo.png", help="default: demo.png here")
    command.set_defaults(run=_run_demo)


def _run_demo(arguments: Namespace) -> int:
    from rattling import demo

    path = _output_path("--figure", arguments.figure, ".png")
    result = demo.compute()
    print(demo.report(result))
    write_whole(path, demo.figure(result).savefig)
    print(f"figure: {path}")
    return DONE


# --- smarticles -------------------------------------------------------------------------


def _add_smarticles(commands: Any) -> None:
    command = commands.add_parser(
        "smarticles",
        help="windowed rattling of a published robot track",
        description="Windowed rattling of a track of three robots, as in Chvykov et al., Science 371, 90"
        " (2021): a report, and a figure of R over time with the running mean over 25 windows that the"
        " published analysis draws.",
    )
    command.add_argument(
        "file", metavar="FILE.csv", help="pulse, time, then x, y, theta of three robots in each row"
    )
    command.add_argument(
        "--json", action="store_true", help="print one JSON object with the numbers, draw no figure"
    )
    command.add_argument(
        "--window", type=float, default=8.0, metavar="S", help="length of a window in s (default: 8)"
    )
    command.add_argument(
        "--figure", metavar="PATH", help="where to write the figure (default: NAME-rattling.png here)"
    )
    command.set_defaults(run=_run_smarticles)


def _run_smarticles(arguments: Namespace) -> int:
    from rattling.datasets import load_smarticles, smarticle_coordinates
    from rattling.windows import windowed_rattling

    tracks = load_smarticles(arguments.file)
    results = {}
    for kind in _KINDS:
        try:
            result = windowed_rattling(smarticle_coordinates(tracks, kind), tracks.dt, arguments.window)
        except ValueError as error:
            raise ValueError(f"{arguments.file}: {error}") from None
        results[kind] = dataclasses.replace(result, t=tracks.t[: len(result.rattling)])
    figure = arguments.figure
    if figure is None and not arguments.json:
        figure = f"{Path(arguments.file).stem}-rattling.png"
    figure = None if figure is None else _output_path("--figure", figure, ".png")
    try:
        if figure is not None:
            _draw_smarticles(results, Path(arguments.file).name, figure)
    except ImportError as error:
        if arguments.figure is not None:
            raise
        figure = f"none ({error})"
    if arguments.json:
        print(json.dumps(_smarticle_numbers(tracks, results), allow_nan=False))
    else:
        print(_smarticle_report(arguments.file, tracks, results))
        print(f"\nfigure: {figure}")
    return DONE


def _draw_smarticles(results: Any, name: str, path: Path) -> None:
    from rattling.plotting_paths import smarticle_figure

    titled = {f"{kind}: {_KINDS[kind]}": result for kind, result in results.items()}
    write_whole(path, smarticle_figure(titled, name).savefig)


def _smarticle_numbers(tracks: Trajectories, results: Any) -> dict[str, Any]:
    """The keys of the published numbers. What is not finite is null, and is left out of
    the statistics."""
    numbers = {"rows": tracks.n_times, "dt": tracks.dt, "window": next(iter(results.values())).n_rows + 1}
    for kind, result in results.items():
        r = result.rattling
        finite = r[np.isfinite(r)]
        low, middle, high = np.quantile(finite, [0.05, 0.5, 0.95]) if finite.size else (np.nan,) * 3
        numbers[kind] = {
            "n_windows": len(r),
            "mean": _number(finite.mean() if finite.size else np.nan),
            "sd": _number(finite.std() if finite.size else np.nan),
            "q05": _number(low),
            "median": _number(middle),
            "q95": _number(high),
            "first5": [_number(value) for value in r[:5]],
            "every1000": [_number(value) for value in r[::1000]],
            "window_first": [0, result.n_rows],
        }
    return numbers


def _number(value: float) -> Any:
    return float(value) if math.isfinite(value) else None


def _smarticle_report(file: str, tracks: Trajectories, results: Any) -> str:
    first = next(iter(results.values()))
    lines = [
        f"Rattling of {file}",
        f"  {tracks.n_times} rows over {np.ptp(tracks.t):.1f} s, {tracks.dt:.5f} s apart on average",
        f"  windows of {first.window:g} s: {first.n_rows} rows each, one beginning at each row",
        "",
        f"  {'coordinates':<14}{'windows':>8}{'mean R':>10}{'sd':>8}{'5 %':>9}{'median':>9}{'95 %':>9}",
    ]
    for kind, values in _smarticle_numbers(tracks, results).items():
        if kind not in results:
            continue
        row = [values[key] for key in ("mean", "sd", "q05", "median", "q95")]
        text = "".join(
            "nan".rjust(n) if v is None else f"{v:{n}.3f}" for v, n in zip(row, (10, 8, 9, 9, 9), strict=True)
        )
        lines.append(f"  {kind:<14}{values['n_windows']:>8}{text}")
        stuck = int(np.sum(~np.isfinite(results[kind].rattling)))
        if stuck:
            lines.append(
                f"  {'':<14}{stuck} windows in which something does not move (R = -inf) are left out"
            )
    lines += ["", *(f"  {kind:<14}{what}" for kind, what in _KINDS.items())]
    lines += [
        "  R = 1/2 log det C, C the covariance of (x(t) - x(0))/sqrt(t): Science 371, 90 (2021)",
    ]
    return "\n".join(lines)


# --- report -----------------------------------------------------------------------------


def _add_report(commands: Any) -> None:
    command = commands.add_parser(
        "report",
        help="solve a system of the library and score the law",
        description="Solve the steady state of a system, fit p ~ exp(-gamma R)/Z and print the scores. For"
        " chains R is the log of the exit rate. Exits with 1 where a requirement fails.",
        epilog="Systems: " + _system_names() + ".",
    )
    command.add_argument("system", metavar="SYSTEM", help="its name, as in rattling.systems")
    command.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="a parameter; may be repeated"
    )
    command.add_argument("--shape", metavar="N[,N...]", help="cells along each axis (default: 400, 96, 32 in 1, 2, 3-D)")
    command.add_argument("--bounds", metavar="LO:HI[,LO:HI...]", help="the box (default: the usual one); --bounds=-1:1 where it begins with a minus")
    command.add_argument("--boundary", choices=("reflecting", "periodic"), help="of all sides")
    command.add_argument("--json", action="store_true", help="print one JSON object with the numbers")
    command.add_argument(
        "--require", action="append", default=[], metavar="SCORE>=NUMBER", help="exit with 1 unless so; may be repeated"
    )
    command.set_defaults(run=_run_report)


def _system_names() -> str:
    from rattling import systems

    return ", ".join(row[0] for row in systems.list())


def _run_report(arguments: Namespace) -> int:
    from rattling import report

    requirements = [report.read_requirement(text) for text in arguments.require]
    try:
        scores, parts, state = report.compute(
            arguments.system,
            dict(report.read_setting(text) for text in arguments.set),
            shape=None if arguments.shape is None else report.read_shape(arguments.shape),
            bounds=None if arguments.bounds is None else report.read_bounds(arguments.bounds),
            boundary=arguments.boundary,
        )
    except TypeError as error:  # a parameter of another kind than the system takes
        raise ValueError(f"{arguments.system}: {error}") from error
    values = report.numbers(scores, state)
    if arguments.json:
        print(report.as_json(values))
    else:
        where = f"{state.log_density.size} states" if state.grid is None else f"grid of shape {state.grid.shape}"
        print(f"{arguments.system}, {where}\n")
        print(scores.summary() + "\n\n" + parts.summary())
        print(f"\nentropy production {state.entropy_production:.6g}, residual {state.residual:.2g}")
    failed = report.failures(requirements, values)
    for text in failed:
        print(f"rattling: {text}", file=sys.stderr)
    return FAILED if failed else DONE


# --- sweep ------------------------------------------------------------------------------


def _add_sweep(commands: Any) -> None:
    command = commands.add_parser(
        "sweep",
        help="reports over a parameter space, from a TOML file",
        description="Score the law at each point of a parameter space and write the numbers to a NetCDF file.",
        epilog="SPEC.toml has the keys system, [parameters] (lists: the axes), and if you like [fixed], shape,"
        " bounds, boundary, seed and replicates.",
    )
    command.add_argument("spec", metavar="SPEC.toml")
    command.add_argument("--out", required=True, metavar="FILE.nc")
    command.add_argument(
        "--resume", action="store_true", help="go on from FILE.nc.partial, which a stopped sweep leaves"
    )
    command.add_argument("--workers", type=int, default=1, metavar="N", help="processes (default: 1)")
    command.set_defaults(run=_run_sweep)


def _run_sweep(arguments: Namespace) -> int:
    import contextlib
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor

    from rattling import report
    from rattling.sweeps import sweep

    import_extra("xarray", "xarray")
    if arguments.workers < 1:
        raise ValueError(f"--workers must be at least 1; got {arguments.workers}")
    point, axes, seed = report.load_spec(arguments.spec)
    out = _output_path("--out", arguments.out)
    partial = Path(f"{out}.partial")
    if not arguments.resume:
        partial.unlink(missing_ok=True)
    pool: Any = contextlib.nullcontext()
    if arguments.workers > 1:
        pool = ProcessPoolExecutor(arguments.workers, mp_context=multiprocessing.get_context("spawn"))
    with pool as executor:
        result = sweep(point, axes, executor=executor, rng=seed, checkpoint=partial)
    write_whole(out, result.to_xarray().to_netcdf)
    print(f"{len(result.points)} points, {result.n_failed} failed: {out}")
    if result.n_failed:
        first = next(k for k, error in enumerate(result.errors) if error)
        print(f"rattling: {result.points[first]}: {result.errors[first]}", file=sys.stderr)
        return FAILED
    partial.unlink(missing_ok=True)
    return DONE


if __name__ == "__main__":
    sys.exit(main())
