/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "expression.h"
#include "model.h"
#include "test.h"

/* --- functions of two coordinates (x, y) over blocks ------------------------ */

static int
swirl(const double *x, double *out, intptr_t n, void *data)
{
    (void) data;
    for (intptr_t i = 0; i < n; i++) {
        out[i] = x[n + i];
        out[n + i] = -x[i];
    }
    return 0;
}

/* 1 + x^2/2 */
static int
scalar(const double *x, double *out, intptr_t n, void *data)
{
    (void) data;
    for (intptr_t i = 0; i < n; i++) {
        out[i] = 1.0 + 0.5 * x[i] * x[i];
    }
    return 0;
}

/* 1 + x^2/2, 2 + sin(x) cos(y) */
static int
diagonal(const double *x, double *out, intptr_t n, void *data)
{
    (void) data;
    for (intptr_t i = 0; i < n; i++) {
        out[i] = 1.0 + 0.5 * x[i] * x[i];
        out[n + i] = 2.0 + sin(x[i]) * cos(x[n + i]);
    }
    return 0;
}

/* G = [[1 + x^2, y, x y], [x, 2 + y^2, 0]] */
static int
amplitude(const double *x, double *out, intptr_t n, void *data)
{
    (void) data;
    for (intptr_t i = 0; i < n; i++) {
        double a = x[i], b = x[n + i];
        out[0 * n + i] = 1.0 + a * a;
        out[1 * n + i] = b;
        out[2 * n + i] = a * b;
        out[3 * n + i] = a;
        out[4 * n + i] = 2.0 + b * b;
        out[5 * n + i] = 0.0;
    }
    return 0;
}

/* D of that G */
static int
tensor(const double *x, double *out, intptr_t n, void *data)
{
    (void) data;
    for (intptr_t i = 0; i < n; i++) {
        double a = x[i], b = x[n + i];
        out[0 * n + i] = 0.5 * ((1.0 + a * a) * (1.0 + a * a) + b * b + a * a * b * b);
        out[1 * n + i] = 0.5 * ((1.0 + a * a) * a + b * (2.0 + b * b));
        out[2 * n + i] = out[1 * n + i];
        out[3 * n + i] = 0.5 * (a * a + (2.0 + b * b) * (2.0 + b * b));
    }
    return 0;
}

/* a rotation times 2: D = 2 I, by cancellation */
static int
rotation(const double *x, double *out, intptr_t n, void *data)
{
    (void) data;
    for (intptr_t i = 0; i < n; i++) {
        double c = 2.0 * cos(x[i]), s = 2.0 * sin(x[i]);
        out[0 * n + i] = c;
        out[1 * n + i] = -s;
        out[2 * n + i] = s;
        out[3 * n + i] = c;
    }
    return 0;
}

/* The rows in `data` (four doubles), at every point but where x > 0.5: those after. */
static int
table(const double *x, double *out, intptr_t n, void *data)
{
    const double *rows = data;
    for (intptr_t i = 0; i < n; i++) {
        for (int r = 0; r < 4; r++) {
            out[r * n + i] = rows[x[i] > 0.5 ? 4 + r : r];
        }
    }
    return 0;
}

static int
two_rows(const double *x, double *out, intptr_t n, void *data)
{
    const double *rows = data;
    for (intptr_t i = 0; i < n; i++) {
        out[i] = rows[x[i] > 0.5 ? 2 : 0];
        out[n + i] = rows[x[i] > 0.5 ? 3 : 1];
    }
    return 0;
}

static int
refuses(const double *x, double *out, intptr_t n, void *data)
{
    (void) x;
    (void) out;
    (void) n;
    (void) data;
    return 7;
}

static rtl_model_t
make(rtl_interpretation_t interpretation, rtl_diffusion_kind_t kind, rtl_block_fn d,
    void *data)
{
    const size_t rows[] = {1, 2, 4, 1, 2, 6};
    rtl_model_t model = {.dim = 2,
        .interpretation = interpretation,
        .kind = kind,
        .n_noise = 3,
        .drift = {swirl, NULL, 2, true},
        .diffusion = {d, data, rows[kind], true}};

    return model;
}

/* --- diffusion -------------------------------------------------------------- */

enum { N = 5 };

static const double points[2 * N] = {
    -1.5, -0.25, 0.0, 0.5, 2.0, 0.75, -1.0, 0.0, 3.0, -0.125};

static void
test_scalar_and_diagonal(void)
{
    double d[4 * N], full[4 * N], r[N];
    rtl_model_t model = make(RTL_ITO, RTL_DIFFUSION_SCALAR, scalar, NULL);

    CHECK(rtl_model_check(&model) == 0 && rtl_model_is_diagonal(&model));
    CHECK(rtl_model_diagonal(&model, points, N, d, NULL) == 0);
    CHECK(rtl_model_tensor(&model, points, N, full, NULL) == 0);
    CHECK(rtl_model_rattling(&model, points, N, r, NULL) == 0);
    for (int i = 0; i < N; i++) {
        double value = 1.0 + 0.5 * points[i] * points[i];
        CHECK(d[i] == value && d[N + i] == value);
        CHECK(full[i] == value && full[3 * N + i] == value);
        CHECK(full[N + i] == 0.0 && full[2 * N + i] == 0.0);
        CHECK_CLOSE(r[i], log(2.0 * value), 1e-15);
    }
    model = make(RTL_ITO, RTL_DIFFUSION_NOISE_DIAGONAL, diagonal, NULL);
    CHECK(rtl_model_check(&model) == 0 && rtl_model_is_diagonal(&model));
    CHECK(rtl_model_diagonal(&model, points, N, d, NULL) == 0);
    CHECK(rtl_model_tensor(&model, points, N, full, NULL) == 0);
    for (int i = 0; i < N; i++) {
        double g = 2.0 + sin(points[i]) * cos(points[N + i]);
        CHECK_CLOSE(d[N + i], 0.5 * g * g, 1e-15);
        CHECK(full[3 * N + i] == d[N + i] && full[i] == d[i] && full[N + i] == 0.0);
    }
    model = make(RTL_ITO, RTL_DIFFUSION_NOISE_SCALAR, scalar, NULL);
    CHECK(rtl_model_diagonal(&model, points, N, d, NULL) == 0);
    CHECK_CLOSE(d[2 * N - 1], 0.5 * 3.0 * 3.0, 1e-15);
}

static void
test_tensor(void)
{
    double d[4 * N], e[4 * N], r[N];
    rtl_model_t g = make(RTL_ITO, RTL_DIFFUSION_NOISE, amplitude, NULL);
    rtl_model_t t = make(RTL_ITO, RTL_DIFFUSION_TENSOR, tensor, NULL);
    rtl_fault_t fault = {0};

    CHECK(rtl_model_check(&g) == 0 && !rtl_model_is_diagonal(&g));
    CHECK(rtl_model_check(&t) == 0 && !rtl_model_is_diagonal(&t));
    CHECK(rtl_model_tensor(&g, points, N, d, NULL) == 0);
    CHECK(rtl_model_tensor(&t, points, N, e, NULL) == 0);
    for (int k = 0; k < 4 * N; k++) {
        CHECK_CLOSE(d[k], e[k], 1e-14 * fabs(e[k]));
    }
    CHECK(rtl_model_rattling(&g, points, N, r, NULL) == 0);
    for (int i = 0; i < N; i++) {
        double det = e[i] * e[3 * N + i] - e[N + i] * e[2 * N + i];
        CHECK_CLOSE(r[i], 0.5 * log(4.0 * det), 1e-14);
    }
    /* zero off the diagonal at the third point only */
    CHECK(rtl_model_diagonal(&t, points, N, d, &fault) == RTL_NOT_DIAGONAL);
    CHECK(fault.dim == 2 && fault.x[0] == -1.5 && fault.x[1] == 0.75);
    CHECK(fault.component == 1 && fault.columns == 2);
    CHECK(rtl_model_diagonal(&t, (double[]) {0.0, 0.0}, 1, d, NULL) == 0);
    CHECK(d[0] == 0.5 && d[1] == 2.0);
    /* round-off in G G^T is not an off-diagonal element */
    g = make(RTL_ITO, RTL_DIFFUSION_NOISE, rotation, NULL);
    g.n_noise = 2;
    g.diffusion.n_out = 4;
    CHECK(rtl_model_check(&g) == 0);
    CHECK(rtl_model_diagonal(&g, points, N, d, NULL) == 0);
    for (int k = 0; k < 2 * N; k++) {
        CHECK_CLOSE(d[k], 2.0, 1e-15);
    }
}

/* R of a constant tensor; NAN if it is not semidefinite. */
static double
rattling_of(double a, double b, double c, double d)
{
    double rows[8] = {a, b, c, d, a, b, c, d}, r = -1.0;
    rtl_model_t model = make(RTL_ITO, RTL_DIFFUSION_TENSOR, table, rows);
    rtl_fault_t fault = {0};

    int status = rtl_model_rattling(&model, points, 1, &r, &fault);
    if (status == RTL_NOT_POSITIVE_DEFINITE) {
        CHECK(fault.x[0] == points[0]);
        return NAN;
    }
    CHECK(status == 0);
    return r;
}

static void
test_semidefinite(void)
{
    CHECK_CLOSE(rattling_of(2, 1, 1, 3), 0.5 * log(20.0), 1e-15);
    CHECK(isnan(rattling_of(1, 2, 2, 1)));
    CHECK(isnan(rattling_of(0, 1, 1, 1)));
    CHECK(rattling_of(1, 2, 2, 4) == -INFINITY);
    CHECK(rattling_of(0, 0, 0, 0) == -INFINITY);
    CHECK(rattling_of(0, 0, 0, 3) == -INFINITY);
    /* units that differ by 1e24: neither is the matrix singular nor is it not */
    CHECK_CLOSE(rattling_of(1e-12, .5, .5, 1e12), 0.5 * log(3.0), 1e-14);
    CHECK(isnan(rattling_of(1e-12, 1.5, 1.5, 1e12)));
    CHECK_CLOSE(rattling_of(1e-300, 0, 0, 1e-300), log(2e-300), 1e-12);
}

static void
test_faults_of_diffusion(void)
{
    double d[4 * N];
    double asymmetric[8] = {2, 1, 1, 3, 2, 1, 1.5, 3};
    double negative[8] = {2, 1, 1, 3, 2, 1, 1, -3};
    double unknown[8] = {2, 1, 1, 3, 2, NAN, 1, 3};
    double nearly[8] = {2, 1, 1, 3, 2, 1, 1 + 1e-14, 3};
    rtl_fault_t fault = {0};
    rtl_model_t model = make(RTL_ITO, RTL_DIFFUSION_TENSOR, table, asymmetric);

    CHECK(rtl_model_tensor(&model, points, N, d, &fault) == RTL_NOT_SYMMETRIC);
    CHECK(fault.x[0] == 2.0 && fault.component == 1 && fault.value == -0.5);
    model.diffusion.data = negative;
    CHECK(rtl_model_tensor(&model, points, N, d, &fault) == RTL_NEGATIVE);
    CHECK(fault.x[0] == 2.0 && fault.component == 3 && fault.value == -3.0);
    model.diffusion.data = unknown;
    CHECK(rtl_model_tensor(&model, points, N, d, &fault) == RTL_NOT_FINITE);
    CHECK(fault.x[0] == 2.0 && fault.component == 1 && isnan(fault.value));
    CHECK(strcmp(fault.what, "diffusion") == 0 && fault.columns == 2);
    model.diffusion.data = nearly;
    CHECK(rtl_model_tensor(&model, points, N, d, &fault) == 0);
    CHECK(d[2 * N - 1] == d[3 * N - 1]);
    model = make(RTL_ITO, RTL_DIFFUSION_DIAGONAL, two_rows, negative + 4);
    negative[6] = -INFINITY;
    CHECK(rtl_model_diagonal(&model, points, N, d, &fault) == RTL_NOT_FINITE);
    negative[6] = -1.0;
    CHECK(rtl_model_diagonal(&model, points, N, d, &fault) == RTL_NEGATIVE);
    CHECK(fault.columns == 0 && fault.component == 0 && fault.x[1] == -0.125);
    /* the square of a finite amplitude may overflow */
    negative[4] = 1e200;
    model = make(RTL_ITO, RTL_DIFFUSION_NOISE_DIAGONAL, two_rows, negative + 4);
    CHECK(rtl_model_diagonal(&model, points, N, d, &fault) == RTL_NOT_FINITE);
}

/* --- drift ------------------------------------------------------------------ */

static void
check_drift(rtl_interpretation_t interpretation, rtl_diffusion_kind_t kind,
    rtl_block_fn d, void (*expected)(double x, double y, double *f))
{
    double f[2 * N], e[2];
    rtl_model_t model = make(interpretation, kind, d, NULL);

    CHECK(rtl_model_check(&model) == 0);
    CHECK(rtl_model_drift(&model, points, N, f, NULL) == 0);
    for (int i = 0; i < N; i++) {
        double x = points[i], y = points[N + i];
        expected(x, y, e);
        CHECK_CLOSE(f[i], y + e[0], 1e-9 * (1.0 + fabs(e[0])));
        CHECK_CLOSE(f[N + i], -x + e[1], 1e-9 * (1.0 + fabs(e[1])));
    }
}

static void
nothing(double x, double y, double *f)
{
    (void) x;
    (void) y;
    f[0] = f[1] = 0.0;
}

static void
half_scalar(double x, double y, double *f)
{
    (void) y;
    f[0] = 0.5 * x;
    f[1] = 0.0;
}

static void
half_diagonal(double x, double y, double *f)
{
    f[0] = 0.5 * x;
    f[1] = -0.5 * sin(x) * sin(y);
}

static void
whole_diagonal(double x, double y, double *f)
{
    f[0] = x;
    f[1] = -sin(x) * sin(y);
}

/* 1/2 sum_kj G_kj d_k G_ij of the amplitude above, by hand:
 * i = 0: G_00 2x + G_02 y + G_11 1 + G_12 x;  i = 1: G_00 1 + G_11 2y */
static void
stratonovich_amplitude(double x, double y, double *f)
{
    f[0] = 0.5 * ((1.0 + x * x) * 2.0 * x + x * y * y + (2.0 + y * y));
    f[1] = 0.5 * ((1.0 + x * x) + (2.0 + y * y) * 2.0 * y);
}

/* d_k D_ik of the tensor above */
static void
divergence(double x, double y, double *f)
{
    f[0] = 2.0 * x * (1.0 + x * x) + x * y * y + 0.5 * (2.0 + 3.0 * y * y);
    f[1] = 0.5 * (1.0 + 3.0 * x * x) + 2.0 * y * (2.0 + y * y);
}

static void
half_square(double x, double y, double *f)
{
    (void) y;
    f[0] = 0.5 * (1.0 + 0.5 * x * x) * x; /* G G' / 2 */
    f[1] = 0.0;
}

static void
test_noise_induced_drift(void)
{
    check_drift(RTL_ITO, RTL_DIFFUSION_DIAGONAL, diagonal, nothing);
    check_drift(RTL_STRATONOVICH, RTL_DIFFUSION_SCALAR, scalar, half_scalar);
    check_drift(RTL_STRATONOVICH, RTL_DIFFUSION_DIAGONAL, diagonal, half_diagonal);
    check_drift(RTL_ANTI_ITO, RTL_DIFFUSION_DIAGONAL, diagonal, whole_diagonal);
    check_drift(RTL_STRATONOVICH, RTL_DIFFUSION_NOISE_SCALAR, scalar, half_square);
    check_drift(
        RTL_STRATONOVICH, RTL_DIFFUSION_NOISE, amplitude, stratonovich_amplitude);
    check_drift(RTL_ANTI_ITO, RTL_DIFFUSION_NOISE, amplitude, divergence);
    check_drift(RTL_ANTI_ITO, RTL_DIFFUSION_TENSOR, tensor, divergence);
}

static void
test_faults_of_drift(void)
{
    double f[2 * N], unknown[4] = {0, 0, 1, NAN};
    rtl_fault_t fault = {0};
    rtl_model_t model = make(RTL_ITO, RTL_DIFFUSION_SCALAR, scalar, NULL);

    model.drift = (rtl_field_t) {two_rows, unknown, 2, true};
    CHECK(rtl_model_drift(&model, points, N, f, &fault) == RTL_NOT_FINITE);
    CHECK(strcmp(fault.what, "drift") == 0 && fault.component == 1);
    CHECK(fault.dim == 2 && fault.x[0] == 2.0 && fault.x[1] == -0.125);
    CHECK(rtl_model_drift(&model, points, N, f, NULL) == RTL_NOT_FINITE);
    model.drift = (rtl_field_t) {refuses, NULL, 2, false};
    CHECK(rtl_model_drift(&model, points, N, f, &fault) == RTL_CALLBACK);
    CHECK(fault.value == 7.0 && fault.dim == 0);
    CHECK(!rtl_model_thread_safe(&model));
    model.drift = (rtl_field_t) {swirl, NULL, 2, true};
    CHECK(rtl_model_thread_safe(&model));
    model.diffusion.evaluate = refuses;
    model.interpretation = RTL_ANTI_ITO;
    CHECK(rtl_model_drift(&model, points, N, f, &fault) == RTL_CALLBACK);
    CHECK(strcmp(fault.what, "diffusion") == 0);
}

/* --- one dimension, where everything is diagonal ---------------------------- */

/* G = (1 + x^2, 1) */
static int
two_sources(const double *x, double *out, intptr_t n, void *data)
{
    (void) data;
    for (intptr_t i = 0; i < n; i++) {
        out[i] = 1.0 + x[i] * x[i];
        out[n + i] = 1.0;
    }
    return 0;
}

static void
test_one_dimension(void)
{
    double d[N], f[N], r[N];
    rtl_model_t model = {.dim = 1,
        .kind = RTL_DIFFUSION_NOISE,
        .n_noise = 2,
        .drift = {scalar, NULL, 1, true},
        .diffusion = {two_sources, NULL, 2, true}};

    CHECK(rtl_model_check(&model) == 0 && rtl_model_is_diagonal(&model));
    CHECK(rtl_model_diagonal(&model, points, N, d, NULL) == 0);
    CHECK(rtl_model_tensor(&model, points, N, f, NULL) == 0);
    CHECK(rtl_model_rattling(&model, points, N, r, NULL) == 0);
    for (int i = 0; i < N; i++) {
        double g = 1.0 + points[i] * points[i];
        CHECK_CLOSE(d[i], 0.5 * (g * g + 1.0), 1e-14 * g * g);
        CHECK(f[i] == d[i]);
        CHECK_CLOSE(r[i], 0.5 * log(g * g + 1.0), 1e-14);
    }
    model.interpretation = RTL_STRATONOVICH;
    CHECK(rtl_model_drift(&model, points, N, f, NULL) == 0);
    model.kind = RTL_DIFFUSION_TENSOR; /* D = 1 + x^2/2 */
    model.diffusion = (rtl_field_t) {scalar, NULL, 1, true};
    CHECK(rtl_model_check(&model) == 0);
    CHECK(rtl_model_drift(&model, points, N, d, NULL) == 0);
    for (int i = 0; i < N; i++) {
        double x = points[i], drift = 1.0 + 0.5 * x * x;
        CHECK_CLOSE(f[i], drift + (1.0 + x * x) * x, 1e-9 * (1.0 + x * x));
        CHECK_CLOSE(d[i], drift + 0.5 * x, 1e-9);
    }
    model.length = 1.0e-3; /* a step of 6e-9, whose rounding counts for more */
    CHECK(rtl_model_drift(&model, points, N, d, NULL) == 0);
    for (int i = 0; i < N; i++) {
        double x = points[i], drift = 1.0 + 0.5 * x * x;
        CHECK_CLOSE(d[i], drift + 0.5 * x, 1e-6);
    }
}

/* --- construction, memory --------------------------------------------------- */

static void
test_check(void)
{
    rtl_model_t model = make(RTL_ITO, RTL_DIFFUSION_NOISE, amplitude, NULL);

    model.dim = 0;
    CHECK(rtl_model_check(&model) == RTL_BAD_ARGUMENT);
    model = make(RTL_ITO, RTL_DIFFUSION_NOISE, amplitude, NULL);
    model.n_noise = 0;
    CHECK(rtl_model_check(&model) == RTL_BAD_ARGUMENT);
    model = make(RTL_ITO, RTL_DIFFUSION_NOISE, NULL, NULL);
    CHECK(rtl_model_check(&model) == RTL_BAD_ARGUMENT);
    model = make(RTL_ITO, RTL_DIFFUSION_DIAGONAL, diagonal, NULL);
    model.diffusion.n_out = 1;
    CHECK(rtl_model_check(&model) == RTL_BAD_ARGUMENT);
    model = make(RTL_STRATONOVICH, RTL_DIFFUSION_TENSOR, tensor, NULL);
    CHECK(rtl_model_check(&model) == RTL_AMBIGUOUS);
}

enum { MANY = 1000 };

typedef int (*evaluate_fn)(
    const rtl_model_t *, const double *, size_t, double *, rtl_fault_t *);

typedef struct {
    rtl_model_t model;
    evaluate_fn evaluate;
} job_t;

static int
run_job(void *data)
{
    const job_t *job = data;
    static double x[2 * MANY], out[4 * MANY];

    return job->evaluate(&job->model, x, MANY, out, NULL);
}

static long
failures(rtl_interpretation_t interpretation, rtl_diffusion_kind_t kind, rtl_block_fn d,
    evaluate_fn evaluate)
{
    job_t job = {make(interpretation, kind, d, NULL), evaluate};

    return check_every_allocation_failure(run_job, &job);
}

static void
test_memory(void)
{
    const rtl_diffusion_kind_t noise = RTL_DIFFUSION_NOISE;

    CHECK(failures(RTL_ITO, noise, amplitude, rtl_model_drift) == 0);
    CHECK(failures(RTL_ITO, noise, amplitude, rtl_model_tensor) == 1);
    CHECK(failures(RTL_ITO, noise, amplitude, rtl_model_rattling) == 2);
    CHECK(failures(RTL_STRATONOVICH, noise, amplitude, rtl_model_drift) == 1);
    CHECK(failures(RTL_ANTI_ITO, noise, amplitude, rtl_model_drift) == 1 + 2 * 2);
    CHECK(failures(RTL_ITO, RTL_DIFFUSION_TENSOR, tensor, rtl_model_tensor) == 0);
    CHECK(failures(RTL_ITO, RTL_DIFFUSION_DIAGONAL, diagonal, rtl_model_diagonal) == 0);
    CHECK(failures(RTL_ITO, RTL_DIFFUSION_SCALAR, scalar, rtl_model_rattling) == 1);
}

/* A tape that runs out of memory says so, rather than "a user's function failed". */
static int
run_tape(void *data)
{
    enum { ROWS = 5000 };
    rtl_model_t model = make(RTL_ITO, RTL_DIFFUSION_SCALAR, scalar, NULL);
    rtl_instruction_t *program = rtl_memory_alloc(2 * ROWS, sizeof *program);
    rtl_expression_t tape = {0};
    const int32_t outputs[] = {1, 1 + 2 * ROWS};
    double f[2 * N];
    int status = RTL_NO_MEMORY;

    (void) data;
    if (program == NULL) {
        return status;
    }
    for (int32_t k = 0; k < ROWS; k++) { /* squares, all of which live until added */
        program[k] = (rtl_instruction_t) {RTL_OP_SQUARE, {0, 0, 0}};
        program[ROWS + k] = (rtl_instruction_t) {RTL_OP_ADD, {1 + ROWS + k, 2 + k, 0}};
    }
    status = rtl_expression_init(&tape, 2, 0, NULL, 2 * ROWS, program, 2, outputs);
    if (status == 0) {
        model.drift = (rtl_field_t) {rtl_expression_evaluate, &tape, 2, true};
        status = rtl_model_drift(&model, points, N, f, NULL);
    }
    rtl_expression_free(&tape);
    rtl_memory_free(program);
    return status;
}

int
main(void)
{
    test_scalar_and_diagonal();
    test_tensor();
    test_semidefinite();
    test_faults_of_diffusion();
    test_noise_induced_drift();
    test_faults_of_drift();
    test_one_dimension();
    test_check();
    test_memory();
    CHECK(check_every_allocation_failure(run_tape, NULL) == 7);
    return 0;
}
