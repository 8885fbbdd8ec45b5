/* SPDX-License-Identifier: MIT */
/* Estimators of rattling from the increments of paths. */
#include "binding.h"

#include "basis.h"
#include "bins.h"
#include "grid_type.h"
#include "local.h"

/* --- what all take ---------------------------------------------------------------- */

/* Increments and terms, and what keeps their memory alive. */
typedef struct {
    PyArrayObject *x, *time, *period, *begin, *end;
    rtl_increments_t increments;
    rtl_extrapolate_t terms;
} input_t;

static void
input_release(input_t *self)
{
    Py_CLEAR(self->x);
    Py_CLEAR(self->time);
    Py_CLEAR(self->period);
    Py_CLEAR(self->begin);
    Py_CLEAR(self->end);
}

/* A tuple of whole numbers of at most `most` entries; their number or -1. */
static Py_ssize_t
read_sizes(PyObject *tuple, const char *name, size_t most, size_t *out)
{
    Py_ssize_t n = PyTuple_GET_SIZE(tuple);

    if (n < 1 || n > (Py_ssize_t) most) {
        PyErr_Format(PyExc_ValueError, "%s must have 1 to %zu entries", name, most);
        return -1;
    }
    for (Py_ssize_t i = 0; i < n; i++) {
        out[i] = PyLong_AsSize_t(PyTuple_GET_ITEM(tuple, i));
        if (out[i] == (size_t) -1 && PyErr_Occurred()) {
            return -1;
        }
    }
    return n;
}

static PyArrayObject *
whole_numbers(PyObject *value)
{
    return (PyArrayObject *) PyArray_FROMANY(value, NPY_INTP, 1, 1, NPY_ARRAY_IN_ARRAY);
}

static int
read_arrays(input_t *self, PyObject *x, PyObject *begin, PyObject *end, PyObject *time,
    PyObject *period)
{
    if ((self->x = rtl_arrays_input(x, "x", 2)) == NULL ||
        (self->period = rtl_arrays_input(period, "period", 1)) == NULL ||
        (self->begin = whole_numbers(begin)) == NULL ||
        (self->end = whole_numbers(end)) == NULL ||
        rtl_arrays_check_length(self->period, "period", 0, PyArray_DIM(self->x, 1)) <
            0 ||
        rtl_arrays_check_length(self->end, "end", 0, PyArray_DIM(self->begin, 0)) < 0) {
        return -1;
    }
    if (time == Py_None) {
        return 0;
    }
    self->time = rtl_arrays_input(time, "time", 1);
    return self->time == NULL ? -1
                              : rtl_arrays_check_length(
                                    self->time, "time", 0, PyArray_DIM(self->x, 0));
}

/* Terms from tuples of the numbers of lags; minus is RTL_EXTRAPOLATE_NONE for none. */
static int
read_terms(input_t *self, PyObject *plus, PyObject *minus)
{
    rtl_extrapolate_t *terms = &self->terms;

    terms->dim = self->increments.dim;
    terms->n_lags = self->increments.n_lags;
    memcpy(terms->lags, self->increments.lags, sizeof terms->lags);
    Py_ssize_t n = read_sizes(plus, "plus", RTL_EXTRAPOLATE_TERMS, terms->plus);
    if (n < 0 || read_sizes(minus, "minus", RTL_EXTRAPOLATE_TERMS, terms->minus) < 0) {
        return -1;
    }
    terms->n_terms = (size_t) n;
    bool good = PyTuple_GET_SIZE(minus) == n;
    for (size_t j = 0; j < terms->n_terms; j++) {
        good = good && terms->plus[j] < terms->n_lags &&
               (terms->minus[j] < terms->plus[j] ||
                   terms->minus[j] == RTL_EXTRAPOLATE_NONE);
    }
    if (!good) {
        PyErr_SetString(PyExc_ValueError, "plus and minus must be numbers of lags");
        return -1;
    }
    return 0;
}

/* Sigma and the variances of its diagonal, (dim + 1, dim), or None. */
static int
read_noise(rtl_extrapolate_t *terms, PyObject *noise)
{
    size_t dim = terms->dim, twice = 2 * terms->lags[terms->plus[0]];
    bool found = false;

    if (noise == Py_None) {
        return 0;
    }
    for (size_t k = 0; k < terms->n_lags; k++) {
        found = found || terms->lags[k] == twice;
    }
    if (!found || terms->minus[0] != RTL_EXTRAPOLATE_NONE) {
        PyErr_SetString(
            PyExc_ValueError, "noise needs a lag twice the first, and no minus");
        return -1;
    }
    PyArrayObject *array = rtl_arrays_input(noise, "noise", 2);
    if (array == NULL ||
        rtl_arrays_check_length(array, "noise", 0, (npy_intp) dim + 1) < 0 ||
        rtl_arrays_check_length(array, "noise", 1, (npy_intp) dim) < 0) {
        Py_XDECREF(array);
        return -1;
    }
    const double *value = rtl_arrays_data(array);
    terms->known = true;
    memcpy(terms->noise, value, dim * dim * sizeof *value);
    memcpy(terms->noise_variance, value + dim * dim, dim * sizeof *value);
    Py_DECREF(array);
    return 0;
}

/* From the tuple (x, begin, end, time or None, dt, period, lags, plus, minus[, noise]).
 */
static int
input_read(input_t *self, PyObject *paths)
{
    PyObject *x, *begin, *end, *time, *period, *lags, *plus, *minus, *noise = Py_None;
    rtl_increments_t *out = &self->increments;
    double dt;

    memset(self, 0, sizeof *self);
    if (!PyArg_ParseTuple(paths, "OOOOdOO!O!O!|O", &x, &begin, &end, &time, &dt,
            &period, &PyTuple_Type, &lags, &PyTuple_Type, &plus, &PyTuple_Type, &minus,
            &noise)) {
        return -1;
    }
    Py_ssize_t n_lags = read_sizes(lags, "lags", RTL_INCREMENTS_LAGS, out->lags);
    if (n_lags < 0 || read_arrays(self, x, begin, end, time, period) < 0) {
        goto fail;
    }
    out->x = rtl_arrays_data(self->x);
    out->time = self->time == NULL ? NULL : rtl_arrays_data(self->time);
    out->begin = PyArray_DATA(self->begin);
    out->end = PyArray_DATA(self->end);
    out->n_states = (size_t) PyArray_DIM(self->x, 0);
    out->n_segments = (size_t) PyArray_DIM(self->begin, 0);
    out->dim = (size_t) PyArray_DIM(self->x, 1);
    out->dt = dt;
    out->period = rtl_arrays_data(self->period);
    out->n_lags = (size_t) n_lags;
    if (!rtl_increments_good(out)) {
        PyErr_SetString(
            PyExc_ValueError, "paths: a lag, dt, dimension or segment is out of range");
        goto fail;
    }
    if (read_terms(self, plus, minus) < 0 || read_noise(&self->terms, noise) < 0) {
        goto fail;
    }
    return 0;
fail:
    input_release(self);
    return -1;
}

enum { N_OUT = 8 };

/* A tuple of the first n_out of (rattling, error, covariance, drift, n_eff, count,
 * kurtosis, rung), new arrays for n places, and their memory. */
static PyObject *
new_outputs(npy_intp n, npy_intp dim, Py_ssize_t n_out, double *data[N_OUT])
{
    npy_intp shape[] = {n, dim, dim};
    const int ndim[N_OUT] = {1, 1, 3, 2, 1, 1, 1, 1};
    PyObject *result = PyTuple_New(n_out);

    for (Py_ssize_t k = 0; result != NULL && k < n_out; k++) {
        PyArrayObject *array = rtl_arrays_new(ndim[k], shape);
        if (array == NULL) {
            Py_CLEAR(result);
            return NULL;
        }
        data[k] = rtl_arrays_data(array);
        PyTuple_SET_ITEM(result, k, (PyObject *) array);
    }
    return result;
}

/* --- bins ------------------------------------------------------------------------- */

static npy_intp
bins_size(const rtl_bins_t *bins)
{
    const rtl_extrapolate_t *terms = &bins->terms;

    return (npy_intp) rtl_bins_size(
        terms->dim, terms->n_lags, terms->lags[terms->n_lags - 1], bins->uneven);
}

static rtl_bins_t
make_bins(const input_t *input, PyObject *grid, int scaled, Py_ssize_t threads)
{
    return (rtl_bins_t) {.terms = input->terms,
        .grid = rtl_grid_type_get(grid),
        .dt = input->increments.dt,
        .uneven = input->time != NULL,
        .scaled = scaled != 0,
        .n_threads = threads > 1 ? (size_t) threads : 1};
}

/* bin_sums(paths, grid, scaled, threads, progress) -> (n_cells, size) */
static PyObject *
estimate_bin_sums(PyObject *module, PyObject *args)
{
    PyObject *paths, *grid, *progress;
    Py_ssize_t threads;
    int scaled, status;
    input_t input;
    rtl_monitor_t monitor;

    if (!PyArg_ParseTuple(args, "O!O!pnO", &PyTuple_Type, &paths,
            rtl_module_state(module)->grid_type, &grid, &scaled, &threads, &progress) ||
        input_read(&input, paths) < 0) {
        return NULL;
    }
    const rtl_bins_t bins = make_bins(&input, grid, scaled, threads);
    npy_intp shape[] = {(npy_intp) bins.grid->n_cells, bins_size(&bins)};
    PyArrayObject *sums = (PyArrayObject *) PyArray_ZEROS(2, shape, NPY_DOUBLE, 0);
    if (sums != NULL) {
        double *data = rtl_arrays_data(sums);
        rtl_callbacks_monitor(&monitor, progress);
        Py_BEGIN_ALLOW_THREADS
        status = rtl_bins_sum(&bins, &input.increments, data, &monitor);
        Py_END_ALLOW_THREADS
        if (status != 0) {
            Py_CLEAR(sums);
            rtl_module_raise(status, NULL);
        }
    }
    input_release(&input);
    return (PyObject *) sums;
}

/* bins(paths, grid, scaled, sums) */
static PyObject *
estimate_bins(PyObject *module, PyObject *args)
{
    PyObject *paths, *grid, *value, *result = NULL;
    int scaled;
    double *o[N_OUT];
    input_t input;

    if (!PyArg_ParseTuple(args, "O!O!pO", &PyTuple_Type, &paths,
            rtl_module_state(module)->grid_type, &grid, &scaled, &value) ||
        input_read(&input, paths) < 0) {
        return NULL;
    }
    const rtl_bins_t bins = make_bins(&input, grid, scaled, 1);
    npy_intp n_cells = (npy_intp) bins.grid->n_cells, dim = (npy_intp) bins.terms.dim;
    PyArrayObject *sums = rtl_arrays_input(value, "sums", 2);
    if (sums != NULL && rtl_arrays_check_length(sums, "sums", 0, n_cells) == 0 &&
        rtl_arrays_check_length(sums, "sums", 1, bins_size(&bins)) == 0 &&
        (result = new_outputs(n_cells, dim, 7, o)) != NULL) {
        const rtl_bins_out_t out = {o[0], o[1], o[2], o[3], o[4], o[5], o[6]};
        const double *data = rtl_arrays_data(sums);
        rtl_monitor_t monitor;
        int status;
        rtl_callbacks_monitor(&monitor, Py_None);
        Py_BEGIN_ALLOW_THREADS
        status = rtl_bins_conclude(&bins, data, &out, &monitor);
        Py_END_ALLOW_THREADS
        if (status != 0) {
            Py_CLEAR(result);
            rtl_module_raise(status, NULL);
        }
    }
    Py_XDECREF(sums);
    input_release(&input);
    return result;
}

/* bin_counts(grid, x) -> (n_cells,) */
static PyObject *
estimate_bin_counts(PyObject *module, PyObject *args)
{
    PyObject *grid, *value;
    rtl_monitor_t monitor;
    int status;

    if (!PyArg_ParseTuple(
            args, "O!O", rtl_module_state(module)->grid_type, &grid, &value)) {
        return NULL;
    }
    const rtl_grid_t *g = rtl_grid_type_get(grid);
    PyArrayObject *x = rtl_arrays_input(value, "x", 2);
    if (x == NULL || rtl_arrays_check_length(x, "x", 1, (npy_intp) g->dim) < 0) {
        Py_XDECREF(x);
        return NULL;
    }
    npy_intp n_cells = (npy_intp) g->n_cells;
    PyArrayObject *count = (PyArrayObject *) PyArray_ZEROS(1, &n_cells, NPY_DOUBLE, 0);
    if (count != NULL) {
        rtl_callbacks_monitor(&monitor, Py_None);
        Py_BEGIN_ALLOW_THREADS
        status = rtl_bins_count(g, rtl_arrays_data(x), (size_t) PyArray_DIM(x, 0),
            rtl_arrays_data(count), &monitor);
        Py_END_ALLOW_THREADS
        if (status != 0) {
            Py_CLEAR(count);
            rtl_module_raise(status, NULL);
        }
    }
    Py_DECREF(x);
    return (PyObject *) count;
}

/* --- points ------------------------------------------------------------------------
 */

/* The arrays that say where to estimate. */
typedef struct {
    PyArrayObject *points, *bandwidth, *low, *rung; /* rung may be NULL */
} where_t;

static void
where_release(where_t *self)
{
    Py_CLEAR(self->points);
    Py_CLEAR(self->bandwidth);
    Py_CLEAR(self->low);
    Py_CLEAR(self->rung);
}

static int
where_read(where_t *self, npy_intp dim, PyObject *points, PyObject *bandwidth,
    PyObject *low, PyObject *rung)
{
    if ((self->points = rtl_arrays_input(points, "points", 2)) == NULL ||
        (self->bandwidth = rtl_arrays_input(bandwidth, "bandwidth", 1)) == NULL ||
        (self->low = rtl_arrays_input(low, "low", 1)) == NULL ||
        (rung != NULL && (self->rung = rtl_arrays_input(rung, "rung", 1)) == NULL) ||
        rtl_arrays_check_length(self->points, "points", 1, dim) < 0 ||
        rtl_arrays_check_length(self->bandwidth, "bandwidth", 0, dim) < 0 ||
        rtl_arrays_check_length(self->low, "low", 0, dim) < 0 ||
        (rung != NULL && rtl_arrays_check_length(self->rung, "rung", 0,
                             PyArray_DIM(self->points, 0)) < 0)) {
        return -1;
    }
    for (npy_intp k = 0; k < dim; k++) {
        if (!(rtl_arrays_data(self->bandwidth)[k] > 0.0)) {
            PyErr_SetString(PyExc_ValueError, "bandwidth must be positive");
            return -1;
        }
    }
    return 0;
}

static PyObject *
run_local(
    rtl_local_t *local, const input_t *input, const where_t *where, PyObject *progress)
{
    npy_intp n = PyArray_DIM(where->points, 0);
    double *o[N_OUT];
    rtl_monitor_t monitor;
    int status;

    local->terms = input->terms;
    local->n_points = (size_t) n;
    local->points = rtl_arrays_data(where->points);
    local->bandwidth = rtl_arrays_data(where->bandwidth);
    local->low = rtl_arrays_data(where->low);
    PyObject *result = new_outputs(n, (npy_intp) input->increments.dim, N_OUT, o);
    if (result != NULL) {
        const rtl_local_out_t out = {o[0], o[1], o[2], o[3], o[4], o[5], o[6], o[7]};
        memcpy(out.rung, rtl_arrays_data(where->rung), (size_t) n * sizeof(double));
        rtl_callbacks_monitor(&monitor, progress);
        Py_BEGIN_ALLOW_THREADS
        status = rtl_local_estimate(local, &input->increments, &out, &monitor);
        Py_END_ALLOW_THREADS
        if (status != 0) {
            Py_CLEAR(result);
            rtl_module_raise(status, NULL);
        }
    }
    return result;
}

/* local(paths, points, bandwidth, low, n_rungs, degree, scaled, rung, threads,
 *       progress) */
static PyObject *
estimate_local(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *paths, *points, *bandwidth, *low, *rung, *progress, *result = NULL;
    Py_ssize_t n_rungs, degree, threads;
    where_t where = {0};
    input_t input;
    int scaled;

    if (!PyArg_ParseTuple(args, "O!OOOnnpOnO", &PyTuple_Type, &paths, &points,
            &bandwidth, &low, &n_rungs, &degree, &scaled, &rung, &threads, &progress) ||
        input_read(&input, paths) < 0) {
        return NULL;
    }
    npy_intp dim = (npy_intp) input.increments.dim;
    if (where_read(&where, dim, points, bandwidth, low, rung) == 0) {
        rtl_local_t local = {.n_rungs = n_rungs < 1 ? 0 : (size_t) n_rungs,
            .degree = (size_t) degree, /* below 0: far too large */
            .scaled = scaled != 0,
            .n_threads = threads > 1 ? (size_t) threads : 1};
        result = run_local(&local, &input, &where, progress);
    }
    where_release(&where);
    input_release(&input);
    return result;
}

/* basis(paths, points, width, low, degree, scaled, progress) */
static PyObject *
estimate_basis(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *paths, *points, *width, *low, *progress, *result = NULL;
    Py_ssize_t degree;
    where_t where = {0};
    input_t input;
    int scaled, status;
    double *o[N_OUT];
    rtl_monitor_t monitor;

    if (!PyArg_ParseTuple(args, "O!OOOnpO", &PyTuple_Type, &paths, &points, &width,
            &low, &degree, &scaled, &progress) ||
        input_read(&input, paths) < 0) {
        return NULL;
    }
    npy_intp dim = (npy_intp) input.increments.dim;
    if (where_read(&where, dim, points, width, low, NULL) == 0) {
        npy_intp n = PyArray_DIM(where.points, 0);
        const rtl_basis_t basis = {.terms = input.terms,
            .n_points = (size_t) n,
            .points = rtl_arrays_data(where.points),
            .width = rtl_arrays_data(where.bandwidth),
            .low = rtl_arrays_data(where.low),
            .degree = (size_t) degree, /* below 0: far too large */
            .scaled = scaled != 0};
        result = new_outputs(n, dim, 7, o);
        if (result != NULL) {
            const rtl_basis_out_t out = {o[0], o[1], o[2], o[3], o[4], o[5], o[6]};
            rtl_callbacks_monitor(&monitor, progress);
            Py_BEGIN_ALLOW_THREADS
            status = rtl_basis_estimate(&basis, &input.increments, &out, &monitor);
            Py_END_ALLOW_THREADS
            if (status != 0) {
                Py_CLEAR(result);
                rtl_module_raise(status, NULL);
            }
        }
    }
    where_release(&where);
    input_release(&input);
    return result;
}

PyMethodDef rtl_increment_functions[] = {
    {"bin_sums", estimate_bin_sums, METH_VARARGS,
        "bin_sums(paths, grid, scaled, threads, progress, /)\n--\n\n"
        "What `bins` needs of increments, (n_cells, size); sums of sums will do. paths "
        "is\n"
        "(x, begin, end, time or None, dt, period, lags, plus, minus[, noise])."},
    {"bins", estimate_bins, METH_VARARGS,
        "bins(paths, grid, scaled, sums, /)\n--\n\n"
        "(rattling, error, covariance, drift, n_eff, count, kurtosis) on the cells of "
        "a "
        "grid."},
    {"bin_counts", estimate_bin_counts, METH_VARARGS,
        "bin_counts(grid, x, /)\n--\n\nHow many of the points (n, dim) lie in each "
        "cell."},
    {"local", estimate_local, METH_VARARGS,
        "local(paths, points, bandwidth, low, n_rungs, degree, scaled, rung, threads, "
        "progress, /)\n--\n\n"
        "As bins, and the rung of each, at points (n_points, dim), by local polynomial "
        "regression."},
    {"basis", estimate_basis, METH_VARARGS,
        "basis(paths, points, width, low, degree, scaled, progress, /)\n--\n\n"
        "As bins, at points (n_points, dim), by global polynomials."},
    {NULL, NULL, 0, NULL},
};
