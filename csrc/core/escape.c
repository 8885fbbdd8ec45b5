/* SPDX-License-Identifier: MIT */
/* Inverse iteration, p <- (-W)^-1 p / kappa: positive throughout, and quick where the
 * escape is slow compared with everything else. After every few steps the best
 * combination of them is taken (reduced-rank extrapolation: Eddy 1979; Mesina 1977),
 * which removes the next slowest modes, or passed over if it is not positive. */
#include "escape.h"

#include <math.h>
#include <string.h>

#include "direct.h"
#include "escape_inverse.h"
#include "memory.h"

enum { WINDOW = 4, MOST_STEPS = 400, DIRECT_LARGEST = 1000 };

/* The change of log p that ends the iteration: this, or ten times rtol. */
static const double smallest_change = 1e-9;
static const double rounding = 1e-15;

typedef struct {
    const rtl_generator_t *chain;
    rtl_escape_inverse_t inverse;
    double *history; /* (WINDOW + 1, n) log p of successive steps; owned */
    size_t n_history;
    double settled;             /* change of log p that ends the iteration */
    double change, last_change; /* largest change of log p, in this step and before */
} iteration_t;

static double *
step_of(const iteration_t *self, size_t k)
{
    return self->history + k * self->chain->n;
}

/* --- extrapolation -----------------------------------------------------------------
 */

/* Solve a x = c, in place of c, by elimination with the largest pivot; false if a,
 * whose diagonal is 1, is singular. */
static bool
solve_small(double a[WINDOW][WINDOW], double *c)
{
    int order[WINDOW];

    for (int k = 0; k < WINDOW; k++) {
        order[k] = k;
    }
    for (int k = 0; k < WINDOW; k++) {
        int best = k;
        for (int i = k; i < WINDOW; i++) {
            best = fabs(a[order[i]][k]) > fabs(a[order[best]][k]) ? i : best;
        }
        int swap = order[k];
        order[k] = order[best];
        order[best] = swap;
        double pivot = a[order[k]][k];
        if (!(fabs(pivot) > 1e-14)) {
            return false;
        }
        for (int i = k + 1; i < WINDOW; i++) {
            double factor = a[order[i]][k] / pivot;
            for (int j = k; j < WINDOW; j++) {
                a[order[i]][j] -= factor * a[order[k]][j];
            }
            c[order[i]] -= factor * c[order[k]];
        }
    }
    double x[WINDOW];
    for (int k = WINDOW - 1; k >= 0; k--) {
        x[k] = c[order[k]];
        for (int j = k + 1; j < WINDOW; j++) {
            x[k] -= a[order[k]][j] * x[j];
        }
        x[k] /= a[order[k]][k];
    }
    memcpy(c, x, sizeof x);
    return true;
}

/* Weights that sum to 1 and make sum_k weight_k (p_{k+1} - p_k) smallest in the norm
 * sum_i (.)^2 / p_i. */
static bool
find_weights(const iteration_t *self, double *weight)
{
    const double *last = step_of(self, WINDOW);
    double gram[WINDOW][WINDOW] = {{0.0}}, scale[WINDOW], total = 0.0;

    for (size_t i = 0; i < self->chain->n; i++) {
        double p = exp(last[i]), d[WINDOW];
        for (size_t k = 0; k < WINDOW; k++) {
            d[k] = exp(step_of(self, k + 1)[i] - last[i]) -
                   exp(step_of(self, k)[i] - last[i]);
        }
        for (size_t k = 0; k < WINDOW; k++) {
            for (size_t l = 0; l <= k; l++) {
                gram[k][l] += p * d[k] * d[l];
            }
        }
    }
    for (size_t k = 0; k < WINDOW; k++) {
        scale[k] = sqrt(gram[k][k]);
        if (!(scale[k] > 0.0) || !isfinite(scale[k])) {
            return false;
        }
    }
    /* weight ~ gram^-1 1, with d_k scaled to length 1 */
    for (size_t k = 0; k < WINDOW; k++) {
        for (size_t l = 0; l <= k; l++) {
            gram[k][l] /= scale[k] * scale[l];
            gram[l][k] = gram[k][l];
        }
        weight[k] = scale[WINDOW - 1] / scale[k];
    }
    if (!solve_small(gram, weight)) {
        return false;
    }
    for (size_t k = 0; k < WINDOW; k++) {
        weight[k] *= scale[WINDOW - 1] / scale[k];
        total += weight[k];
    }
    for (size_t k = 0; k < WINDOW; k++) {
        weight[k] /= total;
    }
    return isfinite(total) && total != 0.0;
}

/* The first step of the next window: the best combination of this one's, or its last
 * step if that is not positive everywhere. */
static void
restart(iteration_t *self)
{
    size_t n = self->chain->n;
    double weight[WINDOW], *first = step_of(self, 0);
    const double *last = step_of(self, WINDOW);
    bool good = find_weights(self, weight);

    for (size_t i = 0; good && i < n; i++) {
        double sum = 0.0;
        for (size_t k = 0; k < WINDOW; k++) {
            sum += weight[k] * exp(step_of(self, k + 1)[i] - last[i]);
        }
        good = sum > 0.1 && sum < 10.0;
        first[i] = last[i] + log(sum);
    }
    if (!good) {
        memcpy(first, last, n * sizeof *first);
    }
    rtl_direct_normalise(n, first);
    self->n_history = 1;
}

/* --- the iteration ------------------------------------------------------------------
 */

/* The work of one step, and how the last one went. */
static void
add_step(rtl_steady_info_t *sum, const rtl_steady_info_t *part)
{
    rtl_steady_add_work(sum, part);
    sum->levels = part->levels;
    sum->bytes = part->bytes;
    memcpy(sum->message, part->message, RTL_SUN_MESSAGE);
}

/* One step: log p, normalised, to the next place of the history. */
static int
advance(iteration_t *self, const rtl_steady_options_t *options, double *escape_rate,
    rtl_steady_info_t *info)
{
    size_t n = self->chain->n;
    rtl_steady_options_t inner = *options;
    rtl_steady_info_t part = {0};

    if (self->n_history == WINDOW + 1) {
        restart(self);
    }
    const double *from = step_of(self, self->n_history - 1);
    double *to = step_of(self, self->n_history);
    inner.rtol = 0.3 * options->rtol;
    memcpy(to, from, n * sizeof *to);
    int status = rtl_escape_inverse_apply(&self->inverse, from, &inner, to, &part);
    if (self->inverse.method == RTL_STEADY_KRYLOV) {
        add_step(info, &part);
    } else {
        info->warm_steps++;
    }
    if (status != 0) {
        info->residual = part.residual;
        info->worst = part.worst < n ? part.worst : 0;
        return status;
    }
    double before = to[0];
    rtl_direct_normalise(n, to);
    *escape_rate = exp(to[0] - before); /* 1 / the mean lifetime */
    self->last_change = self->change;
    self->change = 0.0;
    for (size_t i = 0; i < n; i++) {
        double change = fabs(to[i] - from[i]);
        self->change = change <= self->change ? self->change : change;
    }
    self->n_history++;
    return status;
}

/* Steps that shrink by a factor r go on for another r / (1 - r) of the last. */
static bool
is_settled(const iteration_t *self)
{
    double ratio = self->change / self->last_change;
    double left = ratio < 0.999 ? self->change * ratio / (1.0 - ratio) : INFINITY;

    return self->change <= self->settled &&
           (left <= self->settled || self->change <= 1e-3 * self->settled);
}

static int
iterate(iteration_t *self, const rtl_steady_options_t *options, double *y,
    double *escape_rate, rtl_steady_info_t *info)
{
    size_t n = self->chain->n;
    int status = 0;
    bool done = false;

    self->n_history = 1;
    self->change = INFINITY;
    self->settled = fmax(smallest_change, 10.0 * options->rtol);
    memcpy(step_of(self, 0), y, n * sizeof *y);
    rtl_direct_normalise(n, step_of(self, 0));
    for (int step = 0; status == 0 && step < MOST_STEPS; step++) {
        status = advance(self, options, escape_rate, info);
        if (status == 0) {
            status = rtl_monitor_poll(options->team.monitor, 0.0);
        }
        if (status != 0) {
            break;
        }
        const double *last = step_of(self, self->n_history - 1);
        if (self->change <= self->settled) {
            info->residual = rtl_steady_residual(
                self->chain, last, *escape_rate, options->team, &info->worst);
            done = is_settled(self) && info->residual <= options->rtol;
        }
        if (done || !(self->change > rounding && isfinite(self->change))) {
            break;
        }
    }
    memcpy(y, step_of(self, self->n_history - 1), n * sizeof *y);
    return status != 0 || done ? status : RTL_NOT_CONVERGED;
}

static int
solve_by(rtl_steady_method_t method, const rtl_generator_t *chain,
    const rtl_steady_options_t *options, double *y, double *escape_rate,
    rtl_steady_info_t *info)
{
    size_t n = chain->n;
    iteration_t self = {.chain = chain};

    info->method = method;
    int status =
        rtl_escape_inverse_init(&self.inverse, chain, method, y, options->team.monitor);
    if (status != 0) {
        return status;
    }
    self.history = rtl_memory_alloc((WINDOW + 1) * n, sizeof *self.history);
    status = self.history == NULL ? RTL_NO_MEMORY
                                  : iterate(&self, options, y, escape_rate, info);
    size_t square = method == RTL_STEADY_DIRECT ? (n + 1) * (n + 1) : 0;
    info->bytes += ((WINDOW + 3) * n + square) * sizeof(double);
    rtl_memory_free(self.history);
    rtl_escape_inverse_free(&self.inverse);
    return status;
}

int
rtl_escape_solve(const rtl_generator_t *chain, const rtl_steady_options_t *options,
    bool has_guess, double *y, double *escape_rate, rtl_steady_info_t *info)
{
    rtl_steady_method_t method = options->method;
    int status = 0;

    *escape_rate = 0.0;
    if (chain->killing == NULL) {
        return rtl_steady_solve(chain, NULL, options, has_guess, y, info);
    }
    memset(info, 0, sizeof *info);
    if (method == RTL_STEADY_AUTO) {
        method = rtl_escape_inverse_is_line(chain) ? RTL_STEADY_CLOSED_FORM
                 : chain->n <= DIRECT_LARGEST      ? RTL_STEADY_DIRECT
                                                   : RTL_STEADY_KRYLOV;
    }
    if (!has_guess) {
        memset(y, 0, chain->n * sizeof *y);
        for (int sweep = 0; status == 0 && sweep < 4; sweep++) {
            status = rtl_generator_sweep(chain, options->team.monitor, y);
        }
    }
    if (status != 0) {
        return status;
    }
    status = solve_by(method, chain, options, y, escape_rate, info);
    bool stuck = status == RTL_NOT_CONVERGED && method == RTL_STEADY_DIRECT &&
                 options->method == RTL_STEADY_AUTO;
    if (stuck) { /* rates of the eliminated chain underflowed */
        for (size_t i = 0; i < chain->n; i++) {
            y[i] = isfinite(y[i]) ? y[i] : 0.0;
        }
        status = solve_by(RTL_STEADY_KRYLOV, chain, options, y, escape_rate, info);
    }
    return rtl_monitor_heed(options->team.monitor, status);
}
