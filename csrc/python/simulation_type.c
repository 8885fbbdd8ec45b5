/* SPDX-License-Identifier: MIT */
/* _core.Simulation: an rtl_simulate_t and what it borrows. */
#include "binding.h"

#include <stdatomic.h>

#include "model_type.h"
#include "simulate.h"

typedef struct {
    PyObject_HEAD rtl_simulate_t simulation;
    PyObject *model;
    PyArrayObject *lower, *upper; /* walls, or NULL */
    bool *periodic;
    atomic_bool busy; /* a run is on its way in some thread */
} simulation_object_t;

/* --- what went wrong -------------------------------------------------------------- */

/* Names the path; `self` has failed with one of the statuses about numbers. */
static void
raise_path(const rtl_simulate_t *self, const rtl_simulate_failure_t *failure)
{
    const rtl_fault_t *fault = &failure->fault;
    bool left = fault->what != NULL && strcmp(fault->what, "path") == 0;
    bool ran_away = failure->status == RTL_NOT_FINITE && failure->step > 0;
    PyObject *time = PyFloat_FromDouble((double) failure->step * self->method.dt);
    PyObject *what = left ? rtl_module_point_text(fault)
                          : rtl_module_fault_text(failure->status, fault);
    PyObject *text = NULL;

    if (time == NULL || what == NULL) {
        goto out;
    }
    if (left) {
        text = PyUnicode_FromFormat(
            "path %zu left the finite numbers in the step from t = %S, x = %U: "
            "reduce dt",
            failure->path, time, what);
    } else {
        text = PyUnicode_FromFormat("path %zu at t = %S: %U%s", failure->path, time,
            what, ran_away ? " (if the path ran away, reduce dt)" : "");
    }
    if (text != NULL) {
        PyErr_SetObject(PyExc_ValueError, text);
    }
out:
    Py_XDECREF(text);
    Py_XDECREF(what);
    Py_XDECREF(time);
}

/* Always returns NULL. */
static PyObject *
raise_failure(int status, const rtl_simulate_t *self)
{
    const rtl_simulate_failure_t *failure = &self->failure;

    if (failure->status != status || PyErr_Occurred()) {
        return rtl_module_raise(status, NULL);
    }
    if (status == RTL_CALLBACK || status == RTL_NO_MEMORY) {
        return rtl_module_raise(status, &failure->fault);
    }
    raise_path(self, failure);
    return NULL;
}

/* --- construction ----------------------------------------------------------------- */

/* The walls: None, or (lower, upper, periodic), each of length dim. */
static int
read_walls(simulation_object_t *self, PyObject *value, npy_intp dim, rtl_walls_t *walls)
{
    PyObject *lower, *upper, *periodic;

    if (value == Py_None) {
        return 0;
    }
    if (!PyTuple_Check(value)) {
        PyErr_Format(PyExc_TypeError, "walls must be None or a tuple, not %.200s",
            Py_TYPE(value)->tp_name);
        return -1;
    }
    if (!PyArg_ParseTuple(value, "OOO!", &lower, &upper, &PyTuple_Type, &periodic)) {
        return -1;
    }
    self->lower = rtl_arrays_input(lower, "lower", 1);
    self->upper = rtl_arrays_input(upper, "upper", 1);
    if (self->lower == NULL || self->upper == NULL ||
        rtl_arrays_check_length(self->lower, "lower", 0, dim) < 0 ||
        rtl_arrays_check_length(self->upper, "upper", 0, dim) < 0) {
        return -1;
    }
    if (PyTuple_GET_SIZE(periodic) != dim) {
        PyErr_Format(PyExc_ValueError, "periodic must have length %zd, but it has %zd",
            (Py_ssize_t) dim, PyTuple_GET_SIZE(periodic));
        return -1;
    }
    self->periodic = PyMem_Malloc((size_t) dim * sizeof *self->periodic);
    if (self->periodic == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    for (Py_ssize_t k = 0; k < dim; k++) {
        int truth = PyObject_IsTrue(PyTuple_GET_ITEM(periodic, k));
        if (truth < 0) {
            return -1;
        }
        self->periodic[k] = truth != 0;
    }
    *walls = (rtl_walls_t) {
        rtl_arrays_data(self->lower), rtl_arrays_data(self->upper), self->periodic};
    return 0;
}

static int
start(simulation_object_t *self, PyObject *walls_value, unsigned long long key,
    double dt, PyObject *x0_value)
{
    const rtl_model_t *model = rtl_model_type_get(self->model);
    rtl_walls_t walls = {0};

    if (read_walls(self, walls_value, (npy_intp) model->dim, &walls) < 0) {
        return -1;
    }
    PyArrayObject *x0 = rtl_arrays_input(x0_value, "x0", 2);
    if (x0 == NULL || rtl_arrays_check_length(x0, "x0", 1, (npy_intp) model->dim) < 0) {
        Py_XDECREF(x0);
        return -1;
    }
    const rtl_random_t random = {.key = key};
    int status;
    Py_BEGIN_ALLOW_THREADS
    status = rtl_simulate_init(&self->simulation, model, &walls, random, dt,
        (size_t) PyArray_DIM(x0, 0), rtl_arrays_data(x0));
    Py_END_ALLOW_THREADS
    Py_DECREF(x0);
    if (status != 0) {
        raise_failure(status, &self->simulation);
        return -1;
    }
    return 0;
}

/* Simulation(model, walls, key, dt, x0) */
static PyObject *
simulation_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"model", "walls", "key", "dt", "x0", NULL};
    PyObject *model, *walls, *x0;
    unsigned long long key;
    double dt;

    if (!PyArg_ParseTupleAndKeywords(
            args, kwargs, "OOKdO", names, &model, &walls, &key, &dt, &x0)) {
        return NULL;
    }
    simulation_object_t *self = (simulation_object_t *) type->tp_alloc(type, 0);
    if (self == NULL) {
        return NULL;
    }
    rtl_state_t *state = rtl_module_state_of((PyObject *) self);
    if (state == NULL) {
        Py_DECREF(self);
        return NULL;
    }
    if (!Py_IS_TYPE(model, state->model_type)) {
        Py_DECREF(self);
        return PyErr_Format(PyExc_TypeError, "model must be a Model, not %.200s",
            Py_TYPE(model)->tp_name);
    }
    self->model = Py_NewRef(model);
    if (start(self, walls, key, dt, x0) < 0) {
        Py_CLEAR(self);
    }
    return (PyObject *) self;
}

/* The model stays to the end (see model_type.c): the simulation points into it. */
static int
simulation_traverse(PyObject *object, visitproc visit, void *arg)
{
    simulation_object_t *self = (simulation_object_t *) object;

    Py_VISIT(Py_TYPE(object));
    Py_VISIT(self->model);
    return 0;
}

static void
simulation_dealloc(PyObject *object)
{
    simulation_object_t *self = (simulation_object_t *) object;
    PyTypeObject *type = Py_TYPE(object);

    PyObject_GC_UnTrack(object);
    rtl_simulate_free(&self->simulation);
    Py_XDECREF(self->model);
    Py_XDECREF(self->lower);
    Py_XDECREF(self->upper);
    PyMem_Free(self->periodic);
    type->tp_free(object);
    Py_DECREF(type);
}

/* --- running ---------------------------------------------------------------------- */

static PyObject *
run(simulation_object_t *self, unsigned long long n_steps, unsigned long long thin,
    Py_ssize_t n_threads, PyObject *progress)
{
    rtl_simulate_t *simulation = &self->simulation;
    unsigned long long n_times = n_steps / thin + 1;
    rtl_monitor_t monitor;
    int status = 0;

    if (n_times > NPY_MAX_INTP) {
        return rtl_module_raise(RTL_TOO_LARGE, NULL);
    }
    npy_intp shape[] = {(npy_intp) simulation->n_paths, (npy_intp) n_times,
        (npy_intp) simulation->method.model->dim};
    PyArrayObject *x = rtl_arrays_new(3, shape);
    if (x == NULL) {
        return NULL;
    }
    double *record = rtl_arrays_data(x);
    rtl_callbacks_monitor(&monitor, progress);
    Py_BEGIN_ALLOW_THREADS;
    rtl_simulate_record(simulation, thin, (size_t) n_times, record);
    status = rtl_simulate_run(simulation, n_steps, (size_t) n_threads, &monitor);
    rtl_simulate_record(simulation, 1, 0, NULL);
    Py_END_ALLOW_THREADS;
    if (status != 0) {
        Py_DECREF(x);
        rtl_simulate_free(simulation); /* its paths are at different times */
        return raise_failure(status, simulation);
    }
    return (PyObject *) x;
}

static PyObject *
simulation_run(PyObject *object, PyObject *args)
{
    simulation_object_t *self = (simulation_object_t *) object;
    unsigned long long n_steps, thin;
    Py_ssize_t n_threads;
    PyObject *progress, *x = NULL;

    if (!PyArg_ParseTuple(args, "KKnO", &n_steps, &thin, &n_threads, &progress)) {
        return NULL;
    }
    if (thin < 1 || n_threads < 1) {
        PyErr_SetString(PyExc_ValueError, "thin and n_threads must be at least 1");
        return NULL;
    }
    if (atomic_exchange(&self->busy, true)) {
        PyErr_SetString(PyExc_RuntimeError, "the simulation is running already");
        return NULL;
    }
    if (self->simulation.x == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "the simulation has failed before");
    } else {
        x = run(self, n_steps, thin, n_threads, progress);
    }
    atomic_store(&self->busy, false);
    return x;
}

static PyMethodDef simulation_methods[] = {
    {"run", simulation_run, METH_VARARGS,
        "run(n_steps, thin, n_threads, progress)\n--\n\n"
        "Go on for n_steps steps; the present state and each thin-th after it,\n"
        "(n_paths, n_steps // thin + 1, dim)."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot simulation_slots[] = {
    {Py_tp_new, simulation_new},
    {Py_tp_dealloc, simulation_dealloc},
    {Py_tp_traverse, simulation_traverse},
    {Py_tp_methods, simulation_methods},
    {Py_tp_doc, "Simulation(model, walls, key, dt, x0)\n--\n\n"
                "Paths of a model; walls is None or (lower, upper, periodic)."},
    {0, NULL},
};

static PyType_Spec simulation_spec = {
    .name = "rattling._core.Simulation",
    .basicsize = sizeof(simulation_object_t),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = simulation_slots,
};

int
rtl_simulation_type_add(PyObject *module, rtl_state_t *state)
{
    return rtl_module_add_type(module, &simulation_spec, &state->simulation_type);
}
