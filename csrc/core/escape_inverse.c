/* SPDX-License-Identifier: MIT */
/* Elimination by GTH with the outside as the state that stays; on a line O(n); for
 * large chains the returned process: who escapes starts again from m by way of one more
 * state, and the steady state of that is x up to a constant, which the flow to and from
 * the new state gives. */
#include "escape_inverse.h"

#include <math.h>
#include <string.h>

#include "direct.h"
#include "memory.h"
#include "sum.h"

bool
rtl_escape_inverse_is_line(const rtl_generator_t *chain)
{
    for (size_t i = 0; i < chain->n; i++) {
        for (size_t e = chain->start[i]; e < chain->start[i + 1]; e++) {
            size_t j = (size_t) chain->source[e];
            if (j + 1 != i && j != i + 1 && chain->rate[e] > 0.0) {
                return false;
            }
        }
    }
    return true;
}

/* log(exp(a) + sum_k w_k exp(y_k)) */
static double
log_sum(double a, size_t n, const double *w, const double *y)
{
    double top = a, sum = 0.0;

    for (size_t k = 0; k < n; k++) {
        if (w[k] > 0.0 && y[k] > top) {
            top = y[k];
        }
    }
    if (top == -INFINITY) {
        return top;
    }
    for (size_t k = 0; k < n; k++) {
        if (w[k] > 0.0) {
            sum += w[k] * exp(y[k] - top);
        }
    }
    return top + log(exp(a - top) + sum);
}

/* --- a line ----------------------------------------------------------------------- */

/* Eliminate from the last state down: state k is left downwards, or upwards without
 * return. */
static int
line_init(rtl_escape_inverse_t *self)
{
    const rtl_generator_t *chain = self->chain;
    size_t n = chain->n;
    double lost = -INFINITY; /* log rate from k into the eliminated part, for good */

    self->line = rtl_memory_alloc(3 * n, sizeof *self->line);
    if (self->line == NULL) {
        return RTL_NO_MEMORY;
    }
    double *up = self->line, *down = up + n, *pivot = down + n;
    for (size_t k = 0; k < n; k++) {
        up[k] = down[k] = 0.0;
    }
    for (size_t i = 0; i < n; i++) {
        for (size_t e = chain->start[i]; e < chain->start[i + 1]; e++) {
            size_t j = (size_t) chain->source[e];
            if (chain->rate[e] > 0.0) {
                (j < i ? up : down)[j] += chain->rate[e];
            }
        }
    }
    for (size_t k = 0; k < 2 * n; k++) {
        self->line[k] = log(self->line[k]);
    }
    for (size_t k = n; k-- > 0;) {
        lost = rtl_sum_logs(lost, log(chain->killing[k]));
        pivot[k] = rtl_sum_logs(down[k], lost);
        if (k > 0) {
            lost += up[k - 1] - pivot[k];
        }
    }
    return 0;
}

static void
line_apply(const rtl_escape_inverse_t *self, const double *m, double *x)
{
    size_t n = self->chain->n;
    const double *up = self->line, *down = up + n, *pivot = down + n;

    memcpy(x, m, n * sizeof *x);
    for (size_t k = n - 1; k > 0; k--) {
        x[k - 1] = rtl_sum_logs(x[k - 1], x[k] + down[k] - pivot[k]);
    }
    x[0] -= pivot[0];
    for (size_t k = 1; k < n; k++) {
        x[k] = rtl_sum_logs(x[k], x[k - 1] + up[k - 1]) - pivot[k];
    }
}

/* --- dense ------------------------------------------------------------------------ */

static int
dense_init(rtl_escape_inverse_t *self, const double *y, rtl_monitor_t *monitor)
{
    const rtl_generator_t *chain = self->chain;
    size_t n = chain->n, size = n + 1;
    int32_t *place = NULL;
    int status = RTL_NO_MEMORY;

    self->dense = rtl_memory_alloc(size * size, sizeof *self->dense);
    self->order = rtl_memory_alloc(n, sizeof *self->order);
    place = rtl_memory_alloc(n, sizeof *place);
    if (self->dense == NULL || self->order == NULL || place == NULL) {
        goto out;
    }
    status = rtl_direct_order(n, y, self->order);
    if (status != 0) {
        goto out;
    }
    for (size_t k = 0; k < n; k++) {
        place[self->order[k]] = (int32_t) k + 1;
        self->dense[k + 1] = chain->killing[self->order[k]];
    }
    for (size_t i = 0; i < n; i++) {
        double *row = self->dense + (size_t) place[i] * size;
        for (size_t e = chain->start[i]; e < chain->start[i + 1]; e++) {
            row[place[chain->source[e]]] += chain->rate[e];
        }
    }
    status = rtl_direct_eliminate(size, 1, monitor, self->dense);
out:
    rtl_memory_free(place);
    return status;
}

/* Downwards b_k = m_k + sum_{l>k} w(l -> k) b_l / pivot_l, then upwards
 * x_k = (b_k + sum_{j<k} w(j -> k) x_j) / pivot_k. */
static int
dense_apply(const rtl_escape_inverse_t *self, const double *m, rtl_monitor_t *monitor,
    double *x)
{
    size_t n = self->chain->n, size = n + 1;
    double *share = self->work, *sum = self->work + size;
    int status = 0;

    for (size_t k = n; status == 0 && k > 0; k--) {
        status = rtl_monitor_poll(monitor, 0.0);
        const double *row = self->dense + k * size;
        sum[k] = log_sum(m[self->order[k - 1]], n - k, row + k + 1, share + k + 1);
        share[k] = sum[k] - log(row[k]);
    }
    for (size_t k = 1; status == 0 && k <= n; k++) { /* share becomes x, in order */
        status = rtl_monitor_poll(monitor, 0.0);
        const double *row = self->dense + k * size;
        share[k] = log_sum(sum[k], k - 1, row + 1, share + 1) - log(row[k]);
    }
    for (size_t k = 0; status == 0 && k < n; k++) {
        x[self->order[k]] = share[k + 1];
    }
    return status;
}

/* --- the returned process ----------------------------------------------------------
 */

static int
hub_init(rtl_escape_inverse_t *self)
{
    const rtl_generator_t *chain = self->chain;
    rtl_generator_t *hub = &self->hub;
    size_t n = chain->n, n_ways = 0, e_new = 0;

    for (size_t i = 0; i < n; i++) {
        n_ways += chain->killing[i] > 0.0;
    }
    int status = rtl_generator_init(hub, n + 1, chain->n_entries + n + n_ways);
    if (status != 0) {
        return status;
    }
    for (size_t i = 0; i < n; i++) {
        size_t e = chain->start[i], length = chain->start[i + 1] - e;
        memcpy(hub->source + e_new, chain->source + e, length * sizeof *hub->source);
        memcpy(hub->rate + e_new, chain->rate + e, length * sizeof *hub->rate);
        e_new += length;
        hub->source[e_new++] = (int32_t) n;
        hub->start[i + 1] = e_new;
        hub->exit_rate[i] = chain->exit_rate[i];
    }
    for (size_t i = 0; i < n; i++) {
        if (chain->killing[i] > 0.0) {
            hub->source[e_new] = (int32_t) i;
            hub->rate[e_new++] = chain->killing[i];
        }
    }
    hub->start[n + 1] = e_new;
    return 0;
}

static int
hub_apply(rtl_escape_inverse_t *self, const double *m,
    const rtl_steady_options_t *options, double *x, rtl_steady_info_t *info)
{
    const rtl_generator_t *chain = self->chain;
    rtl_generator_t *hub = &self->hub;
    rtl_steady_options_t inner = *options;
    size_t n = chain->n;
    double *y = self->work, back = 0.0, escape = 0.0;

    memcpy(y, x, n * sizeof *y);
    rtl_direct_normalise(n, y);
    for (size_t i = 0; i < n; i++) { /* a rate of return of the order of the others */
        back += exp(m[i]) * chain->exit_rate[i];
        escape += exp(y[i]) * chain->killing[i];
    }
    hub->exit_rate[n] = 0.0;
    for (size_t i = 0; i < n; i++) {
        double *rate = hub->rate + hub->start[i + 1] - 1;
        *rate = back * exp(m[i]);
        hub->exit_rate[n] += *rate;
    }
    y[n] = log(fmax(escape / back, 1e-300));
    inner.method = RTL_STEADY_KRYLOV;
    inner.room = &self->room;
    int status = rtl_steady_solve(hub, NULL, &inner, true, y, info);
    for (size_t i = 0; i < n; i++) { /* the flow out of the new state becomes 1 */
        x[i] = y[i] - y[n] - log(hub->exit_rate[n]);
    }
    return status;
}

/* --- public ------------------------------------------------------------------------
 */

int
rtl_escape_inverse_init(rtl_escape_inverse_t *self, const rtl_generator_t *chain,
    rtl_steady_method_t method, const double *y, rtl_monitor_t *monitor)
{
    int status;

    memset(self, 0, sizeof *self);
    self->chain = chain;
    self->method = method;
    if (method == RTL_STEADY_CLOSED_FORM && !rtl_escape_inverse_is_line(chain)) {
        return RTL_BAD_ARGUMENT;
    }
    if (chain->n >= INT32_MAX) {
        return RTL_TOO_LARGE;
    }
    self->work = rtl_memory_alloc(2 * (chain->n + 1), sizeof *self->work);
    if (self->work == NULL) {
        return RTL_NO_MEMORY;
    }
    status = method == RTL_STEADY_CLOSED_FORM ? line_init(self)
             : method == RTL_STEADY_DIRECT    ? dense_init(self, y, monitor)
                                              : hub_init(self);
    if (status != 0) {
        rtl_escape_inverse_free(self);
    }
    return status;
}

void
rtl_escape_inverse_free(rtl_escape_inverse_t *self)
{
    rtl_generator_free(&self->hub);
    rtl_steady_room_free(&self->room);
    rtl_memory_free(self->order);
    rtl_memory_free(self->dense);
    rtl_memory_free(self->line);
    rtl_memory_free(self->work);
    memset(self, 0, sizeof *self);
}

int
rtl_escape_inverse_apply(rtl_escape_inverse_t *self, const double *m,
    const rtl_steady_options_t *options, double *x, rtl_steady_info_t *info)
{
    if (self->method == RTL_STEADY_KRYLOV) {
        return hub_apply(self, m, options, x, info);
    }
    if (self->method == RTL_STEADY_DIRECT) {
        return dense_apply(self, m, options->team.monitor, x);
    }
    line_apply(self, m, x);
    return 0;
}
