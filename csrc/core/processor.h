/* SPDX-License-Identifier: MIT */
/* Code for particular processors: hot loops are compiled once for any processor and,
 * where the compiler can, once more for AVX2, which is asked for at run time.
 *
 * Both builds give the same bits: no operation is fused or reordered. */
#ifndef RTL_PROCESSOR_H
#define RTL_PROCESSOR_H

#include <stdbool.h>

#include "status.h"

#if defined(__x86_64__) && defined(__GNUC__)
#define RTL_PROCESSOR_AVX2 __attribute__((target("avx2")))
#endif

/* What both builds consist of. */
#define RTL_PROCESSOR_INLINE static inline __attribute__((always_inline))

/* Whether functions marked RTL_PROCESSOR_AVX2 may be called. */
bool rtl_processor_has_avx2(void);

/* Both builds of the function name_body(), which is RTL_PROCESSOR_INLINE and returns an
 * int, and the static function name() that calls the right one. */
#ifdef RTL_PROCESSOR_AVX2
#define RTL_PROCESSOR_BUILD(name, parameters, arguments)                               \
    static int name##_portable parameters                                              \
    {                                                                                  \
        return name##_body arguments;                                                  \
    }                                                                                  \
    static RTL_PROCESSOR_AVX2 int name##_avx2 parameters                               \
    {                                                                                  \
        return name##_body arguments;                                                  \
    }                                                                                  \
    static int name parameters                                                         \
    {                                                                                  \
        return rtl_processor_has_avx2() ? name##_avx2 arguments                        \
                                        : name##_portable arguments;                   \
    }
#else
#define RTL_PROCESSOR_BUILD(name, parameters, arguments)                               \
    static int name parameters                                                         \
    {                                                                                  \
        return name##_body arguments;                                                  \
    }
#endif

#ifdef RTL_FAULT_HOOK
/* Tests only: leave the code for particular processors aside. */
void rtl_processor_use_portable(bool portable);
#endif

#endif
