/* SPDX-License-Identifier: MIT */
/* _core.Resolvent: owns an rtl_resolve_t and keeps its generator. */
#include "binding.h"

#include <math.h>
#include <stdatomic.h>

#include "generator_type.h"
#include "resolve.h"

typedef struct {
    PyObject_HEAD rtl_resolve_t resolve;
    PyObject *generator;
    atomic_bool busy; /* a run is on its way in some thread */
} resolvent_object_t;

static resolvent_object_t *
cast(PyObject *self)
{
    return (resolvent_object_t *) self;
}

/* Resolvent(generator, gamma, guess) */
static PyObject *
resolvent_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"generator", "gamma", "guess", NULL};
    PyObject *generator, *value;
    PyArrayObject *guess = NULL;
    rtl_monitor_t monitor = {0};
    double gamma;
    int status;

    rtl_state_t *state = PyType_GetModuleState(type);
    if (state == NULL || !PyArg_ParseTupleAndKeywords(args, kwargs, "O!dO", names,
                             state->generator_type, &generator, &gamma, &value)) {
        return NULL;
    }
    if (!(gamma > 0.0 && gamma < INFINITY)) {
        PyErr_SetString(PyExc_ValueError, "gamma must be positive and finite");
        return NULL;
    }
    const rtl_generator_t *chain = rtl_generator_type_get(generator);
    if (value != Py_None) {
        guess = rtl_arrays_input(value, "guess", 1);
        if (guess == NULL ||
            rtl_arrays_check_length(guess, "guess", 0, (npy_intp) chain->n) < 0) {
            Py_XDECREF(guess);
            return NULL;
        }
    }
    resolvent_object_t *self = (resolvent_object_t *) type->tp_alloc(type, 0);
    if (self == NULL) {
        Py_XDECREF(guess);
        return NULL;
    }
    self->generator = Py_NewRef(generator);
    rtl_callbacks_monitor(&monitor, Py_None);
    Py_BEGIN_ALLOW_THREADS
    status = rtl_resolve_init(&self->resolve, chain, gamma,
        guess == NULL ? NULL : rtl_arrays_data(guess), &monitor);
    Py_END_ALLOW_THREADS
    Py_XDECREF(guess);
    if (status != 0) {
        Py_DECREF(self);
        return rtl_module_raise(status, NULL);
    }
    return (PyObject *) self;
}

/* The generator stays to the end (see model_type.c). */
static int
resolvent_traverse(PyObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(cast(self)->generator);
    return 0;
}

static void
resolvent_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);

    PyObject_GC_UnTrack(self);
    rtl_resolve_free(&cast(self)->resolve);
    Py_XDECREF(cast(self)->generator);
    type->tp_free(self);
    Py_DECREF(type);
}

/* solve(b, rtol) -> x, largest relative residual so far */
static PyObject *
resolvent_solve(PyObject *self, PyObject *args)
{
    resolvent_object_t *object = cast(self);
    PyObject *value;
    rtl_monitor_t monitor = {0};
    double rtol;
    int status;

    if (!PyArg_ParseTuple(args, "Od", &value, &rtol)) {
        return NULL;
    }
    npy_intp n = (npy_intp) object->resolve.chain->n;
    PyArrayObject *b = rtl_arrays_input(value, "b", 1), *x = NULL;
    if (b == NULL || rtl_arrays_check_length(b, "b", 0, n) < 0) {
        goto fail;
    }
    x = rtl_arrays_new(1, &n);
    if (x == NULL) {
        goto fail;
    }
    if (atomic_exchange(&object->busy, true)) {
        PyErr_SetString(PyExc_RuntimeError, "the resolvent is running already");
        goto fail;
    }
    rtl_callbacks_monitor(&monitor, Py_None);
    Py_BEGIN_ALLOW_THREADS
    status = rtl_resolve_run(
        &object->resolve, rtl_arrays_data(b), rtol, &monitor, rtl_arrays_data(x));
    Py_END_ALLOW_THREADS
    double residual = object->resolve.residual;
    atomic_store(&object->busy, false);
    if (status != 0) {
        rtl_module_raise(status, NULL);
        goto fail;
    }
    Py_DECREF(b);
    return Py_BuildValue("Nd", x, residual);
fail:
    Py_XDECREF(b);
    Py_XDECREF(x);
    return NULL;
}

static PyMethodDef resolvent_methods[] = {
    {"solve", resolvent_solve, METH_VARARGS,
        "solve(b, rtol): x of (1 - gamma W) x = b, and the largest relative residual "
        "of all calls."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot resolvent_slots[] = {
    {Py_tp_new, resolvent_new},
    {Py_tp_dealloc, resolvent_dealloc},
    {Py_tp_traverse, resolvent_traverse},
    {Py_tp_methods, resolvent_methods},
    {Py_tp_doc, "Resolvent(generator, gamma, guess)\n--\n\n(1 - gamma W)^-1."},
    {0, NULL},
};

static PyType_Spec resolvent_spec = {
    .name = "rattling._core.Resolvent",
    .basicsize = sizeof(resolvent_object_t),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = resolvent_slots,
};

int
rtl_resolvent_type_add(PyObject *module, rtl_state_t *state)
{
    return rtl_module_add_type(module, &resolvent_spec, &state->resolvent_type);
}
