/* SPDX-License-Identifier: MIT */
#include "nested.h"

#include <math.h>
#include <string.h>

#include "memory.h"

enum { SHORTEST_AXIS = 8, SMALLEST_GRID = 400 };

/* What is left to the finer grids: their own discretisation differs by more. */
static const double coarse_rtol = 1e-3;

int
rtl_nested_coarsen(const rtl_grid_t *fine, rtl_grid_t *coarse, int *coarser)
{
    int status = 0;
    size_t shape[RTL_MAX_DIM];
    double *edges[RTL_MAX_DIM] = {NULL};

    memset(coarse, 0, sizeof *coarse);
    *coarser = 0;
    for (size_t k = 0; k < fine->dim; k++) {
        size_t n = fine->shape[k], step = n >= SHORTEST_AXIS ? 2 : 1;
        shape[k] = (n + step - 1) / step;
        *coarser = *coarser || step == 2;
        edges[k] = rtl_memory_alloc(shape[k] + 1, sizeof(double));
        if (edges[k] == NULL) {
            status = RTL_NO_MEMORY;
            goto out;
        }
        for (size_t i = 0; i < shape[k]; i++) {
            edges[k][i] = fine->edges[k][i * step];
        }
        edges[k][shape[k]] = fine->edges[k][n];
    }
    if (*coarser) {
        status = rtl_grid_init(coarse, fine->dim, shape, (const double *const *) edges,
            fine->lower, fine->upper);
    }
out:
    for (size_t k = 0; k < fine->dim; k++) {
        rtl_memory_free(edges[k]);
    }
    return status;
}

/* Where the centre of fine cell i of an axis lies among the coarse centres: between
 * *low and *high, a share *t of the way up (outside [0, 1] beyond the last centres). */
static void
locate(const rtl_grid_t *coarse, const rtl_grid_t *fine, size_t axis, size_t i,
    size_t *low, size_t *high, double *t)
{
    size_t m = coarse->shape[axis], n = fine->shape[axis];
    double x = rtl_grid_centre(fine, axis, i);
    double period = fine->edges[axis][n] - fine->edges[axis][0];
    bool wrap = fine->lower[axis] == RTL_PERIODIC;
    size_t c = i * m / n;

    /* the last coarse cell of an odd axis is narrower: step to the cell that holds x */
    while (c + 1 < m && x >= coarse->edges[axis][c + 1]) {
        c++;
    }
    while (c > 0 && x < coarse->edges[axis][c]) {
        c--;
    }
    double centre = rtl_grid_centre(coarse, axis, c);
    if (x >= centre) {
        *low = c;
        *high = c + 1 < m ? c + 1 : (wrap ? 0 : c);
    } else {
        *high = c;
        *low = c > 0 ? c - 1 : (wrap ? m - 1 : 0);
    }
    if (*low == *high) { /* beyond the last centre: from the last two */
        *low = c > 0 ? c - 1 : 0;
        *high = *low + 1;
    }
    double a = rtl_grid_centre(coarse, axis, *low);
    double b = rtl_grid_centre(coarse, axis, *high);
    if (wrap && *high == 0) {
        b += period;
        x += x < a ? period : 0.0;
    }
    *t = (x - a) / (b - a);
}

int
rtl_nested_interpolate(const rtl_grid_t *coarse, const double *coarse_log_density,
    const rtl_grid_t *fine, double *log_density)
{
    size_t outer = 1, inner = coarse->n_cells;
    double *from = rtl_memory_alloc(fine->n_cells, sizeof *from);
    double *to = rtl_memory_alloc(fine->n_cells, sizeof *to);

    if (from == NULL || to == NULL) {
        rtl_memory_free(from);
        rtl_memory_free(to);
        return RTL_NO_MEMORY;
    }
    memcpy(from, coarse_log_density, coarse->n_cells * sizeof *from);
    /* axes 0 .. k-1 are fine already (outer), those after k still coarse (inner) */
    for (size_t k = 0; k < fine->dim; k++) {
        size_t m = coarse->shape[k], n = fine->shape[k], low, high;
        double t;
        inner /= m;
        for (size_t i = 0; i < n; i++) {
            locate(coarse, fine, k, i, &low, &high, &t);
            for (size_t o = 0; o < outer; o++) {
                const double *a = from + (o * m + low) * inner;
                const double *b = from + (o * m + high) * inner;
                double *out = to + (o * n + i) * inner;
                for (size_t s = 0; s < inner; s++) {
                    out[s] = a[s] + t * (b[s] - a[s]);
                }
            }
        }
        outer *= n;
        double *swap = from;
        from = to;
        to = swap;
    }
    memcpy(log_density, from, fine->n_cells * sizeof *from);
    rtl_memory_free(from);
    rtl_memory_free(to);
    return 0;
}

static void
add_log_volume(const rtl_grid_t *grid, double sign, double *y)
{
    for (size_t i = 0; i < grid->n_cells; i++) {
        y[i] += sign * log(rtl_grid_volume(grid, i));
    }
}

static void
add_work(rtl_steady_info_t *sum, const rtl_steady_info_t *part)
{
    sum->warm_steps += part->warm_steps;
    sum->newton_steps += part->newton_steps;
    sum->krylov_iterations += part->krylov_iterations;
    sum->products += part->products;
}

static int
all_finite(size_t n, const double *y)
{
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(y[i])) {
            return 0;
        }
    }
    return 1;
}

/* First guess for `grid`: the answer on the next coarser one, which is asked likewise.
 * *has_guess is false if `grid` cannot be made coarser. */
static int
guess(const rtl_model_t *model, const rtl_grid_t *grid,
    const rtl_steady_options_t *options, double *y, int *has_guess,
    rtl_steady_info_t *work, rtl_fault_t *fault)
{
    int coarser = 0;
    double peclet;
    double *coarse_y = NULL;
    rtl_grid_t coarse;
    rtl_generator_t chain = {0};
    rtl_steady_options_t loose = *options;
    rtl_steady_info_t info;
    int status = rtl_nested_coarsen(grid, &coarse, &coarser);

    *has_guess = 0;
    if (status != 0 || !coarser) {
        return status;
    }
    coarse_y = rtl_memory_alloc(coarse.n_cells, sizeof *coarse_y);
    if (coarse_y == NULL) {
        status = RTL_NO_MEMORY;
        goto out;
    }
    status = rtl_finite_volume_assemble(
        &chain, model, &coarse, &peclet, options->monitor, fault);
    if (status != 0) {
        goto out;
    }
    loose.rtol = fmax(coarse_rtol, options->rtol);
    loose.method = RTL_STEADY_AUTO;
    if (coarse.n_cells > SMALLEST_GRID) {
        status = guess(model, &coarse, options, coarse_y, has_guess, work, fault);
        if (status != 0) {
            goto out;
        }
    }
    status = rtl_steady_solve(&chain, &loose, *has_guess, coarse_y, &info);
    add_work(work, &info);
    if (status == RTL_NOT_CONVERGED) {
        status = 0; /* still the best guess there is */
    }
    if (status != 0) {
        goto out;
    }
    *has_guess = all_finite(coarse.n_cells, coarse_y);
    if (!*has_guess) { /* rates underflowed on a grid as coarse as that */
        goto out;
    }
    add_log_volume(&coarse, -1.0, coarse_y);
    status = rtl_nested_interpolate(&coarse, coarse_y, grid, y);
    add_log_volume(grid, 1.0, y);
out:
    rtl_memory_free(coarse_y);
    rtl_generator_free(&chain);
    rtl_grid_free(&coarse);
    return status;
}

int
rtl_nested_solve(const rtl_generator_t *chain, const rtl_model_t *model,
    const rtl_grid_t *grid, const rtl_steady_options_t *options, double *y,
    rtl_steady_info_t *info, rtl_fault_t *fault)
{
    int has_guess = 0;
    rtl_steady_info_t work = {0};
    int status = guess(model, grid, options, y, &has_guess, &work, fault);

    if (status != 0) {
        return status;
    }
    status = rtl_steady_solve(chain, options, has_guess, y, info);
    add_work(info, &work);
    return status;
}
