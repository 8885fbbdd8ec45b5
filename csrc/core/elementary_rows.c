/* SPDX-License-Identifier: MIT */
#include "elementary_rows.h"

#include "elementary.h"

RTL_PROCESSOR_INLINE int
exp_all_body(const double *x, size_t n, double *out)
{
    for (size_t i = 0; i < n; i++) {
        out[i] = rtl_elementary_exp(x[i]);
    }
    return 0;
}

RTL_PROCESSOR_BUILD(exp_all, (const double *x, size_t n, double *out), (x, n, out))

RTL_PROCESSOR_INLINE int
log_all_body(const double *x, size_t n, double *out)
{
    for (size_t i = 0; i < n; i++) {
        out[i] = rtl_elementary_log(x[i]);
    }
    return 0;
}

RTL_PROCESSOR_BUILD(log_all, (const double *x, size_t n, double *out), (x, n, out))

RTL_PROCESSOR_INLINE int
split_all_body(const double *x, size_t n, double *factor, double *exponent)
{
    for (size_t i = 0; i < n; i++) {
        double t, y = rtl_elementary_exp_reduced(x[i], &t);
        double low = rtl_elementary_select(y < 1.0, 1.0, 0.0);
        factor[i] = y + low * y;
        exponent[i] = (t - RTL_ELEMENTARY_ROUND) - low;
    }
    return 0;
}

RTL_PROCESSOR_BUILD(split_all,
    (const double *x, size_t n, double *factor, double *exponent),
    (x, n, factor, exponent))

void
rtl_elementary_rows_exp(const double *x, size_t n, double *out)
{
    exp_all(x, n, out);
}

void
rtl_elementary_rows_log(const double *x, size_t n, double *out)
{
    log_all(x, n, out);
}

void
rtl_elementary_rows_split(const double *x, size_t n, double *factor, double *exponent)
{
    split_all(x, n, factor, exponent);
}
