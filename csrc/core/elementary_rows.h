/* SPDX-License-Identifier: MIT */
/* Exponentials and logarithms of many numbers at once; see elementary.h. */
#ifndef RTL_ELEMENTARY_ROWS_H
#define RTL_ELEMENTARY_ROWS_H

#include <stddef.h>

/* Of n numbers; out may be x. */
void rtl_elementary_rows_exp(const double *x, size_t n, double *out);
void rtl_elementary_rows_log(const double *x, size_t n, double *out);

/* exp x = factor 2^exponent, the exponent whole, 1 <= factor < 2 and good
 * to an ulp for |x| < 1e6. */
void rtl_elementary_rows_split(
    const double *x, size_t n, double *factor, double *exponent);

#endif
