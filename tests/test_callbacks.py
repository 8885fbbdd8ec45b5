"""Functions of the user: what they get, what they may return, how they fail; C functions."""

import contextlib
import ctypes
import gc
import os
import pickle
import shlex
import shutil
import subprocess
import sys
import traceback
import weakref

import numpy as np
import pytest
from scipy import LowLevelCallable

from rattling import Model, _core, exact_rattling

BLOCK = ctypes.CFUNCTYPE(
    ctypes.c_int,
    ctypes.POINTER(ctypes.c_double),
    ctypes.POINTER(ctypes.c_double),
    ctypes.c_ssize_t,
    ctypes.c_void_p,
)


def points(n=50, dim=2):
    return np.random.default_rng(0).normal(size=(dim, n))


def square():
    return _core.Grid((np.linspace(-2, 2, 21),) * 2, (0, 0), (0, 0))


def swirl(p):
    return np.array([p[1], -p[0]])


# --- Python functions ----------------------------------------------------------------------


def test_functions_get_arrays_of_their_own():
    seen = []

    def drift(p):
        assert type(p) is np.ndarray and p.dtype == float and p.flags.c_contiguous and p.flags.writeable
        seen.append(p)
        return swirl(p)

    p = points()
    model = Model(drift, 1)
    np.testing.assert_array_equal(model.drift(p), swirl(p))
    seen[0][:] = 7  # ours to write
    np.testing.assert_array_equal(model.drift(p), swirl(p))


def test_parameters_are_keyword_arguments():
    def drift(p, *, omega, kappa=1):
        return [omega * p[1], -kappa * p[0]]

    def diffusion(p, **others):
        assert others == {"omega": 3.0, "kappa": 2}
        return 1 + p[0] ** 2

    p = points()
    model = Model(drift, diffusion, parameters={"omega": 3.0, "kappa": 2})
    np.testing.assert_array_equal(model.drift(p), [3 * p[1], -2 * p[0]])
    np.testing.assert_array_equal(model.diffusion(p)[0, 0], 1 + p[0] ** 2)


@pytest.mark.parametrize(
    "returned",
    [
        lambda p: swirl(p).tolist(),
        lambda p: tuple(swirl(p)),
        lambda p: np.asfortranarray(swirl(p)),
        lambda p: swirl(p)[::-1][::-1],
        lambda p: swirl(p).astype(">f8"),
        lambda p: swirl(p).astype(np.longdouble),
        lambda p: [p[1], (-p[0]).tolist()],
    ],
)
def test_anything_array_like_may_be_returned(returned):
    p = points()
    np.testing.assert_array_equal(Model(returned, 1).drift(p), swirl(p))


@pytest.mark.parametrize(
    ("returned", "error", "message"),
    [
        (
            lambda p: p[0],
            ValueError,
            r"^drift must return an array of shape \(2, 50\), but returned \(50,\)$",
        ),
        (lambda p: p.T, ValueError, r"shape \(2, 50\), but returned \(50, 2\)"),
        (lambda p: p[:, :3], ValueError, r"but returned \(2, 3\)"),
        (lambda p: p[None], ValueError, r"but returned \(1, 2, 50\)"),
        (lambda p: [p[0]], ValueError, r"but returned a list of length 1"),
        (lambda p: (1, 2, 3), ValueError, r"but returned a tuple of length 3"),
        (lambda p: [p[0], p], ValueError, r"but returned \(2, 50\) in one of its rows"),
        (lambda p: [p[0], p[1][:7]], ValueError, r"but returned \(7,\) in one of its rows"),
        (lambda p: 1.0, ValueError, r"but returned \(\)"),
        (lambda p: None, TypeError, "what drift returned must be an array of real numbers, not of object"),
        (
            lambda p: p + 1j,
            TypeError,
            "what drift returned must be an array of real numbers, not of complex128",
        ),
        (lambda p: "abc", TypeError, "what drift returned must be an array of real numbers"),
        (lambda p: [p[0], [[1], [2, 3]]], TypeError, "what drift returned must be an array of real numbers"),
        (lambda p: {}, TypeError, "what drift returned must be an array of real numbers"),
    ],
)
def test_what_may_not_be_returned(returned, error, message):
    with pytest.raises(error, match=message):
        Model(returned, 1).drift(points())


@pytest.mark.parametrize(
    ("argument", "returned", "message"),
    [
        (
            "diffusion",
            lambda p: p.T,
            r"diffusion must return an array of shape \(3,\), \(2, 3\) or \(2, 2, 3\)",
        ),
        ("diffusion", lambda p: np.eye(2), r"for x of shape \(2, 3\), but returned \(2, 2\)"),
        ("diffusion", lambda p: np.ones((2, 4, p.shape[1])), r"but returned \(2, 4, 3\)"),
        ("diffusion", lambda p: np.ones(2), r"but returned \(2,\)"),
        ("diffusion", lambda p: [[1, 2, 3], [4, 5, 6]], r"diffusion must return an array of shape"),
        ("noise", lambda p: np.ones((3, 2, p.shape[1])), r"noise must return .* or \(2, m, 3\)"),
        ("diffusion", lambda p: None, "what diffusion returned must be an array"),
    ],
)
def test_diffusion_of_no_known_shape(argument, returned, message):
    with pytest.raises((ValueError, TypeError), match=message):
        Model(swirl, **{argument: returned}).diffusion(points())


def test_diffusion_that_changes_its_shape():
    def diffusion(p):
        return np.ones(p.shape[1]) if p.shape[1] == 3 else np.ones((2, p.shape[1]))

    with pytest.raises(
        ValueError, match=r"diffusion must return an array of shape \(50,\), but returned \(2, 50\)"
    ):
        Model(swirl, diffusion).diffusion(points())


class Surprise(Exception):
    pass


@pytest.mark.parametrize("error", [Surprise("boo"), KeyboardInterrupt(), SystemExit(3), MemoryError("mine")])
def test_exceptions_pass_unchanged(error):
    def drift(p):
        raise error

    def call():
        Model(drift, 1).drift(points())

    with pytest.raises(type(error)) as caught:
        call()
    assert caught.value is error and caught.value.__cause__ is None and caught.value.__context__ is None
    assert [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)][-1] == "drift"


def test_exceptions_of_the_second_block():
    calls = []

    def drift(p):
        calls.append(p.shape[1])
        if len(calls) == 2:
            raise Surprise("second")
        return -p

    with pytest.raises(Surprise, match="second"):
        Model(drift, 1).drift(points(10000))
    assert len(calls) == 2


def test_functions_may_call_models():
    inner = Model.from_sympy(["y", "-x"], 1, variables="x y")
    outer = Model(inner.drift, lambda p: np.exp(exact_rattling(inner, p)))
    p = points()
    np.testing.assert_array_equal(outer.drift(p), swirl(p))


def test_nothing_leaks_where_functions_fail():
    error = Surprise("boo")
    results = [p := points(), [p[0]], [p[0], None], None, [1, "a"]]

    def failing(p):
        raise error

    models = [Model(failing, 1)] + [Model(lambda p, result=result: result, 1) for result in results]

    def run():
        for model in models:
            with contextlib.suppress(Surprise, ValueError, TypeError):
                model.drift(p[:, :4])

    watched = [error, *results, p, Surprise, 1.0]
    run()
    error.__traceback__ = None
    gc.collect()
    before = [sys.getrefcount(item) for item in watched]
    for _ in range(50):
        run()
    error.__traceback__ = None
    gc.collect()
    assert [sys.getrefcount(item) for item in watched] == before


@pytest.mark.parametrize(
    "hold",
    [
        lambda model: model,
        lambda model: _core.Generator.from_model(model, square(), 1, None),
        lambda model: _core.Generator.from_model(model, square(), 1, None).steady(1e-10, 0, None, True, 1, None)[3],
        lambda model: _core.Evolution(
            _core.Generator.from_model(model, square(), 1, None), 0.0, np.full(400, 1 / 400), 1e-6, 1e-9
        ),
        lambda model: _core.Simulation(model, None, 1, 0.1, np.zeros((3, 2))),
    ],
    ids=["Model", "Generator", "reweighted Generator", "Evolution", "Simulation"],
)
def test_objects_in_cycles_are_collected(hold):
    class Owner:
        def __init__(self):
            self.model = Model(self.drift, self.diffusion)

        def drift(self, p):
            return -p

        def diffusion(self, p):
            return 1 + p[0] ** 2

    owner = Owner()
    owner.model.drift(points())
    owner.core = hold(owner.model._compiled(points()))
    assert owner.core is not None
    gone = weakref.ref(owner)
    del owner
    gc.collect()
    assert gone() is None


# --- C functions -----------------------------------------------------------------------------


@BLOCK
def c_swirl(x, out, n, data):
    p = np.ctypeslib.as_array(x, (2, n))
    np.ctypeslib.as_array(out, (2, n))[:] = swirl(p) * (
        ctypes.cast(data, ctypes.POINTER(ctypes.c_double))[0] if data else 1
    )
    return 0


@BLOCK
def c_diagonal(x, out, n, data):
    p = np.ctypeslib.as_array(x, (2, n))
    np.ctypeslib.as_array(out, (2, n))[:] = 1 + p**2
    return 0


@BLOCK
def c_refuses(x, out, n, data):
    return 7


def test_ctypes_functions():
    p = points(10000)
    model = Model(c_swirl, c_diagonal)
    assert model.kind == "pointer" and model.dim is None
    np.testing.assert_array_equal(model.drift(p), swirl(p))
    np.testing.assert_array_equal(model.diffusion(p)[1, 1], 1 + p[1] ** 2)
    assert model._compiled(p).thread_safe and model._compiled(p).is_diagonal
    assert "C function" in repr(model)
    noise = Model(c_swirl, noise=c_diagonal)
    np.testing.assert_allclose(noise.diffusion(p)[0, 0], (1 + p[0] ** 2) ** 2 / 2, rtol=1e-15)
    mixed = Model(c_swirl, lambda p: 1 + p[0] ** 2, interpretation="anti-ito")
    assert mixed.kind == "python"
    np.testing.assert_allclose(mixed.drift(p), [p[1] + 2 * p[0], -p[0]], atol=1e-8)
    assert Model(c_swirl, 1).kind == "pointer"


def test_user_data():
    factor = ctypes.c_double(2.5)
    data = ctypes.cast(ctypes.pointer(factor), ctypes.c_void_p)
    model = Model(LowLevelCallable(c_swirl, data), 1)
    p = points()
    np.testing.assert_array_equal(model.drift(p), 2.5 * swirl(p))
    factor.value = -1
    np.testing.assert_array_equal(model.drift(p), -swirl(p))


def test_c_function_that_fails():
    with pytest.raises(RuntimeError, match=r"^drift: the C function returned 7$"):
        Model(c_refuses, 1).drift(points())
    with pytest.raises(RuntimeError, match=r"^diffusion: the C function returned 7$"):
        Model(swirl, c_refuses).diffusion(points())


def test_c_functions_live_as_long_as_the_model():
    data = ctypes.c_double(2.0)
    pointer = ctypes.cast(ctypes.pointer(data), ctypes.c_void_p)
    model = Model(LowLevelCallable(BLOCK(lambda x, out, n, d: c_swirl(x, out, n, d)), pointer), 1)
    gc.collect()
    p = points()
    np.testing.assert_array_equal(model.drift(p), 2 * swirl(p))


def capsule(signature):
    """A capsule around c_swirl whose name is `signature`."""
    new = ctypes.pythonapi.PyCapsule_New
    new.restype, new.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
    name = ctypes.c_char_p(signature.encode()) if signature is not None else None
    kept.append(name)
    return new(ctypes.cast(c_swirl, ctypes.c_void_p), name, None)


kept = []


@pytest.mark.parametrize(
    "signature",
    [
        "int (const double *, double *, intptr_t, void *)",
        "int (double *, double *, long, void *)",
        "int(const double*,double*,npy_intp,void*)",
        "int ( double const * , double * , Py_ssize_t , void * )",
        "int (double *, double *, int64_t, void *)",
        "int (double *, double *, ptrdiff_t, void *)",
        "int (double *, double *, const  long  long, const void *)",
    ],
)
def test_accepted_signatures(signature):
    p = points()
    for given in (capsule(signature), LowLevelCallable(capsule(signature))):
        model = Model(given, 1)
        assert model.kind == "pointer"
        np.testing.assert_array_equal(model.drift(p), swirl(p))


@pytest.mark.parametrize(
    "signature",
    [
        "double (double, void *)",
        "int (const double *, double *, int, void *)",
        "int (const double *, double *, intptr_t)",
        "int (const float *, double *, intptr_t, void *)",
        "int (const double *, double *, unsigned long, void *)",
        "int (constdouble *, double *, intptr_t, void *)",
        "void (const double *, double *, intptr_t, void *)",
        "int (double *, double *, intptr_t, void *)" + " " * 10 + "x" * 200,
        "",
        None,
    ],
)
def test_refused_signatures(signature):
    for argument in ("drift", "diffusion", "noise"):
        arguments = {
            "drift": swirl,
            **({} if argument == "noise" else {"diffusion": 1}),
            argument: capsule(signature),
        }
        with pytest.raises(
            ValueError, match=rf"{argument}: the C function has the signature .*accepted is .*intptr_t"
        ):
            Model(**arguments)


def test_ctypes_functions_of_another_signature():
    other = ctypes.CFUNCTYPE(ctypes.c_double, ctypes.c_double)(lambda v: v)
    with pytest.raises(ValueError, match=r'drift: the C function has the signature "double \(double\)"'):
        Model(other, 1)
    bare = ctypes.CDLL(None).abs  # no argument types
    with pytest.raises(ValueError, match="diffusion: "):
        Model(swirl, bare)


def test_parameters_and_c_functions():
    with pytest.raises(ValueError, match="parameters go to Python functions"):
        Model(c_swirl, 1, parameters={"k": 1})
    p = points()
    model = Model(c_swirl, lambda p, k: k + 0 * p[0], parameters={"k": 3})
    np.testing.assert_array_equal(model.diffusion(p)[0, 0], 3)


def test_models_of_c_functions_do_not_pickle():
    with pytest.raises(TypeError, match="made of C functions cannot be pickled"):
        pickle.dumps(Model(c_swirl, 1))


def test_objects_of_scipy_are_functions_too():
    from scipy.interpolate import RegularGridInterpolator

    axis = np.linspace(-5, 5, 11)
    interpolated = RegularGridInterpolator((axis, axis), axis[:, None] + axis)
    model = Model(swirl, lambda p: 10 + interpolated(p.T))
    p = points()
    np.testing.assert_allclose(model.diffusion(p)[0, 0], 10 + p[0] + p[1], rtol=1e-13)
    assert Model(interpolated, 1).kind == "python"


SOURCE = """
#include <stdint.h>
int drift(const double *x, double *out, intptr_t n, void *data)
{
    double k = data ? *(double *) data : 1.0;
    for (intptr_t i = 0; i < n; i++) {
        out[i] = k * x[n + i];
        out[n + i] = -k * x[i];
    }
    return 0;
}
"""


def test_compiled_function_agrees_with_python_and_symbols(tmp_path):
    compiler = shlex.split(os.environ.get("CC", "cc"))
    if shutil.which(compiler[0]) is None:
        pytest.skip(f"needs a C compiler; {compiler[0]} is not there")
    (tmp_path / "drift.c").write_text(SOURCE)
    subprocess.run(
        [*compiler, "-shared", "-fPIC", "-o", tmp_path / "drift.so", tmp_path / "drift.c"], check=True
    )
    function = ctypes.CDLL(str(tmp_path / "drift.so")).drift
    function.restype, function.argtypes = ctypes.c_int, BLOCK._argtypes_
    factor = ctypes.c_double(1.5)
    data = ctypes.cast(ctypes.pointer(factor), ctypes.c_void_p)
    p = points(5000)
    models = [
        Model(LowLevelCallable(function, data), 1),
        Model(lambda p: 1.5 * swirl(p), 1),
        Model.from_sympy(["3*y/2", "-3*x/2"], 1, variables="x y"),
    ]
    assert [model.kind for model in models] == ["pointer", "python", "sympy"]
    values = [model.drift(p) for model in models]
    np.testing.assert_array_equal(values[0], values[1])
    np.testing.assert_array_equal(values[0], values[2])
