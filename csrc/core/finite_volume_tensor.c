/* SPDX-License-Identifier: MIT */
/* Links along the offsets of each cell's tensor (finite_volume_link.c), in a grid with
 * walls.
 *
 * Reflecting walls: links that leave the box end in massless states half a cell beyond
 * it. The flux of all links that cross the wall at one such state, each counted by the
 * part of its e-direction's cells that lies inside, adds up to half J . n = 0: they are
 * conductors in a star, which is eliminated, and what is left between the cells along
 * the wall is the tangential current there. Merely dropping these links would be of
 * first order. Absorbing walls: p = 0 at the point where the link crosses. */
#include "finite_volume_tensor.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "finite_volume_link.h"
#include "memory.h"

enum { INNER = RTL_LINK_POINTS, BLOCK = RTL_STENCIL_BLOCK / INNER };

/* --- links --------------------------------------------------------------------------
 */

/* A link from a cell to a massless state beyond a reflecting wall. */
typedef struct {
    size_t key; /* names the state */
    int32_t cell;
    int8_t e[RTL_MAX_DIM]; /* from the cell */
    double conductance;
} spoke_t;

typedef struct {
    rtl_finite_volume_stencil_t stencil;
    const rtl_grid_t *grid;
    rtl_generator_t *out;
    double *killing; /* (n_cells,) or NULL */
    size_t *cursor;  /* (n_cells,) next free entry of each row; NULL while counting */
    spoke_t *spokes; /* owned */
    size_t n_spokes, most_spokes;
    rtl_link_t *wall_links; /* owned */
    size_t n_wall_links;
    rtl_link_t block[BLOCK];
    size_t n_block;
    double *x, *d; /* work at the inner points of a block; owned */
    double peclet;
    size_t n_upwind;
    rtl_monitor_t *monitor;
    rtl_fault_t *fault;
} builder_t;

static void
builder_free(builder_t *self)
{
    rtl_finite_volume_stencil_free(&self->stencil);
    rtl_memory_free(self->killing);
    rtl_memory_free(self->cursor);
    rtl_memory_free(self->spokes);
    rtl_memory_free(self->wall_links);
    rtl_memory_free(self->x);
    rtl_memory_free(self);
}

static void
add_entry(builder_t *self, int32_t target, int32_t source, double rate)
{
    size_t e = self->cursor[target]++;

    self->out->source[e] = source;
    self->out->rate[e] = rate;
    self->out->exit_rate[source] += rate;
}

/* The links gathered so far: counted, or given their rates. */
static int
flush(builder_t *self)
{
    size_t n_links = self->n_block;
    int status = 0;

    self->n_block = 0;
    if (self->cursor == NULL) {
        for (size_t i = 0; i < n_links; i++) {
            self->out->start[self->block[i].a + 1]++;
            self->out->start[self->block[i].b + 1]++;
        }
        return 0;
    }
    bool asked[BLOCK];
    size_t n = 0;
    for (size_t i = 0; i < n_links; i++) {
        asked[i] = rtl_finite_volume_link_may_jump(&self->stencil, &self->block[i]);
        n += asked[i] ? INNER : 0;
    }
    for (size_t i = 0, next = 0; i < n_links; i++) {
        if (asked[i]) {
            rtl_finite_volume_link_points(
                &self->stencil, &self->block[i], n, self->x + next);
            next += INNER;
        }
    }
    if (n > 0) {
        status =
            rtl_model_tensor(self->stencil.model, self->x, n, self->d, self->fault);
    }
    for (size_t i = 0, next = 0; status == 0 && i < n_links; i++) {
        const rtl_link_t *link = &self->block[i];
        bool jumps = asked[i] && rtl_finite_volume_link_jumps(
                                     &self->stencil, link, self->d + next, n);
        double up, down;
        double z =
            rtl_finite_volume_link_rates(&self->stencil, link, jumps, &up, &down);
        next += asked[i] ? INNER : 0;
        self->peclet = isfinite(z) ? fmax(self->peclet, z) : self->peclet;
        self->n_upwind += isfinite(z) ? 0 : 1;
        add_entry(self, link->b, link->a, up);
        add_entry(self, link->a, link->b, down);
    }
    return status;
}

static int
add_link(builder_t *self, const rtl_link_t *link)
{
    self->block[self->n_block++] = *link;
    return self->n_block == BLOCK ? flush(self) : 0;
}

/* --- walls --------------------------------------------------------------------------
 */

static int
add_spoke(builder_t *self, const spoke_t *spoke)
{
    if (self->n_spokes == self->most_spokes) {
        size_t most = self->most_spokes > 0 ? 2 * self->most_spokes : 256;
        spoke_t *larger = rtl_memory_alloc(most, sizeof *larger);
        if (larger == NULL) {
            return RTL_NO_MEMORY;
        }
        if (self->n_spokes > 0) {
            memcpy(larger, self->spokes, self->n_spokes * sizeof *larger);
        }
        rtl_memory_free(self->spokes);
        self->spokes = larger;
        self->most_spokes = most;
    }
    self->spokes[self->n_spokes++] = *spoke;
    return 0;
}

/* The jump by sign * e from a cell leaves the box: it ends at an absorbing wall, at
 * a massless state just beyond one reflecting wall, or nowhere. */
static int
leave(builder_t *self, size_t cell, const int8_t *offset, int sign, size_t place)
{
    const rtl_grid_t *grid = self->grid;
    size_t wall = 0, n_out = 0, near = 0;
    double first = INFINITY, weight = self->stencil.weight[place];
    rtl_boundary_t side = RTL_REFLECTING;
    spoke_t spoke = {.cell = (int32_t) cell};
    long beyond = 0;

    if (self->cursor != NULL) { /* seen before */
        return 0;
    }
    for (size_t k = 0; k < grid->dim; k++) {
        long i = (long) rtl_grid_index(grid, cell, k), n = (long) grid->shape[k];
        long to = i + sign * offset[k];
        spoke.e[k] = (int8_t) (sign * offset[k]);
        if (grid->lower[k] == RTL_PERIODIC) {
            to = (to % n + n) % n;
        } else if (to < 0 || to >= n) {
            double distance = (to < 0 ? (double) i : (double) (n - 1 - i)) + 0.5;
            double share = distance / fabs((double) offset[k]);
            if (share < first) {
                first = share;
                wall = k;
                side = to < 0 ? grid->lower[k] : grid->upper[k];
            }
            beyond = to < 0 ? -to : to - n + 1;
            n_out++;
            to = to < 0 ? 0 : n - 1;
        }
        near += (size_t) to * grid->stride[k];
    }
    if (side == RTL_ABSORBING) {
        self->killing[cell] +=
            rtl_finite_volume_link_escape(&self->stencil, cell, spoke.e, place, first);
        return 0;
    }
    if (n_out != 1 || beyond != 1 || !(weight > 0.0)) {
        return 0;
    }
    spoke.key = (2 * wall + (spoke.e[wall] > 0 ? 1 : 0)) * grid->n_cells + near;
    spoke.conductance =
        0.5 * weight * rtl_grid_volume(grid, cell) * fabs((double) spoke.e[wall]);
    return add_spoke(self, &spoke);
}

static int
by_key(const void *a, const void *b)
{
    const spoke_t *p = a, *q = b;

    if (p->key != q->key) {
        return p->key < q->key ? -1 : 1;
    }
    if (p->cell != q->cell) {
        return p->cell < q->cell ? -1 : 1;
    }
    return memcmp(p->e, q->e, sizeof p->e);
}

/* Eliminate the massless states: between any two cells of a star, w_1 w_2 / sum w. */
static int
join_spokes(builder_t *self)
{
    size_t n = self->n_spokes, most = 0, next;

    if (n == 0) {
        return 0;
    }
    qsort(self->spokes, n, sizeof *self->spokes, by_key);
    for (int pass = 0; pass < 2; pass++) {
        for (size_t first = 0; first < n; first = next) {
            double sum = 0.0;
            for (next = first; next < n; next++) {
                if (self->spokes[next].key != self->spokes[first].key) {
                    break;
                }
                sum += self->spokes[next].conductance;
            }
            for (size_t i = first; i < next; i++) {
                for (size_t j = first; j < i; j++) {
                    const spoke_t *p = &self->spokes[i], *q = &self->spokes[j];
                    if (p->cell == q->cell) {
                        continue;
                    }
                    if (pass == 0) {
                        most++;
                        continue;
                    }
                    rtl_link_t link = {.a = p->cell, .b = q->cell};
                    link.conductance = p->conductance * q->conductance / sum;
                    for (size_t k = 0; k < self->grid->dim; k++) {
                        link.e[k] = (int8_t) (p->e[k] - q->e[k]);
                    }
                    self->wall_links[self->n_wall_links++] = link;
                }
            }
        }
        if (pass == 0) {
            self->wall_links = rtl_memory_alloc(most, sizeof *self->wall_links);
            if (self->wall_links == NULL) {
                return RTL_NO_MEMORY;
            }
        }
    }
    return 0;
}

/* --- all links
 * ------------------------------------------------------------------------ */

/* The links of one cell that are not met from the other end: those up, and those down
 * along offsets that the other end does not have. */
static int
visit_cell(builder_t *self, size_t cell)
{
    const rtl_finite_volume_stencil_t *s = &self->stencil;
    size_t dim = self->grid->dim, other, unused;
    int status = 0;

    for (size_t place = cell * s->most; place < (cell + 1) * s->most; place++) {
        rtl_link_t link = {.conductance = 0.0};
        if (!(s->carry[place] > 0.0)) {
            break;
        }
        memcpy(link.e, s->offset + place * dim, dim);
        for (int sign = 1; status == 0 && sign >= -1; sign -= 2) {
            if (!rtl_grid_jump(self->grid, cell, link.e, sign, &other)) {
                status = leave(self, cell, link.e, sign, place);
            } else if (other != cell && (sign > 0 || !rtl_finite_volume_stencil_find(
                                                         s, other, link.e, &unused))) {
                link.a = (int32_t) (sign > 0 ? cell : other);
                link.b = (int32_t) (sign > 0 ? other : cell);
                status = add_link(self, &link);
            }
        }
        if (status != 0) {
            return status;
        }
    }
    return 0;
}

static int
visit_links(builder_t *self)
{
    size_t n = self->grid->n_cells;
    int status = 0;

    for (size_t cell = 0; status == 0 && cell < n; cell++) {
        status = visit_cell(self, cell);
        if (status == 0 && cell % RTL_STENCIL_BLOCK == 0) {
            double done = (double) cell / (double) n;
            status = rtl_monitor_poll(
                self->monitor, self->cursor == NULL ? 0.3 : 0.3 + 0.7 * done);
        }
    }
    if (status == 0 && self->cursor == NULL) {
        status = join_spokes(self);
    }
    for (size_t i = 0; status == 0 && i < self->n_wall_links; i++) {
        status = add_link(self, &self->wall_links[i]);
    }
    return status == 0 ? flush(self) : status;
}

/* Each row in the order of its sources, equal ones added up. */
static void
sort_rows(rtl_generator_t *chain)
{
    size_t kept = 0, next = chain->start[0];

    for (size_t i = 0; i < chain->n; i++) {
        size_t first = next, row = kept;
        next = chain->start[i + 1];
        for (size_t e = first + 1; e < next; e++) {
            int32_t source = chain->source[e];
            double rate = chain->rate[e];
            size_t to = e;
            for (; to > first && chain->source[to - 1] > source; to--) {
                chain->source[to] = chain->source[to - 1];
                chain->rate[to] = chain->rate[to - 1];
            }
            chain->source[to] = source;
            chain->rate[to] = rate;
        }
        for (size_t e = first; e < next; e++) {
            if (kept > row && chain->source[kept - 1] == chain->source[e]) {
                chain->rate[kept - 1] += chain->rate[e];
            } else {
                chain->source[kept] = chain->source[e];
                chain->rate[kept++] = chain->rate[e];
            }
        }
        chain->start[i] = row;
    }
    chain->start[chain->n] = kept;
    chain->n_entries = kept;
}

static int
builder_init(builder_t *self, const rtl_model_t *model)
{
    size_t dim = self->grid->dim, n = BLOCK * INNER;
    int status = rtl_finite_volume_stencil_init(
        &self->stencil, model, self->grid, self->monitor, self->fault);

    if (status != 0) {
        return status;
    }
    self->x = rtl_memory_alloc((dim + dim * dim) * n, sizeof *self->x);
    if (self->x == NULL) {
        return RTL_NO_MEMORY;
    }
    self->d = self->x + dim * n;
    if (rtl_grid_has_absorbing(self->grid)) {
        self->killing = rtl_memory_alloc(self->grid->n_cells, sizeof *self->killing);
        return self->killing == NULL ? RTL_NO_MEMORY : 0;
    }
    return 0;
}

/* Count the entries of each row in a chain without any, make room, and fill it. */
static int
build(builder_t *self, rtl_generator_t *out)
{
    size_t n = self->grid->n_cells;
    rtl_generator_t counts;
    int status = rtl_generator_init(&counts, n, 0);

    if (status != 0) {
        return status;
    }
    self->out = &counts;
    status = visit_links(self);
    for (size_t i = 0; i < n; i++) {
        counts.start[i + 1] += counts.start[i];
    }
    if (status == 0) {
        status = rtl_generator_init(out, n, counts.start[n]);
    }
    if (status == 0) {
        self->cursor = rtl_memory_alloc(n, sizeof *self->cursor);
        status = self->cursor == NULL ? RTL_NO_MEMORY : 0;
    }
    if (status == 0) {
        memcpy(out->start, counts.start, (n + 1) * sizeof *out->start);
        memcpy(self->cursor, counts.start, n * sizeof *self->cursor);
        self->out = out;
        status = visit_links(self);
    }
    rtl_generator_free(&counts);
    return status;
}

int
rtl_finite_volume_tensor_assemble(rtl_generator_t *self, const rtl_model_t *model,
    const rtl_grid_t *grid, double *peclet, rtl_monitor_t *monitor, rtl_fault_t *fault)
{
    memset(self, 0, sizeof *self);
    builder_t *builder = rtl_memory_alloc(1, sizeof *builder);
    if (builder == NULL) {
        return RTL_NO_MEMORY;
    }
    builder->grid = grid;
    builder->monitor = monitor;
    builder->fault = fault;
    int status = builder_init(builder, model);
    if (status == 0) {
        status = build(builder, self);
    }
    if (status == 0) {
        sort_rows(self);
        rtl_generator_kill(self, builder->killing);
        builder->killing = NULL;
        self->oblique = true;
        self->added_diffusion = builder->stencil.added;
        self->n_upwind = builder->n_upwind;
        *peclet = builder->peclet;
    } else {
        rtl_generator_free(self);
    }
    builder_free(builder);
    return status;
}
