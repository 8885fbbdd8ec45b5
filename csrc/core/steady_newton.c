/* SPDX-License-Identifier: MIT */
/* One linear operator, A = diag(1/(p q)) W diag(p), whose system is consistent at every
 * iterate because (p q)^T A = 0, and three phases:
 *
 *   warm    solve A z = -r, y += log(max(1 + z, floor)): a step in p, in which the
 *           problem is linear. It crosses far tails quickly, where Newton's method in
 *           log p gains one unit a step;
 *   finish  where such a step does not halve a small residual: KINSOL, Newton with line
 *           search for log p, A as Jacobian;
 *   polish  masses of metastable parts. A small residual does not make them right, so
 * if the error estimate says they are not, multiplicative cycles find them.
 *
 * FGMRES is SUNDIALS', its right preconditioner one multigrid cycle: geometric where
 * the caller has coarser grids, until that fails to converge; else aggregation. */
#include "steady_newton.h"

#include <kinsol/kinsol.h>
#include <math.h>
#include <string.h>
#include <sunlinsol/sunlinsol_spfgmr.h>

#include "direct.h"
#include "memory.h"
#include "multilevel.h"
#include "steady_room.h"
#include "steady_step.h"
#include "vector.h"

enum { NEWTON_STEPS = 20, MOST_ROUNDS = 10, SWEEPS = 4, PATIENCE = 8 };

static const double warm_floor = 1e-3;     /* smallest factor of p in one warm step */
static const double warm_until = 1e-2;     /* residual above which steps may fail */
static const double sweeps_from = 0.1;     /* residual that sweeps repair first */
static const double far_off = 0.5;         /* residual of no use */
static const double warm_tolerance = 2e-3; /* of the linear solves */
static const double last_tolerance = 1e-9; /* the smallest, of the last one */
static const double newton_tolerance = 1e-3;
static const double settled = 1e-9; /* change of log p that no longer matters: on grids
                                     * discretisation errors are far larger */

typedef struct {
    const rtl_generator_t *chain;
    const rtl_steady_options_t *options;
    rtl_steady_info_t *info;
    rtl_geometric_t *geometric;   /* borrowed; NULL once it has failed */
    rtl_multilevel_t aggregation; /* n_levels = 0 until it is needed */
    rtl_sun_t *sun;               /* the room's, as are the next four */
    SUNLinearSolver krylov;
    N_Vector y, step, rhs;
    void *kinsol;
    N_Vector scale;                  /* 1, for KINSOL */
    double first_residual, residual; /* largest relative ones: at first, and last */
    int status;                      /* why a callback stopped SUNDIALS */
} solver_t;

/* Keeps the residual; the fraction done, in its logarithm. */
static int
poll(solver_t *self, double residual)
{
    double done = 0.0;

    if (residual > 0.0 && self->info->n_history < RTL_STEADY_HISTORY) {
        self->info->history[self->info->n_history++] = residual;
    }
    if (self->first_residual > self->options->rtol && residual > 0.0) {
        done = log(self->first_residual / residual) /
               log(self->first_residual / self->options->rtol);
    }
    if (self->status == 0) { /* the first failure stays */
        self->status =
            rtl_monitor_poll(self->options->team.monitor, fmin(fmax(done, 0.0), 1.0));
    }
    return self->status;
}

/* --- the preconditioner, whichever it is -------------------------------------------
 */

static int
update(solver_t *self, const double *y)
{
    if (self->geometric != NULL) {
        rtl_geometric_update(self->geometric, y);
        return 0;
    }
    if (self->aggregation.n_levels == 0) {
        return rtl_multilevel_init(
            &self->aggregation, self->chain, y, self->options->team);
    }
    return rtl_multilevel_update(&self->aggregation, y);
}

/* A at the y of the last update. */
static const rtl_balance_t *
balance(const solver_t *self)
{
    return self->geometric != NULL
               ? &self->geometric->level[self->geometric->n_levels - 1].balance
               : &self->aggregation.level[0].balance;
}

/* Update to y and return the largest relative residual there. */
static double
residual_at(solver_t *self, const double *y, double *r)
{
    self->info->products++;
    if (self->status == 0) {
        self->status = update(self, y);
    }
    self->residual = self->status != 0 ? NAN : rtl_balance_residual(balance(self), r);
    return self->residual;
}

static int
krylov_times(void *data, N_Vector v, N_Vector out)
{
    solver_t *self = data;

    self->info->products++;
    rtl_balance_apply(balance(self), N_VGetArrayPointer(v), N_VGetArrayPointer(out));
    return poll(self, 0.0);
}

static int
krylov_precondition(void *data, N_Vector r, N_Vector z, sunrealtype tolerance, int side)
{
    solver_t *self = data;

    (void) tolerance;
    (void) side;
    const double *b = N_VGetArrayPointer(r);
    double *x = N_VGetArrayPointer(z);
    int status = self->geometric != NULL
                     ? rtl_geometric_cycle(self->geometric, b, x)
                     : rtl_multilevel_cycle(&self->aggregation, b, x);
    if (self->status == 0) { /* the first failure stays */
        self->status = status;
    }
    return poll(self, 0.0);
}

/* --- warm ------------------------------------------------------------------------- */

static int
warm_init(solver_t *self)
{
    bool good = rtl_sun_has_room() &&
                SUNLinSolSetATimes(self->krylov, self, krylov_times) == 0 &&
                SUNLinSolSetPreconditioner(
                    self->krylov, self, NULL, krylov_precondition) == 0 &&
                SUNLinSolInitialize(self->krylov) == 0;
    return good && !self->sun->no_memory ? 0
                                         : RTL_NO_MEMORY; /* nothing else can fail */
}

/* Of a linear solve: what is left to do, if that can be done at once. */
static double
tolerance(const solver_t *self)
{
    double rest = 0.3 * self->options->rtol / self->residual;
    return rest > last_tolerance ? fmin(rest, 0.5) : warm_tolerance;
}

/* z of A z = -r, for the residual r in self->rhs; true if the tolerance was met. */
static int
solve_linear(solver_t *self, bool *met)
{
    size_t n = self->chain->n;
    double *b = N_VGetArrayPointer(self->rhs), norm = 0.0;

    for (size_t i = 0; i < n; i++) {
        b[i] = -b[i];
        norm += b[i] * b[i];
    }
    N_VConst(0.0, self->step);
    int flag = SUNLinSolSetZeroGuess(self->krylov, 1);
    if (flag == 0) {
        flag = SUNLinSolSolve(
            self->krylov, NULL, self->step, self->rhs, tolerance(self) * sqrt(norm));
    }
    self->info->krylov_iterations += SUNLinSolNumIters(self->krylov);
    self->info->warm_steps++;
    *met = flag == 0;
    if (self->status != 0) {
        return self->status;
    }
    return flag < 0 ? RTL_SUNDIALS : 0; /* positive: the step is still good */
}

/* A multiplicative cycle at y, with aggregates. */
static int
redistribute(solver_t *self, int sweeps)
{
    double *y = N_VGetArrayPointer(self->y);

    self->geometric = NULL;
    int status = update(self, y);
    return status == 0 ? rtl_multilevel_multiply(&self->aggregation, sweeps, y)
                       : status;
}

/* Steps in p until the residual is below `until`, or as many as `patience` in a row did
 * not halve it. With `exchange` the masses of the coarsest aggregates are left to
 * multiplicative cycles. */
static int
warm_up(solver_t *self, double until, bool exchange, int patience)
{
    size_t n = self->chain->n;
    double *y = N_VGetArrayPointer(self->y), *z = N_VGetArrayPointer(self->step);
    double *r = N_VGetArrayPointer(self->rhs);
    bool met = true;
    int stalled = 0, status = warm_init(self);
    double residual = residual_at(self, y, r), best = INFINITY;

    if (self->first_residual == 0.0) {
        self->first_residual = residual;
    }
    while (status == 0 && self->status == 0 && residual > until && stalled < patience &&
           self->info->warm_steps < self->options->max_steps) {
        stalled = residual > 0.5 * best ? stalled + 1 : 0;
        best = stalled == 0 ? residual : best;
        if (residual > sweeps_from) {
            status = rtl_steady_step_sweep(balance(self), SWEEPS, y, z);
        }
        if (status == 0 && exchange) {
            status = redistribute(self, 0);
        }
        if (status == 0 && (residual > sweeps_from || exchange)) {
            residual = residual_at(self, y, r);
            status = self->status;
        }
        if (status == 0) {
            status = solve_linear(self, &met);
        }
        if (status != 0) {
            break;
        }
        if (!met && self->geometric == NULL) { /* aggregates of better probabilities */
            rtl_multilevel_free(&self->aggregation);
        }
        if (!met) {
            self->geometric = NULL;
        }
        if (exchange) {
            rtl_multilevel_project(&self->aggregation, z);
        }
        rtl_steady_step_in_p(n, z, warm_floor, self->options->team, y);
        if (exchange) {
            status = redistribute(self, 0);
        }
        residual = residual_at(self, y, r);
        if (status == 0 && self->status == 0) {
            status = poll(self, residual);
        }
    }
    return status != 0 ? status : self->status;
}

/* --- finish ----------------------------------------------------------------------- */

static int
kinsol_function(N_Vector y, N_Vector r, void *data)
{
    solver_t *self = data;
    double residual = residual_at(self, N_VGetArrayPointer(y), N_VGetArrayPointer(r));

    if (self->status != 0 || poll(self, residual) != 0) {
        return -1;
    }
    return isfinite(residual) ? 0 : 1;
}

static int
kinsol_times(N_Vector v, N_Vector out, N_Vector y, int *new_y, void *data)
{
    (void) y; /* the set-up at the same y came first */
    (void) new_y;
    return krylov_times(data, v, out);
}

static int
kinsol_setup(N_Vector y, N_Vector y_scale, N_Vector r, N_Vector r_scale, void *data)
{
    solver_t *self = data;

    (void) y_scale;
    (void) r;
    (void) r_scale;
    if (self->status == 0) {
        self->status = update(self, N_VGetArrayPointer(y));
    }
    return self->status;
}

static int
kinsol_precondition(
    N_Vector y, N_Vector y_scale, N_Vector r, N_Vector r_scale, N_Vector v, void *data)
{
    solver_t *self = data;

    (void) y;
    (void) y_scale;
    (void) r;
    (void) r_scale;
    memcpy(N_VGetArrayPointer(self->rhs), N_VGetArrayPointer(v),
        self->chain->n * sizeof(double));
    return krylov_precondition(data, self->rhs, v, 0.0, SUN_PREC_RIGHT);
}

static int
finish_init(solver_t *self)
{
    int newton_steps = self->options->max_steps < NEWTON_STEPS
                           ? self->options->max_steps
                           : NEWTON_STEPS;

    self->kinsol = KINCreate(self->sun->context);
    self->scale = rtl_vector_new(self->sun, self->chain->n, self->options->team);
    if (self->kinsol == NULL || self->scale == NULL) {
        return RTL_NO_MEMORY;
    }
    N_VConst(1.0, self->scale);
    int status = rtl_sun_capture_kinsol(self->sun, self->kinsol);
    if (status != 0) {
        return status;
    }
    void *k = self->kinsol;
    bool good =
        KINInit(k, kinsol_function, self->y) == KIN_SUCCESS &&
        KINSetUserData(k, self) == KIN_SUCCESS &&
        KINSetFuncNormTol(k, self->options->rtol) == KIN_SUCCESS &&
        KINSetScaledStepTol(k, 1e-14) == KIN_SUCCESS &&
        KINSetNumMaxIters(k, newton_steps) == KIN_SUCCESS &&
        KINSetMaxSetupCalls(k, 1) == KIN_SUCCESS &&
        KINSetEtaForm(k, KIN_ETACONSTANT) == KIN_SUCCESS &&
        KINSetEtaConstValue(k, newton_tolerance) == KIN_SUCCESS &&
        KINSetLinearSolver(k, self->krylov, NULL) == KIN_SUCCESS &&
        KINSetPreconditioner(k, kinsol_setup, kinsol_precondition) == KIN_SUCCESS &&
        KINSetJacTimesVecFn(k, kinsol_times) == KIN_SUCCESS;
    return good && !self->sun->no_memory ? 0
                                         : RTL_NO_MEMORY; /* nothing else can fail */
}

static int
finish(solver_t *self)
{
    long count = 0;
    int status = finish_init(self);

    if (status != 0) {
        return status;
    }
    int flag = KINSol(self->kinsol, self->y, KIN_LINESEARCH, self->scale, self->scale);
    if (KINGetNumNonlinSolvIters(self->kinsol, &count) == KIN_SUCCESS) {
        self->info->newton_steps += count;
    }
    if (KINGetNumLinIters(self->kinsol, &count) == KIN_SUCCESS) {
        self->info->krylov_iterations += count;
    }
    memcpy(self->info->message, self->sun->message, RTL_SUN_MESSAGE);
    if (self->status != 0) {
        return self->status;
    }
    if (flag == KIN_MEM_FAIL || flag == KIN_MEM_NULL) {
        return RTL_NO_MEMORY;
    }
    return 0; /* whether it converged is for the residual to say */
}

/* --- polish ----------------------------------------------------------------------- */

/* Largest change of log p that one cycle proposes at y, left in self->step: an estimate
 * of its error that sees slow exchange, which the residual does not. */
static double
estimate_error(solver_t *self, double *residual)
{
    double *r = N_VGetArrayPointer(self->rhs), *z = N_VGetArrayPointer(self->step);
    double low = INFINITY, high = -INFINITY;

    *residual = residual_at(self, N_VGetArrayPointer(self->y), r);
    if (self->status != 0 ||
        krylov_precondition(self, self->rhs, self->step, 0.0, SUN_PREC_RIGHT) != 0) {
        return INFINITY;
    }
    for (size_t i = 0; i < self->chain->n; i++) {
        low = fmin(low, z[i]);
        high = fmax(high, z[i]);
    }
    return high - low; /* a constant is no change */
}

/* Take what a cycle proposes as long as that halves the estimated error; true if it
 * became small enough. */
static bool
refine(solver_t *self, double enough)
{
    double *y = N_VGetArrayPointer(self->y), *z = N_VGetArrayPointer(self->step);
    double residual, error = estimate_error(self, &residual), last = INFINITY;

    while (error > enough && error < 0.5 * last && error < far_off) {
        for (size_t i = 0; i < self->chain->n; i++) {
            y[i] -= z[i]; /* A z = r was solved, not A z = -r */
        }
        last = error;
        error = estimate_error(self, &residual);
    }
    return error <= enough && residual <= self->options->rtol;
}

/* Let the metastable parts exchange mass until that no longer changes log p. */
static int
polish(solver_t *self)
{
    size_t n = self->chain->n;
    double *y = N_VGetArrayPointer(self->y), *r = N_VGetArrayPointer(self->step);
    double *before = N_VGetArrayPointer(self->rhs), rtol = self->options->rtol;
    double enough =
        self->geometric != NULL ? fmax(settled, 10.0 * rtol) : fmax(0.1 * rtol, 1e-12);
    double residual;
    int status = 0;

    if (refine(self, enough) || self->status != 0) {
        return self->status;
    }
    for (int round = 0; status == 0 && round < MOST_ROUNDS; round++) {
        if (round > 0) { /* aggregates of better probabilities */
            rtl_multilevel_free(&self->aggregation);
        }
        residual = residual_at(self, y, r);
        memcpy(before, y, n * sizeof *before);
        status = redistribute(self, 1);
        if (status != 0) {
            break;
        }
        double new_residual = residual_at(self, y, r);
        bool worse = !(new_residual <= fmax(residual, rtol));
        bool same = rtl_steady_step_change(n, y, before) <= enough;
        if (residual <= rtol && worse && (same || new_residual > far_off)) {
            /* nothing to exchange, or so steep that coarse rates underflow */
            memcpy(y, before, n * sizeof *before);
            break;
        }
        if (same && new_residual <= rtol) {
            break;
        }
        if (!(new_residual <= far_off)) {
            memcpy(y, before, n * sizeof *before);
        } else {
            status = warm_up(self, rtol, true, PATIENCE);
        }
        if (status == 0 && (!(new_residual <= far_off) || round % 2 == 1)) {
            status = warm_up(self, rtol, false, PATIENCE);
        }
    }
    return status;
}

/* --- all of it -------------------------------------------------------------------- */

static void
solver_free(solver_t *self)
{
    if (self->kinsol != NULL) {
        KINFree(&self->kinsol);
    }
    if (self->scale != NULL) {
        N_VDestroy(self->scale);
    }
    rtl_multilevel_free(&self->aggregation);
}

static int
solver_init(solver_t *self, rtl_steady_room_t *room)
{
    int status = rtl_steady_room_prepare(room, self->chain->n, self->options->team);

    self->sun = &room->sun;
    self->krylov = room->krylov;
    self->y = room->y;
    self->step = room->step;
    self->rhs = room->rhs;
    return status;
}

/* A first guess from the aggregates alone. */
static int
start_from_nothing(solver_t *self, double *y)
{
    memset(y, 0, self->chain->n * sizeof *y);
    self->geometric = NULL;
    int status = update(self, y);
    if (status == 0) {
        status = rtl_multilevel_multiply(&self->aggregation, 2, y);
    }
    rtl_multilevel_free(
        &self->aggregation); /* its aggregates were of the uniform law */
    return status;
}

int
rtl_steady_newton(const rtl_generator_t *chain, rtl_geometric_t *geometric,
    const rtl_steady_options_t *options, bool has_guess, double *y,
    rtl_steady_info_t *info)
{
    size_t n = chain->n;
    solver_t self = {
        .chain = chain, .options = options, .info = info, .geometric = geometric};
    int status = solver_init(&self, options->room);

    if (status == 0 && !has_guess) {
        status = start_from_nothing(&self, y);
    }
    if (status == 0) {
        memcpy(N_VGetArrayPointer(self.y), y, n * sizeof *y);
        double until = fmax(warm_until, options->rtol);
        status = warm_up(&self, until, false, options->max_steps);
    }
    if (status == 0 && !(self.residual <= options->rtol)) {
        status = warm_up(&self, options->rtol, false, 1);
    }
    if (status == 0 && !(self.residual <= options->rtol)) {
        status = finish(&self);
    }
    if (status == 0) {
        status = polish(&self);
    }
    if (self.y != NULL) {
        memcpy(y, N_VGetArrayPointer(self.y), n * sizeof *y);
        rtl_direct_normalise(n, y);
    }
    info->levels =
        self.geometric != NULL ? self.geometric->n_levels : self.aggregation.n_levels;
    info->bytes = rtl_multilevel_bytes(&self.aggregation) +
                  (geometric != NULL ? rtl_geometric_bytes(geometric) : 0) +
                  rtl_steady_room_bytes(options->room);
    solver_free(&self);
    return status;
}
