/* SPDX-License-Identifier: MIT */
#include "steady_step.h"

#include <float.h>
#include <math.h>

#include "direct.h"
#include "elementary_rows.h"
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

enum { BLOCK = 512 };

static void
mean_piece(void *data, size_t piece, size_t first, size_t last)
{
    step_t *step = data;
    double sum = 0.0, weighted = 0.0, p[BLOCK];

    for (size_t begin = first; begin < last; begin += BLOCK) {
        size_t n = last - begin < BLOCK ? last - begin : BLOCK;
        const double *y = step->y + begin, *z = step->z + begin;
        for (size_t i = 0; i < n; i++) {
            p[i] = y[i] - step->top;
        }
        rtl_elementary_rows_exp(p, n, p);
        for (size_t i = 0; i < n; i++) {
            sum += p[i];
            weighted += p[i] * (1.0 + z[i]);
        }
    }
    step->sum[piece] = sum;
    step->weighted[piece] = weighted;
}

/* y_i += log(a z_i + b), the argument kept from `floor` */
static void
add_log(const step_t *step, double a, double b, size_t first, size_t last)
{
    double x[BLOCK], floor = step->floor;

    for (size_t begin = first; begin < last; begin += BLOCK) {
        size_t n = last - begin < BLOCK ? last - begin : BLOCK;
        const double *z = step->z + begin;
        double *y = step->y + begin;
        for (size_t i = 0; i < n; i++) {
            double factor = a * z[i] + b;
            x[i] = factor > floor ? factor : floor; /* nan, too */
        }
        rtl_elementary_rows_log(x, n, x);
        for (size_t i = 0; i < n; i++) {
            y[i] += x[i];
        }
    }
}

static void
step_piece(void *data, size_t piece, size_t first, size_t last)
{
    const step_t *step = data;
    double mean = step->mean;

    (void) piece;
    if (fabs(mean) > step->floor) {
        add_log(step, 1.0 / mean, 1.0 / mean, first, last);
    } else {
        add_log(step, 1.0, 2.0 - mean, first, last);
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

static void
add_log_piece(void *data, size_t piece, size_t first, size_t last)
{
    (void) piece;
    add_log(data, 1.0, 0.0, first, last);
}

int
rtl_steady_step_sweep(
    const rtl_balance_t *balance, int n_sweeps, double *y, double *work)
{
    int status = 0;
    step_t step = {.z = work, .y = y, .floor = DBL_MIN};
    size_t n = balance->chain->n;

    for (size_t i = 0; i < n; i++) {
        work[i] = 1.0;
    }
    for (int s = 0; status == 0 && s < n_sweeps; s++) {
        rtl_balance_relax(balance, work);
        status = rtl_monitor_ask(balance->team.monitor);
    }
    rtl_parallel_loop(add_log_piece, &step, n, 1, balance->team);
    return status;
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
