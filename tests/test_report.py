"""``python -m rattling report`` and ``sweep``: numbers, requirements, resuming, bad input."""

import json
import math

import numpy as np
import pytest
from test_command_line import as_a_program

import rattling as rt
from rattling import report, sweeps, systems
from rattling.__main__ import main

KEYS = {
    "gamma", "gamma_stderr", "gamma_kl", "correlation", "spearman", "kl_explained", "total_variation", "residual",
    "entropy_production",
}  # fmt: skip


def run(capsys, *arguments):
    status = main(list(arguments))
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def test_json_has_the_numbers(capsys):
    status, out, err = run(capsys, "report", "vortex_double_well", "--set", "gamma=-0.5", "--shape", "40", "--json")
    assert (status, err, out.count("\n")) == (0, "", 1)
    values = json.loads(out)
    assert set(values) == KEYS
    model, grid = systems.vortex_double_well(gamma=-0.5), systems.default_grid("vortex_double_well", 40)
    state = rt.steady_state(model, grid)
    scores = rt.typicality(state.log_density, rt.exact_rattling(model, grid), volume=grid.volumes)
    assert values["gamma"] == pytest.approx(scores.gamma, rel=1e-12)
    assert values["entropy_production"] == pytest.approx(state.entropy_production, rel=1e-12)


def test_undefined_is_null(capsys):
    values = json.loads(run(capsys, "report", "ornstein_uhlenbeck", "--shape", "20,24", "--json")[1])
    assert values["gamma"] is None and values["correlation"] is None and values["entropy_production"] > 0


def test_chain(capsys):
    status, out, _ = run(capsys, "report", "sk_spins", "--set", "n=6", "--set", "mixing=0.8", "--set", "rng=1")
    assert status == 0 and "64 states" in out and "exit-rate" in out
    parts = rt.local_global(systems.sk_spins(6, mixing=0.8, rng=1))
    assert f"{parts.rho:.4f}" in out


@pytest.mark.parametrize("error", [rt.ConvergenceError, MemoryError])
def test_what_cannot_be_computed(capsys, monkeypatch, error):
    """One sentence and 2: 1 would say that a requirement failed."""

    def fail(*arguments, **options):
        raise error("it is too much")

    monkeypatch.setattr(report, "compute", fail)
    assert run(capsys, "report", "ring") == (2, "", "rattling: it is too much\n")


def test_requirements():
    good = as_a_program("report", "ring", "--shape", "50", "--require", "correlation>-2", "--require", "residual<=1e-9")
    assert (good.returncode, good.stderr) == (0, "")
    bad = as_a_program("report", "ring", "--shape", "50", "--json", "--require", "kl_explained>=1.5")
    assert bad.returncode == 1 and bad.stdout.count("\n") == 1
    assert "kl_explained >= 1.5 is required, but it is" in bad.stderr
    assert report.failures([("gamma", ">", 0.0)], {"gamma": math.nan}) == ["gamma > 0 is required, but it is nan"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nobody"], "system must be one of .*birth_death, .*; got 'nobody'"),
        (["ring", "--set", "push=3"], "ring: got an unexpected keyword argument 'push'; its parameters are force"),
        (["ring", "--set", "force"], "--set takes name=value; got 'force'"),
        (["ring", "--set", "force=much"], "ring: force must be a real number; got 'much'"),
        (["ring", "--shape", "many"], "--shape takes whole numbers"),
        (["ring", "--bounds", "0,1"], "--bounds takes LOWER:UPPER"),
        (["ring", "--require", "luck>1"], "--require takes one of gamma, "),
        (["ring", "--require", "gamma>much"], "'much' is no number"),
        (["birth_death"], "missing a required argument: 'birth'"),
        (["ornstein_uhlenbeck", "--set", "relaxation=[[1,0.5,0],[0,1,0],[0.5,0,1]]", "--bounds=-1:1"], "dimension"),
    ],
)
def test_bad_input(capsys, arguments, message):
    status, out, err = run(capsys, "report", *arguments)
    assert status == 2 and out == ""
    assert err.startswith("rattling: ") and err.count("\n") == 1
    import re

    assert re.search(message, err), err


def test_bounds_and_boundary(capsys):
    status, out, _ = run(
        capsys, "report", "random_diffusion", "--set", "dim=1", "--bounds", "0:6.283185307179586", "--boundary",
        "periodic", "--shape", "64", "--json",
    )  # fmt: skip
    assert status == 0 and json.loads(out)["gamma"] == pytest.approx(2, abs=1e-9)


# --- sweep ------------------------------------------------------------------------------------


SPEC = """
system = "random_force"
shape = 12
seed = 3
replicates = 2
[parameters]
force = [0.0, 1.0, 2.0]
[fixed]
kind = "diagonal"
"""


@pytest.mark.parametrize("workers", ["1", "2"])
def test_sweep_writes_netcdf(tmp_path, workers):
    xarray = pytest.importorskip("xarray")
    (tmp_path / "spec.toml").write_text(SPEC)
    done = as_a_program("sweep", "spec.toml", "--out", "out.nc", "--workers", workers, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "6 points, 0 failed: out.nc\n"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out.nc", "spec.toml"]
    with xarray.open_dataset(tmp_path / "out.nc") as data:
        assert KEYS | {"r", "rho_hat"} < set(data.data_vars)
        assert dict(data.sizes) == {"force": 3, "replicate": 2}
        seed = np.random.SeedSequence(3).spawn(6)[2]
        model = systems.random_force(force=1.0, kind="diagonal", rng=seed)
        grid = systems.default_grid("random_force", 12)
        expected = rt.typicality(rt.steady_state(model, grid).log_density, rt.exact_rattling(model, grid))
        assert float(data["gamma"][1, 0]) == pytest.approx(expected.gamma, rel=1e-10)


def test_sweep_resumes(tmp_path, monkeypatch, capsys):
    pytest.importorskip("xarray")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "spec.toml").write_text(SPEC)
    calls, compute = [], report.compute

    def stop_after_three(*arguments, **options):
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return compute(*arguments, **options)

    monkeypatch.setattr(report, "compute", stop_after_three)
    assert main(["sweep", "spec.toml", "--out", "out.nc"]) == 130
    assert (tmp_path / "out.nc.partial").exists() and not (tmp_path / "out.nc").exists()
    assert main(["sweep", "spec.toml", "--out", "out.nc", "--resume"]) == 0
    assert len(calls) == 7, "three points were kept"
    assert main(["sweep", "spec.toml", "--out", "out.nc"]) == 0
    assert len(calls) == 13, "without --resume all are computed"


def test_failed_points_are_said(tmp_path, monkeypatch, capsys):
    pytest.importorskip("xarray")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "spec.toml").write_text('system = "ring"\nshape = 30\n[parameters]\ndiffusion = [0.1, 0.5]\n')
    status, out, err = run(capsys, "sweep", "spec.toml", "--out", "out.nc")
    assert status == 1 and out.startswith("2 points, 1 failed")
    assert "'diffusion': 0.1" in err and "ValueError" in err


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("system = 3", "system must be one of"),
        ("", "system is missing"),
        ('system = "ring"\nsize = 3', "unknown key 'size'"),
        ('system = "ring"\n[parameters]\nforce = 1', "parameters.force must be a list"),
        ('system = "ring"\nreplicates = 0', "replicates must be a whole number"),
        ('system = "ring"\nreplicates = 100000000000000000000', "replicates must be a whole number"),
        ('system = "ring"\nparameters = 3', "parameters must be a table; got 3"),
        ('system = "ring"\nfixed = "ab"', "fixed must be a table; got 'ab'"),
        ('system = "ring"\nseed = "x"', "seed must be a whole number of at least 0; got 'x'"),
        ("system = ", "spec.toml: "),
        ("system = " + "[" * 10_000, "spec.toml: "),
    ],
)
def test_bad_specs(tmp_path, monkeypatch, capsys, spec, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "spec.toml").write_text(spec)
    status, out, err = run(capsys, "sweep", "spec.toml", "--out", "out.nc")
    assert status == 2 and message in err and err.count("\n") == 1


def test_points_pickle():
    import pickle

    point, axes, seed = report.read_spec({"system": "ring", "parameters": {"force": [0.0, 1.0]}, "shape": 30})
    again = pickle.loads(pickle.dumps(point))
    result = sweeps.sweep(again, axes, rng=seed)
    assert result["entropy_production"][1] > result["entropy_production"][0] - 1e-9


def test_no_workers(tmp_path):
    pytest.importorskip("xarray")
    (tmp_path / "spec.toml").write_text(SPEC)
    done = as_a_program("sweep", "spec.toml", "--out", "out.nc", "--workers", "0", cwd=tmp_path)
    assert done.returncode == 2 and "--workers must be at least 1; got 0" in done.stderr
