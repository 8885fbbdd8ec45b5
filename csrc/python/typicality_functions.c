/* SPDX-License-Identifier: MIT */
/* Arrays in, typicality scores out. */
#include "binding.h"
#include "typicality.h"

enum { LOG_P, RATTLING, VOLUME, WEIGHTS, ERROR, N_ARRAYS };

static const char *const array_names[N_ARRAYS] = {
    "log_p", "rattling", "volume", "weights", "stderr"};

static PyObject *
scores_as_dict(const rtl_typicality_t *scores, PyArrayObject *residual)
{
    return Py_BuildValue("{s:d,s:d,s:d,s:d,s:d,s:d,s:d,s:d,s:d,s:d,s:n,s:s,s:O}",
        "gamma", scores->gamma, "gamma_stderr", scores->gamma_stderr, "gamma_kl",
        scores->gamma_kl, "correlation", scores->correlation, "spearman",
        scores->spearman, "kl", scores->kl, "kl_uniform", scores->kl_uniform,
        "kl_explained", scores->kl_explained, "total_variation",
        scores->total_variation, "reliability", scores->reliability, "n_used",
        (Py_ssize_t) scores->n_used, "reason",
        rtl_typicality_reason_text(scores->reason), "residual", residual);
}

/* typicality(log_p, rattling, volume, weights, stderr, by_probability) -> dict */
static PyObject *
core_typicality(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *objects[N_ARRAYS], *result = NULL;
    PyArrayObject *arrays[N_ARRAYS] = {NULL}, *residual = NULL;
    rtl_typicality_t scores;
    rtl_monitor_t monitor;
    int by_probability, status;

    if (!PyArg_ParseTuple(args, "OOOOOp:typicality", &objects[LOG_P],
            &objects[RATTLING], &objects[VOLUME], &objects[WEIGHTS], &objects[ERROR],
            &by_probability)) {
        return NULL;
    }
    if (rtl_arrays_columns(N_ARRAYS, VOLUME, objects, array_names, arrays) < 0) {
        goto out;
    }
    residual = rtl_arrays_new(1, PyArray_DIMS(arrays[LOG_P]));
    if (residual == NULL) {
        goto out;
    }
    rtl_typicality_input_t input = {.n = (size_t) PyArray_DIM(arrays[LOG_P], 0),
        .log_p = rtl_arrays_optional(arrays[LOG_P]),
        .rattling = rtl_arrays_optional(arrays[RATTLING]),
        .volume = rtl_arrays_optional(arrays[VOLUME]),
        .weights = rtl_arrays_optional(arrays[WEIGHTS]),
        .error = rtl_arrays_optional(arrays[ERROR]),
        .by_probability = by_probability != 0};
    double *out = rtl_arrays_data(residual);
    rtl_callbacks_monitor(&monitor, Py_None);
    Py_BEGIN_ALLOW_THREADS;
    status = rtl_typicality_evaluate(&input, &monitor, &scores, out);
    Py_END_ALLOW_THREADS;
    result = status == 0 ? scores_as_dict(&scores, residual)
                         : rtl_module_raise(status, NULL);
out:
    for (int k = 0; k < N_ARRAYS; k++) {
        Py_XDECREF(arrays[k]);
    }
    Py_XDECREF(residual);
    return result;
}

PyMethodDef rtl_typicality_functions[] = {
    {"typicality", core_typicality, METH_VARARGS,
        "typicality(log_p, rattling, volume, weights, stderr, by_probability, "
        "/)\n--\n\n"
        "Scores by name; weights that are no array are None."},
    {NULL, NULL, 0, NULL},
};
