/* SPDX-License-Identifier: MIT */
/* Calvert & Randall (2024), PNAS 121, e2411731121, for chains, where lambda is the exit
 * rate and psi the stationary law of the jump chain. A Fokker-Planck equation run by
 * the clock lambda(x) has the steady state psi = lambda p too. Sums run over the cells
 * in order, about the mean, and carry their rounding error along. */
#include "decomposition.h"

#include <float.h>
#include <math.h>
#include <stdbool.h>

#include "sum.h"

enum { POLL_EVERY = 1 << 15 };

/* The two logarithms whose sum is log psi. */
typedef struct {
    const rtl_decomposition_input_t *input;
    rtl_monitor_t *monitor;
    double weight;     /* sum of the weights */
    double mean_p;     /* of log p */
    double mean_clock; /* of log lambda */
    double pp, pc, cc; /* central moments of the two */
    double largest;    /* |log p| or |log lambda| */
    double log_jump_max;
} moments_t;

static bool
is_used(const rtl_decomposition_input_t *input, size_t i)
{
    return isfinite(input->log_p[i]) && isfinite(input->log_clock[i]);
}

static double
weight(const rtl_decomposition_input_t *input, size_t i)
{
    return input->weights == NULL ? 1.0 : input->weights[i];
}

static int
poll(const moments_t *self, size_t i)
{
    return i % POLL_EVERY == 0 ? rtl_monitor_poll(self->monitor, 0.0) : 0;
}

static int
means(moments_t *self, size_t *n_used)
{
    const rtl_decomposition_input_t *input = self->input;
    rtl_sum_t total = {0}, p = {0}, clock = {0};

    for (size_t i = 0; i < input->n; i++) {
        int status = poll(self, i);
        if (status != 0) {
            return status;
        }
        if (!is_used(input, i)) {
            continue;
        }
        double w = weight(input, i), y = input->log_p[i], c = input->log_clock[i];
        if (!(w >= 0.0 && isfinite(w))) {
            return RTL_BAD_ARGUMENT;
        }
        rtl_sum_add(&total, w);
        rtl_sum_add(&p, w * y);
        rtl_sum_add(&clock, w * c);
        self->largest = fmax(self->largest, w > 0.0 ? fmax(fabs(y), fabs(c)) : 0.0);
        self->log_jump_max = fmax(self->log_jump_max, y + c);
        ++*n_used;
    }
    self->weight = rtl_sum_total(&total);
    if (*n_used > 0 && !(self->weight > 0.0)) {
        return RTL_BAD_ARGUMENT;
    }
    self->mean_p = rtl_sum_total(&p) / self->weight;
    self->mean_clock = rtl_sum_total(&clock) / self->weight;
    return 0;
}

static int
central_moments(moments_t *self)
{
    const rtl_decomposition_input_t *input = self->input;
    rtl_sum_t pp = {0}, pc = {0}, cc = {0};

    for (size_t i = 0; i < input->n; i++) {
        int status = poll(self, i);
        if (status != 0) {
            return status;
        }
        if (!is_used(input, i)) {
            continue;
        }
        double w = weight(input, i) / self->weight;
        double p = input->log_p[i] - self->mean_p;
        double c = input->log_clock[i] - self->mean_clock;
        rtl_sum_add(&pp, w * p * p);
        rtl_sum_add(&pc, w * p * c);
        rtl_sum_add(&cc, w * c * c);
    }
    self->pp = rtl_sum_total(&pp);
    self->pc = rtl_sum_total(&pc);
    self->cc = rtl_sum_total(&cc);
    return 0;
}

/* Moments of log psi from the sum itself, not from pp, pc and cc: that the identities
 * hold is then a check. */
static int
jump_moments(const moments_t *self, double *jump, double *with_clock)
{
    const rtl_decomposition_input_t *input = self->input;
    rtl_sum_t mean = {0}, jj = {0}, jc = {0};

    for (size_t i = 0; i < input->n; i++) {
        int status = poll(self, i);
        if (status != 0) {
            return status;
        }
        if (is_used(input, i)) {
            rtl_sum_add(&mean, weight(input, i) / self->weight *
                                   (input->log_p[i] + input->log_clock[i]));
        }
    }
    for (size_t i = 0; i < input->n; i++) {
        int status = poll(self, i);
        if (status != 0) {
            return status;
        }
        if (is_used(input, i)) {
            double w = weight(input, i) / self->weight;
            double j = input->log_p[i] + input->log_clock[i] - rtl_sum_total(&mean);
            rtl_sum_add(&jj, w * j * j);
            rtl_sum_add(&jc, w * j * (input->log_clock[i] - self->mean_clock));
        }
    }
    *jump = rtl_sum_total(&jj);
    *with_clock = rtl_sum_total(&jc);
    return 0;
}

static int
fill_jump(const moments_t *self, double *log_jump)
{
    const rtl_decomposition_input_t *input = self->input;
    rtl_sum_t total = {0};

    for (size_t i = 0; i < input->n; i++) {
        int status = poll(self, i);
        if (status != 0) {
            return status;
        }
        log_jump[i] = NAN;
        if (is_used(input, i)) {
            log_jump[i] = input->log_p[i] + input->log_clock[i] - self->log_jump_max;
            rtl_sum_add(&total,
                (input->volume == NULL ? 1.0 : input->volume[i]) * exp(log_jump[i]));
        }
    }
    double log_total = log(rtl_sum_total(&total));
    for (size_t i = 0; i < input->n; i++) {
        log_jump[i] -= log_total;
    }
    return 0;
}

/* Spreads below the rounding of the logarithms are none. */
static int
compare(const moments_t *self, rtl_decomposition_t *out)
{
    double jump, with_clock, rounding = 16.0 * DBL_EPSILON * (1.0 + self->largest);
    int status = jump_moments(self, &jump, &with_clock);

    if (status != 0) {
        return status;
    }
    if (!(sqrt(self->cc) > rounding)) {
        out->reason = RTL_DECOMPOSITION_CONSTANT_CLOCK;
        return 0;
    }
    out->r = sqrt(jump / self->cc);
    out->gamma = -self->pc / self->cc;
    if (sqrt(self->pp) > rounding) {
        out->rho = -self->pc / sqrt(self->pp) / sqrt(self->cc);
    } else {
        out->reason = RTL_DECOMPOSITION_CONSTANT_P;
    }
    if (!(sqrt(jump) > rounding)) {
        out->r = 0.0;
        out->mismatch = fmax(fabs(out->rho - 1.0), fabs(out->gamma - 1.0));
        out->reason = RTL_DECOMPOSITION_CONSTANT_JUMP;
        return 0;
    }
    out->rho_hat = -with_clock / sqrt(jump) / sqrt(self->cc);
    double gamma = 1.0 + out->r * out->rho_hat;
    double length = sqrt(
        gamma * gamma + out->r * out->r * (1.0 - out->rho_hat) * (1.0 + out->rho_hat));
    out->mismatch = fabs(gamma - out->gamma);
    if (out->reason == RTL_DECOMPOSITION_FINE) {
        out->mismatch = fmax(out->mismatch, fabs(gamma / length - out->rho));
    }
    return 0;
}

int
rtl_decomposition_evaluate(const rtl_decomposition_input_t *input,
    rtl_monitor_t *monitor, rtl_decomposition_t *out, double *log_jump)
{
    moments_t moments = {.input = input, .monitor = monitor, .log_jump_max = -INFINITY};

    *out = (rtl_decomposition_t) {NAN, NAN, NAN, NAN, NAN, 0, RTL_DECOMPOSITION_FINE};
    int status = means(&moments, &out->n_used);
    if (status == 0) {
        status = fill_jump(&moments, log_jump);
    }
    if (status == 0 && out->n_used < 2) {
        out->reason = RTL_DECOMPOSITION_FEW;
        return 0;
    }
    if (status == 0) {
        status = central_moments(&moments);
    }
    return status == 0 ? compare(&moments, out) : status;
}

#define RTL_DECOMPOSITION_CASE(name, text)                                             \
    case name:                                                                         \
        return text;

const char *
rtl_decomposition_reason_text(rtl_decomposition_reason_t reason)
{
    switch (reason) {
        RTL_DECOMPOSITION_REASONS(RTL_DECOMPOSITION_CASE)
    default:
        return "";
    }
}
