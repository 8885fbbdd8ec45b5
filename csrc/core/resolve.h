/* SPDX-License-Identifier: MIT */
/* Solutions of (1 - gamma W) x = b for one gamma: flexible GMRES with the cycle of
 * resolvent.h. Chains that lose nothing keep mass, sum x = sum b, so that for sum b = 0
 * gamma may be so large that it is W x = -b / gamma that is solved. */
#ifndef RTL_RESOLVE_H
#define RTL_RESOLVE_H

#include <sundials/sundials_linearsolver.h>

#include "resolvent.h"
#include "sun.h"

typedef struct {
    const rtl_generator_t *chain; /* borrowed */
    rtl_monitor_t *monitor;       /* borrowed, of the running call; NULL for none */
    rtl_resolvent_t resolvent;
    double *law; /* (n,) roughly p of the steady state, at most 1; owned */
    rtl_sun_t sun;
    SUNLinearSolver krylov;
    N_Vector x, b;
    long products;   /* with the generator, cycles not counted, of all calls */
    double residual; /* largest |b - (1 - gamma W) x| / |b| of all calls */
    int status;      /* why a callback stopped SUNDIALS */
} rtl_resolve_t;

/* `guess` (n,) is log p of the steady state, roughly, or NULL. */
int rtl_resolve_init(rtl_resolve_t *self, const rtl_generator_t *chain, double gamma,
    const double *guess, rtl_monitor_t *monitor) RTL_MUST_CHECK;
void rtl_resolve_free(rtl_resolve_t *self);

/* x (n,) of b (n,), to |b - (1 - gamma W) x| <= rtol |b| if rounding allows:
 * self->residual tells. */
int rtl_resolve_run(rtl_resolve_t *self, const double *b, double rtol,
    rtl_monitor_t *monitor, double *x) RTL_MUST_CHECK;

#endif
