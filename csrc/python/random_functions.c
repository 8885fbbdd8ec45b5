/* SPDX-License-Identifier: MIT */
/* The random number streams as arrays, for tests and for other programs. */
#include "binding.h"

#include "random.h"

typedef void (*fill_fn)(const rtl_random_t *self, uint64_t first_path, size_t n_paths,
    uint64_t step, size_t n_slots, double *out);

/* (key, first_path, n_paths, step, n_slots) -> (n_slots, n_paths) */
static PyObject *
fill_array(PyObject *args, fill_fn fill)
{
    unsigned long long key, first_path, step;
    Py_ssize_t n_paths, n_slots;

    if (!PyArg_ParseTuple(
            args, "KKnKn", &key, &first_path, &n_paths, &step, &n_slots)) {
        return NULL;
    }
    if (n_paths < 0 || n_slots < 0) {
        PyErr_SetString(PyExc_ValueError, "n_paths and n_slots must not be negative");
        return NULL;
    }
    const rtl_random_t random = {.key = key};
    npy_intp shape[] = {n_slots, n_paths};
    PyArrayObject *out = rtl_arrays_new(2, shape);
    if (out != NULL) {
        double *data = rtl_arrays_data(out);
        Py_BEGIN_ALLOW_THREADS;
        fill(&random, first_path, (size_t) n_paths, step, (size_t) n_slots, data);
        Py_END_ALLOW_THREADS;
    }
    return (PyObject *) out;
}

static PyObject *
random_normals(PyObject *Py_UNUSED(module), PyObject *args)
{
    return fill_array(args, rtl_random_normals);
}

static PyObject *
random_uniforms(PyObject *Py_UNUSED(module), PyObject *args)
{
    return fill_array(args, rtl_random_uniforms);
}

PyMethodDef rtl_random_functions[] = {
    {"random_normals", random_normals, METH_VARARGS,
        "random_normals(key, first_path, n_paths, step, n_slots, /)\n--\n\n"
        "Standard normals (n_slots, n_paths) of one step."},
    {"random_uniforms", random_uniforms, METH_VARARGS,
        "random_uniforms(key, first_path, n_paths, step, n_slots, /)\n--\n\n"
        "Uniforms in (0, 1), (n_slots, n_paths), of one step."},
    {NULL, NULL, 0, NULL},
};
