/* SPDX-License-Identifier: MIT */
#include "current.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "memory.h"

/* Number of a face in the array of shape[axis] + 1 faces: that above index `i` - 1. */
static size_t
face_number(const rtl_grid_t *grid, size_t cell, size_t axis, size_t i)
{
    size_t stride = grid->stride[axis], n = grid->shape[axis];
    return cell / (stride * n) * stride * (n + 1) + i * stride + cell % stride;
}

/* The absorbing side of an axis that a cell lies at, if any: 0 lower, 1 upper, else -1.
 */
static int
absorbing_side(const rtl_grid_t *grid, size_t cell, size_t axis)
{
    size_t index = rtl_grid_index(grid, cell, axis);

    if (index == 0 && grid->lower[axis] == RTL_ABSORBING) {
        return 0;
    }
    bool top = index + 1 == grid->shape[axis];
    return top && grid->upper[axis] == RTL_ABSORBING ? 1 : -1;
}

/* What comes into a cell along an axis: rates by the squares of the jumps. */
static double
inflow(const rtl_generator_t *chain, const rtl_grid_t *grid, size_t cell, size_t axis)
{
    double sum = 0.0, here = (double) rtl_grid_index(grid, cell, axis);

    for (size_t e = chain->start[cell]; e < chain->start[cell + 1]; e++) {
        size_t from = (size_t) chain->source[e];
        double step = here - (double) rtl_grid_index(grid, from, axis);
        sum += chain->rate[e] * step * step;
    }
    return sum;
}

/* The share of a side in what its cell loses. In a corner it is that of what comes from
 * inside along its axis and would go on. */
static double
share_of_side(
    const rtl_generator_t *chain, const rtl_grid_t *grid, size_t cell, size_t axis)
{
    double own = 0.0, all = 0.0;
    size_t n_sides = 0;

    for (size_t k = 0; k < grid->dim; k++) {
        if (absorbing_side(grid, cell, k) >= 0) {
            double in = inflow(chain, grid, cell, k);
            own = k == axis ? in : own;
            all += in;
            n_sides++;
        }
    }
    return n_sides > 1 && all > 0.0 ? own / all : 1.0 / (double) n_sides;
}

static double
area_of(const rtl_grid_t *grid, size_t cell, size_t axis, size_t index)
{
    return rtl_grid_volume(grid, cell) / rtl_grid_width(grid, axis, index);
}

/* What leaves through absorbing sides of `axis`. */
static void
add_escape(const rtl_generator_t *chain, const rtl_grid_t *grid, const double *y,
    size_t axis, double *current)
{
    for (size_t i = 0; i < grid->n_cells; i++) {
        int side = absorbing_side(grid, i, axis);
        if (side < 0) {
            continue;
        }
        size_t index = rtl_grid_index(grid, i, axis);
        double area = area_of(grid, i, axis, index);
        double lost = chain->killing[i] * exp(y[i]);
        double flow = share_of_side(chain, grid, i, axis) * lost / area;
        current[face_number(grid, i, axis, index + (size_t) side)] =
            side == 1 ? flow : -flow;
    }
}

/* --- straight links: entries are the faces' own ------------------------------------
 */

typedef struct {
    const rtl_generator_t *chain;
    const rtl_grid_t *grid;
    const double *y;
    size_t axis;
    double *current;
} faces_t;

/* Area of the faces of cell i across `axis`, and how many entries its row has before
 * those along it (see finite_volume.h for their order). */
static double
cross_section(const rtl_grid_t *grid, size_t i, size_t axis, size_t *n_before)
{
    double area = 1.0;

    *n_before = 0;
    for (size_t k = 0; k < grid->dim; k++) {
        size_t index = rtl_grid_index(grid, i, k);
        bool periodic = grid->lower[k] == RTL_PERIODIC;
        area *= k == axis ? 1.0 : rtl_grid_width(grid, k, index);
        if (k < axis) {
            *n_before += periodic || index > 0;
            *n_before += periodic || index + 1 < grid->shape[k];
        }
    }
    return area;
}

/* The lower face of each cell, and walls. */
static void
straight_piece(void *data, size_t piece, size_t first, size_t last)
{
    const faces_t *self = data;
    const rtl_generator_t *chain = self->chain;
    const rtl_grid_t *grid = self->grid;
    size_t axis = self->axis, n = grid->shape[axis], stride = grid->stride[axis];
    bool periodic = grid->lower[axis] == RTL_PERIODIC;

    (void) piece;
    for (size_t i = first; i < last; i++) {
        size_t index = rtl_grid_index(grid, i, axis), n_before;
        double flow = 0.0, *face = self->current + face_number(grid, i, axis, index);
        if (periodic || index > 0) {
            double area = cross_section(grid, i, axis, &n_before);
            size_t below = index > 0 ? i - stride : i + (n - 1) * stride;
            size_t up = chain->start[i] + n_before;
            size_t down = chain->start[below] + n_before;
            down += periodic || index > 1; /* after the entry from below that */
            flow = (chain->rate[up] * exp(self->y[below]) -
                       chain->rate[down] * exp(self->y[i])) /
                   area;
        }
        *face = flow;
        if (periodic && index == 0) { /* both ends are one face */
            face[n * stride] = flow;
        } else if (!periodic && index + 1 == n) {
            face[stride] = 0.0;
        }
    }
}

/* --- oblique links -----------------------------------------------------------------
 */

/* A jump from a cell, by the shortest way round; half a period counts both ways. */
typedef struct {
    const rtl_grid_t *grid;
    size_t from[RTL_MAX_DIM];
    long step[RTL_MAX_DIM];
    size_t tied[RTL_MAX_DIM], n_tied; /* axes where the other way is as short */
    size_t moving[RTL_MAX_DIM],
        n_moving; /* axes with a step, but for the one looked at */
} jump_t;

static void
find_jump(jump_t *self, const rtl_grid_t *grid, size_t from, size_t to, size_t axis)
{
    self->grid = grid;
    self->n_tied = self->n_moving = 0;
    for (size_t k = 0; k < grid->dim; k++) {
        long n = (long) grid->shape[k];
        self->from[k] = rtl_grid_index(grid, from, k);
        long step = (long) rtl_grid_index(grid, to, k) - (long) self->from[k];
        if (grid->lower[k] == RTL_PERIODIC) {
            step += 2 * step < -n ? n : 0;
            step -= 2 * step > n ? n : 0;
            if (2 * labs(step) == n) {
                self->tied[self->n_tied++] = k;
            }
        }
        self->step[k] = step;
        if (step != 0 && k != axis) {
            self->moving[self->n_moving++] = k;
        }
    }
}

/* Cell after the moves along the axes in the set `moved` (bits of self->moving). */
static size_t
cell_after(const jump_t *self, size_t moved)
{
    size_t cell = 0;

    for (size_t k = 0; k < self->grid->dim; k++) {
        cell += self->from[k] * self->grid->stride[k];
    }
    for (size_t m = 0; m < self->n_moving; m++) {
        if ((moved >> m & 1) != 0) {
            size_t k = self->moving[m];
            long n = (long) self->grid->shape[k];
            long to = ((long) self->from[k] + self->step[k] + n) % n;
            cell += ((size_t) to - self->from[k]) * self->grid->stride[k];
        }
    }
    return cell;
}

/* The share of the orders of the moves in which `count` of n others come before one. */
static double
share_of_orders(size_t count, size_t n)
{
    double choose = 1.0; /* n over count */

    for (size_t k = 0; k < count; k++) {
        choose *= (double) (n - k) / (double) (k + 1);
    }
    return 1.0 / (choose * (double) (n + 1));
}

/* Send `flow` through the faces of `axis`: one axis after the other, in all orders with
 * equal shares. The paths are mirror images of each other in the middle of the jump, so
 * that the mean current is right to second order. */
static void
add_jump(const jump_t *self, size_t axis, double flow, double *current)
{
    long n = (long) self->grid->shape[axis], step = self->step[axis];

    for (size_t moved = 0; moved < (size_t) 1 << self->n_moving; moved++) {
        size_t count = 0;
        for (size_t m = 0; m < self->n_moving; m++) {
            count += moved >> m & 1;
        }
        size_t cell = cell_after(self, moved);
        double part = flow * share_of_orders(count, self->n_moving);
        for (long s = 0; s < labs(step); s++) {
            long index = (long) self->from[axis] + (step > 0 ? s : -s);
            size_t face = (size_t) ((index + n) % n) + (step > 0 ? 1 : 0);
            current[face_number(self->grid, cell, axis, face)] +=
                step > 0 ? part : -part;
        }
    }
}

static void
add_oblique_flows(const rtl_generator_t *chain, const rtl_grid_t *grid, const double *y,
    size_t axis, double *current)
{
    jump_t jump;

    for (size_t i = 0; i < grid->n_cells; i++) {
        for (size_t e = chain->start[i]; e < chain->start[i + 1]; e++) {
            size_t j = (size_t) chain->source[e];
            double flow = chain->rate[e] * exp(y[j]);
            find_jump(&jump, grid, j, i, axis);
            size_t n_ways = (size_t) 1 << jump.n_tied;
            for (size_t way = 0; way < n_ways; way++) {
                for (size_t t = 0; t < jump.n_tied; t++) {
                    size_t k = jump.tied[t];
                    jump.step[k] =
                        (way >> t & 1) != 0 ? -labs(jump.step[k]) : labs(jump.step[k]);
                }
                add_jump(&jump, axis, flow / (double) n_ways, current);
            }
        }
    }
}

static void
oblique_faces(const rtl_generator_t *chain, const rtl_grid_t *grid, const double *y,
    size_t axis, double *current)
{
    size_t n = grid->shape[axis];

    memset(current, 0, grid->n_cells / n * (n + 1) * sizeof *current);
    add_oblique_flows(chain, grid, y, axis, current);
    for (size_t i = 0; i < grid->n_cells; i++) {
        size_t index = rtl_grid_index(grid, i, axis);
        double area = area_of(grid, i, axis, index);
        if (index == 0 && grid->lower[axis] == RTL_PERIODIC) {
            /* each end has seen one of the two directions */
            size_t first = face_number(grid, i, axis, 0);
            size_t last = face_number(grid, i, axis, n);
            current[first] = current[last] = (current[first] + current[last]) / area;
        }
        if (index > 0) {
            current[face_number(grid, i, axis, index)] /= area;
        }
    }
}

/* --- faces and cells -----------------------------------------------------------------
 */

void
rtl_current_faces(const rtl_generator_t *chain, const rtl_grid_t *grid, const double *y,
    size_t axis, rtl_team_t team, double *current)
{
    faces_t straight = {chain, grid, y, axis, current};

    if (chain->oblique) {
        oblique_faces(chain, grid, y, axis, current);
    } else {
        rtl_parallel_loop(straight_piece, &straight, grid->n_cells, 1, team);
    }
    if (chain->killing != NULL) {
        add_escape(chain, grid, y, axis, current);
    }
}

/* --- entropy production ----------------------------------------------------------- */

/* A quarter of what the link between i and j produces, with the rates j -> i and
 * i -> j: each link is met from both sides, and shared by its two states. */
static double
quarter_of_link(double in, double out, double y_i, double y_j, double p_i, double p_j)
{
    double force = log(in / out) + y_j - y_i;
    double net = in * p_j - out * p_i;

    return isfinite(force) ? 0.25 * net * force : INFINITY;
}

/* Chains of short rows whose links lead both ways. */
typedef struct {
    const rtl_generator_t *chain;
    const double *y;
    double *p, *sigma;
    bool unfit[RTL_PARALLEL_PIECES]; /* a long row, or a link with no way back */
} short_rows_t;

enum { SHORT_ROW = 32 };

/* What leads from `source` to `state`, by entries from e on. */
static double
rate_between(const rtl_generator_t *chain, size_t state, size_t e, size_t source)
{
    double sum = 0.0;

    for (; e < chain->start[state + 1]; e++) {
        sum += (size_t) chain->source[e] == source ? chain->rate[e] : 0.0;
    }
    return sum;
}

static void
exp_piece(void *data, size_t piece, size_t first, size_t last)
{
    short_rows_t *self = data;
    const rtl_generator_t *chain = self->chain;

    self->unfit[piece] = false;
    for (size_t i = first; i < last; i++) {
        self->p[i] = exp(self->y[i]);
        if (chain->start[i + 1] - chain->start[i] > SHORT_ROW) {
            self->unfit[piece] = true;
        }
    }
}

static void
short_rows_piece(void *data, size_t piece, size_t first, size_t last)
{
    short_rows_t *self = data;
    const rtl_generator_t *chain = self->chain;
    const double *y = self->y, *p = self->p;

    for (size_t i = first; i < last; i++) {
        double sum = 0.0;
        for (size_t e = chain->start[i]; e < chain->start[i + 1]; e++) {
            size_t j = (size_t) chain->source[e], other = chain->start[i];
            while (other < e && (size_t) chain->source[other] != j) {
                other++;
            }
            double in = rate_between(chain, i, e, j);
            if (other < e || !(in > 0.0)) { /* a repeated entry adds nothing more */
                continue;
            }
            double out = rate_between(chain, j, chain->start[j], i);
            if (!(out > 0.0)) {
                self->unfit[piece] = true;
                return;
            }
            if (y[i] != -INFINITY || y[j] != -INFINITY) {
                sum += 2.0 * quarter_of_link(in, out, y[i], y[j], p[i], p[j]);
            }
        }
        self->sigma[i] = sum;
    }
}

/* False if the chain is not of that kind. */
static bool
short_rows(short_rows_t *self, rtl_team_t team)
{
    bool fit = true;

    rtl_parallel_loop(exp_piece, self, self->chain->n, 1, team);
    for (size_t k = 0; k < RTL_PARALLEL_PIECES; k++) {
        fit = fit && !self->unfit[k];
    }
    if (fit) {
        rtl_parallel_loop(short_rows_piece, self, self->chain->n, 1, team);
    }
    for (size_t k = 0; k < RTL_PARALLEL_PIECES; k++) {
        fit = fit && !self->unfit[k];
    }
    return fit;
}

/* Entries by their source: those with source j are list[first[j]] ..
 * list[first[j+1]-1]; row[] tells the row of each entry of the chain. */
static void
list_by_source(const rtl_generator_t *chain, size_t *first, size_t *list, int32_t *row)
{
    for (size_t e = 0; e < chain->n_entries; e++) {
        first[chain->source[e] + 1]++;
    }
    for (size_t j = 0; j < chain->n; j++) {
        first[j + 1] += first[j];
    }
    for (size_t i = chain->n; i-- > 0;) {
        for (size_t e = chain->start[i]; e < chain->start[i + 1]; e++) {
            row[e] = (int32_t) i;
            list[--first[chain->source[e] + 1]] = e;
        }
    }
    for (size_t j = 0; j < chain->n; j++) { /* first[j + 1] is now where j starts */
        first[j] = first[j + 1];
    }
    first[chain->n] = chain->n_entries;
}

/* Of any chain; p = exp y. */
static int
long_rows(const rtl_generator_t *chain, const double *y, const double *p, double *sigma)
{
    int status = 0;
    size_t n = chain->n;
    size_t *first = rtl_memory_alloc(n + 1, sizeof *first);
    size_t *list = rtl_memory_alloc(chain->n_entries, sizeof *list);
    int32_t *row = rtl_memory_alloc(chain->n_entries, sizeof *row);
    double *back = rtl_memory_alloc(n, sizeof *back); /* rates i -> j by j */
    double *into = rtl_memory_alloc(n, sizeof *into); /* rates j -> i by j */

    if (first == NULL || list == NULL || row == NULL || back == NULL || into == NULL) {
        status = RTL_NO_MEMORY;
        goto out;
    }
    list_by_source(chain, first, list, row);
    memset(sigma, 0, n * sizeof *sigma);
    for (size_t i = 0; i < n; i++) {
        for (size_t k = first[i]; k < first[i + 1]; k++) {
            back[row[list[k]]] += chain->rate[list[k]];
        }
        for (size_t e = chain->start[i]; e < chain->start[i + 1]; e++) {
            into[chain->source[e]] += chain->rate[e];
        }
        for (size_t e = chain->start[i]; e < chain->start[i + 1]; e++) {
            size_t j = (size_t) chain->source[e];
            double in = into[j], out = back[j];
            into[j] = 0.0; /* a repeated entry adds nothing more */
            if (!(in > 0.0) || y[j] == -INFINITY) {
                continue;
            }
            double produced = quarter_of_link(in, out, y[i], y[j], p[i], p[j]);
            sigma[i] += produced;
            sigma[j] += produced;
        }
        for (size_t k = first[i]; k < first[i + 1]; k++) {
            back[row[list[k]]] = 0.0;
        }
    }
out:
    rtl_memory_free(first);
    rtl_memory_free(list);
    rtl_memory_free(row);
    rtl_memory_free(back);
    rtl_memory_free(into);
    return status;
}

int
rtl_current_entropy_production(
    const rtl_generator_t *chain, const double *y, rtl_team_t team, double *sigma)
{
    int status = 0;
    double *p = rtl_memory_alloc(chain->n, sizeof *p);

    if (p == NULL) {
        return RTL_NO_MEMORY;
    }
    short_rows_t rows = {.chain = chain, .y = y, .p = p, .sigma = sigma};
    if (!short_rows(&rows, team)) {
        status = long_rows(chain, y, p, sigma);
    }
    rtl_memory_free(p);
    return status;
}
