/* SPDX-License-Identifier: MIT */
/* What other files of the binding need of _core.Generator. */
#ifndef RTL_GENERATOR_TYPE_H
#define RTL_GENERATOR_TYPE_H

#include "binding.h"
#include "generator.h"

/* Borrowed; valid while `self`, an instance of state->generator_type, lives. */
const rtl_generator_t *rtl_generator_type_get(PyObject *self);

#endif
