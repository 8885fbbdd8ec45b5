/* SPDX-License-Identifier: MIT */
/* A hash table with open addressing finds the cell of a start from its integer
 * coordinates, which are kept (as doubles: they may be large) and compared. */
#include "cells.h"

#include <math.h>
#include <string.h>

#include "memory.h"

enum { FIRST_ROOM = 1024, STARTS_A_POLL = 4096 };

/* --- finding cells ---------------------------------------------------------------- */

typedef struct {
    rtl_cells_t *cells;
    double low[RTL_INCREMENTS_DIM], width[RTL_INCREMENTS_DIM];
    double period[RTL_INCREMENTS_DIM];
    double *key;  /* (room, dim) integer coordinates of each cell */
    size_t *slot; /* (n_slots,) number of a cell + 1, or 0 */
    size_t room, n_slots;
} table_t;

static void
table_free(table_t *self)
{
    rtl_memory_free(self->key);
    rtl_memory_free(self->slot);
}

static size_t
table_hash(const table_t *self, const double *key)
{
    uint64_t h = 0;

    for (size_t k = 0; k < self->cells->dim; k++) {
        uint64_t bits;
        memcpy(&bits, &key[k], sizeof bits);
        h = (h ^ bits) * UINT64_C(0x9E3779B97F4A7C15);
        h ^= h >> 29;
    }
    h *= UINT64_C(0xBF58476D1CE4E5B9);
    return (size_t) (h ^ (h >> 32));
}

static size_t
table_probe(const table_t *self, const double *key)
{
    size_t mask = self->n_slots - 1, i = table_hash(self, key) & mask;
    size_t dim = self->cells->dim;

    while (self->slot[i] != 0) {
        const double *other = self->key + (self->slot[i] - 1) * dim;
        bool same = true;
        for (size_t k = 0; k < dim; k++) {
            same = same && other[k] == key[k];
        }
        if (same) {
            break;
        }
        i = (i + 1) & mask;
    }
    return i;
}

/* Twice the room; the slots are filled anew. */
static int
table_grow(table_t *self)
{
    rtl_cells_t *cells = self->cells;
    size_t room = self->room > 0 ? 2 * self->room : FIRST_ROOM;
    double *sums = rtl_memory_resize(cells->sums, room, cells->size * sizeof *sums);

    if (sums == NULL) {
        return RTL_NO_MEMORY;
    }
    cells->sums = sums;
    double *key = rtl_memory_resize(self->key, room, cells->dim * sizeof *key);
    if (key == NULL) {
        return RTL_NO_MEMORY;
    }
    self->key = key;
    size_t *slot = rtl_memory_alloc(2 * room, sizeof *slot);
    if (slot == NULL) {
        return RTL_NO_MEMORY;
    }
    rtl_memory_free(self->slot);
    self->slot = slot;
    self->n_slots = 2 * room;
    self->room = room;
    for (size_t i = 0; i < cells->n_cells; i++) {
        self->slot[table_probe(self, key + i * cells->dim)] = i + 1;
    }
    return 0;
}

static int
table_init(table_t *self, rtl_cells_t *cells, size_t dim, size_t n_lags,
    const double *period, const double *low, const double *width)
{
    memset(self, 0, sizeof *self);
    memset(cells, 0, sizeof *cells);
    self->cells = cells;
    cells->dim = dim;
    cells->n_lags = n_lags;
    cells->n_moments = dim * (dim + 1) / 2;
    cells->size = rtl_cells_block(cells, n_lags);
    for (size_t k = 0; k < dim; k++) {
        self->low[k] = low[k];
        self->period[k] = period[k];
        self->width[k] =
            period[k] > 0.0 ? period[k] / ceil(period[k] / width[k]) : width[k];
    }
    return table_grow(self);
}

/* The sums of the cell of x, made of zeros if it is new; x is put into the first
 * period. */
static int
table_find(table_t *self, double *x, double **sums)
{
    rtl_cells_t *cells = self->cells;
    double key[RTL_INCREMENTS_DIM];

    for (size_t k = 0; k < cells->dim; k++) {
        double middle = 0.5; /* low is the middle of a cell: mirror images agree */
        if (self->period[k] > 0.0) {
            x[k] -= self->period[k] * floor((x[k] - self->low[k]) / self->period[k]);
            middle = 0.0;
        }
        key[k] = floor((x[k] - self->low[k]) / self->width[k] + middle) + 0.0;
    }
    size_t i = table_probe(self, key);
    if (self->slot[i] == 0) {
        if (cells->n_cells == self->room) {
            int status = table_grow(self);
            if (status != 0) {
                return status;
            }
            i = table_probe(self, key);
        }
        size_t cell = cells->n_cells++;
        self->slot[i] = cell + 1;
        memcpy(self->key + cell * cells->dim, key, cells->dim * sizeof *key);
        memset(cells->sums + cell * cells->size, 0, cells->size * sizeof *key);
    }
    *sums = cells->sums + (self->slot[i] - 1) * cells->size;
    return 0;
}

/* --- filling them ----------------------------------------------------------------- */

void
rtl_cells_add(
    const rtl_cells_t *self, double *block, const double *dx, double tau, double scale)
{
    double *square = block + rtl_cells_squares(self);
    double *quartic = block + rtl_cells_quartics(self);

    block[RTL_CELLS_TIME] += tau;
    block[RTL_CELLS_WEIGHT] += scale * tau;
    for (size_t j = 0; j < self->dim; j++) {
        double scaled = scale * dx[j];
        block[RTL_CELLS_INCREMENT + j] += dx[j];
        for (size_t i = 0; i <= j; i++) {
            *square++ += scaled * dx[i];
        }
        quartic[j] += scaled * dx[j] * scaled * dx[j];
    }
}

static int
add_start(table_t *table, const rtl_increments_t *increments, size_t state, bool scaled)
{
    const rtl_cells_t *cells = table->cells;
    size_t dim = cells->dim;
    double x[RTL_INCREMENTS_DIM], tau[RTL_INCREMENTS_LAGS], *sums;
    double dx[RTL_INCREMENTS_LAGS * RTL_INCREMENTS_DIM];

    memcpy(x, increments->x + state * dim, dim * sizeof *x);
    int status = table_find(table, x, &sums);
    if (status != 0) {
        return status;
    }
    rtl_increments_take(increments, state, dx, tau);
    sums[RTL_CELLS_COUNT] += 1.0;
    for (size_t k = 0; k < dim; k++) {
        sums[RTL_CELLS_START + k] += x[k];
    }
    for (size_t lag = 0; lag < cells->n_lags; lag++) {
        double nominal = (double) increments->lags[lag] * increments->dt;
        double scale = scaled && increments->time != NULL ? nominal / tau[lag] : 1.0;
        rtl_cells_add(
            cells, sums + rtl_cells_block(cells, lag), dx + lag * dim, tau[lag], scale);
    }
    return 0;
}

/* Sums of starts become means. */
static void
finish(const rtl_cells_t *cells)
{
    for (size_t i = 0; i < cells->n_cells; i++) {
        double *sums = cells->sums + i * cells->size;
        for (size_t k = 0; k < cells->dim; k++) {
            sums[RTL_CELLS_START + k] /= sums[RTL_CELLS_COUNT];
        }
    }
}

int
rtl_cells_gather(rtl_cells_t *self, const rtl_increments_t *increments,
    const double *low, const double *width, bool scaled, rtl_monitor_t *monitor)
{
    table_t table;
    int status = table_init(&table, self, increments->dim, increments->n_lags,
        increments->period, low, width);

    for (size_t s = 0; status == 0 && s < increments->n_segments; s++) {
        size_t n = rtl_increments_starts(increments, s);
        size_t first = (size_t) increments->begin[s];
        for (size_t t = 0; status == 0 && t < n; t++) {
            status = add_start(&table, increments, first + t, scaled);
            if (status == 0 && t % STARTS_A_POLL == 0) {
                status = rtl_monitor_poll(monitor, 0.0);
            }
        }
    }
    table_free(&table);
    if (status != 0) {
        rtl_cells_free(self);
        return status;
    }
    finish(self);
    return 0;
}

int
rtl_cells_merge(rtl_cells_t *self, const rtl_cells_t *fine, const double *period,
    const double *low, const double *width)
{
    table_t table;
    double x[RTL_INCREMENTS_DIM], *sums;
    int status = table_init(&table, self, fine->dim, fine->n_lags, period, low, width);

    for (size_t i = 0; status == 0 && i < fine->n_cells; i++) {
        const double *from = fine->sums + i * fine->size;
        memcpy(x, from + RTL_CELLS_START, fine->dim * sizeof *x);
        status = table_find(&table, x, &sums);
        for (size_t j = 0; status == 0 && j < fine->size; j++) {
            bool start = j >= RTL_CELLS_START && j < RTL_CELLS_START + fine->dim;
            sums[j] += start ? from[RTL_CELLS_COUNT] * x[j - RTL_CELLS_START] : from[j];
        }
    }
    table_free(&table);
    if (status != 0) {
        rtl_cells_free(self);
        return status;
    }
    finish(self);
    return 0;
}

void
rtl_cells_free(rtl_cells_t *self)
{
    rtl_memory_free(self->sums);
    self->sums = NULL;
    self->n_cells = 0;
}
