"""What the compiled module does with bad input, when nobody has checked it before.

Every call must raise an ordinary exception, change nothing it was given, leak nothing
and leave the module working.
"""

import copy
import gc
import pickle
import sys

import numpy as np
import pytest

from rattling import _core

HUGE = [2**31, 2**62, 2**63 - 1]


def grid(n=4, dim=2, periodic=0):
    edges = tuple(np.linspace(0, 1, n + 1) for _ in range(dim))
    return _core.Grid(edges, (periodic,) * dim, (periodic,) * dim)


def constant(dim, values):
    """A tape that gives constants."""
    values = np.asarray(values, dtype=float)
    return _core.Expression(
        dim, values, np.zeros((0, 4), dtype=np.int32), dim + np.arange(len(values), dtype=np.int32)
    )


def model(dim=2):
    return _core.Model(dim, 0, 1, 1, constant(dim, np.zeros(dim)), constant(dim, np.ones(dim)))


def chain(n=3):
    ring = np.arange(n)
    return _core.Generator.from_rates(n, ring, (ring + 1) % n, np.ones(n))


def simulation(walls=None, x0=((0.5, 0.5),), dt=0.01):
    return _core.Simulation(model(), walls, 1, dt, np.asarray(x0))


def program(instructions, outputs=(0,), n_inputs=2, constants=(1.0,)):
    return _core.Expression(
        n_inputs,
        np.asarray(constants),
        np.asarray(instructions, dtype=np.int32).reshape(-1, 4),
        np.asarray(outputs, dtype=np.int32),
    )


def paths(x, begin=(0,), end=(50,), time=None, dt=0.1, period=(0.0, 0.0), lags=(1, 2)):
    """What estimators take: one segment of 50 states."""
    terms = tuple(range(len(lags)))
    return (x, np.array(begin, np.intp), np.array(end, np.intp), time, dt, period, lags, terms, (99,) * len(lags))


def bins(x, where=None, **change):
    arguments = paths(x, **change), grid(2) if where is None else where, True
    return _core.bins(*arguments, _core.bin_sums(*arguments, 1, None))


def local(x, points, n_rungs=1, **change):
    chosen = np.full(len(points) if isinstance(points, np.ndarray) and points.ndim else 2, -1.0)
    return _core.local(paths(x, **change), points, np.ones(2), np.zeros(2), n_rungs, 1, True, chosen, 1, None)


# --- arrays: kinds that are read, kinds that are refused ----------------------------------

# name of the argument, call with an array, array that is right
ARRAYS = {
    "Grid.edges": ("edges", lambda a: _core.Grid((a,), (0,), (0,)).points(), np.array([0.0, 1, 3, 6])),
    "Expression.constants": (
        "constants",
        lambda a: _core.Expression(1, a, np.zeros((0, 4), np.int32), np.array([1, 2], np.int32)).evaluate(np.ones((1, 2))),
        np.array([2.0, 3.0]),
    ),
    "Expression.evaluate": ("x", lambda a: program([[0, 0, 1, 0]], [3]).evaluate(a), np.arange(6.0).reshape(2, 3)),
    "Model.drift": ("x", lambda a: model().drift(a), np.arange(6.0).reshape(2, 3)),
    "Model.diffusion": ("x", lambda a: model().diffusion(a), np.arange(6.0).reshape(2, 3)),
    "Model.diagonal": ("x", lambda a: model().diagonal(a), np.arange(6.0).reshape(2, 3)),
    "Model.rattling": ("x", lambda a: model().rattling(a), np.arange(6.0).reshape(2, 3)),
    "Generator.from_rates": (
        "rates",
        lambda a: _core.Generator.from_rates(3, np.arange(3), np.array([1, 2, 0]), a).exit_rates(),
        np.array([1.0, 2, 3]),
    ),
    "Generator.apply": ("p", lambda a: chain().apply(a), np.array([1.0, 2, 4])),
    "Generator.steady": ("initial", lambda a: chain().steady(1e-10, 0, a, False, 1, None)[0], np.array([0.0, 1, 2])),
    "Generator.residual": ("log_p", lambda a: chain().residual(a, 0.0, 1)[0], np.array([0.0, 1, 2])),
    "Generator.entropy_production": ("log_p", lambda a: chain().entropy_production(a), np.array([0.0, 1, 2])),
    "Generator.face_currents": (
        "log_p",
        lambda a: _core.Generator.from_model(model(1), grid(3, 1), 1, None).face_currents(a)[0],
        np.array([0.0, 1, 2]),
    ),
    "Simulation.x0": ("x0", lambda a: _core.Simulation(model(), None, 1, 0.1, a).run(2, 1, 1, None)[1], np.ones((3, 2))),
    "Simulation.lower": (
        "lower",
        lambda a: simulation((a, np.ones(2), (False, True))).run(2, 1, 1, None)[1],
        np.array([0.0, -1.0]),
    ),
    "windowed": (
        "x",
        lambda a: _core.windowed(a, 0.1, 4, 1, 0, 3, None),
        np.random.default_rng(1).normal(size=(6, 2)),
    ),
    "bins": (
        "x",
        lambda a: bins(a)[0],
        np.random.default_rng(2).uniform(size=(50, 2)),
    ),
    "bins.period": (
        "period",
        lambda a: bins(np.ones((50, 2)), period=a)[5],
        np.zeros(2),
    ),
    "bins.sums": (
        "sums",
        lambda a: _core.bins(paths(np.ones((50, 2))), grid(2), True, a)[0],
        _core.bin_sums(paths(np.random.default_rng(2).uniform(size=(50, 2))), grid(2), True, 1, None),
    ),
    "local.points": (
        "points",
        lambda a: local(np.random.default_rng(2).uniform(size=(50, 2)), a)[0],
        np.array([[0.5, 0.5], [0.4, 0.6]]),
    ),
    "typicality.log_p": (
        "log_p",
        lambda a: _core.typicality(a, np.array([1.0, 0, 3]), None, None, None, False)["residual"],
        np.array([0.0, 1, 4]),
    ),
    "typicality.volume": (
        "volume",
        lambda a: _core.typicality(np.arange(3.0), np.array([1.0, 0, 3]), a, None, None, True)["residual"],
        np.array([1.0, 1, 4]),
    ),
    "decomposition.log_p": (
        "log_p",
        lambda a: _core.decomposition(a, np.array([1.0, 0, 3]), None, None)["log_jump"],
        np.array([0.0, 1, 4]),
    ),
    "decomposition.log_clock": (
        "log_clock",
        lambda a: _core.decomposition(np.array([1.0, 0, 3]), a, None, None)["log_jump"],
        np.array([1.0, 1, 4]),
    ),
    "response_rates.p": (
        "p",
        lambda a: _core.response_rates(chain(3), a, np.arange(3.0)),
        np.array([1.0, 1, 4]),
    ),
    "response_fields.adjoint": (
        "adjoint",
        lambda a: _core.response_fields(model(1), grid(3, 1), np.ones(3), a)[0][0],
        np.array([1.0, 1, 4]),
    ),
    "closure.change": (
        "change",
        lambda a: np.array([_core.closure(np.arange(3.0), a, np.ones(3), 1.0, 5.0, 0.25)]),
        np.array([1.0, -1, 4]),
    ),
}


def strided(a):
    return np.repeat(a, 3, axis=-1)[..., ::3]


def reversed_twice(a):
    return a[..., ::-1].copy()[..., ::-1]


def unaligned(a):
    raw = np.zeros(a.nbytes + 1, dtype=np.uint8)
    view = raw[1:].view(a.dtype).reshape(a.shape)
    view[...] = a
    return view


def read_only(a):
    a = a.copy()
    a.flags.writeable = False
    return a


class Quacks:
    def __init__(self, array):
        self.array = array

    def __array__(self, dtype=None, copy=None):
        return self.array


def swapped(a):
    return a.astype(a.dtype.newbyteorder(">"))


@pytest.mark.parametrize("where", ARRAYS)
@pytest.mark.parametrize(
    "convert", [np.asfortranarray, strided, reversed_twice, unaligned, read_only, swapped, np.ndarray.tolist, Quacks]
)
def test_every_memory_layout_is_read_and_left_alone(where, convert):
    _, call, good = ARRAYS[where]
    given = convert(good)
    before = copy.deepcopy(given) if not isinstance(given, Quacks) else None
    np.testing.assert_array_equal(call(given), call(good))
    if before is not None:
        np.testing.assert_array_equal(given, before)


@pytest.mark.parametrize("where", ARRAYS)
@pytest.mark.parametrize("dtype", [np.float32, np.int16, np.uint64, np.longdouble])
def test_other_real_types_are_converted(where, dtype):
    _, call, good = ARRAYS[where]
    if np.array_equal(good.astype(dtype).astype(float), good):
        np.testing.assert_array_equal(call(good.astype(dtype)), call(good))
    else:
        call(np.abs(good).astype(dtype)) if dtype not in (np.int16, np.uint64) else None


@pytest.mark.parametrize("where", ARRAYS)
@pytest.mark.parametrize(
    "bad",
    [
        np.zeros((2, 3), dtype=complex),
        np.zeros((2, 3), dtype="U3"),
        np.zeros((2, 3), dtype=object),
        np.zeros((2, 3), dtype="M8[s]"),
        np.zeros((2, 3), dtype=[("a", float)]),
        "text",
        b"bytes",
        None,
        object(),
        [[1.0, 2.0], [3.0]],
        {"a": 1},
        1j,
        iter([1.0]),
    ],
    ids=lambda bad: f"{type(bad).__name__}-{getattr(bad, 'dtype', '')}",
)
def test_what_is_no_array_of_real_numbers(where, bad):
    name, call, _ = ARRAYS[where]
    if bad is None and name in ("initial", "volume"):
        return
    with pytest.raises(TypeError, match=rf"^{name} must be an array of real numbers"):
        call(bad)


@pytest.mark.parametrize("where", ARRAYS)
def test_wrong_number_of_dimensions(where):
    name, call, good = ARRAYS[where]
    for bad in (good[0], good[None], np.float64(1.0)):
        with pytest.raises(ValueError, match=rf"^{name} must have {good.ndim} dimension"):
            call(bad)


@pytest.mark.parametrize("where", ARRAYS)
def test_wrong_lengths(where):
    name, call, good = ARRAYS[where]
    if where in ("Grid.edges", "Expression.constants"):
        return  # any length will do
    axis = {"Simulation.x0": 1, "windowed": 0, "bins": 1, "local.points": 1}.get(where, 0)
    for index in ([], list(range(good.shape[axis])) * 2):
        bad = np.take(good, np.array(index, dtype=int), axis=axis)
        if where == "windowed" and index:
            continue  # more rows will do
        with pytest.raises(ValueError, match=f"^(rattling|source|target|log_clock|{name}|period) must have length|out of its range"):
            call(bad)


def test_exceptions_of_array_likes_pass():
    class Bad:
        def __array__(self, dtype=None, copy=None):
            raise ZeroDivisionError("mine")

    for name, call, _ in ARRAYS.values():
        with pytest.raises(ZeroDivisionError, match="mine"):
            call(Bad())


# --- the types themselves -----------------------------------------------------------------

TYPES = ["Grid", "Expression", "Model", "Generator", "Simulation"]


def instances():
    return [grid(), constant(1, [1.0]), model(), chain(), simulation()]


@pytest.mark.parametrize("name", TYPES)
def test_types_are_closed(name):
    cls = getattr(_core, name)
    with pytest.raises(TypeError):
        type("Sub", (cls,), {})
    with pytest.raises(TypeError):
        cls.anything = 1
    with pytest.raises(TypeError):
        cls()
    with pytest.raises(TypeError):
        object.__new__(cls)
    if name != "Generator":
        with pytest.raises(TypeError):
            cls(*range(20))
        with pytest.raises(TypeError):
            cls(nothing=1)
    assert cls.__module__ == "rattling._core" and cls.__doc__


@pytest.mark.parametrize("instance", instances(), ids=lambda i: type(i).__name__)
def test_instances_are_immutable_and_refuse_to_be_copied(instance):
    with pytest.raises(AttributeError):
        instance.anything = 1
    for attribute in ("n", "dim", "peclet", "n_inputs"):
        with pytest.raises(AttributeError):
            setattr(instance, attribute, 1)
    for act in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError):
            act(instance)
    hash(instance)
    assert repr(instance).startswith("<rattling._core.")


@pytest.mark.parametrize("instance", instances(), ids=lambda i: type(i).__name__)
def test_methods_refuse_other_instances(instance):
    """Unbound methods check self; no method takes more than it says."""
    for name in dir(instance):
        if name.startswith("__"):
            continue
        unbound = getattr(type(instance), name)
        if not callable(unbound):
            continue
        for other in (None, 1, np.zeros(3), *(i for i in instances() if type(i) is not type(instance))):
            if not isinstance(getattr(type(instance), name), type(dict.fromkeys)):  # class methods
                with pytest.raises(TypeError):
                    unbound(other)
        with pytest.raises(TypeError):
            getattr(instance, name)(*range(9))
        with pytest.raises(TypeError):
            getattr(instance, name)(anything=1)


def test_functions_count_their_arguments():
    for name in ("typicality", "windowed", "bins", "bin_sums", "local", "basis", "log_det_law", "random_normals", "random_uniforms", "operations", "cores",
                 "decomposition", "response_rates", "response_fields", "path_bounds", "certificate", "closure"):  # fmt: skip
        for arguments in (range(19), range(1)):
            with pytest.raises(TypeError):
                getattr(_core, name)(*arguments)
        with pytest.raises(TypeError):
            getattr(_core, name)(anything=1)


def test_analysis_functions_take_their_own_types():
    for call in (
        lambda: _core.response_rates(grid(3), np.ones(3), np.ones(3)),
        lambda: _core.response_fields(grid(3, 1), model(1), np.ones(3), np.ones(3)),
        lambda: _core.path_bounds(None, 0, 1),
        lambda: _core.certificate(model()),
    ):
        with pytest.raises(TypeError):
            call()
    for x, y in ((3, 0), (0, -1)):
        with pytest.raises(ValueError, match="out of its range"):
            _core.path_bounds(chain(3), x, y)
    with pytest.raises(ValueError, match="out of its range"):
        _core.response_fields(model(2), grid(3, 1), np.ones(3), np.ones(3))


@pytest.mark.parametrize(("guess", "reach", "step"), [(1, 5, 0), (1, 5, -0.25), (1, np.inf, 0.25), (np.nan, 5, 0.25)])
def test_searches_without_end(guess, reach, step):
    with pytest.raises(ValueError, match="out of its range"):
        _core.closure(np.arange(3.0), np.ones(3), np.ones(3), guess, reach, step)


# --- Grid ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("edges", "lower", "upper", "error"),
    [
        ((), (), (), ValueError),
        ((np.arange(3.0),) * 9, (0,) * 9, (0,) * 9, ValueError),
        ((np.arange(3.0),), (), (0,), ValueError),
        ((np.arange(3.0),), (0,), (0, 0), ValueError),
        ((np.arange(2.0),), (0,), (0,), ValueError),
        ((np.zeros(3),), (0,), (0,), ValueError),
        ((np.arange(3.0)[::-1],), (0,), (0,), ValueError),
        ((np.array([0, np.nan, 1]),), (0,), (0,), ValueError),
        ((np.array([0, 1, np.inf]),), (0,), (0,), ValueError),
        ((np.arange(3.0),), (1,), (0,), ValueError),
        ((np.arange(3.0),), ("periodic",), (0,), TypeError),
        ((np.arange(3.0),), (2**70,), (0,), OverflowError),
        ((np.arange(70000.0), np.arange(70000.0)), (0, 0), (0, 0), OverflowError),
        ([np.arange(3.0)], (0,), (0,), TypeError),
        (np.arange(3.0), (0,), (0,), TypeError),
    ],
)
def test_bad_grids(edges, lower, upper, error):
    with pytest.raises(error):
        _core.Grid(edges, lower, upper)


# --- Expression ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"n_inputs": -1}, ValueError),
        ({"n_inputs": 2**31}, OverflowError),
        ({"n_inputs": 2**62}, OverflowError),
        ({"n_inputs": 2**70}, OverflowError),
        ({"n_inputs": 1.5}, TypeError),
        ({"outputs": [4]}, ValueError),
        ({"outputs": [-1]}, ValueError),
        ({"instructions": [[0, 0, 3, 0]]}, ValueError),
        ({"instructions": [[0, 0, -1, 0]]}, ValueError),
        ({"instructions": [[-1, 0, 0, 0]]}, ValueError),
        ({"instructions": [[10**6, 0, 0, 0]]}, ValueError),
        ({"instructions": [[0, 0, 4, 0], [0, 0, 0, 0]]}, ValueError),
    ],
)
def test_bad_programs(arguments, error):
    good = {"instructions": [[0, 0, 1, 0]], "outputs": [3], "n_inputs": 2}
    assert program(**good).evaluate(np.ones((2, 1)))[0, 0] == 2
    with pytest.raises(error):
        program(**(good | arguments))


@pytest.mark.parametrize(
    "instructions", [np.zeros((1, 3), np.int32), np.zeros(4, np.int32), np.zeros((1, 4)), "abcd", None, [[2**40] * 4]]
)
def test_bad_instructions(instructions):
    with pytest.raises((TypeError, ValueError, OverflowError)):
        _core.Expression(1, np.ones(1), instructions, np.zeros(1, np.int32))


def test_random_programs_are_refused_or_run():
    """Nothing that passes the check reads outside its registers."""
    rng = np.random.default_rng(3)
    n_ops = len(_core.operations())
    ran = 0
    x = rng.normal(size=(2, 5))
    for _ in range(3000):
        length = rng.integers(0, 6)
        instructions = np.c_[rng.integers(-1, n_ops + 1, length), rng.integers(-1, 4 + length, (length, 3))]
        if rng.random() < 0.7:  # mostly valid ones
            instructions[:, 0] = rng.integers(0, n_ops, length)
            instructions[:, 1:] = rng.integers(0, 3 + np.arange(length)[:, None], (length, 3)) if length else 0
        try:
            tape = program(instructions, rng.integers(-1 if rng.random() < 0.3 else 0, 3 + length, 2))
        except ValueError:
            continue
        with np.errstate(all="ignore"):
            assert tape.evaluate(x).shape == (2, 5)
        ran += 1
    assert 500 < ran < 2900


# --- Model --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        ({"dim": 0}, ValueError, "out of its range"),
        ({"dim": -5}, ValueError, "out of its range"),
        ({"dim": 3}, ValueError, "drift: the expression has 2 inputs and 2 outputs; 3 and 3 are needed"),
        ({"dim": 2**62}, ValueError, "the expression has 2 inputs"),
        ({"dim": 2**70}, OverflowError, None),
        ({"dim": "2"}, TypeError, None),
        ({"interpretation": 3}, ValueError, "out of its range"),
        ({"interpretation": -1}, ValueError, "out of its range"),
        ({"kind": 6}, ValueError, "out of its range"),
        ({"kind": -1}, ValueError, "out of its range"),
        ({"kind": 0}, ValueError, "diffusion: the expression has 2 inputs and 2 outputs; 2 and 1 are needed"),
        ({"kind": 5, "n_noise": 0}, ValueError, None),
        ({"kind": 5, "n_noise": 2**62}, ValueError, None),
        ({"n_noise": -1}, ValueError, "out of its range"),
        ({"drift": None}, TypeError, "drift must be callable, not NoneType"),
        ({"diffusion": 3.0}, TypeError, "diffusion must be callable, not float"),
        ({"drift": sys.__dict__["version"]}, TypeError, "drift must be callable, not str"),
    ],
)
def test_bad_models(change, error, text):
    values = {
        "dim": 2,
        "interpretation": 0,
        "kind": 1,
        "n_noise": 1,
        "drift": constant(2, [0.0, 0.0]),
        "diffusion": constant(2, [1.0, 1.0]),
    }
    with pytest.raises(error, match=text):
        _core.Model(**(values | change))


@pytest.mark.parametrize("dim", HUGE)
def test_models_of_functions_in_absurd_dimensions(dim):
    with pytest.raises((ValueError, OverflowError, MemoryError)):
        _core.Model(dim, 0, 2, 1, lambda x: x, lambda x: x).drift(np.ones((2, 1)))


@pytest.mark.parametrize(
    ("returned", "error"),
    [
        (None, TypeError),
        ("text", TypeError),
        (np.ones(3), ValueError),
        (np.ones((3, 4)), ValueError),
        (np.ones((4, 2)), ValueError),
        (np.ones((1, 2, 4)), ValueError),
        (1j * np.ones((2, 4)), TypeError),
        ([1.0], ValueError),
        ([1.0, 2.0, 3.0], ValueError),
        ([1.0, None], TypeError),
        ([np.ones(4), np.ones(5)], ValueError),
        ((), ValueError),
        (np.full((2, 4), np.nan), ValueError),
        (np.full((2, 4), np.inf), ValueError),
    ],
)
def test_what_a_drift_may_not_return(returned, error):
    bad = _core.Model(2, 0, 1, 1, lambda x: returned, constant(2, [1.0, 1.0]))
    with pytest.raises(error, match="drift"):
        bad.drift(np.ones((2, 4)))


def test_a_list_that_shrinks_while_it_is_read():
    rows = []

    class Row:
        def __array__(self, dtype=None, copy=None):
            rows.clear()
            return np.ones(4)

    rows.extend([Row(), Row()])
    bad = _core.Model(2, 0, 1, 1, lambda x: rows, constant(2, [1.0, 1.0]))
    with pytest.raises(IndexError):
        bad.drift(np.ones((2, 4)))


# --- Generator ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ((0, [], [], []), ValueError, "at least 1 state"),
        ((-3, [0], [0], [1.0]), ValueError, "at least 1 state"),
        ((2, [0, 1], [1], [1.0, 1.0]), ValueError, "target must have length 2"),
        ((2, [0], [1, 0], [1.0, 1.0]), ValueError, "source must have length 2"),
        ((2, [0, 1], [1, 2], [1.0, 1.0]), ValueError, None),
        ((2, [0, -1], [1, 0], [1.0, 1.0]), ValueError, None),
        ((2, [0, 2**62], [1, 0], [1.0, 1.0]), ValueError, None),
        ((2, [0, 1], [1, 0], [1.0, -2.0]), ValueError, r"the rate 1 -> 0 is -2\.0"),
        ((2, [0, 1], [1, 0], [np.nan, 1.0]), ValueError, "the rate 0 -> 1 is nan"),
        ((2, [0, 1], [1, 0], [np.inf, 1.0]), ValueError, "the rate 0 -> 1 is inf"),
        ((2, [0.5, 1], [1, 0], [1.0, 1.0]), TypeError, None),
        ((2, "ab", [1, 0], [1.0, 1.0]), (TypeError, ValueError), None),
        ((2**31, [0], [1], [1.0]), OverflowError, None),
        ((2**62, [0], [1], [1.0]), OverflowError, None),
        ((2**80, [0], [1], [1.0]), OverflowError, None),
    ],
)
def test_bad_rates(arguments, error, text):
    n, source, target, rates = arguments
    as_index = [np.asarray(a, dtype=np.int64) if a == [] else np.asarray(a) for a in (source, target)]
    with pytest.raises(error, match=text):
        _core.Generator.from_rates(n, *as_index, np.asarray(rates, dtype=float))


def test_generators_of_other_objects():
    for arguments in ((model(), None), (None, grid()), (grid(), model()), (model(1), grid())):
        with pytest.raises((TypeError, ValueError)):
            _core.Generator.from_model(*arguments, 1, None)
    with pytest.raises(ValueError, match="the model has 1 dimension, but the grid has 2"):
        _core.Generator.from_model(model(1), grid(), 1, None)
    with pytest.raises(ValueError, match="without a grid"):
        chain().face_currents(np.zeros(3))


def test_no_paths_of_many_jumps():
    states, times = _core.jumps(chain(), np.zeros(0, np.int32), 2**53, 1, 1, None)
    assert states.shape == times.shape == (0, 2**53 + 1)


@pytest.mark.parametrize("states", [[-1], [3], [1, 0], [1, 1], [2**31 - 1], [-(2**31)]])
def test_restriction_to_no_states(states):
    with pytest.raises(ValueError, match="states must be increasing numbers of states"):
        chain().restrict(np.array(states, dtype=np.int32))


@pytest.mark.parametrize("states", [np.array([0.5]), ["a"], None, [[0]], [2**40], np.zeros(0, dtype=np.int32)])
def test_restriction_to_strange_states(states):
    with pytest.raises((TypeError, ValueError, OverflowError)):
        chain().restrict(states)


@pytest.mark.parametrize("method", [-1, 4, 17, 2**31 - 1, -(2**31)])
def test_methods_of_no_number(method):
    with pytest.raises(ValueError, match="method"):
        chain(50).steady(1e-10, method, None, False, 1, None)


@pytest.mark.parametrize("rtol", [np.nan, 0.0, -1.0, -np.inf])
def test_tolerances_out_of_range(rtol):
    with pytest.raises(ValueError, match="rtol"):
        chain().steady(rtol, 0, None, False, 1, None)


@pytest.mark.parametrize("rtol", [5e-324, np.inf])
def test_tolerances_that_say_nothing(rtol, capfd):
    """An answer, converged or not; never a hang, and not a word on the terminal."""
    log_p, *_ = chain(50).steady(rtol, 1, None, False, 1, None)
    assert np.isfinite(log_p).all()
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_strange_log_densities(value):
    """Garbage in, garbage out; but no crash and no hang."""
    y = np.array([0.0, value, 0.0])
    whole = _core.Generator.from_model(model(1), grid(3, 1), 1, None)
    for act in (chain().entropy_production, chain().apply, whole.face_currents, whole.entropy_production):
        try:
            act(y)
        except ValueError:
            pass
    for method in range(4):
        try:
            chain().steady(1e-10, method, y, False, 1, None)
        except (ValueError, RuntimeError):
            pass


def test_progress_that_is_no_function():
    with pytest.raises(TypeError, match="not callable"):
        _core.Generator.from_model(model(), grid(), 1, 3)
    with pytest.raises(TypeError, match="not callable"):
        simulation().run(10, 1, 1, "text")


# --- Simulation ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("walls", "error"),
    [
        (3, TypeError),
        ((), TypeError),
        ((np.zeros(2), np.ones(2)), TypeError),
        ((np.zeros(2), np.ones(2), [True, True]), TypeError),
        ((np.zeros(2), np.ones(2), (True,)), ValueError),
        ((np.zeros(3), np.ones(2), (True, True)), ValueError),
        ((np.zeros(2), np.ones(1), (True, True)), ValueError),
        ((np.ones(2), np.zeros(2), (True, True)), ValueError),
        ((np.zeros(2), np.full(2, np.nan), (True, True)), ValueError),
        ((np.full(2, -np.inf), np.ones(2), (True, True)), ValueError),
        ((np.zeros(2), np.full(2, 0.25), (False, False)), ValueError),
    ],
)
def test_bad_walls(walls, error):
    with pytest.raises(error):
        simulation(walls)


@pytest.mark.parametrize("dt", [0.0, -1.0, np.nan, np.inf])
def test_bad_time_steps(dt):
    with pytest.raises(ValueError):
        simulation(dt=dt)
    if dt != np.inf:  # an infinite time between rows gives R = -inf
        with pytest.raises(ValueError):
            _core.windowed(np.ones((6, 2)), dt, 4, 1, 0, 3, None)


@pytest.mark.parametrize("x0", [np.full((1, 2), np.nan), [[0.0, np.inf]], np.zeros((0, 2))])
def test_bad_starts(x0):
    with pytest.raises(ValueError):
        simulation(x0=x0)


def test_simulations_of_other_objects():
    for other in (None, grid(), chain(), _core.Model):
        with pytest.raises(TypeError, match="model must be a Model"):
            _core.Simulation(other, None, 1, 0.1, np.ones((1, 2)))
    for key in ("seed", 1.5):
        with pytest.raises(TypeError):
            _core.Simulation(model(), None, key, 0.1, np.ones((1, 2)))


@pytest.mark.parametrize("n_steps", [2**64 - 1, 2**63, 2**62, 2**40])
@pytest.mark.parametrize("thin", [1, 2**63, 2**64 - 1])
def test_runs_that_do_not_fit(n_steps, thin):
    if n_steps // thin + 1 < 2**35 and n_steps < 2**48:
        return  # fits, and would run for long
    with pytest.raises((OverflowError, MemoryError, ValueError)):
        simulation().run(n_steps, thin, 1, None)


@pytest.mark.parametrize(("thin", "threads"), [(0, 0), (1, 0), (1, -1)])
def test_runs_of_no_threads(thin, threads):
    with pytest.raises(ValueError, match="n_threads must be at least 1"):
        simulation().run(1, thin, threads, None)


def test_a_simulation_is_over_after_a_failure():
    def explode(x):
        return x if x[0, 0] == 0.5 else np.full(x.shape, np.nan)

    run = _core.Simulation(
        _core.Model(2, 0, 1, 1, explode, constant(2, [1.0, 1.0])), None, 1, 0.1, np.full((1, 2), 0.5)
    )
    with pytest.raises(ValueError, match="drift is not finite"):
        run.run(5, 1, 1, None)
    with pytest.raises(RuntimeError, match="failed before"):
        run.run(5, 1, 1, None)


def test_a_simulation_does_not_run_inside_itself():
    seen = []

    def drift(x):
        try:
            run.run(1, 1, 1, None)
        except RuntimeError as error:
            seen.append(str(error))
        return x

    run = _core.Simulation(_core.Model(2, 0, 1, 1, drift, constant(2, [1.0, 1.0])), None, 1, 0.1, np.ones((1, 2)))
    assert run.run(1, 1, 1, None)[1].shape == (1, 2, 2)
    assert seen and set(seen) == {"the simulation is running already"}


def test_an_evolution_does_not_run_inside_itself():
    seen = []

    def progress(done):
        with pytest.raises(RuntimeError, match="the evolution is running already"):
            run.run(2.0, None)
        with pytest.raises(RuntimeError, match="the evolution is running"):
            run.info()
        seen.append(done)

    n = 3000
    line = _core.Generator.from_rates(n, np.arange(n - 1), np.arange(1, n), np.ones(n - 1))
    run = _core.Evolution(line, 0.0, np.full(n, 1 / n), 1e-6, 1e-9)
    assert run.run(1.0, progress).shape == (n,)
    assert seen and run.run(2.0, None).shape == (n,)


@pytest.mark.parametrize("t", [np.nan, np.inf, -np.inf])
def test_an_evolution_to_no_time(t):
    run = _core.Evolution(chain(), 0.0, np.full(3, 1 / 3), 1e-6, 1e-9)
    with pytest.raises(ValueError, match="out of its range"):
        run.run(t, None)
    assert run.run(1.0, None).shape == (3,)


def test_an_exception_of_progress_ends_an_evolution():
    def progress(done):
        raise KeyError("mine")

    run = _core.Evolution(chain(), 0.0, np.full(3, 1 / 3), 1e-6, 1e-9)
    with pytest.raises(KeyError, match="mine"):
        run.run(1.0, progress)


def test_a_damaged_state_of_an_observer_is_not_followed():
    run = _core.Simulation(model(), None, 1, 0.01, np.full((1, 2), 0.5), 0, None, (grid(), 1, 0.01, np.zeros(2), (1, 2)))
    run.run(5, 0, 1, None)
    steps, *parts = run.dump()
    for value in (np.nan, np.inf, -np.inf, 1e300, -7.0, 16.0):
        run.restore(steps, *parts[:-1], np.full_like(parts[-1], value))
        run.run(5, 0, 1, None)
        assert np.isfinite(run.observed()[0]).all()


@pytest.mark.parametrize("d", [[[-1.0]], [[0.0, 1.0], [1.0, 0.0]], -np.eye(2), np.full((3, 3), -1.0), np.full((2, 2), 5e-324), [[np.nan, 1], [1, -np.inf]]])
def test_tensors_that_are_none_are_decomposed_all_the_same(d):
    offsets, weights, added = _core.selling_decompose(np.array(d), (4,) * len(d), 0.0)
    if np.isfinite(d).all():
        sums = np.einsum("k,ki,kj->ij", weights, offsets, offsets)
        np.testing.assert_allclose(sums, d + np.diag(added), rtol=1e-9, atol=1e-9)


# --- estimators, random numbers -----------------------------------------------------------


@pytest.mark.parametrize("rows", [-1, 0, 1, 7, *HUGE])
def test_windows_that_do_not_fit(rows):
    with pytest.raises((ValueError, OverflowError)):
        _core.windowed(np.ones((6, 2)), 0.1, rows, 1, 0, 1, None)


@pytest.mark.parametrize(("stride", "n_windows"), [(0, 1), (-1, 1), (1, -1), (1, 4), (2**62, 3), (1, 2**62), (2**63 - 1, 2)])
def test_strides_that_do_not_fit(stride, n_windows):
    with pytest.raises((ValueError, MemoryError)):
        _core.windowed(np.ones((6, 2)), 0.1, 4, stride, 0, n_windows, None)


@pytest.mark.parametrize(
    "lags",
    [(), (0,), (-1,), (2, 1), (1, 1), (64, 0), tuple(range(1, 8)), (129,), (2**62,), (1, 2**62), (1.5,), [1]],
)
def test_bad_lags(lags):
    with pytest.raises((ValueError, TypeError, OverflowError)):
        bins(np.ones((50, 2)), lags=lags)
    with pytest.raises((ValueError, TypeError, OverflowError)):
        local(np.ones((50, 2)), np.ones((1, 2)), lags=lags)


@pytest.mark.parametrize("dt", [0.0, -1.0, np.nan])
def test_paths_of_no_time_step(dt):
    with pytest.raises(ValueError, match="out of range"):
        bins(np.ones((50, 2)), dt=dt)
    with pytest.raises(ValueError, match="out of range"):
        local(np.ones((50, 2)), np.ones((1, 2)), dt=dt)


@pytest.mark.parametrize(
    ("begin", "end"), [((0,), (51,)), ((-1,), (5,)), ((6,), (5,)), ((0,), HUGE[:1]), ((-HUGE[1],), (HUGE[1],))]
)
def test_segments_that_leave_the_states(begin, end):
    with pytest.raises(ValueError, match="out of range"):
        bins(np.ones((50, 2)), begin=begin, end=end)
    with pytest.raises(ValueError, match="out of range"):
        local(np.ones((50, 2)), np.ones((1, 2)), begin=begin, end=end)


def test_local_estimates_at_no_point_and_at_nan():
    x = np.random.default_rng(1).normal(size=(50, 2))
    for n_rungs in (1, 8):
        assert local(x, np.ones((0, 2)), n_rungs)[0].shape == (0,)
        for point in ([np.nan, np.nan], [0.0, np.nan], [np.inf, 0.0]):
            out = local(x, np.array([point]), n_rungs)
            assert np.isnan(out[0]).all() and out[5] == 0


def test_estimates_of_other_dimensions_and_empty_paths():
    x = np.ones((50, 2))
    with pytest.raises(ValueError):
        bins(np.ones((50, 3)), period=np.zeros(3))
    with pytest.raises(ValueError):
        local(np.ones((50, 3)), np.ones((1, 2)), period=np.zeros(3))
    with pytest.raises(TypeError):
        bins(x, "grid")
    for begin, end in (((), ()), ((5,), (5,)), ((7,), (8,)), ((0, 1), (1, 3))):
        out = bins(x, begin=begin, end=end)
        assert np.isnan(out[0]).all() and out[5].sum() <= 1
        out = local(x, np.ones((1, 2)), 8, begin=begin, end=end)
        assert np.isnan(out[0]).all() and out[5].sum() <= 1


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e308])
def test_estimates_of_strange_numbers(value):
    for x in (np.full((50, 2), value), np.where(np.arange(100).reshape(50, 2) == 7, value, 0.5)):
        for where in (grid(2), grid(2, 2, 1)):
            bins(x, where)
        for period in ((0.0, 0.0), (1.0, 1.0)):
            local(x, np.ones((1, 2)), 8, period=period)


@pytest.mark.parametrize(("dim", "dof"), [(0, 5.0), (-1, 5.0), (3, 2.0), (3, np.nan), (2**62, 1e300)])
def test_laws_of_no_covariance(dim, dof):
    with pytest.raises(ValueError, match="dof must exceed dim - 1"):
        _core.log_det_law(dim, dof)


@pytest.mark.parametrize("function", [_core.random_normals, _core.random_uniforms])
def test_random_numbers_of_strange_shapes(function):
    for n_paths, n_slots in ((-1, 1), (1, -1)):
        with pytest.raises(ValueError, match="must not be negative"):
            function(1, 0, n_paths, 0, n_slots)
    for n_paths, n_slots in ((2**62, 4), (2**40, 2**40)):
        with pytest.raises((ValueError, MemoryError)):
            function(1, 0, n_paths, 0, n_slots)
    assert function(1, 0, 0, 0, 3).shape == (3, 0) and function(1, 0, 2**48, 0, 0).shape == (0, 2**48)
    assert np.isfinite(function(2**64 - 1, 2**64 - 5, 3, 2**64 - 1, 3)).all()


# --- typicality ---------------------------------------------------------------------------


@pytest.mark.parametrize("position", range(1, 5))
def test_typicality_of_arrays_of_different_length(position):
    arguments = [np.arange(3.0), np.arange(3.0), np.ones(3), np.ones(3), np.ones(3), False]
    arguments[position] = np.ones(4)
    name = ("log_p", "rattling", "volume", "weights", "stderr")[position]
    with pytest.raises(ValueError, match=f"{name} must have length 3 along axis 0, but it has 4"):
        _core.typicality(*arguments)


def test_typicality_of_numbers_out_of_range():
    for position, value in ((0, np.inf), (2, 0.0), (2, np.nan), (3, -1.0), (4, -1.0)):
        arguments = [np.arange(3.0), np.array([1.0, 0, 5]), np.ones(3), np.ones(3), np.ones(3), False]
        arguments[position][1] = value
        with pytest.raises(ValueError, match="out of its range"):
            _core.typicality(*arguments)
    with pytest.raises(ValueError):
        _core.typicality(np.array([0.0, 1e200]), np.arange(2.0), None, None, None, False)


# --- nothing leaks ------------------------------------------------------------------------


def test_failures_leak_no_memory():
    """References of every argument, and the number of live objects, come back."""
    good = {name: value[2] for name, value in ARRAYS.items()}
    wrong = np.zeros((2, 2, 2, 2))

    def everything():
        for name, call, _ in ARRAYS.values():
            for bad in (wrong, "text", None):
                try:
                    call(bad)
                except (TypeError, ValueError):
                    pass
        for name, (_, call, _) in ARRAYS.items():
            call(good[name])
        for instance in instances():
            del instance

    everything()
    gc.collect()
    objects, references = len(gc.get_objects()), [sys.getrefcount(a) for a in (*good.values(), wrong)]
    for _ in range(5):
        everything()
    gc.collect()
    assert [sys.getrefcount(a) for a in (*good.values(), wrong)] == references
    assert abs(len(gc.get_objects()) - objects) < 20


def test_reading_arrays_leaks_no_reference_to_their_type():
    whole, values = chain(), np.zeros(3)
    before = sys.getrefcount(np.dtype(float))
    for _ in range(100):
        whole.apply(values)
    assert sys.getrefcount(np.dtype(float)) < before + 20


def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_memory_of_the_core_is_given_back():
    """A leak of one of these objects, about 1 MB each, would show after 100 of them."""
    edges = (np.linspace(0, 1, 30001), np.linspace(0, 1, 30001))
    values, index = np.ones(120000), np.arange(20000)
    start = np.full((60000, 2), 0.5)

    def make():
        _core.Grid(edges, (0, 0), (0, 0))
        constant(1, values)
        _core.Generator.from_rates(20000, index, (index + 1) % 20000, values[:20000]).restrict(index.astype(np.int32))
        _core.Simulation(model(), None, 1, 0.1, start)
        _core.typicality(values, values, None, values, None, False)
        for bad in (
            lambda: _core.Grid((edges[0], edges[0][::-1].copy()), (0, 0), (0, 0)),
            lambda: _core.Expression(1, values, np.zeros((0, 4), np.int32), np.array([-1], np.int32)),
            lambda: _core.Generator.from_rates(20000, index, index[::-1].copy(), -values[:20000]),
            lambda: _core.Simulation(model(), (np.zeros(2), np.full(2, 0.1), (False, False)), 1, 0.1, start),
            lambda: _core.typicality(values, values, None, -values, None, False),
        ):
            with pytest.raises((ValueError, OverflowError)):
                bad()

    for _ in range(10):
        make()
    before = resident()
    for _ in range(100):
        make()
    assert resident() - before < 30e6


def test_objects_are_shared_between_threads():
    from concurrent.futures import ThreadPoolExecutor

    slow = _core.Model(2, 0, 1, 1, lambda x: np.sin(x), constant(2, [1.0, 1.0]))
    x = np.random.default_rng(4).normal(size=(2, 20000))
    y = np.random.default_rng(5).normal(size=300)
    ring, tape = chain(300), program([[0, 0, 1, 0]], [3])
    acts = (
        lambda: slow.drift(x),
        lambda: tape.evaluate(x)[0],
        lambda: ring.apply(y),
        lambda: ring.steady(1e-10, 1, None, False, 1, None)[0],
        lambda: ring.entropy_production(y),
        lambda: _core.typicality(x[0], x[1], None, None, None, True)["residual"],
        lambda: _core.windowed(x[:, :2000].T, 0.1, 8, 3, 0, 100, None),
    )
    expected = [act() for act in acts]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(5):
            for got, value in zip(pool.map(lambda act: act(), acts * 2), expected * 2, strict=True):
                np.testing.assert_array_equal(got, value)
