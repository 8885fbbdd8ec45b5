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

/* exp x = 2^k exp r, |r| <= log(2)/2; 2^k in two factors, for its subnormal ends. */
RTL_PROCESSOR_INLINE double
rtl_elementary_exp(double x)
{
    double c = rtl_elementary_select(x > 710.0, 710.0, x); /* nan stays */
    c = rtl_elementary_select(c < -746.0, -746.0, c);
    double t = c * 1.44269504088896338700 + RTL_ELEMENTARY_ROUND;
    double k = t - RTL_ELEMENTARY_ROUND;
    double r = (c - k * 0.69314718036912381649) - k * 1.90821492927058770002e-10;
    double p = 2.09147889726021605587e-09;

    p = p * r + 2.51053598468300935482e-08;
    p = p * r + 2.75572733976939729785e-07;
    p = p * r + 2.75572550565382369317e-06;
    p = p * r + 2.48015873257414828251e-05;
    p = p * r + 0.000198412698750919318886;
    p = p * r + 0.00138888888888836917537;
    p = p * r + 0.00833333333332605778743;
    p = p * r + 0.0416666666666666712926;
    p = p * r + 0.166666666666666712926;
    p = p * r + 0.5;
    uint64_t positive =
        rtl_elementary_bits(t) - rtl_elementary_bits(RTL_ELEMENTARY_ROUND) + 2048;
    uint64_t half = positive >> 1;
    double first = rtl_elementary_double((half - 1) << 52);
    double second = rtl_elementary_double((positive - half - 1) << 52);
    return (1.0 + (r + r * r * p)) * first * second;
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

/* 1 - 2 / (exp 2|x| + 1), and a polynomial near 0. */
RTL_PROCESSOR_INLINE double
rtl_elementary_tanh(double x)
{
    const uint64_t sign = UINT64_C(1) << 63;
    double a = fabs(x), z = x * x;
    double large = 1.0 - 2.0 / (rtl_elementary_exp(2.0 * a) + 1.0);
    double p = -1.833596211003942034e-05;

    p = p * z + 8.15473780652536473293e-05;
    p = p * z - 0.000232251040679385095233;
    p = p * z + 0.000588054154841872902919;
    p = p * z - 0.00145546480280074499829;
    p = p * z + 0.00359208316634345749263;
    p = p * z - 0.00886323211354147350027;
    p = p * z + 0.0218694883837809300742;
    p = p * z - 0.0539682539647576217656;
    p = p * z + 0.133333333333301967683;
    p = p * z - 0.333333333333333259318;
    double y = rtl_elementary_select(a < 0.6, a + a * z * p, large);
    return rtl_elementary_double(
        rtl_elementary_bits(y) | (rtl_elementary_bits(x) & sign));
}

#endif
