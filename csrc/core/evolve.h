/* SPDX-License-Identifier: MIT */
/* dp/dt = W p through CVODE: BDF, flexible GMRES, and a multigrid cycle for
 * 1 - gamma W (resolvent.h). */
#ifndef RTL_EVOLVE_H
#define RTL_EVOLVE_H

#include <sundials/sundials_linearsolver.h>

#include "generator.h"
#include "monitor.h"
#include "resolvent.h"
#include "sun.h"

/* Numbers about a run, up to now. */
typedef struct {
    long steps, evaluations, krylov_iterations, products;
    double mass_error; /* largest |sum p - 1| met before p was scaled back */
    double smallest;   /* smallest p met at an output */
    double defect; /* largest of h |p' - W p| at an output, in units of the tolerances
                    * and of rounding; h is the last step, p' that of CVODE's polynomial
                    */
} rtl_evolve_info_t;

typedef struct {
    const rtl_generator_t *chain; /* borrowed */
    rtl_monitor_t *monitor;       /* borrowed; NULL for none */
    rtl_resolvent_t resolvent;
    rtl_sun_t sun;
    void *cvode;
    SUNLinearSolver krylov;
    N_Vector p, slope;
    double rtol, atol;
    double start, end; /* of the running call, for progress */
    int status;        /* why a callback stopped CVODE */
    rtl_evolve_info_t info;
} rtl_evolve_t;

/* From p (n,), at time t. `guess` (n,) is log p of the steady state, roughly; NULL if
 * there is none. */
int rtl_evolve_init(rtl_evolve_t *self, const rtl_generator_t *chain, double t,
    const double *p, const double *guess, double rtol, double atol,
    rtl_monitor_t *monitor) RTL_MUST_CHECK;
void rtl_evolve_free(rtl_evolve_t *self);

/* On to a later time; p (n,) receives the probabilities. Chains that lose nothing keep
 * their mass: p is scaled to it at each output. RTL_NOT_CONVERGED where CVODE gives up;
 * its words are in self->sun.message; RTL_BAD_ARGUMENT for a time that is not finite.
 */
int rtl_evolve_run(rtl_evolve_t *self, double t, rtl_monitor_t *monitor, double *p)
    RTL_MUST_CHECK;

#endif
