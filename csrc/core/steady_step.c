/* SPDX-License-Identifier: MIT */
#include "steady_step.h"

#include <float.h>
#include <math.h>

#include "direct.h"
#include "parallel.h"

typedef struct {
    const double *z;
    double *y;
    double top, mean, floor; /* `mean` of 1 + z, weighted with p */
    double largest[RTL_PARALLEL_PIECES];
    double sum[RTL_PARALLEL_PIECES], weighted[RTL_PARALLEL_PIECES];
} step_t;

static void
top_piece(void *data, size_t piece, size_t first, size_t last)
{
    step_t *step = data;
    double top = -INFINITY;

    for (size_t i = first; i < last; i++) {
        top = step->y[i] > top ? step->y[i] : top;
    }
    step->largest[piece] = top;
}

static void
mean_piece(void *data, size_t piece, size_t first, size_t last)
{
    step_t *step = data;
    double sum = 0.0, weighted = 0.0;

    for (size_t i = first; i < last; i++) {
        double p = exp(step->y[i] - step->top);
        sum += p;
        weighted += p * (1.0 + step->z[i]);
    }
    step->sum[piece] = sum;
    step->weighted[piece] = weighted;
}

static void
step_piece(void *data, size_t piece, size_t first, size_t last)
{
    const step_t *step = data;
    const double *z = step->z;
    double mean = step->mean;

    (void) piece;
    for (size_t i = first; i < last; i++) {
        double factor =
            fabs(mean) > step->floor ? (1.0 + z[i]) / mean : 2.0 + z[i] - mean;
        step->y[i] += log(fmax(factor, step->floor));
    }
}

void
rtl_steady_step_in_p(
    size_t n, const double *z, double floor, rtl_team_t team, double *y)
{
    step_t step = {.z = z, .y = y, .top = -INFINITY, .floor = floor};
    double sum = 0.0, weighted = 0.0;

    for (size_t k = 0; k < RTL_PARALLEL_PIECES; k++) {
        step.largest[k] = -INFINITY;
    }
    rtl_parallel_loop(top_piece, &step, n, 1, team);
    for (size_t k = 0; k < RTL_PARALLEL_PIECES; k++) {
        step.top = fmax(step.top, step.largest[k]);
    }
    rtl_parallel_loop(mean_piece, &step, n, 1, team);
    for (size_t k = 0; k < RTL_PARALLEL_PIECES; k++) {
        sum += step.sum[k];
        weighted += step.weighted[k];
    }
    step.mean = weighted / sum;
    rtl_parallel_loop(step_piece, &step, n, 1, team);
}

/* y += log x */
static void
add_log_piece(void *data, size_t piece, size_t first, size_t last)
{
    const step_t *step = data;

    (void) piece;
    for (size_t i = first; i < last; i++) {
        step->y[i] += log(fmax(step->z[i], DBL_MIN));
    }
}

void
rtl_steady_step_sweep(
    const rtl_balance_t *balance, int n_sweeps, double *y, double *work)
{
    step_t step = {.z = work, .y = y};
    size_t n = balance->chain->n;

    for (size_t i = 0; i < n; i++) {
        work[i] = 1.0;
    }
    for (int s = 0; s < n_sweeps; s++) {
        rtl_balance_relax(balance, work);
    }
    rtl_parallel_loop(add_log_piece, &step, n, 1, balance->team);
}

double
rtl_steady_step_change(size_t n, double *a, double *b)
{
    double largest = 0.0;

    rtl_direct_normalise(n, a);
    rtl_direct_normalise(n, b);
    for (size_t i = 0; i < n; i++) {
        largest = fmax(largest, fabs(a[i] - b[i]));
    }
    return largest;
}

bool
rtl_steady_step_finite(size_t n, const double *y)
{
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(y[i])) {
            return false;
        }
    }
    return true;
}
