/* SPDX-License-Identifier: MIT */
#include "elementary_rows.h"
#include "elementary_sine.h"
#include "test.h"

/* |got - expected| in units of the last place of the (long double) expected value. */
static double
ulps(double got, long double expected)
{
    int exponent;

    frexp((double) expected, &exponent);
    double ulp = ldexp(1.0, (exponent < -1021 ? -1021 : exponent) - 53);
    return (double) fabsl(((long double) got - expected) / (long double) ulp);
}

/* What the reference may add: long double is no wider than double on some processors
 * and under valgrind. */
static double
slack(void)
{
    volatile long double small = 0x1p-60L;

    return 1.0L + small > 1.0L ? 0.0 : 3.0;
}

/* A number in (0, 1) that walks about evenly. */
static double
fraction(size_t i)
{
    return fmod((double) i * 0.6180339887498949, 1.0);
}

enum { N = 400000 };

/* Against the C library in long double. */
static void
test_accuracy(void)
{
    double worst_exp = 0.0, worst_log = 0.0, worst_tanh = 0.0;

    for (size_t i = 0; i < N; i++) {
        double u = fraction(i), x = -745.0 + 1454.0 * u,
               y = ldexp(1.0 + u, (int) (i % 2000) - 1060);
        double v = 6.0 * (u - 0.5) * pow(10.0, -(double) (i % 12));
        worst_exp = fmax(worst_exp, ulps(rtl_elementary_exp(x), expl(x)));
        worst_exp = fmax(worst_exp, ulps(rtl_elementary_exp(v), expl(v)));
        double near = fmax(x, -RTL_ELEMENTARY_NEAR);
        CHECK(fabs(near) > RTL_ELEMENTARY_NEAR ||
              rtl_elementary_exp_near(near) == rtl_elementary_exp(near));
        worst_log = fmax(worst_log, ulps(rtl_elementary_log(y), logl(y)));
        worst_log = fmax(
            worst_log, ulps(rtl_elementary_log(1.0 + v / 8.0), logl(1.0 + v / 8.0)));
        worst_tanh =
            fmax(worst_tanh, ulps(rtl_elementary_tanh(4.0 * v), tanhl(4.0 * v)));
    }
    CHECK(worst_exp < 1.0 + slack());
    CHECK(worst_log < 1.0 + slack());
    CHECK(worst_tanh < 1.5 + slack());
}

static void
test_sine(void)
{
    const double pi = 3.14159265358979323846;
    double worst = 0.0, worst_far = 0.0;

    for (size_t i = 0; i < N; i++) {
        double u = fraction(i) - 0.5, near = 20.0 * u * pow(10.0, -(double) (i % 9));
        double far = 2.0 * RTL_ELEMENTARY_ANGLE * u;
        double zero = pi / 2.0 * (double) (i % 600000); /* as near as doubles come */
        for (uint64_t q = 0; q < 2; q++) {
            long double a = q == 0 ? sinl(near) : cosl(near);
            long double b = q == 0 ? sinl(far) : cosl(far);
            long double c = q == 0 ? sinl(zero) : cosl(zero);
            worst = fmax(worst, ulps(rtl_elementary_sine(near, q), a));
            worst_far = fmax(worst_far, ulps(rtl_elementary_sine(far, q), b));
            worst_far = fmax(worst_far, ulps(rtl_elementary_sine(zero, q), c));
        }
    }
    CHECK(worst < 1.0 + slack());
    CHECK(worst_far < 1.1 + slack());
}

static void
test_special_values(void)
{
    CHECK(rtl_elementary_exp(0.0) == 1.0 && rtl_elementary_exp(-INFINITY) == 0.0);
    CHECK(rtl_elementary_exp(-800.0) == 0.0 && isinf(rtl_elementary_exp(709.79)));
    CHECK(isinf(rtl_elementary_exp(INFINITY)) && isfinite(rtl_elementary_exp(709.78)));
    CHECK(isnan(rtl_elementary_exp(NAN)));
    CHECK(rtl_elementary_exp(-745.0) > 0.0 && rtl_elementary_exp(-745.0) < 1e-322);
    CHECK(rtl_elementary_log(1.0) == 0.0 && rtl_elementary_log(0.0) == -INFINITY);
    CHECK(rtl_elementary_log(-0.0) == -INFINITY && isnan(rtl_elementary_log(-1.0)));
    CHECK(isnan(rtl_elementary_log(-INFINITY)) && isnan(rtl_elementary_log(NAN)));
    CHECK(rtl_elementary_log(INFINITY) == INFINITY);
    CHECK(rtl_elementary_sine(0.0, 0) == 0.0 && rtl_elementary_sine(0.0, 1) == 1.0);
    CHECK(
        isnan(rtl_elementary_sine(NAN, 0)) && isnan(rtl_elementary_sine(INFINITY, 1)));
    CHECK(rtl_elementary_tanh(0.0) == 0.0 && signbit(rtl_elementary_tanh(-0.0)));
    CHECK(rtl_elementary_tanh(INFINITY) == 1.0 && rtl_elementary_tanh(-1e9) == -1.0);
    CHECK(isnan(rtl_elementary_tanh(NAN)));
}

/* Both builds, in place or not, whatever the length. */
static void
test_rows(void)
{
    double x[11], out[11], expected[11];

    for (int portable = 0; portable < 2; portable++) {
        rtl_processor_use_portable(portable == 1);
        for (size_t i = 0; i < 11; i++) {
            x[i] = i == 3 ? 0.0 : 5.0 * fraction(i);
            expected[i] = rtl_elementary_exp(x[i]);
        }
        rtl_elementary_rows_exp(x, 11, out);
        CHECK(memcmp(out, expected, sizeof out) == 0);
        for (size_t i = 0; i < 11; i++) {
            expected[i] = rtl_elementary_log(x[i]);
        }
        rtl_elementary_rows_log(x, 11, x);
        CHECK(memcmp(x, expected, sizeof x) == 0);
    }
    rtl_processor_use_portable(false);
}

/* Factors and exponents of numbers whose exponentials overflow, by both builds. */
static void
test_split(void)
{
    enum { MANY = 2000 };
    static double x[MANY], factor[2][MANY], exponent[2][MANY];
    double worst = 0.0;

    for (size_t i = 0; i < MANY; i++) {
        x[i] = 1e4 * (2.0 * fraction(i) - 1.0);
    }
    for (int portable = 0; portable < 2; portable++) {
        rtl_processor_use_portable(portable == 1);
        rtl_elementary_rows_split(x, MANY, factor[portable], exponent[portable]);
    }
    rtl_processor_use_portable(false);
    CHECK(memcmp(factor[0], factor[1], sizeof factor[0]) == 0);
    CHECK(memcmp(exponent[0], exponent[1], sizeof exponent[0]) == 0);
    bool wide = slack() == 0.0; /* else long doubles overflow, too */
    for (size_t i = 0; i < MANY; i++) {
        CHECK(factor[0][i] >= 1.0 && factor[0][i] < 2.0);
        CHECK(exponent[0][i] == floor(exponent[0][i]));
        long double exact = ldexpl(expl(x[i]), -(int) exponent[0][i]);
        worst = fmax(worst, wide ? ulps(factor[0][i], exact) : 0.0);
    }
    CHECK(worst < 1.0);
}

int
main(void)
{
    test_accuracy();
    test_rows();
    test_split();
    test_sine();
    test_special_values();
    return 0;
}
