/* SPDX-License-Identifier: MIT */
#include "estimate.h"
#include "test.h"

/* scipy.special.digamma and polygamma(1, x) */
static void
test_special_functions(void)
{
    static const double table[][3] = {
        {1e-3, -1000.5755719318103, 1000001.6425331959},
        {0.5, -1.9635100260214235, 4.9348022005446799},
        {1.0, -0.57721566490153287, 1.6449340668482266},
        {1.5, 0.03648997397857652, 0.93480220054467933},
        {2.5, 0.70315664064524319, 0.49035775610023491},
        {7.25, 1.9104535268837362, 0.1478792331589322},
        {10.0, 2.2517525890667209, 0.10516633568168576},
        {33.5, 3.4965458167228256, 0.030300712174923458},
        {1e4, 9.2102903711428503, 0.00010000500016666666},
    };

    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        double x = table[i][0], psi = table[i][1], psi1 = table[i][2];
        CHECK_CLOSE(rtl_estimate_digamma(x), psi, 2e-15 * fmax(1.0, fabs(psi)));
        CHECK_CLOSE(rtl_estimate_trigamma(x), psi1, 2e-15 * psi1);
    }
}

static void
test_log_det(void)
{
    const double inf = INFINITY;
    const double a[] = {4.0, 2.0, -2.0, 2.0, 5.0, 3.0, -2.0, 3.0, 14.0};
    const double flat[] = {1.0, 2.0, 2.0, 4.0}, zero[] = {0.0, 0.0, 0.0, 1.0};
    const double units[] = {1e-20, 5e-3, 5e-3, 1e16}, unknown[] = {1.0, NAN, NAN, 1.0};
    double work[9];

    CHECK_CLOSE(rtl_estimate_log_det(3, a, work), log(4.0 * 4.0 * 9.0), 1e-14);
    CHECK(rtl_estimate_log_det(2, flat, work) == -inf);
    CHECK(rtl_estimate_log_det(2, zero, work) == -inf);
    CHECK_CLOSE(rtl_estimate_log_det(2, units, work), log(0.75e-4), 1e-14);
    CHECK(isnan(rtl_estimate_log_det(2, unknown, work)));
}

/* One dimension: psi(n/2) + log(2/n), and the law of chi^2 with 1 degree of freedom,
 * E log chi^2 = -gamma - log 2, Var log chi^2 = pi^2 / 2. */
static void
test_log_det_law(void)
{
    double bias, variance;

    rtl_estimate_log_det_law(1, 1.0, &bias, &variance);
    CHECK_CLOSE(bias, 0.5 * (-0.57721566490153287 - log(2.0)), 1e-15);
    CHECK_CLOSE(variance, 0.25 * 4.9348022005446799, 1e-14);
    /* many: -d (d + 1) / 4n and d / 2n, to 1/n^2 */
    rtl_estimate_log_det_law(3, 1e5, &bias, &variance);
    CHECK_CLOSE(bias, -3.0e-5, 1e-9);
    CHECK_CLOSE(variance, 1.5e-5, 1e-9);
}

static void
test_windows(void)
{
    /* v = 0, 1/sqrt 2, 3/sqrt 3 for rows 0-2 with dt = 1 */
    const double x[] = {5.0, 6.0, 8.0, 8.0, 8.0, 8.0, NAN};
    rtl_estimate_windows_t windows = {x, 7, 1, 1.0, 3, 1, RTL_SQRT_TIME, 2};
    double r[5], a = 1.0 / sqrt(2.0), b = sqrt(3.0), mean = (a + b) / 3.0;
    double c = 0.5 * (mean * mean + (a - mean) * (a - mean) + (b - mean) * (b - mean));

    CHECK(rtl_estimate_windowed(&windows, 5, r, NULL) == 0);
    CHECK_CLOSE(r[0], 0.5 * log(c), 1e-15);
    CHECK(r[3] == -INFINITY && isnan(r[4])); /* nothing moved; x unknown */
    windows.stride = 3;
    CHECK(rtl_estimate_windowed(&windows, 2, r, NULL) == 0 && r[1] == -INFINITY);
    /* increments 1, 2 and 2, 0: variances 1/2 and 2, halved by dt = 2 */
    windows.displacement = RTL_INCREMENTS;
    windows.stride = 1;
    windows.dt = 2.0;
    CHECK(rtl_estimate_windowed(&windows, 2, r, NULL) == 0);
    CHECK_CLOSE(r[0], 0.5 * log(0.25), 1e-15);
    CHECK_CLOSE(r[1], 0.5 * log(1.0), 1e-15);
    CHECK(rtl_estimate_windowed(&windows, 6, r, NULL) == RTL_BAD_ARGUMENT);
    windows.rows = 2;
    CHECK(rtl_estimate_windowed(&windows, 1, r, NULL) == RTL_BAD_ARGUMENT);
    windows.rows = 8;
    CHECK(rtl_estimate_windowed(&windows, 0, r, NULL) == RTL_BAD_ARGUMENT);
}

static int
run(void *data)
{
    const double x[] = {0.0, 0.0, 1.0, 3.0, 2.0, 1.0, 4.0, 2.0};
    const rtl_estimate_windows_t windows = {x, 4, 2, 0.5, 4, 1, RTL_SQRT_TIME, 2};
    double r;

    return rtl_estimate_windowed(&windows, 1, &r, data);
}

int
main(void)
{
    rtl_monitor_t monitor = {.poll = stop_at_once};

    test_special_functions();
    test_log_det();
    test_log_det_law();
    test_windows();
    CHECK(check_every_allocation_failure(run, NULL) == 3);
    CHECK(run(&monitor) == RTL_INTERRUPTED);
    return 0;
}
