/* SPDX-License-Identifier: MIT */
#include "extrapolate.h"

#include <string.h>

#include "estimate.h"
#include "test.h"

/* Exact second moments in two dimensions: M(l) = l dt C (1 + a l dt) + 2 Sigma. */
typedef struct {
    double c[3], sigma[3], a, dt, share;
} law_t;

static rtl_extrapolate_place_t
make_place(const rtl_extrapolate_t *terms, const law_t *law)
{
    rtl_extrapolate_place_t place;

    memset(&place, 0, sizeof place);
    for (size_t lag = 0; lag < terms->n_lags; lag++) {
        double time = (double) terms->lags[lag] * law->dt;
        place.time[lag] = place.weight[lag] = time;
        for (size_t k = 0; k < 3; k++) {
            place.square[lag][k] =
                time * law->c[k] * (1.0 + law->a * time) + 2.0 * law->sigma[k];
        }
    }
    place.quartic[0] = 3.0 * place.square[0][0] * place.square[0][0];
    place.quartic[1] = 3.5 * place.square[0][2] * place.square[0][2];
    place.share = place.centre = law->share;
    place.unequal = 1.0;
    for (size_t k = 0; k <= RTL_INCREMENTS_LONGEST; k++) {
        place.rho[k] = k == 0 ? 1.0 : 0.0;
    }
    return place;
}

static const rtl_extrapolate_t plain = {.dim = 2,
    .n_lags = 2,
    .lags = {1, 2},
    .n_terms = 2,
    .plus = {0, 1},
    .minus = {RTL_EXTRAPOLATE_NONE, RTL_EXTRAPOLATE_NONE}};
static const rtl_extrapolate_t noisy = {.dim = 2,
    .n_lags = 3,
    .lags = {1, 2, 4},
    .n_terms = 2,
    .plus = {1, 2},
    .minus = {0, 1}};

/* `plain`, but Sigma is known to be diag(a, b). */
static rtl_extrapolate_t
known(double a, double b)
{
    rtl_extrapolate_t terms = plain;

    terms.known = true;
    terms.noise[0] = a;
    terms.noise[3] = b;
    return terms;
}

/* Many increments: no bias to remove. The linear effect of the lag goes but for its
 * square; measurement noise goes altogether. */
static void
test_limits(void)
{
    law_t law = {{2.0, 0.3, 1.0}, {0.0, 0.0, 0.0}, 0.1, 0.01, 1e-9};
    double exact = 0.5 * log(2.0 * 1.0 - 0.3 * 0.3), c[4], f[2];
    rtl_extrapolate_place_t place = make_place(&plain, &law);
    rtl_extrapolate_out_t out = rtl_extrapolate_conclude(&plain, &place, NULL);

    CHECK_CLOSE(out.rattling, exact, 2e-6);
    CHECK_CLOSE(out.effect, 0.001, 2e-6); /* d/2 a dt */
    CHECK_CLOSE(out.remainder, 1e-6, 1e-8);
    CHECK_CLOSE(out.kurtosis, 0.25, 1e-12);
    rtl_extrapolate_covariance(&plain, &place, c, f);
    CHECK_CLOSE(c[0], 2.0 * 1.001, 1e-6);
    CHECK_CLOSE(c[1], c[2], 0.0);
    law.a = 0.0;
    law.sigma[0] = 0.05;
    law.sigma[2] = 0.02;
    place = make_place(&noisy, &law);
    out = rtl_extrapolate_conclude(&noisy, &place, NULL);
    CHECK_CLOSE(out.rattling, exact, 1e-6);
    rtl_extrapolate_t one = known(0.05, 0.02);
    place = make_place(&one, &law);
    CHECK_CLOSE(rtl_extrapolate_conclude(&one, &place, NULL).rattling, exact, 1e-6);
    double sharp = rtl_extrapolate_conclude(&one, &place, NULL).error;
    one.noise_variance[0] = 1e-4; /* (2/1 - 1/2) (C^-1)_00 / dt of it */
    double blurred = rtl_extrapolate_conclude(&one, &place, NULL).error;
    double part = 1.5 / law.dt * law.c[2] / (2.0 * 1.0 - 0.09);
    CHECK_CLOSE(blurred * blurred - sharp * sharp, part * part * 1e-4, 1e-7);
    place = make_place(&plain, &law);
    CHECK(rtl_extrapolate_conclude(&plain, &place, NULL).rattling > exact + 0.5);
}

/* An Ornstein-Uhlenbeck process that decays and turns, dx = (-k + w J) x dt, with C = 2
 * D: no lag is too long. Errors of measurement add to
 * squares at both ends, of which the first is contracted; slopes of mean
 * increments get the same offset at every lag. */
static void
test_linear_drift(void)
{
    const double k = 4.0, w = 1.0, dt = 0.05, two_d = 1.5, sigma = 0.004;
    const rtl_extrapolate_t one = known(sigma, sigma);
    const rtl_extrapolate_t *terms[] = {&plain, &noisy, &one};

    for (size_t which = 0; which < 3; which++) {
        double e = which == 0 ? 1.0 : 0.9; /* starts are nearer to 0 than they seem */
        law_t law = {{0.0, 0.0, 0.0}, {0.0, 0.0, 0.0}, 0.0, dt, 1e-9};
        rtl_extrapolate_place_t place = make_place(terms[which], &law);
        for (size_t lag = 0; lag < terms[which]->n_lags; lag++) {
            double t = place.time[lag], shrink = exp(-k * t);
            double square = two_d * (1.0 - shrink * shrink) / (2.0 * k);
            square += which == 1 ? sigma * (1.0 + shrink * shrink) : 0.0;
            square += which == 2 ? sigma * (1.0 + e * shrink * shrink) : 0.0;
            place.square[lag][0] = place.square[lag][2] = square;
            place.slope[lag][0] = place.slope[lag][3] = e * shrink * cos(w * t) - 1.0;
            place.slope[lag][1] = e * shrink * sin(w * t);
            place.slope[lag][2] = -e * shrink * sin(w * t);
        }
        place.slope_share[0] = place.slope_share[3] = 1e-9;
        double plain_error = rtl_extrapolate_conclude(terms[which], &place, NULL).error;
        place.sloped = true;
        rtl_extrapolate_out_t out =
            rtl_extrapolate_conclude(terms[which], &place, NULL);
        CHECK_CLOSE(out.rattling, log(two_d), which == 1 ? 5e-4 : 1e-7);
        CHECK(out.error > plain_error && out.error < 2.0 * plain_error);
        CHECK(
            out.remainder < 0.5 * out.effect * out.effect + (which == 1 ? 5e-4 : 1e-5));
        place.slope[0][0] = place.slope[1][0] = -1.0; /* M is singular: none of this */
        place.slope[0][1] = place.slope[1][1] = 0.0;
        out = rtl_extrapolate_conclude(terms[which], &place, NULL);
        CHECK(out.rattling < log(two_d) - 0.01 || which > 0);
        CHECK(isfinite(out.rattling));
    }
}

/* With one lag and no overlap the law of log det is the exact one. */
static void
test_one_lag(void)
{
    rtl_extrapolate_t terms = {.dim = 2,
        .n_lags = 1,
        .lags = {1},
        .n_terms = 1,
        .minus = {RTL_EXTRAPOLATE_NONE}};
    law_t law = {{2.0, 0.3, 1.0}, {0.0, 0.0, 0.0}, 0.0, 0.01, 0.1};
    rtl_extrapolate_place_t place = make_place(&terms, &law);
    rtl_extrapolate_out_t out = rtl_extrapolate_conclude(&terms, &place, NULL);
    double bias, variance;

    rtl_estimate_log_det_law(2, 9.0, &bias, &variance); /* ten, less the mean */
    CHECK_CLOSE(out.n_eff, 10.0, 1e-12);
    CHECK_CLOSE(out.error, sqrt(variance), 1e-12);
    CHECK_CLOSE(
        out.rattling, 0.5 * log((2.0 - 0.09) / 0.81) - bias, 1e-12); /* 10/9 squared */
    place.share = 0.5; /* two increments in two dimensions */
    CHECK(isnan(rtl_extrapolate_conclude(&terms, &place, NULL).rattling));
}

/* Without overlap: Var = d/2 sum g^2 (4 + 1 - 4 (1/2)), the two squares from one start
 * having a correlation of 1/2; with every neighbour: less. */
static void
test_variance(void)
{
    law_t law = {{2.0, 0.0, 1.0}, {0.0, 0.0, 0.0}, 0.0, 0.01, 1e-6};
    rtl_extrapolate_place_t place = make_place(&plain, &law), wide;
    rtl_extrapolate_out_t out = rtl_extrapolate_conclude(&plain, &place, NULL);
    const double width[] = {1e9, 1e9};

    CHECK_CLOSE(out.error * out.error, 3e-6, 1e-10);
    wide = place; /* what both places share counts twice */
    CHECK_CLOSE(
        rtl_extrapolate_conclude(&plain, &place, &wide).error, out.error, 1e-12);
    rtl_extrapolate_diffuse(&plain, &place, width);
    CHECK_CLOSE(place.rho[1], 1.0, 1e-9);
    out = rtl_extrapolate_conclude(&plain, &place, NULL);
    CHECK_CLOSE(out.error * out.error, 1.5e-6, 1e-10);
    wide = place;
    CHECK_CLOSE(
        rtl_extrapolate_conclude(&plain, &place, &wide).error, out.error, 1e-12);
    wide.share = wide.centre = 0.25e-6;
    double smooth = rtl_extrapolate_conclude(&plain, &place, &wide).error;
    CHECK(smooth < out.error && smooth * smooth > 1.0e-6);
    double common = rtl_extrapolate_common(&plain, &wide, &out, &out);
    CHECK_CLOSE(common, 0.25 * 1.5e-6, 1e-12);
    place.unequal = 4.0;
    CHECK_CLOSE(
        rtl_extrapolate_conclude(&plain, &place, NULL).error, 2.0 * out.error, 1e-12);
}

static void
test_nothing(void)
{
    law_t law = {{2.0, 2.0, 1.0}, {0.0, 0.0, 0.0}, 0.0, 0.01, 1e-6};
    rtl_extrapolate_place_t place = make_place(&plain, &law);
    double c[4], f[2];

    CHECK(isnan(rtl_extrapolate_conclude(&plain, &place, NULL).rattling));
    place.share = 1.0; /* one increment has no covariance */
    rtl_extrapolate_covariance(&plain, &place, c, f);
    CHECK(isnan(c[0]) && f[0] == 0.0);
}

/* Sigma (score . grad + grad grad/2) C, given by hand, moves R by half its trace over
 * C; what comes from the squares of mean increments is taken off first. */
static void
test_displaced_starts(void)
{
    rtl_extrapolate_t terms = known(0.001, 0.002);
    law_t law = {{2.0, 0.0, 1.0}, {0.001, 0.0, 0.002}, 0.0, 0.01, 1e-9};
    rtl_extrapolate_place_t place = make_place(&terms, &law);
    double before = rtl_extrapolate_conclude(&terms, &place, NULL).rattling;
    double plain_error = rtl_extrapolate_conclude(&terms, &place, NULL).error;
    const double drift[] = {0.1, 0.2};

    place.increment[0][0] = 0.03;
    place.slope[0][0] = 0.5;
    place.displaced[0] = 0.002 + 2.0 * 0.03 * 0.1 + 0.25 * 0.001;
    place.displaced[1] = 0.03 * 0.2;
    place.displaced[2] = 0.003;
    rtl_extrapolate_centre_displaced(&terms, drift, &place);
    CHECK_CLOSE(place.displaced[0], 0.002, 1e-15);
    CHECK_CLOSE(place.displaced[1], 0.0, 1e-15);
    place.increment[0][0] = place.slope[0][0] = 0.0;
    place.displaced_share = 1e-10;
    rtl_extrapolate_out_t out = rtl_extrapolate_conclude(&terms, &place, NULL);
    CHECK_CLOSE(out.displaced, 0.5 * (0.002 / 2.0 + 0.003 / 1.0) / 0.01, 1e-6);
    CHECK_CLOSE(out.rattling, before - out.displaced, 1e-12);
    CHECK_CLOSE(
        rtl_extrapolate_conclude(&terms, &place, &place).rattling, out.rattling, 1e-12);
    CHECK(out.error > plain_error);
    place.displaced_overlap = place.displaced_centre = 1e-11; /* both say the same */
    double wide = rtl_extrapolate_conclude(&terms, &place, &place).error;
    CHECK_CLOSE(rtl_extrapolate_conclude(&terms, &place, NULL).error, wide, 1e-15);
    CHECK(wide < out.error);
}

/* What an error of the start adds is the same at each lag: drift of constant f without
 * it. */
static void
test_drift(void)
{
    const double f[] = {0.7, -0.2}, offset[] = {3.0, 1.0};
    const rtl_extrapolate_t one = known(0.01, 0.01);
    const rtl_extrapolate_t *terms[] = {&plain, &noisy, &one};
    law_t law = {{2.0, 0.3, 1.0}, {0.0, 0.0, 0.0}, 0.0, 0.01, 1e-6};
    double c[4], got[2];

    for (size_t which = 0; which < 3; which++) {
        rtl_extrapolate_place_t place = make_place(terms[which], &law);
        for (size_t lag = 0; lag < terms[which]->n_lags; lag++) {
            for (size_t k = 0; k < 2; k++) {
                place.increment[lag][k] = f[k] * place.time[lag];
                place.increment[lag][k] += which > 0 ? offset[k] : 0.0;
            }
        }
        rtl_extrapolate_covariance(terms[which], &place, c, got);
        CHECK_CLOSE(got[0], f[0], 1e-12);
        CHECK_CLOSE(got[1], f[1], 1e-12);
    }
}

int
main(void)
{
    test_limits();
    test_drift();
    test_displaced_starts();
    test_linear_drift();
    test_one_lag();
    test_variance();
    test_nothing();
    return 0;
}
