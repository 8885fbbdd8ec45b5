"""``python -m rattling``: what it prints, draws and returns."""

import json
import re
import subprocess
import sys

import numpy as np
import pytest
from smarticle_tracks import NAMES, lines_of, made_up_track, published, write
from test_datasets import MALFORMED

from rattling.__main__ import main


@pytest.fixture
def track(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return write(tmp_path / "track.csv", lines_of(made_up_track()))


def as_a_program(*arguments, **options):
    command = [sys.executable, "-W", "error", "-m", "rattling", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, **options)


@pytest.mark.parametrize("name", NAMES)
def test_published_json(name, capsys):
    path, expected = published(name)
    assert main(["smarticles", str(path), "--json"]) == 0
    got = json.loads(capsys.readouterr().out)
    assert set(got) == set(expected)
    for key in ("rows", "window"):
        assert got[key] == expected[key]
    assert got["dt"] == pytest.approx(expected["dt"], rel=1e-12)
    for kind in ("raw9", "observables7"):
        assert set(got[kind]) == set(expected[kind])
        for key, value in expected[kind].items():
            if key in ("n_windows", "window_first"):
                assert got[kind][key] == value
            else:
                np.testing.assert_allclose(got[kind][key], value, rtol=1e-9, err_msg=key)


def test_report_and_figure(track, tmp_path):
    pytest.importorskip("matplotlib")
    run = as_a_program("smarticles", track, cwd=tmp_path)
    assert run.returncode == 0 and run.stderr == ""
    assert "200 rows" in run.stdout and "raw9" in run.stdout and "observables7" in run.stdout
    figure = tmp_path / "track-rattling.png"
    assert f"figure: {figure.name}" in run.stdout and figure.read_bytes().startswith(b"\x89PNG")


def test_json_alone(track, tmp_path):
    run = as_a_program("smarticles", "track.csv", "--json", cwd=tmp_path)
    assert run.returncode == 0 and run.stderr == "" and run.stdout.count("\n") == 1
    assert json.loads(run.stdout)["rows"] == 200
    assert [path.name for path in tmp_path.iterdir()] == ["track.csv"], "no figure unless asked for"


def test_figure_and_window(track, tmp_path, capsys):
    pytest.importorskip("matplotlib")
    assert (
        main(["smarticles", str(track), "--json", "--window", "5", "--figure", str(tmp_path / "r.pdf")]) == 0
    )
    numbers = json.loads(capsys.readouterr().out)
    assert numbers["window"] == int(5 / numbers["dt"])
    assert (tmp_path / "r.pdf").read_bytes().startswith(b"%PDF")


def test_figure_shows_the_published_smoothing(track):
    pytest.importorskip("matplotlib")
    from rattling import windowed_rattling
    from rattling.datasets import load_smarticles, smarticle_coordinates
    from rattling.plotting_paths import smarticle_figure

    tracks = load_smarticles(track)
    result = windowed_rattling(smarticle_coordinates(tracks), tracks.dt, 5.0)
    figure = smarticle_figure({"raw9": result}, "track.csv")
    one, mean = figure.axes[0].get_lines()
    np.testing.assert_array_equal(one.get_ydata(), result.rattling)
    np.testing.assert_allclose(mean.get_ydata(), np.convolve(result.rattling, np.ones(25) / 25, "valid"))


def test_windows_that_stand_still_are_null(tmp_path, capsys):
    """A robot that stops: R = -inf there, which JSON does not have."""
    table = made_up_track(300)
    table[100:, 2] = table[100, 2]
    path = write(tmp_path / "track.csv", lines_of(table))
    assert main(["smarticles", str(path), "--json", "--window", "4"]) == 0
    numbers = json.loads(capsys.readouterr().out)["raw9"]
    assert np.isfinite(numbers["mean"]) and None not in numbers["first5"]
    figure = tmp_path / "figure.png"
    assert main(["smarticles", str(path), "--window", "4", "--figure", str(figure)]) == 0
    assert "windows in which something does not move" in capsys.readouterr().out


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_files(tmp_path, capsys, name):
    path = write(tmp_path / "track.csv", MALFORMED[name][0])
    for extra in ([], ["--json"]):
        assert main(["smarticles", str(path), *extra]) == 2
        output = capsys.readouterr()
        assert output.out == "" and output.err.startswith("rattling: ") and output.err.count("\n") == 1


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["smarticles", "nowhere.csv"], "nowhere.csv: No such file"),
        (["smarticles", "."], "Is a directory"),
        (["smarticles", "track.csv", "--window", "100"], "track.csv: x has 200 rows, fewer than the"),
        (["smarticles", "track.csv", "--window", "0.5"], "track.csv: a window of 0.5 has"),
        (["smarticles", "track.csv", "--window", "-1"], "window must be positive"),
        (["smarticles", "track.csv", "--window", "nan"], "window must be positive"),
        (["smarticles", "track.csv", "--figure", "no/such/folder.png"], "No such file or directory"),
        (["smarticles", "track.csv", "--figure", "figure.nonsense"], "[Ff]ormat"),
        (["smarticles", "track.csv", "--window", "long"], "invalid float"),
        (["smarticles"], "required"),
        (["rattle"], "invalid choice"),
        ([], "required"),
    ],
)
def test_bad_input(track, tmp_path, arguments, message):
    run = as_a_program(*arguments, cwd=tmp_path)
    assert run.returncode == 2 and run.stdout == ""
    assert "Traceback" not in run.stderr
    last = run.stderr.strip().split("\n")[-1]
    assert re.search(message, last), run.stderr


def test_too_short_a_track(tmp_path, capsys):
    path = write(tmp_path / "track.csv", lines_of(made_up_track(40)))
    assert main(["smarticles", str(path)]) == 2
    assert "fewer than the" in capsys.readouterr().err


def test_reader_that_stops_early(track, tmp_path):
    command = f"{sys.executable} -m rattling smarticles track.csv --json | head -c 5"
    run = subprocess.run(["bash", "-c", command], capture_output=True, text=True, cwd=tmp_path)
    assert run.stdout == '{"row' and run.stderr == ""


def test_smarticles_without_matplotlib(track, capsys, monkeypatch):
    """The report comes without a figure; only a figure that was asked for is missed."""
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert main(["smarticles", str(track)]) == 0
    assert "figure: none (" in capsys.readouterr().out
    assert main(["smarticles", str(track), "--figure", "out.png"]) == 2
    assert "matplotlib" in capsys.readouterr().err
