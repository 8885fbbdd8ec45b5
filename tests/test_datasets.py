"""Published measurements: reading them, their coordinates, and the published numbers."""

import numpy as np
import pytest
from smarticle_tracks import NAMES, lines_of, made_up_track, published, write

from rattling import Trajectories, windowed_rattling
from rattling.datasets import load_smarticles, smarticle_coordinates


@pytest.fixture
def track(tmp_path):
    return write(tmp_path / "track.csv", lines_of(made_up_track()))


# --- the published numbers ------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["raw9", "observables7"])
@pytest.mark.parametrize("name", NAMES)
def test_published_numbers(name, kind):
    """Counts exactly, values to 1e-9 (1e-6 is asked for)."""
    path, expected = published(name)
    tracks = load_smarticles(path)
    assert tracks.n_times == expected["rows"]
    assert tracks.dt == pytest.approx(expected["dt"], rel=1e-12)
    result = windowed_rattling(smarticle_coordinates(tracks, kind), tracks.dt, 8.0)
    expected, window, r = expected[kind], expected["window"], result.rattling
    assert result.n_rows == window - 1 and [0, result.n_rows] == expected["window_first"]
    assert len(r) == expected["n_windows"]
    got = {"mean": r.mean(), "sd": r.std(), "first5": r[:5], "every1000": r[::1000]}
    got |= {name: np.quantile(r, q) for name, q in (("q05", 0.05), ("median", 0.5), ("q95", 0.95))}
    for key, value in got.items():
        np.testing.assert_allclose(value, expected[key], rtol=1e-9, err_msg=key)


# --- reading --------------------------------------------------------------------------------


def test_columns_are_kept(track):
    tracks, table = load_smarticles(track), made_up_track()
    assert isinstance(tracks, Trajectories) and tracks.x.shape == (1, 200, 9)
    np.testing.assert_array_equal(tracks.x[0], table[:, 2:])
    np.testing.assert_array_equal(tracks.t, table[:, 1])
    np.testing.assert_array_equal(tracks.info["pulse"], table[:, 0])
    assert tracks.names == ("x1", "y1", "theta1", "x2", "y2", "theta2", "x3", "y3", "theta3")
    assert tracks.info["source"] == "track.csv"
    assert tracks.dt == np.mean(np.diff(table[:, 1]))
    assert load_smarticles(str(track)).n_times == 200


@pytest.mark.parametrize("ending", ["", "\n", "\n\n \n", "\r\n"])
def test_line_endings(tmp_path, ending):
    newline = "\r\n" if "\r" in ending else "\n"
    path = tmp_path / "track.csv"
    path.write_bytes((newline.join(lines_of(made_up_track(20))) + ending).encode())
    assert load_smarticles(path).n_times == 20


def change(lines, row, column, text):
    fields = lines[row].split(",")
    fields[column] = text
    return [*lines[:row], ",".join(fields), *lines[row + 1 :]]


GOOD = lines_of(made_up_track(50))

MALFORMED = {
    "empty": ([], "track.csv is empty"),
    "blank": (["", "  ", ""], "track.csv is empty"),
    "one row": (GOOD[:1], "has one row; a track needs at least two"),
    "too few columns": ([*GOOD[:7], GOOD[7].rpartition(",")[0]], "line 8: 11 numbers .* but there are 10"),
    "too many columns": ([line + ",1" for line in GOOD], "line 1: 11 numbers .* but there are 12"),
    "other separator": ([line.replace(",", ";") for line in GOOD], "line 1: 11 numbers .* but there are 1$"),
    "blank line within": ([*GOOD[:3], "", *GOOD[3:]], "line 4: 11 numbers"),
    "header": (
        ["pulse,t,x1,y1,a1,x2,y2,a2,x3,y3,a3", *GOOD],
        "line 1: pulse must be a number, but it is 'pulse'",
    ),
    "text": (change(GOOD, 9, 4, "north"), "line 10: theta1 must be a number, but it is 'north'"),
    "long text": (change(GOOD, 9, 4, "x" * 99), r"theta1 must be a number, but it is 'x{37}\.\.\.'"),
    "underscore": (change(GOOD, 9, 2, "7_00.0"), "line 10: x1 must be a number, but it is '7_00.0'"),
    "empty field": (change(GOOD, 9, 10, ""), "line 10: theta3 must be a number, but it is empty"),
    "nan": (change(GOOD, 20, 5, "nan"), "line 21: x2 must be finite, but it is nan"),
    "infinite": (change(GOOD, 20, 1, "inf"), "line 21: t must be finite, but it is inf"),
    "time stands still": (change(GOOD, 5, 1, GOOD[4].split(",")[1]), "line 6: time must increase, but"),
    "time runs back": (change(GOOD, 5, 1, "0.0"), "line 6: time must increase, but 0.0 s follows"),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_files(tmp_path, name):
    lines, message = MALFORMED[name]
    path = write(tmp_path / "track.csv", lines)
    with pytest.raises(ValueError, match=message) as caught:
        load_smarticles(path)
    assert "\n" not in str(caught.value) and str(path) in str(caught.value)


def test_files_that_are_none(tmp_path):
    (tmp_path / "binary.csv").write_bytes(bytes(range(256)))
    with pytest.raises(ValueError, match="is not a text file"):
        load_smarticles(tmp_path / "binary.csv")
    with pytest.raises(FileNotFoundError):
        load_smarticles(tmp_path / "nowhere.csv")
    with pytest.raises(IsADirectoryError):
        load_smarticles(tmp_path)
    with pytest.raises(TypeError):
        load_smarticles(3.5)


# --- coordinates ----------------------------------------------------------------------------


def test_raw_coordinates(track):
    tracks, table = load_smarticles(track), made_up_track()
    raw = smarticle_coordinates(tracks)
    x, y, theta = table[:, 2::3], table[:, 3::3], table[:, 4::3]
    expected = np.hstack([(x - x.mean()) / 53.54, (y - y.mean()) / 53.54, theta])
    np.testing.assert_allclose(raw, expected, rtol=0, atol=1e-12)


def test_observables_one_by_one(track):
    """The vector from each robot to the centre, turned by minus its angle."""
    tracks, table = load_smarticles(track), made_up_track()
    observables = smarticle_coordinates(tracks, "observables7")
    for row in (0, 77):
        position = (table[row, 2::3] + 1j * table[row, 3::3]) / 53.54
        theta = table[row, 4::3]
        seen = (position.mean() - position) * np.exp(-1j * theta)
        alignment = abs(np.exp(1j * theta).mean())
        np.testing.assert_allclose(observables[row], [*seen.real, *seen.imag, alignment], rtol=0, atol=1e-12)


def test_observables_do_not_see_motions_of_the_whole(tmp_path):
    table = made_up_track()
    turned = table.copy()
    position = (table[:, 2::3] + 1j * table[:, 3::3]) * np.exp(0.7j) + 30 - 12j
    turned[:, 2::3], turned[:, 3::3] = position.real, position.imag
    turned[:, 4::3] += 0.7 - 2 * np.pi
    a, b = (write(tmp_path / f"{k}.csv", lines_of(t)) for k, t in enumerate((table, turned)))
    a, b = (smarticle_coordinates(load_smarticles(path), "observables7") for path in (a, b))
    np.testing.assert_allclose(a, b, rtol=0, atol=1e-12)


def test_coordinates_bad_arguments(track):
    tracks = load_smarticles(track)
    with pytest.raises(ValueError, match="kind must be one of 'raw9', 'observables7'; got 'raw'"):
        smarticle_coordinates(tracks, "raw")
    with pytest.raises(TypeError, match="tracks must be Trajectories from load_smarticles, not ndarray"):
        smarticle_coordinates(tracks.x)
    two = Trajectories(tracks.x[..., :6], tracks.t, tracks.dt)
    with pytest.raises(ValueError, match=r"one path with 9 columns, but x has shape \(1, 200, 6\)"):
        smarticle_coordinates(two)


def test_tracks_are_saved(track, tmp_path):
    tracks = load_smarticles(track)
    tracks.save(tmp_path / "track.npz")
    copy = Trajectories.load(tmp_path / "track.npz")
    np.testing.assert_array_equal(copy.x, tracks.x)
    np.testing.assert_array_equal(copy.info["pulse"], tracks.info["pulse"])
