"""What the command line computes: a report on one system, and sweeps of reports."""

from __future__ import annotations

import inspect
import json
import math
import re
import tomllib
from typing import TYPE_CHECKING, Any

import numpy as np

from rattling import systems
from rattling.decomposition import local_global
from rattling.fokker_planck import steady_state
from rattling.grids import Grid
from rattling.markov import Generator
from rattling.models import Model, exact_rattling
from rattling.typicality import typicality

if TYPE_CHECKING:

    from rattling.typicality import Typicality

KEYS = (
    "gamma",
    "gamma_stderr",
    "gamma_kl",
    "correlation",
    "spearman",
    "kl_explained",
    "total_variation",
    "residual",
    "entropy_production",
)
_CELLS = {1: 400, 2: 96, 3: 32}  # along each axis, by dimension
_OPERATORS = {
    ">=": lambda a, b: a >= b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    "<": lambda a, b: a < b,
}
_SPEC_KEYS = {"system", "parameters", "fixed", "shape", "bounds", "boundary", "seed", "replicates"}


def make_system(name: str, parameters: dict[str, Any]) -> Any:
    """A system of the library by name.

    Returns
    -------
    Model or Generator

    Raises
    ------
    ValueError
        For an unknown name or parameter, or a system that gives neither.
    """
    known = [row[0] for row in systems.list()]
    if name not in known:
        raise ValueError(f"system must be one of {', '.join(known)}; got {name!r}")
    function = getattr(systems, name)
    try:
        inspect.signature(function).bind(**parameters)
    except TypeError as error:
        names = ", ".join(inspect.signature(function).parameters)
        raise ValueError(f"{name}: {error}; its parameters are {names}") from None
    system = function(**parameters)
    if not isinstance(system, (Model, Generator)):
        raise ValueError(f"{name} gives a {type(system).__name__}: a report needs a model or a chain")
    return system


def make_grid(name: str, model: Any, shape: Any = None, bounds: Any = None, boundary: Any = None) -> Any:
    """The grid asked for; what is left open is as usual for the system."""
    dim = model.dim if bounds is None else len(bounds)
    if shape is None:
        shape = _CELLS.get(dim, 12)
    if bounds is not None:
        return Grid(bounds, shape, "reflecting" if boundary is None else boundary)
    if name in systems._BOXES:
        bounds, sides = systems._BOXES[name]
        if len(bounds) == model.dim or len(set(bounds)) == 1:
            return Grid([bounds[0]] * model.dim if len(bounds) != model.dim else bounds, shape, boundary or sides)
    raise ValueError(f"{name} has no usual box in {model.dim} dimensions: give bounds")


def compute(name: str, parameters: dict[str, Any], *, shape: Any = None, bounds: Any = None, boundary: Any = None) -> Any:
    """Solve a system and score the law; for chains R is the log of the exit rate.

    Returns
    -------
    scores : Typicality
    parts : LocalGlobal
    state : SteadyState
    """
    system = make_system(name, parameters)
    if isinstance(system, Generator):
        state = steady_state(system)
        scores = typicality(state.log_density, np.log(state.exit_rates))
        return scores, local_global(state), state
    grid = make_grid(name, system, shape, bounds, boundary)
    state = steady_state(system, grid)
    scores = typicality(state.log_density, exact_rattling(system, grid), volume=grid.volumes, dim=grid.dim)
    return scores, local_global(state, "determinant", model=system), state


def numbers(scores: Typicality, state: Any) -> dict[str, float]:
    """The values of ``KEYS`` as floats."""
    named = {key: getattr(scores, key) for key in KEYS[:7]}
    return {
        **{key: float(value) for key, value in named.items()},
        "residual": float(state.residual),
        "entropy_production": float(state.entropy_production),
    }


def as_json(values: Any) -> Any:
    """One line; what is not finite is null."""
    return json.dumps({key: value if math.isfinite(value) else None for key, value in values.items()}, allow_nan=False)


def read_setting(text: str) -> tuple[str, Any]:
    """ "name=value": the value as JSON where it is, else as text."""
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise ValueError(f"--set takes name=value; got {text!r}")
    try:
        return name.strip(), json.loads(value)
    except (ValueError, RecursionError):
        return name.strip(), value


def read_requirement(text: str) -> tuple[str, str, float]:
    """ "kl_explained>=0.8" -> (name, operator, number)."""
    match = re.fullmatch(r"\s*(\w+)\s*(>=|<=|>|<)\s*(\S+)\s*", text)
    if match is None or match.group(1) not in KEYS:
        raise ValueError(f"--require takes one of {', '.join(KEYS)}, then >=, <=, > or <, then a number; got {text!r}")
    try:
        return match.group(1), match.group(2), float(match.group(3))
    except ValueError:
        raise ValueError(f"--require: {match.group(3)!r} is no number") from None


def failures(requirements: Any, values: Any) -> list[str]:
    """Sentences about the requirements that do not hold; nan fulfils none."""
    return [
        f"{name} {operator} {number:g} is required, but it is {values[name]:.6g}"
        for name, operator, number in requirements
        if not _OPERATORS[operator](values[name], number)
    ]


def read_shape(text: str) -> Any:
    """ "64" or "64,32"."""
    try:
        cells = tuple(int(part) for part in text.split(","))
    except ValueError:
        raise ValueError(f"--shape takes whole numbers separated by commas; got {text!r}") from None
    return cells[0] if len(cells) == 1 else cells


def read_bounds(text: str) -> Any:
    """ "-2:2,0:6.28"."""
    try:
        pairs = [part.split(":") for part in text.split(",")]
        return [(float(lower), float(upper)) for lower, upper in pairs]
    except ValueError:
        raise ValueError(f"--bounds takes LOWER:UPPER for each axis, separated by commas; got {text!r}") from None


# --- sweeps ---------------------------------------------------------------------------------------


class Point:
    """What a sweep calls at each point; pickles."""

    def __init__(self, system: str, fixed: dict[str, Any], **grid: Any) -> None:
        self.system = system
        self.fixed = fixed
        self.grid = grid
        self.draws = "rng" in inspect.signature(getattr(systems, system)).parameters

    def __call__(self, *, rng: np.random.Generator, replicate: int = 0, **parameters: Any) -> dict[str, float]:
        drawn = {"rng": rng} if self.draws and "rng" not in self.fixed else {}
        scores, parts, state = compute(self.system, {**self.fixed, **parameters, **drawn}, **self.grid)
        return {**numbers(scores, state), "r": parts.r, "rho_hat": parts.rho_hat}


def load_spec(path: str) -> Any:
    """`read_spec` of a TOML file."""
    try:
        with open(path, "rb") as file:
            return read_spec(tomllib.load(file))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: {error}") from error


def read_spec(spec: Any) -> Any:
    """The dict of a TOML file -> (Point, axes, seed).

    Keys: ``system``; ``parameters``, a table of lists; and optionally ``fixed``, a table;
    ``shape``; ``bounds``; ``boundary``; ``seed``; ``replicates``.
    """
    unknown = sorted(set(spec) - _SPEC_KEYS)
    if unknown:
        raise ValueError(f"unknown key {unknown[0]!r}; known are {', '.join(sorted(_SPEC_KEYS))}")
    for name in ("parameters", "fixed"):
        if not isinstance(spec.get(name, {}), dict):
            raise ValueError(f"{name} must be a table; got {spec[name]!r}")
    axes = dict(spec.get("parameters", {}))
    for name, values in axes.items():
        if not isinstance(values, list) or not values:
            raise ValueError(f"parameters.{name} must be a list of values; got {values!r}")
    replicates = spec.get("replicates", 1)
    if isinstance(replicates, bool) or not isinstance(replicates, int) or not 1 <= replicates <= 10**7:
        raise ValueError(f"replicates must be a whole number from 1 to 10**7; got {replicates!r}")
    seed = spec.get("seed", 0)
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise ValueError(f"seed must be a whole number of at least 0; got {seed!r}")
    if replicates > 1 or not axes:
        axes["replicate"] = list(range(replicates))
    if "system" not in spec:
        raise ValueError("system is missing")
    known = [row[0] for row in systems.list()]
    if spec["system"] not in known:
        raise ValueError(f"system must be one of {', '.join(known)}; got {spec['system']!r}")
    point = Point(
        spec["system"],
        dict(spec.get("fixed", {})),
        shape=tuple(spec["shape"]) if isinstance(spec.get("shape"), list) else spec.get("shape"),
        bounds=spec.get("bounds"),
        boundary=spec.get("boundary"),
    )
    return point, axes, seed
