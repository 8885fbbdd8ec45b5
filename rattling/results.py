"""What all results share: printing, saving, loading, conversion to xarray."""

from __future__ import annotations

import dataclasses
import errno
import html
import importlib
import json
import math
import os
import secrets
import shutil
import tempfile
import textwrap
import zipfile
from typing import IO, TYPE_CHECKING, Any, Self

import numpy as np

from rattling.grids import Grid

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import xarray

_FORMAT = 1
_HEADER = "rattling.json"


@dataclasses.dataclass(frozen=True, repr=False, eq=False)
class Result:
    """Base class of results.

    A result is declared as ``@dataclass(frozen=True, repr=False, eq=False)``. Its
    fields may be arrays, numbers, strings, None, a :class:`Grid`, another result, and
    lists, tuples and dictionaries (with string keys) of these. A field with
    ``metadata={"save": False}`` must have a default and is not stored.

    Subclasses may set

    ``_dims``
        Names of the dimensions of the fields or properties that
        :meth:`to_xarray` exports; ``"grid"`` stands for the axes of ``self.grid``.
    ``_coords``
        Dimension name -> field or property that holds its coordinate.
    """

    @property
    def _dims(self) -> Mapping[str, tuple[str, ...]]:
        return {}

    @property
    def _coords(self) -> Mapping[str, str]:
        return {}

    def _lines(self) -> list[tuple[str, str]]:
        """(name, short text) of each public field."""
        names = [f.name for f in dataclasses.fields(self) if f.repr and not f.name.startswith("_")]
        return [(name, _short(getattr(self, name))) for name in names]

    def __repr__(self) -> str:
        lines = self._lines()
        width = max((len(name) for name, _ in lines), default=0)
        return "\n".join([type(self).__name__, *(f"  {name:<{width}}  {text}" for name, text in lines)])

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><th style='text-align:left'>{html.escape(name)}</th>"
            f"<td style='text-align:left'>{html.escape(text)}</td></tr>"
            for name, text in self._lines()
        )
        return f"<table><caption>{html.escape(type(self).__name__)}</caption>{rows}</table>"

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the result to one ``.npz`` file, which :meth:`load` reads.

        The file appears under its name only when it is complete.

        Parameters
        ----------
        path : str or path-like
            Name of the file, used as it is.

        Raises
        ------
        OSError
            If the file cannot be written.
        """
        arrays: dict[str, np.ndarray] = {}
        header = {"format": _FORMAT, **_pack(self, arrays, "")}
        write_whole(path, lambda name: _write(name, header, arrays))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read a result that :meth:`save` wrote.

        Parameters
        ----------
        path : str or path-like

        Returns
        -------
        An instance of this class; of any class when called as ``Result.load``.

        Raises
        ------
        ValueError
            If the file is damaged, holds another kind of result, or was written in a
            newer format.
        OSError
            If the file cannot be read.
        """
        with open(os.fspath(path), "rb") as file:
            try:
                header, arrays = _read(file)
            except MemoryError:
                raise
            except Exception as error:  # a damaged archive can raise almost anything
                raise ValueError(f"{os.fspath(path)} is damaged or is not a saved result: {error}") from error
        if header["format"] > _FORMAT:
            raise ValueError(
                f"{os.fspath(path)} has format {header['format']}, but this version reads formats up to {_FORMAT}"
            )
        name = header["result"]
        known = {c.__name__: c for c in _subclasses(Result)}
        if name not in known or not issubclass(known[name], cls):
            raise ValueError(f"{os.fspath(path)} holds a {name}, not a {cls.__name__}")
        try:
            result: Self = _unpack(header, arrays, known)
        except MemoryError:
            raise
        except Exception as error:
            raise ValueError(f"{os.fspath(path)} is damaged: {name} cannot be made from it: {error}") from error
        return result

    def to_xarray(self) -> xarray.Dataset:
        """The result as an :class:`xarray.Dataset`.

        Arrays become variables with named dimensions and coordinates, single numbers
        and strings become attributes.

        Raises
        ------
        ImportError
            If xarray is not installed.
        """
        extra = import_extra("xarray", "xarray")
        grid = getattr(self, "grid", None)
        axes = axis_names(self)
        coords: dict[str, Any] = {dim: np.asarray(getattr(self, name)) for dim, name in self._coords.items()}
        if grid is not None:
            coords |= {name: grid.centres(axis) for axis, name in enumerate(axes)}
        variables = {}
        for name, dims in self._dims.items():
            value = getattr(self, name)
            if value is None:
                continue
            dims = tuple(d for dim in dims for d in (axes if dim == "grid" else (dim,)))
            variables[name] = (dims, np.asarray(value))
            if axes and "component" in dims:
                coords["component"] = list(axes)
        scalars = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        attributes = {k: v for k, v in scalars.items() if isinstance(v, (int, float, str)) and not k.startswith("_")}
        dataset: xarray.Dataset = extra.Dataset(variables, coords, attributes)
        return dataset


def import_extra(module: str, extra: str) -> Any:
    """Import an optional module, or say which extra brings it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        name = module.split(".")[0]
        raise ImportError(f"this needs {name}: pip install 'rattling[{extra}]'") from error


def axis_names(result: object) -> tuple[str, ...]:
    """Names of the axes of ``result.grid``: its ``variables``, or x, y, z, or x0, x1, ..."""
    grid = getattr(result, "grid", None)
    if grid is None:
        return ()
    variables = getattr(result, "variables", None)
    if variables is not None:
        return tuple(map(str, variables))
    return ("x", "y", "z")[: grid.dim] if grid.dim <= 3 else tuple(f"x{k}" for k in range(grid.dim))


def table(title: str, rows: Sequence[tuple[str, str, str, str]], notes: Sequence[str] = ()) -> str:
    """A summary as text: a title over rows of two names with their values, notes below."""
    widths = [max(len(row[k]) for row in rows) for k in range(4)]
    lines = [f"{a:<{widths[0]}}  {b:>{widths[1]}}    {c:<{widths[2]}}  {d:>{widths[3]}}" for a, b, c, d in rows]
    width = len(lines[0])
    return "\n".join([title.center(width).rstrip(), "=" * width, *lines, "=" * width, *notes])


def with_error(value: float, error: float) -> str:
    """A number and its standard error, to the error's first two digits: 1.307 ± 0.089."""
    if not (math.isfinite(value) and math.isfinite(error) and error > 0):
        return f"{value:.4g}" if error == 0 or math.isnan(error) else f"{value:.4g} ± {error:.2g}"
    digits = 1 - math.floor(math.log10(error))
    if not -4 <= digits <= 10:
        return f"{value:.4g} ± {error:.2g}"
    return f"{round(value, digits):.{max(digits, 0)}f} ± {round(error, digits):.{max(digits, 0)}f}"


def _short(value: object) -> str:
    """One line about a value."""
    if isinstance(value, np.ndarray) and value.ndim > 0:
        return _describe(value)
    if isinstance(value, Result):
        return type(value).__name__
    if isinstance(value, (float, np.floating)):
        return f"{value:.6g}"
    if isinstance(value, dict):
        text = ", ".join(f"{k}: {_short(v)}" for k, v in value.items())
    elif isinstance(value, (list, tuple)):
        text = ", ".join(map(_short, value))
    else:
        text = str(value)
    return textwrap.shorten(text, 100, placeholder=" ...")


def _describe(array: np.ndarray) -> str:
    """Shape and range of an array."""
    shape = f"{array.dtype} array {array.shape}"
    if array.size == 0 or array.dtype.kind not in "iuf":
        return shape
    good = array[np.isfinite(array)]
    if good.size == 0:
        return f"{shape}, nothing finite"
    text = f"{shape} from {good.min():.6g} to {good.max():.6g}"
    return text if good.size == array.size else f"{text}, {array.size - good.size} not finite"


def _pack(value: object, arrays: dict[str, np.ndarray], where: str) -> Any:
    """Turn a value into what JSON can hold; arrays go to ``arrays`` under their path."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, np.generic) and value.dtype.kind in "biuf":
        return value.item()
    if isinstance(value, np.ndarray) and not value.dtype.hasobject:
        arrays[where] = value
        return {"array": where}
    if isinstance(value, Grid):
        bounds, shape, boundary = value._arguments()
        bounds = [b if isinstance(b, tuple) else _pack(b, arrays, f"{where}.{k}") for k, b in enumerate(bounds)]
        return {"grid": [bounds, shape, boundary]}
    if isinstance(value, Result):
        fields = [f.name for f in dataclasses.fields(value) if f.metadata.get("save", True)]
        packed = {name: _pack(getattr(value, name), arrays, f"{where}.{name}".lstrip(".")) for name in fields}
        return {"result": type(value).__name__, "fields": packed}
    if isinstance(value, (list, tuple)):
        kind = "tuple" if isinstance(value, tuple) else "list"
        return {kind: [_pack(item, arrays, f"{where}.{k}") for k, item in enumerate(value)]}
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {"dict": {key: _pack(item, arrays, f"{where}.{key}") for key, item in value.items()}}
    raise TypeError(f"{where} cannot be saved: it is a {type(value).__name__}")


def _unpack(packed: Any, arrays: dict[str, np.ndarray], known: dict[str, type[Result]]) -> Any:
    """The inverse of :func:`_pack`."""
    if not isinstance(packed, dict):
        return packed
    if "result" in packed:
        fields = {name: _unpack(item, arrays, known) for name, item in packed["fields"].items()}
        return known[packed["result"]](**fields)
    ((kind, content),) = ((k, v) for k, v in packed.items() if k != "format")
    if kind == "array":
        return arrays[content]
    if kind == "grid":
        bounds = [_unpack(b, arrays, known) if isinstance(b, dict) else b for b in content[0]]
        return Grid(bounds, *content[1:])
    if kind == "dict":
        return {key: _unpack(item, arrays, known) for key, item in content.items()}
    if kind in ("list", "tuple"):
        items = [_unpack(item, arrays, known) for item in content]
        return tuple(items) if kind == "tuple" else items
    raise ValueError(f"unknown kind of value {kind!r}")


def write_whole(path: str | os.PathLike[str], write: Callable[[str], Any]) -> None:
    """Call write(name) for a new file beside `path`, which takes its place when it is complete."""
    target = os.path.realpath(os.fspath(path))
    stem, suffix = os.path.splitext(target)  # a suffix may say what is written
    if os.path.exists(target) and not os.path.isfile(target):  # a device stays where it is
        with open(target, "wb") as device, tempfile.TemporaryDirectory() as folder:
            write(os.path.join(folder, "whole" + suffix))
            with open(os.path.join(folder, "whole" + suffix), "rb") as file:
                shutil.copyfileobj(file, device)
        return
    if not os.path.isdir(os.path.dirname(target)):  # else the error names the temporary file
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), os.fspath(path))
    temporary = f"{stem}.{secrets.token_hex(4)}.tmp{suffix}"
    try:
        write(temporary)
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except BaseException:
        if os.path.exists(temporary):
            os.unlink(temporary)
        raise


def _write(name: str, header: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
    """An npz file, as numpy.savez makes them, and in it the header as a text file."""
    with zipfile.ZipFile(name, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(_HEADER, json.dumps(header, indent=1))
        write_arrays(archive, arrays)


def write_arrays(archive: zipfile.ZipFile, arrays: Mapping[str, np.ndarray]) -> None:
    """As numpy.savez, under any names: that one has arguments called "file" and "allow_pickle"."""
    for name, array in arrays.items():
        with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
            np.lib.format.write_array(member, array, allow_pickle=False)


def _read(file: IO[bytes]) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Header and arrays of a file, checked as far as possible without its class."""
    if file.read(2) != b"PK":
        raise ValueError("it is no npz file")
    file.seek(0)
    with np.load(file, allow_pickle=False) as content:
        if _HEADER not in content:
            raise ValueError("it has no header")
        header = json.loads(content[_HEADER])
        if not isinstance(header, dict) or not isinstance(header.get("format"), int):
            raise ValueError("its header has no format")
        if not isinstance(header.get("result"), str):
            raise ValueError("its header names no result")
        arrays = {name: content[name] for name in content.files if name != _HEADER}
        for name, array in arrays.items():
            if not isinstance(array, np.ndarray):  # bytes, where there is no header of NumPy's
                raise ValueError(f"{name} is no array")
        return header, arrays


def _subclasses(cls: type[Result]) -> Iterator[type[Result]]:
    for child in cls.__subclasses__():
        yield child
        yield from _subclasses(child)
