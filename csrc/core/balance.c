/* SPDX-License-Identifier: MIT */
#include "balance.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "elementary_rows.h"
#include "memory.h"

enum { MOST_STRIPS = 16, SHORTEST_STRIP = 1 << 13 };

/* --- strips ------------------------------------------------------------------------
 */

static bool
is_odd(const rtl_balance_t *self, size_t state)
{
    return state / self->strip % 2 == 1;
}

static size_t
end_of_strip(const rtl_balance_t *self, size_t begin)
{
    size_t rest = self->chain->n - begin;
    return begin + (rest < self->strip ? rest : self->strip);
}

/* Reach and ends for strips of self->strip; false where two strips of one parity are
 * linked. */
static bool
measure_strips(rtl_balance_t *self)
{
    const rtl_generator_t *chain = self->chain;

    self->reach = self->from_low = self->to_high = 0;
    for (size_t begin = 0; begin < chain->n; begin += self->strip) {
        size_t end = end_of_strip(self, begin);
        bool odd = is_odd(self, begin);
        for (size_t i = begin; i < end; i++) {
            for (size_t e = chain->start[i]; e < chain->start[i + 1]; e++) {
                size_t j = (size_t) chain->source[e];
                if (j >= begin && j < end) {
                    self->reach = j > i + self->reach ? j - i : self->reach;
                } else if (is_odd(self, j) == odd) {
                    return false;
                } else if (!odd && i - begin < end - i) {
                    self->from_low =
                        i - begin >= self->from_low ? i - begin + 1 : self->from_low;
                } else if (!odd) {
                    self->to_high = end - i > self->to_high ? end - i : self->to_high;
                }
            }
        }
    }
    return true;
}

int
rtl_balance_init(rtl_balance_t *self, const rtl_generator_t *chain, rtl_team_t team)
{
    size_t pairs = chain->n / (2 * SHORTEST_STRIP);

    memset(self, 0, sizeof *self);
    self->chain = chain;
    self->team = team;
    pairs = pairs < MOST_STRIPS / 2 ? pairs : MOST_STRIPS / 2;
    self->strip = pairs > 0 ? (chain->n + 2 * pairs - 1) / (2 * pairs) : chain->n;
    if (!measure_strips(self)) {
        self->strip = chain->n;
        if (!measure_strips(self)) { /* one strip has no other to be linked with */
            return RTL_BAD_ARGUMENT;
        }
    }
    self->value = rtl_memory_alloc(chain->n_entries, sizeof(double));
    return self->value == NULL ? RTL_NO_MEMORY : 0;
}

void
rtl_balance_free(rtl_balance_t *self)
{
    rtl_memory_free(self->value);
    memset(self, 0, sizeof *self);
}

/* --- values ------------------------------------------------------------------------
 */

/* 2^k for |k| <= 995, and the nearest of these beyond. */
static double
power_of_two(double k)
{
    double bounded = k > 995.0 ? 995.0 : (k > -995.0 ? k : -995.0), x;
    uint64_t bits = (uint64_t) ((int32_t) bounded + 1023) << 52;

    memcpy(&x, &bits, sizeof x);
    return x;
}

double
rtl_balance_ratio(const double *work, size_t n, size_t i, size_t j)
{
    return work[i] / work[j] * power_of_two(work[n + i] - work[n + j]);
}

typedef struct {
    const rtl_balance_t *self;
    const double *in; /* y, or x */
    double *work, *out;
    double largest[RTL_PARALLEL_PIECES];
} loop_t;

/* p_i = m_i 2^{k_i} takes one exponential a state instead of one an entry, and the
 * ratio of any two is m_j / m_i with a shift of the exponent. */
static void
split_piece(void *data, size_t piece, size_t first, size_t last)
{
    const loop_t *loop = data;
    double *mantissa = loop->work, *exponent = loop->work + loop->self->chain->n;

    (void) piece;
    rtl_elementary_rows_split(
        loop->in + first, last - first, mantissa + first, exponent + first);
}

static void
value_piece(void *data, size_t piece, size_t first, size_t last)
{
    const loop_t *loop = data;
    const rtl_generator_t *chain = loop->self->chain;
    const double *mantissa = loop->work, *exponent = loop->work + chain->n;
    double *value = loop->self->value;

    (void) piece;
    for (size_t i = first; i < last; i++) {
        double q = chain->exit_rate[i];
        double scale = q > 0.0 ? 1.0 / (mantissa[i] * q) : 0.0;
        for (size_t e = chain->start[i]; e < chain->start[i + 1]; e++) {
            size_t j = (size_t) chain->source[e];
            value[e] = chain->rate[e] * (mantissa[j] * scale) *
                       power_of_two(exponent[j] - exponent[i]);
        }
    }
}

void
rtl_balance_update(rtl_balance_t *self, const double *y, double *work)
{
    loop_t loop = {.self = self, .in = y, .work = work};

    rtl_parallel_loop(split_piece, &loop, self->chain->n, 1, self->team);
    rtl_parallel_loop(value_piece, &loop, self->chain->n, 1, self->team);
}

static void
residual_piece(void *data, size_t piece, size_t first, size_t last)
{
    loop_t *loop = data;
    const size_t *start = loop->self->chain->start;
    const double *value = loop->self->value;
    double largest = 0.0;

    for (size_t i = first; i < last; i++) {
        double sum = -1.0;
        for (size_t e = start[i]; e < start[i + 1]; e++) {
            sum += value[e];
        }
        loop->out[i] = sum;
        if (!(fabs(sum) <= largest) && !isnan(largest)) {
            largest = fabs(sum);
        }
    }
    loop->largest[piece] = largest;
}

double
rtl_balance_residual(const rtl_balance_t *self, double *r)
{
    loop_t loop = {.self = self, .out = r};
    double largest = 0.0;

    rtl_parallel_loop(residual_piece, &loop, self->chain->n, 1, self->team);
    for (size_t k = 0; k < RTL_PARALLEL_PIECES; k++) {
        if (!(loop.largest[k] <= largest) && !isnan(largest)) {
            largest = loop.largest[k];
        }
    }
    return largest;
}

static double
row_times(const rtl_balance_t *self, const double *x, size_t i)
{
    const rtl_generator_t *chain = self->chain;
    double sum = -x[i];

    for (size_t e = chain->start[i]; e < chain->start[i + 1]; e++) {
        sum += self->value[e] * x[chain->source[e]];
    }
    return sum;
}

static void
apply_piece(void *data, size_t piece, size_t first, size_t last)
{
    const loop_t *loop = data;

    (void) piece;
    for (size_t i = first; i < last; i++) {
        loop->out[i] = row_times(loop->self, loop->in, i);
    }
}

void
rtl_balance_apply(const rtl_balance_t *self, const double *x, double *out)
{
    loop_t loop = {.self = self, .in = x, .out = out};

    rtl_parallel_loop(apply_piece, &loop, self->chain->n, 1, self->team);
}

static void
reduce_piece(void *data, size_t piece, size_t first, size_t last)
{
    const loop_t *loop = data;

    (void) piece;
    for (size_t i = first; i < last; i++) {
        loop->out[i] -= row_times(loop->self, loop->in, i);
    }
}

void
rtl_balance_reduce(const rtl_balance_t *self, const double *x, double *b)
{
    loop_t loop = {.self = self, .in = x, .out = b};

    rtl_parallel_loop(reduce_piece, &loop, self->chain->n, 1, self->team);
}

/* --- sweeps ------------------------------------------------------------------------
 */

typedef struct sweep {
    const rtl_balance_t *self;
    const double *b;
    double *x, *r;
    size_t parity;
    bool back;
    void (*strip)(const struct sweep *sweep, size_t strip); /* what is done to one */
} sweep_t;

/* What later states of the strip contribute to row i, with the sign of b - A x. */
static double
later_part(const sweep_t *sweep, size_t i, size_t end)
{
    const rtl_generator_t *chain = sweep->self->chain;
    const double *value = sweep->self->value, *x = sweep->x;
    double sum = 0.0;

    for (size_t e = chain->start[i]; e < chain->start[i + 1]; e++) {
        size_t j = (size_t) chain->source[e];
        if (j - i < end - i) {
            sum -= value[e] * x[j];
        }
    }
    return sum;
}

/* Before state i is relaxed, row i is satisfied with later states at 0; what those add
 * afterwards is the residual. It is formed `reach` rows behind the sweep, while the
 * row's entries are still in the cache. */
static void
forward_strip(const sweep_t *sweep, size_t strip)
{
    const rtl_balance_t *self = sweep->self;
    const rtl_generator_t *chain = self->chain;
    const double *value = self->value;
    double *x = sweep->x, *r = sweep->r;
    size_t begin = (2 * strip + sweep->parity) * self->strip;
    size_t end = end_of_strip(self, begin), reach = self->reach;

    for (size_t i = begin; i < end; i++) {
        /* even strips know only themselves, odd ones also their neighbours */
        size_t base = sweep->parity == 0 ? begin : end;
        size_t size = i - base; /* wraps around */
        double sum = -sweep->b[i];
        for (size_t e = chain->start[i]; e < chain->start[i + 1]; e++) {
            size_t j = (size_t) chain->source[e];
            if (j - base < size) {
                sum += value[e] * x[j];
            }
        }
        x[i] = sum;
        if (i - begin >= reach) {
            r[i - reach] = later_part(sweep, i - reach, end);
        }
    }
    for (size_t i = end - begin > reach ? end - reach : begin; i < end; i++) {
        r[i] = later_part(sweep, i, end);
    }
}

/* What odd strips contribute to rows first .. last - 1 of an even one. */
static void
add_neighbours(
    const sweep_t *sweep, size_t first, size_t last, size_t begin, size_t end)
{
    const rtl_generator_t *chain = sweep->self->chain;

    for (size_t i = first; i < last; i++) {
        for (size_t e = chain->start[i]; e < chain->start[i + 1]; e++) {
            size_t j = (size_t) chain->source[e];
            sweep->r[i] -=
                j - begin >= end - begin ? sweep->self->value[e] * sweep->x[j] : 0.0;
        }
    }
}

static void
finish_strip(const sweep_t *sweep, size_t strip)
{
    const rtl_balance_t *self = sweep->self;
    size_t begin = 2 * strip * self->strip, end = end_of_strip(self, begin);
    size_t low = begin + self->from_low;
    size_t high = end - begin > self->to_high ? end - self->to_high : begin;

    low = low < end ? low : end;
    add_neighbours(sweep, begin, low, begin, end);
    add_neighbours(sweep, high > low ? high : low, end, begin, end);
}

static void
backward_strip(const sweep_t *sweep, size_t strip)
{
    const rtl_generator_t *chain = sweep->self->chain;
    const double *value = sweep->self->value;
    double *x = sweep->x;
    size_t begin = (2 * strip + sweep->parity) * sweep->self->strip;

    for (size_t i = end_of_strip(sweep->self, begin); i-- > begin;) {
        double sum = -sweep->b[i];
        for (size_t e = chain->start[i]; e < chain->start[i + 1]; e++) {
            sum += value[e] * x[chain->source[e]];
        }
        x[i] = sum;
    }
}

/* x_i = (sum over the others), there or back. */
static void
relax_strip(const sweep_t *sweep, size_t strip)
{
    const rtl_generator_t *chain = sweep->self->chain;
    const double *value = sweep->self->value;
    double *x = sweep->x;
    size_t begin = (2 * strip + sweep->parity) * sweep->self->strip;
    size_t end = end_of_strip(sweep->self, begin);

    for (size_t k = begin; k < end; k++) {
        size_t i = sweep->back ? end - 1 - (k - begin) : k;
        double sum = 0.0;
        for (size_t e = chain->start[i]; e < chain->start[i + 1]; e++) {
            sum += value[e] * x[chain->source[e]];
        }
        x[i] = sum;
    }
}

static void
strips_piece(void *data, size_t piece, size_t first, size_t last)
{
    const sweep_t *sweep = data;

    (void) piece;
    for (size_t strip = first; strip < last; strip++) {
        sweep->strip(sweep, strip);
    }
}

/* Even or odd strips, one after another or side by side. */
static void
run_strips(void (*strip)(const sweep_t *, size_t), sweep_t *sweep, size_t parity)
{
    const rtl_balance_t *self = sweep->self;
    size_t n_strips = (self->chain->n + self->strip - 1) / self->strip;

    sweep->parity = parity;
    sweep->strip = strip;
    rtl_parallel_loop(
        strips_piece, sweep, (n_strips + 1 - parity) / 2, self->strip, self->team);
}

void
rtl_balance_forward(const rtl_balance_t *self, const double *b, double *x, double *r)
{
    sweep_t sweep = {.self = self, .b = b, .x = x, .r = r};

    run_strips(forward_strip, &sweep, 0);
    run_strips(forward_strip, &sweep, 1);
    run_strips(finish_strip, &sweep, 0);
}

void
rtl_balance_backward(const rtl_balance_t *self, const double *b, double *x)
{
    sweep_t sweep = {.self = self, .b = b, .x = x};

    run_strips(backward_strip, &sweep, 1);
    run_strips(backward_strip, &sweep, 0);
}

void
rtl_balance_relax(const rtl_balance_t *self, double *x)
{
    sweep_t sweep = {.self = self, .x = x};

    run_strips(relax_strip, &sweep, 0);
    run_strips(relax_strip, &sweep, 1);
    sweep.back = true;
    run_strips(relax_strip, &sweep, 1);
    run_strips(relax_strip, &sweep, 0);
}
