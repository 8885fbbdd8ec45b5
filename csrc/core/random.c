/* SPDX-License-Identifier: MIT */
/* The work is done on blocks of counters, in loops that compilers turn into vector
 * instructions. */
#include "random.h"

#include <math.h>
#include <string.h>

#include "elementary.h"

#ifdef RTL_PROCESSOR_AVX2
#include <immintrin.h>
#endif

enum { BLOCK = 128, ROUNDS = 10 };

/* The counter's last word is slot * N_STREAMS + stream. */
enum { STREAM_NORMAL, STREAM_UNIFORM, N_STREAMS };

/* Multipliers and key increments of Philox 4x32. */
static const uint32_t multiplier[2] = {0xD2511F53, 0xCD9E8D57};
static const uint32_t increment[2] = {0x9E3779B9, 0xBB67AE85};

/* Some (path, pair of steps), at most BLOCK, as the first three words of counters, each
 * in the lower half of a word that vector instructions can multiply. */
typedef struct {
    uint64_t word[3][BLOCK];
    size_t n;
} counters_t;

/* 128 random bits for each of them, in two words. */
typedef struct {
    uint64_t first[BLOCK], second[BLOCK];
} bits_t;

/* --- Philox ----------------------------------------------------------------------- */

RTL_PROCESSOR_INLINE void
philox(uint32_t c[4], uint32_t key_0, uint32_t key_1)
{
    for (int round = 0; round < ROUNDS; round++) {
        uint64_t a = (uint64_t) multiplier[0] * c[0];
        uint64_t b = (uint64_t) multiplier[1] * c[2];
        c[0] = (uint32_t) (b >> 32) ^ c[1] ^ key_0;
        c[1] = (uint32_t) b;
        c[2] = (uint32_t) (a >> 32) ^ c[3] ^ key_1;
        c[3] = (uint32_t) a;
        key_0 += increment[0];
        key_1 += increment[1];
    }
}

void
rtl_random_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4])
{
    uint32_t c[4] = {counter[0], counter[1], counter[2], counter[3]};

    philox(c, key[0], key[1]);
    memcpy(out, c, sizeof c);
}

/* What is left of a path and a pair of steps beside their low words. */
RTL_PROCESSOR_INLINE uint32_t
high_words(uint64_t path, uint64_t pair)
{
    return (uint32_t) (path >> 32 << 16) | (uint32_t) (pair >> 32 & 0xFFFF);
}

/* Counters of (first_path + i % n_paths, first_pair + i / n_paths) from i = start on.
 */
static void
fill_counters(counters_t *counters, uint64_t first_path, size_t n_paths,
    uint64_t first_pair, size_t start)
{
    size_t along = start % n_paths, run;
    uint64_t pair = first_pair + start / n_paths;

    for (size_t i = 0; i < counters->n; i += run, along = 0, pair++) {
        uint64_t path = first_path + along;
        run = n_paths - along < counters->n - i ? n_paths - along : counters->n - i;
        for (size_t k = i; k < i + run; k++, path++) {
            counters->word[0][k] = (uint32_t) path;
            counters->word[1][k] = (uint32_t) pair;
            counters->word[2][k] = high_words(path, pair);
        }
    }
}

/* Bits of the counters from i0 on, with `slot` as their last word. */
static void
fill_bits(
    uint64_t key, const counters_t *counters, uint32_t slot, size_t i0, bits_t *bits)
{
    for (size_t i = i0; i < counters->n; i++) {
        uint32_t c[4] = {(uint32_t) counters->word[0][i],
            (uint32_t) counters->word[1][i], (uint32_t) counters->word[2][i], slot};
        philox(c, (uint32_t) key, (uint32_t) (key >> 32));
        bits->first[i] = (uint64_t) c[1] << 32 | c[0];
        bits->second[i] = (uint64_t) c[3] << 32 | c[2];
    }
}

/* --- uniforms and normals --------------------------------------------------------- */

/* The upper 52 bits k as (k + 1/2) / 2^52, exactly. */
RTL_PROCESSOR_INLINE double
uniform(uint64_t bits)
{
    return rtl_elementary_double(bits >> 12 | 0x3FF0000000000000) - (1.0 - 0x1p-53);
}

/* -2 log u. With u = 2^e m, sqrt(1/2) <= m < sqrt(2), s = (m - 1) / (m + 1):
 * log u = e log 2 + 2 artanh s. The polynomials here and below are minimax in relative
 * error, which is below 2^-57, summed in pairs as in elementary.h. */
RTL_PROCESSOR_INLINE double
minus_two_log(double u)
{
    const uint64_t sqrt_half = 0x3FE6A09E667F3BCD, one = 0x3FF0000000000000;
    uint64_t t = rtl_elementary_bits(u) + (one - sqrt_half);
    double m = rtl_elementary_double((t & 0x000FFFFFFFFFFFFF) + sqrt_half);
    double e = rtl_elementary_double(t >> 52 | 0x4330000000000000) - (0x1p52 + 1023.0);
    double s = (m - 1.0) / (m + 1.0), z = s * s, zz = z * z;
    double high = (0.090917821628296096253 + 0.076570252812384692491 * z) +
                  zz * 0.073979748040784996758;
    double p = (0.3333333333333367206 + 0.19999999999707339504 * z) +
               zz * ((0.14285714371193752425 + 0.11111099286597380426 * z) + zz * high);

    return -(e * 1.38629436111989061883 + (4.0 * s + 4.0 * s * z * p));
}

/* sin and cos of a quarter turn times x, |x| <= 1/2. */
RTL_PROCESSOR_INLINE double
quarter_sine(double x)
{
    double z = x * x, zz = z * z;
    double high = -3.5986493403773364807e-6 + 5.6346750407114587737e-8 * z;
    double p =
        (-0.64596409750624491269 + 0.079692626246062722984 * z) +
        zz * ((-0.0046817541326162596667 + 0.00016044115259842820014 * z) + zz * high);

    return 1.57079632679489662 * x + x * z * p;
}

RTL_PROCESSOR_INLINE double
quarter_cosine(double x)
{
    double z = x * x, zz = z * z;
    double high = (-0.000025202036991524024816 + 4.7106156574129744821e-7 * z) -
                  zz * 6.3218924214823848704e-9;
    double p =
        (-1.2337005501361698167 + 0.25366950790104692735 * z) +
        zz * ((-0.020863480763315442271 + 0.0009192602742250307913 * z) + zz * high);

    return 1.0 + z * p;
}

/* Both normals of each of n pairs. The angle's two top bits choose one of four quarters
 * of the circle, centred on the axes; the next 52 the place in it. */
RTL_PROCESSOR_INLINE void
box_muller(const bits_t *bits, size_t n, double *restrict even, double *restrict odd)
{
    const uint64_t sign = UINT64_C(1) << 63;
    double square[BLOCK];

    for (size_t i = 0; i < n; i++) {
        square[i] = minus_two_log(uniform(bits->first[i]));
    }
    for (size_t i = 0; i < n; i++) {
        uint64_t angle = bits->second[i];
        double x = uniform(angle << 2) - 0.5;
        double r = sqrt(square[i]);
        uint64_t c = rtl_elementary_bits(r * quarter_cosine(x)),
                 s = rtl_elementary_bits(r * quarter_sine(x));
        uint64_t turn = 0 - (angle >> 62 & 1); /* all ones: (c, s) -> (-s, c) */
        uint64_t swap = (c ^ s) & turn;
        uint64_t half = angle & sign; /* half a turn: (c, s) -> (-c, -s) */
        even[i] = rtl_elementary_double(c ^ swap ^ half ^ (turn & sign));
        odd[i] = rtl_elementary_double(s ^ swap ^ half);
    }
}

static void
fill_normals(
    uint64_t key, const counters_t *counters, uint32_t slot, double *even, double *odd)
{
    bits_t bits;

    fill_bits(key, counters, slot, 0, &bits);
    box_muller(&bits, counters->n, even, odd);
}

static void
fill_uniforms(
    uint64_t key, const counters_t *counters, uint32_t slot, double *even, double *odd)
{
    bits_t bits;

    fill_bits(key, counters, slot, 0, &bits);
    for (size_t i = 0; i < counters->n; i++) {
        even[i] = uniform(bits.first[i]);
        odd[i] = uniform(bits.second[i]);
    }
}

/* --- the same for processors with AVX2 -------------------------------------------- */

#ifdef RTL_PROCESSOR_AVX2

/* One round on 4 counters: each 64-bit lane holds one word in its lower half (what the
 * upper half holds does not matter), since the one instruction that makes 64-bit
 * products works on those. */
static inline __attribute__((always_inline, target("avx2"))) void
philox_round_avx2(__m256i c[4], __m256i key_0, __m256i key_1)
{
    __m256i a = _mm256_mul_epu32(c[0], _mm256_set1_epi64x(multiplier[0]));
    __m256i b = _mm256_mul_epu32(c[2], _mm256_set1_epi64x(multiplier[1]));

    c[0] = _mm256_xor_si256(_mm256_srli_epi64(b, 32), _mm256_xor_si256(c[1], key_0));
    c[1] = b;
    c[2] = _mm256_xor_si256(_mm256_srli_epi64(a, 32), _mm256_xor_si256(c[3], key_1));
    c[3] = a;
}

static inline __attribute__((always_inline, target("avx2"))) void
store_bits_avx2(const __m256i c[4], bits_t *bits, size_t i)
{
    _mm256_storeu_si256((__m256i *) (bits->first + i),
        _mm256_blend_epi32(c[0], _mm256_slli_epi64(c[1], 32), 0xAA));
    _mm256_storeu_si256((__m256i *) (bits->second + i),
        _mm256_blend_epi32(c[2], _mm256_slli_epi64(c[3], 32), 0xAA));
}

/* fill_bits on 8 counters at a time, two vectors to hide the latency of products.
 * Returns how many are done. */
static RTL_PROCESSOR_AVX2 size_t
fill_bits_avx2(uint64_t key, const counters_t *counters, uint32_t slot, bits_t *bits)
{
    __m256i keys[ROUNDS][2];
    size_t i = 0;

    for (uint32_t round = 0; round < ROUNDS; round++) {
        keys[round][0] = _mm256_set1_epi64x((uint32_t) key + round * increment[0]);
        keys[round][1] =
            _mm256_set1_epi64x((uint32_t) (key >> 32) + round * increment[1]);
    }
    for (; i + 8 <= counters->n; i += 8) {
        __m256i a[4], b[4];
        for (int k = 0; k < 3; k++) {
            a[k] = _mm256_loadu_si256((const __m256i *) (counters->word[k] + i));
            b[k] = _mm256_loadu_si256((const __m256i *) (counters->word[k] + i + 4));
        }
        a[3] = b[3] = _mm256_set1_epi64x(slot);
        for (int round = 0; round < ROUNDS; round++) {
            philox_round_avx2(a, keys[round][0], keys[round][1]);
            philox_round_avx2(b, keys[round][0], keys[round][1]);
        }
        store_bits_avx2(a, bits, i);
        store_bits_avx2(b, bits, i + 4);
    }
    return i;
}

static RTL_PROCESSOR_AVX2 void
fill_normals_avx2(
    uint64_t key, const counters_t *counters, uint32_t slot, double *even, double *odd)
{
    bits_t bits;

    fill_bits(key, counters, slot, fill_bits_avx2(key, counters, slot, &bits), &bits);
    box_muller(&bits, counters->n, even, odd);
}

#endif

/* --- what is exported ------------------------------------------------------------- */

/* Both numbers of each counter. */
typedef void (*fill_fn)(
    uint64_t key, const counters_t *counters, uint32_t slot, double *even, double *odd);

static fill_fn
best_fill_normals(void)
{
#ifdef RTL_PROCESSOR_AVX2
    if (rtl_processor_has_avx2()) {
        return fill_normals_avx2;
    }
#endif
    return fill_normals;
}

void
rtl_random_normal_pairs(const rtl_random_t *self, uint64_t first_path, size_t n_paths,
    uint64_t first_pair, size_t n_pairs, size_t n_slots, double *out)
{
    fill_fn fill = best_fill_normals();
    size_t size = n_pairs * n_paths;
    counters_t counters;

    for (size_t start = 0; start < size; start += counters.n) {
        counters.n = size - start < BLOCK ? size - start : BLOCK;
        fill_counters(&counters, first_path, n_paths, first_pair, start);
        for (size_t s = 0; s < n_slots; s++) {
            double *even = out + 2 * s * size + start;
            fill(self->key, &counters, (uint32_t) s * N_STREAMS + STREAM_NORMAL, even,
                even + size);
        }
    }
}

/* The half of the pairs that belongs to one step. */
static void
fill_step(const rtl_random_t *self, fill_fn fill, uint32_t stream, uint64_t first_path,
    size_t n_paths, uint64_t step, size_t n_slots, double *out)
{
    counters_t counters;
    double half[2][BLOCK];

    if (n_slots == 0) {
        return;
    }
    for (size_t start = 0; start < n_paths; start += counters.n) {
        counters.n = n_paths - start < BLOCK ? n_paths - start : BLOCK;
        fill_counters(&counters, first_path, n_paths, step / 2, start);
        for (size_t s = 0; s < n_slots; s++) {
            fill(self->key, &counters, (uint32_t) s * N_STREAMS + stream, half[0],
                half[1]);
            memcpy(out + s * n_paths + start, half[step % 2], counters.n * sizeof *out);
        }
    }
}

void
rtl_random_normals(const rtl_random_t *self, uint64_t first_path, size_t n_paths,
    uint64_t step, size_t n_slots, double *out)
{
    fill_step(self, best_fill_normals(), STREAM_NORMAL, first_path, n_paths, step,
        n_slots, out);
}

void
rtl_random_uniforms(const rtl_random_t *self, uint64_t first_path, size_t n_paths,
    uint64_t step, size_t n_slots, double *out)
{
    fill_step(
        self, fill_uniforms, STREAM_UNIFORM, first_path, n_paths, step, n_slots, out);
}

double
rtl_random_uniform(const rtl_random_t *self, uint64_t path, uint64_t step, size_t slot)
{
    uint64_t pair = step / 2;
    uint32_t c[4] = {(uint32_t) path, (uint32_t) pair, high_words(path, pair),
        (uint32_t) slot * N_STREAMS + STREAM_UNIFORM};
    const uint32_t *half = c + (step % 2 == 0 ? 0 : 2);

    philox(c, (uint32_t) self->key, (uint32_t) (self->key >> 32));
    return uniform((uint64_t) half[1] << 32 | half[0]);
}
