/* SPDX-License-Identifier: MIT */
/* _core.Simulation: an rtl_simulate_t and what it borrows. */
#include "binding.h"

#include <stdatomic.h>

#include "expression_type.h"
#include "model_type.h"
#include "simulate.h"

typedef struct {
    PyObject_HEAD rtl_simulate_t simulation;
    PyObject *model, *second;     /* an Expression, or NULL */
    PyArrayObject *lower, *upper; /* walls, or NULL */
    bool *sides;                  /* (3, dim): periodic; absorbing (dim, 2) */
    atomic_bool busy;             /* a run is on its way in some thread */
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

/* Truth of each of `n` objects. */
static int
read_truths(PyObject *tuple, const char *name, Py_ssize_t n, bool *out)
{
    if (PyTuple_GET_SIZE(tuple) != n) {
        PyErr_Format(PyExc_ValueError, "%s must have length %zd, but it has %zd", name,
            n, PyTuple_GET_SIZE(tuple));
        return -1;
    }
    for (Py_ssize_t k = 0; k < n; k++) {
        int truth = PyObject_IsTrue(PyTuple_GET_ITEM(tuple, k));
        if (truth < 0) {
            return -1;
        }
        out[k] = truth != 0;
    }
    return 0;
}

/* The walls: None, or (lower, upper, periodic[, absorbing]), the first three of length
 * dim, the last, lower and upper side of each axis, of twice that. */
static int
read_walls(simulation_object_t *self, PyObject *value, npy_intp dim, rtl_walls_t *walls)
{
    PyObject *lower, *upper, *periodic, *absorbing = NULL;

    if (value == Py_None) {
        return 0;
    }
    if (!PyTuple_Check(value)) {
        PyErr_Format(PyExc_TypeError, "walls must be None or a tuple, not %.200s",
            Py_TYPE(value)->tp_name);
        return -1;
    }
    if (!PyArg_ParseTuple(value, "OOO!|O!", &lower, &upper, &PyTuple_Type, &periodic,
            &PyTuple_Type, &absorbing)) {
        return -1;
    }
    self->lower = rtl_arrays_input(lower, "lower", 1);
    self->upper = rtl_arrays_input(upper, "upper", 1);
    if (self->lower == NULL || self->upper == NULL ||
        rtl_arrays_check_length(self->lower, "lower", 0, dim) < 0 ||
        rtl_arrays_check_length(self->upper, "upper", 0, dim) < 0) {
        return -1;
    }
    self->sides = PyMem_Calloc(3 * (size_t) dim, sizeof *self->sides);
    if (self->sides == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    if (read_truths(periodic, "periodic", (Py_ssize_t) dim, self->sides) < 0 ||
        (absorbing != NULL && read_truths(absorbing, "absorbing",
                                  (Py_ssize_t) (2 * dim), self->sides + dim) < 0)) {
        return -1;
    }
    *walls = (rtl_walls_t) {rtl_arrays_data(self->lower), rtl_arrays_data(self->upper),
        self->sides, self->sides + dim};
    return 0;
}

/* Milstein's field, None or an Expression; rtl_step_check sees to its shape. */
static int
read_second(simulation_object_t *self, const rtl_state_t *state, PyObject *value,
    rtl_step_t *method)
{
    if (value == Py_None) {
        return 0;
    }
    if (!Py_IS_TYPE(value, state->expression_type)) {
        PyErr_Format(PyExc_TypeError,
            "second must be None or an Expression, not %.200s",
            Py_TYPE(value)->tp_name);
        return -1;
    }
    const rtl_expression_t *expression = rtl_expression_type_get(value);
    if (expression->n_inputs != method->model->dim) {
        PyErr_Format(PyExc_ValueError, "second must have %zu inputs, but it has %zu",
            method->model->dim, expression->n_inputs);
        return -1;
    }
    self->second = Py_NewRef(value);
    method->second = (rtl_field_t) {
        rtl_expression_evaluate, (void *) expression, expression->n_outputs, true};
    return 0;
}

static int
start(simulation_object_t *self, const rtl_step_t *method, PyObject *x0_value)
{
    npy_intp dim = (npy_intp) method->model->dim;
    PyArrayObject *x0 = rtl_arrays_input(x0_value, "x0", 2);
    int status;

    if (x0 == NULL || rtl_arrays_check_length(x0, "x0", 1, dim) < 0) {
        Py_XDECREF(x0);
        return -1;
    }
    Py_BEGIN_ALLOW_THREADS;
    status = rtl_simulate_init(
        &self->simulation, method, (size_t) PyArray_DIM(x0, 0), rtl_arrays_data(x0));
    Py_END_ALLOW_THREADS;
    Py_DECREF(x0);
    if (status != 0) {
        raise_failure(status, &self->simulation);
        return -1;
    }
    return 0;
}

/* Simulation(model, walls, key, dt, x0, scheme=0, second=None): scheme is the number of
 * rtl_scheme_t */
static PyObject *
simulation_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {
        "model", "walls", "key", "dt", "x0", "scheme", "second", NULL};
    PyObject *model, *walls, *x0, *second = Py_None;
    unsigned long long key;
    int scheme = RTL_EULER_MARUYAMA;
    rtl_step_t method = {0};

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOKdO|iO", names, &model, &walls,
            &key, &method.dt, &x0, &scheme, &second)) {
        return NULL;
    }
    simulation_object_t *self = (simulation_object_t *) type->tp_alloc(type, 0);
    if (self == NULL) {
        return NULL;
    }
    rtl_state_t *state = rtl_module_state_of((PyObject *) self);
    if (state == NULL) {
        goto failed;
    }
    if (!Py_IS_TYPE(model, state->model_type)) {
        PyErr_Format(PyExc_TypeError, "model must be a Model, not %.200s",
            Py_TYPE(model)->tp_name);
        goto failed;
    }
    if (scheme < RTL_EULER_MARUYAMA || scheme > RTL_PLATEN) {
        PyErr_Format(PyExc_ValueError, "scheme is out of its range: %d", scheme);
        goto failed;
    }
    self->model = Py_NewRef(model);
    method.model = rtl_model_type_get(model);
    method.scheme = (rtl_scheme_t) scheme;
    method.random.key = key;
    if (read_walls(self, walls, (npy_intp) method.model->dim, &method.walls) < 0 ||
        read_second(self, state, second, &method) < 0 || start(self, &method, x0) < 0) {
        goto failed;
    }
    return (PyObject *) self;
failed:
    Py_DECREF(self);
    return NULL;
}

/* The model stays to the end (see model_type.c): the simulation points into it. */
static int
simulation_traverse(PyObject *object, visitproc visit, void *arg)
{
    simulation_object_t *self = (simulation_object_t *) object;

    Py_VISIT(Py_TYPE(object));
    Py_VISIT(self->model);
    Py_VISIT(self->second);
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
    Py_XDECREF(self->second);
    Py_XDECREF(self->lower);
    Py_XDECREF(self->upper);
    PyMem_Free(self->sides);
    type->tp_free(object);
    Py_DECREF(type);
}

/* --- running ---------------------------------------------------------------------- */

/* Marks the simulation busy; false: an exception is set. */
static bool
take(simulation_object_t *self)
{
    if (atomic_exchange(&self->busy, true)) {
        PyErr_SetString(PyExc_RuntimeError, "the simulation is running already");
        return false;
    }
    if (self->simulation.x == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "the simulation has failed before");
        atomic_store(&self->busy, false);
        return false;
    }
    return true;
}

/* An array for a record of every thin-th state. */
static PyArrayObject *
make_record(
    const rtl_simulate_t *self, unsigned long long n_steps, unsigned long long thin)
{
    unsigned long long n_times = n_steps / thin + 1;

    if (n_times > NPY_MAX_INTP) {
        rtl_module_raise(RTL_TOO_LARGE, NULL);
        return NULL;
    }
    npy_intp shape[] = {(npy_intp) self->n_paths, (npy_intp) n_times,
        (npy_intp) self->method.model->dim};
    return rtl_arrays_new(3, shape);
}

static PyObject *
run(simulation_object_t *self, unsigned long long n_steps, unsigned long long thin,
    Py_ssize_t n_threads, PyObject *progress)
{
    rtl_simulate_t *simulation = &self->simulation;
    PyArrayObject *x = NULL;
    double *record = NULL;
    size_t n_times = 0;
    rtl_monitor_t monitor;
    int status = 0;

    if (thin > 0) {
        x = make_record(simulation, n_steps, thin);
        if (x == NULL) {
            return NULL;
        }
        record = rtl_arrays_data(x);
        n_times = (size_t) PyArray_DIM(x, 1);
    }
    rtl_callbacks_monitor(&monitor, progress);
    Py_BEGIN_ALLOW_THREADS;
    rtl_simulate_record(simulation, thin > 0 ? thin : 1, n_times, record);
    status = rtl_simulate_run(simulation, n_steps, (size_t) n_threads, &monitor);
    rtl_simulate_record(simulation, 1, 0, NULL);
    Py_END_ALLOW_THREADS;
    if (status != 0) {
        Py_XDECREF(x);
        rtl_simulate_free(simulation); /* its paths are at different times */
        return raise_failure(status, simulation);
    }
    return x == NULL ? Py_NewRef(Py_None) : (PyObject *) x;
}

static PyObject *
simulation_run(PyObject *object, PyObject *args)
{
    simulation_object_t *self = (simulation_object_t *) object;
    unsigned long long n_steps, thin;
    Py_ssize_t n_threads;
    PyObject *progress;

    if (!PyArg_ParseTuple(args, "KKnO", &n_steps, &thin, &n_threads, &progress)) {
        return NULL;
    }
    if (n_threads < 1) {
        PyErr_SetString(PyExc_ValueError, "n_threads must be at least 1");
        return NULL;
    }
    if (!take(self)) {
        return NULL;
    }
    PyObject *x = run(self, n_steps, thin, n_threads, progress);
    atomic_store(&self->busy, false);
    return x;
}

/* --- looking at it ---------------------------------------------------------------- */

static PyObject *
simulation_state(PyObject *object, PyObject *Py_UNUSED(ignored))
{
    simulation_object_t *self = (simulation_object_t *) object;

    if (!take(self)) {
        return NULL;
    }
    npy_intp shape[] = {(npy_intp) self->simulation.n_paths,
        (npy_intp) self->simulation.method.model->dim};
    PyArrayObject *x = rtl_arrays_new(2, shape);
    if (x != NULL) {
        rtl_simulate_state(&self->simulation, rtl_arrays_data(x));
    }
    atomic_store(&self->busy, false);
    return (PyObject *) x;
}

static PyObject *
simulation_exit_times(PyObject *object, PyObject *Py_UNUSED(ignored))
{
    simulation_object_t *self = (simulation_object_t *) object;
    PyObject *out = NULL;

    if (!take(self)) {
        return NULL;
    }
    if (self->simulation.exit_time == NULL) {
        out = Py_NewRef(Py_None);
    } else {
        npy_intp n = (npy_intp) self->simulation.n_paths;
        PyArrayObject *times = rtl_arrays_new(1, &n);
        if (times != NULL) {
            memcpy(rtl_arrays_data(times), self->simulation.exit_time,
                (size_t) n * sizeof(double));
        }
        out = (PyObject *) times;
    }
    atomic_store(&self->busy, false);
    return out;
}

static PyMethodDef simulation_methods[] = {
    {"run", simulation_run, METH_VARARGS,
        "run($self, n_steps, thin, n_threads, progress, /)\n--\n\n"
        "Go on for n_steps steps; the present state and each thin-th after it,\n"
        "(n_paths, n_steps // thin + 1, dim), or None for thin = 0."},
    {"state", simulation_state, METH_NOARGS,
        "state()\n--\n\nThe present state, (n_paths, dim)."},
    {"exit_times", simulation_exit_times, METH_NOARGS,
        "exit_times()\n--\n\n"
        "When each path met an absorbing wall, (n_paths,), NaN where it has not;\n"
        "None where no wall absorbs."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot simulation_slots[] = {
    {Py_tp_new, simulation_new},
    {Py_tp_dealloc, simulation_dealloc},
    {Py_tp_traverse, simulation_traverse},
    {Py_tp_methods, simulation_methods},
    {Py_tp_doc, "Simulation(model, walls, key, dt, x0, scheme=0, second=None)\n--\n\n"
                "Paths of a model; walls is None or (lower, upper, periodic[, "
                "absorbing])."},
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
