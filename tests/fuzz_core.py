"""Random calls of the compiled module, for as long as you like:

    python tests/fuzz_core.py --calls 1000000 --seed 1

Every function and every method gets arguments that fit, then some of them are spoiled: other
types, shapes, strides and byte orders, read-only and overlapping memory, nan, infinities,
denormals, huge sizes. A call must give a result or one of the EXPECTED exceptions, write into
none of its arguments, and give up within ANSWER seconds of an alarm. Crashes are for the
sanitizers to find (`make fuzz`).

Calls come in chunks of CHUNK, each a function of (seed, chunk) alone: what fails is printed with
the --seed and --first that repeat it.
"""

import argparse
import ctypes
import faulthandler
import random
import resource
import signal
import sys
import time
import traceback
import warnings
from collections import Counter

import numpy as np

from rattling import _core

CHUNK = 1000
PATIENCE, ANSWER = 0.1, 30.0  # seconds of work until the alarm, and from it to the end; sanitizers are slow


class Mine(Exception):
    """What our own functions raise."""


class Slow(Exception):
    """What the alarm raises."""


EXPECTED = (TypeError, ValueError, MemoryError, OverflowError, RuntimeError, IndexError, Mine, Slow)

REALS = [0.0, -0.0, 1.0, -1.0, 0.5, 1e-3, 5e-324, -5e-324, 2.2e-308, 1e-300, 1e300, -1e308, 1.8e308, np.inf, -np.inf, np.nan]  # fmt: skip
COUNTS = [-1, 0, 1, 2, 3, 7, 64, 129, 1000, 2**16, 2**31 - 1, 2**31, 2**32, 2**48, 2**53 + 1, 2**62, 2**63 - 1, 2**63, 2**64 - 1, 2**64, -(2**31), -(2**63), -(2**64)]  # fmt: skip
DTYPES = ["f2", "f4", "g", "i1", "i2", "i4", "i8", "u1", "u8", "?", "c16", "O", "U3", "S2", "M8[s]", "m8[s]", "V8", [("a", "f8")]]  # fmt: skip


class Quacks:
    def __init__(self, result):
        self.result = result

    def __array__(self, dtype=None, copy=None):
        if self.result is Mine:
            raise Mine
        return self.result

    def __index__(self):
        raise Mine


class Mean(np.ndarray):
    """A subclass whose methods do not help."""

    def __array_finalize__(self, other):
        pass

    def astype(self, *arguments, **options):
        raise Mine


@ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_double), ctypes.POINTER(ctypes.c_double), ctypes.c_ssize_t, ctypes.c_void_p)  # fmt: skip
def c_swirl(x, out, n, data):
    for i in range(n):  # n or more, of whatever dimension: it also gets models of one dimension
        out[i] = -x[i]
    return 0


def capsule(name):
    new = ctypes.pythonapi.PyCapsule_New
    new.restype, new.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
    return new(ctypes.cast(c_swirl, ctypes.c_void_p), name, None)


NAMES = [b"int (double *, double *, intptr_t, void *)", b"int (double *)", b"", None, b"x" * 300]
CAPSULES = [capsule(name) for name in NAMES]  # the first is for two dimensions


class Fuzzer:
    def __init__(self, seed, chunk):
        self.random = random.Random(f"{seed}/{chunk}")
        self.numpy = np.random.default_rng(self.random.randrange(2**64))
        self.pool = {}
        self.operations = list(_core.operations().values())
        self.prepared = []
        self.depth = 0  # calls within calls
        self.calls = {name: getattr(self, name) for name in dir(self) if name.startswith("call_")}
        known = {name.removeprefix("call_") for name in self.calls}
        self.calls |= {f"call_{name}": self.unknown(name) for name in entries() - known}

    # --- what arguments are made of -----------------------------------------------------

    def chance(self, p):
        return self.random.random() < p

    def pick(self, *choices):
        return self.random.choice(choices)

    def real(self, low=0.0, high=1.0):
        return self.random.uniform(low, high) if self.chance(0.95) else self.random.choice(REALS)

    def numbers(self, *shape, low=-1.0, high=1.0):
        return self.layout(self.numpy.uniform(low, high, shape))

    def layout(self, a):
        """The same numbers, elsewhere in memory."""
        how = self.random.randrange(24)
        if a.size == 0 or how > 9:
            return a
        if how == 0:
            return np.repeat(a, 3, axis=-1)[..., ::3]
        if how == 1:
            return a[..., ::-1].copy()[..., ::-1]
        if how == 2:
            raw = np.zeros(a.nbytes + 1, dtype=np.uint8)
            view = raw[1:].view(a.dtype).reshape(a.shape)
            view[...] = a
            return view
        if how == 3:
            a.flags.writeable = False
            return a
        if how == 4:
            return a.astype(a.dtype.newbyteorder("S"))
        if how == 5:
            return a.tolist()
        if how == 6:
            return Quacks(a)
        if how == 7:
            return np.asfortranarray(a)
        if how == 8:
            return a.view(Mean)
        return memoryview(a)

    def spoil(self, value):
        """The same argument with something wrong in it, or something else altogether."""
        if isinstance(value, tuple) and value and self.chance(0.8):
            k = self.random.randrange(len(value))
            return value[:k] + (self.spoil(value[k]),) + value[k + 1 :]
        if isinstance(value, int | float) and self.chance(0.8):
            return self.random.choice(COUNTS if isinstance(value, int) else REALS)
        if isinstance(value, np.ndarray) and value.size < 10_000 and self.chance(0.9):
            try:
                return self.spoil_array(value)
            except EXPECTED:  # what is spoiled already
                return value
        return self.junk()

    def spoil_array(self, a):
        how = self.random.randrange(8)
        if a.ndim == 0:
            return self.pick(a[None], a[None, None])
        if how < 3 and a.size:
            a = np.array(a)
            for _ in range(self.pick(1, 1, 2, a.size)):
                a.flat[self.random.randrange(a.size)] = self.special(a.dtype)
            return self.layout(a)
        if how == 3:
            return self.pick(a[..., None], a[None], a.ravel(), np.zeros((), a.dtype), a[..., :0], a[:0], a[..., 1:], a.T)
        if how == 4:
            return np.concatenate([a, a], axis=self.random.randrange(a.ndim)) if a.ndim else a
        if how == 5:
            dtype = np.dtype(self.random.choice(DTYPES))
            try:
                return np.asarray(a).astype(dtype)
            except (TypeError, ValueError):
                return np.zeros(a.shape, dtype)
        if how == 6:
            return np.broadcast_to(a.flat[0] if a.size else a.dtype.type(1), self.pick(a.shape, (2**40,), (2**40, 2**20)[: a.ndim], (2**16,)))
        step = a.strides[-1:] if a.ndim else ()
        return np.lib.stride_tricks.as_strided(a, a.shape, a.strides[:-1] + tuple(s * 0 for s in step))

    def special(self, dtype):
        if dtype.kind in "iu":
            return self.pick(0, 1, np.iinfo(dtype).max, np.iinfo(dtype).min, np.iinfo(dtype).max // 2)
        with np.errstate(all="ignore"):
            return np.float64(self.random.choice(REALS)).astype(dtype)

    def junk(self):
        how = self.random.randrange(14)
        if how < 3:
            return self.random.choice(COUNTS)
        if how < 5:
            return self.random.choice(REALS)
        if how < 8 and self.pool:
            return self.random.choice(self.random.choice(list(self.pool.values())))
        if how == 8:
            return Quacks(self.pick(Mine, None, np.ones(3), np.ones((2, 2)), 3))
        if how == 9:
            return np.zeros(self.pick((), (0,), (3,), (2, 3), (2, 2, 2)), np.dtype(self.random.choice(DTYPES)))
        return self.pick(None, "text", b"bytes", 1j, [], (), [[1.0, 2.0], [3.0]], {"a": 1}, object(), True, len, self.function(2))

    # --- objects ------------------------------------------------------------------------

    def some(self, kind, **wanted):
        """An object from the pool with these attributes, or a new one."""
        good = [o for o in self.pool.get(kind, []) if all(getattr(o, k) == v for k, v in wanted.items())]
        if good and self.chance(0.9):
            return self.random.choice(good)
        return self.keep(kind, getattr(self, f"make_{kind}")(**wanted))

    def keep(self, kind, made):
        kept = self.pool.setdefault(kind, [])
        if len(kept) < 8:
            kept.append(made)
        else:
            kept[self.random.randrange(8)] = made
        return made

    def make_Grid(self, dim=None):
        dim = dim or self.pick(1, 1, 2, 2, 3)
        edges = tuple(np.cumsum([self.random.uniform(0.5, 1) for _ in range(self.random.randrange(3, 7))]) for _ in range(dim))
        sides = tuple(self.pick(0, 0, 1, 2) for _ in range(dim))
        upper = tuple(s if s == 1 else self.pick(0, 2) for s in sides)
        return _core.Grid(edges, sides, upper)

    def make_tape(self, n_inputs=None, n_outputs=None):
        n_inputs, n_outputs = n_inputs or self.pick(1, 2, 3), n_outputs or self.pick(1, 2, 3, 9)
        return _core.Expression(*self.tape(n_inputs, n_outputs))

    def tape(self, n_inputs, n_outputs):
        constants = self.numbers(self.pick(1, 2, 5))
        first = n_inputs + np.asarray(memoryview_free(constants)).size
        length = 150 if self.chance(0.05) else self.pick(0, 1, 3, 8)
        rows = np.zeros((length, 4), np.int32)
        for k in range(length):
            code, arity = self.random.choice(self.operations)
            rows[k, 0] = code
            rows[k, 1 : 1 + arity] = [self.random.randrange(first + k) for _ in range(arity)]
        outputs = np.array([self.random.randrange(first + length) for _ in range(n_outputs)], np.int32)
        return n_inputs, constants, rows, outputs

    def constant(self, dim, n_outputs):
        """A tape of positive constants."""
        values = np.array([self.random.uniform(0.1, 1) for _ in range(n_outputs)])
        return _core.Expression(dim, values, np.zeros((0, 4), np.int32), (dim + np.arange(n_outputs)).astype(np.int32))

    def function(self, rows):
        """A Python function of points: right, or not quite."""
        how = self.random.randrange(30)

        def function(x):
            out = np.broadcast_to(np.cos(x[:1]) * 0.5 + 1, (rows, x.shape[1])) if rows > 1 else np.cos(x[0]) + 1.5
            if how == 0:
                raise Mine
            if how == 1:
                return out[..., :-1]
            if how == 2:
                return self.spoil_array(np.array(out))
            if how == 3:
                return self.junk()
            if how == 4:
                return list(out)
            if how == 5:
                x[...] = np.nan
            if how == 6:
                return x
            return out

        return function

    def make_Model(self, dim=None):
        return _core.Model(*self.model(dim or self.pick(1, 2, 2, 3)))

    def model(self, dim):
        kind = self.random.randrange(6)
        noise = self.pick(1, 2, 3)
        rows = (1, dim, dim * dim, 1, dim, dim * noise)[kind]
        drift = self.pick(self.function(dim), self.constant(dim, dim), self.constant(dim, dim), _core.Expression(*self.tape(dim, dim)))
        if dim == 2 and self.chance(0.1):
            drift = CAPSULES[0]
        diffusion = self.pick(self.constant(dim, rows), self.constant(dim, rows), _core.Expression(*self.tape(dim, rows)))
        if kind not in (2, 5) and self.chance(0.3):
            diffusion = self.function(rows)
        if kind == 2 and self.chance(0.7):  # a tensor that is one
            values = np.eye(dim) + np.full((dim, dim), self.random.uniform(0, 0.3))
            diffusion = _core.Expression(dim, values.ravel(), np.zeros((0, 4), np.int32), (dim + np.arange(rows)).astype(np.int32))
        divergence = () if self.chance(0.8) else (self.constant(dim, dim),)
        return (dim, self.random.randrange(3), kind, noise, drift, diffusion, *divergence)

    def make_Generator(self, n=None):
        if n is None and self.chance(0.4):
            grid = self.some("Grid")
            try:
                return _core.Generator.from_model(self.some("Model", dim=grid.points().shape[1]), grid, 1, None)
            except EXPECTED:
                pass
        return _core.Generator.from_rates(*self.rates(n or self.pick(1, 2, 3, 8, 30)))

    def rates(self, n):
        ring = np.arange(n)
        more = [self.random.randrange(n) for _ in range(n)]
        source = np.concatenate([ring, [self.random.randrange(n) for _ in range(n)]]).astype(np.int64)
        target = np.concatenate([(ring + 1) % n, more]).astype(np.int64)
        values = np.array([self.random.uniform(0, 1) if self.chance(0.9) else self.pick(0.0, 1e-200, 1e200) for _ in source])
        killing = () if self.chance(0.8) else (np.abs(np.array([self.random.uniform(0, 1) for _ in ring])),)
        return n, source, target, values, *killing

    def make_Evolution(self):
        chain = self.some("Generator")
        return _core.Evolution(chain, 0.0, np.full(chain.n, 1 / chain.n), 1e-4, 1e-6)

    def make_Resolvent(self):
        return _core.Resolvent(self.some("Generator"), 0.1, None)

    def make_Simulation(self):
        return _core.Simulation(*self.simulation(self.pick(1, 2, 3)))

    def simulation(self, dim):
        model = self.some("Model", dim=dim)
        walls = None
        if self.chance(0.5):
            walls = (np.full(dim, -1.0), np.full(dim, 1.0 + 0.1 * self.random.random()), tuple(self.chance(0.5) for _ in range(dim)))
            if self.chance(0.5):
                walls += (tuple(self.chance(0.3) for _ in range(2 * dim)),)
        observe = None
        if self.chance(0.4):
            lags = self.pick((), (1,), (1, 2), (1, 3, 4))
            observe = (self.some("Grid") if self.chance(0.1) else self.make_Grid(dim), self.pick(1, 2), 0.1, np.zeros(dim), lags)
        second = None if self.chance(0.8) else self.make_tape(dim, self.pick(dim, dim**3, 1))
        x0 = self.numbers(self.pick(1, 2, 5, 40), dim)
        return model, walls, self.random.randrange(2**64), 10.0 ** self.random.uniform(-4, 0), x0, self.random.randrange(6), second, observe

    def progress(self):
        def fail(done):
            raise Mine

        return self.pick(None, None, None, None, len, fail, lambda done: None, lambda done: self.one_call(None))

    def threads(self):
        return self.pick(1, 1, 1, 1, 2, 4)

    # --- one method a function: what is called, and arguments that fit --------------------

    def unknown(self, name):
        """Of what this file does not know yet."""
        kind, _, method = name.rpartition("_")
        owner = self.some(kind) if kind in dir(_core) else _core
        return lambda: (getattr(owner, method if kind in dir(_core) else name), tuple(self.junk() for _ in range(self.random.randrange(5))))

    def call_Grid(self):
        dim = self.pick(1, 2, 3)
        edges = tuple(np.cumsum([self.random.uniform(0.1, 1) for _ in range(self.random.randrange(2, 7))]) for _ in range(dim))
        return _core.Grid, (edges, tuple(self.pick(0, 2) for _ in range(dim)), tuple(self.pick(0, 2) for _ in range(dim)))

    def call_Grid_points(self):
        return self.some("Grid").points, ()

    def call_Grid_volumes(self):
        return self.some("Grid").volumes, ()

    def call_Expression(self):
        return _core.Expression, self.tape(self.pick(1, 2, 3), self.pick(1, 2, 5))

    def call_Expression_evaluate(self):
        tape = self.some("tape")
        return tape.evaluate, (self.numbers(tape.n_inputs, self.pick(0, 1, 3, 300), low=-3, high=3),)

    def call_Model(self):
        arguments = self.model(self.pick(1, 2, 3))
        if self.chance(0.05):
            arguments = arguments[:4] + (self.random.choice(CAPSULES),) + arguments[5:]
        return _core.Model, arguments

    def evaluation(self, name):
        model = self.some("Model")
        return getattr(model, name), (self.numbers(model.dim, self.pick(0, 1, 3, 40)),)

    def call_Model_drift(self):
        return self.evaluation("drift")

    def call_Model_diagonal(self):
        return self.evaluation("diagonal")

    def call_Model_diffusion(self):
        return self.evaluation("diffusion")

    def call_Model_rattling(self):
        return self.evaluation("rattling")

    def call_Generator_from_model(self):
        model = self.some("Model")
        grid = self.make_Grid(model.dim) if model.dim <= 3 else self.some("Grid")
        return _core.Generator.from_model, (model, grid, self.threads(), self.progress())

    def call_Generator_from_rates(self):
        return _core.Generator.from_rates, self.rates(self.pick(1, 2, 3, 8, 30))

    def of_states(self, name, **range_):
        chain = self.some("Generator")
        return getattr(chain, name), (self.numbers(chain.n, **range_),)

    def call_Generator_apply(self):
        return self.of_states("apply")

    def call_Generator_entropy_production(self):
        return self.of_states("entropy_production", low=-5)

    def call_Generator_face_currents(self):
        return self.of_states("face_currents", low=-5)

    def call_Generator_rows(self):
        return self.some("Generator").rows, ()

    def call_Generator_exit_rates(self):
        return self.some("Generator").exit_rates, ()

    def call_Generator_killing(self):
        return self.some("Generator").killing, ()

    def call_Generator_recurrent_classes(self):
        return self.some("Generator").recurrent_classes, ()

    def call_Generator_restrict(self):
        chain = self.some("Generator")
        return chain.restrict, (np.array(sorted({self.random.randrange(chain.n) for _ in range(chain.n)}), np.int32),)

    def call_Generator_steady(self):
        chain = self.some("Generator")
        initial = None if self.chance(0.7) else self.numbers(chain.n, low=-5)
        return chain.steady, (10.0 ** self.random.uniform(-12, -1), self.random.randrange(4), initial, self.chance(0.5), self.threads(), self.progress())

    def call_Evolution(self):
        chain = self.some("Generator")
        guess = None if self.chance(0.5) else self.numbers(chain.n, low=-5)
        return _core.Evolution, (chain, 0.0, self.numbers(chain.n, low=0), 1e-4, 1e-6, guess)

    def call_Evolution_run(self):
        return self.some("Evolution").run, (10.0 ** self.random.uniform(-3, 3), self.progress())

    def call_Evolution_info(self):
        return self.some("Evolution").info, ()

    def call_Resolvent(self):
        chain = self.some("Generator")
        return _core.Resolvent, (chain, 10.0 ** self.random.uniform(-3, 3), None if self.chance(0.5) else self.numbers(chain.n))

    def call_Resolvent_solve(self):
        resolvent = self.some("Resolvent")
        return resolvent.solve, (self.numbers(self.pick(1, 2, 3, 8, 30)), 10.0 ** self.random.uniform(-12, -1))

    def call_Simulation(self):
        return _core.Simulation, self.simulation(self.pick(1, 2, 3))

    def call_Simulation_run(self):
        return self.some("Simulation").run, (self.pick(0, 1, 5, 30), self.pick(0, 1, 2, 7), self.threads(), self.progress())

    def call_Simulation_state(self):
        return self.some("Simulation").state, ()

    def call_Simulation_n_steps(self):
        return self.some("Simulation").n_steps, ()

    def call_Simulation_exit_times(self):
        return self.some("Simulation").exit_times, ()

    def call_Simulation_observed(self):
        return self.some("Simulation").observed, ()

    def call_Simulation_dump(self):
        return self.some("Simulation").dump, ()

    def call_Simulation_restore(self):
        simulation = self.some("Simulation")
        try:
            state = simulation.dump()
        except RuntimeError:
            state = (0,) * 7
        return simulation.restore, state

    def call_random_normals(self):
        return _core.random_normals, (self.random.randrange(2**64), self.random.randrange(2**32), self.pick(0, 1, 5, 70), self.random.randrange(2**48), self.pick(0, 1, 3))

    def call_random_uniforms(self):
        return _core.random_uniforms, self.call_random_normals()[1]

    def call_selling_decompose(self):
        dim = self.pick(1, 2, 3, 4)
        root = np.array([self.random.uniform(-1, 1) for _ in range(dim * dim)]).reshape(dim, dim)
        return _core.selling_decompose, (self.layout(root @ root.T), tuple(self.pick(1, 4, 64) for _ in range(dim)), self.pick(0.0, 1e-3))

    def call_windowed(self):
        n, dim, rows = self.pick(6, 20, 60), self.pick(1, 2, 3), self.pick(3, 4, 6)
        return _core.windowed, (self.numbers(n, dim), 0.1, rows, self.pick(1, 3), self.pick(0, 1), (n - rows) // 3, self.progress(), self.threads())

    def call_log_det_law(self):
        dim = self.pick(1, 2, 3, 9)
        return _core.log_det_law, (dim, dim + self.random.uniform(0, 20))

    def paths(self, dim):
        n = self.pick(5, 20, 60)
        middle = self.random.randrange(n)
        begin, end = np.array([0, middle], np.intp), np.array([middle, n], np.intp)
        time = None if self.chance(0.7) else np.cumsum(np.abs(np.array([self.random.random() for _ in range(n)])))
        period = np.array([self.pick(0.0, 0.0, 2.0) for _ in range(dim)])
        lags = self.pick((1,), (1, 2), (1, 2, 4))
        minus = tuple(self.pick(2**64 - 1, k - 1) if k > 0 else 2**64 - 1 for k in range(len(lags)))
        noise = () if self.chance(0.5) else (self.pick(None, self.numbers(dim + 1, dim)),)
        return self.numbers(n, dim), begin, end, time, 0.1, period, lags, tuple(range(len(lags))), minus, *noise

    def call_bin_sums(self):
        dim = self.pick(1, 2, 3)
        grid = self.make_Grid(dim) if self.chance(0.9) else self.some("Grid")
        return _core.bin_sums, (self.paths(dim), grid, self.chance(0.5), self.threads(), self.progress())

    def call_bins(self):
        _, (paths, grid, scaled, _, _) = self.call_bin_sums()
        try:
            sums = _core.bin_sums(paths, grid, scaled, 1, None)
        except EXPECTED:
            sums = np.zeros((4, 4))
        return _core.bins, (paths, grid, scaled, self.layout(sums))

    def call_bin_counts(self):
        grid = self.some("Grid")
        return _core.bin_counts, (grid, self.numbers(self.pick(0, 1, 30), grid.points().shape[1], high=4))

    def where(self, dim):
        n = self.pick(0, 1, 4)
        return self.numbers(n, dim), np.full(dim, self.random.uniform(0.1, 2)), np.full(dim, -1.0), np.full(n, self.pick(-1.0, 0.0, 1.0))

    def call_local(self):
        dim = self.pick(1, 2, 3)
        points, width, low, rung = self.where(dim)
        return _core.local, (self.paths(dim), points, width, low, self.pick(1, 3), self.pick(0, 1, 2), self.chance(0.5), rung, self.threads(), self.progress())

    def call_basis(self):
        dim = self.pick(1, 2, 3)
        points, width, low, _ = self.where(dim)
        return _core.basis, (self.paths(dim), points, width, low, self.pick(0, 1, 2), self.chance(0.5), self.progress())

    def call_jumps(self):
        chain = self.some("Generator")
        starts = np.array([self.random.randrange(chain.n) for _ in range(self.pick(0, 1, 5))], np.int32)
        return _core.jumps, (chain, starts, self.pick(0, 1, 20), self.random.randrange(2**64), self.threads(), self.progress())

    def call_typicality(self):
        n = self.pick(0, 1, 2, 5, 40)
        more = [None if self.chance(0.5) else self.numbers(n, low=0.1) for _ in range(3)]
        return _core.typicality, (self.numbers(n, low=-20), self.numbers(n), *more, self.chance(0.5))

    def call_decomposition(self):
        n = self.pick(0, 1, 2, 5, 40)
        more = [None if self.chance(0.5) else self.numbers(n, low=0.1) for _ in range(2)]
        return _core.decomposition, (self.numbers(n, low=-20), self.numbers(n), *more)

    def call_response_rates(self):
        chain = self.some("Generator")
        return _core.response_rates, (chain, self.numbers(chain.n), self.numbers(chain.n))

    def call_response_fields(self):
        model = self.some("Model")
        grid = self.make_Grid(model.dim) if model.dim <= 3 else self.some("Grid")
        n = len(grid.volumes())
        return _core.response_fields, (model, grid, self.numbers(n, low=0), self.numbers(n))

    def call_path_bounds(self):
        chain = self.some("Generator")
        return _core.path_bounds, (chain, self.random.randrange(chain.n), self.random.randrange(chain.n))

    def call_certificate(self):
        return _core.certificate, (self.some("Generator"),)

    def call_closure(self):
        n = self.pick(1, 2, 5, 40)
        return _core.closure, (self.numbers(n), self.numbers(n), self.numbers(n, low=0.1), self.real(), self.real(0, 5), self.real())

    def call_operations(self):
        return _core.operations, ()

    def call_cores(self):
        return _core.cores, ()

    # --- a call ---------------------------------------------------------------------------

    def prepare(self):
        """(name, function, arguments): each that fits, and three times with something spoiled."""
        if not self.prepared:
            name = self.random.choice(list(self.calls))
            try:
                function, arguments = self.calls[name]()
            except EXPECTED:  # of a model or chain that cannot be made: others can
                return self.prepare()
            self.prepared = [(name, function, arguments)] * 4
            return self.prepared.pop()
        name, function, arguments = self.prepared.pop()
        for _ in range(self.pick(0, 1, 1, 1, 2, 3)):
            if arguments:
                k = self.random.randrange(len(arguments))
                arguments = arguments[:k] + (self.spoil(arguments[k]),) + arguments[k + 1 :]
        if self.chance(0.02):
            arguments = self.pick(arguments[:-1], (*arguments, self.junk()))
        return name, function, arguments

    def one_call(self, report):
        """Returns the name of the function and "" or the name of the exception."""
        name, function, arguments = self.prepare()
        if report:
            report(name, arguments)
        before = snapshot(arguments)
        started = time.process_time()
        outcome = ""
        try:
            try:
                self.depth += 1
                if self.depth == 1:  # what callbacks call must not postpone the alarm
                    signal.setitimer(signal.ITIMER_REAL, PATIENCE, PATIENCE)  # ctypes swallows one
                result = function(*arguments)
            finally:
                self.depth -= 1
                if self.depth == 0:
                    signal.setitimer(signal.ITIMER_REAL, 0)
            kind = type(result).__name__
            if type(result).__module__ == "rattling._core":
                self.keep({"Expression": "tape"}.get(kind, kind), result)
        except EXPECTED as error:
            if self.depth and isinstance(error, Slow):
                raise
            outcome = type(error).__name__
        took = time.process_time() - started  # others may stop us
        if took > PATIENCE + ANSWER:
            raise AssertionError(f"{name} took {took:.1f} s and did not answer the alarm")
        if any(a.tobytes() != was for a, was in before):
            raise AssertionError(f"{name} wrote into an argument")
        return name, outcome


def memoryview_free(values):
    return values.result if isinstance(values, Quacks) else values


def snapshot(arguments):
    found, todo = [], list(arguments)
    while todo:
        value = todo.pop()
        if isinstance(value, tuple):
            todo.extend(value)
        elif isinstance(value, np.ndarray) and value.size < 10_000 and not value.dtype.hasobject:
            found.append((value, value.tobytes()))
    return found


def entries():
    """Every function of the module and every method of its types."""
    found = set()
    for name, value in vars(_core).items():
        if isinstance(value, type) and value.__module__ == "rattling._core":
            found |= {f"{name}_{m}" for m in dir(value) if not m.startswith("_") and callable(getattr(value, m))}
            if name != "Generator":
                found.add(name)
        elif callable(value) and not isinstance(value, type):
            found.add(name)
    return found


def run(seed, first, n_calls, verbose=False):
    """Counts of (function, outcome)."""
    counts = Counter()

    def alarm(*_):
        raise Slow

    def report(name, arguments):
        with np.printoptions(threshold=60):
            print(name, *(repr(a)[:600] for a in arguments), flush=True)

    signal.signal(signal.SIGALRM, alarm)
    for chunk in range(first, first - (-n_calls // CHUNK)):
        faulthandler.dump_traceback_later(300, exit=True)
        fuzzer = Fuzzer(seed, chunk)
        print(f"\rchunk {chunk}", end="", file=sys.stderr, flush=True)
        for _ in range(min(CHUNK, n_calls - (chunk - first) * CHUNK)):
            try:
                counts[fuzzer.one_call(report if verbose else None)] += 1
            except Slow:  # the alarm came a moment too late
                pass
            except Exception:
                print(f"\nseed {seed}, chunk {chunk}:", file=sys.stderr)
                traceback.print_exc()
                sys.exit(f"to repeat it: --seed {seed} --first {chunk} --calls {CHUNK} --verbose")
    faulthandler.cancel_dump_traceback_later()
    print(file=sys.stderr)
    return counts


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--calls", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, help="chunk to begin with")
    parser.add_argument("--memory", type=float, help="GB; not under ASan, which has an option for that")
    parser.add_argument("--verbose", action="store_true", help="print each call before it is made")
    options = parser.parse_args()
    faulthandler.enable()
    warnings.simplefilter("ignore")
    np.seterr(all="ignore")
    if options.memory:
        resource.setrlimit(resource.RLIMIT_AS, (int(options.memory * 2**30),) * 2)
    started = time.monotonic()
    counts = run(options.seed, options.first, options.calls, options.verbose)
    good, total = Counter(), Counter()
    for (name, outcome), n in counts.items():
        total[name] += n
        good[name] += n if not outcome else 0
    print(*(f"{name.removeprefix('call_'):30} {n:>7} calls, {good[name]:>7} with a result" for name, n in sorted(total.items())), sep="\n")
    outcomes = Counter()
    for (_, outcome), n in counts.items():
        outcomes[outcome or "result"] += n
    print(f"{sum(total.values())} calls of {len(total)} functions in {time.monotonic() - started:.0f} s:", dict(outcomes.most_common()))


if __name__ == "__main__":
    main()
