/* SPDX-License-Identifier: MIT */
/* Counter-based random numbers: a pure function of (key, path, step, slot), so any
 * thread may compute any number and restarts need no state.
 *
 * Philox 4x32-10 (Salmon et al. 2011, SC'11) fills the counter; Box-Muller makes
 * normals from it. */
#ifndef RTL_RANDOM_H
#define RTL_RANDOM_H

#include <stdint.h>

#include "status.h"

typedef struct {
    uint64_t key; /* the seed of one call */
} rtl_random_t;

/* Standard normals of one step for consecutive paths: out is (n_slots, n_paths), the
 * value at (s, i) belongs to (key, first_path + i, step, s). */
void rtl_random_normals(const rtl_random_t *self, uint64_t first_path, size_t n_paths,
    uint64_t step, size_t n_slots, double *out);

/* Uniforms in (0, 1), likewise; a stream of its own. */
void rtl_random_uniforms(const rtl_random_t *self, uint64_t first_path, size_t n_paths,
    uint64_t step, size_t n_slots, double *out);

#endif
