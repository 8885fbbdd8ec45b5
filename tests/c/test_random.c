/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "processor.h"
#include "random.h"
#include "test.h"

/* Known answers of Philox 4x32-10 published with Random123 (kat_vectors). */
static void
test_philox(void)
{
    const uint32_t pi[] = {
        0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344, 0xa4093822, 0x299f31d0};
    const uint32_t zero[4] = {0}, ones[4] = {~0u, ~0u, ~0u, ~0u};
    const uint32_t expected[3][4] = {
        {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8},
        {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd},
        {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1},
    };
    uint32_t out[4];

    rtl_random_philox(zero, zero, out);
    CHECK(memcmp(out, expected[0], sizeof out) == 0);
    rtl_random_philox(ones, ones, out);
    CHECK(memcmp(out, expected[1], sizeof out) == 0);
    rtl_random_philox(pi, pi + 4, out);
    CHECK(memcmp(out, expected[2], sizeof out) == 0);
}

/* A uniform is the upper 52 bits of its words; counters as random.h says. */
static void
test_uniforms(void)
{
    rtl_random_t random = {.key = 0x299f31d0a4093822};
    const uint32_t key[2] = {0xa4093822, 0x299f31d0};
    const uint64_t pair = 0x5BC123456789, path = 0x9876FFFFFFFE;
    const uint32_t slots = 3;
    double u[3 * 4];

    for (uint64_t step = 2 * pair; step < 2 * pair + 2; step++) {
        size_t half = step % 2;
        rtl_random_uniforms(&random, path, 4, step, slots, u);
        for (uint32_t s = 0; s < slots; s++) {
            for (uint64_t j = 0; j < 4; j++) { /* the low word of path + 2 is 0 */
                uint32_t out[4],
                    counter[4] = {(uint32_t) (path + j), 0x23456789,
                        (uint32_t) ((path + j) >> 32) << 16 | 0x5BC1, 2 * s + 1};
                rtl_random_philox(counter, key, out);
                uint64_t bits = (uint64_t) out[2 * half + 1] << 32 | out[2 * half];
                double expected = ((double) (bits >> 12) + 0.5) * 0x1p-52;
                CHECK(u[s * 4 + j] == expected);
                CHECK(rtl_random_uniform(&random, path + j, step, s) == expected);
            }
        }
    }
}

/* Both normals of a counter from its words, with the C library. */
static void
test_normals(void)
{
    enum { N = 150 };
    rtl_random_t random = {.key = 7};
    double x[2 * 2 * N], worst = 0.0;

    rtl_random_normal_pairs(&random, 0, N, 11, 1, 2, x);
    for (uint32_t s = 0; s < 2; s++) {
        for (uint32_t j = 0; j < N; j++) {
            const uint32_t counter[4] = {j, 11, 0, 2 * s}, key[2] = {7, 0};
            const double pi = 3.14159265358979323846;
            uint32_t out[4];
            rtl_random_philox(counter, key, out);
            uint64_t a = (uint64_t) out[1] << 32 | out[0];
            uint64_t b = (uint64_t) out[3] << 32 | out[2];
            double u = ((double) (a >> 12) + 0.5) * 0x1p-52;
            double turn =
                (double) (b >> 62) - 0.5 + ((double) (b << 2 >> 12) + 0.5) * 0x1p-52;
            double r = sqrt(-2.0 * log(u));
            const double *got = x + s * 2 * N + j;
            double error = fmax(fabs(got[0] - r * cos(pi / 2.0 * turn)),
                fabs(got[N] - r * sin(pi / 2.0 * turn)));
            worst = fmax(worst, error / r);
        }
    }
    CHECK(worst < 1e-15);
}

/* Any piece of the stream is the same as that piece of the whole, many steps at once
 * are the same as one after the other, and both builds give the same bits. */
static void
test_pieces(void)
{
    enum { N = 700, SLOTS = 3, PAIRS = 5 };
    rtl_random_t random = {.key = 12345};
    static double whole[2][SLOTS * N], piece[SLOTS * 2 * PAIRS * N];
    const size_t lengths[] = {1, 2, 3, 7, 8, 9, 255, 256, 257, 600};

    rtl_random_normals(&random, 1000, N, 40, SLOTS, whole[0]);
    rtl_random_normals(&random, 1000, N, 41, SLOTS, whole[1]);
    for (int portable = 0; portable < 2; portable++) {
        rtl_processor_use_portable(portable);
        for (size_t l = 0; l < sizeof lengths / sizeof *lengths; l++) {
            for (size_t first = 0; first < 5; first++) {
                size_t n = lengths[l];
                rtl_random_normals(&random, 1000 + first, n, 41, SLOTS, piece);
                for (size_t s = 0; s < SLOTS; s++) {
                    CHECK(memcmp(whole[1] + s * N + first, piece + s * n, n * 8) == 0);
                }
                rtl_random_normal_pairs(
                    &random, 1000 + first, n, 20 - first, PAIRS, SLOTS, piece);
                for (size_t r = 0; r < SLOTS * 2; r++) {
                    CHECK(memcmp(whole[r % 2] + r / 2 * N + first,
                              piece + (r * PAIRS + first) * n, n * 8) == 0);
                }
            }
        }
    }
    rtl_processor_use_portable(false);
}

/* A change of any part of the counter changes all numbers. */
static void
test_arguments_matter(void)
{
    rtl_random_t random = {.key = 1};
    double x[4], y[4];

    rtl_random_normals(&random, 0, 4, 0, 1, x);
    for (uint64_t bit = 1; bit < RTL_RANDOM_MAX_STEPS; bit <<= 1) {
        rtl_random_normals(&random, 0, 4, bit, 1, y);
        CHECK(x[0] != y[0] && x[1] != y[1] && x[2] != y[2] && x[3] != y[3]);
    }
    for (uint64_t bit = 4; bit < RTL_RANDOM_MAX_PATHS; bit <<= 1) {
        rtl_random_normals(&random, bit, 4, 0, 1, y);
        CHECK(x[0] != y[0] && x[1] != y[1] && x[2] != y[2] && x[3] != y[3]);
    }
    for (uint64_t bit = 1; bit != 0; bit <<= 1) {
        rtl_random_t other = {.key = random.key ^ bit};
        rtl_random_normals(&other, 0, 4, 0, 1, y);
        CHECK(x[0] != y[0] && x[1] != y[1] && x[2] != y[2] && x[3] != y[3]);
    }
}

/* Moments, tails and correlations of 2 x 100 000 normals: within 5 sigma. */
static void
test_moments(void)
{
    enum { N = 1000, STEPS = 100 };
    static double x[2 * N], before[N];
    rtl_random_t random = {.key = 99};
    const double n = (double) N * STEPS;
    double sum = 0.0, square = 0.0, fourth = 0.0, pairs = 0.0, slots = 0.0, far = 0.0;

    for (uint64_t step = 0; step < STEPS; step++) {
        rtl_random_normals(&random, 0, N, step, 2, x);
        for (size_t i = 0; i < N; i++) {
            sum += x[i];
            square += x[i] * x[i];
            fourth += x[i] * x[i] * x[i] * x[i];
            pairs += x[i] * before[i];
            slots += x[i] * x[N + i];
            far += fabs(x[i]) > 3.0;
            before[i] = x[i];
        }
    }
    CHECK_CLOSE(sum / n, 0.0, 5.0 / sqrt(n));
    CHECK_CLOSE(square / n, 1.0, 5.0 * sqrt(2.0 / n));
    CHECK_CLOSE(fourth / n, 3.0, 5.0 * sqrt(96.0 / n));
    CHECK_CLOSE(pairs / n, 0.0, 5.0 / sqrt(n));
    CHECK_CLOSE(slots / n, 0.0, 5.0 / sqrt(n));
    CHECK_CLOSE(far / n, 0.0026998, 5.0 * sqrt(0.0027 / n));
}

int
main(void)
{
    test_philox();
    test_uniforms();
    test_normals();
    test_pieces();
    test_arguments_matter();
    test_moments();
    return 0;
}
