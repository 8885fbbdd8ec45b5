/* SPDX-License-Identifier: MIT */
/* _core.Model: an rtl_model_t and the Python objects behind its two fields; immutable.
 */
#include "model_type.h"

#include "expression_type.h"

enum { BLOCK = 4096 }; /* points a block of our own loops */

typedef struct {
    PyObject_HEAD rtl_model_t model;
    PyObject *drift, *diffusion, *divergence, *joint; /* what fields call: owned */
    rtl_callback_t drift_callback, diffusion_callback;
} model_object_t;

const rtl_model_t *
rtl_model_type_get(PyObject *self)
{
    return &((model_object_t *) self)->model;
}

/* --- construction ----------------------------------------------------------- */

/* Fill one field of n_out rows from an Expression. */
static int
read_tape(
    PyObject *source, const char *name, size_t dim, size_t n_out, rtl_field_t *field)
{
    const rtl_expression_t *expression = rtl_expression_type_get(source);

    if (expression->n_inputs != dim || expression->n_outputs != n_out) {
        PyErr_Format(PyExc_ValueError,
            "%s: the expression has %zu inputs and %zu outputs; %zu and %zu are needed",
            name, expression->n_inputs, expression->n_outputs, dim, n_out);
        return -1;
    }
    *field = (rtl_field_t) {rtl_expression_evaluate, (void *) expression, n_out, true};
    return 0;
}

/* The same, where None leaves the field empty and nothing else will do. */
static int
read_optional_tape(const rtl_state_t *state, PyObject *source, const char *name,
    size_t dim, size_t n_out, rtl_field_t *field)
{
    if (source == Py_None) {
        return 0;
    }
    if (!Py_IS_TYPE(source, state->expression_type)) {
        PyErr_Format(PyExc_TypeError, "%s must be an Expression, not %.200s", name,
            Py_TYPE(source)->tp_name);
        return -1;
    }
    return read_tape(source, name, dim, n_out, field);
}

/* Fill one field from an Expression, a capsule or a Python callable. The callback has
 * its name and shape already. */
static int
read_field(const rtl_state_t *state, PyObject *source, size_t dim,
    rtl_callback_t *callback, rtl_field_t *field)
{
    size_t n_out = 1;
    for (int k = 0; k < callback->ndim; k++) {
        n_out *= (size_t) callback->shape[k];
    }
    if (Py_IS_TYPE(source, state->expression_type)) {
        return read_tape(source, callback->name, dim, n_out, field);
    }
    field->n_out = n_out;
    if (PyCapsule_CheckExact(source)) {
        field->thread_safe = true;
        return rtl_callbacks_pointer(
            source, callback->name, &field->evaluate, &field->data);
    }
    if (PyCallable_Check(source)) {
        callback->function = source;
        field->evaluate = rtl_callbacks_evaluate;
        field->data = callback;
        return 0;
    }
    PyErr_Format(PyExc_TypeError, "%s must be callable, not %.200s", callback->name,
        Py_TYPE(source)->tp_name);
    return -1;
}

/* The leading axes of what the diffusion field gives. */
static void
diffusion_shape(const rtl_model_t *model, rtl_callback_t *callback)
{
    npy_intp dim = (npy_intp) model->dim;

    callback->name = "diffusion";
    callback->shape[0] = callback->shape[1] = dim;
    switch (model->kind) {
    case RTL_DIFFUSION_NOISE_SCALAR:
        callback->name = "noise";
        callback->ndim = 0;
        break;
    case RTL_DIFFUSION_SCALAR:
        callback->ndim = 0;
        break;
    case RTL_DIFFUSION_NOISE_DIAGONAL:
        callback->name = "noise";
        callback->ndim = 1;
        break;
    case RTL_DIFFUSION_DIAGONAL:
        callback->ndim = 1;
        break;
    case RTL_DIFFUSION_NOISE:
        callback->name = "noise";
        callback->shape[1] = (npy_intp) model->n_noise;
        callback->ndim = 2;
        break;
    case RTL_DIFFUSION_TENSOR:
        callback->ndim = 2;
        break;
    }
}

/* Model(dim, interpretation, kind, n_noise, drift, diffusion, divergence=None,
 * joint=None, length=0):
 * interpretation and kind are the numbers of rtl_interpretation_t and
 * rtl_diffusion_kind_t; divergence, an Expression, gives div D, (dim, n), and joint
 * both drift and diffusion; length is that of rtl_model_t */
static PyObject *
model_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"dim", "interpretation", "kind", "n_noise", "drift",
        "diffusion", "divergence", "joint", "length", NULL};
    Py_ssize_t dim, n_noise;
    int interpretation, kind;
    double length = 0.0;
    PyObject *drift, *diffusion, *divergence = Py_None, *joint = Py_None;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "niinOO|OOd", names, &dim,
            &interpretation, &kind, &n_noise, &drift, &diffusion, &divergence, &joint,
            &length)) {
        return NULL;
    }
    if (dim < 1 || n_noise < 0 || interpretation < RTL_ITO ||
        interpretation > RTL_ANTI_ITO || kind < RTL_DIFFUSION_SCALAR ||
        kind > RTL_DIFFUSION_NOISE || !(length >= 0.0 && isfinite(length))) {
        PyErr_SetString(PyExc_ValueError,
            "dim, n_noise, interpretation, kind or length is out of its range");
        return NULL;
    }
    model_object_t *self = (model_object_t *) type->tp_alloc(type, 0);
    if (self == NULL) {
        return NULL;
    }
    rtl_state_t *state = rtl_module_state_of((PyObject *) self);
    self->drift = Py_NewRef(drift);
    self->diffusion = Py_NewRef(diffusion);
    self->divergence = Py_NewRef(divergence);
    self->joint = Py_NewRef(joint);
    self->model.dim = (size_t) dim;
    self->model.n_noise = (size_t) n_noise;
    self->model.length = length;
    self->model.interpretation = (rtl_interpretation_t) interpretation;
    self->model.kind = (rtl_diffusion_kind_t) kind;
    self->drift_callback = (rtl_callback_t) {
        .name = "drift", .dim = (size_t) dim, .ndim = 1, .shape = {dim, 0}};
    self->diffusion_callback.dim = (size_t) dim;
    diffusion_shape(&self->model, &self->diffusion_callback);
    if (state == NULL ||
        read_field(state, drift, (size_t) dim, &self->drift_callback,
            &self->model.drift) < 0 ||
        read_field(state, diffusion, (size_t) dim, &self->diffusion_callback,
            &self->model.diffusion) < 0 ||
        read_optional_tape(state, divergence, "divergence", (size_t) dim, (size_t) dim,
            &self->model.divergence) < 0 ||
        read_optional_tape(state, joint, "joint", (size_t) dim,
            (size_t) dim + self->model.diffusion.n_out, &self->model.joint) < 0) {
        Py_DECREF(self);
        return NULL;
    }
    int status = rtl_model_check(&self->model);
    if (status != 0) {
        Py_DECREF(self);
        return rtl_module_raise(status, NULL);
    }
    return (PyObject *) self;
}

/* As in a tuple there is no tp_clear: a cycle that goes through an immutable object has
 * another one to break it, and the core never meets a model without its functions. */
static int
model_traverse(PyObject *self, visitproc visit, void *arg)
{
    model_object_t *model = (model_object_t *) self;

    Py_VISIT(Py_TYPE(self));
    Py_VISIT(model->drift);
    Py_VISIT(model->diffusion);
    Py_VISIT(model->divergence);
    Py_VISIT(model->joint);
    return 0;
}

static void
model_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    model_object_t *model = (model_object_t *) self;

    PyObject_GC_UnTrack(self);
    Py_XDECREF(model->drift);
    Py_XDECREF(model->diffusion);
    Py_XDECREF(model->divergence);
    Py_XDECREF(model->joint);
    type->tp_free(self);
    Py_DECREF(type);
}

/* --- evaluation ------------------------------------------------------------- */

typedef int (*evaluate_fn)(const rtl_model_t *model, const double *x, size_t n,
    double *out, rtl_fault_t *fault);

/* Rows of n values, `total` apart -> contiguous (or back). */
static void
gather(const double *source, size_t rows, size_t total, size_t n, double *block)
{
    for (size_t k = 0; k < rows; k++) {
        memcpy(block + k * n, source + k * total, n * sizeof *block);
    }
}

static void
scatter(const double *block, size_t rows, size_t total, size_t n, double *target)
{
    for (size_t k = 0; k < rows; k++) {
        memcpy(target + k * total, block + k * n, n * sizeof *block);
    }
}

static int
run_blocks(const rtl_model_t *model, evaluate_fn evaluate, const double *x,
    size_t total, size_t rows, double *block, double *out, rtl_fault_t *fault)
{
    rtl_monitor_t monitor;
    int status = 0;

    rtl_callbacks_monitor(&monitor, Py_None);
    for (size_t i = 0; status == 0 && i < total; i += BLOCK) {
        size_t n = total - i < BLOCK ? total - i : BLOCK;
        double *values = block + model->dim * n;
        gather(x + i, model->dim, total, n, block);
        status = evaluate(model, block, n, values, fault);
        if (status == 0) {
            scatter(values, rows, total, n, out + i);
            status = rtl_monitor_poll(&monitor, (double) i / (double) total);
        }
    }
    return status;
}

/* Values at the points x, (dim, n), in an array of shape (lead..., n). */
static PyObject *
evaluate_at(PyObject *self, PyObject *value, evaluate_fn evaluate, int n_lead)
{
    const rtl_model_t *model = rtl_model_type_get(self);
    npy_intp dim = (npy_intp) model->dim, rows = 1, shape[3] = {dim, dim, 0};
    rtl_fault_t fault = {0};
    int status = 0;

    PyArrayObject *x = rtl_arrays_input(value, "x", 2), *out = NULL;
    if (x == NULL || rtl_arrays_check_length(x, "x", 0, dim) < 0) {
        Py_XDECREF(x);
        return NULL;
    }
    npy_intp n = PyArray_DIM(x, 1);
    shape[n_lead] = n;
    for (int k = 0; k < n_lead; k++) {
        rows *= dim;
    }
    npy_intp size = (dim + rows) * (n < BLOCK ? n : BLOCK);
    PyArrayObject *block = rtl_arrays_new(1, &size);
    out = rtl_arrays_new(n_lead + 1, shape);
    if (out == NULL || block == NULL) {
        Py_CLEAR(out);
        goto out;
    }
    Py_BEGIN_ALLOW_THREADS;
    status = run_blocks(model, evaluate, rtl_arrays_data(x), (size_t) n, (size_t) rows,
        rtl_arrays_data(block), rtl_arrays_data(out), &fault);
    Py_END_ALLOW_THREADS;
    if (status != 0) {
        Py_CLEAR(out);
        rtl_module_raise(status, &fault);
    }
out:
    Py_XDECREF(block);
    Py_DECREF(x);
    return (PyObject *) out;
}

static PyObject *
model_drift(PyObject *self, PyObject *x)
{
    return evaluate_at(self, x, rtl_model_drift, 1);
}

static PyObject *
model_diagonal(PyObject *self, PyObject *x)
{
    return evaluate_at(self, x, rtl_model_diagonal, 1);
}

static PyObject *
model_diffusion(PyObject *self, PyObject *x)
{
    return evaluate_at(self, x, rtl_model_tensor, 2);
}

static PyObject *
model_rattling(PyObject *self, PyObject *x)
{
    return evaluate_at(self, x, rtl_model_rattling, 0);
}

static PyObject *
model_dim(PyObject *self, void *Py_UNUSED(closure))
{
    return PyLong_FromSize_t(rtl_model_type_get(self)->dim);
}

static PyObject *
model_thread_safe(PyObject *self, void *Py_UNUSED(closure))
{
    return PyBool_FromLong(rtl_model_thread_safe(rtl_model_type_get(self)));
}

static PyObject *
model_is_diagonal(PyObject *self, void *Py_UNUSED(closure))
{
    return PyBool_FromLong(rtl_model_is_diagonal(rtl_model_type_get(self)));
}

static PyMethodDef model_methods[] = {
    {"drift", model_drift, METH_O,
        "drift($self, x, /)\n--\n\nIto drift (dim, n) at x, (dim, n)."},
    {"diffusion", model_diffusion, METH_O,
        "diffusion($self, x, /)\n--\n\nTensor D (dim, dim, n) at x, (dim, n)."},
    {"diagonal", model_diagonal, METH_O,
        "diagonal($self, x, /)\n--\n\nDiagonal of D (dim, n) at x, (dim, n); "
        "ValueError where D "
        "is not diagonal."},
    {"rattling", model_rattling, METH_O,
        "rattling($self, x, /)\n--\n\nR = log det(2 D) / 2, (n,), at x, (dim, n)."},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef model_getset[] = {
    {"dim", model_dim, NULL, "Number of coordinates.", NULL},
    {"thread_safe", model_thread_safe, NULL, "No part calls Python.", NULL},
    {"is_diagonal", model_is_diagonal, NULL, "D is diagonal by construction.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot model_slots[] = {
    {Py_tp_new, model_new},
    {Py_tp_dealloc, model_dealloc},
    {Py_tp_traverse, model_traverse},
    {Py_tp_methods, model_methods},
    {Py_tp_getset, model_getset},
    {Py_tp_doc, "Model(dim, interpretation, kind, n_noise, drift, diffusion, "
                "divergence=None, joint=None, length=0.0)\n--\n\n"
                "Drift and diffusion over blocks of points."},
    {0, NULL},
};

static PyType_Spec model_spec = {
    .name = "rattling._core.Model",
    .basicsize = sizeof(model_object_t),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = model_slots,
};

int
rtl_model_type_add(PyObject *module, rtl_state_t *state)
{
    return rtl_module_add_type(module, &model_spec, &state->model_type);
}
