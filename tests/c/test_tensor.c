/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "tensor.h"
#include "test.h"

static void
test_from_noise(void)
{
    /* two points, G = [[1, 2, 3], [4, 5, 6]] and [[1, 0, 0], [0, -2, 0]] */
    const double g[] = {1, 1, 2, 0, 3, 0, 4, 0, 5, -2, 6, 0};
    const double expected[] = {7, .5, 16, 0, 16, 0, 38.5, 2};
    double d[8];

    rtl_tensor_from_noise(g, 2, 3, 2, d);
    CHECK(memcmp(d, expected, sizeof d) == 0);
}

static void
test_symmetrise(void)
{
    double d[] = {2, 2, 1, 1, 1 + 1e-14, 1, 3, 3};
    size_t point = 9, component = 9;

    CHECK(rtl_tensor_symmetrise(d, 2, 2, &point, &component) == 0);
    CHECK(d[2] == d[4] && d[2] > 1 && d[2] < 1 + 1e-14);
    d[5] = 1.25;
    CHECK(rtl_tensor_symmetrise(d, 2, 2, &point, &component) == RTL_NOT_SYMMETRIC);
    CHECK(point == 1 && component == 1);
    d[4] = NAN;
    CHECK(rtl_tensor_symmetrise(d, 2, 2, &point, &component) == RTL_NOT_SYMMETRIC);
    CHECK(point == 0 && component == 1);
}

/* a = sum_k weight_k v_k v_k^T with fixed directions v_k that are not orthogonal */
static void
make(const double *weight, double *a)
{
    const double v[3][3] = {{1, 2, -1}, {0.5, -1, 3}, {2, 1, 1}};

    memset(a, 0, 9 * sizeof *a);
    for (int k = 0; k < 3; k++) {
        for (int i = 0; i < 3; i++) {
            for (int j = 0; j < 3; j++) {
                a[3 * i + j] += weight[k] * v[k][i] * v[k][j];
            }
        }
    }
}

static void
test_log_det(void)
{
    double a[9], work[9], value, spread[18];
    const double full[] = {1, 2, .5}, flat[] = {1, 0, .5}, line[] = {0, 3, 0},
                 none[] = {0, 0, 0}, indefinite[] = {1, -.25, .5};
    const double det_v = 4.5; /* of the directions */

    make(full, a);
    CHECK(rtl_tensor_log_det(a, 3, 1, work, &value));
    CHECK_CLOSE(value, log(det_v * det_v), 1e-13);
    for (int i = 0; i < 9; i++) { /* every other number */
        spread[2 * i] = a[i];
        spread[2 * i + 1] = NAN;
    }
    CHECK(rtl_tensor_log_det(spread, 3, 2, work, &value));
    CHECK_CLOSE(value, log(det_v * det_v), 1e-13);
    make(flat, a);
    CHECK(rtl_tensor_log_det(a, 3, 1, work, &value) && value == -INFINITY);
    make(line, a);
    CHECK(rtl_tensor_log_det(a, 3, 1, work, &value) && value == -INFINITY);
    make(none, a);
    CHECK(rtl_tensor_log_det(a, 3, 1, work, &value) && value == -INFINITY);
    make(indefinite, a);
    CHECK(!rtl_tensor_log_det(a, 3, 1, work, &value));
    a[8] = NAN;
    CHECK(!rtl_tensor_log_det(a, 3, 1, work, &value));
}

/* Two negative eigenvalues have a positive determinant. */
static void
test_two_negative(void)
{
    const double a[] = {1, 2, 2, 2, 1, 2, 2, 2, 1};
    double work[9], value;

    CHECK(!rtl_tensor_log_det(a, 3, 1, work, &value));
}

static void
test_invert(void)
{
    double a[] = {4, 1, 0, 1, 3, -1, 0, -1, 2}, b[9];
    double indefinite[] = {1, 2, 2, 1};

    for (int i = 0; i < 9; i++) {
        b[i] = a[i];
    }
    CHECK(rtl_tensor_invert(3, b));
    for (int i = 0; i < 3; i++) {
        for (int j = 0; j < 3; j++) {
            double sum = 0.0;
            for (int k = 0; k < 3; k++) {
                sum += a[3 * i + k] * b[3 * k + j];
            }
            CHECK_CLOSE(sum, i == j ? 1.0 : 0.0, 1e-14);
        }
    }
    CHECK(!rtl_tensor_invert(2, indefinite));
}

int
main(void)
{
    test_invert();
    test_from_noise();
    test_symmetrise();
    test_log_det();
    test_two_negative();
    return 0;
}
