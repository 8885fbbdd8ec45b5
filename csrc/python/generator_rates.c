/* SPDX-License-Identifier: MIT */
#include "generator_rates.h"

#include <math.h>

#include "memory.h"

static PyArrayObject *
index_array(PyObject *value, const char *name, npy_intp length)
{
    PyArrayObject *array =
        (PyArrayObject *) PyArray_FROMANY(value, NPY_INT64, 1, 1, NPY_ARRAY_IN_ARRAY);
    if (array != NULL && PyArray_DIM(array, 0) != length) {
        PyErr_Format(
            PyExc_ValueError, "%s must have length %zd", name, (Py_ssize_t) length);
        Py_CLEAR(array);
    }
    return array;
}

static void
raise_bad_rate(int status, size_t bad, PyArrayObject *source, PyArrayObject *target,
    PyArrayObject *rates)
{
    if (status != RTL_NEGATIVE && status != RTL_NOT_FINITE) {
        rtl_module_raise(status, NULL);
        return;
    }
    if (status == RTL_NOT_FINITE && isfinite(rtl_arrays_data(rates)[bad])) {
        PyErr_Format(PyExc_ValueError,
            "rates must have a finite sum over each row, but those from state %lld add "
            "up to infinity",
            (long long) ((npy_int64 *) PyArray_DATA(source))[bad]);
        return;
    }
    PyObject *rate = PyFloat_FromDouble(rtl_arrays_data(rates)[bad]);
    if (rate != NULL) {
        PyErr_Format(PyExc_ValueError,
            "rates must be finite and >= 0, but the rate %lld -> %lld is %S",
            (long long) ((npy_int64 *) PyArray_DATA(source))[bad],
            (long long) ((npy_int64 *) PyArray_DATA(target))[bad], rate);
        Py_DECREF(rate);
    }
}

/* The killing rates of a chain from an array or None: checked and handed over. */
static int
take_killing(rtl_generator_t *chain, PyObject *value)
{
    if (value == Py_None) {
        return 0;
    }
    PyArrayObject *array = rtl_arrays_input(value, "killing", 1);
    if (array == NULL ||
        rtl_arrays_check_length(array, "killing", 0, (npy_intp) chain->n) < 0) {
        Py_XDECREF(array);
        return -1;
    }
    const double *rates = rtl_arrays_data(array);
    for (size_t i = 0; i < chain->n; i++) {
        if (!(rates[i] >= 0.0 && isfinite(rates[i] + chain->exit_rate[i]))) {
            PyObject *rate = PyFloat_FromDouble(rates[i]);
            if (rate != NULL) {
                PyErr_Format(PyExc_ValueError,
                    "killing must be finite and >= 0, but that of state %zu is %S "
                    "(with its rates added, too, it must be finite)",
                    i, rate);
                Py_DECREF(rate);
            }
            Py_DECREF(array);
            return -1;
        }
    }
    double *killing = rtl_memory_alloc(chain->n, sizeof *killing);
    if (killing != NULL) {
        memcpy(killing, rates, chain->n * sizeof *killing);
        rtl_generator_kill(chain, killing);
    } else {
        PyErr_NoMemory();
    }
    Py_DECREF(array);
    return killing != NULL ? 0 : -1;
}

int
rtl_generator_rates_read(rtl_generator_t *chain, PyObject *args)
{
    Py_ssize_t n;
    PyObject *objects[3], *killing = Py_None;
    PyArrayObject *source = NULL, *target = NULL, *rates = NULL;
    rtl_monitor_t monitor = {0};
    size_t bad = 0;
    int status, result = -1;

    if (!PyArg_ParseTuple(
            args, "nOOO|O", &n, &objects[0], &objects[1], &objects[2], &killing)) {
        return -1;
    }
    if (n < 1) {
        PyErr_Format(PyExc_ValueError, "a chain needs at least 1 state, not %zd", n);
        return -1;
    }
    rates = rtl_arrays_input(objects[2], "rates", 1);
    if (rates != NULL) {
        source = index_array(objects[0], "source", PyArray_DIM(rates, 0));
    }
    if (source != NULL) {
        target = index_array(objects[1], "target", PyArray_DIM(rates, 0));
    }
    if (target == NULL) {
        goto out;
    }
    rtl_callbacks_monitor(&monitor, Py_None);
    Py_BEGIN_ALLOW_THREADS
    status = rtl_generator_from_rates(chain, (size_t) n, (size_t) PyArray_DIM(rates, 0),
        PyArray_DATA(source), PyArray_DATA(target), rtl_arrays_data(rates), &bad,
        &monitor);
    Py_END_ALLOW_THREADS
    if (status != 0) {
        raise_bad_rate(status, bad, source, target, rates);
        goto out;
    }
    result = take_killing(chain, killing);
    if (result < 0) {
        rtl_generator_free(chain);
    }
out:
    Py_XDECREF(source);
    Py_XDECREF(target);
    Py_XDECREF(rates);
    return result;
}
