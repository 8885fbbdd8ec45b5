/* SPDX-License-Identifier: MIT */
/* The plain loop that bench_simulate.py compares with: Euler-Maruyama of
 *
 *     dx = (x - x^3 + y) dt + g(x) dW_1,   dy = (-y - x) dt + g(y) dW_2,
 *
 * written for this one system, with xoshiro256+ (Blackman & Vigna 2021) and the
 * ziggurat of 256 strips (Marsaglia & Tsang 2000). */
#include <math.h>
#include <stddef.h>
#include <stdint.h>

enum { STRIPS = 256 };

static const double tail = 3.6541528853610088, area = 4.92867323399e-3;
static double edge[STRIPS + 1], height[STRIPS + 1];
static uint64_t state[4];

static inline uint64_t
next(void)
{
    const uint64_t result = state[0] + state[3], t = state[1] << 17;

    state[2] ^= state[0];
    state[3] ^= state[1];
    state[1] ^= state[2];
    state[0] ^= state[3];
    state[2] ^= t;
    state[3] = state[3] << 45 | state[3] >> 19;
    return result;
}

static inline double
uniform(void)
{
    return ((double) (next() >> 11) + 0.5) * 0x1p-53;
}

void
start(uint64_t seed)
{
    for (int i = 0; i < 4; i++) { /* splitmix64 */
        uint64_t z = (seed += 0x9E3779B97F4A7C15);
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9;
        z = (z ^ z >> 27) * 0x94D049BB133111EB;
        state[i] = z ^ z >> 31;
    }
    edge[0] = area / exp(-0.5 * tail * tail);
    edge[1] = tail;
    for (int i = 2; i < STRIPS; i++) {
        edge[i] = sqrt(
            -2.0 * log(area / edge[i - 1] + exp(-0.5 * edge[i - 1] * edge[i - 1])));
    }
    edge[STRIPS] = 0.0;
    for (int i = 0; i <= STRIPS; i++) {
        height[i] = exp(-0.5 * edge[i] * edge[i]);
    }
}

static double
rare(double x, unsigned strip, int *again)
{
    if (strip == 0) {
        double a, b;
        do {
            a = -log(uniform()) / tail;
            b = -log(uniform());
        } while (2.0 * b < a * a);
        return x > 0.0 ? tail + a : -(tail + a);
    }
    *again = height[strip] + uniform() * (height[strip + 1] - height[strip]) >=
             exp(-0.5 * x * x);
    return x;
}

static inline double
normal(void)
{
    for (;;) {
        uint64_t bits = next();
        unsigned strip = (unsigned) (bits & (STRIPS - 1));
        double x =
            ((double) (int64_t) (bits & ~UINT64_C(0x7FF)) * 0x1p-63) * edge[strip];
        if (fabs(x) < edge[strip + 1]) {
            return x;
        }
        int again = 0;
        x = rare(x, strip, &again);
        if (!again) {
            return x;
        }
    }
}

#if defined(SINE)
#define NOISE(x) (0.5 * (1.0 + 0.5 * sin(x)))
#elif defined(HOT_SPOT)
#define NOISE(x) sqrt(0.1 + 0.4 * exp(-2.0 * (x) * (x)))
#else /* polynomials */
#define NOISE(x) (0.5 + 0.25 * (x) * (x) / (1.0 + (x) * (x)))
#endif

/* All walkers, one step after the other; x and y hold n numbers each. */
void
run(double *x, double *y, size_t n, size_t n_steps, double dt)
{
    const double root = sqrt(dt);

    for (size_t step = 0; step < n_steps; step++) {
        for (size_t i = 0; i < n; i++) {
            double a = x[i], b = y[i];
            x[i] = a + (a - a * a * a + b) * dt + NOISE(a) * root * normal();
            y[i] = b + (-b - a) * dt + NOISE(b) * root * normal();
        }
    }
}

/* The two functions as a model has them: (2, n) -> (2, n). */
int
drift(const double *x, double *out, intptr_t n, void *data)
{
    (void) data;
    for (intptr_t i = 0; i < n; i++) {
        double a = x[i], b = x[n + i];
        out[i] = a - a * a * a + b;
        out[n + i] = -b - a;
    }
    return 0;
}

int
noise(const double *x, double *out, intptr_t n, void *data)
{
    (void) data;
    for (intptr_t i = 0; i < 2 * n; i++) {
        out[i] = NOISE(x[i]);
    }
    return 0;
}
