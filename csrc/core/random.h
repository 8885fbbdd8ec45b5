/* SPDX-License-Identifier: MIT */
/* Counter-based random numbers: a pure function of (key, path, step, slot), so any
 * thread may compute any number and restarts need no state.
 *
 * Philox 4x32-10 (Salmon, Moraes, Dror & Shaw 2011, SC'11) scrambles the counter
 *     (path, pair, slot, stream),   pair = step / 2,
 * into 128 bits. Two uniforms U, V made of them give both steps of the pair a normal:
 *     sqrt(-2 log U) cos 2 pi V  and  sqrt(-2 log U) sin 2 pi V   (Box & Muller 1958).
 * Logarithm, sine and cosine are our own polynomials in plain IEEE arithmetic: the
 * same bits on every processor. */
#ifndef RTL_RANDOM_H
#define RTL_RANDOM_H

#include <stddef.h>
#include <stdint.h>

#include "status.h"

typedef struct {
    uint64_t key; /* the seed of one call */
} rtl_random_t;

/* Counters are unique below these; larger ones repeat numbers. */
#define RTL_RANDOM_MAX_PATHS (UINT64_C(1) << 48)
#define RTL_RANDOM_MAX_STEPS (UINT64_C(1) << 48)
#define RTL_RANDOM_MAX_SLOTS ((size_t) 1 << 31)

/* Standard normals of one step for consecutive paths: out is (n_slots, n_paths), the
 * value at (s, i) belongs to (key, first_path + i, step, s). None exceeds 8.6. */
void rtl_random_normals(const rtl_random_t *self, uint64_t first_path, size_t n_paths,
    uint64_t step, size_t n_slots, double *out);

/* Those of both steps of n_pairs pairs, at half the price: out is (n_slots, 2, n_pairs,
 * n_paths), the value at (s, h, p, i) belongs to step 2 (first_pair + p) + h. */
void rtl_random_normal_pairs(const rtl_random_t *self, uint64_t first_path,
    size_t n_paths, uint64_t first_pair, size_t n_pairs, size_t n_slots, double *out);

/* Uniforms in (0, 1), odd multiples of 2^-53, of one step; a stream of its own. */
void rtl_random_uniforms(const rtl_random_t *self, uint64_t first_path, size_t n_paths,
    uint64_t step, size_t n_slots, double *out);

/* One of them. */
double rtl_random_uniform(
    const rtl_random_t *self, uint64_t path, uint64_t step, size_t slot);

/* The generator itself, on one counter, in 32-bit words as published. */
void rtl_random_philox(
    const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]);

#endif
