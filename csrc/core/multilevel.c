/* SPDX-License-Identifier: MIT */
/* One cycle: forward Gauss-Seidel from zero, the aggregates' correction, backward
 * Gauss-Seidel. The correction is two steps of GCR with the cycle of the next level as
 * preconditioner (K-cycle), which makes up for the prolongation being constant. */
#include "multilevel.h"

#include <math.h>
#include <string.h>

#include "aggregate.h"
#include "direct.h"
#include "memory.h"
#include "parallel.h"

/* vectors of one level; the finest needs two, the coarsest solve takes IMAGE_1 and the
 * next */
enum { RESIDUAL, RHS, CORRECTION, IMAGE_1, IMAGE_2, SECOND, WORK };
enum { SMALLEST = 64, LARGEST_DENSE = 512 };

/* The second GCR step is skipped if the first reduced the residual by this much. */
static const double good_enough = 0.25;

/* Levels that keep this share of the entries are given up, from so many states on. */
static const double filled = 0.6;
enum { LARGE = 20000 };

static double *
vector(const rtl_level_t *level, int which)
{
    return level->work + (size_t) which * level->balance.chain->n;
}

static rtl_monitor_t *
monitor(const rtl_level_t *level)
{
    return level->balance.team.monitor;
}

/* exp that stays finite: far from the solution log p may jump by thousands. */
static double
bounded_exp(double x)
{
    return exp(fmin(fmax(x, -600.0), 600.0));
}

/* --- numbers ---------------------------------------------------------------------- */

static int
update_coarse(rtl_level_t *fine, rtl_level_t *coarse)
{
    const rtl_generator_t *chain = fine->balance.chain;

    int status = rtl_aggregate_rates(chain, fine->y, fine->aggregate, fine->target,
        monitor(fine), &coarse->own, coarse->y, fine->share, vector(coarse, RHS));
    for (size_t i = 0; i < chain->n; i++) {
        double q = coarse->own.exit_rate[fine->aggregate[i]];
        fine->restriction[i] = q > 0.0 ? fine->share[i] * chain->exit_rate[i] / q : 0.0;
    }
    return status;
}

static int
update_dense(rtl_multilevel_t *self)
{
    const rtl_level_t *last = &self->level[self->n_levels - 1];
    size_t n = last->balance.chain->n;
    int status = rtl_direct_order(n, last->y, self->order);

    if (status != 0) {
        return status;
    }
    rtl_direct_gather(last->balance.chain, self->order, self->order + n, self->dense);
    status = rtl_direct_eliminate(n, 1, monitor(last), self->dense);
    for (size_t i = 0; i < n; i++) {
        double y = last->y[self->order[i]];
        for (size_t j = 0; j < n; j++) {
            if (j != i) {
                self->dense[i * n + j] *= bounded_exp(last->y[self->order[j]] - y);
            }
        }
    }
    return status;
}

int
rtl_multilevel_update(rtl_multilevel_t *self, const double *y)
{
    size_t bytes = self->level[0].balance.chain->n * sizeof *y;

    if (self->is_current && memcmp(self->level[0].y, y, bytes) == 0) {
        return 0;
    }
    memcpy(self->level[0].y, y, bytes);
    self->is_current = false;
    int status = 0;
    for (size_t l = 0; status == 0 && l < self->n_levels; l++) {
        rtl_balance_update(
            &self->level[l].balance, self->level[l].y, self->level[l].work);
        if (l + 1 < self->n_levels) {
            status = update_coarse(&self->level[l], &self->level[l + 1]);
        }
    }
    if (status == 0 && self->dense != NULL) {
        status = update_dense(self);
    }
    self->is_current = status == 0;
    return status;
}

/* --- hierarchy -------------------------------------------------------------------- */

static int
level_init(
    rtl_level_t *level, const rtl_generator_t *chain, size_t n_vectors, rtl_team_t team)
{
    level->y = rtl_memory_alloc(chain->n, sizeof(double));
    level->work = rtl_memory_alloc(n_vectors * chain->n, sizeof(double));
    if (level->y == NULL || level->work == NULL) {
        return RTL_NO_MEMORY;
    }
    return rtl_balance_init(&level->balance, chain, team);
}

static void
level_free(rtl_level_t *level)
{
    rtl_generator_free(&level->own);
    rtl_balance_free(&level->balance);
    rtl_memory_free(level->y);
    rtl_memory_free(level->aggregate);
    rtl_memory_free(level->target);
    rtl_memory_free(level->share);
    rtl_memory_free(level->restriction);
    rtl_memory_free(level->work);
}

/* Where each level has nearly as many entries as the one before (random graphs, which
 * mix fast), levels are dear and of little use: take metastable parts as the last one
 * if they are few. */
static int
take_parts(rtl_level_t *fine, rtl_level_t *coarse)
{
    size_t n_parts = 0;
    int32_t *part = rtl_memory_alloc(fine->balance.chain->n, sizeof *part);
    int status = part == NULL ? RTL_NO_MEMORY : 0;

    if (status == 0) {
        status = rtl_aggregate_strong(
            fine->balance.chain, fine->y, monitor(fine), part, &n_parts);
    }
    if (status == 0 && n_parts <= LARGEST_DENSE) {
        rtl_generator_free(&coarse->own);
        memcpy(fine->aggregate, part, fine->balance.chain->n * sizeof *part);
        status = rtl_aggregate_pattern(fine->balance.chain, part, n_parts,
            monitor(fine), &coarse->own, fine->target);
    }
    rtl_memory_free(part);
    return status;
}

/* Add the next level below `fine`; *grew is false if matching no longer shrinks it. */
static int
add_level(rtl_level_t *fine, rtl_level_t *coarse, bool *grew)
{
    const rtl_generator_t *chain = fine->balance.chain;
    size_t n = chain->n, n_groups = 0;
    int status = RTL_NO_MEMORY;

    fine->aggregate = rtl_memory_alloc(n, sizeof(int32_t));
    fine->target = rtl_memory_alloc(chain->n_entries, sizeof(int32_t));
    fine->share = rtl_memory_alloc(n, sizeof(double));
    fine->restriction = rtl_memory_alloc(n, sizeof(double));
    if (fine->aggregate == NULL || fine->target == NULL || fine->share == NULL ||
        fine->restriction == NULL) {
        return status;
    }
    status =
        rtl_aggregate_match(chain, fine->y, monitor(fine), fine->aggregate, &n_groups);
    *grew = (double) n_groups < 0.8 * (double) n;
    if (status != 0 || !*grew) {
        return status;
    }
    status = rtl_aggregate_pattern(
        chain, fine->aggregate, n_groups, monitor(fine), &coarse->own, fine->target);
    if (status == 0 && n > LARGE &&
        (double) coarse->own.n_entries > filled * (double) chain->n_entries) {
        status = take_parts(fine, coarse);
    }
    if (status != 0) {
        return status;
    }
    status = level_init(coarse, &coarse->own, WORK, fine->balance.team);
    return status == 0 ? update_coarse(fine, coarse) : status;
}

int
rtl_multilevel_init(rtl_multilevel_t *self, const rtl_generator_t *chain,
    const double *y, rtl_team_t team)
{
    int status;
    bool grew = true;
    rtl_level_t *last = &self->level[0];

    memset(self, 0, sizeof *self);
    status = level_init(last, chain, CORRECTION, team);
    if (status != 0) {
        goto out;
    }
    memcpy(last->y, y, chain->n * sizeof *y);
    self->n_levels = 1;
    while (last->balance.chain->n > SMALLEST && self->n_levels < RTL_MULTILEVEL_MAX) {
        status = add_level(last, last + 1, &grew);
        if (status != 0) {
            goto out;
        }
        if (!grew) {
            break;
        }
        last++;
        self->n_levels++;
    }
    if (last->balance.chain->n <= LARGEST_DENSE) {
        self->dense = rtl_memory_alloc(
            last->balance.chain->n * last->balance.chain->n, sizeof(double));
        self->order = rtl_memory_alloc(2 * last->balance.chain->n, sizeof(int32_t));
        if (self->dense == NULL || self->order == NULL) {
            status = RTL_NO_MEMORY;
            goto out;
        }
    }
    status = rtl_multilevel_update(self, y);
out:
    if (status != 0) {
        rtl_multilevel_free(self);
    }
    return status;
}

void
rtl_multilevel_free(rtl_multilevel_t *self)
{
    for (size_t l = 0; l < RTL_MULTILEVEL_MAX; l++) {
        level_free(&self->level[l]);
    }
    rtl_memory_free(self->dense);
    rtl_memory_free(self->order);
    memset(self, 0, sizeof *self);
}

size_t
rtl_multilevel_bytes(const rtl_multilevel_t *self)
{
    size_t bytes = 0;

    for (size_t l = 0; l < self->n_levels; l++) {
        const rtl_generator_t *chain = self->level[l].balance.chain;
        size_t vectors = l == 0 ? CORRECTION + 3 : WORK + 3;
        bytes += chain->n * (vectors * sizeof(double) + sizeof(int32_t));
        bytes += chain->n_entries * (sizeof(double) + sizeof(int32_t));
        if (l > 0) {
            bytes += chain->n_entries * (sizeof(double) + sizeof(int32_t));
            bytes += chain->n * (sizeof(double) + sizeof(size_t));
        }
    }
    return bytes;
}

/* --- the cycle -------------------------------------------------------------------- */

static double
dot(const rtl_level_t *level, const double *x, const double *y)
{
    return rtl_parallel_dot(x, y, level->balance.chain->n, level->balance.team);
}

/* Solve on the coarsest level: eliminate downwards, x = 0 at the most probable state,
 * substitute upwards. `work` is (2, n). */
static void
solve_dense(const rtl_multilevel_t *self, const double *b, double *x, double *work)
{
    const rtl_generator_t *chain = self->level[self->n_levels - 1].balance.chain;
    const double *w = self->dense;
    size_t n = chain->n;
    double *rhs = work, *solution = work + n;
    rtl_team_t one = {.n_threads = 1};

    for (size_t k = 0; k < n; k++) {
        rhs[k] = b[self->order[k]] * chain->exit_rate[self->order[k]];
    }
    for (size_t k = n - 1; k > 0; k--) {
        double pivot = w[k * n + k];
        rhs[k] = pivot > 0.0 ? rhs[k] / pivot : 0.0;
        for (size_t i = 0; i < k; i++) {
            rhs[i] += w[i * n + k] * rhs[k];
        }
    }
    solution[0] = 0.0;
    for (size_t k = 1; k < n; k++) {
        double pivot = w[k * n + k];
        solution[k] =
            (pivot > 0.0 ? rtl_parallel_dot(w + k * n, solution, k, one) / pivot
                         : 0.0) -
            rhs[k];
    }
    for (size_t k = 0; k < n; k++) {
        x[self->order[k]] = solution[k];
    }
}

static int correct(rtl_multilevel_t *self, size_t l);

static int
cycle(rtl_multilevel_t *self, size_t l, const double *b, double *x)
{
    rtl_level_t *fine = &self->level[l], *coarse = &self->level[l + 1];
    size_t n = fine->balance.chain->n;
    double *r = vector(fine, RESIDUAL), *rhs, *correction;
    int status = rtl_monitor_ask(monitor(fine));

    if (status != 0) {
        return status;
    }
    rtl_balance_forward(&fine->balance, b, x, r);
    if (l + 1 < self->n_levels) {
        rhs = vector(coarse, RHS);
        correction = vector(coarse, CORRECTION);
        memset(rhs, 0, coarse->balance.chain->n * sizeof *rhs);
        for (size_t i = 0; i < n; i++) {
            rhs[fine->aggregate[i]] += fine->restriction[i] * r[i];
        }
        status = correct(self, l + 1);
        for (size_t i = 0; i < n; i++) {
            x[i] += correction[fine->aggregate[i]];
        }
    }
    if (status == 0) {
        rtl_balance_backward(&fine->balance, b, x);
    }
    return status;
}

/* CORRECTION of level l from its RHS: directly on the last, else by at most two steps
 * of GCR. */
static int
correct(rtl_multilevel_t *self, size_t l)
{
    rtl_level_t *level = &self->level[l];
    size_t n = level->balance.chain->n;
    double *b = vector(level, RHS), *x = vector(level, CORRECTION);
    double *image_1 = vector(level, IMAGE_1), *image_2 = vector(level, IMAGE_2);
    double *second = vector(level, SECOND);

    if (l + 1 == self->n_levels && self->dense != NULL) {
        solve_dense(self, b, x, vector(level, IMAGE_1));
        return 0;
    }
    double before = dot(level, b, b);
    int status = cycle(self, l, b, x);
    if (status != 0) {
        return status;
    }
    rtl_balance_apply(&level->balance, x, image_1);
    double norm_1 = dot(level, image_1, image_1);
    if (!(norm_1 > 0.0)) {
        return 0;
    }
    double step_1 = dot(level, image_1, b) / norm_1;
    for (size_t i = 0; i < n; i++) {
        b[i] -= step_1 * image_1[i];
        x[i] *= step_1;
    }
    if (dot(level, b, b) <= good_enough * good_enough * before) {
        return 0;
    }
    status = cycle(self, l, b, second);
    if (status != 0) {
        return status;
    }
    rtl_balance_apply(&level->balance, second, image_2);
    double overlap = dot(level, image_2, image_1) / norm_1;
    double norm_2 = dot(level, image_2, image_2) - overlap * overlap * norm_1;
    if (!(norm_2 > 0.0)) {
        return 0;
    }
    double step_2 = dot(level, image_2, b) / norm_2;
    double back = overlap * step_2 / (step_1 != 0.0 ? step_1 : 1.0);
    for (size_t i = 0; i < n; i++) { /* x holds step_1 times the first direction */
        x[i] += step_2 * second[i] - back * x[i];
    }
    return 0;
}

int
rtl_multilevel_cycle(rtl_multilevel_t *self, const double *b, double *x)
{
    return cycle(self, 0, b, x);
}

/* --- multiplicative cycle -----------------------------------------------------------
 */

/* y of the coarsest level from its chain; left alone where elimination underflows. */
static int
solve_coarsest(rtl_level_t *last)
{
    const double *old = vector(last, RESIDUAL);
    int status = rtl_direct_dense(last->balance.chain, monitor(last), last->y);

    for (size_t i = 0; i < last->balance.chain->n; i++) {
        if (!isfinite(last->y[i])) {
            memcpy(last->y, old, last->balance.chain->n * sizeof *old);
            break;
        }
    }
    return status;
}

int
rtl_multilevel_multiply(rtl_multilevel_t *self, int sweeps, double *y)
{
    int status = 0;

    self->is_current = false; /* level[0].y is about to change */
    for (size_t l = 1; l < self->n_levels; l++) {
        rtl_level_t *level = &self->level[l];
        memcpy(vector(level, RESIDUAL), level->y, level->balance.chain->n * sizeof *y);
    }
    if (self->dense != NULL && self->n_levels > 1) {
        status = solve_coarsest(&self->level[self->n_levels - 1]);
    }
    for (size_t l = self->n_levels - 1; status == 0 && l-- > 0;) {
        rtl_level_t *fine = &self->level[l], *coarse = &self->level[l + 1];
        const double *old = vector(coarse, RESIDUAL);
        for (size_t i = 0; i < fine->balance.chain->n; i++) {
            size_t c = (size_t) fine->aggregate[i];
            fine->y[i] += coarse->y[c] - old[c];
        }
        for (int s = 0; status == 0 && s < sweeps; s++) {
            status = rtl_generator_sweep(fine->balance.chain, monitor(fine), fine->y);
        }
    }
    if (status != 0) {
        return status;
    }
    memcpy(y, self->level[0].y, self->level[0].balance.chain->n * sizeof *y);
    return rtl_multilevel_update(self, y);
}

void
rtl_multilevel_project(rtl_multilevel_t *self, double *z)
{
    double *fine_mean = z;

    if (self->dense == NULL) {
        return;
    }
    for (size_t l = 0; l + 1 < self->n_levels; l++) { /* means, level by level */
        const rtl_level_t *fine = &self->level[l];
        double *mean = vector(&self->level[l + 1], RHS);
        memset(mean, 0, self->level[l + 1].balance.chain->n * sizeof *mean);
        for (size_t i = 0; i < fine->balance.chain->n; i++) {
            mean[fine->aggregate[i]] += fine->share[i] * fine_mean[i];
        }
        fine_mean = mean;
    }
    for (size_t l = self->n_levels - 1; l-- > 0;) { /* and the coarsest back up */
        const rtl_level_t *fine = &self->level[l];
        const double *mean = vector(&self->level[l + 1], RHS);
        double *out = l == 0 ? z : vector(&self->level[l], RHS);
        for (size_t i = 0; i < fine->balance.chain->n; i++) {
            out[i] = (l == 0 ? out[i] : 0.0) +
                     (l == 0 ? -1.0 : 1.0) * mean[fine->aggregate[i]];
        }
    }
}
