/* SPDX-License-Identifier: MIT */
/* A Markov generator W, dp/dt = W p: off-diagonals >= 0, columns sum to 0, or to minus
 * the rates at which states are left for good (absorbing walls).
 *
 * Row i lists the inflows w(j -> i); the diagonal is -exit_rate. A Fokker-Planck
 * operator on a grid (finite_volume.h) and any Markov chain are such an object. */
#ifndef RTL_GENERATOR_H
#define RTL_GENERATOR_H

#include <stdbool.h>
#include <stdint.h>

#include "monitor.h"

typedef struct {
    size_t n;          /* states */
    size_t n_entries;  /* off-diagonal entries */
    size_t *start;     /* (n + 1,) first entry of each row; owned */
    int32_t *source;   /* (n_entries,) state j; owned */
    double *rate;      /* (n_entries,) w(j -> i) per unit time; owned */
    double *exit_rate; /* (n,) q_j = sum_i w(j -> i) + killing_j; owned */
    double *killing;   /* (n,) rate of leaving for good; NULL if none does; owned */
    bool oblique;      /* on a grid: entries are not those of the cells' faces */
    double added_diffusion; /* on a grid: the largest that had to be added to a cell's
                             * tensor for short offsets, over its mean eigenvalue */
    size_t n_upwind; /* on a grid: links with a drift where D vanishes on a side */
} rtl_generator_t;

/* Zeroed room for n states and up to n_entries entries. */
int rtl_generator_init(rtl_generator_t *self, size_t n, size_t n_entries)
    RTL_MUST_CHECK;

/* From n_entries triples: rates[e] is the rate source[e] -> target[e]. Entries on the
 * diagonal are ignored, repeated ones add up. RTL_BAD_ARGUMENT: a state >= n;
 * RTL_NOT_FINITE, RTL_NEGATIVE: a rate, with its entry's number in *bad; if that rate
 * is finite, it is the sum of all rates from its source that is not. */
int rtl_generator_from_rates(rtl_generator_t *self, size_t n, size_t n_entries,
    const int64_t *source, const int64_t *target, const double *rates, size_t *bad,
    rtl_monitor_t *monitor) RTL_MUST_CHECK;

/* The chain on the states `keep` (n_keep of them, increasing): rates among them. */
int rtl_generator_restrict(rtl_generator_t *self, const rtl_generator_t *whole,
    const int32_t *keep, size_t n_keep) RTL_MUST_CHECK;

void rtl_generator_free(rtl_generator_t *self);

/* Take over killing (n,), which may be NULL: exit rates grow by it. What is 0 in all
 * states is freed. */
void rtl_generator_kill(rtl_generator_t *self, double *killing);

/* out = W p */
void rtl_generator_apply(const rtl_generator_t *self, const double *p, double *out);

/* One Gauss-Seidel sweep there and one back for y = log p:
 * y_i = log(sum_j w(j -> i) e^{y_j} / q_i). Repairs what is far off locally. */
int rtl_generator_sweep(const rtl_generator_t *self, rtl_monitor_t *monitor, double *y)
    RTL_MUST_CHECK;

/* Strongly connected classes that no rate leaves (Tarjan 1972). label[i] is the class
 * of state i, 0 .. *n_classes - 1, or -1 where state i is transient. */
int rtl_generator_recurrent_classes(const rtl_generator_t *self, int32_t *label,
    size_t *n_classes, rtl_monitor_t *monitor) RTL_MUST_CHECK;

#endif
