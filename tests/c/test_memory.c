/* SPDX-License-Identifier: MIT */
#include <stdint.h>

#include "test.h"

/* Blocks that do not overlap, and may hold any number. */
static void
test_pool(void)
{
    enum { N = 3000 };
    rtl_memory_pool_t pool = {0};
    double *block[N];

    for (size_t k = 0; k < N; k++) {
        size_t n = k % 97 + (k == 50 ? 1000000 : 0);
        block[k] = rtl_memory_pool_alloc(&pool, n, sizeof(double));
        CHECK(block[k] != NULL && (uintptr_t) block[k] % 16 == 0);
        for (size_t i = 0; i < n; i++) {
            CHECK(block[k][i] == 0.0);
            block[k][i] = (double) k;
        }
    }
    for (size_t k = 1; k < N; k++) {
        CHECK(k % 97 == 0 ||
              (block[k][0] == (double) k && block[k][k % 97 - 1] == (double) k));
    }
    CHECK(rtl_memory_live() < 20);
    CHECK(rtl_memory_pool_alloc(&pool, SIZE_MAX / 4, sizeof(double)) == NULL);
    rtl_memory_fail_after(0);
    CHECK(rtl_memory_pool_alloc(&pool, 1000000, sizeof(double)) == NULL);
    rtl_memory_pool_free(&pool);
    CHECK(rtl_memory_live() == 0);
    rtl_memory_pool_free(&pool);
}

int
main(void)
{
    double *x = rtl_memory_alloc(3, sizeof *x);
    CHECK(x != NULL && x[0] == 0.0 && x[2] == 0.0);
    CHECK(rtl_memory_live() == 1);
    x[2] = 5.0;
    double *y = rtl_memory_resize(x, 1000, sizeof *y);
    CHECK(y != NULL && y[2] == 5.0);
    CHECK(rtl_memory_resize(y, SIZE_MAX / 4, sizeof *y) == NULL);
    CHECK(y[2] == 5.0); /* a failed resize leaves the block */
    rtl_memory_free(y);
    rtl_memory_free(NULL);
    CHECK(rtl_memory_live() == 0);

    CHECK(rtl_memory_alloc(SIZE_MAX / 4, sizeof(double)) == NULL);
    x = rtl_memory_alloc(0, 0);
    CHECK(x != NULL);
    rtl_memory_free(x);

    test_pool();
    rtl_memory_fail_after(1);
    x = rtl_memory_alloc(1, 1);
    CHECK(x != NULL);
    CHECK(rtl_memory_alloc(1, 1) == NULL);
    y = rtl_memory_alloc(1, 1); /* only one fails */
    CHECK(y != NULL);
    rtl_memory_free(x);
    rtl_memory_free(y);
    return 0;
}
