/* SPDX-License-Identifier: MIT */
/* How far from uniform the law of the jump chain can be, without solving for it.
 *
 *     TV(psi, uniform) <= 1/2 |delta|_1 / (1 - tau),
 *     delta_y = mean_x P_xy - 1/N,   tau = max_{x,x'} TV(P_x, P_x'),
 *
 * P the jump probabilities, tau the Dobrushin coefficient. */
#ifndef RTL_CERTIFICATE_H
#define RTL_CERTIFICATE_H

#include "generator.h"
#include "monitor.h"

typedef struct {
    double imbalance; /* |delta|_1 */
    double dobrushin; /* tau */
} rtl_certificate_t;

/* RTL_BAD_ARGUMENT: a state that no rate leaves. In O(n n_entries) steps. */
int rtl_certificate_evaluate(const rtl_generator_t *chain, rtl_monitor_t *monitor,
    rtl_certificate_t *out) RTL_MUST_CHECK;

#endif
