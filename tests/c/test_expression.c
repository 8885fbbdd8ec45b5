/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "elementary_sine.h"
#include "expression.h"
#include "test.h"

enum { INPUTS = 3 };

/* One instruction on registers 0, 1, 2 at one point. */
static double
apply(int op, double a, double b, double c)
{
    rtl_expression_t tape;
    rtl_instruction_t program[] = {{op, {0, 1, 2}}};
    int32_t output[] = {INPUTS};
    double x[INPUTS] = {a, b, c}, out = -777.0;

    CHECK(rtl_expression_init(&tape, INPUTS, 0, NULL, 1, program, 1, output) == 0);
    CHECK(rtl_expression_evaluate(x, &out, 1, &tape) == 0);
    rtl_expression_free(&tape);
    return out;
}

static void
test_operations(void)
{
    const struct {
        int op;
        double a, b, c, value;
    } cases[] = {
        {RTL_OP_ADD, 3, 4, 0, 7},
        {RTL_OP_SUBTRACT, 3, 4, 0, -1},
        {RTL_OP_MULTIPLY, 3, 4, 0, 12},
        {RTL_OP_DIVIDE, 3, 4, 0, .75},
        {RTL_OP_POWER, 3, 4, 0, 81},
        {RTL_OP_MINIMUM, 3, 4, 0, 3},
        {RTL_OP_MAXIMUM, 3, 4, 0, 4},
        {RTL_OP_ATAN2, 1, -1, 0, 2.356194490192345},
        {RTL_OP_MODULO, 7, 3, 0, 1},
        {RTL_OP_MODULO, -7, 3, 0, 2},
        {RTL_OP_MODULO, 7, -3, 0, -2},
        {RTL_OP_MODULO, -6, 3, 0, 0},
        {RTL_OP_NEGATE, 3, 0, 0, -3},
        {RTL_OP_SQUARE, -3, 0, 0, 9},
        {RTL_OP_SQRT, 9, 0, 0, 3},
        {RTL_OP_EXP, 1, 0, 0, 2.718281828459045},
        {RTL_OP_LOG, 2, 0, 0, .6931471805599453},
        {RTL_OP_SIN, 1, 0, 0, .8414709848078965},
        {RTL_OP_COS, 1, 0, 0, .5403023058681398},
        {RTL_OP_TAN, 1, 0, 0, 1.5574077246549023},
        {RTL_OP_ASIN, .5, 0, 0, .5235987755982989},
        {RTL_OP_ACOS, .5, 0, 0, 1.0471975511965979},
        {RTL_OP_ATAN, .5, 0, 0, .4636476090008061},
        {RTL_OP_SINH, 1, 0, 0, 1.1752011936438014},
        {RTL_OP_COSH, 1, 0, 0, 1.5430806348152437},
        {RTL_OP_TANH, 1, 0, 0, .7615941559557649},
        {RTL_OP_ASINH, 1, 0, 0, .881373587019543},
        {RTL_OP_ACOSH, 2, 0, 0, 1.3169578969248166},
        {RTL_OP_ATANH, .5, 0, 0, .5493061443340548},
        {RTL_OP_ABS, -3, 0, 0, 3},
        {RTL_OP_SIGN, -3, 0, 0, -1},
        {RTL_OP_SIGN, 0, 0, 0, 0},
        {RTL_OP_SIGN, .1, 0, 0, 1},
        {RTL_OP_FLOOR, -1.5, 0, 0, -2},
        {RTL_OP_CEILING, -1.5, 0, 0, -1},
        {RTL_OP_ERF, .5, 0, 0, .5204998778130465},
        {RTL_OP_ERFC, .5, 0, 0, .4795001221869535},
        {RTL_OP_GAMMA, 4.5, 0, 0, 11.631728396567448},
        {RTL_OP_LOG_GAMMA, 4.5, 0, 0, 2.4537365708424423},
        {RTL_OP_LESS, 3, 4, 0, 1},
        {RTL_OP_LESS, 4, 4, 0, 0},
        {RTL_OP_LESS_EQUAL, 4, 4, 0, 1},
        {RTL_OP_LESS_EQUAL, 5, 4, 0, 0},
        {RTL_OP_EQUAL, 4, 4, 0, 1},
        {RTL_OP_EQUAL, 3, 4, 0, 0},
        {RTL_OP_NOT_EQUAL, 3, 4, 0, 1},
        {RTL_OP_NOT_EQUAL, 4, 4, 0, 0},
        {RTL_OP_AND, 1, 1, 0, 1},
        {RTL_OP_AND, 1, 0, 0, 0},
        {RTL_OP_OR, 1, 0, 0, 1},
        {RTL_OP_OR, 0, 0, 0, 0},
        {RTL_OP_NOT, 1, 0, 0, 0},
        {RTL_OP_NOT, 0, 0, 0, 1},
        {RTL_OP_SELECT, 1, 5, 6, 5},
        {RTL_OP_SELECT, 0, 5, 6, 6},
        {RTL_OP_PLUS_PRODUCT, 5, 6, 7, 47},
        {RTL_OP_MINUS_PRODUCT, 5, 6, 7, -37},
        {RTL_OP_COPY, 5, 0, 0, 5},
    };
    int seen[RTL_OP_COUNT] = {0};

    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        double got = apply(cases[k].op, cases[k].a, cases[k].b, cases[k].c);
        CHECK_CLOSE(got, cases[k].value, 4e-15 * fabs(cases[k].value));
        seen[cases[k].op] = 1;
    }
    for (int op = 0; op < RTL_OP_COUNT; op++) {
        CHECK(seen[op]);
        CHECK(rtl_expression_op_name(op) != NULL);
        CHECK(rtl_expression_op_arity(op) >= 1 && rtl_expression_op_arity(op) <= 3);
    }
    CHECK(strcmp(rtl_expression_op_name(RTL_OP_SELECT), "SELECT") == 0);
    CHECK(rtl_expression_op_name(RTL_OP_COUNT) == NULL);
    CHECK(rtl_expression_op_name(-1) == NULL && rtl_expression_op_arity(-1) == 0);
}

static void
test_not_finite(void)
{
    CHECK(isnan(apply(RTL_OP_MINIMUM, NAN, 1, 0)));
    CHECK(isnan(apply(RTL_OP_MINIMUM, 1, NAN, 0)));
    CHECK(isnan(apply(RTL_OP_MAXIMUM, NAN, 1, 0)));
    CHECK(isnan(apply(RTL_OP_MAXIMUM, 1, NAN, 0)));
    CHECK(isnan(apply(RTL_OP_SIGN, NAN, 0, 0)));
    CHECK(isnan(apply(RTL_OP_MODULO, 1, 0, 0)));
    CHECK(apply(RTL_OP_LESS, NAN, 1, 0) == 0.0);
    CHECK(apply(RTL_OP_NOT_EQUAL, NAN, NAN, 0) == 1.0);
    CHECK(apply(RTL_OP_SELECT, 1, 5, NAN) == 5.0);
    CHECK(apply(RTL_OP_SELECT, 0, INFINITY, 6) == 6.0);
    CHECK(isinf(apply(RTL_OP_DIVIDE, 1, 0, 0)));
    CHECK(apply(RTL_OP_ATAN2, 1, INFINITY, 0) == 0.0);
}

/* Every op gives the same bits in both builds, in blocks and point by point. */
static void
test_builds_agree(void)
{
    enum { N = 601 };
    static double x[3 * N], both[2][N], one;
    const double special[] = {0.0, -0.0, 1.0, -1.0, INFINITY, -INFINITY, NAN, 1e-310,
        1e300, -1e300, 2e6, -3.5e9, 709.9, -745.2};
    const size_t n_special = sizeof special / sizeof *special;

    for (size_t i = 0; i < 3 * N; i++) {
        double u = fmod((double) i * 0.6180339887498949, 1.0) - 0.5;
        x[i] = i % 7 == 3 ? special[i / 7 % n_special]
                          : 20.0 * u * pow(10.0, (double) (i % 5) - 3.0);
    }
    for (int op = 0; op < RTL_OP_COUNT; op++) {
        const rtl_instruction_t program[] = {{op, {0, 1, 2}}};
        const int32_t output[] = {3};
        rtl_expression_t tape;
        CHECK(rtl_expression_init(&tape, 3, 0, NULL, 1, program, 1, output) == 0);
        for (int portable = 0; portable < 2; portable++) {
            rtl_processor_use_portable(portable);
            CHECK(rtl_expression_evaluate(x, both[portable], N, &tape) == 0);
        }
        rtl_processor_use_portable(false);
        for (size_t i = 0; i < N; i++) {
            double point[] = {x[i], x[N + i], x[2 * N + i]};
            CHECK(rtl_expression_evaluate(point, &one, 1, &tape) == 0);
            bool nan = isnan(one) && isnan(both[0][i]) && isnan(both[1][i]);
            CHECK(nan ||
                  (rtl_elementary_bits(one) == rtl_elementary_bits(both[0][i]) &&
                      rtl_elementary_bits(one) == rtl_elementary_bits(both[1][i])));
        }
        CHECK(rtl_expression_evaluate(x, both[0], 0, &tape) == 0);
        rtl_expression_free(&tape);
    }
}

/* --- random programs against a register machine that never shares a row ----- */

enum { PROGRAM = 60, OUTPUTS = 7 };

static uint32_t
draw(uint32_t *state, uint32_t below)
{
    *state = *state * 1664525u + 1013904223u;
    return (*state >> 8) % below;
}

static const int some_ops[] = {RTL_OP_ADD, RTL_OP_SUBTRACT, RTL_OP_MULTIPLY,
    RTL_OP_MINIMUM, RTL_OP_NEGATE, RTL_OP_LESS, RTL_OP_SELECT, RTL_OP_SIN,
    RTL_OP_PLUS_PRODUCT, RTL_OP_MINUS_PRODUCT};

static double
one_step(int op, double a, double b, double c)
{
    switch (op) {
    case RTL_OP_ADD:
        return a + b;
    case RTL_OP_SUBTRACT:
        return a - b;
    case RTL_OP_MULTIPLY:
        return a * b;
    case RTL_OP_MINIMUM:
        return a < b ? a : b;
    case RTL_OP_NEGATE:
        return -a;
    case RTL_OP_LESS:
        return a < b;
    case RTL_OP_SELECT:
        return a != 0.0 ? b : c;
    case RTL_OP_PLUS_PRODUCT:
        return a + b * c;
    case RTL_OP_MINUS_PRODUCT:
        return a - b * c;
    default:
        return fabs(a) > RTL_ELEMENTARY_ANGLE ? sin(a) : rtl_elementary_sine(a, 0);
    }
}

static void
check_random_program(uint32_t seed, size_t n)
{
    rtl_expression_t tape;
    rtl_instruction_t program[PROGRAM];
    int32_t outputs[OUTPUTS];
    const double constants[] = {0.5, -1.25};
    double *x = rtl_memory_alloc(n * INPUTS, sizeof *x);
    double *out = rtl_memory_alloc(n * OUTPUTS, sizeof *out);
    uint32_t state = seed;

    CHECK(x != NULL && out != NULL);
    for (size_t i = 0; i < n * INPUTS; i++) {
        x[i] = (double) draw(&state, 1000) / 500.0 - 1.0;
    }
    for (uint32_t k = 0; k < PROGRAM; k++) {
        program[k].op = some_ops[draw(&state, sizeof some_ops / sizeof *some_ops)];
        for (int j = 0; j < 3; j++) {
            int32_t r = (int32_t) draw(&state, INPUTS + 2 + k); /* or what is new */
            program[k].argument[j] =
                draw(&state, 3) == 0 ? INPUTS + 1 + (int32_t) k : r;
        }
    }
    for (size_t k = 0; k < OUTPUTS; k++) {
        outputs[k] = (int32_t) draw(&state, INPUTS + 2 + PROGRAM);
    }
    CHECK(rtl_expression_init(
              &tape, INPUTS, 2, constants, PROGRAM, program, OUTPUTS, outputs) == 0);
    CHECK(tape.n_rows < INPUTS + 2 + PROGRAM + OUTPUTS);
    CHECK(rtl_expression_evaluate(x, out, (intptr_t) n, &tape) == 0);
    for (size_t i = 0; i < n; i++) {
        double r[INPUTS + 2 + PROGRAM] = {
            x[i], x[n + i], x[2 * n + i], constants[0], constants[1]};
        for (size_t k = 0; k < PROGRAM; k++) {
            const int32_t *a = program[k].argument;
            r[INPUTS + 2 + k] = one_step(program[k].op, r[a[0]], r[a[1]], r[a[2]]);
        }
        for (size_t k = 0; k < OUTPUTS; k++) {
            CHECK(out[k * n + i] == r[outputs[k]]);
        }
    }
    rtl_expression_free(&tape);
    rtl_memory_free(x);
    rtl_memory_free(out);
}

static void
test_random_programs(void)
{
    const size_t sizes[] = {1, 2, 31, 255, 256, 257, 1000};

    for (uint32_t seed = 0; seed < 40; seed++) {
        check_random_program(seed, sizes[seed % 7]);
    }
}

/* --- shape of a tape -------------------------------------------------------- */

static void
test_rows_are_shared(void)
{
    /* sin(sin(sin(...x))): two rows beside x and the result suffice, however long */
    rtl_instruction_t program[100];
    int32_t output[] = {100};
    rtl_expression_t tape;

    for (int32_t k = 0; k < 100; k++) {
        program[k] = (rtl_instruction_t) {RTL_OP_SIN, {k, 0, 0}};
    }
    CHECK(rtl_expression_init(&tape, 1, 0, NULL, 100, program, 1, output) == 0);
    CHECK(tape.n_rows == 4);
    rtl_expression_free(&tape);
}

static void
test_outputs_without_instructions(void)
{
    const double constants[] = {2.5};
    const int32_t outputs[] = {2, 0, 1, 0};
    double x[6] = {1, 2, 3, 4, 5, 6}, out[12];
    rtl_expression_t tape;

    CHECK(rtl_expression_init(&tape, 2, 1, constants, 0, NULL, 4, outputs) == 0);
    CHECK(rtl_expression_evaluate(x, out, 3, &tape) == 0);
    for (int i = 0; i < 3; i++) {
        CHECK(out[i] == 2.5 && out[3 + i] == x[i] && out[6 + i] == x[3 + i] &&
              out[9 + i] == x[i]);
    }
    CHECK(rtl_expression_evaluate(x, out, 0, &tape) == 0);
    rtl_expression_free(&tape);
    CHECK(rtl_expression_init(&tape, 2, 0, NULL, 0, NULL, 1, outputs + 1) == 0);
    CHECK(rtl_expression_evaluate(x, out, 3, &tape) == 0 && out[2] == 3.0);
    rtl_expression_free(&tape);
}

/* More rows than fit the stack: the sum of 10000 constants and x. */
enum { LONG = 1000 };

typedef struct {
    rtl_instruction_t program[2 * LONG - 1];
    double constants[LONG];
    int32_t output;
} long_program_t;

static int
run_long(void *data)
{
    const long_program_t *p = data;
    rtl_expression_t tape;
    double x[300], out[300];

    for (int i = 0; i < 300; i++) {
        x[i] = i;
    }
    int status = rtl_expression_init(
        &tape, 1, LONG, p->constants, 2 * LONG - 1, p->program, 1, &p->output);
    if (status == 0) {
        status = rtl_expression_evaluate(x, out, 300, &tape);
    }
    for (int i = 0; status == 0 && i < 300; i++) {
        CHECK(out[i] == LONG * (i + (LONG - 1.0) / 2.0));
    }
    rtl_expression_free(&tape);
    return status;
}

static void
test_long_tape(void)
{
    long_program_t *p = rtl_memory_alloc(1, sizeof *p);

    CHECK(p != NULL);
    const int32_t sums = 1 + LONG; /* registers of x + k, which live until added */
    for (int32_t k = 0; k < LONG; k++) {
        p->constants[k] = k;
        p->program[k] = (rtl_instruction_t) {RTL_OP_ADD, {0, 1 + k, 0}};
    }
    for (int32_t k = 1; k < LONG; k++) {
        int32_t before = k == 1 ? sums : sums + LONG + k - 2;
        p->program[LONG + k - 1] =
            (rtl_instruction_t) {RTL_OP_ADD, {before, sums + k, 0}};
    }
    p->output = sums + 2 * LONG - 2;
    CHECK(check_every_allocation_failure(run_long, p) == 6);
    rtl_memory_free(p);
}

static void
test_bad_programs(void)
{
    rtl_expression_t tape;
    const double one[] = {1.0};
    const int32_t good[] = {2}, past[] = {3}, negative[] = {-1};
    const rtl_instruction_t fine = {RTL_OP_ADD, {0, 1, 99}}; /* the third is not read */
    const rtl_instruction_t bad[] = {{RTL_OP_ADD, {0, 2, 0}}, {RTL_OP_ADD, {0, -1, 0}},
        {RTL_OP_SELECT, {0, 1, 2}}, {RTL_OP_COUNT, {0, 0, 0}}, {-1, {0, 0, 0}}};

    CHECK(rtl_expression_init(&tape, 1, 1, one, 1, &fine, 1, good) == 0);
    rtl_expression_free(&tape);
    for (size_t k = 0; k < sizeof bad / sizeof *bad; k++) {
        CHECK(rtl_expression_init(&tape, 1, 1, one, 1, &bad[k], 1, good) ==
              RTL_BAD_ARGUMENT);
        rtl_expression_free(&tape); /* harmless */
    }
    CHECK(rtl_expression_init(&tape, 1, 1, one, 1, &fine, 1, past) == RTL_BAD_ARGUMENT);
    CHECK(rtl_expression_init(&tape, 1, 1, one, 1, &fine, 1, negative) ==
          RTL_BAD_ARGUMENT);
    CHECK(rtl_expression_init(&tape, SIZE_MAX, 1, one, 1, &fine, 1, good) ==
          RTL_TOO_LARGE);
}

int
main(void)
{
    test_operations();
    test_not_finite();
    test_builds_agree();
    test_random_programs();
    test_rows_are_shared();
    test_outputs_without_instructions();
    test_long_tape();
    test_bad_programs();
    return 0;
}
