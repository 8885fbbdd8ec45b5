/* SPDX-License-Identifier: MIT */
#include "nested.h"

#include <math.h>
#include <string.h>

#include "direct.h"
#include "geometric.h"
#include "memory.h"

enum { SMALLEST_GRID = 300 };

/* What is left to the finer grids: their own discretisation differs by more. */
static const double coarse_rtol = 1e-3;

typedef struct {
    rtl_grid_t grid;       /* level 0: empty, the caller's is used */
    rtl_generator_t chain; /* likewise */
} level_t;

typedef struct {
    size_t n_levels;
    level_t level[RTL_GEOMETRIC_MAX]; /* 0 is the finest */
    rtl_geometric_t multigrid;
    double *y; /* of the level last solved; owned */
} nest_t;

static void
nest_free(nest_t *self)
{
    for (size_t l = 0; l < RTL_GEOMETRIC_MAX; l++) {
        rtl_grid_free(&self->level[l].grid);
        rtl_generator_free(&self->level[l].chain);
    }
    rtl_geometric_free(&self->multigrid);
    rtl_memory_free(self->y);
    rtl_memory_free(self);
}

static bool
all_finite(size_t n, const double *y)
{
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(y[i])) {
            return false;
        }
    }
    return true;
}

static void
add_log_volume(const rtl_grid_t *grid, double sign, double *y)
{
    for (size_t i = 0; i < grid->n_cells; i++) {
        y[i] += sign * log(rtl_grid_volume(grid, i));
    }
}

/* Log probabilities on `fine` from those on `coarse`, densities interpolated. The old y
 * is replaced. */
static int
refine(nest_t *self, const rtl_grid_t *coarse, const rtl_grid_t *fine)
{
    rtl_interpolate_t interpolate = {0};
    double *y = rtl_memory_alloc(fine->n_cells, sizeof *y);
    double *work = rtl_memory_alloc(2 * fine->n_cells, sizeof *work);
    int status = y == NULL || work == NULL ? RTL_NO_MEMORY : 0;

    if (status == 0) {
        status = rtl_interpolate_init(&interpolate, coarse, fine, true);
    }
    if (status == 0) {
        add_log_volume(coarse, -1.0, self->y);
        rtl_interpolate_add(&interpolate, self->y, y, work);
        add_log_volume(fine, 1.0, y);
        double *swap = self->y;
        self->y = y;
        y = swap;
    }
    rtl_interpolate_free(&interpolate);
    rtl_memory_free(y);
    rtl_memory_free(work);
    return status;
}

/* Grids from fine to coarse, as long as they get coarser and are not small. */
static int
make_grids(nest_t *self, const rtl_grid_t *grid)
{
    bool coarser = true;

    self->n_levels = 1;
    while (coarser && grid->n_cells > SMALLEST_GRID &&
           self->n_levels < RTL_GEOMETRIC_MAX) {
        level_t *next = &self->level[self->n_levels];
        int status = rtl_interpolate_coarsen(grid, &next->grid, &coarser);
        if (status != 0) {
            return status;
        }
        if (coarser) {
            self->n_levels++;
            grid = &next->grid;
        }
    }
    return 0;
}

static void
add_work(rtl_steady_info_t *sum, const rtl_steady_info_t *part)
{
    sum->warm_steps += part->warm_steps;
    sum->newton_steps += part->newton_steps;
    sum->krylov_iterations += part->krylov_iterations;
    sum->products += part->products;
}

/* One coarse level: its generator, its multigrid level, its answer in self->y.
 * *has_guess tells whether self->y holds a guess, and afterwards an answer. */
static int
solve_coarse(nest_t *self, size_t l, const rtl_model_t *model,
    const rtl_steady_options_t *options, bool *has_guess, rtl_steady_info_t *work,
    rtl_fault_t *fault)
{
    level_t *level = &self->level[l];
    rtl_steady_options_t loose = *options;
    rtl_steady_info_t info;
    rtl_geometric_t *multigrid = NULL;
    double peclet;

    int status = rtl_finite_volume_assemble(
        &level->chain, model, &level->grid, &peclet, options->monitor, fault);
    if (status == 0 && *has_guess) {
        multigrid = &self->multigrid;
        status =
            rtl_geometric_push(multigrid, &level->chain, &level[1].grid, &level->grid);
    }
    if (status != 0) {
        return status;
    }
    loose.rtol = fmax(coarse_rtol, options->rtol);
    loose.method = *has_guess ? RTL_STEADY_KRYLOV : RTL_STEADY_AUTO;
    status =
        rtl_steady_solve(&level->chain, multigrid, &loose, *has_guess, self->y, &info);
    add_work(work, &info);
    if (status != 0 &&
        status != RTL_NOT_CONVERGED) { /* a poor guess is still a guess */
        return status;
    }
    /* rates may underflow on a grid as coarse as that: then the next one starts anew */
    bool had_guess = *has_guess;
    *has_guess = all_finite(level->chain.n, self->y);
    if (!*has_guess) {
        rtl_geometric_free(&self->multigrid);
        return 0;
    }
    if (had_guess) {
        rtl_geometric_update(&self->multigrid, self->y);
        return 0;
    }
    return rtl_geometric_init(&self->multigrid, &level->chain, self->y);
}

int
rtl_nested_solve(const rtl_generator_t *chain, const rtl_model_t *model,
    const rtl_grid_t *grid, const rtl_steady_options_t *options, double *y,
    rtl_steady_info_t *info, rtl_fault_t *fault)
{
    bool has_guess = false;
    rtl_steady_info_t work = {0};
    nest_t *self = rtl_memory_alloc(1, sizeof *self);
    int status = self == NULL ? RTL_NO_MEMORY : make_grids(self, grid);

    if (status != 0) {
        goto out;
    }
    size_t coarsest = self->n_levels - 1;
    self->y = rtl_memory_alloc(
        coarsest > 0 ? self->level[coarsest].grid.n_cells : 1, sizeof(double));
    if (self->y == NULL) {
        status = RTL_NO_MEMORY;
        goto out;
    }
    for (size_t l = coarsest; l > 0; l--) {
        const rtl_grid_t *finer = l > 1 ? &self->level[l - 1].grid : grid;
        status = solve_coarse(self, l, model, options, &has_guess, &work, fault);
        if (status == 0) {
            status = refine(self, &self->level[l].grid, finer);
        }
        if (status != 0) {
            goto out;
        }
    }
    if (has_guess) {
        memcpy(y, self->y, grid->n_cells * sizeof *y);
        status =
            rtl_geometric_push(&self->multigrid, chain, &self->level[1].grid, grid);
    }
    if (status == 0) {
        status = rtl_steady_solve(
            chain, has_guess ? &self->multigrid : NULL, options, has_guess, y, info);
        add_work(info, &work);
    }
out:
    if (self != NULL) {
        nest_free(self);
    }
    return status;
}
