/* SPDX-License-Identifier: MIT */
/* The work is done on blocks of pairs of paths, in loops that compilers turn into
 * vector instructions. Where the processor has AVX2 (asked at run time) the same code
 * runs compiled for it; it differs in speed only, since no operation is fused or
 * reordered. */
#include "random.h"

#include <math.h>
#include <string.h>

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>
#define HAVE_AVX2_BUILD 1
#endif

enum { BLOCK = 128, ROUNDS = 10 };

/* The counter's last word is slot * N_STREAMS + stream. */
enum { STREAM_NORMAL, STREAM_UNIFORM, N_STREAMS };

/* Multipliers and key increments of Philox 4x32. */
static const uint32_t multiplier[2] = {0xD2511F53, 0xCD9E8D57};
static const uint32_t increment[2] = {0x9E3779B9, 0xBB67AE85};

/* Some consecutive pairs of paths. */
typedef struct {
    uint64_t key, first_pair, step;
    uint32_t slot; /* the counter's last word */
    size_t n;      /* pairs, at most BLOCK */
} block_t;

/* 128 random bits for each pair of a block, in two words. */
typedef struct {
    uint64_t first[BLOCK], second[BLOCK];
} bits_t;

/* --- Philox ----------------------------------------------------------------------- */

static inline void
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

/* The counter of a pair: its low word, the step's low word, the high words of both,
 * and slot and stream. */
static inline void
set_counter(uint32_t c[4], uint64_t pair, uint64_t step, uint32_t slot)
{
    c[0] = (uint32_t) pair;
    c[1] = (uint32_t) step;
    c[2] = (uint32_t) (pair >> 32 << 16) | (uint32_t) (step >> 32 & 0xFFFF);
    c[3] = slot;
}

/* Bits of pairs i0 .. n-1 of a block. */
static void
fill_bits(const block_t *block, size_t i0, bits_t *bits)
{
    for (size_t i = i0; i < block->n; i++) {
        uint32_t c[4];
        set_counter(c, block->first_pair + i, block->step, block->slot);
        philox(c, (uint32_t) block->key, (uint32_t) (block->key >> 32));
        bits->first[i] = (uint64_t) c[1] << 32 | c[0];
        bits->second[i] = (uint64_t) c[3] << 32 | c[2];
    }
}

/* --- uniforms and normals --------------------------------------------------------- */

static inline double
as_double(uint64_t bits)
{
    double x;

    memcpy(&x, &bits, sizeof x);
    return x;
}

static inline uint64_t
as_bits(double x)
{
    uint64_t bits;

    memcpy(&bits, &x, sizeof bits);
    return bits;
}

/* The upper 52 bits k as (k + 1/2) / 2^52, exactly. */
static inline double
uniform(uint64_t bits)
{
    return as_double(bits >> 12 | 0x3FF0000000000000) - (1.0 - 0x1p-53);
}

/* sqrt(-2 log u). With u = 2^e m, sqrt(1/2) <= m < sqrt(2), s = (m - 1) / (m + 1):
 * log u = e log 2 + 2 artanh s, the series in s^2 < 0.0295 ending at s^19 / 19. */
static inline double
radius(double u)
{
    const uint64_t sqrt_half = 0x3FE6A09E667F3BCD, one = 0x3FF0000000000000;
    uint64_t t = as_bits(u) + (one - sqrt_half);
    double m = as_double((t & 0x000FFFFFFFFFFFFF) + sqrt_half);
    double e = as_double(t >> 52 | 0x4330000000000000) - (0x1p52 + 1023.0);
    double s = (m - 1.0) / (m + 1.0), z = s * s;
    double p = 1.0 / 19.0;

    p = p * z + 1.0 / 17.0;
    p = p * z + 1.0 / 15.0;
    p = p * z + 1.0 / 13.0;
    p = p * z + 1.0 / 11.0;
    p = p * z + 1.0 / 9.0;
    p = p * z + 1.0 / 7.0;
    p = p * z + 1.0 / 5.0;
    p = p * z + 1.0 / 3.0;
    return sqrt(-(e * 1.38629436111989061883 + (4.0 * s + 4.0 * s * z * p)));
}

/* sin and cos of a quarter turn times x, |x| <= 1/2: Taylor series, whose terms are
 * (pi/2)^k / k!, to x^15 and x^16. */
static inline double
quarter_sine(double x)
{
    double z = x * x;
    double p = -6.68803510981146723e-10;

    p = p * z + 5.69217292196792682e-8;
    p = p * z - 3.59884323521208534e-6;
    p = p * z + 1.60441184787359822e-4;
    p = p * z - 4.68175413531868810e-3;
    p = p * z + 7.96926262461670451e-2;
    p = p * z - 6.45964097506246254e-1;
    return 1.57079632679489662 * x + x * z * p;
}

static inline double
quarter_cosine(double x)
{
    double z = x * x;
    double p = 6.56596311497947236e-11;

    p = p * z - 6.38660308379185226e-9;
    p = p * z + 4.71087477881817153e-7;
    p = p * z - 2.52020423730606055e-5;
    p = p * z + 9.19260274839426580e-4;
    p = p * z - 2.08634807633529609e-2;
    p = p * z + 2.53669507901048014e-1;
    p = p * z - 1.23370055013616983;
    return 1.0 + z * p;
}

/* Both normals of each of n pairs, interleaved. The angle's two top bits choose one of
 * four quarters of the circle, centred on the axes; the next 52 the place in it. */
static inline __attribute__((always_inline)) void
box_muller(const bits_t *bits, size_t n, double *restrict out)
{
    const uint64_t sign = UINT64_C(1) << 63;

    for (size_t i = 0; i < n; i++) {
        uint64_t angle = bits->second[i];
        double x = uniform(angle << 2) - 0.5;
        double r = radius(uniform(bits->first[i]));
        uint64_t c = as_bits(r * quarter_cosine(x)), s = as_bits(r * quarter_sine(x));
        uint64_t odd = 0 - (angle >> 62 & 1); /* all ones: (c, s) -> (-s, c) */
        uint64_t swap = (c ^ s) & odd;
        uint64_t half = angle & sign; /* half a turn: (c, s) -> (-c, -s) */
        out[2 * i] = as_double(c ^ swap ^ half ^ (odd & sign));
        out[2 * i + 1] = as_double(s ^ swap ^ half);
    }
}

static void
fill_normals(const block_t *block, double *out)
{
    bits_t bits;

    fill_bits(block, 0, &bits);
    box_muller(&bits, block->n, out);
}

static void
fill_uniforms(const block_t *block, double *out)
{
    bits_t bits;

    fill_bits(block, 0, &bits);
    for (size_t i = 0; i < block->n; i++) {
        out[2 * i] = uniform(bits.first[i]);
        out[2 * i + 1] = uniform(bits.second[i]);
    }
}

/* --- the same for processors with AVX2 -------------------------------------------- */

#ifdef HAVE_AVX2_BUILD

/* fill_bits on 4 pairs at once: each 64-bit lane holds one word of a counter in its
 * lower half (what the upper half holds does not matter), since the one instruction
 * that makes 64-bit products works on those. Returns the pairs done. */
static __attribute__((target("avx2"))) size_t
fill_bits_avx2(const block_t *block, bits_t *bits)
{
    const __m256i m0 = _mm256_set1_epi64x(multiplier[0]);
    const __m256i m1 = _mm256_set1_epi64x(multiplier[1]);
    const __m256i low = _mm256_set1_epi64x(0xFFFFFFFF);
    const __m256i lane = _mm256_set_epi64x(3, 2, 1, 0);
    const __m256i step_high =
        _mm256_set1_epi64x((int64_t) (block->step >> 32 & 0xFFFF));
    size_t i = 0;

    for (; i + 4 <= block->n; i += 4) {
        uint32_t key_0 = (uint32_t) block->key, key_1 = (uint32_t) (block->key >> 32);
        __m256i pair = _mm256_add_epi64(
            _mm256_set1_epi64x((int64_t) (block->first_pair + i)), lane);
        __m256i c0 = pair, c1 = _mm256_set1_epi64x((int64_t) block->step);
        __m256i c2 = _mm256_or_si256(
            _mm256_slli_epi64(_mm256_srli_epi64(pair, 32), 16), step_high);
        __m256i c3 = _mm256_set1_epi64x(block->slot);
        for (int round = 0; round < ROUNDS; round++) {
            __m256i a = _mm256_mul_epu32(c0, m0), b = _mm256_mul_epu32(c2, m1);
            c0 = _mm256_xor_si256(_mm256_srli_epi64(b, 32), c1);
            c0 = _mm256_xor_si256(c0, _mm256_set1_epi64x(key_0));
            c1 = b;
            c2 = _mm256_xor_si256(_mm256_srli_epi64(a, 32), c3);
            c2 = _mm256_xor_si256(c2, _mm256_set1_epi64x(key_1));
            c3 = a;
            key_0 += increment[0];
            key_1 += increment[1];
        }
        c0 = _mm256_or_si256(_mm256_slli_epi64(c1, 32), _mm256_and_si256(c0, low));
        c2 = _mm256_or_si256(_mm256_slli_epi64(c3, 32), _mm256_and_si256(c2, low));
        _mm256_storeu_si256((__m256i *) (bits->first + i), c0);
        _mm256_storeu_si256((__m256i *) (bits->second + i), c2);
    }
    return i;
}

static __attribute__((target("avx2"))) void
fill_normals_avx2(const block_t *block, double *out)
{
    bits_t bits;

    fill_bits(block, fill_bits_avx2(block, &bits), &bits);
    box_muller(&bits, block->n, out);
}

#endif

/* --- what is exported ------------------------------------------------------------- */

typedef void (*fill_fn)(const block_t *block, double *out);

#ifdef RTL_FAULT_HOOK
static bool portable_only = false;

void
rtl_random_use_portable(bool portable)
{
    portable_only = portable;
}
#else
enum { portable_only = 0 };
#endif

static fill_fn
best_fill_normals(void)
{
#ifdef HAVE_AVX2_BUILD
    if (!portable_only && __builtin_cpu_supports("avx2")) {
        return fill_normals_avx2;
    }
#endif
    return fill_normals;
}

/* Paths are made in pairs; a first or last path alone leaves its partner unused. */
static void
fill(const rtl_random_t *self, fill_fn fill_block, uint32_t stream, uint64_t first_path,
    size_t n_paths, uint64_t step, size_t n_slots, double *out)
{
    size_t skip = first_path & 1;

    for (size_t s = 0; s < n_slots; s++) {
        size_t done = 0;
        while (done < n_paths) {
            double pairs[2 * BLOCK];
            size_t offset = done == 0 ? skip : 0;
            size_t left = n_paths - done + offset;
            size_t n = left / 2 + left % 2;
            block_t block = {
                .key = self->key,
                .first_pair = (first_path + done) / 2,
                .step = step,
                .slot = (uint32_t) s * N_STREAMS + stream,
                .n = n < BLOCK ? n : BLOCK,
            };
            size_t count = 2 * block.n < left ? 2 * block.n : left;
            fill_block(&block, pairs);
            memcpy(out + s * n_paths + done, pairs + offset,
                (count - offset) * sizeof *out);
            done += count - offset;
        }
    }
}

void
rtl_random_normals(const rtl_random_t *self, uint64_t first_path, size_t n_paths,
    uint64_t step, size_t n_slots, double *out)
{
    fill(self, best_fill_normals(), STREAM_NORMAL, first_path, n_paths, step, n_slots,
        out);
}

void
rtl_random_uniforms(const rtl_random_t *self, uint64_t first_path, size_t n_paths,
    uint64_t step, size_t n_slots, double *out)
{
    fill(self, fill_uniforms, STREAM_UNIFORM, first_path, n_paths, step, n_slots, out);
}
