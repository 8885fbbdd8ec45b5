/* SPDX-License-Identifier: MIT */
/* SUNDIALS vectors whose loops run on a few threads, with the same bits for any number
 * of them. */
#ifndef RTL_VECTOR_H
#define RTL_VECTOR_H

#include "parallel.h"
#include "sun.h"

/* A vector of n zeros, owned by the caller (N_VDestroy), which must not outlive `sun`;
 * NULL when memory is short or n is too large for SUNDIALS' index type.
 *
 * SUNDIALS clones it without asking whether that succeeded. Where memory is short a
 * clone has no elements (it may be sun->spare) and sun->no_memory is set: loops do
 * nothing from then on, and whoever called SUNDIALS has to look. */
N_Vector rtl_vector_new(rtl_sun_t *sun, size_t n, rtl_team_t team);

#endif
