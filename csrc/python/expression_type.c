/* SPDX-License-Identifier: MIT */
/* _core.Expression: owns an rtl_expression_t; immutable. */
#include "expression_type.h"

typedef struct {
    PyObject_HEAD rtl_expression_t expression;
} expression_object_t;

const rtl_expression_t *
rtl_expression_type_get(PyObject *self)
{
    return &((expression_object_t *) self)->expression;
}

/* Whole numbers as int32, any number of dimensions; OverflowError-free because the tape
 * is checked by rtl_expression_init. */
static PyArrayObject *
read_integers(PyObject *value, int ndim)
{
    return (PyArrayObject *) PyArray_FROMANY(
        value, NPY_INT32, ndim, ndim, NPY_ARRAY_IN_ARRAY);
}

/* Expression(n_inputs, constants, instructions, outputs) */
static PyObject *
expression_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"n_inputs", "constants", "instructions", "outputs", NULL};
    Py_ssize_t n_inputs;
    PyObject *values[3];
    PyArrayObject *constants = NULL, *instructions = NULL, *outputs = NULL;
    expression_object_t *self = NULL;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "nOOO", names, &n_inputs, &values[0],
            &values[1], &values[2])) {
        return NULL;
    }
    constants = rtl_arrays_input(values[0], "constants", 1);
    instructions = read_integers(values[1], 2);
    outputs = read_integers(values[2], 1);
    if (constants == NULL || instructions == NULL || outputs == NULL ||
        rtl_arrays_check_length(instructions, "instructions", 1, 4) < 0) {
        goto out;
    }
    if (n_inputs < 0) {
        PyErr_SetString(PyExc_ValueError, "n_inputs must not be negative");
        goto out;
    }
    _Static_assert(sizeof(rtl_instruction_t) == 4 * sizeof(int32_t),
        "an instruction is one row of the array");
    self = (expression_object_t *) type->tp_alloc(type, 0);
    if (self == NULL) {
        goto out;
    }
    int status = rtl_expression_init(&self->expression, (size_t) n_inputs,
        (size_t) PyArray_DIM(constants, 0), rtl_arrays_data(constants),
        (size_t) PyArray_DIM(instructions, 0), PyArray_DATA(instructions),
        (size_t) PyArray_DIM(outputs, 0), PyArray_DATA(outputs));
    if (status != 0) {
        Py_CLEAR(self);
        rtl_module_raise(status, NULL);
    }
out:
    Py_XDECREF(constants);
    Py_XDECREF(instructions);
    Py_XDECREF(outputs);
    return (PyObject *) self;
}

static void
expression_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);

    rtl_expression_free(&((expression_object_t *) self)->expression);
    type->tp_free(self);
    Py_DECREF(type);
}

/* evaluate(x) -> (n_outputs, n) */
static PyObject *
expression_evaluate(PyObject *self, PyObject *value)
{
    const rtl_expression_t *expression = rtl_expression_type_get(self);
    PyArrayObject *x = rtl_arrays_input(value, "x", 2), *out = NULL;
    int status = 0;

    if (x == NULL ||
        rtl_arrays_check_length(x, "x", 0, (npy_intp) expression->n_inputs) < 0) {
        Py_XDECREF(x);
        return NULL;
    }
    npy_intp n = PyArray_DIM(x, 1);
    npy_intp shape[] = {(npy_intp) expression->n_outputs, n};
    out = rtl_arrays_new(2, shape);
    if (out != NULL && n > 0) {
        Py_BEGIN_ALLOW_THREADS;
        status = rtl_expression_evaluate(
            rtl_arrays_data(x), rtl_arrays_data(out), n, (void *) expression);
        Py_END_ALLOW_THREADS;
    }
    Py_DECREF(x);
    if (status != 0) {
        Py_CLEAR(out);
        return rtl_module_raise(status, NULL);
    }
    return (PyObject *) out;
}

typedef struct {
    const char *name;
    size_t offset;
} size_member_t;

static PyObject *
expression_size(PyObject *self, void *closure)
{
    const char *start = (const char *) rtl_expression_type_get(self);
    const size_member_t *member = closure;

    return PyLong_FromSize_t(*(const size_t *) (start + member->offset));
}

static size_member_t sizes[] = {
    {"n_inputs", offsetof(rtl_expression_t, n_inputs)},
    {"n_constants", offsetof(rtl_expression_t, n_constants)},
    {"n_instructions", offsetof(rtl_expression_t, n_instructions)},
    {"n_outputs", offsetof(rtl_expression_t, n_outputs)},
    {"n_rows", offsetof(rtl_expression_t, n_rows)},
};

static PyGetSetDef expression_getset[] = {
    {"n_inputs", expression_size, NULL, "Variables.", &sizes[0]},
    {"n_constants", expression_size, NULL, "Different constants.", &sizes[1]},
    {"n_instructions", expression_size, NULL, "Operations a point.", &sizes[2]},
    {"n_outputs", expression_size, NULL, "Values a point.", &sizes[3]},
    {"n_rows", expression_size, NULL, "Rows of intermediate values.", &sizes[4]},
    {NULL, NULL, NULL, NULL, NULL},
};

PyObject *
rtl_expression_type_operations(
    PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    PyObject *table = PyDict_New();

    for (int op = 0; table != NULL && op < RTL_OP_COUNT; op++) {
        PyObject *entry = Py_BuildValue("(ii)", op, rtl_expression_op_arity(op));
        if (entry == NULL ||
            PyDict_SetItemString(table, rtl_expression_op_name(op), entry) < 0) {
            Py_CLEAR(table);
        }
        Py_XDECREF(entry);
    }
    return table;
}

static PyMethodDef expression_methods[] = {
    {"evaluate", expression_evaluate, METH_O,
        "evaluate($self, x, /)\n--\n\nValues (n_outputs, n) at the points x, "
        "(n_inputs, n)."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot expression_slots[] = {
    {Py_tp_new, expression_new},
    {Py_tp_dealloc, expression_dealloc},
    {Py_tp_methods, expression_methods},
    {Py_tp_getset, expression_getset},
    {Py_tp_doc, "Expression(n_inputs, constants, instructions, outputs)\n--\n\n"
                "A tape: straight-line code evaluated on blocks of points."},
    {0, NULL},
};

static PyType_Spec expression_spec = {
    .name = "rattling._core.Expression",
    .basicsize = sizeof(expression_object_t),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = expression_slots,
};

int
rtl_expression_type_add(PyObject *module, rtl_state_t *state)
{
    return rtl_module_add_type(module, &expression_spec, &state->expression_type);
}
