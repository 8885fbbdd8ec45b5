"""Sweeps: values, seeds, failures, executors, workers that die, checkpoints; ensembles."""

import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
import time
from concurrent import futures

import numpy as np
import pytest
import scipy.stats

import rattling as rt
from rattling import systems


def product(a, b):
    return a * b


def draw(a, rng):
    return {"x": rng.standard_normal(), "pair": rng.integers(1000, size=2) + a}


def fails_at_two(a):
    if a == 2:
        raise ArithmeticError("two is too much")
    return float(a)


def slow(a, rng):
    time.sleep(0.05)
    return {"pid": os.getpid(), "x": rng.random()}


def test_values_have_the_shape_of_the_axes():
    result = rt.sweep(product, {"a": [1, 2, 3], "b": [1.0, 10.0]})
    np.testing.assert_array_equal(result["value"], np.outer([1, 2, 3], [1, 10]))
    assert result.shape == (3, 2) and result.n_failed == 0
    assert result.points[1] == {"a": 1, "b": 10.0}


def test_points_one_by_one():
    result = rt.sweep(product, [{"a": 1, "b": 2}, {"a": 5, "b": 7}])
    np.testing.assert_array_equal(result["value"], [2, 35])
    assert list(result.to_xarray().coords) == ["a", "b"]


@pytest.mark.parametrize("pool", ["threads", "processes"])
def test_seeds_do_not_depend_on_order_or_workers(pool):
    alone = rt.sweep(draw, {"a": range(90)}, rng=7)
    kind = futures.ThreadPoolExecutor if pool == "threads" else futures.ProcessPoolExecutor
    with kind(2) as executor:
        together = rt.sweep(draw, {"a": range(90)}, rng=7, executor=executor)
    for name in ("x", "pair"):
        np.testing.assert_array_equal(alone[name], together[name])
    assert len(np.unique(alone["x"])) == 90
    assert not np.array_equal(alone["x"], rt.sweep(draw, {"a": range(90)}, rng=8)["x"])
    generator = rt.sweep(draw, {"a": range(90)}, rng=np.random.default_rng(7))
    np.testing.assert_array_equal(alone["x"], generator["x"])


def test_failures_are_recorded():
    result = rt.sweep(fails_at_two, {"a": [1, 2, 3]})
    np.testing.assert_array_equal(result["value"], [1, np.nan, 3])
    assert result.errors == ["", "ArithmeticError: two is too much", ""]
    assert "fails_at_two" in result.tracebacks[1] and result.n_failed == 1
    assert "two is too much" in result.table()
    with pytest.raises(ArithmeticError, match="too much"):
        rt.sweep(fails_at_two, {"a": [1, 2, 3]}, on_error="raise")
    everything = rt.sweep(fails_at_two, {"a": [2, 2]})
    assert everything.values == {} and everything.n_failed == 2


def test_table_and_xarray(tmp_path):
    result = rt.sweep(draw, {"a": [0, 1, 2]}, rng=0)
    lines = result.table().split("\n")
    assert len(lines) == 5 and lines[0].split() == ["a", "x"]
    data = result.to_xarray()
    assert data["pair"].dims == ("a", "pair_0") and list(data["a"].values) == [0, 1, 2]
    result.save(tmp_path / "sweep.npz")
    again = rt.Sweep.load(tmp_path / "sweep.npz")
    np.testing.assert_array_equal(again["pair"], result["pair"])
    assert again.points == result.points and again.shape == (3,)


def test_progress():
    seen = []
    rt.sweep(fails_at_two, {"a": range(4)}, progress=seen.append)
    assert seen[:4] == [0.25, 0.5, 0.75, 1.0]


def test_checkpoint_resumes(tmp_path):
    path, calls = tmp_path / "sweep.db", []

    def count(a, rng):
        calls.append(a)
        if a == 3 and len(calls) < 6:
            raise OSError("not now")
        return rng.random()

    first = rt.sweep(count, {"a": range(5)}, rng=1, checkpoint=path)
    assert first.n_failed == 1
    second = rt.sweep(count, {"a": range(5)}, rng=1, checkpoint=path)
    assert calls == [0, 1, 2, 3, 4, 3] and second.n_failed == 0
    np.testing.assert_array_equal(second["value"][[0, 1, 2, 4]], first["value"][[0, 1, 2, 4]])
    np.testing.assert_array_equal(second["value"], rt.sweep(lambda a, rng: rng.random(), {"a": range(5)}, rng=1)["value"])
    for other in ({"parameters": {"a": range(6)}, "rng": 1}, {"parameters": {"a": range(5)}, "rng": 2}):
        with pytest.raises(ValueError, match="is of another sweep"):
            rt.sweep(count, **other, checkpoint=path)
    (tmp_path / "text").write_text("no database" * 1000)
    with pytest.raises(ValueError, match="damaged or of another kind"):
        rt.sweep(count, {"a": range(5)}, checkpoint=tmp_path / "text")


def test_any_name_is_kept(tmp_path):
    def names(a):
        return {"file": a, "allow_pickle": 2 * a, "../x": "text"}

    path = tmp_path / "points"
    for _ in range(2):
        result = rt.sweep(names, {"a": [1, 2]}, checkpoint=path)
        assert {name: list(values) for name, values in result.values.items()} == {
            "file": [1, 2], "allow_pickle": [2, 4], "../x": ["text", "text"]
        }  # fmt: skip


def test_seeds_are_only_read(tmp_path):
    def draw(a, rng):
        return rng.standard_normal()

    seed = np.random.SeedSequence(1)
    first = rt.sweep(draw, {"a": [1, 2]}, rng=seed, checkpoint=tmp_path / "points")
    again = rt.sweep(draw, {"a": [1, 2]}, rng=seed, checkpoint=tmp_path / "points")
    plain = rt.sweep(draw, {"a": [1, 2]}, rng=1)
    assert list(first.values["value"]) == list(again.values["value"]) == list(plain.values["value"])
    bits = rt.sweep(draw, {"a": [1, 2]}, rng=np.random.PCG64(1))
    assert list(bits.values["value"]) == list(plain.values["value"])
    with pytest.raises(ValueError, match="rng must be None, an int"):
        rt.sweep(draw, {"a": [1]}, rng=-1)


def test_a_damaged_checkpoint_is_refused(tmp_path):
    path = tmp_path / "points"
    for damage in (b"no archive", None, "text", 7):
        path.unlink(missing_ok=True)
        rt.sweep(abs_of, {"a": [1, -2]}, checkpoint=path)
        with sqlite3.connect(path) as base:
            base.execute("UPDATE points SET content = ?", (damage,))
        base.close()
        with pytest.raises(ValueError, match="points is damaged or of another kind"):
            rt.sweep(abs_of, {"a": [1, -2]}, checkpoint=path)


def test_no_memory_is_no_damage(tmp_path, monkeypatch):
    def full(*_, **__):
        raise MemoryError

    rt.sweep(abs_of, {"a": [1, -2]}, checkpoint=tmp_path / "points")
    monkeypatch.setattr(np, "load", full)
    with pytest.raises(MemoryError):
        rt.sweep(abs_of, {"a": [1, -2]}, checkpoint=tmp_path / "points")


def abs_of(a):
    return abs(a)


def test_checkpoint_survives_a_kill(tmp_path):
    code = """
        import os, sys, rattling
        def f(a, rng):
            if a == 4 and sys.argv[2] == "die":
                os.kill(os.getpid(), 9)
            print(a)
            return rng.random()
        rattling.sweep(f, {"a": range(8)}, rng=3, checkpoint=sys.argv[1])
    """
    runs = [
        subprocess.run([sys.executable, "-c", textwrap.dedent(code), tmp_path / "c.db", what], capture_output=True, text=True)
        for what in ("die", "live")
    ]
    assert runs[0].returncode == -signal.SIGKILL
    assert runs[1].stdout.split() == list("4567"), runs[1].stderr


@pytest.mark.filterwarnings("ignore")
def test_dask_loses_nothing_when_a_worker_is_killed():
    distributed = pytest.importorskip("distributed")
    expected = rt.sweep(lambda a, rng: rng.random(), {"a": range(60)}, rng=5)["value"]
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, silence_logs=50
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        victims = set()

        def kill_one(done):
            if done > 0.2 and not victims:
                victims.add(next(iter(cluster.workers.values())).pid)
                os.kill(next(iter(victims)), signal.SIGKILL)

        result = rt.sweep(slow, {"a": range(60)}, rng=5, executor=client.get_executor(), progress=kill_one)
    assert len(victims) == 1
    assert result.n_failed == 0
    np.testing.assert_array_equal(result["x"], expected)
    assert set(result["pid"]) - victims


def dies(a):
    if a == 5:
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.01)
    return a


def test_a_broken_process_pool_is_recorded():
    with futures.ProcessPoolExecutor(2) as executor:
        result = rt.sweep(dies, {"a": range(100)}, executor=executor)
    assert 0 < result.n_failed
    assert "BrokenProcessPool" in result.errors[5] and result.errors[-1]
    assert result["value"][0] in (0, None) or np.isnan(result["value"][0])


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((product, {}), ValueError, "at least one point"),
        ((product, {"a": []}), ValueError, "at least one point"),
        ((product, {"a": 3}), TypeError, r"parameters\['a'\] must be a sequence"),
        ((3, {"a": [1]}), TypeError, "function must be callable"),
        ((lambda a: np.zeros(a), {"a": [1, 2]}), ValueError, "same names and shapes"),
    ],
)
def test_bad_input(arguments, error, message):
    with pytest.raises(error, match=message):
        rt.sweep(*arguments)
    with pytest.raises(ValueError, match="on_error must be one of 'record', 'raise'"):
        rt.sweep(product, {"a": [1], "b": [1]}, on_error="ignore")


def test_results_of_other_kinds_are_errors_of_the_point():
    assert "TypeError: function must return numbers" in rt.sweep(lambda a: object(), {"a": [1]}).errors[0]


# --- ensembles ------------------------------------------------------------------------------------


def noise(rng):
    model = systems.random_diffusion(2, kind="diagonal", rng=rng)
    return model, systems.default_grid("random_diffusion", 24)


def test_ensemble_of_media():
    ensemble = rt.typicality_ensemble(noise, 30, rng=2)
    assert ensemble.n == 30 and not any(ensemble.errors)
    # two independent diffusions: v_iso = 1/2, v_aniso = <cos² 2θ>/2 = 1/4
    rho = ensemble.scores["correlation"]
    assert abs(rho.mean() - np.sqrt(2 / 3)) < 3 * rho.std(ddof=1) / np.sqrt(30)
    probability, low, high = ensemble.exceedance("correlation", 0.7)
    k = int(np.sum(ensemble.scores["correlation"] > 0.7))
    interval = scipy.stats.binomtest(k, 30).proportion_ci(method="exact")
    assert (probability, low, high) == pytest.approx((k / 30, interval.low, interval.high))
    assert ensemble.exceedance("correlation", -2)[0::2] == (1.0, 1.0)
    assert ensemble.exceedance("correlation", 2)[:2] == (0.0, 0.0)
    assert len(ensemble.summary().split("\n")) == 8
    with futures.ProcessPoolExecutor(2) as executor:
        again = rt.typicality_ensemble(noise, 30, rng=2, executor=executor)
    np.testing.assert_array_equal(again.scores["gamma"], ensemble.scores["gamma"])


def test_ensemble_of_chains_and_failures():
    def family(rng):
        if rng.random() < 0.3:
            raise RuntimeError("no system")
        return systems.random_rates(30, rng=rng)

    ensemble = rt.typicality_ensemble(family, 20, ("correlation", "gamma"), rng=1)
    failed = [error != "" for error in ensemble.errors]
    assert 0 < sum(failed) < 20
    np.testing.assert_array_equal(np.isnan(ensemble.scores["gamma"]), failed)
    assert f"of which {sum(failed)} failed" in ensemble.summary()
    with pytest.raises(ValueError, match="score must be one of 'correlation', 'gamma'"):
        ensemble.exceedance("kl", 0)
    with pytest.raises(ValueError, match="scores must be names"):
        rt.typicality_ensemble(family, 3, ("luck",))


# --- what is rare ---------------------------------------------------------------------------------


def test_functions_without_a_signature():
    assert list(rt.sweep(vars, [{"x": 1}], rng=1).errors) != [""], "vars takes no x"


def test_what_has_not_begun_is_cancelled():
    done = []

    def stop(share):
        raise KeyboardInterrupt

    with futures.ThreadPoolExecutor(1) as executor, pytest.raises(KeyboardInterrupt):
        rt.sweep(lambda a: time.sleep(0.01) or done.append(a), {"a": range(400)}, executor=executor, progress=stop)
    assert len(done) < 20


def test_ensemble_without_scores():
    nothing = rt.Ensemble({"gamma": np.full(3, np.nan), "correlation": np.array([0.1, 0.2, np.nan])}, [""] * 3)
    assert nothing.exceedance("gamma", 0.0)[1:] == (0.0, 1.0)
    first, second = nothing.summary().split("\n")[1:3]
    assert first.split() == ["gamma", "nan", "3"] and second.split()[-1] == "1"
    pytest.importorskip("matplotlib")
    assert sum(bar.get_height() for bar in nothing.plot().patches) == 2
