"""What users are told who give something wrong: the exception, and words of its message."""

import concurrent.futures
import errno

import numpy as np
import pytest
from smarticle_tracks import lines_of, made_up_track

import rattling as rt
from rattling import apriori, blowtorch, datasets, engineering, random_systems, report, systems
from rattling.__main__ import main

LINE = rt.Grid((0, 1), 4)
PLANE = rt.Grid([(0, 1)] * 2, 4)
DRIFT = rt.Model.from_sympy("-x", 1, variables="x")
CHAIN = rt.Generator.from_rates([[0, 1.0], [2.0, 0]])
P0 = np.full(4, 0.25)
LOSSY = rt.generator(DRIFT, rt.Grid((0, 1), 4, "absorbing"))
DEAD_END = rt.Generator.from_rates([[0, 1.0], [0, 0]])
RING_OF_TWO = rt.generator(DRIFT, rt.Grid((0, 1), 2, "periodic"))
PATHS = rt.simulate(DRIFT, [0.0], 0.1, 20, rng=1)


def flat(x):
    return np.zeros_like(x)


def steady(**options):
    return rt.steady_state(DRIFT, LINE, **options)


def of_the_plane(**options):
    state = rt.steady_state(rt.Model(flat, 1.0, dim=2), PLANE)
    return rt.local_global(state, "trace", **options)


def design(pattern=lambda x: np.sin(x[0]), **options):
    return engineering.design_noise(DRIFT, [pattern], LINE.centres(0) > 0.5, LINE, **options)


REFUSED = [
    # one thing in the place of another
    (lambda: rt.Generator(np.eye(2)), TypeError, "made by .*from_rates.*not from ndarray"),
    (lambda: rt.Generator.from_rates(CHAIN.matrix), ValueError, "columns sum to 0 and the rows do not: give the transpose"),
    (lambda: rt.Generator.from_rates(CHAIN.matrix.toarray()), ValueError, "give the transpose"),
    (lambda: rt.typicality(steady(), [1.0]), TypeError, "not SteadyState; give its .log_density"),
    (lambda: rt.typicality(np.zeros(4), np.zeros(4), volume=LINE), TypeError, "not Grid; give its .volumes"),
    (lambda: rt.typicality(steady().probability, np.zeros(4)), ValueError, "log_p must be the logarithm of p"),
    (lambda: rt.typicality(steady().density, np.zeros(4), volume=LINE.volumes), ValueError, "adds up to 1 like p itself"),
    (lambda: rt.windowed_rattling(PATHS, 0.1, 1.0), TypeError, "x must be .*not Trajectories; give its .x"),
    (lambda: rt.estimate_rattling(PATHS.x, PATHS.t), TypeError, r"shape \(21,\); times= takes"),
    (lambda: rt.simulate(DRIFT, [0.0], PATHS.t, 3), TypeError, r"dt must be a real number; got an array of shape \(21,\)"),
    (lambda: rt.exact_rattling(rt.Model(flat, 1.0, dim=2), PLANE.points()), ValueError, "give its transpose"),
    (lambda: rt.typicality_ensemble(DRIFT, 3), TypeError, "family must be a function of rng"),
    (lambda: steady().plot(ax=[1, 2]), TypeError, "ax must be one matplotlib Axes, not list"),
    # grids
    (lambda: rt.Grid("01", 4), TypeError, "bounds must be a sequence with one entry an axis; got '01'"),
    (lambda: rt.Grid(3, 4), TypeError, "bounds must be a sequence"),
    (lambda: rt.Grid([("a", "b")], 4), TypeError, "bounds of axis 0 must be an array of real numbers"),
    (lambda: rt.Grid([(0, 1), (0, 1j)], 4), TypeError, "bounds of axis 1 must be .*complex"),
    (lambda: rt.Grid([(0, 1), (0, [1, 2])], 4), ValueError, "bounds of axis 1 must be an array, but its rows have"),
    (lambda: rt.Grid([(0, 1)] * 9, 2), ValueError, "1 to 8 axes; got 9"),
    (lambda: rt.Grid([], ()), ValueError, "1 to 8 axes; got 0"),
    (lambda: rt.Grid((1e16, 1e16 + 4), 1000), ValueError, "axis 0.*cannot be divided into 1000 cells"),
    (lambda: rt.Grid((-1e308, 1e308), 4), ValueError, "axis 0.*cannot be divided into 4 cells"),
    (lambda: rt.Grid((0, 5e-324), 4), ValueError, "axis 0.*cannot be divided into 4 cells"),
    (lambda: rt.Grid([(0, 1)] * 2, (2**40, 2**40)), ValueError, "more than 2\\*\\*31 - 1 cells"),
    (lambda: rt.Grid((0, 1), 4, boundary=3), TypeError, "boundary must be one name or one entry"),
    (lambda: rt.Grid((0, 1), 4, boundary=[3]), ValueError, "boundary of axis 0 must be one of"),
    (lambda: rt.Grid((0, 1), 4, boundary=[(["reflecting"], 2)]), ValueError, "boundary of axis 0 must be one of"),
    (lambda: LINE.centres(1), ValueError, "axis must be below the number of axes, 1; got 1"),
    (lambda: LINE.edges(-2), ValueError, "axis must be below"),
    (lambda: LINE.centres(0.0), TypeError, "axis must be a whole number, not float"),
    # models
    (lambda: rt.Model(flat, 1.0, dim=1, parameters={3: 1.0}), TypeError, "parameters must be named by strings"),
    (lambda: rt.Model(flat, [[1, 0], [1]]), ValueError, "diffusion must be an array, but its rows have different"),
    (lambda: rt.Model.from_sympy("oo", 1, variables="x"), ValueError, "drift must be finite"),
    (lambda: rt.Model.from_sympy("nan", 1, variables="x"), ValueError, "drift must be finite"),
    (lambda: rt.Model.from_sympy("x", 1, variables=3), TypeError, "variables must be names or SymPy symbols; got 3"),
    # steady states, evolutions, chains
    (lambda: rt.steady_state("ring"), TypeError, "model must be a rattling.Model or a rattling.Generator, not str"),
    (lambda: rt.evolve(None, P0, 1.0), TypeError, "model must be a rattling.Model or a rattling.Generator, not None"),
    (lambda: steady(method=["gth"]), ValueError, "method must be one of"),
    (lambda: steady(flux=None), ValueError, "flux must be one of .*; got None"),
    (lambda: steady(classes=np.array(["all"])), ValueError, "classes must be None or 'all'"),
    (lambda: steady(rtol="1e-3"), TypeError, "rtol must be a real number"),
    (lambda: steady(rtol=np.nan), ValueError, "rtol must be finite"),
    (lambda: steady(threads=True), TypeError, "threads must be a whole number"),
    (lambda: steady(threads=0), ValueError, "threads must be at least 1; got 0"),
    (lambda: steady(initial=["a"] * 4), TypeError, "initial must be an array of real numbers"),
    (lambda: rt.evolve(DRIFT, ["a"] * 4, 1.0, LINE), TypeError, "p0 must be an array of real numbers"),
    (lambda: rt.evolve(DRIFT, P0, "1", LINE), TypeError, "t must be an array of real numbers, not str"),
    (lambda: rt.evolve(DRIFT, P0, [0, 2, 1], LINE), ValueError, "t must increase, but 2.0 is followed by 1.0"),
    (lambda: rt.evolve(DRIFT, P0, 1.0, LINE, rtol="small"), TypeError, "rtol must be a real number"),
    (lambda: rt.Generator.from_rates([[0, 1], [1]]), ValueError, "rates must be an array, but its rows have"),
    (lambda: rt.Generator.from_rates([["0", "1"]] * 2), TypeError, "rates must be an array of real numbers"),
    # scores
    (lambda: rt.typicality("abc", [1, 2]), TypeError, "log_p must be an array of real numbers, not str"),
    (lambda: rt.typicality([1, 2], [1, 2], weights=None), ValueError, "weights must be 'uniform', 'probability' or"),
    (lambda: of_the_plane(model=rt.Model(flat, 1.0, dim=3)), ValueError, "3 coordinates, but the grid .* 2 axes"),
    (lambda: apriori.moment_closure(DRIFT, LINE, derivatives=1), ValueError, "derivatives must be one of"),
    # random systems, sweeps, files
    (lambda: random_systems.random_diffusion(rng="seed"), TypeError, "rng must be None, an int >= 0"),
    (lambda: random_systems.sk_spins(3, rng=-1), ValueError, "rng must be None, an int >= 0.*; got -1"),
    (lambda: random_systems.random_rates(graph=["complete"]), ValueError, "graph must be one of"),
    (lambda: systems.birth_death([1.0, [2.0]], [1.0]), ValueError, "rows have different lengths"),
    (lambda: systems.default_grid(3, 4), ValueError, "system must be one of"),
    (lambda: rt.sweep(flat, 3), TypeError, "parameters must be a dict of sequences by name, or a sequence of dicts"),
    (lambda: rt.sweep(flat, ["ab", "cd"]), TypeError, "parameters must be a dict of sequences by name"),
    (lambda: rt.sweep(flat, {"x": [1]}, executor=2), TypeError, "executor must be None or have a method submit"),
    (lambda: rt.sweep(flat, {"x": [1]}, on_error=["raise"]), ValueError, "on_error must be one of"),
    (lambda: rt.Model(flat, np.diag([1.0, np.inf])), ValueError, "diffusion must be finite"),
    (lambda: rt.exact_rattling(rt.Model.from_sympy(["x", "y"], 1, variables="x y"), LINE), ValueError, "coordinates"),
    (lambda: rt.simulate(rt.Model(flat, 1.0), np.zeros(2**13), 0.1, 1, n_paths=2**47), ValueError, "x0 would have 1407"),
    (lambda: rt.estimate_rattling([np.zeros((9, 1))] * 2, times=[np.arange(9)]), ValueError, "times must have one entry"),
    (lambda: rt.estimate_rattling(PATHS, times=PATHS.t), ValueError, "times must be None for Trajectories"),
    (lambda: rt.estimate_density(np.zeros((99, 2)), 1.0, at=[[0.0, 0.0]], method="knn"), ValueError, "do not move"),
    (lambda: apriori.moment_closure(CHAIN, LINE), TypeError, "grid must be left out with a Generator"),
    (lambda: apriori.moment_closure(rt.Model(flat, 0.0), LINE), ValueError, "rattling must be finite"),
    (lambda: apriori.weak_disorder(DRIFT, rt.Grid.from_edges([0, 1, 3], "periodic")), ValueError, "grid of equal cells"),
    (lambda: apriori.weak_disorder(rt.Model(flat, 0.0), rt.Grid((0, 1), 4, "periodic")), ValueError, "D is singular"),
    (lambda: blowtorch.heat_bounds(DRIFT, 0, 1), TypeError, "generator must be a rattling.Generator, not Model"),
    (lambda: blowtorch.heat_bounds(RING_OF_TWO, 0, 1), ValueError, "periodic axis of two cells"),
    (lambda: blowtorch.susceptibility(CHAIN, [1, 0], [0, 1], LINE), TypeError, "grid must be left out"),
    (lambda: blowtorch.susceptibility(DRIFT, [1, 0], [0, 1]), TypeError, "grid is needed with a model"),
    (lambda: blowtorch.susceptibility(LOSSY, [1, 0, 0, 0], [0, 0, 0, 1]), ValueError, "absorbing walls"),
    (lambda: engineering.mix([LOSSY, LOSSY], [1.0, 1.0]), ValueError, "absorbing walls"),
    (lambda: engineering.verify(DEAD_END, region=[True, False]), ValueError, "each state must have an exit"),
    (lambda: design(bounds=(0.0, 1.0, 2.0)), ValueError, "bounds must be one .* pair, or one for each of the 1 values"),
    (lambda: design(lambda x: np.where(x[0] > 0.5, np.inf, 0.0)), ValueError, "patterns must be finite on the grid"),
    (lambda: rt.thermodynamics.entropy_production(CHAIN, rt.evolve(DRIFT, P0, 1.0, LINE)), ValueError, "evolution has states"),
    (lambda: rt.thermodynamics.entropy_production(CHAIN, steady()), ValueError, "steady state has shape"),
    (lambda: random_systems.random_rates(3, sigma=-1.0), ValueError, "sigma must not be negative"),
    (lambda: report.make_system("web_map", {}), ValueError, "web_map gives a Map: a report needs a model or a chain"),
    (lambda: report.make_grid("run_and_tumble", DRIFT), ValueError, "run_and_tumble has no usual box in 1 dimensions"),
    (lambda: rt.typicality_ensemble(flat, 0), ValueError, "n must be at least 1; got 0"),
    (lambda: rt.Ensemble({"r": P0}, [""] * 4).exceedance("r", 0.5, confidence=1), ValueError, "confidence must be"),
    (lambda: steady().save("/no/such/folder/state.npz"), FileNotFoundError, "/no/such/folder/state.npz"),
    (lambda: rt.SteadyState.load(0), TypeError, "int"),
]


@pytest.mark.parametrize(("call", "error", "message"), REFUSED)
def test_refused(call, error, message):
    with pytest.raises(error, match=message) as caught:
        call()
    assert type(caught.value) is error


def test_none_of_these_is_refused():
    """What lies next to the refusals."""
    assert rt.Grid((1e16, 1e16 + 4), 2).shape == (2,)
    assert rt.Grid([(0, 1)] * 8, 2).dim == 8
    assert PLANE.centres(-1).shape == (4,)
    assert rt.steady_state(rt.Model(lambda x: -x, 1.0), LINE).probability.shape == (4,), "a model of any dimension"
    assert rt.Generator.from_rates(np.ones((2, 2), dtype=bool) ^ np.eye(2, dtype=bool)).n == 2
    assert rt.steady_state(CHAIN, threads=np.int64(1)).probability[0] == pytest.approx(2 / 3)
    with concurrent.futures.ThreadPoolExecutor(1) as executor:
        assert rt.sweep(abs, [{"x": 1}], executor=executor).n_failed == 1


def test_an_error_of_an_array_like_stays_its_own():
    class Broken:
        def __array__(self, dtype=None, copy=None):
            raise ValueError("mine")

    with pytest.raises(ValueError, match="^mine$"):
        rt.typicality(Broken(), [1, 2])


# --- files and the command line -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\x00\x01\x02,\x00\n", "is not a text file"),
        (b"a,b\n", "line 1"),
        ((lines_of(made_up_track())[0] + "\n").encode(), "has one row; a track needs at least two"),
    ],
)
def test_tracks(tmp_path, content, message):
    path = tmp_path / "track.csv"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        datasets.load_smarticles(path)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [(["--figure", "no/such.png"], errno.ENOENT), (["--figure", "."], errno.EISDIR), (["--figure", ""], None)],
)
def test_a_figure_that_cannot_be_written_is_found_out_first(arguments, code, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("rattling.demo.compute", lambda: pytest.fail("worked first"))
    assert main(["demo", *arguments]) == 2
    message = capsys.readouterr().err
    assert message.startswith("rattling: ") and message.count("\n") == 1
    assert ("--figure needs the name of a file" if code is None else arguments[1]) in message


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (MemoryError(), 2, "rattling: not enough memory; take fewer cells\n"),
        (KeyboardInterrupt(), 130, "rattling: interrupted\n"),
        (rt.ReducibleError("two classes"), 2, "rattling: two classes\n"),
    ],
)
def test_status_of_the_command_line(error, status, message, monkeypatch, capsys):
    def fail(*arguments, **options):
        raise error

    monkeypatch.setattr(report, "compute", fail)
    assert main(["report", "ring"]) == status
    assert capsys.readouterr().err == message
