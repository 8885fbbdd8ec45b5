/* SPDX-License-Identifier: MIT */
/* One step of inverse iteration for a chain that is left for good: x = (-W)^-1 m.
 *
 * x_i is the mean time spent in state i before the escape, started from m; the sum of x
 * is the mean lifetime. All in logarithms, and without subtraction. */
#ifndef RTL_ESCAPE_INVERSE_H
#define RTL_ESCAPE_INVERSE_H

#include "steady.h"
#include "steady_room.h"

typedef struct {
    const rtl_generator_t *chain; /* borrowed */
    rtl_steady_method_t method;   /* KRYLOV, DIRECT or CLOSED_FORM */
    int32_t *order;               /* DIRECT: (n,) states by falling guess; owned */
    double *dense;       /* DIRECT: (n+1, n+1) eliminated, 0 is outside; owned */
    double *line;        /* CLOSED_FORM: (3, n) logs of up, down and pivot; owned */
    rtl_generator_t hub; /* KRYLOV: the chain, and state n that sends escapees back */
    rtl_steady_room_t room;
    double *work; /* (2, n + 1); owned */
} rtl_escape_inverse_t;

/* Whether states are linked only to i +- 1, without a link from the last to the first.
 */
bool rtl_escape_inverse_is_line(const rtl_generator_t *chain);

/* `chain` has killing. For DIRECT, y (n,) is a guess of log x that only sets the order
 * of elimination, which polls `monitor` (may be NULL). RTL_BAD_ARGUMENT: CLOSED_FORM of
 * a chain that is no line. */
int rtl_escape_inverse_init(rtl_escape_inverse_t *self, const rtl_generator_t *chain,
    rtl_steady_method_t method, const double *y, rtl_monitor_t *monitor) RTL_MUST_CHECK;
void rtl_escape_inverse_free(rtl_escape_inverse_t *self);

/* log x from log m, which is normalised. For KRYLOV, x holds a guess on entry, up to a
 * constant, and options tell how far to go; info (may hold anything) is then that of
 * the steady state of the returned process. */
int rtl_escape_inverse_apply(rtl_escape_inverse_t *self, const double *m,
    const rtl_steady_options_t *options, double *x, rtl_steady_info_t *info)
    RTL_MUST_CHECK;

#endif
