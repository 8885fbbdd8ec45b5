/* SPDX-License-Identifier: MIT */
#include "binding.h"

PyArrayObject *
rtl_arrays_input(PyObject *value, const char *name, int ndim)
{
    PyArrayObject *any =
        (PyArrayObject *) PyArray_FROM_O(value); /* lists and numbers too */
    if (any == NULL) {
        if (PyErr_ExceptionMatches(PyExc_ValueError) ||
            PyErr_ExceptionMatches(PyExc_TypeError)) {
            PyErr_Format(PyExc_TypeError,
                "%s must be an array of real numbers, not %.200s", name,
                Py_TYPE(value)->tp_name);
        }
        return NULL;
    }
    PyArray_Descr *real = PyArray_DescrFromType(NPY_DOUBLE);
    bool fits = PyArray_CanCastTypeTo(PyArray_DESCR(any), real, NPY_SAME_KIND_CASTING);
    Py_DECREF(real);
    if (!fits) {
        PyErr_Format(PyExc_TypeError, "%s must be an array of real numbers, not of %S",
            name, (PyObject *) PyArray_DESCR(any));
        Py_DECREF(any);
        return NULL;
    }
    if (ndim >= 0 && PyArray_NDIM(any) != ndim) {
        PyErr_Format(PyExc_ValueError, "%s must have %d dimension%s, but it has %d",
            name, ndim, ndim == 1 ? "" : "s", PyArray_NDIM(any));
        Py_DECREF(any);
        return NULL;
    }
    PyArrayObject *array = (PyArrayObject *) PyArray_FROM_OTF(
        (PyObject *) any, NPY_DOUBLE, NPY_ARRAY_IN_ARRAY | NPY_ARRAY_FORCECAST);
    Py_DECREF(any);
    return array;
}

int
rtl_arrays_check_length(
    PyArrayObject *array, const char *name, int axis, npy_intp expected)
{
    if (PyArray_DIM(array, axis) == expected) {
        return 0;
    }
    PyErr_Format(PyExc_ValueError,
        "%s must have length %zd along axis %d, but it has %zd", name,
        (Py_ssize_t) expected, axis, (Py_ssize_t) PyArray_DIM(array, axis));
    return -1;
}

PyArrayObject *
rtl_arrays_new(int ndim, const npy_intp *shape)
{
    return (PyArrayObject *) PyArray_SimpleNew(ndim, shape, NPY_DOUBLE);
}

double *
rtl_arrays_data(PyArrayObject *array)
{
    return PyArray_DATA(array);
}

int
rtl_arrays_columns(int n_arrays, int n_needed, PyObject *const *values,
    const char *const *names, PyArrayObject **arrays)
{
    for (int k = 0; k < n_arrays; k++) {
        if (k >= n_needed && values[k] == Py_None) {
            continue;
        }
        arrays[k] = rtl_arrays_input(values[k], names[k], 1);
        if (arrays[k] == NULL || rtl_arrays_check_length(arrays[k], names[k], 0,
                                     PyArray_DIM(arrays[0], 0)) < 0) {
            return -1;
        }
    }
    return 0;
}

const double *
rtl_arrays_optional(PyArrayObject *array)
{
    return array == NULL ? NULL : rtl_arrays_data(array);
}
