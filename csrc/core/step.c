/* SPDX-License-Identifier: MIT */
/* The law of meeting a wall within a step: Gobet (2000), Stoch. Proc. Appl. 87, 167. A
 * reflecting wall is noticed only after a step has crossed it. */
#include "step.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "elementary.h"
#include "step_scheme.h"

/* --- faults ----------------------------------------------------------------------- */

RTL_PROCESSOR_INLINE int
all_finite_body(size_t size, const double *x)
{
    uint64_t good = 1;

    for (size_t i = 0; i < size; i++) {
        good &= (uint64_t) (fabs(x[i]) <= DBL_MAX);
    }
    return good == 1;
}

RTL_PROCESSOR_BUILD(all_finite, (size_t size, const double *x), (size, x))

/* The first path with a coordinate that is not finite, or n. */
static size_t
find_not_finite(size_t dim, size_t n, const double *x, size_t *component)
{
    bool all = n > 1 ? all_finite(dim * n, x) : all_finite_body(dim, x);

    for (size_t i = 0; !all && i < n; i++) {
        for (size_t k = 0; k < dim; k++) {
            if (!isfinite(x[k * n + i])) {
                *component = k;
                return i;
            }
        }
    }
    return n;
}

static void
set_fault(rtl_fault_t *fault, size_t dim, size_t n, const double *x, size_t i)
{
    fault->dim = dim < RTL_MAX_DIM ? dim : RTL_MAX_DIM;
    for (size_t k = 0; k < fault->dim; k++) {
        fault->x[k] = x[k * n + i];
    }
}

/* The path on its way that is nearest to the point of a fault, which may be off a path
 * where the drift was differentiated. */
static size_t
find_point(const rtl_fault_t *fault, const rtl_step_block_t *block)
{
    double best = INFINITY;
    size_t nearest = 0;

    for (size_t i = 0; i < block->n; i++) {
        bool ended = block->exit_time != NULL && !isnan(block->exit_time[i]);
        double distance = ended ? INFINITY : 0.0;
        for (size_t k = 0; k < fault->dim; k++) {
            distance += fabs(block->x[k * block->n + i] - fault->x[k]);
        }
        if (distance < best) {
            best = distance;
            nearest = i;
        }
    }
    return nearest;
}

/* --- absorbing walls -------------------------------------------------------------- */

/* Below this exponent the bridge has not met the wall: exp(-37) < 2^-53. */
static const double never = -37.0;

/* Square of the noise of one step along an axis. */
static double
step_variance(
    const rtl_step_t *self, const rtl_step_block_t *block, size_t axis, size_t i)
{
    double sum = 0.0;

    if (block->rows > 0) {
        double d = block->noise[(block->rows == 1 ? 0 : axis) * block->n + i];
        return (block->amplitude ? d * d : 2.0 * d) * self->dt;
    }
    for (size_t j = 0; j < block->columns; j++) {
        double g = block->noise[(axis * block->columns + j) * block->n + i];
        sum += g * g;
    }
    return sum * self->dt;
}

/* The share of the step after which path i meets a wall at distance `before` from its
 * start and `after` from its end (negative: beyond the wall); 2: it does not. `side`
 * numbers the walls: 2 axis, and 1 more for the upper. */
static double
meeting(const rtl_step_t *self, const rtl_step_block_t *block, uint64_t step,
    size_t side, size_t i, double before, double after)
{
    if (after <= 0.0) {
        return before > 0.0 ? before / (before - after) : 0.0;
    }
    double exponent = -2.0 * before * after / step_variance(self, block, side / 2, i);
    size_t slot = block->columns * (block->columns - 1) / 2 + side; /* after Platen's */
    bool met = exponent > never && rtl_random_uniform(&self->random, block->first + i,
                                       step, slot) < rtl_elementary_exp(exponent);
    return met ? before / (before + after) : 2.0;
}

/* End path i where it meets the first absorbing wall, if it does. */
static void
absorb_path(
    const rtl_step_t *self, const rtl_step_block_t *block, uint64_t step, size_t i)
{
    const rtl_walls_t *walls = &self->walls;
    size_t dim = self->model->dim, n = block->n, first = 2 * dim;
    double share = 2.0;

    for (size_t side = 0; side < 2 * dim; side++) {
        size_t at = side / 2 * n + i;
        if (walls->absorbing[side]) {
            bool up = side % 2 == 1;
            double wall = up ? walls->upper[side / 2] : walls->lower[side / 2];
            double before = up ? wall - block->x[at] : block->x[at] - wall;
            double after = up ? wall - block->next[at] : block->next[at] - wall;
            double met = meeting(self, block, step, side, i, before, after);
            if (met < share) {
                share = met;
                first = side;
            }
        }
    }
    if (first == 2 * dim) {
        return;
    }
    block->exit_time[i] = ((double) step + share) * self->dt;
    for (size_t k = 0; k < dim; k++) {
        double *x = block->next + k * n + i;
        *x = block->x[k * n + i] + share * (*x - block->x[k * n + i]);
        if (k == first / 2) {
            *x = first % 2 == 1 ? walls->upper[k] : walls->lower[k];
        }
    }
}

/* The first path that is on its way; n: all have ended. */
static size_t
find_living(const rtl_step_block_t *block)
{
    size_t i = 0;

    while (block->exit_time != NULL && i < block->n && !isnan(block->exit_time[i])) {
        i++;
    }
    return i;
}

/* The model may have no value at a wall: paths that have ended leave their place for
 * the length of a move and do what the given living path does. */
static void
leave_wall(rtl_step_block_t *block, size_t dim, uint64_t step, size_t living)
{
    size_t n = block->n;

    for (size_t i = 0; block->exit_time != NULL && i < n; i++) {
        if (isnan(block->exit_time[i])) {
            continue;
        }
        for (size_t k = 0; k < dim; k++) {
            block->ended[k * n + i] = block->x[k * n + i];
            block->x[k * n + i] = block->x[k * n + living];
        }
        for (size_t j = 0; j < block->columns; j++) {
            double *xi = block->normals + rtl_step_block_place(block, step, j);
            xi[i] = xi[living];
        }
    }
}

/* They are where they were, before the move and after it. */
static void
return_to_wall(rtl_step_block_t *block, size_t dim)
{
    for (size_t i = 0; block->exit_time != NULL && i < block->n; i++) {
        for (size_t k = 0; !isnan(block->exit_time[i]) && k < dim; k++) {
            size_t at = k * block->n + i;
            block->x[at] = block->next[at] = block->ended[at];
        }
    }
}

/* --- the step --------------------------------------------------------------------- */

bool
rtl_step_check(const rtl_step_t *self)
{
    size_t dim = self->model->dim, m = rtl_model_noise_columns(self->model);

    if (self->scheme == RTL_MILSTEIN &&
        (self->second.evaluate == NULL ||
            self->second.n_out != dim * (m * (m + 1) / 2))) {
        return false;
    }
    return self->dt > 0.0 && isfinite(self->dt) && self->scheme <= RTL_PLATEN &&
           rtl_step_walls_check(&self->walls, dim);
}

static void
meet_walls(const rtl_step_t *self, rtl_step_block_t *block, uint64_t step)
{
    size_t dim = self->model->dim;

    for (size_t i = 0; block->exit_time != NULL && i < block->n; i++) {
        if (isnan(block->exit_time[i])) {
            absorb_path(self, block, step, i);
        }
    }
    if (rtl_model_is_diagonal(self->model)) {
        rtl_step_walls_fold_block(&self->walls, dim, block->n, block->next);
    } else {
        rtl_step_walls_reflect(
            &self->walls, dim, block->columns, block->n, block->noise, block->next);
    }
}

static int
run_step(const rtl_step_t *self, rtl_step_block_t *block, uint64_t step, size_t *path,
    rtl_fault_t *fault)
{
    size_t dim = self->model->dim, n = block->n, living = find_living(block);

    if (living == n) {
        return 0;
    }
    rtl_step_block_prepare(block, self, step);
    leave_wall(block, dim, step, living);
    block->finite = false;
    int status = rtl_step_scheme_move(self, block, step, fault);
    return_to_wall(block, dim);
    if (status != 0) {
        *path = find_point(fault, block);
        return status;
    }
    if (!block->finite) {
        *path = find_not_finite(dim, n, block->next, &fault->component);
        if (*path < n) {
            set_fault(fault, dim, n, block->x, *path);
            fault->what = "path";
            fault->value = block->next[fault->component * n + *path];
            return RTL_NOT_FINITE;
        }
    }
    if (self->walls.lower != NULL) {
        meet_walls(self, block, step);
    }
    double *swap = block->x;
    block->x = block->next;
    block->next = swap;
    return 0;
}

int
rtl_step_run(const rtl_step_t *self, rtl_step_block_t *block, uint64_t *step,
    uint64_t end, size_t *path, rtl_fault_t *fault)
{
    int status = 0;

    if (block->n == 1 && block->rows > 0 && block->exit_time == NULL) {
        *path = 0;
        status = rtl_step_scheme_path(self, block, step, end, fault);
    }
    while (status == 0 && *step < end) {
        status = run_step(self, block, *step, path, fault);
        *step += status == 0;
    }
    return status;
}
