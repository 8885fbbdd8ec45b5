/* SPDX-License-Identifier: MIT */
/* One cycle: forward and backward Gauss-Seidel from zero, then the aggregates'
 * correction, by two steps of GCR with the cycle of the next level (K-cycle).
 *
 * The shares must be those of the steady state within each aggregate, where gamma is
 * large: a few sweeps on each level, from the finest down, make them so. */
#include "resolvent.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "aggregate.h"
#include "direct.h"
#include "memory.h"
#include "sum.h"

/* vectors of one level; the finest needs RESIDUAL alone */
enum { RESIDUAL, RHS, CORRECTION, IMAGE_1, IMAGE_2, SECOND, WORK };
enum { SMALLEST = 64, LARGEST_DENSE = 512, SWEEPS = 3, LAST_SWEEPS = 50 };

/* Levels that change less than this in a time gamma are only smoothed. */
static const double slow = 0.25;

/* The second GCR step is skipped if the first reduced the residual by this much. */
static const double good_enough = 0.25;

static double *
vector(const rtl_resolvent_level_t *level, int which)
{
    return level->work + (size_t) which * level->chain->n;
}

/* --- hierarchy -------------------------------------------------------------------- */

static int
level_init(rtl_resolvent_level_t *level, const rtl_generator_t *chain, size_t n_vectors)
{
    level->chain = chain;
    level->inverse = rtl_memory_alloc(chain->n, sizeof(double));
    level->work = rtl_memory_alloc(n_vectors * chain->n, sizeof(double));
    for (size_t i = 0; i < chain->n; i++) {
        level->fastest = fmax(level->fastest, chain->exit_rate[i]);
    }
    return level->inverse == NULL || level->work == NULL ? RTL_NO_MEMORY : 0;
}

/* The chain of the groups in fine->aggregate; y (n,) becomes theirs, (n_groups,). */
static int
join(rtl_resolvent_level_t *fine, rtl_resolvent_level_t *coarse, size_t n_groups,
    rtl_monitor_t *monitor, double *y)
{
    const rtl_generator_t *chain = fine->chain;
    int32_t *target = rtl_memory_alloc(chain->n_entries, sizeof *target);
    double *coarse_y = rtl_memory_alloc(n_groups, sizeof *coarse_y);
    double *work = rtl_memory_alloc(n_groups, sizeof *work);
    int status = RTL_NO_MEMORY;

    fine->share = rtl_memory_alloc(chain->n, sizeof(double));
    if (target == NULL || coarse_y == NULL || work == NULL || fine->share == NULL) {
        goto out;
    }
    status = rtl_aggregate_pattern(
        chain, fine->aggregate, n_groups, monitor, &coarse->own, target);
    if (status == 0) {
        status = rtl_aggregate_rates(chain, y, fine->aggregate, target, monitor,
            &coarse->own, coarse_y, fine->share, work);
    }
    if (status != 0) {
        goto out;
    }
    if (chain->killing != NULL) {
        memset(work, 0, n_groups * sizeof *work);
        for (size_t i = 0; i < chain->n; i++) {
            work[fine->aggregate[i]] += fine->share[i] * chain->killing[i];
        }
        rtl_generator_kill(&coarse->own, work);
        work = NULL;
    }
    memcpy(y, coarse_y, n_groups * sizeof *y);
    status = level_init(coarse, &coarse->own, WORK);
out:
    rtl_memory_free(target);
    rtl_memory_free(coarse_y);
    rtl_memory_free(work);
    return status;
}

static int
smooth(const rtl_generator_t *chain, int sweeps, rtl_monitor_t *monitor, double *y)
{
    int status = 0;

    for (int s = 0; status == 0 && s < sweeps; s++) {
        status = rtl_generator_sweep(chain, monitor, y);
    }
    return status;
}

/* Levels below the finest, until one is small; `sweeps` improve y on each. */
static int
add_levels(rtl_resolvent_t *self, int sweeps, double *y)
{
    rtl_resolvent_level_t *last = &self->level[0];
    int status = 0;

    while (status == 0 && last->chain->n > SMALLEST &&
           self->n_levels < RTL_RESOLVENT_LEVELS) {
        size_t n = last->chain->n, n_groups = 0;
        last->aggregate = rtl_memory_alloc(n, sizeof(int32_t));
        if (last->aggregate == NULL) {
            return RTL_NO_MEMORY;
        }
        status = smooth(last->chain, sweeps, self->monitor, y);
        if (status == 0) {
            status = rtl_aggregate_match(
                last->chain, y, self->monitor, last->aggregate, &n_groups);
        }
        if (status != 0) {
            return status;
        }
        if ((double) n_groups > 0.8 * (double) n) {
            rtl_memory_free(last->aggregate);
            last->aggregate = NULL;
            break;
        }
        status = join(last, last + 1, n_groups, self->monitor, y);
        last++;
        self->n_levels++;
    }
    return status;
}

/* Where matching cannot go on, all that is left becomes one aggregate. */
static int
close_levels(rtl_resolvent_t *self, double *y)
{
    rtl_resolvent_level_t *last = &self->level[self->n_levels - 1];
    int status = 0;

    if (last->chain->n > LARGEST_DENSE && self->n_levels < RTL_RESOLVENT_LEVELS) {
        last->aggregate = rtl_memory_alloc(last->chain->n, sizeof(int32_t));
        if (last->aggregate == NULL) {
            return RTL_NO_MEMORY;
        }
        status = smooth(last->chain, LAST_SWEEPS, self->monitor, y);
        if (status == 0) {
            status = join(last, last + 1, 1, self->monitor, y);
        }
        last++;
        self->n_levels++;
    }
    if (status != 0) {
        return status;
    }
    size_t n = last->chain->n + 1;
    if (n <= LARGEST_DENSE + 1) {
        self->dense = rtl_memory_alloc(n * n, sizeof(double));
        status = self->dense == NULL ? RTL_NO_MEMORY : 0;
    }
    return status;
}

int
rtl_resolvent_init(rtl_resolvent_t *self, const rtl_generator_t *chain,
    const double *guess, rtl_monitor_t *monitor)
{
    memset(self, 0, sizeof *self);
    self->monitor = monitor;
    self->n_levels = 1;
    double *y = rtl_memory_alloc(chain->n, sizeof *y);
    int status = level_init(&self->level[0], chain, RHS);
    if (y == NULL) {
        status = RTL_NO_MEMORY;
    }
    if (y != NULL && guess != NULL) {
        memcpy(y, guess, chain->n * sizeof *y);
    }
    if (status == 0) {
        status = add_levels(self, guess != NULL ? 0 : SWEEPS, y);
    }
    if (status == 0) {
        status = close_levels(self, y);
    }
    if (status == 0) {
        status = rtl_resolvent_set(self, 0.0);
    }
    rtl_memory_free(y);
    if (status != 0) {
        rtl_resolvent_free(self);
    }
    return status;
}

void
rtl_resolvent_free(rtl_resolvent_t *self)
{
    for (size_t l = 0; l < RTL_RESOLVENT_LEVELS; l++) {
        rtl_generator_free(&self->level[l].own);
        rtl_memory_free(self->level[l].aggregate);
        rtl_memory_free(self->level[l].share);
        rtl_memory_free(self->level[l].inverse);
        rtl_memory_free(self->level[l].work);
    }
    rtl_memory_free(self->dense);
    memset(self, 0, sizeof *self);
}

/* --- gamma ------------------------------------------------------------------------ */

/* 1 - gamma W is minus the generator of a chain that is left for the outside, state 0,
 * at rate 1: so it is eliminated without subtraction. */
static int
set_dense(rtl_resolvent_t *self)
{
    const rtl_generator_t *chain = self->level[self->n_levels - 1].chain;
    size_t n = chain->n + 1;
    double *w = self->dense;

    memset(w, 0, n * n * sizeof *w);
    for (size_t i = 0; i < chain->n; i++) {
        for (size_t e = chain->start[i]; e < chain->start[i + 1]; e++) {
            w[(i + 1) * n + (size_t) chain->source[e] + 1] +=
                self->gamma * chain->rate[e];
        }
        w[i + 1] =
            1.0 + (chain->killing != NULL ? self->gamma * chain->killing[i] : 0.0);
    }
    return rtl_direct_eliminate(n, 1, self->monitor, w);
}

int
rtl_resolvent_set(rtl_resolvent_t *self, double gamma)
{
    size_t l = 0;

    self->gamma = gamma;
    do {
        const rtl_generator_t *chain = self->level[l].chain;
        for (size_t i = 0; i < chain->n; i++) {
            self->level[l].inverse[i] = 1.0 / (1.0 + gamma * chain->exit_rate[i]);
        }
        l++;
    } while (l < self->n_levels && gamma * self->level[l - 1].fastest > slow);
    self->n_active = l;
    bool all = l == self->n_levels && gamma * self->level[l - 1].fastest > slow;
    return all && self->dense != NULL ? set_dense(self) : 0;
}

/* --- the cycle -------------------------------------------------------------------- */

static double
inflow(const rtl_generator_t *chain, const double *x, size_t i)
{
    double sum = 0.0;

    for (size_t e = chain->start[i]; e < chain->start[i + 1]; e++) {
        sum += chain->rate[e] * x[chain->source[e]];
    }
    return sum;
}

/* Gauss-Seidel from x = 0 on. */
static void
forward(const rtl_resolvent_level_t *level, double gamma, const double *b, double *x)
{
    const rtl_generator_t *chain = level->chain;

    memset(x, 0, chain->n * sizeof *x);
    for (size_t i = 0; i < chain->n; i++) {
        x[i] = (b[i] + gamma * inflow(chain, x, i)) * level->inverse[i];
    }
}

static void
backward(const rtl_resolvent_level_t *level, double gamma, const double *b, double *x)
{
    const rtl_generator_t *chain = level->chain;

    for (size_t i = chain->n; i-- > 0;) {
        x[i] = (b[i] + gamma * inflow(chain, x, i)) * level->inverse[i];
    }
}

/* out = (1 - gamma W) x */
static void
apply(const rtl_resolvent_level_t *level, double gamma, const double *x, double *out)
{
    const rtl_generator_t *chain = level->chain;

    for (size_t i = 0; i < chain->n; i++) {
        out[i] = x[i] - gamma * (inflow(chain, x, i) - chain->exit_rate[i] * x[i]);
    }
}

static void
solve_dense(const rtl_resolvent_t *self, const double *b, double *x)
{
    const rtl_resolvent_level_t *last = &self->level[self->n_levels - 1];
    size_t n = last->chain->n + 1;
    const double *w = self->dense;
    double *rhs = vector(last, RESIDUAL);

    memcpy(rhs, b, (n - 1) * sizeof *rhs);
    for (size_t k = n - 1; k > 1; k--) {
        double out = rhs[k - 1] / w[k * n + k];
        for (size_t i = 1; i < k; i++) {
            rhs[i - 1] += w[i * n + k] * out;
        }
    }
    for (size_t k = 1; k < n; k++) {
        double sum = rhs[k - 1];
        for (size_t j = 1; j < k; j++) {
            sum += w[k * n + j] * x[j - 1];
        }
        x[k - 1] = sum / w[k * n + k];
    }
}

static int correct(rtl_resolvent_t *self, size_t l);

static int
cycle(rtl_resolvent_t *self, size_t l, const double *b, double *x)
{
    rtl_resolvent_level_t *fine = &self->level[l], *coarse = fine + 1;
    const rtl_generator_t *chain = fine->chain;
    double *r = vector(fine, RESIDUAL);

    int status = 0;
    forward(fine, self->gamma, b, x);
    if (l + 1 < self->n_active) {
        double *rhs = vector(coarse, RHS), *correction = vector(coarse, CORRECTION);
        memset(rhs, 0, coarse->chain->n * sizeof *rhs);
        apply(fine, self->gamma, x, r);
        for (size_t i = 0; i < chain->n; i++) {
            rhs[fine->aggregate[i]] += b[i] - r[i];
        }
        status = correct(self, l + 1);
        for (size_t i = 0; i < chain->n; i++) {
            x[i] += fine->share[i] * correction[fine->aggregate[i]];
        }
    }
    backward(fine, self->gamma, b, x);
    return status != 0 ? status : rtl_monitor_poll(self->monitor, 0.0);
}

/* CORRECTION of level l from its RHS: directly on the last, else by at most two steps
 * of GCR. */
static int
correct(rtl_resolvent_t *self, size_t l)
{
    rtl_resolvent_level_t *level = &self->level[l];
    size_t n = level->chain->n;
    double *b = vector(level, RHS), *x = vector(level, CORRECTION);
    double *image_1 = vector(level, IMAGE_1), *image_2 = vector(level, IMAGE_2);
    double *second = vector(level, SECOND);

    if (l + 1 == self->n_levels && self->dense != NULL &&
        self->gamma * level->fastest > slow) {
        solve_dense(self, b, x);
        return 0;
    }
    int status = cycle(self, l, b, x);
    if (status != 0 || l + 1 >= self->n_active) {
        return status;
    }
    double before = rtl_sum_dot(n, b, b);
    apply(level, self->gamma, x, image_1);
    double norm_1 = rtl_sum_dot(n, image_1, image_1);
    if (!(norm_1 > 0.0)) {
        return 0;
    }
    double step_1 = rtl_sum_dot(n, image_1, b) / norm_1;
    for (size_t i = 0; i < n; i++) {
        b[i] -= step_1 * image_1[i];
        x[i] *= step_1;
    }
    if (rtl_sum_dot(n, b, b) <= good_enough * good_enough * before) {
        return 0;
    }
    status = cycle(self, l, b, second);
    if (status != 0) {
        return status;
    }
    apply(level, self->gamma, second, image_2);
    double overlap = rtl_sum_dot(n, image_2, image_1) / norm_1;
    double norm_2 = rtl_sum_dot(n, image_2, image_2) - overlap * overlap * norm_1;
    if (!(norm_2 > 0.0)) {
        return 0;
    }
    double step_2 = rtl_sum_dot(n, image_2, b) / norm_2;
    double back = overlap * step_2 / (step_1 != 0.0 ? step_1 : 1.0);
    for (size_t i = 0; i < n; i++) { /* x holds step_1 times the first direction */
        x[i] += step_2 * second[i] - back * x[i];
    }
    return 0;
}

int
rtl_resolvent_cycle(rtl_resolvent_t *self, const double *b, double *x)
{
    return cycle(self, 0, b, x);
}

void
rtl_resolvent_keep_mass(
    const rtl_resolvent_t *self, const double *p, const double *b, double *x)
{
    const rtl_generator_t *chain = self->level[0].chain;
    rtl_sum_t mass = {0}, lacking = {0};

    for (size_t i = 0; i < chain->n; i++) {
        double weight =
            chain->killing == NULL ? 1.0 : 1.0 + self->gamma * chain->killing[i];
        rtl_sum_add(&mass, weight * fabs(p[i]));
        rtl_sum_add(&lacking, b[i] - weight * x[i]);
    }
    double scale = rtl_sum_total(&lacking) / fmax(rtl_sum_total(&mass), 1e-300);
    for (size_t i = 0; i < chain->n; i++) {
        x[i] += scale * fabs(p[i]);
    }
}
