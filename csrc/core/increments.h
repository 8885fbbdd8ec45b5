/* SPDX-License-Identifier: MIT */
/* Increments of paths over several lags, from segments without gaps.
 *
 *     dx(l) = x(t + l) - x(t),   t, t + 1, ... t + l in one segment */
#ifndef RTL_INCREMENTS_H
#define RTL_INCREMENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "status.h"

enum { RTL_INCREMENTS_LAGS = 6, RTL_INCREMENTS_LONGEST = 128, RTL_INCREMENTS_DIM = 16 };

typedef struct {
    const double *x;       /* (n_states, dim), finite; borrowed */
    const double *time;    /* (n_states,) or NULL for equal steps; borrowed */
    const intptr_t *begin; /* (n_segments,) first state of each; borrowed */
    const intptr_t *end;   /* (n_segments,) behind the last state; borrowed */
    size_t n_states, n_segments, dim;
    double dt;            /* between states, or its mean */
    const double *period; /* (dim,) length of a periodic axis, else 0; borrowed */
    size_t n_lags;
    size_t lags[RTL_INCREMENTS_LAGS]; /* in states, increasing */
} rtl_increments_t;

/* False for what is out of range: dim, lags, dt, segments that leave x. */
bool rtl_increments_good(const rtl_increments_t *self);

/* How many states of a segment have all lags before its end. */
size_t rtl_increments_starts(const rtl_increments_t *self, size_t segment);

/* Increments from a state over each lag, (n_lags, dim), and the times they take,
 * (n_lags,). On a periodic axis each step is the shortest way round. */
void rtl_increments_take(
    const rtl_increments_t *self, size_t state, double *dx, double *tau);

#endif
