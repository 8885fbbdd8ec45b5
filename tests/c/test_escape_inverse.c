/* SPDX-License-Identifier: MIT */
#include "escape_inverse.h"

#include <string.h>

#include "direct.h"
#include "models.h"

/* A line of n states with uneven rates, left at both ends. */
static void
make_line(rtl_generator_t *chain, size_t n)
{
    size_t bad, m = 2 * (n - 1);
    int64_t *source = calloc(m, sizeof *source), *target = calloc(m, sizeof *source);
    double *rate = calloc(m, sizeof *rate);
    double *killing = rtl_memory_alloc(n, sizeof *killing);
    uint64_t seed = 5;

    CHECK(source != NULL && target != NULL && rate != NULL && killing != NULL);
    for (size_t i = 0; i + 1 < n; i++) {
        source[2 * i] = target[2 * i + 1] = (int64_t) i;
        target[2 * i] = source[2 * i + 1] = (int64_t) i + 1;
        rate[2 * i] = exp(4.0 * pseudo(&seed));
        rate[2 * i + 1] = exp(4.0 * pseudo(&seed));
    }
    killing[0] = 0.3;
    killing[n - 1] = 2.0;
    CHECK(rtl_generator_from_rates(chain, n, m, source, target, rate, &bad, NULL) == 0);
    rtl_generator_kill(chain, killing);
    free(source);
    free(target);
    free(rate);
}

/* -W x = m for each method, x to the bits that its method promises. */
static void
check_method(const rtl_generator_t *chain, rtl_steady_method_t method, double tolerance)
{
    enum { MOST = 300 };
    size_t n = chain->n;
    double m[MOST], x[MOST] = {0.0}, p[MOST], out[MOST];
    rtl_steady_options_t options = rtl_steady_defaults();
    rtl_steady_info_t info;
    rtl_escape_inverse_t inverse;
    uint64_t seed = 9;

    options.rtol = 1e-12;
    for (size_t i = 0; i < n; i++) {
        m[i] = 3.0 * pseudo(&seed);
    }
    rtl_direct_normalise(n, m);
    CHECK(rtl_escape_inverse_init(&inverse, chain, method, m, NULL) == 0);
    CHECK(rtl_escape_inverse_apply(&inverse, m, &options, x, &info) == 0);
    rtl_escape_inverse_free(&inverse);
    double flow = 0.0;
    for (size_t i = 0; i < n; i++) {
        p[i] = exp(x[i]);
        flow += chain->killing[i] * p[i];
    }
    CHECK_CLOSE(flow, 1.0, tolerance);
    rtl_generator_apply(chain, p, out);
    for (size_t i = 0; i < n; i++) {
        CHECK_CLOSE(-out[i], exp(m[i]), tolerance * chain->exit_rate[i] * p[i]);
    }
}

static void
test_methods(void)
{
    rtl_generator_t chain;

    make_line(&chain, 200);
    CHECK(rtl_escape_inverse_is_line(&chain));
    check_method(&chain, RTL_STEADY_CLOSED_FORM, 1e-12);
    check_method(&chain, RTL_STEADY_DIRECT, 1e-12);
    check_method(&chain, RTL_STEADY_KRYLOV, 1e-9);
    rtl_generator_free(&chain);
    make_random_chain(&chain, 300, 4, 3);
    double *killing = rtl_memory_alloc(300, sizeof *killing);
    CHECK(killing != NULL);
    killing[17] = 0.5;
    rtl_generator_kill(&chain, killing);
    CHECK(!rtl_escape_inverse_is_line(&chain));
    check_method(&chain, RTL_STEADY_DIRECT, 1e-12);
    check_method(&chain, RTL_STEADY_KRYLOV, 1e-9);
    double y[300] = {0.0};
    rtl_escape_inverse_t inverse;
    CHECK(rtl_escape_inverse_init(&inverse, &chain, RTL_STEADY_CLOSED_FORM, y, NULL) ==
          RTL_BAD_ARGUMENT);
    rtl_generator_free(&chain);
}

typedef struct {
    const rtl_generator_t *chain;
    rtl_steady_method_t method;
} case_t;

static int
solve(void *data)
{
    const case_t *self = data;
    double m[20], x[20] = {0.0};
    rtl_steady_options_t options = rtl_steady_defaults();
    rtl_steady_info_t info;
    rtl_escape_inverse_t inverse;

    for (size_t i = 0; i < 20; i++) {
        m[i] = -log(20.0);
    }
    int status = rtl_escape_inverse_init(&inverse, self->chain, self->method, x, NULL);
    if (status == 0) {
        status = rtl_escape_inverse_apply(&inverse, m, &options, x, &info);
    }
    rtl_escape_inverse_free(&inverse);
    return status;
}

int
main(void)
{
    rtl_generator_t chain;

    test_methods();
    make_line(&chain, 20);
    case_t line = {&chain, RTL_STEADY_CLOSED_FORM}, dense = {&chain, RTL_STEADY_DIRECT};
    case_t hub = {&chain, RTL_STEADY_KRYLOV};
    CHECK(check_every_allocation_failure(solve, &line) == 2);
    CHECK(check_every_allocation_failure(solve, &dense) == 5);
    CHECK(check_every_allocation_failure(solve, &hub) > 10);
    rtl_generator_free(&chain);
    return 0;
}
