/* SPDX-License-Identifier: MIT */
/* Chains from arrays of rates. */
#ifndef RTL_GENERATOR_RATES_H
#define RTL_GENERATOR_RATES_H

#include "binding.h"
#include "generator.h"

/* A chain from the arguments (n, source, target, rates, killing=None); 0, or -1 with an
 * exception and an empty chain. */
int rtl_generator_rates_read(rtl_generator_t *chain, PyObject *args);

#endif
