/* SPDX-License-Identifier: MIT */
/* What other files of the binding need of _core.Expression. */
#ifndef RTL_EXPRESSION_TYPE_H
#define RTL_EXPRESSION_TYPE_H

#include "binding.h"
#include "expression.h"

/* Borrowed; valid while `self`, an instance of state->expression_type, lives. */
const rtl_expression_t *rtl_expression_type_get(PyObject *self);

#endif
