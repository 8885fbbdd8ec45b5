/* SPDX-License-Identifier: MIT */
/* Values are checked a row at a time, which vectorises; only a failing row is searched
 * for the point to name. */
#include "model_values.h"

#include <float.h>
#include <math.h>

#include "expression.h"
#include "processor.h"

int
rtl_model_values_fail(
    const rtl_model_place_t *at, int status, size_t i, size_t component, double value)
{
    rtl_fault_t *fault = at->fault;

    if (fault != NULL) {
        fault->what = at->what;
        fault->dim = at->dim < RTL_MAX_DIM ? at->dim : RTL_MAX_DIM;
        for (size_t k = 0; k < fault->dim; k++) {
            fault->x[k] = at->x[k * at->n + i];
        }
        fault->component = component;
        fault->columns = at->columns;
        fault->value = value;
    }
    return status;
}

/* One row of values: finite and >= lower. */
RTL_PROCESSOR_INLINE int
row_is_good_body(const double *v, size_t n, double lower)
{
    uint64_t good = 1; /* as wide as a number: vectors of both fit together */

    for (size_t i = 0; i < n; i++) {
        good &= (uint64_t) (v[i] >= lower) & (uint64_t) (v[i] <= DBL_MAX);
    }
    return good == 1;
}

RTL_PROCESSOR_BUILD(
    row_is_good, (const double *v, size_t n, double lower), (v, n, lower))

int
rtl_model_values_check(
    const rtl_model_place_t *at, const double *v, size_t rows, size_t stride)
{
    size_t first = at->n, component = 0;

    for (size_t r = 0; r < rows; r++) {
        double lower = stride != 0 && r % stride == 0 ? 0.0 : -DBL_MAX;
        const double *row = v + r * at->n;
        if (row_is_good(row, at->n, lower)) {
            continue;
        }
        for (size_t i = 0; i < first; i++) {
            if (!(row[i] >= lower && row[i] <= DBL_MAX)) {
                first = i;
                component = r;
            }
        }
    }
    if (first == at->n) {
        return 0;
    }
    double value = v[component * at->n + first];
    return rtl_model_values_fail(
        at, isfinite(value) ? RTL_NEGATIVE : RTL_NOT_FINITE, first, component, value);
}

int
rtl_model_values_evaluate(
    const rtl_field_t *field, const rtl_model_place_t *at, double *out)
{
    int code = field->evaluate(at->x, out, (intptr_t) at->n, field->data);

    if (code == 0) {
        return 0;
    }
    if (field->evaluate == rtl_expression_evaluate) {
        return code; /* ours: a status */
    }
    if (at->fault != NULL) { /* no point in particular */
        *at->fault = (rtl_fault_t) {.what = at->what, .value = (double) code};
    }
    return RTL_CALLBACK;
}
