/* SPDX-License-Identifier: MIT */
/* From the core back to the user: signals and progress, Python functions on blocks of
 * points, C functions behind a pointer. */
#include "binding.h"

#include <ctype.h>

/* --- interruption and progress ---------------------------------------------- */

static int
poll_python(void *data, double done)
{
    PyGILState_STATE gil = PyGILState_Ensure();
    PyObject *progress = data;
    /* what another poll of the same call has raised already */
    int stop = PyErr_Occurred() != NULL || PyErr_CheckSignals() < 0;

    if (!stop && progress != Py_None) {
        PyObject *result = PyObject_CallFunction(progress, "d", done);
        stop = result == NULL;
        Py_XDECREF(result);
    }
    PyGILState_Release(gil);
    return stop;
}

void
rtl_callbacks_monitor(rtl_monitor_t *monitor, PyObject *progress)
{
    *monitor = (rtl_monitor_t) {.poll = poll_python, .data = progress};
}

/* --- Python functions ------------------------------------------------------- */

/* Set "drift must return an array of shape (2, 512), but returned ..."; -1. */
static int
raise_shape(const rtl_callback_t *callback, npy_intp n, PyObject *returned)
{
    PyObject *shape = PyTuple_New(callback->ndim + 1);

    for (int k = 0; shape != NULL && k <= callback->ndim; k++) {
        npy_intp length = k < callback->ndim ? callback->shape[k] : n;
        PyObject *item = PyLong_FromSsize_t(length);
        if (item == NULL) {
            Py_CLEAR(shape);
        } else {
            PyTuple_SET_ITEM(shape, k, item);
        }
    }
    if (shape != NULL && returned != NULL) {
        PyErr_Format(PyExc_ValueError,
            "%s must return an array of shape %R, but returned %U", callback->name,
            shape, returned);
    }
    Py_XDECREF(shape);
    Py_XDECREF(returned);
    return -1;
}

/* Write `rows` rows of n from an array of shape callback->shape[level:] + (n,), whose
 * last axis may be 1. */
static int
copy_array(const rtl_callback_t *callback, int level, npy_intp rows, PyObject *value,
    npy_intp n, double *out)
{
    char name[64];
    int ndim = callback->ndim - level + 1, status = 0;

    snprintf(name, sizeof name, "what %s returned", callback->name);
    PyArrayObject *array = rtl_arrays_input(value, name, -1);
    if (array == NULL) {
        return -1;
    }
    int given = PyArray_NDIM(array);
    npy_intp last = given == 0 ? 1 : PyArray_DIM(array, given - 1);
    /* with one row only, its axes may be left out */
    bool fits =
        (last == n || last == 1) && (given == ndim || (rows == 1 && given <= 1));
    for (int k = 0; fits && given == ndim && k < ndim - 1; k++) {
        fits = PyArray_DIM(array, k) == callback->shape[level + k];
    }
    if (!fits) {
        PyObject *shape = PyObject_GetAttrString((PyObject *) array, "shape");
        status = raise_shape(callback, n,
            shape == NULL ? NULL
                          : PyUnicode_FromFormat(
                                "%R%s", shape, level > 0 ? " in one of its rows" : ""));
        Py_XDECREF(shape);
    } else if (last == n) {
        memcpy(out, rtl_arrays_data(array), (size_t) (rows * n) * sizeof *out);
    } else {
        for (npy_intp r = 0; r < rows; r++) {
            for (npy_intp i = 0; i < n; i++) {
                out[r * n + i] = rtl_arrays_data(array)[r];
            }
        }
    }
    Py_DECREF(array);
    return status;
}

/* Lists and tuples hold one entry a row, each of which may be a number. */
static int
copy_result(const rtl_callback_t *callback, int level, npy_intp rows, PyObject *value,
    npy_intp n, double *out)
{
    if (level >= RTL_CALLBACK_LEADING || level >= callback->ndim ||
        !(PyList_Check(value) || PyTuple_Check(value))) {
        return copy_array(callback, level, rows, value, n, out);
    }
    npy_intp length = callback->shape[level];
    if (PySequence_Size(value) != length) {
        return raise_shape(callback, n,
            PyUnicode_FromFormat(
                "a %s of length %zd", Py_TYPE(value)->tp_name, PySequence_Size(value)));
    }
    rows /= length;
    for (npy_intp i = 0; i < length; i++) {
        PyObject *row = PySequence_GetItem(value, i);
        int status = row == NULL ? -1
                                 : copy_result(callback, level + 1, rows, row, n,
                                       out + i * rows * n);
        Py_XDECREF(row);
        if (status < 0) {
            return -1;
        }
    }
    return 0;
}

int
rtl_callbacks_evaluate(const double *x, double *out, intptr_t n, void *data)
{
    const rtl_callback_t *callback = data;
    PyGILState_STATE gil = PyGILState_Ensure();
    npy_intp shape[] = {(npy_intp) callback->dim, n};
    PyArrayObject *points = rtl_arrays_new(2, shape);
    PyObject *result = NULL;
    int status = -1;

    if (points != NULL) {
        memcpy(rtl_arrays_data(points), x, callback->dim * (size_t) n * sizeof *x);
        result = PyObject_CallOneArg(callback->function, (PyObject *) points);
    }
    if (result != NULL) {
        npy_intp rows = 1;
        for (int k = 0; k < callback->ndim; k++) {
            rows *= callback->shape[k];
        }
        status = copy_result(callback, 0, rows, result, n, out);
    }
    Py_XDECREF(result);
    Py_XDECREF(points);
    PyGILState_Release(gil);
    return status;
}

/* --- C functions ------------------------------------------------------------ */

/* The spellings of intptr_t on a platform whose pointers, longs and long longs all have
 * 64 bits; `long` is left out elsewhere. */
static const char *const size_types[] = {
    "intptr_t",
    "npy_intp",
    "Py_ssize_t",
    "ssize_t",
    "ptrdiff_t",
    "int64_t",
    "long long",
#if LONG_MAX == INTPTR_MAX
    "long",
#endif
};

static bool
is_word(char c)
{
    return isalnum((unsigned char) c) || c == '_';
}

/* Copy a signature without `const` and with no space but one between two words; false
 * if it does not fit. */
static bool
normalise(const char *signature, char *out, size_t size)
{
    size_t length = 0;
    bool space = false;

    for (const char *c = signature; *c != '\0';) {
        if (isspace((unsigned char) *c)) {
            space = true;
            c++;
            continue;
        }
        size_t word = 1;
        if (is_word(*c)) {
            while (is_word(c[word])) {
                word++;
            }
            if (word == 5 && strncmp(c, "const", 5) == 0) {
                space = true;
                c += word;
                continue;
            }
        }
        bool separate = space && length > 0 && is_word(out[length - 1]) && is_word(*c);
        if (length + word + 2 > size) {
            return false;
        }
        if (separate) {
            out[length++] = ' ';
        }
        memcpy(out + length, c, word);
        length += word;
        c += word;
        space = false;
    }
    out[length] = '\0';
    return true;
}

static bool
accepted(const char *signature)
{
    char given[128], wanted[128];

    if (!normalise(signature, given, sizeof given)) {
        return false;
    }
    for (size_t k = 0; k < sizeof size_types / sizeof *size_types; k++) {
        snprintf(wanted, sizeof wanted, "int(double*,double*,%s,void*)", size_types[k]);
        if (strcmp(given, wanted) == 0) {
            return true;
        }
    }
    return false;
}

int
rtl_callbacks_pointer(
    PyObject *capsule, const char *name, rtl_block_fn *function, void **data)
{
    const char *signature = PyCapsule_GetName(capsule);

    if (signature == NULL && PyErr_Occurred()) {
        return -1;
    }
    if (signature == NULL || !accepted(signature)) {
        PyErr_Format(PyExc_ValueError,
            "%s: the C function has the signature \"%s\"; accepted is \"int (const "
            "double *, double *, intptr_t, void *)\", with or without const, where "
            "intptr_t may also be written npy_intp, Py_ssize_t, ssize_t, ptrdiff_t, "
            "int64_t, long or long long",
            name, signature == NULL ? "" : signature);
        return -1;
    }
    void *pointer = PyCapsule_GetPointer(capsule, signature);
    *data = PyCapsule_GetContext(capsule);
    if (pointer == NULL || (*data == NULL && PyErr_Occurred())) {
        return -1;
    }
    memcpy(function, &pointer, sizeof pointer); /* ISO C has no such conversion */
    return 0;
}
