/* SPDX-License-Identifier: MIT */
/* Elementary functions that compilers can vectorise: no branches and no tables, plain
 * IEEE arithmetic, so the same bits on every processor. Errors are below 1 ulp, of sine
 * 1.1 far out, of tanh 1.5 (tests/c/test_elementary.c). Reductions are those of Cody &
 * Waite (1980); polynomials are Chebyshev interpolants, good to 2^-54. */
#ifndef RTL_ELEMENTARY_H
#define RTL_ELEMENTARY_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "processor.h"

RTL_PROCESSOR_INLINE uint64_t
rtl_elementary_bits(double x)
{
    uint64_t bits;

    memcpy(&bits, &x, sizeof bits);
    return bits;
}

RTL_PROCESSOR_INLINE double
rtl_elementary_double(uint64_t bits)
{
    double x;

    memcpy(&x, &bits, sizeof x);
    return x;
}

/* a where `condition` is 1, b where it is 0, without a branch that compilers might
 * keep. */
RTL_PROCESSOR_INLINE double
rtl_elementary_select(uint64_t condition, double a, double b)
{
    uint64_t mask = 0 - condition;

    return rtl_elementary_double(
        (rtl_elementary_bits(a) & mask) | (rtl_elementary_bits(b) & ~mask));
}

/* Adding this to a number below 2^51 rounds it to a whole one, whose bits are the
 * lowest of the sum. */
#define RTL_ELEMENTARY_ROUND 0x1.8p52

/* exp x = 2^k exp r, |r| <= log(2)/2. The polynomial is summed in pairs (Estrin 1960):
 * half as many operations wait for the one before. Returns exp r; the lowest bits of *t
 * are those of k. */
RTL_PROCESSOR_INLINE double
rtl_elementary_exp_reduced(double x, double *t)
{
    *t = x * 1.44269504088896338700 + RTL_ELEMENTARY_ROUND;
    double k = *t - RTL_ELEMENTARY_ROUND;
    double r = (x - k * 0.69314718036912381649) - k * 1.90821492927058770002e-10;
    double q = r * r, q2 = q * q;
    double low = (0.5 + 0.166666666666666712926 * r) +
                 q * (0.0416666666666666712926 + 0.00833333333332605778743 * r);
    double middle = (0.00138888888888836917537 + 0.000198412698750919318886 * r) +
                    q * (2.48015873257414828251e-05 + 2.75572550565382369317e-06 * r);
    double high = (2.75572733976939729785e-07 + 2.51053598468300935482e-08 * r) +
                  q * 2.09147889726021605587e-09;
    return 1.0 + (r + q * (low + q2 * (middle + q2 * high)));
}

/* exp x where |x| <= RTL_ELEMENTARY_NEAR: no overflow and no subnormal numbers. */
#define RTL_ELEMENTARY_NEAR 708.0

RTL_PROCESSOR_INLINE double
rtl_elementary_exp_near(double x)
{
    double t, y = rtl_elementary_exp_reduced(x, &t);

    return rtl_elementary_double(
        rtl_elementary_bits(y) + (rtl_elementary_bits(t) << 52));
}

/* exp x of any x, with the same bits: 2^k in two factors, for its subnormal ends. */
RTL_PROCESSOR_INLINE double
rtl_elementary_exp(double x)
{
    double c = rtl_elementary_select(x > 710.0, 710.0, x); /* nan stays */
    c = rtl_elementary_select(c < -746.0, -746.0, c);
    double t, y = rtl_elementary_exp_reduced(c, &t);
    uint64_t positive =
        rtl_elementary_bits(t) - rtl_elementary_bits(RTL_ELEMENTARY_ROUND) + 2048;
    uint64_t half = positive >> 1;
    double first = rtl_elementary_double((half - 1) << 52);
    double second = rtl_elementary_double((positive - half - 1) << 52);
    return y * first * second;
}

/* x = 2^e (1 + f), sqrt(1/2) <= 1 + f < sqrt(2), s = f / (2 + f):
 * log(1 + f) = f - (f^2/2 - s (f^2/2 + R)), R = 2 (artanh(s)/s - 1). */
RTL_PROCESSOR_INLINE double
rtl_elementary_log(double x)
{
    const uint64_t sqrt_half = 0x3FE6A09E667F3BCD, one = 0x3FF0000000000000;
    uint64_t small = x < 0x1p-1022;
    double scaled = rtl_elementary_select(small, x * 0x1p54, x);
    uint64_t t = rtl_elementary_bits(scaled) + (one - sqrt_half);
    double f = rtl_elementary_double((t & 0x000FFFFFFFFFFFFF) + sqrt_half) - 1.0;
    double e = rtl_elementary_double((t >> 52) | 0x4330000000000000) -
               (0x1p52 + 1023.0) - rtl_elementary_select(small, 54.0, 0.0);
    double s = f / (2.0 + f), z = s * s, half = 0.5 * f * f;
    double p = 0.073979748040784996758;

    p = p * z + 0.076570252812384692491;
    p = p * z + 0.090917821628296096253;
    p = p * z + 0.11111099286597380426;
    p = p * z + 0.14285714371193752425;
    p = p * z + 0.19999999999707339504;
    p = p * z + 0.3333333333333367206;
    double low = s * (half + 2.0 * z * p) + e * 1.90821492927058770002e-10;
    double y = e * 0.69314718036912381649 - ((half - low) - f);
    y = rtl_elementary_select(x < INFINITY, y, x); /* infinity and nan */
    y = rtl_elementary_select(x == 0.0, -INFINITY, y);
    return rtl_elementary_select(x < 0.0, NAN, y);
}

#endif
