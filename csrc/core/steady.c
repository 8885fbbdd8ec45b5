/* SPDX-License-Identifier: MIT */
/* Two phases with one linear operator, A = diag(1/(p q)) W diag(p), whose system is
 * consistent at every iterate because p^T diag(q) A = 0:
 *
 *   warm    solve A z = -r, y += log(max(1 + z, floor)): a step in p, which crosses far
 *           tails quickly, where Newton's method in log p gains one unit a step;
 *   finish  KINSOL, Newton with line search for log p, the same A as Jacobian.
 *
 * Both use SUNDIALS' FGMRES with one multilevel cycle as right preconditioner. A small
 * residual does not make the masses of metastable parts right: so the warm steps leave
 * them, and a last phase checks them, by multiplicative cycles (multilevel.h). */
#include "steady.h"

#include <kinsol/kinsol.h>
#include <math.h>
#include <string.h>
#include <sunlinsol/sunlinsol_spfgmr.h>

#include "direct.h"
#include "memory.h"
#include "multilevel.h"

enum { KRYLOV_VECTORS = 12, KRYLOV_RESTARTS = 3, DIRECT_LARGEST = 1000 };
enum { NEWTON_STEPS = 20, MOST_ROUNDS = 10 };

static const double warm_floor = 0.05;     /* smallest factor of p in one warm step */
static const double warm_until = 1e-2;     /* residual at which KINSOL takes over */
static const double far_off = 0.5;         /* residual that sweeps repair first */
static const double warm_tolerance = 0.02; /* of the linear solves */
static const double newton_tolerance = 1e-4;
static const double settled = 1e-9; /* change of log p that ends the last phase */

typedef struct {
    const rtl_generator_t *chain;
    const rtl_steady_options_t *options;
    rtl_steady_info_t *info;
    rtl_multilevel_t hierarchy;
    rtl_sun_t sun;
    void *kinsol;
    SUNLinearSolver krylov;
    N_Vector y, scale, step, rhs;
    int status; /* why a callback stopped SUNDIALS */
    double first_residual;
} solver_t;

rtl_steady_options_t
rtl_steady_defaults(void)
{
    return (rtl_steady_options_t) {.rtol = 1e-10, .max_steps = 300};
}

/* r_i / q_i for all i. */
static void
scaled_balance(const rtl_generator_t *chain, const double *y, double *r)
{
    rtl_generator_balance(chain, y, r);
    for (size_t i = 0; i < chain->n; i++) {
        r[i] /= chain->exit_rate[i];
    }
}

/* The largest magnitude; NaN if there is one. */
static double
largest_of(size_t n, const double *r)
{
    double largest = 0.0;

    for (size_t i = 0; i < n; i++) {
        if (!(fabs(r[i]) <= largest)) {
            largest = fabs(r[i]);
        }
        if (isnan(largest)) {
            break;
        }
    }
    return largest;
}

double
rtl_steady_residual(const rtl_generator_t *chain, const double *y, size_t *worst)
{
    double largest = 0.0;

    *worst = 0;
    for (size_t i = 0; i < chain->n; i++) {
        double sum = 0.0;
        for (size_t e = chain->start[i]; e < chain->start[i + 1]; e++) {
            sum += chain->rate[e] * exp(y[chain->source[e]] - y[i]);
        }
        double r = fabs(sum / chain->exit_rate[i] - 1.0);
        if (!(r <= largest)) {
            largest = r;
            *worst = i;
        }
        if (isnan(r)) { /* nothing is worse */
            break;
        }
    }
    return largest;
}

/* Fraction done, in the logarithm of the residual. */
static int
poll(solver_t *self, double residual)
{
    double done = 0.0;

    if (self->first_residual > self->options->rtol && residual > 0.0) {
        done = log(self->first_residual / residual) /
               log(self->first_residual / self->options->rtol);
    }
    self->status = rtl_monitor_poll(self->options->monitor, fmin(fmax(done, 0.0), 1.0));
    return self->status;
}

/* --- what SUNDIALS calls ---------------------------------------------------------- */

static int
kinsol_function(N_Vector y, N_Vector r, void *data)
{
    solver_t *self = data;

    scaled_balance(self->chain, N_VGetArrayPointer(y), N_VGetArrayPointer(r));
    double residual = largest_of(self->chain->n, N_VGetArrayPointer(r));
    self->info->products++;
    if (poll(self, residual) != 0) {
        return -1;
    }
    return isfinite(residual) ? 0 : 1;
}

static int
krylov_times(void *data, N_Vector v, N_Vector out)
{
    solver_t *self = data;

    self->info->products++;
    rtl_multilevel_apply(
        &self->hierarchy, N_VGetArrayPointer(v), N_VGetArrayPointer(out));
    return poll(self, 0.0);
}

static int
krylov_precondition(void *data, N_Vector r, N_Vector z, sunrealtype tolerance, int side)
{
    solver_t *self = data;

    (void) tolerance;
    (void) side;
    rtl_multilevel_cycle(
        &self->hierarchy, N_VGetArrayPointer(r), N_VGetArrayPointer(z));
    return poll(self, 0.0);
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
    self->status = rtl_multilevel_update(&self->hierarchy, N_VGetArrayPointer(y));
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

/* --- phases ----------------------------------------------------------------------- */

static void
solver_free(solver_t *self)
{
    if (self->kinsol != NULL) {
        KINFree(&self->kinsol);
    }
    if (self->krylov != NULL) {
        SUNLinSolFree(self->krylov);
    }
    N_Vector vectors[] = {self->y, self->scale, self->step, self->rhs};
    for (size_t k = 0; k < 4; k++) {
        if (vectors[k] != NULL) {
            N_VDestroy(vectors[k]);
        }
    }
    rtl_sun_free(&self->sun);
    rtl_multilevel_free(&self->hierarchy);
}

static int
solver_init(solver_t *self)
{
    size_t n = self->chain->n;
    int status = rtl_sun_init(&self->sun);

    if (status != 0) {
        return status;
    }
    self->y = rtl_sun_vector(&self->sun, n);
    self->scale = rtl_sun_vector(&self->sun, n);
    self->step = rtl_sun_vector(&self->sun, n);
    self->rhs = rtl_sun_vector(&self->sun, n);
    if (self->y == NULL || self->scale == NULL || self->step == NULL ||
        self->rhs == NULL) {
        return RTL_NO_MEMORY;
    }
    N_VConst(1.0, self->scale);
    self->krylov =
        SUNLinSol_SPFGMR(self->y, SUN_PREC_RIGHT, KRYLOV_VECTORS, self->sun.context);
    if (self->krylov == NULL ||
        SUNLinSol_SPFGMRSetMaxRestarts(self->krylov, KRYLOV_RESTARTS) != 0) {
        return RTL_NO_MEMORY;
    }
    return 0;
}

static int
warm_init(solver_t *self)
{
    bool good = SUNLinSolSetATimes(self->krylov, self, krylov_times) == 0 &&
                SUNLinSolSetPreconditioner(
                    self->krylov, self, NULL, krylov_precondition) == 0 &&
                SUNLinSolInitialize(self->krylov) == 0;
    return good ? 0 : RTL_SUNDIALS;
}

static double
residual_at(solver_t *self, const double *y, double *r)
{
    self->info->products++;
    scaled_balance(self->chain, y, r);
    return largest_of(self->chain->n, r);
}

/* A multiplicative cycle at y. */
static int
redistribute(solver_t *self, int sweeps)
{
    double *y = N_VGetArrayPointer(self->y);
    int status = rtl_multilevel_update(&self->hierarchy, y);

    return status == 0 ? rtl_multilevel_multiply(&self->hierarchy, sweeps, y) : status;
}

/* One step in p. With `exchange` the masses of the coarsest aggregates are left to
 * multiplicative cycles. */
static int
warm_step(solver_t *self, bool exchange)
{
    size_t n = self->chain->n;
    double *y = N_VGetArrayPointer(self->y), *z = N_VGetArrayPointer(self->step);
    double *b = N_VGetArrayPointer(self->rhs), norm = 0.0;
    int status =
        exchange ? redistribute(self, 0) : rtl_multilevel_update(&self->hierarchy, y);

    if (status != 0) {
        return status;
    }
    scaled_balance(self->chain, y, b);
    self->info->products++;
    for (size_t i = 0; i < n; i++) {
        b[i] = -b[i];
        norm += b[i] * b[i];
    }
    N_VConst(0.0, self->step);
    int flag = SUNLinSolSetZeroGuess(self->krylov, 1);
    if (flag == 0) {
        flag = SUNLinSolSolve(
            self->krylov, NULL, self->step, self->rhs, warm_tolerance * sqrt(norm));
    }
    self->info->krylov_iterations += SUNLinSolNumIters(self->krylov);
    self->info->warm_steps++;
    if (self->status != 0) {
        return self->status;
    }
    if (flag < 0) { /* positive: the tolerance was missed, the step is still good */
        return RTL_SUNDIALS;
    }
    if (exchange) {
        rtl_multilevel_project(&self->hierarchy, z);
    }
    for (size_t i = 0; i < n; i++) {
        y[i] += log(fmax(1.0 + z[i], warm_floor));
    }
    return exchange ? redistribute(self, 0) : 0;
}

/* Steps in p until the residual is below `until`. */
static int
warm_up(solver_t *self, double until, bool exchange)
{
    double *y = N_VGetArrayPointer(self->y), *r = N_VGetArrayPointer(self->step);
    int status = warm_init(self);
    double residual = residual_at(self, y, r);

    if (self->first_residual == 0.0) {
        self->first_residual = residual;
    }
    while (status == 0 && residual > until &&
           self->info->warm_steps < self->options->max_steps) {
        if (residual > far_off) {
            rtl_generator_sweep(self->chain, y);
        }
        status = warm_step(self, exchange);
        residual = residual_at(self, y, r);
        if (status == 0) {
            status = poll(self, residual);
        }
    }
    return status;
}

/* Largest difference of two log laws, both normalised here. */
static double
largest_change(size_t n, double *a, double *b)
{
    double largest = 0.0;

    rtl_direct_normalise(n, a);
    rtl_direct_normalise(n, b);
    for (size_t i = 0; i < n; i++) {
        largest = fmax(largest, fabs(a[i] - b[i]));
    }
    return largest;
}

/* Let the metastable parts exchange mass until that no longer changes log p. */
static int
polish(solver_t *self)
{
    size_t n = self->chain->n;
    double *y = N_VGetArrayPointer(self->y), *r = N_VGetArrayPointer(self->step);
    double *before = N_VGetArrayPointer(self->rhs);
    int status = 0;

    for (int round = 0; status == 0 && round < MOST_ROUNDS; round++) {
        double residual = residual_at(self, y, r), rtol = self->options->rtol;
        memcpy(before, y, n * sizeof *before);
        status = redistribute(self, 1);
        if (status != 0) {
            break;
        }
        double new_residual = residual_at(self, y, r);
        bool worse = !(new_residual <= fmax(residual, rtol));
        bool same = largest_change(n, y, before) <= settled;
        if (residual <= rtol && worse && (same || new_residual > far_off)) {
            /* nothing to exchange, or so steep that coarse rates underflow */
            memcpy(y, before, n * sizeof *before);
            break;
        }
        if (same && new_residual <= rtol) {
            break;
        }
        if (new_residual > far_off) {
            memcpy(y, before, n * sizeof *before);
            status = warm_up(self, rtol, false);
        } else {
            status = warm_up(self, rtol, true);
        }
    }
    return status;
}

static int
finish_init(solver_t *self)
{
    self->kinsol = KINCreate(self->sun.context);
    if (self->kinsol == NULL) {
        return RTL_NO_MEMORY;
    }
    int status = rtl_sun_capture_kinsol(&self->sun, self->kinsol);
    if (status != 0) {
        return status;
    }
    int newton_steps = self->options->max_steps < NEWTON_STEPS
                           ? self->options->max_steps
                           : NEWTON_STEPS;
    bool good = KINInit(self->kinsol, kinsol_function, self->y) == KIN_SUCCESS &&
                KINSetUserData(self->kinsol, self) == KIN_SUCCESS &&
                KINSetFuncNormTol(self->kinsol, self->options->rtol) == KIN_SUCCESS &&
                KINSetScaledStepTol(self->kinsol, 1e-14) == KIN_SUCCESS &&
                KINSetNumMaxIters(self->kinsol, newton_steps) == KIN_SUCCESS &&
                KINSetMaxSetupCalls(self->kinsol, 1) == KIN_SUCCESS &&
                KINSetEtaForm(self->kinsol, KIN_ETACONSTANT) == KIN_SUCCESS &&
                KINSetEtaConstValue(self->kinsol, newton_tolerance) == KIN_SUCCESS &&
                KINSetLinearSolver(self->kinsol, self->krylov, NULL) == KIN_SUCCESS &&
                KINSetPreconditioner(self->kinsol, kinsol_setup, kinsol_precondition) ==
                    KIN_SUCCESS &&
                KINSetJacTimesVecFn(self->kinsol, kinsol_times) == KIN_SUCCESS;
    return good ? 0 : RTL_SUNDIALS;
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
    memcpy(self->info->message, self->sun.message, RTL_SUN_MESSAGE);
    if (self->status != 0) {
        return self->status;
    }
    if (flag == KIN_MEM_FAIL || flag == KIN_MEM_NULL) {
        return RTL_NO_MEMORY;
    }
    return 0; /* whether it converged is for the residual to say */
}

static int
solve_krylov(solver_t *self, int has_guess, double *y)
{
    size_t n = self->chain->n;
    int status;

    if (!has_guess) {
        memset(y, 0, n * sizeof *y);
    }
    status = rtl_multilevel_init(&self->hierarchy, self->chain, y);
    if (status == 0 && !has_guess) {
        status = rtl_multilevel_multiply(&self->hierarchy, 2, y);
        if (status == 0) { /* aggregates of the real thing */
            rtl_multilevel_free(&self->hierarchy);
            status = rtl_multilevel_init(&self->hierarchy, self->chain, y);
        }
    }
    if (status == 0) {
        status = solver_init(self);
    }
    if (status == 0) {
        memcpy(N_VGetArrayPointer(self->y), y, n * sizeof *y);
        status = warm_up(self, warm_until, false);
    }
    if (status == 0) {
        status = finish(self);
    }
    if (status == 0) {
        status = polish(self);
    }
    if (self->y != NULL) {
        memcpy(y, N_VGetArrayPointer(self->y), n * sizeof *y);
        rtl_direct_normalise(n, y);
    }
    self->info->levels = self->hierarchy.n_levels;
    self->info->bytes = rtl_multilevel_bytes(&self->hierarchy) +
                        (2 * KRYLOV_VECTORS + 12) * n * sizeof(double);
    return status;
}

/* The answer's own check, from scratch. */
static int
verify(const rtl_generator_t *chain, const rtl_steady_options_t *options,
    const double *y, rtl_steady_info_t *info)
{
    info->residual = rtl_steady_residual(chain, y, &info->worst);
    return info->residual <= options->rtol ? 0 : RTL_NOT_CONVERGED;
}

static int
iterate(const rtl_generator_t *chain, const rtl_steady_options_t *options,
    int has_guess, double *y, rtl_steady_info_t *info)
{
    solver_t solver = {.chain = chain, .options = options, .info = info};

    info->method = RTL_STEADY_KRYLOV;
    int status = solve_krylov(&solver, has_guess, y);
    solver_free(&solver);
    return status == 0 ? verify(chain, options, y, info) : status;
}

int
rtl_steady_solve(const rtl_generator_t *chain, const rtl_steady_options_t *options,
    int has_guess, double *y, rtl_steady_info_t *info)
{
    int status;

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
        for (int sweep = 0; sweep < 4; sweep++) { /* for the order alone */
            rtl_generator_sweep(chain, y);
        }
        status = rtl_direct_dense(chain, y);
        info->bytes = chain->n * chain->n * sizeof(double);
        break;
    default:
        return iterate(chain, options, has_guess, y, info);
    }
    if (status != 0) {
        return status;
    }
    status = verify(chain, options, y, info);
    if (status == RTL_NOT_CONVERGED && options->method == RTL_STEADY_AUTO) {
        /* rates of the eliminated chain underflowed: p spans more than e^700 */
        status = iterate(chain, options, isfinite(info->residual), y, info);
    }
    return status;
}
