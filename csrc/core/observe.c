/* SPDX-License-Identifier: MIT */
#include "observe.h"

#include <math.h>
#include <string.h>

#include "memory.h"

enum { MOST_BLOCKS = 64 };
static const double most_numbers = 3.0e7; /* in the sums of all parts */

static size_t
longest_lag(const rtl_observe_t *self)
{
    size_t n = self->increments.n_lags;

    return n > 0 ? self->increments.lags[n - 1] : 0;
}

static size_t
count_sums(const rtl_observe_t *self)
{
    return self->increments.n_lags == 0
               ? 0
               : rtl_bins_size(self->grid->dim, self->increments.n_lags,
                     longest_lag(self), false);
}

bool
rtl_observe_good(const rtl_observe_t *self)
{
    const rtl_increments_t *increments = &self->increments;
    size_t before = 0;

    for (size_t i = 0; i < increments->n_lags; i++) {
        if (i >= RTL_INCREMENTS_LAGS || increments->lags[i] <= before ||
            increments->lags[i] > RTL_INCREMENTS_LONGEST) {
            return false;
        }
        before = increments->lags[i];
    }
    return self->every >= 1 && increments->dt > 0.0;
}

size_t
rtl_observe_blocks(const rtl_observe_t *self)
{
    double numbers = (double) self->grid->n_cells * (double) (count_sums(self) + 1);
    double most = most_numbers / numbers;

    return most < 1.0 ? 1 : most > MOST_BLOCKS ? MOST_BLOCKS : (size_t) most;
}

/* --- one path --------------------------------------------------------------------- */

/* The increments from the oldest of the recent states. */
static void
add_start(const rtl_observe_t *self, const double *recent, double *sums)
{
    size_t dim = self->grid->dim, longest = longest_lag(self);
    double dx[RTL_INCREMENTS_LAGS * RTL_INCREMENTS_DIM], tau[RTL_INCREMENTS_LAGS];
    const intptr_t begin = 0, end = (intptr_t) longest + 1;
    rtl_increments_t increments = self->increments;

    increments.x = recent;
    increments.begin = &begin;
    increments.end = &end;
    increments.n_states = longest + 1;
    increments.n_segments = 1;
    rtl_increments_take(&increments, 0, dx, tau);
    rtl_bins_add(dim, increments.n_lags, sums, dx);
}

/* One more state of a path, which is in `cell`. */
static void
follow(
    const rtl_observe_t *self, double *sums, size_t path, const double *x, size_t cell)
{
    size_t dim = self->grid->dim, longest = longest_lag(self);
    size_t last = 2 * longest - 1, start = last - longest;
    double *recent = self->recent + path * (longest + 1) * dim;
    double *cells = self->cells + path * (last + 1);

    memmove(recent, recent + dim, longest * dim * sizeof *recent);
    memcpy(recent + longest * dim, x, dim * sizeof *x);
    memmove(cells, cells + 1, last * sizeof *cells);
    cells[last] = (double) cell;
    if (!(cells[start] >= 0.0 && cells[start] < (double) self->grid->n_cells)) {
        return; /* not yet, outside, or restored from a damaged file */
    }
    double *mine = sums + (size_t) cells[start] * self->size;
    double *pairs = mine + self->size - (longest - 1);
    add_start(self, recent, mine);
    for (size_t k = 1; k < longest; k++) {
        pairs[k - 1] += cells[start - k] == cells[start] ? 1.0 : 0.0;
    }
}

static void
observe_block(void *data, size_t part, const rtl_step_block_t *block, uint64_t step)
{
    const rtl_observe_t *self = data;
    size_t dim = self->grid->dim, n_cells = self->grid->n_cells;
    double *visits = self->visits + part * (n_cells + 1);
    double *sums = self->sums + part * n_cells * self->size;
    double x[RTL_MAX_DIM];

    if (step % self->every != 0) {
        return;
    }
    for (size_t i = 0; i < block->n; i++) {
        if (block->exit_time != NULL && !isnan(block->exit_time[i])) {
            continue;
        }
        for (size_t k = 0; k < dim; k++) {
            x[k] = block->x[k * block->n + i];
        }
        size_t cell = rtl_bins_find(self->grid, x);
        visits[cell] += 1.0;
        if (self->size > 0) {
            follow(self, sums, block->first + i, x, cell);
        }
    }
}

/* --- what is exported ------------------------------------------------------------- */

int
rtl_observe_init(rtl_observe_t *self, rtl_simulate_t *simulation)
{
    size_t dim = self->grid->dim, n_cells = self->grid->n_cells;
    size_t longest = longest_lag(self), n_paths = simulation->n_paths;
    int status = 0;

    if (!rtl_observe_good(self) || dim != simulation->method.model->dim) {
        return RTL_BAD_ARGUMENT;
    }
    self->n_paths = n_paths;
    self->n_parts = rtl_simulate_blocks(simulation);
    self->size = count_sums(self);
    self->increments.dim = dim;
    self->visits = rtl_memory_alloc(n_cells + 1, self->n_parts * sizeof *self->visits);
    self->sums =
        rtl_memory_alloc(n_cells * self->size, self->n_parts * sizeof *self->sums);
    if (self->size > 0) {
        self->recent =
            rtl_memory_alloc(n_paths, (longest + 1) * dim * sizeof *self->recent);
        self->cells = rtl_memory_alloc(n_paths, 2 * longest * sizeof *self->cells);
    }
    if (self->visits == NULL || self->sums == NULL ||
        (self->size > 0 && (self->recent == NULL || self->cells == NULL))) {
        status = RTL_NO_MEMORY;
        goto out;
    }
    for (size_t i = 0; self->size > 0 && i < n_paths * 2 * longest; i++) {
        self->cells[i] = -1.0;
    }
    rtl_simulate_observe(simulation, observe_block, self);
out:
    if (status != 0) {
        rtl_observe_free(self);
    }
    return status;
}

void
rtl_observe_free(rtl_observe_t *self)
{
    rtl_memory_free(self->visits);
    rtl_memory_free(self->sums);
    rtl_memory_free(self->recent);
    rtl_memory_free(self->cells);
    self->visits = self->sums = self->recent = self->cells = NULL;
}

void
rtl_observe_total(const rtl_observe_t *self, double *visits, double *sums)
{
    size_t n_cells = self->grid->n_cells, size = n_cells * self->size;

    memset(visits, 0, (n_cells + 1) * sizeof *visits);
    for (size_t part = 0; part < self->n_parts; part++) {
        for (size_t i = 0; i < n_cells + 1; i++) {
            visits[i] += self->visits[part * (n_cells + 1) + i];
        }
    }
    for (size_t i = 0; sums != NULL && i < size; i++) {
        sums[i] = 0.0;
        for (size_t part = 0; part < self->n_parts; part++) {
            sums[i] += self->sums[part * size + i];
        }
    }
}
