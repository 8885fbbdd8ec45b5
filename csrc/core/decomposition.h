/* SPDX-License-Identifier: MIT */
/* Local and global part of a steady state: p lambda = psi up to a constant.
 *
 *     r^2 = Var log psi / Var log lambda,   rho_hat = Corr(-log psi, log lambda),
 *     Corr(-log p, log lambda) = (1 + r rho_hat) / sqrt(1 + r^2 + 2 r rho_hat),
 *     gamma = 1 + r rho_hat    (minus the slope of log p on log lambda). */
#ifndef RTL_DECOMPOSITION_H
#define RTL_DECOMPOSITION_H

#include "monitor.h"
#include "status.h"

/* Cells whose log p or log lambda is not finite are left out. */
typedef struct {
    size_t n;                /* cells */
    const double *log_p;     /* (n,) log of the density, any constant added */
    const double *log_clock; /* (n,) log lambda */
    const double *volume;    /* (n,) > 0, or NULL: 1 */
    const double *weights;   /* (n,) >= 0, or NULL: all alike */
} rtl_decomposition_input_t;

/* Why some numbers are NaN. */
#define RTL_DECOMPOSITION_REASONS(X)                                                   \
    X(RTL_DECOMPOSITION_FINE, "")                                                      \
    X(RTL_DECOMPOSITION_FEW, "fewer than two cells can be used")                       \
    X(RTL_DECOMPOSITION_CONSTANT_CLOCK, "the clock is constant")                       \
    X(RTL_DECOMPOSITION_CONSTANT_JUMP, "the jump chain is uniform")                    \
    X(RTL_DECOMPOSITION_CONSTANT_P, "p is constant")

#define RTL_DECOMPOSITION_ENUM(name, text) name,
typedef enum {
    RTL_DECOMPOSITION_REASONS(RTL_DECOMPOSITION_ENUM)
} rtl_decomposition_reason_t;
#undef RTL_DECOMPOSITION_ENUM

typedef struct {
    double r;        /* spread of log psi over that of log lambda */
    double rho_hat;  /* Corr(-log psi, log lambda) */
    double rho;      /* Corr(-log p, log lambda), from its definition */
    double gamma;    /* minus the slope of log p on log lambda, from its definition */
    double mismatch; /* largest error of the two identities */
    size_t n_used;
    rtl_decomposition_reason_t reason;
} rtl_decomposition_t;

/* Also fills log psi (n,), normalised so that sum volume psi = 1; NaN in cells left
 * out. RTL_BAD_ARGUMENT: weights that are negative or sum to 0. */
int rtl_decomposition_evaluate(const rtl_decomposition_input_t *input,
    rtl_monitor_t *monitor, rtl_decomposition_t *out, double *log_jump) RTL_MUST_CHECK;

/* English text of a reason; never NULL. Static storage. */
const char *rtl_decomposition_reason_text(rtl_decomposition_reason_t reason);

#endif
