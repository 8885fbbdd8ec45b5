/* SPDX-License-Identifier: MIT */
#include "selling.h"

#include <stdbool.h>
#include <stdlib.h>

#include "test.h"

/* D + diag(added) is rebuilt, with weights > 0 and short offsets. */
static void
check_sum(size_t dim, const double *d, const int *longest, const rtl_selling_t *sum,
    double tolerance)
{
    for (size_t i = 0; i < dim; i++) {
        for (size_t j = 0; j < dim; j++) {
            double total = i == j ? -sum->added[i] : 0.0;
            for (size_t k = 0; k < sum->n; k++) {
                CHECK(sum->weight[k] > 0.0);
                CHECK(abs(sum->offset[k][i]) <= longest[i]);
                total += sum->weight[k] * sum->offset[k][i] * sum->offset[k][j];
            }
            CHECK_CLOSE(total, d[i * dim + j], tolerance);
        }
    }
}

static void
test_plane(void)
{
    /* D_11 >= |D_12|, D_22 >= |D_12|: the axes and one diagonal */
    double d[] = {1.0, -0.3, -0.3, 0.8};
    int longest[] = {10, 10};
    rtl_selling_t sum;

    CHECK(rtl_selling_decompose(2, d, longest, 0.0, &sum) == 0);
    CHECK(sum.n == 3 && sum.added[0] == 0.0);
    check_sum(2, d, longest, &sum, 1e-15);
    for (size_t k = 0; k < sum.n; k++) {
        bool diagonal = sum.offset[k][0] == 1 && sum.offset[k][1] == -1;
        CHECK(abs(sum.offset[k][0] * sum.offset[k][1]) == (diagonal ? 1 : 0));
        CHECK(!diagonal || fabs(sum.weight[k] - 0.3) < 1e-15);
    }
    /* a direction that no short offset has */
    double steep[] = {1.0, 7.3, 7.3, 7.3 * 7.3};
    CHECK(rtl_selling_decompose(2, steep, longest, 0.0, &sum) == 0);
    CHECK(sum.added[0] > 0.0 && sum.added[0] < 0.01 && sum.added[1] == sum.added[0]);
    check_sum(2, steep, longest, &sum, 1e-11);
}

static void
test_space(void)
{
    double d[] = {1.0, 0.2, 0.0, 0.2, 0.7, 0.1, 0.0, 0.1, 0.5};
    double flat[] = {2.0, 1.0, 1.0, 1.0, 1.0, 0.0, 1.0, 0.0, 1.0};
    int longest[] = {5, 5, 5}, shortest[] = {1, 1, 1};
    rtl_selling_t sum;

    CHECK(rtl_selling_decompose(3, d, longest, 0.0, &sum) == 0);
    CHECK(sum.n <= 6 && sum.added[0] == 0.0);
    check_sum(3, d, longest, &sum, 1e-14);
    CHECK(rtl_selling_decompose(3, flat, longest, 0.0, &sum) == 0);
    CHECK(sum.n == 2 && sum.added[0] == 0.0); /* (1,1,0) and (1,0,1) */
    check_sum(3, flat, longest, &sum, 1e-14);
    double v[] = {1.0, 2.3, -3.1}, line[9];
    for (int k = 0; k < 9; k++) {
        line[k] = v[k / 3] * v[k % 3];
    }
    CHECK(rtl_selling_decompose(3, line, shortest, 1e-9, &sum) == 0);
    CHECK(sum.added[2] > 0.1);
    check_sum(3, line, shortest, &sum, 1e-11);
}

/* Five axes: three that are coupled, one alone, one without diffusion. */
static void
test_parts(void)
{
    double d[25] = {0.0};
    int longest[] = {3, 3, 3, 3, 3};
    rtl_selling_t sum;

    d[0] = 1.0;
    d[2] = d[10] = 0.4;
    d[12] = 1.0;
    d[14] = d[22] = -0.3;
    d[24] = 1.0;
    d[6] = 2.0;
    CHECK(rtl_selling_decompose(5, d, longest, 1e-3, &sum) == 0);
    check_sum(5, d, longest, &sum, 1e-14);
    CHECK(sum.added[1] == 1e-3 && sum.added[3] == 1e-3);
    /* one more coupling, and it takes pairs */
    d[3] = d[15] = 0.1;
    d[18] = 0.1;
    CHECK(rtl_selling_decompose(5, d, longest, 0.0, &sum) == 0);
    check_sum(5, d, longest, &sum, 1e-14);
    d[18] = 0.09;
    CHECK(rtl_selling_decompose(5, d, longest, 0.0, &sum) == RTL_ANISOTROPIC);
}

static void
test_anisotropy(void)
{
    double d[] = {2.0, 1.0, 0.0, 1.0, 2.0, 0.0, 0.0, 0.0, 0.5};
    double flat[] = {1.0, 1.0, 1.0, 1.0};

    CHECK_CLOSE(rtl_selling_anisotropy(3, d), 6.0, 1e-13);
    CHECK(isinf(rtl_selling_anisotropy(2, flat)));
}

int
main(void)
{
    test_plane();
    test_space();
    test_parts();
    test_anisotropy();
    return 0;
}
