/* SPDX-License-Identifier: MIT */
#include "vector.h"

#include <string.h>

#include "test.h"

enum { N = 70001 };

static N_Vector
made(rtl_sun_t *sun, size_t n_threads, double frequency)
{
    N_Vector v = rtl_vector_new(sun, N, (rtl_team_t) {.n_threads = n_threads});

    CHECK(v != NULL);
    for (int i = 0; i < N; i++) {
        N_VGetArrayPointer(v)[i] = sin(frequency * (double) i);
    }
    return v;
}

/* Our loops against SUNDIALS' own. */
static void
test_loops(rtl_sun_t *sun, size_t n_threads)
{
    N_Vector x = made(sun, n_threads, 0.7), y = made(sun, n_threads, 1.3);
    N_Vector z = N_VClone(x), expected = N_VNew_Serial(N, sun->context);
    const double *out = N_VGetArrayPointer(z), *right = N_VGetArrayPointer(expected);
    double factors[] = {2.0, -3.0, 0.5};
    N_Vector all[] = {z, x, y};

    CHECK(z != NULL && expected != NULL && N_VGetLength(z) == N);
    N_VLinearSum_Serial(2.0, x, -3.0, y, expected);
    N_VLinearSum(2.0, x, -3.0, y, z);
    CHECK(memcmp(out, right, N * sizeof *out) == 0);
    N_VProd_Serial(x, y, expected);
    N_VProd(x, y, z);
    CHECK(memcmp(out, right, N * sizeof *out) == 0);
    N_VScale(-1.5, x, z);
    N_VScale_Serial(-1.5, x, expected);
    CHECK(memcmp(out, right, N * sizeof *out) == 0);
    CHECK(N_VLinearCombination(3, factors, all, z) == 0); /* -3 x - 3 x + y / 2 */
    for (int i = 0; i < N; i++) {
        double a = N_VGetArrayPointer(x)[i], b = N_VGetArrayPointer(y)[i];
        CHECK_CLOSE(out[i], -6.0 * a + 0.5 * b, 1e-14);
    }
    CHECK_CLOSE(N_VDotProd(x, y), N_VDotProd_Serial(x, y), 1e-9);
    CHECK_CLOSE(N_VWL2Norm(x, y), N_VWL2Norm_Serial(x, y), 1e-9);
    CHECK_CLOSE(N_VWrmsNorm(x, y), N_VWrmsNorm_Serial(x, y), 1e-12);
    CHECK(N_VMaxNorm(z) == N_VMaxNorm_Serial(z));
    N_VGetArrayPointer(z)[5] = NAN;
    CHECK(isnan(N_VMaxNorm(z)));
    N_VConst(4.0, z);
    CHECK(N_VMaxNorm(z) == 4.0 && N_VMin(z) == 4.0);
    N_VDestroy(x);
    N_VDestroy(y);
    N_VDestroy(z);
    N_VDestroy(expected);
}

static void
test_same_bits(rtl_sun_t *sun)
{
    N_Vector x = made(sun, 1, 0.3), y = made(sun, 3, 0.3);

    CHECK(N_VDotProd(x, x) == N_VDotProd(y, y));
    CHECK(N_VWL2Norm(x, x) == N_VWL2Norm(y, y));
    N_VDestroy(x);
    N_VDestroy(y);
}

static int
make_and_clone(void *data)
{
    rtl_sun_t *sun = data;
    N_Vector x = rtl_vector_new(sun, 10, (rtl_team_t) {.n_threads = 1});
    N_Vector y = x != NULL ? N_VClone(x) : NULL;
    int status = x == NULL || sun->no_memory ? RTL_NO_MEMORY : 0;

    if (x != NULL) { /* a failed clone is empty, and its loops do nothing */
        CHECK(y != NULL && N_VGetLength(y) == (status == 0 ? 10 : 0));
        N_VLinearSum(1.0, x, 2.0, y, y);
        CHECK(N_VDotProd(x, y) == 0.0);
        N_VDestroy(y);
        N_VDestroy(x);
    }
    sun->no_memory = false;
    return status;
}

int
main(void)
{
    rtl_sun_t sun;

    CHECK(rtl_sun_init(&sun) == 0);
    test_loops(&sun, 1);
    test_loops(&sun, 3);
    test_same_bits(&sun);
    CHECK(
        rtl_vector_new(&sun, (size_t) 1 << 40, (rtl_team_t) {.n_threads = 1}) == NULL);
    check_every_allocation_failure(make_and_clone, &sun);
    rtl_sun_free(&sun);
    return 0;
}
