/* SPDX-License-Identifier: MIT */
/* A correction z of log p on the coarse grid must undo the imbalance of each coarse
 * cell: P_I Q_I (A_c z_c)_I = sum_{i in I} p_i q_i r_i. Linear interpolation of z and
 * summation of r together are of higher order than the operator, as multigrid asks of
 * them (Hackbusch 1985, sect. 4.4.3). */
#include "geometric.h"

#include <string.h>

#include "balance.h"
#include "memory.h"

enum { RESIDUAL, RHS, CORRECTION, WORK };

static double *
vector(const rtl_geometric_level_t *level, int which)
{
    return level->work + (size_t) which * level->chain->n;
}

static int
level_init(rtl_geometric_level_t *level, const rtl_generator_t *chain)
{
    level->chain = chain;
    level->reach = rtl_balance_reach(chain);
    level->y = rtl_memory_alloc(chain->n, sizeof(double));
    level->value = rtl_memory_alloc(chain->n_entries, sizeof(double));
    level->work = rtl_memory_alloc(WORK * chain->n, sizeof(double));
    if (level->y == NULL || level->value == NULL || level->work == NULL) {
        return RTL_NO_MEMORY;
    }
    return 0;
}

static void
level_free(rtl_geometric_level_t *level)
{
    rtl_memory_free(level->y);
    rtl_memory_free(level->value);
    rtl_memory_free(level->work);
    rtl_memory_free(level->parent);
    rtl_memory_free(level->restriction);
    rtl_memory_free(level->top);
    rtl_interpolate_free(&level->interpolate);
}

int
rtl_geometric_init(rtl_geometric_t *self, const rtl_generator_t *chain, const double *y)
{
    memset(self, 0, sizeof *self);
    int status = level_init(&self->level[0], chain);
    if (status == 0) {
        memcpy(self->level[0].y, y, chain->n * sizeof *y);
        self->n_levels = 1;
        status = rtl_multilevel_init(&self->coarsest, chain, y);
    }
    if (status != 0) {
        rtl_geometric_free(self);
    }
    return status;
}

int
rtl_geometric_push(rtl_geometric_t *self, const rtl_generator_t *chain,
    const rtl_grid_t *coarse, const rtl_grid_t *fine)
{
    if (self->n_levels == RTL_GEOMETRIC_MAX) {
        return RTL_TOO_LARGE;
    }
    rtl_geometric_level_t *level = &self->level[self->n_levels];
    int status = level_init(level, chain);
    if (status == 0) {
        status = rtl_interpolate_init(&level->interpolate, coarse, fine, false);
    }
    rtl_memory_free(self->scratch);
    self->scratch = rtl_memory_alloc(2 * chain->n, sizeof(double));
    level->parent = rtl_memory_alloc(chain->n, sizeof(int32_t));
    level->restriction = rtl_memory_alloc(chain->n, sizeof(double));
    level->top = rtl_memory_alloc(coarse->n_cells, sizeof(int32_t));
    if (self->scratch == NULL || level->parent == NULL || level->restriction == NULL ||
        level->top == NULL) {
        status = RTL_NO_MEMORY;
    }
    if (status != 0) {
        level_free(level);
        memset(level, 0, sizeof *level);
        return status;
    }
    rtl_interpolate_parents(&level->interpolate, coarse, fine, level->parent);
    self->n_levels++;
    return 0;
}

void
rtl_geometric_free(rtl_geometric_t *self)
{
    for (size_t l = 0; l < RTL_GEOMETRIC_MAX; l++) {
        level_free(&self->level[l]);
    }
    rtl_memory_free(self->scratch);
    rtl_multilevel_free(&self->coarsest);
    memset(self, 0, sizeof *self);
}

void
rtl_geometric_replace(rtl_geometric_t *self, const rtl_generator_t *chain)
{
    self->level[self->n_levels - 1].chain = chain;
    self->level[self->n_levels - 1].updated = false;
}

void
rtl_geometric_update(rtl_geometric_t *self, const double *y)
{
    rtl_geometric_level_t *fine = &self->level[self->n_levels - 1];
    const rtl_generator_t *chain = fine->chain;

    if (self->n_levels == 1 ||
        (fine->updated && memcmp(fine->y, y, chain->n * sizeof *y) == 0)) {
        return;
    }
    memcpy(fine->y, y, chain->n * sizeof *y);
    fine->updated = true;
    rtl_balance_values(chain, y, fine->value, self->scratch);
    /* p_i q_i / (P_I Q_I), P_I the sum of p over the coarse cell; all p relative to
     * that of the coarse cell's most probable one */
    const rtl_generator_t *coarse = (fine - 1)->chain;
    double *total = vector(fine - 1, RHS);
    int32_t *top = fine->top;
    for (size_t c = 0; c < coarse->n; c++) {
        top[c] = -1;
        total[c] = 0.0;
    }
    for (size_t i = 0; i < chain->n; i++) {
        int32_t *best = &top[fine->parent[i]];
        *best = *best < 0 || y[i] > y[*best] ? (int32_t) i : *best;
    }
    for (size_t i = 0; i < chain->n; i++) {
        size_t best = (size_t) top[fine->parent[i]];
        fine->restriction[i] = rtl_balance_ratio(self->scratch, chain->n, i, best);
        total[fine->parent[i]] += fine->restriction[i];
    }
    for (size_t c = 0; c < coarse->n; c++) {
        total[c] = 1.0 / (total[c] * coarse->exit_rate[c]);
    }
    for (size_t i = 0; i < chain->n; i++) {
        fine->restriction[i] *= chain->exit_rate[i] * total[fine->parent[i]];
    }
}

void
rtl_geometric_apply(const rtl_geometric_t *self, const double *x, double *out)
{
    const rtl_geometric_level_t *fine = &self->level[self->n_levels - 1];

    rtl_balance_apply(fine->chain, fine->value, x, out);
}

static void
cycle(rtl_geometric_t *self, size_t l, const double *b, double *x)
{
    rtl_geometric_level_t *fine = &self->level[l], *coarse = fine - 1;
    double *r = vector(fine, RESIDUAL);

    if (l == 0) {
        rtl_multilevel_cycle(&self->coarsest, b, x);
        return;
    }
    double *rhs = vector(coarse, RHS), *correction = vector(coarse, CORRECTION);
    rtl_balance_forward(fine->chain, fine->value, fine->reach, b, x, r);
    memset(rhs, 0, coarse->chain->n * sizeof *rhs);
    for (size_t i = 0; i < fine->chain->n; i++) {
        rhs[fine->parent[i]] += fine->restriction[i] * r[i];
    }
    cycle(self, l - 1, rhs, correction);
    rtl_interpolate_add(&fine->interpolate, correction, x, self->scratch);
    rtl_balance_backward(fine->chain, fine->value, b, x);
}

void
rtl_geometric_cycle(rtl_geometric_t *self, const double *b, double *x)
{
    cycle(self, self->n_levels - 1, b, x);
}

size_t
rtl_geometric_bytes(const rtl_geometric_t *self)
{
    size_t bytes = rtl_multilevel_bytes(&self->coarsest);

    for (size_t l = 0; l < self->n_levels; l++) {
        const rtl_generator_t *chain = self->level[l].chain;
        bytes += chain->n_entries * sizeof(double);
        bytes += chain->n * ((WORK + 2) * sizeof(double) + sizeof(int32_t));
    }
    return bytes + 2 * self->level[self->n_levels - 1].chain->n * sizeof(double);
}
