/* SPDX-License-Identifier: MIT */
/* _core.Evolution: owns an rtl_evolve_t and keeps its generator; resumable. */
#include "binding.h"

#include <stdatomic.h>

#include "evolve.h"
#include "generator_type.h"

typedef struct {
    PyObject_HEAD rtl_evolve_t evolve;
    PyObject *generator;
    atomic_bool busy; /* a run is on its way in some thread */
} evolution_object_t;

static evolution_object_t *
cast(PyObject *self)
{
    return (evolution_object_t *) self;
}

/* Evolution(generator, t, p, rtol, atol, guess) */
static PyObject *
evolution_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"generator", "t", "p", "rtol", "atol", "guess", NULL};
    PyObject *generator, *value, *guess_value = Py_None, *result = NULL;
    PyArrayObject *p = NULL, *guess = NULL;
    evolution_object_t *self = NULL;
    rtl_monitor_t monitor = {0};
    double t, rtol, atol;
    int status;

    rtl_state_t *state = PyType_GetModuleState(type);
    if (state == NULL || !PyArg_ParseTupleAndKeywords(args, kwargs, "O!dOdd|O", names,
                             state->generator_type, &generator, &t, &value, &rtol,
                             &atol, &guess_value)) {
        return NULL;
    }
    if (!(rtol > 0.0) || !(atol > 0.0)) {
        PyErr_SetString(PyExc_ValueError, "rtol and atol must be positive");
        return NULL;
    }
    const rtl_generator_t *chain = rtl_generator_type_get(generator);
    p = rtl_arrays_input(value, "p", 1);
    if (p == NULL || rtl_arrays_check_length(p, "p", 0, (npy_intp) chain->n) < 0) {
        goto out;
    }
    if (guess_value != Py_None) {
        guess = rtl_arrays_input(guess_value, "guess", 1);
        if (guess == NULL ||
            rtl_arrays_check_length(guess, "guess", 0, (npy_intp) chain->n) < 0) {
            goto out;
        }
    }
    self = (evolution_object_t *) type->tp_alloc(type, 0);
    if (self == NULL) {
        goto out;
    }
    self->generator = Py_NewRef(generator);
    rtl_callbacks_monitor(&monitor, Py_None);
    Py_BEGIN_ALLOW_THREADS
    status = rtl_evolve_init(&self->evolve, chain, t, rtl_arrays_data(p),
        guess == NULL ? NULL : rtl_arrays_data(guess), rtol, atol, &monitor);
    Py_END_ALLOW_THREADS
    if (status != 0) {
        Py_DECREF(self);
        rtl_module_raise(status, NULL);
        goto out;
    }
    result = (PyObject *) self;
out:
    Py_XDECREF(p);
    Py_XDECREF(guess);
    return result;
}

/* The generator stays to the end (see model_type.c): CVODE works on it. */
static int
evolution_traverse(PyObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(cast(self)->generator);
    return 0;
}

static void
evolution_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);

    PyObject_GC_UnTrack(self);
    rtl_evolve_free(&cast(self)->evolve);
    Py_XDECREF(cast(self)->generator);
    type->tp_free(self);
    Py_DECREF(type);
}

/* run(t, progress) -> p at the later time t */
static PyObject *
evolution_run(PyObject *self, PyObject *args)
{
    evolution_object_t *object = cast(self);
    double t;
    PyObject *progress;
    rtl_monitor_t monitor = {0};
    int status;

    if (!PyArg_ParseTuple(args, "dO", &t, &progress)) {
        return NULL;
    }
    npy_intp n = (npy_intp) object->evolve.chain->n;
    PyArrayObject *p = rtl_arrays_new(1, &n);
    if (p == NULL) {
        return NULL;
    }
    if (atomic_exchange(&object->busy, true)) {
        Py_DECREF(p);
        PyErr_SetString(PyExc_RuntimeError, "the evolution is running already");
        return NULL;
    }
    rtl_callbacks_monitor(&monitor, progress);
    Py_BEGIN_ALLOW_THREADS
    status = rtl_evolve_run(&object->evolve, t, &monitor, rtl_arrays_data(p));
    Py_END_ALLOW_THREADS
    if (status == RTL_NOT_CONVERGED && !PyErr_Occurred()) {
        rtl_state_t *state = rtl_module_state_of(self);
        if (state != NULL) {
            PyErr_Format(state->convergence_error, "CVODE stopped before t = %S: %s",
                PyTuple_GET_ITEM(args, 0), object->evolve.sun.message);
        }
    } else if (status != 0) {
        rtl_module_raise(status, NULL);
    }
    atomic_store(&object->busy, false); /* the message has been read */
    if (status != 0) {
        Py_CLEAR(p);
    }
    return (PyObject *) p;
}

/* info() -> numbers about the runs that have ended */
static PyObject *
evolution_info(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    evolution_object_t *object = cast(self);

    if (atomic_exchange(&object->busy, true)) {
        PyErr_SetString(PyExc_RuntimeError, "the evolution is running");
        return NULL;
    }
    rtl_evolve_info_t copy = object->evolve.info, *info = &copy;
    atomic_store(&object->busy, false);
    return Py_BuildValue("{s:l,s:l,s:l,s:l,s:d,s:d,s:d}", "steps", info->steps,
        "evaluations", info->evaluations, "krylov_iterations", info->krylov_iterations,
        "matrix_products", info->products, "mass_error", info->mass_error, "smallest",
        info->smallest, "defect", info->defect);
}

static PyMethodDef evolution_methods[] = {
    {"run", evolution_run, METH_VARARGS, "run(t, progress): p at the later time t."},
    {"info", evolution_info, METH_NOARGS, "Numbers about the run so far."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot evolution_slots[] = {
    {Py_tp_new, evolution_new},
    {Py_tp_dealloc, evolution_dealloc},
    {Py_tp_traverse, evolution_traverse},
    {Py_tp_methods, evolution_methods},
    {Py_tp_doc,
        "Evolution(generator, t, p, rtol, atol, guess)\n--\n\ndp/dt = W p by CVODE."},
    {0, NULL},
};

static PyType_Spec evolution_spec = {
    .name = "rattling._core.Evolution",
    .basicsize = sizeof(evolution_object_t),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = evolution_slots,
};

int
rtl_evolution_type_add(PyObject *module, rtl_state_t *state)
{
    return rtl_module_add_type(module, &evolution_spec, &state->evolution_type);
}
