/* SPDX-License-Identifier: MIT */
/* What the functions of a model give, and checks of it that name the point. */
#ifndef RTL_MODEL_VALUES_H
#define RTL_MODEL_VALUES_H

#include "model.h"

/* What is evaluated, where, and whom to tell. */
typedef struct {
    const char *what;
    size_t dim, n;
    size_t columns;     /* of a tensor's rows; 0: not a tensor */
    const double *x;    /* (dim, n) */
    rtl_fault_t *fault; /* may be NULL */
} rtl_model_place_t;

/* Note component `component` at point i; returns `status`. */
int rtl_model_values_fail(
    const rtl_model_place_t *at, int status, size_t i, size_t component, double value);

/* Each of the rows finite; those in every `stride`-th place (0: none) >= 0 too. The
 * point found is the first at which any row fails. */
int rtl_model_values_check(const rtl_model_place_t *at, const double *v, size_t rows,
    size_t stride) RTL_MUST_CHECK;

/* out (n_out, n) from the field, not checked. RTL_CALLBACK, or a tape's own status. */
int rtl_model_values_evaluate(
    const rtl_field_t *field, const rtl_model_place_t *at, double *out) RTL_MUST_CHECK;

#endif
