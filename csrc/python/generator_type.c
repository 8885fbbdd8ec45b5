/* SPDX-License-Identifier: MIT */
/* _core.Generator: owns an rtl_generator_t; immutable. One from a model and a grid
 * keeps both, for the coarser grids that the steady state starts from. */
#include "generator_type.h"

#include "finite_volume.h"
#include "generator_rates.h"
#include "generator_steady.h"
#include "grid_type.h"
#include "model_type.h"

static rtl_generator_object_t *
cast(PyObject *self)
{
    return (rtl_generator_object_t *) self;
}

const rtl_generator_t *
rtl_generator_type_get(PyObject *self)
{
    return &cast(self)->chain;
}

/* --- making ----------------------------------------------------------------------- */

rtl_generator_object_t *
rtl_generator_type_empty(PyTypeObject *type)
{
    return (rtl_generator_object_t *) type->tp_alloc(type, 0);
}

/* from_model(model, grid, threads, progress) */
static PyObject *
generator_from_model(PyObject *type, PyObject *args)
{
    PyObject *model, *grid, *progress;
    Py_ssize_t threads;
    rtl_state_t *state;
    rtl_monitor_t monitor = {0};
    rtl_fault_t fault = {0};
    int status;

    state = PyType_GetModuleState((PyTypeObject *) type);
    if (state == NULL || !PyArg_ParseTuple(args, "O!O!nO", state->model_type, &model,
                             state->grid_type, &grid, &threads, &progress)) {
        return NULL;
    }
    if (threads < 1) {
        PyErr_SetString(PyExc_ValueError, "threads must be at least 1");
        return NULL;
    }
    const rtl_model_t *m = rtl_model_type_get(model);
    const rtl_grid_t *g = rtl_grid_type_get(grid);
    if (m->dim != g->dim) {
        return PyErr_Format(PyExc_ValueError,
            "the model has %zu dimension%s, but the grid has %zu", m->dim,
            m->dim == 1 ? "" : "s", g->dim);
    }
    rtl_generator_object_t *self = rtl_generator_type_empty(state->generator_type);
    if (self == NULL) {
        return NULL;
    }
    self->model = Py_NewRef(model);
    self->grid = Py_NewRef(grid);
    rtl_callbacks_monitor(&monitor, progress);
    Py_BEGIN_ALLOW_THREADS
    status = rtl_finite_volume_assemble(
        &self->chain, m, g, &self->peclet, (size_t) threads, &monitor, &fault);
    Py_END_ALLOW_THREADS
    if (status == 0 && self->chain.oblique && rtl_grid_largest_ratio(g) > 1.25) {
        status = RTL_UNEVEN;
    }
    if (status != 0) {
        Py_DECREF(self);
        return rtl_module_raise(status, &fault);
    }
    return (PyObject *) self;
}

/* from_rates(n, source, target, rates, killing=None) */
static PyObject *
generator_from_rates(PyObject *type, PyObject *args)
{
    rtl_generator_object_t *self = rtl_generator_type_empty((PyTypeObject *) type);

    if (self != NULL && rtl_generator_rates_read(&self->chain, args) < 0) {
        Py_CLEAR(self);
    }
    return (PyObject *) self;
}

/* The model may hold functions that hold this. Immutable: see model_type.c. */
static int
generator_traverse(PyObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(cast(self)->model);
    Py_VISIT(cast(self)->grid);
    return 0;
}

static void
generator_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);

    PyObject_GC_UnTrack(self);
    rtl_generator_free(&cast(self)->chain);
    Py_XDECREF(cast(self)->model);
    Py_XDECREF(cast(self)->grid);
    type->tp_free(self);
    Py_DECREF(type);
}

/* --- reading ---------------------------------------------------------------------- */

static PyObject *
copy_out(const void *data, size_t n, int type, size_t size)
{
    npy_intp length = (npy_intp) n;
    PyObject *array = PyArray_SimpleNew(1, &length, type);

    if (array != NULL && n > 0) {
        memcpy(PyArray_DATA((PyArrayObject *) array), data, n * size);
    }
    return array;
}

/* rows() -> (start, source, rate): W without its diagonal, by rows */
static PyObject *
generator_rows(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    const rtl_generator_t *chain = rtl_generator_type_get(self);
    PyObject *start = copy_out(chain->start, chain->n + 1, NPY_INTP, sizeof(size_t));
    PyObject *source =
        copy_out(chain->source, chain->n_entries, NPY_INT32, sizeof(int32_t));
    PyObject *rate =
        copy_out(chain->rate, chain->n_entries, NPY_DOUBLE, sizeof(double));
    PyObject *rows = NULL;

    if (start != NULL && source != NULL && rate != NULL) {
        rows = PyTuple_Pack(3, start, source, rate);
    }
    Py_XDECREF(start);
    Py_XDECREF(source);
    Py_XDECREF(rate);
    return rows;
}

static PyObject *
generator_exit_rates(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    const rtl_generator_t *chain = rtl_generator_type_get(self);
    return copy_out(chain->exit_rate, chain->n, NPY_DOUBLE, sizeof(double));
}

/* killing() -> (n,) */
static PyObject *
generator_killing(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    const rtl_generator_t *chain = rtl_generator_type_get(self);
    npy_intp n = (npy_intp) chain->n;

    if (chain->killing == NULL) {
        return PyArray_ZEROS(1, &n, NPY_DOUBLE, 0);
    }
    return copy_out(chain->killing, chain->n, NPY_DOUBLE, sizeof(double));
}

/* apply(p) -> W p */
static PyObject *
generator_apply(PyObject *self, PyObject *value)
{
    const rtl_generator_t *chain = rtl_generator_type_get(self);
    npy_intp n = (npy_intp) chain->n;
    PyArrayObject *p = rtl_arrays_input(value, "p", 1), *out = NULL;

    if (p != NULL && rtl_arrays_check_length(p, "p", 0, n) == 0) {
        out = rtl_arrays_new(1, &n);
    }
    if (out != NULL) {
        Py_BEGIN_ALLOW_THREADS
        rtl_generator_apply(chain, rtl_arrays_data(p), rtl_arrays_data(out));
        Py_END_ALLOW_THREADS
    }
    Py_XDECREF(p);
    return (PyObject *) out;
}

/* recurrent_classes() -> (labels, number): labels are -1 where transient */
static PyObject *
generator_recurrent_classes(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    const rtl_generator_t *chain = rtl_generator_type_get(self);
    npy_intp n = (npy_intp) chain->n;
    size_t n_classes = 0;
    int status;
    PyObject *labels = PyArray_SimpleNew(1, &n, NPY_INT32);
    rtl_monitor_t monitor = {0};

    if (labels == NULL) {
        return NULL;
    }
    rtl_callbacks_monitor(&monitor, Py_None);
    Py_BEGIN_ALLOW_THREADS
    status = rtl_generator_recurrent_classes(
        chain, PyArray_DATA((PyArrayObject *) labels), &n_classes, &monitor);
    Py_END_ALLOW_THREADS
    if (status != 0) {
        Py_DECREF(labels);
        return rtl_module_raise(status, NULL);
    }
    return Py_BuildValue("Nn", labels, (Py_ssize_t) n_classes);
}

/* restrict(states) -> the chain on these states (int32, increasing) */
static PyObject *
generator_restrict(PyObject *self, PyObject *value)
{
    const rtl_generator_t *chain = rtl_generator_type_get(self);
    PyArrayObject *keep =
        (PyArrayObject *) PyArray_FROMANY(value, NPY_INT32, 1, 1, NPY_ARRAY_IN_ARRAY);
    if (keep == NULL) {
        return NULL;
    }
    npy_intp n = PyArray_DIM(keep, 0);
    const int32_t *states = PyArray_DATA(keep);
    if (n < 1) {
        Py_DECREF(keep);
        return PyErr_Format(PyExc_ValueError, "states must name at least one state");
    }
    for (npy_intp i = 0; i < n; i++) {
        if (states[i] < 0 || (size_t) states[i] >= chain->n ||
            (i > 0 && states[i] <= states[i - 1])) {
            Py_DECREF(keep);
            PyErr_SetString(
                PyExc_ValueError, "states must be increasing numbers of states");
            return NULL;
        }
    }
    rtl_generator_object_t *part = rtl_generator_type_empty(Py_TYPE(self));
    if (part != NULL) {
        int status;
        Py_BEGIN_ALLOW_THREADS
        status = rtl_generator_restrict(&part->chain, chain, states, (size_t) n);
        Py_END_ALLOW_THREADS
        if (status != 0) {
            Py_CLEAR(part);
            rtl_module_raise(status, NULL);
        }
    }
    Py_DECREF(keep);
    return (PyObject *) part;
}

/* --- attributes ------------------------------------------------------------------ */

static PyObject *
generator_peclet(PyObject *self, void *Py_UNUSED(closure))
{
    return PyFloat_FromDouble(cast(self)->peclet);
}

static PyObject *
generator_added_diffusion(PyObject *self, void *Py_UNUSED(closure))
{
    return PyFloat_FromDouble(cast(self)->chain.added_diffusion);
}

static PyObject *
generator_upwind_links(PyObject *self, void *Py_UNUSED(closure))
{
    return PyLong_FromSize_t(cast(self)->chain.n_upwind);
}

static PyObject *
generator_size(PyObject *self, void *Py_UNUSED(closure))
{
    return PyLong_FromSize_t(cast(self)->chain.n);
}

static PyMethodDef generator_methods[] = {
    {"from_model", generator_from_model, METH_VARARGS | METH_CLASS,
        "from_model(model, grid, threads, progress)"},
    {"from_rates", generator_from_rates, METH_VARARGS | METH_CLASS,
        "from_rates(n, source, target, rates, killing=None)"},
    {"rows", generator_rows, METH_NOARGS, "(start, source, rate) of W by rows."},
    {"exit_rates", generator_exit_rates, METH_NOARGS, "Exit rates, (n,)."},
    {"killing", generator_killing, METH_NOARGS, "Rates of leaving for good, (n,)."},
    {"apply", generator_apply, METH_O, "apply(p): W p."},
    {"recurrent_classes", generator_recurrent_classes, METH_NOARGS,
        "(labels, number of recurrent classes); -1 labels transient states."},
    {"restrict", generator_restrict, METH_O, "restrict(states): the chain on them."},
    {"steady", rtl_generator_steady, METH_VARARGS,
        "steady(rtol, method, initial, log_mean, threads, progress) -> (log_p, "
        "converged, info, "
        "reweighted)"},
    {"residual", rtl_generator_steady_residual, METH_VARARGS,
        "residual(log_p, escape_rate, threads): the largest relative residual, and "
        "where."},
    {"entropy_production", rtl_generator_steady_entropy_production, METH_VARARGS,
        "entropy_production(log_p, threads=1): by state, (n,)."},
    {"face_currents", rtl_generator_steady_face_currents, METH_VARARGS,
        "face_currents(log_p, threads=1): one array an axis."},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef generator_getset[] = {
    {"peclet", generator_peclet, NULL, "Largest cell Peclet number.", NULL},
    {"added_diffusion", generator_added_diffusion, NULL,
        "Largest share of a cell's diffusion that was added.", NULL},
    {"upwind_links", generator_upwind_links, NULL,
        "Links with a drift where D vanishes on a side.", NULL},
    {"n", generator_size, NULL, "Number of states.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot generator_slots[] = {
    {Py_tp_dealloc, generator_dealloc},
    {Py_tp_traverse, generator_traverse},
    {Py_tp_methods, generator_methods},
    {Py_tp_getset, generator_getset},
    {Py_tp_doc, "A Markov generator; made by from_model or from_rates."},
    {0, NULL},
};

static PyType_Spec generator_spec = {
    .name = "rattling._core.Generator",
    .basicsize = sizeof(rtl_generator_object_t),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE |
             Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_HAVE_GC,
    .slots = generator_slots,
};

int
rtl_generator_type_add(PyObject *module, rtl_state_t *state)
{
    return rtl_module_add_type(module, &generator_spec, &state->generator_type);
}
