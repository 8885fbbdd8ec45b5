/* SPDX-License-Identifier: MIT */
/* dp/dt = W p through CVODE: BDF, GMRES, and a multigrid cycle for 1 - gamma W.
 *
 * The preconditioner's levels are chains of aggregates, W_IJ = sum w(j -> i) s_j, with
 * the shares s of an approximate steady state. */
#ifndef RTL_EVOLVE_H
#define RTL_EVOLVE_H

#include <sundials/sundials_linearsolver.h>

#include "generator.h"
#include "monitor.h"
#include "sun.h"

enum { RTL_EVOLVE_LEVELS = 32 };

typedef struct {
    const rtl_generator_t *chain; /* finest: borrowed; else points to own */
    rtl_generator_t own;
    int32_t *aggregate; /* (n,) state of the next level; owned, NULL on the last */
    double *share;      /* (n,) its share of it; owned */
    double *work;       /* (2, n): right side, solution; owned, NULL on the finest */
} rtl_evolve_level_t;

/* Numbers about a run, up to now. */
typedef struct {
    long steps, evaluations, krylov_iterations, products;
    double mass_error; /* largest |sum p - 1| met before p was scaled back */
    double smallest;   /* smallest p met at an output */
} rtl_evolve_info_t;

typedef struct {
    const rtl_generator_t *chain; /* borrowed */
    rtl_monitor_t *monitor;       /* borrowed; NULL for none */
    size_t n_levels;
    rtl_evolve_level_t level[RTL_EVOLVE_LEVELS];
    double *residual; /* (n,) owned */
    rtl_sun_t sun;
    void *cvode;
    SUNLinearSolver krylov;
    N_Vector p;
    double gamma;      /* of the preconditioner */
    double start, end; /* of the running call, for progress */
    int status;        /* why a callback stopped CVODE */
    rtl_evolve_info_t info;
} rtl_evolve_t;

/* From p (n,), at time t. */
int rtl_evolve_init(rtl_evolve_t *self, const rtl_generator_t *chain, double t,
    const double *p, double rtol, double atol) RTL_MUST_CHECK;
void rtl_evolve_free(rtl_evolve_t *self);

/* On to a later time; p (n,) receives the probabilities. Chains that lose nothing keep
 * their mass: p is scaled to it at each output. RTL_NOT_CONVERGED where CVODE gives up;
 * its words are in self->sun.message. */
int rtl_evolve_run(rtl_evolve_t *self, double t, rtl_monitor_t *monitor, double *p)
    RTL_MUST_CHECK;

#endif
