/* SPDX-License-Identifier: MIT */
/* _core.Simulation, which two files share: how it is made and runs (simulation_type.c),
 * how it is looked at, saved and restored (simulation_state.c). */
#ifndef RTL_SIMULATION_TYPE_H
#define RTL_SIMULATION_TYPE_H

#include "binding.h"

#include <stdatomic.h>

#include "observe.h"

typedef struct {
    PyObject_HEAD rtl_simulate_t simulation;
    PyObject *model, *second;     /* an Expression, or NULL */
    PyArrayObject *lower, *upper; /* walls, or NULL */
    bool *sides;                  /* (3, dim): periodic; absorbing (dim, 2) */
    PyObject *grid;               /* of the observer, or NULL */
    PyArrayObject *period;
    rtl_observe_t observer;
    atomic_bool busy; /* a run is on its way in some thread */
} rtl_simulation_object_t;

/* Sets the exception that belongs to a failed run; always returns NULL. */
PyObject *rtl_simulation_raise(int status, const rtl_simulate_t *self);

/* Marks it busy until it is given back; false: it is busy or has failed, and an
 * exception is set. */
bool rtl_simulation_take(rtl_simulation_object_t *self);
void rtl_simulation_give_back(rtl_simulation_object_t *self);

/* Methods. */
PyObject *rtl_simulation_state(PyObject *object, PyObject *ignored);
PyObject *rtl_simulation_n_steps(PyObject *object, PyObject *ignored);
PyObject *rtl_simulation_exit_times(PyObject *object, PyObject *ignored);
PyObject *rtl_simulation_observed(PyObject *object, PyObject *ignored);
PyObject *rtl_simulation_dump(PyObject *object, PyObject *ignored);
PyObject *rtl_simulation_restore(PyObject *object, PyObject *args);

#endif
