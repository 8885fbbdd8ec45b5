/* SPDX-License-Identifier: MIT */
/* What the files of the binding share: module state, arrays in, statuses out.
 *
 * Each heap type has a file <name>_type.c that ends in rtl_<name>_type_add; plain
 * functions sit in <area>_functions.c, which exports a PyMethodDef table. */
#ifndef RTL_BINDING_H
#define RTL_BINDING_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#define NPY_NO_DEPRECATED_API NPY_2_0_API_VERSION
#define NPY_TARGET_VERSION NPY_2_0_API_VERSION
#define PY_ARRAY_UNIQUE_SYMBOL RTL_ARRAY_API
#ifndef RTL_IMPORT_ARRAY
#define NO_IMPORT_ARRAY
#endif
#include <numpy/arrayobject.h>

#include "model.h"
#include "monitor.h"
#include "status.h"

/* --- module.c ----------------------------------------------------------------- */

typedef struct {
    PyObject *convergence_error, *reducible_error;
    PyTypeObject *grid_type, *expression_type, *model_type, *generator_type,
        *evolution_type, *resolvent_type;
    PyTypeObject *simulation_type;
} rtl_state_t;

extern struct PyModuleDef rtl_module_definition;

rtl_state_t *rtl_module_state(PyObject *module);

/* The state from an instance of one of our types; NULL with an exception set. */
rtl_state_t *rtl_module_state_of(PyObject *self);

/* The one place where a status becomes an exception. One that is set already (a user's
 * function raised it, or Ctrl-C did while another thread failed) stays. `fault` may be
 * NULL. Always returns NULL. */
PyObject *rtl_module_raise(int status, const rtl_fault_t *fault);

/* "(0.5, -1.0)", and "drift is not finite: component 1 is nan at x = (0.5, -1.0)"; new
 * references, or NULL with an exception set. */
PyObject *rtl_module_point_text(const rtl_fault_t *fault);
PyObject *rtl_module_fault_text(int status, const rtl_fault_t *fault);

/* Create a heap type, store it in *slot (owned by the module state) and in the module.
 */
int rtl_module_add_type(PyObject *module, PyType_Spec *spec, PyTypeObject **slot);

/* --- arrays.c ----------------------------------------------------------------- */

/* A C-contiguous, aligned, native float64 array made from `value`; a new reference, to
 * be read only. The exception names the argument: TypeError for what is no array of
 * real numbers, ValueError for a wrong number of dimensions (ndim < 0: any). */
PyArrayObject *rtl_arrays_input(PyObject *value, const char *name, int ndim);

/* Check one length; 0, or -1 with ValueError naming the argument. */
int rtl_arrays_check_length(
    PyArrayObject *array, const char *name, int axis, npy_intp expected);

/* Arrays (n,) of one length, that of the first. Those from n_needed on may be None,
 * which gives NULL. New references also where it fails with -1; arrays[] starts as
 * NULL. */
int rtl_arrays_columns(int n_arrays, int n_needed, PyObject *const *values,
    const char *const *names, PyArrayObject **arrays);

/* The numbers of an array; NULL for NULL. */
const double *rtl_arrays_optional(PyArrayObject *array);

/* A new float64 array. */
PyArrayObject *rtl_arrays_new(int ndim, const npy_intp *shape);

double *rtl_arrays_data(PyArrayObject *array);

/* --- callbacks.c -------------------------------------------------------------- */

/* A hook for long calls made without the GIL: it runs pending signal handlers and, if
 * `progress` is not None, calls progress(done). `progress` is borrowed. */
void rtl_callbacks_monitor(rtl_monitor_t *monitor, PyObject *progress);

enum { RTL_CALLBACK_LEADING = 2 }; /* most axes of a result before the last, (n,) */

/* A Python function called on blocks: function(x) with x a new array (dim, n). */
typedef struct {
    PyObject *function; /* owned by whoever holds this */
    const char *name;   /* static text: "drift", ... */
    size_t dim;
    int ndim; /* leading axes of the result, and their lengths */
    npy_intp shape[RTL_CALLBACK_LEADING];
} rtl_callback_t;

/* An rtl_block_fn; `data` is an rtl_callback_t. It takes the GIL. Where it fails, the
 * exception is set. */
int rtl_callbacks_evaluate(const double *x, double *out, intptr_t n, void *data);

/* The C function in a capsule whose name is its signature (as scipy.LowLevelCallable
 * makes them), and its user data. 0, or -1 with ValueError. */
int rtl_callbacks_pointer(
    PyObject *capsule, const char *name, rtl_block_fn *function, void **data);

/* --- one line a heap type ------------------------------------------------------- */

int rtl_grid_type_add(PyObject *module, rtl_state_t *state);
int rtl_expression_type_add(PyObject *module, rtl_state_t *state);
PyObject *rtl_expression_type_operations(PyObject *module, PyObject *ignored);
int rtl_model_type_add(PyObject *module, rtl_state_t *state);
int rtl_generator_type_add(PyObject *module, rtl_state_t *state);
int rtl_evolution_type_add(PyObject *module, rtl_state_t *state);
int rtl_resolvent_type_add(PyObject *module, rtl_state_t *state);
int rtl_simulation_type_add(PyObject *module, rtl_state_t *state);

/* --- one line a file of functions ----------------------------------------------- */

extern PyMethodDef rtl_random_functions[];
extern PyMethodDef rtl_selling_functions[];
extern PyMethodDef rtl_estimate_functions[];
extern PyMethodDef rtl_increment_functions[];
extern PyMethodDef rtl_jump_functions[];
extern PyMethodDef rtl_typicality_functions[];
extern PyMethodDef rtl_decomposition_functions[];
extern PyMethodDef rtl_analysis_functions[];

#endif
