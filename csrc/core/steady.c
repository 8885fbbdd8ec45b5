/* SPDX-License-Identifier: MIT */
/* Which method for which chain, and the check that every answer passes. */
#include "steady.h"

#include <math.h>
#include <string.h>

#include "direct.h"
#include "parallel.h"
#include "steady_newton.h"

enum { DIRECT_LARGEST = 1000 };

rtl_steady_options_t
rtl_steady_defaults(void)
{
    return (rtl_steady_options_t) {.rtol = 1e-10, .max_steps = 300, .n_threads = 1};
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
    double largest[RTL_PARALLEL_PIECES];
    size_t worst[RTL_PARALLEL_PIECES];
} residual_t;

static void
residual_piece(void *data, size_t piece, size_t first, size_t last)
{
    residual_t *self = data;
    const rtl_generator_t *chain = self->chain;
    const double *y = self->y;
    double largest = -1.0;

    for (size_t i = first; i < last; i++) {
        double sum = 0.0;
        for (size_t e = chain->start[i]; e < chain->start[i + 1]; e++) {
            sum += chain->rate[e] * exp(y[chain->source[e]] - y[i]);
        }
        double r = fabs(sum / chain->exit_rate[i] - 1.0);
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
rtl_steady_residual(
    const rtl_generator_t *chain, const double *y, size_t n_threads, size_t *worst)
{
    residual_t self = {.chain = chain, .y = y};
    double largest = 0.0;

    *worst = 0;
    rtl_parallel_loop(residual_piece, &self, chain->n, 1, n_threads);
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
    info->residual = rtl_steady_residual(chain, y, options->n_threads, &info->worst);
    return info->residual <= options->rtol ? 0 : RTL_NOT_CONVERGED;
}

static int
iterate(const rtl_generator_t *chain, rtl_geometric_t *geometric,
    const rtl_steady_options_t *options, bool has_guess, double *y,
    rtl_steady_info_t *info)
{
    info->method = RTL_STEADY_KRYLOV;
    int status = rtl_steady_newton(chain, geometric, options, has_guess, y, info);
    return status == 0 ? verify(chain, options, y, info) : status;
}

int
rtl_steady_solve(const rtl_generator_t *chain, rtl_geometric_t *geometric,
    const rtl_steady_options_t *options, bool has_guess, double *y,
    rtl_steady_info_t *info)
{
    int status = 0;

    memset(info, 0, sizeof *info);
    info->method = options->method;
    if (chain->n == 1) {
        info->method = RTL_STEADY_CLOSED_FORM;
        y[0] = 0.0;
        return 0;
    }
    if (options->method == RTL_STEADY_AUTO) {
        info->method = rtl_direct_is_ring(chain)    ? RTL_STEADY_CLOSED_FORM
                       : chain->n <= DIRECT_LARGEST ? RTL_STEADY_DIRECT
                                                    : RTL_STEADY_KRYLOV;
    }
    switch (info->method) {
    case RTL_STEADY_CLOSED_FORM:
        status =
            rtl_direct_is_ring(chain) ? rtl_direct_ring(chain, y) : RTL_BAD_ARGUMENT;
        info->bytes = chain->n * sizeof(double);
        break;
    case RTL_STEADY_DIRECT:
        if (!has_guess) {
            memset(y, 0, chain->n * sizeof *y);
        }
        for (int sweep = 0; status == 0 && sweep < 4; sweep++) { /* for the order */
            rtl_generator_sweep(chain, y);
            status = rtl_monitor_poll(options->monitor, 0.0);
        }
        if (status == 0) {
            status = rtl_direct_dense(chain, options->monitor, y);
        }
        info->bytes = chain->n * chain->n * sizeof(double);
        break;
    default:
        return iterate(chain, geometric, options, has_guess, y, info);
    }
    if (status != 0) {
        return status;
    }
    status = verify(chain, options, y, info);
    if (status == RTL_NOT_CONVERGED && options->method == RTL_STEADY_AUTO) {
        /* rates of the eliminated chain underflowed: p spans more than e^700 */
        status = iterate(chain, geometric, options, isfinite(info->residual), y, info);
    }
    return status;
}
