/* SPDX-License-Identifier: MIT */
/* Methods of _core.Generator that solve for the steady state or start from log p. */
#ifndef RTL_GENERATOR_STEADY_H
#define RTL_GENERATOR_STEADY_H

#include "binding.h"

/* steady(rtol, method, initial or None, log_mean, progress)
 * -> (log_p, converged, info, the reweighted chain or None) */
PyObject *rtl_generator_steady(PyObject *self, PyObject *args);

/* residual(log_p, escape_rate, threads) -> (largest relative residual, where) */
PyObject *rtl_generator_steady_residual(PyObject *self, PyObject *args);

/* entropy_production(log_p) -> (n,) */
PyObject *rtl_generator_steady_entropy_production(PyObject *self, PyObject *log_p);

/* face_currents(log_p) -> a tuple with one array an axis */
PyObject *rtl_generator_steady_face_currents(PyObject *self, PyObject *log_p);

#endif
