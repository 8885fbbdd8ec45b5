/* SPDX-License-Identifier: MIT */
/* _core.Simulation between two runs: what it has come to, saved and restored. */
#include "simulation_type.h"

#include "parallel.h"

/* After an interruption, or an exception in a user's function, some paths are ahead of
 * the others. */
static bool
settle(rtl_simulate_t *simulation)
{
    int status = 0;

    if (simulation->step != simulation->target) {
        Py_BEGIN_ALLOW_THREADS;
        status = rtl_simulate_settle(simulation, rtl_parallel_cores());
        Py_END_ALLOW_THREADS;
    }
    if (rtl_simulate_is_numeric(status)) {
        rtl_simulate_free(simulation);
    }
    if (status != 0) {
        rtl_simulation_raise(status, simulation);
    }
    return status == 0;
}

bool
rtl_simulation_take(rtl_simulation_object_t *self)
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
    if (!settle(&self->simulation)) {
        atomic_store(&self->busy, false);
        return false;
    }
    return true;
}

void
rtl_simulation_give_back(rtl_simulation_object_t *self)
{
    atomic_store(&self->busy, false);
}

/* --- looking at it ---------------------------------------------------------------- */

/* The arrays that a simulation consists of between two runs. */
enum { N_PARTS = 6 };
typedef struct {
    double *data[N_PARTS];
    size_t size[N_PARTS];
} parts_t;

/* All but the first, the states, which lie in blocks. */
static parts_t
get_parts(rtl_simulation_object_t *self)
{
    rtl_simulate_t *s = &self->simulation;
    rtl_observe_t *o = &self->observer;
    parts_t parts = {{NULL, s->exit_time, o->visits, o->sums, o->recent, o->cells},
        {s->n_paths * s->method.model->dim, s->exit_time == NULL ? 0 : s->n_paths}};

    if (self->grid != NULL) {
        size_t longest =
            o->size == 0 ? 0 : o->increments.lags[o->increments.n_lags - 1];
        parts.size[2] = o->n_parts * (o->grid->n_cells + 1);
        parts.size[3] = o->n_parts * o->grid->n_cells * o->size;
        parts.size[4] =
            o->recent == NULL ? 0 : o->n_paths * (longest + 1) * o->grid->dim;
        parts.size[5] = o->cells == NULL ? 0 : o->n_paths * 2 * longest;
    }
    return parts;
}

/* The states, (n_paths, dim), of a simulation that has been taken. */
static PyObject *
copy_state(rtl_simulation_object_t *self)
{
    npy_intp shape[] = {(npy_intp) self->simulation.n_paths,
        (npy_intp) self->simulation.method.model->dim};
    PyArrayObject *x = rtl_arrays_new(2, shape);
    if (x != NULL) {
        rtl_simulate_state(&self->simulation, rtl_arrays_data(x));
    }
    return (PyObject *) x;
}

PyObject *
rtl_simulation_state(PyObject *object, PyObject *Py_UNUSED(ignored))
{
    rtl_simulation_object_t *self = (rtl_simulation_object_t *) object;

    if (!rtl_simulation_take(self)) {
        return NULL;
    }
    PyObject *x = copy_state(self);
    rtl_simulation_give_back(self);
    return x;
}

/* New one-dimensional array of `size` numbers, a copy of `data`. */
static PyObject *
copy_numbers(const double *data, size_t size)
{
    npy_intp n = (npy_intp) size;
    PyArrayObject *array = rtl_arrays_new(1, &n);

    if (array != NULL && size > 0) {
        memcpy(rtl_arrays_data(array), data, size * sizeof *data);
    }
    return (PyObject *) array;
}

PyObject *
rtl_simulation_n_steps(PyObject *object, PyObject *Py_UNUSED(ignored))
{
    rtl_simulation_object_t *self = (rtl_simulation_object_t *) object;

    if (!rtl_simulation_take(self)) {
        return NULL;
    }
    unsigned long long n_steps = self->simulation.step;
    rtl_simulation_give_back(self);
    return PyLong_FromUnsignedLongLong(n_steps);
}

PyObject *
rtl_simulation_exit_times(PyObject *object, PyObject *Py_UNUSED(ignored))
{
    rtl_simulation_object_t *self = (rtl_simulation_object_t *) object;
    PyObject *out = NULL;

    if (!rtl_simulation_take(self)) {
        return NULL;
    }
    if (self->simulation.exit_time == NULL) {
        out = Py_NewRef(Py_None);
    } else {
        out = copy_numbers(self->simulation.exit_time, self->simulation.n_paths);
    }
    rtl_simulation_give_back(self);
    return out;
}

PyObject *
rtl_simulation_observed(PyObject *object, PyObject *Py_UNUSED(ignored))
{
    rtl_simulation_object_t *self = (rtl_simulation_object_t *) object;
    const rtl_observe_t *observer = &self->observer;

    if (self->grid == NULL) {
        return Py_NewRef(Py_None);
    }
    if (!rtl_simulation_take(self)) {
        return NULL;
    }
    npy_intp n_cells = (npy_intp) observer->grid->n_cells, n_visits = n_cells + 1;
    npy_intp shape[] = {n_cells, (npy_intp) observer->size};
    PyArrayObject *visits = rtl_arrays_new(1, &n_visits);
    PyArrayObject *sums = rtl_arrays_new(2, shape);
    if (visits != NULL && sums != NULL) {
        rtl_observe_total(observer, rtl_arrays_data(visits),
            observer->size > 0 ? rtl_arrays_data(sums) : NULL);
    }
    rtl_simulation_give_back(self);
    if (visits == NULL || sums == NULL) {
        Py_XDECREF(visits);
        Py_XDECREF(sums);
        return NULL;
    }
    return Py_BuildValue("(NN)", visits, sums);
}

PyObject *
rtl_simulation_dump(PyObject *object, PyObject *Py_UNUSED(ignored))
{
    rtl_simulation_object_t *self = (rtl_simulation_object_t *) object;
    PyObject *out = PyTuple_New(N_PARTS + 1);

    if (out == NULL || !rtl_simulation_take(self)) {
        Py_XDECREF(out);
        return NULL;
    }
    const parts_t parts = get_parts(self);
    PyTuple_SET_ITEM(out, 0, PyLong_FromUnsignedLongLong(self->simulation.step));
    PyTuple_SET_ITEM(out, 1, copy_state(self));
    for (Py_ssize_t k = 1; k < N_PARTS; k++) {
        PyTuple_SET_ITEM(out, k + 1, copy_numbers(parts.data[k], parts.size[k]));
    }
    rtl_simulation_give_back(self);
    for (Py_ssize_t k = 0; k < N_PARTS + 1; k++) {
        if (PyTuple_GET_ITEM(out, k) == NULL) {
            Py_CLEAR(out);
            return NULL;
        }
    }
    return out;
}

/* Puts back what dump() gave, of a simulation that was made in the same way. */
PyObject *
rtl_simulation_restore(PyObject *object, PyObject *args)
{
    rtl_simulation_object_t *self = (rtl_simulation_object_t *) object;
    PyObject *value[N_PARTS];
    PyArrayObject *array[N_PARTS] = {NULL};
    unsigned long long step;
    bool good = true;

    if (!PyArg_ParseTuple(args, "KOOOOOO", &step, &value[0], &value[1], &value[2],
            &value[3], &value[4], &value[5]) ||
        !rtl_simulation_take(self)) {
        return NULL;
    }
    const parts_t parts = get_parts(self);
    for (int k = 0; good && k < N_PARTS; k++) {
        array[k] = rtl_arrays_input(value[k], "state", k == 0 ? 2 : 1);
        good = array[k] != NULL;
        if (good && (size_t) PyArray_SIZE(array[k]) != parts.size[k]) {
            PyErr_SetString(
                PyExc_ValueError, "the state is that of another simulation");
            good = false;
        }
    }
    if (good) {
        rtl_simulate_restore(&self->simulation, step, rtl_arrays_data(array[0]));
        for (int k = 1; k < N_PARTS; k++) {
            if (parts.size[k] > 0) {
                memcpy(parts.data[k], rtl_arrays_data(array[k]),
                    parts.size[k] * sizeof(double));
            }
        }
    }
    for (int k = 0; k < N_PARTS; k++) {
        Py_XDECREF(array[k]);
    }
    rtl_simulation_give_back(self);
    return good ? Py_NewRef(Py_None) : NULL;
}
