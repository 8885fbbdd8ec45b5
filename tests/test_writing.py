"""Files: complete or not there, the old one until then; whatever happens while they are written."""

import contextlib
import os
import resource
import signal
import subprocess
import sys
import textwrap

import numpy as np
import pytest

import rattling as rt
from rattling.__main__ import main

MODEL = rt.Model.from_sympy("x - x**3", 0.3, variables="x")
SPEC = """
system = "follmer_kirman"
[parameters]
epsilon = [0.1, 0.2]
[fixed]
n = 10
r = 0.5
"""


@contextlib.contextmanager
def disk_of(size):
    """No file may have more bytes: writes fail as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def save_state(path):
    rt.steady_state(MODEL, rt.Grid([(-2, 2)], 500)).save(path)


def save_simulation(path):
    rt.Simulation(MODEL, np.zeros((200, 1)), 0.1, rng=1).advance(5).save(path)


def draw(path):
    return main(["smarticles", str(path.parent.parent / "track.csv"), "--figure", str(path)])


def write_netcdf(path):
    status = main(["sweep", str(path.parent.parent / "spec.toml"), "--out", str(path)])
    for rest in path.parent.glob("*.partial*"):  # a checkpoint, which is meant to stay
        rest.unlink()
    return status


@pytest.mark.parametrize("write", [save_state, save_simulation, draw, write_netcdf])
def test_full_disk(tmp_path, write, capsys):  # what is captured must not go to a file
    time = np.arange(50) * 0.4
    track = np.c_[time * 0, time, np.random.default_rng(1).normal(size=(50, 9))]
    np.savetxt(tmp_path / "track.csv", track, delimiter=",")
    (tmp_path / "spec.toml").write_text(SPEC)
    folder = tmp_path / "out"
    folder.mkdir()
    path = folder / ("file" + {draw: ".png", write_netcdf: ".nc"}.get(write, ".npz"))
    write(path)
    before = path.read_bytes()
    assert len(before) > 1000
    for size in (100, 3 * len(before) // 4):
        with disk_of(size):
            try:
                assert write(path) == 2, "the command line says so"
            except OSError as error:
                assert error.strerror
        assert path.read_bytes() == before
        assert os.listdir(folder) == [path.name]


def test_full_disk_under_a_checkpoint(tmp_path):
    """It stops with OSError; what was done is there, and the rest can follow."""
    path, done = tmp_path / "sweep.db", []

    def point(a, rng):
        done.append(a)
        return rng.normal(size=1000)

    whole = rt.sweep(point, {"a": range(8)}, rng=1)["value"]
    with disk_of(40_000), pytest.raises(OSError, match=r"sweep\.db cannot be written"):
        rt.sweep(point, {"a": range(8)}, rng=1, checkpoint=path)
    done.clear()
    np.testing.assert_array_equal(rt.sweep(point, {"a": range(8)}, rng=1, checkpoint=path)["value"], whole)
    assert 0 < len(done) < 8
    with pytest.raises(OSError, match="nowhere.*cannot be written"):
        rt.sweep(point, {"a": range(8)}, checkpoint=tmp_path / "nowhere" / "sweep.db")


# A child is killed at 20 random moments of its own processor time: its signal handler in C
# writes a byte, and who reads it kills. What the child does, and what is looked at after it.
KILLED = """
    import os, random, signal, sys
    import numpy as np
    import rattling as rt

    path = sys.argv[1]
    model = rt.Model.from_sympy("x - x**3", 0.3, variables="x")
    {prepare}

    def child():
        {child}

    random.seed(1)
    killed = 0
    for _ in range(20):
        moment = random.uniform(1e-5, {longest})
        heard, told = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(heard)
            os.set_blocking(told, False)
            signal.signal(signal.SIGPROF, lambda *_: None)
            signal.set_wakeup_fd(told)
            signal.setitimer(signal.ITIMER_PROF, moment)
            child()
            os._exit(0)
        os.close(told)
        os.read(heard, 1)
        os.kill(pid, signal.SIGKILL)
        killed += os.waitpid(pid, 0)[1] == signal.SIGKILL
        os.close(heard)
        {check}
    print(killed)
    {finish}
"""


def killed(path, **parts):
    code = textwrap.dedent(KILLED).format(**{k: textwrap.dedent(v).strip().replace("\n", "; ") for k, v in parts.items()})
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    run = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, env=environment)
    assert run.returncode == 0, run.stderr
    return run.stdout.split()


def test_killed_while_saving(tmp_path):
    out = killed(
        tmp_path / "file.npz",
        prepare="state = rt.steady_state(model, rt.Grid([(-2, 2)], 20_000)); state.save(path)",
        child="[state.save(path) for _ in range(1000)]",
        longest="0.05",
        check="assert np.array_equal(rt.SteadyState.load(path).log_density, state.log_density)",
        finish="print(len(os.listdir(os.path.dirname(path))))",
    )
    assert int(out[0]) == 20 and 1 <= int(out[1]) <= 21  # what a killed process had begun keeps its own name


def test_sweep_killed_and_resumed(tmp_path):
    out = killed(
        tmp_path / "sweep.db",
        prepare="""point = lambda a, rng: rt.simulate(model, [0.0], 0.1, 2000 + a, rng=rng).x[0, -3:, 0]
            run = lambda **o: rt.sweep(point, {"a": range(300)}, rng=3, **o)""",
        child="run(checkpoint=path)",
        longest="0.04",
        check="",
        finish="""import sqlite3
            print(sqlite3.connect(path).execute("SELECT COUNT(*) FROM points").fetchone()[0])
            assert np.array_equal(run(checkpoint=path)["value"], run()["value"])""",
    )
    assert int(out[0]) > 10 and 0 < int(out[1]) <= 300


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="it is Linux that has it")
@pytest.mark.parametrize("arguments", [["report", "double_well", "--json"], ["report", "double_well"]])
def test_output_that_cannot_be_written(arguments):
    command = [sys.executable, "-m", "rattling", *arguments]
    for unbuffered in ("", "1"):
        options = {"stderr": subprocess.PIPE, "text": True, "env": os.environ | {"PYTHONUNBUFFERED": unbuffered}}
        with open("/dev/full", "w") as full:
            run = subprocess.run(command, stdout=full, **options)
        assert (run.returncode, run.stderr) == (2, "rattling: No space left on device\n")
    closed = subprocess.run(command, preexec_fn=lambda: os.close(1), **options)
    assert (closed.returncode, closed.stderr) == (0, "")


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_output_that_nobody_reads_any_more(unbuffered):
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "rattling", "report", "double_well"]
    environment = os.environ | {"PYTHONUNBUFFERED": unbuffered}
    with os.fdopen(writer, "w") as pipe:
        run = subprocess.run(command, stdout=pipe, stderr=subprocess.PIPE, text=True, env=environment)
    assert (run.returncode, run.stderr) == (0, "")


def test_killed_by_ctrl_c_while_saving(tmp_path, monkeypatch):
    path = tmp_path / "file.npz"
    save_state(path)
    before = path.read_bytes()
    monkeypatch.setattr(os, "fsync", lambda file: signal.raise_signal(signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        save_state(path)
    assert path.read_bytes() == before and os.listdir(tmp_path) == ["file.npz"]


@pytest.mark.skipif(not os.path.exists("/dev/null"), reason="no such device")
def test_a_device_stays_one():
    save_state("/dev/null")
    assert not os.path.isfile("/dev/null")
