/* SPDX-License-Identifier: MIT */
/* Which method for which chain, and the check that every answer passes. */
#include "steady.h"

#include <math.h>
#include <string.h>

#include "direct.h"
#include "direct_sparse.h"
#include "elementary_rows.h"
#include "memory.h"
#include "mixing.h"
#include "parallel.h"
#include "steady_newton.h"
#include "steady_room.h"
#include "steady_step.h"

enum {
    AT_ONCE_LARGEST = 1000, /* elimination without trying anything else */
    DENSE_LARGEST = 2000,
    QUICK_LARGEST = 12000, /* elimination of a plane grid is little work */
    HASTE = 6,
    POLISHING_STEPS = 3
};

/* Links of a state at which the links hardly close to loops, as in trees and strips. */
static const double few_links = 3.6;

/* Products of rates in an elimination: hundredths of a second; half a second, or for
 * each state as long as iterations take; a minute; many. And bytes. */
static const double little_work = 2.5e7, some_work = 2e9, work_each = 1e5,
                    much_work = 2e11, all_work = 2e12;
static const double some_bytes = 1e8, bytes_each = 1e3, most_bytes = 4e9;

rtl_steady_options_t
rtl_steady_defaults(void)
{
    return (rtl_steady_options_t) {
        .rtol = 1e-10, .max_steps = 300, .team = {.n_threads = 1}};
}

void
rtl_steady_add_work(rtl_steady_info_t *sum, const rtl_steady_info_t *part)
{
    sum->warm_steps += part->warm_steps;
    sum->newton_steps += part->newton_steps;
    sum->krylov_iterations += part->krylov_iterations;
    sum->products += part->products;
}

typedef struct {
    const rtl_generator_t *chain;
    const double *y;
    double escape_rate;
    double largest[RTL_PARALLEL_PIECES];
    size_t worst[RTL_PARALLEL_PIECES];
} residual_t;

enum { BLOCK = 512 };

/* e^(y_j - y_i) of the n entries from `first` on, where row i begins or goes on; i
 * becomes that of the last. */
static void
ratios(const rtl_generator_t *chain, const double *y, size_t first, size_t n, size_t *i,
    double *out)
{
    for (size_t k = 0; k < n; k++) {
        while (first + k >= chain->start[*i + 1]) {
            ++*i;
        }
        out[k] = y[chain->source[first + k]] - y[*i];
    }
    rtl_elementary_rows_exp(out, n, out);
}

static void
residual_piece(void *data, size_t piece, size_t first, size_t last)
{
    residual_t *self = data;
    const rtl_generator_t *chain = self->chain;
    double largest = -1.0, ratio[BLOCK];
    size_t begin = chain->start[first], end = begin, row = first;

    for (size_t i = first; i < last; i++) {
        double sum = self->escape_rate;
        for (size_t e = chain->start[i]; e < chain->start[i + 1]; e++) {
            if (e == end) {
                size_t rest = chain->start[last] - e, n = rest < BLOCK ? rest : BLOCK;
                ratios(chain, self->y, e, n, &row, ratio);
                begin = e;
                end = e + n;
            }
            sum += chain->rate[e] * ratio[e - begin];
        }
        double q = chain->exit_rate[i]; /* 0 for a state alone */
        double r = sum == q ? 0.0 : fabs(sum / q - 1.0);
        if (!(r <= largest)) {
            largest = r;
            self->worst[piece] = i;
        }
        if (isnan(r)) { /* nothing is worse */
            break;
        }
    }
    self->largest[piece] = largest;
}

double
rtl_steady_residual(const rtl_generator_t *chain, const double *y, double escape_rate,
    rtl_team_t team, size_t *worst)
{
    residual_t self = {.chain = chain, .y = y, .escape_rate = escape_rate};
    double largest = 0.0;

    *worst = 0;
    rtl_parallel_loop(residual_piece, &self, chain->n, 1, team);
    for (size_t k = 0; k < RTL_PARALLEL_PIECES && !isnan(largest); k++) {
        if (!(self.largest[k] <= largest)) {
            largest = self.largest[k];
            *worst = self.worst[k];
        }
    }
    return largest;
}

/* The answer's own check, from scratch. */
static int
verify(const rtl_generator_t *chain, const rtl_steady_options_t *options,
    const double *y, rtl_steady_info_t *info)
{
    info->residual = rtl_steady_residual(chain, y, 0.0, options->team, &info->worst);
    return info->residual <= options->rtol ? 0 : RTL_NOT_CONVERGED;
}

/* Of a chain that is no grid the same to a hundredth of the residual, if that succeeds:
 * where rates are very unequal, entries are off by as much as a hundred residuals. */
static int
polish(const rtl_generator_t *chain, const rtl_steady_options_t *options, double *y,
    rtl_steady_info_t *info)
{
    rtl_steady_options_t finer = *options;
    rtl_steady_info_t own = {.method = info->method};
    double *better = rtl_memory_alloc(chain->n, sizeof *better);

    if (better == NULL) {
        return RTL_NO_MEMORY;
    }
    memcpy(better, y, chain->n * sizeof *y);
    finer.rtol = fmax(0.01 * options->rtol, 1e-13);
    finer.max_steps = POLISHING_STEPS;
    int status = rtl_steady_newton(chain, NULL, &finer, true, better, &own);
    if (status == 0 || status == RTL_NOT_CONVERGED) {
        status = 0;
        if (verify(chain, &finer, better, &own) == 0) {
            memcpy(y, better, chain->n * sizeof *y);
            info->residual = own.residual;
            info->worst = own.worst;
        }
    }
    rtl_steady_add_work(info, &own);
    rtl_memory_free(better);
    return status;
}

static int
iterate(const rtl_generator_t *chain, rtl_geometric_t *geometric,
    const rtl_steady_options_t *options, bool has_guess, double *y,
    rtl_steady_info_t *info)
{
    info->method = RTL_STEADY_KRYLOV;
    info->why = "iterations";
    int status = rtl_steady_newton(chain, geometric, options, has_guess, y, info);
    if (status == 0) {
        status = verify(chain, options, y, info);
    }
    return status == 0 && geometric == NULL ? polish(chain, options, y, info) : status;
}

static int
solve_ring(const rtl_generator_t *chain, rtl_direct_shape_t shape,
    const rtl_steady_options_t *options, double *y, rtl_steady_info_t *info)
{
    if (shape == RTL_DIRECT_OTHER) {
        return RTL_BAD_ARGUMENT;
    }
    info->why = "a line or a ring: sums over spanning trees";
    info->bytes = chain->n * sizeof(double);
    int status = rtl_direct_ring(chain, shape, options->team.monitor, y);
    return status == 0 ? verify(chain, options, y, info) : status;
}

/* Sparse elimination, if that is at most `work`; else, and where rates underflow,
 * RTL_NOT_CONVERGED, and y is as it was. */
static int
eliminate(const rtl_generator_t *chain, double work, double bytes,
    const rtl_steady_options_t *options, double *y, rtl_steady_info_t *info)
{
    size_t n = chain->n;
    double *p = rtl_memory_alloc(n, sizeof *p);
    rtl_steady_info_t own = {
        .method = RTL_STEADY_DIRECT, .why = "elimination fills in little"};
    int status = p == NULL ? RTL_NO_MEMORY
                           : rtl_direct_sparse(chain, work, bytes,
                                 options->team.monitor, p, &own.bytes);

    if (status == 0) {
        status = verify(chain, options, p, &own);
    }
    if (status == 0) {
        memcpy(y, p, n * sizeof *y);
        rtl_steady_add_work(&own, info); /* what was tried before */
        *info = own;
    }
    rtl_memory_free(p);
    return status;
}

/* Which states are probable, for the order of an elimination. */
static int
sweep(const rtl_generator_t *chain, const rtl_steady_options_t *options, bool has_guess,
    double *y)
{
    int status = 0;

    if (!has_guess) {
        memset(y, 0, chain->n * sizeof *y);
    }
    for (int k = 0; status == 0 && k < 4; k++) {
        status = rtl_generator_sweep(chain, options->team.monitor, y);
    }
    return status;
}

/* Elimination of all states with each other. */
static int
eliminate_dense(const rtl_generator_t *chain, const rtl_steady_options_t *options,
    bool has_guess, double *y, rtl_steady_info_t *info)
{
    info->method = RTL_STEADY_DIRECT;
    info->why = "a small chain: dense elimination";
    info->bytes = chain->n * chain->n * sizeof(double);
    int status = sweep(chain, options, has_guess, y);
    if (status == 0) {
        status = rtl_direct_dense(chain, options->team.monitor, y);
    }
    return status == 0 ? verify(chain, options, y, info) : status;
}

/* Elimination of states with few neighbours first, or of all with each other where that
 * is as quick, or where rates underflow that do not in the order of probabilities. */
static int
solve_direct(const rtl_generator_t *chain, const rtl_steady_options_t *options,
    bool has_guess, double *y, rtl_steady_info_t *info)
{
    double n = (double) chain->n;
    bool dense = chain->n <= DENSE_LARGEST;
    int status = eliminate(
        chain, dense ? 0.1 * n * n * n : all_work, most_bytes, options, y, info);

    if (dense && (status == RTL_TOO_LARGE || status == RTL_NOT_CONVERGED)) {
        status = eliminate_dense(chain, options, has_guess, y, info);
    }
    return status == RTL_TOO_LARGE ? RTL_FILLS_IN : status;
}

/* Sweeps alone, where a few are enough; else RTL_NOT_CONVERGED. */
static int
mix(const rtl_generator_t *chain, const rtl_steady_options_t *options, double *y,
    rtl_steady_info_t *info)
{
    long rounds = 0;
    int status =
        rtl_mixing_solve(chain, options->rtol, options->team.monitor, y, &rounds);

    info->products += 4 * rounds; /* two vectors, there and back */
    if (status != 0) {
        return status;
    }
    info->method = RTL_STEADY_SWEEPS;
    info->why = "the chain mixes fast: Gauss-Seidel sweeps";
    info->bytes = 2 * chain->n * sizeof(double);
    rtl_direct_normalise(chain->n, y);
    return verify(chain, options, y, info);
}

static bool
undecided(int status)
{
    return status == RTL_NOT_CONVERGED || status == RTL_TOO_LARGE;
}

/* What is cheap compared with iterations: elimination of few states or links, sweeps,
 * elimination of more. */
static int
solve_quickly(const rtl_generator_t *chain, bool any_start,
    const rtl_steady_options_t *options, double *y, rtl_steady_info_t *info)
{
    double n = (double) chain->n;
    double work = fmax(some_work, work_each * n), bytes = some_bytes + bytes_each * n;
    bool few = (double) chain->n_entries <= few_links * n;
    int status = RTL_TOO_LARGE;

    if (few || chain->n <= QUICK_LARGEST) {
        status = eliminate(chain, few ? work : little_work, bytes, options, y, info);
    }
    if (undecided(status) && any_start) {
        status = mix(chain, options, y, info);
        if (undecided(status) && !few) {
            status = eliminate(chain, work, bytes, options, y, info);
        }
    }
    return status;
}

/* Small chains directly, others by iterations. If a part of the steps is not enough,
 * directly where that is possible, and on with the iterations where not. */
static int
solve_any(const rtl_generator_t *chain, rtl_geometric_t *geometric,
    const rtl_steady_options_t *options, bool has_guess, double *y,
    rtl_steady_info_t *info)
{
    rtl_steady_options_t hasty = *options;
    rtl_steady_info_t tried;
    bool small = chain->n <= AT_ONCE_LARGEST;
    int status =
        small ? solve_direct(chain, options, has_guess, y, info)
              : solve_quickly(chain, !has_guess && geometric == NULL, options, y, info);

    if (!undecided(status)) {
        return status;
    }
    /* of a small chain rates underflowed: p spans more than e^700 */
    has_guess = small ? rtl_steady_step_finite(chain->n, y) : has_guess;
    hasty.max_steps = (hasty.max_steps + HASTE - 1) / HASTE;
    status = iterate(chain, geometric, &hasty, has_guess, y, info);
    if (status == RTL_NOT_CONVERGED) {
        status = eliminate(chain, much_work, most_bytes, options, y, info);
    }
    if (undecided(status)) {
        tried = *info;
        memset(info, 0, sizeof *info);
        status = iterate(
            chain, geometric, options, rtl_steady_step_finite(chain->n, y), y, info);
        rtl_steady_add_work(info, &tried);
    }
    return status;
}

int
rtl_steady_solve(const rtl_generator_t *chain, rtl_geometric_t *geometric,
    const rtl_steady_options_t *options, bool has_guess, double *y,
    rtl_steady_info_t *info)
{
    int status;
    rtl_steady_room_t room = {0};
    rtl_steady_options_t own = *options;

    own.room = options->room != NULL ? options->room : &room;
    memset(info, 0, sizeof *info);
    info->method = options->method;
    info->why = "";
    if (chain->n == 1) {
        info->method = RTL_STEADY_CLOSED_FORM;
        info->why = "a single state";
        y[0] = 0.0;
        return 0;
    }
    rtl_direct_shape_t shape = rtl_direct_shape(chain);
    if (options->method == RTL_STEADY_AUTO && shape != RTL_DIRECT_OTHER) {
        info->method = RTL_STEADY_CLOSED_FORM;
    }
    switch (info->method) {
    case RTL_STEADY_CLOSED_FORM:
        status = solve_ring(chain, shape, &own, y, info);
        break;
    case RTL_STEADY_DIRECT:
        status = solve_direct(chain, &own, has_guess, y, info);
        break;
    case RTL_STEADY_KRYLOV:
        status = iterate(chain, geometric, &own, has_guess, y, info);
        break;
    default:
        status = solve_any(chain, geometric, &own, has_guess, y, info);
    }
    rtl_steady_room_free(&room);
    return rtl_monitor_heed(options->team.monitor, status);
}
