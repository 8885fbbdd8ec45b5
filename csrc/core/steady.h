/* SPDX-License-Identifier: MIT */
/* The steady state W p = 0 of a chain, as y = log p.
 *
 *     r_i(y) = sum_j w(j -> i) e^{y_j - y_i} - q_i = 0
 *
 * is the balance of state i divided by its probability: solved by Newton-Krylov until
 * |r_i| / q_i is small in every state, tails included. */
#ifndef RTL_STEADY_H
#define RTL_STEADY_H

#include <stdbool.h>

#include "generator.h"
#include "geometric.h"
#include "sun.h"

typedef enum {
    RTL_STEADY_AUTO,
    RTL_STEADY_KRYLOV,
    RTL_STEADY_DIRECT,
    RTL_STEADY_CLOSED_FORM,
    RTL_STEADY_SWEEPS /* what AUTO found best, not to be asked for */
} rtl_steady_method_t;

typedef struct {
    double rtol;                /* bound on max |r_i| / q_i */
    rtl_steady_method_t method; /* AUTO: closed form for rings, direct where cheap,
                                 * sweeps where the chain mixes fast, else iterations,
                                 * and direct where those fail */
    int max_steps;   /* steps in p, and at most 20 Newton steps, to give up */
    rtl_team_t team; /* the answer does not depend on it */
    struct rtl_steady_room *room; /* to be shared by solves one after another, see
                                   * steady_room.h; NULL for one of its own; borrowed */
} rtl_steady_options_t;

enum { RTL_STEADY_HISTORY = 64 }; /* residuals kept; later ones are dropped */

/* All numbers about a run. */
typedef struct {
    rtl_steady_method_t method;         /* what ran */
    const char *why;                    /* static text */
    double residual;                    /* max |r_i| / q_i, recomputed at the end */
    size_t worst;                       /* the state where it is reached */
    double history[RTL_STEADY_HISTORY]; /* it, after each outer step of this chain */
    size_t n_history;
    long warm_steps;               /* outer steps in p */
    long newton_steps;             /* KINSOL's steps in log p */
    long krylov_iterations;        /* FGMRES iterations, all steps */
    long products;                 /* products with the generator, cycles not counted */
    size_t levels;                 /* of the aggregation hierarchy */
    size_t bytes;                  /* of the solver's own memory, without the chain */
    char message[RTL_SUN_MESSAGE]; /* SUNDIALS' last words, "" if none */
} rtl_steady_info_t;

/* The options everybody starts from: rtol 1e-10, AUTO, 300 steps, one
 * thread. */
rtl_steady_options_t rtl_steady_defaults(void);

/* log p of a chain that is irreducible. RTL_FILLS_IN: direct, but elimination would
 * take too long or more than 4 GB. `geometric` is multigrid whose finest level
 * this chain is, or NULL for aggregates alone. y (n,) holds a first guess if
 * `has_guess`, and the best iterate when RTL_NOT_CONVERGED is returned. */
int rtl_steady_solve(const rtl_generator_t *chain, rtl_geometric_t *geometric,
    const rtl_steady_options_t *options, bool has_guess, double *y,
    rtl_steady_info_t *info) RTL_MUST_CHECK;

/* Add the counts of steps, iterations and products. */
void rtl_steady_add_work(rtl_steady_info_t *sum, const rtl_steady_info_t *part);

/* max |(W p + escape_rate p)_i| / (q_i p_i) and where; NaN if there is one. */
double rtl_steady_residual(const rtl_generator_t *chain, const double *y,
    double escape_rate, rtl_team_t team, size_t *worst);

#endif
