/* SPDX-License-Identifier: MIT */
/* The module rattling._core: its state, its exceptions and its contents. */
#define RTL_IMPORT_ARRAY
#include "binding.h"

#include "parallel.h"
#include "sun.h"

rtl_state_t *
rtl_module_state(PyObject *module)
{
    return PyModule_GetState(module);
}

rtl_state_t *
rtl_module_state_of(PyObject *self)
{
    PyObject *module = PyType_GetModuleByDef(Py_TYPE(self), &rtl_module_definition);
    return module == NULL ? NULL : PyModule_GetState(module);
}

static PyObject *
exception_class(int status)
{
    switch (status) {
    case RTL_NO_MEMORY:
        return PyExc_MemoryError;
    case RTL_TOO_LARGE:
        return PyExc_OverflowError;
    case RTL_SUNDIALS:
        return PyExc_RuntimeError;
    default:
        return PyExc_ValueError;
    }
}

/* "(0.5, -1.0)" */
PyObject *
rtl_module_point_text(const rtl_fault_t *fault)
{
    PyObject *point = PyTuple_New((Py_ssize_t) fault->dim);

    for (size_t k = 0; point != NULL && k < fault->dim; k++) {
        PyObject *x = PyFloat_FromDouble(fault->x[k]);
        if (x == NULL) {
            Py_CLEAR(point);
        } else {
            PyTuple_SET_ITEM(point, (Py_ssize_t) k, x);
        }
    }
    PyObject *text = point == NULL ? NULL : PyObject_Repr(point);
    Py_XDECREF(point);
    return text;
}

/* "component 1", or "component (0, 1)" of a tensor; "component (1, 0)" the other way
 * round */
static PyObject *
component_text(const rtl_fault_t *fault, bool transposed)
{
    if (fault->columns == 0) {
        return PyUnicode_FromFormat("component %zu", fault->component);
    }
    size_t i = fault->component / fault->columns;
    size_t j = fault->component % fault->columns;
    return PyUnicode_FromFormat(
        "component (%zu, %zu)", transposed ? j : i, transposed ? i : j);
}

/* "drift is not finite: component 1 is nan at x = (0.5, -1.0)" */
PyObject *
rtl_module_fault_text(int status, const rtl_fault_t *fault)
{
    PyObject *value = PyFloat_FromDouble(fault->value);
    PyObject *point = rtl_module_point_text(fault),
             *component = component_text(fault, false);
    PyObject *mirror = component_text(fault, true), *text = NULL;

    if (value == NULL || point == NULL || component == NULL || mirror == NULL) {
        goto out;
    }
    switch (status) {
    case RTL_NOT_FINITE:
        text = PyUnicode_FromFormat("%s is not finite: %U is %S at x = %U", fault->what,
            component, value, point);
        break;
    case RTL_NEGATIVE:
        text = PyUnicode_FromFormat("%s must not be negative: %U is %S at x = %U",
            fault->what, component, value, point);
        break;
    case RTL_NOT_DIAGONAL:
        text = PyUnicode_FromFormat("%s must be diagonal here: %U is %S at x = %U",
            fault->what, component, value, point);
        break;
    case RTL_NOT_SYMMETRIC:
        text = PyUnicode_FromFormat("%s must be symmetric: %U exceeds %U by %S "
                                    "at x = %U",
            fault->what, component, mirror, value, point);
        break;
    case RTL_UNEVEN:
        text = PyUnicode_FromString(
            "a diffusion tensor with off-diagonal elements needs a grid whose "
            "neighbouring cells differ in width by at most a quarter");
        break;
    case RTL_ANISOTROPIC:
        text = PyUnicode_FromFormat(
            "%s has no jumps with non-negative rates in the cell at x = %U: in units "
            "of "
            "the cells its largest eigenvalue is %S times the smallest, and in more "
            "than three coupled dimensions each diagonal element has to outweigh the "
            "rest of its row; other cell widths may help",
            fault->what, point, value);
        break;
    case RTL_NOT_POSITIVE_DEFINITE:
        text =
            PyUnicode_FromFormat("%s must be positive semidefinite, which it is not at "
                                 "x = %U",
                fault->what, point);
        break;
    default:
        text = PyUnicode_FromFormat("%s: %s: %U is %S at x = %U", fault->what,
            rtl_status_message(status), component, value, point);
    }
out:
    Py_XDECREF(mirror);
    Py_XDECREF(component);
    Py_XDECREF(point);
    Py_XDECREF(value);
    return text;
}

PyObject *
rtl_module_raise(int status, const rtl_fault_t *fault)
{
    bool known = fault != NULL && fault->what != NULL;

    if (PyErr_Occurred()) {
        return NULL;
    }
    if (status == RTL_CALLBACK || status == RTL_INTERRUPTED) {
        if (status == RTL_CALLBACK && known) {
            return PyErr_Format(PyExc_RuntimeError, "%s: the C function returned %d",
                fault->what, (int) fault->value);
        }
        PyErr_SetString(PyExc_RuntimeError, rtl_status_message(status));
        return NULL;
    }
    if (!known) {
        PyErr_SetString(exception_class(status), rtl_status_message(status));
        return NULL;
    }
    PyObject *text = rtl_module_fault_text(status, fault);
    if (text != NULL) {
        PyErr_SetObject(exception_class(status), text);
        Py_DECREF(text);
    }
    return NULL;
}

int
rtl_module_add_type(PyObject *module, PyType_Spec *spec, PyTypeObject **slot)
{
    *slot = (PyTypeObject *) PyType_FromModuleAndSpec(module, spec, NULL);
    return *slot == NULL ? -1 : PyModule_AddType(module, *slot);
}

static int
add_exception(PyObject *module, PyObject **slot, const char *name, const char *doc,
    PyObject *base)
{
    *slot = PyErr_NewExceptionWithDoc(name, doc, base, NULL);
    if (*slot == NULL) {
        return -1;
    }
    return PyModule_AddObjectRef(module, strrchr(name, '.') + 1, *slot);
}

static int
module_exec(PyObject *module)
{
    rtl_state_t *state = rtl_module_state(module);

    if (PyArray_ImportNumPyAPI() < 0) {
        return -1;
    }
    if (add_exception(module, &state->convergence_error, "rattling.ConvergenceError",
            "The solver stopped before the tolerance was reached.\n\n"
            "Attributes: ``log_density`` (the best iterate), ``residual`` (its "
            "largest\n"
            "relative residual), ``info``.",
            PyExc_RuntimeError) < 0) {
        return -1;
    }
    if (add_exception(module, &state->reducible_error, "rattling.ReducibleError",
            "The steady state is not unique: the chain has several recurrent "
            "classes.\n\n"
            "Attribute: ``classes``, the cells or states of each, as index arrays.",
            PyExc_ValueError) < 0) {
        return -1;
    }
    if (rtl_grid_type_add(module, state) < 0 ||
        rtl_expression_type_add(module, state) < 0 ||
        rtl_model_type_add(module, state) < 0 ||
        rtl_generator_type_add(module, state) < 0 ||
        rtl_evolution_type_add(module, state) < 0 ||
        rtl_resolvent_type_add(module, state) < 0 ||
        rtl_simulation_type_add(module, state) < 0) {
        return -1;
    }
    if (PyModule_AddFunctions(module, rtl_random_functions) < 0 ||
        PyModule_AddFunctions(module, rtl_selling_functions) < 0 ||
        PyModule_AddFunctions(module, rtl_estimate_functions) < 0 ||
        PyModule_AddFunctions(module, rtl_increment_functions) < 0 ||
        PyModule_AddFunctions(module, rtl_jump_functions) < 0 ||
        PyModule_AddFunctions(module, rtl_typicality_functions) < 0 ||
        PyModule_AddFunctions(module, rtl_decomposition_functions) < 0 ||
        PyModule_AddFunctions(module, rtl_analysis_functions) < 0) {
        return -1;
    }
    return PyModule_AddStringConstant(module, "sundials_version", rtl_sun_version());
}

static int
module_traverse(PyObject *module, visitproc visit, void *arg)
{
    rtl_state_t *state = rtl_module_state(module);

    Py_VISIT(state->convergence_error);
    Py_VISIT(state->reducible_error);
    Py_VISIT(state->grid_type);
    Py_VISIT(state->expression_type);
    Py_VISIT(state->model_type);
    Py_VISIT(state->generator_type);
    Py_VISIT(state->evolution_type);
    Py_VISIT(state->resolvent_type);
    Py_VISIT(state->simulation_type);
    return 0;
}

static int
module_clear(PyObject *module)
{
    rtl_state_t *state = rtl_module_state(module);

    Py_CLEAR(state->convergence_error);
    Py_CLEAR(state->reducible_error);
    Py_CLEAR(state->grid_type);
    Py_CLEAR(state->expression_type);
    Py_CLEAR(state->model_type);
    Py_CLEAR(state->generator_type);
    Py_CLEAR(state->evolution_type);
    Py_CLEAR(state->resolvent_type);
    Py_CLEAR(state->simulation_type);
    return 0;
}

static void
module_free(void *module)
{
    module_clear(module);
}

static PyObject *
core_cores(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    return PyLong_FromSize_t(rtl_parallel_cores());
}

static PyMethodDef module_methods[] = {
    {"operations", rtl_expression_type_operations, METH_NOARGS,
        "The tape's operations: {name: (code, number of arguments)}."},
    {"cores", core_cores, METH_NOARGS, "Processors this process may run on."},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot module_slots[] = {
    {Py_mod_exec, module_exec},
#if PY_VERSION_HEX >= 0x030C0000
    {Py_mod_multiple_interpreters, Py_MOD_MULTIPLE_INTERPRETERS_NOT_SUPPORTED},
#endif
#if PY_VERSION_HEX >= 0x030D0000
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
#endif
    {0, NULL},
};

struct PyModuleDef rtl_module_definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "rattling._core",
    .m_doc = "The C core of rattling. Private: use the functions of the package.",
    .m_size = sizeof(rtl_state_t),
    .m_methods = module_methods,
    .m_slots = module_slots,
    .m_traverse = module_traverse,
    .m_clear = module_clear,
    .m_free = module_free,
};

PyMODINIT_FUNC PyInit__core(void);

PyMODINIT_FUNC
PyInit__core(void)
{
    return PyModuleDef_Init(&rtl_module_definition);
}
