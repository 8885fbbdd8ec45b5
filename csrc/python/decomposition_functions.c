/* SPDX-License-Identifier: MIT */
/* Arrays in, the local and the global part of a steady state out. */
#include "binding.h"
#include "decomposition.h"

enum { LOG_P, LOG_CLOCK, VOLUME, WEIGHTS, N_ARRAYS };

static const char *const array_names[N_ARRAYS] = {
    "log_p", "log_clock", "volume", "weights"};

/* decomposition(log_p, log_clock, volume, weights) -> dict */
static PyObject *
core_decomposition(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *objects[N_ARRAYS], *result = NULL;
    PyArrayObject *arrays[N_ARRAYS] = {NULL}, *jump = NULL;
    rtl_decomposition_t d;
    rtl_monitor_t monitor;
    int status;

    if (!PyArg_ParseTuple(args, "OOOO:decomposition", &objects[LOG_P],
            &objects[LOG_CLOCK], &objects[VOLUME], &objects[WEIGHTS])) {
        return NULL;
    }
    if (rtl_arrays_columns(N_ARRAYS, VOLUME, objects, array_names, arrays) < 0) {
        goto out;
    }
    jump = rtl_arrays_new(1, PyArray_DIMS(arrays[LOG_P]));
    if (jump == NULL) {
        goto out;
    }
    rtl_decomposition_input_t input = {.n = (size_t) PyArray_DIM(arrays[LOG_P], 0),
        .log_p = rtl_arrays_optional(arrays[LOG_P]),
        .log_clock = rtl_arrays_optional(arrays[LOG_CLOCK]),
        .volume = rtl_arrays_optional(arrays[VOLUME]),
        .weights = rtl_arrays_optional(arrays[WEIGHTS])};
    double *out = rtl_arrays_data(jump);
    rtl_callbacks_monitor(&monitor, Py_None);
    Py_BEGIN_ALLOW_THREADS;
    status = rtl_decomposition_evaluate(&input, &monitor, &d, out);
    Py_END_ALLOW_THREADS;
    if (status != 0) {
        rtl_module_raise(status, NULL);
        goto out;
    }
    result = Py_BuildValue("{s:d,s:d,s:d,s:d,s:d,s:n,s:s,s:O}", "r", d.r, "rho_hat",
        d.rho_hat, "rho", d.rho, "gamma", d.gamma, "mismatch", d.mismatch, "n_used",
        (Py_ssize_t) d.n_used, "reason", rtl_decomposition_reason_text(d.reason),
        "log_jump", jump);
out:
    for (int k = 0; k < N_ARRAYS; k++) {
        Py_XDECREF(arrays[k]);
    }
    Py_XDECREF(jump);
    return result;
}

PyMethodDef rtl_decomposition_functions[] = {
    {"decomposition", core_decomposition, METH_VARARGS,
        "decomposition(log_p, log_clock, volume, weights, /)\n--\n\n"
        "Numbers by name and log psi; volume and weights that are no array are None."},
    {NULL, NULL, 0, NULL},
};
