/* SPDX-License-Identifier: MIT */
/* What other files of the binding need of _core.Grid. */
#ifndef RTL_GRID_TYPE_H
#define RTL_GRID_TYPE_H

#include "binding.h"
#include "grid.h"

/* Borrowed; valid while `self`, an instance of state->grid_type, lives. */
const rtl_grid_t *rtl_grid_type_get(PyObject *self);

#endif
