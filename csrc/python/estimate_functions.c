/* SPDX-License-Identifier: MIT */
/* Windows of one path, and the statistics of log det. */
#include "binding.h"

#include "estimate.h"

/* windowed(x, dt, rows, stride, displacement, n_windows, progress,
 * threads=1) -> (n_windows,) */
static PyObject *
estimate_windowed(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *value, *progress;
    Py_ssize_t rows, stride, n_windows, threads = 1;
    int displacement, status = 0;
    double dt;
    rtl_monitor_t monitor;

    if (!PyArg_ParseTuple(args, "OdnninO|n", &value, &dt, &rows, &stride, &displacement,
            &n_windows, &progress, &threads)) {
        return NULL;
    }
    if (rows < 1 || stride < 1 || n_windows < 0) {
        return PyErr_Format(PyExc_ValueError,
            "rows and stride must be at least 1, n_windows must not be negative; got "
            "%zd, %zd, %zd",
            rows, stride, n_windows);
    }
    PyArrayObject *x = rtl_arrays_input(value, "x", 2);
    if (x == NULL) {
        return NULL;
    }
    const rtl_estimate_windows_t windows = {
        .x = rtl_arrays_data(x),
        .n_times = (size_t) PyArray_DIM(x, 0),
        .dim = (size_t) PyArray_DIM(x, 1),
        .dt = dt,
        .rows = (size_t) rows,
        .stride = (size_t) stride,
        .displacement = displacement == RTL_INCREMENTS ? RTL_INCREMENTS : RTL_SQRT_TIME,
        .n_threads = threads > 1 ? (size_t) threads : 1,
    };
    npy_intp n = n_windows;
    PyArrayObject *out = rtl_arrays_new(1, &n);
    if (out != NULL) {
        double *rattling = rtl_arrays_data(out);
        rtl_callbacks_monitor(&monitor, progress);
        Py_BEGIN_ALLOW_THREADS;
        status = rtl_estimate_windowed(&windows, (size_t) n, rattling, &monitor);
        Py_END_ALLOW_THREADS;
        if (status != 0) {
            Py_CLEAR(out);
            rtl_module_raise(status, NULL);
        }
    }
    Py_DECREF(x);
    return (PyObject *) out;
}

/* log_det_law(dim, dof) -> (bias, variance) */
static PyObject *
estimate_log_det_law(PyObject *Py_UNUSED(module), PyObject *args)
{
    Py_ssize_t dim;
    double dof, bias, variance;

    if (!PyArg_ParseTuple(args, "nd", &dim, &dof)) {
        return NULL;
    }
    if (dim < 1 || dim > 1 << 16 || !(dof > (double) (dim - 1))) {
        PyErr_SetString(
            PyExc_ValueError, "dof must exceed dim - 1, dim be at most 65536");
        return NULL;
    }
    rtl_estimate_log_det_law((size_t) dim, dof, &bias, &variance);
    return Py_BuildValue("dd", bias, variance);
}

PyMethodDef rtl_estimate_functions[] = {
    {"windowed", estimate_windowed, METH_VARARGS,
        "windowed(x, dt, rows, stride, displacement, n_windows, progress, "
        "threads=1, /)\n--\n\n"
        "R of windows of one path (n_times, dim); displacement 0: over the square\n"
        "root of time, 1: increments."},
    {"log_det_law", estimate_log_det_law, METH_VARARGS,
        "log_det_law(dim, dof, /)\n--\n\n"
        "Bias and variance of half the log det of a sample covariance."},
    {NULL, NULL, 0, NULL},
};
