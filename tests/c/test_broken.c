/* SPDX-License-Identifier: MIT */
/* Solvers that lie: the linker puts the functions below in the place of the core's and
 * of SUNDIALS' (--wrap, see the Makefile), and each spoils what the real one does while
 * claiming success. What comes out is right all the same or is refused. */
#include <cvode/cvode.h>
#include <kinsol/kinsol.h>
#include <string.h>

#include "direct.h"
#include "escape.h"
#include "escape_inverse.h"
#include "evolve.h"
#include "log_mean.h"
#include "mixing.h"
#include "models.h"
#include "nested.h"
#include "resolve.h"
#include "steady_newton.h"

typedef enum {
    HONEST,
    IDLE,      /* nothing is done */
    PERTURBED, /* done, then one number is off by 1e-4 */
    LOOSE,     /* done to a tolerance of a hundredth */
    NOT_A_NUMBER,
    N_FAULTS
} fault_t;

typedef enum {
    NEWTON,
    KINSOL,
    GMRES,
    DENSE,
    SPARSE,
    RING,
    MIXING,
    REWEIGH,
    INVERSE,
    CVODE,
    TOLERANCE,
    N_LIARS
} liar_t;

static struct {
    fault_t fault;
    liar_t liar;
    long lies; /* told so far */
} now;

/* What the named function is to do, this time. */
static fault_t
fault_of(liar_t who)
{
    if (now.fault == HONEST || now.liar != who) {
        return HONEST;
    }
    now.lies++;
    return now.fault;
}

static int
spoil(fault_t fault, int status, double *y)
{
    y[3] += fault == PERTURBED ? 1e-4 : fault == NOT_A_NUMBER ? NAN : 0.0;
    return status;
}

/* --- what lies ----------------------------------------------------------------------
 */

int __real_rtl_steady_newton(const rtl_generator_t *chain, rtl_geometric_t *geometric,
    const rtl_steady_options_t *options, bool has_guess, double *y,
    rtl_steady_info_t *info);
int __wrap_rtl_steady_newton(const rtl_generator_t *chain, rtl_geometric_t *geometric,
    const rtl_steady_options_t *options, bool has_guess, double *y,
    rtl_steady_info_t *info);
int
__wrap_rtl_steady_newton(const rtl_generator_t *chain, rtl_geometric_t *geometric,
    const rtl_steady_options_t *options, bool has_guess, double *y,
    rtl_steady_info_t *info)
{
    fault_t fault = fault_of(NEWTON);
    rtl_steady_options_t own = *options;

    if (fault == IDLE) {
        for (size_t i = 0; i < chain->n && !has_guess; i++) {
            y[i] = -log((double) chain->n);
        }
        return 0;
    }
    own.rtol = fault == LOOSE ? 1e-2 : own.rtol;
    return spoil(
        fault, __real_rtl_steady_newton(chain, geometric, &own, has_guess, y, info), y);
}

int __real_KINSol(
    void *kinsol, N_Vector y, int strategy, N_Vector u_scale, N_Vector f_scale);
int __wrap_KINSol(
    void *kinsol, N_Vector y, int strategy, N_Vector u_scale, N_Vector f_scale);
int
__wrap_KINSol(
    void *kinsol, N_Vector y, int strategy, N_Vector u_scale, N_Vector f_scale)
{
    fault_t fault = fault_of(KINSOL);

    if (fault == LOOSE) {
        KINSetFuncNormTol(kinsol, 1e-2);
    }
    int status = fault == IDLE ? KIN_SUCCESS
                               : __real_KINSol(kinsol, y, strategy, u_scale, f_scale);
    return spoil(fault, status < 0 ? status : KIN_SUCCESS, N_VGetArrayPointer(y));
}

int __real_SUNLinSolSolve(
    SUNLinearSolver solver, SUNMatrix A, N_Vector x, N_Vector b, sunrealtype tolerance);
int __wrap_SUNLinSolSolve(
    SUNLinearSolver solver, SUNMatrix A, N_Vector x, N_Vector b, sunrealtype tolerance);
int
__wrap_SUNLinSolSolve(
    SUNLinearSolver solver, SUNMatrix A, N_Vector x, N_Vector b, sunrealtype tolerance)
{
    fault_t fault = fault_of(GMRES);
    double loose = 1e-2 * sqrt(N_VDotProd(b, b));

    if (fault == IDLE) {
        return 0;
    }
    int status =
        __real_SUNLinSolSolve(solver, A, x, b, fault == LOOSE ? loose : tolerance);
    return spoil(fault, status, N_VGetArrayPointer(x));
}

int __real_rtl_direct_dense(
    const rtl_generator_t *chain, rtl_monitor_t *monitor, double *y);
int __wrap_rtl_direct_dense(
    const rtl_generator_t *chain, rtl_monitor_t *monitor, double *y);
int
__wrap_rtl_direct_dense(const rtl_generator_t *chain, rtl_monitor_t *monitor, double *y)
{
    fault_t fault = fault_of(DENSE);

    return fault == IDLE ? 0
                         : spoil(fault, __real_rtl_direct_dense(chain, monitor, y), y);
}

int __real_rtl_direct_sparse(const rtl_generator_t *chain, double most_work,
    double most_bytes, rtl_monitor_t *monitor, double *y, size_t *bytes);
int __wrap_rtl_direct_sparse(const rtl_generator_t *chain, double most_work,
    double most_bytes, rtl_monitor_t *monitor, double *y, size_t *bytes);
int
__wrap_rtl_direct_sparse(const rtl_generator_t *chain, double most_work,
    double most_bytes, rtl_monitor_t *monitor, double *y, size_t *bytes)
{
    fault_t fault = fault_of(SPARSE);

    return fault == IDLE ? 0
                         : spoil(fault,
                               __real_rtl_direct_sparse(
                                   chain, most_work, most_bytes, monitor, y, bytes),
                               y);
}

int __real_rtl_direct_ring(const rtl_generator_t *chain, rtl_direct_shape_t shape,
    rtl_monitor_t *monitor, double *y);
int __wrap_rtl_direct_ring(const rtl_generator_t *chain, rtl_direct_shape_t shape,
    rtl_monitor_t *monitor, double *y);
int
__wrap_rtl_direct_ring(const rtl_generator_t *chain, rtl_direct_shape_t shape,
    rtl_monitor_t *monitor, double *y)
{
    fault_t fault = fault_of(RING);

    return fault == IDLE
               ? 0
               : spoil(fault, __real_rtl_direct_ring(chain, shape, monitor, y), y);
}

int __real_rtl_mixing_solve(const rtl_generator_t *chain, double tolerance,
    rtl_monitor_t *monitor, double *y, long *n_rounds);
int __wrap_rtl_mixing_solve(const rtl_generator_t *chain, double tolerance,
    rtl_monitor_t *monitor, double *y, long *n_rounds);
int
__wrap_rtl_mixing_solve(const rtl_generator_t *chain, double tolerance,
    rtl_monitor_t *monitor, double *y, long *n_rounds)
{
    fault_t fault = fault_of(MIXING);

    if (fault == IDLE) {
        memset(y, 0, chain->n * sizeof *y);
        return 0;
    }
    tolerance = fault == LOOSE ? 1e-2 : tolerance;
    return spoil(
        fault, __real_rtl_mixing_solve(chain, tolerance, monitor, y, n_rounds), y);
}

int __real_rtl_escape_inverse_apply(rtl_escape_inverse_t *self, const double *m,
    const rtl_steady_options_t *options, double *x, rtl_steady_info_t *info);
int __wrap_rtl_escape_inverse_apply(rtl_escape_inverse_t *self, const double *m,
    const rtl_steady_options_t *options, double *x, rtl_steady_info_t *info);
int
__wrap_rtl_escape_inverse_apply(rtl_escape_inverse_t *self, const double *m,
    const rtl_steady_options_t *options, double *x, rtl_steady_info_t *info)
{
    fault_t fault = fault_of(INVERSE);

    memset(info, 0, sizeof *info);
    return fault == IDLE
               ? 0
               : spoil(fault,
                     __real_rtl_escape_inverse_apply(self, m, options, x, info), x);
}

void __real_rtl_log_mean_reweigh(rtl_log_mean_t *self, const double *y, double floor);
void __wrap_rtl_log_mean_reweigh(rtl_log_mean_t *self, const double *y, double floor);
void
__wrap_rtl_log_mean_reweigh(rtl_log_mean_t *self, const double *y, double floor)
{
    fault_t fault = fault_of(REWEIGH);
    rtl_generator_t *out = &self->reweighted;

    if (fault == IDLE || (fault == LOOSE && now.lies > 1)) {
        return; /* the rates stay what they were, which looks settled */
    }
    __real_rtl_log_mean_reweigh(self, y, floor);
    for (size_t i = 0; fault == PERTURBED && i < out->n; i++) {
        for (size_t e = out->start[i]; e < out->start[i + 1]; e++) {
            double w = out->rate[e]; /* half of what reweighting changes */
            out->rate[e] = 0.5 * (w + self->chain->rate[e]);
            out->exit_rate[out->source[e]] += out->rate[e] - w;
        }
    }
    out->rate[3] += fault == NOT_A_NUMBER ? NAN : 0.0;
}

int __real_CVode(
    void *cvode, sunrealtype t, N_Vector p, sunrealtype *reached, int task);
int __wrap_CVode(
    void *cvode, sunrealtype t, N_Vector p, sunrealtype *reached, int task);
int
__wrap_CVode(void *cvode, sunrealtype t, N_Vector p, sunrealtype *reached, int task)
{
    fault_t fault = fault_of(CVODE);
    double *state = N_VGetArrayPointer(p);

    if (fault == IDLE) {
        *reached = t;
        return CV_SUCCESS;
    }
    int status = __real_CVode(cvode, fault == LOOSE ? 0.5 * t : t, p, reached, task);
    if (fault == PERTURBED) { /* the mass stays what it was */
        double moved = 0.05 * state[3];
        state[3] -= moved;
        state[4] += moved;
    }
    state[3] += fault == NOT_A_NUMBER ? NAN : 0.0;
    return status;
}

int __real_CVodeSStolerances(void *cvode, sunrealtype rtol, sunrealtype atol);
int __wrap_CVodeSStolerances(void *cvode, sunrealtype rtol, sunrealtype atol);
int
__wrap_CVodeSStolerances(void *cvode, sunrealtype rtol, sunrealtype atol)
{
    bool honest = fault_of(TOLERANCE) == HONEST;

    return __real_CVodeSStolerances(cvode, honest ? rtol : 0.3, honest ? atol : 0.1);
}

/* --- what is asked of them ----------------------------------------------------------
 */

/* A whole solution: y and its status; each has n values. */
typedef struct {
    const char *name;
    size_t n;
    int (*solve)(void *self, double *y);
    rtl_generator_t chain;
    rtl_grid_t grid;
    rtl_model_t model;
    rtl_steady_method_t method;
    double drift, diffusion;
} task_t;

static rtl_steady_options_t
options_of(const task_t *task)
{
    rtl_steady_options_t options = rtl_steady_defaults();

    options.method = task->method;
    return options;
}

static int
solve_steady(void *data, double *y)
{
    task_t *task = data;
    rtl_steady_options_t options = options_of(task);
    rtl_steady_info_t info;

    return rtl_steady_solve(&task->chain, NULL, &options, false, y, &info);
}

static int
solve_escape(void *data, double *y)
{
    task_t *task = data;
    rtl_steady_options_t options = options_of(task);
    rtl_steady_info_t info;
    double kappa;

    return rtl_escape_solve(&task->chain, &options, false, y, &kappa, &info);
}

/* The logarithmic mean's flux must be the answer's; that it is not used is a refusal.
 */
static int
solve_nested(void *data, double *y)
{
    task_t *task = data;
    rtl_steady_options_t options = options_of(task);
    rtl_steady_info_t info;
    rtl_nested_flux_t flux;
    rtl_generator_t reweighted = {0};
    int status = rtl_nested_solve(&task->chain, &task->model, &task->grid, &options, y,
        &reweighted, &info, &flux, NULL);

    CHECK(flux.log_mean ? flux.defect < 1e-3 : isnan(flux.defect));
    rtl_generator_free(&reweighted);
    return status == 0 && !flux.log_mean ? RTL_NOT_CONVERGED : status;
}

/* (1 - gamma W) x = b; what the caller is told to look at is the residual. */
static int
solve_linear(void *data, double *x)
{
    task_t *task = data;
    rtl_resolve_t resolve;
    double *b = calloc(task->n, sizeof *b);

    CHECK(b != NULL && rtl_resolve_init(&resolve, &task->chain, 0.3, NULL, NULL) == 0);
    b[0] = 1.0;
    int status = rtl_resolve_run(&resolve, b, 1e-10, NULL, x);
    status = status == 0 && !(resolve.residual <= 1e-9) ? RTL_NOT_CONVERGED : status;
    rtl_resolve_free(&resolve);
    free(b);
    return status;
}

/* The law at t = 1; refused as `evolve` refuses it. */
static int
solve_evolution(void *data, double *p)
{
    task_t *task = data;
    rtl_evolve_t evolve;

    memset(p, 0, task->n * sizeof *p);
    p[0] = 1.0;
    CHECK(rtl_evolve_init(&evolve, &task->chain, 0.0, p, NULL, 1e-8, 1e-12, NULL) == 0);
    int status = rtl_evolve_run(&evolve, 1.0, NULL, p);
    bool good = evolve.info.mass_error < 1e-6 && evolve.info.defect < 1e4;
    rtl_evolve_free(&evolve);
    return status == 0 && !good ? RTL_NOT_CONVERGED : status;
}

/* A task with each lie: how often it came out right all the same, and was refused. */
static void
try_each_lie(task_t *task, double tolerance)
{
    double *right = calloc(task->n, sizeof *right);
    double *y = calloc(task->n, sizeof *y);
    long told = 0, mended = 0, refused = 0;

    CHECK(right != NULL && y != NULL);
    CHECK(task->solve(task, right) == 0);
    for (int liar = 0; liar < (int) N_LIARS; liar++) {
        for (int fault = IDLE; fault < (int) N_FAULTS; fault++) {
            memset(y, 0, task->n * sizeof *y);
            now.fault = (fault_t) fault;
            now.liar = (liar_t) liar;
            now.lies = 0;
            int status = task->solve(task, y);
            now.fault = HONEST;
            if (now.lies == 0) {
                continue;
            }
            double worst = 0.0;
            for (size_t i = 0; i < task->n; i++) {
                worst = fmax(worst, fabs(y[i] - right[i]));
                worst = isnan(y[i]) ? INFINITY : worst;
            }
            told++;
            mended += status == 0;
            refused += status != 0;
            if (status == 0 && worst > tolerance) {
                fprintf(stderr, "%s: function %d, fault %d: off by %g\n", task->name,
                    liar, fault, worst);
                exit(1);
            }
        }
    }
    printf("%s: %ld lies, %ld came to nothing, %ld refused\n", task->name, told, mended,
        refused);
    CHECK(told > 0);
    free(right);
    free(y);
}

static void
try_chain(const char *name, task_t task, double tolerance)
{
    task.name = name;
    task.n = task.chain.n;
    try_each_lie(&task, tolerance);
    rtl_generator_free(&task.chain);
}

static void
try_grid(task_t task, const char *name, size_t n, rtl_boundary_t side, double tolerance)
{
    double peclet;

    task.name = name;
    task.n = n * n;
    task.drift = 3.0;
    task.diffusion = 1.0;
    task.model =
        model_of(2, well_drift, &task.drift, constant_diffusion, &task.diffusion);
    make_grid(&task.grid, 2, n, 2.0, side);
    CHECK(rtl_finite_volume_assemble(
              &task.chain, &task.model, &task.grid, &peclet, 1, NULL, NULL) == 0);
    try_each_lie(&task, tolerance);
    rtl_generator_free(&task.chain);
    rtl_grid_free(&task.grid);
}

int
main(void)
{
    double up[40], down[40];
    task_t task = {.solve = solve_steady};

    make_random_chain(&task.chain, 60, 4, 1);
    try_chain("dense", task, 1e-8);
    make_random_chain(&task.chain, 1500, 4, 2);
    try_chain("random", task, 1e-8);
    make_random_chain(&task.chain, 300, 3, 3);
    task.method = RTL_STEADY_KRYLOV;
    try_chain("iterations", task, 1e-8);
    task.method = RTL_STEADY_DIRECT;
    make_random_chain(&task.chain, 300, 3, 3);
    try_chain("direct", task, 1e-8);
    for (size_t i = 0; i < 40; i++) {
        up[i] = 1.0 + 0.5 * sin((double) i);
        down[i] = 1.0;
    }
    task.method = RTL_STEADY_AUTO;
    make_ring(&task.chain, 40, up, down);
    try_chain("ring", task, 1e-8);
    task.solve = solve_nested; /* right to the change of the last round */
    try_grid(task, "log-mean flux", 20, RTL_REFLECTING, 5e-3);
    task.solve = solve_escape;
    try_grid(task, "escape", 12, RTL_ABSORBING, 1e-7);
    task.method = RTL_STEADY_KRYLOV;
    try_grid(task, "escape by iterations", 12, RTL_ABSORBING, 1e-7);
    task.solve = solve_linear;
    make_random_chain(&task.chain, 60, 4, 1);
    try_chain("linear", task, 1e-8);
    task.solve = solve_evolution;
    make_ring(&task.chain, 40, up, down);
    try_chain("evolution", task, 1e-5);
    return 0;
}
