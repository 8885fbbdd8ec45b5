/* SPDX-License-Identifier: MIT */
/* Paths of chains, jump by jump. */
#include "binding.h"

#include "generator_type.h"
#include "jumps.h"

/* Fill the first column of `states` with the starts, and that of `times` with zeros. */
static void
begin(const int32_t *starts, npy_intp n_paths, npy_intp n_times, int32_t *states,
    double *times)
{
    for (npy_intp p = 0; p < n_paths; p++) {
        states[p * n_times] = starts[p];
        times[p * n_times] = 0.0;
    }
}

/* jumps(generator, starts, n_jumps, key, n_threads, progress) -> states, times */
static PyObject *
sample_jumps(PyObject *module, PyObject *args)
{
    PyObject *generator, *value, *progress;
    PyArrayObject *starts = NULL, *states = NULL, *times = NULL;
    unsigned long long key;
    Py_ssize_t n_jumps, n_threads;
    rtl_monitor_t monitor;
    rtl_jumps_t jumps = {0};
    int status = 0;

    if (!PyArg_ParseTuple(args, "O!OnKnO", rtl_module_state(module)->generator_type,
            &generator, &value, &n_jumps, &key, &n_threads, &progress)) {
        return NULL;
    }
    if (n_jumps < 0 || n_threads < 1 || n_jumps >= NPY_MAX_INTP) {
        PyErr_SetString(PyExc_ValueError, "n_jumps or n_threads is out of its range");
        return NULL;
    }
    starts =
        (PyArrayObject *) PyArray_FROMANY(value, NPY_INT32, 1, 1, NPY_ARRAY_IN_ARRAY);
    if (starts == NULL) {
        return NULL;
    }
    npy_intp shape[] = {PyArray_DIM(starts, 0), n_jumps + 1};
    states = (PyArrayObject *) PyArray_SimpleNew(2, shape, NPY_INT32);
    times = rtl_arrays_new(2, shape);
    if (states == NULL || times == NULL) {
        goto fail;
    }
    const rtl_random_t random = {.key = key};
    int32_t *state = PyArray_DATA(states);
    double *time = rtl_arrays_data(times);
    begin(PyArray_DATA(starts), shape[0], shape[1], state, time);
    rtl_callbacks_monitor(&monitor, progress);
    Py_BEGIN_ALLOW_THREADS;
    status = rtl_jumps_init(&jumps, rtl_generator_type_get(generator));
    if (status == 0) {
        status = rtl_jumps_run(&jumps, random, (size_t) shape[0], (size_t) n_jumps,
            state, time, (size_t) n_threads, &monitor);
        rtl_jumps_free(&jumps);
    }
    Py_END_ALLOW_THREADS;
    if (status != 0) {
        rtl_module_raise(status, NULL);
        goto fail;
    }
    Py_DECREF(starts);
    return Py_BuildValue("(NN)", states, times);
fail:
    Py_XDECREF(starts);
    Py_XDECREF(states);
    Py_XDECREF(times);
    return NULL;
}

PyMethodDef rtl_jump_functions[] = {
    {"jumps", sample_jumps, METH_VARARGS,
        "jumps(generator, starts, n_jumps, key, n_threads, progress, /)\n--\n\n"
        "States and times of jumps, (n_paths, n_jumps + 1) each, from starts."},
    {NULL, NULL, 0, NULL},
};
