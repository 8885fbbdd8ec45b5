/* SPDX-License-Identifier: MIT */
#include <stdint.h>

#include "test.h"

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
