/* SPDX-License-Identifier: MIT */
/* Estimators of rattling on arrays. */
#include "binding.h"

#include "bins.h"
#include "estimate.h"
#include "grid_type.h"

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

/* The tuple (rattling, error, covariance, drift, n_eff, count) on the cells of a grid.
 */
static PyObject *
run_bins(const rtl_bins_paths_t *paths, const rtl_grid_t *grid, PyObject *progress)
{
    npy_intp dim = (npy_intp) grid->dim;
    npy_intp shape[] = {(npy_intp) grid->n_cells, dim, dim};
    const int ndim[] = {1, 1, 3, 2, 1, 1};
    enum { N_OUT = 6 };
    double *data[N_OUT] = {NULL};
    PyObject *result = PyTuple_New(N_OUT);
    rtl_monitor_t monitor;
    int status = 0;

    for (int k = 0; result != NULL && k < N_OUT; k++) {
        PyArrayObject *array = rtl_arrays_new(ndim[k], shape);
        if (array == NULL) {
            Py_CLEAR(result);
            break;
        }
        data[k] = rtl_arrays_data(array);
        PyTuple_SET_ITEM(result, k, (PyObject *) array);
    }
    if (result == NULL) {
        return NULL;
    }
    const rtl_bins_out_t out = {data[0], data[1], data[2], data[3], data[4], data[5]};
    rtl_callbacks_monitor(&monitor, progress);
    Py_BEGIN_ALLOW_THREADS;
    status = rtl_bins_estimate(paths, grid, &out, &monitor);
    Py_END_ALLOW_THREADS;
    if (status != 0) {
        Py_DECREF(result);
        return rtl_module_raise(status, NULL);
    }
    return result;
}

/* bins(x, dt, period, lags, grid, progress) */
static PyObject *
estimate_bins(PyObject *module, PyObject *args)
{
    PyObject *x_value, *period_value, *lags, *grid, *progress, *result = NULL;
    Py_ssize_t lag[2] = {0, 0};
    double dt;

    if (!PyArg_ParseTuple(args, "OdOO!O!O", &x_value, &dt, &period_value, &PyTuple_Type,
            &lags, rtl_module_state(module)->grid_type, &grid, &progress)) {
        return NULL;
    }
    if (!PyArg_ParseTuple(lags, "n|n", &lag[0], &lag[1])) {
        return NULL;
    }
    if (lag[0] < 1 || lag[1] < 0) {
        PyErr_SetString(PyExc_ValueError, "lags must be at least 1");
        return NULL;
    }
    PyArrayObject *x = rtl_arrays_input(x_value, "x", 3);
    PyArrayObject *period = rtl_arrays_input(period_value, "period", 1);
    if (x != NULL && period != NULL &&
        rtl_arrays_check_length(period, "period", 0, PyArray_DIM(x, 2)) == 0) {
        const rtl_bins_paths_t paths = {
            .x = rtl_arrays_data(x),
            .n_paths = (size_t) PyArray_DIM(x, 0),
            .n_times = (size_t) PyArray_DIM(x, 1),
            .dim = (size_t) PyArray_DIM(x, 2),
            .dt = dt,
            .period = rtl_arrays_data(period),
            .n_lags = (size_t) PyTuple_GET_SIZE(lags),
            .lags = {(size_t) lag[0], (size_t) lag[1]},
        };
        result = run_bins(&paths, rtl_grid_type_get(grid), progress);
    }
    Py_XDECREF(period);
    Py_XDECREF(x);
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
    {"log_det_law", estimate_log_det_law, METH_VARARGS,
        "log_det_law(dim, dof)\n--\n\n"
        "Bias and variance of half the log det of a sample covariance."},
    {NULL, NULL, 0, NULL},
};
