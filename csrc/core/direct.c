/* SPDX-License-Identifier: MIT */
#include "direct.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "elementary_rows.h"
#include "memory.h"
#include "processor.h"
#include "sum.h"

/* States eliminated before the rates among the others are touched, and rows added to
 * those at a time; numbers in a row of exponentials. */
enum { PANEL = 32, TOGETHER = 4, BLOCK = 512 };

void
rtl_direct_normalise(size_t n, double *y)
{
    double top = -INFINITY;
    rtl_sum_t sum = {0};
    double p[BLOCK];

    for (size_t i = 0; i < n; i++) {
        top = fmax(top, y[i]);
    }
    for (size_t first = 0; first < n; first += BLOCK) {
        size_t count = n - first < BLOCK ? n - first : BLOCK;
        for (size_t k = 0; k < count; k++) {
            p[k] = y[first + k] - top;
        }
        rtl_elementary_rows_exp(p, count, p);
        for (size_t k = 0; k < count; k++) {
            rtl_sum_add(&sum, p[k]);
        }
    }
    double log_sum = top + log(rtl_sum_total(&sum));
    for (size_t i = 0; i < n; i++) {
        y[i] -= log_sum;
    }
}

/* Of the work of elimination when `left` of n states are left. */
static double
done(size_t n, size_t left)
{
    double share = (double) left / (double) n;

    return 1.0 - share * share * share;
}

/* Eliminate states high-1 .. low as far as rates to or from low .. high-1 go. */
static int
eliminate_panel(size_t n, size_t low, size_t high, rtl_monitor_t *monitor, double *w)
{
    int status = 0;

    for (size_t k = high; status == 0 && k-- > low;) {
        const double *row = w + k * n;
        double leave = 0.0;
        for (size_t i = 0; i < k; i++) {
            leave += w[i * n + k];
        }
        w[k * n + k] = leave;
        for (size_t i = 0; i < k; i++) {
            double *target = w + i * n;
            if (target[k] > 0.0) {
                double share = target[k] / leave;
                for (size_t j = i < low ? low : 0; j < k; j++) {
                    target[j] += share * row[j];
                }
            }
        }
        status = rtl_monitor_poll(monitor, done(n, high));
    }
    return status;
}

/* target += sum_k share[k] rows[k], `stride` apart; how the time of elimination is
 * spent. */
RTL_PROCESSOR_INLINE int
add_rows_body(
    size_t n, const double *share, const double *rows, size_t stride, double *target)
{
    for (size_t j = 0; j < n; j++) {
        double sum = target[j];
        for (size_t k = 0; k < TOGETHER; k++) {
            sum += share[k] * rows[k * stride + j];
        }
        target[j] = sum;
    }
    return 0;
}

RTL_PROCESSOR_BUILD(add_rows,
    (size_t n, const double *share, const double *rows, size_t stride, double *target),
    (n, share, rows, stride, target))

/* The rest of that: rates among the states below `low`. */
static int
eliminate_rest(size_t n, size_t low, size_t high, rtl_monitor_t *monitor, double *w)
{
    int status = 0;

    for (size_t i = 0; status == 0 && i < low; i++) {
        double *target = w + i * n;
        for (size_t k = low; k < high; k += TOGETHER) {
            double share[TOGETHER] = {0.0}, any = 0.0;
            size_t count = high - k < TOGETHER ? high - k : TOGETHER;
            for (size_t m = 0; m < count; m++) {
                if (target[k + m] > 0.0) {
                    any += share[m] = target[k + m] / w[(k + m) * (n + 1)];
                }
            }
            if (any > 0.0 && count == TOGETHER) {
                (void) add_rows(low, share, w + k * n, n, target);
            } else if (any > 0.0) {
                for (size_t m = 0; m < count; m++) {
                    for (size_t j = 0; j < low; j++) {
                        target[j] += share[m] * w[(k + m) * n + j];
                    }
                }
            }
        }
        status = rtl_monitor_poll(monitor, done(n, low));
    }
    return status;
}

int
rtl_direct_eliminate(size_t n, size_t n_left, rtl_monitor_t *monitor, double *w)
{
    int status = 0;

    for (size_t high = n; status == 0 && high > n_left;) {
        size_t low = high > n_left + PANEL ? high - PANEL : n_left;
        status = eliminate_panel(n, low, high, monitor, w);
        if (status == 0) {
            status = eliminate_rest(n, low, high, monitor, w);
        }
        high = low;
    }
    return status;
}

typedef struct {
    double y;
    int32_t state;
} ranked_t;

static int
by_falling_y(const void *a, const void *b)
{
    const ranked_t *p = a, *q = b;

    if (p->y != q->y) {
        return p->y > q->y ? -1 : 1;
    }
    return p->state < q->state ? -1 : 1; /* ties: the same on every system */
}

int
rtl_direct_order(size_t n, const double *y, int32_t *order)
{
    ranked_t *ranked = rtl_memory_alloc(n, sizeof *ranked);

    if (ranked == NULL) {
        return RTL_NO_MEMORY;
    }
    for (size_t i = 0; i < n; i++) {
        ranked[i] = (ranked_t) {.y = y[i], .state = (int32_t) i};
    }
    qsort(ranked, n, sizeof *ranked, by_falling_y);
    for (size_t i = 0; i < n; i++) {
        order[i] = ranked[i].state;
    }
    rtl_memory_free(ranked);
    return 0;
}

void
rtl_direct_gather(
    const rtl_generator_t *chain, const int32_t *order, int32_t *place, double *w)
{
    size_t n = chain->n;

    memset(w, 0, n * n * sizeof *w);
    for (size_t k = 0; k < n; k++) {
        place[order[k]] = (int32_t) k;
    }
    for (size_t i = 0; i < n; i++) {
        double *row = w + (size_t) place[i] * n;
        for (size_t e = chain->start[i]; e < chain->start[i + 1]; e++) {
            row[place[chain->source[e]]] += chain->rate[e];
        }
    }
}

/* p_k leave_k = sum_{j<k} w(j -> k) p_j, upwards from p_0 = 1, in logarithms. */
static int
substitute(
    size_t n, const double *w, const int32_t *order, rtl_monitor_t *monitor, double *y)
{
    int status = 0;

    y[order[0]] = 0.0;
    for (size_t k = 1; status == 0 && k < n; k++) {
        status = rtl_monitor_poll(monitor, 1.0);
        double top = -INFINITY, sum = 0.0;
        for (size_t j = 0; j < k; j++) {
            if (w[k * n + j] > 0.0) {
                top = fmax(top, y[order[j]]);
            }
        }
        for (size_t j = 0; j < k; j++) {
            if (w[k * n + j] > 0.0) {
                sum += w[k * n + j] * exp(y[order[j]] - top);
            }
        }
        y[order[k]] = top + log(sum / w[k * n + k]);
    }
    return status;
}

int
rtl_direct_dense(const rtl_generator_t *chain, rtl_monitor_t *monitor, double *y)
{
    size_t n = chain->n;
    double *w = rtl_memory_alloc(n * n, sizeof *w);
    int32_t *order = rtl_memory_alloc(2 * n, sizeof *order);
    int status = w == NULL || order == NULL ? RTL_NO_MEMORY : 0;

    for (size_t i = 0; status == 0 && i < n; i++) {
        y[i] = -y[i]; /* for the most probable to be eliminated first */
    }
    if (status == 0) {
        status = rtl_direct_order(n, y, order);
    }
    if (status == 0) {
        rtl_direct_gather(chain, order, order + n, w);
        status = rtl_direct_eliminate(n, 1, monitor, w);
    }
    if (status == 0) {
        status = substitute(n, w, order, monitor, y);
    }
    if (status == 0) {
        rtl_direct_normalise(n, y);
    }
    rtl_memory_free(w);
    rtl_memory_free(order);
    return status;
}

/* Rates from a to b; 0 if there is no entry. */
static double
rate_between(const rtl_generator_t *chain, size_t a, size_t b)
{
    double sum = 0.0;

    for (size_t e = chain->start[b]; e < chain->start[b + 1]; e++) {
        sum += (size_t) chain->source[e] == a ? chain->rate[e] : 0.0;
    }
    return sum;
}

rtl_direct_shape_t
rtl_direct_shape(const rtl_generator_t *chain)
{
    size_t n = chain->n;
    bool closed = true;

    if (n < 3) {
        return RTL_DIRECT_OTHER;
    }
    for (size_t i = 0; i < n; i++) {
        size_t above = i + 1 < n ? i + 1 : 0, below = i > 0 ? i - 1 : n - 1;
        for (size_t e = chain->start[i]; e < chain->start[i + 1]; e++) {
            size_t j = (size_t) chain->source[e];
            if (j != above && j != below && chain->rate[e] > 0.0) {
                return RTL_DIRECT_OTHER;
            }
        }
        closed = rate_between(chain, i, above) > 0.0;
        bool back = rate_between(chain, above, i) > 0.0;
        if (closed != back || (!closed && above != 0)) {
            return RTL_DIRECT_OTHER;
        }
    }
    return closed ? RTL_DIRECT_RING : RTL_DIRECT_LINE;
}

/* phi_i in y; returns phi_n. */
static int
add_ratios(const rtl_generator_t *chain, rtl_monitor_t *monitor, double *y, double *all)
{
    size_t n = chain->n;
    double ratio[BLOCK];
    rtl_sum_t phi = {0};
    int status = 0;

    for (size_t first = 0; status == 0 && first < n; first += BLOCK) {
        size_t count = n - first < BLOCK ? n - first : BLOCK;
        for (size_t k = 0; k < count; k++) {
            size_t m = first + k, above = m + 1 < n ? m + 1 : 0;
            ratio[k] = rate_between(chain, m, above) / rate_between(chain, above, m);
        }
        rtl_elementary_rows_log(ratio, count, ratio);
        for (size_t k = 0; k < count; k++) {
            y[first + k] = rtl_sum_total(&phi);
            rtl_sum_add(&phi, ratio[k]);
        }
        status = rtl_monitor_poll(monitor, 0.0);
    }
    *all = rtl_sum_total(&phi);
    return status;
}

/* y from phi to log p, of a ring. */
static int
add_trees(
    const rtl_generator_t *chain, double around, rtl_monitor_t *monitor, double *y)
{
    size_t n = chain->n;
    double right = -INFINITY, left = -INFINITY;
    double *link = rtl_memory_alloc(n, sizeof *link); /* -phi_m - log u_m */
    int status = link == NULL ? RTL_NO_MEMORY : 0;

    for (size_t m = n; status == 0 && m-- > 0;) { /* then the sums over m' >= m */
        link[m] = -y[m] - log(rate_between(chain, m, m + 1 < n ? m + 1 : 0));
        right = rtl_sum_logs(right, link[m]);
        link[m] = right;
        status = m % BLOCK == 0 ? rtl_monitor_poll(monitor, 0.0) : 0;
    }
    for (size_t i = 0; status == 0 && i < n; i++) {
        double here = -y[i] - log(rate_between(chain, i, i + 1 < n ? i + 1 : 0));
        y[i] += rtl_sum_logs(around + link[i], left);
        left = rtl_sum_logs(left, here);
        status = i % BLOCK == 0 ? rtl_monitor_poll(monitor, 0.0) : 0;
    }
    rtl_memory_free(link);
    return status;
}

/* With u_m, d_m the rates of link m up and down, phi_i = sum_{m<i} log(u_m / d_m), a
 * tree is the ring less one link m, and the trees rooted at i add up to
 *
 *     p_i ~ e^phi_i [ e^phi_n sum_{m>=i} e^-phi_m / u_m + sum_{m<i} e^-phi_m / u_m ].
 *
 * A line has one tree: p_i ~ e^phi_i. */
int
rtl_direct_ring(const rtl_generator_t *chain, rtl_direct_shape_t shape,
    rtl_monitor_t *monitor, double *y)
{
    double around = 0.0;
    int status = add_ratios(chain, monitor, y, &around);

    if (status == 0 && shape == RTL_DIRECT_RING) {
        status = add_trees(chain, around, monitor, y);
    }
    if (status == 0) {
        rtl_direct_normalise(chain->n, y);
    }
    return status;
}
