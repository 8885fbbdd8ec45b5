"""Published measurements."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np

from rattling._checks import choice
from rattling.trajectories import Trajectories

if TYPE_CHECKING:
    from collections.abc import Sequence

_N_ROBOTS = 3
_COLUMNS = ("pulse", "t", *(f"{name}{k}" for k in range(1, _N_ROBOTS + 1) for name in ("x", "y", "theta")))
_BODY_LENGTH = 53.54  # pixels
_KINDS = ("raw9", "observables7")


def load_smarticles(path: str | os.PathLike[str]) -> Trajectories:
    """Read a track of three "smarticle" robots, as published with the 2021 paper.

    Parameters
    ----------
    path : str or path-like
        A CSV file without header. Columns: time of the synchronisation pulse (0: none),
        time in s, then x (px), y (px) and theta (rad) of robots 1, 2 and 3.

    Returns
    -------
    Trajectories
        One path. ``x``, of shape (1, n_rows, 9), has the columns x1, y1, theta1, x2, ...
        as they are in the file, in pixels and radians; ``t`` the times, which are not
        equally spaced; ``dt`` their mean difference; ``info["pulse"]`` the first column.
        `smarticle_coordinates` makes coordinates of it.

    Raises
    ------
    ValueError
        For a file that is no such table, with the line: a wrong number of columns, text,
        values that are not finite, times that do not increase, fewer than two rows.
    OSError
        If the file cannot be read.

    References
    ----------
    P. Chvykov et al., Science 371, 90 (2021); data: doi 10.5281/zenodo.4056700.
    """
    name = os.fspath(path)
    table = _read_table(path, name)
    t = table[:, 1]
    late = np.flatnonzero(np.diff(t) <= 0.0)
    if late.size:
        row = late[0] + 1
        raise ValueError(f"{name}, line {row + 1}: time must increase, but {t[row]} s follows {t[row - 1]} s")
    return Trajectories(
        x=np.ascontiguousarray(table[None, :, 2:]),
        t=t.copy(),
        dt=float(np.mean(np.diff(t))),
        variables=_COLUMNS[2:],
        info={"source": os.path.basename(name), "pulse": table[:, 0].copy()},
    )


def smarticle_coordinates(tracks: Trajectories, kind: str = "raw9") -> np.ndarray:
    """Coordinates of the published analysis.

    Parameters
    ----------
    tracks : Trajectories
        From `load_smarticles`.
    kind : {"raw9", "observables7"}
        "raw9": x1, x2, x3, y1, y2, y3 in body lengths (53.54 px) from the mean over time
        and robots, then theta1, theta2, theta3. "observables7", which do not change when
        the swarm moves or turns as a whole: the centre of the three seen in the frame of
        each robot (three components along its axis, three across), then the alignment
        ``|mean exp(i theta)|``.

    Returns
    -------
    ndarray, shape (n_rows, 9) or (n_rows, 7)

    Raises
    ------
    ValueError
        For an unknown kind, or tracks that are not those of three robots.

    References
    ----------
    P. Chvykov et al., Science 371, 90 (2021) and its public analysis code.
    """
    choice("kind", kind, _KINDS)
    if not isinstance(tracks, Trajectories):
        raise TypeError(f"tracks must be Trajectories from load_smarticles, not {type(tracks).__name__}")
    if tracks.x.shape[0] != 1 or tracks.x.shape[2] != 3 * _N_ROBOTS:
        raise ValueError(f"tracks must hold one path with 9 columns, but x has shape {tracks.x.shape}")
    columns = tracks.x[0].T
    x, y, theta = columns[0::3], columns[1::3], columns[2::3]
    x = (x - x.mean()) / _BODY_LENGTH
    y = (y - y.mean()) / _BODY_LENGTH
    if kind == "raw9":
        return np.concatenate([x, y, theta]).T
    to_centre_x, to_centre_y = x.mean(axis=0) - x, y.mean(axis=0) - y
    cos, sin = np.cos(theta), np.sin(theta)
    along = to_centre_x * cos + to_centre_y * sin
    across = to_centre_y * cos - to_centre_x * sin
    alignment = np.abs(np.exp(1j * theta).mean(axis=0))
    return np.concatenate([along, across, alignment[None]]).T


def _read_table(path: str | os.PathLike[str], name: str) -> np.ndarray:
    """(n_rows, 11) finite numbers."""
    try:
        with open(path, encoding="utf-8-sig") as file:
            lines = file.read().rstrip().split("\n")
        if "\0" in lines[0]:
            raise ValueError(f"{name} is not a text file")
    except UnicodeDecodeError:
        raise ValueError(f"{name} is not a text file") from None
    if lines == [""]:
        raise ValueError(f"{name} is empty")
    table = np.empty((len(lines), len(_COLUMNS)))
    for row, line in enumerate(lines):
        fields = line.split(",")
        if len(fields) != len(_COLUMNS):
            raise ValueError(
                f"{name}, line {row + 1}: {len(_COLUMNS)} numbers separated by commas are expected"
                f" (pulse, time, then x, y, theta of three robots), but there are {len(fields)}"
            )
        try:
            if "_" in line:  # which float() takes within a number
                raise ValueError
            table[row] = [float(text) for text in fields]
        except ValueError:
            raise ValueError(f"{name}, line {row + 1}: {_not_a_number(fields)}") from None
    if len(lines) < 2:
        raise ValueError(f"{name} has one row; a track needs at least two")
    bad = np.argwhere(~np.isfinite(table))
    if bad.size:
        row, column = bad[0]
        raise ValueError(
            f"{name}, line {row + 1}: {_COLUMNS[column]} must be finite, but it is {table[row, column]}"
        )
    return table


def _not_a_number(fields: Sequence[str]) -> str:
    for column, text in zip(_COLUMNS, fields, strict=True):
        try:
            float(text.replace("_", "?"))
        except ValueError:
            text = text.strip()
            shown = repr(text if len(text) <= 40 else text[:37] + "...")
            return f"{column} must be a number, but it is {shown if text else 'empty'}"
    raise AssertionError("all fields are numbers")  # pragma: no cover - asked only where one is not
