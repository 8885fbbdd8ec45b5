/* SPDX-License-Identifier: MIT */
/* A correction z of log p on the coarse grid must undo the imbalance of each coarse
 * cell: P_I Q_I (A_c z_c)_I = sum_{i in I} p_i q_i r_i. Linear interpolation of z and
 * summation of r together are of higher order than the operator, as multigrid asks of
 * them (Hackbusch 1985, sect. 4.4.3). */
#include "geometric.h"

#include <string.h>

#include "memory.h"

enum { RESIDUAL, RHS, CORRECTION, SECOND, WORK };

static double *
vector(const rtl_geometric_level_t *level, int which)
{
    return level->work + (size_t) which * level->balance.chain->n;
}

static int
level_init(rtl_geometric_level_t *level, const rtl_generator_t *chain, rtl_team_t team)
{
    level->y = rtl_memory_alloc(chain->n, sizeof(double));
    level->work = rtl_memory_alloc(WORK * chain->n, sizeof(double));
    if (level->y == NULL || level->work == NULL) {
        return RTL_NO_MEMORY;
    }
    return rtl_balance_init(&level->balance, chain, team);
}

static void
level_free(rtl_geometric_level_t *level)
{
    rtl_balance_free(&level->balance);
    rtl_memory_free(level->y);
    rtl_memory_free(level->work);
    rtl_memory_free(level->parent);
    rtl_memory_free(level->restriction);
    rtl_memory_free(level->top);
    rtl_interpolate_free(&level->interpolate);
}

int
rtl_geometric_init(rtl_geometric_t *self, const rtl_generator_t *chain, const double *y,
    rtl_team_t team)
{
    memset(self, 0, sizeof *self);
    self->team = team;
    int status = level_init(&self->level[0], chain, team);
    if (status == 0) {
        memcpy(self->level[0].y, y, chain->n * sizeof *y);
        self->n_levels = 1;
        status = rtl_multilevel_init(&self->coarsest, chain, y, team);
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
    int status = level_init(level, chain, self->team);
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
    if (status == 0) {
        status = rtl_interpolate_parents(coarse, fine, level->parent);
    }
    if (status != 0) {
        level_free(level);
        memset(level, 0, sizeof *level);
        return status;
    }
    level->n_slabs = coarse->shape[0];
    level->slab = coarse->stride[0];
    level->fine_slab = fine->stride[0] * (fine->shape[0] > coarse->shape[0] ? 2 : 1);
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
    self->level[self->n_levels - 1].balance.chain = chain;
    self->level[self->n_levels - 1].updated = false;
}

/* --- loops over slabs: coarse cells of some indices along axis 0, and the fine cells
 * in them ------------------------------------------------------------------------ */

typedef struct {
    rtl_geometric_level_t *fine;
    const double *exit_rate; /* of the coarse chain */
    double *total;           /* a vector of the coarse level */
    const double *scratch;
} slabs_t;

static size_t
last_cell(const rtl_geometric_level_t *fine, size_t last_slab)
{
    size_t n = fine->balance.chain->n, end = last_slab * fine->fine_slab;
    return end < n ? end : n;
}

/* p_i q_i / (P_I Q_I), P_I the sum of p over the coarse cell; all p relative to that of
 * the coarse cell's most probable one. */
static void
restriction_piece(void *data, size_t piece, size_t first, size_t last)
{
    slabs_t *slabs = data;
    rtl_geometric_level_t *fine = slabs->fine;
    const double *y = fine->y, *exit_rate = fine->balance.chain->exit_rate;
    const int32_t *parent = fine->parent;
    double *total = slabs->total, *restriction = fine->restriction;
    size_t begin = first * fine->fine_slab, end = last_cell(fine, last);
    int32_t *top = fine->top;

    (void) piece;
    for (size_t c = first * fine->slab; c < last * fine->slab; c++) {
        top[c] = -1;
        total[c] = 0.0;
    }
    for (size_t i = begin; i < end; i++) {
        int32_t *best = &top[parent[i]];
        *best = *best < 0 || y[i] > y[*best] ? (int32_t) i : *best;
    }
    for (size_t i = begin; i < end; i++) {
        restriction[i] = rtl_balance_ratio(
            slabs->scratch, fine->balance.chain->n, i, (size_t) top[parent[i]]);
        total[parent[i]] += restriction[i];
    }
    for (size_t c = first * fine->slab; c < last * fine->slab; c++) {
        total[c] = 1.0 / (total[c] * slabs->exit_rate[c]);
    }
    for (size_t i = begin; i < end; i++) {
        restriction[i] *= exit_rate[i] * total[parent[i]];
    }
}

void
rtl_geometric_update(rtl_geometric_t *self, const double *y)
{
    rtl_geometric_level_t *fine = &self->level[self->n_levels - 1];
    size_t n = fine->balance.chain->n;

    if (self->n_levels == 1 ||
        (fine->updated && memcmp(fine->y, y, n * sizeof *y) == 0)) {
        return;
    }
    memcpy(fine->y, y, n * sizeof *y);
    fine->updated = true;
    rtl_balance_update(&fine->balance, y, self->scratch);
    slabs_t slabs = {.fine = fine,
        .exit_rate = (fine - 1)->balance.chain->exit_rate,
        .total = vector(fine - 1, RHS),
        .scratch = self->scratch};
    rtl_parallel_loop(
        restriction_piece, &slabs, fine->n_slabs, fine->fine_slab, self->team);
}

/* Restrict the residual: sum of shares over each coarse cell. */
static void
restrict_piece(void *data, size_t piece, size_t first, size_t last)
{
    slabs_t *slabs = data;
    rtl_geometric_level_t *fine = slabs->fine;
    const double *r = vector(fine, RESIDUAL);
    double *rhs = slabs->total;

    (void) piece;
    memset(rhs + first * fine->slab, 0, (last - first) * fine->slab * sizeof *rhs);
    for (size_t i = first * fine->fine_slab; i < last_cell(fine, last); i++) {
        rhs[fine->parent[i]] += fine->restriction[i] * r[i];
    }
}

/* --- the cycle -------------------------------------------------------------------- */

static int cycle(rtl_geometric_t *self, size_t l, const double *b, double *x);

static void
add_piece(void *data, size_t piece, size_t first, size_t last)
{
    const rtl_geometric_level_t *level = data;
    double *x = vector(level, CORRECTION);
    const double *second = vector(level, SECOND);

    (void) piece;
    for (size_t i = first; i < last; i++) {
        x[i] += second[i];
    }
}

/* CORRECTION of level l from its RHS, by two cycles: coarse operators of strong drift
 * are too stiff by a factor up to 2, and one would leave half of the error. */
static int
correct(rtl_geometric_t *self, size_t l)
{
    rtl_geometric_level_t *level = &self->level[l];
    double *b = vector(level, RHS), *x = vector(level, CORRECTION);

    if (l == 0) {
        return rtl_multilevel_cycle(&self->coarsest, b, x);
    }
    int status = cycle(self, l, b, x);
    if (status == 0) {
        rtl_balance_reduce(&level->balance, x, b);
        status = cycle(self, l, b, vector(level, SECOND));
    }
    rtl_parallel_loop(add_piece, level, level->balance.chain->n, 1, self->team);
    return status;
}

static int
cycle(rtl_geometric_t *self, size_t l, const double *b, double *x)
{
    rtl_geometric_level_t *fine = &self->level[l], *coarse = fine - 1;
    slabs_t slabs = {.fine = fine, .total = vector(coarse, RHS)};

    rtl_balance_forward(&fine->balance, b, x, vector(fine, RESIDUAL));
    rtl_parallel_loop(
        restrict_piece, &slabs, fine->n_slabs, fine->fine_slab, self->team);
    int status = correct(self, l - 1);
    if (status == 0) {
        rtl_interpolate_add(&fine->interpolate, vector(coarse, CORRECTION), x,
            self->scratch, self->team);
        rtl_balance_backward(&fine->balance, b, x);
    }
    return status;
}

int
rtl_geometric_cycle(rtl_geometric_t *self, const double *b, double *x)
{
    return self->n_levels == 1 ? rtl_multilevel_cycle(&self->coarsest, b, x)
                               : cycle(self, self->n_levels - 1, b, x);
}

size_t
rtl_geometric_bytes(const rtl_geometric_t *self)
{
    size_t bytes = rtl_multilevel_bytes(&self->coarsest);

    for (size_t l = 0; l < self->n_levels; l++) {
        const rtl_generator_t *chain = self->level[l].balance.chain;
        bytes += chain->n_entries * sizeof(double);
        bytes += chain->n * ((WORK + 2) * sizeof(double) + sizeof(int32_t));
    }
    return bytes +
           2 * self->level[self->n_levels - 1].balance.chain->n * sizeof(double);
}
