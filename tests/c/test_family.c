/* SPDX-License-Identifier: MIT */
#include "family.h"
#include "test.h"

enum { N = 200 };

/* Every member of the family is found again, from any guess, on both sides. */
static void
test_members(void)
{
    const double gammas[] = {0.0, 0.3, -2.0, 7.0, 60.0, -900.0};
    const double guesses[] = {NAN, 0.0, 1e6, -1e6, INFINITY};
    double log_p[N], r[N], v[N];
    rtl_family_t fit;

    for (size_t i = 0; i < N; i++) {
        r[i] = 3.0 * sin((double) (i * i));
        v[i] = 1.0 + (double) (i % 7);
    }
    for (size_t k = 0; k < 6; k++) {
        for (size_t g = 0; g < 5; g++) {
            for (size_t i = 0; i < N; i++) {
                log_p[i] = 40.0 - gammas[k] * r[i];
            }
            CHECK(rtl_family_fit(&fit, N, log_p, r, v, guesses[g], NULL) == 0);
            CHECK_CLOSE(fit.gamma, gammas[k], 1e-12 * fmax(1.0, fabs(gammas[k])));
            CHECK_CLOSE(fit.kl, 0.0, 1e-20);
            CHECK_CLOSE(fit.total_variation, 0.0, 1e-11);
            CHECK(k == 0 ? fit.kl_uniform < 1e-25 : fit.kl_uniform > 1e-3);
        }
    }
}

/* Two cells: gamma = (log p_0 - log p_1) / (R_1 - R_0), whatever the size of p_1; the
 * member is p itself. Three: the third spoils it by a known amount. */
static void
test_far_tails(void)
{
    const double r[] = {0.25, 0.5, 0.25};
    rtl_family_t fit;

    for (double drop = 1e-6; drop < 1e140; drop *= 10.0) {
        const double log_p[] = {0.0, -drop, 0.0};
        CHECK(rtl_family_fit(&fit, 2, log_p, r, NULL, 0.0, NULL) == 0);
        CHECK_CLOSE(fit.gamma, 4.0 * drop, 1e-9 * fmin(1.0, drop) + 1e-13 * drop);
        CHECK_CLOSE(fit.kl, 0.0, 1e-20);
        CHECK(rtl_family_fit(&fit, 3, log_p, r, NULL, 0.0, NULL) == 0);
        CHECK_CLOSE(fit.gamma, 4.0 * drop, 1e-9 * fmin(1.0, drop) + 1e-13 * drop);
    }
    const double skewed[] = {log(0.5), -5000.0, log(0.25)};
    CHECK(rtl_family_fit(&fit, 3, skewed, r, NULL, 0.0, NULL) == 0);
    /* p_gamma puts (1/2, 1/2) on the two cells of equal R, p has (2/3, 1/3) there */
    CHECK_CLOSE(fit.gamma, 4.0 * (5000.0 + log(0.375)), 1e-9);
    CHECK_CLOSE(fit.kl, 2.0 / 3.0 * log(4.0 / 3.0) + 1.0 / 3.0 * log(2.0 / 3.0), 1e-14);
    CHECK_CLOSE(fit.total_variation, 1.0 / 6.0, 1e-14);
}

/* A constant added to log p drops out exactly where it can. */
static void
test_offset(void)
{
    const double log_p[] = {5e15, 5e15 - 1.0, 5e15 - 2.0}, near[] = {0.0, -1.0, -2.0};
    const double r[] = {0.0, 1.0, 0.5};
    rtl_family_t far, fit;

    CHECK(rtl_family_fit(&far, 3, log_p, r, NULL, 0.0, NULL) == 0);
    CHECK(rtl_family_fit(&fit, 3, near, r, NULL, 0.0, NULL) == 0);
    CHECK(far.gamma == fit.gamma && far.kl == fit.kl);
}

static void
test_constant_r(void)
{
    const double log_p[] = {log(3.0), 0.0}, r[] = {1.0, 1.0}, v[] = {1.0, 3.0};
    rtl_family_t fit;

    /* P = (1/2, 1/2), U = (1/4, 3/4) */
    CHECK(rtl_family_fit(&fit, 2, log_p, r, v, 0.0, NULL) == 0);
    CHECK(isnan(fit.gamma));
    CHECK_CLOSE(fit.kl, 0.5 * log(2.0) + 0.5 * log(2.0 / 3.0), 1e-15);
    CHECK(fit.kl == fit.kl_uniform);
    CHECK_CLOSE(fit.total_variation, 0.25, 1e-15);
}

static int
stop_at(void *data, double done)
{
    (void) done;
    return --*(int *) data == 0;
}

static void
test_interruption(void)
{
    const double log_p[] = {1.0, 0.0}, r[] = {0.0, 1.0};
    rtl_family_t fit;
    int calls = 1;
    rtl_monitor_t monitor = {.poll = stop_at, .data = &calls};

    CHECK(rtl_family_fit(&fit, 2, log_p, r, NULL, 0.0, &monitor) == RTL_INTERRUPTED);
}

int
main(void)
{
    test_members();
    test_far_tails();
    test_offset();
    test_constant_r();
    test_interruption();
    return 0;
}
