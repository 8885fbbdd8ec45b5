/* SPDX-License-Identifier: MIT */
/* Tensors as sums over lattice offsets, for tests. */
#include "binding.h"

#include "selling.h"

static PyObject *
result(const rtl_selling_t *sum, size_t dim)
{
    npy_intp shape[] = {(npy_intp) sum->n, (npy_intp) dim};
    PyObject *offsets = PyArray_SimpleNew(2, shape, NPY_INT);
    PyArrayObject *weights = rtl_arrays_new(1, shape);
    PyArrayObject *added = rtl_arrays_new(1, shape + 1);

    if (offsets == NULL || weights == NULL || added == NULL) {
        Py_XDECREF(added);
        Py_XDECREF(offsets);
        Py_XDECREF(weights);
        return NULL;
    }
    int *e = PyArray_DATA((PyArrayObject *) offsets);
    for (size_t k = 0; k < sum->n; k++) {
        memcpy(e + k * dim, sum->offset[k], dim * sizeof *e);
        rtl_arrays_data(weights)[k] = sum->weight[k];
    }
    memcpy(rtl_arrays_data(added), sum->added, dim * sizeof(double));
    return Py_BuildValue("NNN", offsets, weights, added);
}

/* selling_decompose(D, longest, floor) -> (offsets, weights, added) */
static PyObject *
selling_decompose(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *value, *limits;
    double floor;
    int longest[RTL_MAX_DIM];
    rtl_selling_t sum;

    if (!PyArg_ParseTuple(args, "OO!d", &value, &PyTuple_Type, &limits, &floor)) {
        return NULL;
    }
    PyArrayObject *d = rtl_arrays_input(value, "D", 2);
    if (d == NULL) {
        return NULL;
    }
    npy_intp dim = PyArray_DIM(d, 0);
    if (dim < 1 || dim > RTL_MAX_DIM || PyArray_DIM(d, 1) != dim ||
        PyTuple_GET_SIZE(limits) != dim || !(floor >= 0.0)) {
        Py_DECREF(d);
        return PyErr_Format(PyExc_ValueError,
            "D must be a square matrix of at most %d rows, longest one number a row, "
            "floor >= 0",
            RTL_MAX_DIM);
    }
    for (npy_intp k = 0; k < dim; k++) {
        long limit = PyLong_AsLong(PyTuple_GET_ITEM(limits, k));
        if (limit < 1 || limit > 64) {
            Py_DECREF(d);
            return PyErr_Occurred()
                       ? NULL
                       : PyErr_Format(PyExc_ValueError, "longest must be from 1 to 64");
        }
        longest[k] = (int) limit;
    }
    int status =
        rtl_selling_decompose((size_t) dim, rtl_arrays_data(d), longest, floor, &sum);
    Py_DECREF(d);
    return status == 0 ? result(&sum, (size_t) dim) : rtl_module_raise(status, NULL);
}

PyMethodDef rtl_selling_functions[] = {
    {"selling_decompose", selling_decompose, METH_VARARGS,
        "selling_decompose(D, longest, floor, /)\n--\n\n"
        "(offsets, weights, added): D + diag(added) = sum of weights e e^T."},
    {NULL, NULL, 0, NULL},
};
