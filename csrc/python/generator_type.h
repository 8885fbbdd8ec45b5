/* SPDX-License-Identifier: MIT */
/* What other files of the binding need of _core.Generator. */
#ifndef RTL_GENERATOR_TYPE_H
#define RTL_GENERATOR_TYPE_H

#include "binding.h"
#include "generator.h"

typedef struct {
    PyObject_HEAD rtl_generator_t chain;
    PyObject *model, *grid; /* NULL for a chain without a grid; owned */
    double peclet;
} rtl_generator_object_t;

/* An instance, zeroed, for a chain to be put in. NULL with an exception. */
rtl_generator_object_t *rtl_generator_type_empty(PyTypeObject *type);

/* Borrowed; valid while `self`, an instance of state->generator_type, lives. */
const rtl_generator_t *rtl_generator_type_get(PyObject *self);

#endif
