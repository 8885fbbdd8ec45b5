/* SPDX-License-Identifier: MIT */
/* Saad 1993, SIAM J. Sci. Comput. 14, 461 (flexible GMRES). */
#include "resolve.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>
#include <sunlinsol/sunlinsol_spfgmr.h>

#include "memory.h"
#include "vector.h"

enum { KRYLOV_VECTORS = 20, KRYLOV_RESTARTS = 10 };

/* out = (1 - gamma W) x */
static int
times(void *data, N_Vector v, N_Vector out)
{
    rtl_resolve_t *self = data;
    const double *x = N_VGetArrayPointer(v);
    double *y = N_VGetArrayPointer(out);

    self->products++;
    rtl_generator_apply(self->chain, x, y);
    for (size_t i = 0; i < self->chain->n; i++) {
        y[i] = x[i] - self->resolvent.gamma * y[i];
    }
    self->status = rtl_monitor_poll(self->monitor, 0.0);
    return self->status;
}

static int
precondition(void *data, N_Vector r, N_Vector z, sunrealtype tolerance, int side)
{
    rtl_resolve_t *self = data;
    const double *rhs = N_VGetArrayPointer(r);
    double *x = N_VGetArrayPointer(z);

    (void) tolerance;
    (void) side;
    self->status = rtl_resolvent_cycle(&self->resolvent, rhs, x);
    rtl_resolvent_keep_mass(&self->resolvent, self->law, rhs, x);
    return self->status;
}

static int
krylov_init(rtl_resolve_t *self)
{
    self->krylov =
        SUNLinSol_SPFGMR(self->x, SUN_PREC_RIGHT, KRYLOV_VECTORS, self->sun.context);
    if (self->krylov == NULL) {
        return RTL_NO_MEMORY;
    }
    bool good =
        rtl_sun_has_room() &&
        SUNLinSol_SPFGMRSetMaxRestarts(self->krylov, KRYLOV_RESTARTS) == 0 &&
        SUNLinSolSetATimes(self->krylov, self, times) == 0 &&
        SUNLinSolSetPreconditioner(self->krylov, self, NULL, precondition) == 0 &&
        SUNLinSolSetScalingVectors(self->krylov, NULL, NULL) == 0 &&
        SUNLinSolInitialize(self->krylov) == 0;
    return good && !self->sun.no_memory ? 0 : RTL_NO_MEMORY; /* nothing else can fail */
}

int
rtl_resolve_init(rtl_resolve_t *self, const rtl_generator_t *chain, double gamma,
    const double *guess, rtl_monitor_t *monitor)
{
    memset(self, 0, sizeof *self);
    self->chain = chain;
    int status = rtl_resolvent_init(&self->resolvent, chain, guess, monitor);
    if (status == 0) {
        status = rtl_resolvent_set(&self->resolvent, gamma);
    }
    if (status == 0) {
        status = rtl_sun_init(&self->sun);
    }
    if (status == 0) {
        self->law = rtl_memory_alloc(chain->n, sizeof(double));
        self->x = rtl_vector_new(&self->sun, chain->n, (rtl_team_t) {.n_threads = 1});
        self->b = rtl_vector_new(&self->sun, chain->n, (rtl_team_t) {.n_threads = 1});
        bool all = self->law != NULL && self->x != NULL && self->b != NULL;
        status = all ? krylov_init(self) : RTL_NO_MEMORY;
    }
    if (status != 0) {
        rtl_resolve_free(self);
        return status;
    }
    double top = -INFINITY;
    for (size_t i = 0; guess != NULL && i < chain->n; i++) {
        top = fmax(top, guess[i]);
    }
    for (size_t i = 0; i < chain->n; i++) {
        self->law[i] = guess != NULL ? exp(guess[i] - top) : 1.0;
    }
    self->resolvent.monitor = NULL; /* each run has its own */
    return 0;
}

void
rtl_resolve_free(rtl_resolve_t *self)
{
    if (self->krylov != NULL) {
        SUNLinSolFree(self->krylov);
    }
    if (self->x != NULL) {
        N_VDestroy(self->x);
    }
    if (self->b != NULL) {
        N_VDestroy(self->b);
    }
    rtl_sun_free(&self->sun);
    rtl_resolvent_free(&self->resolvent);
    rtl_memory_free(self->law);
    memset(self, 0, sizeof *self);
}

/* |b - (1 - gamma W) x| / norm, whatever GMRES says; infinite if it is not a number. */
static double
residual(rtl_resolve_t *self, const double *b, double norm, double *work)
{
    const double *x = N_VGetArrayPointer(self->x);
    double sum = 0.0;

    self->products++;
    rtl_generator_apply(self->chain, x, work);
    for (size_t i = 0; i < self->chain->n; i++) {
        double r = b[i] - x[i] + self->resolvent.gamma * work[i];
        sum += r * r;
    }
    double relative = sqrt(sum) / norm;
    return isfinite(relative) ? relative : INFINITY;
}

int
rtl_resolve_run(rtl_resolve_t *self, const double *b, double rtol,
    rtl_monitor_t *monitor, double *x)
{
    size_t n = self->chain->n;

    memcpy(N_VGetArrayPointer(self->b), b, n * sizeof *b);
    N_VConst(0.0, self->x);
    self->status = 0;
    self->monitor = self->resolvent.monitor = monitor;
    double norm = sqrt(N_VDotProd(self->b, self->b));
    int flag = SUNLinSolSetZeroGuess(self->krylov, 1);
    if (flag == 0 && norm != 0.0) {
        flag = SUNLinSolSolve(self->krylov, NULL, self->x, self->b, rtol * norm);
    }
    self->monitor = self->resolvent.monitor = NULL;
    if (self->status != 0) {
        return self->status;
    }
    if (norm != 0.0) {
        self->residual = fmax(self->residual, residual(self, b, norm, x));
    }
    memcpy(x, N_VGetArrayPointer(self->x), n * sizeof *x);
    return flag < 0 ? RTL_SUNDIALS : 0; /* positive: the residual is for the caller */
}
