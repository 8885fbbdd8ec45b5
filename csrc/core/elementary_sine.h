/* SPDX-License-Identifier: MIT */
/* Sine, cosine and hyperbolic tangent, as elementary.h has the other functions. */
#ifndef RTL_ELEMENTARY_SINE_H
#define RTL_ELEMENTARY_SINE_H

#include "elementary.h"

/* Beyond this the reduction below loses digits. */
#define RTL_ELEMENTARY_ANGLE 1e6

/* sin x turned on by `quarters` quarter turns, |x| <= RTL_ELEMENTARY_ANGLE. With pi/2 =
 * a + b + c, a and b of 33 bits, k a and k b are exact. */
RTL_PROCESSOR_INLINE double
rtl_elementary_sine(double x, uint64_t quarters)
{
    double t = x * 0.636619772367581343076 + RTL_ELEMENTARY_ROUND;
    double k = t - RTL_ELEMENTARY_ROUND;
    double a = x - k * 1.57079632673412561417;
    double b = a - k * 6.0771005063039659766e-11;
    double rest = (a - b) - k * 6.0771005063039659766e-11;
    double tail = rest - k * 2.02226624879595063154e-21;
    double r = b + tail, low = (b - r) + tail; /* r + low is the angle */
    double z = r * r, zz = z * z, w = 1.0 - 0.5 * z;
    double s =
        (-0.166666666666666657415 + 0.00833333333333091848261 * z) +
        zz * ((-0.000198412698367124949988 + 2.755731607868067025e-06 * z) +
                 zz * (-2.50511268760853378405e-08 + 1.59177717593419171407e-10 * z));
    double c =
        (0.0416666666666666643537 - 0.00138888888888873780411 * z) +
        zz * ((2.48015872987368629036e-05 - 2.75573172567960410459e-07 * z) +
                 zz * (2.087614315990944053e-09 - 1.13824087541532543166e-11 * z));

    s = r + (r * z * s + low * w);
    c = w + (((1.0 - w) - 0.5 * z) + (zz * c - r * low));
    uint64_t turn = rtl_elementary_bits(t) + quarters;
    uint64_t odd = 0 - (turn & 1);
    uint64_t value = (rtl_elementary_bits(c) & odd) | (rtl_elementary_bits(s) & ~odd);
    return rtl_elementary_double(value ^ (turn >> 1 & 1) << 63);
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
