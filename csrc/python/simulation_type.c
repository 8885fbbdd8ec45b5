/* SPDX-License-Identifier: MIT */
/* _core.Simulation: an rtl_simulate_t and what it borrows. */
#include "simulation_type.h"

#include "expression_type.h"
#include "grid_type.h"
#include "model_type.h"

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
PyObject *
rtl_simulation_raise(int status, const rtl_simulate_t *self)
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
read_walls(
    rtl_simulation_object_t *self, PyObject *value, npy_intp dim, rtl_walls_t *walls)
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
read_second(rtl_simulation_object_t *self, const rtl_state_t *state, PyObject *value,
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

/* What is to be observed: None, or (grid, every, dt, period, lags). */
static int
read_observer(rtl_simulation_object_t *self, const rtl_state_t *state, PyObject *value)
{
    rtl_increments_t *increments = &self->observer.increments;
    unsigned long long every;
    PyObject *grid, *period, *lags;

    if (value == Py_None) {
        return 0;
    }
    if (!PyTuple_Check(value)) {
        PyErr_Format(PyExc_TypeError, "observe must be None or a tuple, not %.200s",
            Py_TYPE(value)->tp_name);
        return -1;
    }
    if (!PyArg_ParseTuple(value, "O!KdOO!", state->grid_type, &grid, &every,
            &increments->dt, &period, &PyTuple_Type, &lags)) {
        return -1;
    }
    self->grid = Py_NewRef(grid);
    self->observer.grid = rtl_grid_type_get(grid);
    self->observer.every = every;
    self->period = rtl_arrays_input(period, "period", 1);
    if (self->period == NULL || rtl_arrays_check_length(self->period, "period", 0,
                                    (npy_intp) self->observer.grid->dim) < 0) {
        return -1;
    }
    increments->period = rtl_arrays_data(self->period);
    increments->n_lags = (size_t) PyTuple_GET_SIZE(lags);
    for (size_t i = 0; i < increments->n_lags && i < RTL_INCREMENTS_LAGS; i++) {
        increments->lags[i] = PyLong_AsSize_t(PyTuple_GET_ITEM(lags, (Py_ssize_t) i));
        if (increments->lags[i] == (size_t) -1 && PyErr_Occurred()) {
            return -1;
        }
    }
    if (!rtl_observe_good(&self->observer)) {
        PyErr_SetString(
            PyExc_ValueError, "observe: every, dt or a lag is out of its range");
        return -1;
    }
    return 0;
}

static int
start(rtl_simulation_object_t *self, const rtl_step_t *method, PyObject *x0_value)
{
    npy_intp dim = (npy_intp) method->model->dim;
    size_t most_blocks = self->grid == NULL ? 0 : rtl_observe_blocks(&self->observer);
    PyArrayObject *x0 = rtl_arrays_input(x0_value, "x0", 2);
    int status;

    if (x0 == NULL || rtl_arrays_check_length(x0, "x0", 1, dim) < 0) {
        Py_XDECREF(x0);
        return -1;
    }
    Py_BEGIN_ALLOW_THREADS;
    status = rtl_simulate_init(&self->simulation, method, (size_t) PyArray_DIM(x0, 0),
        rtl_arrays_data(x0), most_blocks);
    if (status == 0 && self->grid != NULL) {
        status = rtl_observe_init(&self->observer, &self->simulation);
    }
    Py_END_ALLOW_THREADS;
    Py_DECREF(x0);
    if (status != 0) {
        rtl_simulation_raise(status, &self->simulation);
        return -1;
    }
    return 0;
}

/* Simulation(model, walls, key, dt, x0, scheme=0, second=None, observe=None): scheme is
 * the number of rtl_scheme_t */
static PyObject *
simulation_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {
        "model", "walls", "key", "dt", "x0", "scheme", "second", "observe", NULL};
    PyObject *model, *walls, *x0, *second = Py_None, *observe = Py_None;
    unsigned long long key;
    int scheme = RTL_EULER_MARUYAMA;
    rtl_step_t method = {0};

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOKdO|iOO", names, &model, &walls,
            &key, &method.dt, &x0, &scheme, &second, &observe)) {
        return NULL;
    }
    rtl_simulation_object_t *self = (rtl_simulation_object_t *) type->tp_alloc(type, 0);
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
        read_second(self, state, second, &method) < 0 ||
        read_observer(self, state, observe) < 0 || start(self, &method, x0) < 0) {
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
    rtl_simulation_object_t *self = (rtl_simulation_object_t *) object;

    Py_VISIT(Py_TYPE(object));
    Py_VISIT(self->model);
    Py_VISIT(self->second);
    Py_VISIT(self->grid);
    return 0;
}

static void
simulation_dealloc(PyObject *object)
{
    rtl_simulation_object_t *self = (rtl_simulation_object_t *) object;
    PyTypeObject *type = Py_TYPE(object);

    PyObject_GC_UnTrack(object);
    rtl_simulate_free(&self->simulation);
    Py_XDECREF(self->model);
    Py_XDECREF(self->second);
    rtl_observe_free(&self->observer);
    Py_XDECREF(self->grid);
    Py_XDECREF(self->period);
    Py_XDECREF(self->lower);
    Py_XDECREF(self->upper);
    PyMem_Free(self->sides);
    type->tp_free(object);
    Py_DECREF(type);
}

/* --- running ---------------------------------------------------------------------- */

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
run(rtl_simulation_object_t *self, unsigned long long n_steps, unsigned long long thin,
    Py_ssize_t n_threads, PyObject *progress)
{
    rtl_simulate_t *simulation = &self->simulation;
    PyArrayObject *x = NULL;
    double *record = NULL;
    size_t n_times = 0;
    unsigned long long first = simulation->step;
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
        if (rtl_simulate_is_numeric(status)) {
            rtl_simulate_free(simulation); /* its paths cannot go on */
        }
        return rtl_simulation_raise(status, simulation);
    }
    return x == NULL ? Py_NewRef(Py_None) : Py_BuildValue("(KN)", first, x);
}

static PyObject *
simulation_run(PyObject *object, PyObject *args)
{
    rtl_simulation_object_t *self = (rtl_simulation_object_t *) object;
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
    if (!rtl_simulation_take(self)) {
        return NULL;
    }
    PyObject *x = run(self, n_steps, thin, n_threads, progress);
    rtl_simulation_give_back(self);
    return x;
}

static PyMethodDef simulation_methods[] = {
    {"run", simulation_run, METH_VARARGS,
        "run($self, n_steps, thin, n_threads, progress, /)\n--\n\n"
        "Go on for n_steps steps. The steps made before, and the state then and each\n"
        "thin-th after it, (n_paths, n_steps // thin + 1, dim); None for thin = 0."},
    {"state", rtl_simulation_state, METH_NOARGS,
        "state($self, /)\n--\n\nThe present state, (n_paths, dim)."},
    {"n_steps", rtl_simulation_n_steps, METH_NOARGS,
        "n_steps($self, /)\n--\n\nSteps made."},
    {"exit_times", rtl_simulation_exit_times, METH_NOARGS,
        "exit_times($self, /)\n--\n\n"
        "When each path met an absorbing wall, (n_paths,), NaN where it has not;\n"
        "None where no wall absorbs."},
    {"observed", rtl_simulation_observed, METH_NOARGS,
        "observed($self, /)\n--\n\n"
        "None, or visits (n_cells + 1,), the last outside, and sums (n_cells, size)."},
    {"dump", rtl_simulation_dump, METH_NOARGS,
        "dump($self, /)\n--\n\nSteps made and all arrays of the state, a tuple."},
    {"restore", rtl_simulation_restore, METH_VARARGS,
        "restore($self, *dumped)\n--\n\nGo back to what dump() gave."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot simulation_slots[] = {
    {Py_tp_new, simulation_new},
    {Py_tp_dealloc, simulation_dealloc},
    {Py_tp_traverse, simulation_traverse},
    {Py_tp_methods, simulation_methods},
    {Py_tp_doc, "Simulation(model, walls, key, dt, x0, scheme=0, second=None, "
                "observe=None)\n--\n\n"
                "Paths of a model; walls is None or (lower, upper, periodic[, "
                "absorbing])."},
    {0, NULL},
};

static PyType_Spec simulation_spec = {
    .name = "rattling._core.Simulation",
    .basicsize = sizeof(rtl_simulation_object_t),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = simulation_slots,
};

int
rtl_simulation_type_add(PyObject *module, rtl_state_t *state)
{
    return rtl_module_add_type(module, &simulation_spec, &state->simulation_type);
}
