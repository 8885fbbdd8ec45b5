/* SPDX-License-Identifier: MIT */
/* What other files of the binding need of _core.Model. */
#ifndef RTL_MODEL_TYPE_H
#define RTL_MODEL_TYPE_H

#include "binding.h"

/* Borrowed; valid while `self`, an instance of state->model_type, lives. Fields that
 * are not thread_safe call Python: only the thread that called the core may evaluate
 * them, with or without the GIL. */
const rtl_model_t *rtl_model_type_get(PyObject *self);

#endif
