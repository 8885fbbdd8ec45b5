/* SPDX-License-Identifier: MIT */
/* What is said about a chain or a model besides its steady state: responses, bounds by
 * paths, the certificate, the moment closure. */
#include "binding.h"
#include "certificate.h"
#include "closure.h"
#include "generator_type.h"
#include "grid_type.h"
#include "model_type.h"
#include "paths.h"
#include "response.h"

/* An array (n,) or NULL with an exception. */
static PyArrayObject *
line(PyObject *value, const char *name, size_t n)
{
    PyArrayObject *array = rtl_arrays_input(value, name, 1);

    if (array != NULL && rtl_arrays_check_length(array, name, 0, (npy_intp) n) < 0) {
        Py_CLEAR(array);
    }
    return array;
}

/* response_rates(generator, p, adjoint) -> (n_entries,) */
static PyObject *
core_response_rates(PyObject *module, PyObject *args)
{
    rtl_state_t *state = rtl_module_state(module);
    PyObject *generator, *p_object, *adjoint_object;
    PyArrayObject *p = NULL, *adjoint = NULL, *out = NULL;

    if (!PyArg_ParseTuple(args, "O!OO:response_rates", state->generator_type,
            &generator, &p_object, &adjoint_object)) {
        return NULL;
    }
    const rtl_generator_t *chain = rtl_generator_type_get(generator);
    npy_intp n_entries = (npy_intp) chain->n_entries;
    p = line(p_object, "p", chain->n);
    adjoint = p == NULL ? NULL : line(adjoint_object, "adjoint", chain->n);
    out = adjoint == NULL ? NULL : rtl_arrays_new(1, &n_entries);
    if (out != NULL) {
        Py_BEGIN_ALLOW_THREADS;
        rtl_response_rates(
            chain, rtl_arrays_data(p), rtl_arrays_data(adjoint), rtl_arrays_data(out));
        Py_END_ALLOW_THREADS;
    }
    Py_XDECREF(p);
    Py_XDECREF(adjoint);
    return (PyObject *) out;
}

/* response_fields(model, grid, p, adjoint) -> (diffusion, drift), (dim, n_cells) each
 */
static PyObject *
core_response_fields(PyObject *module, PyObject *args)
{
    rtl_state_t *state = rtl_module_state(module);
    PyObject *model, *grid, *objects[2], *result = NULL;
    PyArrayObject *p = NULL, *adjoint = NULL, *diffusion = NULL, *drift = NULL;
    rtl_monitor_t monitor;
    rtl_fault_t fault = {0};
    int status;

    if (!PyArg_ParseTuple(args, "O!O!OO:response_fields", state->model_type, &model,
            state->grid_type, &grid, &objects[0], &objects[1])) {
        return NULL;
    }
    const rtl_model_t *m = rtl_model_type_get(model);
    const rtl_grid_t *g = rtl_grid_type_get(grid);
    npy_intp shape[2] = {(npy_intp) g->dim, (npy_intp) g->n_cells};
    p = line(objects[0], "p", g->n_cells);
    adjoint = p == NULL ? NULL : line(objects[1], "adjoint", g->n_cells);
    diffusion = adjoint == NULL ? NULL : rtl_arrays_new(2, shape);
    drift = diffusion == NULL ? NULL : rtl_arrays_new(2, shape);
    if (drift == NULL) {
        goto out;
    }
    const double *p_data = rtl_arrays_data(p), *a_data = rtl_arrays_data(adjoint);
    double *by_diffusion = rtl_arrays_data(diffusion);
    double *by_drift = rtl_arrays_data(drift);
    rtl_callbacks_monitor(&monitor, Py_None);
    Py_BEGIN_ALLOW_THREADS;
    status = rtl_response_fields(
        m, g, p_data, a_data, by_diffusion, by_drift, &monitor, &fault);
    Py_END_ALLOW_THREADS;
    result = status == 0 ? PyTuple_Pack(2, diffusion, drift)
                         : rtl_module_raise(status, &fault);
out:
    Py_XDECREF(p);
    Py_XDECREF(adjoint);
    Py_XDECREF(diffusion);
    Py_XDECREF(drift);
    return result;
}

static const char *const outcome_names[] = {
    [RTL_PATHS_FOUND] = "found",
    [RTL_PATHS_ONE_WAY] = "one-way",
    [RTL_PATHS_UNREACHABLE] = "unreachable",
    [RTL_PATHS_TOO_MANY] = "too many",
};

/* path_bounds(generator, x, y) -> dict */
static PyObject *
core_path_bounds(PyObject *module, PyObject *args)
{
    rtl_state_t *state = rtl_module_state(module);
    PyObject *generator;
    Py_ssize_t x, y;
    rtl_monitor_t monitor;
    rtl_paths_t out;
    int status;

    if (!PyArg_ParseTuple(
            args, "O!nn:path_bounds", state->generator_type, &generator, &x, &y)) {
        return NULL;
    }
    const rtl_generator_t *chain = rtl_generator_type_get(generator);
    rtl_callbacks_monitor(&monitor, Py_None);
    Py_BEGIN_ALLOW_THREADS;
    status = rtl_paths_bounds(chain, (size_t) x, (size_t) y, &monitor, &out);
    Py_END_ALLOW_THREADS;
    if (status != 0) {
        return rtl_module_raise(status, NULL);
    }
    return Py_BuildValue("{s:s,s:d,s:d,s:n,s:n,s:n,s:n,s:n}", "outcome",
        outcome_names[out.outcome], "low", out.low, "high", out.high, "from",
        (Py_ssize_t) out.from, "to", (Py_ssize_t) out.to, "states",
        (Py_ssize_t) out.states, "n_parts", (Py_ssize_t) out.n_parts, "n_potential",
        (Py_ssize_t) out.n_potential);
}

/* certificate(generator) -> (imbalance, dobrushin) */
static PyObject *
core_certificate(PyObject *module, PyObject *generator)
{
    rtl_state_t *state = rtl_module_state(module);
    rtl_monitor_t monitor;
    rtl_certificate_t out;
    int status;

    if (!PyObject_TypeCheck(generator, state->generator_type)) {
        return PyErr_Format(PyExc_TypeError,
            "generator must be a _core.Generator, not %.200s",
            Py_TYPE(generator)->tp_name);
    }
    const rtl_generator_t *chain = rtl_generator_type_get(generator);
    rtl_callbacks_monitor(&monitor, Py_None);
    Py_BEGIN_ALLOW_THREADS;
    status = rtl_certificate_evaluate(chain, &monitor, &out);
    Py_END_ALLOW_THREADS;
    if (status != 0) {
        return rtl_module_raise(status, NULL);
    }
    return Py_BuildValue("dd", out.imbalance, out.dobrushin);
}

/* closure(rattling, change, volume, guess, reach, step) -> gamma */
static PyObject *
core_closure(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *objects[3], *result = NULL;
    PyArrayObject *r = NULL, *change = NULL, *volume = NULL;
    double guess, reach, step, gamma;
    rtl_monitor_t monitor;
    int status;

    if (!PyArg_ParseTuple(args, "OOOddd:closure", &objects[0], &objects[1], &objects[2],
            &guess, &reach, &step)) {
        return NULL;
    }
    r = rtl_arrays_input(objects[0], "rattling", 1);
    if (r == NULL) {
        return NULL;
    }
    size_t n = (size_t) PyArray_DIM(r, 0);
    change = line(objects[1], "change", n);
    volume = change == NULL ? NULL : line(objects[2], "volume", n);
    if (volume == NULL) {
        goto out;
    }
    rtl_callbacks_monitor(&monitor, Py_None);
    Py_BEGIN_ALLOW_THREADS;
    status = rtl_closure_solve(n, rtl_arrays_data(r), rtl_arrays_data(change),
        rtl_arrays_data(volume), guess, reach, step, &monitor, &gamma);
    Py_END_ALLOW_THREADS;
    result = status == 0 ? PyFloat_FromDouble(gamma) : rtl_module_raise(status, NULL);
out:
    Py_XDECREF(r);
    Py_XDECREF(change);
    Py_XDECREF(volume);
    return result;
}

PyMethodDef rtl_analysis_functions[] = {
    {"response_rates", core_response_rates, METH_VARARGS,
        "response_rates(generator, p, adjoint, /)\n--\n\nd/d log w of each entry."},
    {"response_fields", core_response_fields, METH_VARARGS,
        "response_fields(model, grid, p, adjoint, /)\n--\n\n"
        "(diffusion, drift), (dim, n) each."},
    {"path_bounds", core_path_bounds, METH_VARARGS,
        "path_bounds(generator, x, y, /)\n--\n\nBounds on log pi(x)/pi(y), as a dict."},
    {"certificate", core_certificate, METH_O,
        "certificate(generator, /)\n--\n\n(imbalance, Dobrushin coefficient)."},
    {"closure", core_closure, METH_VARARGS,
        "closure(rattling, change, volume, guess, reach, step, /)\n--\n\n"
        "gamma, or nan."},
    {NULL, NULL, 0, NULL},
};
