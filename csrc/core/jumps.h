/* SPDX-License-Identifier: MIT */
/* Paths of a Markov chain, jump by jump (Doob 1945; Gillespie 1977, J. Phys. Chem. 81,
 * 2340): state j is left after a time -log(U) / q_j, to i with probability w(j -> i) /
 * q_j, where U is uniform. */
#ifndef RTL_JUMPS_H
#define RTL_JUMPS_H

#include "generator.h"
#include "random.h"

/* The rates of a generator by the state they lead from. */
typedef struct {
    size_t n;
    size_t *start;   /* (n + 1,) first entry of each state; owned */
    int32_t *target; /* (n_entries,) owned */
    double *sum;     /* (n_entries,) rates up to and with this one; owned */
    double *total;   /* (n,) their sum and the rate of leaving for good; owned */
} rtl_jumps_t;

int rtl_jumps_init(rtl_jumps_t *self, const rtl_generator_t *generator) RTL_MUST_CHECK;
void rtl_jumps_free(rtl_jumps_t *self);

/* n_jumps jumps of n_paths paths, a function of (key, path, jump) and the start alone.
 * state and time are (n_paths, n_jumps + 1), the first of each row is given: time k is
 * that of the jump to state k. A path that leaves for good goes to state -1; one that
 * goes nowhere any more stays, its times are infinite. */
int rtl_jumps_run(const rtl_jumps_t *self, rtl_random_t random, size_t n_paths,
    size_t n_jumps, int32_t *state, double *time, size_t n_threads,
    rtl_monitor_t *monitor) RTL_MUST_CHECK;

#endif
