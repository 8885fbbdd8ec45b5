/* SPDX-License-Identifier: MIT */
#include "increments.h"

#include <math.h>

bool
rtl_increments_good(const rtl_increments_t *self)
{
    if (self->dim < 1 || self->dim > RTL_INCREMENTS_DIM || self->n_lags < 1 ||
        self->n_lags > RTL_INCREMENTS_LAGS || !(self->dt > 0.0) || self->lags[0] < 1 ||
        self->lags[self->n_lags - 1] > RTL_INCREMENTS_LONGEST) {
        return false;
    }
    for (size_t lag = 1; lag < self->n_lags; lag++) {
        if (self->lags[lag] <= self->lags[lag - 1]) {
            return false;
        }
    }
    for (size_t s = 0; s < self->n_segments; s++) {
        if (self->begin[s] < 0 || self->end[s] < self->begin[s] ||
            (size_t) self->end[s] > self->n_states) {
            return false;
        }
    }
    return true;
}

size_t
rtl_increments_starts(const rtl_increments_t *self, size_t segment)
{
    size_t length = (size_t) (self->end[segment] - self->begin[segment]);
    size_t longest = self->lags[self->n_lags - 1];

    return length > longest ? length - longest : 0;
}

/* Along a periodic axis, summed step by step. */
static void
take_around(const rtl_increments_t *self, const double *x, size_t axis, double *dx)
{
    double period = self->period[axis], sum = 0.0;
    size_t dim = self->dim, s = 0;

    for (size_t lag = 0; lag < self->n_lags; lag++) {
        for (; s < self->lags[lag]; s++) {
            double step = x[(s + 1) * dim + axis] - x[s * dim + axis];
            sum += step - period * rint(step / period);
        }
        dx[lag * dim + axis] = sum;
    }
}

void
rtl_increments_take(const rtl_increments_t *self, size_t state, double *dx, double *tau)
{
    size_t dim = self->dim;
    const double *x = self->x + state * dim;

    for (size_t lag = 0; lag < self->n_lags; lag++) {
        size_t length = self->lags[lag];
        tau[lag] = self->time == NULL ? (double) length * self->dt
                                      : self->time[state + length] - self->time[state];
        for (size_t k = 0; k < dim; k++) {
            dx[lag * dim + k] = x[length * dim + k] - x[k];
        }
    }
    for (size_t k = 0; k < dim; k++) {
        if (self->period[k] > 0.0) {
            take_around(self, x, k, dx);
        }
    }
}
