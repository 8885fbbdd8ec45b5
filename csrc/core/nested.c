/* SPDX-License-Identifier: MIT */
#include "nested.h"

#include <math.h>
#include <string.h>

#include "direct.h"
#include "elementary_rows.h"
#include "geometric.h"
#include "log_mean.h"
#include "memory.h"
#include "steady_room.h"
#include "steady_step.h"

enum { MOST_ROUNDS = 12, BLOCK = 512 };

/* What is left to the finer grids: their own discretisation differs by more. */
static const double coarse_rtol = 1e-3;

/* What the estimate of the error compares with has to be nearer than the error. */
static const double reference_rtol = 1e-4;

/* Of the logarithmic-mean flux: cells less probable than this, compared with the
 * largest, keep the exponential flux; rounds are solved to round_rtol and end when one
 * changes less than `settled` of what all have changed (L1). */
static const double log_mean_range = 1e-4;
static const double round_rtol = 1e-6;
static const double settled = 1e-2;

/* What the answer may miss of its flux's balance, compared with what the exponential
 * flux's answer misses. */
static const double balanced = 0.1;

typedef struct {
    rtl_grid_t grid;       /* level 0: empty, the caller's is used */
    rtl_generator_t chain; /* likewise */
} level_t;

typedef struct {
    rtl_direct_shape_t shape;
    bool line; /* solved in closed form: one coarser grid, for the error, is enough */
    size_t n_levels;
    level_t level[RTL_GEOMETRIC_MAX]; /* 0 is the finest */
    rtl_geometric_t multigrid;
    double *y;         /* of the level last solved; owned */
    double *reference; /* answer on level 1, for the estimate of the error; owned */
    double *improved;  /* that of the logarithmic-mean flux; NULL where it did not
                        * settle; owned */
    rtl_steady_room_t room;
} nest_t;

static void
nest_free(nest_t *self)
{
    for (size_t l = 0; l < RTL_GEOMETRIC_MAX; l++) {
        rtl_grid_free(&self->level[l].grid);
        rtl_generator_free(&self->level[l].chain);
    }
    rtl_geometric_free(&self->multigrid);
    rtl_steady_room_free(&self->room);
    rtl_memory_free(self->y);
    rtl_memory_free(self->reference);
    rtl_memory_free(self->improved);
    rtl_memory_free(self);
}

/* Log probabilities on `fine`, in the place of those on `coarse`. */
static int
refine(nest_t *self, const rtl_grid_t *coarse, const rtl_grid_t *fine, rtl_team_t team)
{
    double *y = rtl_memory_alloc(fine->n_cells, sizeof *y);
    int status =
        y == NULL ? RTL_NO_MEMORY : rtl_interpolate_law(coarse, self->y, fine, y, team);

    if (status == 0) {
        double *swap = self->y;
        self->y = y;
        y = swap;
    }
    rtl_memory_free(y);
    return status;
}

/* Grids from fine to coarse, as long as they get coarser and are not small. */
static int
make_grids(nest_t *self, const rtl_grid_t *grid)
{
    bool coarser = true;
    size_t most = self->line ? 2 : RTL_GEOMETRIC_MAX;

    self->n_levels = 1;
    while (coarser && grid->n_cells > RTL_NESTED_SMALLEST && self->n_levels < most) {
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

    int status = rtl_finite_volume_assemble(&level->chain, model, &level->grid, &peclet,
        options->team.n_threads, options->team.monitor, fault);
    if (status == RTL_ANISOTROPIC) { /* cells of other shapes than the finest */
        *has_guess = false;
        rtl_geometric_free(&self->multigrid);
        return 0;
    }
    if (status == 0 && *has_guess) {
        multigrid = &self->multigrid;
        status =
            rtl_geometric_push(multigrid, &level->chain, &level[1].grid, &level->grid);
    }
    if (status != 0) {
        return status;
    }
    loose.rtol = fmax(coarse_rtol, options->rtol);
    loose.method = RTL_STEADY_AUTO;
    status =
        rtl_steady_solve(&level->chain, multigrid, &loose, *has_guess, self->y, &info);
    rtl_steady_add_work(work, &info);
    if (status != 0 &&
        status != RTL_NOT_CONVERGED) { /* a poor guess is still a guess */
        return status;
    }
    /* rates may underflow on a grid as coarse as that: then the next one starts anew */
    bool had_guess = *has_guess;
    *has_guess = rtl_steady_step_finite(level->chain.n, self->y);
    if (self->line) {
        return 0;
    }
    if (!*has_guess) {
        rtl_geometric_free(&self->multigrid);
        return 0;
    }
    if (had_guess) {
        rtl_geometric_update(&self->multigrid, self->y);
        return 0;
    }
    return rtl_geometric_init(&self->multigrid, &level->chain, self->y, options->team);
}

/* --- the logarithmic-mean flux ------------------------------------------------------
 */

/* sum |e^a - e^b| */
static double
distance(size_t n, const double *a, const double *b)
{
    double sum = 0.0;

    for (size_t i = 0; i < n; i++) {
        sum += fabs(exp(a[i]) - exp(b[i]));
    }
    return sum;
}

/* The answer's own check, from scratch. */
static int
verify(const rtl_log_mean_t *log_mean, const rtl_steady_options_t *options,
    const double *first, double floor, const double *y, double *work,
    rtl_nested_flux_t *flux)
{
    flux->defect = rtl_log_mean_defect(log_mean, y, floor, work);
    if (flux->defect <= options->rtol) {
        return 0;
    }
    double before = rtl_log_mean_defect(log_mean, first, floor, work);
    return flux->defect <= balanced * before ? 0 : RTL_NOT_CONVERGED;
}

/* Rounds of reweighting from y, the exponential flux's answer `first`, until settled.
 */
static int
reweigh_rounds(rtl_log_mean_t *log_mean, rtl_geometric_t *multigrid,
    const rtl_steady_options_t *options, const double *first, double *y, double *last,
    rtl_nested_flux_t *flux, rtl_steady_info_t *work)
{
    size_t n = log_mean->chain->n;
    rtl_steady_options_t loose = *options;
    rtl_steady_info_t info = {0};
    double floor = -INFINITY, change = INFINITY;
    int status = 0;

    loose.rtol = fmax(round_rtol, options->rtol);
    for (size_t i = 0; i < n; i++) {
        floor = fmax(floor, first[i] + log(log_mean_range));
    }
    flux->gain = 0.0;
    for (flux->rounds = 0;
        flux->rounds < MOST_ROUNDS && change > settled * flux->gain;) {
        memcpy(last, y, n * sizeof *last);
        rtl_log_mean_reweigh(log_mean, y, floor);
        if (multigrid != NULL) {
            rtl_geometric_replace(multigrid, &log_mean->reweighted);
        }
        status =
            rtl_steady_solve(&log_mean->reweighted, multigrid, &loose, true, y, &info);
        rtl_steady_add_work(work, &info);
        flux->rounds++;
        if (status != 0) {
            return status;
        }
        change = distance(n, y, last);
        flux->gain = distance(n, y, first);
    }
    if (change > settled * flux->gain) {
        return RTL_NOT_CONVERGED;
    }
    status =
        rtl_steady_solve(&log_mean->reweighted, multigrid, options, true, y, &info);
    rtl_steady_add_work(work, &info);
    return status == 0 ? verify(log_mean, options, first, floor, y, last, flux)
                       : status;
}

/* y from the exponential flux's answer to the logarithmic mean's, with its chain in
 * *reweighted; y is left and *reweighted empty where that does not settle. */
static int
improve(const rtl_generator_t *chain, const rtl_model_t *model, const rtl_grid_t *grid,
    rtl_geometric_t *multigrid, const rtl_steady_options_t *options, double *y,
    rtl_generator_t *reweighted, rtl_nested_flux_t *flux, rtl_steady_info_t *work,
    rtl_fault_t *fault)
{
    size_t n = chain->n;
    rtl_log_mean_t log_mean;
    double *first = rtl_memory_alloc(n, sizeof *first);
    double *last = rtl_memory_alloc(n, sizeof *last);
    int status = rtl_log_mean_init(&log_mean, chain, model, grid, fault);

    memset(reweighted, 0, sizeof *reweighted);
    if (first == NULL || last == NULL) {
        status = RTL_NO_MEMORY;
    }
    if (status != 0) {
        goto out;
    }
    memcpy(first, y, n * sizeof *first);
    status = reweigh_rounds(&log_mean, multigrid, options, first, y, last, flux, work);
    if (multigrid != NULL) {
        rtl_geometric_replace(multigrid, chain);
    }
    if (status == 0) {
        flux->log_mean = true;
        *reweighted = log_mean.reweighted;
        memset(&log_mean.reweighted, 0, sizeof log_mean.reweighted);
    } else if (status == RTL_NOT_CONVERGED) {
        memcpy(y, first, n * sizeof *y);
        flux->gain = flux->defect = NAN;
        status = 0;
    }
out:
    rtl_log_mean_free(&log_mean);
    rtl_memory_free(first);
    rtl_memory_free(last);
    return status;
}

/* Keep the answers on level 1, of both fluxes if the finest grid will try both. */
static int
keep_reference(nest_t *self, const rtl_model_t *model,
    const rtl_steady_options_t *options, bool log_mean, rtl_steady_info_t *work,
    rtl_fault_t *fault)
{
    level_t *level = &self->level[1];
    size_t n = level->chain.n;
    rtl_generator_t reweighted = {0};
    rtl_nested_flux_t flux = {0};
    rtl_steady_options_t loose = *options;
    /* one level is this grid's own: no coarser one gave it a guess */
    bool geometric = self->multigrid.n_levels > 1;

    self->reference = rtl_memory_alloc(n, sizeof(double));
    self->improved = log_mean ? rtl_memory_alloc(n, sizeof(double)) : NULL;
    if (self->reference == NULL || (log_mean && self->improved == NULL)) {
        return RTL_NO_MEMORY;
    }
    memcpy(self->reference, self->y, n * sizeof(double));
    if (!log_mean) {
        return 0;
    }
    memcpy(self->improved, self->y, n * sizeof(double));
    loose.rtol = fmax(reference_rtol, options->rtol);
    loose.method = RTL_STEADY_AUTO;
    int status =
        improve(&level->chain, model, &level->grid, geometric ? &self->multigrid : NULL,
            &loose, self->improved, &reweighted, &flux, work, fault);
    rtl_generator_free(&reweighted);
    if (!flux.log_mean) {
        rtl_memory_free(self->improved);
        self->improved = NULL;
    }
    if (status == 0 && geometric) {
        rtl_geometric_update(&self->multigrid, self->y);
    }
    return status;
}

/* A third of the L1 distance to the answer on level 1, if it can be that of the same
 * flux: the error of a scheme of second order. */
static int
estimate_error(const nest_t *self, const rtl_grid_t *grid, const double *y,
    rtl_nested_flux_t *flux)
{
    const rtl_grid_t *coarse = &self->level[1].grid;
    double *p = rtl_memory_alloc(coarse->n_cells, sizeof *p);
    int32_t *parent = rtl_memory_alloc(grid->n_cells, sizeof *parent);
    int status = p == NULL || parent == NULL ? RTL_NO_MEMORY : 0;
    bool improved = flux->log_mean && self->improved != NULL;
    double *reference = improved ? self->improved : self->reference;

    if (status == 0) {
        status = rtl_interpolate_parents(coarse, grid, parent);
    }
    if (status == 0) {
        double part[BLOCK];
        for (size_t i = 0; i < grid->n_cells; i++) {
            if (i % BLOCK == 0) {
                size_t rest = grid->n_cells - i;
                rtl_elementary_rows_exp(y + i, rest < BLOCK ? rest : BLOCK, part);
            }
            p[parent[i]] += part[i % BLOCK];
        }
        rtl_elementary_rows_exp(reference, coarse->n_cells, reference);
        flux->error = 0.0;
        for (size_t c = 0; c < coarse->n_cells; c++) {
            flux->error += fabs(p[c] - reference[c]) / 3.0;
        }
    }
    rtl_memory_free(p);
    rtl_memory_free(parent);
    return status;
}

/* --- all levels ---------------------------------------------------------------------
 */

/* From the coarsest level to a guess for the finest in self->y. */
static int
solve_coarse_levels(nest_t *self, const rtl_model_t *model, const rtl_grid_t *grid,
    const rtl_steady_options_t *options, bool log_mean, bool *has_guess,
    rtl_steady_info_t *work, rtl_fault_t *fault)
{
    int status = 0;

    for (size_t l = self->n_levels - 1; status == 0 && l > 0; l--) {
        const rtl_grid_t *finer = l > 1 ? &self->level[l - 1].grid : grid;
        status = solve_coarse(self, l, model, options, has_guess, work, fault);
        if (status == 0 && l == 1 && *has_guess) {
            status = keep_reference(self, model, options, log_mean, work, fault);
        }
        if (status == 0 && !self->line) {
            status = refine(self, &self->level[l].grid, finer, options->team);
        }
        if (status == 0) {
            status = rtl_monitor_poll(options->team.monitor, 0.0);
        }
    }
    return status;
}

/* The grids, and room for the answer on the coarsest. */
static int
nest_init(nest_t *self, const rtl_generator_t *chain, const rtl_grid_t *grid,
    const rtl_steady_options_t *options)
{
    bool closed =
        options->method == RTL_STEADY_AUTO || options->method == RTL_STEADY_CLOSED_FORM;

    self->shape = rtl_direct_shape(chain);
    self->line = closed && self->shape != RTL_DIRECT_OTHER;
    int status = make_grids(self, grid);
    if (status != 0) {
        return status;
    }
    size_t coarsest = self->n_levels - 1;
    self->y = rtl_memory_alloc(
        coarsest > 0 ? self->level[coarsest].grid.n_cells : 1, sizeof(double));
    return self->y == NULL ? RTL_NO_MEMORY : 0;
}

int
rtl_nested_solve(const rtl_generator_t *chain, const rtl_model_t *model,
    const rtl_grid_t *grid, const rtl_steady_options_t *options, double *y,
    rtl_generator_t *reweighted, rtl_steady_info_t *info, rtl_nested_flux_t *flux,
    rtl_fault_t *fault)
{
    bool has_guess = false;
    rtl_steady_info_t work = {0};
    rtl_steady_options_t own = *options;
    nest_t *self = rtl_memory_alloc(1, sizeof *self);
    int status = self == NULL ? RTL_NO_MEMORY : nest_init(self, chain, grid, options);

    *flux = (rtl_nested_flux_t) {.gain = NAN, .defect = NAN, .error = NAN};
    if (reweighted != NULL) {
        memset(reweighted, 0, sizeof *reweighted);
    }
    if (status != 0) {
        goto out;
    }
    if (self->shape == RTL_DIRECT_LINE && reweighted != NULL) {
        *flux = (rtl_nested_flux_t) {.log_mean = true, .defect = NAN, .error = NAN};
        reweighted = NULL; /* no current: factors of both rates change nothing */
    }
    own.room = &self->room;
    status = solve_coarse_levels(
        self, model, grid, &own, reweighted != NULL, &has_guess, &work, fault);
    if (status != 0) {
        goto out;
    }
    has_guess = has_guess && !self->line;
    if (has_guess) {
        memcpy(y, self->y, grid->n_cells * sizeof *y);
        status =
            rtl_geometric_push(&self->multigrid, chain, &self->level[1].grid, grid);
        if (status != 0) {
            goto out;
        }
    }
    rtl_geometric_t *multigrid = has_guess ? &self->multigrid : NULL;
    status = rtl_steady_solve(chain, multigrid, &own, has_guess, y, info);
    if (status == 0 && reweighted != NULL) {
        status = improve(
            chain, model, grid, multigrid, &own, y, reweighted, flux, &work, fault);
        if (flux->log_mean) {
            info->residual =
                rtl_steady_residual(reweighted, y, 0.0, options->team, &info->worst);
        }
    }
    if (status == 0 && self->reference != NULL) {
        status = estimate_error(self, grid, y, flux);
        flux->settled_late =
            reweighted != NULL && flux->log_mean && self->improved == NULL;
    }
    rtl_steady_add_work(info, &work);
out:
    if (self != NULL) {
        nest_free(self);
    }
    return rtl_monitor_heed(options->team.monitor, status);
}
