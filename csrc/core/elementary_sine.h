/* SPDX-License-Identifier: MIT */
/* Sine and cosine, as elementary.h has the other functions. */
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
    double z = r * r, s = 1.59177717593419171407e-10, c = -1.13824087541532543166e-11;

    s = s * z - 2.50511268760853378405e-08;
    s = s * z + 2.755731607868067025e-06;
    s = s * z - 0.000198412698367124949988;
    s = s * z + 0.00833333333333091848261;
    s = s * z - 0.166666666666666657415;
    s = r + (r * z * s + low * (1.0 - 0.5 * z));
    c = c * z + 2.087614315990944053e-09;
    c = c * z - 2.75573172567960410459e-07;
    c = c * z + 2.48015872987368629036e-05;
    c = c * z - 0.00138888888888873780411;
    c = c * z + 0.0416666666666666643537;
    double w = 1.0 - 0.5 * z;
    c = w + (((1.0 - w) - 0.5 * z) + (z * z * c - r * low));
    uint64_t turn = rtl_elementary_bits(t) + quarters;
    uint64_t odd = 0 - (turn & 1);
    uint64_t value = (rtl_elementary_bits(c) & odd) | (rtl_elementary_bits(s) & ~odd);
    return rtl_elementary_double(value ^ (turn >> 1 & 1) << 63);
}

#endif
