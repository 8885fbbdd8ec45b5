/* SPDX-License-Identifier: MIT */
/* _core.Grid: owns an rtl_grid_t; immutable. */
#include "grid_type.h"

typedef struct {
    PyObject_HEAD rtl_grid_t grid;
} grid_object_t;

const rtl_grid_t *
rtl_grid_type_get(PyObject *self)
{
    return &((grid_object_t *) self)->grid;
}

/* One edge array an axis -> pointers into them; the arrays are kept in `kept`. */
static int
read_edges(
    PyObject *edges, PyArrayObject **kept, const double **pointers, size_t *shape)
{
    for (Py_ssize_t k = 0; k < PyTuple_GET_SIZE(edges); k++) {
        kept[k] = rtl_arrays_input(PyTuple_GET_ITEM(edges, k), "edges", 1);
        if (kept[k] == NULL) {
            return -1;
        }
        if (PyArray_DIM(kept[k], 0) < 3) {
            PyErr_Format(PyExc_ValueError,
                "axis %zd: a grid needs at least 2 cells along each axis", k);
            return -1;
        }
        pointers[k] = rtl_arrays_data(kept[k]);
        shape[k] = (size_t) PyArray_DIM(kept[k], 0) - 1;
    }
    return 0;
}

/* Grid(edges, lower, upper): a tuple of edge arrays, two tuples of ints */
static PyObject *
grid_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"edges", "lower", "upper", NULL};
    PyObject *edges, *sides[2];
    PyArrayObject *kept[RTL_MAX_DIM] = {NULL};
    const double *pointers[RTL_MAX_DIM];
    size_t shape[RTL_MAX_DIM];
    rtl_boundary_t side[2][RTL_MAX_DIM];
    grid_object_t *self = NULL;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O!O!O!", names, &PyTuple_Type,
            &edges, &PyTuple_Type, &sides[0], &PyTuple_Type, &sides[1])) {
        return NULL;
    }
    Py_ssize_t dim = PyTuple_GET_SIZE(edges);
    if (dim < 1 || dim > RTL_MAX_DIM || PyTuple_GET_SIZE(sides[0]) != dim ||
        PyTuple_GET_SIZE(sides[1]) != dim) {
        return PyErr_Format(PyExc_ValueError,
            "a grid has 1 to %d axes, each with a lower and an upper side; got %zd",
            RTL_MAX_DIM, dim);
    }
    for (Py_ssize_t k = 0; k < dim; k++) {
        for (int s = 0; s < 2; s++) {
            long value = PyLong_AsLong(PyTuple_GET_ITEM(sides[s], k));
            if (value == -1 && PyErr_Occurred()) {
                return NULL;
            }
            if (value < RTL_REFLECTING || value > RTL_ABSORBING) {
                return PyErr_Format(PyExc_ValueError, "unknown boundary %ld", value);
            }
            side[s][k] = (rtl_boundary_t) value;
        }
    }
    if (read_edges(edges, kept, pointers, shape) == 0) {
        self = (grid_object_t *) type->tp_alloc(type, 0);
    }
    if (self != NULL) {
        int status =
            rtl_grid_init(&self->grid, (size_t) dim, shape, pointers, side[0], side[1]);
        if (status != 0) {
            Py_CLEAR(self);
            rtl_module_raise(status, NULL);
        }
    }
    for (Py_ssize_t k = 0; k < dim; k++) {
        Py_XDECREF(kept[k]);
    }
    return (PyObject *) self;
}

static void
grid_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);

    rtl_grid_free(&((grid_object_t *) self)->grid);
    type->tp_free(self);
    Py_DECREF(type);
}

/* points() -> (n_cells, dim) */
static PyObject *
grid_points(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    const rtl_grid_t *grid = rtl_grid_type_get(self);
    npy_intp shape[] = {(npy_intp) grid->n_cells, (npy_intp) grid->dim};
    PyArrayObject *out = rtl_arrays_new(2, shape);

    if (out == NULL) {
        return NULL;
    }
    double *x = rtl_arrays_data(out);
    Py_BEGIN_ALLOW_THREADS
    for (size_t i = 0; i < grid->n_cells; i++) {
        rtl_grid_points(grid, i, 1, x + i * grid->dim);
    }
    Py_END_ALLOW_THREADS
    return (PyObject *) out;
}

/* volumes() -> (n_cells,) */
static PyObject *
grid_volumes(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    const rtl_grid_t *grid = rtl_grid_type_get(self);
    npy_intp n = (npy_intp) grid->n_cells;
    PyArrayObject *out = rtl_arrays_new(1, &n);

    if (out == NULL) {
        return NULL;
    }
    double *volume = rtl_arrays_data(out);
    Py_BEGIN_ALLOW_THREADS
    for (size_t i = 0; i < grid->n_cells; i++) {
        volume[i] = rtl_grid_volume(grid, i);
    }
    Py_END_ALLOW_THREADS
    return (PyObject *) out;
}

static PyMethodDef grid_methods[] = {
    {"points", grid_points, METH_NOARGS, "Cell centres, (n_cells, dim)."},
    {"volumes", grid_volumes, METH_NOARGS, "Cell volumes, (n_cells,)."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot grid_slots[] = {
    {Py_tp_new, grid_new},
    {Py_tp_dealloc, grid_dealloc},
    {Py_tp_methods, grid_methods},
    {Py_tp_doc, "Grid(edges, lower, upper)\n--\n\nCells of a box."},
    {0, NULL},
};

static PyType_Spec grid_spec = {
    .name = "rattling._core.Grid",
    .basicsize = sizeof(grid_object_t),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = grid_slots,
};

int
rtl_grid_type_add(PyObject *module, rtl_state_t *state)
{
    return rtl_module_add_type(module, &grid_spec, &state->grid_type);
}
