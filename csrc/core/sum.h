/* SPDX-License-Identifier: MIT */
/* A sum that carries its rounding error along (two-sum, Knuth 1969).
 *
 * The result is as if computed with twice the digits and rounded once. */
#ifndef RTL_SUM_H
#define RTL_SUM_H

#include <math.h>

typedef struct {
    double value; /* what plain summation gives */
    double lost;  /* what rounding took from it */
} rtl_sum_t;      /* zero before use */

static inline void
rtl_sum_add(rtl_sum_t *self, double x)
{
    double total = self->value + x;
    double added = total - self->value;

    self->lost += (self->value - (total - added)) + (x - added);
    self->value = total;
}

static inline double
rtl_sum_total(const rtl_sum_t *self)
{
    return self->value + self->lost;
}

/* log(exp(a) + exp(b)) */
static inline double
rtl_sum_logs(double a, double b)
{
    double top = fmax(a, b);
    return top == -INFINITY ? top : top + log1p(exp(fmin(a, b) - top));
}

#endif
