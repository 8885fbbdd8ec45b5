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

/* sum of x y over n numbers, not compensated; four sums hide the latency of adding */
static inline double
rtl_sum_dot(size_t n, const double *x, const double *y)
{
    double sum[4] = {0.0, 0.0, 0.0, 0.0};
    size_t i = 0;

    for (; i + 4 <= n; i += 4) {
        for (size_t k = 0; k < 4; k++) {
            sum[k] += x[i + k] * y[i + k];
        }
    }
    for (; i < n; i++) {
        sum[0] += x[i] * y[i];
    }
    return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

/* log(exp(a) + exp(b)) */
static inline double
rtl_sum_logs(double a, double b)
{
    double top = fmax(a, b);
    return top == -INFINITY ? top : top + log1p(exp(fmin(a, b) - top));
}

#endif
