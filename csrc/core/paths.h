/* SPDX-License-Identifier: MIT */
/* Bounds on a ratio of steady probabilities by the heat along simple paths.
 *
 *     min_D s(D) <= log pi(x) / pi(y) <= max_D s(D),
 *     s(D) = sum over steps u -> v of D of log w(u -> v) / w(v -> u),
 *
 * D over all paths from y to x that visit no state twice. */
#ifndef RTL_PATHS_H
#define RTL_PATHS_H

#include "generator.h"
#include "monitor.h"

/* The most states of a part without cut points through which all paths are tried. */
#define RTL_PATHS_LARGEST 18

typedef enum {
    RTL_PATHS_FOUND,
    RTL_PATHS_ONE_WAY,     /* a step has no way back: states from -> to */
    RTL_PATHS_UNREACHABLE, /* no path */
    RTL_PATHS_TOO_MANY     /* a part of `states` states has exponentially many paths */
} rtl_paths_outcome_t;

typedef struct {
    rtl_paths_outcome_t outcome;
    double low, high;        /* the bounds */
    size_t from, to, states; /* see the outcomes */
    size_t n_parts;          /* parts without cut points on the way */
    size_t n_potential;      /* of these, parts where s comes from a potential */
} rtl_paths_t;

int rtl_paths_bounds(const rtl_generator_t *chain, size_t x, size_t y,
    rtl_monitor_t *monitor, rtl_paths_t *out) RTL_MUST_CHECK;

#endif
