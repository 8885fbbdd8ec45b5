/* SPDX-License-Identifier: MIT */
#include "closure.h"
#include "test.h"

static double
solve(size_t n, const double *r, const double *change, const double *v, double guess)
{
    double gamma;

    CHECK(rtl_closure_solve(n, r, change, v, guess, 10.0, 0.125, NULL, &gamma) == 0);
    return gamma;
}

int
main(void)
{
    /* v_0 c_0 = -v_1 c_1 exp(-gamma): gamma = log 6 */
    const double r[] = {0.0, 1.0}, change[] = {-1.0, 3.0}, v[] = {0.5, 1.0};
    /* roots at exp(-gamma) = 1/2 and 2, on both sides of the guess */
    const double three[] = {700.0, 701.0, 702.0}, two[] = {1.0, -2.5, 1.0};
    const double same[] = {1.0, 1.0}, positive[] = {1.0, 1.0};

    CHECK_CLOSE(solve(2, r, change, v, 1.0), log(6.0), 1e-14);
    CHECK_CLOSE(solve(2, r, change, NULL, 1.0), log(3.0), 1e-14);
    CHECK_CLOSE(solve(3, three, two, NULL, 0.3), log(2.0), 1e-13);
    CHECK_CLOSE(solve(3, three, two, NULL, -0.3), -log(2.0), 1e-13);
    CHECK(isnan(solve(2, same, change, NULL, 1.0)));
    CHECK(isnan(solve(2, r, positive, NULL, 1.0)));
    return 0;
}
