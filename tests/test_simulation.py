"""Simulations that go on: observers against the kept paths, the same bits however it is done."""

import numpy as np
import pytest
from interruption import assert_ctrl_c_is_answered

import rattling
from rattling import Grid, Model, Observation, Simulation, estimate_rattling, simulate
from rattling.simulation import _Checkpoint

GRID = Grid([(-1, 1), (-1, 1)], (5, 4))
CIRCLE = Grid([(-1, 1), (-1, 1)], (5, 4), ["periodic", "reflecting"])


@pytest.fixture(scope="module")
def model():
    return Model.from_sympy(["-x + y", "-y - x"], ["0.3 + x**2/9", "0.2"], variables="x y")


def make(model, grid=GRID, n_paths=700, threads=1, boundary=None, **options):
    return Simulation(
        model, [0.1, 0.0], 0.02, n_paths=n_paths, rng=3, threads=threads, boundary=boundary, observe=grid, **options
    )


# --- what is observed ---------------------------------------------------------------------


@pytest.mark.parametrize("every", [1, 3])
@pytest.mark.parametrize("lags", [1, (1, 2), (2, 5)])
@pytest.mark.parametrize("grid, boundary", [(GRID, None), (CIRCLE, CIRCLE)])
def test_observation_is_that_of_the_kept_paths(model, grid, boundary, lags, every):
    """Visits exactly; estimates to rounding, since sums are made in another order."""
    simulation = make(model, grid, boundary=boundary, lags=lags, every=every)
    observation = simulation.advance(60).observation
    paths = simulate(model, [0.1, 0.0], 0.02, 60, n_paths=700, rng=3, thin=every, boundary=boundary)
    counts, _, _ = np.histogram2d(*paths.x.reshape(-1, 2).T, bins=[grid.edges(0), grid.edges(1)])
    np.testing.assert_array_equal(observation.counts, counts)
    assert observation.counts.sum() + observation.n_outside == 700 * (60 // every + 1)
    found, expected = observation.estimate_rattling(), estimate_rattling(paths, at=grid, method="bins", lags=lags)
    for name in ("rattling", "stderr", "covariance", "drift", "n_eff", "counts", "kurtosis"):
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name), rtol=1e-8, atol=1e-9, err_msg=name)
    assert found.dt == pytest.approx(expected.dt) and found.lags == expected.lags
    np.testing.assert_array_equal(estimate_rattling(observation).rattling, found.rattling)


def test_an_observation_is_estimated_on_its_own_terms(model):
    observation = make(model).advance(60).observation
    same = estimate_rattling(observation, at=GRID, method="bins", lags=(1, 2), dt=0.02)
    np.testing.assert_array_equal(same.rattling, observation.estimate_rattling().rattling)
    for wrong in (
        {"at": CIRCLE}, {"at": [[0.0, 0.0]]}, {"lags": 1}, {"method": "knn"}, {"dt": 0.1}, {"stderr": "blocks"},
        {"noise": "covariance"}, {"times": [0.0, 1.0]}, {"bandwidth": 0.1},
    ):  # fmt: skip
        with pytest.raises(ValueError, match=f"^{next(iter(wrong))} must be"):
            estimate_rattling(observation, **wrong)


def test_density_and_typicality_without_paths():
    """A million and a half states of a hot-spot well: density and gamma against the steady state."""
    model = Model.from_sympy("0", "1 + 0.8*cos(x)", variables="x")
    circle = Grid([(0, 2 * np.pi)], 24, "periodic")
    exact = rattling.steady_state(model, circle)
    x0 = np.random.default_rng(0).choice(circle.centres(0), (1500, 1), p=exact.probability)
    simulation = Simulation(model, x0, 0.01, rng=1, boundary=circle, observe=circle, lags=1)
    observation = simulation.advance(1000).observation
    np.testing.assert_allclose(observation.density, exact.density, atol=0.02)
    assert (observation.density * circle.volumes).sum() == pytest.approx(1)
    scores = rattling.typicality(observation.log_density, observation.estimate_rattling().rattling)
    assert scores.gamma == pytest.approx(2, abs=0.15) and scores.correlation > 0.98


def test_visits_only(model):
    observation = make(model, lags=()).advance(20).observation
    np.testing.assert_array_equal(observation.counts, make(model).advance(20).observation.counts)
    with pytest.raises(ValueError, match="visits only"):
        observation.estimate_rattling()
    assert Simulation(model, [0.0, 0.0], 0.1).advance(3).observation is None


def test_cells_without_visits_are_left_out(model):
    observation = make(model, Grid([(-9, 9), (-9, 9)], 9)).advance(20).observation
    field = observation.estimate_rattling()
    assert observation.log_density[0, 0] == -np.inf and np.isnan(field.rattling[0, 0])
    rattling.typicality(observation.log_density, field.rattling)


def test_ended_paths_are_not_observed(model):
    box = [(-0.5, 0.5, "absorbing"), (-1, 1, "reflecting")]
    simulation = make(model, boundary=box)
    observation = simulation.advance(200).observation
    paths = simulate(model, [0.1, 0.0], 0.02, 200, n_paths=700, rng=3, boundary=box)
    np.testing.assert_array_equal(simulation.exit_times, paths.exit_times)
    alive = ~(paths.t[None] >= paths.exit_times[:, None])
    assert observation.counts.sum() + observation.n_outside == alive.sum() < 700 * 201
    np.testing.assert_array_equal(simulation.exit_points, paths.exit_points)


def test_observations_can_be_added(model):
    parts = [make(model, boundary=None).advance(n).observation for n in (30, 50)]
    both = parts[0] + parts[1]
    np.testing.assert_array_equal(both.counts, parts[0].counts + parts[1].counts)
    counts = [p.estimate_rattling().counts for p in (*parts, both)]
    np.testing.assert_array_equal(counts[0] + counts[1], counts[2])
    with pytest.raises(ValueError, match="the same"):
        parts[0] + make(model, lags=1).advance(3).observation
    with pytest.raises(TypeError):
        parts[0] + 1


def test_observation_can_be_saved(model, tmp_path):
    observation = make(model).advance(30).observation
    observation.save(tmp_path / "observation.npz")
    again = Observation.load(tmp_path / "observation.npz")
    np.testing.assert_array_equal(again.estimate_rattling().rattling, observation.estimate_rattling().rattling)


# --- the same bits ------------------------------------------------------------------------


def everything(simulation):
    observation = simulation.observation
    return simulation.n_steps, simulation.x, observation.counts, observation.n_outside, observation.sums


def assert_same(a, b):
    for one, other in zip(everything(a), everything(b), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("pieces", [(61,), (1, 60), (13, 20, 28)])
@pytest.mark.parametrize("threads", [1, 2])
def test_threads_and_pieces_change_nothing(model, pieces, threads):
    simulation = make(model, threads=threads, every=3)
    for n in pieces:
        simulation.advance(n)
    assert_same(simulation, make(model, every=3).advance(61))


@pytest.mark.parametrize("boundary", [None, [(-0.4, 0.4, "reflecting"), (-1, 1, "periodic")]])
@pytest.mark.parametrize("noise", ["amplitude", "diffusion", "scalar", "functions"])
def test_a_path_alone_is_as_among_others(noise, boundary):
    """One path has a loop of its own."""
    drift, field = ["y - x**3*exp(-x)", "-x - sin(y)/2"], ["(2 + sin(x*y))/3", "sqrt(1 + y**2)/2"]
    model = {
        "amplitude": lambda: Model.from_sympy(drift, noise=field, variables="x y"),
        "diffusion": lambda: Model.from_sympy(drift, field, variables="x y"),
        "scalar": lambda: Model.from_sympy(drift, noise=field[0], variables="x y"),
        "functions": lambda: Model(lambda x: -x, noise=lambda x: 1 / (1 + x**2), dim=2),
    }[noise]()
    run = {"dt": 0.02, "n_steps": 301, "rng": 5, "boundary": boundary}
    many, one = simulate(model, np.zeros((300, 2)), **run).x, simulate(model, np.zeros((1, 2)), **run).x
    np.testing.assert_array_equal(one[0], many[0])
    thinned = simulate(model, np.zeros((1, 2)), **run, thin=7).x
    np.testing.assert_array_equal(thinned, one[:, ::7])


def test_a_path_alone_says_where_it_fails():
    model = Model.from_sympy("x**3", 1, variables="x")
    messages = []
    for x0 in ([[2.0]], [[2.0], [0.0]]):
        with pytest.raises(ValueError, match="not finite") as error:
            simulate(model, np.array(x0), 0.1, 1000, rng=1)
        messages.append(str(error.value))
    assert messages[0] == messages[1]


def test_record_goes_on(model):
    whole = simulate(model, [0.1, 0.0], 0.02, 60, n_paths=700, rng=3)
    simulation = make(model).advance(20)
    first, second = simulation.record(10, thin=5), simulation.record(30)
    np.testing.assert_array_equal(first.x, whole.x[:, 20:31:5])
    np.testing.assert_array_equal(second.x, whole.x[:, 30:])
    np.testing.assert_allclose(second.t, whole.t[30:])
    assert simulation.n_steps == 60 and simulation.t == pytest.approx(1.2)
    np.testing.assert_array_equal(simulation.x, whole.x[:, -1])
    assert_same(simulation, make(model).advance(60))


@pytest.mark.parametrize("options", [{}, {"grid": None}, {"lags": ()}, {"method": "platen"}])
@pytest.mark.parametrize("boundary", [None, [(-0.6, 0.6, "absorbing"), (-1, 1, "periodic")]])
def test_saved_and_loaded_it_goes_on(model, tmp_path, options, boundary):
    simulation = make(model, boundary=boundary, **options).advance(31)
    simulation.save(tmp_path / "simulation.npz")
    again = Simulation.load(tmp_path / "simulation.npz", model)
    assert again.n_steps == 31
    simulation.advance(20)
    again.advance(20)
    if options.get("grid", GRID) is not None:
        assert_same(simulation, again)
    np.testing.assert_array_equal(simulation.x, again.x)
    assert repr(simulation) == repr(again)


def test_a_saved_simulation_needs_its_model(model, tmp_path):
    make(model).save(tmp_path / "simulation.npz")
    with pytest.raises(ValueError, match="dim|shape"):
        Simulation.load(tmp_path / "simulation.npz", Model.from_sympy("-x", 1, variables="x"))


def test_saved_where_the_drift_is_not_finite(tmp_path):
    """It is one step further that this would be noticed."""
    model = Model(lambda x: np.where(x > 0.5, np.nan, 1.0), 0.0, dim=1)
    path = tmp_path / "simulation.npz"
    Simulation(model, [0.0], 1.0).advance(1).save(path)
    again = Simulation.load(path, model)
    assert again.x[0, 0] == 1.0
    with pytest.raises(ValueError, match="not finite"):
        again.advance(1)


@pytest.mark.parametrize(
    "change",
    [
        {"key": -1},
        {"key": 2**64},
        {"key": "1"},
        {"dt": "0.1"},
        {"walls": 3},
        {"walls": [[0, "x", "periodic"], None]},
        {"method": ["heun"]},
        {"without": "method"},
        {"without": "grid"},
        {"every": 0},
        {"lags": ("1",)},
        {"grid": 3},
        {"steps": -1},
        {"steps": 2**63},
        {"cells": np.array(["a"])},
        {"cells": np.zeros(3)},
        {"x": np.full((700, 2), np.nan)},
    ],
)
def test_a_damaged_simulation_is_refused(model, tmp_path, change):
    path = tmp_path / "simulation.npz"
    make(model).save(path)
    saved = _Checkpoint.load(path)
    for part in (saved.arguments, saved.observed):
        part.update({name: value for name, value in change.items() if name in part})
        part.pop(change.get("without"), None)
    steps, x, *rest, cells = saved.state
    named = {"steps": steps, "x": x, "cells": cells} | change
    object.__setattr__(saved, "state", (named["steps"], named["x"], *rest, named["cells"]))
    saved.save(path)
    with pytest.raises(ValueError):
        Simulation.load(path, model)


def test_interruption_loses_nothing(model):
    """Stopped by its progress function a few times, it goes on with the same bits."""
    simulation = make(model, threads=2)
    calls = []

    def stop(done):
        calls.append(done)
        raise KeyboardInterrupt

    for _ in range(3):
        with pytest.raises(KeyboardInterrupt):
            simulation.advance(10_000_000, progress=stop)
    assert calls and simulation.n_steps > 0
    assert_same(simulation, make(model).advance(simulation.n_steps))


@pytest.mark.parametrize("n_paths", [700, 20_000])  # one block, several
@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_an_exception_in_a_function_loses_nothing(n_paths, error):
    """Raised at one call of the drift, or of the noise, or again when the paths are looked at."""
    calls, bad = [], {7, 12, 13, 14, 30, 41}

    def count(x):
        calls.append(None)
        if len(calls) in bad:
            raise error("mine")
        return x

    functions = Model(lambda x: -count(x), lambda x: 0.5 + 0.1 * count(x)[0] ** 2, dim=2)
    simulation = make(functions, n_paths=n_paths)
    for _ in range(20):
        try:
            simulation.advance(5)
            _ = simulation.x
        except error as caught:
            assert str(caught) == "mine"
    assert len(calls) > max(bad) and simulation.n_steps > 50
    bad.clear()
    assert_same(simulation, make(functions, n_paths=n_paths).advance(simulation.n_steps))


def test_ctrl_c_in_a_function():
    """Where it is most often: the handler runs inside the drift."""
    functions = Model(lambda x: [sum(0.0 * x[0] for _ in range(30)) - x[0], -x[1]], 0.5, dim=2)
    simulation = make(functions)
    assert_ctrl_c_is_answered(lambda: simulation.advance(10**7), 0.1)
    n_steps = simulation.n_steps
    assert n_steps > 0
    assert_same(simulation, make(functions).advance(n_steps))


def test_ctrl_c(model):
    simulation = make(model, n_paths=3000, threads=2)
    assert_ctrl_c_is_answered(lambda: simulation.advance(10**9), 0.1)
    assert simulation.n_steps > 0


# --- bad input ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options, error, message",
    [
        ({"grid": 3}, TypeError, "observe must be a rattling.Grid, not int"),
        ({"grid": Grid([(0, 1)], 3)}, ValueError, "observe has 1 axes, but x0 has 2"),
        ({"every": 0}, ValueError, "every must be at least 1"),
        ({"lags": (2, 1)}, ValueError, "lags must increase"),
        ({"lags": 0}, ValueError, "lags must be at least 1"),
        ({"method": "rk4"}, ValueError, "method must be one of"),
    ],
)
def test_bad_arguments(model, options, error, message):
    with pytest.raises(error, match=message):
        make(model, **options)


def test_bad_steps(model):
    with pytest.raises(ValueError, match="n_steps must be at least 0"):
        make(model).advance(-1)
    with pytest.raises(ValueError, match="thin must be at least 1"):
        make(model).record(3, thin=0)


def test_a_failed_simulation_says_so():
    cubic = Model.from_sympy("-x**3", 1e-6, variables="x")
    simulation = Simulation(cubic, [30.0], 1.0)
    with pytest.raises(ValueError, match="reduce dt"):
        simulation.advance(100)
    with pytest.raises(RuntimeError, match="failed before"):
        simulation.advance(1)
    with pytest.raises(RuntimeError, match="failed before"):
        _ = simulation.x
    assert repr(simulation) == "Simulation(1 paths of 1 coordinates, failed)"


def test_a_running_simulation_says_so(model):
    simulation, seen = make(model), []
    simulation.advance(1000, progress=lambda done: seen.append(repr(simulation)))
    assert "Simulation(700 paths of 2 coordinates, running)" in seen
    assert repr(simulation) == "Simulation(700 paths of 2 coordinates, t=20, n_steps=1000)"


def test_core_restore_checks(model):
    core = make(model)._simulation
    dumped = core.dump()
    core.restore(*dumped)
    with pytest.raises(ValueError, match="another simulation"):
        core.restore(*dumped[:-1], np.zeros(3))
    with pytest.raises(TypeError):
        core.restore(1)
