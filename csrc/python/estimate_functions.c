/* SPDX-License-Identifier: MIT */
/* Estimators of rattling on arrays. */
#include "binding.h"

#include "bins.h"
#include "estimate.h"
#include "grid_type.h"
#include "local.h"

/* windowed(x, dt, rows, stride, displacement, n_windows, progress) -> (n_windows,) */
static PyObject *
estimate_windowed(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *value, *progress;
    Py_ssize_t rows, stride, n_windows;
    int displacement, status = 0;
    double dt;
    rtl_monitor_t monitor;

    if (!PyArg_ParseTuple(args, "OdnninO", &value, &dt, &rows, &stride, &displacement,
            &n_windows, &progress)) {
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

/* The tuple (rattling, error, covariance, drift, n_eff, count) of new arrays for n
 * places, and their memory in *out. */
static PyObject *
new_outputs(npy_intp n, npy_intp dim, rtl_bins_out_t *out)
{
    enum { N_OUT = 6 };
    npy_intp shape[] = {n, dim, dim};
    const int ndim[N_OUT] = {1, 1, 3, 2, 1, 1};
    double *data[N_OUT] = {NULL};
    PyObject *result = PyTuple_New(N_OUT);

    for (int k = 0; result != NULL && k < N_OUT; k++) {
        PyArrayObject *array = rtl_arrays_new(ndim[k], shape);
        if (array == NULL) {
            Py_CLEAR(result);
            break;
        }
        data[k] = rtl_arrays_data(array);
        PyTuple_SET_ITEM(result, k, (PyObject *) array);
    }
    *out = (rtl_bins_out_t) {data[0], data[1], data[2], data[3], data[4], data[5]};
    return result;
}

/* What a call needs alive while the core reads its paths. */
typedef struct {
    PyArrayObject *x, *period;
    rtl_bins_paths_t paths;
} paths_input_t;

static void
paths_release(paths_input_t *self)
{
    Py_CLEAR(self->x);
    Py_CLEAR(self->period);
}

static int
paths_read(
    paths_input_t *self, PyObject *x, double dt, PyObject *period, PyObject *lags)
{
    Py_ssize_t lag[2] = {0, 0};

    memset(self, 0, sizeof *self);
    if (!PyArg_ParseTuple(lags, "n|n", &lag[0], &lag[1])) {
        return -1;
    }
    if (lag[0] < 1 || lag[1] < 0) {
        PyErr_SetString(PyExc_ValueError, "lags must be at least 1");
        return -1;
    }
    self->x = rtl_arrays_input(x, "x", 3);
    self->period = self->x == NULL ? NULL : rtl_arrays_input(period, "period", 1);
    if (self->period == NULL || rtl_arrays_check_length(self->period, "period", 0,
                                    PyArray_DIM(self->x, 2)) < 0) {
        paths_release(self);
        return -1;
    }
    self->paths = (rtl_bins_paths_t) {
        .x = rtl_arrays_data(self->x),
        .n_paths = (size_t) PyArray_DIM(self->x, 0),
        .n_times = (size_t) PyArray_DIM(self->x, 1),
        .dim = (size_t) PyArray_DIM(self->x, 2),
        .dt = dt,
        .period = rtl_arrays_data(self->period),
        .n_lags = (size_t) PyTuple_GET_SIZE(lags),
        .lags = {(size_t) lag[0], (size_t) lag[1]},
    };
    return 0;
}

/* bins(x, dt, period, lags, grid, progress) */
static PyObject *
estimate_bins(PyObject *module, PyObject *args)
{
    PyObject *x, *period, *lags, *grid, *progress;
    paths_input_t input;
    rtl_bins_out_t out;
    rtl_monitor_t monitor;
    double dt;
    int status;

    if (!PyArg_ParseTuple(args, "OdOO!O!O", &x, &dt, &period, &PyTuple_Type, &lags,
            rtl_module_state(module)->grid_type, &grid, &progress) ||
        paths_read(&input, x, dt, period, lags) < 0) {
        return NULL;
    }
    const rtl_grid_t *g = rtl_grid_type_get(grid);
    PyObject *result = new_outputs((npy_intp) g->n_cells, (npy_intp) g->dim, &out);
    if (result != NULL) {
        rtl_callbacks_monitor(&monitor, progress);
        Py_BEGIN_ALLOW_THREADS
        status = rtl_bins_estimate(&input.paths, g, &out, &monitor);
        Py_END_ALLOW_THREADS
        if (status != 0) {
            Py_CLEAR(result);
            rtl_module_raise(status, NULL);
        }
    }
    paths_release(&input);
    return result;
}

/* local(x, dt, period, lags, points, bandwidth, threads, progress) */
static PyObject *
estimate_local(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *x, *period, *lags, *where, *width, *progress, *result = NULL;
    PyArrayObject *points = NULL, *bandwidth = NULL;
    Py_ssize_t threads;
    paths_input_t input;
    rtl_bins_out_t out;
    rtl_monitor_t monitor;
    double dt;
    int status;

    if (!PyArg_ParseTuple(args, "OdOO!OOnO", &x, &dt, &period, &PyTuple_Type, &lags,
            &where, &width, &threads, &progress) ||
        paths_read(&input, x, dt, period, lags) < 0) {
        return NULL;
    }
    npy_intp dim = (npy_intp) input.paths.dim;
    points = rtl_arrays_input(where, "points", 2);
    bandwidth = points == NULL ? NULL : rtl_arrays_input(width, "bandwidth", 1);
    if (bandwidth == NULL || rtl_arrays_check_length(points, "points", 1, dim) < 0 ||
        rtl_arrays_check_length(bandwidth, "bandwidth", 0, dim) < 0) {
        goto out;
    }
    const rtl_local_points_t at = {
        .n_points = (size_t) PyArray_DIM(points, 0),
        .points = rtl_arrays_data(points),
        .bandwidth = rtl_arrays_data(bandwidth),
        .n_threads = threads > 1 ? (size_t) threads : 1,
    };
    for (npy_intp k = 0; k < dim; k++) {
        if (!(at.bandwidth[k] > 0.0)) {
            PyErr_SetString(PyExc_ValueError, "bandwidth must be positive");
            goto out;
        }
    }
    result = new_outputs(PyArray_DIM(points, 0), dim, &out);
    if (result != NULL) {
        rtl_callbacks_monitor(&monitor, progress);
        Py_BEGIN_ALLOW_THREADS
        status = rtl_local_estimate(&input.paths, &at, &out, &monitor);
        Py_END_ALLOW_THREADS
        if (status != 0) {
            Py_CLEAR(result);
            rtl_module_raise(status, NULL);
        }
    }
out:
    Py_XDECREF(points);
    Py_XDECREF(bandwidth);
    paths_release(&input);
    return result;
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
    if (dim < 1 || !(dof > (double) (dim - 1))) {
        PyErr_SetString(PyExc_ValueError, "dof must exceed dim - 1");
        return NULL;
    }
    rtl_estimate_log_det_law((size_t) dim, dof, &bias, &variance);
    return Py_BuildValue("dd", bias, variance);
}

PyMethodDef rtl_estimate_functions[] = {
    {"windowed", estimate_windowed, METH_VARARGS,
        "windowed(x, dt, rows, stride, displacement, n_windows, progress)\n--\n\n"
        "R of windows of one path (n_times, dim); displacement 0: over the square\n"
        "root of time, 1: increments."},
    {"bins", estimate_bins, METH_VARARGS,
        "bins(x, dt, period, lags, grid, progress)\n--\n\n"
        "(rattling, error, covariance, drift, n_eff, count) of paths (n_paths, "
        "n_times, dim)\n"
        "on the cells of a grid."},
    {"local", estimate_local, METH_VARARGS,
        "local(x, dt, period, lags, points, bandwidth, threads, progress)\n--\n\n"
        "The same at points (n_points, dim), by local-linear regression."},
    {"log_det_law", estimate_log_det_law, METH_VARARGS,
        "log_det_law(dim, dof)\n--\n\n"
        "Bias and variance of half the log det of a sample covariance."},
    {NULL, NULL, 0, NULL},
};
