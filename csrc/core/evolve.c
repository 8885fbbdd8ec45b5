/* SPDX-License-Identifier: MIT */
/* Each Newton correction z of a BDF step solves (1 - gamma W) z = r. What is left of
 * the residual would let mass drift, so each cycle is followed by a correction along p
 * that makes the masses of both sides equal: then only rounding is left.
 *
 * Columns of W sum to 0, but their products with p to the rounding of their largest
 * rate, and steps may be as long as the time asked for: 1e10 relaxation times would
 * lose all digits. So W p, too, is corrected along p to the mass that walls take: what
 * is rounded then decays with the modes, and the steady state can be waited for. */
#include "evolve.h"

#include <cvode/cvode.h>
#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>
#include <sunlinsol/sunlinsol_spfgmr.h>

#include "memory.h"
#include "sum.h"
#include "vector.h"

enum { KRYLOV_VECTORS = 10 };
static const long most_steps = 1000000;

/* --- what CVODE calls ---------------------------------------------------------------
 */

static int
poll(rtl_evolve_t *self, double t)
{
    double done = (t - self->start) / (self->end - self->start);

    if (self->status == 0) { /* the first failure stays, whatever CVODE does next */
        self->status = rtl_monitor_poll(self->monitor, fmin(fmax(done, 0.0), 1.0));
    }
    return self->status != 0 ? -1 : 0;
}

/* out = W v, corrected along |p| so that the masses are in balance. */
static int
apply(rtl_evolve_t *self, double t, N_Vector v_vector, N_Vector p_vector, N_Vector out)
{
    const rtl_generator_t *chain = self->chain;
    const double *v = N_VGetArrayPointer(v_vector), *p = N_VGetArrayPointer(p_vector);
    double *slope = N_VGetArrayPointer(out);
    rtl_sum_t mass = {0}, excess = {0};

    self->info.products++;
    rtl_generator_apply(chain, v, slope);
    for (size_t i = 0; i < chain->n; i++) {
        double lost = chain->killing == NULL ? 0.0 : chain->killing[i] * v[i];
        rtl_sum_add(&mass, fabs(p[i]));
        rtl_sum_add(&excess, slope[i] + lost);
    }
    double scale = rtl_sum_total(&excess) / fmax(rtl_sum_total(&mass), 1e-300);
    for (size_t i = 0; i < chain->n; i++) {
        slope[i] -= scale * fabs(p[i]);
    }
    return poll(self, t);
}

static int
right_side(sunrealtype t, N_Vector p, N_Vector out, void *data)
{
    return apply(data, t, p, p, out);
}

static int
jacobian_times(N_Vector v, N_Vector out, sunrealtype t, N_Vector p, N_Vector f,
    void *data, N_Vector work)
{
    (void) f;
    (void) work;
    return apply(data, t, v, p, out);
}

static int
set_gamma(sunrealtype t, N_Vector p, N_Vector f, sunbooleantype reuse,
    sunbooleantype *current, sunrealtype gamma, void *data)
{
    rtl_evolve_t *self = data;

    (void) t;
    (void) p;
    (void) f;
    (void) reuse;
    *current = SUNTRUE;
    if (self->status == 0) {
        self->status = rtl_resolvent_set(&self->resolvent, gamma);
    }
    return self->status == 0 ? 0 : -1;
}

static int
precondition(sunrealtype t, N_Vector p, N_Vector f, N_Vector r, N_Vector z,
    sunrealtype gamma, sunrealtype tolerance, int side, void *data)
{
    rtl_evolve_t *self = data;
    const double *rhs = N_VGetArrayPointer(r);
    double *out = N_VGetArrayPointer(z);

    (void) f;
    (void) tolerance;
    (void) side;
    if (self->status == 0 && self->resolvent.gamma != gamma) { /* since the set-up */
        self->status = rtl_resolvent_set(&self->resolvent, gamma);
    }
    if (self->status == 0) {
        self->status = rtl_resolvent_cycle(&self->resolvent, rhs, out);
        rtl_resolvent_keep_mass(&self->resolvent, N_VGetArrayPointer(p), rhs, out);
    }
    return poll(self, t);
}

/* --- init, run, free ----------------------------------------------------------------
 */

static int
solver_init(rtl_evolve_t *self, double t, double rtol, double atol)
{
    self->cvode = CVodeCreate(CV_BDF, self->sun.context);
    self->krylov =
        SUNLinSol_SPFGMR(self->p, SUN_PREC_RIGHT, KRYLOV_VECTORS, self->sun.context);
    if (self->cvode == NULL || self->krylov == NULL) {
        return RTL_NO_MEMORY;
    }
    int status = rtl_sun_capture_cvode(&self->sun, self->cvode);
    if (status != 0) {
        return status;
    }
    void *c = self->cvode;
    bool good =
        rtl_sun_has_room() && CVodeInit(c, right_side, t, self->p) == CV_SUCCESS &&
        CVodeSetUserData(c, self) == CV_SUCCESS &&
        CVodeSStolerances(c, rtol, atol) == CV_SUCCESS &&
        CVodeSetStabLimDet(c, SUNTRUE) == CV_SUCCESS &&
        CVodeSetMaxNumSteps(c, most_steps) == CV_SUCCESS &&
        CVodeSetLinearSolver(c, self->krylov, NULL) == CV_SUCCESS &&
        CVodeSetPreconditioner(c, set_gamma, precondition) == CV_SUCCESS &&
        CVodeSetJacTimes(c, NULL, jacobian_times) == CV_SUCCESS &&
        CVodeSetEpsLin(c, 0.05) == CV_SUCCESS && SUNLinSolInitialize(self->krylov) == 0;
    return good && !self->sun.no_memory ? 0 : RTL_NO_MEMORY; /* nothing else can fail */
}

int
rtl_evolve_init(rtl_evolve_t *self, const rtl_generator_t *chain, double t,
    const double *p, const double *guess, double rtol, double atol,
    rtl_monitor_t *monitor)
{
    memset(self, 0, sizeof *self);
    self->chain = chain;
    self->rtol = rtol;
    self->atol = atol;
    self->info.smallest = INFINITY;
    int status = rtl_sun_init(&self->sun);
    if (status == 0) {
        self->p = rtl_vector_new(&self->sun, chain->n, (rtl_team_t) {.n_threads = 1});
        self->slope =
            rtl_vector_new(&self->sun, chain->n, (rtl_team_t) {.n_threads = 1});
        status = self->p == NULL || self->slope == NULL ? RTL_NO_MEMORY : 0;
    }
    if (status == 0) {
        memcpy(N_VGetArrayPointer(self->p), p, chain->n * sizeof *p);
        status = rtl_resolvent_init(&self->resolvent, chain, guess, monitor);
    }
    if (status == 0) {
        status = solver_init(self, t, rtol, atol);
    }
    if (status != 0) {
        rtl_evolve_free(self);
    }
    return status;
}

void
rtl_evolve_free(rtl_evolve_t *self)
{
    if (self->cvode != NULL) {
        CVodeFree(&self->cvode);
    }
    if (self->krylov != NULL) {
        SUNLinSolFree(self->krylov);
    }
    if (self->p != NULL) {
        N_VDestroy(self->p);
    }
    if (self->slope != NULL) {
        N_VDestroy(self->slope);
    }
    rtl_sun_free(&self->sun);
    rtl_resolvent_free(&self->resolvent);
    memset(self, 0, sizeof *self);
}

/* How far CVODE's polynomial is from a solution at t: h |p' - W p| in units of the
 * tolerances and of what rounding of W p is in a step, root mean square; infinite if it
 * is not a number. */
static double
defect(rtl_evolve_t *self, double t, double *work)
{
    const double *state = N_VGetArrayPointer(self->p);
    const double *slope = N_VGetArrayPointer(self->slope);
    const rtl_generator_t *chain = self->chain;
    size_t n = chain->n;
    sunrealtype h = 0.0;
    double sum = 0.0;

    if (CVodeGetLastStep(self->cvode, &h) != CV_SUCCESS ||
        CVodeGetDky(self->cvode, t, 1, self->slope) != CV_SUCCESS) {
        return INFINITY;
    }
    self->info.products++;
    rtl_generator_apply(chain, state, work);
    for (size_t i = 0; i < n; i++) {
        double p = fabs(state[i]),
               rounding = 8.0 * DBL_EPSILON * h * chain->exit_rate[i];
        double r = (slope[i] - work[i]) / ((self->rtol + rounding) * p + self->atol);
        sum += r * r;
    }
    double size = h * sqrt(sum / (double) n);
    return isfinite(size) ? size : INFINITY;
}

/* Copy p out; scale it to mass 1 if the chain loses nothing. */
static void
hand_out(rtl_evolve_t *self, double *p)
{
    const double *state = N_VGetArrayPointer(self->p);
    rtl_sum_t mass = {0};

    for (size_t i = 0; i < self->chain->n; i++) {
        rtl_sum_add(&mass, state[i]);
        self->info.smallest = fmin(self->info.smallest, state[i]);
    }
    double total = rtl_sum_total(&mass);
    double scale = self->chain->killing == NULL ? 1.0 / total : 1.0;
    if (self->chain->killing == NULL) {
        double miss = isfinite(total) ? fabs(total - 1.0) : INFINITY;
        self->info.mass_error = fmax(self->info.mass_error, miss);
    }
    for (size_t i = 0; i < self->chain->n; i++) {
        p[i] = state[i] * scale;
    }
}

int
rtl_evolve_run(rtl_evolve_t *self, double t, rtl_monitor_t *monitor, double *p)
{
    sunrealtype reached = 0.0;

    if (!isfinite(t)) {
        return RTL_BAD_ARGUMENT;
    }
    int flag = CVodeGetCurrentTime(self->cvode, &reached);
    self->monitor = self->resolvent.monitor = monitor;
    self->start = reached;
    self->end = t;
    self->status = 0;
    if (flag == CV_SUCCESS) {
        flag = CVode(self->cvode, t, self->p, &reached, CV_NORMAL);
    }
    CVodeGetNumSteps(self->cvode, &self->info.steps);
    CVodeGetNumRhsEvals(self->cvode, &self->info.evaluations);
    CVodeGetNumLinIters(self->cvode, &self->info.krylov_iterations);
    self->monitor = self->resolvent.monitor = NULL;
    if (self->status != 0) {
        return self->status;
    }
    if (flag < 0) {
        return flag == CV_MEM_FAIL ? RTL_NO_MEMORY : RTL_NOT_CONVERGED;
    }
    self->info.defect = fmax(self->info.defect, defect(self, t, p));
    hand_out(self, p);
    return 0;
}
