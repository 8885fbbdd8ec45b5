/* SPDX-License-Identifier: MIT */
#include "evolve.h"

#include <cvode/cvode.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>
#include <sunlinsol/sunlinsol_spgmr.h>

#include "aggregate.h"
#include "memory.h"
#include "sum.h"

enum { SMALLEST = 32, KRYLOV_VECTORS = 15, SWEEPS = 4, COARSEST_SWEEPS = 20 };
static const long most_steps = 1000000;

/* --- the preconditioner: one cycle for (1 - gamma W) x = b ---------------------------
 */

static void
relax(const rtl_generator_t *chain, double gamma, const double *b, double *x, size_t i)
{
    double sum = 0.0;

    for (size_t e = chain->start[i]; e < chain->start[i + 1]; e++) {
        sum += chain->rate[e] * x[chain->source[e]];
    }
    x[i] = (b[i] + gamma * sum) / (1.0 + gamma * chain->exit_rate[i]);
}

static void
sweep(const rtl_generator_t *chain, double gamma, const double *b, double *x)
{
    for (size_t i = 0; i < chain->n; i++) {
        relax(chain, gamma, b, x, i);
    }
}

static void
sweep_back(const rtl_generator_t *chain, double gamma, const double *b, double *x)
{
    for (size_t i = chain->n; i-- > 0;) {
        relax(chain, gamma, b, x, i);
    }
}

static void
cycle(rtl_evolve_t *self, size_t l, const double *b, double *x)
{
    rtl_evolve_level_t *fine = &self->level[l], *coarse = fine + 1;
    const rtl_generator_t *chain = fine->chain;
    double gamma = self->gamma, *r = self->residual;

    memset(x, 0, chain->n * sizeof *x);
    sweep(chain, gamma, b, x);
    if (fine->aggregate == NULL) {
        for (int s = 0; s < COARSEST_SWEEPS; s++) {
            sweep_back(chain, gamma, b, x);
            sweep(chain, gamma, b, x);
        }
    } else {
        double *rhs = coarse->work, *correction = coarse->work + coarse->chain->n;
        rtl_generator_apply(chain, x, r);
        memset(rhs, 0, coarse->chain->n * sizeof *rhs);
        for (size_t i = 0; i < chain->n; i++) {
            rhs[fine->aggregate[i]] += b[i] - x[i] + gamma * r[i];
        }
        cycle(self, l + 1, rhs, correction);
        for (size_t i = 0; i < chain->n; i++) {
            x[i] += fine->share[i] * correction[fine->aggregate[i]];
        }
    }
    sweep_back(chain, gamma, b, x);
}

/* The next level below `fine`; *grew is false where matching no longer shrinks it. y is
 * replaced by that of the next level. */
static int
add_level(rtl_evolve_level_t *fine, rtl_evolve_level_t *coarse, double *y, bool *grew)
{
    size_t n = fine->chain->n, n_groups = 0;
    int32_t *target = rtl_memory_alloc(fine->chain->n_entries, sizeof *target);
    double *coarse_y = NULL, *work = NULL;
    int status = RTL_NO_MEMORY;

    fine->aggregate = rtl_memory_alloc(n, sizeof(int32_t));
    fine->share = rtl_memory_alloc(n, sizeof(double));
    if (target == NULL || fine->aggregate == NULL || fine->share == NULL) {
        goto out;
    }
    status = rtl_aggregate_match(fine->chain, y, fine->aggregate, &n_groups);
    *grew = (double) n_groups < 0.8 * (double) n;
    if (status != 0 || !*grew) {
        goto out;
    }
    status = rtl_aggregate_pattern(
        fine->chain, fine->aggregate, n_groups, &coarse->own, target);
    if (status != 0) {
        goto out;
    }
    coarse->chain = &coarse->own;
    coarse->work = rtl_memory_alloc(2 * n_groups, sizeof(double));
    coarse_y = rtl_memory_alloc(n_groups, sizeof *coarse_y);
    work = rtl_memory_alloc(n_groups, sizeof *work);
    if (coarse->work == NULL || coarse_y == NULL || work == NULL) {
        status = RTL_NO_MEMORY;
        goto out;
    }
    rtl_aggregate_rates(fine->chain, y, fine->aggregate, target, &coarse->own, coarse_y,
        fine->share, work);
    for (size_t i = 0; fine->chain->killing != NULL && i < n; i++) {
        coarse->own.exit_rate[fine->aggregate[i]] +=
            fine->share[i] * fine->chain->killing[i];
    }
    memcpy(y, coarse_y, n_groups * sizeof *y);
out:
    rtl_memory_free(target);
    rtl_memory_free(coarse_y);
    rtl_memory_free(work);
    return status;
}

static int
make_levels(rtl_evolve_t *self)
{
    bool grew = true;
    rtl_evolve_level_t *last = &self->level[0];
    double *y = rtl_memory_alloc(self->chain->n, sizeof *y);
    int status = y == NULL ? RTL_NO_MEMORY : 0;

    self->n_levels = 1;
    last->chain = self->chain;
    for (int s = 0; status == 0 && s < SWEEPS; s++) {
        rtl_generator_sweep(self->chain, y);
    }
    while (status == 0 && grew && last->chain->n > SMALLEST &&
           self->n_levels < RTL_EVOLVE_LEVELS) {
        status = add_level(last, last + 1, y, &grew);
        if (status == 0 && grew) {
            last++;
            self->n_levels++;
        } else {
            rtl_memory_free(last->aggregate);
            last->aggregate = NULL;
        }
    }
    rtl_memory_free(y);
    return status;
}

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

static int
right_side(sunrealtype t, N_Vector p, N_Vector out, void *data)
{
    rtl_evolve_t *self = data;

    self->info.products++;
    rtl_generator_apply(self->chain, N_VGetArrayPointer(p), N_VGetArrayPointer(out));
    return poll(self, t);
}

static int
jacobian_times(N_Vector v, N_Vector out, sunrealtype t, N_Vector p, N_Vector f,
    void *data, N_Vector work)
{
    (void) p;
    (void) f;
    (void) work;
    return right_side(t, v, out, data);
}

static int
set_gamma(sunrealtype t, N_Vector p, N_Vector f, sunbooleantype reuse,
    sunbooleantype *current, sunrealtype gamma, void *data)
{
    rtl_evolve_t *self = data;

    (void) p;
    (void) f;
    (void) reuse;
    *current = SUNTRUE;
    self->gamma = gamma;
    return poll(self, t);
}

static int
precondition(sunrealtype t, N_Vector p, N_Vector f, N_Vector r, N_Vector z,
    sunrealtype gamma, sunrealtype tolerance, int side, void *data)
{
    rtl_evolve_t *self = data;

    (void) p;
    (void) f;
    (void) tolerance;
    (void) side;
    self->gamma = gamma;
    cycle(self, 0, N_VGetArrayPointer(r), N_VGetArrayPointer(z));
    return poll(self, t);
}

/* --- init, run, free ----------------------------------------------------------------
 */

static int
solver_init(rtl_evolve_t *self, double t, double rtol, double atol)
{
    self->cvode = CVodeCreate(CV_BDF, self->sun.context);
    self->krylov =
        SUNLinSol_SPGMR(self->p, SUN_PREC_RIGHT, KRYLOV_VECTORS, self->sun.context);
    if (self->cvode == NULL || self->krylov == NULL) {
        return RTL_NO_MEMORY;
    }
    int status = rtl_sun_capture_cvode(&self->sun, self->cvode);
    if (status != 0) {
        return status;
    }
    void *c = self->cvode;
    bool good = CVodeInit(c, right_side, t, self->p) == CV_SUCCESS &&
                CVodeSetUserData(c, self) == CV_SUCCESS &&
                CVodeSStolerances(c, rtol, atol) == CV_SUCCESS &&
                CVodeSetStabLimDet(c, SUNTRUE) == CV_SUCCESS &&
                CVodeSetMaxNumSteps(c, most_steps) == CV_SUCCESS &&
                CVodeSetLinearSolver(c, self->krylov, NULL) == CV_SUCCESS &&
                CVodeSetPreconditioner(c, set_gamma, precondition) == CV_SUCCESS &&
                CVodeSetJacTimes(c, NULL, jacobian_times) == CV_SUCCESS &&
                CVodeSetEpsLin(c, 0.001) == CV_SUCCESS;
    return good ? 0 : RTL_SUNDIALS;
}

int
rtl_evolve_init(rtl_evolve_t *self, const rtl_generator_t *chain, double t,
    const double *p, double rtol, double atol)
{
    memset(self, 0, sizeof *self);
    self->chain = chain;
    self->info.smallest = INFINITY;
    int status = rtl_sun_init(&self->sun);
    if (status == 0) {
        self->p = rtl_sun_vector(&self->sun, chain->n);
        self->residual = rtl_memory_alloc(chain->n, sizeof(double));
        status = self->p == NULL || self->residual == NULL ? RTL_NO_MEMORY : 0;
    }
    if (status == 0) {
        memcpy(N_VGetArrayPointer(self->p), p, chain->n * sizeof *p);
        status = make_levels(self);
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
    rtl_sun_free(&self->sun);
    for (size_t l = 0; l < RTL_EVOLVE_LEVELS; l++) {
        rtl_generator_free(&self->level[l].own);
        rtl_memory_free(self->level[l].aggregate);
        rtl_memory_free(self->level[l].share);
        rtl_memory_free(self->level[l].work);
    }
    rtl_memory_free(self->residual);
    memset(self, 0, sizeof *self);
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
        self->info.mass_error = fmax(self->info.mass_error, fabs(total - 1.0));
    }
    for (size_t i = 0; i < self->chain->n; i++) {
        p[i] = state[i] * scale;
    }
}

int
rtl_evolve_run(rtl_evolve_t *self, double t, rtl_monitor_t *monitor, double *p)
{
    sunrealtype reached = 0.0;
    int flag = CVodeGetCurrentTime(self->cvode, &reached);

    self->monitor = monitor;
    self->start = reached;
    self->end = t;
    self->status = 0;
    if (flag == CV_SUCCESS) {
        flag = CVode(self->cvode, t, self->p, &reached, CV_NORMAL);
    }
    CVodeGetNumSteps(self->cvode, &self->info.steps);
    CVodeGetNumRhsEvals(self->cvode, &self->info.evaluations);
    CVodeGetNumLinIters(self->cvode, &self->info.krylov_iterations);
    self->monitor = NULL;
    if (self->status != 0) {
        return self->status;
    }
    if (flag < 0) {
        return flag == CV_MEM_FAIL ? RTL_NO_MEMORY : RTL_NOT_CONVERGED;
    }
    hand_out(self, p);
    return 0;
}
