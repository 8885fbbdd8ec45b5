/* SPDX-License-Identifier: MIT */
/* _core.Generator.steady, and what belongs to its answer: currents, entropy production.
 */
#include "generator_steady.h"

#include <math.h>
#include <stdbool.h>

#include "current.h"
#include "generator_type.h"
#include "grid_type.h"
#include "model_type.h"
#include "nested.h"
#include "steady.h"

enum { SHORTEST_SHARED = 1 << 14 }; /* states whose solution threads are hired for */

static const rtl_generator_object_t *
cast(PyObject *self)
{
    return (const rtl_generator_object_t *) self;
}

static PyObject *
info_dictionary(const rtl_steady_info_t *info, const rtl_nested_flux_t *flux,
    double escape_rate, double seconds)
{
    static const char *const methods[] = {
        "auto", "krylov", "direct", "closed-form", "sweeps"};
    npy_intp n_history = (npy_intp) info->n_history;
    PyObject *history = PyArray_SimpleNew(1, &n_history, NPY_DOUBLE);

    if (history == NULL) {
        return NULL;
    }
    memcpy(PyArray_DATA((PyArrayObject *) history), info->history,
        info->n_history * sizeof *info->history);
    return Py_BuildValue("{s:N,s:s,s:s,s:s,s:i,s:d,s:d,s:d,s:d,s:d,s:n,s:l,s:l,s:l,s:l,"
                         "s:n,s:d,s:n,s:s,s:O}",
        "history", history, "method", methods[info->method], "why", info->why, "flux",
        flux->log_mean ? "log-mean" : "exponential", "flux_rounds", flux->rounds,
        "flux_gain", flux->gain, "flux_defect", flux->defect, "discretisation_error",
        flux->error, "escape_rate", escape_rate, "residual", info->residual,
        "worst_state", (Py_ssize_t) info->worst, "warm_steps", info->warm_steps,
        "newton_steps", info->newton_steps, "krylov_iterations",
        info->krylov_iterations, "matrix_products", info->products, "levels",
        (Py_ssize_t) info->levels, "seconds", seconds, "peak_bytes",
        (Py_ssize_t) info->bytes, "message", info->message, "settled_late",
        flux->settled_late ? Py_True : Py_False);
}

/* What a solver is given and gives. */
typedef struct {
    rtl_steady_options_t options;
    bool has_guess, log_mean;
    double escape_rate;
    rtl_generator_t reweighted;
    rtl_steady_info_t info;
    rtl_nested_flux_t flux;
    rtl_fault_t fault;
} run_t;

/* By way of coarser grids where there is a model to put on them, and no better guess.
 */
static int
solve(const rtl_generator_object_t *self, run_t *run, double *y)
{
    const rtl_generator_t *chain = &self->chain;

    if (self->model == NULL || run->has_guess) {
        return rtl_escape_solve(
            chain, &run->options, run->has_guess, y, &run->escape_rate, &run->info);
    }
    const rtl_model_t *model = rtl_model_type_get(self->model);
    const rtl_grid_t *grid = rtl_grid_type_get(self->grid);
    if (chain->killing != NULL) {
        return rtl_nested_escape(chain, model, grid, &run->options, y,
            &run->escape_rate, &run->info, &run->fault);
    }
    return rtl_nested_solve(chain, model, grid, &run->options, y,
        run->log_mean ? &run->reweighted : NULL, &run->info, &run->flux, &run->fault);
}

/* A new array (n,): a copy of the guess, or zeros. */
static PyArrayObject *
guess_input(PyObject *initial, npy_intp n)
{
    PyArrayObject *guess = NULL;

    if (initial != Py_None) {
        guess = rtl_arrays_input(initial, "initial", 1);
        if (guess == NULL || rtl_arrays_check_length(guess, "initial", 0, n) < 0) {
            Py_XDECREF(guess);
            return NULL;
        }
    }
    PyArrayObject *y = rtl_arrays_new(1, &n);
    if (y != NULL && guess != NULL) {
        memcpy(rtl_arrays_data(y), rtl_arrays_data(guess), (size_t) n * sizeof(double));
    } else if (y != NULL) {
        memset(rtl_arrays_data(y), 0, (size_t) n * sizeof(double));
    }
    Py_XDECREF(guess);
    return y;
}

/* The chain of the logarithmic-mean flux, on the grid of `self`; steals `chain`. */
static PyObject *
reweighted_object(PyObject *self, rtl_generator_t *chain)
{
    if (chain->n == 0) {
        Py_RETURN_NONE;
    }
    rtl_generator_object_t *object = rtl_generator_type_empty(Py_TYPE(self));
    if (object == NULL) {
        rtl_generator_free(chain);
        return NULL;
    }
    object->chain = *chain;
    object->grid = Py_NewRef(cast(self)->grid);
    object->peclet = cast(self)->peclet;
    return (PyObject *) object;
}

static PyObject *
raise_unsolved(int status, const rtl_fault_t *fault)
{
    if (status == RTL_BAD_ARGUMENT) {
        PyErr_SetString(PyExc_ValueError, "method 'closed-form' needs a line or a "
                                          "ring: states linked to the next and "
                                          "the previous one alone, both ways");
        return NULL;
    }
    if (status == RTL_FILLS_IN) {
        PyErr_SetString(PyExc_ValueError,
            "method 'direct' would take too long or more than 4 GB for this chain: its "
            "states have too many neighbours; use method='auto' or 'krylov'");
        return NULL;
    }
    return rtl_module_raise(status, fault);
}

/* steady(rtol, method, initial or None, log_mean, threads, progress)
 * -> (log_p, converged, info, the reweighted chain or None) */
PyObject *
rtl_generator_steady(PyObject *self, PyObject *args)
{
    const rtl_generator_t *chain = rtl_generator_type_get(self);
    PyObject *initial, *progress;
    Py_ssize_t threads;
    int method, log_mean, status;
    rtl_monitor_t monitor = {0};
    run_t run = {.options = rtl_steady_defaults(), .flux = {.gain = NAN, .error = NAN}};

    if (!PyArg_ParseTuple(args, "diOpnO", &run.options.rtol, &method, &initial,
            &log_mean, &threads, &progress)) {
        return NULL;
    }
    if (!(run.options.rtol > 0.0) || method < RTL_STEADY_AUTO ||
        method > RTL_STEADY_CLOSED_FORM || threads < 1) {
        PyErr_SetString(
            PyExc_ValueError, "rtol, method or threads is out of its range");
        return NULL;
    }
    PyArrayObject *y = guess_input(initial, (npy_intp) chain->n);
    if (y == NULL) {
        return NULL;
    }
    run.options.method = (rtl_steady_method_t) method;
    run.options.team =
        (rtl_team_t) {.n_threads = (size_t) threads, .monitor = &monitor};
    run.has_guess = initial != Py_None;
    run.log_mean = log_mean != 0;
    rtl_callbacks_monitor(&monitor, progress);
    double start = rtl_monitor_clock();
    Py_BEGIN_ALLOW_THREADS
    if (threads > 1 && chain->n >= SHORTEST_SHARED) { /* NULL will do */
        run.options.team.crew = rtl_parallel_hire((size_t) threads);
    }
    status = solve(cast(self), &run, rtl_arrays_data(y));
    rtl_parallel_dismiss(run.options.team.crew);
    Py_END_ALLOW_THREADS
    if (status != 0 && status != RTL_NOT_CONVERGED) {
        Py_DECREF(y);
        rtl_generator_free(&run.reweighted);
        return raise_unsolved(status, &run.fault);
    }
    PyObject *dictionary = info_dictionary(
        &run.info, &run.flux, run.escape_rate, rtl_monitor_clock() - start);
    PyObject *other = reweighted_object(self, &run.reweighted);
    if (dictionary == NULL || other == NULL) {
        Py_XDECREF(dictionary);
        Py_XDECREF(other);
        Py_DECREF(y);
        return NULL;
    }
    return Py_BuildValue("NNNN", y, PyBool_FromLong(status == 0), dictionary, other);
}

/* --- at a given log p ------------------------------------------------------------- */

/* log_p as an array of the right length */
static PyArrayObject *
log_p_input(const rtl_generator_t *chain, PyObject *value)
{
    PyArrayObject *y = rtl_arrays_input(value, "log_p", 1);

    if (y != NULL && rtl_arrays_check_length(y, "log_p", 0, (npy_intp) chain->n) < 0) {
        Py_CLEAR(y);
    }
    return y;
}

/* residual(log_p, escape_rate, threads) -> (largest relative residual, where) */
PyObject *
rtl_generator_steady_residual(PyObject *self, PyObject *args)
{
    const rtl_generator_t *chain = rtl_generator_type_get(self);
    PyObject *value;
    Py_ssize_t threads;
    double escape_rate, residual;
    size_t worst = 0;
    rtl_monitor_t monitor = {0};

    if (!PyArg_ParseTuple(args, "Odn", &value, &escape_rate, &threads)) {
        return NULL;
    }
    if (threads < 1) {
        PyErr_SetString(PyExc_ValueError, "threads must be at least 1");
        return NULL;
    }
    PyArrayObject *y = log_p_input(chain, value);
    if (y == NULL) {
        return NULL;
    }
    rtl_callbacks_monitor(&monitor, Py_None);
    rtl_team_t team = {.n_threads = (size_t) threads, .monitor = &monitor};
    Py_BEGIN_ALLOW_THREADS
    residual =
        rtl_steady_residual(chain, rtl_arrays_data(y), escape_rate, team, &worst);
    Py_END_ALLOW_THREADS
    Py_DECREF(y);
    int status = rtl_monitor_heed(&monitor, 0);
    if (status != 0) {
        return rtl_module_raise(status, NULL);
    }
    return Py_BuildValue("dn", residual, (Py_ssize_t) worst);
}

/* (log_p, threads=1) as an array of the right length and a team. */
static PyArrayObject *
law_and_team(const rtl_generator_t *chain, PyObject *args, rtl_monitor_t *monitor,
    rtl_team_t *team)
{
    PyObject *value;
    Py_ssize_t threads = 1;

    if (!PyArg_ParseTuple(args, "O|n", &value, &threads)) {
        return NULL;
    }
    if (threads < 1) {
        PyErr_SetString(PyExc_ValueError, "threads must be at least 1");
        return NULL;
    }
    rtl_callbacks_monitor(monitor, Py_None);
    *team = (rtl_team_t) {.n_threads = (size_t) threads, .monitor = monitor};
    return log_p_input(chain, value);
}

/* entropy_production(log_p, threads=1) -> (n,) */
PyObject *
rtl_generator_steady_entropy_production(PyObject *self, PyObject *args)
{
    const rtl_generator_t *chain = rtl_generator_type_get(self);
    npy_intp n = (npy_intp) chain->n;
    rtl_monitor_t monitor = {0};
    rtl_team_t team;
    PyArrayObject *y = law_and_team(chain, args, &monitor, &team);
    PyArrayObject *sigma = y == NULL ? NULL : rtl_arrays_new(1, &n);
    int status = 0;

    if (sigma != NULL) {
        Py_BEGIN_ALLOW_THREADS
        status = rtl_current_entropy_production(
            chain, rtl_arrays_data(y), team, rtl_arrays_data(sigma));
        Py_END_ALLOW_THREADS
        status = rtl_monitor_heed(&monitor, status);
    }
    Py_XDECREF(y);
    if (status != 0) {
        Py_DECREF(sigma);
        return rtl_module_raise(status, NULL);
    }
    return (PyObject *) sigma;
}

/* face_currents(log_p, threads=1) -> a tuple with one array an axis */
PyObject *
rtl_generator_steady_face_currents(PyObject *self, PyObject *args)
{
    const rtl_generator_t *chain = rtl_generator_type_get(self);
    rtl_monitor_t monitor = {0};
    rtl_team_t team;
    PyArrayObject *y = law_and_team(chain, args, &monitor, &team);

    if (y == NULL) {
        return NULL;
    }
    if (cast(self)->grid == NULL) {
        PyErr_SetString(PyExc_ValueError, "a chain without a grid has no faces");
        Py_DECREF(y);
        return NULL;
    }
    const rtl_grid_t *grid = rtl_grid_type_get(cast(self)->grid);
    PyObject *out = PyTuple_New((Py_ssize_t) grid->dim);
    for (size_t k = 0; out != NULL && k < grid->dim; k++) {
        npy_intp shape[RTL_MAX_DIM];
        for (size_t a = 0; a < grid->dim; a++) {
            shape[a] = (npy_intp) (grid->shape[a] + (a == k ? 1 : 0));
        }
        PyArrayObject *faces = rtl_arrays_new((int) grid->dim, shape);
        if (faces == NULL) {
            Py_CLEAR(out);
            break;
        }
        Py_BEGIN_ALLOW_THREADS
        rtl_current_faces(
            chain, grid, rtl_arrays_data(y), k, team, rtl_arrays_data(faces));
        Py_END_ALLOW_THREADS
        PyTuple_SET_ITEM(out, (Py_ssize_t) k, (PyObject *) faces);
    }
    Py_DECREF(y);
    int status = out == NULL ? 0 : rtl_monitor_heed(&monitor, 0);
    if (status != 0) {
        Py_CLEAR(out);
        rtl_module_raise(status, NULL);
    }
    return out;
}
