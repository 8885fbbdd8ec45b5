"""Made-up tracks of three robots, and where the published ones are, if they are."""

import json
from pathlib import Path

import numpy as np
import pytest

PUBLISHED = Path(__file__).parents[2] / "shared" / "data" / "smarticles"
NAMES = ("driveAB_1.csv", "driveAB_2.csv", "driveA_random_0.csv", "driveA_random_3.csv")


def published(name):
    """Path of a published track and what the published analysis gives on it."""
    if not (PUBLISHED / name).is_file():
        pytest.skip(f"the published track {name} is not in {PUBLISHED}")
    return PUBLISHED / name, json.loads((PUBLISHED / "expected.json").read_text())[name]


def made_up_track(n_rows=200, seed=0):
    """(n_rows, 11): pulse, uneven times, then x, y, theta of three robots."""
    rng = np.random.default_rng(seed)
    table = np.zeros((n_rows, 11))
    table[0, 0] = 64.0
    table[:, 1] = np.cumsum(rng.uniform(0.05, 0.15, n_rows))
    steps = rng.normal(size=(n_rows, 3, 3)) * [1.0, 1.0, 0.05]
    starts = [[724.0, 286.0, 2.9], [659.0, 320.0, 6.2], [612.0, 264.0, 0.6]]
    table[:, 2:] = (starts + np.cumsum(steps, axis=0)).reshape(n_rows, 9)
    return table


def lines_of(table):
    return [",".join(repr(float(value)) for value in row) for row in table]


def write(path, lines):
    path.write_text("\n".join(lines) + "\n")
    return path
