/* SPDX-License-Identifier: MIT */
/* The sum is scanned outwards from the guess, on both sides at once, for its first
 * change of sign, and halved there: it need not be monotonous. */
#include "closure.h"

#include <float.h>
#include <math.h>

#include "sum.h"

typedef struct {
    size_t n;
    const double *r, *change, *volume;
    double low, high; /* range of R */
    rtl_monitor_t *monitor;
} problem_t;

/* The sum, divided by its largest weight. */
static int
moment(const problem_t *self, double gamma, double *value)
{
    double origin = gamma >= 0.0 ? self->low : self->high;
    rtl_sum_t sum = {0.0, 0.0};

    for (size_t i = 0; i < self->n; i++) {
        double v = self->volume == NULL ? 1.0 : self->volume[i];
        rtl_sum_add(&sum, v * exp(-gamma * (self->r[i] - origin)) * self->change[i]);
    }
    *value = rtl_sum_total(&sum);
    return rtl_monitor_poll(self->monitor, 0.0);
}

/* Halve [a, b], where the sum is `at_a` and of the other sign. */
static int
halve(const problem_t *self, double a, double at_a, double b, double *gamma)
{
    int status = 0;

    while (status == 0 && fabs(b - a) > 4.0 * DBL_EPSILON * (1.0 + fabs(a))) {
        double value, middle = 0.5 * (a + b);
        status = moment(self, middle, &value);
        if ((value > 0.0) == (at_a > 0.0)) {
            a = middle;
        } else {
            b = middle;
        }
    }
    *gamma = 0.5 * (a + b);
    return status;
}

int
rtl_closure_solve(size_t n, const double *r, const double *change, const double *volume,
    double guess, double reach, double step, rtl_monitor_t *monitor, double *gamma)
{
    problem_t problem = {n, r, change, volume, INFINITY, -INFINITY, monitor};
    double at[2], from[2] = {guess, guess};

    *gamma = NAN;
    if (!(step > 0.0 && isfinite(fabs(guess) + reach))) {
        return RTL_BAD_ARGUMENT;
    }
    for (size_t i = 0; i < n; i++) {
        problem.low = fmin(problem.low, r[i]);
        problem.high = fmax(problem.high, r[i]);
    }
    if (!(problem.high > problem.low)) {
        return 0;
    }
    int status = moment(&problem, guess, &at[0]);
    at[1] = at[0];
    if (status == 0 && at[0] == 0.0) {
        *gamma = guess;
        return 0;
    }
    for (size_t k = 1; status == 0 && (double) k * step <= reach; k++) {
        for (int side = 0; status == 0 && side < 2; side++) {
            double value, to = guess + (side == 0 ? 1.0 : -1.0) * (double) k * step;
            status = moment(&problem, to, &value);
            if (status == 0 && (value > 0.0) != (at[side] > 0.0)) {
                return halve(&problem, from[side], at[side], to, gamma);
            }
            from[side] = to;
            at[side] = value;
        }
    }
    return status;
}
