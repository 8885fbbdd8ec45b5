/* SPDX-License-Identifier: MIT */
#include "mixing.h"

#include <math.h>

#include "memory.h"

enum { MOST_ROUNDS = 25, FIRST_ROUNDS = 3, SLICE = 1 << 13 };

/* Rounding in the ratio of two sums, over many states. */
static const double rounding = 1e-14;

/* A number in [0, 1) that looks random, for each state (Steele, Lea & Flood 2014). */
static double
scattered(uint64_t i)
{
    uint64_t z = (i + 1) * 0x9e3779b97f4a7c15u;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (double) ((z ^ (z >> 31)) >> 11) * 0x1p-53;
}

/* Both vectors, (n, 2), at state i. */
static void
relax(const rtl_generator_t *chain, double *x, size_t i)
{
    double a = 0.0, b = 0.0;

    for (size_t e = chain->start[i]; e < chain->start[i + 1]; e++) {
        const double *from = x + 2 * (size_t) chain->source[e];
        a += chain->rate[e] * from[0];
        b += chain->rate[e] * from[1];
    }
    x[2 * i] = a / chain->exit_rate[i];
    x[2 * i + 1] = b / chain->exit_rate[i];
}

/* There and back. *spread receives by how much the ratio of the two vectors varies,
 * NaN where one has left the range of numbers. */
static int
sweep(const rtl_generator_t *chain, double done, rtl_monitor_t *monitor, double *x,
    double *spread)
{
    double low = INFINITY, high = 0.0, sum = 0.0;

    for (size_t i = 0; i < chain->n; i++) {
        relax(chain, x, i);
        if (i % SLICE == 0 && rtl_monitor_poll(monitor, done) != 0) {
            return RTL_INTERRUPTED;
        }
    }
    for (size_t i = chain->n; i-- > 0;) {
        relax(chain, x, i);
        double ratio = x[2 * i + 1] / x[2 * i];
        low = ratio < low ? ratio : low;
        high = ratio > high ? ratio : high;
        sum += ratio;
        if (i % SLICE == 0 && rtl_monitor_poll(monitor, done) != 0) {
            return RTL_INTERRUPTED;
        }
    }
    *spread = isfinite(sum) ? (high - low) / low : NAN;
    return 0;
}

int
rtl_mixing_solve(const rtl_generator_t *chain, double tolerance, rtl_monitor_t *monitor,
    double *y, long *n_rounds)
{
    size_t n = chain->n;
    /* the starts' masses of two large parts may differ by as little as 1 / sqrt(n) */
    double target = fmax(tolerance / sqrt((double) n), rounding);
    double spread = INFINITY, last = INFINITY;
    double *x = rtl_memory_alloc(2 * n, sizeof *x);
    int status = x == NULL ? RTL_NO_MEMORY : 0;

    for (size_t i = 0; status == 0 && i < n; i++) {
        x[2 * i] = 1.0 / chain->exit_rate[i];
        x[2 * i + 1] = x[2 * i] * (0.5 + scattered(i));
    }
    *n_rounds = 0;
    while (status == 0 && !(spread <= target)) {
        double rounds = (double) ++*n_rounds;
        status = sweep(chain, rounds / MOST_ROUNDS, monitor, x, &spread);
        double left = log(spread / target) / log(last / spread);
        last = spread;
        if (status == 0 && rounds >= FIRST_ROUNDS && !(spread <= target) &&
            !(left >= 0.0 && rounds + left <= MOST_ROUNDS)) {
            status = RTL_NOT_CONVERGED;
        }
    }
    for (size_t i = 0; status == 0 && i < n; i++) {
        y[i] = log(x[2 * i]);
    }
    rtl_memory_free(x);
    return status;
}
